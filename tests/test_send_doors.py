"""Both doors of the gateway: what is written to the byte, what is read back in whatever spelling."""

from __future__ import annotations

import base64
from dataclasses import replace
from email import message_from_bytes
from email.policy import HTTP
from itertools import permutations
from pathlib import Path
from types import ModuleType
from urllib.parse import parse_qsl
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmsprep import mm7
from mmsprep.errors import (
    AccountRefused,
    ContentRefused,
    GatewayBusy,
    SendError,
    SendOutcomeUnknown,
    SendRejected,
    TooManyAttachments,
    UsageError,
)
from mmsprep.message import Message
from mmsprep.mm7.schema import SUBMIT_REQ, problems_of
from mmsprep.model import Action, Kind, MediaInfo, Part, Support
from mmsprep.sender import Account, WireRequest, WireResponse, form, soap
from mmsprep.sender.address import Origin

DATA = Path(__file__).parent / "data"
ACCOUNT = Account("ann", "pass&word")
TO = "61409317436"
ID = "1234567890123456"


def part(position: int, kind: Kind, content_type: str, data: bytes, **facts: object) -> Part:
    extension = {"image/jpeg": "jpg", "audio/amr": "amr", "text/plain": "txt"}[content_type]
    values = Part(
        name=f"{position:02d}-{kind}.{extension}",
        format="jpeg",
        content_type=content_type,
        kind=kind,
        action=Action.KEEP,
        support=Support.GOOD,
        quality=100,
        size_bytes=len(data),
        source_name="x",
        source=MediaInfo(format="jpeg", kind=kind, content_type=content_type, size_bytes=len(data)),
        data=data,
    )
    return replace(values, **facts)  # type: ignore[arg-type]


def small_message(**facts: object) -> Message:
    parts = (
        part(1, Kind.IMAGE, "image/jpeg", b"\xff\xd8\xff\xe0 not really +/= \xff\xd9", width_px=640, height_px=480),
        part(2, Kind.AUDIO, "audio/amr", b"#!AMR\n\x00\r\n--x"),
        part(3, Kind.TEXT, "text/plain", "Café & 100 %\r\n".encode()),
    )
    values = Message(
        profile="smsglobal",
        limit_bytes=300_000,
        parts=parts,
        text="Grüße + 😀 & <more>\r\nzweite Zeile",
        subject="Ünter 100 % & more",
        picture_limit_px=1024,
    )
    return replace(values, **facts)  # type: ignore[arg-type]


def built(door: ModuleType, message: Message | None = None, **options: object) -> WireRequest:
    values = {"to": TO, "account": ACCOUNT, "transaction_id": "T-1"} | options
    request: WireRequest = door.build_request(message or small_message(), **values)
    return request


@pytest.mark.parametrize(("door", "name"), [(form, "send-form.txt"), (soap, "send-mm7.txt")])
def test_a_request_is_the_golden_one_to_the_byte(door: ModuleType, name: str) -> None:
    request = built(door, sender=Origin("61400000000"))
    headers = "".join(f"{key}: {value}\r\n" for key, value in request.headers.items())
    assert f"POST {request.url}\r\n{headers}\r\n".encode() + request.body == (DATA / name).read_bytes()


def test_the_form_has_the_published_fields_and_no_others() -> None:
    pairs = parse_qsl(built(form, sender=Origin("61400000000")).body.decode("ascii"), strict_parsing=True)
    fields = dict(pairs)
    numbered = [f"{name}{place}" for place in range(3) for name in ("attachment", "type", "name")]
    assert [name for name, _ in pairs] == [
        *("username", "password", "number", "from", "subject", "message", "message_at_start", "max_dimension"),
        *numbered,
    ]
    message = small_message()
    assert fields["message"] == message.text and fields["subject"] == message.subject
    for place, sent in enumerate(message.parts):
        assert base64.b64decode(fields[f"attachment{place}"], validate=True) == sent.data
        assert (fields[f"type{place}"], fields[f"name{place}"]) == (sent.content_type, sent.name)


def test_optional_fields_stay_out_of_the_form() -> None:
    message = small_message(parts=(), subject="")
    names = [name for name, _ in parse_qsl(built(form, message).body.decode("ascii"), strict_parsing=True)]
    assert names == ["username", "password", "number", "message", "message_at_start"]


@pytest.mark.parametrize(("picture_limit_px", "height_px", "expected"), [(640, 480, "640"), (1024, 4096, "4096")])
def test_pictures_are_not_shrunk_again_by_the_gateway(picture_limit_px: int, height_px: int, expected: str) -> None:
    picture = part(1, Kind.IMAGE, "image/jpeg", b"x", width_px=300, height_px=height_px)
    request = built(form, small_message(parts=(picture,), picture_limit_px=picture_limit_px))
    assert dict(parse_qsl(request.body.decode("ascii")))["max_dimension"] == expected


def test_the_form_refuses_a_sixteenth_attachment() -> None:
    parts = tuple(part(n, Kind.TEXT, "text/plain", b"x") for n in range(1, 17))
    with pytest.raises(TooManyAttachments, match="15"):
        built(form, small_message(parts=parts))
    built(form, small_message(parts=parts[:15]))


def test_a_shared_part_goes_as_often_as_it_is_shown_or_not_at_all() -> None:
    shared = part(1, Kind.IMAGE, "image/jpeg", b"x" * 1000, shown_at=(0, 2))
    other = part(2, Kind.TEXT, "text/plain", b"y", shown_at=(1,))
    message = small_message(parts=(shared, other))
    fields = dict(parse_qsl(built(form, message).body.decode("ascii")))
    assert [fields[f"name{place}"] for place in range(3)] == ["01-image.jpg", "02-text.txt", "01-image.jpg"]
    with pytest.raises(UsageError, match="mm7"):
        built(form, replace(message, limit_bytes=message.total_bytes + 500))


# MM7. The order below was written from TS 23.140's annex L by hand and is not the package's own.
_ORDER = {
    "SubmitReq": ["MM7Version", "SenderIdentification", "Recipients", "Subject", "Content"],
    "SenderIdentification": ["VASPID", "VASID", "SenderAddress"],
    "Recipients": ["To"],
    "To": ["Number"],
    "SenderAddress": ["Number"],
}
_ONCE = {"MM7Version", "SenderIdentification", "Recipients", "Content", "To", "Number"}


def envelope_of(request: WireRequest) -> ElementTree.Element:
    head = f"Content-Type: {request.headers['Content-Type']}\r\n\r\n".encode()
    parsed = message_from_bytes(head + request.body, policy=HTTP)
    root = next(iter(parsed.iter_parts()))
    assert root.get_content_type() == "text/xml"
    data = root.get_payload(decode=True)
    assert isinstance(data, bytes)
    return ElementTree.fromstring(data)


@given(subject=st.text(st.characters(categories=["L", "N", "P", "S"]), max_size=40), sender=st.sampled_from(["", TO]))
def test_a_submit_request_keeps_the_order_and_multiplicity_of_the_schema(subject: str, sender: str) -> None:
    root = envelope_of(built(soap, small_message(subject=subject), sender=Origin(sender) if sender else None))
    soap_ns, mm7_ns = mm7.SOAP, mm7.REL_6
    assert [child.tag for child in root] == [f"{{{soap_ns}}}Header", f"{{{soap_ns}}}Body"]
    (transaction,) = root[0]
    assert (transaction.tag, transaction.text) == (f"{{{mm7_ns}}}TransactionID", "T-1")
    assert transaction.get(f"{{{soap_ns}}}mustUnderstand") == "1"
    (submit,) = root[1]
    for element in submit.iter():
        local = element.tag.removeprefix(f"{{{mm7_ns}}}")
        names = [child.tag.removeprefix(f"{{{mm7_ns}}}") for child in element]
        assert names == [name for name in _ORDER.get(local, []) if name in names], local
        assert len(set(names)) == len(names)
    present = {element.tag.removeprefix(f"{{{mm7_ns}}}") for element in submit.iter()}
    assert present >= _ONCE
    assert ("Subject" in present) == bool(subject) and ("SenderAddress" in present) == bool(sender)
    assert list(problems_of(submit, SUBMIT_REQ)) == []


def test_the_checks_above_can_fail() -> None:
    """Every other order of the children is found to be wrong."""
    (submit,) = envelope_of(built(soap))[1]
    children = list(submit)
    for order in permutations(children):
        if list(order) != children:
            submit[:] = order
            assert list(problems_of(submit, SUBMIT_REQ))


def test_an_independent_parser_finds_envelope_and_content() -> None:
    request = built(soap, sender=Origin("61400000000"))
    head = f"Content-Type: {request.headers['Content-Type']}\r\n\r\n".encode()
    parsed = message_from_bytes(head + request.body, policy=HTTP)
    assert (parsed.get_content_type(), parsed.get_param("type")) == ("multipart/related", "text/xml")
    envelope, content = parsed.iter_parts()
    assert parsed.get_param("start") == envelope["Content-ID"]
    (submit,) = envelope_of(request)[1]
    (reference,) = submit.findall(f"{{{mm7.REL_6}}}Content")
    assert reference.get("href") == "cid:" + content["Content-ID"].strip("<>")
    assert content.get_content_type() == "multipart/related"
    bodies = list(content.iter_parts())
    assert content.get_param("start") == bodies[0]["Content-ID"] == "<slides.smil>"
    message = small_message()
    sent = [message.smil, message.text.encode(), *(one.data for one in message.parts)]
    assert [body.get_payload(decode=True) for body in bodies] == sent
    assert [body.get_content_type() for body in bodies[2:]] == [one.content_type for one in message.parts]
    transfer = [body["Content-Transfer-Encoding"] for body in bodies]
    assert transfer == ["8bit", "8bit", "base64", "base64", "8bit"]


def test_no_content_id_is_the_beginning_of_another() -> None:
    parts = tuple(part(n, Kind.TEXT, "text/plain", b"x") for n in range(1, 21))
    request = built(soap, small_message(parts=parts))
    head = f"Content-Type: {request.headers['Content-Type']}\r\n\r\n".encode()
    ids = [
        entity["Content-ID"].strip("<>")
        for entity in message_from_bytes(head + request.body).walk()
        if entity["Content-ID"]
    ]
    assert len(ids) == 2 + 2 + 20
    assert not [(a, b) for a, b in permutations(ids, 2) if b.startswith(a)]


def test_a_paragraph_too_long_for_a_line_goes_as_base64() -> None:
    request = built(soap, small_message(text="x" * 5000))
    longest = max(map(len, request.body.split(b"\r\n")))
    assert longest < 998


def test_basic_is_spelled_as_relays_want_it() -> None:
    headers = built(soap).headers
    assert headers["Authorization"] == "Basic " + base64.b64encode(b"ann:pass&word").decode()
    assert headers["SOAPAction"] == '""'


def test_a_subject_that_xml_cannot_hold_is_refused() -> None:
    with pytest.raises(UsageError, match=r"U\+0001"):
        built(soap, small_message(subject="a\x01b"))


# Replies of the form.
def read_form(body: str | bytes, status: int = 200) -> object:
    data = body if isinstance(body, bytes) else body.encode()
    try:
        return form.parse_response(WireResponse(status=status, body=data), built(form)).message_id
    except SendError as error:
        assert error.transaction_id == "T-1"
        return type(error)


@pytest.mark.parametrize(
    "body",
    [
        f"Success. ID = {ID}",
        f"SUCCESS. ID = {ID}",
        f"success. id={ID}",
        f"Success. ID = {{{ID}}}",
        f"Success. ID: {ID}",
        f"  \r\n\ufeffSuccess. ID = {ID}\r\n",
        f"SUCCESS\nSuccess. ID = {ID}",
        f"SUCCESS: Success. ID = {ID}",
        f"SUCCESS; ID: {{{ID}}}; queued for delivery",
        f"Success. Message_id = {ID}",
        f"Success. Message ID: {ID}",
        f'SUCCESS, id="{ID}"',
        f"Success. ID {ID}",
        f"Success. ID = {{ {ID} }} <br>",
    ],
)
def test_a_success_is_read_in_every_plausible_spelling(body: str) -> None:
    assert read_form(body) == ID


@pytest.mark.parametrize(
    "body",
    [
        "",
        "OK",
        "SUCCESS",
        "Success. ID =",
        "Success. ID = {}",
        "Success. ID = {Message_id}",
        "Success. ID = 0000000000000000",
        "Success. ID = 12",
        f"Success. ID = {ID}{ID}",
        f"Success. ID = {ID}abc",
        f"Unsuccess. ID = {ID}",
        f"Successful. ID = {ID}",
        f"No success. ID = {ID}",
        f"<html>Success. ID = {ID}</html>",
        f"Success. ID = {ID} FAILURE",
        f"ID = {ID}",
        "<!DOCTYPE html><h1>Failure</h1>",
        "ERROR: 88",
        "Success. ID = １２３４５６７８９０１２３４５６",
        "\x00\x01\x02",
    ],
)
def test_anything_else_is_unknown_never_a_success(body: str) -> None:
    assert read_form(body) is SendOutcomeUnknown


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("FAILURE", SendRejected),
        ("Failure. Invalid number", SendRejected),
        ("failure: number: '0409' is no MSISDN, expected 7 to 15 digits", SendRejected),
        ("FAILURE: daily limit exceeded", SendRejected),
        ("FAILURE: message too large", ContentRefused),
        ("FAILURE: the message has 312,000 bytes", ContentRefused),
        ("FAILURE: larger than 300kb", ContentRefused),
        ("FAILURE: attachment0 (a.webp): the type 'image/webp' is not in the table", ContentRefused),
        ("FAILURE 2004 Multimedia", ContentRefused),
        ("FAILURE: 2004", ContentRefused),
        ("FAILURE: invalid username or password", AccountRefused),
        ("FAILURE: insufficient credit", AccountRefused),
        ("FAILURE: 4007 Service denied", AccountRefused),
        ("FAILURE: 4006 Service unavailable", GatewayBusy),
        ("FAILURE: 0", SendRejected),
        ("FAILURE: 1000", SendRejected),
    ],
)
def test_a_failure_is_a_refusal_with_its_text(body: str, expected: type[SendError]) -> None:
    assert read_form(body) is expected
    with pytest.raises(expected) as caught:
        form.parse_response(WireResponse(status=200, body=body.encode()), built(form))
    assert body in caught.value.raw_reply
    text = body[7:].lstrip(":. ")
    assert text in str(caught.value)


def test_a_success_with_an_error_status_is_unknown() -> None:
    assert read_form(f"Success. ID = {ID}", status=500) is SendOutcomeUnknown


@given(st.binary(max_size=300) | st.text(max_size=200).map(str.encode), st.integers(100, 599))
def test_no_bytes_make_the_form_reader_fail_in_another_way(body: bytes, status: int) -> None:
    result = read_form(body, status)
    assert isinstance(result, str) or (isinstance(result, type) and issubclass(result, SendError))


@given(st.text(max_size=120))
def test_a_receipt_always_has_an_id_of_digits_that_stands_in_the_reply(text: str) -> None:
    result = read_form(f"Success. ID{text}")
    if isinstance(result, str):
        assert result.isascii() and result.isdigit() and result in text and result.strip("0")


# Replies of MM7.
def read_soap(body: bytes, status: int = 200, content_type: str = "text/xml") -> object:
    response = WireResponse(status=status, body=body, content_type=content_type)
    try:
        return soap.parse_response(response, built(soap)).message_id
    except SendError as error:
        assert error.transaction_id == "T-1"
        return type(error)


def reply(
    code: int | str = 1000, *, prefix: str = "mm7:", namespace: str = mm7.REL_6, kind: str = "SubmitRsp"
) -> bytes:
    """A reply as relays write them, by hand."""
    declared = f"xmlns:{prefix[:-1]}" if prefix else "xmlns"
    status = f"<{prefix}Status><{prefix}StatusCode>{code}</{prefix}StatusCode></{prefix}Status>"
    inner = f'<{prefix}{kind} {declared}="{namespace}"><{prefix}MM7Version>6.8.0</{prefix}MM7Version>{status}'
    inner += f"<{prefix}MessageID>abc-1@relay</{prefix}MessageID></{prefix}{kind}>"
    if kind != "SubmitRsp":
        inner = f"<s:Fault><faultcode>s:Server</faultcode><faultstring/><detail>{inner}</detail></s:Fault>"
    transaction = f'<{prefix}TransactionID {declared}="{namespace}" s:mustUnderstand="1">T-1</{prefix}TransactionID>'
    envelope = (
        f'<s:Envelope xmlns:s="{mm7.SOAP}"><s:Header>{transaction}</s:Header><s:Body>{inner}</s:Body></s:Envelope>'
    )
    return f'<?xml version="1.0"?>{envelope}'.encode()


@pytest.mark.parametrize("namespace", [mm7.REL_6, mm7.REL_5])
@pytest.mark.parametrize("prefix", ["", "mm7:", "x:"])
def test_a_reply_is_read_in_both_namespaces_under_any_prefix(namespace: str, prefix: str) -> None:
    assert read_soap(reply(prefix=prefix, namespace=namespace)) == "abc-1@relay"
    for kind in ("RSErrorRsp", "VASPErrorRsp"):
        assert read_soap(reply(2004, prefix=prefix, namespace=namespace, kind=kind)) is ContentRefused


def test_a_reply_in_a_multipart_is_read() -> None:
    whole = b"--b\r\nContent-Type: text/xml\r\nContent-ID: <r>\r\n\r\n" + reply() + b"\r\n--b--\r\n"
    assert read_soap(whole, content_type='multipart/related; boundary=b; type="text/xml"') == "abc-1@relay"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        reply().replace(b"T-1", b"T&1"),
        reply().replace(b"abc-1@relay", b""),
        reply().replace(b"T-1", b"T-2"),
        reply("success"),
        reply(1000, kind="RSErrorRsp"),
        reply()[:-20],
        b'<!DOCTYPE x [<!ENTITY e "boo">]>' + reply(),
    ],
    ids=["empty", "html", "bad-ampersand", "no-id", "other-transaction", "no-code", "error-1000", "cut-off", "dtd"],
)
def test_a_reply_of_mm7_that_is_not_clear_is_unknown(body: bytes) -> None:
    assert read_soap(body) is SendOutcomeUnknown


def _fault(code: str) -> bytes:
    inner = f"<s:Fault><faultcode>s:{code}</faultcode><faultstring>bad</faultstring></s:Fault>"
    return f'<s:Envelope xmlns:s="{mm7.SOAP}"><s:Body>{inner}</s:Body></s:Envelope>'.encode()


@pytest.mark.parametrize(
    ("code", "status", "expected"),
    [
        ("Client", 200, SendRejected),
        ("Client.Authentication", 500, SendRejected),
        ("MustUnderstand", 500, SendRejected),
        ("Server", 500, SendOutcomeUnknown),
        ("Server", 200, SendOutcomeUnknown),
        ("Server", 503, SendOutcomeUnknown),
    ],
)
def test_a_bare_fault_refuses_where_it_blames_the_request(code: str, status: int, expected: type[SendError]) -> None:
    assert read_soap(_fault(code), status) is expected


@given(
    st.binary(max_size=200)
    | st.binary(max_size=30).map(lambda piece: reply().replace(b"1000", piece))
    | st.integers(0, 600).map(lambda cut: reply()[:cut]),
    st.integers(100, 599),
)
def test_no_bytes_make_the_mm7_reader_fail_in_another_way(body: bytes, status: int) -> None:
    result = read_soap(body, status)
    assert isinstance(result, str) or (isinstance(result, type) and issubclass(result, SendError))


@given(st.integers(0, 99_999))
def test_only_a_success_of_the_table_or_its_class_gives_a_receipt(code: int) -> None:
    accepted = isinstance(read_soap(reply(code)), str)
    assert accepted == (1000 <= code <= 1999 and code != 1100)
