"""What an answer decides, line by line: (HTTP status, body) to outcome, at both doors."""

from __future__ import annotations

from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmsprep import Account, mm7
from mmsprep.errors import (
    AccountRefused,
    ContentRefused,
    GatewayBusy,
    NotSent,
    SendError,
    SendOutcomeUnknown,
    SendRejected,
)
from mmsprep.message import Message
from mmsprep.sender import WireRequest, WireResponse, form, soap

ID = "1234567890123456"
SUCCESS = f"Success. ID = {ID}"
ACCEPTED, UNKNOWN = "accepted", SendOutcomeUnknown
Outcome = str | type[SendError]

REFUSING_HTTP: dict[int, type[SendError]] = {
    **dict.fromkeys((401, 402, 403), AccountRefused),
    **dict.fromkeys((413, 415), ContentRefused),
    **dict.fromkeys((400, 404, 405, 406, 410, 411, 414, 421, 426, 431, 501, 505), SendRejected),
}
UNDECIDED_HTTP = (
    *(100, 101, 102, 300, 301, 302, 303, 304, 307, 308, 407, 408, 409, 412, 418, 422, 423, 425, 428, 429, 451, 499),
    *(500, 502, 503, 504, 507, 508, 511, 520, 522, 524, 529, 599),
)


def envelope(inner: str, transaction: str = "T-1") -> str:
    header = f'<s:Header><TransactionID xmlns="{mm7.REL_6}">{transaction}</TransactionID></s:Header>'
    return f'<s:Envelope xmlns:s="{mm7.SOAP}">{header if transaction else ""}<s:Body>{inner}</s:Body></s:Envelope>'


def response(kind: str, code: int, message_id: str = "", details: str = "") -> str:
    status = f"<Status><StatusCode>{code}</StatusCode><StatusText>x</StatusText><Details>{details}</Details></Status>"
    named = f"<MessageID>{message_id}</MessageID>" if message_id else ""
    return f'<{kind} xmlns="{mm7.REL_6}"><MM7Version>6.8.0</MM7Version>{status}{named}</{kind}>'


def fault(*responses: str, code: str = "Server") -> str:
    detail = f"<detail>{''.join(responses)}</detail>" if responses else ""
    return envelope(f"<s:Fault><faultcode>s:{code}</faultcode><faultstring>x</faultstring>{detail}</s:Fault>")


ACCEPTING = envelope(response("SubmitRsp", 1000, ID))
BUSY = fault(response("RSErrorRsp", 4006))

FORM: list[tuple[int, str | bytes, Outcome]] = [
    (200, SUCCESS, ACCEPTED),
    (201, SUCCESS, ACCEPTED),
    (202, f"SUCCESS: Success. ID = {{{ID}}}", ACCEPTED),
    (200, "Success. ID = 123456789012345", UNKNOWN),
    (200, "Success. ID = 12345678901", UNKNOWN),
    (200, f"Success. ID = {ID}7", UNKNOWN),
    (200, "Success. ID = 1234567890", UNKNOWN),
    (200, "Success. ID = 0000000000000000", UNKNOWN),
    (200, f"OK: 0; Sent queued message ID: {ID}", UNKNOWN),
    (200, "", UNKNOWN),
    (200, "FAILURE: x", SendRejected),
    (200, "FAILURE: message too large", ContentRefused),
    (200, "FAILURE: wrong password", AccountRefused),
    (200, "FAILURE: 4006 Service unavailable", GatewayBusy),
    (200, "FAILURE: 3000 Server Error", NotSent),
    (400, "FAILURE: number", SendRejected),
    (403, "FAILURE: wrong password", AccountRefused),
    (422, "FAILURE: number", SendRejected),
    # Both at once.
    (200, f"FAILURE: x\n{SUCCESS}", UNKNOWN),
    (200, f"FAILURE: message too large {SUCCESS}", UNKNOWN),
    (200, f"FAILURE: 4006 Service unavailable. {SUCCESS}", UNKNOWN),
    (200, f"{SUCCESS}\nFAILURE: x", UNKNOWN),
    (200, f"FAILURE: x <!-- success: {ID} -->", UNKNOWN),
    (400, f"FAILURE: x\n{SUCCESS}", UNKNOWN),
    (404, f"<html><h1>Not Found</h1>{SUCCESS}</html>", UNKNOWN),
    (404, '{"id": "1234567890123456", "status": "Success"}', UNKNOWN),
    (404, f"OK: 0; Sent queued message ID: {ID}", UNKNOWN),
    (403, "Success. ID = 12345678901", UNKNOWN),
    (404, SUCCESS.encode("utf-16"), UNKNOWN),
    (404, "no page of this name; the word success alone says nothing", SendRejected),
    (200, "FAILURE: unsuccessful", SendRejected),
    # Written by whoever stands in between, perhaps after the gateway had it all.
    (503, "FAILURE: backend", UNKNOWN),
    (502, "Failure connecting to upstream", UNKNOWN),
    (504, "failure", UNKNOWN),
    (429, "FAILURE: slow down", UNKNOWN),
    (408, "FAILURE: too slow", UNKNOWN),
    (500, "FAILURE: x", UNKNOWN),
    (302, "FAILURE: x", UNKNOWN),
    (503, "FAILURE: 4006 Service unavailable", UNKNOWN),
    *((status, SUCCESS, UNKNOWN) for status in (*REFUSING_HTTP, *UNDECIDED_HTTP)),
    *((status, "", outcome) for status, outcome in REFUSING_HTTP.items()),
    *((status, "<html>x</html>", outcome) for status, outcome in REFUSING_HTTP.items()),
    *((status, "", UNKNOWN) for status in UNDECIDED_HTTP),
    *((status, "<html>x</html>", UNKNOWN) for status in UNDECIDED_HTTP),
]

MM7: list[tuple[int, str | bytes, Outcome]] = [
    (200, ACCEPTING, ACCEPTED),
    (202, ACCEPTING, ACCEPTED),
    (200, envelope(response("SubmitRsp", 1000, "of-another-relay@host")), ACCEPTED),
    (200, envelope(response("SubmitRsp", 1000)), UNKNOWN),
    (200, envelope(response("SubmitRsp", 1100, ID)), UNKNOWN),
    (200, envelope(response("SubmitRsp", 1000, ID), "T-2"), UNKNOWN),
    (200, ACCEPTING[:-10], UNKNOWN),
    (200, SUCCESS, UNKNOWN),
    (200, "", UNKNOWN),
    (200, BUSY, GatewayBusy),
    (500, BUSY, GatewayBusy),
    (503, BUSY, GatewayBusy),
    (200, envelope(response("SubmitRsp", 4006)), GatewayBusy),
    (200, fault(response("RSErrorRsp", 2004)), ContentRefused),
    (500, fault(response("RSErrorRsp", 2004)), ContentRefused),
    (404, fault(response("RSErrorRsp", 2002)), SendRejected),
    (200, fault(response("VASPErrorRsp", 2001)), AccountRefused),
    (200, fault(response("RSErrorRsp", 3000)), NotSent),
    (200, fault(code="Client"), SendRejected),
    (500, fault(code="Client"), SendRejected),
    (200, fault(), UNKNOWN),
    (500, fault(), UNKNOWN),
    (503, fault(), UNKNOWN),
    (429, fault(), UNKNOWN),
    # Both at once.
    (200, fault(response("RSErrorRsp", 1000)), UNKNOWN),
    (200, fault(response("RSErrorRsp", 2004), response("SubmitRsp", 1000, ID)), UNKNOWN),
    (200, envelope(response("SubmitRsp", 1000, ID) + response("RSErrorRsp", 2004)), UNKNOWN),
    (200, fault(response("SubmitRsp", 1000, ID)), UNKNOWN),
    (200, envelope(response("SubmitRsp", 4006, ID)), UNKNOWN),
    (200, envelope(response("SubmitRsp", 2004, ID)), UNKNOWN),
    (200, fault(response("RSErrorRsp", 2004, details=SUCCESS)), UNKNOWN),
    (200, fault(response("RSErrorRsp", 4006, details=SUCCESS)), UNKNOWN),
    (200, fault(code="Client").replace("<faultstring>x", f"<faultstring>{SUCCESS}"), UNKNOWN),
    (404, ACCEPTING[:-10], UNKNOWN),
    (413, ACCEPTING[:-10], UNKNOWN),
    # About another request, or by whoever stands in between.
    (200, BUSY.replace("T-1", "T-2"), UNKNOWN),
    (200, fault(response("RSErrorRsp", 2004)).replace("T-1", "T-2"), UNKNOWN),
    (503, BUSY[:-10], UNKNOWN),
    (200, BUSY[:-10], UNKNOWN),
    (302, fault(response("RSErrorRsp", 2004)), UNKNOWN),
    (503, "<html>4006</html>", UNKNOWN),
    *((status, ACCEPTING, UNKNOWN) for status in (*REFUSING_HTTP, *UNDECIDED_HTTP)),
    *((status, SUCCESS, UNKNOWN) for status in (*REFUSING_HTTP, *UNDECIDED_HTTP)),
    *((status, "", outcome) for status, outcome in REFUSING_HTTP.items()),
    *((status, "<html>x</html>", outcome) for status, outcome in REFUSING_HTTP.items()),
    *((status, "", UNKNOWN) for status in UNDECIDED_HTTP),
    *((status, "<html>x</html>", UNKNOWN) for status in UNDECIDED_HTTP),
]

TABLE = [*((form, *line) for line in FORM), *((soap, *line) for line in MM7)]


def request_of(door: ModuleType) -> WireRequest:
    message = Message(profile="smsglobal", limit_bytes=300_000, parts=(), text="Hi")
    built: WireRequest = door.build_request(
        message, to="61409317436", account=Account("ann", "hunter2-hunter2"), transaction_id="T-1"
    )
    return built


def outcome_of(door: ModuleType, status: int, body: str | bytes, *, before_body: bool = False) -> Outcome | SendError:
    data = body if isinstance(body, bytes) else body.encode()
    answer = WireResponse(
        status=status,
        body=data,
        content_type="text/xml" if data.lstrip().startswith(b"<s:") else "text/html",
        retry_after_s=7.0,
        before_body=before_body,
    )
    try:
        door.parse_response(answer, request_of(door))
    except SendError as error:
        return error
    return ACCEPTED


@pytest.mark.parametrize(("door", "status", "body", "expected"), TABLE)
def test_each_line_of_the_table(door: ModuleType, status: int, body: str | bytes, expected: Outcome) -> None:
    found = outcome_of(door, status, body)
    assert (found if isinstance(found, str) else type(found)) == expected, found
    if isinstance(found, SendOutcomeUnknown):
        assert found.retry_after_s is None
    if isinstance(found, SendError):
        assert found.reason


@pytest.mark.parametrize("door", [form, soap])
@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (503, "", GatewayBusy),
        (429, "slow down", GatewayBusy),
        (500, "", NotSent),
        (502, "FAILURE", NotSent),
        (302, "", NotSent),
        (404, "", SendRejected),
        (413, "", ContentRefused),
        (503, SUCCESS, UNKNOWN),
        (200, "", UNKNOWN),
    ],
)
def test_an_answer_before_anything_of_the_body_went_out_was_not_about_the_message(
    door: ModuleType, status: int, body: str, expected: type[SendError]
) -> None:
    found = outcome_of(door, status, body, before_body=True)
    assert type(found) is expected
    if expected in (GatewayBusy, NotSent):
        assert isinstance(found, SendError) and found.retry_after_s == 7.0


@given(
    status=st.integers(200, 599),
    before=st.text(max_size=40) | st.sampled_from(["FAILURE: ", "FAILURE 2004 ", "<html>", "wrong password "]),
    after=st.text(max_size=40),
    door=st.sampled_from([form, soap]),
)
def test_an_answer_that_holds_a_success_with_an_id_is_never_a_refusal_nor_repeated(
    status: int, before: str, after: str, door: ModuleType
) -> None:
    found = outcome_of(door, status, f"{before}\n{SUCCESS}\n{after}")
    assert found == ACCEPTED or type(found) is SendOutcomeUnknown
