"""A message in a folder: its parts and ``message.json``, written by rename, nothing half done, and read back.

Comes in: a finished message and a folder. Goes out: files under their final names, or the message that a folder
holds. Never: a file of somebody else's overwritten, an original touched, or a message that is not what was written.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from mmsprep.errors import Altered, NotFound, OutputError, Unreadable
from mmsprep.message import Message
from mmsprep.model import Part
from mmsprep.printable import json_text
from mmsprep.report import SCHEMA, document

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

REPORT_NAME = "message.json"
_STAGING = ".mmsprep-"


def write_message(message: Message, folder: Path) -> list[Path]:
    """Write every part and ``message.json`` into ``folder``, which is made if it is not there.

    Files of an earlier message in the folder (its ``message.json`` names them) are replaced; anything else
    under a name that is needed is an error. ``message.json`` appears last: a folder that has one is whole.

    Returns:
        The paths of the parts in message order, then of ``message.json``.

    Raises:
        OutputError: the folder cannot be written, or something else is in the way; nothing was changed.
    """
    files = message_files(message)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _only_writer(folder):
            ours = _names_of_earlier_message(folder) | _names_left_by_a_killed_run(folder)
            _refuse_to_overwrite(folder, files, ours, (part.source_name for part in message.parts))
            _put(folder, files, stale=ours - files.keys())
    except OSError as error:
        raise OutputError(
            f"{folder}: cannot be written ({error.strerror or error}); nothing was changed there,"
            " choose another folder with -o"
        ) from error
    return [folder / name for name in files]


def read_message(folder: str | Path) -> Message:
    """The message that :func:`write_message` put into ``folder``, every part checked against its hash.

    Raises:
        NotFound: there is no ``message.json``, or a part is missing.
        Unreadable: something cannot be read, or ``message.json`` is not a message's report.
        Altered: a part, the text, the subject or a type is not what was written.
    """
    folder = Path(folder)
    place = str(folder / REPORT_NAME)
    report = _report_of(folder / REPORT_NAME)
    try:
        message = _message_of(report, folder)
    except (msgspec.ValidationError, KeyError, TypeError, AttributeError) as error:
        raise Unreadable(place, f"is not the report of a prepared message ({error}); prepare it again") from None
    if report.get("sha256") not in (None, message.sha256):
        raise Altered(place, "text, subject, names or types are not those that were prepared; prepare it again")
    if message.total_bytes > message.limit_bytes:
        raise Altered(
            place,
            f"the message has {message.total_bytes:,} bytes, its limit is {message.limit_bytes:,}; prepare it again",
        )
    return message


def _report_of(path: Path) -> dict[str, Any]:
    try:
        report = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise NotFound(str(path), "there is no such file; a prepared message has one") from None
    except OSError as error:
        raise Unreadable(str(path), f"cannot be read ({error.strerror})") from None
    except ValueError:
        raise Unreadable(str(path), "is not valid JSON; prepare the message again") from None
    if not isinstance(report, dict) or report.get("schema") != SCHEMA or report.get("predicted") is not False:
        raise Unreadable(str(path), f"is not the report of a prepared message (schema {SCHEMA}); prepare it again")
    return report


def _message_of(report: dict[str, Any], folder: Path) -> Message:
    parts = [part | {"source_name": part["source"]["path"], "data": b""} for part in report["parts"]]
    rejected = [entry | {"name": entry["path"]} for entry in report["rejected"]]
    message = msgspec.convert(report | {"parts": parts, "rejected": rejected}, Message)
    hashes = [part["sha256"] for part in report["parts"]]
    read = (
        replace(part, data=_checked(folder, part, sha256)) for part, sha256 in zip(message.parts, hashes, strict=True)
    )
    return replace(message, parts=tuple(read))


def _checked(folder: Path, part: Part, sha256: str) -> bytes:
    path = folder / part.name
    if Path(part.name).name != part.name:
        raise Altered(str(folder / REPORT_NAME), f"names a part outside the folder: {part.name!r}")
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise NotFound(str(path), f"is missing, {REPORT_NAME} names it; prepare the message again") from None
    except OSError as error:
        raise Unreadable(str(path), f"cannot be read ({error.strerror})") from None
    if hashlib.sha256(data).hexdigest() != sha256 or len(data) != part.size_bytes:
        raise Altered(str(path), f"is not what {REPORT_NAME} says (another SHA-256); prepare the message again")
    return data


def message_files(message: Message) -> dict[str, bytes]:
    """What a message's folder holds: its parts in order, then ``message.json``."""
    report = (json_text(document(message), indent=2) + "\n").encode()
    return {part.name: part.data for part in message.parts} | {REPORT_NAME: report}


def _put(folder: Path, files: dict[str, bytes], stale: set[str]) -> None:
    with tempfile.TemporaryDirectory(prefix=_STAGING, dir=folder, ignore_cleanup_errors=True) as name:
        staged = Path(name)
        for file_name, data in files.items():
            with (staged / file_name).open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        (folder / REPORT_NAME).unlink(missing_ok=True)
        try:
            for file_name in stale - {REPORT_NAME}:
                (folder / file_name).unlink(missing_ok=True)
            for file_name in files:
                (staged / file_name).replace(folder / file_name)
        except BaseException:
            # An interruption must not leave a part of a message under its final name.
            for file_name in files:
                (folder / file_name).unlink(missing_ok=True)
            raise


@contextmanager
def _only_writer(folder: Path) -> Iterator[None]:
    """Wait until no other run writes into ``folder``, and keep others waiting, where the system has such locks."""
    if fcntl is None:
        yield
        return
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _names_of_earlier_message(folder: Path) -> set[str]:
    """The files that an earlier message put here: only what its report names, and only plain names."""
    try:
        report = json.loads((folder / REPORT_NAME).read_text("utf-8"))
        names = {part["name"] for part in report["parts"]}
    except FileNotFoundError:
        return set()
    except (OSError, ValueError, KeyError, TypeError):
        raise OutputError(
            f"{folder / REPORT_NAME}: is in the way and not a message's report; choose another folder with -o"
        ) from None
    return {name for name in names if isinstance(name, str) and Path(name).name == name} | {REPORT_NAME}


def _names_left_by_a_killed_run(folder: Path) -> set[str]:
    """Parts that a run put here before it was killed, by the report it had staged; what it staged is removed.

    Called while no other run writes here. A file that is not what that report says is somebody else's.
    """
    names: set[str] = set()
    for staged in folder.glob(f"{_STAGING}*"):
        with suppress(OSError, ValueError, KeyError, TypeError):
            for part in json.loads((staged / REPORT_NAME).read_text("utf-8"))["parts"]:
                path = folder / Path(part["name"]).name
                if path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == part["sha256"]:
                    names.add(path.name)
        shutil.rmtree(staged, ignore_errors=True)
    return names


def _refuse_to_overwrite(folder: Path, files: dict[str, bytes], ours: set[str], source_names: Iterable[str]) -> None:
    sources = [Path(name) for name in source_names]
    for name in files.keys() | ours:
        path = folder / name
        if not path.exists():
            continue
        if name not in ours:
            raise OutputError(f"{path}: is in the way and not part of an earlier message; choose another folder")
        for source in sources:
            with suppress(OSError):
                if source.samefile(path):
                    raise OutputError(f"{path}: is one of the originals; choose another folder with -o")
