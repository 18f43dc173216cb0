"""mmsprep: any media in, one MMS out that the gateway accepts and a phone plays.

>>> from mmsprep import prepare
>>> message = prepare(["photo.heic", "voice.ogg"], text="Hello")  # doctest: +SKIP
>>> message.total_bytes <= message.limit_bytes  # doctest: +SKIP
True
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmsprep.errors import MmsprepError

if TYPE_CHECKING:
    from mmsprep.job import Inspection, Job
    from mmsprep.message import Forecast, Message
    from mmsprep.model import Part, Progress
    from mmsprep.output import read_message
    from mmsprep.pipeline import forecast, inspect, prepare, split
    from mmsprep.profile import Profile, load_profile
    from mmsprep.settings import Settings

__version__ = "0.1.0"

_PLACES = {
    "Forecast": "message",
    "Inspection": "job",
    "Job": "job",
    "Message": "message",
    "Part": "model",
    "Profile": "profile",
    "Progress": "model",
    "Settings": "settings",
    "forecast": "pipeline",
    "inspect": "pipeline",
    "load_profile": "profile",
    "prepare": "pipeline",
    "read_message": "output",
    "split": "pipeline",
}

__all__ = [
    "Forecast",
    "Inspection",
    "Job",
    "Message",
    "MmsprepError",
    "Part",
    "Profile",
    "Progress",
    "Settings",
    "__version__",
    "forecast",
    "inspect",
    "load_profile",
    "prepare",
    "read_message",
    "split",
]


def __getattr__(name: str) -> object:
    """Load a public name at its first use, so that ``import mmsprep`` costs nothing."""
    if name in _PLACES:
        from importlib import import_module

        return getattr(import_module(f"mmsprep.{_PLACES[name]}"), name)
    raise AttributeError(f"module 'mmsprep' has no attribute {name!r}")
