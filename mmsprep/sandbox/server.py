"""The sandbox as a running server: in a thread for tests, in the foreground for the command line.

Comes in: address, account and limits. Goes out: a :class:`Sandbox` that listens. Never: another address than
the loopback unless it is asked for.
"""

from __future__ import annotations

import os
import socket
import tempfile
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from mmsprep.errors import OutputError, ToolMissing, UsageError, reason_of
from mmsprep.sandbox.exchange import Exchange, Login
from mmsprep.sandbox.faults import Fault, FaultQueue, fault_of
from mmsprep.sandbox.notices import Notice, Notification, Notifier, notice_of, sent_in
from mmsprep.sandbox.push import HandsetMessage, Persistence, PushDelivery, PushedFile, check_url, new_id, push
from mmsprep.sandbox.traffic import Traffic
from mmsprep.settings import Settings, load_settings
from mmsprep.tools.extras import install_command

if TYPE_CHECKING:
    import uvicorn

DEFAULT_PORT = 8765
KEPT = 100
"""How many exchanges are kept by default."""

_START_TIMEOUT_S, _STOP_TIMEOUT_S = 30.0, 10.0


class Sandbox:
    """A stand-in for SMSGlobal's gateway on this machine.

    >>> from mmsprep.sandbox import Sandbox
    >>> with Sandbox() as gateway:  # doctest: +SKIP
    ...     send_with_your_client(gateway.form_url, username="sandbox", password="sandbox")
    ...     assert gateway.accepted[0].judgement.submission.subject == "Holiday"

    Args:
        host: the address to listen on.
        port: 0 takes a free one.
        username, password: the only account.
        keep: how many exchanges are kept; older ones are forgotten.
        faults: what the first requests meet.
        notify: where accepted messages are notified by themselves, as delivered or as ``notices`` say.
        notices: what becomes of the first accepted messages.
        settings: ffmpeg and limits; default: from the environment.

    Raises:
        ToolMissing: the packages of the extra ``sandbox`` are not installed.
        UsageError: the address cannot be listened on.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        username: str = "sandbox",
        password: str = "sandbox",  # noqa: S107
        keep: int = KEPT,
        faults: Iterable[Fault] = (),
        notify: str = "",
        notices: Iterable[Notice] = (),
        settings: Settings | None = None,
    ) -> None:
        if not username or ":" in username:
            raise UsageError("the username of the sandbox must not be empty or have a colon in it (HTTP Basic)")
        self.host = host
        self.account = Login(username, password)
        self.faults = FaultQueue(faults)
        self._settings = settings or load_settings()
        self._socket = _listening(host, port)
        self.port = int(self._socket.getsockname()[1])
        try:
            self._folder = tempfile.TemporaryDirectory(prefix="mmsprep-sandbox-", ignore_cleanup_errors=True)
        except OSError as error:
            self._socket.close()
            raise OutputError(f"no temporary folder can be made ({reason_of(error)}); TMPDIR names another") from error
        self.traffic = Traffic(Path(self._folder.name), keep)
        self._thread: threading.Thread | None = None
        self._ready = threading.Event()
        self._closing = threading.Event()
        self._notifier = Notifier(self._push_notice, self._closing, check_url(notify) if notify else "", notices)
        try:
            self._server = self._new_server()
        except ToolMissing:
            self.close()
            raise

    @property
    def url(self) -> str:
        """The page, and the base of everything else, without a slash at its end."""
        shown = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104
        return f"http://[{shown}]:{self.port}" if ":" in shown else f"http://{shown}:{self.port}"

    @property
    def form_url(self) -> str:
        """The door that takes forms."""
        return f"{self.url}/mms/sendmms.php"

    @property
    def mm7_url(self) -> str:
        """The door that takes MM7."""
        return f"{self.url}/mms/mm7.php"

    @property
    def exchanges(self) -> tuple[Exchange, ...]:
        """Every request that is kept, oldest first."""
        return self.traffic.exchanges

    @property
    def accepted(self) -> tuple[Exchange, ...]:
        """The requests whose message was taken in."""
        return tuple(one for one in self.exchanges if one.judgement.accepted)

    @property
    def refused(self) -> tuple[Exchange, ...]:
        """The requests whose message was not taken in."""
        return tuple(one for one in self.exchanges if not one.judgement.accepted)

    @property
    def texts(self) -> list[str]:
        """The texts of the messages that were taken in, one for each, oldest first; empty where it has none."""
        submissions = (one.judgement.submission for one in self.accepted)
        return [next((part.text for part in one.content.parts if part.text), "") for one in submissions if one]

    @property
    def numbers(self) -> list[str]:
        """Whom the messages that were taken in went to, oldest first."""
        return [one.judgement.submission.number for one in self.accepted if one.judgement.submission]

    def part_data(self, exchange: Exchange, place: int) -> bytes:
        """The bytes of the part at ``place`` of an accepted message, as the client sent them."""
        return self.traffic.part_path(exchange.number, place).read_bytes()

    def fault(self, what: str | int, **values: Any) -> None:
        """Ask for a fault: ``fault(4006, times=2)``, ``fault("drop-mid-reply", door="mm7")``.

        Raises:
            UsageError: there is no such fault.
        """
        self.faults.add(fault_of({"what": str(what), **values}))

    def push(
        self,
        url: str,
        *,
        sender: str = "61409317436",
        message: str = "",
        subject: str = "",
        id: str = "",
        files: Sequence[tuple[str, str, bytes]] = (),
        persistence: Persistence | None = None,
    ) -> PushDelivery:
        """Reply as the handset: push an incoming MMS to ``url`` until it says OK; blocks meanwhile.

        ``files`` are names, media types and bytes.
        """
        incoming = HandsetMessage(
            sender=sender,
            id=id or new_id(),
            subject=subject,
            message=message,
            files=tuple(PushedFile(*file) for file in files),
        )
        return push(
            incoming,
            url,
            number=self.traffic.next_number(),
            persistence=persistence,
            progress=self.traffic.note,
        )

    def notify(self, url: str, message: Exchange | str, what: str = "delivered", **values: Any) -> list[Notification]:
        """Tell ``url`` what became of a message: ``notify(url, gateway.accepted[0], "expired", delay_s=2)``.

        Returns at once; :meth:`told` waits. ``message`` may be its id.

        Raises:
            UsageError: there is no such message, its request did not ask for it, or there is no such notice.
        """
        if isinstance(message, str):
            found = [one for one in self.accepted if one.judgement.message_id == message]
            if not found:
                raise UsageError(f"message {message!r}: there is no such message, or it is no longer kept")
            message = found[0]
        return self._notifier.notify(check_url(url), notice_of({"what": what, **values}), sent_in(message))

    def told(self, count: int = 1, timeout_s: float = 30.0) -> tuple[PushDelivery, ...]:
        """The pushes of notices that have come to their end, oldest first, when there are ``count`` of them.

        Raises:
            OutputError: there are fewer after ``timeout_s``.
        """
        ends_at = time.monotonic() + timeout_s
        while True:
            found = [one for one in self.traffic.deliveries if isinstance(one.pushed, Notification) and one.finished]
            if len(found) >= count:
                return tuple(found)
            if time.monotonic() > ends_at:
                raise OutputError(f"{len(found)} of {count} notices came to an end within {timeout_s:g} s")
            time.sleep(0.02)

    def _push_notice(self, notification: Notification, url: str) -> PushDelivery:
        return push(
            notification,
            url,
            number=self.traffic.next_number(),
            progress=self.traffic.note,
            wait=self._closing.wait,
        )

    def clear(self) -> None:
        """Forget all exchanges and waiting faults."""
        self.faults.replace(())
        self.traffic.clear()

    def start(self) -> Sandbox:
        """Listen in a thread of its own; returns when requests are answered."""
        self._thread = threading.Thread(target=self._run, name="mmsprep-sandbox", daemon=True)
        self._thread.start()
        if not self._ready.wait(_START_TIMEOUT_S):
            self.close()
            raise OutputError(f"the sandbox did not start within {_START_TIMEOUT_S:.0f} s")
        return self

    def serve(self) -> None:
        """Listen in this thread, the main one, until Ctrl-C."""
        try:
            with suppress(KeyboardInterrupt):
                self._run()
        finally:
            self.close()

    def close(self) -> None:
        """Stop listening and remove what was kept."""
        self._leave()
        if self._thread:
            self._server.should_exit = True
            self._thread.join(_STOP_TIMEOUT_S)
            self._thread = None
        self._socket.close()
        self._folder.cleanup()

    def __enter__(self) -> Sandbox:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _leave(self) -> None:
        """Let go of whoever would hold the server open: pages that listen, pushes that wait."""
        self._closing.set()
        self._notifier.wake()
        self.traffic.close()

    def _run(self) -> None:
        self._server.run(sockets=[self._socket])

    def _new_server(self) -> uvicorn.Server:
        try:
            from mmsprep.sandbox.app import create_app
            from mmsprep.sandbox.wire import new_server
        except ImportError as error:
            raise ToolMissing(
                f"the sandbox needs the package {error.name}; {install_command('sandbox')} brings it"
            ) from None
        app = create_app(
            traffic=self.traffic,
            faults=self.faults,
            account=self.account,
            settings=self._settings,
            closing=self._closing,
            notifier=self._notifier,
            host=self.host,
        )
        return new_server(app, self._ready, self._leave)


def _listening(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family, backlog=256)
    except socket.gaierror:
        raise UsageError(f"{host}: is no address of this machine; --host takes one like 127.0.0.1") from None
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise UsageError(f"{host} port {port}: cannot be listened on ({reason}); --port chooses another") from None
