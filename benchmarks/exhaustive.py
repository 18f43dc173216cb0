"""What the encoder can do at best: every size tried, each filled to the last step of quantisation.

Comes in: a picture, its judge, a number of bytes. Goes out: the best score that any size reaches, by real encodes.
Never: a prediction, or a rule of mmsprep's.
"""

from __future__ import annotations

from functools import partial

from photos import largest_within, opened, shrunk
from PIL import Image
from ssimulacra import Judge

from mmsprep.transcode.image.jpeg import FULL_CHROMA, SUBSAMPLED, encode, tables_at

_FACTORS = (1.0, 0.9, 0.79, 0.7, 0.63, 0.56, 0.5, 0.42, 0.35, 0.29, 0.25, 0.18, 0.125)
_FINEST, _COARSEST = 0.01, 6.0
_FINE_ENOUGH = 0.12
"""Where a size is quantised as finely as this, still smaller ones have only pixels to lose."""


def best_within(image: Image.Image, judge: Judge, max_bytes: int) -> float | None:
    """The best SSIMULACRA2 within ``max_bytes``; ``None`` when nothing fits."""
    best: float | None = None
    for factor in _FACTORS:
        small = shrunk(image, factor)
        for chroma in (SUBSAMPLED, FULL_CHROMA) if factor == 1 else (SUBSAMPLED,):
            data = largest_within(partial(_encoded, small, chroma), _FINEST, _COARSEST, max_bytes)
            if data is not None:
                score = judge.score(opened(data))
                best = score if best is None else max(best, score)
        fine = encode(small, tables_at(_FINE_ENOUGH), SUBSAMPLED)
        if len(fine) <= max_bytes:
            break
    return best


def _encoded(image: Image.Image, chroma: int, scale: float) -> bytes:
    return encode(image, tables_at(scale), chroma)
