"""What a caller asks for, checked, and the answer of a look without work.

Comes in: the arguments of a call. Goes out: :class:`Job` and :class:`Inspection`. Never: work.
"""

from __future__ import annotations

import math
import operator
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, SupportsIndex, cast

from mmsprep.errors import MmsprepError, UsageError, a_kind_of
from mmsprep.model import QUALITY_BANDS, MediaInfo, Plan, Span
from mmsprep.pipeline.excerpt import is_timed
from mmsprep.pipeline.intake import Attachments, Excerpt, Moment, as_attachments, is_file, span_between
from mmsprep.profile import DEFAULT_PROFILE, Profile

LEAST_PRIORITY = 0.01
MOST_PRIORITY = 100
PERFECT_QUALITY = 100
_ON_ERROR = ("fail", "skip")
QUALITY_WORDS = {word: QUALITY_BANDS[word] for word in ("low", "medium", "high")}
"""What each word asks for at least, on the scale of ``docs/picture-quality.md``."""
Quality = Literal["low", "medium", "high"] | float


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One message to prepare.

    ``attachments`` is one attachment or several. ``profile`` is a name, a path or a read profile; ``limit_bytes``
    replaces the profile's limit. ``on_error="skip"`` leaves out what cannot be sent and reports it. ``trim`` cuts clips
    and recordings that cannot reach the profile's quality floor, ``poster`` sends a clip's best frame instead.
    ``quality`` is what every part is to reach, in place of the profile's floor: a word of :data:`QUALITY_WORDS` or
    0..100; a part that cannot reach it whatever it gets is made as good as it can be. ``best_effort`` sends what stays
    below with a warning, where it would be an error.
    ``slides`` shows the scenes of every clip as pictures, each for as long as it stood, over the clip's own sound.
    ``pages``: a tall picture of lettering is cut into pages where it would be illegible as one part.
    ``from_s`` and ``to_s`` are the seconds that are sent of the one recording or clip among the attachments; of
    several, each says its own (:class:`~mmsprep.pipeline.intake.Excerpt`).
    ``keep_names`` lets what is safe of the original names be seen by the recipient. ``priorities`` maps an
    attachment's name, with or without its folder, or its index to its weight (2 asks for half the loss of the others).

    Raises:
        UsageError: a value is of no type that its field takes, or makes no sense; the message names the field.
    """

    attachments: Attachments
    text: str = ""
    subject: str = ""
    profile: str | Path | Profile = DEFAULT_PROFILE
    limit_bytes: int | None = None
    on_error: Literal["fail", "skip"] = "fail"
    trim: bool = False
    poster: bool = False
    keep_names: bool = False
    quality: Quality | None = None
    best_effort: bool = False
    slides: bool = False
    pages: bool = True
    from_s: Moment | None = None
    to_s: Moment | None = None
    priorities: Mapping[str | int, float] | Mapping[str, float] | Mapping[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        checked: dict[str, object] = {
            "attachments": as_attachments(self.attachments),
            "text": as_text(self.text, "text"),
            "subject": as_text(self.subject, "subject"),
            "limit_bytes": _as_limit(self.limit_bytes),
            "quality": as_quality(self.quality),
            "priorities": _as_priorities(self.priorities),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)
        for name in ("trim", "poster", "keep_names", "best_effort", "slides", "pages"):
            check_type(getattr(self, name), name, bool, "True or False")
        check_type(self.profile, "profile", (str, os.PathLike, Profile), "a name, the path of a TOML file or a Profile")
        if self.span:
            for name, moment in (("from_s", self.span.from_s), ("to_s", self.span.to_s)):
                object.__setattr__(self, name, moment)
        if self.on_error not in _ON_ERROR:
            raise UsageError(f"on_error: is {self.on_error!r}; expected one of {', '.join(map(repr, _ON_ERROR))}")

    @property
    def has_open_files(self) -> bool:
        """Whether an attachment is a file object or an upload, which cannot go to another process."""
        given = (one.content if isinstance(one, Excerpt) else one for one in as_attachments(self.attachments))
        return any(is_file(one[1] if isinstance(one, tuple) else one) for one in given)

    @property
    def span(self) -> Span | None:
        """The seconds that are asked for; ``None``: all."""
        return None if self.from_s is None and self.to_s is None else span_between(self.from_s, self.to_s)


@dataclass(frozen=True, slots=True)
class Inspection:
    """What one attachment is and what would be done with it; ``error`` is set when it cannot be sent.

    ``index`` is its place among what was given, from 0. ``span`` are the seconds of it that are wanted; ``None``: all.
    """

    name: str
    size_bytes: int
    info: MediaInfo | None = None
    plan: Plan | None = None
    error: MmsprepError | None = None
    index: int = 0
    span: Span | None = None

    @property
    def is_timed(self) -> bool:
        """Whether seconds of it can be chosen: a recording or a clip."""
        return self.info is not None and is_timed(self.info)


def check_type(value: object, argument: str, expected: type | tuple[type, ...], words: str) -> None:
    """Refuse an argument of a wrong type.

    Raises:
        UsageError: ``value`` is none of ``expected``, which ``words`` say for people.
    """
    if not isinstance(value, expected):
        shown = f" ({value!r})" if isinstance(value, (str, int, float)) else ""
        raise UsageError(f"{argument}: is {a_kind_of(value)}{shown}; expected {words}")


def as_text(value: object, argument: str) -> str:
    """A text; one that is translated only when it is shown (``gettext_lazy``) counts too.

    Raises:
        UsageError: it is none.
    """
    if not isinstance(value, str) and not isinstance(value, type) and callable(getattr(value, "casefold", None)):
        return str(value)
    check_type(value, argument, str, "a str")
    return cast(str, value)


def as_quality(value: object) -> float | None:
    """A quality from 0 to 100, of a number or a word of :data:`QUALITY_WORDS`.

    Raises:
        UsageError: it is neither.
    """
    if value is None:
        return None
    number = QUALITY_WORDS.get(value, math.nan) if isinstance(value, str) else math.nan
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        number = float(value)
    if not 0 <= number <= PERFECT_QUALITY:
        words = ", ".join(QUALITY_WORDS)
        raise UsageError(f"quality: is {value!r}; expected {words}, or a number from 0 to {PERFECT_QUALITY}")
    return number


def _as_limit(value: object) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, SupportsIndex):
        shown = f" ({value!r})" if isinstance(value, (str, float, bool)) else ""
        raise UsageError(f"limit_bytes: is {a_kind_of(value)}{shown}; expected a whole number of bytes, like 100000")
    limit_bytes = operator.index(value)
    if limit_bytes <= 0:
        raise UsageError(f"limit_bytes: is {limit_bytes}; expected more than 0 bytes")
    return limit_bytes


def _as_priorities(value: object) -> dict[str | int, float]:
    check_type(value, "priorities", Mapping, "a mapping of names or indexes to weights")
    priorities: dict[str | int, float] = {}
    for name, weight in cast(Mapping[object, object], value).items():
        if isinstance(name, os.PathLike):
            name = os.fsdecode(name)  # noqa: PLW2901
        if isinstance(name, bool) or not isinstance(name, (str, int)):
            raise UsageError(f"priorities: {name!r} is {a_kind_of(name)}; expected a name or an index")
        try:
            number = math.nan if isinstance(weight, (bool, str, bytes)) else float(weight)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            number = math.nan
        if not LEAST_PRIORITY <= number <= MOST_PRIORITY:
            raise UsageError(
                f"priorities: {name!r} has the weight {weight!r}; expected a number from {LEAST_PRIORITY} to"
                f" {MOST_PRIORITY}, 1 being normal"
            )
        priorities[name] = number
    return priorities
