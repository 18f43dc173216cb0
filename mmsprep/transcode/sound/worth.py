"""What a rung of an audio ladder is worth to whoever listens, and whether two channels are worth their bytes.

Comes in: a rung, what is heard, how much channels differ. Goes out: a quality, 0..100. Never: a decode or an encode.

It depends on what is heard (:mod:`mmsprep.transcode.sound.speech`): a speech codec ruins music, and loses nothing that
a telephone has cut off before.
"""

from __future__ import annotations

import numpy as np

from mmsprep.hearing.filters import Levels
from mmsprep.profile import AudioStep
from mmsprep.transcode.sound.speech import Material

_STEREO_PAYS = ((0.08, 96.0), (0.03, 112.0), (0.005, 128.0))
"""From which share of the power in their difference, and which rate, two channels are worth more than one.

With the judges of benchmarks/music_quality.py on ten pieces, an ear for each channel and a loudspeaker for both
counting alike: at equal quality numbers of LAME two channels take 1.73 to 2.0 times the bytes of one, whatever they
share, and one costs earphones 0.1 to 1.8 of Zimtohrli's 4 points. Between the numbers measured, two win at 96 kbit/s
and 32 kHz on six pieces of the eight with a share of 0.08 and more (4.6 and 4.6 in place of 4.9 and 4.0), at 80 on two.
"""
ALIKE = min(share for share, _ in _STEREO_PAYS)
"""Below this share two channels are one."""
STEREO_COST = 1.9
_STEREO_WORTH = 1.0
"""Bytes of two channels beside those of one that sounds as clean; points that they are worth more where they pay."""

_Table = tuple[tuple[float, float], ...]
_WORTH: dict[Material, dict[str, _Table]] = {
    # PESQ-WB, 1..4.64, from benchmarks/sound_quality.py; narrow: the same sentences through a telephone. On six voices
    # MP3 of 16 kbit/s is 0.29 below AMR 12.2 in the mean, from 0.67 below to 0.07 above, and level at 19; Zimtohrli,
    # which hears what AMR lacks above 3.4 kHz, has 0.72 more for it, ViSQOL, asked about one voice, the same for both.
    Material.SPEECH: {
        "amr": ((4.75, 1.95), (5.9, 2.07), (7.95, 2.19), (10.2, 2.35), (12.2, 2.42)),
        "mp3": (
            (16, 2.2),
            (20, 2.55),
            (22, 2.85),
            (24, 3.2),
            (32, 3.92),
            (36, 4.07),
            (44, 4.22),
            (64, 4.5),
            (128, 4.64),
        ),
        "aac": ((16, 2.0), (24, 2.73), (32, 3.06), (48, 3.8), (64, 4.27), (96, 4.5)),
        "wav": ((128, 3.47), (256, 4.64)),
        "wav-ima": ((32, 2.38), (64, 2.82), (176, 4.0)),
    },
    Material.NARROW_SPEECH: {
        "amr": ((4.75, 2.69), (5.9, 2.94), (7.95, 3.28), (10.2, 3.59), (12.2, 3.77)),
        "mp3": ((16, 3.45), (24, 4.22), (32, 4.45), (48, 4.55), (64, 4.6)),
        "aac": ((16, 3.03), (24, 3.53), (32, 3.77), (48, 4.3), (64, 4.5)),
        "wav": ((128, 4.64),),
        "wav-ima": ((32, 3.2), (64, 3.5)),
    },
    # MP3: ViSQOL, 1..4.85, the best sampling rate at each mean rate, eight pieces: an orchestra, film music, blues,
    # rock, dance. The others are of an earlier measurement on an orchestra.
    Material.MUSIC: {
        "amr": ((4.75, 1.4), (12.2, 1.5)),
        "mp3": (
            (16, 2.0),
            (20, 2.04),
            (24, 2.05),
            (32, 2.4),
            (40, 3.05),
            (48, 3.35),
            (56, 4.28),
            (64, 4.47),
            (80, 4.58),
            (128, 4.7),
        ),
        "aac": ((16, 1.5), (24, 1.6), (32, 2.0), (48, 3.0), (64, 4.2), (96, 4.6)),
        "wav": ((128, 1.6), (256, 1.9), (706, 4.85)),
        "wav-ima": ((32, 1.6), (64, 1.9), (176, 4.0)),
    },
}
_BEST = {Material.SPEECH: 4.64, Material.NARROW_SPEECH: 4.64, Material.MUSIC: 4.85}
_BITS_A_SAMPLE = {"wav": 16, "wav-ima": 4}


def rung_quality(step: AudioStep, heard: Material, side: float = 0.0) -> float:
    """What a rung is worth, 0..100.

    The tables hold for one channel. Two need nearly twice its bytes to sound as clean; they pay where they differ
    (``side``, see :func:`side_share`) and there are bytes enough.
    """
    bits = _BITS_A_SAMPLE.get(step.format)
    rate_kbps = bits * step.sample_rate_hz / 1000 if bits else step.rate_kbps
    bonus = 0.0
    if step.channels == 2 and not bits:
        pays = any(side >= share and rate_kbps >= least_kbps for share, least_kbps in _STEREO_PAYS)
        rate_kbps, bonus = (rate_kbps, _STEREO_WORTH) if pays else (rate_kbps / STEREO_COST, 0.0)
    rates, scores = zip(*_WORTH[heard][step.format], strict=True)
    return min(100.0, 100 * (float(np.interp(rate_kbps, rates, scores)) - 1) / (_BEST[heard] - 1) + bonus)


def side_share(samples: Levels) -> float:
    """Which share of the power two channels do not have in common: 0 (alike) .. 1; of any other number of them 0."""
    if samples.shape[1] != 2:
        return 0.0
    middle, side = samples[:, 0] + samples[:, 1], samples[:, 0] - samples[:, 1]
    power = float(np.square(side, dtype=np.float64).sum())
    return power / max(power + float(np.square(middle, dtype=np.float64).sum()), 1e-20)
