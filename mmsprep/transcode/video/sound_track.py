"""How many of a clip's bits its sound gets: as many as are worth more there than in the pictures.

Comes in: the profile's rungs, what is heard, and what a rate is worth to the pictures. Goes out: a rung, or a rate
between two. Never: an encode.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import msgspec

from mmsprep.profile import AudioStep
from mmsprep.transcode.sound.speech import Material
from mmsprep.transcode.sound.worth import rung_quality

SOUND_OVERHEAD = 1.04
"""What a container adds to a sound track, before the true size is known."""
_WORTH = 0.3
_UNDERSTOOD = 35.0
_MOST_FOR_SOUND = 0.35
"""The weight of being understood beside the pictures' quality; the quality of a rung at which 63 % is understood; the
share of all bits that sound may take. Set by hand."""
LEAST_FOR_PICTURES = 1 - _MOST_FOR_SOUND
_STEPS_BETWEEN = 4
"""Parts that the way between two rungs is divided into."""
_SPOILT = 6.0
"""Points that a speech codec costs on music, whatever a measure says: everyone hears it as a fault. Set by hand."""


def best_step(
    ladder: Sequence[AudioStep], heard: Material, total_kbps: float, picture_quality: Callable[[float], float]
) -> AudioStep:
    """The step that together with the pictures is worth most.

    A listener's gain flattens: what makes a voice understood is worth more than what makes it brilliant. Sound never
    takes more than a third of the bits, unless the smallest rung does.

    Args:
        ladder: the profile's rungs for clips.
        heard: in the sound track.
        total_kbps: for sound and pictures.
        picture_quality: VMAF of the pictures at a rate in kbit/s.
    """

    def worth(step: AudioStep) -> float:
        understood = 100 * (1 - math.exp(-rung_quality(step, heard) / _UNDERSTOOD))
        spoilt = _SPOILT if heard is Material.MUSIC and step.format == "amr" else 0.0
        return picture_quality(total_kbps - step.rate_kbps * SOUND_OVERHEAD) + _WORTH * understood - spoilt

    smallest = min(ladder, key=lambda step: step.rate_kbps)
    affordable = [step for step in steps(ladder) if step.rate_kbps <= total_kbps * _MOST_FOR_SOUND]
    return max(affordable, key=worth, default=smallest)


def steps(ladder: Sequence[AudioStep]) -> list[AudioStep]:
    """The rungs, and rates between two of one format and channel count at the lower one's sampling rate.

    AMR has its own rates and no others.
    """
    rising = sorted(ladder, key=lambda step: step.rate_kbps)
    between = [
        msgspec.structs.replace(low, rate_kbps=round(low.rate_kbps * (high.rate_kbps / low.rate_kbps) ** part))
        for low, high in pairwise(rising)
        if low.format == high.format != "amr" and low.channels == high.channels
        for part in (place / _STEPS_BETWEEN for place in range(1, _STEPS_BETWEEN))
    ]
    return [*rising, *between]
