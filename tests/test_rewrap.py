"""Metadata goes, media data stays as it was."""

from __future__ import annotations

import io
import random
import tracemalloc
import wave
from dataclasses import replace
from pathlib import Path

import ffmpeg as graph
import mido
import pytest
from grain import grain
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from pymediainfo import MediaInfo as Facts

from mmsprep import prepare
from mmsprep.errors import Damaged
from mmsprep.formats import FORMATS
from mmsprep.formats.mp3 import mpeg_audio_frame
from mmsprep.model import Action, Attachment, Kind, MediaInfo, Plan, Support
from mmsprep.pipeline.classify import classify
from mmsprep.pipeline.rewrap import rewrap
from mmsprep.profile import Profile
from mmsprep.settings import Settings
from mmsprep.sniff import sniff
from mmsprep.tools import ffmpeg
from mmsprep.tools.untrusted import content_of
from mmsprep.tools.workspace import Workspace

_HARMLESS_JPEG_INFO = {
    *("jfif", "jfif_version", "jfif_unit", "jfif_density", "dpi"),
    *("adobe", "adobe_transform"),
}
_PLENTY = 1_000_000_000
_PLAN = Plan(action=Action.REWRAP, target="", support=Support.GOOD, row=None)


def _rewrap(data: bytes, format_slug: str, workspace: Workspace) -> bytes:
    stripped = _rewrapped(data, format_slug, workspace)
    assert stripped is not None
    return stripped


def _rewrapped(data: bytes, format_slug: str, workspace: Workspace) -> bytes | None:
    info = MediaInfo(format=format_slug, kind=Kind.IMAGE, content_type="", size_bytes=len(data))
    return rewrap(Attachment(0, "sample", len(data), data=data), info, _PLAN, workspace, _PLENTY)


def _jpeg(**options: object) -> bytes:
    picture = Image.linear_gradient("L").resize((160, 120)).convert("RGB")
    ImageDraw.Draw(picture).ellipse((20, 20, 100, 90), fill=(200, 30, 30))
    out = io.BytesIO()
    picture.save(out, "JPEG", **options)
    return out.getvalue()


def _exif() -> Image.Exif:
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    exif.get_ifd(0x8825)[1] = "N"
    return exif


@pytest.mark.parametrize(
    "options",
    [
        {"exif": _exif(), "comment": b"secret"},
        {"restart_marker_blocks": 3, "exif": _exif()},
        {"subsampling": 0, "optimize": True, "exif": _exif()},
    ],
)
def test_a_jpeg_keeps_its_pixels_and_loses_everything_else(options: dict[str, object], workspace: Workspace) -> None:
    data = _jpeg(**options) + b"\x00trailing video"
    stripped = _rewrap(data, "jpeg", workspace)
    before, after = Image.open(io.BytesIO(data)), Image.open(io.BytesIO(stripped))
    assert before.tobytes() == after.tobytes()
    assert not after.getexif()
    assert set(after.info) <= _HARMLESS_JPEG_INFO
    assert b"Maker" not in stripped and b"secret" not in stripped
    assert stripped.endswith(b"\xff\xd9")


def test_a_jpeg_with_several_scans_keeps_them_all(workspace: Workspace) -> None:
    data = _jpeg(progressive=True, exif=_exif())
    stripped = _rewrap(data, "jpeg", workspace)
    assert Image.open(io.BytesIO(data)).tobytes() == Image.open(io.BytesIO(stripped)).tobytes()


def test_a_gif_keeps_frames_times_and_loop_and_loses_its_comment(workspace: Workspace) -> None:
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "green", "blue")]
    out = io.BytesIO()
    frames[0].save(
        out, "GIF", save_all=True, append_images=frames[1:], duration=[50, 70, 90], loop=3, comment=b"secret"
    )
    stripped = _rewrap(out.getvalue() + b"trailing", "gif", workspace)
    assert b"secret" not in stripped and b"trailing" not in stripped
    before, after = Image.open(out), Image.open(io.BytesIO(stripped))
    assert after.info["loop"] == 3
    assert after.n_frames == before.n_frames == 3  # type: ignore[attr-defined]
    for frame in range(3):
        before.seek(frame)
        after.seek(frame)
        assert before.tobytes() == after.tobytes()
        assert before.info["duration"] == after.info["duration"]


def _tone(workspace: Workspace, suffix: str, **options: object) -> bytes:
    path = workspace.new_path(suffix)
    tone = graph.input("sine=frequency=440:duration=2", f="lavfi")
    ffmpeg.run(workspace, tone.output(str(path), **options))
    return path.read_bytes()


def _samples(data: bytes, format_slug: str, workspace: Workspace) -> bytes:
    path = workspace.new_path(".bin")
    path.write_bytes(data)
    source = ffmpeg.safe_input(path, format_slug)
    return ffmpeg.run(workspace, source.output("pipe:1", f="s16le")).stdout


@pytest.mark.parametrize("options", [{"audio_bitrate": "64k"}, {"q:a": 4}], ids=["constant", "variable"])
def test_an_mp3_keeps_its_samples_and_loses_every_tag(options: dict[str, object], workspace: Workspace) -> None:
    data = _tone(workspace, ".mp3", metadata="title=secret", write_id3v1=1, **options)
    data = data[:-128] + b"APETAGEX" + bytes(24) + data[-128:]
    stripped = _rewrap(data, "mp3", workspace)
    assert b"secret" not in stripped and b"APETAGEX" not in stripped and b"TAG" not in stripped[-128:]
    assert b"Lav" not in stripped and b"LAME3" not in stripped
    first = mpeg_audio_frame(stripped[:8])
    assert first is not None
    assert stripped[first.length_bytes :] in data
    assert _samples(stripped, "mp3", workspace) == _samples(data, "mp3", workspace)


def test_a_wav_keeps_its_samples_and_loses_its_other_chunks(workspace: Workspace) -> None:
    data = _tone(workspace, ".wav", metadata="title=secret")
    stripped = _rewrap(data, "wav", workspace)
    assert b"secret" not in stripped and b"LIST" not in stripped
    with wave.open(io.BytesIO(data)) as before, wave.open(io.BytesIO(stripped)) as after:
        assert before.getparams() == after.getparams()
        assert before.readframes(-1) == after.readframes(-1)


def test_an_amr_loses_a_frame_that_is_cut_off(workspace: Workspace) -> None:
    data = _tone(workspace, ".amr", ar=8000, ac=1)
    assert _rewrap(data[:-5], "amr", workspace) == data[:-32]


def test_a_melody_is_unpacked_from_its_riff_file(workspace: Workspace) -> None:
    song = mido.MidiFile(type=0)
    song.tracks.append(mido.MidiTrack([mido.Message("note_on", note=60, time=10)]))
    out = io.BytesIO()
    song.save(file=out)
    body = b"RMIDdata" + len(out.getvalue()).to_bytes(4, "little") + out.getvalue()
    packed = b"RIFF" + len(body).to_bytes(4, "little") + body
    assert _rewrap(packed, "midi", workspace) == out.getvalue()
    assert _rewrap(out.getvalue() + b"trailing", "midi", workspace) == out.getvalue()


def test_a_clip_keeps_its_frames_and_loses_its_tags(workspace: Workspace, settings: Settings, profile: Profile) -> None:
    path = workspace.new_path(".3gp")
    picture = graph.input("testsrc=size=176x144:rate=10:duration=2", f="lavfi")
    sound = graph.input("sine=duration=2:sample_rate=16000", f="lavfi")
    options = {
        "vcodec": "libx264",
        "profile:v": "baseline",
        "pix_fmt": "yuv420p",
        "acodec": "aac",
        "flags:a": "+bitexact",
    }
    meta = {"metadata": ["title=secret", "creation_time=2024-01-01T00:00:00Z", "location=+48.1+11.5/"]}
    ffmpeg.run(workspace, graph.output(picture, sound, str(path), brand="3gp5", **options, **meta))
    attachment = Attachment(0, "clip.3gp", path.stat().st_size, path=path)
    info = sniff(attachment, settings, workspace)
    assert info.format == "3gp"
    assert classify("clip.3gp", info, profile).action is Action.REWRAP
    stripped = rewrap(attachment, info, _PLAN, workspace, _PLENTY)
    assert stripped is not None
    assert b"secret" not in stripped and b"x264" not in stripped and b"Lav" not in stripped
    assert stripped.find(b"moov") < stripped.find(b"mdat")
    after = workspace.new_path(".3gp")
    after.write_bytes(stripped)
    general = Facts.parse(str(after)).general_tracks[0]
    assert general.encoded_date is None and general.title is None
    frames = [
        ffmpeg.run(workspace, ffmpeg.safe_input(file, "3gp").output("pipe:1", f="framemd5")).stdout
        for file in (path, after)
    ]
    hashes = [[line.split(b",")[-1] for line in one.splitlines() if line[:1] == b"0"] for one in frames]
    assert hashes[0] == hashes[1]


@pytest.mark.parametrize(
    "name",
    [
        *("photo.jpg", "progressive.jpg", "grey.jpg", "restarts.jpg", "two-pictures.jpg", "motion-photo.jpg"),
        *("cmyk-adobe.jpg", "ycck-adobe.jpg", "cmyk-plain.jpg", "rgb-adobe.jpg", "adobe-rgb.jpg"),
    ],
)
def test_every_kind_of_jpeg_keeps_its_pixels_and_no_segment_that_a_decoder_does_not_need(
    name: str, sample_media: Path, workspace: Workspace
) -> None:
    data = (sample_media / "formats" / name).read_bytes()
    stripped = _rewrap(data, "jpeg", workspace)
    with Image.open(io.BytesIO(data)) as before, Image.open(io.BytesIO(stripped)) as after:
        assert before.mode == after.mode
        assert before.tobytes() == after.tobytes()
        assert not after.getexif()
        assert set(after.info) <= _HARMLESS_JPEG_INFO | {"progressive", "progression"}
        assert getattr(after, "n_frames", 1) == 1
    assert _rewrap(stripped, "jpeg", workspace) == stripped


def test_a_jpeg_with_both_colour_markers_keeps_both(workspace: Workspace) -> None:
    """Decoders believe JFIF (YCbCr) before Adobe's transform (here: RGB); without it the colours would turn."""
    data = _jpeg(quality=80)
    adobe = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00"
    both = data[:20] + adobe + data[20:]
    stripped = _rewrap(both, "jpeg", workspace)
    assert adobe in stripped and b"JFIF" in stripped
    assert Image.open(io.BytesIO(stripped)).tobytes() == Image.open(io.BytesIO(data)).tobytes()


def test_a_jpeg_whose_components_are_named_rgb_gets_no_header_that_says_ycbcr(workspace: Workspace) -> None:
    data = _jpeg(keep_rgb=True)
    bare = data.replace(_adobe_segment(data), b"")
    stripped = _rewrap(bare, "jpeg", workspace)
    assert b"JFIF" not in stripped
    assert Image.open(io.BytesIO(stripped)).tobytes() == Image.open(io.BytesIO(data)).tobytes()


def _adobe_segment(data: bytes) -> bytes:
    start = data.index(b"\xff\xee")
    return data[start : start + 2 + int.from_bytes(data[start + 2 : start + 4], "big")]


@pytest.mark.parametrize("name", ["animated.gif", "sprite.gif", "still.gif"])
def test_every_kind_of_gif_keeps_its_frames(name: str, sample_media: Path, workspace: Workspace) -> None:
    data = (sample_media / "formats" / name).read_bytes()
    stripped = _rewrap(data, "gif", workspace)
    with Image.open(io.BytesIO(data)) as before, Image.open(io.BytesIO(stripped)) as after:
        assert getattr(before, "n_frames", 1) == getattr(after, "n_frames", 1)
        assert before.info.get("loop") == after.info.get("loop")
        for frame in range(getattr(before, "n_frames", 1)):
            before.seek(frame)
            after.seek(frame)
            assert before.convert("RGBA").tobytes() == after.convert("RGBA").tobytes()
            assert before.info.get("duration") == after.info.get("duration")
            assert not after.info.get("comment")


def test_a_gif_loses_its_plain_text_together_with_the_control_before_it(workspace: Workspace) -> None:
    picture = _SEEDS["gif"]
    control = b"!\xf9\x04\x0c\x99\x00\x00\x00"
    text = b"!\x01\x0c" + bytes(12) + b"\x06secret\x00"
    application = b"!\xff\x0bXMP DataXMP\x06secret\x00"
    assert _rewrap(picture[:19] + control + text + application + picture[19:], "gif", workspace) == picture


def test_a_gif_keeps_only_the_count_of_its_loop_extension(workspace: Workspace) -> None:
    picture = _SEEDS["gif"]
    loop = b"!\xff\x0bNETSCAPE2.0\x03\x01\x05\x00"
    told = _rewrap(picture[:19] + loop + b"\x06secret\x00" + picture[19:], "gif", workspace)
    assert told == picture[:19] + loop + b"\x00" + picture[19:]


@pytest.mark.parametrize("name", ["song.mp3", "tags-everywhere.mp3"])
def test_an_mp3_loses_cover_lyrics_and_every_kind_of_tag(name: str, sample_media: Path, workspace: Workspace) -> None:
    data = (sample_media / "formats" / name).read_bytes()
    stripped = _rewrap(data, "mp3", workspace)
    assert _samples(data, "mp3", workspace) == _samples(stripped, "mp3", workspace)
    for trace in (b"private", b"ID3", b"APETAGEX", b"LYRICS", b"JFIF", b"Lakeside"):
        assert trace not in stripped
    facts = _facts(stripped, workspace, ".mp3")
    assert facts.keys().isdisjoint({"title", "track_name", "performer", "comment", "cover", "cover_type"})
    assert facts.get("writing_library", "LAME").strip("\0 ") == "LAME"


def test_an_mp3_keeps_the_frames_behind_a_tag_in_its_middle(sample_media: Path, workspace: Workspace) -> None:
    data = (sample_media / "formats" / "song.mp3").read_bytes()
    clean = _rewrap(data, "mp3", workspace)
    header_frame = mpeg_audio_frame(clean[:4])
    assert header_frame is not None
    sound = clean[header_frame.length_bytes :]
    # The header frame counts the frames of the first part alone; both parts go without theirs.
    assert _rewrap(clean + data, "mp3", workspace) == sound + sound


def test_the_checksum_of_an_mp3_header_is_true_again(sample_media: Path, workspace: Workspace) -> None:
    """The tag's last two bytes are the CRC-16/ARC of what precedes them: with them the remainder is nought."""
    data = (sample_media / "formats" / "song.mp3").read_bytes()
    stripped = _rewrap(data, "mp3", workspace)
    end = stripped.index(b"LAME\x00") + 36
    crc = 0
    for byte in stripped[: end - 2]:
        bits = int(f"{byte:08b}"[::-1], 2)
        crc ^= bits << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x8005 if crc & 0x8000 else crc << 1) & 0xFFFF
    assert int(f"{crc:016b}"[::-1], 2) == int.from_bytes(stripped[end - 2 : end], "big")


def test_a_recorders_wav_keeps_format_and_samples_alone(sample_media: Path, workspace: Workspace) -> None:
    data = (sample_media / "formats" / "noted.wav").read_bytes()
    stripped = _rewrap(data, "wav", workspace)
    assert b"private" not in stripped
    assert int.from_bytes(stripped[4:8], "little") == len(stripped) - 8
    with wave.open(io.BytesIO(stripped)) as after:
        assert after.getnframes() * 2 == len(stripped) - 44
    assert _samples(data, "wav", workspace) == _samples(stripped, "wav", workspace)


@pytest.mark.parametrize("name", ["ima-adpcm.wav", "mu-law.wav", "float.wav", "pcm-24bit.wav"])
def test_a_wav_of_another_coding_keeps_its_samples(name: str, sample_media: Path, workspace: Workspace) -> None:
    data = (sample_media / "formats" / name).read_bytes()
    strip = FORMATS["wav"].strip
    assert strip is not None
    with content_of(Attachment(0, name, len(data), data=data)) as content:
        stripped = strip(content)
    assert _samples(data, "wav", workspace) == _samples(stripped, "wav", workspace)


def test_a_melody_keeps_its_notes(sample_media: Path, workspace: Workspace) -> None:
    packed = (sample_media / "formats" / "windows.rmi").read_bytes()
    stripped = _rewrap(packed, "midi", workspace)
    assert stripped == (sample_media / "formats" / "tracks.mid").read_bytes()
    alien = stripped[:14] + b"XFIH\x00\x00\x00\x06secret" + stripped[14:]
    assert _rewrap(alien, "midi", workspace) == stripped


@pytest.mark.parametrize("name", ["ready.3gp", "legacy.3gp", "clip.mp4", "mute.mp4"])
def test_every_clip_keeps_its_frames_and_starts_with_its_index(
    name: str, sample_media: Path, settings: Settings, workspace: Workspace
) -> None:
    path = sample_media / "formats" / name
    attachment = Attachment(0, name, path.stat().st_size, path=path)
    info = sniff(attachment, settings, workspace)
    stripped = rewrap(attachment, info, _PLAN, workspace, _PLENTY)
    assert stripped is not None
    after = workspace.new_path(path.suffix)
    after.write_bytes(stripped)
    hashes = [
        ffmpeg.run(workspace, ffmpeg.safe_input(file, info.format).output("pipe:1", f="streamhash")).stdout
        for file in (path, after)
    ]
    assert hashes[0] == hashes[1]
    assert stripped.find(b"moov") < stripped.find(b"mdat")
    facts = _facts(stripped, workspace, path.suffix)
    assert facts.keys().isdisjoint({"title", "encoded_date", "tagged_date", "writing_application", "comment"})
    assert facts["codec_id"].strip().startswith(info.brand or "")
    for trace in (b"private", b"x264", b"Lavf"):
        assert trace not in stripped
    assert len(stripped) <= path.stat().st_size


def test_a_clip_keeps_its_rotation(sample_media: Path, settings: Settings, workspace: Workspace) -> None:
    turned = workspace.new_path(".mp4")
    source = graph.input(str(sample_media / "formats" / "mute.mp4"), display_rotation=-90)
    ffmpeg.run(workspace, source.output(str(turned), c="copy"))
    attachment = Attachment(0, "turned.mp4", turned.stat().st_size, path=turned)
    info = sniff(attachment, settings, workspace)
    assert info.rotation_deg == 90
    stripped = rewrap(attachment, info, _PLAN, workspace, _PLENTY)
    assert stripped is not None
    again = sniff(Attachment(0, "again.mp4", len(stripped), data=stripped), settings, workspace)
    assert again.rotation_deg == 90


@pytest.mark.parametrize("seed", range(6))
def test_a_damaged_clip_gives_bytes_or_a_clear_error(seed: int, sample_media: Path, workspace: Workspace) -> None:
    damaged = bytearray((sample_media / "formats" / "ready.3gp").read_bytes())
    source = random.Random(seed)
    for _ in range(40):
        damaged[source.randrange(len(damaged) if seed % 2 else 3000)] = source.randrange(256)
    try:
        assert _rewrap(bytes(damaged), "3gp", workspace)
    except Damaged as error:
        assert "sample" in str(error)


def test_a_clip_without_its_index_is_damaged(sample_media: Path, workspace: Workspace) -> None:
    with pytest.raises(Damaged, match=r"^sample: "):
        _rewrap((sample_media / "bad" / "truncated.mp4").read_bytes(), "mp4", workspace)


def _facts(data: bytes, workspace: Workspace, suffix: str) -> dict[str, str]:
    """What MediaInfo says about the file as a whole."""
    path = workspace.new_path(suffix)
    path.write_bytes(data)
    return dict(Facts.parse(str(path)).general_tracks[0].to_data())


_SEEDS = {
    "jpeg": _jpeg(exif=_exif()),
    "gif": b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00"
    b",\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;",
    "wav": b"RIFF\x28\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00@\x1f\x00\x00\x80>\x00\x00\x02\x00"
    b"\x10\x00data\x04\x00\x00\x00\x00\x00\x01\x00",
    "amr": b"#!AMR\n" + (b"\x3c" + bytes(31)) * 3,
    "midi": b"MThd\x00\x00\x00\x06\x00\x00\x00\x01\x00\x60MTrk\x00\x00\x00\x04\x00\xff\x2f\x00",
    "mp3": b"ID3\x04\x00\x00\x00\x00\x00\x08title..." + (b"\xff\xfb\x50\xc4" + bytes(204)) * 4,
}


@given(st.sampled_from(sorted(_SEEDS)), st.data())
def test_a_damaged_file_gives_bytes_or_a_clear_error(format_slug: str, data: st.DataObject) -> None:
    """Or nothing, where what is left must be encoded anew to be sent."""
    damaged = bytearray(_SEEDS[format_slug])
    for _ in range(data.draw(st.integers(0, 6))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(damaged)))
    with Workspace(Settings()) as workspace:
        try:
            kept = _rewrapped(bytes(damaged[:cut]), format_slug, workspace)
            assert kept is None or (isinstance(kept, bytes) and len(kept) <= cut + 8)
        except Damaged as error:
            assert "sample" in str(error)


def _of_kind(name: str, sample_media: Path, workspace: Workspace) -> bytes:
    match name:
        case "mp3":
            return _tone(workspace, ".mp3", metadata="title=secret", audio_bitrate="64k")
        case "wav":
            return _tone(workspace, ".wav", metadata="title=secret")
        case "amr":
            return _tone(workspace, ".amr", ar=8000, ac=1) + b"\x7c"
    return (sample_media / "formats" / {"3gp": "ready.3gp", "mp4": "clip.mp4"}[name]).read_bytes()


@pytest.mark.parametrize("name", ["mp3", "wav", "amr", "3gp", "mp4"])
def test_what_fits_to_the_byte_is_given_and_what_has_one_more_is_not(
    name: str, sample_media: Path, workspace: Workspace, settings: Settings
) -> None:
    data = _of_kind(name, sample_media, workspace)
    attachment = Attachment(0, "x", len(data), data=data)
    info = sniff(attachment, settings, workspace)
    stripped = rewrap(attachment, info, _PLAN, workspace, _PLENTY)
    assert stripped is not None and info.format == name
    assert rewrap(attachment, info, _PLAN, workspace, len(stripped)) == stripped
    for too_few in (len(stripped) - 1, len(stripped) // 2, 300):
        assert rewrap(attachment, info, _PLAN, workspace, too_few) is None


@pytest.mark.parametrize("name", ["mp3", "wav", "amr"])
def test_a_recording_that_cannot_fit_is_not_read_whole(
    name: str, sample_media: Path, workspace: Workspace, settings: Settings
) -> None:
    """Sizes come before stripping: what is thrown away would cost several times its size in memory."""
    path = workspace.new_path(f".{name}")
    sound = _of_kind(name, sample_media, workspace)
    if name == "wav":
        start = sound.index(b"data")
        sound = sound[:start] + b"LIST" + (40).to_bytes(4, "little") + bytes(40)
        sound += b"data" + (500_000_000).to_bytes(4, "little")
    elif name == "mp3":
        sound = b"ID3\x04\0\0" + bytes([0, 127, 127, 127]) + bytes(2_097_151) + sound * 30
    with path.open("wb") as file:
        file.write(sound)
        file.truncate(500_000_000)
    attachment = Attachment(0, path.name, path.stat().st_size, path=path)
    info = MediaInfo(format=name, kind=Kind.AUDIO, content_type="", size_bytes=attachment.size_bytes)
    # Here, where its memory can be measured.
    with Workspace(replace(settings, isolate=False)) as room:
        tracemalloc.start()
        try:
            assert rewrap(attachment, info, _PLAN, room, 300_000) is None
            peak_bytes = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak_bytes < 20_000_000


@pytest.mark.parametrize("limit_bytes", [100_000, 15_000], ids=["fits", "made smaller"])
@pytest.mark.parametrize("marker", [b"\xff\xe0\x00\x07JFIF\x00", b"\xff\xee\x00\x07Adobe"])
def test_a_marker_that_says_less_than_it_must_is_passed_over(marker: bytes, limit_bytes: int) -> None:
    """As viewers do; it is not sent, and the picture is turned as it was."""
    image = grain((300, 200), 60).convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = 6
    out = io.BytesIO()
    image.save(out, "JPEG", quality=60, exif=exif)
    data = out.getvalue()
    (part,) = prepare([("p.jpg", data[:2] + marker + data[2:])], limit_bytes=limit_bytes).parts
    with Image.open(io.BytesIO(part.data)) as shown:
        shown.load()
    assert (part.width_px or 0) < (part.height_px or 0) and marker not in part.data
