"""What a phone of a year makes of a message: by data, each fact with its source.

Comes in: a message's parts and presentation. Goes out: a scene, a page, a document. Never: the message changed.
"""

from __future__ import annotations

from mmsprep.handset.document import document
from mmsprep.handset.judge import Showing, Verdict, judge
from mmsprep.handset.model import Handset, Shares, handset_names, load_handset, load_shares
from mmsprep.handset.opened import Opened, OpenedPart, open_message
from mmsprep.handset.page import POLICY, YEARS_SHOWN, phones_page
from mmsprep.handset.render import render_all
from mmsprep.handset.scene import Item, Scene, Shown, look_at, read_slides, scene_of

__all__ = [
    "POLICY",
    "YEARS_SHOWN",
    "Handset",
    "Item",
    "Opened",
    "OpenedPart",
    "Scene",
    "Shares",
    "Showing",
    "Shown",
    "Verdict",
    "document",
    "handset_names",
    "judge",
    "load_handset",
    "load_shares",
    "look_at",
    "open_message",
    "phones_page",
    "read_slides",
    "render_all",
    "scene_of",
]
