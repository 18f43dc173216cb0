"""ASF, the container of Windows Media.

Comes in: content. Goes out: whether it is protected. Never: what is in it; MediaInfo reads that.
"""

from __future__ import annotations

from mmsprep.errors import ProtectedMedia
from mmsprep.formats.content import Content
from mmsprep.formats.registry import Family, Format, register
from mmsprep.model import Kind

_GUIDS_OF_PROTECTION = tuple(
    bytes.fromhex(guid) for guid in ("fbb31122 23bdd211 b4b700a0 c955fc6e", "14e68a29 2226174c b935dae0 7ee9289c")
)
"""ASF's Content Encryption Object and Extended Content Encryption Object."""

_OF_PICTURES, _OF_SOUND = (
    bytes.fromhex(guid) for guid in ("c0ef19bc 4d5bcf11 a8fd00805f5c442b", "409e69f8 4d5bcf11 a8fd00805f5c442b")
)
"""ASF's Stream Types of video and audio media."""


_FILE_PROPERTIES = bytes.fromhex("a1dcab8c 47a9cf11 8ee400c0 0c205365")
_SIZE_AT, _FLAGS_AT, _LIVE = 40, 88, 1


def _known_end(content: Content) -> int | None:
    """The size that the file properties tell, which only a live stream does not know."""
    at = content.head.find(_FILE_PROPERTIES)
    if at < 0 or at + _FLAGS_AT >= len(content.head) or content.head[at + _FLAGS_AT] & _LIVE:
        return None
    return int.from_bytes(content.head[at + _SIZE_AT : at + _SIZE_AT + 8], "little") or None


def _asf_format(content: Content) -> str:
    if any(guid in content.head for guid in _GUIDS_OF_PROTECTION):
        raise ProtectedMedia(
            content.name, "is protected Windows Media (DRM), so it cannot be sent; use an unprotected copy"
        )
    return "wmv"


register(
    Format(
        slug="wma",
        title="WMA",
        kind=Kind.AUDIO,
        content_type="audio/x-ms-wma",
        extension="wma",
        demuxer="asf",
        # Whether its duration includes what players buffer first is up to the program that wrote it.
        counted=True,
        known_end=_known_end,
        also_named="asf",
    )
)
register(
    Format(
        slug="wmv",
        title="WMV",
        kind=Kind.VIDEO,
        content_type="video/x-ms-wmv",
        extension="wmv",
        demuxer="asf",
        # Whether its duration includes what players buffer first is up to the program that wrote it.
        counted=True,
        known_end=_known_end,
        also_named="asf",
        sound_only="wma",
        has_pictures=lambda content: _OF_PICTURES in content.head or _OF_SOUND not in content.head,
    )
)
register(Family(refine=_asf_format, magics=(((0, bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")),),)))
