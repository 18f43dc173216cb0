"""What programs may rely on stays; ``docs/stable.md`` says how it may change, and which command writes it down anew."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from contract import PLACE, Contract, broken, contract, version_of_the_project

import mmsprep


@pytest.fixture(scope="module")
def promised() -> Contract:
    found: Contract = json.loads(PLACE.read_text("utf-8"))
    return found


@pytest.fixture(scope="module")
def now() -> Contract:
    found: Contract = json.loads(json.dumps(contract(), default=str))
    return found


@pytest.mark.parametrize("room", ["python", "errors", "reasons", "commands", "variables", "message.json"])
def test_nothing_that_was_promised_is_gone_or_means_something_else(
    promised: Contract, now: Contract, room: str
) -> None:
    """Python names and their parameters, error codes with their exit statuses, reason codes, commands with their
    options, environment variables, the keys of ``message.json``. What is added breaks nothing."""
    assert not broken(promised[room], now[room], room)


def test_a_release_promises_all_that_it_has(promised: Contract) -> None:
    """With a new version what was added becomes a promise: ``python -m tests.contract`` writes it down."""
    assert promised["version"] == mmsprep.__version__ == version_of_the_project()


def _drop(path: str) -> Callable[[Any], None]:
    *way, last = path.split("/")

    def change(found: Any) -> None:
        for step in way:
            found = found[step]
        found.pop(last) if isinstance(found, dict) else found.remove(last)

    return change


def _set(path: str, value: Any) -> Callable[[Any], None]:
    *way, last = path.split("/")

    def change(found: Any) -> None:
        for step in way:
            found = found[step]
        found[last] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        _drop("python/prepare"),
        _drop("python/prepare/parameters/text"),
        _drop("python/Part/fields/quality"),
        _drop("python/Job/parameters/limit_bytes"),
        _drop("python/Message/methods/write"),
        _set("python/prepare/parameters/new", "required, keyword-only"),
        _drop("errors/below_floor"),
        _set("errors/below_floor/exit_status", 1),
        _drop("reasons/size_px"),
        _drop("commands/mmsprep prepare/--json"),
        _drop("variables/MMSPREP_JOBS"),
        _drop("message.json/keys/parts[].sha256"),
        _set("message.json/schema", 2),
    ],
    ids=lambda change: "",
)
def test_a_break_is_noticed(promised: Contract, change: Callable[[Any], None]) -> None:
    changed = copy.deepcopy(promised)
    change(changed)
    assert broken(promised, changed)


def test_what_is_added_breaks_nothing(promised: Contract) -> None:
    changed = copy.deepcopy(promised)
    changed["python"]["prepare"]["parameters"]["new"] = "optional, keyword-only"
    changed["reasons"].append("new")
    changed["commands"]["mmsprep new"] = ["--new"]
    assert not broken(promised, changed)
