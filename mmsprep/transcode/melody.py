"""Melodies: iMelody and eMelody to Standard MIDI, MIDI of an odd kind to an ordinary one.

Comes in: a melody. Goes out: one Standard MIDI file, or the melody as it is where a profile keeps it. Never: a
melody that does not parse.
"""

from __future__ import annotations

from dataclasses import dataclass

from mmsprep.errors import Damaged
from mmsprep.formats import FORMATS, midi
from mmsprep.formats.emelody import parse_emelody
from mmsprep.formats.imelody import parse_imelody
from mmsprep.formats.text import decode_all
from mmsprep.model import Action, Attachment, MediaInfo, Plan, Rendition
from mmsprep.profile import Profile
from mmsprep.tools.isolation import isolated
from mmsprep.tools.untrusted import read_bytes
from mmsprep.tools.workspace import Workspace
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
    made = isolated(workspace, as_sent, attachment, info.format, info.brand == "smf2")
    duration_s = info.duration_s if made.duration_s is None else made.duration_s
    return FixedSource(
        Rendition(
            data=made.data,
            format=made.format,
            content_type=FORMATS[made.format].content_type,
            action=Action.TRANSCODE,
            quality=100,
            duration_s=duration_s,
            notes=made.notes,
        )
    )


@dataclass(frozen=True, slots=True)
class Made:
    """A melody as it will be sent; ``duration_s`` is ``None`` where it plays as before."""

    data: bytes
    format: str
    duration_s: float | None = None
    notes: tuple[str, ...] = ()


def as_sent(attachment: Attachment, format_slug: str, in_patterns: bool) -> Made:
    """A melody as it will be sent, in this process: for a worker; raises as :func:`open_source`."""
    data = read_bytes(attachment)
    try:
        if format_slug == "midi":
            if in_patterns:
                data = midi.as_one_track(data)
            return Made(data, "midi")
        melody = _PARSERS[format_slug](decode_all(data)[0])
    except ValueError as error:
        title = FORMATS[format_slug].title
        raise Damaged(attachment.name, f"is a damaged {title}: {error}; get the file again") from error
    return Made(midi.from_melody(melody), "midi", round(melody.duration_s, 3), melody.notes)
