"""Windows bitmaps whose colours lie at bits of their own choice, which Pillow knows a few of.

Comes in: an open file whose content is BMP. Goes out: a picture of Pillow's. Never: a pixel that is not in the file.
"""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING, Any

from PIL import BmpImagePlugin, Image

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_HEADER = struct.Struct("<IiiHHI")
"""Its own length, width, height (below 0: from the top), planes, bits a pixel, compression (BITMAPINFOHEADER)."""
_HEADER_AT, _MASKS_AT = 14, 54
_BITFIELDS, _ALPHA_BITFIELDS = 3, 6
_UNSUPPORTED = ("Unsupported BMP bitfields layout", f"Unsupported BMP compression ({_ALPHA_BITFIELDS})")


class BmpPicture(BmpImagePlugin.BmpImageFile):
    """Pillow's, with the bits of each colour where the header says: 4 bits a colour, 10 of them, any order."""

    _masked: tuple[int, int, tuple[int, ...]] | None = None

    def _open(self) -> None:
        try:
            super()._open()
        except OSError as error:
            if not str(error).startswith(_UNSUPPORTED):
                raise
            assert self.fp is not None
            self.fp.seek(0)
            head = self.fp.read(_MASKS_AT + 16).ljust(_MASKS_AT + 16, b"\0")
            length, width_px, height_px, _, bits, compression = _HEADER.unpack_from(head, _HEADER_AT)
            masks = struct.unpack_from("<4I", head, _MASKS_AT)
            # An alpha mask is there by the third version of the header, or by its own compression.
            has_alpha = (length >= 56 or compression == _ALPHA_BITFIELDS) and masks[3]
            masks = masks[: 4 if has_alpha else 3]
            if bits not in (16, 32) or not all(map(_in_one_piece, masks)):
                raise
            (at,) = struct.unpack_from("<I", head, 10)
            self._masked = at, bits if height_px > 0 else -bits, masks
            self.info["compression"] = _BITFIELDS
            self._mode, self._size, self.tile = "RGBA" if has_alpha else "RGB", (width_px, abs(height_px)), []

    def load(self) -> Any:
        """Decode."""
        if self._masked is not None:
            self.im = self._read(*self._masked).im
            self._masked = None
        return super().load()

    def _read(self, at: int, signed_bits: int, masks: tuple[int, ...]) -> Image.Image:
        import numpy as np

        assert self.fp is not None
        bits = abs(signed_bits)
        width, height = self.size
        row_bytes = math.ceil(width * bits / 32) * 4
        self.fp.seek(at)
        data = self.fp.read(row_bytes * height)
        if len(data) < row_bytes * height:
            raise OSError(f"image file is truncated ({row_bytes * height - len(data)} bytes are missing)")
        pixels = np.frombuffer(data, f"<u{bits // 8}").reshape(height, -1)[:: -1 if signed_bits > 0 else 1, :width]
        channels = [_to_eight_bits(pixels, mask) for mask in masks]
        return Image.fromarray(np.dstack(channels))


def _in_one_piece(mask: int) -> bool:
    """Whether its ones stand side by side; a colour may have none at all."""
    ones = mask >> (mask & -mask).bit_length() - 1 if mask else 0
    return ones & ones + 1 == 0


def _to_eight_bits(pixels: NDArray[Any], mask: int) -> NDArray[np.uint8]:
    import numpy as np

    lowest = max(0, (mask & -mask).bit_length() - 1)
    most = mask >> lowest or 1
    numbers = ((pixels & mask) >> lowest).astype(np.uint64)
    return ((numbers * 255 + most // 2) // most).astype(np.uint8)
