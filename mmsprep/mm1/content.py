"""Content types and multipart bodies as WSP writes them.

Comes in: MIME entities, or the bytes of a body. Goes out: the other. Never: more parts or deeper nesting than a
message has, or a length that is believed before it was checked.

Source: WAP-230-WSP 8.4.2.24 (content types), 8.5 (multipart); the numbers are the WINA's assigned ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from email.message import Message as Headers

from mmsprep.errors import OverInputLimit
from mmsprep.message.mime import Entity
from mmsprep.mm1 import wsp
from mmsprep.mm1.wsp import CHARSETS, Reader

MOST_PARTS = 100
_DEEPEST = 3
_MOST_HEADERS = 100
_MULTIPART = "application/vnd.wap.multipart."

_MEDIA_TYPES = (
    "*/*", "text/*", "text/html", "text/plain", "text/x-hdml", "text/x-ttml", "text/x-vCalendar", "text/x-vCard",
    "text/vnd.wap.wml", "text/vnd.wap.wmlscript", "text/vnd.wap.wta-event", "multipart/*", "multipart/mixed",
    "multipart/form-data", "multipart/byteranges", "multipart/alternative", "application/*", "application/java-vm",
    "application/x-www-form-urlencoded", "application/x-hdmlc", "application/vnd.wap.wmlc",
    "application/vnd.wap.wmlscriptc", "application/vnd.wap.wta-eventc", "application/vnd.wap.uaprof",
    "application/vnd.wap.wtls-ca-certificate", "application/vnd.wap.wtls-user-certificate",
    "application/x-x509-ca-cert", "application/x-x509-user-cert", "image/*", "image/gif", "image/jpeg", "image/tiff",
    "image/png", "image/vnd.wap.wbmp", f"{_MULTIPART}*", f"{_MULTIPART}mixed", f"{_MULTIPART}form-data",
    f"{_MULTIPART}byteranges", f"{_MULTIPART}alternative", "application/xml", "text/xml", "application/vnd.wap.wbxml",
    "application/x-x968-cross-cert", "application/x-x968-ca-cert", "application/x-x968-user-cert",
    "text/vnd.wap.si", "application/vnd.wap.sic", "text/vnd.wap.sl", "application/vnd.wap.slc", "text/vnd.wap.co",
    "application/vnd.wap.coc", f"{_MULTIPART}related", "application/vnd.wap.sia",
    "text/vnd.wap.connectivity-xml", "application/vnd.wap.connectivity-wbxml", "application/pkcs7-mime",
    "application/vnd.wap.hashed-certificate", "application/vnd.wap.signed-certificate",
    "application/vnd.wap.cert-response", "application/xhtml+xml", "application/wml+xml", "text/css",
    "application/vnd.wap.mms-message", "application/vnd.wap.rollover-certificate",
    "application/vnd.wap.locc+wbxml", "application/vnd.wap.loc+xml", "application/vnd.syncml.dm+wbxml",
    "application/vnd.syncml.dm+xml", "application/vnd.syncml.notification", "application/vnd.wap.xhtml+xml",
    "application/vnd.wv.csp.cir", "application/vnd.oma.dd+xml", "application/vnd.oma.drm.message",
    "application/vnd.oma.drm.content", "application/vnd.oma.drm.rights+xml", "application/vnd.oma.drm.rights+wbxml",
)  # fmt: skip
_CODES = {
    name.lower(): code for code, name in enumerate(_MEDIA_TYPES) if code <= _MEDIA_TYPES.index("image/vnd.wap.wbmp")
}
"""Those that are written as numbers: what encoding version 1.1 knew, which every phone reads."""
_CODES[f"{_MULTIPART}mixed"] = 0x23
_CODES[f"{_MULTIPART}alternative"] = 0x26
_CODES[f"{_MULTIPART}related"] = 0x33

_CHARSET, _NAME, _TYPE, _START = 0x01, 0x05, 0x09, 0x0A
_PARAMETERS = {
    0x02: "level", 0x03: "type", _NAME: "name", 0x06: "filename", 0x07: "differences", _TYPE: "type", _START: "start",
    0x0B: "start-info", 0x0C: "comment", 0x0D: "domain", 0x0E: "max-age", 0x0F: "path", 0x16: "size", 0x17: "name",
    0x18: "filename", 0x19: "start", 0x1A: "start-info", 0x1B: "comment", 0x1C: "domain", 0x1D: "path",
}  # fmt: skip
_LOCATION, _ID, _OLD_DISPOSITION, _DISPOSITION = 0x0E, 0x40, 0x2E, 0x45


def encode_content_type(entity: Entity) -> bytes:
    """A MIME entity's content type with the parameters that mean something to a phone."""
    media_type = entity.content_type
    if media_type.startswith("multipart/"):
        media_type = _MULTIPART + media_type.removeprefix("multipart/")
    code = _CODES.get(media_type)
    written = wsp.text(media_type) if code is None else wsp.short_integer(code)
    parameters = b"".join(_encode_parameter(entity, name) for name in ("charset", "type", "start", "name"))
    if not parameters:
        return written
    return wsp.value_length(len(written + parameters)) + written + parameters


def _encode_parameter(entity: Entity, name: str) -> bytes:
    value = entity.parameter(name)
    if not value:
        return b""
    if name == "charset":
        known = next((number for number, charset in CHARSETS.items() if charset == value.lower()), None)
        return b"" if known is None else wsp.short_integer(_CHARSET) + wsp.integer(known)
    if name == "type":
        code = _CODES.get(value.lower())
        return wsp.short_integer(_TYPE) + (wsp.text(value) if code is None else wsp.short_integer(code))
    return wsp.short_integer({"start": _START, "name": _NAME}[name]) + wsp.text(value)


def encode_parts(entities: Sequence[Entity]) -> bytes:
    """The body of a multipart: how many, then each with the lengths of its headers and its data before it."""
    chunks = [wsp.uintvar(len(entities))]
    for entity in entities:
        head = encode_content_type(entity)
        if entity.content_id:
            head += wsp.short_integer(_ID) + wsp.quoted_string(f"<{entity.content_id}>")
        if location := entity.header("Content-Location"):
            head += wsp.short_integer(_LOCATION) + wsp.text(location)
        data = entity.data
        chunks += [wsp.uintvar(len(head)), wsp.uintvar(len(data)), head, data]
    return b"".join(chunks)


def decode_content_type(reader: Reader) -> str:
    """A content type as MIME writes it, parameters included."""
    first = reader.peek()
    if first > 31:
        return _media_type(reader)
    value = reader.part(reader.value_length(), "a content type")
    written = [_media_type(value)]
    while value.left:
        name, content = _parameter(value)
        if content:
            escaped = content.replace("\\", "\\\\").replace('"', '\\"')
            written.append(f'{name}="{escaped}"')
    return "; ".join(written)


def _media_type(reader: Reader) -> str:
    if 32 <= reader.peek() < 0x80:
        return reader.text().split(";")[0].strip().lower() or "application/octet-stream"
    code = reader.integer()
    return _MEDIA_TYPES[code].lower() if code < len(_MEDIA_TYPES) else f"application/x-wap-{code:#x}"


def _parameter(reader: Reader) -> tuple[str, str]:
    if 32 <= reader.peek() < 0x80:
        name = reader.text().lower()
        return _token(name), _parameter_value(reader)
    code = reader.integer()
    if code == _CHARSET and (reader.peek() >= 0x80 or reader.peek() < 32):
        number = reader.integer()
        return "charset", CHARSETS.get(number, f"x-mibenum-{number}" if number else "")
    if code == 0:
        return "q", str(reader.uintvar())
    if code in (0x03, _TYPE) and reader.peek() >= 0x80:
        return "type", _media_type(reader)
    return _PARAMETERS.get(code, f"x-{code:#x}"), _parameter_value(reader)


def _parameter_value(reader: Reader) -> str:
    first = reader.peek()
    if first == 0:  # No-value
        reader.octet()
        return ""
    if 32 <= first < 0x80:
        return reader.quoted()
    return str(reader.integer())


def _token(name: str) -> str:
    return "".join(letter for letter in name if letter.isascii() and (letter.isalnum() or letter in "-._*")) or "x"


def decode_parts(reader: Reader, name: str, depth: int = 1) -> list[Entity]:
    """The parts of a multipart body, those of a multipart inside it in its place.

    Raises:
        Damaged: a length or a header is not what it can be.
        OverInputLimit: more parts or deeper nesting than a message has.
    """
    if depth > _DEEPEST:
        raise OverInputLimit(name, f"has multiparts in multiparts, more than {_DEEPEST} deep")
    count = reader.uintvar()
    if count > MOST_PARTS:
        raise OverInputLimit(name, f"has {count:,} parts, at most {MOST_PARTS} are read")
    found: list[Entity] = []
    for number in range(1, count + 1):
        head_bytes, data_bytes = reader.uintvar(), reader.uintvar()
        head = reader.part(head_bytes, f"the headers of part {number}")
        body = reader.part(data_bytes, f"the data of part {number}")
        entity = Entity(_part_headers(head), body.take(body.left))
        if entity.content_type.startswith(_MULTIPART):
            inner = Reader(entity.body, name, f"the multipart in part {number}")
            found += decode_parts(inner, name, depth + 1)
        else:
            found.append(entity)
        if len(found) > MOST_PARTS:
            raise OverInputLimit(name, f"has more than {MOST_PARTS} parts")
    return found


def _part_headers(head: Reader) -> tuple[tuple[str, str], ...]:
    headers = [("Content-Type", decode_content_type(head))]
    while head.left:
        if len(headers) > _MOST_HEADERS:
            raise head.damaged(f"there are more than {_MOST_HEADERS}")
        first = head.peek()
        if 32 <= first < 0x80:
            headers.append((_token(head.text()), head.text()))
            continue
        code = head.integer()
        if code == _ID:
            headers.append(("Content-ID", head.quoted()))
        elif code == _LOCATION:
            headers.append(("Content-Location", head.text()))
        elif code in (_OLD_DISPOSITION, _DISPOSITION):
            headers += _disposition(head)
        else:
            head.value()
    return tuple(headers)


def _disposition(head: Reader) -> list[tuple[str, str]]:
    """``Content-Disposition``; of it the file's name counts."""
    if head.peek() >= 0x80:
        head.octet()
        return []
    value = head.part(head.value_length(), "a Content-Disposition")
    kind = {0: "form-data", 1: "attachment", 2: "inline"}.get(value.integer()) if value.peek() >= 0x80 else value.text()
    disposition = Headers()
    disposition["Content-Disposition"] = _token(kind or "attachment")
    while value.left:
        name, content = _parameter(value)
        disposition.set_param(name, content, header="Content-Disposition")
    return [("Content-Disposition", str(disposition["Content-Disposition"]))]
