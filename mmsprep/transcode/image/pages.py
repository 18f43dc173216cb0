"""A tall picture of lettering in pages that a phone shows whole: a chat, a web page, a receipt.

Comes in: an attachment that is far taller than a screen. Goes out: its pages from top to bottom, each at the sizes at
which it may be sent. Never: a row of it that is on no page, or a wide picture cut (lines of text run across).

It is cut where nothing is written: in the middle of the tallest run of rows that are nearly one colour across, near the
place where pages of one height would be cut. Where there is no such row, the next page repeats the last lines.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from PIL import Image

from mmsprep.errors import OverInputLimit
from mmsprep.model import Attachment, MediaInfo
from mmsprep.profile import ImageRules
from mmsprep.settings import Settings
from mmsprep.transcode.image import pixels

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_PAGE_RATIO = 2.0
"""Of height to width of a page at most, which a screen of 1080 x 2340 shows between its bars."""
_PLANNED = 0.93
"""The share of that which pages are planned with, so that there is a choice of rows."""
_LEAST = 0.6
"""Of the height that pages of one height would have."""
_MOST_PAGES = 64
_STRIP_ROWS = 1024
_EDGE = 32
_MORE_EDGES, _BUSY_SHARE = 2, 0.02
"""Levels of 255 between neighbours: an edge. Rows with hardly more of them than the emptiest are empty too, frames and
rules of a table run through; where a fiftieth of even that row is edges, something is written or shown there."""
_REPEATED = 0.12
"""Of the width: rows that are on two pages where it had to be cut through something; two lines of text."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page: rows ``top_px`` up to ``bottom_px`` (without it) of the whole, and the picture of them."""

    top_px: int
    bottom_px: int
    picture: pixels.Picture


@dataclass(frozen=True, slots=True)
class Pages:
    """All of a picture: its width and height, and its pages from top to bottom."""

    width_px: int
    height_px: int
    pages: tuple[Page, ...]


def decode_pages(
    attachment: Attachment, info: MediaInfo, rules: ImageRules, settings: Settings, halvings: int = 0
) -> Pages:
    """Decode a tall picture, once, and cut it; ``halvings`` says how often its pages are to be half as high as usual.

    Raises:
        Damaged, TypeNotAllowed, ToolMissing, Unreadable: as :func:`mmsprep.transcode.image.pixels.decode`.
        OverInputLimit: more pixels than the settings let in, or more pages than anybody reads.
    """
    image, notes = pixels.decode_whole(attachment, info, rules, settings)
    bounds = page_bounds(edges_of(image), image.width, _PAGE_RATIO / 2**halvings)
    if len(bounds) > _MOST_PAGES:
        raise OverInputLimit(attachment.name, f"would become {len(bounds)} pages, over the limit of {_MOST_PAGES}")
    pages = [Page(*rows, pixels.sized(image.crop((0, rows[0], image.width, rows[1])), rules)) for rows in bounds]
    pages[0] = replace(pages[0], picture=replace(pages[0].picture, notes=(*notes, *pages[0].picture.notes)))
    return Pages(image.width, image.height, tuple(pages))


def decode_rows(
    attachment: Attachment, info: MediaInfo, rules: ImageRules, settings: Settings, top_px: int, bottom_px: int
) -> pixels.Picture:
    """Some rows of a picture; raises as :func:`decode_pages`."""
    image, _ = pixels.decode_whole(attachment, info, rules, settings)
    return pixels.sized(image.crop((0, top_px, image.width, bottom_px)), rules)


def edges_of(image: Image.Image) -> NDArray[np.intp]:
    """How many edges each row of a picture crosses from left to right."""
    import numpy as np

    counts = []
    for top in range(0, image.height, _STRIP_ROWS):
        strip = image.crop((0, top, image.width, min(image.height, top + _STRIP_ROWS))).convert("RGB")
        steps = np.abs(np.diff(np.asarray(strip).astype(np.int16), axis=1)).max(axis=2)
        counts.append((steps > _EDGE).sum(axis=1))
    return np.concatenate(counts)


def page_bounds(edges: NDArray[np.intp], width_px: int, ratio: float = _PAGE_RATIO) -> list[tuple[int, int]]:
    """The first row of each page and the one behind its last, from top to bottom; together they cover all rows.

    Args:
        edges: of every row, from :func:`edges_of`.
        width_px: of the picture.
        ratio: of height to width of a page at most.
    """
    height_px, most_px = len(edges), max(1, math.floor(ratio * width_px))
    bounds: list[tuple[int, int]] = []
    top = 0
    pages_left = math.ceil(height_px / max(1, _PLANNED * most_px))
    while height_px - top > most_px:
        pages_left = max(pages_left, math.ceil((height_px - top) / most_px))
        even_px = (height_px - top) / pages_left
        # What is left must still fit the pages that are left.
        least_px = max(math.ceil(_LEAST * even_px), height_px - top - (pages_left - 1) * most_px, 1)
        bottom, is_empty = _best_row(edges, top + least_px, top + max(least_px, most_px), top + even_px, width_px)
        bounds.append((top, bottom))
        top = bottom if is_empty else max(top + 1, bottom - round(_REPEATED * width_px))
        pages_left = max(1, pages_left - 1)
    return [*bounds, (top, height_px)]


def _best_row(edges: NDArray[np.intp], first: int, last: int, wanted: float, width_px: int) -> tuple[int, bool]:
    """The row from ``first`` to ``last`` to cut before, and whether nothing is written there."""
    import numpy as np

    window = edges[first : last + 1]
    fewest = int(window.min())
    if fewest > _BUSY_SHARE * width_px:
        return min(last, round(wanted)), False
    empty = np.flatnonzero(np.diff(np.concatenate(([0], window <= fewest + _MORE_EDGES, [0]))))
    runs = [(first + int(begin), first + int(end)) for begin, end in empty.reshape(-1, 2)]
    # A run twice as tall may be as much farther away.
    begin, end = max(runs, key=lambda run: (run[1] - run[0]) / (width_px / 4 + abs(sum(run) / 2 - wanted)))
    return (begin + end) // 2, True
