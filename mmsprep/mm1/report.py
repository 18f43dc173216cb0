"""A PDU told to people (a table) and to programs (JSON).

Comes in: a PDU that was taken apart. Goes out: a table, a document. Never: printing.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from mmsprep.printable import printable

if TYPE_CHECKING:
    from rich.console import RenderableType

    from mmsprep.mm1.unpacked import Unpacked

_LONGEST_TEXT = 2_000


def document(unpacked: Unpacked) -> dict[str, Any]:
    """What ``unpack --json`` prints and ``pdu.json`` holds: the contract of ``docs/mm1.md``."""
    pdu = unpacked.pdu
    return {
        "schema": 1,
        "kind": pdu.kind,
        "size_bytes": unpacked.size_bytes,
        "from": _plain_address(pdu.field("From")),
        "to": [_plain_address(one) for one in pdu.all("To")],
        "cc": [_plain_address(one) for one in pdu.all("Cc")],
        "subject": pdu.field("Subject"),
        "text": unpacked.text,
        "content_type": pdu.content_type,
        "fields": [list(pair) for pair in pdu.fields],
        "parts": [
            {
                "name": part.name,
                "format": part.format,
                "declared_type": part.declared_type,
                "declared_name": part.declared_name,
                "charset": part.charset,
                "content_id": part.content_id,
                "is_presentation": part.is_presentation,
                "size_bytes": len(part.data),
                "sha256": hashlib.sha256(part.data).hexdigest(),
            }
            for part in unpacked.parts
        ],
    }


def pdu_table(unpacked: Unpacked) -> RenderableType:
    """The header fields, the text and the parts."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    facts = Table.grid(padding=(0, 2, 0, 0))
    facts.add_column(style="bold", no_wrap=True)
    facts.add_column(overflow="fold")
    for name, value in unpacked.pdu.fields:
        facts.add_row(name, printable(value, most=_LONGEST_TEXT) or "-")
    if unpacked.text:
        facts.add_row("Text", Text(printable(unpacked.text[:_LONGEST_TEXT], lines=True)))
    facts.add_row("Size", f"{unpacked.size_bytes:,} bytes")
    if not unpacked.parts:
        return facts
    table = Table(header_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in ("Part", "What it is", "Declared as"):
        table.add_column(column, overflow="fold")
    table.add_column("Size", justify="right", no_wrap=True)
    for part in unpacked.parts:
        declared = part.declared_type + (f" ({part.charset})" if part.charset else "")
        table.add_row(part.name, part.format or "unknown", declared, f"{len(part.data):,}")
    return Group(facts, "", table)


def _plain_address(written: str) -> str:
    """An address without its type."""
    return written.partition("/TYPE=")[0]
