"""What would make a poor message better, said in one line with figures.

Comes in: the entries of a message and what became of them. Goes out: lines for people. Never: an encode, or a change.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mmsprep.model import Action, PartReport
from mmsprep.pipeline.asking import floor_bytes
from mmsprep.pipeline.job import QUALITY_WORDS
from mmsprep.pipeline.pages import in_pages, is_tall_lettering
from mmsprep.pipeline.rescue import IN_PAGES, groups_in_order, is_moving, trimmed_to_fit
from mmsprep.pipeline.running import Entry, Run

_MEDIUM = QUALITY_WORDS["medium"]
_AS_GOOD = 0.5
"""Tables show whole numbers: 49.6 is 50 to whoever reads it."""

_SHORTEST_S = 1.0
_SHORTER = 0.95
"""Trimming to less than that is no help, nor is trimming to what there is."""


def advice(
    this: Run, entries: Sequence[Entry], parts: Sequence[PartReport], budget_bytes: int, *, splits: bool = False
) -> tuple[str, ...]:
    """A line when a part is below the quality asked for, or medium: how many are, and what would help.

    ``splits``: several messages were asked for already.
    """
    least = (_MEDIUM if this.floor is None else this.floor) - _AS_GOOD
    low = [place for place, part in enumerate(parts) if part.action is Action.TRANSCODE and part.quality < least]
    if not low:
        return ()
    worst = min(parts[place].quality for place in low)
    word = "low" if worst >= QUALITY_WORDS["low"] else "low or poor"
    if this.floor is not None:
        word = f"below the quality asked for, {this.floor:g}"
    told = f"{len(low)} of {len(parts)} parts {'is' if len(low) == 1 else 'are'} {word} (the worst {worst:.0f} of 100)"
    if len(parts) == 1:
        told = f"its quality is {word} ({worst:.0f} of 100)"
    if splits and this.floor is not None:
        return (told,)
    return (f"{told}; {_what_helps(this, entries, low, budget_bytes, splits=splits)}",)


def _what_helps(this: Run, entries: Sequence[Entry], low: Sequence[int], budget_bytes: int, *, splits: bool) -> str:
    paged = in_pages(entries) or entries
    wanted = [replace(one, candidate=replace(one.ready, floor=_MEDIUM)) for one in paged]
    helps: list[str] = []
    split = "" if splits else "--split "
    groups = groups_in_order(this, wanted, roughly=True)
    page_count = sum(one.page is not None for one in paged)
    count = len(groups) if groups else 0
    if page_count and count:
        # Lettering takes more bytes than foretold; where that was one message's, it was too much for one.
        helps.append(f"{split}--quality medium sends {page_count} pages in {max(2, count)} messages or more")
    elif count > 1:
        helps.append(f"{split}--quality medium makes {count} messages")
    wanted = [replace(one, candidate=replace(one.ready, floor=_MEDIUM)) for one in entries]
    timed = [place for place in low if entries[place].ready.opened().duration_s]
    shorter = trimmed_to_fit([one.ready for one in wanted], budget_bytes) if timed and not helps else None
    if shorter:
        kept_s = max(shorter[place].opened().duration_s or 0 for place in timed)
        whole_s = max(entries[place].ready.opened().duration_s or 0 for place in timed)
        if _SHORTEST_S <= kept_s <= whole_s * _SHORTER:
            helps.append(f"--trim --quality medium keeps the first {kept_s:.0f} s")
    moving = any(is_moving(entries[place]) for place in low)
    if moving and not helps:
        helps.append("--poster --quality medium sends the best frame")
    if moving:
        helps.append("--slides shows its scenes as sharp pictures, each as long as it stood")
    if not helps and any(entries[place].lengths_s for place in low):
        helps.append("fewer seconds (--from, --to) would leave more for each slide")
    if not helps and not this.job.pages and any(is_tall_lettering(entries[place]) for place in low):
        helps.append(IN_PAGES)
    if not helps and all(floor_bytes(wanted[place].ready) <= budget_bytes for place in low) and len(entries) > 1:
        helps.append("fewer attachments would leave more for each")
    return "; ".join(helps) or "a message of this size cannot show more of it; crop it, or send it in pieces"
