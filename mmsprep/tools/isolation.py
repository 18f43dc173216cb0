"""Decoding what strangers made, at arm's length.

Comes in: a function of ours that reads one attachment, and its arguments. Goes out: what it returns, or its error.
Never: a decoder's crash, hang or hunger in this process, or anything from a worker that could be run here: plain
values of the types that the function promises, and pixels, are all that comes back.

The workers are processes that stay warm: the first file pays for loading the decoders, the next ones for carrying
bytes. Each is caged (:class:`mmsprep.tools.cage.Cage`), serves one file at a time, and is given up when it dies,
when it is late, or after many files. As many stay idle as this process may use processors, each for a minute; one
that dies meanwhile is replaced without a word. Safe from threads; a forked process gets workers of its own.
"""

from __future__ import annotations

import atexit
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import TypeVar, TypeVarTuple, get_type_hints

import msgspec

from mmsprep.errors import AttachmentError, Damaged, MmsprepError, OverInputLimit, ToolError, ToolMissing
from mmsprep.model import Attachment
from mmsprep.settings import Settings, processors
from mmsprep.tools import process
from mmsprep.tools.budget import Turn
from mmsprep.tools.cage import can_cage
from mmsprep.tools.log import harmless, timed
from mmsprep.tools.untrusted import open_attachment
from mmsprep.tools.wire import HANDS_OVER, Call, Failure, decode, encode
from mmsprep.tools.worker import Question, Worker
from mmsprep.tools.workspace import Workspace, read_bytes

_log = logging.getLogger(__name__)
_FILES_A_WORKER = 500
_IDLE_S = 60.0

_Arguments = TypeVarTuple("_Arguments")
_Result = TypeVar("_Result")


def isolated(
    workspace: Workspace,
    function: Callable[[Attachment, *_Arguments], _Result],
    attachment: Attachment,
    *args: *_Arguments,
    timeout_s: float | None = None,
) -> _Result:
    """``function(attachment, *args)``, run by a worker; in this process where the settings say so.

    ``function`` is one of mmsprep's own, at the top of its module; all its arguments and its result are typed and
    plain (dataclasses, tuples, numbers, text, bytes) or pictures of Pillow's. It is handed the attachment's file, open,
    or its bytes. ``timeout_s`` is for work that never takes long (default: the setting ``decode_timeout_s``).

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
    plain = replace(attachment, name=label, path=None, mark=None)
    limit_s = min(timeout_s or settings.decode_timeout_s, settings.decode_timeout_s)
    with ExitStack() as opened:
        descriptor = None
        if attachment.data is None and HANDS_OVER:
            descriptor = opened.enter_context(open_attachment(attachment)).fileno()
        elif attachment.data is None:
            plain = replace(plain, data=read_bytes(attachment), extent=None)
        call = Call(f"{function.__module__}:{function.__qualname__}", settings.max_cpu_s, encode([plain, *args]))
        told = {"function": call.function, "attachment": attachment.name, "index": attachment.index}
        with timed(_log, logging.DEBUG, "%(attachment)s: a worker's %(function)s took %(took_s).3f s", **told):
            reply = _WORKERS.ask(Question(attachment.name, encode(call), descriptor, limit_s), workspace)
    try:
        if reply[:1] == b"E":
            raise _rebuilt(decode(reply[1:], Failure), attachment.name)
        if reply[:1] != b"V":
            raise ValueError("neither a value nor an error")
        result: _Result = decode(reply[1:], get_type_hints(function)["return"])
    except (msgspec.MsgspecError, ValueError, TypeError, RecursionError) as error:
        # Only a worker that was taken over by what it read would answer so.
        raise senseless(attachment.name) from error
    return result


def keep(worker: Worker) -> None:
    """Have a worker that was started early be the first that is asked."""
    _WORKERS.keep(worker)


def senseless(name: str) -> Damaged:
    """The error about a file whose decoder answered what no decoder would."""
    return Damaged(name, "makes its decoder give senseless answers; do not open it elsewhere")


def can_isolate(settings: Settings) -> bool:
    """Whether workers are wanted and possible; a program frozen into one file has no Python to start."""
    return can_cage(settings.isolate)


def _rebuilt(failure: Failure, name: str) -> MmsprepError:
    """The error that a worker told of: only one about an attachment, and only about the one that it was given."""
    if failure.code == OverInputLimit.code and not failure.arguments:
        return OverInputLimit(name, "needs more memory to decode than MMSPREP_MAX_MEMORY_BYTES allows; make it smaller")
    if not failure.code:
        return Damaged(name, f"cannot be decoded ({': '.join(failure.arguments)}); get the file again")
    if failure.code == ToolMissing.code:
        return ToolMissing(" ".join(failure.arguments))
    _, problem = failure.arguments
    if failure.code not in _BY_CODE:
        raise ValueError(f"no error about an attachment: {failure.code}")
    return _BY_CODE[failure.code](name, problem)


def _fate(question: Question, worker: Worker, settings: Settings) -> MmsprepError:
    """What became of a worker that did not answer."""
    status, name = worker.child.returncode, question.name
    if worker.late:
        return question.late(settings)
    if status == -getattr(signal, "SIGXCPU", 0):
        return OverInputLimit(
            name, f"takes more than the {settings.max_cpu_s:.0f} s of processor time that MMSPREP_MAX_CPU_S allows"
        )
    if worker.cancelled:
        return ToolError("decoding was cancelled")
    if status == -getattr(signal, "SIGKILL", 0):
        return OverInputLimit(
            name,
            "was being decoded when the system ended its decoder (SIGKILL), as it does where memory runs out; make it"
            " smaller, or have fewer decoded at once (MMSPREP_JOBS)",
        )
    if not worker.heard:
        return ToolMissing(
            f"the worker that decodes pictures does not start (status {status}); 'mmsprep doctor' says more,"
            " MMSPREP_ISOLATE=0 does without it for files that are trusted"
        )
    return Damaged(name, f"makes its decoder crash ({process.signal_name(status)}); get the file again")


def _kinds(kind: type[AttachmentError]) -> Iterator[type[AttachmentError]]:
    yield kind
    for other in kind.__subclasses__():
        yield from _kinds(other)


_BY_CODE = {kind.code: kind for kind in _kinds(AttachmentError) if "code" in vars(kind)}


class _Workers:
    """Those that are idle, the one that worked last at the end."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[Worker] = []
        self._sweep: threading.Timer | None = None

    def ask(self, question: Question, workspace: Workspace) -> bytes:
        settings, processes = workspace.settings, workspace.processes
        alone = False
        while True:
            with process.BUDGET.turn(
                settings.total_memory_bytes, alone=alone, given_up=lambda: processes.is_closed
            ) as turn:
                worker, answer = self._answer(question, workspace, turn)
            if answer is not None:
                return answer
            if not turn.was_ended:
                raise _fate(question, worker, settings)
            if turn.was_alone:
                raise question.too_hungry(turn.total_bytes)
            question.rewind()
            alone = True

    def _answer(self, question: Question, workspace: Workspace, turn: Turn) -> tuple[Worker, bytes | None]:
        worker = self._take(workspace.settings)
        answer = self._asked(worker, question, workspace, turn)
        if answer is None and not (worker.heard or worker.late or worker.cancelled or turn.was_ended):
            # The system, or somebody, ended it before it knew of this file. A new one is asked; once.
            _log.info(
                "a worker had died before it knew of %(attachment)s: another one is asked",
                harmless({"attachment": question.name}),
            )
            worker = Worker(workspace.settings)
            answer = self._asked(worker, question, workspace, turn)
        return worker, answer

    def _asked(self, worker: Worker, question: Question, workspace: Workspace, turn: Turn) -> bytes | None:
        answer: bytes | None = None
        turn.watch(worker.child)
        try:
            workspace.processes.adopt(worker.child)
            answer = worker.ask(question)
        finally:
            worker.cancelled = workspace.processes.release(worker.child)
            if answer is None or worker.files >= _FILES_A_WORKER:
                worker.end()
            else:
                self.keep(worker)
        return answer

    def close(self) -> None:
        """End every idle worker."""
        self._end_idle(lambda _: True)

    def _take(self, settings: Settings) -> Worker:
        """An idle worker that suits and still lives, or a new one."""
        self._end_idle(lambda worker: worker.child.poll() is not None)
        with self._lock:
            for worker in reversed(self._idle):
                if worker.suits(settings):
                    self._idle.remove(worker)
                    return worker
        return Worker(settings)

    def keep(self, worker: Worker) -> None:
        """It has nothing to do: hold it for whoever asks next, or end it where enough wait."""
        worker.idle_since_s = time.monotonic()
        process.BUDGET.spare = self.close
        with self._lock:
            self._idle.append(worker)
            kept = self._idle[-processors() :]
            if self._sweep is None:
                self._sweep_later()
        self._end_idle(lambda one: one not in kept)

    def _sweep_later(self) -> None:
        self._sweep = threading.Timer(_IDLE_S, self._sweep_now)
        self._sweep.daemon = True
        self._sweep.start()

    def _sweep_now(self) -> None:
        """End those that had nothing to do for a while; look again as long as any is left."""
        long_ago_s = time.monotonic() - _IDLE_S
        self._end_idle(lambda worker: worker.idle_since_s <= long_ago_s)
        with self._lock:
            self._sweep = None
            if self._idle:
                self._sweep_later()

    def _end_idle(self, is_over: Callable[[Worker], bool]) -> None:
        with self._lock:
            over = [worker for worker in self._idle if is_over(worker)]
            self._idle = [worker for worker in self._idle if worker not in over]
        for worker in over:
            worker.end()


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
