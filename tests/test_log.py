"""The log: silent until it is asked for, then it tells what took how long, and never a secret or what anybody wrote."""

from __future__ import annotations

import base64
import json
import logging
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from sandbox_client import script_running

import mmsprep
from mmsprep.errors import AccountRefused, MmsprepError, SettingsError
from mmsprep.receive import Forwarder, create_app, open_store
from mmsprep.receive.serve import listen, make_server
from mmsprep.sandbox import Sandbox
from mmsprep.sandbox.push import HandsetMessage, Persistence, PushedFile, push
from mmsprep.sender import Account, Patience
from mmsprep.tools.confine import DEFENCES, lacking
from mmsprep.tools.defences import defences
from mmsprep.tools.log import log_to_stderr

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def photo(sample_media: Path) -> Path:
    return sample_media / "formats/photo.jpg"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    def ran(*words: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("MMSPREP_")}
        return subprocess.run(
            [sys.executable, "-m", "mmsprep", *map(str, words)],
            env=environment | variables,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    return ran


@pytest.fixture
def heard() -> Iterator[list[str]]:
    """Every record of every logger there is, at the lowest level, as it is shown and as it is kept."""
    lines: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(f"{record.name} {record.getMessage()} {vars(record)}")

    root, keep = logging.getLogger(), Keep()
    before = root.level
    root.addHandler(keep)
    root.setLevel(logging.DEBUG)
    yield lines
    root.setLevel(before)
    root.removeHandler(keep)


def test_without_being_asked_nothing_is_logged(run: Run, photo: Path) -> None:
    done = run("inspect", photo)
    assert (done.returncode, done.stderr) == (0, "")
    code = f"import mmsprep; mmsprep.prepare({str(photo)!r}); mmsprep.tools.log.logging.getLogger('mmsprep').error('x')"
    silent = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, timeout=120)
    assert silent.stderr == b""


@pytest.mark.parametrize("words", [["-v", "prepare"], ["prepare", "-v"]])
def test_v_before_or_behind_the_command_tells_what_took_how_long(run: Run, photo: Path, words: list[str]) -> None:
    done = run(*words, photo, "--limit", "30k")
    assert done.returncode == 0
    for stage in ("look", "open", "encode", "check"):
        assert f"photo.jpg: {stage} took " in done.stderr
    assert "a worker's" not in done.stderr


def test_vv_tells_every_program_too(run: Run, sample_media: Path) -> None:
    told = run("prepare", "-vv", sample_media / "formats/clip.mp4", "--limit", "60k").stderr
    assert "ended with status 0" in told and "ffmpeg" in told
    assert "a worker's mmsprep.sniff" in told
    assert "-hide_banner" not in told and "libx264" not in told


def test_the_variable_names_a_level_a_form_or_both(run: Run, photo: Path) -> None:
    assert run("inspect", photo, MMSPREP_LOG="warning").stderr == ""
    lines = run("inspect", photo, MMSPREP_LOG="json,info").stderr.splitlines()
    (look,) = [told for line in lines if (told := json.loads(line)).get("stage")]
    assert (look["stage"], look["index"], look["outcome"]) == ("look", 0, "done")
    assert look["took_s"] > 0 and look["level"] == "info"
    wrong = run("inspect", photo, MMSPREP_LOG="loud")
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1)
    assert "'loud', expected a level" in wrong.stderr


def test_a_batchs_processes_log_as_it_does(run: Run, photo: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(photo.read_bytes())
    done = run("batch", folder, "out", "-v", "-j", "1")
    assert done.returncode == 0
    assert "a.jpg: look took" in done.stderr


def test_a_strangers_name_commands_no_terminal(run: Run, photo: Path, tmp_path: Path) -> None:
    name = "a\x1b[31m\n2026-01-01 error forged \u202egpj.jpg"
    (tmp_path / name).write_bytes(photo.read_bytes())
    told = run("inspect", "-vv", tmp_path / name).stderr
    assert "look took" in told
    assert not {"\x1b", "\u202e"} & set(told)
    assert not any(line.startswith("2026-01-01") for line in told.splitlines())


def test_a_host_program_gets_whole_sentences_and_their_values(photo: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "mmsprep")
    mmsprep.prepare(photo)
    (look,) = [one for one in caplog.records if "look took" in one.getMessage()]
    assert look.name == "mmsprep.pipeline.running"
    assert isinstance(look.args, dict) and look.args["stage"] == "look" and look.args["index"] == 0


def test_what_the_system_lacks_is_known_without_a_try() -> None:
    assert set(lacking()) == set(DEFENCES) - set(defences())


_WITHOUT = """
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
landlock, prctl = 444, {"x86_64": 157, "aarch64": 167}[os.uname().machine]
rules = b"".join(struct.pack("=HBBI", *rule) for rule in (
    (0x20, 0, 0, 0),                                   # the call's number
    (0x35, 0, 2, landlock), (0x35, 1, 0, landlock + 3), (0x06, 0, 0, 0x00050000 | 38),
    (0x15, 0, 3, prctl), (0x20, 0, 0, 16), (0x15, 0, 1, 22), (0x06, 0, 0, 0x00050000 | 22),
    (0x06, 0, 0, 0x7FFF0000),
))
kept = ctypes.create_string_buffer(rules, len(rules))
class Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, ctypes.byref(Program(len(rules) // 8, ctypes.addressof(kept))), 0, 0) == 0
"""
"""Has this process run as in a container that lets neither Landlock nor filters of system calls through."""


@pytest.mark.skipif(bool(lacking()), reason="a system that has all defences, to take some away")
def test_missing_defences_are_told_once_and_required_ones_refuse(photo: Path) -> None:
    code = (
        f"{_WITHOUT}\n"
        "import mmsprep\n"
        "from mmsprep.tools.log import log_to_stderr\n"
        "log_to_stderr()\n"
        "for _ in range(3):\n"
        f"    mmsprep.prepare({str(photo)!r})\n"
        "from mmsprep.cli import main\n"
        "os.environ['MMSPREP_ISOLATE'] = 'required'\n"
        f"sys.argv = ['mmsprep', 'inspect', {str(photo)!r}]\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    warning, refusal = done.stderr.splitlines()
    assert "this system lacks: files, network, programs" in warning and " warning " in warning
    assert "error: MMSPREP_ISOLATE=required, and this system lacks 3 of the 6 defences" in refusal
    assert all(f"{name} (needs Linux" in refusal for name in ("files", "network", "programs"))
    assert done.returncode == SettingsError.exit_status


SECRETS = {
    "password": "hunter2-of-the-account",
    "proxy": "hunter3-of-the-proxy",
    "address": "hunter4-in-an-address",
    "path": "a-path-that-nobody-guesses",
    "signature": base64.b64encode(b"hunter5 that signs what goes out").decode(),
    "argument": "hunter6-of-a-command",
    "text": "what Ann wrote to Bob",
    "subject": "Ann's surprise",
    "name": "Ann-and-Bob-privately.jpg",
    "number": "61409317436",
}


def _spellings(secret: str) -> set[str]:
    return {
        secret,
        base64.b64encode(secret.encode()).decode().rstrip("="),
        httpx.QueryParams({"a": secret}).__str__()[2:],
    }


@pytest.mark.parametrize("via", ["http", "mm7"])
def test_no_secret_and_nothing_anybody_wrote_is_in_the_log(
    heard: list[str], photo: Path, tmp_path: Path, via: str
) -> None:
    """At the lowest level, through every door, with what goes wrong there, and with what other libraries log."""
    secret = SECRETS
    account = Account("ann", secret["password"], url="http://127.0.0.1:9")
    message = mmsprep.prepare(
        [photo, ("note.txt", secret["text"].encode())], text=secret["text"], subject=secret["subject"]
    )
    with Sandbox() as gateway:
        wrong = Account("ann", secret["password"], url=gateway.url)
        with pytest.raises(AccountRefused):
            mmsprep.send(message, to=secret["number"], account=wrong, via=via)
        right = Account("sandbox", "sandbox", url=gateway.url)
        journal = tmp_path / "journal.sqlite"
        mmsprep.send(message, to=secret["number"], account=right, via=via, journal=journal)
        mmsprep.deliver(message, to=[secret["number"]], account=right, via=via, journal=journal)
    impatient = Patience(attempts=2, first_wait_s=0.01)
    for proxy in ("", f"http://ann:{secret['proxy']}@127.0.0.1:9"):
        hidden = Account("ann", secret["password"], url=account.url, proxy=proxy)
        with pytest.raises(MmsprepError):
            mmsprep.send(message, to=secret["number"], account=hidden, via=via, patience=impatient)
    _receive_and_forward(tmp_path)
    told = "\n".join(heard)
    assert "attempt 2 follows" in told and "a worker's" in told and "forwarded" in told
    found = {name for name, one in SECRETS.items() for spelling in _spellings(one) if spelling in told}
    assert not found


def _receive_and_forward(folder: Path) -> None:
    """One message pushed to the receiver, forwarded to a URL and to a command, and a push that is not answered."""
    from threading import Thread

    secret = SECRETS
    form = {"id": "1", "from": secret["number"], "subject": secret["subject"], "message": secret["text"]}
    form |= {"attachment0": base64.b64encode(b"\xff\xd8\xff" * 40).decode(), "content_name0": secret["name"]}
    with open_store(folder / "inbox") as store, listen("127.0.0.1", 0) as listener:
        server = make_server(create_app(store, secret=f"/{secret['path']}"))
        thread = Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            port = listener.getsockname()[1]
            incoming = HandsetMessage(
                sender=secret["number"],
                id="2",
                subject=secret["subject"],
                message=secret["text"],
                files=(PushedFile(secret["name"], "image/jpeg", b"\xff\xd8\xff" * 40),),
            )
            url = f"http://ann:{secret['address']}@127.0.0.1:{port}/{secret['path']}"
            assert push(incoming, url).ok
            assert not push(incoming, f"{url}/wrong", persistence=Persistence(attempts=2, first_pause_s=0.01)).ok
        finally:
            server.should_exit = True
            thread.join(60)
        with script_running() as script:
            target = f"http://ann:{secret['address']}@{script.url.removeprefix('http://')}?key={secret['address']}"
            script.answers = [(500, "no"), (200, "OK")]
            try:
                Forwarder(store, target, secret=f"whsec_{secret['signature']}").once()
            except MmsprepError:
                pytest.fail("the store works")
        from mmsprep.receive.queue import revive

        revive(store, store.messages())
        command = shlex.join([sys.executable, "-c", "import sys; sys.exit(len(sys.argv) - 3)", secret["argument"]])
        Forwarder(store, command).once()


def test_a_wrong_word_names_all_that_are_right() -> None:
    with pytest.raises(MmsprepError, match=r"debug, info, warning, error, off\), a form \(json or text\)"):
        log_to_stderr("debug,xml", environment={})


def test_the_steps_of_a_clip_are_told_to_whoever_debugs(
    make: Callable[[str, str], bytes], caplog: pytest.LogCaptureFixture
) -> None:
    data = make("-f lavfi -i testsrc2=size=160x120:rate=15 -t 1 -c:v libx264 -pix_fmt yuv420p", "mp4")
    with caplog.at_level(logging.DEBUG, "mmsprep.transcode"):
        mmsprep.prepare([("clip.mp4", data)], limit_bytes=60_000)
    steps = [one.args["step"] for one in caplog.records if isinstance(one.args, dict) and "step" in one.args]
    assert steps[0] == "decode" and {"second pass", "VMAF"} <= {*steps}
