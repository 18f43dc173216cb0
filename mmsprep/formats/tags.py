"""What MP3 and WAV files carry beside their sound.

Comes in: content that is MP3 or WAV. Goes out: names for ``MediaInfo.metadata``. Never: what the tags say.

ID3v2.4, ID3v1 and APEv2 by their informal standards; RIFF by Microsoft's multimedia registration kit.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from mmsprep.errors import Damaged
from mmsprep.formats.content import Content

_MAX_CHUNKS = 10_000
_ID3V1_BYTES = 128
_APE_FOOTER_BYTES = 32
_OPEN_LENGTHS = (0, 0xFFFFFFFF, 0xFFFFFFFE)
_LEAST_OPEN_LENGTH = 0x7FFF0000
"""What recorders write for "until the end" when they cannot go back to fill it in: 0, or about as much as a header
can say, less what is in front (SoX: 0x7FFFF000)."""
_SLIPPED_BYTES = 4_096
"""Headers that count themselves, a chunk or a block too many are off by less."""


@dataclass(frozen=True, slots=True)
class WaveLayout:
    """How a WAV file is put together: the kind of its RIFF header and what is in it beside the sound.

    ``duration_s`` is that of what is there, where the header does not say it in the usual way; else ``None``.
    """

    brand: str
    metadata: tuple[str, ...]
    duration_s: float | None = None


def mp3_tags(content: Content) -> tuple[str, ...]:
    """``id3`` and ``ape`` where an MP3 file has such tags at either end."""
    tail = content.read(max(0, content.size_bytes - _ID3V1_BYTES - _APE_FOOTER_BYTES), 4096)
    has_id3v1 = tail[-_ID3V1_BYTES:].startswith(b"TAG")
    found = ["id3"] if content.head.startswith(b"ID3") or has_id3v1 else []
    return tuple(found + (["ape"] if b"APETAGEX" in tail or content.head.startswith(b"APETAGEX") else []))


def wave_layout(content: Content) -> WaveLayout:
    """Walk the chunks of a WAV file.

    ``brand`` is ``RIFF``, ``RIFX``, ``RF64``, ``BW64``, or ``open`` where the sound's length is not given.

    Raises:
        Damaged: the sound is shorter than the header says, or there is none.
    """
    brand = content.head[:4].decode("ascii")
    order = ">" if brand == "RIFX" else "<"
    extras: list[str] = []
    has_sound, bytes_per_s = False, 0
    position = 12
    for _ in range(_MAX_CHUNKS):
        header = content.read(position, 8)
        if len(header) < 8:
            extras += ["trailing"] if header.strip(b"\x00") else []
            break
        name, length = struct.unpack(f"{order}4sI", header)
        if name == b"data":
            has_sound = True
            left_bytes = content.size_bytes - position - 8
            if length in _OPEN_LENGTHS or (
                left_bytes < length and (length >= _LEAST_OPEN_LENGTH or length - left_bytes <= _SLIPPED_BYTES)
            ):
                duration_s = round(left_bytes / bytes_per_s, 3) if bytes_per_s else None
                brand = "open" if brand == "RIFF" else brand
                return WaveLayout(brand, tuple(dict.fromkeys(extras)), duration_s)
            if length > left_bytes:
                raise Damaged(content.name, "is a WAV recording that was cut short; get the file again")
        elif name == b"fmt ":
            (bytes_per_s,) = struct.unpack(f"{order}I", content.read(position + 16, 4).ljust(4, b"\0"))
        elif name not in (b"fact", b"ds64"):
            extras.append("tags")
        position += 8 + length + length % 2
    if not has_sound:
        raise Damaged(content.name, "is a WAV file without sound; get the file again")
    return WaveLayout(brand, tuple(dict.fromkeys(extras)))
