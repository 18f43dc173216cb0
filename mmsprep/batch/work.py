"""The work of one item, wherever a worker runs.

Comes in: an :class:`Assignment`, plain values that any worker can be sent. Goes out: a made; the files are
written from here. Never: the ledger, or another item. What fails is raised as one of our errors, which pickle.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import metadata
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import msgspec

from mmsprep.batch.listing import InputFile
from mmsprep.batch.outcome import Json, Made, OutputFile
from mmsprep.batch.storage import Storage, is_remote, open_storage
from mmsprep.errors import InputError, OutputError, SettingsError, Unreadable
from mmsprep.message.document import document
from mmsprep.message.folder import REPORT_NAME
from mmsprep.pipeline.intake import AttachmentInput, Excerpt
from mmsprep.pipeline.job import Job
from mmsprep.profile import Profile
from mmsprep.settings import Settings
from mmsprep.tools.untrusted import open_untrusted

if TYPE_CHECKING:
    from mmsprep.message import Message

_PACKAGES = (
    "pillow",
    "pillow-jxl-plugin",
    "pyvips-binary",
    "numpy",
    "mido",
    "charset-normalizer",
)
"""Whose versions can change a result's bytes, beside mmsprep's own and ffmpeg's."""
_PART_KEYS = (
    "name",
    "format",
    "content_type",
    "kind",
    "size_bytes",
    "action",
    "quality",
    "width_px",
    "height_px",
    "duration_s",
    "sha256",
    "reasons",
    "notes",
    "indexes",
)
_SOURCE_KEYS = ("index", "path", "content_type", "format", "size_bytes", "width_px", "height_px", "duration_s")
_NOT_IN_RESULTS = ("jobs", "ffmpeg", "max_total_memory_bytes")
"""Settings that cannot change a result: how much at once, and where the ffmpeg lies whose version counts."""

_OF_EACH_ITEM = ("attachments", "text", "subject", "profile")
"""Fields of a job that no recipe has, or has beside it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What holds for every item of a batch.

    ``versions`` are those of whoever made the recipe: a worker that has others refuses, since its results
    would not be the same. ``job`` is what every item's has in common; attachments, text and subject are the item's.
    ``split``: a message may become several.
    """

    source: str
    target: str
    profile: Profile
    settings: Settings
    versions: str
    job: Job
    split: bool = False

    @property
    def fingerprint(self) -> str:
        """A digest of everything but the item itself that can change a result."""
        settings = {name: value for name, value in _fields(self.settings).items() if name not in _NOT_IN_RESULTS}
        wishes = {name: value for name, value in _fields(self.job).items() if name not in _OF_EACH_ITEM}
        facts = [self.versions, settings, wishes, self.split]
        profile = msgspec.json.encode(self.profile)
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode() + profile).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """One item's work.

    ``there`` are the files that lie in the output where its own would; those of them that are not the batch's,
    the ``strangers``, are never replaced.
    """

    recipe: Recipe
    stem: str
    message: bool
    inputs: tuple[InputFile, ...]
    text: str = ""
    subject: str = ""
    there: tuple[str, ...] = ()
    strangers: tuple[str, ...] = ()


def _fields(values: Settings | Job) -> dict[str, object]:
    return {name: getattr(values, name) for name in values.__dataclass_fields__}


@lru_cache(maxsize=4)
def versions_here(settings: Settings) -> str:
    """What is installed here, as far as it can change a result's bytes."""
    from mmsprep import __version__
    from mmsprep.tools import ffmpeg

    found = [f"mmsprep {__version__}", f"ffmpeg {ffmpeg.version(settings)}"]
    for name in _PACKAGES:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    return ", ".join(found)


_storage = lru_cache(maxsize=8)(open_storage)
"""A worker's connections stay open from one item to the next."""


UNREAD = "unread"
"""In a digest's place where the file cannot be read; what that means for the item is said when it is made."""


def digest(source: str, inputs: tuple[InputFile, ...]) -> tuple[str, ...]:
    """The SHA-256 of each input's content, or :data:`UNREAD`."""
    storage = _storage(source)
    found = []
    for given in inputs:
        try:
            with storage.local(given.file.place, given.name) as path, open_untrusted(path, given.name) as file:
                found.append(hashlib.file_digest(file, "sha256").hexdigest())
        except (InputError, OSError):
            found.append(UNREAD)
    return tuple(found)


def make(work: Assignment) -> Made:
    """Prepare the item and write its files, each of them whole or not at all."""
    start_s = time.perf_counter()
    recipe = work.recipe
    here = versions_here(recipe.settings)
    if here != recipe.versions:
        raise SettingsError(
            f"worker {worker_name()}: found {here}; the batch was started with {recipe.versions}. Results would differ:"
            " install the same versions everywhere"
        )
    source, target = _storage(recipe.source), _storage(recipe.target)
    with ExitStack() as copies:
        messages = _prepare(work, source, copies)
        _check_unchanged(work, source)
    outputs = _write(work, _files_of(work, messages), target)
    reports = [document(message) for message in messages]
    return Made(
        stem=work.stem,
        outputs=outputs,
        parts=tuple(
            _part(part, folder)
            for report, folder in zip(reports, _folders(len(reports)), strict=True)
            for part in report["parts"]
        ),
        total_bytes=sum(message.total_bytes for message in messages),
        limit_bytes=messages[0].limit_bytes,
        messages=tuple(message.total_bytes for message in messages),
        rejected=tuple(reports[-1]["rejected"]),
        warnings=tuple(dict.fromkeys(warning for message in messages for warning in message.warnings)),
        work_s=time.perf_counter() - start_s,
        worker=worker_name(),
    )


def copy(work: Assignment, twin: Made) -> Made:
    """Give the item the files of a twin that was made of the same content in the same way.

    Raises:
        OutputError: the twin's files are not what they were.
    """
    start_s = time.perf_counter()
    target = _storage(work.recipe.target)
    files = {}
    for file in twin.outputs:
        data = target.read(file.name)
        if hashlib.sha256(data).hexdigest() != file.sha256:
            raise OutputError(f"{file.name}: was changed by somebody else and is not used for {work.stem}")
        tail = file.name.removeprefix(f"{twin.stem}/" if work.message and twin.stem else twin.stem)
        files[_output_name(work, tail)] = data
    outputs = _write(work, files, target)
    return replace(twin, stem=work.stem, outputs=outputs, work_s=time.perf_counter() - start_s, worker=worker_name())


def worker_name(process_id: int | None = None) -> str:
    """Who works here, or in a process of this host: host and process."""
    return f"{_host()}:{process_id or os.getpid()}"


_host = lru_cache(maxsize=1)(socket.gethostname)


def attachments_of(inputs: tuple[InputFile, ...], source: Storage, copies: ExitStack) -> tuple[AttachmentInput, ...]:
    """The inputs as attachments, under the names that they were given; copies of remote ones last as ``copies`` do."""
    attachments: list[AttachmentInput] = []
    for given in inputs:
        named = (given.name, copies.enter_context(source.local(given.file.place, given.name)))
        attachments.append(Excerpt(named, given.span.from_s, given.span.to_s) if given.span else named)
    return tuple(attachments)


def _prepare(work: Assignment, source: Storage, copies: ExitStack) -> list[Message]:
    from mmsprep import pipeline

    recipe = work.recipe
    attachments = wanted_seconds(attachments_of(work.inputs, source, copies), recipe)
    job = replace(
        recipe.job,
        attachments=attachments,
        text=work.text,
        subject=work.subject,
        profile=recipe.profile,
        from_s=None,
        to_s=None,
        priorities=priorities_of(recipe.job, work.inputs),
    )
    if recipe.split and work.message:
        return pipeline.split(job, settings=recipe.settings)
    return [pipeline.run(job, settings=recipe.settings)]


def wanted_seconds(attachments: tuple[AttachmentInput, ...], recipe: Recipe) -> tuple[AttachmentInput, ...]:
    """The attachments, of every recording and clip among them the seconds that the batch asks for.

    One that says its own seconds keeps them; one that ends sooner goes up to its end.
    """
    span = recipe.job.span
    if span is None:
        return attachments
    from mmsprep import pipeline

    wanted = list(attachments)
    for found in pipeline.inspect(attachments, profile=recipe.profile, settings=recipe.settings):
        given = attachments[found.index]
        if found.info and found.is_timed and not isinstance(given, Excerpt):
            ends_sooner = span.to_s is not None and found.info.duration_s and found.info.duration_s < span.to_s
            wanted[found.index] = Excerpt(given, span.from_s, None if ends_sooner else span.to_s)
    return tuple(wanted)


def priorities_of(job: Job, inputs: Sequence[InputFile]) -> dict[str | int, float]:
    """Those that a batch gives to files which an item has; by index where the place in the source is meant."""
    wished: dict[str | int, float] = {}
    for called, weight in job.priorities.items():
        for index, given in enumerate(inputs):
            if called in names_of(given):
                wished[called if called in _own_names(given) else index] = weight
    return wished


def names_of(given: InputFile) -> set[str]:
    """What a wish for one file may call it: as its message does, without its folder, or by its place in the source."""
    return _own_names(given) | {given.file.name}


def _own_names(given: InputFile) -> set[str]:
    return {given.name, PurePosixPath(given.name).name}


def _check_unchanged(work: Assignment, source: Storage) -> None:
    """A file that was written to while it was read would be remembered as something that it was not."""
    if is_remote(source.location):
        return
    for given in work.inputs:
        now = source.look(given.file.place)
        if now is None or (now.size_bytes, now.version) != (given.file.size_bytes, given.file.version):
            raise Unreadable(given.name, "was changed while it was read; run the batch again when it is at rest")


def _files_of(work: Assignment, messages: Sequence[Message]) -> dict[str, bytes]:
    """The files to write, in the order to write them; several messages in folders 1, 2, ..."""
    if work.message:
        return {
            _output_name(work, folder + name): data
            for message, folder in zip(messages, _folders(len(messages)), strict=True)
            for name, data in message.files().files.items()
        }
    ((part,),) = (message.parts for message in messages)
    return {_output_name(work, PurePosixPath(part.name).suffix): part.data}


def _folders(count: int) -> list[str]:
    """Where each of so many messages lies below the item's folder."""
    return [""] if count == 1 else [f"{number}/" for number in range(1, count + 1)]


def _output_name(work: Assignment, tail: str) -> str:
    if not work.message:
        return work.stem + tail
    return f"{work.stem}/{tail}" if work.stem else tail


def _write(work: Assignment, files: dict[str, bytes], target: Storage) -> tuple[OutputFile, ...]:
    """Write the files; of a message, ``message.json`` goes first and comes last: a folder that has one is whole.

    Of several, every earlier one goes, so that none is taken for one of the new set.
    """
    for name, data in files.items():
        if name in work.strangers and not _is_there(name, data, target):
            raise OutputError(f"{name}: is in the way and not of this batch; move it, or choose another output")
    for name in work.there if work.message else ():
        if name.rpartition("/")[2] == REPORT_NAME and name not in work.strangers:
            target.remove(name)
    outputs = []
    for name, data in files.items():
        stored = target.put(name, data)
        outputs.append(OutputFile(name, stored.size_bytes, stored.version, hashlib.sha256(data).hexdigest()))
    return tuple(outputs)


def _is_there(name: str, data: bytes, target: Storage) -> bool:
    found = target.look(name)
    return found is not None and found.size_bytes == len(data) and target.read(name) == data


def _part(part: Json, folder: str) -> Json:
    """The compact report of one part of the message in ``folder``."""
    return {
        **{key: part[key] for key in _PART_KEYS},
        "folder": folder.rstrip("/"),
        "source": {key: part["source"][key] for key in _SOURCE_KEYS},
    }
