"""The journal's table, and how a journal of an earlier version becomes one of today's.

Comes in: a database engine. Goes out: a database that has the table. Never: a change to another program's file.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Engine,
    Float,
    Index,
    Integer,
    MetaData,
    Row,
    String,
    Table,
    Text,
    select,
    text,
)

from mmsprep.errors import JournalError
from mmsprep.sender.entry import State
from mmsprep.tools import database
from mmsprep.tools.sqlite import look

_APPLICATION_ID = 0x6D6D7370
_VERSION = 4
_KEPT_OF_VERSION_1 = (
    *("recipient", "key", "content_sha256", "via", "transaction_id", "message_id"),
    *("status_code", "error_code"),
)

metadata = MetaData()

journal = Table("journal", metadata, Column("version", Integer, primary_key=True, autoincrement=False))

attempts = Table(
    "attempts",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("recipient", String(15), nullable=False),
    Column("gateway", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("content_sha256", String(64), nullable=False),
    Column("via", String(10), nullable=False),
    Column("transaction_id", Text, nullable=False, index=True),
    Column("token", String(32), nullable=False, unique=True),
    Column("state", String(10), nullable=False),
    Column("stands", Boolean, nullable=False, default=True),
    Column("owner", Text, nullable=False, default=""),
    Column("expires_at_s", Float, nullable=False),
    Column("message_id", Text, nullable=False, default="", index=True),
    Column("status_code", Integer),
    Column("error_code", String(40), nullable=False, default=""),
    Column("reason", Text, nullable=False, default=""),
    Column("settled_by", String(10), nullable=False, default=""),
    Column("person", Text, nullable=False, default=""),
    Column("created_at_s", Float, nullable=False),
    Column("updated_at_s", Float, nullable=False),
    sqlite_autoincrement=True,
)
# The one promise of the journal: of all attempts on a subject one stands at most.
Index(
    "attempts_standing",
    *(attempts.c.recipient, attempts.c.gateway, attempts.c.key),
    unique=True,
    sqlite_where=text("stands = 1"),
    postgresql_where=text("stands"),
)
Index("attempts_by_content", attempts.c.content_sha256, attempts.c.gateway)
_OF_VERSION_3 = (
    Index("attempts_by_recipient", attempts.c.recipient),
    Index("attempts_by_key", attempts.c.key),
    Index("attempts_by_time", attempts.c.created_at_s),
    Index("attempts_by_change", attempts.c.updated_at_s),
)


def prepare(engine: Engine) -> None:
    """Make the table where it is missing, bring an earlier version's up to date.

    Raises:
        JournalError: it is another program's database, or a newer mmsprep's.
        SQLAlchemyError, sqlite3.Error: the database refuses.
    """
    if engine.dialect.name == "sqlite" and _look(engine) == _VERSION:
        return
    with database.making_tables(engine) as connection:
        before = _taken_out(connection) if engine.dialect.name == "sqlite" else []
        metadata.create_all(connection)
        version = connection.scalar(select(journal.c.version))
        if version is None:
            connection.execute(journal.insert().values(version=_VERSION))
            _put_in(connection, before)
        elif version in (2, 3):
            _from_version(connection, version)
        elif version != _VERSION:
            raise _too_new(engine, version)
        if engine.dialect.name == "sqlite":
            connection.execute(text(f"PRAGMA application_id={_APPLICATION_ID}"))
            connection.execute(text(f"PRAGMA user_version={_VERSION}"))


def _look(engine: Engine) -> int:
    """The version of a journal's file, 0 for an empty one; nothing in it is changed, and no engine is built for it."""
    path = database.named(engine)
    found = look(path)
    if not found.tables and not found.application_id:
        return 0
    if found.application_id != _APPLICATION_ID:
        raise JournalError(f"{path}: is another program's database, not a journal; name another file")
    if found.version > _VERSION:
        raise _too_new(engine, found.version)
    return found.version


def _sqlite_version(connection: Connection) -> int:
    return int(connection.scalar(text("PRAGMA user_version")) or 0)


def _too_new(engine: Engine, version: int) -> JournalError:
    return JournalError(
        f"{database.named(engine)}: the journal is of version {version}, this mmsprep reads version {_VERSION}; update"
        " mmsprep"
    )


def _taken_out(connection: Connection) -> list[Row[Any]]:
    """The attempts of a journal of version 1, whose table makes room."""
    if _sqlite_version(connection) != 1:
        return []
    rows = list(connection.execute(text("SELECT * FROM attempts ORDER BY id")))
    connection.execute(text("DROP TABLE attempts"))
    return rows


def _put_in(connection: Connection, rows: list[Row[Any]]) -> None:
    """Attempts of version 1, which let one subject have several; the one that stood then stands."""
    found = [_of_version_1(row) for row in rows]
    standing: dict[tuple[str, ...], str] = {}
    for decisive in (State.UNKNOWN, State.ACCEPTED):
        standing |= {_subject(one): one["token"] for one in found if one["state"] is decisive}
    for one in found:
        connection.execute(attempts.insert().values(**one, stands=standing.get(_subject(one)) == one["token"]))


def _from_version(connection: Connection, version: int) -> None:
    """Version 2 did not know who a person was, and was looked through from end to end; 3 knew no reservations."""
    if version == 2:
        connection.execute(text("ALTER TABLE attempts ADD COLUMN person TEXT NOT NULL DEFAULT ''"))
        for index in _OF_VERSION_3:
            index.create(connection, checkfirst=True)
    connection.execute(journal.update().values(version=_VERSION))


def _subject(values: dict[str, Any]) -> tuple[str, ...]:
    return (values["recipient"], values["gateway"], values["key"])


def _of_version_1(row: Row[Any]) -> dict[str, Any]:
    began_s = datetime.fromisoformat(row.started_at).timestamp()
    ended_s = datetime.fromisoformat(row.ended_at).timestamp() if row.ended_at else began_s
    # Whoever was sending has ended: version 1 kept its file locked meanwhile.
    state = {"sending": State.UNKNOWN, "refused": State.REJECTED}.get(row.state, row.state)
    return {name: getattr(row, name) for name in _KEPT_OF_VERSION_1} | {
        "gateway": row.gateway.rstrip("/"),
        "token": f"version-1-{row.id}",
        "state": State(state),
        "settled_by": {"sending": "", "released": "person"}.get(row.state, "send"),
        "expires_at_s": began_s,
        "created_at_s": began_s,
        "updated_at_s": ended_s,
    }
