"""The values of reception: what came in over a door, what it really is, and how it lies in the store.

Comes in: nothing. Goes out: the vocabulary of :mod:`mmsprep.receive`. Never: a read, a write, a decision
about who may push.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property


class PushDoor(StrEnum):
    """How a push came in: the gateway's form, or MM7 from a relay."""

    FORM = "form"
    MM7 = "mm7"


class What(StrEnum):
    """What was pushed."""

    MESSAGE = "message"
    DELIVERY_REPORT = "delivery_report"
    READ_REPLY = "read_reply"


class ForwardState(StrEnum):
    """How far the forwarding of a message is: to do, done, given up, or taken out of the queue by a person."""

    PENDING = "pending"
    DONE = "done"
    DEAD = "dead"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True, kw_only=True)
class RawPush:
    """A push as it came in over HTTP, not yet read; the query is without a token."""

    door: PushDoor
    method: str
    content_type: str
    query: str = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PushedPart:
    """One attachment as it was pushed: its bytes, and what the other side says of it."""

    data: bytes = field(repr=False)
    declared_type: str = ""
    declared_name: str = ""


@dataclass(frozen=True, kw_only=True)
class Incoming:
    """One push, read. ``id`` is the gateway's or relay's own, empty where it gave none.

    ``about_id`` (the sent message), ``status`` and ``status_text`` are a report's, as they were pushed. ``extra``
    are fields that nobody here knows, kept because the other side found them worth sending. ``sent_at`` is as the
    relay wrote it.
    """

    what: What
    door: PushDoor
    id: str
    sender: str
    recipients: tuple[str, ...] = ()
    subject: str = field(default="", repr=False)
    text: str = field(default="", repr=False)
    about_id: str = ""
    status: str = ""
    status_text: str = ""
    sent_at: str = ""
    extra: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    parts: tuple[PushedPart, ...] = ()

    @cached_property
    def digests(self) -> tuple[str, ...]:
        """SHA-256 of every part's bytes, in order."""
        return tuple(hashlib.sha256(part.data).hexdigest() for part in self.parts)

    @cached_property
    def key(self) -> str:
        """What makes this push the same as an earlier one: its id and its content, 24 hexadecimal digits.

        Names, declared types and unknown fields do not count: they may differ when the same message is pushed
        again. Without an id nothing tells a message that is pushed again from the same words sent twice, so
        each such push has a key of its own: rather twice than lost. A report says what it is about and when, so
        the same one again is the same.
        """
        own_id = self.id or (uuid.uuid4().hex if self.what is What.MESSAGE else "")
        told: list[object] = [self.what, self.door, own_id, self.sender]
        told += [self.subject, self.text, self.digests]
        if self.what is not What.MESSAGE:
            told += [self.recipients, self.about_id, self.status, self.status_text, self.sent_at]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:24]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPart:
    """One attachment in the store.

    ``name`` is safe for any file system and unique in its message. ``format`` is a slug of
    :data:`mmsprep.formats.FORMATS` or empty where the content is of no known type; ``content_type`` is what the
    content really is, ``declared_type`` what the other side called it.
    """

    name: str
    format: str
    content_type: str
    size_bytes: int
    sha256: str
    declared_type: str = ""
    declared_name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """One message or report in the store. ``number`` counts in the order of arrival."""

    number: int
    key: str
    what: What
    door: PushDoor
    id: str
    sender: str
    recipients: tuple[str, ...]
    subject: str = field(repr=False)
    text: str = field(repr=False)
    about_id: str
    status: str
    status_text: str
    sent_at: str
    extra: tuple[tuple[str, str], ...] = field(repr=False)
    received_at_s: float
    forward_state: ForwardState
    attempts: int
    refusals: int
    last_error: str
    parts: tuple[StoredPart, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadablePush:
    """A push that could not be read, kept as it came. ``pushes`` counts how often it came."""

    number: int
    door: PushDoor
    method: str
    content_type: str
    query: str = field(repr=False)
    reason: str
    size_bytes: int
    sha256: str
    received_at_s: float
    pushes: int

    @property
    def name(self) -> str:
        """What it is called on the command line."""
        return f"u{self.number}"


def lane_of(sender: str, key: str) -> str:
    """What waits for its turn together: one sender's messages; without a sender each waits for itself."""
    return sender or f"key:{key}"
