"""Programs are run without a shell, within time, and never outlive their work."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

import pytest

from mmsprep.errors import ToolError, ToolMissing, ToolOverLimit, ToolTimeout
from mmsprep.tools.process import ProcessGroup


def _python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_output_and_input_go_through_pipes() -> None:
    with ProcessGroup(20) as group:
        done = group.run(_python("import sys; print(sys.stdin.read()[::-1])"), stdin=b"abc")
    assert done.stdout.strip() == b"cba"


def test_what_a_program_says_can_go_into_a_file_behind_what_is_there(tmp_path: Path) -> None:
    with ProcessGroup(20) as processes, (tmp_path / "out").open("w+b") as file:
        file.write(b"before ")
        done = processes.run([sys.executable, "-c", "print('x' * 300_000, end='')"], into=file)
        assert done.stdout == b""
        assert file.tell() == 300_007
        with pytest.raises(ToolOverLimit, match="MMSPREP_MAX_DECODED_BYTES"):
            processes.run([sys.executable, "-c", "print('x' * 300_000)"], into=file, max_output_bytes=1_000)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is full")
def test_a_file_that_takes_no_more_is_told_as_that() -> None:
    with (
        ProcessGroup(20) as processes,
        Path("/dev/full").open("wb", buffering=0) as full,
        pytest.raises(ToolError, match="No space left on device"),
    ):
        processes.run([sys.executable, "-c", "print('x' * 300_000)"], into=full)


def test_a_failure_carries_the_status_and_the_last_words() -> None:
    with ProcessGroup(20) as group, pytest.raises(ToolError, match=r"status 3: went wrong"):
        group.run(_python("import sys; print('went wrong', file=sys.stderr); sys.exit(3)"))


def test_a_missing_program_is_named() -> None:
    with ProcessGroup(20) as group, pytest.raises(ToolMissing, match="no-such-program"):
        group.run(["no-such-program"])


def test_a_program_that_takes_too_long_is_killed_and_the_setting_is_named() -> None:
    with ProcessGroup(0.3) as group, pytest.raises(ToolTimeout, match="MMSPREP_TOOL_TIMEOUT_S"):
        group.run(_python("import time; time.sleep(60)"))


def test_leaving_the_group_ends_what_runs_in_other_threads_and_starts_nothing_more() -> None:
    errors: list[Exception] = []

    def work(group: ProcessGroup) -> None:
        try:
            group.run(_python("import time; time.sleep(60)"))
        except ToolError as error:
            errors.append(error)

    with ProcessGroup(60) as group:
        thread = threading.Thread(target=work, args=(group,))
        thread.start()
        time.sleep(0.3)
    thread.join(10)
    assert not thread.is_alive()
    assert len(errors) == 1
    with pytest.raises(ToolError, match="cancelled"):
        group.run(_python("pass"))


@pytest.mark.posix("setsid")
@pytest.mark.parametrize("how", ["", "start_new_session=True"], ids=["in its group", "in a session of its own"])
def test_what_a_program_leaves_behind_does_not_hold_up_its_end(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It holds the program's pipes open, as what a script puts into the background does."""
    monkeypatch.setattr("mmsprep.tools.process._LAST_WORDS_S", 1.0)
    left = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(30)'], {how})"
    started_s = time.monotonic()
    with ProcessGroup(60) as group:
        done = group.run(_python(f"{left}; print(sys.stdin.read())"), stdin=b"taken")
    assert done.stdout.strip() == b"taken"
    assert time.monotonic() - started_s < 29
