"""What a phone of a year shows and plays, read from a TOML file, and how many phones of a year take something.

Comes in: a year's name. Goes out: a frozen, checked :class:`Handset`, the :class:`Shares`. Never: a look at a message.

Every fact stands beside its source; ``docs/handsets.md`` says which choice follows from which.
"""

from __future__ import annotations

import tomllib
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from mmsprep.errors import UsageError
from mmsprep.tools.shipped import shipped

Positive = Annotated[int, msgspec.Meta(gt=0)]
_SHARES_NAME = "shares"


class _Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A TOML table that has these keys and no others."""


class MessageFacts(_Table, frozen=True, kw_only=True):
    """The message as a whole.

    ``presentation``: the slides one by one in their time, or all parts at once in a thread. ``text``: where the
    layout puts it, or after everything else.
    """

    limit_bytes: Positive
    limit_source: str
    presentation: Literal["slides", "thread"]
    presentation_source: str
    text: Literal["layout", "last"]
    text_source: str


class Screen(_Table, frozen=True, kw_only=True):
    """The screen, held upright."""

    width_px: Positive
    height_px: Positive
    source: str


class PictureFacts(_Table, frozen=True, kw_only=True):
    """The longest side of a picture, and what becomes of a larger one."""

    largest_px: Positive
    larger: Literal["refused", "scaled"]
    source: str


class SoundFacts(_Table, frozen=True, kw_only=True):
    """The best that sound gets through: 8000 Hz is the telephone's own coding."""

    rate_hz: Positive
    source: str


class Decoder(_Table, frozen=True, kw_only=True):
    """A video decoder: the profile and level that it plays, and the sound beside it."""

    codec: Literal["h264", "h263", "mpeg4"]
    profile: str
    level: str
    sound: tuple[str, ...]
    source: str


class Capability(_Table, frozen=True, kw_only=True):
    """Whether some kinds of part are played; ``what`` are names of :func:`mmsprep.handset.judge.needs_of`."""

    what: tuple[str, ...]
    plays: bool
    source: str


class Handset(_Table, frozen=True, kw_only=True):
    """A class of phones. What no capability names is not played."""

    schema: Literal[1]
    name: str
    title: str
    message: MessageFacts
    screen: Screen
    picture: PictureFacts
    sound: SoundFacts
    decoder: tuple[Decoder, ...]
    capability: tuple[Capability, ...]

    def capability_of(self, what: str) -> Capability | None:
        """What is known of ``what``; ``None``: nothing."""
        return next((one for one in self.capability if what in one.what), None)

    def plays(self, what: str) -> bool:
        """Whether ``what`` is played."""
        found = self.capability_of(what)
        return found is not None and found.plays


class Shares(_Table, frozen=True, kw_only=True):
    """Per cent of the phones of a year that are known to take something: lower bounds."""

    schema: Literal[1]
    source: str
    years: tuple[int, ...]
    phones: tuple[int, ...]
    percent: dict[str, tuple[int, ...]]

    def least(self, needs: tuple[str, ...]) -> dict[int, int]:
        """For each year the smallest share of what is needed; empty where nothing is known of any of it.

        Text was never counted: every phone must show it (3GPP TS 26.140).
        """
        if needs == ("text",):
            return dict.fromkeys(self.years, 100)
        known = [self.percent[one] for one in needs if one in self.percent]
        return {year: min(row[place] for row in known) for place, year in enumerate(self.years)} if known else {}


def handset_names() -> list[str]:
    """The phones that come with mmsprep, oldest first."""
    return sorted(path.stem for path in handset_folder().glob("*.toml") if path.stem != _SHARES_NAME)


@lru_cache(maxsize=16)
def load_handset(name: str) -> Handset:
    """Read a phone.

    Raises:
        UsageError: there is none of that name.
    """
    if name not in handset_names():
        raise UsageError(f"phone {name!r}: not known; there are {', '.join(handset_names())}")
    return msgspec.convert(tomllib.loads((handset_folder() / f"{name}.toml").read_text("utf-8")), Handset)


@lru_cache(maxsize=1)
def load_shares() -> Shares:
    """Read who can see what."""
    return msgspec.convert(tomllib.loads((handset_folder() / f"{_SHARES_NAME}.toml").read_text("utf-8")), Shares)


def handset_folder() -> Path:
    """The phones that come with mmsprep."""
    return shipped("handsets")
