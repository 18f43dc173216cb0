"""The last requests and replies, kept to be looked at: facts in memory, bytes in a temporary folder.

Comes in: exchanges and pushes with their bytes. Goes out: the same, newest first, and word of every change to
those who listen. Never: more than ``keep`` of each; the oldest go, with their files.

A password that a request carried is blotted out before anything is kept.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from mmsprep.sandbox.exchange import Exchange
from mmsprep.sandbox.push import HandsetMessage, PushDelivery

MAX_RAW_BYTES = 2_000_000

_URLENCODED_SECRET = re.compile(rb"(?<![^&])(password=)[^&]*", re.I)
_MULTIPART_SECRET = re.compile(rb'(name="?password"?[^\r\n]*\r?\n(?:[^\r\n]+\r?\n)*\r?\n).*?(?=\r?\n--)', re.I | re.S)
_BLOT = rb"\1[not kept]"


class Traffic:
    """What happened; safe to use from several threads."""

    def __init__(self, folder: Path, keep: int) -> None:
        self._folder = folder
        self._keep = keep
        self._lock = threading.Lock()
        self._exchanges: dict[int, Exchange] = {}
        self._deliveries: dict[int, PushDelivery] = {}
        self._last_number = self._last_forgotten = 0
        self._seen = 0
        self._listeners: set[asyncio.Queue[str]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    @property
    def exchanges(self) -> tuple[Exchange, ...]:
        """Oldest first."""
        with self._lock:
            return tuple(self._exchanges.values())

    @property
    def seen(self) -> int:
        """How many exchanges there were since :meth:`clear`, those that were forgotten included."""
        with self._lock:
            return self._seen

    @property
    def deliveries(self) -> tuple[PushDelivery, ...]:
        """Pushes to the user's server, oldest first."""
        with self._lock:
            return tuple(self._deliveries.values())

    def exchange(self, number: int) -> Exchange | None:
        """One of them, ``None`` when it was never there or is gone."""
        with self._lock:
            return self._exchanges.get(number)

    def next_number(self) -> int:
        """A number that nothing has yet."""
        with self._lock:
            self._last_number += 1
            return self._last_number

    def add(self, exchange: Exchange, raw: bytes) -> None:
        """Keep one exchange: the facts here, the bytes of request and parts in files."""
        folder = self._folder_of(exchange.number)
        folder.mkdir(mode=0o700)
        (folder / "request").write_bytes(_without_secrets(raw[:MAX_RAW_BYTES]))
        submission = exchange.judgement.submission
        if submission:
            for place, body in enumerate(submission.content.bodies):
                (folder / f"part-{place}").write_bytes(body)
            content = replace(submission.content, bodies=())
            judgement = replace(exchange.judgement, submission=replace(submission, content=content))
            exchange = replace(exchange, judgement=judgement)
        headers = tuple(
            (name, "[not kept]" if name.lower() in ("authorization", "cookie") else value)
            for name, value in exchange.headers
        )
        with self._lock:
            self._seen += 1
            self._exchanges[exchange.number] = replace(exchange, headers=headers)
            old = list(self._exchanges)[: -self._keep]
            for number in old:
                del self._exchanges[number]
        for number in old:
            shutil.rmtree(self._folder_of(number), ignore_errors=True)
        self.tell("exchange")

    def note(self, delivery: PushDelivery) -> None:
        """Keep how far a push has come, in place of what was known of it before."""
        if isinstance(delivery.pushed, HandsetMessage):
            files = tuple(replace(file, data=b"") for file in delivery.pushed.files)
            delivery = replace(delivery, pushed=replace(delivery.pushed, files=files))
        with self._lock:
            if delivery.number <= self._last_forgotten:
                return
            self._deliveries[delivery.number] = delivery
            for number in list(self._deliveries)[: -self._keep]:
                del self._deliveries[number]
        self.tell("delivery")

    def clear(self) -> None:
        """Forget all exchanges and pushes."""
        with self._lock:
            old = list(self._exchanges)
            self._seen = 0
            self._exchanges.clear()
            # What is under way now is not to come back with news of itself.
            self._last_forgotten = self._last_number
            self._deliveries.clear()
        for number in old:
            shutil.rmtree(self._folder_of(number), ignore_errors=True)
        self.tell("clear")

    def raw(self, number: int) -> bytes:
        """A request's body, cut at :data:`MAX_RAW_BYTES`.

        Raises:
            OSError: it is gone.
        """
        return (self._folder_of(number) / "request").read_bytes()

    def part_path(self, number: int, place: int) -> Path:
        """Where the bytes of a part lie; files made from them go beside it."""
        return self._folder_of(number) / f"part-{place}"

    def tell(self, event: str) -> None:
        """Send word to all who listen."""
        self._in_loop(self._tell, event)

    def close(self) -> None:
        """End every :meth:`listen`."""
        self._closed = True
        self._in_loop(self._tell, "")

    def _in_loop(self, call: Callable[[str], None], event: str) -> None:
        # Nobody listens before there is a loop, and nobody any more when it is closed.
        with suppress(RuntimeError):
            if self._loop:
                self._loop.call_soon_threadsafe(call, event)

    def _tell(self, event: str) -> None:
        for listener in self._listeners:
            # A reader that is this far behind will look at everything anyway.
            with suppress(asyncio.QueueFull):
                listener.put_nowait(event)

    async def listen(self, heartbeat_s: float) -> AsyncIterator[str]:
        """The names of changes as they happen, and an empty one every ``heartbeat_s`` of silence."""
        queue: asyncio.Queue[str] = asyncio.Queue(maxsize=100)
        self._loop = asyncio.get_running_loop()
        self._listeners.add(queue)
        try:
            while not self._closed:
                try:
                    yield await asyncio.wait_for(queue.get(), heartbeat_s)
                except TimeoutError:
                    yield ""
        finally:
            self._listeners.discard(queue)

    def _folder_of(self, number: int) -> Path:
        return self._folder / str(number)


def _without_secrets(raw: bytes) -> bytes:
    return _MULTIPART_SECRET.sub(_BLOT, _URLENCODED_SECRET.sub(_BLOT, raw))
