"""What programs may rely on, read from the code: ``python -m tests.contract`` writes it down in ``data/contract.json``.

Comes in: the package. Goes out: names, parameters, options, variables, codes, statuses and keys, as one JSON object.
``docs/stable.md`` says what is promised of them; ``test_contract.py`` holds the code to it.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import tomllib
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any

import typer.main

import mmsprep
from mmsprep import errors
from mmsprep.cli import app
from mmsprep.message.document import SCHEMA, document
from mmsprep.model import ReasonCode
from mmsprep.sender import account
from mmsprep.settings import ENVIRONMENT_PREFIX, Settings
from mmsprep.tools import log

Contract = dict[str, Any]
_MADE_BY_CALLERS = {"Account", "Excerpt", "Job", "Journal", "Patience", "Settings", "SubmitOptions"}
"""Values whose parameters are promised; the others are made here, and only read elsewhere."""
PLACE = Path(__file__).parent / "data" / "contract.json"
_ROOT = Path(__file__).parent.parent


def contract() -> Contract:
    """As the code has it now."""
    root: Any = typer.main.get_command(app)
    return {
        "version": mmsprep.__version__,
        "python": {name: _described(getattr(mmsprep, name)) for name in sorted(mmsprep.__all__)},
        "errors": {one.code: {"class": one.__name__, "exit_status": _status(one)} for one in _errors()},
        "reasons": sorted(code.value for code in ReasonCode),
        "commands": dict(_commands(root, "mmsprep")),
        "variables": sorted(
            {ENVIRONMENT_PREFIX + one.name.upper() for one in dataclasses.fields(Settings)}
            | {f"SMSGLOBAL_{one.name.upper()}" for one in dataclasses.fields(account.Account)}
            | {log.VARIABLE, *_variables(root)}
        ),
        "message.json": {"schema": SCHEMA, "keys": sorted(_keys(_documented(), ""))},
    }


def broken(promised: Any, now: Any, place: str = "") -> list[str]:
    """What was promised and is no longer so; what came in addition is no harm, unless a caller has to give it."""
    if isinstance(promised, dict):
        if not isinstance(now, dict):
            return [f"{place}: {promised!r} became {now!r}"]
        found = [one for key in promised for one in _of_a_key(promised, now, key, place)]
        if place.endswith(".parameters"):
            found += [
                f"{place}: {key} has to be given" for key in now.keys() - promised.keys() if "required" in now[key]
            ]
        return found
    if isinstance(promised, list):
        return [f"{place}: {one} is gone" for one in promised if one not in now]
    return [] if promised == now else [f"{place}: {promised!r} became {now!r}"]


def _of_a_key(promised: Contract, now: Contract, key: str, place: str) -> list[str]:
    if key not in now:
        return [f"{place}: {key} is gone"]
    return broken(promised[key], now[key], f"{place}.{key}".lstrip("."))


def _described(one: Any) -> Contract:
    if inspect.isfunction(one):
        return {"kind": "function", "parameters": _parameters(one)}
    if not inspect.isclass(one):
        return {"kind": "value"}
    found: Contract = {"kind": "class", "methods": _methods(one)}
    if dataclasses.is_dataclass(one):
        found["fields"] = [field.name for field in dataclasses.fields(one) if not field.name.startswith("_")]
    if one.__name__ in _MADE_BY_CALLERS:
        found["parameters"] = _parameters(one)
    return found


def _methods(one: type) -> list[str]:
    """Of ours: what an exception or a tuple brings is Python's affair."""
    ours = [base for base in one.__mro__ if base.__module__.startswith("mmsprep")]
    return sorted({name for base in ours for name, held in vars(base).items() if name[0] != "_" and _is_callable(held)})


def _is_callable(held: object) -> bool:
    return inspect.isfunction(held) or isinstance(held, property | classmethod | staticmethod)


def _parameters(one: Any) -> dict[str, str]:
    return {
        name: f"{'required' if found.default is found.empty else 'optional'}, {found.kind.description}"
        for name, found in inspect.signature(one).parameters.items()
        if found.kind not in (found.VAR_POSITIONAL, found.VAR_KEYWORD)
    }


def _errors() -> Iterator[type[errors.MmsprepError]]:
    for _, one in sorted(inspect.getmembers(errors, inspect.isclass)):
        if issubclass(one, errors.MmsprepError) and "code" in vars(one):
            yield one


def _status(one: type[errors.MmsprepError]) -> int | str:
    return one.exit_status if isinstance(one.exit_status, int) else "that of its first error"


def _commands(command: Any, path: str) -> Iterator[tuple[str, list[str]]]:
    arguments = [f"<{one.name}>" for one in command.params if not one.opts or not one.opts[0].startswith("-")]
    options = [name for one in command.params for name in (*one.opts, *one.secondary_opts) if name.startswith("-")]
    yield path, arguments + sorted(options)
    for name, found in getattr(command, "commands", {}).items():
        yield from _commands(found, f"{path} {name}")


def _variables(command: Any) -> Iterator[str]:
    yield from (one.envvar for one in command.params if isinstance(one.envvar, str))
    for found in getattr(command, "commands", {}).values():
        yield from _variables(found)


def _documented() -> Contract:
    """A message that has everything that ``message.json`` can tell: something encoded, something left out."""
    message = mmsprep.prepare(
        [_ROOT / "sample_media/formats/photo.bmp", ("page.pdf", b"%PDF-1.4\n")], text="Hello", on_error="skip"
    )
    return json.loads(json.dumps(document(message)))  # type: ignore[no-any-return]


def _keys(value: Any, place: str) -> Iterator[str]:
    if isinstance(value, dict):
        for key, held in value.items():
            yield f"{place}.{key}".lstrip(".")
            yield from _keys(held, f"{place}.{key}")
    elif isinstance(value, list):
        for held in value:
            yield from _keys(held, f"{place}[]")


def version_of_the_project() -> str:
    """As ``pyproject.toml`` says."""
    return str(tomllib.loads((_ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"])


if __name__ == "__main__":
    text = json.dumps(contract(), indent=1, default=lambda one: one.value if isinstance(one, Enum) else str(one))
    PLACE.write_text(text + "\n", "utf-8")
