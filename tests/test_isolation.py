"""Decoders work in processes that can be lost: what they do there never harms the program that asked."""

from __future__ import annotations

import ast
import ctypes
import importlib
import io
import json
import os
import platform
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import msgspec
import pytest
from PIL import Image

from mmsprep import inspect, prepare
from mmsprep.doctor import diagnose
from mmsprep.errors import Damaged, MmsprepError, OverInputLimit, SettingsError, ToolError, TypeNotAllowed
from mmsprep.model import Attachment, Kind, MediaInfo
from mmsprep.settings import Settings
from mmsprep.tools import wire
from mmsprep.tools.cage import Cage
from mmsprep.tools.confine import DEATH, DEFENCES, FILES, LIMITS, NETWORK, PROGRAMS, confine
from mmsprep.tools.defences import defences
from mmsprep.tools.isolation import isolated
from mmsprep.tools.libraries import share
from mmsprep.tools.process import ProcessGroup
from mmsprep.tools.untrusted import read_bytes
from mmsprep.tools.worker import Worker
from mmsprep.tools.workers import _Workers, keep
from mmsprep.tools.workspace import Workspace

share(__name__)

_SOME = Attachment(0, "photo.jpg", 3, data=b"abc")
_DEADLINE_S = 30.0


def answer(attachment: Attachment, number: int) -> tuple[int, bytes, int]:
    return os.getpid(), read_bytes(attachment), number


def picture(attachment: Attachment, size: tuple[int, int]) -> Image.Image:
    image = Image.new("RGB", size, (1, 2, 3))
    image.info["comment"] = "where it was taken"
    return image


def refuse(attachment: Attachment) -> int:
    raise TypeNotAllowed(attachment.name, "is not wanted")


def nap(attachment: Attachment) -> int:
    time.sleep(1.0)
    return 0


def stumble(attachment: Attachment) -> int:
    raise ZeroDivisionError("nobody expected this")


def crash(attachment: Attachment) -> int:
    return ctypes.memset(0, 1, 8)


def abort(attachment: Attachment) -> int:
    os.abort()


def hang(attachment: Attachment) -> int:
    while True:
        time.sleep(0.1)


def spin(attachment: Attachment) -> int:
    while True:
        pass


def gobble(attachment: Attachment, size_bytes: int) -> int:
    return len(bytearray(size_bytes))


def lie(attachment: Attachment) -> int:
    return "not a number"  # type: ignore[return-value]


def chatter(attachment: Attachment) -> int:
    os.write(1, b"V" * 100_000)
    os.write(2, b"warning\n" * 100_000)
    return 7


def read_file(attachment: Attachment, path: str) -> str:
    return Path(path).read_text()


def write_file(attachment: Attachment, path: str) -> int:
    return Path(path).write_text("x")


def connect(attachment: Attachment, port: int) -> int:
    socket.create_connection(("127.0.0.1", port), timeout=5).close()
    return 0


def start_a_program(attachment: Attachment) -> int:
    return subprocess.run([sys.executable, "-c", "pass"], check=False).returncode


def become_a_program(attachment: Attachment) -> int:
    os.execv(sys.executable, [sys.executable, "-c", "pass"])


def split_in_two(attachment: Attachment) -> int:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    return pid


def forge(attachment: Attachment, reply: bytes) -> int:
    """Answer in the place of the worker's own code, as what took it over would."""
    frame = sys._getframe()
    while frame.f_back is not None and "answers" not in frame.f_locals:
        frame = frame.f_back
    wire.send(frame.f_locals["answers"], reply)
    os._exit(0)


def forged_facts(attachment: Attachment, settings: Settings) -> MediaInfo:
    """What a look would answer if a file had taken it over; the file says which lie."""
    lies: dict[bytes, dict[str, object]] = {
        b"width": {"width_px": -5},
        b"format": {"format": "no-such"},
        b"nan": {"duration_s": float("nan")},
    }
    told: dict[str, object] = {
        "format": "jpeg",
        "kind": Kind.IMAGE,
        "content_type": "image/jpeg",
        "size_bytes": 9,
        "width_px": 4,
    }
    word = (attachment.data or b"").rpartition(b" ")[2]
    return MediaInfo(**(told | {"height_px": 4, "frame_count": 1} | lies[word]))  # type: ignore[arg-type]


@pytest.fixture
def room() -> Iterator[Callable[..., Workspace]]:
    """Workspaces with other limits, gone after the test."""
    opened: list[Workspace] = []

    def make(**limits: float) -> Workspace:
        opened.append(Workspace(replace(Settings(), **limits)))  # type: ignore[arg-type]
        return opened[-1]

    yield make
    for workspace in opened:
        workspace.__exit__(None, None, None)


def test_a_function_runs_in_another_process_and_its_value_comes_back(workspace: Workspace) -> None:
    pid, data, number = isolated(workspace, answer, _SOME, 5)
    assert pid != os.getpid()
    assert (data, number) == (b"abc", 5)


def test_workers_are_reused(workspace: Workspace) -> None:
    assert isolated(workspace, answer, _SOME, 1)[0] == isolated(workspace, answer, _SOME, 2)[0]


def loaded(attachment: Attachment, module: str) -> bool:
    return module in sys.modules


def test_a_worker_that_was_started_early_has_loaded_what_it_was_told_and_answers_first(
    room: Callable[..., Workspace],
) -> None:
    room_of_its_own = room(max_memory_bytes=3_999_999_999)
    worker = Worker(room_of_its_own.settings)
    worker.begin(["no.such.module", "mmsprep.formats.isobmff:no_such_function", "mmsprep.transcode.image.pixels"])
    worker.foretell(["mmsprep.formats.evrc"])
    keep(worker)
    assert isolated(room_of_its_own, answer, _SOME, 1)[0] == worker.child.pid
    # It loads while nothing is asked of it.
    deadline_s = time.monotonic() + 30
    for module in ("mmsprep.transcode.image.pixels", "mmsprep.formats.evrc"):
        while not isolated(room_of_its_own, loaded, _SOME, module):
            assert time.monotonic() < deadline_s
            time.sleep(0.1)
    assert isolated(room_of_its_own, answer, _SOME, 1)[0] == worker.child.pid


@pytest.mark.posix("signals")
def test_a_worker_that_was_started_early_and_died_is_replaced_without_a_word(room: Callable[..., Workspace]) -> None:
    room_of_its_own = room(max_memory_bytes=3_999_999_998)
    worker = Worker(room_of_its_own.settings)
    os.kill(worker.child.pid, signal.SIGKILL)
    keep(worker)
    assert isolated(room_of_its_own, answer, _SOME, 1)[0] != worker.child.pid


def test_a_file_on_disk_reaches_the_worker_open(workspace: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"xyz")
    assert isolated(workspace, answer, Attachment(0, "photo.jpg", 3, path=path), 1)[1] == b"xyz"


def test_isolation_can_be_switched_off(room: Callable[..., Workspace]) -> None:
    assert isolated(room(isolate=False), answer, _SOME, 1)[0] == os.getpid()


def test_pixels_come_back_and_metadata_stays_behind(workspace: Workspace) -> None:
    made = isolated(workspace, picture, _SOME, (40, 30))
    assert (made.mode, made.size, made.getpixel((39, 29))) == ("RGB", (40, 30), (1, 2, 3))
    assert not made.info


def test_an_error_of_ours_comes_back_as_it_was(workspace: Workspace) -> None:
    with pytest.raises(TypeNotAllowed) as caught:
        isolated(workspace, refuse, _SOME)
    assert (caught.value.name, caught.value.problem) == ("photo.jpg", "is not wanted")


def test_an_error_that_nobody_expected_is_damage_to_that_file(workspace: Workspace) -> None:
    with pytest.raises(Damaged, match=r"photo\.jpg: .*ZeroDivisionError: nobody expected this"):
        isolated(workspace, stumble, _SOME)


def test_a_crash_is_damage_to_that_file_and_the_next_one_is_served(workspace: Workspace) -> None:
    with pytest.raises(Damaged, match=r"photo\.jpg: makes its decoder crash \(SIGSEGV\)"):
        isolated(workspace, crash, _SOME)
    assert isolated(workspace, answer, _SOME, 3)[2] == 3


def test_a_new_worker_that_aborts_on_its_first_file_is_damage_too(room: Callable[..., Workspace]) -> None:
    """No other worker has these limits."""
    with pytest.raises(Damaged, match="SIGABRT"):
        isolated(room(max_memory_bytes=3_000_000_000), abort, _SOME)


@pytest.mark.posix("signals")
def test_a_worker_that_is_killed_while_idle_is_replaced_without_a_word(workspace: Workspace) -> None:
    """As the system does where memory runs out: the next file has nothing to do with it."""
    first = isolated(workspace, answer, _SOME, 1)[0]
    os.kill(first, signal.SIGKILL)
    assert isolated(workspace, answer, _SOME, 2)[0] != first
    assert isolated(workspace, answer, _SOME, 3)[2] == 3


@pytest.mark.posix("signals")
def test_a_worker_that_is_stopped_before_it_reads_the_question_and_then_killed_costs_one_retry(
    workspace: Workspace,
) -> None:
    """The kill comes while the question is on its way, so that no look at the worker beforehand could tell."""
    first = isolated(workspace, answer, _SOME, 1)[0]
    os.kill(first, signal.SIGSTOP)
    killer = threading.Timer(0.5, os.kill, (first, signal.SIGKILL))
    killer.start()
    assert isolated(workspace, answer, _SOME, 2)[0] != first


@pytest.mark.posix("signals")
def test_a_worker_that_the_system_kills_at_work_is_not_called_the_file_s_damage(workspace: Workspace) -> None:
    pid = isolated(workspace, answer, _SOME, 1)[0]

    def kill_when_busy() -> None:
        _until(lambda: _is_busy(pid))
        time.sleep(0.2)
        os.kill(pid, signal.SIGKILL)

    killer = threading.Thread(target=kill_when_busy)
    killer.start()
    with pytest.raises(OverInputLimit, match=r"SIGKILL.*memory"):
        isolated(workspace, hang, _SOME)
    killer.join()


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system binds no process to processors")
def test_no_more_workers_stay_than_this_process_has_processors(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    from deadlines import at_once

    at_once([partial(isolated, workspace, nap, _SOME)] * 3)
    assert len(_idle_workers()) == 1
    assert Settings().worker_count == 1


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc to look for the worker")
def test_a_worker_without_work_ends(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    for pid in _idle_workers():
        os.kill(pid, signal.SIGKILL)
    monkeypatch.setattr("mmsprep.tools.workers._IDLE_S", 0.3)
    # Whatever is swept before this test's time is over is swept once more.
    theirs = _Workers()
    monkeypatch.setattr("mmsprep.tools.workers._WORKERS", theirs)
    pid = isolated(workspace, answer, _SOME, 1)[0]
    _until(lambda: _is_gone(pid))
    assert isolated(workspace, answer, _SOME, 2)[0] != pid
    # Nobody else would end it, and it counts in what all may hold together.
    theirs.close()


def _idle_workers() -> list[int]:
    """Processes that decode for this one."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            status = (entry / "stat").read_text().rpartition(")")[2].split()
            is_worker = b"decoder_child.py" in (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if is_worker and status[0] != "Z" and int(status[1]) == os.getpid():
            found.append(int(entry.name))
    return found


def test_a_hang_is_ended_by_the_clock(room: Callable[..., Workspace]) -> None:
    with pytest.raises(OverInputLimit, match="MMSPREP_DECODE_TIMEOUT_S"):
        isolated(room(decode_timeout_s=1.0), hang, _SOME)


@pytest.mark.posix("limits of a process")
def test_processor_time_is_limited(room: Callable[..., Workspace]) -> None:
    with pytest.raises(OverInputLimit, match="MMSPREP_MAX_CPU_S"):
        isolated(room(max_cpu_s=1.0), spin, _SOME)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux limits memory")
def test_memory_is_limited(workspace: Workspace) -> None:
    with pytest.raises(OverInputLimit, match="MMSPREP_MAX_MEMORY_BYTES"):
        isolated(workspace, gobble, _SOME, workspace.settings.max_memory_bytes)
    assert isolated(workspace, gobble, _SOME, 1000) == 1000


def test_a_worker_that_was_taken_over_can_only_send_values_of_the_promised_type(workspace: Workspace) -> None:
    with pytest.raises(Damaged, match="senseless"):
        isolated(workspace, lie, _SOME)


_FORGED = [
    b"",
    b"?",
    b"V",
    b"?\x05",
    b"V\xc1",
    b"V" + b"\x91" * 200_000 + b"\x00",
    b"V" + msgspec.msgpack.encode(-(1 << 63)) * 2,
    b"E" + b"\x81\xa1x" + b"\x91" * 200_000 + b"\x00",
    b"E" + wire.encode(wire.Failure("bug", ("a", "b"))),
    b"E" + wire.encode(wire.Failure("damaged", ())),
]


@pytest.mark.parametrize("reply", _FORGED)
def test_whatever_a_worker_that_was_taken_over_answers_is_an_error_about_its_file(
    workspace: Workspace, reply: bytes
) -> None:
    with pytest.raises(Damaged) as caught:
        isolated(workspace, forge, _SOME, reply)
    assert caught.value.name == "photo.jpg"
    assert str(caught.value)


@pytest.mark.parametrize(
    "reply",
    [
        *_FORGED,
        *(
            b"E" + wire.encode(wire.Failure(code, arguments))
            for code in ("bug", "several", "over_budget", "verify", "send_outcome_unknown", "no such", "error")
            for arguments in ((), ("a",), ("a", "b"), ("a", "b", "c"))
        ),
        *(b"E" + wire.encode(wire.Failure("damaged", arguments)) for arguments in ((), ("a",), ("a", "b", "c"))),
    ],
)
def test_whatever_reply_comes_is_believed_only_as_far_as_it_makes_sense(
    workspace: Workspace, reply: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every reply there may be, without a worker that has to be started anew for each."""
    monkeypatch.setattr(_Workers, "ask", lambda *_: reply)
    with pytest.raises(Damaged) as caught:
        isolated(workspace, forge, _SOME, reply)
    assert caught.value.name == "photo.jpg"
    assert str(caught.value)


def test_a_worker_that_was_taken_over_cannot_blame_another_file(workspace: Workspace) -> None:
    reply = b"E" + wire.encode(wire.Failure("empty", ("payroll.jpg", "is empty")))
    with pytest.raises(MmsprepError, match=r"^photo\.jpg: is empty"):
        isolated(workspace, forge, _SOME, reply)


@pytest.mark.parametrize("lie", ["width", "format", "nan"])
def test_facts_that_no_picture_has_are_damage(monkeypatch: pytest.MonkeyPatch, sample_media: Path, lie: str) -> None:
    monkeypatch.setattr("mmsprep.sniff.recognise.look", forged_facts)
    data = (sample_media / "formats/photo.jpg").read_bytes() + f" {lie}".encode()
    (report,) = inspect([("photo.jpg", data)])
    assert isinstance(report.error, Damaged)


@pytest.mark.parametrize(
    "forged",
    [
        ["RGB", 100, 100, b"too few"],
        ["RGB", -1, -1, b""],
        ["RGB", 1 << 40, 1 << 40, b""],
        ["code", 1, 1, b"x"],
        {"mode": "RGB", "width_px": 100, "height_px": 100, "data": b"x"},
        {"mode": "no mode", "width_px": 1, "height_px": 1, "data": b"x"},
        {"mode": "L", "width_px": 1 << 40, "height_px": 1 << 40, "data": b"x"},
    ],
)
def test_forged_pixels_are_refused(forged: object) -> None:
    with pytest.raises((msgspec.MsgspecError, ValueError, TypeError)):
        wire.decode(msgspec.msgpack.encode(forged), Image.Image)


def test_forged_facts_are_refused() -> None:
    with pytest.raises(msgspec.MsgspecError):
        wire.decode(msgspec.msgpack.encode({"format": "jpeg", "kind": "image", "width_px": "wide"}), MediaInfo)


def test_what_decoders_print_does_not_get_between_the_answers(workspace: Workspace) -> None:
    assert isolated(workspace, chatter, _SOME) == 7
    assert isolated(workspace, answer, _SOME, 4)[2] == 4


def test_threads_each_get_their_own_answer(workspace: Workspace) -> None:
    answers: dict[int, int] = {}

    def work(number: int) -> None:
        answers[number] = isolated(workspace, answer, _SOME, number)[2]

    from deadlines import at_once

    at_once([partial(work, number) for number in range(12)])
    assert answers == {number: number for number in range(12)}


def test_cancelled_work_is_not_waited_for() -> None:
    errors: list[MmsprepError] = []
    with Workspace(Settings()) as workspace:
        started = isolated(workspace, answer, _SOME, 1)[0]

        def work() -> None:
            try:
                isolated(workspace, hang, _SOME)
            except MmsprepError as error:
                errors.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        _until(lambda: _is_busy(started))
    thread.join(_DEADLINE_S)
    assert not thread.is_alive()
    assert isinstance(errors[0], ToolError)


def _is_busy(pid: int) -> bool:
    """Whether the worker has taken the question: it waits for none at its socket."""
    try:
        return b"unix_stream" not in Path(f"/proc/{pid}/wchan").read_bytes()
    except OSError:
        return True


_caged_files = pytest.mark.skipif(FILES not in defences(), reason="this system cannot keep a process from files")
_caged_network = pytest.mark.skipif(
    NETWORK not in defences(), reason="this system cannot keep a process from the network"
)
_caged_programs = pytest.mark.skipif(
    PROGRAMS not in defences(), reason="this system cannot keep a process from starting programs"
)


@_caged_files
def test_a_worker_reads_no_file(workspace: Workspace, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("canary")
    for path in (secret, Path("/etc/passwd"), Path(f"/proc/{os.getpid()}/environ")):
        with pytest.raises(Damaged, match="PermissionError"):
            isolated(workspace, read_file, _SOME, str(path))


@_caged_files
def test_a_worker_writes_no_file(workspace: Workspace, tmp_path: Path) -> None:
    with pytest.raises(Damaged, match="PermissionError"):
        isolated(workspace, write_file, _SOME, str(tmp_path / "new"))
    assert not (tmp_path / "new").exists()


@_caged_network
def test_a_worker_reaches_no_network(workspace: Workspace) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        with pytest.raises(Damaged, match="PermissionError"):
            isolated(workspace, connect, _SOME, server.getsockname()[1])
        with pytest.raises(BlockingIOError):
            server.accept()


@_caged_programs
def test_a_worker_starts_no_program_and_no_process(workspace: Workspace) -> None:
    for function in (start_a_program, become_a_program, split_in_two):
        with pytest.raises(Damaged, match="PermissionError"):
            isolated(workspace, function, _SOME)


@_caged_files
def test_a_caged_program_reads_and_writes_what_it_was_given_and_nothing_else(tmp_path: Path) -> None:
    given, room, secret = tmp_path / "given", tmp_path / "room", tmp_path / "secret"
    given.write_text("given")
    room.mkdir()
    secret.write_text("canary")
    cage = Cage(memory_bytes=10**9, cpu_s=20, file_bytes=10**6, reads=[given, sys.prefix], writes=[room])
    code = (
        f"open({str(room / 'out')!r}, 'w').write(open({str(given)!r}).read())\n"
        f"for path, mode in (({str(secret)!r}, 'r'), ({str(given)!r}, 'a'), ({str(tmp_path / 'out')!r}, 'w')):\n"
        "    try: open(path, mode)\n"
        "    except PermissionError: print('refused')\n"
    )
    with ProcessGroup(_DEADLINE_S) as group:
        done = group.run([sys.executable, "-I", "-c", code], cage=cage)
    assert done.stdout.split() == [b"refused"] * 3
    assert (room / "out").read_text() == "given"


def test_required_isolation_refuses_to_work_where_a_defence_is_missing(
    monkeypatch: pytest.MonkeyPatch, sample_media: Path
) -> None:
    """On a system without one (here: as if this were one), and where isolation is switched off, nothing is opened."""
    monkeypatch.setenv("MMSPREP_ISOLATE", "required")
    photo = sample_media / "formats/photo.jpg"
    if set(DEFENCES) <= set(defences()):
        assert prepare([photo]).parts
    monkeypatch.setattr("mmsprep.tools.defences.defences", lambda: (LIMITS, DEATH))
    with pytest.raises(SettingsError, match=r"lacks 4 of .*: files \(needs Linux 5.13.*MMSPREP_ISOLATE=1"):
        prepare([photo])
    monkeypatch.setattr("mmsprep.tools.defences.defences", lambda: DEFENCES)
    with pytest.raises(SettingsError, match="required and switched off"):
        prepare([photo], settings=Settings(isolate=False, require_isolation=True))


_INTRUSIONS = """
import ctypes, os, resource, signal, socket, sys
given, parent = sys.argv[1], os.getppid()
libc = ctypes.CDLL(None, use_errno=True)
def call(name, *arguments):
    if getattr(libc, name)(*arguments) < 0:
        raise OSError(ctypes.get_errno(), name)
for name, attempt in {
    "chmod": lambda: os.chmod(given, 0o777),
    "chown": lambda: os.chown(given, 0, 0),
    "utime": lambda: os.utime(given, (1, 1)),
    "setxattr": lambda: os.setxattr(given, "user.a", b"b"),
    "truncate": lambda: os.truncate(given, 0),
    "open to empty": lambda: os.open(given, os.O_RDONLY | os.O_TRUNC),
    "prlimit": lambda: resource.prlimit(parent, resource.RLIMIT_NOFILE),
    "setpriority": lambda: os.setpriority(os.PRIO_PROCESS, parent, 19),
    "setaffinity": lambda: os.sched_setaffinity(parent, {0}),
    "kill": lambda: os.kill(parent, 0),
    "shmget": lambda: call("shmget", 0, 4096, 0o1600),
    "msgget": lambda: call("msgget", 0, 0o1600),
    "semget": lambda: call("semget", 0, 1, 0o1600),
    "socket": lambda: socket.socket(),
    "sethostname": lambda: socket.sethostname("x"),
    "mount": lambda: call("mount", b"none", b"/mnt", b"tmpfs", 0, None),
    "unshare": lambda: call("unshare", 0x10000000),
    "setuid": lambda: os.setuid(0),
    "acct": lambda: call("acct", None),
    "ioctl": lambda: call("ioctl", 0, 0x5412, b"x"),
}.items():
    try:
        attempt()
        print(name)
    except OSError:
        pass
os.kill(os.getpid(), 0)
"""


@_caged_network
@pytest.mark.parametrize("reads", [[], None], ids=["its own files", "any file"])
def test_a_caged_program_changes_no_file_and_no_process_of_others(tmp_path: Path, reads: list[str] | None) -> None:
    """Mode, owner, dates, attributes and lengths of files, limits and priorities of processes, shared memory."""
    given = tmp_path / "given"
    given.write_text("given")
    allowed = [str(given), sys.prefix, sys.base_prefix, *sys.path] if reads is not None else None
    cage = Cage(memory_bytes=10**9, cpu_s=20, file_bytes=0, reads=allowed)
    before = given.stat()
    with ProcessGroup(_DEADLINE_S) as group:
        done = group.run([sys.executable, "-I", "-c", _INTRUSIONS, str(given)], cage=cage)
    assert done.stdout.decode().split("\n") == [""]
    after = given.stat()
    assert (after.st_mode, after.st_size, after.st_mtime_ns) == (before.st_mode, before.st_size, before.st_mtime_ns)


@_caged_network
def test_a_caged_program_of_an_administrators_has_no_capability_left() -> None:
    code = "print([line.split()[1] for line in open('/proc/self/status') if line.startswith(('CapEff', 'CapBnd'))])"
    cage = Cage(memory_bytes=10**9, cpu_s=20, file_bytes=0, reads=None)
    with ProcessGroup(_DEADLINE_S) as group:
        done = group.run([sys.executable, "-I", "-c", code], cage=cage)
    effective, bound = (int(held, 16) for held in ast.literal_eval(done.stdout.decode()))
    assert effective & ~(1 << 2) == 0  # at most that of reading what the account may read
    if os.getuid() == 0:  # nobody else may lower the bound, nor gain what it allows (PR_SET_NO_NEW_PRIVS)
        assert bound & ~(1 << 2) == 0


def test_a_child_knows_no_password_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MMSPREP_PASSWORD", "canary")
    with ProcessGroup(_DEADLINE_S) as group:
        done = group.run([sys.executable, "-c", "import os; print(dict(os.environ))"])
    assert b"canary" not in done.stdout


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


_SCRIPT = """
import os, sys
sys.path.insert(0, {tests!r})
from test_isolation import _SOME, answer, hang
from mmsprep.settings import Settings
from mmsprep.tools.isolation import isolated
from mmsprep.tools.untrusted import read_bytes
from mmsprep.tools.workspace import Workspace
with Workspace(Settings()) as workspace:
    print(isolated(workspace, answer, _SOME, 1)[0], flush=True)
    {rest}
"""


def _program(rest: str) -> subprocess.Popen[bytes]:
    script = _SCRIPT.format(tests=str(Path(__file__).parent), rest=rest)
    return subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc to look for the worker")
@pytest.mark.parametrize("rest", ["isolated(workspace, hang, _SOME)", "import time; time.sleep(600)"])
def test_no_worker_outlives_a_program_that_is_killed(rest: str) -> None:
    with _program(rest) as program:
        assert program.stdout is not None
        worker = int(program.stdout.readline())
        program.send_signal(signal.SIGKILL)
        program.wait(_DEADLINE_S)
        _until(lambda: _is_gone(worker))


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc to look for the worker")
def test_no_worker_outlives_a_program_that_ends() -> None:
    with _program("pass") as program:
        assert program.stdout is not None
        worker = int(program.stdout.readline())
        assert program.wait(_DEADLINE_S) == 0
        _until(lambda: _is_gone(worker))


def test_an_idle_worker_is_not_asked_for_what_was_shared_since(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    isolated(workspace, answer, _SOME, 1)
    hints = "from mmsprep.model import Attachment\n"
    (tmp_path / "shared_later.py").write_text(f"{hints}def seven(attachment: Attachment) -> int:\n    return 7\n")
    monkeypatch.syspath_prepend(tmp_path)
    share("shared_later")
    assert isolated(workspace, importlib.import_module("shared_later").seven, _SOME) == 7


@pytest.mark.posix("fork")
def test_a_forked_process_has_workers_of_its_own() -> None:
    rest = (
        "mine = isolated(workspace, answer, _SOME, 1)[0]\n"
        "    if os.fork() == 0:\n"
        "        theirs = isolated(workspace, answer, _SOME, 1)[0]\n"
        "        os._exit(0 if theirs != mine else 3)\n"
        "    assert os.waitpid(-1, 0)[1] == 0 and isolated(workspace, answer, _SOME, 1)[0] == mine"
    )
    with _program(rest) as program:
        program.communicate(timeout=_DEADLINE_S)
    assert program.returncode == 0


def test_a_program_without_a_main_guard_runs_once(tmp_path: Path, sample_media: Path) -> None:
    script = tmp_path / "program.py"
    script.write_text(
        "from mmsprep import inspect\nprint('started')\n"
        f"print(inspect([{str(sample_media / 'formats/photo.jpg')!r}])[0].info.format)\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["started", "jpeg"]


def test_what_is_no_answer_is_not_taken_for_one() -> None:
    """A worker that was taken over may send anything."""
    with pytest.raises(ValueError, match="a message of"):
        wire.receive(io.BytesIO(b"\xff" * 99))
    with pytest.raises(EOFError):
        wire.receive(io.BytesIO(b"\0\0"))
    with pytest.raises((msgspec.MsgspecError, ValueError, TypeError, NotImplementedError)):
        wire.decode(msgspec.msgpack.encode({"mode": "L"}), complex)
    with pytest.raises(NotImplementedError, match="a socket cannot be sent"), socket.socket() as one:
        wire.encode([one])


def test_without_workers_the_doctor_says_so_and_nothing_of_their_memory() -> None:
    told = {check.name: check for check in diagnose(Settings(isolate=False))}
    assert not told["isolation"].ok and "memory" not in " ".join(told["isolation"].found)


@pytest.mark.skipif(sys.platform != "linux" or platform.machine() != "x86_64", reason="takes calls of Linux's away")
@pytest.mark.parametrize(("plan", "expected"), [({"end": ["with-parent"]}, {DEATH}), ({}, set())])
def test_what_an_old_kernel_has_is_used(plan: dict[str, list[str]], expected: set[str]) -> None:
    """Without Landlock and seccomp the end with the parent is left, and nothing is said to hold that does not."""
    from lacking import take_away  # workers, which import this module, find nothing of the tests' but it

    ours, its = os.pipe()
    child = os.fork()
    if not child:
        take_away("landlock")
        take_away("seccomp")
        os.write(its, json.dumps(confine(plan)).encode())
        os._exit(0)
    os.close(its)
    with os.fdopen(ours) as told:
        held = set(json.loads(told.read()))
    assert os.waitpid(child, 0)[1] == 0
    assert held & {DEATH} == expected and not held & {FILES, NETWORK, PROGRAMS}
