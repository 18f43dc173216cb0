"""Damaged files and replies end in a fact, a message that fits, or an error of ours; what was found stays mended."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from fuzz.files import make_case, samples, try_case
from fuzz.mutations import MUTATIONS, splice
from fuzz.parsers import PARSERS, fuzz_parsers, try_parser
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from mmsprep.errors import ProfileError
from mmsprep.profile import load_profile
from mmsprep.transcode.image.jpeg import FULL_CHROMA, encode, tables_at


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
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
    from fuzz.parsers import Parser

    assert isinstance(parser, Parser)
    assert parser.seeds
    for data in parser.seeds:
        assert not try_parser(parser, data)


@given(st.randoms(use_true_random=False), st.binary(min_size=1, max_size=300), st.binary(max_size=300))
def test_damage_can_be_done_to_anything(chance: object, data: bytes, other: bytes) -> None:
    for mutation in MUTATIONS:
        assert isinstance(mutation(data, chance), bytes)  # type: ignore[arg-type]
    assert isinstance(splice(data, other, chance), bytes)  # type: ignore[arg-type]


def test_the_same_seed_makes_the_same_case() -> None:
    assert make_case(5) == make_case(5)
    assert len(samples()) > 50


# What was found.


def test_a_profile_nested_without_end_is_a_profile_error(tmp_path: Path) -> None:
    path = tmp_path / "deep.toml"
    path.write_text("a = " + "[" * 100_000)
    with pytest.raises(ProfileError, match="not valid TOML"):
        load_profile(path)


def test_noise_at_the_finest_scale_is_encoded() -> None:
    """Pillow has too little room to optimise it."""
    noise = Image.frombytes("RGB", (300, 200), os.urandom(300 * 200 * 3))
    made = encode(noise, tables_at(0.02), FULL_CHROMA)
    assert Image.open(io.BytesIO(made)).size == (300, 200)
