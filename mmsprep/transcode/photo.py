"""A picture as JPEG: size in pixels and quantisation chosen together for the bytes there are.

Comes in: a reference picture at the largest size allowed. Goes out: a curve, and renditions that fill what
they are given. Never: an enlarged picture, or a byte too many.

Two probes tell what size and quantisation are worth (``rate_model.py``). The size that they choose is encoded
with the tables that its coefficients say will fill the bytes (``spectrum.py``), and once more where that was off.
"""

from __future__ import annotations

import hashlib
import io
import math
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from PIL import Image

from mmsprep.formats import FORMATS
from mmsprep.model import Action, Curve, Rendition
from mmsprep.transcode.jpeg import FULL_CHROMA, SUBSAMPLED, Tables, encode, tables_at
from mmsprep.transcode.rate_model import PROBE_SCALE, RateModel, Setting
from mmsprep.transcode.score import Reference
from mmsprep.transcode.spectrum import Spectrum

_SMALLEST_LONG_PX = 64
_FILLED = 0.985
_AIM = 0.9935
_DRIFT = 0.05
"""Of the ratio of real to foretold bytes, the finer the less, over the logarithm of the bytes."""
_TRIALS = 4
_SAME_PICTURE = 0.25
_FINE_CHROMA_BELOW, _FINE_CHROMA_MORE, _FINE_CHROMA_MOST = 0.05, 10.0, 0.2
_FINE_CHROMA_LIGHTER = 0.91
"""Whole chroma at fine quantisation weighs less than coarse probes foretell, the same on all pictures measured."""
_SHARP_CHROMA = 8
_SMALLER = 0.7


@dataclass(slots=True)
class _Search:
    """One size of the picture, its coefficients, and what was encoded: tables to (foretold, real) bytes.

    ``correction`` is what real bytes are of foretold ones before anything was encoded at this size.
    """

    image: Image.Image
    subsampling: int
    spectrum: Spectrum
    wanted_bytes: int
    correction: float
    tried: dict[Tables, tuple[float, int]] = field(default_factory=dict)

    def foretold_for(self, real_bytes: float) -> float:
        """The foretold bytes that should become ``real_bytes``: between the nearest encodes on both sides."""
        points = self.tried.values()
        over = min((point for point in points if point[1] > real_bytes), key=lambda point: point[1], default=None)
        under = max((point for point in points if point[1] <= real_bytes), key=lambda point: point[1], default=None)
        if over and under and over[0] > under[0]:
            part = (real_bytes - under[1]) / (over[1] - under[1])
            return under[0] + part * (over[0] - under[0])
        nearest = over or under
        if nearest is None:
            return real_bytes / self.correction
        return nearest[0] * math.pow(real_bytes / nearest[1], 1 / (1 - _DRIFT))


class PhotoSource:
    """A source (see :class:`mmsprep.model.Source`) that makes JPEGs; ``trial_encodes`` counts its encodes.

    ``graphic`` keeps the chroma whole, which lettering and logos need.
    """

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
        self._correction = 1.0
        self._probed: dict[tuple[int, int], int] = {}

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
        self._probed = {image.size: len(data) for image, data in ((self.reference, full), (half_image, half))}
        return RateModel(len(full), self.measure.score(_luma(full)), len(half), self.measure.score(_luma(half)))

    @property
    def _probe_subsampling(self) -> int:
        return FULL_CHROMA if self._graphic else SUBSAMPLED

    def curve(self) -> Curve:
        """Predict from the two probes."""
        return self.model.curve()

    def render(self, max_bytes: int) -> Rendition:
        """The best JPEG within ``max_bytes``; when none is small enough, the smallest."""
        search = self._begin(max_bytes)
        best, smallest = b"", b""
        aim = _AIM
        for _ in range(_TRIALS):
            tables = search.spectrum.tables_for(search.foretold_for(max_bytes * aim))
            if tables in search.tried:
                aim -= 1 - _AIM
                continue
            data = self._encode(search.image, tables, search.subsampling)
            search.tried[tables] = search.spectrum.bytes_at(tables), len(data)
            smallest = min(smallest or data, data, key=len)
            best = max(best, data, key=len) if len(data) <= max_bytes else best
            if len(best) >= max_bytes * _FILLED:
                break
        self._search = search
        if best or max(search.image.size) <= _SMALLEST_LONG_PX:
            return self._rendition(best or smallest)
        smaller = max(search.image.size) / max(self.reference.size) * _SMALLER
        self._search = self._at_size(smaller, search.subsampling, max_bytes)
        return self.render(max_bytes)

    def _begin(self, max_bytes: int) -> _Search:
        """The size for ``max_bytes``; near an earlier render of about as many bytes that one's is kept."""
        last = self._search
        if last and abs(math.log(max_bytes / last.wanted_bytes)) < _SAME_PICTURE:
            return last
        setting = self.model.setting_for(round(max_bytes * _AIM))
        # Decided once: whole chroma costs a step in size, and a search must not meet that step half way.
        fine_chroma = self._graphic or setting.scale < self._fine_chroma_below(setting)
        return self._at_size(setting.factor, FULL_CHROMA if fine_chroma else SUBSAMPLED, max_bytes)

    def _at_size(self, factor: float, subsampling: int, max_bytes: int) -> _Search:
        image = self._resized(factor)
        spectrum = Spectrum(image, subsampling)
        lighter = 1.0 if subsampling == self._probe_subsampling else _FINE_CHROMA_LIGHTER
        search = _Search(image, subsampling, spectrum, max_bytes, self._correction * lighter)
        if image.size in self._probed and subsampling == self._probe_subsampling:
            tables = tables_at(PROBE_SCALE)
            search.tried[tables] = spectrum.bytes_at(tables), self._probed[image.size]
        return search

    def _fine_chroma_below(self, setting: Setting) -> float:
        """The quantisation below which whole chroma pays: sharp edges of colour pay sooner (measured)."""
        if setting.scale >= _FINE_CHROMA_MOST or self.reference.mode == "L":
            return 0.0
        share = 0.0
        for plane in self.reference.convert("YCbCr").split()[1:]:
            coarse = plane.reduce(2).resize(plane.size, Image.Resampling.BILINEAR)
            difference = np.abs(np.asarray(plane, np.int16) - np.asarray(coarse, np.int16))
            share += float((difference > _SHARP_CHROMA).mean()) / 2
        return min(_FINE_CHROMA_MOST, _FINE_CHROMA_BELOW + _FINE_CHROMA_MORE * share)

    def _resized(self, factor: float) -> Image.Image:
        width, height = self.reference.size
        factor = min(1.0, max(factor, _SMALLEST_LONG_PX / max(width, height)))
        if factor >= 0.995:
            return self.reference
        size = max(1, round(width * factor)), max(1, round(height * factor))
        return self.reference.resize(size, Image.Resampling.LANCZOS)

    def _encode(self, image: Image.Image, tables: Tables, subsampling: int) -> bytes:
        self.trial_encodes += 1
        return encode(image, tables, subsampling)

    def _rendition(self, data: bytes) -> Rendition:
        image = _luma(data)
        return Rendition(
            data=data,
            format="jpeg",
            content_type=FORMATS["jpeg"].content_type,
            action=Action.TRANSCODE,
            quality=self.measure.score(image),
            width_px=image.width,
            height_px=image.height,
            notes=self._notes,
        )


def _luma(data: bytes) -> Image.Image:
    """What the score looks at; decoding the rest would take longer than scoring."""
    image = Image.open(io.BytesIO(data), formats=["JPEG"])
    image.draft("L", image.size)
    image.load()
    return image
