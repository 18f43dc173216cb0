"""GIF: a screen, then frames, each behind its control, and extensions between them.

Comes in: content. Goes out: how it is put together, and the same frames without anything else. Never: a decoded pixel;
what a decoder library hides (frame times, comments, what follows the end) is read here without one.

GIF89a specification; Netscape's extension for loops.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from mmsprep.formats.content import Content
from mmsprep.formats.findings import Structure
from mmsprep.formats.registry import Format, register
from mmsprep.model import Kind

_LEAST_DELAY_S, _USUAL_DELAY_S = 0.02, 0.1
"""Viewers show a frame that asks for less than two hundredths of a second for a tenth, as browsers do."""
_MAX_BLOCKS = 200_000
_EXTENSION, _FRAME, _END = 0x21, 0x2C, 0x3B
_CONTROL, _PLAIN_TEXT, _COMMENT, _APPLICATION = 0xF9, 0x01, 0xFE, 0xFF
_LOOPS = (b"NETSCAPE2.0", b"ANIMEXTS1.0")


def _blocks(data: bytes) -> Iterator[tuple[int, int]]:
    """Start and end of every extension and frame; one that is cut short ends behind the data."""
    position = 13 + _colour_table_bytes(data[10])
    while position < len(data) and data[position] in (_EXTENSION, _FRAME):
        start = position
        try:
            table_bytes = _colour_table_bytes(data[start + 9]) if data[start] == _FRAME else 0
            position = start + (11 + table_bytes if data[start] == _FRAME else 2)
            while length := data[position]:
                position += length + 1
            position += 1
        except IndexError:
            position = len(data) + 1
        yield start, position


def _colour_table_bytes(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _read(content: Content, found: Structure, max_frames: int) -> None:
    data = content.read(0, content.size_bytes)
    found.colour, found.frame_count, found.missing = "palette", 0, "the picture itself"
    found.width_px, found.height_px, flags = struct.unpack_from("<HHB", data, 6)
    delay_s, total_s, end = 0.0, 0.0, 13 + _colour_table_bytes(flags)
    for count, (start, end) in enumerate(_blocks(data)):
        if count >= _MAX_BLOCKS:
            found.missing = "its end within any sensible number of blocks"
        if found.frame_count > max_frames or count >= _MAX_BLOCKS:
            break
        if data[start] == _FRAME:
            found.missing = "the end of the picture"
            left, top, width_px, height_px = struct.unpack_from("<4H", data, start + 1)
            # A frame may reach out of the screen that the header promises; decoders make room for it.
            found.width_px = max(found.width_px, left + width_px)
            found.height_px = max(found.height_px, top + height_px)
        if end > len(data):
            found.missing = found.missing or "its headers"
            break
        if data[start] == _FRAME:
            found.missing = ""
            found.frame_count += 1
            total_s += delay_s if delay_s >= _LEAST_DELAY_S else _USUAL_DELAY_S
        else:
            if data[start + 1] == _CONTROL:
                found.has_alpha |= bool(data[start + 3] & 1)
                delay_s = struct.unpack_from("<H", data, start + 4)[0] / 100
            found.metadata += _metadata(data[start + 1], data[start + 3 : start + 14])
    else:
        if end >= len(data):
            # Sloppy encoders leave out the end mark; decoders cope, but it is not kept as it is.
            found.metadata.append("unterminated")
        elif data[end] != _END or end + 1 < len(data):
            found.metadata.append("trailing")
    if found.frame_count > 1:
        found.duration_s = total_s


def _metadata(label: int, application: bytes) -> list[str]:
    if label == _COMMENT:
        return ["comment"]
    if label != _APPLICATION or application.startswith(_LOOPS):
        return []
    return ["xmp" if application.startswith(b"XMP Data") else "application_data"]


def strip(content: Content) -> bytes:
    """Keep frames, their controls and the loop count.

    Raises:
        ValueError: there is no whole picture in it.
    """
    data = content.read(0, content.size_bytes)
    kept, control, loop = [data[: 13 + _colour_table_bytes(data[10])]], b"", b""
    frames, end = 0, len(kept[0])
    for start, end in _blocks(data):
        if end > len(data):
            break
        label = data[start + 1]
        if data[start] == _FRAME:
            kept += [control, data[start:end]]
            control, frames = b"", frames + 1
        elif label == _CONTROL:
            if data[start + 2] != 4:
                raise ValueError(f"the frame control at byte {start:,} has a wrong length")
            control = data[start : start + 7] + b"\x00"
        elif label == _PLAIN_TEXT:
            control = b""  # it was the plain text's
        elif label == _APPLICATION and data[start + 3 : start + 14] in _LOOPS and not loop:
            loop = _loop_extension(data[start:end])
            kept.append(loop)
    if end >= len(data):
        raise ValueError("it ends in the middle")
    if not frames:
        raise ValueError("no picture in it")
    return b"".join([*kept, b"\x3b"])


def _loop_extension(block: bytes) -> bytes:
    """The loop count alone, without whatever else is in the extension; nothing if there is none."""
    return block[:18] + b"\x00" if block[14:16] == b"\x03\x01" else b""


register(
    Format(
        slug="gif",
        title="GIF",
        kind=Kind.IMAGE,
        content_type="image/gif",
        extension="gif",
        magics=(((0, b"GIF87a"),), ((0, b"GIF89a"),)),
        decoder="PIL.GifImagePlugin:GifImageFile",
        structure=_read,
        animated=True,
        strip=strip,
    )
)
