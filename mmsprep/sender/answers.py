"""What an answer means for the message: accepted, refused, not sent, or unknown. The rules that both doors share.

Comes in: a status code, or an HTTP answer. Goes out: the error that says it. Never: a success; only a door's own
reply with a message id is one.
"""

from __future__ import annotations

from mmsprep.errors import (
    AccountRefused,
    ContentRefused,
    GatewayBusy,
    NotSent,
    SendError,
    SendOutcomeUnknown,
    SendRejected,
)
from mmsprep.mm7.status import Advice, StatusClass, status_of
from mmsprep.sender.wire import WireRequest, WireResponse

CONTENT_CODES = frozenset((2004,))
ACCOUNT_CODES = frozenset((2001, 2008, 4001, 4007, 4008))
_CONNECTION_ERROR = 0

_ACCOUNT_HTTP = frozenset((401, 402, 403))
_CONTENT_HTTP = frozenset((413, 415))
_NO_SUCH_DOOR_HTTP = frozenset((400, 404, 405, 406, 410, 411, 414, 421, 426, 431, 501, 505))
"""The server did not understand the request or has no such address: nothing can have been accepted."""
BUSY_HTTP = frozenset((429, 503))


def refusal(request: WireRequest, response: WireResponse, code: int, text: str = "", details: str = "") -> SendError:
    """The error for a status code that is no success; ``text`` and ``details`` are the gateway's own words."""
    status = status_of(code)
    words = " ".join(filter(None, (str(code), text or (status.text if status else ""))))
    said = f"{words}: {details}" if details else words
    raw = request.raw(response.body)
    if status is None or code == _CONNECTION_ERROR or status.status_class in (StatusClass.SUCCESS, StatusClass.PARTIAL):
        return unknown(request, f"the gateway answered {said}", raw, code)
    kind: type[SendError] = SendRejected
    if code in CONTENT_CODES:
        kind = ContentRefused
    elif code in ACCOUNT_CODES:
        kind = AccountRefused
    elif status.repeated:
        kind = GatewayBusy
    elif status.advice is Advice.RESEND:
        kind = NotSent
    problem = request.blot(f"{request.recipient}: the gateway refused the message: {said}. {status.next_step}")
    return kind(problem, request.transaction_id, code, raw, response.retry_after_s)


def http_refusal(request: WireRequest, response: WireResponse) -> SendError:
    """The error for an HTTP status that says by itself what became of the request."""
    status = response.status
    raw = request.raw(response.body)
    found = f"{request.recipient}: the gateway answered with HTTP status {status}"
    kind, advice = _meaning_of(status)
    if kind is SendOutcomeUnknown:
        return unknown(request, f"the gateway answered with HTTP status {status}", raw)
    return kind(f"{found}; {advice}", request.transaction_id, None, raw, response.retry_after_s)


def _meaning_of(status: int) -> tuple[type[SendError], str]:
    if status in _ACCOUNT_HTTP:
        return AccountRefused, "check the username, the password and the account's permissions"
    if status in _CONTENT_HTTP:
        return ContentRefused, "it takes no message of this size or type: prepare a smaller one (--refit)"
    if status in _NO_SUCH_DOOR_HTTP:
        return SendRejected, "is that the address of an MMS gateway? Check --gateway or SMSGLOBAL_URL"
    if status in BUSY_HTTP:
        return GatewayBusy, "it is busy: send it again later"
    return SendOutcomeUnknown, ""


def unknown(request: WireRequest, why: str, raw_reply: str = "", code: int | None = None) -> SendOutcomeUnknown:
    """The error for everything that is no clear answer."""
    problem = (
        f"{request.recipient}: {why}; the message may have been accepted, so it is not sent again by itself."
        f" Ask the recipient or SMSGlobal first (transaction id {request.transaction_id})"
    )
    return SendOutcomeUnknown(request.blot(problem), request.transaction_id, code, raw_reply)
