"""What a look costs: milliseconds a file that ``inspect`` takes, beyond reading the files.

    python benchmarks/inspect_speed.py [--folder DIR] [--files N]

The folder's files are copied until there are N of them, inspected in one call, and the time of only reading
them is taken off. The best of three runs counts; then the costliest formats, inspected one format at a time.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections import defaultdict
from itertools import cycle, islice
from pathlib import Path

from mmsprep import inspect

_RUNS = 3
_SHOWN = 12


def seconds_of(paths: list[Path]) -> float:
    """The fastest of three looks at all of ``paths``."""
    taken = []
    for _ in range(_RUNS):
        began = time.perf_counter()
        inspect(paths)
        taken.append(time.perf_counter() - began)
    return min(taken)


def main() -> None:
    """Copy, read, inspect, print."""
    parser = argparse.ArgumentParser(description="What a look at a file costs.")
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent.parent / "sample_media" / "formats")
    parser.add_argument("--files", type=int, default=1_000)
    options = parser.parse_args()
    originals = sorted(path for path in options.folder.rglob("*") if path.is_file())
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for number, path in enumerate(islice(cycle(originals), options.files)):
            paths.append(Path(folder, f"{number:05}-{path.name}"))
            shutil.copyfile(path, paths[-1])
        began = time.perf_counter()
        for path in paths:
            path.read_bytes()
        reading_s = time.perf_counter() - began
        looking_s = seconds_of(paths)
        by_format = defaultdict(list)
        for path, found in zip(paths, inspect(paths), strict=True):
            by_format[found.info.format if found.info else "refused"].append(path)
        costs = {name: seconds_of(some) / len(some) for name, some in by_format.items()}
    each_ms = (looking_s - reading_s) / len(paths) * 1000
    print(f"{len(paths)} files: {looking_s:.2f} s, {reading_s:.2f} s of it reading; {each_ms:.2f} ms a file")
    for name, cost_s in sorted(costs.items(), key=lambda item: -item[1])[:_SHOWN]:
        print(f"{cost_s * 1000:8.2f} ms  {name} ({len(by_format[name])} files)")


if __name__ == "__main__":
    main()
