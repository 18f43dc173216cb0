"""The table of a prepared message, read from left to right: a file, what it was, what it became, share, quality.

Comes in: a message or a forecast. Goes out: what rich lays out at the terminal's own width, and the line below it.
Never: printing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.padding import Padding
from rich.table import Column, Table
from rich.text import Text

from mmsprep.cli.names import NARROWEST_NAME, name_lines
from mmsprep.message.message import Forecast, Message, labels
from mmsprep.message.wording import (
    media_words,
    part_words,
    percent_words,
    quality_band,
    quality_words,
    reason_words,
    short_name,
    size_words,
)
from mmsprep.model import Action, PartReport
from mmsprep.printable import printable

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, JustifyMethod, RenderableType

_GAP = 2
_LONGEST_CELL = 400
"""Characters of a name or a remark that is shown."""
_ROOMY_NAME, _WIDEST_BELOW = 20, 18
"""Columns that a name gets before what a file was or became is broken in two lines, and what these get at most then.
"""
_MOST_NAMES = 3
"""Of attachments that share a part; more are counted."""
_ARROW = "->"
_OVERHEAD = "Text, subject, headers"
_BAND_STYLES = {"low": "yellow", "poor": "red"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """One attachment in words; ``whole`` reasons are never shortened."""

    names: Sequence[str]
    was: str = ""
    was_size: str = ""
    now: str
    now_size: str = ""
    share: str = ""
    quality: str = ""
    style: str = ""
    reasons: Sequence[str] = ()
    whole: bool = False


class MessageTable:
    """A row a file with its reasons below; as wide as it needs to be, then bytes below types, then one below another.

    Args:
        message: what was made, or is foretold.
        verbose: all reasons; otherwise as many as fit one line.
    """

    def __init__(self, message: Message | Forecast, *, verbose: bool = False) -> None:
        self._rows = _rows(message, verbose=verbose)
        self._became = "What it will be" if isinstance(message, Forecast) else "What it became"
        self._overhead = _Row(
            names=[_OVERHEAD],
            now="",
            now_size=size_words(message.overhead_bytes),
            share=percent_words(message.overhead_bytes, message.limit_bytes),
        )
        self._verbose = verbose

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        head = _Row(names=["File"], was="What it was", now=self._became, share="Share", quality="Quality")
        rows = [head, *self._rows, self._overhead]
        width = options.max_width
        ways = (
            (_in_one_line, width, _ROOMY_NAME),
            (_bytes_below, width, _ROOMY_NAME),
            (_bytes_below, _WIDEST_BELOW, NARROWEST_NAME),
        )
        for cells, widest, for_name in ways:
            widths = _widths([cells(row) for row in rows], width, widest, for_name)
            if widths is not None:
                break
        else:
            yield from self._stacked(width)
            return
        for place, row in enumerate(rows):
            columns = [Column(width=width, overflow="fold", justify=justify) for width, justify in widths]
            if not row.was:
                # What was nothing leaves its room to the name.
                columns[:2] = [Column(width=widths[0][0] + _GAP + widths[1][0])]
            line = Table(*columns, show_header=False, box=None, pad_edge=False, padding=(0, _GAP, 0, 0))
            name = Text(self._name(row, columns[0].width or 0))
            others = cells(row)[1 if row.was else 2 :]
            line.add_row(name, *(_cell(text, row) for text in others), style="bold" if place == 0 else "")
            yield line
            yield from self._reasons(row, width)

    def _stacked(self, width: int) -> Iterator[RenderableType]:
        for row in (*self._rows, self._overhead):
            yield Text(self._name(row, width), style="bold")
            if row.was:
                yield _indented(Text(f"{row.was}, {row.was_size}", overflow="fold"))
            facts = ", ".join(filter(None, (row.now, row.now_size, row.share)))
            line = Text(f"{_ARROW} {facts}" if row.now else facts, overflow="fold")
            yield _indented(line.append(f", {row.quality}", row.style) if row.quality else line)
            yield from self._reasons(row, width)

    def _name(self, row: _Row, width: int) -> str:
        """In lines; what is no file's name is never shortened."""
        whole = self._verbose or row.names == [_OVERHEAD]
        return "\n".join(line for name in row.names for line in name_lines(name, width, whole=whole))

    def _reasons(self, row: _Row, width: int) -> Iterator[RenderableType]:
        if row.reasons:
            shown = row.reasons if self._verbose or row.whole else _that_fit(row.reasons, width - _GAP)
            yield _indented(Text("; ".join(shown), style="dim", overflow="fold"))


def summary(message: Message | Forecast) -> str:
    """One line below the table: what it all comes to."""
    free = message.limit_bytes - message.total_bytes
    about = "about " if isinstance(message, Forecast) else ""
    parts = f"{len(message.parts)} part{'' if len(message.parts) == 1 else 's'}"
    return (
        f"{about}{message.total_bytes:,} of {message.limit_bytes:,} bytes"
        f" ({percent_words(message.total_bytes, message.limit_bytes)}), {parts}, {free:,} free"
    )


def _rows(message: Message | Forecast, *, verbose: bool) -> list[_Row]:
    names = _names(message)
    rows = [_part_row(part, names, message.limit_bytes, verbose=verbose) for part in message.parts]
    for rejection in message.rejected:
        name = short_name(rejection.name) if rejection.index is None else names[rejection.index]
        why = printable(rejection.message, most=_LONGEST_CELL)
        rows.append(_Row(names=[_shown(name)], now="left out", reasons=(why,), whole=True))
    return rows


def _part_row(part: PartReport, names: dict[int, str], limit_bytes: int, *, verbose: bool) -> _Row:
    called = [_shown(names[index]) for index in part.indexes] or [_shown(short_name(part.source_name))]
    if len(called) > _MOST_NAMES and not verbose:
        called[_MOST_NAMES - 1 :] = [f"and {len(called) - _MOST_NAMES + 1} more (-v)"]
    is_new = part.action is Action.TRANSCODE
    return _Row(
        names=called,
        was=_shown(media_words(part.source)),
        was_size=size_words(part.source.size_bytes),
        now=part_words(part),
        now_size=size_words(part.size_bytes),
        share=percent_words(part.size_bytes, limit_bytes),
        quality=quality_words(part),
        style=_BAND_STYLES.get(quality_band(part.quality), "") if is_new else "",
        reasons=[_shown(reason) for reason in reason_words(part.reasons)],
    )


def _names(message: Message | Forecast) -> dict[int, str]:
    """What people know each attachment by; those that share a name get their number."""
    parts = {index: short_name(part.source_name) for part in message.parts for index in part.indexes}
    left_out = {one.index: short_name(one.name) for one in message.rejected if one.index is not None}
    return labels(parts | left_out)


def _shown(text: str) -> str:
    return printable(text, most=_LONGEST_CELL)


def _in_one_line(row: _Row) -> list[str]:
    arrow = _ARROW if row.was_size else ""
    return ["\n".join(row.names), row.was, row.was_size, arrow, row.now, row.now_size, row.share, row.quality]


def _bytes_below(row: _Row) -> list[str]:
    arrow = _ARROW if row.was_size else ""
    was, now = ("\n".join(filter(None, pair)) for pair in ((row.was, row.was_size), (row.now, row.now_size)))
    return ["\n".join(row.names), was, arrow, now, row.share, row.quality]


def _widths(
    rows: Sequence[Sequence[str]], width: int, widest: int, least: int
) -> list[tuple[int, JustifyMethod]] | None:
    """Widths of the columns, straight over all rows, the others' at most ``widest``; ``None`` where less than ``least``
    of ``width`` would be left for names that need it."""
    needed = [max(cell_len(line) for cell in column for line in cell.split("\n")) for column in zip(*rows, strict=True)]
    others = [min(each, widest) for each in needed[1:]]
    for_name = width - sum(others) - _GAP * len(others)
    if for_name < min(needed[0], least):
        return None
    # Numbers are compared by their last digits: the sizes of a line of their own, and the shares.
    right = {2, 5, 6} if len(needed) == len(_in_one_line(_Row(names=[""], now=""))) else {4}
    return [
        (each, "right" if place in right else "left") for place, each in enumerate([min(needed[0], for_name), *others])
    ]


def _cell(text: str, row: _Row) -> Text:
    return Text(text, style=row.style if row.style and text == row.quality else "")


def _indented(text: Text) -> Padding:
    return Padding(text, (0, 0, 0, _GAP))


def _that_fit(reasons: Sequence[str], width: int) -> list[str]:
    """As many reasons as a line holds, the first in any case, and how many more there are."""
    for count in range(len(reasons), 1, -1):
        left = len(reasons) - count
        shown = [*reasons[:count], *([f"{left} more (-v)"] if left else [])]
        if cell_len("; ".join(shown)) <= width:
            return shown
    return [reasons[0], *([f"{len(reasons) - 1} more (-v)"] if len(reasons) > 1 else [])]
