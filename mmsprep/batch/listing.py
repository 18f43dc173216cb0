"""What is to be made: every file, every folder, or every row of a manifest, one after the other.

Comes in: a storage, or a manifest. Goes out: a stream of :class:`Item`, in an order that depends on names
alone: a folder's files, then its subfolders, each by name; a manifest's rows as they stand. Never: the whole
tree in memory (one folder's names at a time), or a look inside a file.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, chain
from pathlib import Path, PurePosixPath
from typing import Any

from mmsprep.batch.naming import output_stems
from mmsprep.batch.storage import Listing, Storage, StoredFile, shown
from mmsprep.errors import MmsprepError, NotFound, Unreadable, UsageError, a_kind_of
from mmsprep.model import Span
from mmsprep.pipeline.intake import split_suffix

MANIFEST_COLUMNS = ("id", "files", "text", "subject", "to")
_FORBIDDEN_IN_ID = re.compile(r'[\x00-\x1f<>:"|?*\\]')
_MAX_ID_LENGTH = 200
_OF_SYSTEMS = frozenset(("thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "icon\r"))
_OF_EDITORS = (".xmp", ".aae")
"""Files that Windows, macOS, and programs that edit photographs without touching them keep in folders of media."""


@dataclass(frozen=True, slots=True)
class InputFile:
    """An attachment of an item: what messages call it, the file, the seconds of it that are wanted (``None``: all)."""

    name: str
    file: StoredFile
    span: Span | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One thing to make.

    ``message`` true: ``stem`` is the folder for a message's parts and ``message.json``; false: the stem of one
    converted file, to which the extension is added. ``error`` is set where it is known beforehand that nothing
    can come of it.
    """

    id: str
    stem: str
    message: bool
    inputs: tuple[InputFile, ...] = ()
    text: str = ""
    subject: str = ""
    to: str = ""
    error: MmsprepError | None = None


def list_files(source: Storage, leave_out: str = "", folder: str = "", *, deep: bool = True) -> Iterator[Item]:
    """Every file below ``folder`` as an item of its own; the folder ``leave_out`` is not entered."""
    for name, listing in _walk(source, leave_out, folder, deep=deep):
        if isinstance(listing, MmsprepError):
            yield Item(id=shown(name), stem="", message=False, error=listing)
            continue
        bases = [file.name.rpartition("/")[2] for file in listing.files]
        subfolders = [subfolder.rpartition("/")[2] for subfolder in listing.folders]
        stems = output_stems(bases, subfolders)
        prefix = f"{shown(name)}/" if name else ""
        for base, file in zip(bases, listing.files, strict=True):
            yield Item(id=file.name, stem=prefix + stems[base], message=False, inputs=(InputFile(file.name, file),))


def list_folders(source: Storage, leave_out: str = "", folder: str = "", *, deep: bool = True) -> Iterator[Item]:
    """Every folder that has files as one message, in a folder of the same name."""
    for name, listing in _walk(source, leave_out, folder, deep=deep):
        if isinstance(listing, MmsprepError):
            yield Item(id=shown(name), stem="", message=True, error=listing)
        elif listing.files:
            inputs = tuple(InputFile(file.name.rpartition("/")[2], file) for file in listing.files)
            yield Item(id=shown(name) or ".", stem=shown(name), message=True, inputs=inputs)


def _walk(source: Storage, leave_out: str, folder: str, *, deep: bool) -> Iterator[tuple[str, Listing | MmsprepError]]:
    """The folders from ``folder`` down; one below it that cannot be listed comes with the error."""
    waiting = [folder]
    while waiting:
        name = waiting.pop()
        if leave_out and name == leave_out:
            continue
        try:
            listing = source.list_folder(name)
        except MmsprepError as error:
            if name == folder:
                raise
            yield name, error
            continue
        yield name, replace(listing, files=tuple(_without_companions(listing.files)))
        if deep:
            waiting.extend(reversed(listing.folders))


def _without_companions(files: Sequence[StoredFile]) -> Iterator[StoredFile]:
    """The files of one folder but what other programs keep beside media, which nobody means to send.

    By name, also: the thumbnail that a camera writes for a clip (``MVI_1.THM`` beside ``MVI_1.MP4``), and what a
    service that hands photographs back writes of each (``a.jpg.json``, ``a.jpg.supplemental-metadata.json``).
    """
    bases = [file.name.rpartition("/")[2].lower() for file in files]
    whole, stems = set(bases), Counter(PurePosixPath(base).stem for base in bases)
    for base, file in zip(bases, files, strict=True):
        stem, suffix = PurePosixPath(base).stem, PurePosixPath(base).suffix
        of_a_clip = suffix == ".thm" and stems[stem] > 1
        above = accumulate(stem.split("."), "{}.{}".format)
        of_a_photo = suffix == ".json" and any(name in whole for name in above)
        if not (base in _OF_SYSTEMS or suffix in _OF_EDITORS or of_a_clip or of_a_photo):
            yield file


class RoomToSplit:
    """Keeps the folders 1, 2, ... of a message that may be split from being those of another message."""

    def __init__(self) -> None:
        self._stems: set[str] = set()
        self._above_numbers: set[str] = set()

    def checked(self, item: Item) -> Item:
        """The item; with an error where it and one before it would lie in each other's way, whatever comes of them."""
        if item.error:
            return item
        stem = item.stem.casefold()
        above, _, last = stem.rpartition("/")
        is_numbered = last.isascii() and last.isdigit() and stem != above
        if (is_numbered and above in self._stems) or stem in self._above_numbers:
            other = f"messages of {above or '.'!r}" if is_numbered else f"folders 1, 2, ... in {item.id!r}"
            problem = f"would lie where the split {other} go; rename it, or leave out --split"
            return replace(item, error=UsageError(problem))
        self._stems.add(stem)
        if is_numbered:
            self._above_numbers.add(above)
        return item


def list_manifest(path: Path, source: Storage) -> Iterator[Item]:
    """Every row of a CSV or JSON Lines manifest as one message, in a folder named after its ``id``.

    ``files`` are relative to ``source`` and lie in it; in CSV several are separated by ``;``. A row that makes no
    sense is an item with an error; the others go on.

    Raises:
        NotFound, Unreadable: the manifest cannot be read.
        UsageError: a CSV without the columns that are needed.
    """
    seen: set[str] = set()
    for place, row in _rows(path):
        try:
            item = _item_of(place, row, source)
            if item.id.casefold() in seen:
                raise UsageError(f"{place}: id {item.id!r} was used before; every row needs an id of its own")
            seen.add(item.id.casefold())
        except MmsprepError as error:
            raw_id = row.get("id") if isinstance(row, Mapping) else None
            yield Item(id=str(raw_id or place), stem="", message=True, error=error)
        else:
            yield item


def _rows(path: Path) -> Iterator[tuple[str, Any]]:
    """The rows and where each stands; a JSON line that cannot be parsed comes as the error."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            if path.suffix.lower() in (".jsonl", ".ndjson", ".json") or first.lstrip().startswith("{"):
                yield from _json_rows(path.name, chain([first], file))
            else:
                yield from _csv_rows(path.name, first, file)
    except FileNotFoundError:
        raise NotFound(str(path), "there is no such manifest; --each is file, folder or a CSV or JSONL file") from None
    except UnicodeDecodeError as error:
        raise Unreadable(str(path), f"is not UTF-8 text ({error.reason} at byte {error.start})") from None
    except (OSError, csv.Error) as error:
        raise Unreadable(str(path), f"cannot be read ({error})") from None


def _json_rows(name: str, lines: Iterator[str]) -> Iterator[tuple[str, Any]]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            yield f"{name} line {number}", json.loads(line)
        except ValueError as error:
            yield f"{name} line {number}", str(error)


def _csv_rows(name: str, first: str, file: io.TextIOBase | Any) -> Iterator[tuple[str, Any]]:
    delimiter = max(",;\t", key=first.count)
    reader = csv.DictReader(chain([first], file), delimiter=delimiter, restkey="")
    found = [column.strip() for column in reader.fieldnames or []]
    reader.fieldnames = found
    if "id" not in found or not {"files", "text"} & set(found):
        raise UsageError(
            f"{name}: found the columns {', '.join(found) or 'none'}; expected a first line with"
            f" {', '.join(MANIFEST_COLUMNS)} (id and files are needed)"
        )
    for row in reader:
        if any(value for value in row.values()):
            yield f"{name} line {reader.line_num}", row


def _item_of(place: str, row: Any, source: Storage) -> Item:
    if isinstance(row, str):
        raise UsageError(f"{place}: is not JSON ({row})")
    if not isinstance(row, Mapping):
        raise UsageError(f"{place}: expected an object with {', '.join(MANIFEST_COLUMNS)}")
    unknown = sorted(str(key) for key in row if key not in MANIFEST_COLUMNS)
    if unknown:
        raise UsageError(f"{place}: unknown column {unknown[0]!r}; there are {', '.join(MANIFEST_COLUMNS)}")
    values = {key: row.get(key) or "" for key in MANIFEST_COLUMNS}
    files = values["files"]
    names = [part.strip() for part in files.split(";")] if isinstance(files, str) else files
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise UsageError(f"{place}: files is {a_kind_of(files)}; expected a list of names")
    for key in ("text", "subject"):
        if not isinstance(values[key], str):
            raise UsageError(f"{place}: {key} is {a_kind_of(values[key])}; expected a text")
    item_id = _checked_id(place, str(values["id"]).strip())
    return Item(
        id=item_id,
        stem=item_id,
        message=True,
        inputs=tuple(_find(name, source) for name in names if name),
        text=values["text"],
        subject=values["subject"],
        to=str(values["to"]),
    )


def _checked_id(place: str, item_id: str) -> str:
    parts = item_id.split("/")
    if not item_id or len(item_id) > _MAX_ID_LENGTH or _FORBIDDEN_IN_ID.search(item_id):
        raise UsageError(f"{place}: id {item_id!r} cannot be a folder's name; letters, digits, - and _ are safe")
    if any(not part or part.startswith(".") or part.endswith((" ", ".")) for part in parts):
        raise UsageError(f"{place}: id {item_id!r} cannot be a folder's name: it leads elsewhere or is hidden")
    return item_id


def _find(name: str, source: Storage) -> InputFile:
    inside = source.inside(name)
    if inside is None:
        raise Unreadable(name, f"leads out of {source.location}; a manifest names files inside it, relative to it")
    found = source.look(inside)
    if found is not None:
        return InputFile(name, found)
    excerpt = split_suffix(name)
    if excerpt is None:
        raise NotFound(name, f"there is no such file in {source.location}")
    whole, span = excerpt
    return replace(_find(whole, source), span=span)
