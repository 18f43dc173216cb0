"""AAC in LATM, in frames of LOAS.

Comes in: content. Goes out: whether it is a stream of them. Never: a decoded sample.

ISO/IEC 14496-3, 1.7.2.
"""

from __future__ import annotations

from mmsprep.formats.content import Content
from mmsprep.formats.registry import Format, register
from mmsprep.model import Kind

_LOAS_FRAMES = 4


def _is_latm(content: Content) -> bool:
    """LOAS: some frames in a row of eleven bits of sync word and thirteen of length (ISO/IEC 14496-3, 1.7.2)."""
    position = 0
    for _ in range(_LOAS_FRAMES):
        head = content.read(position, 3)
        if len(head) < 3 or head[0] != 0x56 or head[1] & 0xE0 != 0xE0:
            return position >= content.size_bytes > 3
        position += 3 + ((head[1] & 0x1F) << 8 | head[2])
    return True


register(
    Format(
        slug="latm",
        title="AAC in LATM",
        kind=Kind.AUDIO,
        content_type="audio/MP4A-LATM",
        extension="latm",
        demuxer="loas",
        also_named="loas",
        looks_like=_is_latm,
        rank=160,
        codec="aac",
    )
)
