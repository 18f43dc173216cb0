"""The tables of the store, and how a database is opened so that what it commits stays.

Comes in: a database URL. Goes out: an SQLAlchemy engine. Never: a query about a message.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Engine,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    event,
    select,
    text,
)
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from mmsprep.errors import StoreError, ToolMissing, UsageError

_VERSION = 1
_BUSY_TIMEOUT_S = 20.0
_CREATE_LOCK = 0x6D6D73
"""Any number: servers that start at the same moment make the tables one after the other."""

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
    Column("next_attempt_at_s", Float, nullable=False),
    Column("leased_until_s", Float, nullable=False),
    Column("last_error", Text, nullable=False),
    Index("messages_queue", "forward_state", "sender", "number"),
    sqlite_autoincrement=True,
)

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
)


def open_engine(url: str | URL) -> Engine:
    """Connect to ``url`` and make the tables that are missing.

    Raises:
        UsageError: it is no URL of SQLite or PostgreSQL.
        ToolMissing: the driver is not installed.
        StoreError: the database cannot be reached, or was made by a newer mmsprep.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise UsageError("the database is no URL; expected postgresql://user@host/name or sqlite:///path") from None
    shown = parsed.render_as_string(hide_password=True)
    dialect = parsed.get_backend_name()
    if dialect not in ("sqlite", "postgresql"):
        raise UsageError(f"{shown}: expected a database URL that begins with postgresql:// or sqlite:///")
    try:
        engine = _postgresql(parsed) if dialect == "postgresql" else _sqlite(parsed)
    except ImportError as error:
        raise ToolMissing(f"{shown}: needs the driver psycopg; pip install 'mmsprep[postgresql]'") from error
    try:
        _create(engine)
    except (SQLAlchemyError, StoreError) as error:
        engine.dispose()
        if isinstance(error, StoreError):
            raise
        raise StoreError(f"{shown}: the database cannot be opened ({reason(error)})") from None
    return engine


def reason(error: SQLAlchemyError) -> str:
    """The driver's own words in one line, without statements, values or passwords."""
    original = getattr(error, "orig", None)
    return " ".join(str(original or type(error).__name__).split())[:300]


def _sqlite(url: URL) -> Engine:
    engine = create_engine(url, connect_args={"timeout": _BUSY_TIMEOUT_S}, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def _durable(connection: Any, _record: Any) -> None:
        # FULL: a commit in WAL mode is on disk when it returns, not at the next checkpoint.
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}").close()

    return engine


def _postgresql(url: URL) -> Engine:
    driver = url.set(drivername="postgresql+psycopg") if url.drivername == "postgresql" else url
    engine = create_engine(
        driver,
        pool_pre_ping=True,
        pool_timeout=_BUSY_TIMEOUT_S,
        connect_args={"connect_timeout": 10},
        hide_parameters=True,
    )

    @event.listens_for(engine, "connect")
    def _durable(connection: Any, _record: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET synchronous_commit = on")
            # A push of the same message on a machine that vanished must not hold up this one for ever.
            cursor.execute(f"SET lock_timeout = {round(_BUSY_TIMEOUT_S * 1000)}")
        connection.commit()

    return engine


def _create(engine: Engine) -> None:
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text(f"SELECT pg_advisory_xact_lock({_CREATE_LOCK})"))
        else:
            connection.execute(text("BEGIN IMMEDIATE"))
        metadata.create_all(connection)
        version = connection.scalar(select(store.c.version))
        if version is None:
            connection.execute(store.insert().values(version=_VERSION))
        elif version != _VERSION:
            raise StoreError(
                f"the store is of version {version}, this mmsprep reads version {_VERSION}; update mmsprep"
            )
