"""A whole tree or manifest: what is done stays, what is the same is made once, the rest is prepared.

Comes in: a :class:`Batch`. Goes out: an outcome for every item, in their order, and files in the output. Never:
an original touched, a stranger's file replaced, or a list of all names in memory.

    list ─▶ unchanged? ─▶ digest ─▶ made before, or being made? copy ─▶ else prepare ─▶ record
"""

from __future__ import annotations

import hashlib
import json
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Literal

from mmsprep.batch import work
from mmsprep.batch.executors import LOCAL, Workforce, failure_of, open_executor
from mmsprep.batch.flow import Flow, in_order
from mmsprep.batch.ledger import Done, Ledger, copied_ledger, open_ledger
from mmsprep.batch.listing import InputFile, Item, RoomToSplit, list_files, list_folders, list_manifest
from mmsprep.batch.outcome import ItemOutcome, Made, OutputFile, Status
from mmsprep.batch.storage import Storage, StoredFile, check_apart, is_remote, open_storage
from mmsprep.batch.work import Assignment, Recipe
from mmsprep.errors import LedgerError, MmsprepError, NotFound, UsageError
from mmsprep.formats import FORMATS
from mmsprep.pipeline.intake import Moment
from mmsprep.pipeline.job import Job, Quality
from mmsprep.profile import DEFAULT_PROFILE, Profile, load_profile
from mmsprep.settings import Settings, load_settings

EACH_FILE, EACH_FOLDER = "file", "folder"
_AHEAD = 10_000
"""Outcomes that may wait for an earlier one: a long clip holds nobody up, and memory stays small."""
_DIGESTS_KEPT = 10_000
_AT_REST_S = 2.0
"""A file written to less than this ago could be written to again under the same date; its content is read."""


@cache
def _suffixes() -> tuple[str, ...]:
    return tuple(sorted({f".{entry.extension}" for entry in FORMATS.values()}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What to make of a folder.

    ``source`` and ``target`` are folders or fsspec addresses. ``each`` is ``"file"`` (every file becomes one that
    conforms), ``"folder"`` (every folder becomes a message) or the path of a CSV or JSONL manifest (every row
    becomes a message). ``split``: a message that would fall below its floors becomes as few as it takes, in folders 1,
    2, ... ``resume`` false makes everything again. ``from_s`` and ``to_s`` are the seconds that are wanted of every
    recording and clip that does not say its own; ``priorities`` count where a message has a file of that name. The rest
    is as in :class:`mmsprep.Job`; ``slides``, ``pages``, ``split`` and ``priorities`` are for messages, as each file
    becomes one file.

    Raises:
        UsageError: as :class:`mmsprep.Job`, or ``slides``, ``split`` or ``priorities`` with ``each="file"``.
    """

    source: str
    target: str
    each: str = EACH_FILE
    profile: str | Path | Profile = DEFAULT_PROFILE
    limit_bytes: int | None = None
    on_error: Literal["fail", "skip"] = "fail"
    trim: bool = False
    poster: bool = False
    keep_names: bool = False
    quality: Quality | None = None
    best_effort: bool = False
    slides: bool = False
    pages: bool = True
    split: bool = False
    from_s: Moment | None = None
    to_s: Moment | None = None
    priorities: Mapping[str, float] = field(default_factory=dict)
    resume: bool = True
    fail_fast: bool = False

    def __post_init__(self) -> None:
        job = self.job
        for name, wanted, what in (
            ("slides", job.slides, "makes several parts or messages"),
            ("split", self.split, "makes several parts or messages"),
            ("priority", bool(job.priorities), "divides a message's bytes over its parts"),
        ):
            if wanted and self.each == EACH_FILE:
                raise UsageError(
                    f"{name}: {what}, and each file becomes one file; with --each folder or a manifest it goes together"
                )

    @property
    def job(self) -> Job:
        """What every item's job has in common, checked."""
        return Job(
            attachments=(),
            profile=self.profile,
            limit_bytes=self.limit_bytes,
            on_error=self.on_error,
            trim=self.trim,
            poster=self.poster,
            keep_names=self.keep_names,
            quality=self.quality,
            best_effort=self.best_effort,
            slides=self.slides,
            pages=self.pages and self.each != EACH_FILE,
            from_s=self.from_s,
            to_s=self.to_s,
            priorities=self.priorities,
        )


def run_batch(
    batch: Batch,
    *,
    executor: Executor | str = LOCAL,
    worker_count: int | None = None,
    settings: Settings | None = None,
    observe: Callable[[ItemOutcome], None] | None = None,
) -> Iterator[ItemOutcome]:
    """Do what of ``batch`` is not done yet.

    Args:
        batch: what to make.
        executor: as in :func:`mmsprep.prepare_many`.
        worker_count: processes for ``"local"`` (default: one a core).
        settings: limits of the workers (default: from the environment).
        observe: called with each outcome as soon as it is known, out of order.

    Yields:
        An outcome for each item, in the order of the listing.

    Raises:
        UsageError: the two locations overlap so that results would become inputs; no such executor; a priority is for
            a file that no message has.
        LedgerError: another run is at work in the output.
        MmsprepError: the listing or the output cannot be used at all.
    """
    with open_batch(batch, executor=executor, worker_count=worker_count, settings=settings) as opened:
        yield from opened.outcomes(opened.items(), observe)


@contextmanager
def open_batch(
    batch: Batch,
    *,
    executor: Executor | str = LOCAL,
    worker_count: int | None = None,
    settings: Settings | None = None,
    look_only: bool = False,
    growing: bool = False,
) -> Iterator[OpenBatch]:
    """Ledger and workers, for one or several rounds over the same output; raises as :func:`run_batch`.

    ``look_only``: a copy of the ledger, and nothing is written. ``growing``: a priority may be for a file that is not
    there yet.
    """
    settings = settings or load_settings()
    profile = batch.profile if isinstance(batch.profile, Profile) else load_profile(batch.profile)
    leave_out = check_apart(batch.source, batch.target)
    source, target = open_storage(batch.source), open_storage(batch.target)
    if not is_remote(source.location) and not Path(source.location).is_dir():
        if Path(source.location).exists():
            raise NotFound(batch.source, "is a file, no folder; give its folder, or prepare the file by itself")
        raise NotFound(batch.source, "there is no such folder")
    if not growing and (problem := strange_priorities(batch)):
        raise UsageError(problem)
    opened_ledger = copied_ledger(target) if look_only else open_ledger(target)
    with open_executor(executor, worker_count, settings) as workforce, opened_ledger as ledger:
        if not batch.resume:
            ledger.forget_items()
        settings = workforce.settings_of_each(settings)
        recipe = Recipe(
            source=source.location,
            target=target.location,
            profile=profile,
            settings=settings,
            versions=work.versions_here(settings),
            job=batch.job,
            split=batch.split,
        )
        yield OpenBatch(batch, source, target, recipe, ledger, workforce, leave_out)


def strange_priorities(batch: Batch) -> str:
    """What to say of priorities for names that no file of ``batch`` has, which nobody would hear of; else empty."""
    strangers = dict.fromkeys(batch.priorities)
    items = _listed(batch, open_storage(batch.source), check_apart(batch.source, batch.target)) if strangers else ()
    for given in (given for item in items for given in item.inputs):
        for name in work.names_of(given) & strangers.keys():
            del strangers[name]
        if not strangers:
            return ""
    names = ", ".join(map(repr, strangers))
    return f"a priority is given for {names}, which is none of the files in {batch.source}" if strangers else ""


def _listed(batch: Batch, source: Storage, leave_out: str, folder: str = "", *, deep: bool = True) -> Iterator[Item]:
    if batch.each == EACH_FILE:
        return list_files(source, leave_out, folder, deep=deep)
    if batch.each == EACH_FOLDER:
        return list_folders(source, leave_out, folder, deep=deep)
    return list_manifest(Path(batch.each), source)


@dataclass(frozen=True, slots=True)
class AtWork:
    """A worker, the item that it is at, and for how many seconds."""

    worker: str
    name: str
    seconds: float


class OpenBatch:
    """A batch with its ledger and workers; :func:`open_batch` makes it. For one thread.

    ``source`` and ``target`` are its storages, ``recipe`` is what holds for every item.
    """

    def __init__(
        self,
        batch: Batch,
        source: Storage,
        target: Storage,
        recipe: Recipe,
        ledger: Ledger,
        workforce: Workforce,
        leave_out: str,
    ) -> None:
        self._batch, self.recipe = batch, recipe
        self.source, self.target = source, target
        self._ledger, self._workforce = ledger, workforce
        self._leave_out = leave_out
        self._fingerprint = recipe.fingerprint
        self._being_made: dict[str, Future[None]] = {}
        self._digests: OrderedDict[tuple[str, str], str] = OrderedDict()
        self._stopped = False
        self._room_to_split = RoomToSplit()

    @property
    def worker_count(self) -> int:
        """How many workers there are."""
        return self._workforce.worker_count

    def is_done(self, item: Item) -> bool:
        """Whether the item was done as it is now, by name, size and date, and its result lies there still."""
        before = self._ledger.done(item.id)
        return before is not None and before.state == self._state_of(item) and self._in_place(before.made)

    def at_work(self) -> list[AtWork]:
        """Which worker is at which item now; nothing of workers that cannot be seen from here."""
        found = []
        for busy in self._workforce.busy():
            assignment = busy.arguments[0] if busy.arguments else None
            if isinstance(assignment, Assignment):
                alone = not assignment.message and assignment.inputs
                name = assignment.inputs[0].name if alone else assignment.stem or "."
                found.append(AtWork(work.worker_name(busy.process_id), name, busy.seconds))
        return found

    def items(self, folder: str = "", *, deep: bool = True) -> Iterator[Item]:
        """What is to be made of ``folder`` (default: of everything)."""
        items = _listed(self._batch, self.source, self._leave_out, folder, deep=deep)
        return map(self._room_to_split.checked, items) if self._batch.split else items

    def outcomes(
        self, items: Iterable[Item], observe: Callable[[ItemOutcome], None] | None = None
    ) -> Iterator[ItemOutcome]:
        """Do what of ``items`` is not done yet; see :func:`run_batch`."""
        yield from in_order(self._flows(items, observe), at_once=self._workforce.at_once, ahead=_AHEAD)

    def _flows(
        self, items: Iterable[Item], observe: Callable[[ItemOutcome], None] | None
    ) -> Iterator[Flow[ItemOutcome]]:
        for index, item in enumerate(items):
            if self._stopped:
                return
            yield self._flow(index, item, observe)

    def _flow(self, index: int, item: Item, observe: Callable[[ItemOutcome], None] | None) -> Flow[ItemOutcome]:
        input_bytes = sum(given.file.size_bytes for given in item.inputs)
        try:
            status, made = yield from self._settle(item)
            outcome = ItemOutcome(
                index=index, id=item.id, status=status, to=item.to, input_bytes=input_bytes, made=made
            )
        except LedgerError:
            raise
        except MmsprepError as error:
            self._stopped = self._batch.fail_fast
            outcome = ItemOutcome(
                index=index, id=item.id, status=Status.FAILED, to=item.to, input_bytes=input_bytes, error=error
            )
        if observe:
            observe(outcome)
        return outcome

    def _settle(self, item: Item) -> Flow[tuple[Status, Made]]:
        """Find the item done, or do it; what cannot be done is raised."""
        if item.error:
            raise item.error
        state = self._state_of(item)
        before = self._ledger.done(item.id)
        if before and self.is_done(item):
            return Status.UNCHANGED, before.made
        digests = yield from self._digests_of(item)
        lasting = state if _at_rest(item) and work.UNREAD not in digests else ""
        key = self._key_of(item, digests)
        if before and before.key == key and before.made.stem == item.stem and self._in_place(before.made):
            self._ledger.set_state(item.id, lasting)
            return Status.UNCHANGED, before.made
        while key in self._being_made:
            yield self._being_made[key]
        for twin in self._ledger.same(key):
            if self._in_place(twin):
                future = self._workforce.executor.submit(work.copy, self._assignment(item), twin)
                yield future
                if failure_of(future) is None:
                    self._record(item, lasting, key, future.result(), before)
                    return Status.COPIED, future.result()
        made = yield from self._make(item, key, lasting, before)
        return Status.PREPARED, made

    def _make(self, item: Item, key: str, state: str, before: Done | None) -> Flow[Made]:
        """Have the item prepared; those with the same key wait for it."""
        while key in self._being_made:
            yield self._being_made[key]
        gate = self._being_made[key] = Future()
        try:
            future = self._workforce.executor.submit(work.make, self._assignment(item))
            yield future
            error = failure_of(future)
            if error:
                self._drop_empty_claim(item)
                raise error
            made: Made = future.result()
            self._record(item, state, key, made, before)
        finally:
            del self._being_made[key]
            if not gate.cancelled():
                gate.set_result(None)
        return made

    def _assignment(self, item: Item) -> Assignment:
        """The item's work, with the claim that lets a worker write under its stem."""
        owned = self._ledger.owned(item.stem)
        there = self._names_under(item)
        claimed = self._ledger.claim(item.stem)
        strangers = [name for name in (there if claimed is None else claimed) if name not in owned]
        if claimed is None:
            self._ledger.set_claim(item.stem, strangers)
        return Assignment(
            recipe=self.recipe,
            stem=item.stem,
            message=item.message,
            inputs=item.inputs,
            text=item.text,
            subject=item.subject,
            there=tuple(there),
            strangers=tuple(name for name in strangers if name in there),
        )

    def _drop_empty_claim(self, item: Item) -> None:
        """After a failure: what will lie there later is not ours, unless something is left behind now."""
        if set(self._names_under(item)) <= set(self._ledger.claim(item.stem) or ()):
            self._ledger.drop_claim(item.stem)

    def _names_under(self, item: Item) -> list[str]:
        """The files that lie in the output where this item's would."""
        if item.message:
            folders = [item.stem]
            if self._batch.split:  # into no more than there are files, and the text
                below = f"{item.stem}/" if item.stem else ""
                folders += [f"{below}{number}" for number in range(1, len(item.inputs) + 2)]
            return [name for folder in folders for name in self.target.names_in(folder)]
        return [name for suffix in _suffixes() if self.target.look(name := item.stem + suffix)]

    def _record(self, item: Item, state: str, key: str, made: Made, before: Done | None) -> None:
        stale = self._ledger.record(item.id, item.stem, state, key, made)
        for file in made.outputs:
            self.target.learn(file.name, file.size_bytes, file.version)
        for file in before.made.outputs if before else ():
            if file.name in stale:
                if self._is_in_place(file):
                    self.target.remove(file.name)
                self._ledger.forget_output(file.name)

    def _in_place(self, made: Made) -> bool:
        return all(map(self._is_in_place, made.outputs))

    def _is_in_place(self, file: OutputFile) -> bool:
        """Whether a file that was written lies there still, as it was."""
        found = self.target.look(file.name)
        if found is None or found.size_bytes != file.size_bytes:
            return False
        return not file.version or found.version == file.version

    def _state_of(self, item: Item) -> str:
        """All that the item's result depends on, as far as it can be told without reading a file."""
        files = [f"{given.name}:{given.file.size_bytes}-{given.file.version}{_seconds(given)}" for given in item.inputs]
        facts = "\0".join([self._fingerprint, item.stem, item.text, item.subject, *files])
        return hashlib.sha256(facts.encode("utf-8", "surrogatepass")).hexdigest()

    def _key_of(self, item: Item, digests: Sequence[str]) -> str:
        """All that the bytes of the item's result depend on; a message's report tells the names too."""
        names = [given.name + _seconds(given) for given in item.inputs] if item.message else []
        # A wish may be for a file by its place: of two messages that are alike, one.
        wishes = sorted(
            (str(called), weight) for called, weight in work.priorities_of(self.recipe.job, item.inputs).items()
        )
        facts = json.dumps([self._fingerprint, item.message, item.text, item.subject, digests, names, *wishes])
        return hashlib.sha256(facts.encode()).hexdigest()

    def _digests_of(self, item: Item) -> Flow[list[str]]:
        """What the inputs hold, read where the workers are and remembered for other items."""
        known = {given.file.place: self._known_digest(given.file) for given in item.inputs}
        unknown = tuple(given for given in item.inputs if not known[given.file.place])
        if unknown:
            future = self._workforce.executor.submit(work.digest, self.recipe.source, unknown)
            yield future
            error = failure_of(future)
            if error:
                raise error
            for given, found in zip(unknown, future.result(), strict=True):
                known[given.file.place] = found
                if found != work.UNREAD:
                    self._digests[given.file.place, given.file.version] = found
            while len(self._digests) > _DIGESTS_KEPT:
                self._digests.popitem(last=False)
        return [known[given.file.place] for given in item.inputs]

    def _known_digest(self, file: StoredFile) -> str:
        if file.content_id or not file.version:
            return file.content_id
        return self._digests.get((file.place, file.version), "")


def _seconds(given: InputFile) -> str:
    """What stands for the seconds that are wanted of an input; nothing where it is all of it."""
    return f"[{given.span.from_s}-{given.span.to_s}]" if given.span else ""


def _at_rest(item: Item) -> bool:
    now_s = time.time()
    return all(given.file.version and now_s - given.file.changed_at_s > _AT_REST_S for given in item.inputs)
