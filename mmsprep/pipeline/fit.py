"""Dividing the byte budget over the set: everyone to a floor, the rest where a byte buys most.

Comes in: candidates (rate-quality curves, originals that may go as they are) and a budget in bytes. Goes
out: shares, and renditions whose total fits, or a :class:`Shortfall`. Never: pixels, samples or file
formats; it sees sizes and qualities only.

Curves are forecasts. They steer the first division; what comes out is judged by what was measured on it: a part
below its floor, or one that stood at the end of what its curve asked for and still is not ``GOOD_ENOUGH`` and whole,
gets more as long as there are bytes that nobody else needs.

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
_PERFECT, _NOT_WHOLE = 100.0, 99.0
_MISLED = 10.0
"""Quality short of the forecast by this much: the set was divided by a wrong curve, and is divided again."""
_LIFTS, _LIFTS_TO_FLOOR = 2, 8
_LIFT_MARGIN, _FLOOR_STEP = 1.04, 1.1

RenderAll = Callable[[Sequence[tuple[int, int]]], Sequence[Rendition]]
"""Render several candidates, given as (place, max_bytes), side by side; renditions in the same order."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One attachment to fit.

    ``source`` gives its source (the same one at every call; the first may be costly), ``original`` is set
    when the attachment can go as it is, ``priority`` shifts the division: 2 asks for half the loss.
    ``source_bytes`` is the attachment's own size: once a result is whole and hard to tell from it, it is not made
    larger than that (``None``: no such bound). ``about`` surrounds the work on it, so that what goes wrong is told as
    its own.
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
    whole_bytes: int = 0

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
        """The same, cut off at ``source_bytes``, or where it is good enough and whole if that costs more."""
        most = max(source_bytes, self.size_at(GOOD_ENOUGH), self.whole_bytes)
        points = tuple(point for point in self.points if point.size_bytes <= most)
        if not self.steps and points != self.points and points[-1].size_bytes < most:
            points = (*points, CurvePoint(most, self.quality_at(most)))
        return replace(self, points=points)

    def learnt(self, made: Rendition) -> _Ask:
        """The same, after an encode: what it lost more than foretold, every other size loses in proportion."""
        foretold = self.quality_at(made.size_bytes)
        worse = max(1.0, (_PERFECT - made.quality) / max(1.0, _PERFECT - foretold))
        real = CurvePoint(made.size_bytes, made.quality if made.whole else min(made.quality, _NOT_WHOLE))
        points = [replace(point, quality=_PERFECT - worse * (_PERFECT - point.quality)) for point in self.points]
        below = (p for p in points if p.size_bytes < real.size_bytes and 0 < p.quality < real.quality)
        above = (p for p in points if p.size_bytes > real.size_bytes and p.quality > real.quality)
        return replace(self, points=(*below, real, *above))

    def floor_from(self, size_bytes: int) -> _Ask:
        """The same, with its floor not within reach below ``size_bytes``."""
        if self.size_at(self.floor) >= size_bytes:
            return self
        below = (p for p in self.points if p.size_bytes < size_bytes and p.quality < self.floor)
        above = (p for p in self.points if p.size_bytes > size_bytes and p.quality > self.floor)
        return replace(self, points=(*below, CurvePoint(size_bytes, self.floor), *above))

    def without_end(self, budget_bytes: int) -> _Ask:
        """The same, as if bytes up to ``budget_bytes`` could always be of use."""
        points = tuple(point for point in self.points if point.quality < _PERFECT and point.size_bytes < budget_bytes)
        return replace(self, points=(*points, CurvePoint(budget_bytes, _PERFECT)))

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
    fits = sum(made.size_bytes for made in renditions) <= budget_bytes
    if fits and all(share.final for share in shares) and not any(map(_is_poor, candidates, renditions)):
        return renditions
    asks = [_ask(candidate, share.keeps_original) for candidate, share in zip(candidates, shares, strict=True)]
    fitting = _Fitting(candidates, budget_bytes, render_all, asks, sizes, renditions, [0] * len(asks))
    while fitting.is_over or fitting.short:
        if not (fitting.come_down() if fitting.is_over else fitting.lift()):
            return _shortfall(fitting.asks)
    fitting.use_slack()
    return fitting.below_floor() or fitting.renditions


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


@dataclass(slots=True)
class _Fitting:
    """Renditions on their way to what the set can be at best; ``lifts`` counts how often each was given more."""

    candidates: Sequence[Candidate]
    budget_bytes: int
    render_all: RenderAll
    asks: list[_Ask]
    sizes: list[int]
    renditions: list[Rendition]
    lifts: list[int]

    @property
    def slack_bytes(self) -> int:
        return self.budget_bytes - sum(rendition.size_bytes for rendition in self.renditions)

    @property
    def is_over(self) -> bool:
        return self.slack_bytes < 0

    def come_down(self) -> bool:
        """Divide anew by what could not be made as small as foretold; false where not even the floors fit."""
        self.asks = [
            ask if rendition.size_bytes <= size else ask.not_below(rendition)
            for ask, rendition, size in zip(self.asks, self.renditions, self.sizes, strict=True)
        ]
        divided = _divide_asks(self.asks, self.budget_bytes)
        if divided is not None:
            self.sizes = divided
            self.renditions = _render_shares(self.candidates, divided, self.render_all)
        return divided is not None

    @property
    def short(self) -> list[int]:
        """Places whose real rendition is below its floor, or less than it could be although nothing more was asked."""
        return [place for place in range(len(self.lifts)) if self._falls_short(place)]

    def _falls_short(self, place: int) -> bool:
        candidate, ask, made = self.candidates[place], self.asks[place], self.renditions[place]
        if ask.steps or made is candidate.original:
            return False
        if _is_poor(candidate, made):
            return self.lifts[place] < _LIFTS_TO_FLOOR
        if self.lifts[place] >= _LIFTS or _is_enough(made) or self.sizes[place] < ask.points[-1].size_bytes:
            return False
        is_cut = self._whole_ask(place).points[-1].size_bytes > ask.points[-1].size_bytes
        return is_cut or made.size_bytes >= self.sizes[place] * _SATURATED

    def _whole_ask(self, place: int) -> _Ask:
        return _ask(replace(self.candidates[place], source_bytes=None), keep=False)

    def lift(self) -> bool:
        """Give those that fall short what they need, going by what was measured; false where not even the floors fit.

        First from what is left; from the others only where a curve was so wrong that the division was.
        """
        short = self.short
        misled = any(self._is_misled(place) for place in short)
        for place in short:
            self.asks[place] = self._lifted(place)
            self.lifts[place] += 1
        wanted = {place: self.asks[place].points[-1].size_bytes for place in short}
        if sum(wanted[place] - self.renditions[place].size_bytes for place in short) > self.slack_bytes:
            divided = _divide_asks(self.asks, self.budget_bytes) if misled else self.sizes
            if divided is None:
                return False
            smaller = {place: size for place, size in enumerate(divided) if size < self.renditions[place].size_bytes}
            wanted = smaller | {place: divided[place] for place in short if place not in smaller}
        changed = {place: size for place, size in wanted.items() if size != self.sizes[place]}
        for place in short:
            if place not in changed:
                self.lifts[place] = _LIFTS_TO_FLOOR
        self._render_anew(changed)
        return True

    def _is_misled(self, place: int) -> bool:
        """Whether the division went by a quality that is far from the real one."""
        made = self.renditions[place]
        foretold = self.asks[place].quality_at(self.sizes[place])
        return _is_poor(self.candidates[place], made) or made.quality < foretold - _MISLED

    def _lifted(self, place: int) -> _Ask:
        """What a place asks for now: what should be enough, and if that was asked for before, all there is."""
        made = self.renditions[place]
        learnt = self._whole_ask(place).learnt(made)
        if _is_poor(self.candidates[place], made):
            learnt = learnt.floor_from(math.ceil(self.sizes[place] * _FLOOR_STEP))
        enough = max(learnt.size_at(GOOD_ENOUGH), learnt.whole_bytes)
        if self.lifts[place] or learnt.best < GOOD_ENOUGH or enough <= made.size_bytes:
            return learnt.without_end(self.budget_bytes)
        return learnt.no_larger_than(math.ceil(enough * _LIFT_MARGIN))

    def _render_anew(self, sizes: dict[int, int]) -> None:
        """Render some places at other sizes; what was to get better and did not stays as it was."""
        for place, made in zip(sizes, self._rendered(sizes), strict=True):
            before = self.renditions[place]
            if sizes[place] < before.size_bytes or _rank(made) > _rank(before):
                self.renditions[place] = made
            elif made.size_bytes <= before.size_bytes:
                self.lifts[place] = _LIFTS_TO_FLOOR
            self.sizes[place] = sizes[place]

    def _rendered(self, sizes: dict[int, int]) -> list[Rendition]:
        def render(asked: Sequence[tuple[int, int]]) -> Sequence[Rendition]:
            return self.render_all([(places[place], size) for place, size in asked])

        places = list(sizes)
        return _render_shares([self.candidates[place] for place in places], list(sizes.values()), render)

    def use_slack(self) -> None:
        """Give the bytes that are left to the one that gains most by them, until nobody does."""
        hungry = {
            place
            for place, (rendition, size) in enumerate(zip(self.renditions, self.sizes, strict=True))
            if self.asks[place].steps or rendition.size_bytes >= size * _SATURATED
        }
        for _ in range(_SLACK_ROUNDS):
            slack = self.slack_bytes
            if not hungry or slack < self.budget_bytes * _SLACK_WORTH_USING:
                break
            place = max(sorted(hungry), key=self._gain)
            if self._gain(place) <= 0:
                break
            max_bytes = self.renditions[place].size_bytes + slack
            better = self._rendered({place: max_bytes})[0]
            hungry.discard(place)
            if self.renditions[place].size_bytes < better.size_bytes <= max_bytes:
                self.renditions[place] = better
                if better.size_bytes >= max_bytes * _SATURATED:
                    hungry.add(place)

    def _gain(self, place: int) -> float:
        """What all the bytes that are left are worth to one."""
        candidate, ask, made = self.candidates[place], self.asks[place], self.renditions[place]
        reach = made.size_bytes + self.slack_bytes
        more = ask.quality_at(reach) - ask.quality_at(made.size_bytes)
        if _original_within(candidate, reach) and made is not candidate.original:
            more = _PERFECT - made.quality
        return more * candidate.priority

    def below_floor(self) -> Shortfall | None:
        """The shortfall of a set in which a part is below its floor, whatever was foretold for it."""
        poor = [_is_poor(candidate, made) for candidate, made in zip(self.candidates, self.renditions, strict=True)]
        if not any(poor):
            return None
        needs = [
            ask.learnt(made).size_at(ask.floor) if is_poor else ask.size_at(ask.target(0))
            for ask, made, is_poor in zip(self.asks, self.renditions, poor, strict=True)
        ]
        # No lift reached it: it takes more than there is, whatever the curve says.
        needs[poor.index(True)] += max(0, self.budget_bytes + 1 - sum(needs))
        return Shortfall(tuple(needs), tuple(made.size_bytes for made in self.renditions))


def _is_enough(made: Rendition) -> bool:
    """Whether nobody could ask for more: whole, and hard to tell from its source."""
    return made.whole and made.quality >= GOOD_ENOUGH


def _rank(made: Rendition) -> tuple[bool, float]:
    return _is_enough(made), made.quality


def _is_poor(candidate: Candidate, made: Rendition) -> bool:
    """Whether what was made is below its floor; a ladder is known beforehand and gives what it has."""
    if made is candidate.original:
        return False
    with candidate.about():
        source = candidate.source()
        return made.quality < source.floor_quality and not source.curve().steps


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
    ask = _Ask(points, curve.steps, source.floor_quality, candidate.priority, curve.whole_bytes)
    return ask if candidate.source_bytes is None else ask.no_larger_than(candidate.source_bytes)


def _rising(curve: Curve) -> tuple[CurvePoint, ...]:
    """The curve without points that cost more for the same quality or less; up to where nothing is given up."""
    points = _without_loss(curve.points)
    if points[-1].size_bytes >= curve.whole_bytes:
        return points
    below = _without_loss([replace(point, quality=min(point.quality, _NOT_WHOLE)) for point in points])
    return (*below, CurvePoint(curve.whole_bytes, _PERFECT))


def _without_loss(points: Sequence[CurvePoint]) -> tuple[CurvePoint, ...]:
    rising: list[CurvePoint] = []
    for point in sorted(points, key=lambda point: (point.size_bytes, -point.quality)):
        if not rising or point.quality > rising[-1].quality:
            rising.append(point)
    return tuple(rising)


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
