"""What others do with a photo: the least that anybody must, and what most people write.

    python benchmarks/plain.py PHOTO           # the least, as a program of its own
    python benchmarks/plain.py PHOTO --whole   # what most people write: every pixel decoded

Comes in: a photo. Goes out: JPEG bytes. Never: anything of mmsprep's.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

from PIL import Image

LONG_PX = 1024
_DRAFT_MARGIN = 1.9
"""Halves the usual 4000 and 4032 px, as mmsprep does."""


def floor(path: Path, *, whole: bool = False) -> bytes:
    """What nobody can do without: a scaled decode (or a ``whole`` one), one resize, one encode."""
    with Image.open(path) as image:
        scale = LONG_PX / max(image.size)
        size = round(image.width * scale), round(image.height * scale)
        if not whole:
            image.draft("RGB", (round(size[0] * _DRAFT_MARGIN), round(size[1] * _DRAFT_MARGIN)))
        small = image.convert("RGB").resize(size, Image.Resampling.LANCZOS)
    out = io.BytesIO()
    small.save(out, "JPEG", quality=85, optimize=True)
    return out.getvalue()


def plain_loop(image: Image.Image, max_bytes: int) -> bytes:
    """What most people write: the highest Pillow quality that fits, at full size; quality 1 where none does."""
    low, high, best = 1, 95, b""
    while low <= high:
        quality = (low + high) // 2
        out = io.BytesIO()
        image.save(out, "JPEG", quality=quality)
        if len(out.getvalue()) <= max_bytes:
            low, best = quality + 1, out.getvalue()
        else:
            high = quality - 1
            best = best or (out.getvalue() if quality == 1 else b"")
    return best


if __name__ == "__main__":
    floor(Path(sys.argv[1]), whole="--whole" in sys.argv[2:])
