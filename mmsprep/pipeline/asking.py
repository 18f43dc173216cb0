"""What a division is asked for: candidates, and of each what its floor takes and whether an encode reaches it.

Comes in: sources, originals that may go as they are, floors. Goes out: an ask for the division, bytes, a verdict on a
rendition. Never: a division; an encode only to tell what one needs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

from mmsprep.model import CurvePoint, Rendition, Source
from mmsprep.pipeline.division import PERFECT, WORST_SHARE, Ask, rising

_LEAST_SHOWN = 0.01
"""A share, so that it divides."""
_UNREACHED = 5.0
"""A floor this near to the best foretold is as near as can be asked for."""
_UNSURE, _UNSURE_OF_QUICK, _DOUBTFUL = 15.0, 20.0, 8.0
"""A quality that was asked for and is foretold to be missed by no more is tried: clips are foretold 5 off in the mean,
those that hardly change up to 25 too low. So is any floor of what takes little to encode. Photographs are foretold 2.5
off (`benchmarks/forecast.py`), seldom by more than the third: nearer to its floor only an encode tells."""
_NEED_TRIALS, _JUST_ABOVE, _NEED_STEP, _NEED_LEAP = 6, 1.5, 1.03, 1.5
"""Encodes to tell what one needs, at most; the quality above its floor by which that is told well enough; how many
times as much is tried at least where it was below, and how many times less at most where it was above. Set by hand."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One attachment to fit.

    ``source`` gives its source (the same one at every call; the first may be costly), ``original`` is set
    when the attachment can go as it is, ``priority`` shifts the division: 2 asks for half the loss.
    ``source_bytes`` is the attachment's own size: once a result is whole and hard to tell from it, it is not made
    larger than that (``None``: no such bound). ``floor`` is the shown quality asked for in place of the source's floor,
    as far as the source can reach it; 0 takes whatever there is. ``about`` surrounds the work on it, so that what goes
    wrong is told as its own. ``worst_share`` is how near it is brought to the best possible worst of the set.
    """

    source: Callable[[], Source]
    original: Rendition | None = None
    priority: float = 1.0
    source_bytes: int | None = None
    floor: float | None = None
    about: Callable[[], AbstractContextManager[None]] = nullcontext
    worst_share: float = WORST_SHARE

    def opened(self) -> Source:
        """Its source, which knows what is asked of it."""
        source = self.source()
        return source.reaching(self._asked_of(source)) if self.floor else source

    def settled(self, size_bytes: int) -> Candidate:
        """The same, its source as what it becomes in ``size_bytes``."""
        with self.about():
            source = self.opened()
            taken = source.settled(size_bytes)
        return self if taken is source else replace(self, source=lambda: taken)

    def _asked_of(self, source: Source) -> float:
        return (self.floor or 0.0) / max(_LEAST_SHOWN, source.shown)

    def floor_quality(self, source: Source) -> float:
        """Below this a rendition of ``source``, which is this one's, is not what was asked for."""
        if not self.floor:
            return source.floor_quality if self.floor is None else 0.0
        best = max(point.quality for point in source.curve().points)
        return max(source.floor_quality, min(self._asked_of(source), best - _UNREACHED))

    def as_seen(self, made: Rendition) -> Rendition:
        """``made`` with what a more exact measure says of it; what passed its floor is told no less than that."""
        if made is self.original:
            return made
        with self.about():
            source = self.opened()
            seen = source.seen(made)
            if seen.seen_quality is None:
                return seen
            passed = min(made.quality, self.floor_quality(source))
            return replace(seen, seen_quality=max(seen.seen_quality, passed))


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


def ask_of(candidate: Candidate, keep: bool) -> Ask:
    """How a candidate stands in the division: untouched when ``keep``, else by its curve."""
    original = candidate.original
    if keep and original is not None:
        return Ask((CurvePoint(original.size_bytes, PERFECT),), True, 0, candidate.priority)
    with candidate.about():
        source = candidate.opened()
        curve = source.curve()
    floor, priority = candidate.floor_quality(source), candidate.priority
    ask = Ask(rising(curve), curve.steps, floor, priority, curve.whole_bytes, candidate.worst_share)
    if original is not None:
        ask = ask.with_original(original.size_bytes)
    return ask if candidate.source_bytes is None else ask.no_larger_than(candidate.source_bytes)


def whole_ask_of(candidate: Candidate) -> Ask:
    """The same by its whole curve: as if it might be larger than its attachment."""
    return ask_of(replace(candidate, source_bytes=None), keep=False)


def tried(candidate: Candidate, ask: Ask) -> Ask:
    """``ask`` with the floor at which it is worth an encode to see whether it reaches what is asked of it."""
    with candidate.about():
        source = candidate.opened()
    quick = max(0.0, ask.floor - _UNSURE_OF_QUICK) if source.is_quick else ask.floor
    asked = max(source.floor_quality, ask.floor - _UNSURE) if candidate.floor else ask.floor
    return replace(ask, floor=min(ask.floor, quick, asked))


def is_poor(candidate: Candidate, made: Rendition) -> bool:
    """Whether what was made is below its floor; a ladder is known beforehand and gives what it has, and what is at its
    profile's limit is as such phones show it: no bytes make that better."""
    if made is candidate.original or made.at_limit:
        return False
    with candidate.about():
        source = candidate.opened()
        floor = candidate.floor_quality(source)
        return made.quality < floor and _at_best(source, made) < floor and not source.curve().steps


def _at_best(source: Source, made: Rendition) -> float:
    """The quality by whichever measure says more: nothing is refused that either finds worth sending."""
    return max(made.quality, source.seen(made).seen_quality or 0.0)


def original_within(candidate: Candidate, size_bytes: int) -> Rendition | None:
    """Its original, where that can go as it is in so many bytes."""
    original = candidate.original
    return original if original is not None and original.size_bytes <= size_bytes else None


def is_doubtful(candidates: Sequence[Candidate], shares: Sequence[Share]) -> bool:
    """Whether only encodes can tell that all are above their floors, and all that must be encoded are quick."""
    near = False
    for candidate, share in zip(candidates, shares, strict=True):
        if share.keeps_original:
            continue
        with candidate.about():
            source = candidate.opened()
            if not source.is_quick:
                return False
            near = near or share.quality < candidate.floor_quality(source) + _DOUBTFUL
    return near


def floor_bytes(candidate: Candidate) -> int:
    """The least bytes at which this one is worth sending."""
    ask = ask_of(candidate, keep=False)
    return ask.size_at(ask.least)


def needed_bytes(candidate: Candidate, foretold_bytes: int, too_few_bytes: int = 0) -> int:
    """The least bytes at which this one is worth sending: as foretold, or where it is quick to encode, as tried.

    ``too_few_bytes`` are known to be not enough.
    """
    with candidate.about():
        source = candidate.opened()
        if not source.is_quick or source.curve().steps:
            return foretold_bytes
        ask = whole_ask_of(candidate)
        floor = candidate.floor_quality(source)
        too_few, enough = CurvePoint(too_few_bytes, 0.0), None
        size = max(foretold_bytes, math.ceil(too_few_bytes * _NEED_STEP))
        for _ in range(_NEED_TRIALS):
            made = source.render(size)
            trial = CurvePoint(size, _at_best(source, made))
            if is_poor(candidate, made):
                too_few = trial
            else:
                enough = trial
            if enough and (
                enough.quality < floor + _JUST_ABOVE or enough.size_bytes <= too_few.size_bytes * _NEED_STEP
            ):
                break
            ask = ask.learnt(replace(made, quality=trial.quality))
            size = _next_trial(ask.size_at(floor), too_few, enough, floor)
    return enough.size_bytes if enough else size


def _next_trial(foretold_bytes: int, too_few: CurvePoint, enough: CurvePoint | None, floor: float) -> int:
    """The bytes to try next, between those that were too few and those that were enough."""
    if enough is None:
        return max(math.ceil(too_few.size_bytes * _NEED_STEP), foretold_bytes)
    if not too_few.quality:
        return max(
            math.ceil(enough.size_bytes / _NEED_LEAP), too_few.size_bytes + 1, min(foretold_bytes, enough.size_bytes)
        )
    part = (floor + _JUST_ABOVE / 2 - too_few.quality) / (enough.quality - too_few.quality)
    ratio = enough.size_bytes / too_few.size_bytes
    return math.ceil(too_few.size_bytes * math.pow(ratio, min(0.9, max(0.1, part))))
