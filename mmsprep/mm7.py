"""The SOAP envelope of MM7 (3GPP TS 23.140): SubmitReq and its replies, built and read.

Comes in: plain values, or the bytes of an envelope. Goes out: the other. Never: HTTP, MIME (the content
travels beside the envelope, see :mod:`mmsprep.tools.multipart`) or a decision about what a status means.

Read is any namespace of MM7 under any prefix (relays of 2003 and of today differ in little else), written is
the one that was asked for. What is read comes from strangers: no DTD, no entities, no external references.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from xml.etree import ElementTree

from defusedxml import DefusedXmlException
from defusedxml import ElementTree as SafeElementTree

from mmsprep.errors import MalformedEnvelope, UsageError

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
REL_6 = "http://www.3gpp.org/ftp/Specs/archive/23_series/23.140/schema/REL-6-MM7-1-4"
REL_5 = "http://www.3gpp.org/ftp/Specs/archive/23_series/23.140/schema/REL-5-MM7-1-0"
VERSIONS = {REL_6: "6.8.0", REL_5: "5.3.0"}
"""Namespace to the MM7Version that goes with it."""

_MM7_NAMESPACE = re.compile(r"http://www\.3gpp\.org/ftp/Specs/archive/23_series/23\.140/schema/REL-[0-9]-MM7-[0-9-]+")
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot hold, not even escaped."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One element of the schema: how often it may stand, and what may stand in it.

    ``most`` 0 means any number. The children of a ``choice`` come in any order and at least one must stand
    there, those of a sequence come in the order of the rules. ``attributes`` are the required ones.
    """

    name: str
    least: int = 0
    most: int = 1
    children: tuple[Rule, ...] = ()
    choice: bool = False
    attributes: tuple[str, ...] = ()


_ADDRESSES = (Rule("RFC2822Address", most=0), Rule("Number", most=0), Rule("ShortCode", most=0))

SUBMIT_REQ = Rule(
    "SubmitReq",
    least=1,
    children=(
        Rule("MM7Version", least=1),
        Rule(
            "SenderIdentification",
            least=1,
            children=(
                Rule("VASPID"),
                Rule("VASID"),
                Rule(
                    "SenderAddress",
                    children=(Rule("RFC2822Address"), Rule("Number"), Rule("ShortCode")),
                    choice=True,
                ),
            ),
        ),
        Rule(
            "Recipients",
            least=1,
            children=tuple(Rule(name, most=0, children=_ADDRESSES, choice=True) for name in ("To", "Cc", "Bcc")),
            choice=True,
        ),
        Rule("ServiceCode"),
        Rule("LinkedID"),
        Rule("MessageClass"),
        Rule("TimeStamp"),
        Rule("ReplyCharging"),
        Rule("EarliestDeliveryTime"),
        Rule("ExpiryDate"),
        Rule("DeliveryReport"),
        Rule("ReadReply"),
        Rule("Priority"),
        Rule("Subject"),
        Rule("ChargedParty"),
        Rule("ChargedPartyID"),
        Rule("DistributionIndicator"),
        Rule("DeliveryCondition", children=(Rule("DC", least=1, most=0),)),
        Rule("ApplicID"),
        Rule("ReplyApplicID"),
        Rule("AuxApplicInfo"),
        Rule("ContentClass"),
        Rule("DRMContent"),
        Rule("Content", attributes=("href",)),
    ),
)
"""SubmitReq in the schema's order and multiplicity (TS 23.140 annex L, REL-6-MM7-1-4)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Submit:
    """A SubmitReq. ``content_id`` is what the envelope's ``cid:`` names, without angle brackets.

    ``problems`` are the places where a request that was read departs from the schema, in words.
    """

    transaction_id: str
    to: tuple[str, ...]
    content_id: str
    vasp_id: str = ""
    vas_id: str = ""
    sender: str = ""
    subject: str = ""
    namespace: str = REL_6
    version: str = VERSIONS[REL_6]
    allow_adaptations: bool = True
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a relay answered. ``kind`` is SubmitRsp, RSErrorRsp, VASPErrorRsp, or a bare Fault.

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
        _add(_add(identification, "SenderAddress"), "Number", submit.sender)
    recipients = _add(_add(request, "Recipients"), "To")
    for number in submit.to:
        _add(recipients, "Number", number)
    if submit.subject:
        _add(request, "Subject", submit.subject)
    adaptations = "true" if submit.allow_adaptations else "false"
    _add(request, "Content", href=f"cid:{submit.content_id}", allowAdaptations=adaptations)
    return _bytes(envelope)


def parse_submit(data: bytes) -> Submit:
    """Read a SubmitReq; where it departs from the schema stands in ``problems``.

    Raises:
        MalformedEnvelope: it is no XML, no SOAP envelope or no SubmitReq.
    """
    root = _parse(data)
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
        subject=_text_of(request, "Subject"),
        namespace=_namespace(request.tag),
        version=_text_of(request, "MM7Version"),
        allow_adaptations=content is None or content.get("allowAdaptations", "true") in ("true", "1"),
        problems=(*_envelope_problems(root), *problems_of(request, SUBMIT_REQ)),
    )


def build_reply(reply: Reply, namespace: str = REL_6) -> bytes:
    """The envelope of an answer: SubmitRsp in the body, or an error response in the detail of a Fault.

    Raises:
        UsageError: a value has a character that XML cannot hold.
    """
    envelope, body = _envelope(reply.transaction_id, namespace)
    parent = body
    if reply.kind != "SubmitRsp":
        parent = _add(body, "env:Fault")
        _add(parent, "faultcode", f"env:{reply.fault_code or 'Client'}")
        _add(parent, "faultstring", reply.fault_text or reply.status_text)
        if reply.kind == "Fault":
            return _bytes(envelope)
        parent = _add(parent, "detail")
    response = _add(parent, reply.kind, xmlns=namespace)
    _add(response, "MM7Version", VERSIONS.get(namespace, VERSIONS[REL_6]))
    status = _add(response, "Status")
    _add(status, "StatusCode", str(reply.status_code))
    _add(status, "StatusText", reply.status_text)
    if reply.details:
        _add(status, "Details", reply.details)
    if reply.message_id:
        _add(response, "MessageID", reply.message_id)
    return _bytes(envelope)


def parse_reply(data: bytes) -> Reply:
    """Read the answer to a request.

    Raises:
        MalformedEnvelope: it is no XML, no SOAP envelope, or none of the known answers.
    """
    transaction_id, body = _opened(_parse(data))
    fault = _child(body, "Fault")
    holder = body if fault is None else _child(fault, "detail")
    for kind in ("SubmitRsp", "RSErrorRsp", "VASPErrorRsp"):
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
        raise MalformedEnvelope("the SOAP body has neither a SubmitRsp nor a Fault")
    return Reply(
        kind="Fault",
        transaction_id=transaction_id,
        fault_code=_text_of(fault, "faultcode").rpartition(":")[2],
        fault_text=_text_of(fault, "faultstring"),
        details=_all_text(holder),
    )


def problems_of(element: ElementTree.Element, rule: Rule) -> Iterator[str]:
    """Where ``element`` departs from the schema: unknown, missing, repeated or misplaced elements."""
    place = rule.name
    known = {child.name: child for child in rule.children}
    names = [_local(child.tag) for child in element]
    yield from (f"{place}: {name} is not allowed here" for name in dict.fromkeys(names) if name not in known)
    yield from (f"{place}: the attribute {name} is missing" for name in rule.attributes if element.get(name) is None)
    for name, child in known.items():
        count = names.count(name)
        if count < child.least:
            yield f"{place}: {name} is missing"
        elif child.most and count > child.most:
            yield f"{place}: {name} stands {count} times, at most {child.most} allowed"
    yield from _misplaced(place, [name for name in names if name in known], rule)
    for child_element, name in zip(element, names, strict=True):
        if name in known:
            if _namespace(child_element.tag) != _namespace(element.tag):
                yield f"{place}: {name} is in another namespace"
            yield from problems_of(child_element, known[name])


def _misplaced(place: str, names: Sequence[str], rule: Rule) -> Iterator[str]:
    order = [child.name for child in rule.children]
    if rule.choice:
        if not names:
            yield f"{place}: one of {', '.join(order)} is missing"
        return
    for before, after in pairwise(names):
        if order.index(before) > order.index(after):
            yield f"{place}: {after} must stand before {before}"


def _envelope_problems(root: ElementTree.Element) -> Iterator[str]:
    if _namespace(root.tag) != SOAP:
        yield "Envelope: is not in the namespace of SOAP 1.1"
    for element in _children(_child(root, "Body")):
        if not _MM7_NAMESPACE.fullmatch(_namespace(element.tag)):
            yield f"Body: {_local(element.tag)} is not in a namespace of MM7"
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
        if bad := _FORBIDDEN.search(value):
            raise UsageError(f"{name}: has the character U+{ord(bad[0]):04X}, which XML cannot hold; remove it")
    element = ElementTree.SubElement(parent, name, attributes)
    element.text = text or None
    return element


def _bytes(envelope: ElementTree.Element) -> bytes:
    return bytes(ElementTree.tostring(envelope, encoding="utf-8", xml_declaration=True))


def _parse(data: bytes) -> ElementTree.Element:
    try:
        root: ElementTree.Element = SafeElementTree.fromstring(data.strip(), forbid_dtd=True)
    except (ElementTree.ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise MalformedEnvelope(f"is no well-formed XML ({error or type(error).__name__})") from None
    return root


def _opened(root: ElementTree.Element) -> tuple[str, ElementTree.Element]:
    """The transaction id (empty where there is none) and the body of an envelope."""
    body = _child(root, "Body")
    if _local(root.tag) != "Envelope" or body is None:
        raise MalformedEnvelope(f"is no SOAP envelope with a body, but <{_local(root.tag)}>")
    return _text_of(_child(root, "Header"), "TransactionID"), body


def _children(element: ElementTree.Element | None) -> Sequence[ElementTree.Element]:
    return () if element is None else list(element)


def _child(element: ElementTree.Element | None, name: str) -> ElementTree.Element | None:
    return next((child for child in _children(element) if _local(child.tag) == name), None)


def _text_of(element: ElementTree.Element | None, name: str) -> str:
    child = _child(element, name)
    return "" if child is None else _text(child)


def _text(element: ElementTree.Element) -> str:
    return (element.text or "").strip()


def _all_text(element: ElementTree.Element | None) -> str:
    return "" if element is None else " ".join(" ".join(element.itertext()).split())


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


def _namespace(tag: str) -> str:
    return tag[1:].partition("}")[0] if tag.startswith("{") else ""
