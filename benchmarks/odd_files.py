"""Other people's odd files: is each one a verified part or a typed error? No hang, no crash, no half result.

    python benchmarks/odd_files.py FOLDER [--timeout-s 60] [--renamed jpg] [--list]

Every file under the folder is prepared by itself, in a worker that is killed when it takes too long. A test
suite of an image or sound library makes a good folder. The exit status is 1 when anything but a part or an
error about the file itself came out. ``--renamed jpg`` gives every file that extension first (in memory): the
result may not depend on names. ``--list`` prints a line a file.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from mmsprep import MmsprepError, prepare
from mmsprep.errors import InputError, OverBudget, Rejected

_EXPECTED = (InputError, Rejected, OverBudget)
"""The branches of the error tree that speak about the file; every other error points at us."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one file: ``verdict`` is ``part``, the code of a typed error, ``bug`` or ``timeout``."""

    path: Path
    verdict: str
    told: str
    seconds: float
    suspicious: bool = False


def worker(pipe: Connection) -> None:
    """Prepare each path that comes in; send back verdict, words and whether it is suspicious."""
    while request := pipe.recv():
        path, name = request
        try:
            message = prepare([path if name is None else (name, path.read_bytes())], trim=True)
            part = message.parts[0]
            told = f"{part.source.format} -> {part.action} {part.content_type} {part.size_bytes:,} bytes"
            pipe.send(("part", told, message.total_bytes > message.limit_bytes))
        except MmsprepError as error:
            pipe.send((error.code, str(error), not isinstance(error, _EXPECTED)))
        except Exception as error:
            pipe.send(("bug", f"{type(error).__name__}: {error}", True))


def outcomes(paths: list[Path], timeout_s: float, extension: str | None) -> Iterator[Outcome]:
    """Prepare every path in turn; a worker that does not answer in time is replaced."""
    context = multiprocessing.get_context("spawn")
    process = None
    for number, path in enumerate(paths):
        if process is None:
            ours, theirs = context.Pipe()
            process = context.Process(target=worker, args=(theirs,))
            process.start()
            theirs.close()
        began = time.monotonic()
        ours.send((path, None if extension is None else f"file{number}.{extension}"))
        try:
            answer = ours.recv() if ours.poll(timeout_s) else ("timeout", f"no answer in {timeout_s:g} s", True)
        except EOFError:
            answer = ("bug", "the worker died", True)
        yield Outcome(path, answer[0], answer[1], time.monotonic() - began, answer[2])
        if answer[0] == "timeout" or not process.is_alive():
            process.kill()
            process.join()
            process = None
    if process is not None:
        ours.send(None)
        process.join()


def main() -> None:
    """Prepare the folder's files and print the totals, the slowest and whatever is suspicious."""
    parser = argparse.ArgumentParser(description="Every odd file is a part or a typed error.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--timeout-s", type=float, default=60)
    parser.add_argument("--renamed", metavar="EXTENSION")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    paths = sorted(path for path in options.folder.rglob("*") if path.is_file())
    found: list[Outcome] = []
    for outcome in outcomes(paths, options.timeout_s, options.renamed):
        found.append(outcome)
        if options.list or outcome.suspicious:
            mark = "!! " if outcome.suspicious else ""
            print(f"{mark}{outcome.path.relative_to(options.folder)}: {outcome.verdict}: {outcome.told}", flush=True)
    for verdict, count in Counter(outcome.verdict for outcome in found).most_common():
        print(f"{count:6}  {verdict}")
    slowest = max(found, key=lambda outcome: outcome.seconds, default=None)
    suspicious = sum(outcome.suspicious for outcome in found)
    if slowest:
        print(f"{len(found)} files, {suspicious} suspicious; slowest {slowest.path.name}: {slowest.seconds:.1f} s")
    sys.exit(bool(suspicious))


if __name__ == "__main__":
    main()
