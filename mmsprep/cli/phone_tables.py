"""What people read of a message on phones.

Comes in: scenes. Goes out: a rich table and lines. Never: printing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mmsprep.cli.layout import NARROWEST, AsWideAsItGets, two_lines
from mmsprep.handset import YEARS_SHOWN, Scene, Shares, Showing, Shown

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

_SHOWING_WORDS = {
    Showing.SHOWN: "shown",
    Showing.STILL: "stands still",
    Showing.SILENT: "without sound",
    Showing.NARROWBAND: "telephone sound",
    Showing.UNSUPPORTED: "not shown",
}
_A_PHONE = 14
"""Columns that a phone more takes. Looked at."""


def phones_table(scenes: Sequence[Scene], shares: Shares) -> RenderableType:
    """A message on phones: a row a part, a column a phone, and how many phones of a year are known to play it."""
    from rich.table import Table

    years = [year for year in YEARS_SHOWN if year in shares.years]
    table = Table(header_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("Part", overflow="fold")
    for scene in scenes:
        table.add_column(f"A phone of {scene.handset.name}", overflow="fold")
    for year in years:
        table.add_column(f"'{year % 100:02d}", justify="right", no_wrap=True)
    for places in zip(*(sorted(scene.parts, key=lambda one: one.item.name) for scene in scenes), strict=True):
        cells = [_on_phone(shown, scene) for shown, scene in zip(places, scenes, strict=True)]
        known = shares.least(places[0].verdict.needs)
        table.add_row(places[0].item.name, *cells, *(f"{known[year]} %" if known else "?" for year in years))
    labels = ("", *(scene.handset.name for scene in scenes))
    narrowest = NARROWEST + _A_PHONE * (len(scenes) - 1)
    return AsWideAsItGets(table, narrowest, labels, figures="played by phones of" if years else "")


def phone_summary(scene: Scene) -> str:
    """One line: how a phone presents a message as a whole."""
    handset = scene.handset
    if not scene.is_fetched:
        return (
            f"{handset.name}: not fetched: {scene.total_bytes:,} bytes,"
            f" {handset.message.limit_bytes:,} are taken ({handset.message.limit_source})"
        )
    if handset.message.presentation == "thread":
        return f"{handset.name}: all at once, attachments above, text below"
    turns = "; ".join(
        f"{number}. {', '.join(shown.item.name for shown in slide.shown)} ({slide.duration_s or 0:.1f} s)"
        for number, slide in enumerate(scene.slides, 1)
    )
    return f"{handset.name}: {len(scene.slides)} slide{'' if len(scene.slides) == 1 else 's'}: {turns}"


def _on_phone(shown: Shown, scene: Scene) -> Text:
    if not scene.is_fetched:
        return two_lines("not fetched", "")
    return two_lines(_SHOWING_WORDS[shown.verdict.showing], shown.verdict.because)
