"""Text and its encoding: is it text, which characters does it hold, which text format is it.

Comes in: bytes. Goes out: characters and the encoding's name, and the slug of a text format. Never: a file or
an address that the text names is opened.

BOMs and valid UTF-8 decide at once. UTF-16 and UTF-32 without a BOM give themselves away by their zero bytes.
For the 8-bit and East Asian encodings ``charset-normalizer`` says which are possible; on a text as short as a
message it often sees no difference between them, so of those the most natural looking one is taken.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from typing import Literal

SAMPLE_BYTES = 65_536

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (b"\x84\x31\x95\x33", "gb18030"),
)
_COMMON_LEAD_BYTES = {
    "cp932": frozenset(range(0x81, 0x98)),
    "euc_jp": frozenset((*range(0xA1, 0xA6), *range(0xB0, 0xD0))),
    "gb18030": frozenset((*range(0xA1, 0xA6), *range(0xB0, 0xD8))),
    "big5": frozenset((0xA1, *range(0xA4, 0xC7))),
    "cp949": frozenset((*range(0xA1, 0xA4), *range(0xB0, 0xC9))),
}
"""Lead bytes of the characters in everyday use (JIS and GB 2312 level 1, frequent Big5, KS X 1001 Hangul)."""
_ALPHABETIC = ("cp1252", "cp1250", "cp1255", "cp1251", "koi8_r", "cp1253", "cp1254", "cp1256")
_CANDIDATES = (*_ALPHABETIC, *_COMMON_LEAD_BYTES)
"""In the order of preference where nothing else decides."""
_CJK_CHARSETS = ("gb2312", "shift_jis", "euc_kr", "big5")
_MAX_CONTROL_SHARE = 0.02
_MAX_CHAOS = 0.5
_MAX_STRANGENESS = 0.5
_SYMBOLS_AFTER_LETTERS = "’‘”“»…–—·€£©®°\u00a0ªº"
_KEPT_CONTROLS = frozenset("\t\n\r\f\v\x1a\x1b\x85")
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_LINE_ENDS = re.compile(r"\r\n|[\r\n\v\f\x85\u2028\u2029]")


def decode(data: bytes, *, whole: bool = True) -> tuple[str, str] | None:
    """The characters of ``data`` and the name of their encoding; ``None`` if it is no text.

    ``whole`` false: ``data`` is the beginning of something longer and may end inside a character.
    """
    for bom, encoding in _BOMS:
        if data.startswith(bom) and (text := _try(data, encoding, whole=whole)) is not None:
            return (text.removeprefix("\ufeff"), encoding) if is_natural(text) else None
    narrow = data.rstrip(b"\x00\x1a") if whole else data
    text = _try(narrow, "utf-8", whole=whole)
    if text is not None and is_natural(text):
        if re.search(rb"\x1b\$[@B]", data) and (japanese := _try(data, "iso2022_jp", whole=whole)) is not None:
            return japanese, "iso2022_jp"
        return text, "ascii" if text.isascii() else "utf-8"
    if b"\x00" in data[:SAMPLE_BYTES]:
        return _decode_wide(data, whole=whole)
    return _decode_legacy(data, whole=whole)


def is_natural(text: str) -> bool:
    """Whether ``text`` has few enough control and undefined characters to be text."""
    sample = text[:SAMPLE_BYTES]
    odd = {char for char in set(sample) if _is_odd(char)}
    return not odd or sum(char in odd for char in sample) <= _MAX_CONTROL_SHARE * len(sample)


def _is_odd(char: str) -> bool:
    return unicodedata.category(char) in ("Cc", "Cn", "Cs") and char not in _KEPT_CONTROLS


def _try(data: bytes, encoding: str, *, whole: bool) -> str | None:
    try:
        return codecs.getincrementaldecoder(encoding)("strict").decode(data, final=whole)
    except (UnicodeDecodeError, ValueError):
        return None


def _decode_wide(data: bytes, *, whole: bool) -> tuple[str, str] | None:
    """UTF-32 or UTF-16 without a BOM: the decoding that yields nothing but ordinary characters.

    The zero bytes are the upper halves of ASCII, so they stand where the encoding has its upper halves.
    """
    zeros = [data[start:SAMPLE_BYTES:2].count(0) for start in (0, 1)]
    units = (
        ("utf-32-le", 4, True),
        ("utf-32-be", 4, True),
        ("utf-16-le", 2, zeros[1] > zeros[0]),
        ("utf-16-be", 2, zeros[0] > zeros[1]),
    )
    for encoding, unit, is_possible in units:
        if not is_possible or (whole and len(data) % unit):
            continue
        text = _try(data, encoding, whole=whole)
        if text and "\x00" not in text and is_natural(text) and _is_readable(text):
            return text, encoding
    return None


def _is_readable(text: str) -> bool:
    """Nearly all characters are of alphabets, or East Asian ones in everyday use."""
    sample = text[:4096]
    known = sum(_is_common(char) for char in sample)
    return known >= 0.9 * len(sample)


def _is_common(char: str) -> bool:
    if ord(char) < 0x2E00:
        return char.isprintable() or char.isspace()
    if not 0x2E00 <= ord(char) <= 0xD7FF:
        return ord(char) >= 0xFE00
    return any(char.encode(charset, "ignore") for charset in _CJK_CHARSETS)


def _decode_legacy(data: bytes, *, whole: bool) -> tuple[str, str] | None:
    """One of the encodings from before Unicode, the most natural looking of those that are possible."""
    import charset_normalizer

    sample = data[:SAMPLE_BYTES]
    controls = sum(byte < 32 and chr(byte) not in _KEPT_CONTROLS for byte in sample)
    if controls > _MAX_CONTROL_SHARE * len(sample):
        return None
    matches = charset_normalizer.from_bytes(sample, cp_isolation=list(_CANDIDATES), threshold=_MAX_CHAOS)
    names = {name for match in matches for name in match.could_be_from_charset if match.chaos <= _MAX_CHAOS}
    texts = {
        name: text
        for name in _CANDIDATES
        if name in names and (text := _try(data, name, whole=whole)) is not None and is_natural(text)
    }
    strangeness = {name: _strangeness(text[:4096], name) for name, text in texts.items()}
    best = min(strangeness, key=lambda name: strangeness[name], default="")
    return (texts[best], best) if best and strangeness[best] < _MAX_STRANGENESS else None


def _strangeness(text: str, encoding: str) -> float:
    """How unlike a written language ``text`` looks, per character that is not ASCII: 0 not at all."""
    foreign = sum(not char.isascii() for char in text)
    count = _strange_ideographs if encoding in _COMMON_LEAD_BYTES else _strange_letters
    return count(text, encoding, foreign) / max(1, foreign)


def _strange_ideographs(text: str, encoding: str, foreign: int) -> float:
    """Characters that are rare in the encoding, and signs of another country's text in it.

    Kana mean Japanese; a text whose every lead byte is that of a Hangul is Korean rather than Chinese the
    longer it is.
    """
    encoded = (char.encode(encoding, "replace") for char in text if not char.isascii())
    strange = float(sum(len(raw) != 2 or raw[0] not in _COMMON_LEAD_BYTES[encoding] for raw in encoded))
    has_kana = any("\u3041" <= char <= "\u30fe" for char in text)
    expects_kana = encoding in ("cp932", "euc_jp")
    strange += 0.2 * foreign * (has_kana != expects_kana)
    return strange + foreign * (0.6**foreign if encoding == "cp949" else 0.1)


def _strange_letters(text: str, encoding: str, foreign: int) -> float:
    """Capitals inside words, words of two scripts, symbols inside words, too many accents on Latin letters.

    And what single languages never have: Hebrew final letters inside a word or vowel points, a
    Romanian t without its a, letters of Latin-1 that only Iceland uses.
    """
    strange, previous = 0.0, " "
    rare = {"cp1252": "þðýÞÐÝ", "cp1250": "" if "ă" in text else "ţŢ"}.get(encoding, "")
    for char in text:
        if char.isalpha() and previous.isalpha():
            strange += (char.isupper() and previous.islower()) + (_script(char) != _script(previous))
            strange += previous in "ךםןףץ"
        elif unicodedata.combining(char):
            strange += 0.5
        elif not char.isascii() and not char.isalpha():
            strange += previous.isalpha() and char not in _SYMBOLS_AFTER_LETTERS
        strange += 0.3 * (char in rare)
        previous = char
    letters = sum(char.isalpha() for char in text)
    if encoding in ("cp1252", "cp1250", "cp1254") and foreign > 0.6 * letters:
        strange += 0.3 * foreign
    return strange


def _script(char: str) -> str:
    return unicodedata.name(char, "?").partition(" ")[0]


def clean(text: str, line_ends: Literal["crlf", "lf"]) -> str:
    """``text`` as any phone can show it: no control characters, one kind of line end, composed accents (NFC).

    What emoji are made of (joiners, variation selectors, tags) stays.
    """
    text = _LINE_ENDS.sub("\n", _ESCAPES.sub("", text))
    text = text.translate({ord(char): None for char in set(text) if _is_unwanted(char)})
    text = unicodedata.normalize("NFC", text)
    return text.replace("\n", "\r\n") if line_ends == "crlf" else text


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
    if not unicodedata.is_normalized("NFC", text):
        found.append("decomposed")
    return tuple(found)


_MARKUP_ROOTS = {
    **dict.fromkeys(("html", "head", "body", "script", "!doctype html", "meta", "div"), "html"),
    "svg": "svg",
    "!doctype svg": "svg",
    **dict.fromkeys(("smil", "!doctype smil"), "smil"),
    **dict.fromkeys(("mpd", "asx", "playlist", "wpl", "smoothstreamingmedia", "media-presentation"), "playlist"),
}
_PROLOGUE = re.compile(r"\s*(?:<\?.*?\?>|<!--.*?-->)", re.DOTALL)
_ROOT = re.compile(r"\s*<(!doctype\s+[\w:-]+|[\w-]+:)?([\w-]*)", re.IGNORECASE)
_PATTERNS = tuple(
    (slug, re.compile(pattern, re.IGNORECASE | re.MULTILINE))
    for slug, pattern in (
        ("concat", r"\Affconcat\s+version"),
        ("concat", r"\A(?:#[^\n]*\n\s*)*file\s+'[^'\n]*'\s*$"),
        ("playlist", r"\A#EXTM3U"),
        ("playlist", r"^#EXT(?:INF:|-X-)"),
        ("playlist", r"\A\[playlist\]"),
        ("playlist", r"\A\[Reference\]\s+Ref1="),
        ("playlist", r"\Av=0\s+o=[^\n]*\n\s*s="),
        ("playlist", r'^[ \t]*FILE\s+(?:"[^"]*"|\S+)\s+(?:WAVE|MP3|AIFF|BINARY|FLAC)\s+TRACK\s+\d+'),
        ("vcard", r"\ABEGIN:VCARD\b"),
        ("imelody", r"\ABEGIN:IMELODY\b"),
        ("emelody", r"\ABEGIN:EMELODY\b"),
        ("office", r"\A\{\\rtf"),
        ("pdf", r"\A%PDF-"),
        ("postscript", r"\A%!PS"),
        ("executable", r"\A#!\s*/"),
        ("executable", r"\A@echo off\b"),
    )
)


def text_format(text: str) -> str:
    """The slug of what a text is, ``text`` for plain text; blanks and BOMs in front do not count."""
    start = text.lstrip("\ufeff\x00 \t\r\n\v\f")[:SAMPLE_BYTES]
    found = next((slug for slug, pattern in _PATTERNS if pattern.search(start)), None)
    return found or _markup_format(start) or "text"


def _markup_format(start: str) -> str | None:
    is_xml = start.startswith("<?xml")
    while prologue := _PROLOGUE.match(start):
        start = start[prologue.end() :]
    root = _ROOT.match(start)
    if root is None:
        return "xml" if is_xml else None
    doctype = re.sub(r"\s+", " ", (root[1] or "").rstrip(":")).lower()
    found = _MARKUP_ROOTS.get(doctype if doctype.startswith("!") else root[2].lower())
    return found or ("xml" if is_xml or doctype.startswith("!") else None)
