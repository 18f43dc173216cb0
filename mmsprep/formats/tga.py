"""Truevision's TARGA: no magic in front.

Comes in: content. Goes out: whether it is one. Never: a decoded pixel.
"""

from __future__ import annotations

import struct

from mmsprep.formats.content import Content
from mmsprep.formats.registry import Format, register
from mmsprep.model import Kind

_READ_BYTES = 1 << 16


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
    pixels_at, pixels, pixel_bytes = tga_layout(head)
    # Without a footer it is told by its length.
    if head[2] in (1, 2, 3):
        ends_at: int | None = pixels_at + pixels * pixel_bytes
    else:
        ends_at = _packets_end(content, pixels_at, pixels, pixel_bytes)
    return content.size_bytes == ends_at


def tga_layout(head: bytes) -> tuple[int, int, int]:
    """Where the pixels of a header begin, how many they are, and how many bytes each has."""
    palette_bytes = struct.unpack_from("<H", head, 5)[0] * ((head[7] + 7) // 8) if head[1] else 0
    width_px, height_px = struct.unpack_from("<2H", head, 12)
    return 18 + head[0] + palette_bytes, width_px * height_px, (head[16] + 7) // 8


def _packets_end(content: Content, offset: int, pixels: int, pixel_bytes: int) -> int | None:
    """Where the run lengths of so many pixels end; ``None`` where they end elsewhere than with a packet."""
    data, start = b"", 0
    while pixels > 0:
        if not start <= offset < start + len(data):
            data, start = content.read(offset, _READ_BYTES), offset
            if not data:
                return None
        head = data[offset - start]
        count = (head & 0x7F) + 1
        offset += 1 + pixel_bytes * (1 if head & 0x80 else count)
        pixels -= count
    return offset if pixels == 0 else None


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
        decoder="mmsprep.tools.targa:TgaPicture",
    )
)
