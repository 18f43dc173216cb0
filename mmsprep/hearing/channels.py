"""Many channels made one or two, and nothing that is heard in any of them lost.

Comes in: samples of every channel and their places. Goes out: :class:`Mix`. Never: a sum in which channels cancel each
other, which is what a plain mixdown makes of a microphone with crossed wires, of a voice in opposite phase, or of
surround sound that was put into stereo.

Two channels are added where that keeps what they hold, subtracted where that does, and else added with one of them a
quarter turn later: then no frequency can be cancelled by itself. Whatever is done, the result is as loud as the
channels were (ITU-R BS.1770-4), not as loud as the arithmetic left it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from mmsprep.hearing.filters import Levels, Response, filtered, quarter_turn
from mmsprep.hearing.loudness import ONE_FOR_TWO_DB, SILENCE_LUFS, integrated_lufs, k_weighting
from mmsprep.hearing.samples import Decoded

_HALF = math.sqrt(0.5)
_LEFT = {"FL": 1.0, "FC": _HALF, "FLC": 1.0, "BL": _HALF, "SL": _HALF, "BC": 0.5, "TFL": _HALF, "TBL": _HALF}
_RIGHT = {"FR": 1.0, "FC": _HALF, "FRC": 1.0, "BR": _HALF, "SR": _HALF, "BC": 0.5, "TFR": _HALF, "TC": 0.5, "TFC": 0.5}
"""ITU-R BS.775-3, annex 4, and its like for places that it does not name."""
_BASS = "LFE"
_AROUND = ("BL", "BR", "SL", "SR")
_AROUND_WEIGHT = 1.41
_WINDOW_S = 0.085
_WINDOWS_A_BLOCK = 5
_OCTAVES_HZ = (88, 177, 354, 707, 1_414, 2_828, 5_657, 11_314)
_LOST = 0.25
"""A sum that holds less than this of the power of its parts has lost them; of what is not alike it holds all."""
_ACTIVE = 1e-5
_MOST_LOST, _MOST_BLOCKS_LOST, _LONGEST_RUN = 0.1, 0.01, 5
_NO_POWER = 1e-20

Powers = NDArray[np.float64]


class Way(StrEnum):
    """How two channels become one."""

    SUM = "sum"
    DIFFERENCE = "difference"
    LATER = "quarter-turn-later"
    EARLIER = "quarter-turn-earlier"


@dataclass(frozen=True, slots=True)
class Mix:
    """What is heard of a sound: in one channel and, where the sum of its two keeps what they hold, in two.

    ``channels`` is how many there were, ``source_lufs`` the programme loudness of them all.
    """

    mono: Levels = field(repr=False)
    stereo: Levels | None = field(repr=False)
    rate_hz: int
    channels: int
    source_lufs: float
    notes: tuple[str, ...] = ()

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.mono) / self.rate_hz

    @property
    def heard_lufs(self) -> float:
        """How loud it is heard from a phone, which plays one channel as loud as two that are alike."""
        return self.source_lufs + (ONE_FOR_TWO_DB if self.channels == 1 else 0.0)

    def faded_out(self, seconds: float) -> Mix:
        """The same, its last moments fading."""
        length = min(len(self.mono), round(seconds * self.rate_hz))
        ramp = np.ones((len(self.mono), 1), np.float32)
        ramp[len(ramp) - length :, 0] = np.linspace(1, 0, length, dtype=np.float32)
        return replace(self, mono=self.mono * ramp, stereo=None if self.stereo is None else self.stereo * ramp)

    def cut(self, first: int, last: int) -> Mix:
        """The samples from ``first`` up to ``last``."""
        return self._of(self.mono[first:last], None if self.stereo is None else self.stereo[first:last])

    def hushed(self) -> Mix:
        """As long a silence."""
        return self._of(np.zeros_like(self.mono), None)

    def through(self, response: Response) -> Mix:
        """As a filter leaves it."""
        stereo = None if self.stereo is None else filtered(self.stereo, self.rate_hz, response)
        return self._of(filtered(self.mono, self.rate_hz, response), stereo)

    def _of(self, mono: Levels, stereo: Levels | None) -> Mix:
        shared_db = ONE_FOR_TWO_DB if self.channels > 1 else 0.0
        return replace(self, mono=mono, stereo=stereo, source_lufs=integrated_lufs(mono, self.rate_hz) + shared_db)


def mixed(sound: Decoded) -> Mix:
    """One channel of all, and two where they are safe to be summed by a phone."""
    samples, rate_hz = sound.samples, sound.rate_hz
    if sound.channels == 1:
        return Mix(samples, None, rate_hz, 1, integrated_lufs(samples, rate_hz))
    wanted_lufs = integrated_lufs(samples, rate_hz, _weights(sound))
    left, right, notes = _two(sound)
    way = _way(left, right, rate_hz)
    if way is not Way.SUM:
        notes = (*notes, "its channels cancel each other on one loudspeaker: mixed so that they do not")
    mono = _as_loud(_together(left, right, way, rate_hz), rate_hz, wanted_lufs - ONE_FOR_TWO_DB)
    if way in (Way.LATER, Way.EARLIER):
        return Mix(mono, None, rate_hz, sound.channels, wanted_lufs, notes)
    stereo = np.concatenate([left, right if way is Way.SUM else -right], axis=1)
    if sound.channels > 2:
        stereo = _as_loud(stereo, rate_hz, wanted_lufs)
    return Mix(mono, stereo, rate_hz, sound.channels, wanted_lufs, notes)


def sums_safely(samples: Levels, rate_hz: int) -> bool:
    """Whether a phone with one loudspeaker, which adds two channels, plays what they hold."""
    return samples.shape[1] == 1 or _way(samples[:, :1], samples[:, 1:2], rate_hz) is Way.SUM


def _weights(sound: Decoded) -> list[float]:
    """What a channel counts for the loudness (BS.1770-4, annex 1, table 3)."""
    speakers = sound.speakers or ("",) * sound.channels
    weights = [0.0 if one == _BASS else _AROUND_WEIGHT if one in _AROUND else 1.0 for one in speakers]
    return weights if _is_heard(sound, [one != _BASS for one in speakers]) else [1.0] * sound.channels


def _is_heard(sound: Decoded, chosen: list[bool]) -> bool:
    return bool(chosen) and any(np.any(sound.samples[:, place]) for place, is_chosen in enumerate(chosen) if is_chosen)


def _two(sound: Decoded) -> tuple[Levels, Levels, tuple[str, ...]]:
    """Left and right; the bass channel, which phones cannot play, only where there is nothing else."""
    columns = [sound.samples[:, place : place + 1] for place in range(sound.channels)]
    if sound.channels == 2:
        return columns[0], columns[1], ()
    speakers = sound.speakers or tuple("FL" if place % 2 == 0 else "FR" for place in range(sound.channels))
    heard = [bool(np.any(column)) for column in columns]
    bass = [place for place, one in enumerate(speakers) if one == _BASS and heard[place]]
    if bass and not any(is_heard for place, is_heard in enumerate(heard) if place not in bass):
        return columns[bass[0]], columns[bass[0]], ()
    sides = []
    for factors in (_LEFT, _RIGHT):
        side = np.zeros((len(sound.samples), 1), np.float32)
        parts = [(columns[place], one) for place, one in enumerate(speakers) if heard[place] and one in factors]
        for column, one in sorted(parts, key=lambda part: -factors[part[1]]):
            part = column * np.float32(factors[one])
            side = _together(side, part, _way(side, part, sound.rate_hz), sound.rate_hz) if side.any() else part
        sides.append(side)
    return sides[0], sides[1], ("its channel for deep bass is left out, as phones do",) if bass else ()


def _together(left: Levels, right: Levels, way: Way, rate_hz: int) -> Levels:
    if way in (Way.LATER, Way.EARLIER):
        right = filtered(right, rate_hz, quarter_turn)
    return left + right if way in (Way.SUM, Way.LATER) else left - right


def _as_loud(samples: Levels, rate_hz: int, wanted_lufs: float) -> Levels:
    found_lufs = integrated_lufs(samples, rate_hz)
    if found_lufs <= SILENCE_LUFS:
        return samples
    return samples * np.float32(10 ** ((wanted_lufs - found_lufs) / 20))


def _way(left: Levels, right: Levels, rate_hz: int) -> Way:
    """The first way that loses nothing, else the one that loses least."""
    apart, alike, turned = _powers(left, right, rate_hz)
    together = {
        Way.SUM: apart + 2 * alike,
        Way.DIFFERENCE: apart - 2 * alike,
        Way.LATER: apart - 2 * turned,
        Way.EARLIER: apart + 2 * turned,
    }
    losses = {way: _loss(apart, power) for way, power in together.items()}
    return next((way for way, loss in losses.items() if loss < 1), min(losses, key=lambda way: losses[way]))


def _powers(left: Levels, right: Levels, rate_hz: int) -> tuple[Powers, Powers, Powers]:
    """K-weighted powers in blocks of about 0.4 s (rows) and octaves (columns).

    Of both channels for themselves, of what they have in common, and of what they have in common a quarter turn apart.
    """
    length = max(16, round(_WINDOW_S * rate_hz))
    count = -(-max(len(left), 1) // length)
    rows = -(-count // _WINDOWS_A_BLOCK)
    hz = np.fft.rfftfreq(length, 1 / rate_hz)
    weights = (np.abs(k_weighting(hz, rate_hz)) ** 2).astype(np.float32)
    edges = [0, *(int(np.searchsorted(hz, octave)) for octave in _OCTAVES_HZ if octave < hz[-1])]
    edges = sorted(set(edges))
    window = np.hanning(length).astype(np.float32)
    apart, alike, turned = (np.zeros((rows, len(edges))) for _ in range(3))
    for row in range(rows):
        first = row * length * _WINDOWS_A_BLOCK
        pair = []
        for channel in (left, right):
            piece = channel[first : first + length * _WINDOWS_A_BLOCK, 0]
            windows = np.pad(piece, (0, -len(piece) % length)).reshape(-1, length) * window
            pair.append(np.fft.rfft(windows, axis=1))
        common = pair[0] * np.conj(pair[1])
        both = np.square(np.abs(pair[0])) + np.square(np.abs(pair[1]))
        for total, power in zip((apart, alike, turned), (both, common.real, common.imag), strict=True):
            total[row] = np.add.reduceat(power.sum(axis=0) * weights, edges)
    return apart, alike, turned


def _loss(apart: Powers, together: Powers) -> float:
    """How much of what is heard a way loses; below 1 it is nothing that anybody misses."""
    blocks = apart.sum(axis=1)
    active = blocks > max(_ACTIVE * float(blocks.max()), _NO_POWER)
    if not active.any():
        return 0.0
    apart, together, blocks = apart[active], together[active], blocks[active]
    share = np.where(together < _LOST * apart, apart, 0).sum(axis=1) / blocks
    gone = together.sum(axis=1) < _LOST * blocks
    longest = run = 0
    for is_gone in gone:
        run = run + 1 if is_gone else 0
        longest = max(longest, run)
    blocks_lost = float(gone.mean()) / _MOST_BLOCKS_LOST if gone.sum() > 1 else 0.0
    return max(float(share.mean()) / _MOST_LOST, blocks_lost, longest / _LONGEST_RUN)
