"""The boxes of an MP4, QuickTime, 3GP or HEIF file: just enough to know what may be opened, and by whom.

Comes in: content whose first box is a movie's. Goes out: a :class:`Movie`: brands, kinds of tracks, what is
protected, what lies outside the file, what it says about its maker. Never: the media themselves; MediaInfo
and ffmpeg read those, and neither may see a file whose references lead out of it.

ISO/IEC 14496-12; Apple's QuickTime File Format for ``cmov``, ``rmra`` and ``alis``.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from io import BytesIO

from mmsprep.errors import Damaged
from mmsprep.formats.boxes import MAX_BOXES, Walk, box_header, is_box_name, whole_body
from mmsprep.formats.cicp import coding
from mmsprep.formats.content import Content
from mmsprep.formats.orientation import UPRIGHT, Orientation
from mmsprep.model import ColourCoding

_ENCRYPTED_ENTRIES = (b"enca", b"encv", b"encs", b"enct", b"encm", b"drms", b"drmi", b"drmt", b"p608")
_ENCODERS_NAME = re.compile(rb"Lavc[0-9][0-9.]+")
_PICTURE_HANDLERS = ("vide", "pict")
_STILL_ENTRIES = ("jpeg", "mjpa", "mjpb", "png ", "tiff")


@dataclass(frozen=True, slots=True)
class Track:
    """One track: its number, its handler (``vide``, ``soun``, ...), its sample entries, its references, its matrix.

    ``ticks_per_s`` is its unit of time; ``None`` where it does not say.
    """

    number: int
    handler: str
    entries: tuple[str, ...]
    chapters: tuple[int, ...]
    protected: bool
    outside: str
    orientation: Orientation
    ticks_per_s: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Movie:
    """What the boxes say.

    ``outside`` describes the first reference that leads out of the file (empty: none), ``coding``, ``bit_depth`` (0:
    unknown) and ``largest_px`` (width and height; 0: unknown) are those of a HEIF file's pictures, ``media_at`` is
    where the first box of media begins, ``fragmented``: it is or has pieces of a stream, ``announces_pieces``: its
    index says that they follow (``mvex``); ``missing_bytes`` how much of the last box is missing, ``trailing_bytes``
    what follows the last one and is no box.
    """

    brand: str
    compatible: tuple[str, ...]
    tracks: tuple[Track, ...]
    item_types: tuple[str, ...]
    coding: ColourCoding | None
    bit_depth: int
    largest_px: tuple[int, int]
    has_moov: bool
    moov_first: bool
    media_at: int
    has_media: bool
    fragmented: bool
    announces_pieces: bool
    protected: bool
    outside: str
    metadata: tuple[str, ...]
    missing_bytes: int
    trailing_bytes: int

    def has_track(self, handler: str) -> bool:
        """Whether a track of this kind is there; pictures for chapters and covers are no video, a sequence's are."""
        chapters = {number for track in self.tracks for number in track.chapters}
        handlers = _PICTURE_HANDLERS if handler in _PICTURE_HANDLERS else (handler,)
        return any(
            track.handler in handlers
            and track.number not in chapters
            and not (handler == "vide" and self._is_audio_brand and set(track.entries) <= set(_STILL_ENTRIES))
            for track in self.tracks
        )

    @property
    def orientation(self) -> Orientation:
        """How the first track of pictures is to be turned."""
        return next((track.orientation for track in self.tracks if track.handler in _PICTURE_HANDLERS), UPRIGHT)

    @property
    def _is_audio_brand(self) -> bool:
        return self.brand in ("M4A ", "M4B ", "M4P ")


def read_movie(content: Content) -> Movie:
    """Read the boxes of ``content``.

    Raises:
        Damaged: more boxes than any honest file has, or a header that makes no sense.
    """
    brand = ""
    compatible: tuple[str, ...] = ()
    moov = meta = None
    moov_at = mdat_at = None
    fragmented = False
    missing = trailing = position = 0
    for _ in range(MAX_BOXES):
        if position >= content.size_bytes:
            break
        name, header_length, size = box_header(content, position)
        if size < header_length or not is_box_name(name):
            trailing = content.size_bytes - position
            break
        match name:
            case b"ftyp":
                brand, compatible = _brands(content.read(position + header_length, min(size, 4096) - header_length))
            case b"moov" if moov_at is None:
                moov_at = position
                moov = whole_body(content, position + header_length, size - header_length)
            case b"meta" if meta is None:
                meta = whole_body(content, position + header_length, size - header_length)
            case b"mdat" if mdat_at is None:
                mdat_at = position
            case b"moof" | b"styp" | b"sidx" | b"emsg" | b"prft":
                fragmented = True
        position += size
    else:
        raise Damaged(content.name, f"consists of more than {MAX_BOXES:,} boxes; it is damaged or made to harm")
    missing = max(0, position - content.size_bytes)
    walk = Walk(content.name)
    tracks, metadata, protected, outside = _read_moov(moov, walk) if moov is not None else ((), (), False, "")
    return Movie(
        brand=brand,
        compatible=compatible,
        tracks=tracks,
        item_types=_item_types(meta, walk) if meta is not None else (),
        coding=_item_coding(meta, walk) if meta is not None else None,
        bit_depth=_item_bits(meta, walk) if meta is not None else 0,
        largest_px=_item_px(meta, walk) if meta is not None else (0, 0),
        has_moov=moov is not None,
        moov_first=moov_at is not None and (mdat_at is None or moov_at < mdat_at),
        media_at=mdat_at or 0,
        has_media=mdat_at is not None,
        fragmented=fragmented,
        announces_pieces=moov is not None and bool(len(walk.child(moov, b"mvex"))),
        protected=protected or any(track.protected for track in tracks) or brand in ("odcf", "opf2", "M4P "),
        outside=outside or next((track.outside for track in tracks if track.outside), ""),
        metadata=metadata,
        missing_bytes=missing,
        trailing_bytes=trailing,
    )


def _brands(data: bytes) -> tuple[str, tuple[str, ...]]:
    names = [data[start : start + 4].decode("latin-1") for start in range(0, len(data) - 3, 4)]
    # The short form of HEIF says its codec where others have a version (ISO/IEC 23008-12:2025, MinimizedImageBox).
    return (names[0] if names else "", tuple(names[1:] if names[:1] == ["mif3"] else names[2:]))


def _read_moov(moov: memoryview, walk: Walk) -> tuple[tuple[Track, ...], tuple[str, ...], bool, str]:
    tracks: list[Track] = []
    metadata: list[str] = []
    protected, outside = False, ""
    for name, body in walk.children(moov):
        match name:
            case b"trak":
                tracks.append(_read_track(body, walk))
                metadata += _tags(walk.child(body, b"udta"))
            case b"mvhd":
                if _created(body):
                    metadata.append("creation_time")
            case b"udta" | b"meta":
                metadata += _tags(body)
            case b"pssh":
                protected = True
            case b"cmov":
                outside = "an index in compressed form, which may refer to other files"
            case b"rmra":
                outside = "a reference to another movie"
    return tuple(tracks), tuple(dict.fromkeys(metadata)), protected, outside


def _created(mvhd: memoryview) -> bool:
    return len(mvhd) >= 12 and any(mvhd[4:12] if mvhd[0] else mvhd[4:8])


def _tags(box: memoryview) -> list[str]:
    """``tags`` if a metadata box holds anything, with ``gps`` and ``cover`` where it holds those."""
    if not len(box):
        return []
    data = bytes(box)
    found = ["tags"]
    if b"\xa9xyz" in data or b"loci" in data or b"com.apple.quicktime.location" in data:
        found.append("gps")
    if b"covr" in data:
        found.append("cover")
    return found


def _read_track(trak: memoryview, walk: Walk) -> Track:
    tkhd, media = walk.child(trak, b"tkhd"), walk.child(trak, b"mdia")
    number_at = 20 if len(tkhd) and tkhd[0] else 12
    handler = bytes(walk.child(media, b"hdlr")[8:12]).decode("latin-1")
    chapters = walk.child(trak, b"tref", b"chap")
    entries = list(walk.children(walk.child(media, b"minf", b"stbl", b"stsd")[8:]))
    return Track(
        number=int.from_bytes(tkhd[number_at : number_at + 4], "big"),
        handler=handler,
        entries=tuple(name.decode("latin-1") for name, _ in entries),
        chapters=tuple(number for (number,) in struct.iter_unpack(">I", chapters[: len(chapters) // 4 * 4])),
        protected=any(name in _ENCRYPTED_ENTRIES or b"sinf" in bytes(body) for name, body in entries),
        outside=_outside_reference(walk.child(media, b"minf", b"dinf", b"dref"), walk),
        orientation=_orientation(tkhd),
        ticks_per_s=_ticks_per_s(walk.child(media, b"mdhd")),
    )


def _ticks_per_s(mdhd: memoryview) -> int | None:
    """ISO/IEC 14496-12, 8.4.2."""
    ticks_at = 20 if len(mdhd) and mdhd[0] else 12
    return int.from_bytes(mdhd[ticks_at : ticks_at + 4], "big") if len(mdhd) >= ticks_at + 4 else None


def _orientation(tkhd: memoryview) -> Orientation:
    """Of the first four numbers that matter of the matrix (ISO/IEC 14496-12, 8.3.2)."""
    matrix_at = 52 if len(tkhd) and tkhd[0] else 40
    if len(tkhd) < matrix_at + 20:
        return UPRIGHT
    a, b, _, c, d = struct.unpack(">5i", tkhd[matrix_at : matrix_at + 20])
    return Orientation.by_matrix(a, b, c, d)


def _outside_reference(dref: memoryview, walk: Walk) -> str:
    """The first data reference that is not "in this file" (flag 1) and names a place."""
    for name, body in walk.children(dref[8:]):
        self_contained = len(body) >= 4 and body[3] & 1
        if not self_contained and len(bytes(body[4:]).strip(b"\x00")):
            return f"a data reference ({name.decode('latin-1').strip()}) to another file"
    return ""


def _item_types(meta: memoryview, walk: Walk) -> tuple[str, ...]:
    """The types of a HEIF file's items (``hvc1``, ``av01``, ``grid``, ``Exif``, ...)."""
    iinf = walk.child(meta[4:], b"iinf")
    entries = walk.children(iinf[6 if len(iinf) and not iinf[0] else 8 :])
    return tuple(
        bytes(body[8 if body[0] == 2 else 10 :][:4]).decode("latin-1")
        for name, body in entries
        if name == b"infe" and len(body) >= 12
    )


def _item_properties(meta: memoryview, walk: Walk) -> memoryview:
    return walk.child(meta[4:], b"iprp", b"ipco")


def _item_coding(meta: memoryview, walk: Walk) -> ColourCoding | None:
    """How a HEIF file's pictures are coded (ISO/IEC 23008-12, 6.5.5)."""
    return _coding(_item_properties(meta, walk), walk)


def _item_bits(meta: memoryview, walk: Walk) -> int:
    """The most bits that a channel of a HEIF file's pictures has (ISO/IEC 23008-12, 6.5.6)."""
    properties = walk.children(_item_properties(meta, walk))
    return max((max(body[5:], default=0) for name, body in properties if name == b"pixi"), default=0)


def _item_px(meta: memoryview, walk: Walk) -> tuple[int, int]:
    """Width and height of the largest of a HEIF file's pictures (ISO/IEC 23008-12, 6.5.3)."""
    properties = walk.children(_item_properties(meta, walk))
    sizes = (struct.unpack(">II", body[4:12]) for name, body in properties if name == b"ispe" and len(body) >= 12)
    return max(sizes, key=lambda px: px[0] * px[1], default=(0, 0))


def _coding(properties: memoryview, walk: Walk) -> ColourCoding | None:
    """The first code points among boxes, and the brightest light that they tell of."""
    peak_nits = 0.0
    found: tuple[int, int] | None = None
    for name, body in walk.children(properties):
        if name == b"colr" and bytes(body[:4]) == b"nclx" and len(body) >= 10 and found is None:
            found = struct.unpack(">HH", body[4:8])
        elif name == b"clli" and len(body) >= 2 and not peak_nits:
            peak_nits = float(int.from_bytes(body[:2], "big"))
    return coding(*found, peak_nits) if found else None


def without_signatures(data: bytes) -> bytes:
    """An MP4 of ffmpeg's with a free box where it wrote an empty list of tags (no offset moves), and without its
    encoder's name.

    Raises:
        ValueError: these are no boxes.
    """
    lists: list[tuple[int, int]] = []
    with Content("an MP4", BytesIO(data)) as content:
        position, end = 0, len(data)
        while position + 8 <= end:
            name, header_length, length = box_header(content, position)
            if length < header_length:
                raise ValueError(f"no box at byte {position:,}")
            if name == b"moov":
                position, end = position + header_length, position + length
                continue
            if name == b"udta":
                lists.append((position, length))
            position += length
    for start, length in lists:
        data = data[: start + 4] + b"free" + bytes(length - 8) + data[start + length :]
    # ffmpeg's AAC encoder signs the first frame, in a part of it that every decoder skips.
    return _ENCODERS_NAME.sub(lambda found: bytes(len(found[0])), data)
