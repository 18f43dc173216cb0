"""What the budget is divided over: each entry as it can go without a loss, else decoded, and the same ones once.

Comes in: entries that are understood. Goes out: a candidate for each, and the entries that differ. Never: a division.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial

from mmsprep.errors import Damaged
from mmsprep.model import Action, Kind, Plan, Reason, ReasonCode, Rendition
from mmsprep.pipeline.asking import Candidate
from mmsprep.pipeline.classify import classify
from mmsprep.pipeline.rewrap import rewrap
from mmsprep.pipeline.running import Entry, OpenOnce, Run
from mmsprep.tools.untrusted import read_bytes
from mmsprep.transcode import open_source, vanishes


def plan_after_looking(this: Run, entry: Entry) -> Plan:
    """The entry's plan, or another where something in the original would not be seen on the profile's background.

    Raises:
        OverInputLimit: decoding takes more than this machine may spend.
    """
    info, plan, background = entry.info, entry.plan, this.profile.image.background
    if plan.action is Action.TRANSCODE or info.kind is not Kind.IMAGE or not info.has_alpha:
        return plan
    # What is damaged is told where it is sent.
    with suppress(Damaged):
        if vanishes(entry.attachment, info, background, this.workspace):
            reason = Reason(ReasonCode.VANISHES, f"not all of it is seen on {background}", "what is seen")
            return replace(plan, action=Action.TRANSCODE, reasons=(*plan.reasons, reason))
    return plan


def with_candidate(this: Run, entry: Entry) -> Entry:
    """The entry with what the division is told of it; what must be encoded is decoded here.

    Whether a picture larger than photographs may be is a drawing, which may, only its pixels tell.
    """
    attachment, info, plan = entry.attachment, entry.wanted, entry.plan
    source = OpenOnce(partial(open_source, attachment, info, plan, this.profile, this.workspace))
    original = _original(this, entry)
    if original is None and source().drawn_shrink and any(one.code is ReasonCode.SIZE_PX for one in plan.reasons):
        drawn = replace(entry, plan=classify(attachment.name, entry.info, this.profile, attachment.span, drawn=True))
        if whole := _original(this, drawn):
            plan, original = drawn.plan, replace(whole, drawn=True)
    about = partial(this.about, attachment)
    candidate = Candidate(source, original, this.priority_of(attachment), info.size_bytes, this.floor, about)
    return replace(entry, plan=plan, candidate=candidate)


def _original(this: Run, entry: Entry) -> Rendition | None:
    """The attachment as it can go without a loss, or ``None`` where it must be encoded or is too large."""
    info, plan = entry.info, entry.plan
    if plan.action is Action.TRANSCODE:
        return None
    if plan.action is Action.KEEP:
        if info.size_bytes > this.usable_bytes:
            return None
        data: bytes | None = read_bytes(entry.attachment)
    else:
        data = rewrap(entry.attachment, info, plan, this.workspace, this.usable_bytes)
    if data is None or len(data) > this.usable_bytes:
        return None
    return Rendition(
        data=data,
        format=info.format,
        content_type=info.content_type,
        action=plan.action,
        quality=100,
        width_px=info.width_px,
        height_px=info.height_px,
        duration_s=info.duration_s,
    )


class Different:
    """Opened entries; those that are the same are told, and carried once where the profile lets slides share a part."""

    def __init__(self, this: Run, understood: Sequence[Entry]) -> None:
        self.entries: list[Entry] = []
        self._this = this
        self._first: dict[object, int] = {}
        self._sizes = Counter(entry.info.size_bytes for entry in understood)

    @property
    def part_count(self) -> int:
        """How many parts they make."""
        return sum(entry.part_count for entry in self.entries)

    def add(self, entries: Sequence[Entry]) -> None:
        """One, or the slides of a clip, which are what they are."""
        if any(entry.lengths_s for entry in entries):
            self.entries += entries
            return
        for entry in entries:
            self._add(entry)

    def _add(self, entry: Entry) -> None:
        place = self._first.setdefault(_content_of(entry, self._sizes), len(self.entries))
        if place == len(self.entries):
            self.entries.append(entry)
            return
        twin, label = self.entries[place], self._this.label
        if not self._this.profile.message.share_duplicates:
            note = f"the same as {label(twin.attachment.index)}; leave one out to give the others its bytes"
            self.entries.append(replace(entry, notes=(note,)))
            return
        note = f"{label(entry.attachment.index)} is the same: carried once, shown twice"
        both = (*twin.indexes, *entry.indexes)
        self.entries[place] = replace(twin, indexes=both, shown_at=both, notes=(*twin.notes, note))
        self._this.reached.end(entry.attachment.index)


def _content_of(entry: Entry, sizes: Counter[int]) -> object:
    """What two attachments have in common when they show the same: the pixels, else the bytes."""
    alone = ("attachment", entry.attachment.index)
    span = entry.attachment.span
    if sizes.total() == 1:
        return alone
    original = entry.ready.original
    fingerprint = None if original else entry.ready.source().fingerprint
    if fingerprint:
        return ("pixels", fingerprint)
    if sizes[entry.info.size_bytes] == 1:
        return alone
    return ("bytes", hashlib.sha256(original.data if original else read_bytes(entry.attachment)).digest(), span)
