"""Boxes, of which MP4, QuickTime, 3GP, HEIF and JPEG XL files are made (ISO/IEC 14496-12, 4.2).

Comes in: content, or the inside of a box. Goes out: the names and insides of boxes. Never: what they mean, or a walk
through more of them than any honest file has.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from mmsprep.errors import Damaged
from mmsprep.formats.content import Content

MAX_BOXES = 200_000
_MAX_INDEX_BYTES = 64_000_000

_Box = tuple[bytes, memoryview]


def box_header(content: Content, position: int) -> tuple[bytes, int, int]:
    """Name, length of the header and of the whole box at ``position``; size 0 means: to the end of the file."""
    header = content.read(position, 16)
    if len(header) < 8:
        return b"", 8, 0
    size, name = struct.unpack(">I4s", header[:8])
    if size == 1 and len(header) == 16:
        return name, 16, struct.unpack(">Q", header[8:])[0]
    if size == 0:
        return name, 8, content.size_bytes - position
    return name, 8, size


def is_box_name(name: bytes) -> bool:
    return len(name) == 4 and all(byte == 0xA9 or 32 <= byte < 127 for byte in name)


def whole_body(content: Content, offset: int, length: int) -> memoryview:
    if length > _MAX_INDEX_BYTES:
        raise Damaged(content.name, f"has an index of {length:,} bytes; it is damaged or made to harm")
    return memoryview(content.read(offset, length))


class Walk:
    """A walk through the boxes in a file, which looks at no more of them than any honest file has."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._left = MAX_BOXES

    def children(self, box: memoryview) -> Iterator[_Box]:
        """The boxes inside a box.

        Raises:
            Damaged: it was too many.
        """
        self._count()
        for one in _children(box):
            self._count()
            yield one

    def child(self, box: memoryview, *path: bytes) -> memoryview:
        """The first box at ``path``; an empty one where there is none.

        Raises:
            Damaged: it was too many.
        """
        for name in path:
            box = next((body for found, body in self.children(box) if found == name), memoryview(b""))
        return box

    def _count(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise Damaged(self._name, f"consists of more than {MAX_BOXES:,} boxes; it is damaged or made to harm")


def _children(box: memoryview) -> Iterator[_Box]:
    """The boxes inside a box; ends quietly where they stop making sense."""
    position = 0
    while position + 8 <= len(box):
        size, name = struct.unpack(">I4s", box[position : position + 8])
        header_length = 8
        if size == 1 and position + 16 <= len(box):
            size, header_length = struct.unpack(">Q", box[position + 8 : position + 16])[0], 16
        size = size or len(box) - position
        if size < header_length:
            return
        yield name, box[position + header_length : position + size]
        position += size
