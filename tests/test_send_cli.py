"""mmsprep send as people use it: what is shown and asked, what goes to stdout, the exit status."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from grain import grain
from loopback import answers, gateway, http, never_answers, resets_before_the_reply, succeeds

from mmsprep import prepare

Send = Callable[..., subprocess.CompletedProcess[str]]
PASSWORD = "s3cret-pass-w0rd"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SMSGLOBAL", "MMSPREP"))}
    return kept | {
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "SMSGLOBAL_USERNAME": "ann",
        "SMSGLOBAL_PASSWORD": PASSWORD,
        "PYTHONPATH": os.pathsep.join(sys.path),
    }


@pytest.fixture
def run(environment: dict[str, str], tmp_path: Path) -> Send:
    def sent(*arguments: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "mmsprep", "send", *map(str, arguments)]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            stdin=subprocess.DEVNULL,
            env=environment | variables,
            cwd=tmp_path,
        )
        assert PASSWORD not in done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done

    return sent


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photo") / "photo.jpg"
    grain((900, 700), 40).convert("RGB").save(path, quality=85)
    return path


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory, photo: Path) -> Path:
    """A prepared folder, which needs no preparing at every send."""
    folder = tmp_path_factory.mktemp("ready") / "mms"
    prepare([photo], text="Hello").write(folder)
    return folder


def test_files_are_prepared_and_sent_and_the_ids_are_the_only_output(run: Send, photo: Path) -> None:
    with gateway(succeeds("1111111111111111"), succeeds("2222222222222222")) as this:
        to = ["--to", "+61 400 000 001", "--to", "61400000002"]
        done = run(*to, photo, "-m", "Hello", "-s", "Hi", "--text-at-end", "--yes", "--gateway", this.url)
    assert (done.returncode, done.stdout) == (0, "1111111111111111\n2222222222222222\n"), done.stderr
    assert "+61 400 000 001 is sent to as 61400000001" in done.stderr
    assert "photo.jpg" in done.stderr and "of 300,000 bytes" in done.stderr
    fields = this.requests[0].fields
    assert (fields["message"], fields["subject"], fields["message_at_start"]) == ("Hello", "Hi", "0")
    assert len({request.fields["attachment0"] for request in this.requests}) == 1


def test_mm7_is_the_other_door(run: Send, ready: Path) -> None:
    with gateway(succeeds("id-of-a-relay")) as this:
        done = run("--to", "61400000001", ready, "--via", "mm7", "--yes", "--gateway", this.url)
    assert (done.returncode, done.stdout) == (0, "id-of-a-relay\n"), done.stderr
    assert this.requests[0].submit.to == ("61400000001",)


def test_without_a_terminal_and_without_yes_nothing_is_sent(run: Send, ready: Path) -> None:
    with gateway(succeeds()) as this:
        for more in ([], ["--json"]):
            done = run("--to", "61400000001", ready, "--gateway", this.url, *more)
            assert done.returncode == 2 and "--yes" in done.stderr
    assert this.connections == 0


@pytest.mark.posix("a pseudo-terminal")
@pytest.mark.parametrize(("answer", "connections"), [("y", 1), ("n", 0), ("\x03", 0)])
def test_on_a_terminal_it_shows_the_message_and_asks(
    environment: dict[str, str], ready: Path, answer: str, connections: int
) -> None:
    with gateway(succeeds()) as this:
        arguments = ["--to", "61400000001", str(ready), "--gateway", this.url]
        shown, status = on_a_terminal(arguments, environment, question="Send it?", answer=answer)
    assert "Hello" in shown and "61400000001" in shown and "photo.jpg" in shown
    assert this.connections == connections
    assert status == (0 if connections else 130), shown


@pytest.mark.posix("a pseudo-terminal")
@pytest.mark.parametrize(("answer", "status"), [("y", 0), ("n", 12)])
def test_on_a_terminal_it_asks_about_what_is_unknown(
    run: Send, environment: dict[str, str], ready: Path, tmp_path: Path, answer: str, status: int
) -> None:
    journal = tmp_path / "journal.db"
    with gateway(resets_before_the_reply, succeeds()) as this:
        arguments = ["--to", "61400000001", str(ready), "--gateway", this.url, "--journal", str(journal)]
        assert run(*arguments, "--yes").returncode == 12
        shown, found = on_a_terminal(arguments, environment, question="Send it?", answer="y", then=("again?", answer))
    assert found == status, shown
    assert this.connections == (2 if status == 0 else 1)


def on_a_terminal(
    arguments: list[str],
    environment: dict[str, str],
    *,
    question: str,
    answer: str,
    then: tuple[str, str] | None = None,
) -> tuple[str, int]:
    """Run the command on a pseudo-terminal; what it showed, and its exit status."""
    import pty

    pid, terminal = pty.fork()
    if pid == 0:
        os.execvpe(sys.executable, [sys.executable, "-m", "mmsprep", "send", *arguments], environment)
    shown, open_questions = "", [(question, answer), *([then] if then else [])]
    while True:
        ready, _, _ = select.select([terminal], [], [], 120)
        assert ready, shown
        try:
            data = os.read(terminal, 65536)
        except OSError:
            break
        if not data:
            break
        shown += data.decode()
        if open_questions and open_questions[0][0] in shown:
            os.write(terminal, (open_questions.pop(0)[1] + "\n").encode())
    os.close(terminal)
    return shown, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_a_prepared_folder_is_sent_as_it_is(run: Send, photo: Path, tmp_path: Path) -> None:
    prepare([photo], text="Hello", subject="Hi").write(tmp_path / "mms")
    with gateway(succeeds()) as this:
        done = run("--to", "61400000001", tmp_path / "mms", "--yes", "--gateway", this.url)
        assert (done.returncode, done.stdout) == (0, "1234567890123456\n"), done.stderr
        for more in (["-m", "x", "-p", "image-basic"], ["--refit"], [photo]):
            done = run("--to", "61400000001", tmp_path / "mms", *more, "--yes", "--gateway", this.url)
            assert done.returncode == 2, more
        (tmp_path / "mms" / "01-image.jpg").write_bytes(b"something else")
        done = run("--to", "61400000001", tmp_path / "mms", "--yes", "--gateway", this.url)
        assert done.returncode == 3 and "01-image.jpg" in done.stderr
    assert len(this.requests) == 1
    assert (this.requests[0].fields["message"], this.requests[0].fields["subject"]) == ("Hello", "Hi")


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        (http("FAILURE: no such number"), 9),
        (http("", 401), 9),
        (http("FAILURE: 4006 Service unavailable"), 11),
        (http("", 503), 12),
        (http("<html>"), 12),
        (http("", 500), 12),
    ],
)
def test_the_exit_status_says_what_became_of_it(run: Send, ready: Path, reply: bytes, status: int) -> None:
    with gateway(answers(reply)) as this:
        done = run("--to", "61400000001", ready, "--yes", "--gateway", this.url, "--attempts", "1")
    assert (done.returncode, done.stdout) == (status, "")
    assert done.stderr.splitlines()[-1].startswith("error: 61400000001: ")


def test_an_unknown_outcome_counts_before_everything_else(run: Send, ready: Path) -> None:
    to = ["--to", "61400000001", "--to", "61400000002", "--to", "61400000003"]
    with gateway(succeeds(), answers(http("FAILURE")), answers(http("?"))) as this:
        assert run(*to, ready, "--yes", "--gateway", this.url).returncode == 12
    with gateway(succeeds(), answers(http("FAILURE"))) as this:
        assert run(*to, ready, "--yes", "--gateway", this.url).returncode == 10


def test_json_tells_each_recipient_and_nothing_else_is_on_stdout(run: Send, ready: Path) -> None:
    def echo(request: Any) -> bytes:
        return http(f"FAILURE: {request.body.decode()[:60]}")

    with gateway(succeeds(), answers(echo)) as this:
        done = run("--to", "61400000001", "--to", "61400000002", ready, "--yes", "--json", "--gateway", this.url)
    document = json.loads(done.stdout)
    first, second = document["recipients"]
    assert document["message"]["parts"][0]["name"] == "01-image.jpg"
    assert (first["to"], first["accepted"], first["message_id"]) == ("61400000001", True, "1234567890123456")
    assert (second["accepted"], second["error"]["code"], second["error"]["exit_status"]) == (
        False,
        "account_refused",
        9,
    )
    assert "[secret]" in second["raw_reply"]
    assert done.returncode == 10


@pytest.mark.posix("signals")
def test_an_interrupt_says_who_was_reached(environment: dict[str, str], ready: Path) -> None:
    with gateway(succeeds(), never_answers) as this:
        command = [sys.executable, "-m", "mmsprep", "send", str(ready), "--yes", "--gateway", this.url]
        command += ["--to", "61400000001", "--to", "61400000002", "--to", "61400000003"]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
        with child:
            while len(this.requests) < 2 and child.poll() is None:
                time.sleep(0.01)
            child.send_signal(signal.SIGINT)
            output, words = child.communicate(timeout=60)
    assert (child.returncode, output) == (130, "1234567890123456\n")
    assert "interrupted at 61400000002" in words and "not sent to 61400000003" in words
    assert "nothing was written" not in words


def test_a_journal_that_cannot_be_used_sends_nothing_and_json_says_so(run: Send, ready: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine " * 100)
    with gateway(succeeds()) as this:
        arguments = ["--to", "61400000001", ready, "--yes", "--gateway", this.url, "--journal", tmp_path / "notes.txt"]
        assert run(*arguments).returncode == 8
        done = run(*arguments, "--json")
    assert done.returncode == 8 and json.loads(done.stdout)["error"]["code"] == "journal"
    assert this.connections == 0


def test_the_same_again_on_purpose_is_another_key(run: Send, ready: Path, tmp_path: Path) -> None:
    arguments = ["--to", "61400000001", ready, "--yes"]
    with gateway(succeeds()) as this:
        for more, sent in (([], 1), ([], 1), (["--key", "reminder-2"], 2), (["--key", "reminder-2"], 2)):
            done = run(*arguments, "--gateway", this.url, "--journal", tmp_path / "j.db", *more)
            assert (done.returncode, len(this.requests)) == (0, sent), done.stderr
        assert run(*arguments, "--gateway", this.url, "--key", "x").returncode == 2
    assert len(this.requests) == 2


def test_a_refit_is_told(run: Send, photo: Path) -> None:
    with gateway(answers(http("FAILURE: too large")), succeeds()) as this:
        done = run("--to", "61400000001", photo, "--refit", "--yes", "--gateway", this.url)
    assert (done.returncode, done.stdout) == (0, "1234567890123456\n"), done.stderr
    assert "prepared again under 'video-rich'" in done.stderr


def test_numbers_are_checked_before_anything_is_prepared(run: Send, tmp_path: Path) -> None:
    with gateway(succeeds()) as this:
        done = run("--to", "0409317436", tmp_path / "missing.jpg", "--yes", "--gateway", this.url)
        assert done.returncode == 2 and "--country" in done.stderr
        done = run("--to", "0409317436", "--country", "AU", "-m", "Hello", "--yes", "--gateway", this.url)
        assert done.returncode == 0, done.stderr
    assert [request.recipient for request in this.requests] == ["61409317436"]


def test_without_an_account_it_says_where_to_put_one(run: Send, photo: Path) -> None:
    done = run("--to", "61400000001", photo, "--yes", SMSGLOBAL_USERNAME="", SMSGLOBAL_PASSWORD="")
    assert done.returncode == 6
    assert "SMSGLOBAL_USERNAME" in done.stderr and "account.toml" in done.stderr


def test_there_is_no_option_for_a_password(run: Send) -> None:
    assert "password" not in run("--help").stdout.lower().replace("smsglobal_password", "")


@pytest.mark.parametrize("via", ["http", "mm7"])
def test_a_send_to_the_sandbox_starts_one_where_none_is_and_needs_no_account(run: Send, photo: Path, via: str) -> None:
    for package in ("starlette", "uvicorn", "jinja2"):
        pytest.importorskip(package, reason="the extra mmsprep[sandbox] is not installed")
    with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", 8765), timeout=5):
        pytest.skip("port 8765 is taken on this machine")
    nobody = {"SMSGLOBAL_USERNAME": "", "SMSGLOBAL_PASSWORD": ""}
    done = run("--to", "61409317436", photo, "-m", "Hello", "--sandbox", "--via", via, **nobody)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


@pytest.mark.posix("a pseudo-terminal")
def test_a_sandbox_that_a_terminal_started_stays_until_it_is_interrupted(
    environment: dict[str, str], ready: Path
) -> None:
    for package in ("starlette", "uvicorn", "jinja2"):
        pytest.importorskip(package, reason="the extra mmsprep[sandbox] is not installed")
    with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", 8765), timeout=5):
        pytest.skip("port 8765 is taken on this machine")
    arguments = ["--to", "61409317436", str(ready), "--sandbox"]
    shown, status = on_a_terminal(arguments, environment, question="Ctrl-C ends the sandbox", answer="\x03")
    assert "accepted" in shown and status == 0, shown


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two that do not fit one small message above their floor."""
    folder = tmp_path_factory.mktemp("photos")
    for number in (1, 2):
        grain((640, 480), 38 + 2 * number, number).convert("RGB").save(folder / f"{number}.jpg", quality=90)
    return sorted(folder.iterdir())


def test_split_sends_all_messages_in_order_and_a_re_run_the_rest(run: Send, photos: list[Path], tmp_path: Path) -> None:
    options = [
        "--to",
        "61400000001",
        "--to",
        "61400000002",
        *photos,
        "--split",
        "--limit",
        "50k",
        "-m",
        "Hello",
        "--yes",
    ]
    options += ["--journal", tmp_path / "journal.db"]
    with gateway(succeeds("1" * 16), answers(http("FAILURE: number unknown")), succeeds("3" * 16)) as this:
        done = run(*options, "--gateway", this.url)
        assert (done.returncode, done.stdout.split()) == (10, ["1" * 16, "3" * 16, "3" * 16]), done.stderr
        assert "61400000001: message 1 of 2 accepted" in done.stderr
        assert "61400000001: message 2 of 2 did not go out" in done.stderr
        assert [request.recipient[-1] for request in this.requests] == ["1", "1", "2", "2"]
        assert [request.fields.get("message", "") for request in this.requests] == ["Hello", "", "Hello", ""]
        again = run(*options, "--json", "--gateway", this.url)
    assert again.returncode == 0, again.stderr
    told = json.loads(again.stdout)
    assert len(told["messages"]) == 2 and told["message"] == told["messages"][0]
    assert [(one["to"][-1], one["number"], one["count"]) for one in told["recipients"]] == [
        ("1", 1, 2),
        ("1", 2, 2),
        ("2", 1, 2),
        ("2", 2, 2),
    ]
    assert [one["earlier"] for one in told["recipients"]] == [True, False, True, True]


def test_what_cannot_be_split_says_so_before_anything_is_sent(run: Send, ready: Path, photo: Path) -> None:
    with gateway(succeeds()) as this:
        for given, word in (([ready, "--split"], "sent as it is"), ([photo, "--split", "--refit"], "--refit")):
            done = run("--to", "61400000001", *given, "--yes", "--gateway", this.url)
            assert done.returncode == 2 and word in done.stderr
    assert this.connections == 0
