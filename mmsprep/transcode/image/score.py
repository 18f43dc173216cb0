"""A perceptual score fast enough to steer by, on the scale of SSIMULACRA2.

Comes in: a reference picture and a candidate. Goes out: 0..100. Never: a claim to be SSIMULACRA2; the
coefficients are fitted to it by ``benchmarks/score_calibration.py``.

Three numbers predict it best for their cost: how unevenly gradients are kept (GMSD) at half and at quarter
resolution, and how much edge is lost at half resolution. Each can only lower the score, so a candidate that
is nearer to the reference never scores less. Half resolution beats full resolution: what the eye forgives
is gone there.

Between sizes of one picture at the same bytes it errs: it does not see single points and fine grain go. What ranks
these is how far luma is off in the mean, at full size and where two, four and eight pixels are one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cached_property

import numpy as np
import numpy.typing as npt
from PIL import Image

CEILING, OFFSET = 107.35, 5.999
WEIGHTS = (0.1770, 0.2137, 0.1208)
"""Of the logarithms of: deviation at half size, deviation at quarter size, edges lost."""
_LEAST = 1e-4
"""Of a feature, so that its logarithm is one."""
_C = 170.0
"""Of squared gradients of 8 bits: GMSD's own constant (Xue et al., 2014)."""
_SMALLEST_HALVED_PX = 16
"""Pixels of the shortest side."""
_PLACE_PX, _GONE, _GONE_WEIGHT = 4, 50.0, 0.7
"""The side of a place; levels of 255 that its colour may be off, and points of SSIMULACRA2 for each level more
(``benchmarks/drawn_quality.py``)."""
_AVERAGED_PX = (1, 2, 4, 8)
_ERROR_WEIGHTS = (7.04, 8.79, 6.06, 2.30)
"""Points of SSIMULACRA2 for each unit of the logarithm of the error where so many pixels are one. Fitted to differences
between sizes of one picture, 37 photographs at 20, 40 and 100 kB; without the ninth that is judged they move by 0.3."""
_Plane = npt.NDArray[np.float32]


class Reference:
    """A picture to compare candidates with; its own gradients are computed once."""

    def __init__(self, image: Image.Image) -> None:
        self._image = image

    @cached_property
    def _gradients(self) -> tuple[_Plane, _Plane]:
        return _gradients(self._image)

    @cached_property
    def _averages(self) -> tuple[_Plane, ...]:
        return _averages(self._image)

    @cached_property
    def _places(self) -> _Plane:
        return _chroma(self._image)

    def error(self, candidate: Image.Image) -> float:
        """How far ``candidate`` is off, to rank encodes of this picture in different sizes: less is nearer."""
        squares = (float(((mine - other) ** 2).mean()) for mine, other in self._beside(candidate))
        roots = (max(_LEAST, math.sqrt(square)) for square in squares)
        return sum(weight * math.log(root) for weight, root in zip(_ERROR_WEIGHTS, roots, strict=True))

    def _beside(self, candidate: Image.Image) -> Iterator[tuple[_Plane, _Plane]]:
        return zip(self._averages, _averages(self._grown(candidate)), strict=True)

    def _grown(self, candidate: Image.Image) -> Image.Image:
        """In luma, at the reference's size."""
        candidate = candidate.convert("L")
        if candidate.size == self._image.size:
            return candidate
        return candidate.resize(self._image.size, Image.Resampling.BICUBIC)

    def features(self, candidate: Image.Image) -> tuple[float, float, float]:
        """What the score is made of, for ``candidate`` grown to the reference's size."""
        half, quarter = self._gradients
        other_half, other_quarter = _gradients(self._grown(candidate))
        lost = np.maximum(1 - (1 + other_half) / (1 + half), 0)
        return _deviation(half, other_half), _deviation(quarter, other_quarter), float(lost.mean())

    def score(self, candidate: Image.Image) -> float:
        """How near ``candidate`` is to the reference: 90 hard to tell apart, 70 high, 50 medium, 30 low."""
        return quality_of(self.features(candidate))

    def colour_lost(self, candidate: Image.Image) -> float:
        """Points to take from the score, which sees luma alone, where a colour is gone from some place."""
        if candidate.size != self._image.size:
            candidate = candidate.resize(self._image.size, Image.Resampling.BICUBIC)
        off = np.hypot(*(self._places - _chroma(candidate)))
        return _GONE_WEIGHT * max(0.0, float(off.max()) - _GONE)


def quality_of(features: tuple[float, float, float]) -> float:
    """The calibrated mapping from features to the score: it falls as any of them grows."""
    logarithms = (math.log(max(value, _LEAST)) for value in features)
    loss = math.exp(OFFSET + sum(weight * value for weight, value in zip(WEIGHTS, logarithms, strict=True)))
    return min(100.0, max(0.0, CEILING - loss))


def _deviation(mine: _Plane, other: _Plane) -> float:
    return float(((2 * mine * other + _C) / (mine * mine + other * other + _C)).std())


def _averages(image: Image.Image) -> tuple[_Plane, ...]:
    """Luma at full size, and where several pixels are one."""
    luma = image.convert("L")
    return tuple(np.asarray(luma.reduce(side) if side > 1 else luma, np.float32) for side in _AVERAGED_PX)


def _chroma(image: Image.Image) -> _Plane:
    """Both planes of chroma, four by four pixels as one."""
    small = image.convert("RGB").reduce(_PLACE_PX).convert("YCbCr")
    return np.moveaxis(np.asarray(small, np.float32)[..., 1:], -1, 0)


def _gradients(image: Image.Image) -> tuple[_Plane, _Plane]:
    """Gradients of luma at half and at quarter size."""
    luma = image.convert("L")
    half = luma.reduce(2) if min(luma.size) > _SMALLEST_HALVED_PX else luma
    quarter = half.reduce(2) if min(half.size) > _SMALLEST_HALVED_PX else half
    return _gradient(np.asarray(half, np.float32)), _gradient(np.asarray(quarter, np.float32))


def _gradient(plane: _Plane) -> _Plane:
    """Gradient magnitude by central differences."""
    across = np.zeros_like(plane)
    down = np.zeros_like(plane)
    across[:, 1:-1] = plane[:, 2:] - plane[:, :-2]
    down[1:-1] = plane[2:] - plane[:-2]
    magnitude: _Plane = (np.hypot(across, down) / 2).astype(np.float32)
    return magnitude
