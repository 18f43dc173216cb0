"""WAV: a RIFF with a format and samples.

Comes in: content. Goes out: how it is put together, the same samples without anything else, what a strict reader says.
Never: a decoded sample.

Microsoft's multimedia registration kit; EBU Tech 3306 (RF64).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace

from mmsprep.errors import Damaged
from mmsprep.formats.content import Content
from mmsprep.formats.findings import Sound
from mmsprep.formats.registry import Format, lacking, register
from mmsprep.formats.riff import chunks, written
from mmsprep.model import Kind, MediaInfo

_PCM, _IMA_ADPCM, _EXTENSIBLE = 1, 17, 0xFFFE
_SUBFORMAT_AT, _EXTENSIBLE_BYTES = 24, 40
_KEPT = (b"fmt ", b"fact", b"data")
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
    ``missing_bytes`` are those of the sound that are not there.
    """

    brand: str
    metadata: tuple[str, ...]
    duration_s: float | None = None
    missing_bytes: int = 0


def wave_layout(content: Content) -> WaveLayout:
    """Walk the chunks of a WAV file.

    ``brand`` is ``RIFF``, ``RIFX``, ``RF64``, ``BW64``, or ``open`` where the sound's length is not given.

    Raises:
        Damaged: the sound is shorter than the header says, or there is none.
    """
    brand = content.head[:4].decode("ascii")
    order = ">" if brand == "RIFX" else "<"
    extras: list[str] = []
    has_sound, bytes_per_s, end = False, 0, 12
    for name, start, length in chunks(content, order):
        end = start + length + length % 2
        if name == b"data":
            has_sound = True
            left_bytes = content.size_bytes - start
            if length in _OPEN_LENGTHS or (
                left_bytes < length and (length >= _LEAST_OPEN_LENGTH or length - left_bytes <= _SLIPPED_BYTES)
            ):
                duration_s = round(left_bytes / bytes_per_s, 3) if bytes_per_s else None
                brand = "open" if brand == "RIFF" else brand
                # A header that counts everything in front of the sound as well misses nothing.
                missing = length - left_bytes
                missing = 0 if missing <= start or length in _OPEN_LENGTHS or length >= _LEAST_OPEN_LENGTH else missing
                return WaveLayout(brand, tuple(dict.fromkeys(extras)), duration_s, missing)
            if length > left_bytes:
                raise Damaged(content.name, "is a WAV recording that was cut short; get the file again")
        elif name == b"fmt ":
            codec, channels, rate_hz, bytes_per_s, block_bytes, bits = struct.unpack(
                f"{order}HHIIHH", content.read(start, 16).ljust(16, b"\0")
            )
            extras += ["extensible"] if codec == _EXTENSIBLE else []
            rates = (bytes_per_s, block_bytes)
            extras += ["contradictions"] if codec == _PCM and rates != _pcm_rates(channels, rate_hz, bits) else []
        elif name not in (b"fact", b"ds64"):
            extras.append("tags")
    if not has_sound:
        raise Damaged(content.name, "is a WAV file without sound; get the file again")
    extras += ["trailing"] if content.read(end, 8).strip(b"\x00") else []
    return WaveLayout(brand, tuple(dict.fromkeys(extras)))


def _amend(content: Content, info: MediaInfo) -> MediaInfo:
    layout = wave_layout(content)
    duration_s = layout.duration_s or info.duration_s
    notes = (*info.notes, *lacking(layout.missing_bytes))
    return replace(info, brand=layout.brand, metadata=layout.metadata, duration_s=duration_s, notes=notes)


def _pcm_rates(channels: int, rate_hz: int, bits: int) -> tuple[int, int]:
    """Bytes a second and bytes a block, as they follow from the rest of the header, which players go by."""
    block_bytes = channels * ((bits + 7) // 8)
    return rate_hz * block_bytes, block_bytes


def _strip(content: Content) -> bytes:
    """Keep format, sample count and samples, with sizes that are true.

    Raises:
        ValueError: the format or the samples are missing.
    """
    if content.head[:4] != b"RIFF" or content.head[8:12] != b"WAVE":
        raise ValueError("no RIFF/WAVE header")
    found: dict[bytes, bytes] = {}
    for name, start, length in chunks(content):
        if name in _KEPT and name not in found:
            found[name] = content.read(start, length)
    if len(found.get(b"fmt ", b"")) < 16 or not found.get(b"data"):
        raise ValueError("the format or the samples are missing")
    (codec,) = struct.unpack_from("<H", found[b"fmt "])
    if codec == _EXTENSIBLE and len(found[b"fmt "]) >= _EXTENSIBLE_BYTES:
        # The codec that it is an extension of stands where a GUID begins.
        codec = struct.unpack_from("<H", found[b"fmt "], _SUBFORMAT_AT)[0]
        found[b"fmt "] = struct.pack("<H", codec) + found[b"fmt "][2:16]
    _, channels, rate_hz, _, block_bytes, bits = struct.unpack_from("<HHIIHH", found[b"fmt "])
    if codec == _PCM:
        bytes_per_s, block_bytes = _pcm_rates(channels, rate_hz, bits)
        found[b"fmt "] = struct.pack("<HHIIHH", codec, channels, rate_hz, bytes_per_s, block_bytes, bits)
    if b"fact" in found:
        found[b"fact"] = found[b"fact"][:4]
    found[b"data"] = found[b"data"][: len(found[b"data"]) // max(block_bytes, 1) * max(block_bytes, 1)]
    return written(b"WAVE", ((name, found[name]) for name in _KEPT if name in found))


def _is_surely_over(content: Content, max_bytes: int) -> bool:
    samples = (min(length, content.size_bytes - start) for name, start, length in chunks(content) if name == b"data")
    return next(samples, 0) > max_bytes


def _read_exactly(data: bytes) -> Sound:
    """A format, perhaps a sample count, samples; lengths that are true; PCM or IMA ADPCM."""
    name, size, form = struct.unpack_from("<4sI4s", data)
    if (name, form) != (b"RIFF", b"WAVE") or size != len(data) - 8:
        raise ValueError("has no RIFF header with the file's true length")
    found: dict[bytes, bytes] = {}
    position = 12
    while position < len(data):
        name, size = struct.unpack_from("<4sI", data, position)
        if name not in _KEPT or name in found or position + 8 + size > len(data):
            raise ValueError(f"has no format, fact or data chunk at byte {position:,}")
        found[name] = data[position + 8 : position + 8 + size]
        position += 8 + size + size % 2
    codec, channels, rate_hz, byte_rate, block, bits = struct.unpack_from("<HHIIHH", found.get(b"fmt ", b""))
    samples = len(found.get(b"data", b""))
    if not samples or not block or samples % block:
        raise ValueError(f"has {samples:,} bytes of samples in blocks of {block}")
    if codec == _PCM:
        if bits not in (8, 16) or block != channels * bits // 8 or byte_rate != rate_hz * block:
            raise ValueError(f"has a format chunk that contradicts itself ({bits} bits in blocks of {block})")
        return Sound("wav", rate_hz, channels, frozenset((byte_rate * 8 / 1000,)), samples / byte_rate)
    if codec != _IMA_ADPCM or bits != 4:
        raise ValueError(f"has the codec {codec} of {bits} bits, expected PCM or IMA ADPCM")
    # A block begins with a whole sample a channel; the rest are four bits each.
    samples_a_block = (block - 4 * channels) * 2 // channels + 1
    duration_s = samples // block * samples_a_block / rate_hz
    return Sound("wav-ima", rate_hz, channels, frozenset((byte_rate * 8 / 1000,)), duration_s)


register(
    Format(
        slug="wav",
        title="WAV",
        kind=Kind.AUDIO,
        content_type="audio/wav",
        extension="wav",
        demuxer="wav",
        indexed=True,
        also_named="wave rf64",
        magics=(
            (
                (0, b"RIFF"),
                (8, b"WAVE"),
            ),
            (
                (0, b"RIFX"),
                (8, b"WAVE"),
            ),
            (
                (0, b"RF64"),
                (8, b"WAVE"),
            ),
            (
                (0, b"BW64"),
                (8, b"WAVE"),
            ),
        ),
        amend=_amend,
        strip=_strip,
        is_surely_over=_is_surely_over,
        read_exactly=_read_exactly,
    )
)
