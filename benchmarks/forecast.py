"""What a photograph is foretold to be worth against what it is, in 6 to 180 kB, and the forecast's constants anew.

    python benchmarks/forecast.py FOLDER ... [--fit FOLDER ...]

Every photograph is rendered for nine budgets; the forecast of each render's bytes stands beside its measured quality.
Prints how far it is off a budget and a band of quality, of FOLDER; with ``--fit`` also the constants for
``mmsprep/transcode/image/rate_model.py`` as those folders would have them, and how far these are off on FOLDER.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from photos import photos_of

from mmsprep.transcode.image.photo import PhotoSource
from mmsprep.transcode.image.score import CEILING

_BUDGETS_BYTES = (6_000, 9_000, 13_000, 19_000, 28_000, 41_000, 60_000, 100_000, 180_000)
_BANDS = (3, 20, 40, 60, 80, 95)
_FEWER, _LEAST_QUALITY = 0.1, 3
"""The constants are fitted to renders of so much less of the logarithm of the probe's bytes, and of such a quality."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One render: ``fewer`` of the logarithm of the probe's bytes, and how much halving adds to that of the loss."""

    budget_bytes: int
    quality: float
    foretold: float
    full_quality: float
    fewer: float
    halved: float
    power: float

    @property
    def features(self) -> list[float]:
        """What the logarithm of the loss, against the probe's, is made of."""
        return [-1.0, self.fewer, self.fewer * self.halved / self.power, -(self.fewer**2) * self.halved]


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description="The forecast of photographs against their renders.")
    parser.add_argument("folder", nargs="+", type=Path)
    parser.add_argument("--fit", nargs="+", type=Path, default=[])
    options = parser.parse_args()
    samples = measured(options.folder)
    print(f"{len(samples) // len(_BUDGETS_BYTES)} photographs{'off: mean':>24}{'RMSE':>8}{'most':>8}")
    for budget_bytes in _BUDGETS_BYTES:
        tell(f"in {budget_bytes:,} bytes", [one for one in samples if one.budget_bytes == budget_bytes])
    for low, high in pairwise(_BANDS):
        tell(f"of quality {low} to {high}", [one for one in samples if low <= one.quality < high])
    if options.fit:
        constants = fitted(measured(options.fit))
        print("_BY_RENDERING, _LOST, _LOST_AS_HALVED, _LEVELS_OUT =", ", ".join(f"{one:.3f}" for one in constants))
        coarse = [one for one in samples if one.fewer > _FEWER and one.quality > _LEAST_QUALITY]
        tell("below the probe's bytes", coarse)
        tell("with these constants", coarse, lambda one: told(one, constants))


def measured(folders: Sequence[Path]) -> list[Sample]:
    """Nine renders of each photograph."""
    samples: list[Sample] = []
    for image in photos_of(folders).values():
        for budget_bytes in _BUDGETS_BYTES:
            source = PhotoSource(image, floor_quality=0)
            curve, model = source.curve(), source.model
            made = source.render(budget_bytes)
            samples.append(
                Sample(
                    budget_bytes=budget_bytes,
                    quality=made.quality,
                    foretold=curve.quality_at(made.size_bytes),
                    full_quality=model.full_quality,
                    fewer=math.log(model.full_bytes / made.size_bytes),
                    halved=max(0.0, math.log((CEILING - model.half_quality) / (CEILING - model.full_quality))),
                    power=model.power,
                )
            )
    return samples


def fitted(samples: Sequence[Sample]) -> list[float]:
    """The constants with the least squares of what the forecast is off."""
    used = [one for one in samples if one.fewer > _FEWER and one.quality > _LEAST_QUALITY]
    loss = np.array([math.log((CEILING - one.quality) / (CEILING - one.full_quality)) for one in used])
    weight = np.array([CEILING - one.quality for one in used])
    constants, *_ = np.linalg.lstsq(np.array([one.features for one in used]) * weight[:, None], loss * weight)
    return [float(one) for one in constants]


def told(sample: Sample, constants: Sequence[float]) -> float:
    """The quality that ``constants`` foretell."""
    return CEILING - (CEILING - sample.full_quality) * math.exp(float(np.dot(sample.features, constants)))


def tell(name: str, samples: Sequence[Sample], of: Callable[[Sample], float] = lambda one: one.foretold) -> None:
    """A line of how far forecasts are off."""
    off = np.array([of(one) - one.quality for one in samples])
    if len(off):
        root = math.sqrt(float(np.mean(off**2)))
        print(f"{name:<26}{len(off):>5}{off.mean():>10.1f}{root:>8.1f}{np.abs(off).max():>8.1f}")


if __name__ == "__main__":
    main()
