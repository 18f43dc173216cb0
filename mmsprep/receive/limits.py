"""What one push may hold.

Comes in: a push that was read. Goes out: the same, or an error. Never: something cut off to make it fit.
"""

from __future__ import annotations

from dataclasses import dataclass

from mmsprep.errors import PushTooLarge
from mmsprep.receive.incoming import Incoming


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one push may hold; beyond it the answer is 413, for a sender slower than ``body_timeout_s`` 408.

    Far above the 300 kB of a message, even as base64: what is refused is lost once the gateway gives up.
    ``max_id_chars`` bounds ids and numbers, which databases keep in an index.
    """

    max_body_bytes: int = 10_000_000
    max_fields: int = 400
    max_attachments: int = 64
    max_attachment_bytes: int = 5_000_000
    max_text_bytes: int = 1_000_000
    max_id_chars: int = 400
    body_timeout_s: float = 60.0


def within(incoming: Incoming, limits: Limits) -> Incoming:
    """``incoming`` itself, when it keeps within ``limits``.

    Raises:
        PushTooLarge: it does not.
    """
    texts = [
        incoming.subject,
        incoming.text,
        incoming.status_text,
        incoming.sent_at,
        *(word for pair in incoming.extra for word in pair),
    ]
    for part in incoming.parts:
        texts += [part.declared_name, part.declared_type]
    ids = [incoming.id, incoming.sender, incoming.about_id, incoming.status, *incoming.recipients]
    for what, found, allowed in (
        ("attachments", len(incoming.parts), limits.max_attachments),
        ("fields", len(incoming.extra) + len(incoming.recipients), limits.max_fields),
        (
            "bytes in one attachment",
            max((len(part.data) for part in incoming.parts), default=0),
            limits.max_attachment_bytes,
        ),
        ("bytes of text", sum(len(text.encode()) for text in texts), limits.max_text_bytes),
        ("characters in an id or number", max(map(len, ids)), limits.max_id_chars),
    ):
        if found > allowed:
            raise PushTooLarge(f"{found:,} {what}, at most {allowed:,} are taken in")
    return incoming
