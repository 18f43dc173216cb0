"""A push, read at arm's length: in a worker that is ended when it takes too long.

Comes in: a push as it came. Goes out: what is in it and what each attachment really is, or why it cannot be read.
Never: a parser's hunger or hang in the process that answers.
"""

from __future__ import annotations

import re
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass, replace

from mmsprep import mm7
from mmsprep.errors import InputError, MalformedPush, PushTooLarge
from mmsprep.model import Attachment
from mmsprep.receive.incoming import Incoming, PushDoor, RawPush, StoredPart
from mmsprep.receive.limits import Limits
from mmsprep.receive.look import look
from mmsprep.receive.parse_form import parse_form
from mmsprep.receive.parse_mm7 import parse_mm7
from mmsprep.settings import load_settings, processors
from mmsprep.tools.isolation import isolated
from mmsprep.tools.workspace import Workspace

_MEMORY_BYTES = 2_000_000_000
"""Address space, most of which a worker's libraries take."""
_NAME = re.compile("[0-9A-Za-z][0-9A-Za-z._-]{0,250}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """What was read; ``problem`` is empty where it could be. The answer must match ``push``, MM7's envelope."""

    problem: str = ""
    is_too_large: bool = False
    push: mm7.Push | None = None
    incoming: Incoming | None = None
    parts: tuple[StoredPart, ...] = ()


Reader = Callable[[RawPush], Read]


class CarefulReader:
    """Reads pushes, each in a worker, as many at a time as there are processors; safe from threads."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        settings = load_settings()
        self._turns = threading.BoundedSemaphore(processors())
        self._workspace = Workspace(
            replace(
                settings,
                decode_timeout_s=limits.read_timeout_s,
                max_cpu_s=limits.read_cpu_s,
                max_memory_bytes=min(settings.max_memory_bytes, _MEMORY_BYTES),
            )
        )
        # Whoever forgets to close it leaves no folder behind.
        self._end = weakref.finalize(self, self._workspace.__exit__, None, None, None)

    def close(self) -> None:
        """End what is under way."""
        self._end()

    def __call__(self, raw: RawPush) -> Read:
        """Read a push.

        Raises:
            ToolError: no worker can be started, or the work was cancelled.
        """
        attachment = Attachment(0, "push", len(raw.body), data=raw.body)
        told = replace(raw, body=b"")
        try:
            with self._turns:
                read = isolated(self._workspace, read_push, attachment, told, self._limits)
        except InputError as error:
            return Read(problem=f"reading it was given up ({error.code})")
        return read if _is_sensible(read) else Read(problem="reading it was given up (senseless)")


def _is_sensible(read: Read) -> bool:
    """Whether a worker that was not taken over by what it read could have said so: names become paths."""
    names = [part.name for part in read.parts]
    digests = read.incoming.digests if read.incoming else ()
    return (
        tuple(part.sha256 for part in read.parts) == digests
        and len(set(names)) == len(names)
        and all(map(_NAME.fullmatch, names))
    )


def read_push(attachment: Attachment, told: RawPush, limits: Limits) -> Read:
    """Read one push; its body is the attachment's bytes."""
    body = attachment.data or b""
    push: mm7.Push | None = None
    try:
        if told.door is PushDoor.MM7:
            push, incoming = parse_mm7(told.content_type, body, limits)
        else:
            incoming = parse_form(told.content_type, body, limits, told.query)
    except MalformedPush as error:
        return Read(problem=str(error))
    except PushTooLarge as error:
        return Read(problem=str(error), is_too_large=True)
    return Read(push=push, incoming=incoming, parts=look(incoming))
