"""What the stages of one run share: the job, the profile, a private folder, threads.

Comes in: a :class:`Job`. Goes out: a :class:`Run` and its entries. Never: the order of the stages
(``pipeline.py`` has it).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePath
from threading import Lock

import msgspec

from mmsprep.errors import MmsprepError, SeveralErrors, UsageError
from mmsprep.formats.text import clean
from mmsprep.model import Attachment, MediaInfo, Plan, Progress, ProgressCallback, Source
from mmsprep.pipeline.fit import Candidate
from mmsprep.pipeline.job import Job
from mmsprep.profile import Profile, load_profile
from mmsprep.settings import Settings, load_settings
from mmsprep.tools.workspace import Workspace

STAGES = ("look", "open", "encode", "check")


@dataclass(frozen=True, slots=True)
class Entry:
    """An attachment that was understood and, later, opened.

    ``shown_at`` are its places in the message's order; more than one where a duplicate shares its bytes.
    """

    attachment: Attachment
    info: MediaInfo
    plan: Plan
    candidate: Candidate | None = None
    poster: bool = False
    shown_at: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def ready(self) -> Candidate:
        assert self.candidate is not None
        return self.candidate


@dataclass(frozen=True, slots=True)
class Run:
    """What the stages of one run share."""

    job: Job
    profile: Profile
    settings: Settings
    workspace: Workspace
    pool: Executor
    progress: ProgressCallback | None
    rejected: list[MmsprepError]

    @property
    def limit_bytes(self) -> int:
        return self.job.limit_bytes or self.profile.message.limit_bytes

    @property
    def usable_bytes(self) -> int:
        """The limit less what the profile reserves for the gateway's own additions."""
        return self.limit_bytes - self.profile.message.reserve_bytes

    @property
    def text(self) -> str:
        return clean(self.job.text, self.profile.text.line_ends)

    @property
    def subject(self) -> str:
        return " ".join(clean(self.job.subject, "lf").split())

    def priority_of(self, attachment: Attachment) -> float:
        named = (weight for name, weight in self.job.priorities.items() if _is_called(attachment, name))
        return next(named, 1.0)

    def check_priorities(self, attachments: Sequence[Attachment]) -> None:
        """Refuse a priority for something that is not there: it would be lost without a word."""
        for name in self.job.priorities:
            if not any(_is_called(attachment, name) for attachment in attachments):
                names = ", ".join(attachment.name for attachment in attachments) or "none"
                raise UsageError(f"a priority is given for {name!r}, which is none of the attachments ({names})")

    def leave_out(self, problems: Sequence[MmsprepError]) -> None:
        """Collect ``problems``, or raise them where the job does not skip."""
        if problems and self.job.on_error == "fail":
            raise problems[0] if len(problems) == 1 else SeveralErrors(tuple(problems))
        self.rejected.extend(problems)

    def tell(self, entry: Entry, stage: str, count: int) -> None:
        if self.progress:
            done = (STAGES.index(stage) + (entry.attachment.index + 1) / max(1, count)) / len(STAGES)
            self.progress(Progress(entry.attachment.index, entry.attachment.name, stage, min(1.0, done)))


def _is_called(attachment: Attachment, name: str) -> bool:
    return name in (attachment.name, PurePath(attachment.name).name)


@contextmanager
def started(job: Job, settings: Settings | None, progress: ProgressCallback | None) -> Iterator[Run]:
    """The workspace, the threads and the profile of one run; children and files are gone when it ends."""
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
    with Workspace(settings) as workspace:
        try:
            yield Run(job, profile, settings, workspace, pool, progress, [])
        finally:
            workspace.processes.kill_all()
            pool.shutdown(wait=True, cancel_futures=True)


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
