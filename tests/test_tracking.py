"""What became of sent messages: journal and inbox joined, settled by people, told as it changes."""

from __future__ import annotations

import asyncio
import itertools
import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import postgresql
import pytest
from deadlines import at_once
from hypothesis import given
from hypothesis import strategies as st
from loopback import answers, gateway, http, resets_before_the_reply, succeeds
from typer.testing import CliRunner

from mmsprep import Account, Journal, Tracked, prepare, send, track, track_changes
from mmsprep.cli import app
from mmsprep.errors import MmsprepError, NotFound, SendInProgress, UsageError
from mmsprep.receive import Store, open_store
from mmsprep.receive.incoming import PushDoor, What
from mmsprep.receive.limits import Limits
from mmsprep.receive.parse_form import parse_form
from mmsprep.receive.reports import Report
from mmsprep.sender import Receipt, Via
from mmsprep.sender.entry import Claim, State, Subject
from mmsprep.tracking import Status, follow
from mmsprep.tracking.status import judged

MESSAGE = prepare([], text="Hello")
IDS = [f"{1111111111111111 * n}" for n in range(1, 7)]
NUMBERS = [f"6140000000{n}" for n in range(1, 7)]


@pytest.fixture(params=["apart", "one database"])
def places(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, str | None, str]:
    """Journal, inbox (``None``: in the journal's database) and the database that the receiver is given."""
    if request.param == "apart":
        return str(tmp_path / "sent.db"), str(tmp_path / "inbox"), ""
    server: postgresql.Server = request.getfixturevalue("postgresql_server")
    url = server.new_database()
    return url, None, url


@pytest.fixture
def journal(places: tuple[str, str | None, str]) -> str:
    return places[0]


@pytest.fixture
def store(places: tuple[str, str | None, str], tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "inbox", places[2]) as opened:
        yield opened


def sent(journal: str | Journal, *deeds: Any, numbers: list[str] = NUMBERS, **values: Any) -> str:
    """Send to each; returns the gateway's address."""
    with gateway(*deeds) as this:
        for number in numbers[: len(deeds)]:
            with suppress(MmsprepError):
                send(MESSAGE, to=number, account=Account("ann", "secret", this.url), journal=journal, **values)
        return this.url


def told(store: Store, message_id: str, status: str, err: str = "000", done: str = "2611280922") -> None:
    """As SMSGlobal pushes a notice."""
    body = f"msgid={message_id}&dlrstatus={status}&dlr_err={err}&donedate={done}".encode()
    store.add(parse_form("application/x-www-form-urlencoded", body, Limits()), ())


def test_every_status_is_told_with_its_reason(places: tuple[str, str | None, str], journal: str, store: Store) -> None:
    refuses = answers(http("FAILURE: number barred"))
    sent(journal, *map(succeeds, IDS[:4]), resets_before_the_reply, refuses)
    told(store, IDS[0], "DELIVRD")
    told(store, IDS[1], "EXPIRED", "27")
    told(store, IDS[2], "MYSTERY")
    found = track(journal=journal, inbox=places[1])
    assert [(one.recipient, one.status.value) for one in found] == list(
        zip(NUMBERS, ["delivered", "failed", "accepted", "accepted", "unknown", "failed"], strict=True)
    )
    assert found[1].reason == "it expired before the phone took it (EXPIRED, error 27)"
    assert found[2].said == "MYSTERY", "a word that nobody knows stays as it is"
    assert "connection broke" in found[4].reason
    assert "FAILURE" in found[5].reason
    assert [one.message_id for one in found[:4]] == IDS[:4]


def test_it_is_found_by_id_number_key_and_time(places: tuple[str, str | None, str], journal: str, store: Store) -> None:
    before = datetime.now(UTC)
    sent(journal, *map(succeeds, IDS[:2]))
    sent(journal, succeeds(IDS[2]), key="second")
    told(store, "9999999999999999", "DELIVRD")
    where: dict[str, Any] = {"journal": journal, "inbox": places[1]}
    everything = track(**where)
    assert track(IDS[1], **where) == [everything[1]]
    assert track(everything[1].transaction_id[:8], **where) == [everything[1]]
    assert [one.key for one in track(to="+61 400 000 001", **where)] == [everything[0].key, "second"]
    assert [one.message_id for one in track(key="second", **where)] == [IDS[2]]
    assert track(since=before - timedelta(minutes=1), **where) == everything
    assert track(since=datetime.now(UTC) + timedelta(minutes=1), **where) == []
    assert track(newest=1, **where) == everything[-1:]
    (orphan,) = track("9999999999999999", **where)
    assert (orphan.status, orphan.attempt) == (Status.DELIVERED, "")
    with pytest.raises(NotFound, match="no sent message"):
        track("8888888888888888", **where)


def test_a_message_that_was_sent_again_is_one_message(journal: str, store: Store) -> None:
    busy = answers(http("FAILURE: 4006"))
    with gateway(busy, succeeds(IDS[0])) as this:
        from mmsprep import Patience

        patience = Patience(first_wait_s=0.01)
        send(MESSAGE, to=NUMBERS[0], account=Account("a", "b", this.url), journal=journal, patience=patience)
    (one,) = track(journal=journal)
    assert (one.status, one.message_id) == (Status.ACCEPTED, IDS[0])


def test_the_inbox_alone_will_do_and_neither_does_not(store: Store, places: tuple[str, str | None, str]) -> None:
    told(store, IDS[0], "UNDELIV", "500")
    (one,) = track(inbox=places[1] or places[2])
    assert (one.message_id, one.status) == (IDS[0], Status.FAILED)
    with pytest.raises(UsageError, match="nothing to track with"):
        track()


def test_what_is_not_there_is_told_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no journal"):
        track(journal=tmp_path / "sent.db")
    with pytest.raises(NotFound, match="no store"):
        track(inbox=tmp_path / "inbox")
    assert list(tmp_path.iterdir()) == []


def report(status: str, what: What = What.DELIVERY_REPORT, number: int = 1) -> Report:
    return Report(
        number=number,
        what=what,
        door=PushDoor.MM7,
        about_id="1",
        status=status,
        status_text="",
        sent_at="",
        received_at_s=0.0,
        handset="",
    )


def test_reports_in_any_order_say_the_same() -> None:
    words = [report("ENROUTE"), report("EXPIRED"), report("DELIVRD"), report("Read", What.READ_REPLY)]
    for count, expected in ((1, None), (2, Status.FAILED), (3, Status.DELIVERED), (4, Status.READ)):
        verdicts = {found[0] if (found := judged(order)) else None for order in itertools.permutations(words[:count])}
        assert verdicts == {expected}


@given(st.text(max_size=20))
def test_no_word_makes_it_fail_and_an_unknown_one_decides_nothing(word: str) -> None:
    known = ("delivrd", "expired", "undeliv", "rejectd", "deleted", "failed", "retrieved", "rejected")
    assert (judged([report(word)]) is not None) == (word.strip().lower() in known)


@pytest.mark.parametrize(("arrived", "state"), [(True, State.ACCEPTED), (False, State.NOT_SENT)])
def test_a_person_settles_what_nobody_knew_and_the_next_send_obeys(journal: str, arrived: bool, state: State) -> None:
    sent(journal, resets_before_the_reply)
    with Journal(journal) as book:
        (entry,) = book.entries()
        settled = book.decide(entry, arrived=arrived, person="Ann Ö. " * 20, message_id=IDS[5] if arrived else "")
        assert (settled.state, settled.settled_by, settled.person) == (state, "person", "Ann Ö. " * 20)
        assert settled.updated_at_s >= entry.updated_at_s
        account = Account("ann", "secret", entry.gateway)
        with gateway(succeeds(IDS[0])) as this:
            if arrived:
                assert send(MESSAGE, to=NUMBERS[0], account=account, journal=book).message_id == IDS[5]
            else:
                claim = Claim(
                    subject=Subject(
                        recipient=NUMBERS[0], key=entry.key, content_sha256=MESSAGE.sha256, gateway=entry.gateway
                    ),
                    transaction_id="again",
                    via="http",
                    lasts_s=1,
                )
                assert book.claim(claim) is None, "it may be sent again"
            assert this.requests == []


def test_a_person_who_erred_corrects_it_unless_it_was_sent_since(journal: str) -> None:
    sent(journal, resets_before_the_reply)
    with Journal(journal) as book:
        first = book.decide(book.entries()[0], arrived=True, person="Ann")
        second = book.decide(first, arrived=False, person="Bob")
        assert (second.state, second.person) == (State.NOT_SENT, "Bob")
        with pytest.raises(UsageError, match="look again"):
            book.decide(first, arrived=False, person="Ann")
        subject = Subject(
            recipient=first.recipient, key=first.key, content_sha256=first.content_sha256, gateway=first.gateway
        )
        claim = Claim(subject=subject, transaction_id="t", via="http", lasts_s=60)
        assert book.claim(claim) is None
        with pytest.raises(UsageError, match="look again"):
            book.decide(second, arrived=True, person="Ann")
        with pytest.raises(UsageError, match="is sending"):
            book.decide(book.entries()[-1], arrived=True, person="Ann")
        receipt = Receipt(recipient=first.recipient, message_id=IDS[0], transaction_id="t", via=Via.HTTP)
        book.settle(claim, receipt)
        with pytest.raises(UsageError, match="is accepted"):
            book.decide(book.entries()[-1], arrived=False, person="Ann")


def test_of_two_who_settle_at_once_one_does(journal: str) -> None:
    sent(journal, resets_before_the_reply)
    with Journal(journal) as book:
        (entry,) = book.entries()
        outcomes: list[bool] = []
        barrier = threading.Barrier(4)

        def decide(number: int) -> None:
            barrier.wait(120)
            with suppress(UsageError):
                book.decide(entry, arrived=bool(number % 2), person=str(number))
                outcomes.append(True)

        at_once([partial(decide, number) for number in range(4)])
    assert outcomes == [True]


def test_a_journal_of_version_2_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "sent.db"
    sent(str(path), *map(succeeds, IDS[:2]))
    with closing(sqlite3.connect(path)) as old, old:
        for index in ("recipient", "key", "time", "change"):
            old.execute(f"DROP INDEX attempts_by_{index}")
        old.execute("ALTER TABLE attempts DROP COLUMN person")
        old.execute("UPDATE journal SET version = 2")
        old.execute("PRAGMA user_version = 2")
    assert [one.message_id for one in track(journal=path)] == IDS[:2]
    with closing(sqlite3.connect(path)) as new:
        assert new.execute("PRAGMA user_version").fetchone() == (4,)


def test_changes_come_once_as_they_happen_and_not_those_of_before(
    places: tuple[str, str | None, str], journal: str, store: Store
) -> None:
    sent(journal, succeeds(IDS[0]), succeeds(IDS[1]))
    told(store, IDS[0], "DELIVRD")
    seen: list[tuple[str, str]] = []
    ended = threading.Event()

    def note(one: Tracked) -> None:
        seen.append((one.message_id, one.status.value))

    where: dict[str, Any] = {"journal": journal, "inbox": places[1]}
    thread = threading.Thread(target=follow, args=(note,), kwargs={**where, "poll_s": 0.05, "stop": ended})
    thread.start()
    try:
        time.sleep(1.0)
        told(store, IDS[0], "ENROUTE")
        told(store, IDS[1], "EXPIRED")
        _wait(lambda: (IDS[1], "failed") in seen)
        told(store, IDS[1], "DELIVRD", done="2611280930")
        _wait(lambda: (IDS[1], "delivered") in seen)
        sent(journal, succeeds(IDS[2]), key="another")
        _wait(lambda: (IDS[2], "accepted") in seen)
        time.sleep(0.3)
    finally:
        ended.set()
        thread.join(60)
    assert [one for one in seen if one[1] != "sending"] == [
        (IDS[1], "failed"),
        (IDS[1], "delivered"),
        (IDS[2], "accepted"),
    ]


def test_an_event_loop_gets_the_changes_too_from_any_time_on(tmp_path: Path) -> None:
    journal, inbox = str(tmp_path / "sent.db"), tmp_path / "inbox"
    sent(journal, succeeds(IDS[0]))
    with open_store(inbox) as store:
        told(store, IDS[0], "DELIVRD")

        async def first_two() -> list[str]:
            since = datetime.now(UTC) - timedelta(hours=1)
            found: list[str] = []
            changes = track_changes(journal=journal, inbox=inbox, since=since, poll_s=0.02)
            async for one in changes:
                found.append(one.status.value)
                if len(found) == 2:
                    break
                body = f"msgid={IDS[1]}&dlrstatus=REJECTD&dlr_err=1&donedate=2611280922".encode()
                sent(journal, succeeds(IDS[1]), key="later")
                store.add(parse_form("application/x-www-form-urlencoded", body, Limits()), ())
            await changes.aclose()  # type: ignore[attr-defined]
            return found

        found = asyncio.run(asyncio.wait_for(first_two(), 60))
    assert found[0] == "delivered" and found[1] in ("failed", "accepted")


def _wait(until: Any) -> None:
    ends_at = time.monotonic() + 60
    while not until():
        assert time.monotonic() < ends_at
        time.sleep(0.02)


def run(*arguments: str, journal: str, **variables: str) -> Any:
    return CliRunner().invoke(app, list(arguments), env={"MMSPREP_JOURNAL": journal, **variables})


def test_the_commands_list_show_settle_and_track(tmp_path: Path) -> None:
    journal, inbox = str(tmp_path / "sent.db"), str(tmp_path / "inbox")
    sent(journal, succeeds(IDS[0]), resets_before_the_reply)
    with open_store(inbox) as store:
        told(store, IDS[0], "UNDELIV", "27")
    listed = json.loads(run("journal", "list", "--json", journal=journal).stdout)["attempts"]
    assert [one["state"] for one in listed] == ["accepted", "unknown"]
    (unknown,) = json.loads(run("journal", "list", "--unknown", "--json", journal=journal).stdout)["attempts"]
    name = unknown["transaction_id"][:8]
    for half in ([name], [name, "--arrived", "--not-arrived"], ["", "--arrived"], [" ", "--not-arrived"]):
        assert run("journal", "settle", *half, journal=journal).exit_code == 2
    mistyped = run("journal", "settle", name, "--arrived", "--message-id", IDS[4][1:], journal=journal)
    assert mistyped.exit_code == 2 and "16 digits" in mistyped.output
    assert run("journal", "list", "--unknown", journal=journal).output.count("unknown") == 1
    done = run("journal", "settle", name, "--arrived", "--by", "Ann", "--message-id", IDS[4], journal=journal)
    assert done.exit_code == 0 and "Ann says that it arrived" in done.output
    shown = json.loads(run("journal", "show", name, "--json", journal=journal).stdout)
    assert (shown["state"], shown["person"], shown["message_id"]) == ("accepted", "Ann", IDS[4])
    assert shown["changed_at"] >= shown["begun_at"]
    again = run("journal", "settle", IDS[0], "--not-arrived", journal=journal)
    assert again.exit_code == 2 and "only what is unknown is settled" in again.output
    tracked = json.loads(run("track", "--json", "--store", inbox, journal=journal).stdout)["messages"]
    assert [(one["status"], one["person"]) for one in tracked] == [("failed", ""), ("accepted", "Ann")]
    table = run("track", "--store", inbox, journal=journal, COLUMNS="200")
    assert "it cannot be delivered (UNDELIV, error 27)" in table.output
    details = run("track", IDS[0], "--store", inbox, journal=journal, COLUMNS="200")
    assert "UNDELIV 27 2611280922" in details.output
    assert json.loads(run("track", "--to", NUMBERS[1], "--since", "1h", "--json", journal=journal).stdout)["messages"]
    assert run("track", "--since", "yesterday", journal=journal).exit_code == 2
    assert run("track", "--json", journal=str(tmp_path / "gone.db")).exit_code == NotFound.exit_status
    assert not (tmp_path / "gone.db").exists()
    assert run("journal", "list", journal="").exit_code == 2


def test_a_journal_that_somebody_is_sending_with_can_be_looked_into(tmp_path: Path) -> None:
    journal = str(tmp_path / "sent.db")
    subject = Subject(recipient=NUMBERS[0], key="k", content_sha256="0" * 64, gateway="http://x")
    with Journal(journal) as book:
        assert book.claim(Claim(subject=subject, transaction_id="abcdef12", via="http", lasts_s=60)) is None
        assert [one.status for one in track(journal=journal)] == [Status.SENDING]
        refused = run("journal", "settle", "abcdef", "--arrived", journal=journal)
        assert refused.exit_code == 2 and "is sending" in refused.output
        with pytest.raises(SendInProgress):
            from mmsprep.sender.attempts import earlier

            earlier(book.entries()[0], NUMBERS[0])


@pytest.mark.parametrize("since", [None, timedelta(hours=1)])
def test_the_inbox_alone_tells_changes_from_a_time_on(since: timedelta | None, tmp_path: Path) -> None:
    seen: list[tuple[str, str]] = []
    ended = threading.Event()
    with open_store(tmp_path / "inbox") as store:
        told(store, IDS[0], "DELIVRD")
        where: dict[str, Any] = {"inbox": tmp_path / "inbox", "poll_s": 0.05, "stop": ended}
        where |= {"since": datetime.now(UTC) - since} if since else {}
        note = lambda one: seen.append((one.message_id, one.status.value))  # noqa: E731
        thread = threading.Thread(target=follow, args=(note,), kwargs=where)
        thread.start()
        try:
            if since:
                _wait(lambda: (IDS[0], "delivered") in seen)
            else:
                time.sleep(1.0)
            told(store, IDS[1], "EXPIRED")
            _wait(lambda: (IDS[1], "failed") in seen)
        finally:
            ended.set()
            thread.join(60)
    assert ((IDS[0], "delivered") in seen) == bool(since)


def test_what_was_not_sent_says_so(tmp_path: Path) -> None:
    journal = str(tmp_path / "sent.db")
    with suppress(MmsprepError):
        send(MESSAGE, to=NUMBERS[0], account=Account("ann", "secret", "http://127.0.0.1:9"), journal=journal)
    (one,) = track(journal=journal)
    assert one.status is Status.FAILED and one.reason.startswith("not sent")
