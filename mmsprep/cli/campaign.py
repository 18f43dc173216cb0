"""The campaign command: parse, call, show, ask, tell how far it is; no logic."""

from __future__ import annotations

import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mmsprep.cli.options import (
    AttemptsOption,
    BestEffortFlag,
    CountryOption,
    EarliestOption,
    ExpiryOption,
    GatewayOption,
    KeepNamesFlag,
    LimitOption,
    OnError,
    PosterFlag,
    PriorityClassOption,
    QualityOption,
    ReportOption,
    ResendUnknownFlag,
    SandboxFlag,
    SendDoor,
    SubjectOption,
    TextAtEndFlag,
    TextFileOption,
    TextOption,
    TrimFlag,
    ViaOption,
    job_of,
)
from mmsprep.cli.printing import (
    ForOption,
    JsonFlag,
    ProfileOption,
    ask,
    console_for,
    print_json,
    reported,
    say,
    say_error,
)
from mmsprep.cli.send import account_for, can_ask
from mmsprep.errors import MmsprepError, TooManyFailures, UsageError
from mmsprep.model import Phones

if TYPE_CHECKING:
    from mmsprep.campaign import Campaign, Checked, Outcome, Pace, Rendered
    from mmsprep.message import Message

_PREVIEWS = 3
_TELL_EVERY_S = 5.0
_SOONEST_GROUPS = 20
"""So many different sets of files are prepared before anything is asked; of more, each when its turn comes."""
_WORDS = {
    "send": "to be sent to",
    "duplicate": "twice in the list",
    "excluded": "on the list of exceptions",
    "stopped": "replied STOP",
    "invalid": "cannot be sent to",
}


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
    keep_names: KeepNamesFlag = False,
    json_output: JsonFlag = False,
) -> None:
    """Send everybody on a list a message in their own words: mmsprep campaign people.csv photo.jpg -m "Hi {Name}".

    Everything is checked and shown before the first request. Run it again to go on: nobody gets it twice.
    """
    with reported(json_output):
        from mmsprep.campaign import Failures, Pace, Rendered, check
        from mmsprep.campaign.report import check_place
        from mmsprep.campaign.sending import Sending, campaign_key
        from mmsprep.sender import Journal, Patience, SubmitOptions, check_says, origin

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
        _tell_checked(checked)
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
            largest_bytes = _preview(checked, rendered)
            _estimate(checked, pace, largest_bytes, price, book, same, account.url)
            say(f"by {via.value} through {account.url} as {account.username}; journal {book.name}, key {same[:12]}")
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
            told = _Told(checked.to_send, shown=not json_output)
            problem = _sent(checked, rendered, sending, book, same, pace, failures, told)
            from mmsprep.campaign import write_report

            counts = write_report(
                report_csv, asked, journal=book, key=same, gateway=account.url, problems=told.unprepared
            )
            if json_output:
                print_json(_document(counts, report_csv, same, problem))
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


def _tell_checked(checked: Checked) -> None:
    people = checked.campaign.people
    delimiter = {"\t": "tab"}.get(people.delimiter, people.delimiter)
    form = f"CSV with {delimiter!r}" if people.format == "csv" else "JSON"
    say(f"{people.path}: {sum(checked.counts.values()):,} people, {form}, columns {', '.join(people.columns)}")
    how = "; --to-column names another" if people.guessed else ""
    say(f"numbers are in {people.to_column!r}{how}")
    for verdict, count in checked.counts.items():
        if count:
            say(f"{count:>10,} {_WORDS[verdict]}")
    for problem in checked.problems:
        say(f"  {problem}")


def _preview(checked: Checked, rendered: Rendered) -> int:
    """Show the first three messages, and prepare the others where they are few; returns the largest one's bytes."""
    from mmsprep.campaign.checked import Verdict, Words, decisions
    from mmsprep.cli.message_table import MessageTable

    console = console_for(stderr=True)
    largest_bytes = 0
    going = (one for one in decisions(checked.campaign) if one.verdict is Verdict.SEND)
    shown: set[tuple[str, ...]] = set()
    for place, one in enumerate(islice(going, _PREVIEWS), start=1):
        assert one.words is not None
        message = rendered.message(one.words)
        largest_bytes = max(largest_bytes, message.total_bytes)
        where = f"line {one.person.line}, to {one.recipient}"
        say(f"--- {place} of {checked.to_send:,}: {where}, {message.total_bytes:,} bytes")
        _show_words(message)
        if one.words.files not in shown:
            shown.add(one.words.files)
            if one.words.files:
                console.print(MessageTable(message))
            for warning in message.warnings:
                say(f"note: {warning}")
    if len(checked.groups) <= _SOONEST_GROUPS:
        for files, group in checked.groups.items():
            largest_bytes = max(largest_bytes, rendered.message(Words(group.text, group.subject, files)).total_bytes)
    return largest_bytes


def _show_words(message: Message) -> None:
    for name, value in (("subject", message.subject), ("text", message.text)):
        if value:
            first, *more = value.splitlines()
            say(f"{name}: {first}")
            for line in more:
                say(f"{'':{len(name)}}  {line}")


def _estimate(
    checked: Checked, pace: Pace, largest_bytes: int, price: float, journal: Any, key: str, gateway: str
) -> None:
    from mmsprep.sender.entry import State

    known = Counter(entry.state for entry in journal.entries(key=key, gateway=gateway.rstrip("/")))
    earlier = known[State.ACCEPTED] + known[State.UNKNOWN] + known[State.SENDING]
    left = max(0, checked.to_send - earlier)
    if earlier:
        unknown = known[State.UNKNOWN] + known[State.SENDING]
        say(f"the journal has {known[State.ACCEPTED]:,} of them already, and {unknown:,} of which nobody knows")
    megabytes = left * largest_bytes * 4 / 3 / 1_000_000
    say(f"{left:,} messages, up to {largest_bytes:,} bytes each, about {megabytes:,.1f} MB to upload")
    if pace.per_second:
        say(f"at {pace.per_second:g} a second: {_span(left / pace.per_second)} at least")
    else:
        say(f"{pace.at_once} at once, as fast as the gateway answers (--per-second limits it)")
    if price:
        say(f"at {price:g} each: {left * price:,.2f}")


class _Told:
    """How far it is: a bar with the time left on a terminal, a line now and then elsewhere."""

    def __init__(self, total: int, *, shown: bool) -> None:
        self.total = total
        self.counts: Counter[str] = Counter()
        self.unprepared: dict[int, str] = {}
        self.interrupted = False
        self._shown = shown
        self._began_s = self._told_s = time.monotonic()
        self._update: Any = None

    @contextmanager
    def bar(self) -> Iterator[None]:
        """Where it is shown."""
        console = console_for(stderr=True)
        if not (self._shown and console.is_terminal):
            yield
            return
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
        words = TextColumn("{task.description}", markup=False)
        with Progress(*columns, words, console=console) as progress:
            task = progress.add_task("", total=self.total)
            self._update = lambda: progress.update(task, completed=sum(self.counts.values()), description=self._words())
            yield
            self._update = None

    def note(self, outcome: Outcome) -> None:
        """One more."""
        from mmsprep.errors import SendError

        receipt, error = outcome.receipt, outcome.error
        if receipt is not None:
            self.counts["earlier" if receipt.earlier else "accepted"] += 1
        elif error is not None:
            self.counts[error.code] += 1
            if not isinstance(error, SendError):
                self.unprepared[outcome.decided.person.line] = str(error)
            if self.counts[error.code] <= 10:
                for line in error.lines:
                    say(f"line {outcome.decided.person.line}: {line}")
            elif self.counts[error.code] == 11:
                say(f"more of these are in the report alone ({error.code})")
        if self._update is not None:
            self._update()
        elif self._shown and time.monotonic() - self._told_s >= _TELL_EVERY_S:
            self._told_s = time.monotonic()
            done = sum(self.counts.values())
            left_s = (self.total - done) * (self._told_s - self._began_s) / max(1, done)
            say(f"{done:,} of {self.total:,}: {self._words()}; about {_span(left_s)} left")

    def _words(self) -> str:
        return ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in self.counts.items())


def _sent(
    checked: Checked, rendered: Rendered, sending: Any, journal: Any, key: str, pace: Pace, failures: Any, told: _Told
) -> MmsprepError | None:
    """Send; Ctrl-C and SIGTERM end it after what is under way."""
    from mmsprep.campaign import run

    stop = threading.Event()

    def end(_number: int, _frame: object) -> None:
        told.interrupted = True
        stop.set()

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with told.bar():
            outcomes = run(
                checked, rendered, sending, journal=journal, key=key, pace=pace, failures=failures, stop=stop
            )
            for outcome in outcomes:
                told.note(outcome)
    except MmsprepError as error:
        return error
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return None


def _conclude(counts: Counter[str], report_csv: Path, problem: MmsprepError | None, told: _Told) -> None:
    for state, count in sorted(counts.items()):
        say(f"{count:>10,} {state.replace('_', ' ')}")
    say(f"{report_csv} says what became of everybody")
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


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
