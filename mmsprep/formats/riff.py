"""RIFF: chunks with a name and a length, padded to even places; the frame of WAV, WebP and AVI.

Comes in: content that begins as one, or chunks. Goes out: where its chunks are, or a file of them. Never: what is in
them, or an error: a chunk that reaches out of the file is told as it is.

Microsoft's multimedia registration kit.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

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


def written(form: bytes, parts: Iterable[tuple[bytes, bytes]]) -> bytes:
    """A file of ``form`` (``WAVE``) whose chunks are ``parts`` (name, content), with lengths that are true."""
    body = form
    for name, content in parts:
        body += struct.pack("<4sI", name, len(content)) + content + bytes(len(content) % 2)
    return struct.pack("<4sI", b"RIFF", len(body)) + body
