"""Pictures in formats without a quality setting, GIF stills and WBMP: made to fit by size and by colours.

Comes in: a decoded picture. Goes out: a source that renders the best rung that fits. Never: a rung larger
than the picture, or more colours than it has.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

from PIL import Image

from mmsprep.formats import FORMATS, wbmp
from mmsprep.model import Action, Curve, CurvePoint, Rendition, Source
from mmsprep.transcode.image.score import Reference
from mmsprep.transcode.image.shrink import shrunk

_SCALES = (1.0, 0.75, 0.56, 0.42, 0.32, 0.24, 0.18, 0.12)
"""Of the sides, each about three quarters of the one before."""
_COLOURS = (256, 64, 16)
"""Of the palette."""
_SMALLEST_PX = 8
_SMALLER_COSTS = 0.5
"""Pixels, the shortest side of a rung; points of quality that a rung is worth less than the next larger one at least.
Set by hand."""
_BITMAP_QUALITY = 50.0
"""What a dithered one-bit picture is worth at full size; the score that steers photos says nothing about it."""


@dataclass(frozen=True, slots=True)
class _Rung:
    """One encoding: the picture's size, the bytes, what they are worth."""

    size_px: tuple[int, int]
    data: bytes
    quality: float


class LadderSource(Source):
    """A picture that can be made in a few sizes (see :class:`mmsprep.model.Source`)."""

    floor_quality = 0.0

    def __init__(
        self,
        format_slug: str,
        size_px: tuple[int, int],
        floor_quality: float,
        encode_all: Callable[[], list[_Rung]],
        notes: tuple[str, ...],
    ) -> None:
        self.floor_quality = floor_quality
        self._format = format_slug
        self._size_px = size_px
        self._encode_all = encode_all
        self._notes = notes

    def curve(self) -> Curve:
        """The rungs worth their bytes."""
        points = tuple(CurvePoint(len(rung.data), rung.quality) for rung in self._rungs)
        return Curve(points, steps=True, whole_bytes=self.whole_bytes(0.0) or points[-1].size_bytes)

    def whole_bytes(self, quality: float) -> int | None:
        """What the smallest one of full size costs that is worth ``quality``; ``None`` where none is."""
        whole = (len(rung.data) for rung in self._rungs if rung.size_px == self._size_px and rung.quality >= quality)
        return next(whole, None)

    def render(self, max_bytes: int) -> Rendition:
        """The best rung within ``max_bytes``; the smallest when none is."""
        fitting = [rung for rung in self._rungs if len(rung.data) <= max_bytes]
        rung = fitting[-1] if fitting else self._rungs[0]
        return Rendition(
            data=rung.data,
            format=self._format,
            content_type=FORMATS[self._format].content_type,
            action=Action.TRANSCODE,
            quality=rung.quality,
            width_px=rung.size_px[0],
            height_px=rung.size_px[1],
            whole=rung.size_px == self._size_px,
            notes=self._notes,
        )

    @cached_property
    def _rungs(self) -> list[_Rung]:
        """Ascending in bytes and in quality."""
        kept: list[_Rung] = []
        for rung in sorted(self._encode_all(), key=lambda rung: (len(rung.data), -rung.quality)):
            if not kept or (len(rung.data) > len(kept[-1].data) and rung.quality > kept[-1].quality):
                kept.append(rung)
        return kept


def gif_source(
    image: Image.Image, floor_quality: float, notes: tuple[str, ...], scales: tuple[float, ...] = _SCALES
) -> LadderSource:
    """A GIF of the picture: fewer pixels and fewer colours the fewer bytes there are."""

    def encode_all() -> list[_Rung]:
        reference = Reference(image)
        rungs: list[_Rung] = []
        for colours in _COLOURS:
            best = math.inf
            for small in _sizes(image, scales):
                rung = _gif_rung(reference, small, colours)
                # Shrinking hides the bands of a coarse palette; it is no gain.
                rungs.append(replace(rung, quality=max(0.0, min(rung.quality, best))))
                best = rungs[-1].quality - _SMALLER_COSTS
        return rungs

    return LadderSource("gif", image.size, floor_quality, encode_all, notes)


def bitmap_source(image: Image.Image, notes: tuple[str, ...]) -> LadderSource:
    """A WBMP of the picture, dithered; its size in bytes follows from its pixels alone."""

    def encode_all() -> list[_Rung]:
        quality = _BITMAP_QUALITY / image.width
        return [_Rung(small.size, wbmp.encode(small), quality * small.width) for small in _sizes(image)]

    return LadderSource("wbmp", image.size, 0.0, encode_all, notes)


def _gif_rung(reference: Reference, image: Image.Image, colours: int) -> _Rung:
    out = io.BytesIO()
    image.convert("RGB").quantize(colours, dither=Image.Dither.NONE).save(out, "GIF", optimize=True)
    shown = Image.open(io.BytesIO(out.getvalue())).convert("RGB")
    return _Rung(image.size, out.getvalue(), reference.score(shown))


def _sizes(image: Image.Image, scales: tuple[float, ...] = _SCALES) -> list[Image.Image]:
    small = [
        shrunk(image, (round(image.width * scale), round(image.height * scale)))
        for scale in scales[1:]
        if min(image.size) * scale >= _SMALLEST_PX
    ]
    return [image, *small]
