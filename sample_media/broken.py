"""``bad/``: what must be refused, each with its own error. Nothing in here can do harm.

Playlists name files that do not exist; the programs have a header and no code; the encrypted song is the
samples' own music.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable

from jpegs import photo, saved
from pictures import png
from recipe import Clip, Sample, encode, music_wav

HLS = (
    "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:5\n#EXT-X-MEDIA-SEQUENCE:0\n"
    "#EXTINF:5.0,\nfile:///nonexistent/secret.ts\n#EXT-X-ENDLIST\n"
)
CONCAT = "ffconcat version 1.0\nfile 'file:/nonexistent/secret.mp4'\nduration 5\n"
SVG = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<svg xmlns="http://www.w3.org/2000/svg"'
    ' xmlns:xlink="http://www.w3.org/1999/xlink" width="120" height="90">\n'
    '<image xlink:href="file:///nonexistent/secret.png" width="120" height="90"/></svg>\n'
)
HTML = "<!DOCTYPE html>\n<html><head><title>Lakeside</title></head><body><p>Not a message.</p></body></html>\n"
SMIL = '<smil><body><par><img src="photo.jpg"/></par></body></smil>\n'
VCARD = "BEGIN:VCARD\r\nVERSION:3.0\r\nN:Sample;Lake;;;\r\nFN:Lake Sample\r\nTEL:+61400000000\r\nEND:VCARD\r\n"


def _cut_mp4() -> bytes:
    """The last third is gone, and with it the index."""
    whole = encode("-c:v libx264 -crf 27 -pix_fmt yuv420p", "clip.mp4", clip=Clip(320, 240, 30, 15, lake=True))
    return whole[: len(whole) * 2 // 3]


def _cut_jpeg() -> bytes:
    whole = saved(photo(), "JPEG", quality=80)
    return whole[: len(whole) // 2]


def _twelve_bits() -> bytes:
    """A sound grey JPEG whose frame header claims extended DCT with 12 bits a sample."""
    data = bytearray(saved(photo(120, 90).convert("L"), "JPEG", quality=80))
    at = data.index(b"\xff\xc0")
    data[at + 1], data[at + 4] = 0xC1, 12
    return bytes(data)


def _bomb() -> bytes:
    """400 million black pixels of one bit; zeros are what deflate packs best."""
    squeeze = zlib.compressobj(9)
    row = bytes(2501)
    body = b"".join(squeeze.compress(row) for _ in range(20_000)) + squeeze.flush()
    hollow = png(20_000, 20_000, 1, 0, b"")
    start = hollow.index(b"IDAT") - 4
    end = start + 12 + struct.unpack(">I", hollow[start : start + 4])[0]
    chunk = struct.pack(">I", len(body)) + b"IDAT" + body + struct.pack(">I", zlib.crc32(b"IDAT" + body))
    return hollow[:start] + chunk + hollow[end:]


def _gif_bomb() -> bytes:
    """Ten thousand frames of one pixel each."""
    head = b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff"
    frame = b",\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0"
    return head + frame * 10_100 + b";"


def _protected_song() -> bytes:
    """Really encrypted (ISO/IEC 23001-7, with a published test key), under a shop's brand."""
    data = encode(
        "-c:a aac -b:a 48k -encryption_scheme cenc-aes-ctr -f mp4"
        " -encryption_key 00112233445566778899aabbccddeeff -encryption_kid ffeeddccbbaa99887766554433221100",
        "song.m4p",
        sound=music_wav(1),
    )
    return data[:8] + b"M4P " + data[12:]


def _dcf() -> bytes:
    """OMA DRM 1.0: version, lengths, type, content URI, no headers, encrypted data (OMA-Download-DCF, 6)."""
    kind, place = b"image/jpeg", b"cid:sample@example.invalid"
    data = bytes(range(7, 107))
    return bytes((1, len(kind), len(place))) + kind + place + bytes((0, len(data))) + data


def _forward_lock() -> bytes:
    """An OMA DRM message: a part that must not be sent on."""
    picture = saved(photo(80, 60), "JPEG", quality=60)
    head = b"--lock\r\nContent-Type: image/jpeg\r\nContent-Transfer-Encoding: binary\r\n\r\n"
    return head + picture + b"\r\n--lock--\r\n"


def _pdf() -> bytes:
    objects = (
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 200 100] >>",
    )
    data, offsets = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        offsets.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    trailer = b"trailer\n<< /Size 4 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % len(data)
    return data + b"xref\n0 4\n0000000000 65535 f \n" + table + trailer


def _archive(names: tuple[str, ...]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(zipfile.ZipInfo(name), "nothing in it\n")
    return buffer.getvalue()


def _program() -> bytes:
    """An ELF header for no machine in particular, and zeros."""
    return b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHI", 2, 62, 1) + bytes(200)


def _windows_program() -> bytes:
    return b"MZ" + bytes(58) + struct.pack("<I", 64) + b"PE\0\0" + bytes(100)


def _bad(name: str, error: str, what: str, odd: str, make: Callable[[], bytes], made: str = "Python") -> Sample:
    return Sample(f"bad/{name}", error, what, odd, made, make)


SAMPLES = (
    _bad("empty.jpg", "empty", "nothing", "no bytes at all", lambda: b""),
    _bad("truncated.jpg", "damaged", "leaves", "only the first half of the file", _cut_jpeg, "Pillow"),
    _bad(
        "truncated.mp4",
        "damaged",
        "a sailing boat",
        "the end is missing, and the index with it",
        _cut_mp4,
        "ffmpeg: libx264",
    ),
    _bad(
        "twelve-bit.jpg",
        "type_not_allowed",
        "leaves",
        "header of a 12-bit JPEG",
        _twelve_bits,
        "Pillow, header patched",
    ),
    _bad("bomb.png", "over_input_limit", "a black square", "20000x20000 pixels in 49 kB", _bomb),
    _bad("bomb.gif", "over_input_limit", "a black dot", "10100 frames", _gif_bomb),
    _bad(
        "playlist.mp4",
        "type_not_allowed",
        "an HLS playlist",
        "named as a clip, names another file",
        HLS.encode,
    ),
    _bad("playlist.m3u8", "type_not_allowed", "an HLS playlist", "names another file", HLS.encode),
    _bad(
        "padded-playlist.avi",
        "type_not_allowed",
        "an HLS playlist",
        "blank lines in front",
        ("\n" * 40 + HLS).encode,
    ),
    _bad(
        "concat.txt",
        "type_not_allowed",
        "an ffconcat script",
        "a text that names another file",
        CONCAT.encode,
    ),
    _bad("presentation.smil", "type_not_allowed", "a SMIL presentation", "the message has its own", SMIL.encode),
    _bad("document.pdf", "type_not_allowed", "an empty page", "a document", _pdf),
    _bad(
        "document.docx",
        "type_not_allowed",
        "an Office document",
        "a ZIP with Office's names in it",
        lambda: _archive(("[Content_Types].xml", "word/document.xml")),
    ),
    _bad(
        "archive.zip",
        "type_not_allowed",
        "a ZIP archive",
        "an archive",
        lambda: _archive(("photo.jpg", "note.txt")),
    ),
    _bad("page.html", "type_not_allowed", "a web page", "markup", HTML.encode),
    _bad("drawing.svg", "type_not_allowed", "a drawing", "names another file", SVG.encode),
    _bad("program", "type_not_allowed", "the header of a Linux program", "no extension", _program),
    _bad(
        "photo.exe.jpg",
        "type_not_allowed",
        "the header of a Windows program",
        "named as a picture",
        _windows_program,
    ),
    _bad("contact.vcf", "type_not_allowed", "a vCard", "not in the compatibility table", VCARD.encode),
    _bad(
        "protected.m4p",
        "protected_media",
        "music",
        "encrypted, with a sinf box",
        _protected_song,
        "ffmpeg: aac",
    ),
    _bad("protected.dcf", "protected_media", "an OMA DRM 1 file", "encrypted content", _dcf),
    _bad("forward-lock.dm", "protected_media", "leaves", "OMA DRM forward lock", _forward_lock, "Pillow"),
    _bad(
        "noise.bin",
        "unknown_type",
        "random bytes",
        "of no type at all",
        lambda: bytes(i * i * 7919 >> 5 & 255 for i in range(9, 900)),
    ),
)
