"""The memory that all caged children of this process may have together.

Comes in: children, when they begin and end to work. Goes out: leave to begin, and the word that one was ended because
there was no room for it. Never: a child that is ended while what all hold is within the budget.

Each child has a limit of its own (:class:`mmsprep.tools.cage.Cage`), which the system keeps; honest work needs a
small part of it, so the limits together may be more than there is. What the children hold is therefore measured, the
more often the less is left; where it comes to too much, the one that holds most is ended, to be run once more with no
other beside it. Measured is what is a child's alone (``/proc/<pid>/statm``: resident less shared pages), on Linux;
elsewhere nothing is.
"""

from __future__ import annotations

import logging
import math
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_log = logging.getLogger(__name__)
_FULL_ENOUGH = 0.75
"""Of the budget: where more is held, nobody begins beside others. Chosen, so that those at work have room to grow."""
_FASTEST_BYTES_A_S = 4e9
"""How fast a child takes memory: what one core can have cleared by the system and fill (measured: 1.5 to 3 GB/s)."""
_SHORTEST_S, _LONGEST_S = 0.005, 0.25
"""Between two looks; each takes some 15 microseconds a child."""
_LINGERS_S = 1.0
"""After the last child's work: a look for each of many short turns would cost more than the looks in between."""
_ASK_AGAIN_S = 0.1

Child = Any
"""A running program: a :class:`subprocess.Popen`."""


@dataclass(eq=False, slots=True)
class Turn:
    """One child's time to work. ``was_ended``: there was no room for it; ``was_alone``: not even by itself."""

    total_bytes: int
    alone: bool
    was_ended: bool = False
    was_alone: bool = False
    child: Child | None = field(default=None, repr=False)

    def watch(self, child: Child) -> None:
        """From now on this child's memory counts, also after its turn, until it ends."""
        self.child = child


class Budget:
    """Who works and who only waits for work, and what they hold; safe from threads.

    Args:
        end: ends a child and whatever it started, without waiting for that.
    """

    def __init__(self, end: Callable[[Child], None]) -> None:
        self._end = end
        lock = threading.RLock()
        self._changed = threading.Condition(lock)
        self._needs_a_look = threading.Condition(lock)
        self._working: list[Turn] = []
        self._resting: set[Child] = set()
        self._alone = 0
        self._watcher: threading.Thread | None = None
        self._looks_at_s = math.inf
        self._left_bytes = 0
        self.spare: Callable[[], None] = lambda: None
        """Ends the children that only wait for work; called when their room is needed."""

    @contextmanager
    def turn(self, total_bytes: int, *, alone: bool, given_up: Callable[[], bool]) -> Iterator[Turn]:
        """A ``with`` block in which one child works; it begins when there is room.

        Args:
            total_bytes: what all children may hold together.
            alone: no other may work meanwhile.
            given_up: whether nobody wants the child any more, so that the wait ends.
        """
        mine = Turn(total_bytes, alone)
        self._begin(mine, given_up)
        try:
            yield mine
        finally:
            with self._changed:
                self._working.remove(mine)
                self._alone -= alone
                if mine.child is not None and mine.child.poll() is None:
                    self._resting.add(mine.child)
                self._changed.notify_all()

    def _begin(self, mine: Turn, given_up: Callable[[], bool]) -> None:
        with self._changed:
            self._alone += mine.alone
            while not (given_up() or self._may_begin(mine)):
                self._changed.wait(_ASK_AGAIN_S)
            self._working.append(mine)
            self._left_bytes = min(self._left_bytes, mine.total_bytes)
            if self._watcher is None:
                self._watcher = threading.Thread(target=self._watch, name="mmsprep-memory", daemon=True)
                self._watcher.start()
            elif time.monotonic() + self._pause_s() < self._looks_at_s:
                self._needs_a_look.notify()
        if mine.alone:
            self.spare()

    def _may_begin(self, mine: Turn) -> bool:
        if not self._working:
            return True
        return not (mine.alone or self._alone) and self._held_bytes() <= _FULL_ENOUGH * mine.total_bytes

    def _held_bytes(self) -> int:
        self._resting = {child for child in self._resting if child.poll() is None}
        at_work = [turn.child for turn in self._working if turn.child is not None]
        # One that rested and works again is in both.
        return sum(held_bytes(child) for child in {*at_work, *self._resting})

    def _pause_s(self) -> float:
        """How long what was left at the last look lasts at least, whoever works now."""
        pause_s = self._left_bytes / (_FASTEST_BYTES_A_S * max(1, len(self._working)))
        return min(_LONGEST_S, max(_SHORTEST_S, pause_s))

    def _watch(self) -> None:
        was_spared = False
        worked_at_s = time.monotonic()
        while True:
            with self._changed:
                now_s = time.monotonic()
                worked_at_s = now_s if self._working else worked_at_s
                if now_s - worked_at_s > _LINGERS_S:
                    self._looks_at_s = math.inf
                    self._needs_a_look.wait()
                    worked_at_s = time.monotonic()
                total_bytes = min((turn.total_bytes for turn in self._working), default=0)
                self._left_bytes = total_bytes - self._held_bytes() if self._working else self._left_bytes
                is_over = bool(self._working) and self._left_bytes < 0
                if is_over and was_spared:
                    self._make_room()
                pause_s = self._pause_s()
                self._looks_at_s = time.monotonic() + pause_s
                self._needs_a_look.wait(pause_s)
            if is_over and not was_spared:
                self.spare()
            was_spared = is_over

    def _make_room(self) -> None:
        """End the one at work that holds most; it is told whether others were at work beside it."""
        running = [(held_bytes(turn.child), turn) for turn in self._working if turn.child and not turn.was_ended]
        if not running:
            return
        most_bytes, most = max(running, key=lambda one: one[0])
        most.was_ended, most.was_alone = True, len(self._working) == 1
        told = {"held_bytes": most_bytes, "total_bytes": most.total_bytes}
        _log.info("a decoder was ended: it held %(held_bytes)d of the %(total_bytes)d bytes for all of them", told)
        self._end(most.child)


_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 0


def held_bytes(child: Child) -> int:
    """The memory that is this child's alone, 0 where that cannot be asked or it has ended."""
    with suppress(OSError, ValueError, IndexError):
        # Not by pathlib, which takes three times as long: this is asked for every child again and again.
        with open(f"/proc/{child.pid}/statm", "rb") as file:  # noqa: PTH123
            _, resident, shared, *_ = file.read().split()
        return (int(resident) - int(shared)) * _PAGE_BYTES
    return 0


def is_kept() -> bool:
    """Whether this system says what a process holds."""
    return Path("/proc/self/statm").exists()
