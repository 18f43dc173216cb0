"""The index of a HEIF file: which items it has, what they are put together from, what is said of them, where they lie.

Comes in: content. Goes out: a :class:`mmsprep.formats.heif.items.Heif`. Never: a decoded picture, or more items,
properties and references than any honest file has.

ISO/IEC 14496-12, 8.11 (``meta``, ``iloc``, ``iinf``, ``iref``); ISO/IEC 23008-12, 6 and 9 (``iprp``). The short form,
``mini``, is read in :mod:`mmsprep.formats.heif.short` into the same.
"""

from __future__ import annotations

import struct

from mmsprep.errors import Damaged
from mmsprep.formats.boxes import Walk, box_header, is_box_name, whole_body
from mmsprep.formats.content import Content
from mmsprep.formats.heif.items import IN_FILE, IN_ITEMS, Heif, Item, Property
from mmsprep.formats.heif.short import read_short

_MOST_ENTRIES = 200_000
"""Of all tables together."""


def read_heif(content: Content) -> Heif:
    """Read the items of ``content``; everything but where something lies is checked by whoever wants to know it.

    Raises:
        Damaged: there are none, or tables make no sense.
    """
    name, body, begin = _index(content)
    try:
        if name == b"mini":
            return read_short(content, body, begin)
        return _Tables(content, body).read()
    except (struct.error, IndexError, ValueError) as error:
        raise Damaged(
            content.name, f"begins as HEIC, but its index cannot be read ({error}); get the file again"
        ) from error


def _index(content: Content) -> tuple[bytes, memoryview, int]:
    """Name and inside of the box with the index, and where that begins."""
    position = 0
    for _ in range(_MOST_ENTRIES):
        name, header_length, size = box_header(content, position)
        if size < header_length or not is_box_name(name):
            break
        if name in (b"meta", b"mini"):
            start = position + header_length
            return name, whole_body(content, start, min(size, content.size_bytes - position) - header_length), start
        position += size
    raise Damaged(content.name, "begins as HEIC, but has no index; get the file again")


class _Tables:
    """The tables of a ``meta`` box, read one after the other; struct.error where they end too early."""

    def __init__(self, content: Content, meta: memoryview) -> None:
        walk = Walk(content.name)
        self._walk = walk
        self._heif = Heif(content)
        self._left = _MOST_ENTRIES
        self._boxes = dict(reversed(list(walk.children(meta[4:]))))

    def read(self) -> Heif:
        heif = self._heif
        if bytes(self._boxes.get(b"hdlr", b"")[8:12]) != b"pict":
            raise ValueError("it is not one of pictures")
        primary = self._boxes.get(b"pitm", b"")
        heif.primary = int.from_bytes(primary[4:8] if len(primary) and primary[0] else primary[4:6], "big")
        heif.box_data = bytes(self._boxes.get(b"idat", b""))
        self._read_items()
        self._read_places()
        self._read_references()
        self._read_properties()
        return heif

    def _count(self, entries: int) -> None:
        self._left -= entries
        if self._left < 0:
            raise ValueError(f"more than {_MOST_ENTRIES:,} entries")

    def _read_items(self) -> None:
        iinf = self._boxes.get(b"iinf", memoryview(b""))
        for name, body in self._walk.children(iinf[6 if len(iinf) and not iinf[0] else 8 :]):
            if name != b"infe" or not len(body) or body[0] not in (2, 3):
                continue
            number, protection, kind = struct.unpack_from(">HH4s" if body[0] == 2 else ">IH4s", body, 4)
            words = bytes(body[12 if body[0] == 2 else 14 :]).split(b"\0")
            content_type = words[1].decode("latin-1") if kind == b"mime" and len(words) > 1 else ""
            self._heif.items[number] = Item(
                number, kind.decode("latin-1"), content_type, hidden=bool(body[3] & 1), protected=protection != 0
            )

    def _read_places(self) -> None:
        iloc = self._boxes.get(b"iloc", b"\0" * 8)
        version, sizes, more = iloc[0], iloc[4], iloc[5]
        place_bytes, length_bytes, base_bytes = sizes >> 4, sizes & 15, more >> 4
        index_bytes = more & 15 if version in (1, 2) else 0
        if version > 2 or {place_bytes, length_bytes, base_bytes, index_bytes} - {0, 4, 8}:
            raise ValueError("a table of places of a kind that nobody knows")
        number_bytes = 4 if version == 2 else 2
        table = _Reader(iloc, 6)
        count = table.number(number_bytes)
        self._count(count)
        for _ in range(count):
            item = self._heif.items.get(table.number(number_bytes))
            where = table.number(2) & 15 if version else IN_FILE
            outside = table.number(2) != 0
            base = table.number(base_bytes)
            extent_count = table.number(2)
            self._count(extent_count)
            extents = []
            for _ in range(extent_count):
                index = table.number(index_bytes) if index_bytes else 1
                start = base + table.number(place_bytes)
                extents.append((start, table.number(length_bytes), index))
            if item is not None and where <= IN_ITEMS:
                item.where, item.outside, item.extents = where, outside and where == IN_FILE, extents

    def _read_references(self) -> None:
        iref = self._boxes.get(b"iref", memoryview(b""))
        number_bytes = 4 if len(iref) and iref[0] else 2
        for name, body in self._walk.children(iref[4:]):
            table = _Reader(body, 0)
            start, count = table.number(number_bytes), table.number(2)
            self._count(count)
            self._heif.references.append((name, start, tuple(table.number(number_bytes) for _ in range(count))))

    def _read_properties(self) -> None:
        iprp = self._boxes.get(b"iprp", memoryview(b""))
        known: list[tuple[bytes, bytes]] = []
        for box, body in self._walk.children(iprp):
            if box == b"ipco":
                known += [(name, bytes(inside)) for name, inside in self._walk.children(body)]
        for box, body in self._walk.children(iprp):
            if box == b"ipma":
                self._associate(_Reader(body, 4), known, number_bytes=4 if body[0] else 2, long=bool(body[3] & 1))

    def _associate(self, table: _Reader, known: list[tuple[bytes, bytes]], *, number_bytes: int, long: bool) -> None:
        essential_bit = 0x8000 if long else 0x80
        count = table.number(4)
        self._count(count)
        for _ in range(count):
            item = self._heif.items.get(table.number(number_bytes))
            said = table.number(1)
            self._count(said)
            for _ in range(said):
                entry = table.number(2 if long else 1)
                index = entry & ~essential_bit
                if 0 < index <= len(known) and item is not None:
                    item.properties.append(Property(*known[index - 1], bool(entry & essential_bit)))


class _Reader:
    """Numbers one after the other."""

    def __init__(self, data: memoryview | bytes, position: int) -> None:
        self._data = data
        self._position = position

    def number(self, length: int) -> int:
        end = self._position + length
        if end > len(self._data):
            raise ValueError("a table that ends too early")
        found = int.from_bytes(self._data[self._position : end], "big")
        self._position = end
        return found
