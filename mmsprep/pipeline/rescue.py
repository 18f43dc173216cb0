"""When the set does not fit: posters, cuts, several messages, or the error that says what would help.

Comes in: opened entries and a shortfall. Goes out: entries that need less, groups, or an error. Never: an encode, but
of pictures for an error that says what they need.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from statistics import fmean

from mmsprep.errors import BelowFloor
from mmsprep.message.message import overhead_bytes
from mmsprep.model import Kind
from mmsprep.pipeline.asking import Candidate, Shortfall, floor_bytes, needed_bytes
from mmsprep.pipeline.assemble import HEADER_SLACK_BYTES, predict_part
from mmsprep.pipeline.pages import in_pages, is_tall_lettering
from mmsprep.pipeline.running import Entry, OpenOnce, Run, already_open
from mmsprep.transcode import open_poster

SHORTEST_S = 1.0
"""Seconds that a clip or recording keeps at least. Set by hand."""
IN_PAGES = "--pages cuts what is tall into pages that can be read; with --split, in as many messages as they need"
_COUNTS_LESS = "its priority counts less than asked: with all of it another part would fall below its floor"
_DOES_NOT_COUNT = "its priority does not count: with it another part would fall below its floor"
_PAGES_LOOKED_AT = 4
"""Of one picture, where it is advice that needs to know: thirty take as long to look at as to send. Set by hand."""
_MOST_TRIED, _SURELY, _ROUNDED_TO = 12, 1.03, 100
"""Attachments whose needs are tried for an error; a limit that is advised is for so many times what is needed, in bytes
so round. Set by hand."""
_SMALLEST_WISH = math.log(1.25)
"""A priority of a quarter more or less than others is too little to divide for once more. Set by hand."""
_CUT_AT_LEAST = 0.95
_TRIM_ROUNDS = 5
_TRIM_MARGIN = 0.98
"""Shares: a cut that real encodes ask for takes a twentieth at least; every cut is 2 % shorter than bytes that fall as
seconds do would allow. Set by hand."""


def rescued(this: Run, entries: Sequence[Entry], shortfall: Shortfall, budget_bytes: int) -> Sequence[Entry]:
    """The entries with the neediest clip as a poster, or with all clips and recordings cut."""
    clips = [place for place, entry in enumerate(entries) if is_moving(entry)]
    if this.job.poster and clips:
        place = max(clips, key=lambda place: shortfall.floor_bytes[place])
        entry = entries[place]
        opener = partial(open_poster, entry.attachment, entry.wanted, entry.plan, this.profile, this.workspace)
        poster = replace(entry, poster=True, candidate=replace(entry.ready, source=OpenOnce(opener), original=None))
        return [*entries[:place], poster, *entries[place + 1 :]]
    shorter = _cut(entries, shortfall, budget_bytes) if this.job.trim else None
    if shorter is None:
        raise below_floor(this, entries, shortfall, budget_bytes)
    return [replace(entry, candidate=candidate) for entry, candidate in zip(entries, shorter, strict=True)]


def with_smaller_wishes(entries: Sequence[Entry]) -> list[Entry]:
    """The entries with each priority nearer to 1, its square root: no wish makes impossible what fits without it."""
    priorities = [math.sqrt(entry.ready.priority) for entry in entries]
    counted = [priority if abs(math.log(priority)) > _SMALLEST_WISH else 1.0 for priority in priorities]
    return [
        replace(entry, candidate=replace(entry.ready, priority=priority))
        for entry, priority in zip(entries, counted, strict=True)
    ]


def told_of_wishes(wished: Sequence[Entry], entries: Sequence[Entry]) -> list[Entry]:
    """The entries, each whose priority is not the one that was wished for with a note of it."""
    return [
        entry
        if entry.ready.priority == before.ready.priority
        else replace(entry, notes=(*entry.notes, _DOES_NOT_COUNT if entry.ready.priority == 1 else _COUNTS_LESS))
        for before, entry in zip(wished, entries, strict=True)
    ]


def is_moving(entry: Entry) -> bool:
    """Whether it is sent as a clip."""
    return entry.info.kind is Kind.VIDEO and not entry.poster and not entry.lengths_s


def _of_slides(entry: Entry) -> str:
    if not entry.lengths_s:
        return ""
    return f", slide {entry.slide}" if entry.slide else ", its sound"


def _cut(entries: Sequence[Entry], shortfall: Shortfall, budget_bytes: int) -> tuple[Candidate, ...] | None:
    """What can be cut, cut until it fits, also where real encodes needed more than their curves say."""
    candidates = [entry.ready for entry in entries]
    foretold, needed = sum(map(floor_bytes, candidates)), sum(shortfall.floor_bytes)
    if foretold < needed:
        budget_bytes = min(math.floor(budget_bytes * foretold / needed), math.floor(foretold * _CUT_AT_LEAST))
    return trimmed_to_fit(candidates, budget_bytes)


def groups_in_order(
    this: Run, entries: Sequence[Entry], shortfall: Shortfall | None = None, *, roughly: bool = False
) -> list[list[int]] | None:
    """The fewest consecutive groups that keep everyone above the floor; ``None`` where that cannot be.

    The slides of a clip stay together with its sound. ``shortfall`` says what the floors took in real encodes, where
    there were any. ``roughly``: of many pages a few are looked at, for advice.
    """
    with_text = overhead_bytes([], this.text, this.subject)
    without_text = overhead_bytes([], "", this.subject)
    stubs = [predict_part(this, place, entry, None) for place, entry in enumerate(entries, start=1)]
    floors = shortfall.floor_bytes if shortfall else _floors(entries, roughly=roughly)
    needs = [
        floor + entry.part_count * (HEADER_SLACK_BYTES + overhead_bytes([stub], "", this.subject) - without_text)
        for entry, floor, stub in zip(entries, floors, stubs, strict=True)
    ]
    first_extra = with_text - without_text
    budget_bytes = this.usable_bytes - without_text
    units = inseparable(entries)
    groups = pack_in_order(
        [sum(needs[place] for place in unit) for unit in units],
        budget_bytes,
        this.profile.message.max_attachments,
        first_extra,
        [sum(entries[place].part_count for place in unit) for unit in units],
    )
    return groups and [[place for unit in group for place in units[unit]] for group in groups]


def _floors(entries: Sequence[Entry], *, roughly: bool) -> list[int]:
    """The floor of each in bytes; ``roughly``: pages that are not looked at need what those that are do in the mean."""
    pages: dict[int, list[int]] = {}
    for place, entry in enumerate(entries):
        if entry.page and roughly:
            pages.setdefault(entry.attachment.index, []).append(place)
    told: dict[int, int] = {}
    for places in pages.values():
        looked_at = places[:: math.ceil(len(places) / _PAGES_LOOKED_AT)]
        mean = round(fmean(floor_bytes(entries[place].ready) for place in looked_at))
        told |= dict.fromkeys(set(places) - set(looked_at), mean)
    return [told[place] if place in told else floor_bytes(entry.ready) for place, entry in enumerate(entries)]


def inseparable(entries: Sequence[Entry]) -> list[list[int]]:
    """The places of what goes with the same message: the slides of one clip and their sound; else each by itself."""
    units: list[list[int]] = []
    for place, entry in enumerate(entries):
        before = entries[place - 1] if place else None
        if before and before.lengths_s and entry.lengths_s and before.attachment.index == entry.attachment.index:
            units[-1].append(place)
        else:
            units.append([place])
    return units


def below_floor(this: Run, entries: Sequence[Entry], shortfall: Shortfall, budget_bytes: int) -> BelowFloor:
    """The error that says how small the set gets, and what would help."""
    shortfall = _measured(this, entries, shortfall, budget_bytes)
    smallest, at_floor = sum(shortfall.smallest_bytes), sum(shortfall.floor_bytes)
    problem = (
        f"the set needs {at_floor:,} bytes to be worth looking at and listening to;"
        f" the limit of {this.limit_bytes:,} leaves {budget_bytes:,} for attachments."
    )
    shorter = _cut(entries, shortfall, budget_bytes)
    advice = _needs_of_pages(this, entries, shortfall)
    for place, (entry, need) in enumerate(zip(entries, shortfall.floor_bytes, strict=True)):
        if entry.page:
            continue
        seconds = entry.ready.opened().duration_s
        line = f"{this.label(entry.attachment.index)}{_of_slides(entry)}: needs {need:,} bytes"
        if seconds:
            line += f" for {seconds:.0f} s"
        if seconds and shorter:
            line += f"; its first {shorter[place].opened().duration_s or 0:.0f} s would fit (--trim)"
        if seconds and is_moving(entry):
            line += "; or send its best frame as a picture (--poster), or its scenes as pictures (--slides)"
        advice.append(line)
    if any(entry.lengths_s for entry in entries):
        advice.append("fewer seconds of the clip need less (--from, --to)")
    advice += _what_splits(this, entries, shortfall)
    if not this.job.best_effort:
        advice.append("--best-effort sends it as it is, below what is worth looking at")
    enough_bytes = this.limit_bytes - budget_bytes + at_floor * _SURELY
    enough = math.ceil(enough_bytes / _ROUNDED_TO) * _ROUNDED_TO
    fewer = "leave an attachment out, or " if len(entries) > 1 else ""
    advice.append(f"or {fewer}give a --limit of {enough:,} or more if the gateway takes it")
    return BelowFloor(problem, smallest, this.limit_bytes, tuple(advice))


def _measured(this: Run, entries: Sequence[Entry], shortfall: Shortfall, budget_bytes: int) -> Shortfall:
    """The shortfall with what each needs as encodes tell it, where these are quick and not too many."""
    # With best effort nobody is told: what is below its floor is sent.
    if len(entries) > _MOST_TRIED or this.job.best_effort:
        return shortfall
    too_few_bytes = budget_bytes if len(entries) == 1 else 0

    def needs(entry: Entry, foretold_bytes: int) -> int:
        return foretold_bytes if entry.page else needed_bytes(entry.ready, foretold_bytes, too_few_bytes)

    return replace(shortfall, floor_bytes=tuple(this.pool.map(needs, entries, shortfall.floor_bytes)))


def too_many_pages(this: Run, entries: Sequence[Entry]) -> BelowFloor:
    """The error of tall pictures that cannot be read in one part and would be more pages than a message has parts."""
    worst = min((one for one in entries if one.pages), key=lambda one: one.whole_quality)
    count, most = sum(max(1, len(one.pages)) for one in entries), this.profile.message.max_attachments
    problem = (
        f"{this.label(worst.attachment.index)} cannot be read in one part (its quality would be"
        f" {worst.whole_quality:.0f} of 100), and in pages the message would have {count} parts; {most} are allowed"
    )
    smallest = sum(min(point.size_bytes for point in one.ready.opened().curve().points) for one in entries)
    advice = _what_splits(this, entries, None)
    if not this.job.best_effort:
        advice.append("--best-effort sends it as it is, below what is worth looking at")
    return BelowFloor(problem, smallest, this.limit_bytes, tuple(advice))


def _needs_of_pages(this: Run, entries: Sequence[Entry], shortfall: Shortfall) -> list[str]:
    """A line for each picture that is in pages."""
    needs: dict[int, list[int]] = {}
    for entry, need in zip(entries, shortfall.floor_bytes, strict=True):
        if entry.page:
            needs.setdefault(entry.attachment.index, []).append(need)
    return [
        f"{this.label(index)}: cannot be read in one part; its {len(each)} pages need {sum(each):,} bytes"
        for index, each in needs.items()
    ]


def _what_splits(this: Run, entries: Sequence[Entry], shortfall: Shortfall | None) -> list[str]:
    """How many messages would hold it; pages that were too much for one take more than foretold."""
    paged = in_pages(entries)
    pages = [one for one in paged or entries if one.page]
    groups = groups_in_order(this, paged, roughly=True) if paged else groups_in_order(this, entries, shortfall)
    if not pages and groups and len(groups) > 1:
        return [f"sent as {len(groups)} messages it would fit (--split)"]
    if pages:
        count = max(2, len(groups or ()))
        return [f"sent as {count} messages or more it would fit (--split), tall pictures in {len(pages)} pages"]
    if not this.job.pages and any(is_tall_lettering(one) for one in entries):
        return [IN_PAGES]
    return []


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
        timed = {place: duration for place, one in enumerate(trimmed) if (duration := one.opened().duration_s)}
        left_bytes = budget_bytes - sum(need for place, need in enumerate(needs) if place not in timed)
        part = _TRIM_MARGIN * left_bytes / max(1, sum(needs[place] for place in timed))
        if not timed or min(timed.values()) * part < SHORTEST_S:
            return None
        for place, seconds in timed.items():
            with trimmed[place].about():
                shorter = trimmed[place].opened().trimmed(seconds * part)
            trimmed[place] = replace(trimmed[place], source=already_open(shorter), original=None)
    return None


def pack_in_order(
    sizes: Sequence[int],
    budget_bytes: int,
    max_parts: int,
    first_extra_bytes: int = 0,
    part_counts: Sequence[int] = (),
) -> list[list[int]] | None:
    """Places of ``sizes`` in the fewest consecutive groups that fit; ``None`` when one alone does not.

    Each is one part, or as many as ``part_counts`` says.

    Of all ways to make that few groups, the one whose fullest group is emptiest: what is left over is then
    spread over all messages. The first group also carries ``first_extra_bytes`` (the message's text), and may
    hold nothing else.
    """
    part_counts = part_counts or [1] * len(sizes)
    if any(size > budget_bytes for size in sizes) or any(count > max_parts for count in part_counts):
        return None
    groups = _filled_in_order(sizes, part_counts, budget_bytes, max_parts, first_extra_bytes)
    low, high = max((*sizes, first_extra_bytes), default=0), budget_bytes
    while low < high:
        middle = (low + high) // 2
        emptier = _filled_in_order(sizes, part_counts, middle, max_parts, first_extra_bytes)
        if len(emptier) == len(groups):
            groups, high = emptier, middle
        else:
            low = middle + 1
    return groups


def _filled_in_order(
    sizes: Sequence[int], part_counts: Sequence[int], budget_bytes: int, max_parts: int, first_extra_bytes: int
) -> list[list[int]]:
    """Each group filled before the next is begun: no order-keeping division has fewer groups."""
    groups: list[list[int]] = [[]]
    filled, parts = first_extra_bytes, 0
    for place, (size, part_count) in enumerate(zip(sizes, part_counts, strict=True)):
        if filled + size > budget_bytes or parts + part_count > max_parts:
            groups.append([])
            filled = parts = 0
        groups[-1].append(place)
        filled += size
        parts += part_count
    return groups
