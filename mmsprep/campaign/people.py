"""The list of people as spreadsheets and programs write it: CSV with whatever delimiter, encoding and names, or JSON.

Comes in: a file. Goes out: its columns, the one with the numbers, and the people one after the other, as often as they
are asked for. Never: a guess that is not told.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from mmsprep.campaign.merge import plain
from mmsprep.errors import AddressError, NotFound, OverInputLimit, TypeNotAllowed, Unreadable, UsageError, reason_of
from mmsprep.formats.text import decode
from mmsprep.sender.address import msisdn

MOST_BYTES = 200_000_000
_LONGEST_CELL = 1_000_000
_DELIMITERS = ";,\t|"
_LOOKED_AT = 200
_AS_TEXT = re.compile(r'^="([^"]*)"\s*$')
_NAMES = (
    *(
        "mobile",
        "mobilenumber",
        "mobilephone",
        "mobileno",
        "mobil",
        "mobilnummer",
        "mobiltelefon",
        "handy",
        "handynummer",
    ),
    *("cell", "cellphone", "cellnumber", "msisdn", "number", "phonenumber", "phone", "phoneno", "to", "recipient"),
    *(
        "telephone",
        "telephonenumber",
        "telefon",
        "telefonnummer",
        "tel",
        "telno",
        "movil",
        "celular",
        "portable",
        "gsm",
    ),
)
"""What the column with the numbers is usually called, the likelier first."""


@dataclass(frozen=True, slots=True)
class Person:
    """One row: ``line`` is where it begins in the file, ``values`` are under names of :func:`.merge.plain`."""

    line: int
    number: str
    values: Mapping[str, str]
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """A list that was read. ``guessed``: nobody said which column has the numbers."""

    path: str
    columns: tuple[str, ...]
    to_column: str
    guessed: bool
    format: str
    delimiter: str = ""
    has_header: bool = True
    _text: str = field(repr=False, default="")

    def __iter__(self) -> Iterator[Person]:
        """The people in the order of the file; empty rows are none."""
        to = plain(self.to_column)
        for line, values, problem in self._rows():
            yield Person(line, values.get(to, "").strip(), values, problem)

    def _rows(self) -> Iterator[tuple[int, dict[str, str], str]]:
        if self.format == "json":
            for line, row in _json_rows(self._text, self.path):
                yield line, {plain(name): _word(value) for name, value in row.items() if value is not None}, ""
            return
        names = [plain(column) for column in self.columns]
        rows = _csv_rows(self._text, self.delimiter, self.path)
        for line, cells in islice(rows, 1 if self.has_header else 0, None):
            more = [cell for cell in cells[len(names) :] if cell.strip()]
            problem = (
                f"has {len(cells)} cells, the first row {len(names)}; is a cell with {self.delimiter!r} not quoted?"
            )
            yield line, dict(zip(names, cells, strict=False)), problem if more else ""


def read_people(path: str | Path, *, to_column: str = "", country: str = "") -> People:
    """Read a list.

    Args:
        path: CSV (delimiter ``;``, ``,``, tab or ``|``; UTF-8, UTF-16 or an older encoding), JSON lines or an array.
        to_column: the column with the numbers; empty: it is guessed by its name, then by what is in it.
        country: two letters; national numbers count as numbers.

    Raises:
        NotFound, Unreadable: there is no such file, or it cannot be read.
        OverInputLimit: it is too large.
        TypeNotAllowed: it is no list in text.
        UsageError: it has no rows, two columns of one name, or no column that could have the numbers.
    """
    name = str(path)
    text = _text_of(Path(path), name)
    body = text.lstrip()
    if body.startswith(("{", "[")):
        columns = tuple(dict.fromkeys(column for _, row in _json_rows(text, name) for column in row))
        draft = People(path=name, columns=columns, to_column="", guessed=True, format="json", _text=text)
    else:
        draft = _csv_draft(text, name)
    twice = [column for column, count in Counter(map(plain, draft.columns)).items() if count > 1]
    if twice:
        raise UsageError(f"{name}: two columns are called {twice[0]!r}; rename one")
    found = _to_column(draft, to_column, country)
    return People(
        path=name,
        columns=draft.columns,
        to_column=found,
        guessed=not to_column,
        format=draft.format,
        delimiter=draft.delimiter,
        has_header=draft.has_header,
        _text=text,
    )


def _text_of(path: Path, name: str) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        raise NotFound(name, "there is no such file") from None
    except OSError as error:
        raise Unreadable(name, f"cannot be read ({reason_of(error)}); the list of people is one file") from None
    if len(data) > MOST_BYTES:
        raise OverInputLimit(name, f"is longer than the {MOST_BYTES:,} bytes that a list may have")
    if data.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise TypeNotAllowed(name, "is a workbook; save it as CSV (in Excel: CSV UTF-8)")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        decoded = decode(data)
    if decoded is None:
        raise TypeNotAllowed(name, "is no text; a list is CSV or JSON lines")
    return decoded[0].removeprefix("\ufeff")


def _csv_draft(text: str, name: str) -> People:
    first = text.lstrip("\r\n").split("\n", 1)[0].strip()
    delimiter = ""
    if first.lower().startswith("sep=") and len(first) == 5:
        delimiter = first[4]
    else:
        counts = Counter(character for character in _unquoted(first) if character in _DELIMITERS)
        delimiter = counts.most_common(1)[0][0] if counts else ","
    rows = list(islice(_csv_rows(text, delimiter, name), 1))
    if not rows:
        raise UsageError(f"{name}: is empty; expected a row of column names and a row for each person")
    header = [cell.strip() for cell in rows[0][1]]
    while header and not header[-1]:
        header.pop()
    has_header = not any(_is_number(cell, "") or _is_number(cell.lstrip("0"), "") for cell in header)
    columns = [cell or f"column {place}" for place, cell in enumerate(header, start=1)]
    if not has_header:
        columns = [f"column {place}" for place in range(1, len(header) + 1)]
    return People(
        path=name,
        columns=tuple(columns),
        to_column="",
        guessed=True,
        format="csv",
        delimiter=delimiter,
        has_header=has_header,
        _text=text,
    )


def _csv_rows(text: str, delimiter: str, name: str) -> Iterator[tuple[int, list[str]]]:
    """The rows with something in them, each with the line on which it begins; Excel's ``sep=`` is none.

    A cell ``="0412"`` says to a spreadsheet that its digits are a text, and is that text.
    """
    csv.field_size_limit(_LONGEST_CELL)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    line = 1
    try:
        for cells in reader:
            begins, line = line, reader.line_num + 1
            is_hint = begins == 1 and len(cells) <= 2 and cells and cells[0].lower().startswith("sep=")
            if any(cell.strip() for cell in cells) and not is_hint:
                yield begins, [_AS_TEXT.sub(r"\1", cell) if cell.startswith("=") else cell for cell in cells]
    except csv.Error as error:
        raise UsageError(f"{name}: line {reader.line_num} cannot be read as CSV ({error})") from None


def _unquoted(line: str) -> str:
    return "".join(line.split('"')[::2])


def _json_rows(text: str, name: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """JSON lines, or one array of objects, which are counted."""
    if text.lstrip().startswith("["):
        try:
            rows = json.loads(text)
        except ValueError as error:
            raise UsageError(f"{name}: cannot be read as JSON ({error})") from None
        yield from ((place, _row(row, name, f"entry {place}")) for place, row in enumerate(rows, start=1))
        return
    for line, piece in enumerate(io.StringIO(text), start=1):
        if piece.strip():
            try:
                row = json.loads(piece)
            except ValueError as error:
                raise UsageError(f"{name}: line {line} cannot be read as JSON ({error})") from None
            yield line, _row(row, name, f"line {line}")


def _row(row: object, name: str, place: str) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise UsageError(f"{name}: {place} is no JSON object")
    return row


def _word(value: object) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _to_column(draft: People, asked: str, country: str) -> str:
    known = {plain(column): column for column in draft.columns}
    listed = ", ".join(draft.columns)
    if asked:
        if plain(asked) not in known:
            raise UsageError(f"{draft.path}: has no column {asked!r} (--to-column); it has {listed}")
        return known[plain(asked)]
    sample = [values for _, values, _ in islice(draft._rows(), _LOOKED_AT)]
    if not sample:
        raise UsageError(f"{draft.path}: has column names, but nobody in it")
    shares = {name: sum(_is_number(row.get(name, ""), country) for row in sample) / len(sample) for name in known}
    named = [name for name in _NAMES if name in known]
    named += [
        name
        for name in known
        if any(word in name for word in ("mobil", "phone", "telefon", "msisdn")) and name not in named
    ]
    likely = [name for name in named if shares[name] > 0.3] or named
    by_content = [name for name, share in shares.items() if share > 0.7]
    if likely:
        return known[max(likely, key=lambda name: (shares[name] > 0.3, -named.index(name)))]
    if len(by_content) == 1:
        return known[by_content[0]]
    raise UsageError(
        f"{draft.path}: which column has the numbers? The first row names {listed}; say it with --to-column, and take"
        " out what stands above the names"
    )


def _is_number(cell: str, country: str) -> bool:
    text = cell.strip()
    if sum(character.isdigit() for character in text) < 7:
        return False
    try:
        msisdn(text, country)
    except AddressError as error:
        return "begins with 0" in str(error)
    return True
