"""``mmsprep sandbox`` as people run it: a process with an address, a page and an orderly end."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest
from deadlines import program, until
from typer.testing import CliRunner

pytest.importorskip("starlette", reason="the extra mmsprep[sandbox] is not installed")

from sandbox_client import fields

from mmsprep.cli import app
from mmsprep.sandbox import Sandbox


@contextmanager
def running(folder: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command in a process of its own, and its address."""
    environment = {**os.environ, "TMPDIR": str(folder), "MMSPREP_SANDBOX_PASSWORD": "other"}
    command = [sys.executable, "-m", "mmsprep", "sandbox", "--port", "0", *options]
    with program(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stderr
        address = re.search(r"http://\S+", process.stderr.readline())
        assert address
        yield process, address[0]


@pytest.mark.posix("signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_runs_until_it_is_told_to_end_and_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    with running(tmp_path, "--username", "me", "--fault", "503,door=form") as (process, address):
        door = f"{address}/mms/sendmms.php"
        form = fields(username="me", password="other")
        with httpx.Client(trust_env=False, timeout=60) as client:
            answered: list[httpx.Response] = []

            def answers() -> bool:
                with suppress(httpx.ConnectError):
                    answered.append(client.post(door, data=form))
                return bool(answered)

            until(answers)
            assert answered[0].status_code == 503
            assert client.post(door, data=form).text.startswith("Success")
            assert "61409317436" in client.get(address).text
            assert "other" not in client.get(address).text
            with client.stream("GET", f"{address}/events") as events:
                # A page that listens does not hold it.
                next(events.iter_lines())
                process.send_signal(number)
                process.wait(timeout=60)
    assert process.returncode == 0
    assert list(tmp_path.iterdir()) == []


def test_a_port_that_is_taken_is_named() -> None:
    with Sandbox() as gateway:
        result = CliRunner().invoke(app, ["sandbox", "--port", str(gateway.port)])
    assert result.exit_code == 2
    assert f"port {gateway.port}: cannot be listened on (Address already in use)" in result.stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--fault", "explode"], "drop-before-reply"),
        (["--host", "no.such.host.invalid"], "--host"),
        (["--username", "a:b"], "colon"),
    ],
)
def test_wrong_options_are_told_in_words(options: list[str], words: str) -> None:
    result = CliRunner().invoke(app, ["sandbox", "--port", "0", *options])
    assert result.exit_code == 2
    assert words in result.stderr
