"""A private temporary folder and the children of one ``prepare``, gone when it ends.

Comes in: settings. Goes out: paths inside the folder, and what children left there. Never: a file that outlives the
``with`` block, or a program that does.

Whoever works in the folder may have been taken over by what it reads: what lies there is opened as a stranger's file
is, and nothing is written over what is there already.
"""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from io import BufferedReader
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from mmsprep.errors import InputError, OutputError, ToolError, ToolOverLimit
from mmsprep.model import Attachment
from mmsprep.settings import Settings
from mmsprep.tools.cage import Cage, can_cage
from mmsprep.tools.defences import require_defences, warn_of_missing_defences
from mmsprep.tools.process import ProcessGroup
from mmsprep.tools.untrusted import Found, open_attachment, open_untrusted, read_bytes


class Workspace:
    """``with Workspace(settings) as workspace:`` a folder with mode 0700, and the children at work in it."""

    def __init__(self, settings: Settings) -> None:
        if settings.require_isolation:
            require_defences(settings)
        elif settings.isolate:
            warn_of_missing_defences()
        self.settings = settings
        self.processes = ProcessGroup(settings.tool_timeout_s)
        self._counter = itertools.count(1)
        self._attachments: dict[str, Attachment] = {}
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
        self._folder.cleanup()

    def new_path(self, suffix: str) -> Path:
        """A path that nothing uses yet, ending in ``suffix`` (with its dot)."""
        return Path(self._folder.name) / f"{next(self._counter)}{suffix}"

    def cage(self, reads: Sequence[str]) -> Cage | None:
        """What a child may do that reads the files ``reads`` and works in this folder; ``None`` where the settings
        trust every input."""
        settings = self.settings
        if not can_cage(settings.isolate):
            return None
        return Cage(
            memory_bytes=settings.max_memory_bytes,
            cpu_s=settings.max_cpu_s,
            file_bytes=settings.max_temp_bytes,
            reads=reads,
            writes=[self._folder.name],
            total_bytes=settings.total_memory_bytes,
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
            raise self._over_limit()

    def _over_limit(self) -> ToolOverLimit:
        return ToolOverLimit(
            f"the temporary files of this message are over {self.settings.max_temp_bytes:,} bytes;"
            " MMSPREP_MAX_TEMP_BYTES allows more"
        )

    def path_of(self, attachment: Attachment) -> Path:
        """Where the attachment's bytes lie on disk: its own absolute path, or a copy of its data here, without the tags
        around it."""
        if attachment.path is not None and attachment.extent is None:
            path = attachment.path.absolute()
            self._attachments[str(path)] = attachment
            return path
        return self.put(read_bytes(attachment), ".in")

    def open(self, path: Path | str) -> BufferedReader:
        """Open what :meth:`path_of` named, the same file as when it was taken in, or what a child left here.

        Raises:
            NotFound, Unreadable: the attachment is gone, or is another file by now.
            ToolError: a child left nothing here, or something that is no regular file.
        """
        attachment = self._attachments.get(str(path))
        if attachment is not None:
            return open_attachment(attachment)
        inside = Path(path)
        if str(inside.parent) != self._folder.name:
            return open_untrusted(inside, str(inside))
        try:
            return open_untrusted(Found(inside.parent, inside.name), inside.name)
        except InputError as error:
            raise ToolError(f"a tool left no usable file ({error.name} {error.problem.partition(';')[0]})") from None

    def read(self, path: Path) -> bytes:
        """The whole of what a child left here; raises as :meth:`open`.

        Raises:
            ToolOverLimit: it is longer than the temporary files may be, all together.
        """
        with self.open(path) as file:
            if os.fstat(file.fileno()).st_size > self.settings.max_temp_bytes:
                raise self._over_limit()
            return file.read()

    def size_bytes(self, path: Path) -> int:
        """The size of what a child left here, 0 if it left nothing; raises as :meth:`open`."""
        if not os.path.lexists(path):
            return 0
        with self.open(path) as file:
            return os.fstat(file.fileno()).st_size

    def create(self, path: Path) -> BinaryIO:
        """A new, empty file here, to write to.

        Raises:
            OutputError: it cannot be made, or something lies in its place.
        """
        try:
            return path.open("xb")
        except OSError as error:
            raise no_room(error.strerror) from error

    def put(self, data: bytes, suffix: str) -> Path:
        """A new file here with ``data`` in it.

        Raises:
            OutputError: there is no room for it.
        """
        path = self.new_path(suffix)
        try:
            with self.create(path) as file:
                file.write(data)
        except OSError as error:
            raise no_room(error.strerror) from error
        return path


def no_room(reason: str | None) -> OutputError:
    """The error for a temporary folder that cannot be made or is full."""
    return OutputError(f"the temporary folder cannot be written ({reason}); TMPDIR names another place")
