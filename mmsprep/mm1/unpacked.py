"""A PDU taken apart into files: what each part really is, the name it gets, and ``pdu.json``.

Comes in: the bytes of a PDU. Goes out: files with harmless names, a document of what the headers say. Never:
content decoded, a name that could lead out of a folder, or a file overwritten.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmsprep.errors import Damaged, MalformedEnvelope, MmsprepError
from mmsprep.formats import Format
from mmsprep.message.folder import write_new_folder
from mmsprep.message.message import SMIL_CONTENT_TYPE, numbered_name
from mmsprep.message.mime import Entity, root_of
from mmsprep.mm1.pdu import Pdu, decode
from mmsprep.mm1.wsp import characters
from mmsprep.model import Attachment
from mmsprep.printable import json_text
from mmsprep.sniff import identify
from mmsprep.tools.untrusted import read_untrusted

REPORT_NAME = "pdu.json"
_LARGEST_PDU_BYTES = 32_000_000
"""The most that a network is known to take is 8 MiB."""
_PLAIN_NAME = re.compile(
    r"(?!(?:con|prn|aux|nul|com[0-9]|lpt[0-9])\.)[A-Za-z0-9][A-Za-z0-9_-]{0,59}\.[A-Za-z0-9]{1,5}", re.I
)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnpackedPart:
    """One part: ``name`` is safe and unique, ``format`` what it really is (empty: unknown), the rest as declared."""

    name: str
    format: str
    declared_type: str
    declared_name: str
    charset: str
    content_id: str
    is_presentation: bool
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Unpacked:
    """A PDU, its parts with names, and its size in bytes."""

    pdu: Pdu
    parts: tuple[UnpackedPart, ...]
    size_bytes: int

    @property
    def text(self) -> str:
        """The texts of the message, as they were encoded."""
        texts = [part for part in self.parts if part.declared_type == "text/plain"]
        return "\n".join(characters(part.data, part.charset or "utf-8") for part in texts)


def read_pdu(path: str | Path) -> Unpacked:
    """:func:`unpack` the PDU in a file.

    Raises:
        NotFound: there is no such file.
        Unreadable: it cannot be read, or is longer than any message.
        Damaged: it is no PDU, or is damaged.
        OverInputLimit: it has more parts or deeper nesting than a message has.
    """
    return unpack(read_untrusted(path, str(path), _LARGEST_PDU_BYTES), str(path))


def unpack(data: bytes, name: str) -> Unpacked:
    """Read a PDU and name its parts.

    A part keeps the name that the message gives it (Content-Location, else a parameter) where that is a plain file
    name of its own and ends as its content should; otherwise it is numbered.

    Args:
        data: the whole PDU.
        name: what errors call it.

    Raises:
        Damaged: it is no PDU, or is damaged.
        OverInputLimit: it has more parts or deeper nesting than a message has.
    """
    pdu = decode(data, name)
    whole = Entity((("Content-Type", pdu.content_type),), b"")
    root = root_of(whole, pdu.parts) if pdu.parts else None
    taken = {REPORT_NAME}
    parts = []
    for position, entity in enumerate(pdu.parts, 1):
        part = _part(position, entity, is_root=entity is root, name=name, taken=taken)
        taken.add(part.name.lower())
        parts.append(part)
    return Unpacked(pdu, tuple(parts), len(data))


def write_unpacked(unpacked: Unpacked, folder: Path) -> list[Path]:
    """Write the parts and ``pdu.json`` into a new folder, which appears whole or not at all.

    Returns:
        The paths of the parts in order, then of ``pdu.json``.

    Raises:
        OutputError: the folder is there with something in it, or cannot be written.
    """
    files = {part.name: part.data for part in unpacked.parts}
    files[REPORT_NAME] = (json_text(document(unpacked), indent=2) + "\n").encode()
    return write_new_folder(files, folder)


def _part(position: int, entity: Entity, *, is_root: bool, name: str, taken: set[str]) -> UnpackedPart:
    try:
        data = entity.data
    except MalformedEnvelope as error:
        raise Damaged(name, str(error)) from None
    declared = _declared_name(entity)
    is_presentation = is_root and entity.content_type == SMIL_CONTENT_TYPE
    found = None if is_presentation else _identified(position, data)
    extension = "smil" if is_presentation else found.extension if found else "bin"
    extensions = {"smil", "smi"} if is_presentation else found.extensions if found else {"bin"}
    is_plain = _PLAIN_NAME.fullmatch(declared) and declared.rpartition(".")[2].lower() in extensions
    if not is_plain or declared.lower() in taken:
        kind = "slides" if is_presentation else found.kind or found.slug if found else "file"
        declared_or_none = declared or None
        chosen = numbered_name(position, kind, extension, declared_or_none)
        while chosen.lower() in taken:
            chosen = f"{position:02d}-{chosen}"
    else:
        chosen = declared
    return UnpackedPart(
        name=chosen,
        format="smil" if is_presentation else found.slug if found else "",
        declared_type=entity.content_type,
        declared_name=declared,
        charset=entity.parameter("charset"),
        content_id=entity.content_id,
        is_presentation=is_presentation,
        data=data,
    )


def _declared_name(entity: Entity) -> str:
    disposition = Entity((("Content-Type", entity.header("Content-Disposition")),), b"")
    names = (entity.header("Content-Location"), entity.parameter("name"), entity.parameter("filename"))
    return next(filter(None, (*names, disposition.parameter("filename"))), entity.content_id)


def _identified(position: int, data: bytes) -> Format | None:
    try:
        return identify(Attachment(position - 1, f"part {position}", len(data), data=data))
    except MmsprepError:
        return None


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


def _plain_address(written: str) -> str:
    """An address without its type."""
    return written.partition("/TYPE=")[0]
