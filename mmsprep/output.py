"""Writing a message: its parts and ``message.json``, by rename, nothing half done.

Comes in: a finished message and a folder. Goes out: files under their final names. Never: a file of
somebody else's overwritten, or an original touched.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from mmsprep.errors import OutputError
from mmsprep.message import Message
from mmsprep.report import document

REPORT_NAME = "message.json"


def write_message(message: Message, folder: Path) -> list[Path]:
    """Write every part and ``message.json`` into ``folder``, which is made if it is not there.

    Files of an earlier message in the folder (its ``message.json`` names them) are replaced; anything else
    under a name that is needed is an error. ``message.json`` appears last: a folder that has one is whole.

    Returns:
        The paths of the parts in message order, then of ``message.json``.

    Raises:
        OutputError: the folder cannot be written, or something else is in the way; nothing was changed.
    """
    report = (json.dumps(document(message), indent=2, ensure_ascii=False) + "\n").encode()
    files = {part.name: part.data for part in message.parts} | {REPORT_NAME: report}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        ours = _names_of_earlier_message(folder)
        _refuse_to_overwrite(folder, files, ours, (part.source_name for part in message.parts))
        _put(folder, files, stale=ours - files.keys())
    except OSError as error:
        raise OutputError(
            f"{folder}: cannot be written ({error.strerror or error}); nothing was changed there,"
            " choose another folder with -o"
        ) from error
    return [folder / name for name in files]


def _put(folder: Path, files: dict[str, bytes], stale: set[str]) -> None:
    with tempfile.TemporaryDirectory(prefix=".mmsprep-", dir=folder, ignore_cleanup_errors=True) as name:
        staged = Path(name)
        for file_name, data in files.items():
            with (staged / file_name).open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        (folder / REPORT_NAME).unlink(missing_ok=True)
        for file_name in stale - {REPORT_NAME}:
            (folder / file_name).unlink(missing_ok=True)
        for file_name in files:
            (staged / file_name).replace(folder / file_name)


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
