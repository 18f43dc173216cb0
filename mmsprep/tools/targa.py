"""Targa whose run lengths go on over the end of a row, which Pillow does not decode.

Comes in: an open file whose content is Targa. Goes out: a picture of Pillow's. Never: a pixel that is not in the file.
"""

from __future__ import annotations

from io import BytesIO
from typing import BinaryIO

from PIL import Image, TgaImagePlugin

from mmsprep.formats.tga import tga_layout
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
