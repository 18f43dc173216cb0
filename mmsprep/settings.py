"""What this machine allows: where ffmpeg is, how much work at once, how big an input may be.

Comes in: the environment. Goes out: a frozen :class:`Settings`. Never: anything about a network or a
handset, which is the profile's business.

Every field can be set by an environment variable: ``MMSPREP_`` and its name in capitals, e.g.
``MMSPREP_MAX_PIXELS=50000000``; ``MMSPREP_FFMPEG`` names another ffmpeg.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path

from mmsprep.errors import SettingsError

ENVIRONMENT_PREFIX = "MMSPREP_"
_SHARE_OF_MEMORY = 0.75
"""The rest is for this process itself, and for everybody else's."""
_ENOUGH_BYTES = 1 << 62

_SWITCHES = {"0": False, "no": False, "off": False, "false": False, "1": True, "yes": True, "on": True, "true": True}
_PARSERS: dict[str, Callable[[str], str | int | float]] = {
    "str": str,
    "int": int,
    "float": float,
    "bool": lambda raw: _SWITCHES[raw.lower()],
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Limits and tools of this machine; the defaults are generous for honest media, small for bombs.

    Attributes:
        ffmpeg: the program to use in place of the one that imageio-ffmpeg brings.
        jobs: how many attachments are worked on side by side (0: as many as there are processors for this process).
        max_pixels: of a decoded image (210 million hold any phone's).
        max_frames: of an animation.
        max_duration_s: of a clip or recording.
        max_input_bytes: of a file.
        max_image_bytes: of a picture's file.
        max_text_bytes: of a text.
        max_decoded_bytes: what the frames or samples of one file take in memory.
        max_temp_bytes: all temporary files of one message.
        max_memory_bytes: what one decoder or one run of ffmpeg may take.
        max_total_memory_bytes: what all that work at the same time for one process may take (0: three quarters of what
            the machine or the container has).
        max_cpu_s: processor time of one decoder, or of one run of ffmpeg.
        tool_timeout_s: how long a run of ffmpeg takes by the clock.
        decode_timeout_s: how long decoding a picture takes by the clock.
        isolate: files are looked at and decoded in worker processes, and those and ffmpeg are kept from the network,
            from other files and from starting programs where the system can. Off (``MMSPREP_ISOLATE=0``), it is for
            input that is trusted.
        require_isolation: refuse to work where a defence is missing (``MMSPREP_ISOLATE=required`` says so, too).
    """

    ffmpeg: str = ""
    jobs: int = 0
    max_pixels: int = 210_000_000
    max_frames: int = 10_000
    max_duration_s: float = 4 * 3600.0
    max_input_bytes: int = 4_000_000_000
    max_image_bytes: int = 200_000_000
    max_text_bytes: int = 2_000_000
    max_decoded_bytes: int = 1_000_000_000
    max_temp_bytes: int = 4_000_000_000
    max_memory_bytes: int = 4_000_000_000
    max_total_memory_bytes: int = 0
    max_cpu_s: float = 1200.0
    tool_timeout_s: float = 600.0
    decode_timeout_s: float = 60.0
    isolate: bool = True
    require_isolation: bool = False

    @property
    def worker_count(self) -> int:
        """How many attachments are worked on side by side."""
        return self.jobs or processors()

    @property
    def total_memory_bytes(self) -> int:
        """What all decoders and runs of ffmpeg of this process may hold together."""
        return self.max_total_memory_bytes or int(_SHARE_OF_MEMORY * memory_bytes())


def memory_bytes() -> int:
    """How much memory this process may have: the machine's, and no more than a container's limit.

    Linux's cgroups give the limit in bytes (version 2: ``memory.max``; version 1: ``memory.limit_in_bytes``). Where
    nothing says how much there is, it is taken to be enough for everything.
    """
    if sys.platform == "win32":
        return _ENOUGH_BYTES
    try:
        machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return _ENOUGH_BYTES
    return min(machine, _container_memory_bytes())


@lru_cache(maxsize=1)
def _container_memory_bytes() -> int:
    """The least limit of the control groups around this process; read once a process."""
    texts = [_text(f"{folder}/memory.max") for folder in _control_groups()]
    texts.append(_text("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
    return min([int(text) for text in texts if text.strip().isdigit()], default=_ENOUGH_BYTES)


def processors() -> int:
    """How many processors this process may use: those it is bound to, and no more than a container's quota pays for.

    Linux's cgroups give the quota as microseconds of processor time a period (version 2: ``cpu.max``; version 1:
    ``cpu.cfs_quota_us``).
    """
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min(bound, _container_quota())))


@lru_cache(maxsize=1)
def _container_quota() -> float:
    """The least quota of the control groups around this process, in processors; read once a process."""
    quota = math.inf
    for folder in _control_groups():
        allowed, _, period = _text(f"{folder}/cpu.max").partition(" ")
        quota = min(quota, _ratio(allowed, period))
    first = "/sys/fs/cgroup/cpu/cpu.cfs_"
    return min(quota, _ratio(_text(f"{first}quota_us"), _text(f"{first}period_us")))


def _control_groups() -> list[str]:
    """The folders of the control groups around this process (version 2), the innermost first."""
    own = next((line[3:] for line in _text("/proc/self/cgroup").splitlines() if line.startswith("0::")), "/")
    return [f"/sys/fs/cgroup{folder}" for folder in (Path(own), *Path(own).parents)]


def _ratio(allowed: str, period: str) -> float:
    """``max`` and ``-1`` mean: no quota."""
    try:
        return float(allowed) / float(period) if float(allowed) > 0 else math.inf
    except (ValueError, ZeroDivisionError):
        return math.inf


def _text(path: str) -> str:
    try:
        return Path(path).read_text("ascii")
    except (OSError, ValueError):
        return ""


def load_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from ``environment`` (default: this process's).

    Raises:
        SettingsError: a value is not of its setting's type or not positive.
    """
    environment = os.environ if environment is None else environment
    values: dict[str, str | int | float] = {}
    for entry in fields(Settings):
        variable = ENVIRONMENT_PREFIX + entry.name.upper()
        raw = environment.get(variable, "").strip()
        if not raw:
            continue
        if entry.name == "isolate" and raw.lower() == "required":
            values["require_isolation"] = True
            continue
        try:
            values[entry.name] = value = _PARSERS[str(entry.type)](raw)
        except KeyError:
            expected = "0, 1 or required" if entry.name == "isolate" else "0 or 1"
            raise SettingsError(f"{variable}: found {raw!r}, expected {expected}") from None
        except ValueError as error:
            raise SettingsError(f"{variable}: found {raw!r}, expected a number") from error
        if not isinstance(value, (str, bool)) and not 0 < value < float("inf"):
            raise SettingsError(f"{variable}: found {raw!r}, expected a number above 0")
    return Settings(**values)  # type: ignore[arg-type]
