"""The size and frame rate that a clip looks best at, found by trials of the clip itself.

Comes in: a mezzanine, how hard the clip is, a rate, and what encodes. Goes out: the settings that won and what was made
with them. Never: a file that fits to the byte, or more than five encodes.

A trial is a finished encode, looked at by VMAF in a dozen places: most clips need no second one, and what is tried is
what is sent.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from mmsprep.profile import VideoRules
from mmsprep.tools.workspace import Workspace
from mmsprep.transcode.video import vmaf
from mmsprep.transcode.video.encode import ClipSettings, Encoded
from mmsprep.transcode.video.forecast import Forecast
from mmsprep.transcode.video.mezzanine import FEWEST_FRAMES, Mezzanine
from mmsprep.transcode.video.missed import Missed, missed, missed_by_scaling
from mmsprep.transcode.video.model import (
    PROBE_LONG_PX,
    QP_AN_OCTAVE_OF_WIDTH,
    Hardness,
    Measured,
    as_the_probe,
    best_long_px,
    codec_cost,
    fitted,
    predicted_vmaf,
    quantiser,
    usual_long_px,
)

_MOST_TRIALS = 3
"""Sizes that are tried."""
_ALIKE = math.log(1.1)
"""Of log width: sizes this near are one."""
_WORTH_TRYING = 0.45
"""Points of VMAF that another size must promise."""
_LONGEST_STEP = 1.6
"""Ratio of widths: no trial is further away from those before."""
_GOOD_QP, _COARSE_QP, _BESIDE = 26.0, 41.0, 1.25
"""Quantisers between which the model is trusted; beyond them a size this much larger or smaller is tried too. Where the
largest size has a finer one, no other is tried."""
_FINE_WHERE_CERTAIN_QP = 37.0
"""The same where the largest size was certain. With a look at the probe, too, no other size was tried of six short
clips at 280 kB, whose quantisers were 25 to 36; of one a smaller one was first, and 0.05 VMAF better."""
_SURELY_ENOUGH_VMAF = 46.0
"""From here on fewer frames are hardly ever tried, where a clip was looked at in half the places, without the first. Of
20 short clips and budgets what that reports is 1.2 points off in the mean, 4.4 at most; in all places 1.3 and 6.8."""
_STILL, _STILL_QP, _BESIDE_STILL = 0.8, 38.5, 1.4
"""Where so many of the blocks are as before, up to such a quantiser, a size this much larger is tried: what stands was
encoded finely once, and the quantiser of the rest tells little of it."""
_STRAINED = 1.0
"""Points of VMAF by which a larger size of a coarser quantiser than is trusted must look better: the dozen places that
are looked at were half a point too kind to one."""
_SMALLEST_LONG_PX = 128
"""Pixels."""
_NEAR_OWN, _SHARP = 0.66, 0.1
"""Of a source that may be sent in its own size: from which share of it on that is tried beside a smaller one, and from
which share of what the encode is off scaling alone is off. Of 18 clips and budgets five are tried so, four of which
gain 0.4 to 2.4 VMAF; the others would gain nothing, or lose up to 3.7."""
_AN_OCTAVE_OF_RATE = 11.0
_MOST_FOR_RATE = 2.0
"""Points of VMAF for twice the rate, and at most, by which a trial at another rate is corrected."""
_HARDLY_MORE = 0.1
"""Of an octave of rate: so much more or less of it, a point of VMAF, needs no look of its own."""
_STARVED_VMAF, _SMOOTH_VMAF, _MISSED = 44.0, 64.0, 0.6
"""Of a clip with all frames: below the first fewer are always tried; how much of what is missed then counts there, and
all of it from the second on."""
_LITTLE, _LESS_LITTLE, _BEST_HALVED_VMAF = 0.62, 0.0105, 80.0
"""Of a clip that is not starved half the frames are tried where what they miss (:mod:`.missed`) is at most the first,
less the second for each point of VMAF above starved; above the last twice the bits gain hardly a point. Of 53 clips and
budgets seven are tried so, four of which win, and none that misses more would have gained a point; of 21 of other clips
four, one of which wins."""
_FOR_MISSED = 20.0
"""Points of VMAF that what is missed costs: by how much more of it there is than in the places that are looked at. With
it a trial tells what half the frames gain by all frames 1.0 too low in the mean of eight clips, 3.4 at most; without it
2.5 to 6.3 too high where those places meet frames that are there twice."""
_FINE_HALF_QP, _USUAL_HALF_QP = 35.0, 36.5
"""A quantiser below which half the frames looked better when larger (four clips and budgets, 0.6 to 5.6 VMAF; six of 36
to 40 did not), and the one that they get then."""
_FORETOLD_STARVED_VMAF, _STARVED_STILL_VMAF, _JERKS_VMAF, _FORETOLD_WIDTH = 41.0, 50.0, 10.0, 0.9
"""Where the probe foretells less than the first at a width of its own or more, half the frames are tried first; all of
them are not tried where even half are below the second, and what stands in for the others costs less than the third. Of
100 clips and budgets 16 of the 17 that leave out frames are foretold, and five others; it saves a third of what a
starved clip of 1080p takes. The last is what of the foretold width they then have: the quantiser is four to six higher
than foretold."""
LOWEST_FPS = {"h264": 12.0, "mpeg4": 10.0, "h263": 7.0}
"""Motion at fewer frames a second is seen as jerks, more of it is missed where every frame is poor."""
SLIDES = 0.6
"""Where so many of the frames are as the one before, nothing moves."""
_KEPT = (1, 2, 3, 4, 6)
"""Every how manieth frame, where nothing else brings a clip down."""
_LOWEST_FPS_OF_SLIDES = 3.0
_WORTH_LEAVING_OUT, _OUT_OF_REACH = 1.0, 4.0
"""Points of VMAF that it must gain; beyond which no other size with all frames can be better."""


@dataclass(frozen=True, slots=True)
class Made:
    """An encode: the rate that was asked for and the one that its pictures have, in kbit/s; what it is."""

    asked_kbps: float
    rate_kbps: float
    encoded: Encoded


Encode = Callable[[ClipSettings, float], Made | None]
"""Makes a clip with these settings at a rate in kbit/s, or at a higher one where that is refused; ``None``: all are."""


@dataclass(frozen=True, slots=True)
class Trial:
    """Settings that were tried: what was made (``None``: nothing), and the VMAF of it (``None``: nobody looked).

    It was ``glanced`` at where that was in half of the places."""

    settings: ClipSettings
    made: Made | None
    looks: vmaf.Seen | None
    glanced: bool = False

    @property
    def seen(self) -> float | None:
        """VMAF of the frames that are there."""
        return self.looks.frames if self.looks else None

    @property
    def long_px(self) -> int:
        return max(self.settings.frame_px)

    @property
    def qp(self) -> float | None:
        """The mean quantiser."""
        return self.made.encoded.qp if self.made else None

    def worth(self, rate_kbps: float, missed: float = _MISSED) -> float:
        """VMAF as it would be at just the rate that was asked for.

        A frame that stands in for the next one is an error to VMAF, and hardly one to a viewer: ``missed`` of it
        counts.
        """
        made_kbps = self.made.rate_kbps if self.made else 0.0
        more = _AN_OCTAVE_OF_RATE * math.log2(max(made_kbps, 0.1) / rate_kbps)
        seen = self.looks.frames + missed * (self.looks.shown - self.looks.frames) if self.looks else 0.0
        return seen - max(-_MOST_FOR_RATE, min(_MOST_FOR_RATE, more))

    def seen_in(self, made: Made) -> float | None:
        """VMAF of the frames of an encode with the same settings, where its bytes tell it without another look."""
        if self.seen is None or self.made is None:
            return None
        more = math.log2(max(made.rate_kbps, 0.1) / max(self.made.rate_kbps, 0.1))
        return self.seen + _AN_OCTAVE_OF_RATE * more if abs(more) <= _HARDLY_MORE else None


def find(
    mezzanine: Mezzanine,
    forecast: Forecast,
    settings: ClipSettings,
    rate_kbps: float,
    encode: Encode,
    workspace: Workspace,
) -> Trial:
    """Try sizes, then fewer frames where even the best size is starved; the best of them.

    Args:
        mezzanine: of the clip.
        forecast: of the clip; where this ffmpeg has no VMAF, the model alone decides.
        settings: rules, sound and duration; size and frame rate are replaced.
        rate_kbps: for the pictures alone.
        encode: what makes a clip.
        workspace: room for what is looked at.
    """
    judge = _Judge(mezzanine, rate_kbps, encode, workspace, looks=vmaf.available(workspace))
    largest_px = mezzanine.long_px
    fixed = fixed_px(settings.rules)
    if fixed:
        best = judge.tried(replace(settings, frame_px=fixed, every=1))
        return _fewer_frames(judge, best, forecast.of_its_rate) or best
    cost = _cost(settings.rules)
    hard, is_certain = forecast.at(rate_kbps / cost), forecast.is_certain_at(rate_kbps / cost)
    long_px = largest_px if is_certain else usual_long_px(hard, rate_kbps / cost, largest_px)
    fine_qp = _FINE_WHERE_CERTAIN_QP if is_certain else _GOOD_QP
    half: Trial | None = None
    is_foretold = judge.looks and predicted_vmaf(hard, rate_kbps / cost, long_px) < _FORETOLD_STARVED_VMAF
    if is_foretold and long_px >= PROBE_LONG_PX and mezzanine.fps / 2 >= LOWEST_FPS[settings.rules.codec]:
        half = judge.tried(replace(settings, frame_px=mezzanine.sized(long_px * _FORETOLD_WIDTH), every=2))
        if _is_starved_still(half):
            return half
    trials: list[Trial] = []
    while True:
        to_be_sent_qp = fine_qp if not trials and half is None else 0.0
        trials.append(judge.tried(replace(settings, frame_px=mezzanine.sized(long_px), every=1), to_be_sent_qp))
        if trials[-1].seen is None or len(trials) == _MOST_TRIALS:
            break
        if judge.is_fine(trials[-1], fine_qp):
            forecast.learn(_learnt(forecast.of_its_rate, [], trials, rate_kbps))
            break
        if half and by_leaving_out(half, trials[-1], rate_kbps) > _OUT_OF_REACH:
            break
        hard = _learnt(forecast.of_its_rate, [forecast.probe] if forecast.probe else [], trials, rate_kbps)
        wanted = usual_long_px(hard, rate_kbps / cost, largest_px)
        long_px = _in_reach(wanted, [one.long_px for one in trials], largest_px)
        best = max(trials, key=lambda one: one.worth(rate_kbps))
        gain = predicted_vmaf(hard, rate_kbps / cost, long_px) - predicted_vmaf(hard, rate_kbps / cost, best.long_px)
        known = min(abs(math.log(long_px / one.long_px)) for one in trials) < _ALIKE
        hopeless = past_a_worse(long_px, best, trials) or past_the_best(long_px, best)
        if gain < _WORTH_TRYING or known or hopeless:
            long_px = beside_px(best, trials, largest_px) or _own_px(judge, best, trials)
            if not long_px:
                break
    best = trials[0]
    for one in trials[1:]:
        is_strained = one.long_px > best.long_px and one.qp is not None and one.qp > _COARSE_QP
        if one.worth(rate_kbps) > best.worth(rate_kbps) + (_STRAINED if is_strained else 0.0):
            best = one
    return _fewer_frames(judge, best, hard, half) or best


def fewer_frames(mezzanine: Mezzanine, settings: ClipSettings) -> ClipSettings | None:
    """The same with fewer frames; ``None`` where those would be fewer than slides have."""
    every = next((every for every in _KEPT if every > settings.every), None)
    if every is None or mezzanine.fps / every < _LOWEST_FPS_OF_SLIDES:
        return None
    return replace(settings, every=every)


def fixed_px(rules: VideoRules) -> tuple[int, int] | None:
    """The largest of the only sizes that the profile takes; ``None`` where it takes any."""
    sizes = [tuple(int(side) for side in text.split("x")) for text in rules.fixed_sizes]
    return max(((width, height) for width, height in sizes), key=math.prod, default=None)


@dataclass(frozen=True, slots=True)
class _Judge:
    mezzanine: Mezzanine
    rate_kbps: float
    encode: Encode
    workspace: Workspace
    looks: bool

    def tried(self, settings: ClipSettings, fine_qp: float = 0.0) -> Trial:
        """Encoded and looked at: in fewer places where nothing hangs on it but what is reported, as it is fine."""
        blind = Trial(settings, self.encode(settings, self.rate_kbps), None)
        if not self.looks or not blind.made:
            return blind
        is_whole = settings.duration_s >= self.mezzanine.picture_s and self.mezzanine.frame_count >= FEWEST_FRAMES
        if is_whole and self.is_fine(blind, fine_qp) and not _is_slides(blind):
            looks = self.seen(blind.made, settings, hasty=True)
            if looks.frames >= _SURELY_ENOUGH_VMAF:
                return replace(blind, looks=looks, glanced=True)
        return replace(blind, looks=self.seen(blind.made, settings))

    def is_fine(self, trial: Trial, fine_qp: float) -> bool:
        """Whether it is the largest size, and fine already: a smaller one has nothing to give."""
        return trial.qp is not None and trial.qp < fine_qp and trial.long_px >= self.mezzanine.long_px

    def seen(self, made: Made, settings: ClipSettings, *, hasty: bool = False) -> vmaf.Seen:
        return vmaf.look_at(made.encoded.data, settings, self.mezzanine, self.workspace, hasty=hasty)


def _learnt(plain: Hardness, probe: list[Measured], trials: Sequence[Trial], rate_kbps: float) -> Hardness:
    """The model of the clip after trials."""
    pairs = [(one, quantiser(plain, one.long_px, 1, rate_kbps / _cost(one.settings.rules))) for one in trials]
    errors = [one.qp - expected for one, expected in pairs if one.qp is not None]
    measured = [
        Measured(one.long_px, expected if one.qp is None else one.qp, as_the_probe(one.seen))
        for one, expected in pairs
        if one.seen is not None
    ]
    hard = replace(plain, qp_error=fmean(errors) if errors else 0.0)
    return fitted(hard, [*probe, *measured])


def _cost(rules: VideoRules) -> float:
    return codec_cost(rules.codec, rules.codec_profile)


def _in_reach(long_px: int, tried_px: Sequence[int], largest_px: int) -> int:
    """No further beyond what was tried than the model can be trusted."""
    low, high = min(tried_px) / _LONGEST_STEP, max(tried_px) * _LONGEST_STEP
    return round(min(largest_px, max(min(_SMALLEST_LONG_PX, largest_px), min(max(long_px, low), high))))


def past_a_worse(long_px: int, best: Trial, trials: Sequence[Trial]) -> bool:
    """Whether a size lies on the side of the best one on which another was worse already."""
    return any((one.long_px - best.long_px) * (long_px - best.long_px) > 0 for one in trials)


def past_the_best(long_px: int, best: Trial) -> bool:
    """Whether a size would make a quantiser finer, or coarser, still, that the best width hardly ever has."""
    qp = best.qp
    if qp is None:
        return False
    return (qp < _GOOD_QP and long_px < best.long_px) or (qp > _COARSE_QP and long_px > best.long_px)


def beside_px(best: Trial, trials: Sequence[Trial], largest_px: int) -> int:
    """A size beside the best one, where its quantiser says that the model is not to be trusted; else 0.

    On 56 clips and budgets a smaller one gained 1.2 points in the mean where the quantiser was above 41 (8 of them),
    and never anything where it was 37 to 41 (7 of them; of nine others of 35.5 to 41 0.4 at most); a larger one up to
    2.5 where it was below 26. Of two long clips of a camera that stands a larger one gains 1.9 to 3.4.
    """
    tried = [one.long_px for one in trials]
    qp = best.qp
    if qp is None or best.made is None:
        return 0
    if best.made.encoded.still >= _STILL and qp <= _STILL_QP and best.long_px * (1 + _ALIKE) < largest_px:
        return min(largest_px, round(best.long_px * _BESIDE_STILL)) if best.long_px == max(tried) else 0
    if qp > _COARSE_QP and best.long_px == min(tried) and best.long_px / _BESIDE >= min(_SMALLEST_LONG_PX, largest_px):
        return round(best.long_px / _BESIDE)
    if qp < _GOOD_QP and best.long_px == max(tried) and best.long_px * (1 + _ALIKE) < largest_px:
        return min(largest_px, round(best.long_px * _BESIDE))
    return 0


def _own_px(judge: _Judge, best: Trial, trials: Sequence[Trial]) -> int:
    """The source's own size, where the best one is near to it and what is sharp in it is lost by scaling; else 0."""
    mezzanine = judge.mezzanine
    own_px = mezzanine.long_px
    near = own_px / (1 + _ALIKE) > best.long_px >= own_px * _NEAR_OWN
    if own_px != max(mezzanine.display_px) or not near or best.looks is None:
        return 0
    if past_a_worse(own_px, best, trials) or past_the_best(own_px, best):
        return 0
    off = missed_by_scaling(mezzanine, best.settings.frame_px, judge.workspace)
    return own_px if off >= _SHARP * best.looks.error else 0


def _is_starved_still(half: Trial) -> bool:
    """Whether half the frames, which were tried first, are so poor that all of them would be poorer."""
    looks = half.looks
    if looks is None or _is_slides(half):
        return False
    return looks.frames < _STARVED_STILL_VMAF and looks.frames - looks.shown < _JERKS_VMAF


def _fewer_frames(judge: _Judge, best: Trial, hard: Hardness, half: Trial | None = None) -> Trial | None:
    """Every other frame where a starved clip has more than enough of them, every third where it stands still; ``None``
    where that does not gain enough.

    ``best`` has all frames, ``half`` is what half of them look like, where that was tried.
    """
    rules, fps = best.settings.rules, judge.mezzanine.fps
    if best.seen is None or best.made is None:
        return None
    slides = _is_slides(best)
    every = 3 if slides and fps / 3 >= _LOWEST_FPS_OF_SLIDES else 2
    lowest_fps = _LOWEST_FPS_OF_SLIDES if slides else LOWEST_FPS[rules.codec]
    if fps / every < lowest_fps:
        return None
    little: Missed | None = None
    if half and half.settings.every == every:
        fewer = _larger_half(judge, half, best)
    elif best.seen >= _STARVED_VMAF and not slides and not (little := _little_missed(judge, best)):
        return None
    else:
        if best.glanced:
            best = replace(best, looks=judge.seen(best.made, best.settings), glanced=False)
        frame_px = best.settings.frame_px
        if not rules.fixed_sizes:
            largest_px = judge.mezzanine.long_px
            kbps = judge.rate_kbps / _cost(rules)
            longer = best_long_px(hard, kbps, largest_px, every) / best_long_px(hard, kbps, largest_px)
            frame_px = judge.mezzanine.sized(best.long_px * max(1.0, longer))
        fewer = judge.tried(replace(best.settings, frame_px=frame_px, every=every))
    gained = by_leaving_out(fewer, best, judge.rate_kbps, little)
    return fewer if gained > _WORTH_LEAVING_OUT else None


def _little_missed(judge: _Judge, best: Trial) -> Missed | None:
    """What half the frames miss of a clip that is not starved, where that is so little that they are worth a trial."""
    if best.looks is None or best.looks.frames > _BEST_HALVED_VMAF:
        return None
    of_it = missed(judge.mezzanine, best.looks.error, judge.workspace)
    return of_it if of_it and is_little(of_it, best.looks.frames) else None


def is_little(of_it: Missed, seen: float) -> bool:
    """Whether what half the frames miss is so little that twice the bits may be worth more, where all of them are
    ``seen`` as so much VMAF."""
    return of_it.everywhere <= _LITTLE - _LESS_LITTLE * (seen - _STARVED_VMAF)


def _larger_half(judge: _Judge, half: Trial, best: Trial) -> Trial:
    """Half the frames, larger where they were tried smaller than their quantiser lets them be and may be sent."""
    largest_px = judge.mezzanine.long_px
    if half.qp is None or half.qp >= _FINE_HALF_QP or half.long_px * (1 + _ALIKE) > largest_px:
        return half
    if by_leaving_out(half, best, judge.rate_kbps) < -_WORTH_LEAVING_OUT:
        return half
    long_px = half.long_px * 2 ** ((_USUAL_HALF_QP - half.qp) / QP_AN_OCTAVE_OF_WIDTH)
    larger = judge.tried(replace(half.settings, frame_px=judge.mezzanine.sized(long_px)))
    return max(half, larger, key=lambda one: one.worth(judge.rate_kbps))


def by_leaving_out(fewer: Trial, best: Trial, rate_kbps: float, little: Missed | None = None) -> float:
    """Points of VMAF that ``fewer`` frames gain over all of them: what is missed counts more, up to all of it, the
    better what moves looks with all frames.

    All of it counts where it is known how ``little`` that is, and what the places that are looked at do not show of it.
    """
    if little:
        unseen = _FOR_MISSED * max(0.0, little.everywhere - little.looked_at)
        return fewer.worth(rate_kbps, 1.0) - unseen - best.worth(rate_kbps)
    smooth = ((best.seen or 0.0) - _STARVED_VMAF) / (_SMOOTH_VMAF - _STARVED_VMAF)
    counted = _MISSED if _is_slides(best) else _MISSED + (1 - _MISSED) * min(1.0, max(0.0, smooth))
    return fewer.worth(rate_kbps, counted) - best.worth(rate_kbps)


def _is_slides(trial: Trial) -> bool:
    return trial.made is not None and trial.made.encoded.standing >= SLIDES
