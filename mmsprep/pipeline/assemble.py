"""A rendition becomes a part: the table's type, a safe name, and the whole story.

Comes in: entries and what was made, or is expected, of them. Goes out: :class:`Part` and
:class:`PartReport`, and the budget that their headers leave. Never: an encode.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mmsprep.errors import TextOverBudget
from mmsprep.formats import FORMATS
from mmsprep.message.message import overhead_bytes, part_name
from mmsprep.model import Action, Part, PartReport, Reason, Rendition, Support
from mmsprep.pipeline.fit import Share
from mmsprep.pipeline.running import Entry, Run

HEADER_SLACK_BYTES = 32
"""How much longer a part's headers can get than foreseen (another type or duration), per part."""


def make_part(this: Run, position: int, entry: Entry, rendition: Rendition) -> Part:
    """The rendition as a part: the table's type, a safe name, and the whole story."""
    row = this.profile.row_of(rendition.format)
    kind = FORMATS[rendition.format].kind or entry.info.kind
    info, plan = entry.info, entry.plan
    reasons = (*plan.reasons, *rendition.reasons)
    if rendition.action is Action.TRANSCODE and plan.action is not Action.TRANSCODE:
        allowed = f"{this.limit_bytes} bytes for the whole message"
        reasons = (*reasons, Reason("over_limit_bytes", f"{info.size_bytes} bytes", allowed))
    if entry.poster:
        reasons = (
            *reasons,
            Reason("poster", f"{entry.wanted.duration_s or 0:.1f} s of video", "a picture, as asked"),
        )
    source_name = entry.attachment.name if this.job.keep_names else None
    return Part(
        name=part_name(position, kind, rendition.format, source_name),
        format=rendition.format,
        content_type=(row.content_type if row else "") or rendition.content_type,
        kind=kind,
        action=rendition.action,
        support=row.support if row else Support.NONE,
        quality=round(rendition.shown_quality, 1),
        size_bytes=rendition.size_bytes,
        source_name=entry.attachment.name,
        source=info,
        width_px=rendition.width_px,
        height_px=rendition.height_px,
        duration_s=rendition.duration_s,
        reasons=reasons,
        notes=(*info.notes, *entry.notes, *rendition.notes),
        shown_at=entry.shown_at,
        indexes=entry.indexes,
        span=entry.attachment.span,
        data=rendition.data,
    )


def predict_part(this: Run, position: int, entry: Entry, share: Share | None) -> PartReport:
    """The part as it will be, as far as that can be known before it is encoded."""
    original = entry.ready.original
    if share and share.keeps_original and original:
        return make_part(this, position, entry, original)
    target = "jpeg" if entry.poster else entry.plan.target
    stub = Rendition(
        data=b"",
        format=target,
        content_type=FORMATS[target].content_type,
        action=Action.TRANSCODE,
        quality=share.quality if share else 0,
        duration_s=entry.wanted.duration_s,
        shown=entry.ready.source().shown if share else 1.0,
    )
    part = make_part(this, position, entry, stub)
    return replace(part, size_bytes=share.max_bytes if share else 0)


def budget_bytes_of(this: Run, entries: Sequence[Entry]) -> int:
    """What is left for the parts' own data; text and headers alone over the limit is an error."""
    stubs = [predict_part(this, place, entry, None) for place, entry in enumerate(entries, start=1)]
    overhead = overhead_bytes(stubs, this.text, this.subject) + HEADER_SLACK_BYTES * len(stubs)
    if overhead > this.usable_bytes:
        raise TextOverBudget(
            f"text, subject and headers alone have {overhead:,} bytes, the limit leaves"
            f" {this.usable_bytes:,}; shorten the text or send it as several messages",
            overhead,
            this.limit_bytes,
        )
    return this.usable_bytes - overhead
