"""The values of the journal: what is sent, who is about to send it, what became of it.

Comes in: nothing. Goes out: :class:`Subject`, :class:`Claim` and :class:`Entry`. Never: a database.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from mmsprep.errors import GatewayBusy, NotSent, SendError, SendOutcomeUnknown


class State(StrEnum):
    """What became of an attempt.

    ``SENDING`` is the claim: somebody is at it; from one who is gone it means ``UNKNOWN``. ``RELEASED``: it was
    unknown, and a person decided to send again. ``RESERVED``: no attempt yet, a campaign is about to make it
    (:mod:`mmsprep.sender.reservations`); lists leave it out.
    """

    RESERVED = "reserved"
    SENDING = "sending"
    ACCEPTED = "accepted"
    NOT_SENT = "not_sent"
    REJECTED = "rejected"
    UNKNOWN = "unknown"
    RELEASED = "released"


STANDING = frozenset((State.SENDING, State.ACCEPTED, State.UNKNOWN))
"""An attempt in one of these states is the word on its subject: no other one begins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What the journal is asked about: a send to this recipient by this gateway.

    ``key`` is the same for two sends that mean the same although the bytes may differ (prepared anew, or by a
    stricter profile), and differs for two that are meant to arrive both; ``content_sha256`` is
    :attr:`mmsprep.Message.sha256`.
    """

    recipient: str
    key: str
    content_sha256: str
    gateway: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One attempt that is about to be made.

    ``lasts_s`` is how long it can take at most; after that time whoever finds it knows that its maker is gone.
    """

    subject: Subject
    transaction_id: str
    via: str
    lasts_s: float
    token: str = field(default_factory=lambda: uuid.uuid4().hex)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One attempt as the journal has it; times are seconds since 1970.

    ``reason`` is why it was not accepted, in our own words. ``settled_by`` says who knew: ``send`` the send itself,
    ``person`` whoever released it or said what became of it, by the name in ``person``; empty while nobody did.
    """

    recipient: str
    gateway: str
    key: str
    content_sha256: str
    via: str
    transaction_id: str
    token: str
    state: State
    message_id: str
    status_code: int | None
    error_code: str
    reason: str
    settled_by: str
    person: str
    created_at_s: float
    updated_at_s: float

    @property
    def started_at(self) -> str:
        """When it began: UTC, ISO 8601."""
        return iso_time(self.created_at_s)


def iso_time(moment_s: float) -> str:
    """Unix seconds as documents and reports tell them: UTC, ISO 8601, whole seconds."""
    return datetime.fromtimestamp(moment_s, UTC).isoformat(timespec="seconds")


def state_of(error: SendError) -> State:
    """What an error says about the attempt that met it."""
    if isinstance(error, SendOutcomeUnknown):
        return State.UNKNOWN
    return State.NOT_SENT if isinstance(error, (NotSent, GatewayBusy)) else State.REJECTED
