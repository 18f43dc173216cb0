"""Each sample is what the manifest says, by readers that are not ours."""

from __future__ import annotations

import io
import re
import struct
import subprocess
import sys
import tomllib
import wave
import zipfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import mido
import pillow_heif
import pytest
from PIL import Image
from pymediainfo import MediaInfo as Facts

from mmsprep.formats import FORMATS
from mmsprep.settings import Settings
from mmsprep.tools.ffmpeg import executable

_FOLDER = Path(__file__).parent.parent / "sample_media"
_MANIFEST = tomllib.loads((_FOLDER / "MANIFEST.toml").read_text("utf-8"))
_SAMPLES: dict[str, dict[str, str]] = {entry["path"]: entry for entry in _MANIFEST["sample"]}
_MAX_BYTES = 8_000_000
_ERRORS = {
    *("empty", "damaged", "over_input_limit", "type_not_allowed"),
    *("protected_media", "unknown_type"),
}


def _data(path: str) -> bytes:
    return (_FOLDER / path).read_bytes()


def _picture(path: str) -> Image.Image:
    if path.lower().endswith(".heic"):
        # Opened by itself: registering the opener would change Pillow for the other tests.
        heif = pillow_heif.open_heif(_FOLDER / path)
        return heif.to_pillow()
    return Image.open(_FOLDER / path)


@lru_cache(maxsize=64)
def _tracks(path: str) -> dict[str, dict[str, Any]]:
    """MediaInfo's facts: the first track of each type, ``General`` for the file."""
    found: dict[str, dict[str, Any]] = {}
    options = {"File_TestContinuousFileNames": "0"}
    for track in Facts.parse(str(_FOLDER / path), mediainfo_options=options).tracks:
        found.setdefault(track.track_type, track.to_data())
    return found


def _formats(path: str, *track_types: str) -> tuple[str, ...]:
    return tuple(str(_tracks(path)[track_type]["format"]) for track_type in track_types)


def _decodes(path: str, demuxer: str) -> bool:
    command = [executable(Settings()), "-v", "error", "-f", demuxer, "-i", str(_FOLDER / path), "-f", "null"]
    return subprocess.run([*command, "-"], capture_output=True, check=False, timeout=120).returncode == 0


def test_the_manifest_and_the_folder_agree_both_ways() -> None:
    there = {
        path.relative_to(_FOLDER).as_posix()
        for folder in ("message", "formats", "bad")
        for path in (_FOLDER / folder).iterdir()
    }
    assert there == set(_SAMPLES)
    assert len(_MANIFEST["sample"]) == len(_SAMPLES)


def test_every_entry_is_complete_and_names_a_known_format_or_error() -> None:
    for path, entry in _SAMPLES.items():
        for key in ("what", "odd", "made"):
            assert entry[key], path
        assert entry["licence"] == "CC0-1.0"
        if path.startswith("bad/"):
            assert entry["error"] in _ERRORS, path
        else:
            assert FORMATS[entry["format"]].kind is not None, path


def test_the_manifest_is_what_the_recipes_say() -> None:
    code = f"import sys; sys.path.insert(0, {str(_FOLDER)!r}); import make; sys.stdout.write(make.manifest())"
    written = subprocess.run([sys.executable, "-X", "utf8", "-c", code], capture_output=True, check=True, timeout=300)
    assert written.stdout.decode().replace("\r\n", "\n") == (_FOLDER / "MANIFEST.toml").read_text("utf-8")


def test_all_samples_together_are_small() -> None:
    assert sum((_FOLDER / path).stat().st_size for path in _SAMPLES) < _MAX_BYTES


def _is_heic_from_a_phone() -> bool:
    heif = pillow_heif.open_heif(_FOLDER / "message/IMG_0412.HEIC")
    exif = Image.Exif()
    exif.load(heif.info["exif"])
    assert exif.get_ifd(0x8825)[1] == "N" and exif.get_ifd(0x8769)[0xA431]
    assert "Display P3".encode("utf-16-be") in heif.info["icc_profile"]
    return bool(heif.size == (4032, 3024))


def _is_sideways_photo() -> bool:
    with _picture("message/IMG_20260613_101502.jpg") as image:
        exif = image.getexif()
        return (image.size, exif[0x0112], exif.get_ifd(0x8825)[3]) == ((4032, 3024), 6, "E")


def _has_transparency(path: str) -> bool:
    with _picture(path) as image:
        low, high = image.convert("RGBA").getchannel("A").getextrema()
        return (low, high) == (0, 255)


def _is_portrait_mov() -> bool:
    path = "message/IMG_0415.MOV"
    video, general = _tracks(path)["Video"], _tracks(path)["General"]
    data = _data(path)
    assert video["format"] == "AVC" and float(video["rotation"]) == 90
    assert general["encoded_date"] and "+46.0035" in str(general)
    return (video["width"], video["height"]) == (1280, 720) and data.find(b"mdat") < data.find(b"moov")


def _image_is(path: str, **expected: object) -> bool:
    with _picture(path) as image:
        facts = {
            "mode": image.mode,
            "size": image.size,
            "n_frames": getattr(image, "n_frames", 1),
            "format": image.format,
            "progressive": bool(image.info.get("progressive")),
            "adobe_transform": image.info.get("adobe_transform"),
            "loop": image.info.get("loop"),
        }
        image.load()
    assert {key: facts[key] for key in expected} == expected
    return True


def _frame_components(path: str) -> bytes:
    """The identifiers of a baseline JPEG's components."""
    data = _data(path)
    at = data.index(b"\xff\xc0")
    return data[at + 10 : at + 10 + 3 * data[at + 9] : 3]


def _is_plain_cmyk() -> bool:
    assert b"Adobe" not in _data("formats/cmyk-plain.jpg")
    return len(_frame_components("formats/cmyk-plain.jpg")) == 4


def _has_restarts() -> bool:
    data = _data("formats/restarts.jpg")
    assert b"\xff\xff" in data[:200] and b"Photoshop 3.0" in data and b"\xff\xfe" in data
    return b"\xff\xdd" in data and all(bytes((0xFF, 0xD0 + number)) in data for number in range(8))


def _is_motion_photo() -> bool:
    data = _data("formats/motion-photo.jpg")
    found = re.search(rb'MicroVideoOffset="(\d+)"', data)
    assert found
    return data[-int(found[1]) :][4:8] == b"ftyp"


def _has_icc(path: str, name: str) -> bool:
    with _picture(path) as image:
        return name.encode("utf-16-be") in image.info["icc_profile"]


def _is_deep_png() -> bool:
    assert _data("formats/deep.png")[24:26] == bytes((16, 2))
    return _image_is("formats/deep.png", size=(320, 240))


def _timing_is_uneven() -> bool:
    durations = []
    with Image.open(_FOLDER / "formats/animated.gif") as image:
        assert image.info["comment"] == b"made by a sample"
        for frame in range(getattr(image, "n_frames", 1)):
            image.seek(frame)
            durations.append(image.info["duration"])
    return len(durations) == 16 and len(set(durations)) == 2


def _is_burst() -> bool:
    heif = pillow_heif.open_heif(_FOLDER / "formats/burst.heic")
    return bool(len(heif) == 3 and heif.primary_index == 1)


def _is_turned_by_irot() -> bool:
    heif = pillow_heif.open_heif(_FOLDER / "formats/rotated.heic")
    assert b"irot" in _data("formats/rotated.heic")
    exif = Image.Exif()
    exif.load(heif.info["exif"])
    return bool(heif.size == (300, 400) and exif[0x0112] == 6)


def _is_jxl() -> bool:
    return _decodes("formats/photo.jxl", "jpegxl_pipe")


def _is_wbmp() -> bool:
    data = _data("formats/logo.wbmp")
    return data[:4] == b"\0\0\x60\x60" and len(data) == 4 + 96 * 96 // 8


def _wav(path: str) -> tuple[int, int, int]:
    """Format tag, sampling rate and bits a sample of the ``fmt`` chunk."""
    data = _data(path)
    at = data.index(b"fmt ") + 8
    tag, _, rate, _, _, bits = struct.unpack_from("<HHIIHH", data, at)
    return tag, rate, bits


def _is_noted_wav() -> bool:
    data = _data("formats/noted.wav")
    return data[4:8] == b"\xff\xff\xff\xff" and b"bext" in data and b"LIST" in data


def _is_quiet_inside() -> bool:
    with wave.open(str(_FOLDER / "formats/silence-around.wav")) as file:
        rate, samples = file.getframerate(), memoryview(file.readframes(-1)).cast("h")
    silent = all(abs(value) < 3 for value in (*samples[:rate], *samples[-rate:]))
    return silent and 200 < max(samples) < 2000


def _is_tagged_mp3() -> bool:
    data, general = _data("formats/song.mp3"), _tracks("formats/song.mp3")["General"]
    assert data[:4] == b"ID3\3" and data[-128:-125] == b"TAG"
    return bool(general["cover"] == "Yes" and general["title"] == "Lakeside")


def _has_tags_everywhere() -> bool:
    data = _data("formats/tags-everywhere.mp3")
    assert data.count(b"ID3") == 2 and b"APETAGEX" in data and b"LYRICS200" in data
    audio = _tracks("formats/tags-everywhere.mp3")["Audio"]
    return data[-128:-125] == b"TAG" and audio["bit_rate_mode"] == "VBR"


def _sound_is(path: str, container: str, codec: str) -> bool:
    assert _formats(path, "General", "Audio") == (container, codec)
    return True


def _clip_is(path: str, container: str, video: str, audio: str | None = None, **expected: object) -> bool:
    tracks = _tracks(path)
    assert tracks["General"]["format"] == container
    assert tracks["Video"]["format"] == video
    assert (tracks["Audio"]["format"] if "Audio" in tracks else None) == audio
    assert {key: tracks["Video"].get(key) for key in expected} == expected
    return True


def _is_hdr(path: str, transfer: str) -> bool:
    video = _tracks(path)["Video"]
    return (video["format"], video["bit_depth"]) == ("HEVC", 10) and transfer in video["transfer_characteristics"]


def _is_ready() -> bool:
    data, video = _data("formats/ready.3gp"), _tracks("formats/ready.3gp")["Video"]
    assert b"private words" in data and data[8:12] == b"3gp5"
    return "Baseline" in str(video["format_profile"]) and data.find(b"moov") < data.find(b"mdat")


def _is_variable_rate() -> bool:
    return str(_tracks("formats/variable-rate.mkv")["Video"]["frame_rate_mode"]) == "VFR"


def _has_silent_track() -> bool:
    command = [executable(Settings()), "-v", "error", "-i", str(_FOLDER / "formats/silent-track.mp4")]
    told = subprocess.run([*command, "-vn", "-f", "s16le", "-"], capture_output=True, check=True, timeout=300).stdout
    return len(told) > 10_000 and not any(told)


def _reads(path: str, encoding: str, word: str) -> bool:
    return word in _data(path).decode(encoding)


def _melody_tracks(path: str) -> int:
    return len(mido.MidiFile(_FOLDER / path).tracks)


_ODDITIES: dict[str, Callable[[], bool]] = {
    "message/IMG_0412.HEIC": _is_heic_from_a_phone,
    "message/IMG_20260613_101502.jpg": _is_sideways_photo,
    "message/logo.png": lambda: _has_transparency("message/logo.png"),
    "message/IMG_0415.MOV": _is_portrait_mov,
    "message/PTT-20260613-WA0003.ogg": lambda: _sound_is("message/PTT-20260613-WA0003.ogg", "Ogg", "Opus"),
    "message/song.m4a": lambda: _sound_is("message/song.m4a", "MPEG-4", "AAC"),
    "message/note.txt": lambda: _reads("message/note.txt", "utf-16", "café"),
    "message/ringtone.mid": lambda: _melody_tracks("message/ringtone.mid") == 1,
    "formats/photo.jpg": lambda: _image_is("formats/photo.jpg", mode="RGB", progressive=False),
    "formats/progressive.jpg": lambda: _image_is("formats/progressive.jpg", progressive=True),
    "formats/grey.jpg": lambda: _image_is("formats/grey.jpg", mode="L"),
    "formats/cmyk-adobe.jpg": lambda: _image_is("formats/cmyk-adobe.jpg", mode="CMYK", adobe_transform=0),
    "formats/ycck-adobe.jpg": lambda: _image_is("formats/ycck-adobe.jpg", mode="CMYK", adobe_transform=2),
    "formats/cmyk-plain.jpg": _is_plain_cmyk,
    "formats/rgb-adobe.jpg": lambda: _frame_components("formats/rgb-adobe.jpg") == b"RGB",
    "formats/restarts.jpg": _has_restarts,
    "formats/two-pictures.jpg": lambda: _image_is("formats/two-pictures.jpg", format="MPO", n_frames=2),
    "formats/motion-photo.jpg": _is_motion_photo,
    "formats/adobe-rgb.jpg": lambda: _has_icc("formats/adobe-rgb.jpg", "Adobe RGB"),
    "formats/display-p3.jpg": lambda: _has_icc("formats/display-p3.jpg", "Display P3"),
    "formats/webp-named.jpg": lambda: _image_is("formats/webp-named.jpg", format="WEBP"),
    "formats/deep.png": _is_deep_png,
    "formats/palette.png": lambda: (
        _image_is("formats/palette.png", mode="P") and _has_transparency("formats/palette.png")
    ),
    "formats/grey-alpha.png": lambda: _image_is("formats/grey-alpha.png", mode="LA"),
    "formats/one-bit.png": lambda: _image_is("formats/one-bit.png", mode="1"),
    "formats/screenshot.png": lambda: _image_is("formats/screenshot.png", size=(720, 1280)),
    "formats/long-screenshot.png": lambda: _image_is("formats/long-screenshot.png", size=(1080, 6000)),
    "formats/animated.png": lambda: _image_is("formats/animated.png", n_frames=8),
    "formats/animated.gif": _timing_is_uneven,
    "formats/sprite.gif": lambda: _image_is("formats/sprite.gif", n_frames=8, loop=3),
    "formats/still.gif": lambda: _has_transparency("formats/still.gif"),
    "formats/still.webp": lambda: _has_transparency("formats/still.webp"),
    "formats/animated.webp": lambda: _image_is("formats/animated.webp", n_frames=10),
    "formats/rotated.heic": _is_turned_by_irot,
    "formats/burst.heic": _is_burst,
    "formats/photo.avif": lambda: _image_is("formats/photo.avif", format="AVIF", n_frames=1),
    "formats/animated.avif": lambda: _image_is("formats/animated.avif", format="AVIF", n_frames=6),
    "formats/photo.jp2": lambda: _image_is("formats/photo.jp2", format="JPEG2000"),
    "formats/photo.jxl": _is_jxl,
    "formats/icon.ico": lambda: _data("formats/icon.ico")[:6] == b"\0\0\1\0\3\0",
    "formats/logo.wbmp": _is_wbmp,
    "formats/photo.ppm": lambda: _image_is("formats/photo.ppm", format="PPM", mode="RGB"),
    "formats/photo.bmp": lambda: _image_is("formats/photo.bmp", format="BMP", mode="RGB"),
    "formats/palette.bmp": lambda: _image_is("formats/palette.bmp", format="BMP", mode="P"),
    "formats/pages.tif": lambda: _image_is("formats/pages.tif", n_frames=3, mode="1"),
    "formats/photo.tif": lambda: _image_is("formats/photo.tif", mode="CMYK"),
    "formats/composite.psd": lambda: _image_is("formats/composite.psd", format="PSD", size=(160, 120)),
    "formats/pcm-8bit.wav": lambda: _wav("formats/pcm-8bit.wav") == (1, 8000, 8),
    "formats/pcm-24bit.wav": lambda: _wav("formats/pcm-24bit.wav") == (0xFFFE, 8000, 24),
    "formats/float.wav": lambda: _wav("formats/float.wav") == (3, 8000, 32),
    "formats/mu-law.wav": lambda: _wav("formats/mu-law.wav") == (7, 8000, 8),
    "formats/a-law.wav": lambda: _wav("formats/a-law.wav") == (6, 8000, 8),
    "formats/ima-adpcm.wav": lambda: _wav("formats/ima-adpcm.wav") == (0x11, 16000, 4),
    "formats/ms-adpcm.wav": lambda: _wav("formats/ms-adpcm.wav") == (2, 16000, 4),
    "formats/noted.wav": _is_noted_wav,
    "formats/silence-around.wav": _is_quiet_inside,
    "formats/note.aiff": lambda: _sound_is("formats/note.aiff", "AIFF", "PCM"),
    "formats/song.caf": lambda: _sound_is("formats/song.caf", "CAF", "ALAC"),
    "formats/song.mp3": _is_tagged_mp3,
    "formats/tags-everywhere.mp3": _has_tags_everywhere,
    "formats/note.aac": lambda: _sound_is("formats/note.aac", "ADTS", "AAC"),
    "formats/lossless.m4a": lambda: _sound_is("formats/lossless.m4a", "MPEG-4", "ALAC"),
    "formats/song.ogg": lambda: _sound_is("formats/song.ogg", "Ogg", "Vorbis"),
    "formats/song.flac": lambda: _sound_is("formats/song.flac", "FLAC", "FLAC"),
    "formats/song.wma": lambda: _sound_is("formats/song.wma", "Windows Media", "WMA"),
    "formats/note.amr": lambda: _sound_is("formats/note.amr", "AMR", "AMR"),
    "formats/noise.awb": lambda: _decodes("formats/noise.awb", "amr"),
    "formats/noise.qcp": lambda: _decodes("formats/noise.qcp", "qcp"),
    "formats/noise.evc": lambda: _data("formats/noise.evc").startswith(b"#!EVRC\n"),
    "formats/song.ac3": lambda: (
        _sound_is("formats/song.ac3", "AC-3", "AC-3") and _tracks("formats/song.ac3")["Audio"]["channel_s"] == 6
    ),
    "formats/song.eac3": lambda: _sound_is("formats/song.eac3", "E-AC-3", "E-AC-3"),
    "formats/song.mka": lambda: _sound_is("formats/song.mka", "Matroska", "Opus"),
    "formats/clip.mp4": lambda: (
        _clip_is("formats/clip.mp4", "MPEG-4", "AVC", "AAC")
        and _data("formats/clip.mp4").find(b"mdat") < _data("formats/clip.mp4").find(b"moov")
    ),
    "formats/hdr-hlg.mp4": lambda: _is_hdr("formats/hdr-hlg.mp4", "HLG"),
    "formats/hdr-pq.mov": lambda: _is_hdr("formats/hdr-pq.mov", "PQ"),
    "formats/av1.mp4": lambda: _clip_is("formats/av1.mp4", "MPEG-4", "AV1", "Opus"),
    "formats/mpeg4.mp4": lambda: _clip_is("formats/mpeg4.mp4", "MPEG-4", "MPEG-4 Visual", "AAC"),
    "formats/legacy.3gp": lambda: _clip_is("formats/legacy.3gp", "MPEG-4", "H.263", "AMR", width=176, height=144),
    "formats/ready.3gp": _is_ready,
    "formats/clip.3g2": lambda: _data("formats/clip.3g2")[8:11] == b"3g2",
    "formats/prores.mov": lambda: _clip_is("formats/prores.mov", "MPEG-4", "ProRes", "PCM"),
    "formats/xvid.avi": lambda: _clip_is("formats/xvid.avi", "AVI", "xvid", "MPEG Audio"),
    "formats/camera.avi": lambda: _clip_is("formats/camera.avi", "AVI", "JPEG", "PCM"),
    "formats/two-tracks.mkv": lambda: int(_tracks("formats/two-tracks.mkv")["General"]["count_of_audio_streams"]) == 2,
    "formats/variable-rate.mkv": _is_variable_rate,
    "formats/vp9.webm": lambda: _clip_is("formats/vp9.webm", "WebM", "VP9", "Opus"),
    "formats/vp8.webm": lambda: _clip_is("formats/vp8.webm", "WebM", "VP8", "Vorbis"),
    "formats/flash.flv": lambda: _clip_is("formats/flash.flv", "Flash Video", "Sorenson Spark", "MPEG Audio"),
    "formats/dvd.mpg": lambda: _clip_is(
        "formats/dvd.mpg", "MPEG-PS", "MPEG Video", "MPEG Audio", display_aspect_ratio="1.778", width=320
    ),
    "formats/vcd.mpg": lambda: _clip_is("formats/vcd.mpg", "MPEG-PS", "MPEG Video", "MPEG Audio"),
    "formats/broadcast.ts": lambda: _clip_is("formats/broadcast.ts", "MPEG-TS", "AVC", "AC-3"),
    "formats/stream.m2v": lambda: _clip_is("formats/stream.m2v", "MPEG Video", "MPEG Video"),
    "formats/windows.wmv": lambda: _clip_is("formats/windows.wmv", "Windows Media", "WMV2", "WMA"),
    "formats/theora.ogv": lambda: _clip_is("formats/theora.ogv", "Ogg", "Theora", "Vorbis"),
    "formats/anamorphic.mp4": lambda: _clip_is(
        "formats/anamorphic.mp4", "MPEG-4", "AVC", "AAC", pixel_aspect_ratio="1.333", width=240
    ),
    "formats/odd-size.mp4": lambda: _clip_is(
        "formats/odd-size.mp4", "MPEG-4", "AVC", width=321, height=241, chroma_subsampling="4:4:4"
    ),
    "formats/interlaced.ts": lambda: _clip_is(
        "formats/interlaced.ts", "MPEG-TS", "MPEG Video", "MPEG Audio", scan_type="Interlaced"
    ),
    "formats/mute.mp4": lambda: _clip_is("formats/mute.mp4", "MPEG-4", "AVC"),
    "formats/silent-track.mp4": _has_silent_track,
    "formats/one-frame.mp4": lambda: int(_tracks("formats/one-frame.mp4")["Video"]["frame_count"]) == 1,
    "formats/cover.m4a": lambda: _tracks("formats/cover.m4a")["General"]["cover"] == "Yes",
    "formats/utf-8-bom.txt": lambda: _data("formats/utf-8-bom.txt").startswith(b"\xef\xbb\xbf"),
    "formats/utf-16be.txt": lambda: _data("formats/utf-16be.txt").startswith(b"\xfe\xff"),
    "formats/utf-16-no-bom.txt": lambda: _reads("formats/utf-16-no-bom.txt", "utf-16-le", "Fähre"),
    "formats/utf-32.txt": lambda: _reads("formats/utf-32.txt", "utf-32", "Привет"),
    "formats/latin-1.txt": lambda: _reads("formats/latin-1.txt", "latin-1", "Fähre"),
    "formats/windows-1252.txt": lambda: _reads("formats/windows-1252.txt", "cp1252", "N’oubliez"),
    "formats/shift-jis.txt": lambda: _reads("formats/shift-jis.txt", "shift-jis", "土曜日"),
    "formats/gb18030.txt": lambda: _reads("formats/gb18030.txt", "gb18030", "星期六"),
    "formats/koi8-r.txt": lambda: _reads("formats/koi8-r.txt", "koi8-r", "озеро"),
    "formats/controls.txt": lambda: {7, 11, 13, 0} <= set(_data("formats/controls.txt")),
    "formats/lakeside.imy": lambda: b"@2" in _data("formats/lakeside.imy"),
    "formats/lakeside.emy": lambda: _data("formats/lakeside.emy").startswith(b"BEGIN:EMELODY\r\n"),
    "formats/tracks.mid": lambda: _melody_tracks("formats/tracks.mid") == 3,
    "formats/windows.rmi": lambda: _data("formats/windows.rmi")[8:16] == b"RMIDdata",
}


def test_every_good_sample_has_its_check() -> None:
    assert set(_ODDITIES) == {path for path in _SAMPLES if not path.startswith("bad/")}


@pytest.mark.parametrize("path", _ODDITIES)
def test_a_sample_really_has_the_oddity_it_claims(path: str) -> None:
    assert _ODDITIES[path]()


def _pillow_refuses(path: str) -> bool:
    try:
        with Image.open(_FOLDER / path) as image:
            image.load()
    except (OSError, Image.DecompressionBombError):
        return True
    return False


def _zip_names(path: str) -> list[str]:
    with zipfile.ZipFile(_FOLDER / path) as archive:
        return archive.namelist()


def _starts(path: str, *starts: bytes) -> bool:
    return _data(path).lstrip().startswith(starts)


_TROUBLES: dict[str, Callable[[], bool]] = {
    "empty.jpg": lambda: not _data("bad/empty.jpg"),
    "truncated.jpg": lambda: _pillow_refuses("bad/truncated.jpg"),
    "truncated.mp4": lambda: not _decodes("bad/truncated.mp4", "mov"),
    "twelve-bit.jpg": lambda: _pillow_refuses("bad/twelve-bit.jpg"),
    "bomb.png": lambda: len(_data("bad/bomb.png")) < 50_000 and _pillow_refuses("bad/bomb.png"),
    "bomb.gif": lambda: getattr(Image.open(io.BytesIO(_data("bad/bomb.gif"))), "n_frames", 1) > 10_000,
    "playlist.mp4": lambda: _starts("bad/playlist.mp4", b"#EXTM3U"),
    "playlist.m3u8": lambda: _starts("bad/playlist.m3u8", b"#EXTM3U"),
    "padded-playlist.avi": lambda: (
        _starts("bad/padded-playlist.avi", b"#EXTM3U") and _data("bad/padded-playlist.avi")[:9] == b"\n" * 9
    ),
    "concat.txt": lambda: _starts("bad/concat.txt", b"ffconcat version 1.0"),
    "presentation.smil": lambda: _starts("bad/presentation.smil", b"<smil>"),
    "document.pdf": lambda: _starts("bad/document.pdf", b"%PDF-"),
    "document.docx": lambda: "word/document.xml" in _zip_names("bad/document.docx"),
    "archive.zip": lambda: "photo.jpg" in _zip_names("bad/archive.zip"),
    "page.html": lambda: _starts("bad/page.html", b"<!DOCTYPE html>"),
    "drawing.svg": lambda: b"<svg" in _data("bad/drawing.svg"),
    "program": lambda: _starts("bad/program", b"\x7fELF"),
    "photo.exe.jpg": lambda: _starts("bad/photo.exe.jpg", b"MZ"),
    "contact.vcf": lambda: _starts("bad/contact.vcf", b"BEGIN:VCARD"),
    "protected.m4p": lambda: b"sinf" in _data("bad/protected.m4p") and b"enca" in _data("bad/protected.m4p"),
    "protected.dcf": lambda: _data("bad/protected.dcf")[:1] == b"\1",
    "forward-lock.dm": lambda: _starts("bad/forward-lock.dm", b"--lock\r\nContent-Type: image/jpeg"),
    "noise.bin": lambda: _pillow_refuses("bad/noise.bin"),
}


def test_every_bad_sample_has_its_check() -> None:
    assert {f"bad/{name}" for name in _TROUBLES} == {path for path in _SAMPLES if path.startswith("bad/")}


@pytest.mark.parametrize("name", _TROUBLES)
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_bad_sample_really_is_bad(name: str) -> None:
    assert _TROUBLES[name]()
