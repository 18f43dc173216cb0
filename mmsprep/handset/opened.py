"""A message to be shown: the folder of a prepared one, or an MM1 PDU of anybody's.

Comes in: a path. Goes out: parts, presentation, subject, size. Never: a guess at what a part is (``scene.py`` looks).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from mmsprep.message import read_message
from mmsprep.message.message import TEXT_CONTENT_TYPE, TEXT_NAME
from mmsprep.mm1 import read_pdu


@dataclass(frozen=True, slots=True)
class OpenedPart:
    """A part: its name and bytes, the type that it is declared as, and what else the presentation may call it."""

    name: str
    data: bytes = field(repr=False)
    declared_type: str = ""
    also_called: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A message's content; ``smil`` is empty where it has no presentation."""

    parts: tuple[OpenedPart, ...]
    smil: bytes = field(repr=False)
    subject: str
    total_bytes: int


def open_message(path: Path) -> Opened:
    """Read the message in a folder that ``prepare`` wrote, or in a file that holds a PDU.

    Raises:
        InputError: as :func:`mmsprep.read_message` and :func:`mmsprep.mm1.read_pdu`.
    """
    if path.is_file():
        unpacked = read_pdu(path)
        shown = [part for part in unpacked.parts if not part.is_presentation]
        return Opened(
            parts=tuple(
                OpenedPart(part.name, part.data, part.declared_type, (part.declared_name, part.content_id))
                for part in shown
            ),
            smil=next((part.data for part in unpacked.parts if part.is_presentation), b""),
            subject=unpacked.pdu.field("Subject"),
            total_bytes=unpacked.size_bytes,
        )
    message = read_message(path)
    text = [OpenedPart(TEXT_NAME, message.text.encode(), TEXT_CONTENT_TYPE)] if message.text else []
    return Opened(
        parts=(*text, *(OpenedPart(part.name, part.data, part.content_type) for part in message.parts)),
        smil=message.smil,
        subject=message.subject,
        total_bytes=message.total_bytes,
    )
