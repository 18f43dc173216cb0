"""The inbox at the command line: what waits is handed on, given up, put back, taken out, and what is old goes."""

from __future__ import annotations

import base64
import hmac
import json
import shlex
import sys
import time
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from deadlines import meanwhile
from sqlalchemy import update
from test_receive_forward import JPEG, add
from typer.testing import CliRunner

from mmsprep.cli import app
from mmsprep.receive import Forwarder, open_store, schema
from mmsprep.receive.incoming import ForwardState, PushDoor, RawPush
from mmsprep.receive.limits import Limits
from mmsprep.receive.queue import Retry
from mmsprep.receive.unreadable import keep

GIVES_UP_AT_ONCE = Retry(first_wait_s=0.0, longest_wait_s=0.0, most_attempts=1)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Three messages of two people, none handed on."""
    with open_store(tmp_path / "inbox") as store:
        for id_, sender in (("1", "61400"), ("2", "61400"), ("3", "61500")):
            add(store, id_, sender)
    return tmp_path / "inbox"


def run(place: Path, *words: str | Path) -> Any:
    environment = {"COLUMNS": "120", "MMSPREP_FORWARD": ""}
    return CliRunner().invoke(app, ["inbox", *map(str, words), "--store", str(place)], env=environment)


def states(place: Path) -> dict[str, str]:
    """What ``inbox list --json`` says became of each."""
    told = json.loads(run(place, "list", "--json").stdout)
    return {one["id"]: one["forwarding"]["state"] for one in told["messages"]}


def command(body: str) -> str:
    return shlex.join([sys.executable, "-c", f"import json, sys; told = json.load(sys.stdin); {body}"])


def test_a_message_that_was_taken_out_lets_its_senders_later_ones_go_on(place: Path) -> None:
    refuses_the_first = command("sys.exit(told['id'] == '1')")
    done = run(place, "forward", refuses_the_first)
    assert done.exit_code == 11 and "1 forwarded, 1 failed and wait, 0 given up" in done.stderr
    assert "inbox list --pending" in done.stderr
    assert states(place) == {"1": "pending", "2": "pending", "3": "done"}
    done = run(place, "drop", "1")
    assert (done.exit_code, done.stderr) == (0, "1 will not be forwarded\n")
    done = run(place, "forward", refuses_the_first)
    assert done.exit_code == 0 and done.stderr.endswith("\n1 forwarded, 0 failed and wait, 0 given up\n")
    assert states(place) == {"1": "dropped", "2": "done", "3": "done"}
    assert run(place, "drop", "nobody").exit_code == 3


def test_what_was_given_up_is_put_back_all_of_it_or_by_name(place: Path) -> None:
    with open_store(place) as store:
        Forwarder(store, command("sys.exit(1)"), retry=GIVES_UP_AT_ONCE).once()
    dead = [one["id"] for one in json.loads(run(place, "list", "--dead", "--json").stdout)["messages"]]
    assert sorted(dead) == ["1", "2", "3"]
    assert "dead" in run(place, "list", "--dead").stdout
    assert run(place, "retry", "2").stderr == "1 to be forwarded again\n"
    assert states(place) == {"1": "dead", "2": "pending", "3": "dead"}
    assert run(place, "retry").stderr == "2 to be forwarded again\n"
    assert set(states(place).values()) == {"pending"}
    with open_store(place) as store:
        Forwarder(store, command("sys.exit(1)"), retry=GIVES_UP_AT_ONCE).once()
    done = run(place, "forward", command("pass"), "--dead")
    assert done.exit_code == 0 and done.stderr.endswith("\n3 forwarded, 0 failed and wait, 0 given up\n")
    assert set(states(place).values()) == {"done"}


def test_old_messages_go_with_what_nothing_else_needs_and_those_that_wait_stay(place: Path) -> None:
    with open_store(place) as store:
        raw = RawPush(door=PushDoor.MM7, method="POST", content_type="text/xml", query="", body=b"<Envelope")
        keep(store, raw, "no closing tag", Limits())
        Forwarder(store, command("sys.exit(told['id'] == '3')")).once()
        with store.engine.begin() as connection:
            long_ago = {"received_at_s": time.time() - 100 * 86_400}
            connection.execute(update(schema.messages).values(long_ago))
            connection.execute(update(schema.unreadable).values(long_ago))
        add(store, "4", "61600")
    planned = run(place, "prune", "--older", "90d", "--dry-run")
    assert "2 messages and 1 unreadable pushes would go" in planned.stderr
    assert "1 that wait to be forwarded stay; --pending takes them, too" in planned.stderr
    assert set(states(place)) == {"1", "2", "3", "4"}
    done = run(place, "prune", "--older", "90d")
    assert "2 messages and 1 unreadable pushes removed, and 0 files of 0 bytes" in done.stderr
    assert states(place) == {"3": "pending", "4": "pending"}
    with open_store(place) as store:
        assert [store.read(part) for one in store.messages() for part in one.parts] == [JPEG, JPEG]
    assert "1 messages and 0 unreadable pushes removed" in run(place, "prune", "--older", "90d", "--pending").stderr
    assert states(place) == {"4": "pending"}
    done = run(place, "prune", "--older", "soon")
    assert done.exit_code == 2 and "soon" in done.stderr
    assert ForwardState.PENDING in states(place).values()


@pytest.mark.parametrize("how", ["option", "file", "environment"])
def test_what_is_handed_on_by_hand_is_signed_as_the_receiver_signs_it(place: Path, tmp_path: Path, how: str) -> None:
    secret = "whsec_" + base64.b64encode(bytes(range(32))).decode()
    (tmp_path / "signs").write_text(secret + "\n")
    words = {"option": ["--forward-secret", secret], "file": ["--forward-secret-file", str(tmp_path / "signs")]}
    environment = {"MMSPREP_FORWARD_SECRET": secret if how == "environment" else ""}
    signed: list[bool] = []

    class Customer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            text = f"{self.headers['webhook-id']}.{self.headers['webhook-timestamp']}.".encode() + body
            right = base64.b64encode(hmac.new(bytes(range(32)), text, "sha256").digest()).decode()
            signed.append(self.headers["webhook-signature"] == f"v1,{right}")
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Customer)
    with server, meanwhile(partial(server.serve_forever, 0.01), server.shutdown):
        url = f"http://127.0.0.1:{server.server_port}/"
        command = ["inbox", "forward", url, *words.get(how, []), "--store", str(place)]
        done = CliRunner().invoke(app, command, env=environment)
    assert done.exit_code == 0 and signed == [True] * 3, done.output
