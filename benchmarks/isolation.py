"""What it costs a photo to be decoded in a worker process, and a run of ffmpeg to be caged.

    python benchmarks/isolation.py [--photo FILE] [--runs N]

The best of N runs with and without isolation, taken in turn: what a busy machine adds is not isolation's cost.
The first line is what the very first photo of a program pays for the worker's start.
"""

from __future__ import annotations

import argparse
import io
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from mmsprep import Settings, inspect, prepare
from mmsprep.tools import ffmpeg
from mmsprep.tools.workspace import Workspace

_BOTH = (Settings(isolate=True), Settings(isolate=False))


def main() -> None:
    """Measure and print one line a comparison."""
    parser = argparse.ArgumentParser(description="Time isolation.")
    parser.add_argument("--photo", type=Path)
    parser.add_argument("--runs", type=int, default=15)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        photo = options.photo or _make_photo(Path(folder, "photo.jpg"))
        print(f"{photo.name}, {photo.stat().st_size:,} bytes")
        print(f"{'what':36}{'isolated':>12}{'not':>12}{'costs':>12}")
        _print("a program's first look at it", *(_best(lambda s=s: _cold(photo, s), 5) for s in _BOTH))  # type: ignore[misc]
        for what, work in (
            ("a look at it, warm", lambda settings: inspect([photo], settings=settings)),
            ("a message of it, warm", lambda settings: prepare([photo], settings=settings)),
            ("one start of ffmpeg", _start_ffmpeg),
        ):
            _print(what, *_in_turn(work, options.runs))


def _make_photo(path: Path) -> Path:
    """12 megapixels, about 4 MB, as phones make them."""
    chance = np.random.default_rng(1)
    coarse = Image.fromarray(chance.integers(0, 256, (75, 100, 3), dtype=np.uint8)).resize((4000, 3000), 3)
    noisy = np.asarray(coarse).astype(np.int16) + chance.integers(-8, 8, (3000, 4000, 3))
    out = io.BytesIO()
    Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)).save(out, "JPEG", quality=88)
    path.write_bytes(out.getvalue())
    return path


def _cold(photo: Path, settings: Settings) -> None:
    look = f"inspect([{str(photo)!r}], settings=Settings(isolate={settings.isolate}))"
    code = f"from mmsprep import Settings, inspect; {look}"
    subprocess.run([sys.executable, "-c", code], check=True)


def _start_ffmpeg(settings: Settings) -> None:
    with Workspace(settings) as workspace:
        command = [ffmpeg.executable(settings), "-v", "error", "-version"]
        workspace.processes.run(command, cage=workspace.cage(reads=[]))


def _in_turn(work: Callable[[Settings], object], runs: int) -> list[float]:
    times: list[list[float]] = [[], []]
    for settings in _BOTH:
        work(settings)
    for _ in range(runs):
        for settings, into in zip(_BOTH, times, strict=True):
            into.append(_time(lambda s=settings: work(s)))  # type: ignore[misc]
    return [min(one) for one in times]


def _best(work: Callable[[], object], runs: int) -> float:
    return min(_time(work) for _ in range(runs))


def _time(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _print(what: str, isolated_s: float, plain_s: float) -> None:
    print(f"{what:36}{isolated_s * 1000:>9.1f} ms{plain_s * 1000:>9.1f} ms{(isolated_s - plain_s) * 1000:>9.1f} ms")


if __name__ == "__main__":
    main()
