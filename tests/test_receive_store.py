"""The store: on disk before it says so, once whatever happens, whole or not at all, in SQLite and PostgreSQL."""

from __future__ import annotations

import os
import sqlite3
import stat
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import postgresql
import pytest

from mmsprep.errors import NotFound, StoreError, ToolMissing, UsageError
from mmsprep.receive import schema
from mmsprep.receive.blobs import RemoteBlobs
from mmsprep.receive.incoming import ForwardState, Incoming, PushDoor, PushedPart, What
from mmsprep.receive.look import look
from mmsprep.receive.store import DATABASE_NAME, Added, Store, open_store, row_of

JPEG = b"\xff\xd8\xff\xe0" + b"picture" * 99


@pytest.fixture(params=["sqlite", "postgresql"])
def open_it(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Store]:
    """Opens the same store as often as wanted, in each kind of database."""
    database = ""
    if request.param == "postgresql":
        server: postgresql.Server = request.getfixturevalue("postgresql_server")
        database = server.new_database()
    return lambda: open_store(tmp_path / "inbox", database)


def message(id_: str = "1", text: str = "hi", *data: bytes, sender: str = "61400") -> Incoming:
    parts = tuple(PushedPart(data=one, declared_type="image/jpeg", declared_name="a.jpg") for one in data or (JPEG,))
    return Incoming(what=What.MESSAGE, door=PushDoor.FORM, id=id_, sender=sender, text=text, parts=parts)


def add(store: Store, incoming: Incoming) -> Added:
    return store.add(incoming, look(incoming))


def test_what_was_added_is_there_after_opening_again(open_it: Callable[[], Store]) -> None:
    report = Incoming(
        what=What.DELIVERY_REPORT,
        door=PushDoor.MM7,
        id="t-1",
        sender="61400",
        recipients=("61499", "61498"),
        about_id="m-1",
        status="Retrieved",
        extra=(("ключ", "значение"),),
        subject="Grüße 🎉",
    )
    with open_it() as store:
        add(store, message("1", "hällo", JPEG, b"second"))
        add(store, report)
    with open_it() as store:
        newest, oldest = store.messages()
        assert (newest.what, newest.recipients, newest.about_id) == (What.DELIVERY_REPORT, ("61499", "61498"), "m-1")
        assert (newest.subject, newest.extra) == ("Grüße 🎉", (("ключ", "значение"),))
        assert (oldest.text, oldest.forward_state) == ("hällo", ForwardState.PENDING)
        assert [store.read(part) for part in oldest.parts] == [JPEG, b"second"]
        assert [part.content_type for part in oldest.parts] == ["image/jpeg", "text/plain"]


def test_the_same_message_again_is_stored_once(open_it: Callable[[], Store]) -> None:
    with open_it() as store:
        first, again = add(store, message()), add(store, message())
        assert first.is_new
        assert not again.is_new
        assert (again.number, again.key) == (first.number, first.key)
        assert store.count() == 1


def test_the_same_id_with_other_content_loses_neither(open_it: Callable[[], Store]) -> None:
    with open_it() as store:
        assert not add(store, message("1", "one")).shares_id
        assert add(store, message("1", "two")).shares_id
        assert sorted(found.text for found in store.messages()) == ["one", "two"]
        with pytest.raises(UsageError, match="key"):
            store.find("1")
        for found in store.messages():
            assert store.find(found.key[:10]).text == found.text


def test_the_same_message_from_many_at_once_is_stored_once_and_all_are_told_the_same(
    open_it: Callable[[], Store],
) -> None:
    gate = threading.Barrier(12)

    def push(index: int) -> Added:
        with open_it() as own:
            gate.wait(60)
            return add(own, message(str(index % 3), "hi", JPEG, b"more"))

    with open_it() as store, ThreadPoolExecutor(12) as pool:
        added = list(pool.map(push, range(12)))
        assert sum(one.is_new for one in added) == 3
        assert len({one.key for one in added}) == 3
        assert store.count() == 3
        assert all([store.read(part) for part in found.parts] == [JPEG, b"more"] for found in store.messages())


def test_a_full_disk_or_another_refusal_leaves_nothing_behind_and_the_next_try_succeeds(
    open_it: Callable[[], Store], tmp_path: Path
) -> None:
    with open_it() as store:
        place = tmp_path / "inbox" / "attachments" / "staging"
        place.rmdir()
        place.write_bytes(b"in the way")
        with pytest.raises(StoreError):
            add(store, message())
        assert store.count() == 0
        place.unlink()
        place.mkdir()
        assert add(store, message()).is_new
        assert list(place.iterdir()) == []


def test_everything_is_synced_before_add_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Content, then its name, then the name's folder, then the row; the last step is SQLite's own sync."""
    steps: list[str] = []
    real_fsync, real_replace = os.fsync, os.replace

    def fsync(descriptor: int) -> None:
        steps.append("sync folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "sync file")
        real_fsync(descriptor)

    def replace(source: str, target: str, **options: int) -> None:
        steps.append("rename")
        real_replace(source, target, **options)

    with open_store(tmp_path / "inbox") as store:
        monkeypatch.setattr(os, "fsync", fsync)
        monkeypatch.setattr(os, "replace", replace)
        store.engine.dispose()
        incoming = message()
        parts = look(incoming)
        add(store, incoming)
        assert steps == ["sync file", "rename", "sync folder"]
        steps.clear()
        store.add(incoming, parts)
        assert steps == ["sync folder"], "content that is there already is synced all the same"
        with store.engine.connect() as connection:
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"


def test_postgresql_commits_are_synced_whatever_the_servers_default(
    postgresql_server: postgresql.Server, tmp_path: Path
) -> None:
    url = postgresql_server.new_database()
    with open_store(tmp_path / "first", url) as store, store.engine.begin() as connection:
        connection.exec_driver_sql("ALTER ROLE postgres SET synchronous_commit = off")
    with open_store(tmp_path / "second", url) as store, store.engine.begin() as connection:
        assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"
        connection.exec_driver_sql("ALTER ROLE postgres RESET synchronous_commit")


def test_a_busy_database_is_waited_for_and_a_stuck_one_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mmsprep.receive.schema._BUSY_TIMEOUT_S", 0.3)
    with open_store(tmp_path) as store, closing(sqlite3.connect(tmp_path / DATABASE_NAME)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="locked"):
            add(store, message())
        other.rollback()
        assert add(store, message()).is_new


def test_a_push_that_hangs_on_another_machine_holds_up_its_repetition_for_a_while_only(
    postgresql_server: postgresql.Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mmsprep.receive.schema._BUSY_TIMEOUT_S", 0.5)
    with open_store(tmp_path, postgresql_server.new_database()) as store:
        incoming = message("1")
        with store.engine.connect() as hanging:
            hanging.execute(schema.messages.insert().values(row_of(incoming, incoming.key)))
            with pytest.raises(StoreError, match="lock"):
                add(store, incoming)
            assert add(store, message("2")).is_new
            hanging.rollback()
        assert add(store, incoming).is_new


def test_a_database_that_crashes_refuses_and_takes_messages_again_when_it_is_back(
    postgresql_server: postgresql.Server, tmp_path: Path
) -> None:
    with open_store(tmp_path, postgresql_server.new_database()) as store:
        assert add(store, message("1")).is_new
        postgresql_server.stop()
        with pytest.raises(StoreError):
            add(store, message("2"))
        with pytest.raises(StoreError):
            store.check()
        postgresql_server.start()
        assert add(store, message("2")).is_new
        assert not add(store, message("1")).is_new
        assert [found.id for found in store.messages()] == ["2", "1"]


def test_several_servers_may_make_the_tables_at_the_same_moment(open_it: Callable[[], Store]) -> None:
    gate = threading.Barrier(6)

    def opened(_index: int) -> int:
        gate.wait(60)
        with open_it() as store:
            return store.count()

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(opened, range(6))) == [0] * 6


def test_a_store_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    with open_store(tmp_path) as store, store.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE store SET version = 99")
    with pytest.raises(StoreError, match="99"):
        open_store(tmp_path)


def test_a_damaged_or_missing_attachment_is_told_and_never_handed_out(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        add(store, message("1", "a", JPEG, b"other"))
        first, second = store.messages()[0].parts
        place = tmp_path / "attachments"
        (place / first.sha256[:2] / first.sha256).write_bytes(JPEG[:-1] + b"?")
        (place / second.sha256[:2] / second.sha256).unlink()
        for part in (first, second):
            with pytest.raises(StoreError):
                store.read(part)
        add(store, message("2", "b", b"other"))
        assert store.read(second) == b"other", "the same content pushed again heals it"


def test_half_written_files_of_killed_servers_are_swept_but_not_those_of_one_at_work(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        add(store, message())
    staging = tmp_path / "attachments" / "staging"
    for name in ("old", "new"):
        (staging / name).write_bytes(b"half")
    an_hour_ago = time.time() - 4000
    os.utime(staging / "old", (an_hour_ago, an_hour_ago))
    with open_store(tmp_path) as store:
        assert [path.name for path in staging.iterdir()] == ["new"]
        assert store.read(store.messages()[0].parts[0]) == JPEG


def test_looking_into_a_store_that_is_not_there_makes_none(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        open_store(tmp_path / "nothing", create=False)
    assert not (tmp_path / "nothing").exists()


def test_looking_where_the_database_is_elsewhere_makes_no_folder(
    tmp_path: Path, postgresql_server: postgresql.Server
) -> None:
    """The folder is made for the first attachment that is kept."""
    database = postgresql_server.new_database()
    open_store(tmp_path / "inbox", database).close()
    with open_store(tmp_path / "nothing", database, create=False) as store:
        assert store.messages() == [] and store.collect() == (0, 0)
        assert not (tmp_path / "nothing").exists()
        add(store, message())
        assert store.read(store.messages()[0].parts[0]) == JPEG


@pytest.mark.parametrize(
    ("place", "database", "error"),
    [
        ("memory://mms", "", UsageError),
        ("box", "mysql://host/db", UsageError),
        ("box", "no url", UsageError),
        ("nowhere-at-all://x", "sqlite://", StoreError),
        ("box", "postgresql://u:geheim@127.0.0.1:1/db", StoreError),
    ],
)
def test_what_cannot_be_opened_is_told_without_the_password(
    place: str, database: str, error: type[Exception], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error) as caught:
        open_store(place, database)
    assert "geheim" not in str(caught.value)


def test_attachments_may_lie_behind_a_url(postgresql_server: postgresql.Server) -> None:
    with open_store("memory://mms", postgresql_server.new_database()) as store:
        add(store, message("1", "a", JPEG))
        store.check()
        part = store.messages()[0].parts[0]
        assert store.read(part) == JPEG
        RemoteBlobs("memory://mms")._files.rm("/mms", recursive=True)
        with pytest.raises(StoreError):
            store.read(part)


def test_the_error_for_a_missing_package_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "fsspec", None)
    with pytest.raises(ToolMissing, match="pip install"):
        RemoteBlobs("s3://bucket")
