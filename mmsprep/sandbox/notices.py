"""Notices of what became of a sent message: delivered, expired, failed, read; late, out of order, twice.

Comes in: a notice in words, from the command line, the page, JSON or Python alike, and the message that it is about.
Goes out: what is pushed to the customer's URL, and when. Never: a push itself (``push.py``).

At the form's door a notice is ``msgid``, ``dlrstatus``, ``dlr_err`` and ``donedate``, answered ``OK``. By MM7 it is a
DeliveryReportReq or a ReadReplyReq to the same URL with ``/mm7`` behind it, answered with status 1000.
"""

from __future__ import annotations

import heapq
import itertools
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

import msgspec

from mmsprep import mm7
from mmsprep.errors import MalformedEnvelope, UsageError
from mmsprep.sandbox.exchange import Door, Exchange
from mmsprep.sandbox.push import FORM_TYPE, PushDelivery, PushRequest, says_ok
from mmsprep.sandbox.push import document as push_document

MAX_DELAY_S = 86_400.0
_LATE_S = 3.0
_AFTER_ANSWER_S = 0.2
"""What lets the answer go first; who is told in the middle of it has no id yet that the notice could be about."""
_MOST_TIMES = 1_000_000
_NO_SENDER = "sandbox"
"""Who a message is from that said no sender, where MM7 must name one."""


class Course(StrEnum):
    """How things go with a message; a status in capitals (``REJECTD``, ``ENROUTE``) is notified as it is."""

    DELIVERED = "delivered"
    EXPIRED = "expired"
    FAILED = "failed"
    READ = "read"
    LATE = "late"
    TWICE = "twice"
    OUT_OF_ORDER = "out-of-order"


class Method(StrEnum):
    """How the form's notices travel."""

    POST = "post"
    GET = "get"


_ON_THE_WAY, _DELIVERED = "ENROUTE", "DELIVRD"
_FORM_STATUS = {Course.EXPIRED: "EXPIRED", Course.FAILED: "UNDELIV"}
_MM7_STATUS = {
    "DELIVRD": "Retrieved",
    "EXPIRED": "Expired",
    "UNDELIV": "Rejected",
    "REJECTD": "Rejected",
}
"""MMStatus (TS 23.140) for the form's words; of a word that is not here MM7 says ``Indeterminate`` and the word."""


class Notice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the next ``times`` accepted messages (0: all) are notified of, ``delay_s`` after they were taken in.

    ``what`` is a :class:`Course`, or a status of at most 20 capitals and digits. ``err`` is the error's number.
    """

    what: str = Course.DELIVERED
    delay_s: float = 0.0
    err: str = ""
    method: Method = Method.POST
    times: int = 1

    def __str__(self) -> str:
        extras = [
            *([f"delay_s={self.delay_s:g}"] if self.delay_s else []),
            *([f"err={self.err}"] if self.err else []),
            *([f"method={self.method}"] if self.method is not Method.POST else []),
            *([f"times={self.times}"] if self.times != 1 else []),
        ]
        return ",".join([str(self.what), *extras])


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """One push: what became of the message ``about``, which went to the handset ``sender``.

    ``status`` is as the form spells it. ``is_read``: it was looked at, which only MM7 tells.
    """

    about: str
    sender: str
    status: str
    at: datetime
    door: Door = Door.FORM
    err: str = ""
    method: Method = Method.POST
    is_read: bool = False
    origin: str = ""
    id: str = ""

    def request(self, url: str) -> PushRequest:
        """The form, in the body or the query, or the envelope of MM7."""
        if self.door is Door.MM7:
            return PushRequest(_mm7_url(url), mm7.build_push(self._push()), "text/xml; charset=utf-8")
        fields = {
            "msgid": self.about,
            "dlrstatus": self.status,
            "dlr_err": self.err or "0",
            "donedate": self.at.strftime("%y%m%d%H%M"),
        }
        form = urlencode(fields)
        if self.method is Method.GET:
            return PushRequest(f"{url}{'&' if urlsplit(url).query else '?'}{form}", method="GET")
        return PushRequest(url, form.encode("ascii"), FORM_TYPE)

    def is_taken(self, body: bytes) -> bool:
        """``OK`` at the form's door; the matching response with status 1000 by MM7."""
        if self.door is Door.FORM:
            return says_ok(body)
        try:
            reply = mm7.parse_reply(body)
        except MalformedEnvelope:
            return False
        return reply.kind == mm7.PUSH_REPLIES[self._push().kind] and reply.status_code == 1000

    def _push(self) -> mm7.Push:
        status = "Read" if self.is_read else _MM7_STATUS.get(self.status, "Indeterminate")
        words = [self.status] if status == "Indeterminate" else []
        return mm7.Push(
            kind="ReadReplyReq" if self.is_read else "DeliveryReportReq",
            transaction_id=self.id,
            message_id=self.about,
            # As of the message that it is about: its recipient is the handset, its sender the customer.
            sender=self.origin or _NO_SENDER,
            recipients=(self.sender,),
            timestamp=self.at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            status=status,
            status_text=" ".join([*words, *([f"error {self.err}"] if self.err else [])]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """The message that notices are about: its id, whom it went to and who sent it, by which door.

    By MM7 nothing is told that the request did not ask for.
    """

    message_id: str
    number: str
    origin: str = ""
    door: Door = Door.FORM
    wants_report: bool = True
    wants_read: bool = False


def sent_in(exchange: Exchange) -> Sent:
    """The message of an exchange.

    Raises:
        UsageError: it was not accepted.
    """
    submission = exchange.judgement.submission
    if submission is None:
        raise UsageError(f"request {exchange.number} was not accepted, so nothing becomes of it")
    return Sent(
        message_id=exchange.judgement.message_id,
        number=submission.number,
        origin=submission.sender,
        door=exchange.door,
        wants_report=exchange.door is Door.FORM or submission.wants_report,
        wants_read=submission.wants_read,
    )


def notifications(notice: Notice, sent: Sent, now: datetime | None = None) -> list[tuple[float, Notification]]:
    """What is pushed, each with the seconds after which it is.

    Raises:
        UsageError: nobody asked to be told.
    """
    if not (sent.wants_report or sent.wants_read):
        raise UsageError("the request did not ask for reports; 'mmsprep send --via mm7 --report delivery,read' does")
    if notice.what == Course.READ and not sent.wants_read:
        raise UsageError("only MM7 tells that a message was read, where the request asked for it (--report read)")
    return list(_pushes(notice, sent, now or datetime.now(UTC)))


def _pushes(notice: Notice, sent: Sent, now: datetime) -> Iterator[tuple[float, Notification]]:
    delay_s = notice.delay_s or (_LATE_S if notice.what == Course.LATE else 0.0)
    done_at = now + timedelta(seconds=delay_s)

    def one(status: str, at: datetime, *, is_read: bool = False) -> Notification:
        return Notification(
            about=sent.message_id,
            sender=sent.number,
            status=status,
            at=at,
            door=sent.door,
            err=notice.err or ("500" if status in _FORM_STATUS.values() else ""),
            method=notice.method,
            is_read=is_read,
            origin=sent.origin,
            id=uuid.uuid4().hex,
        )

    is_course = notice.what in list(Course)
    final = one(_FORM_STATUS.get(Course(notice.what), _DELIVERED) if is_course else notice.what, done_at)
    if sent.wants_report:
        yield delay_s, final
        if notice.what == Course.OUT_OF_ORDER:
            yield delay_s + 0.5, one(_ON_THE_WAY, now - timedelta(minutes=5))
        if notice.what == Course.TWICE:
            yield delay_s + 0.5, final
    if sent.wants_read and final.status == _DELIVERED and notice.what in (Course.READ, Course.DELIVERED):
        yield delay_s + 0.5, one(_DELIVERED, done_at + timedelta(seconds=1), is_read=True)


def parse_notice(text: str) -> Notice:
    """Read a notice as the command line and the page spell it: ``WHAT[,KEY=VALUE]...``.

    Raises:
        UsageError: it is none.
    """
    what, *pairs = [word.strip() for word in text.split(",")]
    values = {key.strip(): value.strip() for key, _, value in (pair.partition("=") for pair in pairs)}
    return notice_of({"what": what, **values})


def notice_of(values: object) -> Notice:
    """Read a notice from a decoded JSON object.

    Raises:
        UsageError: it is none.
    """
    try:
        notice = msgspec.convert(values, Notice, strict=False)
    except msgspec.ValidationError as error:
        raise UsageError(f"notice: {error}; its keys are {', '.join(Notice.__struct_fields__)}") from None
    is_status = notice.what.isascii() and notice.what.isalnum() and notice.what.upper() == notice.what
    if notice.what not in list(Course) and not (is_status and len(notice.what) <= 20):
        expected = f"expected one of {', '.join(Course)}, or a status in capitals like REJECTD"
        raise UsageError(f"notice {notice.what[:40]!r}: {expected}")
    if not 0 <= notice.delay_s <= MAX_DELAY_S:
        raise UsageError(f"notice {notice.what}: delay_s is 0 to {MAX_DELAY_S:g}")
    if not 0 <= notice.times <= _MOST_TIMES:
        raise UsageError(f"notice {notice.what}: times is 0 (for all messages) to {_MOST_TIMES}")
    if not (len(notice.err) <= 10 and (not notice.err or (notice.err.isascii() and notice.err.isdigit()))):
        raise UsageError(f"notice {notice.what}: err is a number")
    return notice


Push = Callable[[Notification, str], object]
"""Pushes a notification to a URL until it is taken, and returns then."""


class Notifier:
    """Pushes notifications when they are due, in threads of its own; safe to use from several threads.

    ``url`` is where accepted messages are notified by themselves (empty: nowhere), with ``notices`` in order and then
    as delivered.
    """

    def __init__(self, push: Push, closing: threading.Event, url: str = "", notices: Iterable[Notice] = ()) -> None:
        self.url = url
        self._push = push
        self._closing = closing
        self._waiting = list(notices)
        self._due: list[tuple[float, int, Notification, str]] = []
        self._count = itertools.count()
        self._changed = threading.Condition()
        self._threads: list[threading.Thread] = []

    def accepted(self, exchange: Exchange) -> None:
        """A message was taken in."""
        if not self.url:
            return
        sent = sent_in(exchange)
        notice = self._next()
        if sent.wants_report or sent.wants_read:
            pushes = _pushes(notice, sent, datetime.now(UTC))
            self._add(self.url, [(delay_s + _AFTER_ANSWER_S, notification) for delay_s, notification in pushes])

    def notify(self, url: str, notice: Notice, sent: Sent) -> list[Notification]:
        """Push what ``notice`` says about ``sent`` to ``url``; returns at once.

        Raises:
            UsageError: the request did not ask for it.
        """
        due = notifications(notice, sent)
        self._add(url, due)
        return [notification for _, notification in due]

    def _next(self) -> Notice:
        with self._changed:
            if not self._waiting:
                return Notice()
            notice = self._waiting[0]
            if notice.times == 1:
                del self._waiting[0]
            elif notice.times > 1:
                self._waiting[0] = msgspec.structs.replace(notice, times=notice.times - 1)
            return notice

    def _add(self, url: str, due: Iterable[tuple[float, Notification]]) -> None:
        now_s = time.monotonic()
        with self._changed:
            for delay_s, notification in due:
                heapq.heappush(self._due, (now_s + delay_s, next(self._count), notification, url))
            while len(self._threads) < min(4, len(self._due)):
                thread = threading.Thread(target=self._run, name="mmsprep-sandbox-notices", daemon=True)
                self._threads.append(thread)
                thread.start()
            self._changed.notify_all()

    def wake(self) -> None:
        """Have the threads see that the sandbox closes."""
        with self._changed:
            self._changed.notify_all()

    def _run(self) -> None:
        while (found := self._take()) is not None:
            self._push(*found)

    def _take(self) -> tuple[Notification, str] | None:
        """What is due, when it is; ``None``: the sandbox closes."""
        with self._changed:
            while not self._closing.is_set():
                left_s = self._due[0][0] - time.monotonic() if self._due else 3600.0
                if left_s <= 0:
                    _, _, notification, url = heapq.heappop(self._due)
                    return notification, url
                self._changed.wait(left_s)
        return None


def document(delivery: PushDelivery, notification: Notification) -> dict[str, Any]:
    """How far the push of a notice has come, as JSON values."""
    return push_document(delivery) | {
        "message_id": notification.about,
        "to": notification.sender,
        "status": "Read" if notification.is_read else notification.status,
        "err": notification.err,
        "door": notification.door.value,
        "at": notification.at.isoformat(),
    }


def _mm7_url(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/mm7"))
