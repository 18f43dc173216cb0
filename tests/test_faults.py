"""When the machine fails: a clean error, nothing half written, nobody left running, originals as they were."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import marshal
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fuzz.machine import ADDRESS_SPACE_BYTES, kill_idle_children, python_that_refuses_limits

from mmsprep import Settings, prepare, read_message
from mmsprep.errors import Damaged, OutputError, ToolError, ToolMissing, VerifyError
from mmsprep.tools import confine, ffmpeg

pytestmark = pytest.mark.posix("signals, limits and shell scripts")

_DEADLINE_S = 90.0
_PYC_HEADER_BYTES = 16
_ME = f"MMSPREP_TEST_{os.getpid()}"


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Path]:
    """A folder with ``in``, ``tmp`` and room for output; after the test no temporary file may be in ``tmp``."""
    (tmp_path / "tmp").mkdir()
    (tmp_path / "in").mkdir()
    yield tmp_path
    assert not list((tmp_path / "tmp").iterdir())


@pytest.fixture
def photo(room: Path, sample_media: Path) -> Iterator[Path]:
    """An original that must not change."""
    yield from _original(room, sample_media / "formats/photo.bmp")


@pytest.fixture
def song(room: Path, sample_media: Path) -> Iterator[Path]:
    yield from _original(room, sample_media / "formats/song.ogg")


@pytest.fixture(scope="module")
def long_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip that keeps ffmpeg busy for many seconds."""
    path = tmp_path_factory.mktemp("clip") / "long.mp4"
    source = ["-f", "lavfi", "-i", "testsrc2=s=1280x720:r=30:d=30", "-pix_fmt", "yuv420p"]
    command = [ffmpeg.executable(Settings()), "-v", "error", *source, "-preset", "ultrafast", str(path)]
    subprocess.run(command, check=True)
    return path


def _original(room: Path, sample: Path) -> Iterator[Path]:
    path = room / "in" / sample.name
    shutil.copy(sample, path)
    before = hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns
    yield path
    assert (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns) == before


def _start(
    room: Path, *arguments: str | Path, temporary: Path | None = None, file_bytes: int = 0
) -> subprocess.Popen[str]:
    """Start the program with its temporary files in ``room``; ``file_bytes`` is the largest file it may write."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MMSPREP_")}
    limit = f"import resource as r; r.setrlimit(r.RLIMIT_FSIZE, ({file_bytes}, {file_bytes}))\n" if file_bytes else ""
    code = f"{limit}from mmsprep.cli import main; main()"
    if file_bytes:
        environment.pop("COVERAGE_PROCESS_CONFIG", None)  # nor could what counts coverage write its file
        environment["PYTHONDONTWRITEBYTECODE"] = "1"  # Python 3.11 keeps modules whose compiled form was cut off there
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment | {"TMPDIR": str(temporary or room / "tmp"), "HOME": _ME},
    )


def _run(
    room: Path, *arguments: str | Path, temporary: Path | None = None, file_bytes: int = 0
) -> tuple[int, str, str]:
    with _start(room, *arguments, temporary=temporary, file_bytes=file_bytes) as program:
        out, complaints = program.communicate(timeout=_DEADLINE_S)
    assert "Traceback" not in complaints
    return program.returncode, out, complaints


def _children() -> list[str]:
    """Command lines of what was started by a program of this test and still runs (HOME tells)."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if f"HOME={_ME}".encode() in (entry / "environ").read_bytes():
                state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
                if state != "Z":
                    found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_disk_that_fills_up_while_writing_leaves_nothing(room: Path, photo: Path) -> None:
    """A limit on the size of files fails a write half way, as a full disk does."""
    compiled = Path(importlib.util.cache_from_source(confine.__file__))
    compiled.unlink(missing_ok=True)
    status, _, complaints = _run(room, "prepare", photo, "-o", room / "out", file_bytes=20_000)
    assert status == OutputError.exit_status
    assert "cannot be written" in complaints
    assert not list((room / "out").iterdir())
    assert not compiled.exists() or marshal.loads(compiled.read_bytes()[_PYC_HEADER_BYTES:])


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 200 kB, where the tests may mount one."""
    place = tmp_path / "tiny"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(place)]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        pytest.skip("no file system can be mounted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_leaves_nothing(room: Path, tiny_disk: Path, sample_media: Path) -> None:
    status, _, complaints = _run(
        room, "prepare", sample_media / "message" / "IMG_20260613_101502.jpg", "-o", tiny_disk / "out"
    )
    assert status == OutputError.exit_status
    assert "No space left" in complaints
    assert not list((tiny_disk / "out").iterdir())


@pytest.mark.parametrize("sample", ["formats/song.ogg", "formats/camera.avi", "message/IMG_0415.MOV"])
def test_a_full_temporary_folder_is_said(room: Path, tiny_disk: Path, sample_media: Path, sample: str) -> None:
    (tiny_disk / "filler").write_bytes(bytes(190_000))
    status, _, complaints = _run(room, "prepare", sample_media / sample, "-o", room / "out", temporary=tiny_disk)
    assert status == OutputError.exit_status
    assert "temporary folder" in complaints
    assert "TMPDIR" in complaints
    assert not (room / "out").exists()
    assert [path.name for path in tiny_disk.iterdir()] == ["filler"]


def test_an_output_folder_that_cannot_be_made_is_named(room: Path, photo: Path) -> None:
    (room / "file").write_text("not a folder")
    status, _, complaints = _run(room, "prepare", photo, "-o", room / "file" / "out")
    assert status == OutputError.exit_status
    assert f"{room / 'file' / 'out'}: cannot be written" in complaints


@pytest.mark.skipif(os.geteuid() == 0 if hasattr(os, "geteuid") else True, reason="root may write anywhere")
def test_a_read_only_output_folder_is_named(room: Path, photo: Path) -> None:
    out = room / "out"
    out.mkdir(mode=0o500)
    status, _, complaints = _run(room, "prepare", photo, "-o", out)
    assert status == OutputError.exit_status
    assert "Permission denied" in complaints
    assert not list(out.iterdir())


def test_a_standard_output_that_is_full_is_an_error_without_a_traceback(room: Path, photo: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    command = [sys.executable, "-m", "mmsprep", "inspect", "--json", str(photo)]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == OutputError.exit_status
    assert "standard output" in done.stderr
    assert "Traceback" not in done.stderr


def _script(room: Path, body: str) -> Path:
    """A program that stands in for ffmpeg; ``$FFMPEG`` is the real one."""
    path = room / "ffmpeg.sh"
    path.write_text(f'#!/bin/sh\nFFMPEG="{ffmpeg.executable(Settings())}"\n{body}\n')
    path.chmod(0o755)
    return path


def test_an_ffmpeg_that_is_killed_is_told_as_such(room: Path, song: Path) -> None:
    settings = Settings(ffmpeg=str(_script(room, "kill -9 $$")))
    with pytest.raises((ToolError, Damaged), match="SIGKILL"):
        prepare([song], settings=settings)


def test_an_ffmpeg_without_an_encoder_is_told_as_such_with_advice(room: Path, song: Path) -> None:
    script = _script(
        room,
        'first=1\nfor word in "$@"; do\n  [ $first = 1 ] && set -- && first=0\n'
        '  case "$word" in libmp3lame|libopencore_amrnb|adpcm_ima_wav) word=libnothing;; esac\n'
        '  set -- "$@" "$word"\ndone\nexec "$FFMPEG" "$@"',
    )
    with pytest.raises(ToolMissing, match=r"lacks an encoder.*MMSPREP_FFMPEG"):
        prepare([song], settings=Settings(ffmpeg=str(script)))


@pytest.mark.parametrize("damage", ["head -c 700", "tr '\\000-\\377' 'x'", "cat >/dev/null"])
def test_an_ffmpeg_that_writes_a_broken_file_and_says_nothing_is_caught(room: Path, song: Path, damage: str) -> None:
    """What is encoded is read back by others; only encodes are damaged here, the decoder is sound."""
    encodes = 'case "$*" in *"-f mp3 pipe:1"*|*"-f amr pipe:1"*|*libmp3lame*|*libopencore_amrnb*)'
    script = _script(room, f'{encodes} "$FFMPEG" "$@" | {damage};; *) exec "$FFMPEG" "$@";; esac')
    with pytest.raises((VerifyError, ToolError)) as caught:
        prepare([song], settings=Settings(ffmpeg=str(script)))
    assert caught.value.exit_status in (VerifyError.exit_status, ToolError.exit_status)


def test_an_ffmpeg_that_is_no_program_is_a_missing_tool(room: Path, song: Path) -> None:
    path = room / "ffmpeg"
    path.write_bytes(b"\x7fELF nonsense")
    path.chmod(0o755)
    with pytest.raises(ToolMissing, match="cannot be started"):
        prepare([song], settings=Settings(ffmpeg=str(path)))


_needs_proc = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc to look for children")


_STREAMS = ("song.ogg", "note.amr", "clip.mp4", "photo.bmp", "animated.webp")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems do not hold RLIMIT_AS")
@pytest.mark.parametrize("sample", _STREAMS)
def test_everything_is_prepared_where_address_space_is_limited(room: Path, sample_media: Path, sample: str) -> None:
    """``ulimit -v``, as shared hosts and clusters have it; it cannot be raised again, nor set to more."""
    held = f"import resource as r; r.setrlimit(r.RLIMIT_AS, ({ADDRESS_SPACE_BYTES}, {ADDRESS_SPACE_BYTES}))\n"
    code = f"{held}from mmsprep.cli import main; main()"
    command = [sys.executable, "-c", code, "prepare", str(sample_media / "formats" / sample), "-o", str(room / "out")]
    environment = os.environ | {"TMPDIR": str(room / "tmp")}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=_DEADLINE_S, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("refused", ["RLIMIT_AS", "all"])
@pytest.mark.parametrize("sample", _STREAMS)
def test_everything_is_prepared_where_a_limit_cannot_be_set(
    room: Path, sample_media: Path, monkeypatch: pytest.MonkeyPatch, sample: str, refused: str
) -> None:
    """macOS answers a limit on address space with EINVAL, which Python makes a ValueError."""
    python = python_that_refuses_limits(room, all_of_them=refused == "all")
    monkeypatch.setattr(sys, "executable", str(python))
    # Workers that were started without the fault would hide it; none has these limits.
    settings = Settings(max_memory_bytes=3_500_000_000 + len(refused))
    assert prepare([sample_media / "formats" / sample], settings=settings).parts


@_needs_proc
def test_idle_children_that_are_killed_between_two_messages_are_not_missed(sample_media: Path) -> None:
    """The system ends whatever it likes where memory runs out; the next file is healthy."""
    sources = [sample_media / "formats" / name for name in ("photo.bmp", "song.ogg")]
    before = [part.data for part in prepare(sources).parts]
    assert kill_idle_children()
    assert [part.data for part in prepare(sources).parts] == before


@_needs_proc
@pytest.mark.parametrize(("number", "status"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_signal_ends_everything_and_leaves_nothing(room: Path, long_clip: Path, number: str, status: int) -> None:
    with _start(room, "prepare", "--trim", long_clip, "-o", room / "out") as program:
        _until(lambda: any("-i file:" in line for line in _children()) or program.poll() is not None)
        program.send_signal(signal.Signals[number])
        _, complaints = program.communicate(timeout=_DEADLINE_S)
    assert program.returncode == status
    assert "interrupted; nothing was written" in complaints
    assert "Traceback" not in complaints
    assert not (room / "out").exists()
    _until(lambda: not _children())


@_needs_proc
def test_no_child_outlives_a_run_that_is_killed(tmp_path: Path, long_clip: Path) -> None:
    (tmp_path / "tmp").mkdir()
    with _start(tmp_path, "prepare", "--trim", long_clip, "-o", tmp_path / "out") as program:
        _until(lambda: any("-i file:" in line for line in _children()) or program.poll() is not None)
        program.kill()
        program.wait(_DEADLINE_S)
        _until(lambda: not _children())
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("force", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_runs_on_one_output_folder_leave_one_whole_message(room: Path, sample_media: Path, force: bool) -> None:
    """Each replaces the one before it, or all but the first are refused."""
    samples = ["photo.bmp", "pages.tif", "screenshot.png", "palette.bmp"]
    more = ["--force"] if force else []
    paths = [sample_media / "formats" / one for one in samples]
    programs = [_start(room, "prepare", path, "-o", room / "out", *more) for path in paths]
    statuses = []
    for program in programs:
        with program:
            program.communicate(timeout=_DEADLINE_S)
        statuses.append(program.returncode)
    assert sorted(statuses) == ([0, 0, 0, 0] if force else [0, 8, 8, 8])
    message = read_message(room / "out")
    names = {path.name for path in (room / "out").iterdir()}
    assert names == {part.name for part in message.parts} | {"message.json"}
    assert json.loads((room / "out/message.json").read_text())["parts"]
