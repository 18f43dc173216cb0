"""The receiver as an ASGI application: the gateway's form, MM7, a health check and counters.

Comes in: HTTP. Goes out: ``OK`` (or the matching Rsp) when a message is on disk, never before; otherwise a
status that makes the other side push again. Never: a message shown or listed over this door, message content
in a log, or the letters "ok" in an answer that is no success.

The order of a push: admitted, read, parsed, looked at, stored, answered.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import NamedTuple, TypeVar

from anyio import CapacityLimiter, to_thread
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from mmsprep import mm7
from mmsprep.errors import MalformedPush, PushTooLarge, StoreError
from mmsprep.receive.counters import CONTENT_TYPE, Counters
from mmsprep.receive.guard import Guard, Place, Refusal, open_guard
from mmsprep.receive.incoming import Door, ForwardState, Incoming
from mmsprep.receive.limits import Limits
from mmsprep.receive.look import look
from mmsprep.receive.parse_form import parse_form
from mmsprep.receive.parse_mm7 import parse_mm7
from mmsprep.receive.store import Store

_WORKERS = 16
"""Pushes that are parsed and stored side by side; they mostly wait for the disk."""
_Result = TypeVar("_Result")
_log = logging.getLogger("mmsprep.receive")


class Answer(NamedTuple):
    """How a push ends: HTTP status, the outcome that is counted, MM7's status."""

    status: int
    outcome: str
    text: str
    mm7_status: int
    mm7_text: str


STORED = Answer(200, "stored", "OK", 1000, "Success")
AGAIN = Answer(200, "duplicate", "OK", 1000, "Success")
MALFORMED = Answer(400, "malformed", "cannot be read", 4004, "Validation error")
TOO_SLOW = Answer(408, "too_slow", "too slow", 4006, "Service unavailable")
TOO_LARGE = Answer(413, "too_large", "too large", 2004, "Multimedia content refused")
ENCODED = Answer(415, "encoded", "send it without Content-Encoding", 2000, "Client error")
FAILED = Answer(503, "failed", "not stored, push it again later", 4006, "Service unavailable")


def create_app(
    store: Store,
    *,
    secret: str = "",
    networks: Iterable[str] = (),
    limits: Limits | None = None,
    on_stored: Callable[[], None] | None = None,
) -> Starlette:
    """The receiver, to serve by itself or to mount in another ASGI program.

    Args:
        store: where messages go; it stays the caller's to close.
        secret: ``/a/secret/path`` that pushes come to, or a token that they carry (query ``token``, or
            Authorization Bearer or Basic); empty: anyone who reaches the port may push.
        networks: networks that pushes may come from; empty: any.
        limits: what one push may hold.
        on_stored: called after each new message, in a worker thread; it must not fail or wait.

    Raises:
        UsageError: a network that is none, or a secret that is short enough to be guessed.
    """
    receiver = _Receiver(store, open_guard(secret, networks), limits or Limits(), on_stored)
    return Starlette(
        routes=[
            Route("/health", receiver.health, methods=["GET"]),
            Route("/{path:path}", receiver.receive, methods=["GET", "POST"]),
        ]
    )


class _Receiver:
    def __init__(self, store: Store, guard: Guard, limits: Limits, on_stored: Callable[[], None] | None) -> None:
        self._store = store
        self._guard = guard
        self._limits = limits
        self._on_stored = on_stored
        self._counters = Counters()
        self._limiter: CapacityLimiter | None = None

    async def health(self, _request: Request) -> Response:
        """Whether a message could be stored now, and nothing else."""
        try:
            await self._in_thread(self._store.check)
        except StoreError as error:
            _log.error("unhealthy", extra={"reason": str(error)})
            return PlainTextResponse("unhealthy", 503)
        return PlainTextResponse("healthy")

    async def receive(self, request: Request) -> Response:
        """Everything but health: the doors, and the counters, behind the guard."""
        address = request.client.host if request.client else ""
        admitted = self._guard.admit(
            request.path_params["path"], address, request.query_params.get("token", ""), request.headers
        )
        if isinstance(admitted, Refusal):
            self._counters.pushes.labels("any", "refused").inc()
            _log.warning("refused", extra={"reason": admitted.value, "client": address})
            return _refusal(admitted)
        if admitted is Place.METRICS:
            return await self._metrics()
        if request.method != "POST":
            return PlainTextResponse("push with POST", 405, {"Allow": "POST"})
        door = Door.MM7 if admitted is Place.MM7 else Door.FORM
        started_s = time.perf_counter()
        response, answer = await self._push(request, door)
        self._counters.pushes.labels(door, answer.outcome).inc()
        self._counters.seconds.observe(time.perf_counter() - started_s)
        return response

    async def _push(self, request: Request, door: Door) -> tuple[Response, Answer]:
        content_type = request.headers.get("content-type", "")
        if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
            return _answered(door, ENCODED), ENCODED
        try:
            async with asyncio.timeout(self._limits.body_timeout_s):
                body = await self._body(request)
        except TimeoutError:
            _log.warning("too_slow", extra={"door": door.value})
            return _answered(door, TOO_SLOW), TOO_SLOW
        except PushTooLarge as error:
            _log.warning("too_large", extra={"door": door.value, "reason": str(error)})
            return _answered(door, TOO_LARGE), TOO_LARGE
        except ClientDisconnect:
            _log.warning("cut_off", extra={"door": door.value})
            return _answered(door, MALFORMED), MALFORMED
        return await self._in_thread(partial(self._take, door, content_type, body))

    async def _body(self, request: Request) -> bytes:
        most = self._limits.max_body_bytes
        told = request.headers.get("content-length", "")
        if told.isdecimal() and int(told) > most:
            raise PushTooLarge(f"a body of {int(told):,} bytes, at most {most:,} are taken in")
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > most:
                raise PushTooLarge(f"a body of more than {most:,} bytes")
        return bytes(body)

    def _take(self, door: Door, content_type: str, body: bytes) -> tuple[Response, Answer]:
        """Parse, look, store, answer: a worker thread's part of a push."""
        push: mm7.Push | None = None
        try:
            if door is Door.MM7:
                push, incoming = parse_mm7(content_type, body, self._limits)
            else:
                incoming = parse_form(content_type, body, self._limits)
            answer = self._keep(incoming)
        except MalformedPush as error:
            answer = MALFORMED
            _log.warning("malformed", extra={"door": door.value, "size_bytes": len(body), "reason": str(error)})
        except PushTooLarge as error:
            answer = TOO_LARGE
            _log.warning("too_large", extra={"door": door.value, "size_bytes": len(body), "reason": str(error)})
        except StoreError as error:
            answer = FAILED
            _log.error("not_stored", extra={"door": door.value, "size_bytes": len(body), "reason": str(error)})
        except Exception:
            # Whatever happened, the other side must learn that the message is not here.
            answer = FAILED
            _log.exception("bug", extra={"door": door.value, "size_bytes": len(body)})
        return _answered(door, answer, push), answer

    def _keep(self, incoming: Incoming) -> Answer:
        parts = look(incoming)
        added = self._store.add(incoming, parts)
        size_bytes = sum(part.size_bytes for part in parts)
        facts = {
            "id": incoming.id,
            "key": added.key,
            "door": incoming.door.value,
            "what": incoming.what.value,
            "attachments": len(parts),
            "size_bytes": size_bytes,
        }
        if not added.is_new:
            _log.info("duplicate", extra=facts)
            return AGAIN
        _log.info("stored", extra=facts)
        if added.shares_id:
            _log.warning("same_id_other_content", extra=facts)
        self._counters.bytes.inc(size_bytes)
        if self._on_stored:
            self._on_stored()
        return STORED

    async def _metrics(self) -> Response:
        try:
            for gauge, state in (
                (self._counters.waiting, ForwardState.PENDING),
                (self._counters.dead, ForwardState.DEAD),
            ):
                gauge.set(await self._in_thread(partial(self._store.count, state)))
        except StoreError as error:
            _log.error("not_counted", extra={"reason": str(error)})
            return PlainTextResponse("the store cannot be read", 503)
        return Response(self._counters.text(), media_type=CONTENT_TYPE)

    async def _in_thread(self, work: Callable[[], _Result]) -> _Result:
        if self._limiter is None:
            self._limiter = CapacityLimiter(_WORKERS)
        return await to_thread.run_sync(work, limiter=self._limiter)


def _refusal(reason: Refusal) -> Response:
    if reason is Refusal.TOKEN:
        return PlainTextResponse("who are you?", 401, {"WWW-Authenticate": 'Basic realm="mms"'})
    return PlainTextResponse("nothing here", 403 if reason is Refusal.NETWORK else 404)


def _answered(door: Door, answer: Answer, push: mm7.Push | None = None) -> Response:
    if door is Door.FORM:
        return PlainTextResponse(answer.text, answer.status)
    succeeded = answer.status == 200
    reply = mm7.Reply(
        kind=mm7.PUSH_REPLIES[push.kind] if push and succeeded else "VASPErrorRsp",
        transaction_id=push.transaction_id if push else "",
        status_code=answer.mm7_status,
        status_text=answer.mm7_text,
        fault_code="Server" if answer.status >= 500 else "Client",
    )
    namespace = push.namespace if push and push.namespace in mm7.VERSIONS else mm7.REL_6
    return Response(mm7.build_reply(reply, namespace), answer.status, media_type="text/xml; charset=utf-8")
