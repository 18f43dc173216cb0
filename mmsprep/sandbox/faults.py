"""Faults that a client's tests ask for: what a gateway, or the way to it, does on a bad day.

Comes in: a fault in words, from the command line, the page, JSON or Python alike. Goes out: a checked
:class:`Fault`, and which one the next request meets. Never: a connection; ``app.py`` carries a fault out.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable
from enum import StrEnum

import msgspec

from mmsprep.errors import UsageError
from mmsprep.sandbox.exchange import Door

MAX_DELAY_S = 3600.0


class Trouble(StrEnum):
    """What can be asked for by name; a status code or an HTTP status is asked for by its number.

    The message is taken in, and only its answer suffers: ``delay``, ``drop-before-reply``, ``drop-mid-reply``,
    ``garbage``. The message is not taken in: ``drop-before-body``, ``html`` and every number but 1000 and 1100.
    """

    DELAY = "delay"
    DROP_BEFORE_BODY = "drop-before-body"
    DROP_BEFORE_REPLY = "drop-before-reply"
    DROP_MID_REPLY = "drop-mid-reply"
    GARBAGE = "garbage"
    HTML = "html"


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One fault for the next ``times`` requests (0: for all) through ``door`` (``None``: both).

    ``what`` is a name of :class:`Trouble`, a status of the gateway's table (``4006``) or an HTTP status
    (``503``). The answer, or what stands for it, comes ``delay_s`` late. ``retry_after_s`` goes into the
    ``Retry-After`` of an HTTP status.
    """

    what: str
    times: int = 1
    door: Door | None = None
    delay_s: float = 0.0
    retry_after_s: int | None = None

    @property
    def status_code(self) -> int | None:
        """The status of the gateway's table that is asked for."""
        return int(self.what) if re.fullmatch("0|[0-9]{4}", self.what) else None

    @property
    def http_status(self) -> int | None:
        """The HTTP status that is asked for."""
        return int(self.what) if re.fullmatch("[1-9][0-9]{2}", self.what) else None

    @property
    def takes_in(self) -> bool:
        """Whether the request is handled as usual, so that the message may be on its way."""
        if self.status_code is not None:
            return self.status_code in (1000, 1100)
        return self.what in (Trouble.DELAY, Trouble.DROP_BEFORE_REPLY, Trouble.DROP_MID_REPLY, Trouble.GARBAGE)

    def __str__(self) -> str:
        extras = [
            *([f"times={self.times}"] if self.times != 1 else []),
            *([f"door={self.door}"] if self.door else []),
            *([f"delay_s={self.delay_s:g}"] if self.delay_s else []),
            *([f"retry_after_s={self.retry_after_s}"] if self.retry_after_s is not None else []),
        ]
        return ",".join([self.what, *extras])


def checked(fault: Fault) -> Fault:
    """The fault itself.

    Raises:
        UsageError: it asks for something that is unknown or out of range.
    """
    if fault.http_status is not None and not 200 <= fault.http_status <= 599:
        raise UsageError(f"fault {fault.what}: an HTTP status is 200 to 599")
    if fault.status_code is None and fault.http_status is None and fault.what not in list(Trouble):
        raise UsageError(
            f"fault {fault.what[:40]!r}: expected a status like 4006, an HTTP status like 503,"
            f" or one of {', '.join(Trouble)}"
        )
    if fault.what == Trouble.DELAY and not fault.delay_s:
        raise UsageError("fault delay: how long? like delay,delay_s=3")
    if not 0 <= fault.delay_s <= MAX_DELAY_S:
        raise UsageError(f"fault {fault.what}: delay_s is 0 to {MAX_DELAY_S:g}")
    if not 0 <= fault.times <= 1_000_000:
        raise UsageError(f"fault {fault.what}: times is 0 (for all requests) to 1000000")
    if fault.retry_after_s is not None and not 0 <= fault.retry_after_s <= 1_000_000:
        raise UsageError(f"fault {fault.what}: retry_after_s is 0 to 1000000")
    return fault


def parse_fault(text: str) -> Fault:
    """Read a fault as the command line and the page spell it: ``WHAT[,KEY=VALUE]...``.

    Raises:
        UsageError: it is none.
    """
    what, *pairs = [word.strip() for word in text.split(",")]
    values = {key.strip(): value.strip() for key, _, value in (pair.partition("=") for pair in pairs)}
    return fault_of({"what": what, **values})


def fault_of(values: object) -> Fault:
    """Read a fault from a decoded JSON object.

    Raises:
        UsageError: it is none.
    """
    if isinstance(values, dict) and isinstance(values.get("what"), int):
        values = {**values, "what": str(values["what"])}
    try:
        return checked(msgspec.convert(values, Fault, strict=False))
    except msgspec.ValidationError as error:
        raise UsageError(
            f"fault: {error}; its keys are {', '.join(Fault.__struct_fields__)}, door is form or mm7"
        ) from None


class FaultQueue:
    """The faults that wait for requests, first come first met; safe to use from several threads."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self._lock = threading.Lock()
        self._waiting = list(faults)

    @property
    def waiting(self) -> tuple[Fault, ...]:
        """What is still to come, in order."""
        with self._lock:
            return tuple(self._waiting)

    def replace(self, faults: Iterable[Fault]) -> None:
        """Forget what waits and take these."""
        with self._lock:
            self._waiting = list(faults)

    def add(self, fault: Fault) -> None:
        """Put one behind those that wait."""
        with self._lock:
            self._waiting.append(fault)

    def take(self, door: Door) -> Fault | None:
        """The fault that a request through ``door`` meets now; one of its times is used up."""
        with self._lock:
            for place, fault in enumerate(self._waiting):
                if fault.door in (None, door):
                    if fault.times == 1:
                        del self._waiting[place]
                    elif fault.times > 1:
                        self._waiting[place] = msgspec.structs.replace(fault, times=fault.times - 1)
                    return fault
        return None
