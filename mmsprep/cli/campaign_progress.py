"""A campaign under way: how far it is, and its end by a signal.

Comes in: outcomes as they happen. Goes out: a bar or a line now and then, and counts. Never: a decision about them.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from mmsprep.cli.campaign_preview import span
from mmsprep.cli.printing import console_for, say
from mmsprep.errors import MmsprepError

if TYPE_CHECKING:
    from mmsprep.campaign import Checked, Outcome, Pace, Rendered

_TELL_EVERY_S = 5.0
_ENDING = b"ending after what is under way; once more ends it at once, and leaves that unknown\n"


class Told:
    """How far it is: a bar with the time left on a terminal, a line now and then elsewhere."""

    def __init__(self, total: int, *, shown: bool) -> None:
        self.total = total
        self.counts: Counter[str] = Counter()
        self.unprepared: dict[int, str] = {}
        self.interrupted = False
        self._shown = shown
        self._began_s = self._told_s = time.monotonic()
        self._update: Any = None

    @contextmanager
    def bar(self) -> Iterator[None]:
        """Where it is shown."""
        console = console_for(stderr=True)
        if not (self._shown and console.is_terminal):
            yield
            return
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
        words = TextColumn("{task.description}", markup=False)
        with Progress(*columns, words, console=console) as progress:
            task = progress.add_task("", total=self.total)
            self._update = lambda: progress.update(task, completed=sum(self.counts.values()), description=self._words())
            yield
            self._update = None

    def note(self, outcome: Outcome) -> None:
        """One more."""
        from mmsprep.errors import SendError

        receipt, error = outcome.receipt, outcome.error
        if receipt is not None:
            self.counts["earlier" if receipt.earlier else "accepted"] += 1
        elif error is not None:
            self.counts[error.code] += 1
            if not isinstance(error, SendError):
                self.unprepared[outcome.decided.person.line] = str(error)
            if self.counts[error.code] <= 10:
                for line in error.lines:
                    say(f"line {outcome.decided.person.line}: {line}")
            elif self.counts[error.code] == 11:
                say(f"more of these are in the report alone ({error.code})")
        if self._update is not None:
            self._update()
        elif self._shown and time.monotonic() - self._told_s >= _TELL_EVERY_S:
            self._told_s = time.monotonic()
            done = sum(self.counts.values())
            left_s = (self.total - done) * (self._told_s - self._began_s) / max(1, done)
            say(f"{done:,} of {self.total:,}: {self._words()}; about {span(left_s)} left")

    def _words(self) -> str:
        return ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in self.counts.items())


def sent(
    checked: Checked, rendered: Rendered, sending: Any, journal: Any, key: str, pace: Pace, failures: Any, told: Told
) -> MmsprepError | None:
    """Send; Ctrl-C and SIGTERM end it after what is under way, a second one at once."""
    from mmsprep.campaign import run

    stop = threading.Event()

    def end(_number: int, _frame: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        told.interrupted = True
        stop.set()
        # Whatever else is being written is written on afterwards.
        with suppress(OSError, ValueError):
            os.write(sys.stderr.fileno(), _ENDING)

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    outcomes = run(checked, rendered, sending, journal=journal, key=key, pace=pace, failures=failures, stop=stop)
    try:
        with told.bar():
            for outcome in outcomes:
                told.note(outcome)
    except MmsprepError as error:
        return error
    except KeyboardInterrupt:
        # Wherever it was raised.
        with suppress(KeyboardInterrupt):
            outcomes.throw(KeyboardInterrupt())
        say("not waited for; who was being sent to is unknown")
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return None
