"""Who made a claim, so that another process can tell whether its maker still runs.

Comes in: nothing, or what another process wrote of itself. Goes out: an owner, or whether it is certainly gone.
Never: a guess; an owner of another machine or container, or of a system that does not tell, is never called gone.
"""

from __future__ import annotations

import os
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

_PROC = Path("/proc")


def this_process() -> str:
    """This process among all that ran here since the machine started; empty where there is no ``/proc`` to tell."""
    return _process(os.getpid())


@lru_cache(maxsize=2)
def _process(pid: int) -> str:
    place, born = _place(), _born(pid)
    return f"{place}/{pid}/{born}" if place and born else ""


def is_gone(owner: str) -> bool:
    """Whether the process that called itself ``owner`` certainly runs no more."""
    place, _, process = owner.partition("/")
    pid, _, born = process.partition("/")
    if not pid.isdigit() or not born or place != _place():
        return False
    return _born(int(pid)) != born


def is_of_this_start(owner: str) -> bool:
    """Whether ``owner`` ran since this machine started: what it had written is there, synced or not."""
    boot = owner.partition(":")[0]
    return bool(boot) and boot == start_of_machine()


def start_of_machine() -> str:
    """How an owner of this start of this machine begins; empty where there is no ``/proc`` to tell."""
    return _place().partition(":")[0]


def _place() -> str:
    """This start of this machine and, for containers, this space of process ids."""
    with suppress(OSError):
        boot = (_PROC / "sys/kernel/random/boot_id").read_text("ascii").strip()
        return f"{boot}:{(_PROC / 'self/ns/pid').stat().st_ino}"
    return ""


def _born(pid: int) -> str:
    """When a process started, in ticks since the machine did (proc(5)); empty: there is none, or it has ended."""
    with suppress(OSError, IndexError):
        # The name, in brackets, may hold blanks and brackets.
        state, *numbers = (_PROC / str(pid) / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()
        return numbers[18] if state not in ("Z", "X") else ""
    return ""
