"""Connections that are used again, where that cannot lose a message.

A server that closes an idle connection looks exactly like one that went away with the message, so a connection is used
again only where a caller lends :class:`Connections`, at once, and while the server has said nothing; one that breaks
before the body is replaced, one that breaks after it is an unknown outcome.
"""

from __future__ import annotations

import re
import threading
import time

import httpcore

from mmsprep.errors import SendError
from mmsprep.sender.http.call import Place, call_of, options_for, place_of, url_of
from mmsprep.sender.http.deadline import Progress
from mmsprep.sender.http.network import Backend
from mmsprep.sender.http.outcome import FAILURES, answer_of, failure, too_long
from mmsprep.sender.wire import WireRequest, WireResponse
from mmsprep.tools.tls import verified_tls

_MOST_IDLE_S = 2.0
"""Servers close what is idle for five seconds or more (Apache 5, nginx 75); one that closes sooner says so."""
_UNPROVEN_REST_S = 1.0
_MOST_UNPROVEN = 8
_KEEP_ALIVE_TIMEOUT = re.compile(r"\btimeout\s*=\s*\"?([0-9]{1,6})", re.IGNORECASE)


class Connections:
    """Connections that stay open from one send to the next; for any number of threads, closed with the block.

    One goes out again only if its last answer was whole, the server did not announce its end, nothing has come since,
    and no more than two seconds have passed (or one less than the server's ``Keep-Alive: timeout``). A server may close
    without a word right after its answer, and a request that meets that has an unknown outcome. So until a server has
    said that it keeps connections, or has answered over one a second time, they rest for a second first; and
    where a used one broke under a message, none is used again.
    """

    def __init__(self) -> None:
        self._idle: list[Connection] = []
        self._keeps: set[Place] = set()
        self._breaks: set[Place] = set()
        self._lock = threading.Lock()

    def __enter__(self) -> Connections:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def taken(self, request: WireRequest) -> Connection | None:
        """The last one that was used, out of reach of others, where it can go out again."""
        place = place_of(request)
        while True:
            with self._lock:
                rest_s = 0.0 if place in self._keeps else _UNPROVEN_REST_S
                found = next(
                    (one for one in reversed(self._idle) if one.place == place and one.rested_s >= rest_s), None
                )
                if found is None:
                    return None
                self._idle.remove(found)
            if found.is_fresh():
                return found
            found.close()
            if not found.is_over:
                with self._lock:
                    self._keeps.discard(place)

    def give_back(self, connection: Connection) -> None:
        """Keep it for the next one, where its server lets that be; otherwise close it."""
        place = connection.place
        with self._lock:
            if connection.is_announced or connection.answered > 1:
                self._keeps.add(place)
            is_kept = connection.is_kept and place not in self._breaks
            is_kept = is_kept and (place in self._keeps or len(self._idle) < _MOST_UNPROVEN)
            if is_kept:
                self._idle.append(connection)
        if not is_kept:
            connection.close()

    def broke(self, connection: Connection) -> None:
        """Under a message, after it had been used before."""
        with self._lock:
            self._breaks.add(connection.place)
            self._keeps.discard(connection.place)


class Connection:
    """One connection to the place that a request goes to, opened by the first exchange."""

    def __init__(self, request: WireRequest) -> None:
        self.place = place_of(request)
        self.answered = 0
        """How many whole answers came over it."""
        self.is_announced = False
        """Whether the server says that it keeps it."""
        self._backend = Backend()
        self._answered_s = 0.0
        self._idle_s = 0.0
        self._http = _opened(request, self._backend)

    @property
    def rested_s(self) -> float:
        """Since its last answer."""
        return time.monotonic() - self._answered_s

    @property
    def is_kept(self) -> bool:
        """Whether the last exchange left it usable."""
        return self._idle_s > 0

    @property
    def is_over(self) -> bool:
        """Whether its time is over, whatever the server did."""
        return self.rested_s >= self._idle_s

    def is_fresh(self) -> bool:
        """Whether the next request may go over it: the server has closed nothing, and is not about to."""
        return not self.is_over and not _has_ended(self._http)

    def exchange(self, request: WireRequest, progress: Progress, *, keep: bool) -> WireResponse | SendError:
        """Send ``request`` over it."""
        self._backend.progress = progress
        self._idle_s = 0.0
        try:
            with self._http.stream(**call_of(request, progress, keep)) as response:
                whole = all(progress.take(chunk) for chunk in response.iter_stream())
        except FAILURES as error:
            return failure(request, progress, error)
        if not whole:
            return too_long(request, progress)
        answer = answer_of(response, progress)
        if keep and not answer.before_body:
            self.answered += 1
            self._answered_s = time.monotonic()
            self._idle_s, self.is_announced = _kept_s(response)
        return answer

    def close(self) -> None:
        self._http.close()


def _opened(request: WireRequest, backend: Backend) -> httpcore.HTTPConnection | httpcore.ConnectionPool:
    """One connection; behind a proxy httpcore's pool of one, which knows how to speak to it."""
    if request.proxy:
        options = options_for(request) | {"max_keepalive_connections": 1, "keepalive_expiry": _MOST_IDLE_S}
        return httpcore.ConnectionPool(**options, network_backend=backend)
    return httpcore.HTTPConnection(url_of(request.url)[0].origin, ssl_context=verified_tls(), network_backend=backend)


def _has_ended(http: httpcore.HTTPConnection | httpcore.ConnectionPool) -> bool:
    """Whether the server has closed it, or said anything unasked."""
    if isinstance(http, httpcore.ConnectionPool):
        return not http.connections or any(one.has_expired() or one.is_closed() for one in http.connections)
    return not http.is_idle() or http.has_expired()


def _kept_s(response: httpcore.Response) -> tuple[float, bool]:
    """For how long the connection may be used again (0: not at all), and whether the server says so."""
    headers = {name.lower(): value.decode("latin-1").lower() for name, value in response.headers}
    connection, keep_alive = headers.get(b"connection", ""), headers.get(b"keep-alive", "")
    if "close" in connection:
        return 0.0, False
    said = _KEEP_ALIVE_TIMEOUT.search(keep_alive)
    return min(_MOST_IDLE_S, float(said[1]) - 1.0) if said else _MOST_IDLE_S, bool(said) or "keep-alive" in connection
