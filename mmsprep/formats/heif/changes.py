"""What is to be done to a decoded picture of a HEIF file before it is shown: turns, mirrorings, crops.

Comes in: an item. Goes out: changes, in the order in which the file says them. Never: a change that nobody here knows
passed over where the file says that it must not be.

ISO/IEC 23008-12, 6.5.10 (``irot``), 6.5.12 (``imir``); ISO/IEC 14496-12, 12.1.4 (``clap``).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from mmsprep.errors import Damaged, TypeNotAllowed
from mmsprep.formats.heif.items import Heif, Item

_KNOWN = frozenset(
    (
        *(b"ispe", b"hvcC", b"colr", b"pixi", b"pasp", b"rloc", b"auxC", b"clap", b"irot", b"imir", b"clli", b"mdcv"),
        *(b"cclv", b"amve", b"ndwt", b"reve", b"udes", b"altt", b"aebr", b"wbbr", b"fobr", b"afbr", b"dobr", b"pano"),
        *(b"rref", b"crtt", b"mdft", b"free", b"skip", b"uuid", b"cmin", b"cmex", b"tai ", b"itai", b"taic"),
    )
)
"""Properties that are acted on, or that change nothing in how a picture looks."""
_TURNS = {b"irot": "turn", b"imir": "mirror"}


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a whole picture: a ``turn`` (counter-clockwise, in quarters), a ``mirror`` (0: top to bottom, 1:
    left to right), a ``crop`` to left, top, right and bottom."""

    kind: str
    numbers: tuple[int, ...]


def changed_size(width_px: int, height_px: int, changes: tuple[Change, ...]) -> tuple[int, int]:
    """Width and height after ``changes``."""
    for change in changes:
        if change.kind == "crop":
            left, top, right, bottom = change.numbers
            width_px, height_px = right - left, bottom - top
        elif change.kind == "turn" and change.numbers[0] % 2:
            width_px, height_px = height_px, width_px
    return width_px, height_px


def changes_of(heif: Heif, item: Item, width_px: int, height_px: int) -> tuple[Change, ...]:
    """What is to be done to a picture of that size before it is shown, in the order in which the file says it.

    Raises:
        Damaged: what it says makes no sense.
        TypeNotAllowed: it is something that nothing here does.
    """
    changes: list[Change] = []
    for one in item.properties:
        if one.name not in _KNOWN and one.essential:
            raise unknown(heif, f"that takes {one.name.decode('latin-1')!r}")
        if one.name in _TURNS and one.body:
            changes.append(Change(_TURNS[one.name], (one.body[0] & (3 if one.name == b"irot" else 1),)))
        elif one.name == b"clap":
            box = _crop(one.body, *changed_size(width_px, height_px, tuple(changes)))
            if box is None:
                raise Damaged(heif.content.name, "begins as HEIC, but is cropped to nothing; get the file again")
            changes.append(Change("crop", box))
    return tuple(changes)


def _crop(body: bytes, width_px: int, height_px: int) -> tuple[int, int, int, int] | None:
    """Left, top, right and bottom of a clean aperture, within the picture; ``None`` where nothing is left."""
    if len(body) < 32:
        return None
    width, width_parts, height, height_parts, across, across_parts, down, down_parts = struct.unpack(">8i", body[:32])
    if min(width, width_parts, height, height_parts, across_parts, down_parts) < 1:
        return None
    left, right = _span(width, width_parts, across, across_parts, width_px)
    top, bottom = _span(height, height_parts, down, down_parts, height_px)
    return (left, top, right, bottom) if left < right and top < bottom else None


def _span(length: int, length_parts: int, offset: int, offset_parts: int, whole_px: int) -> tuple[int, int]:
    """First pixel, and the one behind the last, of what lies around the middle, moved by the offset."""
    # (whole - 1) / 2 + offset - (length - 1) / 2, rounded down.
    parts = 2 * length_parts * offset_parts
    first = (whole_px * length_parts * offset_parts + 2 * offset * length_parts - length * offset_parts) // parts
    end = first + (2 * length + length_parts) // (2 * length_parts)
    return max(0, first), min(whole_px, end)


def unknown(heif: Heif, kind: str) -> TypeNotAllowed:
    """The error about a picture that takes something that nothing here has."""
    return TypeNotAllowed(
        heif.content.name, f"is a HEIF picture of a kind that nothing here decodes ({kind}); save it as PNG or JPEG"
    )
