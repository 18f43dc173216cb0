"""Sound behind ID3 tags: MP3, or another stream that somebody tagged, perhaps more than once.

Comes in: content that begins with a tag. Goes out: its format. Never: what the tag says.
"""

from __future__ import annotations

from mmsprep.errors import Damaged, UnknownType
from mmsprep.formats.aac import adts_frame
from mmsprep.formats.ac3 import ac3_frame, eac3_frame
from mmsprep.formats.content import Content
from mmsprep.formats.frames import starts_with_frames
from mmsprep.formats.id3 import after_id3, is_tagged
from mmsprep.formats.mp3 import find_run, mpeg_audio_frame
from mmsprep.formats.registry import Family, register

_STREAMS = (("mp3", mpeg_audio_frame), ("aac", adts_frame), ("ac3", ac3_frame), ("eac3", eac3_frame))


def _behind_id3(content: Content) -> str:
    offset = after_id3(content)
    if offset >= content.size_bytes and find_run(content) is None:
        raise Damaged(content.name, "is an ID3 tag without sound behind it; get the file again")
    if content.read(offset, 4) == b"fLaC":
        return "flac"
    for slug, read_frame in _STREAMS:
        if starts_with_frames(content, read_frame, offset):
            return slug
    if find_run(content) is not None:
        # The tag says that it is shorter or longer than it is.
        return "mp3"
    raise UnknownType(content.name, "begins with an ID3 tag, but no known sound follows it; expected MP3, AAC or FLAC")


register(Family(refine=_behind_id3, looks_like=is_tagged, rank=10))
