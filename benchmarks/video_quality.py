"""Clips: how good, beside what a two-pass script makes of them.

    python benchmarks/video_quality.py [--folder DIR] [--limit BYTES] [--most N] [--grid]

Every clip of the folder is prepared by mmsprep, and by the script that people use: x264 Baseline in two passes at the
rate that the bytes leave beside 24 kbit/s of AAC, once at the source's size and once 320 px wide, again with a
lower rate until it fits. VMAF (ffmpeg's libvmaf) of all three at the source's size and frame rate: a frame that was
left out counts as an error. ``reported`` is the quality that mmsprep gives itself from a sample of frames, ``seen`` the
same scale (VMAF on a phone) from every third frame that is there.

``--grid`` also encodes every width with every and with every other frame at mmsprep's own rate: the best of them is
what a search without end would find. Takes minutes a clip. A script at the source's size is not bound by the
profile's limits (640 x 480 px, level 3.0); where the bytes would carry more than that, it can be ahead.

Targets: never worse than the script; 5 points better in the median; within 3 of the best of the grid; no overshoot;
at least 98.5 % of the bytes used where the clip can use them.
"""

from __future__ import annotations

import argparse
import json
import statistics
from dataclasses import dataclass
from pathlib import Path

import ffmpeg as graph

from mmsprep import inspect, prepare
from mmsprep.errors import MmsprepError
from mmsprep.formats import FORMATS
from mmsprep.model import Attachment, Kind, MediaInfo, Part
from mmsprep.settings import Settings
from mmsprep.tools import ffmpeg
from mmsprep.tools.mediainfo import read_tracks
from mmsprep.tools.workspace import Workspace
from mmsprep.transcode.video.model import seen_quality

_RESERVE_BYTES = 2_000
_SCRIPT_SOUND_KBPS = 24
_SCRIPT_TRIES = 6
_WIDTHS = (176, 240, 320, 400, 480, 640)
_EVERY_NTH_FRAME_SCORED = 3


@dataclass(frozen=True)
class Clip:
    """A clip to measure with, and room for temporary files."""

    path: Path
    info: MediaInfo
    workspace: Workspace

    @property
    def fps(self) -> float:
        return self.info.frame_rate_fps or 25.0

    @property
    def size(self) -> tuple[int, int]:
        return (self.info.width_px or 2) // 2 * 2, (self.info.height_px or 2) // 2 * 2

    def sized(self, long_px: int) -> tuple[int, int]:
        factor = min(1.0, long_px / max(self.size))
        width, height = (max(2, round(side * factor / 2) * 2) for side in self.size)
        return width, height


def main() -> None:
    """Measure, print a line a clip and the summary."""
    parser = argparse.ArgumentParser(description="Clips beside a two-pass script.")
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent.parent / "sample_media")
    parser.add_argument("--limit", type=int, default=280_000, help="bytes of the clip")
    parser.add_argument("--most", type=int, default=12, help="how many clips")
    parser.add_argument("--grid", action="store_true", help="search every size and frame rate too")
    options = parser.parse_args()
    paths = sorted(path for path in options.folder.rglob("*") if path.is_file() and "bad" not in path.parts)
    found = [(path, one.info) for path, one in zip(paths, inspect(paths), strict=True)]
    clips = [(path, info) for path, info in found if info and info.kind is Kind.VIDEO and (info.frame_count or 2) > 1]
    print(
        f"{'clip':28}{'size':>10}{'fps':>6}{'used':>8}{'seen':>7}{'reported':>9}{'VMAF':>7}{'source':>8}{'320 px':>8}",
        end="",
    )
    print(f"{'grid':>7}" if options.grid else "")
    gains, errors, losses = [], [], []
    for path, info in clips[: options.most]:
        with Workspace(Settings()) as workspace:
            clip = Clip(path, info, workspace)
            try:
                (part,) = prepare([path], limit_bytes=options.limit + _RESERVE_BYTES, trim=True).parts
            except MmsprepError as error:
                print(f"{path.name:28}{error.code}: {error}")
                continue
            seconds = part.duration_s or 1.0
            made = workspace.put(part.data, ".3gp")
            fps = _frame_rate(made)
            ours = _vmaf(clip, made, seconds, clip.fps)
            every = 2 if fps < 0.7 * min(clip.fps, 30) else 1
            seen = seen_quality(_vmaf(clip, made, seconds, fps), every)
            scripts = [
                _vmaf(clip, _script(clip, size, options.limit, seconds), seconds, clip.fps)
                for size in (clip.size, clip.sized(320))
            ]
            gains.append(ours - max(scripts))
            errors.append(abs(part.quality - seen))
            print(
                f"{path.name:28}{part.width_px}x{part.height_px:<5}{fps:6.1f}{part.size_bytes / options.limit:8.1%}"
                f"{seen:7.1f}{part.quality:9.1f}{ours:7.1f}{scripts[0]:8.1f}{scripts[1]:8.1f}",
                end="",
                flush=True,
            )
            if options.grid:
                best = _best_of_grid(clip, part, seconds)
                losses.append(best - ours)
                print(f"{best:7.1f}", end="")
            print()
    if gains:
        print(
            f"against the better script: median {statistics.median(gains):+.1f}, least {min(gains):+.1f} VMAF;"
            f" reported quality is off by {statistics.mean(errors):.1f} in the mean, {max(errors):.1f} at most"
        )
    if losses:
        print(f"behind the best of the grid: median {statistics.median(losses):.1f}, most {max(losses):.1f} VMAF")


def _script(clip: Clip, size: tuple[int, int], limit_bytes: int, seconds: float) -> Path:
    """What a plain two-pass script makes; a lower rate each time it came out too large."""
    sound_kbps = _SCRIPT_SOUND_KBPS if clip.info.audio_codec else 0
    kbps = max(8.0, limit_bytes * 8 / 1000 / seconds - sound_kbps)
    made = clip.workspace.new_path(".mp4")
    for _ in range(_SCRIPT_TRIES):
        _two_passes(clip, size, 1, kbps, seconds, made, sound_kbps)
        if made.stat().st_size <= limit_bytes:
            break
        kbps *= 0.97 * limit_bytes / made.stat().st_size
    return made


def _two_passes(
    clip: Clip, size: tuple[int, int], every: int, kbps: float, seconds: float, made: Path, sound_kbps: int
) -> None:
    log = clip.workspace.new_path("")
    source = ffmpeg.safe_input(clip.path, clip.info.format, t=seconds)
    for number in (1, 2):
        pictures = source["v:0"].filter("scale", *size).filter("fps", f"{clip.fps / every:.6f}")
        options = {
            "c:v": "libx264",
            "profile:v": "baseline",
            "preset": "medium" if every == 1 and sound_kbps else "slow",
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


def _best_of_grid(clip: Clip, part: Part, seconds: float) -> float:
    """The best VMAF of any width and frame rate at the rate that mmsprep's pictures have."""
    alone = clip.workspace.new_path(".mp4")
    source = graph.input(str(clip.workspace.put(part.data, ".3gp")), f="mov")
    ffmpeg.run(clip.workspace, source["v:0"].output(str(alone), vcodec="copy"))
    kbps = alone.stat().st_size * 8 / 1000 / seconds
    best = 0.0
    for width in _WIDTHS:
        for every in (1, 2):
            made = clip.workspace.new_path(".mp4")
            _two_passes(clip, clip.sized(width), every, kbps, seconds, made, 0)
            best = max(best, _vmaf(clip, made, seconds, clip.fps))
            made.unlink()
    return best


def _vmaf(clip: Clip, made: Path, seconds: float, fps: float) -> float:
    """VMAF at the source's size, both at ``fps``."""
    log, alone = clip.workspace.new_path(".json"), clip.workspace.new_path(".mp4")
    # With the lead-in of AAC beside them, the pictures would begin later and meet the wrong ones.
    pictures = graph.input(str(made), f=FORMATS["mp4"].demuxer)["v:0"]
    ffmpeg.run(clip.workspace, pictures.output(str(alone), vcodec="copy"))
    source = ffmpeg.safe_input(clip.path, clip.info.format, t=seconds)["v:0"]
    pair = [
        stream.filter("fps", f"{fps:.6f}", start_time=0)
        .filter("scale", *clip.size, flags="bicubic")
        .filter("format", "yuv420p")
        .filter("settb", "1/1000")
        .filter("setpts", "N")
        for stream in (graph.input(str(alone), f=FORMATS["mp4"].demuxer).video, source)
    ]
    score = graph.filter(
        pair,
        "libvmaf",
        n_threads=2,
        n_subsample=_EVERY_NTH_FRAME_SCORED,
        shortest=1,
        log_fmt="json",
        log_path=str(log),
    )
    ffmpeg.run(clip.workspace, score.output("pipe:1", f="null"))
    return float(json.loads(log.read_text())["pooled_metrics"]["vmaf"]["mean"])


def _frame_rate(path: Path) -> float:
    tracks = read_tracks(Attachment(0, path.name, path.stat().st_size, path=path))
    return float(str(next(track["frame_rate"] for track in tracks if track["track_type"] == "Video")))


if __name__ == "__main__":
    main()
