"""The receive command: parse, call, print; no logic."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from mmsprep.cli.printing import reported, say
from mmsprep.errors import UsageError
from mmsprep.tools.origin import is_loopback

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

ForwardSecretOption = Annotated[
    str,
    typer.Option(
        "--forward-secret",
        metavar="whsec_...",
        envvar="MMSPREP_FORWARD_SECRET",
        help="Sign what a URL gets, as Standard Webhooks says.",
        show_default=False,
    ),
]
ForwardSecretFileOption = Annotated[
    Path | None,
    typer.Option(
        "--forward-secret-file",
        metavar="FILE",
        envvar="MMSPREP_FORWARD_SECRET_FILE",
        help="Read that secret from a file.",
    ),
]


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
        Path | None,
        typer.Option(
            "--secret-file",
            envvar="MMSPREP_SECRET_FILE",
            help="Read the secret from a file, out of the process list's sight.",
        ),
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
    forward_secret: ForwardSecretOption = "",
    forward_secret_file: ForwardSecretFileOption = None,
    max_body: Annotated[
        int,
        typer.Option(
            "--max-body", metavar="BYTES", min=1000, envvar="MMSPREP_MAX_BODY", help="The largest push that is taken."
        ),
    ] = 10_000_000,
    allow_get: Annotated[
        bool,
        typer.Option("--allow-get", envvar="MMSPREP_ALLOW_GET", help="Take messages that come by GET, too."),
    ] = False,
    retain: Annotated[
        str,
        typer.Option(
            "--retain",
            metavar="AGE",
            envvar="MMSPREP_RETAIN",
            help="Remove what is older (90d, 12h); default: nothing.",
        ),
    ] = "",
    root_path: Annotated[
        str, typer.Option("--root-path", metavar="PATH", help="What a proxy in front takes off the path.")
    ] = "",
    log: Annotated[
        str,
        typer.Option(
            "--log",
            metavar="WORDS",
            help="json (default) or text, and a level: debug, info (default), warning. Also MMSPREP_LOG.",
        ),
    ] = "",
) -> None:
    """Take in MMS that the gateway or a relay pushes; 'OK' is said only when a message is safe on disk."""
    with reported():
        from mmsprep.receive import Service
        from mmsprep.receive.environment import log_as_a_server, read_secret
        from mmsprep.receive.serve import listen, serve

        if secret_file:
            secret = read_secret(secret_file)
        if not secret and not allow and not is_loopback(host):
            raise UsageError(
                f"on {host} anybody could push; give --secret (or MMSPREP_SECRET), or --allow the gateway's network"
            )
        service = Service(
            store=store,
            database=database,
            secret=secret,
            allow=tuple(allow or ()),
            allow_get=allow_get,
            forward=forward,
            forward_secret=read_secret(forward_secret_file) if forward_secret_file else forward_secret,
            max_body_bytes=max_body,
            retain=retain,
        )
        log_as_a_server(log)
        with ExitStack() as stack:
            app = service.open(stack)
            listener = stack.enter_context(listen(host, port))
            address, bound = listener.getsockname()[:2]
            shown = f"[{address}]" if ":" in address else address
            where = ", at the secret path" if secret.startswith("/") else "/ (MM7: /mm7)"
            ready = f"taking pushes on http://{shown}:{bound}{where}, store {store}; ctrl-c ends it"
            serve(
                app,
                listener,
                proxies=proxy or (),
                root_path=root_path,
                on_ready=lambda: say(ready),
            )
