"""The commands that README and the documentation show exist as they are shown: their names, options and arguments."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from mmsprep.cli import app

_ROOT = Path(__file__).parent.parent
_PAGES = [_ROOT / "README.md", *sorted((_ROOT / "docs").rglob("*.md"))]
_OPERATORS = {"&&", "||", "|", "&", ";", "<", ">", ">>"}


def _shown() -> Iterator[tuple[str, list[str]]]:
    """Each ``mmsprep ...`` in a block of shell commands, as page and words."""
    for page in _PAGES:
        for block in re.findall(r"```(?:sh|bash|console|shell)\n(.*?)```", page.read_text("utf-8"), re.DOTALL):
            for line in block.replace("\\\n", " ").splitlines():
                words = shlex.split(line.removeprefix("$ "), comments=True)
                yield from ((page.name, one) for one in _commands(words))


def _commands(words: list[str]) -> Iterator[list[str]]:
    command: list[str] | None = None
    for word in [*words, ";"]:
        if word in _OPERATORS or word[:1] in "<>":
            if command:
                yield command
            command = None
        elif command is not None:
            command.append(word)
        elif word.rpartition("/")[2] == "mmsprep":
            command = []


_SHOWN = list(_shown())


def test_there_are_commands_to_look_at() -> None:
    assert len(_SHOWN) > 40
    assert {"README.md", "sending.md", "receiving.md"} <= {page for page, _ in _SHOWN}


@pytest.mark.parametrize(("page", "words"), _SHOWN, ids=[f"{page}: {' '.join(words)[:60]}" for page, words in _SHOWN])
def test_a_command_is_taken_as_it_is_shown(page: str, words: list[str]) -> None:
    """Read as the program reads it, and not carried out."""
    command: Any = typer.main.get_command(app)
    while getattr(command, "commands", None) and words and not words[0].startswith("-"):
        assert words[0] in command.commands, words[0]
        command, words = command.commands[words[0]], words[1:]
    told, _, _ = command.make_parser(command.context_class(command)).parse_args(args=list(words))
    needed = [one for one in command.params if one.required and "..." not in words]
    assert all(told.get(one.name) not in (None, ()) for one in needed), needed
