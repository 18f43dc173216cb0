"""What a network or a handset class accepts: the values of a profile, and what types alone cannot say of them.

A profile's keys are the fields of the classes below, their units are in the names, and
``profiles/README.md`` says what each means and where its number comes from.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Literal

import msgspec

from mmsprep.formats import FORMATS
from mmsprep.model import Support

Positive = Annotated[int, msgspec.Meta(gt=0)]
PositiveFloat = Annotated[float, msgspec.Meta(gt=0)]
Percent = Annotated[float, msgspec.Meta(ge=0, le=100)]
Colour = Annotated[str, msgspec.Meta(pattern="^#[0-9a-fA-F]{6}$")]
FrameSize = Annotated[str, msgspec.Meta(pattern="^[1-9][0-9]*x[1-9][0-9]*$")]


class Use(StrEnum):
    """What is done with a file whose type is in the compatibility table."""

    KEEP = "keep"
    CONVERT = "convert"
    REFUSE = "refuse"


class Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A TOML table that has these keys and no others."""


class Row(Table, frozen=True, kw_only=True):
    """One row of the compatibility table; ``formats`` are slugs of :mod:`mmsprep.formats`."""

    row: str
    formats: tuple[str, ...]
    support: Support
    use: Use
    content_type: str = ""
    target: str = ""
    remark: str = ""


class MessageRules(Table, frozen=True, kw_only=True):
    """The message as a whole; ``reserve_bytes`` is kept free for what the gateway adds.

    ``share_duplicates``: two slides may show one part, so that the same picture is paid for once.
    ``subject_characters``: a longer subject is cut by the network or its phones, which is warned about; 0: unknown.
    """

    limit_bytes: Positive
    max_attachments: Positive
    reserve_bytes: Annotated[int, msgspec.Meta(ge=0)] = 0
    share_duplicates: bool = False
    subject_characters: Annotated[int, msgspec.Meta(ge=0)] = 0


TALL_RATIO, TALL_AREA = 3.0, 2.0


class ImageRules(Table, frozen=True, kw_only=True):
    """Pictures. A picture whose sides differ more than 3:1 may be ``tall_max_long_px`` long.

    Its area never exceeds twice ``max_long_px * max_short_px``. A GIF that stands still, and a JPEG made of what is
    drawn, screenshots among it, may have sides up to ``drawn_max_long_px`` and ``drawn_max_short_px``.
    ``animations``: they are played, or the frame that shows most goes as a picture.
    """

    max_long_px: Positive
    max_short_px: Positive
    targets: tuple[Literal["jpeg", "gif", "wbmp"], ...] = ("jpeg",)
    tall_max_long_px: int = 0
    drawn_max_long_px: int = 0
    drawn_max_short_px: int = 0
    background: Colour = "#ffffff"
    floor_quality: Percent = 20
    animations: Literal["play", "best-frame"] = "play"

    def scale_for(self, width_px: int, height_px: int, *, drawn: bool = False) -> float:
        """By how much both sides of a picture must shrink to be inside the limits; 1.0 where they need not.

        The limits hold for the long and the short side, whichever way the picture stands. A long screenshot
        or a panorama would become an unreadable strip by them; it is read by scrolling, so its long side
        is bounded by ``tall_max_long_px`` and by twice the usual area alone. ``drawn``: it is a GIF, or drawn.
        """
        long_px, short_px = max(width_px, height_px), min(width_px, height_px)
        scale = min(1.0, self.max_long_px / long_px, self.max_short_px / short_px)
        if long_px > TALL_RATIO * short_px and self.tall_max_long_px > self.max_long_px:
            area_px = TALL_AREA * self.max_long_px * self.max_short_px
            limits = (self.tall_max_long_px / long_px, self.max_short_px / short_px)
            scale = min(1.0, *limits, math.sqrt(area_px / (long_px * short_px)))
        if drawn:
            larger = min(1.0, self.drawn_max_long_px / long_px, self.drawn_max_short_px / short_px)
            scale = max(scale, larger)
        return scale


class AudioStep(Table, frozen=True, kw_only=True):
    """One rung of an audio ladder; aac stands only inside a video."""

    format: Literal["mp3", "amr", "wav", "wav-ima", "aac"]
    rate_kbps: PositiveFloat
    sample_rate_hz: Positive
    channels: Literal[1, 2] = 1


class AudioRules(Table, frozen=True, kw_only=True):
    """Recordings: the ladder from best to smallest."""

    ladder: Annotated[tuple[AudioStep, ...], msgspec.Meta(min_length=1)]
    floor_quality: Percent = 25


class VideoRules(Table, frozen=True, kw_only=True):
    """Clips. ``fixed_sizes`` are the only sizes that a codec or handset takes; empty: any even size."""

    format: Literal["3gp", "mp4"]
    brand: str
    codec: Literal["h264", "mpeg4", "h263"]
    max_long_px: Positive
    max_short_px: Positive
    max_fps: PositiveFloat
    max_rate_kbps: PositiveFloat
    audio_ladder: tuple[AudioStep, ...]
    codec_profile: str = ""
    codec_level: str = ""
    fixed_sizes: tuple[FrameSize, ...] = ()
    floor_quality: Percent = 20


class TextRules(Table, frozen=True, kw_only=True):
    """Texts: always UTF-8 without a byte order mark."""

    line_ends: Literal["crlf", "lf"] = "crlf"


class Variants(Table, frozen=True, kw_only=True):
    """The profiles of the same network for phones of other years; empty: there is none."""

    old: str = ""
    modern: str = ""


class Profile(Table, frozen=True, kw_only=True):
    """Everything a network or handset class accepts. ``video`` is ``None`` where clips cannot go.

    ``base`` is the profile that gives what this one's file leaves out, ``source`` says where its numbers come from.
    """

    schema: Literal[1]
    name: str
    title: str
    base: str = ""
    source: str = ""
    variants: Variants = Variants()
    message: MessageRules
    image: ImageRules
    audio: AudioRules
    table: tuple[Row, ...]
    text: TextRules = TextRules()
    video: VideoRules | None = None
    stricter: str = ""

    def row_of(self, format_slug: str) -> Row | None:
        """The table row that counts for ``format_slug``; ``None``: not in the table.

        Where several rows name it (iMelody stands twice in SMSGlobal's table, under two MIME types), a row
        that keeps it goes before one that does not, then the one for the fewest formats, then the first.
        """
        rows = [row for row in self.table if format_slug in row.formats]
        return min(rows, key=lambda row: (row.use is not Use.KEEP, len(row.formats)), default=None)


_SOUND_IN = {"3gp": ("aac", "amr"), "mp4": ("aac",)}
"""3GPP TS 26.244; ISO/IEC 14496-14, which has no AMR (nor H.263)."""


def problems(profile: Profile) -> Iterator[str]:
    """What types alone cannot say."""
    if profile.message.limit_bytes <= profile.message.reserve_bytes:
        yield "the key 'message.limit_bytes' must be greater than 'message.reserve_bytes'"
    for row in profile.table:
        for slug in (*row.formats, *filter(None, [row.target])):
            if slug not in FORMATS:
                yield f"the table row {row.row!r} names the format '{slug}'; known: {', '.join(FORMATS)}"
        if row.use is Use.KEEP and not row.content_type:
            yield f"the table row {row.row!r} is to be kept, so it needs a 'content_type'"
    if profile.video is not None:
        container = profile.video.format
        for step in profile.video.audio_ladder:
            if step.format not in _SOUND_IN[container]:
                allowed = " or ".join(_SOUND_IN[container])
                yield f"the key 'video.audio_ladder' has {step.format}, but sound in {container} is {allowed}"
        if (container, profile.video.codec) == ("mp4", "h263"):
            yield "the key 'video.codec' is h263, which an mp4 does not carry; use format 3gp"
