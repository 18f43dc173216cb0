"""Animations: what is shown, for how long and how often, after they were made to fit."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from mmsprep import prepare
from mmsprep.model import Part

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
    noise = np.random.default_rng(1)
    base = Image.fromarray(noise.integers(0, 256, (60, 80, 3), np.uint8)).resize((640, 480), Image.Resampling.BICUBIC)
    images = [base.rotate(7 * number, Image.Resampling.BICUBIC) for number in range(40)]
    part = _part(_saved(images, "WEBP", duration=80, loop=0, quality=80), limit_bytes=40_000)
    assert part.content_type == "video/3gpp"
    assert part.duration_s == pytest.approx(40 * 0.08, abs=0.1)
    assert "animation_as_clip" in [reason.code for reason in part.reasons]
    assert part.size_bytes <= 40_000


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
