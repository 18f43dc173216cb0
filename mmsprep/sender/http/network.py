"""Connections to a host of which no step outlasts the deadline, blocking and not.

Comes in: the :class:`Progress` of an exchange, and httpcore's calls. Goes out: bytes. Never: anything known of HTTP.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterable
from typing import Any

import anyio
import httpcore

from mmsprep.sender.http.deadline import Progress


class Backend(httpcore.NetworkBackend):
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

    def __init__(self, inner: httpcore.NetworkStream, backend: Backend, *, is_nested: bool = False) -> None:
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


class AsyncBackend(httpcore.AsyncNetworkBackend):
    """:class:`Backend` without blocking."""

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
