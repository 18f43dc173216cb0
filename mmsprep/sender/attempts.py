"""One message to one recipient: never twice, and again only where that is certain to be the first time.

Comes in: a request, a door, patience. Goes out: steps to take (something to record, a request to send, a time to wait)
and, at the end, the receipt. Never: input or output; :mod:`mmsprep.sender` takes the steps, with or without an
event loop, and tells of whatever interrupts one.

Sent again are a request that could not connect and one that the gateway says it was too busy for (status 4006).
After the body began to go out, anything but a clear answer is an unknown outcome, and stays one.
"""

from __future__ import annotations

import logging
import random
import threading
import time
import uuid
from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from mmsprep.errors import (
    ContentRefused,
    EarlierOutcomeUnknown,
    GatewayBusy,
    GatewayUnreachable,
    MmsprepError,
    NotSent,
    SendError,
    SendInProgress,
)
from mmsprep.sender.answers import unknown
from mmsprep.sender.entry import Claim, Entry, State, Subject
from mmsprep.sender.http import Progress, Timeouts
from mmsprep.sender.wire import Receipt, Via, WireRequest, WireResponse
from mmsprep.tools import backoff

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Record:
    """Something to do with the journal, which blocks; its result is sent back."""

    call: Callable[[], Entry | None]


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request to send; its answer is sent back. ``progress`` says how far it came, whatever ends it."""

    request: WireRequest
    progress: Progress


Step = Record | Exchange | float
"""Something to record, a request to send, or seconds to wait. Whatever interrupts one is thrown in."""
Course = Generator[Step, Any, Receipt]


class Book(Protocol):
    """Where a claim is made before a byte leaves, and its outcome recorded."""

    def claim(self, claim: Claim, *, resend_unknown: bool = False) -> Entry | None:
        """``None``: it is the caller's; otherwise what speaks against it."""
        ...

    def settle(self, claim: Claim, outcome: Receipt | SendError) -> None:
        """Record what became of it."""
        ...


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
    ``longest_wait_s`` ends the attempts. ``timeouts`` are those of each attempt, 240 s for all of it.
    """

    attempts: int = 4
    first_wait_s: float = 1.0
    longest_wait_s: float = 60.0
    timeouts: Timeouts = field(default_factory=Timeouts)

    def wait_s(self, attempt: int, retry_after_s: float | None, chance: Callable[[], float] = random.random) -> float:
        """Seconds between ``attempt`` (from 1) and the next; ``chance`` gives 0..1."""
        own_s = backoff.wait_s(attempt, first_s=self.first_wait_s, longest_s=self.longest_wait_s, chance=chance)
        return max(own_s, retry_after_s or 0.0)


def course(
    request: WireRequest,
    read: Reader,
    patience: Patience,
    journal: Book | None,
    subject: Subject,
    resend_unknown: bool = False,
) -> Course:
    """The steps of one send. Every attempt is a claim of its own, so that a wait holds up nobody.

    Raises:
        SendError: it was not accepted, or nobody knows, or the journal speaks against it.
        JournalError: a claim or an outcome cannot be recorded.
    """
    attempt = 0
    while True:
        attempt += 1
        claim = None
        if journal:
            # What is unique for the whole transaction is so for one of its attempts, and saves a look at randomness.
            token = request.transaction_id if attempt == 1 else uuid.uuid4().hex
            claiming = Claim(
                subject=subject,
                transaction_id=request.transaction_id,
                via=request.via,
                lasts_s=patience.timeouts.total_s,
                token=token,
            )
            claim = _Claiming(journal, claiming, resend_unknown)
        progress: Progress | None = None
        try:
            if claim and (entry := (yield Record(claim.take))):
                return earlier(entry, subject.recipient)
            progress = Progress(patience.timeouts)
            began_s = time.monotonic()
            answer = yield Exchange(request, progress)
        except (GeneratorExit, SendError):
            raise
        except BaseException:
            if claim:
                with suppress(MmsprepError):
                    yield Record(claim.settled(_interrupted(request, progress)))
            raise
        outcome = _read(answer, request, read)
        _log_attempt(request, attempt, outcome, time.monotonic() - began_s)
        if claim:
            yield from _recorded(claim.settled(outcome))
        if isinstance(outcome, Receipt):
            return replace(outcome, attempts=attempt) if attempt > 1 else outcome
        wait_s = patience.wait_s(attempt, outcome.retry_after_s)
        again = isinstance(outcome, (GatewayBusy, GatewayUnreachable))
        if not again or attempt == patience.attempts or wait_s > patience.longest_wait_s:
            raise outcome
        told = {"transaction_id": request.transaction_id, "attempt": attempt + 1, "wait_s": round(wait_s, 3)}
        _log.info("%(transaction_id)s: attempt %(attempt)d follows in %(wait_s).1f s", told)
        yield wait_s


def _log_attempt(request: WireRequest, attempt: int, outcome: Receipt | SendError, took_s: float) -> None:
    """Never with the recipient, the address or the gateway's words."""
    told = {
        "transaction_id": request.transaction_id,
        "via": str(request.via),
        "attempt": attempt,
        "outcome": "accepted" if isinstance(outcome, Receipt) else outcome.code,
        "took_s": round(took_s, 4),
    }
    _log.info("%(transaction_id)s: attempt %(attempt)d by %(via)s took %(took_s).3f s (%(outcome)s)", told)


def earlier(entry: Entry, recipient: str) -> Receipt:
    """The receipt that the journal has from an earlier send.

    Raises:
        ContentRefused: this content was refused.
        SendInProgress: another send of it is under way.
        EarlierOutcomeUnknown: nobody knows what became of it.
    """
    told = (entry.transaction_id, entry.status_code)
    if entry.state is State.ACCEPTED:
        return Receipt(
            recipient=entry.recipient,
            message_id=entry.message_id,
            transaction_id=entry.transaction_id,
            via=Via(entry.via),
            status_code=entry.status_code,
            attempts=0,
            earlier=True,
        )
    if entry.error_code == ContentRefused.code:
        problem = f"{recipient}: not sent, the gateway refused this very content on {entry.started_at}"
        raise ContentRefused(problem, *told)
    if entry.state is State.SENDING:
        problem = f"{recipient}: not sent, because another send of the same is under way since {entry.started_at}"
        raise SendInProgress(problem + _named(entry), *told)
    raise EarlierOutcomeUnknown(
        f"{recipient}: not sent, because nobody knows what became of an attempt on {entry.started_at}"
        f"{_named(entry)}. Ask the recipient or SMSGlobal first",
        *told,
    )


def _named(entry: Entry) -> str:
    """What to ask about it by; a reservation has no name yet."""
    return f" (transaction id {entry.transaction_id})" if entry.transaction_id else ""


class _Claiming:
    """One attempt's claim. It may be given up while another thread is still about to take it."""

    def __init__(self, journal: Book, claim: Claim, resend_unknown: bool) -> None:
        self._journal = journal
        self._claim = claim
        self._resend_unknown = resend_unknown
        self._lock = threading.Lock()
        self._is_settled = False

    def take(self) -> Entry | None:
        """Make the claim, unless it was given up already."""
        with self._lock:
            if self._is_settled:
                return None
            return self._journal.claim(self._claim, resend_unknown=self._resend_unknown)

    def settled(self, outcome: Receipt | SendError) -> Callable[[], None]:
        """What records the outcome."""

        def settle() -> None:
            with self._lock:
                self._is_settled = True
                self._journal.settle(self._claim, outcome)

        return settle


def _recorded(call: Callable[[], None]) -> Generator[Step, Any, None]:
    """Record an outcome, also where the wait for it is interrupted; recording it twice changes nothing."""
    try:
        yield Record(call)
    except (GeneratorExit, MmsprepError):
        raise
    except BaseException:
        with suppress(MmsprepError):
            yield Record(call)
        raise


def _read(answer: WireResponse | SendError, request: WireRequest, read: Reader) -> Receipt | SendError:
    if isinstance(answer, SendError):
        return answer
    try:
        return read(answer, request)
    except SendError as error:
        return error


def _interrupted(request: WireRequest, progress: Progress | None) -> SendError:
    """What is known of an attempt that was cancelled or broke off: before its body began it was not sent."""
    if progress is None or not progress.body_began:
        reason = "interrupted before the message began to go out"
        return NotSent(f"{request.recipient}: not sent, {reason}", request.transaction_id, reason=reason)
    return unknown(request, "interrupted while the message was going out")
