"""What the schema of MM7 (TS 23.140 annex L) allows, as data, and where an envelope departs from it.

Comes in: parsed elements. Goes out: departures in words. Never: a refusal; what to do about a departure is
the reader's business.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from xml.etree import ElementTree


@dataclass(frozen=True, slots=True)
class Rule:
    """One element of the schema: how often it may stand, and what may stand in it.

    ``most`` 0 means any number. The children of a ``choice`` come in any order and at least one must stand
    there, those of a sequence come in the order of the rules. ``attributes`` are the required ones,
    ``pattern`` is what the whole text must match (empty: anything).
    """

    name: str
    least: int = 0
    most: int = 1
    children: tuple[Rule, ...] = ()
    choice: bool = False
    attributes: tuple[str, ...] = ()
    pattern: str = ""


_BOOLEAN = "true|false|1|0"
_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})?"
_DATE_OR_DURATION = _DATE + r"|-?P(?=[0-9T])([0-9]+Y)?([0-9]+M)?([0-9]+D)?(T(?=[0-9])([0-9]+H)?([0-9]+M)?([0-9.]+S)?)?"
_CONTENT_CLASS = "text|image-basic|image-rich|video-basic|video-rich|megapixel|content-basic|content-rich"

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
        Rule("MessageClass", pattern="Personal|Advertisement|Informational|Auto"),
        Rule("TimeStamp", pattern=_DATE),
        Rule("ReplyCharging"),
        Rule("EarliestDeliveryTime", pattern=_DATE_OR_DURATION),
        Rule("ExpiryDate", pattern=_DATE_OR_DURATION),
        Rule("DeliveryReport", pattern=_BOOLEAN),
        Rule("ReadReply", pattern=_BOOLEAN),
        Rule("Priority", pattern="Low|Normal|High"),
        Rule("Subject"),
        Rule("ChargedParty"),
        Rule("ChargedPartyID"),
        Rule("DistributionIndicator", pattern=_BOOLEAN),
        Rule("DeliveryCondition", children=(Rule("DC", least=1, most=0),)),
        Rule("ApplicID"),
        Rule("ReplyApplicID"),
        Rule("AuxApplicInfo"),
        Rule("ContentClass", pattern=_CONTENT_CLASS),
        Rule("DRMContent", pattern=_BOOLEAN),
        Rule("Content", attributes=("href",)),
    ),
)
"""SubmitReq in the schema's order and multiplicity (TS 23.140 annex L, REL-6-MM7-1-4)."""


_ANY_ADDRESS = (Rule("RFC2822Address"), Rule("Number"), Rule("ShortCode"))
_FROM_RELAY = (Rule("MM7Version", least=1), Rule("MMSRelayServerID"), Rule("VASPID"), Rule("VASID"))
_ABOUT_MESSAGE = (
    *_FROM_RELAY,
    Rule("MessageID", least=1),
    Rule("Recipient", least=1, children=_ANY_ADDRESS, choice=True),
    Rule("Sender", least=1, children=_ANY_ADDRESS, choice=True),
)
_APPLICATION = (Rule("ApplicID"), Rule("ReplyApplicID"), Rule("AuxApplicInfo"))

PUSH_RULES = {
    "DeliverReq": Rule(
        "DeliverReq",
        least=1,
        children=(
            *_FROM_RELAY,
            Rule("LinkedID"),
            Rule("Sender", least=1, children=_ANY_ADDRESS, choice=True),
            Rule(
                "Recipients",
                children=tuple(Rule(name, most=0, children=_ADDRESSES, choice=True) for name in ("To", "Cc", "Bcc")),
                choice=True,
            ),
            Rule("Previouslysentby"),
            Rule("Previouslysentdateandtime"),
            Rule("SenderSPI"),
            Rule("RecipientSPI"),
            Rule("TimeStamp"),
            Rule("ReplyChargingID"),
            Rule("Priority"),
            Rule("Subject"),
            *_APPLICATION,
            Rule("UACapabilities"),
            Rule("Content", attributes=("href",)),
        ),
    ),
    "DeliveryReportReq": Rule(
        "DeliveryReportReq",
        least=1,
        children=(
            *_ABOUT_MESSAGE,
            Rule("Date", least=1),
            Rule("MMStatus", least=1),
            Rule("MMStatusExtension"),
            Rule("StatusText"),
            *_APPLICATION,
            Rule("UACapabilities"),
        ),
    ),
    "ReadReplyReq": Rule(
        "ReadReplyReq",
        least=1,
        children=(
            *_ABOUT_MESSAGE,
            Rule("TimeStamp", least=1),
            Rule("MMStatus", least=1),
            Rule("StatusText"),
            *_APPLICATION,
        ),
    ),
}
"""What a relay pushes to its customer, in the schema's order (TS 23.140 annex L, REL-6-MM7-1-4)."""


def problems_of(element: ElementTree.Element, rule: Rule) -> Iterator[str]:
    """Where ``element`` departs from the schema: unknown, missing, repeated or misplaced elements."""
    place = rule.name
    known = {child.name: child for child in rule.children}
    names = [local_name(child.tag) for child in element]
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
            if namespace_of(child_element.tag) != namespace_of(element.tag):
                yield f"{place}: {name} is in another namespace"
            yield from problems_of(child_element, known[name])


def misfits_of(element: ElementTree.Element, rule: Rule) -> Iterator[str]:
    """Elements whose text is not in the format of the schema."""
    known = {child.name: child for child in rule.children}
    for child_element in element:
        child = known.get(local_name(child_element.tag))
        if child is None:
            continue
        text = (child_element.text or "").strip()
        if child.pattern and not re.fullmatch(child.pattern, text):
            yield f"{rule.name}: {child.name} is {text[:60]!r}, which is not in its format"
        yield from misfits_of(child_element, child)


def _misplaced(place: str, names: Sequence[str], rule: Rule) -> Iterator[str]:
    order = [child.name for child in rule.children]
    if rule.choice:
        if not names:
            yield f"{place}: one of {', '.join(order)} is missing"
        return
    for before, after in pairwise(names):
        if order.index(before) > order.index(after):
            yield f"{place}: {after} must stand before {before}"


def local_name(tag: str) -> str:
    """An element's name without its namespace."""
    return tag.rpartition("}")[2]


def namespace_of(tag: str) -> str:
    """An element's namespace, empty where it has none."""
    return tag[1:].partition("}")[0] if tag.startswith("{") else ""
