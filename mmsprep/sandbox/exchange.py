"""The values of the sandbox: a request, what was understood of it, the verdict and the answer.

Comes in: nothing. Goes out: the vocabulary of :mod:`mmsprep.sandbox`. Never: behaviour that reads, judges or
answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from mmsprep.mm7 import REL_6
from mmsprep.model import Kind

MESSAGE_LIMIT_BYTES = 300_000
"""SMSGlobal: "MMS messages are limited to 300kb in total"."""


class Door(StrEnum):
    """The two ways in: the form of ``sendmms.php`` and the SOAP of ``mm7.php``."""

    FORM = "form"
    MM7 = "mm7"


@dataclass(frozen=True, slots=True)
class Login:
    """Who may send. The password stays out of every repr."""

    username: str = "sandbox"
    password: str = field(default="sandbox", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrivedRequest:
    """A request as it came: header fields in order, whole body."""

    headers: tuple[tuple[str, str], ...]
    body: bytes = field(repr=False)
    query: str = ""

    def header(self, name: str) -> str:
        """The first field called ``name``, in any case; empty when there is none."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class WireAnswer:
    """An answer as it goes back."""

    http_status: int
    content_type: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownPart:
    """One part of an accepted message. ``format`` is what it really is, ``content_type`` what was declared.

    ``overhead_bytes`` are its headers in the message. ``text`` is set for a text alone. ``content_id`` is what a
    presentation may call it by.
    """

    name: str
    content_type: str
    format: str
    kind: Kind
    size_bytes: int
    overhead_bytes: int
    text: str = ""
    content_id: str = ""


@dataclass(frozen=True, slots=True)
class Slide:
    """One slide: places of its parts in the message, in the order of their regions from top to bottom."""

    parts: tuple[int, ...]
    duration_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmittedContent:
    """What the phone gets. ``bodies`` has the bytes of each of ``parts``; ``total_bytes`` is the whole message.

    ``remarks`` are what is allowed, but no good idea.
    """

    parts: tuple[ShownPart, ...]
    slides: tuple[Slide, ...]
    smil: str
    total_bytes: int
    bodies: tuple[bytes, ...] = field(default=(), repr=False)
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """A message that was understood and conforms.

    ``wants_report`` and ``wants_read``: MM7 asked to be told when it is delivered, and when it is read.
    """

    number: str
    content: SubmittedContent
    sender: str = ""
    subject: str = ""
    wants_report: bool = False
    wants_read: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What the gateway makes of a request: ``status_code`` of its table, ``reason`` in words when it refuses.

    ``http_status`` 401 is the bare answer to wrong credentials. ``transaction_id`` and ``namespace`` are the
    request's, to be echoed by MM7.
    """

    status_code: int
    reason: str = ""
    message_id: str = ""
    http_status: int = 200
    submission: Submission | None = None
    transaction_id: str = ""
    namespace: str = REL_6

    @property
    def accepted(self) -> bool:
        """Whether the message is on its way."""
        return self.submission is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One request and what became of it, as it is kept and shown.

    ``fault`` says which asked-for fault the client met, empty: none. ``answer`` is what was sent back, ``None``
    where the connection was dropped. The bytes of request and parts lie in files, see
    :class:`mmsprep.sandbox.traffic.Traffic`.
    """

    number: int
    at: datetime
    door: Door
    judgement: Judgement
    headers: tuple[tuple[str, str], ...]
    request_bytes: int
    answer: WireAnswer | None
    fault: str = ""


class Refused(Exception):
    """A request departs from the specification: the status code of the table, and the reason in words."""

    def __init__(self, status_code: int, reason: str) -> None:
        super().__init__(status_code, reason)
        self.status_code = status_code
        self.reason = reason
