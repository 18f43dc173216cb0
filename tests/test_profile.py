"""Profiles: what comes with mmsprep is sound, and mistakes in one's own are explained."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image, ImageSequence, ImageStat

from mmsprep import prepare
from mmsprep.errors import MmsprepError, ProfileError
from mmsprep.model import Phones, Support
from mmsprep.profile import load_profile, network_names, profile_names, suggestions, variant_of
from mmsprep.sender import msisdn
from mmsprep.sender.address import country_of


@pytest.mark.parametrize("name", [*profile_names(), *network_names()])
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


def test_a_profile_takes_from_its_base_what_it_leaves_out(tmp_path: Path) -> None:
    """Tables key by key, the compatibility table row by row; what is said of one profile alone is not handed down."""
    own = tmp_path / "own.toml"
    own.write_text(
        'schema = 1\nname = "own"\nbase = "smsglobal"\ntitle = "Own"\n[message]\nlimit_bytes = 90_000\n'
        '[[table]]\nrow = "MP3"\nformats = ["mp3"]\nsupport = "none"\nuse = "refuse"\n'
    )
    (tmp_path / "third.toml").write_text('schema = 1\nname = "third"\nbase = "own.toml"\ntitle = "Third"\n')
    base, found, third = load_profile("smsglobal"), load_profile(own), load_profile(tmp_path / "third.toml")
    assert (found.message.limit_bytes, found.message.max_attachments) == (90_000, base.message.max_attachments)
    assert [row.row for row in found.table] == [row.row for row in base.table]
    assert [row.row for row, other in zip(found.table, base.table, strict=True) if row != other] == ["MP3"]
    assert found.image == base.image
    assert (found.source, found.variants.old, base.variants.old) == ("", "", "smsglobal-old")
    assert third.message == found.message
    assert load_profile("smsglobal") == base


def test_a_profile_that_stands_on_itself_is_told(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text('schema = 1\nname = "own"\nbase = "own.toml"\ntitle = "Own"\n')
    with pytest.raises(ProfileError, match="on itself"):
        load_profile(own)
    own.write_text('schema = 1\nname = "own"\nbase = "nobody"\ntitle = "Own"\n')
    with pytest.raises(ProfileError, match="'nobody': not found"):
        load_profile(own)


def test_phones_of_other_years_have_a_variant_where_the_profile_names_one() -> None:
    assert [variant_of("smsglobal", phones) for phones in Phones] == ["smsglobal-old", "smsglobal", "smsglobal-modern"]
    with pytest.raises(ProfileError, match="'image-basic' has no variant for old phones"):
        variant_of("image-basic", Phones.OLD)


@pytest.mark.parametrize(
    ("number", "country", "expected"),
    [
        ("61409317436", "AU", {"telstra", "optus", "vodafone-au"}),
        ("6421345678", "NZ", {"spark-nz"}),
        ("12025550123", "US", {"att", "verizon", "t-mobile-us"}),
        ("9647701234567", "IQ", {"asiacell", "zain-iraq"}),
        ("41791234567", "CH", set()),
    ],
)
def test_what_is_known_of_a_numbers_country_is_suggested_with_its_sources(
    number: str, country: str, expected: set[str]
) -> None:
    found = suggestions(country_of(msisdn(number)))
    assert country_of(msisdn(number)) == country
    assert expected <= {one.profile for one in found}
    assert all(one.source for one in found)
    assert [one.limit_bytes for one in found] == sorted(one.limit_bytes for one in found)
    for one in found:
        # Where sources differ, the profile goes by the stricter.
        assert not one.profile or load_profile(one.profile).message.limit_bytes <= one.limit_bytes


def test_a_network_profile_names_its_source() -> None:
    assert all(load_profile(name).source for name in network_names())


@pytest.mark.parametrize(("length", "warned"), [(64, False), (65, True)])
def test_a_subject_that_phones_cut_is_warned_about(length: int, warned: bool) -> None:
    message = prepare(text="Hello", subject="x" * length)
    assert any("may cut it after 64" in warning for warning in message.warnings) == warned


def test_old_phones_get_the_frame_of_an_animation_that_shows_most(tmp_path: Path) -> None:
    """Not the blank one that it begins with."""
    blank = Image.new("P", (120, 90), 0)
    drawn = Image.linear_gradient("L").resize((120, 90)).convert("P")
    blank.save(tmp_path / "fade.gif", save_all=True, append_images=[drawn, blank], duration=200)
    part = prepare(tmp_path / "fade.gif", profile="smsglobal-old").parts[0]
    with Image.open(BytesIO(part.data)) as sent:
        assert len(list(ImageSequence.Iterator(sent))) == 1
        assert ImageStat.Stat(sent.convert("L")).stddev[0] > 40
    assert any("frame 2 of 3" in note for note in part.notes)


@pytest.mark.parametrize(
    ("name", "content_type", "text"),
    [
        ("ann.vcf", "text/x-vcard", "BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Ann\r\nTEL:+61400000001\r\nEND:VCARD\r\n"),
        ("tea.ics", "text/calendar", "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//a//b\r\nEND:VCALENDAR\r\n"),
    ],
)
def test_the_example_of_a_profile_for_cards_carries_them_as_they_are(name: str, content_type: str, text: str) -> None:
    example = Path(__file__).parent.parent / "docs" / "examples" / "cards.toml"
    (part,) = prepare([(name, text.encode())], profile=str(example)).parts
    assert (part.content_type, part.data) == (content_type, text.encode())
    with pytest.raises(MmsprepError, match="not in the compatibility table"):
        prepare([(name, text.encode())])


@pytest.mark.parametrize("text", ["limit = " + "9" * 5_000, "a = " + "[" * 5_000, "\xff = 1", "a ="])
def test_a_file_that_is_no_toml_to_python_is_a_profile_error(tmp_path: Path, text: str) -> None:
    """Numbers of thousands of digits and nesting without an end, too, which Python refuses in other words."""
    path = tmp_path / "odd.toml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ProfileError):
        load_profile(path)


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ('[[table]]\nrow = "AVI"\nformats = ["avi"]\nsupport = "good"\nuse = "keep"\n', "needs a 'content_type'"),
        (
            '[video]\nformat = "mp4"\ncodec = "h263"\n'
            'audio_ladder = [{format = "aac", rate_kbps = 32, sample_rate_hz = 22050, channels = 1}]\n',
            "which an mp4 does not carry",
        ),
    ],
)
def test_what_a_profile_says_that_cannot_be_is_told(tmp_path: Path, lines: str, told: str) -> None:
    own = tmp_path / "own.toml"
    own.write_text(f'schema = 1\nname = "own"\nbase = "smsglobal"\ntitle = "Own"\n{lines}')
    with pytest.raises(ProfileError, match=told):
        load_profile(own)
