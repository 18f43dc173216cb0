"""Before and after on one page: what it shows, in a browser, and what it keeps to itself."""

from __future__ import annotations

import base64
import io
import os
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageStat
from typer.testing import CliRunner

from mmsprep import Job, inspect, prepare, split
from mmsprep.batch import gallery
from mmsprep.cli import app
from mmsprep.model import Kind
from mmsprep.preview import messages_page, pair_of, worst_first
from mmsprep.settings import Settings
from mmsprep.tools.workspace import Workspace

_EVIL = '"><img src=x onerror=document.title=1>\u202e.png'
_SECRET = "51.4778 N, at home"


def _run(*arguments: Any) -> Any:
    return CliRunner().invoke(app, [str(one) for one in arguments], env={"COLUMNS": "200"})


def _picture(seed: int, kind: str = "PNG", size: tuple[int, int] = (900, 600), **options: Any) -> bytes:
    """A picture with as much detail as a photo has."""
    noise = Image.frombytes("RGB", (90, 60), random.Random(seed).randbytes(90 * 60 * 3))
    out = io.BytesIO()
    noise.resize(size, Image.Resampling.BICUBIC).save(out, kind, **options)
    return out.getvalue()


def _with_secret(seed: int) -> bytes:
    exif = Image.Exif()
    exif[0x010E] = _SECRET
    return _picture(seed, "JPEG", quality=95, exif=exif, comment=_SECRET.encode())


@pytest.fixture(scope="module")
def given(make: Callable[[str, str], bytes]) -> list[tuple[str, bytes]]:
    clip = "-f lavfi -i testsrc2=size=320x240:rate=10 -f lavfi -i sine=frequency=500 -t 2 -c:v libx264 -c:a aac"
    return [
        ("fine.png", _picture(1, size=(90, 60))),
        (_EVIL, _picture(2)),
        ("home.jpg", _with_secret(3)),
        ("clip.mp4", make(clip, "mp4")),
        ("voice.wav", make("-f lavfi -i sine=frequency=300 -t 3", "wav")),
        ("note.txt", "Grüße <b>dir</b>\n".encode("utf-16")),
    ]


@pytest.fixture(scope="module")
def page(given: list[tuple[str, bytes]], settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    message = prepare(given, text="Look <script>here</script>", limit_bytes=60_000, best_effort=True)
    path = tmp_path_factory.mktemp("page") / "page.html"
    path.write_text(messages_page([message], given, settings), "utf-8")
    return path


def _opened(chromium: Any, page: Path, width: int, dark: bool = False) -> tuple[Any, list[str]]:
    opened = chromium.new_page(viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light")
    problems: list[str] = []
    opened.on("pageerror", lambda error: problems.append(str(error)))
    opened.on("console", lambda line: problems.append(line.text) if line.type == "error" else None)
    opened.on("request", lambda one: None if one.url.startswith(("file:", "data:")) else problems.append(one.url))
    opened.goto(page.as_uri())
    return opened, problems


@pytest.mark.parametrize(("width", "dark"), [(390, True), (768, False), (1440, False)])
def test_nothing_is_out_of_reach_and_nothing_is_loaded(page: Path, chromium: Any, width: int, dark: bool) -> None:
    opened, problems = _opened(chromium, page, width, dark)
    for size in ("phone", "true"):
        opened.check(f"input[value={size}]")
        assert opened.evaluate("document.documentElement.scrollWidth <= innerWidth")
        left = opened.evaluate(
            "Math.min(...[...document.querySelectorAll('article *')].map(e => e.getBoundingClientRect().left))"
        )
        assert left >= 0
    assert problems == [] and opened.title() == "One message, before and after"
    opened.close()


def test_the_worst_stands_first_and_filters_show_a_kind_or_a_quality(page: Path, chromium: Any) -> None:
    opened, _ = _opened(chromium, page, 1280)
    qualities = [int(words.split()[0]) for words in opened.locator("article .band").all_inner_texts()]
    assert len(qualities) == 6 and qualities == sorted(qualities)
    opened.select_option("#kind", "audio")
    assert opened.locator("article:visible h2").all_inner_texts() == ["voice.wav"]
    assert opened.inner_text("#count") == "1 of 6 shown"
    opened.select_option("#kind", "")
    band = opened.locator("article").first.get_attribute("data-band")
    opened.select_option("#quality", band)
    shown = opened.locator("article:visible")
    assert 1 <= shown.count() < 6
    assert {one.get_attribute("data-band") for one in shown.all()} == {band}
    opened.close()


def test_the_slider_moves_from_one_to_the_other_at_both_sizes(page: Path, chromium: Any) -> None:
    opened, _ = _opened(chromium, page, 1280)
    card = opened.locator("article", has_text="home.jpg")
    images, slide = card.locator(".compare img"), card.locator(".slide")
    assert images.evaluate_all("all => all.map(e => e.naturalWidth > 0)") == [True, True]
    for value in (0, 100, 30):
        slide.fill(str(value))
        assert images.nth(1).evaluate("e => getComputedStyle(e).clipPath") == f"inset(0px 0px 0px {value}%)"
    assert card.locator(".compare").bounding_box()["width"] == 360
    opened.check("input[value=true]")
    sent_px = images.nth(1).evaluate("e => e.naturalWidth")
    assert card.locator(".compare").bounding_box()["width"] == sent_px
    opened.close()


def test_the_border_between_both_stays_in_view_where_a_picture_is_wider_than_the_page(
    page: Path, chromium: Any
) -> None:
    opened, _ = _opened(chromium, page, 200)
    opened.check("input[value=true]")
    view = opened.locator("article", has_text="home.jpg").locator(".view")
    assert view.evaluate("e => e.scrollWidth > e.clientWidth + 20")
    for scrolled in (0, 10_000):
        view.evaluate("(e, left) => { e.scrollLeft = left; }", scrolled)
        opened.wait_for_function(
            "e => { const one = e.firstElementChild, cut = parseFloat(one.style.getPropertyValue('--cut'));"
            " return Math.abs(cut / 100 * one.offsetWidth - e.scrollLeft - e.clientWidth / 2) < 2; }",
            arg=view.element_handle(),
        )
    opened.close()


def test_clips_and_sounds_play_and_texts_are_read(page: Path, chromium: Any) -> None:
    opened, _ = _opened(chromium, page, 1280)
    opened.wait_for_function("[...document.querySelectorAll('audio,video')].every(one => one.readyState > 0)")
    lengths = opened.evaluate("[...document.querySelectorAll('video,audio')].map(e => [e.tagName, e.duration])")
    assert [name for name, _ in lengths].count("VIDEO") == 2 and [name for name, _ in lengths].count("AUDIO") == 2
    assert all(1.9 < seconds < 3.3 for _, seconds in lengths)
    texts = opened.locator("article", has_text="note.txt").locator("pre").all_inner_texts()
    assert [text.strip() for text in texts] == ["Grüße <b>dir</b>"] * 2
    opened.close()


@pytest.mark.parametrize("turn", ["-display_rotation 90", "-display_rotation 180", "-display_hflip"])
def test_a_turned_clip_stands_upright_on_both_sides(
    make: Callable[..., bytes], settings: Settings, tmp_path: Path, turn: str
) -> None:
    """Both look as a player shows the original, and no player is asked to turn them once more."""
    halves = "-f lavfi -i color=red:s=160x120:r=10 -f lavfi -i color=blue:s=160x120:r=10"
    plain, turned = tmp_path / "plain.mp4", tmp_path / "turned.mp4"
    plain.write_bytes(make(f"{halves} -filter_complex [0][1]vstack,format=yuv420p -t 1 -c:v libx264", "mp4"))
    turned.write_bytes(make(f"{turn} -i {plain} -c copy", "mp4"))

    def shown(path: Path) -> Image.Image:
        return Image.open(io.BytesIO(make(f"-i {path} -frames:v 1", "png"))).convert("RGB")

    html = messages_page([prepare([turned], limit_bytes=60_000)], [turned], settings)
    sides = [base64.b64decode(one) for one in re.findall(r"data:video/mp4;base64,([A-Za-z0-9+/=]+)", html)]
    assert len(sides) == 2
    for coded in sides:
        side = tmp_path / "side.mp4"
        side.write_bytes(coded)
        (found,) = inspect([side])
        assert found.info and not found.info.rotation_deg and not found.info.mirrored
        assert shown(side).size == shown(turned).size
        difference = ImageChops.difference(shown(side), shown(turned))
        assert max(ImageStat.Stat(difference).mean) < 20


def test_strangers_text_is_text_and_their_tags_stay_out(page: Path) -> None:
    html = page.read_text("utf-8")
    assert "<img src=x" not in html and "<script>here" not in html and "\u202e" not in html
    assert "Look &lt;script&gt;here&lt;/script&gt;" in html
    embedded = [base64.b64decode(one) for one in re.findall(r"base64,([A-Za-z0-9+/=]+)", html)]
    assert len(embedded) >= 8
    assert not any(_SECRET.encode() in one for one in embedded) and _SECRET not in html


def test_several_messages_share_a_page_and_each_part_says_whose_it_is(settings: Settings) -> None:
    given = [(f"{seed}.png", _picture(seed)) for seed in range(2)]
    messages = split(Job(attachments=given, limit_bytes=20_000, quality=80), settings=settings)
    assert len(messages) == 2
    html = messages_page(messages, given, settings)
    assert html.count("<article") == 2 and "2 messages, before and after" in html
    assert "message 1" in html and "message 2" in html


def test_an_original_that_is_gone_is_told(settings: Settings) -> None:
    message = prepare([("a.png", _picture(4))], limit_bytes=60_000)
    with Workspace(settings) as workspace:
        (pair,) = worst_first(
            pair_of(part, part.data, None, workspace, limit_bytes=message.limit_bytes) for part in message.parts
        )
    assert pair.before.problem and pair.after.rendering and pair.kind is Kind.IMAGE


def test_the_command_writes_a_page_and_replaces_none(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(_picture(5))
    page = tmp_path / "page.html"
    (tmp_path / "a.imy").write_bytes(
        b"BEGIN:IMELODY\r\nVERSION:1.2\r\nFORMAT:CLASS1.0\r\nMELODY:c3d3e3\r\nEND:IMELODY\r\n"
    )
    files = [tmp_path / "a.png", tmp_path / "a.imy"]
    wanted = ["prepare", *files, "-s", "A tune", "-o", tmp_path / "out", "--html", page]
    done = _run(*wanted)
    told = page.read_text("utf-8")
    assert done.exit_code == 0 and "<article" in told and "Subject: A tune" in told and "played by the phone" in told
    before = page.read_bytes()
    again = _run(*wanted)
    assert again.exit_code != 0 and "--force" in again.output and page.read_bytes() == before
    assert _run(*wanted, "--force").exit_code == 0
    assert _run("prepare", tmp_path / "a.png", "--dry-run", "--html", tmp_path / "b.html").exit_code == 2
    assert not (tmp_path / "b.html").exists()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "in"
    (root / "sub").mkdir(parents=True)
    (root / "a.png").write_bytes(_picture(6))
    (root / "sub" / "b.jpg").write_bytes(_with_secret(7))
    (root / "noise.bin").write_bytes(random.Random(9).randbytes(3000))
    for path in root.rglob("*.*"):
        # As of an hour ago, so that its date can be trusted.
        os.utime(path, (path.stat().st_mtime - 3600,) * 2)
    return root


def test_a_batch_has_a_page_and_its_summary_names_what_is_low(tree: Path, tmp_path: Path) -> None:
    page, out = tmp_path / "page.html", tmp_path / "out"
    done = _run("batch", tree, out, "--limit", "12k", "--executor", "serial", "--html", page)
    assert done.exit_code == 10
    html = page.read_text("utf-8")
    assert html.count("<article") == 2 and "noise.bin" in html and _SECRET not in html
    assert "parts are below medium: " in done.output and "b.jpg (" in done.output
    assert "failed: noise.bin" in done.output and "note: " in done.output
    # What was made in an earlier run is on the page, too.
    assert _run("batch", tree, out, "--limit", "12k", "--executor", "serial", "--html", page).exit_code == 10
    assert page.read_text("utf-8").count('<div class="compare"') == 2


def test_a_page_holds_as_much_as_a_browser_takes(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gallery, "_MOST_EMBEDDED_BYTES", 1)
    monkeypatch.setenv("MMSPREP_JOBS", "1")
    for seed in range(3):
        (tree / f"more{seed}.png").write_bytes(_picture(20 + seed, size=(300, 200)))
    page = tmp_path / "page.html"
    _run("batch", tree, tmp_path / "out", "--executor", "serial", "--html", page)
    html = page.read_text("utf-8")
    assert html.count("<article") == 5 and html.count('<div class="compare"') == 2
    assert html.index('<div class="compare"') < html.index("holds the worst only")


def test_a_dry_batch_says_what_would_be_done_and_writes_nothing(tree: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = _run("batch", tree, out, "--dry-run")
    assert done.exit_code == 10 and not out.exists()
    assert "would prepare: a.png: convert to JPEG or GIF" in done.output and "would fail: noise.bin" in done.output
    assert "2 to prepare" in done.output and "1 that would fail" in done.output
    (tree / "noise.bin").unlink()
    assert _run("batch", tree, out, "--executor", "serial").exit_code == 0
    (tree / "sub" / "b.jpg").write_bytes(_with_secret(8))
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    again = _run("batch", tree, out, "--dry-run")
    assert again.exit_code == 0 and "1 to prepare" in again.output and "1 unchanged" in again.output
    assert "would prepare: sub/b.jpg" in again.output and "a.png" not in again.output
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before
    assert _run("batch", tree, out, "--dry-run", "--html", tmp_path / "p.html").exit_code == 2
