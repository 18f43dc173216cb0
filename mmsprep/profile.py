"""What a network or a handset class accepts, read from a TOML file.

Comes in: a profile's name or the path of a TOML file. Goes out: a frozen, checked :class:`Profile`. Never:
a decision about a file (``classify.py`` decides).

A profile's keys are the fields of the classes below, their units are in the names, and
``profiles/README.md`` says what each means and where its number comes from.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Iterator
from enum import StrEnum
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from mmsprep.errors import ProfileError
from mmsprep.formats import FORMATS
from mmsprep.model import Support

DEFAULT_PROFILE = "smsglobal"

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


class _Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A TOML table that has these keys and no others."""


class Row(_Table, frozen=True, kw_only=True):
    """One row of the compatibility table; ``formats`` are slugs of :mod:`mmsprep.formats`."""

    row: str
    formats: tuple[str, ...]
    support: Support
    use: Use
    content_type: str = ""
    target: str = ""
    remark: str = ""


class MessageRules(_Table, frozen=True, kw_only=True):
    """The message as a whole; ``reserve_bytes`` is kept free for what the gateway adds.

    ``share_duplicates``: two slides may show one part, so that the same picture is paid for once.
    """

    limit_bytes: Positive
    max_attachments: Positive
    reserve_bytes: Annotated[int, msgspec.Meta(ge=0)] = 0
    share_duplicates: bool = False


TALL_RATIO, TALL_AREA = 3.0, 2.0


class ImageRules(_Table, frozen=True, kw_only=True):
    """Pictures. A picture whose sides differ more than 3:1 may be ``tall_max_long_px`` long.

    Its area never exceeds twice ``max_long_px * max_short_px``. A GIF that stands still, which is what drawn pictures
    and screenshots become, may have sides up to ``drawn_max_long_px`` and ``drawn_max_short_px``.
    """

    max_long_px: Positive
    max_short_px: Positive
    targets: tuple[Literal["jpeg", "gif", "wbmp"], ...] = ("jpeg",)
    tall_max_long_px: int = 0
    drawn_max_long_px: int = 0
    drawn_max_short_px: int = 0
    background: Colour = "#ffffff"
    floor_quality: Percent = 20

    def scale_for(self, width_px: int, height_px: int, *, drawn: bool = False) -> float:
        """By how much both sides of a picture must shrink to be inside the limits; 1.0 where they need not.

        The limits hold for the long and the short side, whichever way the picture stands. A long screenshot
        or a panorama would become an unreadable strip by them; it is read by scrolling, so its long side
        is bounded by ``tall_max_long_px`` and by twice the usual area alone. ``drawn``: it goes as a GIF.
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


class AudioStep(_Table, frozen=True, kw_only=True):
    """One rung of an audio ladder; aac stands only inside a video."""

    format: Literal["mp3", "amr", "wav", "wav-ima", "aac"]
    rate_kbps: PositiveFloat
    sample_rate_hz: Positive
    channels: Literal[1, 2] = 1


class AudioRules(_Table, frozen=True, kw_only=True):
    """Recordings: the ladder from best to smallest."""

    ladder: Annotated[tuple[AudioStep, ...], msgspec.Meta(min_length=1)]
    floor_quality: Percent = 25


class VideoRules(_Table, frozen=True, kw_only=True):
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
    floor_quality: Percent = 25


class TextRules(_Table, frozen=True, kw_only=True):
    """Texts: always UTF-8 without a byte order mark."""

    line_ends: Literal["crlf", "lf"] = "crlf"


class Profile(_Table, frozen=True, kw_only=True):
    """Everything a network or handset class accepts. ``video`` is ``None`` where clips cannot go."""

    schema: Literal[1]
    name: str
    title: str
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


def profile_names() -> list[str]:
    """The names of the profiles that come with mmsprep, the default first."""
    names = sorted(path.stem for path in profile_folder().iterdir() if path.suffix == ".toml")
    return sorted(names, key=lambda name: name != DEFAULT_PROFILE)


def load_profile(name_or_path: str | Path) -> Profile:
    """Read and check a profile: a name of :func:`profile_names`, or the path of a TOML file.

    Raises:
        ProfileError: no such profile, not TOML, an unknown key, a missing key or a value of a wrong type;
            the message names the file, the key and what is allowed.
    """
    path = Path(name_or_path)
    if path.suffix != ".toml" and path.name == str(name_or_path):
        path = profile_folder() / f"{name_or_path}.toml"
        if not path.is_file():
            raise ProfileError(
                f"profile {str(name_or_path)!r}: not found; there are {', '.join(profile_names())},"
                " or give the path of a .toml file"
            )
    try:
        document = tomllib.loads(path.read_text("utf-8"))
        profile = msgspec.convert(document, Profile)
    except OSError as error:
        raise ProfileError(f"{path}: cannot be read ({error.strerror})") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ProfileError(f"{path}: is not valid TOML: {error}") from error
    except msgspec.ValidationError as error:
        raise ProfileError(f"{path}: {_explain(str(error))}") from error
    for problem in _problems(profile):
        raise ProfileError(f"{path}: {problem}")
    return profile


def profile_folder() -> Path:
    """The profiles inside an installed package, or beside the package in a checkout."""
    installed = resources.files("mmsprep") / "_profiles"
    if installed.is_dir():
        return Path(str(installed))
    checkout = Path(__file__).parent.parent
    if (checkout / "pyproject.toml").is_file():
        return checkout / "profiles"
    raise ProfileError("the profiles that come with mmsprep are missing; install mmsprep again")


_TABLES: dict[str, type[_Table]] = {
    "": Profile,
    "message": MessageRules,
    "image": ImageRules,
    "audio": AudioRules,
    "audio.ladder": AudioStep,
    "video": VideoRules,
    "video.audio_ladder": AudioStep,
    "text": TextRules,
    "table": Row,
}


def _explain(complaint: str) -> str:
    """Name the key as TOML spells it and, for an unknown one, the allowed ones."""
    place = re.search(r" - at `\$\.?(.*)`$", complaint)
    where = re.sub(r"\[\.\.\.\]|\[\d+\]", "", place[1]) if place else ""
    what = complaint[: place.start()] if place else complaint
    unknown = re.fullmatch(r"Object contains unknown field `(.*)`", what)
    missing = re.fullmatch(r"Object missing required field `(.*)`", what)
    if unknown:
        allowed = ", ".join(sorted(_TABLES[where].__struct_fields__))
        return f"unknown key '{'.'.join(filter(None, (where, unknown[1])))}'; allowed there: {allowed}"
    if missing:
        return f"the key '{'.'.join(filter(None, (where, missing[1])))}' is missing"
    return f"the key '{where}': {what[0].lower()}{what[1:]}"


_SOUND_IN = {"3gp": ("aac", "amr"), "mp4": ("aac",)}
"""3GPP TS 26.244; ISO/IEC 14496-14, which has no AMR (nor H.263)."""


def _problems(profile: Profile) -> Iterator[str]:
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
