"""Every pixel mode to plain 8-bit sRGB without transparency.

Comes in: a decoded picture in any mode Pillow has, its ICC profile. Goes out: RGB or L. Never: clipped deep
pixels, colour that lay hidden under transparency, or a failure because of a broken colour profile.
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any, cast

from PIL import Image, ImageChops, ImageCms
from PIL.ExifTags import Base as ExifTag

from mmsprep.errors import Empty

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np

_ICC_SPACES = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK", "LAB": "Lab"}
_PREMULTIPLIED = {"La": "LA", "RGBa": "RGBA"}
_WHITE_IS_ZERO = 0
_NAMES = {"#ffffff": "white", "#000000": "black", "#808080": "grey"}


def plain_mode(image: Image.Image) -> Image.Image:
    """``image`` (loaded) in a mode that can be resized well: L, LA, RGB, RGBA, CMYK or LAB, 8 bits each.

    A CMYK JPEG without Adobe's marker holds its inks as the standard says (0 = none); Pillow takes every
    one for Adobe's, which are stored inverted.
    """
    if image.mode.startswith(("I", "F")):
        return _eight_bit(image)
    if image.mode == "CMYK":
        unmarked = image.format == "JPEG" and "adobe" not in image.info
        return ImageChops.invert(image) if unmarked else image
    if image.mode in ("LA", "RGBA", "LAB"):
        return image
    if image.mode in _PREMULTIPLIED:
        return image.convert(_PREMULTIPLIED[image.mode])
    wanted = "RGBA" if image.has_transparency_data else "L" if image.mode in ("1", "L") else "RGB"
    # Converting to the mode that it has would copy all of it.
    return image if image.mode == wanted else image.convert(wanted)


def clean(image: Image.Image, icc_profile: bytes | None, ground: str) -> tuple[Image.Image, tuple[str, ...]]:
    """``image`` as :func:`plain_mode` gives it, in sRGB over ``ground`` (``#rrggbb``), and notes."""
    alpha = image.getchannel("A") if image.mode in ("LA", "RGBA") else None
    if alpha is not None:
        image = image.getchannel("L") if image.mode == "LA" else image.convert("RGB")
    image, notes = _to_srgb(image, icc_profile)
    if alpha is None or least_opacity(alpha) == 255:
        return image, notes
    image = image.convert("RGB")
    flat = Image.composite(image, Image.new("RGB", image.size, ground), alpha)
    return flat, (*notes, ground_note(ground))


def least_opacity(image: Image.Image) -> int:
    """The opacity (0..255) of the clearest pixel, by the last band of ``image`` (RGBA, LA, or that band alone)."""
    return cast(tuple[int, int], image.getchannel(image.getbands()[-1]).getextrema())[0]


def refuse_clear(name: str, pictures: Iterable[Image.Image]) -> None:
    """Refuse what nobody would see anything of.

    Raises:
        Empty: every pixel of all ``pictures`` is wholly transparent.
    """
    if all(one.mode in ("LA", "RGBA") and not _most_opacity(one) for one in pictures):
        raise clear_all_over(name)


def clear_all_over(name: str) -> Empty:
    """What is said of an attachment that nobody would see anything of."""
    return Empty(name, "is transparent all over, so nobody would see anything of it; save it without transparency")


def _most_opacity(image: Image.Image) -> int:
    return cast(tuple[int, int], image.getchannel("A").getextrema())[1]


def ground_note(ground: str) -> str:
    """What is told of transparent parts, which came to lie on ``ground`` (``#rrggbb``)."""
    return f"transparent parts shown on {_NAMES.get(ground.lower(), ground)}"


def _to_srgb(image: Image.Image, icc_profile: bytes | None) -> tuple[Image.Image, tuple[str, ...]]:
    """Through the embedded profile where there is a usable one; L stays L."""
    if icc_profile:
        try:
            return _through_profile(image, icc_profile), ()
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
            note: tuple[str, ...] = ("its colour profile cannot be used and was ignored",)
    else:
        note = ()
    if image.mode == "LAB":
        lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
        image = _transform(image, lab, ImageCms.Intent.RELATIVE_COLORIMETRIC)
    return image if image.mode == "L" else image.convert("RGB"), note


def _through_profile(image: Image.Image, icc_profile: bytes) -> Image.Image:
    profile = ImageCms.ImageCmsProfile(BytesIO(icc_profile))
    space = profile.profile.xcolor_space.strip()
    if space == "RGB" and image.mode in ("L", "RGB") and _is_srgb(profile):
        return image
    grey = image.mode == "L"
    if grey and space == "RGB":
        image = image.convert("RGB")
    if _ICC_SPACES.get(image.mode) != space:
        raise ValueError(f"a profile for {space} on pixels of {image.mode}")
    # A press profile has tables made for each intent, a display profile only the colorimetric matrix.
    intent = ImageCms.Intent.PERCEPTUAL if image.mode == "CMYK" else ImageCms.Intent.RELATIVE_COLORIMETRIC
    converted = _transform(image, profile, intent)
    return converted.convert("L") if grey else converted


def _transform(image: Image.Image, profile: ImageCms.ImageCmsProfile, intent: ImageCms.Intent) -> Image.Image:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    converted = ImageCms.profileToProfile(
        image, profile, srgb, intent, outputMode="RGB", flags=ImageCms.Flags.BLACKPOINTCOMPENSATION
    )
    if converted is None:
        raise ValueError("no conversion")
    return converted


def _is_srgb(profile: ImageCms.ImageCmsProfile) -> bool:
    """Whether the profile calls itself plain sRGB, as most do; converting would only add rounding."""
    description = (profile.profile.profile_description or "").lower()
    return description.startswith("srgb") and "linear" not in description


def _eight_bit(image: Image.Image) -> Image.Image:
    """Deep grey (16-bit, 32-bit, float) scaled, not clipped, to 8 bits; LA where a grey is transparent."""
    import numpy as np

    deep = np.asarray(image).astype(np.float64)
    np.nan_to_num(deep, copy=False)
    grey = Image.fromarray(np.clip(deep * (255.0 / _full_scale(image, deep)) + 0.5, 0, 255).astype(np.uint8))
    if _tag(image, ExifTag.PhotometricInterpretation) == _WHITE_IS_ZERO:
        grey = ImageChops.invert(grey)
    hidden = image.info.get("transparency")
    if isinstance(hidden, int):
        alpha = Image.fromarray(np.where(deep == hidden, 0, 255).astype(np.uint8))
        return Image.merge("LA", (grey, alpha))
    return grey


def _full_scale(image: Image.Image, deep: np.ndarray[Any, np.dtype[np.float64]]) -> float:
    """The value that stands for white: what the type can hold, or the largest one found beyond that.

    Floats are 0..1 by convention; deeper files use 8- or 16-bit numbers.
    """
    largest = float(deep.max(initial=0.0))
    bits = _tag(image, ExifTag.BitsPerSample)
    scales = [1.0, 255.0, 65535.0] if image.mode == "F" else [65535.0]
    if image.mode.startswith("I;16") and bits in (10, 12, 14):
        scales = [float((1 << bits) - 1), 65535.0]
    return next((scale for scale in scales if largest <= scale), largest)


def _tag(image: Image.Image, tag: int) -> int | None:
    """A TIFF tag's (first) whole number, ``None`` elsewhere."""
    tags = getattr(image, "tag_v2", None)
    value = tags.get(tag) if tags is not None else None
    if isinstance(value, tuple):
        value = value[0] if value else None
    return value if isinstance(value, int) else None
