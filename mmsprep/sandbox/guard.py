"""What stands before every route: whose requests are let in, and the strict headers of every answer.

Comes in: a request. Goes out: the same, or a refusal. Never: anything about its content.
"""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mmsprep.tools.origin import is_foreign_origin, is_own_name

FILE_POLICY = "default-src 'none'; sandbox; frame-ancestors 'none'"
"""For a stranger's file: nothing in it may run or load."""

_PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; connect-src 'self';"
    " frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_STRICT_HEADERS = (
    (b"content-security-policy", _PAGE_POLICY.encode("ascii")),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)


class Guard:
    """Strict headers on every answer; no answer under a strange host name, no order from a strange page.

    A page on the internet can let its name point to 127.0.0.1 and talk to us (DNS rebinding): only addresses,
    ``localhost`` and the name we listen on are let in. It can also post to us without reading the answer: what
    changes something here must come from our own page or from a program.
    """

    def __init__(self, app: ASGIApp, host: str) -> None:
        self.app = app
        self.host = host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not is_own_name(host, self.host):
            told = "this host name is not the sandbox's; use its address or localhost\n"
            await PlainTextResponse(told, 421)(scope, receive, send)
            return
        if scope["path"].startswith("/sandbox/") and is_foreign_origin(headers):
            await PlainTextResponse("not from another site\n", 403)(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                present = {name.lower() for name, _ in message["headers"]}
                for name, value in _STRICT_HEADERS:
                    if name not in present:
                        message["headers"].append((name, value))
            await send(message)

        await self.app(scope, receive, send_guarded)
