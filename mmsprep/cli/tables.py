"""All that people read: tables and summaries.

Comes in: messages, forecasts, inspections, profiles, statuses. Goes out: rich tables and lines. Never: printing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mmsprep.cli.layout import LONGEST_CELL, NARROWEST, AsWideAsItGets, two_lines
from mmsprep.cli.names import NameCell
from mmsprep.message.message import labels
from mmsprep.message.wording import media_words, plan_words, reason_words, short_name, size_words
from mmsprep.mm7.status import Advice, Status
from mmsprep.printable import printable
from mmsprep.profile import SOURCES, Profile, Suggestion

if TYPE_CHECKING:
    from rich.console import RenderableType

    from mmsprep.doctor import Check
    from mmsprep.mm1.unpacked import Unpacked
    from mmsprep.pipeline.job import Inspection


_LONGEST_TEXT = 2_000
_NARROWEST_OF_NETWORKS = 100
"""As :data:`NARROWEST`, of a table with more columns."""
_ADVICE_WORDS = {
    Advice.NOTHING: "Nothing",
    Advice.RESEND: "Resend",
    Advice.FIX: "Fix",
    Advice.GIVE_UP: "Give up",
}


def inspection_table(inspections: Sequence[Inspection], limit_bytes: int) -> RenderableType:
    """What each file is and what would be done with it for a message of ``limit_bytes``."""
    from rich.table import Table

    table = Table(header_style="bold", pad_edge=False, box=None, padding=(0, 2, 0, 0))
    table.add_column("File, and what it is", max_width=40)
    table.add_column("Size", justify="right", no_wrap=True)
    table.add_column("Table row: support", overflow="fold", max_width=18)
    table.add_column("What prepare would do, and why", overflow="fold")
    names = labels({one.index: short_name(one.name) for one in inspections})
    for one in inspections:
        is_what = media_words(one.info) if one.info else ""
        problem = getattr(one.error, "problem", str(one.error)) if one.error else ""
        table.add_row(
            NameCell(*(printable(words, most=LONGEST_CELL) for words in (names[one.index], is_what))),
            size_words(one.size_bytes),
            f"{one.plan.row or 'not in the table'}: {one.plan.support}" if one.plan else "-",
            two_lines(plan_words(one.plan, one.size_bytes, limit_bytes), _found(one))
            if one.plan
            else two_lines("refuse", problem),
        )
    return AsWideAsItGets(table, NARROWEST, ("", "", "support", ""))


def _found(one: Inspection) -> str:
    """Why it is done, and what else people should know: first page of several, another type than its name says."""
    because = reason_words(one.plan.reasons) if one.plan else []
    return "; ".join([*because, *(one.info.notes if one.info else ())])


def profile_table(profile: Profile) -> RenderableType:
    """A profile's limits and its compatibility table."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    image, video = profile.image, profile.video
    rungs = ", ".join(dict.fromkeys(f"{step.format} {step.rate_kbps:g}k" for step in profile.audio.ladder))
    clips = (
        f"{video.format} ({video.brand}), {video.codec} {video.codec_profile} {video.codec_level}, up to"
        f" {video.max_long_px}x{video.max_short_px} px, {video.max_fps:g} fps"
        if video
        else "not allowed"
    )
    facts = Table.grid(padding=(0, 2, 0, 0))
    facts.add_column(style="bold")
    facts.add_column()
    for key, value in (
        (
            "Limit",
            f"{profile.message.limit_bytes:,} bytes, {profile.message.reserve_bytes:,} of them reserved",
        ),
        ("Attachments", f"at most {profile.message.max_attachments}"),
        ("Pictures", f"{', '.join(image.targets)}, up to {image.max_long_px}x{image.max_short_px} px"),
        ("Recordings", rungs),
        ("Clips", clips),
        ("Subject", f"cut after {profile.message.subject_characters} characters"),
        ("Stands on", profile.base),
        ("Source", profile.source),
    ):
        if not value or value.startswith("cut after 0 "):
            continue
        facts.add_row(key, printable(value, most=LONGEST_CELL))
    table = Table(header_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in ("Row, and its type", "Support", "Such a file is", "Remark"):
        table.add_column(column, overflow="fold")
    words = {"keep": "kept", "convert": "converted", "refuse": "refused"}
    for row in profile.table:
        table.add_row(two_lines(row.row, row.content_type), row.support, words[row.use], row.remark)
    rows = AsWideAsItGets(table, NARROWEST, ("", "support", "such a file is", ""))
    title = Text(printable(f"{profile.name}: {profile.title}", most=LONGEST_CELL), style="bold")
    return Group(title, "", facts, "", rows)


def suggestions_table(found: Sequence[Suggestion]) -> RenderableType:
    """What is known of some networks, a source a line."""
    from rich.table import Table

    table = Table(header_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in ("Network", "MCC-MNC", "Message", "Pictures", "Subject", "Profile", "Who says so"):
        table.add_column(column, overflow="fold", justify="right" if column == "Message" else "left")
    for one in found:
        table.add_row(
            one.network or "-",
            one.mcc_mnc,
            size_words(one.limit_bytes),
            f"{one.width_px}x{one.height_px}" if one.width_px else "-",
            f"{one.subject_characters} characters" if one.subject_characters else "-",
            one.profile or "-",
            SOURCES[one.source],
        )
    labels_below = ("", "MCC-MNC", "message", "pictures", "subject", "profile", "")
    return AsWideAsItGets(table, _NARROWEST_OF_NETWORKS, labels_below)


def status_table(statuses: Sequence[Status]) -> RenderableType:
    """One status in full, or several as a list."""
    from rich.table import Table
    from rich.text import Text

    table = Table(show_header=len(statuses) > 1, header_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    if len(statuses) > 1:
        for column in ("Code", "Text", "Class", "What to do"):
            table.add_column(column, overflow="fold")
        for one in statuses:
            table.add_row(str(one.code), one.text, one.status_class, f"{_ADVICE_WORDS[one.advice]}: {one.next_step}")
        return AsWideAsItGets(table, NARROWEST, ("", "", "class", ""))
    one = statuses[0]
    for key, value in (
        ("Status", f"{one.code} {one.text}"),
        ("Class", one.status_class if one.known else f"{one.status_class} (by its first digit; not in the table)"),
        ("Meaning", one.meaning),
        ("What to do", f"{_ADVICE_WORDS[one.advice]}. {one.next_step}"),
    ):
        table.add_row(Text(key, style="bold"), Text(value))
    return table


def diagnosis_table(checks: Sequence[Check]) -> RenderableType:
    """The checks for people."""
    from rich.table import Column, Table

    table = Table.grid("", "", Column(overflow="fold"), padding=(0, 2, 0, 0))
    for check in checks:
        mark = "ok" if check.ok else "MISSING" if check.needed else "missing"
        words = check.found if check.ok else f"{check.found}; {check.advice}"
        table.add_row(mark, check.name, words)
    return table


def pdu_table(unpacked: Unpacked) -> RenderableType:
    """The header fields, the text and the parts."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    facts = Table.grid(padding=(0, 2, 0, 0))
    facts.add_column(style="bold", no_wrap=True)
    facts.add_column(overflow="fold")
    for name, value in unpacked.pdu.fields:
        facts.add_row(name, printable(value, most=_LONGEST_TEXT) or "-")
    if unpacked.text:
        facts.add_row("Text", Text(printable(unpacked.text[:_LONGEST_TEXT], lines=True)))
    facts.add_row("Size", f"{unpacked.size_bytes:,} bytes")
    if not unpacked.parts:
        return facts
    table = Table(header_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in ("Part", "What it is", "Declared as"):
        table.add_column(column, overflow="fold")
    table.add_column("Size", justify="right", no_wrap=True)
    for part in unpacked.parts:
        declared = part.declared_type + (f" ({part.charset})" if part.charset else "")
        table.add_row(part.name, part.format or "unknown", declared, f"{len(part.data):,}")
    return Group(facts, "", AsWideAsItGets(table, NARROWEST, ("", "", "declared as", "bytes")))
