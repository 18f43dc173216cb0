"""The inbox commands: list, show, export and forward what came in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmsprep.cli.printing import JsonFlag, console_for, print_json, put, reported, say
from mmsprep.cli.receive import (
    DEFAULT_STORE,
    DatabaseOption,
    ForwardSecretFileOption,
    ForwardSecretOption,
    StoreOption,
)

if TYPE_CHECKING:
    from mmsprep.receive import Store

inbox_app = typer.Typer(help="What came in: list, show, export, forward, retry, drop, reread, prune.")

MessageId = Annotated[str, typer.Argument(metavar="ID", help="A message's id or key, or the beginning of its key.")]
MessageIds = Annotated[list[str], typer.Argument(metavar="ID...", help="Messages' ids or keys.")]


@inbox_app.callback(invoke_without_command=True)
def inbox(context: typer.Context, store: StoreOption = DEFAULT_STORE, database: DatabaseOption = "") -> None:
    """List what came in; 'inbox list --help' shows how."""
    if not context.invoked_subcommand:
        list_messages(store=store, database=database)
    chosen = {"store": store, "database": database}
    commands = ("list", "show", "export", "forward", "retry", "drop", "reread", "prune")
    context.default_map = dict.fromkeys(commands, chosen)


@inbox_app.command("list")
def list_messages(
    limit: Annotated[int, typer.Option("-n", "--limit", min=1, help="How many.")] = 50,
    dead: Annotated[bool, typer.Option("--dead", help="Only those whose forwarding was given up.")] = False,
    pending: Annotated[bool, typer.Option("--pending", help="Only those not yet forwarded.")] = False,
    unreadable: Annotated[
        bool,
        typer.Option("--unreadable", help="Pushes that could not be read, and why; 'inbox reread' tries them again."),
    ] = False,
    store: StoreOption = DEFAULT_STORE,
    database: DatabaseOption = "",
    json_output: JsonFlag = False,
) -> None:
    """List what came in, newest first."""
    with reported(json_output):
        from mmsprep.cli.inbox_tables import listing, unreadable_listing
        from mmsprep.receive.incoming import ForwardState
        from mmsprep.receive.report import document, unreadable_document

        if unreadable:
            with _open(store, database) as inbox:
                from mmsprep.receive.unreadable import listed

                pushes = listed(inbox, limit)
            if json_output:
                print_json({"schema": 1, "unreadable": [unreadable_document(push) for push in pushes]})
            elif pushes:
                console_for().print(unreadable_listing(pushes))
            else:
                say("nothing there")
            return
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
    """Write one message's attachments and message.json into a folder; of an unreadable push (u12), the request."""
    with reported():
        from mmsprep.errors import NotFound
        from mmsprep.receive.report import export as write
        from mmsprep.receive.report import export_unreadable

        with _open(store, database) as inbox:
            from mmsprep.receive.unreadable import raw_of

            try:
                paths = write(inbox, inbox.find(name), folder)
            except NotFound:
                if name[:1].lower() != "u":
                    raise
                paths = export_unreadable(raw_of(inbox, name), folder)
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
    secret: ForwardSecretOption = "",
    secret_file: ForwardSecretFileOption = None,
    store: StoreOption = DEFAULT_STORE,
    database: DatabaseOption = "",
) -> None:
    """Hand on once what waits; a receiver that was started with --forward goes on by itself."""
    with reported():
        from mmsprep.errors import ForwardError
        from mmsprep.receive import Forwarder
        from mmsprep.receive.environment import log_as_a_server, read_secret
        from mmsprep.receive.queue import revive

        log_as_a_server()
        secret = read_secret(secret_file) if secret_file else secret
        with _open(store, database) as inbox:
            forwarder = Forwarder(inbox, target, secret=secret)
            if dead:
                revive(inbox)
            tally = forwarder.once()
        say(f"{tally.done} forwarded, {tally.failed} failed and wait, {tally.given_up} given up")
        if tally.failed or tally.given_up:
            raise ForwardError("not everything could be handed on; 'mmsprep inbox list --pending' shows what waits")


@inbox_app.command("retry")
def retry(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]...", help="Messages' ids or keys; none: all that were given up.")
    ] = None,
    store: StoreOption = DEFAULT_STORE,
    database: DatabaseOption = "",
) -> None:
    """Put messages back into the queue, in their old places: those that were given up, or the named ones."""
    with reported():
        with _open(store, database) as inbox:
            from mmsprep.receive.queue import revive

            chosen = [inbox.find(name) for name in names] if names else None
            count = revive(inbox, chosen)
        say(f"{count} to be forwarded again")


@inbox_app.command("drop")
def drop(names: MessageIds, store: StoreOption = DEFAULT_STORE, database: DatabaseOption = "") -> None:
    """Take messages out of the queue for good, so that their senders' later ones go on; they stay in the store."""
    with reported():
        with _open(store, database) as inbox:
            from mmsprep.receive.queue import drop as take_out

            count = sum(take_out(inbox, inbox.find(name)) for name in names)
        say(f"{count} will not be forwarded")


@inbox_app.command("reread")
def reread(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]...", help="Unreadable pushes (u12); none: all of them.")
    ] = None,
    store: StoreOption = DEFAULT_STORE,
    database: DatabaseOption = "",
) -> None:
    """Read pushes again that could not be read when they came, as after an update."""
    with reported():
        from contextlib import closing

        from mmsprep.errors import MalformedPush
        from mmsprep.receive import Limits, Store  # noqa: F401 - the one that says which extra is missing
        from mmsprep.receive.intake import Intake
        from mmsprep.receive.read import CarefulReader
        from mmsprep.receive.unreadable import reread as read_again

        limits = Limits()
        with _open(store, database) as inbox, closing(CarefulReader(limits)) as reader:
            done = read_again(inbox, Intake(inbox, reader, limits).take_again, names or ())
        say(f"{done.stored} read and stored, {done.unreadable} still unreadable")
        if done.unreadable:
            raise MalformedPush("not everything could be read; 'mmsprep inbox list --unreadable' says why")


@inbox_app.command("prune")
def prune(
    older: Annotated[str, typer.Option("--older", metavar="AGE", help="How old: 90d, 12h, 2w, 1y.")],
    pending: Annotated[bool, typer.Option("--pending", help="Those that wait to be forwarded, too.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    store: StoreOption = DEFAULT_STORE,
    database: DatabaseOption = "",
) -> None:
    """Remove what came in long ago, and the attachments that nothing else needs."""
    with reported():
        from mmsprep.receive import Store  # noqa: F401 - the one that says which extra is missing
        from mmsprep.receive.retention import prune as remove
        from mmsprep.receive.retention import seconds_of

        age_s = seconds_of(older)
        with _open(store, database) as inbox:
            done = remove(inbox, age_s, waiting_too=pending, dry_run=dry_run)
        what = f"{done.messages} messages and {done.unreadable} unreadable pushes"
        if dry_run:
            say(f"{what} would go")
        else:
            say(f"{what} removed, and {done.attachments} files of {done.size_bytes:,} bytes that nothing else needs")
        if done.waiting:
            say(f"{done.waiting} that wait to be forwarded stay; --pending takes them, too")


def _open(store: str, database: str) -> Store:
    from mmsprep.receive import open_store

    return open_store(store, database, create=False)
