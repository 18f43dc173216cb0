"""One size of a picture, and what has been encoded of it on the way to fill the bytes there are.

Comes in: the picture in that size, and its encodes as they are made. Goes out: what to encode next, by plain
quantisation with tables that its coefficients say will fill the bytes (``spectrum.py``), or by trellis quantisation for
whole qualities. Never: an encode, or a choice of size (``photo.py`` has both).
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from PIL import Image

from mmsprep.transcode.image.jpeg import Tables, scale_of, tables_at
from mmsprep.transcode.image.spectrum import Spectrum

_FILLED, _WELL_FILLED = 0.985, 0.97
AIM, _LEAST_AIM = 0.9935, 0.95
"""Shares of the bytes allowed: an encode that fills so much is kept, a rival's by plain quantisation from so much; what
the next one aims at, so that the error of the foretold size (within 1 %, `benchmarks/size_calibration.py`) seldom goes
over; the least that it aims at."""
_TRIALS, _TRELLIS_TRIALS = 4, 3
_CLOSE = 1.1
"""Encodes of one size at most, plain and by trellis quantisation; a ratio of bytes (tables this near on both sides are
interpolated, an encode this near tells what one that fills its bytes will be). Set by hand;
`benchmarks/image_quality.py` counts the encodes."""
_TRELLIS_TO = 80
_TRELLIS_SHARE, _TRELLIS_MORE = 0.76, 0.0018
"""Trellis quantisation is begun up to a quality that is foretold; its bytes over plain ones at quality 0, and how much
more at each quality, within 3 %. Measured, 35 photographs at 20 to 100 kB."""


@dataclass(slots=True, eq=False)
class OneSize:
    """One size of the picture, its coefficients, and what was encoded of it: by its tables, and by trellis quantisation
    for whole qualities.

    ``correction`` is what real bytes are of foretold ones before anything was encoded at this size, and
    ``trellis_correction`` the same by trellis quantisation.
    """

    image: Image.Image
    subsampling: int
    spectrum: Spectrum
    wanted_bytes: int
    correction: float
    trellis_correction: float = 1.0
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
        more = self.trellis_correction_at(real_bytes)
        foretold = bisect.bisect_right(range(1, 96), real_bytes / more, key=self._foretold_by_trellis)
        too_much = min((one for one, data in self.by_trellis.items() if len(data) > real_bytes), default=96)
        return max(1, min(foretold, too_much - 1))

    def trellis_correction_at(self, real_bytes: float) -> float:
        """What real bytes by trellis quantisation are of foretold ones, going by the encode nearest to so many."""
        near = min(self.by_trellis, key=lambda one: abs(len(self.by_trellis[one]) - real_bytes), default=0)
        return len(self.by_trellis[near]) / self._foretold_by_trellis(near) if near else self.trellis_correction

    def _foretold_by_trellis(self, quality: int) -> float:
        return (_TRELLIS_SHARE + _TRELLIS_MORE * quality) * self._foretold_bytes(quality)

    def takes_trellis(self, max_bytes: int) -> bool:
        """Whether ``max_bytes`` quantise this size so coarsely that trellis quantisation pays."""
        return self.trellis_quality_for(max_bytes) <= _TRELLIS_TO


@dataclass(slots=True, eq=False)
class Way:
    """A size quantised plainly or by trellis, on its way to fill ``max_bytes``.

    ``is_compared`` says that it was found to be nearer than the other quantisation, ``trials`` are the encodes so far,
    and ``misses`` those of them that were too large.
    """

    size: OneSize
    by_trellis: bool
    max_bytes: int
    is_rival: bool = False
    is_compared: bool = False
    trials: int = 0
    misses: int = 0

    @property
    def encodes(self) -> dict[Tables, bytes] | dict[int, bytes]:
        """By what they were quantised with."""
        return self.size.by_trellis if self.by_trellis else self.size.tried

    @property
    def fitting(self) -> bytes:
        """The largest encode within the bytes; empty where there is none."""
        return max((data for data in self.encodes.values() if len(data) <= self.max_bytes), key=len, default=b"")

    @property
    def nearest(self) -> bytes:
        """The encode, too large or not, whose bytes are nearest to those that it may have."""
        return min(self.encodes.values(), key=self._apart, default=b"")

    @property
    def is_near(self) -> bool:
        """Whether an encode tells what one that fills the bytes will be."""
        return bool(self.encodes) and self._apart(self.nearest) < math.log(_CLOSE)

    def _apart(self, data: bytes) -> float:
        return abs(math.log(len(data) / self.max_bytes))

    def next_setting(self) -> Tables | int | None:
        """What to quantise with next, a whole quality by trellis; ``None`` where no other should be nearer."""
        limit = _TRELLIS_TRIALS if self.by_trellis else _TRIALS
        enough = _WELL_FILLED if self.is_rival and not self.by_trellis else _FILLED
        if self.trials >= limit or len(self.fitting) >= enough * self.max_bytes:
            return None
        if self.by_trellis:
            quality = self.size.trellis_quality_for(self.max_bytes)
            return None if quality in self.encodes else quality
        return next((tables for tables in self._tables() if tables not in self.encodes), None)

    def _tables(self) -> Iterator[Tables]:
        # Of soft shades every encode may come out larger than the one before it foretells.
        aim = AIM - (1 - AIM) * self.misses * (self.misses - 1) / 2
        yield self.size.tables_for(self.max_bytes * aim)
        while aim > _LEAST_AIM:
            aim -= 1 - AIM
            yield self.size.tables_for(self.max_bytes * aim)

    def add(self, setting: Tables | int, data: bytes) -> None:
        """What a setting was encoded to."""
        self.trials += 1
        self.misses += len(data) > self.max_bytes
        if isinstance(setting, int):
            self.size.by_trellis[setting] = data
        else:
            self.size.tried[setting] = data
