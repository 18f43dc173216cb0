"""Attachments are packed by one thread at a time: those that want the same ones wait for them, and pack nothing again.

Comes in: nothing. Goes out: a turn. Never: a turn that a forked process waits for, although its holder stayed behind.
"""

from __future__ import annotations

import os
import threading

_turn = threading.Lock()


def packing() -> threading.Lock:
    """``with packing():`` round a look into what was packed already."""
    return _turn


def _forked() -> None:
    global _turn  # noqa: PLW0603 - the parent's may be held by a thread that is not here
    _turn = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
