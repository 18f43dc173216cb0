"""What the results of one folder's files are called.

Comes in: the names in a folder. Goes out: for each file the stem its result gets. Never: a look at the disk,
or a name that depends on which file was finished first. Pure.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import PurePosixPath


def output_stems(files: Sequence[str], folders: Collection[str] = ()) -> dict[str, str]:
    """Give each file a stem that no other result of the folder has, whatever extension is put behind it.

    A file keeps its stem: ``a.png`` becomes ``a`` + the new extension. Where two would meet (``a.png`` and
    ``a.jpg``; case and Unicode form do not count, since some disks ignore them), both keep their whole name:
    ``a.png`` + and ``a.jpg`` +. Names that still meet (``A.png`` and ``a.png``) are numbered in sorted order,
    ``a.png~2``. A stem never meets a subfolder named like a file with that stem.
    """
    stems = {name: PurePosixPath(name).stem for name in files}
    blocked = {_key(PurePosixPath(name).stem) for name in folders if PurePosixPath(name).suffix}
    while True:
        counts = Counter(map(_key, stems.values()))
        meeting = {
            name for name, stem in stems.items() if stem != name and (counts[_key(stem)] > 1 or _key(stem) in blocked)
        }
        if not meeting:
            break
        for name in meeting:
            stems[name] = name
    return _numbered(stems, blocked)


def _numbered(stems: dict[str, str], blocked: set[str]) -> dict[str, str]:
    used = Counter(map(_key, stems.values()))
    taken = set(used) | blocked
    first: set[str] = set()
    for name in sorted(stems):
        key = _key(stems[name])
        if (used[key] == 1 or key not in first) and key not in blocked:
            first.add(key)
            continue
        number = 2
        while _key(f"{stems[name]}~{number}") in taken:
            number += 1
        stems[name] = f"{stems[name]}~{number}"
        taken.add(_key(stems[name]))
    return stems


def _key(name: str) -> str:
    """What two names have in common on a disk that ignores case and Unicode form."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
