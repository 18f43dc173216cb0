"""Changes of status as they happen: an iterator for event loops, a callback for everything else.

Comes in: a journal, a store of incoming messages, or both. Goes out: each message when its status becomes another one.
Never: a change twice, or one that is lost because two came at the same moment.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import datetime
from functools import partial

from mmsprep.sender.http import in_thread, pause_async
from mmsprep.sender.journal import Journal
from mmsprep.tracking.joined import Place, Tracked, Tracker, of_reports
from mmsprep.tracking.status import Status, judged

_SLACK_S = 60.0
"""How much later than its time a change may become visible: a transaction of another machine, a clock."""
_LONGEST_SEND_S = 600.0
_SLACK_REPORTS = 200
_MOST_REMEMBERED = 200_000


class Changes:
    """What changed since the last look. ``since_s``: begin with what changed from then on, 0 with everything."""

    def __init__(self, tracker: Tracker, since_s: float | None = None) -> None:
        self._tracker = tracker
        self._known: OrderedDict[str, tuple[Status, str, str]] = OrderedDict()
        self._looked_at_s = 0.0
        self._report = 0
        self._began_s = since_s or 0.0
        if since_s is None:
            self._start_now()
        elif since_s:
            self._looked_at_s = since_s

    def _start_now(self) -> None:
        """What is so already is no change."""
        if self._tracker.journal is not None:
            self._looked_at_s = self._tracker.journal.now_s() - _LONGEST_SEND_S
        self._began_s = self._looked_at_s
        self._report = self._tracker.reports.newest() if self._tracker.reports else 0
        for _ in self.look():
            pass

    def look(self) -> Iterator[Tracked]:
        """The messages whose status became another one."""
        tracker = self._tracker
        known_report = self._report
        reports = []
        if tracker.reports is not None:
            reports = tracker.reports.after(max(0, self._report - _SLACK_REPORTS))
            self._report = max([self._report, *(report.number for report in reports)])
        about = {report.about_id for report in reports if report.about_id}
        if tracker.journal is None:
            yield from self._changed(of_reports(report for report in reports if report.about_id), known_report)
            return
        now_s = tracker.journal.now_s()
        entries = tracker.journal.entries(changed_since_s=max(0.0, self._looked_at_s - _SLACK_S))
        self._looked_at_s = now_s
        # A sender that has died changes nothing any more.
        sending = [token for token, (status, _, _) in self._known.items() if status is Status.SENDING]
        for tokens in _batches(sending):
            entries += tracker.journal.entries(tokens=tokens)
        for ids in _batches(sorted(about)):
            entries += tracker.journal.entries(message_ids=ids)
        entries.sort(key=lambda entry: entry.created_at_s)
        yield from self._changed(tracker.joined(entries), known_report)

    def _changed(self, found: list[Tracked], known_report: int) -> Iterator[Tracked]:
        for one in sorted(found, key=lambda one: one.changed_at_s):
            name, now = one.attempt or one.message_id, (one.status, one.reason, one.said)
            before = self._known.get(name)
            self._known[name] = now
            self._known.move_to_end(name)
            if len(self._known) > _MOST_REMEMBERED:
                self._known.popitem(last=False)
            if before is None and not self._is_news(one, known_report):
                continue
            if before is None or before[0] is not one.status:
                yield one

    def _is_news(self, one: Tracked, known_report: int) -> bool:
        """Whether a message of before the first look became something else by the reports that are new."""
        if one.sent_at_s is None or one.sent_at_s >= self._began_s:
            return True
        then, now = judged(report for report in one.reports if report.number <= known_report), judged(one.reports)
        return now is not None and (then is None or then[0] is not now[0])


def follow(
    callback: Callable[[Tracked], object],
    *,
    journal: Place | Journal | None = None,
    inbox: Place | None = None,
    since: datetime | None = None,
    poll_s: float = 1.0,
    stop: threading.Event | None = None,
) -> None:
    """Call ``callback`` with each message whose status becomes another one, until ``stop`` is set.

    Args:
        callback: is called in this thread, one after the other.
        journal, inbox: as :func:`mmsprep.track` takes them.
        since: begin with what changed from then on; ``None``: from now on.
        poll_s: seconds between two looks.
        stop: ends it.

    Raises:
        MmsprepError: as :func:`mmsprep.track`.
    """
    ended = stop or threading.Event()
    with Tracker(journal=journal, inbox=inbox) as tracker:
        changes = Changes(tracker, since.timestamp() if since else None)
        while not ended.is_set():
            for one in changes.look():
                callback(one)
            ended.wait(poll_s)


async def track_changes(
    *,
    journal: Place | Journal | None = None,
    inbox: Place | None = None,
    since: datetime | None = None,
    poll_s: float = 1.0,
) -> AsyncIterator[Tracked]:
    """Each message whose status becomes another one, as it does; arguments as :func:`follow` takes them.

    ``async for one in track_changes(journal="sent.db", inbox="mms-inbox"):`` does not block the event loop.
    """
    tracker = await in_thread(lambda: Tracker(journal=journal, inbox=inbox))
    try:
        changes = await in_thread(lambda: Changes(tracker, since.timestamp() if since else None))
        look = partial(_all_of, changes)
        while True:
            for one in await in_thread(look):
                yield one
            await pause_async(poll_s)
    finally:
        await in_thread(tracker.close)


def _all_of(changes: Changes) -> list[Tracked]:
    return list(changes.look())


def _batches(names: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(names), 500):
        yield names[start : start + 500]
