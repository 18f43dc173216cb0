"""The one place that does HTTP: a request out, its answer back.

Comes in: a :class:`WireRequest`. Goes out: a :class:`WireResponse`, or the error that says whether anything of the
message can have arrived. Never: a second attempt after a byte of the body, a redirect followed, a proxy of the
environment's, an exception of httpcore's.

The line is drawn where the body begins to go out: what fails before it was certainly not sent, what fails after
it has an unknown outcome. A server that closes an idle connection looks exactly like one that went away with the
message, so a connection is used again only where a caller lends :class:`Connections`, at once, and while the server
has said nothing; one that breaks before the body is replaced, one that breaks after it is an unknown outcome.

One deadline stands round the whole exchange: looking up the name, connecting, TLS, the request, every header and
every byte of the reply, however slowly they come.
"""

from __future__ import annotations

import re
import socket
import ssl
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any, TypeVar
from urllib.parse import quote, unquote, urlsplit

import anyio
import anyio.to_thread
import httpcore

from mmsprep.errors import GatewayUnreachable, NotSent, SendError
from mmsprep.sender.answers import unknown
from mmsprep.sender.wire import WireRequest, WireResponse
from mmsprep.tools.tls import distrusted, verified_tls

T = TypeVar("T")
_MOST_REPLY_BYTES = 65_536
_MOST_IDLE_S = 2.0
"""Servers close what is idle for five seconds or more (Apache 5, nginx 75); one that closes sooner says so."""
_UNPROVEN_REST_S = 1.0
_MOST_UNPROVEN = 8
_KEEP_ALIVE_TIMEOUT = re.compile(r"\btimeout\s*=\s*\"?([0-9]{1,6})", re.IGNORECASE)


_Place = tuple[str, str]
"""Where a connection leads to: scheme, host and port, and the proxy on the way."""


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
        return len(self.reply) <= _MOST_REPLY_BYTES


class _Body:
    """A request's body: whoever takes the first piece of it is about to send it. A proxy's CONNECT has none."""

    def __init__(self, request: WireRequest, progress: Progress) -> None:
        self._pieces = request.pieces
        self._progress = progress

    def __iter__(self) -> Iterator[bytes]:
        self._progress.body_began = True
        return iter(self._pieces)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self:
            yield piece


class Connections:
    """Connections that stay open from one send to the next; for any number of threads, closed with the block.

    One goes out again only if its last answer was whole, the server did not announce its end, nothing has come since,
    and no more than two seconds have passed (or one less than the server's ``Keep-Alive: timeout``). A server may close
    without a word right after its answer, and a request that meets that has an unknown outcome. So until a server has
    said that it keeps connections, or has answered over one a second time, they rest for a second first; and
    where a used one broke under a message, none is used again.
    """

    def __init__(self) -> None:
        self._idle: list[_Connection] = []
        self._keeps: set[_Place] = set()
        self._breaks: set[_Place] = set()
        self._lock = threading.Lock()

    def __enter__(self) -> Connections:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def taken(self, request: WireRequest) -> _Connection | None:
        """The last one that was used, out of reach of others, where it can go out again."""
        place = _place(request)
        while True:
            with self._lock:
                rest_s = 0.0 if place in self._keeps else _UNPROVEN_REST_S
                found = next(
                    (one for one in reversed(self._idle) if one.place == place and one.rested_s >= rest_s), None
                )
                if found is None:
                    return None
                self._idle.remove(found)
            if found.is_fresh():
                return found
            found.close()
            if not found.is_over:
                with self._lock:
                    self._keeps.discard(place)

    def give_back(self, connection: _Connection) -> None:
        """Keep it for the next one, where its server lets that be; otherwise close it."""
        place = connection.place
        with self._lock:
            if connection.is_announced or connection.answered > 1:
                self._keeps.add(place)
            is_kept = connection.is_kept and place not in self._breaks
            is_kept = is_kept and (place in self._keeps or len(self._idle) < _MOST_UNPROVEN)
            if is_kept:
                self._idle.append(connection)
        if not is_kept:
            connection.close()

    def broke(self, connection: _Connection) -> None:
        """Under a message, after it had been used before."""
        with self._lock:
            self._breaks.add(connection.place)
            self._keeps.discard(connection.place)


class _Connection:
    """One connection to the place that a request goes to, opened by the first exchange."""

    def __init__(self, request: WireRequest) -> None:
        self.place = _place(request)
        self.answered = 0
        """How many whole answers came over it."""
        self.is_announced = False
        """Whether the server says that it keeps it."""
        self._backend = _Backend()
        self._answered_s = 0.0
        self._idle_s = 0.0
        self._http = _opened(request, self._backend)

    @property
    def rested_s(self) -> float:
        """Since its last answer."""
        return time.monotonic() - self._answered_s

    @property
    def is_kept(self) -> bool:
        """Whether the last exchange left it usable."""
        return self._idle_s > 0

    @property
    def is_over(self) -> bool:
        """Whether its time is over, whatever the server did."""
        return self.rested_s >= self._idle_s

    def is_fresh(self) -> bool:
        """Whether the next request may go over it: the server has closed nothing, and is not about to."""
        return not self.is_over and not _has_ended(self._http)

    def exchange(self, request: WireRequest, progress: Progress, *, keep: bool) -> WireResponse | SendError:
        """Send ``request`` over it."""
        self._backend.progress = progress
        self._idle_s = 0.0
        try:
            with self._http.stream(**_call(request, progress, keep)) as response:
                whole = all(progress.take(chunk) for chunk in response.iter_stream())
        except _FAILURES as error:
            return _error(request, progress, error)
        if not whole:
            return _too_long(request, progress)
        answer = _response(response, progress)
        if keep and not answer.before_body:
            self.answered += 1
            self._answered_s = time.monotonic()
            self._idle_s, self.is_announced = _kept_s(response)
        return answer

    def close(self) -> None:
        self._http.close()


def exchange(
    request: WireRequest, progress: Progress, connections: Connections | None = None
) -> WireResponse | SendError:
    """Send ``request`` once, over one of ``connections`` where that may be, otherwise over a connection of its own."""
    used = connections.taken(request) if connections is not None else None
    connection = used or _Connection(request)
    try:
        answer = connection.exchange(request, progress, keep=connections is not None)
        if used and isinstance(answer, GatewayUnreachable):
            # The server closed it in the meantime, and nothing of the message has gone out.
            connection.close()
            connection = _Connection(request)
            answer = connection.exchange(request, progress, keep=True)
        elif used and connections is not None and isinstance(answer, SendError):
            connections.broke(used)
    except BaseException:
        connection.close()
        raise
    if connections is None:
        connection.close()
    else:
        connections.give_back(connection)
    return answer


async def exchange_async(request: WireRequest, progress: Progress) -> WireResponse | SendError:
    """Send ``request`` once, without blocking the event loop."""

    try:
        async with (
            httpcore.AsyncConnectionPool(**_options(request), network_backend=_AsyncBackend(progress)) as pool,
            pool.stream(**_call(request, progress, keep=False)) as response,
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
    """Connections of which no step outlasts the deadline of the exchange that is under way, ``progress``."""

    def __init__(self) -> None:
        self.progress: Progress
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
        ends_at = time.monotonic() + self.progress.left_s(timeout)
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
                return _Stream(stream, self)
        raise problem


class _Stream(httpcore.NetworkStream):
    """A connection of which no read and no write outlasts the deadline.

    What can go out at once does in one call, and nobody is waited for where there is room: each call lets other threads
    run, and where many send at once, getting the turn back costs more than the call.
    """

    def __init__(self, inner: httpcore.NetworkStream, backend: _Backend, *, is_nested: bool = False) -> None:
        self._inner = inner
        self._backend = backend
        self._socket: socket.socket | None = None if is_nested else inner.get_extra_info("socket")
        """Where to write to; none for TLS in TLS, which httpcore alone can write."""

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        progress = self._backend.progress
        progress.await_reply()
        return self._inner.read(max_bytes, progress.left_s(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        left_s = self._backend.progress.left_s
        if self._socket is None:
            self._inner.write(buffer, left_s())
            return
        rest = memoryview(buffer)
        try:
            while rest:
                if self._socket.gettimeout() != 0:
                    self._socket.setblocking(False)
                try:
                    rest = rest[self._socket.send(rest) :]
                except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                    self._socket.settimeout(left_s(timeout))
                    rest = rest[self._socket.send(rest) :]
        except TimeoutError as error:
            raise httpcore.WriteTimeout(str(error)) from error
        except OSError as error:
            raise httpcore.WriteError(str(error)) from error

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        is_nested = self._inner.get_extra_info("ssl_object") is not None
        self._backend.progress.is_past_proxy = is_nested
        inner = self._inner.start_tls(ssl_context, server_hostname, self._backend.progress.left_s(timeout))
        return _Stream(inner, self._backend, is_nested=is_nested)

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
        self._progress.await_reply()
        return await self._inner.read(max_bytes, self._progress.left_s(timeout))

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        await self._inner.write(buffer, self._progress.left_s(timeout))

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        self._progress.is_past_proxy = self._inner.get_extra_info("ssl_object") is not None
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


def _opened(request: WireRequest, backend: _Backend) -> httpcore.HTTPConnection | httpcore.ConnectionPool:
    """One connection; behind a proxy httpcore's pool of one, which knows how to speak to it."""
    if request.proxy:
        options = _options(request) | {"max_keepalive_connections": 1, "keepalive_expiry": _MOST_IDLE_S}
        return httpcore.ConnectionPool(**options, network_backend=backend)
    return httpcore.HTTPConnection(_url(request.url)[0].origin, ssl_context=verified_tls(), network_backend=backend)


def _has_ended(http: httpcore.HTTPConnection | httpcore.ConnectionPool) -> bool:
    """Whether the server has closed it, or said anything unasked."""
    if isinstance(http, httpcore.ConnectionPool):
        return not http.connections or any(one.has_expired() or one.is_closed() for one in http.connections)
    return not http.is_idle() or http.has_expired()


def _kept_s(response: httpcore.Response) -> tuple[float, bool]:
    """For how long the connection may be used again (0: not at all), and whether the server says so."""
    headers = {name.lower(): value.decode("latin-1").lower() for name, value in response.headers}
    connection, keep_alive = headers.get(b"connection", ""), headers.get(b"keep-alive", "")
    if "close" in connection:
        return 0.0, False
    said = _KEEP_ALIVE_TIMEOUT.search(keep_alive)
    return min(_MOST_IDLE_S, float(said[1]) - 1.0) if said else _MOST_IDLE_S, bool(said) or "keep-alive" in connection


def _options(request: WireRequest) -> dict[str, Any]:
    proxy = None
    if request.proxy:
        parts = urlsplit(request.proxy)
        auth = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None
        tls = verified_tls() if parts.scheme == "https" else None
        proxy = httpcore.Proxy(httpcore.URL(**_address(request.proxy)), auth=auth, ssl_context=tls)
    return {"ssl_context": verified_tls(), "proxy": proxy, "max_connections": 1, "max_keepalive_connections": 0}


def _call(request: WireRequest, progress: Progress, keep: bool) -> dict[str, Any]:
    from mmsprep import __version__

    url, host = _url(request.url)
    headers = {
        "Host": host,
        **request.headers,
        "Content-Length": str(request.body_bytes),
        "User-Agent": f"mmsprep/{__version__}",
        "Accept": "*/*",
        "Accept-Encoding": "identity",
        "Connection": "keep-alive" if keep else "close",
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
        "url": url,
        "headers": headers,
        "content": _Body(request, progress),
        "extensions": {"timeout": limits},
    }


@lru_cache(maxsize=8)
def _url(url: str) -> tuple[httpcore.URL, bytes]:
    """Where a request goes to, and the host as its header names it."""
    return httpcore.URL(**_address(url)), urlsplit(url).netloc.rpartition("@")[2].encode("idna")


def _place(request: WireRequest) -> _Place:
    scheme, _, rest = request.url.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}", request.proxy


def _address(url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    return {
        "scheme": parts.scheme.encode("ascii"),
        "host": (parts.hostname or "").encode("idna"),
        "port": parts.port,
        "target": quote(parts.path or "/", safe="/%:@!$&'()*+,;=~").encode("ascii"),
    }


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
    proxy = urlsplit(request.proxy)
    proxys_name = proxy.netloc.rpartition("@")[2]
    whose = "proxy" if proxy.scheme == "https" and not progress.is_past_proxy else "gateway"
    if distrust := distrusted(error, f"the proxy {proxys_name}" if whose == "proxy" else gateway):
        problem, reason = f"not sent, {distrust}", f"the {whose}'s certificate cannot be trusted"
        return NotSent(request.blot(f"{request.recipient}: {problem}"), request.transaction_id, reason=reason)
    addresses = "addresses of both" if proxys_name else "gateway's address"
    way = f" through the proxy {proxys_name}" if proxys_name else ""
    problem = (
        f"{request.recipient}: not sent, no connection to {gateway}{way} ({_told(error)});"
        f" check the network and the {addresses}"
    )
    return GatewayUnreachable(request.blot(problem), request.transaction_id, reason="no connection to the gateway")


def _told(error: Exception) -> str:
    return str(error)[:200] or type(error).__name__
