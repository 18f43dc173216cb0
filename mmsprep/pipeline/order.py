"""The order of the stages, once: files in, one verified message out.

    take in ─▶ sniff ─▶ classify ─▶ open ─▶ divide ─▶ fit ─▶ verify ─▶ assemble

Comes in: a :class:`Job`. Goes out: messages, a forecast, or what each file is. Never: a decision about a
file (each stage makes its own), and nothing is written: :meth:`mmsprep.message.Message.write` does that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Literal, NoReturn, TypeVar

from mmsprep.errors import (
    AttachmentError,
    BelowFloor,
    MmsprepError,
    UsageError,
    VerifyError,
)
from mmsprep.formats.text import is_seen
from mmsprep.message import Forecast, Message
from mmsprep.model import Part, ProgressCallback, Rendition
from mmsprep.pipeline.advice import advice
from mmsprep.pipeline.assemble import budget_bytes_of, in_pieces, make_part, rejections, warnings_of
from mmsprep.pipeline.candidates import Different, plan_after_looking, with_candidate
from mmsprep.pipeline.compare import plan_after_listening
from mmsprep.pipeline.foresee import foreseen
from mmsprep.pipeline.intake import Attachments, Moment
from mmsprep.pipeline.job import Inspection, Job, Quality
from mmsprep.pipeline.pages import (
    in_pages,
    is_read_without_effort,
    pages_show_more,
    reads_whole,
    with_pages,
    with_smaller_pages,
)
from mmsprep.pipeline.reach import above_floor, fitted
from mmsprep.pipeline.rescue import groups_in_order, inseparable, too_many_pages
from mmsprep.pipeline.running import Entry, Run, one_of, started
from mmsprep.pipeline.slides import becomes_slides, most_parts, noted, slides_of
from mmsprep.pipeline.understand import inspected, too_many
from mmsprep.pipeline.verify import verify
from mmsprep.profile import DEFAULT_PROFILE, Profile
from mmsprep.settings import Settings

_Result = TypeVar("_Result")
_Told = TypeVar("_Told", bound=Message | Forecast)


def prepare(
    attachments: Attachments = (),
    *,
    text: str = "",
    subject: str = "",
    profile: str | Path | Profile = DEFAULT_PROFILE,
    limit_bytes: int | None = None,
    on_error: Literal["fail", "skip"] = "fail",
    trim: bool = False,
    poster: bool = False,
    keep_names: bool = False,
    quality: Quality | None = None,
    best_effort: bool = False,
    slides: bool = False,
    pages: bool = True,
    from_s: Moment | None = None,
    to_s: Moment | None = None,
    priorities: Mapping[str | int, float] | Mapping[str, float] | Mapping[int, float] | None = None,
    settings: Settings | None = None,
    progress: ProgressCallback | None = None,
) -> Message:
    """Make one MMS of ``attachments`` that fits the profile's limit, every part read back and verified.

    Safe to call from several threads; from asyncio through ``asyncio.to_thread``. The originals are never
    touched and nothing is written.

    Args:
        attachments: one attachment or several in order: a path (a folder means its files), bytes, ``(name, bytes)``, a
            file object in binary mode, an upload, or some seconds of one of these, as ``"clip.mp4[0:12-0:20]"`` or
            :class:`mmsprep.Excerpt`. Names may repeat; what counts is the place, the index.
        text: the message's own text.
        subject: the message's subject.
        profile: name of a profile, path of a TOML file, or a read profile.
        limit_bytes: a limit for the whole message in place of the profile's.
        on_error: ``"skip"`` leaves out what cannot be sent; it stands in ``Message.rejected``.
        trim: cut clips and recordings that cannot reach the quality floor to what fits.
        poster: send the best frame of a clip that cannot reach the quality floor.
        keep_names: name the parts after the originals.
        quality: what every part is to reach, ``"low"``, ``"medium"``, ``"high"`` or 0..100, in place of the profile's
            floor.
        best_effort: send what stays below its floor, with a warning, instead of an error.
        slides: show the scenes of every clip as pictures, each for as long as it stood, over the clip's own sound.
        pages: cut a tall picture of lettering into pages where it would be illegible as one part.
        from_s, to_s: which seconds are sent of the one recording or clip among the attachments: a number, or a text
            like ``"1:05"``.
        priorities: an attachment's name, with or without its folder, or its index (from 0) to its weight, 1 being
            normal. A name that fits several is an error.
        settings: limits of this machine (default: from the environment).
        progress: called after every step, from any thread.

    Returns:
        The message; ``message.total_bytes <= message.limit_bytes`` always holds.

    Raises:
        MmsprepError: see :mod:`mmsprep.errors`; nothing is half done.
    """
    job = Job(
        attachments=attachments,
        text=text,
        subject=subject,
        profile=profile,
        limit_bytes=limit_bytes,
        on_error=on_error,
        trim=trim,
        poster=poster,
        keep_names=keep_names,
        quality=quality,
        best_effort=best_effort,
        slides=slides,
        pages=pages,
        from_s=from_s,
        to_s=to_s,
        priorities={} if priorities is None else priorities,
    )
    return run(job, settings=settings, progress=progress)


def run(job: Job, *, settings: Settings | None = None, progress: ProgressCallback | None = None) -> Message:
    """Prepare ``job`` as one message; :func:`prepare` with its arguments in one value."""
    with started(job, settings, progress) as this:
        message = _of_what_is_sound(this, _open(this, _understand(this)), partial(_paged_first, this, _finish))
        return message or _nothing_left(this)


def split(job: Job, *, settings: Settings | None = None, progress: ProgressCallback | None = None) -> list[Message]:
    """Make the fewest messages that keep every part of ``job`` above its floor.

    Order is kept, the text goes with the first message, all slides of a clip with one.

    Raises:
        MmsprepError: as :func:`prepare`; also when one attachment alone does not fit a message.
    """
    with started(job, settings, progress) as this:
        return _split(this, _finish)


def forecast(job: Job, *, settings: Settings | None = None, progress: ProgressCallback | None = None) -> Forecast:
    """Predict what :func:`run` would make of ``job``, without the final encodes.

    Raises:
        MmsprepError: as :func:`prepare`.
    """
    with started(job, settings, progress) as this:
        message = _of_what_is_sound(this, _open(this, _understand(this)), partial(_paged_first, this, foreseen))
        return message or _nothing_left(this)


def forecast_split(
    job: Job, *, settings: Settings | None = None, progress: ProgressCallback | None = None
) -> list[Forecast]:
    """Predict the messages that :func:`split` would make of ``job``, without the final encodes.

    Raises:
        MmsprepError: as :func:`split`.
    """
    with started(job, settings, progress) as this:
        return _split(this, foreseen)


def inspect(
    attachments: Attachments,
    *,
    profile: str | Path | Profile = DEFAULT_PROFILE,
    settings: Settings | None = None,
) -> list[Inspection]:
    """Say what each attachment really is and what :func:`prepare` would do with it; nothing is decoded.

    Args:
        attachments, profile, settings: as :func:`prepare` takes them.

    Returns:
        One a attachment, in the order in which they were given; one with an ``error`` stands in its place.
    """
    job = Job(attachments=attachments, profile=profile, on_error="skip")
    with started(job, settings, None) as this:
        return inspected(this)[1]


def _split(this: Run, finish: Callable[..., _Told]) -> list[_Told]:
    """As few as it takes; where a page cannot be read even so, of smaller ones, as far as these show more."""
    entries = _open(this, _understand(this, any_number=True), any_number=True)
    made: list[list[_Told]] = []
    problem: BelowFloor | None = None
    for cut in chain([entries], with_smaller_pages(this, entries)):
        try:
            made.append(_finish_groups(this, in_pages(cut) or cut, finish))
        except BelowFloor as error:
            problem = problem or error
            continue
        if not this.job.best_effort or is_read_without_effort(_worst_page(made[-1])):
            break
    if problem and not made:
        raise problem
    return max(made, key=_worst_page)


def _worst_page(messages: Sequence[Message | Forecast]) -> float:
    return min((part.quality for message in messages for part in message.parts if part.page), default=100.0)


def _finish_groups(this: Run, entries: Sequence[Entry], finish: Callable[..., _Told]) -> list[_Told]:
    """A message of each group, the text with the first."""
    groups = _of_what_is_sound(this, entries, partial(_grouped, this)) or _nothing_left(this)
    following = replace(this, text="")
    runs = [this, *[following] * (len(groups) - 1)]
    made = [
        message
        for one, group in zip(runs, groups, strict=True)
        for message in _finish_group(one, following, group, finish)
    ]
    return made or [_nothing_left(this)]


def _finish_group(this: Run, following: Run, entries: Sequence[Entry], finish: Callable[..., _Told]) -> list[_Told]:
    """One message; two, where what was forecast falls short once it is encoded."""
    units = inseparable(entries)
    split_to_its_end = len(units) < 2
    try:
        message = _of_what_is_sound(this, entries, partial(finish, this, splits=True, at_last=split_to_its_end))
    except BelowFloor:
        if split_to_its_end:
            raise
        middle = units[len(units) // 2][0]
        first = _finish_group(this, following, entries[:middle], finish)
        return first + _finish_group(following if first else this, following, entries[middle:], finish)
    return [message] if message else []


def _understand(this: Run, *, any_number: bool = False) -> list[Entry]:
    """Take in, sniff, classify; what cannot be sent is collected or raised, as the job says.

    Where nothing can be left out any more, more than the profile allows are refused before anybody looks at them.
    """
    all_count = this.job.on_error == "fail" and not this.profile.message.share_duplicates
    most = this.profile.message.max_attachments if all_count and not any_number else None
    attachments, found = inspected(this, most)
    this.leave_out({one.index: one.error for one in found if one.error})
    understood = {one.index: one for one in found}
    entries = [
        Entry(attachment, one.info, one.plan, indexes=(attachment.index,), shown_at=(attachment.index,))
        for attachment in attachments
        if (one := understood[attachment.index]) and one.info and one.plan
    ]
    _check_something_is_left(this, entries)
    for entry in entries:
        this.tell(entry, "look")
    return entries


def _open(this: Run, entries: Sequence[Entry], *, any_number: bool = False) -> list[Entry]:
    """Give every entry its candidate for the division; what must be encoded is decoded here, once.

    No more are decoded than it takes to know that there are too many.
    """

    entries = noted(this, entries)
    most_slides = most_parts(this, entries, each_alone=any_number)

    def attempt(entry: Entry) -> Sequence[Entry] | AttachmentError:
        try:
            with this.stage("open", entry.attachment), this.during(entry, "open"):
                if becomes_slides(this, entry):
                    ready = slides_of(this, entry, most_slides)
                else:
                    plan = plan_after_listening(entry.attachment, entry.info, entry.plan, this.workspace)
                    entry = replace(entry, plan=plan)
                    entry = replace(entry, plan=plan_after_looking(this, entry))
                    entry = with_candidate(this, entry)
                    ready = [with_pages(this, entry, splits=any_number)]
        except AttachmentError as error:
            return error
        this.tell(entry, "open")
        return ready

    most = len(entries) * max(1, most_slides) if any_number else this.profile.message.max_attachments
    opened = Different(this, entries)
    problems: dict[int, MmsprepError] = {}
    waiting = list(entries)
    while waiting:
        step = max(most + 1 - opened.part_count, this.settings.worker_count)
        now, waiting = waiting[:step], waiting[step:]
        for entry, outcome in zip(now, this.pool.map(attempt, now), strict=True):
            if isinstance(outcome, AttachmentError):
                problems[entry.attachment.index] = outcome
            else:
                opened.add(outcome)
        if opened.part_count > most:
            raise too_many(this, len(entries))
    this.leave_out(problems)
    _check_something_is_left(this, opened.entries)
    return opened.entries


def _grouped(this: Run, entries: Sequence[Entry]) -> list[Sequence[Entry]]:
    """The entries of each message; all in one where no division helps, which then says what would."""
    groups = groups_in_order(this, entries)
    return [[entries[place] for place in group] for group in groups] if groups else [entries]


def _placed(entries: Sequence[Entry]) -> list[Entry]:
    """The entries with their places in a message that is made of them alone."""
    places = {key: place for place, key in enumerate(sorted(key for one in entries for key in one.order))}
    return [replace(one, shown_at=tuple(places[key] for key in one.order)) for one in entries]


def _of_what_is_sound(
    this: Run, entries: Sequence[Entry], work: Callable[[Sequence[Entry]], _Result]
) -> _Result | None:
    """``work(entries)``; what turns out to be damaged only now is left out, where the job says so.

    ``None``: nothing is left.
    """
    while entries or this.text:
        try:
            return work(_placed(entries))
        except AttachmentError as error:
            lost = [index for entry in entries if error.index in entry.indexes for index in entry.indexes]
            if not lost:
                raise
            this.leave_out({index: type(error)(this.names[index], error.problem) for index in lost})
            entries = [entry for entry in entries if error.index not in entry.indexes]
    return None


def _paged_first(this: Run, work: Callable[[Run, Sequence[Entry]], _Result], entries: Sequence[Entry]) -> _Result:
    """``work`` with tall pictures in pages; with them whole where these do not fit and that can be read, too.

    Where neither can be, it is below the floor as any picture: an error, or with ``best_effort`` what shows more.
    """
    if not any(entry.pages for entry in entries):
        return work(this, entries)
    paged = in_pages(entries, this.profile.message.max_attachments)
    try:
        if paged is None:
            raise too_many_pages(this, entries)
        paged = _placed(paged)
        return work(this, paged)
    except BelowFloor:
        if not all(reads_whole(this, entry) for entry in entries):
            if not this.job.best_effort:
                raise
            if paged and pages_show_more(entries, paged, budget_bytes_of(this, paged)):
                return work(this, [replace(one, floor=0.0) if one.page else one for one in paged])
    return work(this, entries)


def _finish(this: Run, entries: Sequence[Entry], *, splits: bool = False, at_last: bool = True) -> Message:
    """Divide, encode, verify, assemble."""
    entries, renditions = above_floor(this, entries, fitted, splits=splits, at_last=at_last)

    def check(work: tuple[int, Entry, Rendition]) -> Part:
        position, entry, rendition = work
        with this.stage("check", entry.attachment):
            rendition = verify(entry.attachment, rendition, this.profile, this.workspace)
        this.tell(entry, "check")
        return make_part(this, position, entry, rendition)

    pieces = in_pieces(entries, renditions)
    parts = tuple(this.pool.map(check, ((place, *piece) for place, piece in enumerate(pieces, start=1))))
    told = [make_part(this, 1, *of) for of in zip(entries, renditions, strict=True)]
    helpful = advice(this, entries, told, budget_bytes_of(this, entries), splits=splits)
    message = Message(
        profile=this.profile.name,
        limit_bytes=this.limit_bytes,
        parts=parts,
        picture_limit_px=this.profile.image.max_long_px,
        text=this.text,
        subject=this.subject,
        rejected=rejections(this),
        warnings=(*warnings_of(this, parts), *helpful),
    )
    if message.total_bytes > this.usable_bytes:
        raise VerifyError(
            f"the message came out at {message.total_bytes:,} bytes, {this.usable_bytes:,} are allowed;"
            " this is a bug in mmsprep, nothing was written"
        )
    return message


def _check_something_is_left(this: Run, entries: Sequence[Entry]) -> None:
    if not entries and not is_seen(this.text):
        _nothing_left(this)


def _nothing_left(this: Run) -> NoReturn:
    if not this.rejected:
        raise UsageError("nothing to send: give a file or a text")
    raise one_of(this.rejected)
