"""A worker process: reads strangers' files for the process that started it.

Comes in: as its standard input a line of questions (:mod:`mmsprep.tools.wire`); the first says where Python's modules
lie and which of ours to load while nothing is asked, the others are :class:`mmsprep.tools.wire.Call`, most of them with
an open file. Goes out: on standard output, for each an empty message once the question is read, then the answer: ``V``
and the value, or ``E`` and the error. Never: a file of its own choice, the network or another program; it was caged
before its first line ran (:mod:`mmsprep.tools.confine`).

It is run by its path, so it works in programs that cannot import themselves a second time.
"""

from __future__ import annotations

import gc
import json
import os
import select
import socket
import sys
from contextlib import suppress
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from typing import Any


def main() -> None:
    """Answer until the line is closed."""
    # What decoders print must not get between the answers.
    answers = os.fdopen(os.dup(1), "wb")
    quiet = os.open(os.devnull, os.O_RDWR)
    line: Any = sys.stdin.buffer
    if sys.platform != "win32" and hasattr(socket, "send_fds") and hasattr(socket, "AF_UNIX"):
        line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, fileno=os.dup(0))
        os.dup2(quiet, 0)
    os.dup2(quiet, 1)
    first = json.loads(_first(line.recv if isinstance(line, socket.socket) else line.read))
    sys.path[:] = first["search"]
    sys.meta_path.insert(0, _Packages(first["packages"]))
    os.dup2(quiet, 2)
    from mmsprep.tools.memory import keep_freed_memory
    from mmsprep.tools.wire import Call, decode, hear, send

    keep_freed_memory()
    waiting = list(first["load"])
    with suppress(EOFError, OSError):
        while True:
            _load(waiting, line)
            question, descriptor = hear(line)
            call: Call = decode(question, Call)
            if not call.function:
                waiting += decode(call.arguments, list[str])
                continue
            send(answers, b"")
            answer = _answer(call, descriptor)
            if descriptor is not None:
                os.close(descriptor)
            send(answers, answer)


def _load(waiting: list[str], line: Any) -> None:
    """Take from ``waiting`` and load as long as nothing is asked; all of it where that cannot be told."""
    if not waiting:
        return
    # Collecting garbage while modules load finds none and takes a tenth of the time; frozen, they are never looked at.
    gc.disable()
    while waiting and not (isinstance(line, socket.socket) and select.select([line], [], [], 0)[0]):
        # What fails here fails again where it is needed, and is told there.
        with suppress(Exception):
            module, _, function = waiting.pop(0).partition(":")
            found = import_module(module)
            if function:
                getattr(found, function)()
    gc.freeze()
    gc.enable()


def _first(read: Any) -> bytes:
    """The first message, read before anything of ours can be imported."""
    length = int.from_bytes(read(8), "big")
    pieces = b""
    while len(pieces) < length:
        pieces += read(length - len(pieces))
    return pieces


class _Packages:
    """Finds packages in folders that may not be listed themselves."""

    def __init__(self, places: dict[str, str]) -> None:
        self._places = places

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:  # noqa: ARG002
        place = self._places.get(name)
        if place is None:
            return None
        if place.endswith((".py", ".so", ".pyd")):
            return spec_from_file_location(name, place)
        return spec_from_file_location(name, f"{place}/__init__.py", submodule_search_locations=[place])


def _answer(call: Any, descriptor: int | None) -> bytes:
    from mmsprep.errors import MmsprepError, OverInputLimit
    from mmsprep.tools.wire import Failure, encode

    _allow_processor_time(call.cpu_s)
    try:
        return b"V" + encode(_run(call, descriptor))
    except MmsprepError as error:
        arguments = tuple(str(one) for one in error.args)
        return b"E" + encode(Failure(error.code, arguments))
    except MemoryError:
        return b"E" + encode(Failure(OverInputLimit.code, ()))
    except Exception as error:
        return b"E" + encode(Failure("", (type(error).__name__, str(error))))


def _run(call: Any, descriptor: int | None) -> Any:
    from dataclasses import replace
    from inspect import signature
    from typing import get_type_hints

    from mmsprep.tools.wire import decode

    module, _, name = call.function.partition(":")
    function = getattr(import_module(module), name)
    hints = get_type_hints(function)
    expected = tuple.__class_getitem__(tuple(hints[parameter] for parameter in signature(function).parameters))
    attachment, *arguments = decode(call.arguments, expected)
    return function(attachment if descriptor is None else replace(attachment, descriptor=descriptor), *arguments)


def _allow_processor_time(seconds: float) -> None:
    """From now on; over it the system ends this process."""
    import time

    from mmsprep.tools import confine

    confine.limit("CPU", int(time.process_time() + seconds) + 1, soft_only=True)


if __name__ == "__main__":
    main()
