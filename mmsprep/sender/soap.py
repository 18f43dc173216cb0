"""MM7: ``POST /mms/mm7.php``, a SubmitReq with the message beside it (3GPP TS 23.140).

Comes in: a message and an account, or an answer. Goes out: a request, or a receipt. Never: HTTP itself, or XML
(:mod:`mmsprep.mm7` builds and reads the envelopes).

Pictures, sound and clips go as base64: HTTP could carry them as they are, but relays that handle the body as
lines of text have damaged binary parts. Texts and the presentation stay readable.
"""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from functools import lru_cache

from mmsprep import mm7
from mmsprep.errors import MalformedEnvelope, SendError, SendOutcomeUnknown, SendRejected
from mmsprep.message import Message
from mmsprep.message.message import SMIL_CONTENT_TYPE
from mmsprep.message.mime import Entity, Related, parse_multipart, relate, root_of
from mmsprep.mm7.status import StatusClass, status_of
from mmsprep.sender.account import Account
from mmsprep.sender.address import Origin
from mmsprep.sender.answers import CONTRADICTION, http_refusal, refusal, unknown, unless_contradicted
from mmsprep.sender.options import Report, SubmitOptions
from mmsprep.sender.packing import packing
from mmsprep.sender.wire import Receipt, Via, WireRequest, WireResponse

PATH = "/mms/mm7.php"
_ENVELOPE_ID = "mm7-envelope"
_CONTENT_ID = "mm7-content"
"""No Content-ID may be the beginning of another one; those of the parts begin with a digit, or are
``slides.smil`` and ``text.txt``."""
_XML_TYPES = ("text/xml", "application/xml", "application/soap+xml", "")
_REFUSING_FAULTS = ("Client", "MustUnderstand", "VersionMismatch", "Sender")
_MOST_ID_CHARACTERS = 255
_STATUS_CODE = re.compile(rb"<(?:[^\s<>/]+:)?StatusCode\b")
_NO_OPTIONS = SubmitOptions()
_LONGEST_LINE_BYTES = 998
"""RFC 2045, 2.8: what may be called 8bit."""


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
    """The SubmitReq of a message and its content; ``to`` is an MSISDN, digits alone.

    Raises:
        UsageError: the subject has a character that XML cannot hold.
    """
    envelope = mm7.build_submit(
        mm7.Submit(
            transaction_id=transaction_id,
            to=(to,),
            content_id=_CONTENT_ID,
            vasp_id=account.username,
            sender=sender.digits if sender else "",
            sender_is_short_code=sender is not None and sender.is_short_code,
            earliest=str(options.earliest),
            expiry=str(options.expiry),
            delivery_report=options.asks_for(Report.DELIVERY),
            read_reply=options.asks_for(Report.READ),
            priority=options.priority.capitalize(),
            subject=message.subject,
        )
    )
    root = Entity(
        (
            ("Content-Type", "text/xml; charset=utf-8"),
            ("Content-ID", f"<{_ENVELOPE_ID}>"),
            ("Content-Transfer-Encoding", "8bit"),
        ),
        envelope,
    )
    whole = relate(root, [_content(message, text_at_end)], "text/xml")
    return WireRequest(
        via=Via.MM7,
        url=account.door(PATH),
        recipient=to,
        transaction_id=transaction_id,
        headers={
            **dict(whole.headers),
            "SOAPAction": '""',
            "Authorization": f"Basic {account.basic}",
        },
        pieces=whole.pieces,
        secrets=account.secrets,
        proxy=account.proxy,
    )


def parse_response(response: WireResponse, request: WireRequest) -> Receipt:
    """Read the answer: a SubmitRsp with a success and a MessageID, or what the gateway has against it.

    A relay may answer every error with HTTP status 200 and a Fault, or a Fault with 500 as SOAP wants it.

    Raises:
        SendError: it was not accepted, or nobody knows.
    """
    try:
        return _read(response, request)
    except SendError as error:
        raise unless_contradicted(error, request, response) from None


def _read(response: WireResponse, request: WireRequest) -> Receipt:
    raw = request.raw(response.body)
    try:
        root = _root(response)
        reply = mm7.parse_reply(root.data, root.parameter("charset"))
    except MalformedEnvelope as error:
        if 200 <= response.status < 300:
            raise unknown(request, "the gateway's reply cannot be understood", raw, said=str(error)) from None
        raise http_refusal(request, response) from None
    if reply.status_code is None:
        raise _without_a_code(request, response, reply)
    if reply.transaction_id not in ("", request.transaction_id):
        raise unknown(request, "the gateway's reply belongs to another request", raw, reply.status_code)
    status = status_of(reply.status_code)
    success = status is not None and status.status_class is StatusClass.SUCCESS
    good_http = 200 <= response.status < 300 and not response.before_body
    alone = len(_STATUS_CODE.findall(response.body)) == 1 and not (reply.fault_code or reply.fault_text)
    if success and not (reply.kind == "SubmitRsp" and good_http and alone):
        raise unknown(request, CONTRADICTION, raw, reply.status_code)
    names_a_message = reply.kind == "SubmitRsp" and reply.message_id
    if not success and (names_a_message or 300 <= response.status < 400):
        raise unknown(request, CONTRADICTION, raw, reply.status_code)
    if not success:
        raise refusal(request, response, reply.status_code, reply.status_text, reply.details)
    if not 0 < len(reply.message_id) <= _MOST_ID_CHARACTERS:
        raise unknown(request, "the gateway says success without a message id", raw, reply.status_code)
    return Receipt(
        recipient=request.recipient,
        message_id=reply.message_id,
        transaction_id=request.transaction_id,
        via=Via.MM7,
        status_code=reply.status_code,
        status_text=request.blot(reply.status_text),
        raw_reply=raw,
    )


def _without_a_code(request: WireRequest, response: WireResponse, reply: mm7.Reply) -> SendError:
    """A fault of the client's is a refusal (SOAP 1.1, 4.4.1); a server's says nothing about the message."""
    raw = request.raw(response.body)
    said = ": ".join(filter(None, (reply.fault_code, reply.fault_text, reply.details))) or reply.kind
    if reply.kind == "Fault" and reply.fault_code.partition(".")[0] in _REFUSING_FAULTS:
        problem = f"{request.recipient}: the gateway refused the request: {said}. --via http takes the other door"
        return SendRejected(request.blot(problem), request.transaction_id, None, raw, None, "a SOAP fault")
    if not 200 <= response.status < 300:
        error = http_refusal(request, response)
        if not isinstance(error, SendOutcomeUnknown):
            return error
    return unknown(request, "the gateway's reply has no status code", raw, said=said)


def _root(response: WireResponse) -> Entity:
    whole = Entity((("Content-Type", response.content_type or "text/xml"),), response.body)
    if whole.content_type.startswith("multipart/"):
        return root_of(whole, parse_multipart(whole))
    if whole.content_type not in _XML_TYPES:
        raise MalformedEnvelope(f"is {whole.content_type[:60]}, not XML")
    return whole


def _content(message: Message, text_at_end: bool) -> Related:
    with packing():
        smil, *others = map(_for_transport, message.entities(text_at_end=text_at_end))
    content = relate(smil, others, SMIL_CONTENT_TYPE)
    return replace(content, headers=(*content.headers, ("Content-ID", f"<{_CONTENT_ID}>")))


@lru_cache(maxsize=32)
def _for_transport(entity: Entity) -> Entity:
    """An entity as relays leave it alone; several recipients share most of them."""
    lines_fit = max(map(len, entity.body.split(b"\n"))) < _LONGEST_LINE_BYTES
    readable = lines_fit and (entity.content_type.startswith("text/") or entity.content_type == SMIL_CONTENT_TYPE)
    encoding = "8bit" if readable else "base64"
    headers = tuple(
        (name, encoding if name == "Content-Transfer-Encoding" else value) for name, value in entity.headers
    )
    packed = entity.body if readable else base64.encodebytes(entity.body).replace(b"\n", b"\r\n").removesuffix(b"\r\n")
    return Entity(headers, packed)
