"""SGI's image file, of IRIX and of programs that draw in three dimensions.

Comes in: content. Goes out: whether it is one. Never: a decoded pixel.
"""

from __future__ import annotations

import struct

from mmsprep.formats.content import Content
from mmsprep.formats.registry import Format, register
from mmsprep.model import Kind


def _is_sgi(content: Content) -> bool:
    """Magic of two bytes, then plain or run lengths, 8 or 16 bits, one to three dimensions that are not empty."""
    if content.head[:2] != b"\x01\xda" or len(content.head) < 512:
        return False
    storage, depth_bytes, dimensions, *sides = struct.unpack_from(">2B4H", content.head, 2)
    return storage in (0, 1) and depth_bytes in (1, 2) and dimensions in (1, 2, 3) and all(sides[:dimensions])


register(
    Format(
        slug="sgi",
        title="SGI image",
        kind=Kind.IMAGE,
        content_type="image/x-sgi",
        extension="sgi",
        also_named="rgb rgba bw",
        looks_like=_is_sgi,
        rank=45,
        decoder="PIL.SgiImagePlugin:SgiImageFile",
    )
)
