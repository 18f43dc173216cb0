"""The gateway's form, read: ``from``, ``subject``, ``message``, ``id`` and any number of attachments.

Comes in: a request's body and its Content-Type. Goes out: an :class:`Incoming`. Never: a look into an
attachment beyond its transport encoding, or a refusal of something that can be understood.

The gateway's document names the fields and leaves the rest open, so both form encodings are read,
attachments as base64 or as uploaded files, ``X`` with gaps and in any order, and any charset.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from email.message import Message as Headers
from urllib.parse import unquote_to_bytes

from mmsprep.errors import MalformedEnvelope, MalformedPush, PushTooLarge
from mmsprep.message.mime import Entity, parse_multipart
from mmsprep.receive.characters import characters_of, storable
from mmsprep.receive.incoming import Door, Incoming, PushedPart, What
from mmsprep.receive.limits import Limits, within

_NUMBERED = re.compile(r"(attachment|content_type|content_name)\[?([0-9]{1,9})\]?", re.ASCII | re.IGNORECASE)
_MOST_ENTITIES = 10_000
_PLAIN = ("id", "from", "subject", "message")


@dataclass(frozen=True, slots=True)
class _Field:
    """One field as it came; ``file_name`` and ``part_type`` are ``None`` where it was no uploaded file."""

    name: str
    value: bytes = field(repr=False)
    charset: str = ""
    file_name: str | None = None
    part_type: str = ""
    is_base64_file: bool = False

    @property
    def is_file(self) -> bool:
        return self.file_name is not None

    @property
    def text(self) -> str:
        return characters_of(self.value, self.charset)


def parse_form(content_type: str, body: bytes, limits: Limits) -> Incoming:
    """Read a pushed form.

    Raises:
        MalformedPush: it is no form, or holds nothing of a message.
        PushTooLarge: more fields, attachments or text than ``limits`` let in.
    """
    fields = _fields(Entity((("Content-Type", content_type),), body))
    if len(fields) > limits.max_fields:
        raise PushTooLarge(f"{len(fields):,} fields, at most {limits.max_fields:,} are taken in")
    named: dict[str, str] = {}
    numbered: dict[str, dict[int, list[_Field]]] = {"attachment": {}, "content_type": {}, "content_name": {}}
    stray: list[_Field] = []
    extra: list[tuple[str, str]] = []
    for one in fields:
        match = _NUMBERED.fullmatch(one.name)
        if match:
            numbered[match[1].lower()].setdefault(int(match[2]), []).append(one)
        elif one.is_file:
            # An upload under a name that nobody announced is still something that somebody sent.
            stray.append(one)
        elif one.name.lower() in _PLAIN and one.name.lower() not in named:
            named[one.name.lower()] = one.text
        else:
            extra.append((storable(one.name), one.text))
    parts = [*_parts(numbered, extra), *(_part(one, "", "") for one in stray if one.value or one.file_name)]
    if not parts and not any(named.get(name) for name in _PLAIN):
        raise MalformedPush(f"the form has none of the fields {', '.join(_PLAIN)} and no attachment")
    incoming = Incoming(
        what=What.MESSAGE,
        door=Door.FORM,
        id=named.get("id", "").strip(),
        sender=named.get("from", "").strip(),
        subject=named.get("subject", ""),
        text=named.get("message", ""),
        extra=tuple(extra),
        parts=tuple(parts),
    )
    return within(incoming, limits)


def _fields(form: Entity) -> list[_Field]:
    if form.content_type.startswith("multipart/"):
        try:
            entities = parse_multipart(form, most_entities=_MOST_ENTITIES)
        except MalformedEnvelope as error:
            raise MalformedPush(f"the form cannot be read: {error}") from None
        fields = [_from_entity(entity, form.parameter("charset")) for entity in entities]
        # RFC 7578: a field of this name says which charset the others are in.
        said = next((one.value.decode("ascii", "replace") for one in fields if one.name == "_charset_"), "")
        return [
            _Field(one.name, one.value, one.charset or said, one.file_name, one.part_type, one.is_base64_file)
            for one in fields
            if one.name != "_charset_"
        ]
    if form.content_type not in ("application/x-www-form-urlencoded", ""):
        raise MalformedPush(f"expected a form, found Content-Type {form.content_type[:100]!r}")
    pairs = form.body.strip(b"\r\n").split(b"&") if form.body.strip() else []
    return [_from_pair(pair, form.parameter("charset")) for pair in pairs if pair]


def _from_pair(pair: bytes, charset: str) -> _Field:
    name, _, value = (unquote_to_bytes(half.replace(b"+", b" ")) for half in pair.partition(b"="))
    return _Field(characters_of(name, charset).strip(), value, charset)


def _from_entity(entity: Entity, charset: str) -> _Field:
    disposition = Headers()
    disposition["Content-Disposition"] = entity.header("Content-Disposition") or "form-data"
    name = disposition.get_param("name", "", header="Content-Disposition")
    file_name = disposition.get_filename()
    encoding = entity.header("Content-Transfer-Encoding").strip().lower()
    try:
        value = entity.data
    except MalformedEnvelope:
        value = entity.body
    return _Field(
        (name if isinstance(name, str) else name[2]).strip(),
        value,
        entity.parameter("charset") or charset,
        file_name,
        entity.content_type,
        encoding == "base64",
    )


def _parts(numbered: dict[str, dict[int, list[_Field]]], extra: list[tuple[str, str]]) -> Iterable[PushedPart]:
    """The attachments in the order of their numbers; what is said of one that never came goes to ``extra``."""
    said = {what: numbered[what] for what in ("content_type", "content_name")}
    for index in sorted(numbered["attachment"]):
        declared_type, declared_name = (_first(said[what].get(index)) for what in said)
        for one in numbered["attachment"][index]:
            if one.value or one.file_name or declared_type or declared_name:
                yield _part(one, declared_type, declared_name)
    for what, fields in said.items():
        for index in sorted(fields.keys() - numbered["attachment"].keys()):
            extra += [(f"{what}{index}", one.text) for one in fields[index]]


def _first(fields: list[_Field] | None) -> str:
    return fields[0].text.strip() if fields else ""


def _part(one: _Field, declared_type: str, declared_name: str) -> PushedPart:
    declared_type = declared_type or one.part_type
    data = one.value if one.is_file else _unwrapped(one.value, declared_type)
    return PushedPart(
        data=data,
        declared_type=storable(declared_type),
        declared_name=declared_name or storable(one.file_name or ""),
    )


def _unwrapped(value: bytes, declared_type: str) -> bytes:
    """An attachment's bytes with base64 taken off, or as they came where they are no base64.

    A word such as "test" happens to be base64 of something: declared as text, and not becoming any, it is kept.
    """
    # A plus that was not escaped in the form has become a blank; line ends are folding.
    packed = value.strip().replace(b" ", b"+").translate(bytes.maketrans(b"-_", b"+/"), b"\r\n\t")
    try:
        data = binascii.a2b_base64(packed.rstrip(b"=") + b"=" * (-len(packed.rstrip(b"=")) % 4), strict_mode=True)
    except binascii.Error:
        return value
    is_word = declared_type.lower().startswith("text/") and packed.isalpha()
    return value if is_word and not _is_utf8(data) else data


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
