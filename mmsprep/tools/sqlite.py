"""How a file of SQLite's is opened: by one writer's log, and with how much certainty a commit is kept.

Comes in: a path, or a connection that SQLAlchemy made. Goes out: a connection set up. Never: a table or a query, or
SQLAlchemy, which takes long to load (:mod:`mmsprep.tools.database` is for those who need it anyway).
"""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

_ASK_AGAIN_S = 0.01
_LASTING = ("page_size=2048", "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON")
"""FULL: a commit in WAL mode is on disk when it returns, not at the next checkpoint. Pages of half the usual size, in
a new file: each commit of one send, which touches a few rows and their indexes, writes half as much."""
_ALONE = ("locking_mode=EXCLUSIVE", "journal_mode=WAL", "synchronous=NORMAL")
"""No second program beside this one, and no shared memory file, which network disks lack. NORMAL: losing power may take
the last commits back, whole; never the file."""


class Inside(NamedTuple):
    """What a file is: who made it (``application_id``), in which ``version``, and the names of its tables."""

    application_id: int
    version: int
    tables: frozenset[str]


def look(path: Path | str, wait_s: float = 20.0) -> Inside:
    """What there is in a file, with nothing in it changed; in a new one there is nothing.

    Raises:
        sqlite3.Error: it is no database, or cannot be read.
    """
    with closing(sqlite3.connect(path, isolation_level=None, timeout=wait_s)) as plain:
        # All of one moment: another process may be making it.
        plain.execute("BEGIN")
        (application_id,), (version,) = (
            plain.execute(f"PRAGMA {name}").fetchone() for name in ("application_id", "user_version")
        )
        tables = plain.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        return Inside(application_id, version, frozenset(name for (name,) in tables))


def keep_commits(connection: Any) -> None:
    """For what must not be lost: a claim to send, a message that was answered with OK."""
    _set(connection, _LASTING)


def open_shared(path: Path | str, wait_s: float) -> sqlite3.Connection:
    """A file as :func:`keep_commits` has it, for several threads in turn; transactions are the caller's to begin.

    Raises:
        sqlite3.Error: it cannot be opened.
    """
    connection = sqlite3.connect(path, isolation_level=None, timeout=wait_s, check_same_thread=False)
    keep_commits(connection)
    # Moving the log into the file waits for the disk twice; with many small commits it is done for more of them.
    _set(connection, ("wal_autocheckpoint=8000",))
    return connection


def set_durable(connection: sqlite3.Connection, durable: bool) -> None:
    """Whether the next commits wait for the disk; others outlive this process, and may go when power does."""
    _set(connection, (f"synchronous={'FULL' if durable else 'NORMAL'}",))


def open_alone(path: Path, wait_s: float) -> sqlite3.Connection:
    """A file for this process alone, for what can be made again; every statement is its own transaction.

    Raises:
        sqlite3.OperationalError: another process has it, or it cannot be opened.
        sqlite3.DatabaseError: it is no database, or damaged.
    """
    connection = sqlite3.connect(path, isolation_level=None, timeout=wait_s)
    _set(connection, _ALONE)
    return connection


def _set(connection: Any, pragmas: tuple[str, ...]) -> None:
    """Set all of them, waiting for others as long as the connection does for a lock.

    SQLite itself does not wait where several open a new file at the same moment and each makes it one with a log.
    """
    ends_at_s = time.monotonic() + connection.execute("PRAGMA busy_timeout").fetchone()[0] / 1000
    for pragma in pragmas:
        while True:
            try:
                connection.execute(f"PRAGMA {pragma}").close()
                break
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > ends_at_s:
                    raise
            time.sleep(_ASK_AGAIN_S)
