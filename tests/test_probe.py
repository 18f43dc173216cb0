"""Facts about pictures, clips and recordings, as sniffing reports them."""

from __future__ import annotations

import io
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageCms

from mmsprep import prepare
from mmsprep.errors import Damaged, OverInputLimit, ToolMissing, TypeNotAllowed
from mmsprep.model import Attachment, Kind, MediaInfo
from mmsprep.tools import isolation
from mmsprep.tools.isolation import isolated
from mmsprep.tools.mediainfo import read_tracks
from mmsprep.tools.vips import load_vips
from mmsprep.tools.workspace import Workspace

Look = Callable[[bytes], MediaInfo]
Make = Callable[..., bytes]

PICTURE = "-f lavfi -i testsrc2=size=320x240:rate=10:duration=0.5"
SOUND = "-f lavfi -i sine=frequency=440:sample_rate=44100:duration=0.5"
H264 = "-c:v libx264 -preset ultrafast -pix_fmt yuv420p"


def picture(kind: str, mode: str = "RGB", size: tuple[int, int] = (40, 24), **options: Any) -> bytes:
    """A small picture, written by Pillow."""
    out = io.BytesIO()
    Image.linear_gradient("L").resize(size).convert(mode).save(out, kind, **options)
    return out.getvalue()


def camera_exif(orientation: int = 1) -> Image.Exif:
    """What a phone writes: orientation, position, its maker's own notes."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif.get_ifd(0x8825)[1] = "N"
    exif.get_ifd(0x8769)[0x927C] = b"secret"
    return exif


@pytest.mark.parametrize("orientation", range(1, 9))
def test_size_is_as_displayed(look: Look, orientation: int) -> None:
    """EXIF orientations 5 to 8 swap the sides, in JPEG, PNG and WebP alike."""
    for kind in ("JPEG", "PNG", "WEBP"):
        info = look(picture(kind, exif=camera_exif(orientation)))
        expected = (24, 40) if orientation > 4 else (40, 24)
        assert (info.width_px, info.height_px, info.orientation) == (*expected, orientation)


def test_private_facts_in_photos_are_named(look: Look) -> None:
    """Position, maker notes, comments, XMP and whatever hangs behind the picture are found."""
    jpeg = picture("JPEG", exif=camera_exif(), comment=b"hello", xmp=b"<x:xmpmeta/>")
    assert set(look(jpeg).metadata) == {"exif", "gps", "makernote", "comment", "xmp"}
    for kind in ("JPEG", "PNG", "WEBP", "GIF"):
        assert look(picture(kind)).metadata == ()
        assert look(picture(kind) + b"more").metadata == ("trailing",)
    assert look(picture("GIF", comment=b"made by me")).metadata == ("comment",)
    assert look(picture("GIF")[:-1]).metadata == ("unterminated",)
    assert "gps" in look(picture("AVIF", exif=camera_exif().tobytes())).metadata


def test_several_pictures_in_one_file(look: Look) -> None:
    """MPO and TIFF hold more pictures than will be sent, and the notes say so."""
    for kind, words in (("MPO", "more than one picture"), ("TIFF", "several pages")):
        first, second = (Image.new("RGB", (16, 16), colour) for colour in ("red", "blue"))
        out = io.BytesIO()
        first.save(out, kind, save_all=True, append_images=[second])
        info = look(out.getvalue())
        assert info.frame_count == 1
        assert any(words in note for note in info.notes)


@pytest.mark.parametrize("depth", ["8 bits", "floating point"])
def test_other_pages_are_told_once(depth: str) -> None:
    """By whoever looked at the file, not again by whoever decodes it; whichever library opens it."""
    pages = load_vips().Image.black(64, 96, bands=3).copy(interpretation="srgb")
    pages = pages if depth == "8 bits" else pages.colourspace("scrgb").copy()
    pages.set_type(load_vips().GValue.gint_type, "page-height", 48)
    message = prepare([("fax.tif", bytes((pages + 200 if depth == "8 bits" else pages + 0.5).tiffsave_buffer()))])
    assert [note for note in message.warnings if "page" in note] == [
        "fax.tif: has several pages; the first one is sent"
    ]


def test_photoshop_of_32_bits_is_named_not_called_damaged(look: Look) -> None:
    head = struct.pack(">4sH6xHIIHH3I", b"8BPS", 1, 3, 4, 4, 32, 3, 0, 0, 0)
    with pytest.raises(TypeNotAllowed, match=r"is Photoshop of a kind that nothing here decodes .*32 bits"):
        look(head + bytes(2 + 3 * 4 * 4 * 4))


def test_a_boxed_picture_larger_than_its_decoder_takes_is_not_called_damaged(look: Look) -> None:
    data = bytearray(picture("AVIF"))
    size_at = data.index(b"ispe") + 8
    data[size_at : size_at + 8] = struct.pack(">II", 17_000, 17_000)
    with pytest.raises(OverInputLimit, match="has 17000 x 17000 pixels"):
        look(bytes(data))


def test_a_place_that_leads_to_no_page_is_none(look: Look) -> None:
    """Old scanners wrote rubbish where the second page's place stands; viewers show the first page."""
    data = bytearray(picture("TIFF"))
    (first,) = struct.unpack_from("<I", data, 4)
    (entries,) = struct.unpack_from("<H", data, first)
    struct.pack_into("<I", data, first + 2 + 12 * entries, 9)
    info = look(bytes(data))
    assert (info.width_px, info.height_px, info.notes) == (40, 24, ())


@pytest.mark.parametrize(
    ("data", "colour", "encoding"),
    [
        (picture("JPEG"), "ycbcr", "baseline"),
        (picture("JPEG", subsampling=0), "ycbcr", "baseline"),
        (picture("JPEG", subsampling=1, progressive=True), "ycbcr", "progressive"),
        (picture("JPEG", "L"), "grey", "baseline"),
        (picture("JPEG", "CMYK"), "cmyk", "baseline"),
        (picture("JPEG", keep_rgb=True), "rgb", "baseline"),
        (picture("JPEG").replace(b"\x03\x01\x22\x00", b"\x03\x01\x41\x00"), "ycbcr-4x1", "baseline"),
        (picture("JPEG").replace(b"\xff\xc0", b"\xff\xc9"), "ycbcr", "arithmetic"),
        (picture("PNG", "LA"), "grey", None),
        (picture("PNG", "P"), "palette", None),
        (picture("TIFF", "CMYK"), "cmyk", None),
    ],
)
def test_colour_and_coding(look: Look, data: bytes, colour: str, encoding: str | None) -> None:
    """Colour model, unusual sampling and the coding process are read from the headers."""
    info = look(data)
    assert (info.colour, info.encoding, info.progressive) == (colour, encoding, encoding == "progressive")


def test_bit_depth_and_alpha(look: Look) -> None:
    """Bits a channel, and transparency of either kind."""
    assert look(picture("PNG", "I;16")).bit_depth == 16
    assert look(picture("PNG", "1")).bit_depth == 1
    assert look(picture("TIFF", "I;16")).bit_depth == 16
    assert look(picture("PNG", "RGBA")).has_alpha
    assert look(picture("PNG", "P", transparency=0)).has_alpha
    for kind in ("WEBP", "GIF"):
        out = io.BytesIO()
        Image.new("RGBA", (16, 16), (1, 2, 3, 0)).save(out, kind)
        assert look(out.getvalue()).has_alpha
    assert not look(picture("PNG")).has_alpha


def test_colour_profiles_are_named(look: Look) -> None:
    """sRGB is said as such under any of its names, another profile by its own, damage as damage."""
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    for kind in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF"):
        assert look(picture(kind)).icc_profile is None
        assert look(picture(kind, icc_profile=srgb)).icc_profile == "srgb"
    assert "Lab" in (look(picture("JPEG", icc_profile=lab)).icc_profile or "")
    assert look(picture("JPEG", icc_profile=b"nonsense")).icc_profile == "unreadable"


def test_animations(look: Look) -> None:
    """Frames and their whole duration."""
    frames = [Image.new("RGB", (16, 16), (shade, 0, 0)) for shade in range(0, 200, 50)]
    for kind in ("GIF", "PNG", "WEBP", "AVIF"):
        out = io.BytesIO()
        frames[0].save(out, kind, save_all=True, append_images=frames[1:], duration=250)
        info = look(out.getvalue())
        assert info.frame_count == 4
        assert info.duration_s == (None if kind == "AVIF" else 1.0)


def test_heic_is_turned_once(look: Look) -> None:
    """libheif turns the picture; the EXIF orientation beside it does not count again."""
    import pillow_heif

    out = io.BytesIO()
    image = Image.new("RGB", (64, 48))
    pillow_heif.from_pillow(image).save(out, exif=camera_exif(6).tobytes())
    info = look(out.getvalue())
    assert info.orientation == 1
    assert {info.width_px, info.height_px} == {64, 48}
    assert {"exif", "gps"} <= set(info.metadata)


def test_clip_facts(look: Look, make: Make) -> None:
    """Size, rate, codec profile, brand, position of the index."""
    data = make(f"{PICTURE} {SOUND} {H264} -profile:v baseline -level 2.1 -c:a aac -ac 2 -brand 3gp5", "3gp")
    info = look(data)
    assert (info.width_px, info.height_px, info.frame_rate_fps, info.frame_count) == (320, 240, 10.0, 5)
    assert (info.video_profile, info.brand, info.moov_first) == ("Constrained Baseline@L2.1", "3gp5", False)
    assert (info.sample_rate_hz, info.channels, info.bit_depth) == (44100, 2, 8)
    assert info.video_rate_kbps
    faststart = make(f"{PICTURE} {H264} -movflags faststart", "mp4")
    assert look(faststart).moov_first is True


def test_clips_as_displayed(look: Look, make: Make, tmp_path: Path) -> None:
    """Rotation flags and odd pixels are part of the size; their values are told."""
    plain = make(f"{PICTURE} {H264}", "mp4")
    assert (look(plain).rotation_deg, look(plain).pixel_aspect) == (0, 1.0)
    (tmp_path / "plain.mp4").write_bytes(plain)
    for turn, shown in ((90, 270), (180, 180), (270, 90)):
        turned = look(make(f"-display_rotation {turn} -i {tmp_path / 'plain.mp4'} -c copy", "mp4"))
        size = (320, 240) if turn == 180 else (240, 320)
        assert (turned.width_px, turned.height_px, turned.rotation_deg) == (*size, shown)
    wide = look(make(f"{PICTURE} {H264} -vf setsar=4/3", "mp4"))
    assert (wide.width_px, wide.height_px, round(wide.pixel_aspect, 3)) == (427, 240, 1.333)


def test_hdr_and_interlaced_clips(look: Look, make: Make) -> None:
    """High dynamic range is told and named; so are half frames."""
    x265 = "-c:v libx265 -preset ultrafast -pix_fmt yuv420p10le -x265-params log-level=none"
    for transfer, name in (("smpte2084", "hdr-pq"), ("arib-std-b67", "hdr-hlg")):
        colours = f"colorprim=bt2020:colormatrix=bt2020nc:transfer={transfer}"
        info = look(make(f"{PICTURE} {x265}:{colours}", "mp4"))
        assert (info.colour, info.bit_depth, info.video_codec) == (name, 10, "hevc")
        assert any("high dynamic range" in note for note in info.notes)
    interlaced = f"{PICTURE} -r 25 -vf setfield=tff -c:v mpeg2video -flags +ilme+ildct"
    assert look(make(interlaced, "ts")).interlaced
    assert not look(make(f"{PICTURE} -r 25 -c:v mpeg2video", "ts")).interlaced


def test_clip_metadata(look: Look, make: Make) -> None:
    """Tags, places, times and further tracks are named; a clean file has none."""
    bare = "-fflags +bitexact -map_metadata -1 -movflags +faststart"
    clean = look(make(f"{PICTURE} {H264} {bare}", "3gp"))
    assert clean.metadata == ()
    tagged = look(
        make(f"{PICTURE} {H264} -metadata creation_time=2026-01-01T00:00:00Z -metadata location=+1+2/", "mov")
    )
    assert set(tagged.metadata) == {"creation_time", "tags", "gps"}
    several = look(make(f"{PICTURE} {SOUND} {SOUND} -map 0 -map 1 -map 2 {H264} -c:a aac", "mp4"))
    assert "extra_tracks" in several.metadata


def test_a_clip_of_one_frame_is_told(look: Look, make: Make) -> None:
    """One frame is a picture in disguise."""
    info = look(make(f"{PICTURE} {H264} -frames:v 1", "mp4"))
    assert (info.kind, info.frame_count) == (Kind.VIDEO, 1)
    assert any("one frame" in note for note in info.notes)


@pytest.mark.parametrize(("how", "suffix"), [("-c:v mpeg4 -c:a libmp3lame", "avi"), (f"{H264} -c:a aac", "ts")])
def test_a_clip_of_one_frame_is_a_picture_whatever_its_header_says_of_frames(make: Make, how: str, suffix: str) -> None:
    """An AVI of one may promise two, and a transport stream promises none; a tenth of a second is no sound."""
    one = "-f lavfi -i testsrc2=size=320x240:rate=10:duration=0.1 -f lavfi -i sine=duration=0.1"
    part = prepare([(f"one.{suffix}", make(f"{one} {how}", suffix))]).parts[0]
    assert part.format in ("jpeg", "gif") and "is a clip of one frame; it is sent as a picture" in part.notes
    several = prepare([(f"two.{suffix}", make(f"{one.replace('0.1', '0.2')} {how}", suffix))]).parts[0]
    assert several.format == "3gp"


def test_chapter_pictures_are_no_video(look: Look, make: Make) -> None:
    """An audio book's chapter pictures do not make it a clip."""
    data = make(f"{PICTURE} {SOUND} -frames:v 1 -c:v mjpeg -c:a aac", "mov")
    assert look(data).kind is Kind.VIDEO
    as_book = data.replace(b"ftypqt  ", b"ftypM4B ", 1)
    assert (look(as_book).kind, look(as_book).format) == (Kind.AUDIO, "m4a")


def test_recordings(look: Look, make: Make) -> None:
    """Rates, channels and what hangs on MP3, WAV and AMR files."""
    mp3 = look(make(f"{SOUND} -b:a 64k -ac 2", "mp3"))
    assert (mp3.audio_rate_kbps, mp3.channels, mp3.metadata) == (64.0, 2, ("id3",))
    bare = make(f"{SOUND} -b:a 64k -id3v2_version 0", "mp3")
    assert look(bare).metadata == ()
    assert look(bare + b"TAG" + bytes(125)).metadata == ("id3",)
    wav = make(f"{SOUND} -fflags +bitexact", "wav")
    assert (look(wav).brand, look(wav).metadata) == ("RIFF", ())
    assert look(wav + b"LIST" + struct.pack("<I", 4) + b"abcd").metadata == ("tags",)
    streamed = wav.replace(b"data" + struct.pack("<I", len(wav) - 44), b"data\xff\xff\xff\xff")
    assert (look(streamed).brand, look(streamed).duration_s) == ("open", 0.5)
    amr = b"#!AMR\n" + (b"\x3c" + bytes(31)) * 10
    assert (look(amr).duration_s, look(amr).metadata) == (0.2, ())
    assert look(amr + b"\x3c\0\0").metadata == ("trailing",)
    with pytest.raises(Damaged, match="does not exist"):
        look(amr + b"\x60" * 40)


def test_a_file_that_makes_mediainfo_loop_is_ended_by_the_clock(make: Make, workspace: Workspace) -> None:
    """A table of four thousand million entries costs the worker its life, and the next file is read again."""
    if not isolation.can_isolate(workspace.settings):
        pytest.skip("without workers nothing ends a library that loops")
    good = make(f"{SOUND} -c:a aac", "m4a")
    bad = bytearray(good)
    at = bad.index(b"elst") + 8
    bad[at : at + 4] = b"\xff\xff\xff\xff"
    with pytest.raises(Damaged, match="reasonable time"):
        isolated(workspace, read_tracks, Attachment(0, "bad", len(bad), data=bytes(bad)), timeout_s=1.5)
    assert len(isolated(workspace, read_tracks, Attachment(0, "good", len(good), data=good))) == 2


def test_a_missing_library_is_said_with_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where MediaInfo does not load, the error says how to get it."""
    monkeypatch.setitem(sys.modules, "pymediainfo", None)
    with pytest.raises(ToolMissing, match="pip install"):
        read_tracks(Attachment(0, "song", 4, data=b"song"))
