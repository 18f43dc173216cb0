"""Handing on what came in: to a URL or a command, at least once, each sender's messages in order.

Comes in: a store and a target. Goes out: each message, until the target takes it or it is given up. Never: a
message dropped, or content in a log.

A URL gets each message as JSON by POST and takes it by any 2xx; a command gets the JSON on standard input and
a folder with the attachments as its last argument, and takes it by ending with status 0. Either may see a
message twice (a server may die between the two steps): ``key`` is the same each time.
"""

from __future__ import annotations

import base64
import json
import logging
import shlex
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from mmsprep.errors import ForwardError, MmsprepError, StoreError, UsageError
from mmsprep.receive.incoming import ForwardState, Stored
from mmsprep.receive.queue import Retry, lend, settle
from mmsprep.receive.report import document, export
from mmsprep.receive.store import Store
from mmsprep.tools.process import ProcessGroup

_LEASE_MARGIN_S = 30.0
_POLL_S = 1.0
_PAUSE_AFTER_STORE_ERROR_S = 5.0
_STOP_S = 10.0
_log = logging.getLogger("mmsprep.receive")


class Target(Protocol):
    """Who gets the messages."""

    def deliver(self, store: Store, message: Stored) -> None:
        """Hand over one message; returning means that it was taken."""
        ...

    def close(self) -> None:
        """End what is under way."""
        ...


class UrlTarget:
    """A program's URL: one POST a message, JSON, attachments as base64."""

    def __init__(self, url: str, timeout_s: float) -> None:
        import httpx

        if not urlsplit(url).hostname:
            raise UsageError("the URL to forward to has no host; expected https://host/path")
        self._client = httpx.Client(timeout=timeout_s)
        self._url = url

    def deliver(self, store: Store, message: Stored) -> None:
        """POST the message.

        Raises:
            ForwardError: no connection, no answer in time, or an answer other than 2xx.
            StoreError: an attachment cannot be read.
        """
        import httpx

        told = document(message)
        for part, shown in zip(message.parts, told["attachments"], strict=True):
            shown["data"] = base64.b64encode(store.read(part)).decode("ascii")
        headers = {"Content-Type": "application/json", "Idempotency-Key": message.key}
        try:
            answer = self._client.post(self._url, content=_json(told), headers=headers)
        except httpx.HTTPError as error:
            raise ForwardError(f"the target did not answer ({type(error).__name__})") from None
        if not answer.is_success:
            raise ForwardError(f"the target answered with status {answer.status_code}, expected 200")

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


class CommandTarget:
    """A command: JSON on standard input, a folder of attachments as last argument, status 0."""

    def __init__(self, command: str, timeout_s: float) -> None:
        try:
            self._argv = shlex.split(command)
        except ValueError as error:
            raise UsageError(f"the command to forward to cannot be read ({error})") from None
        if not self._argv:
            raise UsageError("the command to forward to is empty")
        self._processes = ProcessGroup(timeout_s)

    def deliver(self, store: Store, message: Stored) -> None:
        """Run the command.

        Raises:
            ToolError: it cannot be started, takes too long or ends with another status.
            OutputError, StoreError: the attachments cannot be laid out for it.
        """
        with tempfile.TemporaryDirectory(prefix="mmsprep-", ignore_cleanup_errors=True) as name:
            folder = Path(name) / "message"
            export(store, message, folder)
            self._processes.run([*self._argv, str(folder)], stdin=_json(document(message)))

    def close(self) -> None:
        """End the command where it runs; it will be run again."""
        self._processes.kill_all()


@dataclass(frozen=True, slots=True)
class Tally:
    """What one pass over the queue did."""

    done: int = 0
    failed: int = 0
    given_up: int = 0


class Forwarder:
    """``with Forwarder(store, target):`` forwards in threads until the block ends; :meth:`once` does one pass.

    ``target`` is a URL (``http://`` or ``https://``) or a command line, split as a shell would, run without one.

    Raises:
        UsageError: the target is neither.
    """

    def __init__(
        self, store: Store, target: str, *, retry: Retry | None = None, timeout_s: float = 30.0, workers: int = 4
    ) -> None:
        self._store = store
        self._retry = retry or Retry()
        self._lease_s = timeout_s + _LEASE_MARGIN_S
        make: Callable[[str, float], Target] = UrlTarget if _is_url(target) else CommandTarget
        self._target = make(target, timeout_s)
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
        for thread in self._threads:
            thread.join(_STOP_S)

    def wake(self) -> None:
        """There is a new message; without this it is found within a second."""
        self._wakened.set()

    def once(self) -> Tally:
        """Try every message whose turn it is or comes, none of them twice.

        Raises:
            StoreError: the database refuses.
        """
        counts = dict.fromkeys(ForwardState, 0)
        started_s = time.time()
        while (state := self._one(started_s)) is not None:
            counts[state] += 1
        self._target.close()
        return Tally(counts[ForwardState.DONE], counts[ForwardState.PENDING], counts[ForwardState.DEAD])

    def _work(self) -> None:
        while not self._stopped.is_set():
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
        message = lend(self._store, self._lease_s, due_by_s)
        if message is None:
            return None
        problem, code = self._try(message)
        state = settle(self._store, message, problem, self._retry)
        facts = {"id": message.id, "key": message.key, "attempt": message.attempts}
        if state is ForwardState.DONE:
            _log.info("forwarded", extra=facts)
        else:
            event = "forward_failed" if state is ForwardState.PENDING else "forward_given_up"
            _log.warning(event, extra=facts | {"code": code})
        return state

    def _try(self, message: Stored) -> tuple[str, str]:
        """What went wrong, for the store, and its code, for the log; both empty when nothing did."""
        try:
            self._target.deliver(self._store, message)
        except MmsprepError as error:
            return str(error)[:1000], error.code
        except Exception as error:
            _log.exception("bug", extra={"key": message.key})
            return f"a bug in mmsprep ({type(error).__name__})", "error"
        return "", ""


def _is_url(target: str) -> bool:
    return target.lower().startswith(("http://", "https://"))


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()
