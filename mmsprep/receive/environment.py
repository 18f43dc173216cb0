"""The receiver as the environment describes it, for any ASGI server and any number of its workers.

Comes in: environment variables. Goes out: an application that opens its store before the first request and closes it
after the last. Never: an argument, or a variable's value in an error where it may be a secret.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from starlette.applications import Starlette

from mmsprep.errors import UsageError, reason_of
from mmsprep.receive.asgi import create_app
from mmsprep.receive.forward import Forwarder
from mmsprep.receive.limits import Limits
from mmsprep.receive.retention import Retention, seconds_of
from mmsprep.receive.store import Store, open_store
from mmsprep.tools.log import log_to_stderr

DEFAULT_STORE = "mms-inbox"
DEFAULT_MAX_BODY_BYTES = 10_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What a receiver is made of; the same for the command line and the environment.

    ``retain`` is an age (``90d``), empty for ever. The rest is as :func:`mmsprep.receive.create_app`,
    :func:`mmsprep.receive.open_store` and :class:`mmsprep.receive.Forwarder` take it.
    """

    store: str = DEFAULT_STORE
    database: str = ""
    secret: str = field(default="", repr=False)
    allow: tuple[str, ...] = ()
    allow_get: bool = False
    forward: str = field(default="", repr=False)
    forward_secret: str = field(default="", repr=False)
    max_body_bytes: int = DEFAULT_MAX_BODY_BYTES
    retain: str = ""

    def open(self, stack: ExitStack) -> Starlette:
        """The application, its store, its forwarder and what removes what is old; ``stack`` closes them.

        Raises:
            UsageError: something of it makes no sense.
            ToolMissing: a package is missing.
            StoreError: the store cannot be opened.
        """
        retain_s = seconds_of(self.retain) if self.retain else 0.0
        if self.forward_secret and not self.forward:
            raise UsageError("there is a secret to sign with, and no --forward URL that would get the signatures")
        store: Store = stack.enter_context(open_store(self.store, self.database))
        forwarder = None
        if self.forward:
            forwarder = stack.enter_context(Forwarder(store, self.forward, secret=self.forward_secret))
        if retain_s:
            # Where nobody hands messages on, all of them wait, and none would ever go.
            stack.enter_context(Retention(store, retain_s, waiting_too=not self.forward))
        return create_app(
            store,
            secret=self.secret,
            networks=self.allow,
            limits=Limits(max_body_bytes=self.max_body_bytes, max_attachment_bytes=self.max_body_bytes),
            allow_get=self.allow_get,
            on_stored=forwarder.wake if forwarder else None,
        )


def create_app_from_environment(environment: Mapping[str, str] | None = None) -> Starlette:
    """The receiver that ``MMSPREP_STORE``, ``MMSPREP_SECRET`` and the others of docs/deploy.md describe.

    Raises:
        UsageError: a variable makes no sense.
        ToolMissing: a package is missing.
        StoreError: the store cannot be opened.
    """
    told = os.environ if environment is None else environment
    service = service_of(told)
    log_as_a_server(environment=told)
    stack = ExitStack()
    try:
        inner = service.open(stack)
    except BaseException:
        stack.close()
        raise

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        with stack:
            async with inner.router.lifespan_context(inner):
                yield

    return Starlette(routes=inner.routes, lifespan=lifespan)


def log_as_a_server(words: str = "", environment: Mapping[str, str] | None = None) -> None:
    """Send the receiver's log and the HTTP server's to standard error: JSON and ``info``, unless told otherwise.

    Raises:
        UsageError: ``words`` or ``MMSPREP_LOG`` make no sense.
    """
    log_to_stderr(words, level="info", form="json", servers=("uvicorn.error",), environment=environment)


def service_of(environment: Mapping[str, str]) -> Service:
    """What the environment asks for.

    Raises:
        UsageError: a variable makes no sense.
    """

    def told(name: str) -> str:
        return environment.get(f"MMSPREP_{name}", "").strip()

    max_body = told("MAX_BODY") or str(DEFAULT_MAX_BODY_BYTES)
    if not max_body.isdecimal() or not 1000 <= int(max_body) < 10**10:
        raise UsageError(f"MMSPREP_MAX_BODY is {max_body!r}, expected a number of bytes, 1000 or more")
    return Service(
        store=told("STORE") or DEFAULT_STORE,
        database=told("DATABASE"),
        secret=read_secret(Path(told("SECRET_FILE"))) if told("SECRET_FILE") else told("SECRET"),
        allow=tuple(word for word in told("ALLOW").replace(",", " ").split() if word),
        allow_get=told("ALLOW_GET").lower() in ("1", "yes", "on", "true"),
        forward=told("FORWARD"),
        forward_secret=(
            read_secret(Path(told("FORWARD_SECRET_FILE"))) if told("FORWARD_SECRET_FILE") else told("FORWARD_SECRET")
        ),
        max_body_bytes=int(max_body),
        retain=told("RETAIN"),
    )


def read_secret(path: Path) -> str:
    """A secret from a file.

    Raises:
        UsageError: it cannot be read, or is empty.
    """
    try:
        secret = path.read_text("utf-8").strip()
    except OSError as error:
        raise UsageError(f"{path}: the secret cannot be read ({reason_of(error)})") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path}: the secret cannot be read (it is no text in UTF-8)") from None
    if not secret:
        raise UsageError(f"{path}: is empty, expected a secret")
    return secret
