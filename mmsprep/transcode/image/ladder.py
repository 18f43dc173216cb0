"""Pictures in formats without a quality setting, GIF stills and WBMP: made to fit by size and by colours.

Comes in: a decoded picture. Goes out: a source that renders the best rung that fits. Never: a rung larger
than the picture, or more colours than it has.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from PIL import Image, ImageChops, ImageStat

from mmsprep.formats import FORMATS, wbmp
from mmsprep.model import Action, Curve, CurvePoint, Rendition, Source
from mmsprep.tools.once import once
from mmsprep.transcode.image.palette import few_coloured_gif
from mmsprep.transcode.image.score import Reference
from mmsprep.transcode.image.shrink import shrunk

_SCALES = (1.0, 0.75, 0.56, 0.42, 0.32, 0.24, 0.18, 0.12)
"""Of the sides, each about three quarters of the one before."""
BITS = (2, 3, 4, 5, 6, 8)
"""Of a pixel: so many of them tell a palette's colours apart."""
EVERY_SIZE = dict.fromkeys(_SCALES, BITS)
_ALIKE = 99.0
"""Of quality: from here on the score is blind."""
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

    @once
    def _rungs(self) -> list[_Rung]:
        """Ascending in bytes and in quality."""
        kept: list[_Rung] = []
        for rung in sorted(self._encode_all(), key=lambda rung: (len(rung.data), -rung.quality)):
            if not kept or (len(rung.data) > len(kept[-1].data) and rung.quality > kept[-1].quality):
                kept.append(rung)
        return kept


def gif_source(
    image: Image.Image,
    floor_quality: float,
    notes: tuple[str, ...],
    limit_bytes: int,
    sizes: Mapping[float, Sequence[int]] = EVERY_SIZE,
) -> LadderSource:
    """A GIF of the picture: fewer pixels and fewer colours the fewer bytes there are.

    ``sizes`` are shares of the sides, the largest first, and how many bits a pixel may have at each. More bits are not
    tried where fewer are over ``limit_bytes`` already.
    """

    def encode_all() -> list[_Rung]:
        reference = Reference(image)
        small = {scale: _scaled(image, scale) for scale in sizes if _is_seen(image, scale)}
        rungs: list[_Rung] = []
        exact: dict[float, float] = {}
        for bits in BITS:
            if rungs and len(rungs[-1].data) > limit_bytes and not exact:
                break
            best = math.inf
            for scale, scaled in small.items():
                if scale in exact:
                    # It has all its colours already; more bits make the same of it.
                    best = exact[scale] - _SMALLER_COSTS
                elif bits in sizes[scale]:
                    rung = _gif_rung(reference, scaled, bits)
                    # Shrinking hides the bands of a coarse palette; it is no gain.
                    rungs.append(replace(rung, quality=max(0.0, min(rung.quality, best))))
                    best = rungs[-1].quality - _SMALLER_COSTS
                    if scaled.convert("RGB").getcolors(2**bits):
                        exact[scale] = rungs[-1].quality
        return rungs

    return LadderSource("gif", image.size, floor_quality, encode_all, notes)


def bitmap_source(image: Image.Image, notes: tuple[str, ...]) -> LadderSource:
    """A WBMP of the picture, dithered; its size in bytes follows from its pixels alone."""

    def encode_all() -> list[_Rung]:
        quality = _BITMAP_QUALITY / image.width
        small = [_scaled(image, scale) for scale in _SCALES if _is_seen(image, scale)]
        return [_Rung(one.size, wbmp.encode(one), quality * one.width) for one in small]

    return LadderSource("wbmp", image.size, 0.0, encode_all, notes)


def _gif_rung(reference: Reference, image: Image.Image, bits: int) -> _Rung:
    data = few_coloured_gif(image, bits)
    shown = Image.open(io.BytesIO(data)).convert("RGB")
    quality = reference.drawn_score(shown)
    if quality > _ALIKE:
        # The score cannot tell these apart: the nearer one is worth more, the picture itself most.
        off = ImageStat.Stat(ImageChops.difference(image.convert("RGB"), shown)).rms
        quality = _ALIKE + (100.0 - _ALIKE) * math.exp(-max(off))
    return _Rung(image.size, data, quality)


def _is_seen(image: Image.Image, scale: float) -> bool:
    return scale == 1.0 or min(image.size) * scale >= _SMALLEST_PX


def _scaled(image: Image.Image, scale: float) -> Image.Image:
    return shrunk(image, (round(image.width * scale), round(image.height * scale)))
