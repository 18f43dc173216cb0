"""What to type to get an optional part, in the way this mmsprep was installed."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

_ASK = "from mmsprep.tools.extras import install_command; print(install_command('receive'))"


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        (None, ["pip", "install", "mmsprep[receive]"]),
        ({"url": "https://example.org/mmsprep.whl", "archive_info": {}}, ["pip", "install", "mmsprep[receive]"]),
        ({"url": "file:///home/a%20b/mmsprep", "dir_info": {}}, ["pip", "install", "/home/a b/mmsprep[receive]"]),
        (
            {"url": "file:///src/mmsprep", "dir_info": {"editable": True}},
            ["pip", "install", "-e", "/src/mmsprep[receive]"],
        ),
    ],
    ids=["index", "address", "checkout", "editable"],
)
def test_the_hint_names_what_was_installed(tmp_path: Path, origin: object, expected: list[str]) -> None:
    folder = tmp_path / "mmsprep-9.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: mmsprep\nVersion: 9\n")
    if origin is not None:
        (folder / "direct_url.json").write_text(json.dumps(origin))
    program = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); {_ASK}"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert shlex.split(said.stdout) == expected
