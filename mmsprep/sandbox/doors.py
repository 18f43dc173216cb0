"""The two doors: a request is judged, meets a fault if one was asked for, is answered and kept.

Comes in: a request of a client under test. Goes out: the gateway's answer, or a connection that breaks. Never: a
judgement (``form.py`` and ``soap.py`` judge).
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from random import SystemRandom
from types import ModuleType

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from mmsprep.sandbox import form, soap
from mmsprep.sandbox.exchange import ArrivedRequest, Door, Exchange, Judgement, Login, WireAnswer
from mmsprep.sandbox.faults import Fault, FaultQueue, Trouble
from mmsprep.sandbox.notices import Notifier
from mmsprep.sandbox.traffic import Traffic
from mmsprep.sandbox.wire import HalfResponse, NoResponse, drop

MAX_BODY_BYTES = 32_000_000
"""What is read of a request; a message over the limit is told so by its door, this is beyond all reason."""

_DOORS: dict[Door, ModuleType] = {Door.FORM: form, Door.MM7: soap}
_HTML_ERROR = b"<!DOCTYPE html><html><head><title>Error</title></head><body><h1>Something went wrong</h1></body></html>"
_GARBAGE = b"\x00\xff\xfe%%<<not an answer>>\r\n\x80\x81"


class Doors:
    """Both doors, and what they share."""

    def __init__(self, traffic: Traffic, faults: FaultQueue, account: Login, notifier: Notifier) -> None:
        self._notifier = notifier
        self._traffic = traffic
        self._faults = faults
        self._account = account
        self._last_id = SystemRandom().randrange(10**15, 9 * 10**15)

    async def form(self, request: Request) -> Response:
        """``POST /mms/sendmms.php``."""
        return await self._door(request, Door.FORM)

    async def mm7(self, request: Request) -> Response:
        """``POST /mms/mm7.php``."""
        return await self._door(request, Door.MM7)

    async def _door(self, request: Request, door: Door) -> Response:
        fault = self._faults.take(door)
        number = self._traffic.next_number()
        body = b""
        if fault and fault.what == Trouble.DROP_BEFORE_BODY:
            judgement = Judgement(status_code=0, reason="the connection was dropped before the body was read")
        else:
            try:
                body = await read_body(request)
            except ClientDisconnect:
                judgement = Judgement(status_code=0, reason="the client went away before the whole request had come")
                self._keep(number, door, request, body, judgement, None, "")
                return NoResponse()
            except HTTPException as error:
                judgement = Judgement(status_code=0, reason=error.detail, http_status=error.status_code)
                told = WireAnswer(http_status=error.status_code, content_type="text/plain", body=error.detail.encode())
                self._keep(number, door, request, body, judgement, told, "")
                return _respond(request, told, None)
            judgement = await self._judge(request, door, body, fault)
        if fault and fault.delay_s:
            await asyncio.sleep(fault.delay_s)
        answer = _answer(door, judgement, fault)
        self._keep(number, door, request, body, judgement, answer, str(fault or ""))
        return _respond(request, answer, fault)

    async def _judge(self, request: Request, door: Door, body: bytes, fault: Fault | None) -> Judgement:
        wire = ArrivedRequest(headers=_headers(request), body=body, query=request.url.query)
        judgement: Judgement = await run_in_threadpool(_DOORS[door].judge, wire, self._account)
        if fault and not fault.takes_in:
            return replace(
                judgement,
                submission=None,
                status_code=fault.status_code or 0,
                http_status=fault.http_status or 200,
                reason="asked for as a fault",
            )
        if judgement.accepted:
            self._last_id += 1
            code = 1100 if fault and fault.status_code == 1100 else judgement.status_code
            judgement = replace(judgement, message_id=str(self._last_id), status_code=code)
        return judgement

    def _keep(
        self,
        number: int,
        door: Door,
        request: Request,
        body: bytes,
        judgement: Judgement,
        answer: WireAnswer | None,
        fault: str,
    ) -> None:
        exchange = Exchange(
            number=number,
            at=datetime.now(UTC).astimezone(),
            door=door,
            judgement=judgement,
            headers=_headers(request),
            request_bytes=len(body),
            answer=answer,
            fault=fault,
        )
        self._traffic.add(exchange, body)
        if judgement.accepted:
            self._notifier.accepted(exchange)


async def read_body(request: Request) -> bytes:
    """The whole body.

    Raises:
        HTTPException: 413, it is over :data:`MAX_BODY_BYTES`.
        ClientDisconnect: it broke off.
    """
    chunks, size_bytes = [], 0
    async for chunk in request.stream():
        size_bytes += len(chunk)
        if size_bytes > MAX_BODY_BYTES:
            raise HTTPException(413, f"more than {MAX_BODY_BYTES:,} bytes")
        chunks.append(chunk)
    return b"".join(chunks)


def _headers(request: Request) -> tuple[tuple[str, str], ...]:
    return tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw)


def _answer(door: Door, judgement: Judgement, fault: Fault | None) -> WireAnswer | None:
    if fault is None or fault.status_code is not None or fault.what in (Trouble.DELAY, Trouble.DROP_MID_REPLY):
        answer: WireAnswer = _DOORS[door].answer(judgement)
        return answer
    if fault.http_status is not None:
        headers = {"Retry-After": str(fault.retry_after_s)} if fault.retry_after_s is not None else {}
        if fault.http_status == 401:
            headers["WWW-Authenticate"] = 'Basic realm="mmsprep sandbox"'
        body = b"" if fault.http_status in (204, 304, 401) else f"HTTP {fault.http_status}\n".encode("ascii")
        return WireAnswer(http_status=fault.http_status, content_type="text/plain", body=body, headers=headers)
    match fault.what:
        case Trouble.HTML:
            return WireAnswer(http_status=200, content_type="text/html", body=_HTML_ERROR)
        case Trouble.GARBAGE:
            return WireAnswer(http_status=200, content_type="application/octet-stream", body=_GARBAGE)
    return None


def _respond(request: Request, answer: WireAnswer | None, fault: Fault | None) -> Response:
    if answer is None:
        drop(request)
        return NoResponse()
    kind = HalfResponse if fault and fault.what == Trouble.DROP_MID_REPLY else Response
    return kind(answer.body, answer.http_status, {**answer.headers, "Content-Type": answer.content_type})
