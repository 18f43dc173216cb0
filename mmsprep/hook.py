"""The hook before a program's own send: what it is about to send goes in, the same comes out conforming.

Comes in: any mapping or object with a recipient, a text, a subject and attachments. Goes out: a copy of the same
shape in which each attachment is what the network takes, the whole fits its limit, and numbers are MSISDNs. Never:
a send, a change to what came in, or an attachment left out silently.

An attachment comes back as it came: a path for a path, bytes for bytes, a tuple for a tuple, an open file for a file.
"""

from __future__ import annotations

import copy
import dataclasses
import email.message
import io
import os
import tempfile
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeVar

from mmsprep.errors import OutputError, UsageError, a_kind_of, reason_of
from mmsprep.model import Action, Part
from mmsprep.pipeline import prepare
from mmsprep.pipeline.intake import AttachmentInput, Excerpt, Moment, as_attachments, is_file, is_one, with_suffix_read
from mmsprep.pipeline.job import Quality, as_text
from mmsprep.profile import DEFAULT_PROFILE, Profile
from mmsprep.sender.address import as_recipients, is_one_recipient, msisdn
from mmsprep.settings import Settings

_Outgoing = TypeVar("_Outgoing")

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
    keep_names: bool = False,
    quality: Quality | None = None,
    best_effort: bool = False,
    slides: bool = False,
    pages: bool = False,
    from_s: Moment | None = None,
    to_s: Moment | None = None,
    priorities: Mapping[str | int, float] | Mapping[str, float] | Mapping[int, float] | None = None,
    country: str = "",
    keep_plus: bool = False,
    folder: str | os.PathLike[str] | None = None,
    fields: Mapping[str, str] | None = None,
    settings: Settings | None = None,
) -> _Outgoing:
    """Make ready what a program is about to send.

    Args:
        outgoing: a mapping or an object (dataclass, named tuple, model, ...) with any of the fields in
            :data:`FIELDS`. Attachments are one or several of what :func:`mmsprep.prepare` takes, but no folders:
            paths, bytes, ``(name, bytes)``, ``(name, bytes, type)``, open files, uploads, and an
            :class:`mmsprep.Excerpt` of one, which comes back in the form of what it is of. So are recipients: numbers
            as ``str``, ``int`` or as phone libraries parse them; they come back as ``str``.
        profile, limit_bytes, trim, poster, keep_names, quality, best_effort, slides, from_s, to_s, priorities,
            settings: as :func:`mmsprep.prepare` takes them. A list of attachments gets longer by slides: each,
            and its sound, stands in the clip's place, in the clip's form.
        pages: a tall picture of lettering may come back as several in its place, one for each page, where attachments
            are a list or tuple; the others keep their order.
        country: two letters; completes national numbers.
        keep_plus: a number that came with a plus goes back with one; otherwise digits alone, as the gateway wants.
        folder: where conforming files are written for attachments that are paths, in a new folder inside it that
            is yours; default: a temporary one that is removed when the program ends.
        fields: your names for the fields, like ``{"attachments": "media"}``.

    Returns:
        A copy of ``outgoing`` with the fields replaced; attachments in the same order and the same forms. A path
        whose file needs no change stays the same path.

    Raises:
        MmsprepError: it cannot be made to conform, a number is none, there is nothing to send, or the only place for
            an attachment would have to hold slides.
    """
    names = _names_in(outgoing, fields or {})
    found = {field: _get(outgoing, name) for field, name in names.items()}
    changes: dict[str, object] = {}
    if found.get("recipient"):
        changes[names["recipient"]] = _recipients(found["recipient"], country, keep_plus)
    given = originals = found.get("attachments")
    if isinstance(given, (list, tuple)) and type(given) in (list, tuple):
        is_mail = hasattr(outgoing, "extra_headers") and hasattr(outgoing, "from_email")
        given = type(given)(_plain(item, is_mail) for item in given)
    items = as_attachments(() if given is None else given)
    message = prepare(
        [_no_folder(item, place) for place, item in enumerate(items, start=1)],
        text=as_text(found.get("text") or "", "text"),
        subject=as_text(found.get("subject") or "", "subject"),
        profile=profile,
        limit_bytes=limit_bytes,
        trim=trim,
        poster=poster,
        keep_names=keep_names,
        quality=quality,
        best_effort=best_effort,
        slides=slides,
        pages=pages and given is not None and not is_one(given),
        from_s=from_s,
        to_s=to_s,
        priorities=priorities,
        settings=settings,
    )
    if "text" in names:
        changes[names["text"]] = message.text
    if "subject" in names:
        changes[names["subject"]] = message.subject
    if given is not None:
        parts: dict[int, list[Part]] = {}
        for part in message.parts:
            for index in part.indexes:
                parts.setdefault(index, []).append(part)
        ready = _given_back(given, parts, folder)
        if originals is not None and originals is not given and not is_one(given):
            ready = _as_texts(ready, [original for place, original in enumerate(originals) for _ in parts[place]])
        changes[names["attachments"]] = ready
    changed: _Outgoing = _changed(outgoing, changes)
    return changed


async def pre_send_async(
    outgoing: _Outgoing,
    *,
    profile: str | Path | Profile = DEFAULT_PROFILE,
    limit_bytes: int | None = None,
    trim: bool = False,
    poster: bool = False,
    keep_names: bool = False,
    quality: Quality | None = None,
    best_effort: bool = False,
    slides: bool = False,
    pages: bool = False,
    from_s: Moment | None = None,
    to_s: Moment | None = None,
    priorities: Mapping[str | int, float] | Mapping[str, float] | Mapping[int, float] | None = None,
    country: str = "",
    keep_plus: bool = False,
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
        keep_names=keep_names,
        quality=quality,
        best_effort=best_effort,
        slides=slides,
        pages=pages,
        from_s=from_s,
        to_s=to_s,
        priorities=priorities,
        country=country,
        keep_plus=keep_plus,
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
            f"{a_kind_of(outgoing)} without text and attachments; expected fields like"
            f" {', '.join(FIELDS)}, or say their names (fields=...)"
        )
    return names


def _has(outgoing: object, name: str) -> bool:
    """Whether there is such a field; a method of that name, as Django's ``EmailMessage.message``, is none."""
    return name in outgoing if isinstance(outgoing, Mapping) else not callable(getattr(outgoing, name, _has))


def _get(outgoing: object, name: str) -> Any:
    value = outgoing[name] if isinstance(outgoing, Mapping) else getattr(outgoing, name)
    # What can be gone through once only is needed twice: to prepare, and to give back in the same forms.
    return list(value) if isinstance(value, Iterator) and not is_file(value) else value


def _recipients(value: Any, country: str, keep_plus: bool) -> object:
    digits = []
    for number in as_recipients(value, "recipient"):
        had_plus = number.strip().removeprefix("tel:").startswith("+")
        digits.append(("+" if keep_plus and had_plus else "") + msisdn(number, country).digits)
    if is_one_recipient(value):
        return digits[0]
    return type(value)(digits) if type(value) in (tuple, set, frozenset) else digits


def _plain(item: Any, is_mail: bool) -> Any:
    """A mail's attachment as bytes with its name: a MIME part, or Django's, which holds a text as ``str``.

    A ``str`` in a tuple of ours is a path, and a text must never be taken for one.
    """
    if isinstance(item, email.message.Message):
        return (item.get_filename() or "attachment", item.get_payload(decode=True) or b"", item.get_content_type())
    if isinstance(item, tuple) and len(item) == 3 and (is_mail or hasattr(item, "mimetype")):
        name, content, media_type = item
        content = content.encode() if isinstance(content, str) else content
        return (name or "attachment", content, media_type or "application/octet-stream")
    return item


def _as_texts(ready: Any, originals: Any) -> object:
    """A mail's attachments, those that came as ``str`` as such: Django takes a text in no other form."""
    pairs = zip(ready, originals, strict=True)
    return type(ready)(
        (item[0], item[1].decode("utf-8", "replace"), item[2]) if _is_text(original) and _is_bytes(item) else item
        for item, original in pairs
    )


def _is_text(item: Any) -> bool:
    return isinstance(item, tuple) and len(item) == 3 and isinstance(item[1], str)


def _is_bytes(item: Any) -> bool:
    return isinstance(item, tuple) and isinstance(item[1], bytes)


def _no_folder(item: AttachmentInput, place: int) -> AttachmentInput:
    """The item; a folder would come back as several."""
    item = with_suffix_read(item)
    whole = item.content if isinstance(item, Excerpt) else item
    path = whole[1] if isinstance(whole, tuple) else whole
    if isinstance(path, (str, os.PathLike)) and os.path.isdir(path):  # noqa: PTH112 - takes any name for an answer
        raise UsageError(f"attachment {place} is a folder, {path}; give its files")
    return item


def _given_back(given: Any, parts: Mapping[int, Sequence[Part]], folder: str | os.PathLike[str] | None) -> object:
    """The parts in the forms in which the attachments came, by their places."""
    if is_one(given):
        if len(parts[0]) > 1:
            raise UsageError(
                f"slides: the one attachment became {len(parts[0])} parts; give a list of attachments, which can get"
                " longer, or leave out slides"
            )
        return _in_form(given, parts[0][0], folder)
    ready = [_in_form(item, part, folder) for place, item in enumerate(given) for part in parts[place]]
    return tuple(ready) if isinstance(given, tuple) else ready


def _in_form(item: Any, part: Part, folder: str | os.PathLike[str] | None) -> object:
    item = with_suffix_read(item)
    match item:
        case Excerpt():
            return _in_form(item.content, part, folder)
        case str() | os.PathLike():
            return _as_path(item, folder, part)
        case bytes() | bytearray() | memoryview():
            return part.data
        case (_, content, *kind) if isinstance(item, tuple):
            return (part.name, _in_form(content, part, folder), *([part.content_type] if kind else []))
    return ReadyFile(part)


def _as_path(original: str | os.PathLike[str], folder: str | os.PathLike[str] | None, part: Part) -> object:
    if part.action is Action.KEEP:
        return original
    try:
        path = Path(tempfile.mkdtemp(prefix="mms-", dir=folder or _temporary_folder().name)) / part.name
        path.write_bytes(part.data)
    except OSError as error:
        raise OutputError(f"{folder or 'the temporary folder'}: cannot be written ({reason_of(error)})") from error
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
        try:
            setattr(changed, name, value)
        except AttributeError as error:
            raise UsageError(f"{name}: cannot be set in {a_kind_of(outgoing)} ({error})") from None
    return changed
