"""Melodies as notes: what iMelody, eMelody and MIDI have in common, and the lines that the two texts stand on.

Comes in: the text of a melody. Goes out: its header lines, each of which knows where every character stood.
Never: the grammar of the notes themselves (``imelody.py`` and ``emelody.py`` have it).
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from mmsprep.errors import Damaged
from mmsprep.formats.content import Content
from mmsprep.formats.registry import FORMATS, described
from mmsprep.formats.text import clean, decode_all, oddities
from mmsprep.model import MediaInfo

MOST_TONES = 4_000
"""A melody with all its repeats is cut here; no ringtone is a tenth as long."""

HIGHEST_PITCH = 127
_SEMITONES = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11}
_SHIFTS = {"": 0, "#": 1, "&": -1}
_NOTES_OF_SHIFT = {"": "cdefgab", "#": "cdfga", "&": "degab"}
_C_OF_OCTAVE_0 = 24
_HEADER = re.compile(r"[ \t]*([A-Za-z][A-Za-z-]*)[ \t]*:")
_LINE_END = re.compile(r"\r\n|\r|\n")


class MelodyError(ValueError):
    """What is wrong with a melody, with line and column."""


@dataclass(frozen=True, slots=True)
class Tone:
    """A note (MIDI ``pitch``) or a rest (``None``); its length in quarter notes, ``volume`` 0..15."""

    pitch: int | None
    quarters: float
    volume: int


@dataclass(frozen=True, slots=True)
class Melody:
    """A whole melody with its repeats played out.

    ``beat`` is quarter notes a minute; ``style`` S0 natural, S1 continuous, S2 staccato; ``notes`` are
    sentences for the report.
    """

    tones: tuple[Tone, ...]
    beat: int = 120
    style: str = "S0"
    notes: tuple[str, ...] = ()

    @property
    def duration_s(self) -> float:
        """How long it plays."""
        return sum(tone.quarters for tone in self.tones) * 60 / self.beat


@dataclass(frozen=True, slots=True)
class Placed:
    """A header's value, put together from folded lines; ``pieces`` are (offset, line, column) of each piece."""

    text: str
    pieces: tuple[tuple[int, int, int], ...]

    def where(self, offset: int) -> str:
        """Where the character at ``offset`` stands in the file, both counted from 1."""
        start, line, column = self.pieces[bisect_right(self.pieces, offset, key=lambda piece: piece[0]) - 1]
        return f"line {line}, column {column + offset - start}"

    def error(self, offset: int, problem: str) -> MelodyError:
        """An error about the character at ``offset``."""
        return MelodyError(f"{self.where(offset)}: {problem}")


def read_headers(text: str, kind: str) -> Mapping[str, Placed]:
    """The header lines between ``BEGIN:kind`` and ``END:kind`` by their names in capitals.

    A line that begins with a blank goes on with the line before (the blank is not part of it); so does, below
    ``MELODY:``, a line that is no header: mail programs take the blank away. Headers may stand in any order,
    what follows the end is not looked at.

    Raises:
        MelodyError: a line that is no header, one that stands there twice, no beginning or end, no melody.
    """
    found: dict[str, list[tuple[str, int, int]]] = {}
    last = ""
    number = 0
    for number, line in enumerate(_LINE_END.split(text), start=1):
        header = _HEADER.match(line)
        if last and (line[:1] in (" ", "\t") or (last == "MELODY" and header is None)):
            blank = line[:1] in (" ", "\t")
            found[last].append((line[blank:], number, 1 + blank))
        elif header is None:
            if line.strip():
                raise MelodyError(f"line {number}, column 1: found {line[:20]!r}, expected a header such as MELODY:")
        else:
            last = header[1].upper()
            value = line[header.end() :], number, header.end() + 1
            if not found and (last, value[0].strip().upper()) != ("BEGIN", kind):
                raise MelodyError(f"line {number}, column 1: found {line[:20]!r}, expected BEGIN:{kind}")
            if last in found:
                raise MelodyError(f"line {number}, column 1: {last}: stands there twice")
            if last == "END":
                _check_end(_put_together([value]), kind)
                break
            found[last] = [value]
    else:
        raise MelodyError(f"line {number}: the line END:{kind} is missing")
    if "MELODY" not in found:
        raise MelodyError(f"line {number}: the line MELODY: is missing before the end")
    return {name: _put_together(lines) for name, lines in found.items()}


def _put_together(lines: Sequence[tuple[str, int, int]]) -> Placed:
    """The text of lines that are each given with the line and column where they begin."""
    offsets = accumulate((len(text) for text, _, _ in lines), initial=0)
    pieces = tuple((offset, line, column) for offset, (_, line, column) in zip(offsets, lines, strict=False))
    return Placed("".join(text for text, _, _ in lines), pieces)


def _check_end(value: Placed, kind: str) -> None:
    if value.text.strip().upper() != kind:
        raise value.error(0, f"found {value.text.strip()!r}, expected {kind}")


def pitch_of(name: str, shift: str, octave: int) -> int:
    """The MIDI pitch of ``name`` (``c`` .. ``b``) with ``shift`` (``#``, ``&`` or nothing).

    The A of octave 0 has 55 Hz, which is pitch 33.

    Raises:
        ValueError: there is no such note; the message names those that there are.
    """
    if name not in _NOTES_OF_SHIFT[shift]:
        expected = " ".join(shift + one for one in _NOTES_OF_SHIFT[shift])
        raise ValueError(f"found {shift + name!r}, expected one of {expected}")
    return _C_OF_OCTAVE_0 + 12 * octave + _SEMITONES[name] + _SHIFTS[shift]


def melody_info(content: Content, format_slug: str, parse: Callable[[str], Melody]) -> MediaInfo:
    """The facts about a melody that is written as text.

    Raises:
        Damaged: it is no text, or breaks its grammar.
    """
    try:
        text, encoding = decode_all(content.read(0, content.size_bytes))
        melody = parse(text)
    except ValueError as error:
        title = FORMATS[format_slug].title
        raise Damaged(content.name, f"is a damaged {title}: {error}; correct it or get the file again") from error
    duration_s = round(melody.duration_s, 3)
    return described(content, format_slug, duration_s=duration_s, encoding=encoding, metadata=oddities(text))


def clean_melody(content: Content) -> bytes:
    """The same lines in UTF-8 without a byte order mark, ended by CR LF, without control characters.

    Raises:
        ValueError: it is no text.
    """
    text, _ = decode_all(content.read(0, content.size_bytes))
    return clean(text, "crlf").encode()
