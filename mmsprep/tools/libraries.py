"""Where Python's modules lie that a worker needs, so that it may read those and nothing else.

Comes in: what this process imports from. Goes out: folders, and where single packages lie. Never: the folder of the
program that is running, a project's own folder, or anything of /opt that is not Python's: secrets lie there.
"""

from __future__ import annotations

import site
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import mmsprep

_NEEDED = (
    *("PIL", "_cffi_backend", "cffi", "chardet", "charset_normalizer", "defusedxml", "filetype", "mido", "msgspec"),
    *("numpy", "packaging", "pi_heif", "pillow_heif", "pillow_jxl", "pkg_resources", "pycparser", "pymediainfo"),
    *("pyvips", "_libvips", "typing_extensions"),
)
"""What sniffing and decoding import, directly or not; most of it lies in Python's own folders."""
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
    search = tuple(place for place in sys.path if place and _is_inside(Path(place), own))
    packages = {
        name: place for name in (*_NEEDED, *_shared) if (place := _place_of(name)) and not _is_inside(Path(place), own)
    }
    packages["mmsprep"] = str(Path(mmsprep.__file__).parent)
    bundled = [f"{Path(place).parent / name}.libs" for name, place in packages.items()]
    configured = [str(Path(sys.prefix, "pyvenv.cfg"))]
    return Libraries(search, packages, (*own, *packages.values(), *bundled, *configured))


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
