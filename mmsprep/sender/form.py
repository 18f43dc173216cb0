"""The HTTP form: ``POST /mms/sendmms.php``, as SMSGlobal's document describes it.

Comes in: a message and an account, or an answer. Goes out: a request, or a receipt. Never: HTTP itself. What the
form cannot express is refused, not dropped.
"""

from __future__ import annotations

import base64
import re
from functools import lru_cache
from urllib.parse import urlencode

from mmsprep.errors import (
    AccountRefused,
    ContentRefused,
    SendError,
    SendRejected,
    TooManyAttachments,
    UsageError,
)
from mmsprep.message import Message
from mmsprep.mm7.status import STATUSES, StatusClass
from mmsprep.model import Kind, Part
from mmsprep.sender.account import Account
from mmsprep.sender.address import Origin
from mmsprep.sender.answers import CONTRADICTION, http_refusal, is_own_word, refusal, unknown, unless_contradicted
from mmsprep.sender.options import SubmitOptions
from mmsprep.sender.packing import packing
from mmsprep.sender.wire import Receipt, Via, WireRequest, WireResponse, is_message_id

PATH = "/mms/sendmms.php"
MAX_ATTACHMENTS = 15
"""The document: "0 <= X < 15"."""

_SUCCESS = re.compile(
    r"success\b[\s.:;,|=-]*(?:success\b[\s.:;,|-]*)?"
    r"(?:(?:message|msg)[\s_-]*)?id\s*[=:]?\s*[{(\[\"']{0,2}\s*(?P<id>[0-9]{16})(?![0-9A-Za-z])",
    re.IGNORECASE,
)
"""``Success. ID = {Message_id}``, the id "a unique 16-digit integer", in the spellings that a script may print."""
_FAILURE = re.compile(r"failure\b[\s.:;,|=-]*(?P<text>.*)", re.IGNORECASE | re.DOTALL)
_BOTH = re.compile(r"\b(?:failure|failed|error)\b", re.IGNORECASE)
_CONTENT_WORDS = re.compile(
    r"too (?:large|big|long)|[0-9] ?kb\b|bytes\b|\bsize\b|attachment|multimedia"
    r"|(?:content|media|mime|file|image|audio|video)[ _-]?(?:type|format)|unsupported (?:content|media|type|file)",
    re.IGNORECASE,
)
_ACCOUNT_WORDS = re.compile(
    r"password|username|credential|log ?in\b|authenti|authori[sz]|permission|\bfunds?\b|\bcredits?\b|balance",
    re.IGNORECASE,
)
_CODE = re.compile(r"(?<![0-9])[0-9]{4}(?![0-9])")
_SHOWN_CHARACTERS = 300
_NO_OPTIONS = SubmitOptions()


def build_request(
    message: Message,
    *,
    to: str,
    account: Account,
    transaction_id: str,
    sender: Origin | None = None,
    text_at_end: bool = False,
    options: SubmitOptions = _NO_OPTIONS,
) -> WireRequest:
    """The form of a message; ``to`` is an MSISDN, digits alone.

    Raises:
        UsageError: the form cannot say what ``options`` ask for, or who it is from.
        TooManyAttachments: the form has room for fifteen.
        UsageError: a part is shown in more places than the limit can pay for.
    """
    check_says(sender, options)
    parts = _in_places(message)
    if len(parts) > MAX_ATTACHMENTS:
        raise TooManyAttachments(
            f"{len(parts)} attachments, the gateway's form takes {MAX_ATTACHMENTS}; send several messages"
        )
    fields = {"number": to}
    if sender is not None:
        fields["from"] = sender.digits
    if message.subject:
        fields["subject"] = message.subject
    if message.text:
        fields["message"] = message.text
        fields["message_at_start"] = "0" if text_at_end else "1"
    if max_dimension_px := _max_dimension_px(message):
        fields["max_dimension"] = str(max_dimension_px)
    with packing():
        attached = _attached(tuple((part.data, part.content_type, part.name) for part in parts))
    return WireRequest(
        via=Via.HTTP,
        url=account.door(PATH),
        recipient=to,
        transaction_id=transaction_id,
        headers={"Content-Type": "application/x-www-form-urlencoded"},
        pieces=(_opening(account.username, account.password) + urlencode(fields).encode("ascii"), attached),
        secrets=account.secrets,
        proxy=account.proxy,
    )


def check_says(sender: Origin | None, options: SubmitOptions) -> None:
    """See whether the form can say it.

    Raises:
        UsageError: it has no field for it.
    """
    if options.named:
        raise UsageError(
            f"{', '.join(options.named)}: the HTTP form has no field for it; --via mm7 has."
            " Notices of delivery come to the address that SMSGlobal has of you, asked for or not"
        )
    if sender is not None and sender.is_short_code:
        raise UsageError(f"from {sender.digits}: the HTTP form takes a whole number; a short code goes by --via mm7")


def parse_response(response: WireResponse, request: WireRequest) -> Receipt:
    """Read the answer: a success only with an id, a failure with its text, anything else is unknown.

    Raises:
        SendError: it was not accepted, or nobody knows.
    """
    try:
        return _read(response, request)
    except SendError as error:
        raise unless_contradicted(error, request, response) from None


def _read(response: WireResponse, request: WireRequest) -> Receipt:
    text = response.body.decode("utf-8", "replace").strip(" \t\r\n\ufeff")
    if (failure := _FAILURE.match(text)) and is_own_word(response.status):
        raise _failure(request, response, failure["text"].strip())
    if not 200 <= response.status < 300:
        raise http_refusal(request, response)
    success = _SUCCESS.match(text)
    if success is None or not is_message_id(success["id"]):
        what = "an empty reply" if not text else "a reply that is neither a success with an id nor a failure"
        raise unknown(request, f"the gateway sent {what}", request.raw(response.body))
    if response.before_body or _BOTH.search(text):
        raise unknown(request, CONTRADICTION, request.raw(response.body))
    return Receipt(
        recipient=request.recipient,
        message_id=success["id"],
        transaction_id=request.transaction_id,
        via=Via.HTTP,
        raw_reply=request.raw(response.body),
    )


def _failure(request: WireRequest, response: WireResponse, text: str) -> SendError:
    """A ``FAILURE``: what its words say about content or account, otherwise a status code in it."""
    shown = text[:_SHOWN_CHARACTERS]
    kind: type[SendRejected] | None = None
    advice = "Check the number and the message"
    if _CONTENT_WORDS.search(shown):
        kind, advice = ContentRefused, "Prepare a smaller or plainer message: --refit does it"
    elif _ACCOUNT_WORDS.search(shown):
        kind, advice = AccountRefused, "Check the username, the password and the account's permissions and funds"
    codes = (int(code) for code in _CODE.findall(shown))
    errors = [
        code
        for code in codes
        if code in STATUSES and STATUSES[code].status_class not in (StatusClass.SUCCESS, StatusClass.PARTIAL)
    ]
    if kind is None and errors:
        return refusal(request, response, errors[0], details=shown)
    said = f"FAILURE: {shown}" if shown else "FAILURE, without a reason"
    problem = request.blot(f"{request.recipient}: the gateway refused the message: {said}. {advice}")
    raw = request.raw(response.body)
    return (kind or SendRejected)(problem, request.transaction_id, None, raw, None, "the gateway answered FAILURE")


@lru_cache(maxsize=4)
def _opening(username: str, password: str) -> bytes:
    """The fields of the account, with which every form of its begins."""
    return urlencode({"username": username, "password": password}).encode("ascii") + b"&"


@lru_cache(maxsize=4)
def _attached(parts: tuple[tuple[bytes, str, str], ...]) -> bytes:
    """The fields of the attachments, which several recipients share."""
    pieces = []
    for place, (data, content_type, name) in enumerate(parts):
        packed = base64.b64encode(data).replace(b"+", b"%2B").replace(b"/", b"%2F").replace(b"=", b"%3D")
        said = urlencode({f"type{place}": content_type, f"name{place}": name}).encode("ascii")
        pieces.append(b"&attachment%d=%b&%b" % (place, packed, said))
    return b"".join(pieces)


def _in_places(message: Message) -> list[Part]:
    """The parts as they are shown; the form knows no sharing, so a shared part goes as often as it is shown."""
    places = [(shown_at, part) for index, part in enumerate(message.parts) for shown_at in part.shown_at or (index,)]
    parts = [part for _, part in sorted(places, key=lambda place: place[0])]
    extra_bytes = sum(part.size_bytes for part in parts) - sum(part.size_bytes for part in message.parts)
    if extra_bytes and message.total_bytes + extra_bytes > message.limit_bytes:
        raise UsageError(
            "slides share a part, which the HTTP form cannot say, and sending it twice would exceed the limit;"
            " use the other door (--via mm7)"
        )
    return parts


def _max_dimension_px(message: Message) -> int:
    """The longest side that a picture may have: the profile's, or more where a tall picture has more."""
    sides = [max(part.width_px or 0, part.height_px or 0) for part in message.parts if part.kind is Kind.IMAGE]
    return max((message.picture_limit_px, *sides)) if sides else 0
