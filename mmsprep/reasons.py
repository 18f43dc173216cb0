"""Why something is done with an attachment: stable codes, and the words that people read.

Comes in: nothing. Goes out: a part of the vocabulary of :mod:`mmsprep.model`, where everybody gets it. Never: a
decision. Imports nothing of ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

_ANY_REASON = "{found} (allowed: {allowed})"


class ReasonCode(StrEnum):
    """Why something is done with an attachment. A public contract: codes are only ever added.

    ``words`` is how people say it, with ``{found}`` and ``{allowed}`` of a :class:`Reason`; ``meaning`` explains it.
    A code of a newer mmsprep's document is taken as it is.
    """

    words: str
    meaning: str

    def __new__(cls, code: str, words: str = _ANY_REASON, meaning: str = "") -> ReasonCode:
        self = str.__new__(cls, code)
        self._value_ = code
        self.words, self.meaning = words, meaning
        return self

    @classmethod
    def _missing_(cls, value: object) -> ReasonCode | None:
        if not isinstance(value, str):
            return None
        unknown = str.__new__(cls, value)
        unknown._name_ = unknown._value_ = value
        unknown.words, unknown.meaning = _ANY_REASON, ""
        return unknown

    TYPE_NOT_IN_TABLE = (
        "type_not_in_table",
        "{found} is not in the network's table",
        "the type is in no row of the profile's compatibility table",
    )
    TYPE_CONVERTED = (
        "type_converted",
        "{found} in the network's table",
        "the type's row says that it is converted",
    )
    METADATA = (
        "metadata",
        "{found} removed",
        "it carries something that a message should not: EXIF, GPS, tags, comments, trailing data",
    )
    ICC_PROFILE = (
        "icc_profile",
        "{found} colours made sRGB",
        "it has a colour profile (sRGB: taken out; another: the colours are converted)",
    )
    SIZE_PX = (
        "size_px",
        "larger than {allowed}",
        "more pixels, or longer sides, than the profile allows",
    )
    ORIENTATION = (
        "orientation",
        "turned upright",
        "it stands upright only by an EXIF flag that old phones ignore",
    )
    CODING = (
        "coding",
        "{found} JPEG made baseline",
        "a JPEG coded in another way than baseline sequential, a BMP that is compressed",
    )
    COLOUR = (
        "colour",
        "{found} colours made YCbCr",
        "a JPEG of another colour model than YCbCr or grey, or of an unusual sampling",
    )
    BIT_DEPTH = (
        "bit_depth",
        "{found} made {allowed}",
        "more or less than 8 bits a channel",
    )
    UNTERMINATED = (
        "unterminated",
        "end of the file was missing",
        "a GIF without its end mark",
    )
    CODEC = (
        "codec",
        "{found} coding, allowed: {allowed}",
        "another codec than the profile's, or than the type's usual one",
    )
    AUDIO_CODEC = (
        "audio_codec",
        "{found} sound, allowed: {allowed}",
        "a clip's sound is in another codec than the profile's",
    )
    CODEC_PROFILE = (
        "codec_profile",
        "H.264 {found} profile, allowed: {allowed}",
        "a profile of the codec that the handsets do not know",
    )
    CODEC_LEVEL = (
        "codec_level",
        "level {found}, allowed: {allowed}",
        "a higher level of the codec than the profile allows",
    )
    BRAND = (
        "brand",
        "brand {found}, allowed: {allowed}",
        "a brand (kind of MP4 or RIFF file) that the handsets do not know",
    )
    ROTATION = (
        "rotation",
        "turned upright",
        "it stands upright only by a rotation flag",
    )
    PIXEL_ASPECT = (
        "pixel_aspect",
        "pixels made square",
        "its pixels are not square",
    )
    FRAME_RATE = (
        "frame_rate",
        "{found}, allowed: {allowed}",
        "more frames a second than the profile allows",
    )
    RATE = (
        "rate",
        "{found}, allowed: {allowed}",
        "more kbit/s than the profile allows",
    )
    FRAME_SIZE = (
        "frame_size",
        "frame of {found}, allowed: {allowed}",
        "a frame size that the codec or the handsets do not take",
    )
    HDR = (
        "hdr",
        "high dynamic range made standard",
        "high dynamic range",
    )
    INTERLACED = (
        "interlaced",
        "interlaced",
        "its frames are halves of a line grid",
    )
    MOOV_POSITION = (
        "moov_position",
        "index moved to the front",
        "its index stands behind the media, so it plays only when loaded whole",
    )
    SINGLE_FRAME = (
        "single_frame",
        "one frame only: sent as a picture",
        "a clip of one frame: a picture",
    )
    SLIDES = (
        "slides",
        "{allowed}",
        "a clip's scenes as pictures are asked for",
    )
    PAGES = (
        "pages",
        "{allowed}",
        "a tall picture of lettering would be illegible as one part",
    )
    EXCERPT = (
        "excerpt",
        "{allowed}",
        "only some seconds of it are asked for",
    )
    SOUND_ONLY = (
        "sound_only",
        "{found}",
        "a container for clips with nothing but sound in it",
    )
    SAMPLE_RATE = (
        "sample_rate",
        "{found}, allowed: {allowed}",
        "a sampling rate that is not standard for the type",
    )
    CHANNELS = (
        "channels",
        "{found}, allowed: {allowed}",
        "more channels than handsets play",
    )
    ENCODING = (
        "encoding",
        "{found} made UTF-8",
        "a text in another encoding than UTF-8 without BOM",
    )
    LINE_ENDS = (
        "line_ends",
        "line ends made {allowed}",
        "line ends other than the profile's",
    )
    CONTROL_CHARACTERS = (
        "control_characters",
        "control characters removed",
        "characters that steer terminals, not text",
    )
    DECOMPOSED = (
        "decomposed",
        "accents joined to their letters",
        "letters and accents as separate characters",
    )
    OVER_LIMIT_BYTES = (
        "over_limit_bytes",
        "too large for the message as it was",
        "it could go as it is, but for its size",
    )
    POSTER = (
        "poster",
        "{found} as a picture, as asked",
        "a clip that was to become a picture",
    )
    CHANNELS_CANCEL = (
        "channels_cancel",
        "channels in opposite phase mixed",
        "a sound whose channels cancel each other in one loudspeaker",
    )
    VANISHES = (
        "vanishes",
        "transparent parts given a colour on which everything is seen",
        "something in a picture would not be seen through whose transparent parts the background shows",
    )
    ANIMATION = (
        "animation",
        "{found} made {allowed}",
        "frames that follow one another, where the handsets show the first alone",
    )
    ANIMATION_AS_CLIP = (
        "animation_as_clip",
        "sent as a clip: {found}",
        "a GIF within its share of the bytes would be below its floor",
    )


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something is done: a stable code, what was found and what the profile allows."""

    code: ReasonCode
    found: str
    allowed: str
