"""What the receiver was told about messages that were sent: delivery notices and read replies, by the message's id.

Comes in: ids of sent messages, or a place in the order of arrival. Goes out: reports. Never: a change.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Engine, Row, Select, func, select
from sqlalchemy.exc import SQLAlchemyError

from mmsprep.errors import NotFound, StoreError
from mmsprep.receive import schema
from mmsprep.receive.incoming import PushDoor, What
from mmsprep.receive.store import DATABASE_NAME
from mmsprep.tools import database

_MOST_PARAMETERS = 500
_LONGEST_REPLY = 300
"""Characters of an incoming text that is looked at for a word; whoever writes more wants to say more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One report as it was pushed: ``status`` and ``status_text`` in the other side's words.

    ``number`` counts in the order of arrival. ``about_id`` is the sent message's id, ``handset`` the number that it
    went to (MM7 alone tells it).
    """

    number: int
    what: What
    door: PushDoor
    about_id: str
    status: str
    status_text: str
    sent_at: str
    received_at_s: float
    handset: str


class Reports:
    """The reports in a store of incoming messages."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __enter__(self) -> Reports:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the database connections back."""
        self._engine.dispose()

    def about(self, ids: Collection[str]) -> dict[str, list[Report]]:
        """The reports about these messages, each in the order of arrival.

        Raises:
            StoreError: the database cannot be read.
        """
        found: dict[str, list[Report]] = {}
        wanted = sorted({one for one in ids if one})
        for start in range(0, len(wanted), _MOST_PARAMETERS):
            asked = schema.messages.c.about_id.in_(wanted[start : start + _MOST_PARAMETERS])
            for report in self._reports(_REPORTS.where(asked)):
                found.setdefault(report.about_id, []).append(report)
        return found

    def after(self, number: int, since_s: float = 0.0) -> list[Report]:
        """What came after that place in the order of arrival.

        Raises:
            StoreError: the database cannot be read.
        """
        table = schema.messages.c
        return list(self._reports(_REPORTS.where(table.number > number, table.received_at_s >= since_s)))

    def newest(self) -> int:
        """The last place in the order of arrival.

        Raises:
            StoreError: the database cannot be read.
        """
        with self._guarded(), self._engine.connect() as connection:
            return int(connection.scalar(select(func.max(schema.messages.c.number))) or 0)

    def texts(self) -> Iterator[tuple[str, str]]:
        """Short incoming messages as sender and text (the subject where there is none), in the order of arrival.

        Raises:
            StoreError: the database cannot be read.
        """
        table = schema.messages.c
        query = select(table.sender, table.text, table.subject).where(table.what == What.MESSAGE)
        query = query.where(func.length(table.text) <= _LONGEST_REPLY).order_by(table.number)
        with self._guarded(), self._engine.connect() as connection:
            for row in connection.execution_options(yield_per=1000).execute(query):
                yield row.sender, row.text.strip() or row.subject

    def _reports(self, query: Select[Any]) -> Iterator[Report]:
        with self._guarded(), self._engine.connect() as connection:
            yield from map(_report, connection.execute(query.order_by(schema.messages.c.number)).all())

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            raise StoreError(f"the database refuses ({database.reason(error)})") from error


def open_reports(place: str | PathLike[str]) -> Reports:
    """The reports of a store: its folder, or its database's URL.

    Raises:
        NotFound: there is no store.
        UsageError: it is no URL of SQLite or PostgreSQL.
        StoreError: it cannot be opened.
    """
    name = fspath(place)
    if "://" in name:
        return Reports(schema.open_engine(name, create=False))
    path = Path(name) / DATABASE_NAME
    if not schema.is_there(path):
        raise NotFound(name, "there is no store of incoming messages; --store names the folder")
    return Reports(schema.open_engine(URL.create("sqlite", database=str(path.absolute()))))


_REPORTS = select(schema.messages).where(schema.messages.c.what != What.MESSAGE)


def _report(row: Row[Any]) -> Report:
    return Report(
        number=row.number,
        what=What(row.what),
        door=PushDoor(row.door),
        about_id=row.about_id,
        status=row.status,
        status_text=row.status_text,
        sent_at=row.sent_at,
        received_at_s=row.received_at_s,
        handset=row.recipients[0] if row.recipients else "",
    )
