"""The status table: every code explained, unknown ones by their class."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from mmsprep.cli import app
from mmsprep.mm7.status import STATUSES, Advice, StatusClass, status_of

_PUBLISHED = [0, 1000, 1100, *range(2000, 2010), *range(3000, 3005), *range(4000, 4009)]


def test_every_published_code_is_there_once_and_in_order() -> None:
    assert list(STATUSES) == _PUBLISHED


def test_only_a_busy_gateway_is_asked_again_without_a_person() -> None:
    assert [status.code for status in STATUSES.values() if status.repeated] == [4006]


@pytest.mark.parametrize("code", _PUBLISHED)
def test_a_published_code_says_what_it_is_and_what_to_do(code: int) -> None:
    status = status_of(code)
    assert status is not None and status.known
    assert status.text and status.meaning and status.next_step
    assert (status.advice is Advice.NOTHING) == (code == 1000)


@given(st.integers(-10_000, 20_000))
def test_an_unknown_code_falls_back_to_its_first_digit(code: int) -> None:
    status = status_of(code)
    if code in STATUSES:
        return
    classes = {1: StatusClass.SUCCESS, 2: StatusClass.CLIENT, 3: StatusClass.SERVER, 4: StatusClass.SERVICE}
    expected = classes.get(int(str(code)[0])) if 1000 <= code <= 4999 else None
    assert (status.status_class if status else None) == expected
    if status:
        assert status.code == code and not status.known and not status.repeated


def test_the_command_explains_one_code() -> None:
    done = CliRunner().invoke(app, ["status", "4006"])
    assert done.exit_code == 0
    assert "Service unavailable" in done.stdout and "Resend" in done.stdout
    done = CliRunner().invoke(app, ["status", "2042", "--json"])
    assert json.loads(done.stdout)["statuses"][0] | {"meaning": "", "next_step": ""} == {
        "code": 2042,
        "text": "Client error",
        "meaning": "",
        "class": "client",
        "advice": "fix",
        "next_step": "",
        "repeated": False,
        "known": False,
    }


def test_the_command_lists_all_and_refuses_what_is_none() -> None:
    done = CliRunner().invoke(app, ["status", "--json"])
    assert len(json.loads(done.stdout)["statuses"]) == len(_PUBLISHED)
    assert CliRunner().invoke(app, ["status"]).exit_code == 0
    assert CliRunner().invoke(app, ["status", "77"]).exit_code == 2
