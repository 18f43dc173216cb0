"""One claim before a byte leaves: the same message to the same recipient, by everybody at once."""

from __future__ import annotations

import asyncio
import multiprocessing
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import postgresql
import pytest
from deadlines import forked, processes, program, until, until_async
from loopback import (
    Gateway,
    Request,
    answers,
    closes_before_the_reply,
    gateway,
    http,
    never_answers,
    never_says_hello,
    soap_reply,
    succeeds,
)

from mmsprep import Account, Journal, Patience, send, send_async
from mmsprep.delivery import deliver
from mmsprep.errors import (
    EarlierOutcomeUnknown,
    JournalError,
    MmsprepError,
    NotSent,
    SendInProgress,
    SendOutcomeUnknown,
)
from mmsprep.message import Message
from mmsprep.sender import Timeouts, Via
from mmsprep.sender.entry import Claim, State, Subject
from mmsprep.sender.owner import is_gone, this_process
from mmsprep.sender.wire import Receipt

TO = "61400000001"
ONCE = Patience(attempts=1)
MESSAGE = Message(profile="smsglobal", limit_bytes=300_000, parts=(), text="Hello there")
SUBJECT = Subject(recipient=TO, key="k", content_sha256="c", gateway="g")
RECEIPT = Receipt(recipient=TO, message_id="1234567890123456", transaction_id="t", via=Via.HTTP)

both_doors = pytest.mark.parametrize("via", list(Via))
both_ways = pytest.mark.parametrize("wait", [False, True], ids=["blocking", "async"])


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A journal that does not exist yet, in each kind of database."""
    if request.param == "sqlite":
        return str(tmp_path / "journal.db")
    server: postgresql.Server = request.getfixturevalue("postgresql_server")
    return server.new_database()


def account(this: Gateway) -> Account:
    return Account("ann", "hunter2-hunter2", this.url)


def slowly() -> Callable[[Any, Gateway], None]:
    """Accept by either door, a moment later, so that those who race overlap."""

    def reply(request: Request) -> bytes:
        threading.Event().wait(0.05)
        if request.path.endswith("mm7.php"):
            return soap_reply("SubmitRsp", 1000, "1234567890123456")(request)
        return http("Success. ID = 1234567890123456")

    return answers(reply)


def one(url: str, to: str, journal: Journal | str, via: str = "http") -> str:
    """What became of one send."""
    try:
        sent = send(MESSAGE, to=to, account=Account("ann", "hunter2-hunter2", url), via=via, journal=journal)
    except MmsprepError as error:
        return error.code
    return "earlier" if sent.earlier else "sent"


def received(this: Gateway) -> Counter[str]:
    return Counter(request.recipient for request in this.requests)


# Everybody at once.
@both_doors
def test_threads_that_send_the_same_send_it_once(place: str, via: str) -> None:
    numbers = [f"6140000{n:04d}" for n in range(6)]
    gate = threading.Barrier(8)
    with gateway(slowly()) as this, Journal(place) as journal, ThreadPoolExecutor(8) as pool:

        def race(to: str) -> str:
            gate.wait(60)
            return one(this.url, to, journal, via)

        found = Counter(what for to in numbers for what in pool.map(race, [to] * 8))
    assert received(this) == Counter(numbers)
    assert found["sent"] == len(numbers)
    assert set(found) <= {"sent", "earlier", "send_in_progress"}


def _race(arguments: tuple[str, str, str, float]) -> list[str]:
    url, place, via, starts_at_s = arguments
    time.sleep(max(0.0, starts_at_s - time.time()))
    return [one(url, f"6140000{n:04d}", place, via) for n in range(5)]


@both_doors
def test_processes_that_send_the_same_send_it_once(place: str, via: str) -> None:
    """Each opens the journal for every send, as a task does, and all of them make it at the same moment."""
    with gateway(slowly()) as this, processes(4) as each:
        found = each(_race, [(this.url, place, via, time.time() + 2)] * 4)
        told = Counter(what for one_process in found for what in one_process)
    assert received(this) == Counter(f"6140000{n:04d}" for n in range(5))
    assert told["sent"] == 5
    assert set(told) <= {"sent", "earlier", "send_in_progress"}, told


def _opened(arguments: tuple[str, float]) -> list[str]:
    folder, starts_at_s = arguments
    problems = []
    for turn in range(12):
        time.sleep(max(0.0, starts_at_s + turn / 4 - time.time()))
        try:
            Journal(f"{folder}/{turn}.db").close()
        except MmsprepError as error:
            problems.append(str(error))
    return problems


def test_processes_that_make_the_same_journal_at_the_same_moment_make_it_once(tmp_path: Path) -> None:
    with processes(5) as each:
        assert each(_opened, [(str(tmp_path), time.time() + 2)] * 5) == [[]] * 5


@pytest.mark.posix("fork")
def test_a_journal_that_was_opened_before_a_fork_works_in_both(place: str, tmp_path: Path) -> None:
    """As a prefork worker holds one: the parent's connections are left alone."""
    with Journal(place) as journal, gateway(slowly()) as this:
        assert one(this.url, TO, journal) == "sent"
        told = tmp_path / "told"
        assert forked(lambda: told.write_text(" ".join(one(this.url, to, journal) for to in (TO, "61400000002")))) == 0
        assert told.read_text() == "earlier sent"
        assert one(this.url, "61400000002", journal) == "earlier"
        assert one(this.url, "61400000003", journal) == "sent"
    assert max(received(this).values()) == 1


def gathered(this: Gateway, journal: Journal | str, via: str, count: int) -> list[Any]:
    async def all_of_them() -> list[Any]:
        sends = (send_async(MESSAGE, to=TO, account=account(this), journal=journal, via=via) for _ in range(count))
        return await asyncio.gather(*sends, return_exceptions=True)

    return asyncio.run(all_of_them())


@both_doors
def test_two_sends_in_one_event_loop_are_one(place: str, via: str) -> None:
    with gateway(slowly()) as this:
        first = gathered(this, place, via, 2)
        with Journal(place) as journal:
            again = gathered(this, journal, via, 5)
    assert received(this) == Counter([TO])
    assert sum(isinstance(found, Receipt) and not found.earlier for found in first) == 1
    assert all(isinstance(found, (Receipt, SendInProgress)) for found in first)
    assert all(found.earlier for found in again)


def test_the_event_loop_goes_on_while_the_journal_waits(tmp_path: Path) -> None:
    """Another program holds the file: the send waits, the loop does not."""
    path = tmp_path / "journal.db"
    Journal(path).close()

    async def run(this: Gateway) -> tuple[Receipt, int]:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            task = asyncio.create_task(send_async(MESSAGE, to=TO, account=account(this), journal=path))
            turns = 0
            while turns < 20:
                await asyncio.sleep(0.01)
                turns += 1
            assert not task.done() and not this.requests
            other.execute("ROLLBACK")
        return await task, turns

    with gateway(succeeds()) as this:
        receipt, turns = asyncio.run(run(this))
    assert receipt.message_id and turns == 20


def _tasks(arguments: tuple[str, str, int]) -> list[str]:
    """A worker's tasks: the journal is opened for each."""
    url, place, worker = arguments
    found = []
    for n in range(4):
        with Journal(place) as journal:
            found.append(one(url, f"61400{worker:03d}{n:03d}", journal))
    return found


def test_workers_do_not_wait_for_each_others_exchanges(tmp_path: Path) -> None:
    """Every worker's request is at the gateway at the same time, which no lock over a whole exchange would allow."""
    meet = threading.Barrier(4)

    def reply(request: Request) -> bytes:
        meet.wait(60)
        return http("Success. ID = 1234567890123456")

    with gateway(answers(reply)) as this, processes(4) as each:
        found = each(_tasks, [(this.url, str(tmp_path / "journal.db"), n) for n in range(4)])
    assert found == [["sent"] * 4] * 4
    assert len(this.requests) == 16


# Cancelled, killed, gone.
@pytest.fixture
def silent() -> Iterator[Gateway]:
    with gateway(never_answers, succeeds()) as this:
        yield this


def states(place: str | Path) -> list[str]:
    with Journal(place) as journal:
        return [entry.state for entry in journal.entries()]


@both_doors
def test_a_task_that_is_cancelled_before_its_body_went_out_has_not_sent(place: str, via: str) -> None:
    async def cancelled(this: Gateway) -> None:
        there = Account("ann", "hunter2-hunter2", this.url.replace("http:", "https:"))
        task = asyncio.create_task(send_async(MESSAGE, to=TO, account=there, journal=place, via=via))
        await until_async(lambda: this.connections)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with gateway(never_says_hello) as this:
        asyncio.run(cancelled(this))
    assert states(place) == [State.NOT_SENT]


def test_a_task_that_is_cancelled_while_it_waits_for_the_journal_has_not_sent(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    Journal(path).close()

    async def cancelled(this: Gateway) -> None:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with Journal(path) as journal:
                task = asyncio.create_task(send_async(MESSAGE, to=TO, account=account(this), journal=journal))
                await asyncio.sleep(0.3)
                task.cancel()
                await asyncio.sleep(0.1)
                other.execute("ROLLBACK")
                with pytest.raises(asyncio.CancelledError):
                    await task

    with gateway(succeeds()) as this:
        asyncio.run(cancelled(this))
        assert not this.requests
        assert set(states(path)) <= {State.NOT_SENT}
        assert one(this.url, TO, str(path)) == "sent"


@both_doors
def test_a_task_that_is_cancelled_after_its_body_went_out_is_unknown(place: str, via: str, silent: Gateway) -> None:
    async def cancelled() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(30):
                task = asyncio.ensure_future(
                    send_async(MESSAGE, to=TO, account=account(silent), journal=place, via=via)
                )
                await until_async(lambda: silent.requests)
                raise TimeoutError
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    assert states(place) == [State.UNKNOWN]
    assert one(silent.url, TO, place, via) == "earlier_outcome_unknown"
    assert len(silent.requests) == 1


@pytest.mark.posix("signals")
@pytest.mark.parametrize(("via", "tls", "expected"), [("http", True, "not_sent"), ("mm7", False, "unknown")])
def test_a_blocking_send_that_is_interrupted_says_what_it_knows(place: str, via: str, tls: bool, expected: str) -> None:
    code = (
        "import sys\nfrom mmsprep import Account, send\nfrom mmsprep.message import Message\n"
        "message = Message(profile='smsglobal', limit_bytes=300_000, parts=(), text='Hello there')\n"
        "account = Account('ann', 'hunter2-hunter2', sys.argv[1])\n"
        "send(message, to='61400000001', account=account, via=sys.argv[3], journal=sys.argv[2])"
    )
    with gateway(never_says_hello if tls else never_answers) as this:
        url = this.url.replace("http:", "https:") if tls else this.url
        with program([sys.executable, "-c", code, url, place, via], stderr=subprocess.DEVNULL) as child:
            until(lambda: this.connections if tls else this.requests)
            child.send_signal(2)
    assert states(place) == [expected]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells that a process has gone")
@both_doors
def test_the_claim_of_a_killed_process_is_unknown_at_once_and_never_free(place: str, via: str, silent: Gateway) -> None:
    worker = multiprocessing.get_context("spawn").Process(target=one, args=(silent.url, TO, place, via), daemon=True)
    worker.start()
    until(lambda: silent.requests)
    assert one(silent.url, TO, place, via) == "send_in_progress"
    worker.kill()
    worker.join(60)
    assert one(silent.url, TO, place, via) == "earlier_outcome_unknown"
    assert states(place) == [State.UNKNOWN]
    assert len(silent.requests) == 1


def test_nobody_can_decide_to_send_again_what_is_being_sent(place: str) -> None:
    """``resend_unknown`` is about what nobody knows, not about what somebody is at."""
    asked: list[MmsprepError] = []
    with Journal(place) as journal, gateway(succeeds()) as this:
        at_work = account(this)
        subject = Subject(recipient=TO, key="k", content_sha256="c", gateway=at_work.url)
        journal.claim(Claim(subject=subject, transaction_id="t", via="http", lasts_s=300))
        options: dict[str, Any] = {"account": at_work, "journal": journal, "key": "k"}
        with pytest.raises(SendInProgress):
            send(MESSAGE, to=TO, resend_unknown=True, **options)

        def yes(error: MmsprepError) -> bool:
            asked.append(error)
            return True

        (done,) = deliver(MESSAGE, to=[TO], resend_unknown=yes, **options)
    assert type(done.error) is SendInProgress and not asked
    assert not this.requests


def test_a_claim_whose_time_is_over_is_unknown(place: str) -> None:
    """Of a maker on another machine nothing else can be known."""
    with Journal(place) as journal:
        claim = Claim(subject=SUBJECT, transaction_id="t", via="http", lasts_s=-3600)
        assert journal.claim(claim) is None
        found = journal.standing(SUBJECT)
        assert found and found.state is State.UNKNOWN
        assert journal.claim(Claim(subject=SUBJECT, transaction_id="u", via="http", lasts_s=60)) is not None


def test_of_several_who_release_the_same_unknown_attempt_one_may_send(place: str) -> None:
    gate = threading.Barrier(6)
    with Journal(place) as journal, ThreadPoolExecutor(6) as pool:
        first = Claim(subject=SUBJECT, transaction_id="t", via="http", lasts_s=60)
        journal.claim(first)
        journal.settle(first, SendOutcomeUnknown("?"))

        def again(n: int) -> bool:
            gate.wait(60)
            claim = Claim(subject=SUBJECT, transaction_id=f"u{n}", via="http", lasts_s=60)
            return journal.claim(claim, resend_unknown=True) is None

        assert sum(pool.map(again, range(6))) == 1
        assert sorted(entry.state for entry in journal.entries()) == [State.RELEASED, State.SENDING]


def test_a_process_knows_itself_and_who_has_gone() -> None:
    mine = this_process()
    assert not is_gone(mine) and not is_gone("") and not is_gone("elsewhere:1/1/1")
    if mine:
        place, pid, _ = mine.split("/")
        assert is_gone(f"{place}/{pid}/1"), "another process had this number before"
        ended = subprocess.run(
            [sys.executable, "-c", "from mmsprep.sender.owner import *; print(this_process())"],
            capture_output=True,
            text=True,
            check=True,
        )
        assert is_gone(ended.stdout.strip())


def test_a_retry_waits_without_holding_the_claim(place: str) -> None:
    """While one waits to try again, another one may send; the first then finds that it was sent."""
    busy = answers(http("FAILURE: 4006 Service unavailable"))
    with gateway(busy, succeeds()) as this, Journal(place) as journal, ThreadPoolExecutor(1) as pool:
        # Long enough for a machine that stands still for a moment to see it.
        patience = Patience(attempts=3, first_wait_s=8)
        waiting = pool.submit(send, MESSAGE, to=TO, account=account(this), journal=journal, patience=patience)
        until(lambda: [entry.state for entry in journal.entries()] == [State.NOT_SENT])
        assert one(this.url, TO, journal) == "sent"
        assert waiting.result(60).earlier
    assert len(this.requests) == 2


# What it keeps.
def test_it_keeps_what_a_report_will_need(place: str) -> None:
    with gateway(succeeds(), answers(http("FAILURE 2004 Multimedia, you wrote: Hello there"))) as this:
        other = Message(profile="smsglobal", limit_bytes=300_000, parts=(), text="Hello there, too")
        with Journal(place) as journal:
            receipt = send(MESSAGE, to=TO, account=account(this), journal=journal, key="order-7")
            with pytest.raises(MmsprepError):
                send(other, to=TO, account=account(this), journal=journal)
            good, bad = journal.entries()
    assert (good.recipient, good.gateway, good.via, good.key) == (TO, this.url, "http", "order-7")
    assert (good.message_id, good.transaction_id) == (receipt.message_id, receipt.transaction_id)
    assert (good.state, good.settled_by, good.content_sha256) == (State.ACCEPTED, "send", MESSAGE.sha256)
    assert good.created_at_s <= good.updated_at_s <= time.time() + 1
    assert (bad.state, bad.error_code) == (State.REJECTED, "content_refused")
    assert bad.reason and "Hello" not in bad.reason


def test_the_receiver_and_the_journal_share_a_database(postgresql_server: postgresql.Server, tmp_path: Path) -> None:
    from mmsprep.receive.store import open_store

    url = postgresql_server.new_database()
    with open_store(tmp_path / "inbox", url) as store, Journal(url) as journal, gateway(succeeds()) as this:
        assert one(this.url, TO, journal) == "sent"
        assert store.count() == 0
    with open_store(tmp_path / "inbox", url), Journal(url) as journal:
        assert [entry.state for entry in journal.entries()] == [State.ACCEPTED]


def test_a_database_that_is_away_sends_nothing_and_shows_no_password() -> None:
    with gateway(succeeds()) as this, pytest.raises(JournalError) as caught:
        send(MESSAGE, to=TO, account=account(this), journal="postgresql://ann:hunter3@127.0.0.1:1/none", patience=ONCE)
    assert "hunter3" not in str(caught.value) and "nothing was sent" in str(caught.value)
    assert this.connections == 0


def test_a_journal_that_cannot_be_written_while_the_request_is_out_still_says_what_was_accepted(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)

    def lock(request: Request) -> bytes:
        other.execute("BEGIN IMMEDIATE")
        return http("Success. ID = 1234567890123456")

    with closing(other), gateway(answers(lock)) as this:
        with Journal(path, wait_s=0.2) as journal, pytest.raises(JournalError, match=r"ACCEPTED.*1234567890123456"):
            send(MESSAGE, to=TO, account=account(this), journal=journal)
        other.execute("ROLLBACK")
        assert one(this.url, TO, str(path)) in ("send_in_progress", "earlier_outcome_unknown")


def _version_1(path: Path, *rows: tuple[str, str, str, str]) -> None:
    """A journal as version 0.1 of mmsprep made it."""
    with closing(sqlite3.connect(path)) as old, old:
        old.executescript(
            "CREATE TABLE attempts (id INTEGER PRIMARY KEY, recipient TEXT NOT NULL, key TEXT NOT NULL,"
            " content_sha256 TEXT NOT NULL, transaction_id TEXT NOT NULL, via TEXT NOT NULL, gateway TEXT NOT NULL,"
            " state TEXT NOT NULL, message_id TEXT NOT NULL DEFAULT '', status_code INTEGER,"
            " error_code TEXT NOT NULL DEFAULT '', started_at TEXT NOT NULL, ended_at TEXT);"
            "CREATE INDEX attempts_by_subject ON attempts (recipient, gateway, key);"
            "CREATE INDEX attempts_by_content ON attempts (content_sha256, gateway);"
            "PRAGMA application_id=1835889520; PRAGMA user_version=1;"
        )
        for number, (recipient, gateway_url, state, message_id) in enumerate(rows):
            old.execute(
                "INSERT INTO attempts (recipient, key, content_sha256, transaction_id, via, gateway, state, message_id,"
                " started_at, ended_at) VALUES (?, ?, ?, ?, 'http', ?, ?, ?, '2026-01-02T03:04:05+00:00', NULL)",
                (recipient, MESSAGE.sha256, MESSAGE.sha256, f"old-{number}", gateway_url, state, message_id),
            )


def test_a_journal_of_an_earlier_version_keeps_its_word(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    numbers = [f"6140000000{n}" for n in range(6)]
    with gateway(succeeds()) as this:
        _version_1(
            path,
            (numbers[0], this.url, "accepted", "1111111111111111"),
            # It could have several on one subject; what was accepted is the word.
            (numbers[1], this.url, "accepted", "2222222222222221"),
            (numbers[1], this.url, "accepted", "2222222222222222"),
            (numbers[1], this.url, "unknown", ""),
            (numbers[2], this.url, "sending", ""),
            (numbers[3], this.url, "refused", ""),
            (numbers[4], this.url, "not_sent", ""),
            (numbers[5], this.url, "released", ""),
        )
        found = [one(this.url, to, str(path)) for to in numbers]
        again = send(MESSAGE, to=numbers[1], account=account(this), journal=path)
    assert found == ["earlier", "earlier", "earlier_outcome_unknown", "sent", "sent", "sent"]
    assert again.message_id == "2222222222222222"
    assert sorted(received(this)) == numbers[3:]
    with Journal(path) as journal:
        assert journal.entries()[0].started_at == "2026-01-02T03:04:05+00:00"
        assert len(journal.entries()) == 11


def test_processes_that_meet_a_journal_of_an_earlier_version_take_it_over_once(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with gateway(slowly()) as this:
        _version_1(path, (TO, this.url, "accepted", "1111111111111111"))
        with processes(4) as each:
            each(_race, [(this.url, str(path), "http", time.time() + 2)] * 4)
    assert set(received(this).values()) == {1} and TO not in received(this)


def test_a_journal_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    Journal(path).close()
    with closing(sqlite3.connect(path)) as newer:
        newer.execute("PRAGMA user_version=99")
    with pytest.raises(JournalError, match="update mmsprep"):
        Journal(path)


def test_another_spelling_of_the_gateway_is_the_same_gateway(tmp_path: Path) -> None:
    with gateway(succeeds()) as this:
        assert one(this.url, TO, str(tmp_path / "j")) == "sent"
        assert one(this.url + "/", TO, str(tmp_path / "j")) == "earlier"


@both_ways
def test_what_broke_off_stays_unknown_for_everyone(place: str, wait: bool) -> None:
    with gateway(closes_before_the_reply, succeeds()) as this:
        options: dict[str, Any] = {"to": TO, "account": account(this), "journal": place}
        for expected in (SendOutcomeUnknown, EarlierOutcomeUnknown, EarlierOutcomeUnknown):
            with pytest.raises(SendOutcomeUnknown) as caught:
                asyncio.run(send_async(MESSAGE, **options)) if wait else send(MESSAGE, **options)
            assert type(caught.value) is expected
    assert len(this.requests) == 1


def test_an_exchange_that_takes_too_long_before_its_body_is_not_sent(place: str) -> None:
    with gateway(never_says_hello) as this, pytest.raises(NotSent):
        there = Account("ann", "hunter2-hunter2", this.url.replace("http:", "https:"))
        patience = Patience(attempts=1, timeouts=Timeouts(total_s=0.5))
        send(MESSAGE, to=TO, account=there, journal=place, patience=patience)
    assert states(place) == [State.NOT_SENT]
