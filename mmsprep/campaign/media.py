"""The media of a campaign: prepared once for all who get the same files, then given everybody's own words.

Comes in: a checked campaign, a person's words. Goes out: a message. Never: an encoding for a person whose parts another
one has already.

Media are fitted beside the longest text and subject of their group, so that every other text fits too.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from mmsprep import pipeline
from mmsprep.campaign.checked import Checked, Words, priorities_of
from mmsprep.errors import MmsprepError
from mmsprep.formats.text import clean
from mmsprep.message import Message, read_message
from mmsprep.profile import Profile, load_profile
from mmsprep.settings import Settings, load_settings

_MOST_IN_MEMORY = 8


class Rendered:
    """Messages of a campaign; safe to use from several threads, which prepare as many sets at once as settings allow.

    What is used by several people and has no room in memory waits in a temporary folder.
    """

    def __init__(self, checked: Checked, settings: Settings | None = None) -> None:
        self._checked = checked
        self._settings = settings or load_settings()
        self._lock = threading.Lock()
        self._turn = threading.Semaphore(self._settings.worker_count)
        self._ready: OrderedDict[tuple[str, ...], Future[Message]] = OrderedDict()
        self._folder = TemporaryDirectory(prefix="mmsprep-campaign-", ignore_cleanup_errors=True)
        self.prepared = 0
        """How many times media were prepared."""
        job = checked.campaign.job
        profile = job.profile if isinstance(job.profile, Profile) else load_profile(job.profile)
        self._line_ends = profile.text.line_ends

    def __enter__(self) -> Rendered:
        return self

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()

    def message(self, words: Words) -> Message:
        """What a person gets.

        Raises:
            MmsprepError: the media cannot be prepared.
        """
        media = self._media(words.files)
        text, subject = clean(words.text, self._line_ends), words.subject
        return replace(media, text=text, subject=subject)

    def messages(self, several: Iterable[Words]) -> Iterator[Message | MmsprepError]:
        """What several people get, or why it cannot be prepared, in their order; prepared at the same time."""

        def attempt(words: Words) -> Message | MmsprepError:
            try:
                return self.message(words)
            except MmsprepError as error:
                return error

        with ThreadPoolExecutor(self._settings.worker_count, thread_name_prefix="mmsprep-campaign") as pool:
            yield from pool.map(attempt, several)

    def _media(self, files: tuple[str, ...]) -> Message:
        with self._lock:
            found = self._ready.get(files)
            is_mine = found is None
            if found is None:
                found = self._ready[files] = Future()
            self._ready.move_to_end(files)
        if is_mine:
            self._fill(found, files)
            self._make_room()
        return found.result()

    def _fill(self, future: Future[Message], files: tuple[str, ...]) -> None:
        try:
            with self._turn:
                future.set_result(self._laid_away(files) or self._prepared(files))
        except BaseException as error:
            future.set_exception(error)
            if not isinstance(error, MmsprepError):
                with self._lock:
                    self._ready.pop(files, None)

    def _make_room(self) -> None:
        """Whoever waits for what goes has it in hand already."""
        with self._lock:
            done = [files for files, future in self._ready.items() if future.done()]
            for files in done[: max(0, len(done) - _MOST_IN_MEMORY)]:
                self._lay_away(files, self._ready.pop(files))

    def _prepared(self, files: tuple[str, ...]) -> Message:
        group = self._checked.groups[files]
        campaign = self._checked.campaign
        job = replace(
            campaign.job,
            attachments=files,
            text=group.text,
            subject=group.subject,
            priorities=priorities_of(campaign, files),
        )
        with self._lock:
            self.prepared += 1
        return pipeline.run(job, settings=self._settings)

    def _place(self, files: tuple[str, ...]) -> Path:
        return (
            Path(self._folder.name) / hashlib.sha256("\0".join(files).encode("utf-8", "surrogatepass")).hexdigest()[:24]
        )

    def _lay_away(self, files: tuple[str, ...], media: Future[Message]) -> None:
        if not media.exception() and self._checked.groups[files].people > 1 and not self._place(files).exists():
            media.result().write(self._place(files))

    def _laid_away(self, files: tuple[str, ...]) -> Message | None:
        place = self._place(files)
        return read_message(place) if place.is_dir() else None
