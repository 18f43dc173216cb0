"""A message in a folder: its parts and ``message.json``, written by rename, whole or not at all, and read back.

Comes in: a message's files and a folder. Goes out: files under their final names, or the files that a folder holds.
Never: a file of somebody else's overwritten, another message replaced unasked or by half, an original
touched, or a message that is not what was written.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmsprep.errors import Altered, InputError, NotFound, OutputError, Unreadable, reason_of
from mmsprep.message.document import SCHEMA
from mmsprep.tools.untrusted import Found, open_untrusted, read_untrusted

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

REPORT_NAME = "message.json"
_STAGING = ".mmsprep-"
_NEW, _OLD = "new", "old"
_LARGEST_REPORT_BYTES = 16_000_000
_LARGEST_PART_BYTES = 1_000_000_000
_NAMES_TOLD = 3


@dataclass(frozen=True, slots=True)
class MessageFiles:
    """A message as files by name, ``message.json`` last; its hash; the names of what it was made of."""

    files: Mapping[str, bytes]
    sha256: str
    source_names: tuple[str, ...]


Intact = Callable[[Path], str]
"""The hash of the message in a folder, read back; raises an :class:`InputError` where it is not as it was written."""


def write_folder(message: MessageFiles, folder: Path, intact: Intact, *, overwrite: bool = False) -> list[Path]:
    """Write a message's files into ``folder``, which is made if it is not there.

    A message that lies there already is replaced if it is the same (text, subject, parts and their names), or if
    ``overwrite`` says so; its files are those that its ``message.json`` names. Anything else under a name that is
    needed is an error. ``message.json`` appears last: a folder that has one is whole. When something goes wrong the
    earlier message is put back; a run that was killed meanwhile is undone by the next one.

    Returns:
        The paths of the parts in message order, then of ``message.json``.

    Raises:
        OutputError: the folder cannot be written, holds another message, or something else is in the way; what became
            of the folder is in the message.
    """
    try:
        is_new = not folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
        with _only_writer(folder):
            _undo_killed_runs(folder)
            earlier = _earlier_message(folder, intact)
            _refuse_to_replace(folder, earlier, message.sha256, overwrite=overwrite)
            _refuse_to_overwrite(folder, message.files, earlier.names, message.source_names)
            _put(folder, message.files, earlier.names)
        if is_new:
            _sync(folder.parent)
    except OSError as error:
        raise OutputError(
            f"{folder}: cannot be written ({reason_of(error)}); nothing was changed there,"
            " choose another folder with -o"
        ) from error
    return [folder / name for name in message.files]


def write_folders(
    messages: Sequence[MessageFiles], folder: Path, intact: Intact, *, overwrite: bool = False
) -> list[Path]:
    """Write one message into ``folder``, several into its subfolders ``1``, ``2``, ...; none, if one is refused.

    Returns:
        The folder of each message.

    Raises:
        OutputError: as :func:`write_folder`, or a message of another set lies in ``folder`` or the next subfolder,
            where it would be taken for one of these.
    """
    if len(messages) == 1:
        write_folder(messages[0], folder, intact, overwrite=overwrite)
        return [folder]
    folders = [folder / str(number) for number in range(1, len(messages) + 1)]
    for other in (folder, folder / str(len(messages) + 1)):
        if os.path.lexists(other / REPORT_NAME):
            raise OutputError(
                f"{other}: holds a message of another set, which would be taken for one of these {len(messages)};"
                " remove it, or choose another folder with -o"
            )
    for message, place in zip(messages, folders, strict=True):
        _refuse_to_replace(place, _earlier_message(place, intact), message.sha256, overwrite=overwrite)
    for message, place in zip(messages, folders, strict=True):
        write_folder(message, place, intact, overwrite=overwrite)
    return folders


def read_report(folder: Path) -> dict[str, Any]:
    """The ``message.json`` of a folder.

    Raises:
        NotFound: there is none.
        Unreadable: it is not a message's report.
    """
    place = str(folder / REPORT_NAME)
    try:
        report = json.loads(read_untrusted(Found(folder, REPORT_NAME), place, _LARGEST_REPORT_BYTES).decode("utf-8"))
    except NotFound:
        raise NotFound(place, "there is no such file; a prepared message has one") from None
    except (ValueError, RecursionError):
        raise Unreadable(place, "is not valid JSON; prepare the message again") from None
    if not isinstance(report, dict) or report.get("schema") != SCHEMA or report.get("predicted") is not False:
        raise Unreadable(place, f"is not the report of a prepared message (schema {SCHEMA}); prepare it again")
    return report


def read_part(folder: Path, name: str, part_bytes: int, sha256: str) -> bytes:
    """A part of the message in ``folder``, as its report describes it.

    Raises:
        NotFound: it is missing.
        Unreadable: it cannot be read.
        Altered: it has another size or hash, or would lie outside the folder.
    """
    path = str(folder / name)
    if Path(name).name != name:
        raise Altered(str(folder / REPORT_NAME), f"names a part outside the folder: {name!r}")
    try:
        with open_untrusted(Found(folder, name), path) as file:
            size_bytes = os.fstat(file.fileno()).st_size
            data = file.read(size_bytes) if size_bytes == part_bytes <= _LARGEST_PART_BYTES else None
    except NotFound:
        raise NotFound(path, f"is missing, {REPORT_NAME} names it; prepare the message again") from None
    except OSError as error:
        raise Unreadable(path, f"cannot be read ({reason_of(error)})") from None
    if data is None or hashlib.sha256(data).hexdigest() != sha256:
        raise Altered(path, f"is not what {REPORT_NAME} says (another SHA-256); prepare the message again")
    return data


def write_new_folder(files: Mapping[str, bytes], folder: Path) -> list[Path]:
    """Write ``files`` into a folder that is not there yet, or empty; it appears whole or not at all.

    Returns:
        The paths of the files in order.

    Raises:
        OutputError: the folder is there with something in it, or cannot be written.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        if folder.is_dir():
            folder.rmdir()
        with tempfile.TemporaryDirectory(prefix=_STAGING, dir=folder.parent) as name:
            staged = Path(name) / "files"
            staged.mkdir()
            for file_name, data in files.items():
                with (staged / file_name).open("xb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
            staged.rename(folder)
    except OSError as error:
        raise OutputError(
            f"{folder}: cannot be written ({reason_of(error)}); nothing was changed there, choose another folder"
        ) from error
    return [folder / name for name in files]


def write_new_file(data: bytes, path: Path, *, overwrite: bool = False) -> None:
    """Write ``data`` under a name that is not there yet, or replace what is; it appears whole or not at all.

    Raises:
        OutputError: something is there and ``overwrite`` does not say so, or it cannot be written.
    """
    if os.path.lexists(path) and not overwrite:
        raise OutputError(f"{path}: is there already and stays as it is; --force replaces it, -o names another file")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=_STAGING, dir=path.parent) as name:
            staged = Path(name) / "file"
            with staged.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            staged.replace(path)
        _sync(path.parent)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({reason_of(error)}); nothing was changed there") from error


@dataclass(frozen=True, slots=True)
class _Earlier:
    """What lies in the folder: the message's files, its hash where it is as it was written, what it was made of."""

    names: frozenset[str] = frozenset()
    sha256: str | None = None
    made_of: str = ""


def _earlier_message(folder: Path, intact: Intact) -> _Earlier:
    """Only what its report names, only plain names, and only files: nothing else is the message's."""
    place = folder / REPORT_NAME
    if not os.path.lexists(place):
        return _Earlier()
    try:
        report = json.loads(read_untrusted(Found(folder, REPORT_NAME), str(place), _LARGEST_REPORT_BYTES))
        names = {name for part in report["parts"] if isinstance(name := part["name"], str)}
        sources = [str(part["source"]["path"]) for part in report["parts"]]
    except (InputError, ValueError, KeyError, TypeError, RecursionError):
        raise OutputError(f"{place}: is in the way and not a message's report; choose another folder with -o") from None
    sha256 = None
    with suppress(InputError):
        sha256 = intact(folder)
    more = f" and {len(sources) - _NAMES_TOLD} more" if len(sources) > _NAMES_TOLD else ""
    made_of = (", ".join(sources[:_NAMES_TOLD]) + more) if sources else "a text"
    files = {name for name in names if Path(name).name == name and _is_file(folder / name)}
    return _Earlier(frozenset(files | {REPORT_NAME}), sha256, made_of)


def _refuse_to_replace(folder: Path, earlier: _Earlier, sha256: str, *, overwrite: bool) -> None:
    if earlier.names and earlier.sha256 != sha256 and not overwrite:
        what = "another message" if earlier.sha256 else "an earlier message that was changed since"
        raise OutputError(
            f"{folder}: holds {what}, made of {earlier.made_of}; nothing was changed there."
            " --force (overwrite=True) replaces it, -o names another folder"
        )


def _refuse_to_overwrite(
    folder: Path, files: Mapping[str, bytes], ours: frozenset[str], source_names: Iterable[str]
) -> None:
    sources = [Path(name) for name in source_names]
    for name in files.keys() | ours:
        path = folder / name
        if not os.path.lexists(path):
            continue
        if name not in ours:
            raise OutputError(f"{path}: is in the way and not part of an earlier message; choose another folder")
        for source in sources:
            with suppress(OSError, ValueError):
                if source.samefile(path):
                    raise OutputError(f"{path}: is one of the originals; choose another folder with -o")


def _put(folder: Path, files: Mapping[str, bytes], ours: frozenset[str]) -> None:
    """Stage the new files, move the earlier ones aside, the new ones in; or put everything back."""
    staged = Path(tempfile.mkdtemp(prefix=_STAGING, dir=folder))
    try:
        for name in (_NEW, _OLD):
            (staged / name).mkdir()
        for name, data in files.items():
            with (staged / _NEW / name).open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        _sync(staged / _NEW)
        for name in [REPORT_NAME, *(ours - {REPORT_NAME})] if ours else ():
            (folder / name).rename(staged / _OLD / name)
        for name in files:
            (staged / _NEW / name).rename(folder / name)
    except BaseException as error:
        try:
            _undo(folder, staged)
        except OSError as second:
            raise OutputError(
                f"{folder}: cannot be written ({error}), and what was there could not be put back ({second});"
                f" it lies in {staged / _OLD}, the next run that can puts it back"
            ) from error
        raise
    try:
        _sync(folder)
    except OSError as error:
        raise OutputError(
            f"{folder}: the message is in its place, but the disk does not say that it stays there ({reason_of(error)})"
        ) from error
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def _undo(folder: Path, staged: Path) -> None:
    """Put back what was there before a run that did not come to its end, and remove what it left.

    The report is moved in last: where it is staged still, the run did not end. A file that is not what that report
    says is somebody else's.
    """
    report = staged / _NEW / REPORT_NAME
    if os.path.lexists(report):
        parts: list[tuple[str, str]] = []
        with suppress(InputError, ValueError, KeyError, TypeError, RecursionError):
            told = json.loads(read_untrusted(Found(report.parent, REPORT_NAME), str(report), _LARGEST_REPORT_BYTES))
            parts = [(Path(part["name"]).name, part["sha256"]) for part in told["parts"]]
        for name, sha256 in parts:
            if not os.path.lexists(staged / _NEW / name) and _sha256(folder, name) == sha256:
                (folder / name).unlink()
        kept = sorted((staged / _OLD).iterdir(), key=lambda path: path.name == REPORT_NAME)
        for path in kept:
            if not os.path.lexists(folder / path.name):
                path.rename(folder / path.name)
        _sync(folder)
    shutil.rmtree(staged, ignore_errors=True)


def _undo_killed_runs(folder: Path) -> None:
    """Called while no other run writes here."""
    for staged in folder.glob(f"{_STAGING}*"):
        if stat.S_ISDIR(staged.lstat().st_mode):
            _undo(folder, staged)


def _sha256(folder: Path, name: str) -> str | None:
    with suppress(InputError, OSError), open_untrusted(Found(folder, name), name) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
    return None


def _is_file(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def _sync(folder: Path) -> None:
    """Have the disk keep the names in ``folder``, where the system can be asked to."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


@contextmanager
def _only_writer(folder: Path) -> Iterator[None]:
    """Wait until no other run writes into ``folder``, and keep others waiting, where the system has such locks."""
    if sys.platform == "win32" or fcntl is None:
        yield
        return
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
