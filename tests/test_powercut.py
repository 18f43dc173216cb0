"""Power cuts: whatever got OK is in the store, and nobody is sent a message twice.

The cuts are simulated (tests/powercut.py says what that cannot show): the process dies, and everything that it had not
synced is dropped, content and names, SQLite's files included.
"""

from __future__ import annotations

import csv
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from deadlines import meanwhile, until
from powercut import PowerCut
from test_receive_kill import load

from mmsprep.receive import open_store

_DEADLINE_S = 500


@pytest.fixture
def power(tmp_path: Path) -> PowerCut:
    """Of the folder ``tmp_path/disk``."""
    (tmp_path / "disk").mkdir()
    try:
        return PowerCut(tmp_path / "disk", tmp_path / "power")
    except LookupError as error:
        pytest.skip(str(error))


PROGRAM = """
import os, sys, sqlite3
os.chdir(sys.argv[1])
def write(name, text, sync):
    with open(name, "w") as file:
        file.write(text); file.flush()
        if sync: os.fsync(file.fileno())
def sync_folder(name="."): os.fsync(os.open(name, os.O_RDONLY))
write("synced", "one", True)
write("named only", "two", False)
os.mkdir("folder"); write("folder/inside", "three", True); sync_folder("folder")
write("renamed.tmp", "four", True)
sync_folder()
write("synced", "not synced", False)
os.rename("renamed.tmp", "renamed")
write("nameless", "five", True)
for mode in ("FULL", "OFF"):
    database = sqlite3.connect(f"{mode}.db", isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    sync_folder()
    database.execute(f"PRAGMA synchronous={mode}")
    database.execute("CREATE TABLE words (word)")
    database.execute("INSERT INTO words VALUES ('kept')")
os.kill(os.getpid(), 9)
"""


def test_the_simulation_drops_what_was_not_synced_and_nothing_else(power: PowerCut) -> None:
    subprocess.run([sys.executable, "-c", PROGRAM, str(power.root)], env=power.environment, check=False)
    assert (power.root / "FULL.db").exists()
    power.cut()
    # The folder was synced once more for the databases: the rename and "nameless" are in it, their content was synced.
    content = {
        path.name: path.read_text() for path in power.root.iterdir() if path.is_file() and ".db" not in path.name
    }
    assert content == {"synced": "one", "named only": "", "renamed": "four", "nameless": "five"}
    assert (power.root / "folder" / "inside").read_text() == "three"
    check = "import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute('SELECT word FROM words').fetchall())"
    told = [
        subprocess.run(
            [sys.executable, "-c", check, str(power.root / name)], capture_output=True, text=True, check=False
        )
        for name in ("FULL.db", "OFF.db")
    ]
    assert "kept" in told[0].stdout
    assert "kept" not in told[1].stdout


def test_a_file_that_was_only_renamed_into_place_is_gone(power: PowerCut) -> None:
    program = (
        "import os, sys; os.chdir(sys.argv[1]); os.fsync(os.open('.', os.O_RDONLY))\n"
        "file = open('a.tmp', 'w'); file.write('x'); file.flush(); os.fsync(file.fileno()); os.rename('a.tmp', 'a')"
    )
    subprocess.run([sys.executable, "-c", program, str(power.root)], env=power.environment, check=True)
    power.cut()
    assert list(power.root.iterdir()) == []


@pytest.mark.parametrize(
    ("pushes", "cuts"), [(30, 3), pytest.param(1000, 20, marks=pytest.mark.slow)], ids=["a few", "many"]
)
def test_every_push_that_got_ok_is_there_after_power_cuts(
    power: PowerCut, tmp_path: Path, pushes: int, cuts: int
) -> None:
    seed = int.from_bytes(os.urandom(4))
    chance = random.Random(seed)
    inbox = power.root / "inbox"
    receiver = load.Receiver(inbox)
    receiver.environment = power.environment
    accepted: dict[str, str] = {}
    made = [load.make_push(index, seed, 2_000, 30_000) for index in range(pushes)]
    waiting = list(made)
    lock, given_up = threading.Lock(), threading.Event()

    def client() -> None:
        import httpx

        while not given_up.is_set():
            with lock:
                if not waiting:
                    return
                push = waiting.pop()
            try:
                answer = httpx.post(
                    receiver.url, content=push.body, headers={"Content-Type": push.content_type}, timeout=30
                )
                ok = answer.status_code == 200 and answer.text == "OK"
            except httpx.HTTPError:
                ok = False
            with lock:
                if ok:
                    accepted[push.id] = push.id
                else:
                    waiting.append(push)
            if not ok:
                time.sleep(0.05)

    receiver.start()
    clients = [threading.Thread(target=client) for _ in range(6)]
    for thread in clients:
        thread.start()
    try:
        for number in range(cuts):
            # Each somewhere within its share of the work, so that they fall while there is some.
            enough = (number + chance.random()) * pushes / cuts
            load.wait_for(lambda enough=enough: len(accepted) >= enough)
            receiver.kill()
            with lock:
                told_until_now = set(accepted)
            power.cut()
            # Looked at in a copy: what this process did to it would not count as synced.
            shutil.copytree(inbox, tmp_path / f"look {number}")
            with open_store(tmp_path / f"look {number}") as store:
                stored = Counter(message.id for message in store.messages(limit=pushes * 2))
            assert told_until_now <= set(stored), f"seed {seed}"
            assert set(stored.values()) <= {1}
            receiver.start()
        for thread in clients:
            thread.join(_DEADLINE_S)
            assert not thread.is_alive()
        assert receiver.stop() in (0, 143)
    finally:
        given_up.set()
        receiver.kill()
    with open_store(inbox) as store:
        kept = store.messages(limit=pushes * 2)
        assert sorted(message.id for message in kept) == sorted(push.id for push in made)
        for message in kept:
            assert all(store.read(part) for part in message.parts)


@contextmanager
def gateway() -> Iterator[tuple[str, Counter[str]]]:
    """Accepts every message of the form's door, and counts whom it was for."""
    seen: Counter[str] = Counter()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            fields = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            seen[fields["number"][0]] += 1
            body = b"Success. ID = %016d" % sum(seen.values())
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    with server, meanwhile(partial(server.serve_forever, 0.01), server.shutdown):
        yield f"http://127.0.0.1:{server.server_port}", seen


def _cut_off(
    power: PowerCut, command: list[str], environment: dict[str, str], seen: Counter[str], enough: float
) -> None:
    """Run ``command`` until the gateway has ``seen`` enough, and cut the power under it."""
    child = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with child:
        try:
            until(lambda: child.poll() is not None or sum(seen.values()) >= enough, most_s=_DEADLINE_S, every_s=0.002)
        finally:
            child.kill()
    power.cut()


@pytest.mark.parametrize(
    ("recipients", "cuts"), [(8, 2), pytest.param(200, 20, marks=pytest.mark.slow)], ids=["a few", "many"]
)
def test_nobody_is_sent_a_message_twice_after_power_cuts(
    power: PowerCut, tmp_path: Path, recipients: int, cuts: int
) -> None:
    seed = int.from_bytes(os.urandom(4))
    chance = random.Random(seed)
    numbers = [f"614000{number:05d}" for number in range(recipients)]
    text = tmp_path / "hello.txt"
    text.write_text("Hello")
    with gateway() as (url, seen):
        environment = power.environment | {
            "SMSGLOBAL_USERNAME": "somebody",
            "SMSGLOBAL_PASSWORD": "secret-of-somebody",
        }
        command = [sys.executable, "-m", "mmsprep", "send", str(text), "--yes", "--gateway", url]
        command += ["--journal", str(power.root / "journal"), *(word for one in numbers for word in ("--to", one))]
        for number in range(cuts):
            enough = (number + chance.random()) * recipients / cuts
            _cut_off(power, command, environment, seen, enough)
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, timeout=_DEADLINE_S
        )
        assert max(seen.values()) == 1, f"seed {seed}: {[one for one, times in seen.items() if times > 1]}"
        unknown = [one for one in numbers if one not in seen]
        # Whoever was not reached is one whose exchange a cut interrupted, and is told so.
        assert len(unknown) <= cuts
        assert done.returncode in (0, 12), done.stderr[-500:]
        for one in unknown:
            assert one in done.stderr + done.stdout


def test_after_a_cut_the_machine_has_started_anew(power: PowerCut) -> None:
    program = [sys.executable, "-c", "from mmsprep.sender.owner import this_process; print(this_process())"]
    told = []
    for _ in range(2):
        told.append(subprocess.run(program, env=power.environment, capture_output=True, text=True, check=True).stdout)
        power.cut()
    assert told[0].partition(":")[0] != told[1].partition(":")[0]


@pytest.mark.parametrize(
    ("people", "cuts"), [(40, 2), pytest.param(600, 12, marks=pytest.mark.slow)], ids=["a few", "many"]
)
def test_a_campaign_reaches_nobody_twice_and_loses_nobody_by_power_cuts(
    power: PowerCut, tmp_path: Path, people: int, cuts: int
) -> None:
    """Marks that somebody was begun may be lost; then their places, which are not, hold everybody off."""
    at_once, ahead = 2, 10
    seed = int.from_bytes(os.urandom(4))
    chance = random.Random(seed)
    numbers = [f"614000{number:05d}" for number in range(people)]
    listed = tmp_path / "people.csv"
    listed.write_text("Mobile,Name\n" + "".join(f"{number},Person {number}\n" for number in numbers))
    report = tmp_path / "report.csv"
    with gateway() as (url, seen):
        environment = power.environment | {
            "SMSGLOBAL_USERNAME": "somebody",
            "SMSGLOBAL_PASSWORD": "secret-of-somebody",
        }
        command = [sys.executable, "-m", "mmsprep", "campaign", str(listed), "-m", "Hi {Name}", "--yes"]
        command += ["--gateway", url, "--journal", str(power.root / "journal"), "--report-csv", str(report)]
        command += ["--at-once", str(at_once)]
        # No more have places than will have their turn within the next second.
        slowly = [*command, "--per-second", str(ahead)]
        for number in range(cuts):
            enough = (number + chance.random()) * people / cuts
            _cut_off(power, slowly, environment, seen, enough)
        with closing(sqlite3.connect(power.root / "journal")) as journal, journal:
            # Until then another machine could be at it.
            journal.execute("UPDATE attempts SET expires_at_s = expires_at_s - 300 WHERE owner <> ''")
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, timeout=_DEADLINE_S
        )
        assert done.returncode in (0, 12), f"seed {seed}: {done.stderr[-500:]}"
    assert max(seen.values()) == 1, f"seed {seed}: {[one for one, times in seen.items() if times > 1]}"
    with report.open(encoding="utf-8-sig", newline="") as file:
        states = {row["to"]: row["state"] for row in csv.DictReader(file)}
    assert set(states) == set(numbers)
    accepted, unknown = ({one for one, state in states.items() if state == word} for word in ("accepted", "unknown"))
    assert accepted | unknown == set(numbers), f"seed {seed}: {Counter(states.values())}, {done.stderr[-500:]}"
    assert accepted <= set(seen), f"seed {seed}"
    # Two rounds of places at most, the one that is sent to and the next one, and whoever was under way.
    assert len(unknown) <= cuts * (2 * ahead + at_once), f"seed {seed}"
    assert (done.returncode == 12) is bool(unknown)
