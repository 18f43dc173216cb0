"""The order of the stages, once: files in, one verified message out.

    take in ─▶ sniff ─▶ classify ─▶ open ─▶ divide ─▶ fit ─▶ verify ─▶ assemble

Comes in: a :class:`Job`. Goes out: messages, a forecast, or what each file is. Never: a decision about a
file (each stage makes its own), and nothing is written: :meth:`mmsprep.message.Message.write` does that.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Literal

from mmsprep.errors import (
    AttachmentError,
    MmsprepError,
    SeveralErrors,
    TooManyAttachments,
    UsageError,
    VerifyError,
)
from mmsprep.message import Forecast, Message
from mmsprep.message.message import overhead_bytes
from mmsprep.model import (
    Action,
    Attachment,
    MediaInfo,
    Part,
    PartReport,
    ProgressCallback,
    Rejection,
    Rendition,
)
from mmsprep.pipeline.assemble import budget_bytes_of, make_part, predict_part
from mmsprep.pipeline.classify import classify
from mmsprep.pipeline.fit import Candidate, Share, Shortfall, divide, fit
from mmsprep.pipeline.intake import AttachmentInput, take_in
from mmsprep.pipeline.job import Inspection, Job
from mmsprep.pipeline.rescue import below_floor, groups_in_order, rescued
from mmsprep.pipeline.rewrap import rewrap
from mmsprep.pipeline.running import Entry, OpenOnce, Run, started
from mmsprep.pipeline.verify import verify
from mmsprep.profile import DEFAULT_PROFILE, Profile
from mmsprep.settings import Settings
from mmsprep.sniff import sniff
from mmsprep.tools.workspace import read_bytes
from mmsprep.transcode import open_source


def prepare(
    attachments: Iterable[AttachmentInput] = (),
    *,
    text: str = "",
    subject: str = "",
    profile: str | Path | Profile = DEFAULT_PROFILE,
    limit_bytes: int | None = None,
    on_error: Literal["fail", "skip"] = "fail",
    trim: bool = False,
    poster: bool = False,
    keep_names: bool = False,
    priorities: Mapping[str, float] | None = None,
    settings: Settings | None = None,
    progress: ProgressCallback | None = None,
) -> Message:
    """Make one MMS of ``attachments`` that fits the profile's limit, every part read back and verified.

    Safe to call from several threads; from asyncio through ``asyncio.to_thread``. The originals are never
    touched and nothing is written.

    Args:
        attachments: paths (a folder means its files), bytes, ``(name, bytes)`` or binary file objects.
        text: the message's own text.
        subject: the message's subject.
        profile: name of a profile, path of a TOML file, or a read profile.
        limit_bytes: a limit for the whole message in place of the profile's.
        on_error: ``"skip"`` leaves out what cannot be sent; it stands in ``Message.rejected``.
        trim: cut clips and recordings that cannot reach the quality floor to what fits.
        poster: send the best frame of a clip that cannot reach the quality floor.
        keep_names: name the parts after the originals.
        priorities: an attachment's name, with or without its folder, to its weight, 1 being normal.
        settings: limits of this machine (default: from the environment).
        progress: called after every step, from any thread.

    Returns:
        The message; ``message.total_bytes <= message.limit_bytes`` always holds.

    Raises:
        MmsprepError: see :mod:`mmsprep.errors`; nothing is half done.
    """
    job = Job(
        attachments=tuple(attachments),
        text=text,
        subject=subject,
        profile=profile,
        limit_bytes=limit_bytes,
        on_error=on_error,
        trim=trim,
        poster=poster,
        keep_names=keep_names,
        priorities=dict(priorities or {}),
    )
    return run(job, settings=settings, progress=progress)


def run(job: Job, *, settings: Settings | None = None, progress: ProgressCallback | None = None) -> Message:
    """Prepare ``job`` as one message; :func:`prepare` with its arguments in one value."""
    with started(job, settings, progress) as this:
        entries = _open(this, _understand(this))
        _check_count(this, entries)
        return _finish_what_is_sound(this, entries)


def split(job: Job, *, settings: Settings | None = None, progress: ProgressCallback | None = None) -> list[Message]:
    """Make the fewest messages that keep every part of ``job`` above its floor.

    Order is kept, the text goes with the first message.

    Raises:
        MmsprepError: as :func:`prepare`; also when one attachment alone does not fit a message.
    """
    with started(job, settings, progress) as this:
        entries = _open(this, _understand(this))
        groups = groups_in_order(this, entries)
        if groups is None:
            return [_finish_what_is_sound(this, entries)]
        following = replace(this, job=replace(job, text=""))
        return [
            _finish_what_is_sound(this if place == 0 else following, [entries[index] for index in group])
            for place, group in enumerate(groups)
        ]


def forecast(job: Job, *, settings: Settings | None = None, progress: ProgressCallback | None = None) -> Forecast:
    """Predict what :func:`run` would make of ``job``, without the final encodes.

    Raises:
        MmsprepError: as :func:`prepare`.
    """
    with started(job, settings, progress) as this:
        entries = _open(this, _understand(this))
        _check_count(this, entries)
        divided, shares = _divided(this, entries)
        parts = [
            predict_part(this, position, entry, share)
            for position, (entry, share) in enumerate(zip(divided, shares, strict=True), start=1)
        ]
        overhead = overhead_bytes(parts, this.text, this.subject)
        return Forecast(
            profile=this.profile.name,
            limit_bytes=this.limit_bytes,
            total_bytes=overhead + sum(part.size_bytes for part in parts),
            overhead_bytes=overhead,
            parts=tuple(parts),
            text=this.text,
            subject=this.subject,
            rejected=_rejections(this),
            warnings=_warnings(parts),
        )


def inspect(
    attachments: Iterable[AttachmentInput],
    *,
    profile: str | Path | Profile = DEFAULT_PROFILE,
    settings: Settings | None = None,
) -> list[Inspection]:
    """Say what each attachment really is and what :func:`prepare` would do with it; nothing is decoded."""
    job = Job(attachments=tuple(attachments), profile=profile, on_error="skip")
    with started(job, settings, None) as this:
        taken, problems = take_in(job.attachments, this.settings)
        missing = [Inspection(problem.name, 0, error=problem) for problem in problems]
        return [*this.pool.map(partial(_inspect_one, this), taken), *missing]


def _inspect_one(this: Run, attachment: Attachment) -> Inspection:
    info: MediaInfo | None = None
    try:
        info = sniff(attachment, this.settings, this.workspace)
        plan = classify(attachment.name, info, this.profile)
    except MmsprepError as error:
        return Inspection(attachment.name, attachment.size_bytes, info, error=error)
    return Inspection(attachment.name, attachment.size_bytes, info, plan)


def _understand(this: Run) -> list[Entry]:
    """Take in, sniff, classify; what cannot be sent is collected or raised, as the job says."""
    attachments, problems = take_in(this.job.attachments, this.settings)
    this.check_priorities(attachments)
    found = list(this.pool.map(partial(_inspect_one, this), attachments))
    this.leave_out([*problems, *(one.error for one in found if one.error)])
    entries = [
        Entry(attachment, one.info, one.plan)
        for attachment, one in zip(attachments, found, strict=True)
        if one.info and one.plan
    ]
    _check_something_is_left(this, entries)
    for entry in entries:
        this.tell(entry, "look", len(entries))
    return entries


def _open(this: Run, entries: Sequence[Entry]) -> list[Entry]:
    """Give every entry its candidate for the division; what must be encoded is decoded here, once."""

    def attempt(entry: Entry) -> Entry | MmsprepError:
        try:
            ready = replace(entry, candidate=_candidate(this, entry))
        except AttachmentError as error:
            return error
        this.tell(entry, "open", len(entries))
        return ready

    outcomes = list(this.pool.map(attempt, entries))
    this.leave_out([outcome for outcome in outcomes if isinstance(outcome, MmsprepError)])
    opened = [outcome for outcome in outcomes if isinstance(outcome, Entry)]
    _check_something_is_left(this, opened)
    return _tell_duplicates(this, opened)


def _tell_duplicates(this: Run, entries: Sequence[Entry]) -> list[Entry]:
    """Say which attachments are the same; carry them once where the profile lets slides share a part."""
    first: dict[str, int] = {}
    told: list[Entry] = []
    sizes = Counter(entry.info.size_bytes for entry in entries)
    for place, entry in enumerate(entries):
        content = _content_of(entry, sizes)
        shown = replace(entry, shown_at=(place,))
        if content not in first:
            first[content] = len(told)
            told.append(shown)
            continue
        twin = told[first[content]]
        if this.profile.message.share_duplicates:
            note = f"{entry.attachment.name} is the same: carried once, shown twice"
            both = replace(twin, shown_at=(*twin.shown_at, place), notes=(*twin.notes, note))
            told[first[content]] = both
        else:
            note = f"the same as {twin.attachment.name}; leave one out to give the others its bytes"
            told.append(replace(shown, notes=(note,)))
    return told


def _content_of(entry: Entry, sizes: Counter[int]) -> str:
    """What two attachments have in common when they show the same: the pixels, else the bytes."""
    if sizes.total() == 1:
        return entry.attachment.name
    original = entry.ready.original
    fingerprint = None if original else getattr(entry.ready.source(), "fingerprint", None)
    if fingerprint:
        return str(fingerprint)
    if sizes[entry.info.size_bytes] == 1:
        return entry.attachment.name
    return hashlib.sha256(original.data if original else read_bytes(entry.attachment)).hexdigest()


def _candidate(this: Run, entry: Entry) -> Candidate:
    attachment, info, plan = entry.attachment, entry.info, entry.plan
    source = OpenOnce(partial(open_source, attachment, info, plan, this.profile, this.workspace))
    original = _original(this, entry)
    if original is None:
        source()
    return Candidate(source, original, this.priority_of(attachment), info.size_bytes)


def _original(this: Run, entry: Entry) -> Rendition | None:
    """The attachment as it can go without a loss, or ``None`` where it must be encoded or is too large."""
    info, plan = entry.info, entry.plan
    if plan.action is Action.TRANSCODE:
        return None
    if plan.action is Action.KEEP:
        if info.size_bytes > this.usable_bytes:
            return None
        data = read_bytes(entry.attachment)
    else:
        data = rewrap(entry.attachment, info, plan, this.workspace)
    if len(data) > this.usable_bytes:
        return None
    return Rendition(
        data=data,
        format=info.format,
        content_type=info.content_type,
        action=plan.action,
        quality=100,
        width_px=info.width_px,
        height_px=info.height_px,
        duration_s=info.duration_s,
    )


def _divided(this: Run, entries: Sequence[Entry]) -> tuple[Sequence[Entry], Sequence[Share]]:
    """Divide the budget; what is too long becomes a poster or is cut, if the job says so."""
    budget_bytes = budget_bytes_of(this, entries)
    shares = divide([entry.ready for entry in entries], budget_bytes)
    while isinstance(shares, Shortfall):
        entries = rescued(this, entries, shares, budget_bytes)
        shares = divide([entry.ready for entry in entries], budget_bytes)
    return entries, shares


def _finish_what_is_sound(this: Run, entries: Sequence[Entry]) -> Message:
    """Finish; what turns out to be damaged only now is left out, where the job says so."""
    while True:
        try:
            return _finish(this, entries)
        except AttachmentError as error:
            this.leave_out([error])
            left = [entry for entry in entries if entry.attachment.name != error.name]
            if len(left) == len(entries):
                raise
            entries = left
            _check_something_is_left(this, entries)


def _finish(this: Run, entries: Sequence[Entry]) -> Message:
    """Divide, encode, verify, assemble."""
    entries, shares = _divided(this, entries)
    budget_bytes = budget_bytes_of(this, entries)

    def render_all(asked: Sequence[tuple[int, int]]) -> list[Rendition]:
        return list(this.pool.map(render_one, asked))

    def render_one(asked: tuple[int, int]) -> Rendition:
        place, max_bytes = asked
        rendition = entries[place].ready.source().render(max_bytes)
        this.tell(entries[place], "encode", len(entries))
        return rendition

    renditions = fit([entry.ready for entry in entries], shares, budget_bytes, render_all)
    if isinstance(renditions, Shortfall):
        raise below_floor(this, entries, renditions, budget_bytes)

    def check(work: tuple[int, Entry, Rendition]) -> Part:
        position, entry, rendition = work
        verify(entry.attachment.name, rendition, this.profile, this.workspace)
        this.tell(entry, "check", len(entries))
        return make_part(this, position, entry, rendition)

    parts = tuple(this.pool.map(check, zip(count(1), entries, renditions, strict=False)))
    message = Message(
        profile=this.profile.name,
        limit_bytes=this.limit_bytes,
        parts=parts,
        picture_limit_px=this.profile.image.max_long_px,
        text=this.text,
        subject=this.subject,
        rejected=_rejections(this),
        warnings=_warnings(parts),
    )
    if message.total_bytes > this.usable_bytes:
        raise VerifyError(
            f"the message came out at {message.total_bytes:,} bytes, {this.usable_bytes:,} are allowed;"
            " this is a bug in mmsprep, nothing was written"
        )
    return message


def _rejections(this: Run) -> tuple[Rejection, ...]:
    return tuple(
        Rejection(getattr(error, "name", ""), error.code, getattr(error, "problem", str(error)))
        for error in this.rejected
    )


def _warnings(parts: Sequence[PartReport]) -> tuple[str, ...]:
    return tuple(f"{part.source_name}: {note}" for part in parts for note in part.notes)


def _check_something_is_left(this: Run, entries: Sequence[Entry]) -> None:
    if entries or this.text:
        return
    if not this.rejected:
        raise UsageError("nothing to send: give a file or a text")
    raise this.rejected[0] if len(this.rejected) == 1 else SeveralErrors(tuple(this.rejected))


def _check_count(this: Run, entries: Sequence[Entry]) -> None:
    allowed = this.profile.message.max_attachments
    if len(entries) > allowed:
        raise TooManyAttachments(
            f"{len(entries)} attachments, profile {this.profile.name!r} allows {allowed};"
            " leave some out, or send several messages (--split)"
        )
