"""What an answer means for the message: accepted, refused, not sent, or unknown. The rules that both doors share.

Comes in: a status code, or an HTTP answer. Goes out: the error that says it. Never: a success; only a door's own
reply with a message id is one.

Once the body has begun to go out, only what is surely the gateway's own word decides. A proxy, a cache or a mesh
writes 429, 502, 503 and 504 by itself, also after the gateway has had the whole message, so they decide nothing.
An answer that somewhere holds a success is never a refusal, whatever else it says.
"""

from __future__ import annotations

import re

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

_ACCOUNT = (AccountRefused, "check the username, the password and the account's permissions")
_CONTENT = (ContentRefused, "it takes no message of this size or type: prepare a smaller one (--refit)")
_NO_SUCH_DOOR = (SendRejected, "is that the address of an MMS gateway? Check --gateway or SMSGLOBAL_URL")
HTTP_REFUSALS: dict[int, tuple[type[SendRejected], str]] = {
    **dict.fromkeys((401, 402, 403), _ACCOUNT),
    **dict.fromkeys((413, 415), _CONTENT),
    **dict.fromkeys((400, 404, 405, 406, 410, 411, 414, 421, 426, 431, 501, 505), _NO_SUCH_DOOR),
}
"""HTTP statuses that by themselves say that the request was not taken: its sender, its size, its type or its address
were refused. Every other one leaves it unknown."""
_BUSY_HTTP = frozenset((429, 503))
_SECOND_HAND_HTTP = frozenset((408, 429))

_SUCCESS_WORD = re.compile(r"(?<![a-z])success")
_ID = re.compile(r"(?<![0-9a-z])[0-9]{16}(?![0-9a-z])")
_SUCCESS_WITH_ID = re.compile(r"(?<![a-z])success\b.{0,40}?\bid\W{0,8}[0-9]{6}", re.DOTALL)
_SUCCESS_CODE = re.compile(r"statuscode>\s*1[0-9]{3}\s*<")


def holds_success(body: bytes) -> bool:
    """Whether an answer says anywhere that a message was accepted: the word with an id, or MM7's code."""
    text = _text(body)
    if _SUCCESS_WITH_ID.search(text) or _SUCCESS_CODE.search(text):
        return True
    return bool(_SUCCESS_WORD.search(text) and _ID.search(text))


def _text(body: bytes) -> str:
    """What to look for words in, whatever its encoding and case."""
    return body.decode("utf-8", "replace").replace("\0", "").lower()


def unless_contradicted(error: SendError, request: WireRequest, response: WireResponse) -> SendError:
    """What a door reads in an answer, or that it is unknown because the answer holds a success as well."""
    if isinstance(error, SendOutcomeUnknown) or not holds_success(response.body):
        return error
    return unknown(request, CONTRADICTION, request.raw(response.body), error.status_code)


CONTRADICTION = "the gateway's reply contradicts itself"


def is_own_word(http_status: int) -> bool:
    """Whether a refusal in words may come under this HTTP status: 2xx, or a 4xx that is the gateway's to give."""
    return 200 <= http_status < 300 or (400 <= http_status < 500 and http_status not in _SECOND_HAND_HTTP)


def refusal(request: WireRequest, response: WireResponse, code: int, text: str = "", details: str = "") -> SendError:
    """The error for a status code that is no success; ``text`` and ``details`` are the gateway's own words."""
    status = status_of(code)
    words = " ".join(filter(None, (str(code), text or (status.text if status else ""))))
    reason = " ".join(filter(None, ("status", str(code), status.text if status else "")))
    said = f"{words}: {details}" if details else words
    raw = request.raw(response.body)
    if status is None or code == _CONNECTION_ERROR or status.status_class in (StatusClass.SUCCESS, StatusClass.PARTIAL):
        return unknown(request, f"the gateway answered with {reason}", raw, code, said)
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
    return kind(problem, request.transaction_id, code, raw, response.retry_after_s, reason)


def http_refusal(request: WireRequest, response: WireResponse) -> SendError:
    """The error for an answer of which the HTTP status alone can be understood; one with an id in it is unknown."""
    status = response.status
    raw = request.raw(response.body)
    reason = f"the gateway answered with HTTP status {status}"
    if status in HTTP_REFUSALS and not _ID.search(_text(response.body)):
        refusing, advice = HTTP_REFUSALS[status]
        problem = f"{request.recipient}: {reason}; {advice}"
        return refusing(problem, request.transaction_id, None, raw, None, reason, status)
    if response.before_body:
        kind = GatewayBusy if status in _BUSY_HTTP else NotSent
        problem = f"{request.recipient}: not sent, {reason} before the message began to go out; send it again later"
        return kind(problem, request.transaction_id, None, raw, response.retry_after_s, reason, status)
    return unknown(request, reason, raw, http_status=status)


def unknown(
    request: WireRequest,
    why: str,
    raw_reply: str = "",
    code: int | None = None,
    said: str = "",
    http_status: int | None = None,
) -> SendOutcomeUnknown:
    """The error for everything that is no clear answer; ``said`` are the gateway's own words about it."""
    problem = (
        f"{request.recipient}: {why}{f' ({said})' if said else ''}; the message may have been accepted, so it is not"
        f" sent again by itself. Ask the recipient or SMSGlobal first (transaction id {request.transaction_id})"
    )
    reason = request.blot(why)
    return SendOutcomeUnknown(request.blot(problem), request.transaction_id, code, raw_reply, None, reason, http_status)
