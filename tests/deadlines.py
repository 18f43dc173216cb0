"""What a test starts ends with it: programs, threads and waits with a deadline that fails loudly.

Without, a thread that died before its barrier or a program that says a line less than is waited for holds up the whole
run, and nobody knows which test it was.
"""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
import signal
import socket
import subprocess
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import uvicorn

MOST_S = 180.0
"""Far more than anything here takes on a loaded machine."""
Found = TypeVar("Found")


@contextmanager
def program(command: Sequence[str], *, most_s: float = MOST_S, **options: Any) -> Iterator[subprocess.Popen[Any]]:
    """A program for the block, killed where the block fails or lasts too long: whoever reads from it then goes on."""
    overdue = threading.Event()

    def end() -> None:
        overdue.set()
        process.kill()

    with subprocess.Popen(command, **options) as process:
        alarm = threading.Timer(most_s, end)
        alarm.daemon = True
        alarm.start()
        try:
            yield process
            process.wait()
        finally:
            alarm.cancel()
            process.kill()
    assert not overdue.is_set(), f"killed after {most_s:g} s: {command}"


@contextmanager
def meanwhile(work: Callable[[], object], stop: Callable[[], object], *, most_s: float = MOST_S) -> Iterator[None]:
    """Do ``work`` in a thread for the block; after ``stop`` it has to end."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop()
        thread.join(most_s)
        assert not thread.is_alive(), f"still at it {most_s:g} s after it was told to stop: {work}"


@contextmanager
def serving(server: uvicorn.Server, listener: socket.socket) -> Iterator[None]:
    """Have ``server`` answer on ``listener`` for the block."""
    with meanwhile(partial(server.run, [listener]), partial(setattr, server, "should_exit", True)):
        yield


def at_once(works: Sequence[Callable[[], Found]], *, most_s: float = MOST_S) -> list[Found]:
    """What all of them return, each in a thread of its own; what one raises is raised."""
    futures: list[Future[Found]] = [Future() for _ in works]

    def do(work: Callable[[], Found], future: Future[Found]) -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    for work, future in zip(works, futures, strict=True):
        threading.Thread(target=do, args=(work, future), daemon=True).start()
    late = wait(futures, most_s).not_done
    assert not late, f"{len(late)} of {len(works)} had no end after {most_s:g} s"
    return [future.result() for future in futures]


def until(done: Callable[[], object], *, most_s: float = 60.0, every_s: float = 0.01) -> None:
    """Wait until ``done`` says so."""
    ends_at = time.monotonic() + most_s
    while not done():
        assert time.monotonic() < ends_at, f"not so after {most_s:g} s: {done}"
        time.sleep(every_s)


async def until_async(done: Callable[[], object], *, most_s: float = 60.0) -> None:
    """Wait in an event loop until ``done`` says so."""
    async with asyncio.timeout(most_s):
        while not done():
            await asyncio.sleep(0.01)


@contextmanager
def processes(count: int, *, most_s: float = MOST_S) -> Iterator[Callable[..., list[Any]]]:
    """``each(work, arguments)`` gives what ``work`` returns for all arguments, in new processes that exist already."""
    pool = ProcessPoolExecutor(count, mp_context=multiprocessing.get_context("spawn"))

    def each(work: Callable[[Any], Found], arguments: Sequence[Any]) -> list[Found]:
        return list(pool.map(work, arguments, timeout=most_s))

    try:
        each(abs, range(count))
        yield each
    finally:
        # Where one hangs, the others are not waited for either.
        for process in list((pool._processes or {}).values()):
            process.kill()
        pool.shutdown(cancel_futures=True)


def forked(work: Callable[[], object], *, most_s: float = MOST_S) -> int:
    """The exit status of a fork of this process that does ``work`` and ends: 0, or 1 where that raises.

    Where it hangs it says on standard error where it stands, and is killed. Nothing that earlier tests left behind is
    disposed of in it: that would wait for threads which only the first process has.
    """
    gc.collect()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            gc.disable()
            work()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    ends_at = time.monotonic() + most_s
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > ends_at:
            os.kill(child, signal.SIGABRT)  # pytest's faulthandler says where it stands
            time.sleep(1)
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            raise AssertionError(f"the forked process was killed after {most_s:g} s: {work}")
        time.sleep(0.005)
