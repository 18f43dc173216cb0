"""A pytest plugin (``-p tests.uncaged``): what workers do is done in this process, where coverage is counted."""

from __future__ import annotations

from mmsprep.settings import Settings
from mmsprep.tools import isolation


def _never(settings: Settings) -> bool:
    return False


isolation.can_isolate = _never
