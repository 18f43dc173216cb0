"""A tall picture of lettering in pages, where it would be illegible in one part: a part each, in one message or more.

Comes in: an opened entry. Goes out: the same with the pages that it can become, and entries with these in its place.
Never: an encode, or a picture cut that can be read whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

from mmsprep.errors import OverInputLimit
from mmsprep.model import Kind, Page
from mmsprep.pipeline.asking import Candidate, Shortfall
from mmsprep.pipeline.fit import OF_A_WHOLE, divide
from mmsprep.pipeline.job import QUALITY_WORDS
from mmsprep.pipeline.running import Entry, Run, already_open

TALL_RATIO = 3.0
"""Of height to width: no phone is taller than 2.3."""
_LEGIBLE = QUALITY_WORDS["medium"]
_PAGE_FLOOR = 40.0
"""Quality (0..100): lettering of a page as wide as half a screen is read without effort. Looked at."""
_LEGIBLE_SHRINK = 2.5
"""Body text of a screenshot, 36 px high, is 14 px high then; below that letters run into one another."""


_MOST_HALVINGS = 2
"""Of the height of pages, where one of the usual height cannot be read with a message to itself."""


def with_pages(this: Run, entry: Entry, *, splits: bool = False) -> Entry:
    """The entry with its ``pages``, where one part of it could not be read; else as it is.

    In one message pages are to be worth looking at, as any picture; where several are asked for (``splits``) each page
    is to be legible.

    Raises:
        Damaged, OverInputLimit: as where it was opened.
    """
    if not this.job.pages or not is_tall_lettering(entry):
        return entry
    whole = entry.ready.opened()
    # Forecasts are of photographs; of lettering they are off by ten points and more.
    quality = whole.render(this.usable_bytes).quality * whole.shown
    if whole.drawn_shrink <= _LEGIBLE_SHRINK and quality >= _LEGIBLE:
        return entry
    pages = _pages_of(this, entry, _PAGE_FLOOR if splits else None)
    return replace(entry, pages=pages, whole_quality=quality)


def with_smaller_pages(this: Run, entries: Sequence[Entry]) -> Iterator[list[Entry]]:
    """The entries of a split with pages that are half as high, and again, as long as nobody gets too many of them."""
    if not any(entry.pages for entry in entries):
        return
    for halvings in range(1, _MOST_HALVINGS + 1):
        try:
            smaller = [one.pages and _pages_of(this, one, _PAGE_FLOOR, halvings) for one in entries]
        except OverInputLimit:
            return
        yield [replace(one, pages=pages) for one, pages in zip(entries, smaller, strict=True)]


def is_tall_lettering(entry: Entry) -> bool:
    """Whether it could be cut into pages."""
    info = entry.info
    width_px, height_px = info.width_px or 0, info.height_px or 0
    is_tall = info.kind is Kind.IMAGE and height_px > TALL_RATIO * width_px > 0 and (info.frame_count or 1) == 1
    return is_tall and entry.page is None and entry.ready.original is None and entry.ready.opened().drawn_shrink > 0


def _pages_of(this: Run, entry: Entry, floor: float | None, halvings: int = 0) -> tuple[Entry, ...]:
    from mmsprep.transcode import open_pages

    attachment, info = entry.attachment, entry.info
    with this.about(attachment):
        size_px, opened = open_pages(attachment, info, this.profile, this.workspace, halvings)
    count = len(opened)
    if count < 2:
        return ()
    told = (
        f"cut into {count} pages of {size_px[0]} x {max(one.bottom_px - one.top_px for one in opened)} px at most,"
        " because it would be illegible in one part (--no-pages sends it whole)"
    )
    about = partial(this.about, attachment)
    pages = []
    for number, one in enumerate(opened, start=1):
        share = (one.bottom_px - one.top_px) / size_px[1]
        candidate = Candidate(
            already_open(one.source),
            None,
            entry.ready.priority,
            round(info.size_bytes * share),
            floor if this.floor is None else this.floor,
            about,
            OF_A_WHOLE,
        )
        pages.append(
            replace(
                entry,
                info=info if number == 1 else replace(info, notes=()),
                notes=(*entry.notes, told) if number == 1 else (),
                candidate=candidate,
                page=Page(number, count, one.top_px, one.bottom_px),
                floor=floor,
            )
        )
    return tuple(pages)


def is_read_without_effort(quality: float) -> bool:
    """Whether a page of ``quality`` (0..100) is, so that it need not be made smaller."""
    return quality >= _PAGE_FLOOR


def in_pages(entries: Sequence[Entry], most: int | None = None) -> list[Entry] | None:
    """The entries, those that have pages in these; ``None`` where none has, or there would be more than ``most``."""
    if not any(entry.pages for entry in entries):
        return None
    paged = [
        replace(one, indexes=entry.indexes, shown_at=entry.shown_at)
        for entry in entries
        for one in entry.pages or (entry,)
    ]
    return None if most is not None and sum(one.part_count for one in paged) > most else paged


def reads_whole(this: Run, entry: Entry) -> bool:
    """Whether it may go as one part: it has no pages, or measures what it must even so."""
    floor = entry.ready.opened().floor_quality if this.floor is None else this.floor
    return not entry.pages or entry.whole_quality >= floor


def pages_show_more(entries: Sequence[Entry], paged: Sequence[Entry], budget_bytes: int) -> bool:
    """Whether pages below their floor are still better than all of it in one part, by what is foretold of the pages."""
    candidates = [replace(one.ready, floor=0.0) if one.page else one.ready for one in paged]
    shares = divide(candidates, budget_bytes)
    if isinstance(shares, Shortfall):
        return False
    each = [share.quality * one.ready.opened().shown for share, one in zip(shares, paged, strict=True) if one.page]
    return min(each) > max(one.whole_quality for one in entries if one.pages)
