"""What to type to get an optional part, in the way this mmsprep was installed."""

from __future__ import annotations

import importlib
import json
import os
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
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    words = shlex.split(said.stdout)
    if words[0] == "uv":  # an environment without pip: for which Python is said, too
        assert words[3:5] == ["--python", sys.executable]
        del words[3:5]
    assert words[-len(expected) + 1 :] == expected[1:]


@pytest.mark.posix("programs without an ending")
def test_the_hint_installs_for_the_python_that_mmsprep_runs_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An environment that is not activated has its pip nowhere on the path; one of uv has none."""
    from mmsprep.tools import extras

    for folder in ("environment", "system"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "pip").touch(0o755)
    python = tmp_path / "environment/python"
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.setenv("PATH", str(python.parent))
    assert extras.install("it") == "pip install it"
    monkeypatch.setenv("PATH", str(tmp_path / "system"))
    monkeypatch.setattr(extras, "find_spec", lambda name: name)
    assert extras.reinstall("it") == f"{python} -m pip install --force-reinstall it"
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    assert extras.install("it") == f"uv pip install --python {python} it"


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("PIL", ["pillow"]),
        ("pymediainfo", ["pymediainfo"]),
        ("imageio_ffmpeg", ["imageio-ffmpeg", "ffmpeg"]),
        ("pydub", ["pydub"]),
    ],
)
def test_the_doctor_names_a_package_that_is_not_there_and_goes_on(name: str, missing: list[str]) -> None:
    program = (
        f"import sys; from importlib import metadata; from mmsprep.__main__ import main; gone = {name!r}\n"
        "sys.modules[gone] = None; known = metadata.version\n"
        "def version(package):\n"
        "    if package.replace('-', '_') == gone or (package, gone) == ('pillow', 'PIL'):\n"
        "        raise metadata.PackageNotFoundError(package)\n"
        "    return known(package)\n"
        "metadata.version = version; sys.argv = ['mmsprep', 'doctor']; main()"
    )
    environment = {**os.environ, "PATH": "", "COLUMNS": "400"}
    said = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=False, timeout=120
    )
    assert said.returncode == 7, said
    rows = [line for line in said.stdout.splitlines() if line.startswith("MISSING")]
    assert [row.split()[1] for row in rows] == missing
    assert all("pip install " in row for row in rows)
    assert "isolation: limits" in said.stdout and not said.stderr


def test_a_package_that_is_not_there_is_no_bug_of_the_command_that_needs_it(sample_media: Path) -> None:
    words = ["mmsprep", "prepare", str(sample_media / "formats/photo.jpg"), "--dry-run"]
    program = f"import sys; sys.modules['PIL'] = None; sys.argv = {words!r}; from mmsprep.__main__ import main; main()"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=120)
    assert said.returncode == 7
    assert said.stderr == "error: the Python package PIL is not installed here; 'mmsprep doctor' says how to get it\n"


@pytest.mark.parametrize("module", ["mmsprep.cli", "mmsprep.campaign", "mmsprep.receive", "mmsprep"])
def test_a_name_that_is_not_there_is_told_as_python_does(module: str) -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nothing_of_this_name'"):
        getattr(importlib.import_module(module), "nothing_of_this_name")  # noqa: B009
