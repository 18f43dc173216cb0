"""The tables of the store.

Comes in: a database URL. Goes out: an SQLAlchemy engine. Never: a query about a message.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Connection,
    Engine,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    inspect,
    select,
    text,
)
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError

from mmsprep.errors import NotFound, StoreError
from mmsprep.tools import database
from mmsprep.tools.sqlite import look

_VERSION = 2
_BUSY_TIMEOUT_S = 20.0

metadata = MetaData()
_NUMBER = BigInteger().with_variant(Integer, "sqlite")

store = Table("store", metadata, Column("version", Integer, primary_key=True))

messages = Table(
    "messages",
    metadata,
    Column("number", _NUMBER, primary_key=True, autoincrement=True),
    Column("key", String(24), nullable=False, unique=True),
    Column("what", String(20), nullable=False),
    Column("door", String(10), nullable=False),
    Column("id", Text, nullable=False, index=True),
    Column("sender", Text, nullable=False),
    Column("recipients", JSON, nullable=False),
    Column("subject", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("about_id", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("status_text", Text, nullable=False),
    Column("sent_at", Text, nullable=False),
    Column("extra", JSON, nullable=False),
    Column("received_at_s", Float, nullable=False),
    Column("forward_state", String(10), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("refusals", Integer, nullable=False),
    Column("last_error", Text, nullable=False),
    Column("lane", Text, nullable=False),
    Index("messages_lane", "forward_state", "lane", "number"),
    Index("messages_state", "forward_state", "number"),
    Index("messages_about", "about_id"),
    Index("messages_received", "received_at_s"),
    sqlite_autoincrement=True,
)

lanes = Table(
    "lanes",
    metadata,
    Column("lane", Text, primary_key=True),
    Column("due_at_s", Float, nullable=False),
    Index("lanes_due", "due_at_s"),
)
"""One row for everything that waits for its turn together (see :func:`mmsprep.receive.incoming.lane_of`): when its
first message may be tried, or until when somebody has it."""

attachments = Table(
    "attachments",
    metadata,
    Column("message_number", _NUMBER, ForeignKey(messages.c.number), primary_key=True, autoincrement=False),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
    Column("format", String(20), nullable=False),
    Column("content_type", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("declared_type", Text, nullable=False),
    Column("declared_name", Text, nullable=False),
    Index("attachments_content", "sha256"),
)

unreadable = Table(
    "unreadable",
    metadata,
    Column("number", _NUMBER, primary_key=True, autoincrement=True),
    Column("key", String(64), nullable=False, unique=True),
    Column("door", String(10), nullable=False),
    Column("method", String(10), nullable=False),
    Column("content_type", Text, nullable=False),
    Column("query", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("received_at_s", Float, nullable=False),
    Column("pushes", Integer, nullable=False),
    Index("unreadable_content", "sha256"),
    sqlite_autoincrement=True,
)


def open_engine(url: str | URL, *, create: bool = True) -> Engine:
    """Connect to ``url`` and make the tables that are missing; with ``create`` false there must be some.

    Raises:
        NotFound: there are none, and they are not to be made.
        UsageError: it is no URL of SQLite or PostgreSQL.
        ToolMissing: the driver is not installed.
        StoreError: the database cannot be reached, or was made by a newer mmsprep.
    """
    engine = database.connect(url, _BUSY_TIMEOUT_S)
    try:
        if not (create or _has_store(engine)):
            raise NotFound(database.shown(engine.url), "holds no store of incoming messages")
        _create(engine)
    except (SQLAlchemyError, sqlite3.Error) as error:
        engine.dispose()
        words = database.reason(error)
        if "not a database" in words:
            words = "is no store of incoming messages; name another place"
        elif "malformed" in words:
            words = f"is damaged ({words}); get back a copy of it"
        else:
            words = f"cannot be opened ({words})"
        raise StoreError(f"{database.named(engine)}: {words}") from None
    except (StoreError, NotFound):
        engine.dispose()
        raise
    return engine


def is_there(path: Path) -> bool:
    """Whether there is a file of a store; an empty one never held a message."""
    return path.is_file() and path.stat().st_size > 0


def _has_store(engine: Engine) -> bool:
    """Whether there is one; looking makes no file."""
    if engine.dialect.name == "sqlite" and not is_there(Path(engine.url.database or "")):
        return False
    return inspect(engine).has_table(messages.name)


def _create(engine: Engine) -> None:
    if engine.dialect.name == "sqlite" and is_there(Path(engine.url.database or "")):
        tables = look(database.named(engine)).tables
        if tables and store.name not in tables:
            raise StoreError(f"{database.named(engine)}: is another program's database; name another place")
    with database.making_tables(engine) as connection:
        store.create(connection, checkfirst=True)
        version = connection.scalar(select(store.c.version))
        if version == 1:
            _from_version_1(connection)
        metadata.create_all(connection)
        if version is None:
            connection.execute(store.insert().values(version=_VERSION))
        elif version not in (1, _VERSION):
            raise StoreError(
                f"{database.named(engine)}: the store is of version {version}, this mmsprep reads version {_VERSION};"
                " update mmsprep"
            )


def _from_version_1(connection: Connection) -> None:
    """Before there were lanes, every message had its own times, and its sender's earlier ones were searched for."""
    for statement in (
        "ALTER TABLE messages ADD COLUMN refusals INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE messages ADD COLUMN lane TEXT NOT NULL DEFAULT ''",
        "UPDATE messages SET lane = CASE WHEN sender = '' THEN 'key:' || key ELSE sender END",
        "DROP INDEX messages_queue",
        "ALTER TABLE messages DROP COLUMN next_attempt_at_s",
        "ALTER TABLE messages DROP COLUMN leased_until_s",
        "UPDATE store SET version = 2",
    ):
        connection.execute(text(statement))
    lanes.create(connection)
    connection.execute(
        text("INSERT INTO lanes SELECT DISTINCT lane, 0.0 FROM messages WHERE forward_state = 'pending'")
    )
    for table in (messages, attachments):
        for index in table.indexes:
            index.create(connection, checkfirst=True)
