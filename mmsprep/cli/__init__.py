"""The command line: one file a group of commands, each parses, calls, prints; no logic.

Data goes to stdout (``--json``, tables that were asked for), messages, tables and progress for people to
stderr. Exit statuses are those of :mod:`mmsprep.errors`.
"""

from __future__ import annotations

import inspect as signatures
import sys
import warnings
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any, NoReturn

import typer

from mmsprep.cli.batch import batch, watch
from mmsprep.cli.examples import examples_of
from mmsprep.cli.inbox import inbox_app
from mmsprep.cli.look import doctor, inspect, profiles_app, status
from mmsprep.cli.mm1 import pack, unpack
from mmsprep.cli.play import play
from mmsprep.cli.prepare import prepare
from mmsprep.cli.printing import VerboseFlag, prepare_streams, put, reported, stop_cleanly
from mmsprep.cli.receive import receive
from mmsprep.cli.sandbox import sandbox_app
from mmsprep.cli.send import send
from mmsprep.cli.track import journal_app, track
from mmsprep.tools.log import log_as_asked

app = typer.Typer(
    name="mmsprep",
    help="Any photos, voice notes, clips and text in, one MMS out that a gateway accepts and a phone plays.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_PREPARE, _SEND, _RECEIVE, _LOOK = "Prepare", "Send", "Receive", "Look"
app.command(rich_help_panel=_PREPARE)(prepare)
app.command(rich_help_panel=_PREPARE)(inspect)
app.command(rich_help_panel=_PREPARE)(batch)
app.command(rich_help_panel=_PREPARE)(watch)
app.command(rich_help_panel=_SEND)(send)
app.command(rich_help_panel=_SEND)(track)
app.add_typer(journal_app, name="journal", rich_help_panel=_SEND)
app.command(rich_help_panel=_SEND)(status)
app.command(rich_help_panel=_SEND)(pack)
app.command(rich_help_panel=_PREPARE, epilog=examples_of("prepare"))(prepare)
app.command(rich_help_panel=_PREPARE, epilog=examples_of("inspect"))(inspect)
app.command(rich_help_panel=_PREPARE, epilog=examples_of("batch"))(batch)
app.command(rich_help_panel=_PREPARE, epilog=examples_of("watch"))(watch)
app.command(rich_help_panel=_SEND, epilog=examples_of("send"))(send)
app.command(rich_help_panel=_SEND, epilog=examples_of("status"))(status)
app.command(rich_help_panel=_SEND, epilog=examples_of("pack"))(pack)
app.add_typer(sandbox_app, name="sandbox", rich_help_panel=_SEND)
app.command(rich_help_panel=_RECEIVE, epilog=examples_of("receive"))(receive)
app.add_typer(inbox_app, name="inbox", rich_help_panel=_RECEIVE)
app.command(rich_help_panel=_RECEIVE, epilog=examples_of("unpack"))(unpack)
app.command(rich_help_panel=_LOOK, epilog=examples_of("play"))(play)
app.add_typer(profiles_app, name="profiles", rich_help_panel=_LOOK)
app.command(rich_help_panel=_LOOK, epilog=examples_of("doctor"))(doctor)


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
    verbose: VerboseFlag = 0,
) -> None:
    log_as_asked(verbose)
    if version:
        from mmsprep import __version__

        put(f"mmsprep {__version__}")
        raise typer.Exit
    from mmsprep.tools.memory import keep_freed_memory

    keep_freed_memory()


def _verbose(command: Callable[..., Any]) -> Callable[..., Any]:
    """The command with ``-v``, which people type behind it rather than before; some say more by themselves then."""
    taken = signatures.signature(command, eval_str=True)
    parameters = dict(taken.parameters)
    says_more = "verbose" in parameters
    option = signatures.Parameter("verbose", signatures.Parameter.KEYWORD_ONLY, default=0, annotation=VerboseFlag)

    @wraps(command)
    def run(*args: Any, verbose: int = 0, **values: Any) -> Any:
        if verbose:
            log_as_asked(verbose)
        return command(*args, **values, **({"verbose": verbose} if says_more else {}))

    if not says_more:
        setattr(run, "__signature__", taken.replace(parameters=[*parameters.values(), option]))  # noqa: B010
        run.__annotations__["verbose"] = VerboseFlag
    return run


def _give_verbose(group: typer.Typer) -> None:
    for command in group.registered_commands:
        if command.callback:
            command.callback = _verbose(command.callback)
    for one in group.registered_groups:
        if one.typer_instance:
            _give_verbose(one.typer_instance)


_give_verbose(app)


def main() -> NoReturn:
    """The ``mmsprep`` command; it ends with :class:`SystemExit`."""
    if not sys.warnoptions:
        # Libraries warn about odd files for their callers' ears; what matters of it is in our own report.
        warnings.simplefilter("ignore")
    prepare_streams()
    stop_cleanly()
    try:
        with reported():
            status = app(prog_name="mmsprep", standalone_mode=False)
            sys.stdout.flush()
    except typer.Exit as done:
        status = done.exit_code
    sys.exit(status)
