"""Bytes for everyone, going by what curves foretell: the arithmetic under :mod:`mmsprep.pipeline.fit`.

Comes in: asks (a curve, a floor, a priority) and a budget in bytes. Goes out: bytes for each ask, and the same ask
after an encode taught something. Never: an encode, or a candidate.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import fmean

from mmsprep.model import Curve, CurvePoint, Rendition

WORST_SHARE = 0.9
"""Of the best possible worst quality: what everyone is brought to before the rest goes to whoever gains most
(`benchmarks/image_set.py` asks that 0.85 is reached in the end)."""
GOOD_ENOUGH = 90.0
"""Quality (0..100): hard to tell from the source, "excellent" in :data:`mmsprep.model.QUALITY_BANDS`."""
PERFECT, NOT_WHOLE = 100.0, 99.0
_LEAST_LOSS = 0.25
"""Of the loss that was foretold: one encode that lost less still says no more than this of other sizes."""
_SAMPLES = 48
_BISECTIONS = 40
_MOVED = 0.02
"""Points of a curve for its hull, halvings of 0..100, and a share: sizes that move by less are not worth an encode."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A candidate as the division sees it: points ascending in size and quality."""

    points: tuple[CurvePoint, ...]
    steps: bool
    floor: float
    priority: float
    whole_bytes: int = 0
    worst_share: float = WORST_SHARE

    @property
    def best(self) -> float:
        return self.points[-1].quality

    def size_at(self, quality: float) -> int:
        """Least bytes for ``quality``, or the most that can be used where it is out of reach."""
        for before, point in zip((None, *self.points), self.points, strict=False):
            if point.quality >= quality:
                if before is None or self.steps:
                    return point.size_bytes
                part = (quality - before.quality) / (point.quality - before.quality)
                return math.ceil(before.size_bytes * math.pow(point.size_bytes / before.size_bytes, part))
        return self.points[-1].size_bytes

    def quality_at(self, size_bytes: int) -> float:
        """The quality that ``size_bytes`` buy; 0 where they buy nothing."""
        return Curve(self.points, self.steps).quality_at(size_bytes)

    def not_below(self, rendition: Rendition) -> Ask:
        """The same, after an encode that could not be made smaller than ``rendition``."""
        first = CurvePoint(rendition.size_bytes, rendition.quality)
        above = (p for p in self.points if p.size_bytes > first.size_bytes and p.quality > first.quality)
        return replace(self, points=(first, *above))

    def no_larger_than(self, source_bytes: int) -> Ask:
        """The same, cut off at ``source_bytes``, or where it is good enough and whole if that costs more."""
        most = max(source_bytes, self.size_at(GOOD_ENOUGH), self.whole_bytes)
        points = tuple(point for point in self.points if point.size_bytes <= most)
        if not self.steps and points != self.points and points[-1].size_bytes < most:
            points = (*points, CurvePoint(most, self.quality_at(most)))
        return replace(self, points=points)

    def with_original(self, size_bytes: int) -> Ask:
        """The same, of one that goes as it is from ``size_bytes`` on: less buys nothing of what that is worth."""
        points = [point for point in self.points if point.size_bytes < size_bytes - 1]
        if points and not self.steps:
            points.append(CurvePoint(size_bytes - 1, self.quality_at(size_bytes - 1)))
        return replace(self, points=(*points, CurvePoint(size_bytes, PERFECT)))

    def learnt(self, made: Rendition) -> Ask:
        """The same, after an encode: what it lost more or less than foretold, every other size does in proportion.

        At fewer bytes none gains more points than this one did. Between renders of twelve clips at half as many bytes
        again that foretells the next one within 3.5 points, where the curve alone is off by 10.
        """
        foretold = self.quality_at(made.size_bytes)
        worse = max(_LEAST_LOSS, (PERFECT - made.quality) / max(1.0, PERFECT - foretold))
        gained = max(0.0, made.quality - foretold) or PERFECT
        real = CurvePoint(made.size_bytes, made.quality if made.whole else min(made.quality, NOT_WHOLE))
        points = [
            replace(point, quality=min(PERFECT - worse * (PERFECT - point.quality), point.quality + gained))
            for point in self.points
        ]
        below = (p for p in points if p.size_bytes < real.size_bytes and 0 < p.quality < real.quality)
        above = (p for p in points if p.size_bytes > real.size_bytes and p.quality > real.quality)
        return replace(self, points=(*below, real, *above))

    def floor_from(self, size_bytes: int) -> Ask:
        """The same, with its floor not within reach below ``size_bytes``."""
        if self.size_at(self.floor) >= size_bytes:
            return self
        below = (p for p in self.points if p.size_bytes < size_bytes and p.quality < self.floor)
        above = (p for p in self.points if p.size_bytes > size_bytes and p.quality > self.floor)
        return replace(self, points=(*below, CurvePoint(size_bytes, self.floor), *above))

    def without_end(self, budget_bytes: int) -> Ask:
        """The same, as if bytes up to ``budget_bytes`` could always be of use."""
        points = tuple(point for point in self.points if point.quality < PERFECT and point.size_bytes < budget_bytes)
        return replace(self, points=(*points, CurvePoint(budget_bytes, PERFECT)))

    def level(self, quality: float) -> float:
        """The level of a set in which this one has ``quality``, the inverse of :meth:`target`."""
        return PERFECT - (PERFECT - quality) * self.priority

    @property
    def least(self) -> float:
        """The quality that it must have: its floor, or all there is."""
        return min(self.floor, self.best)

    def target(self, level: float) -> float:
        """The quality this one is brought to when the set is at ``level``."""
        wanted = PERFECT - (PERFECT - level) / self.priority
        return min(max(wanted, self.floor), self.best)


def rising(curve: Curve) -> tuple[CurvePoint, ...]:
    """The curve without points that cost more for the same quality or less; up to where nothing is given up."""
    points = _without_loss(curve.points)
    if points[-1].size_bytes >= curve.whole_bytes:
        return points
    below = _without_loss([replace(point, quality=min(point.quality, NOT_WHOLE)) for point in points])
    return (*below, CurvePoint(curve.whole_bytes, PERFECT))


def _without_loss(points: Sequence[CurvePoint]) -> tuple[CurvePoint, ...]:
    rising: list[CurvePoint] = []
    for point in sorted(points, key=lambda point: (point.size_bytes, -point.quality)):
        if not rising or point.quality > rising[-1].quality:
            rising.append(point)
    return tuple(rising)


def divide_asks(asks: Sequence[Ask], budget_bytes: int, least: float = 0.0) -> list[int] | None:
    """Bytes for each ask, or ``None`` when not even the floors fit; none below ``least``, a level, if that can be.

    Floors go before priorities: where there is not enough for both, the level is one at which nobody has more than its
    floor.
    """
    if sum(ask.size_at(ask.least) for ask in asks) > budget_bytes:
        return None
    low, high = min((ask.level(0) for ask in asks), default=0.0), PERFECT
    for _ in range(_BISECTIONS):
        level = (low + high) / 2
        fits = sum(ask.size_at(ask.target(level)) for ask in asks) <= budget_bytes
        low, high = (level, high) if fits else (low, level)
    best_possible_worst = low
    levels = [min(best_possible_worst, max(least, ask.worst_share * best_possible_worst)) for ask in asks]
    sizes = [ask.size_at(ask.target(level)) for ask, level in zip(asks, levels, strict=True)]
    return _spend_where_it_gains_most(asks, sizes, budget_bytes - sum(sizes))


def _spend_where_it_gains_most(asks: Sequence[Ask], sizes: list[int], left_bytes: int) -> list[int]:
    """Raise ``sizes`` along each curve's concave hull, steepest segment first.

    A hull has only what is within reach: part of the way to an original that may stay buys less than the hull says.
    """
    while left_bytes > 0:
        hulls = [_hull(ask, size, size + left_bytes) for ask, size in zip(asks, sizes, strict=True)]
        segments = sorted(
            (
                (-ask.priority * _slope(before, after), place, after)
                for place, (ask, hull) in enumerate(zip(asks, hulls, strict=True))
                for before, after in pairwise(hull)
            ),
            key=lambda segment: segment[:2],
        )
        if not segments:
            break
        for _, place, after in segments:
            wanted = after.size_bytes - sizes[place]
            if wanted > left_bytes:
                break
            sizes[place] += wanted
            left_bytes -= wanted
        else:
            break
    return sizes


def _hull(ask: Ask, size_bytes: int, reach_bytes: int) -> list[CurvePoint]:
    """The upper concave hull of the curve from ``size_bytes`` to ``reach_bytes``."""
    start = CurvePoint(size_bytes, ask.quality_at(size_bytes))
    hull = [start]
    for point in _within(ask, reach_bytes):
        if point.size_bytes <= size_bytes or point.quality <= start.quality:
            continue
        while len(hull) > 1 and _slope(hull[-2], hull[-1]) <= _slope(hull[-1], point):
            hull.pop()
        hull.append(point)
    return hull


def _within(ask: Ask, reach_bytes: int) -> list[CurvePoint]:
    if ask.steps or not ask.points[0].size_bytes < reach_bytes < ask.points[-1].size_bytes:
        return [point for point in _sampled(ask) if point.size_bytes <= reach_bytes]
    below = [point for point in _sampled(ask) if point.size_bytes < reach_bytes]
    return [*below, CurvePoint(reach_bytes, ask.quality_at(reach_bytes))]


def _sampled(ask: Ask) -> Sequence[CurvePoint]:
    """The curve's points; for one that can be met anywhere, enough of them for a smooth hull."""
    first, last = ask.points[0].size_bytes, ask.points[-1].size_bytes
    if ask.steps or first == last:
        return ask.points
    sizes = {round(first * (last / first) ** (place / _SAMPLES)) for place in range(_SAMPLES)}
    return [CurvePoint(size, ask.quality_at(size)) for size in sorted(sizes | {last})]


def _slope(before: CurvePoint, after: CurvePoint) -> float:
    return (after.quality - before.quality) / (after.size_bytes - before.size_bytes)


def worst_level(asks: Sequence[Ask], qualities: Sequence[float]) -> float:
    """The level of a set: its worst part's, as its priority lets it count."""
    return min(ask.level(quality) for ask, quality in zip(asks, qualities, strict=True))


def improvement(asks: Sequence[Ask], before: Sequence[float], after: Sequence[float]) -> float:
    """How much better a set is than before, on the worst part and the mean together; not at all with a worse one."""
    worst = worst_level(asks, after) - worst_level(asks, before)
    mean = fmean((new - old) * ask.priority for ask, old, new in zip(asks, before, after, strict=True))
    return worst + mean if worst >= 0 else worst


def moved_sizes(made_bytes: Sequence[int], sizes: Sequence[int], budget_bytes: int) -> dict[int, int]:
    """The places whose size is another one now, within ``budget_bytes`` beside those that stay as they were made."""
    moved = {
        place: size
        for place, (made, size) in enumerate(zip(made_bytes, sizes, strict=True))
        if abs(size - made) > made * _MOVED
    }
    kept_bytes = sum(made for place, made in enumerate(made_bytes) if place not in moved)
    over_bytes = max(0, kept_bytes + sum(moved.values()) - budget_bytes)
    grown = {place: size - made_bytes[place] for place, size in moved.items() if size > made_bytes[place]}
    less = min(1.0, over_bytes / max(1, sum(grown.values())))
    return moved | {place: moved[place] - math.ceil(more * less) for place, more in grown.items()}
