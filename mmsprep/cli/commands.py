"""Every command, by name: where it is, and which panel of the help shows it.

Comes in: the words of the command line. Goes out: an exit status. Never: a command loaded that was not asked for; to
load and describe all of them takes as long as to shrink a photo.
"""

from __future__ import annotations

import gc
import inspect as signatures
import sys
import warnings
from collections.abc import Callable, Sequence
from functools import cache, wraps
from importlib import import_module
from typing import Annotated, Any, NoReturn

import typer

from mmsprep.cli.command import Command, Group, paragraphs
from mmsprep.cli.examples import examples_of
from mmsprep.cli.printing import VerboseFlag, prepare_streams, put, reported, stop_cleanly
from mmsprep.tools.log import log_as_asked

_PREPARE, _SEND, _RECEIVE, _LOOK = "Prepare", "Send", "Receive", "Look"
_COMMANDS = {
    "prepare": ("prepare:prepare", _PREPARE),
    "inspect": ("look:inspect", _PREPARE),
    "batch": ("batch:batch", _PREPARE),
    "watch": ("batch:watch", _PREPARE),
    "send": ("send:send", _SEND),
    "campaign": ("campaign:campaign", _SEND),
    "track": ("track:track", _SEND),
    "journal": ("track:journal_app", _SEND),
    "status": ("look:status", _SEND),
    "pack": ("mm1:pack", _SEND),
    "sandbox": ("sandbox:sandbox_app", _SEND),
    "receive": ("receive:receive", _RECEIVE),
    "inbox": ("inbox:inbox_app", _RECEIVE),
    "unpack": ("mm1:unpack", _RECEIVE),
    "play": ("play:play", _LOOK),
    "profiles": ("look:profiles_app", _LOOK),
    "doctor": ("look:doctor", _LOOK),
}
"""In the order of the help."""


def commands(names: Sequence[str] = tuple(_COMMANDS)) -> typer.Typer:
    """Those that are called so."""
    app = typer.Typer(
        name="mmsprep",
        cls=Group,
        help="Any photos, voice notes, clips and text in, one MMS out that a gateway accepts and a phone plays.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback(invoke_without_command=True)(_root)
    for name in names:
        place, panel = _COMMANDS[name]
        module, _, attribute = place.partition(":")
        found = getattr(import_module(f"mmsprep.cli.{module}"), attribute)
        if isinstance(found, typer.Typer):
            _give_verbose(found)
            app.add_typer(found, name=name, cls=Group, rich_help_panel=panel)
        else:
            app.command(name, cls=Command, rich_help_panel=panel, epilog=examples_of(name))(_verbose(found))
    return app


def run(words: Sequence[str]) -> NoReturn:
    """Do what the command line says; ends with :class:`SystemExit`."""
    if not sys.warnoptions:
        # Libraries warn about odd files for their callers' ears; what matters of it is in our own report.
        warnings.simplefilter("ignore")
    prepare_streams()
    stop_cleanly()
    try:
        with reported():
            app = commands(_asked_for(words))
            status = app(list(words), prog_name="mmsprep", standalone_mode=False)
            sys.stdout.flush()
    except typer.Exit as done:
        status = done.exit_code
    # What ends needs no tidying.
    gc.freeze()
    sys.exit(status)


def _asked_for(words: Sequence[str]) -> Sequence[str]:
    """The commands that have to be described for such a command line."""
    if list(words) == ["--version"]:
        return ()
    first = next((word for word in words if not word.startswith("-")), None)
    return [first] if first in _COMMANDS else tuple(_COMMANDS)


def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
    man: Annotated[bool, typer.Option("--man", help="Print the manual page, for 'man -l -', and exit.")] = False,
    verbose: VerboseFlag = 0,
) -> None:
    log_as_asked(verbose)
    if version:
        from mmsprep import __version__

        put(f"mmsprep {__version__}")
        raise typer.Exit
    if man:
        from mmsprep.cli.manual import manual

        for line in manual(context.command).splitlines():
            put(line)
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

    run.__doc__ = paragraphs(command.__doc__)
    if not says_more:
        setattr(run, "__signature__", taken.replace(parameters=[*parameters.values(), option]))  # noqa: B010
        run.__annotations__["verbose"] = VerboseFlag
    return run


@cache
def _give_verbose(group: typer.Typer) -> None:
    """Every command of a group, once."""
    for command in group.registered_commands:
        command.cls = Command
        assert command.callback is not None
        command.callback = _verbose(command.callback)
