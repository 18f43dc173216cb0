"""What the tests of the sandbox send (conforming requests, and ways to bend them), and a script to push to."""

from __future__ import annotations

import base64
import io
import ssl
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

import httpx
from deadlines import meanwhile
from PIL import Image

from mmsprep import mm7
from mmsprep.message.mime import Entity, build_related
from mmsprep.mm7 import Submit
from mmsprep.sandbox import Sandbox

NUMBER = "61409317436"
AUTHORIZATION = "Basic " + base64.b64encode(b"sandbox:sandbox").decode("ascii")


def picture(format: str = "JPEG", side_px: int = 64) -> bytes:
    """A small picture."""
    file = io.BytesIO()
    Image.linear_gradient("L").resize((side_px, side_px)).convert("RGB").save(file, format)
    return file.getvalue()


JPEG = picture()


def fields(*attachments: tuple[str, str, bytes], **others: str | None) -> dict[str, str]:
    """A conforming form with ``attachments`` (name, type, bytes); ``others`` set or, as ``None``, remove fields."""
    form: dict[str, str | None] = {"username": "sandbox", "password": "sandbox", "number": NUMBER, "message": "Hello"}
    for index, (name, content_type, data) in enumerate(attachments):
        form[f"attachment{index}"] = base64.b64encode(data).decode("ascii")
        form[f"type{index}"] = content_type
        form[f"name{index}"] = name
    form |= others
    return {name: value for name, value in form.items() if value is not None}


def post_form(gateway: Sandbox, form: Mapping[str, str], **options: Any) -> str:
    """What the script prints."""
    response = httpx.post(gateway.form_url, data=dict(form), timeout=60, trust_env=False, **options)
    assert response.status_code == 200
    return response.text


def part(name: str, content_type: str, data: bytes, **headers: str) -> Entity:
    """One part of a message, in binary."""
    fields = {
        "Content-Type": f'{content_type}; name="{name}"',
        "Content-ID": f"<{name}>",
        "Content-Location": name,
        **{key.replace("_", "-"): value for key, value in headers.items()},
    }
    return Entity(tuple(fields.items()), data)


def smil(*slides: str, seconds: int = 4) -> Entity:
    """A presentation; each slide is the markup inside its ``par``."""
    pars = "".join(f'<par dur="{seconds}s">{slide}</par>' for slide in slides)
    layout = '<root-layout/><region id="Image" top="0"/><region id="Text" top="70%"/>'
    document = f"<smil><head><layout>{layout}</layout></head><body>{pars}</body></smil>"
    return part("slides.smil", "application/smil", document.encode())


def submit_request(
    content: Entity | None, envelope: bytes | None = None, others: Sequence[Entity] = (), **values: Any
) -> Entity:
    """The body of a SubmitReq; ``values`` are those of :class:`Submit`."""
    submit = Submit(
        **{"transaction_id": "t-1", "to": (NUMBER,), "content_id": "content", "vasp_id": "sandbox"} | values
    )
    root = Entity(
        (("Content-Type", "text/xml; charset=utf-8"), ("Content-ID", "<envelope>")),
        envelope if envelope is not None else mm7.build_submit(submit),
    )
    beside = [] if content is None else [Entity((*content.headers, ("Content-ID", "<content>")), content.body)]
    return build_related([root, *beside, *others], "text/xml")


def post_mm7(gateway: Sandbox, request: Entity, authorization: str = AUTHORIZATION) -> mm7.Reply:
    """The relay's answer."""
    response = httpx.post(
        gateway.mm7_url,
        content=request.body,
        headers={"Content-Type": request.header("Content-Type"), "Authorization": authorization, "SOAPAction": '""'},
        timeout=60,
        trust_env=False,
    )
    assert response.status_code == 200
    return mm7.parse_reply(response.content)


class Script(ThreadingHTTPServer):
    """A customer's script: gives the prepared answers in order, then OK."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self._scheme = "https" if tls else "http"
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_side=True)
        self.answers: list[tuple[int, str]] = []
        self.forms: list[dict[str, str]] = []
        self.got_one = threading.Condition()

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self.server_port}/incoming"


class _Handler(BaseHTTPRequestHandler):
    server: Script

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode("ascii")
        with self.server.got_one:
            self.server.forms.append(dict(parse_qsl(body, keep_blank_values=True, strict_parsing=True)))
            status, answer = self.server.answers.pop(0) if self.server.answers else (200, "OK")
            self.server.got_one.notify_all()
        self.send_response(status)
        self.send_header("Location", self.server.url)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer.encode())

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@contextmanager
def script_running(tls: ssl.SSLContext | None = None) -> Iterator[Script]:
    """A customer's script on a free port."""
    with Script(tls) as server, meanwhile(partial(server.serve_forever, 0.02), server.shutdown):
        yield server
