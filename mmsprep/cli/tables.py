"""All that people read: tables and summaries.

Comes in: messages, forecasts, inspections, profiles, statuses. Goes out: rich tables and lines. Never: printing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mmsprep.doctor import Check
from mmsprep.formats import FORMATS
from mmsprep.handset import YEARS_SHOWN, Scene, Shares, Showing, Shown
from mmsprep.message.message import Forecast, Message, labels
from mmsprep.mm1.unpacked import Unpacked
from mmsprep.mm7.status import Advice, Status
from mmsprep.model import Action, MediaInfo, PartReport, Plan, Reason
from mmsprep.pipeline.job import Inspection
from mmsprep.printable import printable
from mmsprep.profile import Profile

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text


_QUALITY_WORDS = ((90, "excellent"), (70, "high"), (50, "medium"), (30, "low"), (0, "poor"))
_DONE_WORDS = {Action.KEEP: "kept as it is", Action.REWRAP: "kept, metadata removed"}
_REASONS_SHOWN = 4
_LONGEST_TEXT = 2_000
_LONGEST_CELL = 400
"""Characters of a name or a remark that a table shows."""
_REASON_WORDS = {
    "type_not_in_table": "{found} is not in the network's table",
    "type_converted": "{found} in the network's table",
    "sound_only": "{found}",
    "size_px": "larger than {allowed}",
    "orientation": "turned upright",
    "icc_profile": "{found} colours made sRGB",
    "unterminated": "end of the file was missing",
    "coding": "{found} JPEG made baseline",
    "colour": "{found} colours made YCbCr",
    "bit_depth": "{found} made {allowed}",
    "metadata": "{found} removed",
    "sample_rate": "{found}, allowed: {allowed}",
    "channels": "{found}, allowed: {allowed}",
    "codec": "{found} coding, allowed: {allowed}",
    "audio_codec": "{found} sound, allowed: {allowed}",
    "codec_profile": "H.264 {found} profile, allowed: {allowed}",
    "codec_level": "level {found}, allowed: {allowed}",
    "brand": "brand {found}, allowed: {allowed}",
    "single_frame": "one frame only: sent as a picture",
    "moov_position": "index moved to the front",
    "frame_size": "frame of {found}, allowed: {allowed}",
    "rotation": "turned upright",
    "pixel_aspect": "pixels made square",
    "interlaced": "interlaced",
    "hdr": "high dynamic range made standard",
    "frame_rate": "{found}, allowed: {allowed}",
    "rate": "{found}, allowed: {allowed}",
    "encoding": "{found} made UTF-8",
    "line_ends": "line ends made {allowed}",
    "control_characters": "control characters removed",
    "decomposed": "accents joined to their letters",
    "over_limit_bytes": "too large for the message as it was",
    "poster": "{found} as a picture, as asked",
}
"""A reason as people say it; a code that is not here is told as found and allowed."""
_ADVICE_WORDS = {
    Advice.NOTHING: "Nothing",
    Advice.RESEND: "Resend",
    Advice.FIX: "Fix",
    Advice.GIVE_UP: "Give up",
}


def message_table(message: Message | Forecast) -> RenderableType:
    """The table for people: a row a file, the totals below."""
    from rich.table import Table
    from rich.text import Text

    table = Table(show_footer=True, header_style="bold", pad_edge=False, box=None, padding=(0, 2, 0, 0))
    predicted = isinstance(message, Forecast)
    table.add_column("File, and what it was", "Text, subject, headers", overflow="fold", max_width=28)
    table.add_column("What it will be, and why" if predicted else "What it became, and why", overflow="fold")
    table.add_column("Size", size(message.overhead_bytes), justify="right", no_wrap=True)
    table.add_column("Share", _percent(message.overhead_bytes, message.limit_bytes), justify="right", no_wrap=True)
    table.add_column("Quality", no_wrap=True)
    names = _names(message)
    for part in message.parts:
        before, after = size(part.source.size_bytes), size(part.size_bytes)
        table.add_row(
            _two_lines(", ".join(map(names.__getitem__, part.indexes)) or _short(part.source_name), _what(part.source)),
            _two_lines(_done(part), _because(part.reasons)),
            after if part.action is Action.KEEP else Text(f"{before}\n-> {after}"),
            _percent(part.size_bytes, message.limit_bytes),
            f"{part.quality:.0f} {_quality_word(part)}",
        )
    for rejection in message.rejected:
        name = _short(rejection.name) if rejection.index is None else names[rejection.index]
        table.add_row(_two_lines(name, ""), _two_lines("left out", rejection.message))
    return table


def _names(message: Message | Forecast) -> dict[int, str]:
    """What people know each attachment by; those that share a name get their number."""
    parts = {index: _short(part.source_name) for part in message.parts for index in part.indexes}
    left_out = {one.index: _short(one.name) for one in message.rejected if one.index is not None}
    return labels(parts | left_out)


def summary(message: Message | Forecast) -> str:
    """One line below the table: what it all comes to."""
    free = message.limit_bytes - message.total_bytes
    about = "about " if isinstance(message, Forecast) else ""
    parts = f"{len(message.parts)} part{'' if len(message.parts) == 1 else 's'}"
    return (
        f"{about}{message.total_bytes:,} of {message.limit_bytes:,} bytes"
        f" ({_percent(message.total_bytes, message.limit_bytes)}), {parts}, {free:,} free"
    )


def inspection_table(inspections: Sequence[Inspection]) -> RenderableType:
    """What each file is and what would be done with it."""
    from rich.table import Table

    table = Table(header_style="bold", pad_edge=False, box=None, padding=(0, 2, 0, 0))
    table.add_column("File, and what it is", overflow="fold", max_width=30)
    table.add_column("Size", justify="right", no_wrap=True)
    table.add_column("Table row: support", overflow="fold", max_width=24)
    table.add_column("What prepare would do, and why", overflow="fold")
    names = labels({one.index: _short(one.name) for one in inspections})
    for one in inspections:
        problem = getattr(one.error, "problem", str(one.error)) if one.error else ""
        table.add_row(
            _two_lines(names[one.index], _what(one.info) if one.info else ""),
            size(one.size_bytes),
            f"{one.plan.row or 'not in the table'}: {one.plan.support}" if one.plan else "-",
            _two_lines(_planned(one.plan), _found(one)) if one.plan else _two_lines("refuse", problem),
        )
    return table


def _found(one: Inspection) -> str:
    """Why it is done, and what else people should know: first page of several, another type than its name says."""
    because = _because(one.plan.reasons) if one.plan else ""
    return "; ".join(filter(None, (because, *(one.info.notes if one.info else ()))))


def profile_table(profile: Profile) -> RenderableType:
    """A profile's limits and its compatibility table."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    image, video = profile.image, profile.video
    rungs = ", ".join(f"{step.format} {step.rate_kbps:g}k" for step in profile.audio.ladder)
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
    ):
        facts.add_row(key, value)
    table = Table(header_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in ("Row", "Type", "Support", "Such a file is", "Remark"):
        table.add_column(column, overflow="fold")
    words = {"keep": "kept", "convert": "converted", "refuse": "refused"}
    for row in profile.table:
        table.add_row(row.row, row.content_type or "-", row.support, words[row.use], row.remark)
    return Group(
        Text(printable(f"{profile.name}: {profile.title}", most=_LONGEST_CELL), style="bold"), "", facts, "", table
    )


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
        return table
    one = statuses[0]
    for key, value in (
        ("Status", f"{one.code} {one.text}"),
        ("Class", one.status_class if one.known else f"{one.status_class} (by its first digit; not in the table)"),
        ("Meaning", one.meaning),
        ("What to do", f"{_ADVICE_WORDS[one.advice]}. {one.next_step}"),
    ):
        table.add_row(Text(key, style="bold"), Text(value))
    return table


def size(size_bytes: int) -> str:
    """Bytes for people: 999 B, 12.3 kB, 4.56 MB (powers of ten, as gateways count)."""
    if size_bytes < 1000:
        return f"{size_bytes} B"
    if size_bytes < 1_000_000:
        return f"{size_bytes / 1000:.1f} kB"
    return f"{size_bytes / 1_000_000:.2f} MB"


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %"


def _quality_word(part: PartReport) -> str:
    if part.action is not Action.TRANSCODE:
        return "as it was"
    return next(word for least, word in _QUALITY_WORDS if part.quality >= least)


def _short(name: str) -> str:
    """The end of a path, which is what people know a file by."""
    return name.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1] or name


def _what(info: MediaInfo) -> str:
    facts = [FORMATS[info.format].title]
    if info.width_px and info.height_px:
        facts.append(f"{info.width_px}x{info.height_px}")
    if info.duration_s and (info.frame_count or 2) > 1:
        facts.append(f"{info.duration_s:.1f} s")
    if info.encoding:
        facts.append(info.encoding)
    return " ".join(facts)


def _done(part: PartReport) -> str:
    words = _DONE_WORDS.get(part.action)
    if words is not None:
        return words
    facts = [FORMATS[part.format].title]
    if part.width_px and part.height_px:
        facts.append(f"{part.width_px}x{part.height_px}")
    if part.duration_s and part.source.duration_s and part.duration_s < part.source.duration_s * 0.95:
        facts.append(f"{part.duration_s:.1f} s")
    return " ".join(facts)


def _planned(plan: Plan) -> str:
    words = {Action.KEEP: "keep as it is", Action.REWRAP: "keep, remove metadata"}
    return words.get(plan.action, f"convert to {FORMATS[plan.target].title}")


def _because(reasons: Sequence[Reason]) -> str:
    shown = [
        _REASON_WORDS.get(reason.code, "{found} (allowed: {allowed})").format(
            found=reason.found, allowed=reason.allowed
        )
        for reason in reasons[:_REASONS_SHOWN]
    ]
    more = len(reasons) - len(shown)
    return "; ".join([*shown, *([f"{more} more"] if more > 0 else [])])


def _two_lines(first: str, second: str) -> Text:
    """What is said first, and below it, dimmed, what may be skipped."""
    from rich.text import Text

    below = "\n" + printable(second, most=_LONGEST_CELL) if second else ""
    return Text.assemble(printable(first, most=_LONGEST_CELL), (below, "dim"))


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
    return Group(facts, "", table)


_SHOWING_WORDS = {
    Showing.SHOWN: "shown",
    Showing.STILL: "stands still",
    Showing.SILENT: "without sound",
    Showing.NARROWBAND: "telephone sound",
    Showing.UNSUPPORTED: "not shown",
}


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
    return table


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
        return _two_lines("not fetched", "")
    return _two_lines(_SHOWING_WORDS[shown.verdict.showing], shown.verdict.because)
