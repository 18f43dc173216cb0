"""What encoders can do at best: every size tried, each filled to the last step of quantisation.

Comes in: a picture, its judge, a number of bytes. Goes out: the best score that any size reaches, by real encodes, with
our encoder or with the trellis quantisation of libvips (mozjpeg's). Never: a prediction, or a rule of mmsprep's.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from photos import largest_within, opened, shrunk
from PIL import Image
from ssimulacra import Judge

from mmsprep.tools.vips import load_vips
from mmsprep.transcode.image.jpeg import FULL_CHROMA, SUBSAMPLED, encode, tables_at

_FACTORS = (1.0, 0.9, 0.79, 0.7, 0.63, 0.56, 0.5, 0.42, 0.35, 0.29, 0.25, 0.18, 0.125)
_FINEST, _COARSEST = 0.01, 6.0
_TRELLIS_SIZES = 3
_FINE_ENOUGH = 0.12
"""Where a size is quantised as finely as this, still smaller ones have only pixels to lose."""


def best_within(image: Image.Image, judge: Judge, max_bytes: int) -> float | None:
    """The best SSIMULACRA2 within ``max_bytes``; ``None`` when nothing fits."""
    return max((score for score, _ in _every_size(image, judge, max_bytes)), default=None)


def best_with_trellis(image: Image.Image, judge: Judge, max_bytes: int) -> float | None:
    """The same by libvips' trellis quantisation (baseline, mozjpeg's table 2, whole qualities), at those sizes that are
    the best for our encoder: elsewhere it cannot make up for the size."""
    sizes = sorted(_every_size(image, judge, max_bytes), reverse=True)[:_TRELLIS_SIZES]
    made = (_trellis_within(shrunk(image, factor), max_bytes) for _, factor in sizes)
    return max((judge.score(opened(data)) for data in made if data), default=None)


def _trellis_within(image: Image.Image, max_bytes: int) -> bytes | None:
    raw = image.convert("RGB")
    pixels = load_vips().Image.new_from_memory(raw.tobytes(), raw.width, raw.height, 3, "uchar")
    pixels = pixels.copy(interpretation="srgb")
    low, high, best = 1, 95, None
    while low <= high:
        quality = (low + high) // 2
        data: bytes = pixels.jpegsave_buffer(
            Q=quality,
            trellis_quant=True,
            overshoot_deringing=True,
            quant_table=2,
            optimize_coding=True,
            interlace=False,
            subsample_mode="on",
            keep="none",
        )
        if len(data) <= max_bytes:
            low, best = quality + 1, data
        else:
            high = quality - 1
    return best


def _every_size(image: Image.Image, judge: Judge, max_bytes: int) -> Iterator[tuple[float, float]]:
    """Each size's score at ``max_bytes``, and the size."""
    for factor in _FACTORS:
        small = shrunk(image, factor)
        for chroma in (SUBSAMPLED, FULL_CHROMA) if factor == 1 else (SUBSAMPLED,):
            data = largest_within(partial(_encoded, small, chroma), _FINEST, _COARSEST, max_bytes)
            if data is not None:
                yield judge.score(opened(data)), factor
        fine = encode(small, tables_at(_FINE_ENOUGH), SUBSAMPLED)
        if len(fine) <= max_bytes:
            break


def _encoded(image: Image.Image, chroma: int, scale: float) -> bytes:
    return encode(image, tables_at(scale), chroma)
