"""The prepare command: parse, call, print; no logic."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmsprep.cli.ahead import once_loaded
from mmsprep.cli.options import (
    BestEffortFlag,
    Files,
    FromOption,
    HtmlOption,
    KeepNamesFlag,
    LimitOption,
    OnError,
    OnErrorOption,
    PagesFlag,
    PosterFlag,
    PriorityOption,
    QualityOption,
    SlidesFlag,
    SplitFlag,
    SubjectOption,
    TextFileOption,
    TextOption,
    ToOption,
    TrimFlag,
    check_new_file,
    job_of,
)
from mmsprep.cli.printing import (
    ForOption,
    JsonFlag,
    ProfileOption,
    VerboseFlag,
    console_for,
    print_json,
    progress_bar,
    reported,
    say,
    waiting,
)
from mmsprep.errors import UsageError
from mmsprep.model import Phones

if TYPE_CHECKING:
    from mmsprep.message import Forecast, Message
    from mmsprep.pipeline.job import Job


def prepare(
    files: Files = None,
    message: TextOption = "",
    message_file: TextFileOption = None,
    subject: SubjectOption = "",
    profile: ProfileOption = "smsglobal",
    phones: ForOption = Phones.USUAL,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the parts and message.json.")] = Path(
        "mms"
    ),
    limit: LimitOption = None,
    json_output: JsonFlag = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Plan and predict, write nothing.")] = False,
    on_error: OnErrorOption = OnError.FAIL,
    trim: TrimFlag = False,
    poster: PosterFlag = False,
    split: SplitFlag = False,
    quality: QualityOption = "",
    best_effort: BestEffortFlag = False,
    slides: SlidesFlag = False,
    pages: PagesFlag = True,
    cut_from: FromOption = "",
    cut_to: ToOption = "",
    priority: PriorityOption = None,
    keep_names: KeepNamesFlag = False,
    force: Annotated[bool, typer.Option("--force", help="Replace another message that DIR holds.")] = False,
    html: HtmlOption = None,
    verbose: VerboseFlag = 0,
) -> None:
    """Make one message of FILES that fits the limit, and write its parts into a folder."""
    with reported(json_output):
        if html and dry_run:
            raise UsageError("--html shows what was made; leave out --dry-run")
        check_new_file(html, force=force)
        job = job_of(
            files or [],
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
        results = _made(job, dry_run=dry_run, split=split, shown=not json_output)
        folders = _written(results, output, force=force)
        if html:
            _write_page(results, job, html, force=force, shown=not json_output)
        if json_output:
            _print(results)
        else:
            _show(results, folders, verbose=bool(verbose))
            if html:
                say(f"before and after: {html}")


def _made(job: Job, *, dry_run: bool, split: bool, shown: bool) -> Sequence[Message | Forecast]:
    from mmsprep import pipeline

    with progress_bar(shown=shown) as bar:
        progress = once_loaded(bar)
        if split:
            make = pipeline.forecast_split if dry_run else pipeline.split
            return make(job, progress=progress)
        return [(pipeline.forecast if dry_run else pipeline.run)(job, progress=progress)]


def _written(results: Sequence[Message | Forecast], output: Path, *, force: bool) -> Sequence[Path | None]:
    """The folder of each message; a forecast has none."""
    from mmsprep.message import Message, write_messages

    messages = [one for one in results if isinstance(one, Message)]
    return write_messages(messages, output, overwrite=force) if messages else [None] * len(results)


def _write_page(results: Sequence[Message | Forecast], job: Job, html: Path, *, force: bool, shown: bool) -> None:
    from mmsprep.message import Message
    from mmsprep.message.folder import write_new_file
    from mmsprep.preview import messages_page
    from mmsprep.settings import load_settings

    messages = [one for one in results if isinstance(one, Message)]
    with waiting("making the page", shown=shown):
        page = messages_page(messages, job.attachments, load_settings())
    write_new_file(page.encode(), html, overwrite=force)


def _print(results: Sequence[Message | Forecast]) -> None:
    from mmsprep.message.document import SCHEMA, document

    documents = [document(result) for result in results]
    print_json(documents[0] if len(documents) == 1 else {"schema": SCHEMA, "messages": documents})


def _show(results: Sequence[Message | Forecast], folders: Sequence[Path | None], *, verbose: bool) -> None:
    from mmsprep.cli.message_table import MessageTable, summary

    console = console_for(stderr=True)
    for result, folder in zip(results, folders, strict=True):
        console.print(MessageTable(result, verbose=verbose))
        console.print(summary(result), style="bold")
        for warning in result.warnings:
            say(f"note: {warning}")
        if folder:
            say(f"written to {folder}")
