"""JPEG: segments up to the picture, the picture, its end.

Comes in: content. Goes out: how it is put together, and the same picture without anything else. Never: a decoded pixel;
what a decoder library hides (trailing data, comments, the coding process) is read here without one.

ITU-T T.81; T.871 (JFIF); Adobe's Technical Note 5116.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

from mmsprep.errors import Damaged
from mmsprep.formats.content import Content
from mmsprep.formats.findings import Structure
from mmsprep.formats.registry import Format, register
from mmsprep.model import Kind

_CHUNK_BYTES = 1_048_576
_MAX_SEGMENTS = 200_000
_JUNK_BYTES = 65_536
_MARKER = re.compile(rb"\xff[\xc0-\xfe]")
_SCAN_END = re.compile(rb"\xff+[^\x00\xd0-\xd7\xff]")
_START_OF_SCAN, _END = 0xDA, 0xD9
_ALONE = (0x01, *range(0xD0, 0xD8))
"""Markers without content: TEM and the restart markers."""
_USUAL_SAMPLINGS = ((1, 1), (2, 1), (2, 2))
_CODINGS = {
    0xC0: "baseline",
    0xC1: "extended",
    0xC2: "progressive",
    0xC3: "lossless",
    0xF7: "JPEG-LS",
    **dict.fromkeys((0xC5, 0xC6, 0xC7), "hierarchical"),
    **dict.fromkeys((0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF), "arithmetic"),
}
_TABLES = (0xC4, 0xCC, 0xDB, 0xDD)
_JFIF_BYTES, _ADOBE_BYTES = 14, 12
"""Of what those two markers must say; viewers pass over one that says less."""
_JFIF = b"JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"


def _read(content: Content, found: Structure, max_frames: int) -> None:  # noqa: ARG001
    icc: list[bytes] = []
    jfif, adobe_transform, components = False, -1, b""
    found.missing = "the picture itself"
    for marker, offset, length in _segments(content, 2):
        body = content.read(offset, min(length, 64))
        if marker in _CODINGS:
            found.encoding = _CODINGS[marker]
            found.bit_depth, found.height_px, found.width_px, _ = struct.unpack_from(">BHHB", body)
            components = body[6:]
        elif marker == _START_OF_SCAN:
            _find_end(content, found, offset + length)
            break
        elif marker == 0xE0 and body.startswith(b"JFIF\0") and length >= _JFIF_BYTES:
            jfif = True
            found.metadata += ["thumbnail"] if any(body[12:14]) else []
        elif marker == 0xE2 and body.startswith(b"ICC_PROFILE\0"):
            icc.append(content.read(offset, length)[12:])
        elif marker == 0xEE and body.startswith(b"Adobe") and length >= _ADOBE_BYTES:
            adobe_transform = body[11]
        else:
            name = _metadata(marker, body)
            found.metadata += [name] if name else []
            if name == "exif":
                found.exif = found.exif or content.read(offset, length)
    found.icc_profile = b"".join(part[2:] for part in sorted(icc, key=lambda part: part[:1]))
    found.colour = _colour(components, adobe_transform, jfif=jfif)


def _metadata(marker: int, body: bytes) -> str | None:
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


def _segments(content: Content, position: int) -> Iterator[tuple[int, int, int]]:
    """Marker, offset and length of every segment's content from ``position`` on, up to a scan's header or the end."""
    for _ in range(_MAX_SEGMENTS):
        start = content.read(position, 4)
        if start[:2] == b"\xff\xd9":
            yield _END, position + 2, 0
            return
        if len(start) < 4:
            return
        if start[0] != 0xFF:
            # Decoders pass over what does not belong there; some programs leave a byte or two too many.
            junk = content.read(position, _JUNK_BYTES)
            ahead = _MARKER.search(junk)
            if ahead is None:
                raise _broken_headers(content, position)
            position += ahead.start()
            continue
        if start[1] == 0xFF or start[1] in _ALONE:
            position += 1 if start[1] == 0xFF else 2
            continue
        length = start[2] << 8 | start[3]
        if length < 2:
            raise _broken_headers(content, position)
        yield start[1], position + 4, length - 2
        if start[1] == _START_OF_SCAN:
            return
        position += 2 + length


def _broken_headers(content: Content, position: int) -> Damaged:
    return Damaged(content.name, f"its JPEG headers break off at byte {position:,}; get the file again")


def _find_end(content: Content, found: Structure, position: int) -> None:
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


def _colour(components: bytes, adobe_transform: int, *, jfif: bool) -> str:
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


def strip(content: Content) -> bytes:
    """Keep tables, frame and scans of the first picture, a JFIF header without thumbnail, Adobe's transform.

    What decides the colours stays as it was (ITU-T T.871, 10.1; Adobe's Technical Note 5116): a JFIF header
    is added only where there is neither it nor Adobe's marker, and the components are not named R, G, B.

    Raises:
        ValueError: there is no whole picture in it.
    """
    data = content.read(0, content.size_bytes)
    jfif = adobe = names = b""
    kept: list[bytes] = []
    scans, position, marker = 0, 2, 0
    while marker != _END:
        marker = 0
        for marker, start, length in _segments(content, position):
            body, end = data[start : start + length], start + length
            if end > len(data):
                raise ValueError(f"the segment at byte {start - 4:,} is longer than the file")
            if marker == 0xE0 and body.startswith(b"JFIF\x00") and length >= _JFIF_BYTES:
                jfif = _segment(0xE0, body[:12] + b"\x00\x00")
            elif marker == 0xEE and body.startswith(b"Adobe") and length >= _ADOBE_BYTES:
                adobe = _segment(0xEE, body[:12])
            elif marker in _CODINGS:
                names = body[6::3]
                kept.append(_segment(marker, body))
            elif marker in _TABLES:
                kept.append(_segment(marker, body))
            elif marker == _START_OF_SCAN:
                found = _SCAN_END.search(data, end)
                if found is None:
                    raise ValueError("the picture has no end")
                position = found.start()
                kept += [_segment(marker, body), data[end:position]]
                scans += 1
        if marker not in (_START_OF_SCAN, _END):
            raise ValueError("the picture has no end")
    if not names or not scans:
        raise ValueError("no picture in it")
    if not jfif and not adobe and names != b"RGB":
        jfif = _segment(0xE0, _JFIF)
    return b"".join([b"\xff\xd8", jfif, adobe, *kept, b"\xff\xd9"])


def without_short_markers(content: Content) -> bytes:
    """The same without the markers of JFIF and Adobe that say less than they must, on which Pillow gives up.

    Raises:
        Damaged: the headers break off.
    """
    data, kept, position = content.read(0, content.size_bytes), [b"\xff\xd8"], 2
    for marker, start, length in _segments(content, 2):
        body = data[start : start + length]
        is_jfif = marker == 0xE0 and body.startswith(b"JFIF") and length < _JFIF_BYTES
        if is_jfif or (marker == 0xEE and body.startswith(b"Adobe") and length < _ADOBE_BYTES):
            kept.append(data[position : start - 4])
            position = start + length
    return b"".join((*kept, data[position:]))


def _segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


register(
    Format(
        slug="jpeg",
        title="JPEG",
        kind=Kind.IMAGE,
        content_type="image/jpeg",
        extension="jpg",
        also_named="jpeg jpe jfif mpo",
        magics=(((0, b"\xff\xd8\xff"),),),
        decoder="mmsprep.tools.jpeg:open_jpeg",
        structure=_read,
        strip=strip,
    )
)
