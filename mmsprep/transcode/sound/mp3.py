"""MP3 of just the size that there is room for, between the rates that have a number.

Comes in: PCM, a step of the ladder, a size. Goes out: the largest MP3 within it, with a header frame where its frames
differ in length. Never: a byte too many, a tag, or the encoder's name.

A constant rate leaves up to a quarter of the room. From 1.3 bits a sample on, LAME's variable rate fills it and sounds
better at the same bytes (speech at 36 kbit/s: PESQ-WB 4.23, constant 40 has 4.26); below that a mean rate is held to
(22 kbit/s: 3.15, where AMR, the next rung, has 2.81). Neither lands at once, so what was made is corrected, and two
that the room is between become one (:mod:`mmsprep.transcode.sound.spliced`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import ffmpeg as graph

from mmsprep.profile import AudioStep
from mmsprep.tools import ffmpeg
from mmsprep.tools.workspace import Workspace
from mmsprep.transcode.sound.spliced import FILLED, Tried

CONSTANT_KBPS = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128)
"""The rates that every MP3 frame may have, whatever its sampling rate, and those of 32 kHz and more."""
_VARIABLE_FROM_BITS = 1.3
"""Bits a sample, as said above."""
_TRIES = 5
"""Encodes of one render at most."""
_AIM_BELOW, _AIM_ABOVE = 0.98, 1.02
"""Shares of the bytes allowed that the next encode aims at."""
_FIRST_QUALITY, _BEST_QUALITY, _WORST_QUALITY = 6.0, 0.0, 9.9
"""LAME's -V."""
_OCTAVES_A_QUALITY = -0.17
"""Of the rate, for each step of -V, before two encodes tell."""
_MEAN_OVERSHOOT = 1.03
"""What LAME often makes of a mean rate that is asked for: 0.95 of it to 1.07."""


@dataclass(frozen=True, slots=True)
class Samples:
    """32-bit floating point as bytes, the channels in turn.

    ``apart``: no frame may borrow from the one before, so that what is made can be cut between any two.
    """

    data: bytes
    rate_hz: int
    channels: int
    apart: bool = False


@dataclass(slots=True)
class Landing:
    """Which of LAME's quality numbers, or which mean rate, the last search ended at: the next one, of much the same
    sound, begins there."""

    quality: float | None = None
    slope: float = _OCTAVES_A_QUALITY
    mean_kbps: int | None = None

    @property
    def is_first(self) -> bool:
        """Whether there was no search yet."""
        return self.quality is None and self.mean_kbps is None


def constant_kbps(step: AudioStep) -> int:
    """The constant rate of a step, or the next one below it."""
    return max((rate for rate in CONSTANT_KBPS if rate <= step.rate_kbps), default=CONSTANT_KBPS[0])


def encode(
    sound: Samples, step: AudioStep, max_bytes: int, workspace: Workspace, landing: Landing | None = None
) -> bytes:
    """The largest MP3 within ``max_bytes`` at the sampling rate of ``step``; of its constant rate where none is.

    ``step.rate_kbps`` is about what ``max_bytes`` hold; where it is a constant rate and nearly fills them, it is taken.
    ``landing`` is kept between the encodes of one sound that differ in level alone.
    """
    landing = landing or Landing()
    bits = step.rate_kbps * 1000 / step.sample_rate_hz / step.channels
    made = [b""]

    def is_filled() -> bool:
        return len(made[-1]) >= max_bytes * FILLED

    if landing.is_first:
        made.append(_constant(sound, step, workspace))
        if is_filled():
            return made[-1]
    if bits >= _VARIABLE_FROM_BITS:
        made.append(_variable(sound, step, max_bytes, workspace, landing))
    if not is_filled():
        made.append(_mean(sound, step, max_bytes, workspace, landing))
    largest = max((one for one in made if len(one) <= max_bytes), key=len)
    return largest or _constant(sound, step, workspace)


def _constant(sound: Samples, step: AudioStep, workspace: Workspace) -> bytes:
    return _run(sound, step, {"b:a": f"{constant_kbps(step)}k"}, workspace)


def _variable(sound: Samples, step: AudioStep, max_bytes: int, workspace: Workspace, landing: Landing) -> bytes:
    """Ever closer from both sides: the logarithm of the size falls nearly evenly with LAME's quality number."""
    tried = Tried(max_bytes)
    quality = _FIRST_QUALITY if landing.quality is None else landing.quality
    before: tuple[float, float] | None = None
    for _ in range(_TRIES):
        size_bytes = tried.add(_run(sound, step, {"q:a": f"{quality:.3f}"}, workspace))
        if not size_bytes or tried.is_filled:
            break
        # From here on the other side is wanted: what is above and what is below make one that fills the room.
        aim = _AIM_BELOW if tried.over else _AIM_ABOVE
        size = math.log2(size_bytes)
        if before is not None and before[0] != quality:
            landing.slope = min(-0.02, (size - before[1]) / (quality - before[0]))
        before = quality, size
        wanted = min(_WORST_QUALITY, max(_BEST_QUALITY, quality + (math.log2(max_bytes * aim) - size) / landing.slope))
        if wanted == quality:
            break
        quality = wanted
    landing.quality = quality
    return tried.best


def _mean(sound: Samples, step: AudioStep, max_bytes: int, workspace: Workspace, landing: Landing) -> bytes:
    """A mean rate, which LAME takes in whole kbit/s and misses by a twentieth: two of them that the room is between."""
    tried = Tried(max_bytes)
    fitting, over = CONSTANT_KBPS[0], math.inf
    rate_kbps = landing.mean_kbps or math.floor(step.rate_kbps / _MEAN_OVERSHOOT)
    for _ in range(_TRIES):
        size_bytes = tried.add(_run(sound, step, {"b:a": f"{rate_kbps}k", "abr": 1}, workspace))
        if not size_bytes:
            break
        fitting, over = (rate_kbps, over) if size_bytes <= max_bytes else (fitting, rate_kbps)
        if over - fitting <= 1 or tried.is_filled:
            break
        rate_kbps = int(min(max(math.floor(rate_kbps * max_bytes / size_bytes), fitting + 1), over - 1))
    landing.mean_kbps = fitting
    return tried.best


def _run(sound: Samples, step: AudioStep, rate: dict[str, str | int], workspace: Workspace) -> bytes:
    raw = graph.input("pipe:0", f="f32le", ar=sound.rate_hz, ac=sound.channels)
    options = encoder_options(step) | rate | ({"reservoir": 0} if sound.apart else {})
    return ffmpeg.run(workspace, raw.output("pipe:1", **options), stdin=sound.data).stdout


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
