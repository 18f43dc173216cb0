"""JPEG 2000 with the colours that its own boxes say, of which Pillow reads only some.

Comes in: an open file whose content is JPEG 2000. Goes out: a picture of Pillow's. Never: numbers taken for colours
that they do not stand for.

ISO/IEC 15444-1, annex I: colour specification (I.5.3.3), channel definition (I.5.3.6).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import IO, Any

from PIL import Image, Jpeg2KImagePlugin

_HEADER, _COLOUR, _CHANNELS = b"jp2h", b"colr", b"cdef"
_ENUMERATED, _PROFILES = 1, (2, 3)
_SYCC = 18
_FOREIGN = {
    1: "YCbCr of its first kind",
    3: "YCbCr of its second kind",
    4: "YCbCr of its third kind",
    9: "PhotoYCC",
    11: "CMY",
    13: "YCCK",
    14: "CIELab",
    19: "CIEJab",
    20: "e-sRGB",
    21: "ROMM RGB",
    22: "YPbPr",
    24: "e-sYCC",
}
"""Enumerated colour spaces (15444-1, table I.10; 15444-2, table M.25) that Pillow takes for RGB."""
_MOST_BOXES = 100
_MOST_BYTES = 4_000_000
"""Of boxes, and in one of them: what has more is no header of a picture."""
_LAB = b"Lab "
_COLOUR_CHANNEL = 0


class Jpeg2000Picture(Jpeg2KImagePlugin.Jpeg2KImageFile):
    """Pillow's, with its ICC profile and its channels in their order.

    Raises SyntaxError about colours that nothing here reads.
    """

    _order: tuple[int, ...] = ()

    def _open(self) -> None:
        super()._open()
        assert self.fp is not None
        place, number = self.fp.tell(), 0
        self.fp.seek(0)
        for name, about in _about(self.fp):
            if name == _COLOUR and not number and "icc_profile" not in self.info:
                number = self._read_colours(about)
            elif name == _CHANNELS:
                self._order = _order_of(about)
        self.fp.seek(place)
        if self._order and (len(self._order) != len(self.getbands()) or number == _SYCC):
            raise SyntaxError("Unsupported order of its channels")

    def _read_colours(self, about: bytes) -> int:
        """The number of the colour space; 0 where a profile says it."""
        method = about[0] if about else 0
        if method == _ENUMERATED and len(about) >= 7:
            number = int.from_bytes(about[3:7], "big")
            if number in _FOREIGN:
                raise SyntaxError(f"Unsupported colours: {_FOREIGN[number]}")
            return number
        if method in _PROFILES:
            if about[3:][16:20] == _LAB:
                raise SyntaxError(f"Unsupported colours: {_FOREIGN[14]}")
            self.info["icc_profile"] = about[3:]
        return 0

    def load(self) -> Any:
        """Decode."""
        order, self._order = self._order, ()
        if order:
            super().load()
            bands = self.split()
            self.im = Image.merge(self.mode, [bands[place] for place in order]).im
        return super().load()


def _about(file: IO[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Name and content of what the header's boxes say of colours; nothing where the stream comes without boxes."""
    left_bytes: int | None = None
    for _ in range(_MOST_BOXES):
        head = file.read(8)
        if len(head) < 8:
            return
        size, name = struct.unpack(">I4s", head)
        size -= 8
        if size == 1 - 8:
            size = int.from_bytes(file.read(8), "big") - 16
        if left_bytes is not None:
            left_bytes -= size + 8
        if name == _HEADER and left_bytes is None:
            left_bytes = size
        elif size < 0 or (left_bytes is not None and left_bytes < 0):
            return
        elif name in (_COLOUR, _CHANNELS) and left_bytes is not None and size <= _MOST_BYTES:
            yield name, file.read(size)
        else:
            file.seek(size, 1)
        if left_bytes == 0:
            return


def _order_of(about: bytes) -> tuple[int, ...]:
    """Which channel is which of Pillow's bands, colours first; nothing where they are in this order already."""
    (count,) = struct.unpack(">H", about[:2].ljust(2, b"\0"))
    channels = list(struct.iter_unpack(">HHH", about[2 : 2 + count * 6])) if len(about) >= 2 + count * 6 else []
    colours = sorted((part, number) for number, kind, part in channels if kind == _COLOUR_CHANNEL)
    others = [number for number, kind, _ in channels if kind != _COLOUR_CHANNEL]
    order = (*(number for _, number in colours), *others)
    return order if sorted(order) == list(range(count)) and order != tuple(range(count)) else ()
