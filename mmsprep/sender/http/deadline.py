"""How long one exchange may take, and how far it has come."""

from __future__ import annotations

import time
from dataclasses import dataclass

import httpcore

MOST_REPLY_BYTES = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long one request may take, in seconds.

    ``connect_s`` to connect, ``write_s`` until the network takes more of the request, ``reply_s`` from the end of the
    request to the end of the whole reply, ``total_s`` for all of it together.
    """

    connect_s: float = 15.0
    write_s: float = 60.0
    reply_s: float = 120.0
    total_s: float = 240.0


class Progress:
    """How far one exchange has come, and until when it may go on. Whoever interrupts it can ask."""

    def __init__(self, timeouts: Timeouts) -> None:
        self.timeouts = timeouts
        self.ends_at = time.monotonic() + timeouts.total_s
        self.body_began = False
        self.is_past_proxy = False
        """Whether a proxy has been believed and asked for the way to the gateway."""
        self._is_awaited = False
        self.reply = b""

    def left_s(self, most_s: float | None = None) -> float:
        """Seconds until the deadline, ``most_s`` at most.

        Raises:
            httpcore.TimeoutException: it has passed.
        """
        left_s = self.ends_at - time.monotonic()
        if left_s <= 0:
            raise httpcore.TimeoutException
        return left_s if most_s is None else min(left_s, most_s)

    def await_reply(self) -> None:
        """The request has gone out as far as it went, and its answer is read; told before each piece of that."""
        if self.body_began and not self._is_awaited:
            self._is_awaited = True
            self.ends_at = min(self.ends_at, time.monotonic() + self.timeouts.reply_s)

    def take(self, chunk: bytes) -> bool:
        """Keep a piece of the reply; false: it is too long."""
        self.reply += chunk
        return len(self.reply) <= MOST_REPLY_BYTES
