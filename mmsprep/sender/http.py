"""The one place that does HTTP: a request out, its answer back.

Comes in: a :class:`WireRequest`. Goes out: a :class:`WireResponse`, or the error that says whether anything of the
message can have arrived. Never: a second attempt, a redirect followed, a connection used again, a proxy of
the environment's, an exception of httpcore's.

The line is drawn where the body begins to go out: what fails before it was certainly not sent, what fails after
it has an unknown outcome. A connection is not used again because a server that closes an idle one looks
exactly like a server that went away with the message.

One deadline stands round the whole exchange: looking up the name, connecting, TLS, the request, every header and
every byte of the reply, however slowly they come.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any, TypeVar
from urllib.parse import quote, unquote, urlsplit

import anyio
import anyio.to_thread
import certifi
import httpcore

from mmsprep.errors import GatewayUnreachable, NotSent, SendError
from mmsprep.sender.answers import unknown
from mmsprep.sender.wire import WireRequest, WireResponse

T = TypeVar("T")
_MOST_REPLY_BYTES = 65_536
_WRITE_BYTES = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long one request may take, in seconds.

    ``connect_s`` to connect, ``write_s`` to hand over each piece, ``reply_s`` from the end of the request to the end of
    the whole reply, ``total_s`` for all of it together.
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

    def note(self, event: str, info: dict[str, Any]) -> None:
        """Called by httpcore at every step of a request; a proxy's CONNECT is one without a message."""
        request = info.get("request")
        if request is None or request.method == b"CONNECT":
            return
        if event.endswith("send_request_body.started"):
            self.body_began = True
        elif event.endswith("receive_response_headers.started"):
            self.ends_at = min(self.ends_at, time.monotonic() + self.timeouts.reply_s)

    def take(self, chunk: bytes) -> bool:
        """Keep a piece of the reply; false: it is too long."""
        self.reply += chunk
        return len(self.reply) <= _MOST_REPLY_BYTES


def exchange(request: WireRequest, progress: Progress) -> WireResponse | SendError:
    """Send ``request`` once."""
    try:
        with (
            httpcore.ConnectionPool(**_options(request), network_backend=_Backend(progress)) as pool,
            pool.stream(**_call(request, progress, progress.note)) as response,
        ):
            whole = all(progress.take(chunk) for chunk in response.iter_stream())
        return _response(response, progress) if whole else _too_long(request, progress)
    except _FAILURES as error:
        return _error(request, progress, error)


async def exchange_async(request: WireRequest, progress: Progress) -> WireResponse | SendError:
    """Send ``request`` once, without blocking the event loop."""

    async def note(event: str, info: dict[str, Any]) -> None:
        progress.note(event, info)

    try:
        async with (
            httpcore.AsyncConnectionPool(**_options(request), network_backend=_AsyncBackend(progress)) as pool,
            pool.stream(**_call(request, progress, note)) as response,
        ):
            whole = True
            async for chunk in response.aiter_stream():
                whole = progress.take(chunk)
                if not whole:
                    break
        return _response(response, progress) if whole else _too_long(request, progress)
    except _FAILURES as error:
        return _error(request, progress, error)


async def pause_async(wait_s: float) -> None:
    """Wait without blocking the event loop, whichever it is."""
    await anyio.sleep(wait_s)


async def in_thread(call: Callable[[], T]) -> T:
    """What ``call`` returns, without blocking the event loop; a cancellation waits until it has."""
    done: list[T] = []
    with anyio.CancelScope(shield=True):
        done.append(await anyio.to_thread.run_sync(call))
    return done[0]


def is_listening(url: str) -> bool:
    """Whether anything takes connections at the host and port of ``url``."""
    parts = urlsplit(url)
    try:
        with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=2):
            return True
    except OSError:
        return False


_FAILURES = (
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.ProxyError,
    httpcore.UnsupportedProtocol,
    OSError,
    ValueError,
)


class _Backend(httpcore.NetworkBackend):
    """Connections of which no step outlasts the deadline."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._inner = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Each address of ``host`` in turn, together not longer than ``timeout``."""
        ends_at = time.monotonic() + self._progress.left_s(timeout)
        try:
            found = [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error
        problem: Exception = httpcore.ConnectError(f"{host} has no address")
        for address in dict.fromkeys(found):
            left_s = ends_at - time.monotonic()
            if left_s <= 0:
                break
            try:
                stream = self._inner.connect_tcp(address, port, left_s, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                problem = error
            else:
                return _Stream(stream, self._progress)
        raise problem


class _Stream(httpcore.NetworkStream):
    """A connection of which no read and no write outlasts the deadline."""

    def __init__(self, inner: httpcore.NetworkStream, progress: Progress) -> None:
        self._inner = inner
        self._progress = progress

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, self._progress.left_s(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for start in range(0, len(buffer), _WRITE_BYTES):
            self._inner.write(buffer[start : start + _WRITE_BYTES], self._progress.left_s(timeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        inner = self._inner.start_tls(ssl_context, server_hostname, self._progress.left_s(timeout))
        return _Stream(inner, self._progress)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class _AsyncBackend(httpcore.AsyncNetworkBackend):
    """:class:`_Backend` without blocking."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        left_s = self._progress.left_s(timeout)
        stream = await self._inner.connect_tcp(host, port, left_s, local_address, socket_options)
        return _AsyncStream(stream, self._progress)


class _AsyncStream(httpcore.AsyncNetworkStream):
    """:class:`_Stream` without blocking."""

    def __init__(self, inner: httpcore.AsyncNetworkStream, progress: Progress) -> None:
        self._inner = inner
        self._progress = progress

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return await self._inner.read(max_bytes, self._progress.left_s(timeout))

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        await self._inner.write(buffer, self._progress.left_s(timeout))

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        try:
            inner = await self._inner.start_tls(ssl_context, server_hostname, self._progress.left_s(timeout))
        except BaseException:
            # Cancelled in the middle of it, httpcore leaves the connection open.
            with anyio.CancelScope(shield=True):
                await self._inner.aclose()
            raise
        return _AsyncStream(inner, self._progress)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


def _options(request: WireRequest) -> dict[str, Any]:
    proxy = None
    if request.proxy:
        parts = urlsplit(request.proxy)
        auth = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None
        tls = _tls() if parts.scheme == "https" else None
        proxy = httpcore.Proxy(httpcore.URL(**_address(request.proxy)), auth=auth, ssl_context=tls)
    return {"ssl_context": _tls(), "proxy": proxy, "max_connections": 1, "max_keepalive_connections": 0}


def _call(request: WireRequest, progress: Progress, note: Callable[..., Any]) -> dict[str, Any]:
    from mmsprep import __version__

    address = _address(request.url)
    headers = {
        "Host": urlsplit(request.url).netloc.rpartition("@")[2].encode("idna"),
        **request.headers,
        "User-Agent": f"mmsprep/{__version__}",
        "Accept": "*/*",
        "Accept-Encoding": "identity",
        "Connection": "close",
    }
    timeouts = progress.timeouts
    limits = {
        "connect": timeouts.connect_s,
        "write": timeouts.write_s,
        "read": timeouts.reply_s,
        "pool": timeouts.connect_s,
    }
    return {
        "method": "POST",
        "url": httpcore.URL(**address),
        "headers": headers,
        "content": request.body,
        "extensions": {"trace": note, "timeout": limits},
    }


def _address(url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    return {
        "scheme": parts.scheme.encode("ascii"),
        "host": (parts.hostname or "").encode("idna"),
        "port": parts.port,
        "target": quote(parts.path or "/", safe="/%:@!$&'()*+,;=~").encode("ascii"),
    }


@cache
def _tls() -> ssl.SSLContext:
    """Verified against certifi's authorities and the system's own, where a company may have added its."""
    context = ssl.create_default_context(cafile=certifi.where())
    context.load_default_certs()
    return context


def _too_long(request: WireRequest, progress: Progress) -> SendError:
    why = f"the gateway's reply is longer than {_MOST_REPLY_BYTES:,} bytes"
    return unknown(request, why, request.raw(progress.reply))


def _response(response: httpcore.Response, progress: Progress) -> WireResponse:
    headers = {name.lower(): value.decode("latin-1") for name, value in reversed(response.headers)}
    return WireResponse(
        status=response.status,
        body=progress.reply,
        content_type=headers.get(b"content-type", ""),
        retry_after_s=retry_after_s(headers.get(b"retry-after", ""), time.time()),
        before_body=not progress.body_began,
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


def _error(request: WireRequest, progress: Progress, error: Exception) -> SendError:
    gateway = request.url.partition("//")[2].partition("/")[0]
    timeouts = progress.timeouts
    if progress.body_began:
        what = "the connection broke before a whole reply came"
        if isinstance(error, httpcore.TimeoutException):
            what = f"no whole reply came within {timeouts.reply_s:g} s, or {timeouts.total_s:g} s for everything"
        return unknown(request, what, request.raw(progress.reply), said=_told(error))
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        problem = f"{request.recipient}: not sent, the certificate of {gateway} cannot be trusted ({_told(error)})"
        reason = "the gateway's certificate cannot be trusted"
        return NotSent(request.blot(problem), request.transaction_id, reason=reason)
    problem = (
        f"{request.recipient}: not sent, no connection to {gateway} ({_told(error)});"
        " check the network and the gateway's address"
    )
    return GatewayUnreachable(request.blot(problem), request.transaction_id, reason="no connection to the gateway")


def _told(error: Exception) -> str:
    return str(error)[:200] or type(error).__name__
