"""What the command line says of a message: its text from a file, how good it is to be, whose bytes count more."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from mmsprep.cli import app


def run(*words: str | Path, stdin: bytes | None = None) -> Any:
    environment = {"COLUMNS": "120", "MMSPREP_MAX_TEXT_BYTES": "2000"}
    return CliRunner().invoke(app, [str(word) for word in words], env=environment, input=stdin)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
def test_a_text_is_read_from_a_file_in_whatever_encoding(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "words.txt").write_bytes("Grüße vom See".encode(encoding))
    done = run("prepare", "--message-file", tmp_path / "words.txt", "-o", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert json.loads((tmp_path / "out" / "message.json").read_text("utf-8"))["text"] == "Grüße vom See"


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["--message-file", "none.txt"], 3, "none.txt: there is no such file"),
        (["--message-file", "."], 3, "cannot be read"),
        (["--message-file", "long.txt"], 3, "longer than the 2,000 bytes"),
        (["--message-file", "picture"], 4, "is not a text"),
        (["--message-file", "short.txt", "-m", "Hello"], 2, "not both"),
        (["short.txt", "--limit", "0"], 2, "--limit 0: expected more than 0 bytes"),
        (["short.txt", "--limit", "10 apples"], 2, "expected a size like 300000, 300k"),
        (["short.txt", "--quality", "150"], 2, "a number from 0 to 100"),
        (["short.txt", "--quality", "superb"], 2, "expected low, medium, high"),
        (["short.txt", "--priority", "short.txt=0"], 2, "expected FILE=N with N from 0.01 to 100"),
        (["short.txt", "--priority", "short.txt"], 2, "expected FILE=N"),
        (["-", "-"], 2, "can be given once"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_makes_no_sense_is_told_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], status: int, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("short.txt").write_text("Hello")
    Path("long.txt").write_text("Hello " * 500)
    Path("picture").write_bytes(b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + bytes(range(256)))
    done = run("prepare", *words, "-o", "out")
    assert (done.exit_code, done.stdout) == (status, "")
    assert done.stderr.startswith("error: ") and said in done.stderr
    assert not Path("out").exists()


def test_a_file_from_standard_input_is_inspected_as_any_other() -> None:
    done = run("inspect", "-", "--json", stdin=b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!")
    told = json.loads(done.stdout)
    assert done.exit_code != 0 and told["files"][0]["error"]["message"].startswith("stdin: ")
    done = run("inspect", "-", "--json", stdin=b"Hello from a pipe")
    told = json.loads(done.stdout)
    assert done.exit_code == 0
    assert (told["files"][0]["path"], told["files"][0]["size_bytes"]) == ("stdin", 17)
