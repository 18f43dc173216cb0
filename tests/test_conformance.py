"""What we make, read by programs that know nothing of us: every sample, every profile, one reader a kind and more.

``.ci/conformance`` installs the readers and runs this; a reader that is not there is a skip with its package's name.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from captures import dissect

from mmsprep import Job, Message, Part, prepare, prepare_many
from mmsprep.batch.outcome import Prepared
from mmsprep.mm1 import pack_message, unpack
from mmsprep.mm7 import Submit, build_submit
from mmsprep.profile import load_profile, profile_names

pytestmark = pytest.mark.slow
_FREEPATS = Path("/etc/timidity/freepats.cfg")
_SAMPLES = Path(__file__).parent.parent / "sample_media"


@pytest.fixture(scope="session", params=profile_names())
def parts(request: pytest.FixtureRequest) -> Iterator[list[Part]]:
    """What becomes of each sample by itself under one profile; what it refuses or calls damaged is left out."""
    profile = load_profile(request.param)
    jobs = [
        Job(attachments=[path], profile=profile, best_effort=True, trim=True)
        for path in sorted((_SAMPLES / "formats").iterdir())
    ]
    made = [outcome.message for outcome in prepare_many(jobs) if isinstance(outcome, Prepared)]
    assert len(made) > len(jobs) / 2
    yield [part for message in made for part in message.parts]


def _ran(*command: str | Path, package: str, stdin: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    if shutil.which(str(command[0])) is None:
        pytest.skip(f"{command[0]} is not here (apt-get install {package})")
    return subprocess.run(list(map(str, command)), input=stdin, capture_output=True, check=False, timeout=120)


def _each(parts: list[Part], content_type: str, folder: Path) -> Iterator[tuple[Part, Path]]:
    for number, part in enumerate(one for one in parts if one.content_type.split(";")[0] == content_type):
        path = folder / f"{number}-{part.name}"
        path.write_bytes(part.data)
        yield part, path


def test_libjpeg_decodes_every_jpeg_without_a_warning(parts: list[Part], tmp_path: Path) -> None:
    for part, path in _each(parts, "image/jpeg", tmp_path):
        done = _ran("djpeg", "-outfile", tmp_path / "out.ppm", path, package="libjpeg-turbo-progs")
        assert (done.returncode, done.stderr) == (0, b""), part.name
        width, height = (tmp_path / "out.ppm").read_bytes()[:40].split(b"\n")[1].split()
        assert (int(width), int(height)) == (part.width_px, part.height_px)


def test_gifsicle_reads_every_gif_without_a_warning(parts: list[Part], tmp_path: Path) -> None:
    for part, path in _each(parts, "image/gif", tmp_path):
        done = _ran("gifsicle", "--info", path, package="gifsicle")
        assert (done.returncode, done.stderr) == (0, b""), part.name
        assert f"logical screen {part.width_px}x{part.height_px}" in done.stdout.decode()


def test_exiftool_names_the_type_that_the_part_is_sent_as_and_finds_nothing_private(
    parts: list[Part], tmp_path: Path
) -> None:
    for content_type in ("image/jpeg", "image/gif", "audio/mpeg", "video/3gpp", "image/bmp"):
        for part, path in _each(parts, content_type, tmp_path):
            done = _ran("exiftool", "-json", "-G", path, package="libimage-exiftool-perl")
            (found,) = json.loads(done.stdout)
            assert found["File:MIMEType"] == content_type, part.name
            assert not [tag for tag in found if tag.startswith(("EXIF:", "XMP:", "IPTC:", "ID3:"))], part.name


def test_mpg123_decodes_every_mp3_to_its_length(parts: list[Part], tmp_path: Path) -> None:
    for part, path in _each(parts, "audio/mpeg", tmp_path):
        done = _ran("mpg123", "-q", "-w", tmp_path / "out.wav", path, package="mpg123")
        assert (done.returncode, done.stderr.strip()) == (0, b""), part.name
        probed = _ran("soxi", "-D", tmp_path / "out.wav", package="sox")
        assert float(probed.stdout) == pytest.approx(part.duration_s or 0.0, abs=0.1)


def test_the_reference_decoder_takes_every_amr_frame(parts: list[Part]) -> None:
    name = ctypes.util.find_library("opencore-amrnb")
    if name is None:
        pytest.skip("libopencore-amrnb is not here (apt-get install libopencore-amrnb0)")
    decoder = ctypes.CDLL(name)
    decoder.Decoder_Interface_init.restype = ctypes.c_void_p
    sizes = (13, 14, 16, 18, 20, 21, 27, 32, 6)
    for part in (one for one in parts if one.content_type == "audio/amr"):
        assert part.data[:6] == b"#!AMR\n"
        state = ctypes.c_void_p(decoder.Decoder_Interface_init())
        position, loudest, frames = 6, 0, 0
        samples = (ctypes.c_short * 160)()
        while position < len(part.data):
            mode = part.data[position] >> 3 & 15
            assert mode == 15 or mode < len(sizes), part.name
            size = 1 if mode == 15 else sizes[mode]
            decoder.Decoder_Interface_Decode(state, part.data[position : position + size], samples, 0)
            loudest = max(loudest, *map(abs, samples))
            position, frames = position + size, frames + 1
        decoder.Decoder_Interface_exit(state)
        assert position == len(part.data)
        assert frames * 0.02 == pytest.approx(part.duration_s or 0.0, abs=0.05)
        assert loudest > 300, part.name


def test_timidity_plays_every_midi(parts: list[Part], tmp_path: Path) -> None:
    if not _FREEPATS.is_file():
        pytest.skip("timidity has no instruments here (apt-get install freepats)")
    for part, path in _each(parts, "audio/midi", tmp_path):
        done = _ran(
            "timidity", "-c", _FREEPATS, "-idq", "-Ow", "-o", tmp_path / "out.wav", path, package="timidity freepats"
        )
        assert done.returncode == 0, done.stderr
        probed = _ran("soxi", "-D", tmp_path / "out.wav", package="sox")
        assert float(probed.stdout) > min(1.0, (part.duration_s or 0.0) / 2)


def test_ffprobe_and_mediainfo_agree_with_us_on_every_clip(parts: list[Part], tmp_path: Path) -> None:
    for part, path in _each(parts, "video/3gpp", tmp_path):
        done = _ran("ffprobe", "-v", "warning", "-of", "json", "-show_streams", path, package="ffmpeg")
        assert (done.returncode, done.stderr) == (0, b""), part.name
        (video,) = (one for one in json.loads(done.stdout)["streams"] if one["codec_type"] == "video")
        assert (video["width"], video["height"]) == (part.width_px, part.height_px)
        told = json.loads(_ran("mediainfo", "--Output=JSON", path, package="mediainfo").stdout)["media"]["track"]
        (general,) = (one for one in told if one["@type"] == "General")
        assert general["CodecID"][:4] in ("3gp4", "3gp5", "3gp6")
        assert float(general["Duration"]) == pytest.approx(part.duration_s or 0.0, abs=0.1)


def test_texts_are_utf8_and_bitmaps_what_others_call_them(parts: list[Part], tmp_path: Path) -> None:
    for part, path in _each(parts, "text/plain", tmp_path):
        done = _ran("iconv", "-f", "UTF-8", "-t", "UTF-16", path, package="libc-bin")
        assert (done.returncode, done.stderr) == (0, b""), part.name
    readers: dict[str, tuple[str, Callable[[Path], list[str]]]] = {
        "image/bmp": ("BMP", lambda path: ["identify", "-format", "%m", str(path)]),
        "image/vnd.wap.wbmp": ("WBMP", lambda path: ["identify", "-format", "%m", f"wbmp:{path}"]),
    }
    for content_type, (expected, command) in readers.items():
        for part, path in _each(parts, content_type, tmp_path):
            done = _ran(*command(path), package="imagemagick")
            assert done.stdout.decode() in (expected, f"{expected}3"), part.name


@pytest.fixture(scope="session")
def message() -> Message:
    """Pictures, a clip, sound, a melody and texts, near the limit."""
    return prepare(_SAMPLES / "message", text="Grüße 😀", subject="Sunday at the lake")


def test_wireshark_reads_the_pdu_and_our_count_of_bytes_is_its_size(message: Message, tmp_path: Path) -> None:
    """Our count is of MIME, whose headers are words: never smaller, and within one percent near the limit."""
    pdu = pack_message(message, recipients=["61409317436"], sender="61400000000")
    layers = dissect(pdu, tmp_path)
    assert "_ws.malformed" not in layers
    assert 0.99 * message.total_bytes <= len(pdu) <= message.total_bytes
    sent = [part.data for part in message.parts]
    assert [one.data for one in unpack(pdu, "message.mms").parts if one.data in sent] == sent


def test_xmllint_reads_the_envelope(tmp_path: Path) -> None:
    envelope = build_submit(
        Submit(
            transaction_id="1",
            to=("61409317436",),
            content_id="content",
            vasp_id="me",
            subject="Grüße & <more> 😀",
            delivery_report=True,
        )
    )
    done = _ran("xmllint", "--noout", "-", package="libxml2-utils", stdin=envelope)
    assert (done.returncode, done.stderr) == (0, b"")
