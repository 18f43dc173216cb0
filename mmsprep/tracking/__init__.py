"""What became of sent messages: the journal of sends and the reports of the receiver, joined by the message's id.

>>> from mmsprep import track
>>> for one in track(journal="sent.db", inbox="mms-inbox"):  # doctest: +SKIP
...     print(one.recipient, one.status, one.reason)
"""

from __future__ import annotations

from mmsprep.tracking.changes import follow, track_changes
from mmsprep.tracking.joined import Tracked, Tracker, track, tracked_document
from mmsprep.tracking.status import Status

__all__ = ["Status", "Tracked", "Tracker", "follow", "track", "track_changes", "tracked_document"]
