"""Decoding what strangers made, at arm's length.

Comes in: a function of ours that reads one attachment, and its arguments. Goes out: what it returns, or its error.
Never: a decoder's crash, hang or hunger in this process, or anything from a worker that could be run here: plain
values of the types that the function promises, and pixels, are all that comes back.

A worker loads this module with the functions that it runs, and nothing of what asks one
(:mod:`mmsprep.tools.workers`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar, TypeVarTuple, get_type_hints

import msgspec

from mmsprep.errors import AttachmentError, Damaged, MmsprepError, OverInputLimit, ToolMissing
from mmsprep.model import Attachment
from mmsprep.tools.wire import HANDS_OVER, Call, Failure, decode, encode

if TYPE_CHECKING:
    from mmsprep.settings import Settings
    from mmsprep.tools.workspace import Workspace

_log = logging.getLogger(__name__)

_Arguments = TypeVarTuple("_Arguments")
_Result = TypeVar("_Result")


def isolated(
    workspace: Workspace,
    function: Callable[[Attachment, *_Arguments], _Result],
    attachment: Attachment,
    *args: *_Arguments,
    timeout_s: float | None = None,
) -> _Result:
    """``function(attachment, *args)``, run by a worker; in this process where the settings say so.

    ``function`` is one of mmsprep's own, at the top of its module; all its arguments and its result are typed and
    plain (dataclasses, tuples, numbers, text, bytes) or pictures of Pillow's. It is handed the attachment's file, open,
    or its bytes. ``timeout_s`` is for work that never takes long (default: the setting ``decode_timeout_s``).

    Raises:
        MmsprepError: what ``function`` raised.
        Damaged: the decoder crashed on it.
        OverInputLimit: it took more time or memory than the settings allow.
        Unreadable: the file went away.
        ToolMissing: no worker can be started.
        ToolError: the work was cancelled.
    """
    settings = workspace.settings
    if not can_isolate(settings):
        return function(attachment, *args)
    from mmsprep.tools import worker, workers
    from mmsprep.tools.log import timed
    from mmsprep.tools.untrusted import open_attachment, read_bytes

    # A name of bytes that are no text cannot be told to a worker; it is the caller's again in what comes back.
    label = attachment.name.encode("utf-8", "replace").decode()
    plain = replace(attachment, name=label, path=None, mark=None)
    limit_s = min(timeout_s or settings.decode_timeout_s, settings.decode_timeout_s)
    with ExitStack() as opened:
        descriptor = None
        if attachment.data is None and HANDS_OVER:
            descriptor = opened.enter_context(open_attachment(attachment)).fileno()
        elif attachment.data is None:
            plain = replace(plain, data=read_bytes(attachment), extent=None)
        call = Call(f"{function.__module__}:{function.__qualname__}", settings.max_cpu_s, encode([plain, *args]))
        told = {"function": call.function, "attachment": attachment.name, "index": attachment.index}
        with timed(_log, logging.DEBUG, "%(attachment)s: a worker's %(function)s took %(took_s).3f s", **told):
            reply = workers.ask(worker.Question(attachment.name, encode(call), descriptor, limit_s), workspace)
    try:
        if reply[:1] == b"E":
            raise _rebuilt(decode(reply[1:], Failure), attachment.name)
        if reply[:1] != b"V":
            raise ValueError("neither a value nor an error")
        result: _Result = decode(reply[1:], get_type_hints(function)["return"])
    except (msgspec.MsgspecError, ValueError, TypeError, RecursionError) as error:
        # Only a worker that was taken over by what it read would answer so.
        raise senseless(attachment.name) from error
    return result


def senseless(name: str) -> Damaged:
    """The error about a file whose decoder answered what no decoder would."""
    return Damaged(name, "makes its decoder give senseless answers; do not open it elsewhere")


def can_isolate(settings: Settings) -> bool:
    """Whether workers are wanted and possible; a program frozen into one file has no Python to start."""
    from mmsprep.tools.cage import can_cage

    return can_cage(settings.isolate)


def _rebuilt(failure: Failure, name: str) -> MmsprepError:
    """The error that a worker told of: only one about an attachment, and only about the one that it was given."""
    if failure.code == OverInputLimit.code and not failure.arguments:
        return OverInputLimit(name, "needs more memory to decode than MMSPREP_MAX_MEMORY_BYTES allows; make it smaller")
    if not failure.code:
        return Damaged(name, f"cannot be decoded ({': '.join(failure.arguments)}); get the file again")
    if failure.code == ToolMissing.code:
        return ToolMissing(" ".join(failure.arguments))
    _, problem = failure.arguments
    if failure.code not in _BY_CODE:
        raise ValueError(f"no error about an attachment: {failure.code}")
    return _BY_CODE[failure.code](name, problem)


def _kinds(kind: type[AttachmentError]) -> Iterator[type[AttachmentError]]:
    yield kind
    for other in kind.__subclasses__():
        yield from _kinds(other)


_BY_CODE = {kind.code: kind for kind in _kinds(AttachmentError) if "code" in vars(kind)}
