"""The content of a message: its parts, its presentation and its exact size, whichever door it came by.

Comes in: the multipart that MM7 carries, or the fields of a form (which the gateway makes such a multipart
of). Goes out: a :class:`SubmittedContent`, or :class:`Refused`. Never: anything about accounts or addresses.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from xml.etree import ElementTree

from defusedxml import DefusedXmlException
from defusedxml import ElementTree as SafeElementTree

from mmsprep.errors import MalformedEnvelope
from mmsprep.formats import Format
from mmsprep.message import Message
from mmsprep.message.message import SMIL_CONTENT_TYPE, SMIL_NAME, TEXT_NAME
from mmsprep.message.mime import Entity, parse_multipart, root_of
from mmsprep.mm7.schema import local_name
from mmsprep.model import Action, Kind, MediaInfo, Part, Support
from mmsprep.sandbox.exchange import MESSAGE_LIMIT_BYTES, Refused, ShownPart, Slide, SubmittedContent
from mmsprep.sandbox.rules import MAX_ATTACHMENTS, MULTIMEDIA, check_media

_MOST_SLIDES = 100
"""No phone shows that many; the page must not either."""
_MEDIA_TAGS = ("img", "video", "audio", "text", "ref")


def compose(attachments: Sequence[tuple[str, str, Format, bytes]], text: str, text_at_end: bool) -> Entity:
    """The multipart that a form becomes: text first or last, attachments in order, a presentation.

    Attachments of the same name get different ones.

    Args:
        attachments: name, declared type, real format and bytes of each.
        text: the message's own text.
        text_at_end: show the text on the last slide in place of the first.
    """
    taken = {TEXT_NAME, SMIL_NAME}
    parts = tuple(
        Part(
            name=_unused(name, taken),
            content_type=content_type,
            format=found.slug,
            kind=found.kind or Kind.TEXT,
            action=Action.KEEP,
            support=Support.GOOD,
            quality=100.0,
            size_bytes=len(data),
            source_name=name,
            source=MediaInfo(
                format=found.slug, kind=found.kind or Kind.TEXT, content_type=content_type, size_bytes=len(data)
            ),
            data=data,
        )
        for name, content_type, found, data in attachments
    )
    message = Message(profile="", limit_bytes=MESSAGE_LIMIT_BYTES, parts=parts, text=text)
    return message.content(text_at_end=text_at_end)


def _unused(name: str, taken: set[str]) -> str:
    candidates = (f"{count}-{name}" if count else name for count in itertools.count())
    found = next(candidate for candidate in candidates if candidate not in taken)
    taken.add(found)
    return found


def read_content(whole: Entity, subject: str, *, our_ids: bool = False) -> SubmittedContent:
    """Take a message's content apart and check all of it.

    Args:
        whole: ``multipart/related`` with a presentation, ``multipart/mixed`` without, or a single part.
        subject: counts against the limit too.
        our_ids: the Content-IDs are the gateway's own, and nothing to blame the client for.

    Raises:
        Refused: status 2004, with the reason.
    """
    entities, presentation = _open(whole)
    if not our_ids:
        _check_ids(entities)
    bodies = [_data(entity) for entity in entities]
    parts = tuple(_part(entity, body) for entity, body in zip(entities, bodies, strict=True))
    if not parts:
        raise Refused(MULTIMEDIA, "the message has no part to show")
    # The text of the message travels as a part here, and is no attachment there.
    attachments = len(parts) - any(part.format == "text" for part in parts)
    if attachments > MAX_ATTACHMENTS:
        raise Refused(MULTIMEDIA, f"{attachments} attachments, at most {MAX_ATTACHMENTS} are allowed")
    total_bytes = _size_bytes(whole, entities, bodies, presentation, subject)
    if total_bytes > MESSAGE_LIMIT_BYTES:
        raise Refused(
            MULTIMEDIA,
            f"the size of the message is {total_bytes:,} bytes (media, text, subject, presentation, headers),"
            f" over the limit of {MESSAGE_LIMIT_BYTES:,}",
        )
    smil = _data(presentation) if presentation else b""
    slides = _slides(smil, entities) if presentation else tuple(Slide((index,)) for index in range(len(parts)))
    unshown = sorted(set(range(len(parts))) - {index for slide in slides for index in slide.parts})
    return SubmittedContent(
        parts=parts,
        slides=(*slides, *(Slide((index,)) for index in unshown)),
        smil=smil.decode("utf-8", "replace"),
        total_bytes=total_bytes,
        bodies=tuple(bodies),
        remarks=tuple(f"{parts[index].name}: the presentation does not show it" for index in unshown),
    )


def _open(whole: Entity) -> tuple[list[Entity], Entity | None]:
    """The parts to show, and the presentation."""
    if not whole.content_type.startswith("multipart/"):
        return [whole], None
    if whole.content_type not in ("multipart/related", "multipart/mixed"):
        raise Refused(MULTIMEDIA, f"the content is {whole.content_type}, expected multipart/related or multipart/mixed")
    try:
        entities = parse_multipart(whole)
    except MalformedEnvelope as error:
        raise Refused(MULTIMEDIA, f"the content cannot be taken apart: {error}") from None
    presentations = [entity for entity in entities if entity.content_type == SMIL_CONTENT_TYPE]
    if len(presentations) > 1:
        raise Refused(MULTIMEDIA, f"the message has {len(presentations)} presentations, at most one is allowed")
    if whole.content_type == "multipart/mixed" or not presentations:
        if presentations or whole.parameter("type") == SMIL_CONTENT_TYPE:
            raise Refused(MULTIMEDIA, "a presentation is the root of a multipart/related, and here it is not")
        return entities, None
    if root_of(whole, entities) is not presentations[0]:
        raise Refused(MULTIMEDIA, "the root of the multipart/related (its start) is not the presentation")
    return [entity for entity in entities if entity is not presentations[0]], presentations[0]


def _check_ids(entities: Sequence[Entity]) -> None:
    """Relays look parts up by the beginning of their Content-ID, so none may begin another one."""
    ids = [entity.content_id for entity in entities if entity.content_id]
    for one, other in itertools.permutations(ids, 2):
        if other.startswith(one):
            how = "stands twice" if one == other else f"is the beginning of {other[:60]!r}"
            raise Refused(MULTIMEDIA, f"the Content-ID {one[:60]!r} {how}")


def _data(entity: Entity) -> bytes:
    try:
        return entity.data
    except MalformedEnvelope as error:
        raise Refused(MULTIMEDIA, str(error)) from None


def _part(entity: Entity, body: bytes) -> ShownPart:
    name = entity.header("Content-Location") or entity.parameter("name") or entity.content_id or "a part"
    found = check_media(name, entity.content_type or "none", body)
    is_text = found.kind is Kind.TEXT
    return ShownPart(
        name=name,
        content_type=entity.content_type,
        format=found.slug,
        kind=found.kind or Kind.TEXT,
        size_bytes=len(body),
        overhead_bytes=_head_bytes(entity),
        text=body.decode("utf-8", "replace") if is_text else "",
        content_id=entity.content_id,
    )


def _head_bytes(entity: Entity) -> int:
    return sum(len(f"{name}: {value}\r\n".encode()) for name, value in entity.headers) + len(b"\r\n")


def _size_bytes(
    whole: Entity, entities: Sequence[Entity], bodies: Sequence[bytes], presentation: Entity | None, subject: str
) -> int:
    """The whole message in binary: a transfer encoding inside it is a matter of transport."""
    head = f"Subject: {subject}\r\n" if subject else ""
    head += f"Content-Type: {whole.header('Content-Type')}\r\n\r\n"
    saved = sum(len(entity.body) - len(body) for entity, body in zip(entities, bodies, strict=True))
    if presentation:
        saved += len(presentation.body) - len(_data(presentation))
    return len(head.encode()) + len(whole.body) - saved


def _slides(smil: bytes, entities: Sequence[Entity]) -> tuple[Slide, ...]:
    """The slides in the order of the presentation.

    Raises:
        Refused: it is no SMIL, or shows what is not in the message.
    """
    try:
        root: ElementTree.Element = SafeElementTree.fromstring(smil, forbid_dtd=False)
    except (ElementTree.ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise Refused(MULTIMEDIA, f"the presentation is no well-formed SMIL ({error})") from None
    if local_name(root.tag) != "smil":
        raise Refused(MULTIMEDIA, f"the presentation is no SMIL, but <{local_name(root.tag)[:40]}>")
    body = next((one for one in root if local_name(one.tag) == "body"), None)
    tops = {one.get("id", ""): _number(one.get("top", "")) for one in root.iter() if local_name(one.tag) == "region"}
    slides = []
    for step in _steps(body):
        media = [one for one in step.iter() if local_name(one.tag) in _MEDIA_TAGS]
        # Sound has no region; what stands higher on the screen comes first.
        media.sort(key=lambda one: tops.get(one.get("region", ""), 101.0))
        shown = tuple(dict.fromkeys(_place(one, entities) for one in media))
        if shown:
            slides.append(Slide(shown, _seconds(step.get("dur", ""))))
    if not 0 < len(slides) <= _MOST_SLIDES:
        raise Refused(
            MULTIMEDIA, f"the presentation has {len(slides) or 'no'} slides, at most {_MOST_SLIDES} are shown"
        )
    return tuple(slides)


def _steps(body: ElementTree.Element | None) -> Iterator[ElementTree.Element]:
    """The slides: every ``par``, and media that stand in the sequence by themselves."""
    for element in body if body is not None else ():
        for one in element if local_name(element.tag) == "seq" else [element]:
            if local_name(one.tag) in ("par", *_MEDIA_TAGS):
                yield one


def _place(element: ElementTree.Element, entities: Sequence[Entity]) -> int:
    source = element.get("src", "")
    wanted = source.removeprefix("cid:")
    for index, entity in enumerate(entities):
        if source.startswith("cid:"):
            names = [entity.content_id]
        else:
            names = [entity.header("Content-Location"), entity.parameter("name"), entity.content_id]
        if wanted and wanted in names:
            return index
    raise Refused(MULTIMEDIA, f"the presentation shows {source[:60]!r}, which is not in the message")


def _number(text: str) -> float:
    found = re.match(r"[0-9]+(\.[0-9]+)?", text)
    return float(found[0]) if found else 0.0


def _seconds(duration: str) -> float | None:
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(ms|s|min)?", duration.strip())
    return float(found[1]) * {"ms": 0.001, "min": 60.0}.get(found[2], 1.0) if found else None
