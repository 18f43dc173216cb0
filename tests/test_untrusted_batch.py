"""Folders of strangers in batch and watch: nothing outside of them is ever read, whatever is laid in them and when."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mmsprep.batch import Batch, ItemOutcome, run_batch
from mmsprep.batch.listing import list_manifest
from mmsprep.batch.outcome import Status
from mmsprep.batch.storage import LocalStorage, open_storage
from mmsprep.batch.tree import open_batch
from mmsprep.batch.watch import watch
from mmsprep.cli import app
from mmsprep.errors import NotFound, OutputError, Unreadable

pytestmark = pytest.mark.posix("links and named pipes")

SECRET = "a stranger's diary, which must not leave this machine"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder ``in`` as a stranger packed it, beside a secret."""
    (tmp_path / "secret.txt").write_text(SECRET)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/diary.txt").write_text(SECRET)
    (tmp_path / "in/album").mkdir(parents=True)
    (tmp_path / "in/plain.txt").write_text("plain")
    (tmp_path / "in/album/note.txt").write_text("note")
    return tmp_path


def _lay_traps(folder: Path) -> set[str]:
    """Everything that must not be followed; the names that are to be told of."""
    (folder / "absolute.txt").symlink_to(folder.parent / "secret.txt")
    (folder / "relative.txt").symlink_to("../secret.txt")
    (folder / "inner.txt").symlink_to("plain.txt")
    (folder / "album/deep.txt").symlink_to("../../secret.txt")
    (folder / "broken.txt").symlink_to("nowhere")
    os.mkfifo(folder / "pipe.txt")
    (folder / "door").symlink_to("../elsewhere")
    return {"absolute.txt", "relative.txt", "inner.txt", "album/deep.txt", "broken.txt", "pipe.txt"}


def _assert_nothing_leaked(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            assert SECRET.encode() not in path.read_bytes(), path


def _batch(place: Path, each: str = "file", on_error: str = "fail") -> Batch:
    return Batch(source=str(place / "in"), target=str(place / "out"), each=each, on_error=on_error)  # type: ignore[arg-type]


def _run(batch: Batch) -> dict[str, ItemOutcome]:
    return {outcome.id: outcome for outcome in run_batch(batch, executor="serial")}


def test_every_file_a_result_but_no_link_pipe_or_folder_behind_a_link(place: Path) -> None:
    traps = _lay_traps(place / "in")
    outcomes = _run(_batch(place))
    assert outcomes.keys() == traps | {"plain.txt", "album/note.txt"}
    for name in traps:
        error = outcomes[name].error
        assert isinstance(error, Unreadable)
        assert error.name == name
    assert outcomes["plain.txt"].status is Status.PREPARED
    _assert_nothing_leaked(place / "out")
    assert _run(_batch(place))["plain.txt"].status is Status.UNCHANGED


def test_every_folder_a_message_without_what_is_no_file_of_its_own(place: Path) -> None:
    _lay_traps(place / "in")
    assert {outcome.status for outcome in _run(_batch(place, "folder")).values()} == {Status.FAILED}
    assert not (place / "out/message.json").exists()
    outcomes = _run(_batch(place, "folder", "skip"))
    assert {outcome.status for outcome in outcomes.values()} == {Status.PREPARED}
    report = json.loads((place / "out/message.json").read_text("utf-8"))
    assert [part["source"]["path"] for part in report["parts"]] == ["plain.txt"]
    assert len(report["rejected"]) == 5
    _assert_nothing_leaked(place / "out")


def test_a_file_that_could_not_be_read_is_looked_at_again(place: Path) -> None:
    """A message that was made without it is not for ever."""
    (place / "in/late.txt").symlink_to("../secret.txt")
    stamp = time.time() - 100
    for path in (place / "in").iterdir():
        os.utime(path, (stamp, stamp), follow_symlinks=False)
    assert _run(_batch(place, "folder", "skip"))["."].status is Status.PREPARED
    (place / "in/late.txt").unlink()
    (place / "in/late.txt").write_text("late")
    assert _run(_batch(place, "folder", "skip"))["."].status is Status.PREPARED
    report = json.loads((place / "out/message.json").read_text("utf-8"))
    assert [part["source"]["path"] for part in report["parts"]] == ["late.txt", "plain.txt"]


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_what_is_swapped_between_listing_and_reading_is_not_read(place: Path, kind: str) -> None:
    """The whole folder is listed, then a link takes the place of the file, or of the folder that it lies in."""
    with open_batch(_batch(place), executor="serial") as opened:
        items = list(opened.items())
        if kind == "folder":
            (place / "elsewhere/note.txt").write_text(SECRET)
            (place / "in/album").rename(place / "album")
            (place / "in/album").symlink_to("../elsewhere")
        else:
            (place / "in/plain.txt").unlink()
            if kind == "link":
                (place / "in/plain.txt").symlink_to("../secret.txt")
            else:
                os.mkfifo(place / "in/plain.txt")
        outcomes = {outcome.id: outcome for outcome in opened.outcomes(items)}
    attacked = "album/note.txt" if kind == "folder" else "plain.txt"
    assert isinstance(outcomes[attacked].error, Unreadable)
    _assert_nothing_leaked(place / "out")


def test_a_manifest_names_files_inside_its_folder_and_no_others(place: Path) -> None:
    _lay_traps(place / "in")
    (place / "m.jsonl").write_text(
        "\n".join(
            json.dumps({"id": f"m{number}", "files": [name]})
            for number, name in enumerate(
                [
                    "plain.txt",
                    "album/note.txt",
                    "album/../plain.txt",
                    str(place / "in/plain.txt"),
                    "../secret.txt",
                    str(place / "secret.txt"),
                    "album/../../secret.txt",
                    "absolute.txt",
                    "album/deep.txt",
                    "door/diary.txt",
                    "pipe.txt",
                    "album",
                ]
            )
        )
    )
    outcomes = _run(_batch(place, str(place / "m.jsonl")))
    made = [name for name, outcome in outcomes.items() if outcome.status is not Status.FAILED]
    assert made == ["m0", "m1", "m2", "m3"]
    for name, outcome in outcomes.items():
        if name not in made:
            assert isinstance(outcome.error, Unreadable), name
    assert "relative to it" in str(outcomes["m4"].error)
    _assert_nothing_leaked(place / "out")


def test_a_manifest_row_cannot_climb_out_of_an_address_either(place: Path) -> None:
    pytest.importorskip("fsspec")
    (place / "m.jsonl").write_text('{"id": "a", "files": ["../x.txt"]}\n{"id": "b", "files": ["/x.txt"]}\n')
    items = list(list_manifest(place / "m.jsonl", open_storage("memory://bucket/in")))
    assert [type(item.error) for item in items] == [Unreadable, Unreadable]


def test_a_folder_that_is_a_link_itself_is_what_the_caller_means(place: Path) -> None:
    (place / "link").symlink_to("in")
    outcomes = list(run_batch(Batch(source=str(place / "link"), target=str(place / "out")), executor="serial"))
    assert {outcome.status for outcome in outcomes} == {Status.PREPARED}
    (place / "m.jsonl").write_text(json.dumps({"id": "a", "files": [str(place / "in/plain.txt")]}))
    (item,) = list_manifest(place / "m.jsonl", LocalStorage(str(place / "link")))
    assert item.error is None


def test_a_link_in_the_output_is_neither_read_through_nor_replaced(place: Path) -> None:
    """Somebody laid it where a result belongs."""
    (place / "out").mkdir()
    (place / "out/plain.txt").symlink_to("../secret.txt")
    (place / "out/album").mkdir()
    os.mkfifo(place / "out/album/note.txt")
    outcomes = _run(_batch(place))
    assert {type(outcome.error) for outcome in outcomes.values()} <= {OutputError, Unreadable}
    assert (place / "out/plain.txt").is_symlink()
    assert (place / "secret.txt").read_text() == SECRET


def test_the_command_says_which_file_is_refused_and_does_the_others(place: Path) -> None:
    traps = _lay_traps(place / "in")
    done = CliRunner().invoke(app, ["batch", str(place / "in"), str(place / "out"), "--executor", "serial", "--json"])
    assert done.exit_code == 10
    told = {row["id"]: row for row in map(json.loads, done.stdout.splitlines())}
    assert {name for name, row in told.items() if row["error"]} == traps
    assert SECRET not in done.output
    _assert_nothing_leaked(place / "out")


def _watched(place: Path, *steps: tuple[set[str], Callable[[], object]]) -> list[ItemOutcome]:
    """Watch; do each step once its outcomes are there."""
    pytest.importorskip("watchfiles", reason="needs the extra 'watch'")
    stop = threading.Event()
    outcomes: list[ItemOutcome] = []

    def go_on() -> None:
        for awaited, act in steps:
            end_s = time.monotonic() + 120
            while not awaited <= {outcome.id for outcome in outcomes} and time.monotonic() < end_s:
                time.sleep(0.1)
            act()

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        for outcome in watch(_batch(place), settle_s=0.3, executor="serial", stop=stop):
            outcomes.append(outcome)
            if outcome.id == "stop.txt":
                stop.set()
    finally:
        thread.join()
    return outcomes


def test_a_watched_folder_is_never_left(place: Path) -> None:
    """Traps that lie there at the start, and traps that appear: told once, never followed."""
    traps = _lay_traps(place / "in")

    def lay() -> None:
        (place / "in/late.txt").symlink_to("../secret.txt")
        (place / "in/late door").symlink_to("../elsewhere")
        (place / "in/album/more.txt").write_text("more")

    outcomes = _watched(
        place,
        (traps | {"plain.txt", "album/note.txt"}, lay),
        ({"late.txt", "album/more.txt"}, lambda: (place / "in/stop.txt").write_text("stop")),
    )
    failed = [outcome.id for outcome in outcomes if outcome.status is Status.FAILED]
    assert sorted(failed) == sorted(traps | {"late.txt"})
    done = {outcome.id for outcome in outcomes if outcome.made}
    assert done == {"plain.txt", "album/note.txt", "album/more.txt", "stop.txt"}
    _assert_nothing_leaked(place / "out")


def test_a_watched_folder_that_is_removed_is_told(place: Path) -> None:
    """The new one under its name is another folder, of which the watcher sees nothing."""

    def replace() -> None:
        (place / "in").rename(place / "was")
        (place / "in").mkdir()

    with pytest.raises(NotFound, match="removed or replaced"):
        _watched(place, ({"plain.txt"}, replace))
