"""What the first bytes of a file say it is.

Comes in: a file's content. Goes out: the name of a family: a slug of :data:`mmsprep.formats.catalogue.FORMATS`, or
one of ``isobmff``, ``ebml``, ``asf``, ``tiff``, ``id3``, ``zip`` and ``amr-multichannel``, which need a
closer look. Never: a word about what is inside, or anything that a name or a declared type says.

The ``filetype`` package does the matching. Its own matchers know archives and fonts well, but take 3GP for
MP4 and know no HEIF brand or melody, so ours come first, and magic of two bytes counts only with a sound
header behind it.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable

import filetype
from filetype.types import archive, document, font

from mmsprep.formats.content import Content
from mmsprep.formats.frames import starts_with_frames


class _Signature(filetype.Type):  # type: ignore[misc]
    """Bytes that stand at fixed places, all of them; ``extension`` carries the family."""

    def __init__(self, family: str, *places: tuple[int, bytes]) -> None:
        super().__init__(mime="application/octet-stream", extension=family)
        self._places = places

    def match(self, buf: bytes) -> bool:
        return all(buf[offset : offset + len(magic)] == magic for offset, magic in self._places)


def _riff(family: str, form: bytes, group: bytes = b"RIFF") -> _Signature:
    return _Signature(family, (0, group), (8, form))


_OURS = (
    _Signature("jpeg", (0, b"\xff\xd8\xff")),
    _Signature("png", (0, b"\x89PNG\r\n\x1a\n")),
    _Signature("gif", (0, b"GIF87a")),
    _Signature("gif", (0, b"GIF89a")),
    _riff("webp", b"WEBP"),
    _riff("wav", b"WAVE"),
    _riff("wav", b"WAVE", b"RIFX"),
    _riff("wav", b"WAVE", b"RF64"),
    _riff("wav", b"WAVE", b"BW64"),
    _riff("avi", b"AVI "),
    _riff("qcp", b"QLCM"),
    _riff("midi", b"RMID"),
    _riff("aiff", b"AIFF", b"FORM"),
    _riff("aiff", b"AIFC", b"FORM"),
    _Signature("caf", (0, b"caff\x00\x01")),
    _Signature("flac", (0, b"fLaC")),
    _Signature("midi", (0, b"MThd\x00\x00\x00")),
    _Signature("amr", (0, b"#!AMR\n")),
    _Signature("amr-wb", (0, b"#!AMR-WB\n")),
    _Signature("amr-multichannel", (0, b"#!AMR_MC1.0\n")),
    _Signature("amr-multichannel", (0, b"#!AMR-WB_MC1.0\n")),
    _Signature("evrc", (0, b"#!EVRC\n")),
    _Signature("evrc", (0, b"#!EVRC-B\n")),
    _Signature("evrc", (0, b"#!EVRCWB\n")),
    _Signature("evrc", (0, b"#!EVRCNW\n")),
    _Signature("ogg", (0, b"OggS\x00")),
    _Signature("au", (0, b".snd\x00\x00")),
    _Signature("wv", (0, b"wvpk")),
    _Signature("mpc", (0, b"MP+\x07")),
    _Signature("mpc", (0, b"MP+\x17")),
    _Signature("mpc8", (0, b"MPCK")),
    _Signature("ape", (0, b"MAC \x96\x0f")),
    _Signature("ape", (0, b"MAC ")),
    _Signature("tta", (0, b"TTA1")),
    _Signature("dsf", (0, b"DSD \x1c\x00\x00\x00")),
    _Signature("w64", (0, bytes.fromhex("726966662e91cf11a5d628db04c10000"))),
    _Signature("voc", (0, b"Creative Voice File\x1a")),
    _Signature("icns", (0, b"icns\x00")),
    _Signature("dds", (0, b"DDS \x7c\x00\x00\x00")),
    _Signature("ebml", (0, b"\x1a\x45\xdf\xa3")),
    _Signature("asf", (0, bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"))),
    _Signature("flv", (0, b"FLV\x01")),
    _Signature("mpeg-ps", (0, b"\x00\x00\x01\xba")),
    _Signature("mpeg-video", (0, b"\x00\x00\x01\xb3")),
    _Signature("jp2", (0, b"\x00\x00\x00\x0cjP  \r\n\x87\n")),
    _Signature("jp2", (0, b"\xff\x4f\xff\x51")),
    _Signature("jxl", (0, b"\x00\x00\x00\x0cJXL \r\n\x87\n")),
    _Signature("psd", (0, b"8BPS\x00\x01")),
    _Signature("isobmff", (4, b"ftyp")),
    _Signature("dng", (0, b"II*\x00"), (8, b"CR\x02")),
    _Signature("dng", (0, b"IIRO")),
    _Signature("dng", (0, b"IIRS")),
    _Signature("dng", (0, b"MMOR")),
    _Signature("dng", (0, b"IIU\x00")),
    _Signature("dng", (0, b"FUJIFILMCCD-RAW")),
    _Signature("tiff", (0, b"II*\x00")),
    _Signature("tiff", (0, b"MM\x00*")),
    _Signature("tiff", (0, b"II+\x00")),
    _Signature("tiff", (0, b"MM\x00+")),
    _Signature("pdf", (0, b"%PDF-")),
    _Signature("postscript", (0, b"\xc5\xd0\xd3\xc6")),
    _Signature("office", (0, bytes.fromhex("d0cf11e0a1b11ae1"))),
    _Signature("zip", (0, b"PK\x03\x04")),
    _Signature("zip", (0, b"PK\x05\x06")),
    _Signature("zip", (0, b"PK\x07\x08")),
    _Signature("executable", (0, b"\x7fELF")),
    _Signature("executable", (0, b"\xfe\xed\xfa\xce")),
    _Signature("executable", (0, b"\xfe\xed\xfa\xcf")),
    _Signature("executable", (0, b"\xce\xfa\xed\xfe")),
    _Signature("executable", (0, b"\xcf\xfa\xed\xfe")),
    _Signature("executable", (0, b"\xca\xfe\xba\xbe")),
    _Signature("executable", (0, b"\x00asm")),
    _Signature("font", (0, b"OTTO\x00")),
    _Signature("font", (0, b"ttcf\x00")),
    _Signature("font", (0, b"wOFF")),
    _Signature("font", (0, b"wOF2")),
)

_THEIRS = {
    "archive": [
        kind()
        for kind in (
            *(archive.Tar, archive.Rar, archive.Gz, archive.Bz2, archive.SevenZ, archive.Xz, archive.Z),
            *(archive.Zstd, archive.Lz, archive.Lz4, archive.Lzop, archive.Br, archive.Cab, archive.Ar),
            *(archive.Rpm, archive.Crx),
        )
    ],
    "font": [kind() for kind in (font.Ttf, font.Otf, font.Woff, font.Woff2, archive.Eot)],
    "office": [kind() for kind in (document.Doc, document.Xls, document.Ppt)],
}


def strong_family(content: Content) -> str | None:
    """The family that unmistakable magic names, ``None``: there is none."""
    found = filetype.match(content.head, matchers=_OURS)
    if found:
        return str(found.extension)
    return next((family for family, is_it in _VALIDATED if is_it(content)), None)


def foreign_family(content: Content) -> str | None:
    """``archive``, ``font`` or ``office`` if one of filetype's own matchers knows the file."""
    for family, matchers in _THEIRS.items():
        if filetype.match(content.head, matchers=matchers):
            return family
    return None


def is_zipped_document(content: Content) -> bool:
    """Whether a ZIP is an Office document: OOXML, ODF or EPUB, by its first entries."""
    head = content.head
    return (
        b"[Content_Types].xml" in head
        or head[30:38] == b"mimetype"
        or re.search(rb"PK\x03\x04.{26}(?:word|xl|ppt|_rels)/", head, re.DOTALL) is not None
    )


def _is_quicktime(content: Content) -> bool:
    """A movie without ``ftyp``: a box of sane size that only movies begin with."""
    size, name, large_size = struct.unpack(">I4sQ", content.head[:16].ljust(16, b"\x00"))
    if name not in (b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot", b"styp", b"moof", b"sidx"):
        return False
    if size == 1:
        return name == b"mdat" or bool(16 <= large_size <= content.size_bytes)
    return bool(8 <= size <= content.size_bytes or (size == 0 and name == b"mdat"))


def _is_bmp(content: Content) -> bool:
    """``BM``, a header of a known length and pixels that begin behind it."""
    if content.head[:2] != b"BM" or len(content.head) < 26:
        return False
    pixels_at, header_length = struct.unpack_from("<II", content.head, 10)
    return header_length in (12, 16, 40, 52, 56, 64, 108, 124) and bool(14 + header_length <= pixels_at)


def _is_ico(content: Content) -> bool:
    """Type 1, some entries, the first of which lies inside the file."""
    if len(content.head) < 22 or content.head[:4] != b"\x00\x00\x01\x00":
        return False
    count, size, offset = struct.unpack_from("<H8xII", content.head, 4)
    inside = 6 + 16 * count <= offset <= content.size_bytes - size < content.size_bytes
    return bool(0 < count <= 256 and inside)


def wbmp_size_px(content: Content) -> tuple[int, int] | None:
    """Width and height of a WBMP of type 0 whose length is exactly what they ask for (WAP-237)."""
    head = content.head[:16]
    if head[:2] != b"\x00\x00":
        return None
    sizes, position = [], 2
    for _ in range(2):
        value = 0
        for _ in range(3):
            if position >= len(head):
                return None
            byte = head[position]
            position += 1
            value = value << 7 | byte & 0x7F
            if not byte & 0x80:
                break
        else:
            return None
        sizes.append(value)
    width_px, height_px = sizes
    exact = position + (width_px + 7) // 8 * height_px
    return (width_px, height_px) if width_px and height_px and content.size_bytes == exact else None


_LOAS_FRAMES = 4
_PNM = re.compile(rb"P[1-6](?:\s|#[^\n]*\n)+\d+(?:\s|#[^\n]*\n)+\d+\s")


def _is_pcx(content: Content) -> bool:
    """Manufacturer 10, a version that there was, run lengths, 1 to 8 bits, and a window that is not empty."""
    head = content.head
    if (
        len(head) < 128
        or head[0] != 10
        or head[1] not in (0, 2, 3, 4, 5)
        or head[2] != 1
        or head[3] not in (1, 2, 4, 8)
    ):
        return False
    left, top, right, bottom = struct.unpack_from("<4H", head, 4)
    return bool(left <= right and top <= bottom and head[64] == 0 and head[65] in (1, 3, 4))


def _is_tga(content: Content) -> bool:
    """No magic in front, but TARGA 2.0's at the end; or a header of which every field makes sense."""
    head = content.head
    if len(head) < 18 or head[1] > 1 or head[2] not in (1, 2, 3, 9, 10, 11) or head[16] not in (8, 15, 16, 24, 32):
        return False
    width_px, height_px = struct.unpack_from("<2H", head, 12)
    if not width_px or not height_px or head[17] & 0xC0:
        return False
    if content.read(content.size_bytes - 18, 16) == b"TRUEVISION-XFILE":
        return True
    palette_bytes = struct.unpack_from("<H", head, 5)[0] * ((head[7] + 7) // 8) if head[1] else 0
    pixels = width_px * height_px * ((head[16] + 7) // 8)
    # Without a footer only the plain kind can be told by its length.
    return head[2] in (1, 2, 3) and content.size_bytes == 18 + head[0] + palette_bytes + pixels


def _is_pnm(content: Content) -> bool:
    return _PNM.match(content.head) is not None


def _is_naked_jxl(content: Content) -> bool:
    """Two bytes of magic, then no text: JPEG XL's codestream has no more to go by."""
    return content.head[:2] == b"\xff\x0a" and len(content.head) > 16


def _is_program(content: Content) -> bool:
    """``MZ`` with a Windows or OS/2 header behind it, or a classic DOS header's page count."""
    head = content.head
    if head[:2] != b"MZ" or len(head) < 64:
        return False
    (header_at,) = struct.unpack_from("<I", head, 60)
    return content.read(header_at, 4)[:2] in (b"PE", b"NE", b"LE", b"LX") or b"\x00\x00" in head[2:64]


def _is_dcf(content: Content) -> bool:
    """OMA DRM 1.0: version 1, two lengths, a MIME type, a content URI (OMA-Download-DCF 1.0, clause 6)."""
    head = content.head
    if len(head) < 8 or head[0] != 1:
        return False
    kind, uri = head[3 : 3 + head[1]], head[3 + head[1] : 3 + head[1] + head[2]]
    return re.fullmatch(rb"[a-z]+/[\w.+-]+", kind) is not None and re.match(rb"\w+:", uri) is not None


def _is_drm_message(content: Content) -> bool:
    """OMA DRM 1.0: a MIME part behind its boundary, with nothing in front (OMA-Download-DRM 1.0, 5.2)."""
    return re.match(rb"--[^\r\n]{1,70}\r?\nContent-Type:", content.head, re.IGNORECASE) is not None


def _is_latm(content: Content) -> bool:
    """LOAS: some frames in a row of eleven bits of sync word and thirteen of length (ISO/IEC 14496-3, 1.7.2)."""
    position = 0
    for _ in range(_LOAS_FRAMES):
        head = content.read(position, 3)
        if len(head) < 3 or head[0] != 0x56 or head[1] & 0xE0 != 0xE0:
            return position >= content.size_bytes > 3
        position += 3 + ((head[1] & 0x1F) << 8 | head[2])
    return True


def _is_id3(content: Content) -> bool:
    head = content.head
    return head[:3] == b"ID3" and len(head) > 10 and head[3] < 16 and all(byte < 128 for byte in head[6:10])


def _has_frames(family: str) -> Callable[[Content], bool]:
    return lambda content: starts_with_frames(content, family)


_VALIDATED: tuple[tuple[str, Callable[[Content], bool]], ...] = (
    ("id3", _is_id3),
    ("bmp", _is_bmp),
    ("pnm", _is_pnm),
    ("pcx", _is_pcx),
    ("tga", _is_tga),
    ("ico", _is_ico),
    ("isobmff", _is_quicktime),
    ("executable", _is_program),
    ("dcf", _is_dcf),
    ("dcf", _is_drm_message),
    ("mpeg-ts", _has_frames("mpeg-ts")),
    ("mp3", _has_frames("mp3")),
    ("aac", _has_frames("aac")),
    ("ac3", _has_frames("ac3")),
    ("eac3", _has_frames("eac3")),
    ("latm", _is_latm),
    ("jxl", _is_naked_jxl),
    ("wbmp", lambda content: wbmp_size_px(content) is not None),
)
