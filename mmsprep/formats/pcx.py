"""PCX, the picture of PC Paintbrush.

Comes in: content. Goes out: whether it is one. Never: a decoded pixel.
"""

from __future__ import annotations

import struct

from mmsprep.formats.content import Content
from mmsprep.formats.registry import Format, register
from mmsprep.model import Kind


def _is_pcx(content: Content) -> bool:
    """Manufacturer 10, a version that there was, run lengths, 1 to 8 bits, and a window that is not empty."""
    head = content.head
    if (
        len(head) < 128
        or head[0] != 10
        or head[1] not in (0, 2, 3, 4, 5)
        or head[2] != 1
        or head[3] not in (1, 2, 4, 8)
    ):
        return False
    left, top, right, bottom = struct.unpack_from("<4H", head, 4)
    return bool(left <= right and top <= bottom and head[64] == 0 and head[65] in (1, 3, 4))


register(
    Format(
        slug="pcx",
        title="PCX",
        kind=Kind.IMAGE,
        content_type="image/x-pcx",
        extension="pcx",
        looks_like=_is_pcx,
        rank=40,
        decoder="PIL.PcxImagePlugin:PcxImageFile",
    )
)
