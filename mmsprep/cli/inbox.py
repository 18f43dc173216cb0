"""The inbox commands: list, show, export and forward what came in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmsprep.cli.printing import JsonFlag, console_for, print_json, put, reported, say
from mmsprep.cli.receive import DEFAULT_STORE, DatabaseOption, StoreOption

if TYPE_CHECKING:
    from mmsprep.receive import Store

inbox_app = typer.Typer(help="What came in: list, show, export, forward.")

MessageId = Annotated[str, typer.Argument(metavar="ID", help="A message's id or key, or the beginning of its key.")]


@inbox_app.callback(invoke_without_command=True)
def inbox(context: typer.Context, store: StoreOption = DEFAULT_STORE, database: DatabaseOption = "") -> None:
    """List what came in; 'inbox list --help' shows how."""
    if not context.invoked_subcommand:
        list_messages(store=store, database=database)
    chosen = {"store": store, "database": database}
    context.default_map = dict.fromkeys(("list", "show", "export", "forward"), chosen)


@inbox_app.command("list")
def list_messages(
    limit: Annotated[int, typer.Option("-n", "--limit", min=1, help="How many.")] = 50,
    dead: Annotated[bool, typer.Option("--dead", help="Only those whose forwarding was given up.")] = False,
    pending: Annotated[bool, typer.Option("--pending", help="Only those not yet forwarded.")] = False,
    store: StoreOption = DEFAULT_STORE,
    database: DatabaseOption = "",
    json_output: JsonFlag = False,
) -> None:
    """List what came in, newest first."""
    with reported(json_output):
        from mmsprep.cli.inbox_tables import listing
        from mmsprep.receive.incoming import ForwardState
        from mmsprep.receive.report import document

        wanted = {ForwardState.DEAD: dead, ForwardState.PENDING: pending}
        states = [state for state, chosen in wanted.items() if chosen] or list(ForwardState)
        with _open(store, database) as inbox:
            found = inbox.messages(limit, states)
        if json_output:
            print_json({"schema": 1, "messages": [document(message) for message in found]})
        elif found:
            console_for().print(listing(found))
        else:
            say("nothing there")


@inbox_app.command("show")
def show(
    name: MessageId,
    store: StoreOption = DEFAULT_STORE,
    database: DatabaseOption = "",
    json_output: JsonFlag = False,
) -> None:
    """Show one message: text, attachments, what became of it."""
    with reported(json_output):
        from mmsprep.cli.inbox_tables import details
        from mmsprep.receive.report import document

        with _open(store, database) as inbox:
            found = inbox.find(name)
        if json_output:
            print_json(document(found))
        else:
            console_for().print(details(found))


@inbox_app.command("export")
def export(
    name: MessageId,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that is not there yet, or empty.")],
    store: StoreOption = DEFAULT_STORE,
    database: DatabaseOption = "",
) -> None:
    """Write one message's attachments and message.json into a folder."""
    with reported():
        from mmsprep.receive.report import export as write

        with _open(store, database) as inbox:
            paths = write(inbox, inbox.find(name), folder)
        for path in paths:
            put(str(path))


@inbox_app.command("forward")
def forward(
    target: Annotated[
        str,
        typer.Argument(metavar="TARGET", envvar="MMSPREP_FORWARD", help="A URL, or a command.", show_default=False),
    ],
    dead: Annotated[
        bool, typer.Option("--dead", help="Put those that were given up back into the queue first.")
    ] = False,
    store: StoreOption = DEFAULT_STORE,
    database: DatabaseOption = "",
) -> None:
    """Hand on once what waits; a receiver that was started with --forward goes on by itself."""
    with reported():
        from mmsprep.errors import ForwardError
        from mmsprep.receive import Forwarder
        from mmsprep.receive.logs import log_to_stderr
        from mmsprep.receive.queue import revive

        log_to_stderr()
        with _open(store, database) as inbox:
            forwarder = Forwarder(inbox, target)
            if dead:
                revive(inbox)
            tally = forwarder.once()
        say(f"{tally.done} forwarded, {tally.failed} failed and wait, {tally.given_up} given up")
        if tally.failed or tally.given_up:
            raise ForwardError("not everything could be handed on; 'mmsprep inbox list --pending' shows what waits")


def _open(store: str, database: str) -> Store:
    from mmsprep.receive import open_store

    return open_store(store, database, create=False)
