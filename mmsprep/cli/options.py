"""The options that say what a message is made of, shared by the commands that prepare one.

Comes in: what stood on the command line. Goes out: a :class:`Job`. Never: work.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmsprep.cli.printing import inputs_of
from mmsprep.errors import OutputError, UsageError, reason_of
from mmsprep.model import Phones

if TYPE_CHECKING:
    from mmsprep.pipeline.job import Job


class OnError(StrEnum):
    """What to do with an attachment that cannot be sent."""

    FAIL = "fail"
    SKIP = "skip"


class SendDoor(StrEnum):
    """The gateway's doors."""

    HTTP = "http"
    MM7 = "mm7"


Files = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="FILE...",
        help="Files to send; a folder means its files, - reads one from stdin, clip.mp4[0:12-0:20] is a piece.",
    ),
]
TextOption = Annotated[str, typer.Option("-m", "--message", help="The message's text.")]
TextFileOption = Annotated[
    Path | None, typer.Option("--message-file", help="Read the message's text from a file, any encoding.")
]
SubjectOption = Annotated[str, typer.Option("-s", "--subject", help="The message's subject.")]
LimitOption = Annotated[str | None, typer.Option("--limit", help="Limit for the whole message, like 100k or 250000.")]
OnErrorOption = Annotated[
    OnError, typer.Option("--on-error", help="What to do when a file cannot be sent: fail, or skip it and say so.")
]
SplitFlag = Annotated[
    bool, typer.Option("--split", help="Make as few messages as needed, in folders 1, 2, ... of the output.")
]
TrimFlag = Annotated[bool, typer.Option("--trim", help="Cut clips and recordings that are too long to what fits.")]
PosterFlag = Annotated[bool, typer.Option("--poster", help="Send the best frame of a clip that is too long.")]
_CUT_FROM = "Send a clip or recording from here on: 12s, 1:05 or 1:02:03."
_CUT_TO = "... and up to here; where there are several, say it for each: clip.mp4[0:12-0:20]."
FromOption = Annotated[str, typer.Option("--from", "--cut-from", metavar="MOMENT", help=_CUT_FROM)]
ToOption = Annotated[str, typer.Option("--to", "--cut-to", metavar="MOMENT", help=_CUT_TO)]
_EACH_FROM = "Take every clip and recording from here on: 12s, 1:05; one that says so, clip.mp4[0:12-0:20], its own."
EachFromOption = Annotated[str, typer.Option("--from", "--cut-from", metavar="MOMENT", help=_EACH_FROM)]
EachToOption = Annotated[
    str, typer.Option("--to", "--cut-to", metavar="MOMENT", help="... and up to here, or to its end.")
]
CutFromOption = Annotated[str, typer.Option("--cut-from", metavar="MOMENT", help=_CUT_FROM)]
CutToOption = Annotated[str, typer.Option("--cut-to", metavar="MOMENT", help=_CUT_TO)]
"""Where ``--from`` and ``--to`` are numbers."""
SlidesFlag = Annotated[
    bool,
    typer.Option("--slides", help="Show a clip's scenes as pictures, each as long as it stood, over its sound."),
]
PagesFlag = Annotated[
    bool,
    typer.Option("--pages/--no-pages", help="Cut a tall picture of lettering where it would be illegible as one part."),
]
PriorityOption = Annotated[
    list[str] | None,
    typer.Option("--priority", metavar="FILE=N", help="Give FILE more of the bytes; 2 asks for half the loss."),
]
EachPriorityOption = Annotated[
    list[str] | None,
    typer.Option("--priority", metavar="FILE=N", help="Give FILE more of the bytes in every message that has one."),
]
QualityOption = Annotated[
    str,
    typer.Option(
        "--quality",
        metavar="low|medium|high|N",
        help="What every part is to reach, for --split, --trim and --poster; N is 0..100.",
    ),
]
BestEffortFlag = Annotated[
    bool, typer.Option("--best-effort", help="Send what stays below its quality floor, with a warning.")
]
ReportOption = Annotated[
    str,
    typer.Option("--report", metavar="delivery,read", help="Have the relay tell that it was delivered, read (mm7)."),
]
ExpiryOption = Annotated[
    str, typer.Option("--expiry", metavar="WHEN", help="Give up what is not delivered by then: 2d, 36h, a date (mm7).")
]
EarliestOption = Annotated[
    str, typer.Option("--earliest", metavar="WHEN", help="Deliver it not before: 2h, 2026-12-01T10:00 (mm7).")
]
PriorityClassOption = Annotated[
    str, typer.Option("--priority-class", metavar="low|normal|high", help="How urgent phones show it to be (mm7).")
]
HtmlOption = Annotated[
    Path | None,
    typer.Option("--html", metavar="FILE", help="Write a page that shows every file before and after."),
]
CountryOption = Annotated[
    str, typer.Option("--country", metavar="XX", help="Complete national numbers, like AU for 0409317436.")
]
ViaOption = Annotated[SendDoor, typer.Option("--via", help="The gateway's door: its HTTP form, or MM7.")]
TextAtEndFlag = Annotated[bool, typer.Option("--text-at-end", help="Show the text last, not first.")]
ResendUnknownFlag = Annotated[
    bool, typer.Option("--resend-unknown", help="Send again where the journal does not know the outcome.")
]
AttemptsOption = Annotated[
    int, typer.Option("--attempts", min=1, max=20, help="How often to try a busy or unreachable gateway.")
]
GatewayOption = Annotated[
    str, typer.Option("--gateway", metavar="URL", help="Another gateway, like https://api.smsglobal.com.")
]
SandboxFlag = Annotated[
    bool, typer.Option("--sandbox", help="Send to a sandbox on this machine; starts one where none is running.")
]
SplitSendFlag = Annotated[
    bool, typer.Option("--split", help="Make as few messages as needed; each recipient gets all of them, in order.")
]
KeepNamesFlag = Annotated[bool, typer.Option("--keep-names", help="Name the parts after the originals.")]


def job_of(
    files: Sequence[str],
    *,
    text: str,
    text_file: Path | None,
    subject: str,
    profile: str,
    phones: Phones,
    limit: str | None,
    trim: bool,
    poster: bool,
    keep_names: bool,
    quality: str,
    best_effort: bool,
    on_error: OnError = OnError.FAIL,
    priority: Sequence[str] = (),
    slides: bool = False,
    pages: bool = True,
    cut_from: str = "",
    cut_to: str = "",
) -> Job:
    """The job that the options ask for.

    Raises:
        MmsprepError: an option makes no sense, or the text's file cannot be read.
    """
    from mmsprep.pipeline.job import Job
    from mmsprep.profile import variant_of

    if text and text_file:
        raise UsageError("give -m or --message-file, not both")
    return Job(
        attachments=inputs_of(files),
        text=_read_text(text_file) if text_file else text,
        subject=subject,
        profile=variant_of(profile, phones),
        limit_bytes=parse_size(limit) if limit else None,
        on_error=on_error.value,
        trim=trim,
        poster=poster,
        keep_names=keep_names,
        quality=parse_quality(quality),
        best_effort=best_effort,
        slides=slides,
        pages=pages,
        from_s=parse_moment(cut_from, "--from"),
        to_s=parse_moment(cut_to, "--to"),
        priorities=parse_priorities(priority),
    )


def check_new_file(path: Path | None, *, force: bool) -> None:
    """Refuse a file to write that is there already, before any work is done.

    Raises:
        OutputError: it is, and ``force`` does not say to replace it.
    """
    with suppress(OSError):
        # What cannot be looked up, its name too long or its folder closed, is told of where it is written.
        if path is not None and path.exists() and not force:
            raise OutputError(f"{path}: is there already and stays as it is; --force replaces it")


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


def refuse_moments(*numbers: tuple[str, str]) -> None:
    """Refuse a place in a recording where an option takes a telephone number.

    Raises:
        UsageError: the value of one of the options can be nothing else.
    """
    for option, value in numbers:
        if re.fullmatch(r"[0-9.]+s|[0-9]+(:[0-9]{1,2}){1,2}(\.[0-9]+)?", value.strip()):
            raise UsageError(f"{option} {value}: {option} takes a number here; --cut{option[1:]} cuts a recording")


def parse_moment(text: str, option: str) -> float | None:
    """A place in a recording, in seconds; ``None`` for no text.

    Raises:
        UsageError: it is none; the message names ``option``.
    """
    from mmsprep.pipeline.intake import as_moment

    return as_moment(text, option) if text else None


def parse_quality(text: str) -> float | None:
    """A quality of a word or a number; ``None`` for no text.

    Raises:
        UsageError: it is neither.
    """
    from mmsprep.pipeline.job import as_quality

    try:
        return as_quality(float(text)) if re.fullmatch("[0-9.]+", text) else as_quality(text or None)
    except (UsageError, ValueError):
        raise UsageError(f"--quality {text}: expected low, medium, high, or a number from 0 to 100") from None


def _read_text(path: Path) -> str:
    """A text file in whatever encoding."""
    from mmsprep.errors import NotFound, OverInputLimit, TypeNotAllowed, Unreadable
    from mmsprep.formats.text import decode
    from mmsprep.settings import load_settings

    limit = load_settings().max_text_bytes
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except FileNotFoundError:
        raise NotFound(str(path), "there is no such file") from None
    except OSError as error:
        raise Unreadable(str(path), f"cannot be read ({reason_of(error)})") from None
    if len(data) > limit:
        raise OverInputLimit(str(path), f"is longer than the {limit:,} bytes that a text may have")
    decoded = decode(data)
    if decoded is None:
        raise TypeNotAllowed(str(path), "is not a text; --message-file takes a text file")
    return decoded[0]


def parse_priorities(entries: Sequence[str]) -> dict[str, float]:
    """What ``FILE=N`` says for each file.

    Raises:
        UsageError: an entry says no such thing.
    """
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
