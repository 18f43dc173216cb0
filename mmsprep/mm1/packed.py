"""A prepared message as one PDU.

Comes in: a message and who it is for. Goes out: the PDU. Never: a change to what was prepared.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence

from mmsprep.message import Message
from mmsprep.mm1.pdu import encode_retrieved, encode_send


def pack_message(
    message: Message,
    *,
    recipients: Sequence[str] = (),
    sender: str = "",
    retrieved: bool = False,
    delivery_report: bool = False,
) -> bytes:
    """Encode ``message`` as an M-Send.req, or as the M-Retrieve.conf that its recipient would get.

    The PDU is never larger than :attr:`Message.total_bytes`: its headers are numbers where MIME's are words.

    Args:
        message: what ``prepare`` made.
        recipients: MSISDNs in digits.
        sender: an MSISDN in digits; empty: left to the relay.
        retrieved: as the recipient's phone gets it.
        delivery_report: an M-Send.req asks for one.
    """
    content, name = message.content(), uuid.uuid4().hex
    if retrieved:
        return encode_retrieved(
            content,
            message_id=f"<{name}@mmsprep>",
            sent_at_s=int(time.time()),
            recipients=recipients,
            sender=sender,
            subject=message.subject,
        )
    return encode_send(
        content,
        transaction_id=name,
        recipients=recipients,
        sender=sender,
        subject=message.subject,
        delivery_report=delivery_report,
    )
