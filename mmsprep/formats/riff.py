"""RIFF: chunks with a name and a length, padded to even places; the frame of WAV, WebP and AVI.

Comes in: content that begins as one. Goes out: where its chunks are. Never: what is in them, or an error: a chunk that
reaches out of the file is told as it is.

Microsoft's multimedia registration kit.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from mmsprep.formats.content import Content

_MAX_CHUNKS = 100_000


def chunks(content: Content, byte_order: str = "<") -> Iterator[tuple[bytes, int, int]]:
    """Name, offset and promised length of every chunk's content; ``byte_order`` is ``">"`` in a RIFX."""
    position = 12
    for _ in range(_MAX_CHUNKS):
        header = content.read(position, 8)
        if len(header) < 8:
            return
        name, length = struct.unpack(f"{byte_order}4sI", header)
        yield name, position + 8, length
        position += 8 + length + length % 2
