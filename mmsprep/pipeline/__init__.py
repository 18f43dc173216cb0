"""From files to one verified message: a stage a file, their order once, in ``order.py``.

Comes in: a :class:`Job`. Goes out: messages, a forecast, or what each file is. Never: a send.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mmsprep.pipeline.order import forecast, forecast_split, inspect, prepare, run, split

__all__ = ["forecast", "forecast_split", "inspect", "prepare", "run", "split"]


def __getattr__(name: str) -> object:
    """Load the stages when the order is asked for: a worker needs one of them alone."""
    if name in __all__:
        from mmsprep.pipeline import order

        return getattr(order, name)
    raise AttributeError(f"module 'mmsprep.pipeline' has no attribute {name!r}")
