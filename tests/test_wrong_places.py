"""A journal, a store and a ledger that are something else: told by name, and left as they are, whoever opens them."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mmsprep.batch.ledger import Ledger
from mmsprep.cli import app
from mmsprep.receive.store import open_store
from mmsprep.sender import Journal

JOURNAL, STORE, LEDGER = "sent.db", "in/inbox.sqlite3", "out/.mmsprep/ledger.sqlite"
_SEND = ("-m", "Hi", "--yes", "--gateway", "http://127.0.0.1:9")
DOORS = {
    JOURNAL: (
        ("journal", "list", "--journal", JOURNAL),
        ("journal", "settle", "1", "--arrived", "--journal", JOURNAL),
        ("track", "--journal", JOURNAL),
        ("send", "--to", "61409317436", *_SEND, "--journal", JOURNAL),
        ("campaign", "people.csv", *_SEND, "--journal", JOURNAL),
    ),
    STORE: (
        ("inbox", "list", "--store", "in"),
        ("track", "--store", "in"),
        ("campaign", "people.csv", *_SEND, "--respect-stop", "--store", "in"),
    ),
    LEDGER: (("batch", "photos", "out"), ("batch", "photos", "out", "--dry-run")),
}


def good(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.name == JOURNAL:
        Journal(path).close()
    elif path.name == "inbox.sqlite3":
        open_store(path.parent).close()
    else:
        Ledger(path).close()


def another_programs(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE bookmarks (url)")
        database.commit()


def of_a_newer_version(path: Path) -> None:
    good(path)
    with closing(sqlite3.connect(path)) as database:
        for table in ("journal", "store"):
            if database.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchone():
                database.execute(f"UPDATE {table} SET version = 99")
        database.execute("PRAGMA user_version = 99")
        database.commit()


def cut_off(path: Path) -> None:
    good(path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


KINDS: dict[Callable[[Path], object], str] = {
    Path.mkdir: "folder|no journal|no store|directory|cannot be opened",
    lambda path: path.write_text("eggs, milk, bread\n" * 100): "not a journal|no store|not a database",
    another_programs: "another program's database",
    of_a_newer_version: "version 99, .*update mmsprep|newer mmsprep",
    cut_off: "is damaged",
}


@pytest.mark.parametrize("place", DOORS)
def test_what_is_something_else_is_told_by_name_and_stays_as_it_is(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SMSGLOBAL_USERNAME", "me")
    monkeypatch.setenv("SMSGLOBAL_PASSWORD", "12345678")
    Path("people.csv").write_text("Mobile\n61400000001\n")
    Path("photos").mkdir()
    Path("photos/a.txt").write_text("Hi")
    path = Path(place)
    for number, (make, expected) in enumerate(KINDS.items()):
        path.parent.mkdir(parents=True, exist_ok=True)
        make(path)
        before = path.read_bytes() if path.is_file() else b""
        for door in DOORS[place]:
            done = CliRunner().invoke(app, [*door, "--json"] if door[0] != "batch" else [*door])
            sends = door[0] in ("send", "campaign")
            (line,) = (line for line in done.stderr.splitlines() if line.startswith("error: "))
            assert done.exit_code in (3, 8) and "bug in mmsprep" not in line, line
            assert path.parts[0] in line, line
            assert sends or "was sent" not in line, line
            assert re.search(expected, line), (make, door, line)
            assert (path.read_bytes() if path.is_file() else b"") == before, (make, door)
        path.rename(tmp_path / f"{number}")
        for beside in path.parent.glob(path.name + "-*"):
            beside.unlink()


@pytest.mark.parametrize("door", [*DOORS[JOURNAL][:3], *DOORS[STORE]], ids=lambda door: " ".join(door[:2]))
def test_an_empty_file_is_no_journal_and_no_store_to_look_into(
    door: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody's STOP would be known, and a file that is only looked at is not made into anything."""
    monkeypatch.chdir(tmp_path)
    Path("people.csv").write_text("Mobile\n61400000001\n")
    Path("in").mkdir()
    for name in (JOURNAL, STORE):
        Path(name).touch()
    done = CliRunner().invoke(app, list(door))
    assert done.exit_code == 3 and ("no journal" in done.stderr or "no store" in done.stderr)
    assert not Path(JOURNAL).stat().st_size and not Path(STORE).stat().st_size


_LOOKS = (
    ("journal", "list", "--journal", "sqlite:///no.db"),
    ("track", "--journal", "sqlite:///no.db"),
    ("track", "--store", "sqlite:///no.db"),
    ("inbox", "list", "--database", "sqlite:///no.db"),
    ("inbox", "show", "1", "--database", "sqlite:///no.db"),
    ("inbox", "prune", "--older", "1d", "--database", "sqlite:///no.db"),
    ("campaign", "people.csv", *_SEND, "--respect-stop", "--database", "sqlite:///no.db"),
)


@pytest.mark.parametrize("look", _LOOKS, ids=lambda look: " ".join(look[:2]))
def test_who_looks_into_a_database_that_is_not_there_leaves_none(
    look: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("people.csv").write_text("Mobile\n61400000001\n")
    done = CliRunner().invoke(app, list(look))
    assert done.exit_code == 3 and re.search(r"no\.db: (there is no journal|holds no store)", done.stderr), done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["people.csv"]


@pytest.mark.posix("another account")
@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root can be another account")
def test_a_journal_that_this_account_may_not_write_says_so() -> None:
    program = f"""
import os, sys, mmsprep.sender.journal, sqlalchemy.dialects.sqlite.pysqlite
mmsprep.sender.journal.Journal({JOURNAL!r}).close()
os.chmod({JOURNAL!r}, 0o644)
os.chmod(".", 0o555)
os.setuid(65534)
try:
    mmsprep.sender.journal.Journal({JOURNAL!r}, existing=True)
except mmsprep.errors.JournalError as error:
    print(error)
"""
    # Not pytest's folder, into which no other account sees.
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", program]
        told = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True, timeout=120)
    assert told.stdout == f"{JOURNAL}: this account may not write it or its folder, which even reading takes\n"


@pytest.mark.parametrize("option", ["--output", "--html", "--profile"])
def test_a_name_longer_than_names_can_be_is_an_error_that_says_so(option: str, tmp_path: Path) -> None:
    note = tmp_path / "note.txt"
    note.write_text("Hello")
    name = "x" * 400 if option == "--profile" else str(tmp_path / ("x" * 400))
    output = [] if option == "--output" else ["--output", str(tmp_path / "out")]
    done = CliRunner().invoke(app, ["prepare", str(note), *output, option, name])
    assert done.exit_code not in (0, 1) and "a bug" not in done.output
    assert sorted(path.name for path in tmp_path.iterdir()) in (["note.txt"], ["note.txt", "out"])


@pytest.mark.parametrize("place", ["file", "file/in"])
@pytest.mark.parametrize(
    "words",
    [
        ("prepare", "note.txt", "-o", "{}"),
        ("prepare", "note.txt", "--html", "{}/page.html"),
        ("batch", ".", "{}"),
        ("send", "note.txt", "--to", "61409317436", "--yes", "--gateway", "http://127.0.0.1:9", "--journal", "{}/sent"),
        ("receive", "--store", "{}", "--secret-file", "secret"),
    ],
    ids=lambda words: " ".join(words[:3:2]),
)
def test_a_file_where_a_folder_has_to_be_is_told_as_that(
    words: tuple[str, ...], place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SMSGLOBAL_USERNAME", "somebody")
    monkeypatch.setenv("SMSGLOBAL_PASSWORD", "12345678")
    for name in ("file", "note.txt", "secret"):
        Path(name).write_text("as it was, and as it is")
    done = CliRunner().invoke(app, [word.format(place) for word in words])
    assert done.exit_code == 8, done.output
    assert place in done.stderr and "there is a file where a folder has to be" in " ".join(done.stderr.split())
    assert Path("file").read_text() == "as it was, and as it is"
