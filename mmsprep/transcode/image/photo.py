"""A picture as JPEG: size in pixels and quantisation chosen together for the bytes there are.

Comes in: a reference picture at the largest size allowed. Goes out: a curve, and renditions that fill what
they are given. Never: an enlarged picture, or a byte too many.

Two probes tell what size and quantisation are worth (``rate_model.py``); where bytes are plenty, full size is the
best without them. The size chosen is encoded with the tables that its coefficients say will fill the bytes
(``spectrum.py``), and once more where that was off; where quantisation is coarse by trellis quantisation in place of
it, at an exact half by both. Where bytes are few, so are the sizes that may be as good, and what is nearest to the
picture stays.
"""

from __future__ import annotations

import bisect
import hashlib
import io
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from PIL import Image, ImageChops

from mmsprep.formats import FORMATS
from mmsprep.model import Action, Curve, Rendition, Source
from mmsprep.tools.vips import vips_runs
from mmsprep.transcode.image.jpeg import (
    FULL_CHROMA,
    SUBSAMPLED,
    Tables,
    encode,
    encode_by_trellis,
    scale_of,
    tables_at,
)
from mmsprep.transcode.image.rate_model import PROBE_SCALE, SURELY_FULL, RateModel, Setting, fine_quality
from mmsprep.transcode.image.score import Reference
from mmsprep.transcode.image.shrink import shrunk
from mmsprep.transcode.image.spectrum import Spectrum

_SMALLEST_LONG_PX = 64
"""Pixels. Set by hand."""
_FILLED, _WELL_FILLED = 0.985, 0.97
_AIM, _LEAST_AIM = 0.9935, 0.95
"""Shares of the bytes allowed: an encode that fills so much is kept, a rival or one by trellis quantisation from so
much; what the next one aims at, so that the error of the foretold size (within 1 %,
`benchmarks/size_calibration.py`) seldom goes over; the least that it aims at."""
_FINE_CORRECTION = 1.012
"""Real bytes over foretold ones up to ``SURELY_FULL``, in the mean; pictures differ by 2 %."""
_TRIALS = 4
_CLOSE = 1.1
_SAME_PICTURE = 0.25
"""Encodes of one size at most; a ratio of bytes (tables this near on both sides are interpolated); of log bytes (a
budget this near to the last one keeps its size). Set by hand; `benchmarks/image_quality.py` counts the encodes."""
_FINE_CHROMA_BELOW, _FINE_CHROMA_MORE, _FINE_CHROMA_MOST = 0.05, 10.0, 0.2
_SHARP_CHROMA = 8
"""Quantisation scales: below the first whole chroma pays for any picture, below the last for none, between them sooner
by ten times the share of pixels whose colour is lost by more than 8 of 255 levels at half size (measured)."""
_BAND_PX, _BANDS = 64, 3
"""Sharp colour is looked for in bands, one of every three."""
_TRELLIS_TO, _TRELLIS_TRIALS = 80, 3
_TRELLIS_SHARE, _TRELLIS_MORE = 0.76, 0.0018
_DARK_LUMA, _DARK = 32, 0.5
"""Trellis quantisation is tried up to a quality, so often at most; its bytes over plain ones at quality 0, and how much
more at each quality, within 3 %. Where more than half of the pixels are as dark as that it blurs what is dim (stars:
1.8 to 2.7 points less). All measured, 35 photographs at 20 to 100 kB."""
_HALF, _ABOUT = 0.5, 0.02
"""A size that plain quantisation is as good for as trellis quantisation, where a larger one is in doubt."""
_SMALLER = 0.7
"""Of the sides, where not even the coarsest tables make it small enough. Set by hand."""


@dataclass(slots=True)
class _Search:
    """One size of the picture, its coefficients, and what was encoded of it: by its tables, and by trellis quantisation
    for whole qualities.

    ``correction`` is what real bytes are of foretold ones before anything was encoded at this size.
    """

    image: Image.Image
    subsampling: int
    spectrum: Spectrum
    wanted_bytes: int
    correction: float
    tried: dict[Tables, bytes] = field(default_factory=dict)
    by_trellis: dict[int, bytes] = field(default_factory=dict)

    def tables_for(self, real_bytes: float) -> Tables:
        """What should come to ``real_bytes``, going by the nearest encode, or by those close by on both sides."""
        real = {tables: len(data) for tables, data in self.tried.items()}
        over = min((tables for tables in real if real[tables] > real_bytes), key=real.__getitem__, default=None)
        under = max((tables for tables in real if real[tables] <= real_bytes), key=real.__getitem__, default=None)
        if over and under and real[over] < real[under] * _CLOSE:
            part = (real_bytes - real[under]) / (real[over] - real[under])
            return self.spectrum.between(under, over, part)
        sides = [tables for tables in (over, under) if tables]
        if not sides:
            return self.spectrum.tables_for(real_bytes / self.correction)
        nearest = min(sides, key=lambda tables: abs(math.log(real[tables] / real_bytes)))
        return self.spectrum.tables_for(self.spectrum.bytes_at(nearest) * real_bytes / real[nearest])

    def best_within(self, max_bytes: int) -> bytes:
        """The largest encode of at most ``max_bytes``; empty where there is none."""
        return max((data for data in self.tried.values() if len(data) <= max_bytes), key=len, default=b"")

    def _foretold_bytes(self, quality: int) -> float:
        """What plain quantisation should make of a whole quality, going by the nearest encode."""
        tables = tables_at(scale_of(quality))
        foretold = self.spectrum.bytes_at(tables)
        if not self.tried:
            return foretold * self.correction
        nearest = min(self.tried, key=lambda one: abs(math.log(self.spectrum.bytes_at(one) / foretold)))
        return foretold * len(self.tried[nearest]) / self.spectrum.bytes_at(nearest)

    def trellis_quality_for(self, real_bytes: float) -> int:
        """The highest whole quality (1..95) whose trellis quantisation should come to ``real_bytes``."""
        near = min(self.by_trellis, key=lambda one: abs(len(self.by_trellis[one]) - real_bytes), default=0)
        more = len(self.by_trellis[near]) / self._foretold_by_trellis(near) if near else 1.0
        foretold = bisect.bisect_right(range(1, 96), real_bytes / more, key=self._foretold_by_trellis)
        too_much = min((one for one, data in self.by_trellis.items() if len(data) > real_bytes), default=96)
        return max(1, min(foretold, too_much - 1))

    def _foretold_by_trellis(self, quality: int) -> float:
        return (_TRELLIS_SHARE + _TRELLIS_MORE * quality) * self._foretold_bytes(quality)


@dataclass(frozen=True)
class _Measured:
    """An encode, and how far it is from its picture."""

    data: bytes
    measure: Reference

    @cached_property
    def shown(self) -> Image.Image:
        return Image.open(io.BytesIO(self.data), formats=["JPEG"])

    @cached_property
    def image(self) -> Image.Image:
        """What the score looks at, of the colours as they are shown: what saturated ones lose by clipping counts."""
        return self.shown.convert("L")

    @cached_property
    def score(self) -> float:
        return self.measure.score(self.image)

    @cached_property
    def error(self) -> float:
        """To rank encodes in different sizes: less is nearer."""
        return self.measure.error(self.shown)


class PhotoSource(Source):
    """A source (see :class:`mmsprep.model.Source`) that makes JPEGs; ``trial_encodes`` counts its encodes.

    ``graphic`` keeps the chroma whole, which lettering and logos need.
    """

    floor_quality = 0.0

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
        self.measure = Reference(reference)
        self._graphic = graphic
        self._notes = notes
        self._search: _Search | None = None
        self._correction = _FINE_CORRECTION
        self._probed: dict[tuple[int, int], bytes] = {}

    @cached_property
    def fingerprint(self) -> str:
        """The same for the same pixels."""
        head = f"{self.reference.mode}{self.reference.size}".encode()
        return hashlib.sha256(head + self.reference.tobytes()).hexdigest()

    @cached_property
    def model(self) -> RateModel:
        """What size and quantisation are worth, from one encode at full size and one at half."""
        tables, subsampling = tables_at(PROBE_SCALE), self._probe_subsampling
        half_image = self._resized(0.5)
        full, half = (self._encode(image, tables, subsampling) for image in (self.reference, half_image))
        self._correction = len(half) / Spectrum(half_image, subsampling).bytes_at(tables)
        self._probed = {self.reference.size: full, half_image.size: half}
        scores = [self._measured(data).score for data in (full, half)]
        return RateModel(len(full), scores[0], len(half), scores[1], self._lost_at(half_image))

    def _lost_at(self, smaller: Image.Image) -> tuple[int, ...]:
        """How often each difference in luma stands between the picture and ``smaller`` as a phone grows it again."""
        grown = smaller.convert("L").resize(self.reference.size, Image.Resampling.BICUBIC)
        return tuple(ImageChops.difference(self.reference.convert("L"), grown).histogram())

    @property
    def _probe_subsampling(self) -> int:
        return FULL_CHROMA if self._graphic else SUBSAMPLED

    @cached_property
    def _spectrum(self) -> Spectrum:
        """At full size."""
        return Spectrum(self.reference, self._probe_subsampling)

    def assured_quality(self, max_bytes: int) -> float | None:
        """What ``max_bytes`` buy, where they are so plenty that it can be told without a probe."""
        setting = self._plenty(max_bytes)
        return fine_quality(setting.scale) if setting else None

    def _plenty(self, max_bytes: int) -> Setting | None:
        """The setting for ``max_bytes`` where that is full size for certain."""
        scale = self._spectrum.scale_for(max_bytes * _AIM / _FINE_CORRECTION)
        return Setting(1.0, scale) if scale < SURELY_FULL else None

    def curve(self) -> Curve:
        """Predict from the two probes."""
        return self.model.curve()

    def render(self, max_bytes: int) -> Rendition:
        """The best JPEG within ``max_bytes``; when none is small enough, the smallest."""
        search = self._begin(max_bytes)
        is_new = search is not self._search
        made, smallest = self._best_of(search, max_bytes)
        self._search = search
        if made:
            by_trellis = self._by_trellis(search, max_bytes) if self._is_half(search) else None
            made = by_trellis if by_trellis and by_trellis.error < made.error else made
            for rival in self._rivals(search, max_bytes) if is_new else ():
                other, _ = self._best_of(rival, max_bytes, _WELL_FILLED)
                if other and other.error < made.error:
                    self._search, made = rival, other
            return self._rendition(made)
        if max(search.image.size) <= _SMALLEST_LONG_PX:
            return self._rendition(self._measured(smallest))
        smaller = max(search.image.size) / max(self.reference.size) * _SMALLER
        self._search = self._at_size(smaller, search.subsampling, max_bytes)
        return self.render(max_bytes)

    def _best_of(self, search: _Search, max_bytes: int, filled: float = _FILLED) -> tuple[_Measured | None, bytes]:
        """What is most often the best of a size, without encoding it both ways; and the smallest, where none fits."""
        if not self._is_half(search) and (by_trellis := self._by_trellis(search, max_bytes)):
            return by_trellis, by_trellis.data
        best, smallest = self._filled(search, max_bytes, filled)
        return self._measured(best) if best else None, smallest

    def _is_half(self, search: _Search) -> bool:
        return abs(max(search.image.size) / max(self.reference.size) - _HALF) < _ABOUT

    def _filled(self, search: _Search, max_bytes: int, filled: float = _FILLED) -> tuple[bytes, bytes]:
        """The largest encode within ``max_bytes``, empty where there is none, and the smallest of all."""
        aim, misses = _AIM, 0
        for _ in range(_TRIALS):
            if len(search.best_within(max_bytes)) >= max_bytes * filled:
                break
            tables = search.tables_for(max_bytes * aim)
            while tables in search.tried and aim > _LEAST_AIM:
                aim -= 1 - _AIM
                tables = search.tables_for(max_bytes * aim)
            search.tried[tables] = data = self._encode(search.image, tables, search.subsampling)
            if len(data) > max_bytes:
                # Of soft shades every encode may come out larger than the one before it foretells.
                aim -= (1 - _AIM) * misses
                misses += 1
        return search.best_within(max_bytes), min(search.tried.values(), key=len)

    def _by_trellis(self, search: _Search, max_bytes: int) -> _Measured | None:
        """The largest encode of a size by trellis quantisation within ``max_bytes``; ``None`` where it seldom pays."""
        if self._graphic or search.subsampling != SUBSAMPLED or self._is_dark or not vips_runs():
            return None
        for _ in range(_TRELLIS_TRIALS):
            quality = search.trellis_quality_for(max_bytes)
            if quality > _TRELLIS_TO or quality in search.by_trellis:
                break
            self.trial_encodes += 1
            search.by_trellis[quality] = data = encode_by_trellis(search.image, quality)
            if max_bytes * _WELL_FILLED <= len(data) <= max_bytes:
                break
        best = max((data for data in search.by_trellis.values() if len(data) <= max_bytes), key=len, default=b"")
        return self._measured(best) if best else None

    @cached_property
    def _is_dark(self) -> bool:
        return sum(self.reference.convert("L").histogram()[:_DARK_LUMA]) > _DARK * math.prod(self.reference.size)

    def _measured(self, data: bytes) -> _Measured:
        return _Measured(data, self.measure)

    def _rivals(self, search: _Search, max_bytes: int) -> Iterator[_Search]:
        """The sizes that may be better than that of ``search``, where the model cannot be sure."""
        if not self._graphic and self._probed and search.subsampling == SUBSAMPLED:
            factor = max(search.image.size) / max(self.reference.size)
            for rival in self.model.rivals_of(factor, round(max_bytes * _AIM)):
                yield self._at_size(rival, SUBSAMPLED, max_bytes)

    def _begin(self, max_bytes: int) -> _Search:
        """The size for ``max_bytes``; near an earlier render of about as many bytes that one's is kept."""
        last = self._search
        if last and abs(math.log(max_bytes / last.wanted_bytes)) < _SAME_PICTURE:
            return last
        setting = None if self._probed else self._plenty(max_bytes)
        setting = setting or self.model.setting_for(round(max_bytes * _AIM))
        # Decided once: whole chroma costs a step in size, and a search must not meet that step half way.
        fine_chroma = self._graphic or setting.scale < self._fine_chroma_below(setting)
        return self._at_size(setting.factor, FULL_CHROMA if fine_chroma else SUBSAMPLED, max_bytes)

    def _at_size(self, factor: float, subsampling: int, max_bytes: int) -> _Search:
        image = self._resized(factor)
        if image is not self.reference:
            spectrum = Spectrum(image, subsampling)
        elif subsampling == self._probe_subsampling:
            spectrum = self._spectrum
        else:
            spectrum = Spectrum(image, subsampling, self._spectrum)
        search = _Search(image, subsampling, spectrum, max_bytes, self._correction)
        if image.size in self._probed and subsampling == self._probe_subsampling:
            search.tried[tables_at(PROBE_SCALE)] = self._probed[image.size]
        return search

    def _fine_chroma_below(self, setting: Setting) -> float:
        """The quantisation below which whole chroma pays: sharp edges of colour pay sooner (measured)."""
        if setting.scale >= _FINE_CHROMA_MOST or self.reference.mode == "L":
            return 0.0
        sharp = sampled = 0
        for plane in self._spectrum.chroma:
            for top in range(0, plane.height, _BAND_PX * _BANDS):
                band = plane.crop((0, top, plane.width, min(top + _BAND_PX, plane.height)))
                coarse = band.reduce(2).resize(band.size, Image.Resampling.BILINEAR)
                sharp += int(np.count_nonzero(np.asarray(ImageChops.difference(band, coarse)) > _SHARP_CHROMA))
                sampled += band.width * band.height
        share = sharp / max(1, sampled)
        return min(_FINE_CHROMA_MOST, _FINE_CHROMA_BELOW + _FINE_CHROMA_MORE * share)

    def _resized(self, factor: float) -> Image.Image:
        width, height = self.reference.size
        factor = min(1.0, max(factor, _SMALLEST_LONG_PX / max(width, height)))
        if factor >= 0.995:
            return self.reference
        size = max(1, round(width * factor)), max(1, round(height * factor))
        return shrunk(self.reference, size)

    def _encode(self, image: Image.Image, tables: Tables, subsampling: int) -> bytes:
        self.trial_encodes += 1
        return encode(image, tables, subsampling)

    def _rendition(self, made: _Measured) -> Rendition:
        width_px, height_px = made.image.size
        return Rendition(
            data=made.data,
            format="jpeg",
            content_type=FORMATS["jpeg"].content_type,
            action=Action.TRANSCODE,
            quality=self.measure.drawn_score(made.shown) if self._graphic else made.score,
            width_px=width_px,
            height_px=height_px,
            whole=made.image.size == self.reference.size,
            notes=self._notes,
        )
