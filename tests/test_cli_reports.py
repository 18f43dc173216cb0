"""What the command says of what went wrong, and where it says it."""

from __future__ import annotations

import io
import logging
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from mmsprep.cli import ahead, app, printing
from mmsprep.cli.printing import prepare_streams, print_json, put, reported, say, stop_cleanly, waiting
from mmsprep.errors import ToolMissing
from mmsprep.model import Progress


def _ended_by(error: Exception, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    with pytest.raises(typer.Exit) as caught, reported():
        raise error
    return caught.value.exit_code, capsys.readouterr().err


def test_a_bug_is_told_in_a_line_and_where_it_is_only_where_that_is_asked_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MMSPREP_DEBUG", raising=False)
    status, told = _ended_by(ZeroDivisionError("by nothing"), capsys)
    assert (status, told.count("\n")) == (1, 1) and "a bug in mmsprep (ZeroDivisionError: by nothing)" in told
    monkeypatch.setenv("MMSPREP_DEBUG", "1")
    _, told = _ended_by(ZeroDivisionError("by nothing"), capsys)
    assert "Traceback" in told and Path(__file__).name in told


def test_a_package_that_is_missing_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    status, told = _ended_by(ModuleNotFoundError("No module named 'rich'", name="rich"), capsys)
    assert (
        status == ToolMissing.exit_status and "the Python package rich is not installed here; 'mmsprep doctor'" in told
    )
    status, told = _ended_by(ModuleNotFoundError("No module named 'mmsprep.x'", name="mmsprep.x"), capsys)
    assert status == 1 and "a bug in mmsprep" in told


def test_a_program_without_streams_says_nothing_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """As Windows starts programs that have no console."""
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    say("words")
    put("data")
    print_json({"data": 1})


def test_streams_that_other_programs_put_in_place_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(logging, "lastResort", None)
    prepare_streams()
    put("Grüße")
    assert stream.getvalue() == "Grüße\n"


@pytest.mark.posix("signals")
def test_a_signal_that_somebody_ignores_stays_ignored() -> None:
    before = {name: signal.getsignal(name) for name in (signal.SIGTERM, signal.SIGHUP)}
    try:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        stop_cleanly()
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN and callable(signal.getsignal(signal.SIGTERM))
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_what_takes_long_is_told_on_a_terminal_alone(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for terminal in ("0", "1"):
        monkeypatch.setenv("TTY_COMPATIBLE", terminal)
        with waiting("looking at the photos", shown=True):
            pass
        assert ("looking at the photos" in capsys.readouterr().err) == (terminal == "1")


def test_a_step_that_is_told_after_the_work_is_shown_nowhere(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    with printing.progress_bar(shown=True) as tell:
        assert tell is not None
    tell(Progress(0, "photo.jpg", "look", 0.5, finished=True))
    assert capsys.readouterr().err == ""


def test_steps_are_shown_from_when_on_what_shows_them_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Progress] = []
    is_loaded = threading.Event()
    loading = threading.Thread(target=is_loaded.wait)
    monkeypatch.setattr(ahead, "_loading", [loading])
    loading.start()
    tell = ahead.once_loaded(shown.append)
    assert tell is not None and ahead.once_loaded(None) is None
    steps = [Progress(0, "note.txt", stage, done, finished=True) for stage, done in (("look", 0.1), ("open", 0.5))]
    tell(steps[0])
    is_loaded.set()
    loading.join()
    tell(steps[1])
    assert shown == steps[1:]


def test_what_a_command_will_need_is_loaded_from_the_first_question_on(sample_media: Path) -> None:
    """Beside the answer, and with what comes out of it."""
    code = (
        "import sys, threading\n"
        "from mmsprep.cli import ahead\n"
        "from mmsprep.pipeline import prepare\n"
        f"file = {str(sample_media / 'formats/photo.jpg')!r}\n"
        "ahead.begin(['prepare', file])\n"
        "assert not ahead._loading and 'rich.table' not in sys.modules\n"
        "prepare([file])\n"
        "ahead._loading[0].join()\n"
        "assert 'rich.table' in sys.modules and len(ahead._loading) == 1\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_where_columns_are_told_a_table_is_as_wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    assert printing.console_for(stderr=True).width == 110
    monkeypatch.setenv("COLUMNS", "90")
    assert printing.console_for(stderr=True).width == 90


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["send", "--to", "61400000001", "--sandbox", "--gateway", "http://127.0.0.1:9", "-m", "Hi"], "not both"),
        (["sandbox", "--notice", "delivered"], "give --notify, the address that is told"),
        (["prepare", "a.jpg", "--priority", "a.jpg"], "expected FILE=N with N from 0.01 to 100"),
        (["prepare", "--limit", "100", "-m", "Hi"], "leaves nothing beside the"),
        (["receive", "--forward-secret", "whsec_x"], "no --forward URL that would get the signatures"),
        (["receive", "--forward", "http://127.0.0.1:9", "--forward-secret-file", "README.md"], "expected a secret"),
        (["watch", "in", "out", "--each", "list.csv"], "watch takes file or folder"),
        (["watch", "s3://photos/in", "out"], "only a folder of this machine can be watched"),
        (["batch", "README.md", "out"], "is a file, no folder; give its folder"),
        (["batch", "empty", "out", "--dry-run"], "there is nothing in it to convert"),
    ],
)
def test_what_makes_no_sense_together_is_told(
    words: list[str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("README.md").touch()
    Path("empty").mkdir()
    Path("a.jpg").touch()
    done = CliRunner().invoke(app, words)
    assert done.exit_code in (2, 3) and told in " ".join(done.stderr.split()), done.stderr


def test_profiles_are_listed_with_their_limits_those_of_networks_apart() -> None:
    done = CliRunner().invoke(app, ["profiles"])
    first, _, networks = done.stdout.partition("For a relay of a network of its own (MM7):")
    assert done.exit_code == 0 and "300,000 bytes" in first and networks.count(" bytes ") > 2
