"""The sandbox commands: the local gateway, and an incoming MMS pushed to a URL."""

from __future__ import annotations

import mimetypes
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmsprep.cli.printing import JsonFlag, print_json, reported, say
from mmsprep.errors import UsageError, reason_of

if TYPE_CHECKING:
    from mmsprep.sandbox import PushDelivery

sandbox_app = typer.Typer(help="A local gateway to develop and test against, with a page that shows the phone.")


@sandbox_app.callback(invoke_without_command=True)
def sandbox(
    context: typer.Context,
    host: Annotated[str, typer.Option(help="Address to listen on; anything but this machine's own is up to you.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = 8765,
    username: Annotated[str, typer.Option(help="The account's user name.")] = "sandbox",
    keep: Annotated[int, typer.Option(min=1, max=10_000, help="How many requests are kept.")] = 100,
    notify: Annotated[
        str,
        typer.Option(
            metavar="URL", help="Tell this address what becomes of each message; MM7's reports go to URL/mm7."
        ),
    ] = "",
    notice: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NOTICE",
            help="What --notify tells of the next message, in place of delivered: expired, failed, read, late, twice,"
            " out-of-order, or a status like REJECTD; with delay_s=N, err=N, method=get, times=N (0: all)."
            " May be given several times.",
        ),
    ] = None,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FAULT",
            help="A fault for the next request: 4006, 503, drop-before-reply, garbage, html, delay; with delay_s=N,"
            " retry_after_s=N, times=N, door=form or door=mm7, like delay,delay_s=3. May be given several times.",
        ),
    ] = None,
) -> None:
    """Run the gateway until interrupted.

    The password is sandbox, or what MMSPREP_SANDBOX_PASSWORD says.
    """
    if context.invoked_subcommand:
        return
    with reported():
        from mmsprep.sandbox import Sandbox, parse_fault, parse_notice

        faults = [parse_fault(one) for one in fault or []]
        notices = [parse_notice(one) for one in notice or []]
        if notices and not notify:
            raise UsageError("--notice says what is told: give --notify, the address that is told")
        password = os.environ.get("MMSPREP_SANDBOX_PASSWORD") or "sandbox"
        gateway = Sandbox(
            host=host,
            port=port,
            username=username,
            password=password,
            keep=keep,
            faults=faults,
            notify=notify,
            notices=notices,
        )
        say(f"the phone   {gateway.url}")
        say(f"form        {gateway.form_url}")
        say(f"MM7         {gateway.mm7_url}")
        say(f"account     {username}; nothing leaves this machine; Ctrl-C ends it")
        for one in faults:
            say(f"fault       {one}")
        for one_notice in notices:
            say(f"notice      {one_notice}")
        gateway.serve()


@sandbox_app.command("push")
def sandbox_push(
    url: Annotated[str, typer.Argument(help="Your script that takes incoming MMS, like http://localhost:8080/mms.")],
    files: Annotated[list[Path] | None, typer.Argument(metavar="[FILE]...", help="Attachments.")] = None,
    message: Annotated[str, typer.Option("-m", "--message", help="The text.")] = "",
    subject: Annotated[str, typer.Option("-s", "--subject", help="The subject.")] = "",
    sender: Annotated[str, typer.Option("--from", help="The handset's number.")] = "61409317436",
    id: Annotated[str, typer.Option("--id", help="SMSGlobal's id of it; default: a new one.")] = "",
    attempts: Annotated[int, typer.Option(min=1, max=20, help="How often to push until the answer is OK.")] = 5,
    json_output: JsonFlag = False,
) -> None:
    """Push an incoming MMS to URL as SMSGlobal does, until it answers OK."""
    with reported(json_output):
        from mmsprep.errors import NotFound, Unreadable
        from mmsprep.sandbox.push import HandsetMessage, Persistence, PushedFile, document, new_id, push

        attached = []
        for path in files or []:
            try:
                data = path.read_bytes()
            except FileNotFoundError:
                raise NotFound(str(path), "there is no such file") from None
            except OSError as error:
                raise Unreadable(str(path), f"cannot be read ({reason_of(error)})") from None
            attached.append(PushedFile(path.name, _type_of(path), data))
        incoming = HandsetMessage(
            sender=sender, id=id or new_id(), subject=subject, message=message, files=tuple(attached)
        )
        told = (lambda _: None) if json_output else _tell
        delivery = push(incoming, url, persistence=Persistence(attempts=attempts), progress=told)
        if json_output:
            print_json({"schema": 1, **document(delivery)})
        if not delivery.ok:
            say("error: the script did not answer OK; SMSGlobal would go on pushing")
            raise typer.Exit(11)


@sandbox_app.command("notify")
def sandbox_notify(
    url: Annotated[str, typer.Argument(help="Your receiver, like http://localhost:8025/the-secret.")],
    message_id: Annotated[str, typer.Argument(metavar="ID", help="The id that the message was accepted under.")],
    what: Annotated[
        str,
        typer.Argument(metavar="WHAT", help="delivered, expired, failed, read, late, twice, out-of-order, or REJECTD."),
    ] = "delivered",
    to: Annotated[str, typer.Option("--to", help="The handset's number.")] = "61409317436",
    mm7: Annotated[bool, typer.Option("--mm7", help="As MM7's reports, to URL/mm7.")] = False,
    attempts: Annotated[int, typer.Option(min=1, max=20, help="How often to push until it is taken.")] = 5,
    json_output: JsonFlag = False,
) -> None:
    """Tell URL what became of a message, as SMSGlobal does, until it is taken. WHAT takes the keys of --notice."""
    with reported(json_output):
        import time

        from mmsprep.sandbox.exchange import Door
        from mmsprep.sandbox.notices import Sent, document, notifications, parse_notice
        from mmsprep.sandbox.push import Persistence, push

        door = Door.MM7 if mm7 else Door.FORM
        due = notifications(parse_notice(what), Sent(message_id=message_id, number=to, door=door, wants_read=mm7))
        told = (lambda _: None) if json_output else _tell
        documents, is_taken, waited_s = [], True, 0.0
        for delay_s, notification in due:
            time.sleep(delay_s - waited_s)
            waited_s = delay_s
            delivery = push(notification, url, persistence=Persistence(attempts=attempts), progress=told)
            documents.append(document(delivery, notification))
            is_taken = is_taken and delivery.ok
        if json_output:
            print_json({"schema": 1, "notices": documents})
        if not is_taken:
            say("error: the receiver did not take it; SMSGlobal would go on pushing")
            raise typer.Exit(11)


def _type_of(path: Path) -> str:
    more = {".3gp": "video/3gpp", ".amr": "audio/amr", ".mid": "audio/midi", ".imy": "text/x-imelody"}
    return more.get(path.suffix.lower()) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"


def _tell(delivery: PushDelivery) -> None:
    if not delivery.attempts:
        say(f"pushing id {delivery.pushed.id} to {delivery.url}")
        return
    last = delivery.attempts[-1]
    status = f"HTTP {last.http_status} " if last.http_status else ""
    verdict = "OK" if last.ok else f"{status}{last.answer[:200] or '(empty answer)'}"
    say(f"attempt {len(delivery.attempts)}: {verdict} ({last.took_s:.2f} s)")
