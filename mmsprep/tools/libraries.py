"""Where Python's modules lie that a worker needs, so that it may read those and nothing else.

Comes in: what this process imports from. Goes out: folders, and where single packages lie. Never: the folder of the
program that is running, a project's own folder, or anything of /opt that is not Python's: secrets lie there.
"""

from __future__ import annotations

import re
import site
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import mmsprep

_REQUIRED = re.compile(r"[^\w.-]")
_ABOUT, _DATA, _NO_CODE = (".dist-info", ".egg-info"), ".data", ("bin", "__pycache__")
_shared: list[str] = []


@dataclass(frozen=True, slots=True)
class Libraries:
    """``search``: folders to import from. ``packages``: where a package or module lies that is in none of them.

    ``readable``: everything that must be readable for both.
    """

    search: tuple[str, ...]
    packages: dict[str, str]
    readable: tuple[str, ...]


def share(package: str) -> None:
    """Have workers import ``package`` too, from now on: for a program that hands them functions of its own."""
    _shared.append(package)
    libraries.cache_clear()


@lru_cache(maxsize=1)
def libraries() -> Libraries:
    """Python's own folders, and the packages that were put somewhere else (``--target``, a checkout)."""
    own = tuple(dict.fromkeys(str(Path(place).resolve()) for place in _own_folders() if Path(place).is_dir()))
    inside = {place: _is_inside(Path(place), own) for place in sys.path if place}
    search = tuple(place for place in inside if inside[place])
    packages, bundled = _installed_in([place for place in inside if not inside[place]])
    packages |= {name: place for name in _shared if (place := _place_of(name)) and not _is_inside(Path(place), own)}
    packages["mmsprep"] = str(Path(mmsprep.__file__).parent)
    configured = [str(Path(sys.prefix, "pyvenv.cfg"))]
    return Libraries(search, packages, (*own, *packages.values(), *bundled, *configured))


def _installed_in(folders: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """What mmsprep stands on and pip put into one of ``folders``: packages and modules with their places, and the
    folders of shared libraries that came with them (``pillow.libs``)."""
    folders = [folder for folder in folders if _has_distributions(folder)]
    if not folders:
        return {}, []
    # Loading it takes longer than all else here.
    from importlib import metadata

    found = {_normal(one.name): one for folder in folders for one in metadata.distributions(path=[folder])}
    wanted, waiting = set[str](), ["mmsprep"] if found else []
    while waiting:
        name = waiting.pop()
        if name not in wanted:
            wanted.add(name)
            with suppress(metadata.PackageNotFoundError):
                about = found[name] if name in found else metadata.distribution(name)
                waiting += [_normal(_REQUIRED.split(line, maxsplit=1)[0]) for line in about.requires or ()]
    packages, bundled = dict[str, str](), dict[str, None]()
    for name in wanted & set(found) - {"mmsprep"}:
        tops = {file.parts[0] for file in found[name].files or () if ".." not in file.parts and file.suffix != ".pth"}
        for top in sorted(tops):
            place = str(found[name].locate_file(top))
            if top.endswith(".libs"):
                bundled[place] = None
            elif not top.endswith((*_ABOUT, _DATA)) and top not in _NO_CODE:
                packages[top.partition(".")[0]] = place
    return packages, list(bundled)


def _has_distributions(folder: str) -> bool:
    """Whether something that was installed is told in a folder, or may be in an archive."""
    with suppress(OSError):
        return any(one.name.lower().endswith(_ABOUT) for one in Path(folder).iterdir())
    return Path(folder).is_file()


def _normal(name: str) -> str:
    """A distribution's name as all spellings of it compare (PyPA's specification of names)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _own_folders() -> Iterator[str]:
    for name in ("stdlib", "platstdlib", "purelib", "platlib"):
        yield sysconfig.get_path(name)
    yield from site.getsitepackages()
    if site.ENABLE_USER_SITE:
        yield site.getusersitepackages()
    # Its shared library, and in a virtual environment the standard library, which lies with the original.
    yield from (f"{prefix}/lib" for prefix in (sys.base_prefix, sys.base_exec_prefix, sys.prefix))


def _is_inside(place: Path, folders: tuple[str, ...]) -> bool:
    resolved = place.resolve()
    return any(resolved.is_relative_to(folder) for folder in folders)


def _place_of(name: str) -> str | None:
    """The folder of a package, the file of a module; nothing is imported."""
    try:
        found = find_spec(name)
    except (ImportError, ValueError):
        return None
    if found is None or found.origin is None:
        return None
    return found.submodule_search_locations[0] if found.submodule_search_locations else found.origin
