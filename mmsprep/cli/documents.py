"""What ``--json`` prints beside ``message.json``: inspections, deliveries, statuses.

The documents are a contract, described in ``docs/message-json.md``: keys are only ever added.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from mmsprep.message.document import SCHEMA, Json, document, info_document

if TYPE_CHECKING:
    from mmsprep.delivery import Delivery
    from mmsprep.doctor import Check
    from mmsprep.errors import MmsprepError
    from mmsprep.message.message import Message
    from mmsprep.mm7.status import Status
    from mmsprep.pipeline.job import Inspection
    from mmsprep.profile import Profile, Suggestion


def inspection_document(inspections: Iterable[Inspection], profile: Profile) -> Json:
    """What ``inspect --json`` prints."""
    return {
        "schema": SCHEMA,
        "profile": profile.name,
        "files": [
            {
                "index": one.index,
                "path": one.name,
                "size_bytes": one.size_bytes,
                "source": info_document(one.info) if one.info else None,
                "row": one.plan.row if one.plan else None,
                "support": one.plan.support if one.plan else None,
                "action": one.plan.action if one.plan else None,
                "target": one.plan.target if one.plan else None,
                "targets": one.plan.targets if one.plan else [],
                "reasons": [asdict(reason) for reason in one.plan.reasons] if one.plan else [],
                "error": {"code": one.error.code, "message": str(one.error)} if one.error else None,
            }
            for one in inspections
        ],
    }


def delivery_document(
    deliveries: Iterable[Delivery], messages: Sequence[Message], stopped: MmsprepError | None = None
) -> Json:
    """What ``send --json`` prints: the messages as they were prepared, and what became of each for each recipient.

    ``stopped`` is what ended it before all recipients were reached.
    """
    return {
        "schema": SCHEMA,
        "message": document(messages[0]),
        "messages": [document(message) for message in messages],
        "recipients": [_delivery(one) for one in deliveries],
        "error": _error(stopped),
    }


def _error(error: MmsprepError | None) -> Json | None:
    return {"code": error.code, "message": str(error), "exit_status": error.exit_status} if error else None


def _delivery(delivery: Delivery) -> Json:
    receipt, error = delivery.receipt, delivery.error
    told = receipt or error
    return {
        "to": delivery.recipient,
        "number": delivery.number,
        "count": delivery.count,
        "accepted": receipt is not None,
        "earlier": receipt is not None and receipt.earlier,
        "message_id": receipt.message_id if receipt else None,
        "via": receipt.via if receipt else None,
        "attempts": receipt.attempts if receipt else None,
        "transaction_id": (told.transaction_id if told else "") or None,
        "status_code": told.status_code if told else None,
        "raw_reply": told.raw_reply if told else "",
        "error": _error(error),
        "steps": list(delivery.steps),
        "profile": delivery.message.profile,
        "total_bytes": delivery.message.total_bytes,
        "sha256": delivery.message.sha256,
    }


def suggestions_document(country: str, found: Sequence[Suggestion]) -> Json:
    """``profiles suggest --json``."""
    return {"schema": SCHEMA, "country": country, "networks": [asdict(one) for one in found]}


def status_document(statuses: Iterable[Status]) -> Json:
    """What ``status --json`` prints."""
    return {
        "schema": SCHEMA,
        "statuses": [
            {
                "code": one.code,
                "text": one.text,
                "meaning": one.meaning,
                "class": one.status_class,
                "advice": one.advice,
                "next_step": one.next_step,
                "repeated": one.repeated,
                "known": one.known,
            }
            for one in statuses
        ],
    }


def diagnosis_document(checks: Sequence[Check]) -> Json:
    """What ``doctor --json`` prints."""
    return {"schema": 1, "checks": [asdict(check) for check in checks]}
