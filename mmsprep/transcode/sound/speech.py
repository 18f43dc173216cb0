"""Is a recording somebody speaking, and through a telephone or not? Or is it music, or a noise?

Comes in: samples. Goes out: a :class:`Material`. Never: a decode.

Two measures tell them apart, each taken on 64 ms windows of what is not quiet:

- *steadiness*: how alike the spectral peaks are 160 ms apart. Notes stay where they are, a voice glides.
  Read speech, with noise, babble or music behind it, has 0.36..0.51; orchestras, songs and film music 0.53..0.9.
- *voicing*: how many windows have a pitch between 70 and 400 Hz (a peak in the cepstrum). Speech has 0.35 and
  more even at 0 dB in noise, bursts, drums and traffic have at most 0.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

_WINDOW_S = 0.064
_HOP_S = 0.020
"""Seconds of a window, and to the next one."""
_LAG = 8
"""Windows: the 160 ms of the steadiness."""
_LONGEST_S = 90.0
_PIECES = 9
"""Seconds that are looked at, and in how many pieces."""
_ACTIVE = 0.1
"""Of the mean power: what has less is quiet."""
_LOWEST_HZ, _HIGHEST_HZ = 94, 4_000
_NEIGHBOURS = 9
"""Hz that peaks are compared in; places of the spectrum whose mean a peak stands above."""
_PITCH_HZ = (70, 400)
_PITCHED = 0.11
_STEADY = 0.52
_VOICED = 0.25
"""Hz that a pitch may have; how high its peak in the cepstrum is; where steadiness and voicing part speech from the
rest, between the figures above."""
_NARROW_HZ = (4_300, 7_500)
_NARROW_SHARE = 1e-4
"""Hz that a telephone does not carry, and the share of the power that counts as nothing there."""

Levels = NDArray[np.float32]


class Material(StrEnum):
    """What a recording is made of, as far as the choice of a codec goes."""

    SPEECH = "speech"
    NARROW_SPEECH = "narrow-speech"
    MUSIC = "music"


@dataclass(frozen=True, slots=True)
class Measures:
    """What is measured; ``high_share`` is the share of the power that a telephone would cut off."""

    steadiness: float
    voicing: float
    high_share: float


def material(samples: Levels, rate_hz: int) -> Material:
    """Tell speech from everything else, which suffers like music from a speech codec.

    Args:
        samples: one channel, at any scale.
        rate_hz: at least 8000.
    """
    measures = measure(samples, rate_hz)
    if measures.voicing < _VOICED or measures.steadiness >= _STEADY:
        return Material.MUSIC
    return Material.NARROW_SPEECH if measures.high_share < _NARROW_SHARE else Material.SPEECH


def measure(samples: Levels, rate_hz: int) -> Measures:
    """The measures of the recording, from at most 90 s spread over it; 0 for silence and for less than 0.3 s."""
    pieces = [_spectra(piece, rate_hz) for piece in _pieces(samples, rate_hz)]
    power = sum(float(np.square(spectrum, dtype=np.float64).sum()) for spectrum in pieces)
    count = sum(len(spectrum) for spectrum in pieces)
    if not power or count <= _LAG:
        return Measures(0.0, 0.0, 0.0)
    threshold = _ACTIVE * power / count
    steadiness: list[Levels] = []
    pitches: list[Levels] = []
    high = 0.0
    for spectrum in pieces:
        energy = np.square(spectrum).sum(axis=1)
        active = energy > threshold
        steadiness.append(_likeness(spectrum)[active[:-_LAG] & active[_LAG:]])
        pitches.append(_pitch_strength(spectrum[active], rate_hz))
        first, last = (round(hz * _WINDOW_S) for hz in _NARROW_HZ)
        high += float(np.square(spectrum[:, first:last], dtype=np.float64).sum())
    steady, pitched = np.concatenate(steadiness), np.concatenate(pitches)
    return Measures(
        float(steady.mean()) if len(steady) else 0.0,
        float((pitched > _PITCHED).mean()) if len(pitched) else 0.0,
        high / power,
    )


def _pieces(samples: Levels, rate_hz: int) -> list[Levels]:
    """The whole recording, or pieces evenly spread over a long one."""
    most = round(_LONGEST_S * rate_hz)
    if len(samples) <= most:
        return [samples]
    length = most // _PIECES
    return [samples[start : start + length] for start in np.linspace(0, len(samples) - length, _PIECES, dtype=int)]


def _spectra(samples: Levels, rate_hz: int) -> Levels:
    """Magnitudes, a row a window; bins are 15.6 Hz apart at any sample rate."""
    length, hop = round(_WINDOW_S * rate_hz), round(_HOP_S * rate_hz)
    if len(samples) < length:
        return np.zeros((0, length // 2 + 1), np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(samples, length)[::hop]
    return np.abs(np.fft.rfft(windows * np.hanning(length).astype(np.float32), axis=1)).astype(np.float32)


def _likeness(spectrum: Levels) -> Levels:
    """Cosine of the angle between the peaks of windows that are 160 ms apart."""
    first, last = round(_LOWEST_HZ * _WINDOW_S), round(_HIGHEST_HZ * _WINDOW_S)
    if len(spectrum) <= _LAG:
        return np.zeros(0, np.float32)
    logs = np.log(spectrum[:, first:last] + 1e-4 * max(float(spectrum.max()), 1e-9))
    side = _NEIGHBOURS // 2
    sums = np.cumsum(np.pad(logs, ((0, 0), (side + 1, side)), mode="edge"), axis=1)
    peaks = np.maximum(logs - (sums[:, _NEIGHBOURS:] - sums[:, :-_NEIGHBOURS]) / _NEIGHBOURS, 0)
    before, after = peaks[:-_LAG], peaks[_LAG:]
    lengths = np.sqrt(np.square(before).sum(axis=1) * np.square(after).sum(axis=1))
    likeness: Levels = (before * after).sum(axis=1) / (lengths + 1e-9)
    return likeness


def _pitch_strength(spectrum: Levels, rate_hz: int) -> Levels:
    """The highest point of each window's cepstrum where a voice's pitch would be."""
    bins = min(spectrum.shape[1], round(_HIGHEST_HZ * _WINDOW_S) + 1)
    band = spectrum[:, :bins]
    logs = np.log(band + 1e-3 * band.max(axis=1, keepdims=True) + 1e-9) if len(band) else band
    cepstrum_hz = rate_hz * (bins - 1) / (spectrum.shape[1] - 1)
    shortest, longest = (round(cepstrum_hz / hz) for hz in reversed(_PITCH_HZ))
    strength: Levels = np.fft.irfft(logs, axis=1)[:, shortest : longest + 1].max(axis=1)
    return strength
