"""iMelody 1.2 (IrDA) and eMelody 1.0 (Ericsson): text to notes.

Comes in: the text of a melody. Goes out: notes and rests with durations, tempo, style, volume. Never: a
melody longer than :data:`MOST_TONES`, whatever its repeats say.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MOST_TONES = 4_000
ENDLESS_PLAYS = 3
_NAMES = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11}
_SHARPS, _FLATS = "cdfga", "degab"
_A_OF_OCTAVE_0 = 33
_OCTAVE = 4
_SPECIFIERS = {"": 1.0, ".": 1.5, ":": 1.75, ";": 2 / 3}
_TOKEN = re.compile(
    r"(?P<note>(?:\*(?P<octave>[0-8]))?(?P<shift>[#&]?)(?P<name>[a-g])(?P<length>[0-5])(?P<dot>[.:;]?))"
    r"|(?P<rest>r(?P<rlength>[0-5])(?P<rdot>[.:;]?))"
    r"|(?P<event>ledon|ledoff|vibeon|vibeoff|backon|backoff)"
    r"|(?P<volume>V(?:[0-9]+|[+-]))"
    r"|(?P<open>\()|(?P<repeat>@(?P<times>[0-9]+)(?P<change>V[+-])?)|(?P<close>\))"
)
_EMELODY = re.compile(r"(?P<up>\+?)(?P<flat>(?:\(b\))?)(?P<sharp>#?)(?P<name>[a-gA-G])|(?P<pause>[pP])")


class MelodyError(ValueError):
    """What is wrong, with line and column."""


@dataclass(frozen=True, slots=True)
class Tone:
    """A note (MIDI ``pitch``) or a rest (``None``); lengths in quarter notes, ``volume`` 0..15."""

    pitch: int | None
    quarters: float
    volume: int


@dataclass(frozen=True, slots=True)
class Melody:
    """A whole melody; ``style`` is S0 natural, S1 continuous, S2 staccato."""

    tones: tuple[Tone, ...]
    beat: int = 120
    style: str = "S0"


def parse(text: str) -> Melody:
    """Parse a melody.

    Raises:
        MelodyError: it breaks the grammar; the message names line and column.
    """
    lines = _unfolded(text)
    values: dict[str, tuple[int, str]] = {}
    for number, line in lines:
        key, _, value = line.partition(":")
        values.setdefault(key.strip().upper(), (number, value))
    kind = values.get("BEGIN", (1, ""))[1].strip().upper()
    if kind not in ("IMELODY", "EMELODY"):
        raise MelodyError("line 1, column 1: expected BEGIN:IMELODY or BEGIN:EMELODY")
    if "MELODY" not in values:
        raise MelodyError("the line MELODY: is missing")
    if "END" not in values:
        raise MelodyError(f"the line END:{kind} is missing")
    number, notes = values["MELODY"]
    if kind == "EMELODY":
        return Melody(_etones(notes, number))
    beat = _number(values, "BEAT", 120, 25, 900)
    style = values.get("STYLE", (0, "S0"))[1].strip().upper() or "S0"
    if style not in ("S0", "S1", "S2"):
        raise MelodyError(f"line {values['STYLE'][0]}, column 7: found {style!r}, expected S0, S1 or S2")
    volume = values.get("VOLUME", (0, "V7"))[1].strip().upper()
    start = int(volume[1:]) if re.fullmatch(r"V(?:[0-9]|1[0-5])", volume) else 7
    return Melody(_itones(notes, number, start), beat, style)


def _unfolded(text: str) -> list[tuple[int, str]]:
    """Lines with their numbers; one that begins with a blank goes on with the line before."""
    lines: list[tuple[int, str]] = []
    for number, line in enumerate(re.split(r"\r\n|\r|\n", text), start=1):
        if line[:1] in (" ", "\t") and lines:
            lines[-1] = (lines[-1][0], lines[-1][1] + line[1:])
        elif line.strip():
            lines.append((number, line))
    return lines


def _number(values: dict[str, tuple[int, str]], key: str, default: int, low: int, high: int) -> int:
    if key not in values:
        return default
    number, raw = values[key]
    if not raw.strip().isdigit() or not low <= int(raw) <= high:
        raise MelodyError(f"line {number}, column {len(key) + 2}: found {raw.strip()!r}, expected {low}..{high}")
    return int(raw)


def _itones(notes: str, number: int, volume: int) -> tuple[Tone, ...]:
    tones: list[Tone] = []
    block: int | None = None
    change, times = 0, 1
    position = 0
    while position < len(notes):
        if notes[position].isspace():
            position += 1
            continue
        found = _TOKEN.match(notes, position)
        column = position + len("MELODY:") + 1
        if found is None:
            rest = notes[position : position + 8]
            raise MelodyError(f"line {number}, column {column}: found {rest!r}, expected a note, rest or command")
        position = found.end()
        if found["note"]:
            tones.append(Tone(_pitch(found, number, column), _quarters(found["length"], found["dot"]), volume))
        elif found["rest"]:
            tones.append(Tone(None, _quarters(found["rlength"], found["rdot"]), volume))
        elif found["volume"]:
            volume = _volume(found["volume"], volume)
        elif found["open"]:
            if block is not None:
                raise MelodyError(f"line {number}, column {column}: a repeat inside a repeat is not allowed")
            block, times, change = len(tones), 1, 0
        elif found["repeat"]:
            times = int(found["times"][:4]) or ENDLESS_PLAYS
            change = {"V+": 1, "V-": -1}.get(found["change"] or "", 0)
        elif found["close"]:
            if block is None:
                raise MelodyError(f"line {number}, column {column}: found ')' without '('")
            body = tones[block:]
            for play in range(1, times):
                if len(tones) + len(body) > MOST_TONES:
                    break
                tones += [Tone(t.pitch, t.quarters, min(15, max(0, t.volume + change * play))) for t in body]
            block = None
        if len(tones) > MOST_TONES:
            raise MelodyError(f"line {number}, column {column}: more than {MOST_TONES} tones")
    if block is not None:
        raise MelodyError(f"line {number}: '(' without ')'")
    if not any(tone.pitch is not None for tone in tones):
        raise MelodyError(f"line {number}: no note in the melody")
    return tuple(tones)


def _pitch(found: re.Match[str], number: int, column: int) -> int:
    shift, name = found["shift"], found["name"]
    allowed = {"#": _SHARPS, "&": _FLATS}.get(shift, "abcdefg")
    if name not in allowed:
        expected = " ".join(shift + one for one in allowed)
        raise MelodyError(f"line {number}, column {column}: found {shift + name!r}, expected one of {expected}")
    octave = int(found["octave"] or _OCTAVE)
    semitone = _NAMES[name] + {"#": 1, "&": -1, "": 0}[shift]
    return min(127, _A_OF_OCTAVE_0 - 9 + 12 * octave + semitone)


def _quarters(length: str, dot: str) -> float:
    return 4.0 / (1 << int(length)) * _SPECIFIERS[dot]


def _volume(token: str, volume: int) -> int:
    wanted = {"V+": volume + 1, "V-": volume - 1}.get(token)
    return min(15, max(0, int(token[1:]) if wanted is None else wanted))


def _etones(notes: str, number: int) -> tuple[Tone, ...]:
    """Lower case is short (an eighth), upper case long (a quarter); ``+`` raises by an octave."""
    tones: list[Tone] = []
    position = 0
    notes = notes.rstrip()
    while position < len(notes):
        if notes[position].isspace():
            position += 1
            continue
        found = _EMELODY.match(notes, position)
        if found is None or len(tones) >= MOST_TONES:
            raise MelodyError(
                f"line {number}, column {position + 8}: found {notes[position : position + 4]!r}, expected a tone"
            )
        position = found.end()
        if found["pause"]:
            tones.append(Tone(None, 1.0 if found["pause"].isupper() else 0.5, 7))
            continue
        semitone = _NAMES[found["name"].lower()] + bool(found["sharp"]) - bool(found["flat"])
        pitch = _A_OF_OCTAVE_0 - 9 + 12 * (_OCTAVE + bool(found["up"])) + semitone
        tones.append(Tone(pitch, 1.0 if found["name"].isupper() else 0.5, 7))
    if not any(tone.pitch is not None for tone in tones):
        raise MelodyError(f"line {number}: no note in the melody")
    return tuple(tones)
