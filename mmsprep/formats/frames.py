"""Streams without a container: a run of frames, each of which says how long it is.

Comes in: content, an offset and what reads a frame's header. Goes out: whether such a stream is there. Never: a
guess from one sync word, which any file may hold by chance.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from mmsprep.formats.content import Content

_FRAMES_WANTED = 3
_PADDING_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame's header: the whole frame's length, and what must not change from frame to frame."""

    length_bytes: int
    samples: int
    sample_rate_hz: int
    character: tuple[int, ...]


def starts_with_frames(
    content: Content, read_frame: Callable[[bytes], Frame | None], offset: int = 0, wanted: int = _FRAMES_WANTED
) -> bool:
    """Whether at least two, normally ``wanted`` frames follow each other at ``offset``.

    Zero bytes before the first one are passed over.
    """
    offset += leading_zeros(content, offset)
    found: list[Frame] = []
    while len(found) < wanted and offset < content.size_bytes:
        frame = read_frame(content.read(offset, 8))
        if frame is None:
            # What follows two good frames may be a tag at the end of a very short file.
            return len(found) >= 2 and content.read(offset, 3) in (b"TAG", b"APE", b"ID3")
        found.append(frame)
        offset += frame.length_bytes
    return len(found) >= 2 and all(one.character == other.character for one, other in pairwise(found))


def leading_zeros(content: Content, offset: int) -> int:
    """How many zero bytes there are at ``offset``, of the first 64 kB."""
    start = content.read(offset, _PADDING_BYTES)
    return len(start) - len(start.lstrip(b"\x00"))
