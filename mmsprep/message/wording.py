"""What is said to people about a part and what it was made of: the words of the tables and of the pages.

Comes in: reports, media, reasons. Goes out: short phrases, their strangers' text as it was found. Never: colours,
widths or markup, which whoever shows them adds.
"""

from __future__ import annotations

from collections.abc import Sequence

from mmsprep.formats import FORMATS
from mmsprep.model import QUALITY_BANDS, Action, MediaInfo, PartReport, Plan, Reason

_KEPT_WORDS = {Action.KEEP: "kept as it is", Action.REWRAP: "kept, metadata removed"}
_SHORTER = 0.95


def size_words(size_bytes: int) -> str:
    """Bytes for people: 999 B, 12.3 kB, 4.56 MB (powers of ten, as gateways count)."""
    if size_bytes < 1000:
        return f"{size_bytes} B"
    if size_bytes < 1_000_000:
        return f"{size_bytes / 1000:.1f} kB"
    return f"{size_bytes / 1_000_000:.2f} MB"


def duration_words(seconds: float) -> str:
    """Seconds for people: 4.2 s, 5 s, 31 s, 3:07, 1:02:03."""
    if seconds < 10 and seconds != round(seconds):
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if not hours:
        return f"{minutes}:{rest:02d}" if minutes else f"{rest} s"
    return f"{hours}:{minutes:02d}:{rest:02d}"


def percent_words(part: int, whole: int) -> str:
    """A share for people, like ``98.8 %``."""
    return f"{100 * part / whole:.1f} %"


def quality_band(quality: float) -> str:
    """The word for a quality as it is shown, a whole number: 69.6 is shown as 70, which is high."""
    return next(word for word, least in QUALITY_BANDS.items() if round(quality) >= least)


def quality_words(part: PartReport) -> str:
    """A part's quality for people, like ``85 high`` or, of one that went as it was, ``100 as it was``."""
    word = quality_band(part.quality) if part.action is Action.TRANSCODE else "as it was"
    return f"{part.quality:.0f} {word}"


def short_name(name: str) -> str:
    """The end of a path, which is what people know a file by."""
    return name.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1] or name


def media_words(info: MediaInfo) -> str:
    """What a file is: its type, size in pixels, seconds, encoding."""
    facts = [FORMATS[info.format].title]
    if info.width_px and info.height_px:
        facts.append(f"{info.width_px}x{info.height_px}")
    if info.duration_s and (info.frame_count or 2) > 1:
        facts.append(f"{info.duration_s:.1f} s")
    if info.encoding:
        facts.append(info.encoding)
    return " ".join(facts)


def part_words(part: PartReport) -> str:
    """What a part is: its type, size in pixels, and its seconds where some were cut; or that it was kept."""
    kept = _KEPT_WORDS.get(part.action)
    if kept is not None:
        return kept
    facts = [FORMATS[part.format].title]
    if part.width_px and part.height_px:
        facts.append(f"{part.width_px}x{part.height_px}")
    if part.duration_s and part.source.duration_s and part.duration_s < part.source.duration_s * _SHORTER:
        facts.append(f"{part.duration_s:.1f} s")
    return " ".join(facts)


def plan_words(plan: Plan, size_bytes: int, limit_bytes: int) -> str:
    """What is to be done with a file of ``size_bytes``, as far as that is known before it is decoded."""
    if plan.action is Action.TRANSCODE:
        return f"convert to {' or '.join(FORMATS[slug].title for slug in plan.targets)}"
    if size_bytes > limit_bytes:
        return "make smaller"
    return "keep as it is" if plan.action is Action.KEEP else "keep, remove metadata"


def reason_words(reasons: Sequence[Reason]) -> list[str]:
    """Why something was done, a phrase a reason."""
    return [reason.code.words.format(found=reason.found, allowed=reason.allowed) for reason in reasons]
