"""What phones of some years make of a message: each fact has a source, and what is shown follows from them."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from mmsprep.cli import app
from mmsprep.errors import UsageError
from mmsprep.handset import (
    Handset,
    OpenedPart,
    Showing,
    Shown,
    handset_names,
    judge,
    load_handset,
    load_shares,
    look_at,
    open_message,
    phones_page,
    read_slides,
    render_all,
    scene_of,
)
from mmsprep.message import Message
from mmsprep.mm1 import pack_message
from mmsprep.model import Kind, MediaInfo
from mmsprep.pipeline import prepare
from mmsprep.settings import Settings


def _run(*arguments: str | Path) -> Any:
    return CliRunner().invoke(app, [str(one) for one in arguments], catch_exceptions=False)


@pytest.fixture(scope="module")
def message(sample_media: Path) -> Message:
    """A picture, a clip, a voice note, a melody, text."""
    folder = sample_media / "message"
    names = ("IMG_0412.HEIC", "IMG_0415.MOV", "PTT-20260613-WA0003.ogg", "ringtone.mid")
    return prepare([folder / name for name in names], text="Hello & <welcome>", subject="Lake")


@pytest.fixture(scope="module")
def shown_on(settings: Settings) -> Callable[..., Shown]:
    """One part on a phone."""

    def shown(data: bytes, year: str) -> Shown:
        items = look_at([OpenedPart("part", data)], settings)
        return scene_of(items, (), load_handset(year)).parts[0]

    return shown


# The data


def test_there_are_phones_of_three_years_oldest_first() -> None:
    assert handset_names() == ["2007", "2012", "2020"]
    with pytest.raises(UsageError, match="2007, 2012, 2020"):
        load_handset("1999")


@pytest.mark.parametrize("name", handset_names())
def test_every_fact_has_a_source(name: str) -> None:
    handset = load_handset(name)
    assert handset.name == name
    told = [one.source for one in handset.capability] + [one.source for one in handset.decoder]
    told += [handset.screen.source, handset.picture.source, handset.sound.source]
    told += [handset.message.limit_source, handset.message.presentation_source, handset.message.text_source]
    assert all(len(one) > 10 for one in told)
    named = [what for one in handset.capability for what in one.what]
    assert len(named) == len(set(named))


@pytest.mark.parametrize("year", ["2007", "2012"])
def test_the_percentages_that_a_phone_names_are_those_of_the_shares(year: str) -> None:
    """A figure is written once as data and quoted in sentences; both must say the same."""
    handset, shares = load_handset(year), load_shares()
    place = shares.years.index(int(year))
    checked = 0
    for one in handset.capability:
        quoted = [int(found) for found in re.findall(r"(\d+) %", one.source)]
        counted = [shares.percent[what][place] for what in one.what if what in shares.percent]
        if quoted and counted:
            assert set(counted) & set(quoted), one.what
            checked += 1
    assert checked >= 6


def test_shares_are_per_cent_of_every_year() -> None:
    shares = load_shares()
    assert all(len(row) == len(shares.years) == len(shares.phones) for row in shares.percent.values())
    assert all(0 <= one <= 100 for row in shares.percent.values() for one in row)
    assert shares.least(("mp3",))[2007] == 34
    assert shares.least(("3gp", "h264-baseline"))[2012] == 74
    assert shares.least(("no-such-thing",)) == {}


# What a phone does with a part


@pytest.mark.parametrize(
    ("sample", "on_2007", "on_2012", "on_2020"),
    [
        ("formats/photo.jpg", "shown", "shown", "shown"),
        ("formats/progressive.jpg", "unsupported", "shown", "shown"),
        ("formats/still.gif", "shown", "shown", "shown"),
        ("formats/animated.gif", "still", "shown", "shown"),
        ("formats/logo.wbmp", "shown", "shown", "shown"),
        ("formats/photo.avif", "unsupported", "unsupported", "unsupported"),
        ("formats/song.mp3", "unsupported", "shown", "shown"),
        ("formats/note.amr", "shown", "shown", "shown"),
        ("formats/pcm-8bit.wav", "narrowband", "shown", "shown"),
        ("formats/tracks.mid", "shown", "shown", "shown"),
        ("formats/lakeside.emy", "shown", "unsupported", "unsupported"),
        ("formats/legacy.3gp", "narrowband", "shown", "shown"),
        ("formats/ready.3gp", "unsupported", "shown", "shown"),
        ("formats/windows.wmv", "unsupported", "unsupported", "unsupported"),
        ("formats/utf-8-bom.txt", "shown", "shown", "shown"),
    ],
)
def test_each_year_does_what_its_facts_say(
    sample_media: Path, shown_on: Callable[..., Shown], sample: str, on_2007: str, on_2012: str, on_2020: str
) -> None:
    data = (sample_media / sample).read_bytes()
    found = [shown_on(data, year).verdict for year in ("2007", "2012", "2020")]
    assert [one.showing.value for one in found] == [on_2007, on_2012, on_2020]
    assert all(one.because for one in found if one.showing is Showing.UNSUPPORTED)
    assert all(one.source for one in found)


def _clip(**facts: Any) -> MediaInfo:
    base = {"format": "3gp", "kind": "video", "content_type": "video/3gpp", "size_bytes": 1, "video_codec": "h264"}
    return MediaInfo(**{**base, "kind": Kind.VIDEO, "width_px": 320, "height_px": 240, **facts})


@pytest.mark.parametrize(
    ("facts", "year", "showing", "because"),
    [
        ({"video_profile": "Constrained Baseline@L3"}, "2012", Showing.SHOWN, ""),
        ({"video_profile": "Main@L3"}, "2012", Showing.UNSUPPORTED, "main profile"),
        ({"video_profile": "Baseline@L3.1"}, "2012", Showing.UNSUPPORTED, "level 3.1"),
        ({"video_profile": "High@L3.1"}, "2020", Showing.SHOWN, ""),
        ({"video_profile": "High@L5"}, "2020", Showing.UNSUPPORTED, "level 5"),
        ({"video_codec": "h263", "video_profile": "BaseLine@1.0"}, "2007", Showing.SHOWN, "seen at"),
        ({"video_codec": "h263", "video_profile": "BaseLine@4.5"}, "2007", Showing.UNSUPPORTED, "level 4.5"),
        ({"video_codec": "h263", "audio_codec": "amr_nb"}, "2007", Showing.NARROWBAND, "telephone"),
        ({"video_profile": "Baseline@L3", "audio_codec": "mp3"}, "2012", Showing.SILENT, "mp3"),
        ({"video_codec": "vp9"}, "2020", Showing.UNSUPPORTED, "vp9"),
        ({"video_codec": None}, "2020", Showing.UNSUPPORTED, "its coding"),
    ],
)
def test_a_clip_is_judged_by_codec_profile_level_and_sound(
    facts: dict[str, Any], year: str, showing: Showing, because: str
) -> None:
    verdict = judge(_clip(**facts), load_handset(year))
    assert verdict.showing is showing
    assert because in verdict.because


def test_a_picture_larger_than_an_old_phone_shows_is_not_shown(shown_on: Callable[..., Shown]) -> None:
    file = io.BytesIO()
    Image.new("RGB", (1600, 900)).save(file, "JPEG")
    assert shown_on(file.getvalue(), "2007").verdict.showing is Showing.UNSUPPORTED
    assert shown_on(file.getvalue(), "2012").verdict.showing is Showing.SHOWN


def test_what_nobody_knows_is_not_shown(shown_on: Callable[..., Shown]) -> None:
    assert shown_on(b"\x00\x01\x02nothing" * 20, "2020").verdict.showing is Showing.UNSUPPORTED


# The message as a whole


def test_slides_go_in_the_time_of_the_presentation_and_a_thread_has_all_at_once(
    message: Message, settings: Settings, tmp_path: Path
) -> None:
    message.write(tmp_path / "made")
    opened = open_message(tmp_path / "made")
    items = look_at(opened.parts, settings)
    old, new = (
        scene_of(items, read_slides(opened.smil), load_handset(year), total_bytes=1) for year in ("2007", "2020")
    )
    told = [(names, duration_s) for names, duration_s in read_slides(message.smil)]
    assert [[one.item.name for one in slide.shown] for slide in old.slides] == [list(names) for names, _ in told]
    assert [slide.duration_s for slide in old.slides] == [duration_s for _, duration_s in told]
    assert max(slide.duration_s or 0 for slide in old.slides) > 5
    assert len(new.slides) == 1
    assert new.slides[0].duration_s is None
    assert new.slides[0].shown[-1].item.name == "text.txt"


def test_text_stands_where_the_layout_says(settings: Settings) -> None:
    smil = (
        b'<smil><head><layout><region id="Text" top="%d%%"/><region id="Image" top="%d%%"/></layout></head>'
        b'<body><par dur="2s"><img src="cid:a" region="Image"/><text src="b.txt" region="Text"/></par></body></smil>'
    )
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "JPEG")
    items = look_at(
        [OpenedPart("01.jpg", file.getvalue(), "image/jpeg", ("x.jpg", "a")), OpenedPart("b.txt", b"hi")], settings
    )
    for tops, first in (((0, 50), "b.txt"), ((70, 0), "01.jpg")):
        scene = scene_of(items, read_slides(smil % tops), load_handset("2007"))
        assert scene.slides[0].shown[0].item.name == first
        assert scene.slides[0].duration_s == 2


@pytest.mark.parametrize("smil", [b"", b"no xml", b'<!DOCTYPE a [<!ENTITY b "c">]><smil/>', b"<smil><body/></smil>"])
def test_without_a_usable_presentation_every_part_stands_by_itself(smil: bytes, settings: Settings) -> None:
    items = look_at([OpenedPart("a.txt", b"one"), OpenedPart("b.txt", b"two")], settings)
    scene = scene_of(items, read_slides(smil), load_handset("2007"))
    assert [[one.item.name for one in slide.shown] for slide in scene.slides] == [["a.txt"], ["b.txt"]]


def test_a_message_larger_than_the_phone_takes_is_not_fetched(settings: Settings) -> None:
    items = look_at([OpenedPart("a.txt", b"secret words")], settings)
    scene = scene_of(items, (), load_handset("2007"), total_bytes=307_201)
    assert not scene.is_fetched
    page = phones_page([(scene, render_all(scene, settings))], load_shares())
    assert "secret words" not in page
    assert "307,200" in page
    assert scene_of(items, (), load_handset("2007"), total_bytes=307_200).is_fetched


# What it looks and sounds like


def _rendered(data: bytes, handset: Handset, settings: Settings) -> bytes:
    items = look_at([OpenedPart("part", data)], settings)
    return render_all(scene_of(items, (), handset), settings)["part"][0].data


def test_a_picture_is_seen_at_the_width_of_the_screen(settings: Settings, sample_media: Path) -> None:
    data = (sample_media / "formats/photo.jpg").read_bytes()
    width_px, height_px = Image.open(io.BytesIO(data)).size
    seen = Image.open(io.BytesIO(_rendered(data, load_handset("2007"), settings)))
    assert seen.width == min(width_px, 240)
    assert abs(seen.height - seen.width * height_px / width_px) <= 1


def test_an_animation_stands_still_on_an_old_phone_and_moves_on_a_new_one(
    settings: Settings, sample_media: Path
) -> None:
    data = (sample_media / "formats/animated.gif").read_bytes()
    old = Image.open(io.BytesIO(_rendered(data, load_handset("2007"), settings)))
    new = Image.open(io.BytesIO(_rendered(data, load_handset("2012"), settings)))
    assert getattr(old, "n_frames", 1) == 1
    assert getattr(new, "n_frames", 1) > 1


def test_sound_goes_through_the_telephone_s_coding_where_a_phone_has_no_better(
    settings: Settings, make: Callable[[str, str], bytes]
) -> None:
    """A tone of 6 kHz does not pass 8000 samples a second; one of 1 kHz does."""
    tones = "-f lavfi -i sine=1000:d=1:r=44100 -f lavfi -i sine=6000:d=1:r=44100 -filter_complex amix=2"
    wav = make(f"{tones} -c:a pcm_s16le", "wav")

    def strength(data: bytes, tone_hz: int) -> float:
        import wave

        with wave.open(io.BytesIO(data)) as file:
            rate_hz, channels = file.getframerate(), file.getnchannels()
            samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")[::channels].astype(float)
        if tone_hz * 2 > rate_hz:
            return 0.0
        spectrum = np.abs(np.fft.rfft(samples))
        at = round(tone_hz * len(samples) / rate_hz)
        return float(spectrum[at - 20 : at + 20].max() / spectrum.max())

    old, new = (_rendered(wav, load_handset(year), settings) for year in ("2007", "2020"))
    assert strength(old, 1000) > 0.5
    assert strength(old, 6000) < 0.01
    assert strength(new, 6000) > 0.5


def test_the_page_needs_nothing_else_and_takes_no_orders_from_a_message(settings: Settings) -> None:
    hostile = "</pre><script>alert(1)</script><img src=x onerror=alert(2)>\u202e"
    items = look_at([OpenedPart("<b>.txt", hostile.encode()), OpenedPart('"onload=x.bin', b"\0\1\2\3" * 50)], settings)
    scene = scene_of(items, (), load_handset("2020"), subject="<i>&")
    page = phones_page([(scene, render_all(scene, settings))], load_shares())
    assert page.count("<script>") == 1
    assert "<img src=x" not in page
    assert "\u202e" not in page
    assert "&lt;i&gt;&amp;" in page
    assert "http-equiv" in page
    assert not re.search(r"(?:src|href)=\"(?!data:)", page)


def test_a_browser_plays_the_slides_and_tells_of_nothing_broken(
    message: Message, settings: Settings, tmp_path: Path, chromium: Any
) -> None:
    message.write(tmp_path / "made")
    place = tmp_path / "phones.html"
    assert _run("play", tmp_path / "made", "--html", place).exit_code == 0
    problems: list[str] = []
    page = chromium.new_page(viewport={"width": 390, "height": 800})
    page.on("console", lambda told: problems.append(told.text))
    page.goto(place.as_uri())
    phone = page.locator(".p2007 [data-slides]")
    assert phone.locator(".slide:visible").count() == 1
    first = phone.locator(".slide:visible").inner_html()
    phone.click()
    assert phone.locator(".slide:visible").count() == 1
    assert phone.locator(".slide:visible").inner_html() != first
    assert page.locator(".p2020 img").evaluate("image => image.naturalWidth") > 300
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    # Round corners cut nothing off what stands at the top.
    bar = page.locator(".p2020 .bar")
    bar.scroll_into_view_if_needed()
    assert bar.locator("span").evaluate_all(
        "all => all.every(one => { const box = one.getBoundingClientRect();"
        " return [box.left + 1, box.right - 1].every(x => document.elementFromPoint(x, box.top + 2) === one) })"
    )
    assert not problems
    page.close()


def test_a_text_that_looks_like_a_page_is_a_text(tmp_path: Path) -> None:
    prepare([], text="<html><b>Hi</b></html>").write(tmp_path / "made")
    told = json.loads(_run("play", tmp_path / "made", "--json").stdout)
    assert [phone["parts"][0]["showing"] for phone in told["phones"]] == ["shown"] * 3


# The command


def test_play_tells_programs_what_each_phone_does(message: Message, tmp_path: Path) -> None:
    message.write(tmp_path / "made")
    told = json.loads(_run("play", tmp_path / "made", "--phone", "2007", "--json").stdout)
    [phone] = told["phones"]
    assert phone["phone"] == "2007"
    assert phone["fetched"] is True
    showing = {part["name"]: part["showing"] for part in phone["parts"]}
    assert showing["text.txt"] == "shown"
    assert showing["02-video.3gp"] == "unsupported"
    assert phone["parts"][0]["known_percent"]
    assert told["shares"]["lower_bounds"] is True
    assert len(phone["slides"]) == len(read_slides(message.smil))


@pytest.mark.parametrize("columns", [120, 80, 44])
def test_play_tells_people_the_same_in_any_terminal(message: Message, tmp_path: Path, columns: int) -> None:
    """In a narrow one each part is a block: no word is broken, nothing stands beyond the edge."""
    message.write(tmp_path / "made")
    (tmp_path / "out.mms").write_bytes(pack_message(message, retrieved=True))
    env = {"COLUMNS": str(columns)}
    done = CliRunner().invoke(app, ["play", str(tmp_path / "made")], env=env, catch_exceptions=False)
    assert max(map(len, done.stdout.splitlines())) <= columns
    words = done.stdout.replace(" %", "%").replace(",", "").split()
    for word in ("02-video.3gp", "text.txt", "H.264", "'07", "'15", "34%", "98%"):
        assert word in words
    assert words.count("02-video.3gp") == 1
    assert "2012: 3 slides" in done.stderr or "2012: 4 slides" in done.stderr
    assert "2020: all at once" in done.stderr
    done = CliRunner().invoke(app, ["unpack", str(tmp_path / "out.mms")], env=env, catch_exceptions=False)
    assert max(map(len, done.stdout.splitlines())) <= columns
    assert {"02-video.3gp", "video/3gpp", "m-retrieve-conf", "(utf-8)"} <= set(done.stdout.split())


def test_a_phone_that_takes_less_fetches_nothing(tmp_path: Path) -> None:
    """A phone of 2007 takes 300 kB: a larger message is not fetched, and each part says so."""
    noise = np.random.default_rng(1).integers(0, 256, (520, 520, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.jpg", quality=98)
    made = prepare(tmp_path / "noise.jpg", profile="verizon")
    assert made.total_bytes > 310_000
    made.write(tmp_path / "made")
    done = _run("play", tmp_path / "made", "--phone", "2007", "--phone", "2020")
    assert done.exit_code == 0, done.output
    assert "not fetched" in done.stdout and "shown" in done.stdout
    assert "2007: not fetched: " in done.stderr and "are taken (" in done.stderr
    assert "2020: all at once" in done.stderr


def test_play_shows_a_pdu_of_anybody_as_well(message: Message, tmp_path: Path) -> None:
    (tmp_path / "out.mms").write_bytes(pack_message(message, retrieved=True))
    message.write(tmp_path / "made")
    told = [json.loads(_run("play", tmp_path / name, "--json").stdout) for name in ("out.mms", "made")]
    for pdu, folder in zip(*(one["phones"] for one in told), strict=True):
        assert pdu["parts"] == folder["parts"]
        assert pdu["slides"] == folder["slides"]


def test_play_refuses_what_it_does_not_know_and_replaces_nothing_unasked(message: Message, tmp_path: Path) -> None:
    message.write(tmp_path / "made")
    assert _run("play", tmp_path / "made", "--phone", "1999").exit_code == 2
    assert _run("play", tmp_path / "nothing").exit_code == 3
    (tmp_path / "mine.html").write_text("mine")
    assert _run("play", tmp_path / "made", "--html", tmp_path / "mine.html").exit_code == 8
    assert (tmp_path / "mine.html").read_text() == "mine"
