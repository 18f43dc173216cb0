"""Adding a format is adding one file: what it registers is all that sniffing, classifying and stripping ask for."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from PIL import Image

from mmsprep.errors import TypeNotAllowed, UnknownType
from mmsprep.formats import FORMATS, Format
from mmsprep.formats.content import Content
from mmsprep.formats.registry import _STARTS, by_magic, described, named, register, remove
from mmsprep.model import Action, Attachment, Kind, MediaInfo, Support
from mmsprep.pipeline import prepare
from mmsprep.pipeline.classify import classify
from mmsprep.pipeline.rewrap import strip
from mmsprep.profile import Profile, Row, Use
from mmsprep.settings import Settings
from mmsprep.sniff import identify
from mmsprep.sniff.recognise import look

_MAGIC = b"TOY\x00PICTURE\x00"


def _read(content: Content) -> MediaInfo:
    width_px, height_px = struct.unpack_from(">HH", content.head, len(_MAGIC))
    extra = content.size_bytes > len(_MAGIC) + 4 + width_px * height_px
    metadata = ("trailing",) if extra else ()
    return described(content, "toy", width_px=width_px, height_px=height_px, frame_count=1, metadata=metadata)


def _strip(content: Content) -> bytes:
    width_px, height_px = struct.unpack_from(">HH", content.head, len(_MAGIC))
    return content.read(0, len(_MAGIC) + 4 + width_px * height_px)


_TOY = Format(
    slug="toy",
    title="Toy",
    kind=Kind.IMAGE,
    content_type="image/x-toy",
    extension="toy",
    magics=(((0, _MAGIC),),),
    read=_read,
)


@pytest.fixture
def toy() -> Iterator[Format]:
    register(_TOY)
    yield _TOY
    remove("toy")


def picture(extra: bytes = b"") -> Attachment:
    data = _MAGIC + struct.pack(">HH", 8, 4) + bytes(32) + extra
    return Attachment(0, "picture.jpg", len(data), data=data)


def keeping(profile: Profile) -> Profile:
    row = Row(row="Toy", formats=("toy",), content_type="image/x-toy", support=Support.GOOD, use=Use.KEEP)
    return msgspec.structs.replace(profile, table=(*profile.table, row))


@pytest.mark.usefixtures("toy")
def test_a_format_that_is_registered_is_sniffed_and_classified(profile: Profile) -> None:
    """Its row alone makes it known: to the sniffer, to every profile, and to the table that keeps it."""
    assert identify(picture()).title == "Toy"
    info = look(picture(), Settings())
    assert (info.format, info.kind, info.width_px, info.height_px) == ("toy", Kind.IMAGE, 8, 4)
    assert info.notes == ("named .jpg, but it is a Toy image",)
    plan = classify("picture.jpg", info, profile)
    assert (plan.action, plan.target) == (Action.TRANSCODE, "jpeg")
    assert [reason.code for reason in plan.reasons] == ["type_not_in_table"]
    assert classify("picture.jpg", info, keeping(profile)).action is Action.KEEP


@pytest.mark.usefixtures("toy")
def test_what_a_format_can_be_stripped_of_is_repackaged_where_its_row_says_how(profile: Profile) -> None:
    info = look(picture(b"more"), Settings())
    assert classify("it", info, keeping(profile)).action is Action.TRANSCODE
    register(replace(_TOY, strip=_strip))
    assert classify("it", info, keeping(profile)).action is Action.REWRAP
    assert strip(picture(b"more"), "toy", 1_000) == picture().data
    assert strip(picture(b"more"), "toy", 10) is None


@pytest.mark.usefixtures("toy")
def test_a_format_that_no_mms_carries_is_refused_with_its_advice() -> None:
    register(replace(_TOY, kind=None, advice="play with it yourself"))
    with pytest.raises(TypeNotAllowed, match="no MMS carries; play with it yourself"):
        look(picture(), Settings())


@pytest.mark.usefixtures("toy")
def test_frames_that_move_make_an_animation_where_the_row_says_so(profile: Profile) -> None:
    info = replace(look(picture(), Settings()), frame_count=3)
    assert classify("it", info, profile).target == "jpeg"
    register(replace(_TOY, animated=True))
    assert classify("it", info, profile).target == "gif"


def test_a_format_that_was_taken_off_the_shelf_is_unknown() -> None:
    register(_TOY)
    assert "toy" in FORMATS
    remove("toy")
    assert "toy" not in FORMATS


_AT_HOME = """
from mmsprep.formats import registry
for slug in registry._HOMES:
    assert slug in registry.FORMATS and registry.FORMATS[slug].slug == slug
for start in registry._STARTS:
    assert registry.by_magic(start)
assert not registry._filled_once
"""


def test_a_usual_format_is_found_without_loading_all() -> None:
    """Each lies where it is said to: a question about it, and one about its first bytes, fills no shelf."""
    subprocess.run([sys.executable, "-c", _AT_HOME], check=True)


def test_first_bytes_that_are_one_formats_alone_are() -> None:
    assert list(FORMATS)
    for start, slug in _STARTS.items():
        assert [entry for _, entry in by_magic(start) if entry is not FORMATS[slug]] == []


_TOY_FIRST = """
from dataclasses import replace
from mmsprep.formats import FORMATS, registry
from mmsprep.formats.content import Content
from mmsprep.formats.signatures import recognised
from io import BytesIO
from test_formats import _TOY
registry.register(replace(_TOY, magics=(((0, b"\\xff\\xd8\\xff\\xe0TOY"),),)))
told = [recognised(Content("it", BytesIO(b"\\xff\\xd8\\xff\\xe0" + more), None)) for more in (b"TOY", b"JFIF")]
assert told == ["toy", "jpeg"] and not registry._filled_once, told
"""


def test_of_two_magics_with_the_same_first_bytes_the_longer_one_counts_before_all_are_loaded() -> None:
    subprocess.run([sys.executable, "-c", _TOY_FIRST], check=True, cwd=Path(__file__).parent)


def test_a_format_that_files_of_a_name_are_likely_to_be_of_is_known() -> None:
    told = {name: found.slug for name in ("jpg", "heic", "opus", "mid", "docx") if (found := named(name))}
    assert told == {"jpg": "jpeg", "heic": "heic", "opus": "ogg", "mid": "midi", "docx": "office"}
    assert named("nothing-ends-so") is None


def test_the_shelf_names_what_it_holds() -> None:
    """Every row says what it is; what is never sent says what to do instead; the kinds stand together."""
    assert [slug for slug, entry in FORMATS.items() if slug != entry.slug] == []
    kinds = [entry.kind for entry in FORMATS.values()]
    assert kinds == sorted(kinds, key=[*Kind, None].index)
    assert [entry.slug for entry in FORMATS.values() if entry.kind is None and not entry.advice] == ["dcf"]
    assert [entry.slug for entry in FORMATS.values() if entry.kind is Kind.VIDEO and not entry.demuxer] == []


def test_a_picture_of_a_new_format_becomes_a_message(profile: Profile) -> None:
    """Early Windows' pictures, which nothing here names: a row with magic and Pillow's decoder is all it takes."""
    out = io.BytesIO()
    Image.effect_mandelbrot((320, 240), (-2, -1.2, 1, 1.2), 60).convert("1").save(out, "MSP")
    with pytest.raises(UnknownType):
        prepare([("it", out.getvalue())], profile=profile, settings=Settings(isolate=False))
    row = Format(
        slug="msp",
        title="Windows Paint 1",
        kind=Kind.IMAGE,
        content_type="image/x-msp",
        extension="msp",
        magics=(((0, b"DanM"),),),
        decoder="PIL.MspImagePlugin:MspImageFile",
    )
    register(row)
    try:
        (part,) = prepare([("it", out.getvalue())], profile=profile, settings=Settings(isolate=False)).parts
    finally:
        remove("msp")
    assert (part.source.format, part.kind, part.width_px, part.height_px) == ("msp", Kind.IMAGE, 320, 240)
    assert part.format in ("jpeg", "gif")
