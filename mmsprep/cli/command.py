"""How a command looks in ``--help``.

Comes in: a described command. Goes out: its help as wide as the terminal is. Never: an option or an example cut off.
"""

from __future__ import annotations

import inspect
import shutil
from typing import Any

from typer.core import TyperCommand, TyperGroup

_NARROWEST_BOXES = 100
_NARROWEST_PANELS, _WHOLE = 80, 1_000
"""Columns below which boxes leave the explanations a word a line, and cut names: those of one command, and those of
many, which have shorter words. Looked at. Then more letters than a summary has."""


class Command(TyperCommand):
    """A command whose options stand in boxes where there is room for them, and in plain lines elsewhere."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help."""
        if shutil.get_terminal_size().columns < _NARROWEST_BOXES:
            self.rich_markup_mode = None
        super().format_help(ctx, formatter)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002
        """Write the examples, in plain lines: each whole, so that it can be copied."""
        title, *examples = (self.epilog or "").split("\n\n")
        if examples:
            formatter.write(f"\n{title}\n" + "".join(f"  {line}\n" for line in examples))


class Group(TyperGroup):
    """Several commands, in boxes where there is room for them."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help."""
        if shutil.get_terminal_size().columns < _NARROWEST_PANELS:
            self.rich_markup_mode = None
        super().format_help(ctx, formatter)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write what each command does, whole, in plain lines."""
        named = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, one.get_short_help_str(_WHOLE)) for name, one in named if one and not one.hidden]
            )


def paragraphs(text: str | None) -> str:
    """A docstring whose lines end where the terminal's do, not where the source's did."""
    return "\n\n".join(" ".join(part.split()) for part in inspect.cleandoc(text or "").split("\n\n"))
