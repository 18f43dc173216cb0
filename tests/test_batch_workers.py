"""Batches over every kind of executor, and what survives when processes die."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest
from test_batch import contents, picture, put, run, statuses

from mmsprep import Failed, Job, Prepared, prepare_many
from mmsprep.batch import Batch, run_batch
from mmsprep.batch.executors import LocalProcesses, failure_of, open_executor
from mmsprep.batch.outcome import ItemOutcome, Made, Status
from mmsprep.batch.watch import Unrest, watch
from mmsprep.cli.batch_progress import Tally
from mmsprep.errors import MmsprepError, UsageError, WorkerLost
from mmsprep.settings import Settings

DEADLINE_S = 120.0


def _double(number: int) -> int:
    return number * 2


def _die(_: int) -> int:
    os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
    return 0


def _die_once(marker: str, number: int) -> str:
    if not Path(marker).exists():
        Path(marker).touch()
        os.kill(os.getpid(), number)
    return "alive"


def _sleep(marker: str) -> None:
    Path(marker).touch()
    time.sleep(10 * DEADLINE_S)


def _wait_for(marker: str, other: str) -> None:
    Path(marker).touch()
    deadline_s = time.monotonic() + DEADLINE_S
    while not Path(other).exists() and time.monotonic() < deadline_s:
        time.sleep(0.01)


def test_who_is_at_work_on_what_is_seen_while_it_lasts(tmp_path: Path) -> None:
    begun, enough = str(tmp_path / "begun"), str(tmp_path / "enough")
    with LocalProcesses(2) as executor:
        assert executor.busy() == []
        future = executor.submit(_wait_for, begun, enough)
        _wait_for(enough + "-not-yet", begun)
        (busy,) = executor.busy()
        assert busy.arguments == (begun, enough) and busy.process_id != os.getpid() and busy.seconds >= 0
        Path(enough).touch()
        future.result(DEADLINE_S)
        assert executor.busy() == []


def _jobs() -> Iterator[Job]:
    for number in range(5):
        data = picture(number) if number != 2 else b"\xff\xd8\xff\xe0 no picture"
        yield Job(attachments=((f"{number}.png", data),), text=f"Number {number}")


@pytest.fixture(scope="module")
def alone() -> list[bytes | str]:
    """What the jobs give one by one."""
    return _told(prepare_many(_jobs(), executor="serial"))


def _told(outcomes: Iterator[Prepared | Failed]) -> list[bytes | str]:
    told: list[bytes | str] = []
    for place, outcome in enumerate(outcomes):
        assert outcome.index == place
        told.append(outcome.message.mime() if isinstance(outcome, Prepared) else outcome.error.code)
    return told


def test_many_jobs_come_back_in_order_and_one_that_fails_stops_no_other(alone: list[bytes | str]) -> None:
    assert [isinstance(one, bytes) for one in alone] == [True, True, False, True, True]
    assert alone[2] == "damaged"


def test_processes_and_a_callers_executor_give_the_same_bytes(alone: list[bytes | str]) -> None:
    assert _told(prepare_many(_jobs(), executor="local", worker_count=2)) == alone
    with ThreadPoolExecutor(2) as pool:
        assert _told(prepare_many(_jobs(), executor=pool)) == alone
        assert pool.submit(_double, 2).result() == 4


def test_a_file_object_that_cannot_travel_is_an_error_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(picture(1))
    with path.open("rb") as file:
        job = Job(attachments=(file,))
        (outcome,) = prepare_many([job], executor=ThreadPoolExecutor(1))
        assert isinstance(outcome, Failed)
        assert outcome.error.code == "usage"
        (outcome,) = prepare_many([job], executor="serial")
        assert isinstance(outcome, Prepared)


def test_a_caller_may_stop_listening_at_any_outcome(many: tuple[Path, dict[str, bytes]], tmp_path: Path) -> None:
    tree, expected = many
    with ThreadPoolExecutor(3) as pool:
        outcomes = run_batch(Batch(source=str(tree), target=str(tmp_path / "out")), executor=pool)
        assert next(outcomes).index == 0
        outcomes.close()  # type: ignore[attr-defined]
    assert contents(tmp_path / "out").items() <= expected.items()
    assert statuses(run(tree, tmp_path / "out"))
    assert contents(tmp_path / "out") == expected


def test_an_unknown_executor_is_refused() -> None:
    for spec in ("cloud", "dask://", "ssh://host"):
        with pytest.raises(UsageError, match="expected serial"), open_executor(spec, None, Settings()):
            pass


@pytest.mark.posix("signals")
def test_a_worker_that_dies_is_replaced_and_only_its_own_job_fails(tmp_path: Path) -> None:
    with LocalProcesses(2) as pool:
        futures = [pool.submit(_die if number == 1 else _double, number) for number in range(4)]
        once = [
            pool.submit(_die_once, str(tmp_path / number.name), number) for number in (signal.SIGKILL, signal.SIGTERM)
        ]
        errors = [failure_of(future) for future in futures]
        assert [future.result() for future in futures[:1] + futures[2:]] == [0, 4, 6]
        assert isinstance(errors[1], WorkerLost)
        assert [future.result() for future in once] == ["alive", "alive"]


@pytest.mark.posix("signals")
@pytest.mark.parametrize("wait", [True, False], ids=["at work", "starting"])
def test_a_pool_that_is_left_by_an_error_does_not_finish_its_work(tmp_path: Path, wait: bool) -> None:
    marker = tmp_path / "marker"
    start_s = time.monotonic()
    with pytest.raises(KeyboardInterrupt), LocalProcesses(1) as pool:
        pool.submit(_sleep, str(marker))
        pool.submit(_sleep, str(marker))
        if wait:
            _wait("the job's beginning", marker.exists)
        raise KeyboardInterrupt
    assert time.monotonic() - start_s < DEADLINE_S


def _start(tree: Path, out: Path, *options: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "mmsprep", "batch", str(tree), str(out), "--jobs", "2", *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def _wait(what: str, condition: object, *arguments: object) -> None:
    deadline_s = time.monotonic() + DEADLINE_S
    while not condition(*arguments):  # type: ignore[operator]
        assert time.monotonic() < deadline_s, f"{what} did not happen in {DEADLINE_S:.0f} s"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, bytes]]:
    """A tree with twins, and what an undisturbed run makes of it."""
    root = tmp_path_factory.mktemp("many")
    for number in range(10):
        put(root / "in" / f"sub{number % 3}" / f"{number}.png", picture(number // 2, size=(400, 300)))
    run(root / "in", root / "undisturbed")
    return root / "in", contents(root / "undisturbed")


@pytest.mark.posix("signals")
def test_killed_at_any_moment_a_run_leaves_whole_files_and_the_next_one_ends_the_same(
    many: tuple[Path, dict[str, bytes]], tmp_path: Path
) -> None:
    tree, expected = many
    chance = random.Random()
    out = tmp_path / "out"
    workers: set[int] = set()
    for results in sorted(chance.sample(range(len(expected)), 2)):
        child = _start(tree, out)
        _wait("the next result", lambda: len(contents(out)) >= results or child.poll() is not None)  # noqa: B023
        workers |= _descendants(child.pid)
        time.sleep(chance.random() * 0.1)
        child.kill()
        child.communicate()
        for name, data in contents(out).items():
            assert data == expected[name], f"{name} was visible before it was whole"
    _wait("the end of the killed runs' workers", lambda: not any(map(_is_alive, workers)))
    child = _start(tree, out)
    _, complaints = child.communicate(timeout=DEADLINE_S)
    assert child.returncode == 0, complaints
    assert contents(out) == expected
    assert not list((out / ".mmsprep" / "staging").iterdir())


@pytest.mark.posix("signals")
def test_a_batch_that_is_interrupted_ends_its_workers_and_says_how_to_go_on(
    many: tuple[Path, dict[str, bytes]], tmp_path: Path
) -> None:
    tree, expected = many
    child = _start(tree, tmp_path / "out", "--report", str(tmp_path / "report.jsonl"))
    _wait("the first result", lambda: contents(tmp_path / "out") or child.poll() is not None)
    workers = _descendants(child.pid)
    child.send_signal(signal.SIGINT)
    _, complaints = child.communicate(timeout=DEADLINE_S)
    assert child.returncode == 130, complaints
    assert b"goes on from there" in complaints
    assert b"Traceback" not in complaints
    _wait("the end of the workers", lambda: not any(map(_is_alive, workers)))
    assert not [path for path in tmp_path.iterdir() if path.name != "out"]
    assert statuses(run(tree, tmp_path / "out")).keys()
    assert contents(tmp_path / "out") == expected


def _descendants(process_id: int) -> set[int]:
    """The processes that a process started, and theirs; none where the system does not tell."""
    parents: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            continue
    found = {process_id}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {process_id}


def _is_alive(process_id: int) -> bool:
    try:
        return Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_the_command_prints_an_object_a_line_and_says_that_some_failed(tmp_path: Path) -> None:
    for name, data in {"a.png": picture(1), "b.jpg": b"\xff\xd8\xff\xe0 no", "c.png": picture(1)}.items():
        put(tmp_path / "in" / name, data)
    child = _start(tmp_path / "in", tmp_path / "out", "--json", "--report", str(tmp_path / "report.jsonl"))
    lines, words = child.communicate(timeout=DEADLINE_S)
    assert child.returncode == 10
    outcomes = [json.loads(line) for line in lines.decode().splitlines()]
    assert [(one["index"], one["id"]) for one in outcomes] == [(0, "a.png"), (1, "b.jpg"), (2, "c.png")]
    # Which of the twins is encoded is up to the workers.
    assert {outcomes[0]["status"], outcomes[2]["status"]} == {"prepared", "copied"}
    assert outcomes[1]["status"] == "failed"
    assert outcomes[0]["outputs"][0]["path"] == "a.jpg"
    assert outcomes[1]["error"]["code"] == "damaged"
    assert (tmp_path / "report.jsonl").read_bytes() == lines
    assert words == b""
    child = _start(tmp_path / "in", tmp_path / "out")
    lines, words = child.communicate(timeout=DEADLINE_S)
    assert (child.returncode, lines) == (10, b"")
    assert b"unchanged" in words
    assert b"failed: b.jpg: " in words
    assert b"\x1b" not in words


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["none", "out"], 3, "no such folder"),
        (["empty", "out"], 3, "nothing in it"),
        (["empty", "empty"], 2, "input itself"),
        (["empty", "out", "--executor", "cloud"], 2, "expected serial"),
        (["empty", "out", "--each", "none.csv"], 3, "no such manifest"),
        (["empty", "out", "--report", "empty/report.jsonl"], 2, "lies in the input"),
        (["empty", "out", "--profile", "none"], 6, "not found"),
    ],
)
def test_a_call_that_makes_no_sense_is_told_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], status: int, words: str
) -> None:
    from typer.testing import CliRunner

    from mmsprep.cli import app

    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["batch", *arguments])
    assert done.exit_code == status
    assert words in done.output
    assert "Traceback" not in done.output


def test_a_file_rests_when_it_was_seen_unchanged_long_enough(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"1")
    unrest = Unrest(settle_s=2.0)
    unrest.stir(tmp_path)
    assert path in unrest
    assert unrest.settled(0.0) == []
    assert unrest.settled(1.9) == []
    path.write_bytes(b"12")
    assert unrest.settled(2.1) == []
    assert unrest.settled(4.0) == []
    assert unrest.settled(4.2) == [path]
    assert path not in unrest
    unrest.stir(path)
    path.unlink()
    assert unrest.settled(9.0) == []
    assert path not in unrest


def test_a_watch_tells_of_a_priority_for_a_file_that_is_not_there_yet(tmp_path: Path) -> None:
    pytest.importorskip("watchfiles", reason="needs the extra 'watch'")
    from threading import Event

    put(tmp_path / "in/a.png", picture(1))
    told: list[str] = []
    batch = Batch(
        source=str(tmp_path / "in"),
        target=str(tmp_path / "out"),
        each="folder",
        priorities={"a.png": 2, "late.png": 2},
    )
    stop = Event()
    for outcome in watch(batch, settle_s=0.2, executor="serial", stop=stop, note=told.append):
        assert outcome.error is None
        stop.set()
    assert len(told) == 1 and "'late.png', which is none of the files" in told[0] and "'a.png'" not in told[0]


def test_a_drop_folder_converts_what_appears_and_leaves_what_is_still_written(tmp_path: Path) -> None:
    pytest.importorskip("watchfiles", reason="needs the extra 'watch'")
    from threading import Event

    source, out = tmp_path / "in", tmp_path / "in" / "out"
    put(source / "before.png", picture(1))
    batch = Batch(source=str(source), target=str(out))
    stop = Event()
    seen: list[str] = []
    for outcome in watch(batch, settle_s=0.5, executor="serial", stop=stop, note=pytest.fail):
        seen.append(outcome.id)
        assert outcome.index == len(seen) - 1
        if outcome.id == "before.png":
            put(source / "bad.jpg", b"\xff\xd8\xff\xe0 no picture")
            put(source / ".hidden.png", picture(2))
        elif outcome.error:
            assert outcome.id == "bad.jpg"
            (tmp_path / "sub").mkdir()
            (tmp_path / "sub" / "late.png").write_bytes(picture(3))
            (tmp_path / "sub").rename(source / "sub")
        elif outcome.id == "sub/late.png":
            put(source / "bad.jpg", picture(4, "JPEG"))
        else:
            stop.set()
    assert seen == ["before.png", "bad.jpg", "sub/late.png", "bad.jpg"]
    assert set(contents(out)) == {"before.jpg", "sub/late.jpg", "bad.jpg"}


def test_what_a_workers_future_ended_with_is_an_error_of_ours() -> None:
    cancelled: Future[None] = Future()
    cancelled.cancel()
    assert isinstance(failure_of(cancelled), WorkerLost)
    for error, kind in ((BrokenProcessPool("died"), WorkerLost), (ZeroDivisionError("by nothing"), MmsprepError)):
        failed: Future[None] = Future()
        failed.set_exception(error)
        assert isinstance(failure_of(failed), kind)
    ended: Future[None] = Future()
    ended.set_exception(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        failure_of(ended)


def test_what_is_no_job_is_told() -> None:
    with pytest.raises(UsageError, match="is an int; expected a Job, or several"):
        list(prepare_many(5, executor="serial"))  # type: ignore[arg-type]
    (outcome,) = prepare_many([5], executor="serial")  # type: ignore[list-item]
    assert isinstance(outcome, Failed) and "number 1 is an int" in str(outcome.error)


def test_of_many_failures_and_notes_the_first_are_told_and_how_many_there_are() -> None:
    tally = Tally()
    for number in range(25):
        left_out = {"path": f"{number}.bin", "message": "is of no known type"}
        made = Made(stem="", outputs=(), parts=(), total_bytes=9, limit_bytes=99, rejected=(left_out,))
        tally.add(ItemOutcome(index=number, id=f"{number}", status=Status.PREPARED, made=made))
        tally.add(ItemOutcome(index=number, id=f"x{number}", status=Status.FAILED, error=UsageError("no")))
    told = list(tally.problems())
    assert len(told) < 25 and any(line.startswith("25 failed in all (25 usage)") for line in told)
    assert any("25 notes in all" in line for line in tally.remarks(cuts=False))
