"""A tall picture of lettering goes as pages where it would be illegible as one part, and nothing of it is lost."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont
from typer.testing import CliRunner

from mmsprep import Job, Message, forecast, forecast_split, prepare, split
from mmsprep.cli import app
from mmsprep.errors import BelowFloor, MmsprepError
from mmsprep.hook import pre_send
from mmsprep.model import Action
from mmsprep.pipeline import run
from mmsprep.transcode.image.pages import edges_of, page_bounds

_WORDS = ("we", "are", "going", "to", "the", "station", "tomorrow", "around", "eight", "bring", "tickets", "please")
_WIDTH, _HEIGHT, _LINE = 540, 10_500, 28


def _chat(height_px: int, *, seed: int = 1) -> Image.Image:
    """Bubbles of text, as a phone of 540 px shows them."""
    rnd, font = random.Random(seed), ImageFont.load_default(21)
    image = Image.new("RGB", (_WIDTH, height_px), (236, 229, 221))
    draw, top = ImageDraw.Draw(image), 15
    while top < height_px - 160:
        lines = [" ".join(rnd.choices(_WORDS, k=5)) for _ in range(rnd.randint(1, 4))]
        left, height = rnd.choice((20, 150)), len(lines) * _LINE + 24
        draw.rounded_rectangle((left, top, left + 370, top + height), 12, fill="white")
        for number, line in enumerate(lines):
            draw.text((left + 12, top + 10 + _LINE * number), line, font=font, fill=(20, 20, 20))
        top += height + rnd.randint(70, 120)
    return image


def _png(image: Image.Image) -> bytes:
    file = BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def chat() -> bytes:
    """Of ten screens, so wide apart that its pages fit a message."""
    return _png(_chat(_HEIGHT))


@pytest.fixture(scope="module")
def message(chat: bytes) -> Message:
    return prepare([("chat.png", chat)])


def _check_pages(pages: list[Message], size_px: tuple[int, int]) -> None:
    """All rows are on a page, in order; each page is what its rows show."""
    parts = [part for one in pages for part in one.parts]
    rows = [(part.page.top_px, part.page.bottom_px) for part in parts if part.page]
    assert len(rows) == len(parts) > 1
    assert [part.page.number for part in parts if part.page] == list(range(1, len(parts) + 1))
    assert (rows[0][0], rows[-1][1]) == (0, size_px[1])
    assert all(after[0] <= before[1] < after[1] for before, after in pairwise(rows))


def test_a_tall_chat_becomes_pages_that_can_be_read(chat: bytes, message: Message) -> None:
    with Image.open(BytesIO(chat)) as image:
        whole = image.convert("RGB")
    _check_pages([message], whole.size)
    assert {part.indexes for part in message.parts} == {(0,)}
    assert [part.shown_at for part in message.parts] == [(place,) for place in range(len(message.parts))]
    for part in message.parts:
        assert part.page
        assert part.action is Action.TRANSCODE
        with Image.open(BytesIO(part.data)) as sent:
            assert sent.width > 300
            shown = np.asarray(sent.convert("L"), np.float64)
        rows = whole.crop((0, part.page.top_px, whole.width, part.page.bottom_px)).resize(shown.shape[::-1])
        assert np.abs(shown - np.asarray(rows.convert("L"), np.float64)).mean() < 6
    told = f"cut into {len(message.parts)} pages of {whole.width} x"
    assert any(told in note for note in message.parts[0].notes)
    assert any(told in warning for warning in message.warnings)
    assert all(part.reasons[0].code == "pages" for part in message.parts)


def test_pages_are_shown_in_their_order_one_slide_each(message: Message) -> None:
    slides = ElementTree.fromstring(message.smil).findall(".//{*}par")
    shown = [[image.get("src") for image in slide.findall("{*}img")] for slide in slides]
    assert shown == [[part.name] for part in message.parts]


def test_no_line_of_text_is_cut_through(chat: bytes, message: Message) -> None:
    with Image.open(BytesIO(chat)) as image:
        edges = edges_of(image)
    cuts = [part.page.bottom_px for part in message.parts[:-1] if part.page]
    assert [int(edges[cut - 1 : cut + 1].max()) for cut in cuts] == [0] * len(cuts)


def test_a_tall_chat_goes_whole_where_pages_are_not_wanted(chat: bytes) -> None:
    (whole,) = prepare([("chat.png", chat)], pages=False).parts
    assert whole.page is None
    assert (whole.height_px or 0) > 3 * (whole.width_px or 0)


def test_what_can_be_read_in_one_part_or_is_no_lettering_stays_whole() -> None:
    receipt = _png(_chat(1_900))
    assert [part.page for part in prepare([("receipt.png", receipt)]).parts] == [None]
    noise = np.random.default_rng(1).normal(128, 40, (160, 16, 3)).clip(0, 255).astype(np.uint8)
    tower = Image.fromarray(noise).resize((400, 4_000), Image.Resampling.BICUBIC)
    assert [part.page for part in prepare([("tower.png", _png(tower))], limit_bytes=60_000).parts] == [None]


def test_a_wide_picture_is_never_cut(chat: bytes) -> None:
    with Image.open(BytesIO(chat)) as image:
        wide = _png(image.transpose(Image.Transpose.ROTATE_90))
    assert [part.page for part in prepare([("wide.png", wide)]).parts] == [None]


@pytest.mark.slow
def test_a_chat_too_long_for_one_message_tells_of_split_which_sends_its_pages(chat: bytes) -> None:
    job = Job(attachments=[("chat.png", chat)], text="our chat", limit_bytes=60_000)
    with pytest.raises(BelowFloor, match="messages or more it would fit"):
        prepare([("chat.png", chat)], text="our chat", limit_bytes=60_000)
    messages = split(job)
    assert len(messages) > 1
    foreseen = forecast_split(job)
    assert len(foreseen) > 1
    assert [one.text for one in foreseen] == ["our chat", *[""] * (len(foreseen) - 1)]
    pages = [[part.page for one in several for part in one.parts] for several in (messages, foreseen)]
    assert pages[0] == pages[1]
    assert [one.text for one in messages] == ["our chat", *[""] * (len(messages) - 1)]
    assert all(one.total_bytes <= 60_000 for one in messages)
    _check_pages(messages, (_WIDTH, _HEIGHT))
    assert all(part.quality >= 35 for one in messages for part in one.parts)


@pytest.mark.parametrize("asks", [pytest.param(run, marks=pytest.mark.slow), forecast])
def test_what_is_below_its_floor_in_pages_and_whole_is_an_error_that_says_what_helps(
    chat: bytes, asks: Callable[[Job], object]
) -> None:
    with pytest.raises(BelowFloor) as raised:
        asks(Job(attachments=[("chat.png", chat)], limit_bytes=25_000))
    told = "\n".join(raised.value.lines)
    assert "cannot be read in one part; its" in told
    assert "messages or more it would fit (--split)" in told
    assert "--best-effort" in told


def test_best_effort_sends_what_is_below_its_floor_with_a_warning(chat: bytes) -> None:
    message = prepare([("chat.png", chat)], limit_bytes=25_000, best_effort=True)
    assert message.total_bytes <= 25_000
    assert any("low or poor" in warning for warning in message.warnings)


def test_without_pages_the_error_and_the_warning_tell_of_them(chat: bytes) -> None:
    with pytest.raises(BelowFloor) as raised:
        prepare([("chat.png", chat)], limit_bytes=25_000, pages=False)
    assert "--pages cuts what is tall into pages" in "\n".join(raised.value.lines)
    whole = prepare([("chat.png", chat)], limit_bytes=25_000, pages=False, best_effort=True)
    assert any("--pages cuts what is tall into pages" in warning for warning in whole.warnings)


def test_what_cannot_be_read_whole_and_would_be_too_many_pages_is_an_error_that_tells_of_split() -> None:
    strip = _png(Image.new("RGB", (_WIDTH, 30_000), "white"))
    with Image.open(BytesIO(strip)) as blank:
        tall = blank.convert("RGB")
    tall.paste(_chat(_HEIGHT))
    tall.paste(_chat(_HEIGHT, seed=2), (0, 22_000))
    with pytest.raises(BelowFloor, match="cannot be read in one part") as raised:
        prepare([("strip.png", _png(tall))])
    told = "\n".join(raised.value.lines)
    assert "15 are allowed" in told
    assert "messages or more it would fit (--split)" in told
    sent = prepare([("strip.png", _png(tall))], best_effort=True)
    assert [part.page for part in sent.parts] == [None]


@pytest.mark.slow
def test_a_quality_that_a_page_reaches_in_a_message_of_its_own_is_reached_by_a_split(chat: bytes) -> None:
    """Where encodes fall short of what was foretold, a message is divided before less is settled for."""
    alone = split(Job(attachments=[("chat.png", chat)], limit_bytes=40_000, quality=80))
    assert any(len(message.parts) > 1 for message in alone)
    assert all(part.quality >= 80 for message in alone for part in message.parts if len(message.parts) > 1)


@pytest.mark.slow
def test_pages_too_rich_for_a_message_of_their_own_are_made_smaller() -> None:
    rnd = np.random.default_rng(3)
    ink = Image.fromarray(rnd.integers(0, 2, (4_000, 400), dtype=np.uint8) * 255).convert("RGB")
    paper = Image.new("RGB", ink.size, "white")
    paper.paste(ink, mask=Image.fromarray((rnd.random((400, 40)) < 0.12).astype(np.uint8) * 255).resize(ink.size))
    job = Job(attachments=[("dense.png", _png(paper))], limit_bytes=12_000)
    for wanted in (job, replace(job, best_effort=True)):
        messages = split(wanted)
        _check_pages(messages, paper.size)
        assert all(message.total_bytes <= 12_000 for message in messages)
        heights = [part.page.bottom_px - part.page.top_px for one in messages for part in one.parts if part.page]
        assert max(heights) <= paper.width


def test_pages_stand_among_other_attachments_by_their_attachment(chat: bytes) -> None:
    photo = _png(Image.radial_gradient("L").convert("RGB"))
    message = prepare([("before.png", photo), ("chat.png", chat), ("after.png", photo[:-12] + photo[-12:])])
    indexes = [part.indexes for part in message.parts]
    assert indexes[0] == (0,)
    assert indexes[-1] == (2,)
    assert set(indexes[1:-1]) == {(1,)}
    assert len(indexes) > 4


@pytest.mark.slow
def test_more_pages_than_parts_are_allowed_go_whole(chat: bytes) -> None:
    others = [(f"{number}.txt", f"text {number}".encode()) for number in range(12)]
    message = prepare([*others, ("chat.png", chat)])
    assert [part.page for part in message.parts] == [None] * 13


def test_a_forecast_tells_the_pages(chat: bytes) -> None:
    foreseen = forecast(Job(attachments=[("chat.png", chat)]))
    assert [part.page.number for part in foreseen.parts if part.page] == list(range(1, len(foreseen.parts) + 1))
    assert len(foreseen.parts) > 1


def test_the_command_writes_pages_and_says_so(chat: bytes, tmp_path: Path) -> None:
    (tmp_path / "chat.png").write_bytes(chat)
    page = tmp_path / "page.html"
    words = ["prepare", str(tmp_path / "chat.png"), "-o", str(tmp_path / "mms"), "--html", str(page)]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    report = json.loads((tmp_path / "mms" / "message.json").read_text())
    pages = [part["page"] for part in report["parts"]]
    assert [one["number"] for one in pages] == list(range(1, len(pages) + 1))
    assert pages[-1]["bottom_px"] == _HEIGHT
    assert "page 2 of" in done.output
    assert page.read_text().count("page 2 of") >= 1
    again = CliRunner().invoke(app, [*words, "--no-pages", "--force"])
    assert again.exit_code == 0, again.output
    assert [part["page"] for part in json.loads((tmp_path / "mms" / "message.json").read_text())["parts"]] == [None]


@pytest.mark.slow
def test_a_hook_gets_pages_only_where_it_asks_for_them(chat: bytes) -> None:
    outgoing = {"to": "61400000000", "attachments": [("chat.png", chat), ("a.txt", b"hello")]}
    plain = pre_send(outgoing)["attachments"]
    paged = pre_send(outgoing, pages=True)["attachments"]
    assert len(plain) == 2 < len(paged)
    assert [str(name).endswith(".txt") for name, _ in paged] == [*[False] * (len(paged) - 1), True]
    alone = pre_send({"to": "61400000000", "attachments": chat}, pages=True)["attachments"]
    assert isinstance(alone, bytes)


@given(
    rows=st.lists(st.integers(0, 400), min_size=1, max_size=3_000),
    width_px=st.integers(1, 300),
    repeat=st.integers(1, 4),
)
@examples(100)
def test_pages_cover_every_row_once_or_repeat_a_few(rows: list[int], width_px: int, repeat: int) -> None:
    edges = np.repeat(np.array(rows), repeat)
    bounds = page_bounds(edges, width_px)
    assert (bounds[0][0], bounds[-1][1]) == (0, len(edges))
    assert all(0 < bottom - top <= max(1, 2 * width_px) for top, bottom in bounds)
    for before, after in pairwise(bounds):
        assert before[0] < after[0] <= before[1] < after[1]
        assert before[1] - after[0] <= 0.13 * width_px + 1


def test_where_nothing_is_empty_pages_repeat_the_last_lines() -> None:
    busy = np.full(3_000, 200)
    bounds = page_bounds(busy, 300)
    assert all(before[1] - after[0] == 36 for before, after in pairwise(bounds))
    empty = page_bounds(np.zeros(3_000, np.int64), 300)
    assert all(before[1] == after[0] for before, after in pairwise(empty))


def test_a_damaged_tall_picture_is_an_error_of_its_own(chat: bytes) -> None:
    with pytest.raises(MmsprepError) as raised:
        prepare([("chat.png", chat[: len(chat) // 2])])
    assert "chat.png" in str(raised.value)


def _poster(small_print: bool) -> bytes:
    image = Image.new("RGB", (4000, 4000), "white")
    draw = ImageDraw.Draw(image)
    draw.text((200, 300), "BIG SALE", fill=(200, 0, 0), font_size=700)
    draw.ellipse((1000, 1400, 3000, 3400), fill=(0, 0, 160))
    for line in range(6 if small_print else 0):
        draw.text(
            (200, 3500 + 40 * line), "Terms apply: ask in the shop what they are. " * 6, fill="black", font_size=24
        )
    out = BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def test_a_large_drawing_without_small_print_loses_nothing_and_one_with_it_does() -> None:
    """Nobody enlarges a poster's large letters to read them; that its small print cannot be read is told."""
    (plain,), (printed,) = (prepare([("poster.png", _poster(small))]).parts for small in (False, True))
    assert plain.quality >= 90 and not any("hard to read" in note for note in plain.notes)
    assert printed.quality <= 70 and any("hard to read" in note for note in printed.notes)
