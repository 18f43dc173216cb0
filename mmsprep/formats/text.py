"""Text and its encoding: is it text, which characters does it hold, which text format is it.

Comes in: bytes. Goes out: characters and the encoding's name, and the slug of a text format. Never: a file or
an address that the text names is opened.

BOMs and valid UTF-8 decide at once. UTF-16 and UTF-32 without a BOM give themselves away by their zero bytes.
The 8-bit and East Asian encodings are told apart by ``legacy_text.py``.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections import Counter
from typing import Literal

from mmsprep.formats.legacy_text import KEPT_CONTROLS, MAX_CONTROL_SHARE, decode_legacy, is_natural, try_decode
from mmsprep.formats.registry import Format, by_text, register
from mmsprep.model import Kind

SAMPLE_BYTES = 65_536
_MOST_MARKS = 30
_LETTERS_A_STRAY_ZERO = 500
_LEAST_WITH_STRAY_ZERO = 16
_JOINER = "\u034f"
"""COMBINING GRAPHEME JOINER: nothing is seen of it."""

_UNSEEN = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp", "Zs"))
_FILLERS = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
"""Categories of characters that leave no ink, and those of others that leave none either (Unicode's
Default_Ignorable_Code_Point, and the Braille pattern without a dot)."""

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (b"\x84\x31\x95\x33", "gb18030"),
)
CERTAIN = frozenset(("ascii", "utf-8", "utf-8-sig", "utf-16", "utf-32"))
"""Encodings that nothing but text is in: the others take any bytes for letters."""
_CJK_CHARSETS, _KOREAN_CHARSET = ("gb2312", "shift_jis", "euc_kr", "big5"), "euc_kr"
_WIDE = (("utf-32-le", 4), ("utf-32-be", 4), ("utf-16-le", 2), ("utf-16-be", 2))
_EAST_ASIAN = frozenset(("CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "BOPOMOFO", "HANGUL"))
_STRANGE = "?"
_SHARED = re.compile(
    "[\u00a0-\u00bf\u00d7\u00f7\u02b0-\u036f\u2000-\u206f\u20a0-\u20ff\u2100-\u214f\u2190-\u21ff\u2600-\u27bf"
    "\u3000-\u303f\ufe00-\ufe0f\ufe30-\ufe4f\uff00-\uffef\U0001f000-\U0001faff\U000e0020-\U000e007f]"
)
"""Punctuation, marks, signs, emoji and wide forms, which many writings use."""
_LEAST_OF_ONE_WRITING, _LEAST_ASCII = 0.9, 0.5
_LEAST_BYTES_OF_HALVES, _SHARE_OF_ONE_HALF = 8, 0.75
_COMPATIBILITY_IDEOGRAPHS = re.compile("([\uf900-\ufaff\U0002f800-\U0002fa1f]+)")
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_LINE_ENDS = re.compile(r"\r\n|[\r\n\v\f\x85\u2028\u2029]")


def decode(data: bytes, *, whole: bool = True) -> tuple[str, str] | None:
    """The characters of ``data`` and the name of their encoding; ``None`` if it is no text.

    ``whole`` false: ``data`` is the beginning of something longer and may end inside a character.
    """
    for bom, encoding in _BOMS:
        if data.startswith(bom) and (text := try_decode(data, encoding, whole=whole)) is not None:
            return (text.removeprefix("\ufeff"), encoding) if is_natural(text) else None
    narrow = data.rstrip(b"\x00\x1a") if whole else data
    text = try_decode(narrow, "utf-8", whole=whole)
    if text is not None and is_natural(text):
        if re.search(rb"\x1b\$[@B]", data) and (japanese := try_decode(data, "iso2022_jp", whole=whole)) is not None:
            return japanese, "iso2022_jp"
        return text, "ascii" if text.isascii() else "utf-8"
    if b"\x00" in data[:SAMPLE_BYTES]:
        return _decode_wide(data, whole=whole) or _decode_with_stray_zeros(data, whole=whole)
    if _has_one_upper_half(data) and (found := _decode_wide(data, whole=whole)):
        return found
    return _decode_legacy(data, whole=whole) or _decode_wide(data, whole=whole)


def decode_all(data: bytes) -> tuple[str, str]:
    """As :func:`decode`, of what began as a text.

    Raises:
        ValueError: it is none; the message follows its name.
    """
    found = decode(data)
    if found is None:
        raise ValueError("begins as text, but goes on as something else")
    return found


def _decode_with_stray_zeros(data: bytes, *, whole: bool) -> tuple[str, str] | None:
    """A text that a few zero bytes slipped into; they are control characters of it."""
    if len(data) < _LEAST_WITH_STRAY_ZERO or data.count(0) > max(1, len(data) // _LETTERS_A_STRAY_ZERO):
        return None
    found = decode(data.replace(b"\x00", b""), whole=whole)
    if found is None:
        return None
    return (try_decode(data, found[1], whole=whole) or f"{found[0]}\x00"), found[1]


def _decode_wide(data: bytes, *, whole: bool) -> tuple[str, str] | None:
    """UTF-32 or UTF-16 without a BOM: the decoding whose characters belong together.

    Read from the wrong end, a text's characters are strewn over all the writings that there are.
    """
    found: list[tuple[float, int, str, str]] = []
    zeros = [data[start:SAMPLE_BYTES:2].count(0) for start in (0, 1)]
    wide = _WIDE if zeros[1] >= zeros[0] else (*_WIDE[:2], *_WIDE[:1:-1])
    for place, (encoding, unit_bytes) in enumerate(wide):
        if whole and len(data) % unit_bytes:
            continue
        text = try_decode(data, encoding, whole=whole)
        if text and "\x00" not in text and is_natural(text) and (share := _share_of_one_writing(text[:4096])):
            found.append((-share, place, text, encoding))
    return min(found)[2:] if found else None


def _share_of_one_writing(text: str) -> float:
    """Which share of the characters belongs to one writing, or to what all writings share; 0: too few for a text.

    Beside Hangul only the ideographs of Korean texts count.
    """
    writings = list(map(_writing, text))
    counts = Counter(writings)
    shared, latin = counts.pop("", 0), counts.pop("LATIN", 0)
    counts.pop(_STRANGE, 0)
    if counts["HANGUL"]:
        ideographs = (char for char, writing in zip(text, writings, strict=True) if writing == "CJK")
        counts["CJK"] = sum(bool(char.encode(_KOREAN_CHARSET, "ignore")) for char in ideographs)
    main = max(counts, key=counts.__getitem__, default="")
    together = _EAST_ASIAN if main in _EAST_ASIAN else {main}
    if not any(counts.values()) and latin and sum(map(str.isascii, text)) < _LEAST_ASCII * len(text):
        return 0.0
    share = (shared + latin + sum(counts[name] for name in together)) / len(text)
    return share if share >= _LEAST_OF_ONE_WRITING else 0.0


def _writing(char: str) -> str:
    """The writing of a letter or mark, by the first word of its name; "" for what many share."""
    if char.isascii() or _SHARED.match(char):
        return ""
    name = unicodedata.name(char, "").partition(" ")[0]
    if unicodedata.category(char)[0] not in "LMN" or not name:
        return _STRANGE
    if name in _EAST_ASIAN and char <= "\uffff":
        return name if any(char.encode(charset, "ignore") for charset in _CJK_CHARSETS) else _STRANGE
    return name


def _has_one_upper_half(data: bytes) -> bool:
    """Whether most characters of two bytes have a byte in common: those of a writing of its own, without blanks."""
    sample = data[: SAMPLE_BYTES // 16]
    most = max(Counter(sample[start::2]).most_common(1)[0][1] for start in (0, 1)) if len(sample) > 1 else 0
    return len(sample) >= _LEAST_BYTES_OF_HALVES and len(data) % 2 == 0 and most >= _SHARE_OF_ONE_HALF * len(sample) / 2


def _decode_legacy(data: bytes, *, whole: bool) -> tuple[str, str] | None:
    """One of the encodings from before Unicode; no text has many control characters."""
    sample = data[:SAMPLE_BYTES]
    controls = sum(byte < 32 and chr(byte) not in KEPT_CONTROLS for byte in sample)
    return None if controls > MAX_CONTROL_SHARE * len(sample) else decode_legacy(data, whole=whole)


def clean(text: str, line_ends: Literal["crlf", "lf"]) -> str:
    """``text`` as any phone can show it: no control characters, one kind of line end, composed accents (NFC).

    What emoji are made of (joiners, variation selectors, tags) stays.
    """
    if text.isascii() and text.isprintable():
        return text
    text = _LINE_ENDS.sub("\n", _ESCAPES.sub("", text))
    text = text.translate({ord(char): None for char in set(text) if _is_unwanted(char)})
    text = _composed(text)
    return text.replace("\n", "\r\n") if line_ends == "crlf" else text


def is_seen(text: str) -> bool:
    """Whether a phone shows anything of ``text``: it is more than blanks, controls and what is drawn as nothing."""
    return any(
        unicodedata.category(char) not in _UNSEEN and not char.isspace() and not _FILLERS.match(char)
        for char in set(text)
    )


def _composed(text: str) -> str:
    """NFC. More marks on one letter than any language has are parted as UAX #15 says (Stream-Safe Text Format).

    Bringing marks into their order takes the square of their number.
    """
    marks = "".join(char for char in set(text) if unicodedata.combining(char))
    if marks:
        text = re.sub(f"[{re.escape(marks)}]{{{_MOST_MARKS}}}(?=[{re.escape(marks)}])", rf"\g<0>{_JOINER}", text)
    # Ideographs that are compatible with others stay: a name that is written with one is not the other's.
    parts = _COMPATIBILITY_IDEOGRAPHS.split(text)
    return "".join(part if place % 2 else unicodedata.normalize("NFC", part) for place, part in enumerate(parts))


def _is_unwanted(char: str) -> bool:
    if char in "\n\t":
        return False
    code = ord(char)
    return char == "\ufeff" or code & 0xFFFE == 0xFFFE or unicodedata.category(char) in ("Cc", "Cs")


def oddities(text: str) -> tuple[str, ...]:
    """The line ends (``crlf``, ``lf``, ``cr``, ``mixed_line_ends``) and what else :func:`clean` changes."""
    ends = {match[0] for match in _LINE_ENDS.finditer(text)}
    names = {"\r\n": "crlf", "\n": "lf", "\r": "cr"}
    found = [names.get(end, "mixed_line_ends") for end in ends] if len(ends) == 1 else []
    found += ["mixed_line_ends"] if len(ends) > 1 else []
    if any(_is_unwanted(char) and char != "\r" for char in set(text)):
        found.append("control_characters")
    if _composed(text) != text:
        found.append("decomposed")
    return tuple(found)


_MARKUP_ROOTS = {
    **dict.fromkeys(("!doctype html", "html", "head", "body", "script", "style", "meta", "title", "link"), "html"),
    **dict.fromkeys(("div", "p", "span", "table", "h1", "h2", "h3", "ul", "ol", "a", "b", "i", "br"), "html"),
    **dict.fromkeys(("img", "font", "center", "iframe", "form"), "html"),
    "svg": "svg",
    "!doctype svg": "svg",
    **dict.fromkeys(("smil", "!doctype smil"), "smil"),
    **dict.fromkeys(("mpd", "asx", "playlist", "wpl", "smoothstreamingmedia", "media-presentation"), "playlist"),
}
_PROLOGUE = re.compile(r"\s*(?:<\?.*?\?>|<!--.*?-->)", re.DOTALL)
_ROOT = re.compile(r"\s*<(!doctype\s+[\w:-]+|[\w-]+:)?([\w-]*)", re.IGNORECASE)
_NAMESPACED = re.compile(r"\s*<[^\W\d][\w:.-]*\s[^<>]*\bxmlns(?::[\w.-]+)?\s*=")
"""A root that names its namespace, as XML without its declaration does: XMP beside photographs, a track of places."""


def text_format(text: str) -> str:
    """The slug of what a text is once it is cleaned, ``text`` for plain text; blanks and BOMs in front do not count."""
    start = text.lstrip("\ufeff\x00 \t\r\n\v\f")[:SAMPLE_BYTES].replace("\r\n", "\n")
    if any(map(_is_unwanted, set(start))):
        start = clean(start, "lf").lstrip()
    found = next((slug for pattern, slug in by_text() if pattern.search(start)), None)
    return found or _markup_format(start) or "text"


def _markup_format(start: str) -> str | None:
    is_xml = start.startswith("<?xml")
    while prologue := _PROLOGUE.match(start):
        start = start[prologue.end() :]
    is_xml = is_xml or _NAMESPACED.match(start) is not None
    root = _ROOT.match(start)
    if root is None:
        return "xml" if is_xml else None
    doctype = re.sub(r"\s+", " ", (root[1] or "").rstrip(":")).lower()
    found = _MARKUP_ROOTS.get(doctype if doctype.startswith("!") else root[2].lower())
    return found or ("xml" if is_xml or doctype.startswith("!") else None)


register(
    Format(
        slug="text",
        title="text",
        kind=Kind.TEXT,
        content_type="text/plain",
        extension="txt",
        also_named="text csv md log srt vtt json ini",
    )
)
