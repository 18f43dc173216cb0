"""The send command: parse, call, ask, print; no logic."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmsprep.cli.ahead import once_loaded
from mmsprep.cli.options import (
    AttemptsOption,
    BestEffortFlag,
    CountryOption,
    CutFromOption,
    CutToOption,
    EarliestOption,
    ExpiryOption,
    Files,
    GatewayOption,
    KeepNamesFlag,
    LimitOption,
    OnError,
    OnErrorOption,
    PagesFlag,
    PosterFlag,
    PriorityClassOption,
    PriorityOption,
    QualityOption,
    ReportOption,
    ResendUnknownFlag,
    SandboxFlag,
    SendDoor,
    SlidesFlag,
    SplitSendFlag,
    SubjectOption,
    TextAtEndFlag,
    TextFileOption,
    TextOption,
    TrimFlag,
    ViaOption,
    job_of,
    refuse_moments,
)
from mmsprep.cli.printing import (
    ForOption,
    JsonFlag,
    ProfileOption,
    VerboseFlag,
    ask,
    console_for,
    print_json,
    progress_bar,
    put,
    reported,
    say,
    say_error,
    say_words,
)
from mmsprep.errors import MmsprepError, UsageError
from mmsprep.model import Phones

if TYPE_CHECKING:
    from mmsprep.delivery import Delivery
    from mmsprep.errors import EarlierOutcomeUnknown
    from mmsprep.message import Message
    from mmsprep.pipeline.job import Job
    from mmsprep.sender import Account


def send(
    to: Annotated[
        list[str],
        typer.Option("--to", metavar="NUMBER", help="Recipient, like 61409317436; may be given several times."),
    ],
    files: Files = None,
    message: TextOption = "",
    message_file: TextFileOption = None,
    subject: SubjectOption = "",
    sender: Annotated[
        str,
        typer.Option("--from", metavar="NUMBER", help="Appear from your dedicated number; by mm7 also a short code."),
    ] = "",
    via: ViaOption = SendDoor.HTTP,
    report: ReportOption = "",
    expiry: ExpiryOption = "",
    earliest: EarliestOption = "",
    priority_class: PriorityClassOption = "",
    text_at_end: TextAtEndFlag = False,
    country: CountryOption = "",
    yes: Annotated[
        bool, typer.Option("-y", "--yes", help="Send without asking; needed where nobody can be asked.")
    ] = False,
    journal: Annotated[
        str | None,
        typer.Option(
            "--journal",
            envvar="MMSPREP_JOURNAL",
            metavar="FILE",
            help="Remember what was sent, so that a re-run sends the rest only: a file, or postgresql://user@host/name.",
        ),
    ] = None,
    key: Annotated[
        str,
        typer.Option("--key", metavar="WORD", help="What the journal takes for the same send; another: send it again."),
    ] = "",
    resend_unknown: ResendUnknownFlag = False,
    refit: Annotated[
        bool, typer.Option("--refit", help="Refused for its content: prepare it smaller and plainer, at most twice.")
    ] = False,
    attempts: AttemptsOption = 4,
    gateway: GatewayOption = "",
    sandbox: SandboxFlag = False,
    profile: ProfileOption = "smsglobal",
    phones: ForOption = Phones.USUAL,
    limit: LimitOption = None,
    on_error: OnErrorOption = OnError.FAIL,
    trim: TrimFlag = False,
    poster: PosterFlag = False,
    split: SplitSendFlag = False,
    quality: QualityOption = "",
    best_effort: BestEffortFlag = False,
    slides: SlidesFlag = False,
    pages: PagesFlag = True,
    cut_from: CutFromOption = "",
    cut_to: CutToOption = "",
    priority: PriorityOption = None,
    keep_names: KeepNamesFlag = False,
    json_output: JsonFlag = False,
    verbose: VerboseFlag = 0,
) -> None:
    """Make one message of FILES, or with --split several, and send it to each recipient; a prepared folder is sent as
    it is.

    The account comes from SMSGLOBAL_USERNAME and SMSGLOBAL_PASSWORD or the settings file. Accepted message ids go
    to stdout, one a line.
    """
    with reported(json_output):
        from mmsprep.campaign.merge import has_fields
        from mmsprep.sender import Patience, SubmitOptions, check_says, msisdn, origin

        refuse_moments(("--from", sender), *(("--to", number) for number in to))
        options = SubmitOptions(report, expiry, earliest, priority_class)
        whose = origin(sender, country) if sender else None
        check_says(via.value, whose, options)
        numbers = [msisdn(number, country) for number in to]
        recipients = list(dict.fromkeys(number.digits for number in numbers))
        folder = _prepared_folder(files or [])
        job = job_of(
            [] if folder else files or [],
            text=message,
            text_file=message_file,
            subject=subject,
            profile=profile,
            phones=phones,
            limit=limit,
            on_error=on_error,
            trim=trim,
            poster=poster,
            priority=priority or [],
            keep_names=keep_names,
            quality=quality,
            best_effort=best_effort,
            slides=slides,
            pages=pages,
            cut_from=cut_from,
            cut_to=cut_to,
        )
        if has_fields(job.text) or has_fields(job.subject):
            say("note: {...} in the text goes out as it is; mmsprep campaign fills in fields for everybody on a list")
        if key and not journal:
            raise UsageError("--key is what a journal goes by: give --journal, too")
        asks = can_ask() and not json_output
        if not (yes or sandbox or asks):
            raise UsageError("nobody can be asked here whether to send; add --yes")
        notes = [number.note for number in numbers if number.note]
        notes += [whose.note] if whose and whose.note else []
        notes += ["a number that is given twice is sent to once"] if len(recipients) < len(to) else []
        for note in notes:
            say(f"note: {note}")
        with account_for(gateway, sandbox) as account:
            ready, same = _ready(folder, job, split=split, refit=refit, json_output=json_output)
            if not json_output:
                _show(ready, recipients, account, via.value, sender, verbose=bool(verbose))
            if not (yes or sandbox or ask("Send it?" if len(ready) == 1 else f"Send all {len(ready)}?")):
                say("not sent")
                raise typer.Exit(130)
            from mmsprep.delivery import deliver

            deliveries = deliver(
                ready,
                to=recipients,
                account=account,
                via=via.value,
                sender=sender,
                text_at_end=text_at_end,
                options=options,
                country=country,
                journal=journal,
                key=key or same,
                resend_unknown=resend_unknown or (_ask if asks and not yes else False),
                refit=job if refit else None,
                patience=Patience(attempts=attempts),
            )
            status = _report(deliveries, ready, recipients, json_output=json_output)
        if status:
            raise typer.Exit(status)


@contextmanager
def account_for(gateway: str, sandbox: bool, keep: int = 100) -> Iterator[Account]:
    """The account; with ``--sandbox`` that of a local gateway, which is started where none is listening.

    A sandbox that is started keeps ``keep`` requests.
    """
    from mmsprep.sender.account import load_account, sandbox_account
    from mmsprep.sender.http import is_listening

    if not sandbox:
        yield load_account(gateway)
        return
    if gateway:
        raise UsageError("give --gateway or --sandbox, not both")
    account = sandbox_account()
    if is_listening(account.url):
        yield account
        say(f"the phone shows it at {account.url}")
        return
    from mmsprep.sandbox import DEFAULT_PORT, Sandbox

    with Sandbox(port=DEFAULT_PORT, username=account.username, password=account.password, keep=keep):
        yield account
        if sys.stderr.isatty():
            with suppress(KeyboardInterrupt):
                say(f"the phone shows it at {account.url}; Ctrl-C ends the sandbox")
                threading.Event().wait()


def can_ask() -> bool:
    """Whether somebody sits at the terminal."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def _ask(error: EarlierOutcomeUnknown) -> bool:
    return ask(*error.lines, "Send it again?")


def _prepared_folder(files: Sequence[str]) -> Path | None:
    """The folder of a prepared message, where that is what was given."""
    from mmsprep.message.folder import REPORT_NAME

    folders = [Path(file) for file in files if file != "-" and (Path(file) / REPORT_NAME).is_file()]
    if folders and len(files) > 1:
        raise UsageError(f"{folders[0]}: is a prepared message, which is sent as it is; give nothing else with it")
    return folders[0] if folders else None


def _ready(
    folder: Path | None, job: Job, *, split: bool, refit: bool, json_output: bool
) -> tuple[Sequence[Message], str]:
    """The message or messages, and what makes it the same send in another run."""
    from mmsprep import pipeline
    from mmsprep.delivery import key_of
    from mmsprep.message import read_message
    from mmsprep.pipeline.job import Job

    if split and refit:
        raise UsageError("--refit prepares one message again; leave out --split, or --refit")
    if folder is None:
        with progress_bar(shown=not json_output) as bar:
            progress = once_loaded(bar)
            made = pipeline.split(job, progress=progress) if split else [pipeline.run(job, progress=progress)]
            return made, key_of(job)
    if split:
        raise UsageError(f"{folder}: is a prepared message, which is sent as it is; --split is for prepare")
    if refit:
        raise UsageError("--refit prepares again from the originals: give those, not the prepared folder")
    if job != Job(attachments=()):
        raise UsageError(
            f"{folder}: is a prepared message, which is sent as it is; text, subject, profile, limit and the like"
            " were settled when it was prepared"
        )
    message = read_message(folder)
    return [message], message.sha256


def _show(
    messages: Sequence[Message], recipients: Sequence[str], account: Account, via: str, sender: str, *, verbose: bool
) -> None:
    from mmsprep.cli.message_table import MessageTable, summary

    console = console_for(stderr=True)
    for number, message in enumerate(messages, start=1):
        if len(messages) > 1:
            say(f"message {number} of {len(messages)}:")
        console.print(MessageTable(message, verbose=verbose))
        console.print(summary(message), style="bold")
        say_words(message)
        for warning in message.warnings:
            say(f"note: {warning}")
    origin = f" from {sender}" if sender else ""
    say(f"to {', '.join(recipients)}{origin}, by {via} through {account.url} as {account.username}")


def _report(
    deliveries: Iterator[Delivery], messages: Sequence[Message], recipients: Sequence[str], *, json_output: bool
) -> int:
    """Print each as it happens.

    Returns:
        The exit status: what is worst about them all.
    """
    from mmsprep.cli.documents import delivery_document

    done: list[Delivery] = []
    stopped: BaseException | None = None
    try:
        for delivery in deliveries:
            for step in delivery.steps[len(done[-1].steps) if done else 0 :]:
                say(step)
            done.append(delivery)
            _tell(delivery, json_output=json_output)
    except BaseException as error:
        stopped = error
    problem = stopped if isinstance(stopped, MmsprepError) else None
    if json_output:
        print_json(delivery_document(done, messages, problem))
    if stopped is None:
        return _exit_status(done)
    _tell_left(recipients[len(done) // len(messages) :], interrupted=problem is None)
    if isinstance(stopped, (KeyboardInterrupt, typer.Abort)):
        raise typer.Exit(128 + getattr(stopped, "signal", signal.SIGINT))
    if problem and json_output:
        say_error(problem)
        raise typer.Exit(problem.exit_status)
    raise stopped


def _tell_left(left: Sequence[str], *, interrupted: bool) -> None:
    """Who was not reached when it stopped in the middle; the first of them is the one it stopped at."""
    if not left:
        return
    if interrupted:
        say(f"interrupted at {left[0]}, who may have been sent to; --journal would know")
    if left[1:]:
        say(f"not sent to {', '.join(left[1:])}")


def _tell(delivery: Delivery, *, json_output: bool) -> None:
    if delivery.error is not None:
        # What was not tried says so itself.
        if delivery.which and delivery.which not in str(delivery.error):
            say(f"{delivery.recipient}: {delivery.which} did not go out:")
        say_error(delivery.error)
        return
    receipt = delivery.receipt
    assert receipt is not None
    if not json_output:
        put(receipt.message_id)
    how = f"{delivery.which} " if delivery.which else ""
    how += "was accepted in an earlier run" if receipt.earlier else "accepted"
    say(f"{receipt.recipient}: {how}, id {receipt.message_id}")


def _exit_status(deliveries: Sequence[Delivery]) -> int:
    """0: all accepted; an unknown outcome before everything else; one status for all that failed alike, else 10."""
    statuses = {delivery.error.exit_status if delivery.error else 0 for delivery in deliveries}
    if 12 in statuses:
        return 12
    return statuses.pop() if len(statuses) == 1 else 10
