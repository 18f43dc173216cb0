"""What is to be sent is exactly what its type, extension and profile say; every departure from it is noticed."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import ffmpeg as graph
import msgspec
import pytest
from PIL import Image

from mmsprep.errors import Damaged, MmsprepError, VerifyError
from mmsprep.formats import FORMATS
from mmsprep.formats.readers import read_sound
from mmsprep.model import Action, Attachment, Part, Played, Rendition, Support
from mmsprep.pipeline import prepare
from mmsprep.pipeline.verify import verify
from mmsprep.profile import AudioStep, Profile, Row, Use, load_profile
from mmsprep.seeing import played
from mmsprep.settings import Settings
from mmsprep.sniff.recognise import look
from mmsprep.tools import ffmpeg
from mmsprep.tools.workspace import Workspace

Make = Callable[[str, str], bytes]
IT = Attachment(0, "it", 1, data=b"x")


def changed(profile: Profile, table: str, **values: object) -> Profile:
    return msgspec.structs.replace(profile, **{table: msgspec.structs.replace(getattr(profile, table), **values)})


def step(name: str, rate_kbps: float, rate_hz: int, channels: int = 1) -> AudioStep:
    return AudioStep(format=name, rate_kbps=rate_kbps, sample_rate_hz=rate_hz, channels=channels)  # type: ignore[arg-type]


def only_part(data: bytes, profile: Profile, limit_bytes: int | None = None) -> Part:
    return prepare([("input", data)], profile=profile, limit_bytes=limit_bytes).parts[0]


def picture(writer: str, size: tuple[int, int] = (320, 240), **options: object) -> bytes:
    out = io.BytesIO()
    image = Image.effect_mandelbrot(size, (-2, -1.2, 1, 1.2), 60)
    image.convert("RGB").save(out, writer, **options)
    return out.getvalue()


@pytest.fixture(scope="module")
def wave(make: Make) -> bytes:
    return make("-f lavfi -i aevalsrc=sin(700*t)*sin(5*t):d=3:s=22050 -c:a pcm_f32le", "wav")


@pytest.mark.parametrize(
    ("rung", "content_type", "extension", "start"),
    [
        (step("mp3", 32, 22_050), "audio/mpeg", ".mp3", b"\xff\xf3"),
        (step("mp3", 96, 44_100, 2), "audio/mpeg", ".mp3", b"\xff\xfb"),
        (step("amr", 12.2, 8_000), "audio/amr", ".amr", b"#!AMR\n\x3c"),
        (step("amr", 4.75, 8_000), "audio/amr", ".amr", b"#!AMR\n\x04"),
        (step("wav", 256, 16_000), "audio/wav", ".wav", b"RIFF"),
        (step("wav-ima", 32, 8_000), "audio/wav", ".wav", b"RIFF"),
    ],
    ids=lambda value: f"{value.format}-{value.rate_kbps:g}" if isinstance(value, AudioStep) else "",
)
def test_a_recording_is_exactly_its_rung(
    profile: Profile, wave: bytes, rung: AudioStep, content_type: str, extension: str, start: bytes
) -> None:
    """Type, extension, header, sampling rate and channels; an AMR has frames of its mode alone."""
    part = only_part(wave, changed(profile, "audio", ladder=(rung,), floor_quality=0))
    assert (part.content_type, part.name[-4:]) == (content_type, extension)
    assert part.data.startswith(start)
    sound = read_sound(part.data, FORMATS["wav"].slug if extension == ".wav" else extension[1:])
    assert (sound.format, sound.sample_rate_hz) == (rung.format, rung.sample_rate_hz)
    assert sound.duration_s == pytest.approx(3, abs=0.3)
    if rung.format == "amr":
        assert sound.rates_kbps == {rung.rate_kbps}
    if rung.format == "wav":
        codec, channels, rate_hz, rate, block, bits = struct.unpack_from("<HHIIHH", part.data, 20)
        assert (codec, channels, rate_hz, rate, block, bits) == (1, 1, 16_000, 32_000, 2, 16)
        assert part.data[36:40] == b"data" and len(part.data) == 44 + struct.unpack_from("<I", part.data, 40)[0]


def test_a_wbmp_where_nothing_else_goes(profile: Profile) -> None:
    """Type 0, the pixels of the picture, as large as the bytes allow."""
    only = changed(profile, "image", targets=("wbmp",))
    whole = only_part(picture("PNG"), only)
    assert (whole.content_type, whole.name[-5:]) == ("image/vnd.wap.wbmp", ".wbmp")
    assert whole.data.startswith(b"\0\0\x82\x40\x81\x70") and len(whole.data) == 6 + 40 * 240
    small = only_part(picture("PNG"), only, limit_bytes=5_000)
    assert (small.width_px or 0) < 320 and small.size_bytes < 5_000


@pytest.mark.parametrize("writer", ["PNG", "JPEG"])
def test_a_gif_where_no_jpeg_goes(profile: Profile, writer: str) -> None:
    """A photo too, with fewer pixels and colours the fewer bytes there are."""
    rows = tuple(row for row in profile.table if "jpeg" not in row.formats)
    only = msgspec.structs.replace(changed(profile, "image", targets=("gif",)), table=rows)
    large, small = only_part(picture(writer), only), only_part(picture(writer), only, limit_bytes=8_500)
    for part in (large, small):
        assert (part.content_type, part.name[-4:], part.data[:3]) == ("image/gif", ".gif", b"GIF")
    assert large.width_px == 320 and small.size_bytes < 8_500 < large.size_bytes
    assert large.quality > small.quality > 25


CLIP = "-f lavfi -i testsrc=s=320x240:r=15:d=1 -f lavfi -i sine=d=1 -c:v libx264 -c:a aac"


@pytest.mark.parametrize(
    ("name", "rules", "brands", "codec"),
    [
        ("smsglobal", {}, (b"3gp6", b"isom"), b"avc1"),
        ("legacy-gsm", {}, (b"3gp4", b"isom"), b"s263"),
        ("smsglobal", {"format": "mp4", "brand": "mp42"}, (b"mp42", b"iso2"), b"avc1"),
        (
            "smsglobal",
            {"format": "mp4", "brand": "mp42", "codec": "mpeg4", "codec_profile": "simple", "codec_level": "3"},
            (b"mp42", b"iso2"),
            b"mp4v",
        ),
        (
            "smsglobal",
            {"brand": "3gp6", "codec": "mpeg4", "codec_profile": "simple", "codec_level": "3"},
            (b"3gp6", b"isom"),
            b"mp4v",
        ),
    ],
    ids=["3gp-h264", "3gp-h263", "mp4-h264", "mp4-mpeg4", "3gp-mpeg4"],
)
def test_a_clip_is_exactly_what_the_profile_says(
    make: Make, name: str, rules: dict[str, object], brands: tuple[bytes, bytes], codec: bytes
) -> None:
    """The brand first and among the compatible ones, the index before the media, the codec's own entry."""
    profile = changed(load_profile(name), "video", **rules, floor_quality=0)
    if profile.video is not None and profile.video.format == "mp4":
        aac = tuple(rung for rung in profile.video.audio_ladder if rung.format == "aac")
        profile = changed(profile, "video", audio_ladder=aac)
    assert profile.video is not None
    part = only_part(make(CLIP, "mkv"), profile)
    assert part.name.endswith(f".{profile.video.format}")
    row = profile.row_of(profile.video.format)
    assert row is not None and part.content_type == row.content_type
    assert part.data[4:12] == b"ftyp" + brands[0] and brands[1] in part.data[:48]
    assert part.data.index(b"moov") < part.data.index(b"mdat")
    if codec == b"mp4v":
        # Visual object sequence start code, then profile and level: Simple, level 3.
        assert b"\0\0\1\xb0\3" in part.data
    assert b"stsd" in part.data[: part.data.index(codec, 48)] and b"Lavf" not in part.data


def rendition(data: bytes, format_slug: str, *, action: Action = Action.TRANSCODE, **values: object) -> Rendition:
    entry = FORMATS[format_slug]
    made = Rendition(data=data, format=entry.slug, content_type=entry.content_type, action=action, quality=50)
    return replace(made, **values)  # type: ignore[arg-type]


def fault(made: Rendition, profile: Profile, workspace: Workspace) -> str:
    with pytest.raises(MmsprepError) as caught:
        verify(IT, made, profile, workspace)
    assert isinstance(caught.value, VerifyError if made.action is Action.TRANSCODE else Damaged)
    return str(caught.value)


def test_pictures_that_are_not_quite_right_are_noticed(profile: Profile, workspace: Workspace) -> None:
    size: dict[str, Any] = {"width_px": 320, "height_px": 240}
    good = picture("JPEG")
    verify(IT, rendition(good, "jpeg", **size), profile, workspace)
    for data, words in (
        (picture("JPEG", progressive=True), "coding: progressive, expected baseline"),
        (picture("JPEG", comment=b"x"), "metadata"),
        (good + b"more", "trailing"),
        (good[:-200], "does not decode"),
        (picture("JPEG", size=(310, 240)), "310x240"),
        (picture("PNG"), "does not decode"),
    ):
        assert words in fault(rendition(data, "jpeg", **size), profile, workspace)
    gif = picture("GIF")
    verify(IT, rendition(gif, "gif", **size), profile, workspace)
    assert "trailing" in fault(rendition(gif + b"more", "gif", **size), profile, workspace)
    assert "metadata" in fault(rendition(picture("GIF", comment=b"x"), "gif", **size), profile, workspace)
    assert "no known type" in fault(rendition(b"\0\0\x08\x08" + bytes(9), "wbmp", **size), profile, workspace)


def test_sounds_that_are_not_quite_right_are_noticed(profile: Profile, workspace: Workspace, make: Make) -> None:
    """A tag, a byte too many, a wrong length, a rate that is no rung: all of them, in every format."""
    bare = "-f lavfi -i sine=d=1:r=22050 -map_metadata -1 -fflags +bitexact -flags:a +bitexact"
    mp3 = make(f"{bare} -b:a 32k -write_xing 0 -id3v2_version 0", "mp3")
    amr = make(f"{bare} -ar 8000 -c:a libopencore_amrnb -b:a 12.2k", "amr")
    wav = make(f"{bare} -ar 16000", "wav")
    good = changed(
        profile, "audio", ladder=(step("mp3", 32, 22_050), step("amr", 12.2, 8_000), step("wav", 256, 16_000))
    )
    for data, slug in ((mp3, "mp3"), (amr, "amr"), (wav, "wav")):
        verify(IT, rendition(data, slug, duration_s=1.0), good, workspace)
    for data, slug, words in (
        (mp3 + b"TAG".ljust(128, b"\0"), "mp3", "no whole frame"),
        (mp3[:-10], "mp3", "no whole frame"),
        (make(f"{bare} -b:a 32k -ar 11025 -write_xing 0 -id3v2_version 0", "mp3"), "mp3", "not MPEG-1 or MPEG-2"),
        (make(f"{bare} -b:a 32k -ar 24000 -write_xing 0 -id3v2_version 0", "mp3"), "mp3", "no rung"),
        (amr + b"\x3c", "amr", "no whole frame"),
        (amr + b"\x48", "amr", "no whole frame"),
        (make(f"{bare} -ar 8000 -c:a libopencore_amrnb -b:a 4.75k", "amr"), "amr", "no rung"),
        (wav + b"\0\0", "wav", "true length"),
        (wav[:22] + b"\2" + wav[23:], "wav", "contradicts itself"),
        (make(f"{bare} -ar 8000", "wav"), "wav", "no rung"),
        (make(f"{bare} -ar 16000 -c:a pcm_f32le", "wav"), "wav", "expected PCM"),
        (wav, "mp3", "no whole frame"),
    ):
        assert words in fault(rendition(data, slug, duration_s=1.0), good, workspace)
    assert "decodes for" in fault(rendition(wav, "wav", duration_s=4.0), good, workspace)


def test_clips_that_are_not_quite_right_are_noticed(profile: Profile, workspace: Workspace, make: Make) -> None:
    bare = "-map_metadata -1 -fflags +bitexact -flags:v +bitexact -pix_fmt yuv420p"
    source = f"-f lavfi -i testsrc=s=176x144:r=10:d=1 {bare}"
    loud = f"-f lavfi -i testsrc=s=176x144:r=10:d=1 -f lavfi -i sine=d=1 {bare}"
    x264 = "-c:v libx264 -profile:v baseline -level:v 1.3 -bsf:v filter_units=remove_types=6"
    front = "-brand 3gp6 -movflags +faststart"
    size: dict[str, Any] = {"width_px": 176, "height_px": 144, "duration_s": 1.0}
    verify(IT, rendition(make(f"{source} {x264} {front}", "3gp"), "3gp", **size), profile, workspace)
    for arguments, words in (
        (f"{source} {x264} -brand 3gp5 -movflags +faststart", "brand 3gp5, expected 3gp6"),
        (f"{source} {x264} -brand 3gp6", "index behind the media"),
        (f"{source} -c:v libx264 -profile:v main -coder 1 {front}", "codec profile: main, expected baseline"),
        (f"{source} -c:v libx264 -profile:v baseline -level:v 4.0 {front}", "codec level: 4, expected up to 3.0"),
        (f"{source} -c:v mpeg4 {front}", "codec: mpeg4, expected h264"),
        (f"{source} {x264} -vf scale=160:144,setsar=1 {front}", "160x144 px, expected 176x144"),
        (f"{loud} {x264} -c:a aac -ar 48000 {front}", "aac, 48000 Hz"),
        (f"-f lavfi -i testsrc=s=176x144:r=50:d=1 {bare} {x264} {front}", "frame rate: 50 fps"),
    ):
        assert words in fault(rendition(make(arguments, "3gp"), "3gp", **size), profile, workspace)


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What is decoded to its end from now on by a check, which loads that when it has to."""
    started: list[object] = []
    to_its_end = played.to_its_end

    def told(source: object, frames: Path | None) -> list[object]:
        started.append(source)
        return to_its_end(source, frames)

    monkeypatch.setattr(played, "to_its_end", told)
    return started


def test_a_clip_that_was_decoded_to_its_end_while_it_was_looked_at_is_not_decoded_again(
    make: Make, runs: list[object]
) -> None:
    (part,) = prepare([("clip.mkv", make(CLIP, "mkv"))]).parts
    assert part.action is Action.TRANSCODE and part.duration_s == pytest.approx(1, abs=0.1)
    assert not runs


@pytest.mark.parametrize(
    "name, seconds", [("song.mp3", 4.0), ("cover.m4a", 3.0), ("legacy.3gp", 2.0), ("variable-rate.mkv", 2.37)]
)
def test_how_long_a_file_plays_is_that_of_its_longest_stream_whatever_outputs_stand_beside(
    sample_media: Path, workspace: Workspace, name: str, seconds: float
) -> None:
    """A cover is over at once, and so is an output of one frame."""
    path = sample_media / "formats" / name
    source = ffmpeg.safe_input(path, look(Attachment(0, name, path.stat().st_size, path=path), Settings()).format)
    beside = source.video.output("pipe:1", f="null", vframes=1)
    done = ffmpeg.run(workspace, graph.merge_outputs(beside, *played.to_its_end(source, None)))
    told = played.played(path.read_bytes(), done, None, workspace)
    assert told.duration_s == pytest.approx(seconds, abs=0.1)
    assert told.contrast is None


def test_what_is_known_of_other_bytes_is_not_believed(
    profile: Profile, workspace: Workspace, make: Make, runs: list[object]
) -> None:
    bare = "-map_metadata -1 -fflags +bitexact -flags:v +bitexact -pix_fmt yuv420p"
    x264 = "-c:v libx264 -profile:v baseline -level:v 1.3 -bsf:v filter_units=remove_types=6 -g 5"
    good = make(f"-f lavfi -i testsrc=s=176x144:r=10:d=1 {bare} {x264} -brand 3gp6 -movflags +faststart", "3gp")
    size: dict[str, Any] = {"width_px": 176, "height_px": 144, "duration_s": 1.0, "contrast": 50.0}
    known = Played(good, 1.0, 50.0, "")
    verify(IT, rendition(good, "3gp", played=known, **size), profile, workspace)
    assert not runs
    middle = len(good) * 2 // 3
    damaged = good[:middle] + bytes(400) + good[middle + 400 :]
    assert "does not decode" in fault(rendition(damaged, "3gp", played=known, **size), profile, workspace)
    assert len(runs) == 1
    for wrong, words in (
        (replace(known, duration_s=0.4), "decodes for 0.4 s, expected 1.0 s"),
        (replace(known, complaint="no frame"), "does not decode cleanly: no frame"),
        (replace(known, contrast=0.0), "is nothing but one colour"),
    ):
        assert words in fault(rendition(good, "3gp", played=wrong, **size), profile, workspace)


def test_a_clip_that_is_repackaged_is_still_what_it_was(sample_media: Path) -> None:
    """H.263 has pixels of 12:11 by its standard; a container that says so makes another picture of it."""
    part = only_part((sample_media / "formats" / "legacy.3gp").read_bytes(), load_profile("video-basic"))
    assert (part.action, part.width_px, part.height_px) == (Action.REWRAP, 176, 144)
    assert look(Attachment(0, "it", part.size_bytes, data=part.data), Settings()).pixel_aspect == 1.0


@pytest.mark.parametrize("name", ["song.mp3", "ready.3gp"])
def test_what_goes_as_it_is_and_does_not_decode_cleanly_says_so(sample_media: Path, name: str) -> None:
    whole = prepare([sample_media / "formats" / name], limit_bytes=290_000).parts[0]
    data = bytearray(whole.data)
    middle = data.index(b"\xff\xfb", len(data) // 2) + 4 if name.endswith("mp3") else len(data) // 2
    data[middle : middle + 40] = b"\xff" * 40
    part = only_part(bytes(data), load_profile("smsglobal"))
    told = "slightly damaged, sent as it is (part of its data makes no sense)"
    assert part.action != "transcode" and told in part.notes and told not in whole.notes


def test_amr_whose_maker_left_silent_frames_out_is_not_damaged(sample_media: Path) -> None:
    """Frames without data are in their place (3GPP TS 26.101, frame type 15)."""
    magic, frames = (
        b"#!AMR\n",
        only_part((sample_media / "formats" / "note.amr").read_bytes(), load_profile("smsglobal")),
    )
    sound = frames.data.removeprefix(magic)
    kept = [sound[at : at + 32] if at % 160 else b"\x7c" for at in range(0, len(sound), 32)]
    part = only_part(magic + b"".join(kept), load_profile("smsglobal"))
    assert part.action == "keep" and part.notes == ()


def test_texts_and_melodies_that_are_not_quite_right_are_noticed(profile: Profile, workspace: Workspace) -> None:
    verify(IT, rendition(b"one\r\ntwo", "text"), profile, workspace)
    for data, slug, action, words in (
        (b"one\ntwo", "text", Action.TRANSCODE, "line ends"),
        (b"a\x07b", "text", Action.TRANSCODE, "control characters"),
        (b"\xef\xbb\xbfa", "text", Action.KEEP, "without BOM"),
        (b"\xe4", "text", Action.KEEP, "not UTF-8"),
        (b"BEGIN:IMELODY\r\nMELODY:x2\r\nEND:IMELODY\r\n", "imelody", Action.KEEP, "line 2, column 8"),
        (b"<html><p>one", "text", Action.TRANSCODE, "is an HTML page"),
        (b"MThd", "midi", Action.KEEP, "reads as text, expected MIDI"),
    ):
        assert words in fault(rendition(data, slug, action=action), profile, workspace)


@pytest.mark.parametrize(("coding", "action"), [("plain", Action.KEEP), ("rle", Action.TRANSCODE)])
def test_a_bitmap_is_kept_where_the_table_says_so_unless_it_is_compressed(
    profile: Profile, coding: str, action: Action
) -> None:
    row = Row(row="BMP", formats=("bmp",), content_type="image/bmp", support=Support.GOOD, use=Use.KEEP)
    keeps = msgspec.structs.replace(profile, table=(row, *(row for row in profile.table if "bmp" not in row.formats)))
    data = picture("BMP")
    if coding == "rle":
        palette = b"".join(bytes((level, level, level, 0)) for level in range(256))
        header = struct.pack("<2sIHHIIiiHHIIiiII", b"BM", 0, 0, 0, 1078, 40, 4, 2, 1, 8, 1, 8, 0, 0, 256, 0)
        data = header + palette + b"\4\x10\0\0" + b"\4\x20\0\1"
    part = only_part(data, keeps)
    assert (part.action, part.content_type) == (action, "image/bmp" if action is Action.KEEP else part.content_type)


def test_a_vcard_goes_where_the_table_has_a_row_for_it(profile: Profile) -> None:
    row = Row(row="vCard", formats=("vcard",), content_type="text/x-vcard", support=Support.GOOD, use=Use.KEEP)
    card = b"BEGIN:VCARD\r\nVERSION:2.1\r\nN:Lake;Jo\r\nEND:VCARD\r\n"
    part = only_part(card, msgspec.structs.replace(profile, table=(*profile.table, row)))
    assert (part.data, part.content_type, part.name[-4:]) == (card, "text/x-vcard", ".vcf")
