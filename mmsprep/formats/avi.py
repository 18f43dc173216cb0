"""AVI: a RIFF of lists.

Comes in: content. Goes out: where it ends by its own word. Never: what is in the lists; MediaInfo reads those.
"""

from __future__ import annotations

from mmsprep.formats.content import Content
from mmsprep.formats.registry import Format, register
from mmsprep.model import Kind

_LEAST_UNKNOWN_LENGTH = 0x7FFF0000


def _known_end(content: Content) -> int | None:
    length = int.from_bytes(content.head[4:8], "little")
    return 8 + length if 0 < length < _LEAST_UNKNOWN_LENGTH else None


register(
    Format(
        slug="avi",
        title="AVI",
        kind=Kind.VIDEO,
        content_type="video/x-msvideo",
        extension="avi",
        demuxer="avi",
        also_named="divx",
        magics=(
            (
                (0, b"RIFF"),
                (8, b"AVI "),
            ),
        ),
        known_end=_known_end,
    )
)
