"""Reading a file here and there, without loading it whole.

Comes in: an open file of a stranger's. Goes out: bytes at an offset, and a file object for libraries.
Never: a write, a second file, or a read of more than was asked for.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from types import TracebackType
from typing import Any, BinaryIO, TypeVar, cast

from mmsprep.errors import Unreadable, reason_of
from mmsprep.model import Extent

HEAD_BYTES = 65_536

_Result = TypeVar("_Result")


class Content:
    """``with Content(name, file) as content:`` random access to its bytes; for one thread. The file is closed with it.

    With an ``extent``, what is outside of it is as if it were not there.

    Raises:
        Unreadable: reading it fails.
    """

    def __init__(self, name: str, file: BinaryIO, extent: Extent | None = None) -> None:
        self.name = name
        self._file = file
        try:
            end = self._file.seek(0, os.SEEK_END)
        except OSError as error:
            raise Unreadable(self.name, f"cannot be read ({reason_of(error)})") from error
        self._extent = extent or Extent(0, end)
        self.size_bytes = max(0, min(end, self._extent.end) - self._extent.begin)
        self.head = self.read(0, HEAD_BYTES)
        self._read_before: dict[Callable[..., Any], Any] = {}

    def __enter__(self) -> Content:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def read(self, offset: int, length: int) -> bytes:
        """``length`` bytes at ``offset``, fewer at the end; none at a place outside.

        Both numbers may come from the file itself: what no file can have (beyond 2**63, negative) is never asked
        of the system.

        Raises:
            Unreadable: reading fails.
        """
        length = min(length, self.size_bytes - offset)
        if offset < 0 or length <= 0:
            return b""
        try:
            self._file.seek(self._extent.begin + offset)
            return self._file.read(length)
        except OSError as error:
            raise Unreadable(self.name, f"cannot be read ({reason_of(error)})") from error

    def once(self, reader: Callable[[Content], _Result]) -> _Result:
        """What ``reader`` makes of this content; the second time, what it made of it before."""
        if reader not in self._read_before:
            self._read_before[reader] = reader(self)
        result: _Result = self._read_before[reader]
        return result

    def behind(self, offset: int) -> Content:
        """The same content without its first ``offset`` bytes; the file stays this object's to close."""
        begin = self._extent.begin
        return Content(self.name, self._file, Extent(begin + offset, begin + self.size_bytes))

    def rewound(self) -> BinaryIO:
        """The file at its start, for a library; it stays this object's to close."""
        if self._extent.begin == 0 and self._file.seek(0, os.SEEK_END) == self.size_bytes:
            self._file.seek(0)
            return self._file
        return cast(BinaryIO, io.BufferedReader(_Part(self)))


class _Part(io.RawIOBase):
    """Content as a file of its own."""

    def __init__(self, content: Content) -> None:
        self._content = content
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._content.size_bytes}[whence]
        self._position = max(0, start + offset)
        return self._position

    def readinto(self, buffer: Any) -> int:
        data = self._content.read(self._position, len(buffer))
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)
