"""Push messages to a receiver that is killed again and again, then compare the store with what got ``OK``.

    python benchmarks/receive.py                                       # SQLite, 1 000 pushes, 16 clients, 10 kills
    python benchmarks/receive.py --postgresql                          # the same against a PostgreSQL of its own
    python benchmarks/receive.py --database postgresql://u@host/db     # or against one that is there

Everything stays on this machine's loopback. A push is repeated, as a gateway would, until it gets ``OK``.
Ends with status 1 when a message that got ``OK`` is not in the store exactly once with its right bytes.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote_plus

import httpx

from mmsprep.receive import Store, open_store

_READY_S = 60.0
_GIVE_UP_S = 600.0


@dataclass(frozen=True, slots=True)
class Push:
    """One message: its form as a gateway sends it, and the digests of its attachments."""

    id: str
    content_type: str
    body: bytes = field(repr=False)
    digests: tuple[str, ...]


@dataclass(slots=True)
class Result:
    """What a run saw. ``answer_s`` are the times of the answers that said ``OK``, ``settled_s`` from a message's
    first push to its ``OK``, over all kills between."""

    accepted: dict[str, Push] = field(default_factory=dict)
    answer_s: list[float] = field(default_factory=list)
    settled_s: list[float] = field(default_factory=list)
    repeated: int = 0
    kills: int = 0
    wall_s: float = 0.0


class Receiver:
    """``mmsprep receive`` as a process of its own, on a port that stays the same, in ``environment``."""

    def __init__(self, folder: Path, database: str = "", *arguments: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._folder = folder
        self._log = folder.parent / f"{folder.name}.log"
        command = [sys.executable, "-m", "mmsprep", "receive", "--port", str(self.port), "--store", str(folder)]
        self._command = [*command, *(["--database", database] if database else []), *arguments]
        self.environment: dict[str, str] | None = None
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Receiver:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        """Start it and wait until it answers."""
        with self._log.open("ab") as log:
            self._child = subprocess.Popen(
                self._command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=self.environment
            )
        end_s = time.monotonic() + _READY_S
        while True:
            try:
                if httpx.get(f"{self.url}/health", timeout=5.0).status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            if time.monotonic() > end_s or self._child.poll() is not None:
                raise RuntimeError(f"the receiver did not start (status {self._child.poll()}): {self.log()[-1000:]}")
            time.sleep(0.02)

    def kill(self) -> None:
        """End it with SIGKILL: no handler runs, nothing is flushed."""
        if self._child:
            self._child.kill()
            self._child.wait()
            self._child = None

    def stop(self) -> int:
        """End it with SIGTERM and say its status."""
        assert self._child
        self._child.send_signal(signal.SIGTERM)
        status = self._child.wait(_READY_S)
        self._child = None
        return status

    @property
    def pid(self) -> int:
        """The process at work now."""
        assert self._child
        return self._child.pid

    def log(self) -> str:
        """What it logged so far."""
        return self._log.read_text("utf-8")


def wait_for(done: Callable[[], bool]) -> None:
    """Wait until ``done`` says so, for a minute at most."""
    end_s = time.monotonic() + _READY_S
    while not done():
        if time.monotonic() > end_s:
            raise TimeoutError("waited in vain")
        time.sleep(0.02)


def make_push(index: int, seed: int, low_bytes: int, high_bytes: int) -> Push:
    """A message with one to three attachments, alternately base64 in a urlencoded form and uploaded files."""
    dice = random.Random(seed * 1_000_003 + index)
    left_bytes = dice.randint(low_bytes, high_bytes)
    parts = []
    for _ in range(dice.randint(1, 3)):
        parts.append(b"\xff\xd8\xff\xe0" + dice.randbytes(max(1, dice.randint(left_bytes // 2, left_bytes))))
        left_bytes -= len(parts[-1])
        if left_bytes < 1000:
            break
    fields = {
        "id": f"{seed}-{index}",
        "from": f"614000000{index % 20:02d}",
        "message": f"Grüße {index}",
        "subject": "hi",
    }
    content_type, body = (_urlencoded if index % 2 else _multipart)(fields, parts)
    return Push(fields["id"], content_type, body, tuple(hashlib.sha256(part).hexdigest() for part in parts))


def _urlencoded(fields: dict[str, str], parts: list[bytes]) -> tuple[str, bytes]:
    told = dict(fields)
    for index, part in enumerate(parts):
        told |= {f"attachment{index}": base64.b64encode(part).decode(), f"content_type{index}": "image/jpeg"}
        told[f"content_name{index}"] = f"image{index}.jpg"
    body = "&".join(f"{name}={quote_plus(value)}" for name, value in told.items())
    return "application/x-www-form-urlencoded", body.encode()


def _multipart(fields: dict[str, str], parts: list[bytes]) -> tuple[str, bytes]:
    files = {f"attachment{index}": (f"image{index}.jpg", part, "image/jpeg") for index, part in enumerate(parts)}
    request = httpx.Request("POST", "http://localhost", data=fields, files=files)
    return request.headers["content-type"], request.read()


def run(receiver: Receiver, pushes: Iterator[Push], total: int, clients: int, kills: int, seed: int) -> Result:
    """Push everything from ``clients`` threads until each got ``OK``; kill the receiver ``kills`` times meanwhile.

    The moments are random: after a random number of answers, and a random while later.
    """
    result = Result(kills=kills)
    lock = threading.Lock()
    problems: list[BaseException] = []

    def work() -> None:
        try:
            with httpx.Client(timeout=60.0, trust_env=False) as client:
                while True:
                    with lock:
                        push = next(pushes, None)
                    if push is None:
                        return
                    _push_until_accepted(client, receiver.url, push, result, lock)
        except BaseException as error:
            problems.append(error)

    started_s = time.monotonic()
    threads = [threading.Thread(target=work, daemon=True) for _ in range(clients)]
    for thread in threads:
        thread.start()
    dice = random.Random(seed)
    for moment in sorted(dice.sample(range(total), kills)):
        while len(result.accepted) < moment and not problems:
            time.sleep(0.002)
        time.sleep(dice.random() * 0.1)
        receiver.kill()
        receiver.start()
    for thread in threads:
        thread.join(_GIVE_UP_S)
    result.wall_s = time.monotonic() - started_s
    if problems:
        raise problems[0]
    return result


def _push_until_accepted(client: httpx.Client, url: str, push: Push, result: Result, lock: threading.Lock) -> None:
    first_s = time.monotonic()
    attempts = 0
    while time.monotonic() - first_s < _GIVE_UP_S:
        attempts += 1
        sent_s = time.monotonic()
        try:
            answer = client.post(url, content=push.body, headers={"Content-Type": push.content_type})
            accepted = answer.status_code == 200 and answer.text == "OK"
        except httpx.HTTPError:
            accepted = False
        now_s = time.monotonic()
        if accepted:
            with lock:
                result.accepted[push.id] = push
                result.answer_s.append(now_s - sent_s)
                result.settled_s.append(now_s - first_s)
                result.repeated += attempts - 1
            return
        time.sleep(0.2)
    raise TimeoutError(f"{push.id} got no OK")


def discrepancies(store: Store, result: Result) -> list[str]:
    """Where the store differs from what was answered with ``OK``; empty is good."""
    found = store.messages(limit=10_000_000)
    wrong = []
    by_id: dict[str, int] = {}
    for message in found:
        by_id[message.id] = by_id.get(message.id, 0) + 1
        push = result.accepted.get(message.id)
        digests = tuple(hashlib.sha256(store.read(part)).hexdigest() for part in message.parts)
        if push is None or digests != push.digests:
            wrong.append(f"{message.id}: not the bytes that were pushed")
    wrong += [f"{id_}: {by_id.get(id_, 0)} times in the store" for id_ in result.accepted if by_id.get(id_, 0) != 1]
    return wrong


def main() -> int:
    """Run it and print the figures."""
    parser = argparse.ArgumentParser(description="Push, kill, compare.")
    parser.add_argument("--pushes", type=int, default=1000)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--bytes", type=int, nargs=2, default=(100_000, 300_000), metavar=("LOW", "HIGH"))
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--database", default="", help="postgresql://...; the tables must not be there yet")
    parser.add_argument("--postgresql", action="store_true", help="start a PostgreSQL on the loopback for this run")
    options = parser.parse_args()
    if not options.postgresql:
        return measure(options, options.database)
    sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
    import postgresql  # noqa: PLC0415 - where it lies was just said

    with postgresql.running(synced=True) as server:
        return measure(options, server.new_database())


def measure(options: argparse.Namespace, database: str) -> int:
    """One run against one database; 1 when something is wrong."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "inbox"
        pushes = (make_push(index, options.seed, *options.bytes) for index in range(options.pushes))
        with Receiver(folder, database) as receiver:
            result = run(receiver, pushes, options.pushes, options.clients, options.kills, options.seed)
        with open_store(folder, database) as store:
            wrong = discrepancies(store, result)
            stored = store.count()
            kind = store.engine.dialect.name
    p99_s, p99_settled_s = (statistics.quantiles(times, n=100)[98] for times in (result.answer_s, result.settled_s))
    print(f"{kind}: {options.pushes} pushes of {options.bytes[0]:,}-{options.bytes[1]:,} bytes,", end=" ")
    print(f"{options.clients} clients, {result.kills} kills, {os.cpu_count()} cores, seed {options.seed}")
    print(f"wall {result.wall_s:.1f} s, {options.pushes / result.wall_s:.1f} pushes/s,", end=" ")
    print(f"{result.repeated} attempts without OK, pushed again")
    print(f"answer: median {statistics.median(result.answer_s) * 1000:.0f} ms, p99 {p99_s * 1000:.0f} ms,", end=" ")
    print(f"longest {max(result.answer_s) * 1000:.0f} ms")
    print(f"first push to OK, restarts included: p99 {p99_settled_s:.1f} s, longest {max(result.settled_s):.1f} s")
    print(f"{len(result.accepted)} got OK, {stored} in the store, {len(wrong)} wrong")
    for line in wrong[:20]:
        print(line)
    return 1 if wrong or stored != len(result.accepted) else 0


if __name__ == "__main__":
    sys.exit(main())
