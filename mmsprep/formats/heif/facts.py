"""What a HEIF file says of its main picture.

Comes in: its items. Goes out: :class:`PictureFacts`. Never: a decoded picture.

ISO/IEC 23008-12, 6.5 and annex A (Exif and XMP).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from mmsprep.errors import MmsprepError
from mmsprep.formats.content import Content
from mmsprep.formats.heif.changes import changed_size, changes_of
from mmsprep.formats.heif.index import read_heif
from mmsprep.formats.heif.items import Heif, Item
from mmsprep.formats.heif.layout import (
    CODED,
    DERIVED,
    alpha_item,
    coded_item,
    configuration,
    icc_profile,
    main_item,
)

_XMP = "application/rdf+xml"


@dataclass(frozen=True, slots=True)
class PictureFacts:
    """Of the main picture as it is shown; ``picture_count`` are all that stand for themselves."""

    width_px: int
    height_px: int
    grey: bool
    bit_depth: int
    has_alpha: bool
    has_xmp: bool
    has_thumbnail: bool
    picture_count: int
    exif: bytes = field(repr=False)
    icc_profile: bytes = field(repr=False)


def read_picture_facts(content: Content) -> PictureFacts:
    """Read the facts about the main picture of ``content``; raises as
    :func:`mmsprep.formats.heif.layout.read_layout`."""
    heif = read_heif(content)
    main = main_item(heif)
    coded = configuration(heif, coded_item(heif, main))
    size_px = _stored_size(heif, main)
    width_px, height_px = changed_size(*size_px, changes_of(heif, main, *size_px))
    about = heif.sources(b"cdsc", main.number)
    exif = next((one for one in about if one.kind == "Exif"), None)
    return PictureFacts(
        width_px,
        height_px,
        grey=coded.chroma_format == 0,
        bit_depth=coded.bit_depth,
        has_alpha=alpha_item(heif, main) is not None,
        has_xmp=any(one.kind == "mime" and one.content_type == _XMP for one in about),
        has_thumbnail=bool(heif.sources(b"thmb", main.number)),
        picture_count=len(_standing(heif)),
        exif=_exif(heif, exif) if exif else b"",
        icc_profile=icc_profile(heif, main),
    )


def _stored_size(heif: Heif, item: Item) -> tuple[int, int]:
    """Width and height before a picture is turned and cropped: what was coded, or what it is put together to."""
    if item.kind in CODED:
        found = configuration(heif, item)
        return found.width_px, found.height_px
    if item.kind == "iden":
        inner = coded_item(heif, item)
        size_px = _stored_size(heif, inner)
        return changed_size(*size_px, changes_of(heif, inner, *size_px))
    data = heif.data(item)
    start = 4 if item.kind == "grid" else 10
    long = len(data) > 1 and data[1] & 1
    sizes = data[start : start + (8 if long else 4)]
    half = len(sizes) // 2
    return int.from_bytes(sizes[:half], "big"), int.from_bytes(sizes[half:], "big")


def _standing(heif: Heif) -> list[Item]:
    """Pictures that are there to be shown, not as a part, small copy or property of another one."""
    helpers = {
        start
        for kind, start, ends in heif.references
        if kind in (b"thmb", b"auxl")
        for end in ends
        if end in heif.items
    }
    return [
        one
        for one in heif.items.values()
        if one.kind in CODED | DERIVED and not one.hidden and one.number not in helpers
    ]


def _exif(heif: Heif, item: Item) -> bytes:
    """The EXIF block of an item, which says first how far before its TIFF structure it begins."""
    try:
        data = heif.data(item)
    except MmsprepError:
        return b""
    return data[4 + int.from_bytes(data[:4], "big") :] or data
