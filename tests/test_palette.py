"""GIFs of few colours: which colours they have, and what they are said to be worth."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont

from mmsprep import Message, prepare
from mmsprep.transcode.image.ladder import BITS, EVERY_SIZE, gif_source
from mmsprep.transcode.image.palette import few_coloured_gif
from mmsprep.transcode.image.score import Reference
from mmsprep.transcode.image.shrink import shrunk

GREEN, RED, ORANGE, BLUE = (0, 128, 105), (238, 17, 17), (196, 83, 45), (83, 189, 235)
SPOTS = {RED: (900, 30, 960, 90), ORANGE: (30, 150, 330, 180), BLUE: (800, 400, 840, 420)}


def chat(size_px: tuple[int, int] = (1080, 2340)) -> Image.Image:
    """A screenshot of a chat: many shades of lettering, and small things of other colours."""
    image = Image.new("RGB", size_px, (239, 234, 226))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, size_px[0], 120), GREEN)
    font = ImageFont.load_default(36)
    for line in range(130, size_px[1] - 120, 110):
        left = 20 if line % 220 else 220
        draw.rounded_rectangle(
            (left, line, left + 820, line + 96), 16, (255, 255, 255) if left == 20 else (217, 253, 211)
        )
        for row in range(2):
            draw.text(
                (left + 14, line + 6 + 42 * row),
                f"Message {line + row}: see you there at nine, and thanks",
                "black",
                font,
            )
    for colour, place in SPOTS.items():
        draw.rectangle(place, colour)
    return image


def shown(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data)).convert("RGB")


@pytest.mark.parametrize("bits", [4, 5, 6, 8])
def test_what_is_small_keeps_its_colour(bits: int) -> None:
    """Sixteen colours and more tell a red dot, an orange name and a blue tick from the green around them."""
    gif = shown(few_coloured_gif(chat(), bits))
    for colour, (left, top, right, bottom) in SPOTS.items():
        seen = gif.getpixel(((left + right) // 2, (top + bottom) // 2))
        assert isinstance(seen, tuple)
        assert np.abs(np.subtract(seen, colour)).max() <= 48, (colour, seen)


@given(st.lists(st.tuples(*[st.integers(0, 255)] * 3), min_size=1, max_size=16), st.integers(4, 8))
def test_no_more_colours_than_there_may_be_are_all_kept(colours: list[tuple[int, int, int]], bits: int) -> None:
    pixels = np.array([colours[place % len(colours)] for place in range(48)], np.uint8).reshape(6, 8, 3)
    assert np.array_equal(np.asarray(shown(few_coloured_gif(Image.fromarray(pixels), bits))), pixels)


@pytest.mark.parametrize("bits", [2, 3, 8])
def test_one_frame_that_does_not_repeat(bits: int) -> None:
    data = few_coloured_gif(chat((540, 600)), bits)
    assert data[:3] == b"GIF"
    assert b"NETSCAPE" not in data
    with Image.open(io.BytesIO(data)) as image:
        assert getattr(image, "n_frames", 1) == 1
        assert len(image.convert("RGB").getcolors(1 << bits) or ()) in range(2, (1 << bits) + 1)


def test_a_colour_that_is_gone_costs_quality() -> None:
    """The score sees luma; grey lettering in place of orange would be worth as much."""
    image = chat((1080, 600))
    grey = image.convert("L").convert("RGB")
    reference = Reference(image)
    assert reference.score(grey) > 95
    assert reference.drawn_score(image) == 100
    assert reference.drawn_score(grey) < 80


def _part(image: Image.Image, limit_bytes: int, tmp_path: Path) -> Message:
    image.save(tmp_path / "screen.png")
    return prepare([tmp_path / "screen.png"], limit_bytes=limit_bytes)


def test_a_screenshot_stays_as_large_as_it_can_be_read(tmp_path: Path) -> None:
    """Half of a message holds a screen of lettering at its whole size, in fewer colours."""
    (part,) = _part(chat(), 150_000, tmp_path).parts
    assert (part.content_type, part.width_px, part.height_px) == ("image/gif", 1080, 2340)
    assert part.quality >= 75


def test_black_lettering_in_few_colours_is_told_near_to_what_it_is_worth() -> None:
    """What it is worth by SSIMULACRA2; by the score of photographs 4 colours are off by 16."""
    page = Image.new("RGB", (1080, 1200), "white")
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(44)
    for line in range(14):
        draw.text((60, 40 + line * 80), f"Line {line}: quick brown foxes leave at {line}:40", fill="black", font=font)
    page = page.resize((540, 600), Image.Resampling.LANCZOS)
    worth = {2: 76.1, 3: 90.6}
    for bits, ssimulacra2 in worth.items():
        assert Reference(page).drawn_score(shown(few_coloured_gif(page, bits))) == pytest.approx(ssimulacra2, abs=13)


def test_what_a_drawing_in_few_colours_is_worth_does_not_depend_on_rounding() -> None:
    """Structure is compared by its difference: the same picture loses nothing, however bright it is."""
    for level in (0, 128, 255):
        image = Image.new("RGB", (300, 300), (level, level, 255 - level))
        assert Reference(image).drawn_score(image) == 100 and Reference(image).error(image) == 0


def _every_rung(image: Image.Image) -> list[tuple[int, float]]:
    """Bytes and quality of every size in every number of colours, by brute force."""
    reference, rungs = Reference(image), []
    for share in EVERY_SIZE:
        small = shrunk(image, (round(image.width * share), round(image.height * share)))
        for bits in BITS:
            data = few_coloured_gif(small, bits)
            rungs.append((len(data), reference.drawn_score(shown(data))))
    return rungs


def _flat() -> Image.Image:
    image = Image.new("RGB", (240, 160), "white")
    ImageDraw.Draw(image).ellipse((40, 20, 200, 140), (200, 30, 30), outline="black", width=3)
    return image


@pytest.mark.parametrize("image", [chat((1080, 900)).resize((360, 300)), _flat()], ids=["a chat", "a flat mark"])
def test_what_is_left_out_would_not_have_been_the_best_of_any_bytes(image: Image.Image) -> None:
    """Whatever bytes there are, the best of all sizes and numbers of colours is among what is offered."""
    every = _every_rung(image)
    points = gif_source(image, 0.0, (), 290_000).curve().points
    assert len(points) < len(every) / 2
    for size_bytes, quality in every:
        found = max((point.quality for point in points if point.size_bytes <= size_bytes), default=0.0)
        # Of two that are nearly alike the larger in pixels is preferred.
        assert found >= min(quality, 99.0) - 4


def test_more_colours_than_a_picture_has_are_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mark of three colours is exact in a palette of four: no larger one is tried."""
    asked: list[int] = []

    def counted(image: Image.Image, bits: int) -> bytes:
        asked.append(bits)
        return few_coloured_gif(image, bits)

    monkeypatch.setattr("mmsprep.transcode.image.ladder.few_coloured_gif", counted)
    assert gif_source(_flat(), 0.0, (), 290_000, {1.0: BITS}).curve().points[-1].quality == 100
    assert asked == [2]
