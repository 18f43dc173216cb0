"""Clips: decoded once to a small mezzanine, then two passes at the size that the bytes can carry.

Comes in: any clip that ffmpeg reads. Goes out: 3GP or MP4 as the profile says. Never: a byte too many, a
second decode of the source, or a tag.

About 0.04 bits a pixel and frame, at most 480 px, is within a few VMAF points of the best size for every
clip that was measured; half the frame rate pays only for starved clips.
"""

from __future__ import annotations

import io
import math
import wave
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ffmpeg as graph
import numpy as np
from PIL import Image

from mmsprep.errors import Damaged
from mmsprep.formats import FORMATS
from mmsprep.model import Action, Attachment, Curve, CurvePoint, MediaInfo, Plan, Rendition
from mmsprep.profile import AudioStep, Profile, VideoRules
from mmsprep.tools import ffmpeg
from mmsprep.tools.workspace import Workspace
from mmsprep.transcode.audio import encoder_options, rung_quality
from mmsprep.transcode.speech import Material

_BITS_PER_PIXEL = 0.04
_STARVED_BITS_PER_PIXEL = 0.03
_LONGEST_S = 180.0
_LONG_CLIP_S = 8.0
_LONG_CLIP_PX = 480
_SMALLEST_LONG_PX = 128
_LOWEST_FPS = 12.0
_MOST_FPS = 25.0
_SOUND_SHARE = 0.22
_PROBE_LONG_PX = 256
_PROBE_CRF = 28
_PROBE_QUALITY = 34.0
_QUALITY_AN_OCTAVE = 15.0
_SILENT_PEAK = 33
_CURVE_STEPS = 14
_FILLED = 0.985
_ATTEMPTS = 4
_OVERHEAD_BYTES = 2_000
_THREADS = 2


@dataclass(frozen=True, slots=True)
class _Work:
    """A decoded clip: mezzanine and sound in the workspace, what they are, what they cost."""

    picture: Path
    sound: Path | None
    width_px: int
    height_px: int
    fps: float
    duration_s: float
    probe_kbps: float
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
        raise Damaged(attachment.name, "is a clip, which this profile does not carry")
    declared_s = info.duration_s or 0.0
    fps = min(info.frame_rate_fps or _MOST_FPS, rules.max_fps, _MOST_FPS)
    width_px, height_px = _mezzanine_size(info, rules, declared_s)
    picture, sound = workspace.new_path(".y4m"), workspace.new_path(".wav")
    source = ffmpeg.safe_input(workspace.path_of(attachment), info.format, t=_LONGEST_S)
    outputs = [_picture_output(source, info, (width_px, height_px), fps, picture)]
    if info.audio_codec:
        outputs.append(source["a:0"].output(str(sound), f="wav", ar=44_100, ac=1))
    with ffmpeg.decoding(attachment.name):
        ffmpeg.run(workspace, graph.merge_outputs(*outputs))
    frame_bytes = width_px * height_px * 3 // 2 + 6
    decoded_s = picture.stat().st_size // frame_bytes / fps if picture.exists() else 0.0
    if decoded_s <= 0:
        raise Damaged(attachment.name, "has no picture that decodes")
    expected_s = min(declared_s, _LONGEST_S)
    # An AVI header may count every frame of a packed MPEG-4 stream twice.
    if decoded_s < expected_s * (0.5 if info.format == "avi" else 0.9) - 0.5:
        raise Damaged(attachment.name, f"decodes for {decoded_s:.1f} s of the {expected_s:.1f} s that it declares")
    notes: tuple[str, ...] = ()
    heard = sound if info.audio_codec and sound.exists() else None
    if heard and _is_silent(heard):
        heard, notes = None, ("its sound track is silent and left out",)
    work = _Work(
        picture, heard, width_px, height_px, fps, decoded_s if declared_s <= _LONGEST_S else declared_s, 0, notes
    )
    return VideoSource(replace(work, probe_kbps=_probe_kbps(work, workspace)), rules, workspace)


def best_frame(attachment: Attachment, info: MediaInfo, workspace: Workspace) -> Image.Image:
    """The most representative of the first frames, as RGB.

    Raises:
        Damaged: no frame decodes.
    """
    source = ffmpeg.safe_input(workspace.path_of(attachment), info.format, t=_LONGEST_S)
    stream = source["v:0"].filter("thumbnail", 100)
    if info.width_px and info.height_px:
        stream = stream.filter("scale", info.width_px, info.height_px)
    output = stream.output("pipe:1", f="image2pipe", vcodec="png", vframes=1, pix_fmt="rgb24")
    with ffmpeg.decoding(attachment.name, "has no picture that decodes"):
        data = ffmpeg.run(workspace, output).stdout
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            return image.convert("RGB")
    except OSError as error:
        raise Damaged(attachment.name, "has no picture that decodes") from error


def _picture_output(
    source: Any,
    info: MediaInfo,
    size: tuple[int, int],
    fps: float,
    path: Path,
) -> Any:
    stream = source["v:0"]
    if (info.bit_depth or 8) > 8 and any("HDR" in note for note in info.notes):
        stream = stream.filter("zscale", t="linear", npl=100).filter("format", "gbrpf32le")
        stream = stream.filter("tonemap", "hable").filter("zscale", p="bt709", t="bt709", m="bt709", r="tv")
    stream = stream.filter("scale", *size, flags="bicubic").filter("setsar", "1")
    stream = stream.filter("fps", f"{fps:.4f}").filter("format", "yuv420p")
    return stream.output(str(path), f="yuv4mpegpipe")


def _mezzanine_size(info: MediaInfo, rules: VideoRules, duration_s: float) -> tuple[int, int]:
    width, height = info.width_px or 320, info.height_px or 240
    long_px, short_px = rules.max_long_px, rules.max_short_px
    factor = min(1.0, long_px / max(width, height), short_px / min(width, height))
    if duration_s > _LONG_CLIP_S:
        factor = min(factor, _LONG_CLIP_PX / max(width, height))
    return _even(width * factor), _even(height * factor)


def _even(length: float) -> int:
    return max(2, round(length / 2) * 2)


def _is_silent(path: Path) -> bool:
    with wave.open(str(path), "rb") as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), np.int16)
    return not len(samples) or int(np.abs(samples.astype(np.int32)).max()) < _SILENT_PEAK


def _probe_kbps(work: _Work, workspace: Workspace) -> float:
    """What the clip costs at a fixed quality and a small size: how hard it is."""
    factor = min(1.0, _PROBE_LONG_PX / max(work.width_px, work.height_px))
    size = _even(work.width_px * factor), _even(work.height_px * factor)
    stream = graph.input(str(work.picture)).filter("scale", *size)
    output = stream.output(
        "pipe:1", f="h264", vcodec="libx264", preset="veryfast", crf=_PROBE_CRF, threads=_THREADS, t=30
    )
    coded = len(ffmpeg.run(workspace, output).stdout)
    return max(1.0, coded * 8 / 1000 / min(30.0, work.duration_s))


class VideoSource:
    """A clip that can be made at any rate (see :class:`mmsprep.model.TimedSource`)."""

    def __init__(self, work: _Work, rules: VideoRules, workspace: Workspace) -> None:
        self._work = work
        self._rules = rules
        self._workspace = workspace

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
        """Predict from the probe: doubling the rate is worth about fifteen VMAF points."""
        least = self._work.probe_kbps / 8
        points = []
        for step in range(_CURVE_STEPS):
            kbps = least * 2 ** (step / 2)
            if kbps > self._rules.max_rate_kbps:
                break
            sound = self._rung(kbps)
            total = kbps + (sound.rate_kbps * 1.05 if sound else 0)
            size = _OVERHEAD_BYTES + round(total * 125 * self._work.duration_s)
            points.append(CurvePoint(size, self._quality(kbps)))
        return Curve(tuple(points or [CurvePoint(_OVERHEAD_BYTES * 2, 30.0)]))

    def render(self, max_bytes: int) -> Rendition:
        """Two passes at the size for this rate, corrected until it fits and fills ``max_bytes``."""
        total_kbps = max(4.0, (max_bytes - _OVERHEAD_BYTES) * 8 / 1000 / self._work.duration_s)
        step = self._rung(total_kbps)
        kbps = max(3.0, min(total_kbps - (step.rate_kbps * 1.05 if step else 0), self._rules.max_rate_kbps))
        size, fps = self._size_and_rate(kbps)
        log = self._workspace.new_path("")
        if self._rules.codec == "h264":
            self._encode(kbps, size, fps, step, log, 1)
        best: bytes | None = None
        data = b""
        for _ in range(_ATTEMPTS):
            data = self._encode(kbps, size, fps, step, log, 2)
            if len(data) <= max_bytes and (best is None or len(data) > len(best)):
                best = data
            if best is not None and (len(best) >= max_bytes * _FILLED or kbps >= self._rules.max_rate_kbps):
                break
            sound_bytes = (step.rate_kbps * 131 if step else 0) * self._work.duration_s
            picture = max(1_000.0, len(data) - sound_bytes)
            wanted = max(1_000.0, max_bytes * 0.994 - sound_bytes)
            if best is not None and wanted / picture > 4:
                break
            kbps = min(max(2.0, kbps * wanted / picture), self._rules.max_rate_kbps)
        return self._rendition(best if best is not None else data, size, kbps)

    def _quality(self, kbps: float) -> float:
        quality = _PROBE_QUALITY + _QUALITY_AN_OCTAVE * math.log2(kbps / self._work.probe_kbps)
        if self._rules.codec != "h264":
            quality *= 0.5
        return min(90.0, max(1.0, quality))

    def _rung(self, total_kbps: float) -> AudioStep | None:
        """The best sound that leaves the picture most of the rate."""
        if self._work.sound is None or not self._rules.audio_ladder:
            return None
        ladder = sorted(self._rules.audio_ladder, key=lambda step: rung_quality(step, Material.SPEECH))
        fitting = [step for step in ladder if step.rate_kbps <= total_kbps * _SOUND_SHARE]
        return fitting[-1] if fitting else min(ladder, key=lambda step: step.rate_kbps)

    def _size_and_rate(self, kbps: float) -> tuple[tuple[int, int], float]:
        work = self._work
        if self._rules.fixed_sizes:
            width, _, height = self._rules.fixed_sizes[0].partition("x")
            return (int(width), int(height)), work.fps
        fps = work.fps
        pixels = kbps * 1000 / (fps * _BITS_PER_PIXEL)
        if pixels < 160 * 160 * _BITS_PER_PIXEL / _STARVED_BITS_PER_PIXEL and fps / 2 >= _LOWEST_FPS:
            fps /= 2
            pixels *= 2
        factor = min(1.0, math.sqrt(pixels / (work.width_px * work.height_px)))
        factor = min(1.0, max(factor, _SMALLEST_LONG_PX / max(work.width_px, work.height_px)))
        return (_even(work.width_px * factor), _even(work.height_px * factor)), fps

    def _encode(
        self, kbps: float, size: tuple[int, int], fps: float, step: AudioStep | None, log: Path, number: int
    ) -> bytes:
        work, rules = self._work, self._rules
        stream = graph.input(str(work.picture), t=f"{work.duration_s:.3f}").video
        if rules.fixed_sizes:
            stream = stream.filter("scale", *size, force_original_aspect_ratio="decrease")
            stream = stream.filter("pad", *size, "(ow-iw)/2", "(oh-ih)/2")
        elif size != (work.width_px, work.height_px):
            stream = stream.filter("scale", *size, flags="lanczos")
        if fps != work.fps:
            stream = stream.filter("fps", f"{fps:.4f}")
        options: dict[str, Any] = {
            "b:v": f"{round(kbps * 1000)}",
            "pix_fmt": "yuv420p",
            "g": round(fps * 5),
            "threads": _THREADS,
            "map_metadata": -1,
            "fflags": "+bitexact",
            "flags:v": "+bitexact",
        }
        if rules.codec == "h264":
            options |= {"c:v": "libx264", "preset": "slow", "profile:v": rules.codec_profile or "baseline"}
            options |= {"level:v": rules.codec_level or "3.0", "pass": number, "passlogfile": str(log)}
            options["bsf:v"] = "filter_units=remove_types=6"
        else:
            options |= {"c:v": rules.codec, "maxrate": f"{rules.max_rate_kbps * 1000:.0f}", "bufsize": "160k"}
        if number == 1:
            del options["bsf:v"]
            ffmpeg.run(self._workspace, stream.output("pipe:1", f="null", **options))
            return b""
        target = self._workspace.new_path(f".{rules.format}")
        streams = [stream]
        if step and work.sound:
            streams.append(graph.input(str(work.sound), t=f"{work.duration_s:.3f}").audio)
            sound = encoder_options(step)
            options |= {key: value for key, value in sound.items() if key != "f"}
        options |= {
            "f": rules.format,
            "brand": rules.brand,
            "movflags": "+faststart",
            "chunk_duration": 1_000_000,
        }
        ffmpeg.run(self._workspace, graph.output(*streams, str(target), **options))
        data = target.read_bytes()
        target.unlink()
        return data

    def _rendition(self, data: bytes, size: tuple[int, int], kbps: float) -> Rendition:
        return Rendition(
            data=data,
            format=self._rules.format,
            content_type=FORMATS[self._rules.format].content_type,
            action=Action.TRANSCODE,
            quality=self._quality(kbps),
            width_px=size[0],
            height_px=size[1],
            duration_s=self._work.duration_s,
            notes=self._work.notes,
        )
