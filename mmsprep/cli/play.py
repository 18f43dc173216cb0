"""The play command: what phones of some years make of a message; no logic."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mmsprep.cli.printing import JsonFlag, console_for, print_json, reported, say


def _years_that_begin(incomplete: str) -> list[str]:
    """For the shell's completion."""
    from mmsprep.handset import handset_names

    return [name for name in handset_names() if name.startswith(incomplete)]


def play(
    message: Annotated[Path, typer.Argument(metavar="DIR", help="A prepared message's folder, or an MM1 PDU.")],
    phone: Annotated[
        list[str] | None,
        typer.Option(
            "--phone",
            metavar="YEAR",
            help="2007, 2012 or 2020; several times; without it each of them.",
            autocompletion=_years_that_begin,
        ),
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write a page that shows the phones.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace FILE.")] = False,
    json_output: JsonFlag = False,
) -> None:
    """Show a message as phones of some years present it: what is shown, scaled, silent or missing, and why."""
    with reported(json_output):
        from mmsprep.cli.phone_tables import phone_summary, phones_table
        from mmsprep.handset import (
            document,
            handset_names,
            load_handset,
            load_shares,
            look_at,
            open_message,
            phones_page,
            read_slides,
            render_all,
            scene_of,
        )
        from mmsprep.message.folder import write_new_file
        from mmsprep.settings import load_settings

        handsets = [load_handset(name) for name in phone or handset_names()]
        settings, shares = load_settings(), load_shares()
        content = open_message(message)
        items, slides = look_at(content.parts, settings), read_slides(content.smil)
        scenes = [
            scene_of(items, slides, handset, subject=content.subject, total_bytes=content.total_bytes)
            for handset in handsets
        ]
        if html:
            page = phones_page([(scene, render_all(scene, settings)) for scene in scenes], shares)
            write_new_file(page.encode(), html, overwrite=force)
        if json_output:
            print_json(document(scenes, shares))
        else:
            console_for().print(phones_table(scenes, shares))
            for scene in scenes:
                say(phone_summary(scene))
            say("the years: phones of that year that are known to play the part; lower bounds (docs/handsets.md)")
        if html:
            say(f"written to {html}")
