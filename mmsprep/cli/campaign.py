"""The campaign command: parse, call, show, ask, tell how far it is; no logic."""

from __future__ import annotations

import signal
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mmsprep.cli.campaign_preview import estimate, preview, tell_checked
from mmsprep.cli.campaign_progress import Told, sent
from mmsprep.cli.options import (
    AttemptsOption,
    BestEffortFlag,
    CountryOption,
    CutFromOption,
    CutToOption,
    EarliestOption,
    ExpiryOption,
    GatewayOption,
    KeepNamesFlag,
    LimitOption,
    OnError,
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
    ask,
    print_json,
    reported,
    say,
    say_error,
)
from mmsprep.cli.send import account_for, can_ask
from mmsprep.errors import MmsprepError, TooManyFailures, UsageError
from mmsprep.model import Phones

if TYPE_CHECKING:
    from mmsprep.campaign import Campaign


def campaign(
    people: Annotated[Path, typer.Argument(metavar="PEOPLE", help="The list: CSV of a spreadsheet, or JSON lines.")],
    files: Annotated[
        list[str] | None,
        typer.Argument(metavar="[FILE]...", help="Files that all get; {Field} is filled in."),
    ] = None,
    message: TextOption = "",
    message_file: TextFileOption = None,
    subject: SubjectOption = "",
    to_column: Annotated[
        str, typer.Option("--to-column", metavar="NAME", help="The column with the numbers; default: it is found.")
    ] = "",
    country: CountryOption = "",
    exceptions: Annotated[
        list[Path] | None, typer.Option("--except", metavar="FILE", help="Numbers that are not sent to.")
    ] = None,
    respect_stop: Annotated[
        bool, typer.Option("--respect-stop", help="Leave out whoever replied STOP (the receiver's store knows).")
    ] = False,
    store: Annotated[
        str, typer.Option("--store", envvar="MMSPREP_STORE", help="The receiver's folder, for --respect-stop.")
    ] = "mms-inbox",
    database: Annotated[
        str,
        typer.Option("--database", envvar="MMSPREP_DATABASE", help="The receiver's database.", show_default=False),
    ] = "",
    on_error: Annotated[
        OnError, typer.Option("--on-error", help="A row that cannot be sent to: refuse the list, or skip the row.")
    ] = OnError.FAIL,
    sender: Annotated[str, typer.Option("--from", metavar="NUMBER", help="Appear from your dedicated number.")] = "",
    via: ViaOption = SendDoor.HTTP,
    report: ReportOption = "",
    expiry: ExpiryOption = "",
    earliest: EarliestOption = "",
    priority_class: PriorityClassOption = "",
    text_at_end: TextAtEndFlag = False,
    per_second: Annotated[
        float, typer.Option("--per-second", metavar="N", min=0, help="Begin N messages a second at most; 0: no limit.")
    ] = 0.0,
    at_once: Annotated[int, typer.Option("--at-once", min=1, max=64, help="Requests under way together.")] = 8,
    max_failures: Annotated[
        str, typer.Option("--max-failures", metavar="N|N%", help="Stop after N failures in a row, or N% of all.")
    ] = "10",
    price: Annotated[float, typer.Option("--price", min=0, help="What a message costs, for the estimate.")] = 0.0,
    yes: Annotated[
        bool, typer.Option("-y", "--yes", help="Begin without asking; needed where nobody can be asked.")
    ] = False,
    journal: Annotated[
        str,
        typer.Option(
            "--journal",
            envvar="MMSPREP_JOURNAL",
            metavar="FILE",
            help="What was sent, so that a second run goes on; default: PEOPLE with .journal.db behind it.",
            show_default=False,
        ),
    ] = "",
    key: Annotated[
        str,
        typer.Option(
            "--key", metavar="WORD", help="What makes two runs the same campaign; default: its words and files."
        ),
    ] = "",
    resend_unknown: ResendUnknownFlag = False,
    report_csv: Annotated[
        Path, typer.Option("--report-csv", metavar="FILE", help="A row a person: what became of them.")
    ] = Path("report.csv"),
    attempts: AttemptsOption = 4,
    gateway: GatewayOption = "",
    sandbox: SandboxFlag = False,
    profile: ProfileOption = "smsglobal",
    phones: ForOption = Phones.USUAL,
    limit: LimitOption = None,
    trim: TrimFlag = False,
    poster: PosterFlag = False,
    quality: QualityOption = "",
    best_effort: BestEffortFlag = False,
    slides: SlidesFlag = False,
    pages: PagesFlag = True,
    cut_from: CutFromOption = "",
    cut_to: CutToOption = "",
    priority: PriorityOption = None,
    keep_names: KeepNamesFlag = False,
    json_output: JsonFlag = False,
) -> None:
    """Send everybody on a list a message in their own words: mmsprep campaign people.csv photo.jpg -m "Hi {Name}".

    Everything is checked and shown before the first request. Run it again to go on: nobody gets it twice.
    """
    with reported(json_output):
        from mmsprep.campaign import Failures, Pace, Rendered, check
        from mmsprep.campaign.report import check_place, kept_as
        from mmsprep.campaign.sending import Sending, campaign_key
        from mmsprep.sender import Journal, Patience, SubmitOptions, check_says, origin

        refuse_moments(("--from", sender))
        options = SubmitOptions(report, expiry, earliest, priority_class)
        check_says(via.value, origin(sender, country) if sender else None, options)
        pace, failures = Pace(at_once=at_once, per_second=per_second), Failures.of(max_failures)
        check_place(report_csv)
        job = job_of(
            [],
            text=message,
            text_file=message_file,
            subject=subject,
            profile=profile,
            phones=phones,
            limit=limit,
            trim=trim,
            poster=poster,
            keep_names=keep_names,
            quality=quality,
            best_effort=best_effort,
            slides=slides,
            pages=pages,
            cut_from=cut_from,
            cut_to=cut_to,
            priority=priority or [],
        )
        asked = _asked(
            people,
            files or [],
            job=job,
            to_column=to_column,
            country=country,
            exceptions=exceptions or [],
            inbox=(database or store) if respect_stop else "",
            skip_invalid=on_error is OnError.SKIP,
        )
        checked = check(asked)
        tell_checked(checked)
        if not checked.to_send:
            raise UsageError("nobody is left to send to; nothing was sent")
        if not (yes or sandbox or (can_ask() and not json_output)):
            raise UsageError("nobody can be asked here whether to begin; add --yes")
        with (
            account_for(gateway, sandbox, keep=min(10_000, checked.to_send + 100)) as account,
            Journal(journal or f"{people}.journal.db") as book,
            Rendered(checked) as rendered,
        ):
            same = key or campaign_key(asked)
            largest_bytes = preview(checked, rendered)
            estimate(checked, pace, largest_bytes, price, book, same, account.url)
            say(f"by {via.value} through {account.url} as {account.username}; journal {book.name}")
            say(f"key {same}")
            if not (yes or sandbox or ask("Begin?")):
                say("nothing was sent")
                raise typer.Exit(130)
            sending = Sending(
                account=account,
                via=via.value,
                sender=sender,
                text_at_end=text_at_end,
                options=options,
                resend_unknown=resend_unknown,
                patience=Patience(attempts=attempts),
            )
            told = Told(checked.to_send, shown=not json_output)
            problem = sent(checked, rendered, sending, book, same, pace, failures, told)
            from mmsprep.campaign import write_report

            earlier = kept_as(report_csv, asked, same, account.url)
            counts = write_report(
                report_csv, asked, journal=book, key=same, gateway=account.url, problems=told.unprepared
            )
            if json_output:
                print_json(_document(counts, report_csv, same, problem))
            if earlier:
                say(f"note: {report_csv} was of another campaign, which is kept as {earlier}")
            _conclude(counts, report_csv, problem, told)


def _asked(
    people: Path,
    files: list[str],
    *,
    job: Any,
    to_column: str,
    country: str,
    exceptions: list[Path],
    inbox: str,
    skip_invalid: bool,
) -> Campaign:
    from mmsprep.campaign import Campaign, Template, read_people
    from mmsprep.campaign.checked import numbers_in, stopped_in
    from mmsprep.receive.reports import open_reports

    listed = read_people(people, to_column=to_column, country=country)
    excluded = frozenset[str]().union(*(numbers_in(path, country) for path in exceptions))
    stopped = frozenset[str]()
    if inbox:
        with open_reports(inbox) as reports:
            stopped = stopped_in(reports, country)
    return Campaign(
        people=listed,
        text=Template(job.text),
        subject=Template(job.subject),
        files=tuple(Template(name) for name in files),
        job=job,
        country=country,
        excluded=excluded,
        stopped=stopped,
        skip_invalid=skip_invalid,
    )


def _conclude(counts: Counter[str], report_csv: Path, problem: MmsprepError | None, told: Told) -> None:
    for state, count in sorted(counts.items()):
        say(f"{count:>10,} {state.replace('_', ' ')}")
    say(f"{report_csv} says what became of everybody")
    if counts["unknown"]:
        say("who is unknown is not sent to again by itself; 'mmsprep journal settle' records what you find out")
    if problem is not None:
        say_error(problem)
        say("run it again to go on with those who are left")
        raise typer.Exit(problem.exit_status if not isinstance(problem, TooManyFailures) else _status(counts) or 10)
    if told.interrupted:
        say("interrupted; run it again to go on")
        raise typer.Exit(128 + signal.SIGINT)
    if status := _status(counts):
        raise typer.Exit(status)


def _status(counts: Counter[str]) -> int:
    """12 where anybody's outcome is unknown, 10 where somebody was not reached, 0."""
    if counts["unknown"] or counts["sending"]:
        return 12
    return (
        10 if any(counts[state] for state in ("rejected", "not_sent", "not_reached", "not_prepared", "released")) else 0
    )


def _document(counts: Counter[str], report_csv: Path, key: str, problem: MmsprepError | None) -> dict[str, Any]:
    error = {"code": problem.code, "message": str(problem)} if problem else None
    return {"schema": 1, "key": key, "people": dict(sorted(counts.items())), "report": str(report_csv), "error": error}
