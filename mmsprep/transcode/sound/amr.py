"""AMR of just the size that there is room for, between the rates that it has.

Comes in: PCM, two rates of a ladder, a size. Goes out: the higher rate from the beginning for as long as there is room,
then the lower one. Never: a byte too many, or a rate that is not one of the two.

Each frame says which rate it has, and a decoder takes any after any other (RFC 4867, 3.4 and 5.3). What a frame leaves
for the next is about the same sound at both rates, so the change is made where it is quietest.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mmsprep.formats.amr import AMR_MAGIC, FRAME_S, amr_frames
from mmsprep.hearing.filters import Levels

_SEARCHED = 0.03
"""The share of all frames that are looked through for a quiet one, back from where there is no more room."""


def joined(
    low: bytes, make_high: Callable[[], bytes], frame_bytes: tuple[int, int], max_bytes: int, sound: tuple[Levels, int]
) -> bytes:
    """The recording at two rates, as much of it at the higher one as ``max_bytes`` hold.

    Args:
        low: all of it at the lower rate.
        make_high: encodes all of it at the higher one.
        frame_bytes: how large a frame of each is.
        max_bytes: the whole file.
        sound: the samples that both are made of, and how many there are a second.
    """
    frames = list(amr_frames(low))
    room = (max_bytes - len(low)) // (frame_bytes[1] - frame_bytes[0])
    if room <= 0:
        return low
    better = list(amr_frames(make_high()))
    count = min(room, len(better), len(frames))
    if count < len(frames):
        count = _quietest(*sound, count - round(_SEARCHED * count), count)
    return AMR_MAGIC + b"".join((*better[:count], *frames[count:]))


def _quietest(samples: Levels, rate_hz: int, first: int, last: int) -> int:
    """The frame from ``first`` to ``last`` at which it is quietest, the last of those."""
    length = round(FRAME_S * rate_hz)
    piece = samples[first * length : (last + 1) * length, 0]
    count = len(piece) // length
    if not count:
        return last
    levels = np.square(piece[: count * length]).reshape(count, length).mean(axis=1)
    return first + count - 1 - int(levels[::-1].argmin())
