"""Recordings: decoded once, trimmed, levelled, then a rung of the profile's ladder.

Comes in: any sound that ffmpeg reads. Goes out: MP3, AMR-NB or WAV. Never: a rung that the budget does not
hold, or a tag.

What a rung is worth is measured (PESQ-WB for speech, ViSQOL for music, mapped from 1..4.64 and 1..4.85 to
0..100); speech and music are told apart by how often the sound pauses.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import Any

import ffmpeg as graph
import numpy as np

from mmsprep.errors import Damaged, TypeNotAllowed
from mmsprep.formats import FORMATS
from mmsprep.model import Action, Attachment, Curve, CurvePoint, MediaInfo, Plan, Rendition
from mmsprep.profile import AudioStep, Profile
from mmsprep.tools import ffmpeg
from mmsprep.tools.workspace import Workspace

with warnings.catch_warnings():
    # pydub looks for an ffmpeg on the PATH; it is never asked to run one here.
    warnings.simplefilter("ignore")
    from pydub import AudioSegment
    from pydub.silence import detect_leading_silence

_LONG_S = 600.0
_LONGEST_S = 3600.0
_SILENCE_DBFS = -50.0
_SILENCE_KEPT_MS = 100
_PEAK_DBFS = -1.0
_MOST_GAIN_DB = 20.0
_FADE_MS = 30
_AMR_FRAME_BYTES = {4.75: 13, 5.15: 14, 5.9: 16, 6.7: 18, 7.4: 20, 7.95: 21, 10.2: 27, 12.2: 32}
_SPEECH = (
    (4.75, 2.22),
    (7.95, 2.55),
    (10.2, 2.78),
    (12.2, 2.88),
    (24, 3.39),
    (32, 3.94),
    (48, 4.37),
    (64, 4.54),
    (128, 4.64),
)
_MUSIC = ((4.75, 1.4), (12.2, 1.5), (24, 1.6), (32, 2.0), (48, 3.0), (64, 4.4), (128, 4.7))
_PAUSES_OF_SPEECH = 0.2


def rung_quality(step: AudioStep, *, is_speech: bool) -> float:
    """What a rung is worth, 0..100 (MEASURED at mono rates; stereo halves the rate a channel gets)."""
    rates = [rate for rate, _ in (_SPEECH if is_speech else _MUSIC)]
    scores = [score for _, score in (_SPEECH if is_speech else _MUSIC)]
    rate_kbps = step.rate_kbps / (1.5 if step.channels == 2 else 1)
    if step.format.startswith("wav"):
        rate_kbps = 32 if step.sample_rate_hz >= 16_000 else 20
    best = 4.64 if is_speech else 4.85
    return 100 * (float(np.interp(rate_kbps, rates, scores)) - 1) / (best - 1)


def open_source(
    attachment: Attachment,
    info: MediaInfo,
    plan: Plan,
    profile: Profile,
    workspace: Workspace,
) -> AudioSource:
    """Decode a recording to PCM, once.

    Raises:
        Damaged: nothing in it can be decoded.
    """
    sound = decode(attachment, info, workspace)
    if len(sound) == 0:
        raise Damaged(attachment.name, "holds no sound that can be decoded")
    trimmed, notes = _without_silence(sound)
    speech = is_speech(trimmed)
    source_hz = info.sample_rate_hz or trimmed.frame_rate
    ladder = [step for step in profile.audio.ladder if step.sample_rate_hz <= 3 * source_hz]
    channels = 1 if speech or _is_really_mono(trimmed) else 2
    ladder = [step for step in ladder if step.channels <= channels] or list(profile.audio.ladder)
    work = _Work(_levelled(trimmed), tuple(ladder), speech, profile.audio.floor_quality, notes)
    return AudioSource(work, workspace)


def decode(attachment: Attachment, info: MediaInfo, workspace: Workspace) -> Any:
    """The first sound track as pydub's ``AudioSegment``, 16 bit, at most 44.1 kHz stereo.

    Raises:
        Damaged: ffmpeg cannot decode it.
        TypeNotAllowed: ffmpeg has no decoder for the format (EVRC).
    """
    if FORMATS[info.format].demuxer is None:
        title = FORMATS[info.format].title
        raise TypeNotAllowed(attachment.name, f"is {title} sound, which nothing here decodes; convert it to WAV or MP3")
    long = (info.duration_s or 0) > _LONG_S
    rate_hz, channels = (22_050, 1) if long else (44_100, min(2, info.channels or 2))
    source = ffmpeg.safe_input(workspace.path_of(attachment), info.format, t=_LONGEST_S)
    output = source["a:0"].output("pipe:1", f="s16le", ar=rate_hz, ac=channels)
    with ffmpeg.decoding(attachment.name, "its sound does not decode"):
        done = ffmpeg.run(workspace, output)
    whole = len(done.stdout) - len(done.stdout) % (2 * channels)
    decoded_s = whole / (2 * channels * rate_hz)
    expected_s = min(info.duration_s or 0, _LONGEST_S)
    if decoded_s < expected_s * 0.9 - 0.5:
        raise Damaged(attachment.name, f"decodes for {decoded_s:.1f} s of the {expected_s:.1f} s that it declares")
    return AudioSegment(data=done.stdout[:whole], sample_width=2, frame_rate=rate_hz, channels=channels)


def is_speech(sound: Any) -> bool:
    """Speech pauses: many 20 ms frames are far quieter than the sound as a whole; music rarely does."""
    mono = sound.set_channels(1)
    samples = np.frombuffer(mono.raw_data, np.int16).astype(np.float32)
    frame = mono.frame_rate // 50
    count = len(samples) // frame
    if count < 10:
        return True
    levels = np.sqrt((samples[: count * frame].reshape(count, frame) ** 2).mean(axis=1))
    return bool((levels < 0.25 * levels.mean()).mean() > _PAUSES_OF_SPEECH)


def _without_silence(sound: Any) -> tuple[Any, tuple[str, ...]]:
    lead = max(0, detect_leading_silence(sound, _SILENCE_DBFS) - _SILENCE_KEPT_MS)
    tail = max(0, detect_leading_silence(sound.reverse(), _SILENCE_DBFS) - _SILENCE_KEPT_MS)
    if lead + tail >= len(sound):
        return sound[:1000], ("holds nothing but silence",)
    return sound[lead : len(sound) - tail], ()


def _levelled(sound: Any) -> Any:
    """Peaks brought to -1 dBFS, by no more than 20 dB, so that a hiss stays one."""
    if sound.max == 0:
        return sound
    return sound.apply_gain(min(_MOST_GAIN_DB, _PEAK_DBFS - sound.max_dBFS))


def _is_really_mono(sound: Any) -> bool:
    if sound.channels == 1:
        return True
    both = np.frombuffer(sound.raw_data, np.int16).reshape(-1, 2).astype(np.float32)
    difference = float(np.abs(both[:, 0] - both[:, 1]).mean())
    return difference < 0.02 * (float(np.abs(both).mean()) + 1)


@dataclass(frozen=True, slots=True)
class _Work:
    """What an audio source works with; ``sound`` is a pydub ``AudioSegment``."""

    sound: Any
    ladder: tuple[AudioStep, ...]
    speech: bool
    floor_quality: float
    notes: tuple[str, ...]


class AudioSource:
    """A recording that can be made at every rung of a ladder (see :class:`mmsprep.model.TimedSource`)."""

    def __init__(self, work: _Work, workspace: Workspace) -> None:
        self._work = work
        self._workspace = workspace

    @property
    def floor_quality(self) -> float:
        """From the profile."""
        return self._work.floor_quality

    @property
    def duration_s(self) -> float:
        """Seconds of sound after silence was trimmed."""
        return len(self._work.sound) / 1000

    def curve(self) -> Curve:
        """The ladder's rungs; those that cost more for less are left out by the division."""
        points = [CurvePoint(self._size(step), self._quality(step)) for step in self._work.ladder]
        return Curve(tuple(sorted(points, key=lambda point: point.size_bytes)), steps=True)

    def render(self, max_bytes: int) -> Rendition:
        """The best rung whose encode is within ``max_bytes``; the smallest when none is."""
        ladder = sorted(self._work.ladder, key=self._quality, reverse=True)
        fitting = [step for step in ladder if self._size(step) <= max_bytes]
        smallest = min(ladder, key=self._size)
        for step in [*fitting, smallest]:
            rendition = self._encode(step)
            if rendition.size_bytes <= max_bytes:
                return rendition
        return rendition

    def trimmed(self, duration_s: float) -> AudioSource:
        """The first ``duration_s`` seconds, faded out at the cut."""
        cut = self._work.sound[: round(duration_s * 1000)].fade_out(_FADE_MS)
        note = f"cut to its first {duration_s:.0f} s"
        notes = (*(one for one in self._work.notes if not one.startswith("cut")), note)
        return AudioSource(replace(self._work, sound=cut, notes=notes), self._workspace)

    def _quality(self, step: AudioStep) -> float:
        return rung_quality(step, is_speech=self._work.speech)

    def _size(self, step: AudioStep) -> int:
        return sound_bytes(step, self.duration_s)

    def _encode(self, step: AudioStep) -> Rendition:
        format_slug = "wav" if step.format.startswith("wav") else step.format
        sound = self._work.sound.set_channels(step.channels)
        raw = graph.input("pipe:0", f="s16le", ar=sound.frame_rate, ac=sound.channels)
        output = raw.output("pipe:1", **encoder_options(step))
        data = ffmpeg.run(self._workspace, output, stdin=sound.raw_data).stdout
        if format_slug == "wav":
            data = _with_true_sizes(data)
        return Rendition(
            data=data,
            format=format_slug,
            content_type=FORMATS[format_slug].content_type,
            action=Action.TRANSCODE,
            quality=self._quality(step),
            duration_s=self.duration_s,
            notes=self._work.notes,
        )


def sound_bytes(step: AudioStep, duration_s: float) -> int:
    """How large a sound of ``duration_s`` gets on this rung, within a frame or two."""
    match step.format:
        case "amr":
            return 6 + _AMR_FRAME_BYTES[step.rate_kbps] * (int(duration_s * 50) + 2)
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
            return options | rate | {"c:a": "libmp3lame", "f": "mp3", "write_xing": 0, "id3v2_version": 0}
        case "amr":
            return options | rate | {"c:a": "libopencore_amrnb", "f": "amr"}
        case "wav-ima":
            return options | {"c:a": "adpcm_ima_wav", "f": "wav"}
        case "wav":
            return options | {"c:a": "pcm_s16le", "f": "wav"}
    return options | rate | {"c:a": "aac"}


def _with_true_sizes(data: bytes) -> bytes:
    """ffmpeg cannot go back in a pipe to write a WAV's sizes."""
    place = data.find(b"data", 12)
    body = len(data) - place - 8
    sized = data[: place + 4] + body.to_bytes(4, "little") + data[place + 8 :]
    return sized[:4] + (len(sized) - 8).to_bytes(4, "little") + sized[8:]
