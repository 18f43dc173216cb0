"""Colours of any coding as a phone shows them: high dynamic range rolled off, wide primaries narrowed, in sRGB.

Comes in: RGB in the coding that a :class:`ColourCoding` says, as whole numbers of 8 or 16 bits. Goes out: the same in
sRGB; for ffmpeg a table (:func:`cube`) that does it to a clip, so that stills and clips come out alike. Never: a
matrix, a range or an ICC profile; decoders and :mod:`mmsprep.transcode.image.colour` see to those.

White is 203 cd/m2 in high dynamic range (ITU-R BT.2408), and comes out as white; what is brighter is rolled off towards
the peak, each colour by itself, so that lights lose their colour as they do on film (ITU-R BT.2390, 5.4).
Colours that sRGB does not have lose saturation until it has them; all others stay what they are.
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
_STRIP_ROWS = 64
_CUBE_SIZE = 33
_ENCODED_STEPS = 8192
_SRGB = (0.640, 0.330, 0.300, 0.600, 0.150, 0.060, 0.3127, 0.3290)
_LUMA = (0.2126, 0.7152, 0.0722)
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


def cube(coding: ColourCoding) -> bytes:
    """The same as a table of three dimensions, in the format of Adobe's Cube LUT specification 1.0."""
    steps = np.linspace(0, 65535, _CUBE_SIZE).round().astype(np.uint16)
    blue, green, red = np.meshgrid(steps, steps, steps, indexing="ij")
    shown = _srgb(np.stack((red, green, blue), axis=-1).reshape(-1, 1, 3), coding).reshape(-1, 3)
    rows = "\n".join(f"{red:.5f} {green:.5f} {blue:.5f}" for red, green, blue in shown.tolist())
    return f"LUT_3D_SIZE {_CUBE_SIZE}\n{rows}\n".encode()


def _with_peak(pixels: NDArray[Any], coding: ColourCoding) -> ColourCoding:
    """The coding, with the peak that the pixels really have, where that is below what it could be."""
    if coding.transfer != "pq" or not pixels.size:
        return coding
    brightest = float(_pq_nits(np.array([pixels.max() / np.iinfo(pixels.dtype).max]))[0])
    return replace(coding, peak_nits=min(coding.peak_nits or _USUAL_PEAK_NITS, max(brightest, 1.0)))


def _srgb(pixels: NDArray[Any], coding: ColourCoding) -> _Floats:
    """The pixels in sRGB, from 0 to 1."""
    light = _light(np.iinfo(pixels.dtype).max, coding)[pixels]
    if coding.transfer == "hlg":
        scene = np.maximum(light @ _LUMA_2020, np.float32(1e-6))
        light *= (scene ** np.float32(0.2) * np.float32(_USUAL_PEAK_NITS / _WHITE_NITS))[..., None]
        light = _rolled_off(light, _KNEES["hlg"], _USUAL_PEAK_NITS / _WHITE_NITS)
    if coding.primaries:
        light = _narrowed(light @ _to_srgb(coding.primaries).T.astype(np.float32))
    return _encoded(light)


def _light(most: int, coding: ColourCoding) -> _Floats:
    """The light of each number up to ``most``, white at 1: PQ's rolled off, of HLG that of the scene, up to 1."""
    coded = np.arange(most + 1, dtype=np.float64) / most
    if coding.transfer == "pq":
        light = _rolled_off(
            _pq_nits(coded) / _WHITE_NITS, _KNEES["pq"], (coding.peak_nits or _USUAL_PEAK_NITS) / _WHITE_NITS
        )
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


def _rolled_off(light: NDArray[Any], knee: float, peak: float) -> NDArray[Any]:
    """Light up to ``peak`` in what a screen shows: up to ``knee`` as it is, above it by its logarithm."""
    if peak <= 1.0:
        return light.clip(max=1)
    bend = _bend(knee, peak)
    bright = light > knee
    above = np.minimum((light[bright] - knee) / (peak - knee), 1)
    light[bright] = knee + (1 - knee) * np.log1p(bend * above) / math.log1p(bend)
    return light


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


def _narrowed(light: _Floats) -> _Floats:
    """What is outside of sRGB mixed with a grey of the same brightness, as little as will do."""
    outside = (light.min(axis=-1) < 0) | (light.max(axis=-1) > 1)
    bad = light[outside]
    grey = np.clip(bad @ np.array(_LUMA, np.float32), 0, 1)[..., None]
    away = bad - grey
    with np.errstate(divide="ignore", invalid="ignore"):
        room = np.where(away > 0, (1 - grey) / away, np.where(away < 0, grey / -away, np.inf))
    share = np.clip(np.nan_to_num(room.min(axis=-1, keepdims=True), nan=0.0, posinf=1.0), 0, 1)
    light[outside] = grey + away * share
    return light


def _encoded(light: _Floats) -> _Floats:
    """sRGB's numbers; its curve is looked up by the square root, which has as many steps where it is steep."""
    roots = (np.arange(_ENCODED_STEPS + 1) / _ENCODED_STEPS) ** 2
    curve = np.where(roots <= 0.0031308, roots * 12.92, 1.055 * roots ** (1 / 2.4) - 0.055).astype(np.float32)
    places = np.sqrt(np.clip(light, 0, 1)) * np.float32(_ENCODED_STEPS) + np.float32(0.5)
    encoded: _Floats = curve[places.astype(np.uint16)]
    return encoded
