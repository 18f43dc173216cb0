"""Melodies: iMelody and eMelody to Standard MIDI, MIDI checked.

Comes in: a melody. Goes out: one Standard MIDI file (format 0), or the melody as it is where a profile keeps
it. Never: a melody that does not parse.
"""

from __future__ import annotations

import io

import mido

from mmsprep.errors import Damaged
from mmsprep.model import Action, Attachment, MediaInfo, Plan
from mmsprep.profile import Profile
from mmsprep.tools.plaintext import decode
from mmsprep.tools.workspace import Workspace, read_bytes
from mmsprep.transcode.fixed import FixedSource
from mmsprep.transcode.imelody import Melody, MelodyError, parse

TICKS_A_QUARTER = 480
_SOUNDING = {"S0": 20 / 21, "S1": 1.0, "S2": 0.5}
_FORMAT_TITLES = {"imelody": "iMelody", "emelody": "eMelody"}


def open_source(
    attachment: Attachment,
    info: MediaInfo,
    plan: Plan,
    profile: Profile,
    workspace: Workspace,
) -> FixedSource:
    """A melody as it will be sent.

    Raises:
        Damaged: it does not parse; the message names line and column.
    """
    data = read_bytes(attachment)
    if info.format == "midi":
        return FixedSource(data, "midi")
    decoded = decode(data)
    try:
        if decoded is None:
            raise MelodyError("it is no text")
        melody = parse(decoded[0])
    except MelodyError as error:
        raise Damaged(attachment.name, f"is a damaged {_FORMAT_TITLES[info.format]}: {error}") from error
    if plan.action is not Action.TRANSCODE or plan.target == info.format:
        return FixedSource(data, info.format)
    return FixedSource(to_midi(melody), "midi")


def to_midi(melody: Melody) -> bytes:
    """Standard MIDI, format 0: one track, the melody's tempo, volume as velocity, its style as gaps."""
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
    out = io.BytesIO()
    song.save(file=out)
    return out.getvalue()
