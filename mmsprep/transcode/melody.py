"""Melodies: iMelody and eMelody to Standard MIDI, MIDI of an odd kind to an ordinary one.

Comes in: a melody. Goes out: one Standard MIDI file, or the melody as it is where a profile keeps it. Never: a
melody that does not parse.
"""

from __future__ import annotations

from mmsprep.errors import Damaged
from mmsprep.formats import FORMATS
from mmsprep.model import Attachment, MediaInfo, Plan
from mmsprep.profile import Profile
from mmsprep.tools import midi
from mmsprep.tools.emelody import parse_emelody
from mmsprep.tools.imelody import parse_imelody
from mmsprep.tools.melody import MelodyError
from mmsprep.tools.plaintext import decode
from mmsprep.tools.workspace import Workspace, read_bytes
from mmsprep.transcode.fixed import FixedSource

_PARSERS = {"imelody": parse_imelody, "emelody": parse_emelody}


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
    try:
        if info.format == "midi":
            if info.brand == "smf2":
                data = midi.as_one_track(data[max(0, data.find(b"MThd")) :])
            return FixedSource(data, "midi", duration_s=info.duration_s)
        if plan.target == info.format:
            return FixedSource(data, info.format, duration_s=info.duration_s)
        decoded = decode(data)
        if decoded is None:
            raise MelodyError("it is no text")
        melody = _PARSERS[info.format](decoded[0])
    except ValueError as error:
        title = FORMATS[info.format].title
        raise Damaged(attachment.name, f"is a damaged {title}: {error}; get the file again") from error
    return FixedSource(midi.from_melody(melody), "midi", duration_s=round(melody.duration_s, 3), notes=melody.notes)
