"""ID3v2 tags in front of sound: how long they are, and which sound is behind them.

Comes in: content. Goes out: where the sound begins, and its format. Never: what the tags say.

ID3v2.4, 3.1.
"""

from __future__ import annotations

from mmsprep.formats.content import Content

_HEADER_BYTES = 10
_FOOTER = 0x10


def tag_bytes(header: bytes) -> int:
    """How long the tag is whose first ten bytes these are: four times seven bits, and perhaps a footer."""
    length = 0
    for byte in header[6:10]:
        length = length << 7 | byte & 0x7F
    return _HEADER_BYTES + length + (_HEADER_BYTES if header[5] & _FOOTER else 0)


def after_id3(content: Content) -> int:
    """Where the sound begins behind the tags in front of it, 0 without one.

    Some programs put one tag in front of another.
    """
    offset = 0
    while len(header := content.read(offset, _HEADER_BYTES)) == _HEADER_BYTES and header.startswith(b"ID3"):
        offset += tag_bytes(header)
    return offset


def is_tagged(content: Content) -> bool:
    """Whether there is a tag in front; three letters alone may be a text's."""
    head = content.head
    return head[:3] == b"ID3" and len(head) > 10 and head[3] < 16 and all(byte < 128 for byte in head[6:10])
