"""Running ffmpeg on files that strangers made.

Comes in: a path, the format that *our* sniffing found, a graph built with ffmpeg-python. Goes out: bytes or
files in the workspace. Never: a demuxer that ffmpeg chose by itself, or a protocol other than file and pipe.

A playlist in a file named .mp4 makes a plain ``ffmpeg -i`` open other files and addresses; a protocol
whitelist alone does not stop it, a forced demuxer does. Both are set here, for every input.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

import ffmpeg as graph

from mmsprep.errors import ToolMissing
from mmsprep.formats import FORMATS
from mmsprep.settings import Settings
from mmsprep.tools.process import Completed, ProcessGroup
from mmsprep.tools.workspace import Workspace

_MAX_ALLOCATION_BYTES = 2_000_000_000
_QUESTION_TIMEOUT_S = 20.0


def executable(settings: Settings) -> str:
    """The ffmpeg to use: the one in the settings, else the one of imageio-ffmpeg, else the one on the PATH.

    Raises:
        ToolMissing: there is none.
    """
    return settings.ffmpeg or _bundled()


@lru_cache(maxsize=1)
def _bundled() -> str:
    import imageio_ffmpeg

    try:
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError:
        found = shutil.which("ffmpeg")
    if found:
        return found
    raise ToolMissing(
        "ffmpeg: not found; 'pip install --force-reinstall imageio-ffmpeg' brings one,"
        " or MMSPREP_FFMPEG names one that is installed"
    )


def version(settings: Settings) -> str:
    """The version of the ffmpeg in use, as it names itself.

    Raises:
        ToolError: there is none, or it does not start.
    """
    first_line = _answer(executable(settings), "-version").partition("\n")[0]
    return first_line.removeprefix("ffmpeg version ").partition(" ")[0]


def encoders(settings: Settings) -> frozenset[str]:
    """The names of the encoders that the ffmpeg in use was built with.

    Raises:
        ToolError: there is no ffmpeg, or it does not start.
    """
    return frozenset(re.findall(r"^ [VAS][\w.]{5} (\w\S*)", _answer(executable(settings), "-encoders"), re.M))


def filters(settings: Settings) -> frozenset[str]:
    """The names of the filters that the ffmpeg in use was built with.

    Raises:
        ToolError: there is no ffmpeg, or it does not start.
    """
    return frozenset(re.findall(r"^ [\w.]{2,3} (\w+) +\S+->", _answer(executable(settings), "-filters"), re.M))


def require_encoders(settings: Settings, names: Iterable[str]) -> None:
    """Make sure that every one of ``names`` can be used.

    Raises:
        ToolMissing: the ffmpeg in use lacks one of them.
    """
    missing = sorted(set(names) - encoders(settings))
    if missing:
        raise ToolMissing(
            f"ffmpeg ({executable(settings)}) was built without {', '.join(missing)}; unset MMSPREP_FFMPEG to"
            " use the one of imageio-ffmpeg, which has it, or name a complete one there"
        )


@lru_cache(maxsize=8)
def _answer(program: str, question: str) -> str:
    """What a program says about itself; asked once a process."""
    with ProcessGroup(_QUESTION_TIMEOUT_S) as processes:
        done = processes.run([program, "-hide_banner", question])
    return done.stdout.decode("utf-8", "replace")


def safe_input(path: Path, format_slug: str, **options: str | float) -> Any:
    """An ffmpeg-python input whose demuxer is the one of ``format_slug`` and no other.

    ``options`` are further input options (``ss``, ``t``, ...).
    """
    demuxer = FORMATS[format_slug].demuxer
    if demuxer is None:
        raise ValueError(f"ffmpeg does not read {format_slug}")
    return graph.input(
        f"file:{path}",
        f=demuxer,
        format_whitelist=demuxer,
        protocol_whitelist="file,pipe",
        **options,
    )


def run(workspace: Workspace, output: Any, *, stdin: bytes | None = None) -> Completed:
    """Run the ffmpeg-python ``output`` node to its end.

    Raises:
        ToolError: ffmpeg is missing, failed or took too long.
    """
    command = [executable(workspace.settings), "-hide_banner", "-nostdin", "-v", "error"]
    command += ["-max_alloc", str(_MAX_ALLOCATION_BYTES), "-y"]
    return workspace.processes.run([*command, *output.get_args()], stdin=stdin)
