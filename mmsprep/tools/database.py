"""How a database is opened so that what it commits stays: SQLite in a file, or PostgreSQL.

Comes in: a database URL. Goes out: an SQLAlchemy engine. Never: a table or a query; those are their owners', the
store of incoming messages and the journal of sends.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from mmsprep.errors import ToolMissing, UsageError
from mmsprep.tools.extras import install_command
from mmsprep.tools.sqlite import keep_commits
from mmsprep.tools.tls import distrusted_by_libpq

_IN_OTHER_WORDS = {
    "attempt to write a readonly database": "this account may not write it or its folder, which even reading takes",
    "unable to open database file": "the file cannot be opened; its folder must be there and take files",
}
"""What SQLite says, for people."""
_CREATE_LOCK = 0x6D6D73
"""Any number: programs that start at the same moment make their tables one after the other."""


def connect(url: str | URL, wait_s: float) -> Engine:
    """The engine of a database; nothing is opened before the first transaction.

    Args:
        url: ``postgresql://user@host/name`` or ``sqlite:///path``.
        wait_s: how long a transaction waits for another one's lock.

    Raises:
        UsageError: it is no URL of SQLite or PostgreSQL.
        ToolMissing: the driver is not installed.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise UsageError("the database is no URL; expected postgresql://user@host/name or sqlite:///path") from None
    dialect = parsed.get_backend_name()
    if dialect not in ("sqlite", "postgresql"):
        raise UsageError(f"{shown(parsed)}: expected a database URL that begins with postgresql:// or sqlite:///")
    try:
        return _postgresql(parsed, wait_s) if dialect == "postgresql" else _sqlite(parsed, wait_s)
    except ImportError as error:
        raise ToolMissing(f"{shown(parsed)}: needs the driver psycopg; {install_command('postgresql')}") from error


def shown(url: str | URL) -> str:
    """The URL as it may be told: without its password."""
    return make_url(url).render_as_string(hide_password=True)


def named(engine: Engine) -> str:
    """SQLite's file, or the URL of another database as it may be told."""
    return engine.url.database or "" if engine.dialect.name == "sqlite" else shown(engine.url)


def reason(error: SQLAlchemyError | sqlite3.Error) -> str:
    """The driver's own words in one line, without statements, values or passwords."""
    original = error if isinstance(error, sqlite3.Error) else getattr(error, "orig", None)
    words = " ".join(str(original or type(error).__name__).split())
    return _IN_OTHER_WORDS.get(words) or distrusted_by_libpq(words) or words[:300]


@contextmanager
def making_tables(engine: Engine) -> Iterator[Connection]:
    """A transaction in which tables are made or changed, by one program at a time."""
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text(f"SELECT pg_advisory_xact_lock({_CREATE_LOCK})"))
        else:
            connection.execute(text("BEGIN IMMEDIATE"))
        yield connection


def _sqlite(url: URL, wait_s: float) -> Engine:
    engine = create_engine(url, connect_args={"timeout": wait_s}, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def _durable(connection: Any, _record: Any) -> None:
        keep_commits(connection)

    return engine


def _postgresql(url: URL, wait_s: float) -> Engine:
    driver = url.set(drivername="postgresql+psycopg") if url.drivername == "postgresql" else url
    engine = create_engine(
        driver,
        pool_pre_ping=True,
        pool_timeout=wait_s,
        connect_args={"connect_timeout": 10},
        hide_parameters=True,
    )

    @event.listens_for(engine, "connect")
    def _durable(connection: Any, _record: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET synchronous_commit = on")
            # The same row in a transaction of a machine that vanished must not hold up this one for ever.
            cursor.execute(f"SET lock_timeout = {max(1, round(wait_s * 1000))}")
        connection.commit()

    return engine
