"""Incoming MMS, never lost, never twice: the receiver, its store, and what is done with what came in.

>>> from mmsprep.receive import create_app, open_store
>>> app = create_app(open_store("inbox"), secret="/a-path-that-nobody-guesses")  # doctest: +SKIP

Needs the extra ``mmsprep[receive]``; PostgreSQL in place of the embedded SQLite, ``mmsprep[postgresql]``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmsprep.errors import ToolMissing

if TYPE_CHECKING:
    from mmsprep.receive.app import create_app
    from mmsprep.receive.forward import Forwarder
    from mmsprep.receive.incoming import Stored, StoredPart
    from mmsprep.receive.limits import Limits
    from mmsprep.receive.store import Store, open_store

_PLACES = {
    "Forwarder": "forward",
    "Limits": "limits",
    "Store": "store",
    "Stored": "incoming",
    "StoredPart": "incoming",
    "create_app": "app",
    "open_store": "store",
}

__all__ = ["Forwarder", "Limits", "Store", "Stored", "StoredPart", "create_app", "open_store"]


def __getattr__(name: str) -> object:
    """Load a public name at its first use."""
    if name not in _PLACES:
        raise AttributeError(f"module 'mmsprep.receive' has no attribute {name!r}")
    from importlib import import_module

    try:
        return getattr(import_module(f"mmsprep.receive.{_PLACES[name]}"), name)
    except ModuleNotFoundError as error:
        raise ToolMissing(
            f"receiving needs the package {error.name}; pip install 'mmsprep[receive]' brings it"
        ) from error
