"""Opening files that strangers may have made or may be changing: the one place that does.

Comes in: a path that the caller chose itself, or a name that was found in a folder. Goes out: an open regular file.
Never: a wait for a pipe or a device, and of what was found in a folder never a link, nor anything outside it.

A path of the caller's own may be a link: it is what the caller means. What lies in a folder was put there by whoever
packed it, so a link there is never followed, not even to another file of that folder. Who has to come back to a file
keeps its :class:`FileMark`: another one under the same name is refused, whenever it was put there.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from io import BufferedReader, BytesIO
from pathlib import Path, PurePath
from typing import BinaryIO

from mmsprep.errors import InputError, NotFound, Unreadable, reason_of
from mmsprep.formats.content import Content
from mmsprep.model import Attachment, Extent, FileMark

_READ = os.O_RDONLY
for _flag in ("O_CLOEXEC", "O_NONBLOCK", "O_NOCTTY", "O_BINARY", "O_LARGEFILE"):
    _READ |= getattr(os, _flag, 0)
_FOLDER = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_DIRECTORY", 0)
_NO_LINK: int = getattr(os, "O_NOFOLLOW", 0)
_STEPS_BY_DESCRIPTOR = os.open in os.supports_dir_fd
_OPENAT2 = 437
_RESOLVE = 0x08 | 0x04 | 0x02
"""``RESOLVE_BENEATH``, ``RESOLVE_NO_SYMLINKS``, ``RESOLVE_NO_MAGICLINKS`` of linux/openat2.h."""
_NOT_THERE = (errno.ENOSYS, errno.EPERM, errno.EINVAL, errno.E2BIG, errno.EAGAIN)
"""Old kernels and containers know no openat2; EAGAIN means that something was renamed meanwhile."""
_LINK_TAGS = (getattr(stat, "IO_REPARSE_TAG_SYMLINK", 0), getattr(stat, "IO_REPARSE_TAG_MOUNT_POINT", 0))


@dataclass(frozen=True, slots=True)
class Found(os.PathLike[str]):
    """A file that was found in ``folder``: ``name`` leads down from there, through folders that are no links."""

    folder: Path
    name: str

    def __fspath__(self) -> str:
        return os.path.join(self.folder, self.name)  # noqa: PTH118 - keeps a name that is not valid Unicode


def open_untrusted(path: str | os.PathLike[str], called: str) -> BufferedReader:
    """Open a regular file for reading.

    Args:
        path: a path of the caller's own, which may be a link, or a :class:`Found`.
        called: what messages call it.

    Raises:
        NotFound: there is no such file.
        Unreadable: it is a link that was found in a folder, no regular file, or may not be read.
    """
    try:
        # A hint: opening a device can do things. What counts is what is open in the end.
        status = os.lstat(path) if isinstance(path, Found) else os.stat(path)  # noqa: PTH116
        _check_regular(called, status)
        descriptor = _beneath(path.folder, path.name, _READ) if isinstance(path, Found) else os.open(path, _READ)
    except (OSError, ValueError) as error:
        raise _problem(called, error, found=isinstance(path, Found)) from None
    try:
        _check_regular(called, os.fstat(descriptor))
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def open_attachment(attachment: Attachment) -> BufferedReader:
    """Open the file that an attachment was made of, and no other one under its name.

    Raises:
        NotFound: it is gone.
        Unreadable: it cannot be read, or is not what it was when it was first looked at.
    """
    if attachment.descriptor is not None:
        os.lseek(attachment.descriptor, 0, os.SEEK_SET)
        return os.fdopen(os.dup(attachment.descriptor), "rb")
    assert attachment.path is not None
    file = open_untrusted(attachment.path, attachment.name)
    if attachment.mark not in (None, mark_of(file)):
        file.close()
        raise replaced(attachment.name)
    return file


def content_of(attachment: Attachment) -> Content:
    """An attachment's bytes, on disk or in memory, to be read here and there; raises as :func:`open_attachment`."""
    if attachment.data is not None:
        return Content(attachment.name, BytesIO(attachment.data), attachment.extent)
    return Content(attachment.name, open_attachment(attachment), attachment.extent)


def read_bytes(attachment: Attachment) -> bytes:
    """The whole content of an attachment, without the tags around it.

    Raises:
        NotFound: the file went away.
        Unreadable: it cannot be read, or is another one by now.
    """
    extent = attachment.extent or Extent(0, attachment.size_bytes)
    if attachment.data is not None:
        return attachment.data[extent.begin : extent.end] if attachment.extent else attachment.data
    try:
        with open_attachment(attachment) as file:
            file.seek(extent.begin)
            return file.read(extent.end - extent.begin)
    except OSError as error:
        raise Unreadable(attachment.name, f"cannot be read ({error.strerror})") from error


def replaced(called: str) -> Unreadable:
    """The error for a file that is not the one that was looked at."""
    return Unreadable(called, "was changed or replaced while it was worked on; try again when it is at rest")


def read_untrusted(path: str | os.PathLike[str], called: str, max_bytes: int) -> bytes:
    """The whole content of a file that should have at most ``max_bytes``; raises as :func:`open_untrusted`.

    Raises:
        Unreadable: it is longer.
    """
    with open_untrusted(path, called) as file:
        try:
            data = file.read(min(max_bytes, os.fstat(file.fileno()).st_size) + 1)
        except OSError as error:
            raise _problem(called, error, found=False) from None
    if len(data) > max_bytes:
        raise Unreadable(called, f"is longer than the {max_bytes:,} bytes that are read of such a file")
    return data


def mark_of(file: BinaryIO) -> FileMark:
    """Which file is open, and its size and date now."""
    status = os.fstat(file.fileno())
    return FileMark(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def list_untrusted(folder: str | os.PathLike[str], name: str, called: str) -> list[tuple[str, os.stat_result]]:
    """What lies in the folder ``name`` of ``folder`` (empty: itself, which may be a link), sorted by name.

    Returns:
        Names, and what ``lstat`` says of each.

    Raises:
        NotFound: there is no such folder.
        Unreadable: it is or lies behind a link, or cannot be listed.
    """
    descriptor = -1
    try:
        descriptor = _beneath(Path(folder), name, _FOLDER) if name else _open_folder(folder)
        listed: int | str = descriptor if descriptor >= 0 else os.fspath(Path(folder, name))
        found = []
        with os.scandir(listed) as entries:
            for entry in entries:
                with suppress(OSError):  # gone meanwhile
                    found.append((os.fsdecode(entry.name), entry.stat(follow_symlinks=False)))
    except (OSError, ValueError) as error:
        raise _folder_problem(called, error) from None
    finally:
        if descriptor >= 0:
            os.close(descriptor)
    return sorted(found, key=lambda entry: entry[0])


def is_link(status: os.stat_result) -> bool:
    """Whether ``lstat`` told of a link (on Windows: also a junction)."""
    return stat.S_ISLNK(status.st_mode) or getattr(status, "st_reparse_tag", None) in _LINK_TAGS


def _open_folder(folder: str | os.PathLike[str]) -> int:
    return os.open(folder, _FOLDER) if _STEPS_BY_DESCRIPTOR else -1


def _beneath(folder: Path, name: str, flags: int) -> int:
    """Open ``name`` below ``folder`` with no link on the way; the folder's own path may have some."""
    parts = PurePath(name).parts
    if not parts or PurePath(name).anchor or ".." in parts:
        raise OSError(errno.EXDEV, "leads out of its folder")
    if not _STEPS_BY_DESCRIPTOR:
        return _checked_walk(folder, parts, flags)
    place = os.open(folder, _FOLDER | getattr(os, "O_PATH", 0))
    try:
        openat2 = _openat2()
        if openat2 is not None:
            try:
                return openat2(place, os.fsencode(PurePath(*parts)), flags)
            except OSError as error:
                if error.errno not in _NOT_THERE:
                    raise
        return _walk(place, parts, flags)
    finally:
        os.close(place)


def _walk(place: int, parts: tuple[str, ...], flags: int) -> int:
    """Step by step from the open folder ``place``: what each step opens cannot be swapped any more."""
    steps: list[int] = []
    try:
        for part in parts[:-1]:
            try:
                place = os.open(part, _FOLDER | getattr(os, "O_PATH", 0) | _NO_LINK, dir_fd=place)
            except NotADirectoryError:  # Linux's word for a link to one
                raise OSError(errno.ELOOP, "is a link") from None
            steps.append(place)
        return os.open(parts[-1], flags | _NO_LINK, dir_fd=place)
    finally:
        for step in steps:
            os.close(step)


def _checked_walk(folder: Path, parts: tuple[str, ...], flags: int) -> int:
    """Where nothing can be opened below an open folder (Windows): look at each step, open, look again."""
    path = folder
    for part in parts:
        path = path / part
        if is_link(path.lstat()):
            raise OSError(errno.ELOOP, "is a link")
    if flags == _FOLDER:
        return -1
    descriptor = os.open(path, flags)
    status = path.lstat()
    if is_link(status) or not os.path.samestat(status, os.fstat(descriptor)):
        os.close(descriptor)
        raise OSError(errno.ELOOP, "is a link")
    return descriptor


@lru_cache(maxsize=1)
def _openat2() -> Callable[[int, bytes, int], int] | None:
    """Linux's openat2; ``None`` elsewhere."""
    if sys.platform != "linux":
        return None
    import ctypes

    call = ctypes.CDLL(None, use_errno=True).syscall
    call.restype = ctypes.c_long

    def openat2(place: int, name: bytes, flags: int) -> int:
        how = (ctypes.c_uint64 * 3)(flags, 0, _RESOLVE)
        opened = call(
            ctypes.c_long(_OPENAT2),
            ctypes.c_long(place),
            ctypes.c_char_p(name),
            how,
            ctypes.c_size_t(ctypes.sizeof(how)),
        )
        if opened < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        return int(opened)

    return openat2


def _check_regular(called: str, status: os.stat_result) -> None:
    if is_link(status):
        raise Unreadable(called, _LINK)
    if not stat.S_ISREG(status.st_mode):
        raise Unreadable(called, "is not a regular file; expected a file with media in it")


_LINK = "is or lies behind a symbolic link, which is not followed in a folder; name the file itself"
_LEADS_OUT = "leads out of its folder, which is refused; name a file inside it"


def _problem(called: str, error: OSError | ValueError, *, found: bool) -> InputError:
    if isinstance(error, FileNotFoundError):
        return NotFound(called, "there is no such file")
    number = error.errno if isinstance(error, OSError) else None
    if found and number == errno.EXDEV:
        return Unreadable(called, _LEADS_OUT)
    if found and number in (errno.ELOOP, errno.EMLINK):
        return Unreadable(called, _LINK)
    if isinstance(error, NotADirectoryError):
        return NotFound(called, "there is no such file")
    if isinstance(error, PermissionError):
        return Unreadable(called, "cannot be read: permission denied")
    return Unreadable(called, f"cannot be read ({reason_of(error)})")


def _folder_problem(called: str, error: OSError | ValueError) -> InputError:
    number = error.errno if isinstance(error, OSError) else None
    if isinstance(error, FileNotFoundError):
        return NotFound(called, "there is no such folder")
    if number == errno.EXDEV:
        return Unreadable(called, _LEADS_OUT)
    if number in (errno.ELOOP, errno.EMLINK, errno.ENOTDIR):
        return Unreadable(called, "is no folder, or a symbolic link to one, which is not followed")
    return Unreadable(called, f"the folder cannot be listed ({reason_of(error)})")
