"""A perceptual score fast enough to steer by, on the scale of SSIMULACRA2.

Comes in: a reference picture and a candidate. Goes out: 0..100. Never: a claim to be SSIMULACRA2; the
coefficients are fitted to it by ``benchmarks/score_calibration.py``.

Three numbers predict it best for their cost: how unevenly gradients are kept (GMSD) at half and at quarter
resolution, and how much edge is lost at half resolution. Each can only lower the score, so a candidate that
is nearer to the reference never scores less. Half resolution beats full resolution: what the eye forgives
is gone there.

Between sizes of one picture at the same bytes it errs: it does not see single points and fine grain go. What ranks
these is the part of SSIMULACRA2 that weighs most where bytes are few, with its own weights: how unlike the structure of
luma is (SSIM) at five sizes, each half the one before, in the mean and where it is worst; and how far colours are off.
Both are the score of a drawing, too, and what is told of a photograph.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageChops

from mmsprep.tools.once import once

CEILING, OFFSET = 107.35, 5.999
WEIGHTS = (0.1770, 0.2137, 0.1208)
"""Of the logarithms of: deviation at half size, deviation at quarter size, edges lost."""
_LEAST = 1e-4
"""Of a feature, so that its logarithm is one."""
_C = 170.0
"""Of squared gradients of 8 bits: GMSD's own constant (Xue et al., 2014)."""
_SMALLEST_HALVED_PX = 16
"""Pixels of the shortest side."""
_PLACE_PX = 4
"""The side of a place whose colour may be off."""
_DRAWN_STRUCTURE, _DRAWN_COLOUR = 1.137, 0.374
"""Of a drawing: its error, and levels that colour is off in a place (4-norm). Fitted to SSIMULACRA2 of 15 screens
of a terminal and pages of lettering; on 14 scans, charts and pages that it was not fitted on it errs by 4.6."""
PHOTO_STRUCTURE, PHOTO_COLOUR = 1.071, 0.220
"""Of a photograph: the same. Fitted to SSIMULACRA2 of what is made of Kodak's 24 photographs and of 70 by as many
cameras in 15 to 200 kB; on 67 by other cameras and 57 wallpapers they err by 1.5 (RMSE) and are at most 7.7 too kind,
gradients alone by 4.0 and 30."""
_COLOUR = 0.3
"""How much the root of the levels that colour is off counts beside structure, to rank encodes of a photograph. Fitted
to which of whole and subsampled chroma SSIMULACRA2 finds nearer, of Kodak's 24 photographs and 69 by as many cameras.
Of 125 others what is nearest by it is 0.02 points short of the better one (by structure alone 0.2 and 0.1), and of six
sizes of 60 in 20 and 40 kB 0.07 short of the best, 1.3 at worst (by structure alone 0.15 and 3.5)."""
_POINTS, _POINTS_POWER = (2.225, -0.01910, 5.464e-05), 0.6276
"""SSIMULACRA2's cubic of a loss, and the power of that, tenfold, which it takes off 100."""
_MEAN_UNLIKE, _WORST_UNLIKE = (0.0, 0.0, 225.2, 176.4, 0.0), (7.467, 6.684, 19.21, 24.43, 34.78)
"""SSIMULACRA2's weights of structure in luma that is unlike, from full size to a sixteenth of it: of its mean, and of
its 4-norm."""
_SEEN_CONSTANT, _SEEN_BIAS, _LIGHT = 0.0009, np.float32(0.0037930733), (0.265, 0.657, 0.078)
"""SSIMULACRA2's constant of SSIM, what it adds to light before the cube root that makes luma of it, and what red, green
and blue are of light."""
_STEPS = (3, 2, 1, 1, 1)
_BAND_ROWS, _BAND, _FEWEST_BANDS = 64, slice(24, 40), 2
"""At full size and at halves of it, one pixel of so many each way is looked at, of a photograph at full size only in a
band of each so many rows, where both sides have so many: as much as all of them tell (measured on what is made of 63
photographs in 15 to 300 kB: an error of 1.4 for 1.4). One line of lettering on a page can lie between the bands."""
_SHARP_COLOUR, _ENOUGH_SHARP = 8, 50_000
"""Levels of 255 that chroma changes by at half its size: where it is no more, luma hardly changes. Of the pixels where
it does, so many tell of all; none of 220 photographs has twice as many, noise has."""
_WINDOW = np.exp(-(np.arange(-3, 4) ** 2) / 4.5).astype(np.float32)
_WINDOW /= _WINDOW.sum()
"""A Gaussian of 1.5 pixels, as SSIMULACRA2 has it."""
_Plane = npt.NDArray[np.float32]


class _Structure:
    """A plane with its surroundings, and what SSIM needs of it around each pixel, or one of every ``step`` each way:
    the mean and the variance."""

    def __init__(self, plane: _Plane, step: int) -> None:
        self._plane, self._step = plane, step
        self._mean = _around(plane, step)
        self._variance = _around(plane * plane, step) - self._mean * self._mean

    def unlike(self, other: _Plane) -> _Plane:
        """How unlike ``other`` is in structure around each pixel: 0 where it is the same, 1 where nothing is."""
        # 1 less what is shared of all there is; as the difference itself, nothing is lost by rounding.
        off = other - self._plane
        mean_off = _around(off, self._step)
        mean = self._mean + mean_off
        all_there_is = self._variance + _around(other * other, self._step) - mean * mean + _SEEN_CONSTANT
        unlike: _Plane = np.maximum((_around(off * off, self._step) - mean_off * mean_off) / all_there_is, 0)
        return unlike


@dataclass(frozen=True, slots=True)
class Off:
    """How far a candidate is off its reference in structure and, in levels of 255, in colour; less is nearer."""

    structure: float
    colour: float

    @property
    def distance(self) -> float:
        """To rank encodes of one photograph."""
        return self.structure + _COLOUR * math.sqrt(self.colour)

    @property
    def photo_score(self) -> float:
        """How near it is to a reference that is a photograph, on the scale of :meth:`Reference.score`: what is told.

        It takes four times as long as that, and sees what it does not: single points, fine grain, colours that are
        off, and what their edges do to light.
        """
        return on_scale(PHOTO_STRUCTURE * self.structure + PHOTO_COLOUR * self.colour)

    @property
    def drawn_score(self) -> float:
        """How near it is to a reference that is drawn, likewise."""
        return on_scale(_DRAWN_STRUCTURE * self.structure + _DRAWN_COLOUR * self.colour)


class Reference:
    """A picture to compare candidates with; what is needed of itself is computed once.

    ``in_bands`` takes two thirds of the time for structure, and is for photographs, which have some of it everywhere.
    """

    def __init__(self, image: Image.Image, *, in_bands: bool = False) -> None:
        self._image = image
        self._in_bands = in_bands

    @once
    def _gradients(self) -> tuple[_Plane, _Plane]:
        return _gradients(self._image)

    @once
    def _seen(self) -> tuple[_Structure, ...]:
        planes = _seen(self._image, in_bands=self._in_bands)
        return tuple(_Structure(plane, step) for plane, step in zip(planes, _STEPS, strict=True))

    @once
    def _places(self) -> _Plane:
        return _chroma(self._image)

    def off(self, candidate: Image.Image) -> Off:
        """How far ``candidate`` is off in structure and colour, for all that is told by these."""
        candidate = self._grown(candidate, "RGB")
        return Off(self.error(candidate), self.colour_off(candidate))

    def error(self, candidate: Image.Image) -> float:
        """How far the structure of ``candidate`` is off: less is nearer."""
        candidate = self._grown(candidate, "RGB")
        error = 0.0
        weights = zip(_MEAN_UNLIKE, _WORST_UNLIKE, strict=True)
        planes = _seen(candidate, in_bands=self._in_bands)
        for mine, other, (of_mean, of_worst) in zip(self._seen, planes, weights, strict=True):
            unlike = mine.unlike(other)
            error += of_mean * float(unlike.mean()) + of_worst * _fourth_norm(unlike)
        return error

    def _grown(self, candidate: Image.Image, mode: str) -> Image.Image:
        """In a mode, at the reference's size."""
        candidate = _in_mode(candidate, mode)
        if candidate.size == self._image.size:
            return candidate
        return candidate.resize(self._image.size, Image.Resampling.BICUBIC)

    def features(self, candidate: Image.Image) -> tuple[float, float, float]:
        """What the score is made of, for ``candidate`` grown to the reference's size."""
        half, quarter = self._gradients
        other_half, other_quarter = _gradients(self._grown(candidate, "L"))
        lost = np.maximum(1 - (1 + other_half) / (1 + half), 0)
        return _deviation(half, other_half), _deviation(quarter, other_quarter), float(lost.mean())

    def score(self, candidate: Image.Image) -> float:
        """How near ``candidate`` is to the reference: 90 hard to tell apart, 70 high, 50 medium, 30 low."""
        return quality_of(self.features(candidate))

    def drawn_score(self, candidate: Image.Image) -> float:
        """How near a candidate is to a reference that is drawn, on the scale of :meth:`score`.

        Gradients tell too little of lettering in few colours, which has every stroke and none of its soft edges.
        """
        return self.off(candidate).drawn_score

    def colour_off(self, candidate: Image.Image) -> float:
        """How many levels of 255 chroma is off in places of ``candidate`` (4-norm)."""
        off = self._places - _chroma(self._grown(candidate, "RGB"))
        return math.sqrt(math.sqrt(float(np.mean(np.square(np.square(off).sum(axis=0))))))


def on_scale(loss: float) -> float:
    """A loss as SSIMULACRA2 weighs it, on its scale; nothing is below 0."""
    points = sum(factor * loss**power for power, factor in enumerate(_POINTS, start=1))
    return max(0.0, 100 - 10 * math.pow(max(0.0, points), _POINTS_POWER))


def quality_of(features: tuple[float, float, float]) -> float:
    """The calibrated mapping from features to the score: it falls as any of them grows."""
    logarithms = (math.log(max(value, _LEAST)) for value in features)
    loss = math.exp(OFFSET + sum(weight * value for weight, value in zip(WEIGHTS, logarithms, strict=True)))
    return min(100.0, max(0.0, CEILING - loss))


def _deviation(mine: _Plane, other: _Plane) -> float:
    return float(((2 * mine * other + _C) / (mine * mine + other * other + _C)).std())


def _smaller(image: Image.Image) -> tuple[_Plane, _Plane]:
    """Luma at half and at quarter size, as far as there are pixels."""
    luma = image.convert("L")
    half = luma.reduce(2) if min(luma.size) > _SMALLEST_HALVED_PX else luma
    quarter = half.reduce(2) if min(half.size) > _SMALLEST_HALVED_PX else half
    return np.asarray(half, np.float32), np.asarray(quarter, np.float32)


def _fourth_norm(plane: _Plane) -> float:
    squares = plane * plane
    return math.sqrt(math.sqrt(float(np.mean(squares * squares))))


def _around(plane: _Plane, step: int) -> _Plane:
    """The weighted mean of each pixel that has all its surroundings, or one of every ``step`` each way, with these."""
    reach = len(_WINDOW) // 2
    rows, columns = plane.shape[-2] - 2 * reach, plane.shape[-1] - 2 * reach
    down = plane[..., reach : reach + rows : step, :] * _WINDOW[reach]
    for near, far in zip(range(reach), range(2 * reach, reach, -1), strict=True):
        down += (plane[..., near : near + rows : step, :] + plane[..., far : far + rows : step, :]) * _WINDOW[near]
    around: _Plane = down[..., reach : reach + columns : step] * _WINDOW[reach]
    for near, far in zip(range(reach), range(2 * reach, reach, -1), strict=True):
        around += (down[..., near : near + columns : step] + down[..., far : far + columns : step]) * _WINDOW[near]
    return around


def _in_mode(image: Image.Image, mode: str) -> Image.Image:
    return image if image.mode == mode else image.convert(mode)


def _seen(image: Image.Image, *, in_bands: bool) -> Iterator[_Plane]:
    """Luma as SSIMULACRA2 sees it, with what surrounds it, at full size and at halves of it: the cube root of the light
    that there is."""
    levels = np.asarray(_in_mode(image, "RGB"))
    full, light = _lights_in_bands(levels) if in_bands else _lights(levels)
    yield np.cbrt(full + _SEEN_BIAS)
    for scale in range(1, len(_STEPS)):
        if scale > 1:
            light = _halved(light)
        yield np.cbrt(_surrounded(light) + _SEEN_BIAS)


def _lights(levels: npt.NDArray[np.uint8]) -> tuple[_Plane, _Plane]:
    """Light at full size, with what surrounds it, and at half size."""
    light = _light(levels)
    return _surrounded(light), _halved(light)


def _lights_in_bands(levels: npt.NDArray[np.uint8]) -> tuple[_Plane, _Plane]:
    """Light in the bands of full size, and all of it at half size."""
    if min(levels.shape[:2]) < _FEWEST_BANDS * _BAND_ROWS:
        return _lights(levels)
    bands, halves = [], []
    # So many rows at a time stay in a processor's cache.
    for top in range(0, len(levels), _BAND_ROWS):
        light = _light(levels[top : top + _BAND_ROWS])
        if len(light) == _BAND_ROWS:
            bands.append(light[_BAND].copy())
        halves.append(_halved(light))
    return np.stack(bands), np.concatenate(halves)


def _surrounded(plane: _Plane) -> _Plane:
    """At its edges by what is there again."""
    return np.pad(plane, len(_WINDOW) // 2, mode="edge")


def lost_to_subsampling(planes: Sequence[Image.Image]) -> float:
    """How much luma (as seen, 0..1; 4-norm) changes in a picture, given as YCbCr planes, with chroma at half its size.

    Luma is kept as it is, but what is shown is red, green and blue: where colour has sharp edges, these are cut off at
    black and white, and the same luma of less colour is another light.
    """
    luma, *chroma = planes
    coarse = [plane.reduce(2).resize(plane.size, Image.Resampling.BILINEAR) for plane in chroma]
    off = [ImageChops.difference(plane, other) for plane, other in zip(chroma, coarse, strict=True)]
    sharp = np.flatnonzero(np.asarray(ImageChops.lighter(*off)) > _SHARP_COLOUR)
    some = sharp[:: max(1, len(sharp) // _ENOUGH_SHARP)]
    if not len(some):
        return 0.0
    whole, half = (_luma_of(luma, colours, some) for colours in (chroma, coarse))
    of_all = len(sharp) / math.prod(luma.size)
    return _fourth_norm(whole - half) * math.pow(of_all, 0.25)


def _luma_of(luma: Image.Image, chroma: Sequence[Image.Image], places: npt.NDArray[np.intp]) -> _Plane:
    """As SSIMULACRA2 sees it, of the pixels at so many places."""
    pixels = np.stack([np.asarray(plane).ravel()[places] for plane in (luma, *chroma)], axis=-1)
    shown = Image.fromarray(pixels[np.newaxis], "YCbCr").convert("RGB")
    seen: _Plane = np.cbrt(_light(np.asarray(shown)) + _SEEN_BIAS)
    return seen


def _light(levels: npt.NDArray[np.uint8]) -> _Plane:
    """Of red, green and blue."""
    # No level is out of reach: told so, it takes half the time.
    red, green, blue = (shares.take(levels[..., at], mode="clip") for at, shares in enumerate(_light_shares()))
    red += green
    red += blue
    light: _Plane = red
    return light


@lru_cache(maxsize=1)
def _light_shares() -> _Plane:
    """Of each level (0..255) of red, green and blue: how much it adds to light (IEC 61966-2-1, weighted as in XYB)."""
    levels = np.arange(256) / 255
    linear = np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)
    return np.outer(_LIGHT, linear).astype(np.float32)


def _halved(plane: _Plane) -> _Plane:
    """Means of two by two; at an odd edge, of what there is."""
    height, width = plane.shape
    if height % 2 or width % 2:
        plane = np.pad(plane, ((0, height % 2), (0, width % 2)), mode="edge")
    rows = plane[::2] + plane[1::2]
    halved: _Plane = (rows[:, ::2] + rows[:, 1::2]) * np.float32(0.25)
    return halved


def _chroma(image: Image.Image) -> _Plane:
    """Both planes of chroma, four by four pixels as one."""
    small = _in_mode(image, "RGB").reduce(_PLACE_PX).convert("YCbCr")
    return np.moveaxis(np.asarray(small, np.float32)[..., 1:], -1, 0)


def _gradients(image: Image.Image) -> tuple[_Plane, _Plane]:
    """Gradients of luma at half and at quarter size."""
    half, quarter = _smaller(image)
    return _gradient(half), _gradient(quarter)


def _gradient(plane: _Plane) -> _Plane:
    """Gradient magnitude by central differences."""
    across = np.zeros_like(plane)
    down = np.zeros_like(plane)
    across[:, 1:-1] = plane[:, 2:] - plane[:, :-2]
    down[1:-1] = plane[2:] - plane[:-2]
    across *= across
    down *= down
    across += down
    magnitude: _Plane = np.sqrt(across) * np.float32(0.5)
    return magnitude
