"""Dividing the byte budget over the set: everyone to a floor, the rest where a byte buys most.

Comes in: candidates (rate-quality curves, originals that may go as they are) and a budget in bytes. Goes
out: shares, and renditions whose total fits, or a :class:`Shortfall`. Never: pixels, samples or file
formats; it sees sizes and qualities only.

Curves are forecasts. They steer the first division; what comes out is judged by what was measured on it: a part
below its floor, or one that stood at the end of what its curve asked for and still is not ``GOOD_ENOUGH`` and whole,
gets more as long as there are bytes that nobody else needs. Where measurements are far from the forecasts, above or
below, the set is divided once more by curves that go through them.

The rule, from measurement (six photos into 290 kB, 210 subsets): equal shares leave the worst picture at
28, the best possible worst is 65 but costs four points of mean; everyone to 0.9 of the best possible worst
and then by what each byte buys keeps 59 and gives the mean back. A file that can go as it is stays
untouched unless that would push another part below ``KEEP_LEVEL``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mmsprep.model import Rendition
from mmsprep.pipeline.asking import Candidate, Share, Shortfall, ask_of, is_poor, original_within, tried, whole_ask_of
from mmsprep.pipeline.division import (
    GOOD_ENOUGH,
    PERFECT,
    Ask,
    divide_asks,
    improvement,
    moved_sizes,
    worst_level,
)

KEEP_LEVEL = 60.0
"""Quality (0..100): an original stays untouched unless that pushes another part below this. Set by hand, between
medium and high."""
OF_A_WHOLE = 1.0
"""A share of the best possible worst, for the pages of one picture: who reads it reads the worst of them, too."""
_SLACK_WORTH_USING, _SLACK_WORTH_A_STEP = 0.0125, 0.004
_SLACK_ROUNDS = 6
_SATURATED = 0.97
"""Shares: bytes left over are handed on from 1.25 % of the budget on (`benchmarks/budget.py` asks that 98.5 % of the
whole message are used), to a ladder, which is quick to climb, from 0.4 % on; what fills 97 % of what it may take could
use more. Rounds are whole encodes."""
_MISLED = 10.0
"""Quality short of the forecast by this much: the set was divided by a wrong curve, and is divided again."""
_SURPRISED, _WORTH_DIVIDING = 3.0, 1.5
"""Quality: off by more, either way, is a wrong forecast; what another division must promise, on the worst part and the
mean together, since it may encode a clip again. Set by hand."""
_LIFTS, _LIFTS_TO_FLOOR = 2, 8
_LIFT_MARGIN, _FLOOR_STEP = 1.04, 1.1
"""How often a part may be made again to get to 90 and whole, and to its floor; how much more than the corrected curve
says it gets, and how much more than last time where even so it is poor. Set by hand."""

RenderAll = Callable[[Sequence[tuple[int, int]]], Sequence[Rendition]]
"""Render several candidates, given as (place, max_bytes), side by side; renditions in the same order."""


def divide(candidates: Sequence[Candidate], budget_bytes: int) -> tuple[Share, ...] | Shortfall:
    """Divide ``budget_bytes`` over ``candidates``; nothing is encoded.

    Originals that can go as they are stay; the largest gives way first when the others would fall below
    ``KEEP_LEVEL`` or the set would not fit. What is asked for is no reason to give up what may reach it. One alone that
    has plenty gets it all, without its curve. An animation that becomes a clip is divided for once more as that clip.
    """
    if len(candidates) == 1 and (share := _assured(candidates[0], budget_bytes)):
        return (share,)
    kept = [candidate.original is not None for candidate in candidates]
    while True:
        asks = [ask_of(candidate, keep) for candidate, keep in zip(candidates, kept, strict=True)]
        sizes = divide_asks(asks, budget_bytes)
        if sizes is not None and all(
            keep or ask.quality_at(size) >= min(KEEP_LEVEL, ask.best)
            for keep, ask, size in zip(kept, asks, sizes, strict=True)
        ):
            break
        if not any(kept):
            break
        kept[max(range(len(kept)), key=lambda place: asks[place].points[0].size_bytes * kept[place])] = False
    if sizes is None:
        asks_tried = [tried(one, ask) for one, ask in zip(candidates, asks, strict=True)]
        sizes = divide_asks(asks_tried, budget_bytes)
    if sizes is None:
        return _shortfall(asks)
    asks, sizes = _settled(candidates, kept, asks, sizes, budget_bytes)
    return tuple(
        Share(size, ask.quality_at(size), original_within(candidate, size) is not None)
        for candidate, ask, size in zip(candidates, asks, sizes, strict=True)
    )


def _settled(
    candidates: Sequence[Candidate], kept: Sequence[bool], asks: list[Ask], sizes: list[int], budget_bytes: int
) -> tuple[list[Ask], list[int]]:
    """Asks and sizes once more, of several ways with those alone that were taken at ``sizes``."""
    settled = [
        ask if keep or (taken := candidate.settled(size)) is candidate else ask_of(taken, keep=False)
        for candidate, keep, ask, size in zip(candidates, kept, asks, sizes, strict=True)
    ]
    divided = divide_asks(settled, budget_bytes) if settled != asks else None
    return (settled, divided) if divided else (asks, sizes)


def _assured(candidate: Candidate, budget_bytes: int) -> Share | None:
    """The whole budget, where that is certain to be right: what it buys is good, and not more than the source had."""
    if candidate.original is not None or (candidate.source_bytes or budget_bytes) < budget_bytes:
        return None
    with candidate.about():
        source = candidate.opened()
        quality = source.assured_quality(budget_bytes)
    if quality is None or quality < candidate.floor_quality(source):
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
    sizes = [budget_bytes if _has_it_all(candidates, budget_bytes) else share.max_bytes for share in shares]
    candidates = [
        candidate if share.keeps_original else candidate.settled(share.max_bytes)
        for candidate, share in zip(candidates, shares, strict=True)
    ]
    renditions = _render_shares(candidates, sizes, render_all)
    fits = sum(made.size_bytes for made in renditions) <= budget_bytes
    if fits and all(share.final for share in shares) and not any(map(is_poor, candidates, renditions)):
        return renditions
    asks = [ask_of(candidate, share.keeps_original) for candidate, share in zip(candidates, shares, strict=True)]
    fitting = _Fitting(candidates, budget_bytes, render_all, asks, sizes, renditions, [0] * len(asks))
    while fitting.is_over or fitting.short:
        if not (fitting.come_down() if fitting.is_over else fitting.lift()):
            return _shortfall(fitting.asks)
    fitting.divide_again()
    fitting.use_slack()
    return fitting.below_floor() or fitting.renditions


def _has_it_all(candidates: Sequence[Candidate], budget_bytes: int) -> bool:
    """Whether one alone, that is larger, may take all there is: a forecast that less is enough can be wrong."""
    first, *others = candidates
    return not others and first.original is None and (first.source_bytes or 0) >= budget_bytes


@dataclass(slots=True)
class _Fitting:
    """Renditions on their way to what the set can be at best; ``lifts`` counts how often each was given more."""

    candidates: Sequence[Candidate]
    budget_bytes: int
    render_all: RenderAll
    asks: list[Ask]
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
        divided = divide_asks(self.asks, self.budget_bytes)
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
        if is_poor(candidate, made):
            return self.lifts[place] < _LIFTS_TO_FLOOR
        if self.lifts[place] >= _LIFTS or _is_enough(made):
            return False
        if self.sizes[place] < ask.points[-1].size_bytes:
            return self.slack_bytes >= self.sizes[place]
        is_cut = whole_ask_of(self.candidates[place]).points[-1].size_bytes > ask.points[-1].size_bytes
        return is_cut or self._has_room(place) or made.size_bytes >= self.sizes[place] * _SATURATED

    def _has_room(self, place: int) -> bool:
        """Whether it is smaller than it could be although it may take twice the bytes without anybody's loss."""
        return not self.renditions[place].whole and self.slack_bytes >= self.sizes[place]

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
            divided = divide_asks(self.asks, self.budget_bytes) if misled else self._with_what_is_left(short)
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

    def _with_what_is_left(self, short: Sequence[int]) -> list[int]:
        """The sizes, with an equal share of what is left where that doubles one; less goes to whoever gains most."""
        more = self.slack_bytes // len(short)
        return [
            self.renditions[place].size_bytes + more if place in short and more >= size else size
            for place, size in enumerate(self.sizes)
        ]

    def _is_misled(self, place: int) -> bool:
        """Whether the division went by a quality that is far from the real one."""
        made = self.renditions[place]
        foretold = self.asks[place].quality_at(self.sizes[place])
        return is_poor(self.candidates[place], made) or made.quality < foretold - _MISLED

    def _lifted(self, place: int) -> Ask:
        """What a place asks for now: what should be enough, and if that was asked for before, all there is."""
        made = self.renditions[place]
        learnt = whole_ask_of(self.candidates[place]).learnt(made)
        if is_poor(self.candidates[place], made):
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
            elif made.size_bytes <= before.size_bytes and not self._has_room(place):
                self.lifts[place] = _LIFTS_TO_FLOOR
            self.sizes[place] = sizes[place]

    def _rendered(self, sizes: dict[int, int]) -> list[Rendition]:
        def render(asked: Sequence[tuple[int, int]]) -> Sequence[Rendition]:
            return self.render_all([(places[place], size) for place, size in asked])

        places = list(sizes)
        return _render_shares([self.candidates[place] for place in places], list(sizes.values()), render)

    def divide_again(self) -> None:
        """Divide by what was measured, once, where that is far from the forecasts and another division promises more.

        What comes of it is kept only where the worst part is no worse and the set is better.
        """
        if not any(self._is_surprising(place) for place in range(len(self.asks))):
            return
        asks = [self._measured_ask(place) for place in range(len(self.asks))]
        now = [made.quality for made in self.renditions]
        sizes = divide_asks(asks, self.budget_bytes, worst_level(asks, now))
        moved = moved_sizes([made.size_bytes for made in self.renditions], sizes, self.budget_bytes) if sizes else {}
        promised = [asks[place].quality_at(moved[place]) if place in moved else now[place] for place in range(len(now))]
        if improvement(asks, now, promised) < _WORTH_DIVIDING:
            return
        renditions = list(self.renditions)
        for place, made in zip(moved, self._rendered(moved), strict=True):
            renditions[place] = made
        better = improvement(asks, now, [made.quality for made in renditions]) > 0
        poor = any(map(is_poor, self.candidates, renditions))
        if better and not poor and _total(renditions) <= self.budget_bytes:
            self.renditions = renditions
            self.asks = [self._measured_ask(place) for place in range(len(asks))]
            for place, size in moved.items():
                self.sizes[place] = size

    def _is_surprising(self, place: int) -> bool:
        made = self.renditions[place]
        foretold = self._foretold_ask(place).quality_at(made.size_bytes)
        return self._is_encoded(place) and abs(made.quality - foretold) > _SURPRISED

    def _is_encoded(self, place: int) -> bool:
        return self.renditions[place] is not self.candidates[place].original and not self.asks[place].steps

    def _foretold_ask(self, place: int) -> Ask:
        """What a place asked for before it was given more."""
        return ask_of(self.candidates[place], keep=False) if self.lifts[place] else self.asks[place]

    def _measured_ask(self, place: int) -> Ask:
        ask = self._foretold_ask(place)
        return ask.learnt(self.renditions[place]) if self._is_encoded(place) else ask

    def use_slack(self) -> None:
        """Give the bytes that are left to the one that gains most by them, until nobody does."""
        hungry = {
            place
            for place, (rendition, size) in enumerate(zip(self.renditions, self.sizes, strict=True))
            if self.asks[place].steps or rendition.size_bytes >= size * _SATURATED
        }
        for _ in range(_SLACK_ROUNDS):
            slack = self.slack_bytes
            takers = sorted(place for place in hungry if slack >= self.budget_bytes * self._worth_using(place))
            if not takers:
                break
            place = max(takers, key=self._gain)
            if self._gain(place) <= 0:
                break
            max_bytes = self.renditions[place].size_bytes + slack
            better = self._rendered({place: max_bytes})[0]
            hungry.discard(place)
            if self.renditions[place].size_bytes < better.size_bytes <= max_bytes:
                self.renditions[place] = better
                if better.size_bytes >= max_bytes * _SATURATED:
                    hungry.add(place)

    def _worth_using(self, place: int) -> float:
        """The share of the budget from which on what is left is worth an encode of this one."""
        return _SLACK_WORTH_A_STEP if self.asks[place].steps else _SLACK_WORTH_USING

    def _gain(self, place: int) -> float:
        """What all the bytes that are left are worth to one."""
        candidate, ask, made = self.candidates[place], self.asks[place], self.renditions[place]
        reach = made.size_bytes + self.slack_bytes
        more = ask.quality_at(reach) - ask.quality_at(made.size_bytes)
        if original_within(candidate, reach) and made is not candidate.original:
            more = PERFECT - made.quality
        return more * candidate.priority

    def below_floor(self) -> Shortfall | None:
        """The shortfall of a set in which a part is below its floor, whatever was foretold for it."""
        poor = [is_poor(candidate, made) for candidate, made in zip(self.candidates, self.renditions, strict=True)]
        if not any(poor):
            return None
        needs = [
            ask.learnt(made).size_at(ask.floor) if is_poor else ask.size_at(ask.least)
            for ask, made, is_poor in zip(self.asks, self.renditions, poor, strict=True)
        ]
        # No lift reached it: it takes more than there is, whatever the curve says.
        needs[poor.index(True)] += max(0, self.budget_bytes + 1 - sum(needs))
        return Shortfall(tuple(needs), tuple(made.size_bytes for made in self.renditions))


def _is_enough(made: Rendition) -> bool:
    """Whether nobody could ask for more: whole, and hard to tell from its source, or all that its profile allows."""
    return made.at_limit or (made.whole and made.quality >= GOOD_ENOUGH)


def _rank(made: Rendition) -> tuple[bool, float]:
    return _is_enough(made), made.quality


def _render_shares(candidates: Sequence[Candidate], sizes: Sequence[int], render_all: RenderAll) -> list[Rendition]:
    """A rendition a candidate: its original where the share holds it, an encode elsewhere."""
    originals = [original_within(candidate, size) for candidate, size in zip(candidates, sizes, strict=True)]
    asked = [(place, sizes[place]) for place, original in enumerate(originals) if original is None]
    encoded = iter(render_all(asked) if asked else ())
    return [original or next(encoded) for original in originals]


def _total(renditions: Sequence[Rendition]) -> int:
    return sum(rendition.size_bytes for rendition in renditions)


def _shortfall(asks: Sequence[Ask]) -> Shortfall:
    return Shortfall(tuple(ask.size_at(ask.least) for ask in asks), tuple(ask.points[0].size_bytes for ask in asks))
