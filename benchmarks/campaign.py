"""A campaign against a loopback gateway, beside a bare HTTP client with the same bytes; or killed, and gone on with.

    python benchmarks/campaign.py [--people N] [--at-once 8] [--latency-ms 0 5 50 200] [--rounds 3]
    python benchmarks/campaign.py --kills 3 [--people N] [--latency-ms 5]

The gateway is a process of its own that reads a request, waits and says success. The bare client is httpx in as many
threads, with the same body, with connections that stay open too and without a journal: what is left when everything
else is taken away. Rounds alternate, so that both meet the same machine; the ratio of the medians is the figure.
Without --people there are 10 000, or fewer where a slow gateway would take longer than ten seconds for them.

With --kills the command ``mmsprep campaign`` itself is killed with SIGKILL at moments that chance chooses, and run
again until it ends; the gateway counts who got what. Memory is the highest of the campaign's own process.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import random
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path
from urllib.parse import parse_qs

import httpx

from mmsprep import Account
from mmsprep.campaign import Campaign, Checked, Pace, Rendered, Sending, Template, check, read_people, run
from mmsprep.campaign.checked import Words, decisions
from mmsprep.sender import Journal, form, send
from mmsprep.sender.entry import State

_MOST_PEOPLE = 10_000
_LONG_ENOUGH_S = 10


class _Gateway(asyncio.Protocol):
    """Reads a request, waits, says success; as little as can be."""

    accepted = 0
    latency_s = 0.0
    seen: Counter[bytes] | None = None
    """How often each number was sent to, where that is asked for."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._head = b""
        self._left: int | None = None
        self._closes = False

    def data_received(self, data: bytes) -> None:
        if self._left is None:
            self._head += data
            head, end, body = self._head.partition(b"\r\n\r\n")
            if not end:
                return
            fields = dict(line.lower().split(b":", 1) for line in head.split(b"\r\n")[1:])
            self._left = int(fields[b"content-length"]) - len(body)
            self._begins = body[:200]
            self._closes = fields.get(b"connection", b"").strip() == b"close"
            self._head = b""
        else:
            self._left -= len(data)
            self._begins = (self._begins + data[:200])[:200]
        if self._left <= 0:
            self._left = None
            asyncio.get_running_loop().call_later(self.latency_s, self._answer)

    def _answer(self) -> None:
        _Gateway.accepted += 1
        if _Gateway.seen is not None:
            _Gateway.seen[parse_qs(self._begins)[b"number"][0]] += 1
        body = b"Success. ID = %016d" % (10**15 + _Gateway.accepted)
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n" % len(body)
        self._transport.write(head + body)
        if self._closes:
            self._transport.close()


def serve(told: Connection, latency_s: float, counts: bool) -> None:
    """Run the gateway until the process is ended; whatever is sent to it is answered with the count so far."""
    _Gateway.latency_s = latency_s
    _Gateway.seen = Counter() if counts else None

    def tell() -> None:
        told.recv()
        told.send((_Gateway.accepted, _Gateway.seen))

    async def forever() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(_Gateway, "127.0.0.1", 0)
        loop.add_reader(told.fileno(), tell)
        told.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(forever())


def bare(url: str, body: bytes, people: int, at_once: int) -> None:
    """The same requests, and nothing else."""
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    with httpx.Client(trust_env=False, timeout=60) as client, ThreadPoolExecutor(at_once) as pool:

        def one(_: int) -> None:
            reply = client.post(url, content=body, headers=headers)
            assert reply.text.startswith("Success"), reply.text

        for _ in pool.map(one, range(people)):
            pass


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--people", type=int, default=0)
    parser.add_argument("--kilobytes", type=int, default=280)
    parser.add_argument("--at-once", type=int, default=8)
    parser.add_argument("--latency-ms", type=float, nargs="+", default=[0.0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--kills", type=int, default=0)
    asked = parser.parse_args()
    wanted = asked.people
    for latency_ms in asked.latency_ms:
        asked.people = wanted or min(_MOST_PEOPLE, int(asked.at_once * _LONG_ENOUGH_S * 1000 / max(latency_ms, 1)))
        here, there = multiprocessing.Pipe()
        arguments = (there, latency_ms / 1000, asked.kills > 0)
        gateway = multiprocessing.get_context("spawn").Process(target=serve, args=arguments, daemon=True)
        gateway.start()
        account = Account("me", "secret", f"http://127.0.0.1:{here.recv()}")
        print(f"{asked.people:,} people, {asked.at_once} at once, a gateway that answers after {latency_ms:g} ms")
        with tempfile.TemporaryDirectory() as name:
            if asked.kills:
                _killed(Path(name), account, asked, here)
            else:
                _measure(Path(name), account, asked)
        gateway.terminate()


def _list(folder: Path, asked: argparse.Namespace) -> tuple[Path, Path]:
    """The people, and a text that nothing shrinks, so that the whole budget goes over the wire."""
    text = folder / "noise.txt"
    text.write_text("\n".join(os.urandom(36).hex() for _ in range(asked.kilobytes * 1000 // 73)))
    people = folder / "people.csv"
    rows = (f"{61400000000 + number},Person {number}\n" for number in range(asked.people))
    people.write_text("Mobile,Name\n" + "".join(rows))
    return people, text


def _killed(folder: Path, account: Account, asked: argparse.Namespace, gateway: Connection) -> None:
    """Kill it, go on, and count: nobody twice, nobody lost."""
    people, text = _list(folder, asked)
    command = [sys.executable, "-m", "mmsprep", "campaign", str(people), str(text), "-m", "Hi {Name}", "--yes"]
    command += ["--gateway", account.url, "--at-once", str(asked.at_once), "--report-csv", str(folder / "report.csv")]
    environment = os.environ | {"SMSGLOBAL_USERNAME": account.username, "SMSGLOBAL_PASSWORD": account.password}
    environment |= {"MMSPREP_JOURNAL": str(folder / "journal.db")}
    moments = sorted(random.sample(range(1, asked.people), asked.kills))
    for moment in [*moments, None]:
        child = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        while child.poll() is None:
            gateway.send(None)
            accepted, _ = gateway.recv()
            if moment is not None and accepted >= moment:
                child.send_signal(signal.SIGKILL)
                print(f"killed after {accepted:,} had it")
                break
            time.sleep(0.01)
        child.wait()
    gateway.send(None)
    _, seen = gateway.recv()
    with Journal(folder / "journal.db") as journal:
        states = {entry.recipient: entry.state for entry in journal.entries()}
    unknown = {number for number, state in states.items() if state == State.UNKNOWN}
    everybody = {str(61400000000 + number) for number in range(asked.people)}
    got = {number.decode() for number in seen}
    print(f"{len(got):,} got it, {sum(count > 1 for count in seen.values())} of them twice;", end=" ")
    print(
        f"{len(everybody - got - unknown)} lost; {len(unknown)} unknown, of whom {len(unknown & got)} got it;", end=" "
    )
    print(f"exit status {child.returncode}; highest memory {_memory_mb(resource.RUSAGE_CHILDREN):.0f} MB")


def _memory_mb(whose: int) -> float:
    return resource.getrusage(whose).ru_maxrss / 1024


def _measure(folder: Path, account: Account, asked: argparse.Namespace) -> None:
    people, text = _list(folder, asked)
    campaign = Campaign(people=read_people(people), text=Template("Hi {Name}"), files=(Template(str(text)),))
    rates: dict[str, list[float]] = {"bare": [], "campaign": []}
    cpu_ms: dict[str, list[float]] = {"bare": [], "campaign": []}
    for number in range(asked.rounds):
        checked = check(campaign)
        with Rendered(checked) as rendered, Journal(folder / f"journal-{number}.db") as journal:
            example = rendered.message(_first_words(checked))
            request = form.build_request(example, to="61400000000", account=account, transaction_id="t")
            body = request.body
            if number == 0:
                # What each loads once in a process is no part of a message's work.
                bare(account.door(form.PATH), body, 1, 1)
                send(example, to="61400000000", account=account)

            def campaigned(
                checked: Checked = checked, rendered: Rendered = rendered, journal: Journal = journal
            ) -> None:
                outcomes = run(
                    checked, rendered, Sending(account=account), journal=journal, pace=Pace(at_once=asked.at_once)
                )
                done = sum(outcome.receipt is not None for outcome in outcomes)
                assert done == asked.people, done

            runs = {
                "bare": lambda body=body: bare(account.door(form.PATH), body, asked.people, asked.at_once),
                "campaign": campaigned,
            }
            for what in ("bare", "campaign") if number % 2 == 0 else ("campaign", "bare"):
                began_s, cpu_s = time.perf_counter(), time.process_time()
                runs[what]()
                rates[what].append(asked.people / (time.perf_counter() - began_s))
                cpu_ms[what].append((time.process_time() - cpu_s) / asked.people * 1000)
            print(f"round {number + 1}: {len(body):,} bytes a request, media prepared {rendered.prepared} time(s)")
    for what, found in rates.items():
        rate, cpu = statistics.median(found), statistics.median(cpu_ms[what])
        print(f"{what:>10}: {rate:7.1f} messages a second, {cpu:.2f} ms of processor time each")
    ratio = statistics.median(rates["campaign"]) / statistics.median(rates["bare"])
    print(f"     ratio: {ratio:.2f}; highest memory {_memory_mb(resource.RUSAGE_SELF):.0f} MB")


def _first_words(checked: Checked) -> Words:
    return next(one.words for one in decisions(checked.campaign) if one.words)


if __name__ == "__main__":
    main()
