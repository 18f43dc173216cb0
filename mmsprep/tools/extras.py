"""What to type so that a part of mmsprep is there: in the way this mmsprep was installed, for the Python it runs with.

Comes in: the name of an extra or a package. Goes out: a command. Never: installing.
"""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname


def install_command(*extras: str) -> str:
    """What installs ``extras`` of ``pyproject.toml``.

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
        return install(f"'mmsprep{chosen}'")
    path = url2pathname(url.path)
    editable = "-e " if origin.get("dir_info", {}).get("editable") else ""
    return install(f"{editable}{shlex.quote(path + chosen)}")


def reinstall(package: str) -> str:
    """A command that brings ``package`` whole again."""
    return install(f"--force-reinstall {package}")


def install(what: str) -> str:
    """``pip install``, called so that it is this Python's and not another one's that happens to be on the path."""
    found = shutil.which("pip")
    if found and Path(found).parent == Path(sys.executable).parent:
        return f"pip install {what}"
    python = shlex.quote(sys.executable)
    return f"{python} -m pip install {what}" if find_spec("pip") else f"uv pip install --python {python} {what}"
