"""WSP's binary values, of which an MM1 PDU is made: read with every length checked, and written.

Comes in: bytes, or values. Goes out: the other. Never: a read beyond what a length field allows, or a guess where
a value is cut off.

Source: WAP-230-WSP 8.1.2 (uintvar) and 8.4.2 (header values); character sets are IANA's MIBenums.
"""

from __future__ import annotations

from mmsprep.errors import Damaged

_UINTVAR_OCTETS = 5
_SHORT_LENGTH_MOST, _LENGTH_QUOTE = 30, 31
_QUOTE, _QUOTED_STRING = 0x7F, 0x22
_LONG_INTEGER_OCTETS = 30

CHARSETS = {
    3: "us-ascii",
    4: "iso-8859-1",
    5: "iso-8859-2",
    6: "iso-8859-3",
    7: "iso-8859-4",
    8: "iso-8859-5",
    9: "iso-8859-6",
    10: "iso-8859-7",
    11: "iso-8859-8",
    12: "iso-8859-9",
    13: "iso-8859-10",
    17: "shift_jis",
    18: "euc-jp",
    36: "ks_c_5601-1987",
    38: "euc-kr",
    39: "iso-2022-jp",
    106: "utf-8",
    109: "iso-8859-13",
    110: "iso-8859-14",
    111: "iso-8859-15",
    112: "iso-8859-16",
    113: "gbk",
    114: "gb18030",
    1000: "iso-10646-ucs-2",
    1013: "utf-16be",
    1014: "utf-16le",
    1015: "utf-16",
    2025: "gb2312",
    2026: "big5",
    2084: "koi8-r",
    2250: "windows-1250",
    2251: "windows-1251",
    2252: "windows-1252",
    2253: "windows-1253",
    2254: "windows-1254",
    2255: "windows-1255",
    2256: "windows-1256",
    2257: "windows-1257",
    2258: "windows-1258",
    2259: "tis-620",
}
"""MIBenum to the name that MIME uses."""
UTF_8 = 106
_CODECS = {"iso-10646-ucs-2": "utf-16-be", "ks_c_5601-1987": "cp949", "utf-16": "utf-16"}


class Reader:
    """A stretch of a PDU: reads forward, never beyond its end.

    ``name`` is what errors call the file; ``where`` says what is being read.
    """

    def __init__(self, data: bytes, name: str, where: str = "the PDU") -> None:
        self._data = data
        self._position = 0
        self._name = name
        self._where = where

    @property
    def left(self) -> int:
        """Bytes that are still to be read."""
        return len(self._data) - self._position

    def damaged(self, problem: str) -> Damaged:
        """The error to raise at this place."""
        return Damaged(self._name, f"is no MM1 PDU that can be read: {self._where}: {problem}")

    def peek(self) -> int:
        """The next octet, which stays."""
        if not self.left:
            raise self.damaged("it ends where a value was expected")
        return self._data[self._position]

    def octet(self) -> int:
        """The next octet."""
        found = self.peek()
        self._position += 1
        return found

    def take(self, count: int) -> bytes:
        """The next ``count`` bytes."""
        if count > self.left:
            raise self.damaged(f"a length of {count:,} bytes is given, {self.left:,} are left")
        found = self._data[self._position : self._position + count]
        self._position += count
        return found

    def part(self, count: int, where: str) -> Reader:
        """A reader of the next ``count`` bytes."""
        return Reader(self.take(count), self._name, where)

    def uintvar(self) -> int:
        """An unsigned integer of seven bits an octet, at most 32 bits."""
        value = 0
        for _ in range(_UINTVAR_OCTETS):
            found = self.octet()
            value = value << 7 | found & 0x7F
            if not found & 0x80:
                if value > 0xFFFFFFFF:
                    raise self.damaged("a length has more than 32 bits")
                return value
        raise self.damaged("a length has more than five octets")

    def value_length(self) -> int:
        """How long the value is that follows."""
        first = self.octet()
        if first <= _SHORT_LENGTH_MOST:
            return first
        if first == _LENGTH_QUOTE:
            return self.uintvar()
        raise self.damaged(f"the octet {first:#04x} stands where a length was expected")

    def raw_text(self) -> bytes:
        """The bytes of a text up to its NUL, without the quote that lets it begin with a high octet."""
        end = self._data.find(b"\0", self._position)
        if end < 0:
            raise self.damaged("a text has no end")
        found = self.take(end - self._position)
        self._position += 1
        return found[1:] if found[:1] == bytes([_QUOTE]) else found

    def text(self) -> str:
        """A text on one line; UTF-8 as phones write it, otherwise Latin-1."""
        return one_line(characters(self.raw_text(), "utf-8"))

    def quoted(self) -> str:
        """A text that may begin with the quotation mark of a Quoted-string, which has no closing one."""
        return self.text().removeprefix('"').removesuffix('"')

    def encoded_string(self) -> str:
        """A text, or a text with its character set before it."""
        # An empty text is its end alone, which no length is.
        if self.peek() > _LENGTH_QUOTE or self.peek() == 0:
            return self.text()
        value = self.part(self.value_length(), f"{self._where}, a text with a character set")
        charset = CHARSETS.get(value.integer(), "")
        raw = value.take(value.left)
        if raw[:1] == bytes([_QUOTE]):
            raw = raw[1:]
        # UTF-16 has NULs of its own, so the end is the length's, less the terminator.
        width = 2 if charset.startswith(("utf-16", "iso-10646")) and len(raw) % 2 == 0 else 1
        return one_line(characters(raw.removesuffix(b"\0" * width), charset))

    def integer(self) -> int:
        """A short integer in one octet, or a long one with its length before it."""
        first = self.octet()
        if first & 0x80:
            return first & 0x7F
        if not 0 < first <= _LONG_INTEGER_OCTETS:
            raise self.damaged(f"the octet {first:#04x} stands where an integer was expected")
        return int.from_bytes(self.take(first))

    def value(self) -> bytes:
        """Whatever value comes next, as the rule of WSP 8.4.1.2 tells its length."""
        start = self._position
        first = self.octet()
        if first <= _LENGTH_QUOTE:
            self._position -= 1
            self.take(self.value_length())
        elif first < 0x80:
            self.raw_text()
        return self._data[start : self._position]


def characters(raw: bytes, charset: str) -> str:
    """Decode ``raw`` as declared where that works, otherwise as UTF-8, otherwise as Latin-1."""
    for codec in (_CODECS.get(charset, charset), "utf-8"):
        try:
            return raw.decode(codec) if codec else raw.decode("utf-8")
        except (LookupError, ValueError):
            continue
    return raw.decode("latin-1")


def one_line(text: str) -> str:
    """A header's value without what would end its line."""
    return " ".join(text.replace("\0", " ").split())


def uintvar(value: int) -> bytes:
    """An unsigned integer, seven bits an octet, the last one without the high bit."""
    octets = [value & 0x7F]
    while value := value >> 7:
        octets.append(value & 0x7F | 0x80)
    return bytes(reversed(octets))


def value_length(count: int) -> bytes:
    """The length before a value."""
    return bytes([count]) if count <= _SHORT_LENGTH_MOST else bytes([_LENGTH_QUOTE]) + uintvar(count)


def short_integer(value: int) -> bytes:
    """A number from 0 to 127 in one octet."""
    return bytes([0x80 | value])


def integer(value: int) -> bytes:
    """A number in as few octets as it needs."""
    return short_integer(value) if value < 0x80 else long_integer(value)


def long_integer(value: int) -> bytes:
    """A number with the count of its octets before it."""
    octets = value.to_bytes(max(1, (value.bit_length() + 7) // 8))
    return bytes([len(octets)]) + octets


def text(value: str) -> bytes:
    """A text with its NUL; a first character beyond ASCII is quoted."""
    raw = one_line(value).encode()
    quote = bytes([_QUOTE]) if raw and raw[0] >= 0x80 else b""
    return quote + raw + b"\0"


def quoted_string(value: str) -> bytes:
    """A text with the opening quotation mark of a Quoted-string."""
    return bytes([_QUOTED_STRING]) + one_line(value).encode() + b"\0"


def encoded_string(value: str) -> bytes:
    """A text; beyond ASCII with UTF-8 declared before it."""
    if value.isascii():
        return text(value)
    content = short_integer(UTF_8) + text(value)
    return value_length(len(content)) + content
