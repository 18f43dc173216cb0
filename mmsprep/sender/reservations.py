"""The next recipients of a campaign in the journal: reserved together, begun one by one, ended as answers come.

Comes in: recipients, then their claims and outcomes. Goes out: what :class:`~mmsprep.sender.journal.Journal` says of a
claim. Never: a byte of a message to somebody of whom the disk does not know, or a commit of its own that waits for it.

A reservation is on disk before anybody may begin. That somebody has begun, and how it ended, is committed without
waiting for the disk: the kernel keeps it when the process is killed, so whoever was reserved and not begun by a process
that is gone is free. Losing power may take those marks back; after another start of the machine a reservation
therefore counts as unknown (:mod:`mmsprep.sender.owner` tells the starts apart). Where nobody can tell them apart, and
on PostgreSQL, nothing is reserved and every claim and outcome is a durable commit of its own.
"""

from __future__ import annotations

import sqlite3
import time
import uuid
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any

from mmsprep.errors import ContentRefused, JournalError, SendError
from mmsprep.sender.entry import Claim, Entry, State
from mmsprep.sender.journal import SLACK_S, Journal, values_of
from mmsprep.sender.owner import this_process
from mmsprep.sender.wire import Receipt
from mmsprep.tools.sqlite import open_shared, set_durable

_RESERVE = (
    "INSERT INTO attempts (recipient, gateway, key, content_sha256, via, transaction_id, token, state, stands, owner,"
    " expires_at_s, message_id, error_code, reason, settled_by, person, created_at_s, updated_at_s) SELECT column1, ?,"
    " ?, '', '', '', column2, 'reserved', 1, ?, ?, '', '', '', '', '', ?, ? FROM (VALUES {rows}) WHERE true"
    " ON CONFLICT DO NOTHING"
)
"""All in one statement: each lets other threads run before it goes on, and who wants to begin waits for it."""
_RESERVED = "SELECT recipient FROM attempts WHERE token >= ? AND token <= ?"
_REFUSED = "SELECT DISTINCT content_sha256 FROM attempts WHERE error_code = ? AND gateway = ?"
_JUDGED = (
    "SELECT error_code FROM attempts WHERE content_sha256 = ? AND gateway = ?"
    " AND (state = 'accepted' OR error_code = ?) ORDER BY number DESC LIMIT 1"
)
_BEGIN = (
    "UPDATE attempts SET state = 'sending', content_sha256 = :content_sha256, via = :via,"
    " transaction_id = :transaction_id, expires_at_s = :expires_at_s, created_at_s = :now_s, updated_at_s = :now_s"
    " WHERE token = :token AND state = 'reserved' AND expires_at_s >= :now_s"
)
_SETTLE = (
    "UPDATE attempts SET state = :state, stands = stands AND :stands, message_id = :message_id,"
    " status_code = :status_code, error_code = :error_code, reason = :reason, settled_by = 'send', owner = '',"
    " expires_at_s = :now_s, updated_at_s = :now_s WHERE token = :token"
)
_GIVE_BACK = "DELETE FROM attempts WHERE token = ? AND state = 'reserved'"


class _Beginning:
    """Somebody whose turn it is, and what became of that."""

    def __init__(self, claim: Claim, token: str) -> None:
        self.claim = claim
        self.token = token
        self.begun = False
        self.is_done = False
        self.error: JournalError | None = None


class Reservations:
    """``with Reservations(journal, ...) as book:``, then :func:`mmsprep.send` takes ``book`` as its journal.

    Safe for any number of threads. What is reserved and was not begun is given back at the end of the block, and
    everything is on disk then.

    Args:
        journal: an open one.
        key: the campaign's key.
        gateway: the gateway's base address.
        lasts_s: how long one attempt can take.

    Raises:
        JournalError: the journal cannot be opened.
    """

    def __init__(self, journal: Journal, *, key: str, gateway: str, lasts_s: float) -> None:
        self._journal = journal
        self._key, self._gateway = key, gateway.rstrip("/")
        self._lasts_s = lasts_s
        self._reserved: dict[str, str] = {}
        self._begun: dict[str, str] = {}
        self._beginning: deque[_Beginning] = deque()
        self._ended: deque[dict[str, Any]] = deque()
        self._is_durable = True
        self._refused: set[str] = set()
        self._connection: sqlite3.Connection | None = None
        if journal.file and this_process():
            try:
                self._connection = open_shared(journal.file, journal.wait_s)
                found = self._connection.execute(_REFUSED, (ContentRefused.code, self._gateway))
                self._refused.update(content for (content,) in found)
            except sqlite3.Error as error:
                raise self._mapped(error) from None

    def __enter__(self) -> Reservations:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def can_reserve(self) -> bool:
        """Whether anything is gained by reserving."""
        return self._connection is not None

    def reserve(self, recipients: Sequence[str]) -> None:
        """Make room for them, on disk when this returns; whom the journal knows already it tells at their claim.

        Raises:
            JournalError: it cannot be written.
        """
        if self._connection is None or not recipients:
            return
        now_s = time.time()
        # One look at the system's randomness for all of them.
        mark = uuid.uuid4().hex[:24]
        tokens = {recipient: f"{mark}{place:08x}" for place, recipient in enumerate(recipients)}
        common = (self._gateway, self._key, this_process(), self._expires_at_s(now_s), now_s, now_s)
        rows = ", ".join(["(?, ?)"] * len(tokens))
        with self._journal.turn, self._transaction(durable=True) as cursor:
            cursor.execute(_RESERVE.format(rows=rows), (*common, *chain.from_iterable(tokens.items())))
            if cursor.rowcount < len(tokens):
                found = cursor.execute(_RESERVED, (mark + "0" * 8, mark + "f" * 8))
                tokens = {recipient: tokens[recipient] for (recipient,) in found}
        self._reserved |= tokens

    def claim(self, claim: Claim, *, resend_unknown: bool = False) -> Entry | None:
        """As :meth:`.Journal.claim`; of somebody who was reserved it waits for no disk.

        Raises:
            JournalError: the journal cannot be read or written.
        """
        token = self._reserved.pop(claim.subject.recipient, "")
        if token and self._begin(_Beginning(claim, token)):
            self._begun[claim.token] = token
            return None
        self.flush()
        return self._journal.claim(claim, resend_unknown=resend_unknown)

    def settle(self, claim: Claim, outcome: Receipt | SendError) -> None:
        """Record what became of a claim, with the next claim or :meth:`flush`.

        Raises:
            JournalError: it cannot be recorded.
        """
        if self._connection is None:
            self._journal.settle(claim, outcome)
            return
        token = self._begun.pop(claim.token, claim.token)
        if isinstance(outcome, ContentRefused):
            self._refused.add(claim.subject.content_sha256)
        values = {"message_id": "", "error_code": "", "reason": "", "stands": True, **values_of(outcome)}
        self._ended.append({**values, "token": token, "now_s": time.time()})

    def flush(self) -> None:
        """Commit the outcomes that wait for it, so that no kill takes them.

        Raises:
            JournalError: they cannot be recorded.
        """
        if self._ended:
            with self._journal.turn, self._transaction(durable=False):
                pass

    def close(self) -> None:
        """Give back what was not begun; everything is on disk when this returns.

        Raises:
            JournalError: outcomes cannot be recorded.
        """
        if self._connection is None:
            return
        try:
            with self._journal.turn, self._transaction(durable=True) as cursor:
                while self._reserved:
                    cursor.execute(_GIVE_BACK, (self._reserved.popitem()[1],))
        finally:
            self._connection.close()
            self._connection = None

    def _expires_at_s(self, now_s: float) -> float:
        return now_s + self._lasts_s + SLACK_S

    def _begin(self, mine: _Beginning) -> bool:
        """Mark that it begins; whoever gets the turn does it for all who wait."""
        self._beginning.append(mine)
        with self._journal.turn:
            if not mine.is_done:
                together = [self._beginning.popleft() for _ in range(len(self._beginning))]
                try:
                    with self._transaction(durable=False) as cursor:
                        for one in together:
                            one.begun = self._begun_in(cursor, one)
                except JournalError as error:
                    for one in together:
                        one.error = error
                finally:
                    for one in together:
                        one.is_done = True
        if mine.error is not None:
            raise JournalError(str(mine.error))
        return mine.begun

    def _begun_in(self, cursor: sqlite3.Cursor, one: _Beginning) -> bool:
        """False: the gateway refused this very content, or the reservation is over; the journal says which."""
        subject, now_s = one.claim.subject, time.time()
        if subject.content_sha256 in self._refused:
            # Unless it was accepted since.
            judged = cursor.execute(_JUDGED, (subject.content_sha256, subject.gateway, ContentRefused.code)).fetchone()
            if judged and judged[0] == ContentRefused.code:
                cursor.execute(_GIVE_BACK, (one.token,))
                return False
        values = {
            "token": one.token,
            "content_sha256": subject.content_sha256,
            "via": str(one.claim.via),
            "transaction_id": one.claim.transaction_id,
            "now_s": now_s,
            "expires_at_s": self._expires_at_s(now_s),
        }
        return bool(cursor.execute(_BEGIN, values).rowcount)

    @contextmanager
    def _transaction(self, *, durable: bool) -> Iterator[sqlite3.Cursor]:
        """One commit, with all outcomes that wait before it; to be called in turn."""
        assert self._connection is not None
        ended = [self._ended.popleft() for _ in range(len(self._ended))]
        try:
            if durable is not self._is_durable:
                set_durable(self._connection, durable)
                self._is_durable = durable
            cursor = self._connection.execute("BEGIN IMMEDIATE")
            try:
                cursor.executemany(_SETTLE, ended)
                yield cursor
                cursor.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    cursor.execute("ROLLBACK")
                raise
        except sqlite3.Error as problem:
            error = self._mapped(problem)
            # The end of the block tries once more.
            self._ended.extendleft(reversed(ended))
            accepted = [values["message_id"] for values in ended if values["state"] == State.ACCEPTED]
            if accepted:
                raise JournalError(
                    f"the gateway ACCEPTED {len(accepted)} messages (id {', '.join(accepted[:20])}), but that could not"
                    f" be recorded, so the journal calls them unknown: {error}"
                ) from None
            raise error from None

    def _mapped(self, error: sqlite3.Error) -> JournalError:
        return JournalError(f"{self._journal.name}: {error}; nothing more was sent")
