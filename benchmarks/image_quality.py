"""One picture at 300, 100, 40 and 20 kB: mmsprep beside what people use, and beside the best there is.

    python benchmarks/image_quality.py [FOLDER ...] [--no-exhaustive]

Scores are SSIMULACRA2 at the size that the default profile sends. Beside it: a plain Pillow quality loop at full
size, ``jpegoptim --size`` and ImageMagick's ``jpeg:extent`` where they are installed, and an exhaustive search over
sizes and quantisation with the same encoder. Budgets that hold the picture at the finest quantisation are left out.

Targets: median gain over the plain loop +0.5 / +1 / +7 / +30; mean loss to the search at most 0.7; at most 4 trial
encodes a photo in the mean and 6 at worst.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from exhaustive import best_within
from photos import SAMPLES, load_photos, opened
from PIL import Image
from plain import plain_loop
from ssimulacra import Judge

from mmsprep.transcode.image.jpeg import encode, tables_at
from mmsprep.transcode.image.photo import PhotoSource
from mmsprep.transcode.image.viewing import is_graphic

_BUDGETS_BYTES = (300_000, 100_000, 40_000, 20_000)
_TARGETS = (0.5, 1.0, 7.0, 30.0)
_FINEST = 0.02
_LONG_PX = 1024


@dataclass(frozen=True, slots=True)
class Row:
    """One picture at one budget: scores, and what mmsprep spent on it."""

    name: str
    full_size: bool
    budget_bytes: int
    ours: float
    predicted: float
    used: float
    trials: int
    plain: float
    peers: dict[str, float]
    best: float | None


def main() -> None:
    """Measure every picture, print a line each and the medians."""
    parser = argparse.ArgumentParser(description="Picture quality at equal bytes.")
    parser.add_argument("folder", nargs="*", type=Path, default=[SAMPLES])
    parser.add_argument("--no-exhaustive", dest="exhaustive", action="store_false")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    photos = [item for folder in options.folder for item in load_photos(folder).items()]
    drawn = [name for name, image in photos if is_graphic(image)]
    photos = [item for item in photos if item[0] not in drawn]
    if drawn:
        print(f"drawn pictures, left out (a score for photos says little about lettering): {', '.join(drawn)}")
    print(
        f"{'picture':30}{'budget':>9}{'ours':>7}{'plain':>7}{'gain':>7}{'best':>7}{'loss':>6}{'used':>7}{'trials':>7}"
    )
    rows: list[Row] = []
    with ProcessPoolExecutor(options.workers) as pool:
        for found in pool.map(measure, *zip(*photos, strict=True), [options.exhaustive] * len(photos)):
            rows += found
            for row in found:
                best = "" if row.best is None else f"{row.best:7.1f}{row.best - row.ours:6.1f}"
                print(
                    f"{row.name[:29]:30}{row.budget_bytes:9,}{row.ours:7.1f}{row.plain:7.1f}"
                    f"{row.ours - row.plain:+7.1f}{best:13}{row.used:7.1%}{row.trials:7}",
                    flush=True,
                )
    _summarise(rows)


def measure(name: str, image: Image.Image, exhaustive: bool) -> list[Row]:
    """One picture at every budget that it can fill."""
    judge = Judge(image)
    finest_bytes = len(encode(image, tables_at(_FINEST)))
    rows = []
    for budget_bytes in _BUDGETS_BYTES:
        if finest_bytes <= budget_bytes:
            continue
        source = PhotoSource(image, floor_quality=20)
        if source.assured_quality(budget_bytes) is None:
            source.curve()
        rendition = source.render(budget_bytes)
        rows.append(
            Row(
                name=name,
                full_size=max(image.size) >= _LONG_PX,
                budget_bytes=budget_bytes,
                ours=judge.score(opened(rendition.data)),
                predicted=rendition.quality,
                used=rendition.size_bytes / budget_bytes,
                trials=source.trial_encodes,
                plain=judge.score(opened(plain_loop(image, budget_bytes))),
                peers={peer: judge.score(opened(data)) for peer, data in peers(image, budget_bytes).items()},
                best=best_within(image, judge, budget_bytes) if exhaustive else None,
            )
        )
    return rows


def peers(image: Image.Image, max_bytes: int) -> dict[str, bytes]:
    """The results of the tools that are installed."""
    made: dict[str, bytes] = {}
    with tempfile.TemporaryDirectory() as name:
        source, target = Path(name, "in.jpg"), Path(name, "out.jpg")
        image.save(source, "JPEG", quality=98, subsampling=0)
        commands = {
            "jpegoptim": ["jpegoptim", "-q", "-o", f"--size={max_bytes // 1024}k", f"--dest={name}/done", str(source)],
            "magick": ["magick", str(source), "-define", f"jpeg:extent={max_bytes}B", str(target)],
        }
        Path(name, "done").mkdir()
        for tool, command in commands.items():
            if shutil.which(tool) and subprocess.run(command, capture_output=True, check=False).returncode == 0:
                result = target if tool == "magick" else Path(name, "done", "in.jpg")
                made[tool] = result.read_bytes()
    return made


def _summarise(rows: list[Row]) -> None:
    for title, chosen in (("all", rows), ("as large as the profile sends", [row for row in rows if row.full_size])):
        if chosen:
            _tabulate(title, chosen)
    losses = [row.best - row.ours for row in rows if row.best is not None]
    if losses:
        print(f"\nmean loss to the search {statistics.fmean(losses):.2f} (target 0.7), worst {max(losses):.1f}")
    trials = [row.trials for row in rows]
    print(f"trial encodes {statistics.fmean(trials):.2f} mean (target 4), {max(trials)} worst (target 6)")
    print(f"budget used: least {min(row.used for row in rows):.2%}, mean {statistics.fmean(r.used for r in rows):.2%}")
    error = statistics.fmean((row.predicted - row.ours) ** 2 for row in rows) ** 0.5
    print(f"the fast score is off by {error:.1f} points (RMSE)")


def _tabulate(title: str, rows: list[Row]) -> None:
    print(f"\npictures: {title}")
    print(f"{'budget':>9}{'pictures':>9}{'gain':>7}{'target':>8}{'loss to the search':>20}   gain over peers")
    for budget_bytes, target in zip(_BUDGETS_BYTES, _TARGETS, strict=True):
        chosen = [row for row in rows if row.budget_bytes == budget_bytes]
        if not chosen:
            continue
        gain = statistics.median(row.ours - row.plain for row in chosen)
        losses = [row.best - row.ours for row in chosen if row.best is not None]
        loss = f"{statistics.fmean(losses):.2f}" if losses else "-"
        beside = ", ".join(
            f"{tool} {statistics.median(row.ours - row.peers[tool] for row in chosen if tool in row.peers):+.1f}"
            for tool in sorted({tool for row in chosen for tool in row.peers})
        )
        print(f"{budget_bytes:9,}{len(chosen):9}{gain:+7.1f}{target:+8.1f}{loss:>20}   {beside or 'none installed'}")


if __name__ == "__main__":
    main()
