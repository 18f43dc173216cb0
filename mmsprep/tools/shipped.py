"""Where the tables lie that come with mmsprep.

Comes in: the name of one of its folders. Goes out: its place. Never: a look into it.
"""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parents[1]


def shipped(name: str) -> Path:
    """The folder ``name``: inside an installed package, or beside the package in a checkout."""
    installed = _PACKAGE / f"_{name}"
    return installed if installed.is_dir() else _PACKAGE.parent / name
