"""The pushing side: something sent to the customer's URL until it is taken, as SMSGlobal's form until it says ``OK``.

Comes in: what the handset sent, or a notice of what became of a message, and an address. Goes out: a
:class:`PushDelivery` with every attempt. Never: a redirect followed, or more attempts than asked for.
"""

from __future__ import annotations

import base64
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol
from urllib.parse import urlencode, urlsplit

from mmsprep.errors import UsageError
from mmsprep.tools import backoff
from mmsprep.tools.log import unlogged
from mmsprep.tools.tls import distrusted, verified_tls

_log = logging.getLogger(__name__)
MAX_ATTEMPTS = 20
FORM_TYPE = "application/x-www-form-urlencoded"

_MAX_REPLY_BYTES = 64_000
_LONGEST_PAUSE_S = 60.0
_TOLD_CHARACTERS = 500


@dataclass(frozen=True, slots=True)
class PushedFile:
    """One attachment of an incoming message."""

    name: str
    content_type: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class PushRequest:
    """What a push is over HTTP."""

    url: str
    body: bytes = b""
    content_type: str = ""
    method: str = "POST"


class Pushed(Protocol):
    """What can be pushed: it says its request, and which answer takes it."""

    @property
    def id(self) -> str:
        """What it is called."""
        ...

    @property
    def sender(self) -> str:
        """Whose handset it is about."""
        ...

    def request(self, url: str) -> PushRequest:
        """The request to the customer's ``url``."""
        ...

    def is_taken(self, body: bytes) -> bool:
        """Whether an answer with a status of 2xx and this body says that it was taken."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class HandsetMessage:
    """An MMS as a handset sent it; ``id`` is what SMSGlobal calls it."""

    sender: str
    id: str
    subject: str = ""
    message: str = ""
    files: tuple[PushedFile, ...] = ()

    def request(self, url: str) -> PushRequest:
        """The published form."""
        return PushRequest(url, urlencode(form_of(self)).encode("ascii"), FORM_TYPE)

    def is_taken(self, body: bytes) -> bool:
        """``OK`` and nothing else."""
        return says_ok(body)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One push: the answer's status (``None``: there was no answer) and text, or what went wrong."""

    http_status: int | None
    answer: str
    took_s: float
    ok: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PushDelivery:
    """How far a push has come. ``url`` is shown without user name and password."""

    number: int
    url: str
    pushed: Pushed
    attempts: tuple[Attempt, ...] = ()
    finished: bool = False

    @property
    def ok(self) -> bool:
        """Whether the customer's server said OK."""
        return bool(self.attempts) and self.attempts[-1].ok


@dataclass(frozen=True, slots=True)
class Persistence:
    """How often and how long to try: the pause doubles from ``first_pause_s`` with every attempt."""

    attempts: int = 5
    first_pause_s: float = 1.0
    timeout_s: float = 15.0


def new_id() -> str:
    """An id as the gateway gives them: 16 digits."""
    return str(random.randrange(10**15, 10**16))


def form_of(incoming: HandsetMessage) -> list[tuple[str, str]]:
    """The fields of the published table; attachments in base64, numbered from 0."""
    fields = [
        ("from", incoming.sender),
        ("subject", incoming.subject),
        ("message", incoming.message),
        ("id", incoming.id),
    ]
    for index, file in enumerate(incoming.files):
        fields.append((f"attachment{index}", base64.b64encode(file.data).decode("ascii")))
        fields.append((f"content_type{index}", file.content_type))
        fields.append((f"content_name{index}", file.name))
    return fields


def check_url(url: str) -> str:
    """The address itself.

    Raises:
        UsageError: it is no http or https address.
    """
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable:
        raise UsageError(f"{url[:200]}: expected an address like http://localhost:8080/mms")
    return url


def says_ok(body: bytes) -> bool:
    """Whether a script answered ``OK`` and nothing else."""
    return body.decode("utf-8", "replace").strip() == "OK"


def push(
    pushed: Pushed,
    url: str,
    *,
    number: int = 1,
    persistence: Persistence | None = None,
    progress: Callable[[PushDelivery], None] | None = None,
    wait: Callable[[float], object] = time.sleep,
) -> PushDelivery:
    """Push to ``url`` until the answer takes it or the attempts are used up.

    Args:
        pushed: what the handset sent, or a notice.
        url: the customer's script.
        number: what the delivery is called.
        persistence: how often and how long.
        progress: is told after every attempt.
        wait: how to pause between attempts; a true result gives up.

    Raises:
        UsageError: ``url`` is no http or https address.
    """
    check_url(url)
    how = persistence or Persistence()
    request = pushed.request(url)
    delivery = PushDelivery(number=number, url=_without_user(url), pushed=pushed)
    tell = progress or (lambda _: None)
    tell(delivery)
    turn = 0
    while True:
        turn += 1
        attempt = _attempt(request, pushed, how.timeout_s)
        last = attempt.ok or turn == how.attempts
        delivery = replace(delivery, attempts=(*delivery.attempts, attempt), finished=last)
        tell(delivery)
        if last:
            return delivery
        pause_s = backoff.wait_s(turn, first_s=how.first_pause_s, longest_s=_LONGEST_PAUSE_S)
        _log.info(
            "push %(number)d: attempt %(attempt)d follows in %(wait_s).1f s",
            {"number": number, "attempt": turn + 1, "wait_s": pause_s},
        )
        if wait(pause_s):
            return replace(delivery, finished=True)


def document(delivery: PushDelivery) -> dict[str, Any]:
    """A delivery as JSON values."""
    return {
        "number": delivery.number,
        "url": delivery.url,
        "id": delivery.pushed.id,
        "from": delivery.pushed.sender,
        "finished": delivery.finished,
        "ok": delivery.ok,
        "attempts": [
            {"http_status": one.http_status, "answer": one.answer, "took_s": round(one.took_s, 3), "ok": one.ok}
            for one in delivery.attempts
        ],
    }


def _attempt(request: PushRequest, pushed: Pushed, timeout_s: float) -> Attempt:
    import httpx

    started = time.monotonic()
    headers = {"Content-Type": request.content_type} if request.content_type else {}
    content = request.body if request.method == "POST" else None
    try:
        # No proxy: the script under test is nearby, and a proxy would not find it.
        with (
            unlogged("httpx"),
            httpx.Client(verify=verified_tls(), timeout=timeout_s, trust_env=False, follow_redirects=False) as client,
            client.stream(request.method, request.url, content=content, headers=headers) as response,
        ):
            reply = b""
            for chunk in response.iter_bytes():
                reply += chunk
                if len(reply) > _MAX_REPLY_BYTES:
                    break
            status = response.status_code
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        what = distrusted(error, urlsplit(_without_user(request.url)).netloc) or str(error) or type(error).__name__
        return Attempt(None, f"no answer: {what[:_TOLD_CHARACTERS]}", time.monotonic() - started, False)
    text = reply.decode("utf-8", "replace").strip()
    ok = 200 <= status < 300 and pushed.is_taken(reply)
    return Attempt(status, text[:_TOLD_CHARACTERS], time.monotonic() - started, ok)


def _without_user(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
