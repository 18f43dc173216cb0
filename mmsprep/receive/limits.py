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
    ``max_id_chars`` bounds ids and numbers, which databases keep in an index. Reading one push may take
    ``read_timeout_s`` by the clock and ``read_cpu_s`` of a processor. What cannot be read is kept, the newest
    ``max_unreadable`` of it and no more than ``max_unreadable_bytes``.
    """

    max_body_bytes: int = 10_000_000
    max_fields: int = 400
    max_attachments: int = 64
    max_attachment_bytes: int = 5_000_000
    max_text_bytes: int = 1_000_000
    max_id_chars: int = 400
    body_timeout_s: float = 60.0
    read_timeout_s: float = 15.0
    read_cpu_s: float = 5.0
    max_unreadable: int = 200
    max_unreadable_bytes: int = 200_000_000

    def check_text(self, size_bytes: int) -> None:
        """See whether this many bytes, still in their own encoding, may be text; before they are decoded.

        Raises:
            PushTooLarge: they are too many; UTF-16 may take twice as many as UTF-8.
        """
        if size_bytes > 2 * self.max_text_bytes:
            raise PushTooLarge(f"{size_bytes:,} bytes of text, at most {self.max_text_bytes:,} are taken in")


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
