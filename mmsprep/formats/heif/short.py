"""The short form of HEIF: one box (``mini``) of bits, with the pictures behind them.

Comes in: that box. Goes out: the same items as an index of the long form has. Never: a gain map, which is skipped.

ISO/IEC 23008-12:2025, annex O (MinimizedImageBox).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from mmsprep.formats.content import Content
from mmsprep.formats.heif.items import Heif, Item, Property

_MAIN, _ALPHA, _EXIF, _XMP = 1, 2, 3, 4
_ALPHA_TYPE = b"\0\0\0\0urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0"
_TURNS: dict[int, tuple[tuple[bytes, int], ...]] = {
    2: ((b"imir", 1),),
    3: ((b"irot", 2),),
    4: ((b"imir", 0),),
    5: ((b"irot", 1), (b"imir", 0)),
    6: ((b"irot", 3),),
    7: ((b"irot", 3), (b"imir", 0)),
    8: ((b"irot", 1),),
}
"""EXIF's orientation as turns and mirrorings, in their order."""


_ORDER = (
    *("main_config", "alpha_config", "gain_config", "icc", "tone_icc", "gain_about"),
    *("alpha", "gain", "main", "exif", "xmp"),
)


class _Bits:
    def __init__(self, data: memoryview) -> None:
        self._data, self._at = data, 0

    def take(self, count: int) -> int:
        first, self._at = self._at, self._at + count
        if self._at > 8 * len(self._data):
            raise ValueError("a short form that ends too early")
        last = (self._at + 7) // 8
        value = int.from_bytes(self._data[first // 8 : last], "big")
        return value >> (8 * last - self._at) & ((1 << count) - 1)

    def flag(self) -> bool:
        return bool(self.take(1))

    @property
    def byte(self) -> int:
        return (self._at + 7) // 8


@dataclass(frozen=True, slots=True)
class _Head:
    """What the bits say; ``parts`` are start and length, in the box, of what follows them, by name."""

    width_px: int
    height_px: int
    orientation: int
    cicp: tuple[int, int, int]
    full_range: bool
    premultiplied: bool
    codec: int
    config: int
    parts: dict[str, tuple[int, int]]


def read_short(content: Content, body: memoryview, begin: int) -> Heif:
    """Read a ``mini`` box whose inside begins at byte ``begin`` of ``content``.

    Raises:
        ValueError: it makes no sense.
    """
    head = _head(body)
    heif = Heif(content, primary=_MAIN)

    def inside(part: str) -> bytes:
        start, length = head.parts[part]
        return bytes(body[start : start + length])

    def add(number: int, kind: str, part: str, *properties: Property) -> None:
        start, length = head.parts[part]
        extents = [(begin + start, length, 1)]
        heif.items[number] = Item(number, kind, hidden=number != _MAIN, extents=extents, properties=[*properties])

    kind = struct.pack(">I", head.codec).decode("latin-1") if head.codec else "hvc1"
    config_name = struct.pack(">I", head.config) if head.config else b"hvcC"
    size = Property(b"ispe", bytes(4) + struct.pack(">II", head.width_px, head.height_px))
    turns = [Property(name, bytes((value,)), essential=True) for name, value in _TURNS.get(head.orientation, ())]
    colours = [Property(b"colr", b"nclx" + struct.pack(">HHHB", *head.cicp, head.full_range << 7))]
    if head.parts["icc"][1]:
        colours.append(Property(b"colr", b"prof" + inside("icc")))
    add(_MAIN, kind, "main", Property(config_name, inside("main_config")), size, *colours, *turns)
    if head.parts["alpha"][1]:
        own = inside("alpha_config") or inside("main_config")
        add(_ALPHA, kind, "alpha", Property(config_name, own), size, Property(b"auxC", _ALPHA_TYPE), *turns)
        heif.references.append((b"auxl", _ALPHA, (_MAIN,)))
        heif.references += [(b"prem", _MAIN, (_ALPHA,))] if head.premultiplied else []
    for number, type_, part in ((_EXIF, "Exif", "exif"), (_XMP, "mime", "xmp")):
        if head.parts[part][1]:
            add(number, type_, part)
            heif.items[number].content_type = "application/rdf+xml" if number == _XMP else ""
            heif.references.append((b"cdsc", number, (_MAIN,)))
    return heif


def _head(body: memoryview) -> _Head:
    bits = _Bits(body)
    bits.take(2)
    explicit_codec, is_float, full_range, has_alpha, explicit_cicp, hdr, has_icc, has_exif, has_xmp = (
        bits.flag() for _ in range(9)
    )
    chroma, orientation = bits.take(2), bits.take(3) + 1
    side_bits = 15 if bits.flag() else 7
    width, height = bits.take(side_bits) + 1, bits.take(side_bits) + 1
    _skip_format(bits, chroma, is_float=is_float)
    premultiplied = has_alpha and bits.flag()
    cicp = (2, 2, 6) if has_icc else (1, 13, 6)
    if explicit_cicp:
        cicp = bits.take(8), bits.take(8), bits.take(8)
    # Where it does not say it, the file's brand does.
    codec, config = (bits.take(32), bits.take(32)) if explicit_codec else (0, 0)
    has_gain_map, tone_icc = _skip_hdr(bits, side_bits) if hdr else (False, False)
    about_bits = 20 if (has_icc or has_exif or has_xmp or has_gain_map) and bits.flag() else 10
    config_bits, data_bits = (12 if bits.flag() else 3), (28 if bits.flag() else 15)
    found = {"icc": bits.take(about_bits) + 1 if has_icc else 0}
    found["tone_icc"] = bits.take(about_bits) + 1 if tone_icc else 0
    found["gain_about"] = bits.take(about_bits) if has_gain_map else 0
    found["gain"] = bits.take(data_bits) if has_gain_map else 0
    found["gain_config"] = bits.take(config_bits) if found["gain"] else 0
    found["main_config"], found["main"] = bits.take(config_bits), bits.take(data_bits) + 1
    found["alpha"] = bits.take(data_bits) if has_alpha else 0
    found["alpha_config"] = bits.take(config_bits) if found["alpha"] else 0
    bits.take(1 if has_exif or has_xmp else 0)
    found["exif"] = bits.take(about_bits) + 1 if has_exif else 0
    found["xmp"] = bits.take(about_bits) + 1 if has_xmp else 0
    at, parts = bits.byte, dict[str, tuple[int, int]]()
    for name in _ORDER:
        parts[name] = at, found[name]
        at += found[name]
    if at > len(body):
        raise ValueError("a short form whose parts are longer than it is")
    return _Head(width, height, orientation, cicp, full_range, premultiplied, codec, config, parts)


def _skip_format(bits: _Bits, chroma: int, *, is_float: bool) -> None:
    """Where chroma lies, and how many bits a channel has."""
    bits.take((0, 2, 1, 0)[chroma])
    if is_float:
        bits.take(2)
    elif bits.flag():
        bits.take(3)


def _skip_hdr(bits: _Bits, side_bits: int) -> tuple[bool, bool]:
    """Pass over high dynamic range; whether there is a gain map, and a colour profile for what it makes."""
    has_gain_map, tone_icc = bits.flag(), False
    if has_gain_map:
        if not bits.flag():
            bits.take(2 * side_bits)
        bits.take(9)
        _skip_format(bits, bits.take(2), is_float=bits.flag())
        tone_icc = bits.flag()
        if bits.flag():
            bits.take(25)
    for _ in range(2 if has_gain_map else 1):
        _skip_light(bits)
    return has_gain_map, tone_icc


def _skip_light(bits: _Bits) -> None:
    """Content light, mastering display, content colour volume, ambient and reference viewing, diffuse white."""
    clli, mdcv, cclv, amve, reve, ndwt = (bits.flag() for _ in range(6))
    bits.take(32 * clli)
    bits.take(192 * mdcv)
    if cclv:
        bits.take(2)
        primaries, *lights = (bits.flag() for _ in range(4))
        bits.take(2 + 192 * primaries + 32 * sum(lights))
    bits.take(64 * amve + 160 * reve + 32 * ndwt)
