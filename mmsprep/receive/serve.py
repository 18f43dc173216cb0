"""The receiver as a server of its own: socket, HTTP server, signals.

Comes in: an application and where to listen. Goes out: when the server was told to stop. Never: a request
line in a log (a secret may stand in it), or a connection kept open for somebody who says nothing.
"""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from mmsprep.errors import UsageError
from mmsprep.receive.characters import storable

_MOST_CONNECTIONS = 200
_REQUEST_HEAD_TIMEOUT_S = 15.0
_STOP_S = 20


class _PromptProtocol(H11Protocol):
    """HTTP/1.1 that hangs up on whoever does not send a request's head in time; every connection has one request."""

    def connection_made(self, transport: object) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]
        self.loop.call_later(_REQUEST_HEAD_TIMEOUT_S, self._hang_up_on_silence)

    def _hang_up_on_silence(self) -> None:
        if self.scope is None:
            self.transport.close()


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


def make_server(app: ASGIApp, *, proxies: Sequence[str] = ()) -> uvicorn.Server:
    """The HTTP server for ``app``; ``proxies`` are addresses or networks whose X-Forwarded-For is believed."""
    config = uvicorn.Config(
        app,
        http=_PromptProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        # One request a connection: the time to send its head is then bounded for all of them.
        headers=[("Connection", "close")],
        proxy_headers=bool(proxies),
        forwarded_allow_ips=list(proxies),
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_graceful_shutdown=_STOP_S,
    )
    return uvicorn.Server(config)


def serve(app: ASGIApp, listener: socket.socket, *, proxies: Sequence[str], on_ready: Callable[[], None]) -> None:
    """Serve on ``listener`` until SIGINT or SIGTERM; requests that are under way are finished first."""
    server = make_server(app, proxies=proxies)
    # uvicorn ends on these by itself and then raises them anew; what was opened around it must still be closed.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    on_ready()
    with suppress(KeyboardInterrupt):
        server.run(sockets=[listener])
