"""Facts about a picture, from its headers.

Comes in: content, and the format that sniffing found. Goes out: a :class:`MediaInfo`. Never: decoded pixels,
a decoder chosen by anything but that format, or Pillow's global pixel limit (the caller checks its own).
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import replace
from io import BytesIO

from PIL import Image
from PIL.ExifTags import IFD, Base

from mmsprep.errors import Damaged, OverInputLimit, TypeNotAllowed
from mmsprep.formats import FORMATS
from mmsprep.formats.cicp import hdr_name, hdr_note
from mmsprep.formats.content import Content
from mmsprep.formats.isobmff import read_movie
from mmsprep.formats.readers import picture_decoder, read_structure
from mmsprep.model import Attachment, ColourCoding, Kind, MediaInfo
from mmsprep.tools.untrusted import content_of

FOREIGN_ERRORS = (
    *(OSError, SyntaxError, ValueError, TypeError, LookupError, EOFError, AttributeError, ArithmeticError),
    *(RuntimeError, MemoryError, AssertionError, struct.error, zlib.error),
)
"""What Pillow and its plugins raise on damaged input."""

_UNSUPPORTED = ("Unsupported", "Unimplemented", "unknown pixel mode", "unknown PCX mode")
"""How Pillow's complaints begin about sound headers that ask for more than it can do."""
_MOST_PIXELS = 16_384 * 16_384
"""What libavif decodes at most; of a larger picture it says what it says of a damaged one."""
_RAW_PHOTOMETRICS = (32803, 34892)
_BMP_CODINGS = {0: "uncompressed", 1: "rle8", 2: "rle4", 3: "bitfields"}
_SRGB_NAMES = ("srgb", "c2ci")
_MODES: dict[str, tuple[str, int]] = {
    "1": ("grey", 1),
    **dict.fromkeys(("L", "LA", "La"), ("grey", 8)),
    **dict.fromkeys(("I", "F"), ("grey", 32)),
    **dict.fromkeys(("P", "PA"), ("palette", 8)),
    "CMYK": ("cmyk", 8),
    "YCbCr": ("ycbcr", 8),
    "LAB": ("lab", 8),
    **dict.fromkeys(("I;16", "I;16L", "I;16B", "I;16N"), ("grey", 16)),
    **dict.fromkeys(("RGB;16", "RGBA;16"), ("rgb", 16)),
}
"""Pillow's modes as colour and bits a channel; what is not here is RGB of 8 bits."""


def picture_info(content: Content, format_slug: str, max_frames: int) -> MediaInfo:
    """Read the facts about the picture in ``content``.

    Raises:
        Damaged: its headers cannot be read, or it ends too early.
        TypeNotAllowed: a variant of the format that nothing decodes.
        OverInputLimit: far more pixels than any photo has.
    """
    entry = FORMATS[format_slug]
    if entry.structure:
        return _structured(content, format_slug, max_frames)
    if entry.read:
        return entry.read(content)
    if format_slug == "heic":
        return _heic(content)
    if format_slug == "dng":
        return _raw(content)
    try:
        image = picture_decoder(format_slug)(content.rewound())
        return _opened(content, format_slug, image)
    except Image.DecompressionBombError as error:
        raise OverInputLimit(content.name, f"has more pixels than any photo ({error}); make it smaller") from error
    except FOREIGN_ERRORS as error:
        raise _damaged(content, format_slug, error) from error


def read_picture(attachment: Attachment, format_slug: str, max_frames: int) -> MediaInfo:
    """:func:`picture_info` of an attachment, for a worker (:mod:`mmsprep.tools.isolation`)."""
    with content_of(attachment) as content:
        return picture_info(content, format_slug, max_frames)


def _info(
    content: Content,
    format_slug: str,
    size_px: tuple[int, int],
    *,
    orientation: int = 1,
    colour: str | None = None,
    bit_depth: int | None = None,
    has_alpha: bool = False,
    frame_count: int = 1,
    duration_s: float | None = None,
    encoding: str | None = None,
    icc_profile: bytes = b"",
    coding: ColourCoding | None = None,
    metadata: tuple[str, ...] = (),
    notes: tuple[str, ...] = (),
) -> MediaInfo:
    width_px, height_px = size_px if orientation < 5 else size_px[::-1]
    hdr = hdr_name(coding)
    if hdr:
        notes = (*notes, hdr_note(hdr))
    return MediaInfo(
        format=format_slug,
        kind=Kind.IMAGE,
        content_type=FORMATS[format_slug].content_type,
        size_bytes=content.size_bytes,
        width_px=width_px or None,
        height_px=height_px or None,
        duration_s=None if duration_s is None else round(duration_s, 3),
        frame_count=frame_count,
        orientation=orientation,
        colour=hdr or colour,
        bit_depth=bit_depth,
        # An ICC profile says it more exactly, but hardly ever of high dynamic range.
        coding=coding if hdr or not icc_profile else None,
        has_alpha=has_alpha,
        progressive=encoding == "progressive",
        encoding=encoding,
        icc_profile=_profile_name(icc_profile),
        metadata=metadata,
        notes=notes,
    )


def _structured(content: Content, format_slug: str, max_frames: int) -> MediaInfo:
    found = read_structure(content, format_slug, max_frames)
    title = FORMATS[format_slug].title
    if found.missing:
        raise Damaged(content.name, f"is a {title} image that lacks {found.missing}; get the file again")
    if found.encoding == "JPEG-LS":
        raise TypeNotAllowed(content.name, "is a JPEG-LS image, which nothing here decodes; save it as PNG or JPEG")
    if format_slug == "jpeg" and found.bit_depth != 8 and found.encoding != "lossless":
        raise TypeNotAllowed(
            content.name,
            f"is a JPEG image of {found.bit_depth} bits a channel, which no phone shows; save it with 8 bits",
        )
    orientation, inside = _read_exif(found.exif)
    several = "extra_pictures" in found.metadata
    return _info(
        content,
        format_slug,
        (found.width_px, found.height_px),
        orientation=orientation,
        colour=found.colour,
        bit_depth=found.bit_depth,
        has_alpha=found.has_alpha,
        frame_count=found.frame_count,
        duration_s=found.duration_s,
        encoding=found.encoding,
        icc_profile=found.icc_profile,
        coding=found.coding,
        metadata=tuple(dict.fromkeys((*found.metadata, *inside))),
        notes=("holds more than one picture; the first one is sent",) if several else (),
    )


def _opened(content: Content, format_slug: str, image: Image.Image) -> MediaInfo:
    """The facts of an image that Pillow has opened but not loaded."""
    colour, bit_depth = _MODES.get(image.mode, ("rgb", 8))
    # Of the others, asking for EXIF would load the pixels.
    exif = image.getexif() if format_slug in ("avif", "tiff") else Image.Exif()
    movie = content.once(read_movie) if format_slug == "avif" else None
    metadata = [*_inside_exif(exif), *(["xmp"] if image.info.get("xmp") else [])]
    if format_slug == "avif":
        metadata = ["exif", *metadata] if len(exif) else metadata
        bit_depth = (movie.bit_depth if movie else 0) or bit_depth
    elif format_slug == "tiff":
        bits = exif.get(Base.BitsPerSample, 1)
        bit_depth = max(bits) if isinstance(bits, tuple) else int(bits)
        # A second page looks like EXIF's thumbnail.
        metadata = [name for name in metadata if name != "thumbnail"]
    info = _info(
        content,
        format_slug,
        image.size,
        orientation=_orientation(exif),
        colour=colour,
        bit_depth=bit_depth,
        has_alpha="A" in image.getbands() or "transparency" in image.info,
        frame_count=getattr(image, "n_frames", 1) if format_slug == "avif" else 1,
        encoding=_BMP_CODINGS.get(image.info.get("compression", 0)) if format_slug == "bmp" else None,
        icc_profile=image.info.get("icc_profile") or b"",
        coding=movie.coding if movie else None,
        metadata=tuple(metadata),
    )
    several = format_slug == "tiff" and _has_more(image)
    return replace(info, notes=("has several pages; the first one is sent",)) if several else info


def _has_more(image: Image.Image) -> bool:
    """Whether there is a second page; counting them all takes minutes in a file made to harm.

    A place that leads to no page is none: viewers show what stands before it.
    """
    try:
        image.seek(1)
    except FOREIGN_ERRORS:
        return False
    return True


def _heic(content: Content) -> MediaInfo:
    """A HEIF turns by its own properties; its EXIF orientation must not turn it again."""
    from mmsprep.formats.heif.facts import read_picture_facts

    found = read_picture_facts(content)
    metadata = ["exif", *_read_exif(found.exif)[1]] if found.exif else []
    metadata += [name for name, there in (("xmp", found.has_xmp), ("thumbnail", found.has_thumbnail)) if there]
    movie = content.once(read_movie)
    several = (f"holds {found.picture_count} pictures; the main one is sent",) if found.picture_count > 1 else ()
    if movie.has_track("vide"):
        several = (*several, "holds a sequence of pictures beside it, which is left out")
    return _info(
        content,
        "heic",
        (found.width_px, found.height_px),
        colour="grey" if found.grey else "rgb",
        bit_depth=found.bit_depth,
        has_alpha=found.has_alpha,
        icc_profile=found.icc_profile,
        coding=movie.coding,
        metadata=tuple(dict.fromkeys(metadata)),
        notes=several,
    )


def is_raw_tiff(attachment: Attachment) -> bool:
    """Whether a TIFF is a camera's raw file: DNG by its version tag, others by colour filter or thumbnail.

    In the raw files of most makers (NEF, ARW, PEF, ...) the first directory is a reduced picture with further
    directories below it, which no ordinary TIFF begins with.
    """
    from PIL import TiffImagePlugin

    with content_of(attachment) as content:
        file = content.rewound()
        try:
            directory = TiffImagePlugin.ImageFileDirectory_v2(file.read(8))
            file.seek(directory.next)
            directory.load(file)
        except FOREIGN_ERRORS:
            return False
    if Base.DNGVersion in directory or directory.get(Base.PhotometricInterpretation) in _RAW_PHOTOMETRICS:
        return True
    return Base.SubIFDs in directory and directory.get(Base.NewSubfileType) == 1


def _raw(content: Content) -> MediaInfo:
    """A camera's raw file: the size of its largest picture, where it is a TIFF that says so."""
    size_px, orientation = (0, 0), 1
    try:
        with picture_decoder("tiff")(content.rewound()) as image:
            size_px, orientation = image.size, _orientation(image.getexif())
    except FOREIGN_ERRORS:
        pass
    note = "is a camera's raw file; the picture that the camera put into it is sent"
    return _info(content, "dng", size_px, orientation=orientation, colour="rgb", metadata=("exif",), notes=(note,))


def _read_exif(data: bytes) -> tuple[int, tuple[str, ...]]:
    """Orientation, and what else the EXIF block holds; damaged EXIF counts as none."""
    if not data:
        return 1, ()
    exif = Image.Exif()
    try:
        exif.load(data if data.startswith(b"Exif\0") else b"Exif\0\0" + data)
        return _orientation(exif), _inside_exif(exif)
    except FOREIGN_ERRORS:
        return 1, ()


def _orientation(exif: Image.Exif) -> int:
    value = exif.get(Base.Orientation, 1)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _inside_exif(exif: Image.Exif) -> tuple[str, ...]:
    """``gps``, ``makernote`` and ``thumbnail`` where EXIF holds them."""
    found = ["gps"] if exif.get_ifd(IFD.GPSInfo) else []
    if Base.MakerNote in exif.get_ifd(IFD.Exif):
        found.append("makernote")
    if exif.get_ifd(IFD.IFD1):
        found.append("thumbnail")
    return tuple(found)


def _profile_name(icc_profile: bytes) -> str | None:
    """``srgb``, the profile's own description, or ``None`` where there is none."""
    if not icc_profile:
        return None
    from PIL import ImageCms

    try:
        name = ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(BytesIO(icc_profile))).strip()
    except (ImageCms.PyCMSError, *FOREIGN_ERRORS):
        return "unreadable"
    return "srgb" if name.lower().startswith(_SRGB_NAMES) or name.lower() == "c2" else name or "unnamed"


def _damaged(content: Content, format_slug: str, error: BaseException) -> Damaged | TypeNotAllowed | OverInputLimit:
    title = FORMATS[format_slug].title
    if format_slug == "avif":
        width_px, height_px = content.once(read_movie).largest_px
        if width_px * height_px > _MOST_PIXELS:
            return OverInputLimit(
                content.name, f"has {width_px} x {height_px} pixels, more than any photo; make it smaller"
            )
    reason = str(error) or type(error).__name__
    if reason.startswith(_UNSUPPORTED):
        return TypeNotAllowed(
            content.name, f"is {title} of a kind that nothing here decodes ({reason}); save it as PNG or JPEG"
        )
    return Damaged(content.name, f"begins as {title}, but its headers cannot be read ({reason}); get the file again")
