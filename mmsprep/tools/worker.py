"""One worker: a caged process that reads strangers' files for this one.

Comes in: settings, then questions. Goes out: answers, as they came. Never: a decision about what a silence means;
:mod:`mmsprep.tools.workers` makes it.

It needs little of what asks workers, so that a command can start one before it loads the rest.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mmsprep.errors import Damaged, MmsprepError, OverInputLimit
from mmsprep.settings import Settings
from mmsprep.tools import process
from mmsprep.tools.cage import Cage
from mmsprep.tools.libraries import libraries
from mmsprep.tools.wire import HANDS_OVER, Call, Line, ask, encode, receive

_log = logging.getLogger(__name__)
_CHILD = Path(__file__).with_name("decoder_child.py")


@dataclass(frozen=True, slots=True)
class Question:
    """What a worker is asked: about the file that messages call ``name``, open as ``descriptor``."""

    name: str
    request: bytes
    descriptor: int | None
    limit_s: float

    def too_hungry(self, total_bytes: int) -> MmsprepError:
        """The error when even by itself it took more memory than there is for all."""
        allowed = f"the {total_bytes:,} bytes that MMSPREP_MAX_TOTAL_MEMORY_BYTES allows"
        return OverInputLimit(self.name, f"needs more memory to decode than {allowed}; make it smaller")

    def rewind(self) -> None:
        """Whoever is asked again reads from the beginning."""
        if self.descriptor is not None:
            os.lseek(self.descriptor, 0, os.SEEK_SET)

    def late(self, settings: Settings) -> MmsprepError:
        """The error when the answer took too long."""
        if self.limit_s < settings.decode_timeout_s:
            problem = "its structure cannot be read in reasonable time and memory; get the file again"
            return Damaged(self.name, problem)
        allowed = f"the {self.limit_s:.0f} s that MMSPREP_DECODE_TIMEOUT_S allows"
        return OverInputLimit(self.name, f"takes longer to decode than {allowed}")


class Worker:
    """One child process.

    ``heard``: it has read the whole of the last question, so what becomes of it then is that file's doing.
    ``meanwhile`` is called once, when it has been asked for the first time.
    """

    def __init__(self, settings: Settings) -> None:
        self.files = 0
        self._started_s = time.monotonic()
        self.memory_bytes = settings.max_memory_bytes
        self.heard = self.late = self.cancelled = False
        self.idle_since_s = 0.0
        self.meanwhile: Callable[[], None] | None = None
        found = self._libraries = libraries()
        self._is_told = False
        cage = Cage(
            memory_bytes=settings.max_memory_bytes,
            # For all the files of a worker's life; each file's own share is set where it is known, in the child.
            cpu_s=settings.max_cpu_s,
            file_bytes=0,
            reads=(*found.readable, str(_CHILD)),
            script=_CHILD,
        )
        self._line: Line
        # It is told where modules lie, and looks for none by itself. Where there are no cages, this is all of it.
        command = [sys.executable, "-I", "-S", str(_CHILD)]
        if HANDS_OVER:
            self._line, its_end = socket.socketpair()
            with its_end:
                self.child = process.start(command, cage, its_end.fileno())
        else:
            self.child = process.start(command, cage)
            assert self.child.stdin is not None
            self._line = self.child.stdin

    def suits(self, settings: Settings) -> bool:
        """Whether one that was started now, with these settings, would be allowed and know the same."""
        return self.memory_bytes == settings.max_memory_bytes and self._libraries == libraries()

    def begin(self, load: Sequence[str] = ()) -> None:
        """Tell it where Python's modules lie, and which of ours (``module`` or ``module:function`` to be called) it
        should load while nothing is asked; once, by itself before the first question."""
        if self._is_told:
            return
        first = {"search": self._libraries.search, "packages": self._libraries.packages, "load": list(load)}
        self._is_told = True
        with suppress(OSError, ValueError):  # one that does not start is noticed with the first question
            ask(self._line, json.dumps(first).encode())

    def foretell(self, load: Sequence[str]) -> None:
        """Tell one that has begun what else it should load while nothing is asked."""
        with suppress(OSError, ValueError):
            ask(self._line, encode(Call("", 0.0, encode(load))))

    def ask(self, question: Question) -> bytes | None:
        """The answer; ``None`` when the worker died, or was killed because it was late."""
        assert self.child.stdout is not None
        self.files += 1
        self.heard = False
        self.begin()
        watchdog = threading.Timer(question.limit_s, self._give_up)
        watchdog.daemon = True
        watchdog.start()
        try:
            ask(self._line, question.request, question.descriptor)
            if self.meanwhile:
                self.meanwhile()
                self.meanwhile = None
            receive(self.child.stdout)
            self.heard = True
            return receive(self.child.stdout)
        except (OSError, ValueError, EOFError):
            return None
        finally:
            watchdog.cancel()

    def end(self) -> None:
        """End it; harmless when it has ended."""
        process.end(self.child)
        lived_s = time.monotonic() - self._started_s
        told = {"files": self.files, "took_s": round(lived_s, 4), "exit": self.child.returncode}
        _log.debug("a worker ended after %(files)d files and %(took_s).3f s with status %(exit)d", told)
        with suppress(OSError):
            self._line.close()

    def _give_up(self) -> None:
        self.late = True
        self.child.kill()
