"""A perceptual score fast enough to steer by, on the scale of SSIMULACRA2.

Comes in: a reference picture and a candidate. Goes out: 0..100. Never: a claim to be SSIMULACRA2; the
coefficients are fitted to it by ``benchmarks/score_calibration.py``.

Gradient similarity (GMSD) on luma at half resolution predicts best for its cost; the chroma error adds what
luma cannot see.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
import numpy.typing as npt
from PIL import Image

COEFFICIENTS = (-134.98, -91.75, -9.446, -1.631)
_C = 170.0
_Plane = npt.NDArray[np.float32]


class Reference:
    """A picture to compare candidates with; its own gradients are computed once."""

    def __init__(self, image: Image.Image) -> None:
        self._image = image

    @cached_property
    def _half(self) -> tuple[_Plane, _Plane]:
        return _planes(self._image)

    @cached_property
    def _gradient(self) -> _Plane:
        return _gradient(self._half[0])

    def features(self, candidate: Image.Image) -> tuple[float, float]:
        """Gradient similarity deviation and chroma error of ``candidate``, grown to the reference's size."""
        if candidate.size != self._image.size:
            candidate = candidate.resize(self._image.size, Image.Resampling.BICUBIC)
        luma, chroma = _planes(candidate)
        mine, other = self._gradient, _gradient(luma)
        similarity = (2 * mine * other + _C) / (mine * mine + other * other + _C)
        return float(similarity.std()), float(np.abs(self._half[1] - chroma).mean())

    def score(self, candidate: Image.Image) -> float:
        """How near ``candidate`` is to the reference: 90 hard to tell apart, 70 high, 50 medium, 30 low."""
        return quality_of(*self.features(candidate))


def quality_of(deviation: float, chroma_error: float) -> float:
    """The calibrated mapping from features to the score."""
    log_deviation = float(np.log(deviation + 1e-3))
    one, linear, square, chroma = COEFFICIENTS
    value = one + linear * log_deviation + square * log_deviation**2 + chroma * chroma_error
    return min(100.0, max(0.0, value))


def _planes(image: Image.Image) -> tuple[_Plane, _Plane]:
    """Luma at half size, and both chroma planes at a quarter."""
    wide = image.convert("YCbCr")
    half = wide.reduce(2) if min(wide.size) > 16 else wide
    luma, *chroma = half.split()
    coarse = [plane.reduce(2) if min(plane.size) > 16 else plane for plane in chroma]
    return np.asarray(luma, np.float32), np.stack([np.asarray(plane, np.float32) for plane in coarse])


def _gradient(plane: _Plane) -> _Plane:
    """Gradient magnitude by central differences."""
    across = np.zeros_like(plane)
    down = np.zeros_like(plane)
    across[:, 1:-1] = plane[:, 2:] - plane[:, :-2]
    down[1:-1] = plane[2:] - plane[:-2]
    magnitude: _Plane = np.sqrt(across * across + down * down)
    return magnitude
