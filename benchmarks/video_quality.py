"""Clips: how good and how fast, beside what a two-pass script makes of them.

    python benchmarks/video_quality.py [--folder DIR] [--limit BYTES] [--most N] [--profile P] [--seconds S] [--grid]
        [--sheets DIR]

Every clip of the folder is prepared by mmsprep, and by the script that people use (``clip_script.py``) at the
source's size, 480 and 320 px wide. For each: VMAF and VMAF NEG (which sharpening does not please) at the size at
which it is looked at (at most 1280 px) and the source's frame rate, so that a frame that was left out counts as an
error; bytes; processor seconds and how many decodes of the clip they are. ``seen`` is the quality that the frames
which are there have on a phone, the scale of what mmsprep reports.

``--grid`` also encodes widths from 176 to 640 px by mmsprep's own encoder, at mmsprep's own rate for the pictures, each
in the size that mmsprep has nearest to it; then the best of them and the one above it with every other and every third
frame. What a clip looks like rises to one best width and falls, so it climbs from the width beside mmsprep's in both
directions until two widths in a row are worse. Beside the best of all stands the best that may be sent: of what moves
no fewer than half the frames, nor than 12 a second.
``--seconds`` takes only the beginning of what is longer, with the bytes that are its share: the rates stay.
``--sheets`` writes a contact sheet a clip: moments across, the source and everybody's result down. Look at them.

Targets: never worse than the script at 480 and 320 px; within 1 VMAF of the grid in the mean and 3 at most; nothing
over the limit. A script at the source's size is not bound by the profile's limits (640 x 480 px, level 3.0).
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ffmpeg as graph
from clip_script import Clip, cost, decoded, scripted
from PIL import Image, ImageDraw

from mmsprep import inspect, prepare
from mmsprep.errors import MmsprepError
from mmsprep.formats import FORMATS
from mmsprep.model import Attachment, Kind, Part
from mmsprep.profile import VideoRules, load_profile
from mmsprep.settings import Settings
from mmsprep.tools import ffmpeg
from mmsprep.tools.workspace import Workspace
from mmsprep.transcode.video.encode import ClipSettings, Encoded, encode, first_pass, kept_first
from mmsprep.transcode.video.mezzanine import Mezzanine, decode_mezzanine
from mmsprep.transcode.video.model import seen_quality
from mmsprep.transcode.video.search import LOWEST_FPS, SLIDES

_RESERVE_BYTES = 2_000
_SCRIPTS_PX = (100_000, 480, 320)
_GRID_PX = (176, 240, 320, 400, 480, 560, 640)
_GRID_EVERY = (1, 2, 3)
_WORSE, _ATTEMPTS, _OVER = 2, 4, 1.02
_DISPLAY_PX = 1280
_SCORED_FRAMES = 60
_MODELS = "version=vmaf_v0.6.1:name=vmaf|version=vmaf_v0.6.1neg:name=neg"
_MOMENTS = (0.1, 0.37, 0.63, 0.9)
_THUMB_PX = 400


@dataclass(frozen=True)
class Result:
    """What somebody made of a clip."""

    who: str
    path: Path
    vmaf: float
    neg: float
    size_bytes: int
    cpu_s: float
    size_px: tuple[int, int]
    note: str = ""


def main() -> None:
    """Measure, print a line a clip and maker, and the summary."""
    parser = argparse.ArgumentParser(description="Clips beside a two-pass script.")
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent.parent / "sample_media")
    parser.add_argument("--limit", type=int, default=280_000, help="bytes of the clip")
    parser.add_argument("--most", type=int, default=12, help="how many clips")
    parser.add_argument("--profile", default="smsglobal")
    parser.add_argument("--seconds", type=float, default=math.inf, help="of each clip at most")
    parser.add_argument("--grid", action="store_true", help="search every size and frame rate too")
    parser.add_argument("--sheets", type=Path, help="folder for contact sheets")
    options = parser.parse_args()
    paths = sorted(path for path in options.folder.resolve().rglob("*") if path.is_file() and "bad" not in path.parts)
    found = [(path, one.info) for path, one in zip(paths, inspect(paths), strict=True)]
    clips = [(path, info) for path, info in found if info and info.kind is Kind.VIDEO and (info.frame_count or 2) > 1]
    print(f"{'clip':24}{'who':>10}{'VMAF':>7}{'NEG':>7}{'bytes':>9}{'CPU':>8}{'decodes':>9}")
    gains: list[float] = []
    losses: list[float] = []
    losses_of_allowed: list[float] = []
    shares: list[float] = []
    for path, info in clips[: options.most]:
        with Workspace(Settings()) as workspace:
            clip = Clip(path, info, workspace)
            limit_bytes = options.limit
            if (info.duration_s or 0.0) > options.seconds:
                limit_bytes = round(limit_bytes * options.seconds / info.duration_s)
                clip = _beginning(clip, options.seconds)
            try:
                results = _results(clip, limit_bytes, options.profile)
            except MmsprepError as error:
                print(f"{path.name:24}{error.code}: {error}")
                continue
            ours, *scripts = results
            gains.append(ours.vmaf - max(script.vmaf for script in scripts[1:]))
            shares.append(ours.cpu_s / scripts[1].cpu_s)
            if options.grid:
                for loss, who, (best, which) in zip(
                    (losses, losses_of_allowed),
                    ("grid", "allowed"),
                    _best_of_grid(clip, ours, load_profile(options.profile).video),
                    strict=True,
                ):
                    loss.append(best - ours.vmaf)
                    print(f"{path.name:24}{who:>10}{best:7.1f}  {which}", flush=True)
            if options.sheets:
                _sheet(clip, results, options.sheets)
    if gains:
        print(f"against the better script of 480 and 320 px: {_range(gains)} VMAF")
        print(f"processor time over that of the 480 px script: {_range(shares)}")
    if losses:
        print(f"behind the best of the grid: {_range(losses)} VMAF")
        print(f"behind the best of it that may be sent: {_range(losses_of_allowed)} VMAF")


def _beginning(clip: Clip, seconds: float) -> Clip:
    """The first seconds of a clip, as they are."""
    cut = clip.workspace.new_path(clip.path.suffix)
    source = ffmpeg.safe_input(clip.path, clip.info.format, t=seconds)
    ffmpeg.run(clip.workspace, source.output(str(cut), c="copy"))
    named = cut.with_name(clip.path.name)
    cut.rename(named)
    (found,) = inspect([named])
    assert found.info is not None
    return Clip(named, found.info, clip.workspace)


def _range(values: list[float]) -> str:
    return (
        f"least {min(values):.2f}, median {statistics.median(values):.2f}, mean {statistics.mean(values):.2f},"
        f" most {max(values):.2f}"
    )


def _results(clip: Clip, limit_bytes: int, profile: str) -> list[Result]:
    """Ours first, then the scripts'; each printed as it is there."""
    _, decode_s, _ = cost(lambda: decoded(clip))
    message, cpu_s, _ = cost(
        lambda: prepare([clip.path], limit_bytes=limit_bytes + _RESERVE_BYTES, trim=True, profile=profile)
    )
    (part,) = message.parts
    seconds = part.duration_s or 1.0
    made, size = clip.workspace.put(part.data, ".3gp"), (part.width_px or 0, part.height_px or 0)
    results = [_result(clip, "ours", made, size, cpu_s, seconds, _notes(clip, part))]
    _print(clip, results[-1], decode_s)
    for long_px in _SCRIPTS_PX:
        made, cpu_s, _ = cost(lambda long_px=long_px: scripted(clip, long_px, limit_bytes, seconds))  # type: ignore[misc]
        size = clip.sized(long_px)
        who = "source px" if long_px > _DISPLAY_PX else f"{max(size)} px"
        note = "over the limit" * (made.stat().st_size > limit_bytes)
        results.append(_result(clip, who, made, size, cpu_s, seconds, note))
        _print(clip, results[-1], decode_s)
    return results


def _notes(clip: Clip, part: Part) -> str:
    """Size, rate, what the frames that are there look like, and what mmsprep says of it."""
    made = clip.workspace.put(part.data, ".3gp")
    every = next((place for place in _GRID_EVERY[1:] if any(f"every {place}" in note for note in part.notes)), 1)
    (sent,) = inspect([("sent", part.data)])
    fps = (sent.info.frame_rate_fps if sent.info else None) or clip.fps / every
    whole_fps = clip.fps / max(1, round(clip.fps / (fps * every)))
    vmaf, _ = judged(clip, made, part.duration_s or 1.0, whole_fps, every)
    shape = f"{part.width_px}x{part.height_px}{f', every {every}.' if every > 1 else ''}"
    return f"{shape}; seen {seen_quality(vmaf, every):.1f}, reported {part.quality:.1f}"


def _result(clip: Clip, who: str, made: Path, size: tuple[int, int], cpu_s: float, seconds: float, note: str) -> Result:
    return Result(who, made, *judged(clip, made, seconds, clip.fps), made.stat().st_size, cpu_s, size, note)


def _print(clip: Clip, one: Result, decode_s: float) -> None:
    figures = f"{one.vmaf:7.1f}{one.neg:7.1f}{one.size_bytes:9,}{one.cpu_s:7.2f}s{one.cpu_s / decode_s:9.2f}"
    print(f"{clip.path.name:24}{one.who:>10}{figures}  {one.note}", flush=True)


def _best_of_grid(clip: Clip, ours: Result, rules: VideoRules | None) -> list[tuple[float, str]]:
    """The best VMAF of any width and frame rate at the rate that mmsprep's pictures have, and which they are; the same
    of those that may be sent."""
    assert rules is not None
    alone = _pictures_alone(clip, ours.path)
    attachment = Attachment(0, clip.path.name, clip.path.stat().st_size, path=clip.path)
    mezzanine = decode_mezzanine(attachment, clip.info, rules, ours.size_bytes, clip.workspace)
    alone_bytes = alone.stat().st_size
    kbps = alone_bytes * 8 / 1000 / mezzanine.picture_s
    widths = sorted({min(width, mezzanine.long_px) for width in _GRID_PX})
    seen: dict[tuple[int, int], float] = {}
    standing = 0.0

    def vmaf(long_px: int, every: int) -> float:
        if (long_px, every) not in seen:
            nonlocal standing
            made = _encoded(mezzanine, rules, (long_px, every), kbps, alone_bytes, clip.workspace)
            path = clip.workspace.put(made.data, ".3gp") if made else None
            seen[long_px, every] = judged(clip, path, mezzanine.picture_s, clip.fps)[0] if path else 0.0
            if made and every == 1:
                standing = max(standing, made.standing)
        return seen[long_px, every]

    start = min(range(len(widths)), key=lambda place: abs(widths[place] - max(ours.size_px)))
    for direction in (widths[start:], widths[start::-1]):
        best, worse = 0.0, 0
        for long_px in direction:
            worse = 0 if vmaf(long_px, 1) > best else worse + 1
            best = max(best, vmaf(long_px, 1))
            if worse == _WORSE:
                break
    best_px, _ = max(seen, key=lambda one: seen[one])
    for every in _GRID_EVERY[1:]:
        for long_px in widths[widths.index(best_px) :][:2]:
            vmaf(long_px, every)
    most = 3 if standing >= SLIDES else max(1, min(2, int(mezzanine.fps / LOWEST_FPS[rules.codec])))
    allowed = {shape: score for shape, score in seen.items() if shape[1] <= most}
    return [_best_of(seen, mezzanine), _best_of(allowed, mezzanine)]


def _best_of(seen: Mapping[tuple[int, int], float], mezzanine: Mezzanine) -> tuple[float, str]:
    long_px, every = max(seen, key=lambda one: seen[one])
    width_px, height_px = mezzanine.sized(long_px)
    return seen[long_px, every], f"{width_px}x{height_px} px, every {every}; of {len(seen)}"


def _encoded(
    mezzanine: Mezzanine,
    rules: VideoRules,
    shape: tuple[int, int],
    kbps: float,
    most_bytes: int,
    workspace: Workspace,
) -> Encoded | None:
    """A clip with this longest side and every n-th frame, of at most 2 % more than ``most_bytes``."""
    long_px, every = shape
    settings = ClipSettings(rules, None, mezzanine.sized(long_px), every, mezzanine.picture_s)
    log = first_pass(mezzanine, settings, kbps, workspace)
    for _ in range(_ATTEMPTS):
        made = encode(mezzanine, None, settings, (kbps, 0.5), log, workspace)
        if len(made.data) <= _OVER * most_bytes:
            return made
        kbps *= most_bytes / len(made.data)
    return None


def _pictures_alone(clip: Clip, made: Path) -> Path:
    """With the lead-in of AAC beside them, the pictures would begin later and meet the wrong ones."""
    alone = clip.workspace.new_path(".mp4")
    pictures = graph.input(f"file:{made}", f=FORMATS["mp4"].demuxer)["v:0"]
    ffmpeg.run(clip.workspace, pictures.output(str(alone), vcodec="copy"))
    return alone


def judged(clip: Clip, made: Path, seconds: float, fps: float, every: int = 1) -> tuple[float, float]:
    """VMAF and NEG at the size at which it is looked at, both at ``fps``.

    With ``every``, each frame of what was made meets the very one of so many that it was made from, by its number: by
    times, every other one met its neighbour where a rate is not a whole number.
    Of each pair of frames that are shown to it the first is scored: it needs the second to see what moves.
    """
    log, alone = clip.workspace.new_path(".json"), _pictures_alone(clip, made)
    encoded = graph.input(f"file:{alone}", f=FORMATS["mp4"].demuxer).video
    if every == 1:
        encoded = _timed(encoded, fps)
    apart = _apart(seconds, fps / every)
    pair = [
        _shown(encoded, clip, apart),
        graph.input(f"file:{_reference(clip, seconds, fps, every)}", f="yuv4mpegpipe").video.filter("settb", "1/1000"),
    ]
    pair = [stream.filter("setpts", "N") for stream in pair]
    scored = 1 if apart == 1 else 2
    options = {"n_threads": 2, "n_subsample": scored, "shortest": 1, "log_fmt": "json", "log_path": str(log)}
    score = graph.filter(pair, "libvmaf", model=_MODELS, **options)
    ffmpeg.run(clip.workspace, score.output("pipe:1", f="null"))
    alone.unlink()
    pooled = json.loads(log.read_text())["pooled_metrics"]
    return float(pooled["vmaf"]["mean"]), float(pooled["neg"]["mean"])


def _reference(clip: Clip, seconds: float, fps: float, every: int) -> Path:
    """The source's frames that are scored, decoded once for everybody."""
    made = clip.workspace.new_path("").with_name(f"{seconds:.3f}-{fps:.3f}-{every}.y4m")
    if not made.is_file():
        source = _timed(ffmpeg.safe_input(clip.path, clip.info.format, t=seconds)["V:0"], fps)
        if every > 1:
            source = source.filter("select", f"eq(mod(n,{every}),{kept_first(every)})")
        shown = _shown(source, clip, _apart(seconds, fps / every))
        ffmpeg.run(clip.workspace, shown.output(str(made), fps_mode="passthrough"))
    return made


def _timed(pictures: Any, fps: float) -> Any:
    """So many frames a second, as the decode for a mezzanine makes them."""
    return pictures.filter("fps", f"{fps:.6f}", start_time=0)


def _shown(pictures: Any, clip: Clip, apart: int) -> Any:
    """Pairs of frames that are ``apart``, or all of them, at the size at which they are looked at."""
    if apart > 1:
        pictures = pictures.filter("select", f"lt(mod(n,{apart}),2)")
    pictures = pictures.filter("scale", *clip.sized(_DISPLAY_PX), flags="bicubic")
    return pictures.filter("format", "yuv420p").filter("settb", "1/1000")


def _apart(seconds: float, fps: float) -> int:
    """Frames from one that is scored to the next.

    Divided by neither 2 nor 3, so that frames which stand in for others are met as often as they are there.
    """
    wanted = max(1, round(seconds * fps / _SCORED_FRAMES))
    return max(step for step in range(1, wanted + 1) if math.gcd(step, 6) == 1)


def _sheet(clip: Clip, results: list[Result], folder: Path) -> None:
    """Moments across; the source, then everybody's result, each blown up to the same size."""
    folder.mkdir(parents=True, exist_ok=True)
    seconds = clip.info.duration_s or 1.0
    rows = [("source", clip.path, clip.info.format), *((one.who, one.path, "mp4") for one in results)]
    width, height = clip.sized(_THUMB_PX)
    sheet = Image.new("RGB", (width * len(_MOMENTS), (height + 14) * len(rows)), "white")
    for row, (who, path, slug) in enumerate(rows):
        ImageDraw.Draw(sheet).text((2, row * (height + 14)), who, fill="black")
        for column, moment in enumerate(_MOMENTS):
            picture = ffmpeg.safe_input(path, slug, ss=f"{seconds * moment:.3f}")["V:0"]
            picture = picture.filter("scale", *clip.sized(_DISPLAY_PX), flags="bicubic")
            picture = picture.filter("crop", "min(iw,800)", "min(ih,800)").filter("scale", width, height)
            made = clip.workspace.new_path(".png")
            ffmpeg.run(clip.workspace, picture.output(str(made), vframes=1, f="image2", vcodec="png", update=1))
            if made.is_file():
                sheet.paste(Image.open(made), (column * width, row * (height + 14) + 14))
    sheet.save(folder / f"{clip.path.stem}.png")


if __name__ == "__main__":
    main()
