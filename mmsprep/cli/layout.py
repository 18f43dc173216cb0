"""How tables keep their words in a narrow terminal.

Comes in: tables of rich. Goes out: the same, or blocks of lines. Never: a cell cut off that says what matters.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mmsprep.cli.names import NameCell
from mmsprep.printable import printable

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.table import Table
    from rich.text import Text

LONGEST_CELL = 400
"""Characters of a name or a remark that a table shows."""
NARROWEST = 70
"""Columns of a terminal below which a table's own columns would have a word each. Looked at."""


class AsWideAsItGets:
    """A table where its columns have room; in a narrower terminal a block for each row, its cells below one another.

    ``labels`` stand before the cells of a block, one a column; none before a cell that says itself what it is.
    Columns of short numbers that have no label of their own are one line: ``figures`` and, of each, heading and cell.
    """

    def __init__(self, table: Table, narrowest: int, labels: Sequence[str], *, figures: str = "") -> None:
        self._table, self._narrowest, self._labels, self._figures = table, narrowest, labels, figures

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.padding import Padding
        from rich.text import Text

        if options.max_width >= self._narrowest:
            yield self._table
            return
        for cells in zip(*(column.cells for column in self._table.columns), strict=True):
            for place, (label, cell) in enumerate(zip(self._labels, cells, strict=not self._figures)):
                if isinstance(cell, NameCell):
                    yield cell
                    continue
                text = cell if isinstance(cell, Text) else Text(str(cell))
                if text.plain not in ("", "-"):
                    below = Text("\n  ").join(text.split("\n")) if label else text
                    text = Text.assemble(f"{label}: " if label else "", below, overflow="fold")
                    yield Padding(text, (0, 0, 0, 2 if place else 0))
            if self._figures:
                several = zip(self._table.columns[len(self._labels) :], cells[len(self._labels) :], strict=True)
                words = ", ".join(f"{column.header} {str(cell).replace(' ', '')}" for column, cell in several)
                yield Padding(Text(f"{self._figures}: {words}"), (0, 0, 0, 2))


def two_lines(first: str, second: str) -> Text:
    """What is said first, and below it, dimmed, what may be skipped."""
    from rich.text import Text

    below = "\n" + printable(second, most=LONGEST_CELL) if second else ""
    return Text.assemble(printable(first, most=LONGEST_CELL), (below, "dim"))
