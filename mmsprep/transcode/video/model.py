"""What a clip looks like at a size and rate, predicted: the model that size, frame rate and curve come from.

Comes in: how hard a clip is (one small encode at a fixed quantiser, and what VMAF says about it). Goes out: the
size and frame rate to encode at, and the VMAF to expect. Never: pixels, files or encodes.

The constants are fitted by ``benchmarks/video_quality.py --grid``, which encodes real clips at every size:

- the quantiser rises by about six for half the bits, and by about seven for twice the width;
- the width is best where the quantiser is about 44 - 28 x (width / displayed width), within a point of VMAF;
- VMAF follows from width and quantiser, but for an offset of the clip's own that the probe tells (error: 2 points).

VMAF counts a repeated frame as an error, so it does not choose the frame rate: every other frame goes where even
the best size is starved.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

PROBE_LONG_PX = 256
PROBE_CRF = 28
_QP_AN_OCTAVE_OF_RATE = 5.8
_QP_AN_OCTAVE_OF_WIDTH = 7.4
_QP_FOR_HALF_THE_FRAMES = -3.3
_BEST_QP, _BEST_QP_A_SHARE = 44.0, 28.0
_STARVED_QP, _STARVED_VMAF = 34.0, 40.0
_SMALLEST_LONG_PX = 128
_FINEST_QP, _COARSEST_QP = 14.0, 51.0
_CLEAN_QP = 14.0
_LOGIT = 3.7
_LOGIT_WIDTH, _LOGIT_WIDTH_2 = 0.763, -0.332
_LOGIT_QP, _LOGIT_QP_2, _LOGIT_QP_WIDTH = -1.203, -0.106, -0.307
_HALF_RATE_WORTH = 0.95
_ON_A_PHONE = (1.70674692, 1.72643844, -0.00705305)
_STEPS = 48

CODEC_COST = {"h264": 1.0, "mpeg4": 1.6, "h263": 2.0}
"""Bits that a codec needs for what H.264 Baseline does with one."""
_LOWEST_FPS = {"h264": 12.0, "mpeg4": 10.0, "h263": 7.0}


@dataclass(frozen=True, slots=True)
class Hardness:
    """How much a clip costs and how well its looks survive.

    ``probe_kbps`` is the rate of the probe: ``probe_long_px`` wide, x264 at ``PROBE_CRF``. ``offset`` is the
    clip's own, on the logit of VMAF.
    """

    probe_kbps: float
    probe_long_px: int
    display_long_px: int
    offset: float = 0.0


@dataclass(frozen=True, slots=True)
class Shape:
    """Longest side in pixels, and whether every frame is kept (1) or every other one (2)."""

    long_px: int
    every: int


def quantiser(hard: Hardness, long_px: float, every: int, rate_kbps: float) -> float:
    """The mean quantiser (H.264's scale, 0..51) that ``rate_kbps`` of H.264 leads to."""
    qp = PROBE_CRF + 4.0
    qp += _QP_AN_OCTAVE_OF_RATE * math.log2(hard.probe_kbps / max(rate_kbps, 0.1))
    qp += _QP_AN_OCTAVE_OF_WIDTH * math.log2(long_px / hard.probe_long_px)
    return qp + _QP_FOR_HALF_THE_FRAMES * (every - 1)


def vmaf_at(hard: Hardness, long_px: float, qp: float) -> float:
    """VMAF of a clip ``long_px`` wide at a mean quantiser, seen at its display size."""
    width = math.log2(long_px / hard.display_long_px)
    coarse = max(0.0, min(qp, _COARSEST_QP) - _CLEAN_QP) / 10
    logit = _LOGIT + hard.offset + _LOGIT_WIDTH * width + _LOGIT_WIDTH_2 * width**2
    logit += _LOGIT_QP * coarse + _LOGIT_QP_2 * coarse**2 + _LOGIT_QP_WIDTH * coarse * width
    return 100 / (1 + math.exp(-logit))


def offset_from(hard: Hardness, measured_vmaf: float) -> float:
    """The clip's own offset, from the probe's measured VMAF."""
    measured = min(98.0, max(2.0, measured_vmaf)) / 100
    predicted = vmaf_at(hard, hard.probe_long_px, PROBE_CRF + 4.0) / 100
    return math.log(measured / (1 - measured)) - math.log(predicted / (1 - predicted)) + hard.offset


def best_shape(
    hard: Hardness, rate_kbps: float, fps: float, largest_long_px: int, codec: str = "h264", qp_error: float = 0.0
) -> Shape:
    """The size and frame rate that ``rate_kbps`` look best at.

    Args:
        hard: of the clip.
        rate_kbps: for the pictures alone.
        fps: of the mezzanine.
        largest_long_px: of the mezzanine.
        codec: of the profile.
        qp_error: how much higher the real quantiser was than the predicted one.
    """
    rate_kbps /= CODEC_COST[codec]
    long_px = _crossing(hard, rate_kbps, 1, largest_long_px, qp_error)
    qp = quantiser(hard, long_px, 1, rate_kbps) + qp_error
    starved = qp > _STARVED_QP and vmaf_at(hard, long_px, qp) < _STARVED_VMAF
    if starved and fps / 2 >= _LOWEST_FPS[codec]:
        return Shape(_crossing(hard, rate_kbps, 2, largest_long_px, qp_error), 2)
    return Shape(long_px, 1)


def _crossing(hard: Hardness, rate_kbps: float, every: int, largest_long_px: int, qp_error: float) -> int:
    """Where the quantiser, which rises with the width, meets the best one for that width, which falls."""
    low, high = min(_SMALLEST_LONG_PX, largest_long_px), largest_long_px
    for _ in range(_STEPS):
        middle = (low + high) // 2
        wanted = _BEST_QP - _BEST_QP_A_SHARE * middle / hard.display_long_px
        too_coarse = quantiser(hard, middle, every, rate_kbps) + qp_error > wanted
        low, high = (low, middle) if too_coarse else (middle, high)
        if high - low <= 1:
            break
    return high


def predicted_quality(hard: Hardness, rate_kbps: float, shape: Shape, codec: str = "h264") -> float:
    """The quality, 0..100, that ``rate_kbps`` give at ``shape``."""
    qp = quantiser(hard, shape.long_px, shape.every, rate_kbps / CODEC_COST[codec])
    return seen_quality(vmaf_at(hard, shape.long_px, qp), shape.every)


def seen_quality(vmaf: float, every: int) -> float:
    """Quality on a phone, from the VMAF of the frames that are there: half the frames cost a twentieth.

    VMAF is what a television shows; its own phone model (``vmaf_v0.6.1``, score_transform) says what that is worth on
    a small screen, which makes it comparable with the quality of pictures and sound. Ou et al., "Perceptual Video
    Quality Assessment Considering Both Frame Rate and Quantization Artifacts" (2011), find 3-7 % between 30 and 15
    frames a second.
    """
    none, linear, square = _ON_A_PHONE
    on_a_phone = max(vmaf, none + linear * vmaf + square * vmaf**2)
    return min(100.0, max(1.0, on_a_phone * (_HALF_RATE_WORTH if every == 2 else 1.0)))


def most_useful_kbps(hard: Hardness, largest_long_px: int, codec: str = "h264") -> float:
    """The rate beyond which nothing is left to gain at the largest size."""
    octaves = (quantiser(hard, largest_long_px, 1, 1.0) - _FINEST_QP) / _QP_AN_OCTAVE_OF_RATE
    return float(2**octaves) * CODEC_COST[codec]
