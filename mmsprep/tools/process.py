"""The only place that starts a program.

Comes in: an argument list, optional standard input, limits and a cage. Goes out: what it printed. Never: a shell, an
inherited standard input or secret, a child that outlives its :class:`ProcessGroup` or this process.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import IO, NamedTuple

from mmsprep.errors import ToolError, ToolMissing, ToolOverLimit, ToolTimeout, reason_of
from mmsprep.tools import confine
from mmsprep.tools.budget import Budget, Turn
from mmsprep.tools.cage import Cage
from mmsprep.tools.log import harmless

_log = logging.getLogger(__name__)

_LAST_WORDS_BYTES = 2_000
_KEPT_COMPLAINTS_BYTES = 200_000
_MAX_OUTPUT_BYTES = 2_000_000_000
_CHUNK_BYTES = 1 << 18
_LAST_WORDS_S = 5.0
"""How long a pipe is heard after the child's end: only what it started and left behind holds it open for longer."""
_WATCH_EVERY_S = 0.25
_TOLD_TO_STOP = 255
_ENVIRONMENT = frozenset(
    (
        *("PATH", "LANG", "LANGUAGE", "TZ", "HOME", "TMPDIR", "TEMP", "TMP", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"),
        *("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH"),
        *("SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "COMSPEC", "PATHEXT", "NUMBER_OF_PROCESSORS"),
    )
)
"""What a child may know of this process's environment: where things are, never an account's password."""

ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1"}
"""numpy's threads for matrices, which nothing here has, would spin beside every start of a worker."""

Child = subprocess.Popen[bytes]
"""A running program with its pipes."""


@dataclass(frozen=True, slots=True)
class Completed:
    """A program that ended with status 0: its standard output and standard error."""

    stdout: bytes
    stderr: bytes


class ProcessGroup:
    """The children of one piece of work; leaving the ``with`` block ends those that still run.

    Safe to use from several threads.
    """

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._closed = False

    def __enter__(self) -> ProcessGroup:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill_all()

    def kill_all(self) -> None:
        """End every running child now and start no other."""
        with self._lock:
            self._closed = True
            running = list(self._running)
        for child in running:
            _signal(child)

    def start(self, argv: Sequence[str], cage: Cage | None = None) -> Child:
        """Start a child to talk with through its pipes; :meth:`end` or :meth:`kill_all` ends it.

        Raises:
            ToolMissing: there is no such program.
            ToolError: the work was cancelled.
        """
        child = start(argv, cage)
        try:
            self.adopt(child)
        except ToolError:
            end(child)
            raise
        return child

    def end(self, child: Child) -> None:
        """End a child that :meth:`start` started; harmless when it has ended."""
        end(child)
        self.release(child)

    def adopt(self, child: Child) -> None:
        """Have a child that runs already end with this work.

        Raises:
            ToolError: the work was cancelled.
        """
        with self._lock:
            if self._closed:
                raise ToolError("not started, the work was cancelled")
            self._running.add(child)

    def release(self, child: Child) -> bool:
        """Let go of a child without ending it; whether the work was cancelled meanwhile."""
        with self._lock:
            self._running.discard(child)
            return self._closed

    @property
    def is_closed(self) -> bool:
        """Whether the work was cancelled, or is over."""
        return self._closed

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes | None = None,
        folder: Path | None = None,
        descriptors: Sequence[int] = (),
        timeout_s: float | None = None,
        cage: Cage | None = None,
        max_output_bytes: int = _MAX_OUTPUT_BYTES,
        watch: Callable[[], None] | None = None,
        hear: Callable[[bytes], bytes] | None = None,
        into: IO[bytes] | None = None,
    ) -> Completed:
        """Run ``argv`` to its end.

        ``watch`` is called now and then while it runs; what it raises ends the child. ``descriptors`` stay open in it,
        under their numbers. ``hear`` is given what the child says on standard error, piece by piece and at the end
        nothing, from another thread, and gives back what of it is a complaint. ``into`` is a file that its standard
        output goes to, in place of memory. Where memory runs out beside others, it is run once more by itself.

        Raises:
            ToolMissing: there is no such program.
            ToolTimeout: it took longer than ``timeout_s`` (default: the group's) and was killed.
            ToolOverLimit: it needed more than ``cage`` or ``max_output_bytes`` allow.
            ToolError: it ended with another status than 0; the message carries its last words.
        """
        limit_s = timeout_s or self._timeout_s
        errand = _Errand(argv, stdin, folder, descriptors, limit_s, cage, max_output_bytes, watch, hear, into)
        begin = into.tell() if into else 0
        if cage is None or cage.total_bytes is None:
            return self._run(errand, None)
        alone = False
        while True:
            with BUDGET.turn(cage.total_bytes, alone=alone, given_up=lambda: self._closed) as turn:
                try:
                    return self._run(errand, turn)
                except ToolError as error:
                    if not turn.was_ended:
                        raise
                    if turn.was_alone:
                        raise ToolOverLimit(
                            f"{Path(argv[0]).name}: wanted more than {cage.total_bytes:,} bytes of memory;"
                            " MMSPREP_MAX_TOTAL_MEMORY_BYTES allows more"
                        ) from error
            alone = True
            if into:
                into.truncate(into.seek(begin))

    def _run(self, errand: _Errand, turn: Turn | None) -> Completed:
        program = Path(errand.argv[0]).name
        started_s = time.monotonic()
        with self._lock:
            if self._closed:
                raise ToolError(f"{program}: not started, the work was cancelled")
            child = _start(
                errand.argv,
                errand.cage,
                stdin=subprocess.DEVNULL if errand.stdin is None else subprocess.PIPE,
                folder=errand.folder,
                descriptors=errand.descriptors,
            )
            self._running.add(child)
        if turn:
            turn.watch(child)
        talk = _Talk(child, errand.stdin, errand.max_output_bytes, errand.hear, errand.into)
        try:
            talk.finish(program, started_s + errand.limit_s, errand.watch)
        except subprocess.TimeoutExpired as error:
            raise ToolTimeout(
                f"{program}: stopped after {errand.limit_s:.0f} s; MMSPREP_TOOL_TIMEOUT_S sets a longer time"
            ) from error
        finally:
            _signal(child)
            child.wait()
            talk.close()
            self.release(child)
            _log_end(program, child, time.monotonic() - started_s)
        _check_status(program, child.returncode, talk.complaints, errand.cage)
        return Completed(talk.output, talk.complaints)


class _Errand(NamedTuple):
    """What :meth:`ProcessGroup.run` was asked for."""

    argv: Sequence[str]
    stdin: bytes | None
    folder: Path | None
    descriptors: Sequence[int]
    limit_s: float
    cage: Cage | None
    max_output_bytes: int
    watch: Callable[[], None] | None
    hear: Callable[[bytes], bytes] | None
    into: IO[bytes] | None


def _log_end(program: str, child: Child, took_s: float) -> None:
    """Never with its arguments or what it said: these may be secrets of whoever chose the program, or content."""
    told = {"program": program, "exit": child.returncode, "took_s": round(took_s, 4), "process_id": child.pid}
    _log.debug("%(program)s ran for %(took_s).3f s and ended with status %(exit)d", harmless(told))


def start(argv: Sequence[str], cage: Cage | None = None, stdin: int = subprocess.PIPE) -> Child:
    """Start a child to talk with through its pipes; whoever starts it ends it with :func:`end`.

    ``stdin`` is a descriptor to be its standard input in place of a pipe.

    The system ends a caged child when the thread ends that started it, so all of these start from one thread
    that lives as long as this process.

    Raises:
        ToolMissing: there is no such program.
    """
    return _starter().submit(_start, argv, cage, stdin=stdin, folder=None).result()


@lru_cache(maxsize=1)
def _starter() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, thread_name_prefix="mmsprep-starter")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_starter.cache_clear)


def _start(
    argv: Sequence[str],
    cage: Cage | None,
    *,
    stdin: int,
    folder: Path | None,
    descriptors: Sequence[int] = (),
) -> Child:
    command = list(argv) if cage is None or os.name != "posix" else cage.around(argv)
    try:
        return subprocess.Popen(
            command,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=folder,
            env={name: value for name, value in os.environ.items() if _is_harmless(name)} | ONE_THREAD,
            start_new_session=True,
            pass_fds=descriptors,
        )
    except OSError as error:
        raise ToolMissing(f"{argv[0]}: cannot be started ({reason_of(error)}); see 'mmsprep doctor'") from error


def _is_harmless(variable: str) -> bool:
    return variable.upper() in _ENVIRONMENT or variable.startswith("LC_")


class _Talk:
    """What goes to a child and comes from it, each through a thread of its own."""

    def __init__(
        self,
        child: Child,
        stdin: bytes | None,
        max_output_bytes: int,
        hear: Callable[[bytes], bytes] | None,
        into: IO[bytes] | None,
    ) -> None:
        self._child = child
        self._hear_error = hear
        self._stdin = stdin
        self._max_output_bytes = max_output_bytes
        self._output = bytearray()
        self._into, self._output_bytes = into, 0
        self._complaints = bytearray()
        self._over = False
        work = (self._hear, self._hear_complaints, *(() if stdin is None else (self._say,)))
        self._threads = [threading.Thread(target=one, daemon=True, name="mmsprep-pipe") for one in work]
        for thread in self._threads:
            thread.start()

    @property
    def output(self) -> bytes:
        return bytes(self._output)

    @property
    def complaints(self) -> bytes:
        return bytes(self._complaints)

    def finish(self, program: str, deadline_s: float, watch: Callable[[], None] | None) -> None:
        """Wait until the child has ended.

        Raises:
            subprocess.TimeoutExpired: it is past ``deadline_s``.
            ToolOverLimit: it said too much.
        """
        while True:
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                raise subprocess.TimeoutExpired(program, 0)
            hearing = next((thread for thread in self._threads[:2] if thread.is_alive()), None)
            if hearing is None:
                self._child.wait(left_s)
            else:
                hearing.join(min(_WATCH_EVERY_S, left_s))
            if watch is not None:
                watch()
            if self._over:
                raise ToolOverLimit(
                    f"{program}: stopped after {self._max_output_bytes:,} bytes of decoded media;"
                    " MMSPREP_MAX_DECODED_BYTES allows more"
                )
            if hearing is None or (self._child.poll() is not None and time.monotonic() > self._deaf_at_s):
                return

    def close(self) -> None:
        """Wait for the threads, each of which closes its pipe; the child has ended.

        What it started and left behind may hold a pipe open: that one is heard, by nobody, to its end.
        """
        for thread in self._threads:
            thread.join(max(0.0, self._deaf_at_s - time.monotonic()))

    @cached_property
    def _deaf_at_s(self) -> float:
        """Until when the pipes are heard; first asked for when the child has ended."""
        return time.monotonic() + _LAST_WORDS_S

    def _hear(self) -> None:
        for chunk in _chunks(self._child.stdout):
            self._output_bytes += len(chunk)
            if self._output_bytes > self._max_output_bytes:
                self._over = True
                _signal(self._child)
                return
            if self._into is None:
                self._output += chunk
                continue
            try:
                self._into.write(chunk)
            except OSError as error:
                self._complaints += (error.strerror or "").encode()
                _signal(self._child)
                return

    def _hear_complaints(self) -> None:
        """The last of them are kept; the child must not be stopped by a full pipe."""
        for chunk in chain(_chunks(self._child.stderr), (b"",)):
            self._complaints += chunk if self._hear_error is None else self._hear_error(chunk)
            del self._complaints[:-_KEPT_COMPLAINTS_BYTES]

    def _say(self) -> None:
        assert self._child.stdin is not None
        with suppress(OSError, ValueError):  # it has heard enough, or has ended
            self._child.stdin.write(self._stdin or b"")
        _close(self._child.stdin)


def _chunks(stream: IO[bytes] | None) -> Iterable[bytes]:
    """What comes from a pipe, which is closed at its end."""
    assert stream is not None
    try:
        with suppress(OSError, ValueError):
            while chunk := os.read(stream.fileno(), _CHUNK_BYTES):
                yield chunk
    finally:
        _close(stream)


def _check_status(program: str, status: int, complaints: bytes, cage: Cage | None) -> None:
    """Raise the error that a status other than 0 stands for."""
    if status == 0:
        return
    words = "No space left on device" if b"No space left on device" in complaints else _last_words(complaints)
    if cage is not None:
        if status == confine.NOT_STARTED and words.startswith("cannot be started"):
            raise ToolMissing(f"{program}: {words}; see 'mmsprep doctor'")
        # ffmpeg hears the system's warning and ends by itself, with a status that means nothing else when it is silent.
        if status == -getattr(signal, "SIGXCPU", 0) or (status == _TOLD_TO_STOP and not complaints):
            raise ToolOverLimit(
                f"{program}: stopped after {cage.cpu_s:.0f} s of processor time; MMSPREP_MAX_CPU_S allows more"
            )
        if status == -getattr(signal, "SIGXFSZ", 0) or b"File too large" in complaints:
            raise ToolOverLimit(
                f"{program}: wanted a temporary file of more than {cage.file_bytes:,} bytes;"
                " MMSPREP_MAX_TEMP_BYTES allows more"
            )
        if b"Cannot allocate memory" in complaints:
            raise ToolOverLimit(
                f"{program}: wanted more than {cage.memory_bytes:,} bytes of memory;"
                " MMSPREP_MAX_MEMORY_BYTES allows more"
            )
    how = f"with status {status}" if status > 0 else f"by {signal_name(status)}"
    raise ToolError(f"{program}: ended {how}: {words}")


def signal_name(status: int) -> str:
    """The name of the signal that ended a process with this (negative) status."""
    try:
        return signal.Signals(-status).name
    except ValueError:
        return f"status {status}"


def end(child: Child) -> None:
    """End the child and whatever it started, and close its pipes; harmless when it has ended."""
    _signal(child)
    child.wait()
    for stream in (child.stdin, child.stdout, child.stderr):
        _close(stream)


def _close(stream: IO[bytes] | None) -> None:
    if stream is not None:
        with suppress(OSError):
            stream.close()


def _signal(child: subprocess.Popen[bytes]) -> None:
    """Tell the child and whatever it started to end; its pipes stay with the thread that reads them."""
    if child.poll() is None:
        with suppress(ProcessLookupError, PermissionError):
            if sys.platform != "win32":
                os.killpg(child.pid, signal.SIGKILL)
            else:
                child.kill()


BUDGET = Budget(_signal)
"""Of this process; every caged child takes its turn here."""


def _another_budget() -> None:
    global BUDGET  # noqa: PLW0603
    BUDGET = Budget(_signal)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_another_budget)


def _last_words(stderr: bytes) -> str:
    lines = stderr[-_LAST_WORDS_BYTES:].decode("utf-8", "replace").strip().splitlines()
    return lines[-1].strip() if lines else "it said nothing"
