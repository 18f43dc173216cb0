"""What to type so that an optional part of mmsprep is there, in the way this mmsprep was installed.

Comes in: the extra's name. Goes out: a command. Never: installing.
"""

from __future__ import annotations

import json
import shlex
from importlib import metadata
from urllib.parse import urlsplit
from urllib.request import url2pathname


def install_command(*extras: str) -> str:
    """``pip install ...`` for ``extras`` of ``pyproject.toml``.

    What was installed from a checkout or a file (PEP 610's ``direct_url.json``) is named by its path, since the
    package index may have no mmsprep or another one.
    """
    chosen = f"[{','.join(extras)}]"
    try:
        origin = json.loads(metadata.distribution("mmsprep").read_text("direct_url.json") or "{}")
    except (metadata.PackageNotFoundError, OSError, ValueError):
        origin = {}
    url = urlsplit(str(origin.get("url", "")))
    if url.scheme != "file":
        return f"pip install 'mmsprep{chosen}'"
    path = url2pathname(url.path)
    editable = "-e " if origin.get("dir_info", {}).get("editable") else ""
    return f"pip install {editable}{shlex.quote(path + chosen)}"
