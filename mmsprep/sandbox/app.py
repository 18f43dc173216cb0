"""The sandbox's routes: the doors, the page, the control API.

Comes in: HTTP. Goes out: HTTP. Never: HTML of its own (``page.py`` writes it) or an answer of the gateway
(``doors.py`` gives it).
"""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.convertors import Convertor, register_url_convertor
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import (
    FileResponse,
    HTMLResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from mmsprep.errors import MmsprepError, UsageError
from mmsprep.handset import POLICY as PHONE_POLICY
from mmsprep.handset import handset_names
from mmsprep.printable import json_text, printable
from mmsprep.sandbox import page, playback
from mmsprep.sandbox.doors import Doors, read_body
from mmsprep.sandbox.exchange import Exchange, Login, Refused, Submission
from mmsprep.sandbox.faults import Fault, FaultQueue, fault_of, parse_fault
from mmsprep.sandbox.guard import FILE_POLICY, Guard
from mmsprep.sandbox.notices import Notification, Notifier, notice_of, sent_in
from mmsprep.sandbox.notices import document as notice_document
from mmsprep.sandbox.push import HandsetMessage, Persistence, PushedFile, check_url, new_id, push
from mmsprep.sandbox.push import document as delivery_document
from mmsprep.sandbox.rules import check_number
from mmsprep.sandbox.saved import as_pdu
from mmsprep.sandbox.traffic import Traffic
from mmsprep.settings import Settings

_HEARTBEAT_S = 15.0
_MAX_PUSHED_BYTES = 10_000_000
_NUMBER = re.compile("[0-9]{1,9}", re.ASCII)


class _NumberInPath(Convertor[int]):
    """A number that is one: Starlette's own takes thousands of digits, which Python does not turn into a number."""

    regex = _NUMBER.pattern

    def convert(self, value: str) -> int:
        """The number."""
        return int(value)

    def to_string(self, value: int) -> str:
        """Its digits."""
        return str(value)


register_url_convertor("number", _NumberInPath())


class _Json(Response):
    """JSON that is exact to programs and harmless on the terminal of whoever asks by hand."""

    media_type = "application/json"

    def render(self, content: object) -> bytes:
        """The body."""
        return json_text(content).encode()


class Pages:
    """The page and the control API."""

    def __init__(
        self,
        traffic: Traffic,
        faults: FaultQueue,
        account: Login,
        settings: Settings,
        closing: threading.Event,
        notifier: Notifier,
    ) -> None:
        self.notifier = notifier
        self.traffic = traffic
        self.faults = faults
        self.account = account
        self.settings = settings
        self.closing = closing
        self._pushes: set[asyncio.Task[object]] = set()

    # The page

    async def home(self, request: Request) -> Response:
        exchanges = self.traffic.exchanges
        return self._page(request, exchanges[-1] if exchanges else None)

    async def message(self, request: Request) -> Response:
        return self._page(request, self._exchange(request))

    def _page(self, request: Request, selected: Exchange | None) -> Response:
        password = self.account.password if self.account == Login() else "..."
        surroundings = page.Surroundings(str(request.base_url).rstrip("/"), self.account.username, password)
        raw = self._raw(selected) if selected else b""
        traffic = self.traffic
        html = page.full_page(
            surroundings, traffic.exchanges, traffic.seen, selected, traffic.deliveries, self.faults.waiting, raw
        )
        return HTMLResponse(html)

    async def inbox(self, request: Request) -> Response:
        selected = request.query_params.get("selected", "")
        number = int(selected) if _NUMBER.fullmatch(selected) else None
        return HTMLResponse(page.inbox(self.traffic.exchanges, self.traffic.seen, number, self.faults.waiting))

    async def panel(self, request: Request) -> Response:
        exchange = self._exchange(request)
        return HTMLResponse(page.panel(exchange, self.traffic.deliveries, self._raw(exchange)))

    async def replies(self, request: Request) -> Response:
        return HTMLResponse(page.replies(self._exchange(request), self.traffic.deliveries))

    async def notices_of(self, request: Request) -> Response:
        return HTMLResponse(page.notices(self._exchange(request), self.traffic.deliveries))

    async def events(self, request: Request) -> Response:
        async def stream() -> AsyncIterator[str]:
            yield "retry: 1000\n\n"
            async for event in self.traffic.listen(_HEARTBEAT_S):
                newest = self.traffic.exchanges[-1:]
                number = newest[0].number if newest else 0
                yield f"event: {event}\ndata: {number}\n\n" if event else ": still here\n\n"

        return StreamingResponse(stream(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})

    async def part(self, request: Request) -> Response:
        """A part as browsers show it: as it is, or converted to the extension that is asked for."""
        exchange, place = self._exchange(request), int(request.path_params["place"])
        submission = exchange.judgement.submission
        if not submission or place >= len(submission.content.parts):
            raise HTTPException(404)
        part = submission.content.parts[place]
        extension = request.path_params.get("extension", "")
        media_type = dict(playback.sources(part)).get(extension)
        path = self.traffic.part_path(exchange.number, place)
        if media_type is None:
            raise HTTPException(404)
        if extension:
            try:
                path = await run_in_threadpool(playback.playable, path, part, extension, self.settings)
            except MmsprepError as error:
                raise HTTPException(502, printable(str(error))) from None
        return _file(path, media_type)

    async def original(self, request: Request) -> Response:
        """A part as it was sent, to be saved."""
        exchange, place = self._exchange(request), int(request.path_params["place"])
        submission = exchange.judgement.submission
        if not submission or place >= len(submission.content.parts):
            raise HTTPException(404)
        name = submission.content.parts[place].name
        return _file(self.traffic.part_path(exchange.number, place), "application/octet-stream", name)

    async def phone(self, request: Request) -> Response:
        """The message as a phone of some year presents it, as a page of its own for a frame."""
        exchange = self._exchange(request)
        content = exchange.judgement.submission.content if exchange.judgement.submission else None
        if content is None or request.path_params["year"] not in handset_names():
            raise HTTPException(404)
        try:
            html = await run_in_threadpool(self._phone, exchange, request.path_params["year"])
        except OSError:
            raise HTTPException(404, "it is no longer kept") from None
        except MmsprepError as error:
            raise HTTPException(502, printable(str(error))) from None
        return HTMLResponse(html, headers={"Content-Security-Policy": f"{PHONE_POLICY}; frame-ancestors 'self'"})

    def _phone(self, exchange: Exchange, year: str) -> str:
        submission, bodies = self._bodies(exchange)
        return page.phones(submission, bodies, [year], self.settings, title=f"A phone of {year}")

    async def saved(self, request: Request) -> Response:
        """The message in one file: a page that needs nothing else, or the PDU that the phone would fetch."""
        exchange = self._exchange(request)
        if exchange.judgement.submission is None:
            raise HTTPException(404)
        kind = request.path_params["kind"]
        make = {"html": self._saved_page, "mms": self._saved_pdu}.get(kind)
        if make is None:
            raise HTTPException(404)
        try:
            data = await run_in_threadpool(make, exchange)
        except OSError:
            raise HTTPException(404, "it is no longer kept") from None
        except MmsprepError as error:
            raise HTTPException(502, printable(str(error))) from None
        disposition = {"Content-Disposition": f'attachment; filename="message-{exchange.number}.{kind}"'}
        media_type = "text/html" if kind == "html" else "application/vnd.wap.mms-message"
        return Response(data, media_type=media_type, headers=disposition | {"Content-Security-Policy": PHONE_POLICY})

    def _saved_page(self, exchange: Exchange) -> bytes:
        submission, bodies = self._bodies(exchange)
        title = f"MMS to {submission.number}, {exchange.at:%Y-%m-%d %H:%M:%S}"
        return page.phones(submission, bodies, handset_names(), self.settings, title=title).encode()

    def _saved_pdu(self, exchange: Exchange) -> bytes:
        submission, bodies = self._bodies(exchange)
        return as_pdu(submission, bodies, exchange.judgement.message_id, exchange.at)

    def _bodies(self, exchange: Exchange) -> tuple[Submission, list[bytes]]:
        submission = exchange.judgement.submission
        assert submission is not None
        paths = [self.traffic.part_path(exchange.number, place) for place in range(len(submission.content.parts))]
        return submission, [path.read_bytes() for path in paths]

    async def raw(self, request: Request) -> Response:
        exchange = self._exchange(request)
        head = "".join(f"{name}: {value}\r\n" for name, value in exchange.headers)
        disposition = {"Content-Disposition": f'attachment; filename="request-{exchange.number}.txt"'}
        body = head.encode("utf-8", "replace") + b"\r\n" + self._raw(exchange)
        return Response(body, media_type="application/octet-stream", headers=disposition)

    def _exchange(self, request: Request) -> Exchange:
        exchange = self.traffic.exchange(int(request.path_params["number"]))
        if exchange is None:
            raise HTTPException(404, "there is no such request, or it is no longer kept")
        return exchange

    def _raw(self, exchange: Exchange) -> bytes:
        with suppress(OSError):
            return self.traffic.raw(exchange.number)
        return b""

    # The control API

    async def messages(self, request: Request) -> Response:
        if request.method == "DELETE":
            self.traffic.clear()
            return Response(status_code=204)
        return _Json({"messages": [page.document(exchange) for exchange in self.traffic.exchanges]})

    async def one_message(self, request: Request) -> Response:
        return _Json(page.document(self._exchange(request)))

    async def clear(self, request: Request) -> Response:
        self.traffic.clear()
        return RedirectResponse("/", 303)

    async def faults_api(self, request: Request) -> Response:
        if request.method == "DELETE":
            self.faults.replace(())
        elif request.method == "PUT":
            given = _decoded(await read_body(request))
            self.faults.replace([fault_of(one) for one in (given if isinstance(given, list) else [given])])
        elif request.method == "POST":
            self.faults.add(fault_of(_decoded(await read_body(request))))
        if request.method != "GET":
            self.traffic.tell("faults")
        return _Json({"faults": [_fault_document(fault) for fault in self.faults.waiting]})

    async def faults_form(self, request: Request) -> Response:
        """The page's form: a fault in words, or none at all to forget those that wait."""
        async with request.form(max_files=0, max_fields=10) as fields:
            what = str(fields.get("what", "")).strip()
            extras = [f"{key}={fields[key]}" for key in ("times", "door", "delay_s") if fields.get(key)]
        if what:
            self.faults.add(parse_fault(",".join([what, *extras])))
        else:
            self.faults.replace(())
        self.traffic.tell("faults")
        return RedirectResponse("/", 303)

    async def push(self, request: Request) -> Response:
        """Reply as the handset; the page's form and other programs use it alike."""
        async with request.form(max_files=15, max_fields=20, max_part_size=300_000) as fields:
            url = check_url(str(fields.get("url", "")).strip())
            sender = str(fields.get("from", "")).strip()
            _check_sender(sender)
            files = []
            for upload in fields.getlist("file"):
                if isinstance(upload, UploadFile) and upload.filename:
                    data = await upload.read()
                    files.append(PushedFile(upload.filename, upload.content_type or "application/octet-stream", data))
            incoming = HandsetMessage(
                sender=sender,
                id=str(fields.get("id", "")).strip() or new_id(),
                subject=str(fields.get("subject", "")),
                message=str(fields.get("message", "")),
                files=tuple(files),
            )
            back = str(fields.get("back", ""))
        if sum(len(file.data) for file in files) > _MAX_PUSHED_BYTES:
            raise UsageError(f"the attachments are over {_MAX_PUSHED_BYTES:,} bytes together")
        number = self.traffic.next_number()
        task: asyncio.Task[object] = asyncio.create_task(run_in_threadpool(self._push, incoming, url, number))
        self._pushes.add(task)
        task.add_done_callback(self._pushes.discard)
        if back.isdecimal():
            return RedirectResponse(f"/messages/{back}", 303)
        return _Json({"number": number, "id": incoming.id}, 202)

    def _push(self, incoming: HandsetMessage, url: str, number: int) -> object:
        return push(
            incoming,
            url,
            number=number,
            persistence=Persistence(),
            progress=self.traffic.note,
            wait=self.closing.wait,
        )

    async def notices(self, request: Request) -> Response:
        """Tell what became of a message; the page's form and other programs use it alike."""
        if request.method == "GET":
            told = [(one, one.pushed) for one in self.traffic.deliveries if isinstance(one.pushed, Notification)]
            return _Json({"notices": [notice_document(delivery, notice) for delivery, notice in told]})
        async with request.form(max_files=0, max_fields=10) as fields:
            url = check_url(str(fields.get("url", "")).strip())
            keys = ("what", "delay_s", "err", "method")
            asked = notice_of({key: str(fields[key]).strip() for key in keys if fields.get(key)})
            name, back = str(fields.get("message", "")).strip(), str(fields.get("back", ""))
        found = [one for one in self.traffic.exchanges if name in (str(one.number), one.judgement.message_id)]
        if not name or not found:
            raise UsageError(f"message {name[:40]!r}: there is no such message, or it is no longer kept")
        due = self.notifier.notify(url, asked, sent_in(found[0]))
        if back.isdecimal():
            return RedirectResponse(f"/messages/{back}", 303)
        return _Json({"message_id": found[0].judgement.message_id, "notices": len(due)}, 202)

    async def pushes(self, request: Request) -> Response:
        pushes = [one for one in self.traffic.deliveries if isinstance(one.pushed, HandsetMessage)]
        return _Json({"pushes": [delivery_document(one) for one in pushes]})


def create_app(
    *,
    traffic: Traffic,
    faults: FaultQueue,
    account: Login,
    settings: Settings,
    closing: threading.Event,
    notifier: Notifier,
    host: str = "127.0.0.1",
) -> ASGIApp:
    """The sandbox as an ASGI application; ``closing`` ends the pushes that still go on.

    It needs :mod:`mmsprep.sandbox.wire`'s server to drop connections.
    """
    doors = Doors(traffic, faults, account, notifier)
    pages = Pages(traffic, faults, account, settings, closing, notifier)
    n = "/messages/{number:number}"
    routes = [
        Route("/mms/sendmms.php", doors.form, methods=["POST"]),
        Route("/mms/mm7.php", doors.mm7, methods=["POST"]),
        Route("/", pages.home),
        Route("/inbox", pages.inbox),
        Route("/events", pages.events),
        Route(n, pages.message),
        Route(f"{n}/panel", pages.panel),
        Route(f"{n}/replies", pages.replies),
        Route(f"{n}/notices", pages.notices_of),
        Route(f"{n}/raw", pages.raw),
        Route(f"{n}/message.{{kind}}", pages.saved),
        Route(f"{n}/phones/{{year}}", pages.phone),
        Route(f"{n}/parts/{{place:number}}", pages.part),
        Route(f"{n}/parts/{{place:number}}/original", pages.original),
        Route(f"{n}/parts/{{place:number}}/play.{{extension}}", pages.part),
        Route("/sandbox/messages", pages.messages, methods=["GET", "DELETE"]),
        Route("/sandbox/messages/{number:number}", pages.one_message),
        Route("/sandbox/clear", pages.clear, methods=["POST"]),
        Route("/sandbox/faults", pages.faults_api, methods=["GET", "PUT", "POST", "DELETE"]),
        Route("/sandbox/faults/form", pages.faults_form, methods=["POST"]),
        Route("/sandbox/push", pages.push, methods=["POST"]),
        Route("/sandbox/pushes", pages.pushes),
        Route("/sandbox/notices", pages.notices, methods=["GET", "POST"]),
        Mount("/static", StaticFiles(directory=Path(__file__).parent / "static")),
    ]
    return Starlette(
        routes=routes,
        middleware=[Middleware(Guard, host=host)],
        exception_handlers={MmsprepError: _told},
    )


async def _told(request: Request, error: Exception) -> Response:
    code = error.code if isinstance(error, MmsprepError) else "error"
    return _Json({"error": {"code": code, "message": str(error)}}, 400)


def _file(path: Path, media_type: str, save_as: str | None = None) -> Response:
    if not path.is_file():
        raise HTTPException(404, "it is no longer kept")
    headers = {"Content-Security-Policy": FILE_POLICY}
    return FileResponse(path, media_type=media_type, filename=save_as, headers=headers)


def _decoded(body: bytes) -> object:
    try:
        found: object = json.loads(body)
    except ValueError as error:
        raise UsageError(f"the body is no JSON ({error})") from None
    return found


def _fault_document(fault: Fault) -> dict[str, object]:
    return {
        "what": fault.what,
        "times": fault.times,
        "door": fault.door,
        "delay_s": fault.delay_s,
        "retry_after_s": fault.retry_after_s,
    }


def _check_sender(sender: str) -> None:
    try:
        check_number("from", sender)
    except Refused as refused:
        raise UsageError(refused.reason) from None
