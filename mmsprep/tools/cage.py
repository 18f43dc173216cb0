"""What a child may have and do, as the command that shuts itself in.

Comes in: limits and paths. Goes out: an argument list around a program's own. Never: a process;
:mod:`mmsprep.tools.process` starts it, and in it :mod:`mmsprep.tools.confine` does what is said here.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from mmsprep.errors import ToolMissing
from mmsprep.tools import confine

_SCRIPT_MAGIC = b"#!"
_SHUT_IN = (
    "import sys; cage = type(sys)('confine');"
    "sys.meta_path[-1].find_spec('confine', [sys.argv.pop(1)]).loader.exec_module(cage); cage.main()"
)
"""Loads the cage as a module, which is compiled once; as a script it would be at every start."""


def can_cage(wanted: bool) -> bool:
    """Whether children can be caged; a program frozen into one file has no Python that could do it."""
    return wanted and bool(sys.executable) and not getattr(sys, "frozen", False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cage:
    """What a child may have and do, as far as the system can enforce it (:mod:`mmsprep.tools.confine`).

    ``reads`` and ``writes`` are paths besides the system's libraries; without ``reads`` any file may be read.
    ``total_bytes`` is what all children in cages may hold together while they work; none: their limits are enough.
    ``script`` is a file of Python, run by the very Python that shuts itself in: no program is ever executed then.
    It has no network, starts no other program and ends with this process.
    """

    memory_bytes: int
    cpu_s: float
    file_bytes: int
    reads: Sequence[Path | str] | None = ()
    writes: Sequence[Path | str] = ()
    total_bytes: int | None = None
    script: Path | None = None

    def around(self, argv: Sequence[str]) -> list[str]:
        """The command that shuts itself in and becomes ``argv``, or runs the script in its place.

        Raises:
            ToolMissing: there is no such program.
        """
        program = shutil.which(argv[0])
        if program is None:
            raise ToolMissing(f"{argv[0]}: cannot be started (No such file or directory); see 'mmsprep doctor'")
        words = [f"memory_bytes={self.memory_bytes}", f"cpu_s={self.cpu_s:.0f}", f"file_bytes={self.file_bytes}"]
        words += [f"script={self.script}" if self.script else f"program={program}", "end=with-parent", "keep=read-any"]
        words += [f"read={path}" for path in self.reads or ()] + [f"write={path}" for path in self.writes]
        # A script in ffmpeg's place needs programs and files that nobody here knows of.
        is_script = _is_script(program)
        words += ["allow=any-file"] if self.reads is None or is_script else []
        words += ["allow=children"] if is_script else []
        own_libraries = Path(program).resolve().parent.parent / "lib"
        words += [f"read={own_libraries}"]
        return [*shut_in(), *words] if self.script else [*shut_in(), *words, "--", program, *argv[1:]]


def shut_in() -> list[str]:
    """The beginning of a command that :func:`mmsprep.tools.confine.main` reads the rest of.

    It writes no compiled module: this process has done that, and Python 3.11 keeps one that a limit has cut off.
    """
    return [sys.executable, "-I", "-S", "-B", "-c", _SHUT_IN, str(Path(confine.__file__).parent)]


@lru_cache(maxsize=16)
def _is_script(program: str) -> bool:
    """Whether it is a script, which cannot do without other programs."""
    try:
        with Path(program).open("rb") as file:
            return file.read(2) == _SCRIPT_MAGIC
    except OSError:
        return False
