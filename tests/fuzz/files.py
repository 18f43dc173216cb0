"""One mutated file through :func:`mmsprep.prepare` and :func:`mmsprep.inspect`.

Comes in: a seed. Goes out: nothing, or a :class:`Finding`. Never: a verdict that another machine could not
repeat: the seed decides the sample, the damage and the call.
"""

from __future__ import annotations

import time
import traceback
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from random import Random

from mmsprep import MmsprepError, Settings, inspect, prepare
from mmsprep.errors import OverBudget
from mmsprep.tools.workspace import Workspace

from .machine import kill_idle_children
from .mutations import mutate, stretched

SAMPLES = Path(__file__).parents[2] / "sample_media"
SLOW_S = 120.0
"""Longer than this for one small file, on a busy machine, counts as hanging."""

_LIMITS = Settings(
    jobs=1,
    max_pixels=4_000_000,
    max_frames=500,
    max_duration_s=600,
    max_input_bytes=20_000_000,
    tool_timeout_s=100,
)
_LARGEST_SAMPLE_BYTES = 400_000
_STRETCHED_BYTES = 300_000
_LOOK_S, _LOOK_S_A_BYTE = 3.0, 40e-6
"""A look's own processor time; without isolation it decodes what pictures need here, too."""
_WORDS = 1_500


@dataclass(frozen=True, slots=True)
class Case:
    """A mutated file: what it was, what was done to it, its bytes now."""

    seed: int
    sample: str
    damage: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that must not happen, with the case that makes it happen."""

    case: Case
    problem: str


@lru_cache(maxsize=1)
def samples() -> tuple[Path, ...]:
    """Every small sample, good ones and bad ones."""
    paths = sorted(path for folder in ("formats", "bad", "message") for path in (SAMPLES / folder).iterdir())
    return tuple(path for path in paths if 0 < path.stat().st_size <= _LARGEST_SAMPLE_BYTES)


def make_case(seed: int) -> Case:
    """The case of a seed."""
    chance = Random(seed)
    path, other = chance.choice(samples()), chance.choice(samples())
    if seed % 10 == 0:
        return Case(seed, path.name, "stretched", stretched(path.read_bytes(), _STRETCHED_BYTES, chance))
    damage, data = mutate(path.read_bytes(), other.read_bytes(), chance)
    return Case(seed, path.name, damage, data)


def try_case(case: Case) -> Finding | None:
    """Look at the file, and (of four, three) make a message of it; every third file without isolation.

    Without it, an error of a decoder that nobody expected is seen as what it is. Now and then a healthy picture of the
    same name comes with it, or the idle decoders have been killed before.
    """
    settings = replace(_LIMITS, isolate=case.seed % 3 != 0)
    if case.seed % 7 == 0:
        kill_idle_children()
    start, start_cpu_s = time.monotonic(), time.process_time()
    problem = ""
    try:
        if case.seed % 4 == 0:
            inspect([(case.sample, case.data)], settings=settings)
            cpu_s, fair_s = time.process_time() - start_cpu_s, _LOOK_S + _LOOK_S_A_BYTE * len(case.data)
            problem = f"a look took {cpu_s:.1f} s of processor time here" if cpu_s > fair_s else ""
        elif case.seed % 5 == 0:
            problem = _beside_a_namesake(case, settings)
        else:
            message = prepare([(case.sample, case.data)], settings=settings, trim=True)
            if message.total_bytes > message.limit_bytes:
                problem = f"{message.total_bytes} bytes, over the limit"
    except MmsprepError as error:
        if error.exit_status == 1 or "bug in mmsprep" in str(error) or error.code in ("verify", "tool_failed"):
            problem = f"{error.code}: {error}"
    except Exception:
        problem = traceback.format_exc()[-_WORDS:]
    took_s = time.monotonic() - start
    if not problem and took_s > SLOW_S:
        problem = f"took {took_s:.0f} s"
    return Finding(case, problem) if problem else None


def _beside_a_namesake(case: Case, settings: Settings) -> str:
    """What is wrong with a message of the file and a healthy picture of the same name; neither may be lost."""
    healthy = (SAMPLES / "formats" / "photo.jpg").read_bytes()
    both = [(case.sample, case.data), (case.sample, healthy)]
    try:
        profile = ("smsglobal", "video-rich", "legacy-gsm")[case.seed % 3]
        message = prepare(both, profile=profile, settings=settings, trim=True, on_error="skip")
    except OverBudget:
        return ""
    if not any(part.data[:2] == b"\xff\xd8" for part in message.parts):
        return "a healthy picture is lost beside a file of the same name"
    sent = len(message.parts) + len(message.rejected)
    return "" if sent >= len(both) or message.text else f"{sent} of {len(both)} files of one name are accounted for"


def warm_up() -> None:
    """Load what the first case would otherwise be charged for."""
    with Workspace(_LIMITS):
        inspect([("x.txt", b"hello")], settings=_LIMITS)
