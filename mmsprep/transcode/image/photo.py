"""A picture as JPEG: size in pixels and quantisation chosen together for the bytes there are.

Comes in: a reference picture at the largest size allowed. Goes out: a curve, and renditions that fill what
they are given. Never: an enlarged picture, or a byte too many.

Two probes tell what size and quantisation are worth (``rate_model.py``); where bytes are plenty, full size is the
best without them. The size chosen is encoded with the tables that its coefficients say will fill the bytes
(``spectrum.py``), and once more where that was off; where quantisation is coarse by trellis quantisation in place of
it, at an exact half by both. Where bytes are few, so are the sizes that may be as good, each once, and where two that
are far apart are about as near, one between them; what should be the nearest to the picture is encoded until it fills
its bytes. Chroma is subsampled but where quantisation is fine, or where that changes light by so much that whole chroma
is encoded, too.
"""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from PIL import Image, ImageChops

from mmsprep.formats import FORMATS
from mmsprep.model import Action, Curve, Rendition, Source
from mmsprep.tools.once import once
from mmsprep.tools.vips import vips_runs
from mmsprep.transcode.image.jpeg import (
    FULL_CHROMA,
    SUBSAMPLED,
    Tables,
    encode,
    encode_by_trellis,
    tables_at,
)
from mmsprep.transcode.image.one_size import AIM, OneSize, Way
from mmsprep.transcode.image.rate_model import PROBE_SCALE, SURELY_FULL, RateModel, Setting, fine_quality
from mmsprep.transcode.image.score import Off, Reference, lost_to_subsampling
from mmsprep.transcode.image.shrink import shrunk
from mmsprep.transcode.image.spectrum import Spectrum

_SMALLEST_LONG_PX = 64
"""Pixels. Set by hand."""
_FINE_CORRECTION = 1.012
"""Real bytes over foretold ones up to ``SURELY_FULL``, in the mean; pictures differ by 2 %."""
_SAME_PICTURE = 0.25
"""Of log bytes: a budget this near to the last one keeps its size. Set by hand."""
_MOST_ENCODES, _ENOUGH = 5, 0.8
_DISTANCE_POWER = 1.2
"""Encodes of one render, a size between two not counted, after which what fits and fills such a share is enough; with
two probes that makes seven. The power of its bytes that the distance of an encode falls with, for those that are a few
per cent over or under (measured of structure: 0.6 at a half, 1 to 1.5 at full size)."""
_WHOLE_CHROMA_BELOW, _WHOLE_CHROMA_FROM, _WHOLE_CHROMA_POWER = 0.05, 0.015, 0.75
"""The quantisation scale below which whole chroma pays for nearly any picture, and what subsampling has to lose for it
to be tried above, times that power of the scale: of half of all pictures below 0.1, one in three in 0.1 to 0.2, one in
seven in 0.2 to 0.5, one in thirty above, which is 98 % of what trying all would gain (measured, 218 photographs in 40
to 300 kB)."""
_DARK_LUMA, _DARK = 32, 0.5
"""Where more than half of the pixels are as dark as that, trellis quantisation blurs what is dim (stars: 1.8 to 2.7
points less). Measured, 35 photographs at 20 to 100 kB."""
_HALF, _ABOUT = 0.5, 0.02
"""A size that plain quantisation is as good for as trellis quantisation, where a larger one is in doubt."""
_AS_NEAR, _WIDE = 1.06, 1.25
"""Distances that differ by no more may be less between; of sizes so far apart one between them is worth an encode."""
_SMALLER = 0.7
"""Of the sides, where not even the coarsest tables make it small enough. Set by hand."""


@dataclass(frozen=True)
class _Measured:
    """An encode, and how far it is from its picture."""

    data: bytes
    measure: Reference

    @once
    def shown(self) -> Image.Image:
        return Image.open(io.BytesIO(self.data), formats=["JPEG"])

    @once
    def score(self) -> float:
        """Of the colours as they are shown: what saturated ones lose by clipping counts."""
        return self.measure.score(self.shown)

    @once
    def off(self) -> Off:
        """What encodes in different sizes, with whole chroma and without, are ranked by, and what is told."""
        return self.measure.off(self.shown)


def _is_filled(way: Way) -> bool:
    return len(way.fitting) >= _ENOUGH * way.max_bytes


class PhotoSource(Source):
    """A source (see :class:`mmsprep.model.Source`) that makes JPEGs; ``trial_encodes`` counts its encodes.

    ``graphic`` keeps the chroma whole, which lettering and logos need.
    """

    floor_quality = 0.0
    is_quick = True

    def __init__(
        self,
        reference: Image.Image,
        *,
        floor_quality: float,
        graphic: bool = False,
        notes: tuple[str, ...] = (),
    ) -> None:
        self.floor_quality = floor_quality
        self.trial_encodes = 0
        self.reference = reference
        self.measure = Reference(reference, in_bands=not graphic)
        self._graphic = graphic
        self._notes = notes
        self._taken: Way | None = None
        self._correction = _FINE_CORRECTION
        self._trellis_correction = 1.0
        self._probed: dict[tuple[int, int], bytes] = {}
        self._judged: dict[bytes, _Measured] = {}
        self._made: _Measured | None = None

    @once
    def fingerprint(self) -> str:
        """The same for the same pixels."""
        head = f"{self.reference.mode}{self.reference.size}".encode()
        return hashlib.sha256(head + self.reference.tobytes()).hexdigest()

    @once
    def model(self) -> RateModel:
        """What size and quantisation are worth, from one encode at full size and one at half."""
        tables, subsampling = tables_at(PROBE_SCALE), self._probe_subsampling
        half_image = self._resized(0.5)
        full, half = (self._encode(image, tables, subsampling) for image in (self.reference, half_image))
        self._correction = len(half) / Spectrum(half_image, subsampling).bytes_at(tables)
        self._probed = {self.reference.size: full, half_image.size: half}
        scores = [_Measured(data, self.measure).score for data in (full, half)]
        return RateModel(len(full), scores[0], len(half), scores[1], self._lost_at(half_image))

    def _lost_at(self, smaller: Image.Image) -> tuple[int, ...]:
        """How often each difference in luma stands between the picture and ``smaller`` as a phone grows it again."""
        grown = smaller.convert("L").resize(self.reference.size, Image.Resampling.BICUBIC)
        return tuple(ImageChops.difference(self.reference.convert("L"), grown).histogram())

    @property
    def _probe_subsampling(self) -> int:
        return FULL_CHROMA if self._graphic else SUBSAMPLED

    @once
    def _spectrum(self) -> Spectrum:
        """At full size."""
        return Spectrum(self.reference, self._probe_subsampling)

    def assured_quality(self, max_bytes: int) -> float | None:
        """What ``max_bytes`` buy, where they are so plenty that it can be told without a probe."""
        setting = self._plenty(max_bytes)
        return fine_quality(setting.scale) if setting else None

    def _plenty(self, max_bytes: int) -> Setting | None:
        """The setting for ``max_bytes`` where that is full size for certain."""
        scale = self._spectrum.scale_for(max_bytes * AIM / _FINE_CORRECTION)
        return Setting(1.0, scale) if scale < SURELY_FULL else None

    def curve(self) -> Curve:
        """Predict from the two probes."""
        return self.model.curve()

    def render(self, max_bytes: int) -> Rendition:
        """The best JPEG within ``max_bytes``; when none is small enough, the smallest."""
        again = self._again(max_bytes)
        ways = [again] if again else self._ways(max_bytes)
        size = ways[0].size
        best = self._nearest_of(ways)
        if best:
            self._taken, made = best
            return self._rendition(made)
        if max(size.image.size) <= _SMALLEST_LONG_PX:
            return self._rendition(_Measured(min(size.tried.values(), key=len), self.measure))
        smaller = self._at_size(self._factor_of(size) * _SMALLER, size.subsampling, max_bytes)
        self._taken = self._way(smaller, max_bytes)
        return self.render(max_bytes)

    def seen(self, made: Rendition) -> Rendition:
        """With what structure and colours say, which of a drawing is its quality already."""
        if self._graphic:
            return made
        if not (self._made and self._made.data == made.data):
            self._made = _Measured(made.data, self.measure)
        return replace(made, seen_quality=self._made.off.photo_score)

    def _again(self, max_bytes: int) -> Way | None:
        """The way that was taken for an earlier budget near to this one: at a half that which was better then."""
        last = self._taken
        if last is None or abs(math.log(max_bytes / last.size.wanted_bytes)) >= _SAME_PICTURE:
            return None
        if self._is_half(last.size):
            return Way(last.size, last.by_trellis, max_bytes, is_compared=True)
        return self._way(last.size, max_bytes)

    def _ways(self, max_bytes: int) -> list[Way]:
        """What may be the best for ``max_bytes``."""
        setting = self._setting_for(max_bytes)
        # Whole chroma costs a step in size: encodes with it must not meet that step half way.
        whole_chroma = self._graphic or (setting.scale < _WHOLE_CHROMA_BELOW and self.reference.mode != "L")
        size = self._at_size(setting.factor, FULL_CHROMA if whole_chroma else SUBSAMPLED, max_bytes)
        rivals = () if whole_chroma else self._rivals(setting, max_bytes)
        return [
            self._way(size, max_bytes),
            *(self._way(rival, max_bytes, is_rival=rival.subsampling == SUBSAMPLED) for rival in rivals),
        ]

    def _nearest_of(self, ways: list[Way]) -> tuple[Way, _Measured] | None:
        """What is nearest to the picture and fits, and its way; ``None`` where nothing is small enough.

        Each way is encoded once; the one that should be the nearest goes on until it fits and fills its bytes.
        """
        most = self.trial_encodes + _MOST_ENCODES
        for way in ways:
            if len(ways) > 1 and not way.is_near:
                self._go_on(way)
        between = self._between(ways)
        if between:
            ways.append(between)
            most += self._go_on(between)
        while ways and not (self.trial_encodes >= most and any(map(_is_filled, ways))):
            way = min(ways, key=self._distance_to_be) if len(ways) > 1 else ways[0]
            if self._go_on(way):
                continue
            other = self._other_way(way, ways)
            if way.fitting and not other:
                break
            if not way.fitting:
                ways.remove(way)
            if other:
                ways.append(other)
                self._go_on(other)
        fitting = [(way, self._measured(way.fitting)) for way in ways if way.fitting]
        self._judged.clear()
        return min(fitting, key=lambda one: one[1].off.distance if len(fitting) > 1 else 0, default=None)

    def _between(self, ways: Sequence[Way]) -> Way | None:
        """A size between two of ``ways``, the furthest apart of those that are about as near as the nearest.

        Not beside a half: what is between it and 0.7 was as often worse as better than both.
        """
        subsampled = [way for way in ways if way.size.subsampling == SUBSAMPLED]
        if len(subsampled) < 2:
            return None
        distances = {self._factor_of(way.size): self._distance_to_be(way) for way in subsampled}
        near = _AS_NEAR * min(distances.values())
        above = pairwise(factor for factor in sorted(distances) if factor > _HALF + _ABOUT)
        pairs = [pair for pair in above if max(distances[factor] for factor in pair) <= near]
        smaller, larger = max(pairs, key=lambda pair: pair[1] / pair[0], default=(1.0, 1.0))
        if larger < smaller * _WIDE:
            return None
        max_bytes = ways[0].max_bytes
        return self._way(self._at_size(math.sqrt(smaller * larger), SUBSAMPLED, max_bytes), max_bytes, is_rival=True)

    def _distance_to_be(self, way: Way) -> float:
        """How far a way will be from the picture once it fills its bytes, going by its nearest encode."""
        data, power = way.nearest, _DISTANCE_POWER * self._factor_of(way.size)
        return self._measured(data).off.distance * math.pow(len(data) / way.max_bytes, power) if data else math.inf

    def _way(self, size: OneSize, max_bytes: int, *, is_rival: bool = False) -> Way:
        """What is most often the best of a size."""
        by_trellis = not self._is_half(size) and self._takes_trellis(size, max_bytes)
        return Way(size, by_trellis, max_bytes, is_rival)

    def _other_way(self, way: Way, ways: Sequence[Way]) -> Way | None:
        """The other quantisation of a size that is an exact half, or where none by trellis fits."""
        if any(one.size is way.size and one is not way for one in ways):
            return None
        if way.by_trellis:
            return None if way.fitting else Way(way.size, False, way.max_bytes, way.is_rival)
        if way.is_compared or not self._is_half(way.size) or not self._takes_trellis(way.size, way.max_bytes):
            return None
        return Way(way.size, True, way.max_bytes, way.is_rival)

    def _takes_trellis(self, size: OneSize, max_bytes: int) -> bool:
        if self._graphic or size.subsampling != SUBSAMPLED or self._is_dark or not vips_runs():
            return False
        return size.takes_trellis(max_bytes)

    def _is_half(self, size: OneSize) -> bool:
        return abs(self._factor_of(size) - _HALF) < _ABOUT

    def _factor_of(self, size: OneSize) -> float:
        return max(size.image.size) / max(self.reference.size)

    def _go_on(self, way: Way) -> bool:
        """Encode what a way needs next; false where nothing more would bring it nearer."""
        size = way.size
        size.trellis_correction = self._trellis_correction
        setting = way.next_setting()
        if setting is None:
            return False
        if isinstance(setting, int):
            self.trial_encodes += 1
            data = encode_by_trellis(size.image, setting)
        else:
            data = self._encode(size.image, setting, size.subsampling, size.spectrum.bytes_at(setting))
        way.add(setting, data)
        if way.by_trellis:
            self._trellis_correction = size.trellis_correction_at(way.max_bytes)
        return True

    @once
    def _is_dark(self) -> bool:
        return sum(self._spectrum.planes[0].histogram()[:_DARK_LUMA]) > _DARK * math.prod(self.reference.size)

    def _measured(self, data: bytes) -> _Measured:
        """An encode of this render, measured once."""
        return self._judged.setdefault(data, _Measured(data, self.measure))

    def _setting_for(self, max_bytes: int) -> Setting:
        """What should be the best for ``max_bytes``."""
        plenty = None if self._probed else self._plenty(max_bytes)
        return plenty or self.model.setting_for(round(max_bytes * AIM))

    def _rivals(self, setting: Setting, max_bytes: int) -> Iterator[OneSize]:
        """What may be better than a setting with its chroma subsampled, where neither the model nor a fast look can be
        sure."""
        if self._probed:
            for factor in self.model.rivals_of(setting.factor, round(max_bytes * AIM)):
                yield self._at_size(factor, SUBSAMPLED, max_bytes)
        if setting.factor == 1 and self._may_gain_by_whole_chroma(setting.scale):
            yield self._at_size(1, FULL_CHROMA, max_bytes)

    def _may_gain_by_whole_chroma(self, scale: float) -> bool:
        if self.reference.mode == "L":
            return False
        return self._lost_to_subsampling >= _WHOLE_CHROMA_FROM * math.pow(scale, _WHOLE_CHROMA_POWER)

    @once
    def _lost_to_subsampling(self) -> float:
        return lost_to_subsampling(self._spectrum.planes)

    def _at_size(self, factor: float, subsampling: int, max_bytes: int) -> OneSize:
        image = self._resized(factor)
        if image is not self.reference:
            spectrum = Spectrum(image, subsampling)
        elif subsampling == self._probe_subsampling:
            spectrum = self._spectrum
        else:
            spectrum = Spectrum(image, subsampling, self._spectrum)
        size = OneSize(image, subsampling, spectrum, max_bytes, self._correction)
        if image.size in self._probed and subsampling == self._probe_subsampling:
            size.tried[tables_at(PROBE_SCALE)] = self._probed[image.size]
        return size

    def _resized(self, factor: float) -> Image.Image:
        width, height = self.reference.size
        factor = min(1.0, max(factor, _SMALLEST_LONG_PX / max(width, height)))
        if factor >= 0.995:
            return self.reference
        size = max(1, round(width * factor)), max(1, round(height * factor))
        return shrunk(self.reference, size)

    def _encode(self, image: Image.Image, tables: Tables, subsampling: int, foretold_bytes: float = math.inf) -> bytes:
        self.trial_encodes += 1
        return encode(image, tables, subsampling, foretold_bytes=foretold_bytes)

    def _rendition(self, made: _Measured) -> Rendition:
        self._made = made
        width_px, height_px = made.shown.size
        return Rendition(
            data=made.data,
            format="jpeg",
            content_type=FORMATS["jpeg"].content_type,
            action=Action.TRANSCODE,
            quality=self.measure.drawn_score(made.shown) if self._graphic else made.score,
            width_px=width_px,
            height_px=height_px,
            whole=made.shown.size == self.reference.size,
            notes=self._notes,
        )
