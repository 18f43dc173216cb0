"""Dividing the byte budget over the set: everyone to a floor, the rest where a byte buys most.

Comes in: candidates (rate-quality curves, originals that may go as they are) and a budget in bytes. Goes
out: shares, and renditions whose total fits, or a :class:`Shortfall`. Never: pixels, samples or file
formats; it sees sizes and qualities only.

The rule, from measurement (six photos into 290 kB, 210 subsets): equal shares leave the worst picture at
28, the best possible worst is 65 but costs four points of mean; everyone to 0.9 of the best possible worst
and then by what each byte buys keeps 59 and gives the mean back. A file that can go as it is stays
untouched unless that would push another part below ``KEEP_LEVEL``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import cast

from mmsprep.model import AssuringSource, Curve, CurvePoint, Rendition, Source, TimedSource

WORST_SHARE = 0.9
KEEP_LEVEL = 60.0
GOOD_ENOUGH = 90.0
_SLACK_WORTH_USING = 0.015
_SLACK_ROUNDS = 6
_SAMPLES = 48
_BISECTIONS = 40
_TRIM_ROUNDS = 5
_TRIM_MARGIN = 0.98
SHORTEST_S = 1.0
_SATURATED = 0.97
_PERFECT = 100.0

RenderAll = Callable[[Sequence[tuple[int, int]]], Sequence[Rendition]]
"""Render several candidates, given as (place, max_bytes), side by side; renditions in the same order."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One attachment to fit.

    ``source`` gives its source (the same one at every call; the first may be costly), ``original`` is set
    when the attachment can go as it is, ``priority`` shifts the division: 2 asks for half the loss.
    ``source_bytes`` is the attachment's own size: once a result is hard to tell from it, it is not made larger
    than that (``None``: no such bound). ``about`` surrounds the work on it, so that what goes wrong is told as its own.
    """

    source: Callable[[], Source]
    original: Rendition | None = None
    priority: float = 1.0
    source_bytes: int | None = None
    about: Callable[[], AbstractContextManager[None]] = nullcontext


@dataclass(frozen=True, slots=True)
class Share:
    """What one candidate gets and the quality promised for it; ``final``: there is nothing left to divide."""

    max_bytes: int
    quality: float
    keeps_original: bool
    final: bool = False


@dataclass(frozen=True, slots=True)
class Shortfall:
    """The set cannot fit: what each candidate needs to be worth sending, and its very smallest, in bytes."""

    floor_bytes: tuple[int, ...]
    smallest_bytes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Ask:
    """A candidate as the division sees it: points ascending in size and quality."""

    points: tuple[CurvePoint, ...]
    steps: bool
    floor: float
    priority: float

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
        reached = 0.0
        for before, point in zip((None, *self.points), self.points, strict=False):
            if point.size_bytes <= size_bytes:
                reached = point.quality
                continue
            if before is None or self.steps:
                return reached
            part = math.log(size_bytes / before.size_bytes) / math.log(point.size_bytes / before.size_bytes)
            return before.quality + part * (point.quality - before.quality)
        return reached

    def not_below(self, rendition: Rendition) -> _Ask:
        """The same, after an encode that could not be made smaller than ``rendition``."""
        first = CurvePoint(rendition.size_bytes, rendition.quality)
        above = (p for p in self.points if p.size_bytes > first.size_bytes and p.quality > first.quality)
        return replace(self, points=(first, *above))

    def no_larger_than(self, source_bytes: int) -> _Ask:
        """The same, cut off at ``source_bytes``, or where it is good enough if that costs more."""
        most = max(source_bytes, self.size_at(GOOD_ENOUGH))
        points = tuple(point for point in self.points if point.size_bytes <= most)
        if not self.steps and points != self.points and points[-1].size_bytes < most:
            points = (*points, CurvePoint(most, self.quality_at(most)))
        return replace(self, points=points)

    def target(self, level: float) -> float:
        """The quality this one is brought to when the set is at ``level``."""
        wanted = _PERFECT - (_PERFECT - level) / self.priority
        return min(max(wanted, self.floor), self.best)


def divide(candidates: Sequence[Candidate], budget_bytes: int) -> tuple[Share, ...] | Shortfall:
    """Divide ``budget_bytes`` over ``candidates``; nothing is encoded.

    Originals that can go as they are stay; the largest gives way first when the others would fall below
    ``KEEP_LEVEL`` or the set would not fit. One alone that has plenty gets it all, without its curve.
    """
    if len(candidates) == 1 and (share := _assured(candidates[0], budget_bytes)):
        return (share,)
    kept = [candidate.original is not None for candidate in candidates]
    while True:
        asks = [_ask(candidate, keep) for candidate, keep in zip(candidates, kept, strict=True)]
        sizes = _divide_asks(asks, budget_bytes)
        if sizes is not None and all(
            keep or ask.quality_at(size) >= min(KEEP_LEVEL, ask.best)
            for keep, ask, size in zip(kept, asks, sizes, strict=True)
        ):
            break
        if not any(kept):
            break
        kept[max(range(len(kept)), key=lambda place: asks[place].points[0].size_bytes * kept[place])] = False
    if sizes is None:
        return _shortfall(asks)
    return tuple(
        Share(size, ask.quality_at(size), _original_within(candidate, size) is not None)
        for candidate, ask, size in zip(candidates, asks, sizes, strict=True)
    )


def _assured(candidate: Candidate, budget_bytes: int) -> Share | None:
    """The whole budget, where that is certain to be right: what it buys is good, and not more than the source had."""
    if candidate.original is not None or (candidate.source_bytes or budget_bytes) < budget_bytes:
        return None
    with candidate.about():
        source = candidate.source()
        if not hasattr(source, "assured_quality"):
            return None
        quality = cast(AssuringSource, source).assured_quality(budget_bytes)
    if quality is None or quality < source.floor_quality:
        return None
    return Share(budget_bytes, quality, keeps_original=False, final=True)


def fit(
    candidates: Sequence[Candidate], shares: Sequence[Share], budget_bytes: int, render_all: RenderAll
) -> list[Rendition] | Shortfall:
    """Render every candidate inside its share, then hand what is left to whoever gains most.

    Args:
        candidates: as given to :func:`divide`.
        shares: its answer for ``budget_bytes``.
        budget_bytes: the total that is never exceeded.
        render_all: the only thing that encodes.

    Returns:
        One rendition a candidate, in order, together at most ``budget_bytes``; a shortfall when real
        encodes came out larger than their curves promised and nothing smaller can be made.
    """
    sizes = [share.max_bytes for share in shares]
    renditions = _render_shares(candidates, sizes, render_all)
    if _total(renditions) <= budget_bytes and all(share.final for share in shares):
        return renditions
    asks = [_ask(candidate, share.keeps_original) for candidate, share in zip(candidates, shares, strict=True)]
    while _total(renditions) > budget_bytes:
        asks = [
            ask if rendition.size_bytes <= size else ask.not_below(rendition)
            for ask, rendition, size in zip(asks, renditions, sizes, strict=True)
        ]
        divided = _divide_asks(asks, budget_bytes)
        if divided is None:
            return _shortfall(asks)
        sizes = divided
        renditions = _render_shares(candidates, sizes, render_all)
    return _use_slack(candidates, asks, sizes, renditions, budget_bytes, render_all)


def trimmed_to_fit(candidates: Sequence[Candidate], budget_bytes: int) -> tuple[Candidate, ...] | None:
    """Cut the sources that have a duration until every floor fits; ``None`` when that cannot help.

    What has no duration gets its floor, the rest is shared in proportion to what each clip or recording
    needs at its floor; none is cut below ``SHORTEST_S``.
    """
    trimmed = list(candidates)
    for _ in range(_TRIM_ROUNDS):
        needs = [floor_bytes(candidate) for candidate in trimmed]
        if sum(needs) <= budget_bytes:
            return tuple(trimmed)
        timed = {place: duration for place, one in enumerate(trimmed) if (duration := duration_s(one.source()))}
        left_bytes = budget_bytes - sum(need for place, need in enumerate(needs) if place not in timed)
        part = _TRIM_MARGIN * left_bytes / max(1, sum(needs[place] for place in timed))
        if not timed or min(timed.values()) * part < SHORTEST_S:
            return None
        for place, seconds in timed.items():
            with trimmed[place].about():
                shorter = cast(TimedSource, trimmed[place].source()).trimmed(seconds * part)
            trimmed[place] = replace(trimmed[place], source=partial(_same, shorter), original=None)
    return None


def duration_s(source: Source) -> float | None:
    """Seconds of a source that can be cut, ``None`` for one that cannot."""
    return getattr(source, "duration_s", None) if hasattr(source, "trimmed") else None


def _same(source: Source) -> Source:
    return source


def floor_bytes(candidate: Candidate) -> int:
    """The least bytes at which this one is worth sending."""
    ask = _ask(candidate, keep=False)
    return ask.size_at(ask.target(0))


def pack_in_order(
    sizes: Sequence[int], budget_bytes: int, max_parts: int, first_extra_bytes: int = 0
) -> list[list[int]] | None:
    """Places of ``sizes`` in the fewest consecutive groups that fit; ``None`` when one alone does not.

    Of all ways to make that few groups, the one whose fullest group is emptiest: what is left over is then
    spread over all messages. The first group also carries ``first_extra_bytes`` (the message's text), and may
    hold nothing else.
    """
    if any(size > budget_bytes for size in sizes):
        return None
    groups = _filled_in_order(sizes, budget_bytes, max_parts, first_extra_bytes)
    low, high = max((*sizes, first_extra_bytes), default=0), budget_bytes
    while low < high:
        middle = (low + high) // 2
        emptier = _filled_in_order(sizes, middle, max_parts, first_extra_bytes)
        if len(emptier) == len(groups):
            groups, high = emptier, middle
        else:
            low = middle + 1
    return groups


def _filled_in_order(
    sizes: Sequence[int], budget_bytes: int, max_parts: int, first_extra_bytes: int
) -> list[list[int]]:
    """Each group filled before the next is begun: no order-keeping division has fewer groups."""
    groups: list[list[int]] = [[]]
    filled = first_extra_bytes
    for place, size in enumerate(sizes):
        if filled + size > budget_bytes or len(groups[-1]) == max_parts:
            groups.append([])
            filled = 0
        groups[-1].append(place)
        filled += size
    return groups


def _use_slack(
    candidates: Sequence[Candidate],
    asks: Sequence[_Ask],
    sizes: Sequence[int],
    renditions: list[Rendition],
    budget_bytes: int,
    render_all: RenderAll,
) -> list[Rendition]:
    """Give the bytes that are left to the one that gains most by them, until nobody does."""
    hungry = {
        place
        for place, (rendition, size) in enumerate(zip(renditions, sizes, strict=True))
        if asks[place].steps or rendition.size_bytes >= size * _SATURATED
    }
    for _ in range(_SLACK_ROUNDS):
        slack = budget_bytes - _total(renditions)
        if not hungry or slack < budget_bytes * _SLACK_WORTH_USING:
            break

        def gain(place: int, slack: int = slack) -> float:
            size, candidate = renditions[place].size_bytes, candidates[place]
            more = asks[place].quality_at(size + slack) - asks[place].quality_at(size)
            if _original_within(candidate, size + slack) and renditions[place] is not candidate.original:
                more = _PERFECT - renditions[place].quality
            return more * candidate.priority

        place = max(sorted(hungry), key=gain)
        if gain(place) <= 0:
            break
        max_bytes = renditions[place].size_bytes + slack
        original = _original_within(candidates[place], max_bytes)
        better = original or render_all([(place, max_bytes)])[0]
        hungry.discard(place)
        if renditions[place].size_bytes < better.size_bytes <= max_bytes:
            renditions[place] = better
            if better.size_bytes >= max_bytes * _SATURATED:
                hungry.add(place)
    return renditions


def _render_shares(candidates: Sequence[Candidate], sizes: Sequence[int], render_all: RenderAll) -> list[Rendition]:
    """A rendition a candidate: its original where the share holds it, an encode elsewhere."""
    originals = [_original_within(candidate, size) for candidate, size in zip(candidates, sizes, strict=True)]
    asked = [(place, sizes[place]) for place, original in enumerate(originals) if original is None]
    encoded = iter(render_all(asked) if asked else ())
    return [original or next(encoded) for original in originals]


def _original_within(candidate: Candidate, size_bytes: int) -> Rendition | None:
    original = candidate.original
    return original if original is not None and original.size_bytes <= size_bytes else None


def _total(renditions: Sequence[Rendition]) -> int:
    return sum(rendition.size_bytes for rendition in renditions)


def _shortfall(asks: Sequence[_Ask]) -> Shortfall:
    return Shortfall(tuple(ask.size_at(ask.target(0)) for ask in asks), tuple(ask.points[0].size_bytes for ask in asks))


def _ask(candidate: Candidate, keep: bool) -> _Ask:
    """How a candidate stands in the division: untouched when ``keep``, else by its curve."""
    original = candidate.original
    if keep and original is not None:
        return _Ask((CurvePoint(original.size_bytes, _PERFECT),), True, 0, candidate.priority)
    with candidate.about():
        source = candidate.source()
        curve = source.curve()
    points = _rising(curve)
    if original is not None:
        smaller = [point for point in points if point.size_bytes < original.size_bytes]
        points = (*smaller, CurvePoint(original.size_bytes, _PERFECT))
    ask = _Ask(points, curve.steps, source.floor_quality, candidate.priority)
    return ask if candidate.source_bytes is None else ask.no_larger_than(candidate.source_bytes)


def _rising(curve: Curve) -> tuple[CurvePoint, ...]:
    """The curve without points that cost more for the same quality or less."""
    points: list[CurvePoint] = []
    for point in sorted(curve.points, key=lambda point: (point.size_bytes, -point.quality)):
        if not points or point.quality > points[-1].quality:
            points.append(point)
    return tuple(points)


def _divide_asks(asks: Sequence[_Ask], budget_bytes: int) -> list[int] | None:
    """Bytes for each ask, or ``None`` when not even the floors fit."""
    if sum(ask.size_at(ask.target(0)) for ask in asks) > budget_bytes:
        return None
    low, high = 0.0, _PERFECT
    for _ in range(_BISECTIONS):
        level = (low + high) / 2
        fits = sum(ask.size_at(ask.target(level)) for ask in asks) <= budget_bytes
        low, high = (level, high) if fits else (low, level)
    best_possible_worst = low
    sizes = [ask.size_at(ask.target(WORST_SHARE * best_possible_worst)) for ask in asks]
    return _spend_where_it_gains_most(asks, sizes, budget_bytes - sum(sizes))


def _spend_where_it_gains_most(asks: Sequence[_Ask], sizes: list[int], left_bytes: int) -> list[int]:
    """Raise ``sizes`` along each curve's concave hull, steepest segment first."""
    hulls = [_hull(ask, size) for ask, size in zip(asks, sizes, strict=True)]
    segments = sorted(
        (
            (
                -ask.priority * (after.quality - before.quality) / (after.size_bytes - before.size_bytes),
                place,
                after,
            )
            for place, (ask, hull) in enumerate(zip(asks, hulls, strict=True))
            for before, after in pairwise(hull)
        ),
        key=lambda segment: segment[:2],
    )
    for _, place, after in segments:
        wanted = after.size_bytes - sizes[place]
        granted = wanted if wanted <= left_bytes else _usable(asks[place], sizes[place], left_bytes)
        sizes[place] += granted
        left_bytes -= granted
    return sizes


def _usable(ask: _Ask, size_bytes: int, left_bytes: int) -> int:
    """How much of ``left_bytes`` this one can use beyond ``size_bytes``."""
    reach = size_bytes + left_bytes
    if not ask.steps:
        return max(0, min(reach, ask.points[-1].size_bytes) - size_bytes)
    return max((p.size_bytes - size_bytes for p in ask.points if size_bytes < p.size_bytes <= reach), default=0)


def _hull(ask: _Ask, size_bytes: int) -> list[CurvePoint]:
    """The upper concave hull of the curve from ``size_bytes`` on."""
    start = CurvePoint(size_bytes, ask.quality_at(size_bytes))
    hull = [start]
    for point in _sampled(ask):
        if point.size_bytes <= size_bytes or point.quality <= start.quality:
            continue
        while len(hull) > 1 and _slope(hull[-2], hull[-1]) <= _slope(hull[-1], point):
            hull.pop()
        hull.append(point)
    return hull


def _sampled(ask: _Ask) -> Sequence[CurvePoint]:
    """The curve's points; for one that can be met anywhere, enough of them for a smooth hull."""
    first, last = ask.points[0].size_bytes, ask.points[-1].size_bytes
    if ask.steps or first == last:
        return ask.points
    sizes = {round(first * (last / first) ** (place / _SAMPLES)) for place in range(_SAMPLES)}
    return [CurvePoint(size, ask.quality_at(size)) for size in sorted(sizes | {last})]


def _slope(before: CurvePoint, after: CurvePoint) -> float:
    return (after.quality - before.quality) / (after.size_bytes - before.size_bytes)
