"""Which message is to be forwarded next, kept in the database, so that no crash and no second server loses count.

Comes in: what became of an attempt. Goes out: the next message, lent to one forwarder at a time. Never: a
message of a sender before that sender's earlier ones are done, given up or dropped.

What must stay in order stands in one lane, and a lane has one row, with the time at which its first message may be
tried. Who looks for work reads an index; only who found some writes. While somebody has a message, its lane's time is
when that ends: a forwarder that dies gives it back by letting the time run out.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, select, update

from mmsprep.receive.incoming import ForwardState, Stored, lane_of
from mmsprep.receive.schema import lanes, messages
from mmsprep.receive.store import Store, with_parts
from mmsprep.tools import backoff

LONGEST_WAIT_S = 3600.0
_CLOCK_MARGIN_S = 600.0
_MOST_LOST_RACES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """When to try again: after ``first_wait_s``, then twice as long each time, at most ``longest_wait_s``.

    After ``most_attempts`` a message is given up (a dead letter), and after ``most_refusals`` answers that say that
    the message itself is not wanted. The defaults go on for about three days.
    """

    first_wait_s: float = 2.0
    longest_wait_s: float = LONGEST_WAIT_S
    most_attempts: int = 82
    most_refusals: int = 3

    def wait_s(self, attempts: int) -> float:
        """How long to wait after that many attempts that failed."""
        return backoff.wait_s(attempts, first_s=self.first_wait_s, longest_s=self.longest_wait_s)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an attempt; ``problem`` is empty for success, ``is_refusal``: trying again changes nothing."""

    problem: str = ""
    is_refusal: bool = False


def lend(
    store: Store, lease_s: float, due_by_s: float | None = None, longest_wait_s: float = LONGEST_WAIT_S
) -> Stored | None:
    """Take the first message of the lane that has waited longest; it is nobody else's for ``lease_s`` seconds.

    Args:
        store: where the messages are.
        lease_s: how long it is lent.
        due_by_s: only what was due at that time, so that one pass over the queue ends.
        longest_wait_s: a time further away than any wait or lease was set by a clock that was wrong, and is over.

    Raises:
        StoreError: the database refuses.
    """
    now_s = time.time()
    farthest_s = now_s + max(longest_wait_s, lease_s) + _CLOCK_MARGIN_S
    for _ in range(_MOST_LOST_RACES):
        found = _due_lane(store, now_s if due_by_s is None else due_by_s, farthest_s)
        if found is None:
            return None
        lane, due_at_s = found
        with store.writing() as connection:
            taken = connection.execute(
                update(lanes).where(lanes.c.lane == lane, lanes.c.due_at_s == due_at_s).values(due_at_s=now_s + lease_s)
            )
            if not taken.rowcount:
                continue
            number = _first_of(connection, lane)
            if number is None:
                connection.execute(delete(lanes).where(lanes.c.lane == lane))
                continue
            counted = update(messages).where(messages.c.number == number).values(attempts=messages.c.attempts + 1)
            row = connection.execute(counted.returning(messages)).one()
            return with_parts(connection, [row])[0]
    return None


def settle(store: Store, message: Stored, outcome: Outcome, retry: Retry) -> ForwardState:
    """Note what became of an attempt.

    Raises:
        StoreError: the database refuses; the message will be forwarded once more.
    """
    lane = lane_of(message.sender, message.key)
    refusals = message.refusals + outcome.is_refusal
    state, due_at_s = ForwardState.DONE, 0.0
    if outcome.problem:
        over = message.attempts >= retry.most_attempts or refusals >= retry.most_refusals
        state = ForwardState.DEAD if over else ForwardState.PENDING
        due_at_s = time.time() + retry.wait_s(message.attempts)
    is_mine = (messages.c.number == message.number) & (messages.c.forward_state == ForwardState.PENDING)
    if outcome.problem:
        # The lease ran out and somebody else has it now: a failure says nothing any more.
        is_mine &= messages.c.attempts == message.attempts
    with store.writing() as connection:
        _hold(connection, lane)
        changed = connection.execute(
            update(messages).where(is_mine).values(forward_state=state, last_error=outcome.problem, refusals=refusals)
        )
        if changed.rowcount and state is ForwardState.PENDING:
            connection.execute(update(lanes).where(lanes.c.lane == lane).values(due_at_s=due_at_s))
        elif changed.rowcount:
            _go_on(connection, lane)
    return state


def drop(store: Store, message: Stored) -> bool:
    """Take a message out of the queue for good; whether it was still in it, or a dead letter.

    Raises:
        StoreError: the database refuses.
    """
    lane = lane_of(message.sender, message.key)
    waiting = messages.c.forward_state.in_([ForwardState.PENDING, ForwardState.DEAD])
    with store.writing() as connection:
        _hold(connection, lane)
        was_first = _first_of(connection, lane) == message.number
        dropped = connection.execute(
            update(messages)
            .where(messages.c.number == message.number, waiting)
            .values(forward_state=ForwardState.DROPPED)
        )
        if was_first:
            _go_on(connection, lane)
    return bool(dropped.rowcount)


def revive(store: Store, chosen: Sequence[Stored] | None = None) -> int:
    """Put messages back into the queue, each in its old place, with all its attempts before it again.

    Args:
        store: where they are.
        chosen: which, whatever became of them; ``None``: every dead letter.

    Returns:
        How many.

    Raises:
        StoreError: the database refuses.
    """
    which = messages.c.forward_state == ForwardState.DEAD
    if chosen is not None:
        which = messages.c.number.in_([message.number for message in chosen])
    change = (
        update(messages)
        .where(which)
        .values(forward_state=ForwardState.PENDING, attempts=0, refusals=0)
        .returning(messages.c.lane)
    )
    with store.writing() as connection:
        changed = list(connection.scalars(change))
        for lane in sorted(set(changed)):
            store.open_lane(connection, lane)
            if chosen is not None:
                connection.execute(update(lanes).where(lanes.c.lane == lane).values(due_at_s=time.time()))
    return len(changed)


def _due_lane(store: Store, due_by_s: float, farthest_s: float) -> tuple[str, float] | None:
    which = select(lanes.c.lane, lanes.c.due_at_s).limit(1)
    with store.guarded(), store.engine.connect() as connection:
        row = connection.execute(which.where(lanes.c.due_at_s <= due_by_s).order_by(lanes.c.due_at_s)).first()
        if row is None:
            row = connection.execute(which.where(lanes.c.due_at_s > farthest_s)).first()
    return None if row is None else (row.lane, row.due_at_s)


def _hold(connection: Connection, lane: str) -> None:
    """Have the lane's row first, in every transaction: then none waits for another in a circle."""
    connection.execute(update(lanes).where(lanes.c.lane == lane).values(lane=lane))


def _first_of(connection: Connection, lane: str) -> int | None:
    pending = messages.c.forward_state == ForwardState.PENDING
    number: int | None = connection.scalar(select(func.min(messages.c.number)).where(pending, messages.c.lane == lane))
    return number


def _go_on(connection: Connection, lane: str) -> None:
    """The lane's next message may be tried at once, as one that has waited since it came; without one it is closed."""
    number = _first_of(connection, lane)
    if number is None:
        connection.execute(delete(lanes).where(lanes.c.lane == lane))
        return
    received_at_s = connection.scalar(select(messages.c.received_at_s).where(messages.c.number == number))
    due_at_s = min(time.time(), received_at_s or 0.0)
    connection.execute(update(lanes).where(lanes.c.lane == lane).values(due_at_s=due_at_s))
