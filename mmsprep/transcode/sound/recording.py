"""Recordings: decoded once, trimmed, levelled, then a rung of the profile's ladder.

Comes in: any sound that ffmpeg reads. Goes out: MP3 (at any rate between two rungs), AMR-NB or WAV. Never: a rung that
the budget does not hold, a clipped sample, or a tag.

What a rung is worth depends on what is heard (:mod:`mmsprep.transcode.sound.speech`): a speech codec ruins music,
and loses nothing that a telephone has cut off before.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import ffmpeg as graph
import msgspec
import numpy as np

from mmsprep.errors import Damaged
from mmsprep.formats import FORMATS
from mmsprep.formats.amr import amr_bytes
from mmsprep.hearing.channels import Mix, mixed
from mmsprep.hearing.filters import Levels
from mmsprep.hearing.samples import Decoded, decoded
from mmsprep.model import Action, Attachment, Curve, CurvePoint, MediaInfo, Plan, Rendition, Source
from mmsprep.profile import AudioStep, Profile
from mmsprep.tools import ffmpeg
from mmsprep.tools.workspace import Workspace
from mmsprep.transcode.sound import mp3, wav
from mmsprep.transcode.sound.level import FADE_S, Levelled, heard_in, is_silent, silent_dbfs
from mmsprep.transcode.sound.pcm import decode_pcm
from mmsprep.transcode.sound.speech import Material

_SILENCE_KEPT_S = 0.1
_LEAST_HEARD_S = 0.02
_LEAST_SILENCE_S = 0.5
"""Seconds: of silence that stays, of the shortest sound, of silence that is worth taking out. Set by hand."""
_LONGEST_MARGIN, _LONGEST_MARGIN_S = 1.1, 60.0
"""Beyond what the limit could carry of the smallest rung so much is decoded, a ratio and seconds: silence may yet be
taken out."""
_STEREO_COST = 1.5
_STEREO_WORTH = 10.0
_WIDEST = 0.5
"""The rate that two channels take of one alike; the points of quality that they are worth more, where the sides have
this share of the power. Set by hand: the measures of the tables hear one channel."""
_STEP_BETWEEN = 1.01
"""Ratio of the rates between two rungs."""

_Table = tuple[tuple[float, float], ...]
_WORTH: dict[Material, dict[str, _Table]] = {
    # PESQ-WB, 1..4.64, from benchmarks/sound_quality.py; narrow: the same sentences through a telephone.
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
    # ViSQOL, 1..4.85.
    Material.MUSIC: {
        "amr": ((4.75, 1.4), (12.2, 1.5)),
        "mp3": ((24, 1.6), (32, 2.0), (48, 3.0), (64, 4.4), (128, 4.7)),
        "aac": ((16, 1.5), (24, 1.6), (32, 2.0), (48, 3.0), (64, 4.2), (96, 4.6)),
        "wav": ((128, 1.6), (256, 1.9), (706, 4.85)),
        "wav-ima": ((32, 1.6), (64, 1.9), (176, 4.0)),
    },
}
_BEST = {Material.SPEECH: 4.64, Material.NARROW_SPEECH: 4.64, Material.MUSIC: 4.85}
_BITS_A_SAMPLE = {"wav": 16, "wav-ima": 4}


def rung_quality(step: AudioStep, heard: Material, width: float = 0.0) -> float:
    """What a rung is worth, 0..100.

    The tables hold for one channel. Two share the rate, and are worth more by as much as the sound is wide (``width``,
    0..1): the measures that made the tables mix both down and hear nothing of it.
    """
    bits = _BITS_A_SAMPLE.get(step.format)
    if bits:
        rate_kbps = bits * step.sample_rate_hz / 1000
    else:
        rate_kbps = step.rate_kbps / (_STEREO_COST if step.channels == 2 else 1)
    rates, scores = zip(*_WORTH[heard][step.format], strict=True)
    wide = _STEREO_WORTH * width if step.channels == 2 else 0.0
    return min(100.0, 100 * (float(np.interp(rate_kbps, rates, scores)) - 1) / (_BEST[heard] - 1) + wide)


def open_source(
    attachment: Attachment,
    info: MediaInfo,
    plan: Plan,
    profile: Profile,
    workspace: Workspace,
) -> AudioSource:
    """Decode a recording to PCM, once.

    Raises:
        Damaged: nothing in it can be decoded, or too little to hear.
    """
    pcm = decode_pcm(attachment, info, workspace, longest_s=_longest_s(profile))
    if pcm.duration_s < _LEAST_HEARD_S:
        raise Damaged(
            attachment.name,
            f"holds {pcm.duration_s * 1000:.0f} ms of sound, too little to hear; get the whole recording",
        )
    mix, trimmed_s, silence = _without_silence(mixed(pcm.sound))
    duration_s = mix.duration_s if pcm.is_whole else pcm.duration_s - trimmed_s
    notes = (*pcm.notes, *mix.notes, *silence)
    return AudioSource(_work(mix, duration_s, notes, info, profile), workspace)


def open_in_step(attachment: Attachment, info: MediaInfo, profile: Profile, workspace: Workspace) -> AudioSource | None:
    """The sound of a clip as a recording that keeps its silences and can be cut between its frames; ``None``: silent.

    Raises:
        Damaged: nothing in it can be decoded.
    """
    pcm = decode_pcm(attachment, info, workspace, longest_s=_longest_s(profile))
    mix = mixed(pcm.sound)
    if is_silent(mix.mono):
        return None
    work = _work(mix, pcm.duration_s, (*pcm.notes, *mix.notes), info, profile)
    return AudioSource(replace(work, apart=True), workspace)


def _work(mix: Mix, duration_s: float, notes: tuple[str, ...], info: MediaInfo, profile: Profile) -> _Work:
    heard = heard_in(mix)
    source_hz = info.sample_rate_hz or mix.rate_hz
    width = _width(mix) if heard is Material.MUSIC else 0.0
    channels = 2 if width else 1
    ladder = [step for step in profile.audio.ladder if step.sample_rate_hz <= 3 * source_hz]
    ladder = [step for step in ladder if step.channels <= channels] or list(profile.audio.ladder)
    return _Work(
        sound=Levelled(mix, heard),
        duration_s=duration_s,
        steps=tuple(_steps(ladder)),
        width=width,
        floor_quality=profile.audio.floor_quality,
        notes=notes,
    )


def _longest_s(profile: Profile) -> float:
    """Nothing longer can be in a message, however it is encoded; what is silent at the start may be cut off."""
    kbps = min(step.rate_kbps for step in profile.audio.ladder)
    return profile.message.limit_bytes * 8 / 1000 / kbps * _LONGEST_MARGIN + _LONGEST_MARGIN_S


def _without_silence(mix: Mix) -> tuple[Mix, float, tuple[str, ...]]:
    """The mix without silence at its ends, how many seconds were cut off, and what is said of it."""
    rate_hz = mix.rate_hz
    if is_silent(mix.mono):
        rest = mix.cut(0, rate_hz)
        cut_s = mix.duration_s - rest.duration_s
        return rest, cut_s, ("holds nothing but silence",)
    levels = np.abs(mix.mono[:, 0])
    loud = np.flatnonzero(levels > 10 ** (silent_dbfs(mix.mono) / 20))
    kept = round(_SILENCE_KEPT_S * rate_hz)
    first, last = max(0, int(loud[0]) - kept), min(len(levels), int(loud[-1]) + 1 + kept)
    lead_s, tail_s = first / rate_hz, (len(levels) - last) / rate_hz
    first = first if lead_s >= _LEAST_SILENCE_S else 0
    last = last if tail_s >= _LEAST_SILENCE_S else len(levels)
    places = ((lead_s, "start"), (tail_s, "end"))
    told = [f"{cut_s:.1f} s at its {place}" for cut_s, place in places if cut_s >= _LEAST_SILENCE_S]
    if not told:
        return mix, 0.0, ()
    rest = mix.cut(first, last)
    return rest, mix.duration_s - rest.duration_s, (f"silence is left out: {' and '.join(told)}",)


def _width(mix: Mix) -> float:
    """How much two channels differ: 0 as good as one, 1 as wide as music gets."""
    if mix.stereo is None:
        return 0.0
    side = float(np.abs(mix.stereo[:, 0] - mix.stereo[:, 1]).mean())
    whole = float(np.abs(mix.stereo).mean()) + 1e-9
    return 0.0 if side < 0.02 * whole else min(1.0, side / whole / 2 / _WIDEST)


def _steps(ladder: Sequence[AudioStep]) -> list[AudioStep]:
    """The rungs, and between two of MP3 that have as many channels every rate, at the lower one's sampling rate."""
    rising = sorted(ladder, key=lambda step: step.rate_kbps)
    made = list(rising)
    for channels in (1, 2):
        alike = [step for step in rising if step.format == "mp3" and step.channels == channels]
        for low, high in pairwise(alike):
            count = math.floor(math.log(high.rate_kbps / low.rate_kbps, _STEP_BETWEEN))
            rates = (low.rate_kbps * _STEP_BETWEEN**place for place in range(1, count))
            made += [msgspec.structs.replace(low, rate_kbps=rate) for rate in rates]
    return made


@dataclass(frozen=True, slots=True)
class _Work:
    """What an audio source works with: its sound, its length in seconds, and ``steps``, what it may become.

    ``apart``: each frame of what is made has all that it needs.
    """

    sound: Levelled
    duration_s: float
    steps: tuple[AudioStep, ...]
    width: float
    floor_quality: float
    notes: tuple[str, ...]
    apart: bool = False


class AudioSource(Source):
    """A recording that can be made at every rung of a ladder (see :class:`mmsprep.model.Source`)."""

    def __init__(self, work: _Work, workspace: Workspace) -> None:
        self._work = work
        self._workspace = workspace
        self._landings: dict[tuple[int, int], mp3.Landing] = {}

    @property
    def floor_quality(self) -> float:
        """From the profile."""
        return self._work.floor_quality

    @property
    def duration_s(self) -> float:
        """Seconds of sound after silence was trimmed."""
        return self._work.duration_s

    @property
    def samples(self) -> Levels:
        """The mix in one channel, before it is levelled."""
        return self._work.sound.mix.mono

    @property
    def rate_hz(self) -> int:
        """Samples a second of :attr:`samples`."""
        return self._work.sound.mix.rate_hz

    def curve(self) -> Curve:
        """The steps; those that cost more for less are left out by the division."""
        points = [CurvePoint(self._size(step), self._quality(step)) for step in self._work.steps]
        return Curve(tuple(sorted(points, key=lambda point: point.size_bytes)), steps=True)

    def render(self, max_bytes: int) -> Rendition:
        """The best step whose encode is within ``max_bytes``, an MP3 filling them; the smallest when none is."""
        steps = sorted(self._work.steps, key=self._quality, reverse=True)
        smallest = min(steps, key=self._size)
        tried: set[tuple[object, ...]] = set()
        for step in [*(step for step in steps if self._size(step) <= max_bytes), smallest]:
            rate_kbps = mp3.constant_kbps(step) if step.format == "mp3" else step.rate_kbps
            way = (step.format, step.sample_rate_hz, step.channels, rate_kbps)
            if way in tried:
                continue
            tried.add(way)
            rendition = self._encode(step, max_bytes)
            if rendition.size_bytes <= max_bytes:
                break
        return rendition

    def trimmed(self, duration_s: float) -> AudioSource:
        """The first ``duration_s`` seconds, faded out at the cut."""
        work = self._work
        cut = work.sound.mix.cut(0, round(duration_s * work.sound.mix.rate_hz)).faded_out(FADE_S)
        note = f"cut to its first {duration_s:.0f} s"
        notes = (*(one for one in work.notes if not one.startswith("cut")), note)
        sound = Levelled(cut, work.sound.heard)
        return AudioSource(replace(work, sound=sound, duration_s=cut.duration_s, notes=notes), self._workspace)

    def _quality(self, step: AudioStep) -> float:
        return rung_quality(step, self._work.sound.heard, self._work.width)

    def _size(self, step: AudioStep) -> int:
        return sound_bytes(step, self.duration_s)

    def _encode(self, step: AudioStep, max_bytes: int) -> Rendition:
        format_slug = "wav" if step.format.startswith("wav") else step.format
        sound, workspace = self._work.sound, self._workspace
        # Beyond the highest rung nothing is gained, between two the whole room is used.
        most_bytes = min(max_bytes, math.ceil(self._size(step) * _STEP_BETWEEN))
        landing = self._landings.setdefault((step.sample_rate_hz, step.channels), mp3.Landing())
        data = sound.encoded(
            step.channels,
            step.format,
            lambda samples: _made(
                samples, sound.mix.rate_hz, step, most_bytes, workspace, landing, apart=self._work.apart
            ),
            lambda data: _read_back(data, format_slug, workspace),
        )
        return Rendition(
            data=data,
            format=format_slug,
            content_type=FORMATS[format_slug].content_type,
            action=Action.TRANSCODE,
            quality=self._quality(step),
            duration_s=self.duration_s,
            heard_lufs=sound.heard_lufs,
            notes=self._work.notes,
        )


def _made(
    samples: Levels,
    rate_hz: int,
    step: AudioStep,
    most_bytes: int,
    workspace: Workspace,
    landing: mp3.Landing,
    *,
    apart: bool = False,
) -> bytes:
    """The samples as a file of a rung's format."""
    if step.format == "mp3":
        channels = samples.shape[1]
        sound = mp3.Samples(samples.tobytes(), rate_hz, channels, apart)
        return mp3.encode(sound, step, most_bytes, workspace, landing)
    raw = graph.input("pipe:0", f="f32le", ar=rate_hz, ac=samples.shape[1])
    output = raw.output("pipe:1", **encoder_options(step))
    data = ffmpeg.run(workspace, output, stdin=samples.tobytes()).stdout
    if step.format == "wav":
        return wav.written(data, step.sample_rate_hz, step.channels)
    return _with_true_sizes(data) if step.format == "wav-ima" else data


def _read_back(data: bytes, format_slug: str, workspace: Workspace) -> Decoded:
    path = workspace.put(data, f".{FORMATS[format_slug].extension}")
    back = decoded(path, format_slug, workspace, max_bytes=workspace.settings.max_decoded_bytes)
    path.unlink()
    return back


def sound_bytes(step: AudioStep, duration_s: float) -> int:
    """How large a sound of ``duration_s`` gets on this rung, within a frame or two."""
    match step.format:
        case "amr":
            return amr_bytes(step.rate_kbps, int(duration_s * 50) + 2)
        case "wav":
            return 44 + 2 * step.channels * round(step.sample_rate_hz * duration_s)
        case "wav-ima":
            return 100 + round(step.sample_rate_hz * step.channels * duration_s * 0.5 * 1.02)
    samples = 1152 if step.sample_rate_hz >= 32_000 else 576
    frame_s = samples / step.sample_rate_hz
    return round((duration_s + 4 * frame_s) * step.rate_kbps * 125)


def encoder_options(step: AudioStep) -> dict[str, str | int]:
    """ffmpeg's options for a rung: no tags, no encoder's name."""
    options: dict[str, str | int] = {
        "ar": step.sample_rate_hz,
        "ac": step.channels,
        "map_metadata": -1,
        "fflags": "+bitexact",
        "flags:a": "+bitexact",
    }
    rate = {"b:a": f"{round(step.rate_kbps * 1000)}"}
    match step.format:
        case "mp3":
            return mp3.encoder_options(step) | rate
        case "amr":
            return options | rate | {"c:a": "libopencore_amrnb", "f": "amr"}
        case "wav-ima":
            return options | {"c:a": "adpcm_ima_wav", "f": "wav"}
        case "wav":
            return options | {"c:a": "pcm_s16le", "f": "s16le"}
    return options | rate | {"c:a": "aac"}


def _with_true_sizes(data: bytes) -> bytes:
    """ffmpeg cannot go back in a pipe to write a WAV's sizes."""
    place = data.find(b"data", 12)
    body = len(data) - place - 8
    sized = data[: place + 4] + body.to_bytes(4, "little") + data[place + 8 :]
    return sized[:4] + (len(sized) - 8).to_bytes(4, "little") + sized[8:]
