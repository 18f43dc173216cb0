"""How loud a mixed sound is sent, and its peaks kept below what a decoder may clip.

Comes in: a :class:`~mmsprep.hearing.channels.Mix`, and what is heard in it. Goes out: the samples to encode, or what
an encoder made of them. Never: music made quieter than it was, or pumped; a voice left where nobody hears it.

Speech is brought to -17.5 LUFS, by as much as the noise behind it allows. Everything else keeps its loudness, or goes
up to where its peaks allow. Codecs put peaks where there were none (AMR up to 4 dB), so what an encoder made is decoded
and, where its true peak is above -1 dBTP, made again from samples that are held lower.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mmsprep.hearing.channels import Mix
from mmsprep.hearing.filters import Levels, filtered, high_pass, interpolated_peaks
from mmsprep.hearing.loudness import (
    LOUD_ENOUGH_LUFS,
    SILENCE_LUFS,
    block_lufs,
    gated,
    heard_lufs,
    integrated_lufs,
    mean_lufs,
    noise_lufs,
    true_peak_dbtp,
)
from mmsprep.hearing.samples import Decoded
from mmsprep.profile import AudioStep
from mmsprep.transcode.sound.carried import Band, Inside, band_hz, inside, is_silent
from mmsprep.transcode.sound.speech import Material, material

PEAK_DBTP = -1.0
"""EBU R 128 s2 and R 128: what codecs and converters downstream need."""
FADE_S = 0.03
"""At a cut."""
_SPEECH_LUFS = -17.5
_LEAST_GAIN_DB = 20.0
_MOST_GAIN_DB = {Material.SPEECH: 60.0, Material.NARROW_SPEECH: 60.0, Material.MUSIC: 42.0}
_NOISE_LUFS = {Material.SPEECH: -30.0, Material.NARROW_SPEECH: -30.0, Material.MUSIC: -50.0}
_BURST_LU = 8.0
_ONE_FOR_TWO_DB = 3.0
_LIMITED_DB, _LIMITED_TO_KEEP_DB, _SPEECH_LIMITED_DB = 4.0, 8.0, 14.0
"""How far peaks may be held down: to make up for a channel that is summed, to keep a loudness, in speech."""
_SPEECH_EDGE_HZ, _EDGE_HZ = 60.0, 8.0
_ATTACK_DB_A_MS, _RELEASE_DB_A_MS = 2.0, 0.04
_SPREAD = 2
_AIMS = 4
_CLOSE_LU = 0.4
_MADE_AGAIN = 4
_PEAK_MARGIN_DB = 0.15
_LOWEST_PEAK_DBTP = -12.0
_PEAK_BEFORE_LOUDNESS = 100.0
_OVERSHOOT = 1.4
"""Lowering what goes in lowers what comes out by less: the loudness is still wanted."""
_MISSED_LU, _MOST_MORE_DB = 0.8, 3.0
"""What a codec's narrow band takes of the loudness is made up for, no more."""
_MOST_HELD_LU = 3.5
"""Of noise and applause a coder makes peaks at any level: where holding them costs more loudness, they are clipped."""
_PIECE = 1 << 20

_Made = TypeVar("_Made")


def heard_in(mix: Mix) -> Material:
    """What a recording or a sound track is made of."""
    return material(mix.mono[:, 0], mix.rate_hz)


@dataclass(frozen=True, slots=True)
class _Found:
    """What an encoder made: by how much its peaks are too high, how much loudness is missing, and how much of that
    because peaks are held."""

    over_db: float
    missing_db: float
    held_db: float

    @property
    def fault(self) -> float:
        """How bad that is; 0: not at all."""
        worse = max(0.0, self.over_db) + 2 * max(0.0, self.held_db - _MOST_HELD_LU)
        return worse * _PEAK_BEFORE_LOUDNESS + max(0.0, self.missing_db - _MISSED_LU)


@dataclass(frozen=True, slots=True)
class _Level:
    """Where the peaks are held before an encoder, and what is added to the loudness."""

    peak_dbtp: float = PEAK_DBTP
    more_db: float = 0.0

    def after(self, found: _Found) -> _Level:
        """The one to try next; the same where nothing is wrong, or nothing more can be done."""
        peak_dbtp, more_db = self.peak_dbtp, self.more_db
        if found.held_db > _MOST_HELD_LU:
            peak_dbtp = min(PEAK_DBTP, peak_dbtp + found.held_db - _MOST_HELD_LU)
        elif found.over_db > 0:
            peak_dbtp = max(_LOWEST_PEAK_DBTP, peak_dbtp - found.over_db * _OVERSHOOT - _PEAK_MARGIN_DB)
        # Lower peaks take some of the loudness with them.
        if found.missing_db > (_MISSED_LU if found.over_db <= 0 else _MISSED_LU / 2):
            more_db = min(_MOST_MORE_DB, more_db + found.missing_db)
        return _Level(peak_dbtp, more_db)


_FIRST_LEVELS = {"amr": _Level(-3.0, 1.0), "mp3": _Level(-1.3), "aac": _Level(-1.5, 0.3)}
"""Before it is known what an encoder does to a sound."""


@dataclass(slots=True)
class Levelled:
    """A mix as it is encoded: at its loudness, with its peaks held where they have to be.

    What was found out about codecs is kept: how low the peaks of a format must be held, how much loudness it takes.
    """

    mix: Mix
    heard: Material
    _raised: dict[int, tuple[Levels, float]] = field(default_factory=dict)
    _wanted: dict[int, tuple[float, float]] = field(default_factory=dict)
    _levels: dict[str, _Level] = field(default_factory=dict)
    _coded_lu: dict[str, float] = field(default_factory=dict)
    _carried: dict[Band, Inside] = field(default_factory=dict)
    _inside: dict[Band, Levelled] = field(default_factory=dict)

    def heard_lufs(self, step: AudioStep) -> float | None:
        """How loud what a rung carries of the source is heard from a phone, less what its peaks leave no room for, 4 dB
        at most; ``None`` where nothing is."""
        mix = self.carried(step).mix
        if is_silent(mix.mono):
            return None
        inner = self if mix is self.mix else self._inner(band_hz(step), mix)
        return max(min(mix.heard_lufs, inner._wanted_lufs(step.channels)[1]), mix.heard_lufs - _LIMITED_DB)

    def carried(self, step: AudioStep) -> Inside:
        """What a rung carries of the source."""
        band = band_hz(step)
        if band not in self._carried:
            self._carried[band] = inside(self.mix, band)
        return self._carried[band]

    def samples(self, channels: int, peak_dbtp: float = PEAK_DBTP, more_db: float = 0.0) -> Levels:
        """One channel or, where the mix has them, two; true peaks up to ``peak_dbtp``, ``more_db`` above its level."""
        clean, gain_db = self._clean(channels)
        return limited(clean * np.float32(10 ** ((gain_db + more_db) / 20)), self.mix.rate_hz, peak_dbtp)

    def encoded(
        self,
        step: AudioStep,
        encode: Callable[[Levels], _Made],
        read: Callable[[_Made], Decoded],
        fill: Callable[[], _Made] | None = None,
    ) -> _Made:
        """What ``encode`` makes of the samples for a rung, its peaks after decoding (``read``) at -1 dBTP at most.

        What the rung does not carry is taken away before, so that it takes no room from what is heard. Where an encoder
        searches for a size, ``encode`` is its first try, which the level is found with, and ``fill`` goes on from the
        samples that it was handed last.

        Raises:
            ToolError: the encoder, or the decoder, failed.
        """
        mix = self.carried(step).mix
        if mix is not self.mix:
            return self._inner(band_hz(step), mix).encoded(step, encode, read, fill)
        best: tuple[float, _Made] | None = None
        level = self._levels.get(step.format, _FIRST_LEVELS.get(step.format, _Level()))
        for left in reversed(range(_MADE_AGAIN)):
            made = encode(self.samples(step.channels, level.peak_dbtp, level.more_db))
            found = self._found(read(made), step)
            if fill is not None and (not left or level.after(found) == level):
                first, made = made, fill()
                found = found if made is first else self._found(read(made), step)
            elif fill is not None:
                self._levels[step.format] = level = level.after(found)
                continue
            if best is None or found.fault < best[0]:
                best = found.fault, made
            if level.after(found) == level:
                break
            self._levels[step.format] = level = level.after(found)
        assert best is not None
        return best[1]

    def _found(self, back: Decoded, step: AudioStep) -> _Found:
        """What an encoder made of the samples, beside what is wanted."""
        over_db = true_peak_dbtp(back.samples, back.rate_hz) - PEAK_DBTP
        missing_db = self._wanted_lufs(step.channels)[0] - integrated_lufs(back.samples, back.rate_hz)
        # What is missing at the first level the coder takes.
        coded_lu = self._coded_lu.setdefault(step.format, max(0.0, missing_db))
        return _Found(over_db, missing_db, missing_db - coded_lu)

    def _wanted_lufs(self, channels: int) -> tuple[float, float]:
        """The loudness of the samples, and how loud they are heard from a phone."""
        if channels not in self._wanted:
            samples, rate_hz = self.samples(channels), self.mix.rate_hz
            self._wanted[channels] = integrated_lufs(samples, rate_hz), heard_lufs(samples, rate_hz)
        return self._wanted[channels]

    def _inner(self, band: Band, mix: Mix) -> Levelled:
        """The same of what a band carries, which is carried whole."""
        if band not in self._inside:
            self._inside[band] = Levelled(mix, self.heard, _carried={band: Inside(mix, True, 0.0)})
        return self._inside[band]

    def _clean(self, channels: int) -> tuple[Levels, float]:
        """The samples without rumble, and the gain that they get."""
        if channels not in self._raised:
            stereo = self.mix.stereo
            one = self.mix.mono
            if channels == 2:
                one = np.repeat(one, 2, axis=1) if stereo is None else stereo
            edge_hz = _EDGE_HZ if self.heard is Material.MUSIC else _SPEECH_EDGE_HZ
            clean = filtered(one, self.mix.rate_hz, high_pass(edge_hz))
            self._raised[channels] = clean, self._gain_db(clean)
        return self._raised[channels]

    def _gain_db(self, samples: Levels) -> float:
        """The gain in decibels before the limiter."""
        rate_hz, source_lufs = self.mix.rate_hz, self.mix.source_lufs
        blocks = block_lufs(samples, rate_hz)
        found_lufs = mean_lufs(gated(blocks))
        if found_lufs <= SILENCE_LUFS or is_silent(samples):
            return 0.0
        quiet_db = _NOISE_LUFS[self.heard] - noise_lufs(samples, rate_hz)
        most_db = min(_MOST_GAIN_DB[self.heard], max(_LEAST_GAIN_DB, quiet_db))
        room_db = PEAK_DBTP - true_peak_dbtp(samples, rate_hz)
        # A phone plays one channel as loud as two of which each has it; meters count it half.
        least_lufs = source_lufs - (_ONE_FOR_TWO_DB if samples.shape[1] == 1 and self.mix.channels > 1 else 0.0)
        wanted_lufs = max(least_lufs, min(source_lufs, LOUD_ENOUGH_LUFS))
        if self.heard is Material.MUSIC:
            kept_db = min(least_lufs - found_lufs, room_db + _LIMITED_TO_KEEP_DB)
            made_up_db = min(wanted_lufs - found_lufs, room_db + _LIMITED_DB)
            return min(max(room_db, kept_db, made_up_db), most_db)
        wanted_lufs = max(_SPEECH_LUFS, min(wanted_lufs, LOUD_ENOUGH_LUFS))
        gain_db = min(wanted_lufs - _voice_lufs(blocks), most_db)
        for _ in range(_AIMS):
            gained = samples * np.float32(10 ** (gain_db / 20))
            made = block_lufs(limited(gained, rate_hz, PEAK_DBTP), rate_hz)
            missing_db = wanted_lufs - _voice_lufs(made)
            if abs(missing_db) < _CLOSE_LU:
                break
            gain_db = min(gain_db + missing_db, most_db, max(room_db, gain_db) + _SPEECH_LIMITED_DB)
        return gain_db


def _voice_lufs(blocks: NDArray[np.float64]) -> float:
    """How loud a voice is, whatever knocks and coughs stand out of it."""
    loud = gated(blocks)
    if not len(loud):
        return SILENCE_LUFS
    usual = float(np.median(loud))
    spoken = gated(blocks[blocks <= usual + _BURST_LU])
    return mean_lufs(spoken if len(spoken) else loud)


def limited(samples: Levels, rate_hz: int, peak_dbtp: float) -> Levels:
    """The samples with their true peaks held at ``peak_dbtp``, all channels alike.

    The gain goes down ahead of a peak, 2 dB a millisecond, and comes back 40 dB a second.
    """
    hop = max(8, round(rate_hz / 1000))
    peaks_db = 20 * np.log10(
        np.maximum(interpolated_peaks(samples, rate_hz, hop, 10 ** (peak_dbtp / 20)), 1e-9)
    ).astype(np.float64)
    if not len(peaks_db) or peaks_db.max() <= peak_dbtp:
        return samples
    need = np.minimum(peak_dbtp - _PEAK_MARGIN_DB - peaks_db, 0)
    padded = np.pad(need, _SPREAD, mode="edge")
    need = np.lib.stride_tricks.sliding_window_view(padded, 2 * _SPREAD + 1).min(axis=1)
    ms = hop / rate_hz * 1000
    steps = np.arange(len(need))
    gain = np.minimum.accumulate(need - steps * ms * _RELEASE_DB_A_MS) + steps * ms * _RELEASE_DB_A_MS
    gain = np.minimum.accumulate(gain[::-1] - steps * ms * _ATTACK_DB_A_MS)[::-1] + steps[::-1] * ms * _ATTACK_DB_A_MS
    middles = (steps + 0.5) * hop
    made = np.empty_like(samples)
    for start in range(0, len(samples), _PIECE):
        stop = min(start + _PIECE, len(samples))
        factors = 10 ** (np.interp(np.arange(start, stop), middles, gain) / 20)
        made[start:stop] = samples[start:stop] * factors.astype(np.float32)[:, None]
    return made
