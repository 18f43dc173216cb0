"""What the caller hands over, made into attachments.

Comes in: paths, folders, bytes with a name, file objects. Goes out: :class:`Attachment` values in the
caller's order. Never: a look at what is inside (``sniff.py`` does), or a change to an original.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from mmsprep.errors import (
    Empty,
    EmptyFolder,
    InputError,
    OverInputLimit,
    Unreadable,
    UsageError,
)
from mmsprep.model import Attachment
from mmsprep.settings import Settings
from mmsprep.tools.untrusted import Found, is_link, list_untrusted, mark_of, open_untrusted

AttachmentInput = str | os.PathLike[str] | bytes | tuple[str, bytes | os.PathLike[str]] | BinaryIO
"""A path (a folder means its files), bytes, a name with bytes or with a path, or a binary file object."""


def take_in(inputs: Iterable[AttachmentInput], settings: Settings) -> tuple[list[Attachment], list[InputError]]:
    """Make attachments of ``inputs``; what cannot be used comes back as errors, in order.

    A folder stands for its files, sorted by name, hidden ones and subfolders left out. A path may be a link; what is
    found in a folder may not.

    Raises:
        UsageError: something is no path, bytes or binary file object.
    """
    attachments: list[Attachment] = []
    problems: list[InputError] = []
    for entry in inputs:
        for one in _spread(entry):
            if isinstance(one, InputError):
                problems.append(one)
                continue
            try:
                attachments.append(_take_one(one, len(attachments), settings))
            except InputError as error:
                problems.append(error)
    return attachments, problems


def _spread(entry: AttachmentInput) -> Iterator[AttachmentInput | InputError]:
    """A folder as its files; anything else as it is."""
    if not isinstance(entry, (str, os.PathLike)):
        yield entry
        return
    folder = Path(entry)
    if isinstance(entry, Found) or not os.path.isdir(folder):  # noqa: PTH112 - takes any name for an answer
        yield entry
        return
    try:
        entries = list_untrusted(folder, "", str(folder))
    except InputError as error:
        yield error
        return
    # A link to a folder is left out as a folder is; any other is told when it is opened.
    names = [
        name
        for name, status in entries
        if not name.startswith(".")
        and not stat.S_ISDIR(status.st_mode)
        and not (is_link(status) and (folder / name).is_dir())
    ]
    if not names:
        yield EmptyFolder(str(folder), "the folder has no files in it; name files, or a folder that has some")
    for name in names:
        yield Found(folder, name)


def _take_one(entry: AttachmentInput, index: int, settings: Settings) -> Attachment:
    match entry:
        case bytes():
            return _from_bytes(f"attachment {index + 1}", entry, index, settings)
        case (str(name), bytes(data)):
            return _from_bytes(name, data, index, settings)
        case (str(name), os.PathLike() as path):
            return _from_path(path, index, settings, name)
        case str() | os.PathLike():
            return _from_path(entry, index, settings, str(Path(entry)) if isinstance(entry, Found) else str(entry))
    if hasattr(entry, "read"):
        return _from_file(entry, index, settings)
    raise UsageError(
        f"attachment {index + 1} is a {type(entry).__name__};"
        " expected a path, bytes, (name, bytes or path) or a file opened in binary mode"
    )


def _from_path(path: str | os.PathLike[str], index: int, settings: Settings, name: str) -> Attachment:
    with open_untrusted(path, name) as file:
        mark = mark_of(file)
    _check_size(name, mark.size_bytes, settings)
    return Attachment(index, name, mark.size_bytes, path=Path(path), mark=mark)


def _from_bytes(name: str, data: bytes, index: int, settings: Settings) -> Attachment:
    _check_size(name, len(data), settings)
    return Attachment(index, name, len(data), data=data)


def _from_file(file: BinaryIO, index: int, settings: Settings) -> Attachment:
    raw_name = getattr(file, "name", None)
    name = raw_name if isinstance(raw_name, str) else f"attachment {index + 1}"
    try:
        data = file.read(settings.max_input_bytes + 1)
    except (OSError, ValueError) as error:
        raise Unreadable(name, f"cannot be read ({error})") from error
    if not isinstance(data, bytes):
        raise UsageError(f"{name}: the file is open in text mode; open it with mode 'rb'")
    return _from_bytes(name, data, index, settings)


def _check_size(name: str, size_bytes: int, settings: Settings) -> None:
    if size_bytes == 0:
        raise Empty(name, "is empty (0 bytes)")
    if size_bytes > settings.max_input_bytes:
        raise OverInputLimit(
            name,
            f"has {size_bytes:,} bytes, over the input limit of {settings.max_input_bytes:,};"
            " MMSPREP_MAX_INPUT_BYTES sets another",
        )
