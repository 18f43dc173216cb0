"""Faults that a client's tests ask for, seen from the client."""

from __future__ import annotations

import time

import httpx
import pytest

pytest.importorskip("starlette", reason="the extra mmsprep[sandbox] is not installed")

from sandbox_client import AUTHORIZATION, JPEG, fields, part, post_form, post_mm7, smil, submit_request

from mmsprep.errors import UsageError
from mmsprep.message.mime import build_related
from mmsprep.mm7.status import STATUSES
from mmsprep.sandbox import Door, Fault, Sandbox, parse_fault

CONTENT = build_related([smil('<img src="photo.jpg"/>'), part("photo.jpg", "image/jpeg", JPEG)], "application/smil")


def send(gateway: Sandbox, door: str) -> httpx.Response:
    """One conforming message, as a client that has no second thoughts."""
    if door == "form":
        return httpx.post(gateway.form_url, data=fields(), trust_env=False, timeout=60)
    request = submit_request(CONTENT)
    headers = {"Content-Type": request.header("Content-Type"), "Authorization": AUTHORIZATION}
    return httpx.post(gateway.mm7_url, content=request.body, headers=headers, trust_env=False, timeout=60)


@pytest.mark.parametrize("code", sorted(set(STATUSES) - {0, 1000, 1100}))
def test_every_status_of_the_table_can_be_asked_for(gateway: Sandbox, code: int) -> None:
    gateway.fault(code, times=2)
    reply = post_mm7(gateway, submit_request(CONTENT))
    assert (reply.kind, reply.status_code, reply.status_text) == ("RSErrorRsp", code, STATUSES[code].text)
    assert reply.transaction_id == "t-1"
    answer = post_form(gateway, fields())
    assert answer.startswith("FAILURE")
    assert STATUSES[code].text in answer
    assert not gateway.accepted
    assert post_form(gateway, fields()).startswith("Success")


def test_partial_success_is_a_response_with_an_id(gateway: Sandbox) -> None:
    gateway.fault(1100)
    reply = post_mm7(gateway, submit_request(CONTENT))
    assert (reply.kind, reply.status_code) == ("SubmitRsp", 1100)
    assert reply.message_id
    assert gateway.accepted


@pytest.mark.parametrize("door", ["form", "mm7"])
@pytest.mark.parametrize("status", [401, 429, 500, 503])
def test_an_http_status_comes_with_its_headers_and_takes_nothing_in(gateway: Sandbox, status: int, door: str) -> None:
    gateway.fault(status, retry_after_s=7)
    response = send(gateway, door)
    assert response.status_code == status
    assert response.headers["retry-after"] == "7"
    assert not gateway.accepted
    assert len(gateway.refused) == 1


@pytest.mark.parametrize("door", ["form", "mm7"])
@pytest.mark.parametrize(
    ("what", "error", "taken_in"),
    [
        ("drop-before-body", httpx.TransportError, 0),
        ("drop-before-reply", httpx.TransportError, 1),
        ("drop-mid-reply", httpx.RemoteProtocolError, 1),
    ],
)
def test_a_dropped_connection_is_dropped_and_the_message_is_in_or_not(
    gateway: Sandbox, what: str, error: type[Exception], taken_in: int, door: str
) -> None:
    gateway.fault(what, door=door)
    with pytest.raises(error):
        send(gateway, door)
    assert [len(gateway.accepted), len(gateway.exchanges)] == [taken_in, 1]
    assert gateway.exchanges[0].fault == f"{what},door={door}"
    assert send(gateway, door).status_code == 200


@pytest.mark.parametrize("door", ["form", "mm7"])
def test_garbage_and_html_are_answers_of_status_200(gateway: Sandbox, door: str) -> None:
    gateway.fault("garbage")
    gateway.fault("html")
    garbage, html = send(gateway, door), send(gateway, door)
    assert (garbage.status_code, html.status_code) == (200, 200)
    assert b"Success" not in garbage.content
    assert html.text.startswith("<!DOCTYPE html>")
    assert [exchange.judgement.accepted for exchange in gateway.exchanges] == [True, False]


def test_a_delay_holds_the_answer_back(gateway: Sandbox) -> None:
    gateway.fault("delay", delay_s=0.4)
    before = time.monotonic()
    assert send(gateway, "form").text.startswith("Success")
    assert time.monotonic() - before >= 0.4
    gateway.fault("delay", delay_s=30)
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(gateway.form_url, data=fields(), trust_env=False, timeout=0.3)


def test_faults_come_in_order_each_for_its_door_and_times(gateway: Sandbox) -> None:
    gateway.fault(4006, times=2, door="mm7")
    gateway.fault(500)
    assert send(gateway, "form").status_code == 500
    assert send(gateway, "form").text.startswith("Success")
    codes = [post_mm7(gateway, submit_request(CONTENT)).status_code for _ in range(3)]
    assert codes == [4006, 4006, 1000]


def test_a_fault_of_zero_times_stays_until_it_is_taken_away(gateway: Sandbox) -> None:
    gateway.fault(500, times=0)
    assert [send(gateway, "form").status_code for _ in range(3)] == [500] * 3
    gateway.clear()
    assert send(gateway, "form").status_code == 200


def test_other_programs_ask_for_faults_in_json(gateway: Sandbox) -> None:
    address = f"{gateway.url}/sandbox/faults"
    with httpx.Client(trust_env=False) as client:
        client.put(address, json=[{"what": 4006, "times": 2}, {"what": "503", "retry_after_s": 3}])
        client.post(address, json={"what": "garbage", "door": "mm7"})
        assert [one["what"] for one in client.get(address).json()["faults"]] == ["4006", "503", "garbage"]
        assert "Service unavailable" in send(gateway, "form").text
        assert client.delete(address).json() == {"faults": []}
        assert client.put(address, content=b"{").status_code == 400
    messages = httpx.get(f"{gateway.url}/sandbox/messages", trust_env=False).json()["messages"]
    assert messages[0]["status_code"] == 4006
    assert messages[0]["fault"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("4006", Fault("4006")),
        ("503,retry_after_s=2,times=3", Fault("503", times=3, retry_after_s=2)),
        ("delay, delay_s=1.5, door=mm7", Fault("delay", delay_s=1.5, door=Door.MM7)),
        ("drop-mid-reply,times=0", Fault("drop-mid-reply", times=0)),
    ],
)
def test_a_fault_in_words_reads_back_as_it_was_written(text: str, fault: Fault) -> None:
    assert parse_fault(text) == fault
    assert parse_fault(str(fault)) == fault


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "expected a status"),
        ("explode", "drop-before-body"),
        ("99", "expected a status"),
        ("700", "200 to 599"),
        ("delay", "delay_s=3"),
        ("4006,times=-1", "times"),
        ("4006,times=many", "times"),
        ("4006,door=back", "form"),
        ("4006,delay_s=99999", "delay_s"),
        ("4006,colour=red", "colour"),
        ("503,retry_after_s=-1", "retry_after_s"),
    ],
)
def test_a_fault_that_does_not_exist_is_refused_in_words(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        parse_fault(text)
