"""Sending: one prepared message to one recipient, by either door of the gateway.

Comes in: a message, a number, an account. Goes out: a :class:`Receipt`. Never: an encoding (``prepare`` does that),
a second recipient in one request, or a message sent twice.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from mmsprep.errors import OverBudget, UsageError, a_kind_of
from mmsprep.message import Message
from mmsprep.sender import form, soap
from mmsprep.sender.account import Account, load_account
from mmsprep.sender.address import Origin, Recipient, Recipients, as_recipients, is_one_recipient, msisdn, origin
from mmsprep.sender.attempts import Book, Course, Exchange, Patience, Record, Step, course, earlier
from mmsprep.sender.entry import State, Subject
from mmsprep.sender.http import Connections, Timeouts, exchange, exchange_async, in_thread, pause_async
from mmsprep.sender.options import PriorityClass, Report, SubmitOptions
from mmsprep.sender.wire import Receipt, Via, WireRequest, WireResponse

if TYPE_CHECKING:
    from mmsprep.sender.journal import Journal

__all__ = [
    "Account",
    "Connections",
    "Journal",
    "Patience",
    "PriorityClass",
    "Receipt",
    "Recipients",
    "Report",
    "SubmitOptions",
    "Timeouts",
    "Via",
    "WireRequest",
    "WireResponse",
    "as_recipients",
    "check_says",
    "load_account",
    "msisdn",
    "opened_journal",
    "origin",
    "send",
    "send_async",
    "sent_before",
]

B = TypeVar("B", bound=Book)
_DOORS = {Via.HTTP: form, Via.MM7: soap}
_PATIENCE = Patience()
_NO_OPTIONS = SubmitOptions()


def __getattr__(name: str) -> object:
    """The journal brings SQLAlchemy, which a send without one does not wait for."""
    if name == "Journal":
        from mmsprep.sender.journal import Journal

        return Journal
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def send(
    message: Message,
    *,
    to: Recipient,
    account: Account | None = None,
    via: Via | str = Via.HTTP,
    sender: str = "",
    text_at_end: bool = False,
    options: SubmitOptions = _NO_OPTIONS,
    country: str = "",
    journal: Book | str | PathLike[str] | None = None,
    key: str = "",
    resend_unknown: bool = False,
    patience: Patience = _PATIENCE,
    connections: Connections | None = None,
) -> Receipt:
    """Send a prepared message to one recipient.

    Safe to call from any number of threads and processes; with a journal the same message goes to a recipient once,
    however many call at the same moment.

    Args:
        message: of :func:`mmsprep.prepare` or :func:`mmsprep.read_message`; sent as it is.
        to: the recipient's number; :func:`mmsprep.sender.msisdn` says how it may be written.
        account: whose account; ``None``: the environment's or the settings file's.
        via: ``"http"`` or ``"mm7"``.
        sender: the number that it appears from, only with a dedicated number at SMSGlobal; by MM7 also a short code.
        text_at_end: show the message's own text last.
        options: reports, expiry, earliest time and priority, by MM7 alone.
        country: two letters; completes national numbers.
        journal: a journal, its file or its database URL: what it calls accepted is not sent again, what it calls
            unknown neither. Or places in one, :class:`mmsprep.sender.reservations.Reservations`.
        key: what makes two sends the same in the journal, e.g. an id of your own; empty: equal content does.
        resend_unknown: send although the journal does not know what became of an earlier attempt.
        patience: how often and how long to try.
        connections: those that stay open from one send to the next; ``None``: each request has its own.

    Returns:
        The receipt: accepted, which is not yet delivered. ``receipt.earlier`` is true where the journal had it.

    Raises:
        AddressError: a number is none.
        SettingsError: there is no account.
        SendRejected: the gateway refused it; nothing was accepted.
        NotSent: nothing was sent; trying again is safe.
        SendOutcomeUnknown: it may have been accepted; :class:`EarlierOutcomeUnknown` where the journal says so,
            :class:`SendInProgress` where another send of it is under way.
        JournalError: the journal cannot be used.
    """
    with opened_journal(journal) as book:
        errand = _Errand(message, to, account, via, sender, text_at_end, options, country, key, resend_unknown)
        steps = _begun(errand, book, patience)
        try:
            step = next(steps)
            while True:
                try:
                    answer = _take(step, connections)
                except BaseException as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(answer)
        except StopIteration as end:
            receipt: Receipt = end.value
            return receipt


async def send_async(
    message: Message,
    *,
    to: Recipient,
    account: Account | None = None,
    via: Via | str = Via.HTTP,
    sender: str = "",
    text_at_end: bool = False,
    options: SubmitOptions = _NO_OPTIONS,
    country: str = "",
    journal: Journal | str | PathLike[str] | None = None,
    key: str = "",
    resend_unknown: bool = False,
    patience: Patience = _PATIENCE,
) -> Receipt:
    """:func:`send` without blocking the event loop; what the journal does is done in a thread.

    A task that is cancelled before its message began to go out has not sent it; later the outcome is unknown. The
    journal says so in both cases.
    """
    opening = opened_journal(journal)
    book = await in_thread(opening.__enter__)
    try:
        errand = _Errand(message, to, account, via, sender, text_at_end, options, country, key, resend_unknown)
        steps = _begun(errand, book, patience)
        step = next(steps)
        while True:
            try:
                answer = await _take_async(step)
            except BaseException as error:
                step = steps.throw(error)
            else:
                step = steps.send(answer)
    except StopIteration as end:
        receipt: Receipt = end.value
        return receipt
    finally:
        await in_thread(lambda: opening.__exit__(None, None, None))


def _take(step: Step, connections: Connections | None) -> object:
    if isinstance(step, Exchange):
        return exchange(step.request, step.progress, connections)
    if isinstance(step, Record):
        return step.call()
    time.sleep(step)
    return None


async def _take_async(step: Step) -> object:
    if isinstance(step, Exchange):
        return await exchange_async(step.request, step.progress)
    if isinstance(step, Record):
        return await in_thread(step.call)
    await pause_async(step)
    return None


def check_says(via: Via | str, sender: Origin | None, options: SubmitOptions) -> None:
    """See whether a door can say it, before anything is prepared.

    Raises:
        UsageError: it cannot.
    """
    if via == Via.HTTP:
        form.check_says(sender, options)


def sent_before(message: Message, recipient: str, account: Account, journal: Journal, key: str) -> Receipt | None:
    """The receipt that the journal has from an earlier run; nothing is sent. ``recipient`` is an MSISDN."""
    entry = journal.standing(_subject(message, recipient, account, key))
    return earlier(entry, recipient) if entry and entry.state is State.ACCEPTED else None


def _subject(message: Message, recipient: str, account: Account, key: str) -> Subject:
    content_sha256, gateway = message.sha256, account.url.rstrip("/")
    return Subject(recipient=recipient, key=key or content_sha256, content_sha256=content_sha256, gateway=gateway)


class _Errand(NamedTuple):
    """What a caller of :func:`send` asks for."""

    message: Message
    to: Recipient
    account: Account | None
    via: Via | str
    sender: str
    text_at_end: bool
    options: SubmitOptions
    country: str
    key: str
    resend_unknown: bool


def _begun(errand: _Errand, journal: Book | None, patience: Patience) -> Course:
    """Everything is checked and built; nothing is recorded or sent."""
    numbers = as_recipients(errand.to)
    if not is_one_recipient(errand.to):
        raise UsageError("to: is several recipients; the gateway takes one a request: call send for each, or deliver")
    try:
        door = _DOORS[Via(errand.via)]
    except ValueError:
        raise UsageError(f"via {errand.via!r}: expected one of {', '.join(Via)}") from None
    message = errand.message
    if not isinstance(message, Message):
        raise UsageError(f"message: is {a_kind_of(message)}; expected a Message, as prepare makes it")
    _check(message, errand.text_at_end)
    recipient = msisdn(numbers[0], errand.country).digits
    account = errand.account or load_account()
    request = door.build_request(
        message,
        to=recipient,
        account=account,
        transaction_id=uuid.uuid4().hex,
        sender=origin(errand.sender, errand.country) if errand.sender else None,
        text_at_end=errand.text_at_end,
        options=errand.options,
    )
    subject = _subject(message, recipient, account, errand.key)
    return course(request, door.parse_response, patience, journal, subject, errand.resend_unknown)


def _check(message: Message, text_at_end: bool) -> None:
    if not message.parts and not message.text:
        raise UsageError("nothing to send: the message has no part and no text")
    total_bytes = message.size_bytes(text_at_end=text_at_end)
    if total_bytes > message.limit_bytes:
        raise OverBudget(
            f"the message has {total_bytes:,} bytes, its limit is {message.limit_bytes:,}; it was not sent",
            total_bytes,
            message.limit_bytes,
        )


@contextmanager
def opened_journal(journal: B | str | PathLike[str] | None) -> Iterator[B | Journal | None]:
    """The journal; one that was given by its path or URL is open for this send alone."""
    if journal is None or not isinstance(journal, (str, PathLike)):
        yield journal
        return
    from mmsprep.sender.journal import Journal

    with Journal(journal) as opened:
        yield opened
