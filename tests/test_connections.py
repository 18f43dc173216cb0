"""Connections that stay open between sends: used again where that is safe, and never the cause of a message twice."""

from __future__ import annotations

import asyncio
import runpy
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest
from deadlines import at_once
from loopback import Gateway, Request, gateway, http, read_request

from mmsprep import Account, prepare
from mmsprep.delivery import deliver
from mmsprep.errors import SendOutcomeUnknown
from mmsprep.message import Message
from mmsprep.sender import Connections, send

_EXAMPLE = Path(__file__).parent.parent / "docs" / "examples" / "many_sends.py"
KEEPS = "Connection: keep-alive\r\nKeep-Alive: timeout=5, max=100\r\n"


@pytest.fixture(scope="module")
def message() -> Message:
    return prepare([], text="Hello")


@dataclass
class Kept:
    """What a gateway saw that answers several requests on a connection: how many on each."""

    gateway: Gateway
    requests: list[int] = field(default_factory=list)

    @property
    def account(self) -> Account:
        return Account("me", "secret", self.gateway.url)


@contextmanager
def keeping(extra: str = KEEPS, most: int = 1000, last: str = "closes") -> Iterator[Kept]:
    """A gateway that answers ``most`` requests on each connection, then ``closes`` it, or ``breaks`` under the next."""
    numbers = threading.Lock()

    def deed(connection: socket.socket, this: Gateway) -> None:
        with numbers:
            place = len(kept.requests)
            kept.requests.append(0)
        while True:
            request = read_request(connection)
            if not request.head:
                return
            this.note(request)
            if kept.requests[place] == most and last == "breaks":
                return
            kept.requests[place] += 1
            connection.sendall(http(f"Success. ID = {request.recipient}00000", extra=extra))
            if kept.requests[place] == most and last == "closes":
                return

    with gateway(deed) as this:
        kept = Kept(this)
        yield kept


def numbers_of(requests: list[Request]) -> list[str]:
    return [request.recipient for request in requests]


def send_all(message: Message, kept: Kept, connections: Connections | None, count: int = 5) -> list[str]:
    everybody = [str(61400000000 + number) for number in range(count)]
    for number in everybody:
        receipt = send(message, to=number, account=kept.account, connections=connections)
        assert receipt.message_id == f"{number}00000"
    return everybody


def test_a_server_that_says_that_it_keeps_a_connection_gets_all_over_one(message: Message) -> None:
    with keeping() as kept, Connections() as connections:
        everybody = send_all(message, kept, connections)
    assert numbers_of(kept.gateway.requests) == everybody
    assert kept.requests == [5]
    assert {request.header("Connection") for request in kept.gateway.requests} == {"keep-alive"}


@pytest.mark.parametrize("wait", [False, True], ids=["one after the other", "some at once"])
@pytest.mark.skipif(not _EXAMPLE.is_file(), reason="the documentation is not beside the tests")
def test_the_documented_loop_sends_everybody_once_over_as_many_connections_as_it_sends_at_once(
    message: Message, wait: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    example = runpy.run_path(str(_EXAMPLE))
    everybody = [str(61400000000 + number) for number in range(30)]
    with keeping() as kept:
        for name, value in (("USERNAME", "me"), ("PASSWORD", "secret"), ("URL", kept.gateway.url)):
            monkeypatch.setenv(f"SMSGLOBAL_{name}", value)
        journal = str(tmp_path / "sent.db")
        if wait:
            found = asyncio.run(example["send_all_async"](message, everybody, journal, 3))
        else:
            found = example["send_all"](message, everybody, journal)
        again = example["send_all"](message, everybody, journal)
    assert [one.message_id for one in found] == [f"{number}00000" for number in everybody]
    assert sorted(numbers_of(kept.gateway.requests)) == everybody and all(one.earlier for one in again)
    assert len(kept.requests) <= (3 if wait else 1)


def test_without_connections_each_request_has_its_own_and_says_so(message: Message) -> None:
    with keeping() as kept:
        send_all(message, kept, None)
    assert kept.requests == [1] * 5
    assert {request.header("Connection") for request in kept.gateway.requests} == {"close"}


@pytest.mark.parametrize("extra", ["Connection: close\r\n", "Keep-Alive: timeout=1\r\n", "Keep-Alive: timeout=0\r\n"])
def test_a_connection_whose_end_is_announced_is_not_used_again(message: Message, extra: str) -> None:
    with keeping(extra) as kept, Connections() as connections:
        send_all(message, kept, connections)
    assert kept.requests == [1] * 5


def test_a_server_that_says_nothing_is_tried_after_a_rest(message: Message) -> None:
    with keeping(extra="") as kept, Connections() as connections:
        send_all(message, kept, connections, count=2)
        assert kept.requests == [1, 1]
        time.sleep(1.1)
        send_all(message, kept, connections, count=3)
    assert sum(kept.requests) == 5 and max(kept.requests) == 4, "proven by its second answer"


def test_one_that_closes_without_a_word_leaves_nothing_unknown(message: Message) -> None:
    """What every request would meet if it were believed at once."""
    with keeping(extra="", most=1) as kept, Connections() as connections:
        everybody = send_all(message, kept, connections, count=20)
    assert numbers_of(kept.gateway.requests) == everybody


def test_a_connection_that_was_closed_meanwhile_is_replaced_and_nobody_gets_it_twice(message: Message) -> None:
    with keeping(most=2) as kept, Connections() as connections:
        for number in ("61400000001", "61400000002", "61400000003"):
            send(message, to=number, account=kept.account, connections=connections)
            time.sleep(0.3)
    assert numbers_of(kept.gateway.requests) == ["61400000001", "61400000002", "61400000003"]
    assert kept.requests == [2, 1]


def test_one_that_breaks_under_a_message_is_unknown_and_none_is_used_again(message: Message) -> None:
    with keeping(most=2, last="breaks") as kept, Connections() as connections:
        send_all(message, kept, connections, count=2)
        with pytest.raises(SendOutcomeUnknown):
            send(message, to="61400000009", account=kept.account, connections=connections)
        send_all(message, kept, connections, count=4)
    assert numbers_of(kept.gateway.requests).count("61400000009") == 1, "nobody knows, so nobody tries again"
    assert kept.requests == [2, 1, 1, 1, 1]


def test_one_that_has_rested_too_long_is_left_alone(message: Message) -> None:
    with keeping(extra="Keep-Alive: timeout=2\r\n") as kept, Connections() as connections:
        send_all(message, kept, connections, count=2)
        time.sleep(1.1)
        send_all(message, kept, connections, count=1)
    assert kept.requests == [2, 1]


def test_connections_lead_to_the_gateway_that_they_were_opened_to(message: Message) -> None:
    with keeping() as one, keeping() as other, Connections() as connections:
        for kept in (one, other, one, other):
            send(message, to="61400000001", account=kept.account, connections=connections)
    assert one.requests == other.requests == [2]


def test_one_message_to_several_people_goes_over_one_connection(message: Message) -> None:
    with keeping() as kept:
        everybody = [str(61400000000 + number) for number in range(4)]
        assert all(one.receipt for one in deliver(message, to=everybody, account=kept.account))
    assert kept.requests == [4]


def test_many_threads_share_them_and_none_gets_the_answer_of_another(message: Message) -> None:
    found: dict[str, str] = {}

    def some(first: int) -> None:
        for number in range(first, first + 25):
            to = str(61400000000 + number)
            found[to] = send(message, to=to, account=kept.account, connections=connections).message_id

    with keeping() as kept, Connections() as connections:
        at_once([partial(some, 100 * place) for place in range(6)])
    assert len(found) == 150 and all(message_id == f"{to}00000" for to, message_id in found.items())
    assert len(kept.requests) <= 6
