"""What a command will wait for, begun while it still reads its own line.

Comes in: the words of the command line. Goes out: a worker that loads what it will be asked for, and what this process
will need, loaded beside. Never: a decision. A name foretells no more than what is loaded; a wrong one costs time alone.

Where there are two processors, the worker starts while this program does, and this one loads what renders a picture
while the worker decodes it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Sequence
from contextlib import suppress
from importlib import import_module
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
    "image": ("mmsprep.transcode.image.rendered", "mmsprep.tools.vips:load_vips", "PIL.Image:preinit"),
    "audio": ("mmsprep.transcode.sound.recording",),
    "video": ("mmsprep.transcode.video.opening",),
}


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
        from mmsprep.tools import workers

        workers.keep(worker)


def load_beside(names: Iterable[str], progress: ProgressCallback | None) -> ProgressCallback:
    """``progress``, which at the first step also begins to load what files of these names need in this process.

    What shows steps is loaded beside, too; until then none is shown."""
    lock = threading.Lock()
    last: Progress | None = None
    is_loaded = False

    def load() -> None:
        nonlocal is_loaded
        for kind in _kinds(names):
            _load(_HERE.get(kind, ()))
        _load(("mmsprep.cli.message_table", "mmsprep.cli.console", *(["rich.progress"] if progress else [])))
        with lock:
            is_loaded = True
            if progress and last:
                progress(last)

    def update(step: Progress) -> None:
        nonlocal last
        if last is None:
            threading.Thread(target=load, name="mmsprep-ahead").start()
        with lock:
            last = step
            if progress and is_loaded:
                progress(step)

    return update


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
