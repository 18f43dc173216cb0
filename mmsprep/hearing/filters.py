"""Filters given by their frequency response, applied piece by piece.

Comes in: samples, a row a moment and a column a channel. Goes out: as many, filtered. Never: a filter whose response
to a click is longer than the margin round each piece.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
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
_PEAK_PIECE, _PEAK_MARGIN, _ROWS_AT_ONCE = 3_584, 256, 64
_FLANK_BELOW, _FLANK_ABOVE = 0.75, 1.06
"""Times the edges of a band, where it is quite closed."""
_HIGHEST_BETWEEN = 1.6
"""A peak between samples is hardly ever so many times higher than the samples."""
_FINE_UP_TO_HZ = 16_000
"""The fewer samples a second, the more of what is heard lies where they meet a wave off its peak."""


def filtered(samples: Levels, rate_hz: int, response: Response) -> Levels:
    """``samples`` as a filter leaves them, which may be one without a cause (zero phase, a phase turned).

    What a response is at every frequency is a quarter of what four seconds take, and is kept for the next ones: who
    makes responses gives back the same one for the same filter.
    """
    made = np.empty_like(samples)
    step = _PIECE - 2 * _MARGIN
    for start in range(0, len(samples), step):
        stop = min(start + step, len(samples))
        first, last = max(0, start - _MARGIN), min(len(samples), stop + _MARGIN)
        length = _PIECE if last - first > _PIECE // 8 - 2 * _MARGIN else _fast(last - first + 2 * _MARGIN)
        # Where the sound begins and ends the margin is silence.
        piece = np.zeros((length, samples.shape[1]), np.float32)
        lead = first - (start - _MARGIN)
        piece[lead : lead + last - first] = samples[first:last]
        spectrum = np.fft.rfft(piece, axis=0) * _factors(response, length, rate_hz)
        made[start:stop] = np.fft.irfft(spectrum, length, axis=0)[_MARGIN : _MARGIN + stop - start]
    return made


@lru_cache(maxsize=16)
def _factors(response: Response, length: int, rate_hz: int) -> NDArray[np.complex64]:
    return response(np.fft.rfftfreq(length, 1 / rate_hz)).astype(np.complex64)[:, None]


def _fast(length: int) -> int:
    """A power of two that holds ``length``."""
    return 1 << (length - 1).bit_length()


@lru_cache(maxsize=8)
def high_pass(edge_hz: float) -> Response:
    """What lies below ``edge_hz`` falls by 12 dB an octave; no phase is changed."""

    def response(hz: Frequencies) -> Factors:
        power = (hz / edge_hz) ** 4
        return np.asarray(power / (1 + power), np.complex128)

    return response


@lru_cache(maxsize=8)
def band_pass(low_hz: float, high_hz: float, rate_hz: int) -> Response:
    """What lies between two frequencies, all of it; next to nothing from a little way outside; no phase is changed."""

    def response(hz: Frequencies) -> Factors:
        rising = _eased((hz / low_hz - _FLANK_BELOW) / (1 - _FLANK_BELOW)) if low_hz > 0 else np.ones_like(hz)
        falling = _eased((_FLANK_ABOVE - hz / high_hz) / (_FLANK_ABOVE - 1)) if high_hz < rate_hz / 2 else 1.0
        return np.asarray(rising * falling, np.complex128)

    return response


def _eased(share: Frequencies) -> Frequencies:
    """0..1 from 0 to 1, without a corner at either end."""
    eased: Frequencies = 0.5 - 0.5 * np.cos(np.pi * np.clip(share, 0, 1))
    return eased


def quarter_turn(hz: Frequencies) -> Factors:
    """Every frequency 90 degrees later (a Hilbert transform), but those that no loudspeaker of a phone makes."""
    return -1j * np.clip(hz / 40, 0, 1)


def interpolated_peaks(samples: Levels, rate_hz: int, hop: int, least: float) -> NDArray[np.float32]:
    """The highest level in every ``hop`` samples of any channel, also between samples (ITU-R BS.1770-4, annex 2).

    Between samples only where that may come above ``least``.
    """
    count = -(-len(samples) // hop)
    levels = np.abs(samples).max(axis=1, initial=0.0)
    peaks = np.pad(levels, (0, count * hop - len(levels))).reshape(count, hop).max(axis=1, initial=0.0)
    times = 8 if rate_hz <= _FINE_UP_TO_HZ else 4
    hops = max(1, _PEAK_PIECE // hop)
    rows = -(-count // hops)
    row_peaks = np.pad(peaks, (0, rows * hops - count)).reshape(rows, hops).max(axis=1, initial=0.0)
    near = np.flatnonzero(row_peaks * _HIGHEST_BETWEEN > least)
    length = hops * hop
    whole = length + 2 * _PEAK_MARGIN
    padded = np.pad(samples, ((_PEAK_MARGIN, rows * length - len(samples) + _PEAK_MARGIN), (0, 0)))
    for some in np.array_split(near, max(1, -(-len(near) // _ROWS_AT_ONCE))):
        pieces = np.stack([padded[row * length : row * length + whole] for row in some]) if len(some) else padded[:0]
        if not len(pieces):
            break
        fine = np.fft.irfft(np.fft.rfft(pieces, axis=1), whole * times, axis=1)
        fine = np.abs(fine[:, _PEAK_MARGIN * times : (_PEAK_MARGIN + length) * times]).max(axis=2) * times
        between = fine.reshape(len(some), hops, hop * times).max(axis=2)
        for row, found in zip(some, between, strict=True):
            place = row * hops
            peaks[place : place + hops] = np.maximum(peaks[place : place + hops], found[: count - place])
    return np.asarray(peaks, np.float32)
