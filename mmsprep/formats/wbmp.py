"""WBMP, the one-bit picture of the WAP days, which Pillow neither reads nor writes.

Comes in: a WBMP file, or a picture to make one of. Goes out: its size; a one-bit picture; a WBMP file. Never:
another type of WBMP than 0, the only one that was ever defined (WAP-237, Wireless Application Environment).
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

from mmsprep.formats.content import Content
from mmsprep.formats.registry import Format, described, register
from mmsprep.model import Kind, MediaInfo

if TYPE_CHECKING:
    from PIL import Image

_MAX_NUMBER_BYTES = 4
_LONGEST_HEADER_BYTES = 2 + 2 * _MAX_NUMBER_BYTES


def wbmp_size_px(content: Content) -> tuple[int, int] | None:
    """Width and height of a WBMP of type 0 whose length is exactly what they ask for (WAP-237)."""
    try:
        width_px, height_px, at = _header(content.head[:_LONGEST_HEADER_BYTES])
    except ValueError:
        return None
    exact = at + (width_px + 7) // 8 * height_px
    return (width_px, height_px) if width_px and height_px and content.size_bytes == exact else None


def open_wbmp(file: BytesIO) -> Image.Image:
    """Decode a WBMP file; a picture of mode ``1``.

    Raises:
        ValueError: not a WBMP of type 0, or fewer pixels than its header promises.
    """
    from PIL import Image

    data = file.getvalue()
    width_px, height_px, at = _header(data)
    size_bytes = (width_px + 7) // 8 * height_px
    if not size_bytes or len(data) - at < size_bytes:
        raise ValueError(f"{width_px} x {height_px} pixels promised, {len(data) - at} bytes of them there")
    return Image.frombytes("1", (width_px, height_px), data[at : at + size_bytes])


def encode(image: Image.Image) -> bytes:
    """A WBMP file of ``image``, its greys dithered to black and white."""
    from PIL import Image

    bits = image.convert("L").convert("1", dither=Image.Dither.FLOYDSTEINBERG)
    return b"\0\0" + _as_number(bits.width) + _as_number(bits.height) + bits.tobytes()


def _header(data: bytes) -> tuple[int, int, int]:
    """Width, height and where the pixels begin."""
    if data[:2] != b"\0\0":
        raise ValueError("its first bytes are not those of a WBMP of type 0")
    width_px, at = _number(data, 2)
    height_px, at = _number(data, at)
    return width_px, height_px, at


def _number(data: bytes, at: int) -> tuple[int, int]:
    """A multi-byte integer (seven bits a byte, high first) at ``at``, and where it ends."""
    value = 0
    for place in range(at, at + _MAX_NUMBER_BYTES):
        if place >= len(data):
            break
        value = value << 7 | data[place] & 0x7F
        if not data[place] & 0x80:
            return value, place + 1
    raise ValueError("its size is not a number")


def _as_number(value: int) -> bytes:
    digits = [value & 0x7F]
    while value := value >> 7:
        digits.append(value & 0x7F | 0x80)
    return bytes(reversed(digits))


def _read(content: Content) -> MediaInfo:
    width_px, height_px = wbmp_size_px(content) or (None, None)
    return described(content, "wbmp", width_px=width_px, height_px=height_px, frame_count=1, colour="grey", bit_depth=1)


register(
    Format(
        slug="wbmp",
        title="WBMP",
        kind=Kind.IMAGE,
        content_type="image/vnd.wap.wbmp",
        extension="wbmp",
        looks_like=lambda content: wbmp_size_px(content) is not None,
        rank=180,
        decoder="mmsprep.formats.wbmp:open_wbmp",
        read=_read,
    )
)
