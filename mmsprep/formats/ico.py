"""Windows icons and cursors: a directory of pictures.

Comes in: content. Goes out: whether it is one. Never: a decoded pixel.
"""

from __future__ import annotations

import struct

from mmsprep.formats.content import Content
from mmsprep.formats.registry import Format, register
from mmsprep.model import Kind


def _is_ico(content: Content) -> bool:
    return _is_directory(content, b"\x00\x00\x01\x00")


def _is_cur(content: Content) -> bool:
    return _is_directory(content, b"\x00\x00\x02\x00")


def _is_directory(content: Content, start: bytes) -> bool:
    """The type, some entries, the first of which lies inside the file."""
    if len(content.head) < 22 or content.head[:4] != start:
        return False
    count, size, offset = struct.unpack_from("<H8xII", content.head, 4)
    inside = 6 + 16 * count <= offset <= content.size_bytes - size < content.size_bytes
    return bool(0 < count <= 256 and inside)


register(
    Format(
        slug="ico",
        title="Windows icon",
        kind=Kind.IMAGE,
        content_type="image/vnd.microsoft.icon",
        extension="ico",
        looks_like=_is_ico,
        rank=60,
        decoder="mmsprep.tools.icon:open_icon",
    )
)
register(
    Format(
        slug="cur",
        title="Windows cursor",
        kind=Kind.IMAGE,
        content_type="image/vnd.microsoft.icon",
        extension="cur",
        looks_like=_is_cur,
        rank=61,
        decoder="mmsprep.tools.icon:open_icon",
    )
)
