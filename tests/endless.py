"""A reader of pushes that never ends; in a module of its own, as a worker has no other module of the tests."""

from __future__ import annotations

import time

from mmsprep.model import Attachment
from mmsprep.receive import Limits
from mmsprep.receive.incoming import RawPush
from mmsprep.receive.read import Read


def hang(attachment: Attachment, told: RawPush, limits: Limits) -> Read:
    """For ever."""
    while True:
        time.sleep(0.01)
