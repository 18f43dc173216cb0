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

_H264_LIMITS = (
    ("1", 1_485, 99, 396, 64),
    ("1.1", 3_000, 396, 900, 192),
    ("1.2", 6_000, 396, 2_376, 384),
    ("1.3", 11_880, 396, 2_376, 768),
    ("2", 11_880, 396, 2_376, 2_000),
    ("2.1", 19_800, 792, 4_752, 4_000),
    ("2.2", 20_250, 1_620, 8_100, 4_000),
    ("3", 40_500, 1_620, 8_100, 10_000),
    ("3.1", 108_000, 3_600, 18_000, 14_000),
    ("3.2", 216_000, 5_120, 20_480, 20_000),
    ("4", 245_760, 8_192, 32_768, 20_000),
)
"""Level; macroblocks a second, a frame, in the decoder's frames; kbit/s. H.264, table A-1, without 1b."""
_MACROBLOCK_PX = 16


def lowest_h264_level(
    width_px: int, height_px: int, fps: float, peak_kbps: float, reference_frames: int, highest: str
) -> str:
    """The lowest level that holds such a clip, at most ``highest``: more decoders play a low one."""
    wide, high = -(-width_px // _MACROBLOCK_PX), -(-height_px // _MACROBLOCK_PX)
    for level, a_second, a_frame, stored, kbps in _H264_LIMITS:
        if not level_allowed("h264", level, highest):
            break
        if (
            wide * high <= a_frame
            and max(wide, high) <= (8 * a_frame) ** 0.5
            and wide * high * fps <= a_second
            and wide * high * reference_frames <= stored
            and peak_kbps <= kbps
        ):
            return level
    return highest


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
