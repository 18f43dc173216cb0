"""What came in, for people: the list, and one message whole.

Comes in: stored messages. Goes out: rich tables. Never: printing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mmsprep.printable import printable
from mmsprep.receive.incoming import Stored, UnreadablePush, What

if TYPE_CHECKING:
    from rich.console import RenderableType

_LONGEST_CELL = 60


def listing(messages: Sequence[Stored]) -> RenderableType:
    """The messages as a table for people."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for heading in ("Received (UTC)", "From", "ID", "What came in", "Files", "Forwarded"):
        table.add_column(heading, justify="right" if heading == "Files" else "left")
    for message in messages:
        table.add_row(
            f"{datetime.fromtimestamp(message.received_at_s, UTC):%Y-%m-%d %H:%M:%S}",
            printable(message.sender, most=_LONGEST_CELL) or "-",
            printable(message.id, most=_LONGEST_CELL) or message.key,
            _summary(message),
            str(len(message.parts)),
            _forwarding(message),
        )
    return table


def unreadable_listing(pushes: Sequence[UnreadablePush]) -> RenderableType:
    """Pushes that could not be read, as a table for people."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for heading in ("ID", "Received (UTC)", "Door", "Bytes", "Times", "Why"):
        table.add_column(heading, justify="right" if heading in ("Bytes", "Times") else "left")
    for push in pushes:
        table.add_row(
            push.name,
            f"{datetime.fromtimestamp(push.received_at_s, UTC):%Y-%m-%d %H:%M:%S}",
            push.door,
            f"{push.size_bytes:,}",
            str(push.pushes),
            printable(push.reason),
        )
    return table


def details(message: Stored) -> RenderableType:
    """One message, for people."""
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    facts = Table(box=None, show_header=False, pad_edge=False)
    facts.add_column(style="bold")
    facts.add_column()
    received = datetime.fromtimestamp(message.received_at_s, UTC)
    for name, value in (
        ("id", message.id),
        ("key", message.key),
        ("what", message.what.replace("_", " ")),
        ("received", f"{received:%Y-%m-%d %H:%M:%S} UTC by {message.door}"),
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
    parts = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for heading in ("Attachment", "Really", "Declared as", "Bytes"):
        parts.add_column(heading, justify="right" if heading == "Bytes" else "left")
    for part in message.parts:
        declared = " ".join(filter(None, (part.declared_type, part.declared_name))) or "-"
        parts.add_row(part.name, part.content_type, printable(declared, most=_LONGEST_CELL), f"{part.size_bytes:,}")
    return Group(facts, "", parts)


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
