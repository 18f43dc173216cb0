"""CAF: Apple's chunks of sound.

Comes in: content. Goes out: how long uncompressed sound plays. Never: a decoded sample.

Apple's Core Audio Format Specification 1.0.
"""

from __future__ import annotations

import struct
from dataclasses import replace

from mmsprep.formats.content import Content
from mmsprep.formats.registry import Format, register
from mmsprep.model import Kind, MediaInfo

_MAX_CHUNKS = 1_000


def caf_pcm_duration_s(content: Content) -> float | None:
    """Duration of a CAF file of uncompressed sound, ``None`` for others; MediaInfo gets it wrong.

    ``desc`` comes first, ``data`` begins with an edit count.
    """
    if len(content.head) < 52 or content.head[28:32] != b"lpcm":
        return None
    rate_hz: float = struct.unpack_from(">d", content.head, 20)[0]
    packet_bytes = int.from_bytes(content.head[36:40], "big")
    position = 8
    for _ in range(_MAX_CHUNKS):
        header = content.read(position, 12)
        length = int.from_bytes(header[4:], "big", signed=True)
        if header.startswith(b"data") and packet_bytes and rate_hz > 0:
            left = content.size_bytes - position - 12
            sound_bytes = (left if length < 0 else min(left, length)) - 4
            return round(max(0, sound_bytes) / packet_bytes / rate_hz, 3)
        if len(header) < 12 or length < 0:
            break
        position += 12 + length
    return None


def _amend(content: Content, info: MediaInfo) -> MediaInfo:
    return replace(info, duration_s=caf_pcm_duration_s(content) or info.duration_s)


register(
    Format(
        slug="caf",
        title="CAF",
        kind=Kind.AUDIO,
        content_type="audio/x-caf",
        extension="caf",
        demuxer="caf",
        magics=(((0, b"caff\x00\x01"),),),
        amend=_amend,
    )
)
