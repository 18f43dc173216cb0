"""The sandbox's MM7 door: schema, content and the status codes of the published table."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import suppress

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("starlette", reason="the extra mmsprep[sandbox] is not installed")

from examples import examples
from sandbox_client import AUTHORIZATION, JPEG, NUMBER, part, post_mm7, smil, submit_request

from mmsprep import mm7
from mmsprep.message.mime import Entity, build_related
from mmsprep.mm7 import REL_5, REL_6, Submit
from mmsprep.sandbox import Login, Sandbox
from mmsprep.sandbox.exchange import ArrivedRequest
from mmsprep.sandbox.soap import answer, judge

PHOTO = part("photo.jpg", "image/jpeg", JPEG)
TEXT = part("hello.txt", "text/plain; charset=utf-8", "Grüße".encode())
SMIL = smil('<text src="hello.txt" region="Text"/><img src="photo.jpg" region="Image"/>')
CONTENT = build_related([SMIL, PHOTO, TEXT], "application/smil")


@pytest.fixture(scope="module")
def gateway() -> Iterator[Sandbox]:
    with Sandbox() as running:
        yield running


def content(*parts: Entity) -> Entity:
    return build_related(list(parts), "application/smil")


@pytest.mark.parametrize("namespace", [REL_6, REL_5])
def test_a_conforming_message_is_accepted(gateway: Sandbox, namespace: str) -> None:
    request = submit_request(
        CONTENT, namespace=namespace, version=mm7.VERSIONS[namespace], subject="Für dich", sender="61400000000"
    )
    reply = post_mm7(gateway, request)
    assert (reply.kind, reply.status_code, reply.transaction_id) == ("SubmitRsp", 1000, "t-1")
    assert len(reply.message_id) == 16
    assert reply.message_id.isdecimal()
    submission = gateway.accepted[-1].judgement.submission
    assert submission is not None
    assert (submission.number, submission.sender, submission.subject) == (NUMBER, "61400000000", "Für dich")
    assert gateway.accepted[-1].judgement.message_id == reply.message_id


@pytest.mark.parametrize(("code", "status"), [("222", 1000), ("12345678", 1000), ("22", 2002), ("22x", 2002)])
def test_a_sender_may_be_a_short_code(gateway: Sandbox, code: str, status: int) -> None:
    request = submit_request(CONTENT, sender=code, sender_is_short_code=True)
    assert b"<ShortCode>" in request.body
    assert post_mm7(gateway, request).status_code == status


def test_slides_come_in_the_order_of_the_presentation_and_their_parts_from_top_to_bottom(gateway: Sandbox) -> None:
    other = part("other.jpg", "image/jpeg", JPEG)
    presentation = smil(
        '<img src="cid:other.jpg" region="Image"/>',
        '<text src="hello.txt" region="Text"/><img src="photo.jpg" region="Image"/>',
    )
    post_mm7(gateway, submit_request(content(presentation, PHOTO, TEXT, other)))
    submission = gateway.accepted[-1].judgement.submission
    assert submission is not None
    names = [[submission.content.parts[place].name for place in slide.parts] for slide in submission.content.slides]
    assert names == [["other.jpg"], ["photo.jpg", "hello.txt"]]
    assert [slide.duration_s for slide in submission.content.slides] == [4.0, 4.0]


def test_a_part_that_the_presentation_leaves_out_is_shown_last_and_remarked(gateway: Sandbox) -> None:
    post_mm7(gateway, submit_request(content(smil('<img src="photo.jpg"/>'), PHOTO, TEXT)))
    submission = gateway.accepted[-1].judgement.submission
    assert submission is not None
    assert [slide.parts for slide in submission.content.slides] == [(0,), (1,)]
    assert submission.content.remarks == ("hello.txt: the presentation does not show it",)


def test_a_message_without_presentation_is_accepted(gateway: Sandbox) -> None:
    related = build_related([PHOTO, TEXT], "")
    mixed = related.header("Content-Type").replace("multipart/related", "multipart/mixed").replace('type=""; ', "")
    assert post_mm7(gateway, submit_request(Entity((("Content-Type", mixed),), related.body))).status_code == 1000
    assert post_mm7(gateway, submit_request(Entity((("Content-Type", "image/jpeg"),), JPEG))).status_code == 1000


def test_the_size_counts_decoded_parts(gateway: Sandbox) -> None:
    """Base64 inside the message is a matter of transport."""
    encoded = part("photo.jpg", "image/jpeg", base64.encodebytes(JPEG), Content_Transfer_Encoding="base64")
    binary = part("photo.jpg", "image/jpeg", JPEG, Content_Transfer_Encoding="base64")
    for entity in (encoded, binary):
        post_mm7(gateway, submit_request(content(smil('<img src="photo.jpg"/>'), entity)))
    assert not gateway.exchanges[-1].judgement.accepted
    accepted = gateway.exchanges[-2].judgement.submission
    assert accepted is not None
    assert accepted.content.parts[0].size_bytes == len(JPEG)
    assert accepted.content.total_bytes < len(JPEG) + 1_200


@pytest.mark.parametrize(
    "authorization", ["", "Basic", "Basic \xe9", "Bearer x", "Basic !!!", "Basic eDp5", "basic c2FuZGJveDpzYW5kYm94"]
)
def test_wrong_credentials_are_a_bare_401(gateway: Sandbox, authorization: str) -> None:
    request = submit_request(CONTENT)
    fields = {"Content-Type": request.header("Content-Type"), "Authorization": authorization}
    headers = [(name.encode(), value.encode("latin-1")) for name, value in fields.items()]
    response = httpx.post(gateway.mm7_url, content=request.body, headers=headers, trust_env=False)
    assert response.status_code == 401
    assert response.content == b""
    assert response.headers["www-authenticate"].startswith("Basic ")


def _bent(old: str, new: str) -> bytes:
    envelope = mm7.build_submit(
        Submit(transaction_id="t-1", to=(NUMBER,), content_id="content", vasp_id="sandbox", subject="Hi")
    ).decode()
    assert old in envelope
    return envelope.replace(old, new).encode()


_NUMBER = f"<Number>{NUMBER}</Number>"


@pytest.mark.parametrize(
    ("envelope", "status_code", "words"),
    [
        (b"<broken", 4004, "no well-formed XML"),
        (b"<a/>", 4004, "no SOAP envelope"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', 4004, "it declares a document type"),
        (_bent("SubmitReq", "CancelReq"), 4003, "CancelReq is not supported"),
        (_bent("6.8.0", "5.3.0"), 4002, "5.3.0"),
        (_bent("REL-6-MM7-1-4", "REL-9-MM7-1-4"), 4002, "REL-9"),
        (_bent("<Subject>Hi</Subject>", "<Title>Hi</Title>"), 4004, "Title is not allowed here"),
        (_bent("<MM7Version>6.8.0</MM7Version>", ""), 4004, "MM7Version is missing"),
        (
            _bent("<Subject>Hi</Subject>", "<Subject>Hi</Subject><Priority>High</Priority>"),
            4004,
            "Priority must stand before Subject",
        ),
        (_bent("<Subject>Hi</Subject>", "<Subject>Hi</Subject><Subject>Hi</Subject>"), 4004, "stands 2 times"),
        (_bent(' env:mustUnderstand="1"', ""), 4004, "mustUnderstand"),
        (_bent("<Subject>", "<Priority>Urgent</Priority><Subject>"), 2007, "Priority is 'Urgent'"),
        (_bent("<Subject>", "<DeliveryReport>yes</DeliveryReport><Subject>"), 2007, "DeliveryReport"),
        (_bent("<Subject>", "<ExpiryDate>tomorrow</ExpiryDate><Subject>"), 2007, "ExpiryDate"),
        (_bent("<VASPID>sandbox", "<VASPID>somebody"), 2008, "VASPID"),
        (_bent(_NUMBER, f"<Number>+{NUMBER}</Number>"), 2002, "do not use +"),
        (_bent(_NUMBER, "<RFC2822Address>a@b.example</RFC2822Address>"), 2002, "no MSISDN"),
        (_bent(_NUMBER, _NUMBER + "<Number>61400000001</Number>"), 3003, "2 recipients"),
        (_bent("cid:content", "cid:other"), 2004, "Content-ID 'other'"),
    ],
)
def test_each_departure_of_the_envelope_has_its_status(
    gateway: Sandbox, envelope: bytes, status_code: int, words: str
) -> None:
    reply = post_mm7(gateway, submit_request(CONTENT, envelope))
    assert (reply.kind, reply.status_code) == ("RSErrorRsp", status_code)
    assert words in reply.details
    assert reply.status_text
    if b"TransactionID" in envelope:
        assert reply.transaction_id == "t-1"


def test_good_values_of_optional_elements_are_accepted(gateway: Sandbox) -> None:
    elements = (
        "<MessageClass>Informational</MessageClass><TimeStamp>2026-11-25T01:02:03+10:00</TimeStamp>"
        "<EarliestDeliveryTime>P1DT2H</EarliestDeliveryTime><ExpiryDate>2026-12-25T00:00:00Z</ExpiryDate>"
        "<DeliveryReport>true</DeliveryReport><Priority>Normal</Priority><Subject>"
    )
    reply = post_mm7(gateway, submit_request(CONTENT, _bent("<Subject>", elements)))
    assert reply.status_code == 1000, reply.details


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (None, "0 parts have the Content-ID"),
        (content(smil('<img src="a.png"/>'), part("a.png", "image/png", JPEG)), "compatibility table"),
        (content(smil('<img src="a.gif"/>'), part("a.gif", "image/gif", JPEG)), "but it is JPEG"),
        (content(smil('<img src="gone.jpg"/>'), PHOTO), "'gone.jpg', which is not in the message"),
        (content(SMIL, part("\x01\x7f.jpg", "image/png", JPEG)), "\ufffd\x7f.jpg: the type"),
        (content(smil(), PHOTO), "has no slides"),
        (content(smil(*['<img src="photo.jpg"/>'] * 101), PHOTO), "101 slides"),
        (content(part("s.smil", "application/smil", b"<smil><bo"), PHOTO), "no well-formed SMIL"),
        (content(part("s.smil", "application/smil", b"<html/>"), PHOTO), "no SMIL"),
        (content(PHOTO, SMIL, TEXT), "not the presentation"),
        (content(SMIL, SMIL, PHOTO), "2 presentations"),
        (content(smil('<img src="photo.jpg"/>'), PHOTO, PHOTO), "stands twice"),
        (
            content(smil('<img src="photo.jpg"/>'), PHOTO, part("photo.jpg2", "image/jpeg", JPEG)),
            "is the beginning of 'photo.jpg2'",
        ),
        (
            content(*[smil('<img src="0-p.jpg"/>'), *(part(f"{n}-p.jpg", "image/jpeg", JPEG) for n in range(16))]),
            "16 attachments",
        ),
        (content(smil('<text src="t"/>'), part("t", "text/plain", "\ufeffHi".encode("utf-16"))), "UTF-8"),
        (content(smil('<text src="t"/>'), part("t", "text/plain", b"x" * 300_000)), "over the limit of 300,000"),
        (content(smil()), "no part to show"),
        (content(smil("", '<img src="photo.jpg"/>'), part("e.txt", "text/plain", b""), PHOTO), "e.txt: is empty"),
        (content(smil('<text src="t"/>'), part("t", "text/plain", b"H\0i")), "NUL"),
        (Entity((("Content-Type", "multipart/related; boundary=x"),), b"--x\r\n\r\nA"), "cut off"),
        (Entity((("Content-Type", "multipart/alternative; boundary=x"),), b"--x--"), "expected multipart/related"),
    ],
)
def test_content_that_no_phone_could_show_is_2004(gateway: Sandbox, bad: Entity | None, words: str) -> None:
    reply = post_mm7(gateway, submit_request(bad))
    assert (reply.kind, reply.status_code, reply.transaction_id) == ("RSErrorRsp", 2004, "t-1")
    assert words in reply.details


def test_parts_that_nothing_names_are_2004(gateway: Sandbox) -> None:
    assert "2 parts beside" in post_mm7(gateway, submit_request(CONTENT, others=[PHOTO])).details


@pytest.mark.parametrize(
    ("content_type", "words"),
    [
        ("application/json", "expected multipart/related"),
        ("multipart/related; boundary=other", "cannot be taken apart"),
        ("", "the Content-Type is nothing"),
    ],
)
def test_a_request_that_is_no_mm7_is_4004(gateway: Sandbox, content_type: str, words: str) -> None:
    request = submit_request(CONTENT)
    reply = post_mm7(gateway, Entity((("Content-Type", content_type),), request.body))
    assert reply.status_code == 4004
    assert words in reply.details


@examples(60)
@given(st.data())
def test_any_bytes_are_judged(data: st.DataObject) -> None:
    """However a request is broken, the judgement is a status with a reason."""
    request = submit_request(CONTENT)
    body = bytearray(request.body)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(body) - 1))
        piece = data.draw(st.binary(max_size=6))
        body[place : place + data.draw(st.integers(0, 8))] = piece
    headers = (("Content-Type", request.header("Content-Type")), ("Authorization", AUTHORIZATION))
    judgement = judge(ArrivedRequest(headers=headers, body=bytes(body)), Login())
    assert judgement.accepted or (judgement.status_code >= 2000 and judgement.reason)
    with suppress(AttributeError):
        assert judgement.submission.content.total_bytes <= 300_000  # type: ignore[union-attr]
    assert mm7.parse_reply(answer(judgement).body).status_code == judgement.status_code
