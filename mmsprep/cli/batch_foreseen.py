"""What a batch would do, for people: a line for every item that something would be done about.

Comes in: what was foreseen. Goes out: lines. Never: printing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from mmsprep.batch.foresee import Foreseen, Foresight
from mmsprep.message.wording import plan_words, size_words


def foreseen_lines(foreseen: Foreseen) -> list[str]:
    """What would be done about one item; nothing of what is done already."""
    if foreseen.status is Foresight.UNCHANGED:
        return []
    if foreseen.error:
        return [f"would fail: {foreseen.id}: {getattr(foreseen.error, 'problem', foreseen.error)}"]
    words = [plan_words(one.plan, one.size_bytes, foreseen.limit_bytes) for one in foreseen.files if one.plan]
    left_out = sum(one.error is not None for one in foreseen.files)
    counted = [f"{count} x {word}" if count > 1 else word for word, count in Counter(words).items()]
    counted += [f"leave out {left_out}"] if left_out else []
    return [f"would prepare: {foreseen.id}: {', '.join(counted) or 'text alone'}"]


def foreseen_summary(found: Sequence[Foreseen]) -> str:
    """One line below them: how many of what."""
    counts = Counter(one.status for one in found)
    size = sum(one.input_bytes for one in found if one.status is Foresight.PREPARE)
    return (
        f"{counts[Foresight.PREPARE]:,} to prepare ({size_words(size)}), {counts[Foresight.UNCHANGED]:,} unchanged,"
        f" {counts[Foresight.REFUSE]:,} that would fail; nothing was written"
    )
