"""A private temporary folder and the children of one ``prepare``, gone when it ends.

Comes in: settings. Goes out: paths inside the folder, and ffmpeg runs. Never: a file that outlives the
``with`` block, or a program that does.
"""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from mmsprep.errors import OutputError, ToolOverLimit, Unreadable
from mmsprep.model import Attachment
from mmsprep.settings import Settings
from mmsprep.tools.mediainfo import MediaInfoReader
from mmsprep.tools.process import Cage, ProcessGroup, can_cage


class Workspace:
    """``with Workspace(settings) as workspace:`` a folder with mode 0700, and the children at work in it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.processes = ProcessGroup(settings.tool_timeout_s)
        self.mediainfo = MediaInfoReader(self.processes, cage=self.cage(reads=None, writes=False))
        self._counter = itertools.count(1)
        try:
            self._folder = tempfile.TemporaryDirectory(prefix="mmsprep-", ignore_cleanup_errors=True)
        except OSError as error:
            raise no_room(error.strerror) from error

    def __enter__(self) -> Workspace:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.processes.kill_all()
        self.mediainfo.close()
        self._folder.cleanup()

    def new_path(self, suffix: str) -> Path:
        """A path that nothing uses yet, ending in ``suffix`` (with its dot)."""
        return Path(self._folder.name) / f"{next(self._counter)}{suffix}"

    def cage(self, *, reads: Sequence[str] | None, writes: bool = True) -> Cage | None:
        """What a child may do; ``None`` where the settings trust every input.

        Args:
            reads: the files that it may read (``None``: any).
            writes: whether it may read and write in this folder.
        """
        settings = self.settings
        if not can_cage(settings.isolate):
            return None
        return Cage(
            memory_bytes=settings.max_memory_bytes,
            cpu_s=settings.max_cpu_s,
            file_bytes=settings.max_temp_bytes if writes else 0,
            reads=reads,
            writes=[self._folder.name] if writes else [],
        )

    def check_disk(self) -> None:
        """Make sure that the temporary files together stay within the limit.

        Raises:
            ToolOverLimit: they do not.
        """
        used_bytes = 0
        with suppress(OSError), os.scandir(self._folder.name) as entries:
            for entry in entries:
                with suppress(OSError):
                    used_bytes += entry.stat(follow_symlinks=False).st_size
        if used_bytes > self.settings.max_temp_bytes:
            raise ToolOverLimit(
                f"the temporary files of this message are over {self.settings.max_temp_bytes:,} bytes;"
                " MMSPREP_MAX_TEMP_BYTES allows more"
            )

    def path_of(self, attachment: Attachment) -> Path:
        """Where the attachment's bytes lie on disk: its own absolute path, or a copy of its data here."""
        if attachment.path is not None:
            return attachment.path.absolute()
        return self.put(attachment.data or b"", ".in")

    def put(self, data: bytes, suffix: str) -> Path:
        """A new file here with ``data`` in it.

        Raises:
            OutputError: there is no room for it.
        """
        path = self.new_path(suffix)
        try:
            path.write_bytes(data)
        except OSError as error:
            raise no_room(error.strerror) from error
        return path


def no_room(reason: str | None) -> OutputError:
    """The error for a temporary folder that cannot be made or is full."""
    return OutputError(f"the temporary folder cannot be written ({reason}); TMPDIR names another place")


def read_bytes(attachment: Attachment) -> bytes:
    """The whole content of an attachment.

    Raises:
        Unreadable: the file went away or cannot be read.
    """
    if attachment.data is not None:
        return attachment.data
    assert attachment.path is not None
    try:
        return attachment.path.read_bytes()
    except OSError as error:
        raise Unreadable(attachment.name, f"cannot be read ({error.strerror})") from error
