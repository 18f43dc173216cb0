"""The store of incoming messages: a database for what was said, blobs for the attachments.

Comes in: pushes, looked at. Goes out: an answer only when everything is on disk; later the messages, newest
first. Never: half a message, the same message twice, or a file outside of the store's folder.

A message is its row: attachments are put in place first, then one transaction makes row and attachment rows
visible. A server killed between the two leaves attachments that nobody sees, and a gateway that pushes again.
What nobody names is removed by :meth:`Store.collect`, never at the same moment as a message is made visible.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, fields
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, Row, func, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from mmsprep.errors import NotFound, StoreError, UsageError, reason_of
from mmsprep.receive import schema
from mmsprep.receive.blobs import Blobs, FolderBlobs, RemoteBlobs, sync_folder
from mmsprep.receive.incoming import ForwardState, Incoming, PushDoor, Stored, StoredPart, What, lane_of
from mmsprep.tools.database import reason

DATABASE_NAME = "inbox.sqlite3"
_MOST_PARAMETERS = 500
_ROOM_BYTES = 2_000_000
"""What a message may need: the largest that relays take have 600 kB."""
_COLLECT_LOCK = 0x6D6D73636F6C
"""Any number: who removes bytes and who names them exclude each other."""
_PART_FIELDS = tuple(entry.name for entry in fields(StoredPart))


@dataclass(frozen=True, slots=True)
class Added:
    """What became of a push. ``is_new`` false: it was in the store already, and nothing was changed.

    ``shares_id``: another message with other content has the same id; both are kept.
    """

    number: int
    key: str
    is_new: bool
    shares_id: bool = False


@dataclass(frozen=True, slots=True)
class Size:
    """How much a store holds; attachments with the same content count once."""

    messages: int
    attachment_bytes: int
    unreadable: int
    unreadable_bytes: int
    free_bytes: int | None


class Store:
    """Incoming messages; safe for any number of threads and processes, on several machines with PostgreSQL."""

    def __init__(self, engine: Engine, blobs: Blobs) -> None:
        self.engine = engine
        self._blobs = blobs
        # SQLite has one writer at a time and lets the others poll; within this process they queue instead.
        self._turn = nullcontext() if self.is_postgresql else threading.Lock()
        self.insert = postgresql.insert if self.is_postgresql else sqlite.insert

    @property
    def is_postgresql(self) -> bool:
        """Whether the database is PostgreSQL, which has many writers."""
        return self.engine.dialect.name == "postgresql"

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the database connections back."""
        self.engine.dispose()

    def add(self, incoming: Incoming, parts: Sequence[StoredPart]) -> Added:
        """Keep a push; when this returns, it is on disk exactly once.

        Args:
            incoming: what was pushed.
            parts: the description of each of its attachments, in order.

        Raises:
            StoreError: disk or database refuse; nothing of it can be seen.
        """
        key = incoming.key
        blobs = {described.sha256: part.data for part, described in zip(incoming.parts, parts, strict=True)}
        with self.naming(blobs) as connection:
            # The insert comes first: it takes SQLite's write lock before anything is read, and in PostgreSQL
            # it waits for another push of the same message until that one is committed or gone.
            statement = self.insert(schema.messages).values(row_of(incoming, key))
            number = connection.scalar(
                statement.on_conflict_do_nothing(index_elements=["key"]).returning(schema.messages.c.number)
            )
            if number is None:
                found = connection.scalar(select(schema.messages.c.number).where(schema.messages.c.key == key))
                return Added(int(found or 0), key, is_new=False)
            if parts:
                rows = [asdict(part) | {"position": at} for at, part in enumerate(parts)]
                connection.execute(schema.attachments.insert(), [row | {"message_number": number} for row in rows])
            self.open_lane(connection, lane_of(incoming.sender, key))
            return Added(int(number), key, is_new=True, shares_id=_shares_id(connection, incoming, key))

    def open_lane(self, connection: Connection, lane: str) -> None:
        """See to it that what waits in this lane is found; it is not hurried when it waits already."""
        statement = self.insert(schema.lanes).values(lane=lane, due_at_s=time.time())
        # Not "do nothing": the row must be held until this is committed, or who finds the lane empty removes it.
        unchanged = {"lane": statement.excluded.lane}
        connection.execute(statement.on_conflict_do_update(index_elements=["lane"], set_=unchanged))

    @contextmanager
    def naming(self, blobs: Mapping[str, bytes]) -> Iterator[Connection]:
        """Keep ``blobs``, then a transaction in which rows may name them by their SHA-256; nobody collects meanwhile.

        Raises:
            StoreError: disk or database refuse; nothing of it can be seen.
        """
        with self.guarded():
            for sha256, data in blobs.items():
                self._blobs.put(sha256, data)
            with self.writing() as connection:
                self._hold_off_collecting(connection)
                yield connection
                for sha256, data in blobs.items():
                    # Somebody collected it before this transaction began.
                    if not self._blobs.has(sha256, len(data)):
                        self._blobs.put(sha256, data)

    def messages(self, limit: int = 50, states: Iterable[ForwardState] = ForwardState) -> list[Stored]:
        """The newest ``limit`` messages whose forwarding is in one of ``states``, newest first.

        Raises:
            StoreError: the database cannot be read.
        """
        table = schema.messages
        query = select(table).where(table.c.forward_state.in_(list(states))).order_by(table.c.number.desc())
        with self.guarded(), self.engine.connect() as connection:
            return with_parts(connection, connection.execute(query.limit(limit)).all())

    def find(self, name: str) -> Stored:
        """The message with this id, or with this key or beginning of one (six digits or more).

        Raises:
            NotFound: there is none.
            UsageError: there are several; the message names their keys.
            StoreError: the database cannot be read.
        """
        table = schema.messages
        with self.guarded(), self.engine.connect() as connection:
            rows = connection.execute(select(table).where(table.c.id == name).order_by(table.c.number)).all()
            if not rows and len(name) >= 6:
                query = select(table).where(table.c.key.startswith(name.lower(), autoescape=True))
                rows = connection.execute(query.order_by(table.c.number).limit(10)).all()
            found = with_parts(connection, rows)
        if not found:
            raise NotFound(name, "no message in the store has this id or key; 'mmsprep inbox list' shows them")
        if len(found) > 1:
            keys = ", ".join(one.key for one in found)
            raise UsageError(f"{name}: several messages have this id; say which by its key: {keys}")
        return found[0]

    def read(self, part: StoredPart) -> bytes:
        """An attachment's bytes, proven to be what was received.

        Raises:
            StoreError: they are gone or damaged.
        """
        return self._blobs.get(part.sha256)

    def read_blob(self, sha256: str) -> bytes:
        """Kept bytes by their SHA-256.

        Raises:
            StoreError: they are gone or damaged.
        """
        return self._blobs.get(sha256)

    def collect(self, names: Iterable[str] | None = None) -> tuple[int, int]:
        """Remove kept bytes that no message and no unreadable push names.

        Args:
            names: SHA-256s to look at; ``None``: all that are older than an hour.

        Returns:
            How many were removed, and their bytes.

        Raises:
            StoreError: disk or database refuse.
        """
        count = size_bytes = 0
        with self.guarded():
            asked = iter(self._blobs.names() if names is None else sorted(set(names)))
            # A few at a time: pushes wait meanwhile.
            while batch := list(islice(asked, _MOST_PARAMETERS // 5)):
                with self.writing() as connection:
                    self._keep_others_from_naming(connection)
                    for sha256 in set(batch) - _named(connection, batch):
                        removed_bytes = self._blobs.remove(sha256)
                        count += removed_bytes > 0
                        size_bytes += removed_bytes
        return count, size_bytes

    def size(self) -> Size:
        """How much there is.

        Raises:
            StoreError: the database cannot be read.
        """
        kept = schema.attachments
        once = select(kept.c.sha256, func.max(kept.c.size_bytes).label("size_bytes")).group_by(kept.c.sha256).subquery()
        with self.guarded(), self.engine.connect() as connection:
            return Size(
                messages=int(connection.scalar(select(func.count()).select_from(schema.messages)) or 0),
                attachment_bytes=int(connection.scalar(select(func.sum(once.c.size_bytes))) or 0),
                unreadable=int(connection.scalar(select(func.count()).select_from(schema.unreadable)) or 0),
                unreadable_bytes=int(connection.scalar(select(func.sum(schema.unreadable.c.size_bytes))) or 0),
                free_bytes=self._blobs.free_bytes(),
            )

    def count(self, state: ForwardState | None = None) -> int:
        """How many messages there are, or how many whose forwarding is in ``state``.

        Raises:
            StoreError: the database cannot be read.
        """
        query = select(func.count()).select_from(schema.messages)
        if state:
            query = query.where(schema.messages.c.forward_state == state)
        with self.guarded(), self.engine.connect() as connection:
            return int(connection.scalar(query) or 0)

    def check(self) -> None:
        """See whether a message could be stored now: room for one of the largest, and a row written to disk.

        Raises:
            StoreError: it could not.
        """
        with self.guarded():
            self._blobs.check(_ROOM_BYTES)
            with self.writing() as connection:
                connection.execute(schema.store.update().values(version=schema.store.c.version))

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One transaction, committed to disk when the block ends.

        Raises:
            StoreError: the database refuses.
        """
        with self.guarded(), self._turn, self.engine.begin() as connection:
            yield connection

    def _hold_off_collecting(self, connection: Connection) -> None:
        if self.is_postgresql:
            connection.execute(text(f"SELECT pg_advisory_xact_lock_shared({_COLLECT_LOCK})"))

    def _keep_others_from_naming(self, connection: Connection) -> None:
        """SQLite has one writer; an update that changes nothing makes it this one."""
        if self.is_postgresql:
            connection.execute(text(f"SELECT pg_advisory_xact_lock({_COLLECT_LOCK})"))
        else:
            connection.execute(schema.store.update().values(version=schema.store.c.version))

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """What disk and database raise comes out as :class:`StoreError`."""
        try:
            yield
        except SQLAlchemyError as error:
            raise StoreError(f"the database refuses ({reason(error)})") from error
        except OSError as error:
            raise StoreError(f"the attachments' place refuses ({reason_of(error)})") from error


def open_store(folder: str | Path = "mms-inbox", database: str = "", *, create: bool = True) -> Store:
    """Open the store of incoming messages.

    Args:
        folder: where the attachments lie, and the SQLite database unless ``database`` names another; or an
            fsspec URL (``s3://...``), which needs ``database``.
        database: ``postgresql://user@host/name`` for more than one machine.
        create: make what is missing; false: a store that is not there is an error, and looking makes no folder.

    Raises:
        NotFound: it is not there and ``create`` is false.
        UsageError: the two do not go together.
        ToolMissing: a package for the database or the place is not installed.
        StoreError: it cannot be opened.
    """
    place = str(folder)
    if "://" in place:
        if not database:
            raise UsageError("attachments at a URL need a database beside them: --database postgresql://...")
        remote = RemoteBlobs(place)
        return Store(schema.open_engine(database, create=create), remote)
    path = Path(folder)
    if not create and not database and not schema.is_there(path / DATABASE_NAME):
        raise NotFound(place, "there is no store of incoming messages; --store names the folder")
    engine = schema.open_engine(database, create=create) if database else None
    try:
        blobs = FolderBlobs(path / "attachments", create=create)
    except OSError as error:
        raise StoreError(f"{place}: the store cannot be opened ({reason_of(error)})") from None
    if engine:
        return Store(engine, blobs)
    engine = schema.open_engine(URL.create("sqlite", database=str(path.absolute() / DATABASE_NAME)))
    sync_folder(path)
    return Store(engine, blobs)


def with_parts(connection: Connection, rows: Sequence[Row[Any]]) -> list[Stored]:
    """Message rows with their attachments, in the rows' order."""
    table = schema.attachments
    numbers = [row.number for row in rows]
    parts: dict[int, list[StoredPart]] = {number: [] for number in numbers}
    for start in range(0, len(numbers), _MOST_PARAMETERS):
        asked = table.c.message_number.in_(numbers[start : start + _MOST_PARAMETERS])
        for row in connection.execute(select(table).where(asked).order_by(table.c.message_number, table.c.position)):
            parts[row.message_number].append(StoredPart(**{name: getattr(row, name) for name in _PART_FIELDS}))
    return [_stored(row, tuple(parts[row.number])) for row in rows]


def _stored(row: Row[Any], parts: tuple[StoredPart, ...]) -> Stored:
    values = {entry.name: getattr(row, entry.name) for entry in fields(Stored) if entry.name != "parts"}
    return Stored(
        **values
        | {
            "what": What(row.what),
            "door": PushDoor(row.door),
            "recipients": tuple(row.recipients),
            "extra": tuple((name, value) for name, value in row.extra),
            "forward_state": ForwardState(row.forward_state),
            "parts": parts,
        }
    )


def row_of(incoming: Incoming, key: str) -> dict[str, Any]:
    """The values of a new message's row."""
    row = {
        column.name: getattr(incoming, column.name) for column in schema.messages.c if hasattr(incoming, column.name)
    }
    return row | {
        "key": key,
        "recipients": list(incoming.recipients),
        "extra": [list(pair) for pair in incoming.extra],
        "received_at_s": time.time(),
        "forward_state": ForwardState.PENDING,
        "attempts": 0,
        "refusals": 0,
        "last_error": "",
        "lane": lane_of(incoming.sender, key),
    }


def _named(connection: Connection, sha256s: Sequence[str]) -> set[str]:
    """Those of these that a row names."""
    found: set[str] = set()
    for table in (schema.attachments, schema.unreadable):
        found |= set(connection.scalars(select(table.c.sha256).where(table.c.sha256.in_(sha256s))))
    return found


def _shares_id(connection: Connection, incoming: Incoming, key: str) -> bool:
    table = schema.messages
    same_id = (table.c.id == incoming.id) & (table.c.door == incoming.door) & (table.c.what == incoming.what)
    return (
        bool(incoming.id)
        and connection.scalar(select(table.c.number).where(same_id, table.c.key != key).limit(1)) is not None
    )
