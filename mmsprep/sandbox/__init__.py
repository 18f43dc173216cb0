"""A local stand-in for SMSGlobal's gateway, to develop and test against, with a page that shows what a phone shows.

Comes in: requests at both doors (``/mms/sendmms.php``, ``/mms/mm7.php``). Goes out: the answers of the published
tables, or the faults that a test asks for; the page; an incoming MMS pushed to a URL of yours. Never: a message to
a real phone, or a word to any other machine but that URL.

The web server is the extra ``mmsprep[sandbox]``. In a test::

    from mmsprep.sandbox import Sandbox

    with Sandbox() as gateway:
        ...  # send to gateway.form_url or gateway.mm7_url
        assert gateway.accepted
"""

from __future__ import annotations

import warnings

from mmsprep.sandbox.exchange import Door, Exchange, Judgement, Login, ShownPart, Slide, Submission, SubmittedContent
from mmsprep.sandbox.faults import Fault, parse_fault
from mmsprep.sandbox.notices import Notice, Notification, parse_notice
from mmsprep.sandbox.push import Persistence, PushDelivery
from mmsprep.sandbox.server import DEFAULT_PORT, Sandbox

__all__ = [
    "DEFAULT_PORT",
    "Door",
    "Exchange",
    "Fault",
    "Judgement",
    "Login",
    "Notice",
    "Notification",
    "Persistence",
    "PushDelivery",
    "Sandbox",
    "ShownPart",
    "Slide",
    "Submission",
    "SubmittedContent",
    "parse_fault",
    "parse_notice",
]


_RENAMED = {"Account": "Login", "Content": "SubmittedContent", "Delivery": "PushDelivery"}
"""Names that meant another thing elsewhere (:class:`mmsprep.Account`, what :func:`mmsprep.deliver` gives)."""


def __getattr__(name: str) -> object:
    """A name's successor, with a warning."""
    if name in _RENAMED:
        warnings.warn(f"mmsprep.sandbox.{name} is called {_RENAMED[name]} now", DeprecationWarning, stacklevel=2)
        return globals()[_RENAMED[name]]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
