"""Classification: keep, rewrap, transcode or refuse, with every reason; pure facts in, a plan out."""

from __future__ import annotations

import json
import pickle
from dataclasses import asdict, replace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmsprep.errors import TypeNotAllowed
from mmsprep.formats import FORMATS
from mmsprep.formats.codec_levels import (
    level_allowed,
    level_rank,
    lowest_h264_level,
    profile_allowed,
    split_codec_profile,
)
from mmsprep.message.wording import reason_words
from mmsprep.model import Action, Kind, MediaInfo, Reason, ReasonCode, Support
from mmsprep.pipeline.classify import classify
from mmsprep.profile import ImageRules, Profile, Row, Use, load_profile


def facts(slug: str, **values: Any) -> MediaInfo:
    """A file that the default profile keeps as it is, if its row says keep; ``values`` are the deviations."""
    usual: dict[str, dict[str, Any]] = {
        "jpeg": {"encoding": "baseline", "colour": "ycbcr", "bit_depth": 8},
        "mp3": {"audio_codec": "mp3", "sample_rate_hz": 44100, "channels": 2},
        "wav": {"audio_codec": "pcm_s16le", "sample_rate_hz": 16000, "channels": 1, "brand": "RIFF"},
        "amr": {"audio_codec": "amr_nb", "sample_rate_hz": 8000, "channels": 1},
        "midi": {"brand": "smf1"},
        "text": {"encoding": "utf-8", "metadata": ("crlf",)},
        "vcard": {"encoding": "ascii", "metadata": ("crlf",)},
    }
    clip = {
        "video_codec": "h264",
        "video_profile": "Constrained Baseline@L1.3",
        "video_rate_kbps": 200.0,
        "frame_rate_fps": 15.0,
        "frame_count": 150,
        "audio_codec": "amr_nb",
        "channels": 1,
        "brand": "3gp5",
        "moov_first": True,
        "duration_s": 10.0,
        "width_px": 320,
        "height_px": 240,
    }
    kind = FORMATS[slug].kind
    assert kind is not None
    common: dict[str, Any] = {"width_px": 800, "height_px": 600, "frame_count": 1} if kind is Kind.IMAGE else {}
    common |= clip if kind is Kind.VIDEO else usual.get(slug, {})
    common |= {"format": slug, "kind": kind, "content_type": FORMATS[slug].content_type, "size_bytes": 1000}
    return MediaInfo(**(common | values))


def changed(profile: Profile, **parts: dict[str, Any]) -> Profile:
    """``profile`` with some keys of its tables changed."""
    new = {
        name: msgspec.structs.replace(getattr(profile, name), **values) if isinstance(values, dict) else values
        for name, values in parts.items()
    }
    return msgspec.structs.replace(profile, **new)


@pytest.mark.parametrize(
    "info",
    [
        facts("jpeg"),
        facts("jpeg", colour="grey"),
        facts("jpeg", width_px=400, height_px=2600),
        facts("gif", frame_count=30),
        facts("mp3"),
        facts("mp3", sample_rate_hz=16000, channels=1),
        facts("wav"),
        facts("wav", audio_codec="pcm_u8", channels=2, sample_rate_hz=48000),
        facts("amr"),
        facts("midi"),
        facts("3gp"),
        facts("3gp", audio_codec=None, channels=None, brand="3gp4"),
        facts("3gp", audio_codec="aac", width_px=480, height_px=640, frame_rate_fps=30.02),
        facts("text"),
        facts("text", encoding="ascii", metadata=()),
    ],
)
def test_what_fits_is_kept(profile: Profile, info: MediaInfo) -> None:
    """A well-supported file inside all limits is kept, without a reason against it."""
    plan = classify("file", info, profile)
    assert (plan.action, plan.target, plan.reasons) == (Action.KEEP, info.format, ())
    assert plan.row is not None
    assert plan.support is not Support.NONE


@pytest.mark.parametrize(
    ("info", "found"),
    [
        (facts("jpeg", metadata=("exif", "gps")), "exif, gps"),
        (facts("jpeg", metadata=("extra_pictures", "trailing")), "extra_pictures, trailing"),
        (facts("jpeg", icc_profile="srgb"), "srgb"),
        (facts("gif", metadata=("comment",)), "comment"),
        (facts("mp3", metadata=("id3", "cover")), "id3, cover"),
        (facts("wav", metadata=("tags",)), "tags"),
        (facts("amr", metadata=("trailing",)), "trailing"),
        (facts("midi", metadata=("rmi",)), "rmi"),
        (facts("3gp", metadata=("tags", "creation_time")), "tags, creation_time"),
        (facts("3gp", moov_first=False), "index behind the media"),
    ],
)
def test_what_only_needs_other_packaging_is_rewrapped(profile: Profile, info: MediaInfo, found: str) -> None:
    """Metadata and packaging go without a generation lost."""
    plan = classify("file", info, profile)
    assert (plan.action, plan.target) == (Action.REWRAP, info.format)
    assert [reason.found for reason in plan.reasons] == [found]


@pytest.mark.parametrize(
    ("info", "code"),
    [
        (facts("jpeg", width_px=4000, height_px=3000), "size_px"),
        (facts("jpeg", orientation=6), "orientation"),
        (facts("jpeg", encoding="progressive"), "coding"),
        (facts("jpeg", encoding="arithmetic"), "coding"),
        (facts("jpeg", colour="cmyk"), "colour"),
        (facts("jpeg", colour="ycbcr-4x1"), "colour"),
        (facts("jpeg", icc_profile="Display P3"), "icc_profile"),
        (facts("gif", metadata=("unterminated",)), "unterminated"),
        (facts("gif", width_px=3300, height_px=3300), "size_px"),
        (facts("gif", width_px=1200, frame_count=8), "size_px"),
        (facts("mp3", sample_rate_hz=8000), "sample_rate"),
        (facts("mp3", audio_codec="mp2"), "codec"),
        (facts("wav", audio_codec="pcm_s24le"), "codec"),
        (facts("wav", audio_codec="adpcm_ima_wav"), "codec"),
        (facts("wav", sample_rate_hz=96000), "sample_rate"),
        (facts("wav", channels=6), "channels"),
        (facts("wav", brand="open"), "brand"),
        (facts("midi", brand="smf2"), "brand"),
        (facts("jpeg", bit_depth=12), "bit_depth"),
        (facts("imelody", encoding="ascii", metadata=("control_characters",)), "control_characters"),
        (facts("3gp", brand="3gp9"), "brand"),
        (facts("3gp", video_codec="h263"), "codec"),
        (facts("3gp", video_profile="High@L1.3"), "codec_profile"),
        (facts("3gp", video_profile="Baseline@L3.1"), "codec_level"),
        (facts("3gp", video_profile=None), "codec_level"),
        (facts("3gp", audio_codec="amr_wb"), "audio_codec"),
        (facts("3gp", width_px=1280, height_px=720), "size_px"),
        (facts("3gp", rotation_deg=90), "rotation"),
        (facts("3gp", pixel_aspect=1.333), "pixel_aspect"),
        (facts("3gp", interlaced=True), "interlaced"),
        (facts("3gp", colour="hdr-pq"), "hdr"),
        (facts("3gp", frame_rate_fps=60.0), "frame_rate"),
        (facts("3gp", video_rate_kbps=9000.0), "rate"),
        (facts("3gp", video_rate_kbps=None, size_bytes=9_000_000), "rate"),
        (facts("3gp", frame_count=1, audio_codec=None), "single_frame"),
        (facts("text", encoding="utf-16"), "encoding"),
        (facts("text", encoding="utf-8-sig"), "encoding"),
        (facts("text", metadata=("lf",)), "line_ends"),
        (facts("text", metadata=("mixed_line_ends",)), "line_ends"),
        (facts("text", metadata=("crlf", "control_characters")), "control_characters"),
        (facts("text", metadata=("crlf", "decomposed")), "decomposed"),
        (facts("bmp"), "type_converted"),
        (facts("png"), "type_not_in_table"),
        (facts("avi", kind=Kind.AUDIO), "sound_only"),
    ],
)
def test_what_does_not_fit_is_transcoded_for_a_reason(profile: Profile, info: MediaInfo, code: str) -> None:
    """Each deviation has its own code, and no other deviation is claimed for the types that are kept."""
    plan = classify("file", info, profile)
    assert plan.action is Action.TRANSCODE
    codes = [reason.code for reason in plan.reasons]
    assert code in codes
    assert all(reason.found and reason.allowed for reason in plan.reasons)
    row = profile.row_of(info.format)
    if row is not None and row.use is Use.KEEP and info.video_profile:
        assert codes == [code]


def test_every_reason_is_given(profile: Profile) -> None:
    """All that is wrong is said at once, not the first thing only."""
    info = facts("jpeg", width_px=4000, orientation=3, encoding="progressive", metadata=("gps",))
    codes = {reason.code for reason in classify("file", info, profile).reasons}
    assert codes == {"size_px", "orientation", "coding", "metadata"}


@pytest.mark.parametrize(
    ("info", "target"),
    [
        (facts("heic"), "jpeg"),
        (facts("webp"), "jpeg"),
        (facts("webp", frame_count=12), "gif"),
        (facts("png", frame_count=12), "gif"),
        (facts("tiff", notes=("has several pages; the first one is sent",)), "jpeg"),
        (facts("ogg", audio_codec="opus"), "mp3"),
        (facts("mov"), "3gp"),
        (facts("mov", frame_count=1), "3gp"),
        (facts("mov", frame_count=1, audio_codec=None), "jpeg"),
        (facts("imelody"), "midi"),
        (facts("text", encoding="cp1252"), "text"),
    ],
)
def test_target_is_the_slug_first_aimed_at(profile: Profile, info: MediaInfo, target: str) -> None:
    """JPEG for stills, GIF for animations, the profile's clip format, the ladder's first rung, MIDI for melodies."""
    assert classify("file", info, profile).target == target


@pytest.mark.parametrize(
    ("info", "targets"),
    [
        (facts("png"), ("jpeg", "gif")),
        (facts("webp", frame_count=12), ("gif", "3gp")),
        (facts("ogg", audio_codec="opus"), ("mp3", "amr")),
        (facts("mov"), ("3gp",)),
        (facts("imelody"), ("midi",)),
    ],
)
def test_a_plan_names_every_format_that_it_may_become(
    profile: Profile, info: MediaInfo, targets: tuple[str, ...]
) -> None:
    assert classify("file", info, profile).targets == targets
    only_jpeg = changed(profile, image={"targets": ("jpeg",)})
    assert classify("file", facts("webp", frame_count=12), only_jpeg).targets == ("jpeg",)


def test_other_profiles(profile: Profile) -> None:
    """What is kept and aimed at follows the profile, not the program."""
    legacy = load_profile("legacy-gsm")
    h263 = facts(
        "3gp",
        brand="3gp4",
        video_codec="h263",
        video_profile="BaseLine@1.0",
        video_rate_kbps=50.0,
        width_px=176,
        height_px=144,
    )
    assert classify("file", h263, legacy).action is Action.KEEP
    too_high = replace(h263, video_profile="BaseLine@3.0")
    assert [reason.code for reason in classify("file", too_high, legacy).reasons] == ["codec_level"]
    odd = replace(h263, width_px=160, height_px=120)
    assert [reason.code for reason in classify("file", odd, legacy).reasons] == (
        ["frame_size"] if legacy.video and legacy.video.fixed_sizes else []
    )
    assert classify("file", facts("ogg"), legacy).target == "amr"
    assert classify("file", facts("imelody", encoding="ascii"), legacy).action is Action.KEEP
    only_jpeg = changed(profile, image={"targets": ("jpeg",)})
    assert classify("file", facts("webp", frame_count=12), only_jpeg).target == "jpeg"


def test_ima_adpcm_is_kept_only_where_the_ladder_knows_it(profile: Profile) -> None:
    """IMA ADPCM is no plain WAV."""
    info = facts("wav", audio_codec="adpcm_ima_wav")
    ladder = (*profile.audio.ladder, msgspec.structs.replace(profile.audio.ladder[0], format="wav-ima"))
    assert classify("file", info, changed(profile, audio={"ladder": ladder})).action is Action.KEEP


def test_clips_where_the_profile_takes_none() -> None:
    """A clip is refused with advice; a clip of one frame is a picture and goes."""
    basic = load_profile("image-basic")
    with pytest.raises(TypeNotAllowed, match=r"clip\.mov: is a clip .*--poster"):
        classify("clip.mov", facts("mov"), basic)
    assert classify("clip.mov", facts("mov", frame_count=1), basic).target == "jpeg"


def test_vcards_need_a_row(profile: Profile) -> None:
    """A vCard is refused and the table named as the reason; a profile with a row for it keeps it."""
    with pytest.raises(TypeNotAllowed, match="not in the compatibility table"):
        classify("me.vcf", facts("vcard"), profile)
    row = Row(row="vCard", formats=("vcard",), content_type="text/x-vcard", support=Support.VARIES, use=Use.KEEP)
    allowed = msgspec.structs.replace(profile, table=(*profile.table, row))
    plan = classify("me.vcf", facts("vcard"), allowed)
    assert (plan.action, plan.target, plan.support) == (Action.KEEP, "vcard", Support.VARIES)


def test_refused_rows_and_melodies(profile: Profile) -> None:
    """A row may refuse its type; a melody needs MIDI or a row that keeps it."""
    refusing = tuple(
        msgspec.structs.replace(row, use=Use.REFUSE) if "gif" in row.formats else row for row in profile.table
    )
    with pytest.raises(TypeNotAllowed, match="refuses"):
        classify("a.gif", facts("gif"), msgspec.structs.replace(profile, table=refusing))
    silent = tuple(row for row in profile.table if "midi" not in row.formats)
    with pytest.raises(TypeNotAllowed, match="melody"):
        classify("a.imy", facts("imelody"), msgspec.structs.replace(profile, table=silent))


sides = st.integers(1, 20_000)


@given(width=sides, height=sides, long=sides, short=sides, tall=sides)
def test_picture_limits(width: int, height: int, long: int, short: int, tall: int) -> None:
    """Turning a picture changes nothing, shrinking one inside the limits neither, and the area has a limit."""
    rules = ImageRules(max_long_px=max(long, short), max_short_px=min(long, short), tall_max_long_px=tall)
    scale = rules.scale_for(width, height)
    assert scale == rules.scale_for(height, width)
    assert 0 < scale <= 1
    if scale == 1:
        assert width * height <= 2 * long * short
        assert max(width, height) <= max(long, short, tall)
    assert rules.scale_for(rules.max_long_px, rules.max_short_px) == 1
    if max(width, height) <= 3 * min(width, height):
        plain = max(width, height) <= rules.max_long_px and min(width, height) <= rules.max_short_px
        assert (scale == 1) == plain


def test_levels_are_in_order() -> None:
    """Levels compare as their standards order them, 1b between 1 and 1.1 included."""
    for codec, levels in (
        ("h264", ["1", "1b", "1.1", "1.2", "1.3", "2", "2.2", "3.0", "3.1", "4", "5.1"]),
        ("h263", ["10", "20", "30", "4.5", "70"]),
        ("mpeg4", ["0", "0b", "1", "2", "3"]),
    ):
        ranks = [level_rank(codec, level) for level in levels]
        assert None not in ranks
        assert ranks == sorted(ranks, key=lambda rank: rank or 0)
        assert len(set(ranks)) == len(ranks)
    assert level_rank("h264", "3.0") == level_rank("h264", "L3")
    assert level_rank("h263", "1.0") == level_rank("h263", "10")
    assert level_rank("h264", "7.7") is None
    assert not level_allowed("h264", "", "3.0")
    assert level_allowed("h264", "1b", "1.1")


def test_profiles_of_codecs() -> None:
    """Constrained baseline is baseline, baseline plays on a main decoder, and not the other way."""
    assert split_codec_profile("Constrained Baseline@L1.3") == ("constrained baseline", "1.3")
    assert split_codec_profile("Main 10@L1@Main") == ("main 10", "1")
    assert split_codec_profile("") == ("", "")
    assert profile_allowed("constrained baseline", "baseline")
    assert profile_allowed("baseline", "Main")
    assert not profile_allowed("high", "baseline")
    assert not profile_allowed("high 4:4:4 predictive", "high")


@given(
    slug=st.sampled_from([slug for slug, entry in FORMATS.items() if entry.kind is not None]),
    deviation=st.fixed_dictionaries(
        {},
        optional={
            "orientation": st.integers(1, 8),
            "frame_count": st.integers(1, 500),
            "metadata": st.lists(st.sampled_from(["exif", "id3", "trailing", "unterminated", "lf"])).map(tuple),
            "channels": st.integers(1, 8),
            "audio_codec": st.sampled_from(["aac", "mp3", "opus", None]),
        },
    ),
    name=st.sampled_from(["smsglobal", "legacy-gsm", "video-rich", "image-basic"]),
)
def test_every_plan_makes_sense(slug: str, deviation: dict[str, Any], name: str) -> None:
    """Whatever the facts: kept means no reason, changed means some, and the target is one that can be made."""
    profile = load_profile(name)
    try:
        plan = classify("file", facts(slug, **deviation), profile)
    except TypeNotAllowed as error:
        assert str(error).startswith("file: ")
        return
    assert (plan.action is Action.KEEP) == (not plan.reasons)
    assert FORMATS[plan.target].kind is not None
    row = profile.row_of(slug)
    if plan.action is not Action.TRANSCODE:
        assert plan.target == slug
        assert row is not None
        assert row.use is Use.KEEP


@pytest.mark.parametrize(
    ("size", "fps", "peak_kbps", "level"),
    [
        ((176, 144), 15, 60, "1"),
        ((352, 288), 7.5, 150, "1.1"),
        ((320, 240), 20, 300, "1.2"),
        ((352, 288), 30, 700, "1.3"),
        ((352, 288), 30, 1_500, "2"),
        ((480, 272), 30, 600, "2.1"),
        ((640, 480), 12, 600, "2.2"),
        ((640, 360), 30, 600, "3"),
        ((1280, 720), 30, 900, "3.0"),
    ],
)
def test_a_clip_gets_the_lowest_level_that_holds_it(
    size: tuple[int, int], fps: float, peak_kbps: float, level: str
) -> None:
    """Table A-1 of H.264; never above what the profile allows."""
    assert lowest_h264_level(*size, fps, peak_kbps, reference_frames=2, highest="3.0") == level


_CODES = """
type_not_in_table type_converted metadata icc_profile size_px orientation coding colour bit_depth unterminated codec
audio_codec codec_profile codec_level brand rotation pixel_aspect frame_rate rate frame_size hdr interlaced
moov_position single_frame excerpt sound_only sample_rate channels encoding line_ends control_characters decomposed
over_limit_bytes poster channels_cancel animation animation_as_clip slides vanishes
"""


def test_the_codes_of_the_reasons_are_a_contract_and_each_has_its_words() -> None:
    """None that programs know may go; a document of a newer mmsprep is read all the same."""
    assert set(_CODES.split()) <= set(ReasonCode)
    for code in ReasonCode:
        said = code.words.format(found="<found>", allowed="<allowed>")
        assert said and code.meaning and code.value == code.name.lower()
    newer = Reason(ReasonCode("not_known_yet"), "this", "that")
    assert reason_words([newer]) == ["this (allowed: that)"]
    assert json.dumps(asdict(newer)) == '{"code": "not_known_yet", "found": "this", "allowed": "that"}'
    assert pickle.loads(pickle.dumps(newer)) == newer
    assert "not_known_yet" not in set(ReasonCode)
