"""Sending against a real gateway on this machine: every way it can go wrong, by both doors, waiting or not."""

from __future__ import annotations

import asyncio
import base64
import logging
import pickle
import random
import socket
import ssl
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme
from loopback import (
    Deed,
    Gateway,
    answers,
    breaks_in_the_reply,
    closes_before_the_reply,
    drips,
    drips_headers,
    floods,
    gateway,
    hangs_up_before_reading,
    http,
    never_answers,
    never_says_hello,
    passes_on,
    resets_before_the_reply,
    resets_in_the_body,
    says_wait_for_ever,
    soap_reply,
    succeeds,
    takes_the_body_slowly,
)

from mmsprep import Account, Patience, Receipt, send, send_async
from mmsprep.errors import (
    AccountRefused,
    AddressError,
    ContentRefused,
    GatewayBusy,
    GatewayUnreachable,
    NotSent,
    OverBudget,
    SendError,
    SendOutcomeUnknown,
    SendRejected,
    UsageError,
)
from mmsprep.message import Message
from mmsprep.mm7.status import STATUSES
from mmsprep.model import Action, Kind, MediaInfo, Part, Support
from mmsprep.sender import Timeouts, Via, WireRequest
from mmsprep.tools.tls import verified_tls

PASSWORD = "s3cret/&+pass <word>"
TO = "61409317436"
QUICK = Patience(attempts=3, first_wait_s=0.01, longest_wait_s=5)
HURRIED = Patience(attempts=3, first_wait_s=0.01, timeouts=Timeouts(connect_s=20, write_s=20, reply_s=0.5))


def message(data: bytes = b"\xff\xd8data" * 20_000, text: str = "Grüße") -> Message:
    part = Part(
        name="01-image.jpg",
        format="jpeg",
        content_type="image/jpeg",
        kind=Kind.IMAGE,
        action=Action.KEEP,
        support=Support.GOOD,
        quality=100,
        size_bytes=len(data),
        source_name="x.jpg",
        source=MediaInfo(format="jpeg", kind=Kind.IMAGE, content_type="image/jpeg", size_bytes=len(data)),
        width_px=640,
        height_px=480,
        data=data,
    )
    return Message(
        profile="smsglobal", limit_bytes=300_000, parts=(part,), text=text, subject="Hi", picture_limit_px=1024
    )


def attempt(this: Gateway, *, wait: bool = False, **options: Any) -> Receipt:
    """Send one message, blocking or in an event loop."""
    defaults: dict[str, Any] = {"to": TO, "account": Account("ann", PASSWORD, this.url), "patience": QUICK}
    if wait:
        return asyncio.run(send_async(message(), **(defaults | options)))
    return send(message(), **(defaults | options))


both_ways = pytest.mark.parametrize("wait", [False, True], ids=["blocking", "async"])
both_doors = pytest.mark.parametrize("via", list(Via))


@both_ways
@both_doors
def test_an_accepted_message_gives_a_receipt_with_its_id(via: Via, wait: bool) -> None:
    with gateway(succeeds()) as this:
        receipt = attempt(this, via=via, wait=wait)
    assert (receipt.message_id, receipt.recipient, receipt.via) == ("1234567890123456", TO, via)
    assert receipt.attempts == 1 and not receipt.earlier
    assert "1234567890123456" in receipt.raw_reply
    (request,) = this.requests
    assert request.recipient == TO
    assert request.header("Content-Length") == str(len(request.body))
    assert not request.header("Transfer-Encoding")
    assert request.path == {"http": "/mms/sendmms.php", "mm7": "/mms/mm7.php"}[via]


FAULTS: list[tuple[Deed, type[SendError], int]] = [
    (resets_in_the_body, SendOutcomeUnknown, 1),
    (resets_before_the_reply, SendOutcomeUnknown, 1),
    (closes_before_the_reply, SendOutcomeUnknown, 1),
    (breaks_in_the_reply, SendOutcomeUnknown, 1),
    (never_answers, SendOutcomeUnknown, 1),
    (drips, SendOutcomeUnknown, 1),
    (floods, SendOutcomeUnknown, 1),
    (answers(http("")), SendOutcomeUnknown, 1),
    (answers(http("<html><body>Welcome</body></html>")), SendOutcomeUnknown, 1),
    (answers(http("<a><b></a>", content_type="text/xml")), SendOutcomeUnknown, 1),
    (answers(b"nonsense\r\n\r\n"), SendOutcomeUnknown, 1),
    (answers(http("oops", 500)), SendOutcomeUnknown, 1),
    (answers(http("oops", 502)), SendOutcomeUnknown, 1),
    (answers(http("", 302, extra="Location: /elsewhere\r\n")), SendOutcomeUnknown, 1),
    (answers(http("", 401, extra='WWW-Authenticate: Basic realm="x"\r\n')), AccountRefused, 1),
    (answers(http("", 404)), SendRejected, 1),
    (answers(http("", 413)), ContentRefused, 1),
    (answers(http("", 503)), SendOutcomeUnknown, 1),
    (answers(http("", 429, extra="Retry-After: 0\r\n")), SendOutcomeUnknown, 1),
    (answers(http("", 504)), SendOutcomeUnknown, 1),
    (drips_headers, SendOutcomeUnknown, 1),
    (says_wait_for_ever, SendOutcomeUnknown, 1),
]


@both_ways
@both_doors
@pytest.mark.parametrize(("deed", "expected", "connections"), FAULTS)
def test_every_fault_ends_as_what_it_is_and_only_a_busy_gateway_is_asked_again(
    deed: Deed, expected: type[SendError], connections: int, via: Via, wait: bool
) -> None:
    patience = HURRIED if deed in (never_answers, drips, drips_headers, says_wait_for_ever) else QUICK
    with gateway(deed) as this, pytest.raises(SendError) as caught:
        attempt(this, via=via, wait=wait, patience=patience)
    assert type(caught.value) is expected, caught.value
    assert caught.value.transaction_id
    assert TO in str(caught.value)
    assert this.connections == connections


HANGING: list[Deed] = [never_answers, drips, drips_headers, says_wait_for_ever, takes_the_body_slowly]


@both_ways
@both_doors
@pytest.mark.parametrize("deed", HANGING)
def test_one_deadline_stands_round_everything(deed: Deed, via: Via, wait: bool) -> None:
    """Every single wait may last for ten minutes; the whole does not last for one second."""
    timeouts = Timeouts(connect_s=600, write_s=600, reply_s=600, total_s=0.4)
    began_s = time.monotonic()
    with gateway(deed) as this, pytest.raises(SendOutcomeUnknown, match=r"0\.4 s"):
        attempt(this, via=via, wait=wait, patience=Patience(timeouts=timeouts))
    assert this.connections == 1
    assert time.monotonic() - began_s < 60


@both_ways
def test_a_gateway_that_does_not_even_start_tls_was_not_sent_to(wait: bool) -> None:
    timeouts = Timeouts(connect_s=600, total_s=0.8)
    with gateway(never_says_hello) as this, pytest.raises(GatewayUnreachable, match="not sent"):
        account = Account("ann", PASSWORD, this.url.replace("http:", "https:"))
        attempt(this, account=account, wait=wait, patience=Patience(attempts=1, timeouts=timeouts))


@both_ways
def test_a_connection_that_breaks_before_the_message_is_an_honest_answer(wait: bool) -> None:
    """The reset races with the first bytes: not sent if it won, unknown if it lost, never a crash."""
    with gateway(hangs_up_before_reading) as this, pytest.raises((GatewayUnreachable, SendOutcomeUnknown)):
        attempt(this, wait=wait)


@both_ways
@both_doors
def test_a_gateway_that_is_not_there_is_tried_again_and_nothing_was_sent(via: Via, wait: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"
    with pytest.raises(GatewayUnreachable, match="not sent"):
        attempt(Gateway([], address), via=via, wait=wait)


def test_a_gateway_that_comes_back_gets_the_message_once() -> None:
    busy = answers(http("FAILURE: 4006 Service unavailable", extra="Retry-After: 0\r\n"))
    with gateway(busy, busy, succeeds()) as this:
        receipt = attempt(this)
    assert receipt.attempts == 3
    assert len({request.body for request in this.requests}) == 1


@both_ways
def test_a_busy_status_is_repeated_by_mm7_too(wait: bool) -> None:
    with gateway(answers(soap_reply("RSErrorRsp", 4006)), succeeds()) as this:
        receipt = attempt(this, via="mm7", wait=wait)
    assert receipt.attempts == 2
    assert len({request.submit.transaction_id for request in this.requests}) == 1


def test_a_retry_after_beyond_patience_is_told_not_waited_for() -> None:
    busy = http("FAILURE: 4006", extra="Retry-After: 3600\r\n")
    with gateway(answers(busy)) as this, pytest.raises(GatewayBusy) as caught:
        attempt(this)
    assert caught.value.retry_after_s == 3600
    assert this.connections == 1


_EXPECTED: dict[int, type[SendError]] = {
    0: SendOutcomeUnknown,
    1100: SendOutcomeUnknown,
    2001: AccountRefused,
    2004: ContentRefused,
    2008: AccountRefused,
    3000: NotSent,
    4000: NotSent,
    4001: AccountRefused,
    4006: GatewayBusy,
    4007: AccountRefused,
    4008: AccountRefused,
}


@pytest.mark.parametrize("http_status", [200, 500])
@pytest.mark.parametrize("code", [*(code for code in STATUSES if code != 1000), 1200, 2999, 7777])
def test_each_status_code_is_the_error_that_its_row_says(code: int, http_status: int) -> None:
    kind = "SubmitRsp" if code in (1100, 1200) else "RSErrorRsp"
    once = Patience(attempts=1)
    reply = soap_reply(kind, code, details="because", status=http_status)
    with gateway(answers(reply)) as this, pytest.raises(SendError) as caught:
        attempt(this, via="mm7", patience=once)
    expected = _EXPECTED.get(code, SendOutcomeUnknown if code in (1200, 7777) else SendRejected)
    assert type(caught.value) is expected
    assert caught.value.status_code == code
    assert caught.value.raw_reply


def test_a_redirect_is_not_followed_with_the_password() -> None:
    with gateway(succeeds()) as other:
        extra = f"Location: {other.url}/mms/sendmms.php\r\n"
        for status in (301, 302, 303, 307, 308):
            with gateway(answers(http("", status, extra=extra))) as this, pytest.raises(SendOutcomeUnknown):
                attempt(this)
    assert other.connections == 0


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with gateway(succeeds()) as proxy, gateway(succeeds()) as this:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        attempt(this)
    assert (proxy.connections, this.connections) == (0, 1)


@both_ways
def test_a_certificate_that_nobody_vouches_for_ends_it_before_anything_is_sent(wait: bool) -> None:
    with (
        gateway(succeeds(), tls=_certified(trustme.CA())) as this,
        pytest.raises(NotSent, match=r"the certificate of 127\.0\.0\.1:\d+ cannot .*SSL_CERT_FILE") as caught,
    ):
        attempt(this, wait=wait)
    assert type(caught.value) is NotSent
    assert not this.requests


@both_ways
@pytest.mark.parametrize("whose", ["proxy", "gateway"])
def test_behind_a_proxy_it_is_told_whose_certificate_is_not_believed(
    whose: str, wait: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    believed, other = trustme.CA(), trustme.CA()
    believed.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    verified_tls.cache_clear()
    of_gateway, of_proxy = (_certified(other if whose == name else believed) for name in ("gateway", "proxy"))
    try:
        with gateway(succeeds(), tls=of_gateway) as this, gateway(passes_on, tls=of_proxy) as proxy:
            account = Account("ann", PASSWORD, this.url, proxy=proxy.url.replace("//", "//bob:pass-of-bob@"))
            with pytest.raises(NotSent) as caught:
                attempt(this, account=account, wait=wait)
    finally:
        verified_tls.cache_clear()
    address = this.url.partition("//")[2] if whose == "gateway" else "the proxy " + proxy.url.partition("//")[2]
    assert f"the certificate of {address} cannot be trusted" in str(caught.value) and "bob" not in str(caught.value)
    assert type(caught.value) is NotSent and not this.requests


@both_ways
def test_a_proxy_that_is_not_there_is_named_and_not_its_password(wait: bool) -> None:
    account = Account("ann", PASSWORD, "https://gateway.example", proxy="http://bob:pass-of-bob@127.0.0.1:9")
    with (
        pytest.raises(GatewayUnreachable, match=r"to gateway\.example through the proxy 127\.0\.0\.1:9 \(") as caught,
        gateway(succeeds()) as this,
    ):
        attempt(this, account=account, wait=wait, patience=Patience(attempts=1))
    assert "bob" not in str(caught.value)


@both_ways
def test_a_gateway_that_the_system_vouches_for_is_sent_to(
    wait: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    verified_tls.cache_clear()
    try:
        with gateway(succeeds(), tls=_certified(authority)) as this:
            assert attempt(this, wait=wait).message_id == "1234567890123456"
    finally:
        verified_tls.cache_clear()


@pytest.mark.parametrize("way", ["plain", "TLS", "a proxy", "TLS through a proxy", "TLS through a TLS proxy"])
@both_ways
def test_a_big_message_arrives_unharmed_where_it_is_taken_slowly(
    way: str, wait: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The network takes it in pieces, whatever is in between."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    verified_tls.cache_clear()
    big = message(random.Random(way).randbytes(280_000))
    try:
        with gateway(_succeeds_slowly, tls=_certified(authority) if "TLS" in way else None) as this:
            proxied = _certified(authority) if way.endswith("TLS proxy") else None
            with gateway(passes_on, tls=proxied) as proxy:
                account = Account("ann", PASSWORD, this.url, proxy=proxy.url if "proxy" in way else "")
                if wait:
                    receipt = asyncio.run(send_async(big, to=TO, account=account, patience=QUICK))
                else:
                    receipt = send(big, to=TO, account=account, patience=QUICK)
    finally:
        verified_tls.cache_clear()
    (request,) = this.requests
    assert receipt.message_id == "1234567890123456"
    assert base64.b64decode(request.fields["attachment0"]) == big.parts[0].data
    assert proxy.connections == ("proxy" in way)


def _succeeds_slowly(connection: socket.socket, this: Gateway) -> None:
    """Has room for little, and is in no hurry to begin."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    time.sleep(0.2)
    succeeds()(connection, this)


def _certified(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@both_ways
def test_the_proxy_that_is_named_is_used(wait: bool) -> None:
    with gateway(succeeds()) as proxy:
        account = Account("ann", PASSWORD, "http://gateway.example", allow_http=True, proxy=proxy.url)
        attempt(proxy, account=account, wait=wait)
    (request,) = proxy.requests
    assert request.path == "http://gateway.example/mms/sendmms.php" and request.recipient == TO


def _echo(request: Any) -> bytes:
    """A gateway that gives everything back that it was told."""
    told = request.head + request.body.decode("utf-8", "replace")[:2000] + PASSWORD
    return http(f"FAILURE: {told}")


@pytest.mark.parametrize("reply", [_echo, lambda request: http(request.head + PASSWORD, 500)])
@both_doors
def test_no_secret_is_in_an_error_a_repr_a_traceback_or_a_log(
    via: Via, reply: Callable[[Any], bytes], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    account = Account("ann", PASSWORD)
    with gateway(answers(reply)) as this, pytest.raises(SendError) as caught:
        attempt(this, via=via)
    error = caught.value
    told = "".join(traceback.format_exception(error)) + caplog.text + repr(account) + repr(error) + error.raw_reply
    told += repr(pickle.loads(pickle.dumps(error)).args)
    for secret in account.secrets:
        assert secret not in told
    assert "[secret]" in error.raw_reply


@pytest.mark.parametrize("password", ["e", "secret", "[", "x", "a+b&c", "\\1"])
def test_what_stands_for_a_password_is_never_taken_for_one(password: str) -> None:
    request = WireRequest(
        via=Via.HTTP,
        url="https://gateway.invalid",
        recipient="61409317436",
        transaction_id="1",
        headers={},
        pieces=(b"",),
        secrets=Account("ann", password).secrets,
    )
    assert request.blot(f"0{password}0{password}0") == "0[secret]0[secret]0"


def test_nothing_goes_out_for_what_is_refused_before(monkeypatch: pytest.MonkeyPatch) -> None:
    with gateway(succeeds()) as this:
        account = Account("ann", PASSWORD, this.url)
        for options, error in (
            ({"to": "0409317436"}, AddressError),
            ({"to": [TO]}, UsageError),
            ({"to": TO, "via": "fax"}, UsageError),
            ({"to": TO, "sender": "me"}, AddressError),
        ):
            with pytest.raises(error):
                send(message(), account=account, **options)
        with pytest.raises(UsageError, match="nothing to send"):
            send(Message(profile="smsglobal", limit_bytes=300_000, parts=()), to=TO, account=account)
        with pytest.raises(OverBudget, match="not sent"):
            send(message(b"x" * 400_000), to=TO, account=account)
    assert this.connections == 0


def test_the_form_says_where_the_text_stands_and_from_whom() -> None:
    with gateway(succeeds()) as this:
        attempt(this, text_at_end=True, sender="+61 400 000 000")
    fields = this.requests[0].fields
    assert (fields["message_at_start"], fields["from"], fields["message"]) == ("0", "61400000000", "Grüße")
