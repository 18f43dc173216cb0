"""SSIMULACRA2 as PyPI's ``ssimulacra2`` computes it, the reference's share of the work done once.

Comes in: a reference picture, candidates of any size. Goes out: the score (90 hard to tell apart, 30 low). Never:
another formula; constants, weights and the final mapping are the package's. OpenCV's filters in single precision and
the kept reference make it about ten times faster, within 0.1 points of the package.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image
from ssimulacra2 import ssimulacra2 as package

_Plane = npt.NDArray[np.float32]
_SIGMA = 1.5
_BORDER_PX = round(3.2795 * _SIGMA + 0.2546)
_REACH_PX = int(3.33 * _SIGMA + 0.5)


def _kernel() -> _Plane:
    weights = np.exp(-0.5 * (np.arange(-_REACH_PX, _REACH_PX + 1) / _SIGMA) ** 2)
    return np.asarray(weights / weights.sum(), np.float32)


_KERNEL = _kernel()
_LINEAR = package.srgb_to_linear(np.arange(256.0)).astype(np.float32)
_MATRIX = package.kOpsinAbsorbanceMatrix.reshape(3, 3)
_BIAS = package.kOpsinAbsorbanceBias


class Judge:
    """Scores candidates against one reference."""

    def __init__(self, reference: Image.Image) -> None:
        self._size = reference.size
        self._scales = [
            [(plane, _blurred(plane), _blurred(plane * plane)) for plane in planes] for planes in _pyramid(reference)
        ]

    def score(self, candidate: Image.Image) -> float:
        """SSIMULACRA2 of ``candidate``, grown to the reference's size as a phone's screen would."""
        if candidate.size != self._size:
            candidate = candidate.convert("RGB").resize(self._size, Image.Resampling.BICUBIC)
        total: Any = package.Msssim()
        for known, planes in zip(self._scales, _pyramid(candidate), strict=True):
            scale: Any = package.MsssimScale()
            compared = [_compare(*one, other) for one, other in zip(known, planes, strict=True)]
            scale.avg_ssim = np.concatenate([structure for structure, _ in compared])
            scale.avg_edgediff = np.concatenate([edges for _, edges in compared])
            total.scales.append(scale)
        return float(total.score())


def _compare(mine: _Plane, mean: _Plane, square: _Plane, other: _Plane) -> tuple[list[float], list[float]]:
    """Two norms each of the structural difference, of edges that were added and of edges that were lost."""
    other_mean = _blurred(other)
    squares = square + _blurred(other * other) - mean * mean - other_mean * other_mean
    shared = 2 * (_blurred(mine * other) - mean * other_mean) + np.float32(package.kC2)
    apart = mean - other_mean
    structure = np.maximum(1 - (1 - apart * apart) * shared / (squares + np.float32(package.kC2)), 0)
    edges = (1 + np.abs(other - other_mean)) / (1 + np.abs(mine - mean)) - 1
    return _norms(structure), [*_norms(np.maximum(edges, 0)), *_norms(np.maximum(-edges, 0))]


def _norms(plane: _Plane) -> list[float]:
    square = plane * plane
    return [cv2.mean(plane)[0], cv2.mean(square * square)[0] ** 0.25]


def _pyramid(image: Image.Image) -> Iterator[list[_Plane]]:
    """X, Y and B at each scale; rows and columns are exchanged, as the package exchanges them."""
    linear = [np.ascontiguousarray(plane) for plane in _LINEAR[np.asarray(image.convert("RGB"))].transpose(2, 1, 0)]
    for scale in range(package.kNumScales):
        if scale:
            linear = [_halved(plane) for plane in linear]
        if min(linear[0].shape) < 8:
            return
        yield _xyb(linear)


def _halved(plane: _Plane) -> _Plane:
    """Means of two by two; at an odd edge, of what there is."""
    height, width = plane.shape
    even: Any = cv2.copyMakeBorder(plane, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
    halved: _Plane = (even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2]) * np.float32(0.25)
    return halved


def _xyb(linear: list[_Plane]) -> list[_Plane]:
    roots: list[Any] = []
    for row, bias in zip(_MATRIX.astype(np.float32), _BIAS.astype(np.float32), strict=True):
        mixed = linear[0] * row[0] + linear[1] * row[1] + linear[2] * row[2] + bias
        roots.append(cv2.pow(np.maximum(mixed, 0), 1 / 3) - np.cbrt(bias))
    x, y, b = (roots[0] - roots[1]) / 2, (roots[0] + roots[1]) / 2, roots[2]
    return [x * 14 + np.float32(0.42), y + np.float32(0.01), b - y + np.float32(0.55)]


def _blurred(plane: _Plane) -> _Plane:
    padded = cv2.copyMakeBorder(plane, _BORDER_PX, _BORDER_PX, 0, 0, cv2.BORDER_CONSTANT)
    soft: Any = cv2.sepFilter2D(padded, -1, _KERNEL, _KERNEL, borderType=cv2.BORDER_REFLECT)
    blurred: _Plane = np.ascontiguousarray(soft[_BORDER_PX:-_BORDER_PX])
    return blurred
