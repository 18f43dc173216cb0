"""Targa whose run lengths go on over the end of a row, which Pillow does not decode.

Comes in: an open file whose content is Targa. Goes out: a picture of Pillow's. Never: a pixel that is not in the file.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any, BinaryIO

from PIL import Image, TgaImagePlugin

from mmsprep.formats.tga import tga_layout
from mmsprep.tools.retried import Retried


class TgaPicture(Retried, TgaImagePlugin.TgaImageFile):
    """Pillow's, which wants every packet to end with its row; as the first TARGA let them run on, programs do so still
    (TGA 2.0 specification, "Run Length Encoded Images")."""

    def load(self) -> Any:
        """Decode; what its header says is no opacity, and is nowhere any, is none."""
        is_new = bool(self.tile)
        loaded = super().load()
        if is_new and self.mode == "RGBA" and self._says_opaque and self.getbbox() is None:
            self.putalpha(255)
        return loaded

    @property
    def _says_opaque(self) -> bool:
        """Bits 0 to 3 of the image descriptor (TGA 2.0 specification, field 5.6)."""
        self._whole.seek(17)
        return not self._whole.read(1)[0] & 15

    def _otherwise(self, file: BinaryIO) -> Image.Image | None:
        file.seek(0)
        plain = _without_runs(file.read())
        if plain is None:
            return None
        other = TgaImagePlugin.TgaImageFile(BytesIO(plain))
        other.load()
        return other


def _without_runs(data: bytes) -> bytes | None:
    """The same picture without run lengths; ``None`` where it has none, or ends before its pixels do."""
    if data[2] not in (9, 10, 11):
        return None
    offset, pixels, pixel_bytes = tga_layout(data)
    plain = bytearray(data[:offset])
    plain[2] -= 8
    wanted = offset + pixels * pixel_bytes
    while len(plain) < wanted and offset < len(data):
        count, packed = (data[offset] & 0x7F) + 1, data[offset] & 0x80
        length = pixel_bytes * (1 if packed else count)
        packet = data[offset + 1 : offset + 1 + length]
        if len(packet) < length:
            return None
        plain += packet * count if packed else packet
        offset += 1 + length
    return bytes(plain) if len(plain) == wanted else None
