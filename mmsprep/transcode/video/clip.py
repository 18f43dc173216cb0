"""Rendering a clip that is open: two passes at the size that the bytes can carry.

Comes in: a mezzanine, its sound, how hard it is. Goes out: 3GP or MP4 as the profile says. Never: a byte too many, or a
tag.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from mmsprep.errors import ToolError, ToolMissing, ToolOverLimit, ToolTimeout
from mmsprep.formats import FORMATS
from mmsprep.hearing.samples import Decoded, decoded
from mmsprep.model import Action, Curve, CurvePoint, Rendition, Source
from mmsprep.profile import AudioStep, VideoRules
from mmsprep.tools.workspace import Workspace
from mmsprep.transcode.sound.level import FADE_S, Levelled
from mmsprep.transcode.sound.speech import Material
from mmsprep.transcode.video import vmaf
from mmsprep.transcode.video.encode import (
    PSY_RD,
    ClipSettings,
    encode,
    encode_finely,
    encode_sound,
    first_pass,
    is_first_pass,
    whole_kbps,
)
from mmsprep.transcode.video.finely import COARSEST_CRF, FINEST_CRF, bytes_at, first_crf, next_crf
from mmsprep.transcode.video.forecast import Forecast
from mmsprep.transcode.video.mezzanine import FEW_FRAMES, FEWEST_FRAMES, Mezzanine
from mmsprep.transcode.video.model import (
    Hardness,
    codec_cost,
    foreseen_vmaf,
    most_useful_kbps,
    plenty_kbps,
    plenty_kbps_as_tried,
    predicted_vmaf,
    quantiser,
    seen_quality,
    usual_long_px,
)
from mmsprep.transcode.video.search import Made, Trial, fewer_frames, find, fixed_px
from mmsprep.transcode.video.sound_track import LEAST_FOR_PICTURES, SOUND_OVERHEAD, best_step
from mmsprep.transcode.video.steps import logged

_LOWEST_PICTURE_KBPS = 3.0
_LOWEST_TOTAL_KBPS = 10.0
"""kbit/s of the pictures alone at least; of the first point of the curve."""
_CURVE_STEPS = 40
_STEPS_AN_OCTAVE = 3
"""Points of the curve at most, and for twice the rate."""
_AIM, _AIM_AGAIN = 0.996, 0.994
_FILLED = 0.986
"""Shares of the bytes allowed: what is aimed at, again after a miss, and what is enough."""
_FILLED_AT_A_COST, _COSTLY_PX = 0.98, 50e6
"""What is enough from so many pixels in all frames on: another second pass, a quarter of all that such a clip takes,
was 0.17 VMAF better than 98.2 % of the bytes."""
_WORTH_ANOTHER = 1.002
_SAME_RATE = (0.8, 1.25)
"""Ratios: a share that grew by more is worth another encode; rates between which a size that was found stays. Set by
hand."""
_REFUSALS, _AFTER_REFUSAL = 6, 1.4
"""Attempts where an encoder refuses a rate as too low, and by how much each raises it. Set by hand."""
_PSY_RDS = (1.0, 1.0, 0.8, 1.2)
"""x264's sizes have gaps of a few per cent; another weight of its psychovisual model has them elsewhere. A factor an
attempt."""
_OVERHEAD_BYTES = 780
_OVERHEAD_A_FRAME_BYTES = 4
_REORDERED_OVERHEAD_BYTES = 8
"""Of the container: for all of it, for a frame, for one more where frames are reordered; before the true size is
known."""
_SURELY_WHOLE, _PERHAPS_WHOLE, _UNSPENT = 0.35, 1.2, 0.7
"""Shares of the bytes, for all of a clip: what the probe must foretell for a constant quality to be tried at once, a
trial at most; below which an encode shows that either was wrong. What the probe foretells is 1.6 times too little in
the mean of 14 clips of 2 to 7 s, up to 2.6 times: of 18 clips and budgets of which it foretold 0.35 to 0.75, 15 were
too large at a constant quality that it named. Two passes are as good or better there (by all frames 0.05 VMAF in the
mean, 0.45 at most), in an encode less of most."""
_FINE_TRIES = 4
"""Encodes of all of a clip at constant quality; one or two are enough but for grain, whose bytes go like no other's."""
_ORDINALS = {2: "2nd", 3: "3rd"}


@dataclass(frozen=True, slots=True)
class Opened:
    """A decoded clip: what it is, what is foretold of it, how long it will be.

    ``sound`` is what is heard with it, if anything is, ``duration_s`` what is sent of the clip, ``contrast`` how far it
    is from being one colour.
    """

    mezzanine: Mezzanine
    sound: Levelled | None
    forecast: Forecast
    duration_s: float
    contrast: float
    notes: tuple[str, ...]

    @property
    def heard(self) -> Material:
        return self.sound.heard if self.sound else Material.MUSIC


@dataclass(slots=True)
class _LastEncode:
    """What the last encodes left: what was tried and at which rate, how the sizes compared with what was asked, sounds.

    ``sounds`` has an encoded track for each rung that was used, ``logs`` a first pass for each shape and rate,
    ``finely`` all of it at each CRF that was tried.
    """

    trial: Trial | None = None
    trial_kbps: float = 0.0
    size_error: float = 1.0
    max_bytes: int = 0
    rendition: Rendition | None = None
    sounds: dict[AudioStep, Path] = field(default_factory=dict)
    logs: dict[tuple[object, ...], Path] = field(default_factory=dict)
    finely: dict[float, bytes] = field(default_factory=dict)


class VideoSource(Source):
    """A clip that can be made at any rate (see :class:`mmsprep.model.Source`)."""

    def __init__(self, work: Opened, rules: VideoRules, workspace: Workspace) -> None:
        self._work = work
        self._rules = rules
        self._workspace = workspace
        self._last = _LastEncode()

    @property
    def floor_quality(self) -> float:
        """From the profile."""
        return self._rules.floor_quality

    @property
    def duration_s(self) -> float:
        """Seconds of the clip."""
        return self._work.duration_s

    def trimmed(self, duration_s: float) -> VideoSource:
        """The first ``duration_s`` seconds; the mezzanine stays."""
        notes = (
            *(note for note in self._work.notes if not note.startswith("cut")),
            f"cut to its first {duration_s:.0f} s",
        )
        sound = self._work.sound
        if sound:
            mix = sound.mix.cut(0, round(duration_s * sound.mix.rate_hz)).faded_out(FADE_S)
            sound = Levelled(mix, sound.heard)
        # What was seen of it may come later.
        work = replace(self._work, sound=sound, duration_s=duration_s, contrast=0.0, notes=notes)
        return VideoSource(work, self._rules, self._workspace)

    def curve(self) -> Curve:
        """Predicted from the probe."""
        most_kbps = self._most_kbps()
        points = []
        for step in range(_CURVE_STEPS):
            total_kbps = _LOWEST_TOTAL_KBPS * 2 ** (step / _STEPS_AN_OCTAVE)
            rung = self._rung(total_kbps)
            picture_kbps = self._left_of(total_kbps, rung)
            points.append(CurvePoint(self._bytes(picture_kbps, rung), self._predicted(picture_kbps)))
            if picture_kbps >= most_kbps:
                break
        return Curve(tuple(points), whole_bytes=self._plenty_bytes(rung))

    def assured_quality(self, max_bytes: int) -> float | None:
        """What the probe's rate alone foretells, where ``max_bytes`` make the largest size certain."""
        rung = self._rung(total_kbps := self._total_kbps(max_bytes))
        kbps = self._left_of(total_kbps, rung)
        is_certain = not fixed_px(self._rules) and self._work.forecast.is_certain_at(kbps / self._cost)
        return seen_quality(self._vmaf(foreseen_vmaf, self._work.forecast.of_its_rate, kbps), 1) if is_certain else None

    @property
    def _whole_px(self) -> tuple[int, int]:
        """The size at which no pixel is given up that may be sent."""
        return fixed_px(self._rules) or (self._work.mezzanine.width_px, self._work.mezzanine.height_px)

    def _plenty_bytes(self, rung: AudioStep | None, trial: Trial | None = None) -> int:
        """From where on every pixel and every frame should go at a quality that is hard to tell from the source.

        As an encode of all of it showed, else as ``trial`` says, else as the probe does.
        """
        if self._last.finely:
            return bytes_at(COARSEST_CRF, self._last.finely)
        if trial is not None and trial.made and (qp := trial.qp) is not None:
            tried = trial.long_px, trial.settings.every
            kbps = plenty_kbps_as_tried(trial.made.rate_kbps, qp, tried, max(self._whole_px), COARSEST_CRF)
        else:
            kbps = plenty_kbps(self._work.forecast.of_its_rate, max(self._whole_px), COARSEST_CRF) * self._cost
        return self._bytes(min(kbps, self._rules.max_rate_kbps), rung)

    def render(self, max_bytes: int) -> Rendition:
        """Two passes at the size for this rate, the second corrected until it fits and fills ``max_bytes``."""
        made = self._last.rendition
        if made is None or not self._is_good_for(made, max_bytes):
            rung = self._rung(self._total_kbps(max_bytes))
            limit_bytes = self._limit_bytes(rung)
            made = replace(self._render(rung, min(max_bytes, limit_bytes)), at_limit=max_bytes >= limit_bytes)
            self._last.rendition, self._last.max_bytes = made, max_bytes
        return made

    def _is_good_for(self, made: Rendition, max_bytes: int) -> bool:
        """Whether the last encode is what ``max_bytes`` would come to: it fills them, or took less than it might."""
        asked_bytes = self._last.max_bytes
        if not made.size_bytes <= max_bytes <= asked_bytes * _WORTH_ANOTHER:
            return False
        return max_bytes >= asked_bytes * _FILLED or made.size_bytes < asked_bytes * _UNSPENT

    def _render(self, rung: AudioStep | None, max_bytes: int) -> Rendition:
        work, last = self._work, self._last
        most_kbps = self._most_kbps()
        tried_whole = self._plenty_bytes(rung) <= max_bytes * _SURELY_WHOLE
        if tried_whole and (whole := self._whole(rung, max_bytes)):
            return whole
        beside_bytes = self._beside_picture(rung, self._sound(rung))
        kbps = min(self._picture_kbps(max_bytes * _AIM - beside_bytes) / last.size_error, most_kbps)
        trial = self._trial(rung, kbps)
        if not tried_whole and not self._is_spent(trial, max_bytes):
            perhaps_whole = self._plenty_bytes(rung, trial) <= max_bytes * _PERHAPS_WHOLE
            if perhaps_whole and (whole := self._whole(rung, max_bytes, trial)):
                return whole
        settings, filled = trial.settings, self._filled(trial.settings, trial.made, max_bytes)
        # An encoder at its coarsest comes no further down: then it gets fewer frames.
        while filled is None or len(filled.encoded.data) > max_bytes:
            fewer = fewer_frames(work.mezzanine, settings)
            if fewer is None:
                break
            settings, filled = fewer, self._filled(fewer, self._encoded(fewer, kbps), max_bytes)
            last.trial = Trial(fewer, filled, None)
        if filled is None:
            raise ToolError(
                "ffmpeg: takes no rate that this profile lets a clip like this have; --poster sends a frame"
            )
        seen = trial.seen_in(filled) if settings is trial.settings else None
        looks = replace(trial.looks, frames=seen) if trial.looks and seen is not None else None
        made = self._rendition(filled.encoded.data, settings, filled.asked_kbps, looks)
        unspent = made.size_bytes < max_bytes * _UNSPENT
        if unspent and (last.finely or not made.whole):
            return self._whole(rung, max_bytes, again=True) or made
        return made

    def _is_spent(self, trial: Trial, max_bytes: int) -> bool:
        """Whether two passes of all of it found use for the bytes: a constant quality has no more to give."""
        settings = trial.settings
        is_whole = settings.every == 1 and settings.frame_px == self._whole_px
        return is_whole and trial.made is not None and len(trial.made.encoded.data) >= max_bytes * _UNSPENT

    def _filled(self, settings: ClipSettings, made: Made | None, max_bytes: int) -> Made | None:
        """``made``, or second passes until one fills ``max_bytes``; one too large, or none, where nothing fits."""
        beside_bytes = self._beside_picture(settings.rung, self._sound(settings.rung))
        best: Made | None = None
        pixels = math.prod(settings.frame_px) * self._work.mezzanine.fps / settings.every * self._pictured_s
        enough_bytes = max_bytes * (_FILLED_AT_A_COST if pixels >= _COSTLY_PX else _FILLED)
        most_kbps, tried = self._most_kbps(), set[int]()
        for factor in (*_PSY_RDS[1:], None):
            if made is None:
                break
            kbps, size_bytes = made.asked_kbps, len(made.encoded.data)
            tried.add(whole_kbps(kbps))
            if size_bytes <= max_bytes and (best is None or size_bytes > len(best.encoded.data)):
                best = made
            if best is not None and (len(best.encoded.data) >= enough_bytes or kbps >= most_kbps):
                break
            self._last.size_error = self._picture_kbps(size_bytes - beside_bytes) / kbps
            wanted_kbps = self._picture_kbps(max_bytes * _AIM_AGAIN - beside_bytes) / self._last.size_error
            if factor is None or (best is not None and (wanted_kbps > 4 * kbps or whole_kbps(wanted_kbps) in tried)):
                break
            made = self._encoded(settings, min(wanted_kbps, most_kbps), PSY_RD * factor)
        return best or made

    def _whole(
        self, rung: AudioStep | None, max_bytes: int, trial: Trial | None = None, *, again: bool = False
    ) -> Rendition | None:
        """Every pixel and frame at a constant quality, where that is within ``max_bytes``.

        Two passes cannot spend much on a clip that hardly moves, nor tell from the first that much is left; ``again``:
        they did not, though at the finest quality it was too large.
        """
        work, last = self._work, self._last
        if self._rules.codec != "h264":
            return None
        settings = ClipSettings(self._rules, rung, self._whole_px, 1, work.duration_s)
        most_kbps = self._picture_kbps(max_bytes)
        for _ in range(_FINE_TRIES):
            known, plenty_bytes = last.finely, self._plenty_bytes(rung, trial)
            crf = next_crf(known, max_bytes, again) if known else first_crf(max_bytes, plenty_bytes)
            if crf is None:
                break
            data = encode_finely(work.mezzanine, self._sound(rung), settings, crf, most_kbps, self._workspace)
            last.finely[crf] = data
        best = max((data for data in last.finely.values() if len(data) <= max_bytes), key=len, default=None)
        return self._rendition(best, settings, self._picture_kbps(len(best))) if best else None

    def _encoded(self, settings: ClipSettings, kbps: float, psy_rd: float = PSY_RD) -> Made | None:
        """One second pass, at a higher rate where the encoder refuses one that it cannot come down to, or none."""
        sound = self._sound(settings.rung)
        beside_bytes = self._beside_picture(settings.rung, sound)
        for _ in range(_REFUSALS):
            try:
                log = self._log(settings, kbps)
                made = encode(self._work.mezzanine, sound, settings, (kbps, psy_rd), log, self._workspace)
                return Made(kbps, self._picture_kbps(len(made.data) - beside_bytes), made)
            except (ToolMissing, ToolOverLimit, ToolTimeout):
                raise
            except ToolError:
                kbps *= _AFTER_REFUSAL
        return None

    def _log(self, settings: ClipSettings, kbps: float) -> Path:
        """The first pass for these settings: the probe, or one that is made once for a size."""
        work = self._work
        qp = quantiser(work.forecast.of_its_rate, max(settings.frame_px), settings.every, kbps / self._cost)
        if is_first_pass(work.mezzanine, settings, qp):
            return work.mezzanine.probe.log
        key = settings.every, settings.duration_s, settings.frame_px, self._last.trial_kbps
        if key not in self._last.logs:
            self._last.logs[key] = first_pass(work.mezzanine, settings, kbps, self._workspace)
        return self._last.logs[key]

    def _trial(self, rung: AudioStep | None, kbps: float) -> Trial:
        """The best size and frame rate; those of the last encode where the rate hardly differs."""
        work, last = self._work, self._last
        low, high = _SAME_RATE
        trial = last.trial
        if trial is None or not low < kbps / last.trial_kbps < high:
            last.trial_kbps = kbps
            wanted = ClipSettings(self._rules, rung, (0, 0), 1, work.duration_s)
            last.trial = find(work.mezzanine, work.forecast, wanted, kbps, self._encoded, self._workspace)
            return last.trial
        settings = replace(trial.settings, rung=rung)
        return Trial(settings, self._encoded(settings, kbps), None)

    def _sound(self, rung: AudioStep | None) -> Path | None:
        """The sound track, encoded once for each rung."""
        if rung is None or self._work.sound is None:
            return None
        made = self._last.sounds.get(rung)
        if made is None:
            made = self._encoded_sound(self._work.sound, rung)
            self._last.sounds[rung] = made
        return made

    @logged("sound")
    def _encoded_sound(self, sound: Levelled, rung: AudioStep) -> Path:
        work, rate_hz = self._work, sound.mix.rate_hz
        count = round(work.duration_s * rate_hz)
        slug = "3gp" if rung.format == "amr" else "mp4"

        def read(path: Path) -> Decoded:
            most_bytes = self._workspace.settings.max_decoded_bytes
            return decoded(path, slug, self._workspace, max_bytes=most_bytes)

        return sound.encoded(
            rung,
            lambda samples: encode_sound(samples[:count], rate_hz, rung, self._workspace),
            read,
        )

    def _rung(self, total_kbps: float) -> AudioStep | None:
        """The step for the sound that together with the pictures is worth most."""
        sound = self._work.sound
        if sound is None:
            return None
        ladder = [step for step in self._rules.audio_ladder if sound.carried(step).is_heard]
        if not ladder:
            return None
        # By the model as trials have it, which the weight of sound beside pictures was set with.
        hard = self._work.forecast.at(total_kbps * LEAST_FOR_PICTURES / self._cost)
        return best_step(
            ladder,
            self._work.heard,
            total_kbps,
            lambda kbps: self._vmaf(predicted_vmaf, hard, max(_LOWEST_PICTURE_KBPS, min(kbps, self._most_kbps()))),
        )

    def _total_kbps(self, max_bytes: int) -> float:
        """The rate of sound and pictures in so many bytes."""
        total_kbps = (max_bytes - self._overhead_bytes()) * 8 / 1000 / self._work.duration_s
        return max(_LOWEST_PICTURE_KBPS, total_kbps)

    def _left_of(self, total_kbps: float, rung: AudioStep | None) -> float:
        """The rate for the pictures beside ``rung``."""
        sound_kbps = rung.rate_kbps * SOUND_OVERHEAD if rung else 0.0
        return max(_LOWEST_PICTURE_KBPS, min(total_kbps - sound_kbps, self._most_kbps()))

    def _predicted(self, picture_kbps: float) -> float:
        return seen_quality(self._vmaf(foreseen_vmaf, self._work.forecast.hardness, picture_kbps), 1)

    def _vmaf(self, model: Callable[[Hardness, float, int], float], hard: Hardness, picture_kbps: float) -> float:
        """What ``model`` says of a clip that is so ``hard``, at a rate and the size that it leads to."""
        kbps, fixed = picture_kbps / self._cost, fixed_px(self._rules)
        long_px = max(fixed) if fixed else usual_long_px(hard, kbps, self._work.mezzanine.long_px)
        return model(hard, kbps, long_px)

    def _most_kbps(self) -> float:
        """The rate beyond which the profile, or the eye, has no use for more; as an encode showed, else as foretold."""
        if self._last.finely:
            useful_kbps = self._picture_kbps(bytes_at(FINEST_CRF, self._last.finely))
        else:
            largest = max(fixed_px(self._rules) or (self._work.mezzanine.long_px,))
            useful_kbps = most_useful_kbps(self._work.forecast.of_its_rate, largest) * self._cost
        return min(self._rules.max_rate_kbps, useful_kbps)

    @property
    def _pictured_s(self) -> float:
        """Seconds of frames that are encoded: the last one may stand for what the sound is longer."""
        work = self._work
        return ClipSettings(self._rules, None, (0, 0), 1, work.duration_s).pictured_s(work.mezzanine)

    @property
    def _cost(self) -> float:
        return codec_cost(self._rules.codec, self._rules.codec_profile)

    def _overhead_bytes(self) -> float:
        reordered = self._rules.codec_profile.lower() in ("main", "high")
        a_frame_bytes = _OVERHEAD_A_FRAME_BYTES + (_REORDERED_OVERHEAD_BYTES if reordered else 0)
        return _OVERHEAD_BYTES + a_frame_bytes * self._work.mezzanine.fps * self._work.duration_s

    def _beside_picture(self, rung: AudioStep | None, sound: Path | None = None) -> float:
        """Bytes of a file that are not pictures; the sound's true ones where it is encoded."""
        if sound is not None:
            return self._overhead_bytes() + self._workspace.size_bytes(sound)
        sound_bytes = rung.rate_kbps * SOUND_OVERHEAD * 125 * self._work.duration_s if rung else 0
        return self._overhead_bytes() + sound_bytes

    def _picture_kbps(self, left_bytes: float) -> float:
        return max(_LOWEST_PICTURE_KBPS / 2, left_bytes * 8 / 1000 / self._pictured_s)

    def _bytes(self, picture_kbps: float, rung: AudioStep | None) -> int:
        return round(picture_kbps * 125 * self._pictured_s + self._beside_picture(rung))

    def _limit_bytes(self, rung: AudioStep | None) -> int:
        """What the profile's rate lets a clip be: of whole frames, which may last less than the sound does."""
        fps = self._work.mezzanine.fps
        picture_s = max(1, int(self._pictured_s * fps + 0.01)) / fps
        return round(self._rules.max_rate_kbps * 125 * picture_s + self._beside_picture(rung, self._sound(rung)))

    def _rendition(self, data: bytes, settings: ClipSettings, kbps: float, looks: vmaf.Seen | None = None) -> Rendition:
        looks = looks or self._seen(data, settings)
        ordinal = _ORDINALS.get(settings.every, f"{settings.every}th")
        kept = (f"every {ordinal} frame kept",) if settings.every > 1 else ()
        return Rendition(
            data=data,
            format=self._rules.format,
            content_type=FORMATS[self._rules.format].content_type,
            action=Action.TRANSCODE,
            quality=seen_quality(looks.frames if looks else self._foreseen(settings, kbps), settings.every),
            width_px=settings.frame_px[0],
            height_px=settings.frame_px[1],
            duration_s=self._work.duration_s,
            heard_lufs=self._work.sound.heard_lufs(settings.rung) if self._work.sound and settings.rung else None,
            contrast=self._work.contrast,
            played=looks.played if looks else None,
            whole=settings.every == 1 and settings.frame_px == self._whole_px,
            notes=(*self._work.notes, *kept),
        )

    def _foreseen(self, settings: ClipSettings, kbps: float) -> float:
        return foreseen_vmaf(self._work.forecast.hardness, kbps / self._cost, max(settings.frame_px))

    def _seen(self, data: bytes, settings: ClipSettings) -> vmaf.Seen | None:
        """What VMAF says of a finished clip; ``None`` where there is no VMAF."""
        if not vmaf.available(self._workspace):
            return None
        mezzanine = self._work.mezzanine
        # Nothing hangs on it but what is reported.
        hasty = bool(self._last.finely) and FEWEST_FRAMES <= mezzanine.frame_count < FEW_FRAMES
        return vmaf.look_at(data, settings, mezzanine, self._workspace, hasty=hasty)
