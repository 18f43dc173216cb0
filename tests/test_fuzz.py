"""Damaged files and replies end in a fact, a message that fits, or an error of ours; what was found stays mended."""

from __future__ import annotations

import io
import math
import os
import struct
import unicodedata
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from examples import examples
from fuzz.files import make_case, samples, try_case
from fuzz.mutations import MUTATIONS, splice, stand_long, stretched
from fuzz.parsers import PARSERS, Parser, fuzz_parsers, try_growth, try_parser
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mmsprep import inspect
from mmsprep.errors import ProfileError
from mmsprep.formats.text import clean
from mmsprep.profile import load_profile
from mmsprep.transcode.image.jpeg import FULL_CHROMA, encode, tables_at


@examples(25)
@given(st.integers(0, 1 << 40))
def test_a_damaged_file_is_an_error_of_ours_or_a_message_that_fits(seed: int) -> None:
    """More of the same: ``python -m tests.fuzz --minutes 10``."""
    finding = try_case(make_case(seed))
    assert finding is None, f"{finding.case.sample}, {finding.case.damage}: {finding.problem}"


def test_damaged_input_of_our_own_parsers_is_an_error_that_they_promise() -> None:
    found = list(fuzz_parsers(seed=7, duration_s=5))
    assert not found, found[0][::2]


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.name)
def test_every_parser_takes_its_own_seeds(parser: object) -> None:
    """Otherwise damage to them would prove nothing."""
    assert isinstance(parser, Parser)
    assert parser.seeds
    for data in parser.seeds:
        assert not try_parser(parser, data)


@given(st.randoms(use_true_random=False), st.binary(min_size=1, max_size=300), st.binary(max_size=300))
def test_damage_can_be_done_to_anything(chance: object, data: bytes, other: bytes) -> None:
    for mutation in MUTATIONS:
        assert isinstance(mutation(data, chance), bytes)  # type: ignore[arg-type]
    assert isinstance(splice(data, other, chance), bytes)  # type: ignore[arg-type]


def _square(data: bytes) -> object:
    return sum(data.count(bytes((byte,))) for byte in data[::20])


def _slow(data: bytes) -> object:
    # Nothing is kept: hundreds of megabytes would make it slower than in proportion.
    return sum(math.sqrt(number) for _ in range(200) for number in data)


def _grown(size_bytes: int) -> bytes:
    return b"a" * size_bytes


@pytest.mark.parametrize(("read", "found"), [(_square, "a square"), (_slow, "s for 160,000 bytes"), (len, "")])
def test_time_that_grows_faster_than_the_input_or_is_out_of_proportion_is_a_finding(
    read: Callable[[bytes], object], found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fuzz.parsers._MOST_S_A_BYTE", 1e-6)
    # A fast machine takes no half second for what is a square all the same.
    monkeypatch.setattr("fuzz.parsers._WORTH_A_LOOK_S", 0.1)
    problem, data = try_growth(Parser("some", read, (), [b"a"]), _grown)
    assert found in problem and bool(problem) == bool(found)
    assert len(data) == 160_000


@pytest.mark.parametrize("sample", ["animated.gif", "animated.png", "animated.webp"])
def test_durations_are_among_what_is_damaged(sample_media: Path, sample: str) -> None:
    """Some seed has every frame stand as long as the format can say; a reader takes the file for whole."""
    data = (sample_media / "formats" / sample).read_bytes()
    longest_s = 0.0
    for seed in range(20):
        (report,) = inspect([(sample, stand_long(data, Random(seed)))])
        assert report.info is not None or "max_duration_s" in str(report.error)
        longest_s = max(longest_s, math.inf if report.info is None else report.info.duration_s or 0)
    assert longest_s > 500


@pytest.mark.parametrize("data", [b"MThd" + bytes(20), b"BEGIN:IMELODY\r\n", b"\x89PNG", b""])
def test_stretched_input_has_the_length_that_was_asked_for_and_the_same_chance_makes_the_same(data: bytes) -> None:
    for seed in range(50):
        small, large = (stretched(data, size, Random(seed)) for size in (1_000, 4_000))
        assert 900 < len(small) <= 1_000 and 3_900 < len(large) <= 4_000
        assert stretched(data, 1_000, Random(seed)) == small


def test_a_number_without_end_in_midi_takes_no_time() -> None:
    parser = next(one for one in PARSERS if one.name == "midi")
    head = b"MThd\0\0\0\6\0\0\0\1\0\x60MTrk\0\0\xff\xff"
    assert try_growth(parser, lambda size: head + b"\x81" * (size * 4))[0] == ""


def test_many_empty_tracks_many_folded_lines_and_many_marks_take_no_square_of_time() -> None:
    tracks = struct.pack(">I4s4sI4s", 20, b"ftyp", b"isom", 0, b"isom")
    melody = b"BEGIN:IMELODY\r\nVERSION:1.2\r\nFORMAT:CLASS1.0\r\nMELODY:c3"
    for name, begin, unit, end in (
        ("boxes", tracks + struct.pack(">I4s", 0, b"moov"), struct.pack(">I4s", 8, b"trak"), b""),
        ("imelody", melody, b"\r\n ", b"\r\nEND:IMELODY\r\n"),
        ("clean text", b"a", "\u0301\u0327".encode(), b""),
    ):
        parser = next(one for one in PARSERS if one.name == name)
        problem, _ = try_growth(parser, lambda size, b=begin, u=unit, e=end: b + u * (8 * size // len(u)) + e)  # type: ignore[misc]
        assert not problem, name


def test_more_marks_on_a_letter_than_any_language_has_are_parted_and_stay() -> None:
    text = "a" + "\u0301\u0327" * 40
    cleaned = clean(text, "lf")
    assert clean(cleaned, "lf") == cleaned
    decomposed = unicodedata.normalize("NFD", cleaned)
    assert sorted(decomposed.replace("\u034f", "")) == sorted(text)
    assert clean("Việt Nam é", "lf") == unicodedata.normalize("NFC", "Việt Nam é")


def test_the_same_seed_makes_the_same_case() -> None:
    assert make_case(5) == make_case(5)
    assert len(samples()) > 50


# What was found.


def test_a_profile_nested_without_end_is_a_profile_error(tmp_path: Path) -> None:
    path = tmp_path / "deep.toml"
    path.write_text("a = " + "[" * 100_000)
    with pytest.raises(ProfileError, match="not valid TOML"):
        load_profile(path)


def test_noise_at_the_finest_scale_is_encoded_in_silence(capfd: pytest.CaptureFixture[str]) -> None:
    """Pillow has too little room to optimise it."""
    noise = Image.frombytes("RGB", (300, 200), os.urandom(300 * 200 * 3))
    made = encode(noise, tables_at(0.02), FULL_CHROMA)
    assert Image.open(io.BytesIO(made)).size == (300, 200)
    assert capfd.readouterr() == ("", "")
