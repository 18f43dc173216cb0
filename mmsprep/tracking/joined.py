"""The journal of sends and the reports of the receiver, joined by the message's id.

Comes in: a journal, a store of incoming messages, or both, and which messages are meant. Goes out: a :class:`Tracked`
for each. Never: a change to either.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from os import PathLike
from typing import Any

from mmsprep.errors import NotFound, UsageError
from mmsprep.receive.reports import Report, Reports, open_reports
from mmsprep.sender.address import msisdn
from mmsprep.sender.entry import Entry, State, iso_time
from mmsprep.sender.journal import Journal
from mmsprep.tracking.status import Status, judged

Place = str | PathLike[str]
_MOST_ABOUT = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracked:
    """One message to one recipient, and what became of it; times are seconds since 1970.

    ``reason`` says why it failed or is unknown, ``said`` is the last report's own word. ``settled_by`` and ``person``:
    who said so where no report did (see :class:`mmsprep.sender.entry.Entry`). ``attempt`` names it in the
    journal, and is empty where that has not sent it. ``reports`` are all that came, in the order of arrival.
    """

    recipient: str
    status: Status
    reason: str = ""
    said: str = ""
    message_id: str = ""
    transaction_id: str = ""
    via: str = ""
    gateway: str = ""
    key: str = ""
    sent_at_s: float | None = None
    changed_at_s: float = 0.0
    settled_by: str = ""
    person: str = ""
    attempt: str = ""
    reports: tuple[Report, ...] = ()


def track(
    name: str = "",
    *,
    journal: Place | Journal | None = None,
    inbox: Place | None = None,
    to: str = "",
    country: str = "",
    key: str = "",
    since: datetime | None = None,
    newest: int = 0,
) -> list[Tracked]:
    """What became of sent messages, the oldest first.

    Args:
        name: a message id, a transaction id or the beginning of one; empty: all of them.
        journal: the journal of the sends: a file, a database's URL, or an open one.
        inbox: the receiver's store: its folder or its database's URL; default: it is in the journal's database.
        to: only to this number; ``country`` completes a national one.
        key: only those that were sent under this key.
        since: only those sent at that time or later.
        newest: so many at most; 0: all.

    Raises:
        NotFound: there is no such store, or no message of that name.
        UsageError: neither journal nor inbox is given.
        AddressError: ``to`` is no number.
        JournalError, StoreError: one of them cannot be read.
    """
    with Tracker(journal=journal, inbox=inbox) as tracker:
        return tracker.track(
            name,
            recipient=msisdn(to, country).digits if to else "",
            key=key,
            since_s=since.timestamp() if since else 0.0,
            newest=newest,
        )


class Tracker:
    """Journal and reports, open. Arguments as :func:`track` takes them."""

    def __init__(self, *, journal: Place | Journal | None = None, inbox: Place | None = None) -> None:
        if not journal and not inbox:
            raise UsageError(
                "nothing to track with: give the journal of sends (--journal), the receiver's store (--store), or both"
            )
        self._is_own = not isinstance(journal, Journal)
        self.journal: Journal | None = None
        if journal:
            self.journal = journal if isinstance(journal, Journal) else Journal(journal, existing=True)
        self.reports: Reports | None = None
        try:
            self.reports = self._open_reports(inbox)
        except BaseException:
            self.close()
            raise

    def _open_reports(self, inbox: Place | None) -> Reports | None:
        if inbox:
            return open_reports(inbox)
        if self.journal is not None and "://" in self.journal.place:
            try:
                return open_reports(self.journal.place)
            except NotFound:
                return None
        return None

    def __enter__(self) -> Tracker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close what was opened here."""
        if self.journal is not None and self._is_own:
            self.journal.close()
        if self.reports is not None:
            self.reports.close()

    def track(
        self, name: str = "", *, recipient: str = "", key: str = "", since_s: float = 0.0, newest: int = 0
    ) -> list[Tracked]:
        """As :func:`track`, with an MSISDN and a time in seconds since 1970."""
        found: list[Tracked] = []
        if self.journal is not None:
            entries = self.journal.entries(name=name, recipient=recipient, key=key, since_s=since_s)
            found = self.joined(entries)
        elif self.reports is not None and not name:
            found = [one for one in of_reports(self.reports.after(0, since_s)) if recipient in ("", one.recipient)]
        if name and not found and self.reports is not None:
            found = of_reports(self.reports.about([name]).get(name, []))
        if name and not found:
            raise NotFound(name, "no sent message has this id, and no report is about it")
        return found[-newest:] if newest else found

    def joined(self, entries: Sequence[Entry]) -> list[Tracked]:
        """Attempts with what was reported of them, in their order.

        Of several attempts on the same the last one counts; one that a person released is history.
        """
        last = {(entry.recipient, entry.gateway, entry.key): entry for entry in entries}
        current = sorted(last.values(), key=lambda entry: entry.created_at_s)
        found = []
        for start in range(0, len(current), _MOST_ABOUT):
            batch = current[start : start + _MOST_ABOUT]
            about = self.reports.about([entry.message_id for entry in batch]) if self.reports else {}
            found += [_tracked(entry, about.get(entry.message_id, [])) for entry in batch]
        return found


_STATUS = {
    State.SENDING: Status.SENDING,
    State.ACCEPTED: Status.ACCEPTED,
    State.NOT_SENT: Status.FAILED,
    State.REJECTED: Status.FAILED,
    State.UNKNOWN: Status.UNKNOWN,
    State.RELEASED: Status.UNKNOWN,
}


def _tracked(entry: Entry, reports: Sequence[Report]) -> Tracked:
    reason = entry.reason
    if entry.state is State.NOT_SENT:
        reason = f"not sent: {entry.reason}" if entry.reason else "not sent"
    elif entry.state is State.UNKNOWN and not reason:
        reason = "whoever sent it was interrupted"
    known = Tracked(
        recipient=entry.recipient,
        status=_STATUS[entry.state],
        reason=reason,
        message_id=entry.message_id,
        transaction_id=entry.transaction_id,
        via=entry.via,
        gateway=entry.gateway,
        key=entry.key,
        sent_at_s=entry.created_at_s,
        changed_at_s=entry.updated_at_s,
        settled_by=entry.settled_by,
        person=entry.person,
        attempt=entry.token,
    )
    return _with_reports(known, reports)


def of_reports(reports: Iterable[Report]) -> list[Tracked]:
    """Messages that another program sent, by what is told of them: somebody must have accepted them."""
    about: dict[str, list[Report]] = {}
    for report in reports:
        about.setdefault(report.about_id, []).append(report)
    found = []
    for message_id, told in about.items():
        handset = next((one.handset for one in told if one.handset), "")
        accepted = Tracked(recipient=handset, status=Status.ACCEPTED, message_id=message_id, via=told[0].door)
        found.append(_with_reports(accepted, told))
    return found


def _with_reports(known: Tracked, reports: Sequence[Report]) -> Tracked:
    if not reports:
        return known
    verdict = judged(reports)
    last = reports[-1]
    tracked = replace(known, said=last.status, changed_at_s=last.received_at_s, reports=tuple(reports))
    if verdict is None:
        return tracked
    status, reason, report = verdict
    return replace(tracked, status=status, reason=reason, said=report.status, changed_at_s=report.received_at_s)


def tracked_document(one: Tracked) -> dict[str, Any]:
    """One message as JSON: the contract of ``docs/tracking.md``; keys are only ever added."""
    return {
        "to": one.recipient,
        "status": one.status,
        "reason": one.reason,
        "said": one.said,
        "message_id": one.message_id,
        "transaction_id": one.transaction_id,
        "via": one.via,
        "gateway": one.gateway,
        "key": one.key,
        "sent_at": iso_time(one.sent_at_s) if one.sent_at_s is not None else None,
        "changed_at": iso_time(one.changed_at_s),
        "settled_by": one.settled_by,
        "person": one.person,
        "reports": [
            {
                "what": report.what,
                "status": report.status,
                "status_text": report.status_text,
                "sent_at": report.sent_at,
                "received_at": iso_time(report.received_at_s),
            }
            for report in one.reports
        ],
    }
