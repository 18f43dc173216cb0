"""Incoming MMS, never lost, never twice: the receiver, its store, and what is done with what came in.

>>> from mmsprep.receive import create_app, open_store
>>> app = create_app(open_store("inbox"), secret="/a-path-that-nobody-guesses")  # doctest: +SKIP

A server that wants an application by name gets one that the environment describes: ``uvicorn mmsprep.receive:app``.

Needs the extra ``mmsprep[receive]``; PostgreSQL in place of the embedded SQLite, ``mmsprep[postgresql]``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmsprep.errors import ToolMissing
from mmsprep.tools.extras import install_command

if TYPE_CHECKING:
    from mmsprep.receive.asgi import create_app
    from mmsprep.receive.environment import Service, create_app_from_environment
    from mmsprep.receive.forward import Forwarder
    from mmsprep.receive.incoming import Stored, StoredPart
    from mmsprep.receive.limits import Limits
    from mmsprep.receive.retention import Retention
    from mmsprep.receive.store import Store, open_store

_PLACES = {
    "Retention": "retention",
    "Service": "environment",
    "create_app_from_environment": "environment",
    "Forwarder": "forward",
    "Limits": "limits",
    "Store": "store",
    "Stored": "incoming",
    "StoredPart": "incoming",
    "create_app": "asgi",
    "open_store": "store",
}

__all__ = [
    "Forwarder",
    "Limits",
    "Retention",
    "Service",
    "Store",
    "Stored",
    "StoredPart",
    "create_app",
    "create_app_from_environment",
    "open_store",
]


def __getattr__(name: str) -> object:
    """Load a public name at its first use; ``app`` is made then, of what the environment says."""
    if name == "app":
        from mmsprep.receive.environment import create_app_from_environment

        # Kept: a server that asks twice must not have two.
        globals()["app"] = create_app_from_environment()
        return globals()["app"]
    if name not in _PLACES:
        raise AttributeError(f"module 'mmsprep.receive' has no attribute {name!r}")
    from importlib import import_module

    try:
        return getattr(import_module(f"mmsprep.receive.{_PLACES[name]}"), name)
    except ModuleNotFoundError as error:
        raise ToolMissing(
            f"receiving needs the package {error.name}; {install_command('receive')} brings it"
        ) from error
