"""One message to a list of people: everybody's own words, the media prepared once, nobody twice and nobody lost.

Comes in: a list (CSV, JSON lines), a message with fields in it. Goes out: a request a person, and a report of all of
them. Never: a request before everything was checked, or a second one to somebody whom the journal knows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mmsprep.campaign.checked import Campaign, Checked, check
    from mmsprep.campaign.media import Rendered
    from mmsprep.campaign.merge import Template
    from mmsprep.campaign.people import People, Person, read_people
    from mmsprep.campaign.report import write_report
    from mmsprep.campaign.sending import Failures, Outcome, Pace, Sending, campaign_key, run

_PLACES = {
    "Campaign": "checked",
    "Checked": "checked",
    "Failures": "sending",
    "Outcome": "sending",
    "Pace": "sending",
    "People": "people",
    "Person": "people",
    "Rendered": "media",
    "Sending": "sending",
    "Template": "merge",
    "campaign_key": "sending",
    "check": "checked",
    "read_people": "people",
    "run": "sending",
    "write_report": "report",
}

__all__ = [
    "Campaign",
    "Checked",
    "Failures",
    "Outcome",
    "Pace",
    "People",
    "Person",
    "Rendered",
    "Sending",
    "Template",
    "campaign_key",
    "check",
    "read_people",
    "run",
    "write_report",
]


def __getattr__(name: str) -> object:
    """Load a public name at its first use: the fields of a text need no database."""
    if name not in _PLACES:
        raise AttributeError(f"module 'mmsprep.campaign' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"mmsprep.campaign.{_PLACES[name]}"), name)
