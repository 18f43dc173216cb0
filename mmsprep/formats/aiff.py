"""AIFF: chunks, the longest of which is the sound.

Comes in: content. Goes out: where it ends by its own word. Never: a decoded sample.

Apple's Audio Interchange File Format 1.3.
"""

from __future__ import annotations

from mmsprep.formats.content import Content
from mmsprep.formats.registry import Format, register
from mmsprep.model import Kind

_LEAST_UNKNOWN_LENGTH = 0x7FFF0000


def _known_end(content: Content) -> int | None:
    length = int.from_bytes(content.head[4:8], "big")
    return 8 + length if 0 < length < _LEAST_UNKNOWN_LENGTH else None


register(
    Format(
        slug="aiff",
        title="AIFF",
        kind=Kind.AUDIO,
        content_type="audio/aiff",
        extension="aiff",
        demuxer="aiff",
        indexed=True,
        also_named="aif aifc",
        magics=(
            (
                (0, b"FORM"),
                (8, b"AIFF"),
            ),
            (
                (0, b"FORM"),
                (8, b"AIFC"),
            ),
        ),
        known_end=_known_end,
    )
)
