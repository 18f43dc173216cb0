"""Several recipients, a journal between runs, and a message made smaller when the gateway refuses it."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from deadlines import program, until, until_async
from examples import examples
from grain import grain
from hypothesis import given
from hypothesis import strategies as st
from loopback import (
    Gateway,
    Request,
    answers,
    closes_before_the_reply,
    gateway,
    http,
    never_answers,
    resets_before_the_reply,
    soap_reply,
    succeeds,
)

from mmsprep import Account, Journal, Patience, prepare, send, send_async
from mmsprep.delivery import Delivery, deliver, key_of
from mmsprep.errors import (
    AccountRefused,
    AddressError,
    ContentRefused,
    EarlierOutcomeUnknown,
    GatewayBusy,
    GatewayUnreachable,
    JournalError,
    NotSent,
    SendError,
    SendOutcomeUnknown,
    SendRejected,
    UsageError,
)
from mmsprep.message import Message
from mmsprep.pipeline.job import Job
from mmsprep.sender.entry import STANDING, Claim, Subject
from mmsprep.sender.wire import Receipt, Via

ONE, TWO, THREE = "61400000001", "61400000002", "61400000003"
QUICK = Patience(attempts=2, first_wait_s=0.01)
SUBJECT = Subject(recipient=ONE, key="k", content_sha256="c", gateway="g")


@pytest.fixture(scope="module")
def message(sample_media: Path) -> Message:
    return prepare([sample_media / "formats/photo.jpg"], text="Hello")


def account(this: Gateway) -> Account:
    return Account("ann", "hunter2-hunter2", this.url)


def run(this: Gateway, message: Message | list[Message], to: list[str], **options: Any) -> list[Delivery]:
    return list(deliver(message, to=to, account=account(this), patience=QUICK, **options))


def received(this: Gateway) -> list[str]:
    return [request.recipient for request in this.requests]


def test_each_recipient_gets_a_request_of_its_own_and_a_number_given_twice_one(message: Message) -> None:
    with gateway(succeeds()) as this:
        done = run(this, message, [ONE, "+61 400 000 002", ONE])
    assert [delivery.recipient for delivery in done] == received(this) == [ONE, TWO]
    assert all(delivery.receipt for delivery in done)


def test_one_bad_number_stops_everything_before_anything_is_sent(message: Message) -> None:
    with gateway(succeeds()) as this, pytest.raises(AddressError):
        run(this, message, [ONE, "0400"])
    assert this.connections == 0


def test_a_refused_recipient_does_not_stop_the_others(message: Message) -> None:
    with gateway(answers(http("FAILURE: number unknown")), succeeds()) as this:
        first, second = run(this, message, [ONE, TWO])
    assert type(first.error) is SendRejected and second.receipt


@pytest.mark.parametrize(
    ("status", "expected", "requests"),
    [(401, AccountRefused, 1), (200, GatewayBusy, 2), (503, SendOutcomeUnknown, 1), (429, SendOutcomeUnknown, 1)],
)
def test_what_would_meet_everyone_is_tried_on_one(
    message: Message, status: int, expected: type[Exception], requests: int
) -> None:
    with gateway(answers(http("FAILURE: 4006" if status == 200 else "", status))) as this:
        done = run(this, message, [ONE, TWO, THREE])
    assert [type(delivery.error) for delivery in done] == [expected, NotSent, NotSent]
    assert this.connections == requests


def test_a_refused_content_is_not_sent_to_the_others(message: Message) -> None:
    with gateway(answers(http("FAILURE: message too large"))) as this:
        done = run(this, message, [ONE, TWO])
    assert [type(delivery.error) for delivery in done] == [ContentRefused, ContentRefused]
    assert received(this) == [ONE]
    assert TWO in str(done[1].error)


# The journal.
def test_a_re_run_sends_only_what_was_not_accepted(message: Message, tmp_path: Path) -> None:
    journal = tmp_path / "journal.db"
    with gateway(succeeds("1111111111111111"), answers(http("FAILURE: no")), succeeds("3333333333333333")) as this:
        run(this, message, [ONE, TWO, THREE], journal=journal)
        again = run(this, message, [ONE, TWO, THREE], journal=journal)
    assert received(this) == [ONE, TWO, THREE, TWO]
    assert [delivery.receipt and delivery.receipt.earlier for delivery in again] == [True, False, True]
    assert [delivery.receipt and delivery.receipt.message_id for delivery in again] == [
        "1111111111111111",
        "3333333333333333",
        "3333333333333333",
    ]


def test_an_unknown_outcome_is_asked_about_not_repeated(message: Message, tmp_path: Path) -> None:
    journal = tmp_path / "journal.db"
    with gateway(resets_before_the_reply, succeeds()) as this:
        (first,) = run(this, message, [ONE], journal=journal)
        (second,) = run(this, message, [ONE], journal=journal)
        asked: list[str] = []

        def no(error: EarlierOutcomeUnknown) -> bool:
            asked.append(str(error))
            return False

        (third,) = run(this, message, [ONE], journal=journal, resend_unknown=no)
        assert len(this.requests) == 1
        (fourth,) = run(this, message, [ONE], journal=journal, resend_unknown=lambda _: True)
        (fifth,) = run(this, message, [ONE], journal=journal)
    assert type(first.error) is SendOutcomeUnknown
    assert type(second.error) is type(third.error) is EarlierOutcomeUnknown
    assert first.error and second.error and second.error.transaction_id == first.error.transaction_id
    assert len(asked) == 1 and first.error.transaction_id in asked[0]
    assert fourth.receipt and not fourth.receipt.earlier
    assert fifth.receipt and fifth.receipt.earlier
    assert len(this.requests) == 2


def test_a_resend_that_fails_clearly_leaves_nothing_unknown(message: Message, tmp_path: Path) -> None:
    journal = tmp_path / "journal.db"
    with gateway(closes_before_the_reply, answers(http("FAILURE: no")), succeeds()) as this:
        run(this, message, [ONE], journal=journal)
        run(this, message, [ONE], journal=journal, resend_unknown=True)
        (third,) = run(this, message, [ONE], journal=journal)
    assert third.receipt


def test_what_was_not_sent_is_sent_by_the_next_run(message: Message, tmp_path: Path) -> None:
    journal = tmp_path / "journal.db"
    busy = answers(http("FAILURE: 4006 Service unavailable"))
    with gateway(busy, busy, succeeds()) as this:
        (first,) = run(this, message, [ONE], journal=journal)
        (second,) = run(this, message, [ONE], journal=journal)
    assert type(first.error) is GatewayBusy and second.receipt


def test_those_who_got_it_earlier_are_known_even_when_the_gateway_is_away(message: Message, tmp_path: Path) -> None:
    journal = tmp_path / "journal.db"
    with gateway(succeeds()) as this:
        run(this, message, [TWO], journal=journal)
    done = run(this, message, [ONE, TWO, THREE], journal=journal)
    assert [type(delivery.error) for delivery in done] == [GatewayUnreachable, type(None), NotSent]


def test_a_content_that_was_refused_is_not_sent_again_by_another_run(message: Message, tmp_path: Path) -> None:
    journal = tmp_path / "journal.db"
    with gateway(answers(http("FAILURE: too large")), succeeds()) as this:
        run(this, message, [ONE], journal=journal)
        for to in (ONE, TWO):
            (again,) = run(this, message, [to], journal=journal)
            assert type(again.error) is ContentRefused and len(this.requests) == 1
            assert str(again.error).startswith(to)
        (other,) = run(this, replace(message, text="Other"), [ONE], journal=journal)
        assert other.receipt


def test_the_same_key_is_the_same_send_whatever_the_bytes(message: Message, tmp_path: Path) -> None:
    journal = tmp_path / "journal.db"
    other = replace(message, text="prepared by a newer version")
    with gateway(succeeds()) as this:
        run(this, message, [ONE], journal=journal, key="reminder-7")
        (again,) = run(this, other, [ONE], journal=journal, key="reminder-7")
        (different,) = run(this, other, [ONE], journal=journal, key="reminder-8")
    assert again.receipt and again.receipt.earlier
    assert different.receipt and not different.receipt.earlier


def test_two_sends_that_are_meant_to_arrive_both_do(message: Message, tmp_path: Path) -> None:
    """The same words about two orders, each with a key of its own."""
    with gateway(succeeds()) as this:
        for key in ("order-1", "order-2", "order-1"):
            (last,) = run(this, message, [ONE], journal=tmp_path / "journal.db", key=key)
    assert len(this.requests) == 2 and last.receipt and last.receipt.earlier


def test_another_gateway_has_a_standing_of_its_own(message: Message, tmp_path: Path) -> None:
    journal = tmp_path / "journal.db"
    with gateway(succeeds()) as sandbox, gateway(succeeds()) as real:
        run(sandbox, message, [ONE], journal=journal)
        run(real, message, [ONE], journal=journal)
    assert received(real) == [ONE]


def test_an_attempt_that_never_ended_is_unknown(message: Message, tmp_path: Path) -> None:
    """As a power cut leaves it: the intent is there, no outcome."""
    path = tmp_path / "journal.db"
    with gateway(succeeds()) as this:
        run(this, message, [ONE], journal=path)
        with sqlite3.connect(path) as connection:
            connection.execute("UPDATE attempts SET state = 'sending', message_id = ''")
        connection.close()
        (again,) = run(this, message, [ONE], journal=path)
    assert type(again.error) is EarlierOutcomeUnknown and len(this.requests) == 1


def test_the_intent_is_on_disk_before_the_gateway_hears_anything(message: Message, tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    seen: list[tuple[str, str]] = []

    def look(request: Request) -> bytes:
        with closing(sqlite3.connect(path)) as connection:
            seen.extend(connection.execute("SELECT recipient, state FROM attempts"))
        return http("Success. ID = 1234567890123456")

    with gateway(answers(look)) as this:
        run(this, message, [ONE], journal=path)
    assert seen == [(ONE, "sending")]


def test_the_journal_is_private_and_holds_no_secret_and_no_text(message: Message, tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with gateway(answers(lambda request: http("FAILURE: hunter2-hunter2 " + request.body.decode()[:500]))) as this:
        run(this, message, [ONE], journal=path)
    assert path.stat().st_mode & 0o077 == 0 or sys.platform == "win32"
    data = path.read_bytes()
    assert b"hunter2" not in data and b"Hello" not in data
    assert ONE.encode() in data


def test_a_file_that_is_no_journal_is_refused_and_left_alone(message: Message, tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("precious " * 200)
    database = tmp_path / "other.db"
    with sqlite3.connect(database) as connection:
        connection.execute("CREATE TABLE mine (x)")
    connection.close()
    with gateway(succeeds()) as this:
        for path in (text, database, tmp_path / "no-such-folder" / "journal.db", tmp_path):
            before = path.read_bytes() if path.is_file() else None
            with pytest.raises(JournalError):
                run(this, message, [ONE], journal=path)
            assert (path.read_bytes() if path.is_file() else None) == before
    assert this.connections == 0


def test_threads_share_one_journal(message: Message, tmp_path: Path) -> None:
    numbers = [f"6140000{n:04d}" for n in range(12)]
    with gateway(succeeds()) as this, Journal(tmp_path / "journal.db") as journal, ThreadPoolExecutor(4) as pool:
        for _ in range(2):
            receipts = list(pool.map(lambda to: send(message, to=to, account=account(this), journal=journal), numbers))
    assert Counter(received(this)) == Counter(numbers)
    assert all(receipt.earlier for receipt in receipts)


@examples(40)
@given(st.lists(st.sampled_from(["accept", "refuse", "busy", "break", "abandon"]), min_size=1, max_size=6))
def test_no_history_leads_to_a_second_acceptance(tmp_path_factory: Any, history: list[str]) -> None:
    """Whatever came before, the journal lets nothing go out again after an acceptance or an unknown outcome."""
    outcomes: dict[str, Receipt | SendError] = {
        "accept": Receipt(recipient=ONE, message_id="1" * 16, transaction_id="t", via=Via.HTTP),
        "refuse": SendRejected("no"),
        "busy": GatewayBusy("later"),
        "break": SendOutcomeUnknown("?"),
    }
    may_be_there = False
    with Journal(tmp_path_factory.mktemp("journals") / "journal.db") as journal:
        for deed in history:
            claim = Claim(subject=SUBJECT, transaction_id="t", via="http", lasts_s=60)
            refused = journal.claim(claim)
            assert (refused is not None) == may_be_there
            if refused is not None:
                assert refused.state in STANDING
                continue
            if deed in outcomes:
                journal.settle(claim, outcomes[deed])
            may_be_there = deed in ("accept", "break", "abandon")


def test_a_task_that_is_cancelled_while_the_request_is_out_is_unknown(message: Message, tmp_path: Path) -> None:
    path = tmp_path / "journal.db"

    async def cancelled(this: Gateway) -> None:
        task = asyncio.create_task(send_async(message, to=ONE, account=account(this), journal=path))
        await until_async(lambda: this.requests)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with gateway(never_answers, succeeds()) as this:
        asyncio.run(cancelled(this))
        (again,) = run(this, message, [ONE], journal=path)
    assert type(again.error) is EarlierOutcomeUnknown and len(this.requests) == 1


# Refit.
@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A photo that no profile keeps as it is."""
    path = tmp_path_factory.mktemp("photo") / "photo.jpg"
    grain((1400, 1000), 60).convert("RGB").save(path, quality=90)
    return path


def _refuses(count: int) -> list[Any]:
    return [answers(http("FAILURE: attachment too large"))] * count


def test_a_refused_content_is_prepared_again_from_the_originals(photo: Path) -> None:
    job = Job(attachments=(photo,), text="Hello", limit_bytes=200_000)
    message = prepare(job.attachments, text="Hello", limit_bytes=200_000)
    with gateway(*_refuses(1), succeeds()) as this:
        first, second = run(this, message, [ONE, TWO], refit=job)
    assert first.receipt and second.receipt
    assert received(this) == [ONE, ONE, TWO]
    assert len({request.fields["attachment0"] for request in this.requests}) == 2
    assert first.message.profile == "video-rich" and first.message.limit_bytes == 200_000
    assert "video-rich" in first.steps[0] and f"{message.total_bytes:,}" in first.steps[0]


@pytest.mark.parametrize("via", ["http", "mm7"])
def test_a_refit_happens_at_most_twice(photo: Path, via: str) -> None:
    job = Job(attachments=(photo,))
    refusal = _refuses(1)[0] if via == "http" else answers(soap_reply("RSErrorRsp", 2004))
    with gateway(refusal) as this:
        first, second = run(this, prepare(job.attachments), [ONE, TWO], refit=job, via=via)
    assert type(first.error) is type(second.error) is ContentRefused
    assert received(this) == [ONE, ONE, ONE]
    assert len({request.body for request in this.requests}) == 3
    assert len(first.steps) == 2 and "twice" not in first.steps[0]
    assert "2 times already" in str(first.error)


def test_the_same_refused_bytes_never_go_out_again(sample_media: Path) -> None:
    """A small picture is the same under every profile: it is refused once and not sent a second time."""
    job = Job(attachments=(sample_media / "formats/still.gif",))
    with gateway(*_refuses(1), succeeds()) as this:
        (only,) = run(this, prepare(job.attachments), [ONE], refit=job)
    bodies = [request.fields["attachment0"] for request in this.requests]
    assert len(bodies) == len(set(bodies))
    assert (only.receipt is not None) == (len(bodies) > 1)


def test_a_refit_that_cannot_be_says_why(photo: Path) -> None:
    job = Job(attachments=(photo,), profile="image-basic")
    with gateway(*_refuses(1)) as this:
        (only,) = run(this, prepare(job.attachments, profile="image-basic"), [ONE], refit=job)
    assert type(only.error) is ContentRefused and "image-basic" in str(only.error)
    assert received(this) == [ONE]


def test_a_re_run_knows_what_a_refit_sent(photo: Path, tmp_path: Path) -> None:
    job = Job(attachments=(photo,))
    message, journal = prepare(job.attachments), tmp_path / "journal.db"
    with gateway(*_refuses(1), succeeds()) as this:
        for _ in range(2):
            (last,) = run(this, message, [ONE], refit=job, journal=journal, key=key_of(job))
    assert last.receipt and last.receipt.earlier
    assert len(this.requests) == 2


def test_the_key_of_a_job_is_of_its_originals_and_words(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"one")
    (tmp_path / "b").write_bytes(b"one")
    job = Job(attachments=(tmp_path / "a",), text="x")
    assert key_of(job) == key_of(replace(job, attachments=(tmp_path / "b",), profile="image-basic"))
    assert key_of(job) == key_of(replace(job, attachments=(b"one",)))
    others = [
        replace(job, text="y"),
        replace(job, subject="x"),
        replace(job, attachments=()),
        replace(job, text="", subject="x"),
    ]
    assert len({key_of(job), *map(key_of, others)}) == 5


# Killed.
def test_killed_at_any_point_nobody_gets_it_twice_and_nobody_is_lost(message: Message, tmp_path: Path) -> None:
    numbers = [f"6140000{n:04d}" for n in range(20)]
    message.write(tmp_path / "mms")
    chance = random.Random(7)
    with gateway(succeeds()) as this:
        command = [sys.executable, "-m", "mmsprep", "send", str(tmp_path / "mms"), "--yes", "--gateway", this.url]
        command += ["--journal", str(tmp_path / "journal.db"), *(word for to in numbers for word in ("--to", to))]
        environment = {"PATH": "", "SMSGLOBAL_USERNAME": "ann", "SMSGLOBAL_PASSWORD": "hunter2"}
        environment |= {"PYTHONPATH": ":".join(sys.path)}
        for _ in range(3):
            before, wanted = this.connections, chance.randint(1, 5)
            with program(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment) as child:
                until(
                    lambda: this.connections >= before + wanted or child.poll() is not None,  # noqa: B023 - at once
                    every_s=0.001,
                )
                time.sleep(chance.random() * 0.03)
                child.kill()
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=300)
    counts = Counter(received(this))
    assert max(counts.values()) == 1, counts
    unknown = [to for to in numbers if f"error: {to}: not sent, because nobody knows" in done.stderr]
    accepted = [to for to in numbers if f"{to}: accepted" in done.stderr or f"{to}: was accepted" in done.stderr]
    assert sorted([*unknown, *accepted]) == numbers, done.stderr
    assert set(accepted) <= set(counts)
    assert len(unknown) <= 3
    assert done.returncode == (12 if unknown else 0)
    assert len(done.stdout.split()) == len(accepted)


# Several messages.
@pytest.fixture(scope="module")
def three(message: Message) -> list[Message]:
    """Three that differ, as a split makes them: the text with the first."""
    return [message, replace(message, text=""), replace(message, text="", subject="and more")]


def test_each_recipient_gets_all_messages_in_order_before_the_next_one(three: list[Message]) -> None:
    with gateway(succeeds()) as this:
        done = run(this, three, [ONE, TWO])
    assert [(one.recipient, one.number, one.count) for one in done] == [
        (number, place, 3) for number in (ONE, TWO) for place in (1, 2, 3)
    ]
    assert all(one.receipt for one in done)
    assert received(this) == [ONE] * 3 + [TWO] * 3
    assert [request.fields.get("message", "") for request in this.requests[:3]] == ["Hello", "", ""]
    assert this.requests[2].fields["subject"] == "and more"


def test_what_is_behind_a_message_that_failed_is_not_sent_to_that_recipient_and_says_what_went_out(
    three: list[Message],
) -> None:
    with gateway(succeeds(), answers(http("FAILURE: number unknown")), succeeds()) as this:
        done = run(this, three, [ONE, TWO])
    assert [type(one.error) for one in done[:3]] == [type(None), SendRejected, NotSent]
    assert "message 3 of 3 not sent" in str(done[2].error)
    assert "1 went out" in str(done[2].error)
    assert all(one.receipt for one in done[3:])
    assert received(this) == [ONE, ONE, TWO, TWO, TWO]


def test_the_journal_knows_each_of_several_messages(three: list[Message], tmp_path: Path) -> None:
    journal = tmp_path / "journal.db"
    with gateway(succeeds("1111111111111111"), answers(http("FAILURE: number unknown")), succeeds()) as this:
        first = run(this, three, [ONE], journal=journal, key="holiday")
        again = run(this, three, [ONE], journal=journal, key="holiday")
        whole = run(this, three, [ONE], journal=journal, key="holiday")
    assert [one.receipt is not None for one in first] == [True, False, False]
    assert [one.receipt is not None and one.receipt.earlier for one in again] == [True, False, False]
    assert all(one.receipt and one.receipt.earlier for one in whole)
    assert len(this.requests) == 4


def test_a_gateway_that_nobody_reaches_ends_all_messages_to_everybody(three: list[Message]) -> None:
    with gateway(succeeds(), answers(http("", 401))) as this:
        done = run(this, three, [ONE, TWO])
    assert [type(one.error) for one in done] == [type(None), AccountRefused, *[NotSent] * 4]
    assert this.connections <= len(this.requests) == 2


def test_several_messages_are_not_made_again_of_one_job(three: list[Message], sample_media: Path) -> None:
    with gateway(succeeds()) as this, pytest.raises(UsageError, match="refit"):
        run(this, three, [ONE], refit=Job(attachments=[sample_media / "formats/photo.jpg"]))
    with pytest.raises(UsageError, match="there is none"):
        run(this, [], [ONE])
    assert this.requests == []
