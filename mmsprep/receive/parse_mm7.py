"""MM7 from a relay, read: DeliverReq with its content, DeliveryReportReq, ReadReplyReq.

Comes in: a request's body and its Content-Type. Goes out: the envelope, and an :class:`Incoming`. Never: a
part of the content left out, whether or not the presentation mentions it.

The content is what stands beside the envelope: one part, several, or multiparts inside one another.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mmsprep import mm7
from mmsprep.errors import EnvelopeTooLarge, MalformedEnvelope, MalformedPush, PushTooLarge
from mmsprep.message.mime import Entity, parse_multipart, root_of
from mmsprep.receive.characters import characters_of, storable
from mmsprep.receive.incoming import Incoming, PushDoor, PushedPart, What
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
        entities = [whole] if _is_bare(whole) else parse_multipart(whole, must_close=False)
        root = root_of(whole, entities)
        push = mm7.parse_push(root.data, root.parameter("charset"))
        counted = _Counted(limits.max_attachments)
        leaves = list(_leaves([entity for entity in entities if entity is not root], _MOST_NESTED, counted))
    except EnvelopeTooLarge as error:
        raise PushTooLarge(f"the MM7 request is too large: {error}") from None
    except MalformedEnvelope as error:
        raise MalformedPush(f"the MM7 request cannot be read: {error}") from None
    limits.check_text(sum(len(leaf.body) for leaf in leaves if leaf.content_type == "text/plain"))
    incoming = Incoming(
        what=_KINDS[push.kind],
        door=PushDoor.MM7,
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


def _is_bare(whole: Entity) -> bool:
    """Whether the body is the envelope itself; some relays call it a multipart all the same, without a boundary."""
    if not whole.content_type.startswith("multipart/"):
        return True
    return not whole.parameter("boundary") and whole.body.lstrip()[:1] == b"<"


@dataclass(slots=True)
class _Counted:
    """How many more parts may come, in all the multiparts of a push together."""

    left: int

    def take(self, parts: int) -> None:
        self.left -= parts
        if self.left < 0:
            raise EnvelopeTooLarge("its multiparts have more parts than attachments are taken in")


def _leaves(entities: Sequence[Entity], depth: int, counted: _Counted) -> Iterator[Entity]:
    counted.take(len(entities))
    for entity in entities:
        if not entity.content_type.startswith("multipart/"):
            yield entity
        elif depth == 0:
            raise MalformedEnvelope(f"multiparts are nested more than {_MOST_NESTED} deep")
        elif (inner := _inside(entity)) is None:
            yield entity
        else:
            counted.left += 1
            yield from _leaves(inner, depth - 1, counted)


def _inside(entity: Entity) -> list[Entity] | None:
    """What is in a multipart: nothing in an empty one; ``None`` where it cannot be read, and is kept as it came."""
    data = _data(entity)
    if not data.replace(b"--" + entity.parameter("boundary").encode("ascii", "replace"), b"").strip(b"-\r\n\t "):
        return []
    try:
        return parse_multipart(Entity(entity.headers, data), must_close=False)
    except MalformedEnvelope:
        return None


def _data(entity: Entity) -> bytes:
    """A part's bytes; as they came where they are not in the transfer encoding that it claims."""
    try:
        return entity.data
    except MalformedEnvelope:
        return entity.body


def _text(entity: Entity) -> str:
    return characters_of(_data(entity), entity.parameter("charset"))


def _part(entity: Entity) -> PushedPart:
    names = (entity.file_name, entity.parameter("name"), entity.header("Content-Location"), entity.content_id)
    return PushedPart(
        data=_data(entity),
        declared_type=storable(entity.content_type),
        declared_name=storable(next((name.strip() for name in names if name and name.strip()), "")),
    )


def _number(address: str) -> str:
    return storable(_PLMN.sub("", address))
