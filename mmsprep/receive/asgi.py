"""The receiver as an ASGI application: the gateway's form, MM7, a health check and counters.

Comes in: HTTP. Goes out: ``OK`` (or the matching Rsp) when a message is on disk, never before; otherwise a
status that makes the other side push again. Never: a message shown or listed over this door, message content
in a log, or the letters "ok" in an answer that is no success.

The order of a push: admitted, bounded, read, stored or set aside, answered.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from functools import partial
from typing import NamedTuple, TypeVar

from anyio import CapacityLimiter, to_thread
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from mmsprep import mm7
from mmsprep.errors import PushTooLarge, StoreError, ToolError
from mmsprep.receive.counters import CONTENT_TYPE, Counters
from mmsprep.receive.guard import Guard, Place, Refusal, open_guard
from mmsprep.receive.incoming import ForwardState, PushDoor, RawPush
from mmsprep.receive.intake import Intake
from mmsprep.receive.limits import Limits
from mmsprep.receive.read import CarefulReader, Reader
from mmsprep.receive.store import Store

_WORKERS = 16
"""Pushes that are stored side by side; they mostly wait for the disk."""
_MOST_BYTES_IN_FLIGHT = 300_000_000
"""Bodies in memory at the same time."""
_DRAINED_BODIES = 10
_DRAIN_TIMEOUT_S = 10.0
_MOST_DRAINS = 50
"""How much is listened to that is refused: who hangs up in the middle of a body is not heard by the other side."""
_SOAP_TYPES = ("multipart/related", "text/xml", "application/soap+xml")
_HEALTH_TIMEOUT_S = 4.0
_HEALTH_LASTS_S = 1.0
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
TESTED = Answer(200, "tested", "OK", 1000, "Success")
MALFORMED = Answer(400, "malformed", "cannot be read", 4004, "Validation error")
NOT_BY_GET = Answer(405, "not_by_get", "push messages with POST", 4004, "Validation error")
TOO_SLOW = Answer(408, "too_slow", "too slow", 4006, "Service unavailable")
TOO_LARGE = Answer(413, "too_large", "too large", 2004, "Multimedia content refused")
ENCODED = Answer(415, "encoded", "send it without Content-Encoding", 2000, "Client error")
FAILED = Answer(503, "failed", "not stored, push it again later", 4006, "Service unavailable")

Lifespan = Callable[[Starlette], AbstractAsyncContextManager[None]]


def create_app(
    store: Store,
    *,
    secret: str = "",
    networks: Iterable[str] = (),
    limits: Limits | None = None,
    allow_get: bool = False,
    on_stored: Callable[[], None] | None = None,
    lifespan: Lifespan | None = None,
) -> Starlette:
    """The receiver, to serve by itself or to mount in another ASGI program.

    Args:
        store: where messages go; it stays the caller's to close.
        secret: ``/a/secret/path`` that pushes come to, or a token that they carry (query ``token``, or
            Authorization Bearer or Basic); empty: programs on this machine may push, and nobody else.
        networks: networks that pushes may come from; empty: any with a secret, this machine without.
        limits: what one push may hold.
        allow_get: take messages in that come by GET, all in the query; delivery notices may always.
        on_stored: called after each new message, in a worker thread; it must not fail or wait.
        lifespan: what is opened before the first request and closed after the last, as Starlette's.

    Raises:
        UsageError: a network that is none, or a secret that is short enough to be guessed.
    """
    chosen = limits or Limits()
    reader = CarefulReader(chosen)
    receiver = _Receiver(store, open_guard(secret, networks), chosen, reader, allow_get, on_stored)
    return Starlette(
        routes=[
            Route("/health", receiver.health, methods=["GET"]),
            Route("/{path:path}", receiver.receive, methods=["GET", "POST"]),
        ],
        lifespan=_closing(reader, lifespan),
    )


def _closing(reader: CarefulReader, inner: Lifespan | None) -> Lifespan:
    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        if inner is None:
            yield
        else:
            async with inner(app):
                yield
        reader.close()

    return lifespan


class _Receiver:
    def __init__(
        self,
        store: Store,
        guard: Guard,
        limits: Limits,
        read: Reader,
        allow_get: bool,
        on_stored: Callable[[], None] | None,
    ) -> None:
        self._store = store
        self._guard = guard
        self._limits = limits
        self._intake = Intake(store, read, limits, takes_get=allow_get, on_stored=on_stored)
        self._counters = Counters()
        self._limiters: dict[str, CapacityLimiter] = {}
        self._in_flight_bytes = 0
        self._drains = 0
        self._checking: asyncio.Task[str] | None = None
        self._healthy_until_s = 0.0

    async def health(self, _request: Request) -> Response:
        """Whether a message could be stored now, and nothing else; it waits for nobody's push."""
        if time.monotonic() < self._healthy_until_s:
            return PlainTextResponse("healthy")
        if self._checking is None or self._checking.done():
            self._checking = asyncio.create_task(self._check())
        # Shielded: who asks and leaves must not end what others wait for.
        with suppress(TimeoutError):
            problem = await asyncio.wait_for(asyncio.shield(self._checking), _HEALTH_TIMEOUT_S)
            if not problem:
                return PlainTextResponse("healthy")
        return PlainTextResponse("unhealthy", 503)

    async def _check(self) -> str:
        """Why nothing can be stored; empty where it can."""
        try:
            await self._in_thread("health", 1, self._store.check)
        except StoreError as error:
            _log.error("unhealthy", extra={"reason": str(error)})
            return str(error)
        self._healthy_until_s = time.monotonic() + _HEALTH_LASTS_S
        return ""

    async def receive(self, request: Request) -> Response:
        """Everything but health: the doors, and the counters, behind the guard."""
        address = request.client.host if request.client else ""
        admitted = self._guard.admit(
            request.path_params["path"], address, request.query_params.get("token", ""), request.headers
        )
        if isinstance(admitted, Refusal):
            self._counters.pushes.labels("any", "refused").inc()
            _log.warning("refused", extra={"reason": admitted.value, "client": address} | self._hint(admitted))
            await self._drain(request)
            return _refusal(admitted, "" if self._guard.base_path else f"{request.scope.get('root_path', '')}/")
        if admitted is Place.METRICS:
            return await self._metrics()
        door = PushDoor.MM7 if admitted is Place.MM7 or _is_soap(request) else PushDoor.FORM
        if request.method not in ("POST", "GET") or (request.method == "GET" and door is PushDoor.MM7):
            return PlainTextResponse("push with POST", 405, {"Allow": "POST"})
        started_s = time.perf_counter()
        response, answer = await self._push(request, door)
        self._counters.pushes.labels(door, answer.outcome).inc()
        self._counters.seconds.observe(time.perf_counter() - started_s)
        return response

    def _hint(self, refusal: Refusal) -> dict[str, str]:
        """Where pushes may come to, for whoever reads the log after one went elsewhere."""
        if refusal is not Refusal.PATH:
            return {}
        return {"taken_at": "the secret path" if self._guard.base_path else "/ and /mm7"}

    async def _push(self, request: Request, door: PushDoor) -> tuple[Response, Answer]:
        query = self._query(request)
        if request.method == "GET" and not query:
            # The gateway tries whether the address is there.
            return _answered(door, TESTED), TESTED
        if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
            await self._drain(request)
            return _answered(door, ENCODED), ENCODED
        body = bytearray()
        try:
            problem = await self._fill(body, request)
            if problem:
                _log.warning(problem.outcome, extra={"door": door.value})
                return _answered(door, problem), problem
            raw = RawPush(
                door=door,
                method=request.method,
                content_type=request.headers.get("content-type", ""),
                query=query,
                body=bytes(body),
            )
            return await self._in_thread("store", _WORKERS, partial(self._take, raw))
        finally:
            self._in_flight_bytes -= len(body)

    def _query(self, request: Request) -> str:
        """The query without our token, in printable ASCII."""
        raw: bytes = request.scope.get("query_string", b"")
        pairs = [pair for pair in raw.split(b"&") if pair]
        if self._guard.secret and not self._guard.base_path:
            pairs = [pair for pair in pairs if pair.partition(b"=")[0] != b"token"]
        return "".join(chr(byte) if 0x20 < byte < 0x7F else f"%{byte:02X}" for byte in b"&".join(pairs))

    async def _fill(self, body: bytearray, request: Request) -> Answer | None:
        """Read the request's body into ``body``; why it is not taken in."""
        try:
            async with asyncio.timeout(self._limits.body_timeout_s):
                await self._read_body(body, request)
        except TimeoutError:
            return TOO_SLOW
        except PushTooLarge:
            return TOO_LARGE
        except ClientDisconnect:
            return MALFORMED._replace(outcome="cut_off")
        except MemoryError:
            return FAILED._replace(outcome="busy")
        return None

    async def _read_body(self, body: bytearray, request: Request) -> None:
        most = self._limits.max_body_bytes
        told = request.headers.get("content-length", "")
        told_bytes = int(told) if told.isdecimal() and len(told) < 16 else 0
        waits = "100-continue" in request.headers.get("expect", "").lower()
        too_large = PushTooLarge(f"a body of more than {most:,} bytes")
        if told_bytes > most and (waits or told_bytes > most * _DRAINED_BODIES):
            raise too_large
        heard_bytes = 0
        async for chunk in request.stream():
            heard_bytes += len(chunk)
            if heard_bytes > most * _DRAINED_BODIES:
                raise too_large
            if max(heard_bytes, told_bytes) > most:
                # It is listened to and thrown away: whoever is hung up on while talking never hears the answer.
                self._in_flight_bytes -= len(body)
                body.clear()
                continue
            if self._in_flight_bytes + len(chunk) > _MOST_BYTES_IN_FLIGHT:
                raise MemoryError
            body += chunk
            self._in_flight_bytes += len(chunk)
        if heard_bytes > most:
            raise too_large

    async def _drain(self, request: Request) -> None:
        """Hear somebody out who is refused, for a while."""
        if self._drains >= _MOST_DRAINS:
            return
        heard_bytes = 0
        self._drains += 1
        try:
            async with asyncio.timeout(_DRAIN_TIMEOUT_S):
                async for chunk in request.stream():
                    heard_bytes += len(chunk)
                    if heard_bytes > self._limits.max_body_bytes:
                        return
        except (TimeoutError, ClientDisconnect):
            return
        finally:
            self._drains -= 1

    def _take(self, raw: RawPush) -> tuple[Response, Answer]:
        """Read, store, answer: a worker thread's part of a push."""
        facts = {"door": raw.door.value, "size_bytes": len(raw.body)}
        push: mm7.Push | None = None
        try:
            taken = self._intake.take(raw)
            push = taken.read.push
            if taken.added:
                answer = STORED if taken.added.is_new else AGAIN
                self._counters.bytes.inc(sum(part.size_bytes for part in taken.read.parts) * taken.added.is_new)
            elif taken.is_misplaced:
                answer = NOT_BY_GET
                _log.warning("not_by_get", extra=facts)
            else:
                answer = TOO_LARGE if taken.read.is_too_large else MALFORMED
                _log.warning(answer.outcome, extra=facts | {"reason": taken.read.problem})
        except (StoreError, ToolError) as error:
            answer = FAILED
            _log.error("not_stored", extra=facts | {"reason": str(error)})
        except Exception:
            # Whatever happened, the other side must learn that the message is not here.
            answer = FAILED
            _log.exception("bug", extra=facts)
        return _answered(raw.door, answer, push, raw.body), answer

    async def _metrics(self) -> Response:
        try:
            for gauge, state in (
                (self._counters.waiting, ForwardState.PENDING),
                (self._counters.dead, ForwardState.DEAD),
            ):
                gauge.set(await self._in_thread("metrics", 1, partial(self._store.count, state)))
            self._counters.set_size(await self._in_thread("metrics", 1, self._store.size))
        except StoreError as error:
            _log.error("not_counted", extra={"reason": str(error)})
            return PlainTextResponse("the store cannot be read", 503)
        return Response(self._counters.text(), media_type=CONTENT_TYPE)

    async def _in_thread(self, purpose: str, most: int, work: Callable[[], _Result]) -> _Result:
        """Each purpose has threads of its own: none waits for another's."""
        if purpose not in self._limiters:
            self._limiters[purpose] = CapacityLimiter(most)
        return await to_thread.run_sync(work, limiter=self._limiters[purpose])


def _is_soap(request: Request) -> bool:
    """Whether it is MM7 by its type, which whoever set up the relay may have pointed at the form's address."""
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return request.method == "POST" and content_type in _SOAP_TYPES


def _refusal(reason: Refusal, taken_at: str) -> Response:
    """``taken_at`` is the path that pushes may come to, where it is no secret."""
    if reason is Refusal.TOKEN:
        return PlainTextResponse("who are you?", 401, {"WWW-Authenticate": 'Basic realm="mms"'})
    if reason is Refusal.HOST:
        return PlainTextResponse("nothing here under this name", 421)
    if reason is Refusal.PATH:
        where = f"; pushes are taken at {taken_at} and {taken_at}mm7" if taken_at else ""
        return PlainTextResponse(f"nothing here{where}", 404)
    return PlainTextResponse("nothing here", 403)


def _answered(door: PushDoor, answer: Answer, push: mm7.Push | None = None, body: bytes = b"") -> Response:
    if door is PushDoor.FORM:
        return PlainTextResponse(answer.text, answer.status)
    asked = mm7.asked_in(body) if push is None else mm7.Asked(push.transaction_id, push.namespace, push.version)
    reply = mm7.Reply(
        kind=mm7.PUSH_REPLIES[push.kind] if push and answer.status == 200 else "VASPErrorRsp",
        transaction_id=mm7.holdable(asked.transaction_id),
        status_code=answer.mm7_status,
        status_text=answer.mm7_text,
        fault_code="Server" if answer.status >= 500 else "Client",
    )
    data = mm7.build_reply(reply, asked.namespace, asked.version)
    return Response(data, answer.status, media_type="text/xml; charset=utf-8")
