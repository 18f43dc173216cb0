"""The script that people use for a clip, and what a piece of work costs.

Comes in: a clip and a limit in bytes. Goes out: an MP4 by plain ffmpeg, x264 Baseline in two passes at the rate that
the bytes leave beside 24 kbit/s of AAC, again with a lower rate until it fits. Never: anything of mmsprep's, but its
way to start ffmpeg.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import ffmpeg as graph

from mmsprep.model import MediaInfo
from mmsprep.tools import ffmpeg
from mmsprep.tools.workspace import Workspace

_SOUND_KBPS = 24
_TRIES = 6
_LOWEST_KBPS = 8.0
_OVER = 0.97

Result = TypeVar("Result")


@dataclass(frozen=True)
class Clip:
    """A clip to measure with, and room for temporary files."""

    path: Path
    info: MediaInfo
    workspace: Workspace

    @property
    def fps(self) -> float:
        return self.info.frame_rate_fps or 25.0

    def sized(self, long_px: float) -> tuple[int, int]:
        """Even width and height with this long side, never more than the clip's own."""
        own = self.info.width_px or 2, self.info.height_px or 2
        factor = min(1.0, long_px / max(own))
        width, height = (max(2, round(side * factor / 2) * 2) for side in own)
        return width, height


def cost(work: Callable[[], Result]) -> tuple[Result, float, float]:
    """What ``work`` gives, its processor seconds with those of its children, its seconds by the clock."""

    def used_s() -> float:
        both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        return sum(one.ru_utime + one.ru_stime for one in both)

    before_s, start_s = used_s(), time.perf_counter()
    result = work()
    return result, used_s() - before_s, time.perf_counter() - start_s


def decoded(clip: Clip) -> None:
    """One plain decode of the pictures and the sound."""
    ffmpeg.run(clip.workspace, ffmpeg.safe_input(clip.path, clip.info.format).output("pipe:1", f="null"))


def scripted(clip: Clip, long_px: float, limit_bytes: int, seconds: float, profile: str = "baseline") -> Path:
    """The clip as a plain two-pass script makes it."""
    sound_kbps = _SOUND_KBPS if clip.info.audio_codec else 0
    kbps = max(_LOWEST_KBPS, limit_bytes * 8 / 1000 / seconds - sound_kbps)
    made = clip.workspace.new_path(".mp4")
    for _ in range(_TRIES):
        _two_passes(clip, clip.sized(long_px), kbps, seconds, sound_kbps, profile, made)
        if made.stat().st_size <= limit_bytes:
            break
        kbps *= _OVER * limit_bytes / made.stat().st_size
    return made


def _two_passes(
    clip: Clip, size: tuple[int, int], kbps: float, seconds: float, sound_kbps: int, profile: str, made: Path
) -> None:
    log = clip.workspace.new_path("")
    source = ffmpeg.safe_input(clip.path, clip.info.format, t=seconds)
    for number in (1, 2):
        pictures = source["V:0"].filter("scale", *size).filter("fps", f"{clip.fps:.6f}", start_time=0)
        options = {
            "c:v": "libx264",
            "profile:v": profile,
            "preset": "medium",
            "b:v": round(kbps * 1000),
            "pix_fmt": "yuv420p",
            "pass": number,
            "passlogfile": str(log),
        }
        if number == 1:
            ffmpeg.run(clip.workspace, pictures.output("pipe:1", f="null", **options))
        elif sound_kbps:
            options |= {"c:a": "aac", "b:a": f"{sound_kbps}k"}
            ffmpeg.run(clip.workspace, graph.output(pictures, source["a:0"], str(made), **options))
        else:
            ffmpeg.run(clip.workspace, pictures.output(str(made), **options))
