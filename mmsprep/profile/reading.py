"""Where profiles lie and how they are read.

Comes in: a name, or the path of a TOML file. Goes out: a checked :class:`Profile`, what its file leaves out taken from
its base. Never: a rule of its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import msgspec

from mmsprep.errors import ProfileError, reason_of
from mmsprep.model import Phones
from mmsprep.profile.rules import (
    AudioRules,
    AudioStep,
    ImageRules,
    MessageRules,
    Profile,
    Row,
    Table,
    TextRules,
    Variants,
    VideoRules,
    problems,
)
from mmsprep.tools.shipped import shipped

DEFAULT_PROFILE = "smsglobal"
_NETWORKS = "networks"
_MOST_BASES = 4
_OWN = ("base", "source", "variants", "name", "title")
"""What is said of one profile alone."""


def profile_names() -> list[str]:
    """The names of the services' and handset classes' profiles that come with mmsprep, the default first."""
    return sorted(_stems(profile_folder()), key=lambda name: (name != DEFAULT_PROFILE, name))


def network_names() -> list[str]:
    """The names of the profiles of networks, for relays of their own."""
    return sorted(_stems(profile_folder() / _NETWORKS))


def _stems(folder: Path) -> list[str]:
    return [path.stem for path in folder.iterdir() if path.suffix == ".toml"]


def load_profile(name_or_path: str | Path) -> Profile:
    """Read and check a profile: a name of :func:`profile_names`, or the path of a TOML file.

    Raises:
        ProfileError: no such profile, not TOML, an unknown key, a missing key or a value of a wrong type;
            the message names the file, the key and what is allowed.
    """
    path = _path_of(name_or_path)
    try:
        profile = msgspec.convert(_document(path), Profile)
    except msgspec.ValidationError as error:
        raise ProfileError(f"{path}: {_explain(str(error))}") from error
    for problem in problems(profile):
        raise ProfileError(f"{path}: {problem}")
    return profile


def variant_of(name_or_path: str, phones: Phones) -> str:
    """Which profile is for phones of some years: the one that is named, or the variant of it that its file names.

    Raises:
        ProfileError: as :func:`load_profile`, or it has no variant for such phones.
    """
    if phones is Phones.USUAL:
        return name_or_path
    profile = load_profile(name_or_path)
    variant: str = getattr(profile.variants, phones.value)
    if not variant:
        raise ProfileError(
            f"profile {profile.name!r} has no variant for {phones.value} phones (its file may name one as"
            f" variants.{phones.value}); leave out --for, or choose a profile for such phones with --profile"
        )
    return variant


def _path_of(name_or_path: str | Path, beside: Path | None = None) -> Path:
    path = Path(name_or_path)
    if path.suffix == ".toml" or path.name != str(name_or_path):
        return beside / path if beside else path
    own = profile_folder()
    for folder in (own, own / _NETWORKS):
        path = folder / f"{name_or_path}.toml"
        # Asking for a name longer than names can be is an error of the system's.
        with suppress(OSError):
            if path.is_file():
                return path
    raise ProfileError(
        f"profile {str(name_or_path)!r}: not found; there are {', '.join(profile_names())}, for networks"
        f" {', '.join(network_names())}, or give the path of a .toml file"
    )


def _document(path: Path, depth: int = 0) -> dict[str, Any]:
    """What stands in the file, over what stands in its base: tables key by key, the compatibility table row by row."""
    try:
        own = dict(_parsed(path.read_text("utf-8")))
    except OSError as error:
        raise ProfileError(f"{path}: cannot be read ({reason_of(error)})") from error
    except (ValueError, RecursionError) as error:
        raise ProfileError(f"{path}: is not valid TOML: {error}") from error
    base = own.get("base", "")
    if not isinstance(base, str) or not base:
        return own
    if depth == _MOST_BASES:
        raise ProfileError(f"{path}: stands on more than {_MOST_BASES} other profiles, or on itself")
    below = _document(_path_of(base, path.parent), depth + 1)
    for key in _OWN:
        below.pop(key, None)
    return {**below, **{key: _over(below.get(key), value) for key, value in own.items()}}


@lru_cache(maxsize=8)
def _parsed(text: str) -> Mapping[str, Any]:
    """What a file says. Kept, as every message of a folder asks for the same ones, and parsing takes 4 ms."""
    import tomllib

    return tomllib.loads(text)


def _over(below: object, own: object) -> object:
    if isinstance(below, dict) and isinstance(own, dict):
        return {**below, **own}
    if _are_rows(below) and _are_rows(own):
        rows = {row["row"]: row for row in [*cast(list[Any], below), *cast(list[Any], own)]}
        return list(rows.values())
    return own


def _are_rows(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(row, dict) and isinstance(row.get("row"), str) for row in value)


def profile_folder() -> Path:
    """The profiles that come with mmsprep."""
    return shipped("profiles")


_TABLES: dict[str, type[Table]] = {
    "": Profile,
    "message": MessageRules,
    "image": ImageRules,
    "audio": AudioRules,
    "audio.ladder": AudioStep,
    "video": VideoRules,
    "video.audio_ladder": AudioStep,
    "text": TextRules,
    "variants": Variants,
    "table": Row,
}


def _explain(complaint: str) -> str:
    """Name the key as TOML spells it and, for an unknown one, the allowed ones."""
    place = re.search(r" - at `\$\.?(.*)`$", complaint)
    where = re.sub(r"\[\.\.\.\]|\[\d+\]", "", place[1]) if place else ""
    what = complaint[: place.start()] if place else complaint
    unknown = re.fullmatch(r"Object contains unknown field `(.*)`", what)
    missing = re.fullmatch(r"Object missing required field `(.*)`", what)
    if unknown:
        allowed = ", ".join(sorted(_TABLES[where].__struct_fields__))
        return f"unknown key '{'.'.join(filter(None, (where, unknown[1])))}'; allowed there: {allowed}"
    if missing:
        return f"the key '{'.'.join(filter(None, (where, missing[1])))}' is missing"
    return f"the key '{where}': {what[0].lower()}{what[1:]}"
