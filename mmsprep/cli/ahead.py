"""What a command will wait for, begun while it still reads its own line.

Comes in: the words of the command line. Goes out: a worker that loads what it will be asked for, and what this process
will need, loaded beside. Never: a decision. A name foretells no more than what is loaded; a wrong one costs time alone.

Where there are two processors, the worker starts while this program does, and from its first question on this one loads
what renders while the worker looks and decodes.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import partial
from importlib import import_module
from itertools import chain
from pathlib import PurePath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mmsprep.model import Progress, ProgressCallback

_LOOKS, _PREPARES = {"inspect"}, {"prepare", "send"}
_LOOK = "mmsprep.sniff.recognise"
_IN_WORKER = {
    "image": (
        *("mmsprep.transcode.image.pixels", "PIL.JpegImagePlugin", "mmsprep.transcode.image.viewing"),
        *("mmsprep.tools.vips:load_vips", "mmsprep.pipeline.verify"),
    ),
    "audio": ("mmsprep.tools.mediainfo", "mmsprep.sniff.recordings", "mmsprep.pipeline.verify"),
    "video": ("mmsprep.tools.mediainfo", "mmsprep.sniff.recordings", "mmsprep.pipeline.verify"),
}
_HERE = {
    "image": (
        *("mmsprep.transcode.image.still", "mmsprep.transcode.image.rendered"),
        *("mmsprep.tools.vips:load_vips", "PIL.Image:preinit"),
    ),
    "audio": ("mmsprep.transcode.sound.recording",),
    "video": ("mmsprep.transcode.video.opening",),
}
_SHOWING = ("mmsprep.cli.message_table", "mmsprep.cli.console")


def begin(words: Sequence[str]) -> None:
    """Start a worker where the command will ask one."""
    command, *others = (word for word in (*words, "") if not word.startswith("-"))
    if not any(others) or command not in _LOOKS | _PREPARES or {"-h", "--help"} & set(words):
        return
    # Others do without.
    from mmsprep.errors import MmsprepError
    from mmsprep.settings import load_settings
    from mmsprep.tools.cage import can_cage
    from mmsprep.tools.process import ONE_THREAD
    from mmsprep.tools.worker import Worker

    os.environ.update({name: os.environ.get(name, value) for name, value in ONE_THREAD.items()})
    with suppress(MmsprepError):  # settings that make no sense, or a missing program, are told later
        settings = load_settings()
        if not can_cage(settings.isolate):
            return
        worker = Worker(settings)
        worker.begin([_LOOK])
        # To know what else, this process has to load the formats first.
        kinds = _kinds(others) if command in _PREPARES else []
        worker.foretell([module for kind in kinds for module in _IN_WORKER.get(kind, ())])
        if command in _PREPARES:
            shows = () if "--json" in words else _SHOWING
            worker.meanwhile = partial(_load_beside, [*chain(*(_HERE.get(kind, ()) for kind in kinds)), *shows])
        from mmsprep.tools import workers

        workers.keep(worker)


def once_loaded(progress: ProgressCallback | None) -> ProgressCallback | None:
    """``progress``, which is told nothing as long as what shows it may have to wait for what is loaded beside."""

    def update(step: Progress) -> None:
        if progress and not any(one.is_alive() for one in _loading):
            progress(step)

    return progress and update


_loading: list[threading.Thread] = []


def _load_beside(modules: Sequence[str]) -> None:
    _loading.append(threading.Thread(target=_load, args=(modules,), name="mmsprep-ahead"))
    _loading[-1].start()


def _load(modules: Iterable[str]) -> None:
    for one in modules:
        module, _, function = one.partition(":")
        with suppress(Exception):  # told where it is needed
            found = import_module(module)
            if function:
                getattr(found, function)()


def _kinds(names: Iterable[str]) -> list[str]:
    from mmsprep.formats.registry import named

    # A clip may be followed by the seconds that are wanted of it, in brackets.
    extensions = {PurePath(name).suffix.lower().partition("[")[0].removeprefix(".") for name in names} - {""}
    found = [one for extension in extensions if (one := named(extension))]
    return sorted({one.kind.value for one in found if one.kind})
