"""Which of the encodings from before Unicode a text is in: the one that makes it look like a language.

Comes in: bytes that are no Unicode. Goes out: characters and the encoding's name. Never: a guess for bytes that
look like no language in any encoding.

``charset-normalizer`` says which East Asian encodings are possible; on a text as short as a message it sees no
difference between the alphabets. There the letters decide: whether all of them belong to one language, stand
where capitals stand, and are frequent ones.
"""

from __future__ import annotations

import codecs
import math
import re
import unicodedata
from functools import cache

MAX_CONTROL_SHARE = 0.02
KEPT_CONTROLS = frozenset("\t\n\r\f\v\x1a\x1b\x85")

_SAMPLE_CHARACTERS, _BEFORE_CHARACTERS, _SAMPLE_BYTES = 1000, 100, 4096
_ASCII, _FOREIGN = bytes(range(128)), re.compile(r"[^\x00-\x7f]")

_LATIN = (
    "äüößé",
    "éàèêçùâîôûïëœæÿü",
    "áéíóñúüªº",
    "ãçáéóêíâúõôàü",
    "èàùìòéóíîú",
    "åäöéü",
    "æøåéöäóü",
    "ëéïöèüêáó",
    "àéèíóòúçïü",
    "áíðéóþúæöý",
)
_CENTRAL = (
    "ęąłżóśćńź",
    "íáéěýřčžšůúťňďó",
    "áéíčúýľšžťňôďäĺŕó",
    "áéöóőüűíú",
    "ăîâşţșț",
    "šžčćđ",
    "äüöß",
)
_CYRILLIC = (
    "оеаинтсрвлкмдпуяыьгзбчйхжшюцщэфъё",
    "оанивтреіслкдмпуяьзгбчйхєжїцюшщфґ",
    "оаиеінтрснвлкдмпуяыьгзбчйхжшюўцэфё",
    "аоиенрстујвкдмлпгзбчњшцжљћхђфџѓќѕ",
)
_ALPHABETS: dict[str, tuple[str, ...]] = {
    "cp1252": _LATIN,
    "cp1250": _CENTRAL,
    "cp1251": _CYRILLIC,
    "koi8_r": _CYRILLIC[:1],
    "koi8_u": _CYRILLIC[1:2],
    "cp1253": ("αοιετνσρηπκυμλςόίάέήύώωθγδβχφξζψϊϋΐΰ",),
    "cp1254": ("ıüşğçöİâîû",),
    "cp1255": ("םןיוהלארמתבנשךחדעכפקטגסזצףץ",),
    "cp1256": ("الينمورتبهدعسكحقفجشطةىصخأذضءزثئغؤآظإپچژگ",),
    "cp1257": ("ėšžųįąčęū", "āīšēžļņģķčū", "äõüöšž"),
    "cp874": (
        "านรอกเงมยลวดทสตะปบคขหพชจแใไโำซถผฟธณศษภญฉฝฐฎฏฑฒฆฌฬฮๆฯ\u0e31\u0e34\u0e35\u0e36\u0e37\u0e38\u0e39\u0e47"
        "\u0e48\u0e49\u0e4a\u0e4b\u0e4c\u0e4d",
    ),
    "iso8859-2": _CENTRAL,
    "iso8859-5": _CYRILLIC,
    "iso8859-6": ("الينمورتبهدعسكحقفجشطةىصخأذضءزثئغؤآظإ",),
    "cp866": _CYRILLIC[:1],
    "cp850": _LATIN,
    "cp852": _CENTRAL,
    "mac_roman": _LATIN,
}
"""For every encoding of an alphabet, the languages' own letters, the frequent ones first.

In the order of preference where nothing else decides. ISO 8859-1, -7, -8 and -9 are read as the Windows
encodings that contain them.
"""
_COMMON_LEAD_BYTES = {
    "cp932": frozenset(range(0x81, 0x98)),
    "euc_jp": frozenset((*range(0xA1, 0xA6), *range(0xB0, 0xD0))),
    "gb18030": frozenset((*range(0xA1, 0xA6), *range(0xB0, 0xD8))),
    "big5": frozenset((0xA1, *range(0xA4, 0xC7))),
    "cp949": frozenset((*range(0xA1, 0xA4), *range(0xB0, 0xC9))),
}
"""Lead bytes of the characters in everyday use (JIS and GB 2312 level 1, frequent Big5, KS X 1001 Hangul)."""
_PUNCTUATION = frozenset("’‘‚”“„«»‹›…–—·•€£§°©®™¡¿№ªº²³½¼×\u00a0\u00ad،؛؟׳״ʼ΄")
_OPENING, _PARTS_OF_WORDS, _FINAL = "¡¿„‚‘“«", "’·\u00adʼ", "ךםןףץ"
_PLAIN = frozenset(" \t\r\n.,;:!?'\"()[]/-_’‘‚”“„«»‹›…–—\u00a0،؛؟׳״ʼ")
_BESIDE_WORDS = _PLAIN | _PUNCTUATION | frozenset("<>{}|=*#~")
"""What a letter that stands alone may have on both sides: anything else is no sentence's."""
_END_OF_FILE = "\x1a"
_RARE_COST, _LATE_COST, _SHOUT_COST, _ORDER_COST = 1.0, 0.15, 0.12, 0.002
_ALONE_COST, _HEAP_COST, _CLUTTER_COST = 1.0, 0.5, 0.1
_MOST_CLUTTER, _LONG_ENOUGH = 3, 64
"""So many signs that are no punctuation has a sentence; a long text may be a program or a table."""
_RARITY = {
    "cp1255": -0.12,
    **dict.fromkeys(("cp1257", "cp874", "iso8859-2", "iso8859-5", "iso8859-6"), 0.08),
    **dict.fromkeys(("cp850", "cp852", "cp866", "mac_roman"), 0.15),
}
"""What an encoding that few texts are in must be better by; Hebrew may be worse.

Its letters are those of other alphabets' small letters, but another text read as Hebrew has final letters inside
its words.
"""
_MAX_CHAOS, _MAX_STRANGENESS, _MAX_STRANGENESS_OF_A_WORD, _FEW_LETTERS = 0.5, 0.35, 0.5, 6
"""Texts of every language are at 0.3 and below, random bytes mostly above 0.35 (benchmarks/text_encodings.py)."""


def decode_legacy(data: bytes, *, whole: bool) -> tuple[str, str] | None:
    """The characters of ``data`` in the encoding that makes them most like a language, and its name.

    ``None``: in none they look like one. ``whole`` false: ``data`` may end inside a character.
    """
    found: list[tuple[float, str, str]] = []
    for place, encoding in (*enumerate(_ALPHABETS), *enumerate(_east_asian(data))):
        text = try_decode(data, encoding, whole=whole)
        if text is None or not is_natural(text):
            continue
        foreign = _FOREIGN.search(text)
        first = foreign.start() if foreign else 0
        sample = text[max(0, first - _BEFORE_CHARACTERS) : first + _SAMPLE_CHARACTERS]
        count = _strange_letters if encoding in _ALPHABETS else _strange_ideographs
        found.append((count(sample, encoding) + _ORDER_COST * place, encoding, text))
    strangeness, encoding, text = min(found, default=(1.0, "", ""))
    is_short = sum(byte >= 128 for byte in data[:_SAMPLE_BYTES]) < _FEW_LETTERS
    if not is_short:
        strangeness += _noise(text[:_SAMPLE_CHARACTERS])
    return (text, encoding) if strangeness < (_MAX_STRANGENESS_OF_A_WORD if is_short else _MAX_STRANGENESS) else None


def try_decode(data: bytes, encoding: str, *, whole: bool) -> str | None:
    """``data`` in ``encoding``; ``None`` where a byte has no meaning in it."""
    try:
        return codecs.getincrementaldecoder(encoding)("strict").decode(data, final=whole)
    except (UnicodeDecodeError, ValueError):
        return None


def is_natural(text: str) -> bool:
    """Whether ``text`` has few enough control and undefined characters to be text."""
    sample = text[:65_536]
    odd = {char for char in set(sample) if _is_odd(char)}
    return not odd or sum(char in odd for char in sample) <= MAX_CONTROL_SHARE * len(sample)


def _is_odd(char: str) -> bool:
    return unicodedata.category(char) in ("Cc", "Cn", "Cs") and char not in KEPT_CONTROLS


def _east_asian(data: bytes) -> list[str]:
    """The East Asian encodings that are possible, in the order of preference."""
    import charset_normalizer

    names = list(_COMMON_LEAD_BYTES)
    first = max(0, len(data) - len(data.lstrip(_ASCII)) - _BEFORE_CHARACTERS)
    sample = data[first : first + _SAMPLE_BYTES]
    # A character cut in two would make its encoding impossible; no character ends with a line feed or a blank.
    end = max(sample.rfind(b"\n"), sample.rfind(b" ")) if len(sample) == _SAMPLE_BYTES else -1
    sample = sample[:end] if end > 0 else data[first : first + 16 * _SAMPLE_BYTES]
    matches = charset_normalizer.from_bytes(sample, cp_isolation=names, threshold=_MAX_CHAOS)
    possible = {name for match in matches for name in match.could_be_from_charset if match.chaos <= _MAX_CHAOS}
    return [name for name in names if name in possible]


def _strange_ideographs(text: str, encoding: str) -> float:
    """The share of characters that are rare in the encoding, and signs of another country's text in it.

    Kana mean Japanese; a text whose every lead byte is that of a Hangul is Korean rather than Chinese the
    longer it is.
    """
    foreign = sum(not char.isascii() for char in text)
    encoded = (char.encode(encoding, "replace") for char in text if not char.isascii())
    strange = float(sum(len(raw) != 2 or raw[0] not in _COMMON_LEAD_BYTES[encoding] for raw in encoded))
    has_kana = any("\u3041" <= char <= "\u30fe" for char in text)
    expects_kana = encoding in ("cp932", "euc_jp")
    strange += 0.2 * foreign * (has_kana != expects_kana)
    strange += foreign * (0.6**foreign if encoding == "cp949" else 0.1)
    return strange / max(1, foreign)


def _strange_letters(text: str, encoding: str) -> float:
    """Per character that is not ASCII: what no language of the encoding would write."""
    foreign = [char for char in text if not char.isascii()]
    letters = [char for char in foreign if char.isalpha() or _is_mark(char)]
    strange = min(_cost(letters, ranks) for ranks in _ranks(encoding))
    strange += sum(
        _misplaced(*three, is_latin=_is_latin(encoding)) for three in zip(f"  {text}", f" {text}", text, strict=False)
    )
    if _is_latin(encoding) and len(letters) > 0.6 * sum(char.isalpha() for char in text):
        strange += 0.3 * len(foreign)
    return strange / max(1, len(foreign)) + (_RARITY.get(encoding, 0.0) if letters else 0.0)


def _misplaced(before: str, previous: str, char: str, *, is_latin: bool) -> float:
    """How strange ``char`` is behind the two characters before it."""
    if not char.isalpha():
        if char.isascii() or _is_mark(char):
            return 0.0
        if char in _PUNCTUATION:
            return float(char in _OPENING and previous.isalpha())
        return 2.0 if previous.isalpha() else 1.0
    if not previous.isalpha():
        # A dash between words has a capital or a blank behind it.
        inside = before.isalpha() and not char.isupper()
        apart = not previous.isascii() and not _is_mark(previous) and previous not in _PARTS_OF_WORDS
        return float(inside and apart)
    strange = float(char.isupper() and previous.islower()) + (previous in _FINAL)
    strange += not is_latin and char.isascii() != previous.isascii()
    strange += char.islower() and before.isupper() and previous.isupper() and not (before + previous).isascii()
    return strange + _SHOUT_COST * (char.isupper() and previous.isupper() and not char.isascii())


def _noise(text: str) -> float:
    """What speaks against any text, whichever the language: letters strewn between signs of all kinds."""
    foreign = max(1, sum(not char.isascii() for char in text))
    lost = sum(_is_lost(*three) for three in zip(f" {text}", text, f"{text[1:]} ", strict=False))
    heaps = sum(map(_is_heap, f"  {text}", f" {text}", text))
    clutter = 0 if len(text) > _LONG_ENOUGH else len({char for char in text if _is_clutter(char)}) - _MOST_CLUTTER
    return (_ALONE_COST * lost + _HEAP_COST * heaps) / foreign + _CLUTTER_COST * max(0, clutter)


def _is_lost(previous: str, char: str, following: str) -> bool:
    """Whether ``char`` is a foreign letter by itself between signs, or a file's end within a line."""
    if char == _END_OF_FILE:
        return not (previous.isspace() or following.isspace())
    if char.isascii() or not char.isalpha():
        return False
    around = (previous, following)
    if any(one.isalpha() or _is_mark(one) for one in around):
        return False
    return not all(one in _BESIDE_WORDS or one.isdigit() for one in around)


def _is_clutter(char: str) -> bool:
    return not (char in _PLAIN or char.isalnum() or _is_mark(char))


def _is_heap(*signs: str) -> bool:
    """Whether these are foreign signs that are not all the same."""
    return len(set(signs)) > 1 and not any(one.isascii() or one.isalpha() or _is_mark(one) for one in signs)


def _is_mark(char: str) -> bool:
    """An accent or vowel that stands on another letter."""
    return unicodedata.category(char).startswith("M")


def _cost(letters: list[str], ranks: dict[str, float]) -> float:
    return sum(ranks.get(char, _RARE_COST) for char in letters)


@cache
def _ranks(encoding: str) -> tuple[dict[str, float], ...]:
    """What each letter of each language costs: little for a frequent one, more for a late one."""
    tables = []
    for alphabet in _ALPHABETS[encoding]:
        step = _LATE_COST / math.log(len(alphabet) + 1)
        ranks = {char: step * math.log(place + 1) for place, char in enumerate(alphabet)}
        tables.append(ranks | {char.upper(): cost for char, cost in ranks.items()})
    return tuple(tables)


def _is_latin(encoding: str) -> bool:
    return _ALPHABETS[encoding] in (_LATIN, _CENTRAL) or encoding in ("cp1254", "cp1257")
