"""Clips: decoded once to a small mezzanine, then two passes at the size that the bytes can carry.

Comes in: any clip that ffmpeg reads. Goes out: 3GP or MP4 as the profile says. Never: a byte too many, a
second decode of the source, or a tag.
"""

from __future__ import annotations

import math
import wave
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image

from mmsprep.errors import Damaged, ToolError, ToolMissing, ToolOverLimit, ToolTimeout, TypeNotAllowed
from mmsprep.formats import FORMATS
from mmsprep.model import Action, Attachment, Curve, CurvePoint, MediaInfo, Plan, Rendition
from mmsprep.profile import AudioStep, Profile, VideoRules
from mmsprep.tools.workspace import Workspace
from mmsprep.transcode.sound.pcm import Pcm, decode_pcm
from mmsprep.transcode.sound.recording import heard_in, rung_quality
from mmsprep.transcode.sound.speech import Material
from mmsprep.transcode.video import vmaf
from mmsprep.transcode.video.encode import ClipSettings, encode, encode_probe, first_pass
from mmsprep.transcode.video.mezzanine import Mezzanine, decode_mezzanine, even, mezzanine_of_pictures
from mmsprep.transcode.video.model import (
    Hardness,
    Shape,
    best_shape,
    most_useful_kbps,
    offset_from,
    predicted_quality,
    quantiser,
    seen_quality,
)

_SILENT_DBFS = -60.0
_SOUND_WORTH = 0.3
_MOST_FOR_SOUND = 0.5
_SOUND_OVERHEAD = 1.04
_LOWEST_PICTURE_KBPS = 3.0
_LOWEST_TOTAL_KBPS = 10.0
_CURVE_STEPS = 40
_STEPS_AN_OCTAVE = 3
_AIM = 0.996
_FILLED = 0.986
_WORTH_ANOTHER = 1.002
_FIRST_SIZE_ERROR = 0.986
_REFUSALS, _AFTER_REFUSAL = 6, 1.4
_PSY_RDS = (1.0, 1.0, 0.9, 1.1)
"""x264's sizes have gaps of a few per cent; another weight of its psychovisual model, which needs no new first
pass, has them elsewhere. An attempt each.
"""
_OVERHEAD_BYTES = 1_200
_OVERHEAD_A_FRAME_BYTES = 6
_TOO_FAR_QP = 3.0
_SOUND_LONGER_S = 0.5


@dataclass(frozen=True, slots=True)
class _Work:
    """A decoded clip: what it is, what it costs, how long it will be.

    ``sound`` is a WAV file in the workspace, ``duration_s`` what is sent of the clip.
    """

    mezzanine: Mezzanine
    sound: Path | None
    heard: Material
    hardness: Hardness
    duration_s: float
    notes: tuple[str, ...]


def open_source(
    attachment: Attachment,
    info: MediaInfo,
    plan: Plan,
    profile: Profile,
    workspace: Workspace,
) -> VideoSource:
    """Decode a clip, once, to a mezzanine at the largest size that can pay.

    Raises:
        Damaged: no frame decodes, or far fewer than the clip declares.
    """
    rules = profile.video
    if rules is None:
        raise TypeNotAllowed(attachment.name, f"is a clip, which the profile {profile.name!r} does not carry")
    mezzanine = decode_mezzanine(attachment, info, rules, profile.message.limit_bytes, workspace)
    pcm, notes = _sound_of(attachment, info, rules, mezzanine, workspace)
    duration_s = mezzanine.picture_s if mezzanine.complete else (info.duration_s or mezzanine.picture_s)
    if pcm and mezzanine.complete and pcm.duration_s > duration_s + _SOUND_LONGER_S:
        duration_s = pcm.duration_s
    work = _Work(
        mezzanine=mezzanine,
        sound=_written(pcm, workspace) if pcm else None,
        heard=heard_in(pcm) if pcm else Material.MUSIC,
        hardness=_hardness(mezzanine, workspace),
        duration_s=duration_s,
        notes=notes,
    )
    return VideoSource(work, rules, workspace)


def clip_of_pictures(frames: Sequence[tuple[Image.Image, int]], profile: Profile, workspace: Workspace) -> VideoSource:
    """A clip of pictures that each stand for so many milliseconds; for a profile that carries clips.

    Together they stand no longer than :func:`mmsprep.transcode.video.mezzanine.longest_clip_s`.
    """
    assert profile.video is not None
    mezzanine = mezzanine_of_pictures(frames, profile.video, profile.message.limit_bytes, workspace)
    hardness = _hardness(mezzanine, workspace)
    work = _Work(mezzanine, None, Material.MUSIC, hardness, mezzanine.picture_s, ())
    return VideoSource(work, profile.video, workspace)


def _sound_of(
    attachment: Attachment, info: MediaInfo, rules: VideoRules, mezzanine: Mezzanine, workspace: Workspace
) -> tuple[Pcm | None, tuple[str, ...]]:
    """The sound track, unless it is silent or does not decode; clips go without it then."""
    if not info.audio_codec or not rules.audio_ladder:
        return None, ()
    most = max(step.channels for step in rules.audio_ladder)
    longest_s = None if mezzanine.complete else mezzanine.picture_s
    try:
        pcm = decode_pcm(attachment, info, workspace, max_channels=most, longest_s=longest_s)
    except (Damaged, ToolMissing, TypeNotAllowed):
        return None, (f"its sound track ({info.audio_codec}) does not decode and is left out",)
    if pcm.segment.max_dBFS < _SILENT_DBFS:
        return None, ("its sound track is silent and left out",)
    return pcm, pcm.notes


def _written(pcm: Pcm, workspace: Workspace) -> Path:
    path = workspace.new_path(".wav")
    with workspace.create(path) as made, wave.open(made, "wb") as file:
        file.setnchannels(pcm.channels)
        file.setsampwidth(2)
        file.setframerate(pcm.rate_hz)
        file.writeframes(pcm.segment.raw_data)
    return path


def _hardness(mezzanine: Mezzanine, workspace: Workspace) -> Hardness:
    """What the clip costs at a fixed quantiser and a small size, and what that looks like."""
    probe = encode_probe(mezzanine, workspace)
    hard = Hardness(probe.rate_kbps, max(probe.size_px), max(mezzanine.display_px))
    if vmaf.available(workspace):
        seen = vmaf.vmaf_of(probe.path, "h264", mezzanine, 1, probe.size_px, workspace)
        hard = replace(hard, offset=offset_from(hard, seen))
    probe.path.unlink()
    return hard


@dataclass(slots=True)
class _LastEncode:
    """What the last encode taught: its settings, first pass, and how its size compares with what was asked."""

    settings: ClipSettings | None = None
    log: Path | None = None
    pass_kbps: float = 0.0
    size_error: float = _FIRST_SIZE_ERROR
    qp_error: float = 0.0
    max_bytes: int = 0
    rendition: Rendition | None = None


class VideoSource:
    """A clip that can be made at any rate (see :class:`mmsprep.model.TimedSource`)."""

    def __init__(self, work: _Work, rules: VideoRules, workspace: Workspace) -> None:
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
        return VideoSource(replace(self._work, duration_s=duration_s, notes=notes), self._rules, self._workspace)

    def curve(self) -> Curve:
        """Predicted from the probe."""
        most_kbps = self._most_kbps()
        points = []
        for step in range(_CURVE_STEPS):
            total_kbps = _LOWEST_TOTAL_KBPS * 2 ** (step / _STEPS_AN_OCTAVE)
            rung, picture_kbps = self._shared(total_kbps)
            quality = self._predicted(min(picture_kbps, most_kbps))
            points.append(CurvePoint(self._bytes(min(picture_kbps, most_kbps), rung), quality))
            if picture_kbps >= most_kbps:
                break
        return Curve(tuple(points))

    def render(self, max_bytes: int) -> Rendition:
        """Two passes at the size for this rate, the second corrected until it fits and fills ``max_bytes``."""
        made = self._last.rendition
        if (
            made is None
            or not made.size_bytes <= max_bytes <= self._last.max_bytes * _WORTH_ANOTHER
            or max_bytes < self._last.max_bytes * _FILLED
        ):
            made = self._render(max_bytes)
            self._last.rendition, self._last.max_bytes = made, max_bytes
        return made

    def _render(self, max_bytes: int) -> Rendition:
        settings = self._settings(max_bytes)
        kbps = self._prepared(settings, max_bytes)
        settings, most_kbps = self._last.settings or settings, self._most_kbps()
        max_bytes = min(max_bytes, self._bytes(self._rules.max_rate_kbps, settings.rung))
        best: bytes | None = None
        data = b""
        for psy_rd in _PSY_RDS:
            kbps, data = self._encoded(settings, kbps, psy_rd)
            if len(data) <= max_bytes and (best is None or len(data) > len(best)):
                best = data
            if best is not None and (len(best) >= max_bytes * _FILLED or kbps >= most_kbps):
                break
            picture = max(1_000.0, len(data) - self._beside_picture(settings.rung))
            self._last.size_error = picture * 8 / 1000 / settings.duration_s / kbps
            wanted_kbps = self._picture_kbps(max_bytes, settings.rung) / self._last.size_error
            if best is not None and wanted_kbps > 4 * kbps:
                break
            kbps = min(max(_LOWEST_PICTURE_KBPS / 2, wanted_kbps), most_kbps)
        return self._rendition(best if best is not None else data, settings, kbps)

    def _encoded(self, settings: ClipSettings, kbps: float, psy_rd: float) -> tuple[float, bytes]:
        """One second pass, at a higher rate where x264 refuses one that it cannot come down to."""
        work = self._work
        for _ in range(_REFUSALS):
            try:
                return kbps, encode(
                    work.mezzanine, work.sound, settings, (kbps, psy_rd), self._last.log, self._workspace
                )
            except (ToolMissing, ToolOverLimit, ToolTimeout):
                raise
            except ToolError:
                kbps *= _AFTER_REFUSAL
        return kbps, encode(work.mezzanine, work.sound, settings, (kbps, psy_rd), self._last.log, self._workspace)

    def _settings(self, max_bytes: int) -> ClipSettings:
        """Sound, size and frame rate for ``max_bytes``; those of the last encode where they hardly differ."""
        work, rules = self._work, self._rules
        total_kbps = max(_LOWEST_PICTURE_KBPS, (max_bytes - self._overhead_bytes()) * 8 / 1000 / work.duration_s)
        rung, _ = self._shared(total_kbps)
        kbps = self._picture_kbps(max_bytes, rung)
        shape = self._shape(kbps)
        return ClipSettings(rules, rung, self._frame_px(shape), shape.every, work.duration_s)

    def _prepared(self, settings: ClipSettings, max_bytes: int) -> float:
        """Make the first pass, unless the last encode's serves; the rate for the second one.

        Where the quantiser turns out to be another than predicted, the size is chosen anew.
        """
        last = self._last
        wanted = self._picture_kbps(max_bytes, settings.rung)
        kbps = min(max(_LOWEST_PICTURE_KBPS / 2, wanted / last.size_error), self._most_kbps())
        same = last.settings is not None and replace(last.settings, frame_px=settings.frame_px) == settings
        if same and last.settings is not None and 0.8 < kbps / last.pass_kbps < 1.25:
            return kbps
        for _ in range(2):
            log = self._workspace.new_path("")
            qp = first_pass(self._work.mezzanine, settings, kbps, log, self._workspace)
            last.settings, last.log, last.pass_kbps = settings, log, kbps
            if qp is None:
                break
            expected = quantiser(self._work.hardness, max(settings.frame_px), settings.every, kbps)
            if abs(qp - expected - last.qp_error) < _TOO_FAR_QP:
                break
            last.qp_error = qp - expected
            better = self._frame_px(self._shape(kbps))
            if better == settings.frame_px:
                break
            settings = replace(settings, frame_px=better, every=self._shape(kbps).every)
        return kbps

    def _shape(self, kbps: float) -> Shape:
        """The best shape for a rate; every frame of it where the size is fixed and the rate allows."""
        mezzanine = self._work.mezzanine
        largest = max(self._fixed_px() or (mezzanine.width_px, mezzanine.height_px))
        return best_shape(
            self._work.hardness, kbps, mezzanine.fps, largest, self._rules.codec, qp_error=self._last.qp_error
        )

    def _frame_px(self, shape: Shape) -> tuple[int, int]:
        fixed = self._fixed_px()
        if fixed:
            return fixed
        width, height = self._work.mezzanine.width_px, self._work.mezzanine.height_px
        factor = min(1.0, shape.long_px / max(width, height))
        return even(width * factor), even(height * factor)

    def _fixed_px(self) -> tuple[int, int] | None:
        """The largest of the only sizes that the profile takes."""
        sizes = [tuple(int(side) for side in text.split("x")) for text in self._rules.fixed_sizes]
        return max(((width, height) for width, height in sizes), key=math.prod, default=None)

    def _shared(self, total_kbps: float) -> tuple[AudioStep | None, float]:
        """The rung for the sound and the rate left to the pictures that together are worth most."""
        if self._work.sound is None:
            return None, min(total_kbps, self._rules.max_rate_kbps)

        def left(step: AudioStep) -> float:
            return max(_LOWEST_PICTURE_KBPS, min(total_kbps - step.rate_kbps * _SOUND_OVERHEAD, self._most_kbps()))

        def worth(step: AudioStep) -> float:
            return self._predicted(left(step)) + _SOUND_WORTH * rung_quality(step, self._work.heard)

        smallest = min(self._rules.audio_ladder, key=lambda step: step.rate_kbps)
        affordable = [step for step in self._rules.audio_ladder if step.rate_kbps <= total_kbps * _MOST_FOR_SOUND]
        rung = max(affordable, key=worth, default=smallest)
        return rung, left(rung)

    def _predicted(self, picture_kbps: float) -> float:
        return predicted_quality(self._work.hardness, picture_kbps, self._shape(picture_kbps), self._rules.codec)

    def _most_kbps(self) -> float:
        """The rate beyond which the profile, or the eye, has no use for more."""
        mezzanine = self._work.mezzanine
        largest = max(self._fixed_px() or (mezzanine.width_px, mezzanine.height_px))
        return min(self._rules.max_rate_kbps, most_useful_kbps(self._work.hardness, largest, self._rules.codec))

    def _overhead_bytes(self) -> float:
        return _OVERHEAD_BYTES + _OVERHEAD_A_FRAME_BYTES * self._work.mezzanine.fps * self._work.duration_s

    def _beside_picture(self, rung: AudioStep | None) -> float:
        """Bytes of a file that are not pictures."""
        sound = rung.rate_kbps * _SOUND_OVERHEAD * 125 * self._work.duration_s if rung else 0
        return self._overhead_bytes() + sound

    def _picture_kbps(self, max_bytes: int, rung: AudioStep | None) -> float:
        left = max_bytes * _AIM - self._beside_picture(rung)
        return max(_LOWEST_PICTURE_KBPS / 2, left * 8 / 1000 / self._work.duration_s)

    def _bytes(self, picture_kbps: float, rung: AudioStep | None) -> int:
        return round(picture_kbps * 125 * self._work.duration_s + self._beside_picture(rung))

    def _rendition(self, data: bytes, settings: ClipSettings, kbps: float) -> Rendition:
        return Rendition(
            data=data,
            format=self._rules.format,
            content_type=FORMATS[self._rules.format].content_type,
            action=Action.TRANSCODE,
            quality=self._measured(data, settings, kbps),
            width_px=settings.frame_px[0],
            height_px=settings.frame_px[1],
            duration_s=self._work.duration_s,
            notes=(*self._work.notes, *(("every 2nd frame kept",) if settings.every == 2 else ())),
        )

    def _measured(self, data: bytes, settings: ClipSettings, kbps: float) -> float:
        """The quality of a finished clip, as VMAF sees it; predicted where there is no VMAF."""
        if not vmaf.available(self._workspace):
            shape = Shape(max(settings.frame_px), settings.every)
            return predicted_quality(self._work.hardness, kbps, shape, self._rules.codec)
        path = self._workspace.put(data, f".{self._rules.format}")
        inner = settings.inner_px(self._work.mezzanine)
        seen = vmaf.vmaf_of(path, "mov", self._work.mezzanine, settings.every, inner, self._workspace)
        path.unlink()
        return seen_quality(seen, settings.every)
