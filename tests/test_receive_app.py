"""The receiver over HTTP: who may push, what is answered, what is never told."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import logging
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from deadlines import serving
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.routing import Mount
from test_receive_parse import FRAGMENTS, GIF, JPEG, TYPES, deliver, nested

from mmsprep import mm7
from mmsprep.errors import UsageError
from mmsprep.receive import Limits, create_app, open_store
from mmsprep.receive.guard import Guard, Place, Refusal
from mmsprep.receive.serve import listen, make_server
from mmsprep.receive.store import Store
from mmsprep.tools.log import JsonLines

SECRET = "a-secret-of-some-length"
FORM = {"id": "1", "from": "61400", "message": "geheimes Wort", "attachment0": base64.b64encode(JPEG).decode()}

Serve = Callable[..., str]

# Without certificates to load: everything here is plain HTTP on the loopback.
_PLAIN: dict[str, Any] = {"verify": False, "trust_env": False, "timeout": 60}
get: Callable[..., httpx.Response] = partial(httpx.get, **_PLAIN)
post: Callable[..., httpx.Response] = partial(httpx.post, **_PLAIN)
put: Callable[..., httpx.Response] = partial(httpx.put, **_PLAIN)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "inbox") as opened:
        yield opened


@pytest.fixture
def serve(store: Store) -> Iterator[Serve]:
    """Serves the receiver on a loopback port, with given options, and says its URL."""
    with ExitStack() as stack:

        def served(proxies: tuple[str, ...] = (), app: Any = None, **options: Any) -> str:
            server = make_server(app or create_app(store, **options), proxies=proxies)
            listener = stack.enter_context(listen("127.0.0.1", 0))
            stack.enter_context(serving(server, listener))
            return f"http://127.0.0.1:{listener.getsockname()[1]}"

        yield served


def says_no(answer: httpx.Response) -> bool:
    """A gateway that looks for OK anywhere in the answer must not find it."""
    return answer.status_code >= 400 and "ok" not in answer.text.lower()


def test_a_push_is_answered_with_exactly_ok_and_is_in_the_store(serve: Serve, store: Store) -> None:
    url = serve()
    for _ in range(2):
        answer = post(url, data=FORM)
        assert (answer.status_code, answer.text) == (200, "OK")
    (found,) = store.messages()
    assert (found.id, found.sender, found.text) == ("1", "61400", "geheimes Wort")
    assert store.read(found.parts[0]) == JPEG


@pytest.mark.parametrize("door", ["form", "mm7"])
def test_while_the_store_fails_nothing_is_accepted_and_later_everything_is(
    serve: Serve, store: Store, tmp_path: Path, door: str
) -> None:
    url = serve()
    staging = tmp_path / "inbox" / "attachments" / "staging"
    staging.rmdir()
    staging.touch()

    def push() -> httpx.Response:
        if door == "form":
            return post(url, data=FORM)
        content_type, body = deliver(nested())
        return post(f"{url}/mm7", content=body, headers={"Content-Type": content_type})

    answer = push()
    assert answer.status_code == 503
    assert says_no(answer)
    assert get(f"{url}/health").status_code == 503
    assert store.count() == 0
    staging.unlink()
    staging.mkdir()
    assert push().status_code == 200
    assert get(f"{url}/health").status_code == 200
    assert store.count() == 1


def test_what_cannot_be_taken_is_refused_with_its_own_status_and_never_ok(serve: Serve, store: Store) -> None:
    url = serve(limits=Limits(max_body_bytes=3000, max_attachments=1))
    form = "application/x-www-form-urlencoded"
    for expected, answer in (
        (400, post(url, json={"id": "1"})),
        (400, post(url, data={"nothing": "known"})),
        (413, post(url, data=FORM | {"message": "x" * 5000})),
        (413, post(url, data=FORM | {"attachment1": "aGFsbG8="})),
        (413, post(url, content=iter([b"id=1&message=", *[b"x" * 1000] * 4]), headers={"Content-Type": form})),
        (415, post(url, data=FORM, headers={"Content-Encoding": "gzip"})),
        (405, get(url, params=FORM)),
        (405, get(f"{url}/mm7")),
        (405, put(url, data=FORM)),
        (404, post(f"{url}/else", data=FORM)),
    ):
        assert answer.status_code == expected
        assert says_no(answer)
    assert store.count() == 0


def test_who_pushes_elsewhere_is_told_where_unless_that_is_a_secret(serve: Serve) -> None:
    assert post(f"{serve()}/mms", data=FORM).text == "nothing here; pushes are taken at / and /mm7"
    assert post(f"{serve(secret=f'/{SECRET}')}/mms", data=FORM).text == "nothing here"


def test_a_sender_that_is_slow_or_silent_or_leaves_is_not_waited_for(
    serve: Serve, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mmsprep.receive.serve._REQUEST_HEAD_TIMEOUT_S", 0.5)
    port = int(serve(limits=Limits(body_timeout_s=0.5)).rpartition(":")[2])
    head = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    head += b"Content-Length: 400\r\n"

    def talk(data: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
            connection.sendall(data)
            return b"".join(iter(lambda: connection.recv(4096), b""))

    assert talk(head + b"\r\nid=1&message=hi").startswith(b"HTTP/1.1 408")
    assert talk(head) == b""
    assert talk(b"") == b""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(head + b"\r\nid=1&message=cut")
    assert post(f"http://127.0.0.1:{port}", data=FORM).text == "OK"
    assert [found.text for found in store.messages()] == ["geheimes Wort"]


def test_a_secret_path_is_the_only_way_in(serve: Serve, store: Store) -> None:
    url = serve(secret=f"/in/{SECRET}")
    assert post(f"{url}/in/{SECRET}", data=FORM).text == "OK"
    assert post(f"{url}/in/{SECRET}/", data=FORM).text == "OK"
    assert post(f"{url}/in/{SECRET}/mm7", data=FORM).status_code == 400
    assert get(f"{url}/in/{SECRET}/metrics").status_code == 200
    for path in ("", "/", "/mm7", "/metrics", f"/in/{SECRET[:-1]}", f"/in/{SECRET}x", f"/{SECRET}", "/in"):
        answer = post(f"{url}{path}", data=FORM)
        assert answer.status_code == 404
        assert says_no(answer)
        assert get(f"{url}{path}").status_code == 404


@pytest.mark.parametrize(
    "credentials",
    [
        {"params": {"token": SECRET}},
        {"headers": {"Authorization": f"Bearer {SECRET}"}},
        {"auth": ("anybody", SECRET)},
    ],
    ids=["query", "bearer", "basic"],
)
def test_a_token_opens_every_door_however_it_is_carried(serve: Serve, credentials: dict[str, Any]) -> None:
    url = serve(secret=SECRET)
    assert post(url, data=FORM, **credentials).text == "OK"
    assert get(f"{url}/metrics", **credentials).status_code == 200


@pytest.mark.parametrize(
    "credentials",
    [
        {},
        {"params": {"token": SECRET[:-1]}},
        {"params": {"token": ""}},
        {"headers": {"Authorization": f"Bearer {SECRET}x"}},
        {"headers": {"Authorization": "Basic ???"}},
        {"headers": {"Authorization": ""}},
        {"auth": (SECRET, "")},
    ],
)
def test_without_the_right_token_nothing_opens(serve: Serve, store: Store, credentials: dict[str, Any]) -> None:
    url = serve(secret=SECRET)
    for path in ("", "/mm7", "/metrics"):
        answer = post(f"{url}{path}", data=FORM, **credentials)
        assert answer.status_code == 401
        assert says_no(answer)
    assert store.count() == 0


def test_networks_are_those_of_the_sender_not_of_what_the_sender_claims(serve: Serve) -> None:
    claim = {"X-Forwarded-For": "203.0.113.9"}
    inside, outside = serve(networks=["127.0.0.0/8"]), serve(networks=["203.0.113.0/24", "2001:db8::/32"])
    behind_proxy = serve(networks=["203.0.113.0/24"], proxies=("127.0.0.1",))
    assert post(inside, data=FORM, headers=claim).status_code == 200
    assert post(outside, data=FORM).status_code == 403
    assert says_no(post(outside, data=FORM, headers=claim))
    assert post(behind_proxy, data=FORM, headers=claim).status_code == 200
    assert post(behind_proxy, data=FORM, headers={"X-Forwarded-For": "198.51.100.1"}).status_code == 403
    assert get(f"{outside}/health").status_code == 200


@pytest.mark.parametrize(
    "options", [{"secret": "short"}, {"networks": ["10.0.0.0/99"]}, {"networks": ["example.org"]}], ids=str
)
def test_a_guard_that_guards_nothing_is_refused(store: Store, options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        create_app(store, **options)


def test_a_relays_delivery_is_answered_with_the_matching_response(serve: Serve, store: Store) -> None:
    url = serve()
    content_type, body = deliver(nested())
    for _ in range(2):
        answer = post(f"{url}/mm7", content=body, headers={"Content-Type": content_type, "SOAPAction": '""'})
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/xml; charset=utf-8"
        reply = mm7.parse_reply(answer.content)
        assert (reply.kind, reply.transaction_id, reply.status_code) == ("DeliverRsp", "t-1", 1000)
    (found,) = store.messages()
    assert store.read(found.parts[2]) == JPEG


@pytest.mark.parametrize("namespace", sorted(mm7.VERSIONS))
@pytest.mark.parametrize(("kind", "response"), [(kind, mm7.PUSH_REPLIES[kind]) for kind in mm7.PUSH_REPLIES])
def test_each_kind_of_push_gets_its_own_response_in_its_own_namespace(
    serve: Serve, kind: str, response: str, namespace: str
) -> None:
    push = mm7.Push(
        kind=kind,
        transaction_id="t&9",
        sender="61400",
        recipients=("61499",),
        message_id="m-1",
        status="Retrieved",
        timestamp="2026-11-25T00:00:00Z",
        namespace=namespace,
        version=mm7.VERSIONS[namespace],
    )
    answer = post(f"{serve()}/mm7", content=mm7.build_push(push), headers={"Content-Type": "text/xml"})
    assert mm7.parse_reply(answer.content).kind == response
    assert namespace in answer.text


def test_mm7_that_cannot_be_read_is_a_fault_that_is_pushed_again(serve: Serve) -> None:
    answer = post(f"{serve()}/mm7", content=b"<no/>", headers={"Content-Type": "text/xml"})
    reply = mm7.parse_reply(answer.content)
    assert (answer.status_code, reply.kind, reply.status_code) == (400, "VASPErrorRsp", 4004)


def test_the_application_can_be_mounted_in_another(serve: Serve, store: Store) -> None:
    woken: list[int] = []
    inner = create_app(store, secret=f"/{SECRET}", on_stored=lambda: woken.append(1))
    url = serve(app=Starlette(routes=[Mount("/some/mms", inner)]))
    for _ in range(2):
        assert post(f"{url}/some/mms/{SECRET}", data=FORM).text == "OK"
    assert get(f"{url}/some/mms/health").text == "healthy"
    assert post(f"{url}/some/mms/", data=FORM).status_code == 404
    assert woken == [1], "told of a new message once, not of the same one again"


def test_counters_count_and_tell_nothing_of_a_message(serve: Serve) -> None:
    url = serve()
    post(url, data=FORM)
    post(url, data=FORM)
    post(url, data={"no": "message"})
    text = get(f"{url}/metrics").text
    for line in (
        'mmsprep_pushes_total{door="form",outcome="stored"} 1.0',
        'mmsprep_pushes_total{door="form",outcome="duplicate"} 1.0',
        'mmsprep_pushes_total{door="form",outcome="malformed"} 1.0',
        f"mmsprep_attachment_bytes_total {float(len(JPEG))}",
        "mmsprep_forward_pending 1.0",
        "mmsprep_push_seconds_count 3.0",
    ):
        assert line in text.splitlines()
    assert not re.search("geheim|61400", text)


def test_logs_have_ids_and_neither_content_nor_secrets(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    url = serve(secret=f"/{SECRET}")
    post(f"{url}/{SECRET}", data=FORM | {"subject": "geheimes Thema", "attachment1": "bm90aGluZw=="})
    post(f"{url}/{SECRET}", data={"unknown": "geheimes Feld"})
    post(f"{url}/{SECRET}/wrong", data=FORM)
    post(f"{url}/{SECRET}/mm7", content=b"<geheim/>")
    lines = [json.loads(JsonLines().format(record)) for record in caplog.records if record.name == "mmsprep.receive"]
    assert [line["event"] for line in lines] == ["stored", "malformed", "refused", "malformed"]
    assert lines[0]["id"] == "1"
    assert lines[0]["attachments"] == 2
    ours = [record for record in caplog.records if not record.name.startswith(("httpx", "httpcore"))]
    told = json.dumps([JsonLines().format(record) for record in ours])
    assert not re.search(f"geheimes|Wort|Thema|Feld|{SECRET}", told)


def test_a_message_that_our_own_reader_trips_over_is_not_lost(
    serve: Serve, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def trip(_attachment: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("mmsprep.receive.look.identify", trip)
    monkeypatch.setenv("MMSPREP_ISOLATE", "0")
    assert post(serve(), data=FORM).text == "OK"
    part = store.messages()[0].parts[0]
    assert (part.format, part.content_type, part.name) == ("", "application/octet-stream", "01-file.bin")
    assert store.read(part) == JPEG


NAMES = (
    st.sampled_from(["../../../up", "/etc/x", "..\\..\\up", "CON", "a\x00b", "", "." * 300, "\u202egpj.exe"])
    | st.text()
)


@examples(50)
@given(
    door=st.sampled_from(["/", "/mm7"]),
    content_type=TYPES,
    pieces=st.lists(
        FRAGMENTS | st.binary(max_size=8) | NAMES.map(lambda name: name.encode("utf-8", "replace")), max_size=25
    ),
)
def test_no_bytes_break_the_receiver_or_reach_a_file_outside_the_store(
    tmp_path: Path, store: Store, door: str, content_type: str, pieces: list[bytes]
) -> None:
    answer = ask(store, door, content=b"".join(pieces), headers={"Content-Type": content_type.encode("utf-8")})
    assert answer.status_code in (200, 400, 413)
    check_tree(tmp_path)


@examples(30)
@given(name=NAMES, as_file=st.booleans(), data=st.binary(min_size=1, max_size=50))
def test_no_name_reaches_a_file_outside_the_store(
    tmp_path: Path, store: Store, name: str, as_file: bool, data: bytes
) -> None:
    fields = {"from": "6", "content_name0": name, "content_type0": name}
    if as_file:
        answer = ask(store, "/", data=fields, files={"attachment0": (name, data, "image/gif")})
    else:
        answer = ask(store, "/", data=fields | {"attachment0": base64.b64encode(data).decode()})
    assert answer.text == "OK"
    check_tree(tmp_path)


def ask(store: Store, door: str, **request: Any) -> httpx.Response:
    """One push to the application without a socket between; what it does not catch is raised here."""

    async def asked() -> httpx.Response:
        transport = httpx.ASGITransport(create_app(store))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost", verify=False) as client:
            return await client.post(door, **request)

    return asyncio.run(asked())


def check_tree(folder: Path) -> None:
    """Nothing but the database and attachments under the digest of their content."""
    assert [path.name for path in folder.iterdir()] == ["inbox"]
    for path in (folder / "inbox").rglob("*"):
        if path.is_dir():
            assert re.fullmatch("attachments|staging|[0-9a-f]{2}", path.name)
        elif not path.name.startswith("inbox.sqlite3"):
            assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name


def test_gif_is_told_apart_from_what_it_was_called_over_http_too(serve: Serve, store: Store) -> None:
    post(serve(), data={"id": "9", "content_type0": "image/jpeg"}, files={"attachment0": ("a.jpg", GIF, "image/jpeg")})
    assert store.find("9").parts[0].content_type == "image/gif"


def test_without_a_secret_and_networks_only_this_machine_is_let_in() -> None:
    headers = {"host": "localhost"}
    assert Guard().admit("", "203.0.113.9", "", headers) is Refusal.NETWORK
    assert Guard().admit("", "127.0.0.1", "", headers) is Place.FORM
