"""MP3 of just the size that there is room for, between the rates that have a number.

Comes in: PCM, a step of the ladder, a size. Goes out: the largest MP3 within it, with a header frame where its frames
differ in length. Never: a byte too many, a tag, or the encoder's name.

A constant rate leaves up to a quarter of the room. From 1.3 bits a sample on, LAME's variable rate fills it and sounds
better at the same bytes (speech at 36 kbit/s: PESQ-WB 4.23, constant 40 has 4.26); below that a mean rate is held to
(22 kbit/s: 3.15, where AMR, the next rung, has 2.81). Neither lands at once, so what was made is corrected, and two
that the room is between become one (:mod:`mmsprep.transcode.sound.spliced`). The first of them tells as well as the
last what LAME does to the peaks: the level is found with it, not with a search of its own for each.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import ffmpeg as graph
import numpy as np

from mmsprep.profile import AudioStep
from mmsprep.tools import ffmpeg
from mmsprep.tools.workspace import Workspace
from mmsprep.transcode.sound.spliced import FILLED, Tried

CONSTANT_KBPS = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128)
"""The rates that every MP3 frame may have, whatever its sampling rate, and those of 32 kHz and more."""
_VARIABLE_FROM_BITS = 1.3
"""Bits a sample, as said above."""
_TRIES = 5
"""Encodes of one sound at most, of each kind of rate."""
_QUALITIES = (0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 8.5, 9.0, 9.5, 9.9)
_OCTAVES = (1.1, 0.9, 0.67, 0.55, 0.4, 0.19, 0.0, -0.175, -0.25, -0.285, -0.42, -0.56, -0.65)
_USUAL_OCTAVES = math.log2(49.0)
"""LAME's -V, and how the logarithm of the rate goes with it, beside that of -V 6, which is about 49 kbit/s a channel at
any sampling rate: the median of 12 recordings of speech and music, which at the ends scatter by a fifth."""
_DELAY_FRAMES = 2
"""What LAME puts before and behind a sound."""
_MEAN_OVERSHOOT = 1.03
"""What LAME often makes of a mean rate that is asked for: 0.95 of it to 1.07."""


@dataclass(frozen=True, slots=True)
class Samples:
    """32-bit floating point as bytes, the channels in turn.

    ``apart``: no frame may borrow from the one before, so that what is made can be cut between any two.
    """

    data: bytes = field(repr=False)
    rate_hz: int
    channels: int
    apart: bool = False

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.data) / (4 * self.channels * self.rate_hz)


@dataclass(slots=True)
class Landing:
    """What the searches of one sound have found, which differs in level alone from one to the next.

    ``rates``: the logarithm of the rate of a channel, in kbit/s, that came of a place on the scale of
    ``_OCTAVES``. A mean rate becomes ``mean_overshoot`` times as high as asked.
    """

    rates: list[tuple[float, float]] = field(default_factory=list)
    mean_overshoot: float = _MEAN_OVERSHOOT

    def place(self, rate: float) -> float:
        """Where a rate is to be expected: evenly between two that are known, else as most sounds have it."""
        above = min((one for one in self.rates if one[0] > rate), default=None)
        below = max((one for one in self.rates if one[0] <= rate), default=None)
        if above and below and above[1] > below[1]:
            return below[1] + (rate - below[0]) * (above[1] - below[1]) / (above[0] - below[0])
        near, place = min(
            (one for one in (above, below) if one), key=lambda one: abs(one[0] - rate), default=(_USUAL_OCTAVES, 0.0)
        )
        return min(_OCTAVES[0], max(_OCTAVES[-1], place + rate - near))


def constant_kbps(step: AudioStep) -> int:
    """The constant rate of a step, or the next one below it."""
    return max((rate for rate in CONSTANT_KBPS if rate <= step.rate_kbps), default=CONSTANT_KBPS[0])


def frame_s(step: AudioStep) -> float:
    """How long a frame plays at the sampling rate of a step."""
    return (1152 if step.sample_rate_hz >= 32_000 else 576) / step.sample_rate_hz


def _quality(octaves: float) -> float:
    """The -V whose rate is so far above that of 6."""
    return float(np.interp(-octaves, [-one for one in _OCTAVES], _QUALITIES))


class Search:
    """The way to the largest MP3 within ``max_bytes`` at the sampling rate of a step.

    ``step.rate_kbps`` is about what ``max_bytes`` hold; where it is a constant rate and nearly fills them, it is taken.
    ``landing`` is kept between the searches of one sound.
    """

    def __init__(self, step: AudioStep, max_bytes: int, workspace: Workspace, landing: Landing | None = None) -> None:
        self._step = step
        self._max_bytes = max_bytes
        self._workspace = workspace
        self._landing = landing or Landing()
        self._best = b""
        self._encodes: Iterator[bytes] = iter(())

    def begun(self, sound: Samples) -> bytes:
        """One encode, as large as ``max_bytes`` or somewhat off; the search goes on with this sound."""
        self._best = b""
        self._encodes = self._searched(sound)
        return next(self._encodes)

    def filled(self) -> bytes:
        """The largest within ``max_bytes`` of the sound that was begun with; of its constant rate where none is."""
        made = b""
        for one in self._encodes:
            made = one
        return self._best or made

    @property
    def _is_filled(self) -> bool:
        return len(self._best) >= self._max_bytes * FILLED

    def _searched(self, sound: Samples) -> Iterator[bytes]:
        """The best after every encode; while there is none, what was made."""
        step, kbps = self._step, constant_kbps(self._step)
        seconds = sound.duration_s + _DELAY_FRAMES * frame_s(step)
        if self._max_bytes * FILLED <= kbps * 125 * seconds <= self._max_bytes:
            yield self._constant(sound)
        if not self._is_filled and step.rate_kbps * 1000 / step.sample_rate_hz / step.channels >= _VARIABLE_FROM_BITS:
            yield from self._variable(sound)
        if not self._is_filled:
            yield from self._mean(sound)
        if not self._best:
            yield self._constant(sound)

    def _keep(self, made: bytes) -> None:
        if len(self._best) < len(made) <= self._max_bytes:
            self._best = made

    def _constant(self, sound: Samples) -> bytes:
        made = self._run(sound, {"b:a": f"{constant_kbps(self._step)}k"})
        self._keep(made)
        return made

    def _variable(self, sound: Samples) -> Iterator[bytes]:
        """Ever closer from both sides: what is above and what is below make one that fills the room."""
        tried, known = Tried(self._max_bytes), self._landing
        bytes_a_kbps = 125 * sound.duration_s * self._step.channels
        asked: set[float] = set()
        for _ in range(_TRIES):
            place = known.place(math.log2(max(1, self._max_bytes) * tried.aim / bytes_a_kbps))
            quality = _quality(place)
            if quality in asked:
                break
            asked.add(quality)
            made = self._run(sound, {"q:a": f"{quality:.3f}"})
            size_bytes = tried.add(made)
            self._keep(tried.best)
            if size_bytes:
                known.rates.append((math.log2(size_bytes / bytes_a_kbps), place))
            yield self._best or made
            if not size_bytes or self._is_filled:
                break

    def _mean(self, sound: Samples) -> Iterator[bytes]:
        """A mean rate, which LAME takes in whole kbit/s and misses by a twentieth: two that the room is between."""
        tried, landing = Tried(self._max_bytes), self._landing
        fitting, over = CONSTANT_KBPS[0], math.inf
        rate_kbps = max(1, math.floor(self._max_bytes / (125 * sound.duration_s) / landing.mean_overshoot))
        for _ in range(_TRIES):
            made = self._run(sound, {"b:a": f"{rate_kbps}k", "abr": 1})
            size_bytes = tried.add(made)
            self._keep(tried.best)
            if size_bytes:
                landing.mean_overshoot = size_bytes / (125 * sound.duration_s) / rate_kbps
            yield self._best or made
            if not size_bytes:
                break
            fitting, over = (rate_kbps, over) if size_bytes <= self._max_bytes else (fitting, rate_kbps)
            if over - fitting <= 1 or self._is_filled:
                break
            rate_kbps = int(min(max(math.floor(rate_kbps * self._max_bytes / size_bytes), fitting + 1), over - 1))

    def _run(self, sound: Samples, rate: dict[str, str | int]) -> bytes:
        raw = graph.input("pipe:0", f="f32le", ar=sound.rate_hz, ac=sound.channels)
        options = encoder_options(self._step) | rate | ({"reservoir": 0} if sound.apart else {})
        return ffmpeg.run(self._workspace, raw.output("pipe:1", **options), stdin=sound.data).stdout


def encoder_options(step: AudioStep) -> dict[str, str | int]:
    """ffmpeg's options but for the rate: no tags, no encoder's name."""
    return {
        "ar": step.sample_rate_hz,
        "ac": step.channels,
        "map_metadata": -1,
        "fflags": "+bitexact",
        "flags:a": "+bitexact",
        "c:a": "libmp3lame",
        "f": "mp3",
        "write_xing": 0,
        "id3v2_version": 0,
    }
