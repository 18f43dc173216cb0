"""Which message is to be forwarded next, kept in the database, so that no crash and no second server loses count.

Comes in: what became of an attempt. Goes out: the next message, lent to one forwarder at a time. Never: a
message of a sender before that sender's earlier ones are done or given up.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from sqlalchemy import and_, exists, select, update

from mmsprep.receive.incoming import ForwardState, Stored
from mmsprep.receive.schema import messages
from mmsprep.receive.store import Store, with_parts


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """When to try again: after ``first_wait_s``, then twice as long each time, at most ``longest_wait_s``.

    After ``most_attempts`` a message is given up (a dead letter). The defaults go on for about three days.
    """

    first_wait_s: float = 2.0
    longest_wait_s: float = 3600.0
    most_attempts: int = 82

    def wait_s(self, attempts: int) -> float:
        """How long to wait after that many attempts that failed."""
        return min(self.longest_wait_s, self.first_wait_s * 2.0 ** min(attempts - 1, 40))


def lend(store: Store, lease_s: float, due_by_s: float | None = None) -> Stored | None:
    """Take the oldest message whose turn it is; it is nobody else's for ``lease_s`` seconds.

    A forwarder that dies gives it back by letting the time run out. ``due_by_s``: only what was due at that
    time, so that one pass over the queue ends.

    Raises:
        StoreError: the database refuses.
    """
    now_s = time.time()
    earlier = messages.alias("earlier")
    pending = messages.c.forward_state == ForwardState.PENDING
    first_of_sender = ~exists().where(
        and_(
            earlier.c.sender == messages.c.sender,
            earlier.c.number < messages.c.number,
            earlier.c.forward_state == ForwardState.PENDING,
        )
    )
    due = and_(
        messages.c.next_attempt_at_s <= (now_s if due_by_s is None else due_by_s), messages.c.leased_until_s <= now_s
    )
    turn = select(messages.c.number).where(pending, first_of_sender, due).order_by(messages.c.number).limit(1)
    # The condition stands outside as well: PostgreSQL checks it again when another forwarder was first.
    taken = (
        update(messages)
        .where(messages.c.number == turn.scalar_subquery(), pending, due)
        .values(leased_until_s=now_s + lease_s, attempts=messages.c.attempts + 1)
        .returning(messages)
    )
    with store.writing() as connection:
        row = connection.execute(taken).first()
        return with_parts(connection, [row])[0] if row else None


def settle(store: Store, message: Stored, error: str, retry: Retry) -> ForwardState:
    """Note what became of an attempt; ``error`` is empty for success.

    Raises:
        StoreError: the database refuses; the message will be forwarded once more.
    """
    state = ForwardState.DONE
    if error:
        state = ForwardState.DEAD if message.attempts >= retry.most_attempts else ForwardState.PENDING
    change = (
        update(messages)
        .where(messages.c.number == message.number, messages.c.forward_state == ForwardState.PENDING)
        .values(
            forward_state=state,
            last_error=error,
            leased_until_s=0.0,
            next_attempt_at_s=time.time() + retry.wait_s(message.attempts) if error else 0.0,
        )
    )
    with store.writing() as connection:
        connection.execute(change)
    return state


def revive(store: Store) -> int:
    """Put every dead letter back into the queue, in its old place, with all its attempts before it again.

    Raises:
        StoreError: the database refuses.
    """
    change = (
        update(messages)
        .where(messages.c.forward_state == ForwardState.DEAD)
        .values(forward_state=ForwardState.PENDING, attempts=0, next_attempt_at_s=0.0, leased_until_s=0.0)
    )
    with store.writing() as connection:
        return int(connection.execute(change).rowcount)
