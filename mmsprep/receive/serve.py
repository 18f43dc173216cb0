"""The receiver as a server of its own: socket, HTTP server, signals.

Comes in: an application and where to listen. Goes out: when the server was told to stop. Never: a request
line in a log (a secret may stand in it), or a connection kept open for somebody who says nothing.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import FrameType
from typing import ClassVar

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from mmsprep.errors import UsageError
from mmsprep.receive.characters import storable

_MOST_SILENT = 100
"""Connections without a whole request's head; beyond it the oldest goes, so that they keep nobody out."""
_REQUEST_HEAD_TIMEOUT_S = 15.0
_STOP_S = 4
_FORCED_STOP_S = 8.0
_log = logging.getLogger("mmsprep.receive")


class _PromptProtocol(H11Protocol):
    """HTTP/1.1 that hangs up on whoever does not send a request's head in time; every connection has one request."""

    silent: ClassVar[dict[_PromptProtocol, None]]

    def connection_made(self, transport: object) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]
        if len(self.silent) >= _MOST_SILENT:
            oldest = next(iter(self.silent))
            del self.silent[oldest]
            oldest.transport.abort()
        self.silent[self] = None
        self.loop.call_later(_REQUEST_HEAD_TIMEOUT_S, self._hang_up_on_silence)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.scope is not None:
            self.silent.pop(self, None)

    def connection_lost(self, exc: Exception | None) -> None:
        self.silent.pop(self, None)
        super().connection_lost(exc)

    def _hang_up_on_silence(self) -> None:
        if self.scope is None:
            self.transport.close()


class _StubbornServer(uvicorn.Server):
    """Ends when it is told to, whatever still runs: what was answered is on disk, the rest is pushed again."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        watchdog = threading.Timer(_FORCED_STOP_S, self._end_now)
        watchdog.daemon = True
        watchdog.start()

    @staticmethod
    def _end_now() -> None:
        _log.error("ended_by_force")
        os._exit(128 + signal.SIGTERM)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes any that is free.

    Raises:
        UsageError: the address is taken, not this machine's or not allowed.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=512)
    except (OSError, OverflowError) as error:
        raise UsageError(f"cannot listen on {storable(host)} port {port} ({error})") from None


def make_server(app: ASGIApp, *, proxies: Sequence[str] = (), root_path: str = "") -> uvicorn.Server:
    """The HTTP server for ``app``.

    Args:
        app: the application.
        proxies: addresses or networks whose X-Forwarded-For is believed.
        root_path: what a proxy in front has taken off the path.
    """
    return _StubbornServer(_config(app, proxies, root_path))


def _config(app: ASGIApp, proxies: Sequence[str], root_path: str) -> uvicorn.Config:
    # A server's own, so that several in one process do not count each other's.
    protocol = type("_Protocol", (_PromptProtocol,), {"silent": {}})
    return uvicorn.Config(
        app,
        http=protocol,
        ws="none",
        lifespan="auto",
        log_config=None,
        access_log=False,
        server_header=False,
        # One request a connection: the time to send its head is then bounded for all of them.
        headers=[("Connection", "close")],
        proxy_headers=bool(proxies),
        forwarded_allow_ips=list(proxies),
        root_path=root_path,
        timeout_graceful_shutdown=_STOP_S,
    )


def serve(
    app: ASGIApp,
    listener: socket.socket,
    *,
    proxies: Sequence[str],
    root_path: str = "",
    on_ready: Callable[[], None],
) -> None:
    """Serve on ``listener`` until SIGINT or SIGTERM; requests that are under way have a few seconds to end.

    The process is gone within ten, whatever still runs.
    """
    server = make_server(app, proxies=proxies, root_path=root_path)
    # uvicorn ends on these by itself and then raises them anew; what was opened around it must still be closed.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    on_ready()
    with suppress(KeyboardInterrupt):
        server.run(sockets=[listener])
