"""Everyone above the floor: the budget divided and encoded, and what helps where that does not reach it.

Comes in: opened entries. Goes out: the entries as they are sent, with shares or renditions. Never: a part or a
message.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from mmsprep.errors import BelowFloor
from mmsprep.model import Rendition
from mmsprep.pipeline.asking import Share, Shortfall
from mmsprep.pipeline.assemble import budget_bytes_of
from mmsprep.pipeline.fit import divide, fit
from mmsprep.pipeline.rescue import rescued, told_of_wishes, with_smaller_wishes
from mmsprep.pipeline.running import Entry, Run

_Result = TypeVar("_Result")


def above_floor(
    this: Run,
    entries: Sequence[Entry],
    work: Callable[[Run, Sequence[Entry]], _Result],
    *,
    splits: bool = False,
    at_last: bool = True,
) -> _Result:
    """``work`` with every part above its floor; where that cannot be, as good as can be if the job says so.

    Once a set is split to its end (``at_last``), nothing more can be done for a quality that was asked for: the
    profile's floors count then.
    """
    floors: list[float | None] = [this.floor]
    floors += [None] if splits and at_last and this.floor else []
    # In one message, what is below the floor in pages may be better whole.
    goes_on = at_last if splits else all(entry.floor == 0 for entry in entries if entry.page)
    floors += [0] if this.job.best_effort and goes_on else []
    for floor in floors[:-1]:
        try:
            return work(this, _with_floor(entries, floor))
        except BelowFloor:
            continue
    return work(this, _with_floor(entries, floors[-1]))


def _with_floor(entries: Sequence[Entry], floor: float | None) -> list[Entry]:
    return [
        replace(entry, candidate=replace(entry.ready, floor=entry.floor if floor is None else floor))
        for entry in entries
    ]


def divided(this: Run, entries: Sequence[Entry]) -> tuple[Sequence[Entry], Sequence[Share]]:
    """Divide the budget; what is too long becomes a poster or is cut, if the job says so."""
    budget_bytes = budget_bytes_of(this, entries)
    shares = divide([entry.ready for entry in entries], budget_bytes)
    while isinstance(shares, Shortfall):
        entries = rescued(this, entries, shares, budget_bytes)
        shares = divide([entry.ready for entry in entries], budget_bytes)
    return entries, shares


def fitted(this: Run, entries: Sequence[Entry]) -> tuple[Sequence[Entry], list[Rendition]]:
    """Divide, encode, see what came out; where that falls below what was foretold for it, what helps then is done."""

    def render_one(asked: tuple[int, int]) -> Rendition:
        place, max_bytes = asked
        with this.stage("encode", entries[place].attachment), this.during(entries[place], "encode"):
            rendition = entries[place].ready.opened().render(max_bytes)
        this.tell(entries[place], "encode")
        return rendition

    def render_all(asked: Sequence[tuple[int, int]]) -> list[Rendition]:
        return list(this.pool.map(render_one, asked))

    wished = entries
    while True:
        entries, shares = divided(this, entries)
        budget_bytes = budget_bytes_of(this, entries)
        renditions = fit([entry.ready for entry in entries], shares, budget_bytes, render_all)
        if not isinstance(renditions, Shortfall):
            seen = this.pool.map(lambda entry, made: entry.ready.as_seen(made), entries, renditions)
            return told_of_wishes(wished, entries), list(seen)
        if any(entry.ready.priority != 1 for entry in entries):
            entries = with_smaller_wishes(entries)
        else:
            entries = rescued(this, entries, renditions, budget_bytes)
