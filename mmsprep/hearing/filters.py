"""Filters given by their frequency response, applied piece by piece.

Comes in: samples, a row a moment and a column a channel. Goes out: as many, filtered. Never: a filter whose response
to a click is longer than the margin round each piece.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Levels = NDArray[np.float32]
"""Samples, -1..1 and beyond: a row a moment, a column a channel."""
Frequencies = NDArray[np.floating[Any]]
Factors = NDArray[np.complexfloating[Any, Any]]
Response = Callable[[Frequencies], Factors]
"""Frequencies in Hz to what a filter makes of them."""

_PIECE, _MARGIN = 1 << 17, 1 << 13
_PEAK_PIECE, _PEAK_MARGIN = 1 << 15, 1 << 10
_FINE_UP_TO_HZ = 24_000


def filtered(samples: Levels, rate_hz: int, response: Response) -> Levels:
    """``samples`` as a filter leaves them, which may be one without a cause (zero phase, a phase turned)."""
    made = np.empty_like(samples)
    step = _PIECE - 2 * _MARGIN
    for start in range(0, len(samples), step):
        stop = min(start + step, len(samples))
        first, last = max(0, start - _MARGIN), min(len(samples), stop + _MARGIN)
        length = _PIECE if last - first > _PIECE // 8 - 2 * _MARGIN else _fast(last - first + 2 * _MARGIN)
        weights = response(np.fft.rfftfreq(length, 1 / rate_hz)).astype(np.complex64)[:, None]
        # Where the sound begins and ends the margin is silence.
        piece = np.zeros((length, samples.shape[1]), np.float32)
        lead = first - (start - _MARGIN)
        piece[lead : lead + last - first] = samples[first:last]
        spectrum = np.fft.rfft(piece, axis=0) * weights
        made[start:stop] = np.fft.irfft(spectrum, length, axis=0)[_MARGIN : _MARGIN + stop - start]
    return made


def _fast(length: int) -> int:
    """A power of two that holds ``length``."""
    return 1 << (length - 1).bit_length()


def high_pass(edge_hz: float) -> Response:
    """What lies below ``edge_hz`` falls by 12 dB an octave; no phase is changed."""

    def response(hz: Frequencies) -> Factors:
        power = (hz / edge_hz) ** 4
        return np.asarray(power / (1 + power), np.complex128)

    return response


def quarter_turn(hz: Frequencies) -> Factors:
    """Every frequency 90 degrees later (a Hilbert transform), but those that no loudspeaker of a phone makes."""
    return -1j * np.clip(hz / 40, 0, 1)


def interpolated_peaks(samples: Levels, rate_hz: int, hop: int) -> NDArray[np.float32]:
    """The highest level in every ``hop`` samples of any channel, also between samples (ITU-R BS.1770-4, annex 2)."""
    times = 8 if rate_hz <= _FINE_UP_TO_HZ else 4
    step = _PEAK_PIECE // hop * hop
    peaks = []
    for start in range(0, len(samples), step):
        stop = min(start + step, len(samples))
        first = max(0, start - _PEAK_MARGIN)
        piece = samples[first : stop + _PEAK_MARGIN]
        length = _fast(len(piece) + _PEAK_MARGIN)
        spectrum = np.fft.rfft(piece, length, axis=0)
        fine = np.fft.irfft(spectrum, length * times, axis=0)[(start - first) * times : (stop - first) * times]
        levels = np.abs(fine).max(axis=1) * times
        room = -len(levels) % (hop * times)
        peaks.append(np.pad(levels, (0, room)).reshape(-1, hop * times).max(axis=1))
    return np.concatenate(peaks).astype(np.float32) if peaks else np.zeros(0, np.float32)
