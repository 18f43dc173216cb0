"""The manual page, made from what each command says of itself.

Comes in: the described commands. Goes out: a page in troff, as ``man`` shows it. Never: words of its own; the
exit statuses are told as :mod:`mmsprep.errors` does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import typer

from mmsprep import __version__, errors

_STATUSES = re.compile(r"^Exit statuses: (.*?)\n\n", re.MULTILINE | re.DOTALL)


def manual(root: Any) -> str:
    """The page of ``root``, the described command line, and of all commands below it."""
    context = typer.Context(root, info_name="mmsprep")
    lines = [
        f'.TH MMSPREP 1 "" "mmsprep {__version__}" "User Commands"',
        ".SH NAME",
        f"mmsprep \\- {_text(root.help)}",
        ".SH SYNOPSIS",
        f".B mmsprep\n{_text(' '.join(root.collect_usage_pieces(context)))}",
        ".SH OPTIONS",
        *_parameters(root, context),
        ".SH COMMANDS",
        *_below(root, context),
        ".SH EXIT STATUS",
        *(_text(told) for told in _STATUSES.findall(errors.__doc__ or "")),
    ]
    return "\n".join(lines) + "\n"


def _below(group: Any, parent: Any) -> Iterator[str]:
    for name, command in group.commands.items():
        context = typer.Context(command, info_name=name, parent=parent)
        yield f".SS {_text(' '.join([context.command_path, *command.collect_usage_pieces(context)]))}"
        yield _text(command.help or "")
        yield from _parameters(command, context)
        if command.epilog:
            yield from _examples(command.epilog)
        yield from _below(command, context) if hasattr(command, "commands") else ()


def _parameters(command: Any, context: Any) -> Iterator[str]:
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record:
            yield f".TP\n.B {_text(record[0])}\n{_text(record[1])}"


def _examples(epilog: str) -> Iterator[str]:
    title, *examples = epilog.split("\n\n")
    yield f".PP\n{_text(title)}\n.PP\n.nf"
    yield from map(_text, examples)
    yield ".fi"


def _text(words: str) -> str:
    """Plain words on one line: neither a backslash nor a dot or quote at its beginning is troff's."""
    plain = " ".join(words.split()).replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{plain}" if plain[:1] in (".", "'") else plain
