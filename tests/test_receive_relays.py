"""Nothing that somebody pushed is lost: relays are understood as they write, and what is not understood is kept."""

from __future__ import annotations

import base64
import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_receive_app import Serve, get, post, serve, store
from typer.testing import CliRunner

from mmsprep import mm7
from mmsprep.cli import app
from mmsprep.errors import PushTooLarge
from mmsprep.receive import Limits, unreadable
from mmsprep.receive.incoming import PushDoor, RawPush, What
from mmsprep.receive.parse_form import parse_form
from mmsprep.receive.parse_mm7 import parse_mm7
from mmsprep.receive.store import Store

__all__ = ["serve", "store"]

NAMESPACES = "http://www.3gpp.org/ftp/Specs/archive/23_series/23.140/schema/"
URLENCODED = "application/x-www-form-urlencoded"
JPEG = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 3


def run(*arguments: str) -> Any:
    ours = {name: None for name in os.environ if name.startswith("MMSPREP_")}
    return CliRunner().invoke(app, arguments, env=ours | {"COLUMNS": "120"})


def envelope(subject: str, *, namespace: str = "REL-5-MM7-1-0", version: str = "5.3.0") -> bytes:
    """As a relay in the field writes it: every element with a prefix and a namespace, nothing escaped."""
    return (
        "<?xml version='1.0' encoding='UTF-8'?>\n"
        '<SOAP-ENV:Envelope xmlns:SOAP-ENV="http://schemas.xmlsoap.org/soap/envelope/">\n<SOAP-ENV:Header>\n'
        f'<mm7:TransactionID xmlns:mm7="{NAMESPACES}{namespace}" SOAP-ENV:mustUnderstand="1">3-qf.x@mmsc'
        "</mm7:TransactionID>\n</SOAP-ENV:Header>\n<SOAP-ENV:Body>\n"
        f'<mm7:DeliverReq xmlns:mm7="{NAMESPACES}{namespace}">\n<mm7:MM7Version>{version}</mm7:MM7Version>\n'
        "<mm7:Recipients>\n<mm7:To>\n<mm7:ShortCode>222</mm7:ShortCode>\n</mm7:To>\n</mm7:Recipients>\n"
        "<mm7:LinkedID>L-1</mm7:LinkedID>\n<mm7:Sender><mm7:ShortCode>333</mm7:ShortCode>\n</mm7:Sender>\n"
        f"<mm7:Subject>{subject}</mm7:Subject>\n"
        '<mm7:Content href="cid:c1"/>\n</mm7:DeliverReq>\n</SOAP-ENV:Body>\n</SOAP-ENV:Envelope>'
    ).encode("utf-8", "surrogateescape")


def relayed(subject: str, close: str = "--", **values: str) -> tuple[str, bytes]:
    """The whole request: blank lines before the first boundary, an unquoted boundary, one multipart in another."""
    inner = b"--_in\r\nContent-ID: <t>\r\nContent-Type: text/plain; charset=utf-8; name=t.txt\r\n\r\nhi\r\n--_in--\r\n"
    body = (
        b"\r\n\r\n--_out\r\nContent-Type: text/xml\r\nContent-ID: <s1>\r\n\r\n"
        + envelope(subject, **values)
        + b"\r\n--_out\r\nContent-Type: multipart/mixed;  boundary=_in\r\nContent-ID: <c1>\r\n\r\n"
        + inner
        + f"\r\n--_out{close}".encode()
    )
    return 'multipart/related; type="text/xml"; start="<s1>"; boundary=_out', body


@pytest.mark.parametrize(
    ("written", "typed"),
    [
        ("I <3 you", "I <3 you"),
        ("5 > 3 && 2 < 4", "5 > 3 && 2 < 4"),
        ("a < b", "a < b"),
        ("Tom &amp; Jerry", "Tom & Jerry"),
        ("<b>bold</b>", "<b>bold</b>"),
        ("ctrl \x01 \x0b x", "ctrl \ufffd \ufffd x"),
        ("end ]]> x", "end ]]> x"),
        ("R&D & co", "R&D & co"),
        ("</b> & <Subject> Grüße 日本 😀 &nbsp;", "</b> & <Subject> Grüße 日本 😀 &nbsp;"),
        ("<![CDATA[I <3 you]]>", "I <3 you"),
        ("caf\udce9 <3", "café <3"),
    ],
)
def test_a_subject_is_stored_as_people_typed_it_whatever_the_relay_escapes(written: str, typed: str) -> None:
    _, found = parse_mm7(*relayed(written), Limits())
    assert (found.subject, found.sender, found.recipients, found.text) == (typed, "333", ("222",), "hi")


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cn", "Zs"]), min_size=1, max_size=40))
def test_no_subject_that_is_not_escaped_loses_a_message(typed: str) -> None:
    _, found = parse_mm7(*relayed(typed), Limits())
    assert found.id == "L-1"
    if "&" not in typed and "![CDATA[" not in typed:
        assert found.subject == typed.strip()


@pytest.mark.parametrize("close", ["--", "--\r\n", "\r\n", ""])
def test_a_body_that_http_says_is_whole_needs_no_last_boundary(close: str) -> None:
    assert parse_mm7(*relayed("x", close), Limits())[1].text == "hi"


@pytest.mark.parametrize("inside", [b"", b"\r\n", b"--_in--\r\n", b"--_in\r\n--_in--\r\n", b"--_in"])
def test_a_message_of_a_subject_alone_has_an_empty_multipart_and_is_taken_in(inside: bytes) -> None:
    content_type, body = relayed("x")
    start = body.index(b"--_in")
    body = body[:start] + inside + body[body.index(b"\r\n--_out--") :]
    _, found = parse_mm7(content_type, body, Limits())
    assert (found.subject, found.text, found.parts) == ("x", "", ())


@pytest.mark.parametrize("broken", [(b"boundary=_in", b"boundary="), (b"--_in\r\n", b"--_other\r\n")])
def test_a_multipart_inside_that_cannot_be_read_is_kept_as_it_came(broken: tuple[bytes, bytes]) -> None:
    content_type, body = relayed("x")
    _, found = parse_mm7(content_type, body.replace(*broken, 1), Limits())
    (part,) = found.parts
    assert b"hi" in part.data and part.declared_type == "multipart/mixed"


@pytest.mark.parametrize("inside", ["parts", "unreadable multiparts"])
def test_parts_are_counted_in_all_multiparts_together(inside: str) -> None:
    content_type, body = relayed("x")
    part = b"Content-Type: text/plain\r\n\r\nhi\r\n"
    if inside != "parts":
        part = b"Content-Type: multipart/mixed; boundary=_none\r\n\r\nhi\r\n"
    many = b"".join(b"--_in\r\n" + part for _ in range(5))
    with pytest.raises(PushTooLarge, match="more parts than attachments"):
        parse_mm7(content_type, body.replace(b"--_in--", many + b"--_in--", 1), Limits(max_attachments=5))


def test_mm7_that_a_relay_pushes_to_the_forms_address_is_read_as_mm7(serve: Serve, store: Store) -> None:
    url = serve()
    for at in (url, f"{url}/mm7"):
        content_type, body = relayed("x")
        answer = post(at, content=body, headers={"Content-Type": content_type})
        assert answer.status_code == 200 and mm7.parse_reply(answer.content).status_code == 1000
    (stored,) = store.messages()
    assert (stored.subject, stored.text, stored.door) == ("x", "hi", PushDoor.MM7)


@pytest.mark.parametrize("content_type", ['multipart/related; type="text/xml";', "multipart/related", "text/xml", ""])
def test_a_bare_envelope_is_read_under_any_type(content_type: str) -> None:
    assert parse_mm7(content_type, envelope("x"), Limits())[1].subject == "x"


@pytest.mark.parametrize(
    ("namespace", "version"), [("REL-5-MM7-1-3", "5.6.0"), ("REL-6-MM7-6-7", "6.5.0"), ("REL-6-MM7-1-4", "6.5.0")]
)
def test_the_answer_is_in_the_requests_own_namespace_and_version(serve: Serve, namespace: str, version: str) -> None:
    url = serve()
    read = envelope("x", namespace=namespace, version=version)
    for body in (read, read.replace(b"DeliverReq", b"OtherReq"), read[:-30]):
        answer = post(f"{url}/mm7", content=body, headers={"Content-Type": "text/xml"})
        assert answer.text.count(NAMESPACES + namespace + '"') == 2
        assert f"<MM7Version>{version}</MM7Version>" in answer.text
        assert mm7.parse_reply(answer.content).transaction_id == "3-qf.x@mmsc"


@pytest.mark.parametrize(
    "value",
    [
        f"data:image/jpeg;base64,{base64.b64encode(JPEG).decode()}",
        f"data:;base64,{base64.b64encode(JPEG).decode()}",
        quote(base64.b64encode(JPEG).decode(), safe=""),
        quote(f"data:image/jpeg;base64,{base64.b64encode(JPEG).decode()}", safe=":;,"),
    ],
    ids=["data URL", "data URL without a type", "encoded twice", "a data URL encoded twice"],
)
def test_base64_that_was_wrapped_once_more_is_taken_off(value: str) -> None:
    body = urlencode({"from": "6", "attachment0": value, "content_type0": "image/jpeg"}).encode()
    assert parse_form(URLENCODED, body, Limits()).parts[0].data == JPEG


NOTICE = {"msgid": "6746514019161950", "dlrstatus": "DELIVRD", "dlr_err": "000", "donedate": "2611281530"}


@pytest.mark.parametrize("how", ["POST", "POST with a query", "GET"])
def test_a_delivery_notice_is_stored_once_and_answered_ok_however_it_comes(
    serve: Serve, store: Store, how: str
) -> None:
    url = serve()
    for _ in range(2):
        if how == "GET":
            answer = get(url, params=NOTICE)
        elif how == "POST":
            answer = post(url, data=NOTICE)
        else:
            answer = post(url, params=NOTICE)
        assert (answer.status_code, answer.text) == (200, "OK")
    (found,) = store.messages()
    assert (found.what, found.door, found.about_id) == (What.DELIVERY_REPORT, PushDoor.FORM, NOTICE["msgid"])
    assert (found.status, found.status_text, found.sent_at) == ("DELIVRD", "000", "2611281530")


def test_notices_of_one_message_are_kept_apart_and_unknown_statuses_as_they_are(serve: Serve, store: Store) -> None:
    url = serve()
    for status in ("ACCEPTD", "EXPIRED", "Something New"):
        assert get(url, params=NOTICE | {"dlrstatus": status, "more": "x"}).text == "OK"
    assert [found.status for found in store.messages()] == ["Something New", "EXPIRED", "ACCEPTD"]
    assert store.messages()[0].extra == (("more", "x"),)


def test_the_gateways_test_of_an_address_is_answered_ok_and_stores_nothing(serve: Serve, store: Store) -> None:
    token = "a-token-of-some-length"
    assert get(serve()).text == "OK"
    assert get(serve(secret=token), params={"token": token}).text == "OK"
    assert get(serve(secret=token)).status_code == 401
    assert store.count() == 0
    assert unreadable.listed(store, 9) == []


def test_a_message_comes_by_get_only_where_that_is_allowed_and_is_kept_where_not(serve: Serve, store: Store) -> None:
    fields = {"id": "7", "from": "61400", "message": "hi", "token": "a-token-of-some-length"}
    answer = get(serve(secret=fields["token"]), params=fields)
    assert (answer.status_code, store.count()) == (405, 0)
    (kept,) = unreadable.listed(store, 9)
    assert fields["token"] not in kept.query
    assert get(serve(secret=fields["token"], allow_get=True), params=fields).text == "OK"
    assert [(found.id, found.text, found.extra) for found in store.messages()] == [("7", "hi", ())]


def test_what_cannot_be_read_is_kept_listed_exported_and_read_again(serve: Serve, store: Store, tmp_path: Path) -> None:
    url, place = serve(), str(tmp_path / "inbox")
    broken = envelope("x").replace(b"<SOAP-ENV:Body>", b"<SOAP-ENV:Bod>")
    for _ in range(3):
        answer = post(f"{url}/mm7", content=broken, headers={"Content-Type": "text/xml"})
        assert answer.status_code == 400
    (told,) = json.loads(run("inbox", "list", "--unreadable", "--json", "--store", place).stdout)["unreadable"]
    assert (told["door"], told["size_bytes"], told["pushes"]) == ("mm7", len(broken), 3)
    assert "well-formed" in told["reason"]
    assert told["name"] in run("inbox", "list", "--unreadable", "--store", place).stdout
    assert run("inbox", "export", told["name"], str(tmp_path / "out"), "--store", place).exit_code == 0
    request = (tmp_path / "out" / "request.http").read_bytes()
    assert request.startswith(b"POST /mm7 HTTP/1.1\r\nContent-Type: text/xml\r\n")
    assert request.endswith(broken)
    again = run("inbox", "reread", "--store", place)
    assert (again.exit_code, "1 still unreadable" in again.stderr) == (9, True)
    # What an update would do: the same push can be read now.
    with closing(sqlite3.connect(tmp_path / "inbox" / "inbox.sqlite3")) as database, database:
        now_read = "UPDATE unreadable SET door = 'form', content_type = '', query = 'message=hi&id=9'"
        database.execute(now_read)
    done = run("inbox", "reread", told["name"], "--store", place)
    assert (done.exit_code, "1 read and stored" in done.stderr) == (0, True)
    assert [found.id for found in store.messages()] == ["9"]
    assert unreadable.listed(store, 9) == []
    assert run("inbox", "reread", "u99", "--store", place).exit_code == 3


def test_what_is_kept_unread_is_bounded_and_the_oldest_goes(store: Store) -> None:
    limits = Limits(max_unreadable=3, max_unreadable_bytes=2500)
    for number in range(5):
        raw = RawPush(door=PushDoor.FORM, method="POST", content_type="x", query="", body=b"%d" % number * 1000)
        unreadable.keep(store, raw, "no reason", limits)
        assert unreadable.raw_of(store, f"u{number + 1}") == raw
    assert [one.name for one in unreadable.listed(store, 9)] == ["u5", "u4"]
    assert store.size().unreadable_bytes == 2000
    blobs = [path for path in (store._blobs._folder).rglob("*") if path.is_file()]  # type: ignore[attr-defined]
    assert len(blobs) == 2
