"""The examples of docs/deploy are what they say: read or run by the tools that they are for."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import typer.main
from test_receive_kill import load

from mmsprep.cli import app
from mmsprep.errors import UsageError
from mmsprep.receive import open_store
from mmsprep.receive.environment import service_of

DEPLOY = Path(__file__).parent.parent / "docs" / "deploy"
SECRET = "/a-secret-of-some-length"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
        return True
    return False


def known_variables() -> set[str]:
    """Every variable that the receiver reads, as it reads them."""

    class Asked(dict[str, str]):
        def get(self, name: str, default: Any = None) -> Any:
            self[name] = ""
            return default

    asked = Asked()
    service_of(asked)
    return set(asked) | {"MMSPREP_LOG", "MMSPREP_FORWARD_SECRET"}


@pytest.mark.parametrize("name", ["compose.yaml", "mmsprep-receive.service", "README.md", "Dockerfile"])
def test_no_example_sets_a_variable_that_nobody_reads(name: str) -> None:
    told = set(re.findall(r"MMSPREP_[A-Z_]*[A-Z]", (DEPLOY / name).read_text()))
    assert told
    assert told <= known_variables()


def test_every_variable_is_documented() -> None:
    told = (DEPLOY / "README.md").read_text()
    assert {name for name in known_variables() if name not in told} <= {"MMSPREP_FORWARD_SECRET_FILE"}


def test_the_unit_is_understood_by_systemd(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    unit = (DEPLOY / "mmsprep-receive.service").read_text()
    command = re.search(r"^ExecStart=(\S+)", unit, re.MULTILINE)
    assert command
    path = tmp_path / "mmsprep-receive.service"
    path.write_text(unit.replace(command[1], sys.executable))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--recursive-errors=no", str(path)], capture_output=True, text=True, check=False
    )
    ours = [line for line in done.stderr.splitlines() if path.name in line]
    assert ours == []
    arguments = re.search(r"^ExecStart=\S+ receive (.*)", unit, re.MULTILINE)
    assert arguments
    helped = subprocess.run(
        [sys.executable, "-m", "mmsprep", "receive", *arguments[1].split(), "--help"], capture_output=True, check=False
    )
    assert helped.returncode == 0


def test_the_compose_file_names_what_is_there() -> None:
    yaml = pytest.importorskip("yaml")
    told = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    assert set(told["services"]) == {"receiver", "db", "watch", "sandbox", "scheduler", "worker", "batch"}
    for service in told["services"].values():
        assert set(service.get("secrets", [])) <= set(told["secrets"])
        named = {volume.partition(":")[0] for volume in service.get("volumes", [])}
        assert {volume for volume in named if not volume.startswith(".")} <= set(told["volumes"])
        if "build" in service:
            context = DEPLOY / service["build"]["context"]
            assert (context / service["build"]["dockerfile"]).resolve() == (DEPLOY / "Dockerfile").resolve()
        program, *arguments = service.get("command", ["mmsprep", "doctor"])
        if program == "mmsprep":
            command: Any = getattr(typer.main.get_command(app), "commands")[arguments[0]]  # noqa: B009
            assert command.make_context(arguments[0], arguments[1:])
    docker = shutil.which("docker")
    if docker and subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode == 0:
        command = [docker, "compose", "-f", str(DEPLOY / "compose.yaml"), "config", "--quiet"]
        subprocess.run(command, check=True)


@contextmanager
def uvicorn(*arguments: str, **variables: str) -> Iterator[str]:
    """The receiver under uvicorn, as the environment describes it."""
    port = free_port()
    ours = {name: value for name, value in os.environ.items() if not name.startswith("MMSPREP_")}
    command = [sys.executable, "-m", "uvicorn", *arguments, "--port", str(port), "--no-access-log"]
    child = subprocess.Popen(command, env=ours | variables, stderr=subprocess.PIPE, start_new_session=True)
    url = f"http://127.0.0.1:{port}"
    try:
        end_s = time.monotonic() + 60
        while True:
            try:
                if httpx.get(f"{url}/health", timeout=5).status_code == 200:
                    break
            except httpx.HTTPError:
                pass
            assert child.poll() is None
            assert time.monotonic() < end_s
            time.sleep(0.05)
        yield url
        child.send_signal(signal.SIGTERM)
        child.communicate(timeout=60)
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
            child.communicate()


def the_dockerfiles() -> list[str]:
    told = (DEPLOY / "Dockerfile").read_text().replace("\\\n", "")
    command = re.findall(r'"([^"]+)"', told[told.index("\nCMD") :])
    assert command[0] == "uvicorn"
    return command[1 : command.index("--host")]


@pytest.mark.parametrize("arguments", [["mmsprep.receive:app"], the_dockerfiles()], ids=["by name", "the Dockerfile's"])
@pytest.mark.posix("signals")
def test_the_environment_alone_describes_a_receiver_with_several_workers(arguments: list[str], tmp_path: Path) -> None:
    counters = tmp_path / "counters"
    counters.mkdir()
    (tmp_path / "secret").write_text(SECRET)
    variables = {
        "MMSPREP_STORE": str(tmp_path / "inbox"),
        "MMSPREP_SECRET_FILE": str(tmp_path / "secret"),
        "PROMETHEUS_MULTIPROC_DIR": str(counters),
    }
    pushes = [load.make_push(index, 1, 1000, 2000) for index in range(12)]
    with uvicorn(*arguments, "--workers", "2", "--root-path", "/mms", **variables) as url:
        for push in pushes:
            answer = httpx.post(url + SECRET, content=push.body, headers={"Content-Type": push.content_type})
            assert answer.text == "OK"
        assert httpx.post(url, content=b"id=1").status_code == 404
        told = httpx.get(f"{url}{SECRET}/metrics").text
    counted = re.findall(r'^mmsprep_pushes_total\{door="form",outcome="stored"\} ([0-9.]+)', told, re.MULTILINE)
    assert sum(map(float, counted)) == len(pushes)
    assert re.search(r"^mmsprep_store_messages 12\.0", told, re.MULTILINE)
    with open_store(tmp_path / "inbox") as store:
        assert store.count() == len(pushes)


@pytest.mark.parametrize("variables", [{"MMSPREP_MAX_BODY": "many"}, {"MMSPREP_SECRET_FILE": "/not/there"}], ids=str)
def test_a_variable_that_makes_no_sense_is_told(variables: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        service_of(variables)


def test_pushes_come_through_nginx_as_documented(tmp_path: Path) -> None:
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if nginx is None:
        pytest.skip("nginx is not installed")
    port = free_port()
    with load.Receiver(tmp_path / "inbox", "", "--secret", SECRET, "--proxy", "127.0.0.1") as receiver:
        snippet = (DEPLOY / "nginx.conf").read_text()
        snippet = snippet.replace("/the-secret", SECRET).replace("127.0.0.1:8025", f"127.0.0.1:{receiver.port}")
        temporary = "".join(
            f"{name}_temp_path {tmp_path}/{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        config = tmp_path / "nginx.conf"
        config.write_text(
            f"daemon off;\nuser root;\npid {tmp_path}/pid;\nerror_log stderr;\nevents {{}}\n"
            f"http {{\n{temporary}server {{\nlisten 127.0.0.1:{port};\n{snippet}\n}}\n}}\n"
        )
        subprocess.run([nginx, "-t", "-c", str(config), "-p", str(tmp_path)], check=True, capture_output=True)
        child = subprocess.Popen([nginx, "-c", str(config), "-p", str(tmp_path)], stderr=subprocess.DEVNULL)
        try:
            push = load.make_push(0, 1, 300_000, 400_000)
            load.wait_for(lambda: listens(port))
            url = f"http://127.0.0.1:{port}{SECRET}"
            assert httpx.post(url, content=push.body, headers={"Content-Type": push.content_type}).text == "OK"
            assert httpx.post(f"http://127.0.0.1:{port}/other", content=push.body).status_code == 404
        finally:
            child.terminate()
            child.wait(30)
    with open_store(tmp_path / "inbox") as store:
        assert store.count() == 1
