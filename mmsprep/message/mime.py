"""MIME multipart bodies, built and read: ``multipart/related`` of an MMS, and one inside another for MM7.

Comes in: entities (headers and a body), or the bytes of a body. Goes out: the other. Never: a decision about
what is inside.

Reading is lenient where relays are known to be sloppy: an unquoted boundary, blank lines before the first
one, bare line feeds, names beyond ASCII in headers. What is read comes from strangers: parts, header fields, their
lengths and their parameters are counted before a library builds any of them, because Python's reader of parameters
takes quadratic time.
"""

from __future__ import annotations

import binascii
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from email.message import Message as Headers
from email.parser import HeaderParser
from email.utils import collapse_rfc2231_value
from functools import lru_cache

from mmsprep.errors import EnvelopeTooLarge, MalformedEnvelope

_MOST_ENTITIES = 100
_MOST_HEADER_FIELDS = 64
_MOST_HEADER_BYTES = 16_000
"""Of one part; those that phones and relays write have a few hundred."""
_MOST_HEADER_BYTES_IN_ALL = 400_000
_MOST_FIELD_CHARACTERS = 8_000
_MOST_PARAMETERS = 64
_MOST_LOOKALIKES = 10_000
"""Places in a body that begin as its boundary and are none."""
_LINE_REST = re.compile(rb"(--)?[ \t]*(?:\r?\n|\Z)")
_BLANK_LINE = re.compile(rb"\r?\n\r?\n")
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

    def parameter(self, name: str, field_name: str = "Content-Type") -> str:
        """A parameter of a header field, e.g. ``boundary`` of the content type; empty when there is none.

        A field with more parameters or characters than anybody writes has none.
        """
        return self._parameter(name, field_name) or ""

    @property
    def file_name(self) -> str | None:
        """What Content-Disposition calls the file; empty where it names it so, ``None`` where it is no file."""
        return self._parameter("filename", "Content-Disposition")

    def _parameter(self, name: str, field_name: str) -> str | None:
        value = self.header(field_name)
        if len(value) > _MOST_FIELD_CHARACTERS or value.count(";") > _MOST_PARAMETERS:
            return None
        headers = Headers()
        headers["Content-Type"] = value
        found = headers.get_param(name)
        return found if found is None or isinstance(found, str) else collapse_rfc2231_value(found)

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


@dataclass(frozen=True, slots=True)
class Related:
    """A ``multipart/related`` in pieces, in the order of the wire: the bodies in it are not copied."""

    headers: tuple[tuple[str, str], ...]
    pieces: tuple[bytes, ...] = field(repr=False)
    digest: bytes = field(repr=False)
    """Of what is in it."""

    @property
    def entity(self) -> Entity:
        """The same in one piece."""
        return Entity(self.headers, b"".join(self.pieces))


def build_related(entities: Sequence[Entity], root_type: str) -> Entity:
    """Put ``entities`` into one ``multipart/related``; the first is the root, and has a Content-ID.

    The boundary is of fixed length, and the same entities give the same one. It is 96 bits of a hash of their bodies:
    nobody can write one that it stands in.
    """
    return relate(entities[0], entities[1:], root_type).entity


def relate(root: Entity, others: Sequence[Entity | Related], root_type: str) -> Related:
    """:func:`build_related` in pieces, also round one that is in pieces itself."""
    entities = (root, *others)
    digest = hashlib.sha256(b"".join(map(_digest, entities))).digest()
    boundary = f"mms-{digest.hex()[:24]}"
    chunks: list[bytes] = []
    for entity in entities:
        head = "".join(f"{name}: {value}\r\n" for name, value in entity.headers)
        chunks += [f"--{boundary}\r\n{head}\r\n".encode(), *_bodies(entity), b"\r\n"]
    chunks.append(f"--{boundary}--\r\n".encode("ascii"))
    content_type = f'multipart/related; type="{root_type}"; start="<{root.content_id}>"; boundary="{boundary}"'
    return Related((("Content-Type", content_type),), tuple(chunks), digest)


def parse_multipart(whole: Entity, *, most_entities: int = _MOST_ENTITIES, must_close: bool = True) -> list[Entity]:
    """The entities of a multipart body, in the order of the wire.

    Args:
        whole: the multipart.
        most_entities: how many it may have.
        must_close: whether a missing closing boundary is an error. Where HTTP has said that the body is whole, it
            need not be: the last part then ends with the body.

    Raises:
        EnvelopeTooLarge: more than ``most_entities``, or longer headers than anybody writes.
        MalformedEnvelope: it is no multipart, has no usable boundary, no parts, or is cut off before its end.
    """
    boundary = whole.parameter("boundary")
    if not whole.content_type.startswith("multipart/") or not _BOUNDARY.fullmatch(boundary):
        found = whole.header("Content-Type") or "no Content-Type"
        raise MalformedEnvelope(f"expected a multipart with a boundary, found {found[:200]!r}")
    spans, is_closed = _spans(whole.body, b"--" + boundary.encode("ascii"), most_entities)
    if not is_closed and must_close:
        raise MalformedEnvelope("the multipart is cut off: its closing boundary is missing")
    if not is_closed and spans and not whole.body[slice(*spans[-1])].strip():
        del spans[-1]
    if not spans:
        raise MalformedEnvelope("the multipart has no parts")
    heads = [_head_end(whole.body, start, end) for start, end in spans]
    if (
        sum(head_end - start for (start, _), (head_end, _) in zip(spans, heads, strict=True))
        > _MOST_HEADER_BYTES_IN_ALL
    ):
        raise EnvelopeTooLarge(f"the headers of the parts have more than {_MOST_HEADER_BYTES_IN_ALL:,} bytes")
    return [
        Entity(_headers(whole.body[start:head_end]), whole.body[body_start:end])
        for (start, end), (head_end, body_start) in zip(spans, heads, strict=True)
    ]


def root_of(whole: Entity, entities: Sequence[Entity]) -> Entity:
    """The root of a ``multipart/related``: what ``start`` names, otherwise the first (RFC 2387)."""
    start = whole.parameter("start").strip().removeprefix("<").removesuffix(">")
    return next((entity for entity in entities if start and entity.content_id == start), entities[0])


def _spans(body: bytes, delimiter: bytes, most: int) -> tuple[list[tuple[int, int]], bool]:
    """Where the parts begin and end, and whether the last one is closed."""
    spans: list[tuple[int, int]] = []
    start: int | None = None
    lookalikes = 0
    at = body.find(delimiter)
    while at >= 0:
        line_end = _LINE_REST.match(body, at + len(delimiter))
        if line_end is None or not (at == 0 or body[at - 1] == 0x0A):
            lookalikes += 1
            if lookalikes > _MOST_LOOKALIKES:
                raise EnvelopeTooLarge(f"more than {_MOST_LOOKALIKES:,} lines that look like the boundary")
            at = body.find(delimiter, at + len(delimiter))
            continue
        if start is not None:
            # The line end before a boundary is the boundary's.
            end = at - (2 if body[at - 2 : at] == b"\r\n" else 1)
            spans.append((start, max(start, end)))
            if len(spans) > most:
                raise EnvelopeTooLarge(f"more than {most} parts in one multipart")
        if line_end[1]:
            return spans, True
        start = line_end.end()
        at = body.find(delimiter, start)
    if start is not None:
        spans.append((start, len(body)))
    return spans, False


def _head_end(body: bytes, start: int, end: int) -> tuple[int, int]:
    """Where a part's header fields end, and where what they are about begins."""
    for line_end in (b"\r\n", b"\n"):
        if body.startswith(line_end, start, end):
            return start, start + len(line_end)
    found = _BLANK_LINE.search(body, start, min(end, start + _MOST_HEADER_BYTES))
    if found is None and end - start > _MOST_HEADER_BYTES:
        raise EnvelopeTooLarge(f"the headers of a part have more than {_MOST_HEADER_BYTES:,} bytes")
    if found is None:
        raise MalformedEnvelope("a part of the multipart has no blank line after its headers")
    return found.start(), found.end()


def _headers(raw: bytes) -> tuple[tuple[str, str], ...]:
    if not raw:
        return ()
    parsed = HeaderParser().parsestr(_header_text(raw) + "\r\n").items()
    if len(parsed) > _MOST_HEADER_FIELDS:
        raise EnvelopeTooLarge(f"a part has more than {_MOST_HEADER_FIELDS} header fields")
    return tuple((name, " ".join(str(value).split())) for name, value in parsed)


def _header_text(raw: bytes) -> str:
    """Header fields as text: UTF-8 as browsers and phones write it, otherwise Latin-1."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _bodies(entity: Entity | Related) -> tuple[bytes, ...]:
    return entity.pieces if isinstance(entity, Related) else (entity.body,)


def _digest(entity: Entity | Related) -> bytes:
    """Messages to several people share most of their entities."""
    return entity.digest if isinstance(entity, Related) else _sha256(entity.body)


@lru_cache(maxsize=32)
def _sha256(body: bytes) -> bytes:
    return hashlib.sha256(body).digest()
