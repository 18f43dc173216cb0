"""The gateway's form, read: an incoming message, or a notice of what became of a sent one.

Comes in: a request's body, its Content-Type and its query. Goes out: an :class:`Incoming`. Never: a look into an
attachment beyond its transport encoding, or a refusal of something that can be understood.

The gateway's document names the fields and leaves the rest open, so both form encodings are read, fields in the
query too, attachments as base64 or as uploaded files, ``X`` with gaps and in any order, and any charset. A message has
``from``, ``subject``, ``message``, ``id`` and any number of attachments; a delivery notice ``msgid``, ``dlrstatus``,
``dlr_err`` and ``donedate``, which stay as they are.

Everything is counted before it is built.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from urllib.parse import unquote_to_bytes

from mmsprep.errors import EnvelopeTooLarge, MalformedEnvelope, MalformedPush, PushTooLarge
from mmsprep.message.mime import Entity, parse_multipart
from mmsprep.receive.characters import characters_of, storable
from mmsprep.receive.incoming import Incoming, PushDoor, PushedPart, What
from mmsprep.receive.limits import Limits, within

_NUMBERED = re.compile(r"(attachment|content_type|content_name)\[?([0-9]{1,9})\]?", re.ASCII | re.IGNORECASE)
_MOST_ESCAPES = 1_000_000
"""Bytes written as ``%41``: each costs far more than a plain one, and base64 needs few of them."""
_PIECE_BYTES = 65_536
_PLAIN = ("id", "from", "subject", "message")
_NOTICE = ("msgid", "dlrstatus", "dlr_err", "donedate")
_DATA_URL = re.compile(rb"data:[\w.+-]{0,80}/?[\w.+-]{0,80}(?:;[\w.+=-]{1,80}){0,5};base64,", re.ASCII | re.IGNORECASE)


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


def parse_form(content_type: str, body: bytes, limits: Limits, query: str = "") -> Incoming:
    """Read a pushed form.

    Raises:
        MalformedPush: it is no form, or holds nothing of a message or a notice.
        PushTooLarge: more fields, attachments or text than ``limits`` let in.
    """
    fields = _fields(Entity((("Content-Type", content_type),), body), query, limits)
    if len(fields) > limits.max_fields:
        raise _too_many(len(fields), limits)
    named: dict[str, _Field] = {}
    numbered: dict[str, dict[int, list[_Field]]] = {"attachment": {}, "content_type": {}, "content_name": {}}
    stray: list[_Field] = []
    other: list[_Field] = []
    for one in fields:
        match = _NUMBERED.fullmatch(one.name)
        name = one.name.lower()
        if match:
            numbered[match[1].lower()].setdefault(int(match[2]), []).append(one)
        elif one.is_file:
            # An upload under a name that nobody announced is still something that somebody sent.
            stray.append(one)
        elif name in (*_PLAIN, *_NOTICE) and name not in named:
            named[name] = one
        else:
            other.append(one)
    said = [one for what in ("content_type", "content_name") for found in numbered[what].values() for one in found]
    limits.check_text(sum(len(one.name) + len(one.value) for one in (*named.values(), *other, *said)))
    extra = [(storable(one.name), one.text) for one in other]
    parts = [*_parts(numbered, extra), *(_part(one, "", "") for one in stray if one.value or one.file_name)]
    words = {name: one.text for name, one in named.items()}
    is_message = bool(parts) or any(words.get(name) for name in ("message", "subject"))
    if not is_message and any(words.get(name, "").strip() for name in ("msgid", "dlrstatus")):
        return within(_notice(words, extra), limits)
    extra += [(name, words[name]) for name in _NOTICE if name in words]
    if not is_message and not any(words.get(name) for name in _PLAIN):
        raise MalformedPush(
            f"the form has none of the fields {', '.join(_PLAIN)}, no attachment, and neither {_NOTICE[0]} nor"
            f" {_NOTICE[1]}"
        )
    incoming = Incoming(
        what=What.MESSAGE,
        door=PushDoor.FORM,
        id=words.get("id", "").strip(),
        sender=words.get("from", "").strip(),
        subject=words.get("subject", ""),
        text=words.get("message", ""),
        extra=tuple(extra),
        parts=tuple(parts),
    )
    return within(incoming, limits)


def _notice(words: dict[str, str], extra: list[tuple[str, str]]) -> Incoming:
    """A delivery notice; it has no id of its own, and whatever else came with it is kept."""
    return Incoming(
        what=What.DELIVERY_REPORT,
        door=PushDoor.FORM,
        id=words.get("id", "").strip(),
        sender=words.get("from", "").strip(),
        about_id=words.get("msgid", "").strip(),
        status=words.get("dlrstatus", "").strip(),
        status_text=words.get("dlr_err", "").strip(),
        sent_at=words.get("donedate", "").strip(),
        extra=tuple(extra),
    )


def _too_many(found: int, limits: Limits) -> PushTooLarge:
    return PushTooLarge(f"{found:,} fields, at most {limits.max_fields:,} are taken in")


def _fields(form: Entity, query: str, limits: Limits) -> list[_Field]:
    asked = _urlencoded(query.encode("utf-8", "surrogateescape"), "", limits)
    if form.content_type.startswith("multipart/"):
        return [*_uploaded(form, limits), *asked]
    if form.content_type not in ("application/x-www-form-urlencoded", ""):
        if asked and not form.body.strip():
            return asked
        raise MalformedPush(f"expected a form, found Content-Type {form.content_type[:100]!r}")
    return [*_urlencoded(form.body, form.parameter("charset"), limits), *asked]


def _uploaded(form: Entity, limits: Limits) -> list[_Field]:
    try:
        # HTTP has said that the body is whole, so the last part is, with or without a closing boundary.
        entities = parse_multipart(form, most_entities=limits.max_fields, must_close=False)
    except EnvelopeTooLarge as error:
        raise PushTooLarge(f"the form is too large: {error}") from None
    except MalformedEnvelope as error:
        raise MalformedPush(f"the form cannot be read: {error}") from None
    fields = [_from_entity(entity, form.parameter("charset")) for entity in entities]
    # RFC 7578: a field of this name says which charset the others are in.
    said = next((one.value[:100].decode("ascii", "replace") for one in fields if one.name == "_charset_"), "")
    return [replace(one, charset=one.charset or said) for one in fields if one.name != "_charset_"]


def _urlencoded(raw: bytes, charset: str, limits: Limits) -> list[_Field]:
    whole = raw.strip(b"\r\n\t &")
    if not whole:
        return []
    if whole.count(b"&") > 2 * limits.max_fields:
        raise _too_many(whole.count(b"&") + 1, limits)
    if whole.count(b"%") > _MOST_ESCAPES:
        raise PushTooLarge(f"more than {_MOST_ESCAPES:,} escaped bytes in the form")
    pairs = [pair for pair in whole.split(b"&") if pair]
    return [_from_pair(pair, charset) for pair in pairs]


def _from_pair(pair: bytes, charset: str) -> _Field:
    name, _, value = (_unescaped(half.replace(b"+", b" ")) for half in pair.partition(b"="))
    return _Field(characters_of(name, charset).strip(), value, charset)


def _unescaped(raw: bytes) -> bytes:
    """``raw`` with its ``%41`` taken off: piece by piece, because Python makes an object of every one of them."""
    if b"%" not in raw:
        return raw
    pieces = []
    start = 0
    while start < len(raw):
        end = start + _PIECE_BYTES
        # An escape that would be cut goes to the next piece.
        cut = raw.rfind(b"%", max(start + 1, end - 2), end) if end < len(raw) else -1
        end = cut if cut > 0 else end
        pieces.append(unquote_to_bytes(raw[start:end]))
        start = end
    return b"".join(pieces)


def _from_entity(entity: Entity, charset: str) -> _Field:
    encoding = entity.header("Content-Transfer-Encoding").strip().lower()
    try:
        value = entity.data
    except MalformedEnvelope:
        value = entity.body
    return _Field(
        entity.parameter("name", "Content-Disposition").strip(),
        value,
        entity.parameter("charset") or charset,
        entity.file_name,
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
    packed = value.strip()
    if b"%" in packed and packed.count(b"%") <= _MOST_ESCAPES:
        # Encoded for the form twice; base64 has no such letter.
        packed = _unescaped(packed)
    if begun := _DATA_URL.match(packed):
        packed = packed[begun.end() :]
    # A plus that was not escaped in the form has become a blank; line ends are folding.
    packed = packed.replace(b" ", b"+").translate(bytes.maketrans(b"-_", b"+/"), b"\r\n\t").rstrip(b"=")
    try:
        data = binascii.a2b_base64(packed + b"=" * (-len(packed) % 4), strict_mode=True)
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
