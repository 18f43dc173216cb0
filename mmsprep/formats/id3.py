"""ID3v2 tags in front of sound: whether one is there, and how long it is.

Comes in: bytes. Goes out: lengths. Never: what the tags say.

ID3v2.4, 3.1.
"""

from __future__ import annotations

_HEADER_BYTES = 10
_FOOTER = 0x10
_VERSIONS = 16
"""So many at most; 2, 3 and 4 were published."""


def tag_bytes(header: bytes) -> int:
    """How long the tag is whose first ten bytes these are: four times seven bits, and perhaps a footer."""
    length = 0
    for byte in header[6:10]:
        length = length << 7 | byte & 0x7F
    return _HEADER_BYTES + length + (_HEADER_BYTES if header[5] & _FOOTER else 0)


def is_tag(header: bytes) -> bool:
    """Whether these are the first bytes of a tag; three letters alone may be a text's."""
    return len(header) >= _HEADER_BYTES and header.startswith(b"ID3") and header[3] < _VERSIONS
