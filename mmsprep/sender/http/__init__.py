"""The one place that does HTTP: a request out, its answer back.

Comes in: a :class:`WireRequest`. Goes out: a :class:`WireResponse`, or the error that says whether anything of the
message can have arrived. Never: a second attempt after a byte of the body, a redirect followed, a proxy of the
environment's, an exception of httpcore's.

The line is drawn where the body begins to go out: what fails before it was certainly not sent, what fails after
it has an unknown outcome (``outcome.py``). One deadline stands round the whole exchange: looking up the name,
connecting, TLS, the request, every header and every byte of the reply, however slowly they come (``deadline.py``,
``network.py``).
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TypeVar
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
import httpcore

from mmsprep.errors import GatewayUnreachable, SendError
from mmsprep.sender.http.call import call_of, options_for
from mmsprep.sender.http.connections import Connection, Connections
from mmsprep.sender.http.deadline import Progress, Timeouts
from mmsprep.sender.http.network import AsyncBackend
from mmsprep.sender.http.outcome import FAILURES, answer_of, failure, too_long
from mmsprep.sender.wire import WireRequest, WireResponse

__all__ = [
    "Connections",
    "Progress",
    "Timeouts",
    "exchange",
    "exchange_async",
    "in_thread",
    "is_listening",
    "pause_async",
]

T = TypeVar("T")


def exchange(
    request: WireRequest, progress: Progress, connections: Connections | None = None
) -> WireResponse | SendError:
    """Send ``request`` once, over one of ``connections`` where that may be, otherwise over a connection of its own."""
    used = connections.taken(request) if connections is not None else None
    connection = used or Connection(request)
    try:
        answer = connection.exchange(request, progress, keep=connections is not None)
        if used and isinstance(answer, GatewayUnreachable):
            # The server closed it in the meantime, and nothing of the message has gone out.
            connection.close()
            connection = Connection(request)
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
            httpcore.AsyncConnectionPool(**options_for(request), network_backend=AsyncBackend(progress)) as pool,
            pool.stream(**call_of(request, progress, keep=False)) as response,
        ):
            whole = True
            async for chunk in response.aiter_stream():
                whole = progress.take(chunk)
                if not whole:
                    break
        return answer_of(response, progress) if whole else too_long(request, progress)
    except FAILURES as error:
        return failure(request, progress, error)


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
