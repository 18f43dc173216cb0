"""``python -m tests.fuzz --minutes N``: mutated files until the time is up; exit status 1 if anything is found.

Each slice of cases runs in a process of its own, so that a crash of the interpreter or a hang is found too. What
is found is saved under ``--save`` with the seed that repeats it: ``python -m tests.fuzz --seed N --count 1``.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from random import SystemRandom

from .files import SLOW_S, make_case, try_case, warm_up
from .machine import limit_address_space, python_that_refuses_limits
from .parsers import PARSERS, fuzz_parsers, fuzz_with_atheris

_SLICE = 100
_MACHINES = ("ordinary", "address-space", "ordinary", "no-limits")


def main() -> int:
    """Parse, run, report."""
    options = _options()
    if options.parser:
        fuzz_with_atheris(options.parser, options.minutes * 60)
    if options.slice:
        return _run_slice(options.seed, options.count, options.machine)
    seed = SystemRandom().randrange(1 << 40) if options.seed is None else options.seed
    deadline = time.monotonic() + options.minutes * 60
    tried = found = 0
    parser_s = 0.0 if options.count else min(60.0, options.minutes * 60 / 4)
    for name, data, problem in fuzz_parsers(seed, parser_s):
        found += 1
        options.save.mkdir(exist_ok=True)
        (options.save / f"{name}-{found}").write_bytes(data)
        print(f"FOUND in {name}: {problem}", flush=True)
    while (tried < options.count) if options.count else (time.monotonic() < deadline):
        size = min(_SLICE, options.count - tried) if options.count else _SLICE
        left_s = max(5.0, deadline - time.monotonic()) if not options.count else float("inf")
        machine = options.machine or _MACHINES[tried // _SLICE % len(_MACHINES)]
        done, problems = _watch_slice(seed + tried, size, left_s, machine)
        for number, problem in problems:
            found += 1
            _save(options.save, number, f"{problem} (machine: {machine})")
        tried += done
        print(f"{tried} files, {found} findings", file=sys.stderr, flush=True)
    print(f"{tried} files from seed {seed}, {len(PARSERS)} parsers for {parser_s:.0f} s, {found} findings")
    return 1 if found else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--count", type=int, default=0, help="this many files, whatever the time")
    parser.add_argument("--seed", type=int, help="of the first file; the next one has the next number")
    parser.add_argument("--save", type=Path, default=Path("fuzz-findings"))
    parser.add_argument("--parser", choices=[one.name for one in PARSERS], help="this one alone, with atheris")
    parser.add_argument("--machine", choices=_MACHINES, help="one that is short of something; else each in turn")
    parser.add_argument("--slice", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def _run_slice(seed: int, count: int, machine: str) -> int:
    """In the child: a line before each case, a line after a bad one."""
    if machine == "address-space":
        limit_address_space()
    with tempfile.TemporaryDirectory() as folder:
        if machine == "no-limits":
            sys.executable = str(python_that_refuses_limits(Path(folder)))
        warm_up()
        return _run_cases(seed, count)


def _run_cases(seed: int, count: int) -> int:
    for number in range(seed, seed + count):
        print(json.dumps({"case": number}), flush=True)
        # One that stands still ends the process, even where it holds Python's lock.
        faulthandler.dump_traceback_later(2 * SLOW_S, exit=True)
        finding = try_case(make_case(number))
        if finding:
            print(json.dumps({"case": number, "problem": finding.problem}), flush=True)
    print(json.dumps({"end": True}), flush=True)
    return 0


def _watch_slice(seed: int, count: int, left_s: float, machine: str) -> tuple[int, list[tuple[int, str]]]:
    """How many cases were tried in a child, and what was found, its own death and standstill included."""
    command = [sys.executable, "-m", "tests.fuzz", "--slice", "--seed", str(seed), "--count", str(count)]
    command += ["--machine", machine]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert child.stdout is not None
    time_is_up = threading.Timer(min(left_s, threading.TIMEOUT_MAX), child.kill)
    time_is_up.start()
    problems: list[tuple[int, str]] = []
    last, ended = seed, False
    for line in child.stdout:
        told = json.loads(line)
        last, ended = told.get("case", last), "end" in told
        if "problem" in told:
            problems.append((last, told["problem"]))
    status = child.wait()
    time_is_up.cancel()
    child.stdout.close()
    if not ended and status != -signal.SIGKILL:
        problems.append((last, f"the process died or stood still (status {status})"))
    return last - seed + 1, problems


def _save(folder: Path, seed: int, problem: str) -> None:
    case = make_case(seed)
    folder.mkdir(exist_ok=True)
    (folder / f"{seed}-{case.sample}").write_bytes(case.data)
    (folder / f"{seed}.txt").write_text(f"{case.sample}: {case.damage}\n{problem}\n", "utf-8")
    print(f"FOUND with seed {seed} ({case.sample}, {case.damage}): {problem}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
