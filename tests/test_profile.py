"""Profiles: what comes with mmsprep is sound, and mistakes in one's own are explained."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmsprep.errors import ProfileError
from mmsprep.model import Support
from mmsprep.profile import load_profile, profile_names


@pytest.mark.parametrize("name", profile_names())
def test_every_profile_that_comes_with_mmsprep_loads_and_is_named_as_its_file(name: str) -> None:
    profile = load_profile(name)
    assert profile.name == name
    if profile.stricter:
        assert load_profile(profile.stricter).message.limit_bytes <= profile.message.limit_bytes


def test_the_default_holds_every_row_of_the_published_table() -> None:
    rows = {row.row: row.support for row in load_profile("smsglobal").table}
    assert rows == {
        "JPEG, JPG": Support.GOOD,
        "GIF: GIF87a, GIF89a, animated GIF89a": Support.GOOD,
        "WBMP (inferred)": Support.VARIES,
        "BMP (Windows Bitmap)": Support.VARIES,
        "MP3": Support.PARTIAL,
        "MID, MIDI": Support.GOOD,
        "WAV": Support.GOOD,
        "AMR": Support.PARTIAL,
        "IMY, eMY": Support.PARTIAL,
        "Evc": Support.NONE,
        "AAC": Support.NONE,
        "MPeG, MPG, MP4": Support.VARIES,
        "3GP": Support.GOOD,
        "TXT, TeXT, US-ASCII": Support.GOOD,
        "X-IMeLODY": Support.PARTIAL,
        "X-eMeLODY": Support.PARTIAL,
    }


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("max_fps = 30", "max_frames = 30", ["unknown key 'video.max_frames'", "max_fps"]),
        ("rate_kbps = 96", "rate = 96", ["unknown key 'audio.ladder.rate'", "rate_kbps"]),
        ("max_fps = 30", 'max_fps = "30"', ["'video.max_fps'", "expected `float`"]),
        ("limit_bytes = 300_000", "", ["'message.limit_bytes' is missing"]),
        ("limit_bytes = 300_000", "limit_bytes = 100", ["limit_bytes", "reserve_bytes"]),
        ("limit_bytes = 300_000", "limit_bytes = -1", ["'message.limit_bytes'"]),
        ('formats = ["wav"]', 'formats = ["wave"]', ["'wave'", "wav"]),
        ('use = "keep"', 'use = "kept"', ["'table.use'", "kept"]),
        ("schema = 1", "schema = ", ["not valid TOML"]),
        ("schema = 1", "schema = 2", ["'schema'"]),
        ('background = "#ffffff"', 'background = "white"', ["'image.background'"]),
        ('format = "3gp"', 'format = "mp4"', ["'video.audio_ladder'", "amr", "sound in mp4 is aac"]),
    ],
)
def test_a_mistake_names_the_file_the_key_and_what_is_allowed(
    tmp_path: Path, old: str, new: str, expected: list[str]
) -> None:
    original = (Path(__file__).parent / "data" / "profile.toml").read_text("utf-8")
    assert old in original
    path = tmp_path / "mine.toml"
    path.write_text(original.replace(old, new, 1), "utf-8")
    with pytest.raises(ProfileError) as caught:
        load_profile(path)
    assert str(path) in str(caught.value)
    for words in expected:
        assert words in str(caught.value)


def test_a_profile_of_ones_own_is_loaded_by_its_path() -> None:
    assert load_profile(Path(__file__).parent / "data" / "profile.toml").name == "mine"


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ProfileError, match="smsglobal"):
        load_profile("vodafone")


def test_a_missing_file_is_named() -> None:
    with pytest.raises(ProfileError, match=r"nowhere\.toml: cannot be read"):
        load_profile("nowhere.toml")
