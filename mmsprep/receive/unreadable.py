"""What was pushed and could not be read: kept as it came, in bounds, and read again by a newer mmsprep.

Comes in: a push and the reason. Goes out: the same, listed; or a message in the store. Never: a secret (the
query is without its token), or more than the limits let in.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields

from sqlalchemy import Connection, delete, select

from mmsprep.errors import NotFound
from mmsprep.receive.characters import storable
from mmsprep.receive.incoming import PushDoor, RawPush, UnreadablePush
from mmsprep.receive.limits import Limits
from mmsprep.receive.schema import unreadable as table
from mmsprep.receive.store import Store

_MOST_CHARACTERS = 2000
_FIELDS = tuple(entry.name for entry in fields(UnreadablePush))
_log = logging.getLogger("mmsprep.receive")


def keep(store: Store, raw: RawPush, reason: str, limits: Limits) -> None:
    """Keep a push that could not be read; the same one again is kept once. The oldest make room.

    Raises:
        StoreError: disk or database refuse.
    """
    sha256 = hashlib.sha256(raw.body).hexdigest()
    told = json.dumps([raw.door, raw.method, raw.content_type, raw.query, sha256])
    row = {
        "key": hashlib.sha256(told.encode()).hexdigest(),
        "door": raw.door,
        "method": raw.method,
        "content_type": storable(raw.content_type)[:_MOST_CHARACTERS],
        "query": storable(raw.query),
        "reason": storable(reason)[:_MOST_CHARACTERS],
        "size_bytes": len(raw.body),
        "sha256": sha256,
        "received_at_s": time.time(),
        "pushes": 1,
    }
    with store.naming({sha256: raw.body}) as connection:
        statement = store.insert(table).values(row)
        again = {"pushes": table.c.pushes + 1, "reason": statement.excluded.reason}
        connection.execute(statement.on_conflict_do_update(index_elements=["key"], set_=again))
        gone = _make_room(connection, limits)
    if gone:
        _log.warning("unreadable_dropped", extra={"count": len(gone)})
        store.collect(gone)


def _make_room(connection: Connection, limits: Limits) -> list[str]:
    """Remove the oldest beyond the limits; the SHA-256s of their bodies."""
    size_bytes = 0
    beyond = []
    newest_first = select(table.c.number, table.c.size_bytes, table.c.sha256).order_by(table.c.number.desc())
    for count, row in enumerate(connection.execute(newest_first), 1):
        size_bytes += row.size_bytes
        if count > limits.max_unreadable or size_bytes > limits.max_unreadable_bytes:
            beyond.append(row)
    if beyond:
        connection.execute(delete(table).where(table.c.number <= beyond[0].number))
    return [row.sha256 for row in beyond]


def listed(store: Store, limit: int) -> list[UnreadablePush]:
    """The newest ``limit`` of them, newest first.

    Raises:
        StoreError: the database cannot be read.
    """
    with store.guarded(), store.engine.connect() as connection:
        rows = connection.execute(select(table).order_by(table.c.number.desc()).limit(limit)).all()
    return [
        UnreadablePush(**{name: getattr(row, name) for name in _FIELDS} | {"door": PushDoor(row.door)}) for row in rows
    ]


def raw_of(store: Store, name: str) -> RawPush:
    """The whole push that is called ``name`` (``u12``).

    Raises:
        NotFound: there is none.
        StoreError: it cannot be read.
    """
    number = name.lower().removeprefix("u")
    with store.guarded(), store.engine.connect() as connection:
        row = (
            connection.execute(select(table).where(table.c.number == int(number))).first()
            if _is_number(number)
            else None
        )
    if row is None:
        raise NotFound(name, "no unreadable push is called so; 'mmsprep inbox list --unreadable' shows them")
    return RawPush(
        door=PushDoor(row.door),
        method=row.method,
        content_type=row.content_type,
        query=row.query,
        body=store.read_blob(row.sha256),
    )


@dataclass(frozen=True, slots=True)
class Reread:
    """How many were read this time and are messages now, and how many are still unreadable."""

    stored: int
    unreadable: int


def reread(store: Store, take: Callable[[RawPush], str], names: Iterable[str] = ()) -> Reread:
    """Try all of them again, or those that are named, the oldest first.

    Args:
        store: where they lie.
        take: reads one and stores it; what it returns is why it cannot be read, empty where it can.
        names: which; none: all.

    Raises:
        NotFound: one of ``names`` is none.
        StoreError: disk or database refuse.
    """
    wanted = list(names) or [one.name for one in reversed(listed(store, limit=1_000_000))]
    stored = 0
    for name in wanted:
        raw = raw_of(store, name)
        if take(raw):
            continue
        with store.writing() as connection:
            connection.execute(delete(table).where(table.c.number == int(name.lower().removeprefix("u"))))
        store.collect([hashlib.sha256(raw.body).hexdigest()])
        stored += 1
    return Reread(stored, len(wanted) - stored)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 16
