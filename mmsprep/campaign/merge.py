"""Fields in a text: ``Hi {Name}`` and a person's values make the text of that person.

Comes in: a template. Goes out: its fields, and the text for a person. Never: an attribute, an index or a format of a
value; a field is a name and nothing else.

``{Name|friend}`` has a word for those whose field is empty, ``{{`` and ``}}`` are braces.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mmsprep.errors import UsageError

_PIECE = re.compile(r"\{\{|\}\}|\{([^{}|]*)(?:\|([^{}]*))?\}|[{}]")
_LOOSE = re.compile(r"[^\w]+")


@dataclass(frozen=True, slots=True)
class Field:
    """A place for a value; ``default`` is ``None`` where there has to be one."""

    name: str
    default: str | None = None


@dataclass(frozen=True, slots=True)
class Template:
    """A text in pieces: words, and fields between them.

    Raises:
        UsageError: a brace that opens or closes nothing, or a field without a name.
    """

    text: str
    pieces: tuple[str | Field, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "pieces", tuple(_pieces(self.text)))

    @property
    def fields(self) -> tuple[Field, ...]:
        """Its fields in order."""
        return tuple(piece for piece in self.pieces if isinstance(piece, Field))

    def filled(self, values: Mapping[str, str], called: str) -> str:
        """The text for a person; ``values`` are under :func:`plain` names, ``called`` is what an error calls the text.

        Raises:
            UsageError: there is no value, or an empty one, and no default.
        """
        found = []
        for piece in self.pieces:
            if isinstance(piece, str):
                found.append(piece)
                continue
            value = values.get(plain(piece.name), "").strip()
            if not value and piece.default is None:
                raise UsageError(f"{called}: {piece.name} is empty; {{{piece.name}|word}} has a word for that")
            found.append(value or piece.default or "")
        return "".join(found)


def plain(name: str) -> str:
    """What makes two names of a column the same: letters and digits, in small letters."""
    return _LOOSE.sub("", name.casefold()).replace("_", "") or name.strip().casefold()


def check_fields(template: Template, columns: Iterable[str], called: str) -> None:
    """See whether the list has a column for every field.

    Raises:
        UsageError: it has none.
    """
    columns = tuple(columns)
    known = {plain(column): column for column in columns}
    for field in template.fields:
        if plain(field.name) not in known:
            near = difflib.get_close_matches(plain(field.name), known, n=1)
            hint = f"; did you mean {{{known[near[0]]}}}?" if near else ""
            listed = ", ".join(columns)
            raise UsageError(
                f"{called}: the list has no column {field.name!r}{hint} It has {listed}. Braces: {{{{ and }}}}"
            )


def has_fields(text: str) -> bool:
    """Whether a text looks as if it had fields in it."""
    return re.search(r"\{[^\W\d][\w .-]{0,40}(?:\|[^{}]*)?\}", text) is not None


def _pieces(text: str) -> Iterable[str | Field]:
    start = 0
    for found in _PIECE.finditer(text):
        if found.start() > start:
            yield text[start : found.start()]
        start = found.end()
        match found[0]:
            case "{{" | "}}":
                yield found[0][0]
            case "{" | "}":
                around = text[max(0, found.start() - 15) : found.end() + 15]
                raise UsageError(
                    f"a single {found[0]} in {around!r}; a brace that is meant so is doubled: {found[0] * 2}"
                )
            case _:
                if not found[1].strip():
                    raise UsageError(f"{found[0]}: a field without a name; braces that are meant so are doubled")
                yield Field(found[1].strip(), found[2])
    if start < len(text):
        yield text[start:]
