"""Pictures of HEVC as HEIF keeps them, and as a decoder takes them: a stream in which each stands by itself.

Comes in: a configuration (``hvcC``), the data of an item. Goes out: what its pictures are like, and units behind start
codes. Never: a unit that is longer than what is left, messages (SEI), or layers above the base.

ISO/IEC 14496-15, 8.3.2 and 8.3.3; Rec. ITU-T H.265, 7.3.1.2, 7.3.2.2, 7.3.3 and Annex B. Anything that makes no sense
is a ValueError.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_START = b"\0\0\1"
END_OF_SEQUENCE = _START + b"\x48\x01"
"""Behind a picture: what comes next is decoded as the first one is, whatever it refers to."""
_SETS = range(32, 35)
_LAYERS, _SEQUENCE = 32, 33
_PICTURES = range(32)
_EMULATION = re.compile(rb"\0\0\x03")
_MOST_UNITS = 10_000
_MOST_SEQUENCE_BYTES = 512
"""Of a set of parameters: what is looked for stands far before."""
_UNSAID = 2
_MOST_SETS = 64
_OTHER_RATIO = 255
_CHROMA_WIDTHS, _CHROMA_HEIGHTS = (1, 2, 2, 1), (1, 2, 1, 1)


@dataclass(frozen=True, slots=True)
class Configuration:
    """What all pictures of one configuration have in common; ``units`` are its sets of parameters.

    ``chroma_format`` is 0 (grey) to 3 (4:4:4), ``length_bytes`` are those of the length before each unit;
    ``primaries`` and ``matrix`` are code points of H.273.
    """

    units: bytes
    length_bytes: int
    width_px: int
    height_px: int
    chroma_format: int
    bit_depth: int
    primaries: int = _UNSAID
    matrix: int = _UNSAID
    full_range: bool = False


def read_configuration(data: bytes) -> Configuration:
    """Read an ``HEVCDecoderConfigurationRecord``.

    Raises:
        ValueError: it is none, or says nothing of its pictures.
    """
    if len(data) < 23 or data[0] != 1:
        raise ValueError("an HEVC configuration of a kind that nobody knows")
    units: list[bytes] = []
    position = 23
    for _ in range(data[22]):
        count = int.from_bytes(_cut(data, position + 1, 2), "big")
        position += 3
        for _ in range(count):
            length = int.from_bytes(_cut(data, position, 2), "big")
            units.append(_cut(data, position + 2, length))
            position += 2 + length
    sets = [_of_one_layer(unit) for unit in units if _type(unit) in _SETS]
    sequence = next((unit for unit in sets if _type(unit) == _SEQUENCE), b"")
    return Configuration(_with_starts(sets), (data[21] & 3) + 1, *_sequence(sequence))


def picture_units(data: bytes, configuration: Configuration) -> tuple[bytes, bool]:
    """The first picture in the data of an item, behind start codes, and whether sets of parameters stand in it.

    Raises:
        ValueError: there is none, or its units do not fit into it.
    """
    kept: list[bytes] = []
    begun = False
    for unit in _units(data, configuration.length_bytes):
        kind = _type(unit)
        if kind in _PICTURES and len(unit) > 2:
            is_first = bool(unit[2] & 0x80)
            if is_first and begun:
                break
            begun = begun or is_first
            kept.append(unit)
        elif kind in _SETS:
            kept.append(unit)
    if not begun:
        raise ValueError("an item without a picture")
    return _with_starts(kept), any(_type(unit) in _SETS for unit in kept)


def _units(data: bytes, length_bytes: int) -> Iterator[bytes]:
    position = 0
    for _ in range(_MOST_UNITS):
        if position >= len(data):
            return
        length = int.from_bytes(_cut(data, position, length_bytes), "big")
        yield _cut(data, position + length_bytes, length)
        position += length_bytes + length
    raise ValueError(f"a picture of more than {_MOST_UNITS:,} units")


def _cut(data: bytes, start: int, length: int) -> bytes:
    if start + length > len(data):
        raise ValueError("HEVC whose units are longer than the file lets them be")
    return data[start : start + length]


def _with_starts(units: list[bytes]) -> bytes:
    return b"".join(_START + unit for unit in units)


def _of_one_layer(unit: bytes) -> bytes:
    """A set of parameters of all layers, as if there were the base alone: of some others decoders say that they do not
    know them (7.3.2.1: ``vps_max_layers_minus1``)."""
    if _type(unit) != _LAYERS or len(unit) < 4:
        return unit
    return unit[:2] + bytes((unit[2] & 0xFC, unit[3] & 0x0F)) + unit[4:]


def _type(unit: bytes) -> int:
    """Of a unit of the base layer; -1 for others."""
    if len(unit) < 2 or unit[0] & 0x81 or unit[1] >> 3:
        return -1
    return unit[0] >> 1


class _Bits:
    """Bits of a set of parameters, and the numbers that they make (9.2)."""

    def __init__(self, unit: bytes) -> None:
        data = _EMULATION.sub(b"\0\0", unit[:_MOST_SEQUENCE_BYTES])[2:]
        self._value, self._left = int.from_bytes(data, "big"), 8 * len(data)

    def take(self, count: int) -> int:
        self._left -= count
        if self._left < 0:
            raise ValueError("HEVC whose parameters end too early")
        return self._value >> self._left & ((1 << count) - 1)

    def number(self) -> int:
        zeros = 0
        while not self.take(1):
            zeros += 1
            if zeros > 32:
                raise ValueError("HEVC whose parameters make no sense")
        return (1 << zeros) - 1 + self.take(zeros)

    def numbers(self, count: int) -> None:
        """Pass over some."""
        for _ in range(count):
            self.number()


def _sequence(unit: bytes) -> tuple[int, int, int, int, int, int, bool]:
    """Width, height, chroma format, bit depth, primaries, matrix and range of the pictures as they are shown."""
    bits = _Bits(unit)
    bits.take(4)
    layers = bits.take(3)
    bits.take(1)
    _skip_profile(bits, layers)
    bits.number()
    chroma = bits.number()
    if chroma > 3:
        raise ValueError("HEVC of a chroma format that nobody knows")
    if chroma == 3:
        bits.take(1)
    width, height = bits.number(), bits.number()
    if bits.take(1):
        left, right, top, bottom = (bits.number() for _ in range(4))
        width -= _CHROMA_WIDTHS[chroma] * (left + right)
        height -= _CHROMA_HEIGHTS[chroma] * (top + bottom)
    depth = 8 + max(bits.number(), bits.number())
    if width < 1 or height < 1 or depth > 16:
        raise ValueError("HEVC with pictures of no size")
    try:
        return width, height, chroma, depth, *_colours(bits, layers)
    except ValueError:
        return width, height, chroma, depth, _UNSAID, _UNSAID, False


def _colours(bits: _Bits, layers: int) -> tuple[int, int, bool]:
    """Primaries, matrix and range, which stand behind everything else (7.3.2.2.1, E.2.1)."""
    order_bits = bits.number() + 4
    for _ in range(layers + 1 if bits.take(1) else 1):
        bits.numbers(3)
    bits.numbers(6)
    if bits.take(1) and bits.take(1):
        _skip_scaling(bits)
    bits.take(2)
    if bits.take(1):
        bits.take(8)
        bits.numbers(2)
        bits.take(1)
    _skip_reference_sets(bits)
    if bits.take(1):
        bits.take(min(bits.number(), _MOST_SETS) * (order_bits + 1))
    bits.take(2)
    if not bits.take(1):
        return _UNSAID, _UNSAID, False
    if bits.take(1) and bits.take(8) == _OTHER_RATIO:
        bits.take(32)
    if bits.take(1):
        bits.take(1)
    if not bits.take(1):
        return _UNSAID, _UNSAID, False
    bits.take(3)
    full_range = bool(bits.take(1))
    if not bits.take(1):
        return _UNSAID, _UNSAID, full_range
    primaries, _, matrix = bits.take(8), bits.take(8), bits.take(8)
    return primaries, matrix, full_range


def _skip_scaling(bits: _Bits) -> None:
    """7.3.4."""
    for size in range(4):
        for _ in range(2 if size == 3 else 6):
            if not bits.take(1):
                bits.number()
                continue
            bits.numbers(min(64, 1 << (4 + 2 * size)) + (size > 1))


def _skip_reference_sets(bits: _Bits) -> None:
    """7.3.7."""
    deltas = 0
    for number in range(min(bits.number(), _MOST_SETS)):
        if number and bits.take(1):
            bits.take(1)
            bits.number()
            kept = [bits.take(1) or bits.take(1) for _ in range(deltas + 1)]
            deltas = sum(kept)
            continue
        deltas = min(bits.number() + bits.number(), _MOST_SETS)
        for _ in range(deltas):
            bits.number()
            bits.take(1)


def _skip_profile(bits: _Bits, layers: int) -> None:
    bits.take(88)
    bits.take(8)
    present = [(bits.take(1), bits.take(1)) for _ in range(layers)]
    if layers:
        bits.take(2 * (8 - layers))
    for has_profile, has_level in present:
        bits.take(88 * has_profile + 8 * has_level)
