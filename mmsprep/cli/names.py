"""Names of files where there is little room: broken where they have joints, else shortened in the middle.

Comes in: names that are harmless already, columns of a terminal. Goes out: lines. Never: a letter torn from its
accents, half an emoji, or a name without its extension.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

from rich.cells import cell_len

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.measure import Measurement

NARROWEST_NAME = 12
"""Columns that a name gets at least where there is any room. Looked at."""
_ELLIPSIS = "…"
_JOINTS = "-_. "
_MOST_LINES = 2
_KEPT_OF_END = 0.4
"""Of the columns of a name that is shortened: what is left of its end, which tells one of a series from another."""
_END = re.compile(r"\.\w{1,5}$")
_NUMBER = re.compile(r" \(attachment \d+\)$")
"""An extension, and the number of one of several with the same name: neither is shortened."""
_ZWJ = "\u200d"
_MODIFIERS = re.compile("[\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f\ufe0e\ufe0f\u200d]")
_REGIONAL = re.compile("[\U0001f1e6-\U0001f1ff]{2}$")
"""Marks that a character is written with, beside accents; two letters that are a flag."""


class NameCell:
    """A file's name in a cell of a table: whole, in as many lines as it takes, and below it, dimmed, what it is.

    With ``lines`` of 1 it is shortened to one.
    """

    def __init__(self, name: str, below: str = "", *, lines: int = 0) -> None:
        self._name, self._below, self._lines = name, below, lines

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        from rich.measure import Measurement

        most = max(cell_len(self._name), cell_len(self._below))
        return Measurement(min(most, NARROWEST_NAME), most)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.text import Text

        if self._lines == 1:
            yield Text(shortened(self._name, options.max_width), no_wrap=True)
            return
        yield Text("\n".join(name_lines(self._name, options.max_width, whole=True)))
        if self._below:
            yield Text(self._below, "dim")


def name_lines(name: str, width: int, *, whole: bool = False) -> list[str]:
    """``name`` in lines of at most ``width`` columns; in two, shortened if need be, unless ``whole`` is asked for."""
    if cell_len(name) <= width:
        return [name]
    if numbered := _NUMBER.search(name):
        return [*name_lines(name[: numbered.start()], width, whole=whole), numbered[0].strip()]
    lines = _broken(name, width)
    if lines and (whole or len(lines) <= _MOST_LINES):
        return lines
    if whole:
        return _packed(_characters(name), width)
    first = _packed(_pieces(name), width)[0]
    if cell_len(first) > width:
        return _packed(_characters(shortened(name, width)), width)
    last = _that_fit(_characters(name)[::-1], width - 1)[::-1]
    return [first, _ELLIPSIS + "".join(last).lstrip(_JOINTS)]


def _broken(name: str, width: int) -> list[str]:
    """Broken at joints alone, and between characters of two columns; nothing where that is not enough."""
    pieces = _pieces(name)
    return _packed(pieces, width) if all(cell_len(piece.rstrip(" ")) <= width for piece in pieces) else []


def _packed(pieces: Sequence[str], width: int) -> list[str]:
    """As many pieces in a line as it holds."""
    lines = [""]
    for piece in pieces:
        if lines[-1] and cell_len((lines[-1] + piece).rstrip(" ")) > width:
            lines.append("")
        lines[-1] += piece
    return [line.strip(" ") for line in lines]


def _pieces(name: str) -> list[str]:
    """What stays in one line: up to a joint, or one character of two columns; the extension with what is before it."""
    stem = name[: _start_of_end(name)]
    pieces = [""]
    for before, char in pairwise(["", *_characters(stem)]):
        is_joint = before in _JOINTS or cell_len(before) > 1 or cell_len(char) > 1
        is_number = before == "." and char.isdigit()
        if before and is_joint and char not in _JOINTS and not is_number:
            pieces.append("")
        pieces[-1] += char
    pieces[-1] += name[len(stem) :]
    return pieces


def shortened(name: str, columns: int) -> str:
    """``name`` in ``columns`` of a terminal: its beginning and its end."""
    if cell_len(name) <= columns:
        return name
    stem, end = name[: _start_of_end(name)], name[_start_of_end(name) :]
    room = columns - cell_len(end) - 1
    if room < 1:
        return _ELLIPSIS + "".join(_that_fit(_characters(name)[::-1], columns - 1)[::-1])
    characters = _characters(stem)
    last = _that_fit(characters[::-1], int(room * _KEPT_OF_END))[::-1]
    first = _that_fit(characters, room - cell_len("".join(last)))
    return "".join(first).rstrip(_JOINTS) + _ELLIPSIS + "".join(last).lstrip(_JOINTS) + end


def _start_of_end(name: str) -> int:
    found = _END.search(name)
    return found.start() if found and found.start() else len(name)


def _that_fit(characters: Sequence[str], columns: int) -> list[str]:
    widths = accumulate(map(cell_len, characters))
    return [char for char, width in zip(characters, widths, strict=True) if width <= columns]


def _characters(text: str) -> list[str]:
    """What people see as one character: a letter with its accents, a whole emoji or flag."""
    found: list[str] = []
    for char in text:
        if found and _belongs_to(found[-1], char):
            found[-1] += char
        else:
            found.append(char)
    return found


def _belongs_to(before: str, char: str) -> bool:
    is_mark = unicodedata.category(char) in ("Mn", "Me") or _MODIFIERS.match(char) is not None
    is_flag = _REGIONAL.match(before + char) is not None
    return is_mark or is_flag or before.endswith(_ZWJ)
