"""Some seconds of a recording or clip: whose they are, that they are there, and the facts about them.

Comes in: attachments with a span, what they are, the span that a job asks for. Goes out: spans with both ends, and the
facts about what lies between them. Never: a decode; how long something plays is counted, not believed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate, pairwise

from mmsprep.errors import OutsideDuration, UsageError
from mmsprep.formats import FORMATS
from mmsprep.model import Attachment, Kind, MediaInfo, Span
from mmsprep.settings import Settings
from mmsprep.tools.workspace import Workspace

_ROUNDED_S = 1.0
"""Players show whole seconds, rounded up by some: an end this little behind the real one is the end."""
_WHOLE_S = 0.02
_SHORTEST_S = 0.1
"""Seconds: as near to both ends as this a choice is the whole; one that begins nearer to the end is empty. Set by
hand."""


def is_timed(info: MediaInfo) -> bool:
    """Whether seconds of it can be sent: recordings and clips, but no melodies, animations and stills."""
    return info.kind in (Kind.AUDIO, Kind.VIDEO) and FORMATS[info.format].is_timed


def the_timed_one(found: Sequence[tuple[Attachment, MediaInfo]]) -> int:
    """The index of the one recording or clip among ``found``.

    Raises:
        UsageError: there is none, or one of several would have to be guessed.
    """
    timed = [attachment for attachment, info in found if is_timed(info)]
    if not timed:
        raise UsageError("seconds are asked for (from, to), but there is no recording or clip among the attachments")
    if len(timed) > 1:
        names = ", ".join(one.name for one in timed)
        raise UsageError(
            f"seconds are asked for (from, to), but there are {len(timed)} recordings and clips ({names}); say it for"
            f" each: {timed[0].name}[0:05-0:20]"
        )
    return timed[0].index


def checked_span(
    attachment: Attachment, info: MediaInfo, span: Span, settings: Settings, workspace: Workspace
) -> Span | None:
    """``span`` with both ends, ``None`` where it is all of the recording or clip.

    Raises:
        OutsideDuration: it begins or ends behind the end, or there are no seconds to choose from.
        OverInputLimit: it takes too long to count them.
    """
    if not is_timed(info):
        what = FORMATS[info.format].title
        raise OutsideDuration(
            attachment.name, f"is no recording or clip but {what}, so no seconds of it can be chosen; leave them out"
        )
    # What was counted, or reckoned from every frame, when it was looked at is known already.
    whole_s = info.duration_s
    if info.format != "evrc":
        from mmsprep.sniff.recordings import counted_s

        whole_s = counted_s(attachment, info.format, settings, workspace) or whole_s
    if whole_s is None:
        raise OutsideDuration(attachment.name, "does not tell how long it plays, so no seconds of it can be chosen")
    end_s = whole_s if span.to_s is None else span.to_s
    if span.from_s > whole_s - _SHORTEST_S or end_s > whole_s + _ROUNDED_S:
        what = "begins" if span.from_s > whole_s - _SHORTEST_S else "ends"
        moment_s = span.from_s if what == "begins" else end_s
        raise OutsideDuration(
            attachment.name,
            f"plays {whole_s:.1f} s ({clock(whole_s)}), and what was asked for {what} at {moment_s:g} s; choose seconds"
            f" from 0 to {whole_s:.1f}",
        )
    end_s = min(end_s, whole_s)
    if span.from_s <= _WHOLE_S and end_s >= whole_s - _WHOLE_S:
        return None
    return Span(span.from_s, end_s)


def facts_of(info: MediaInfo, span: Span | None) -> MediaInfo:
    """What is known of the seconds ``span`` of ``info``'s recording or clip, by share where it is not known."""
    length_s = span.length_s if span else None
    if length_s is None:
        return info
    share = min(1.0, length_s / info.duration_s) if info.duration_s else 1.0
    frame_count = info.frame_count and max(2, round(info.frame_count * share))
    if info.frame_count == 1:
        frame_count = 1
    return replace(
        info, duration_s=length_s, frame_count=frame_count, size_bytes=max(1, round(info.size_bytes * share))
    )


def spans_of(span: Span | None, lengths_s: Sequence[float]) -> list[Span]:
    """The seconds of a recording that lie one behind the other from the beginning of ``span`` on, so many each."""
    from_s = span.from_s if span else 0.0
    bounds = [round(from_s + sofar_s, 3) for sofar_s in accumulate(lengths_s, initial=0.0)]
    return [Span(low, high) for low, high in pairwise(bounds)]


def clock(seconds: float) -> str:
    """Seconds as people write a moment: ``1:05``, ``1:02:03``."""
    minutes, whole = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{whole:02d}" if hours else f"{minutes}:{whole:02d}"
