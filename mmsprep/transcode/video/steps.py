"""The steps of a clip's making, in the log: where its seconds go.

Comes in: a step's name. Goes out: a line of the log at the level ``debug`` when it is done. Never: what it worked on.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from mmsprep.tools.log import timed

_log = logging.getLogger(__name__)


@contextmanager
def logged(step: str) -> Iterator[None]:
    """Log how long a block, or a function below this, took: one step of one clip."""
    with timed(_log, logging.DEBUG, "a clip's %(step)s took %(took_s).3f s (%(outcome)s)", step=step):
        yield
