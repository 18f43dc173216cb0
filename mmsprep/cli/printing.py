"""What every command shares: the one way out for text, progress, errors as messages and exit statuses.

Whatever the command line says leaves through here: :func:`say`, :func:`put`, :func:`ask`, :func:`print_json` and
:func:`console_for`. Text of strangers is made harmless here, so that no command has to think of it.
"""

from __future__ import annotations

import errno
import logging
import math
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mmsprep.errors import MmsprepError, OutputError, SeveralErrors, ToolMissing, UsageError, reason_of
from mmsprep.model import Phones
from mmsprep.printable import json_text, printable

if TYPE_CHECKING:
    from rich.console import Console

    from mmsprep.message import Message
    from mmsprep.model import Progress, ProgressCallback
    from mmsprep.pipeline.intake import AttachmentInput

_NARROWEST_TABLE = 110
_WIDEST_BAR, _ROOM_FOR_TIME = 40, 70
_BESIDE_BAR, _OF_TIME, _LEAST_NAME = len(" 100% about 59:59 left looking at "), len(" 0:00:00"), 8
"""Columns: of the bar at most; of a terminal in which the time that has passed has room; of what stands beside the bar
but the name, and of that time; a name that would get less is left out."""
_TERMINAL_VARIABLES = {"FORCE_COLOR", "TTY_COMPATIBLE"}
"""With these rich takes for a terminal what is none."""
_TOO_SOON_S, _TOO_LITTLE = 2.0, 0.05
"""Before this nobody can tell how long it will take."""
_Misuse: type[Exception] = typer.BadParameter.__mro__[2]
"""What typer raises for a command line that it cannot read; only some of its versions have a public name for it."""
_FULL = (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC))


def profiles_that_begin(incomplete: str) -> list[str]:
    """For the shell's completion."""
    from mmsprep.profile import network_names, profile_names

    return [name for name in (*profile_names(), *network_names()) if name.startswith(incomplete)]


ProfileOption = Annotated[
    str,
    typer.Option(
        "-p",
        "--profile",
        help="A profile's name, or the path of a .toml file.",
        autocompletion=profiles_that_begin,
    ),
]
VerboseFlag = Annotated[
    int,
    typer.Option(
        "-v",
        "--verbose",
        count=True,
        show_default=False,
        help="Say all reasons, and what takes how long (-vv: every program run, too).",
    ),
]
ForOption = Annotated[
    Phones, typer.Option("--for", help="Phones of which years: old (2005 to 2011), usual, modern (of the last ten).")
]
JsonFlag = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]


def inputs_of(files: Sequence[str]) -> tuple[AttachmentInput, ...]:
    """The files, with ``-`` read from standard input."""
    if list(files).count("-") > 1:
        raise UsageError("- (standard input) can be given once")
    return tuple(("stdin", _read_stdin()) if name == "-" else name for name in files)


def _read_stdin() -> bytes:
    from mmsprep.pipeline.intake import read_in_pieces
    from mmsprep.settings import load_settings

    return read_in_pieces(sys.stdin.buffer, load_settings().max_input_bytes + 1, "stdin")


@contextmanager
def progress_bar(*, shown: bool) -> Iterator[ProgressCallback | None]:
    """A live bar on a terminal, from the first step that is told on; nothing elsewhere."""
    if not shown or not _may_be_terminal():
        yield None
        return
    lock = threading.Lock()
    update: ProgressCallback | None = None
    with ExitStack() as until_here:

        def tell(step: Progress) -> None:
            nonlocal update
            with lock:
                update = update or until_here.enter_context(_bar())
                update(step)

        yield tell
        # Whoever still has something to tell comes too late.
        with lock:
            update = _ignore


def _may_be_terminal() -> bool:
    """Whether rich may take standard error for a terminal, without loading it."""
    if _TERMINAL_VARIABLES & os.environ.keys():
        return True
    return sys.stderr is not None and not sys.stderr.closed and sys.stderr.isatty()


def _ignore(step: Progress) -> None:
    """Tell nobody."""


@contextmanager
def _bar() -> Iterator[ProgressCallback]:
    console = console_for(stderr=True)
    if not console.is_terminal:
        yield _ignore
        return
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    from mmsprep.cli.names import shortened

    bar_width = min(_WIDEST_BAR, console.width // 5)
    time_column = [TimeElapsedColumn()] if console.width >= _ROOM_FOR_TIME else []
    for_name = console.width - bar_width - _BESIDE_BAR - _OF_TIME * len(time_column)
    words = {"look": "looking at", "open": "opening", "encode": "encoding", "check": "checking"}
    columns = (
        BarColumn(bar_width=bar_width),
        TaskProgressColumn(),
        *time_column,
        TextColumn("{task.fields[left]}", markup=False),
        TextColumn("{task.description}", markup=False),
    )
    with Bars(*columns, console=console, transient=True) as bar:
        task = bar.add_task("starting", total=1.0, left="")
        reached, began_s = 0.0, time.monotonic()

        def update(step: Progress) -> None:
            nonlocal reached
            reached = max(reached, step.done)
            name = shortened(printable(Path(step.name).name), for_name) if for_name >= _LEAST_NAME else ""
            stage = step.stage if not step.finished else _next(words, step.stage)
            left = time_left(time.monotonic() - began_s, reached)
            bar.update(task, completed=reached, left=left, description=f"{words[stage]} {name}")

        yield update


@contextmanager
def waiting(words: str, *, shown: bool) -> Iterator[None]:
    """Say on a terminal what is being done while the block runs."""
    console = console_for(stderr=True)
    if not shown or not console.is_terminal:
        yield
        return
    with console.status(words):
        yield


def _next(stages: Iterable[str], stage: str) -> str:
    """What comes after a stage that is done; the last one itself."""
    *_, last = order = list(stages)
    return last if stage == last else order[order.index(stage) + 1]


def time_left(passed_s: float, done: float) -> str:
    """About how long it will still take, for people; nothing while nobody can tell."""
    if passed_s < _TOO_SOON_S or not _TOO_LITTLE < done < 1:
        return ""
    from mmsprep.message.wording import duration_words

    return f"about {duration_words(math.ceil(passed_s * (1 - done) / done))} left"


def console_for(*, stderr: bool = False) -> Console:
    """Where tables, styled lines and progress go."""
    from mmsprep.cli.console import PlainConsole

    console = PlainConsole(stderr=stderr)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _NARROWEST_TABLE
    return console


def say(text: str) -> None:
    """One line for people, on standard error; where that cannot be written nobody reads, and the work goes on."""
    if sys.stderr is not None:
        with suppress(OSError):
            print(printable(text), file=sys.stderr, flush=True)


def say_words(message: Message) -> None:
    """The subject and the text of a message, for people."""
    for name, value in (("subject", message.subject), ("text", message.text)):
        if value:
            first, *more = value.splitlines()
            say(f"{name}: {first}")
            for line in more:
                say(f"{'':{len(name)}}  {line}")


def say_error(error: MmsprepError) -> None:
    """An error for people: a line for each attachment that it is about, and what would help below it."""
    for line in error.lines:
        say(line if line.startswith(" ") else f"error: {line}")


def put(text: str) -> None:
    """One line of data, on standard output."""
    if sys.stdout is not None:
        print(printable(text), flush=True)


def ask(*question: str) -> bool:
    """Ask yes or no on the terminal, after all lines of ``question``."""
    for line in question[:-1]:
        say(line)
    return typer.confirm(printable(question[-1]), err=True)


def print_json(value: dict[str, Any], *, one_line: bool = False) -> None:
    """A document for programs, on standard output; its strings are exact."""
    if sys.stdout is not None:
        takes_all = (sys.stdout.encoding or "").lower().replace("-", "").startswith("utf")
        print(json_text(value, indent=None if one_line else 2, ascii_only=not takes_all), flush=True)


class _Lines(logging.Formatter):
    """What a library has to say, in harmless lines."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record), lines=True)


def prepare_streams() -> None:
    """No stream fails on a character that it has not, or passes on bytes of a file name that are no text."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    if logging.lastResort:
        logging.lastResort.setFormatter(_Lines())


class Stopped(KeyboardInterrupt):
    """A signal asks the program to end: like Ctrl-C, what was begun is cleared away first."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.signal = number


def stop_cleanly() -> None:
    """Have SIGTERM and SIGHUP end the program as Ctrl-C does: no child and no temporary file stays behind."""

    def stop(number: int, frame: object) -> None:  # noqa: ARG001
        signal.signal(number, signal.SIG_IGN)
        raise Stopped(number)

    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, stop)


@contextmanager
def reported(json_output: bool = False, *, one_line: bool = False) -> Iterator[None]:
    """Errors of ours as messages and exit statuses; anything else as a bug report without a traceback.

    ``one_line`` keeps the JSON of an error on one line, for commands that print an object a line.
    """
    try:
        yield
    except MmsprepError as error:
        if json_output:
            errors = error.errors if isinstance(error, SeveralErrors) else (error,)
            print_json(
                {
                    "schema": 1,
                    "error": {"code": error.code, "message": str(error), "exit_status": error.exit_status},
                    "errors": [
                        {"index": getattr(one, "index", None), "code": one.code, "message": str(one)} for one in errors
                    ],
                },
                one_line=one_line,
            )
        say_error(error)
        raise typer.Exit(error.exit_status) from None
    except (KeyboardInterrupt, typer.Abort) as error:
        say("interrupted; nothing was written")
        raise typer.Exit(128 + (error.signal if isinstance(error, Stopped) else signal.SIGINT)) from None
    except typer.Exit:
        raise
    except _Misuse as misuse:
        raise typer.Exit(_say_misuse(misuse)) from None
    except BrokenPipeError:
        # The reader of our output went away, as `| head` does.
        _drop_output()
        raise typer.Exit(1) from None
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _FULL:
            _drop_output()
            say(f"error: standard output cannot be written ({reason_of(error)})")
            raise typer.Exit(OutputError.exit_status) from None
        if isinstance(error, ModuleNotFoundError) and not str(error.name).startswith("mmsprep"):
            say(f"error: the Python package {error.name} is not installed here; 'mmsprep doctor' says how to get it")
            raise typer.Exit(ToolMissing.exit_status) from None
        if os.environ.get("MMSPREP_DEBUG"):
            for line in traceback.format_exc().splitlines():
                say(line)
        say(
            f"error: a bug in mmsprep ({type(error).__name__}: {error}); nothing was written."
            " MMSPREP_DEBUG=1 shows where"
        )
        raise typer.Exit(1) from None


def _say_misuse(misuse: Any) -> int:
    """Say what typer found wrong with the command line; an empty message means that it showed the help."""
    message = misuse.format_message()
    context = getattr(misuse, "ctx", None)
    if message:
        say(f"error: {message}")
    if message and context is not None:
        say(f"'{context.command_path} --help' shows how")
    return int(misuse.exit_code)


def _drop_output() -> None:
    """What Python still holds for standard output goes nowhere, so that it does not complain at its own exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
