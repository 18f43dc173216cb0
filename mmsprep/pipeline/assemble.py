"""A rendition becomes a part: the table's type, a safe name, and the whole story.

Comes in: entries and what was made, or is expected, of them. Goes out: :class:`Part` and
:class:`PartReport`, and the budget that their headers leave. Never: an encode.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from mmsprep.errors import TextOverBudget
from mmsprep.formats import FORMATS
from mmsprep.message.message import overhead_bytes, part_name
from mmsprep.model import Action, Part, PartReport, Reason, ReasonCode, Rejection, Rendition, Support
from mmsprep.pipeline.asking import Share
from mmsprep.pipeline.excerpt import spans_of
from mmsprep.pipeline.running import Entry, Run

HEADER_SLACK_BYTES = 32
"""How much longer a part's headers can get than foreseen (another type or duration), per part."""


def make_part(this: Run, position: int, entry: Entry, rendition: Rendition) -> Part:
    """The rendition as a part: the table's type, a safe name, and the whole story."""
    row = this.profile.row_of(rendition.format)
    kind = FORMATS[rendition.format].kind or entry.info.kind
    info, plan = entry.info, entry.plan
    reasons = (*plan.reasons, *rendition.reasons)
    stands = entry.candidate is None or entry.candidate.original is not None
    is_over = stands or info.size_bytes > this.usable_bytes
    if rendition.action is Action.TRANSCODE and plan.action is not Action.TRANSCODE and is_over and not entry.lengths_s:
        allowed = f"{this.limit_bytes} bytes for the whole message"
        reasons = (*reasons, Reason(ReasonCode.OVER_LIMIT_BYTES, f"{info.size_bytes} bytes", allowed))
    if entry.lengths_s:
        what = "a picture" if entry.slide else "its sound"
        scene = f"a scene of {entry.wanted.duration_s or 0:.1f} s"
        reasons = (*reasons, Reason(ReasonCode.SLIDES, scene, f"{what} for {entry.lengths_s[0]:.1f} s, as asked"))
    if entry.page:
        page = entry.page
        rows = f"page {page.number} of {page.count}, rows {page.top_px} to {page.bottom_px}"
        reasons = (Reason(ReasonCode.PAGES, f"{info.width_px} x {info.height_px} px", rows), *reasons)
    if entry.poster:
        reasons = (
            *reasons,
            Reason(ReasonCode.POSTER, f"{entry.wanted.duration_s or 0:.1f} s of video", "a picture, as asked"),
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
        page=entry.page,
        shown_s=round(entry.lengths_s[0], 3) if entry.lengths_s else None,
        data=rendition.data,
    )


def predict_part(this: Run, position: int, entry: Entry, share: Share | None, format_slug: str = "") -> PartReport:
    """The part as it will be, as far as that can be known before it is encoded.

    ``format_slug`` is its format where ``share`` is not all that its source gets.
    """
    original = entry.ready.original
    if share and share.keeps_original and original:
        return make_part(this, position, entry, original)
    target = format_slug or _foretold_format(this, entry, share)
    stub = Rendition(
        data=b"",
        format=target,
        content_type=FORMATS[target].content_type,
        action=Action.TRANSCODE,
        quality=share.quality if share else 0.0,
        duration_s=None if entry.slide else entry.wanted.duration_s,
        shown=entry.ready.opened().shown if share else 1.0,
    )
    part = make_part(this, position, entry, stub)
    return replace(part, size_bytes=share.max_bytes if share else 0)


def _foretold_format(this: Run, entry: Entry, share: Share | None) -> str:
    chosen = entry.ready.opened().format_at(share.max_bytes) if share else ""
    if entry.poster or entry.slide:
        return chosen or "jpeg"
    if entry.lengths_s:
        return chosen or this.profile.audio.ladder[0].format.partition("-")[0]
    return chosen or entry.plan.target


def predict_parts(this: Run, entries: Sequence[Entry], shares: Sequence[Share | None]) -> list[PartReport]:
    """All parts as they will be, in the message's order."""
    foreseen = [
        (one, share and replace(share, max_bytes=share.max_bytes // entry.part_count), format_slug)
        for entry, share in zip(entries, shares, strict=True)
        if (format_slug := _foretold_format(this, entry, share))
        for one in _single(entry)
    ]
    foreseen.sort(key=lambda one: one[0].shown_at)
    return [predict_part(this, place, *one) for place, one in enumerate(foreseen, start=1)]


def in_pieces(entries: Sequence[Entry], renditions: Sequence[Rendition]) -> list[tuple[Entry, Rendition]]:
    """What becomes a part each, in the message's order: a sound under slides in its pieces.

    A slide stands for as long as its piece of the sound plays, which is a whole number of the coder's frames.
    """
    made: list[tuple[Entry, Rendition]] = []
    plays_s: dict[tuple[int, int], float] = {}
    for entry, rendition in zip(entries, renditions, strict=True):
        pieces = rendition.pieces or (rendition,)
        if rendition.pieces:
            entry = replace(entry, lengths_s=tuple(piece.duration_s or 0.0 for piece in pieces))  # noqa: PLW2901
            plays_s |= {place[:2]: length_s for place, length_s in zip(entry.order, entry.lengths_s, strict=True)}
        made += zip(_single(entry), pieces, strict=True)
    made.sort(key=lambda both: both[0].shown_at)
    return [(_in_step(entry, plays_s), rendition) for entry, rendition in made]


def _in_step(entry: Entry, plays_s: Mapping[tuple[int, int], float]) -> Entry:
    """A picture that stands for as long as its sound plays."""
    length_s = plays_s.get((entry.attachment.index, entry.slide)) if entry.slide else None
    return entry if length_s is None else replace(entry, lengths_s=(length_s,))


def _single(entry: Entry) -> list[Entry]:
    """The entry for each part that it becomes."""
    if entry.slide or not entry.lengths_s:
        return [entry]
    spans = spans_of(entry.attachment.span, entry.lengths_s)
    return [
        replace(entry, attachment=replace(entry.attachment, span=span), shown_at=(place,), lengths_s=(length_s,))
        for place, length_s, span in zip(entry.shown_at, entry.lengths_s, spans, strict=True)
    ]


def budget_bytes_of(this: Run, entries: Sequence[Entry]) -> int:
    """What is left for the parts' own data; text and headers alone over the limit is an error."""
    stubs = predict_parts(this, entries, [None] * len(entries))
    overhead = overhead_bytes(stubs, this.text, this.subject) + HEADER_SLACK_BYTES * len(stubs)
    if overhead > this.usable_bytes:
        raise TextOverBudget(
            f"text, subject and headers alone have {overhead:,} bytes, the limit leaves"
            f" {this.usable_bytes:,}; shorten the text or send it as several messages",
            overhead,
            this.limit_bytes,
        )
    return this.usable_bytes - overhead


def rejections(this: Run) -> tuple[Rejection, ...]:
    """What was left out, and why."""
    return tuple(
        Rejection(this.names[index], error.code, getattr(error, "problem", str(error)), index)
        for index, error in sorted(this.rejected.items())
    )


def warnings_of(this: Run, parts: Sequence[PartReport]) -> tuple[str, ...]:
    """What people are told of the parts, and of the subject."""
    told = [f"{this.label(part.indexes[0])}: {note}" for part in parts for note in part.notes]
    most = this.profile.message.subject_characters
    if most and len(this.subject) > most:
        told.append(f"the subject has {len(this.subject)} characters; networks and phones may cut it after {most}")
    return tuple(told)
