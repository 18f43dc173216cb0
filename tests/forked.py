"""``mmsprep`` in a process of its own that need not load what an earlier one has: forked from one that has loaded it.

For tests of what a command does. How it starts (encodings, what is loaded when, a terminal) is tried by starting it.
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

_SERVER = """
import sys
sys.path[:] = {path!r}
from forked import serve
serve()
"""


class Forked:
    """Runs commands; one at a time."""

    def __init__(self, server: subprocess.Popen[bytes]) -> None:
        self._server = server

    def run(
        self, arguments: Sequence[str], *, environment: Mapping[str, str], folder: Path, stdin: bytes = b""
    ) -> subprocess.CompletedProcess[bytes]:
        """``mmsprep arguments`` in ``folder``; its encodings are those of UTF-8 mode, whatever ``environment`` says."""
        assert self._server.stdin is not None and self._server.stdout is not None
        with tempfile.TemporaryDirectory(prefix="forked-") as name:
            files = [str(Path(name, stream)) for stream in ("in", "out", "err")]
            Path(files[0]).write_bytes(stdin)
            asked = {"arguments": list(arguments), "environment": dict(environment), "folder": str(folder)}
            self._server.stdin.write(json.dumps(asked | {"files": files}).encode() + b"\n")
            self._server.stdin.flush()
            status = int(self._server.stdout.readline())
            out, err = (Path(file).read_bytes() for file in files[1:])
        return subprocess.CompletedProcess(list(arguments), status, out, err)


@contextmanager
def forking() -> Iterator[Forked]:
    """A process that has loaded what commands need, for the block."""
    kept = {**os.environ, "PYTHONIOENCODING": "utf-8", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-c", _SERVER.format(path=sys.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=kept) as server:
        try:
            yield Forked(server)
        finally:
            assert server.stdin is not None
            server.stdin.close()
            try:
                server.wait(20)
            finally:
                server.kill()


def serve() -> None:
    """Answer each question with the status of the command, until there are no more."""
    import mmsprep.cli.batch_progress
    import mmsprep.cli.campaign
    import mmsprep.cli.commands
    import mmsprep.cli.tables
    import mmsprep.pipeline.order
    import mmsprep.receive.store
    import mmsprep.sender.journal

    mmsprep.cli.commands.commands()
    questions, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    assert threading.active_count() == 1, "what is forked takes no other threads along"
    for line in questions:
        asked = json.loads(line)
        child = os.fork()
        if not child:
            _be(**asked)
        _, status = os.waitpid(child, 0)
        answers.write(b"%d\n" % os.waitstatus_to_exitcode(status))
        answers.flush()


def _be(arguments: list[str], environment: dict[str, str], folder: str, files: list[str]) -> None:
    from mmsprep.__main__ import main

    for number, file in enumerate(files):
        opened = os.open(file, os.O_RDWR | os.O_CREAT)
        os.dup2(opened, number)
        os.close(opened)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = ["mmsprep", *arguments]
    status: object = 1
    try:
        main()
    except SystemExit as left:
        status = left.code or 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status if isinstance(status, int) else 1)
