"""What a HEIF file consists of: items, what is said of them, and how they refer to one another.

Comes in: what was read of an index. Goes out: values, and the bytes of an item. Never: bytes of another file.

ISO/IEC 14496-12, 8.11.3 (where items lie).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from mmsprep.errors import Damaged, UnsafeReference
from mmsprep.formats.content import Content

IN_FILE, IN_BOX, IN_ITEMS = range(3)
"""Where an item's bytes lie."""
_MOST_BYTES = 400_000_000
"""Of all items that are read: in files made to harm some lie over one another."""
_MOST_NESTED = 4
_COPIES = b"iloc"

_Ways = dict[tuple[bytes, int], list[int]]


@dataclass(frozen=True, slots=True)
class Property:
    """Something said of an item; ``essential``: who does not understand it must not show the item."""

    name: bytes
    body: bytes
    essential: bool = False


@dataclass(slots=True)
class Item:
    """One item: its number, its type (``hvc1``, ``grid``, ``Exif``, ...) and what is said of it, in this order.

    ``extents`` are places and lengths (0: all there is) in ``where``: the file, a box of the index, other items.
    """

    number: int
    kind: str
    content_type: str = ""
    hidden: bool = False
    protected: bool = False
    outside: bool = False
    where: int = IN_FILE
    extents: list[tuple[int, int, int]] = field(default_factory=list)
    properties: list[Property] = field(default_factory=list)

    def all_of(self, name: bytes) -> Iterator[bytes]:
        """The bodies of the properties of that name."""
        return (one.body for one in self.properties if one.name == name)

    def first(self, name: bytes) -> bytes:
        """The body of the first property of that name; empty where there is none."""
        return next(self.all_of(name), b"")


@dataclass(slots=True)
class Heif:
    """All items of a file by number, the number of the one that stands for it, and references: kind, from, to."""

    content: Content
    items: dict[int, Item] = field(default_factory=dict)
    primary: int = 0
    references: list[tuple[bytes, int, tuple[int, ...]]] = field(default_factory=list)
    box_data: bytes = b""
    read_bytes: int = 0
    ways: tuple[_Ways, _Ways] | None = None

    def targets(self, kind: bytes, number: int) -> tuple[int, ...]:
        """Where references of a kind from an item lead, in their order."""
        return tuple(self._looked_up()[0].get((kind, number), ()))

    def sources(self, kind: bytes, number: int) -> tuple[Item, ...]:
        """The items that a reference of a kind leads from to this one."""
        found = self._looked_up()[1].get((kind, number), ())
        return tuple(self.items[start] for start in found if start in self.items)

    def _looked_up(self) -> tuple[_Ways, _Ways]:
        """References by kind and where they lead from, and by kind and where they lead to; a grid has thousands."""
        if self.ways is None:
            onward: _Ways = {}
            back: _Ways = {}
            for kind, start, ends in self.references:
                onward.setdefault((kind, start), []).extend(ends)
                for end in dict.fromkeys(ends):
                    back.setdefault((kind, end), []).append(start)
            self.ways = onward, back
        return self.ways

    def data(self, item: Item, nested: int = 0) -> bytes:
        """The bytes of an item.

        Raises:
            UnsafeReference: they lie in another file.
            Damaged: they do not lie where they should, or are far too many.
        """
        name = self.content.name
        if item.outside:
            raise UnsafeReference(name, "keeps its picture in another file, which is never followed; get a whole one")
        if nested > _MOST_NESTED:
            raise Damaged(name, "has items inside one another without end; it is damaged or made to harm")
        parts = [self._part(item, extent, nested) for extent in item.extents]
        return b"".join(parts)

    def _part(self, item: Item, extent: tuple[int, int, int], nested: int) -> bytes:
        start, length, index = extent
        if item.where == IN_ITEMS:
            copied = self.targets(_COPIES, item.number)
            source = self.items.get(copied[index - 1]) if 0 < index <= len(copied) else None
            whole = self.data(source, nested + 1) if source else b""
            found = whole[start : start + length] if length else whole[start:]
        elif item.where == IN_BOX:
            found = self.box_data[start : start + length] if length else self.box_data[start:]
        else:
            found = self.content.read(start, length or self.content.size_bytes - start)
        if len(found) < max(1, length):
            raise Damaged(self.content.name, "has a picture outside of itself: it was cut short; get the file again")
        self.read_bytes += len(found)
        if self.read_bytes > _MOST_BYTES:
            raise Damaged(self.content.name, "has pictures that lie over one another; it is damaged or made to harm")
        return found
