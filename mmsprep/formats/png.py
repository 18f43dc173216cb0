"""PNG and its animations: chunks.

Comes in: content. Goes out: how it is put together. Never: a decoded pixel.

ISO/IEC 15948 and PNG (Third Edition), which holds the APNG extension.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from mmsprep.formats.cicp import coding, png_coding
from mmsprep.formats.content import Content
from mmsprep.formats.findings import Structure
from mmsprep.formats.registry import Format, register
from mmsprep.model import ColourCoding, Kind

_MAX_CHUNKS = 200_000
_MAX_PROFILE_BYTES = 4_000_000
_COLOURS = {0: "grey", 2: "rgb", 3: "palette", 4: "grey", 6: "rgb"}


def _read(content: Content, found: Structure, max_frames: int) -> None:
    frames, duration_s, is_animation = 0, 0.0, False
    colours: dict[bytes, bytes] = {}
    found.missing = "the end of the picture"
    for name, offset, length in _chunks(content):
        match name:
            case b"IHDR":
                values = struct.unpack(">IIBB", content.read(offset, 10))
                found.width_px, found.height_px, found.bit_depth = values[:3]
                found.colour, found.has_alpha = _COLOURS.get(values[3], "rgb"), values[3] in (4, 6)
            case b"tRNS":
                found.has_alpha = True
            case b"acTL":
                is_animation = True
            case b"fcTL":
                frames += 1
                numerator, denominator = struct.unpack(">HH", content.read(offset + 20, 4))
                duration_s += numerator / (denominator or 100)
            case b"eXIf":
                found.metadata.append("exif")
                found.exif = content.read(offset, min(length, _MAX_PROFILE_BYTES))
            case b"cICP" | b"sRGB" | b"gAMA" | b"cHRM":
                colours.setdefault(name, content.read(offset, min(length, 32)))
            case b"iCCP":
                found.icc_profile = _profile(content.read(offset, min(length, _MAX_PROFILE_BYTES)))
            case b"tEXt" | b"zTXt" | b"iTXt":
                keyword = content.read(offset, 17)
                found.metadata.append("xmp" if keyword == b"XML:com.adobe.xmp" else "comment")
        end = offset + length + 4
        if (name == b"IEND" and end <= content.size_bytes) or frames > max_frames:
            found.missing = ""
            found.metadata += ["trailing"] if name == b"IEND" and end < content.size_bytes else []
            break
    found.coding = _coding(colours, has_profile=bool(found.icc_profile))
    if is_animation and frames > 1:
        found.frame_count, found.duration_s = frames, duration_s


def _coding(chunks: dict[bytes, bytes], *, has_profile: bool) -> ColourCoding | None:
    """The chunk that goes before the others: cICP, iCCP, sRGB, and last gAMA with cHRM (PNG, 4.3)."""
    if len(chunks.get(b"cICP", b"")) == 4:
        return coding(chunks[b"cICP"][0], chunks[b"cICP"][1])
    if has_profile or b"sRGB" in chunks:
        return None
    return png_coding(chunks.get(b"gAMA", b""), chunks.get(b"cHRM", b""))


def _chunks(content: Content) -> Iterator[tuple[bytes, int, int]]:
    """Name, offset and length of every chunk's content."""
    position = 8
    for _ in range(_MAX_CHUNKS):
        header = content.read(position, 8)
        if len(header) < 8:
            return
        length, name = struct.unpack(">I4s", header)
        yield name, position + 8, length
        position += 12 + length


def without_animation(data: bytes) -> bytes:
    """The picture that viewers show which know no animations: what is told of one is left out, right or wrong."""
    if b"acTL" not in data and b"fcTL" not in data:
        return data
    kept, position = [data[:8]], 8
    while position + 12 <= len(data):
        end = position + 12 + int.from_bytes(data[position : position + 4], "big")
        if data[position + 4 : position + 8] not in (b"acTL", b"fcTL", b"fdAT"):
            kept.append(data[position:end])
        position = end
    return b"".join(kept)


def _profile(chunk: bytes) -> bytes:
    packed = chunk.partition(b"\0")[2][1:]
    try:
        return zlib.decompressobj().decompress(packed, _MAX_PROFILE_BYTES)
    except zlib.error:
        return b""


register(
    Format(
        slug="png",
        title="PNG",
        kind=Kind.IMAGE,
        content_type="image/png",
        extension="png",
        also_named="apng",
        magics=(((0, b"\x89PNG\r\n\x1a\n"),),),
        decoder="PIL.PngImagePlugin:PngImageFile",
        structure=_read,
        animated=True,
    )
)
