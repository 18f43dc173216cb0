"""What every command shares: consoles, progress, JSON on stdout, errors as messages and exit statuses."""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mmsprep.errors import MmsprepError, OutputError, SeveralErrors, UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from mmsprep.intake import AttachmentInput
    from mmsprep.model import ProgressCallback

_NARROWEST_TABLE = 110
_FULL = (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC))

ProfileOption = Annotated[str, typer.Option("-p", "--profile", help="A profile's name, or the path of a .toml file.")]
JsonFlag = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]


def inputs_of(files: Sequence[str]) -> tuple[AttachmentInput, ...]:
    """The files, with ``-`` read from standard input."""
    if list(files).count("-") > 1:
        raise UsageError("- (standard input) can be given once")
    return tuple(("stdin", _read_stdin()) if name == "-" else name for name in files)


def _read_stdin() -> bytes:
    from mmsprep.settings import load_settings

    return sys.stdin.buffer.read(load_settings().max_input_bytes + 1)


@contextmanager
def progress_bar(*, shown: bool) -> Iterator[ProgressCallback | None]:
    """A live bar on a terminal, nothing elsewhere."""
    console = console_for(stderr=True)
    if not shown or not console.is_terminal:
        yield None
        return
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    words = {"look": "looking at", "open": "opening", "encode": "encoding", "check": "checking"}
    columns = (BarColumn(), TaskProgressColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("starting", total=1.0)
        reached = 0.0

        def update(step: Any) -> None:
            nonlocal reached
            reached = max(reached, step.done)
            name = Path(step.name).name
            bar.update(task, completed=reached, description=f"{words[step.stage]} {name}")

        yield update


def console_for(*, stderr: bool = False) -> Console:
    from rich.console import Console

    console = Console(stderr=stderr, emoji=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _NARROWEST_TABLE
    return console


def print_json(value: dict[str, Any], *, one_line: bool = False) -> None:
    import json

    typer.echo(json.dumps(value, indent=None if one_line else 2, ensure_ascii=False))


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
                    "errors": [{"code": one.code, "message": str(one)} for one in errors],
                },
                one_line=one_line,
            )
        for line in str(error).splitlines():
            typer.echo(line if line.startswith(" ") else f"error: {line}", err=True)
        raise typer.Exit(error.exit_status) from None
    except (KeyboardInterrupt, typer.Abort) as error:
        typer.echo("interrupted; nothing was written", err=True)
        raise typer.Exit(128 + (error.signal if isinstance(error, Stopped) else signal.SIGINT)) from None
    except typer.Exit:
        raise
    except BrokenPipeError:
        # The reader of our output went away, as `| head` does.
        _drop_output()
        raise typer.Exit(1) from None
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _FULL:
            _drop_output()
            typer.echo(f"error: standard output cannot be written ({error.strerror})", err=True)
            raise typer.Exit(OutputError.exit_status) from None
        if os.environ.get("MMSPREP_DEBUG"):
            raise
        typer.echo(
            f"error: a bug in mmsprep ({type(error).__name__}: {error}); nothing was written."
            " MMSPREP_DEBUG=1 shows where",
            err=True,
        )
        raise typer.Exit(1) from None


def _drop_output() -> None:
    """What Python still holds for standard output goes nowhere, so that it does not complain at its own exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
