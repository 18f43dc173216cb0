"""How fast folders go, and what it costs to find nothing to do.

    python benchmarks/batch.py [--photos N] [--images DIR] [--names N] [--workers N]

- N photos of 12 megapixels: two workers (or --workers) against one; against the floor: a scaled decode, one resize,
  one encode each, on as many processes; and against the loop that most people write: a thumbnail, then the highest
  quality that fits, by bisection;
- a second run with nothing to do over as many names as asked: milliseconds a file;
- the memory of the process that schedules, which must not depend on the number of names.

Without --images the photos are made from noise, which is harder than life; with it they are made of the pictures
in DIR, each cut and scaled another way. One worker, more workers and the floor take turns, eight photos each, so that a
machine with other work on it favours none of them; the ratios are what to read. Starting the workers (about a second
each) is left out.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from functools import partial
from pathlib import Path

from PIL import Image
from plain import LONG_PX, floor, plain_loop

from mmsprep.batch import Batch, Status, run_batch
from mmsprep.batch.executors import LocalProcesses

_SIZE_PX = (4000, 3000)
_LIMIT_BYTES = 300_000
_PHOTOS_A_CHUNK = 8
_FILES_A_FOLDER = 1_000


def main() -> None:
    """Measure and print one line a comparison."""
    parser = argparse.ArgumentParser(description="Time whole folders against their floor.")
    parser.add_argument("--photos", type=int, default=60)
    parser.add_argument("--images", type=Path)
    parser.add_argument("--names", type=int, default=20_000)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.photos:
            _make_photos(folder / "photos", options.photos, options.images)
            _throughput(folder, options.workers)
        if options.names:
            _unchanged(folder, options.names)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1000 if sys.platform == "linux" else 1e6)
    print(f"memory of the scheduling process at its highest: {peak_mb:.0f} MB")


def _throughput(folder: Path, workers: int) -> None:
    chunks = sorted((folder / "photos").iterdir())
    names = "one worker", f"{workers} workers", "floor", "plain loop"
    times: dict[str, list[float]] = {name: [] for name in names}
    with (
        ProcessPoolExecutor(workers) as floor_pool,
        LocalProcesses(1) as one,
        LocalProcesses(workers) as several,
    ):
        works: tuple[Callable[[Path], object], ...] = (
            partial(_convert, folder / "one", one, 1),
            partial(_convert, folder / "several", several, workers),
            lambda chunk: list(floor_pool.map(floor, sorted(chunk.iterdir()))),
            lambda chunk: list(floor_pool.map(_thumbnail_and_loop, sorted(chunk.iterdir()))),
        )
        for place, chunk in enumerate(chunks):
            for name, work in zip(names, works, strict=True):
                start_s = time.perf_counter()
                work(chunk)
                # The first time everything is still being loaded.
                if place:
                    times[name].append(time.perf_counter() - start_s)
    count = len(list(chunks[0].iterdir()))
    for name, found in times.items():
        each_s = statistics.median(found) / count
        print(f"{name:12} {1 / each_s:7.2f} photos a second, {each_s * 1000:6.0f} ms each")
    scaling = _ratio(times[names[0]], times[names[1]])
    share, loop = (_ratio(times[name], times[names[1]]) for name in names[2:])
    print(f"{workers} workers against one: {scaling:.2f} times (target 1.8 on two idle cores)")
    print(f"{workers} workers against the floor's throughput: {100 * share:.0f} % (target 70 %)")
    print(f"{workers} workers against the plain loop's throughput: {100 * loop:.0f} %")


def _ratio(theirs: Sequence[float], ours: Sequence[float]) -> float:
    return statistics.median(a / b for a, b in zip(theirs, ours, strict=True))


def _convert(target: Path, pool: Executor, workers: int, chunk: Path) -> None:
    batch = Batch(source=str(chunk), target=str(target / chunk.name))
    found = Counter(outcome.status for outcome in run_batch(batch, executor=pool, worker_count=workers))
    assert set(found) == {Status.PREPARED}, found


def _thumbnail_and_loop(path: Path) -> bytes:
    with Image.open(path) as image:
        image.thumbnail((LONG_PX, LONG_PX))
        return plain_loop(image, _LIMIT_BYTES)


def _make_photos(folder: Path, count: int, images: Path | None) -> None:
    sources = sorted(path for path in images.iterdir() if _is_picture(path)) if images else []
    for number in range(count):
        chance = random.Random(number)
        if sources:
            picture = Image.open(sources[number % len(sources)]).convert("RGB")
            share = chance.uniform(0.6, 0.95)
            width, height = round(picture.width * share), round(picture.height * share)
            left, top = chance.randrange(picture.width - width), chance.randrange(picture.height - height)
            picture = picture.crop((left, top, left + width, top + height))
        else:
            picture = Image.frombytes("RGB", (320, 240), chance.randbytes(320 * 240 * 3))
        path = folder / f"{number // _PHOTOS_A_CHUNK:03}" / f"{number:04}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.resize(_SIZE_PX, Image.Resampling.BICUBIC).save(path, quality=90)


def _is_picture(path: Path) -> bool:
    """Whether Pillow opens a file as a JPEG or PNG, whatever it is called."""
    try:
        with Image.open(path, formats=["JPEG", "PNG"]):
            return True
    except (OSError, Image.DecompressionBombError):
        return False


def _unchanged(folder: Path, count: int) -> None:
    for number in range(count):
        path = folder / "names" / f"{number // _FILES_A_FOLDER:03}" / f"{number:06}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("The same few words\n")
        os.utime(path, (1_700_000_000, 1_700_000_000))
    batch = Batch(source=str(folder / "names"), target=str(folder / "named"))
    for what in ("first run, all the same", "nothing to do"):
        start_s = time.perf_counter()
        found = Counter(outcome.status.value for outcome in run_batch(batch, executor="serial"))
        each_ms = (time.perf_counter() - start_s) / count * 1000
        print(f"{count:,} names, {what}: {each_ms:.3f} ms a file {dict(found)}")
    print("target for nothing to do: 0.2 ms a file")


if __name__ == "__main__":
    main()
