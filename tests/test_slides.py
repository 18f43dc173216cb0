"""A clip as slides: its scenes as pictures, each for as long as it stood, over the clip's own sound in pieces."""

from __future__ import annotations

import io
import json
import subprocess
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from typer.testing import CliRunner

from mmsprep import Excerpt, Job, Message, forecast, pre_send, prepare, read_message, send, split
from mmsprep.cli import app
from mmsprep.errors import BelowFloor, UsageError
from mmsprep.handset.scene import read_slides
from mmsprep.model import Kind
from mmsprep.profile import AudioStep
from mmsprep.sender.account import sandbox_account
from mmsprep.settings import Settings
from mmsprep.tools import ffmpeg
from mmsprep.tools.workspace import Workspace
from mmsprep.transcode.sound import mp3, pieces
from mmsprep.transcode.video.scenes import scenes_of

_FPS, _RATE_HZ = 10, 16_000
_SIZE = (480, 360)
_TONE_HZ = (200, 60)
_COLOURS = {"red": (200, 40, 40), "green": (30, 160, 60), "blue": (40, 60, 200), "white": (240, 240, 240)}
_SCENES = (("red", 3.0), ("green", 2.4), ("blue", 3.6), ("white", 3.0))


def _page(colour: str, lines: int = 9) -> bytes:
    """A page as a screen shows one."""
    picture = Image.new("RGB", _SIZE, _COLOURS[colour])
    draw = ImageDraw.Draw(picture)
    for row in range(lines):
        draw.text((20, 20 + 34 * row), f"{colour} page, line {row}: what is said here", fill=(10, 10, 10), font_size=20)
    return picture.tobytes()


def _clip(
    path: Path,
    scenes: Any = _SCENES,
    sound_s: float | None = None,
    *,
    loud: float = 0.3,
    hz: tuple[int, int] = _TONE_HZ,
) -> Path:
    """A clip of pages; its sound rises all the time, so that every moment is told from every other.

    ``hz``: where it begins, and half of how much it rises in a second.
    """
    frames = b"".join(_page(colour) * round(seconds * _FPS) for colour, seconds in scenes)
    picture = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", "{}x{}".format(*_SIZE), "-r", str(_FPS), "-i", "-"]
    sound = []
    if sound_s != 0:
        wav = path.with_suffix(".wav")
        wav.write_bytes(_rising(sound_s or sum(seconds for _, seconds in scenes), loud, hz))
        sound = ["-i", str(wav), "-c:a", "aac", "-b:a", "96k"]
    program = ffmpeg.executable(Settings())
    made = [program, "-v", "error", "-y", *picture, *sound, "-c:v", "libx264", "-preset", "ultrafast", str(path)]
    subprocess.run(made, input=frames, check=True)
    return path


def _rising(seconds: float, loud: float, hz: tuple[int, int] = _TONE_HZ) -> bytes:
    moments = np.arange(round(seconds * _RATE_HZ)) / _RATE_HZ
    samples = loud * np.sin(2 * np.pi * (hz[0] * moments + hz[1] * moments**2)) * 32_767
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(_RATE_HZ)
        writer.writeframes(samples.astype("<i2").tobytes())
    return file.getvalue()


@dataclass(frozen=True)
class _Made:
    path: Path
    message: Message


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> _Made:
    path = _clip(tmp_path_factory.mktemp("slides") / "pages.mp4")
    return _Made(path, prepare(path, slides=True, text="Hello"))


def _pictures(message: Message) -> list[Any]:
    return [part for part in message.parts if part.kind is Kind.IMAGE]


def _sounds(message: Message) -> list[Any]:
    return [part for part in message.parts if part.kind is Kind.AUDIO]


def _samples(data: bytes) -> Any:
    program = ffmpeg.executable(Settings())
    words = [program, "-v", "error", "-i", "-", "-f", "f32le", "-ac", "1", "-ar", str(_RATE_HZ), "-"]
    done = subprocess.run(words, input=data, capture_output=True, check=True)
    assert not done.stderr
    return np.frombuffer(done.stdout, np.float32)


def _colour(data: bytes) -> str:
    with Image.open(io.BytesIO(data)) as image:
        mean = np.asarray(image.convert("RGB")).reshape(-1, 3).mean(axis=0)
    return min(_COLOURS, key=lambda name: float(np.abs(mean - _COLOURS[name]).sum()))


def test_each_scene_is_a_picture_for_as_long_as_it_stood(pages: _Made) -> None:
    pictures = _pictures(pages.message)
    assert [_colour(part.data) for part in pictures] == [colour for colour, _ in _SCENES]
    assert [part.shown_s for part in pictures] == [pytest.approx(seconds, abs=0.5) for _, seconds in _SCENES]
    bounds = np.cumsum([part.shown_s for part in pictures])
    assert bounds == pytest.approx(np.cumsum([seconds for _, seconds in _SCENES]), abs=0.3)


def test_the_presentation_shows_every_picture_with_its_piece_of_the_sound(pages: _Made) -> None:
    slides = ElementTree.fromstring(pages.message.smil).findall("body/par")
    shown = [{media.tag: media.get("src") for media in slide} for slide in slides]
    assert [set(slide) for slide in shown] == [{"img", "audio", "text"}, *[{"img", "audio"}] * 3]
    times = [slide.get("dur") for slide in slides]
    assert times == [f"{round(part.shown_s * 1000)}ms" for part in _pictures(pages.message)]
    assert [part.name[:2] for part in pages.message.parts] == ["01", "02", "03", "04", "05", "06", "07", "08"]


def test_the_pieces_of_the_sound_are_the_whole_sound_without_a_gap(pages: _Made) -> None:
    sounds = [_samples(part.data) for part in _sounds(pages.message)]
    assert sum(map(len, sounds)) / _RATE_HZ == pytest.approx(12.0, abs=0.05)
    played = np.concatenate(sounds)
    whole = _samples(_rising(12.0, 0.3))
    # The pitch tells the moment: wherever it is listened to, also behind each cut, it is where it was.
    for moment_s in np.arange(0.5, 11.5, 0.25):
        first = round(moment_s * _RATE_HZ)
        heard, said = (
            np.abs(np.fft.rfft(one[first : first + 1600] * np.hanning(1600), 16_384)).argmax() * _RATE_HZ / 16_384
            for one in (played, whole)
        )
        assert abs(heard - said) / 120 < 0.09, f"at {moment_s} s it is {(said - heard) / 120:.3f} s late"


def test_it_fits_and_tells_the_quality_of_each_slide(pages: _Made) -> None:
    for message in (pages.message, prepare(pages.path, slides=True, limit_bytes=100_000)):
        assert message.total_bytes <= message.limit_bytes
        assert len(message.mime()) == message.total_bytes
        assert all(part.quality > 30 for part in _pictures(message))
        assert len({part.quality for part in _sounds(message)}) == 1


def test_the_report_tells_the_seconds_of_each_slide_and_is_read_back(pages: _Made, tmp_path: Path) -> None:
    report = json.loads(pages.message.files().files["message.json"])
    spans = [part["span"] for part in report["parts"] if part["kind"] == "image"]
    assert spans[0]["from_s"] == 0
    assert all(one["to_s"] == pytest.approx(other["from_s"]) for one, other in pairwise(spans))
    assert spans[-1]["to_s"] == pytest.approx(12.0, abs=0.1)
    assert all(part["reasons"][-1]["code"] == "slides" for part in report["parts"])
    assert any("--via mm7" in warning for warning in report["warnings"])
    pages.message.write(tmp_path / "made")
    assert read_message(tmp_path / "made") == pages.message
    assert read_message(tmp_path / "made").smil == pages.message.smil


def test_a_phone_in_the_sandbox_plays_the_slides_in_their_times(pages: _Made) -> None:
    pytest.importorskip("starlette", reason="the extra mmsprep[sandbox] is not installed")
    from mmsprep.sandbox import Sandbox

    with Sandbox() as gateway:
        send(pages.message, to="61409317436", account=sandbox_account(gateway.url), via="mm7")
        (submission,) = [one.judgement.submission for one in gateway.exchanges if one.judgement.submission]
    shown = [
        ([submission.content.parts[place].content_type.partition("/")[0] for place in slide.parts], slide.duration_s)
        for slide in submission.content.slides
    ]
    times = [part.shown_s for part in _pictures(pages.message)]
    assert [sorted(kinds) for kinds, _ in shown] == [["audio", "image", "text"], *[["audio", "image"]] * 3]
    assert [seconds for _, seconds in shown] == pytest.approx(times, abs=0.002)
    assert [seconds for _, seconds in read_slides(pages.message.smil)] == pytest.approx(times, abs=0.002)


@pytest.mark.slow
def test_no_more_parts_than_the_gateway_takes_whatever_the_clip_shows(tmp_path: Path) -> None:
    colours = [*_COLOURS] * 6
    clip = _clip(tmp_path / "many.mp4", [(colour, 1.2) for colour in colours])
    photo = Image.new("RGB", (64, 64), "orange")
    data = io.BytesIO()
    photo.save(data, "PNG")
    message = prepare(
        [("a.png", data.getvalue()), clip, ("b.png", data.getvalue()[:-12] + data.getvalue()[-12:])], slides=True
    )
    assert len(message.parts) <= 15
    assert len(_sounds(message)) == 6
    assert sum(part.shown_s for part in _sounds(message)) == pytest.approx(28.8, abs=0.1)
    assert [message.parts[0].indexes, message.parts[-1].indexes] == [(0,), (2,)]
    assert {part.indexes for part in message.parts[1:-1]} == {(1,)}


@pytest.mark.parametrize(("sound_s", "loud"), [(0, 0.3), (12.0, 0.0)])
def test_a_clip_without_sound_or_with_silence_is_pictures_alone(tmp_path: Path, sound_s: float, loud: float) -> None:
    message = prepare(_clip(tmp_path / "quiet.mp4", sound_s=sound_s, loud=loud), slides=True)
    assert [part.kind for part in message.parts] == [Kind.IMAGE] * 4
    assert [part.shown_s for part in message.parts] == pytest.approx([seconds for _, seconds in _SCENES], abs=0.11)


def test_of_sound_that_the_profiles_recordings_do_not_carry_only_a_note_is_left(tmp_path: Path) -> None:
    """A hum of 40 Hz, where recordings are AMR: the pictures are sent as those of a silent clip are."""
    message = prepare(_clip(tmp_path / "hum.mp4", hz=(40, 0)), profile="legacy-gsm", slides=True)
    assert [part.kind for part in message.parts] == [Kind.IMAGE] * 4
    assert [part.shown_s for part in message.parts] == pytest.approx([seconds for _, seconds in _SCENES], abs=0.11)
    assert any("nothing that the profile's recordings carry: left out" in note for note in message.parts[0].notes)


@pytest.mark.slow
def test_sound_that_ends_early_or_late_ends_there(tmp_path: Path) -> None:
    early = prepare(_clip(tmp_path / "early.mp4", sound_s=4.5), slides=True)
    assert [part.kind for part in early.parts] == [
        Kind.IMAGE,
        Kind.AUDIO,
        Kind.IMAGE,
        Kind.AUDIO,
        Kind.IMAGE,
        Kind.IMAGE,
    ]
    assert sum(part.shown_s or 0 for part in _sounds(early)) == pytest.approx(4.5, abs=0.1)
    assert sum(part.shown_s or 0 for part in _pictures(early)) == pytest.approx(12.0, abs=1.0)
    late = prepare(_clip(tmp_path / "late.mp4", sound_s=14.0), slides=True)
    assert sum(part.shown_s for part in _pictures(late)) == pytest.approx(14.0, abs=0.1)
    assert _pictures(late)[-1].shown_s == pytest.approx(5.0, abs=0.3)


def test_chosen_seconds_become_slides(pages: _Made) -> None:
    message = prepare(Excerpt(pages.path, 4.0, 8.0), slides=True)
    assert [_colour(part.data) for part in _pictures(message)] == ["green", "blue"]
    assert sum(part.shown_s for part in _pictures(message)) == pytest.approx(4.0, abs=0.1)
    assert message.parts[0].span is not None
    assert message.parts[0].span.from_s == 4
    assert message.parts[0].span.to_s == pytest.approx(5.4, abs=0.3)


def test_a_page_that_fills_slowly_is_cut_where_it_has_changed_and_shown_full(tmp_path: Path) -> None:
    program = ffmpeg.executable(Settings())
    frames = b"".join(_page("white", lines=1 + number // 15) for number in range(120))
    words = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", "{}x{}".format(*_SIZE), "-r", "10", "-i", "-"]
    made = [program, "-v", "error", "-y", *words, "-c:v", "libx264", "-preset", "ultrafast", str(tmp_path / "p.mp4")]
    subprocess.run(made, input=frames, check=True)
    message = prepare(tmp_path / "p.mp4", slides=True)
    assert 2 <= len(message.parts) <= 15
    with Image.open(io.BytesIO(message.parts[-1].data)) as last:
        grey = np.asarray(last.convert("L").resize(_SIZE))
    assert grey[20 + 34 * 6 : 40 + 34 * 6].min() < 120


def test_a_dry_run_foresees_the_slides(pages: _Made) -> None:
    foreseen = forecast(Job(attachments=pages.path, slides=True))
    assert [part.kind for part in foreseen.parts] == [part.kind for part in pages.message.parts]
    assert [part.shown_s for part in foreseen.parts] == pytest.approx(
        [part.shown_s for part in pages.message.parts], abs=0.1
    )
    assert foreseen.total_bytes <= 300_000


def test_slides_are_never_chosen_by_themselves_but_suggested_where_a_clip_would_be_poor(tmp_path: Path) -> None:
    clip = _clip(tmp_path / "long.mp4", _SCENES * 4)
    with pytest.raises(BelowFloor, match="--slides"):
        prepare(clip, limit_bytes=16_000)
    poor = prepare(clip, limit_bytes=100_000, quality=99, best_effort=True)
    assert [part.kind for part in poor.parts] == [Kind.VIDEO]
    assert any("--slides" in warning for warning in poor.warnings)


def test_slides_too_large_are_an_error_about_each(pages: _Made) -> None:
    with pytest.raises(BelowFloor, match=r"pages\.mp4, slide 1: needs .*") as caught:
        prepare(pages.path, slides=True, limit_bytes=15_000)
    assert "its sound: needs" in str(caught.value)
    assert "--from" in str(caught.value)
    assert "--split" not in str(caught.value)


def test_where_there_is_no_clip_slides_are_told_to_be_none() -> None:
    """So that who wants all clips as slides need not look for one first."""
    message = prepare(("a.wav", _rising(1, 0.3)), slides=True)
    assert [part.kind for part in message.parts] == [Kind.AUDIO]
    assert [warning for warning in message.warnings if "no clip" in warning] == [
        "a.wav: slides are asked for, but there is no clip among the attachments"
    ]


@pytest.mark.slow
def test_the_slides_of_each_clip_stay_with_their_sound_when_it_takes_several_messages(pages: _Made) -> None:
    """Together they are more parts than the gateway takes, and more bytes than this limit has."""
    other = pages.path.with_name("other.mp4")
    _clip(other, _SCENES)
    one = prepare(other, slides=True, limit_bytes=100_000)
    messages = split(Job(attachments=[pages.path, other], slides=True, text="Both", limit_bytes=100_000))
    assert [{index for part in message.parts for index in part.indexes} for message in messages] == [{0}, {1}]
    assert [message.text for message in messages] == ["Both", ""]
    for message in messages:
        assert message.total_bytes <= 100_000 and message.parts[0].kind is Kind.IMAGE
        assert len({part.shown_s for part in message.parts}) > 1
    assert [part.shown_s for part in messages[1].parts] == [part.shown_s for part in one.parts]


def test_the_command_makes_slides(pages: _Made, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["prepare", str(pages.path), "--slides", "-o", str(tmp_path / "m"), "--json"])
    assert done.exit_code == 0, done.output
    assert [part["kind"] for part in json.loads(done.stdout)["parts"]] == ["image", "audio"] * 4


# The parts that slides are made of


@pytest.fixture(scope="module")
def room() -> Iterator[Workspace]:
    with Workspace(Settings()) as workspace:
        yield workspace


@pytest.mark.parametrize("slug", ["mp3", "amr", "wav", "wav-ima"])
def test_a_sound_is_cut_between_its_frames_and_nothing_is_lost(room: Workspace, slug: str) -> None:
    samples = _samples(_rising(5.0, 0.5))
    if slug == "mp3":
        step = AudioStep(format="mp3", rate_kbps=26, sample_rate_hz=22_050)
        search = mp3.Search(step, 17_000, room)
        search.begun(mp3.Samples(samples.tobytes(), _RATE_HZ, 1, apart=True))
        data = search.filled()
    else:
        codecs = {"amr": ("libopencore_amrnb", "amr", "8000"), "wav": ("pcm_s16le", "wav", "16000")}
        codec, container, rate = codecs.get(slug, ("adpcm_ima_wav", "wav", "16000"))
        path = room.new_path(f".{container}")
        words = ["-v", "error", "-i", "-", "-c:a", codec, "-ar", rate, "-ac", "1", str(path)]
        subprocess.run([ffmpeg.executable(Settings()), *words], input=_rising(5.0, 0.5), check=True)
        data = path.read_bytes()
    made = pieces.cut(data, slug.partition("-")[0], [0, 1.03, 2.5, 2.9, 5.0])
    assert sum(seconds for _, seconds in made) == pytest.approx(5.0, abs=0.05)
    for piece, seconds in made:
        assert len(_samples(piece)) / _RATE_HZ == pytest.approx(seconds, abs=0.002)
        assert len(piece) < len(data)
    assert sum(len(piece) for piece, _ in made) <= len(data) + 4 * pieces.HEADER_BYTES


@given(
    seconds=st.lists(st.integers(1, 40), min_size=1, max_size=12),
    cuts=st.lists(st.floats(-1, 60), max_size=8),
    most=st.integers(1, 7),
)
def test_scenes_follow_one_another_from_the_beginning_to_the_end(
    seconds: list[int], cuts: list[float], most: int
) -> None:
    frames = np.concatenate([np.full((count, 4, 6), 20 * place % 255, np.uint8) for place, count in enumerate(seconds)])
    scenes = scenes_of(frames, 5.0, cuts, most)
    assert 1 <= len(scenes) <= most
    assert scenes[0].from_s == 0
    assert scenes[-1].to_s == pytest.approx(len(frames) / 5)
    for scene, following in pairwise(scenes):
        assert scene.to_s == following.from_s
    assert all(scene.length_s > 0 and 0 <= scene.frame < len(frames) for scene in scenes)


def test_the_hook_gives_back_every_slide_in_the_clips_place_and_form(pages: _Made, tmp_path: Path) -> None:
    photo = pages.path.with_name("note.txt")
    photo.write_text("a note")
    outgoing: dict[str, Any] = {"text": "", "attachments": [photo, str(pages.path), b"and another"]}
    first, *slides, last = pre_send(outgoing, slides=True, folder=tmp_path)["attachments"]
    assert (first, last) == (photo, b"and another")
    assert len(slides) == len(pages.message.parts) and all(isinstance(slide, str) for slide in slides)
    assert [Path(slide).suffix for slide in slides] == [Path(part.name).suffix for part in pages.message.parts]
    with pytest.raises(UsageError, match="give a list"):
        pre_send({"text": "", "attachments": pages.path}, slides=True)
