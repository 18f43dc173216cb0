"""Profiles and levels of video codecs: what a decoder of one plays of another.

Comes in: a codec, and profiles and levels as MediaInfo writes them. Goes out: an order between them. Never: a
look at a clip.
"""

from __future__ import annotations

_H264_PROFILES = ("baseline", "main", "high")
_H264_LEVELS = (
    "1",
    "1b",
    "1.1",
    "1.2",
    "1.3",
    "2",
    "2.1",
    "2.2",
    "3",
    "3.1",
    "3.2",
    "4",
    "4.1",
    "4.2",
    "5",
    "5.1",
)


def split_codec_profile(text: str) -> tuple[str, str]:
    """``"Constrained Baseline@L1.3"`` as ``("constrained baseline", "1.3")``; empty where nothing is said."""
    profile, _, level = text.partition("@")
    return profile.strip().lower(), level.partition("@")[0].strip().lower().removeprefix("l")


def profile_allowed(found: str, allowed: str) -> bool:
    """Whether a decoder of profile ``allowed`` plays ``found`` (H.264: baseline in main in high)."""
    found, allowed = found.removeprefix("constrained "), allowed.lower()
    if found in _H264_PROFILES and allowed in _H264_PROFILES:
        return _H264_PROFILES.index(found) <= _H264_PROFILES.index(allowed)
    return found == allowed


def level_allowed(codec: str, found: str, allowed: str) -> bool:
    """Whether a decoder of level ``allowed`` plays ``found``; an unknown level is not allowed."""
    found_rank, allowed_rank = level_rank(codec, found), level_rank(codec, allowed)
    return found_rank is not None and allowed_rank is not None and found_rank <= allowed_rank


def level_rank(codec: str, level: str) -> float | None:
    """A number that grows with the level; ``None`` for a level that the codec does not have.

    H.264 (annex A) has 1, 1b, 1.1 ... 5.1; H.263 (annex X) 10, 20 ... 70, which MediaInfo writes 1.0, 2.0;
    MPEG-4 Simple 0, 0b, 1 ... 5.
    """
    level = level.lower().removeprefix("l")
    if codec == "h264":
        level = level.removesuffix(".0")
        return float(_H264_LEVELS.index(level)) if level in _H264_LEVELS else None
    try:
        number = float(level.removesuffix("b"))
    except ValueError:
        return None
    if codec == "h263":
        return number if number >= 10 else number * 10
    return number + (0.5 if level.endswith("b") else 0)
