"""A message that was taken in, as one file to keep: the PDU that the phone would fetch.

Comes in: a submission with the bytes of its parts. Goes out: an M-Retrieve.conf. Never: the request, or a secret of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from mmsprep.message.message import SMIL_CONTENT_TYPE, SMIL_NAME
from mmsprep.message.mime import Entity, build_related
from mmsprep.mm1 import encode_retrieved
from mmsprep.sandbox.exchange import ShownPart, Submission


def as_pdu(submission: Submission, bodies: Sequence[bytes], message_id: str, at: datetime) -> bytes:
    """The message as an MM1 PDU, which ``mmsprep unpack`` and ``play`` read.

    Args:
        submission: what was sent.
        bodies: the bytes of each of its parts.
        message_id: the gateway's.
        at: when it was taken in.
    """
    content = submission.content
    entities = [_entity(part, body) for part, body in zip(content.parts, bodies, strict=True)]
    root_type = content.parts[0].content_type
    if content.smil:
        root_type = SMIL_CONTENT_TYPE
        headers = (("Content-Type", root_type), ("Content-ID", f"<{SMIL_NAME}>"), ("Content-Location", SMIL_NAME))
        entities.insert(0, Entity(headers, content.smil.encode()))
    return encode_retrieved(
        build_related(entities, root_type),
        message_id=message_id,
        sent_at_s=int(at.timestamp()),
        recipients=[submission.number],
        sender=submission.sender,
        subject=submission.subject,
    )


def _entity(part: ShownPart, body: bytes) -> Entity:
    charset = "; charset=utf-8" if part.content_type.startswith("text/") else ""
    return Entity(
        (
            ("Content-Type", f"{part.content_type}{charset}"),
            ("Content-ID", f"<{part.content_id or part.name}>"),
            ("Content-Location", part.name),
        ),
        body,
    )
