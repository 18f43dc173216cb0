"""The few things about a Matroska file that must be known before anything reads it.

Comes in: content that is EBML. Goes out: its document type, whether a track is encrypted, how the picture is
turned. Never: media.
RFC 8794 (EBML) and RFC 9559 (Matroska).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mmsprep.errors import ProtectedMedia
from mmsprep.formats.content import Content
from mmsprep.formats.orientation import UPRIGHT, Orientation
from mmsprep.formats.pieces import beginning_alone, without_beginning
from mmsprep.formats.registry import Family, Format, register
from mmsprep.model import Kind

_EBML, _DOCTYPE = 0x1A45DFA3, 0x4282
_SEGMENT, _CLUSTER = 0x18538067, 0x1F43B675
_TO_ENCRYPTION = (0x1654AE6B, 0xAE, 0x6D80, 0x6240, 0x5035)
"""From the segment: Tracks, TrackEntry, ContentEncodings, ContentEncoding, ContentEncryption."""
_TO_PROJECTION = (0x1654AE6B, 0xAE, 0xE0, 0x7670)
"""From the segment: Tracks, TrackEntry, Video, Projection."""
_YAW, _PITCH, _ROLL = 0x7673, 0x7674, 0x7675
"""ProjectionPoseYaw, ProjectionPosePitch, ProjectionPoseRoll."""
_TO_ALPHA = (0x1654AE6B, 0xAE, 0xE0, 0x53C0)
"""From the segment: Tracks, TrackEntry, Video, AlphaMode."""
_TRACKS, _TRACK, _TRACK_TYPE = 0x1654AE6B, 0xAE, 0x83
_PICTURE, _SOUND = 1, 2
_MAX_ELEMENTS = 10_000
_FEW_ELEMENTS = 16


@dataclass(frozen=True, slots=True)
class Matroska:
    """``doctype`` is ``matroska``, ``webm`` or what else stands there; ``orientation`` how the picture is turned.

    ``has_alpha``: a second picture says what is transparent in the first; ``has_media``: something follows the tracks,
    or there are more elements in front of it than are walked.
    """

    doctype: str
    encrypted: bool
    orientation: Orientation = UPRIGHT
    has_alpha: bool = False
    has_media: bool = True


def read_matroska(content: Content) -> Matroska:
    """Read the document type, and every track's content encodings."""
    doctype, encrypted, orientation, has_alpha = "", False, UPRIGHT, False
    has_tracks = has_media = False
    walk = _Walk(content)
    for element, start, end in walk.elements(0, content.size_bytes):
        if element == _EBML:
            found = next((span for name, *span in walk.elements(start, end) if name == _DOCTYPE), [0, 0])
            doctype = content.read(found[0], min(found[1] - found[0], 64)).decode("latin-1").strip("\0")
        elif element == _SEGMENT:
            encrypted = encrypted or walk.find(start, end, _TO_ENCRYPTION) is not None
            projection = walk.find(start, end, _TO_PROJECTION)
            if projection:
                pose = {name: _degrees(content.read(one, last - one)) for name, one, last in walk.elements(*projection)}
                orientation = _orientation(pose)
            alpha = walk.find(start, end, _TO_ALPHA)
            has_alpha = alpha is not None and any(content.read(alpha[0], alpha[1] - alpha[0]))
            walked = list(walk.elements(start, end))
            has_tracks = any(name == _TRACKS for name, *_ in walked)
            has_media = not walked or walked[-1][2] < content.size_bytes
    return Matroska(doctype, encrypted, orientation, has_alpha, has_media or not has_tracks)


def _has_pictures(content: Content) -> bool:
    """Whether there is a track of pictures, or none of sound either, by the tracks' types (RFC 9559, 5.1.4.1.3)."""
    walk = _Walk(content)
    types = set()
    for element, start, end in walk.elements(0, content.size_bytes):
        if element != _SEGMENT:
            continue
        for tracks in (span for name, *span in walk.elements(start, end) if name == _TRACKS):
            for track in (span for name, *span in walk.elements(*tracks) if name == _TRACK):
                kinds = [span for name, *span in walk.elements(*track) if name == _TRACK_TYPE]
                types |= {int.from_bytes(content.read(first, min(last - first, 8)), "big") for first, last in kinds}
    return _PICTURE in types or _SOUND not in types


def _orientation(pose: Mapping[int, float]) -> Orientation:
    """Matroska counts counter-clockwise; who looks at a flat picture from behind (a yaw of 180) sees it mirrored."""
    flipped = abs(pose.get(_YAW, 0.0)) == 180 and not pose.get(_PITCH, 0.0)
    return Orientation.of(-pose.get(_ROLL, 0.0), hor_flip=flipped)


def _degrees(number: bytes) -> float:
    """A floating-point number of 4 or 8 bytes, within a whole turn; 0 where it makes no sense."""
    try:
        degrees: float = struct.unpack(">f" if len(number) == 4 else ">d", number)[0]
    except struct.error:
        return 0.0
    return degrees if abs(degrees) <= 360 else 0.0


def _known_end(content: Content) -> int | None:
    """Where the segment ends by its own word; ``None`` where it does not say, as in what a browser records."""
    position = 0
    for _ in range(_FEW_ELEMENTS):
        header = content.read(position, 12)
        id_length = 9 - header[0].bit_length() if header else 9
        if id_length > 4 or len(header) <= id_length or not header[id_length]:
            return None
        size_length = 9 - header[id_length].bit_length()
        unknown = (1 << 7 * size_length) - 1
        size = int.from_bytes(header[id_length : id_length + size_length], "big") & unknown
        position += id_length + size_length + size
        if int.from_bytes(header[:id_length], "big") == _SEGMENT:
            return None if size == unknown else position
    return None


class _Walk:
    """Walks through nested elements, over a limited number of them in all."""

    def __init__(self, content: Content) -> None:
        self._content = content
        self._left = _MAX_ELEMENTS

    def find(self, start: int, end: int, path: tuple[int, ...]) -> tuple[int, int] | None:
        """Where the first element at ``path`` lies, below the one whose content spans ``start`` to ``end``."""
        if not path:
            return start, end
        for element, inner, last in self.elements(start, end):
            if element == path[0] and (found := self.find(inner, last, path[1:])):
                return found
        return None

    def elements(self, start: int, end: int) -> Iterator[tuple[int, int, int]]:
        """Identifier, start and end of the content of every element up to the first cluster."""
        while start < end and self._left:
            self._left -= 1
            header = self._content.read(start, 12)
            id_length = 9 - header[0].bit_length() if header else 9
            if id_length > 4 or len(header) <= id_length or not header[id_length]:
                return
            size_length = 9 - header[id_length].bit_length()
            inner = start + id_length + size_length
            unknown = (1 << 7 * size_length) - 1
            size = int.from_bytes(header[id_length : id_length + size_length], "big") & unknown
            last = end if size == unknown else min(end, inner + size)
            element = int.from_bytes(header[:id_length], "big")
            if element == _CLUSTER:
                return
            yield element, inner, last
            start = last


def _matroska_format(content: Content) -> str:
    """Matroska or WebM, by the document type."""
    found = read_matroska(content)
    if found.encrypted:
        raise ProtectedMedia(content.name, "is encrypted, so it cannot be sent; use an unprotected copy")
    if not found.has_media:
        raise beginning_alone(content.name)
    return "webm" if found.doctype == "webm" else "mkv"


register(
    Format(
        slug="mka",
        title="Matroska audio",
        kind=Kind.AUDIO,
        content_type="audio/x-matroska",
        extension="mka",
        demuxer="matroska",
        indexed=True,
        also_named="mkv webm weba",
    )
)
register(
    Format(
        slug="mkv",
        title="Matroska",
        kind=Kind.VIDEO,
        content_type="video/x-matroska",
        extension="mkv",
        demuxer="matroska",
        indexed=True,
        also_named="mk3d webm",
        sound_only="mka",
        has_pictures=_has_pictures,
        known_end=_known_end,
    )
)
register(
    Format(
        slug="webm",
        title="WebM",
        kind=Kind.VIDEO,
        content_type="video/webm",
        extension="webm",
        demuxer="matroska",
        indexed=True,
        sound_only="mka",
        has_pictures=_has_pictures,
        known_end=_known_end,
    )
)


def _piece(content: Content) -> str:
    raise without_beginning(content.name)


register(Family(refine=_matroska_format, magics=(((0, b"\x1a\x45\xdf\xa3"),),)))
register(Family(refine=_piece, magics=(((0, _CLUSTER.to_bytes(4, "big")),),)))
