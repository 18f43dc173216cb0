"""Any still picture, decoded once into clean pixels.

Comes in: an attachment whose format is known from its content, the profile's picture rules, the machine's
limits. Goes out: a :class:`Picture`, RGB or L at most as large as the profile allows, upright, in sRGB,
without transparency. Never: a larger picture than the original, half a picture, or an error of Pillow's.

Decoders are called by format, so content can never reach one that was not meant for it (an EPS would start
Ghostscript). The order (shrink, then colour, then background) keeps the costly steps off the full size;
measured: ``draft`` to about twice the target, then LANCZOS, takes half of the time for 0.4 points of SSIMULACRA2 in
the message (the usual 4000 and 4032 px come to 1.95 and 1.97 times 1024); nearer to the target it shows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cache, partial
from io import BytesIO
from typing import TYPE_CHECKING

from PIL import Image, ImageStat
from PIL.ExifTags import Base as ExifTag

from mmsprep.errors import Damaged, DecoderMissing, MmsprepError, OverInputLimit, TypeNotAllowed
from mmsprep.formats import FORMATS
from mmsprep.formats.png import without_animation
from mmsprep.formats.readers import picture_decoder
from mmsprep.model import Attachment, ColourCoding, MediaInfo
from mmsprep.profile import ImageRules
from mmsprep.seeing.contrast import contrast
from mmsprep.settings import Settings
from mmsprep.tools.untrusted import read_bytes
from mmsprep.transcode.image import colour, viewing
from mmsprep.transcode.image.shrink import shrunk

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_DRAFT_MARGIN = 1.9
_WORTHWHILE = 1.1
"""Ratios of sides: how far above the target a decoder's own shrinking stays (what that costs is said above); from
where on a larger drawing is worth making."""

_UPRIGHT: dict[int, Image.Transpose] = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded picture (RGB or L) and what people should know of how it was read.

    ``graphic``: it is drawn, and ``larger`` is it at the size that only drawn pictures may have, where that is more.
    ``shown`` and ``larger_shown`` are the shares of what a phone could show that each leaves. ``shrink`` is how many
    times longer and wider the source was than ``image``, ``contrast`` how far it was from being one colour, before
    anything was done to its colours.
    """

    image: Image.Image
    notes: tuple[str, ...] = ()
    graphic: bool = False
    shown: float = 1.0
    larger: Image.Image | None = None
    larger_shown: float = 1.0
    shrink: float = 1.0
    contrast: float = 0.0

    @property
    def shrink_at_most(self) -> float:
        """How many times longer and wider the source was than the largest size that may be sent."""
        return self.shrink * max(self.image.size) / max((self.larger or self.image).size)


def decode(attachment: Attachment, info: MediaInfo, rules: ImageRules, settings: Settings) -> Picture:
    """Decode the (first, main or composite) picture of ``attachment`` at the size it may be sent.

    Raises:
        Damaged: it does not decode to its end.
        Empty: it is transparent all over.
        OverInputLimit: it has more pixels or bytes than the settings let in.
        TypeNotAllowed: its variant of the format is one that nothing here decodes.
        DecoderMissing: the format needs an optional package that is not installed.
        Unreadable: the file went away.
    """
    with foreign_errors(attachment, info):
        image = open_image(attachment, info, settings)
        shows_best = rules.animations == "best-frame" and is_animation(info)
        notes = (_seek_best_frame(image, info),) if shows_best else ()
        full_px = image.size
        size_px = target_size(image.width, image.height, rules)
        drafted = image.draft(None, (math.ceil(size_px[0] * _DRAFT_MARGIN), math.ceil(size_px[1] * _DRAFT_MARGIN)))
        icc_profile = image.info.get("icc_profile")
        deep = _sixteen_bits(image, attachment, info)
        image.load()
        if drafted is None:
            size_px = target_size(image.width, image.height, rules)
        turn = _UPRIGHT.get(_orientation(image))
        image = colour.plain_mode(plain_colours(image, info.coding, deep))
        colour.refuse_clear(attachment.name, [image])
        return _sized(image, size_px, rules, None if info.coding else icc_profile, turn, notes, full_px)


def decode_whole(
    attachment: Attachment, info: MediaInfo, rules: ImageRules, settings: Settings
) -> tuple[Image.Image, tuple[str, ...]]:
    """The same picture in its own size, RGB or L, upright and in sRGB, and what is to be told of it.

    Raises:
        As :func:`decode`.
    """
    with foreign_errors(attachment, info):
        image = open_image(attachment, info, settings)
        icc_profile = image.info.get("icc_profile")
        deep = _sixteen_bits(image, attachment, info)
        image.load()
        turn = _UPRIGHT.get(_orientation(image))
        image = colour.plain_mode(plain_colours(image, info.coding, deep))
        colour.refuse_clear(attachment.name, [image])
        image = image.transpose(turn) if turn is not None else image
        return colour.clean(image, None if info.coding else icc_profile, _ground(image, rules))


def is_animation(info: MediaInfo) -> bool:
    """Whether it is a picture format whose frames follow one another in time (pages of a TIFF do not)."""
    return (info.frame_count or 1) > 1 and FORMATS[info.format].animated


_MOST_FRAMES_SEEN, _GLANCE_PX = 300, 64


def _seek_best_frame(image: Image.Image, info: MediaInfo) -> str:
    """Go to the frame whose brightness varies most: no blank first frame, no fade; what to say of it."""
    count = min(info.frame_count or 1, _MOST_FRAMES_SEEN)
    varied: list[float] = []
    for place in range(count):
        image.seek(place)
        glance = image.convert("L").resize((_GLANCE_PX, _GLANCE_PX), Image.Resampling.BILINEAR)
        varied.append(ImageStat.Stat(glance).stddev[0])
    best = max(range(count), key=varied.__getitem__)
    image.seek(best)
    return f"frame {best + 1} of {info.frame_count} as a picture: phones of this profile show no animation"


def plain_colours(
    image: Image.Image, coding: ColourCoding | None, deep: NDArray[np.uint16] | None = None
) -> Image.Image:
    """``image``, which is loaded, in sRGB's numbers where its own mean other colours.

    ``deep`` is the same in 16 bits, which its transparent colour, if it has one, is one of.
    """
    hidden = image.info.get("transparency")
    if coding is None and (deep is None or not isinstance(hidden, tuple)):
        return image
    import numpy as np

    from mmsprep.transcode.colours import displayed

    plain = colour.plain_mode(image)
    alpha = plain.getchannel("A") if plain.mode in ("LA", "RGBA") else None
    if deep is not None and isinstance(hidden, tuple):
        alpha = Image.fromarray(np.where((deep == np.array(hidden)).all(axis=-1), 0, 255).astype(np.uint8))
    shown = plain.convert("RGB")
    if coding is not None:
        shown = Image.fromarray(displayed(np.asarray(shown) if deep is None else deep, coding))
    if alpha is not None:
        shown.putalpha(alpha)
    shown.info = {name: value for name, value in image.info.items() if name != "transparency"}
    return shown


def _sixteen_bits(image: Image.Image, attachment: Attachment, info: MediaInfo) -> NDArray[np.uint16] | None:
    """The pixels of a coloured PNG of 16 bits or a deep HEIC, where the lower eight matter; ``None``: they do not."""
    if info.coding is None and not isinstance(image.info.get("transparency"), tuple):
        return None

    if info.format == "heic" and info.coding is not None and (info.bit_depth or 8) > 8:
        from mmsprep.transcode.image.composed import open_composed

        rest = open_composed(BytesIO(read_bytes(attachment)), lower=True)
        return _both_bytes(image.convert("RGB"), rest.convert("RGB"))
    if info.format != "png" or [tile.args for tile in getattr(image, "tile", ())] != ["RGB;16B"]:
        return None
    from PIL.PngImagePlugin import PngImageFile

    # Pillow keeps eight bits of each number: the higher ones, or the lower ones where it is told the other order.
    data = read_bytes(attachment)
    higher, lower = (PngImageFile(BytesIO(data)) for _ in range(2))
    lower.tile = [tile._replace(args="RGB;16L") for tile in lower.tile]
    return _both_bytes(higher, lower)


def _both_bytes(higher: Image.Image, lower: Image.Image) -> NDArray[np.uint16]:
    import numpy as np

    both: NDArray[np.uint16] = np.asarray(higher).astype(np.uint16) << 8 | np.asarray(lower)
    return both


def sized(image: Image.Image, rules: ImageRules) -> Picture:
    """A picture that is decoded already, at the size it may be sent."""
    size_px = target_size(image.width, image.height, rules)
    return _sized(colour.plain_mode(image), size_px, rules, None, None, (), image.size)


def _sized(
    plain: Image.Image,
    size_px: tuple[int, int],
    rules: ImageRules,
    icc_profile: bytes | None,
    turn: Image.Transpose | None,
    notes: tuple[str, ...],
    full_px: tuple[int, int],
) -> Picture:
    ground = _ground(plain, rules)
    whole_grey = cache(partial(_grey, plain, ground))

    def clean(part: Image.Image) -> tuple[Image.Image, tuple[str, ...]]:
        if turn is not None:
            part = part.transpose(turn)
        return colour.clean(part, icc_profile, ground)

    def read(sent: Image.Image) -> float:
        """How much of it, a drawing, has to be enlarged to be seen by whoever gets it ``sent``, from 0 to 1."""
        loses = viewing.loses_strokes(plain.size, sent.size)
        return 1 - viewing.large_strokes(whole_grey(), _grey(sent, ground)) if loses else 1.0

    shrunken = shrunk(plain, size_px)
    seen = contrast(shrunken)
    small, colour_notes = clean(shrunken)
    if plain.size == size_px:
        return Picture(small, (*notes, *colour_notes), viewing.is_graphic(small), contrast=seen)
    rows = colour.clean(viewing.sample(plain), icc_profile, ground)[0]
    graphic = viewing.is_graphic(rows) or viewing.is_graphic(small)
    larger_px = target_size(plain.width, plain.height, rules, drawn=True)
    picture = Picture(
        small,
        (*notes, *colour_notes),
        graphic,
        viewing.shown_share(rows, plain.size, size_px, read=read(shrunken) if graphic else 0.0),
        shrink=max(full_px) / max(size_px),
        contrast=seen,
    )
    if not graphic or "gif" not in rules.targets or max(larger_px) < _WORTHWHILE * max(size_px):
        return picture
    larger = shrunk(plain, larger_px)
    shown = viewing.shown_share(rows, plain.size, larger_px, read=read(larger))
    return replace(picture, larger=clean(larger)[0], larger_shown=shown)


def _ground(image: Image.Image, rules: ImageRules) -> str:
    """What the transparent parts of ``image`` come to lie on, whatever of it is looked at."""
    if image.mode not in ("LA", "RGBA"):
        return rules.background
    from mmsprep.transcode.image.ground import ground_for

    return ground_for([image], rules.background)


def _grey(image: Image.Image, ground: str) -> Image.Image:
    """``image`` as L, on ``ground``."""
    grey = image.convert("L")
    if image.mode not in ("LA", "RGBA"):
        return grey
    return Image.composite(grey, Image.new("RGB", image.size, ground).convert("L"), image.getchannel("A"))


def target_size(width_px: int, height_px: int, rules: ImageRules, *, drawn: bool = False) -> tuple[int, int]:
    """The size at which a picture of ``width_px`` x ``height_px`` may be sent: never larger than it is."""
    scale = rules.scale_for(width_px, height_px, drawn=drawn)
    if scale == 1.0:
        return width_px, height_px
    return max(1, math.floor(width_px * scale + 1e-6)), max(1, math.floor(height_px * scale + 1e-6))


def open_image(attachment: Attachment, info: MediaInfo, settings: Settings) -> Image.Image:
    """Open the picture with the decoder of its format and check its size; no pixel is decoded yet.

    Raises:
        OverInputLimit: more pixels or bytes than the settings let in.
        DecoderMissing, Unreadable: as :func:`decode`. Errors of the decoder come as they are.
    """
    if info.size_bytes > settings.max_image_bytes:
        raise OverInputLimit(
            attachment.name,
            f"is a picture of {info.size_bytes:,} bytes, over the limit of"
            f" {settings.max_image_bytes:,}; MMSPREP_MAX_IMAGE_BYTES sets another",
        )
    data = read_bytes(attachment)
    if info.format == "png" and not is_animation(info):
        data = without_animation(data)
    image = _opener(attachment, info)(BytesIO(data))
    if image.width * image.height > settings.max_pixels:
        raise OverInputLimit(
            attachment.name,
            f"has {image.width} x {image.height} pixels, over the limit of {settings.max_pixels:,} pixels;"
            " make it smaller, or MMSPREP_MAX_PIXELS sets another limit",
        )
    return image


@contextmanager
def foreign_errors(attachment: Attachment, info: MediaInfo) -> Iterator[None]:
    """Turn whatever a decoder raises on bad content into an error of ours that names the attachment.

    Decoders raise nearly anything (OSError, SyntaxError, struct.error, ValueError, IndexError, ...), so
    every exception counts as damage except the two that say more.
    """
    title = FORMATS[info.format].title
    try:
        yield
    except MmsprepError:
        raise
    except (MemoryError, Image.DecompressionBombError) as error:
        raise OverInputLimit(
            attachment.name, f"needs more memory to decode than there is for one {title} picture"
        ) from error
    except Exception as error:
        said = str(error).strip() or type(error).__name__
        if "cannot handle" in said or isinstance(error, NotImplementedError):
            raise TypeNotAllowed(
                attachment.name,
                f"is a {title} of a kind that cannot be decoded ({said}); save it as an ordinary 8-bit one",
            ) from error
        raise Damaged(
            attachment.name, f"begins as {title} but does not decode to its end ({said}); send it again whole"
        ) from error


def _opener(attachment: Attachment, info: MediaInfo) -> Callable[[BytesIO], Image.Image]:
    """The decoder of the attachment's format."""
    if info.format == "dng":
        from mmsprep.transcode.image.camera_raw import open_preview

        return open_preview
    if info.format == "heic":
        from mmsprep.transcode.image.composed import open_composed

        return open_composed
    try:
        return picture_decoder(info.format)
    except ImportError:
        from mmsprep.tools.extras import install_command

        title = FORMATS[info.format].title
        raise DecoderMissing(
            attachment.name,
            f"is a {title} picture; {install_command(info.format)} adds its decoder, or save it as JPEG",
        ) from None


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation that is still to be applied, 1 where there is none or it is broken."""
    orientation = 1
    with suppress(Exception):
        orientation = image.getexif().get(ExifTag.Orientation, 1)
    return orientation
