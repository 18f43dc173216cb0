"""What the stages of one run share: the job, the profile, a private folder, threads.

Comes in: a :class:`Job`. Goes out: a :class:`Run` and its entries. Never: the order of the stages
(``pipeline.py`` has it).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from threading import Lock

import msgspec

from mmsprep.errors import AttachmentError, MmsprepError, SeveralErrors, UsageError, a_kind_of
from mmsprep.formats.text import clean
from mmsprep.message.message import labels
from mmsprep.model import Attachment, Kind, MediaInfo, Page, Plan, Progress, ProgressCallback, Source
from mmsprep.pipeline.asking import Candidate
from mmsprep.pipeline.excerpt import facts_of
from mmsprep.pipeline.intake import indexes_called
from mmsprep.pipeline.job import Job, as_quality, check_type
from mmsprep.profile import Profile, load_profile
from mmsprep.settings import Settings, load_settings
from mmsprep.tools import ffmpeg
from mmsprep.tools.log import timed
from mmsprep.tools.workspace import Workspace

_log = logging.getLogger(__name__)
STAGES = {"look": 0.05, "open": 0.45, "encode": 0.45, "check": 0.05}
"""The stages in order, and about what share of an attachment's time each takes."""
_A_RUN = {"open": 0.8, "encode": 0.25}
"""The share of what is left of a stage that is told for one run of ffmpeg; nobody knows how many there will be."""
_UNKNOWN_S = 30.0
"""Seconds of a source of unknown length after which half of its run is told as done. Set by hand."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An attachment that was understood and, later, opened.

    ``info`` is what all of it is, ``wanted`` what the seconds of it are that are asked for.
    ``indexes`` are the attachments that it stands for, ``shown_at`` their places in the message's order; more than one
    where a duplicate shares its bytes. ``slide`` is the slide of its clip that this is the picture of, from 1;
    ``lengths_s`` are how long the slides stand that this is seen or, where it is none of them, heard on.
    ``pages`` are what it can become in place of one part, because that part would measure ``whole_quality`` even with
    the message to itself; ``page`` says which of them this is; ``floor`` is the quality that it is to reach where the
    job asks for none (``None``: its source's).
    """

    attachment: Attachment
    info: MediaInfo
    plan: Plan
    candidate: Candidate | None = None
    poster: bool = False
    indexes: tuple[int, ...] = ()
    shown_at: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()
    slide: int = 0
    lengths_s: tuple[float, ...] = ()
    pages: tuple[Entry, ...] = ()
    whole_quality: float = 100.0
    page: Page | None = None
    floor: float | None = None

    @property
    def order(self) -> tuple[tuple[int, int, bool], ...]:
        """What the message's parts are sorted by, for each that this becomes or stands for.

        They are an attachment's index, a slide or page, and whether it is the slide's sound.
        """
        if not self.lengths_s:
            number = self.page.number if self.page else 0
            return tuple((index, number, False) for index in self.indexes)
        index = self.attachment.index
        if self.slide:
            return ((index, self.slide, False),)
        return tuple((index, slide, True) for slide in range(1, len(self.lengths_s) + 1))

    @property
    def part_count(self) -> int:
        """How many parts of the message it becomes."""
        return 1 if self.slide else max(1, len(self.lengths_s))

    @property
    def wanted(self) -> MediaInfo:
        return facts_of(self.info, self.attachment.span)

    @property
    def ready(self) -> Candidate:
        assert self.candidate is not None
        return self.candidate


@dataclass(slots=True)
class Reached:
    """How far a run is: each attachment's last stage, told in an order in which nothing runs backwards."""

    callback: ProgressCallback | None
    names: Mapping[int, str] = field(default_factory=dict)
    _shares: dict[int, float] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def tell(self, index: int, stage: str) -> None:
        """``stage`` is done for an attachment."""
        self._reach(index, stage, _up_to(stage) + STAGES[stage], finished=True)

    @contextmanager
    def during(self, index: int, stage: str, duration_s: float | None) -> Iterator[None]:
        """What ffmpeg does in this block for an attachment of ``duration_s`` is told as it goes on."""
        if self.callback is None:
            yield
            return

        def heard(run: int, seconds: float) -> None:
            of_run = min(1.0, seconds / duration_s) if duration_s else seconds / (seconds + _UNKNOWN_S)
            of_stage = 1 - (1 - _A_RUN[stage]) ** run * (1 - _A_RUN[stage] * of_run)
            self._reach(index, stage, _up_to(stage) + STAGES[stage] * of_stage, finished=False)

        with ffmpeg.listening(heard):
            yield

    def end(self, index: int) -> None:
        """There is nothing more to do for an attachment."""
        with self._lock:
            self._shares[index] = 1.0

    def _reach(self, index: int, stage: str, share: float, *, finished: bool) -> None:
        with self._lock:
            self._shares[index] = max(self._shares.get(index, 0.0), share)
            if self.callback:
                done = sum(self._shares.values()) / max(1, len(self.names))
                self.callback(Progress(index, self.names[index], stage, min(1.0, round(done, 4)), finished))


def _up_to(stage: str) -> float:
    """The share of an attachment's time that lies before a stage."""
    before = list(STAGES)[: list(STAGES).index(stage)]
    return sum(STAGES[one] for one in before)


@dataclass(frozen=True, slots=True)
class Run:
    """What the stages of one run share.

    ``text`` and ``subject`` are the job's, cleaned once. ``names`` are those of what was given, by index; ``rejected``
    is what was left out of it.
    """

    job: Job
    profile: Profile
    settings: Settings
    workspace: Workspace
    pool: Executor
    reached: Reached
    text: str = ""
    subject: str = ""
    names: dict[int, str] = field(default_factory=dict)
    rejected: dict[int, MmsprepError] = field(default_factory=dict)

    @property
    def limit_bytes(self) -> int:
        return self.job.limit_bytes or self.profile.message.limit_bytes

    @property
    def usable_bytes(self) -> int:
        """The limit less what the profile reserves for the gateway's own additions."""
        return self.limit_bytes - self.profile.message.reserve_bytes

    @property
    def floor(self) -> float | None:
        """The quality asked for in place of the profile's floors."""
        return as_quality(self.job.quality)

    def know(self, given: Mapping[int, str]) -> None:
        """Keep the names of what was given.

        Raises:
            UsageError: a priority is for something that was not given (it would be lost without a word), or for a name
                that fits several.
        """
        self.names.update(sorted(given.items()))
        self.reached.names = self.names
        for called in self.job.priorities:
            self._index_of(called)

    def priority_of(self, attachment: Attachment) -> float:
        given = (weight for called, weight in self.job.priorities.items() if self._index_of(called) == attachment.index)
        return next(given, 1.0)

    def _index_of(self, called: str | int) -> int:
        """Whom a priority means."""
        fitting = indexes_called(called, self.names)
        if not fitting:
            names = ", ".join(self.names.values()) or "none"
            raise UsageError(f"a priority is given for {called!r}, which is none of the attachments ({names})")
        if len(fitting) > 1:
            which = ", ".join(f"{index}: {self.names[index]}" for index in fitting)
            raise UsageError(
                f"a priority is given for {called!r}, which fits several attachments ({which});"
                " give the path with its folder, or the index"
            )
        return fitting[0]

    def label(self, index: int) -> str:
        """What people call an attachment: its name, with its number where others have the same."""
        return labels(self.names)[index]

    @contextmanager
    def about(self, attachment: Attachment) -> Iterator[None]:
        """Whatever is wrong with an attachment is told as this one's."""
        try:
            yield
        except AttachmentError as error:
            self._assign(error, attachment.index)
            raise

    @contextmanager
    def stage(self, name: str, attachment: Attachment) -> Iterator[None]:
        """One of :data:`STAGES` of an attachment: its errors are told as this one's, its time is logged."""
        told = {"stage": name, "attachment": attachment.name, "index": attachment.index}
        sentence = "%(attachment)s: %(stage)s took %(took_s).3f s (%(outcome)s)"
        with timed(_log, logging.INFO, sentence, **told), self.about(attachment):
            yield

    def _assign(self, error: MmsprepError, index: int) -> None:
        if isinstance(error, AttachmentError):
            error.index = index
            error.is_namesake = self.label(index) != self.names[index]

    def leave_out(self, problems: Mapping[int, MmsprepError]) -> None:
        """Collect what is wrong, by index, or raise it where the job does not skip."""
        for index, problem in problems.items():
            self._assign(problem, index)
        if problems and self.job.on_error == "fail":
            raise one_of(problems)
        self.rejected.update(problems)
        for index in problems:
            self.reached.end(index)

    def tell(self, entry: Entry, stage: str) -> None:
        self.reached.tell(entry.attachment.index, stage)

    def during(self, entry: Entry, stage: str) -> AbstractContextManager[None]:
        """What ffmpeg does for an entry in this block is told as it goes on."""
        duration_s = entry.info.duration_s
        if duration_s and entry.info.kind is Kind.VIDEO:
            from mmsprep.transcode.video.mezzanine import longest_clip_s

            duration_s = min(duration_s, longest_clip_s(self.limit_bytes))
        return self.reached.during(entry.attachment.index, stage, duration_s)


def one_of(problems: Mapping[int, MmsprepError]) -> MmsprepError:
    """The error that tells all ``problems``, in the attachments' order."""
    errors = tuple(problems[index] for index in sorted(problems))
    return errors[0] if len(errors) == 1 else SeveralErrors(errors)


@contextmanager
def started(job: Job, settings: Settings | None, progress: ProgressCallback | None) -> Iterator[Run]:
    """The workspace, the threads and the profile of one run; children and files are gone when it ends."""
    check_type(job, "job", Job, "a Job")
    check_type(settings, "settings", (Settings, type(None)), "Settings")
    if progress is not None and not callable(progress):
        raise UsageError(f"progress: is {a_kind_of(progress)}; expected something that can be called")
    settings = settings or load_settings()
    profile = job.profile if isinstance(job.profile, Profile) else load_profile(job.profile)
    reserve_bytes = profile.message.reserve_bytes
    if job.limit_bytes is not None and job.limit_bytes <= reserve_bytes:
        raise UsageError(
            f"the limit of {job.limit_bytes:,} bytes leaves nothing beside the {reserve_bytes:,} that profile"
            f" {profile.name!r} reserves; give a larger one"
        )
    if job.limit_bytes is not None:
        # A clip is decoded up to where the limit could still carry it.
        profile = msgspec.structs.replace(
            profile, message=msgspec.structs.replace(profile.message, limit_bytes=job.limit_bytes)
        )
    pool = ThreadPoolExecutor(settings.worker_count, thread_name_prefix="mmsprep")
    sentence = "all of it, for profile %(profile)s, took %(took_s).3f s (%(outcome)s)"
    with timed(_log, logging.INFO, sentence, profile=profile.name), Workspace(settings) as workspace:
        try:
            text, subject = clean(job.text, profile.text.line_ends), " ".join(clean(job.subject, "lf").split())
            yield Run(job, profile, settings, workspace, pool, Reached(progress), text, subject)
        finally:
            workspace.processes.kill_all()
            pool.shutdown(wait=True, cancel_futures=True)


def already_open(source: Source) -> Callable[[], Source]:
    """What opens a candidate whose source is open already."""
    return lambda: source


class OpenOnce:
    """Opens a source at the first call, from whichever thread, and gives the same one ever after."""

    def __init__(self, opener: Callable[[], Source]) -> None:
        self._opener = opener
        self._lock = Lock()
        self._source: Source | None = None

    def __call__(self) -> Source:
        with self._lock:
            if self._source is None:
                self._source = self._opener()
            return self._source
