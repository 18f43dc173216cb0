"""How bytes and quality of a JPEG follow from its size in pixels and its quantisation.

Comes in: two trial encodes of a picture, at full size and at half. Goes out: the setting that is best for a
number of bytes, and what bytes buy. Never: an encode.

Measured on photographs, drawings, screenshots and frames of clips (``benchmarks/image_quality.py`` measures
the result against an exhaustive search):

- bytes are a power of the size in pixels, and near a power of the quantisation scale;
- how coarse the quantisation should get before the picture is made smaller follows from how much quality
  halving its size costs, against how many bytes that saves: lettering is kept large and coarse, what is
  smooth is made smaller and fine;
- the score looks at half resolution and does not see all that halving loses: where single points and edges go (leaves
  in focus, stars), a picture is kept larger;
- where what goes is alike everywhere (grain, gravel, meadows, water), an exact half is better than sizes well above it,
  whose resampling blurs all of it for little.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from mmsprep.model import Curve, CurvePoint
from mmsprep.transcode.image.score import CEILING

PROBE_SCALE = 0.64
"""Of the quantisation tables."""
FINEST, COARSEST = 0.02, 4.0
SURELY_FULL = 0.16
"""No picture is better made smaller before the tables are coarser than this: ``best_scale`` where halving is free."""
_FINE_LOSS, _FINE_POWER = 3.2824, 0.18698
"""Of log quality lost at full size, up to ``SURELY_FULL``, over the logarithm of the scale: within one point."""
_SLOPE, _BEND = 0.70, 0.03
"""Of log bytes over the logarithm of the scale, from ``PROBE_SCALE`` on."""
_USUAL_POWER, _STEEPER = 1.58, 0.55
_LEAST_POWER = 0.8
_COARSER_AT, _COARSER = -0.80, 0.08
_USUAL_COST, _MOST_COST = 13.0, 30.0
"""Of what was measured, as the module says: the power of the sides that bytes grow with in the mean, how much faster
bytes fall with the scale where they grow by more, the least power; the logarithm of the scale at which the mean
picture is better made smaller, how much it moves for each point of quality that halving costs more than that of the
mean picture, and the most points that count."""
_BY_RENDERING, _LOST, _LOST_AS_HALVED, _LEVELS_OUT = 0.05, 0.165, 1.43, 0.118
"""Of the logarithm of the loss of quality, against the probe at full size: how much less a render loses than a probe of
as many bytes, trellis quantisation and sizes between a half and the whole being open to it; how much more it loses with
each of the logarithm of its bytes less, at least, and for each that halving loses so; and how that levels out.
`benchmarks/forecast.py`: fitted to 75 photographs, 2.6 of quality off (RMSE) on 50 others, where none is good."""
_FEWER = (4.5, 3.6, 3.0, 2.4, 1.9, 1.5, 1.2, 0.9, 0.6, 0.3, 0.0)
_FINER = (0.4, 0.25, SURELY_FULL, 0.08, 0.04, FINEST)
"""Where the curve has its points: of the logarithm of bytes, fewer than those of the probe, and of the scale."""
_FULL_FROM, _HALF_FROM, _QUARTER_FROM, _QUARTER_TO = 0.76, 0.35, 0.2, 0.315
"""Sizes from which on full size, an exact half and an exact quarter are the better ones: a new pixel of an exact half
is whole old ones, and leaving the full size costs at once most of what 0.8 of it costs (measured: 1..4 points at the
same bytes)."""
_HALF = 0.5
_TOO_COARSE, _COARSE_TO = 2.0, 0.87
"""Full size needs a scale for lettering, which is kept large, that is not reached: where it would be coarser than this,
a picture of up to this size keeps its own."""
_HALF_TO, _HALF_TO_EVEN = 0.63, 0.8
_EVEN, _LESS_AS_UNEVEN = 1.75, 0.5
"""Up to where a half is the better one: at least, and of a picture whose lost detail has the unevenness ``_EVEN``; how
much sooner that ends with each point of it."""
_SHARP_FROM, _SHARP_TO, _COARSER_AS_SHARP = 9.0, 15.0, 0.05
"""Levels of the sharpest detail that halving loses (its 4-norm), and how much each moves the logarithm of the coarsest
scale. As those before it fitted to an exhaustive search, 32 photographs at 20, 40 and 100 kB: mean loss 1.0 without
these three, 0.5 with them."""
_SURE_FROM, _NEXT_BELOW_FULL = 1.05, 0.79
_HALF_SURE_TO, _NEXT_ABOVE_HALF = 0.56, 0.7
_NEXT_LARGER, _APART = (0.25, 0.36, 0.5), 1.08
_BETWEEN, _AS_ONE = (0.5, 0.7, 1.0), 0.11
"""A factor for which there are so many more bytes than full size takes is beyond doubt, and so is a half up to a little
more than itself. Beside others other sizes are really encoded: what is below full size; what is above a half; the next
larger of these that is so far apart; between ``_HALF_TO`` and ``_FULL_FROM``, where each is the best for many a
picture, a half, full size and what is between, but for the one that is as good as the factor itself. Measured: every
size of 63 photographs at 10 to 30 kB."""
_SMALLEST_BYTES = 400
_LEAST_QUALITY = 1.0
"""The least bytes that the curve foretells, and the least quality."""


@dataclass(frozen=True, slots=True)
class Setting:
    """Sides times ``factor`` (at most 1), quantisation tables times ``scale``."""

    factor: float
    scale: float


@dataclass(frozen=True, slots=True)
class RateModel:
    """Two encodes at ``PROBE_SCALE``: bytes and quality at full size and at half.

    ``lost`` is how often each difference in luma (0..255) stands between the picture and its half grown again.
    """

    full_bytes: int
    full_quality: float
    half_bytes: int
    half_quality: float
    lost: tuple[int, ...]

    @property
    def power(self) -> float:
        """Bytes grow with this power of the sides."""
        return max(_LEAST_POWER, math.log2(self.full_bytes / self.half_bytes))

    @property
    def best_scale(self) -> float:
        """The coarsest quantisation before a smaller picture is the better way to save bytes."""
        cost = min(_MOST_COST, self._halving_cost / self.power)
        sharp = min(_SHARP_TO, max(_SHARP_FROM, self._lost_norm(4))) - _SHARP_FROM
        return math.exp(_COARSER_AT + _COARSER * (cost - _USUAL_COST) + _COARSER_AS_SHARP * sharp)

    def _lost_norm(self, power: int) -> float:
        """The mean of what halving loses, in levels, sharp detail counting the more the higher ``power``."""
        count = max(1, sum(self.lost))
        return float((sum(often * levels**power for levels, often in enumerate(self.lost)) / count) ** (1 / power))

    @property
    def _half_to(self) -> float:
        """The largest size that is better made an exact half."""
        unevenness = self._lost_norm(4) / max(1e-9, self._lost_norm(2))
        return min(_FULL_FROM, max(_HALF_TO, _HALF_TO_EVEN - _LESS_AS_UNEVEN * (unevenness - _EVEN)))

    @property
    def _halving_cost(self) -> float:
        return max(1.0, self.full_quality - self.half_quality)

    @property
    def _steepness(self) -> float:
        """Pictures that lose bytes fast with size lose them fast with quantisation too."""
        return 1 + _STEEPER * (self.power - _USUAL_POWER)

    def setting_for(self, max_bytes: int) -> Setting:
        """The setting that should reach ``max_bytes``."""
        affordable = min(1.0, self._affordable(max_bytes))
        kind = Setting(factor := self._kind_factor(affordable), self._scale_for(factor, max_bytes))
        if factor < 1 or kind.scale < _TOO_COARSE or affordable > _COARSE_TO:
            return kind
        return Setting(affordable, self._scale_for(affordable, max_bytes))

    def _scale_for(self, factor: float, max_bytes: int) -> float:
        """The quantisation with which a size should reach ``max_bytes``."""
        wanted = math.log(self.full_bytes * math.pow(factor, self.power) / max_bytes) / self._steepness
        root = math.sqrt(max(0.0, _SLOPE**2 + 4 * _BEND * wanted))
        return bounded(PROBE_SCALE * math.exp((root - _SLOPE) / (2 * _BEND)))

    def rivals_of(self, factor: float, max_bytes: int) -> tuple[float, ...]:
        """Sizes that may be better than ``factor`` for ``max_bytes``, as only encodes can tell."""
        affordable = self._affordable(max_bytes)
        if affordable > _SURE_FROM:
            return ()
        if factor == 1:
            return (_NEXT_BELOW_FULL,)
        if affordable > _HALF_TO:
            return tuple(other for other in _BETWEEN if abs(other - factor) > _AS_ONE)
        if factor == _HALF:
            return (_NEXT_ABOVE_HALF,) if affordable > _HALF_SURE_TO else ()
        return tuple(larger for larger in _NEXT_LARGER if larger > factor * _APART)[:1]

    def _affordable(self, max_bytes: int) -> float:
        """The size, 1 being full, for which ``max_bytes`` last at the coarsest quantisation."""
        return math.pow(max_bytes / self.bytes_at(Setting(1.0, self.best_scale)), 1 / self.power)

    def _kind_factor(self, factor: float) -> float:
        """The nearest size that resampling is kind to, ``factor`` itself where none is near."""
        if factor > _FULL_FROM:
            return 1.0
        if _HALF_FROM < factor <= self._half_to:
            return _HALF
        return 0.25 if _QUARTER_FROM < factor <= _QUARTER_TO else factor

    def bytes_at(self, setting: Setting) -> float:
        """What a setting should cost."""
        distance = math.log(setting.scale / PROBE_SCALE)
        fewer = self._steepness * (_SLOPE * distance + _BEND * distance**2)
        return self.full_bytes * math.pow(setting.factor, self.power) * math.exp(-fewer)

    def curve(self) -> Curve:
        """What bytes buy of the best that can be made of them."""
        points: list[CurvePoint] = []
        for size_bytes, quality in (*self._coarse_points(), *self._fine_points()):
            best = max([_LEAST_QUALITY, quality, *(point.quality for point in points[-1:])])
            points.append(CurvePoint(max(_SMALLEST_BYTES, round(size_bytes)), best))
        whole_bytes = math.ceil(self.bytes_at(Setting(1.0, self.best_scale)))
        return Curve(tuple(points), whole_bytes=max(_SMALLEST_BYTES, whole_bytes))

    def _coarse_points(self) -> Iterator[tuple[float, float]]:
        """Bytes and quality, up to the bytes of the probe at full size: of renders that choose their own size."""
        halved = max(0.0, math.log((CEILING - self.half_quality) / (CEILING - self.full_quality)))
        steep, levels_out = _LOST + _LOST_AS_HALVED * halved / self.power, _LEVELS_OUT * halved
        for fewer in _FEWER:
            if 2 * levels_out * fewer < steep:
                loss = -_BY_RENDERING + steep * fewer - levels_out * fewer**2
                yield self.full_bytes * math.exp(-fewer), self._after(loss)

    def _fine_points(self) -> Iterator[tuple[float, float]]:
        """Bytes and quality at full size, from the probe's scale to the finest."""
        surely_full = math.log((CEILING - fine_quality(SURELY_FULL)) / (CEILING - self.full_quality))
        for scale in _FINER:
            part = math.log(scale / PROBE_SCALE) / math.log(SURELY_FULL / PROBE_SCALE)
            loss = -_BY_RENDERING + part * (surely_full + _BY_RENDERING)
            yield self.bytes_at(Setting(1.0, scale)), fine_quality(scale) if part >= 1 else self._after(loss)

    def _after(self, loss: float) -> float:
        """The quality whose loss is so much more than the probe's at full size, in logarithms."""
        return CEILING - (CEILING - self.full_quality) * math.exp(loss)


def fine_quality(scale: float) -> float:
    """What tables up to ``SURELY_FULL`` are worth at full size, for whatever picture."""
    return CEILING - math.exp(_FINE_LOSS + _FINE_POWER * math.log(scale))


def bounded(scale: float) -> float:
    """``scale`` within what the encoder can do."""
    return min(COARSEST, max(FINEST, scale))
