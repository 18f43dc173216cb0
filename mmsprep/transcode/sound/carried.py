"""Which part of a sound an encoder carries, and whether anything is left of what is heard.

Comes in: a :class:`~mmsprep.hearing.channels.Mix`, a rung of a ladder. Goes out: the mix as far as the rung carries it.
Never: a change of a sound whose loudness lies inside of what is carried.

AMR is made for 100 to 3500 Hz: of a whistle above, a hum below or a click it leaves next to nothing. What is levelled
and compared is therefore what can be there still; and where nothing can, that is said before anything is encoded.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mmsprep.hearing.channels import Mix
from mmsprep.hearing.filters import Levels, band_pass, filtered
from mmsprep.hearing.loudness import SILENCE_LUFS, integrated_lufs, k_weighting
from mmsprep.profile import AudioStep
from mmsprep.transcode.sound.worth import STEREO_COST

Band = tuple[float, float]
"""From and to how many Hz."""
SILENT_DBFS, _BELOW_PEAK_DB = -84.0, 70.0
"""Below this, or so far below the peak, nothing is heard: the noise of 16 bits is."""
_HEARD_HZ = (20.0, 20_000.0)
_AMR_HZ = (100.0, 3_500.0)
"""A tone of 100 Hz comes out of 12.2 kbit/s 2 dB quieter, one of 80 Hz 6 dB, of 60 Hz 18 dB; one of 3400 Hz 0.5 dB, of
3600 Hz 2 dB, of 3800 Hz 10 dB, of 4 kHz 39 dB (libopencore-amrnb)."""
_MP3_HZ = ((28, 5_500), (36, 7_000), (56, 10_000), (64, 14_500), (90, 16_000))
_MP3_MOST_HZ = 17_500
"""Up to so many kbit/s of one channel LAME keeps so much of white noise, whether its rate is constant, mean or
variable."""
_NYQUIST_SHARE = 0.46
"""Of the sampling rate, what a resampler leaves."""
_FADE_S = 0.2
_BLOCK = 4_096
_FEW = 0.2
"""The share of the power outside of a band that nobody misses: 1 dB."""
_LEAST_LU = -30.0
"""What is so far below the rest is its noise, or what an encoder or a filter left."""


def is_silent(samples: Levels) -> bool:
    """Whether there is nothing to hear."""
    return _dbfs(float(np.abs(samples).max(initial=0.0))) < SILENT_DBFS


def silent_dbfs(samples: Levels) -> float:
    """Up to which level a sound is taken for silence."""
    return max(SILENT_DBFS, _dbfs(float(np.abs(samples).max(initial=0.0))) - _BELOW_PEAK_DB)


def _dbfs(level: float) -> float:
    return 20 * float(np.log10(max(level, 1e-9)))


def band_hz(step: AudioStep) -> Band:
    """What a rung carries, from and to how many Hz."""
    most_hz = step.sample_rate_hz * _NYQUIST_SHARE
    match step.format:
        case "amr":
            return _AMR_HZ
        case "mp3":
            kbps = step.rate_kbps / (STEREO_COST if step.channels == 2 else 1.0)
            return _HEARD_HZ[0], min(most_hz, next((hz for most, hz in _MP3_HZ if kbps < most), _MP3_MOST_HZ))
    return _HEARD_HZ[0], min(most_hz, _HEARD_HZ[1])


@dataclass(frozen=True, slots=True)
class Inside:
    """A mix as far as a band carries it, and whether that is heard; ``lost_lu`` is how much louder the whole is."""

    mix: Mix
    is_heard: bool
    lost_lu: float


def inside(mix: Mix, band: Band) -> Inside:
    """The part of a mix that lies inside a band; the mix itself where that is nearly all of what is heard."""
    if _share_outside(mix.mono[:, 0], mix.rate_hz, band) < _FEW:
        return Inside(mix, not is_silent(mix.mono), 0.0)
    kept = mix.through(band_pass(*band, mix.rate_hz))
    # Where a sound begins or ends of a sudden it has every frequency for a moment.
    ends = _faded(mix.mono, mix.rate_hz)
    within = filtered(ends, mix.rate_hz, band_pass(*band, mix.rate_hz))
    whole_lufs, within_lufs = (integrated_lufs(one, mix.rate_hz) for one in (ends, within))
    is_heard = within_lufs > max(SILENCE_LUFS, whole_lufs + _LEAST_LU) and not is_silent(within)
    return Inside(kept, is_heard, max(0.0, whole_lufs - within_lufs))


def nothing_heard(mix: Mix) -> bool:
    """Whether nobody hears anything of it: silence, a constant voltage, what lies above all that is heard."""
    return is_silent(mix.mono) or not inside(mix, _HEARD_HZ).is_heard


def side_of(mix: Mix, band: Band) -> str:
    """Where most of what is heard lies, in words: below or above a band."""
    low = _share_outside(mix.mono[:, 0], mix.rate_hz, (band[0], mix.rate_hz))
    return "below" if low > _share_outside(mix.mono[:, 0], mix.rate_hz, (0.0, band[1])) else "above"


def _share_outside(samples: Levels, rate_hz: int, band: Band) -> float:
    """Which share of the K-weighted power lies outside of a band; 1 where there is no power."""
    blocks = np.pad(samples, (0, -len(samples) % _BLOCK)).reshape(-1, _BLOCK)
    window = np.hanning(_BLOCK).astype(np.float32)
    power = np.zeros(_BLOCK // 2 + 1)
    for some in np.array_split(blocks, max(1, len(blocks) // 64)):
        power += np.square(np.abs(np.fft.rfft(some * window, axis=1))).sum(axis=0, dtype=np.float64)
    hz = np.fft.rfftfreq(_BLOCK, 1 / rate_hz)
    power *= np.abs(k_weighting(hz, rate_hz)) ** 2
    outside = float(power[(hz < band[0]) | (hz > band[1])].sum())
    return outside / float(power.sum()) if power.any() else 1.0


def _faded(samples: Levels, rate_hz: int) -> Levels:
    count = min(len(samples) // 4, round(_FADE_S * rate_hz))
    ramp = (0.5 - 0.5 * np.cos(np.linspace(0, np.pi, count))).astype(np.float32)[:, None]
    made = samples.copy()
    made[:count] *= ramp
    made[len(made) - count :] *= ramp[::-1]
    return made
