"""The commands for whole folders: batch and watch. Parse, call, print; no logic."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmsprep.cli.options import (
    BestEffortFlag,
    EachFromOption,
    EachPriorityOption,
    EachToOption,
    HtmlOption,
    KeepNamesFlag,
    LimitOption,
    OnError,
    OnErrorOption,
    PagesFlag,
    PosterFlag,
    QualityOption,
    SlidesFlag,
    SplitFlag,
    TrimFlag,
    parse_moment,
    parse_priorities,
    parse_quality,
    parse_size,
)
from mmsprep.cli.printing import ForOption, ProfileOption, Stopped, console_for, print_json, put, reported, say, waiting
from mmsprep.errors import EmptyFolder, OutputError, UsageError, reason_of
from mmsprep.model import Phones
from mmsprep.printable import json_text

if TYPE_CHECKING:
    from mmsprep.batch import Batch, ItemOutcome
    from mmsprep.batch.gallery import Gallery

_SOME_FAILED = 10

Source = Annotated[str, typer.Argument(metavar="IN", help="A folder, or an address like s3://bucket/prefix.")]
Target = Annotated[str, typer.Argument(metavar="OUT", help="Where results go; made if it is not there.")]
Each = Annotated[
    str,
    typer.Option(
        metavar="WHAT",
        help="What becomes one result: every file, every folder, or every row of a MANIFEST.csv or .jsonl.",
    ),
]
Jobs = Annotated[int | None, typer.Option("-j", "--jobs", min=1, help="Worker processes; one a core by default.")]
ExecutorOption = Annotated[
    str, typer.Option("--executor", metavar="WHERE", help="Where the work is done: local, serial, dask://HOST:8786.")
]
Lines = Annotated[bool, typer.Option("--json", help="Print one JSON object a result on stdout, as they finish.")]


def batch(
    source: Source,
    target: Target,
    profile: ProfileOption = "smsglobal",
    phones: ForOption = Phones.USUAL,
    each: Each = "file",
    jobs: Jobs = None,
    executor: ExecutorOption = "local",
    resume: Annotated[
        bool, typer.Option("--resume/--no-resume", help="Do only what is missing or changed; or everything again.")
    ] = True,
    limit: LimitOption = None,
    on_error: OnErrorOption = OnError.FAIL,
    trim: TrimFlag = False,
    poster: PosterFlag = False,
    split: SplitFlag = False,
    quality: QualityOption = "",
    best_effort: BestEffortFlag = False,
    slides: SlidesFlag = False,
    pages: PagesFlag = True,
    cut_from: EachFromOption = "",
    cut_to: EachToOption = "",
    priority: EachPriorityOption = None,
    keep_names: KeepNamesFlag = False,
    fail_fast: Annotated[bool, typer.Option("--fail-fast", help="Start nothing new after the first failure.")] = False,
    report: Annotated[Path | None, typer.Option(help="Write all outcomes into a file, one JSON object a line.")] = None,
    html: HtmlOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done with every file; encode and write nothing.")
    ] = False,
    json_output: Lines = False,
) -> None:
    """Convert a whole folder; a later run does only what is missing or changed."""
    from mmsprep.batch import Batch
    from mmsprep.batch.gallery import Gallery
    from mmsprep.profile import variant_of

    with reported(json_output, one_line=True):
        if dry_run and (html or report):
            raise UsageError("--dry-run writes nothing; leave out --html and --report")
        for option, path in (("--report", report), ("--html", html)):
            if path:
                _check_apart(option, path, source)
        wanted = Batch(
            source=source,
            target=target,
            each=each,
            profile=variant_of(profile, phones),
            limit_bytes=parse_size(limit) if limit else None,
            on_error=on_error.value,
            trim=trim,
            poster=poster,
            split=split,
            quality=parse_quality(quality),
            best_effort=best_effort,
            slides=slides,
            pages=pages,
            from_s=parse_moment(cut_from, "--from"),
            to_s=parse_moment(cut_to, "--to"),
            priorities=parse_priorities(priority or []),
            keep_names=keep_names,
            resume=resume,
            fail_fast=fail_fast,
        )
        if dry_run:
            raise typer.Exit(_foresee(wanted, json_output=json_output))
        gallery = Gallery() if html else None
        status = _run(wanted, executor, jobs, report, gallery, json_output=json_output)
        if gallery and html:
            _write_page(gallery, wanted, html, shown=not json_output)
        raise typer.Exit(status)


def _foresee(wanted: Batch, *, json_output: bool) -> int:
    from mmsprep.batch.foresee import Foresight, foresee, foreseen_document
    from mmsprep.cli.batch_foreseen import foreseen_lines, foreseen_summary
    from mmsprep.cli.batch_progress import NOTHING_TO_CUT

    found = []
    for one in foresee(wanted):
        found.append(one)
        if json_output:
            print_json(foreseen_document(one), one_line=True)
        else:
            for line in foreseen_lines(one):
                put(line)
    if not found:
        raise EmptyFolder(wanted.source, "there is nothing in it to convert")
    if not json_output:
        say(foreseen_summary(found))
        looked_at = [file for one in found for file in one.files]
        if wanted.job.span and looked_at and not any(file.is_timed for file in looked_at):
            say(NOTHING_TO_CUT)
    return _SOME_FAILED if any(one.status is Foresight.REFUSE for one in found) else 0


def _write_page(gallery: Gallery, wanted: Batch, html: Path, *, shown: bool) -> None:
    from mmsprep.batch.storage import open_storage
    from mmsprep.message.folder import write_new_file
    from mmsprep.settings import load_settings

    with waiting("making the page", shown=shown):
        page = gallery.page(open_storage(wanted.source), open_storage(wanted.target), load_settings())
    # As a report, it is of the last run.
    write_new_file(page.encode(), html, overwrite=True)
    say(f"before and after: {html}")


def _run(
    wanted: Batch, executor: str, jobs: int | None, report: Path | None, gallery: Gallery | None, *, json_output: bool
) -> int:
    from mmsprep.batch.tree import open_batch
    from mmsprep.cli.batch_progress import Tally, live

    tally = Tally()
    console = console_for(stderr=True)
    try:
        with (
            _report_to(report) as write_report,
            open_batch(wanted, executor=executor, worker_count=jobs) as opened,
            live(opened, tally, shown=not (json_output and sys.stdout.isatty())),
        ):
            items = opened.items() if gallery is None else gallery.noting(opened.items())
            for outcome in opened.outcomes(items, tally.add):
                write_report(outcome)
                if gallery is not None:
                    gallery.add(outcome)
                if json_output:
                    _print(outcome)
    except KeyboardInterrupt as error:
        say(f"stopped after {tally.done:,}; the same command goes on from there")
        return 128 + (error.signal if isinstance(error, Stopped) else signal.SIGINT)
    if not tally.done:
        raise EmptyFolder(wanted.source, "there is nothing in it to convert")
    if not json_output:
        console.print(tally.table())
        console.print(tally.summary(wanted.target), style="bold", soft_wrap=True)
        for line in (*tally.problems(), *tally.remarks(cuts=wanted.job.span is not None)):
            say(line)
    return _SOME_FAILED if tally.failed else 0


def watch(
    source: Source,
    target: Target,
    profile: ProfileOption = "smsglobal",
    phones: ForOption = Phones.USUAL,
    each: Each = "file",
    jobs: Jobs = None,
    executor: ExecutorOption = "local",
    settle: Annotated[
        float, typer.Option(min=0.1, metavar="SECONDS", help="How long a file must rest before it is read.")
    ] = 2.0,
    limit: LimitOption = None,
    on_error: OnErrorOption = OnError.FAIL,
    trim: TrimFlag = False,
    poster: PosterFlag = False,
    split: SplitFlag = False,
    quality: QualityOption = "",
    best_effort: BestEffortFlag = False,
    slides: SlidesFlag = False,
    pages: PagesFlag = True,
    cut_from: EachFromOption = "",
    cut_to: EachToOption = "",
    priority: EachPriorityOption = None,
    keep_names: KeepNamesFlag = False,
    json_output: Lines = False,
) -> None:
    """Convert what is in a folder and whatever appears in it, until stopped with Ctrl-C."""
    from mmsprep.batch import Batch
    from mmsprep.profile import variant_of

    with reported(json_output, one_line=True):
        from mmsprep.batch.watch import watch as watched

        wanted = Batch(
            source=source,
            target=target,
            each=each,
            profile=variant_of(profile, phones),
            limit_bytes=parse_size(limit) if limit else None,
            on_error=on_error.value,
            trim=trim,
            poster=poster,
            split=split,
            quality=parse_quality(quality),
            best_effort=best_effort,
            slides=slides,
            pages=pages,
            from_s=parse_moment(cut_from, "--from"),
            to_s=parse_moment(cut_to, "--to"),
            priorities=parse_priorities(priority or []),
            keep_names=keep_names,
        )
        tell = _print if json_output else _tell
        begun = None if json_output else lambda: say("watching; Ctrl-C stops")
        with suppress(KeyboardInterrupt):
            for outcome in watched(
                wanted,
                settle_s=settle,
                executor=executor,
                worker_count=jobs,
                begun=begun,
                note=lambda words: say(f"note: {words}"),
            ):
                tell(outcome)


def _tell(outcome: ItemOutcome) -> None:
    from mmsprep.cli.batch_progress import failure_lines
    from mmsprep.message.wording import size_words

    if outcome.made:
        names = ", ".join(f"{file.name} ({size_words(file.size_bytes)})" for file in outcome.made.outputs)
        say(f"{outcome.id}: {names}")
    for line in failure_lines(outcome):
        say(line)


def _print(outcome: ItemOutcome) -> None:
    from mmsprep.batch.outcome import outcome_document

    print_json(outcome_document(outcome), one_line=True)


def _check_apart(option: str, path: Path, source: str) -> None:
    folder = Path(source).resolve()
    if path.resolve().is_relative_to(folder):
        raise UsageError(f"{option} {path}: lies in the input and would be converted next time; put it elsewhere")


@contextmanager
def _report_to(path: Path | None) -> Iterator[Callable[[ItemOutcome], object]]:
    """A file that has all outcomes when the batch came to its end, and is not there otherwise."""
    from mmsprep.batch.outcome import outcome_document

    if path is None:
        yield lambda _: None
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".mmsprep-", dir=path.parent)
    except OSError as error:
        raise OutputError(f"--report {path}: cannot be written ({reason_of(error)})") from error
    staged = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            yield lambda outcome: file.write(json_text(outcome_document(outcome)) + "\n")
        staged.chmod(0o644)
        staged.replace(path)
    except BaseException:
        staged.unlink(missing_ok=True)
        raise
