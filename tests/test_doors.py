"""One promise, every door: what can be wished for a message can be wished wherever one is made."""

from __future__ import annotations

import inspect
from dataclasses import fields
from typing import Any

import pytest
import typer

from mmsprep import Job, pre_send, pre_send_async, prepare
from mmsprep.batch import Batch
from mmsprep.cli.commands import commands

_CONTENT = {"attachments", "text", "subject"}
_WISHES = {field.name for field in fields(Job)} - _CONTENT
_OPTIONS = {
    "profile": "--profile",
    "limit_bytes": "--limit",
    "on_error": "--on-error",
    "trim": "--trim",
    "poster": "--poster",
    "keep_names": "--keep-names",
    "quality": "--quality",
    "best_effort": "--best-effort",
    "slides": "--slides",
    "pages": "--pages",
    "from_s": "--cut-from",
    "to_s": "--cut-to",
    "priorities": "--priority",
}


def _command(name: str) -> Any:
    return typer.main.get_command(commands([name])).commands[name]  # type: ignore[attr-defined]


def _options(name: str) -> dict[str, Any]:
    return {word: option for option in _command(name).params for word in option.opts}


def _defaults(function: Any) -> dict[str, Any]:
    return {name: one.default for name, one in inspect.signature(function).parameters.items()}


def test_every_wish_has_an_option() -> None:
    assert _OPTIONS.keys() == _WISHES


def test_prepare_takes_every_field_of_a_job_with_its_default() -> None:
    taken = _defaults(prepare)
    assert taken.keys() - {"settings", "progress"} == _WISHES | _CONTENT
    job = Job(attachments=())
    assert {name: taken[name] or getattr(job, name) for name in _WISHES} == {n: getattr(job, n) for n in _WISHES}


@pytest.mark.parametrize("hook", [pre_send, pre_send_async])
def test_the_hook_takes_every_wish_but_to_leave_something_out(hook: Any) -> None:
    """It gives back what it was given, so nothing may be missing from it."""
    taken = _defaults(hook)
    assert _WISHES - taken.keys() == {"on_error"}
    same = _WISHES & taken.keys() - {"pages"}
    assert {name: taken[name] for name in same} == {name: _defaults(prepare)[name] for name in same}
    assert taken["pages"] is False, "one attachment is one, where nobody says otherwise"
    assert taken == _defaults(pre_send)


def test_a_batch_takes_every_wish() -> None:
    assert {field.name for field in fields(Batch)} >= _WISHES
    assert Batch(source="", target="", each="folder").job == Job(attachments=())
    assert Batch(source="", target="", each="file").job == Job(attachments=(), pages=False)


@pytest.mark.parametrize("name", ["prepare", "send", "campaign", "batch", "watch"])
def test_every_command_that_makes_messages_has_every_wish(name: str) -> None:
    assert {_OPTIONS[wish] for wish in _WISHES} | {"--for"} <= _options(name).keys()


def test_an_option_is_the_same_in_every_command() -> None:
    """Its short forms, what it takes and its help; but for those that mean another thing there."""
    every_clip = {"batch", "watch"}
    other = {
        "--on-error": {"campaign"},
        "--split": {"send"},
        "--from": {"send", "campaign"} | every_clip,
        "--to": every_clip,
        "--cut-from": every_clip,
        "--cut-to": every_clip,
        "--priority": every_clip,
    }
    known: dict[str, tuple[object, ...]] = {}
    for name in ("prepare", "send", "campaign", "batch", "watch"):
        for option in _command(name).params:
            for word in {*_OPTIONS.values(), "--for", "--split", "--html", "--country"} & set(option.opts):
                if name not in other.get(word, ()):
                    said = (option.help, option.metavar, option.default, option.type.name)
                    assert known.setdefault(word, said) == said, (name, word)


def test_a_look_is_of_the_same_profile_and_phones() -> None:
    assert {"--profile", "--for"} <= _options("inspect").keys()


@pytest.mark.parametrize("name", ["prepare", "send", "batch", "watch"])
def test_a_message_may_become_several(name: str) -> None:
    assert "--split" in _options(name)
