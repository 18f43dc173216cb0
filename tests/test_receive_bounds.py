"""Bounds before work: what is too much is refused before it is built, and reading that hangs is ended."""

from __future__ import annotations

import os
import socket
import sqlite3
import time
import tracemalloc
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import pytest
from deadlines import until
from endless import hang
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from test_receive_app import FORM, Serve, get, post, says_no, serve, store
from test_receive_kill import load

from mmsprep import mm7
from mmsprep.errors import EnvelopeTooLarge, MalformedEnvelope, MalformedPush, PushTooLarge, StoreError
from mmsprep.message.mime import Entity, parse_multipart
from mmsprep.receive import Limits, read
from mmsprep.receive.parse_form import parse_form
from mmsprep.receive.parse_mm7 import parse_mm7
from mmsprep.receive.store import Store
from mmsprep.receive.unreadable import listed
from mmsprep.tools.libraries import share

__all__ = ["serve", "store"]

URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=X"
NAME = b'Content-Disposition: form-data; name="message"'
MOST_CPU_S = 3.0
"""Ten times what it may take: the machine that runs the tests is nobody's own."""
MOST_MEMORY_BYTES = 50_000_000


def parts(*heads: bytes) -> bytes:
    return b"".join(b"--X\r\n" + head + b"\r\n\r\nhi\r\n" for head in heads) + b"--X--\r\n"


BOMBS: dict[str, tuple[str, bytes]] = {
    "fields": (URLENCODED, b"a=1&" * 2_490_000),
    "numbered fields": (URLENCODED, b"attachment0=x&" * 700_000),
    "nothing but separators": (URLENCODED, b"&" * 9_900_000),
    "escapes": (URLENCODED, b"message=" + b"%41" * 3_000_000),
    "as many escapes as there may be": (URLENCODED, b"message=" + b"%41" * 999_000),
    "escapes in an attachment": (URLENCODED, b"attachment0=" + b"%41" * 999_000),
    "blanks": (URLENCODED, b"message=" + b"+" * 9_000_000),
    "parameters of a part": (MULTIPART, parts(NAME + b'; a="' + b";" * 100_000)),
    "more of them": (MULTIPART, parts(NAME + b'; a="' + b";" * 9_000_000)),
    "some in every part": (MULTIPART, parts(*[NAME + b'; a="' + b";" * 60] * 390)),
    "parameters of the request": (MULTIPART + '; a="' + ";" * 60_000, parts(NAME)),
    "parts": (MULTIPART, parts(*[NAME] * 200_000)),
    "lines like the boundary": (MULTIPART, b"\r\n--Xy" * 1_500_000),
    "boundaries in a row": (MULTIPART, b"--X" * 3_000_000),
    "a header": (MULTIPART, parts(NAME + b'; x="' + b"a" * 9_000_000)),
    "folds of a header": (MULTIPART, parts(NAME + b"\r\n x" * 2_000_000)),
    "headers": (MULTIPART, parts(b"\r\n".join([NAME, *[b"X: y"] * 1_000_000]))),
    "continued parameters": (MULTIPART, parts(*[b"".join(b"name*%d=a;" % n for n in range(60))] * 100)),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_form_that_is_too_much_costs_little(bomb: str) -> None:
    content_type, body = BOMBS[bomb]

    def read_it() -> bool:
        try:
            parse_form(content_type, body, Limits())
        except (MalformedPush, PushTooLarge):
            return False
        return True

    begun_s = time.process_time()
    taken = read_it()
    assert time.process_time() - begun_s < MOST_CPU_S
    tracemalloc.start()
    try:
        read_it()
        assert tracemalloc.get_traced_memory()[1] < MOST_MEMORY_BYTES
    finally:
        tracemalloc.stop()
    assert taken == (bomb in ("as many escapes as there may be", "escapes in an attachment", "some in every part"))


@pytest.mark.parametrize(
    "body",
    [
        b"<a>" * 1_500_000,
        b"<a>" * 100_000,
        b"<a>" + b"<b/>" * 100_000 + b"</a>",
        b"<a " + b" ".join(b'a%d="1"' % number for number in range(40_000)) + b"/>",
        b"<a>" + b"&" * 9_000_000,
        b"<a>" + b"&" * 499_000,
        b"<Subject>" * 50_000,
        b"<" * 499_000,
    ],
    ids=["deep", "less deep", "elements", "attributes", "ampersands", "fewer ampersands", "subjects", "brackets"],
)
def test_an_envelope_that_is_too_much_costs_little(body: bytes) -> None:
    for reader in (mm7.parse_push, mm7.parse_reply, mm7.parse_submit, mm7.request_kind):
        begun_s = time.process_time()
        tracemalloc.start()
        try:
            with pytest.raises(MalformedEnvelope):
                reader(body)
            assert tracemalloc.get_traced_memory()[1] < MOST_MEMORY_BYTES
        finally:
            tracemalloc.stop()
        assert time.process_time() - begun_s < MOST_CPU_S


def test_multiparts_in_multiparts_are_counted_together() -> None:
    body = b"--X\r\n\r\nhi\r\n" * 60 + b"--X--"
    for depth in range(3):
        inside = b"Y%d" % (depth - 1) if depth else b"X"
        inner = b"--Y%d\r\nContent-Type: multipart/mixed; boundary=%s\r\n\r\n" % (depth, inside)
        body = (inner + body + b"\r\n") * 20 + b"--Y%d--" % depth
    with pytest.raises((PushTooLarge, MalformedPush)):
        parse_mm7("multipart/related; boundary=Y2", body, Limits())


def test_a_reply_of_a_hostile_gateway_is_bounded_by_the_same_reader() -> None:
    begun_s = time.process_time()
    whole = Entity((("Content-Type", 'multipart/related; boundary=X; a="' + ";" * 60_000),), parts(NAME))
    with pytest.raises(MalformedEnvelope):
        parse_multipart(whole)
    with pytest.raises(EnvelopeTooLarge):
        parse_multipart(Entity((("Content-Type", "multipart/related; boundary=X"),), parts(NAME + b";" * 60_000)))
    assert time.process_time() - begun_s < MOST_CPU_S


WORDS = [b"--X", b"\r\n", b";", b"%41", b"&", b"a=", b'"', b"<a>"]


@examples(25)
@given(
    st.sampled_from([URLENCODED, MULTIPART, "text/xml"]),
    st.lists(st.binary(max_size=12) | st.sampled_from(WORDS), max_size=8),
)
def test_no_repeated_bytes_cost_more_than_their_number(content_type: str, pieces: list[bytes]) -> None:
    """Whatever is said over and over again: linear time, and no more memory than a few times the body."""
    body = (b"".join(pieces) or b"x") * 20_000
    begun_s = time.process_time()
    for parse in (parse_form, parse_mm7):
        with suppress(MalformedPush, PushTooLarge):
            parse(content_type, body[:2_000_000], Limits())
    assert time.process_time() - begun_s < 2 * MOST_CPU_S


def test_reading_that_takes_too_long_is_ended_and_the_push_is_kept(
    serve: Serve, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    share(hang.__module__)
    url = serve(limits=Limits(read_timeout_s=3))
    with monkeypatch.context() as changed:
        changed.setattr(read, "read_push", hang)
        answer = post(url, data=FORM)
    assert answer.status_code == 400
    assert says_no(answer)
    assert store.count() == 0
    assert post(url, data=FORM).text == "OK"
    assert (store.count(), store.size().unreadable) == (1, 1)
    (kept,) = listed(store, 10)
    assert kept.reason == "reading it was given up (over_input_limit)"


def test_a_page_cannot_push_where_there_is_no_secret(serve: Serve, store: Store) -> None:
    url = serve()
    allowed = serve(networks=["127.0.0.0/8"])
    for headers in (
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": url},
        {"Referer": "http://evil.example/page"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-origin"},
    ):
        for target in (url, allowed):
            assert post(target, data=FORM, headers=headers).status_code == 403
            assert get(target, params={"msgid": "1", "dlrstatus": "x"}, headers=headers).status_code == 403
    for host in ("evil.example", "evil.example:80", "127.0.0.1.evil.example", "localhost.evil.example"):
        assert post(url, data=FORM, headers={"Host": host}).status_code == 421
    assert store.count() == 0
    assert store.size().unreadable == 0
    for host in ("localhost:1", "127.0.0.1", "[::1]:80"):
        assert post(url, data=FORM, headers={"Host": host}).text == "OK"
    secret = "/a-secret-of-some-length"
    assert post(serve(secret=secret) + secret, data=FORM, headers={"Host": "mms.example"}).text == "OK"


def test_connections_that_say_nothing_keep_nobody_out(serve: Serve) -> None:
    port = int(serve().rpartition(":")[2])
    with ExitStack() as stack:
        for _ in range(260):
            stack.enter_context(closing(socket.create_connection(("127.0.0.1", port), timeout=60)))
        assert post(f"http://127.0.0.1:{port}", data=FORM).text == "OK"
        assert get(f"http://127.0.0.1:{port}/health").text == "healthy"


@pytest.mark.parametrize("size_bytes", [12_000_000, 60_000_000])
def test_whoever_pushes_too_much_hears_it(serve: Serve, size_bytes: int) -> None:
    """With a client that sends everything before it listens."""
    port = int(serve().rpartition(":")[2])
    with closing(socket.create_connection(("127.0.0.1", port), timeout=60)) as connection:
        head = (
            f"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: {URLENCODED}\r\nContent-Length: {size_bytes}\r\n\r\n"
        )
        connection.sendall(head.encode())
        for _ in range(size_bytes // 1_000_000):
            connection.sendall(bytes(1_000_000))
        assert connection.recv(100).startswith(b"HTTP/1.1 413")


def test_whoever_asks_before_pushing_too_much_or_never_ends_hears_it(serve: Serve) -> None:
    port = int(serve(limits=Limits(max_body_bytes=100_000)).rpartition(":")[2])
    start = f"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: {URLENCODED}\r\n"
    with closing(socket.create_connection(("127.0.0.1", port), timeout=60)) as connection:
        connection.sendall(f"{start}Content-Length: 200000\r\nExpect: 100-continue\r\n\r\n".encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 413")
    with closing(socket.create_connection(("127.0.0.1", port), timeout=60)) as connection:
        connection.sendall(f"{start}Transfer-Encoding: chunked\r\n\r\n".encode())
        with suppress(OSError):
            for _ in range(20):
                connection.sendall(b"186a0\r\n" + bytes(100_000) + b"\r\n")
        with suppress(OSError):  # whoever goes on talking may be hung up on
            assert connection.recv(100).startswith(b"HTTP/1.1 413")
    assert post(f"http://127.0.0.1:{port}", data=FORM).text == "OK"


def test_health_says_so_while_a_push_would_not_be_stored(serve: Serve, store: Store, tmp_path: Path) -> None:
    url = serve()
    for _ in range(2):
        assert get(f"{url}/health").status_code == 200
    with closing(sqlite3.connect(tmp_path / "inbox" / "inbox.sqlite3")) as other:
        other.execute("BEGIN IMMEDIATE")
        time.sleep(1.1)
        answer = get(f"{url}/health")
        assert (answer.status_code, answer.text) == (503, "unhealthy")
    until(lambda: get(f"{url}/health").status_code == 200)


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="this system cannot take room without writing")
def test_health_sees_a_disk_without_room_for_a_message(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def full(_descriptor: int, _offset: int, length: int) -> None:
        asked.append(length)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(StoreError, match="No space left"):
        store.check()
    assert asked[0] >= 600_000


def test_told_to_end_it_ends_whatever_is_going_on(tmp_path: Path) -> None:
    """A push waits for a database that somebody holds; the process is gone all the same."""
    with load.Receiver(tmp_path / "inbox") as receiver:
        push = load.make_push(0, 1, 2000, 3000)
        with (
            closing(sqlite3.connect(tmp_path / "inbox" / "inbox.sqlite3")) as other,
            closing(socket.create_connection(("127.0.0.1", receiver.port), timeout=60)) as connection,
        ):
            other.execute("BEGIN IMMEDIATE")
            head = f"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: {push.content_type}\r\n"
            connection.sendall(f"{head}Content-Length: {len(push.body)}\r\n\r\n".encode() + push.body)
            time.sleep(1)
            begun_s = time.monotonic()
            assert receiver.stop() in (0, 143)
            # Ten seconds, and as many again for a machine that does other things.
            assert time.monotonic() - begun_s < 20
