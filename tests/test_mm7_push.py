"""What a relay pushes is built by the schema and read with everything that relays get wrong."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmsprep import mm7
from mmsprep.errors import EnvelopeTooLarge, MalformedEnvelope
from mmsprep.message.mime import Entity, parse_multipart

_NUMBERS = st.from_regex(r"[0-9]{5,15}", fullmatch=True)
_WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cn", "Zs"]), min_size=1, max_size=30)

_SLOPPY = b"""<?xml version="1.0" encoding="UTF-8"?>
<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/">
<soap:Header><m:TransactionID xmlns:m="http://www.3gpp.org/ftp/Specs/archive/23_series/23.140/schema/REL-5-MM7-1-0"
 soap:mustUnderstand="1">t&1</m:TransactionID></soap:Header>
<soap:Body><m:DeliverReq xmlns:m="http://www.3gpp.org/ftp/Specs/archive/23_series/23.140/schema/REL-5-MM7-1-0">
<m:MM7Version>5.3.0</m:MM7Version><m:LinkedID>L-7</m:LinkedID><m:Sender>61409000111</m:Sender>
<m:Subject>Tom & Jerry &amp; Co &nbsp; \x01caf\xe9</m:Subject><m:Content href="cid:c1"/>
</m:DeliverReq></soap:Body></soap:Envelope>"""


@given(
    sender=_NUMBERS,
    recipients=st.lists(_NUMBERS, max_size=3),
    subject=_WORDS,
    linked_id=_WORDS,
    namespace=st.sampled_from(sorted(mm7.VERSIONS)),
)
def test_a_delivery_reads_back_as_it_was_built_and_keeps_to_the_schema(
    sender: str, recipients: list[str], subject: str, linked_id: str, namespace: str
) -> None:
    push = mm7.Push(
        kind="DeliverReq",
        transaction_id="t-1",
        sender=sender,
        recipients=tuple(recipients),
        linked_id=linked_id,
        subject=subject,
        timestamp="2026-11-25T01:02:03Z",
        content_id="content",
        namespace=namespace,
        version=mm7.VERSIONS[namespace],
    )
    assert mm7.parse_push(mm7.build_push(push)) == push


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("彩信", "gb2312"),
        ("彩信", "GB18030"),
        ("彩信", "utf-16"),
        ("中文簡訊", "big5"),
        ("写メール", "Shift_JIS"),
        ("写メール", "euc-jp"),
        ("컬러메일", "euc-kr"),
        ("Привет", "koi8-r"),
        ("Grüße", "iso-8859-1"),
    ],
)
@pytest.mark.parametrize("named_by", ["the document", "the header"])
def test_pushes_and_answers_are_read_in_the_encodings_of_the_world(text: str, encoding: str, named_by: str) -> None:
    push = mm7.build_push(mm7.Push(kind="DeliverReq", transaction_id="t-1", sender="1", recipients=(), subject=text))
    reply = mm7.build_reply(mm7.Reply(kind="SubmitRsp", transaction_id="t-1", status_code=1000, status_text=text))

    def encoded(document: bytes) -> bytes:
        declaration, _, rest = document.decode().partition("?>")
        assert "encoding='utf-8'" in declaration
        told = declaration.replace("utf-8", encoding) + "?>" if named_by == "the document" else ""
        return (told + rest).encode(encoding)

    header = encoding if named_by == "the header" else ""
    assert mm7.parse_push(encoded(push), header).subject == text
    assert mm7.parse_reply(encoded(reply), header).status_text == text


def test_a_bare_ampersand_in_an_answer_does_not_leave_the_outcome_open() -> None:
    reply = mm7.Reply(kind="SubmitRsp", transaction_id="t-1", status_code=1000, status_text="sent and queued")
    data = mm7.build_reply(reply).replace(b"sent and queued", b"sent & <queued>")
    assert (mm7.parse_reply(data).status_code, mm7.parse_reply(data).status_text) == (1000, "sent & <queued>")


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("61409000111", "61409000111"),
        ("<Number>61409000111</Number>", "61409000111"),
        ("<RFC2822Address>ann@example.org</RFC2822Address>", "ann@example.org"),
        ("<SenderAddress><Number>61409000111</Number></SenderAddress>", "61409000111"),
    ],
)
def test_an_address_is_found_at_any_depth(written: str, read: str) -> None:
    push = mm7.Push(kind="DeliverReq", transaction_id="t-1", sender="1", recipients=("2",))
    data = mm7.build_push(push).decode()
    for own in ("<Number>1</Number>", "<Number>2</Number>"):
        data = data.replace(own, written)
    found = mm7.parse_push(data.encode())
    assert (found.sender, found.recipients) == (read, (read,))


@pytest.mark.parametrize("kind", ["DeliveryReportReq", "ReadReplyReq"])
def test_a_report_reads_back_as_it_was_built_and_keeps_to_the_schema(kind: str) -> None:
    push = mm7.Push(
        kind=kind,
        transaction_id="t-1",
        sender="61400000001",
        recipients=("61400000002",),
        message_id="m-9",
        timestamp="2026-11-25T01:02:03Z",
        status="Retrieved",
        status_text="seen <today>",
    )
    assert mm7.parse_push(mm7.build_push(push)) == push


def test_a_push_with_bare_ampersands_wrong_bytes_and_a_bare_sender_is_read_all_the_same() -> None:
    push = mm7.parse_push(_SLOPPY)
    assert (push.kind, push.transaction_id, push.linked_id) == ("DeliverReq", "t&1", "L-7")
    assert push.sender == "61409000111"
    assert push.subject == "Tom & Jerry & Co &nbsp; \ufffdcaf\xe9"
    assert push.content_id == "c1"
    assert any("Sender" in problem for problem in push.problems)


_EMPTY = b'<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body/></e:Envelope>'


def test_an_envelope_with_nothing_in_it_is_malformed_whoever_sends_it() -> None:
    for read in (mm7.request_kind, mm7.parse_submit, mm7.parse_push, mm7.parse_reply):
        with pytest.raises(MalformedEnvelope):
            read(_EMPTY)


def test_what_departs_from_the_envelope_or_its_namespace_is_remarked() -> None:
    """Without an id of the transaction, with two requests, or with an element of somebody else's namespace."""
    begin, end = _SLOPPY.index(b"<soap:Header>"), _SLOPPY.index(b"</soap:Header>")
    assert "Header: TransactionID is missing" in mm7.parse_push(_SLOPPY[:begin] + _SLOPPY[end + 14 :]).problems
    twice = _SLOPPY.replace(b"</soap:Body>", b'<m:DeliverReq xmlns:m="http://www.3gpp.org/"/></soap:Body>')
    assert "Body: exactly one element is expected" in mm7.parse_push(twice).problems
    strange = _SLOPPY.replace(b"<m:LinkedID>L-7</m:LinkedID>", b'<x:LinkedID xmlns:x="urn:x">L-7</x:LinkedID>')
    assert any("LinkedID is in another namespace" in one for one in mm7.parse_push(strange).problems)


@pytest.mark.parametrize(
    "data",
    [b"", b"OK", b"<a/>", b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", _SLOPPY.replace(b"DeliverReq", b"Other")],
    ids=["nothing", "text", "another document", "a DTD", "another request"],
)
def test_what_is_no_push_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedEnvelope):
        mm7.parse_push(data)


@given(st.binary(max_size=200) | st.binary(max_size=40).map(lambda piece: _SLOPPY.replace(b"L-7", piece)))
def test_no_bytes_make_reading_a_push_fail_in_another_way(data: bytes) -> None:
    with contextlib.suppress(MalformedEnvelope):
        mm7.parse_push(data)


@pytest.mark.parametrize(("kind", "answer"), mm7.PUSH_REPLIES.items())
def test_each_push_has_an_answer_of_its_own_that_reads_back(kind: str, answer: str) -> None:
    reply = mm7.Reply(kind=answer, transaction_id="t-1", status_code=1000, status_text="Success")
    data = mm7.build_reply(reply)
    assert mm7.parse_reply(data) == reply
    assert f"<{answer} ".encode() in data, kind


def test_a_header_beyond_ascii_keeps_its_letters() -> None:
    raw = 'Content-Disposition: form-data; name="attachment1"; filename="Grüße.jpg"'
    for charset in ("utf-8", "latin-1"):
        body = b"--b\r\n" + raw.encode(charset) + b"\r\n\r\nx\r\n--b--\r\n"
        (entity,) = parse_multipart(Entity((("Content-Type", "multipart/form-data; boundary=b"),), body))
        assert "Grüße.jpg" in entity.header("Content-Disposition")


def test_parts_without_headers_and_more_headers_than_anybody_writes() -> None:
    whole = (("Content-Type", 'multipart/mixed; boundary="X"'),)
    for line_end in (b"\r\n", b"\n"):
        (part,) = parse_multipart(Entity(whole, b"--X\r\n" + line_end + b"hi\r\n--X--\r\n"))
        assert (part.headers, part.body) == ((), b"hi")
    for head in (b"X: y\r\n" * 200, b"X: " + b"y" * 15_000 + b"\r\n"):
        with pytest.raises(EnvelopeTooLarge):
            parse_multipart(Entity(whole, (b"--X\r\n" + head + b"\r\nhi\r\n") * 99 + b"--X--\r\n"))
