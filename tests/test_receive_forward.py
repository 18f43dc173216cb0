"""Forwarding: at least once, each sender's messages in order, tried again, given up only where told."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import shlex
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import postgresql
import pytest
import trustme
from deadlines import at_once, meanwhile, until
from hypothesis import given
from hypothesis import strategies as st
from loopback import gateway, passes_on

from mmsprep.errors import UsageError
from mmsprep.receive import Forwarder, open_store, schema
from mmsprep.receive.forward import Tally
from mmsprep.receive.incoming import ForwardState, Incoming, PushDoor, PushedPart, What
from mmsprep.receive.look import look
from mmsprep.receive.queue import Outcome, Retry, drop, lend, revive, settle
from mmsprep.receive.store import Store
from mmsprep.tools.tls import verified_tls

JPEG = b"\xff\xd8\xff\xe0" + b"picture" * 99
AT_ONCE = Retry(first_wait_s=0.0, longest_wait_s=0.0, most_attempts=5)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "inbox") as opened:
        yield opened


def add(store: Store, id_: str, sender: str = "61400", text: str = "hi") -> None:
    part = PushedPart(data=JPEG, declared_type="image/jpeg", declared_name="a.jpg")
    incoming = Incoming(what=What.MESSAGE, door=PushDoor.FORM, id=id_, sender=sender, text=text, parts=(part,))
    store.add(incoming, look(incoming))


@contextmanager
def customer(
    decide: Callable[[dict[str, Any]], int], tls: ssl.SSLContext | None = None
) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A customer's program: answers each message with the status that ``decide`` says, and keeps what it took."""
    seen: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            assert self.headers["Idempotency-Key"] == told["key"]
            status = decide(told)
            if status == 200:
                seen.append(told)
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    with server, meanwhile(partial(server.serve_forever, 0.01), server.shutdown):
        yield f"http{'s' if tls else ''}://127.0.0.1:{server.server_port}/mms", seen


def states(store: Store) -> dict[str, ForwardState]:
    return {found.id: found.forward_state for found in store.messages()}


def test_a_url_gets_everything_that_came_in(store: Store) -> None:
    add(store, "1", text="Grüße")
    with customer(lambda _: 200) as (url, seen):
        assert Forwarder(store, url).once() == Tally(done=1)
    (told,) = seen
    assert (told["id"], told["from"], told["text"], told["what"]) == ("1", "61400", "Grüße", "message")
    (attachment,) = told["attachments"]
    assert base64.b64decode(attachment["data"]) == JPEG
    assert (attachment["content_type"], attachment["declared_name"]) == ("image/jpeg", "a.jpg")
    assert states(store) == {"1": ForwardState.DONE}


def test_a_url_over_tls_is_believed_where_the_system_vouches_for_it(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the gateway is: a company's own authority counts; a certificate of nobody's leaves the message waiting."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    add(store, "1")
    with customer(lambda _: 200, tls) as (url, seen):
        verified_tls.cache_clear()
        assert Forwarder(store, url, retry=AT_ONCE).once().done == 0
        assert states(store) == {"1": ForwardState.PENDING} and not seen
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        verified_tls.cache_clear()
        try:
            assert Forwarder(store, url, retry=AT_ONCE).once() == Tally(done=1)
        finally:
            verified_tls.cache_clear()
    assert [told["id"] for told in seen] == ["1"]


@pytest.mark.parametrize(
    ("name", "ends", "is_vouched_for", "expected"),
    [
        ("127.0.0.1", 2100, False, r"(unable to get local issuer|self-signed) .*SSL_CERT_FILE"),
        ("127.0.0.1", 2020, True, "certificate has expired.*renewed"),
        ("mms.example", 2100, True, "IP address mismatch.*name that the certificate is for"),
    ],
)
def test_a_certificate_that_is_not_believed_is_told_with_whose_it_is_why_and_what_helps(
    name: str,
    ends: int,
    is_vouched_for: bool,
    expected: str,
    store: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name, not_before=datetime(2010, 1, 1), not_after=datetime(ends, 1, 1)).configure_cert(tls)
    add(store, "1")
    if is_vouched_for:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    verified_tls.cache_clear()
    try:
        with customer(lambda _: 200, tls) as (url, seen):
            Forwarder(store, url, retry=AT_ONCE).once()
    finally:
        verified_tls.cache_clear()
    (waiting,) = store.messages()
    assert not seen
    host = url.split("/")[2]
    assert re.match(f"the certificate of {host} cannot be trusted \\(.*{expected}", waiting.last_error)


def test_a_target_that_is_not_there_is_told_with_its_address_and_without_its_password(store: Store) -> None:
    add(store, "1")
    Forwarder(store, "http://ann:secret@127.0.0.1:9/mms", retry=AT_ONCE).once()
    (waiting,) = store.messages()
    assert "127.0.0.1:9 did not answer" in waiting.last_error and "refused" in waiting.last_error
    assert "secret" not in waiting.last_error


@pytest.mark.parametrize("whose", ["proxy", "target", "nobody"])
def test_behind_a_proxy_it_is_told_whose_certificate_is_not_believed(
    whose: str, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proxy that the environment names is believed by the same authorities as the target."""
    believed, other = trustme.CA(), trustme.CA()
    believed.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    tls = {}
    for name in ("proxy", "target"):
        tls[name] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        (other if name == whose else believed).issue_cert("127.0.0.1").configure_cert(tls[name])
    add(store, "1")
    verified_tls.cache_clear()
    try:
        with customer(lambda _: 200, tls["target"]) as (url, seen), gateway(passes_on, tls=tls["proxy"]) as proxy:
            monkeypatch.setenv("HTTPS_PROXY", proxy.url.replace("//", "//bob:pass-of-bob@"))
            monkeypatch.setenv("NO_PROXY", "elsewhere.example")
            Forwarder(store, url, retry=AT_ONCE).once()
    finally:
        verified_tls.cache_clear()
    (waiting,) = store.messages()
    assert len(seen) == (whose == "nobody") and bool(proxy.connections) == (whose != "proxy")
    if not seen:
        address = url.split("/")[2] if whose == "target" else "the proxy " + proxy.url.partition("//")[2]
        assert waiting.last_error.startswith(f"the certificate of {address} cannot be trusted (")
        assert "bob" not in waiting.last_error


def test_a_proxy_that_is_not_there_or_cannot_be_used_is_told(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    add(store, "1")
    with customer(lambda _: 200) as (url, seen):
        monkeypatch.setenv("HTTP_PROXY", "127.0.0.1:9")
        monkeypatch.setenv("http_proxy", "127.0.0.1:9")
        Forwarder(store, url, retry=AT_ONCE).once()
        (waiting,) = store.messages()
        assert not seen and "did not answer through the proxy 127.0.0.1:9 (" in waiting.last_error
        monkeypatch.setenv("http_proxy", "gopher://127.0.0.1:9")
        with pytest.raises(UsageError, match=r"proxy .* cannot be used .*NO_PROXY"):
            Forwarder(store, url)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        assert Forwarder(store, url, retry=AT_ONCE).once() == Tally(done=1)


def test_a_command_gets_json_and_a_folder_and_no_shell(store: Store, tmp_path: Path) -> None:
    add(store, "1")
    script = tmp_path / "take it.py"
    script.write_text(
        "import json, pathlib, sys\n"
        "told, folder = json.load(sys.stdin), pathlib.Path(sys.argv[2])\n"
        "data = [(folder / part['name']).read_bytes() for part in told['attachments']]\n"
        "pathlib.Path(sys.argv[1]).write_bytes(told['id'].encode() + b':' + data[0])\n"
        "assert json.loads((folder / 'message.json').read_text())['key'] == told['key']\n"
    )
    taken = tmp_path / "$(taken) ; x"
    command = shlex.join([sys.executable, str(script), str(taken)])
    assert Forwarder(store, command).once() == Tally(done=1)
    assert taken.read_bytes() == b"1:" + JPEG


@pytest.mark.parametrize("program", ["exit(3)", "import time; time.sleep(60)"], ids=["fails", "hangs"])
def test_a_command_that_fails_or_hangs_leaves_the_message_waiting(store: Store, program: str) -> None:
    add(store, "1")
    command = shlex.join([sys.executable, "-c", program])
    assert Forwarder(store, command, timeout_s=2).once() == Tally(failed=1)
    assert states(store) == {"1": ForwardState.PENDING}
    assert store.find("1").last_error


def test_messages_are_tried_again_until_taken_in_each_senders_order(store: Store) -> None:
    failures = {"a1": 3, "b2": 1}

    def moody(told: dict[str, Any]) -> int:
        failures[told["id"]] = failures.get(told["id"], 0) - 1
        return 503 if failures[told["id"]] >= 0 else 200

    for number in range(4):
        for sender in "ab":
            add(store, f"{sender}{number}", sender)
    with customer(moody) as (url, seen):
        with Forwarder(store, url, retry=AT_ONCE) as forwarder:
            forwarder.wake()
            until(lambda: store.count(ForwardState.DONE) == 8)
        for sender in "ab":
            assert [told["id"] for told in seen if told["from"] == sender] == [
                f"{sender}{number}" for number in range(4)
            ]
    assert store.find("a1").attempts == 4


def test_a_message_that_fails_holds_up_its_own_sender_only(store: Store) -> None:
    for id_, sender in (("a1", "a"), ("a2", "a"), ("b1", "b")):
        add(store, id_, sender)
    with customer(lambda told: 500 if told["id"] == "a1" else 200) as (url, seen):
        assert Forwarder(store, url).once() == Tally(done=1, failed=1)
    assert [told["id"] for told in seen] == ["b1"]


def test_what_was_tried_often_enough_is_a_dead_letter_until_it_is_revived(store: Store) -> None:
    for id_ in ("1", "2"):
        add(store, id_)
    taking = False
    with customer(lambda told: 200 if taking or told["id"] == "2" else 400) as (url, seen):
        retry = Retry(first_wait_s=0.0, longest_wait_s=0.0, most_attempts=2)
        assert Forwarder(store, url, retry=retry).once() == Tally(failed=1)
        assert Forwarder(store, url, retry=retry).once() == Tally(done=1, given_up=1)
        assert states(store) == {"1": ForwardState.DEAD, "2": ForwardState.DONE}
        assert [found.id for found in store.messages(states=[ForwardState.DEAD])] == ["1"]
        assert "400" in store.find("1").last_error
        taking = True
        assert Forwarder(store, url, retry=retry).once() == Tally()
        assert revive(store) == 1
        assert Forwarder(store, url, retry=retry).once() == Tally(done=1)
    assert [told["id"] for told in seen] == ["2", "1"]


def test_a_target_that_is_not_there_is_waited_for_longer_each_time(store: Store) -> None:
    add(store, "1")
    retry = Retry(first_wait_s=30.0)
    assert Forwarder(store, "http://127.0.0.1:1/x?key=geheim", retry=retry).once() == Tally(failed=1)
    assert Forwarder(store, "http://127.0.0.1:1/x?key=geheim", retry=retry).once() == Tally()
    assert "geheim" not in store.find("1").last_error


@given(st.integers(1, 10_000))
def test_waiting_grows_and_never_beyond_the_longest(attempts: int) -> None:
    retry = Retry()
    assert 0 < retry.wait_s(attempts) <= retry.wait_s(attempts + 1) <= retry.longest_wait_s


def test_the_default_retries_go_on_for_days() -> None:
    retry = Retry()
    assert 2 * 86_400 < sum(retry.wait_s(attempt) for attempt in range(1, retry.most_attempts)) < 5 * 86_400


def test_a_forwarder_keeps_what_it_was_lent_until_its_time_is_over(store: Store) -> None:
    for id_ in ("1", "2"):
        add(store, id_, sender=id_)
    held, lost = lend(store, lease_s=600.0), lend(store, lease_s=0.0)
    assert held
    assert lost
    with customer(lambda _: 200) as (url, seen):
        assert Forwarder(store, url).once() == Tally(done=1)
    assert [told["id"] for told in seen] == [lost.id]
    assert store.find(lost.id).attempts == 2


def test_a_late_failure_does_not_undo_a_success(store: Store) -> None:
    add(store, "1")
    slow = lend(store, lease_s=0.0)
    quick = lend(store, lease_s=60.0)
    assert slow
    assert quick
    settle(store, quick, Outcome(), Retry())
    settle(store, slow, Outcome("timed out"), Retry())
    assert states(store) == {"1": ForwardState.DONE}


def test_many_forwarders_on_postgresql_never_hold_the_same_message(
    tmp_path: Path, postgresql_server: postgresql.Server
) -> None:
    with open_store(tmp_path, postgresql_server.new_database()) as store:
        for number in range(40):
            add(store, str(number), f"sender {number % 8}")
        lock = threading.Lock()
        order: list[tuple[str, int]] = []

        def work() -> None:
            ends_at = time.monotonic() + 120
            while store.count(ForwardState.PENDING) and time.monotonic() < ends_at:
                message = lend(store, lease_s=60)
                if message:
                    with lock:
                        order.append((message.sender, int(message.id)))
                    settle(store, message, Outcome(), Retry())

        at_once([work] * 6)
        assert len(order) == len(set(order)) == 40
        for sender in {sender for sender, _ in order}:
            numbers = [number for who, number in order if who == sender]
            assert numbers == sorted(numbers)


@pytest.mark.parametrize("target", ["", "   ", "https://", "'unclosed"])
def test_a_target_that_is_none_is_refused(store: Store, target: str) -> None:
    with pytest.raises(UsageError):
        Forwarder(store, target)


def test_a_message_that_the_target_does_not_want_is_given_up_soon_and_its_sender_goes_on(store: Store) -> None:
    for id_, sender in (("a1", "a"), ("a2", "a"), ("n1", ""), ("n2", ""), ("n3", "")):
        add(store, id_, sender)
    with customer(lambda told: 422 if told["id"] in ("a1", "n1") else 200) as (url, seen):
        assert Forwarder(store, url, retry=AT_ONCE).once() == Tally(done=2, failed=2)
        assert [told["id"] for told in seen] == ["n2", "n3"], "without a sender they do not wait for each other"
        assert Forwarder(store, url, retry=AT_ONCE).once() == Tally(failed=2)
        assert Forwarder(store, url, retry=AT_ONCE).once() == Tally(done=1, given_up=2)
    assert states(store)["a1"] is ForwardState.DEAD
    assert [told["id"] for told in seen] == ["n2", "n3", "a2"]


@pytest.mark.parametrize("status", [408, 425, 429, 500, 503])
def test_an_answer_that_says_nothing_about_the_message_gives_up_nothing(store: Store, status: int) -> None:
    add(store, "1")
    with customer(lambda _: status) as (url, _seen):
        for _ in range(4):
            assert Forwarder(store, url, retry=AT_ONCE).once() == Tally(failed=1)
    assert states(store) == {"1": ForwardState.PENDING}


def test_a_message_that_is_dropped_lets_its_senders_later_ones_go_on_and_stays_in_the_store(store: Store) -> None:
    for id_ in ("1", "2"):
        add(store, id_)
    with customer(lambda told: 500 if told["id"] == "1" else 200) as (url, seen):
        assert Forwarder(store, url).once() == Tally(failed=1)
        assert drop(store, store.find("1"))
        assert not drop(store, store.find("1"))
        assert Forwarder(store, url).once() == Tally(done=1)
        assert states(store) == {"1": ForwardState.DROPPED, "2": ForwardState.DONE}
        assert revive(store) == 0, "what somebody dropped is no dead letter"
        assert revive(store, [store.find("1")]) == 1
    with customer(lambda _: 200) as (url, seen):
        assert Forwarder(store, url).once() == Tally(done=1)
    assert [told["id"] for told in seen] == ["1"]


def test_dropping_a_later_message_does_not_hurry_the_first(store: Store) -> None:
    for id_ in ("1", "2"):
        add(store, id_)
    held = lend(store, lease_s=600.0)
    assert held
    assert drop(store, store.find("2"))
    assert lend(store, lease_s=600.0) is None


@pytest.mark.parametrize("ahead_s", [5 * 365 * 86_400.0, 3 * 86_400.0])
def test_times_that_a_wrong_clock_set_do_not_hold_anything_up(
    store: Store, monkeypatch: pytest.MonkeyPatch, ahead_s: float
) -> None:
    for id_ in ("1", "2"):
        add(store, id_)
    real = time.time
    monkeypatch.setattr("mmsprep.receive.queue.time.time", lambda: real() + ahead_s)
    failed = lend(store, 60.0)
    assert failed
    settle(store, failed, Outcome("down"), Retry())
    monkeypatch.setattr("mmsprep.receive.queue.time.time", real)
    again = lend(store, 60.0)
    assert again
    assert again.id == "1"


def test_a_target_that_is_down_is_left_in_peace_however_many_wait(store: Store) -> None:
    for number in range(30):
        add(store, str(number), sender=str(number))
    assert Forwarder(store, "http://127.0.0.1:1/x").once().failed < 10
    assert store.count(ForwardState.PENDING) == 30
    with Forwarder(store, "http://127.0.0.1:1/x", retry=Retry(first_wait_s=30.0)) as forwarder:
        for _ in range(20):
            forwarder.wake()
            time.sleep(0.05)
    assert sum(found.attempts for found in store.messages()) < 20


def test_looking_for_work_where_none_is_due_writes_nothing(store: Store) -> None:
    for number in range(3):
        add(store, str(number), sender=str(number))
        assert lend(store, lease_s=600.0)
    with store.engine.connect() as connection:
        before = connection.exec_driver_sql("PRAGMA data_version").scalar()
        with open_store(store._blobs._folder.parent) as other:  # type: ignore[attr-defined]
            for _ in range(5):
                assert lend(other, lease_s=1.0) is None
        assert connection.exec_driver_sql("PRAGMA data_version").scalar() == before


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_finding_the_next_message_reads_an_index_and_no_table(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    database = ""
    if kind == "postgresql":
        server: postgresql.Server = request.getfixturevalue("postgresql_server")
        database = server.new_database()
    with open_store(tmp_path, database) as store:
        with store.writing() as connection:
            rows = [{"lane": f"s{number}", "due_at_s": 1e9 + number} for number in range(5000)]
            connection.execute(schema.lanes.insert(), rows)
            if database:
                connection.exec_driver_sql("ANALYZE lanes")
        query = "SELECT lane FROM lanes WHERE due_at_s <= 5 ORDER BY due_at_s LIMIT 1"
        with store.engine.connect() as connection:
            plan = connection.exec_driver_sql(("EXPLAIN " if database else "EXPLAIN QUERY PLAN ") + query).all()
        assert "lanes_due" in str(plan)


def test_what_a_url_gets_can_be_checked_as_standard_webhooks_says(store: Store) -> None:
    """With the library's own algorithm, written down again: v1, base64 of HMAC-SHA256 over id, time and body."""
    key = bytes(range(32))
    secret = "whsec_" + base64.b64encode(key).decode()
    add(store, "1", text="Grüße")
    heard: list[tuple[dict[str, str], bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            heard.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    with server, meanwhile(partial(server.serve_forever, 0.01), server.shutdown):
        url = f"http://127.0.0.1:{server.server_port}/"
        assert Forwarder(store, url, secret=secret).once() == Tally(done=1)
    ((headers, body),) = heard
    assert headers["webhook-id"] == store.find("1").key
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 300
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"


@pytest.mark.parametrize("secret", ["whsec_", "whsec_c2hvcnQ=", "no base64 at all!", "geheim"])
def test_a_secret_that_signs_nothing_is_refused_and_not_repeated(store: Store, secret: str) -> None:
    with pytest.raises(UsageError, match="whsec_") as caught:
        Forwarder(store, "http://127.0.0.1:1/", secret=secret)
    assert secret not in str(caught.value) or secret == "whsec_"
    with pytest.raises(UsageError, match="command"):
        Forwarder(store, "cat", secret=secret)
