"""XML of strangers, read: counted before it is built, and mended where relays are known to break it.

Comes in: bytes. Goes out: elements, or text. Never: a DTD, an entity, an external reference, or what an element means.
"""

from __future__ import annotations

import codecs
import re
from typing import Any
from xml.etree import ElementTree

from defusedxml import DefusedXmlException
from defusedxml import ElementTree as SafeElementTree

from mmsprep.errors import EnvelopeTooLarge, MalformedEnvelope
from mmsprep.mm7.schema import local_name

FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot hold, not even escaped."""
MOST_ENVELOPE_BYTES = 500_000
_MOST_ELEMENTS = 5_000
"""A thousand recipients have about three each."""
_MOST_DEPTH = 30
_MOST_ATTRIBUTES = 50
_PIECE_BYTES = 16_384

_FREE_TEXT = ("Subject", "StatusText")
"""Elements whose text people or programs make up; some relays put it into the envelope as it is."""
_CHARSETS = re.compile(
    "utf-?8|utf-?16|us-ascii|(iso-8859|windows)-[0-9]{1,4}"
    "|gbk|gb2312|gb18030|hz-gb-2312|big5(-hkscs)?|shift[_-]jis|euc-(jp|kr)|iso-2022-(jp|kr)|koi8-[ru]|tis-620",
    re.IGNORECASE,
)
"""Encodings that a document or its header may name, of which XML's own reader knows only those of one byte."""


def holdable(text: str) -> str:
    """``text`` with U+FFFD for every character that XML cannot hold."""
    return FORBIDDEN.sub("\ufffd", text)


class _Counted(ElementTree.TreeBuilder):
    """Builds the tree, and stops where it grows beyond any envelope."""

    def __init__(self) -> None:
        super().__init__()
        self._elements = self._depth = 0

    def start(self, tag: Any, attrs: Any) -> ElementTree.Element:
        self._elements += 1
        self._depth += 1
        if self._elements > _MOST_ELEMENTS or self._depth > _MOST_DEPTH or len(attrs) > _MOST_ATTRIBUTES:
            raise EnvelopeTooLarge(
                f"has more than {_MOST_ELEMENTS:,} elements, {_MOST_DEPTH} levels or {_MOST_ATTRIBUTES} attributes"
            )
        return super().start(tag, attrs)

    def end(self, tag: str) -> ElementTree.Element:
        self._depth -= 1
        return super().end(tag)


def _has_marked_text(root: ElementTree.Element) -> bool:
    """Whether elements stand where there is only text: somebody typed brackets, and the relay escaped none."""
    return any(len(element) for element in root.iter() if local_name(element.tag) in _FREE_TEXT)


def parse_xml(data: bytes) -> ElementTree.Element:
    """The root element.

    Raises:
        EnvelopeTooLarge: it is longer, deeper or has more elements or attributes than any envelope.
        MalformedEnvelope: it is no well-formed XML.
    """
    if len(data) > MOST_ENVELOPE_BYTES:
        raise EnvelopeTooLarge(f"has {len(data):,} bytes, at most {MOST_ENVELOPE_BYTES:,} are read")
    whole = data.strip()
    try:
        parser = SafeElementTree.XMLParser(target=_Counted(), forbid_dtd=True)
        for at in range(0, len(whole), _PIECE_BYTES):
            parser.feed(whole[at : at + _PIECE_BYTES])
        root: ElementTree.Element = parser.close()
    except DefusedXmlException:
        raise MalformedEnvelope("is no well-formed XML (it declares a document type, which no envelope has)") from None
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise MalformedEnvelope(f"is no well-formed XML ({error or type(error).__name__})") from None
    return root


def read_xml(data: bytes, charset: str = "") -> ElementTree.Element:
    """The root element of what cannot be asked for once more, mended where relays are known to break it.

    Args:
        charset: what the header of the transfer says, for a document that does not say it itself.

    Raises:
        EnvelopeTooLarge: it is longer, deeper or has more elements or attributes than any envelope.
        MalformedEnvelope: even mended it is no well-formed XML.
    """
    try:
        root = parse_xml(data)
        if not _has_marked_text(root):
            return root
    except EnvelopeTooLarge:
        raise
    except MalformedEnvelope:
        pass
    return parse_xml(_mended(data, charset))


def _mended(data: bytes, charset: str) -> bytes:
    """The envelope without characters or an encoding that it cannot have, and with its free text escaped.

    Some relays escape nothing: ``I <3 you`` stands in the envelope as somebody typed it. Between its tags, free
    text is taken as it is; a reference to a character (``&amp;``) stays one, as elsewhere.
    """
    text = holdable(decoded(data, charset))
    text = re.sub(r"\A\s*<\?xml[^>]*\?>", "", text.removeprefix("\ufeff"))
    for name in _FREE_TEXT:
        text = _with_escaped(text, name)
    return re.sub(r"&(?!(?:amp|lt|gt|quot|apos|#[0-9]{1,7}|#x[0-9a-fA-F]{1,6});)", "&amp;", text).encode()


def _with_escaped(text: str, name: str) -> str:
    """``text`` with the brackets between the first ``<name>`` and its last end tag escaped."""
    opened = re.search(rf"<((?:[\w.-]{{1,40}}:)?{name})(?:\s[^<>]*)?(?<!/)>", text)
    closed_at = text.rfind(f"</{opened[1]}") if opened else -1
    if opened is None or closed_at < opened.end():
        return text
    inner = text[opened.end() : closed_at]
    if not inner.lstrip().startswith("<![CDATA["):
        inner = inner.replace("<", "&lt;").replace(">", "&gt;")
    return text[: opened.end()] + inner + text[closed_at:]


def decoded(data: bytes, charset: str = "") -> str:
    """The text of a document, in the encoding that it has, or at least says that it has; never an error.

    Args:
        charset: what the header of the transfer says, for a document that does not say it itself.
    """
    said = re.match(rb"""[^>]{0,60}encoding\s{0,9}=\s{0,9}["']([A-Za-z0-9_-]{1,20})""", data[:200])
    wide = "utf-16" if data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else ""
    declared = said[1].decode("ascii") if said else charset.strip()
    for known in (wide, "utf-8", declared if _CHARSETS.fullmatch(declared) else ""):
        try:
            if known:
                return data.decode(known)
        except (UnicodeDecodeError, LookupError):
            continue
    return data.decode("cp1252", "replace")
