"""Pieces of a stream (DASH, CMAF, HLS): its beginning, which holds no media, and what comes behind it.

Comes in: the name of such a file. Goes out: the error that says what it is. Never: a look at it.
"""

from __future__ import annotations

from mmsprep.errors import Damaged


def beginning_alone(name: str) -> Damaged:
    """What says of a file that it has a beginning and nothing behind it."""
    return Damaged(
        name,
        "is the beginning of a stream alone (its init segment) and holds nothing that plays; join the stream's other"
        " pieces behind it, in their order, or get the whole recording",
    )


def without_beginning(name: str) -> Damaged:
    """What says of a file that nothing can play it without what came before it."""
    return Damaged(
        name,
        "is a piece of a stream without its beginning, so nothing can play it; join it behind the stream's init"
        " segment, or get the whole recording",
    )
