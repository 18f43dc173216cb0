"""Standard MIDI files: read, checked, and written from a melody's notes.

Comes in: a MIDI file's bytes, or a :class:`Melody`. Goes out: what is in it; one Standard MIDI file. Never: a
sound, or text from the file's tags.

The reader is mido's; what is around and wrong with the tracks goes before (``midi_tracks.py``).
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from typing import Any

from mmsprep.errors import Damaged
from mmsprep.formats.content import Content
from mmsprep.formats.melody import Melody
from mmsprep.formats.midi_tracks import cleaned, find_header
from mmsprep.formats.registry import Format, described, register
from mmsprep.model import Kind, MediaInfo

TICKS_A_QUARTER = 480
_PREFIX_BYTES = 1_024
"""What old systems put in front of a file (MacBinary: 128 bytes)."""
_BYTES_READ = 1_000_000
_ENDLESS_NUMBER = re.compile(rb"[\x80-\xff]{4096}")
_FIRST_TEMPO = 500_000
"""Microseconds a quarter until the file says otherwise."""
_SOUNDING = {"S0": 20 / 21, "S1": 1.0, "S2": 0.5}
"""How much of its length a tone sounds; iMelody's natural style has one part of rest to twenty of tone."""


@dataclass(frozen=True, slots=True)
class Song:
    """What a MIDI file holds; ``form`` is 0, 1 or 2 (one track, several together, several one by one)."""

    form: int
    track_count: int
    note_count: int
    duration_s: float


def read_song(data: bytes) -> Song:
    """Read a Standard MIDI file to its end.

    Raises:
        ValueError: it breaks the format.
    """
    song = _parsed(data)
    notes = sum(1 for track in song.tracks for event in track if event.type == "note_on" and event.velocity)
    return Song(song.type, len(song.tracks), notes, round(_seconds(song), 3))


def as_one_track(data: bytes) -> bytes:
    """The patterns of a MIDI file of format 2, which phones do not know, one after another in format 0.

    Raises:
        ValueError: it breaks the format.
    """
    import mido

    song = _parsed(cleaned(data))
    single = mido.MidiFile(type=0, ticks_per_beat=song.ticks_per_beat)
    single.tracks.append(mido.MidiTrack())
    waiting = 0
    for track in song.tracks:
        for event in track:
            if event.type == "end_of_track":
                waiting += event.time
            else:
                single.tracks[0].append(event.copy(time=event.time + waiting))
                waiting = 0
    single.tracks[0].append(mido.MetaMessage("end_of_track", time=waiting))
    return _saved(single)


def from_melody(melody: Melody) -> bytes:
    """Standard MIDI, format 0: one track, the melody's tempo, volume as velocity, its style as gaps."""
    import mido

    song = mido.MidiFile(type=0, ticks_per_beat=TICKS_A_QUARTER)
    track = mido.MidiTrack()
    song.tracks.append(track)
    track.append(mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(melody.beat), time=0))
    waiting = 0
    for tone in melody.tones:
        ticks = round(tone.quarters * TICKS_A_QUARTER)
        if tone.pitch is None or tone.volume == 0:
            waiting += ticks
            continue
        sounding = max(1, round(ticks * _SOUNDING[melody.style]))
        velocity = min(127, 7 + tone.volume * 8)
        track.append(mido.Message("note_on", note=tone.pitch, velocity=velocity, time=waiting))
        track.append(mido.Message("note_off", note=tone.pitch, velocity=0, time=sounding))
        waiting = ticks - sounding
    track.append(mido.MetaMessage("end_of_track", time=waiting))
    return _saved(song)


def _parsed(data: bytes) -> Any:
    import mido

    if _ENDLESS_NUMBER.search(data):
        # mido would put it together bit by bit, in the square of its length.
        raise ValueError("a number in it is thousands of bytes long")
    try:
        song = mido.MidiFile(file=io.BytesIO(data))
    except Exception as error:  # mido raises whatever its parsing runs into
        raise ValueError(str(error) or type(error).__name__) from error
    if not song.tracks:
        raise ValueError("there is no track in it")
    if not song.ticks_per_beat or (song.ticks_per_beat < 0 and not song.ticks_per_beat & 0xFF):
        raise ValueError("its unit of time is zero")
    return song


def _seconds(song: Any) -> float:
    """How long it plays: format 2's patterns one after another, with every file's tempo changes."""
    import mido

    events = mido.merge_tracks(song.tracks) if song.type != 2 else (event for track in song.tracks for event in track)
    division = song.ticks_per_beat
    if division < 0:
        # Frames a second, negative, in the upper byte and ticks a frame in the lower one: no tempo changes these.
        return float(sum(event.time for event in events) / (-(division >> 8) * (division & 0xFF)))
    seconds, tempo = 0.0, _FIRST_TEMPO
    for event in events:
        seconds += mido.tick2second(event.time, division, tempo)
        if event.type == "set_tempo":
            tempo = event.tempo
    return seconds


def _saved(song: Any) -> bytes:
    out = io.BytesIO()
    song.save(file=out)
    return out.getvalue()


def _strip(content: Content) -> bytes:
    return cleaned(content.read(0, content.size_bytes))


def _read(content: Content) -> MediaInfo:
    """A MIDI file, or a RIFF around one; ``metadata`` tells them apart.

    How long one plays that is larger than any MMS, whose events take long to read, stays unknown.
    """
    wrapped = content.head.startswith(b"RIFF")
    whole = content.size_bytes <= _BYTES_READ
    start = max(0, find_header(content.head))
    duration_s, form = None, int.from_bytes(content.head[start + 8 : start + 10], "big")
    metadata = ["rmi"] if wrapped else []
    if whole:
        data = content.read(0, content.size_bytes)
        try:
            inner = cleaned(data)
            song = read_song(inner)
        except ValueError as error:
            raise Damaged(content.name, f"is damaged MIDI ({error}); get the file again") from error
        if not song.note_count:
            raise Damaged(content.name, "is MIDI without a note; get the file again")
        duration_s, form = song.duration_s, song.form
        if not wrapped and inner != data:
            metadata.append("trailing" if data.startswith(inner) else "irregular_structure")
    return described(content, "midi", duration_s=duration_s, brand=f"smf{form}", metadata=tuple(metadata))


register(
    Format(
        slug="midi",
        title="MIDI",
        kind=Kind.AUDIO,
        content_type="audio/midi",
        extension="mid",
        also_named="midi kar rmi smf",
        melody=True,
        magics=(
            (
                (0, b"RIFF"),
                (8, b"RMID"),
            ),
            ((0, b"MThd\x00\x00\x00"),),
        ),
        looks_like=lambda content: find_header(content.head[:_PREFIX_BYTES]) >= 0,
        rank=190,
        read=_read,
        strip=_strip,
    )
)
