"""AC-3 and E-AC-3: frames.

Comes in: content. Goes out: whether it is a stream of them. Never: a decoded sample.

ETSI TS 102 366.
"""

from __future__ import annotations

from mmsprep.formats.frames import Frame, starts_with_frames
from mmsprep.formats.registry import Format, register
from mmsprep.model import Kind

_AC3_HZ = (48_000, 44_100, 32_000)
_AC3_RATES_KBPS = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640)


def ac3_frame(header: bytes) -> Frame | None:
    """ETSI TS 102 366, 4.3."""
    if len(header) < 6 or header[:2] != b"\x0b\x77" or header[5] >> 3 > 10:
        return None
    hz_index, size_code = header[4] >> 6, header[4] & 63
    if hz_index == 3 or size_code >= 2 * len(_AC3_RATES_KBPS):
        return None
    hz, rate_bps = _AC3_HZ[hz_index], _AC3_RATES_KBPS[size_code // 2] * 1000
    words = 1536 * rate_bps // hz // 16 + (size_code & 1 if hz == 44_100 else 0)
    return Frame(2 * words, 1536, hz, (hz_index,))


def eac3_frame(header: bytes) -> Frame | None:
    """ETSI TS 102 366, annex E."""
    if len(header) < 6 or header[:2] != b"\x0b\x77" or not 10 < header[5] >> 3 <= 16:
        return None
    hz_index = header[4] >> 6
    if hz_index == 3:
        return None
    return Frame(2 * (((header[2] & 7) << 8 | header[3]) + 1), 1536, _AC3_HZ[hz_index], (hz_index,))


register(
    Format(
        slug="ac3",
        title="AC-3",
        kind=Kind.AUDIO,
        content_type="audio/ac3",
        extension="ac3",
        demuxer="ac3",
        looks_like=lambda content: starts_with_frames(content, ac3_frame),
        rank=140,
    )
)
register(
    Format(
        slug="eac3",
        title="E-AC-3",
        kind=Kind.AUDIO,
        content_type="audio/eac3",
        extension="eac3",
        demuxer="eac3",
        also_named="ec3 ac3",
        looks_like=lambda content: starts_with_frames(content, eac3_frame),
        rank=150,
    )
)
