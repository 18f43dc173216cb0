"""Text of strangers on its way out: through every command and every field, harmless and still readable."""

from __future__ import annotations

import base64
import json
import logging
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import httpx
import pytest
from deadlines import program
from forked import Forked
from grain import grain
from hypothesis import given
from hypothesis import strategies as st
from loopback import answers, gateway, http
from PIL import ImageCms

from mmsprep import prepare
from mmsprep.cli.console import PlainConsole
from mmsprep.errors import BelowFloor, MmsprepError, NotFound, SeveralErrors
from mmsprep.printable import json_text, printable
from mmsprep.profile import profile_folder

FAMILY, PERSIAN, ARABIC, FLAG = "👩‍👩‍👧‍👦", "می‌خواهم", "مرحبا", "🇩🇪"
SCOTLAND = "🏴" + "".join(chr(0xE0000 + ord(letter)) for letter in "gbsct") + "\U000e007f"
READABLE = f"{FAMILY} {PERSIAN} {ARABIC}"
BAD = "\x1b]0;p\x07\x1b[666m\x9b\u202e\u2066\u2028\u200b\ufeff\U000e0041\r\nerror: forged [bold]b[/bold]"
HOSTILE = READABLE + " " + BAD
_RAW = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\u200b\ufeff\U000e0000-\U000e007f\ud800-\udfff]"
)
_TERMINAL = re.compile(r"\x1b\[(?!666)[0-9;?]*[A-Za-z]|\r")
"""What rich writes on a terminal: styles, cursor moves, line ends."""


def check(output: bytes, *expected: str, terminal: bool = False, page: bool = False) -> str:
    """Nothing raw in what was written, no line forged (a page has no lines), and what is expected can be read."""
    text = output.decode("utf-8")
    text = _TERMINAL.sub("", text) if terminal else text
    assert not (found := _RAW.search(text)), (found, text)
    assert page or not re.search("^error: forged", text, re.M), text
    assert "Traceback" not in text
    for word in expected:
        assert word in text, text
    return text


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SMSGLOBAL", "MMSPREP"))}
    return kept | {
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "SMSGLOBAL_USERNAME": "ann",
        "SMSGLOBAL_PASSWORD": "s3cret-pass-w0rd",
        "PYTHONPATH": os.pathsep.join(sys.path),
        "PYTHONIOENCODING": "utf-8",
        "COLUMNS": "300",
    }


Run = Callable[..., subprocess.CompletedProcess[bytes]]


@pytest.fixture
def run(environment: dict[str, str], tmp_path: Path, forked: Forked | None) -> Run:
    """Run the command in a process of its own, with the strangers' files in its folder; started afresh where Python's
    own variables are given."""

    def ran(*arguments: str | bytes | Path, **variables: str) -> subprocess.CompletedProcess[bytes]:
        words = [*map(os.fsdecode, arguments)]
        if forked and not any(name.startswith(("PYTHON", "LC_")) for name in variables):
            return forked.run(words, environment=environment | variables, folder=tmp_path)
        return subprocess.run(
            [sys.executable, "-m", "mmsprep", *words],
            capture_output=True,
            check=False,
            timeout=300,
            stdin=subprocess.DEVNULL,
            env=environment | variables,
            cwd=tmp_path,
        )

    return ran


def _jpeg(size_px: int = 64, **options: object) -> bytes:
    data = BytesIO()
    grain((size_px, size_px), 40).convert("RGB").save(data, "JPEG", **options)
    return data.getvalue()


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / f"{HOSTILE.replace('/', '')}.jpg"
    path.write_bytes(_jpeg())
    return path


@pytest.fixture
def undecodable(tmp_path: Path) -> Path:
    """A photo whose name is no text: a byte of Latin-1, and one that terminals of eight bits take for an escape."""
    path = tmp_path / os.fsdecode(b"caf\xe9\x9b31m.jpg")
    try:
        path.write_bytes(_jpeg(72))
    except (OSError, UnicodeError):
        pytest.skip("names are text in this file system")
    return path


@given(st.text(max_size=60), st.booleans())
def test_whatever_is_shown_is_harmless_and_no_longer(text: str, lines: bool) -> None:
    shown = printable(text, lines=lines)
    assert not _RAW.search(shown.replace("\t", "") if lines else shown)
    assert ("\n" in shown) <= lines
    assert len(shown) <= len(text)
    assert printable(shown, lines=lines) == shown
    shown.encode()


@pytest.mark.parametrize(
    "text",
    [FAMILY, PERSIAN, ARABIC, FLAG, SCOTLAND, "שלום", "हिन्दी क्‍ष", "Zoë, e\u0301", "❤️ 1️⃣", "日本語 葛󠄀", "ᠠ᠋", "\u0600١"],
)
def test_letters_emoji_and_flags_are_left_alone(text: str) -> None:
    assert printable(text) == text
    assert json_text(text) == f'"{text}"'


def test_what_was_there_can_still_be_seen() -> None:
    assert printable("a\x1b[1mb\x07\nc\x7f\u202ed\udce9") == "a␛[1mb␇␊c␡\ufffdd\ufffd"
    assert printable("one\r\ntwo\tthree\rfour", lines=True) == "one\ntwo\tthree␍four"
    assert printable("x" * 50, most=10) == "x" * 9 + "…"
    assert "\ufffd" in printable("🏴\U000e0067\U000e0062\U000e007f")


@given(st.recursive(st.text(alphabet=st.characters(), max_size=20), lambda inner: st.lists(inner, max_size=3)))
def test_json_reads_back_exactly_and_is_harmless(value: object) -> None:
    for ascii_only in (False, True):
        for indent in (None, 2):
            text = json_text(value, indent=indent, ascii_only=ascii_only)
            assert not _RAW.search(text)
            assert json.loads(text.encode()) == value
            assert not ascii_only or text.isascii()


def test_an_error_keeps_the_exact_name_and_says_which_lines_are_its_own() -> None:
    error = NotFound("a\nerror: b", "there is no such file")
    assert error.name == "a\nerror: b"
    assert len(error.lines) == 1
    assert len(SeveralErrors((error, error)).lines) == 2
    below = BelowFloor("it does not fit", 2, 1, ("a\nb: needs much",))
    assert below.lines == ("it does not fit", "  a\nb: needs much")
    assert MmsprepError("x").lines == ("x",)


def test_the_console_takes_no_markup_and_lets_nothing_raw_through(capsys: pytest.CaptureFixture[str]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table("name", "more")
    table.add_row(HOSTILE, Text(HOSTILE, style="bold"))
    console = PlainConsole(stderr=False)
    console.width = 300
    console.print(HOSTILE)
    console.print(table)
    text = check(capsys.readouterr().out.encode(), FAMILY, PERSIAN, "[bold]b[/bold]")
    assert len({len(line) for line in text.splitlines()[1:3]}) == 1


def test_inspect_and_prepare(run: Run, photo: Path, undecodable: Path, tmp_path: Path) -> None:
    names = (photo.name, undecodable.name)
    done = run("inspect", *names)
    assert done.returncode == 0, done.stderr
    check(done.stdout, FAMILY, PERSIAN, ARABIC, "[bold]b[bold]", "caf\ufffd\ufffd31m.jpg")
    done = run("inspect", *names, "--json")
    check(done.stdout, READABLE)
    assert [one["path"] for one in json.loads(done.stdout)["files"]] == list(names)
    done = run("prepare", *names, photo.name, "-s", HOSTILE, "-m", HOSTILE, "-o", "out" + HOSTILE)
    assert done.returncode == 0, done.stderr
    check(done.stderr, FAMILY, "written to out", "note: ")
    done = run("prepare", *names, "--json", "-o", "other", "-m", HOSTILE)
    check(done.stdout, READABLE)
    report = json.loads(done.stdout)
    assert [part["source"]["path"] for part in report["parts"]][-2:] == list(names)
    check((tmp_path / "other/message.json").read_bytes(), READABLE)
    assert json.loads((tmp_path / "other/message.json").read_text("utf-8")) == report


def test_errors_of_every_kind(run: Run, photo: Path, undecodable: Path, tmp_path: Path) -> None:
    document = tmp_path / f"{HOSTILE.replace('/', '')}.pdf"
    document.write_bytes(b"%PDF-1.4\n")
    damaged = tmp_path / os.fsdecode(b"\xff" + os.fsencode(photo.name))
    damaged.write_bytes(_jpeg(200)[:1500])
    for status, *arguments in (
        (3, "prepare", HOSTILE),
        (4, "prepare", document.name),
        (3, "prepare", damaged.name),
        (4, "prepare", document.name, HOSTILE),
        (5, "prepare", photo.name, undecodable.name, "--limit", "1500"),
        (6, "prepare", photo.name, "--profile", HOSTILE),
        (2, "prepare", photo.name, "--limit", HOSTILE),
        (2, "prepare", photo.name, "--priority", HOSTILE),
        (3, "prepare", "--message-file", HOSTILE),
        (2, "prepare", photo.name, "--" + HOSTILE),
        (2, "prepare", photo.name, "--on-error", HOSTILE),
        (2, HOSTILE),
        (2, "status", HOSTILE),
        (6, "profiles", "show", HOSTILE),
        (3, "send", "--to", "61400000001", "--yes", HOSTILE),
        (2, "send", "--to", HOSTILE, "--yes", photo.name),
        (2, "sandbox", "--port", "0", "--fault", HOSTILE),
        (2, "sandbox", "push", HOSTILE),
        (3, "inbox", "--store", HOSTILE, "show", HOSTILE),
        (2, "receive", "--port", "0", "--allow", HOSTILE),
        (2, "receive", "--secret-file", HOSTILE),
        (3, "batch", HOSTILE, "out"),
    ):
        done = run(*map(str, arguments))
        assert done.returncode in ({status} if status != 4 else {3, 4}), (arguments[:2], done.stderr)
        check(done.stdout)
        assert check(done.stderr).startswith("error: "), arguments[:2]


def test_what_a_file_says_of_itself(run: Run, tmp_path: Path) -> None:
    """The description in a colour profile, at the same length as the true one."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    forged = profile.replace("sRGB".encode("utf-16-be"), "\x1b]0\x07".encode("utf-16-be"))
    forged = forged.replace(b"sRGB built-in", b"\x1b]0;p\x07ilt-in")
    assert forged != profile
    (tmp_path / "profile.jpg").write_bytes(_jpeg(icc_profile=forged))
    for command in (["inspect", "profile.jpg"], ["prepare", "profile.jpg", "-o", "out"]):
        done = run(*command)
        assert done.returncode == 0, done.stderr
        check(done.stdout)
        check(done.stderr)
    assert "\x1b" in json.loads(run("inspect", "profile.jpg", "--json").stdout)["files"][0]["source"]["icc_profile"]


def test_a_profile_of_a_stranger(run: Run, tmp_path: Path) -> None:
    text = (profile_folder() / "smsglobal.toml").read_text("utf-8")
    title = json.dumps(HOSTILE, ensure_ascii=True).encode().decode("ascii")
    title = re.sub(r"\\ud83d\\ud[c-f][0-9a-f]{2}|\\udb40\\ud[c-f][0-9a-f]{2}", "", title)
    changed = re.sub(r"^title = .*$", lambda _: f"title = {title}", text, count=1, flags=re.M)
    assert changed != text
    (tmp_path / "own.toml").write_text(changed, "utf-8")
    done = run("profiles", "show", "./own.toml")
    assert done.returncode == 0, done.stderr
    check(done.stdout, PERSIAN, ARABIC)


@pytest.mark.posix("shell scripts")
def test_an_ffmpeg_of_a_stranger(run: Run, tmp_path: Path) -> None:
    program = tmp_path / "ffmpeg"
    program.write_text(f"#!/bin/sh\nprintf '%s\\n' 'ffmpeg version {BAD}'\n", "utf-8")
    program.chmod(0o755)
    for arguments in (["doctor"], ["doctor", "--json"]):
        done = run(*arguments, MMSPREP_FFMPEG=str(program))
        check(done.stdout)
        check(done.stderr)
    done = run("doctor", MMSPREP_FFMPEG=HOSTILE)
    check(done.stdout, PERSIAN)


@pytest.mark.posix("signals")
def test_batch_and_watch(run: Run, environment: dict[str, str], photo: Path, undecodable: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    photo.rename(folder / photo.name)
    undecodable.rename(folder / undecodable.name)
    (folder / f"{HOSTILE.replace('/', '')}.pdf").write_bytes(b"%PDF-1.4\n")
    done = run("batch", "in", "out" + HOSTILE, "--report", "report.jsonl")
    assert done.returncode == 10, done.stderr
    check(done.stderr, PERSIAN, "failed: ")
    check((tmp_path / "report.jsonl").read_bytes(), PERSIAN)
    done = run("batch", "in", "again", "--json")
    check(done.stdout, PERSIAN)
    assert len(done.stdout.splitlines()) == 3
    manifest = tmp_path / "rows.csv"
    manifest.write_text(f'id,files,text\n"{HOSTILE}","{HOSTILE}","{HOSTILE}"\n', "utf-8")
    done = run("batch", "in", "rows", "--each", "rows.csv")
    assert done.returncode in (3, 10), done.stderr
    check(done.stderr)
    command = [sys.executable, "-m", "mmsprep", "watch", "in", "watched", "--settle", "0.1"]
    with program(command, stderr=subprocess.PIPE, env=environment, cwd=tmp_path) as process:
        assert process.stderr is not None
        lines = [process.stderr.readline() for _ in range(4)]
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
    check(b"".join(lines) + rest, PERSIAN, "failed: ")


def test_send_and_what_a_gateway_answers(run: Run, photo: Path) -> None:
    arguments = ("send", "--to", "61400000001", "--yes", photo.name, "-s", HOSTILE, "-m", HOSTILE, "--gateway")
    for reply in (f"FAILURE: {HOSTILE}", f"Success. ID = {HOSTILE}", HOSTILE):
        with gateway(answers(http(reply))) as this:
            done = run(*arguments, this.url)
        assert done.returncode in (9, 12), done.stderr
        check(done.stdout)
        check(done.stderr, FAMILY, f"subject: {READABLE}", f"text: {READABLE}")
        with gateway(answers(http(reply))) as this:
            done = run(*arguments, this.url, "--json")
        check(done.stdout, READABLE)
        check(done.stderr)
        assert json.loads(done.stdout)["recipients"][0]["raw_reply"]


@pytest.mark.posix("signals")
def test_what_was_pushed(run: Run, environment: dict[str, str], tmp_path: Path) -> None:
    """The receiver's log, the inbox's list, one message, its export."""
    command = [sys.executable, "-m", "mmsprep", "receive", "--port", "0", "--store", "inbox", "--forward", "false"]
    form = {"id": HOSTILE, "from": HOSTILE, "subject": HOSTILE, "message": HOSTILE, HOSTILE: HOSTILE}
    form |= {"attachment0": base64.b64encode(_jpeg()).decode(), "content_name0": HOSTILE, "content_type0": HOSTILE}
    with program(command, stderr=subprocess.PIPE, env=environment, cwd=tmp_path) as process:
        assert process.stderr is not None
        first = process.stderr.readline()
        address = re.search(rb"http://[0-9.:]+", first)
        assert address, first
        with httpx.Client(trust_env=False, timeout=60) as client:
            stored = client.post(address[0].decode(), data=form)
            client.post(address[0].decode(), content=HOSTILE.encode(), headers={"Content-Type": "text/xml"})
        process.send_signal(signal.SIGINT)
        log = process.stderr.read()
    assert stored.text == "OK"
    check(first + log)
    done = run("inbox", "--store", "inbox")
    assert done.returncode == 0, done.stderr
    check(done.stdout, FAMILY, PERSIAN)
    key = json.loads(run("inbox", "list", "--store", "inbox", "--json").stdout)["messages"][0]["key"]
    done = run("inbox", "show", key, "--store", "inbox")
    check(done.stdout, READABLE)
    done = run("inbox", "show", key, "--store", "inbox", "--json")
    check(done.stdout, READABLE)
    assert json.loads(done.stdout)["text"].startswith(READABLE)
    done = run("inbox", "export", key, "out" + HOSTILE, "--store", "inbox")
    assert done.returncode == 0, done.stderr
    check(done.stdout, PERSIAN)
    done = run("inbox", "export", key, "plain", "--store", "inbox")
    check((tmp_path / "plain/message.json").read_bytes(), READABLE)
    done = run("inbox", "forward", f"echo '{BAD}'; false #", "--store", "inbox")
    check(done.stderr)


def test_the_sandbox(run: Run, photo: Path) -> None:
    from mmsprep.sandbox import Sandbox

    with gateway(answers(http(HOSTILE))) as script:
        done = run("sandbox", "push", script.url, photo.name, "--from", HOSTILE, "--id", HOSTILE, "--attempts", "1")
        assert done.returncode == 11, done.stderr
        check(done.stderr, PERSIAN)
        done = run("sandbox", "push", script.url, photo.name, "--attempts", "1", "--json")
        check(done.stdout, PERSIAN)
    with Sandbox() as running:
        done = run("send", "--to", "61400000001", "-y", photo.name, "-s", HOSTILE, "-m", HOSTILE,
                   "--gateway", running.url, SMSGLOBAL_USERNAME="sandbox", SMSGLOBAL_PASSWORD="sandbox")  # fmt: skip
        assert done.returncode == 0, done.stderr
        with httpx.Client(trust_env=False, timeout=60) as client:
            page = client.get(running.url).content
            told = client.get(f"{running.url}/sandbox/messages")
            wrong = client.put(f"{running.url}/sandbox/faults", content=json.dumps({"what": HOSTILE + "\udce9"}))
        assert running.accepted[0].judgement.submission
        assert running.accepted[0].judgement.submission.subject.startswith(READABLE)
    check(page, READABLE, page=True)
    check(told.content, READABLE)
    assert wrong.status_code == 400
    check(wrong.content)


@pytest.fixture
def on_a_terminal(environment: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., bytes]]:
    """Run the command on a terminal of its own and say what it wrote there."""
    pty = pytest.importorskip("pty", reason="there are no terminals of this kind here")

    def ran(*arguments: str | Path) -> bytes:
        ours, theirs = pty.openpty()
        command = [sys.executable, "-m", "mmsprep", *map(os.fsdecode, arguments)]
        terminal = environment | {"TERM": "xterm-256color"}
        with program(
            command,
            most_s=400,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=terminal,
            cwd=tmp_path,
            start_new_session=True,
        ) as process:
            os.close(theirs)
            written = b""
            end_s = time.monotonic() + 300
            while time.monotonic() < end_s:
                if not select.select([ours], [], [], 1)[0]:
                    continue
                try:
                    chunk = os.read(ours, 65536)
                except OSError:
                    break
                if not chunk:
                    break
                written += chunk
                if b"[y/N]" in written and b"not sent" not in written:
                    os.write(ours, b"n\n")
            process.kill()
        os.close(ours)
        return written

    yield ran


@pytest.mark.posix("a pseudo-terminal")
def test_on_a_terminal_with_progress_and_questions(
    on_a_terminal: Callable[..., bytes], photo: Path, undecodable: Path, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    large = tmp_path / "in" / photo.name
    large.write_bytes(_jpeg(2500))
    for command, *expected in (
        (["inspect", photo.name, undecodable.name], FAMILY, PERSIAN),
        (["prepare", large, undecodable.name, "-o", "out"], FAMILY, PERSIAN, "written to out"),
        (["prepare", HOSTILE], PERSIAN, "error: "),
        (["batch", "in", "results"], "prepared"),
        (["send", "--to", "61400000001", photo.name, "-m", HOSTILE], FAMILY, "not sent"),
    ):
        check(on_a_terminal(*command), *expected, terminal=True)


@pytest.mark.parametrize("encoding", ["ascii:strict", "cp1252:strict", "utf-8:surrogateescape", "latin-1:strict"])
def test_a_stream_that_has_not_all_characters_is_no_error(
    run: Run, photo: Path, undecodable: Path, encoding: str
) -> None:
    for arguments in (["inspect"], ["prepare", "-o", "out"], ["inspect", "--json"]):
        done = run(*arguments, photo.name, undecodable.name, PYTHONIOENCODING=encoding)
        assert done.returncode == 0, done.stderr
        for output in (done.stdout, done.stderr):
            text = output.decode(encoding.partition(":")[0])
            assert not _RAW.search(text)
        if "--json" in arguments:
            assert [one["path"] for one in json.loads(text or done.stdout)["files"]] == [photo.name, undecodable.name]


def test_the_c_locale_is_no_error(run: Run, photo: Path, undecodable: Path) -> None:
    for coerced in ("0", "1"):
        done = run(
            "inspect", photo.name, undecodable.name, LC_ALL="C", PYTHONIOENCODING="", PYTHONCOERCECLOCALE=coerced
        )
        assert done.returncode == 0, done.stderr
        check(done.stdout)


def test_what_libraries_log_goes_the_same_way(environment: dict[str, str]) -> None:
    code = (
        "import logging\nfrom mmsprep.cli.printing import prepare_streams\nprepare_streams()\n"
        f"logging.getLogger('somebody').warning({HOSTILE!r})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, env=environment, timeout=60)
    text = done.stderr.decode()
    assert READABLE in text
    assert not _RAW.search(text)
    assert logging.lastResort is not None


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full here")
@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["profiles"], ["prepare", "--help"], ["status"]])
def test_a_full_disk_behind_stdout_is_said_in_a_sentence(environment: dict[str, str], arguments: list[str]) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "mmsprep", *arguments],
            stdout=full, stderr=subprocess.PIPE, check=False, env=environment, timeout=60,
        )  # fmt: skip
    assert done.returncode == 8
    assert check(done.stderr).startswith("error: standard output cannot be written")


@pytest.mark.posix("signals")
def test_ctrl_c_while_the_command_is_loaded_ends_it_quietly(environment: dict[str, str]) -> None:
    code = (
        "import os, signal, sys\n"
        "awaited, sys.argv[1:] = sys.argv[1], ['doctor']\n"
        "class Interrupts:\n"
        "    def find_spec(self, name, *rest):\n"
        "        if name == awaited: os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Interrupts())\n"
        "from mmsprep.__main__ import main\n"
        "main()\n"
    )
    for module in ("mmsprep.cli", "typer", "mmsprep.doctor", "rich.table"):
        done = subprocess.run(
            [sys.executable, "-c", code, module], capture_output=True, check=False, env=environment, timeout=60
        )
        assert done.returncode == 130, done.stderr
        check(done.stderr)


def test_a_prepared_message_with_such_names_is_read_back(undecodable: Path, tmp_path: Path) -> None:
    from mmsprep import read_message

    message = prepare([undecodable], text=HOSTILE)
    message.write(tmp_path / "out")
    assert read_message(tmp_path / "out") == message
