"""MP3 of just the size that there is room for, between the rates that have a number.

Comes in: PCM, a step of the ladder, a size. Goes out: the largest MP3 within it, with a header frame where its frames
differ in length. Never: a byte too many, a tag, or the encoder's name.

A constant rate leaves up to a quarter of the room. From 1.3 bits a sample on, LAME's variable rate fills it and sounds
better at the same bytes (speech at 36 kbit/s: PESQ-WB 4.23, constant 40 has 4.26); below that a mean rate is held to
(22 kbit/s: 3.15, where AMR, the next rung, has 2.81). Neither lands at once, so what was made is corrected.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

import ffmpeg as graph

from mmsprep.formats.mp3 import mpeg_audio_frame
from mmsprep.profile import AudioStep
from mmsprep.tools import ffmpeg
from mmsprep.tools.workspace import Workspace

CONSTANT_KBPS = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128)
"""The rates that every MP3 frame may have, whatever its sampling rate, and those of 32 kHz and more."""
_VARIABLE_FROM_BITS = 1.3
"""Bits a sample, as said above."""
_TRIES = 4
"""Encodes of one render at most."""
_FILLED, _AIM = 0.983, 0.992
"""Shares of the bytes allowed: enough, and what the next encode aims at."""
_FIRST_QUALITY, _BEST_QUALITY, _WORST_QUALITY = 6.0, 0.0, 9.9
"""LAME's -V."""
_OCTAVES_A_QUALITY = -0.17
"""Of the rate, for each step of -V, before two encodes tell."""
_MEAN_OVERSHOOT = 1.06
"""What LAME makes of a mean rate that is asked for, at most."""
_SIDE_INFO_BYTES = {(True, True): 17, (True, False): 32, (False, True): 9, (False, False): 17}
"""Of a layer III frame: whether it is MPEG-1, whether it has one channel."""
_SHORTEST_HEADER_FRAME_BYTES = 56
"""Of a frame that has room for LAME's header."""


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
    """Which of LAME's quality numbers the last search ended at: the next one, of much the same sound, begins there."""

    quality: float | None = None
    slope: float = _OCTAVES_A_QUALITY


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
    if landing.quality is not None:
        made = [one for one in _variable(sound, step, max_bytes, workspace, landing) if len(one) <= max_bytes]
        if made:
            return max(made, key=len)
    constant = _run(sound, step, {"b:a": f"{constant_kbps(step)}k"}, workspace)
    if len(constant) >= max_bytes * _FILLED:
        return constant
    bits = step.rate_kbps * 1000 / step.sample_rate_hz / step.channels
    made = [constant]
    if bits >= _VARIABLE_FROM_BITS:
        made += _variable(sound, step, max_bytes, workspace, landing)
    if not any(_FILLED * max_bytes <= len(one) <= max_bytes for one in made):
        made += _mean(sound, step, max_bytes, workspace)
    return max((one for one in made if len(one) <= max_bytes), key=len, default=constant)


def _variable(sound: Samples, step: AudioStep, max_bytes: int, workspace: Workspace, landing: Landing) -> list[bytes]:
    """Ever closer from both sides: the logarithm of the size falls nearly evenly with LAME's quality number."""
    made: list[bytes] = []
    quality = _FIRST_QUALITY if landing.quality is None else landing.quality
    before: tuple[float, float] | None = None
    for _ in range(_TRIES):
        made.append(with_header(_run(sound, step, {"q:a": f"{quality:.3f}"}, workspace)))
        if not made[-1]:
            break
        error = math.log2(len(made[-1]) / (max_bytes * _AIM))
        if _FILLED * max_bytes <= len(made[-1]) <= max_bytes:
            break
        if before is not None and before[0] != quality:
            landing.slope = min(-0.02, (error - before[1]) / (quality - before[0]))
        before = quality, error
        wanted = min(_WORST_QUALITY, max(_BEST_QUALITY, quality - error / landing.slope))
        if wanted == quality:
            break
        quality = wanted
    landing.quality = quality
    return made


def _mean(sound: Samples, step: AudioStep, max_bytes: int, workspace: Workspace) -> list[bytes]:
    """A mean rate, which LAME takes in whole kbit/s and misses by a twentieth: up to the highest that fits."""
    made: list[bytes] = []
    fitting, over = CONSTANT_KBPS[0], math.inf
    rate_kbps = math.floor(step.rate_kbps / _MEAN_OVERSHOOT)
    for _ in range(_TRIES):
        made.append(with_header(_run(sound, step, {"b:a": f"{rate_kbps}k", "abr": 1}, workspace)))
        if _FILLED * max_bytes <= len(made[-1]) <= max_bytes or not made[-1]:
            break
        fitting, over = (rate_kbps, over) if len(made[-1]) <= max_bytes else (fitting, rate_kbps)
        if over - fitting <= 1:
            break
        wanted_kbps = math.floor(rate_kbps * max_bytes / len(made[-1]))
        rate_kbps = int(min(max(wanted_kbps, fitting + 1), over - 1))
    return made


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


def with_header(data: bytes) -> bytes:
    """The frames behind one that says how many there are: else players take the first one's rate for the whole.

    It is the frame that Xing's encoder began with: the usual header, silence, ``Xing``, which fields follow (1 + 2),
    the number of frames and of bytes.
    """
    count = position = 0
    while position < len(data):
        frame = mpeg_audio_frame(data[position : position + 4])
        if frame is None:
            return data
        position += frame.length_bytes
        count += 1
    if not count:
        return data
    for index in range(1, 15):
        header = bytes((*data[:2], index << 4 | data[2] & 0x0C, data[3] & 0xC0))
        shape = mpeg_audio_frame(header)
        if shape is not None and shape.length_bytes >= _SHORTEST_HEADER_FRAME_BYTES:
            break
    else:
        return data
    silence = bytes(_SIDE_INFO_BYTES[bool(data[1] & 0x08), data[3] >> 6 == 3])
    told = struct.pack(">4sIII", b"Xing", 3, count, len(data) + shape.length_bytes)
    return (header + silence + told).ljust(shape.length_bytes, b"\0") + data
