"""iMelody 1.2, the ringtone text of the Infrared Data Association: text to notes.

Comes in: the text of a melody. Goes out: a :class:`Melody`, its repeats played out. Never: a melody that
breaks the grammar, or more tones than :data:`MOST_TONES` whatever its repeats say.

``VERSION`` and ``FORMAT`` are required by the grammar but lacking in many files; what is there must be
known. The order of the headers and the case of their names are free.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mmsprep.formats.melody import (
    HIGHEST_PITCH,
    MOST_TONES,
    Melody,
    MelodyError,
    Placed,
    Tone,
    clean_melody,
    melody_info,
    pitch_of,
    read_headers,
)
from mmsprep.formats.registry import Format, register
from mmsprep.model import Kind

ENDLESS_S = 20.0
"""A block that repeats for ever (``@0``) plays at least this long: about as long as a phone rings."""

_OCTAVE = 4
_VOLUME, _LOUDEST = 7, 15
_SPECIFIERS = {"": 1.0, ".": 1.5, ":": 1.75, ";": 2 / 3}
_TOKEN = re.compile(
    r"(?P<note>(?:\*(?P<octave>[0-8]))?(?P<shift>[#&]?)(?P<name>[a-g])(?P<length>[0-5])(?P<dot>[.:;]?))"
    r"|(?P<rest>r(?P<rest_length>[0-5])(?P<rest_dot>[.:;]?))"
    r"|(?P<signal>ledon|ledoff|vibeon|vibeoff|backon|backoff)"
    r"|(?P<volume>V(?:1[0-5]|[0-9]|[+-]))"
    r"|(?P<open>\()"
    r"|(?P<close>@\s*(?P<times>[0-9]+)\s*(?P<change>V[+-])?\s*\))"
)
_KNOWN = re.compile(
    r"(?P<VERSION>1\.[0-9]+)|(?P<FORMAT>CLASS[0-9.]+)|(?P<STYLE>S[012])|(?P<VOLUME>V(?:1[0-5]|[0-9]|[+-]))"
)
_EXPECTED = {
    "VERSION": "1.2 or an earlier one",
    "FORMAT": "CLASS1.0 or CLASS2.0",
    "STYLE": "S0, S1 or S2",
    "VOLUME": "V0 to V15, V+ or V-",
}


@dataclass(slots=True)
class _Block:
    """Steps that are played ``times`` times (0: for ever), the volume changed by ``change`` between.

    A step is a note or rest (its volume still open), or the text of a volume.
    """

    steps: list[Tone | str] = field(default_factory=list)
    times: int = 1
    change: str = ""

    @property
    def quarters(self) -> float:
        return sum(step.quarters for step in self.steps if isinstance(step, Tone))


def parse_imelody(text: str) -> Melody:
    """Parse an iMelody.

    Raises:
        MelodyError: it breaks the grammar; the message names line and column.
    """
    headers = read_headers(text, "IMELODY")
    _header(headers, "VERSION", "1.2")
    _header(headers, "FORMAT", "CLASS1.0")
    style = _header(headers, "STYLE", "S0")
    volume = _volume(_header(headers, "VOLUME", f"V{_VOLUME}"), _VOLUME)
    beat = _beat(headers)
    notes: list[str] = []
    blocks = _blocks(headers["MELODY"], notes)
    tones = _played(blocks, volume, beat, notes)
    if not any(tone.pitch is not None for tone in tones):
        raise headers["MELODY"].error(0, "there is no note in the melody")
    return Melody(tuple(tones), beat, style, tuple(dict.fromkeys(notes)))


def _header(headers: Mapping[str, Placed], name: str, default: str) -> str:
    """The value of a header that has few possible ones."""
    if name not in headers:
        return default
    value = headers[name]
    raw = value.text.strip()
    known = _KNOWN.fullmatch(raw.upper())
    if known is None or known.lastgroup != name:
        offset = len(value.text) - len(value.text.lstrip())
        raise value.error(offset, f"found {raw!r}, expected {_EXPECTED[name]}")
    return raw.upper()


def _beat(headers: Mapping[str, Placed]) -> int:
    if "BEAT" not in headers:
        return 120
    value = headers["BEAT"]
    raw = value.text.strip()
    if not re.fullmatch(r"[0-9]{2,3}", raw) or not 25 <= int(raw) <= 900:
        raise value.error(len(value.text) - len(value.text.lstrip()), f"found {raw!r}, expected 25 to 900")
    return int(raw)


def _blocks(melody: Placed, notes: list[str]) -> list[_Block]:
    """The melody's blocks; what stands between two repeats is a block that is played once."""
    blocks = [_Block()]
    opened: int | None = None
    position, count = 0, 0
    while position < len(melody.text):
        if melody.text[position].isspace():
            position += 1
            continue
        token = _TOKEN.match(melody.text, position)
        if token is None:
            raise _unexpected(melody, position)
        count += 1
        if count > MOST_TONES:
            raise melody.error(position, f"more than {MOST_TONES:,} notes and commands")
        if token["open"]:
            if opened is not None:
                raise melody.error(position, "a repeat inside a repeat is not allowed")
            opened = position
            blocks.append(_Block())
        elif token["close"]:
            if opened is None:
                raise melody.error(position, f"found {token['close']!r} without a '(' before it")
            opened = None
            blocks[-1].times, blocks[-1].change = int(token["times"][:6]), token["change"] or ""
            blocks.append(_Block())
        elif token["signal"]:
            notes.append("its lights and vibration are left out")
        else:
            blocks[-1].steps.append(token["volume"] or _tone(token, melody, position, notes))
        position = token.end()
    if opened is not None:
        raise melody.error(opened, "'(' is not closed by '@', a count and ')'")
    return blocks


def _unexpected(melody: Placed, position: int) -> MelodyError:
    found = melody.text[position : position + 8].split()[0]
    if found[0] == ")":
        return melody.error(position, "found ')', expected '@' and a count before it")
    if re.match(r"(?:\*[0-8])?[#&]?[a-gr](?![0-5])", found):
        return melody.error(position, f"found {found!r}, expected a length 0 to 5 behind the note")
    return melody.error(position, f"found {found!r}, expected a note, a rest or a command")


def _tone(token: re.Match[str], melody: Placed, position: int, notes: list[str]) -> Tone:
    if token["rest"]:
        return Tone(None, _quarters(token["rest_length"], token["rest_dot"]), _VOLUME)
    try:
        pitch = pitch_of(token["name"], token["shift"], int(token["octave"] or _OCTAVE))
    except ValueError as error:
        raise melody.error(position, str(error)) from None
    if pitch > HIGHEST_PITCH:
        pitch -= 12
        notes.append("its highest notes, beyond what MIDI can play, are an octave lower")
    return Tone(pitch, _quarters(token["length"], token["dot"]), _VOLUME)


def _quarters(length: str, dot: str) -> float:
    return 4.0 / (1 << int(length)) * _SPECIFIERS[dot]


def _volume(token: str, volume: int) -> int:
    """The volume after a ``V`` command: absolute, or one step up or down within the scale."""
    wanted = {"V+": volume + 1, "V-": volume - 1}.get(token)
    return min(_LOUDEST, max(0, int(token[1:]) if wanted is None else wanted))


def _played(blocks: Sequence[_Block], volume: int, beat: int, notes: list[str]) -> list[Tone]:
    """Every tone in order; the volume goes on from tone to tone and from play to play."""
    tones: list[Tone] = []
    for block in blocks:
        times = block.times or _endless_times(block, beat, notes)
        # Without a tone the volume alone changes, and its scale has sixteen steps.
        for play in range(times if block.quarters else min(times, _LOUDEST + 1)):
            if play and block.change:
                volume = _volume(block.change, volume)
            for step in block.steps:
                if isinstance(step, str):
                    volume = _volume(step, volume)
                else:
                    tones.append(Tone(step.pitch, step.quarters, volume))
            if len(tones) > MOST_TONES:
                notes.append(f"is longer than {MOST_TONES:,} tones; the rest is left out")
                return tones[:MOST_TONES]
    return tones


def _endless_times(block: _Block, beat: int, notes: list[str]) -> int:
    if not block.quarters:
        return 1
    times = max(2, math.ceil(ENDLESS_S / (block.quarters * 60 / beat)))
    notes.append(f"repeats for ever; the repeat plays {times} times")
    return times


register(
    Format(
        slug="imelody",
        title="iMelody",
        kind=Kind.AUDIO,
        content_type="audio/imelody",
        extension="imy",
        melody=True,
        text_starts=(r"\ABEGIN:IMELODY\b",),
        read=lambda content: melody_info(content, "imelody", parse_imelody),
        strip=clean_melody,
    )
)
