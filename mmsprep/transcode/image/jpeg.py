"""The JPEG encoder: baseline, optimised Huffman tables, quantisation tables on a real-valued scale.

Comes in: a picture and quantisation tables. Goes out: bytes without any metadata. Never: a search (``photo.py``
searches).

The tables are mozjpeg's table 2 (tuned for MS-SSIM), worth about one SSIMULACRA2 point over the standard
ones at the same size; a real-valued scale reaches sizes that whole qualities step over. Trellis quantisation, by
libvips, knows whole qualities alone.
"""

from __future__ import annotations

import io
import math
from functools import lru_cache
from typing import Any

from PIL import Image, ImageFile

from mmsprep.tools.vips import as_vips

Tables = tuple[tuple[int, ...], tuple[int, ...]]
"""Quantisation steps of luma and of chroma, 64 each, row by row."""

_LUMA = (
    "12 17 20 21 30 34 56 63 18 20 20 26 28 51 61 55 19 20 21 26 33 58 69 55 26 26 26 30 46 87 86 66"
    " 31 33 36 40 46 96 100 73 40 35 46 62 81 100 111 91 46 66 76 86 102 121 120 101 68 90 90 96 113 102 105 103"
)
_CHROMA = (
    "8 12 15 15 86 96 96 98 13 13 15 26 90 96 99 98 12 15 18 96 99 99 99 99 17 16 90 96 99 99 99 99"
    " 96 96 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99"
)
_WHOLE = tuple(tuple(int(value) for value in table.split()) for table in (_LUMA, _CHROMA))
SUBSAMPLED, FULL_CHROMA = 2, 0
_ROOM_BYTES, _SURELY_ROOM = 2, 0.5
"""A pixel: Pillow's room for optimising where no quality is given (``JpegImagePlugin._save``), and of that what nothing
that is foretold goes over."""
_JFIF = bytes.fromhex("ffe000104a46494600010100000100010000")
"""The header that says how colours are meant (ITU-T T.871); libvips writes none without metadata."""


@lru_cache(maxsize=4096)
def tables_at(scale: float) -> Tables:
    """The quantisation tables times ``scale`` (1.0 is near quality 50)."""
    luma, chroma = (tuple(min(255, max(1, round(value * scale))) for value in table) for table in _WHOLE)
    return luma, chroma


def scale_of(quality: int) -> float:
    """What libjpeg multiplies its tables with for a quality of 1..100 (``jpeg_quality_scaling``)."""
    return (5000 // quality if quality < 50 else 200 - 2 * quality) / 100


def encode_by_trellis(image: Image.Image, quality: int) -> bytes:
    """Encode ``image`` (RGB or L, subsampled) with the tables of :func:`scale_of` a quality; each coefficient is
    quantised to what is best for its bits (mozjpeg's trellis).

    Raises:
        ToolMissing: libvips does not load.
    """
    pixels = as_vips(image).copy(interpretation="b-w" if image.mode == "L" else "srgb")
    data: bytes = pixels.jpegsave_buffer(
        Q=quality,
        trellis_quant=True,
        quant_table=2,
        optimize_coding=True,
        interlace=False,
        subsample_mode="on",
        keep="none",
    )
    return data[:2] + _JFIF + data[2:]


def encode(
    image: Image.Image, tables: Tables, subsampling: int = SUBSAMPLED, *, foretold_bytes: float = math.inf
) -> bytes:
    """Encode ``image`` (RGB or L) with ``tables``.

    ``subsampling`` is :data:`SUBSAMPLED` (4:2:0) or :data:`FULL_CHROMA` (4:4:4), ``foretold_bytes`` about what it will
    come to.
    """
    steps = [list(table) for table in tables]
    options: dict[str, Any] = {"qtables": steps[:1]}
    if image.mode == "RGB":
        options = {"qtables": steps, "subsampling": subsampling}
        # Only whole chroma, and only of noise, can need more room than there is; libjpeg would print that on stderr.
        room_bytes = max(ImageFile.MAXBLOCK, _ROOM_BYTES * image.width * image.height)
        if subsampling == FULL_CHROMA and foretold_bytes > _SURELY_ROOM * room_bytes:
            plain = _saved(image, options)
            if len(plain) > room_bytes:
                return plain
    return _saved(image, {**options, "optimize": True})


def _saved(image: Image.Image, options: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", **options)
    return out.getvalue()
