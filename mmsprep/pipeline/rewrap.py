"""Repackaging without losing a generation: metadata off, media data as it was.

Comes in: an attachment that may go as it is. Goes out: the same pictures, samples, notes and frames in clean
packaging. Never: a decode or an encode. Structure that does not hold is an error of that attachment.

Pillow cannot write a JPEG or GIF without encoding it again, and mutagen, which knows MP3 tags, is under a
licence that does not fit (GPL); hence the walkers below. Each keeps what a decoder needs and drops everything
else, so that a kind of metadata nobody thought of is dropped too.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from dataclasses import replace
from itertools import accumulate

import ffmpeg as graph

from mmsprep.errors import Damaged
from mmsprep.formats import FORMATS
from mmsprep.formats.amr import strip_amr
from mmsprep.formats.content import Content
from mmsprep.formats.frames import after_id3
from mmsprep.formats.isobmff import without_signatures
from mmsprep.formats.mp3 import runs_of, strip_mp3
from mmsprep.formats.text import clean, decode
from mmsprep.model import Attachment, MediaInfo, Plan
from mmsprep.tools import ffmpeg
from mmsprep.tools.isolation import isolated
from mmsprep.tools.untrusted import content_of
from mmsprep.tools.workspace import Workspace, read_bytes

_JFIF = b"JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
_JPEG_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_JPEG_TABLES = {0xC4, 0xCC, 0xDB, 0xDD}
_JPEG_MARKER = re.compile(rb"\xff[\xc0-\xfe]")
_SCAN_END = re.compile(rb"\xff+[^\x00\xd0-\xd7\xff]")
_LOOPS = (b"NETSCAPE2.0", b"ANIMEXTS1.0")
_WAV_CHUNKS = (b"fmt ", b"fact", b"data")
_WAV_CHUNKS_LOOKED_AT = 1_000
_MP3_JUNK_BYTES = 1_000_000
_PCM = 1


class _BadStructureError(ValueError):
    """What does not hold, in words that follow the attachment's name."""


def rewrap(
    attachment: Attachment,
    info: MediaInfo,
    plan: Plan,  # noqa: ARG001
    workspace: Workspace,
    max_bytes: int,
) -> bytes | None:
    """The attachment's media without anything else in its file.

    Returns:
        ``None`` where that has more than ``max_bytes``; a long recording is not read whole to find out.

    Raises:
        Damaged: the file's structure does not hold.
        OverInputLimit: ffmpeg needed more than the settings allow.
        ToolMissing: there is no ffmpeg.
    """
    if info.format in ("3gp", "mp4"):
        return _remux(attachment, info, workspace, max_bytes)
    return isolated(workspace, strip, attachment, info.format, max_bytes)


def strip(attachment: Attachment, format_slug: str, max_bytes: int) -> bytes | None:
    """The media of a file that is not made of boxes, in this process: for a worker; raises as :func:`rewrap`."""
    try:
        if attachment.size_bytes > max_bytes and _surely_over(attachment, format_slug, max_bytes):
            return None
        data = _STRIPPERS[format_slug](read_bytes(attachment))
        return data if len(data) <= max_bytes else None
    except (IndexError, struct.error):
        problem = "it ends in the middle"
    except ValueError as error:
        problem = str(error)
    raise Damaged(attachment.name, f"is a damaged {FORMATS[format_slug].title}: {problem}; get the file again")


def _surely_over(attachment: Attachment, format_slug: str, max_bytes: int) -> bool:
    """Whether a look at little of a recording tells that its sound alone has more than ``max_bytes``."""
    with content_of(attachment) as content:
        match format_slug:
            case "amr":  # more junk than sound is refused
                return content.size_bytes > 2 * max_bytes
            case "wav":
                return _wav_data_bytes(content) > max_bytes
            case "mp3":
                start = after_id3(content)
                frames = runs_of(content.read(start, 2 * max_bytes + _MP3_JUNK_BYTES))
                return any(total > max_bytes for total in accumulate(frame.length_bytes for _, frame in frames))
    return False


def _wav_data_bytes(content: Content) -> int:
    position = 12
    for _ in range(_WAV_CHUNKS_LOOKED_AT):
        header = content.read(position, 8)
        if len(header) < 8:
            break
        name, length = struct.unpack("<4sI", header)
        if name == b"data":
            return min(int(length), content.size_bytes - position - 8)
        position += 8 + length + length % 2
    return 0


def strip_jpeg(data: bytes) -> bytes:
    """Keep tables, frame and scans of the first picture, a JFIF header without thumbnail, Adobe's transform.

    What decides the colours stays as it was (ITU-T T.871, 10.1; Adobe's Technical Note 5116): a JFIF header
    is added only where there is neither it nor Adobe's marker, and the components are not named R, G, B.
    """
    if data[:2] != b"\xff\xd8":
        raise _BadStructureError("no start marker")
    jfif = adobe = b""
    kept: list[bytes] = []
    names, scans, position = b"", 0, 2
    while True:
        marker, body, position = _jpeg_segment(data, position)
        if marker == 0xD9:
            break
        if marker == 0xE0 and body.startswith(b"JFIF\x00") and len(body) >= 14:
            jfif = _segment(0xE0, body[:12] + b"\x00\x00")
        elif marker == 0xEE and body.startswith(b"Adobe") and len(body) >= 12:
            adobe = _segment(0xEE, body[:12])
        elif marker in _JPEG_FRAMES:
            names = body[6::3]
            kept.append(_segment(marker, body))
        elif marker in _JPEG_TABLES:
            kept.append(_segment(marker, body))
        elif marker == 0xDA:
            end = _SCAN_END.search(data, position)
            if end is None:
                raise _BadStructureError("the picture has no end")
            kept += [_segment(marker, body), data[position : end.start()]]
            position = end.start()
            scans += 1
    if not names or not scans:
        raise _BadStructureError("no picture in it")
    if not jfif and not adobe and names != b"RGB":
        jfif = _segment(0xE0, _JFIF)
    return b"".join([b"\xff\xd8", jfif, adobe, *kept, b"\xff\xd9"])


def _segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def _jpeg_segment(data: bytes, position: int) -> tuple[int, bytes, int]:
    """Marker, content and the position behind the segment at ``position`` (junk and fill bytes passed over)."""
    if data[position] != 0xFF:
        ahead = _JPEG_MARKER.search(data, position)
        if ahead is None:
            raise _BadStructureError(f"no marker at byte {position}")
        position = ahead.start()
    while data[position] == 0xFF:
        position += 1
    marker = data[position]
    position += 1
    if marker == 0xD9:
        return marker, b"", position
    (length,) = struct.unpack_from(">H", data, position)
    end = position + length
    if length < 2 or end > len(data):
        raise _BadStructureError(f"the segment at byte {position} is longer than the file")
    return marker, data[position + 2 : end], end


def strip_gif(data: bytes) -> bytes:
    """Keep frames, their controls and the loop count (GIF89a specification; Netscape's extension)."""
    if data[:6] not in (b"GIF87a", b"GIF89a"):
        raise _BadStructureError("no GIF header")
    position = 13 + _colour_table_bytes(data[10])
    kept, control, loop, frames = [data[:position]], b"", b"", 0
    while (kind := data[position]) != 0x3B:
        start = position
        if kind == 0x2C:
            position = _after_blocks(data, position + 11 + _colour_table_bytes(data[position + 9]))
            kept += [control, data[start:position]]
            control, frames = b"", frames + 1
        elif kind == 0x21:
            label = data[position + 1]
            position = _after_blocks(data, position + 2)
            if label == 0xF9:
                if data[start + 2] != 4:
                    raise _BadStructureError(f"the frame control at byte {start} has a wrong length")
                control = data[start : start + 7] + b"\x00"
            elif label == 0x01:
                control = b""  # it was the plain text's
            elif label == 0xFF and data[start + 3 : start + 14] in _LOOPS and not loop:
                loop = _loop_extension(data[start:position])
                kept.append(loop)
        else:
            break  # decoders stop here too
    if not frames:
        raise _BadStructureError("no picture in it")
    return b"".join([*kept, b"\x3b"])


def _loop_extension(block: bytes) -> bytes:
    """The loop count alone, without whatever else is in the extension; nothing if there is none."""
    return block[:18] + b"\x00" if block[14:16] == b"\x03\x01" else b""


def _colour_table_bytes(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _after_blocks(data: bytes, position: int) -> int:
    while data[position]:
        position += 1 + data[position]
    return position + 1


def strip_wav(data: bytes) -> bytes:
    """Keep format, sample count and samples, with sizes that are true."""
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise _BadStructureError("no RIFF/WAVE header")
    position, found = 12, dict[bytes, bytes]()
    while position + 8 <= len(data):
        name, length = struct.unpack_from("<4sI", data, position)
        found.setdefault(name, data[position + 8 : position + 8 + length])
        position += 8 + length + length % 2
    if len(found.get(b"fmt ", b"")) < 16 or not found.get(b"data"):
        raise _BadStructureError("the format or the samples are missing")
    (codec,) = struct.unpack_from("<H", found[b"fmt "])
    (block_bytes,) = struct.unpack_from("<H", found[b"fmt "], 12)
    if codec == _PCM:
        found[b"fmt "] = found[b"fmt "][:16]
    if b"fact" in found:
        found[b"fact"] = found[b"fact"][:4]
    found[b"data"] = found[b"data"][: len(found[b"data"]) // max(block_bytes, 1) * max(block_bytes, 1)]
    body = b"WAVE"
    for name in _WAV_CHUNKS:
        if name in found:
            body += struct.pack("<4sI", name, len(found[name])) + found[name] + bytes(len(found[name]) % 2)
    return struct.pack("<4sI", b"RIFF", len(body)) + body


def clean_melody(data: bytes) -> bytes:
    """The same lines in UTF-8 without a byte order mark, ended by CR LF, without control characters."""
    decoded = decode(data)
    if decoded is None:
        raise _BadStructureError("it is no text")
    return clean(decoded[0], "crlf").encode()


def _unpacked_midi(data: bytes) -> bytes:
    from mmsprep.formats.midi import unpack_midi

    return unpack_midi(data)


_STRIPPERS: dict[str, Callable[[bytes], bytes]] = {
    "jpeg": strip_jpeg,
    "gif": strip_gif,
    "mp3": strip_mp3,
    "wav": strip_wav,
    "amr": strip_amr,
    "midi": _unpacked_midi,
    "imelody": clean_melody,
    "emelody": clean_melody,
}


def _remux(attachment: Attachment, info: MediaInfo, workspace: Workspace, max_bytes: int) -> bytes | None:
    """The first picture and sound track in a new container: index first, no tags, no encoder's name.

    What has more than ``max_bytes`` is given up soon after them.
    """
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
