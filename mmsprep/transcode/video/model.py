"""What a clip looks like at a size and rate, predicted: for the curve, and for the first guess at a size.

Comes in: how hard a clip is (one small encode at a fixed quantiser, and what VMAF says about it), then what trials of
the clip itself measured. Goes out: the size to try, and the VMAF to expect. Never: pixels, files or encodes.

The constants are fitted to real clips encoded at every size:

- the quantiser rises by about six for half the bits, and by about seven for twice the width;
- VMAF follows from width and quantiser, but for two things of the clip's own: an offset, which the probe tells, and how
  much its detail gains by width, which a trial at another size tells.

Against the best of every width, the one predicted from the probe alone loses 0.9 points of VMAF in the mean and 3.6 at
most, the one that up to three trials lead to 0.5 and 2.1.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace

PROBE_LONG_PX = 256
PROBE_CRF = 29.5
PROBE_QP = 32.0
"""The mean quantiser that the probe, x264 at ``PROBE_CRF``, counts as."""
FINE_PROBE_LONG_PX, FINE_PROBE_CRF = 384, 24.0
FINE_PROBE_QP = PROBE_QP - (PROBE_CRF - FINE_PROBE_CRF)
"""The same of the probe of a short clip, which has more bits for each pixel."""
_QP_ABOVE_CRF = 4.0
"""How much higher the mean quantiser of a finished encode is than its CRF."""
_QP_AN_OCTAVE_OF_RATE = 5.8
QP_AN_OCTAVE_OF_WIDTH = 7.4
_QP_FOR_EACH_FRAME_LEFT_OUT = -3.3
"""Of H.264's quantiser, for half the rate, twice the width, and each frame left out between two that stay; fitted, as
said above."""
_SMALLEST_LONG_PX = 128
_STEP = 0.97
_STRIDE = 4
"""Pixels, the smallest longest side; ratio of the sizes that are compared, first every fourth, then those beside it."""
_FINEST_QP, _COARSEST_QP = 14.0, 51.0
_FINEST_OF_BEST_QP, _COARSEST_OF_BEST_QP = 26.5, 41.0
_NEARLY, _NEARLY_OF_MANY = 0.9, 0.95
_CLEAN_QP = 14.0
"""Quantisers: the finest and the coarsest that are used; those that the best of several tried widths had; shares of
the largest width that are as good as all of it, of a short clip and of a longer one (at 0.91 to 0.94 of it the largest
was 0.3 VMAF poorer in the mean of four, 0.65 at most); up to the last no loss is seen."""
_LOGIT = 3.7
_LOGIT_WIDTH, _LOGIT_WIDTH_2 = 0.763, -0.332
_LOGIT_QP, _LOGIT_QP_2, _LOGIT_QP_WIDTH = -1.203, -0.106, -0.307
"""The logit of VMAF: at the whole width, and by width (octaves) and quantiser (tens); fitted, as said above."""
_FINISHED, _FINISHED_OFFSET, _FINISHED_QP = 0.21, -0.17, 0.30
_FINEST_FITTED_QP = 22.0
"""On the logit of VMAF: what a finished encode at the size that trials lead to has more than a first pass at the size
that the probe leads to; by the clip's own offset; by quantiser (tens above the probe's). Fitted to 50 clips at 280 and
90 kB, which hardly ever had a finer quantiser than the last."""
_NOT_HASTY = 0.25
"""On the logit of VMAF: what a finished encode has more than a hasty one, such as the probe, of one size and quantiser.
In the mean of 65 it is 0.39, with a standard deviation of 0.16; less of it has a larger size tried where it may pay: of
too few pixels clips lose most."""
_OFFSET_IS_SURE, _GAIN_IS_SURE = 1.5, 0.6
_MEASURED_IS_SURE = 0.15
"""Standard deviations, on the logit of VMAF, of the two traits over clips and of one measurement."""
_LOWEST_VMAF, _HIGHEST_VMAF = 2.0, 98.0
"""VMAF that tells something of the logit."""
_LEFT_OUT_WORTH = 0.95
"""Of the quality, where frames are left out. Set by hand."""
_SEEN_VMAF = (0.0, 20.0, 40.0, 60.0, 70.0, 80.0, 90.0, 95.0, 100.0)
_SEEN_QUALITY = (0.0, 15.0, 32.0, 46.0, 54.0, 63.0, 76.0, 85.0, 100.0)
"""VMAF, and what it is worth on the scale of pictures: half-way between it and SSIMULACRA2 of the same frames as a
phone shows a photograph (``benchmarks/clip_calibration.py``) above 60, and VMAF's own words (40 poor, 60 fair) below.
"""

CODEC_COST = {"h264": 1.0, "h264 main": 0.75, "h264 high": 0.7, "mpeg4": 1.6, "h263": 2.0}
"""Bits that a codec, or a profile of it, needs for what H.264 Baseline does with one.

Rates in this module are Baseline's: a profile's own rate divided by this.
"""


@dataclass(frozen=True, slots=True)
class Hardness:
    """How much a clip costs and how well its looks survive.

    ``probe_kbps`` is the rate of the probe: ``probe_long_px`` wide, at a mean quantiser of ``probe_qp``. The rest is
    the clip's own: ``offset`` and ``width_gain`` (an octave) on the logit of VMAF, ``qp_error`` how much higher the
    quantiser is.
    """

    probe_kbps: float
    probe_long_px: int
    display_long_px: int
    probe_qp: float = PROBE_QP
    offset: float = 0.0
    width_gain: float = 0.0
    qp_error: float = 0.0


@dataclass(frozen=True, slots=True)
class Measured:
    """One encode that was looked at: longest side, mean quantiser, VMAF."""

    long_px: int
    qp: float
    vmaf: float


def quantiser(hard: Hardness, long_px: float, every: int, rate_kbps: float) -> float:
    """The mean quantiser (H.264's scale) that ``rate_kbps`` of H.264 leads to, every n-th frame kept."""
    qp = hard.probe_qp + hard.qp_error
    qp += _QP_AN_OCTAVE_OF_RATE * math.log2(hard.probe_kbps / max(rate_kbps, 0.1))
    qp += QP_AN_OCTAVE_OF_WIDTH * math.log2(long_px / hard.probe_long_px)
    return qp + _QP_FOR_EACH_FRAME_LEFT_OUT * (every - 1)


def vmaf_at(hard: Hardness, long_px: float, qp: float) -> float:
    """VMAF of a clip ``long_px`` wide at a mean quantiser, seen at its display size."""
    return 100 / (1 + math.exp(-_logit_at(hard, long_px, min(qp, _COARSEST_QP))))


def _logit_at(hard: Hardness, long_px: float, qp: float) -> float:
    width = math.log2(long_px / hard.display_long_px)
    coarse = max(0.0, qp - _CLEAN_QP) / 10
    logit = _LOGIT + hard.offset + (_LOGIT_WIDTH + hard.width_gain) * width + _LOGIT_WIDTH_2 * width**2
    return logit + _LOGIT_QP * coarse + _LOGIT_QP_2 * coarse**2 + _LOGIT_QP_WIDTH * coarse * width


def fitted(hard: Hardness, measured: Sequence[Measured]) -> Hardness:
    """The clip's own offset and gain by width as ``measured`` says, no further from the usual than it takes.

    Least squares with both traits drawn towards 0: one measurement tells the offset, two at different widths the gain.
    """
    plain = replace(hard, offset=0.0, width_gain=0.0)
    # The normal equations of two unknowns.
    weight = 1 / _MEASURED_IS_SURE**2
    ones, widths, squares = 1 / _OFFSET_IS_SURE**2, 0.0, 1 / _GAIN_IS_SURE**2
    sum_offset, sum_gain = 0.0, 0.0
    for one in measured:
        seen = min(_HIGHEST_VMAF, max(_LOWEST_VMAF, one.vmaf)) / 100
        more = math.log(seen / (1 - seen)) - _logit_at(plain, one.long_px, min(one.qp, _COARSEST_QP))
        width = math.log2(one.long_px / hard.display_long_px)
        ones += weight
        widths += weight * width
        squares += weight * width**2
        sum_offset += weight * more
        sum_gain += weight * more * width
    determinant = ones * squares - widths**2
    return replace(
        hard,
        offset=(sum_offset * squares - sum_gain * widths) / determinant,
        width_gain=(sum_gain * ones - sum_offset * widths) / determinant,
    )


def as_the_probe(vmaf: float) -> float:
    """The VMAF of a finished encode as it would be of one that is as hasty as the probe."""
    seen = min(_HIGHEST_VMAF, max(_LOWEST_VMAF, vmaf)) / 100
    return 100 / (1 + (1 - seen) / seen * math.exp(_NOT_HASTY))


def best_long_px(hard: Hardness, rate_kbps: float, largest_long_px: int, every: int = 1) -> int:
    """The longest side that ``rate_kbps`` look best at.

    Args:
        hard: of the clip.
        rate_kbps: for the pictures alone.
        largest_long_px: of the mezzanine.
        every: 1 where every frame is kept, 2 where every other one is.
    """

    def worth(long_px: float) -> float:
        return _logit_at(hard, long_px, quantiser(hard, long_px, every, rate_kbps))

    smallest = min(_SMALLEST_LONG_PX, largest_long_px)
    steps = math.floor(math.log(smallest / largest_long_px, _STEP))
    by_step = [largest_long_px * _STEP**step for step in range(steps + 1)]
    # What it is worth rises to one best width and falls: every fourth tells where that is.
    near = max(range(0, steps + 1, _STRIDE), key=lambda step: worth(by_step[step]))
    best: float = max(by_step[max(0, near - _STRIDE + 1) : near + _STRIDE], key=worth)
    return round(best)


def usual_long_px(hard: Hardness, rate_kbps: float, largest_long_px: int) -> int:
    """:func:`best_long_px` with every frame kept, within the quantisers that best sizes have: beyond, it is off."""
    best_px = best_long_px(hard, rate_kbps, largest_long_px)
    qp = quantiser(hard, best_px, 1, rate_kbps)
    usual_qp = min(max(qp, _FINEST_OF_BEST_QP), _COARSEST_OF_BEST_QP)
    usual_px = best_px * 2 ** ((usual_qp - qp) / QP_AN_OCTAVE_OF_WIDTH)
    return round(min(largest_long_px, max(min(_SMALLEST_LONG_PX, largest_long_px), usual_px)))


def is_nearly_largest(hard: Hardness, rate_kbps: float, largest_long_px: int, *, of_few: bool) -> bool:
    """Whether :func:`usual_long_px` is so near to the largest one that this may as well be tried, of a clip that looks
    as most do; ``of_few``: it has few frames."""
    nearly = _NEARLY if of_few else _NEARLY_OF_MANY
    return usual_long_px(hard, rate_kbps, largest_long_px) >= nearly * largest_long_px


def predicted_vmaf(hard: Hardness, rate_kbps: float, long_px: int) -> float:
    """The VMAF that ``rate_kbps`` give at ``long_px``, every frame kept, as a first pass shows it."""
    return vmaf_at(hard, long_px, quantiser(hard, long_px, 1, rate_kbps))


def foreseen_vmaf(hard: Hardness, rate_kbps: float, long_px: int) -> float:
    """The VMAF to expect of a finished encode, where ``hard`` is what the probe alone tells.

    It is better than :func:`predicted_vmaf`: trials find a better size, the second pass spends the bits where they
    show, and what looks poor when small gains most. On clips that the fit has not seen the forecast is 0.3 above what
    was measured in the mean instead of 3.5 below, and 3.8 off instead of 5.5 (``benchmarks/clip_calibration.py
    --forecast``).
    """
    qp = min(quantiser(hard, long_px, 1, rate_kbps), _COARSEST_QP)
    more = _FINISHED + _FINISHED_OFFSET * hard.offset
    more += _FINISHED_QP * (max(qp, _FINEST_FITTED_QP) - PROBE_QP) / 10
    return 100 / (1 + math.exp(-_logit_at(hard, long_px, qp) - more))


def seen_quality(vmaf: float, every: int) -> float:
    """Quality on a phone, from the VMAF of the frames that are there: half the frames cost a twentieth.

    On one scale with pictures and sound: a single frame would be judged as a photograph is, and one that moves is
    forgiven half of that. libvmaf's phone model forgives far more (VMAF 84 is 97 there, the frames of such a clip 43 to
    57 of SSIMULACRA2), and pictures beside a clip then got what the clip needed. Ou et al., "Perceptual Video Quality
    Assessment Considering Both Frame Rate and Quantization Artifacts" (2011), find 3-7 % between 30 and 15 frames a
    second.
    """
    place = min(max(1, bisect_left(_SEEN_VMAF, vmaf)), len(_SEEN_VMAF) - 1)
    low, high = _SEEN_VMAF[place - 1 : place + 1]
    worst, best = _SEEN_QUALITY[place - 1 : place + 1]
    seen = worst + (best - worst) * (vmaf - low) / (high - low)
    return min(100.0, max(1.0, seen * (_LEFT_OUT_WORTH if every > 1 else 1.0)))


def most_useful_kbps(hard: Hardness, largest_long_px: int) -> float:
    """The rate beyond which nothing is left to gain at the largest size."""
    return _kbps_at(hard, largest_long_px, _FINEST_QP)


def plenty_kbps(hard: Hardness, largest_long_px: int, crf: float) -> float:
    """The rate of every frame at the largest size, by x264 at a constant quality; what stands still needs less."""
    return _kbps_at(hard, largest_long_px, crf + _QP_ABOVE_CRF)


def plenty_kbps_as_tried(
    rate_kbps: float, qp: float, tried: tuple[int, int], largest_long_px: int, crf: float
) -> float:
    """:func:`plenty_kbps` as a first pass of all of the clip tells it, which came to ``rate_kbps`` at ``qp``.

    ``tried`` is its longest side, and 1 where it kept every frame, 2 where every other one. On 17 clips what the whole
    then took was 0.7 to 2.7 times as much, where it was near enough to matter (up to 1.5) 0.7 to 0.95.
    """
    long_px, every = tried
    qp += QP_AN_OCTAVE_OF_WIDTH * math.log2(largest_long_px / long_px) - _QP_FOR_EACH_FRAME_LEFT_OUT * (every - 1)
    return float(rate_kbps * 2 ** ((qp - crf - _QP_ABOVE_CRF) / _QP_AN_OCTAVE_OF_RATE))


def _kbps_at(hard: Hardness, long_px: int, qp: float) -> float:
    return float(2 ** ((quantiser(hard, long_px, 1, 1.0) - qp) / _QP_AN_OCTAVE_OF_RATE))


def codec_cost(codec: str, codec_profile: str) -> float:
    """:data:`CODEC_COST` of a codec in a profile of it."""
    return CODEC_COST.get(f"{codec} {codec_profile.lower()}", CODEC_COST[codec])
