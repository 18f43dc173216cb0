"""The sandbox's uvicorn: like any other, but an application can break its own connection.

Comes in: an ASGI application. Goes out: a server for it. Never: a word on standard output or error.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import uvicorn
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

_TRANSPORT = "mmsprep.transport"


class BreakableProtocol(H11Protocol):
    """HTTP/1.1 whose requests carry their connection, so that it can be dropped on purpose."""

    def connection_made(self, transport: Any) -> None:
        """Called by asyncio for every connection."""
        super().connection_made(transport)
        self.app_state = {**self.app_state, _TRANSPORT: transport}


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, ready: threading.Event, on_exit: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready
        self._on_exit = on_exit

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets=sockets)
        self._ready.set()

    async def shutdown(self, sockets: Any = None) -> None:
        # Pages that listen for news would hold the server open for ever.
        self._on_exit()
        await super().shutdown(sockets=sockets)


def new_server(app: ASGIApp, ready: threading.Event, on_exit: Callable[[], None]) -> uvicorn.Server:
    """A server for ``app``; ``ready`` is set when it listens, ``on_exit`` called when it begins to stop."""
    config = uvicorn.Config(
        app,
        http=BreakableProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="critical",
        access_log=False,
        server_header=False,
        date_header=True,
        proxy_headers=False,
        timeout_graceful_shutdown=2,
    )
    return _Server(config, ready, on_exit)


def drop(request: Request) -> None:
    """Break the connection now; the client sees a reset."""
    request.scope["state"][_TRANSPORT].abort()


class HalfResponse(Response):
    """A response that promises its whole length, sends half of its body and breaks off."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        half = bytes(self.body)[: max(1, len(self.body) // 2)]
        await send({"type": "http.response.body", "body": half, "more_body": True})
        scope["state"][_TRANSPORT].close()
        await gone(receive)


class NoResponse(Response):
    """Nothing at all, for a connection that was dropped."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await gone(receive)


async def gone(receive: Receive) -> None:
    """Wait until the connection is closed, so that the server does not answer in our place."""
    while (await receive())["type"] != "http.disconnect":
        await asyncio.sleep(0)
