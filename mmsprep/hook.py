"""The hook before a program's own send: what it is about to send goes in, the same comes out conforming.

Comes in: any mapping or object with a recipient, a text, a subject and attachments. Goes out: a copy of the same
shape in which each attachment is what the network takes, the whole fits its limit, and numbers are MSISDNs. Never:
a send, a change to what came in, or an attachment left out silently.

An attachment comes back as it came: a path for a path, bytes for bytes, a tuple for a tuple, an open file for a file.
"""

from __future__ import annotations

import copy
import dataclasses
import io
import os
import tempfile
from collections.abc import Callable, Mapping, MutableMapping
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeVar

from mmsprep.errors import OutputError, UsageError
from mmsprep.model import Action, Part
from mmsprep.pipeline import prepare
from mmsprep.pipeline.intake import AttachmentInput
from mmsprep.profile import DEFAULT_PROFILE, Profile
from mmsprep.sender.address import msisdn
from mmsprep.settings import Settings

_Outgoing = TypeVar("_Outgoing")
_GiveBack = Callable[[Part], object]

FIELDS: Mapping[str, tuple[str, ...]] = {
    "recipient": ("recipient", "to", "number"),
    "text": ("text", "message", "body"),
    "subject": ("subject",),
    "attachments": ("attachments", "files"),
}
"""What is looked for under which names, the first that is there counts."""


class ReadyFile(io.BytesIO):
    """A conforming attachment in place of an open file, with what a program may want to know of it."""

    def __init__(self, part: Part) -> None:
        super().__init__(part.data)
        self.name = self.filename = part.name
        self.content_type = part.content_type
        self.size = part.size_bytes


def pre_send(
    outgoing: _Outgoing,
    *,
    profile: str | Path | Profile = DEFAULT_PROFILE,
    limit_bytes: int | None = None,
    trim: bool = False,
    poster: bool = False,
    country: str = "",
    folder: str | os.PathLike[str] | None = None,
    fields: Mapping[str, str] | None = None,
    settings: Settings | None = None,
) -> _Outgoing:
    """Make ready what a program is about to send.

    Args:
        outgoing: a mapping or an object (dataclass, named tuple, model, ...) with any of the fields in
            :data:`FIELDS`. Attachments are paths, bytes, ``(name, bytes)``, ``(name, bytes, type)`` or files open
            in binary mode, uploads of Django and Starlette included. A recipient may be a list.
        profile, limit_bytes, trim, poster, settings: as :func:`mmsprep.prepare` takes them.
        country: two letters; completes national numbers.
        folder: where conforming files are written for attachments that are paths, in a new folder inside it that
            is yours; default: a temporary one that is removed when the program ends.
        fields: your names for the fields, like ``{"attachments": "media"}``.

    Returns:
        A copy of ``outgoing`` with the fields replaced; attachments in the same order and the same forms. A path
        whose file needs no change stays the same path.

    Raises:
        MmsprepError: it cannot be made to conform, a number is none, or there is nothing to send.
    """
    names = _names_in(outgoing, fields or {})
    found = {field: _get(outgoing, name) for field, name in names.items()}
    changes: dict[str, object] = {}
    if found.get("recipient"):
        changes[names["recipient"]] = _recipients(found["recipient"], country)
    items = list(found.get("attachments") or ())
    taken = [_take(item, place, folder) for place, item in enumerate(items, start=1)]
    message = prepare(
        [source for source, _ in taken],
        text=_text(found, "text"),
        subject=_text(found, "subject"),
        profile=profile,
        limit_bytes=limit_bytes,
        trim=trim,
        poster=poster,
        settings=settings,
    )
    ready: dict[int, object] = {}
    for index, part in enumerate(message.parts):
        for place in part.shown_at or (index,):
            ready[place] = taken[place][1](part)
    if "text" in names:
        changes[names["text"]] = message.text
    if "subject" in names:
        changes[names["subject"]] = message.subject
    if "attachments" in names:
        attachments = [ready[place] for place in range(len(items))]
        changes[names["attachments"]] = tuple(attachments) if isinstance(found["attachments"], tuple) else attachments
    changed: _Outgoing = _changed(outgoing, changes)
    return changed


async def pre_send_async(
    outgoing: _Outgoing,
    *,
    profile: str | Path | Profile = DEFAULT_PROFILE,
    limit_bytes: int | None = None,
    trim: bool = False,
    poster: bool = False,
    country: str = "",
    folder: str | os.PathLike[str] | None = None,
    fields: Mapping[str, str] | None = None,
    settings: Settings | None = None,
) -> _Outgoing:
    """:func:`pre_send` in a thread, so that the event loop goes on."""
    from anyio import to_thread

    call = partial(
        pre_send,
        outgoing,
        profile=profile,
        limit_bytes=limit_bytes,
        trim=trim,
        poster=poster,
        country=country,
        folder=folder,
        fields=fields,
        settings=settings,
    )
    return await to_thread.run_sync(call)


def _names_in(outgoing: object, given: Mapping[str, str]) -> dict[str, str]:
    """Field to the name under which ``outgoing`` has it."""
    for field, name in given.items():
        if field not in FIELDS:
            raise UsageError(f"fields: {field!r} is unknown; expected {', '.join(FIELDS)}")
        if not _has(outgoing, name):
            raise UsageError(f"fields: there is no {name!r} in the {type(outgoing).__name__}")
    names = dict(given)
    for field, known in FIELDS.items():
        there = [name for name in known if _has(outgoing, name) and name not in names.values()]
        if field not in names and there:
            names[field] = there[0]
    if not names.keys() & {"text", "attachments"}:
        raise UsageError(
            f"a {type(outgoing).__name__} without text and attachments; expected fields like"
            f" {', '.join(FIELDS)}, or say their names (fields=...)"
        )
    return names


def _has(outgoing: object, name: str) -> bool:
    return name in outgoing if isinstance(outgoing, Mapping) else hasattr(outgoing, name)


def _get(outgoing: object, name: str) -> Any:
    return outgoing[name] if isinstance(outgoing, Mapping) else getattr(outgoing, name)


def _text(found: Mapping[str, Any], field: str) -> str:
    value = found.get(field) or ""
    if not isinstance(value, str):
        raise UsageError(f"the {field} is a {type(value).__name__}, expected a str")
    return value


def _recipients(value: object, country: str) -> object:
    if isinstance(value, str):
        return msisdn(value, country).digits
    if isinstance(value, (list, tuple, set, frozenset)) and all(isinstance(number, str) for number in value):
        return type(value)(msisdn(number, country).digits for number in value)
    raise UsageError(f"the recipient is a {type(value).__name__}, expected a str or a list of them")


def _take(item: Any, place: int, folder: str | os.PathLike[str] | None) -> tuple[AttachmentInput, _GiveBack]:
    """What ``prepare`` takes of an attachment, and how its part goes back."""
    match item:
        case str() | os.PathLike():
            if Path(item).is_dir():
                raise UsageError(f"attachment {place} is a folder, {item}; give its files")
            return item, partial(_as_path, item, folder)
        case bytes() | bytearray() | memoryview():
            return bytes(item), lambda part: part.data
        case (str(name), bytes(data)):
            return (name, data), lambda part: (part.name, part.data)
        case (str(name), bytes(data), str() | None):
            return (name, data), lambda part: (part.name, part.data, part.content_type)
    file = item.file if hasattr(getattr(item, "file", None), "read") else item
    if not hasattr(file, "read"):
        raise UsageError(
            f"attachment {place} is a {type(item).__name__}; expected a path, bytes, (name, bytes) or an open file"
        )
    data = file.read()
    if not isinstance(data, bytes):
        raise UsageError(f"attachment {place} is open in text mode, or must be awaited; expected a binary file")
    names = (getattr(item, "filename", None), getattr(item, "name", None))
    return (next((name for name in names if isinstance(name, str) and name), f"attachment {place}"), data), ReadyFile


def _as_path(original: str | os.PathLike[str], folder: str | os.PathLike[str] | None, part: Part) -> object:
    if part.action is Action.KEEP:
        return original
    try:
        path = Path(tempfile.mkdtemp(prefix="mms-", dir=folder or _temporary_folder().name)) / part.name
        path.write_bytes(part.data)
    except OSError as error:
        raise OutputError(f"{folder or 'the temporary folder'}: cannot be written ({error.strerror})") from error
    return str(path) if isinstance(original, str) else path


@cache
def _temporary_folder() -> tempfile.TemporaryDirectory[str]:
    """One for the process; removed when it ends."""
    return tempfile.TemporaryDirectory(prefix="mmsprep-ready-", ignore_cleanup_errors=True)


def _changed(outgoing: Any, changes: Mapping[str, object]) -> Any:
    """A copy of the same type with ``changes``."""
    if isinstance(outgoing, Mapping):
        if isinstance(outgoing, MutableMapping):
            changed = copy.copy(outgoing)
            changed.update(changes)
            return changed
        return type(outgoing)({**outgoing, **changes})  # type: ignore[call-arg]
    if dataclasses.is_dataclass(outgoing) and not isinstance(outgoing, type):
        return dataclasses.replace(outgoing, **changes)
    if hasattr(outgoing, "_replace"):
        return outgoing._replace(**changes)
    if hasattr(outgoing, "model_copy"):
        return outgoing.model_copy(update=dict(changes))
    changed = copy.copy(outgoing)
    for name, value in changes.items():
        setattr(changed, name, value)
    return changed
