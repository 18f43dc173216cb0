"""Photoshop's own files of 16 bits a channel, which Pillow does not read; what it reads is read by it.

Comes in: an open file whose content is Photoshop. Goes out: a picture of Pillow's. Never: a layer; the picture is the
one that Photoshop composed of them.
"""

from __future__ import annotations

import struct
from io import BytesIO
from typing import IO, Any

from PIL import Image, PsdImagePlugin

_HEADER = struct.Struct(">4sH6xHIIHH")
"""Signature, version, channels, height, width, depth, colour mode (Adobe Photoshop File Formats Specification)."""

_DEEP_LAYERS = b"8BIMLr16"


class PsdPicture(PsdImagePlugin.PsdImageFile):
    """Pillow's, with the higher byte of channels that have two."""

    _deep: Image.Image | None = None
    _says_opaque = False

    def _open(self) -> None:
        assert self.fp is not None
        head = self.fp.read(_HEADER.size)
        self._says_opaque = not _has_transparency(self.fp)
        self.fp.seek(_HEADER.size)
        *start, height_px, width_px, depth, mode = _HEADER.unpack(head)
        try:
            if depth != 16:
                self.fp.seek(0)
                super()._open()
                return
            # To whoever reads bytes it is a picture of 8 bits, twice as wide.
            wide = _HEADER.pack(*start, height_px, 2 * width_px, 8, mode) + self.fp.read()
            self._deep = PsdImagePlugin.PsdImageFile(BytesIO(wide))
        except KeyError as error:
            raise SyntaxError(f"Unsupported depth of {depth} bits in colour mode {mode}") from error
        self._mode, self._size, self.info = self._deep.mode, (width_px, height_px), self._deep.info

    def load(self) -> Any:
        """Decode."""
        if self._deep is not None:
            self._deep.load()
            # Exactly the columns 0, 2, 4, ...
            every_other = (2, 0, -0.5, 0, 1, 0)
            self.im = self._deep.transform(self.size, Image.Transform.AFFINE, every_other, Image.Resampling.NEAREST).im
            self._deep = None
        loaded = super().load()
        if self._says_opaque and self.mode == "RGBA":
            # No part of the picture: a selection that somebody kept.
            self._says_opaque = False
            self.putalpha(255)
        return loaded


def _has_transparency(file: IO[bytes]) -> bool:
    """Whether a fourth channel of a picture of three colours says what is transparent; the header of ``file`` is read.

    It does where the number of layers is negative ("Layer info"); without layers there is nothing to see through.
    """
    for _ in range(2):
        file.seek(int.from_bytes(file.read(4), "big"), 1)
    section = file.read(int.from_bytes(file.read(4), "big"))
    length, count = struct.unpack(">Ih", section[:6].ljust(6, b"\0"))
    if not length:
        # Of 16 bits a channel, they are told of further behind.
        _, _, behind = section.partition(_DEEP_LAYERS)
        length, count = struct.unpack(">Ih", behind[:6].ljust(6, b"\0"))
    return bool(length) and count < 0
