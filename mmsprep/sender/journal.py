"""The journal: what was about to be sent, and what became of it, in a file that survives a kill.

Comes in: a recipient, a message's key and hash. Goes out: how things stand with them. Never: a text, the gateway's
own words (they may repeat one), a secret, or a guess: an attempt without an outcome is an unknown outcome.

The intent is on disk before the first byte goes out, the outcome as soon as it is known. One process at a time
uses a journal: a second one is refused, because what the first is sending would look unknown to it.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from types import TracebackType

from mmsprep.errors import (
    ContentRefused,
    GatewayBusy,
    GatewayUnreachable,
    JournalError,
    NotSent,
    SendError,
    SendOutcomeUnknown,
)
from mmsprep.sender.wire import Receipt

_APPLICATION_ID = 0x6D6D7370
_VERSION = 1
_SCHEMA = """
CREATE TABLE attempts (
    id INTEGER PRIMARY KEY,
    recipient TEXT NOT NULL,
    key TEXT NOT NULL,
    content_sha256 TEXT NOT NULL,
    transaction_id TEXT NOT NULL,
    via TEXT NOT NULL,
    gateway TEXT NOT NULL,
    state TEXT NOT NULL,
    message_id TEXT NOT NULL DEFAULT '',
    status_code INTEGER,
    error_code TEXT NOT NULL DEFAULT '',
    started_at TEXT NOT NULL,
    ended_at TEXT
);
CREATE INDEX attempts_by_subject ON attempts (recipient, gateway, key);
CREATE INDEX attempts_by_content ON attempts (content_sha256, gateway);
"""


class State(StrEnum):
    """What became of an attempt. ``SENDING`` is the intent; found later, it means that nobody knows.

    ``RELEASED``: it was unknown, and a person decided to send again.
    """

    SENDING = "sending"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    NOT_SENT = "not_sent"
    UNKNOWN = "unknown"
    RELEASED = "released"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One attempt as the journal has it; times are UTC, ISO 8601."""

    recipient: str
    transaction_id: str
    via: str
    state: State
    content_sha256: str
    message_id: str
    status_code: int | None
    error_code: str
    started_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What the journal is asked about: a send to this recipient by this gateway.

    ``key`` is the same for two sends that mean the same although the bytes may differ (prepared anew, or by a
    stricter profile), and differs for two that are meant to arrive both; ``content_sha256`` is
    :attr:`mmsprep.Message.sha256`.
    """

    recipient: str
    key: str
    content_sha256: str
    gateway: str


class Journal:
    """``with Journal(path) as journal:`` a SQLite file, made with mode 0600 if it is not there.

    Threads may share one. ``wait_s`` is how long to wait for another process that has it.

    Raises:
        JournalError: it is no journal, cannot be read or written, or another process has it.
    """

    def __init__(self, path: str | os.PathLike[str], *, wait_s: float = 5.0) -> None:
        self.path = Path(path)
        self._lock = threading.Lock()
        with self._mapped():
            with suppress(FileExistsError):
                os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
            self._connection = sqlite3.connect(self.path, timeout=wait_s, isolation_level=None, check_same_thread=False)
        try:
            with self._mapped():
                self._open()
        except BaseException:
            self._connection.close()
            raise

    def _open(self) -> None:
        run = self._connection.execute
        # Exclusive: held from the first write until the process ends, however it ends.
        for pragma in ("locking_mode=EXCLUSIVE", "journal_mode=DELETE", "synchronous=EXTRA"):
            run(f"PRAGMA {pragma}")
        run("BEGIN EXCLUSIVE")
        application_id = run("PRAGMA application_id").fetchone()[0]
        version = run("PRAGMA user_version").fetchone()[0]
        empty = not run("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if empty and not application_id:
            for statement in filter(str.strip, _SCHEMA.split(";")):
                run(statement)
            run(f"PRAGMA application_id={_APPLICATION_ID}")
            run(f"PRAGMA user_version={_VERSION}")
        elif application_id != _APPLICATION_ID or version != _VERSION:
            run("ROLLBACK")
            raise JournalError(f"{self.path}: is another program's database, not a journal; name another file")
        run("COMMIT")

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._connection.close()

    def standing(self, subject: Subject) -> Entry | None:
        """What speaks against sending ``subject``: that it was accepted, else an unknown attempt, else that this very
        content was refused, whoever it was for; ``None``: nothing does."""
        same = self._entries(
            "recipient = ? AND gateway = ? AND key = ?", subject.recipient, subject.gateway, subject.key
        )
        for decisive in ((State.ACCEPTED,), (State.SENDING, State.UNKNOWN)):
            for entry in same:
                if entry.state in decisive:
                    return entry
        judged = self._entries(
            "content_sha256 = ? AND gateway = ? AND (state = ? OR error_code = ?)",
            subject.content_sha256,
            subject.gateway,
            State.ACCEPTED,
            ContentRefused.code,
        )
        return judged[0] if judged and judged[0].error_code == ContentRefused.code else None

    def begin(self, subject: Subject, transaction_id: str, via: str) -> int:
        """Record the intent; it is on disk when this returns.

        Returns:
            What :meth:`end` and :meth:`end_badly` want.
        """
        return self._run(
            "INSERT INTO attempts (recipient, key, content_sha256, transaction_id, via, gateway, state, started_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            subject.recipient,
            subject.key,
            subject.content_sha256,
            transaction_id,
            via,
            subject.gateway,
            State.SENDING,
            _now(),
        )

    def end(self, attempt: int, receipt: Receipt) -> None:
        """Record that the gateway accepted it.

        Raises:
            JournalError: it cannot be recorded; the message names the message id.
        """
        try:
            self._run(
                "UPDATE attempts SET state = ?, message_id = ?, status_code = ?, ended_at = ? WHERE id = ?",
                State.ACCEPTED,
                receipt.message_id,
                receipt.status_code,
                _now(),
                attempt,
            )
        except JournalError as error:
            raise JournalError(
                f"{receipt.recipient}: the gateway ACCEPTED the message (id {receipt.message_id}), but that could not"
                f" be recorded, so the journal calls it unknown: {error}"
            ) from None

    def end_badly(self, attempt: int, error: SendError) -> None:
        """Record what became of an attempt that was not accepted."""
        self._run(
            "UPDATE attempts SET state = ?, status_code = ?, error_code = ?, ended_at = ? WHERE id = ?",
            state_of(error),
            error.status_code,
            error.code,
            _now(),
            attempt,
        )

    def release(self, subject: Subject) -> None:
        """A person decided to send again what is unknown."""
        self._run(
            "UPDATE attempts SET state = ? WHERE recipient = ? AND gateway = ? AND key = ? AND state IN (?, ?)",
            State.RELEASED,
            subject.recipient,
            subject.gateway,
            subject.key,
            State.SENDING,
            State.UNKNOWN,
        )

    def _entries(self, where: str, *values: str) -> list[Entry]:
        """The attempts of which ``where`` is true, the latest first."""
        columns = ", ".join(Entry.__dataclass_fields__)
        with self._lock, self._mapped():
            rows = self._connection.execute(
                f"SELECT {columns} FROM attempts WHERE {where} ORDER BY id DESC",  # noqa: S608
                values,
            ).fetchall()
        named = (dict(zip(Entry.__dataclass_fields__, row, strict=True)) for row in rows)
        return [Entry(**{**values, "state": State(values["state"])}) for values in named]

    def _run(self, statement: str, *values: str | int | None) -> int:
        with self._lock, self._mapped():
            return self._connection.execute(statement, values).lastrowid or 0

    @contextmanager
    def _mapped(self) -> Iterator[None]:
        """Errors of SQLite's and the system's as ours."""
        try:
            yield
        except sqlite3.Error as error:
            text = str(error)
            if "locked" in text:
                text = "another process is sending with it; wait until it is done, or name another file"
            elif "not a database" in text:
                text = "is not a journal; name another file"
            raise JournalError(f"{self.path}: {text}; nothing more was sent") from None
        except OSError as error:
            raise JournalError(f"{self.path}: cannot be opened ({error.strerror}); nothing was sent") from None


def state_of(error: SendError) -> State:
    """What an error says about the attempt that met it."""
    if isinstance(error, SendOutcomeUnknown):
        return State.UNKNOWN
    if isinstance(error, (NotSent, GatewayBusy, GatewayUnreachable)):
        return State.NOT_SENT
    return State.REFUSED


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
