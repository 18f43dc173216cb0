"""What a phone does with one part.

Comes in: what the part is, a phone. Goes out: a :class:`Verdict`. Never: a look at bytes, or a change to the part.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from mmsprep.formats import FORMATS
from mmsprep.formats.codec_levels import level_allowed, profile_allowed, split_codec_profile
from mmsprep.handset.model import Decoder, Handset
from mmsprep.model import Kind, MediaInfo


class Showing(StrEnum):
    """How a part appears on a phone."""

    SHOWN = "shown"
    STILL = "still"
    SILENT = "silent"
    NARROWBAND = "narrowband"
    UNSUPPORTED = "unsupported"


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a part appears, in words why, the source of the fact, and what a phone needs for all of it."""

    showing: Showing
    because: str
    source: str
    needs: tuple[str, ...]


_VIDEO_NEEDS = {"h264": "h264-baseline", "h263": "h263"}
_CODEC_TITLES = {"h264": "H.264", "h263": "H.263", "mpeg4": "MPEG-4"}
_MPEG4_CODECS = ("mpeg4", "mpeg-4 visual")


def needs_of(info: MediaInfo) -> tuple[str, ...]:
    """What a phone must be able to do for a part: names of capabilities and of shares."""
    if info.kind is Kind.VIDEO:
        return tuple(filter(None, (info.format, *_codec_needs(info))))
    if info.format == "jpeg":
        coding = "jpeg-progressive" if info.progressive else "jpeg-baseline"
    elif info.format == "gif":
        coding = "gif-animated" if (info.frame_count or 1) > 1 else "gif-still"
    else:
        coding = info.format
    if info.kind is not Kind.IMAGE:
        return (coding,)
    long_px = max(info.width_px or 0, info.height_px or 0)
    size = next((f"{px}-px" for px in (640, 1024, 1600) if long_px <= px), "")
    return tuple(filter(None, (coding, size)))


def _codec_needs(info: MediaInfo) -> tuple[str, ...]:
    codec = _codec(info)
    level = split_codec_profile(info.video_profile or "")[1]
    beyond = codec == "h264" and not level_allowed("h264", level, "2.2")
    return (_VIDEO_NEEDS.get(codec, codec), "h264-level-3" if beyond else "")


def judge(info: MediaInfo, handset: Handset) -> Verdict:
    """How ``handset`` shows a part that is ``info``."""
    needs = needs_of(info)
    found = handset.capability_of(needs[0])
    if needs[0] == "gif-animated" and not handset.plays("gif-animated") and handset.plays("gif-still"):
        return Verdict(Showing.STILL, "the first frame stands still", found.source if found else "", needs)
    title = _title(info)
    if found is None or not found.plays:
        source = found.source if found else "nothing is known of it"
        return Verdict(Showing.UNSUPPORTED, f"{title} is not played", source, needs)
    if info.kind is Kind.IMAGE:
        return _picture(info, handset, found.source, needs)
    if info.kind is Kind.VIDEO:
        return _clip(info, handset, needs)
    if info.kind is Kind.AUDIO and _is_narrow(info, handset):
        because = f"sound of {handset.sound.rate_hz:,} Hz, one channel, through the telephone's coding"
        return Verdict(Showing.NARROWBAND, because, handset.sound.source, needs)
    return Verdict(Showing.SHOWN, "", found.source, needs)


def _picture(info: MediaInfo, handset: Handset, source: str, needs: tuple[str, ...]) -> Verdict:
    long_px = max(info.width_px or 0, info.height_px or 0)
    if long_px > handset.picture.largest_px and handset.picture.larger == "refused":
        because = f"{long_px} px are more than the {handset.picture.largest_px} px that it shows"
        return Verdict(Showing.UNSUPPORTED, because, handset.picture.source, needs)
    return Verdict(Showing.SHOWN, _scaled(info, handset), source, needs)


def _clip(info: MediaInfo, handset: Handset, needs: tuple[str, ...]) -> Verdict:
    codec = _codec(info)
    decoder = next((one for one in handset.decoder if one.codec == codec), None)
    if decoder is None:
        played = ", ".join(_CODEC_TITLES[one.codec] for one in handset.decoder)
        because = f"{_CODEC_TITLES.get(codec, codec or 'its coding')} is not played; it plays {played}"
        return Verdict(Showing.UNSUPPORTED, because, "; ".join(one.source for one in handset.decoder), needs)
    problem = _beyond(info, decoder)
    if problem:
        return Verdict(Showing.UNSUPPORTED, problem, decoder.source, needs)
    sound = info.audio_codec or ""
    if sound and _sound_name(sound) not in decoder.sound:
        return Verdict(Showing.SILENT, f"its sound ({sound}) is not played", decoder.source, needs)
    if sound and handset.sound.rate_hz <= 8000:
        return Verdict(Showing.NARROWBAND, "its sound goes through the telephone's coding", handset.sound.source, needs)
    return Verdict(Showing.SHOWN, _scaled(info, handset), decoder.source, needs)


def _beyond(info: MediaInfo, decoder: Decoder) -> str:
    """In what a clip is more than ``decoder`` plays; empty: in nothing."""
    profile, level = split_codec_profile(info.video_profile or "")
    if decoder.codec == "h264" and profile and not profile_allowed(profile, decoder.profile):
        return f"H.264 {profile} profile is not played, {decoder.profile} is"
    if level and not level_allowed(decoder.codec, level, decoder.level):
        return f"{_CODEC_TITLES[decoder.codec]} level {level} is not played, up to {decoder.level} is"
    return ""


def _codec(info: MediaInfo) -> str:
    codec = (info.video_codec or "").lower()
    return "mpeg4" if codec in _MPEG4_CODECS else codec


def _sound_name(codec: str) -> str:
    return "amr" if codec.startswith("amr") else codec


def _is_narrow(info: MediaInfo, handset: Handset) -> bool:
    """A melody is made by the phone itself; what is narrow already stays as it is."""
    made_there = FORMATS[info.format].melody or info.format == "amr"
    return handset.sound.rate_hz <= 8000 and not made_there


def _scaled(info: MediaInfo, handset: Handset) -> str:
    width_px, height_px = shown_size_px(info, handset)
    if (width_px, height_px) == (info.width_px, info.height_px) or not info.width_px:
        return ""
    return f"{info.width_px} x {info.height_px} px, seen at {width_px} x {height_px} px"


def shown_size_px(info: MediaInfo, handset: Handset) -> tuple[int, int]:
    """At which size a picture or clip is seen: scaled down to the screen's width, never up."""
    width_px, height_px = info.width_px or 1, info.height_px or 1
    scale = min(1.0, handset.screen.width_px / width_px)
    return max(1, round(width_px * scale)), max(1, round(height_px * scale))


def _title(info: MediaInfo) -> str:
    title = FORMATS[info.format].title
    if info.format == "jpeg" and info.progressive:
        return f"progressive {title}"
    return f"animated {title}" if info.format == "gif" and (info.frame_count or 1) > 1 else title
