"""How long a preparation takes, beside what it could not do without.

    python benchmarks/speed.py [--photo FILE] [--clip FILE ...] [--runs N] [--stages]

- a photo against its floor: a scaled decode, one resize, one encode (Pillow), once in a program that runs already
  and once as a command from a cold start, against two bare Python scripts (``plain.py``): one that decodes at half
  the size as the floor does, and one that decodes every pixel, as most people write it; and against loading the
  libraries that it stands on, and nothing else;
- a clip against one plain ffmpeg decode of it, and against the two-pass script that people use (``clip_script.py``, 480
  px wide), by the clock and in processor seconds, which a loaded machine changes less;
  ``--stages`` tells where the seconds go, as the log has them, and what the script takes at the size that was sent;
- six photos on the cores there are against six floors divided by those cores.

Without arguments a 12-megapixel photo is made from noise and a 30 s 1080p clip from the sample clip with grain.
Medians of N runs, taken in turn so that a drifting machine does not favour either side.
"""

from __future__ import annotations

import argparse
import compileall
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import ffmpeg as graph
import numpy as np
from clip_script import Clip, cost, decoded, scripted
from clip_stages import Stages
from PIL import Image
from plain import floor

import mmsprep
from mmsprep import inspect, prepare
from mmsprep.settings import Settings
from mmsprep.tools import ffmpeg
from mmsprep.tools.process import ONE_THREAD
from mmsprep.tools.workspace import Workspace

_CLIP_BYTES = 282_000
_SCRIPT_PX = 480
_LIBRARIES = "import msgspec, numpy, PIL.Image, pyvips, rich.console, rich.table, typer"
"""What the command stands on for a photo, and its worker in part once more."""


def main() -> None:
    """Measure and print one line a comparison."""
    parser = argparse.ArgumentParser(description="Time a preparation against its floor.")
    parser.add_argument("--photo", type=Path)
    parser.add_argument("--clip", type=Path, nargs="*", help="real ones, of several bit rates")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--stages", action="store_true", help="of each clip, where its seconds go")
    options = parser.parse_args()
    # As it is installed: else every cage compiles its module anew where the environment says to leave none.
    compileall.compile_dir(Path(mmsprep.__file__).parent, quiet=1)
    with Workspace(Settings()) as workspace, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photo = options.photo or _make_photo(folder / "photo.jpg")
        clips = options.clip or [_make_clip(workspace.new_path(".mp4"), workspace)]
        cores = os.cpu_count() or 1
        prepare([photo])
        print(f"{'what':44}{'ours':>9}{'floor':>9}{'ratio':>7}{'target':>8}")
        _compare("one photo", lambda: prepare([photo]), lambda: floor(photo), options.runs, 1.0, 1.8)
        _compare_start(photo, folder / "mms", options.runs)
        six = [photo] * 6
        _compare(
            f"six photos on {cores} cores",
            lambda: prepare(six),
            lambda: [floor(photo) for _ in six],
            options.runs,
            1 / cores,
            1.8,
        )
        for clip in clips:
            _compare_clip(clip.resolve(), min(3, options.runs), workspace, Stages() if options.stages else None)


def _compare_start(photo: Path, out: Path, runs: int) -> None:
    """The command against bare scripts, all from a cold start."""
    # As they are installed: modules are compiled, not read anew.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"} | ONE_THREAD
    ours = [sys.executable, "-m", "mmsprep", "prepare", str(photo), "-o", str(out), "--force"]
    bare = [sys.executable, str(Path(__file__).with_name("plain.py")), str(photo)]
    libraries = [sys.executable, "-c", _LIBRARIES]
    commands = {
        "": ours,
        "half-size decode": bare,
        "whole decode": [*bare, "--whole"],
        "libraries alone": libraries,
    }

    def run(command: list[str]) -> None:
        subprocess.run(command, env=environment, capture_output=True, check=True)

    run(ours)
    times = [[cost(partial(run, command))[1:] for command in commands.values()] for _ in range(runs)]
    for place, script in enumerate(commands):
        for kind, name in enumerate(("CPU", "clock")) if place else ():
            mine_s, its_s = (statistics.median(run[who][kind] for run in times) for who in (0, place))
            label = f"one photo, cold, {script}, {name}"
            target = f"{1.8:8.1f}" if "decode" in script else ""
            print(f"{label:44}{mine_s:8.2f}s{its_s:8.2f}s{mine_s / its_s:7.2f}{target}")


def _compare_clip(path: Path, runs: int, workspace: Workspace, stages: Stages | None) -> None:
    """A line against the decode, one against the script; medians of runs taken in turn."""
    (found,) = inspect([path])
    assert found.info is not None
    clip = Clip(path, found.info, workspace)
    seconds = found.info.duration_s or 1.0
    sent_px: set[int] = set()

    def ours() -> None:
        with stages.listening() if stages else nullcontext():
            (part,) = prepare([path], limit_bytes=_CLIP_BYTES, trim=True).parts
        sent_px.add(max(part.width_px or 0, part.height_px or 0))

    times = [
        [
            cost(work)[1:]
            for work in (
                ours,
                lambda: decoded(clip),
                lambda: scripted(clip, _SCRIPT_PX, _CLIP_BYTES, seconds),
            )
        ]
        for _ in range(runs)
    ]
    for place, what, target in ((1, "decode", 2.0), (2, f"script, {_SCRIPT_PX} px", 0.8)):
        for kind, name in enumerate(("CPU", "clock")):
            mine_s, its_s = (statistics.median(run[who][kind] for run in times) for who in (0, place))
            label = f"{path.name[:20]}: {what}, {name}"
            print(f"{label:44}{mine_s:8.2f}s{its_s:8.2f}s{mine_s / its_s:7.2f}{target:8.1f}", flush=True)
    if stages:
        decode_s, script_s = (statistics.median(run[who][0] for run in times) for who in (1, 2))
        _, same_s, _ = cost(lambda: scripted(clip, max(sent_px), _CLIP_BYTES, seconds))
        beside = {
            "a decode and the last pass alone": decode_s + stages.last_pass_s,
            f"the script at {max(sent_px)} px, as sent": same_s,
        }
        stages.report(decode_s, script_s, beside, workspace)


def _compare(
    what: str,
    ours: Callable[[], object],
    floor: Callable[[], object],
    runs: int,
    share: float,
    target: float,
) -> None:
    times: list[tuple[float, float]] = [(_seconds(ours), _seconds(floor)) for _ in range(runs)]
    ratio = statistics.median(mine / (its * share) for mine, its in times)
    mine_s, its_s = (statistics.median(column) for column in zip(*times, strict=True))
    print(f"{what:44}{mine_s:8.2f}s{its_s * share:8.2f}s{ratio:7.2f}{target:8.1f}")


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _make_photo(path: Path) -> Path:
    noise = np.random.default_rng(1)
    picture = np.zeros((3000, 4000, 3), np.float32)
    for scale in (1, 4, 16, 64, 256):
        layer = noise.integers(0, 256, (3000 // scale + 1, 4000 // scale + 1, 3), np.uint8)
        grown = Image.fromarray(layer).resize((4000, 3000), Image.Resampling.BICUBIC)
        picture += np.asarray(grown, np.float32) * (0.04 if scale == 1 else 0.24)
    Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(path, "JPEG", quality=88)
    return path


def _make_clip(path: Path, workspace: Workspace) -> Path:
    """The sample clip five times over, its middle grown to 1920x1080, with grain to decode."""
    sample = Path(__file__).parent.parent / "sample_media" / "message" / "IMG_0415.MOV"
    source = graph.input(f"file:{sample}", f="mov", stream_loop=4)
    picture = source.video.filter("crop", "iw", "iw*9/16").filter("scale", 1920, 1080).filter("noise", alls=6, allf="t")
    options = {"vcodec": "libx264", "preset": "veryfast", "crf": 21, "pix_fmt": "yuv420p", "acodec": "aac"}
    ffmpeg.run(workspace, graph.output(picture, source.audio, str(path), t=30, **options))
    return path


if __name__ == "__main__":
    main()
