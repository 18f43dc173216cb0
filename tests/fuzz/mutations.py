"""Damage done to files: what transport, bad tools and attackers make of them.

Comes in: files' bytes and a source of chance. Goes out: other bytes. Never: the same bytes for another seed only.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Sequence
from random import Random

_TELLING_NUMBERS = (
    *(0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFF0, 0xFFFFFFFF),
    *(1 << 62, (1 << 63) - 13, (1 << 63) - 1, 1 << 63, (1 << 64) - 1),
)
"""Where readers add, divide or seek, these go wrong: nothing, the ends of every width, what no file can be long."""
_UNITS = (
    *(b"\0\0\0\x08trak", b"\0\0\0\x08free", b"\xec\x80", b"\x00\xff\x01\x00", b"\x7c", b"\r\n ", b"\n", b" ", b";"),
    *("\u0301\u0327".encode(), b"a;", b'"', b"\\", b"<!--", b"[", b"(", b"=?", b"\x1b[", b"\xff\xd8"),
    b"ID3\x03" + bytes(6),
)
"""What other programs' parsers stumbled over when it came a hundred thousand times."""
_HEADER_BYTES = 512
_LONGEST_RUN = 64


def flip_bits(data: bytes, chance: Random) -> bytes:
    """A few bits turned over, most of them where the headers are."""
    damaged = bytearray(data)
    for _ in range(chance.choice((1, 2, 4, 16, 64))):
        damaged[_place(damaged, chance)] ^= 1 << chance.randrange(8)
    return bytes(damaged)


def truncate(data: bytes, chance: Random) -> bytes:
    """The beginning alone."""
    return data[: _place(data, chance) + 1]


def edit_length(data: bytes, chance: Random) -> bytes:
    """Two or four bytes made to say a number that is out of all proportion, or off by a little."""
    damaged = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 4))):
        width, order = chance.choice((1, 2, 4, 4, 8)), chance.choice(("big", "little"))
        at = _place(damaged, chance)
        found = int.from_bytes(damaged[at : at + width], order)  # type: ignore[arg-type]
        number = chance.choice((*_TELLING_NUMBERS, found + 1, found - 1, found * 2, len(data), len(data) * 2))
        number %= 1 << 8 * width
        damaged[at : at + width] = number.to_bytes(width, order)  # type: ignore[arg-type]
    return bytes(damaged)


def blank(data: bytes, chance: Random) -> bytes:
    """A stretch of zeros or of noise."""
    at = _place(data, chance)
    length = chance.randrange(1, max(2, len(data) // 4))
    stretch = bytes(length) if chance.random() < 0.5 else chance.randbytes(length)
    return data[:at] + stretch + data[at + length :]


def repeat(data: bytes, chance: Random) -> bytes:
    """A stretch once more, or very often."""
    at = _place(data, chance)
    stretch = data[at : at + chance.randrange(1, _LONGEST_RUN)]
    return data[:at] + stretch * chance.choice((2, 3, 1_000)) + data[at:]


def remove(data: bytes, chance: Random) -> bytes:
    """A stretch left out: everything behind it lies elsewhere than the file says."""
    at = _place(data, chance)
    return data[:at] + data[at + chance.randrange(1, _LONGEST_RUN) :]


def stand_long(data: bytes, chance: Random) -> bytes:
    """Every frame of an animation stands as long as its format can say, or no time at all, and repeats without end."""
    number = chance.choice((0, 1, 0xFFFF, 0xFFFF))
    damaged = bytearray(data)
    for found in re.finditer(rb"\x21\xf9\x04", data):
        damaged[found.end() + 1 : found.end() + 3] = number.to_bytes(2, "little")
    for found in re.finditer(rb"ANMF", data):
        damaged[found.end() + 16 : found.end() + 19] = (number * 0x100).to_bytes(3, "little")
    for found in re.finditer(rb"fcTL", data):
        _in_png(damaged, found.start(), 20, number.to_bytes(2, "big") + chance.choice((b"\0\0", b"\0\1")))
    for found in re.finditer(rb"acTL", data):
        _in_png(damaged, found.start(), 4, chance.choice((0, 70_000, 0xFFFFFFFF)).to_bytes(4, "big"))
    return bytes(damaged[: len(data)])


def _in_png(damaged: bytearray, chunk: int, at: int, value: bytes) -> None:
    """Write into a chunk of a PNG, and its checksum anew: without that no reader would look at it."""
    length = int.from_bytes(damaged[chunk - 4 : chunk], "big")
    damaged[chunk + 4 + at : chunk + 4 + at + len(value)] = value
    checksum = zlib.crc32(damaged[chunk : chunk + 4 + length])
    damaged[chunk + 4 + length : chunk + 8 + length] = checksum.to_bytes(4, "big")


def stretched(data: bytes, size_bytes: int, chance: Random) -> bytes:
    """``data`` with something in it so often that it has ``size_bytes``; the same chance gives the same something."""
    at = _place(data, chance)
    unit = (
        chance.choice(_UNITS) if chance.random() < 0.6 else data[at : at + chance.randrange(1, _LONGEST_RUN)] or b"\0"
    )
    return data[:at] + unit * max(0, (size_bytes - len(data)) // len(unit)) + data[at:]


MUTATIONS: Sequence[Callable[[bytes, Random], bytes]] = (
    flip_bits,
    truncate,
    edit_length,
    blank,
    repeat,
    remove,
    stand_long,
)


def splice(data: bytes, other: bytes, chance: Random) -> bytes:
    """The beginning of one file and the rest of another."""
    return data[: _place(data, chance) + 1] + other[_place(other, chance) :]


def mutate(data: bytes, other: bytes, chance: Random) -> tuple[str, bytes]:
    """One to three kinds of damage to ``data``, with pieces of ``other``; their names, and the result."""
    names = []
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        if not data:
            break
        if chance.random() < 0.12:
            names.append("splice")
            data = splice(data, other, chance)
        else:
            mutation = chance.choice(MUTATIONS)
            names.append(mutation.__name__)
            data = mutation(data, chance)
    return "+".join(names), data


def _place(data: bytes | bytearray, chance: Random) -> int:
    """A place in ``data``; every second time among its first bytes."""
    end = min(len(data), _HEADER_BYTES) if chance.random() < 0.5 else len(data)
    return chance.randrange(max(1, end))
