"""A push on its way into the store: read, kept as a message; or, where it cannot be read, kept as it came.

Comes in: a push as HTTP brought it. Goes out: what became of it. Never: an answer, or a push that is nowhere.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from mmsprep.receive import unreadable
from mmsprep.receive.incoming import RawPush, What
from mmsprep.receive.limits import Limits
from mmsprep.receive.read import Read, Reader
from mmsprep.receive.store import Added, Store

_log = logging.getLogger("mmsprep.receive")


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a push; ``added`` is ``None`` where it is no message in the store."""

    read: Read
    added: Added | None = None
    is_misplaced: bool = False


class Intake:
    """Takes pushes in; safe from threads.

    ``takes_get``: whether a message may come by GET; a notice may always. ``on_stored`` is told of each new one.
    """

    def __init__(
        self,
        store: Store,
        read: Reader,
        limits: Limits,
        *,
        takes_get: bool = False,
        on_stored: Callable[[], None] | None = None,
    ) -> None:
        self._store = store
        self._read = read
        self._limits = limits
        self._takes_get = takes_get
        self._on_stored = on_stored

    def take(self, raw: RawPush) -> Taken:
        """Read a push and keep it, one way or the other; what it returns is on disk.

        Raises:
            StoreError: disk or database refuse; it is nowhere.
            ToolError: it could not be read here and now; it is nowhere.
        """
        read = self._read(raw)
        if read.incoming is None:
            self._set_aside(raw, read.problem)
            return Taken(read)
        if raw.method == "GET" and read.incoming.what is What.MESSAGE and not self._takes_get:
            self._set_aside(raw, "a message by GET, which is not taken in here (--allow-get)")
            return Taken(read, is_misplaced=True)
        return Taken(read, self._keep(read))

    def take_again(self, raw: RawPush) -> str:
        """Read what was set aside; the reason where it still cannot be read.

        Raises:
            StoreError, ToolError: as :meth:`take`.
        """
        read = self._read(raw)
        if read.incoming is None:
            return read.problem
        self._keep(read)
        return ""

    def _set_aside(self, raw: RawPush, reason: str) -> None:
        if raw.body.strip() or raw.query:
            unreadable.keep(self._store, raw, reason, self._limits)

    def _keep(self, read: Read) -> Added:
        incoming = read.incoming
        assert incoming is not None
        added = self._store.add(incoming, read.parts)
        facts = {
            "id": incoming.id or incoming.about_id,
            "key": added.key,
            "door": incoming.door.value,
            "what": incoming.what.value,
            "attachments": len(read.parts),
            "size_bytes": sum(part.size_bytes for part in read.parts),
        }
        if not added.is_new:
            _log.info("duplicate", extra=facts)
            return added
        _log.info("stored", extra=facts)
        if added.shares_id:
            _log.warning("same_id_other_content", extra=facts)
        if self._on_stored:
            self._on_stored()
        return added
