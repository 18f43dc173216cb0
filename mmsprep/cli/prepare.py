"""The prepare command: parse, call, print; no logic."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmsprep.cli.printing import (
    JsonFlag,
    ProfileOption,
    console_for,
    inputs_of,
    print_json,
    progress_bar,
    reported,
)
from mmsprep.errors import UsageError

if TYPE_CHECKING:
    from mmsprep.job import Job
    from mmsprep.message import Forecast, Message


class OnError(StrEnum):
    """What to do with an attachment that cannot be sent."""

    FAIL = "fail"
    SKIP = "skip"


def prepare(
    files: Annotated[
        list[str] | None,
        typer.Argument(metavar="FILE...", help="Files to send; a folder means its files, - reads one from stdin."),
    ] = None,
    message: Annotated[str, typer.Option("-m", "--message", help="The message's text.")] = "",
    message_file: Annotated[
        Path | None, typer.Option("--message-file", help="Read the message's text from a file, any encoding.")
    ] = None,
    subject: Annotated[str, typer.Option("-s", "--subject", help="The message's subject.")] = "",
    profile: ProfileOption = "smsglobal",
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the parts and message.json.")] = Path(
        "mms"
    ),
    limit: Annotated[str | None, typer.Option(help="Limit for the whole message, like 100k or 250000.")] = None,
    json_output: JsonFlag = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Plan and predict, write nothing.")] = False,
    on_error: Annotated[
        OnError, typer.Option(help="What to do when a file cannot be sent: fail, or skip it and say so.")
    ] = OnError.FAIL,
    trim: Annotated[
        bool, typer.Option("--trim", help="Cut clips and recordings that are too long to what fits.")
    ] = False,
    poster: Annotated[bool, typer.Option("--poster", help="Send the best frame of a clip that is too long.")] = False,
    split: Annotated[
        bool, typer.Option("--split", help="Make as few messages as needed, in DIR/1, DIR/2, ...")
    ] = False,
    priority: Annotated[
        list[str] | None,
        typer.Option(metavar="FILE=N", help="Give FILE more of the bytes; 2 asks for half the loss."),
    ] = None,
    keep_names: Annotated[bool, typer.Option("--keep-names", help="Name the parts after the originals.")] = False,
) -> None:
    """Make one message of FILES that fits the limit, and write its parts into a folder."""
    with reported(json_output):
        from mmsprep.job import Job

        if message and message_file:
            raise UsageError("give -m or --message-file, not both")
        job = Job(
            attachments=inputs_of(files or []),
            text=_read_text(message_file) if message_file else message,
            subject=subject,
            profile=profile,
            limit_bytes=parse_size(limit) if limit else None,
            on_error=on_error.value,
            trim=trim,
            poster=poster,
            keep_names=keep_names,
            priorities=_priorities(priority or []),
        )
        _prepare(job, output=output, json_output=json_output, dry_run=dry_run, split=split)


def _prepare(job: Job, *, output: Path, json_output: bool, dry_run: bool, split: bool) -> None:
    from mmsprep import pipeline

    with progress_bar(shown=not json_output) as progress:
        if dry_run:
            results: Sequence[Message | Forecast] = [pipeline.forecast(job, progress=progress)]
        elif split:
            results = pipeline.split(job, progress=progress)
        else:
            results = [pipeline.run(job, progress=progress)]
    folders = [output] if len(results) == 1 else [output / str(n) for n in range(1, len(results) + 1)]
    for result, folder in zip(results, folders, strict=True):
        if not dry_run:
            result.write(folder)  # type: ignore[union-attr]
    _show_results(results, folders, json_output=json_output, written=not dry_run)


def _show_results(
    results: Sequence[Message | Forecast], folders: Sequence[Path], *, json_output: bool, written: bool
) -> None:
    from mmsprep.report import SCHEMA, document, message_table, summary

    if json_output:
        documents = [document(result) for result in results]
        print_json(documents[0] if len(documents) == 1 else {"schema": SCHEMA, "messages": documents})
        return
    console = console_for(stderr=True)
    for result, folder in zip(results, folders, strict=True):
        console.print(message_table(result))
        console.print(summary(result), style="bold", highlight=False)
        for warning in result.warnings:
            console.print(f"note: {warning}", highlight=False, markup=False)
        if written:
            console.print(f"written to {folder}", highlight=False, markup=False, soft_wrap=True)


def parse_size(text: str) -> int:
    """Bytes of a size like ``300000``, ``300k``, ``300kB``, ``0.3M`` or ``293KiB``.

    Raises:
        UsageError: it is none.
    """
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([kKmM]?)([iI]?)[bB]?", text.strip().replace("_", ""))
    if match is None or (match[3] and not match[2]):
        raise UsageError(f"--limit {text}: expected a size like 300000, 300k, 0.3M or 293KiB")
    base = 1024 if match[3] else 1000
    size_bytes = int(float(match[1]) * base ** {"": 0, "k": 1, "m": 2}[match[2].lower()])
    if size_bytes <= 0:
        raise UsageError(f"--limit {text}: expected more than 0 bytes")
    return size_bytes


def _read_text(path: Path) -> str:
    """A text file in whatever encoding."""
    from mmsprep.errors import NotFound, OverInputLimit, TypeNotAllowed, Unreadable
    from mmsprep.settings import load_settings
    from mmsprep.tools.plaintext import decode

    limit = load_settings().max_text_bytes
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except FileNotFoundError:
        raise NotFound(str(path), "there is no such file") from None
    except OSError as error:
        raise Unreadable(str(path), f"cannot be read ({error.strerror})") from None
    if len(data) > limit:
        raise OverInputLimit(str(path), f"is longer than the {limit:,} bytes that a text may have")
    decoded = decode(data)
    if decoded is None:
        raise TypeNotAllowed(str(path), "is not a text; --message-file takes a text file")
    return decoded[0]


def _priorities(entries: Sequence[str]) -> dict[str, float]:
    priorities: dict[str, float] = {}
    for entry in entries:
        name, equals, value = entry.rpartition("=")
        try:
            weight = float(value)
        except ValueError:
            weight = 0.0
        if not equals or not 0.01 <= weight <= 100:
            raise UsageError(f"--priority {entry}: expected FILE=N with N from 0.01 to 100, like photo.jpg=2")
        priorities[name] = weight
    return priorities
