"""What is old goes when somebody says so, with what nothing else needs; what is needed or waits stays."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import postgresql
import pytest
from deadlines import meanwhile

from mmsprep.errors import UsageError
from mmsprep.receive import Retention, open_store, schema
from mmsprep.receive.incoming import ForwardState, Incoming, PushDoor, PushedPart, What
from mmsprep.receive.look import look
from mmsprep.receive.queue import Outcome, Retry, lend, settle
from mmsprep.receive.retention import Pruned, prune, seconds_of
from mmsprep.receive.store import DATABASE_NAME, Store

DAY_S = 86_400.0
JPEG = b"\xff\xd8\xff\xe0" + b"picture" * 99


@pytest.fixture(params=["sqlite", "postgresql"])
def open_it(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Store]:
    database = ""
    if request.param == "postgresql":
        server: postgresql.Server = request.getfixturevalue("postgresql_server")
        database = server.new_database()
    return lambda: open_store(tmp_path / "inbox", database)


def add(store: Store, id_: str, *data: bytes, days_old: float = 0.0, done: bool = True) -> None:
    parts = tuple(PushedPart(data=one, declared_type="image/jpeg", declared_name="a.jpg") for one in data)
    incoming = Incoming(what=What.MESSAGE, door=PushDoor.FORM, id=id_, sender=id_, text="hi", parts=parts)
    added = store.add(incoming, look(incoming))
    with store.writing() as connection:
        received_at_s = time.time() - days_old * DAY_S
        change = schema.messages.update().where(schema.messages.c.number == added.number)
        connection.execute(change.values(received_at_s=received_at_s))
    if done:
        message = lend(store, 60.0)
        assert message
        settle(store, message, Outcome(), Retry())


def test_old_messages_go_with_what_only_they_need(open_it: Callable[[], Store]) -> None:
    with open_it() as store:
        add(store, "old", JPEG, b"only the old one's", days_old=100)
        add(store, "young", JPEG, days_old=10)
        add(store, "waits", b"of one that waits", days_old=100, done=False)
        assert prune(store, 90 * DAY_S, dry_run=True) == Pruned(1, 0, 0, 0, 1)
        assert store.count() == 3
        _make_old(store)
        done = prune(store, 90 * DAY_S)
        assert (done.messages, done.attachments, done.waiting) == (1, 1, 1)
        assert done.size_bytes == len(b"only the old one's")
        assert sorted(found.id for found in store.messages()) == ["waits", "young"]
        for found in store.messages():
            assert [store.read(part) for part in found.parts]
        assert prune(store, 90 * DAY_S, waiting_too=True).messages == 1
        assert [found.id for found in store.messages()] == ["young"]
        add(store, "old", JPEG, b"only the old one's")
        assert store.read(store.find("old").parts[1]) == b"only the old one's"


def test_what_is_pushed_while_somebody_collects_is_never_without_its_bytes(open_it: Callable[[], Store]) -> None:
    with open_it() as store, open_it() as other:
        stop = threading.Event()

        def collect() -> None:
            while not stop.is_set():
                other.collect(list(_names(other)))

        with meanwhile(collect, stop.set):
            for number in range(40):
                add(store, str(number), b"%d" % (number % 7), done=False)
                if number % 3 == 0:
                    prune(store, 0.0, waiting_too=True)
        for found in store.messages():
            assert [len(store.read(part)) for part in found.parts] == [1]


def test_retention_does_not_believe_a_clock_that_makes_everything_old(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        add(store, "1", days_old=100)
        add(store, "2", days_old=200)
        retention = Retention(store, 90 * DAY_S, waiting_too=False)
        assert retention.once() is None
        assert store.count() == 2
        add(store, "3")
        done = retention.once()
        assert done
        assert done.messages == 2
        with Retention(store, 90 * DAY_S, waiting_too=False):
            pass


@pytest.mark.parametrize(("age", "seconds"), [("90d", 90 * DAY_S), ("12h", DAY_S / 2), ("2W", 14 * DAY_S)])
def test_ages_are_read_as_people_write_them(age: str, seconds: float) -> None:
    assert seconds_of(age) == seconds


@pytest.mark.parametrize("age", ["", "90", "d", "-1d", "0d", "1.5d", "90 days"])
def test_an_age_that_is_none_is_refused(age: str) -> None:
    with pytest.raises(UsageError, match="90d"):
        seconds_of(age)


def test_a_store_of_the_first_version_is_taken_over_with_its_queue(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        for id_ in ("1", "2", "3"):
            add(store, id_, JPEG, done=id_ == "3")
    with closing(sqlite3.connect(tmp_path / DATABASE_NAME)) as database, database:
        for index in ("messages_lane", "messages_state", "messages_about", "messages_received", "attachments_content"):
            database.execute(f"DROP INDEX {index}")
        for statement in (
            "DROP TABLE lanes",
            "DROP TABLE unreadable",
            "ALTER TABLE messages DROP COLUMN lane",
            "ALTER TABLE messages DROP COLUMN refusals",
            "ALTER TABLE messages ADD COLUMN next_attempt_at_s FLOAT NOT NULL DEFAULT 0",
            "ALTER TABLE messages ADD COLUMN leased_until_s FLOAT NOT NULL DEFAULT 0",
            "CREATE INDEX messages_queue ON messages (forward_state, sender, number)",
            "UPDATE store SET version = 1",
        ):
            database.execute(statement)
    with open_store(tmp_path) as store:
        assert store.count() == 3
        for _ in range(2):
            message = lend(store, 60.0)
            assert message
            settle(store, message, Outcome(), Retry())
        assert store.count(ForwardState.DONE) == 3
        add(store, "4", b"new")
        assert store.read(store.find("4").parts[0]) == b"new"


def _make_old(store: Store) -> None:
    """Files that are younger than an hour may be somebody's who is about to name them."""
    import os

    for path in store._blobs._folder.rglob("*"):  # type: ignore[attr-defined]
        if path.is_file():
            os.utime(path, (1e9, 1e9))


def _names(store: Store) -> list[str]:
    return [path.name for path in store._blobs._folder.glob("??/*")]  # type: ignore[attr-defined]
