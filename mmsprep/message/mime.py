"""MIME multipart bodies, built and read: ``multipart/related`` of an MMS, and one inside another for MM7.

Comes in: entities (headers and a body), or the bytes of a body. Goes out: the other. Never: a decision about
what is inside.

Reading is lenient where relays are known to be sloppy: an unquoted boundary, blank lines before the first
one, bare line feeds, names beyond ASCII in headers.
"""

from __future__ import annotations

import binascii
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from email.message import Message as Headers
from email.parser import HeaderParser

from mmsprep.errors import MalformedEnvelope

_MOST_ENTITIES = 100
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]")


@dataclass(frozen=True, slots=True)
class Entity:
    """One MIME entity: header fields in order, and the body as it stands on the wire."""

    headers: tuple[tuple[str, str], ...]
    body: bytes = field(repr=False)

    def header(self, name: str) -> str:
        """The first field called ``name``, in any case; empty when there is none."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")

    @property
    def content_type(self) -> str:
        """The media type in small letters, without parameters."""
        return self.header("Content-Type").partition(";")[0].strip().lower()

    @property
    def content_id(self) -> str:
        """The Content-ID without its angle brackets."""
        return self.header("Content-ID").strip().removeprefix("<").removesuffix(">")

    def parameter(self, name: str) -> str:
        """A parameter of the content type, e.g. ``boundary``; empty when there is none."""
        headers = Headers()
        headers["Content-Type"] = self.header("Content-Type")
        value = headers.get_param(name, "")
        return value if isinstance(value, str) else value[2]

    @property
    def data(self) -> bytes:
        """The body with its transfer encoding taken off.

        Raises:
            MalformedEnvelope: it is not in the encoding that it claims.
        """
        encoding = self.header("Content-Transfer-Encoding").strip().lower()
        if encoding == "base64":
            try:
                return binascii.a2b_base64(b"".join(self.body.split()), strict_mode=True)
            except binascii.Error as error:
                raise MalformedEnvelope(f"the part {self.content_id!r} is not valid base64 ({error})") from None
        return binascii.a2b_qp(self.body) if encoding == "quoted-printable" else self.body


def build_related(entities: Sequence[Entity], root_type: str) -> Entity:
    """Put ``entities`` into one ``multipart/related``; the first is the root, and has a Content-ID.

    The boundary is of fixed length, stands in none of the bodies, and the same entities give the same one.
    """
    boundary = _boundary([entity.body for entity in entities])
    chunks = []
    for entity in entities:
        head = "".join(f"{name}: {value}\r\n" for name, value in entity.headers)
        chunks += [f"--{boundary}\r\n{head}\r\n".encode(), entity.body, b"\r\n"]
    content_type = f'multipart/related; type="{root_type}"; start="<{entities[0].content_id}>"; boundary="{boundary}"'
    body = b"".join([*chunks, f"--{boundary}--\r\n".encode("ascii")])
    return Entity((("Content-Type", content_type),), body)


def parse_multipart(whole: Entity, *, most_entities: int = _MOST_ENTITIES) -> list[Entity]:
    """The entities of a multipart body, in the order of the wire.

    Raises:
        MalformedEnvelope: it is no multipart, has no usable boundary, no parts, more than ``most_entities``,
            or is cut off before its end.
    """
    boundary = whole.parameter("boundary")
    if not whole.content_type.startswith("multipart/") or not _BOUNDARY.fullmatch(boundary):
        found = whole.header("Content-Type") or "no Content-Type"
        raise MalformedEnvelope(f"expected a multipart with a boundary, found {found[:200]!r}")
    delimiter = re.compile(rb"(?:\A|\r?\n)--" + re.escape(boundary.encode("ascii")) + rb"(--)?[ \t]*(?:\r?\n|\Z)")
    entities: list[Entity] = []
    start: int | None = None
    position = 0
    # A delimiter's line end may be the next one's beginning, so each search starts on the line end before.
    while mark := delimiter.search(whole.body, position):
        if start is not None:
            entities.append(_entity(whole.body[start : max(start, mark.start())]))
        if mark[1]:
            break
        start = mark.end()
        position = start - 1
        if len(entities) > most_entities:
            raise MalformedEnvelope(f"more than {most_entities} parts in one multipart")
    else:
        raise MalformedEnvelope("the multipart is cut off: its closing boundary is missing")
    if not entities:
        raise MalformedEnvelope("the multipart has no parts")
    return entities


def root_of(whole: Entity, entities: Sequence[Entity]) -> Entity:
    """The root of a ``multipart/related``: what ``start`` names, otherwise the first (RFC 2387)."""
    start = whole.parameter("start").strip().removeprefix("<").removesuffix(">")
    return next((entity for entity in entities if start and entity.content_id == start), entities[0])


def _entity(raw: bytes) -> Entity:
    if raw.startswith((b"\r\n", b"\n")):
        return Entity((), raw.partition(b"\n")[2])
    end = re.search(rb"\r?\n\r?\n", raw)
    if end is None:
        raise MalformedEnvelope("a part of the multipart has no blank line after its headers")
    parsed = HeaderParser().parsestr(_header_text(raw[: end.start()]) + "\r\n")
    body = raw[end.end() :]
    return Entity(tuple((name, " ".join(str(value).split())) for name, value in parsed.items()), body)


def _header_text(raw: bytes) -> str:
    """Header fields as text: UTF-8 as browsers and phones write it, otherwise Latin-1."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _boundary(bodies: Sequence[bytes]) -> str:
    seed = hashlib.sha256(b"".join(hashlib.sha256(body).digest() for body in bodies)).digest()
    while True:
        boundary = f"mms-{seed.hex()[:24]}"
        if not any(boundary.encode("ascii") in body for body in bodies):
            return boundary
        seed = hashlib.sha256(seed).digest()
