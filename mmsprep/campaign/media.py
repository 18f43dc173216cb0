"""The media of a campaign: prepared once for all who get the same files, then given everybody's own words.

Comes in: a checked campaign, a person's words. Goes out: a message. Never: an encoding for a person whose parts another
one has already.

Media are fitted beside the longest text and subject of their group, so that every other text fits too.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from mmsprep import pipeline
from mmsprep.campaign.checked import Checked, Words
from mmsprep.errors import MmsprepError
from mmsprep.formats.text import clean
from mmsprep.message import Message, read_message
from mmsprep.profile import Profile, load_profile
from mmsprep.settings import Settings

_MOST_IN_MEMORY = 8


class Rendered:
    """Messages of a campaign; safe to use from several threads.

    What is used by several people and has no room in memory waits in a temporary folder.
    """

    def __init__(self, checked: Checked, settings: Settings | None = None) -> None:
        self._checked = checked
        self._settings = settings
        self._lock = threading.Lock()
        self._ready: OrderedDict[tuple[str, ...], Message | MmsprepError] = OrderedDict()
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
        with self._lock:
            media = self._media(words.files)
        text, subject = clean(words.text, self._line_ends), words.subject
        return replace(media, text=text, subject=subject)

    def _media(self, files: tuple[str, ...]) -> Message:
        found = self._ready.get(files)
        if found is None:
            found = self._laid_away(files) or self._prepared(files)
            self._ready[files] = found
            if len(self._ready) > _MOST_IN_MEMORY:
                self._lay_away(*self._ready.popitem(last=False))
        self._ready.move_to_end(files)
        if isinstance(found, MmsprepError):
            raise found
        return found

    def _prepared(self, files: tuple[str, ...]) -> Message | MmsprepError:
        group = self._checked.groups[files]
        job = replace(self._checked.campaign.job, attachments=files, text=group.text, subject=group.subject)
        self.prepared += 1
        try:
            return pipeline.run(job, settings=self._settings)
        except MmsprepError as error:
            return error

    def _place(self, files: tuple[str, ...]) -> Path:
        return (
            Path(self._folder.name) / hashlib.sha256("\0".join(files).encode("utf-8", "surrogatepass")).hexdigest()[:24]
        )

    def _lay_away(self, files: tuple[str, ...], message: Message | MmsprepError) -> None:
        if isinstance(message, Message) and self._checked.groups[files].people > 1 and not self._place(files).exists():
            message.write(self._place(files))

    def _laid_away(self, files: tuple[str, ...]) -> Message | None:
        place = self._place(files)
        return read_message(place) if place.is_dir() else None
