"""Sniffing: every format by its content, under any name; what must not be sent is refused with a reason."""

from __future__ import annotations

import io
import struct
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mmsprep.errors import (
    Damaged,
    Empty,
    MmsprepError,
    NotFound,
    OverInputLimit,
    TypeNotAllowed,
    UnknownType,
    Unreadable,
)
from mmsprep.model import Attachment, Kind, MediaInfo
from mmsprep.settings import Settings
from mmsprep.sniff import identify, sniff
from mmsprep.tools import ffmpeg
from mmsprep.tools.workspace import Workspace

Look = Callable[..., MediaInfo]
Make = Callable[[str, str], bytes]

PICTURE = "-f lavfi -i testsrc2=size=176x144:rate=15:duration=0.4"
SOUND = "-f lavfi -i sine=frequency=440:sample_rate=44100:duration=0.4"
VOICE = "-f lavfi -i sine=frequency=440:sample_rate=8000:duration=0.4"
AMR = "-c:a libopencore_amrnb -ar 8000 -ac 1"
H264 = "-c:v libx264 -preset ultrafast -pix_fmt yuv420p"

STREAMS = [
    # ffmpeg's arguments, extension, expected format, kind, video codec, audio codec
    (f"{PICTURE} {SOUND} {H264} -c:a aac", "mp4", "mp4", "video", "h264", "aac"),
    (f"{PICTURE} {H264} -brand M4V", "m4v", "mp4", "video", "h264", None),
    (f"{PICTURE} {H264} -movflags frag_keyframe+empty_moov", "mp4", "mp4", "video", "h264", None),
    (f"{PICTURE} {SOUND} {H264} -c:a pcm_s16le", "mov", "mov", "video", "h264", "pcm_s16le"),
    (f"{PICTURE} -c:v prores_ks", "mov", "mov", "video", "prores", None),
    (f"{PICTURE} {VOICE} -c:v h263 {AMR}", "3gp", "3gp", "video", "h263", "amr_nb"),
    (f"{PICTURE} {SOUND} -c:v mpeg4 -c:a aac", "3g2", "3g2", "video", "mpeg4", "aac"),
    (f"{PICTURE} {SOUND} -c:v mpeg4 -c:a libmp3lame", "avi", "avi", "video", "mpeg4", "mp3"),
    (f"{PICTURE} {SOUND} -c:v mjpeg -c:a pcm_s16le", "avi", "avi", "video", "mjpeg", "pcm_s16le"),
    (f"{PICTURE} {SOUND} {H264} -c:a libvorbis", "mkv", "mkv", "video", "h264", "vorbis"),
    (
        f"{PICTURE} {SOUND} -c:v libvpx -deadline realtime -c:a libopus",
        "webm",
        "webm",
        "video",
        "vp8",
        "opus",
    ),
    (f"{PICTURE} -c:v libvpx-vp9 -deadline realtime -cpu-used 8", "webm", "webm", "video", "vp9", None),
    (f"{PICTURE} {SOUND} -c:v flv -c:a libmp3lame", "flv", "flv", "video", "flv1", "mp3"),
    (f"{PICTURE} {SOUND} -r 25 -c:v mpeg1video -c:a mp2", "mpg", "mpeg-ps", "video", "mpeg1video", "mp2"),
    (f"{PICTURE} {SOUND} -r 25 -c:v mpeg2video -c:a mp2", "ts", "mpeg-ts", "video", "mpeg2video", "mp2"),
    (f"{PICTURE} -r 25 -c:v mpeg2video", "m2v", "mpeg-video", "video", "mpeg2video", None),
    (f"{PICTURE} {SOUND} -c:v wmv2 -c:a wmav2", "wmv", "wmv", "video", "wmv2", "wmav2"),
    (f"{PICTURE} {SOUND} -c:v libtheora -c:a libvorbis", "ogv", "ogv", "video", "theora", "vorbis"),
    (SOUND, "wav", "wav", "audio", None, "pcm_s16le"),
    (f"{SOUND} -c:a pcm_u8", "wav", "wav", "audio", None, "pcm_u8"),
    (f"{SOUND} -c:a pcm_f32le", "wav", "wav", "audio", None, "pcm_f32le"),
    (f"{SOUND} -c:a pcm_mulaw", "wav", "wav", "audio", None, "pcm_mulaw"),
    (f"{SOUND} -c:a adpcm_ima_wav", "wav", "wav", "audio", None, "adpcm_ima_wav"),
    (f"{SOUND} -c:a adpcm_ms", "wav", "wav", "audio", None, "adpcm_ms"),
    (f"{SOUND} -rf64 always", "wav", "wav", "audio", None, "pcm_s16le"),
    (SOUND, "aiff", "aiff", "audio", None, "pcm_s16be"),
    (SOUND, "caf", "caf", "audio", None, "pcm_s16le"),
    (f"{SOUND} -b:a 64k", "mp3", "mp3", "audio", None, "mp3"),
    (f"{SOUND} -b:a 64k -id3v2_version 0 -write_xing 0", "mp3", "mp3", "audio", None, "mp3"),
    (f"{SOUND} -c:a mp2", "mp2", "mp3", "audio", None, "mp2"),
    (SOUND, "aac", "aac", "audio", None, "aac"),
    (f"{SOUND} -c:a aac", "m4a", "m4a", "audio", None, "aac"),
    (f"{SOUND} -c:a alac", "m4a", "m4a", "audio", None, "alac"),
    (f"{SOUND} -c:a aac", "mp4", "m4a", "audio", None, "aac"),
    (f"{VOICE} {AMR}", "3gp", "m4a", "audio", None, "amr_nb"),
    (f"{SOUND} -c:a libvorbis", "ogg", "ogg", "audio", None, "vorbis"),
    (f"{SOUND} -c:a libopus", "ogg", "ogg", "audio", None, "opus"),
    (f"{SOUND} -c:a flac", "ogg", "ogg", "audio", None, "flac"),
    (SOUND, "flac", "flac", "audio", None, "flac"),
    (f"{SOUND} -c:a wmav2", "wma", "wma", "audio", None, "wmav2"),
    (f"{VOICE} {AMR}", "amr", "amr", "audio", None, "amr_nb"),
    (f"{SOUND} -c:a ac3", "ac3", "ac3", "audio", None, "ac3"),
    (f"{SOUND} -c:a eac3", "eac3", "eac3", "audio", None, "eac3"),
    (f"{SOUND} -c:a libopus", "mka", "mka", "audio", None, "opus"),
    (f"{SOUND} -c:a libopus -f webm", "webm", "mka", "audio", None, "opus"),
    (f"{SOUND} -c:a libmp3lame", "avi", "avi", "audio", None, "mp3"),
]

PICTURES = [
    ("JPEG", "jpeg", {}),
    ("JPEG", "jpeg", {"progressive": True}),
    ("PNG", "png", {}),
    ("GIF", "gif", {}),
    ("BMP", "bmp", {}),
    ("TIFF", "tiff", {}),
    ("WEBP", "webp", {}),
    ("WEBP", "webp", {"lossless": True}),
    ("AVIF", "avif", {}),
    ("JPEG2000", "jp2", {}),
    ("JPEG2000", "jp2", {"no_jp2": True}),
    ("ICO", "ico", {"sizes": [(32, 24)]}),
    ("PPM", "pnm", {}),
]

TEXTS = [
    ("Hello\n", "text"),
    ("\ufeff  \n<!DOCTYPE html><html><body>x</body></html>", "html"),
    ("<html><head></head></html>", "html"),
    ("<p>Hello <b>you</b></p>", "html"),
    ("<3 you", "text"),
    ('<?wpl version="1.0"?><smil><body/></smil>', "playlist"),
    ('<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="3.1">', "xml"),
    ('<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n<x:xmpmeta xmlns:x="adobe:ns:meta/">', "xml"),
    ('<gpx version="1.1" xmlns="http://www.topografix.com/GPX/1/1">', "xml"),
    ("<3 you, xmlns=1 > 0", "text"),
    ("<grin> he wrote xmlns=, and left", "text"),
    ('<?xml version="1.0"?>\n<!-- a --><svg xmlns="http://www.w3.org/2000/svg"/>', "svg"),
    ('<?xml version="1.0"?><note>x</note>', "xml"),
    ("<smil><body/></smil>", "smil"),
    ("#EXTM3U\n#EXTINF:1,x\nfile:///etc/passwd\n", "playlist"),
    (" \r\n\t" * 500 + "#EXTM3U\n#EXT-X-VERSION:3\nhttp://a/b.ts\n", "playlist"),
    ("\ufeff#EXTM3U\nx.mp3\n", "playlist"),
    ("[playlist]\nFile1=x.mp3\n", "playlist"),
    ('<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"/>', "playlist"),
    ("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=x\r\n", "playlist"),
    ('PERFORMER "x"\nFILE "a.wav" WAVE\n  TRACK 01 AUDIO\n', "playlist"),
    ("ffconcat version 1.0\nfile x.mp4\n", "concat"),
    ("# a comment\nfile '/etc/passwd'\n", "concat"),
    ("%PDF-1.4\nx\n", "pdf"),
    ("{\\rtf1 x}", "office"),
    ("%!PS-Adobe-3.0\n", "postscript"),
    ("#!/bin/sh\nrm -rf /\n", "executable"),
]


def picture(kind: str = "PNG", mode: str = "RGB", size: tuple[int, int] = (32, 24), **options: object) -> bytes:
    """A small picture, written by Pillow."""
    out = io.BytesIO()
    Image.linear_gradient("L").resize(size).convert(mode).save(out, kind, **options)
    return out.getvalue()


@pytest.mark.parametrize(("arguments", "extension", "slug", "kind", "video", "audio"), STREAMS)
def test_streams_are_named_by_content(
    look: Look,
    make: Make,
    workspace: Workspace,
    arguments: str,
    extension: str,
    slug: str,
    kind: str,
    video: str | None,
    audio: str | None,
) -> None:
    """Every container and codec that ffmpeg can write is named right, under its own and under a wrong name.

    And the demuxer that its format names reads it.
    """
    data = make(arguments, extension)
    info = look(data, f"clip.{extension}")
    assert (info.format, info.kind, info.video_codec, info.audio_codec) == (slug, kind, video, audio)
    assert 0.3 < (info.duration_s or 0) < 0.7 or extension == "m2v"
    assert not any(note.startswith("named") for note in info.notes)
    renamed = look(data, "clip.jpg")
    assert renamed.notes[0].startswith("named .jpg, but it is a")
    assert replace(renamed, notes=()) == replace(info, notes=())
    path = workspace.new_path(".bin")
    path.write_bytes(data)
    ffmpeg.run(workspace, ffmpeg.safe_input(path, info.format).output("-", f="null"))


@pytest.mark.parametrize(("writer", "slug", "options"), PICTURES)
def test_pictures_are_named_by_content(look: Look, writer: str, slug: str, options: dict[str, Any]) -> None:
    """Every picture format that Pillow can write is named right, under any name."""
    info = look(picture(writer, **options), "photo.mp4")
    assert (info.format, info.kind, info.width_px, info.height_px) == (slug, Kind.IMAGE, 32, 24)
    assert info.notes[0].startswith("named .mp4, but it is a")


def test_heic_is_told_from_avif(look: Look) -> None:
    """HEIC and AVIF share their boxes; the brands tell them apart, also behind the neutral brand mif1."""
    import pillow_heif

    out = io.BytesIO()
    pillow_heif.from_pillow(Image.new("RGB", (64, 48))).save(out)
    data = out.getvalue()
    assert look(data).format == "heic"
    assert look(data.replace(b"ftypheic", b"ftypmif1", 1)).format == "heic"
    assert look(picture("AVIF").replace(b"ftypavif", b"ftypmif1", 1)).format == "avif"


def test_jpeg_xl_size_is_read_without_a_decoder(look: Look, make: Make) -> None:
    """JPEG XL is known as a naked codestream and in boxes, with its size."""
    data = make("-f lavfi -i testsrc2=size=300x200 -frames:v 1 -c:v libjxl", "jxl")
    start = data if data.startswith(b"\xff\x0a") else data[data.index(b"\xff\x0a") :]
    boxed = b"\0\0\0\x0cJXL \r\n\x87\n" + struct.pack(">I", 8 + len(start)) + b"jxlc" + start
    for form in (start, boxed):
        info = look(form)
        assert (info.format, info.width_px, info.height_px) == ("jxl", 300, 200)


def test_small_and_rare_formats(look: Look) -> None:
    """Formats that neither ffmpeg nor Pillow writes are known by headers made by hand."""
    qcp = (
        b"RIFF"
        + bytes(4)
        + b"QLCMfmt "
        + struct.pack("<I", 150)
        + b"\1\0"
        + bytes.fromhex("416d7f5e15b1d011ba9100805fb4b97e")
    )
    qcp = qcp.ljust(120, b"\0") + struct.pack("<HHHH", 14_000, 35, 160, 8_000) + bytes(22) + b"data" + bytes(3500)
    dng = io.BytesIO()
    Image.new("L", (16, 8)).save(dng, "TIFF", tiffinfo={50706: b"\1\4\0\0"})
    midi = b"MThd" + struct.pack(">IHHH", 6, 0, 1, 96) + b"MTrk" + struct.pack(">I", 12)
    midi += bytes.fromhex("00903c4060803c0000ff2f00")
    for data, slug in (
        (b"#!AMR-WB\n" + (b"\x04" + bytes(17)) * 20, "amr-wb"),
        (b"#!EVRC\n" + (b"\x04" + bytes(22)) * 20, "evrc"),
        (qcp, "qcp"),
        (b"\0\0\x20\x02" + bytes(8), "wbmp"),
        (dng.getvalue(), "dng"),
        (midi, "midi"),
        (
            b"RIFF" + struct.pack("<I", len(midi) + 12) + b"RMIDdata" + struct.pack("<I", len(midi)) + midi,
            "midi",
        ),
        (b"BEGIN:IMELODY\r\nMELODY:c2\r\nEND:IMELODY\r\n", "imelody"),
        (b"\xef\xbb\xbf\r\nBEGIN:EMELODY\r\nMELODY:c\r\nEND:EMELODY\r\n", "emelody"),
        (b"BEGIN:VCARD\r\nFN:A\r\nEND:VCARD\r\n", "vcard"),
        (picture("PNG", "1"), "png"),
        (b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, 5, 7, 8, 3) + bytes(14 + 105), "psd"),
    ):
        assert look(data, "thing").format == slug


def test_a_wbmp_must_have_exactly_its_length(look: Look) -> None:
    """Two zero bytes are weak magic: one byte more or less, and it is no WBMP."""
    with pytest.raises(UnknownType):
        look(b"\0\0\x20\x02" + bytes(9))


@pytest.mark.parametrize(("text", "slug"), TEXTS)
def test_text_formats(look: Look, text: str, slug: str) -> None:
    """Plain text goes; markup, scripts and playlists are refused, also with blanks or a BOM in front."""
    data = text.encode("utf-8")
    if slug == "text":
        assert look(data).kind is Kind.TEXT
        return
    with pytest.raises(TypeNotAllowed, match=r"file\.mp4: named \.mp4, but it is"):
        look(data, "file.mp4")


@pytest.mark.parametrize(
    "data",
    [
        b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n" + bytes(99),
        b"PK\3\4" + bytes(26) + b"[Content_Types].xml",
        b"PK\3\4" + bytes(26) + b"a.txt",
        bytes.fromhex("d0cf11e0a1b11ae1") + bytes(600),
        b"\x1f\x8b\x08" + bytes(range(60)),
        b"7z\xbc\xaf\x27\x1c" + bytes(60),
        b"Rar!\x1a\x07\x01" + bytes(60),
        b"\xfd7zXZ\0" + bytes(60),
        b"name".ljust(257, b"\0") + b"ustar\0" + bytes(250),
        b"\x7fELF" + bytes(60),
        b"MZ".ljust(60, b"\1") + struct.pack("<I", 64) + b"PE\0\0",
        b"\xcf\xfa\xed\xfe" + bytes(60),
        b"\0\1\0\0\0\x0f" + bytes(60),
        b"wOF2" + bytes(60),
    ],
    ids=lambda data: data[:4].hex(),
)
def test_documents_archives_and_programs_are_refused(look: Look, data: bytes) -> None:
    """Documents, archives, programs and fonts: a typed error with advice."""
    with pytest.raises(TypeNotAllowed, match="which no MMS carries; "):
        look(data)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "BMP"])
def test_cut_pictures_are_damaged(look: Look, kind: str) -> None:
    """A picture that ends in the middle says so; wherever it is cut, nothing but our errors comes out."""
    data = picture(kind, size=(64, 64))
    for length in range(1, len(data) - 2, max(1, len(data) // 40)):
        try:
            look(data[:length])
        except (Damaged, UnknownType, Empty):
            continue
        assert kind == "BMP" or length < 12, f"{length} of {len(data)} bytes passed as a {kind}"


@pytest.mark.parametrize("index", [0, 7, 9, 18, 25, 40], ids=lambda index: STREAMS[index][1])
def test_cut_recordings_are_damaged(look: Look, make: Make, index: int) -> None:
    """Containers that say how long they are, and end before, are damaged."""
    data = make(*STREAMS[index][:2])
    with pytest.raises(Damaged, match=r"cut short|missing|type that does not exist|header but no sound"):
        look(data[: len(data) // 2] if STREAMS[index][1] != "amr" else data[:20] + b"\x60" * 200)


@pytest.mark.parametrize("index", range(len(STREAMS)), ids=lambda index: f"{STREAMS[index][1]}-{index}")
def test_a_header_of_which_nothing_follows_is_damaged_and_no_unknown_coding(look: Look, make: Make, index: int) -> None:
    """The first 400 bytes of a file are of a known coding, or an error says that they are damaged."""
    data = make(*STREAMS[index][:2])
    try:
        info = look(data[:400])
    except (Damaged, UnknownType, Empty):
        return
    assert "unknown" not in (info.video_codec, info.audio_codec)


def test_unusable_attachments(look: Look, settings: Settings, workspace: Workspace, tmp_path: Path) -> None:
    """Empty, invisible, unknown, missing and special files each have their error."""
    with pytest.raises(Empty):
        look(b"")
    with pytest.raises(Empty, match="visible"):
        look(b" \r\n\t\r\n")
    with pytest.raises(UnknownType, match="begins with the bytes"):
        look(bytes(range(128, 256)) * 3 + bytes(range(32)) * 9)
    with pytest.raises(NotFound):
        sniff(Attachment(0, "gone", 1, path=tmp_path / "gone"), settings, workspace)
    with pytest.raises(Unreadable, match="regular"):
        sniff(Attachment(0, "folder", 1, path=tmp_path), settings, workspace)


def test_limits_are_checked_from_headers(look: Look, make: Make) -> None:
    """A bomb is refused by what its header says, with the limit and the setting that raises it."""
    bomb = bytearray(picture("PNG"))
    bomb[16:24] = struct.pack(">II", 100_000, 100_000)
    for data, limits, words in (
        (bytes(bomb), {}, "10,000,000,000 pixels.*max_pixels allows 210,000,000.*MMSPREP_MAX_PIXELS"),
        (picture("JPEG"), {"max_image_bytes": 10}, "max_image_bytes"),
        (b"word " * 30, {"max_text_bytes": 100}, "150 bytes of text.*max_text_bytes allows 100"),
        (make(SOUND, "wav"), {"max_duration_s": 0.1}, "max_duration_s allows 0.1"),
    ):
        with pytest.raises(OverInputLimit, match=words):
            look(data, **limits)
    frames = [Image.new("L", (8, 8), shade) for shade in range(0, 200, 10)]
    for kind in ("GIF", "PNG", "WEBP"):
        out = io.BytesIO()
        frames[0].save(out, kind, save_all=True, append_images=frames[1:], duration=40)
        assert look(out.getvalue()).frame_count == 20
        with pytest.raises(OverInputLimit, match="over 10 frames"):
            look(out.getvalue(), max_frames=10)


def test_id3_in_front_of_other_sound(look: Look, make: Make) -> None:
    """What follows an ID3 tag decides, not the tag."""
    tag = b"ID3\4\0\0\0\0\0\x0a" + bytes(10)
    for extension in ("mp3", "aac", "flac", "ac3"):
        arguments = f"{SOUND} -id3v2_version 0" if extension == "mp3" else SOUND
        assert look(tag + make(arguments, extension)).format == extension
    with pytest.raises(UnknownType, match="ID3"):
        look(tag + b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n")
    with pytest.raises(Damaged):
        look(tag)


def test_cover_art_is_no_video(look: Look, make: Make, tmp_path: Path) -> None:
    """A song with a picture is a song."""
    (tmp_path / "cover.png").write_bytes(picture("PNG"))
    attached = f"-i {tmp_path / 'cover.png'} -map 0 -map 1 -c:v copy -disposition:v attached_pic"
    for extension, codec in (("mp3", "libmp3lame"), ("m4a", "aac"), ("flac", "flac")):
        info = look(make(f"{SOUND} {attached} -c:a {codec}", extension))
        assert (info.format, info.kind, "cover" in info.metadata) == (extension, Kind.AUDIO, True)


_SEEDS = [picture(kind) for kind in ("JPEG", "PNG", "GIF", "WEBP", "TIFF", "ICO", "BMP", "AVIF")] + [
    (Path(__file__).parent.parent / "sample_media/formats/mute.mp4").read_bytes(),
    b"RIFF",
]


@examples(60)
@given(seed=st.sampled_from(_SEEDS), cut=st.integers(0, 400), junk=st.binary(max_size=200))
def test_hostile_bytes_end_in_a_fact_or_in_an_error_of_ours(look: Look, seed: bytes, cut: int, junk: bytes) -> None:
    """Whatever follows a known beginning, nothing but MediaInfo or a typed error comes out."""
    try:
        look(seed[:cut] + junk + seed[cut + len(junk) :])
    except MmsprepError as error:
        assert str(error).startswith("file: ")


def test_naming_the_format_alone_agrees_with_the_full_look(sample_media: Path, look: Look) -> None:
    """What a push is stored as is what it would be prepared as: sound in a movie's container is told from a movie."""
    files = sorted(path for path in (sample_media / "formats").iterdir() if path.is_file())
    assert files
    for path in files:
        data = path.read_bytes()
        try:
            full = look(data, path.name).format
        except MmsprepError:
            continue
        named = identify(Attachment(0, "file", len(data), data=data)).slug
        assert named == full, path.name


@pytest.mark.parametrize(
    ("codec", "extension"),
    [
        *(("aac", extension) for extension in ("m4a", "mp4", "mov", "3gp", "mkv")),
        *(("libopus", extension) for extension in ("webm", "mkv", "ogg")),
        ("wmav2", "wma"),
    ],
)
@pytest.mark.parametrize("with_picture", [False, True])
def test_sound_alone_is_named_as_sound_in_every_container_for_clips(
    make: Callable[[str, str], bytes], codec: str, extension: str, with_picture: bool
) -> None:
    coder = {"webm": "libvpx", "wma": "wmv2", "ogg": "libtheora"}.get(extension, "libx264")
    picture = (
        f"-f lavfi -i color=red:size=64x64:rate=5:duration=1 -c:v {coder} -pix_fmt yuv420p" if with_picture else ""
    )
    data = make(f"-f lavfi -i sine=duration=1 {picture} -c:a {codec} -ac 2 -strict -2", extension)
    assert identify(Attachment(0, "file", len(data), data=data)).kind == ("video" if with_picture else "audio")


def test_a_wrong_name_changes_nothing_but_is_told(sample_media: Path, look: Look) -> None:
    """Every sample, renamed .jpg, is what it was; the name is only spoken of."""
    manifest = tomllib.loads((sample_media / "MANIFEST.toml").read_text("utf-8"))
    for entry in manifest["sample"]:
        if "format" in entry:
            info = look((sample_media / entry["path"]).read_bytes(), "renamed.jpg")
            assert info.format == entry["format"], entry["path"]
            told = [note for note in info.notes if note.startswith("named .jpg")]
            assert len(told) == (info.format != "jpeg"), entry["path"]
