"""All children together keep to one budget of memory: who finds no room is run again by itself, nobody else notices."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from mmsprep import prepare
from mmsprep.batch.executors import open_executor
from mmsprep.doctor import diagnose
from mmsprep.errors import OverInputLimit, ToolError, ToolOverLimit
from mmsprep.model import Attachment
from mmsprep.settings import Settings, load_settings
from mmsprep.tools.budget import is_kept
from mmsprep.tools.cage import Cage
from mmsprep.tools.isolation import isolated
from mmsprep.tools.libraries import share
from mmsprep.tools.process import ProcessGroup
from mmsprep.tools.workspace import Workspace

share(__name__)
pytestmark = pytest.mark.skipif(not is_kept(), reason="a system that says what a process holds")

_SOME = Attachment(0, "photo.jpg", 3, data=b"abc")
_MB = 1_000_000
_TOTAL_BYTES = 450 * _MB
_HOARD = "import sys, time; kept = b'x' * int(sys.argv[1]); time.sleep(float(sys.argv[2])); print(len(kept))"


def hoard(attachment: Attachment, size_bytes: int, seconds: float) -> int:
    kept = b"x" * size_bytes
    time.sleep(seconds)
    return len(kept)


def who(attachment: Attachment) -> int:
    return os.getpid()


@pytest.fixture
def small(settings: Settings) -> Iterator[Workspace]:
    with Workspace(replace(settings, max_total_memory_bytes=_TOTAL_BYTES)) as opened:
        yield opened


def _children() -> list[str]:
    """Of every thread of this process; one that has ended meanwhile has none."""
    found: list[str] = []
    for task in Path("/proc/self/task").iterdir():
        with suppress(OSError):
            found += (task / "children").read_text().split()
    return found


def _held_bytes(child: str) -> int:
    with suppress(OSError, ValueError):
        if Path(f"/proc/{child}/cmdline").read_bytes() == Path("/proc/self/cmdline").read_bytes():
            return 0  # Until a new child runs its own program it borrows all of this process's memory.
        _, resident, shared, *_ = Path(f"/proc/{child}/statm").read_text().split()
        return (int(resident) - int(shared)) * os.sysconf("SC_PAGE_SIZE")
    return 0


@contextmanager
def measured() -> Iterator[list[int]]:
    """What this process's children held together, again and again."""
    over, held = threading.Event(), [0]

    def look() -> None:
        while not over.wait(0.005):
            held.append(sum(_held_bytes(child) for child in _children()))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield held
    finally:
        over.set()
        thread.join()


def test_workers_that_want_too_much_together_have_it_one_after_the_other(small: Workspace) -> None:
    with measured() as held, ThreadPoolExecutor(4) as pool:
        work = [pool.submit(isolated, small, hoard, _SOME, 260 * _MB, 0.3) for _ in range(3)]
        assert [one.result() for one in work] == [260 * _MB] * 3
    # A loaded machine looks late, but all three are never whole at once.
    assert 260 * _MB < max(held) < 3 * 260 * _MB


def test_programs_count_as_workers_do(small: Workspace) -> None:
    cage = uncaged_reads(small)
    command = [sys.executable, "-I", "-c", _HOARD, str(260 * _MB), "0.5"]
    with measured() as held, ThreadPoolExecutor(4) as pool:
        work = [pool.submit(small.processes.run, command, cage=cage) for _ in range(2)]
        more = [pool.submit(isolated, small, hoard, _SOME, 260 * _MB, 0.5) for _ in range(2)]
        assert [one.result().stdout.strip() for one in work] == [b"260000000"] * 2
        assert [one.result() for one in more] == [260 * _MB] * 2
    # A third may have grown before a loaded machine looks at them; were programs not counted, there would be four.
    assert max(held) < (3 * 260 + 60) * _MB


def uncaged_reads(workspace: Workspace) -> Cage:
    cage = workspace.cage([])
    assert cage
    return replace(cage, reads=None)


def test_what_wants_more_than_all_may_have_is_refused_and_the_next_is_served(small: Workspace) -> None:
    with pytest.raises(OverInputLimit, match=r"450,000,000 bytes that MMSPREP_MAX_TOTAL_MEMORY_BYTES allows"):
        isolated(small, hoard, _SOME, 600 * _MB, 5.0)
    with pytest.raises(ToolOverLimit, match="MMSPREP_MAX_TOTAL_MEMORY_BYTES"):
        small.processes.run([sys.executable, "-I", "-c", _HOARD, str(600 * _MB), "5"], cage=uncaged_reads(small))
    assert isolated(small, hoard, _SOME, 10 * _MB, 0.0) == 10 * _MB


def test_a_hungry_one_costs_those_beside_it_nothing(small: Workspace) -> None:
    with ThreadPoolExecutor(3) as pool:
        modest = [pool.submit(isolated, small, hoard, _SOME, 60 * _MB, 0.6) for _ in range(2)]
        hungry = pool.submit(isolated, small, hoard, _SOME, 600 * _MB, 5.0)
        with pytest.raises(OverInputLimit, match="MMSPREP_MAX_TOTAL_MEMORY_BYTES"):
            hungry.result()
        assert [one.result() for one in modest] == [60 * _MB] * 2


def test_idle_workers_make_room(small: Workspace, settings: Settings) -> None:
    with Workspace(settings) as plenty:
        idle = isolated(plenty, who, _SOME)
        tight = replace(uncaged_reads(small), total_bytes=330 * _MB)
        done = small.processes.run([sys.executable, "-I", "-c", _HOARD, str(300 * _MB), "0.3"], cage=tight)
        assert done.stdout.strip() == b"300000000"
        assert isolated(plenty, who, _SOME) != idle


def test_the_wait_for_room_ends_with_the_work(small: Workspace) -> None:
    group = ProcessGroup(60.0)
    cage = uncaged_reads(small)
    with ThreadPoolExecutor(2) as pool:
        busy = pool.submit(isolated, small, hoard, _SOME, 360 * _MB, 1.5)
        time.sleep(0.7)
        waiting = pool.submit(group.run, [sys.executable, "-I", "-c", _HOARD, "1", "60"], cage=cage)
        time.sleep(0.1)
        group.kill_all()
        with pytest.raises(ToolError):
            waiting.result(30)
        assert busy.result() == 360 * _MB


def test_a_message_is_the_same_with_little_memory(sample_media: Path) -> None:
    files = [sample_media / f"formats/{name}" for name in ("photo.jpg", "rotated.heic", "deep.png")]
    tight = Settings(max_total_memory_bytes=250 * _MB, jobs=4)
    made = [prepare(files, limit_bytes=60_000, settings=one) for one in (Settings(), tight)]
    assert [part.data for part in made[0].parts] == [part.data for part in made[1].parts]


def test_the_budget_is_a_setting_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert 0 < load_settings({}).total_memory_bytes <= 0.75 * machine
    chosen = load_settings({"MMSPREP_MAX_TOTAL_MEMORY_BYTES": "123456789"})
    assert chosen.total_memory_bytes == 123_456_789
    (row,) = [check for check in diagnose(chosen) if check.name == "isolation: memory"]
    assert row.ok and row.found.startswith("123,456,789 bytes")


def test_the_processes_of_a_batch_share_it() -> None:
    settings = Settings(max_total_memory_bytes=900 * _MB)
    with open_executor("local", 3, settings) as workforce:
        assert workforce.settings_of_each(settings).total_memory_bytes == 300 * _MB
    with open_executor("serial", None, settings) as workforce:
        assert workforce.settings_of_each(settings) == settings
