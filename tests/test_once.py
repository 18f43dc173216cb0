"""What takes long is worked out once for each object, and for two of them at the same time."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from mmsprep.tools.once import once


class _Picture:
    def __init__(self, meeting: threading.Barrier) -> None:
        self.meeting, self.times = meeting, 0

    @once
    def look(self) -> int:
        """Waits until the other's is being worked out, too."""
        self.times += 1
        return self.meeting.wait()


def test_a_value_is_worked_out_once_and_of_two_objects_side_by_side() -> None:
    meeting = threading.Barrier(2, timeout=20)
    pictures = [_Picture(meeting), _Picture(meeting)]
    with ThreadPoolExecutor(2) as pool:
        first = list(pool.map(lambda picture: picture.look, pictures))
    assert sorted(first) == [0, 1] and [picture.look for picture in pictures] == first
    assert [picture.times for picture in pictures] == [1, 1]


def test_the_property_itself_tells_what_it_is() -> None:
    assert isinstance(_Picture.look, once) and "worked out" in (_Picture.look.__doc__ or "")
