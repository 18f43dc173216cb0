"""A picture as JPEG: size in pixels and quantisation chosen together for the bytes there are.

Comes in: a reference picture at the largest size allowed. Goes out: a curve, and renditions that fill what
they are given. Never: an enlarged picture, or a byte too many.

The rule, from measurement: the largest size at which about IJG quality 68 still fits comes close to an
exhaustive search (at 20 kB the right size is worth thirty points); above that, the same size with finer
quantisation. Size is near linear in log(scale), so two probes and a secant find it.
"""

from __future__ import annotations

import hashlib
import io
import math
from dataclasses import dataclass

from PIL import Image

from mmsprep.formats import FORMATS
from mmsprep.model import Action, Curve, CurvePoint, Rendition
from mmsprep.transcode.jpeg import FULL_CHROMA, SUBSAMPLED, encode
from mmsprep.transcode.score import Reference

_SCALE = 0.64
_FINEST, _COARSEST = 0.02, 4.0
_FINE_CHROMA_BELOW = 0.16
_SMALLEST_LONG_PX = 64
_SLOPE = -0.72
_FILLED = 0.992
_TRIALS = 6
_CURVE_FACTORS = (2, 2.8, 4, 5.6, 8, 11, 16)


@dataclass(frozen=True, slots=True)
class _Probe:
    size_bytes: int
    quality: float


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
        self._probes: tuple[_Probe, _Probe] | None = None
        self._curve: Curve | None = None

    @property
    def fingerprint(self) -> str:
        """The same for the same pixels."""
        head = f"{self.reference.mode}{self.reference.size}".encode()
        return hashlib.sha256(head + self.reference.tobytes()).hexdigest()

    def curve(self) -> Curve:
        """Predict from two encodes: one at full size, one at half."""
        if self._curve is None:
            full, half = self._both_probes()
            power = max(0.8, math.log2(full.size_bytes / half.size_bytes))
            loss = max(1.0, full.quality - half.quality)
            points = []
            for factor in _CURVE_FACTORS[::-1]:
                part = 1 / math.sqrt(factor)
                quality = full.quality + loss * math.log2(part)
                points.append(CurvePoint(max(400, round(full.size_bytes * part**power)), max(1.0, quality)))
            points.append(CurvePoint(full.size_bytes, full.quality))
            for step in range(1, 10):
                scale = _SCALE * (_FINEST / _SCALE) ** (step / 9)
                size = full.size_bytes * (scale / _SCALE) ** _SLOPE
                quality = 100 - (100 - full.quality) * (scale / _SCALE) ** 0.55
                points.append(CurvePoint(round(size), quality))
            self._curve = Curve(tuple(points))
        return self._curve

    def render(self, max_bytes: int) -> Rendition:
        """The best JPEG within ``max_bytes``; when none is small enough, the smallest."""
        full, half = self._both_probes()
        power = max(0.8, math.log2(full.size_bytes / half.size_bytes))
        factor = min(1.0, (max_bytes / full.size_bytes) ** (1 / power))
        image = self._resized(factor)
        predicted = full.size_bytes * factor**power
        scale = _bounded(_SCALE * (max_bytes * 0.985 / predicted) ** (1 / _SLOPE))
        # Decided once: whole chroma costs a step in size, and a search must not meet that step half way.
        fine_chroma = self._graphic or scale < _FINE_CHROMA_BELOW
        best: bytes | None = None
        smallest: bytes | None = None
        tried: list[tuple[float, int]] = []
        while len(tried) < _TRIALS + 6:
            data = self._encode(image, scale, fine_chroma)
            tried.append((scale, len(data)))
            smallest = data if smallest is None or len(data) < len(smallest) else smallest
            if len(data) <= max_bytes and (best is None or len(data) > len(best)):
                best = data
            settled = best is not None and len(tried) >= _TRIALS
            if best is not None and (len(best) >= max_bytes * _FILLED or settled or scale <= _FINEST):
                break
            if scale >= _COARSEST and len(data) > max_bytes:
                if max(image.size) <= _SMALLEST_LONG_PX:
                    break
                factor *= 0.7
                image, scale, tried = self._resized(factor), _SCALE * 2, []
                continue
            scale = _next_scale(tried, max_bytes)
        return self._rendition(best or smallest or b"")

    def _both_probes(self) -> tuple[_Probe, _Probe]:
        if self._probes is None:
            self._probes = self._probe(1.0), self._probe(0.5)
        return self._probes

    def _probe(self, factor: float) -> _Probe:
        data = self._encode(self._resized(factor), _SCALE, self._graphic)
        return _Probe(len(data), self.measure.score(_opened(data)))

    def _resized(self, factor: float) -> Image.Image:
        width, height = self.reference.size
        factor = min(1.0, max(factor, _SMALLEST_LONG_PX / max(width, height)))
        if factor >= 0.995:
            return self.reference
        size = max(1, round(width * factor)), max(1, round(height * factor))
        return self.reference.resize(size, Image.Resampling.LANCZOS)

    def _encode(self, image: Image.Image, scale: float, fine_chroma: bool) -> bytes:
        self.trial_encodes += 1
        return encode(image, scale, FULL_CHROMA if fine_chroma else SUBSAMPLED)

    def _rendition(self, data: bytes) -> Rendition:
        image = _opened(data)
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


def _opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data), formats=["JPEG"])
    image.load()
    return image


def _bounded(scale: float) -> float:
    return min(_COARSEST, max(_FINEST, scale))


def _next_scale(tried: list[tuple[float, int]], max_bytes: int) -> float:
    """Between the nearest scales on both sides by a secant on logarithms, or along the usual slope."""
    wanted = max_bytes * 0.997
    over = min((entry for entry in tried if entry[1] > max_bytes), key=lambda entry: entry[1], default=None)
    under = max((entry for entry in tried if entry[1] <= max_bytes), key=lambda entry: entry[1], default=None)
    if over and under and over[0] != under[0]:
        slope = math.log(over[1] / under[1]) / math.log(over[0] / under[0])
        if slope < -0.01:
            guess = under[0] * (wanted / under[1]) ** (1 / slope)
            low, high = sorted((over[0], under[0]))
            margin = (high / low) ** 0.08
            return float(min(high / margin, max(low * margin, guess)))
        return math.sqrt(over[0] * under[0])
    scale, size = tried[-1]
    factor = math.pow(wanted * (0.99 if size > max_bytes else 1.0) / size, 1 / _SLOPE)
    return _bounded(scale * factor)
