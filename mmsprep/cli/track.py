"""The commands about what was sent: track what became of it, look into the journal, settle what nobody knows."""

from __future__ import annotations

import getpass
import os
import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmsprep.cli.printing import JsonFlag, console_for, print_json, put, reported, say
from mmsprep.errors import NotFound, UsageError

if TYPE_CHECKING:
    from mmsprep.sender import Journal
    from mmsprep.sender.entry import Entry
    from mmsprep.tracking import Tracked

journal_app = typer.Typer(
    help="The journal of what was sent: list, show, settle what nobody knows.", no_args_is_help=True
)

_AGO = re.compile(r"([0-9]{1,6})\s*([smhdw])", re.ASCII)
_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}

JournalOption = Annotated[
    str,
    typer.Option(
        "--journal",
        envvar="MMSPREP_JOURNAL",
        metavar="FILE",
        help="The journal of the sends: a file, or postgresql://user@host/name.",
        show_default=False,
    ),
]
AttemptId = Annotated[
    str, typer.Argument(metavar="ID", help="A message id, or the beginning of a transaction id (six letters or more).")
]
ToOption = Annotated[str, typer.Option("--to", metavar="NUMBER", help="Only to this number.")]
CountryOption = Annotated[str, typer.Option("--country", metavar="XX", help="Complete a national number, like AU.")]
SinceOption = Annotated[
    str, typer.Option("--since", metavar="WHEN", help="Only from then on: 2h, 7d, 2026-11-28, 2026-11-28T09:00.")
]
KeyOption = Annotated[str, typer.Option("--key", metavar="WORD", help="Only those that were sent under this key.")]


def track(
    name: Annotated[
        str, typer.Argument(metavar="[ID]", help="A message id, a transaction id or its beginning; none: all.")
    ] = "",
    to: ToOption = "",
    country: CountryOption = "",
    since: SinceOption = "",
    key: KeyOption = "",
    limit: Annotated[int, typer.Option("-n", "--limit", min=1, help="How many, the newest.")] = 50,
    journal: JournalOption = "",
    store: Annotated[
        str,
        typer.Option(
            "--store", envvar="MMSPREP_STORE", help="The receiver's folder; default: mms-inbox, where it is there."
        ),
    ] = "",
    database: Annotated[
        str,
        typer.Option(
            "--database",
            envvar="MMSPREP_DATABASE",
            help="The receiver's database; not needed where the journal is in the same.",
            show_default=False,
        ),
    ] = "",
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on and tell every change as it happens.")] = False,
    json_output: JsonFlag = False,
) -> None:
    """Tell what became of sent messages: accepted, delivered, read, failed and why, unknown.

    The journal says what was sent, the receiver's store what was told about it; either alone will do.
    """
    with reported(json_output, one_line=follow):
        from mmsprep.tracking import follow as follow_changes
        from mmsprep.tracking import track as look
        from mmsprep.tracking import tracked_document

        inbox = database or store or _default_inbox(journal)
        moment = _moment(since) if since else None
        if follow:
            if name or to or key:
                raise UsageError("--follow tells of everything: give no ID, --to or --key with it")

            def tell(one: Tracked) -> None:
                if json_output:
                    print_json({"schema": 1, **tracked_document(one)}, one_line=True)
                else:
                    put(_line(one))

            with suppress(KeyboardInterrupt):
                follow_changes(tell, journal=journal or None, inbox=inbox or None, since=moment)
            return
        found = look(
            name,
            journal=journal or None,
            inbox=inbox or None,
            to=to,
            country=country,
            key=key,
            since=moment,
            newest=limit,
        )
        if json_output:
            print_json({"schema": 1, "messages": [tracked_document(one) for one in found]})
        elif found:
            from mmsprep.cli.track_tables import tracked_details, tracked_table

            console_for().print(tracked_details(found[0]) if name and len(found) == 1 else tracked_table(found))
        else:
            say("nothing there")


@journal_app.command("list")
def journal_list(
    to: ToOption = "",
    country: CountryOption = "",
    since: SinceOption = "",
    key: KeyOption = "",
    unknown: Annotated[bool, typer.Option("--unknown", help="Only those of which nobody knows.")] = False,
    limit: Annotated[int, typer.Option("-n", "--limit", min=1, help="How many, the newest.")] = 50,
    journal: JournalOption = "",
    json_output: JsonFlag = False,
) -> None:
    """List the attempts, oldest first."""
    with reported(json_output):
        from mmsprep.cli.track_tables import attempt_document, attempts_table
        from mmsprep.sender import msisdn
        from mmsprep.sender.entry import State

        with _open(journal) as book:
            found = book.entries(
                recipient=msisdn(to, country).digits if to else "",
                key=key,
                since_s=_moment(since).timestamp() if since else 0.0,
                newest=0 if unknown else limit,
            )
        if unknown:
            found = [entry for entry in found if entry.state is State.UNKNOWN][-limit:]
        if json_output:
            print_json({"schema": 1, "attempts": [attempt_document(entry) for entry in found]})
        elif found:
            console_for().print(attempts_table(found))
        else:
            say("nothing there")


@journal_app.command("show")
def journal_show(name: AttemptId, journal: JournalOption = "", json_output: JsonFlag = False) -> None:
    """Show one attempt: whom it went to, what became of it, who said so."""
    with reported(json_output):
        from mmsprep.cli.track_tables import attempt_details, attempt_document

        with _open(journal) as book:
            found = _one(book, name)
        if json_output:
            print_json({"schema": 1, **attempt_document(found)})
        else:
            console_for().print(attempt_details(found))


@journal_app.command("settle")
def journal_settle(
    name: AttemptId,
    arrived: Annotated[bool, typer.Option("--arrived", help="It arrived: never send it again.")] = False,
    not_arrived: Annotated[bool, typer.Option("--not-arrived", help="It did not: the next run may send it.")] = False,
    by: Annotated[str, typer.Option("--by", metavar="NAME", help="Who says so; default: your login.")] = "",
    message_id: Annotated[
        str, typer.Option("--message-id", metavar="ID", help="The gateway's id, where SMSGlobal could name it.")
    ] = "",
    journal: JournalOption = "",
    json_output: JsonFlag = False,
) -> None:
    """Record what you found out about an attempt of which nobody knew."""
    with reported(json_output):
        from mmsprep.cli.track_tables import attempt_document

        if arrived is not_arrived:
            raise UsageError("say what became of it: --arrived or --not-arrived")
        if message_id and not arrived:
            raise UsageError("--message-id is the id of a message that arrived")
        with _open(journal) as book:
            entry = _one(book, name)
            settled = book.decide(entry, arrived=arrived, person=by.strip() or _login(), message_id=message_id)
        if json_output:
            print_json({"schema": 1, **attempt_document(settled)})
        what = "arrived, and is never sent again" if arrived else "did not arrive, so the next run may send it"
        say(f"{settled.recipient}: {settled.person} says that it {what}")


def _open(journal: str) -> Journal:
    from mmsprep.sender import Journal

    if not journal:
        raise UsageError("which journal? --journal FILE, or MMSPREP_JOURNAL")
    return Journal(journal, existing=True)


def _one(journal: Journal, name: str) -> Entry:
    from mmsprep.sender.entry import State

    name = name.strip()
    if not name:
        raise UsageError("which attempt? Give its id; 'mmsprep journal list' shows them")
    found = journal.entries(name=name)
    if not found:
        raise NotFound(name, "no attempt in the journal has this id; 'mmsprep journal list' shows them")
    # Attempts of one send share their transaction id; the last one says how it stands.
    current = {entry.transaction_id: entry for entry in found}
    if len(current) > 1:
        standing = [entry for entry in current.values() if entry.state is State.UNKNOWN]
        if len(standing) != 1:
            names = ", ".join(entry.transaction_id[:12] for entry in current.values())
            raise UsageError(f"{name}: several attempts have this id; say which: {names}")
        return standing[0]
    return found[-1]


def _default_inbox(journal: str) -> str:
    """The receiver's usual folder, where it is there and the journal's database is not the receiver's."""
    from mmsprep.cli.receive import DEFAULT_STORE

    is_there = (Path(DEFAULT_STORE) / "inbox.sqlite3").is_file()
    return DEFAULT_STORE if is_there and "://" not in journal else ""


def _moment(text: str) -> datetime:
    """A date, or a time ago.

    Raises:
        UsageError: it is neither.
    """
    if found := _AGO.fullmatch(text.strip()):
        return datetime.now(UTC) - timedelta(seconds=int(found[1]) * _UNITS_S[found[2]])
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        raise UsageError(f"--since {text}: expected a time ago like 2h or 7d, or a date like 2026-11-28") from None


def _login() -> str:
    with suppress(OSError, KeyError):
        return getpass.getuser()
    return f"user {os.getuid()}" if hasattr(os, "getuid") else "a person"


def _line(one: Tracked) -> str:
    moment = datetime.fromtimestamp(one.changed_at_s).astimezone().strftime("%H:%M:%S")
    return " ".join(filter(None, (moment, one.recipient, one.status, one.message_id, one.reason)))
