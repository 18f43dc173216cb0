"""From files to one verified message: a stage a file, their order once, in ``order.py``.

Comes in: a :class:`Job`. Goes out: messages, a forecast, or what each file is. Never: a send.
"""

from __future__ import annotations

from mmsprep.pipeline.order import forecast, inspect, prepare, run, split

__all__ = ["forecast", "inspect", "prepare", "run", "split"]
