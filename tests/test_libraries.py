"""What workers may import from: wherever an installation lies, and nothing beside it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from importlib import metadata
from pathlib import Path

import pytest

import mmsprep
from mmsprep.tools.confine import FILES
from mmsprep.tools.defences import defences
from mmsprep.tools.libraries import _shared, libraries, share


def _needed(name: str, seen: set[str]) -> Iterator[metadata.Distribution]:
    name = re.sub(r"[-_.]+", "-", name).lower()
    if name in seen:
        return
    seen.add(name)
    with suppress(metadata.PackageNotFoundError):
        found = metadata.distribution(name)
        yield found
        for line in found.requires or ():
            if "extra ==" not in line:
                yield from _needed(re.split(r"[^\w.-]", line, maxsplit=1)[0], seen)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy(source, target)


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as ``pip install --target`` makes it, with a file beside the packages that is nobody's business."""
    folder = tmp_path_factory.mktemp("target")
    for one in _needed("mmsprep", set()):
        tops = {file.parts[0] for file in one.files or () if ".." not in file.parts and file.suffix != ".pth"}
        for top in tops - {"mmsprep", "__pycache__"}:
            place = Path(str(one.locate_file(top)))
            if place.is_dir():
                shutil.copytree(place, folder / top, copy_function=_link, dirs_exist_ok=True)
            else:
                _link(str(place), str(folder / top))
    shutil.copytree(Path(mmsprep.__file__).parent, folder / "mmsprep", copy_function=_link)
    (folder / "settings.py").write_text("PASSWORD = 'theirs'\n", encoding="utf-8")
    return folder


def _python(packages: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The Python that the virtual environment was made from, which has nothing of it but this folder."""
    original = str(getattr(sys, "_base_executable", sys.executable))
    environment = {**os.environ, "PYTHONPATH": str(packages), "COLUMNS": "200"}
    return subprocess.run(
        [original, "-s", *arguments], capture_output=True, text=True, env=environment, timeout=300, check=False
    )


def test_every_kind_is_prepared_where_packages_lie_in_a_folder_of_their_own(
    packages: Path, sample_media: Path, tmp_path: Path
) -> None:
    names = ("IMG_0412.HEIC", "PTT-20260613-WA0003.ogg", "logo.png", "note.txt", "ringtone.mid")
    files = [str(sample_media / "message" / name) for name in names]
    done = _python(packages, "-m", "mmsprep", "prepare", *files, "-o", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    told = json.loads((tmp_path / "out" / "message.json").read_text("utf-8"))
    types = [part["content_type"] for part in told["parts"]]
    assert types == ["image/jpeg", "audio/mpeg", "image/gif", "text/plain", "audio/midi"]


@pytest.mark.skipif(FILES not in defences(), reason="this system cannot keep a process from files")
def test_what_lies_beside_the_packages_is_not_shared(packages: Path) -> None:
    program = "from mmsprep.tools.libraries import libraries; print(*libraries().readable, sep='\\n')"
    readable = [Path(line) for line in _python(packages, "-c", program).stdout.splitlines()]
    assert packages / "PIL" in readable and packages / "pillow.libs" in readable
    secret = packages / "settings.py"
    assert not [place for place in readable if secret.is_relative_to(place)]


def test_packages_in_a_folder_beside_pythons_own_are_found_by_what_needs_them(
    packages: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(packages))
    libraries.cache_clear()
    try:
        share("nothing_of_this_name")
        found = libraries()
    finally:
        _shared.remove("nothing_of_this_name")
        libraries.cache_clear()
    assert found.packages["PIL"] == str(packages / "PIL") and "nothing_of_this_name" not in found.packages
    assert str(packages / "pillow.libs") in found.readable and str(packages / "settings.py") not in found.readable
    assert not [name for name in found.packages if name.endswith((".dist-info", ".libs"))]
