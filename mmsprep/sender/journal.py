"""The journal: who is being sent what, and what became of it, in a database that survives a kill.

Comes in: a claim, later its outcome. Goes out: how things stand with a recipient and a message. Never: a text, the
gateway's own words (they may repeat one), a secret, or a guess: a claim whose maker is gone has an unknown outcome.

Before a byte leaves, a claim on (recipient, gateway, key) is on disk, made by one insert under a unique index: of any
number of threads, processes and machines that want to send the same, one may. No transaction stays open while
a request is out.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import fields
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar, cast

from sqlalchemy import (
    URL,
    ColumnElement,
    Connection,
    Delete,
    Engine,
    Update,
    and_,
    bindparam,
    delete,
    func,
    not_,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from mmsprep.errors import ContentRefused, JournalError, NotFound, SendError, UsageError, reason_of
from mmsprep.sender import journal_schema
from mmsprep.sender.entry import STANDING, Claim, Entry, State, Subject, state_of
from mmsprep.sender.journal_schema import attempts
from mmsprep.sender.owner import is_gone, is_of_this_start, start_of_machine, this_process
from mmsprep.sender.wire import Receipt, Via, is_message_id
from mmsprep.tools import database

SLACK_S = 60.0
"""What clocks of several machines and a slow disk may add to the time that a claim lasts."""
_TRIES = 5
_COLUMNS = [attempts.c[entry.name] for entry in fields(Entry)]
_inherited: list[object] = []
"""What a fork left behind: closing it here would end its parent's connections."""


T = TypeVar("T")


class _Waiting:
    """Something to be written, and what became of it."""

    def __init__(self, work: Callable[[Connection], object]) -> None:
        self.work = work
        self.result: object = None
        self.error: BaseException | None = None
        self.is_done = False


class _Taken(JournalError):
    """Another attempt stands where this one would."""


class Journal:
    """``with Journal(place) as journal:`` an SQLite file, made with mode 0600 if it is not there, or a database URL.

    Safe for any number of threads, tasks and processes, also forked ones, and with PostgreSQL on several machines.

    Args:
        place: a file, or ``postgresql://user@host/name``, which may be the receiver's database.
        wait_s: how long to wait for another one's write.
        existing: only one that is there, to look at it and settle what nobody knew.

    Raises:
        NotFound: it is to be there, and is not.
        JournalError: it is no journal, or cannot be read or written.
    """

    def __init__(self, place: str | os.PathLike[str], *, wait_s: float = 20.0, existing: bool = False) -> None:
        self.place = os.fspath(place)
        self._is_url = "://" in self.place
        self.name = database.shown(self.place) if self._is_url else self.place
        self.wait_s = wait_s
        self._sends = not existing
        with self._mapped("nothing was sent"):
            self._engine = self._opened(wait_s)
        self.file = "" if self._is_postgresql else self._engine.url.database or ""
        """The file of SQLite's; empty where it is another database."""
        self._after_fork()

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the database connections back."""
        self._engine.dispose()

    def standing(self, subject: Subject) -> Entry | None:
        """What speaks against sending ``subject``.

        Returns:
            The attempt that was accepted, is being made, or of which nobody knows (``UNKNOWN``, also where its maker
            is gone), otherwise one in which this very content was refused, whoever it was for; ``None``: nothing.
            ``RESERVED`` is nothing either: a campaign that is gone never came to it.

        Raises:
            JournalError: it cannot be read.
        """
        with self._mapped(), self._own_engine().connect() as connection:
            row = connection.execute(_STANDING, _asked(subject)).first()
            if row:
                return _entry(row, self._now_s(connection))
            row = connection.execute(_JUDGED, _asked(subject)).first()
            return _entry(row) if row and row.error_code == ContentRefused.code else None

    def claim(self, claim: Claim, *, resend_unknown: bool = False) -> Entry | None:
        """Take the right to send; it is on disk when this returns.

        Args:
            claim: the attempt.
            resend_unknown: a person decided to send again what is unknown.

        Returns:
            ``None``: it is the caller's, who has to :meth:`settle` it; otherwise what speaks against it.

        Raises:
            JournalError: the journal cannot be read or written.
        """
        for _ in range(_TRIES):
            entry = self.standing(claim.subject)
            is_free = (
                entry is None or entry.state is State.RESERVED or (entry.state is State.UNKNOWN and resend_unknown)
            )
            if not is_free:
                return entry
            if self._commit(partial(self._take, claim, entry)):
                return None
        raise JournalError(f"{self.name}: others come and go on {claim.subject.recipient}; nothing was sent")

    def settle(self, claim: Claim, outcome: Receipt | SendError) -> None:
        """Record what became of a claim; of one that was not taken this does nothing.

        Raises:
            JournalError: it cannot be recorded; the message names the message id if it was accepted.
        """
        values = values_of(outcome)

        def record(connection: Connection) -> None:
            now_s = self._now_s(connection)
            connection.execute(
                update(attempts)
                .where(attempts.c.token == claim.token)
                .values(**values, settled_by="send", owner="", expires_at_s=now_s, updated_at_s=now_s)
            )

        try:
            self._commit(record)
        except JournalError as error:
            if not isinstance(outcome, Receipt):
                raise
            raise JournalError(
                f"{outcome.recipient}: the gateway ACCEPTED the message (id {outcome.message_id}), but that could not"
                f" be recorded, so the journal calls it unknown: {error}"
            ) from None

    def decide(self, entry: Entry, *, arrived: bool, person: str, message_id: str = "") -> Entry:
        """Record what a person found out about an attempt of which nobody knew.

        Args:
            entry: an unknown attempt, or one that a person decided before.
            arrived: true: it counts as accepted; false: as not sent, and the next send may try again.
            person: who says so.
            message_id: the gateway's, where it is known now.

        Returns:
            The attempt as it stands now.

        Raises:
            UsageError: what became of it is known, or it is under way, or a later attempt has taken its place; or the
                form gives no such ids.
            JournalError: the journal cannot be read or written.
        """
        by_person = entry.settled_by == "person" and entry.state in (State.ACCEPTED, State.NOT_SENT)
        if entry.state is not State.UNKNOWN and not by_person:
            raise UsageError(
                f"{entry.transaction_id}: is {entry.state.replace('_', ' ')}; only what is unknown is settled"
            )
        if message_id and entry.via == Via.HTTP and not is_message_id(message_id):
            raise UsageError(f"message id {message_id!r}: expected 16 digits, as the form's answer has them")
        state, reason = (State.ACCEPTED, "") if arrived else (State.NOT_SENT, "a person says that it did not arrive")
        try:
            with self._writing() as connection:
                now_s = self._now_s(connection)
                values = {"state": state, "stands": arrived, "error_code": "", "reason": reason, "person": person}
                values |= {"settled_by": "person", "owner": "", "expires_at_s": now_s, "updated_at_s": now_s}
                values |= {"message_id": message_id} if message_id else {}
                as_seen = _OF_NOBODY if entry.state is State.UNKNOWN else (entry.state,)
                changed = connection.execute(
                    update(attempts)
                    .where(attempts.c.token == entry.token, attempts.c.state.in_(as_seen))
                    .values(**values)
                    .returning(*_COLUMNS)
                ).first()
        except _Taken:
            changed = None
        if changed is None:
            raise UsageError(f"{entry.transaction_id}: somebody else decided or sent in the meantime; look again")
        return _entry(changed)

    def entries(
        self,
        *,
        name: str = "",
        recipient: str = "",
        key: str = "",
        gateway: str = "",
        since_s: float = 0.0,
        changed_since_s: float = 0.0,
        message_ids: Collection[str] | None = None,
        recipients: Collection[str] | None = None,
        tokens: Collection[str] | None = None,
        newest: int = 0,
    ) -> list[Entry]:
        """Attempts, the oldest first.

        Args:
            name: a message id, a transaction id, or the beginning of one (six digits or more).
            recipient, key, gateway: theirs.
            since_s, changed_since_s: begun, or changed, at that time or later (seconds since 1970).
            message_ids, recipients, tokens: any of these.
            newest: so many at most, the newest of them.

        Raises:
            JournalError: it cannot be read.
        """
        table = attempts.c
        wanted: list[ColumnElement[bool]] = []
        if start := start_of_machine():
            # What was reserved before another start of the machine may have been begun.
            of_this_start = table.owner.startswith(start, autoescape=True)
            wanted.append(not_(and_(table.state == State.RESERVED, of_this_start)))
        if name:
            begins = table.transaction_id.startswith(name.lower(), autoescape=True)
            wanted.append(or_(table.message_id == name, begins) if len(name) >= 6 else table.message_id == name)
        for column, value in ((table.recipient, recipient), (table.key, key), (table.gateway, gateway)):
            wanted += [column == value] if value else []
        for column, moment_s in ((table.created_at_s, since_s), (table.updated_at_s, changed_since_s)):
            wanted += [column >= moment_s] if moment_s else []
        for column, values in ((table.message_id, message_ids), (table.recipient, recipients), (table.token, tokens)):
            wanted += [column.in_(values)] if values is not None else []
        query = select(*_COLUMNS, table.owner, table.expires_at_s).where(*wanted)
        query = query.order_by(table.number.desc()).limit(newest) if newest else query.order_by(table.number)
        with self._mapped(), self._own_engine().connect() as connection:
            now_s = self._now_s(connection)
            found = [_entry(row, now_s) for row in connection.execute(query)]
        return found[::-1] if newest else found

    def now_s(self) -> float:
        """The time by the clock that all who use this journal share, in seconds since 1970.

        Raises:
            JournalError: it cannot be read.
        """
        with self._mapped(), self._own_engine().connect() as connection:
            return self._now_s(connection)

    def _take(self, claim: Claim, entry: Entry | None, connection: Connection) -> bool:
        """Release ``entry`` where there is one, and make the claim; false: somebody else was first."""
        if entry is not None:
            connection.execute(self._release(entry, self._now_s(connection)))
        return self._insert(connection, claim)

    def _insert(self, connection: Connection, claim: Claim) -> bool:
        now_s, subject = self._now_s(connection), claim.subject
        values = {
            "recipient": subject.recipient,
            "gateway": subject.gateway,
            "key": subject.key,
            "content_sha256": subject.content_sha256,
            "via": claim.via,
            "transaction_id": claim.transaction_id,
            "token": claim.token,
            "state": State.SENDING,
            "owner": this_process(),
            "expires_at_s": now_s + claim.lasts_s + SLACK_S,
            "created_at_s": now_s,
            "updated_at_s": now_s,
        }
        return connection.execute(_TAKE[self._engine.dialect.name], values).first() is not None

    @staticmethod
    def _release(entry: Entry, now_s: float) -> Update | Delete:
        """Only as it was seen: whoever released it in the meantime has made a claim of its own."""
        as_seen = (attempts.c.token == entry.token, attempts.c.stands)
        if entry.state is State.RESERVED:
            return delete(attempts).where(*as_seen, attempts.c.state == State.RESERVED)
        return (
            update(attempts)
            .where(*as_seen, attempts.c.state.in_(_OF_NOBODY))
            .values(state=State.RELEASED, stands=False, settled_by="person", updated_at_s=now_s)
        )

    def _now_s(self, connection: Connection) -> float:
        """The clock that all who use this journal share."""
        if self._is_postgresql:
            return float(connection.scalar(select(func.extract("epoch", func.clock_timestamp()))) or 0.0)
        return time.time()

    @property
    def _is_postgresql(self) -> bool:
        return self._engine.dialect.name == "postgresql"

    def _commit(self, work: Callable[[Connection], T]) -> T:
        """Do ``work`` in a transaction, on disk when this returns.

        A commit of SQLite's waits for the disk, so whoever gets the turn does in one what all others wait with: of
        any number of threads each waits for two commits at most, and not for everybody's.
        """
        if self._is_postgresql:
            with self._writing() as connection:
                return work(connection)
        with self._mapped():
            engine = self._own_engine()
        mine = _Waiting(work)
        self._waiting.append(mine)
        with self.turn:
            if not mine.is_done:
                together = [self._waiting.popleft() for _ in range(len(self._waiting))]
                try:
                    with self._mapped(), engine.begin() as connection:
                        for one in together:
                            one.result = one.work(connection)
                except BaseException as error:
                    for one in together:
                        one.error = error
                    raise
                finally:
                    for one in together:
                        one.is_done = True
        if mine.error is not None:
            raise JournalError(str(mine.error)) from None
        return cast(T, mine.result)

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        """One transaction, on disk when the block ends."""
        with self._mapped():
            engine = self._own_engine()
            with self.turn, engine.begin() as connection:
                yield connection

    def _own_engine(self) -> Engine:
        if self._pid != os.getpid():
            _inherited.append(self._engine.pool)
            self._engine.dispose(close=False)
            self._after_fork()
        return self._engine

    def _after_fork(self) -> None:
        self._pid = os.getpid()
        self.turn: AbstractContextManager[object] = nullcontext() if self._is_postgresql else threading.Lock()
        """SQLite has one writer at a time and lets the others poll; within this process they queue here instead."""
        self._waiting: deque[_Waiting] = deque()

    def _opened(self, wait_s: float) -> Engine:
        path = str(Path(self.place).absolute())
        engine = database.connect(self.place if self._is_url else URL.create("sqlite", database=path), wait_s)
        if engine.dialect.name == "sqlite" and engine.url.database:
            file = Path(engine.url.database)
            if file.is_dir():
                raise JournalError(f"{self.name}: is a folder, not a journal; name a file")
            if not (self._sends or (file.exists() and file.stat().st_size)):
                raise NotFound(self.name, "there is no journal; --journal names its file or database")
            with suppress(FileExistsError):
                os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        try:
            journal_schema.prepare(engine)
        except BaseException:
            engine.dispose()
            raise
        return engine

    @contextmanager
    def _mapped(self, therefore: str = "nothing more was sent") -> Iterator[None]:
        """Errors of the database's and the system's as ours."""
        then = f"; {therefore}" if self._sends else ""
        try:
            yield
        except IntegrityError:
            raise _Taken(f"{self.name}: another attempt stands{then}") from None
        except (SQLAlchemyError, sqlite3.Error) as error:
            words = database.reason(error)
            if "not a database" in words:
                words = "is not a journal; name another file"
            elif "locked" in words:
                words = "another process has it locked for too long"
            elif "malformed" in words:
                words = f"is damaged ({words}); get back a copy of it, for without it somebody may be sent to twice"
            raise JournalError(f"{self.name}: {words}{then}") from None
        except OSError as error:
            raise JournalError(f"{self.name}: cannot be opened ({reason_of(error)}){then}") from None


_OF_NOBODY = (State.RESERVED, State.SENDING, State.UNKNOWN)
"""How the journal may call what nobody knows the outcome of."""

# Statements are built once: at every send they would cost more than the database does.
_STANDING = select(*_COLUMNS, attempts.c.owner, attempts.c.expires_at_s).where(
    attempts.c.recipient == bindparam("of_recipient"),
    attempts.c.gateway == bindparam("of_gateway"),
    attempts.c.key == bindparam("of_key"),
    attempts.c.stands,
)
_JUDGED = (
    select(*_COLUMNS)
    .where(
        attempts.c.content_sha256 == bindparam("of_content"),
        attempts.c.gateway == bindparam("of_gateway"),
        or_(attempts.c.state == State.ACCEPTED, attempts.c.error_code == ContentRefused.code),
    )
    .order_by(attempts.c.number.desc())
    .limit(1)
)
"""The last attempt in which this content was refused or accepted, whoever it was for."""
_TAKE: dict[str, Any] = {
    name: module.insert(attempts).on_conflict_do_nothing().returning(attempts.c.number)
    for name, module in (("postgresql", postgresql), ("sqlite", sqlite))
}


def _asked(subject: Subject) -> dict[str, str]:
    return {
        "of_recipient": subject.recipient,
        "of_gateway": subject.gateway,
        "of_key": subject.key,
        "of_content": subject.content_sha256,
    }


def values_of(outcome: Receipt | SendError) -> dict[str, object]:
    """What an outcome changes of its attempt."""
    values: dict[str, object] = {"status_code": outcome.status_code}
    if isinstance(outcome, Receipt):
        return values | {"state": State.ACCEPTED, "message_id": outcome.message_id}
    state = state_of(outcome)
    values |= {"state": state, "error_code": outcome.code, "reason": outcome.reason}
    return values if state in STANDING else values | {"stands": False}


def _entry(row: Any, now_s: float | None = None) -> Entry:
    values = {entry.name: getattr(row, entry.name) for entry in fields(Entry)}
    state = State(row.state)
    if now_s is not None and state in (State.SENDING, State.RESERVED):
        state = _as_it_stands(state, row.owner, now_s > row.expires_at_s)
    return Entry(**values | {"state": state})


def _as_it_stands(state: State, owner: str, is_over: bool) -> State:
    """What a claim or a reservation means to others."""
    if not is_over and not is_gone(owner):
        return State.SENDING
    # Whether it was begun was written without a sync, which a kill cannot take back and another start can.
    return State.RESERVED if state is State.RESERVED and is_of_this_start(owner) else State.UNKNOWN
