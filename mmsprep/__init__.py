"""mmsprep: any media in, one MMS out that the gateway accepts and a phone plays.

>>> from mmsprep import prepare
>>> message = prepare(["photo.heic", "voice.ogg"], text="Hello")  # doctest: +SKIP
>>> message.total_bytes <= message.limit_bytes  # doctest: +SKIP
True
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from mmsprep.errors import MmsprepError

if TYPE_CHECKING:
    from mmsprep.batch.many import prepare_many
    from mmsprep.batch.outcome import Failed, Outcome, Prepared
    from mmsprep.delivery import deliver
    from mmsprep.hook import pre_send, pre_send_async
    from mmsprep.message import Forecast, Message, read_message
    from mmsprep.model import Part, Progress
    from mmsprep.pipeline import forecast, forecast_split, inspect, prepare, split
    from mmsprep.pipeline.intake import Excerpt
    from mmsprep.pipeline.job import Inspection, Job
    from mmsprep.profile import Profile, load_profile
    from mmsprep.sender import Account, Journal, Patience, Receipt, SubmitOptions, load_account, send, send_async
    from mmsprep.settings import Settings
    from mmsprep.tracking import Tracked, track, track_changes

__version__ = "1.0.0"

# Quiet until somebody asks (:mod:`mmsprep.tools.log`), warnings too.
logging.getLogger(__name__).addHandler(logging.NullHandler())

_PLACES = {
    "Account": "sender",
    "Excerpt": "pipeline.intake",
    "Failed": "batch.outcome",
    "Forecast": "message",
    "Inspection": "pipeline.job",
    "Job": "pipeline.job",
    "Journal": "sender",
    "Message": "message",
    "Outcome": "batch.outcome",
    "Part": "model",
    "Patience": "sender",
    "Prepared": "batch.outcome",
    "Profile": "profile",
    "Progress": "model",
    "Receipt": "sender",
    "Settings": "settings",
    "SubmitOptions": "sender",
    "Tracked": "tracking",
    "deliver": "delivery",
    "forecast": "pipeline",
    "forecast_split": "pipeline",
    "inspect": "pipeline",
    "load_account": "sender",
    "load_profile": "profile",
    "pre_send": "hook",
    "pre_send_async": "hook",
    "prepare": "pipeline",
    "prepare_many": "batch.many",
    "read_message": "message",
    "send": "sender",
    "send_async": "sender",
    "split": "pipeline",
    "track": "tracking",
    "track_changes": "tracking",
}

__all__ = [
    "Account",
    "Excerpt",
    "Failed",
    "Forecast",
    "Inspection",
    "Job",
    "Journal",
    "Message",
    "MmsprepError",
    "Outcome",
    "Part",
    "Patience",
    "Prepared",
    "Profile",
    "Progress",
    "Receipt",
    "Settings",
    "SubmitOptions",
    "Tracked",
    "__version__",
    "deliver",
    "forecast",
    "forecast_split",
    "inspect",
    "load_account",
    "load_profile",
    "pre_send",
    "pre_send_async",
    "prepare",
    "prepare_many",
    "read_message",
    "send",
    "send_async",
    "split",
    "track",
    "track_changes",
]


def __getattr__(name: str) -> object:
    """Load a public name at its first use, so that ``import mmsprep`` costs nothing."""
    if name in _PLACES:
        from importlib import import_module

        return getattr(import_module(f"mmsprep.{_PLACES[name]}"), name)
    raise AttributeError(f"module 'mmsprep' has no attribute {name!r}")
