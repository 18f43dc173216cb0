"""Windows icons and cursors, which Pillow reads alike once their directory says what their pictures say.

Comes in: an open file whose content is an icon or a cursor. Goes out: a picture of Pillow's, the largest in it.
Never: a number of bits that only the directory claims.
"""

from __future__ import annotations

from io import BytesIO
from typing import BinaryIO

from PIL import IcoImagePlugin, Image

_ENTRIES_AT, _ENTRY_BYTES, _MOST_ENTRIES = 6, 16, 256
_ICON = b"\x01\x00"
_BITS_AT, _OFFSET_AT = 6, 12
_BITS_IN_BITMAP_AT = 14
_PNG = b"\x89PNG"


def open_icon(file: BinaryIO) -> Image.Image:
    """The largest picture of an icon or a cursor, with what it leaves clear.

    Pillow decides by the bits a pixel of the directory whether there are half-clear pixels; many programs write none
    there, and in a cursor's the place that points stands there (Microsoft, ICONDIRENTRY).

    Raises:
        What Pillow raises.
    """
    data = bytearray(file.read())
    data[2:4] = _ICON
    count = min(int.from_bytes(data[4:6], "little"), _MOST_ENTRIES)
    for entry in range(_ENTRIES_AT, _ENTRIES_AT + count * _ENTRY_BYTES, _ENTRY_BYTES):
        offset = int.from_bytes(data[entry + _OFFSET_AT : entry + _ENTRY_BYTES], "little")
        is_png = data[offset : offset + len(_PNG)] == _PNG
        bits = b"\0\0" if is_png else data[offset + _BITS_IN_BITMAP_AT : offset + _BITS_IN_BITMAP_AT + 2]
        data[entry + _BITS_AT : entry + _BITS_AT + 2] = bits.ljust(2, b"\0")
    return IcoImagePlugin.IcoImageFile(BytesIO(data))
