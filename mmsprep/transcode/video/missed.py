"""What is missed where every other frame stands in for the one after it, or where there are fewer pixels, told by the
source alone.

Comes in: a mezzanine, and how far an encode with all frames is from it. Goes out: shares between 0 and 1, or how far
they are off. Never: an encode, or a frame that is kept.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import fmean

import numpy as np
from PIL import Image

from mmsprep.tools.workspace import Workspace
from mmsprep.transcode.video.mezzanine import REFERENCE_FRAMES, Mezzanine

_PAIRS = 100
"""Of frames that are compared, at most."""
_ROWS = 4
"""Every how manieth row of them."""
_CADENCES = 2 * 3 * 5
"""Clips that were made faster repeat, or blend, every so many frames: no step between pairs has a divisor of them."""


@dataclass(frozen=True, slots=True)
class Missed:
    """How far the second of two frames is from the first, beside the error of an encode: 0 where both are one, a half
    where they differ by as much, 1 at most.

    The mean of the whole clip, and of the places that VMAF looks at, which lie a multiple of six frames apart and may
    all meet a frame that is there twice.
    """

    everywhere: float
    looked_at: float


def missed(mezzanine: Mezzanine, error: float, workspace: Workspace) -> Missed | None:
    """What half the frames miss of a clip; ``None`` where its frames do not lie about uncompressed.

    Args:
        mezzanine: of the clip.
        error: the mean square of what an encode with all frames is off, in levels of luma.
        workspace: where the mezzanine is.
    """
    if not mezzanine.is_plain or not error:
        return None
    width_px, height_px = mezzanine.width_px, mezzanine.height_px
    with workspace.open(mezzanine.picture) as file:
        begins, marker = len(file.readline()), len(file.readline())
        frame_bytes = marker + width_px * height_px * 3 // 2
        last = (workspace.size_bytes(mezzanine.picture) - begins) // frame_bytes - 1
        if last < 1:
            return None

        def luma(frame: int) -> np.ndarray:
            file.seek(begins + frame * frame_bytes + marker)
            rows = np.frombuffer(file.read(width_px * height_px), np.uint8).reshape(height_px, width_px)
            return rows[::_ROWS].astype(np.float32)

        def share(frame: int) -> float:
            square = float(np.mean((luma(frame + 1) - luma(frame)) ** 2))
            return square / (square + error)

        step = next(step for step in range(1 + last // 2 // _PAIRS, last + _CADENCES) if math.gcd(step, _CADENCES) == 1)
        everywhere = fmean(map(share, range(0, last, 2 * step)))
        places = range(mezzanine.sampling.first, last, mezzanine.sampling.period)
        return Missed(everywhere, fmean(map(share, places)) if places else everywhere)


def missed_by_scaling(mezzanine: Mezzanine, size_px: tuple[int, int], workspace: Workspace) -> float:
    """The mean square of what the references are off, in levels of luma, after scaling to ``size_px`` and back."""
    width_px, height_px = mezzanine.display_px
    squares = []
    with workspace.open(mezzanine.references) as file:
        file.readline()
        while file.readline():
            shown = Image.frombytes("L", (width_px, height_px), file.read(width_px * height_px))
            file.seek(width_px * height_px // 2, 1)
            small = shown.resize(size_px, Image.Resampling.LANCZOS)
            back = small.resize((width_px, height_px), Image.Resampling.BICUBIC)
            squares.append(float(np.mean((np.asarray(shown, np.float32) - np.asarray(back, np.float32)) ** 2)))
    return fmean(squares[::REFERENCE_FRAMES]) if squares else 0.0
