"""Fixtures that every test file may use."""

from __future__ import annotations

import importlib
import logging
import os
import pkgutil
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import postgresql
import pytest
from forked import Forked, forking

import mmsprep
from mmsprep.model import Attachment, MediaInfo
from mmsprep.profile import Profile, load_profile
from mmsprep.settings import Settings
from mmsprep.sniff import sniff
from mmsprep.tools import ffmpeg
from mmsprep.tools.workspace import Workspace

if TYPE_CHECKING:
    from mmsprep.sandbox import Sandbox

# How long an example takes says something about the machine, nothing about the code. A change is judged by the same
# examples each time; every night other ones are tried (pytest --hypothesis-profile nightly).
_ANYWHERE = hypothesis.settings(
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow, hypothesis.HealthCheck.function_scoped_fixture],
)
hypothesis.settings.register_profile("each-time", _ANYWHERE, derandomize=True, max_examples=60)
hypothesis.settings.register_profile("nightly", _ANYWHERE, max_examples=1000)
hypothesis.settings.load_profile("each-time")


def pytest_configure() -> None:
    """Tests interrupt and end programs: what this run was told to ignore (nohup, a shell's &) is not for them."""
    for name in ("SIGINT", "SIGHUP", "SIGTERM"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if name == "SIGINT" else signal.SIG_DFL)
    # pytest compiles the modules of what brings it a plugin by itself. Two threads that do so at once end in a
    # SystemError (python/cpython#106905, before 3.11.8 and 3.12.2), and workers import what they need: here first.
    for module in pkgutil.walk_packages(mmsprep.__path__, "mmsprep."):
        if not module.name.endswith("__main__"):
            with suppress(ImportError):  # of an extra that is not installed
                importlib.import_module(module.name)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One more than there are processors: a fifth of a test's time is spent waiting."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes minutes is given an hour."""
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.timeout(3600))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """What Windows does not have is not asked of it; ``@pytest.mark.posix(what)`` says what a test needs."""
    needed = item.get_closest_marker("posix")
    if needed is not None and os.name != "posix":
        pytest.skip(f"needs {needed.args[0]} as POSIX systems have them")


@pytest.fixture(scope="session")
def django() -> Any:
    """Django with its settings made: it takes them once in a process."""
    found = pytest.importorskip("django")
    from django.conf import settings

    settings.configure(USE_I18N=False, DEFAULT_CHARSET="utf-8", MMS_COUNTRY="AU", SECRET_KEY="x")
    found.setup()
    return found


_LOGS = [(log, log.handlers, log.level) for log in map(logging.getLogger, ("mmsprep", "uvicorn.error"))]
"""As they are where nobody has taken hold of the log."""


@pytest.fixture(autouse=True)
def log_as_it_was() -> Iterator[None]:
    """Who serves takes hold of the log of this process: no test finds it so, or leaves it."""
    _give_logs_back()
    yield
    _give_logs_back()


def _give_logs_back() -> None:
    for log, handlers, level in _LOGS:
        log.handlers, log.propagate = list(handlers), True
        # What a logger knows of levels is forgotten by this alone.
        log.setLevel(level)


@pytest.fixture(scope="session")
def sample_media() -> Path:
    """The folder of small inputs that ``sample_media/make.py`` makes."""
    return Path(__file__).parent.parent / "sample_media"


@pytest.fixture(scope="session")
def settings() -> Settings:
    """The default settings, whatever this machine's environment says."""
    return Settings()


@pytest.fixture(scope="session")
def profile() -> Profile:
    """The default profile."""
    return load_profile("smsglobal")


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[postgresql.Server]:
    """PostgreSQL, started for the tests; where there is none, those that need it are skipped."""
    with ExitStack() as stack:
        try:
            server = stack.enter_context(postgresql.running())
        except LookupError as error:
            pytest.skip(str(error))
        yield server


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A browser; where there is none, the tests that need it are skipped. It holds the thread's event loop."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no Chromium here (apt-get install chromium)")
    quiet = ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-quic"]
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox", "--disable-gpu", "--no-first-run", *quiet]
        )
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def forked() -> Iterator[Forked | None]:
    """The command without loading it each time; none where processes do not fork."""
    if not hasattr(os, "fork"):
        yield None
        return
    with forking() as one:
        yield one


@pytest.fixture
def workspace(settings: Settings) -> Iterator[Workspace]:
    """A temporary folder and its ffmpeg runs, gone after the test."""
    with Workspace(settings) as opened:
        yield opened


@pytest.fixture(scope="module")
def look(settings: Settings) -> Iterator[Callable[..., MediaInfo]]:
    """Sniff some bytes under a name, with the default or other limits."""
    with Workspace(settings) as opened:

        def sniffed(data: bytes, name: str = "file", **limits: float) -> MediaInfo:
            attachment = Attachment(0, name, len(data), data=data)
            return sniff(attachment, replace(settings, **limits), opened)  # type: ignore[arg-type]

        yield sniffed


@pytest.fixture(scope="module")
def make(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], bytes]:
    """Have ffmpeg make a file of its arguments and an extension."""
    folder = tmp_path_factory.mktemp("made")

    def made(arguments: str, extension: str) -> bytes:
        path = folder / f"made.{extension}"
        command = [ffmpeg.executable(settings), "-v", "error", "-y", "-nostdin", *arguments.split(), str(path)]
        subprocess.run(command, check=True, timeout=300)
        return path.read_bytes()

    return made


@pytest.fixture(scope="module")
def running() -> Iterator[Sandbox]:
    """One sandbox for all tests of a file."""
    from mmsprep.sandbox import Sandbox

    with Sandbox() as gateway:
        yield gateway


@pytest.fixture
def gateway(running: Sandbox) -> Sandbox:
    """The file's sandbox, emptied."""
    running.clear()
    return running
