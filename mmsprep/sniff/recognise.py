"""What an attachment really is, by its content and never by its name.

Comes in: an attachment and the machine's limits. Goes out: a complete :class:`MediaInfo`. Never: a guess from
a file name, a decoded pixel or sample, a file or address that the content refers to, or a library let loose
on content that it was not made for.

Three looks, each only as close as it must be: the first bytes (``formats/signatures.py``), the container (the format's
own file in ``formats/``), the facts (that file, ``sniff/pictures.py``, ``sniff/recordings.py``). What no MMS carries is
refused here, with what to do instead.
"""

from __future__ import annotations

import math
from dataclasses import fields, replace
from pathlib import PurePath
from typing import TYPE_CHECKING, NoReturn

from mmsprep.errors import (
    Damaged,
    Empty,
    OverInputLimit,
    ProtectedMedia,
    TypeNotAllowed,
    UnknownType,
)
from mmsprep.formats import FORMATS, Format
from mmsprep.formats import text as plaintext
from mmsprep.formats.content import Content
from mmsprep.formats.mp3 import find_run
from mmsprep.formats.registry import by_its_streams, described
from mmsprep.formats.signatures import foreign_format, recognised
from mmsprep.formats.tagged import extent_of, tag_names
from mmsprep.model import SHORTEST_SOUND_S, Attachment, Kind, MediaInfo
from mmsprep.settings import Settings
from mmsprep.sniff.pictures import is_raw_tiff, read_picture
from mmsprep.tools.isolation import isolated, senseless
from mmsprep.tools.untrusted import content_of

if TYPE_CHECKING:
    from mmsprep.tools.workspace import Workspace

_LOOK_TIMEOUT_S = 15.0
_SPOKEN_WITH_VOWEL = ("A", "E", "I", "O", "a", "e", "i", "o", "MP", "M4", "SVG", "XML", "HTML", "ffmpeg")


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
    if info.kind not in (Kind.AUDIO, Kind.VIDEO) or not FORMATS[info.format].demuxer:
        return info
    if info.duration_s is None or _may_be_one_frame(info):
        from mmsprep.sniff.recordings import counted, with_count

        return with_count(info, *counted(replace(attachment, extent=info.extent), info.format, settings, workspace))
    return info


def _may_be_one_frame(info: MediaInfo) -> bool:
    """Whether a clip is so short that what its header says of frames is to be checked: an AVI of one may promise two,
    a transport stream promises none."""
    return info.kind is Kind.VIDEO and info.frame_count != 1 and (info.duration_s or 0.0) < SHORTEST_SOUND_S


def look(attachment: Attachment, settings: Settings) -> MediaInfo:
    """:func:`sniff` in this process, without a bound on its time: for a worker; raises as it does."""
    with content_of(attachment) as content:
        if not content.size_bytes:
            raise Empty(content.name, "is empty (0 bytes)")
        sure = recognised(content)
        slug = sure or _other_format(content)
        extent = extent_of(content, slug) if attachment.extent is None else None
        if extent:
            return _untagged(replace(attachment, extent=extent), tag_names(content), settings)
        if sure:
            info = _binary_info(content, slug, attachment, settings)
        else:
            info = _other_info(content, slug, attachment, settings)
    if FORMATS[info.format].demuxer and (info.duration_s or 0) > settings.max_duration_s:
        # A header's word alone: it is counted.
        info = replace(info, duration_s=None)
    _check_limits(attachment.name, info, settings)
    told = _name_note(attachment.name, FORMATS[info.format])
    return replace(info, notes=(told, *info.notes)) if told else info


def _untagged(attachment: Attachment, tags: tuple[str, ...], settings: Settings) -> MediaInfo:
    """The facts about what lies between ``tags``."""
    info = look(attachment, settings)
    metadata = tuple(dict.fromkeys((*tags, *info.metadata)))
    return replace(info, size_bytes=attachment.size_bytes, metadata=metadata, extent=attachment.extent)


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
        return by_its_streams(content, FORMATS[recognised(content) or _other_format(content)])


def _binary_info(content: Content, slug: str, attachment: Attachment, settings: Settings) -> MediaInfo:
    """The facts about content that was recognised."""
    entry = FORMATS[slug]
    if entry.kind is None:
        _refuse(content.name, slug)
    if entry.kind is Kind.IMAGE:
        if content.size_bytes > settings.max_image_bytes:
            _over_limit(content.name, f"{content.size_bytes:,} bytes", "max_image_bytes", settings)
        if slug == "tiff" and is_raw_tiff(attachment):
            slug = "dng"
        return read_picture(attachment, slug, settings.max_frames)
    if entry.read:
        return entry.read(content)
    from mmsprep.sniff.recordings import media_info

    return media_info(content, slug, attachment)


def _other_format(content: Content) -> str:
    """The format of content without magic: a text, or something that only ``filetype`` knows."""
    # Letters padded with zeros may be text; an archive's are not.
    slug = foreign_format(content) if b"\x00" in content.head else None
    if slug is None:
        decoded = plaintext.decode(content.head, whole=content.size_bytes <= len(content.head))
        if decoded is not None and (decoded[1] in plaintext.CERTAIN or find_run(content) is None):
            return plaintext.text_format(decoded[0])
        slug = foreign_format(content) or ("mp3" if find_run(content) is not None else None)
    if slug is None:
        raise UnknownType(
            content.name,
            f"is of no known type (it begins with the bytes {content.head[:8].hex(' ')});"
            " expected a picture, a recording, a clip or a text",
        )
    return slug


def _other_info(content: Content, slug: str, attachment: Attachment, settings: Settings) -> MediaInfo:
    """The facts about content without magic."""
    entry = FORMATS[slug]
    if entry.kind is None:
        _refuse(content.name, slug)
    if entry.demuxer:
        from mmsprep.sniff.recordings import media_info

        return media_info(content, slug, attachment)
    return _text_info(content, entry, settings)


def _text_info(content: Content, entry: Format, settings: Settings) -> MediaInfo:
    if content.size_bytes > settings.max_text_bytes:
        _over_limit(content.name, f"{content.size_bytes:,} bytes of text", "max_text_bytes", settings)
    if entry.read:
        return entry.read(content)
    data = content.read(0, content.size_bytes)
    try:
        text, encoding = plaintext.decode_all(data)
    except ValueError as error:
        raise Damaged(content.name, f"{error}; get the file again") from error
    if not plaintext.is_seen(text):
        raise Empty(content.name, "is a text without a visible character")
    oddities = plaintext.oddities(text)
    if encoding in ("ascii", "utf-8") and len(text.encode()) < len(data) and "control_characters" not in oddities:
        oddities = (*oddities, "control_characters")
    return described(content, entry.slug, encoding=encoding, metadata=oddities)


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
    raise TypeNotAllowed(name, f"{what}, which no MMS carries; {entry.advice}")


def _name_note(name: str, entry: Format) -> str | None:
    """A sentence for a name that promises something else than the content, ``None`` for an honest one."""
    extension = PurePath(name).suffix.lower().lstrip(".")
    if extension in entry.extensions or not any(extension in known.extensions for known in FORMATS.values()):
        return None
    return f"named .{extension}, but it is {_with_article(entry)}"


def _with_article(entry: Format) -> str:
    title = entry.title
    if entry.kind is not None:
        title += " image" if entry.kind is Kind.IMAGE else " file"
    return f"{'an' if title.startswith(_SPOKEN_WITH_VOWEL) else 'a'} {title}"
