"""How JPEG, PNG, GIF and WebP files are put together: the parts, not the pixels.

Comes in: content that begins as one of the four. Goes out: a :class:`Structure`: size, coding, frames,
what is in it beside the picture, and whether it is all there. Never: a decoded pixel; what a decoder library
hides (trailing data, comments, the coding process, frame times) is read here without one.

ITU-T T.81 (JPEG), ISO/IEC 15948 and the APNG extension (PNG), GIF89a, Google's WebP container specification.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from mmsprep.errors import Damaged
from mmsprep.formats.cicp import coding, png_coding
from mmsprep.formats.content import Content
from mmsprep.model import ColourCoding

_CHUNK_BYTES = 1_048_576
_LEAST_GIF_DELAY_S, _USUAL_GIF_DELAY_S = 0.02, 0.1
"""Viewers show a frame that asks for less than two hundredths of a second for a tenth, as browsers do."""
_MAX_CHUNKS = 200_000
_MAX_PROFILE_BYTES = 4_000_000

_JPEG_JUNK_BYTES = 65_536
_JPEG_MARKER = re.compile(rb"\xff[\xc0-\xfe]")
_USUAL_SAMPLINGS = ((1, 1), (2, 1), (2, 2))
_JPEG_CODINGS = {
    0xC0: "baseline",
    0xC1: "extended",
    0xC2: "progressive",
    0xC3: "lossless",
    **dict.fromkeys((0xC5, 0xC6, 0xC7), "hierarchical"),
    **dict.fromkeys((0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF), "arithmetic"),
}
_PNG_COLOURS = {0: "grey", 2: "rgb", 3: "palette", 4: "grey", 6: "rgb"}


@dataclass(slots=True, kw_only=True)
class Structure:
    """What the file's own headers say; ``width_px`` and ``height_px`` are as stored.

    ``missing`` says what is not there of a file that ends too early (empty: it is complete).
    """

    width_px: int = 0
    height_px: int = 0
    colour: str = "rgb"
    bit_depth: int = 8
    encoding: str | None = None
    has_alpha: bool = False
    frame_count: int = 1
    duration_s: float | None = None
    exif: bytes = b""
    icc_profile: bytes = b""
    coding: ColourCoding | None = None
    metadata: list[str] = field(default_factory=list)
    missing: str = ""


def read_structure(content: Content, format_slug: str, max_frames: int) -> Structure:
    """Read the structure of a file in one of the formats of :data:`STRUCTURED`.

    Counting ends at one frame over ``max_frames``.

    Raises:
        Damaged: there is no picture in it.
    """
    structure = Structure()
    try:
        STRUCTURED[format_slug](content, structure, max_frames)
    except (IndexError, struct.error):
        structure.missing = structure.missing or "its headers"
    if not (structure.missing or (structure.width_px and structure.height_px)):
        raise Damaged(content.name, "has a picture of no size in it; get the file again")
    structure.metadata = list(dict.fromkeys(structure.metadata))
    return structure


def _read_jpeg(content: Content, found: Structure, max_frames: int) -> None:  # noqa: ARG001
    icc: list[bytes] = []
    jfif, adobe_transform, components = False, -1, b""
    found.missing = "the picture itself"
    for marker, offset, length in _jpeg_segments(content):
        body = content.read(offset, min(length, 64))
        if marker in _JPEG_CODINGS:
            found.encoding = _JPEG_CODINGS[marker]
            found.bit_depth, found.height_px, found.width_px, _ = struct.unpack_from(">BHHB", body)
            components = body[6:]
        elif marker == 0xDA:
            _find_jpeg_end(content, found, offset + length)
            break
        elif marker == 0xE0 and body.startswith(b"JFIF\0"):
            jfif = True
            found.metadata += ["thumbnail"] if any(body[12:14]) else []
        elif marker == 0xE2 and body.startswith(b"ICC_PROFILE\0"):
            icc.append(content.read(offset, length)[12:])
        elif marker == 0xEE and body.startswith(b"Adobe"):
            adobe_transform = body[11]
        else:
            name = _jpeg_metadata(marker, body)
            found.metadata += [name] if name else []
            if name == "exif":
                found.exif = found.exif or content.read(offset, length)
    found.icc_profile = b"".join(part[2:] for part in sorted(icc, key=lambda part: part[:1]))
    found.colour = _jpeg_colour(components, adobe_transform, jfif=jfif)


def _jpeg_metadata(marker: int, body: bytes) -> str | None:
    """What a segment that is not needed to decode the picture is."""
    starts = {
        (0xE0, b"JFXX\0"): "thumbnail",
        (0xE1, b"Exif\0"): "exif",
        (0xE1, b"http://ns.adobe.com/x"): "xmp",
        (0xE2, b"MPF\0"): "extra_pictures",
        (0xED, b"Photoshop"): "iptc",
        (0xFE, b""): "comment",
    }
    for (known, start), name in starts.items():
        if marker == known and body.startswith(start):
            return name
    return "application_data" if 0xE0 <= marker <= 0xEF else None


def _jpeg_segments(content: Content) -> Iterator[tuple[int, int, int]]:
    """Marker, offset and length of every segment's content, up to the first scan's header."""
    position = 2
    for _ in range(_MAX_CHUNKS):
        start = content.read(position, 4)
        if len(start) < 4:
            return
        if start[0] != 0xFF:
            # Decoders pass over what does not belong there; some programs leave a byte or two too many.
            junk = content.read(position, _JPEG_JUNK_BYTES)
            ahead = _JPEG_MARKER.search(junk)
            if ahead is None:
                raise _broken_headers(content, position)
            position += ahead.start()
            continue
        if start[1] in (0xFF, 0x01, *range(0xD0, 0xD8)):
            position += 1 if start[1] == 0xFF else 2
            continue
        length = start[2] << 8 | start[3]
        if length < 2:
            raise _broken_headers(content, position)
        yield start[1], position + 4, length - 2
        position += 2 + length


def _broken_headers(content: Content, position: int) -> Damaged:
    return Damaged(content.name, f"its JPEG headers break off at byte {position:,}; get the file again")


def _find_jpeg_end(content: Content, found: Structure, position: int) -> None:
    """Find the end marker: coded data never holds its two bytes, and table segments between scans neither."""
    last = b""
    while chunk := content.read(position, _CHUNK_BYTES):
        at = (last + chunk).find(b"\xff\xd9")
        if at >= 0:
            if position - len(last) + at + 2 < content.size_bytes:
                found.metadata.append("trailing")
            found.missing = ""
            return
        last = chunk[-1:]
        position += len(chunk)
    found.missing = "the end of the picture"


def _jpeg_colour(components: bytes, adobe_transform: int, *, jfif: bool) -> str:
    """Colour model by the number of components, Adobe's marker and, without both, the components' names."""
    names, samplings = components[::3], [(byte >> 4, byte & 15) for byte in components[1::3]]
    match len(names):
        case 1:
            return "grey"
        case 3:
            if adobe_transform == 0 or (adobe_transform < 0 and not jfif and names == b"RGB"):
                return "rgb"
            luma = samplings[0]
            usual = luma in _USUAL_SAMPLINGS and set(samplings[1:]) == {(1, 1)}
            return "ycbcr" if usual or len(set(samplings)) == 1 else f"ycbcr-{luma[0]}x{luma[1]}"
        case 4:
            return "ycck" if adobe_transform == 2 else "cmyk"
    return f"{len(names)} components"


def _read_png(content: Content, found: Structure, max_frames: int) -> None:
    frames, duration_s, is_animation = 0, 0.0, False
    colours: dict[bytes, bytes] = {}
    found.missing = "the end of the picture"
    for name, offset, length in _png_chunks(content):
        match name:
            case b"IHDR":
                values = struct.unpack(">IIBB", content.read(offset, 10))
                found.width_px, found.height_px, found.bit_depth = values[:3]
                found.colour, found.has_alpha = _PNG_COLOURS.get(values[3], "rgb"), values[3] in (4, 6)
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
                found.icc_profile = _png_profile(content.read(offset, min(length, _MAX_PROFILE_BYTES)))
            case b"tEXt" | b"zTXt" | b"iTXt":
                keyword = content.read(offset, 17)
                found.metadata.append("xmp" if keyword == b"XML:com.adobe.xmp" else "comment")
        end = offset + length + 4
        if (name == b"IEND" and end <= content.size_bytes) or frames > max_frames:
            found.missing = ""
            found.metadata += ["trailing"] if name == b"IEND" and end < content.size_bytes else []
            break
    found.coding = _png_coding(colours, has_profile=bool(found.icc_profile))
    if is_animation and frames > 1:
        found.frame_count, found.duration_s = frames, duration_s


def _png_coding(chunks: dict[bytes, bytes], *, has_profile: bool) -> ColourCoding | None:
    """The chunk that goes before the others: cICP, iCCP, sRGB, and last gAMA with cHRM (PNG, 4.3)."""
    if len(chunks.get(b"cICP", b"")) == 4:
        return coding(chunks[b"cICP"][0], chunks[b"cICP"][1])
    if has_profile or b"sRGB" in chunks:
        return None
    return png_coding(chunks.get(b"gAMA", b""), chunks.get(b"cHRM", b""))


def _png_chunks(content: Content) -> Iterator[tuple[bytes, int, int]]:
    """Name, offset and length of every chunk's content."""
    position = 8
    for _ in range(_MAX_CHUNKS):
        header = content.read(position, 8)
        if len(header) < 8:
            return
        length, name = struct.unpack(">I4s", header)
        yield name, position + 8, length
        position += 12 + length


def _png_profile(chunk: bytes) -> bytes:
    packed = chunk.partition(b"\0")[2][1:]
    try:
        return zlib.decompressobj().decompress(packed, _MAX_PROFILE_BYTES)
    except zlib.error:
        return b""


def _read_gif(content: Content, found: Structure, max_frames: int) -> None:
    data = content.read(0, content.size_bytes)
    found.colour, found.frame_count, found.missing = "palette", 0, "the picture itself"
    found.width_px, found.height_px, flags = struct.unpack_from("<HHB", data, 6)
    position = 13 + _colour_table_bytes(flags)
    delay_s, total_s = 0.0, 0.0
    for _ in range(_MAX_CHUNKS):
        if found.frame_count > max_frames or position >= len(data):
            # Sloppy encoders leave out the end mark; decoders cope, but it is not kept as it is.
            found.metadata += ["unterminated"] if position >= len(data) else []
            break
        introducer = data[position]
        if introducer == 0x21:
            if data[position + 1] == 0xF9:
                found.has_alpha |= bool(data[position + 3] & 1)
                delay_s = struct.unpack_from("<H", data, position + 4)[0] / 100
            found.metadata += _gif_metadata(data[position + 1], data[position + 3 : position + 14])
            position = _after_sub_blocks(data, position + 2)
        elif introducer == 0x2C:
            found.missing = "the end of the picture"
            left, top, width_px, height_px = struct.unpack_from("<4H", data, position + 1)
            # A frame may reach out of the screen that the header promises; decoders make room for it.
            found.width_px = max(found.width_px, left + width_px)
            found.height_px = max(found.height_px, top + height_px)
            position = _after_sub_blocks(data, position + 11 + _colour_table_bytes(data[position + 9]))
            found.missing = ""
            found.frame_count += 1
            total_s += delay_s if delay_s >= _LEAST_GIF_DELAY_S else _USUAL_GIF_DELAY_S
        else:
            found.metadata += ["trailing"] if introducer != 0x3B or position + 1 < len(data) else []
            break
    else:
        found.missing = "its end within any sensible number of blocks"
    if found.frame_count > 1:
        found.duration_s = total_s


def _colour_table_bytes(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _gif_metadata(label: int, application: bytes) -> list[str]:
    if label == 0xFE:
        return ["comment"]
    if label != 0xFF or application.startswith((b"NETSCAPE2.0", b"ANIMEXTS1.0")):
        return []
    return ["xmp" if application.startswith(b"XMP Data") else "application_data"]


def _after_sub_blocks(data: bytes, position: int) -> int:
    while length := data[position]:
        position += length + 1
    return position + 1


def _read_webp(content: Content, found: Structure, max_frames: int) -> None:
    end = 8 + struct.unpack_from("<I", content.head, 4)[0]
    if end > content.size_bytes:
        found.missing = "the end of the picture"
    elif end + end % 2 < content.size_bytes:
        found.metadata.append("trailing")
    frames, duration_s, extended, position = 0, 0.0, False, 12
    for _ in range(_MAX_CHUNKS):
        if position + 8 > min(end, content.size_bytes) or frames > max_frames:
            break
        header = content.read(position, 32)
        name, length = struct.unpack_from("<4sI", header)
        body = header[8:]
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
                found.exif = content.read(position + 8, min(length, _MAX_PROFILE_BYTES))
            case b"XMP ":
                found.metadata.append("xmp")
            case b"ICCP":
                found.icc_profile = content.read(position + 8, min(length, _MAX_PROFILE_BYTES))
        position += 8 + length + length % 2
    if frames > 1:
        found.frame_count, found.duration_s = frames, duration_s


STRUCTURED: dict[str, Callable[[Content, Structure, int], None]] = {
    "jpeg": _read_jpeg,
    "png": _read_png,
    "gif": _read_gif,
    "webp": _read_webp,
}
"""The formats that :func:`read_structure` knows."""
