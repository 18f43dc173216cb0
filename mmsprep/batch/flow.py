"""Many small flows of work side by side, their results in order.

Comes in: flows, each a generator that yields the futures it waits for. Goes out: what each flow returns, in
the order in which they came. Never: an executor, a file or a clock of its own. One thread runs all flows, so
that they may share what they like without locks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

R = TypeVar("R")
Flow = Generator["Future[Any]", None, R]
"""Yields each future that it waits for, goes on when that one is done, returns the flow's result."""


class _Place(Generic[R]):
    """A flow's place in the line."""

    __slots__ = ("finished", "flow", "result", "waits_for")

    def __init__(self, flow: Flow[R]) -> None:
        self.flow = flow
        self.finished = False
        self.result: R | None = None
        self.waits_for: Future[Any] | None = None


def in_order(flows: Iterable[Flow[R]], *, at_once: int, ahead: int) -> Iterator[R]:
    """Run ``flows`` and give their results in their order, as soon as that order allows.

    Args:
        flows: taken one by one, no sooner than there is room.
        at_once: how many flows may wait for a future at a time; bounds what is submitted.
        ahead: how many results may wait for the one before them; bounds what is held.

    Raises:
        Exception: whatever a flow raises; the others are closed and their futures cancelled.
    """
    source = iter(flows)
    line: deque[_Place[R]] = deque()
    ready: SimpleQueue[_Place[R]] = SimpleQueue()
    waiting, more = 0, True
    try:
        while line or more:
            if not ready.empty():
                waiting -= not _advance(ready.get(), ready)
            elif line and line[0].finished:
                yield line.popleft().result  # type: ignore[misc]
            elif more and waiting < at_once and len(line) < ahead:
                flow = next(source, None)
                if flow is None:
                    more = False
                    continue
                line.append(_Place(flow))
                waiting += _advance(line[-1], ready)
            else:
                waiting -= not _advance(ready.get(), ready)
    finally:
        for place in line:
            if place.waits_for is not None:
                place.waits_for.cancel()
            place.flow.close()


def _advance(place: _Place[R], ready: SimpleQueue[_Place[R]]) -> bool:
    """Let the flow go on to its next future; false when it has come to its end."""
    try:
        place.waits_for = next(place.flow)
    except StopIteration as end:
        place.finished, place.result, place.waits_for = True, end.value, None
        return False
    place.waits_for.add_done_callback(lambda _: ready.put(place))
    return True
