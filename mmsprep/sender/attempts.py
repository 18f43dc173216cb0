"""One message to one recipient: never twice, and again only where that is certain to be the first time.

Comes in: a request, a door, patience. Goes out: steps to take (a request to send, a time to wait) and, at the
end, the receipt. Never: input or output; :mod:`mmsprep.sender` takes the steps, with or without an event loop.

Sent again are a request that could not connect and one that the gateway was too busy for (status 4006, HTTP 503
and 429). After the body began to go out, anything but a clear answer is an unknown outcome, and stays one.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Generator
from dataclasses import dataclass, field, replace
from typing import Protocol

from mmsprep.errors import GatewayBusy, GatewayUnreachable, SendError
from mmsprep.sender.http import Timeouts
from mmsprep.sender.journal import Journal, Subject
from mmsprep.sender.wire import Receipt, WireRequest, WireResponse

Step = WireRequest | float
"""A request to send, or seconds to wait."""
Answer = WireResponse | SendError | None
Course = Generator[Step, Answer, Receipt]


class Reader(Protocol):
    """How a door reads its answers."""

    def __call__(self, response: WireResponse, request: WireRequest) -> Receipt:
        """The receipt; raises a :class:`SendError` for everything else."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How often and how long to try.

    ``attempts`` counts the first one. Waits double from ``first_wait_s``, each shortened by chance to as little as
    its half so that many senders do not come back together. A ``Retry-After`` is honoured; one that is longer than
    ``longest_wait_s`` ends the attempts.
    """

    attempts: int = 4
    first_wait_s: float = 1.0
    longest_wait_s: float = 60.0
    timeouts: Timeouts = field(default_factory=Timeouts)

    def wait_s(self, attempt: int, retry_after_s: float | None, chance: Callable[[], float] = random.random) -> float:
        """Seconds between ``attempt`` (from 1) and the next; ``chance`` gives 0..1."""
        wait_s = min(self.longest_wait_s, self.first_wait_s * 2.0 ** min(attempt - 1, 30)) * (0.5 + 0.5 * chance())
        return max(wait_s, retry_after_s or 0.0)


def course(request: WireRequest, read: Reader, patience: Patience, journal: Journal | None, subject: Subject) -> Course:
    """The steps of one send. An abandoned course leaves its last attempt in the journal without an outcome.

    Raises:
        SendError: it was not accepted, or nobody knows.
        JournalError: an intent or an outcome cannot be recorded.
    """
    for attempt in range(1, patience.attempts + 1):
        entry = journal.begin(subject, request.transaction_id, request.via) if journal else 0
        answer = yield request
        try:
            receipt = _read(answer, request, read)
        except SendError as error:
            if journal:
                journal.end_badly(entry, error)
            wait_s = patience.wait_s(attempt, error.retry_after_s)
            again = isinstance(error, (GatewayBusy, GatewayUnreachable))
            if not again or attempt == patience.attempts or wait_s > patience.longest_wait_s:
                raise
        else:
            if journal:
                journal.end(entry, receipt)
            return replace(receipt, attempts=attempt)
        yield wait_s
    raise AssertionError("a course ends with its last attempt")


def _read(answer: Answer, request: WireRequest, read: Reader) -> Receipt:
    if isinstance(answer, SendError):
        raise answer
    assert isinstance(answer, WireResponse)
    return read(answer, request)
