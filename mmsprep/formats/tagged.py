"""Recordings that somebody tagged in ways their format does not know: ID3v2, APE and Lyrics3 in front or behind.

Comes in: content. Goes out: the format of what is between the tags, and where that lies. Never: what the tags say.

ID3v2.4, 3.1 and 3.4; APEv2; Lyrics3 2.00.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress

from mmsprep.errors import AttachmentError, Damaged, UnknownType
from mmsprep.formats.aac import adts_frame
from mmsprep.formats.ac3 import ac3_frame, eac3_frame
from mmsprep.formats.content import Content
from mmsprep.formats.frames import starts_with_frames
from mmsprep.formats.id3 import is_tag, tag_bytes
from mmsprep.formats.mp3 import SEARCHED_BYTES, find_run, mpeg_audio_frame
from mmsprep.formats.registry import FORMATS, Family, register
from mmsprep.formats.signatures import recognised
from mmsprep.model import Extent, Kind

_STREAMS = (("mp3", mpeg_audio_frame), ("aac", adts_frame), ("ac3", ac3_frame), ("eac3", eac3_frame))
_KINDS = (Kind.AUDIO, Kind.VIDEO)
_FRAMES_AFTER_A_SEARCH = 6
_STARTS = re.compile(
    rb"fLaC|RIFF|RF64|OggS|FORM|wvpk|TTA1|MPCK|MP\+|MAC |#!AMR|caff|\.snd|\xff[\xe0-\xff]|\x0b\x77|V[\xe0-\xff]"
)
_PICTURE = re.compile(rb"APIC|PIC\x00")
_APE, _APE_BYTES, _APE_HAS_HEADER = b"APETAGEX", 32, 1 << 31
_ID3V1_BYTES, _FOOTER_BYTES = 128, 10
_TAIL_BYTES = 256
_LYRICS, _LYRICS_ENDS, _MOST_LYRICS_BYTES = b"LYRICSBEGIN", (b"LYRICS200", b"LYRICSEND"), 1_000_000
_ENDLESS = frozenset(("mp3", "aac", "ac3", "eac3", "latm", "amr", "amr-wb", "evrc"))
"""Frames up to the end of the file: what is behind the last one would be taken for more of them."""


def extent_of(content: Content, format_slug: str) -> Extent | None:
    """Where a recording of this format lies between tags, or an MP3 behind junk, ``None``: it begins and ends with the
    file, or copes with them by itself."""
    if FORMATS[format_slug].kind not in _KINDS:
        return None
    begin = content.once(_behind)[1] if _is_tagged(content) else 0
    if not begin and format_slug == "mp3":
        begin = content.once(find_run) or 0
    end = _tags_end(content, begin) if format_slug in _ENDLESS else content.size_bytes
    return None if (begin, end) == (0, content.size_bytes) else Extent(begin, end)


def tag_names(content: Content) -> tuple[str, ...]:
    """``id3``, ``ape`` and ``lyrics`` where there are such tags at either end, ``cover`` for a picture in the first,
    ``junk`` where it is none of these."""
    head, tail = content.head[:_APE_BYTES], content.read(max(0, content.size_bytes - _TAIL_BYTES), _TAIL_BYTES)
    found = {
        "id3": is_tag(head) or tail[-_ID3V1_BYTES:].startswith(b"TAG") or tail[-_FOOTER_BYTES:].startswith(b"3DI"),
        "ape": _APE in head or _APE in tail,
        "cover": is_tag(head) and _PICTURE.search(content.head[: tag_bytes(head)]) is not None,
        "lyrics": any(end in tail for end in _LYRICS_ENDS),
    }
    return tuple(name for name, is_there in found.items() if is_there) or ("junk",)


def _is_tagged(content: Content) -> bool:
    """Whether there is a tag in front; its letters alone may be a text's."""
    head = content.head
    return is_tag(head) or (head.startswith(_APE) and b"\0" in head[8:_APE_BYTES])


def _behind(content: Content) -> tuple[str, int]:
    """The format behind the tags in front, and where it begins.

    Raises:
        Damaged, UnknownType: there is none.
    """
    offset = _past_tags(content)
    found = _format_at(content, offset)
    if found:
        return found, offset
    for place in _places(content):
        # The tag says that it is shorter or longer than it is.
        with suppress(AttachmentError):
            found = _format_at(content, place, _FRAMES_AFTER_A_SEARCH)
        if found:
            return found, place
    run = find_run(content)
    if run is not None:
        return "mp3", run
    if offset >= content.size_bytes:
        raise Damaged(content.name, "is an ID3 or APE tag without sound behind it; get the file again")
    raise UnknownType(content.name, "begins with an ID3 or APE tag, but no known sound follows; expected a recording")


def _past_tags(content: Content) -> int:
    """Where the last of the tags in front ends, and the zeros behind it, by their own word."""
    offset = 0
    while True:
        header = content.read(offset, _APE_BYTES)
        if is_tag(header):
            offset += tag_bytes(header)
        elif header.startswith(_APE):
            offset += _APE_BYTES + int.from_bytes(header[12:16], "little")
        else:
            break
    padding = content.read(offset, SEARCHED_BYTES)
    zeros = len(padding) - len(padding.lstrip(b"\0"))
    return offset + (0 if zeros == len(padding) else zeros)


def _places(content: Content) -> Iterator[int]:
    """Where in the first quarter of a megabyte a recording may begin."""
    data = content.read(0, SEARCHED_BYTES)
    return (found.start() for found in _STARTS.finditer(data, 3))


def _format_at(content: Content, offset: int, frames: int = 3) -> str | None:
    for slug, read_frame in _STREAMS:
        if starts_with_frames(content, read_frame, offset, frames):
            return slug
    inside = content.behind(offset)
    if not inside.size_bytes or _is_tagged(inside):
        return None
    found = recognised(inside)
    return found if found and FORMATS[found].kind in _KINDS else None


def _tags_end(content: Content, begin: int) -> int:
    """Where the sound ends and the tags behind it begin."""
    end = content.size_bytes
    while (shorter := _before_tag(content, begin, end)) < end:
        end = shorter
    return end


def _before_tag(content: Content, begin: int, end: int) -> int:
    """Where the tag begins that ends at ``end``, ``end`` itself where none does."""
    tail = content.read(max(begin, end - _ID3V1_BYTES), min(_ID3V1_BYTES, end - begin))
    length = 0
    if len(tail) == _ID3V1_BYTES and tail.startswith(b"TAG"):
        length = _ID3V1_BYTES
    elif tail[-_APE_BYTES:].startswith(_APE):
        flags = int.from_bytes(tail[-12:-8], "little")
        length = int.from_bytes(tail[-20:-16], "little") + (_APE_BYTES if flags & _APE_HAS_HEADER else 0)
    elif tail[-_FOOTER_BYTES:].startswith(b"3DI"):
        length = tag_bytes(b"ID3" + tail[-7:])
    elif tail.endswith(_LYRICS_ENDS):
        start = max(begin, end - _MOST_LYRICS_BYTES)
        length = end - start - found if (found := content.read(start, end - start).rfind(_LYRICS)) >= 0 else 0
    return end - length if 0 < length <= end - begin else end


register(Family(refine=lambda content: content.once(_behind)[0], looks_like=_is_tagged, rank=10))
