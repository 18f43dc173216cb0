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
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import accumulate

import ffmpeg as graph

from mmsprep.errors import Damaged
from mmsprep.formats import FORMATS
from mmsprep.formats.content import Content
from mmsprep.formats.frames import AMR_FRAME_BYTES, Frame, mpeg_audio_frame
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
_XING_HEADERS = (b"Xing", b"Info")
_TRUSTED_ENCODERS = (b"LAME", b"Lavf", b"Lavc")
_ENCODER_NAME_BYTES = 9
_LAME_TAG_BYTES = 36
_SYNC_OR_TAG = re.compile(rb"\xff[\xe2-\xff]|ID3")
_AAC_SIGNATURE = re.compile(rb"Lavc[0-9][0-9.]+")
_LAME_PADDING = re.compile(rb"LAME3\.\d{1,3}[.a-z]?\d?")


class _BadStructureError(Exception):
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
    except _BadStructureError as error:
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
                start = 0
                while content.read(start, 3) == b"ID3" and len(tag := content.read(start, 10)) == 10:
                    start += _after_id3v2(tag, 0)
                frames = _mp3_frames(content.read(start, 2 * max_bytes + _MP3_JUNK_BYTES))
                return any(total > max_bytes for total in accumulate(map(len, frames)))
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


def strip_mp3(data: bytes) -> bytes:
    """Keep frames: ID3v1, ID3v2, APEv2, Lyrics3 and whatever else lies before, between or behind them goes.

    The header frame of LAME and Xing stays, as without its frame count, seek table and encoder delay players
    show a wrong duration and play clicks at both ends. What it says about the encoder's version goes.
    """
    frames = list(_mp3_frames(data))
    if len(frames) < 2:
        raise _BadStructureError("no run of MPEG audio frames in it")
    frames[0] = _without_encoder_version(frames[0])
    return _LAME_PADDING.sub(lambda found: b"U" * len(found[0]), b"".join(frames))


def _mp3_frames(data: bytes) -> Iterator[bytes]:
    """Whole frames of one stream; a new run of them counts only if two follow each other."""
    position, running = 0, False
    first: Frame | None = None
    while position >= 0:
        frame = _frame_like(first, data, position)
        if frame and (running or _frame_like(first or frame, data, position + frame.length_bytes)):
            end = position + frame.length_bytes
            if end > len(data):
                return
            first, running = first or frame, True
            yield data[position:end]
            position = end
        elif data[position : position + 3] == b"ID3" and position + 10 <= len(data):
            position, running = _after_id3v2(data, position), False
        else:
            found = _SYNC_OR_TAG.search(data, position + 1)
            position, running = found.start() if found else -1, False


def _frame_like(first: Frame | None, data: bytes, position: int) -> Frame | None:
    """The frame at ``position`` if it is of the same version, layer and sampling rate as ``first``."""
    frame = mpeg_audio_frame(data[position : position + 4])
    return frame if frame and (first is None or frame.character == first.character) else None


def _after_id3v2(data: bytes, position: int) -> int:
    """ID3v2.4, 3.1: a size of four times seven bits, and perhaps a footer."""
    length = 0
    for byte in data[position + 6 : position + 10]:
        length = length << 7 | byte & 0x7F
    return position + 10 + length + (10 if data[position + 5] & 0x10 else 0)


def _without_encoder_version(frame: bytes) -> bytes:
    """``LAME`` is what makes players trust the encoder delay, so just that stays of the encoder's name."""
    mono, newest = frame[3] >> 6 == 3, frame[1] >> 3 & 3 == 3
    at = 4 + (0 if frame[1] & 1 else 2) + ((17 if mono else 32) if newest else (9 if mono else 17))
    if frame[at : at + 4] not in _XING_HEADERS:
        return frame
    (flags,) = struct.unpack_from(">I", frame, at + 4)
    at += 8 + 4 * (flags & 1) + 4 * (flags >> 1 & 1) + 100 * (flags >> 2 & 1) + 4 * (flags >> 3 & 1)
    end = at + _LAME_TAG_BYTES
    if end > len(frame):
        return frame
    name = b"LAME" if frame[at : at + 4] in _TRUSTED_ENCODERS else b""
    tag = frame[:at] + name.ljust(_ENCODER_NAME_BYTES, b"\x00") + frame[at + _ENCODER_NAME_BYTES : end - 2]
    return tag + struct.pack(">H", _crc16(tag)) + frame[end:]


def _crc16(data: bytes) -> int:
    """CRC-16/ARC, which the LAME tag ends with (LAME's Mp3 Info Tag revision 1)."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return crc


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


def strip_amr(data: bytes) -> bytes:
    """Keep whole frames (RFC 4867, 5.3); what follows them is not sound."""
    magic = b"#!AMR\n"
    if not data.startswith(magic):
        raise _BadStructureError("no AMR header")
    position = len(magic)
    while position < len(data):
        length = AMR_FRAME_BYTES[data[position] >> 3 & 15]
        if length == 0 or position + length > len(data):
            break
        position += length
    if position == len(magic) or len(data) - position > position:
        raise _BadStructureError(f"no frame at byte {position}")
    return data[:position]


def unpack_midi(data: bytes) -> bytes:
    """The header and the tracks of a Standard MIDI file, or of the one inside a RIFF RMID file."""
    if data[:4] == b"RIFF":
        position = 12
        while data[position : position + 4] != b"data":
            (length,) = struct.unpack_from("<I", data, position + 4)
            position += 8 + length + length % 2
        (length,) = struct.unpack_from("<I", data, position + 4)
        data = data[position + 8 : position + 8 + length]
    if data[:4] != b"MThd":
        raise _BadStructureError("no MIDI header")
    header_bytes, _, tracks = struct.unpack_from(">IHH", data, 4)
    if header_bytes < 6 or not tracks:
        raise _BadStructureError("no track in it")
    kept = [b"MThd\x00\x00\x00\x06", data[8:14]]
    position = 8 + header_bytes
    while tracks:
        name, length = struct.unpack_from(">4sI", data, position)
        if position + 8 + length > len(data):
            raise _BadStructureError("the last track is cut off")
        if name == b"MTrk":
            kept.append(data[position : position + 8 + length])
            tracks -= 1
        position += 8 + length
    return b"".join(kept)


def clean_melody(data: bytes) -> bytes:
    """The same lines in UTF-8 without a byte order mark, ended by CR LF, without control characters."""
    decoded = decode(data)
    if decoded is None:
        raise _BadStructureError("it is no text")
    return clean(decoded[0], "crlf").encode()


_STRIPPERS: dict[str, Callable[[bytes], bytes]] = {
    "jpeg": strip_jpeg,
    "gif": strip_gif,
    "mp3": strip_mp3,
    "wav": strip_wav,
    "amr": strip_amr,
    "midi": unpack_midi,
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
    try:
        with ffmpeg.decoding(attachment.name, "is damaged"):
            ffmpeg.run(workspace, graph.output(*streams, str(target), **options))
            if workspace.size_bytes(target) > max_bytes:
                return None
            data = workspace.read(target)
        made = replace(attachment, size_bytes=len(data), path=None, mark=None, data=data)
        return isolated(workspace, without_signatures, made)
    finally:
        target.unlink(missing_ok=True)


def without_signatures(attachment: Attachment) -> bytes:
    """A new MP4 with a free box where ffmpeg wrote an empty list of tags: no offset moves; without its encoder's name.

    Raises:
        Damaged: ffmpeg made no boxes.
    """
    data = read_bytes(attachment)
    position, end = 0, len(data)
    while position + 8 <= end:
        length, name = struct.unpack_from(">I4s", data, position)
        if length < 8:
            raise Damaged(attachment.name, "cannot be repackaged; get the file again")
        if name == b"moov":
            position, end = position + 8, position + length
            continue
        if name == b"udta":
            data = data[: position + 4] + b"free" + bytes(length - 8) + data[position + length :]
        position += length
    # ffmpeg's AAC encoder signs the first frame, in a part of it that every decoder skips.
    return _AAC_SIGNATURE.sub(lambda found: bytes(len(found[0])), data)
