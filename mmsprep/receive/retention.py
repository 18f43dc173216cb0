"""How long messages stay: what is older is removed, with the attachments that nobody else needs.

Comes in: a store and an age. Goes out: how much was removed. Never: a message that waits to be handed on, unless
that is said.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, delete, func, select

from mmsprep.errors import StoreError, UsageError
from mmsprep.receive.incoming import ForwardState
from mmsprep.receive.schema import attachments, messages, unreadable
from mmsprep.receive.store import Store

_UNITS_S = {"h": 3600.0, "d": 86_400.0, "w": 7 * 86_400.0, "y": 365 * 86_400.0}
_BATCH = 200
_EVERY_S = 3600.0
_log = logging.getLogger("mmsprep.receive")


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was removed, or would be; ``waiting`` are messages of that age that wait to be handed on and stayed."""

    messages: int
    unreadable: int
    attachments: int
    size_bytes: int
    waiting: int


def seconds_of(age: str) -> float:
    """An age as people write it: ``90d``, ``12h``, ``2w``, ``1y``.

    Raises:
        UsageError: it is none.
    """
    found = re.fullmatch(r"([0-9]{1,6})\s*([hdwy])", age.strip().lower(), re.ASCII)
    if found is None or int(found[1]) == 0:
        raise UsageError(f"{age!r} is no age; expected a number with h, d, w or y: 90d")
    return int(found[1]) * _UNITS_S[found[2]]


def prune(store: Store, older_than_s: float, *, waiting_too: bool = False, dry_run: bool = False) -> Pruned:
    """Remove what came in more than ``older_than_s`` ago.

    Args:
        store: where it lies.
        older_than_s: the age.
        waiting_too: messages that wait to be handed on as well.
        dry_run: count only.

    Raises:
        StoreError: disk or database refuse; what was removed until then is gone.
    """
    before_s = time.time() - older_than_s
    old = messages.c.received_at_s < before_s
    waits = messages.c.forward_state == ForwardState.PENDING
    chosen = old if waiting_too else and_(old, ~waits)
    old_pushes = unreadable.c.received_at_s < before_s
    with store.guarded(), store.engine.connect() as connection:
        count = int(connection.scalar(select(func.count()).select_from(messages).where(chosen)) or 0)
        waiting = int(connection.scalar(select(func.count()).select_from(messages).where(old, waits)) or 0)
        pushes = int(connection.scalar(select(func.count()).select_from(unreadable).where(old_pushes)) or 0)
    waiting = 0 if waiting_too else waiting
    if dry_run:
        return Pruned(count, pushes, 0, 0, waiting)
    while _remove_some(store, chosen):
        pass
    with store.writing() as connection:
        connection.execute(delete(unreadable).where(old_pushes))
    files, size_bytes = store.collect()
    return Pruned(count, pushes, files, size_bytes, waiting)


def _remove_some(store: Store, chosen: ColumnElement[bool]) -> bool:
    """One transaction's worth: pushes wait no longer than that."""
    with store.guarded(), store.engine.connect() as connection:
        numbers = list(connection.scalars(select(messages.c.number).where(chosen).limit(_BATCH)))
    if not numbers:
        return False
    with store.writing() as connection:
        # Asked again: one of them may have been put back into the queue meanwhile.
        asked = select(messages.c.number).where(messages.c.number.in_(numbers), chosen)
        connection.execute(delete(attachments).where(attachments.c.message_number.in_(asked)))
        removed = connection.execute(delete(messages).where(messages.c.number.in_(numbers), chosen))
    return bool(removed.rowcount)


class Retention:
    """``with Retention(store, older_than_s):`` prunes once an hour until the block ends.

    A clock that is years ahead makes everything old: as long as nothing younger came in, nothing is removed.
    """

    def __init__(self, store: Store, older_than_s: float, *, waiting_too: bool) -> None:
        self._store = store
        self._older_than_s = older_than_s
        self._waiting_too = waiting_too
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work, name="mmsprep-retention", daemon=True)

    def __enter__(self) -> Retention:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join(1.0)

    def once(self) -> Pruned | None:
        """Prune, unless the clock cannot be believed.

        Raises:
            StoreError: disk or database refuse.
        """
        young = messages.c.received_at_s >= time.time() - self._older_than_s
        with self._store.guarded(), self._store.engine.connect() as connection:
            if connection.scalar(select(messages.c.number).where(young).limit(1)) is None:
                return None
        return prune(self._store, self._older_than_s, waiting_too=self._waiting_too)

    def _work(self) -> None:
        while not self._stopped.is_set():
            try:
                pruned = self.once()
            except StoreError as error:
                _log.error("not_pruned", extra={"reason": str(error)})
            else:
                if pruned and pruned.messages + pruned.unreadable + pruned.attachments:
                    facts = {"messages": pruned.messages, "size_bytes": pruned.size_bytes}
                    _log.info("pruned", extra=facts)
            self._stopped.wait(_EVERY_S)
