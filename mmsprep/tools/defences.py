"""Which defences this system has against what strangers' files make their decoders do.

Comes in: the settings. Goes out: the defences by name, and a refusal or a warning where one is missing. Never: a cage;
:mod:`mmsprep.tools.cage` writes it.
"""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from functools import lru_cache
from typing import NamedTuple

from mmsprep.errors import SettingsError, ToolError
from mmsprep.settings import Settings
from mmsprep.tools import confine
from mmsprep.tools.cage import can_cage, shut_in
from mmsprep.tools.process import ProcessGroup

_log = logging.getLogger(__name__)
_QUESTION_TIMEOUT_S = 20.0


class Defence(NamedTuple):
    """One of :data:`mmsprep.tools.confine.DEFENCES`: what it does, and what a system needs to have it."""

    name: str
    use: str
    needs: str


_FILTER = "Linux on x86-64 or arm64, and a container that lets seccomp through"
ALL = (
    Defence(confine.LIMITS, "memory, processor time and size of files", "Linux or macOS"),
    Defence(confine.DEATH, "no decoder outlives this program", "Linux"),
    Defence(
        confine.FILES,
        "decoders read and write their own files alone (Landlock)",
        "Linux 5.13 with Landlock, and a container that lets it through",
    ),
    Defence(confine.RIGHTS, "decoders have no rights of an administrator's", "Linux"),
    Defence(confine.NETWORK, "decoders have no network (seccomp)", _FILTER),
    Defence(confine.PROGRAMS, "decoders start no programs (seccomp)", _FILTER),
)


@lru_cache(maxsize=1)
def defences() -> tuple[str, ...]:
    """The names of those that this system has; asked once a process."""
    if os.name != "posix" or not can_cage(wanted=True):
        return ()
    with ProcessGroup(_QUESTION_TIMEOUT_S) as group, suppress(ToolError):
        done = group.run([*shut_in(), "end=with-parent", "memory_bytes=1000000000"])
        return tuple(done.stdout.decode().splitlines())
    return ()


def require_defences(settings: Settings) -> None:
    """Make sure that children will be held by all of :data:`ALL`.

    Raises:
        SettingsError: one is missing here, or isolation is switched off.
    """
    if not settings.isolate:
        raise SettingsError(
            "isolation is required and switched off, so nothing was opened; set isolate=True or require_isolation=False"
        )
    held = defences()
    missing = [f"{one.name} (needs {one.needs})" for one in ALL if one.name not in held]
    if missing:
        raise SettingsError(
            f"MMSPREP_ISOLATE=required, and this system lacks {len(missing)} of the {len(ALL)} defences, so nothing was"
            f" opened; missing: {'; '.join(missing)}. Run it where they are there ('mmsprep doctor' lists them), or set"
            " MMSPREP_ISOLATE=1 to work with those that there are"
        )


@lru_cache(maxsize=1)
def warn_of_missing_defences() -> None:
    """Log what will not hold the children here, once a process: nobody is to believe in a cage that is none."""
    missing = confine.lacking()
    if missing:
        _log.warning(
            "what strangers' files are decoded with is not kept from everything here, this system lacks: %(missing)s;"
            " 'mmsprep doctor' says what each needs, MMSPREP_ISOLATE=required refuses to work without",
            {"missing": ", ".join(missing)},
        )
