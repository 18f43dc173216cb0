"""What no MMS carries: documents, archives, programs, scripts, drawings in markup, protected files.

Comes in: content. Goes out: whether it is one of them, and rows with what to do instead. Never: what is in it.
"""

from __future__ import annotations

import re
import struct

from mmsprep.formats.content import Content
from mmsprep.formats.registry import Family, Format, register


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


def _is_drm(content: Content) -> bool:
    return _is_dcf(content) or _is_drm_message(content)


def _is_zipped_document(content: Content) -> bool:
    """Whether a ZIP is an Office document: OOXML, ODF or EPUB, by its first entries."""
    head = content.head
    return (
        b"[Content_Types].xml" in head
        or head[30:38] == b"mimetype"
        or re.search(rb"PK\x03\x04.{26}(?:word|xl|ppt|_rels)/", head, re.DOTALL) is not None
    )


def _zip_format(content: Content) -> str:
    return "office" if _is_zipped_document(content) else "zip"


register(
    Format(
        slug="pdf",
        title="PDF document",
        kind=None,
        content_type="application/pdf",
        extension="pdf",
        magics=(((0, b"%PDF-"),),),
        text_starts=(r"\A%PDF-",),
        advice="export its pages as pictures (PNG or JPEG) and send those",
    )
)
register(
    Format(
        slug="office",
        title="Office document",
        kind=None,
        content_type="application/octet-stream",
        extension="docx",
        also_named="doc xls xlsx ppt pptx odt ods odp rtf epub pages",
        magics=(((0, bytes.fromhex("d0cf11e0a1b11ae1")),),),
        text_starts=(r"\A\{\\rtf",),
        advice="export its pages as pictures, or save it as text",
    )
)
register(
    Format(
        slug="email",
        title="e-mail message",
        kind=None,
        content_type="message/rfc822",
        extension="eml",
        also_named="mht mhtml mbox",
        text_starts=(
            r"\A(?:[A-Za-z][A-Za-z0-9-]*:[^\n]*\n(?:[ \t][^\n]*\n)*)*MIME-Version:[ \t]*1\.0",
            r"\AFrom \S+ [^\n]*\d\d:\d\d[^\n]*\n[A-Za-z-]+:",
            r"\A(?:(?:Received|Return-Path|Message-ID|Date|From|To|Subject|X-[\w-]+):[^\n]*\n(?:[ \t][^\n]*\n)*){4}",
        ),
        advice="send the files that are in it, and its text",
    )
)
register(
    Format(
        slug="postscript",
        title="PostScript document",
        kind=None,
        content_type="application/postscript",
        extension="ps",
        also_named="eps ai",
        magics=(((0, b"\xc5\xd0\xd3\xc6"),),),
        text_starts=(r"\A%!PS",),
        advice="export it as PNG or JPEG",
    )
)
register(
    Format(
        slug="zip",
        title="ZIP archive",
        kind=None,
        content_type="application/zip",
        extension="zip",
        also_named="jar apk kmz",
        advice="unpack it and send the media in it",
    )
)
register(
    Format(
        slug="archive",
        title="archive",
        kind=None,
        content_type="application/octet-stream",
        extension="tar",
        also_named="gz tgz 7z rar xz bz2 zst cab",
        advice="unpack it and send the media in it",
    )
)
register(
    Format(
        slug="executable",
        title="program",
        kind=None,
        content_type="application/octet-stream",
        extension="exe",
        also_named="dll so elf msi",
        magics=(
            ((0, b"\x7fELF"),),
            ((0, b"\xfe\xed\xfa\xce"),),
            ((0, b"\xfe\xed\xfa\xcf"),),
            ((0, b"\xce\xfa\xed\xfe"),),
            ((0, b"\xcf\xfa\xed\xfe"),),
            ((0, b"\xca\xfe\xba\xbe"),),
            ((0, b"\x00asm"),),
        ),
        looks_like=_is_program,
        rank=80,
        text_starts=(
            r"\A#!\s*/",
            r"\A@echo off\b",
        ),
        advice="an MMS carries pictures, sound, clips and text, never programs",
    )
)
register(
    Format(
        slug="html",
        title="HTML page",
        kind=None,
        content_type="text/html",
        extension="html",
        also_named="htm xhtml",
        advice="send a picture of it, or its text",
    )
)
register(
    Format(
        slug="svg",
        title="SVG drawing",
        kind=None,
        content_type="image/svg+xml",
        extension="svg",
        advice="export it as PNG",
    )
)
register(
    Format(
        slug="xml",
        title="XML document",
        kind=None,
        content_type="application/xml",
        extension="xml",
        advice="send its text as a .txt file without markup",
    )
)
register(
    Format(
        slug="smil",
        title="SMIL presentation",
        kind=None,
        content_type="application/smil",
        extension="smil",
        advice="mmsprep writes the presentation itself; send the media",
    )
)
register(
    Format(
        slug="playlist",
        title="playlist",
        kind=None,
        content_type="audio/x-mpegurl",
        extension="m3u8",
        also_named="m3u pls mpd sdp cue xspf asx wpl",
        rank=-1,
        text_starts=(
            r"\A#EXTM3U",
            r"^#EXT(?:INF:|-X-)",
            r"\A\[playlist\]",
            r"\A<\?wpl\b",
            r"\A\[Reference\]\s+Ref1=",
            r"\Av=0\s+o=[^\n]*\n\s*s=",
            r'^[ \t]*FILE\s+(?:"[^"]*"|\S+)\s+(?:WAVE|MP3|AIFF|BINARY|FLAC)\s+TRACK\s+\d+',
        ),
        advice="it only names other files; send those files themselves",
    )
)
register(
    Format(
        slug="concat",
        title="ffmpeg script",
        kind=None,
        content_type="text/plain",
        extension="txt",
        rank=-2,
        text_starts=(
            r"\Affconcat\s+version",
            r"\A(?:#[^\n]*\n\s*)*file\s+'[^'\n]*'\s*$",
        ),
        advice="it only names other files; send those files themselves",
    )
)
register(
    Format(
        slug="font",
        title="font",
        kind=None,
        content_type="font/sfnt",
        extension="ttf",
        also_named="otf woff woff2 ttc eot",
        magics=(
            ((0, b"OTTO\x00"),),
            ((0, b"ttcf\x00"),),
            ((0, b"wOFF"),),
            ((0, b"wOF2"),),
        ),
        advice="send a picture of the text instead",
    )
)
register(
    Format(
        slug="dcf",
        title="OMA DRM file",
        kind=None,
        content_type="application/vnd.oma.drm.content",
        extension="dcf",
        also_named="dm odf",
        looks_like=_is_drm,
        rank=90,
    )
)
register(
    Format(
        slug="model",
        title="3D model",
        kind=None,
        content_type="model/mesh",
        extension="blend",
        also_named="ply stl wrl glb",
        magics=(
            ((0, b"BLENDER-v"),),
            ((0, b"BLENDER_v"),),
            ((0, b"ply\nformat "),),
            ((0, b"ply\r\nformat "),),
            ((0, b"glTF\x02\x00"),),
        ),
        text_starts=(r"\A#VRML V\d", r"\Asolid\b[^\n]*\n\s*facet normal\b"),
        advice="send a picture of it",
    )
)
register(
    Format(
        slug="measured",
        title="picture for special programs",
        kind=None,
        content_type="application/octet-stream",
        extension="fits",
        also_named="nrrd exr hdr pfm pam ff iff lbm flif djvu djv xcf bpg jb2 jbig2 dcm",
        magics=(
            ((0, b"SIMPLE  = "),),
            *(((0, b"NRRD000%d\n" % version),) for version in range(1, 6)),
            ((0, b"\x76\x2f\x31\x01"),),
            ((0, b"#?RADIANCE\n"),),
            ((0, b"#?RGBE\n"),),
            ((0, b"P7\nWIDTH "),),
            ((0, b"PF\n"),),
            ((0, b"Pf\n"),),
            ((0, b"farbfeld\x00"),),
            ((0, b"FORM"), (8, b"ILBM")),
            ((0, b"FORM"), (8, b"PBM ")),
            ((0, b"FLIF"),),
            ((0, b"AT&TFORM"),),
            ((0, b"gimp xcf "),),
            ((0, b"BPG\xfb"),),
            ((0, b"\x97JB2\r\n\x1a\n"),),
            ((128, b"DICM"),),
        ),
        advice="export it as PNG or JPEG",
    )
)
register(
    Format(
        slug="metafile",
        title="Windows metafile",
        kind=None,
        content_type="image/wmf",
        extension="wmf",
        also_named="emf",
        magics=(
            ((0, b"\xd7\xcd\xc6\x9a\x00\x00"),),
            ((0, b"\x01\x00\x09\x00\x00\x03"),),
            ((0, b"\x01\x00\x00\x00"), (40, b" EMF")),
        ),
        advice="export it as PNG",
    )
)
register(
    Format(
        slug="swf",
        title="Flash film",
        kind=None,
        content_type="application/x-shockwave-flash",
        extension="swf",
        magics=tuple(((0, mark + bytes((version,))),) for mark in (b"FWS", b"CWS", b"ZWS") for version in range(1, 50)),
        advice="record it as a clip, or send a picture of it",
    )
)
register(
    Format(
        slug="ringtone",
        title="ringtone that only some phones know (SMAF, XMF, RTTTL)",
        kind=None,
        content_type="application/vnd.smaf",
        extension="mmf",
        also_named="xmf mxmf rtttl rtx",
        magics=(((0, b"MMMD\x00"),), ((0, b"XMF_"),)),
        text_starts=(r"\A[^:\n]{0,40}:\s*(?:[dob]\s*=\s*\d+\s*,?\s*){2,3}:",),
        advice="save it as MIDI, or send a recording of it",
    )
)
register(
    Format(
        slug="database",
        title="database",
        kind=None,
        content_type="application/vnd.sqlite3",
        extension="sqlite",
        also_named="db sqlite3",
        magics=(((0, b"SQLite format 3\x00"),), ((0, b"bplist00"),)),
        advice="send what you want of it as text",
    )
)
register(
    Format(
        slug="encoded",
        title="file in letters (uuencode, BinHex)",
        kind=None,
        content_type="text/x-uuencode",
        extension="uu",
        also_named="uue hqx",
        text_starts=(r"\Abegin(?:-base64)? [0-7]{3,4} \S", r"\A\(This file must be converted with BinHex"),
        advice="decode it and send the file that is in it",
    )
)
register(
    Format(
        slug="link",
        title="link to a page or to other files",
        kind=None,
        content_type="application/internet-shortcut",
        extension="url",
        also_named="torrent webloc desktop",
        text_starts=(r"\A\[InternetShortcut\]", r"\A\[Desktop Entry\]", r"\Ad\d+:announce(?:-list)?\d*[:l]"),
        advice="send the address as text",
    )
)
register(Family(refine=_zip_format, magics=(((0, b"PK\x03\x04"),), ((0, b"PK\x05\x06"),), ((0, b"PK\x07\x08"),))))
