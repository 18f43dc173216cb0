"""Targa whose run lengths go on over the end of a row, which Pillow does not decode.

Comes in: an open file whose content is Targa. Goes out: a picture of Pillow's. Never: a pixel that is not in the file.
"""

from __future__ import annotations

import struct
from io import BytesIO
from typing import BinaryIO

from PIL import Image, TgaImagePlugin

from mmsprep.tools.retried import Retried


class TgaPicture(Retried, TgaImagePlugin.TgaImageFile):
    """Pillow's, which wants every packet to end with its row; as the first TARGA let them run on, programs do so still
    (TGA 2.0 specification, "Run Length Encoded Images")."""

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
    pixel_bytes = (data[16] + 7) // 8
    width_px, height_px = struct.unpack_from("<2H", data, 12)
    palette_bytes = struct.unpack_from("<H", data, 5)[0] * ((data[7] + 7) // 8) if data[1] else 0
    offset = 18 + data[0] + palette_bytes
    plain = bytearray(data[:offset])
    plain[2] -= 8
    wanted = offset + width_px * height_px * pixel_bytes
    while len(plain) < wanted and offset < len(data):
        count, packed = (data[offset] & 0x7F) + 1, data[offset] & 0x80
        length = pixel_bytes * (1 if packed else count)
        pixels = data[offset + 1 : offset + 1 + length]
        if len(pixels) < length:
            return None
        plain += pixels * count if packed else pixels
        offset += 1 + length
    return bytes(plain) if len(plain) == wanted else None
