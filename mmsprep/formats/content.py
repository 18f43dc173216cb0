"""Reading a file here and there, without loading it whole.

Comes in: an open file of a stranger's. Goes out: bytes at an offset, and a file object for libraries.
Never: a write, a second file, or a read of more than was asked for.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from types import TracebackType
from typing import Any, BinaryIO, TypeVar

from mmsprep.errors import Unreadable

HEAD_BYTES = 65_536

_Result = TypeVar("_Result")


class Content:
    """``with Content(name, file) as content:`` random access to its bytes; for one thread. The file is closed with it.

    Raises:
        Unreadable: reading it fails.
    """

    def __init__(self, name: str, file: BinaryIO) -> None:
        self.name = name
        self._file = file
        try:
            self.size_bytes = self._file.seek(0, os.SEEK_END)
        except OSError as error:
            raise Unreadable(self.name, f"cannot be read ({error.strerror})") from error
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
            self._file.seek(offset)
            return self._file.read(length)
        except OSError as error:
            raise Unreadable(self.name, f"cannot be read ({error.strerror})") from error

    def once(self, reader: Callable[[Content], _Result]) -> _Result:
        """What ``reader`` makes of this content; the second time, what it made of it before."""
        if reader not in self._read_before:
            self._read_before[reader] = reader(self)
        result: _Result = self._read_before[reader]
        return result

    def rewound(self) -> BinaryIO:
        """The file at its start, for a library; it stays this object's to close."""
        self._file.seek(0)
        return self._file
