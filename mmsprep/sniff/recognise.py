"""What an attachment really is, by its content and never by its name.

Comes in: an attachment and the machine's limits. Goes out: a complete :class:`MediaInfo`. Never: a guess from
a file name, a decoded pixel or sample, a file or address that the content refers to, or a library let loose
on content that it was not made for.

Three looks, each only as close as it must be: the first bytes (``tools/signatures.py``), the container
(``tools/boxes.py``, ``tools/frames.py``, ``tools/plaintext.py``), the facts (``tools/picture.py``,
``tools/probe.py``). What no MMS carries is refused here, with what to do instead.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import PurePath
from typing import NoReturn

from mmsprep.errors import (
    Damaged,
    Empty,
    OverInputLimit,
    ProtectedMedia,
    TypeNotAllowed,
    UnknownType,
    UnsafeReference,
)
from mmsprep.formats import FORMATS, Format
from mmsprep.formats import text as plaintext
from mmsprep.formats.content import Content
from mmsprep.formats.emelody import parse_emelody
from mmsprep.formats.frames import after_id3, starts_with_frames
from mmsprep.formats.imelody import parse_imelody
from mmsprep.formats.isobmff import Movie, read_movie
from mmsprep.formats.matroska import read_matroska
from mmsprep.formats.melody import Melody, MelodyError
from mmsprep.formats.mp3 import find_run
from mmsprep.formats.signatures import foreign_family, is_zipped_document, strong_family
from mmsprep.model import Attachment, Kind, MediaInfo
from mmsprep.settings import Settings
from mmsprep.sniff.pictures import is_raw_tiff, read_picture
from mmsprep.tools.isolation import isolated, senseless
from mmsprep.tools.untrusted import content_of
from mmsprep.tools.workspace import Workspace

_HEIC_BRANDS = frozenset(("heic", "heix", "heim", "heis", "hevc", "hevx", "hevm", "hevs"))
_AVIF_BRANDS = frozenset(("avif", "avis"))
_ADVICE = {
    "pdf": "export its pages as pictures (PNG or JPEG) and send those",
    "office": "export its pages as pictures, or save it as text",
    "postscript": "export it as PNG or JPEG",
    "email": "send the files that are in it, and its text",
    "zip": "unpack it and send the media in it",
    "archive": "unpack it and send the media in it",
    "executable": "an MMS carries pictures, sound, clips and text, never programs",
    "html": "send a picture of it, or its text",
    "svg": "export it as PNG",
    "xml": "send its text as a .txt file without markup",
    "smil": "mmsprep writes the presentation itself; send the media",
    "playlist": "it only names other files; send those files themselves",
    "concat": "it only names other files; send those files themselves",
    "font": "send a picture of the text instead",
}
_GUIDS_OF_PROTECTION = tuple(
    bytes.fromhex(guid) for guid in ("fbb31122 23bdd211 b4b700a0 c955fc6e", "14e68a29 2226174c b935dae0 7ee9289c")
)
"""ASF's Content Encryption Object and Extended Content Encryption Object."""
_LOOK_TIMEOUT_S = 15.0
_SLIPPED_BYTES, _SLIPPED_SHARE = 4_096, 500
"""A movie with its index may lack a frame or two of its end: players show all the others."""
_MIDI_BYTES_READ = 1_000_000
_MELODIES: dict[str, Callable[[str], Melody]] = {"imelody": parse_imelody, "emelody": parse_emelody}
_SPOKEN_WITH_VOWEL = ("A", "E", "I", "O", "a", "e", "i", "o", "MP", "M4", "SVG", "XML", "HTML", "ffmpeg")
_KNOWN_EXTENSIONS = frozenset().union(*(entry.extensions for entry in FORMATS.values()))


def sniff(attachment: Attachment, settings: Settings, workspace: Workspace) -> MediaInfo:
    """Say what ``attachment`` is and read its facts from its headers.

    Returns:
        The facts; ``notes`` says so when the name promises something else, or only a part will be sent.

    Raises:
        NotFound, Unreadable, Empty: there is nothing to look at.
        Damaged: it begins as a known type, but is cut short or makes no sense.
        OverInputLimit: more pixels, frames, seconds or bytes than ``settings`` let in.
        UnknownType: the content is of no known type.
        TypeNotAllowed: a known type that no MMS carries.
        ProtectedMedia: DRM or encryption.
        UnsafeReference: the content leads to other files.
        ToolMissing: a library that reads the facts is not installed.
    """
    info = isolated(workspace, look, attachment, settings, timeout_s=_LOOK_TIMEOUT_S)
    sizes = (info.width_px, info.height_px, info.frame_count, info.duration_s, info.size_bytes)
    if info.format not in FORMATS or any(size is not None and not size >= 0 for size in sizes):
        raise senseless(attachment.name)
    if info.kind in (Kind.AUDIO, Kind.VIDEO) and info.duration_s is None and FORMATS[info.format].demuxer:
        from mmsprep.sniff.recordings import counted_s

        return replace(info, duration_s=counted_s(attachment, info.format, settings, workspace))
    return info


def look(attachment: Attachment, settings: Settings) -> MediaInfo:
    """:func:`sniff` in this process, without a bound on its time: for a worker; raises as it does."""
    with content_of(attachment) as content:
        if not content.size_bytes:
            raise Empty(content.name, "is empty (0 bytes)")
        family = strong_family(content)
        info = (
            _binary_info(content, family, attachment, settings)
            if family
            else _other_info(content, attachment, settings)
        )
    _check_limits(attachment.name, info, settings)
    told = _name_note(attachment.name, FORMATS[info.format])
    return replace(info, notes=(told, *info.notes)) if told else info


def identify(attachment: Attachment) -> Format:
    """Say which format ``attachment`` is, and no more: no library sees it, nothing about it is judged.

    Returns:
        Its format; ``kind`` is ``None`` for what no MMS carries.

    Raises:
        NotFound, Unreadable, Empty: there is nothing to look at.
        Damaged, UnknownType, TypeNotAllowed, ProtectedMedia, UnsafeReference: it is nothing that can be named.
    """
    with content_of(attachment) as content:
        if not content.size_bytes:
            raise Empty(content.name, "is empty (0 bytes)")
        family = strong_family(content)
        slug = _exact_format(content, family)[0] if family else _other_format(content)
    return FORMATS[slug]


def _exact_format(content: Content, family: str) -> tuple[str, Movie | None]:
    """The one format of content with a known magic, and its boxes; ``family`` may be several formats."""
    if family == "isobmff":
        movie = read_movie(content)
        return _movie_format(content, movie), movie
    return (_REFINED[family](content) if family in _REFINED else family), None


def _binary_info(content: Content, family: str, attachment: Attachment, settings: Settings) -> MediaInfo:
    """The facts about content with a known magic; ``family`` may still be several formats."""
    slug, movie = _exact_format(content, family)
    kind = FORMATS[slug].kind
    if kind is None:
        _refuse(content.name, slug)
    if kind is Kind.IMAGE:
        if content.size_bytes > settings.max_image_bytes:
            _over_limit(content.name, f"{content.size_bytes:,} bytes", "max_image_bytes", settings)
        if slug == "tiff" and is_raw_tiff(attachment):
            slug = "dng"
        return read_picture(attachment, slug, settings.max_frames)
    if slug == "midi":
        return _midi_info(content)
    from mmsprep.sniff.recordings import media_info

    return media_info(content, slug, movie, attachment)


def _other_format(content: Content) -> str:
    """The format of content without magic: a text, or something that only ``filetype`` knows."""
    # Letters padded with zeros may be text; an archive's are not.
    slug = foreign_family(content) if b"\x00" in content.head else None
    if slug is None:
        decoded = plaintext.decode(content.head, whole=content.size_bytes <= len(content.head))
        if decoded is not None and (decoded[1] in plaintext.CERTAIN or find_run(content) is None):
            return plaintext.text_format(decoded[0])
        slug = foreign_family(content) or ("mp3" if find_run(content) is not None else None)
    if slug is None:
        raise UnknownType(
            content.name,
            f"is of no known type (it begins with the bytes {content.head[:8].hex(' ')});"
            " expected a picture, a recording, a clip or a text",
        )
    return slug


def _other_info(content: Content, attachment: Attachment, settings: Settings) -> MediaInfo:
    """The facts about content without magic."""
    slug = _other_format(content)
    entry = FORMATS[slug]
    if entry.kind is None:
        _refuse(content.name, slug)
    if slug == "mp3":
        from mmsprep.sniff.recordings import media_info

        return media_info(content, slug, None, attachment)
    return _text_info(content, entry, settings)


def _text_info(content: Content, entry: Format, settings: Settings) -> MediaInfo:
    if content.size_bytes > settings.max_text_bytes:
        _over_limit(content.name, f"{content.size_bytes:,} bytes of text", "max_text_bytes", settings)
    decoded = plaintext.decode(content.read(0, content.size_bytes))
    if decoded is None:
        raise Damaged(content.name, "begins as text, but goes on as something else; get the file again")
    text, encoding = decoded
    if entry.slug in _MELODIES:
        return _melody_info(content, entry, text, encoding)
    if not plaintext.clean(text, "lf").strip():
        raise Empty(content.name, "is a text without a visible character")
    return MediaInfo(
        format=entry.slug,
        kind=entry.kind or Kind.TEXT,
        content_type=entry.content_type,
        size_bytes=content.size_bytes,
        encoding=encoding,
        metadata=plaintext.oddities(text),
    )


def _melody_info(content: Content, entry: Format, text: str, encoding: str) -> MediaInfo:
    try:
        melody = _MELODIES[entry.slug](text)
    except MelodyError as error:
        raise Damaged(content.name, f"is a damaged {entry.title}: {error}; correct it or get the file again") from error
    return MediaInfo(
        format=entry.slug,
        kind=Kind.AUDIO,
        content_type=entry.content_type,
        size_bytes=content.size_bytes,
        duration_s=round(melody.duration_s, 3),
        encoding=encoding,
        metadata=plaintext.oddities(text),
    )


def _movie_format(content: Content, movie: Movie) -> str:
    """One of the formats of boxes, by its brands and tracks.

    Raises:
        ProtectedMedia, UnsafeReference, Damaged, TypeNotAllowed: it must not or cannot be opened.
    """
    brands = (movie.brand, *movie.compatible)
    if movie.protected:
        raise ProtectedMedia(
            content.name, "is protected (DRM or encryption), so it cannot be sent; use an unprotected copy"
        )
    if movie.outside:
        raise UnsafeReference(
            content.name,
            f"has {movie.outside}, which is never followed; save it as a self-contained movie",
        )
    slipped = movie.has_moov and movie.missing_bytes <= max(_SLIPPED_BYTES, content.size_bytes // _SLIPPED_SHARE)
    if movie.missing_bytes and not slipped:
        raise Damaged(
            content.name,
            f"was cut short: {movie.missing_bytes:,} bytes of it are missing; get the file again",
        )
    still = _still_format(movie, brands)
    if still:
        return still
    if not movie.has_moov:
        what = "is a piece of a stream without its beginning" if movie.fragmented else "has no index"
        raise Damaged(content.name, f"{what} (no moov box), so nothing can play it; get the whole recording again")
    return _brand_format(movie.brand)


def _still_format(movie: Movie, brands: tuple[str, ...]) -> str | None:
    """The picture formats made of boxes; ``mif1`` and ``msf1`` alone do not say which codec it is."""
    if movie.brand in ("jp2 ", "jpx ", "jpm "):
        return "jp2"
    if movie.brand == "crx ":
        return "dng"
    pictures = {*_HEIC_BRANDS, *_AVIF_BRANDS, "mif1", "msf1", "miaf"}
    if movie.brand not in pictures:
        return None
    for brand in brands:
        if brand in _AVIF_BRANDS:
            return "avif"
        if brand in _HEIC_BRANDS:
            return "heic"
    return "avif" if "av01" in movie.item_types else "heic"


def _brand_format(brand: str) -> str:
    if brand in ("", "qt  "):
        return "mov"
    if brand.startswith("3g2") or brand == "KDDI":
        return "3g2"
    return "3gp" if brand.startswith("3g") else "mp4"


def _behind_id3(content: Content) -> str:
    """What follows the ID3 tags: MP3, or another stream that somebody tagged, perhaps more than once."""
    offset = after_id3(content)
    if offset >= content.size_bytes and find_run(content) is None:
        raise Damaged(content.name, "is an ID3 tag without sound behind it; get the file again")
    if content.read(offset, 4) == b"fLaC":
        return "flac"
    for slug in ("mp3", "aac", "ac3", "eac3"):
        if starts_with_frames(content, slug, offset):
            return slug
    if find_run(content) is not None:
        # The tag says that it is shorter or longer than it is.
        return "mp3"
    raise UnknownType(content.name, "begins with an ID3 tag, but no known sound follows it; expected MP3, AAC or FLAC")


def _matroska_format(content: Content) -> str:
    """Matroska or WebM, by the document type."""
    found = read_matroska(content)
    if found.encrypted:
        raise ProtectedMedia(content.name, "is encrypted, so it cannot be sent; use an unprotected copy")
    return "webm" if found.doctype == "webm" else "mkv"


def _asf_format(content: Content) -> str:
    if any(guid in content.head for guid in _GUIDS_OF_PROTECTION):
        raise ProtectedMedia(
            content.name, "is protected Windows Media (DRM), so it cannot be sent; use an unprotected copy"
        )
    return "wmv"


def _multichannel_amr(content: Content) -> NoReturn:
    raise TypeNotAllowed(
        content.name, "is AMR with several channels, which nothing here decodes; save it as mono AMR or WAV"
    )


def _zip_format(content: Content) -> str:
    return "office" if is_zipped_document(content) else "zip"


_REFINED: dict[str, Callable[[Content], str]] = {
    "id3": _behind_id3,
    "ebml": _matroska_format,
    "asf": _asf_format,
    "amr-multichannel": _multichannel_amr,
    "zip": _zip_format,
}


def _midi_info(content: Content) -> MediaInfo:
    """A MIDI file, or a RIFF around one; ``metadata`` tells them apart.

    How long one plays that is larger than any MMS, whose events take long to read, stays unknown.
    """
    from mmsprep.formats.midi import read_song, unpack_midi

    wrapped = content.head.startswith(b"RIFF")
    whole = content.size_bytes <= _MIDI_BYTES_READ
    duration_s, form = None, int.from_bytes(content.head[8:10], "big")
    metadata = ["rmi"] if wrapped else []
    if whole:
        data = content.read(0, content.size_bytes)
        try:
            inner = unpack_midi(data)
            song = read_song(inner)
        except ValueError as error:
            raise Damaged(content.name, f"is damaged MIDI ({error}); get the file again") from error
        if not song.note_count:
            raise Damaged(content.name, "is MIDI without a note; get the file again")
        duration_s, form = song.duration_s, song.form
        if not wrapped and inner != data:
            metadata.append("trailing" if data.startswith(inner) else "foreign_chunks")
    entry = FORMATS["midi"]
    return MediaInfo(
        format="midi",
        kind=Kind.AUDIO,
        content_type=entry.content_type,
        size_bytes=content.size_bytes,
        duration_s=duration_s,
        brand=f"smf{form}",
        metadata=tuple(metadata),
    )


def _check_limits(name: str, info: MediaInfo, settings: Settings) -> None:
    for entry in fields(info):
        value = getattr(info, entry.name)
        if isinstance(value, (int, float)) and not 0 <= value < math.inf:
            raise Damaged(name, f"is damaged or made to harm: its {entry.name} would be {value}; get the file again")
    pixels = (info.width_px or 0) * (info.height_px or 0)
    if pixels > settings.max_pixels:
        _over_limit(name, f"{info.width_px} x {info.height_px} = {pixels:,} pixels", "max_pixels", settings)
    if info.kind is Kind.IMAGE and (info.frame_count or 0) > settings.max_frames:
        _over_limit(name, f"over {settings.max_frames:,} frames", "max_frames", settings)
    if (info.duration_s or 0) > settings.max_duration_s:
        _over_limit(name, f"{info.duration_s:,.0f} s", "max_duration_s", settings)


def _over_limit(name: str, found: str, setting: str, settings: Settings) -> NoReturn:
    allowed = getattr(settings, setting)
    raise OverInputLimit(
        name,
        f"has {found}; the setting {setting} allows {allowed:,.10g}."
        f" Make it smaller, or set MMSPREP_{setting.upper()} higher",
    )


def _refuse(name: str, slug: str) -> NoReturn:
    """Refuse a type that no MMS carries.

    Raises:
        ProtectedMedia: an OMA DRM file.
        TypeNotAllowed: everything else.
    """
    entry = FORMATS[slug]
    what = _name_note(name, entry) or f"is {_with_article(entry)}"
    if slug == "dcf":
        raise ProtectedMedia(name, f"{what}, so it cannot be sent; use an unprotected copy")
    raise TypeNotAllowed(name, f"{what}, which no MMS carries; {_ADVICE[slug]}")


def _name_note(name: str, entry: Format) -> str | None:
    """A sentence for a name that promises something else than the content, ``None`` for an honest one."""
    extension = PurePath(name).suffix.lower().lstrip(".")
    if extension not in _KNOWN_EXTENSIONS or extension in entry.extensions:
        return None
    return f"named .{extension}, but it is {_with_article(entry)}"


def _with_article(entry: Format) -> str:
    title = entry.title
    if entry.kind is not None:
        title += " image" if entry.kind is Kind.IMAGE else " file"
    return f"{'an' if title.startswith(_SPOKEN_WITH_VOWEL) else 'a'} {title}"
