"""Same inputs, same profile, same versions: the same bytes, in any process and with any number of threads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

_PREPARE = """
import hashlib, json, sys
from mmsprep import prepare
message = prepare(sys.argv[2:], text="Greetings", limit_bytes=int(sys.argv[1]), trim=True)
print(json.dumps([[part.name, part.size_bytes, hashlib.sha256(part.data).hexdigest()] for part in message.parts]))
"""


def _parts(limit_bytes: int, paths: list[Path], jobs: int, seed: int) -> list[list[object]]:
    environment = {**os.environ, "MMSPREP_JOBS": str(jobs), "PYTHONHASHSEED": str(seed)}
    done = subprocess.run(
        [sys.executable, "-c", _PREPARE, str(limit_bytes), *map(str, paths)],
        env=environment,
        capture_output=True,
        check=True,
        timeout=300,
    )
    parts: list[list[object]] = json.loads(done.stdout)
    return parts


@pytest.mark.parametrize(
    ("limit_bytes", "names"),
    [
        (40_000, ["photo.jpg", "palette.png", "rotated.heic", "animated.gif"]),
        (90_000, ["clip.mp4", "photo.jpg", "float.wav"]),
    ],
    ids=["pictures", "a clip, a photo and a recording"],
)
def test_the_same_bytes_come_out_of_any_process_with_any_number_of_threads(
    sample_media: Path, limit_bytes: int, names: list[str]
) -> None:
    paths = [sample_media / "formats" / name for name in names]
    once = _parts(limit_bytes, paths, jobs=1, seed=1)
    assert len(once) == len(names)
    assert once == _parts(limit_bytes, paths, jobs=4, seed=2)
