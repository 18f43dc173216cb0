"""The sandbox tells what became of a message: to a real ``mmsprep receive``, by form and MM7, from every side."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from deadlines import program, until

pytest.importorskip("starlette", reason="the extra mmsprep[sandbox] is not installed")

from sandbox_client import JPEG, NUMBER, fields, part, post_form, post_mm7, script_running, smil, submit_request
from typer.testing import CliRunner

from mmsprep.cli import app
from mmsprep.errors import OutputError, UsageError
from mmsprep.message.mime import build_related
from mmsprep.receive import Store, open_store
from mmsprep.receive.incoming import Stored, What
from mmsprep.sandbox import Exchange, Sandbox, parse_notice

SECRET = "/in/a-path-that-nobody-guesses"
_WAIT_S = 60.0


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """``mmsprep receive`` as a process of its own: its address and its store."""
    folder = tmp_path_factory.mktemp("receiver") / "inbox"
    command = [sys.executable, "-m", "mmsprep", "receive", "--store", str(folder), "--port", "0", "--secret", SECRET]
    # Nobody reads its log meanwhile: in a file it cannot fill a pipe.
    log = folder.with_name("log")
    with log.open("wb") as file, program(command, most_s=1800, stderr=file) as process:
        until(lambda: process.poll() is not None or re.search(r"http://[0-9.]+:[0-9]+", log.read_text()))
        address = re.search(r"http://[0-9.]+:[0-9]+", log.read_text())
        assert address, log.read_text()
        yield f"{address[0]}{SECRET}", folder
        process.terminate()


@pytest.fixture
def url(receiver: tuple[str, Path]) -> str:
    return receiver[0]


@pytest.fixture
def store(receiver: tuple[str, Path]) -> Iterator[Store]:
    with open_store(receiver[1]) as opened:
        yield opened


def sent_by_form(gateway: Sandbox) -> Exchange:
    post_form(gateway, fields(("a.jpg", "image/jpeg", JPEG)))
    return gateway.accepted[-1]


def sent_by_mm7(gateway: Sandbox, **values: Any) -> Exchange:
    content = build_related([smil('<img src="cid:1.jpg"/>'), part("1.jpg", "image/jpeg", JPEG)], "application/smil")
    reply = post_mm7(gateway, submit_request(content, **values))
    assert reply.status_code == 1000, reply.details
    return gateway.accepted[-1]


def reports(store: Store, about: str, count: int) -> list[Stored]:
    """What the receiver keeps about a message, in the order of arrival, when it is ``count``."""
    ends_at = time.monotonic() + _WAIT_S
    while True:
        found = [one for one in reversed(store.messages(1000)) if one.about_id == about]
        if len(found) >= count or time.monotonic() > ends_at:
            assert len(found) == count, found
            return found
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("what", "statuses"),
    [
        ("delivered", ["DELIVRD"]),
        ("expired", ["EXPIRED"]),
        ("failed", ["UNDELIV"]),
        ("REJECTD", ["REJECTD"]),
        ("twice", ["DELIVRD"]),
        ("out-of-order", ["DELIVRD", "ENROUTE"]),
    ],
)
@pytest.mark.parametrize("method", ["post", "get"])
def test_the_form_tells_every_course_and_twice_is_once(
    gateway: Sandbox, store: Store, url: str, what: str, statuses: list[str], method: str
) -> None:
    exchange = sent_by_form(gateway)
    pushes = len(gateway.notify(url, exchange, what, method=method))
    assert all(one.ok for one in gateway.told(pushes))
    found = reports(store, exchange.judgement.message_id, len(statuses))
    assert [one.status for one in found] == statuses
    assert {one.what for one in found} == {What.DELIVERY_REPORT}
    assert [len(one.sent_at) for one in found] == [10] * len(found)
    if what == "out-of-order":
        assert found[1].sent_at < found[0].sent_at, "the later push tells of an earlier time"


def test_late_is_late(gateway: Sandbox, store: Store, url: str) -> None:
    exchange = sent_by_form(gateway)
    began_s = time.monotonic()
    gateway.notify(url, exchange, "late", delay_s=0.7)
    gateway.told(1)
    assert time.monotonic() - began_s >= 0.7
    reports(store, exchange.judgement.message_id, 1)


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("delivered", [(What.DELIVERY_REPORT, "Retrieved"), (What.READ_REPLY, "Read")]),
        ("read", [(What.DELIVERY_REPORT, "Retrieved"), (What.READ_REPLY, "Read")]),
        ("expired", [(What.DELIVERY_REPORT, "Expired")]),
        ("failed", [(What.DELIVERY_REPORT, "Rejected")]),
        ("out-of-order", [(What.DELIVERY_REPORT, "Retrieved"), (What.DELIVERY_REPORT, "Indeterminate")]),
        ("twice", [(What.DELIVERY_REPORT, "Retrieved")]),
    ],
)
def test_mm7_tells_what_the_request_asked_for(
    gateway: Sandbox, store: Store, url: str, what: str, told: list[tuple[What, str]]
) -> None:
    exchange = sent_by_mm7(gateway, delivery_report=True, read_reply=True, sender="61400000000")
    gateway.notify(url, exchange, what)
    found = reports(store, exchange.judgement.message_id, len(told))
    assert [(one.what, one.status) for one in found] == told
    assert {one.recipients for one in found} == {(NUMBER,)}
    assert {one.sender for one in found} == {"61400000000"}
    assert all(one.ok for one in gateway.told(len(told)))


def test_mm7_tells_nothing_that_was_not_asked_for(gateway: Sandbox, url: str) -> None:
    silent = sent_by_mm7(gateway)
    with pytest.raises(UsageError, match="did not ask for reports"):
        gateway.notify(url, silent)
    with pytest.raises(UsageError, match="only MM7 tells"):
        gateway.notify(url, sent_by_form(gateway), "read")


def test_messages_are_notified_by_themselves_in_the_order_that_was_asked_for(store: Store, url: str) -> None:
    notices = [parse_notice("expired,times=2"), parse_notice("failed,err=27")]
    with Sandbox(notify=url, notices=notices) as gateway:
        ids = [sent_by_form(gateway).judgement.message_id for _ in range(4)]
        silent = sent_by_mm7(gateway).judgement.message_id
        loud = sent_by_mm7(gateway, delivery_report=True).judgement.message_id
        post_form(gateway, fields(number="nobody"))
        found = [reports(store, one, 1)[0] for one in [*ids, loud]]
        assert [one.status for one in found] == ["EXPIRED", "EXPIRED", "UNDELIV", "DELIVRD", "Retrieved"]
        assert found[2].status_text == "27"
        reports(store, silent, 0)


def test_a_notice_is_pushed_again_until_it_is_taken(gateway: Sandbox) -> None:
    with script_running() as script:
        script.answers = [(500, "busy"), (200, "no")]
        exchange = sent_by_form(gateway)
        gateway.notify(script.url, exchange)
        (delivery,) = gateway.told(1)
        assert [attempt.ok for attempt in delivery.attempts] == [False, False, True]
        assert {form["msgid"] for form in script.forms} == {exchange.judgement.message_id}
        assert set(script.forms[0]) == {"msgid", "dlrstatus", "dlr_err", "donedate"}


def test_a_push_under_way_is_forgotten_with_all_others(gateway: Sandbox) -> None:
    with script_running() as script:
        script.answers = [(500, "busy"), (200, "OK")]
        gateway.notify(script.url, sent_by_form(gateway))
        until(lambda: gateway.traffic.deliveries)
        gateway.clear()
        until(lambda: len(script.forms) >= 2)
        gateway.notify(script.url, sent_by_form(gateway))
        assert len(gateway.told(1)) == 1
        assert len(gateway.traffic.deliveries) == 1


def test_a_form_answer_does_not_take_a_report_of_mm7(gateway: Sandbox) -> None:
    with script_running() as script:
        gateway.notify(script.url, sent_by_mm7(gateway, delivery_report=True))
        with script.got_one:
            script.got_one.wait_for(lambda: False, timeout=0.01)
        until(lambda: gateway.traffic.deliveries and gateway.traffic.deliveries[-1].attempts)
        assert not gateway.traffic.deliveries[-1].attempts[0].ok


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "gone",
        "delivered,delay_s=-1",
        "delivered,delay_s=x",
        "failed,err=a",
        "delivered,colour=red",
        "delivered,times=-1",
    ],
)
def test_what_is_no_notice_is_told_as_such(wrong: str) -> None:
    with pytest.raises(UsageError, match="notice"):
        parse_notice(wrong)


def test_the_api_tells_and_says_how_far_it_came(gateway: Sandbox, store: Store, url: str) -> None:
    exchange = sent_by_form(gateway)
    message_id = exchange.judgement.message_id
    asked = {"message": message_id, "url": url, "what": "failed", "err": "12"}
    answer = httpx.post(f"{gateway.url}/sandbox/notices", data=asked, trust_env=False)
    assert answer.status_code == 202
    assert answer.json() == {"message_id": message_id, "notices": 1}
    assert reports(store, message_id, 1)[0].status_text == "12"
    gateway.told(1)
    (told,) = httpx.get(f"{gateway.url}/sandbox/notices", trust_env=False).json()["notices"]
    assert (told["message_id"], told["to"], told["status"], told["ok"]) == (message_id, NUMBER, "UNDELIV", True)
    assert httpx.get(f"{gateway.url}/sandbox/pushes", trust_env=False).json()["pushes"] == []
    wrong = httpx.post(f"{gateway.url}/sandbox/notices", data={**asked, "message": "99999999"}, trust_env=False)
    assert wrong.status_code == 400
    assert "no such message" in wrong.json()["error"]["message"]


@pytest.mark.parametrize(("extra", "status"), [([], "DELIVRD"), (["--mm7"], "Retrieved")])
def test_the_command_tells(store: Store, url: str, extra: list[str], status: str) -> None:
    message_id = f"64059731650044{20 + len(extra)}"
    done = CliRunner().invoke(app, ["sandbox", "notify", url, message_id, "twice", *extra])
    assert done.exit_code == 0, done.output
    assert reports(store, message_id, 1)[0].status == status
    wrong = url.removesuffix(SECRET)
    refused = CliRunner().invoke(app, ["sandbox", "notify", wrong, message_id, "--attempts", "1", *extra])
    assert refused.exit_code == 11


def test_the_page_tells_in_a_browser(gateway: Sandbox, store: Store, url: str, chromium: Any) -> None:
    context = chromium.new_context(viewport={"width": 1400, "height": 1000})
    try:
        page = context.new_page()
        page.set_default_timeout(_WAIT_S * 1000)
        exchange = sent_by_form(gateway)
        page.goto(gateway.url)
        page.wait_for_selector("#live[data-state=on]")
        page.fill(".notices [name=url]", url)
        page.select_option(".notices [name=what]", "expired")
        page.click(".notices button")
        page.wait_for_selector("#notices li.ok")
        assert "EXPIRED" in page.inner_text("#notices")
        assert "read" not in page.inner_text(".notices select").split()
    finally:
        context.close()
    assert reports(store, exchange.judgement.message_id, 1)[0].status == "EXPIRED"


def test_a_message_is_told_of_by_its_id_and_a_strange_one_is_not(gateway: Sandbox, store: Store, url: str) -> None:
    post_form(gateway, fields(("photo.jpg", "image/jpeg", JPEG)))
    gateway.notify(url, gateway.accepted[-1].judgement.message_id, "expired")
    gateway.told(1)
    with pytest.raises(UsageError, match="there is no such message"):
        gateway.notify(url, "1111222233334444")
    with pytest.raises(OutputError, match="of 1000 notices came to an end"):
        gateway.told(1_000, timeout_s=0.1)


def test_what_was_not_accepted_is_told_nothing_of(gateway: Sandbox, url: str) -> None:
    post_form(gateway, fields(("photo.jpg", "image/jpeg", JPEG)) | {"number": "nobody"})
    with pytest.raises(UsageError, match="was not accepted, so nothing becomes of it"):
        gateway.notify(url, gateway.exchanges[-1])


def test_the_page_goes_back_to_its_message_and_shows_nothing_that_is_not_there(gateway: Sandbox, url: str) -> None:
    post_form(gateway, fields(("photo.jpg", "image/jpeg", JPEG)))
    number = str(gateway.accepted[-1].number)
    told = {"url": url, "message": number, "what": "delivered", "back": number}
    answer = httpx.post(f"{gateway.url}/sandbox/notices", data=told, trust_env=False)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/messages/{number}")
    gateway.told(1)
    for place in ("parts/99/original", "parts/99", "parts/0/play.webm"):
        assert httpx.get(f"{gateway.url}/messages/{number}/{place}", trust_env=False).status_code == 404
