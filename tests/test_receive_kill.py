"""The receiver as people start it: killed at random moments under load, told what to do from the shell."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import postgresql
import pytest
from deadlines import program
from typer.testing import CliRunner

from mmsprep.cli import app
from mmsprep.receive import open_store

SECRET = "a-secret-of-some-length"


def _load_benchmark() -> Any:
    path = Path(__file__).parent.parent / "benchmarks" / "receive.py"
    spec = importlib.util.spec_from_file_location("receive_benchmark", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


load = _load_benchmark()


def run(*arguments: str, **environment: str) -> Any:
    """The command in this process, with this environment and no other settings of ours."""
    ours = {name: None for name in os.environ if name.startswith("MMSPREP_")}
    return CliRunner().invoke(app, arguments, env=ours | {"COLUMNS": "120"} | environment)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_every_push_that_got_ok_is_there_once_with_its_bytes_however_often_the_server_is_killed(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    database = ""
    if kind == "postgresql":
        server: postgresql.Server = request.getfixturevalue("postgresql_server")
        database = server.new_database()
    seed = int.from_bytes(os.urandom(4))
    pushes = (load.make_push(index, seed, 20_000, 60_000) for index in range(60))
    with load.Receiver(tmp_path / "inbox", database) as receiver:
        result = load.run(receiver, pushes, total=60, clients=6, kills=3, seed=seed)
    with open_store(tmp_path / "inbox", database) as store:
        assert load.discrepancies(store, result) == [], f"seed {seed}"
        assert store.count() == len(result.accepted) == 60


def test_a_push_that_is_repeated_with_other_bytes_would_be_noticed(tmp_path: Path) -> None:
    """The comparison that the test above stands on sees a wrong byte, a missing and a doubled message."""
    first, second, third = (load.make_push(index, 1, 2000, 3000) for index in range(3))
    with load.Receiver(tmp_path / "inbox") as receiver:
        for push in (first, second):
            httpx.post(receiver.url, content=push.body, headers={"Content-Type": push.content_type})
        other = load.make_push(9, 1, 2000, 3000)
        body = other.body.replace(b"id=1-9", b"id=1-1")
        httpx.post(receiver.url, content=body, headers={"Content-Type": other.content_type})
    result = load.Result(accepted={push.id: push for push in (first, second, third)})
    with open_store(tmp_path / "inbox") as store:
        found = "\n".join(load.discrepancies(store, result))
    assert "1-1: 2 times" in found
    assert "1-1: not the bytes" in found
    assert "1-2: 0 times" in found
    assert "1-0" not in found


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
def test_the_operating_system_is_told_to_sync_file_folder_and_database_before_ok_is_sent(tmp_path: Path) -> None:
    push = load.make_push(0, 1, 2000, 3000)
    trace = tmp_path / "trace"
    calls = "trace=fsync,fdatasync,rename,renameat,renameat2,sendto,write,pwrite64"
    with load.Receiver(tmp_path / "inbox") as receiver:
        command = ["strace", "-f", "-y", "-e", calls, "-o", str(trace), "-p", str(receiver.pid)]
        with program(command, stderr=subprocess.PIPE, text=True) as tracer:
            assert tracer.stderr
            line = tracer.stderr.readline()
            if "attached" not in line:
                tracer.kill()
                pytest.skip(f"strace may not look: {line.strip()}")
            answer = httpx.post(receiver.url, content=push.body, headers={"Content-Type": push.content_type})
            assert answer.text == "OK"
            tracer.terminate()
            tracer.stderr.read()
    told = trace.read_text(errors="replace")
    sent = told.index("HTTP/1.1 200 OK")
    before = told[:sent]
    last_rename = before.rindex("rename")
    assert re.search(r"fsync\(\d*<[^>]*staging/", before[:last_rename]), "content before its name"
    assert re.search(r"fsync\(\d*<[^>]*attachments/[0-9a-f]{2}>", before[last_rename:]), "then the name's folder"
    row_written = before.rindex("pwrite64")
    assert re.search(r"(?:fsync|fdatasync)\(\d*<[^>]*sqlite3-wal>", before[row_written:]), "then the row"


def test_started_from_the_shell_it_says_where_it_listens_and_ends_cleanly(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(f"/{SECRET}\n")
    with load.Receiver(tmp_path / "inbox", "", "--secret-file", str(secret)) as receiver:
        push = load.make_push(0, 1, 2000, 3000)
        url = f"{receiver.url}/{SECRET}"
        assert httpx.post(url, content=push.body, headers={"Content-Type": push.content_type}).text == "OK"
        assert httpx.post(receiver.url, content=push.body).status_code == 404
        assert receiver.stop() == 0
    lines = receiver.log().splitlines()
    assert lines[0].startswith(f"taking pushes on http://127.0.0.1:{receiver.port}")
    assert [json.loads(line)["event"] for line in lines[1:]] == ["stored", "refused"]
    assert SECRET not in receiver.log()


def test_what_came_in_is_forwarded_while_the_receiver_runs(tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    script = f"import json, sys; open({str(taken)!r}, 'a').write(json.load(sys.stdin)['id'] + ' ')"
    command = shlex.join([sys.executable, "-c", script])
    with load.Receiver(tmp_path / "inbox", "", "--forward", command) as receiver:
        for index in range(3):
            push = load.make_push(20 * index, 1, 2000, 3000)
            httpx.post(receiver.url, content=push.body, headers={"Content-Type": push.content_type})
        load.wait_for(lambda: taken.exists() and len(taken.read_text().split()) == 3)
        assert receiver.stop() == 0
    assert taken.read_text().split() == ["1-0", "1-20", "1-40"]


def test_the_inbox_lists_shows_exports_and_forwards(tmp_path: Path) -> None:
    inbox = str(tmp_path / "inbox")
    evil = {"id": "7", "from": "6140\x1b[31m", "message": "Hällo\x07 Welt", "subject": "\u202eevil"}
    with load.Receiver(tmp_path / "inbox") as receiver:
        files = {"attachment0": ("../../a b.png", b"\xff\xd8\xff\xe0 picture", "image/png")}
        assert httpx.post(receiver.url, data=evil, files=files).text == "OK"
    listed = run("inbox", "--store", inbox)
    assert listed.exit_code == 0
    assert "Hällo␇ Welt" in listed.stdout
    shown = run("inbox", "show", "7", MMSPREP_STORE=inbox)
    assert "01-a-b.jpg" in shown.stdout
    assert "image/png ../../a b.png" in shown.stdout
    for output in (listed.stdout, shown.stdout):
        assert not re.search("[\x1b\x07\u202e]", output)
    (told,) = json.loads(run("inbox", "list", "--store", inbox, "--json").stdout)["messages"]
    assert told == json.loads(run("inbox", "show", told["key"], "--store", inbox, "--json").stdout)
    assert told["text"] == evil["message"]
    out = tmp_path / "out"
    exported = run("inbox", "export", "7", str(out), "--store", inbox)
    assert exported.stdout.split() == [str(out / "01-a-b.jpg"), str(out / "message.json")]
    assert (out / "01-a-b.jpg").read_bytes() == b"\xff\xd8\xff\xe0 picture"
    assert json.loads((out / "message.json").read_text("utf-8")) == told
    again = run("inbox", "export", "7", str(out), "--store", inbox)
    assert (again.exit_code, again.stdout) == (8, "")
    assert sorted(path.name for path in out.iterdir()) == ["01-a-b.jpg", "message.json"]
    failed = run("inbox", "forward", shlex.join([sys.executable, "-c", "exit(1)"]), "--store", inbox)
    assert failed.exit_code == 11
    assert json.loads(run("inbox", "list", "--pending", "--json", "--store", inbox).stdout)["messages"]


@pytest.mark.parametrize(
    ("arguments", "status", "word"),
    [
        (("receive", "--host", "0.0.0.0"), 2, "--secret"),
        (("receive", "--secret", "short"), 2, "16"),
        (("receive", "--allow", "nowhere"), 2, "network"),
        (("receive", "--forward", "no-such-program -x"), 2, "there is no program 'no-such-program'"),
        (("receive", "--secret-file", "."), 2, "the secret cannot be read ("),
        (("receive", "--forward-secret-file", "nothing"), 2, "cannot be read"),
        (("inbox", "forward", "http://127.0.0.1:1", "--forward-secret-file", "nothing"), 2, "cannot be read"),
        (("receive", "--database", "mysql://x/y"), 2, "postgresql"),
        (("receive", "--host", "203.0.113.1", "--allow", "10.0.0.0/8"), 2, "listen"),
        (("receive", "--store", "s3://bucket/x"), 2, "--database"),
        (("inbox", "list"), 3, "--store"),
        (("inbox", "show", "1"), 3, "--store"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_makes_no_sense_is_told_in_one_line_that_says_what_to_do(
    arguments: tuple[str, ...], status: int, word: str, tmp_path: Path
) -> None:
    place = () if "--store" in arguments else ("--store", str(tmp_path / "inbox"))
    done = run(*arguments, *place)
    assert (done.exit_code, done.stdout) == (status, "")
    assert re.fullmatch("error: .+\n", done.stderr)
    assert word in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("receive",),
        ("inbox", "list"),
        ("inbox", "list", "--unreadable"),
        ("inbox", "forward", "http://127.0.0.1:1"),
        ("inbox", "reread"),
        ("inbox", "prune", "--older", "9d"),
        ("inbox", "drop", "1"),
        ("inbox", "retry"),
    ],
)
def test_without_the_extra_the_error_says_how_to_get_it(arguments: tuple[str, ...]) -> None:
    code = "import sys; sys.modules['sqlalchemy'] = None; from mmsprep.cli import main; main()"
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 7
    assert re.fullmatch(r"error: .*pip install \S.*\[receive\]'? brings it\n", done.stderr)
