"""Where the work is done: in this process, in processes of this machine, on a Dask cluster.

Comes in: a name like ``local`` or ``dask://HOST:8786``. Goes out: a ``concurrent.futures.Executor`` and how many
workers it has. Never: an order or a retry of the batch's own; only a worker that died is replaced here.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from queue import SimpleQueue
from typing import Any
from urllib.parse import urlsplit

from mmsprep.errors import MmsprepError, ToolError, ToolMissing, Unexpected, UsageError, WorkerLost
from mmsprep.settings import Settings, processors
from mmsprep.tools.extras import install_command
from mmsprep.tools.log import log_as_asked
from mmsprep.tools.memory import keep_freed_memory

_log = logging.getLogger(__name__)
SERIAL, LOCAL = "serial", "local"
_PATIENCE_S = 10.0


@dataclass(frozen=True, slots=True)
class Busy:
    """A process at work: its id, what it was handed, and for how many seconds it has been at it."""

    process_id: int
    arguments: tuple[Any, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class Workforce:
    """An executor, how many workers it has, and whether each of them should keep to one thread."""

    executor: Executor
    worker_count: int
    one_thread_each: bool

    def busy(self) -> list[Busy]:
        """Who is at what now, as far as that can be seen from here."""
        return self.executor.busy() if isinstance(self.executor, LocalProcesses) else []

    def settings_of_each(self, settings: Settings) -> Settings:
        """The settings of one worker: where it shares this machine with the others, its share of the memory, too."""
        if not self.one_thread_each:
            return settings
        if isinstance(self.executor, LocalProcesses):
            share_bytes = max(1, settings.total_memory_bytes // self.worker_count)
            return replace(settings, jobs=1, max_total_memory_bytes=share_bytes)
        return replace(settings, jobs=1)

    @property
    def at_once(self) -> int:
        """How many jobs to hand in before the first is done: enough that no worker waits for the next."""
        return 2 * self.worker_count if self.one_thread_each else 1


@contextmanager
def open_executor(spec: str | Executor, worker_count: int | None, settings: Settings) -> Iterator[Workforce]:
    """The workers that ``spec`` names; those that were started here end with the ``with`` block.

    Args:
        spec: ``serial``, ``local``, ``dask://HOST:PORT``, or an executor of the caller's, which stays open.
        worker_count: processes for ``local`` (default: as many as the settings say, one a core).
        settings: of this machine.

    Raises:
        UsageError: ``spec`` is none of these.
        ToolMissing: Dask is not installed.
        ToolError: the Dask scheduler cannot be reached, or has no workers.
    """
    if isinstance(spec, Executor):
        yield Workforce(spec, worker_count or getattr(spec, "_max_workers", 0) or processors(), True)
    elif spec == SERIAL:
        yield Workforce(Serial(), 1, False)
    elif spec == LOCAL:
        count = worker_count or settings.worker_count
        with LocalProcesses(count) as executor:
            yield Workforce(executor, count, True)
    elif urlsplit(spec).scheme == "dask" and urlsplit(spec).netloc:
        with _dask(urlsplit(spec).netloc) as workforce:
            yield workforce
    else:
        raise UsageError(f"--executor {spec}: expected serial, local or dask://HOST:8786")


def failure_of(future: Future[Any]) -> MmsprepError | None:
    """What a finished future failed with, as an error of ours; ``None``: it did not fail.

    A worker's death, however it shows, is :class:`WorkerLost`.
    """
    if future.cancelled():
        return WorkerLost("the work was cancelled by the cluster before it was done; run the batch again")
    error = future.exception()
    if error is None or isinstance(error, MmsprepError):
        return error
    if isinstance(error, BrokenProcessPool) or type(error).__name__ == "KilledWorker":
        return WorkerLost("the process at work on it died twice; it may need more memory than there is")
    if not isinstance(error, Exception):
        raise error
    return Unexpected(f"a bug in mmsprep ({type(error).__name__}: {error}); the others are not affected")


class Serial(Executor):
    """Does the work where it is handed in, before :meth:`submit` returns."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


class LocalProcesses(Executor):
    """Worker processes, each with one job at a time, so that a death tells whose fault it was.

    A process that dies (out of memory, a crash in a decoder, ``kill``) is replaced and its job done once more;
    if that kills it again the job fails with :class:`WorkerLost`. No other job notices. The processes end with
    this one, whatever ends it.
    """

    def __init__(self, worker_count: int) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="mmsprep-", ignore_cleanup_errors=True)
        self._threads = ThreadPoolExecutor(worker_count, thread_name_prefix="mmsprep-lane")
        self._idle: SimpleQueue[_Lane] = SimpleQueue()
        self._lanes = [_Lane(self._folder.name) for _ in range(worker_count)]
        self._closing = False
        for lane in self._lanes:
            self._idle.put(lane)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        return self._threads.submit(self._run, fn, args, kwargs)

    def _run(self, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        lane = self._idle.get()
        try:
            try:
                return lane.run(fn, args, kwargs)
            except BrokenProcessPool:
                if self._closing:
                    raise
                # Once can be the system's doing, twice is the job's.
                _log.info("a batch's worker process died: its job is done once more by another one")
                lane.replace()
            return lane.run(fn, args, kwargs)
        finally:
            if lane.broken and not self._closing:
                lane.replace()
            self._idle.put(lane)

    def busy(self) -> list[Busy]:
        """Who is at what now."""
        return [busy for lane in self._lanes if (busy := lane.busy())]

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the workers; with ``cancel_futures`` at once, their children included."""
        self._closing = True
        self._threads.shutdown(wait=False, cancel_futures=cancel_futures)
        if cancel_futures:
            for lane in self._lanes:
                lane.stop()
        self._threads.shutdown(wait=wait)
        for lane in self._lanes:
            lane.close()
        self._folder.cleanup()

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        self.shutdown(wait=True, cancel_futures=kind is not None)


class _Lane:
    """One worker process."""

    def __init__(self, temporary: str) -> None:
        self._temporary = temporary
        self._pool = self._new_pool()
        self._process_id: int | None = None
        self._job: tuple[tuple[Any, ...], float] | None = None
        self._stopped = False
        self.broken = False

    def busy(self) -> Busy | None:
        job, process_id = self._job, self._process_id
        if job is None or process_id is None:
            return None
        return Busy(process_id, job[0], time.monotonic() - job[1])

    def _new_pool(self) -> ProcessPoolExecutor:
        # Spawned, not forked: this process has threads, and a fork would copy their locks as they stand.
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(1, mp_context=context, initializer=_start_worker, initargs=(self._temporary,))

    def run(self, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        try:
            if self._process_id is None:
                self._process_id = self._pool.submit(os.getpid).result()
            if self._stopped:
                raise BrokenProcessPool("the work was stopped before it began")
            self._job = args, time.monotonic()
            return self._pool.submit(fn, *args, **kwargs).result()
        except BrokenProcessPool:
            self.broken = True
            raise
        except SystemExit as error:
            # Somebody sent the worker a SIGTERM: it has unwound its job and will end.
            self.broken = True
            raise BrokenProcessPool("the worker was told to end") from error
        finally:
            self._job = None

    def replace(self) -> None:
        self._pool.shutdown(wait=True)
        self._pool, self._process_id, self.broken = self._new_pool(), None, False

    def stop(self) -> None:
        """Have the worker end its children and itself; what it was writing is not there."""
        self._stopped = True
        if self._process_id is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(self._process_id, signal.SIGTERM)

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)


def _start_worker(temporary: str) -> None:
    """The first thing a worker process does."""
    keep_freed_memory()
    with suppress(UsageError):  # a log that cannot be had keeps nobody from work
        log_as_asked()
    tempfile.tempdir = temporary
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends its workers in order.
    signal.signal(signal.SIGTERM, _stop_worker)
    threading.Thread(target=_end_with_parent, name="mmsprep-parent", daemon=True).start()


def _stop_worker(*_: object) -> None:
    """Unwind, so that the programs which the job has started end too; then end for certain."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    deadline = threading.Timer(_PATIENCE_S, os._exit, (1,))
    deadline.daemon = True
    deadline.start()
    sys.exit(1)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
        deadline = threading.Event()
        deadline.wait(_PATIENCE_S)
        os._exit(1)


@contextmanager
def _dask(address: str) -> Iterator[Workforce]:
    try:
        import distributed
    except ImportError:
        raise ToolMissing(f"dask://: needs Dask; {install_command('dask')}") from None
    dask: Any = distributed
    try:
        client = dask.Client(f"tcp://{address}", timeout=_PATIENCE_S, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ToolError(f"dask://{address}: no scheduler answers there ({error})") from None
    try:
        worker_count = sum(client.nthreads().values())
        if not worker_count:
            raise ToolError(f"dask://{address}: the scheduler has no workers; start some with 'dask worker'")
        executor = client.get_executor(pure=False)
        yield Workforce(executor, worker_count, True)
    finally:
        client.close()
