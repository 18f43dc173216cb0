"""The workers of this process: which is asked, and what became of one that does not answer.

Comes in: questions. Goes out: answers as they came, or an error about the file. Never: a look at what an answer says
(:mod:`mmsprep.tools.isolation` does).

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
from collections.abc import Callable

from mmsprep.errors import Damaged, MmsprepError, OverInputLimit, ToolError, ToolMissing
from mmsprep.settings import Settings, processors
from mmsprep.tools import process
from mmsprep.tools.budget import Turn
from mmsprep.tools.log import harmless
from mmsprep.tools.worker import Question, Worker
from mmsprep.tools.workspace import Workspace

_log = logging.getLogger(__name__)
_FILES_A_WORKER = 500
_IDLE_S = 60.0


def ask(question: Question, workspace: Workspace) -> bytes:
    """What a worker answers.

    Raises:
        Damaged, OverInputLimit: it crashed on the file, or took more time or memory than the settings allow.
        ToolMissing: no worker can be started.
        ToolError: the work was cancelled.
    """
    return _WORKERS.ask(question, workspace)


def keep(worker: Worker) -> None:
    """Have a worker that was started early be the first that is asked."""
    _WORKERS.keep(worker)


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
