"""The values that travel between the stages: frozen dataclasses, enums and one protocol.

Comes in: nothing. Goes out: the vocabulary of the pipeline. Never: behaviour that reads a file,
starts a program or decides anything. Imports nothing of ours but the reasons.

Units are in the names: ``_bytes``, ``_px``, ``_s``, ``_kbps``, ``_hz``, ``_fps``. 300 kB are 300 000 bytes.
``quality`` is 0..100 and means the same to eye and ear for every kind of media: 90 hard to tell from the
original, 70 high, 50 medium, 30 low.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from mmsprep.reasons import Reason as Reason  # noqa: PLC0414  # a part of the vocabulary
from mmsprep.reasons import ReasonCode as ReasonCode  # noqa: PLC0414

QUALITY_BANDS = {"excellent": 90.0, "high": 70.0, "medium": 50.0, "low": 30.0, "poor": 0.0}
"""What each word for a quality means at least."""


SHORTEST_SOUND_S = 0.4
"""What is shorter is a click; no loudness can be told of it (ITU-R BS.1770-4 has blocks of 400 ms)."""


class Kind(StrEnum):
    """What an attachment is to the person who gets it."""

    IMAGE = "image"
    AUDIO = "audio"
    VIDEO = "video"
    TEXT = "text"


class Phones(StrEnum):
    """Of which years the recipients' phones are: of 2005 to 2011, any that is in use, of the last ten years."""

    OLD = "old"
    USUAL = "usual"
    MODERN = "modern"


class Support(StrEnum):
    """The four levels of support in the compatibility table."""

    GOOD = "good"
    PARTIAL = "partial"
    VARIES = "varies"
    NONE = "none"


class Action(StrEnum):
    """What is done to an attachment: kept bit for bit, repackaged without loss, or encoded anew."""

    KEEP = "keep"
    REWRAP = "rewrap"
    TRANSCODE = "transcode"


@dataclass(frozen=True, slots=True)
class FileMark:
    """Which file was looked at, and its size and date then: what is opened later under its name must be the same."""

    device: int
    inode: int
    size_bytes: int
    changed_ns: int


@dataclass(frozen=True, slots=True)
class Span:
    """Which seconds of a recording or clip are sent: from ``from_s`` on, up to ``to_s`` (``None``: to its end)."""

    from_s: float = 0.0
    to_s: float | None = None

    @property
    def length_s(self) -> float | None:
        """How long that is; ``None`` where only the end of the recording can tell."""
        return None if self.to_s is None else self.to_s - self.from_s


@dataclass(frozen=True, slots=True)
class Extent:
    """Where in a file something lies, in bytes from its start; ``end`` is the first that is not of it any more."""

    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Attachment:
    """One thing to send, as the caller gave it: a file to read in place, or bytes in memory.

    ``index`` is its place among what was given, from 0: what it is told by. ``name`` is for people and reports alone;
    several may share one, and nothing is decided by it. Exactly one of ``path``, ``data`` and ``descriptor`` is set.
    ``mark`` is the file's when it was taken in; ``descriptor`` is an open file, which a worker that may open none is
    handed. ``span`` is what is wanted of a recording or clip; ``None``: all of it. ``extent`` is where the media lies
    between tags that its format knows nothing of; every stage reads that alone (``None``: it is the whole file).
    """

    index: int
    name: str
    size_bytes: int
    path: Path | None = None
    data: bytes | None = field(default=None, repr=False)
    mark: FileMark | None = field(default=None, repr=False)
    descriptor: int | None = field(default=None, repr=False)
    span: Span | None = None
    extent: Extent | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ColourCoding:
    """How the numbers of a picture stand for colours, where it is not sRGB's way.

    ``transfer`` is ``srgb``, ``pq``, ``hlg`` or ``gamma``, of which ``gamma`` is the exponent. ``primaries`` are x and
    y of red, green, blue and white (CIE 1931); empty: those of sRGB. ``peak_nits`` is the brightest that there is in
    it, 0 where nobody says it.
    """

    transfer: str = "srgb"
    gamma: float = 2.2
    primaries: tuple[float, ...] = ()
    peak_nits: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaInfo:
    """What an attachment really is, read from its content.

    ``format`` is a slug of :data:`mmsprep.formats.FORMATS`. ``width_px`` and ``height_px`` are as displayed
    (after EXIF orientation, rotation flag and sample aspect ratio); ``rotation_deg`` is clockwise, of
    what was mirrored left to right before where ``mirrored``; ``coded_orientation``: the pictures of H.264 or HEVC say
    something about it themselves.
    ``frame_count`` is 1 for a still. Codecs are named as ffmpeg names them. ``colour`` is ``ycbcr``, ``rgb``,
    ``grey``, ``palette``, ``cmyk``, ... and, in high dynamic range, ``hdr-pq`` or ``hdr-hlg``; ``coding`` says how its
    numbers stand for colours, where that is not sRGB's way and no ICC profile says it.
    ``matrix`` is the one that a clip says its samples need (``bt709``, ``smpte170m``, ``bt2020``, ..., ``rgb``: none).
    ``encoding`` is a text's (``utf-8``, ``cp1252``, ...) or a JPEG's (``baseline``, ``progressive``, ...).
    ``metadata`` names what a message should not carry (``exif``, ``gps``, ``id3``, ``trailing``, ...); for a
    text, what is odd about it. ``notes`` are sentences for the report (name and content disagree, first page
    of several, ...). ``extent`` is where a recording lies between tags that its format knows nothing of.
    """

    format: str
    kind: Kind
    content_type: str
    size_bytes: int
    width_px: int | None = None
    height_px: int | None = None
    duration_s: float | None = None
    frame_count: int | None = None
    frame_rate_fps: float | None = None
    video_codec: str | None = None
    video_profile: str | None = None
    video_rate_kbps: float | None = None
    pixel_aspect: float = 1.0
    interlaced: bool = False
    audio_codec: str | None = None
    audio_rate_kbps: float | None = None
    sample_rate_hz: int | None = None
    channels: int | None = None
    rotation_deg: int = 0
    mirrored: bool = False
    coded_orientation: bool = False
    orientation: int = 1
    colour: str | None = None
    bit_depth: int | None = None
    matrix: str | None = None
    coding: ColourCoding | None = None
    has_alpha: bool = False
    progressive: bool = False
    icc_profile: str | None = None
    brand: str | None = None
    moov_first: bool | None = None
    encoding: str | None = None
    metadata: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    extent: Extent | None = None

    @property
    def is_single_frame(self) -> bool:
        """A clip of one frame: nothing moves in it."""
        return self.kind is Kind.VIDEO and self.frame_count == 1

    @property
    def is_still_picture(self) -> bool:
        """A clip of one frame and no sound to speak of: a picture. With sound it is one that somebody talks about."""
        is_mute = self.audio_codec is None or (self.duration_s or 0.0) < SHORTEST_SOUND_S
        return self.is_single_frame and is_mute


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be done with one attachment, and why.

    ``action`` KEEP or REWRAP means the original can go as it is when the budget holds it; ``target`` is
    the format slug that a transcode makes first, ``others`` are those that may turn out to fit better once it is
    decoded. ``support`` is the level of the *source* type in the
    compatibility table, ``row`` its row there (``None``: not in the table).
    """

    action: Action
    target: str
    support: Support
    row: str | None
    reasons: tuple[Reason, ...] = ()
    others: tuple[str, ...] = ()

    @property
    def targets(self) -> tuple[str, ...]:
        """Every format that it may become."""
        return (self.target, *self.others)


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """One point of a rate-quality curve: what ``size_bytes`` buy."""

    size_bytes: int
    quality: float


@dataclass(frozen=True, slots=True)
class Curve:
    """What bytes buy for one source: points ascending in size and quality, never empty.

    ``steps`` true: only the points themselves can be made (an audio ladder, a file kept as it is);
    false: anything between can be made too, and quality is near linear in log(size) between points.
    ``whole_bytes`` is where nothing is given up any more: every pixel and every frame that may be sent is
    (0: nothing ever is). Points and ``whole_bytes`` may be forecasts; a rendition's own figures are real.
    """

    points: tuple[CurvePoint, ...]
    steps: bool = False
    whole_bytes: int = 0

    def quality_at(self, size_bytes: int) -> float:
        """The quality that ``size_bytes`` buy; 0 where they buy nothing."""
        reached = 0.0
        for before, point in zip((None, *self.points), self.points, strict=False):
            if point.size_bytes <= size_bytes:
                reached = point.quality
                continue
            if before is None or self.steps:
                return reached
            part = math.log(size_bytes / before.size_bytes) / math.log(point.size_bytes / before.size_bytes)
            return before.quality + part * (point.quality - before.quality)
        return reached


@dataclass(frozen=True, slots=True)
class Played:
    """What decoding to the end told: of which bytes, the seconds that they play, the contrast of what a clip shows
    (``None``: nobody looked), the decoder's last complaint (empty: none)."""

    data: bytes = field(repr=False)
    duration_s: float
    contrast: float | None
    complaint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendition:
    """One finished encoding of an attachment, not yet verified.

    ``quality`` is measured on ``data``; ``whole`` is false where pixels or frames were given up to save bytes. It is
    what bytes can buy, and what a set is divided and refused by; ``seen_quality`` is what a more exact measure says of
    it, where there is one. ``shown`` is the share of what a phone could show that is left at the largest size that may
    be sent; what people are told is a product, :attr:`shown_quality`. ``heard_lufs`` is how loud its source is heard
    from a phone, ``contrast`` how far it is from being one colour (``None``: nothing to compare, or it goes as it is):
    what is sent is held against both. ``at_limit`` is true where its profile lets it be no larger (a clip's top rate).
    ``played`` is what whoever looked at ``data`` saw of it, where they went to its end: it need not be decoded again.
    ``drawn`` is true of a JPEG of a size that only drawings may have.
    A sound that lies under several slides is all in its ``pieces``, one for each, and has no ``data``.
    """

    data: bytes = field(repr=False)
    format: str
    content_type: str
    action: Action
    quality: float
    width_px: int | None = None
    height_px: int | None = None
    duration_s: float | None = None
    whole: bool = True
    shown: float = 1.0
    seen_quality: float | None = None
    heard_lufs: float | None = None
    contrast: float | None = None
    at_limit: bool = False
    played: Played | None = None
    drawn: bool = False
    reasons: tuple[Reason, ...] = ()
    notes: tuple[str, ...] = ()
    pieces: tuple[Rendition, ...] = field(default=(), repr=False)

    @property
    def told_quality(self) -> float:
        """Quality by the most exact measure there is of it."""
        return self.quality if self.seen_quality is None else self.seen_quality

    @property
    def shown_quality(self) -> float:
        """Quality against what a phone could have shown."""
        return self.told_quality * self.shown

    @property
    def size_bytes(self) -> int:
        """Size of the encoded data."""
        return len(self.data) + sum(piece.size_bytes for piece in self.pieces)


class Source(Protocol):
    """An attachment that was decoded once and can be encoded at any size; every source inherits it.

    ``render`` is the only expensive call. All methods may be called from any thread, one at a time for each source.
    What only some sources can do has an answer here that says so.
    """

    @property
    @abstractmethod
    def floor_quality(self) -> float:
        """Below this the result is not worth sending (from the profile)."""

    @abstractmethod
    def curve(self) -> Curve:
        """Predict what bytes buy; cheap after the first call."""

    @abstractmethod
    def render(self, max_bytes: int) -> Rendition:
        """Encode the best that fits ``max_bytes``; when nothing fits, the smallest that can be made."""

    def format_at(self, max_bytes: int) -> str:  # noqa: ARG002
        """The format that :meth:`render` should choose, cheap after the curve; empty where there is only one."""
        return ""

    def settled(self, max_bytes: int) -> Source:  # noqa: ARG002
        """The same source once a division gives it ``max_bytes``: of several ways that which it takes then, alone."""
        return self

    def reaching(self, quality: float) -> Source:  # noqa: ARG002
        """The same source, of several ways taking one that should be worth ``quality`` where there is one."""
        return self

    def seen(self, made: Rendition) -> Rendition:
        """What :meth:`render` made, with what a more exact measure says of it, which would cost too much in between."""
        return made

    @property
    def is_quick(self) -> bool:
        """Whether :meth:`render` takes so little (a tenth of a second) that one may be made only to know."""
        return False

    @property
    def shown(self) -> float:
        """The share of what a phone could show that is left at the largest size that may be sent; see
        :class:`Rendition`."""
        return 1.0

    @property
    def drawn_shrink(self) -> float:
        """How many times smaller a drawing or lettering gets at the largest size that may be sent; 0: it is neither."""
        return 0.0

    @property
    def fingerprint(self) -> str:
        """The same for the same pixels; empty where only the bytes can tell."""
        return ""

    def assured_quality(self, max_bytes: int) -> float | None:  # noqa: ARG002
        """The quality that ``max_bytes`` buy, where they are so plenty that it can be told without the curve."""
        return None

    @property
    def duration_s(self) -> float | None:
        """Seconds of what would be encoded, ``None`` for what cannot be cut."""
        return None

    def trimmed(self, duration_s: float) -> Source:
        """The same source, cut to its first ``duration_s`` seconds; only for what :attr:`duration_s` tells a time."""
        raise TypeError(f"a {type(self).__name__} cannot be cut to {duration_s} s")


@dataclass(frozen=True, slots=True)
class Page:
    """Which page of a tall picture: ``number`` of ``count``, from 1, and its rows from ``top_px`` up to ``bottom_px``
    (without it), of the picture in its own size."""

    number: int
    count: int
    top_px: int
    bottom_px: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PartReport:
    """The story of one part: what it is, where it came from, what was done and why.

    In a forecast (a dry run) ``size_bytes`` and ``quality`` are predictions. ``indexes`` are the attachments that it
    was made of, by their places among what was given, from 0; ``source_name`` and ``source`` are the first one's.
    ``shown_at`` are the part's places in the message's order. Both have several entries where attachments with the same
    content share the part, and differ where something before it was left out or went with another message. ``span`` are
    the seconds of the source that were asked for (``None``: all). ``shown_s`` is for how long its slide stands;
    ``None``: as long as something plays on it, or as slides do. ``page`` is the page of its source that it is
    (``None``: all of it).
    """

    name: str
    format: str
    content_type: str
    kind: Kind
    action: Action
    support: Support
    quality: float
    size_bytes: int
    source_name: str
    source: MediaInfo
    width_px: int | None = None
    height_px: int | None = None
    duration_s: float | None = None
    reasons: tuple[Reason, ...] = ()
    notes: tuple[str, ...] = ()
    shown_at: tuple[int, ...] = ()
    indexes: tuple[int, ...] = ()
    span: Span | None = None
    shown_s: float | None = None
    page: Page | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Part(PartReport):
    """One finished, verified part of a message."""

    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Rejection:
    """An attachment that was left out, with the error's stable code and message.

    ``index`` is its place among what was given, from 0.
    """

    name: str
    code: str
    message: str
    index: int | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """One step of a running ``prepare``: attachment ``index`` reached ``stage``; ``done`` is 0..1 overall.

    ``finished`` is false while the stage is under way: a clip tells its decodes and encodes as they go on.
    """

    index: int
    name: str
    stage: str
    done: float
    finished: bool = True


ProgressCallback = Callable[[Progress], None]
