"""The one place that does HTTP: a request out, its answer back.

Comes in: a :class:`WireRequest`. Goes out: a :class:`WireResponse`, or the error that says whether anything of the
message can have arrived. Never: a second attempt, a redirect followed, a connection used again, a proxy of
the environment's, an exception of httpx's.

The line is drawn where the body begins to go out: what fails before it was certainly not sent, what fails after
it has an unknown outcome. A connection is not used again because a server that closes an idle one looks
exactly like a server that went away with the message.
"""

from __future__ import annotations

import socket
import ssl
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import anyio
import certifi
import httpx

from mmsprep.errors import GatewayUnreachable, NotSent, SendError
from mmsprep.sender.answers import unknown
from mmsprep.sender.wire import WireRequest, WireResponse

_MOST_REPLY_BYTES = 65_536
_BODY_BEGINS = "send_request_body.started"


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long one request may take, in seconds: to connect, to hand over each piece, for the whole reply."""

    connect_s: float = 15.0
    write_s: float = 60.0
    reply_s: float = 120.0


def exchange(request: WireRequest, timeouts: Timeouts) -> WireResponse | SendError:
    """Send ``request`` once."""
    phase = _Phase()
    try:
        with httpx.Client(**_options(request, timeouts)) as client, client.stream(**_call(request, phase)) as response:
            ends_at = time.monotonic() + timeouts.reply_s
            body = b""
            for chunk in response.iter_raw():
                body += chunk
                phase.partial = body
                if problem := _endless(body, ends_at, timeouts):
                    return unknown(request, problem, request.raw(body))
            return _response(response, body)
    except _FAILURES as error:
        return _error(request, phase, error, timeouts)


async def exchange_async(request: WireRequest, timeouts: Timeouts) -> WireResponse | SendError:
    """Send ``request`` once, without blocking the event loop."""
    phase = _Phase()
    try:
        async with (
            httpx.AsyncClient(**_options(request, timeouts)) as client,
            client.stream(**_call(request, phase, phase.note_async)) as response,
        ):
            ends_at = time.monotonic() + timeouts.reply_s
            body = b""
            async for chunk in response.aiter_raw():
                body += chunk
                phase.partial = body
                if problem := _endless(body, ends_at, timeouts):
                    return unknown(request, problem, request.raw(body))
            return _response(response, body)
    except _FAILURES as error:
        return _error(request, phase, error, timeouts)


async def pause_async(wait_s: float) -> None:
    """Wait without blocking the event loop, whichever it is."""
    await anyio.sleep(wait_s)


def is_listening(url: str) -> bool:
    """Whether anything takes connections at the host and port of ``url``."""
    parts = urlsplit(url)
    try:
        with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=2):
            return True
    except OSError:
        return False


_FAILURES = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError, ValueError)


class _Phase:
    """Whether the body began to go out, and what came back before it broke off."""

    def __init__(self) -> None:
        self.body_began = False
        self.partial = b""

    def note(self, event: str, info: dict[str, Any]) -> None:
        """Called by httpcore at every step of a request; a proxy's CONNECT is one without a message."""
        sent = info.get("request")
        if event.endswith(_BODY_BEGINS) and getattr(sent, "method", b"") != b"CONNECT":
            self.body_began = True

    async def note_async(self, event: str, info: dict[str, Any]) -> None:
        self.note(event, info)


def _options(request: WireRequest, timeouts: Timeouts) -> dict[str, Any]:
    return {
        "verify": _tls(),
        "trust_env": False,
        "proxy": request.proxy or None,
        "follow_redirects": False,
        "http1": True,
        "http2": False,
        "limits": httpx.Limits(max_connections=1, max_keepalive_connections=0),
        "timeout": httpx.Timeout(
            connect=timeouts.connect_s, write=timeouts.write_s, read=timeouts.reply_s, pool=timeouts.connect_s
        ),
    }


def _call(request: WireRequest, phase: _Phase, note: Any = None) -> dict[str, Any]:
    from mmsprep import __version__

    headers = {
        **request.headers,
        "User-Agent": f"mmsprep/{__version__}",
        "Accept": "*/*",
        "Accept-Encoding": "identity",
        "Connection": "close",
    }
    return {
        "method": "POST",
        "url": request.url,
        "headers": headers,
        "content": request.body,
        "extensions": {"trace": note or phase.note},
    }


@cache
def _tls() -> ssl.SSLContext:
    """Verified against certifi's authorities and the system's own, where a company may have added its."""
    context = ssl.create_default_context(cafile=certifi.where())
    context.load_default_certs()
    return context


def _endless(body: bytes, ends_at: float, timeouts: Timeouts) -> str:
    """What is wrong with a reply that does not come to its end."""
    if len(body) > _MOST_REPLY_BYTES:
        return f"the gateway's reply is longer than {_MOST_REPLY_BYTES:,} bytes"
    if time.monotonic() > ends_at:
        return f"the gateway did not finish its reply within {timeouts.reply_s:g} s"
    return ""


def _response(response: httpx.Response, body: bytes) -> WireResponse:
    return WireResponse(
        status=response.status_code,
        body=body,
        content_type=response.headers.get("Content-Type", ""),
        retry_after_s=retry_after_s(response.headers.get("Retry-After", ""), time.time()),
    )


def retry_after_s(value: str, now_s: float) -> float | None:
    """Seconds of a ``Retry-After`` (RFC 9110, 10.2.3): a number of seconds or a date; ``None``: it is neither."""
    text = value.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now_s)
    except (ValueError, OverflowError, TypeError):
        return None


def _error(request: WireRequest, phase: _Phase, error: Exception, timeouts: Timeouts) -> SendError:
    gateway = request.url.partition("//")[2].partition("/")[0]
    if phase.body_began:
        if isinstance(error, httpx.TimeoutException):
            what = f"the gateway did not answer within {timeouts.reply_s:g} s"
        else:
            what = f"the connection broke before a whole reply came ({_told(error)})"
        return unknown(request, what, request.raw(phase.partial))
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        problem = f"{request.recipient}: not sent, the certificate of {gateway} cannot be trusted ({_told(error)})"
        return NotSent(request.blot(problem), request.transaction_id)
    problem = (
        f"{request.recipient}: not sent, no connection to {gateway} ({_told(error)});"
        " check the network and the gateway's address"
    )
    return GatewayUnreachable(request.blot(problem), request.transaction_id)


def _told(error: Exception) -> str:
    return str(error)[:200] or type(error).__name__
