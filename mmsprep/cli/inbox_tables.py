"""What came in, for people: the list, and one message whole.

Comes in: stored messages. Goes out: rich tables. Never: printing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mmsprep.cli.layout import NARROWEST, AsWideAsItGets, two_lines
from mmsprep.printable import printable
from mmsprep.receive.incoming import Stored, UnreadablePush, What

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

_LONGEST_CELL, _LONGEST_ID = 60, 24
_WHEN_AND_WHICH = "When (UTC), and the id"


def listing(messages: Sequence[Stored]) -> RenderableType:
    """The messages as a table for people."""
    table = _table(_WHEN_AND_WHICH, "From", "What came in", "Files", "Forwarded")
    for message in messages:
        table.add_row(
            two_lines(_time(message.received_at_s), _callable_by(message)),
            printable(message.sender, most=_LONGEST_CELL) or "-",
            _summary(message),
            str(len(message.parts)),
            _forwarding(message),
        )
    return AsWideAsItGets(table, NARROWEST, ("", "from", "", "files", "forwarded"))


def unreadable_listing(pushes: Sequence[UnreadablePush]) -> RenderableType:
    """Pushes that could not be read, as a table for people."""
    table = _table("ID", "Received (UTC)", "Door", "Bytes", "Times", "Why")
    for push in pushes:
        table.add_row(
            push.name,
            _time(push.received_at_s),
            push.door,
            f"{push.size_bytes:,}",
            str(push.pushes),
            printable(push.reason),
        )
    return AsWideAsItGets(table, NARROWEST, ("", "", "door", "bytes", "times", ""))


def _table(*headings: str) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for heading in headings:
        counts = heading in ("Bytes", "Times", "Files")
        whole = counts or heading == _WHEN_AND_WHICH
        table.add_column(heading, justify="right" if counts else "left", overflow="fold", no_wrap=whole)
    return table


def details(message: Stored) -> RenderableType:
    """One message, for people."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    facts = Table(box=None, show_header=False, pad_edge=False)
    facts.add_column(style="bold")
    facts.add_column(overflow="fold")
    for name, value in (
        ("id", message.id),
        ("key", message.key),
        ("what", message.what.replace("_", " ")),
        ("received", f"{_time(message.received_at_s)} UTC by {message.door}"),
        ("sent", message.sent_at),
        ("from", message.sender),
        ("to", ", ".join(message.recipients)),
        ("about", message.about_id),
        ("status", f"{message.status} {message.status_text}".strip()),
        ("subject", message.subject),
        ("text", message.text),
        ("forwarded", f"{_forwarding(message)} {message.last_error}".strip()),
        *message.extra,
    ):
        if value:
            facts.add_row(printable(name, most=_LONGEST_CELL), Text(printable(value, lines=name == "text")))
    if not message.parts:
        return facts
    parts = _table("Attachment", "Really", "Declared as", "Bytes")
    for part in message.parts:
        declared = " ".join(filter(None, (part.declared_type, part.declared_name))) or "-"
        parts.add_row(part.name, part.content_type, printable(declared, most=_LONGEST_CELL), f"{part.size_bytes:,}")
    return Group(facts, "", AsWideAsItGets(parts, NARROWEST, ("", "", "declared as", "bytes")))


def _time(moment_s: float) -> str:
    return f"{datetime.fromtimestamp(moment_s, UTC):%Y-%m-%d %H:%M:%S}"


def _callable_by(message: Stored) -> str:
    """What to call it by on a command line: its id, or the key where it has none or a long one."""
    return message.id if 0 < len(printable(message.id)) <= _LONGEST_ID else message.key


def _summary(message: Stored) -> str:
    if message.what is not What.MESSAGE:
        status = f"{message.what.replace('_', ' ')}: {message.status} (message {message.about_id})"
        return printable(status, most=_LONGEST_CELL)
    words = " ".join(f"{message.subject} {message.text}".split())
    return printable(words, most=_LONGEST_CELL)


def _forwarding(message: Stored) -> str:
    if message.attempts < 2:
        return str(message.forward_state)
    return f"{message.forward_state}, {message.attempts} attempts"
