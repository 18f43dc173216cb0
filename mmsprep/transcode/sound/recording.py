"""Recordings: decoded once, trimmed, levelled, then a rung of the profile's ladder.

Comes in: any sound that ffmpeg reads. Goes out: MP3 or AMR-NB, at any rate between two rungs, or WAV. Never: a rung
that the budget does not hold, a clipped sample, or a tag.

What a rung is worth depends on what is heard (:mod:`mmsprep.transcode.sound.worth`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import ffmpeg as graph
import msgspec
import numpy as np

from mmsprep.errors import Damaged, Inaudible
from mmsprep.formats import FORMATS
from mmsprep.formats.amr import amr_bytes, amr_frame_bytes
from mmsprep.hearing.channels import Mix, mixed
from mmsprep.hearing.filters import Levels
from mmsprep.hearing.samples import Decoded, decoded
from mmsprep.model import Action, Attachment, Curve, CurvePoint, MediaInfo, Plan, Rendition, Source
from mmsprep.profile import AudioStep, Profile
from mmsprep.tools import ffmpeg
from mmsprep.tools.workspace import Workspace
from mmsprep.transcode.sound import amr, mp3, wav
from mmsprep.transcode.sound.carried import band_hz, is_silent, nothing_heard, side_of, silent_dbfs
from mmsprep.transcode.sound.level import FADE_S, Levelled, heard_in
from mmsprep.transcode.sound.pcm import decode_pcm
from mmsprep.transcode.sound.speech import Material
from mmsprep.transcode.sound.worth import ALIKE, rung_quality, side_share

_SILENCE_KEPT_S = 0.1
_LEAST_HEARD_S = 0.02
_LEAST_SILENCE_S = 0.5
"""Seconds: of silence that stays, of the shortest sound, of silence that is worth taking out. Set by hand."""
_LONGEST_MARGIN, _LONGEST_MARGIN_S = 1.1, 60.0
"""Beyond what the limit could carry of the smallest rung so much is decoded, a ratio and seconds: silence may yet be
taken out."""
_TOLD_LU = 6.0
"""By how much the whole is louder than what is carried of it, for that to be told."""
_STEP_BETWEEN = 1.01
"""Ratio of the rates between two rungs."""


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
        Inaudible: all that is heard in it lies outside of what the profile's rungs carry.
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
    return AudioSource(_work(mix, duration_s, notes, attachment.name, info, profile), workspace)


def open_in_step(attachment: Attachment, info: MediaInfo, profile: Profile, workspace: Workspace) -> AudioSource | None:
    """The sound of a clip as a recording that keeps its silences and can be cut between its frames; ``None``: silent.

    Raises:
        Damaged: nothing in it can be decoded.
        Inaudible: as :func:`open_source`.
    """
    pcm = decode_pcm(attachment, info, workspace, longest_s=_longest_s(profile))
    mix = mixed(pcm.sound)
    if nothing_heard(mix):
        return None
    work = _work(mix, pcm.duration_s, (*pcm.notes, *mix.notes), attachment.name, info, profile)
    return AudioSource(replace(work, apart=True), workspace)


def _work(mix: Mix, duration_s: float, notes: tuple[str, ...], name: str, info: MediaInfo, profile: Profile) -> _Work:
    heard = heard_in(mix)
    source_hz = info.sample_rate_hz or mix.rate_hz
    share = 0.0 if mix.stereo is None or heard is not Material.MUSIC else side_share(mix.stereo)
    channels = 2 if share >= ALIKE else 1
    ladder = [step for step in profile.audio.ladder if step.sample_rate_hz <= 3 * source_hz]
    ladder = [step for step in ladder if step.channels <= channels] or list(profile.audio.ladder)
    sound = Levelled(mix, heard)
    if not is_silent(mix.mono):
        ladder = [step for step in ladder if sound.carried(step).is_heard]
    if not ladder:
        raise Inaudible(name, _not_carried(mix, profile))
    return _Work(
        sound=sound,
        duration_s=duration_s,
        rungs=tuple(ladder),
        steps=tuple(_steps(ladder)),
        side_share=share,
        floor_quality=profile.audio.floor_quality,
        notes=notes,
    )


def _not_carried(mix: Mix, profile: Profile) -> str:
    widest = max(profile.audio.ladder, key=lambda step: band_hz(step)[1])
    band = band_hz(widest)
    title, low, high = FORMATS[format_slug(widest)].title, *band
    return (
        f"what is heard in it lies {side_of(mix, band)} the {low:,.0f} to {high:,.0f} Hz that {title} carries, which is"
        f" what profile '{profile.name}' sends of a recording; choose a profile that sends more, or leave it out"
    )


def _longest_s(profile: Profile) -> float:
    """Nothing longer can be in a message, however it is encoded; what is silent at the start may be cut off."""
    kbps = min(step.rate_kbps for step in profile.audio.ladder)
    return profile.message.limit_bytes * 8 / 1000 / kbps * _LONGEST_MARGIN + _LONGEST_MARGIN_S


def _without_silence(mix: Mix) -> tuple[Mix, float, tuple[str, ...]]:
    """The mix without silence at its ends, how many seconds were cut off, and what is said of it."""
    rate_hz = mix.rate_hz
    if nothing_heard(mix):
        rest = mix.cut(0, rate_hz).hushed()
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


def _steps(ladder: Sequence[AudioStep]) -> list[AudioStep]:
    """The rungs, and every rate between two of MP3 or AMR that have as many channels, at the lower's sampling rate."""
    rising = sorted(ladder, key=lambda step: step.rate_kbps)
    made = list(rising)
    for kind in (("mp3", 1), ("mp3", 2), ("amr", 1)):
        alike = [step for step in rising if (step.format, step.channels) == kind]
        for low, high in pairwise(alike):
            count = math.floor(math.log(high.rate_kbps / low.rate_kbps, _STEP_BETWEEN))
            rates = (low.rate_kbps * _STEP_BETWEEN**place for place in range(1, count))
            made += [msgspec.structs.replace(low, rate_kbps=rate) for rate in rates]
    return made


@dataclass(frozen=True, slots=True)
class _Work:
    """What an audio source works with: its sound, its length in seconds, the profile's ``rungs``, and ``steps``, what
    it may become.

    ``apart``: each frame of what is made has all that it needs.
    """

    sound: Levelled
    duration_s: float
    rungs: tuple[AudioStep, ...]
    steps: tuple[AudioStep, ...]
    side_share: float
    floor_quality: float
    notes: tuple[str, ...]
    apart: bool = False


class AudioSource(Source):
    """A recording that can be made at every rung of a ladder (see :class:`mmsprep.model.Source`)."""

    def __init__(self, work: _Work, workspace: Workspace) -> None:
        self._work = work
        self._workspace = workspace
        self._landings: dict[tuple[int, int], mp3.Landing] = {}
        self._of_rung: dict[AudioStep, Rendition] = {}

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

    def format_at(self, max_bytes: int) -> str:
        """Of the best rung that should be within ``max_bytes``."""
        return format_slug(self._best_first(max_bytes)[0])

    def carried(self, step: AudioStep) -> Levels:
        """Of :attr:`samples` what a rung carries."""
        return self._work.sound.carried(step).mix.mono

    def render(self, max_bytes: int) -> Rendition:
        """The best step whose encode is within ``max_bytes``, an MP3 filling them; the smallest when none is."""
        return self.rendered(max_bytes)[0]

    def rendered(self, max_bytes: int) -> tuple[Rendition, AudioStep]:
        """What :meth:`render` gives, and the step that it is."""
        tried: set[tuple[object, ...]] = set()
        for step in self._best_first(max_bytes):
            rate_kbps = mp3.constant_kbps(step) if step.format == "mp3" else step.rate_kbps
            way = (step.format, step.sample_rate_hz, step.channels, rate_kbps)
            if way in tried:
                continue
            tried.add(way)
            rendition = self._of_rung.get(step) or self._encode(step, max_bytes)
            if step.format != "mp3" and step in self._work.rungs:
                # As large as it is, whatever room there is.
                self._of_rung[step] = rendition
            if rendition.size_bytes <= max_bytes:
                break
        return rendition, step

    def _best_first(self, max_bytes: int) -> list[AudioStep]:
        """The rungs that should be within ``max_bytes``, and at last the smallest there is."""
        steps = sorted(self._work.steps, key=lambda step: (self._quality(step), self._size(step)), reverse=True)
        return [*(step for step in steps if self._size(step) <= max_bytes), min(steps, key=self._size)]

    def trimmed(self, duration_s: float) -> AudioSource:
        """The first ``duration_s`` seconds, faded out at the cut."""
        work = self._work
        cut = work.sound.mix.cut(0, round(duration_s * work.sound.mix.rate_hz)).faded_out(FADE_S)
        note = f"cut to its first {duration_s:.0f} s"
        notes = (*(one for one in work.notes if not one.startswith("cut")), note)
        sound = Levelled(cut, work.sound.heard)
        return AudioSource(replace(work, sound=sound, duration_s=cut.duration_s, notes=notes), self._workspace)

    def _quality(self, step: AudioStep) -> float:
        return rung_quality(step, self._work.sound.heard, self._work.side_share)

    def _size(self, step: AudioStep) -> int:
        return sound_bytes(step, self.duration_s)

    def _encode(self, step: AudioStep, max_bytes: int) -> Rendition:
        slug = format_slug(step)
        sound, workspace = self._work.sound, self._workspace
        # Beyond the highest rung nothing is gained, between two the whole room is used.
        most_bytes = min(max_bytes, math.ceil(self._size(step) * _STEP_BETWEEN))

        def read(data: bytes) -> Decoded:
            return _read_back(data, slug, workspace)

        if step.format == "mp3":
            search = self._search(step, most_bytes)
            data = sound.encoded(step, lambda samples: search.begun(self._floats(samples)), read, search.filled)
        else:
            data = sound.encoded(step, lambda samples: self._made(samples, step, most_bytes), read)
        return Rendition(
            data=data,
            format=slug,
            content_type=FORMATS[slug].content_type,
            action=Action.TRANSCODE,
            quality=self._quality(step),
            duration_s=self.duration_s,
            heard_lufs=sound.heard_lufs(step),
            notes=(*self._work.notes, *_lost(sound.carried(step).lost_lu, step)),
        )

    def _search(self, step: AudioStep, most_bytes: int) -> mp3.Search:
        landing = self._landings.setdefault((step.sample_rate_hz, step.channels), mp3.Landing())
        return mp3.Search(step, most_bytes, self._workspace, landing)

    def _floats(self, samples: Levels) -> mp3.Samples:
        return mp3.Samples(samples.tobytes(), self._work.sound.mix.rate_hz, samples.shape[1], self._work.apart)

    def _made(self, samples: Levels, step: AudioStep, most_bytes: int) -> bytes:
        """The samples as a file of a step's format, which is not MP3."""
        rate_hz = self._work.sound.mix.rate_hz
        if step.format == "amr":
            return self._amr(samples, step, most_bytes)
        data = _encoded(samples, rate_hz, step, self._workspace)
        if step.format == "wav":
            return wav.written(data, step.sample_rate_hz, step.channels)
        return _with_true_sizes(data) if step.format == "wav-ima" else data

    def _amr(self, samples: Levels, step: AudioStep, most_bytes: int) -> bytes:
        rungs = sorted((one for one in self._work.rungs if one.format == "amr"), key=lambda one: one.rate_kbps)
        low = next(one for one in reversed(rungs) if one.rate_kbps <= step.rate_kbps)
        high = next((one for one in rungs if one.rate_kbps >= step.rate_kbps), low)
        rate_hz = self._work.sound.mix.rate_hz
        made = _encoded(samples, rate_hz, low, self._workspace)
        if low is high:
            return made
        sizes = amr_frame_bytes(low.rate_kbps), amr_frame_bytes(high.rate_kbps)
        return amr.joined(
            made, lambda: _encoded(samples, rate_hz, high, self._workspace), sizes, most_bytes, (samples, rate_hz)
        )


def _lost(lost_lu: float, step: AudioStep) -> tuple[str, ...]:
    if lost_lu < _TOLD_LU:
        return ()
    (low, high), title = band_hz(step), FORMATS[format_slug(step)].title
    return (
        f"what lies outside of {low:,.0f} to {high:,.0f} Hz is not carried by {title}: most of what is heard in it",
    )


def format_slug(step: AudioStep) -> str:
    """The format of a rung's file."""
    return "wav" if step.format.startswith("wav") else step.format


def _encoded(samples: Levels, rate_hz: int, step: AudioStep, workspace: Workspace) -> bytes:
    raw = graph.input("pipe:0", f="f32le", ar=rate_hz, ac=samples.shape[1])
    return ffmpeg.run(workspace, raw.output("pipe:1", **encoder_options(step)), stdin=samples.tobytes()).stdout


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
    return round((duration_s + 4 * mp3.frame_s(step)) * step.rate_kbps * 125)


def encoder_options(step: AudioStep) -> dict[str, str | int]:
    """ffmpeg's options for a rung that is no MP3 (:mod:`mmsprep.transcode.sound.mp3`): no tags, no encoder's name."""
    options: dict[str, str | int] = {
        "ar": step.sample_rate_hz,
        "ac": step.channels,
        "map_metadata": -1,
        "fflags": "+bitexact",
        "flags:a": "+bitexact",
    }
    rate = {"b:a": f"{round(step.rate_kbps * 1000)}"}
    match step.format:
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
