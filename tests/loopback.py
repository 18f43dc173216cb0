"""A gateway on this machine that does to each request what the test asks for, down to the socket."""

from __future__ import annotations

import select
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import parse_qs

from deadlines import meanwhile

from mmsprep import mm7
from mmsprep.message.mime import Entity, parse_multipart

_MOST_S = 120.0
"""Beyond the minute that a deed waits for its client."""


@dataclass
class Request:
    """One request as it arrived; ``body`` is shorter than it should be where the connection broke."""

    head: str
    body: bytes

    def header(self, name: str) -> str:
        lines = (line.partition(":") for line in self.head.splitlines()[1:])
        return next((value.strip() for key, _, value in lines if key.lower() == name.lower()), "")

    @property
    def path(self) -> str:
        return self.head.split(" ", 2)[1]

    @property
    def fields(self) -> dict[str, str]:
        """Of a form."""
        parsed = parse_qs(self.body.decode("ascii"), keep_blank_values=True, strict_parsing=True)
        return {name: values[0] for name, values in parsed.items()}

    @property
    def submit(self) -> mm7.Submit:
        """Of MM7."""
        whole = Entity((("Content-Type", self.header("Content-Type")),), self.body)
        return mm7.parse_submit(parse_multipart(whole)[0].data)

    @property
    def recipient(self) -> str:
        return self.submit.to[0] if self.path.endswith("mm7.php") else self.fields["number"]


Deed = Callable[[socket.socket, "Gateway"], None]
"""What is done with a connection."""


@dataclass
class Gateway:
    """``deeds`` are done in order, the last one for every request after."""

    deeds: list[Deed]
    url: str = ""
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    over: threading.Event = field(default_factory=threading.Event)
    """Set at the block's end."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def next_deed(self) -> Deed:
        with self._lock:
            deed = self.deeds[min(self.connections, len(self.deeds) - 1)]
            self.connections += 1
            return deed

    def note(self, request: Request) -> Request:
        with self._lock:
            self.requests.append(request)
        return request


@contextmanager
def gateway(*deeds: Deed, tls: ssl.SSLContext | None = None) -> Iterator[Gateway]:
    """A gateway that is there for the block, with TLS if asked for; every connection has a thread of its own."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=50)
    held: set[socket.socket] = set()
    scheme = "https" if tls else "http"
    this = Gateway(list(deeds), f"{scheme}://127.0.0.1:{listener.getsockname()[1]}")
    threads: list[threading.Thread] = []

    def serve(connection: socket.socket) -> None:
        with connection:
            connection.settimeout(60)
            with suppress(OSError), tls.wrap_socket(connection, server_side=True) if tls else connection as channel:
                held.add(channel)
                this.next_deed()(channel, this)

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threads.append(threading.Thread(target=serve, args=(connection,), daemon=True))
            threads[-1].start()

    def stop() -> None:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()

    with meanwhile(accept, stop):
        yield this
    this.over.set()
    ends_at = time.monotonic() + _MOST_S
    for thread in threads:
        thread.join(max(0.0, ends_at - time.monotonic()))
    left = sum(thread.is_alive() for thread in threads)
    for connection in held if left else ():
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
    assert not left, f"the client left {left} connections open"


def read_request(connection: socket.socket, most_body_bytes: int | None = None) -> Request:
    """The request, its body to the end or to ``most_body_bytes``."""
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = connection.recv(65536)
        if not chunk:
            break
        data += chunk
    head, _, body = data.partition(b"\r\n\r\n")
    request = Request(head.decode("latin-1"), body)
    wanted = int(request.header("Content-Length") or 0)
    if most_body_bytes is not None:
        wanted = min(wanted, most_body_bytes)
    while len(request.body) < wanted:
        chunk = connection.recv(65536)
        if not chunk:
            break
        request.body += chunk
    return request


def http(
    body: str | bytes, status: int = 200, content_type: str = "text/html; charset=UTF-8", extra: str = ""
) -> bytes:
    data = body.encode() if isinstance(body, str) else body
    head = f"HTTP/1.1 {status} X\r\nContent-Type: {content_type}\r\nContent-Length: {len(data)}\r\n{extra}\r\n"
    return head.encode() + data


def answers(raw: bytes | Callable[[Request], bytes]) -> Deed:
    """Read the whole request, then answer."""

    def deed(connection: socket.socket, this: Gateway) -> None:
        request = read_request(connection)
        if len(request.body) < int(request.header("Content-Length") or 1):
            return  # The client went away in the middle.
        this.note(request)
        connection.sendall(raw(request) if callable(raw) else raw)

    return deed


def succeeds(message_id: str = "1234567890123456") -> Deed:
    """Accept by whichever door the request came."""

    def reply(request: Request) -> bytes:
        if request.path.endswith("mm7.php"):
            return soap_reply("SubmitRsp", 1000, message_id)(request)
        return http(f"Success. ID = {message_id}")

    return answers(reply)


def soap_reply(
    kind: str, code: int, message_id: str = "", details: str = "", status: int = 200
) -> Callable[[Request], bytes]:
    def reply(request: Request) -> bytes:
        answer = mm7.Reply(
            kind=kind,
            transaction_id=request.submit.transaction_id,
            status_code=code,
            status_text="Text",
            details=details,
            message_id=message_id,
            fault_code="Server",
        )
        return http(mm7.build_reply(answer), status, "text/xml; charset=utf-8")

    return reply


def hangs_up_before_reading(connection: socket.socket, this: Gateway) -> None:
    """Reset as soon as the connection is there."""
    _reset(connection)


def resets_in_the_body(connection: socket.socket, this: Gateway) -> None:
    this.note(read_request(connection, most_body_bytes=1000))
    _reset(connection)


def resets_before_the_reply(connection: socket.socket, this: Gateway) -> None:
    this.note(read_request(connection))
    _reset(connection)


def closes_before_the_reply(connection: socket.socket, this: Gateway) -> None:
    this.note(read_request(connection))


def breaks_in_the_reply(connection: socket.socket, this: Gateway) -> None:
    this.note(read_request(connection))
    connection.sendall(http("Success. ID = 1234567890123456; and more")[:-12])


def never_answers(connection: socket.socket, this: Gateway) -> None:
    this.note(read_request(connection))
    connection.recv(1)


def drips(connection: socket.socket, this: Gateway) -> None:
    """An answer that never ends."""
    this.note(read_request(connection))
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1000000\r\n\r\n")
    wait = threading.Event()
    while True:
        connection.sendall(b" ")
        wait.wait(0.05)


def drips_headers(connection: socket.socket, this: Gateway) -> None:
    """Headers that never end."""
    this.note(read_request(connection))
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    _for_ever(connection, b"X-More: a\r\n")


def says_wait_for_ever(connection: socket.socket, this: Gateway) -> None:
    """Informational answers without end."""
    this.note(read_request(connection))
    _for_ever(connection, b"HTTP/1.1 102 Processing\r\n\r\n")


def takes_the_body_slowly(connection: socket.socket, this: Gateway) -> None:
    """A few bytes now and then until nobody waits any more, and never all of them."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    while not this.over.wait(0.02) and connection.recv(512):
        pass


def never_says_hello(connection: socket.socket, this: Gateway) -> None:
    """Takes the connection and says nothing, not even TLS."""
    while connection.recv(65536):
        pass


def _for_ever(connection: socket.socket, piece: bytes) -> None:
    wait = threading.Event()
    while True:
        connection.sendall(piece)
        wait.wait(0.05)


def floods(connection: socket.socket, this: Gateway) -> None:
    this.note(read_request(connection))
    connection.sendall(http(b" " * 5_000_000))


def _reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def passes_on(connection: socket.socket, this: Gateway) -> None:
    """A proxy: opens the way that CONNECT names, or sends on what is asked for."""
    head = b""
    while b"\r\n\r\n" not in head:
        head += connection.recv(1)
    method, target, _ = head.split(b" ", 2)
    host, port = target.removeprefix(b"http://").partition(b"/")[0].decode().split(":")
    with socket.create_connection((host, int(port)), timeout=60) as beyond:
        if method == b"CONNECT":
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        else:
            beyond.sendall(head.replace(target, target[target.index(b"/", 7) :], 1))

        # In one thread: what speaks TLS may not be read and written at the same time.
        ends = [connection, beyond]
        with suppress(OSError):
            while beyond in ends:
                held = [one for one in ends if isinstance(one, ssl.SSLSocket) and one.pending()]
                ready = held or select.select(ends, [], [], 60)[0]
                if not ready:
                    break
                for one in ready:
                    if more := one.recv(16384):
                        (beyond if one is connection else connection).sendall(more)
                        continue
                    ends.remove(one)
                    if one is connection:
                        beyond.shutdown(socket.SHUT_WR)
