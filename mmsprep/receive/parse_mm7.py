"""MM7 from a relay, read: DeliverReq with its content, DeliveryReportReq, ReadReplyReq.

Comes in: a request's body and its Content-Type. Goes out: the envelope, and an :class:`Incoming`. Never: a
part of the content left out, whether or not the presentation mentions it.

The content is what stands beside the envelope: one part, several, or multiparts inside one another.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from email.message import Message as Headers

from mmsprep import mm7
from mmsprep.errors import MalformedEnvelope, MalformedPush
from mmsprep.message.mime import Entity, parse_multipart, root_of
from mmsprep.receive.characters import characters_of, storable
from mmsprep.receive.incoming import Door, Incoming, PushedPart, What
from mmsprep.receive.limits import Limits, within

_KINDS = {"DeliverReq": What.MESSAGE, "DeliveryReportReq": What.DELIVERY_REPORT, "ReadReplyReq": What.READ_REPLY}
_MOST_NESTED = 5
_PLMN = re.compile(r"/TYPE=PLMN\Z", re.IGNORECASE)
"""What MMS adds to a number to say that it is one (TS 23.140, 8.4.5)."""


def parse_mm7(content_type: str, body: bytes, limits: Limits) -> tuple[mm7.Push, Incoming]:
    """Read what a relay pushed.

    Returns:
        The envelope, which the answer must match, and what came in.

    Raises:
        MalformedPush: it is no MM7 that can be understood.
        PushTooLarge: more attachments or text than ``limits`` let in.
    """
    whole = Entity((("Content-Type", content_type),), body)
    try:
        entities = parse_multipart(whole) if whole.content_type.startswith("multipart/") else [whole]
        root = root_of(whole, entities)
        push = mm7.parse_push(root.data)
        leaves = list(_leaves([entity for entity in entities if entity is not root], _MOST_NESTED))
    except MalformedEnvelope as error:
        raise MalformedPush(f"the MM7 request cannot be read: {error}") from None
    incoming = Incoming(
        what=_KINDS[push.kind],
        door=Door.MM7,
        id=storable(push.linked_id or push.transaction_id),
        sender=_number(push.sender),
        recipients=tuple(map(_number, push.recipients)),
        subject=storable(push.subject),
        text="\n".join(_text(leaf) for leaf in leaves if leaf.content_type == "text/plain"),
        about_id=storable(push.message_id),
        status=storable(push.status),
        status_text=storable(push.status_text),
        sent_at=storable(push.timestamp),
        parts=tuple(map(_part, leaves)),
    )
    return push, within(incoming, limits)


def _leaves(entities: Iterable[Entity], depth: int) -> Iterator[Entity]:
    for entity in entities:
        if not entity.content_type.startswith("multipart/"):
            yield entity
        elif depth == 0:
            raise MalformedEnvelope(f"multiparts are nested more than {_MOST_NESTED} deep")
        else:
            yield from _leaves(parse_multipart(Entity(entity.headers, _data(entity))), depth - 1)


def _data(entity: Entity) -> bytes:
    """A part's bytes; as they came where they are not in the transfer encoding that it claims."""
    try:
        return entity.data
    except MalformedEnvelope:
        return entity.body


def _text(entity: Entity) -> str:
    return characters_of(_data(entity), entity.parameter("charset"))


def _part(entity: Entity) -> PushedPart:
    disposition = Headers()
    disposition["Content-Disposition"] = entity.header("Content-Disposition") or "attachment"
    names = (
        disposition.get_filename(),
        entity.parameter("name"),
        entity.header("Content-Location"),
        entity.content_id,
    )
    return PushedPart(
        data=_data(entity),
        declared_type=storable(entity.content_type),
        declared_name=storable(next((name.strip() for name in names if name and name.strip()), "")),
    )


def _number(address: str) -> str:
    return storable(_PLMN.sub("", address))
