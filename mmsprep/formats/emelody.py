"""eMelody 1.0, Ericsson's ringtone text: text to notes.

Comes in: the text of a melody. Goes out: a :class:`Melody` of short and long tones. Never: a melody that
breaks the grammar.

The format has no tempo: a long tone is a quarter at 120 a minute here, a short one an eighth. Melodies longer
than the 40 tones that its phones took are played whole.
"""

from __future__ import annotations

import re

from mmsprep.formats.melody import (
    MOST_TONES,
    Melody,
    Placed,
    Tone,
    clean_melody,
    melody_info,
    pitch_of,
    read_headers,
)
from mmsprep.formats.registry import Format, register
from mmsprep.model import Kind

_OCTAVE, _VOLUME = 4, 7
_SHORT, _LONG = 0.5, 1.0
_TONE = re.compile(r"(?P<up>\+?)(?P<shift>\(b\)|#|)(?P<name>[a-gA-G])|(?P<pause>[pP])")
_SHIFTS = {"(b)": "&", "#": "#", "": ""}


def parse_emelody(text: str) -> Melody:
    """Parse an eMelody.

    Raises:
        MelodyError: it breaks the grammar; the message names line and column.
    """
    headers = read_headers(text, "EMELODY")
    version = headers.get("VERSION")
    if version is not None and version.text.strip() not in ("1.0", "1"):
        raise version.error(0, f"found {version.text.strip()!r}, expected 1.0")
    melody = headers["MELODY"]
    tones: list[Tone] = []
    position = 0
    while position < len(melody.text):
        if melody.text[position].isspace():
            position += 1
            continue
        token = _TONE.match(melody.text, position)
        if token is None:
            found = melody.text[position : position + 4].split()[0]
            raise melody.error(position, f"found {found!r}, expected a tone (a to g, #c, (b)d, +c) or the pause p")
        tones.append(_tone(token, melody, position))
        position = token.end()
        if len(tones) > MOST_TONES:
            raise melody.error(position, f"more than {MOST_TONES:,} tones")
    if not any(tone.pitch is not None for tone in tones):
        raise melody.error(0, "there is no tone in the melody")
    return Melody(tuple(tones))


def _tone(token: re.Match[str], melody: Placed, position: int) -> Tone:
    """Small letters are short, capitals long; ``+`` raises by an octave."""
    name = token["pause"] or token["name"]
    quarters = _LONG if name.isupper() else _SHORT
    if token["pause"]:
        return Tone(None, quarters, _VOLUME)
    try:
        pitch = pitch_of(name.lower(), _SHIFTS[token["shift"]], _OCTAVE + bool(token["up"]))
    except ValueError as error:
        raise melody.error(position, str(error).replace("&", "(b)")) from None
    return Tone(pitch, quarters, _VOLUME)


register(
    Format(
        slug="emelody",
        title="eMelody",
        kind=Kind.AUDIO,
        content_type="text/x-emelody",
        extension="emy",
        melody=True,
        text_starts=(r"\ABEGIN:EMELODY\b",),
        read=lambda content: melody_info(content, "emelody", parse_emelody),
        strip=clean_melody,
    )
)
