"""A worker process: reads strangers' pictures for the process that started it.

Comes in: on standard input, where Python's modules lie, then questions (:class:`mmsprep.tools.wire.Call`). Goes out:
on standard output, for each an empty message once the question is read, then the answer: ``V`` and the value, or
``E`` and the error. Never: a file, the network or another
program; it was caged before its first line ran (:mod:`mmsprep.tools.confine`).

It is started by its path, so it works in programs that cannot import themselves a second time.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import IO, Any


def main() -> None:
    """Answer until standard input ends."""
    questions = sys.stdin.buffer
    # What decoders print must not get between the answers.
    answers = os.fdopen(os.dup(1), "wb")
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    sys.path[:] = _read_path(questions)
    os.dup2(quiet, 2)
    from mmsprep.tools.memory import keep_freed_memory
    from mmsprep.tools.wire import receive, send

    keep_freed_memory()
    with suppress(EOFError, OSError):
        while True:
            question = receive(questions)
            send(answers, b"")
            send(answers, _answer(question))


def _read_path(stream: IO[bytes]) -> list[str]:
    """The first message, read before anything of ours can be imported: a list of text in MessagePack."""
    import msgspec

    length = int.from_bytes(stream.read(8), "big")
    return msgspec.msgpack.decode(stream.read(length), type=list[str])


def _answer(question: bytes) -> bytes:
    from mmsprep.errors import MmsprepError, OverInputLimit
    from mmsprep.tools.wire import Call, Failure, decode, encode

    call: Call = decode(question, Call)
    _allow_processor_time(call.cpu_s)
    try:
        return b"V" + encode(_run(call))
    except MmsprepError as error:
        arguments = tuple(str(one) for one in error.args)
        return b"E" + encode(Failure(error.code, arguments))
    except MemoryError:
        return b"E" + encode(Failure(OverInputLimit.code, ()))
    except Exception as error:
        return b"E" + encode(Failure("", (type(error).__name__, str(error))))


def _run(call: Any) -> Any:
    from importlib import import_module
    from inspect import signature
    from typing import get_type_hints

    from mmsprep.tools.wire import decode

    module, _, name = call.function.partition(":")
    function = getattr(import_module(module), name)
    hints = get_type_hints(function)
    expected = tuple.__class_getitem__(tuple(hints[parameter] for parameter in signature(function).parameters))
    return function(*decode(call.arguments, expected))


def _allow_processor_time(seconds: float) -> None:
    """From now on; over it the system ends this process."""
    import time

    from mmsprep.tools import confine

    confine.limit("CPU", int(time.process_time() + seconds) + 1, soft_only=True)


if __name__ == "__main__":
    main()
