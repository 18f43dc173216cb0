"""Animations: what is shown, for how long and how often, after they were made to fit."""

from __future__ import annotations

import io
import math
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from mmsprep import Job, forecast, prepare, split
from mmsprep.message import Forecast, Message
from mmsprep.model import Part
from mmsprep.pipeline import run
from mmsprep.profile import Profile
from mmsprep.tools import ffmpeg
from mmsprep.tools.workspace import Workspace
from mmsprep.transcode.video.mezzanine import mezzanine_of_pictures

_Frames = list[tuple[NDArray[np.uint8], int]]


def _ball(frames: int = 24, size: tuple[int, int] = (320, 240), grain: int = 4) -> list[Image.Image]:
    """A ball that moves over a still picture, with the grain of a camera."""
    noise = np.random.default_rng(5)
    coarse = Image.fromarray(noise.integers(40, 200, (60, 80, 3), np.uint8))
    ground = np.asarray(coarse.resize(size, Image.Resampling.BICUBIC), np.int16)
    made = []
    for number in range(frames):
        grained = ground + noise.integers(-grain, grain + 1, ground.shape)
        image = Image.fromarray(grained.clip(0, 255).astype(np.uint8))
        left = 10 + number * (size[0] - 90) // frames
        ImageDraw.Draw(image).ellipse((left, 80, left + 70, 150), fill="#e02020")
        made.append(image)
    return made


def _saved(images: Sequence[Image.Image], kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    images[0].save(out, kind, save_all=True, append_images=images[1:], **options)
    return out.getvalue()


def _shown(data: bytes) -> tuple[_Frames, int | None]:
    """Every frame as a viewer composes it with its time in ms, and the loop count."""
    frames: _Frames = []
    with Image.open(io.BytesIO(data)) as image:
        loop = image.info.get("loop")
        for number in range(getattr(image, "n_frames", 1)):
            image.seek(number)
            frames.append((np.asarray(image.convert("RGB")), image.info["duration"]))
    return frames, loop


def _part(data: bytes, **options: object) -> Part:
    (part,) = prepare([("moving", data)], **options).parts  # type: ignore[arg-type]
    return part


def test_an_animation_fills_its_budget_and_keeps_its_time() -> None:
    data = _saved(_ball(), "WEBP", duration=70, loop=0, quality=90)
    for limit in (40_000, 90_000):
        part = _part(data, limit_bytes=limit)
        assert part.content_type == "image/gif"
        assert 0.97 * (limit - 1_600) <= part.size_bytes <= limit
        frames, loop = _shown(part.data)
        assert sum(duration for _, duration in frames) == pytest.approx(24 * 70, abs=10)
        assert loop == 0


def test_what_a_viewer_sees_is_what_was_meant_on_every_frame() -> None:
    """Only changed pixels are written; composed again they are the source, within the palette and the tolerance."""
    images = _ball(10, (160, 120))
    part = _part(_saved(images, "WEBP", duration=100, loop=0, lossless=True), limit_bytes=250_000)
    frames, _ = _shown(part.data)
    assert len(frames) == 10 and frames[0][0].shape == (120, 160, 3)
    for (seen, _), meant in zip(frames, images, strict=True):
        error = np.abs(seen.astype(np.int16) - np.asarray(meant, np.int16)).max(axis=2)
        assert np.quantile(error, 0.99) < 40 and error.mean() < 12


def test_a_still_ground_costs_next_to_nothing() -> None:
    one, many = (
        _part(_saved(_ball(count), "WEBP", duration=60, lossless=True), limit_bytes=290_000) for count in (2, 24)
    )
    assert many.width_px == one.width_px == 320
    assert many.size_bytes < 4 * one.size_bytes


def test_uneven_times_that_are_no_hundredths_do_not_drift() -> None:
    times = [33, 47, 61, 33] * 6
    part = _part(_saved(_ball(), "WEBP", duration=times, loop=0), limit_bytes=60_000)
    frames, _ = _shown(part.data)
    assert sum(duration for _, duration in frames) == pytest.approx(sum(times), abs=10)


@pytest.mark.parametrize(("kind", "loop", "expected"), [("GIF", 3, 3), ("PNG", 3, 2), ("WEBP", 1, None), ("PNG", 0, 0)])
def test_it_plays_as_often_as_it_did(kind: str, loop: int, expected: int | None) -> None:
    data = _saved(_ball(6, (400, 300)), kind, duration=100, loop=loop)
    assert _shown(_part(data, limit_bytes=40_000).data)[1] == expected


def test_few_colours_stay_exact() -> None:
    images = []
    for number in range(8):
        image = Image.new("RGB", (300, 200), "#ffffff")
        ImageDraw.Draw(image).rectangle(
            (20 + 10 * number, 40, 90 + 10 * number, 120), fill="#0040ff", outline="#101010"
        )
        images.append(image)
    part = _part(_saved(images, "PNG", duration=100, loop=0))
    assert part.content_type == "image/gif"
    for (seen, _), meant in zip(_shown(part.data)[0], images, strict=True):
        assert np.array_equal(seen, np.asarray(meant))


def test_below_the_floor_it_becomes_a_clip_that_keeps_its_time_and_the_report_says_why() -> None:
    part = _part(_turning(), limit_bytes=40_000)
    assert part.content_type == "video/3gpp"
    assert part.duration_s == pytest.approx(40 * 0.08, abs=0.1)
    assert "animation_as_clip" in [reason.code for reason in part.reasons]
    assert part.size_bytes <= 40_000


@pytest.mark.parametrize(("frame_ms", "content_type"), [(100, "image/gif"), (160, "video/3gpp")])
def test_what_is_low_as_a_gif_becomes_a_clip_unless_it_is_so_short_that_it_has_to_repeat(
    sample_media: Path, frame_ms: int, content_type: str
) -> None:
    photo = Image.open(sample_media / "formats/photo.jpg").convert("RGB")
    pan = [photo.crop((2 * number, number, 2 * number + 240, number + 180)) for number in range(24)]
    data = _saved(pan, "WEBP", duration=frame_ms, loop=0, quality=90)
    part = _part(data, limit_bytes=170_000)
    (foretold,) = forecast(Job(attachments=[("moving", data)], limit_bytes=170_000)).parts
    assert part.content_type == foretold.content_type == content_type
    assert part.quality > 90 if content_type == "video/3gpp" else 30 <= part.quality < 50
    assert foretold.quality == pytest.approx(part.quality, abs=12)
    assert part.duration_s == pytest.approx(24 * frame_ms / 1000, abs=0.1)


def test_beside_photographs_its_clip_gets_what_it_is_worth(sample_media: Path) -> None:
    """Twice as many bytes as where it counted for what a GIF is worth: 95 and not 55, the photographs 92 and 69."""
    photo = Image.open(sample_media / "formats/photo.jpg").convert("RGB")
    pan = _saved([photo.crop((2 * n, n, 2 * n + 240, n + 180)) for n in range(24)], "WEBP", duration=160, quality=90)
    others = [sample_media / "formats/photo.bmp", sample_media / "message/IMG_20260613_101502.jpg"]
    job = Job(attachments=[("moving", pan), *others], limit_bytes=100_000)
    made, foretold = run(job), forecast(job)
    assert made.parts[0].content_type == foretold.parts[0].content_type == "video/3gpp"
    assert made.parts[0].quality >= min(part.quality for part in made.parts[1:]) >= 60
    assert foretold.parts[0].quality == pytest.approx(made.parts[0].quality, abs=15)


def test_a_quality_that_its_gif_does_not_reach_is_reached_by_its_clip(sample_media: Path) -> None:
    """Twelve frames of 0.1 s stay a GIF of 30 to 50 where nothing is asked for."""
    photo = Image.open(sample_media / "formats/photo.jpg").convert("RGB")
    pan = _saved([photo.crop((2 * n, n, 2 * n + 240, n + 180)) for n in range(12)], "GIF", duration=100, loop=0)
    job = Job(attachments=[("pan.gif", pan)], limit_bytes=85_000, quality="high")
    clips: list[Message | Forecast] = [forecast(job), run(replace(job, trim=True, poster=True)), *split(job)]
    assert len(clips) == 3
    for (part,) in (message.parts for message in clips):
        assert part.content_type == "video/3gpp" and part.quality >= 70
    assert run(replace(job, quality="low")).parts[0].content_type == "image/gif"


@pytest.mark.parametrize("name", ["animated.gif", "sprite.gif", "animated.png", "animated.webp", "animated.avif"])
def test_sample_animations_play_as_long_as_before(sample_media: Path, name: str) -> None:
    path = sample_media / "formats" / name
    with Image.open(path) as image:
        total_ms = 0
        for number in range(getattr(image, "n_frames", 1)):
            image.seek(number)
            total_ms += image.info.get("duration") or 100
    (part,) = prepare([path], limit_bytes=25_000, trim=True).parts
    assert part.duration_s == pytest.approx(total_ms / 1000, abs=0.1)


def test_the_same_animation_gives_the_same_bytes() -> None:
    data = _saved(_ball(8), "WEBP", duration=80)
    assert _part(data, limit_bytes=30_000).data == _part(data, limit_bytes=30_000).data


def _chunk_edited(data: bytes, name: bytes, at: int, value: bytes, which: int = 0) -> bytes:
    """A PNG with other bytes at a place of the manieth chunk of a name, its checksum right again."""
    place = -1
    for _ in range(which + 1):
        place = data.index(name, place + 1)
    length = int.from_bytes(data[place - 4 : place], "big")
    body = data[place : place + 4 + at] + value + data[place + 4 + at + len(value) : place + 4 + length]
    return data[:place] + body + struct.pack(">I", zlib.crc32(body)) + data[place + 8 + length :]


def _apng(times_s: Sequence[int], plays: int = 0, size: tuple[int, int] = (200, 150)) -> bytes:
    """An animation of whole seconds a frame; Pillow writes neither as long ones nor as many plays."""
    data = _saved(_ball(len(times_s), size), "PNG", duration=100, loop=1)
    data = _chunk_edited(data, b"acTL", 4, struct.pack(">I", plays))
    for number, seconds in enumerate(times_s):
        data = _chunk_edited(data, b"fcTL", 20, struct.pack(">HH", seconds, 1), number)
    return data


@pytest.mark.parametrize("plays", [65_536, 65_537, 70_000, (1 << 32) - 1])
def test_more_repeats_than_a_gif_can_count_become_as_many_as_it_can_and_that_is_told(plays: int) -> None:
    part = _part(_apng([1, 1, 1], plays))
    assert part.content_type == "image/gif"
    assert _shown(part.data)[1] == 65_535
    assert any("65,535 times" in note for note in part.notes) == (plays > 65_536)


@pytest.mark.parametrize("times_s", [[655, 1], [656, 1], [700, 1], [1, 3_000], [1_311, 2, 1_311]])
def test_a_frame_that_stands_longer_than_a_gif_can_say_stands_as_long(times_s: list[int]) -> None:
    part = _part(_apng(times_s))
    assert part.content_type == "image/gif"
    assert part.duration_s == sum(times_s)
    shown = groupby(_shown(part.data)[0], key=lambda frame: frame[0].tobytes())
    assert [sum(duration_ms for _, duration_ms in same) / 1000 for _, same in shown] == times_s


def test_frames_that_are_the_same_for_longer_than_a_gif_can_say_are_one_frame_of_that_length() -> None:
    """A sign in a shop: one picture in steps of a minute, then another."""
    first, second = _ball(2, (200, 150))
    data = _saved([*[first] * 11, second], "WEBP", duration=[60_000] * 11 + [500], allow_mixed=True)
    part = _part(data)
    assert part.duration_s == pytest.approx(660.5)
    assert sum(duration for _, duration in _shown(part.data)[0]) == pytest.approx(660_500, abs=10)


def _turning(last_ms: int = 80) -> bytes:
    """Noise that turns: at 40 kB no GIF of it is worth sending."""
    noise = np.random.default_rng(1)
    base = Image.fromarray(noise.integers(0, 256, (60, 80, 3), np.uint8)).resize((640, 480), Image.Resampling.BICUBIC)
    images = [base.rotate(7 * number, Image.Resampling.BICUBIC) for number in range(40)]
    return _saved(images, "WEBP", duration=[80] * 39 + [last_ms], loop=0, quality=80)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc to see the peak of memory")
def test_how_long_a_frame_stands_costs_no_memory_and_a_pause_too_long_for_a_clip_is_cut_and_told(
    tmp_path: Path,
) -> None:
    """A process of its own tells its peak; 40 kB carry a clip of up to 32 s."""
    peaks_mb = []
    for pause_s, source_s in ((0.08, 3.2), (20, 23.12), (600, 13.12)):
        path = tmp_path / f"{pause_s}.webp"
        path.write_bytes(_turning(round(pause_s * 1000)))
        code = (
            "import re, sys\nfrom mmsprep import prepare\n(part,) = prepare([sys.argv[1]], limit_bytes=40_000).parts\n"
            "peak = re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1]\n"
            "print(part.format, part.duration_s, peak, *part.notes, sep='|')\n"
        )
        done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
        form, duration_s, peak_kb, *notes = done.stdout.strip().split("|")
        every = next((n for n, word in ((2, "2nd"), (3, "3rd")) if f"every {word} frame kept" in notes), 1)
        # The last frame that is kept stands as long as all of them.
        stands_s = 0.08 * every
        wanted_s = math.ceil(round(source_s / stands_s, 6)) * stands_s
        assert form == "3gp" and float(duration_s) == pytest.approx(wanted_s, abs=0.1)
        assert any("pauses of more than 10 s" in note for note in notes) == (pause_s == 600)
        peaks_mb.append(int(peak_kb) / 1024)
    assert max(peaks_mb) < min(peaks_mb) + 100


def test_a_picture_stands_in_a_clip_for_as_long_as_it_should(workspace: Workspace, profile: Profile) -> None:
    """Every distinct picture goes to ffmpeg once; what comes back has it as often as its time says."""
    assert profile.video is not None
    for times_ms, repeats in (
        ([100] * 5, [1] * 5),
        ([600, 40, 40, 1_000], [15, 1, 1, 25]),
        ([33, 47, 61], [1, 1, 2]),
        ([20], [1]),
        ([20, 10_000, 20], [250, 1]),
        ([40] * 150, [1] * 150),
        ([40, 120, 80] * 50, [1, 3, 2] * 50),
    ):
        shades = [Image.new("RGB", (64, 48), (40 + 40 * (number % 5),) * 3) for number in range(len(times_ms))]
        pictures = list(zip(shades, times_ms, strict=True))
        made = mezzanine_of_pictures(pictures, profile.video, workspace)
        assert made.frame_count == sum(repeats) and made.picture_s == pytest.approx(sum(times_ms) / 1000, abs=0.04)
        data = made.picture.read_bytes()
        length = made.width_px * made.height_px * 3 // 2
        at, levels = data.index(b"\n") + 1, []
        while at < len(data):
            at += len(b"FRAME\n")
            levels.append(data[at])
            at += length
        assert len(levels) == made.frame_count
        assert [len(list(run)) for _, run in groupby(levels)] == repeats


def test_a_clip_of_an_animation_is_made_only_where_no_gif_will_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A small GIF that is good enough starts no ffmpeg at all."""
    ran: list[Any] = []
    run = ffmpeg.run

    def counted(workspace: Workspace, output: Any, **options: Any) -> Any:
        ran.append(output)
        return run(workspace, output, **options)

    monkeypatch.setattr(ffmpeg, "run", counted)
    assert _part(_saved(_ball(6, (160, 120)), "WEBP", duration=100)).content_type == "image/gif"
    assert not ran
    assert _part(_turning(), limit_bytes=40_000).content_type == "video/3gpp"
    assert ran


def test_a_picture_that_stands_in_for_an_animation_is_no_frame_of_it() -> None:
    """PNG: a default image without a frame's head before it is for viewers that cannot show the animation."""
    images = _ball(5, (160, 120))
    data = _saved([Image.new("RGB", (160, 120), "#ff0000"), *images], "PNG", duration=100, loop=0, default_image=True)
    part = _part(data)
    frames, _ = _shown(part.data)
    assert len(frames) == 5
    assert part.duration_s == pytest.approx(0.5)
    assert np.abs(frames[0][0].astype(np.int16) - np.asarray(images[0])).mean() < 10


@pytest.mark.parametrize("profile", ["smsglobal", "image-basic"])
def test_of_a_damaged_png_animation_the_picture_that_viewers_show_is_sent_and_that_is_told(profile: str) -> None:
    data = _saved(_ball(4, (160, 120)), "PNG", duration=100, loop=0)
    part = _part(_chunk_edited(data, b"fcTL", 0, struct.pack(">I", 77), 2), profile=profile)
    assert part.content_type == "image/jpeg"
    assert any("animation is damaged" in note for note in part.notes)


def test_a_png_whose_animation_never_begins_is_a_picture() -> None:
    """It says that it is animated, but its frames have no heads: viewers show the picture."""
    data = _saved(_ball(2, (160, 120)), "PNG", duration=100, loop=0)
    for _ in range(2):
        place = data.index(b"fcTL") - 4
        data = data[:place] + data[place + 38 :]
    assert _part(data).content_type == "image/jpeg"


def test_frames_that_show_the_same_are_one_that_lasts_longer(make: Callable[[str, str], bytes]) -> None:
    """ffmpeg writes every frame of a clip that stands still; how often it plays is not said."""
    still = "-f lavfi -i testsrc2=size=64x48:rate=5:duration=1 -vf fps=10"
    part = prepare([("a.png", make(f"{still} -plays 0 -f apng", "png"))]).parts[0]
    with Image.open(io.BytesIO(part.data)) as image:
        assert getattr(image, "n_frames", 1) == 5
    assert part.duration_s == pytest.approx(1.0, abs=0.05)
    once = prepare([("a.gif", make(f"{still} -loop -1", "gif"))]).parts[0]
    assert b"NETSCAPE" not in once.data and once.duration_s == pytest.approx(1.0, abs=0.05)
