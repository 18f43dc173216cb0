"""A drop folder: what appears in it is converted once it rests.

Comes in: a batch whose input is a folder of this machine. Goes out: outcomes as they come, until the caller
stops. Never: a file that is still being written, and nothing in the folder is changed or removed.
"""

from __future__ import annotations

import os
import stat
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from dataclasses import replace
from itertools import count
from pathlib import Path

from mmsprep.batch.executors import LOCAL
from mmsprep.batch.listing import Item
from mmsprep.batch.outcome import ItemOutcome, Status
from mmsprep.batch.storage import check_apart, is_remote
from mmsprep.batch.tree import EACH_FILE, EACH_FOLDER, Batch, OpenBatch, open_batch, strange_priorities
from mmsprep.errors import InputError, NotFound, ToolMissing, UsageError
from mmsprep.settings import Settings
from mmsprep.tools.extras import install_command

SETTLE_S = 2.0
_TICK_MS = 250


class Unrest:
    """The files that may still be written to: each until it has not changed for ``settle_s`` seconds.

    A file's own dates are not trusted for this (a copy may carry those of its original); what counts is how
    long *we* have seen it unchanged.
    """

    def __init__(self, settle_s: float) -> None:
        self._settle_s = settle_s
        self._seen: dict[Path, tuple[tuple[int, int], float]] = {}

    def __contains__(self, path: Path) -> bool:
        return path in self._seen

    def stir(self, path: Path) -> None:
        """Something happened to ``path``; a folder stands for what is in it, a link for itself."""
        folder = _is_folder(path)
        paths = [Path(place, name) for place, _, names in os.walk(path) for name in names] if folder else [path]
        for one in paths:
            self._seen.setdefault(one, ((-1, -1), 0.0))

    def settled(self, now_s: float) -> list[Path]:
        """The files that have come to rest; they are forgotten here."""
        rested = []
        for path, (mark, since_s) in list(self._seen.items()):
            try:
                status = path.lstat()
            except OSError:
                del self._seen[path]
                continue
            found = (status.st_size, status.st_mtime_ns)
            if found != mark:
                self._seen[path] = (found, now_s)
            elif now_s - since_s >= self._settle_s:
                del self._seen[path]
                rested.append(path)
        return rested


def watch(
    batch: Batch,
    *,
    settle_s: float = SETTLE_S,
    executor: Executor | str = LOCAL,
    worker_count: int | None = None,
    settings: Settings | None = None,
    stop: threading.Event | None = None,
    begun: Callable[[], object] | None = None,
    note: Callable[[str], object] | None = None,
) -> Iterator[ItemOutcome]:
    """Do what is in the batch's input now, then whatever appears in it, until ``stop`` is set.

    A file that failed is tried again when it, not its neighbour, changes.

    Args:
        batch: what to make; ``each`` is ``"file"`` or ``"folder"``.
        settle_s: how long a file must have been unchanged before it is read.
        executor, worker_count, settings: as in :func:`mmsprep.batch.run_batch`.
        stop: ends the watch.
        begun: called once everything is seen that appears.
        note: called with what may be a slip: a priority for a file that is not there, or not yet.

    Raises:
        UsageError: the input is no local folder, or a manifest was given.
        NotFound: the input was removed, or another folder was put in its place.
        ToolMissing: watchfiles is not installed.
        MmsprepError: as :func:`mmsprep.batch.run_batch`.
    """
    if is_remote(batch.source):
        raise UsageError(f"{batch.source}: only a folder of this machine can be watched")
    if batch.each not in (EACH_FILE, EACH_FOLDER):
        raise UsageError(f"--each {batch.each}: watch takes file or folder")
    try:
        import watchfiles
    except ImportError:
        raise ToolMissing(f"watch: needs watchfiles; {install_command('watch')}") from None
    with open_batch(batch, executor=executor, worker_count=worker_count, settings=settings, growing=True) as opened:
        if note and (problem := strange_priorities(batch)):
            note(f"{problem}; it counts where one of that name appears")
        root = Path(batch.source).resolve()
        rounds = _Rounds(opened, root, check_apart(batch.source, batch.target), settle_s)
        # The watcher is at work before the first look, so that nothing can appear between the two.
        ticks = watchfiles.watch(
            root, watch_filter=None, step=50, rust_timeout=_TICK_MS, yield_on_timeout=True, stop_event=stop
        )
        watched = _identity(root)
        if begun:
            begun()
        for changes in ticks:
            if watched is None or _identity(root) != watched:
                raise NotFound(
                    batch.source,
                    "was removed or replaced while it was watched, nothing more is seen of it; start again",
                )
            yield from rounds.go_on(Path(path) for _, path in changes)


class _Rounds:
    """What is at rest, round after round."""

    def __init__(self, opened: OpenBatch, root: Path, leave_out: str, settle_s: float) -> None:
        self._opened, self._root, self._leave_out = opened, root, leave_out
        self._unrest = Unrest(settle_s)
        self._failed: dict[str, tuple[str, ...]] = {}
        self._index = count()
        self._first = True

    def go_on(self, changed: Iterable[Path]) -> Iterator[ItemOutcome]:
        """Take note of what changed; do what has come to rest."""
        for path in [self._root] if self._first else changed:
            if self._concerns_us(path):
                self._unrest.stir(path)
        self._first = False
        folders = {path.parent for path in self._unrest.settled(time.monotonic()) if self._concerns_us(path)}
        for folder in sorted(folders):
            name = folder.relative_to(self._root).as_posix()
            try:
                items = list(self._opened.items("" if name == "." else name, deep=False))
            except InputError:  # it is gone again, or was a link, whose own folder tells of it
                continue
            yield from self._outcomes([item for item in items if self._may_start(item)])

    def _outcomes(self, items: list[Item]) -> Iterator[ItemOutcome]:
        marks = {item.id: _mark(item) for item in items}
        for outcome in self._opened.outcomes(items):
            if outcome.status is Status.FAILED:
                self._failed[outcome.id] = marks[outcome.id]
            else:
                self._failed.pop(outcome.id, None)
            if outcome.status is not Status.UNCHANGED:
                yield replace(outcome, index=next(self._index))

    def _may_start(self, item: Item) -> bool:
        if self._failed.get(item.id) == _mark(item):
            return False
        return not any(self._root / given.file.place in self._unrest for given in item.inputs)

    def _concerns_us(self, path: Path) -> bool:
        if not path.is_relative_to(self._root):
            return False
        name = path.relative_to(self._root)
        hidden = any(part.startswith(".") for part in name.parts)
        return not hidden and not (self._leave_out and name.is_relative_to(self._leave_out))


def _is_folder(path: Path) -> bool:
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except OSError:
        return False


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        status = folder.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _mark(item: Item) -> tuple[str, ...]:
    return tuple(f"{given.file.size_bytes}-{given.file.version}" for given in item.inputs)
