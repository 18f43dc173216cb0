"""What was handed over, what it is, which seconds of it are wanted, and what is to be done with it.

Comes in: a run's job. Goes out: attachments, and an :class:`Inspection` of each. Never: a decode.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from mmsprep.errors import MmsprepError, TooManyAttachments
from mmsprep.model import Attachment, MediaInfo
from mmsprep.pipeline.classify import classify
from mmsprep.pipeline.excerpt import checked_span, is_timed, the_timed_one
from mmsprep.pipeline.intake import take_in
from mmsprep.pipeline.job import Inspection
from mmsprep.pipeline.running import Run
from mmsprep.sniff import sniff


def inspected(this: Run, most: int | None = None) -> tuple[list[Attachment], list[Inspection]]:
    """Take in, sniff, classify: what could be taken in, and what is known of everything that was given, in order.

    ``most`` is how many there may be.

    Raises:
        UsageError: the job asks for seconds, and it is not plain of what.
    """
    taken, problems = take_in(this.job.attachments, this.settings)
    missing = [Inspection(problem.name, 0, error=problem, index=problem.index or 0) for problem in problems]
    this.know({one.index: one.name for one in taken} | {one.index: one.name for one in missing})
    if most is not None and len(taken) > most:
        raise too_many(this, len(taken))
    looked_at = list(this.pool.map(partial(_look_at, this), taken))
    taken = _with_asked_span(this, taken, looked_at)
    planned = list(this.pool.map(partial(_plan, this), taken, looked_at))
    found = [*(inspection for _, inspection in planned), *missing]
    return [attachment for attachment, _ in planned], sorted(found, key=lambda one: one.index)


def too_many(this: Run, count: int) -> TooManyAttachments:
    """The error for ``count`` attachments where fewer are allowed."""
    return TooManyAttachments(
        f"{count} attachments, profile {this.profile.name!r} allows {this.profile.message.max_attachments};"
        " leave some out, or send several messages (prepare --split)"
    )


def _look_at(this: Run, attachment: Attachment) -> MediaInfo | MmsprepError:
    try:
        with this.stage("look", attachment):
            return sniff(attachment, this.settings, this.workspace)
    except MmsprepError as error:
        return error


def _with_asked_span(
    this: Run, taken: Sequence[Attachment], looked_at: Sequence[MediaInfo | MmsprepError]
) -> list[Attachment]:
    """The attachments, the one recording or clip among them with the seconds that the job asks for."""
    span = this.job.span
    known = [(one, info) for one, info in zip(taken, looked_at, strict=True) if isinstance(info, MediaInfo)]
    is_told_first = len(known) < len(taken)
    if is_told_first and this.job.on_error == "skip":
        is_told_first = not any(is_timed(info) for _, info in known)
    if span is None or is_told_first:  # of what cannot be read
        return list(taken)
    index = the_timed_one(known)
    return [replace(one, span=span) if one.index == index else one for one in taken]


def _plan(this: Run, attachment: Attachment, info: MediaInfo | MmsprepError) -> tuple[Attachment, Inspection]:
    name, size_bytes, index = attachment.name, attachment.size_bytes, attachment.index
    if isinstance(info, MmsprepError):
        return attachment, Inspection(name, size_bytes, error=info, index=index)
    attachment = replace(attachment, extent=info.extent)
    try:
        with this.about(attachment):
            if attachment.span is not None:
                span = checked_span(attachment, info, attachment.span, this.settings, this.workspace)
                attachment = replace(attachment, span=span)
            plan = classify(name, info, this.profile, attachment.span)
    except MmsprepError as error:
        return attachment, Inspection(name, size_bytes, info, error=error, index=index)
    return attachment, Inspection(name, size_bytes, info, plan, index=index, span=attachment.span)
