"""What each pushed attachment really is, and the name it gets.

Comes in: a push. Goes out: a :class:`StoredPart` for every attachment. Never: content decoded, a library let
loose on it, a refusal, or a name that could lead out of a folder.
"""

from __future__ import annotations

import logging

from mmsprep.errors import MmsprepError
from mmsprep.formats import Format
from mmsprep.message.message import numbered_name
from mmsprep.model import Attachment
from mmsprep.receive.incoming import Incoming, PushedPart, StoredPart
from mmsprep.sniff import identify

_UNKNOWN_TYPE = "application/octet-stream"
_log = logging.getLogger("mmsprep.receive")


def look(incoming: Incoming) -> tuple[StoredPart, ...]:
    """Describe every attachment, in order; what is of no known type is told as that, never refused."""
    return tuple(
        _described(position, part, sha256)
        for position, (part, sha256) in enumerate(zip(incoming.parts, incoming.digests, strict=True), 1)
    )


def _described(position: int, part: PushedPart, sha256: str) -> StoredPart:
    found = _identified(position, part)
    kind = found.kind or found.slug if found else "file"
    return StoredPart(
        name=numbered_name(position, kind, found.extension if found else "bin", part.declared_name),
        format=found.slug if found else "",
        content_type=found.content_type if found else _UNKNOWN_TYPE,
        size_bytes=len(part.data),
        sha256=sha256,
        declared_type=part.declared_type,
        declared_name=part.declared_name,
    )


def _identified(position: int, part: PushedPart) -> Format | None:
    attachment = Attachment(position - 1, f"attachment {position}", len(part.data), data=part.data)
    try:
        return identify(attachment)
    except MmsprepError:
        return None
    except Exception:
        # A message that our own reader trips over must not be lost for it: it is stored as of unknown type.
        _log.exception("look_failed", extra={"position": position, "size_bytes": len(part.data)})
        return None
