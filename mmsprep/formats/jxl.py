"""The size of a JPEG XL picture, from the first bits of its codestream.

Comes in: content that is JPEG XL. Goes out: width and height as displayed. Never: anything behind the header.
ISO/IEC 18181-1, clauses on SizeHeader and ImageMetadata; ISO/IEC 18181-2 for the boxes.
"""

from __future__ import annotations

from mmsprep.errors import Damaged
from mmsprep.formats.boxes import box_header
from mmsprep.formats.content import Content
from mmsprep.formats.registry import Format, described, register
from mmsprep.model import Kind, MediaInfo

_RATIOS = (None, (1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
_MAX_BOXES = 1_000


class _Bits:
    """Bits of a codestream, least significant first; zeros behind its end."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "little")

    def take(self, count: int) -> int:
        taken = self._value & (1 << count) - 1
        self._value >>= count
        return taken


def jxl_size_px(content: Content) -> tuple[int, int]:
    """Width and height as a decoder delivers them, after the orientation in the header.

    Raises:
        Damaged: there is no codestream in the file.
    """
    bits = _Bits(_codestream_start(content)[2:])
    width_px, height_px = _size(bits)
    all_default = bits.take(1)
    turned = not all_default and bits.take(1) and bits.take(3) + 1 >= 5
    return (height_px, width_px) if turned else (width_px, height_px)


def _codestream_start(content: Content) -> bytes:
    if content.head[:2] == b"\xff\x0a":
        return content.head[:64]
    position = 0
    for _ in range(_MAX_BOXES):
        name, header_length, size = box_header(content, position)
        if name in (b"jxlc", b"jxlp"):
            return content.read(position + header_length + (4 if name == b"jxlp" else 0), 64)
        if size < header_length:
            break
        position += size
    raise Damaged(content.name, "begins as JPEG XL, but has no picture in it; get the file again")


def _size(bits: _Bits) -> tuple[int, int]:
    small = bits.take(1)

    def side() -> int:
        return (bits.take(5) + 1) * 8 if small else bits.take((9, 13, 18, 30)[bits.take(2)]) + 1

    height_px = side()
    ratio = _RATIOS[bits.take(3)]
    return (side() if ratio is None else height_px * ratio[0] // ratio[1]), height_px


def _is_codestream(content: Content) -> bool:
    """Two bytes of magic, then no text: JPEG XL's codestream has no more to go by."""
    return content.head[:2] == b"\xff\x0a" and len(content.head) > 16


def _read(content: Content) -> MediaInfo:
    width_px, height_px = jxl_size_px(content)
    return described(
        content,
        "jxl",
        width_px=width_px or None,
        height_px=height_px or None,
        frame_count=1,
        colour="rgb",
        bit_depth=8,
    )


register(
    Format(
        slug="jxl",
        title="JPEG XL",
        kind=Kind.IMAGE,
        content_type="image/jxl",
        extension="jxl",
        magics=(((0, b"\x00\x00\x00\x0cJXL \r\n\x87\n"),),),
        looks_like=_is_codestream,
        rank=170,
        decoder="pillow_jxl.JpegXLImagePlugin:JXLImageFile",
        read=_read,
        animated=True,
    )
)
