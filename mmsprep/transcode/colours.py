"""Colours of any coding as a phone shows them: high dynamic range rolled off, wide primaries narrowed, in sRGB.

Comes in: RGB in the coding that a :class:`ColourCoding` says, as whole numbers of 8 or 16 bits. Goes out: the same in
sRGB; for ffmpeg tables (:func:`tables`) that do it to a clip, so that stills and clips come out alike. Never: a
matrix, a range or an ICC profile; decoders and :mod:`mmsprep.transcode.image.colour` see to those.

White is 203 cd/m2 in high dynamic range (ITU-R BT.2408), and comes out as white; what is brighter is rolled off towards
the peak; its hue stays, and some of its colour goes, as on film (ITU-R BT.2390, 5.4).
Of colours that sRGB does not have the nearest in each of red, green and blue is shown; all others stay what they are.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmsprep.model import ColourCoding

_Floats = NDArray[np.float32]

_WHITE_NITS = 203.0
_USUAL_PEAK_NITS = 1000.0
_MOST_NITS = 10_000.0
_KNEES = {"pq": 0.74, "hlg": 0.5}
"""Below this share of white all is as it was.

A phone's HLG has clouds and faces in the sun above white, which want room of their own; PQ's white has to look white
beside other pictures (236 of 255 where there are lights of 1000 cd/m2).
"""
_BY_ITSELF = np.float32(0.25)
"""How much of the roll-off each colour takes by itself, which bleaches; the rest goes by the brightest and keeps hues.

By itself alone skin in the sun turns white and orange yellow; with none of it lamps look painted.
"""
_STRIP_ROWS = 64
_CUBE_SIZE, _GRADE = 33, 2.4
_FIRST_STEPS, _LAST_STEPS = 4095, 16_384
_BELOW, _SPAN = 0.75, 2.5
"""What a table in a file holds is from 0 to 1: so much light is added to it, and then it is divided by so much."""
_ENCODED_STEPS = 8192
_SRGB = (0.640, 0.330, 0.300, 0.600, 0.150, 0.060, 0.3127, 0.3290)
_LUMA_2020 = np.array((0.2627, 0.6780, 0.0593), np.float32)
_BRADFORD = np.array(((0.8951, 0.2664, -0.1614), (-0.7502, 1.7135, 0.0367), (0.0389, -0.0685, 1.0296)))


def displayed(pixels: NDArray[Any], coding: ColourCoding) -> NDArray[np.uint8]:
    """RGB in rows (height, width, 3), 8 or 16 bits a number, as 8 bits of sRGB."""
    coding = _with_peak(pixels, coding)
    shown = np.empty(pixels.shape, np.uint8)
    for top in range(0, len(pixels), _STRIP_ROWS):
        strip = slice(top, top + _STRIP_ROWS)
        shown[strip] = _srgb(pixels[strip], coding) * np.float32(255) + np.float32(0.5)
    return shown


def tables(coding: ColourCoding) -> tuple[bytes, bytes, bytes]:
    """The same as three tables for one after the other, of one, three and one dimensions (Adobe's Cube LUT 1.0).

    The one in the middle turns light in steps as the eye sees them into linear light, also such as sRGB does not have,
    so that it bends little between its points; a single table would be off by 60 of 255 at the edge of what sRGB has.
    """
    grades = (np.arange(_CUBE_SIZE) / (_CUBE_SIZE - 1)) ** _GRADE
    blue, green, red = np.meshgrid(*[(grades * _most(coding)).astype(np.float32)] * 3, indexing="ij")
    middle = _srgb_light(np.stack((red, green, blue), axis=-1).reshape(-1, 3), coding)
    first = (_light(_FIRST_STEPS, coding) / _most(coding)).clip(0, 1) ** (1 / _GRADE)
    last = _encoded((np.arange(_LAST_STEPS) / (_LAST_STEPS - 1) * _SPAN - _BELOW).astype(np.float32))
    offset = ((middle + _BELOW) / _SPAN).clip(0, 1)
    return _cube("LUT_1D_SIZE", first), _cube("LUT_3D_SIZE", offset), _cube("LUT_1D_SIZE", last)


def _cube(kind: str, values: NDArray[Any]) -> bytes:
    colours = values if values.ndim == 2 else np.repeat(values[:, None], 3, axis=1)
    size = _CUBE_SIZE if kind == "LUT_3D_SIZE" else len(colours)
    return f"{kind} {size}\n".encode() + b"".join(b"%.6f %.6f %.6f\n" % (*row,) for row in colours.tolist())


def _most(coding: ColourCoding) -> float:
    """The brightest light that matters; what is above it is as white as it."""
    return (coding.peak_nits or _USUAL_PEAK_NITS) / _WHITE_NITS if coding.transfer == "pq" else 1.0


def _with_peak(pixels: NDArray[Any], coding: ColourCoding) -> ColourCoding:
    """The coding, with the peak that the pixels really have, where that is below what it could be."""
    if coding.transfer != "pq" or not pixels.size:
        return coding
    brightest = float(_pq_nits(np.array([pixels.max() / np.iinfo(pixels.dtype).max]))[0])
    return replace(coding, peak_nits=min(coding.peak_nits or _USUAL_PEAK_NITS, max(brightest, 1.0)))


def _srgb(pixels: NDArray[Any], coding: ColourCoding) -> _Floats:
    """The pixels in sRGB, from 0 to 1."""
    return _encoded(_srgb_light(_light(np.iinfo(pixels.dtype).max, coding)[pixels], coding))


def _srgb_light(light: _Floats, coding: ColourCoding) -> _Floats:
    """Light of these primaries as light of sRGB's, linear too, below 0 and above 1 where sRGB does not have it."""
    if coding.transfer == "hlg":
        scene = np.maximum(light @ _LUMA_2020, np.float32(1e-6))
        light *= (scene ** np.float32(0.2) * np.float32(_USUAL_PEAK_NITS / _WHITE_NITS))[..., None]
        light = _toned(light, _KNEES["hlg"], _USUAL_PEAK_NITS / _WHITE_NITS)
    elif coding.transfer == "pq":
        light = _toned(np.minimum(light, np.float32(_most(coding))), _KNEES["pq"], _most(coding))
    return light @ _to_srgb(coding.primaries).T.astype(np.float32) if coding.primaries else light


def _light(most: int, coding: ColourCoding) -> _Floats:
    """The light of each number up to ``most``, white at 1; of HLG that of the scene, up to 1."""
    coded = np.arange(most + 1, dtype=np.float64) / most
    if coding.transfer == "pq":
        light = _pq_nits(coded) / _WHITE_NITS
    elif coding.transfer == "hlg":
        light = np.where(coded <= 0.5, coded**2 / 3, (np.exp((coded - 0.55991073) / 0.17883277) + 0.28466892) / 12)
    elif coding.transfer == "gamma":
        light = coded**coding.gamma
    else:
        light = np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)
    return light.astype(np.float32)


def _pq_nits(coded: NDArray[np.float64]) -> NDArray[np.float64]:
    power = coded ** (1 / 78.84375)
    light = (np.maximum(power - 0.8359375, 0) / (18.8515625 - 18.6875 * power)) ** (1 / 0.1593017578125)
    nits: NDArray[np.float64] = light * _MOST_NITS
    return nits


def _toned(light: _Floats, knee: float, peak: float) -> _Floats:
    """Light up to ``peak`` in what a screen shows."""
    most = light.max(axis=-1)
    bright = most > knee
    colours, brightest = light[bright], most[bright][:, None]
    together = colours * (_rolled_off(brightest, knee, peak) / brightest)
    light[bright] = together + _BY_ITSELF * (_rolled_off(colours, knee, peak) - together)
    return light


def _rolled_off(light: _Floats, knee: float, peak: float) -> _Floats:
    """Up to ``knee`` as it is, above it by its logarithm."""
    if peak <= 1.0:
        return np.minimum(light, np.float32(1))
    bend = _bend(knee, peak)
    above = np.clip((light - knee) / (peak - knee), 0, 1)
    rolled = knee + (1 - knee) * np.log1p(bend * above) / math.log1p(bend)
    return np.where(light <= knee, light, rolled).astype(np.float32)


def _bend(knee: float, peak: float) -> float:
    """How much the logarithm bends, for it to go on from the knee as steeply as it came there."""
    wanted, low, high = (peak - knee) / (1 - knee), 1e-6, 1e6
    for _ in range(60):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if middle / math.log1p(middle) < wanted else (low, middle)
    return low


def _to_srgb(primaries: tuple[float, ...]) -> NDArray[np.float64]:
    """From linear light of these primaries to sRGB's, white to white."""
    theirs, ours = _to_xyz(primaries), _to_xyz(_SRGB)
    from_white, to_white = (_BRADFORD @ colours.sum(axis=1) for colours in (theirs, ours))
    adapted = np.linalg.inv(_BRADFORD) @ np.diag(to_white / from_white) @ _BRADFORD
    matrix: NDArray[np.float64] = np.linalg.inv(ours) @ adapted @ theirs
    return matrix


def _to_xyz(primaries: tuple[float, ...]) -> NDArray[np.float64]:
    xyz = np.array([(x / y, 1.0, (1 - x - y) / y) for x, y in zip(primaries[::2], primaries[1::2], strict=True)]).T
    return xyz[:, :3] * np.linalg.solve(xyz[:, :3], xyz[:, 3])


def _encoded(light: _Floats) -> _Floats:
    """sRGB's numbers; its curve is looked up by the square root, which has as many steps where it is steep."""
    roots = (np.arange(_ENCODED_STEPS + 1) / _ENCODED_STEPS) ** 2
    curve = np.where(roots <= 0.0031308, roots * 12.92, 1.055 * roots ** (1 / 2.4) - 0.055).astype(np.float32)
    places = np.sqrt(np.clip(light, 0, 1)) * np.float32(_ENCODED_STEPS) + np.float32(0.5)
    encoded: _Floats = curve[places.astype(np.uint16)]
    return encoded
