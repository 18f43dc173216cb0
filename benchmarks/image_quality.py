"""One picture at 300, 100, 40 and 20 kB: mmsprep beside what people use, and beside the best there is.

    python benchmarks/image_quality.py [FOLDER ...] [--only WORD ...] [--budgets BYTES ...]
        [--encoders] [--no-exhaustive] [--results FILE]

Scores are SSIMULACRA2 at the size that the default profile sends. Beside it: a plain Pillow quality loop at full
size, ``jpegoptim --size`` and ImageMagick's ``jpeg:extent`` where they are installed, and an exhaustive search over
sizes and quantisation with the same encoder. ``--encoders`` searches with libvips' trellis quantisation, too, which
takes longer than all the rest (half a minute a picture). Budgets that hold the picture at the finest quantisation are
left out, and in the sum of losses those where nothing reaches 20, which is not sent. ``--results`` keeps every
picture's rows in a file, as JSON lines, and goes on from what stands there.

Targets: median gain over the plain loop +0.5 / +1 / +7 / +30; mean loss to the search at most 0.5, worst 2; at most 5
trial encodes a photo in the mean and 7 at worst.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from exhaustive import best_with_trellis, best_within
from photos import SAMPLES, opened, photos_of
from PIL import Image
from plain import plain_loop
from ssimulacra import Judge

from mmsprep.transcode.image.jpeg import encode, tables_at
from mmsprep.transcode.image.photo import PhotoSource

_TARGETS = {300_000: 0.5, 100_000: 1.0, 40_000: 7.0, 20_000: 30.0}
"""The median gain over the plain loop, by the budget in bytes."""
_FINEST = 0.02
_SENT_FROM = 20.0
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
    trellis: float | None

    @property
    def possible(self) -> float | None:
        """The best that any of the searches found."""
        found = [score for score in (self.best, self.trellis) if score is not None]
        return max(found, default=None)


def main() -> None:
    """Measure every picture, print a line each and the medians."""
    parser = argparse.ArgumentParser(description="Picture quality at equal bytes.")
    parser.add_argument("folder", nargs="*", type=Path, default=[SAMPLES])
    parser.add_argument("--no-exhaustive", dest="exhaustive", action="store_false")
    parser.add_argument("--encoders", action="store_true", help="search with trellis quantisation, too")
    parser.add_argument("--only", nargs="+", default=[""], metavar="WORD", help="pictures whose names have a word")
    parser.add_argument("--budgets", nargs="+", type=int, default=list(_TARGETS), metavar="BYTES")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--results", type=Path, metavar="FILE", help="JSON lines, appended; what is there is kept")
    options = parser.parse_args()
    rows = _earlier(options.results)
    done = {row.name for row in rows}
    photos = photos_of(options.folder, words=options.only)
    search = partial(measure, options.budgets, exhaustive=options.exhaustive, encoders=options.encoders)
    print(
        f"{'picture':30}{'budget':>9}{'ours':>7}{'plain':>7}{'gain':>7}{'best':>7}{'trellis':>9}{'loss':>6}"
        f"{'used':>7}{'trials':>7}"
    )
    for row in rows:
        _print(row)
    # libvips has run here, and its threads do not survive a fork.
    with ProcessPoolExecutor(options.workers, mp_context=get_context("spawn")) as pool:
        for at in as_completed([pool.submit(search, *photo) for photo in photos.items() if photo[0] not in done]):
            rows += (found := at.result())
            if options.results:
                with options.results.open("a") as file:
                    file.writelines(json.dumps(asdict(row)) + "\n" for row in found)
            for row in found:
                _print(row)
    if not rows:
        sys.exit("every picture fits every budget at the finest quantisation: nothing to compare")
    _summarise(rows)


def _earlier(results: Path | None) -> list[Row]:
    """The rows of an earlier run."""
    if results is None or not results.exists():
        return []
    return [Row(**json.loads(line)) for line in results.read_text().splitlines()]


def _print(row: Row) -> None:
    best = "" if row.best is None else f"{row.best:.1f}"
    trellis = "" if row.trellis is None else f"{row.trellis:.1f}"
    loss = "" if row.possible is None else f"{row.possible - row.ours:.1f}"
    print(
        f"{row.name[:29]:30}{row.budget_bytes:9,}{row.ours:7.1f}{row.plain:7.1f}{row.ours - row.plain:+7.1f}"
        f"{best:>7}{trellis:>9}{loss:>6}{row.used:7.1%}{row.trials:7}",
        flush=True,
    )


def measure(budgets: list[int], name: str, image: Image.Image, *, exhaustive: bool, encoders: bool) -> list[Row]:
    """One picture at every budget that it can fill."""
    judge = Judge(image)
    finest_bytes = len(encode(image, tables_at(_FINEST)))
    rows = []
    for budget_bytes in budgets:
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
                trellis=best_with_trellis(image, judge, budget_bytes) if encoders else None,
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
    print()
    for budget_bytes in (None, *sorted({row.budget_bytes for row in rows})):
        chosen = [row for row in rows if budget_bytes in (None, row.budget_bytes)]
        for search, best_of in (("our encoder", _best), ("any encoder", _possible)):
            losses = [best - row.ours for row in chosen if (best := best_of(row)) is not None and best >= _SENT_FROM]
            if losses:
                print(
                    f"{'all budgets' if budget_bytes is None else f'{budget_bytes:,} bytes':14} loss to the search over"
                    f" {search}: mean {statistics.fmean(losses):.2f} (target 0.5), worst {max(losses):.1f} (target 2)"
                )
    for budget_bytes in sorted({row.budget_bytes for row in rows}):
        apart = [
            row.trellis - row.best
            for row in rows
            if row.budget_bytes == budget_bytes and row.trellis is not None and row.best is not None
        ]
        if apart:
            mean, least, most = statistics.fmean(apart), min(apart), max(apart)
            print(
                f"{budget_bytes:9,}: trellis over our encoder, each at its best size: mean {mean:+.2f},"
                f" from {least:+.1f} to {most:+.1f}"
            )
    trials = [row.trials for row in rows]
    print(f"trial encodes {statistics.fmean(trials):.2f} mean (target 5), {max(trials)} worst (target 7)")
    print(f"budget used: least {min(row.used for row in rows):.2%}, mean {statistics.fmean(r.used for r in rows):.2%}")
    error = statistics.fmean((row.predicted - row.ours) ** 2 for row in rows) ** 0.5
    print(f"the fast score is off by {error:.1f} points (RMSE)")


def _best(row: Row) -> float | None:
    return row.best


def _possible(row: Row) -> float | None:
    return row.possible if row.trellis is not None else None


def _tabulate(title: str, rows: list[Row]) -> None:
    print(f"\npictures: {title}")
    print(f"{'budget':>9}{'pictures':>9}{'gain':>7}{'target':>8}{'loss to the search':>20}   gain over peers")
    for budget_bytes in sorted({row.budget_bytes for row in rows}, reverse=True):
        chosen = [row for row in rows if row.budget_bytes == budget_bytes]
        target = f"{_TARGETS[budget_bytes]:+.1f}" if budget_bytes in _TARGETS else "-"
        gain = statistics.median(row.ours - row.plain for row in chosen)
        losses = [row.best - row.ours for row in chosen if row.best is not None]
        loss = f"{statistics.fmean(losses):.2f}" if losses else "-"
        beside = ", ".join(
            f"{tool} {statistics.median(row.ours - row.peers[tool] for row in chosen if tool in row.peers):+.1f}"
            for tool in sorted({tool for row in chosen for tool in row.peers})
        )
        print(f"{budget_bytes:9,}{len(chosen):9}{gain:+7.1f}{target:>8}{loss:>20}   {beside or 'none installed'}")


if __name__ == "__main__":
    main()
