"""Decoding what strangers made, at arm's length.

Comes in: a function of ours that reads one attachment, and its arguments. Goes out: what it returns, or its error.
Never: a decoder's crash, hang or hunger in this process, or anything from a worker that could be run here: plain
values of the types that the function promises, and pixels, are all that comes back.

The workers are processes that stay warm: the first file pays for loading the decoders, the next ones for carrying
bytes. Each is caged (:class:`mmsprep.tools.process.Cage`), serves one file at a time, and is given up when it dies,
when it is late, or after many files. Safe from threads; a forked process gets workers of its own.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar, TypeVarTuple, get_type_hints

import msgspec

from mmsprep.errors import AttachmentError, Damaged, MmsprepError, OverInputLimit, ToolError, ToolMissing
from mmsprep.model import Attachment
from mmsprep.settings import Settings
from mmsprep.tools import process
from mmsprep.tools.process import Cage
from mmsprep.tools.wire import Call, Failure, decode, encode, receive, send
from mmsprep.tools.workspace import Workspace, read_bytes

_CHILD = Path(__file__).with_name("decoder_child.py")
_FILES_A_WORKER = 500

_Arguments = TypeVarTuple("_Arguments")
_Result = TypeVar("_Result")


def isolated(
    workspace: Workspace,
    function: Callable[[Attachment, *_Arguments], _Result],
    attachment: Attachment,
    *args: *_Arguments,
) -> _Result:
    """``function(attachment, *args)``, run by a worker; in this process where the settings say so.

    ``function`` is one of mmsprep's own, at the top of its module; all its arguments and its result are typed and
    plain (dataclasses, tuples, numbers, text, bytes) or pictures of Pillow's. It is given the attachment's bytes.

    Raises:
        MmsprepError: what ``function`` raised.
        Damaged: the decoder crashed on it.
        OverInputLimit: it took more time or memory than the settings allow.
        Unreadable: the file went away.
        ToolMissing: no worker can be started.
        ToolError: the work was cancelled.
    """
    settings = workspace.settings
    if not can_isolate(settings):
        return function(attachment, *args)
    # A name of bytes that are no text cannot be told to a worker; it is the caller's again in what comes back.
    label = attachment.name.encode("utf-8", "replace").decode()
    plain = replace(attachment, name=label, path=None, mark=None, data=read_bytes(attachment))
    request = encode(Call(f"{function.__module__}:{function.__qualname__}", settings.max_cpu_s, encode([plain, *args])))
    reply = _WORKERS.ask(request, workspace, attachment.name)
    try:
        if reply[:1] == b"E":
            raise _rebuilt(decode(reply[1:], Failure), attachment.name)
        result: _Result = decode(reply[1:], get_type_hints(function)["return"])
    except (msgspec.MsgspecError, ValueError, TypeError) as error:
        # Only a worker that was taken over by what it read would answer so.
        raise Damaged(attachment.name, "makes its decoder give senseless answers; do not open it elsewhere") from error
    return result


def can_isolate(settings: Settings) -> bool:
    """Whether workers are wanted and possible; a program frozen into one file has no Python to start."""
    return process.can_cage(settings.isolate)


def _rebuilt(failure: Failure, name: str) -> MmsprepError:
    """The error that a worker told of."""
    kind = _BY_CODE.get(failure.code)
    if failure.code == OverInputLimit.code and not failure.arguments:
        return OverInputLimit(name, "needs more memory to decode than MMSPREP_MAX_MEMORY_BYTES allows; make it smaller")
    if kind is None:
        return Damaged(name, f"cannot be decoded ({': '.join(failure.arguments)}); get the file again")
    arguments = (name, *failure.arguments[1:]) if issubclass(kind, AttachmentError) else failure.arguments
    return kind(*arguments)


def _fate(name: str, worker: _Worker, settings: Settings) -> MmsprepError:
    """What became of a worker that did not answer."""
    status = worker.child.returncode
    if worker.late:
        return OverInputLimit(
            name,
            f"takes longer to decode than the {settings.decode_timeout_s:.0f} s that MMSPREP_DECODE_TIMEOUT_S allows",
        )
    if status == -getattr(signal, "SIGXCPU", 0):
        return OverInputLimit(
            name, f"takes more than the {settings.max_cpu_s:.0f} s of processor time that MMSPREP_MAX_CPU_S allows"
        )
    if worker.cancelled:
        return ToolError("decoding was cancelled")
    if not worker.answered and (status >= 0 or status == -getattr(signal, "SIGSYS", 0)):
        return ToolMissing(
            f"the worker that decodes pictures does not start (status {status}); 'mmsprep doctor' says more,"
            " MMSPREP_ISOLATE=0 does without it for files that are trusted"
        )
    return Damaged(name, f"makes its decoder crash ({process.signal_name(status)}); get the file again")


def _kinds(kind: type[MmsprepError]) -> Iterator[type[MmsprepError]]:
    yield kind
    for other in kind.__subclasses__():
        yield from _kinds(other)


_BY_CODE = {kind.code: kind for kind in _kinds(MmsprepError)}


class _Worker:
    """One child process."""

    def __init__(self, settings: Settings) -> None:
        self.files = 0
        self.memory_bytes = settings.max_memory_bytes
        self.answered = self.late = self.cancelled = False
        libraries = [place for place in (sys.prefix, sys.base_prefix, *sys.path) if place and Path(place).exists()]
        cage = Cage(
            memory_bytes=settings.max_memory_bytes,
            # For all the files of a worker's life; each file's own share is set where it is known, in the child.
            cpu_s=settings.max_cpu_s,
            file_bytes=0,
            reads=(*libraries, Path(__file__).parents[2]),
        )
        self.child = process.start([sys.executable, "-I", str(_CHILD)], cage)
        assert self.child.stdin is not None
        send(self.child.stdin, encode(sys.path))

    def ask(self, request: bytes, timeout_s: float) -> bytes | None:
        """The answer; ``None`` when the worker died, or was killed because it was late."""
        assert self.child.stdin is not None
        assert self.child.stdout is not None
        self.files += 1
        watchdog = threading.Timer(timeout_s, self._give_up)
        watchdog.daemon = True
        watchdog.start()
        try:
            send(self.child.stdin, request)
            answer = receive(self.child.stdout)
        except (OSError, ValueError, EOFError):
            return None
        finally:
            watchdog.cancel()
        self.answered = True
        return answer

    def _give_up(self) -> None:
        self.late = True
        self.child.kill()


class _Workers:
    """Those that are idle; as many as there are processors stay."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[_Worker] = []

    def ask(self, request: bytes, workspace: Workspace, name: str) -> bytes:
        worker = self._take(workspace.settings)
        answer: bytes | None = None
        try:
            workspace.processes.adopt(worker.child)
            answer = worker.ask(request, workspace.settings.decode_timeout_s)
        finally:
            worker.cancelled = workspace.processes.release(worker.child)
            if answer is None or worker.files >= _FILES_A_WORKER:
                process.end(worker.child)
            else:
                self._give_back(worker)
        if answer is None:
            raise _fate(name, worker, workspace.settings)
        return answer

    def close(self) -> None:
        """End every idle worker."""
        with self._lock:
            idle, self._idle = self._idle, []
        for worker in idle:
            process.end(worker.child)

    def _take(self, settings: Settings) -> _Worker:
        """An idle worker with these limits, or a new one."""
        with self._lock:
            for worker in reversed(self._idle):
                if worker.memory_bytes == settings.max_memory_bytes:
                    self._idle.remove(worker)
                    return worker
        return _Worker(settings)

    def _give_back(self, worker: _Worker) -> None:
        with self._lock:
            self._idle.append(worker)
            surplus = self._idle[: -(os.cpu_count() or 1)]
            del self._idle[: len(surplus)]
        for one in surplus:
            process.end(one.child)


_WORKERS = _Workers()
_ANOTHERS: list[_Workers] = []
"""The workers of the process that this one was forked from: not ours to use, nor to end."""


def _start_anew() -> None:
    global _WORKERS  # noqa: PLW0603
    _ANOTHERS.append(_WORKERS)
    _WORKERS = _Workers()


def _close() -> None:
    _WORKERS.close()


atexit.register(_close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_anew)
