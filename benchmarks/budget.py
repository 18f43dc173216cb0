"""Is the budget used, and never exceeded? Random sets of a folder's files under random limits.

    python benchmarks/budget.py [--folder DIR] [--sets N] [--seed S]

A set counts as fillable when its files, each prepared alone without a limit, together exceed the budget.
Targets: at least 98.5 % of the budget used on every fillable set, no overshoot ever. Sets where only steps are left
(the next rung of a recording, a GIF or nothing) may stay below; they are named.
"""

from __future__ import annotations

import argparse
import random
import sys
from functools import cache
from pathlib import Path

from mmsprep import MmsprepError, inspect, prepare
from mmsprep.errors import OverBudget
from mmsprep.profile import load_profile

_TARGET = 0.985
_NO_LIMIT_BYTES = 20_000_000


@cache
def most_bytes(path: Path) -> int:
    """The most bytes that a file can use: it is prepared as if there were no limit. 0 where it does not decode."""
    try:
        return prepare([path], limit_bytes=_NO_LIMIT_BYTES).parts[0].size_bytes
    except MmsprepError:
        return 0


def main() -> None:
    """Prepare the sets, print a line for every miss and the totals."""
    parser = argparse.ArgumentParser(description="How much of the budget is used.")
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent.parent / "sample_media")
    parser.add_argument("--sets", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    reserve = load_profile("smsglobal").message.reserve_bytes
    paths = sorted(path for path in options.folder.rglob("*") if path.is_file() and "bad" not in path.parts)
    files = [path for path, found in zip(paths, inspect(paths), strict=True) if found.plan]
    if not files:
        sys.exit(f"{options.folder}: no files that can be sent")
    used: list[float] = []
    overshoots = errors = short = 0
    for number in range(options.sets):
        chosen = chance.sample(files, min(len(files), chance.randint(1, 8)))
        limit = chance.choice([30_000, 60_000, 100_000, 200_000, 300_000])
        try:
            message = prepare(chosen, limit_bytes=limit, trim=True, on_error="skip")
        except OverBudget:
            short += 1
            continue
        except MmsprepError as error:
            errors += 1
            print(f"set {number}: {error}")
            continue
        overshoots += message.total_bytes > limit or len(message.mime()) != message.total_bytes
        share = message.total_bytes / (limit - reserve)
        if sum(most_bytes(path) for path in chosen) + message.overhead_bytes >= limit - reserve:
            used.append(share)
            if share < _TARGET:
                names = ", ".join(f"{path.name}" for path in chosen)
                print(f"set {number}: {share:.1%} of {limit:,} used ({names})")
    used.sort()
    if not used:
        sys.exit(f"{options.sets} sets, none fillable; {short} did not fit and said so; {errors} other errors")
    print(
        f"{options.sets} sets, {len(used)} fillable: least {used[0]:.2%}, median {used[len(used) // 2]:.2%} used,"
        f" {sum(share >= _TARGET for share in used)} at {_TARGET:.1%} or more;"
        f" {overshoots} overshoots; {short} did not fit and said so; {errors} other errors"
    )


if __name__ == "__main__":
    main()
