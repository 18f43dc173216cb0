"""Truevision's TARGA: no magic in front.

Comes in: content. Goes out: whether it is one. Never: a decoded pixel.
"""

from __future__ import annotations

import struct

from mmsprep.formats.content import Content
from mmsprep.formats.registry import Format, register
from mmsprep.model import Kind


def _is_tga(content: Content) -> bool:
    """No magic in front, but TARGA 2.0's at the end; or a header of which every field makes sense."""
    head = content.head
    if len(head) < 18 or head[1] > 1 or head[2] not in (1, 2, 3, 9, 10, 11) or head[16] not in (8, 15, 16, 24, 32):
        return False
    width_px, height_px = struct.unpack_from("<2H", head, 12)
    if not width_px or not height_px or head[17] & 0xC0:
        return False
    if content.read(content.size_bytes - 18, 16) == b"TRUEVISION-XFILE":
        return True
    palette_bytes = struct.unpack_from("<H", head, 5)[0] * ((head[7] + 7) // 8) if head[1] else 0
    pixels = width_px * height_px * ((head[16] + 7) // 8)
    # Without a footer only the plain kind can be told by its length.
    return head[2] in (1, 2, 3) and content.size_bytes == 18 + head[0] + palette_bytes + pixels


register(
    Format(
        slug="tga",
        title="Targa",
        kind=Kind.IMAGE,
        content_type="image/x-tga",
        extension="tga",
        also_named="icb vda vst",
        looks_like=_is_tga,
        rank=50,
        decoder="PIL.TgaImagePlugin:TgaImageFile",
    )
)
