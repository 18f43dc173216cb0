"""What the caller hands over, made into attachments.

Comes in: paths, folders, bytes with a name, file objects, uploads; one or many. Goes out: :class:`Attachment` values
in the caller's order. Never: a look at what is inside (``sniff.py`` does), or a change to an original.
"""

from __future__ import annotations

import math
import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from gzip import GzipFile
from inspect import isawaitable
from pathlib import Path, PurePath
from typing import Any, Protocol, TypeGuard

from mmsprep.errors import (
    Empty,
    EmptyFolder,
    InputError,
    NotFound,
    OverInputLimit,
    Unreadable,
    UsageError,
    a_kind_of,
    reason_of,
)
from mmsprep.model import Attachment, Span
from mmsprep.settings import Settings
from mmsprep.tools.untrusted import Found, is_link, list_untrusted, mark_of, open_untrusted


class ReadableFile(Protocol):
    """A file object that is open in binary mode."""

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes; none at the end."""
        ...


class FileUpload(Protocol):
    """An upload that keeps its content in ``file``, as Starlette's and Django's do."""

    @property
    def file(self) -> Any:
        """The file object."""
        ...


class StreamUpload(Protocol):
    """An upload that keeps its content in ``stream``, as Werkzeug's does."""

    @property
    def stream(self) -> Any:
        """The file object."""
        ...


FileInput = ReadableFile | FileUpload | StreamUpload
Data = bytes | bytearray | memoryview
WholeInput = (
    str
    | os.PathLike[str]
    | Data
    | tuple[str, Data | os.PathLike[str] | FileInput]
    | tuple[str, Data | os.PathLike[str] | FileInput, str | None]
    | FileInput
)
"""A path (a folder means its files), bytes, a file object, an upload, or a name with one of these (and with a type,
which is not believed)."""
Moment = float | int | str
"""A place in a recording or clip: seconds, or as people write them, ``"12.5s"``, ``"1:05"``, ``"1:02:03"``."""


@dataclass(frozen=True, slots=True)
class Excerpt:
    """Some seconds of a recording or clip, as an attachment.

    ``content`` is whatever else can be an attachment; ``from_s`` is where the excerpt begins and ``to_s`` where it ends
    (``None``: where the whole does). For a path there is a short form: ``"clip.mp4[12s-20s]"``.

    Raises:
        UsageError: a moment is none, the end is not behind the beginning, or the content is an excerpt itself.
    """

    content: WholeInput
    from_s: Moment = 0.0
    to_s: Moment | None = None

    def __post_init__(self) -> None:
        if isinstance(self.content, Excerpt):
            raise UsageError("an excerpt of an excerpt: give the moments of the whole")
        span = span_between(self.from_s, self.to_s)
        object.__setattr__(self, "from_s", span.from_s)
        object.__setattr__(self, "to_s", span.to_s)

    @property
    def span(self) -> Span:
        """The seconds that are wanted."""
        return span_between(self.from_s, self.to_s)


AttachmentInput = WholeInput | Excerpt
"""What :data:`WholeInput` says, or some seconds of it."""
Attachments = AttachmentInput | Iterable[AttachmentInput]
"""One attachment, or several in order."""

_DATA = (bytes, bytearray, memoryview)
_PIECE_BYTES = 1_000_000
_NAMES_COMPARED = 1_000
_MIME_TYPE = re.compile(r"(application|audio|image|model|multipart|text|video|x-\w+)/[\w.+-]+\s*(;.*)?", re.IGNORECASE)
_EXPECTED = "a path, bytes, an open file, an upload, (name, bytes), or an Excerpt of one"
_MOMENT = re.compile(r"(?:(?:([0-9]{1,4}):)?([0-9]{1,4}):)?([0-9]{1,6}(?:\.[0-9]{1,6})?)(s?)", re.ASCII)
_SUFFIX = re.compile(r"(.+)\[([0-9:.s]*) ?- ?([0-9:.s]*)\]", re.DOTALL)
_MOMENTS = "seconds like 12 or 12.5s, minutes like 1:05, or hours like 1:02:03"


class Inputs(tuple[AttachmentInput, ...]):
    """What :func:`as_attachments` has told apart and checked."""

    __slots__ = ()


def as_attachments(value: Attachments, argument: str = "attachments") -> Inputs:
    """One attachment or many, as many.

    A path, bytes, a file, an upload, and a tuple of a name and its content are one; what else can be iterated over
    holds several. Arrays of bytes are copied, so that nobody changes them later.

    Raises:
        UsageError: something is no attachment; ``argument`` is what the message calls it.
    """
    if isinstance(value, Inputs):
        return value
    if is_one(value):
        return Inputs((_checked(value, argument),))
    if isinstance(value, Iterable) and not isinstance(value, Mapping):
        return Inputs(_checked(one, f"{argument}: number {place}") for place, one in enumerate(value, start=1))
    raise UsageError(f"{argument}: is {a_kind_of(value)}; expected {_EXPECTED}, or several of them")


def as_moment(value: object, argument: str) -> float:
    """Seconds from the beginning, of a number or of how people write them.

    Raises:
        UsageError: it is neither; ``argument`` is what the message calls it.
    """
    seconds = math.nan
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        seconds = float(value)
    elif isinstance(value, str) and (found := _MOMENT.fullmatch(value.strip())):
        hours, minutes, last, unit = found.groups()
        below_60 = float(last) < 60 and (not hours or int(minutes) < 60)
        if not minutes or (below_60 and not unit):
            seconds = 3600 * int(hours or 0) + 60 * int(minutes or 0) + float(last)
    if not 0 <= seconds < math.inf:
        raise UsageError(f"{argument}: is {value!r}; expected {_MOMENTS}")
    return seconds


def span_between(from_s: object, to_s: object) -> Span:
    """What lies between two moments, ``None`` for an end of the whole.

    Raises:
        UsageError: one is no moment, or the end is not behind the beginning.
    """
    begin = 0.0 if from_s is None else as_moment(from_s, "from_s")
    end = None if to_s is None else as_moment(to_s, "to_s")
    if end is not None and end <= begin:
        raise UsageError(
            f"an excerpt from {begin:g} s to {end:g} s has nothing in it; its end lies behind its beginning"
        )
    return Span(begin, end)


def is_one(value: Attachments) -> TypeGuard[AttachmentInput]:
    """Whether ``value`` is one attachment, not several.

    A tuple of two paths is two attachments, whatever their types; a name with bytes or with a file is one.
    """
    if isinstance(value, (str, os.PathLike, Excerpt, *_DATA)) or is_file(value):
        return True
    match value:
        case (str(), content) | (str(), content, None) if type(value) is tuple:
            return isinstance(content, _DATA) or is_file(content)
        case (str(), content, str(kind)) if type(value) is tuple:
            return (isinstance(content, _DATA) or is_file(content)) and bool(_MIME_TYPE.fullmatch(kind))
    return False


def is_file(value: object) -> TypeGuard[FileInput]:
    """Whether ``value`` is a file object or an upload."""
    if isinstance(value, (type, str, os.PathLike, Excerpt, *_DATA)):
        return False
    return _can_be_read(value) or _can_be_read(_part(value, "file")) or _can_be_read(_part(value, "stream"))


def take_in(inputs: Attachments, settings: Settings) -> tuple[list[Attachment], list[InputError]]:
    """Make attachments of ``inputs``; what cannot be used comes back as errors, each with its index.

    A folder stands for its files, sorted by name, hidden ones and subfolders left out. A path may be a link; what is
    found in a folder may not. A file object is read from where it stands, from its start if it stands at its end.

    Raises:
        UsageError: something is no attachment, or a file in text mode, or one that must be awaited.
    """
    attachments: list[Attachment] = []
    problems: list[InputError] = []
    spread = (one for entry in as_attachments(inputs) for one in _spread(entry))
    for index, one in enumerate(spread):
        try:
            if isinstance(one, InputError):
                raise one
            attachments.append(_take_one(one, index, settings))
        except InputError as error:
            error.index = index
            problems.append(error)
    return attachments, problems


def names_of(paths: Iterable[str]) -> dict[int, str]:
    """What attachments made of ``paths`` are called, by index; nothing but folders is opened."""
    spread = enumerate(one for entry in paths for one in _spread(entry))
    whole = {index: one.content if isinstance(one, Excerpt) else one for index, one in spread}
    return {index: _path_name(one) for index, one in whole.items() if isinstance(one, (str, os.PathLike))}


def indexes_called(called: str | int, names: Mapping[int, str]) -> list[int]:
    """Whom a wish means: an index, a name just as it was given, or one without its folder."""
    if isinstance(called, int):
        return [called] if called in names else []
    exactly = [index for index, name in names.items() if name == called]
    return exactly or [index for index, name in names.items() if PurePath(name).name == called]


def _checked(item: Any, called: str) -> AttachmentInput:
    if isinstance(item, Excerpt):
        return replace(item, content=_whole(item.content, called))
    return _whole(item, called)


def _whole(item: Any, called: str) -> WholeInput:
    match item:
        case str():
            return item
        case bytes() | bytearray() | memoryview():
            return bytes(item)
        case (str(name), content) | (str(name), content, str() | None) if isinstance(item, tuple):
            if isinstance(content, (*_DATA, os.PathLike)) or is_file(content):
                return name, bytes(content) if isinstance(content, _DATA) else content
        case os.PathLike():
            return item if isinstance(item, (Path, Found)) else Path(os.fsdecode(item))
        case _ if is_file(item):
            return item
    raise UsageError(f"{called}: is {a_kind_of(item)}; expected {_EXPECTED}")


def _spread(entry: AttachmentInput) -> Iterator[AttachmentInput | InputError]:
    """A folder as its files; anything else as it is, what is written behind a path's name understood."""
    entry = with_suffix_read(entry)
    if not isinstance(entry, (str, os.PathLike)) or entry == "":  # which would be the working folder
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
        and not (is_link(status) and os.path.isdir(folder / name))  # noqa: PTH112
    ]
    if not names:
        yield EmptyFolder(str(folder), "the folder has no files in it; name files, or a folder that has some")
    for name in names:
        yield Found(folder, name)


def with_suffix_read(entry: AttachmentInput) -> AttachmentInput:
    """An excerpt for ``clip.mp4[12s-20s]``, where no file is really called so.

    Raises:
        UsageError: the moments make no sense.
    """
    if isinstance(entry, Found) or not isinstance(entry, (str, os.PathLike)):
        return entry
    found = None if os.path.lexists(entry) else split_suffix(os.fsdecode(entry))
    if found is None:
        return entry
    path, span = found
    return Excerpt(path if isinstance(entry, str) else Path(path), span.from_s, span.to_s)


def split_suffix(name: str) -> tuple[str, Span] | None:
    """``clip.mp4[12s-20s]`` as the name and the seconds; ``None`` for a name without such an end.

    Raises:
        UsageError: the moments make no sense.
    """
    found = _SUFFIX.fullmatch(name)
    if found is None:
        return None
    path, begin, end = found.groups()
    if not (begin or end):
        return None
    try:
        return path, span_between(begin or None, end or None)
    except UsageError as error:
        raise UsageError(f"{name}: {error}") from None


def _take_one(entry: AttachmentInput, index: int, settings: Settings) -> Attachment:
    if isinstance(entry, Excerpt):
        return replace(_take_whole(entry.content, index, settings), span=entry.span)
    return _take_whole(entry, index, settings)


def _take_whole(entry: WholeInput, index: int, settings: Settings) -> Attachment:
    match entry:
        case bytes():
            return _from_bytes(f"attachment {index + 1}", entry, index, settings)
        case (str(name), bytes(data)):
            return _from_bytes(name, data, index, settings)
        case (str(name), os.PathLike() as path):
            return _from_path(path, index, settings, name)
        case (str(name), file):
            return _from_bytes(name, _content_of(file, name, settings), index, settings)
        case str() | os.PathLike():
            return _from_path(entry, index, settings, _path_name(entry))
    name = _name_of(entry) or f"attachment {index + 1}"
    return _from_bytes(name, _content_of(entry, name, settings), index, settings)


def _path_name(path: str | os.PathLike[str]) -> str:
    return str(Path(path)) if isinstance(path, Found) else str(path)


def _from_path(path: str | os.PathLike[str], index: int, settings: Settings, name: str) -> Attachment:
    try:
        with open_untrusted(path, name) as file:
            mark = mark_of(file)
    except NotFound as error:
        instead = "" if isinstance(path, Found) else _instead(path)
        raise NotFound(name, error.problem + instead) from None
    _check_size(name, mark.size_bytes, settings)
    return Attachment(index, name, mark.size_bytes, path=Path(path), mark=mark)


def _instead(path: str | os.PathLike[str]) -> str:
    """What to say of a file that is not there: a name like its own, which is, or that its folder is not there."""
    missing = Path(path)
    try:
        names = os.listdir(missing.parent)  # noqa: PTH208 - names alone are wanted
    except (OSError, ValueError):
        return f", nor a folder {missing.parent}" if missing.parent.name else ""
    near = [one for one in names if one.casefold() == missing.name.casefold()]
    near = near or get_close_matches(missing.name, names[:_NAMES_COMPARED], 1)
    return f"; is {near[0]} meant?" if near else ""


def _from_bytes(name: str, data: bytes, index: int, settings: Settings) -> Attachment:
    _check_size(name, len(data), settings)
    return Attachment(index, name, len(data), data=data)


def _part(value: object, attribute: str) -> Any:
    """An attribute of somebody's object, ``None`` where there is none or asking for it fails."""
    try:
        return getattr(value, attribute, None)
    except Exception:
        return None


def _can_be_read(value: object) -> bool:
    return callable(_part(value, "read"))


def _name_of(file: object) -> str:
    """What a file or an upload is called; an upload's ``name`` may be that of a form's field."""
    # A file of gzip's warns whoever asks for its ``filename``.
    for attribute in ("name",) if isinstance(file, GzipFile) else ("filename", "name"):
        name = _part(file, attribute)
        if isinstance(name, (str, bytes, os.PathLike)) and name:
            return os.fsdecode(name)
    return ""


def _content_of(file: object, name: str, settings: Settings) -> bytes:
    """What is left to read, from the start where nothing is left, one byte more than is allowed at most.

    It may come in pieces of any length, as from a pipe.
    """
    # The file inside an upload: the upload's own ``read`` may have to be awaited.
    inside = (_part(file, "file"), file, _part(file, "stream"))
    source: Any = next(one for one in inside if _can_be_read(one))
    try:
        content = read_in_pieces(source, settings.max_input_bytes + 1, name)
        if not content and _rewound(source):
            return _content_of(source, name, settings)
    except (InputError, UsageError):
        raise
    except Exception as error:  # whatever somebody's file object raises
        raise Unreadable(name, f"cannot be read ({reason_of(error)})") from error
    return content


def read_in_pieces(source: Any, max_bytes: int, name: str) -> bytes:
    """What is left to read, up to ``max_bytes``: room is taken for what comes, not for what is asked.

    Raises:
        Unreadable, UsageError: what ``source`` gives are no bytes.
    """
    pieces, left_bytes = [], max_bytes
    while left_bytes > 0 and (piece := _piece(source, min(left_bytes, _PIECE_BYTES), name)):
        pieces.append(piece)
        left_bytes -= len(piece)
    return b"".join(pieces)


def _piece(source: Any, size_bytes: int, name: str) -> bytes:
    piece = source.read(size_bytes)
    if isinstance(piece, _DATA):
        return bytes(piece)
    if piece is None:
        raise Unreadable(name, "has nothing to read yet and does not wait; give a file that blocks, or bytes")
    if isawaitable(piece):
        getattr(piece, "close", lambda: None)()
        raise UsageError(f"{name}: the file is read with 'await'; await its content and give the bytes")
    raise UsageError(f"{name}: the file is open in text mode; open it with mode 'rb'")


def _rewound(source: Any) -> bool:
    """Whether the file stood at its end, not at its start, and could be set back."""
    try:
        if source.tell() == 0:
            return False
        source.seek(0)
        return bool(source.tell() == 0)
    except (AttributeError, OSError, TypeError, ValueError):
        return False


def _check_size(name: str, size_bytes: int, settings: Settings) -> None:
    if size_bytes == 0:
        raise Empty(name, "is empty (0 bytes); get the file again")
    if size_bytes > settings.max_input_bytes:
        raise OverInputLimit(
            name,
            f"has {size_bytes:,} bytes, over the input limit of {settings.max_input_bytes:,};"
            " MMSPREP_MAX_INPUT_BYTES sets another",
        )
