"""Makes every file in ``sample_media/``, and the manifest.

``python sample_media/make.py`` makes all of them, ``python sample_media/make.py 'formats/*.jpg'`` those that
match. The same versions of ffmpeg and the Python packages make the same bytes.
"""

from __future__ import annotations

import fnmatch
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import broken
import demo
import jpegs
import movies
import pictures
import recordings
import writings
from recipe import Sample

FOLDER = Path(__file__).parent
SAMPLES: tuple[Sample, ...] = (
    *demo.SAMPLES,
    *jpegs.SAMPLES,
    *pictures.SAMPLES,
    *recordings.SAMPLES,
    *movies.SAMPLES,
    *writings.SAMPLES,
    *broken.SAMPLES,
)
HEAD = """\
# What each file in sample_media/ is. Written by make.py: change the recipes, not this file.
# format: a slug of mmsprep.formats; error: the code of the error that the file must cause.

licence = "CC0-1.0"
"""


def manifest() -> str:
    """The text of MANIFEST.toml."""
    return HEAD + "".join(_entry(sample) for sample in SAMPLES)


def _entry(sample: Sample) -> str:
    verdict = "error" if sample.path.startswith("bad/") else "format"
    values = {
        "path": sample.path,
        verdict: sample.format,
        "what": sample.what,
        "odd": sample.odd,
        "made": sample.made,
        "licence": "CC0-1.0",
    }
    lines = (f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in values.items())
    return "\n[[sample]]\n" + "".join(lines)


def make(pattern: str) -> Iterator[tuple[str, int]]:
    """Write the samples whose path matches; yields each one's path and size in bytes."""
    for sample in SAMPLES:
        if fnmatch.fnmatch(sample.path, pattern):
            path = FOLDER / sample.path
            path.parent.mkdir(exist_ok=True)
            data = sample.make()
            path.write_bytes(data)
            yield sample.path, len(data)


if __name__ == "__main__":
    total_bytes = 0
    for name, size_bytes in make(sys.argv[1] if len(sys.argv) > 1 else "*"):
        total_bytes += size_bytes
        print(f"{size_bytes:>10,}  {name}", flush=True)
    print(f"{total_bytes:>10,}  bytes in all")
    (FOLDER / "MANIFEST.toml").write_text(manifest(), "utf-8")
