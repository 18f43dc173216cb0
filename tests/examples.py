"""How many examples a property is tried on whose default would be too many or too few."""

from __future__ import annotations

import hypothesis

_NIGHTLY_TIMES = 10


def examples(count: int) -> hypothesis.settings:
    """``count`` of them with a change, ten times as many every night."""
    with_a_change = hypothesis.settings().derandomize
    return hypothesis.settings(max_examples=count if with_a_change else count * _NIGHTLY_TIMES)
