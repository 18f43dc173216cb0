"""Windows bitmaps: a header of one of eight lengths, then pixels.

Comes in: content. Goes out: whether it is one. Never: a decoded pixel.
"""

from __future__ import annotations

import struct

from mmsprep.formats.content import Content
from mmsprep.formats.registry import Format, register
from mmsprep.model import Kind


def _is_bmp(content: Content) -> bool:
    """``BM``, a header of a known length and pixels that begin behind it."""
    if content.head[:2] != b"BM" or len(content.head) < 26:
        return False
    pixels_at, header_length = struct.unpack_from("<II", content.head, 10)
    return header_length in (12, 16, 40, 52, 56, 64, 108, 124) and bool(14 + header_length <= pixels_at)


register(
    Format(
        slug="bmp",
        title="BMP",
        kind=Kind.IMAGE,
        content_type="image/bmp",
        extension="bmp",
        also_named="dib",
        looks_like=_is_bmp,
        rank=20,
        decoder="mmsprep.tools.bitmap:BmpPicture",
    )
)
