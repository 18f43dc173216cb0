"""The words of the gateway's notices and of MM7's reports, and what they say about a message.

Comes in: a report's word. Goes out: a :class:`Status` and the reason in words. Never: a guess; a word that is not here
says nothing, and is told as it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from types import MappingProxyType

from mmsprep.receive.incoming import What
from mmsprep.receive.reports import Report


class Status(StrEnum):
    """What became of a message, as far as it is known.

    ``SENDING``: it is on its way to the gateway. ``ACCEPTED``: the gateway has it. ``DELIVERED``: the phone has it.
    ``READ``: it was looked at. ``FAILED``: it was not sent, was refused, or will not be delivered. ``UNKNOWN``: nobody
    knows whether the gateway has it.
    """

    SENDING = "sending"
    ACCEPTED = "accepted"
    DELIVERED = "delivered"
    READ = "read"
    FAILED = "failed"
    UNKNOWN = "unknown"


_DELIVERY = MappingProxyType(
    {
        "delivrd": (Status.DELIVERED, ""),
        "expired": (Status.FAILED, "it expired before the phone took it"),
        "undeliv": (Status.FAILED, "it cannot be delivered"),
        "rejectd": (Status.FAILED, "the network or the phone rejected it"),
        "deleted": (Status.FAILED, "it was deleted on its way"),
        "failed": (Status.FAILED, "it cannot be delivered"),
        "retrieved": (Status.DELIVERED, ""),
        "rejected": (Status.FAILED, "the network or the phone rejected it"),
    }
)
"""SMPP's words (the form's notices have them) and MMStatus of a DeliveryReportReq, in small letters.

Left out are those that decide nothing: on its way (ENROUTE, ACCEPTD, BUFFRED, Deferred, Forwarded), and nobody knows
(UNKNOWN, Indeterminate).
"""
_READ = MappingProxyType(
    {"read": Status.READ, "deleted": Status.DELIVERED, "deleted without being read": Status.DELIVERED}
)
"""MMStatus of a ReadReplyReq: whoever deletes a message has it."""
_RANK = (Status.FAILED, Status.DELIVERED, Status.READ)


def judged(reports: Iterable[Report]) -> tuple[Status, str, Report] | None:
    """What reports say together, in whatever order they came: status, why it failed, and the report that says so.

    A phone that has a message has it, whatever is told before or after; ``None``: nothing is decided.
    """
    best: tuple[Status, str, Report] | None = None
    for report in reports:
        word = report.status.strip().lower()
        if report.what is What.READ_REPLY:
            found = (_READ[word], "") if word in _READ else None
        else:
            found = _DELIVERY.get(word)
        if found and (best is None or _RANK.index(found[0]) > _RANK.index(best[0])):
            status, why = found
            best = (status, _with_words(why, report), report)
    return best


def _with_words(why: str, report: Report) -> str:
    if not why:
        return ""
    told = report.status_text.strip()
    error = (
        f", error {told}" if told.isdigit() and told.strip("0") else f": {told}" if told and not told.isdigit() else ""
    )
    return f"{why} ({report.status}{error})"
