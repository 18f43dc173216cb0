"""What people read of the journal and of tracking, and the JSON of an attempt."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from mmsprep.cli.layout import NARROWEST, AsWideAsItGets, two_lines
from mmsprep.sender.entry import Entry, State, iso_time
from mmsprep.tracking import Status, Tracked

if TYPE_CHECKING:
    from rich.console import RenderableType

_ID_LETTERS = 12
"""Enough of a transaction's id to find it by."""
_STYLES = {
    Status.DELIVERED: "green",
    Status.READ: "green",
    Status.FAILED: "red",
    Status.UNKNOWN: "yellow",
    State.NOT_SENT: "red",
    State.REJECTED: "red",
    State.UNKNOWN: "yellow",
}


def tracked_table(found: Iterable[Tracked]) -> RenderableType:
    """What became of each."""
    table = _table("To, and the id", "Sent, and changed", "Status", "Why")
    for one in found:
        sent = _time(one.sent_at_s) if one.sent_at_s is not None else ""
        changed = _time(one.changed_at_s) if one.changed_at_s else ""
        why = one.reason or (f"told: {one.said}" if one.said and one.status is Status.ACCEPTED else "")
        table.add_row(
            two_lines(one.recipient, one.message_id or one.transaction_id[:_ID_LETTERS]),
            two_lines(sent, "" if changed == sent else changed) if sent else changed,
            _coloured(one.status),
            why,
        )
    return AsWideAsItGets(table, NARROWEST, ("", "", "", ""))


def tracked_details(one: Tracked) -> Table:
    """One message, with all that was told of it."""
    rows = [
        ("to", one.recipient),
        ("status", one.status.value),
        ("why", one.reason),
        ("message id", one.message_id),
        ("transaction id", one.transaction_id),
        ("sent", _time(one.sent_at_s) if one.sent_at_s is not None else ""),
        ("by", " ".join(filter(None, (one.via, one.gateway)))),
        ("settled by", one.person if one.settled_by == "person" else ""),
    ]
    for report in one.reports:
        words = " ".join(filter(None, (report.status, report.status_text, report.sent_at)))
        rows.append((_time(report.received_at_s), f"{report.what.replace('_', ' ')}: {words}"))
    return _details(rows)


def attempts_table(found: Iterable[Entry]) -> RenderableType:
    """Attempts of the journal."""
    table = _table("Id, and the message's", "To, and when", "State", "Why, or who says so")
    for entry in found:
        who = f"{entry.person or 'a person'} on {_time(entry.updated_at_s)}" if entry.settled_by == "person" else ""
        table.add_row(
            two_lines(entry.transaction_id[:_ID_LETTERS], entry.message_id),
            two_lines(entry.recipient, _time(entry.created_at_s)),
            _coloured(entry.state),
            "; ".join(filter(None, (entry.reason, who))),
        )
    return AsWideAsItGets(table, NARROWEST, ("", "", "", ""))


def attempt_details(entry: Entry) -> Table:
    """One attempt."""
    who = {"send": "the send itself", "person": entry.person or "a person"}.get(entry.settled_by, "nobody yet")
    return _details(
        [
            ("transaction id", entry.transaction_id),
            ("to", entry.recipient),
            ("gateway", f"{entry.via} {entry.gateway}"),
            ("key", entry.key),
            ("content", entry.content_sha256),
            ("state", entry.state.replace("_", " ")),
            ("why", entry.reason),
            ("message id", entry.message_id),
            ("status code", "" if entry.status_code is None else str(entry.status_code)),
            ("begun", _time(entry.created_at_s)),
            ("settled", f"by {who}, {_time(entry.updated_at_s)}"),
        ]
    )


def attempt_document(entry: Entry) -> dict[str, Any]:
    """An attempt as JSON: the contract of ``docs/tracking.md``; keys are only ever added."""
    return {
        "to": entry.recipient,
        "state": entry.state,
        "reason": entry.reason,
        "message_id": entry.message_id,
        "transaction_id": entry.transaction_id,
        "status_code": entry.status_code,
        "error_code": entry.error_code,
        "via": entry.via,
        "gateway": entry.gateway,
        "key": entry.key,
        "sha256": entry.content_sha256,
        "settled_by": entry.settled_by,
        "person": entry.person,
        "begun_at": entry.started_at,
        "changed_at": iso_time(entry.updated_at_s),
    }


def _table(*headings: str) -> Table:
    table = Table(header_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in headings:
        table.add_column(heading, overflow="fold", no_wrap=heading != headings[-1])
    return table


def _details(rows: Sequence[tuple[str, str]]) -> Table:
    table = Table.grid(padding=(0, 2))
    for name, value in rows:
        if value:
            table.add_row(Text(name, style="bold"), Text(value, overflow="fold"))
    return table


def _coloured(state: Status | State) -> Text:
    return Text(state.replace("_", " "), style=_STYLES.get(state, ""))


def _time(moment_s: float) -> str:
    return datetime.fromtimestamp(moment_s).astimezone().strftime("%Y-%m-%d %H:%M:%S")
