"""Seconds of a clip or recording, as they are asked for: exact in picture and sound, whatever the format."""

from __future__ import annotations

import io
import json
import shutil
import struct
import subprocess
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from mmsprep import Excerpt, Job, Message, inspect, pre_send, prepare
from mmsprep.cli import app
from mmsprep.delivery import key_of
from mmsprep.errors import NotFound, OutsideDuration, UsageError
from mmsprep.model import Action, Span
from mmsprep.pipeline.intake import AttachmentInput, as_moment, take_in
from mmsprep.settings import Settings
from mmsprep.tools import ffmpeg

_SECONDS, _FPS, _RATE_HZ = 6, 25, 16_000
_WIDTH_PX, _HEIGHT_PX = 96, 64
_LUMA_A_FRAME = 1.4
_CLIPS = {
    "a.mp4": ("libx264", "aac"),
    "a.mkv": ("libx264", "libvorbis"),
    "a.webm": ("libvpx", "libvorbis"),
    "a.ts": ("libx264", "aac"),
    "a.mpg": ("mpeg2video", "mp2"),
    "a.flv": ("flv1", "libmp3lame"),
    "a.avi": ("mpeg4", "libmp3lame"),
}
_RECORDINGS = {
    "b.mp3": "libmp3lame",
    "b.m4a": "aac",
    "b.aac": "aac",
    "b.ogg": "libvorbis",
    "b.flac": "flac",
    "b.amr": "libopencore_amrnb",
    "b.wma": "wmav2",
    "b.wav": "pcm_s16le",
}


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips whose brightness tells the frame, and recordings whose pitch tells the second; key frames are rare."""
    folder = tmp_path_factory.mktemp("media")
    program = ffmpeg.executable(Settings())
    moments = np.arange(_SECONDS * _RATE_HZ) / _RATE_HZ
    sound = np.sin(2 * np.pi * _pitch_hz(moments) * moments) * 9000
    with wave.open(str(folder / "b.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(_RATE_HZ)
        file.writeframes(sound.astype("<i2").tobytes())
    frames = b"".join(bytes([round(20 + _LUMA_A_FRAME * n)]) * (_WIDTH_PX * _HEIGHT_PX) for n in range(_SECONDS * _FPS))
    raw = ["-f", "rawvideo", "-pix_fmt", "gray", "-s", f"{_WIDTH_PX}x{_HEIGHT_PX}", "-r", str(_FPS), "-i", "-"]
    start = [program, "-v", "error", "-y"]
    for name, (video, audio) in _CLIPS.items():
        codecs = ["-c:v", video, "-g", "200", "-b:v", "1M", "-c:a", audio, "-ar", "22050", "-pix_fmt", "yuv420p"]
        made = [*start, *raw, "-i", str(folder / "b.wav"), *codecs, str(folder / name)]
        subprocess.run(made, input=frames, check=True)
    for name, codec in _RECORDINGS.items():
        if name != "b.wav":
            rate = ["-ar", "8000"] if codec.startswith("libopencore") else []
            made = [*start, "-i", str(folder / "b.wav"), "-c:a", codec, *rate, str(folder / name)]
            subprocess.run(made, check=True)
    return folder


def _pitch_hz(moments: Any) -> Any:
    return 400 + 200 * np.floor(moments)


def _first_and_last_frame(data: bytes) -> tuple[int, int]:
    """The numbers of a made clip's first and last frame in what it was made from."""
    raw = _decoded(data, "-f", "rawvideo", "-vf", f"scale={_WIDTH_PX}:{_HEIGHT_PX},format=gray")
    luma = np.frombuffer(raw, np.uint8).reshape(-1, _WIDTH_PX * _HEIGHT_PX).mean(axis=1)
    first, last = (round((float(luma[place]) - 20) / _LUMA_A_FRAME) for place in (0, -1))
    return first, last


def _pitch_change_s(data: bytes, second: int) -> float:
    """When the pitch of ``second`` begins in what was made."""
    raw = _decoded(data, "-f", "s16le", "-ac", "1", "-ar", "8000")
    samples = np.frombuffer(raw, "<i2").astype(float)
    for place in range(0, len(samples) - 400, 40):
        spectrum = np.abs(np.fft.rfft(samples[place : place + 400] * np.hanning(400), 4000))
        if spectrum.argmax() * 2 > 400 + 200 * second - 100:
            return place / 8000 + 0.025
    return 99.0


def _decoded(data: bytes, *options: str) -> bytes:
    program = ffmpeg.executable(Settings())
    with_file = [program, "-v", "error", "-i", "-", *options, "-"]
    return subprocess.run(with_file, input=data, capture_output=True, check=True).stdout


@pytest.mark.parametrize("name", _CLIPS)
def test_a_clip_is_cut_to_the_frame_and_its_sound_with_it(media: Path, name: str) -> None:
    (part,) = prepare(f"{media / name}[2.4s-4.4s]").parts
    first, last = _first_and_last_frame(part.data)
    assert abs(first - 60) <= 2
    assert abs(last - 109) <= 2
    assert abs(_pitch_change_s(part.data, 3) - 0.6) < 0.08
    assert part.duration_s == pytest.approx(2.0, abs=0.1)
    assert part.span == Span(2.4, 4.4)


@pytest.mark.parametrize("name", _RECORDINGS)
def test_a_recording_is_cut_to_a_few_milliseconds_whatever_its_format(media: Path, name: str) -> None:
    (part,) = prepare(Excerpt(media / name, from_s="0:02.4", to_s=4.4)).parts
    # ADTS does not say how much of its beginning is the coder's delay, 64 ms here.
    assert abs(_pitch_change_s(part.data, 3) - 0.6) < 0.11
    assert abs(_pitch_change_s(part.data, 4) - 1.6) < 0.11
    assert part.duration_s == pytest.approx(2.0, abs=0.1)


def test_an_end_that_is_left_out_is_that_of_the_whole(media: Path) -> None:
    (part,) = prepare(f"{media / 'b.mp3'}[4s-]").parts
    assert part.duration_s == pytest.approx(2.0, abs=0.15)
    assert part.span is not None
    assert part.span.from_s == 4
    (part,) = prepare(f"{media / 'b.wav'}[-0:02]").parts
    assert part.span == Span(0.0, 2.0)
    assert part.duration_s == pytest.approx(2.0, abs=0.1)


def test_what_could_go_as_it_is_is_cut_all_the_same_and_all_of_it_is_no_cut(media: Path) -> None:
    whole = prepare(media / "b.amr").parts[0]
    assert whole.action is Action.KEEP
    cut = prepare(media / "b.amr", from_s=1, to_s="2s").parts[0]
    assert cut.action is Action.TRANSCODE
    assert cut.duration_s == pytest.approx(1.0, abs=0.1)
    all_of_it = prepare(media / "b.amr", from_s=0).parts[0]
    assert all_of_it.action is Action.KEEP
    assert all_of_it.span is None


def test_a_clip_that_conforms_is_not_sent_whole_when_seconds_are_asked_for(media: Path) -> None:
    conforming = prepare(media / "a.mp4").parts[0].data
    assert prepare(("c.3gp", conforming)).parts[0].action is Action.KEEP
    (part,) = prepare(Excerpt(("c.3gp", conforming), 2.4, 4.4)).parts
    first, last = _first_and_last_frame(part.data)
    assert abs(first - 60) <= 2
    assert abs(last - 109) <= 2


def test_the_report_says_which_seconds_and_why(media: Path) -> None:
    message = prepare(f"{media / 'a.mp4'}[2s-4s]")
    (part,) = json.loads(message.files().files["message.json"])["parts"]
    assert part["span"] == {"from_s": 2.0, "to_s": 4.0}
    assert part["source"]["duration_s"] == pytest.approx(6.0, abs=0.1)
    assert part["source"]["path"] == str(media / "a.mp4")
    assert part["reasons"][0]["code"] == "excerpt"


def test_a_message_with_an_excerpt_is_read_back(media: Path, tmp_path: Path) -> None:
    from mmsprep import read_message

    message = prepare(f"{media / 'b.wav'}[1s-2s]")
    message.write(tmp_path / "made")
    assert read_message(tmp_path / "made") == message


@pytest.mark.parametrize(
    ("suffix", "word"),
    [("[6s-]", "begins at 6 s"), ("[7s-9s]", "begins at 7 s"), ("[3s-0:30]", "ends at 30 s")],
)
def test_seconds_that_are_not_there_are_an_error_that_says_how_many_there_are(
    media: Path, suffix: str, word: str
) -> None:
    with pytest.raises(OutsideDuration, match=r"plays 6\.\d s \(0:06\)") as caught:
        prepare(f"{media / 'a.mp4'}{suffix}")
    assert word in str(caught.value)
    assert caught.value.index == 0


def test_the_end_as_a_player_rounds_it_is_the_end(media: Path) -> None:
    (part,) = prepare(f"{media / 'a.mp4'}[5s-6.6s]").parts
    assert part.duration_s == pytest.approx(1.0, abs=0.15)


def test_how_long_it_plays_is_counted_not_believed(media: Path, tmp_path: Path) -> None:
    # A WebM whose header promises an hour, or a second; an MP3 whose header knows the first of two joined files alone.
    lying = bytearray((media / "a.webm").read_bytes())
    place = lying.index(b"\x44\x89\x88") + 3
    lying[place : place + 8] = struct.pack(">d", 3_600_000.0)
    with pytest.raises(OutsideDuration, match=r"plays 6\.\d s"):
        prepare(Excerpt(("long.webm", bytes(lying)), 10, 20))
    lying[place : place + 8] = struct.pack(">d", 1_000.0)
    (part,) = prepare(Excerpt(("short.webm", bytes(lying)), 2.4, 4.4)).parts
    assert abs(_first_and_last_frame(part.data)[1] - 109) <= 2
    first = subprocess.run(
        [ffmpeg.executable(Settings()), "-v", "error", "-i", media / "b.wav", "-f", "mp3", "-write_xing", "1", "-"],
        capture_output=True,
        check=True,
    ).stdout
    (tmp_path / "joined.mp3").write_bytes(first + first)
    (part,) = prepare(f"{tmp_path / 'joined.mp3'}[8.4s-10.4s]").parts
    assert abs(_pitch_change_s(part.data, 3) - 0.6) < 0.3


def test_pictures_texts_and_melodies_have_no_seconds_to_choose(sample_media: Path) -> None:
    for pattern in ("*.jpg", "*.txt", "*.mid", "*.gif"):
        found = min((sample_media / "formats").glob(pattern))
        with pytest.raises(OutsideDuration, match="no recording or clip"):
            prepare(Excerpt(found, 0, 1))


def test_a_file_that_is_really_called_so_is_that_file(media: Path, tmp_path: Path) -> None:
    odd = tmp_path / "b.wav[1s-2s]"
    shutil.copy(media / "b.wav", odd)
    (whole,) = prepare(str(odd)).parts
    assert whole.span is None
    (cut,) = prepare(f"{odd}[1s-3s]").parts
    assert cut.span == Span(1.0, 3.0)


def test_a_suffix_without_moments_is_part_of_a_name(media: Path) -> None:
    for suffix in ("[1]", "[-]", "[a-b]", "[]"):
        with pytest.raises(NotFound):
            prepare(f"{media / 'b.wav'}{suffix}")


def test_two_excerpts_of_one_clip_are_two_parts_each_with_its_own_seconds(media: Path) -> None:
    name = media / "b.wav"
    message = prepare([f"{name}[0s-1s]", f"{name}[2s-3s]"], profile="smsglobal")
    assert [part.span for part in message.parts] == [Span(0, 1), Span(2, 3)]
    assert message.parts[0].data != message.parts[1].data
    assert not [note for part in message.parts for note in part.notes if "the same" in note]


def test_seconds_for_the_whole_job_are_the_one_recordings_and_never_guessed(media: Path, sample_media: Path) -> None:
    photo = min((sample_media / "formats").glob("*.jpg"))
    broken = ("broken.jpg", b"\xff\xd8\xff\xe0 no picture")
    (left,) = prepare([broken, media / "b.wav"], from_s=1, to_s=2, on_error="skip").parts
    assert left.span == Span(1.0, 2.0), "what is left out takes no wish with it"
    message = prepare([photo, media / "b.wav"], from_s="0:01", to_s="0:02")
    assert [part.span for part in message.parts] == [None, Span(1, 2)]
    with pytest.raises(UsageError, match=r"2 recordings and clips .*\[0:05-0:20\]"):
        prepare([media / "a.mp4", media / "b.wav"], from_s=1)
    with pytest.raises(UsageError, match="no recording or clip"):
        prepare(photo, from_s=1)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("12", 12),
        ("12s", 12),
        ("12.5s", 12.5),
        ("1:05", 65),
        ("01:05.5", 65.5),
        ("1:02:03", 3723),
        ("90:00", 5400),
        (7, 7),
    ],
)
def test_a_moment_is_written_as_people_write_it(written: str | int, seconds: float) -> None:
    assert as_moment(written, "from_s") == seconds


@pytest.mark.parametrize("wrong", ["", "1:60", "1:75:00", "-3", -3, "abc", "1m", "1:05s", True, None, float("nan")])
def test_what_is_no_moment_is_told_with_what_is_one(wrong: object) -> None:
    with pytest.raises(UsageError, match=r"from_s: is .*expected seconds like 12"):
        as_moment(wrong, "from_s")


def test_an_excerpt_ends_behind_its_beginning(media: Path, settings: Settings) -> None:
    for bad in (lambda: Excerpt(b"x", 5, 5), lambda: Job(attachments=b"x", from_s=5, to_s=2)):
        with pytest.raises(UsageError, match="end lies behind"):
            bad()
    with pytest.raises(UsageError, match="20-12"):
        take_in([f"{media / 'b.wav'}[20-12]"], settings)


def test_every_door_takes_an_excerpt(media: Path) -> None:
    span = Span(1, 2)
    wav = (media / "b.wav").read_bytes()
    with (media / "b.wav").open("rb") as file:
        inputs: list[AttachmentInput] = [
            Excerpt(wav, 1, 2),
            Excerpt(("b.wav", wav), 1, 2),
            Excerpt(file, 1, 2),
            f"{media / 'b.wav'}[1-2]",
        ]
        for given in inputs:
            assert prepare(given).parts[0].span == span
    (found,) = inspect(f"{media / 'b.wav'}[1-2]")
    assert found.span == span
    ready: dict[str, Any] = pre_send(
        {"to": "61400000000", "attachments": [Excerpt(wav, 1, 2), f"{media / 'b.wav'}[1-2]"]}
    )
    one, two = ready["attachments"]
    assert isinstance(one, bytes)
    assert Path(two).read_bytes() == one
    assert isinstance(pre_send({"attachments": io.BytesIO(wav)}, from_s=1, to_s=2)["attachments"].read(), bytes)


def test_a_path_that_needs_no_cut_comes_back_from_the_hook_without_its_moments(media: Path) -> None:
    given = f"{media / 'b.amr'}[0s-]"
    assert pre_send({"attachments": [given]})["attachments"] == [str(media / "b.amr")]


def test_other_seconds_are_another_send(media: Path) -> None:
    keys = {key_of(Job(attachments=f"{media / 'b.wav'}{suffix}")) for suffix in ("", "[0s-1s]", "[1s-2s]", "[1s-]")}
    assert len(keys) == 4


def test_the_command_cuts_and_tells(media: Path, tmp_path: Path) -> None:
    run = CliRunner().invoke
    done = run(
        app, ["prepare", str(media / "a.mp4"), "--from", "2s", "--to", "0:04", "-o", str(tmp_path / "m"), "--json"]
    )
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["parts"][0]["span"] == {"from_s": 2, "to_s": 4}
    done = run(app, ["prepare", str(media / "a.mp4"), "--from", "1m", "-o", str(tmp_path / "n")])
    assert done.exit_code == 2
    done = run(app, ["prepare", f"{media / 'a.mp4'}[8s-]", "-o", str(tmp_path / "n")])
    assert done.exit_code == 3
    assert not (tmp_path / "n").exists()
    done = run(app, ["send", str(media / "a.mp4"), "--to", "61400000000", "--from", "0:12", "--yes"])
    assert done.exit_code == 2
    assert "--cut-from" in done.output


def test_a_poster_is_of_the_seconds_that_were_asked_for(media: Path) -> None:
    message: Message = prepare(f"{media / 'a.mp4'}[4s-5s]", poster=True, limit_bytes=3_000)
    (part,) = message.parts
    assert part.kind == "image"
    raw = _decoded(part.data, "-f", "rawvideo", "-vf", "format=gray")
    assert np.frombuffer(raw, np.uint8).mean() == pytest.approx(20 + _LUMA_A_FRAME * 112, abs=22)


def test_an_excerpt_of_an_excerpt_is_refused(media: Path) -> None:
    with pytest.raises(UsageError, match="give the moments of the whole"):
        Excerpt(Excerpt(b"x", 1, 2), 0, 1)  # type: ignore[arg-type]
