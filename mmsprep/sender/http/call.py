"""A request in httpcore's words: where it goes to, over which proxy, with which headers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from functools import lru_cache
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import httpcore

from mmsprep.sender.http.deadline import Progress
from mmsprep.sender.wire import WireRequest
from mmsprep.tools.tls import verified_tls

Place = tuple[str, str]
"""Where a connection leads to: scheme, host and port, and the proxy on the way."""


def call_of(request: WireRequest, progress: Progress, keep: bool) -> dict[str, Any]:
    """The arguments of httpcore's ``stream``; ``keep`` asks the server to leave the connection open."""
    from mmsprep import __version__

    url, host = url_of(request.url)
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


def options_for(request: WireRequest) -> dict[str, Any]:
    """The arguments of an httpcore pool that holds one connection, through the request's proxy where it has one."""
    proxy = None
    if request.proxy:
        parts = urlsplit(request.proxy)
        auth = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None
        tls = verified_tls() if parts.scheme == "https" else None
        proxy = httpcore.Proxy(httpcore.URL(**_address(request.proxy)), auth=auth, ssl_context=tls)
    return {"ssl_context": verified_tls(), "proxy": proxy, "max_connections": 1, "max_keepalive_connections": 0}


@lru_cache(maxsize=8)
def url_of(url: str) -> tuple[httpcore.URL, bytes]:
    """Where a request goes to, and the host as its header names it."""
    return httpcore.URL(**_address(url)), urlsplit(url).netloc.rpartition("@")[2].encode("idna")


def place_of(request: WireRequest) -> Place:
    """What must be the same for two requests to go over one connection."""
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
