"""Repackaging without losing a generation: metadata off, media data as it was.

Comes in: an attachment that may go as it is. Goes out: the same pictures, samples, notes and frames in clean
packaging. Never: a decode or an encode. Structure that does not hold is an error of that attachment.

Pillow cannot write a JPEG or GIF without encoding it again, and mutagen, which knows MP3 tags, is under a
licence that does not fit (GPL); hence the walkers in ``formats/``. Each keeps what a decoder needs and drops
everything else, so that a kind of metadata nobody thought of is dropped too.
"""

from __future__ import annotations

import struct
from dataclasses import replace

from mmsprep.errors import Damaged
from mmsprep.formats import FORMATS, Format
from mmsprep.formats.isobmff import without_signatures
from mmsprep.formats.readers import read_sound
from mmsprep.model import Attachment, MediaInfo, Plan
from mmsprep.tools import ffmpeg
from mmsprep.tools.isolation import isolated
from mmsprep.tools.untrusted import content_of, read_bytes
from mmsprep.tools.workspace import Workspace

_SHORTEST_S = 0.1
"""Decoders swallow the first frames of an MP3: what is shorter may not be heard at all."""


def rewrap(
    attachment: Attachment,
    info: MediaInfo,
    plan: Plan,  # noqa: ARG001
    workspace: Workspace,
    max_bytes: int,
) -> bytes | None:
    """The attachment's media without anything else in its file.

    Returns:
        ``None`` where that has more than ``max_bytes``, or is none that may go without being encoded anew; a long
        recording is not read whole to find out.

    Raises:
        Damaged: the file's structure does not hold.
        OverInputLimit: ffmpeg needed more than the settings allow.
        ToolMissing: there is no ffmpeg.
    """
    if FORMATS[info.format].remuxed:
        return _remux(attachment, info, workspace, max_bytes)
    return isolated(workspace, strip, attachment, info.format, max_bytes)


def strip(attachment: Attachment, format_slug: str, max_bytes: int) -> bytes | None:
    """The media of a file that is not made of boxes, in this process: for a worker; raises as :func:`rewrap`."""
    entry = FORMATS[format_slug]
    assert entry.strip is not None, format_slug
    with content_of(attachment) as content:
        try:
            if content.size_bytes > max_bytes and entry.is_surely_over and entry.is_surely_over(content, max_bytes):
                return None
            data = entry.strip(content)
            return data if len(data) <= max_bytes and _stands(data, entry) else None
        except (IndexError, struct.error):
            problem = "it ends in the middle"
        except ValueError as error:
            problem = str(error)
    raise Damaged(attachment.name, f"is a damaged {entry.title}: {problem}; get the file again")


def _stands(data: bytes, entry: Format) -> bool:
    """Whether a recording without its packaging is one that may go; what is not is encoded anew."""
    if entry.read_exactly is None:
        return True
    try:
        return read_sound(data, entry.slug).duration_s >= _SHORTEST_S
    except ValueError:
        return False


def _remux(attachment: Attachment, info: MediaInfo, workspace: Workspace, max_bytes: int) -> bytes | None:
    """The first picture and sound track in a new container: index first, no tags, no encoder's name.

    What has more than ``max_bytes`` is given up soon after them.
    """
    import ffmpeg as graph

    source = ffmpeg.safe_input(workspace.path_of(attachment), info.format)
    target = workspace.new_path(f".{FORMATS[info.format].extension}")
    streams = [source["V:0"]] + ([source["a:0"]] if info.audio_codec else [])
    options: dict[str, str | int] = {
        "c": "copy",
        "f": info.format,
        "map_metadata": -1,
        "map_chapters": -1,
        "movflags": "+faststart",
        "fs": max_bytes + 1,
        "fflags": "+bitexact",
        # A chunk a second, not one a frame: less of the file is its index.
        "chunk_duration": 1_000_000,
    }
    if info.brand:
        options["brand"] = info.brand
    if info.video_codec == "h264":
        # x264 writes its name and options into a message inside the stream (NAL unit type 6).
        options["bsf:v"] = "filter_units=remove_types=6"
    elif info.video_codec == "h263":
        # By ITU-T H.263 its pixels are 12:11, and ffmpeg would say so in the container; no phone shows them so.
        options["aspect"] = f"{info.width_px}:{info.height_px}"
    try:
        with ffmpeg.decoding(attachment.name, "is damaged"):
            ffmpeg.run(workspace, graph.output(*streams, str(target), **options))
            if workspace.size_bytes(target) > max_bytes:
                return None
            data = workspace.read(target)
        made = replace(attachment, size_bytes=len(data), path=None, mark=None, data=data)
        return isolated(workspace, unsigned, made)
    finally:
        target.unlink(missing_ok=True)


def unsigned(attachment: Attachment) -> bytes:
    """:func:`mmsprep.formats.isobmff.without_signatures` of an attachment, for a worker.

    Raises:
        Damaged: ffmpeg made no boxes.
    """
    try:
        return without_signatures(read_bytes(attachment))
    except ValueError as error:
        raise Damaged(attachment.name, "cannot be repackaged; get the file again") from error
