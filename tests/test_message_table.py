"""The table of a prepared message: from left to right, at any width, with and without colour."""

from __future__ import annotations

import io
import re
import unicodedata
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from typer.testing import CliRunner

from mmsprep.cli import app, printing
from mmsprep.cli.campaign_preview import span
from mmsprep.cli.console import PlainConsole
from mmsprep.cli.message_table import MessageTable
from mmsprep.cli.names import name_lines, shortened
from mmsprep.cli.printing import time_left
from mmsprep.message import Forecast
from mmsprep.message.wording import duration_words, quality_words
from mmsprep.model import (
    QUALITY_BANDS,
    Action,
    Kind,
    MediaInfo,
    PartReport,
    Progress,
    Reason,
    ReasonCode,
    Rejection,
    Support,
)

_NAME = "holiday photo of the whole family 日本 2024.jpg"
_REASONS = (
    Reason(ReasonCode.SIZE_PX, "4032 x 3024 px", "1024 x 1024 px"),
    Reason(ReasonCode.CODING, "progressive", "baseline"),
    Reason(
        ReasonCode.METADATA, "exif, gps, a thumbnail, maker notes and whatever else a telephone leaves behind", "none"
    ),
    Reason(ReasonCode.ICC_PROFILE, "Display P3", "sRGB"),
    Reason(ReasonCode.ORIENTATION, "6", "1"),
)
_PHOTO = PartReport(
    name="01-image.jpg",
    format="jpeg",
    content_type="image/jpeg",
    kind=Kind.IMAGE,
    action=Action.TRANSCODE,
    support=Support.GOOD,
    quality=69.6,
    size_bytes=123_456,
    source_name="folder/" + _NAME,
    source=MediaInfo(
        format="jpeg",
        kind=Kind.IMAGE,
        content_type="image/jpeg",
        size_bytes=4_720_000,
        width_px=4032,
        height_px=3024,
        encoding="progressive",
    ),
    width_px=1024,
    height_px=768,
    reasons=_REASONS,
    indexes=(0,),
)
_CLIP = replace(
    _PHOTO,
    format="mp4",
    source_name="clip.mp4",
    quality=100,
    action=Action.REWRAP,
    size_bytes=99_000,
    indexes=(1,),
    source=replace(
        _PHOTO.source, format="mp4", size_bytes=101_000, duration_s=12.34, width_px=320, height_px=240, encoding=None
    ),
    reasons=(),
)
_MESSAGE = Forecast(
    profile="smsglobal",
    limit_bytes=300_000,
    total_bytes=223_456,
    overhead_bytes=1_000,
    parts=(_PHOTO, _CLIP),
    text="",
    subject="",
    rejected=(Rejection("x\x1b[31m.bin", "type_not_allowed", "is of no known type; expected a picture", 2),),
)
_FACTS = ("4032x3024", "progressive", "4.72 MB", "->", "1024x768", "123.5 kB", "41.2 %", "70 high")


def _lines(width: int, *, verbose: bool = False, terminal: bool = False, message: Forecast = _MESSAGE) -> list[str]:
    console = PlainConsole(stderr=True)
    console.file, console.width = io.StringIO(), width
    console._force_terminal = terminal
    console.print(MessageTable(message, verbose=verbose))
    return console.file.getvalue().splitlines()


def _column(line: str, words: str) -> int:
    return cell_len(line[: line.index(words)])


@pytest.mark.parametrize("width", [30, 40, 60, 80, 120, 200])
@pytest.mark.parametrize("verbose", [False, True])
def test_no_line_is_wider_than_the_terminal_and_no_fact_is_missing(width: int, verbose: bool) -> None:
    lines = _lines(width, verbose=verbose)
    assert max(map(cell_len, lines)) <= width
    words = " ".join(" ".join(lines).split())
    for fact in (*_FACTS, "320x240 12.3", "101.0 kB", "left out", "is of no known type; expected a picture"):
        assert all(word in words for word in fact.split())
    assert "removed" in words and "\x1b" not in words


@pytest.mark.parametrize("width", [120, 200])
def test_a_line_reads_from_left_to_right(width: int) -> None:
    lines = _lines(width)
    photo = next(line for line in lines if "4032x3024" in line)
    places = [photo.index(fact) for fact in ("holiday", *_FACTS)]
    assert places == sorted(places)
    starts = [_column(line, "->") for line in lines if "->" in line]
    assert len(starts) == 2 and len(set(starts)) == 1


def test_in_80_columns_what_it_was_stands_before_what_it_became() -> None:
    lines = _lines(80)
    photo = next(line for line in lines if "4032x3024" in line)
    places = [photo.index(fact) for fact in ("holiday", "4032x3024", "->", "1024x768", "41.2 %", "70 high")]
    assert places == sorted(places)
    below = next(line for line in lines if "123.5 kB" in line)
    assert _column(below, "123.5 kB") == _column(photo, "JPEG 1024x768")
    assert _column(next(line for line in lines if "4.72 MB" in line), "4.72 MB") == _column(photo, "JPEG 4032x3024")


@pytest.mark.parametrize("width", [40, 80, 120])
def test_reasons_are_whole_when_asked_for_and_counted_otherwise(width: int) -> None:
    short, whole = (" ".join(" ".join(_lines(width, verbose=verbose)).split()) for verbose in (False, True))
    assert "larger than 1024 x 1024 px" in short and re.search(r"\d more \(-v\)", short)
    assert "turned upright" not in short
    for reason in ("larger than 1024 x 1024 px", "progressive JPEG made baseline", "Display P3", "turned upright"):
        assert reason in whole
    assert "more (-v)" not in whole


def test_without_colour_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not any("\x1b" in line for line in _lines(100))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    # Bold and dim are no colours; 3x and 4x are.
    assert not any(re.search(r"\x1b\[[0-9;]*[34]\d", line) for line in _lines(100, terminal=True))


@given(st.floats(0, 100))
def test_the_word_for_a_quality_is_that_of_the_number_beside_it(quality: float) -> None:
    number, word = quality_words(replace(_PHOTO, quality=quality)).split()
    assert QUALITY_BANDS[word] <= int(number)
    assert all(least > int(number) for least in QUALITY_BANDS.values() if least > QUALITY_BANDS[word])


@pytest.mark.parametrize(
    ("passed_s", "done", "words"),
    [
        (1, 0.5, ""),
        (30, 0.04, ""),
        (30, 1.0, ""),
        (30, 0.5, "about 30 s left"),
        (100, 0.1, "about 15:00 left"),
    ],
)
def test_the_time_left_is_told_once_it_can_be_known(passed_s: float, done: float, words: str) -> None:
    assert time_left(passed_s, done) == words


@pytest.mark.parametrize("width", [40, 60, 80, 120])
@pytest.mark.parametrize(
    ("command", "whole"),
    [
        (["inspect", "message/song.m4a", "message/IMG_20260613_101502.jpg"], ["song.m4a", "convert", "M4A"]),
        (["profiles", "show", "smsglobal"], ["image/vnd.wap.wbmp", "varies", "converted"]),
        (["profiles", "suggest", "AU"], ["Vodafone", "505-03"]),
        (["status"], ["4006", "server"]),
    ],
)
def test_what_is_looked_at_stays_in_the_terminal_and_no_word_is_broken(
    command: list[str], whole: list[str], width: int, sample_media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Narrower than its columns need, a table is a block for each row."""
    monkeypatch.chdir(sample_media)
    monkeypatch.setenv("COLUMNS", str(width))
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert max(map(len, done.stdout.splitlines())) <= width
    assert all(word in done.stdout.split() or f"{word}:" in done.stdout for word in whole), done.stdout
    if width >= 100 and command != ["status"]:
        assert {"File,", "Row,", "Network"} & set(done.stdout.split())


@pytest.mark.parametrize("width", [12, 16, 24, 40])
@pytest.mark.parametrize(
    "name",
    [
        "WhatsApp Image 2026-11-28 at 10.30.45 (1).jpeg",
        "Screenshot_20261128-103045_com.whatsapp.business.png",
        "a" * 76 + ".png",
        "家族の写真2026年11月28日京都旅行の思い出アルバム表紙.jpg",
        "👨‍👩‍👧‍👦 family 🏖️ beach 🇦🇺 holiday 2026 🎉🎉🎉 best-of.jpg",
        "Cafe\u0301_Zu\u0308rich_fac\u0327ade_A\u030angstro\u0308m_re\u0301sume\u0301.jpg",
        "IMG_20261128_103045_HDR_portrait.jpg (attachment 12)",
    ],
)
def test_a_long_name_is_broken_at_its_joints_or_shortened_in_its_middle(name: str, width: int) -> None:
    short, whole = name_lines(name, width), name_lines(name, width, whole=True)
    stem, extension = name.partition(" (attachment")[0].rsplit(".", 1)
    assert max(map(cell_len, whole)) <= max(width, len("(attachment 12)"))
    assert "".join(whole).replace(" ", "") == name.replace(" ", "")
    assert len(short) <= 2 + name.endswith("12)")
    assert any(line.endswith("." + extension) for line in short)
    begun = "".join(short).partition("…")[0].replace(" ", "").partition("." + extension)[0]
    assert begun and stem.replace(" ", "").startswith(begun)
    for lines in (short, whole):
        assert not any(unicodedata.combining(line[0]) or line[0] in "\u200d\ufe0f" for line in lines)


@pytest.mark.parametrize("width", [60, 80, 120])
def test_names_of_a_shared_part_stand_below_one_another_and_many_are_counted(width: int) -> None:
    parts = tuple(replace(_PHOTO, source_name=f"{number}.jpg", indexes=(number,)) for number in range(6))
    shared = replace(_MESSAGE, parts=(replace(_PHOTO, indexes=tuple(range(6))), *parts), rejected=())
    short, whole = (_lines(width, verbose=verbose, message=shared) for verbose in (False, True))
    first = next(place for place, line in enumerate(short) if line.startswith("0.jpg"))
    assert [line.split("  ")[0].strip() for line in short[first : first + 3]] == ["0.jpg", "1.jpg", "and 4 more (-v)"]
    assert sum(line.startswith("5.jpg") for line in whole) == 2


@pytest.mark.parametrize(("width", "named"), [(50, False), (60, True), (80, True), (120, True)])
def test_a_long_name_leaves_the_bar_its_share_and_the_time_their_room(
    width: int, named: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    console = PlainConsole(stderr=True)
    console.file, console.width, console._force_terminal = io.StringIO(), width, True
    console.is_interactive = True
    monkeypatch.setattr(printing, "console_for", lambda **_: console)
    monkeypatch.setattr(printing, "time_left", lambda *_: "about 59:59 left")
    with printing.progress_bar(shown=True) as tell:
        assert tell is not None
        tell(Progress(0, "a" * 90 + ".png", "look", 0.5, finished=False))
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", console.file.getvalue())
    assert " 50% " in shown and "about 59:59 left looking at" in shown
    assert ("a.png" in shown) is named
    assert max(map(cell_len, shown.replace("\r", "\n").splitlines())) <= width


@pytest.mark.parametrize(
    ("seconds", "words"), [(4.2, "4.2 s"), (5, "5 s"), (31, "31 s"), (187, "3:07"), (3723, "1:02:03")]
)
def test_seconds_are_told_as_people_say_them(seconds: float, words: str) -> None:
    assert duration_words(seconds) == words


def test_how_long_a_campaign_takes_is_told_in_fitting_units() -> None:
    assert [span(seconds) for seconds in (90, 600, 7_201, 36_000)] == ["90 s", "10 min", "2.0 h", "10.0 h"]


def test_a_name_that_has_no_room_for_its_end_keeps_its_last_letters() -> None:
    assert shortened("photograph.jpeg", 4) == "\u2026peg" and shortened("a.jpg", 9) == "a.jpg"
