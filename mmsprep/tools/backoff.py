"""How long to wait before the next attempt: twice as long each time, up to a longest wait.

Comes in: how many attempts failed. Goes out: seconds. Never: the wait itself, or the decision to try again; these are
the caller's, who may have to give back a claim meanwhile or be told to stop.

That is all that a sender, a queue in a database and a test's script have in common, which is why no library of
retries is used: those own the loop.
"""

from __future__ import annotations

from collections.abc import Callable

_MOST_DOUBLINGS = 40
"""Beyond it every wait is the longest one; 2**40 s are 35 000 years."""


def wait_s(failures: int, *, first_s: float, longest_s: float, chance: Callable[[], float] | None = None) -> float:
    """Seconds to wait.

    Args:
        failures: attempts that failed in a row, from 1.
        first_s: the wait after the first one.
        longest_s: no wait is longer.
        chance: 0..1; shortens a wait to as little as its half, so that many who failed together do not come back
            together.
    """
    full_s = min(longest_s, first_s * 2.0 ** min(max(failures, 1) - 1, _MOST_DOUBLINGS))
    return full_s * (0.5 + 0.5 * chance()) if chance else full_s
