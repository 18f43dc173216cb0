"""Systems that this one is not: what only POSIX or only Linux has is taken away, and everything can still be loaded."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).parent.parent
_TAKE_AWAY = """
import asyncio, ctypes, multiprocessing.connection, os, pathlib, shutil, signal, socket, subprocess, sys, tempfile
import anyio, distributed, httpx, psycopg, sqlalchemy, uvicorn
import celery, django.conf, execnet, flask, hypothesis, moto, platformdirs, playwright.sync_api, pytest, xdist
for name in ("fcntl", "grp", "pty", "pwd", "resource", "termios", "tty"):
    sys.modules[name] = None
for module, names in (
    (os, "chown fork getegid geteuid getuid killpg mkfifo posix_fallocate register_at_fork sched_getaffinity setsid"
         " setuid sysconf O_DIRECTORY O_NOFOLLOW O_PATH"),
    (signal, "alarm setitimer SIGALRM SIGHUP SIGKILL SIGSTOP SIGXCPU"),
    (socket, "AF_UNIX send_fds recv_fds"),
):
    for name in names.split():
        if hasattr(module, name):
            delattr(module, name)
"""
"""What Windows lacks, as far as the standard library and other people's packages, which ask which system this is, get
by without it once they are loaded."""


def _run(code: str) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "MMSPREP_"))}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=_ROOT, env=environment
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]


def test_every_module_loads_where_there_are_no_posix_calls() -> None:
    _run(
        _TAKE_AWAY + "import importlib, pkgutil, mmsprep\n"
        "for found in pkgutil.walk_packages(mmsprep.__path__, 'mmsprep.'):\n"
        "    if not found.name.endswith(('__main__', '.decoder_child')): importlib.import_module(found.name)\n"
    )


@pytest.mark.slow
def test_every_test_is_collected_where_there_are_no_posix_calls() -> None:
    """A test that needs POSIX says so and is skipped; none breaks its file."""
    _run(
        _TAKE_AWAY
        + "import pytest\nsys.exit(pytest.main(['--collect-only', '-q', '-n', '0', '-p', 'no:cacheprovider', 'tests']))"
    )
