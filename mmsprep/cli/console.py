"""The console that everything laid out for people goes through: tables, progress, coloured lines.

Comes in: renderables of rich. Goes out: what they look like. Never: a stranger's control character, or markup
in his text taken for ours.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from mmsprep.printable import printable


class PlainConsole(Console):
    """A console to which strings are text on one line and nothing else; what is styled or broken is a ``Text``."""

    def __init__(self, *, stderr: bool) -> None:
        super().__init__(stderr=stderr, emoji=False, markup=False, highlight=False)

    def render_str(self, text: str, **options: Any) -> Text:
        """A string: cleaned before it is measured, so that a table's columns stay straight."""
        return super().render_str(printable(text), **options | {"markup": False, "emoji": False, "highlight": False})

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Whatever else is shown: the last look at every piece that is no control code of rich's own."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(printable(segment.text, lines=True), segment.style)
