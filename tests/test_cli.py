"""The command as people use it: what stands on stdout and stderr, and the exit status."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer.main
from forked import Forked
from grain import grain
from PIL import Image

from mmsprep.cli import app
from mmsprep.cli.examples import EXAMPLES

Run = Callable[..., subprocess.CompletedProcess[bytes]]


def afresh(*arguments: str | Path, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Start the command: what it loads when is tried, too."""
    command = [sys.executable, "-m", "mmsprep", *map(str, arguments)]
    return subprocess.run(command, input=stdin, capture_output=True, check=False, timeout=120)


@pytest.fixture
def mmsprep(forked: Forked | None) -> Run:
    """Run the command in a process of its own."""

    def ran(*arguments: str | Path, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        if not forked:
            return afresh(*arguments, stdin=stdin)
        return forked.run([*map(str, arguments)], environment=os.environ, folder=Path.cwd(), stdin=stdin)

    return ran


def test_a_name_that_lies_costs_nothing_but_time(tmp_path: Path) -> None:
    """What is loaded ahead follows the name; what is done, the content."""
    Image.new("RGB", (900, 600), "red").save(tmp_path / "really.png")
    for name in ("clip.mp4", "song.mp3", "picture.heic", "noname", "odd.\xe4"):
        (tmp_path / name).write_bytes((tmp_path / "really.png").read_bytes())
        done = afresh("prepare", tmp_path / name, "-o", tmp_path / "out", "--json", "--force")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["parts"][0]["content_type"].startswith("image/")


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("mmsprep prepa", ["prepare"]),
        ("mmsprep prepare --prof", ["--profile"]),
        ("mmsprep inbox nothing-like-it", []),
        ("mmsprep prepare --profile spark", ["spark-nz"]),
        ("mmsprep profiles show legacy", ["legacy-gsm"]),
        ("mmsprep play --phone 20", ["2007", "2012", "2020"]),
    ],
)
def test_a_shell_completes_commands_and_options(typed: str, completed: list[str]) -> None:
    program = shutil.which("mmsprep", path=str(Path(sys.executable).parent))
    assert program is not None
    told = {"_MMSPREP_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": str(typed.count(" "))}
    done = subprocess.run([program], env={**os.environ, **told}, capture_output=True, text=True, check=False)
    assert done.stdout.split() == completed


def _all(command: Any, words: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    below = getattr(command, "commands", {}).items()
    return [(words, command), *(found for name, one in below for found in _all(one, (*words, name)))]


def test_the_manual_page_has_every_command_with_its_options_and_is_troff(mmsprep: Run) -> None:
    done = mmsprep("--man")
    assert done.returncode == 0 and not done.stderr
    page = done.stdout.decode()
    sections = dict(
        re.findall(r"^\.SS (mmsprep [a-z0-9 ]*[a-z0-9])[^\n]*\n(.*?)(?=^\.S[SH])", page, re.DOTALL | re.MULTILINE)
    )
    everything = _all(typer.main.get_command(app))
    assert set(sections) == {" ".join(("mmsprep", *words)) for words, _ in everything if words}
    for words, command in everything[1:]:
        for option in (option for one in command.params for option in one.opts if option.startswith("--")):
            assert option.replace("-", "\\-") in sections[" ".join(("mmsprep", *words))]
    assert EXAMPLES["status"][0] in page
    assert "12 sent with an unknown outcome" in page
    if groff := shutil.which("groff"):
        command = [groff, "-man", "-ww", "-Tutf8"]
        shown = subprocess.run(command, input=done.stdout, capture_output=True, check=True, timeout=60)
        assert not shown.stderr
        assert b"gateway accepts" in shown.stdout


def test_settings_that_make_no_sense_are_told_although_a_worker_should_have_been_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("RGB", (90, 60), "red").save(tmp_path / "a.png")
    monkeypatch.setenv("MMSPREP_MAX_PIXELS", "many")
    done = afresh("prepare", tmp_path / "a.png", "-o", tmp_path / "out")
    assert b"MMSPREP_MAX_PIXELS" in done.stderr
    assert b"Traceback" not in done.stderr


def test_what_libraries_mutter_about_an_odd_file_is_not_shown(mmsprep: Run, tmp_path: Path) -> None:
    broken_exif = b"Exif\0\0II*\0\x08\0\0\0\x05\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\xff\xff"
    grain((1200, 800), 50).save(tmp_path / "odd.jpg", exif=broken_exif)
    done = mmsprep("prepare", tmp_path / "odd.jpg", "-o", tmp_path / "out")
    assert done.returncode == 0
    assert b"Warning" not in done.stderr
    assert b"odd.jpg" in done.stderr


def test_data_goes_to_stdout_and_words_to_stderr(mmsprep: Run, sample_media: Path, tmp_path: Path) -> None:
    done = mmsprep("prepare", sample_media / "formats/still.gif", "-o", tmp_path / "out")
    assert (done.returncode, done.stdout) == (0, b"")
    done = mmsprep("prepare", sample_media / "formats/still.gif", "-o", tmp_path / "out", "--json")
    assert json.loads(done.stdout) == json.loads((tmp_path / "out/message.json").read_text("utf-8"))
    assert done.stderr == b""


def test_one_attachment_comes_from_standard_input(mmsprep: Run, sample_media: Path, tmp_path: Path) -> None:
    done = mmsprep("prepare", "-", "-o", tmp_path, "--json", stdin=(sample_media / "formats/still.gif").read_bytes())
    assert json.loads(done.stdout)["parts"][0]["source"]["path"] == "stdin"
    assert mmsprep("prepare", "-", "-").returncode == 2


def test_errors_are_one_sentence_with_a_documented_status_and_leave_nothing(
    mmsprep: Run, tmp_path: Path, sample_media: Path
) -> None:
    out = tmp_path / "out"
    for arguments, status in (
        ([tmp_path / "missing.jpg"], 3),
        ([sample_media / "bad/document.pdf"], 4),
        ([sample_media / "formats/photo.jpg", "--limit", "1000"], 5),
        ([sample_media / "formats/photo.jpg", "--profile", "no-such-network"], 6),
        ([sample_media / "formats/photo.jpg", "--limit", "much"], 2),
        ([], 2),
    ):
        done = mmsprep("prepare", *arguments, "-o", out)
        assert done.returncode == status, done.stderr
        assert done.stderr.startswith(b"error: ")
        assert b"Traceback" not in done.stderr
        assert not out.exists()


def test_errors_are_an_object_with_json(mmsprep: Run, tmp_path: Path) -> None:
    done = mmsprep("prepare", tmp_path / "missing.jpg", tmp_path / "gone.jpg", "--json")
    told = json.loads(done.stdout)
    assert told["error"]["exit_status"] == done.returncode == 3
    assert [one["code"] for one in told["errors"]] == ["not_found", "not_found"]


def test_skip_reports_what_was_left_out(mmsprep: Run, sample_media: Path, tmp_path: Path) -> None:
    files = [sample_media / "bad/document.pdf", sample_media / "formats/still.gif"]
    done = mmsprep("prepare", *files, "--on-error", "skip", "--json", "-o", tmp_path)
    told = json.loads(done.stdout)
    assert [one["code"] for one in told["rejected"]] == ["type_not_allowed"]
    assert len(told["parts"]) == 1


def test_a_dry_run_writes_nothing(mmsprep: Run, sample_media: Path, tmp_path: Path) -> None:
    done = mmsprep("prepare", sample_media / "formats/photo.jpg", "--dry-run", "--json", "-o", tmp_path / "out")
    assert json.loads(done.stdout)["predicted"] is True
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("limit_bytes", "texts"), [(5_000, ["hello", "", ""]), (5_500, ["hello", ""])])
def test_a_dry_run_of_a_split_tells_each_message_that_a_run_makes(
    limit_bytes: int, texts: list[str], mmsprep: Run, tmp_path: Path
) -> None:
    for number in range(3):
        grain((300, 200), 12 + number, number).convert("RGB").save(tmp_path / f"{number}.png")
    options = ("--split", "--limit", str(limit_bytes), "-m", "hello", "--json", "-o", tmp_path / "out")
    photos = sorted(tmp_path.glob("*.png"))
    messages = json.loads(mmsprep("prepare", *photos, *options, "--dry-run").stdout)["messages"]
    assert [one["text"] for one in messages] == texts
    assert all(one["predicted"] and one["total_bytes"] <= limit_bytes for one in messages)
    assert sum(len(one["parts"]) for one in messages) == 3
    assert not (tmp_path / "out").exists()
    made = json.loads(mmsprep("prepare", *photos, *options).stdout)["messages"]
    assert [one["text"] for one in made] == texts


def test_inspect_says_what_a_renamed_file_is(mmsprep: Run, sample_media: Path, tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_bytes((sample_media / "formats/clip.mp4").read_bytes())
    done = mmsprep("inspect", tmp_path, "--json")
    (told,) = json.loads(done.stdout)["files"]
    assert (told["source"]["format"], told["action"], told["target"]) == ("mp4", "transcode", "3gp")
    assert told["targets"] == ["3gp"]
    assert "named .jpg" in told["source"]["notes"][0]


def test_another_message_in_the_folder_is_replaced_with_force_alone(
    mmsprep: Run, tmp_path: Path, sample_media: Path
) -> None:
    """The same command again is no other message."""
    out, first, other = tmp_path / "mms", sample_media / "formats/still.gif", sample_media / "formats/note.amr"
    for _ in range(2):
        assert mmsprep("prepare", first, "-m", "Hello", "-o", out).returncode == 0
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    for arguments in ((other, "-m", "Hello"), (first, "-m", "Bye")):
        done = mmsprep("prepare", *arguments, "-o", out)
        assert done.returncode == 8
        assert b"holds another message" in done.stderr
        assert b"--force" in done.stderr
        assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert mmsprep("prepare", other, "-o", out, "--force").returncode == 0
    assert [path.name for path in sorted(out.iterdir())] == ["01-audio.amr", "message.json"]


@pytest.mark.parametrize(
    "line", [line for lines in EXAMPLES.values() for line in lines], ids=lambda line: " ".join(line.split()[1:3])
)
def test_what_help_shows_as_examples_is_understood(mmsprep: Run, line: str) -> None:
    """Each names its own command and options that it has, and is shown by that command."""
    program, name, *arguments = shlex.split(line)
    command: Any = getattr(typer.main.get_command(app), "commands")[name]  # noqa: B009
    assert program == "mmsprep"
    assert command.make_context(name, arguments).params
    assert line in " ".join(mmsprep(name, "--help").stdout.decode().split())


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_help_cuts_nothing_off_in_any_terminal(
    columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every option's whole name and every example are there; nothing but an example is wider than the terminal."""
    monkeypatch.setenv("COLUMNS", str(columns))
    for words, command in _all(typer.main.get_command(app)):
        context = typer.Context(command, info_name=" ".join(("mmsprep", *words)))
        shown = command.get_help(context) + capsys.readouterr().out
        for option in (option for one in command.params for option in one.opts if option.startswith("--")):
            assert re.search(rf"{option}\b", shown), (words, option, shown)
        assert "…" not in shown and ("..." not in shown.partition("Commands:")[2]), shown
        examples = EXAMPLES.get(" ".join(words), ())
        assert all(" ".join(line.split()) in " ".join(shown.split()) for line in examples)
        assert all(len(line) <= columns or line.strip() in examples for line in shown.splitlines())
