"""A pytest plugin (``-p tests.counted``): what runs in cages is counted, too, and the cages stay as they are.

A cage lets nobody write a file, but into a pipe that is open already. Every caged child is born with one, counts from
before its cage closes, and tells what is new of it before each answer, and before it becomes another program: it ends
by a signal and is never asked for more. What was told goes into coverage's data of this process.
"""

from __future__ import annotations

import json
import os
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import coverage
import pytest

import mmsprep
from mmsprep.tools import cage, process, worker

_COUNT = f"""
import os, sys
sys.path.append({str(Path(coverage.__file__).parent.parent)!r})
import coverage, json
sys.path.pop()
_ours = {str(Path(mmsprep.__file__).parent / "*")!r}
_counted = coverage.Coverage(None, branch=True, config_file=False, include=[_ours])
_counted.set_option("run:disable_warnings", ["no-data-collected"])
_told = set()

def _tell(descriptor={{descriptor}}):
    data = _counted.get_data()
    new = {{(file, *arc) for file in data.measured_files() for arc in data.arcs(file)}} - _told
    _told.update(new)
    words = (json.dumps(sorted(new)) + "\\n").encode()
    while words:
        words = words[os.write(descriptor, words):]

_tell()  # loads what it takes before the cage closes
_counted.start()
"""
_SHUT_IN = f"""
{_COUNT}
def _become(program, words, become=os.execv):
    _tell()
    become(program, words)

os.execv = _become
{cage._SHUT_IN}
_tell()
"""
_CHILD = f"""
import os
from __main__ import _tell
from importlib.util import module_from_spec, spec_from_file_location

class _Answers:
    def __init__(self, stream):
        self._stream = stream
        self.write = stream.write

    def flush(self):
        _tell()
        self._stream.flush()

def _first(*how, open=os.fdopen):
    os.fdopen = open  # the worker's line to answer by is the first that it opens
    return _Answers(open(*how))

def main():
    os.fdopen = _first
    found = spec_from_file_location("decoder_child", {str(worker._CHILD)!r})
    child = module_from_spec(found)
    found.loader.exec_module(child)
    child.main()
"""
_lock = threading.Lock()
_found = defaultdict[str, set[tuple[int, int]]](set)
_here = threading.local()


def _shut_in(shut_in: Any = cage.shut_in) -> list[str]:
    command: list[str] = shut_in()
    descriptor = getattr(_here, "descriptor", None)
    code = cage._SHUT_IN if descriptor is None else _SHUT_IN.replace("{descriptor}", str(descriptor))
    return [code if word == cage._SHUT_IN else word for word in command]


def _start(
    argv: Any, caged: Any, *, descriptors: Any = (), start: Any = process._start, **others: Any
) -> process.Child:
    if caged is None:
        child: process.Child = start(argv, caged, descriptors=descriptors, **others)
        return child
    ours, its = os.pipe()
    try:
        with _told_of(its):
            child = start(argv, caged, descriptors=(*descriptors, its), **others)
    except BaseException:
        os.close(ours)
        raise
    finally:
        os.close(its)
    threading.Thread(target=_hear, args=(ours,), daemon=True, name="counted").start()
    return child


@contextmanager
def _told_of(descriptor: int) -> Iterator[None]:
    _here.descriptor = descriptor
    try:
        yield
    finally:
        del _here.descriptor


def _hear(descriptor: int) -> None:
    with os.fdopen(descriptor, "rb") as told:
        for line in told:
            # The last line of one that is ended while it tells is cut.
            if line.endswith(b"\n"):
                with _lock:
                    for file, first, then in json.loads(line):
                        _found[file].add((first, then))


def pytest_configure(config: pytest.Config) -> None:
    """From now on every cage is counted in."""
    folder = TemporaryDirectory(prefix="counted-")
    config.add_cleanup(folder.cleanup)
    script = Path(folder.name, "decoder_child.py")
    script.write_text(_CHILD)
    worker._CHILD = script
    process._start = _start  # type: ignore[assignment]
    cage.shut_in = _shut_in


def pytest_unconfigure() -> None:
    """Put what was told beside what this process counts itself."""
    data = coverage.CoverageData(".coverage", suffix=True)
    with _lock:
        data.add_arcs(_found)
    data.write()
