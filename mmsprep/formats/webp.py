"""WebP: a RIFF of pictures.

Comes in: content. Goes out: how it is put together. Never: a decoded pixel.

Google's WebP container specification; RFC 9649.
"""

from __future__ import annotations

import struct

from mmsprep.formats.content import Content
from mmsprep.formats.findings import Structure
from mmsprep.formats.registry import Format, register
from mmsprep.formats.riff import chunks
from mmsprep.model import Kind

_MAX_PROFILE_BYTES = 4_000_000


def _read(content: Content, found: Structure, max_frames: int) -> None:
    end = 8 + struct.unpack_from("<I", content.head, 4)[0]
    if end > content.size_bytes:
        found.missing = "the end of the picture"
    elif end + end % 2 < content.size_bytes:
        found.metadata.append("trailing")
    frames, duration_s, extended = 0, 0.0, False
    for name, start, length in chunks(content):
        if start > end or frames > max_frames:
            break
        body = content.read(start, 24)
        match name:
            case b"VP8X":
                extended, found.has_alpha = True, bool(body[0] & 0x10)
                found.width_px = 1 + int.from_bytes(body[4:7], "little")
                found.height_px = 1 + int.from_bytes(body[7:10], "little")
            case b"ANMF":
                frames += 1
                duration_s += int.from_bytes(body[12:15], "little") / 1000
            case b"VP8 " if not extended:
                found.width_px, found.height_px = (value & 0x3FFF for value in struct.unpack_from("<HH", body, 6))
            case b"VP8L" if not extended:
                (bits,) = struct.unpack_from("<I", body, 1)
                found.width_px, found.height_px = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
                found.has_alpha = bool(bits >> 28 & 1)
            case b"EXIF":
                found.metadata.append("exif")
                found.exif = content.read(start, min(length, _MAX_PROFILE_BYTES))
            case b"XMP ":
                found.metadata.append("xmp")
            case b"ICCP":
                found.icc_profile = content.read(start, min(length, _MAX_PROFILE_BYTES))
    if frames > 1:
        found.frame_count, found.duration_s = frames, duration_s


register(
    Format(
        slug="webp",
        title="WebP",
        kind=Kind.IMAGE,
        content_type="image/webp",
        extension="webp",
        magics=(((0, b"RIFF"), (8, b"WEBP")),),
        decoder="PIL.WebPImagePlugin:WebPImageFile",
        structure=_read,
        animated=True,
    )
)
