"""The receive command: parse, call, print; no logic."""

from __future__ import annotations

import ipaddress
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from mmsprep.cli.printing import reported, say
from mmsprep.errors import UsageError

StoreOption = Annotated[
    str,
    typer.Option(
        "--store", metavar="DIR", envvar="MMSPREP_STORE", help="Where messages lie: a folder, or s3://... with fsspec."
    ),
]
DatabaseOption = Annotated[
    str,
    typer.Option(
        "--database",
        metavar="URL",
        envvar="MMSPREP_DATABASE",
        help="postgresql://user@host/name in place of SQLite in the store's folder.",
    ),
]
DEFAULT_STORE = "mms-inbox"


def receive(
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Port to listen on; 0 takes a free one.")
    ] = 8025,
    store: StoreOption = DEFAULT_STORE,
    database: DatabaseOption = "",
    secret: Annotated[
        str,
        typer.Option(
            "--secret",
            metavar="PATH-OR-TOKEN",
            envvar="MMSPREP_SECRET",
            help="/a/secret/path to push to, or a token that pushes carry.",
            show_default=False,
        ),
    ] = "",
    secret_file: Annotated[
        Path | None, typer.Option("--secret-file", help="Read the secret from a file, out of the process list's sight.")
    ] = None,
    allow: Annotated[
        list[str] | None, typer.Option("--allow", metavar="NETWORK", help="Take pushes from this network only.")
    ] = None,
    proxy: Annotated[
        list[str] | None,
        typer.Option("--proxy", metavar="ADDRESS", help="Believe this proxy's X-Forwarded-For."),
    ] = None,
    forward: Annotated[
        str,
        typer.Option(
            "--forward",
            metavar="TARGET",
            envvar="MMSPREP_FORWARD",
            help="Hand each message on to a URL or a command.",
            show_default=False,
        ),
    ] = "",
    max_body: Annotated[
        int, typer.Option("--max-body", metavar="BYTES", min=1000, help="The largest push that is taken.")
    ] = 10_000_000,
) -> None:
    """Take in MMS that the gateway or a relay pushes; 'OK' is said only when a message is safe on disk."""
    with reported():
        from mmsprep.receive import Forwarder, Limits, create_app, open_store
        from mmsprep.receive.logs import log_to_stderr
        from mmsprep.receive.serve import listen, serve

        if secret_file:
            secret = _read_secret(secret_file)
        if not secret and not allow and not _is_loopback(host):
            raise UsageError(
                f"on {host} anybody could push; give --secret (or MMSPREP_SECRET), or --allow the gateway's network"
            )
        log_to_stderr()
        with ExitStack() as stack:
            inbox = stack.enter_context(open_store(store, database))
            forwarder = stack.enter_context(Forwarder(inbox, forward)) if forward else None
            app = create_app(
                inbox,
                secret=secret,
                networks=allow or (),
                limits=Limits(max_body_bytes=max_body, max_attachment_bytes=max_body),
                on_stored=forwarder.wake if forwarder else None,
            )
            listener = stack.enter_context(listen(host, port))
            address, bound = listener.getsockname()[:2]
            shown = f"[{address}]" if ":" in address else address
            ready = f"taking pushes on http://{shown}:{bound}, store {store}; ctrl-c ends it"
            serve(app, listener, proxies=proxy or (), on_ready=lambda: say(ready))


def _read_secret(path: Path) -> str:
    try:
        secret = path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: the secret cannot be read ({error})") from None
    if not secret:
        raise UsageError(f"{path}: is empty, expected a secret")
    return secret


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
