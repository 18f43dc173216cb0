"""Fit the fast score to SSIMULACRA2, and say how far it is off on pictures that it was not fitted on.

    python benchmarks/score_calibration.py [FOLDER ...] [--made]

Every picture is encoded at five sizes and six scales, each encode scored by both. Prints the constants for
``mmsprep/transcode/image/score.py``, the error of the fit (leave one picture out) and that of the constants in use, for
photos; the same for what mmsprep makes of them in six budgets (``--made``: for these alone), which structure and
colour tell; then how the constants in use do on drawn pictures, GIFs of few colours included.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
from photos import SAMPLES, gif_of, opened, photos_of, shrunk
from PIL import Image
from scipy.optimize import least_squares
from ssimulacra import Judge

from mmsprep.transcode.image.jpeg import FULL_CHROMA, SUBSAMPLED, encode, tables_at
from mmsprep.transcode.image.photo import PhotoSource
from mmsprep.transcode.image.score import (
    CEILING,
    OFFSET,
    PHOTO_COLOUR,
    PHOTO_STRUCTURE,
    WEIGHTS,
    Reference,
    on_scale,
    quality_of,
)
from mmsprep.transcode.image.viewing import is_graphic

_FACTORS = (1.0, 0.79, 0.5, 0.35, 0.25)
_SCALES = (0.03, 0.1, 0.25, 0.6, 1.2, 2.2)
_COLOURS = (256, 64, 32, 16, 8)
_BUDGETS = (200_000, 100_000, 60_000, 40_000, 25_000, 15_000)
_FINEST = 0.02
_FINE = 0.15
_LEAST = 1e-4
_BANDS = (0, 20, 40, 60, 80, 100)
_WORST = 0.0
"""Below this nobody sends anything; the fit need not bend for it."""

_Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Sample:
    """One encode of a picture, or what mmsprep ``made`` of it in some budget: the features of the fast score, what is
    told of it, and SSIMULACRA2."""

    name: str
    drawn: bool
    made: bool
    features: tuple[float, float, float]
    error: float
    colour_off: float
    told: float
    truth: float


def main() -> None:
    """Measure, fit, print."""
    parser = argparse.ArgumentParser(description="Fit the fast score to SSIMULACRA2.")
    parser.add_argument("folder", nargs="*", type=Path, default=[SAMPLES])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--made", action="store_true", help="only what mmsprep makes of photos")
    options = parser.parse_args()
    photos = photos_of(options.folder, fewest=2, drawn=True)
    with ProcessPoolExecutor(options.workers) as pool:
        samples = [
            sample
            for found in pool.map(partial(measure, only_made=options.made), photos, photos.values())
            for sample in found
        ]
    natural = [sample for sample in samples if not sample.drawn and not sample.made]
    if natural:
        _report("photos, left out of the fit", natural, _left_out(natural))
        print(f"by the constants in use: RMSE {_rmse(_by_gradients(natural), natural):.2f}")
        constants = _fitted(natural)
        weights = ", ".join(f"{value:.4f}" for value in constants[2:])
        print(f"fitted anew: CEILING, OFFSET = {constants[0]:.2f}, {constants[1]:.3f}; WEIGHTS = ({weights})")
        print(f"in use:      CEILING, OFFSET = {CEILING}, {OFFSET}; WEIGHTS = {WEIGHTS}\n")
    made = [sample for sample in samples if sample.made]
    if made:
        _report("photos as they are made, as told", made, _in_use(made))
        for low, high in (*pairwise(_BANDS), (_BANDS[0], _BANDS[-1])):
            band = [sample for sample in made if low <= sample.truth < high]
            if band:
                told, by_gradients = (_errors(values, band) for values in (_in_use(band), _by_gradients(band)))
                print(f"{low:4} to {high:3}, {len(band)}: {told}; by gradients alone {by_gradients}")
        print("fitted anew: PHOTO_STRUCTURE, PHOTO_COLOUR = {:.3f}, {:.3f}".format(*_fitted_told(made)))
        print(f"in use:      PHOTO_STRUCTURE, PHOTO_COLOUR = {PHOTO_STRUCTURE}, {PHOTO_COLOUR}\n")
    drawn = [sample for sample in samples if sample.drawn]
    if drawn:
        _report("drawn pictures, constants in use", drawn, _in_use(drawn))


def measure(name: str, image: Image.Image, *, only_made: bool) -> list[Sample]:
    """Every encode of one picture, scored by both."""
    drawn = is_graphic(image)
    judge, reference = Judge(image), Reference(image, in_bands=not drawn)
    samples = []
    encodes = [] if only_made else [(data, False) for data in _encodes(image, drawn)]
    for data, made in encodes if drawn else [*encodes, *((data, True) for data in _made(image))]:
        candidate = opened(data).convert("RGB")
        truth = judge.score(candidate)
        if truth >= _WORST:
            off, features = reference.off(candidate), reference.features(candidate)
            told = off.drawn_score if drawn else off.photo_score
            samples.append(Sample(name, drawn, made, features, off.structure, off.colour, told, truth))
    return samples


def _made(image: Image.Image) -> Iterator[bytes]:
    """What mmsprep makes of a photo in every budget that it can fill."""
    finest_bytes = len(encode(image, tables_at(_FINEST)))
    for budget_bytes in _BUDGETS:
        if budget_bytes < finest_bytes:
            source = PhotoSource(image, floor_quality=0)
            if source.assured_quality(budget_bytes) is None:
                source.curve()
            yield source.render(budget_bytes).data


def _encodes(image: Image.Image, drawn: bool) -> Iterator[bytes]:
    for factor in _FACTORS:
        small = shrunk(image, factor)
        for scale in _SCALES:
            whole = drawn or (factor == 1 and scale < _FINE)
            yield encode(small, tables_at(scale), FULL_CHROMA if whole else SUBSAMPLED)
    for colours in _COLOURS if drawn else ():
        yield gif_of(image, colours)


def _left_out(samples: list[Sample]) -> _Numbers:
    """Each sample as predicted by a fit that has not seen its picture."""
    predicted = np.zeros(len(samples))
    for name in {sample.name for sample in samples}:
        constants = _fitted([sample for sample in samples if sample.name != name])
        for place, sample in enumerate(samples):
            if sample.name == name:
                predicted[place] = _mapped(constants, _logarithms([sample]))[0]
    return predicted


def _in_use(samples: list[Sample]) -> _Numbers:
    return np.array([sample.told for sample in samples])


def _by_gradients(samples: list[Sample]) -> _Numbers:
    return np.array([quality_of(sample.features) for sample in samples])


def _fitted(samples: list[Sample]) -> _Numbers:
    """Ceiling, offset and weights by least squares; no weight below zero, so that no loss can raise the score."""
    rows, wanted = _logarithms(samples), np.array([sample.truth for sample in samples])
    count = rows.shape[1]
    found = least_squares(
        lambda constants: _mapped(constants, rows) - wanted,
        np.array([106, 6, *[0.15] * count]),
        bounds=([100, 0, *[0.0] * count], [130, 12, *[2.0] * count]),
    )
    return np.asarray(found.x)


def _fitted_told(samples: list[Sample]) -> _Numbers:
    """Both weights of what is told of photos, by least squares."""
    wanted = np.array([sample.truth for sample in samples])

    def off(weights: _Numbers) -> _Numbers:
        told = [on_scale(weights[0] * sample.error + weights[1] * sample.colour_off) for sample in samples]
        return np.asarray(np.array(told) - wanted)

    found = least_squares(off, (PHOTO_STRUCTURE, PHOTO_COLOUR), bounds=(0, 5))
    return np.asarray(found.x)


def _mapped(constants: _Numbers, rows: _Numbers) -> _Numbers:
    return np.asarray(constants[0] - np.exp(constants[1] + rows @ constants[2:]))


def _logarithms(samples: list[Sample]) -> _Numbers:
    return np.array([[math.log(max(value, _LEAST)) for value in sample.features] for sample in samples])


def _errors(predicted: _Numbers, samples: list[Sample]) -> str:
    too_kind = float(max(predicted - np.array([sample.truth for sample in samples])))
    return f"{_rmse(predicted, samples):.2f} off (RMSE), {too_kind:.1f} too kind at most"


def _report(title: str, samples: list[Sample], predicted: _Numbers) -> None:
    print(f"{title:40}{'encodes':>8}{'bias':>8}{'spread':>8}")
    names = np.array([sample.name for sample in samples])
    errors = predicted - np.array([sample.truth for sample in samples])
    for name in np.unique(names):
        mine = errors[names == name]
        print(f"{name[:39]:40}{len(mine):8}{mine.mean():8.1f}{mine.std():8.1f}")
    print(f"RMSE {_rmse(predicted, samples):.2f} over {len(samples)} encodes")


def _rmse(predicted: _Numbers, samples: list[Sample]) -> float:
    return float(np.sqrt(np.mean((predicted - np.array([sample.truth for sample in samples])) ** 2)))


if __name__ == "__main__":
    main()
