"""What came in, told to people (tables) and to programs (JSON), and written into a folder.

Comes in: stored messages. Goes out: a table, a document, files. Never: a stranger's control characters on a
terminal, or a file overwritten.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmsprep.errors import OutputError
from mmsprep.printable import json_text, printable
from mmsprep.receive.incoming import Stored, What

if TYPE_CHECKING:
    from rich.console import RenderableType

    from mmsprep.receive.store import Store

REPORT_NAME = "message.json"
_LONGEST_CELL = 60
"""Characters of a field that a list shows."""


def document(message: Stored) -> dict[str, Any]:
    """One message as JSON: the contract of ``docs/receiving.md``."""
    return {
        "schema": 1,
        "key": message.key,
        "what": message.what,
        "door": message.door,
        "id": message.id,
        "from": message.sender,
        "to": list(message.recipients),
        "subject": message.subject,
        "text": message.text,
        "attachments": [asdict(part) for part in message.parts],
        "about_id": message.about_id,
        "status": message.status,
        "status_text": message.status_text,
        "sent_at": message.sent_at,
        "received_at": datetime.fromtimestamp(message.received_at_s, UTC).isoformat(timespec="milliseconds"),
        "extra": [list(pair) for pair in message.extra],
        "forwarding": {
            "state": message.forward_state,
            "attempts": message.attempts,
            "last_error": message.last_error,
        },
    }


def export(store: Store, message: Stored, folder: Path) -> list[Path]:
    """Write a message's attachments and ``message.json`` into a new folder, which appears whole or not at all.

    Returns:
        The paths of the attachments in order, then of ``message.json``.

    Raises:
        OutputError: the folder is there with something in it, or cannot be written.
        StoreError: an attachment is gone or damaged.
    """
    files = {part.name: store.read(part) for part in message.parts}
    files[REPORT_NAME] = (json_text(document(message), indent=2) + "\n").encode()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        if folder.is_dir():
            folder.rmdir()
        with tempfile.TemporaryDirectory(prefix=".mmsprep-", dir=folder.parent) as name:
            staged = Path(name) / "message"
            staged.mkdir()
            for file_name, data in files.items():
                with (staged / file_name).open("xb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
            staged.rename(folder)
    except OSError as error:
        raise OutputError(
            f"{folder}: cannot be written ({error.strerror or error}); nothing was changed there, choose another folder"
        ) from error
    return [folder / name for name in files]


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
