"""The command line: one file a group of commands, each parses, calls, prints; no logic.

Data goes to stdout (``--json``, tables that were asked for), messages, tables and progress for people to
stderr. Exit statuses are those of :mod:`mmsprep.errors`.
"""

from __future__ import annotations

import gc
import sys
from typing import TYPE_CHECKING, NoReturn

from mmsprep.cli import ahead

_VALUES_A_LOOK = 100_000

if TYPE_CHECKING:
    import typer

    app: typer.Typer
    """All commands, for whoever calls them from a program."""


def main() -> NoReturn:
    """The ``mmsprep`` command; it ends with :class:`SystemExit`."""
    # Modules that load make no garbage, and to look for it after every 700 of the 100 000 values that they make takes a
    # tenth of the time.
    gc.set_threshold(_VALUES_A_LOOK)
    words = sys.argv[1:]
    ahead.begin(words)
    # Only now, so that what was begun goes on beside this.
    from mmsprep.cli.commands import run

    run(words)


def __getattr__(name: str) -> object:
    """``app``, described when it is asked for."""
    if name == "app":
        from mmsprep.cli.commands import commands

        return commands()
    raise AttributeError(f"module 'mmsprep.cli' has no attribute {name!r}")
