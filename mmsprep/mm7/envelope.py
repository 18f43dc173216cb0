"""The SOAP envelopes of MM7 (3GPP TS 23.140): SubmitReq, what a relay pushes, and the replies to both.

Comes in: plain values, or the bytes of an envelope. Goes out: the other. Never: HTTP, MIME (the content
travels beside the envelope, see :mod:`mmsprep.message.mime`) or a decision about what a status means.

Read is any namespace of MM7 under any prefix (relays of 2003 and of today differ in little else), written is
the one that was asked for. What is read comes from strangers: no DTD, no entities, no external references, and no more
elements, depth and bytes than an envelope has, counted before they are built.
A relay's pushes and answers are read leniently, because what is refused is lost, and whoever cannot read an answer does
not know whether the message is on its way; requests are not, because there a wrong guess costs more than an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

from mmsprep.errors import MalformedEnvelope, UsageError
from mmsprep.mm7.schema import PUSH_RULES, SUBMIT_REQ, local_name, misfits_of, namespace_of, problems_of
from mmsprep.mm7.xml import FORBIDDEN, MOST_ENVELOPE_BYTES, decoded, parse_xml, read_xml

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
REL_6 = "http://www.3gpp.org/ftp/Specs/archive/23_series/23.140/schema/REL-6-MM7-1-4"
REL_5 = "http://www.3gpp.org/ftp/Specs/archive/23_series/23.140/schema/REL-5-MM7-1-0"
VERSIONS = {REL_6: "6.8.0", REL_5: "5.3.0"}
"""Namespace to the MM7Version that goes with it."""

_MM7_NAMESPACE = re.compile(r"http://www\.3gpp\.org/ftp/Specs/archive/23_series/23\.140/schema/REL-[0-9]-MM7-[0-9-]+")
_VERSION = re.compile(r"[0-9]{1,2}\.[0-9]{1,2}\.[0-9]{1,2}")
PUSH_REPLIES = {name: name.removesuffix("Req") + "Rsp" for name in PUSH_RULES}
"""What each push is answered with."""
_TRUE = ("true", "1")
_ANSWERS = ("SubmitRsp", *PUSH_REPLIES.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Submit:
    """A SubmitReq. ``content_id`` is what the envelope's ``cid:`` names, without angle brackets.

    ``earliest`` and ``expiry`` are dates or durations of XML Schema, ``message_class`` and ``priority`` words of MM7's.
    ``problems`` are the places where a request that was read departs from the schema, ``misfits`` the values
    that are not in the format of their element, in words.
    """

    transaction_id: str
    to: tuple[str, ...]
    content_id: str
    vasp_id: str = ""
    vas_id: str = ""
    sender: str = ""
    sender_is_short_code: bool = False
    subject: str = ""
    message_class: str = ""
    earliest: str = ""
    expiry: str = ""
    delivery_report: bool = False
    read_reply: bool = False
    priority: str = ""
    namespace: str = REL_6
    version: str = VERSIONS[REL_6]
    allow_adaptations: bool = True
    problems: tuple[str, ...] = ()
    misfits: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Push:
    """What a relay pushes to its customer: ``kind`` is DeliverReq, DeliveryReportReq or ReadReplyReq.

    ``linked_id`` is a delivered message's own id, ``message_id`` the id of the sent message that a report is
    about. ``timestamp`` is as the relay wrote it. ``problems`` are departures from the schema, in words.
    """

    kind: str
    transaction_id: str
    sender: str
    recipients: tuple[str, ...] = ()
    linked_id: str = ""
    message_id: str = ""
    timestamp: str = ""
    subject: str = ""
    status: str = ""
    status_text: str = ""
    content_id: str = ""
    namespace: str = REL_6
    version: str = VERSIONS[REL_6]
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer. ``kind`` is SubmitRsp or another Rsp, RSErrorRsp, VASPErrorRsp, or a bare Fault.

    ``status_code`` is ``None`` where the answer has none; ``fault_code`` is the SOAP fault's, without prefix.
    """

    kind: str
    transaction_id: str = ""
    status_code: int | None = None
    status_text: str = ""
    details: str = ""
    message_id: str = ""
    fault_code: str = ""
    fault_text: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the answer to a request has to repeat; empty where it is not known."""

    transaction_id: str = ""
    namespace: str = ""
    version: str = ""


def build_submit(submit: Submit) -> bytes:
    """The envelope of a SubmitReq, UTF-8 with an XML declaration.

    Raises:
        UsageError: a value has a character that XML cannot hold.
    """
    envelope, body = _envelope(submit.transaction_id, submit.namespace)
    request = _add(body, "SubmitReq", xmlns=submit.namespace)
    _add(request, "MM7Version", submit.version)
    identification = _add(request, "SenderIdentification")
    for name, value in (("VASPID", submit.vasp_id), ("VASID", submit.vas_id)):
        if value:
            _add(identification, name, value)
    if submit.sender:
        kind = "ShortCode" if submit.sender_is_short_code else "Number"
        _add(_add(identification, "SenderAddress"), kind, submit.sender)
    recipients = _add(_add(request, "Recipients"), "To")
    for number in submit.to:
        _add(recipients, "Number", number)
    _add_all(
        request,
        {
            "MessageClass": submit.message_class,
            "EarliestDeliveryTime": submit.earliest,
            "ExpiryDate": submit.expiry,
            "DeliveryReport": "true" if submit.delivery_report else "",
            "ReadReply": "true" if submit.read_reply else "",
            "Priority": submit.priority,
            "Subject": submit.subject,
        },
    )
    adaptations = "true" if submit.allow_adaptations else "false"
    _add(request, "Content", href=f"cid:{submit.content_id}", allowAdaptations=adaptations)
    return _bytes(envelope)


def request_kind(data: bytes) -> tuple[str, str]:
    """The element in the body of any request, e.g. ``SubmitReq`` or ``CancelReq``, and the transaction id.

    Raises:
        MalformedEnvelope: it is no XML or no SOAP envelope, or its body is empty.
    """
    transaction_id, body = _opened(parse_xml(data))
    for element in _children(body):
        return local_name(element.tag), transaction_id
    raise MalformedEnvelope("the SOAP body is empty")


def parse_submit(data: bytes) -> Submit:
    """Read a SubmitReq; where it departs from the schema stands in ``problems``.

    Raises:
        MalformedEnvelope: it is no XML, no SOAP envelope or no SubmitReq.
    """
    root = parse_xml(data)
    transaction_id, body = _opened(root)
    request = _child(body, "SubmitReq")
    if request is None:
        raise MalformedEnvelope("the SOAP body has no SubmitReq")
    numbers = [_text(address) for group in _children(_child(request, "Recipients")) for address in _children(group)]
    identification = _child(request, "SenderIdentification")
    content = _child(request, "Content")
    href = content.get("href", "") if content is not None else ""
    return Submit(
        transaction_id=transaction_id,
        to=tuple(numbers),
        content_id=href.removeprefix("cid:"),
        vasp_id=_text_of(identification, "VASPID"),
        vas_id=_text_of(identification, "VASID"),
        sender="".join(_text(address) for address in _children(_child(identification, "SenderAddress"))),
        sender_is_short_code=_child(_child(identification, "SenderAddress"), "ShortCode") is not None,
        subject=_text_of(request, "Subject"),
        message_class=_text_of(request, "MessageClass"),
        earliest=_text_of(request, "EarliestDeliveryTime"),
        expiry=_text_of(request, "ExpiryDate"),
        delivery_report=_text_of(request, "DeliveryReport") in _TRUE,
        read_reply=_text_of(request, "ReadReply") in _TRUE,
        priority=_text_of(request, "Priority"),
        namespace=namespace_of(request.tag),
        version=_text_of(request, "MM7Version"),
        allow_adaptations=content is None or content.get("allowAdaptations", "true") in _TRUE,
        problems=(*_envelope_problems(root), *problems_of(request, SUBMIT_REQ)),
        misfits=tuple(misfits_of(request, SUBMIT_REQ)),
    )


def build_push(push: Push) -> bytes:
    """The envelope of a push, UTF-8 with an XML declaration; what is empty and may be left out is left out.

    Raises:
        UsageError: a value has a character that XML cannot hold.
    """
    envelope, body = _envelope(push.transaction_id, push.namespace)
    request = _add(body, push.kind, xmlns=push.namespace)
    _add(request, "MM7Version", push.version)
    is_message = push.kind == "DeliverReq"
    if is_message:
        _add_all(request, {"LinkedID": push.linked_id})
        _add(_add(request, "Sender"), "Number", push.sender)
        if push.recipients:
            recipients = _add(_add(request, "Recipients"), "To")
            for number in push.recipients:
                _add(recipients, "Number", number)
        _add_all(request, {"TimeStamp": push.timestamp, "Subject": push.subject})
        if push.content_id:
            _add(request, "Content", href=f"cid:{push.content_id}")
        return _bytes(envelope)
    _add(request, "MessageID", push.message_id)
    _add(_add(request, "Recipient"), "Number", push.recipients[0])
    _add(_add(request, "Sender"), "Number", push.sender)
    _add(request, "Date" if push.kind == "DeliveryReportReq" else "TimeStamp", push.timestamp)
    _add(request, "MMStatus", push.status)
    _add_all(request, {"StatusText": push.status_text})
    return _bytes(envelope)


def parse_push(data: bytes, charset: str = "") -> Push:
    """Read what a relay pushes, mending what relays are known to get wrong.

    Args:
        charset: what the Content-Type says; used where the envelope is not UTF-8 and does not say what it is.

    Raises:
        MalformedEnvelope: even mended it is no XML, no SOAP envelope or none of the known pushes.
    """
    root = read_xml(data, charset)
    transaction_id, body = _opened(root)
    request = next((child for child in _children(body) if local_name(child.tag) in PUSH_RULES), None)
    if request is None:
        raise MalformedEnvelope(f"the SOAP body has none of {', '.join(PUSH_RULES)}")
    kind = local_name(request.tag)
    groups = [_child(request, "Recipient"), *_children(_child(request, "Recipients"))]
    content = _child(request, "Content")
    return Push(
        kind=kind,
        transaction_id=transaction_id,
        sender=next(iter(_addresses(_child(request, "Sender"))), ""),
        recipients=tuple(address for group in groups for address in _addresses(group)),
        linked_id=_text_of(request, "LinkedID"),
        message_id=_text_of(request, "MessageID"),
        timestamp=_text_of(request, "TimeStamp") or _text_of(request, "Date"),
        subject=_text_of(request, "Subject"),
        status=_text_of(request, "MMStatus"),
        status_text=_text_of(request, "StatusText"),
        content_id=(content.get("href", "") if content is not None else "").removeprefix("cid:"),
        namespace=namespace_of(request.tag),
        version=_text_of(request, "MM7Version"),
        problems=(*_envelope_problems(root), *problems_of(request, PUSH_RULES[kind])),
    )


def asked_in(data: bytes) -> Asked:
    """What the answer to a request has to repeat, found in a request that cannot be read."""
    text = decoded(data[:MOST_ENVELOPE_BYTES])
    namespace = _MM7_NAMESPACE.search(text)
    transaction = re.search(r"TransactionID(?:\s[^<>]{0,300})?>\s{0,80}([^<>&\s]{1,255})\s{0,80}</", text)
    version = re.search(r"MM7Version>\s{0,80}([0-9.]{1,8})\s{0,80}</", text)
    return Asked(
        *(("" if found is None else found[group]) for found, group in ((transaction, 1), (namespace, 0), (version, 1)))
    )


def build_reply(reply: Reply, namespace: str = REL_6, version: str = "") -> bytes:
    """The envelope of an answer: a Rsp in the body, or an error response in the detail of a Fault.

    A namespace that is none of MM7's is not echoed. ``version`` is the request's MM7Version; one that is no version,
    or none, is answered with that of the namespace.

    Raises:
        UsageError: a value has a character that XML cannot hold.
    """
    if not _MM7_NAMESPACE.fullmatch(namespace):
        namespace = REL_6
    if not _VERSION.fullmatch(version):
        version = VERSIONS.get(namespace, VERSIONS[REL_6])
    envelope, body = _envelope(reply.transaction_id, namespace)
    parent = body
    if reply.kind not in _ANSWERS:
        parent = _add(body, "env:Fault")
        _add(parent, "faultcode", f"env:{reply.fault_code or 'Client'}")
        _add(parent, "faultstring", reply.fault_text or reply.status_text)
        if reply.kind == "Fault":
            return _bytes(envelope)
        parent = _add(parent, "detail")
    response = _add(parent, reply.kind, xmlns=namespace)
    _add(response, "MM7Version", version)
    status = _add(response, "Status")
    _add(status, "StatusCode", str(reply.status_code))
    _add(status, "StatusText", reply.status_text)
    if reply.details:
        _add(status, "Details", reply.details)
    if reply.message_id:
        _add(response, "MessageID", reply.message_id)
    return _bytes(envelope)


def parse_reply(data: bytes, charset: str = "") -> Reply:
    """Read the answer to a request, mending what relays are known to get wrong.

    Args:
        charset: what the Content-Type says; used where the envelope is not UTF-8 and does not say what it is.

    Raises:
        MalformedEnvelope: even mended it is no XML, no SOAP envelope, or none of the known answers.
    """
    transaction_id, body = _opened(read_xml(data, charset))
    fault = _child(body, "Fault")
    holder = body if fault is None else _child(fault, "detail")
    for kind in (*_ANSWERS, "RSErrorRsp", "VASPErrorRsp"):
        response = _child(holder, kind)
        if response is None:
            continue
        status = _child(response, "Status")
        code = _text_of(status, "StatusCode")
        return Reply(
            kind=kind,
            transaction_id=transaction_id,
            status_code=int(code) if re.fullmatch("[0-9]{1,5}", code, re.ASCII) else None,
            status_text=_text_of(status, "StatusText"),
            details=_all_text(_child(status, "Details")),
            message_id=_text_of(response, "MessageID"),
            fault_code=_text_of(fault, "faultcode").rpartition(":")[2],
            fault_text=_text_of(fault, "faultstring"),
        )
    if fault is None:
        raise MalformedEnvelope("the SOAP body has neither a SubmitRsp (or another known answer) nor a Fault")
    return Reply(
        kind="Fault",
        transaction_id=transaction_id,
        fault_code=_text_of(fault, "faultcode").rpartition(":")[2],
        fault_text=_text_of(fault, "faultstring"),
        details=_all_text(holder),
    )


def _envelope_problems(root: ElementTree.Element) -> Iterator[str]:
    if namespace_of(root.tag) != SOAP:
        yield "Envelope: is not in the namespace of SOAP 1.1"
    for element in _children(_child(root, "Body")):
        if not _MM7_NAMESPACE.fullmatch(namespace_of(element.tag)):
            yield f"Body: {local_name(element.tag)} is not in a namespace of MM7"
    transaction = _child(_child(root, "Header"), "TransactionID")
    if transaction is None or not _text(transaction):
        yield "Header: TransactionID is missing"
    elif transaction.get(f"{{{SOAP}}}mustUnderstand") != "1":
        yield 'Header: TransactionID needs mustUnderstand="1"'
    if len(_children(_child(root, "Body"))) != 1:
        yield "Body: exactly one element is expected"


def _envelope(transaction_id: str, namespace: str) -> tuple[ElementTree.Element, ElementTree.Element]:
    """An envelope with its header, and its empty body."""
    envelope = ElementTree.Element("env:Envelope", {"xmlns:env": SOAP})
    attributes = {"xmlns": namespace, "env:mustUnderstand": "1"}
    _add(_add(envelope, "env:Header"), "TransactionID", transaction_id, **attributes)
    return envelope, _add(envelope, "env:Body")


def _add(parent: ElementTree.Element, name: str, text: str = "", **attributes: str) -> ElementTree.Element:
    for value in (text, *attributes.values()):
        if bad := FORBIDDEN.search(value):
            raise UsageError(f"{name}: has the character U+{ord(bad[0]):04X}, which XML cannot hold; remove it")
    element = ElementTree.SubElement(parent, name, attributes)
    element.text = text or None
    return element


def _add_all(parent: ElementTree.Element, values: dict[str, str]) -> None:
    for name, value in values.items():
        if value:
            _add(parent, name, value)


def _bytes(envelope: ElementTree.Element) -> bytes:
    return bytes(ElementTree.tostring(envelope, encoding="utf-8", xml_declaration=True))


def _opened(root: ElementTree.Element) -> tuple[str, ElementTree.Element]:
    """The transaction id (empty where there is none) and the body of an envelope."""
    body = _child(root, "Body")
    if local_name(root.tag) != "Envelope" or body is None:
        raise MalformedEnvelope(f"is no SOAP envelope with a body, but <{local_name(root.tag)}>")
    return _text_of(_child(root, "Header"), "TransactionID"), body


def _children(element: ElementTree.Element | None) -> Sequence[ElementTree.Element]:
    return () if element is None else list(element)


def _child(element: ElementTree.Element | None, name: str) -> ElementTree.Element | None:
    return next((child for child in _children(element) if local_name(child.tag) == name), None)


def _text_of(element: ElementTree.Element | None, name: str) -> str:
    child = _child(element, name)
    return "" if child is None else _text(child)


def _text(element: ElementTree.Element) -> str:
    return (element.text or "").strip()


def _all_text(element: ElementTree.Element | None) -> str:
    return "" if element is None else " ".join(" ".join(element.itertext()).split())


def _addresses(element: ElementTree.Element | None) -> list[str]:
    """Each address in ``element``, at whatever depth; some relays leave the address' element out or wrap it twice."""
    leaves = [] if element is None else [one for one in element.iter() if not len(one)]
    return [address for address in map(_text, leaves) if address]
