"""Freed memory is kept where that saves time, in our own processes alone."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

_FAULTS = """
import resource, sys
if sys.argv[1] == "kept":
    from mmsprep.tools.memory import keep_freed_memory
    keep_freed_memory()
else:
    import mmsprep.pipeline
def work():
    for _ in range(20):
        planes = [bytearray(3_000_000) for _ in range(12)]
        del planes
work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
work()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's allocator has these settings")
def test_memory_that_is_kept_is_not_fetched_from_the_system_again() -> None:
    kept, plain = (
        int(subprocess.run([sys.executable, "-c", _FAULTS, how], capture_output=True, check=True).stdout)
        for how in ("kept", "plain")
    )
    assert kept < 1000 < plain
