"""The only place that starts a program.

Comes in: an argument list, optional standard input, limits. Goes out: what it printed. Never: a shell, an
inherited standard input, a child that outlives its :class:`ProcessGroup`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from mmsprep.errors import ToolError, ToolMissing, ToolTimeout

_LAST_WORDS_BYTES = 2_000

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

    def start(self, argv: Sequence[str]) -> subprocess.Popen[bytes]:
        """Start a child to talk with through its pipes; :meth:`end` or :meth:`kill_all` ends it.

        Raises:
            ToolMissing: there is no such program.
            ToolError: the work was cancelled.
        """
        with self._lock:
            if self._closed:
                raise ToolError(f"{Path(argv[0]).name}: not started, the work was cancelled")
            child = _start(argv, with_stdin=True, folder=None)
            self._running.add(child)
        return child

    def end(self, child: subprocess.Popen[bytes]) -> None:
        """End a child that :meth:`start` started; harmless when it has ended."""
        _kill(child)
        with self._lock:
            self._running.discard(child)

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes | None = None,
        folder: Path | None = None,
        timeout_s: float | None = None,
    ) -> Completed:
        """Run ``argv`` to its end.

        Raises:
            ToolMissing: there is no such program.
            ToolTimeout: it took longer than ``timeout_s`` (default: the group's) and was killed.
            ToolError: it ended with another status than 0; the message carries its last words.
        """
        limit_s = timeout_s or self._timeout_s
        program = Path(argv[0]).name
        with self._lock:
            if self._closed:
                raise ToolError(f"{program}: not started, the work was cancelled")
            child = _start(argv, with_stdin=stdin is not None, folder=folder)
            self._running.add(child)
        try:
            stdout, stderr = child.communicate(stdin, timeout=limit_s)
        except subprocess.TimeoutExpired as error:
            raise ToolTimeout(
                f"{program}: stopped after {limit_s:.0f} s; MMSPREP_TOOL_TIMEOUT_S sets a longer time"
            ) from error
        finally:
            _kill(child)
            with self._lock:
                self._running.discard(child)
        if child.returncode != 0:
            raise ToolError(f"{program}: ended with status {child.returncode}: {_last_words(stderr)}")
        return Completed(stdout, stderr)


def _start(argv: Sequence[str], *, with_stdin: bool, folder: Path | None) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            list(argv),
            stdin=subprocess.PIPE if with_stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=folder,
            start_new_session=True,
        )
    except OSError as error:
        raise ToolMissing(f"{argv[0]}: cannot be started ({error.strerror}); see 'mmsprep doctor'") from error


def _kill(child: subprocess.Popen[bytes]) -> None:
    """End the child and whatever it started; harmless when it has ended."""
    _signal(child)
    child.wait()
    for stream in (child.stdin, child.stdout, child.stderr):
        if stream is not None:
            with suppress(OSError):
                stream.close()


def _signal(child: subprocess.Popen[bytes]) -> None:
    """Tell the child and whatever it started to end; its pipes stay with the thread that reads them."""
    if child.poll() is None:
        with suppress(ProcessLookupError, PermissionError):
            if os.name == "posix":
                os.killpg(child.pid, signal.SIGKILL)
            else:
                child.kill()


def _last_words(stderr: bytes) -> str:
    lines = stderr[-_LAST_WORDS_BYTES:].decode("utf-8", "replace").strip().splitlines()
    return lines[-1].strip() if lines else "it said nothing"
