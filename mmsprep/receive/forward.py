"""Handing on what came in: to a URL or a command, at least once, each sender's messages in order.

Comes in: a store and a target. Goes out: each message, until the target takes it or it is given up. Never: a
message dropped, or content in a log.

The target may see a message twice (a server may die between its answer and our note of it): ``key`` is the same each
time. A target that takes nothing at all is left in peace for growing times, however many messages wait for it.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass

from mmsprep.errors import ForwardRefused, MmsprepError, StoreError, TargetUnavailable
from mmsprep.receive.incoming import ForwardState, Stored
from mmsprep.receive.queue import Outcome, Retry, lend, settle
from mmsprep.receive.store import Store
from mmsprep.receive.targets import open_target

_LEASE_MARGIN_S = 30.0
_POLL_S = 1.0
_PAUSE_AFTER_STORE_ERROR_S = 5.0
_LONGEST_REST_S = 60.0
_MOST_UNAVAILABLE_IN_A_PASS = 5
_STOP_S = 3.0
_log = logging.getLogger("mmsprep.receive")


@dataclass(frozen=True, slots=True)
class Tally:
    """What one pass over the queue did."""

    done: int = 0
    failed: int = 0
    given_up: int = 0


class Forwarder:
    """``with Forwarder(store, target):`` forwards in threads until the block ends; :meth:`once` does one pass.

    ``target`` is a URL (``http://`` or ``https://``) or a command line, split as a shell would, run without one.
    ``secret`` (``whsec_...``) signs what a URL gets as Standard Webhooks says.

    Raises:
        UsageError: the target is neither, or the secret is none.
    """

    def __init__(
        self,
        store: Store,
        target: str,
        *,
        secret: str = "",
        retry: Retry | None = None,
        timeout_s: float = 30.0,
        workers: int = 4,
    ) -> None:
        self._store = store
        self._retry = retry or Retry()
        self._lease_s = timeout_s + _LEASE_MARGIN_S
        self._target = open_target(target, timeout_s, secret)
        self._unavailable = 0
        self._rest_until_s = 0.0
        self._stopped = threading.Event()
        self._wakened = threading.Event()
        self._threads = [
            threading.Thread(target=self._work, name=f"mmsprep-forward-{index}", daemon=True)
            for index in range(workers)
        ]

    def __enter__(self) -> Forwarder:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._wakened.set()
        self._target.close()
        # What is under way is lent, and goes out again when its time is over: nobody waits for it here.
        end_s = time.monotonic() + _STOP_S
        for thread in self._threads:
            thread.join(max(0.0, end_s - time.monotonic()))

    def wake(self) -> None:
        """There is a new message; without this it is found within a second."""
        self._wakened.set()

    def once(self) -> Tally:
        """Try every message whose turn it is or comes, none of them twice; a target that takes nothing ends the pass.

        Raises:
            StoreError: the database refuses.
        """
        counts = dict.fromkeys(ForwardState, 0)
        started_s = time.time()
        self._unavailable = 0
        while self._unavailable < _MOST_UNAVAILABLE_IN_A_PASS and (state := self._one(started_s)) is not None:
            counts[state] += 1
        self._target.close()
        return Tally(counts[ForwardState.DONE], counts[ForwardState.PENDING], counts[ForwardState.DEAD])

    def _work(self) -> None:
        while not self._stopped.is_set():
            rest_s = self._rest_until_s - time.monotonic()
            if rest_s > 0:
                self._stopped.wait(rest_s)
                continue
            try:
                state = self._one()
            except StoreError as error:
                _log.error("forward_halted", extra={"reason": str(error)})
                self._stopped.wait(_PAUSE_AFTER_STORE_ERROR_S)
                continue
            if state is None:
                self._wakened.wait(_POLL_S)
                self._wakened.clear()

    def _one(self, due_by_s: float | None = None) -> ForwardState | None:
        """Take one message from the queue and try it; ``None`` when it is nobody's turn."""
        message = lend(self._store, self._lease_s, due_by_s, self._retry.longest_wait_s)
        if message is None:
            return None
        outcome, code = self._try(message)
        state = settle(self._store, message, outcome, self._retry)
        self._note(code == TargetUnavailable.code)
        facts = {"id": message.id, "key": message.key, "attempt": message.attempts}
        if state is ForwardState.DONE:
            _log.info("forwarded", extra=facts)
        else:
            event = "forward_failed" if state is ForwardState.PENDING else "forward_given_up"
            _log.warning(event, extra=facts | {"code": code})
        return state

    def _note(self, is_unavailable: bool) -> None:
        """A target that is not there is not there for the other messages either."""
        if not is_unavailable:
            self._unavailable = 0
            return
        self._unavailable += 1
        self._rest_until_s = time.monotonic() + min(self._retry.wait_s(self._unavailable), _LONGEST_REST_S)

    def _try(self, message: Stored) -> tuple[Outcome, str]:
        """What became of it, and the error's code, for the log; empty when there was none."""
        try:
            self._target.deliver(self._store, message)
        except MmsprepError as error:
            return Outcome(str(error)[:1000], isinstance(error, ForwardRefused)), error.code
        except Exception as error:
            _log.exception("bug", extra={"key": message.key})
            return Outcome(f"a bug in mmsprep ({type(error).__name__})"), "error"
        return Outcome(), ""
