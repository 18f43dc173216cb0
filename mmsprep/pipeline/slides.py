"""A clip as slides: one entry for each picture, one for the sound under them.

Comes in: an entry of a clip. Goes out: entries that the budget is divided over as over any others. Never: an encode.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from mmsprep.model import Kind, Source
from mmsprep.pipeline.asking import Candidate
from mmsprep.pipeline.excerpt import spans_of
from mmsprep.pipeline.running import Entry, Run, already_open
from mmsprep.transcode import open_slides

_BY_MM7 = (
    "slides keep their times where the presentation goes along: send them by MM7 (--via mm7); the HTTP form has none"
)


_NO_CLIP = "slides are asked for, but there is no clip among the attachments"


def becomes_slides(this: Run, entry: Entry) -> bool:
    """Whether the job asks for slides in place of this one."""
    return this.job.slides and entry.info.kind is Kind.VIDEO and entry.info.frame_count != 1


def most_parts(this: Run, entries: Sequence[Entry], *, each_alone: bool) -> int:
    """How many parts each clip may become beside everything else that is sent, or in a message of its own."""
    clips = sum(becomes_slides(this, entry) for entry in entries)
    if not clips:
        return 0
    if each_alone:
        return this.profile.message.max_attachments
    return max(1, (this.profile.message.max_attachments - (len(entries) - clips)) // clips)


def noted(this: Run, entries: Sequence[Entry]) -> list[Entry]:
    """The entries; where slides are asked for and none of them is a clip, the first says so."""
    if not this.job.slides or not entries or any(becomes_slides(this, entry) for entry in entries):
        return list(entries)
    return [replace(entries[0], notes=(*entries[0].notes, _NO_CLIP)), *entries[1:]]


def slides_of(this: Run, entry: Entry, most: int) -> list[Entry]:
    """The pictures in order, then the sound; ``most`` parts in all.

    Raises:
        Damaged: no frame decodes.
        OverInputLimit: the decode takes too long, or too much room.
    """
    attachment, info = entry.attachment, entry.wanted
    made = open_slides(attachment, info, this.profile, this.workspace, most)
    about = partial(this.about, attachment)

    def candidate(source: Source, source_bytes: int | None = None) -> Candidate:
        return Candidate(already_open(source), None, this.priority_of(attachment), source_bytes, this.floor, about)

    why = tuple(reason for reason in entry.plan.reasons if reason.code == "excerpt")
    entry = replace(entry, plan=replace(entry.plan, reasons=why))
    plain = replace(entry, info=replace(entry.info, notes=()))
    shown = [
        replace(
            plain if slide > 1 else entry,
            attachment=replace(attachment, span=span),
            candidate=candidate(picture),
            slide=slide,
            lengths_s=(length_s,),
        )
        for slide, (picture, length_s, span) in enumerate(
            zip(made.pictures, made.lengths_s, spans_of(attachment.span, made.lengths_s), strict=True), start=1
        )
    ]
    shown[0] = replace(shown[0], notes=(*entry.notes, *made.notes, _BY_MM7))
    if made.sound is None:
        return shown
    sound_bytes = (
        round(info.audio_rate_kbps * 125 * info.duration_s) if info.audio_rate_kbps and info.duration_s else None
    )
    lengths_s = made.lengths_s[: made.sound.count]
    return [*shown, replace(plain, lengths_s=lengths_s, candidate=candidate(made.sound, sound_bytes))]
