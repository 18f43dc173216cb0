"""How loud a sound is, as ITU-R BS.1770-4 and EBU R 128 measure it, and how high its peaks are.

Comes in: samples. Goes out: LUFS and dBTP. Never: a decode, or a change.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache, partial

import numpy as np
from numpy.typing import NDArray

from mmsprep.hearing.filters import Factors, Frequencies, Levels, Response, filtered, interpolated_peaks

SILENCE_LUFS = -120.0
"""What stands for no sound at all."""
LOUD_ENOUGH_LUFS = -14.0
"""What streams are levelled to; louder only leaves no room for peaks."""
ONE_FOR_TWO_DB = 10 * math.log10(2)
"""One channel is heard from as many loudspeakers as two are."""
_HOP_S, _HOPS_A_BLOCK = 0.1, 4
_OFFSET_DB = -0.691
_GATE_LUFS, _RELATIVE_GATE_LU, _QUIET_GATE_LU = -70.0, -10.0, -30.0
_PEAK_HOP = 64
_GAP_S, _NOISE_SHARE = 0.05, 0.05

Blocks = NDArray[np.float64]


def k_weighting(hz: Frequencies, rate_hz: int) -> Factors:
    """The two filters of BS.1770-4, annex 1, whose coefficients are given for 48 kHz, at any rate."""
    z = np.exp(-2j * np.pi * hz / rate_hz)
    k = math.tan(math.pi * 1681.974450955533 / rate_hz)
    q, high = 0.7071752369554196, 10 ** (3.999843853973347 / 20)
    band = high**0.4996667741545416
    shelf = (high + band * k / q + k * k) + 2 * (k * k - high) * z + (high - band * k / q + k * k) * z * z
    shelf /= (1 + k / q + k * k) + 2 * (k * k - 1) * z + (1 - k / q + k * k) * z * z
    k, q = math.tan(math.pi * 38.13547087602444 / rate_hz), 0.5003270373238773
    norm = 1 + k / q + k * k
    rumble = (1 - z) ** 2 / (1 + 2 * (k * k - 1) / norm * z + (1 - k / q + k * k) / norm * z * z)
    return np.asarray(shelf * rumble, np.complex128)


@lru_cache(maxsize=8)
def _k_weighted(rate_hz: int) -> Response:
    return partial(k_weighting, rate_hz=rate_hz)


def block_lufs(samples: Levels, rate_hz: int, weights: Sequence[float] | None = None) -> Blocks:
    """The loudness of every 400 ms, 100 ms apart; of the whole where it is shorter.

    ``weights`` are the channels'; by itself each counts 1.
    """
    if not len(samples):
        return np.zeros(0)
    power = _power(samples, rate_hz, weights)
    hop = max(1, round(_HOP_S * rate_hz))
    count = len(power) // hop
    if count < _HOPS_A_BLOCK:
        blocks = np.array([power.mean(dtype=np.float64)])
    else:
        hops = power[: count * hop].reshape(count, hop).mean(axis=1, dtype=np.float64)
        blocks = np.convolve(hops, np.full(_HOPS_A_BLOCK, 1 / _HOPS_A_BLOCK), mode="valid")
    lufs: Blocks = np.maximum(_OFFSET_DB + 10 * np.log10(blocks + 1e-30), SILENCE_LUFS)
    return lufs


def _power(samples: Levels, rate_hz: int, weights: Sequence[float] | None = None) -> Levels:
    """K-weighted, the channels added."""
    power = np.zeros(len(samples), np.float32)
    for channel in range(samples.shape[1]):
        weight = 1.0 if weights is None else weights[channel]
        if weight:
            one = filtered(samples[:, channel : channel + 1], rate_hz, _k_weighted(rate_hz))[:, 0]
            power += np.float32(weight) * np.square(one)
    return power


def noise_lufs(samples: Levels, rate_hz: int) -> float:
    """How loud it is where it is quietest: in the gaps between words, which are shorter than a block."""
    power = _power(samples, rate_hz)
    length = max(1, round(_GAP_S * rate_hz))
    count = len(power) // length
    if not count:
        return integrated_lufs(samples, rate_hz)
    gaps = power[: count * length].reshape(count, length).mean(axis=1, dtype=np.float64)
    return max(_OFFSET_DB + 10 * math.log10(float(np.quantile(gaps, _NOISE_SHARE)) + 1e-30), SILENCE_LUFS)


def gated(blocks: Blocks) -> Blocks:
    """The blocks that count: not the pauses. What is quiet as a whole is not taken for one."""
    if not len(blocks):
        return blocks
    gate = min(_GATE_LUFS, float(blocks.max()) + _QUIET_GATE_LU)
    loud = blocks[blocks >= gate]
    return loud[loud >= mean_lufs(loud) + _RELATIVE_GATE_LU]


def mean_lufs(blocks: Blocks) -> float:
    """Of the blocks' power."""
    return 10 * math.log10(float(np.mean(10 ** (blocks / 10)))) if len(blocks) else SILENCE_LUFS


def integrated_lufs(samples: Levels, rate_hz: int, weights: Sequence[float] | None = None) -> float:
    """The programme loudness; as BS.1770-4 has it, where it is above -40 LUFS, and comparable below."""
    return mean_lufs(gated(block_lufs(samples, rate_hz, weights)))


def heard_lufs(samples: Levels, rate_hz: int) -> float:
    """How loud a file of one or two channels is from a phone, which has two loudspeakers or one.

    One channel is heard from both, so it counts twice; of two, the quieter of each for itself and of their sum counts.
    """
    if samples.shape[1] == 1:
        return integrated_lufs(samples, rate_hz) + ONE_FOR_TWO_DB
    apart = integrated_lufs(samples, rate_hz)
    together = integrated_lufs(samples.mean(axis=1, keepdims=True, dtype=np.float32), rate_hz) + ONE_FOR_TWO_DB
    return min(apart, together)


def true_peak_dbtp(samples: Levels, rate_hz: int) -> float:
    """The highest level of a channel, also between samples."""
    if not len(samples):
        return SILENCE_LUFS
    least = float(np.abs(samples).max())
    return 20 * math.log10(max(float(interpolated_peaks(samples, rate_hz, _PEAK_HOP, least).max()), 1e-6))
