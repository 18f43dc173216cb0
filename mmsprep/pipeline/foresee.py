"""What a message would be, without the final encodes.

Comes in: opened entries. Goes out: a :class:`mmsprep.message.Forecast`. Never: a part's data; an encode only of
pictures that nothing else can tell to be above their floors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mmsprep.message import Forecast
from mmsprep.message.message import overhead_bytes
from mmsprep.model import Kind
from mmsprep.pipeline.advice import advice
from mmsprep.pipeline.asking import Share, ask_of, is_doubtful
from mmsprep.pipeline.assemble import budget_bytes_of, predict_part, predict_parts, rejections, warnings_of
from mmsprep.pipeline.reach import above_floor, divided, fitted
from mmsprep.pipeline.running import Entry, Run


def foreseen(this: Run, entries: Sequence[Entry], *, splits: bool = False, at_last: bool = True) -> Forecast:
    """Divide, and tell what that promises."""
    entries, shares = above_floor(this, entries, _foretold, splits=splits, at_last=at_last)
    shares = [_looked_at(entry, share) for entry, share in zip(entries, shares, strict=True)]
    parts = predict_parts(this, entries, shares)
    told = [predict_part(this, 1, *of) for of in zip(entries, shares, strict=True)]
    helpful = advice(this, entries, told, budget_bytes_of(this, entries), splits=splits)
    overhead = overhead_bytes(parts, this.text, this.subject)
    return Forecast(
        profile=this.profile.name,
        limit_bytes=this.limit_bytes,
        total_bytes=overhead + sum(part.size_bytes for part in parts),
        overhead_bytes=overhead,
        parts=tuple(parts),
        text=this.text,
        subject=this.subject,
        rejected=rejections(this),
        warnings=(*warnings_of(this, parts), *helpful),
    )


def _foretold(this: Run, entries: Sequence[Entry]) -> tuple[Sequence[Entry], Sequence[Share]]:
    """Divide the budget; of pictures that only encodes can tell to be above their floors, as these come out."""
    ready, shares = divided(this, entries)
    if not is_doubtful([entry.ready for entry in ready], shares):
        return ready, shares
    ready, renditions = fitted(this, entries)
    return ready, [
        Share(made.size_bytes, made.told_quality, made is entry.ready.original, final=True)
        for entry, made in zip(ready, renditions, strict=True)
    ]


def _looked_at(entry: Entry, share: Share) -> Share:
    """A clip's share that was certain without a look at its probe, with the bytes that it has use for and the quality
    that such a look foretells: nothing but that would tell it, where nothing is made."""
    if not share.final or entry.poster or entry.wanted.kind is not Kind.VIDEO:
        return share
    ask = ask_of(entry.ready, keep=False)
    size_bytes = min(share.max_bytes, ask.points[-1].size_bytes)
    return replace(share, max_bytes=size_bytes, quality=ask.quality_at(size_bytes))
