"""Machines that are not as one would like them: limits that bind, limits that cannot be set, children that die.

Comes in: this process. Goes out: nothing; from then on its children fare so. Never: another process than those that
this one started.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

ADDRESS_SPACE_BYTES = 1_900_000_000
"""What shared hosts and clusters allow; ffmpeg and the decoders reserve more than they use."""


def limit_address_space() -> None:
    """``ulimit -v``: it holds all children, and none can raise it."""
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE_BYTES, ADDRESS_SPACE_BYTES))


def python_that_refuses_limits(folder: Path, *, all_of_them: bool = False) -> Path:
    """A Python in which ``setrlimit`` raises, as on macOS for address space; to stand in ``sys.executable``."""
    path = folder / "python"
    path.write_text(
        f"#!{sys.executable} -I\n"
        "import resource, runpy, sys\n"
        "set_limit = resource.setrlimit\n"
        "def refuse(kind, limits):\n"
        f"    if {all_of_them} or kind == resource.RLIMIT_AS:\n"
        "        raise ValueError('current limit exceeds maximum limit')\n"
        "    set_limit(kind, limits)\n"
        "resource.setrlimit = refuse\n"
        "while sys.argv[1].startswith('-'):\n"
        "    if sys.argv.pop(1) == '-c':\n"
        "        exec(sys.argv.pop(1), {'__name__': '__main__'})\n"
        "        sys.exit()\n"
        "del sys.argv[0]\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')\n"
    )
    path.chmod(0o755)
    return path


def kill_idle_children() -> list[int]:
    """End what this process has started and keeps, as the system does where memory runs out; their ids."""
    children: list[int] = []
    for thread in Path("/proc/self/task").glob("*/children"):
        with suppress(OSError):
            children += map(int, thread.read_text().split())
    for child in children:
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
    return children
