"""Six photos in 290 kB: is the worst one near the best possible worst, the mean near the best possible mean?

    python benchmarks/image_set.py [FOLDER ...] [--sets N] [--seed S]

Every picture of the folders gets a table of what bytes buy at best (exhaustive search over sizes and quantisation,
real encodes, SSIMULACRA2). From the tables follow the best possible worst picture and the best possible mean of a
set. mmsprep divides and encodes the same sets; so do equal shares and shares by source size, each picture at its
best. Targets: worst >= 0.85 of the best possible worst, mean within 1.5 of the best possible mean.
"""

from __future__ import annotations

import argparse
import random
import statistics
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from pathlib import Path

import numpy as np
import numpy.typing as npt
from exhaustive import best_within
from photos import SAMPLES, opened, photos_of
from PIL import Image
from ssimulacra import Judge

from mmsprep.model import Rendition
from mmsprep.pipeline.asking import Candidate, Shortfall
from mmsprep.pipeline.fit import divide, fit
from mmsprep.transcode.image.photo import PhotoSource

BUDGET_BYTES = 290_000
_TOGETHER = 6
_SIZES_BYTES = (5_000, 8_000, 13_000, 20_000, 32_000, 50_000, 80_000, 125_000, 200_000, 270_000)
_UNIT_BYTES = 1_000


@dataclass(frozen=True, slots=True)
class Scores:
    """One set: each picture's score under each division, and what the best possible division reaches."""

    names: tuple[str, ...]
    ours: list[float]
    equal: list[float]
    best_worst: float
    best_mean: float
    used: float
    trials: list[int]


def main() -> None:
    """Measure, print a line a set and the summary."""
    parser = argparse.ArgumentParser(description="Sets of six photos in 290 kB.")
    parser.add_argument("folder", nargs="*", type=Path, default=[SAMPLES])
    parser.add_argument("--sets", type=int, default=12)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    photos = photos_of(options.folder, fewest=2)
    every = list(combinations(sorted(photos), min(_TOGETHER, len(photos))))
    chosen = random.Random(options.seed).sample(every, min(options.sets, len(every)))
    judges = {name: Judge(image) for name, image in photos.items()}
    with ProcessPoolExecutor(options.workers) as pool:
        tables = dict(zip(photos, pool.map(worth, photos.values()), strict=True))
    print(f"{'worst: ours':>12}{'best':>7}{'ratio':>7}{'mean: ours':>12}{'best':>7}{'short':>7}{'used':>8}   set")
    results = []
    for names in chosen:
        scores = measure(names, photos, judges, tables)
        results.append(scores)
        mean = statistics.fmean(scores.ours)
        print(
            f"{min(scores.ours):12.1f}{scores.best_worst:7.1f}{min(scores.ours) / scores.best_worst:7.2f}"
            f"{mean:12.1f}{scores.best_mean:7.1f}{scores.best_mean - mean:7.1f}{scores.used:8.2%}   {', '.join(names)}",
            flush=True,
        )
    _summarise(results)


def worth(image: Image.Image) -> npt.NDArray[np.float64]:
    """The best score for every whole number of units up to the budget, between real encodes by log(size)."""
    judge = Judge(image)
    points = [(size, score) for size in _SIZES_BYTES if (score := best_within(image, judge, size)) is not None]
    sizes, scores = zip(*points, strict=True)
    units = np.arange(1, BUDGET_BYTES // _UNIT_BYTES + 1) * _UNIT_BYTES
    table = np.interp(np.log(units), np.log(sizes), np.maximum.accumulate(scores))
    return np.where(units < sizes[0], -100.0, table)


def measure(
    names: tuple[str, ...],
    photos: dict[str, Image.Image],
    judges: dict[str, Judge],
    tables: dict[str, npt.NDArray[np.float64]],
) -> Scores:
    """Divide and encode one set as mmsprep does, and score it beside what is possible."""
    sources = [PhotoSource(photos[name], floor_quality=0) for name in names]
    renditions = divided(sources, BUDGET_BYTES)
    rows = [tables[name] for name in names]
    return Scores(
        names=names,
        ours=[judges[name].score(opened(one.data)) for name, one in zip(names, renditions, strict=True)],
        equal=[float(row[BUDGET_BYTES // len(names) // _UNIT_BYTES - 1]) for row in rows],
        best_worst=best_possible_worst(rows),
        best_mean=best_possible_mean(rows),
        used=sum(one.size_bytes for one in renditions) / BUDGET_BYTES,
        trials=[source.trial_encodes for source in sources],
    )


def divided(sources: Sequence[PhotoSource], budget_bytes: int) -> list[Rendition]:
    """mmsprep's division of the budget over ``sources``, really encoded."""
    candidates = [Candidate(partial(_itself, source)) for source in sources]
    shares = divide(candidates, budget_bytes)
    assert not isinstance(shares, Shortfall)
    made = fit(candidates, shares, budget_bytes, lambda asked: [sources[at].render(most) for at, most in asked])
    assert not isinstance(made, Shortfall)
    return made


def best_possible_worst(tables: Sequence[npt.NDArray[np.float64]]) -> float:
    """The highest level that every picture can reach together."""
    low, high = -100.0, 100.0
    for _ in range(30):
        level = (low + high) / 2
        needed = [int(np.argmax(table >= level)) + 1 if table[-1] >= level else len(table) + 1 for table in tables]
        low, high = (level, high) if sum(needed) <= len(tables[0]) else (low, level)
    return low


def best_possible_mean(tables: Sequence[npt.NDArray[np.float64]]) -> float:
    """The highest mean of any division, by dynamic programming over whole units."""
    units = len(tables[0])
    reached = np.full(units + 1, -np.inf)
    reached[0] = 0
    for table in tables:
        following = np.full(units + 1, -np.inf)
        for given in range(1, units + 1):
            following[given:] = np.maximum(following[given:], reached[: units + 1 - given] + table[given - 1])
        reached = following
    return float(reached.max() / len(tables))


def _itself(source: PhotoSource) -> PhotoSource:
    return source


def _summarise(results: list[Scores]) -> None:
    ratios = [min(one.ours) / one.best_worst for one in results]
    short = [one.best_mean - statistics.fmean(one.ours) for one in results]
    equal_ratios = [min(one.equal) / one.best_worst for one in results]
    equal_short = [one.best_mean - statistics.fmean(one.equal) for one in results]
    trials = [count for one in results for count in one.trials]
    print(f"\n{len(results)} sets{'worst / best possible worst':>36}{'short of the best possible mean':>36}")
    for label, shares, gaps in (("mmsprep", ratios, short), ("equal shares", equal_ratios, equal_short)):
        print(
            f"{label:14}mean {statistics.fmean(shares):.2f}, least {min(shares):.2f}"
            f"{'':14}mean {statistics.fmean(gaps):.2f}, most {max(gaps):.2f}"
        )
    print("targets       0.85                                1.5")
    worst, mean = ([pick(one.ours) for one in results] for pick in (min, statistics.fmean))
    print(f"means of the sets: worst picture {statistics.fmean(worst):.1f}, mean picture {statistics.fmean(mean):.1f}")
    print(f"budget used: least {min(one.used for one in results):.2%}")
    print(f"trial encodes a photo: {statistics.fmean(trials):.2f} mean, {max(trials)} worst")


if __name__ == "__main__":
    main()
