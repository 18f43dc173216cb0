"""What a decoded picture is rendered by: as a photo, as a drawing, or as what the profile takes alone.

Comes in: a :class:`mmsprep.transcode.image.pixels.Picture`. Goes out: a source. Never: a decode.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from PIL import Image

from mmsprep.model import Curve, CurvePoint, Rendition, Source
from mmsprep.profile import Profile
from mmsprep.transcode.image import pixels
from mmsprep.transcode.image.ladder import BITS, LadderSource, bitmap_source, gif_source
from mmsprep.transcode.image.larger import SHARP_ENOUGH, Larger
from mmsprep.transcode.image.photo import PhotoSource

_GRAPHIC_FLOOR = 35.0
"""Quality (0..100) that lettering and drawings are not sent below. Set by hand."""
_USUAL = {1.0: BITS}
_LARGER = {1.0: BITS, 0.8: BITS[:2]}
"""Which sizes of a drawing are tried as a GIF, in shares of the sides, and how many bits a pixel at each: a larger size
helps lettering before more colours do."""
_LEAST_SHOWN = 0.01
_HAIR = 0.01
"""Of quality: a curve rises, and where only a step leads on it does so by that much."""
_LEGIBLE_SHRINK, _WELL_READ = 2.5, 70.0
"""Body text of a screenshot, 36 px high, is 14 px high then; below that letters run into one another."""
_HARD_TO_READ = (
    "lettering or a drawing {times:.1f} times smaller than it was, hard to read;"
    " crop it to what matters, or send it in pieces"
)


def source_of(picture: pixels.Picture, profile: Profile) -> Source:
    """A source for a picture, by what it is and what the profile takes."""
    rules = profile.image
    image = _bare(picture.image)
    limit_bytes = profile.message.limit_bytes
    best_shown = max(picture.shown, picture.larger_shown if picture.larger else 0.0)
    source: Source
    floor = max(rules.floor_quality, _GRAPHIC_FLOOR) if picture.graphic else rules.floor_quality
    if "jpeg" not in rules.targets:
        source = (
            gif_source(image, rules.floor_quality, (), limit_bytes)
            if "gif" in rules.targets
            else bitmap_source(image, ())
        )
    else:
        source = photo = PhotoSource(image, floor_quality=floor, graphic=picture.graphic)
        if picture.graphic and "gif" in rules.targets:
            gif = gif_source(image, floor, (), limit_bytes, sizes=_USUAL)
            usual_share = picture.shown / max(best_shown, _LEAST_SHOWN)
            larger = None
            if picture.larger:
                whole = _bare(picture.larger)
                gifs = gif_source(whole, floor, (), limit_bytes, sizes=_LARGER)
                larger = Larger(whole, gifs, photo.measure, image.size, usual_share)
            source = _GraphicSource(photo, gif, larger, usual_share)
    return _AsShown(source, picture, best_shown)


def _bare(image: Image.Image) -> Image.Image:
    """The pixels alone: Pillow's encoders copy comments and more from ``info`` into what they write."""
    image = image.copy()
    image.info = {}
    return image


class _AsShown(Source):
    """A source whose renditions know what they were made from and what a phone could have shown of it."""

    floor_quality = 0.0
    shown = 1.0
    drawn_shrink = 0.0

    def __init__(self, source: Source, picture: pixels.Picture, shown: float) -> None:
        self.floor_quality = source.floor_quality
        self.shown = shown
        self.notes = picture.notes
        self.contrast = picture.contrast
        self._source = source
        self.drawn_shrink = picture.shrink_at_most if picture.graphic else 0.0
        self._legible_px = max(picture.image.size) * picture.shrink / _LEGIBLE_SHRINK if picture.graphic else 0.0
        self._full_px = max(picture.image.size) * picture.shrink

    @property
    def fingerprint(self) -> str:
        """The same for the same pixels; empty where the source has none."""
        return self._source.fingerprint

    @property
    def is_quick(self) -> bool:
        """As the source is."""
        return self._source.is_quick

    def assured_quality(self, max_bytes: int) -> float | None:
        """As the source tells it."""
        return self._source.assured_quality(max_bytes)

    def curve(self) -> Curve:
        """As the source tells it: bytes do not bring back what the largest size loses."""
        return self._source.curve()

    def format_at(self, max_bytes: int) -> str:
        """As the source tells it."""
        return self._source.format_at(max_bytes)

    def render(self, max_bytes: int) -> Rendition:
        """The source's, with the share that is left of what could be shown."""
        made = self._source.render(max_bytes)
        notes = self.notes
        long_px = max(made.width_px or 0, made.height_px or 0)
        if 0 < long_px < self._legible_px and made.quality * self.shown < _WELL_READ:
            notes = (*notes, _HARD_TO_READ.format(times=self._full_px / long_px))
        return replace(made, shown=self.shown, contrast=self.contrast, notes=(*made.notes, *notes))

    def seen(self, made: Rendition) -> Rendition:
        """As the source sees it."""
        return self._source.seen(made)


class _GraphicSource(Source):
    """A drawn picture: a GIF of fewer or more colours, or a JPEG with whole chroma, whichever says more.

    ``larger`` is of a size that only drawn pictures may have; beside it the usual size is worth ``usual_share``.
    """

    floor_quality = 0.0
    is_quick = True
    fingerprint = ""

    def __init__(self, photo: PhotoSource, gif: LadderSource, larger: Larger | None, usual_share: float) -> None:
        self.fingerprint = photo.fingerprint
        self._photo = photo
        self._gif = gif
        self._larger = larger
        self._usual_share = usual_share if larger else 1.0
        self.floor_quality = photo.floor_quality * self._usual_share

    def curve(self) -> Curve:
        """The upper edge of the curves; a GIF's part of it is real, a sharp one is what the picture is worth."""
        photo = self._photo.curve()
        gifs = self._usual(self._gif.curve().points)
        whole_bytes = self._gif.whole_bytes(SHARP_ENOUGH) or photo.whole_bytes
        if self._larger:
            gifs += self._larger.points
            whole_bytes = self._larger.whole_bytes
        usual = self._usual(photo.points)
        steps = [_before(gif, usual, gifs) for gif in gifs if gif.size_bytes > usual[0].size_bytes]
        best: list[CurvePoint] = []
        for point in sorted([*usual, *gifs, *steps], key=lambda point: (point.size_bytes, -point.quality)):
            if not best or point.quality > best[-1].quality:
                best.append(point)
        return Curve(tuple(best), whole_bytes=whole_bytes)

    def _usual(self, points: Sequence[CurvePoint]) -> list[CurvePoint]:
        """What the usual size is worth beside a larger one."""
        return [replace(point, quality=point.quality * self._usual_share) for point in points]

    def format_at(self, max_bytes: int) -> str:
        """GIF where one that is made is worth more than the photo should be."""
        gifs = [gif.render(max_bytes) for gif in (self._larger and self._larger.gif, self._gif) if gif]
        fitting = [made.quality for made in gifs if made.size_bytes <= max_bytes]
        points = self._photo.curve().points
        photo = max((point.quality for point in points if point.size_bytes <= max_bytes), default=0.0)
        return "gif" if any(quality >= min(SHARP_ENOUGH, photo) for quality in fitting) else "jpeg"

    def render(self, max_bytes: int) -> Rendition:
        """The better one within ``max_bytes``."""
        sharp = self._larger.sharp(max_bytes) if self._larger else None
        if sharp:
            return sharp
        usual = self._usual_within(max_bytes)
        if self._larger is None:
            return usual
        usual = replace(usual, quality=usual.quality * self._usual_share, whole=False)
        return self._larger.better_than(usual, max_bytes) or usual

    def _usual_within(self, max_bytes: int) -> Rendition:
        gif = self._gif.render(max_bytes)
        if gif.size_bytes <= max_bytes and gif.quality >= SHARP_ENOUGH:
            return gif
        photo = self._photo.render(max_bytes)
        return max(photo, gif, key=lambda made: (made.size_bytes <= max_bytes, made.quality))


def _before(gif: CurvePoint, photo: Sequence[CurvePoint], gifs: Sequence[CurvePoint]) -> CurvePoint:
    """The point one byte before a GIF: the JPEG, or the GIF of fewer bytes. No byte less buys anything of ``gif``."""
    size_bytes = gif.size_bytes - 1
    logs = [math.log(point.size_bytes) for point in photo]
    of_photo = float(np.interp(math.log(size_bytes), logs, [point.quality for point in photo]))
    of_gif = max((one.quality for one in gifs if one.size_bytes <= size_bytes), default=0.0)
    return CurvePoint(size_bytes, max(of_photo, of_gif + _HAIR))
