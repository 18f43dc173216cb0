"""What holds up a test is ended and told, so that it holds up no run."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest
from deadlines import at_once, meanwhile, program, until


def test_a_program_that_says_less_than_is_waited_for_is_ended() -> None:
    command = [sys.executable, "-c", "import time; time.sleep(600)"]
    with (
        pytest.raises(AssertionError, match=r"killed after 0\.5 s"),
        program(command, most_s=0.5, stderr=subprocess.PIPE) as process,
    ):
        assert process.communicate()[1] == b""


def test_a_program_is_ended_with_the_test_that_fails_over_it() -> None:
    with pytest.raises(ZeroDivisionError), program([sys.executable, "-c", "import time; time.sleep(600)"]) as process:
        raise ZeroDivisionError
    assert process.returncode


def test_one_that_fails_before_the_others_meet_it_is_what_is_told() -> None:
    together = threading.Barrier(2)

    def fails() -> int:
        return 1 // 0

    with pytest.raises(ZeroDivisionError):
        at_once([fails, lambda: 1])
    with pytest.raises(AssertionError, match="1 of 2 had no end"):
        at_once([lambda: 1, together.wait], most_s=0.2)
    together.abort()
    assert at_once([lambda: 1, lambda: 2]) == [1, 2]


def test_a_thread_or_a_wait_without_end_is_told() -> None:
    stop = threading.Event()
    with pytest.raises(AssertionError, match="still at it"), meanwhile(stop.wait, lambda: None, most_s=0.2):
        pass
    with meanwhile(stop.wait, stop.set):
        pass
    with pytest.raises(AssertionError, match="not so after"):
        until(lambda: False, most_s=0.05)
