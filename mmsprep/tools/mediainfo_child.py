"""A child process that reads strangers' sound and video files with MediaInfo.

Comes in: a line of JSON with a path. Goes out: a line of JSON with the file's tracks, or an error. Never:
a path handed to MediaInfo, which could look for other files there.

It runs on its own, so it imports nothing of ours; its cage limits its memory. It is killed when it takes too long: in
a damaged or hostile file, a table that promises 2 000 000 000 entries makes MediaInfo count them.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any, BinaryIO


def read_tracks(file: BinaryIO) -> list[dict[str, Any]]:
    """Every track's facts, as pymediainfo names them, without those that are spelled out for people."""
    from pymediainfo import MediaInfo

    found = MediaInfo.parse(file, encoding_errors="replace")
    return [
        {key: value for key, value in track.to_data().items() if not key.startswith("other_")} for track in found.tracks
    ]


def answer(path: Path) -> dict[str, Any]:
    """``tracks``, ``damaged`` (the parser's complaint) or ``missing`` (there is no library), and which file it was."""
    try:
        from pymediainfo import MediaInfo

        if not MediaInfo.can_parse():
            return {"missing": "the library cannot be loaded"}
    except ImportError as error:
        return {"missing": str(error)}
    mark = ""
    try:
        # A pipe that was put in the file's place is not waited for.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            mark = f"{status.st_dev} {status.st_ino} {status.st_size} {status.st_mtime_ns}"
            return {"tracks": read_tracks(file), "mark": mark}
    except Exception as error:  # whatever MediaInfo's answer to a broken file breaks
        return {"damaged": f"{type(error).__name__}: {error}", "mark": mark}


def main() -> None:
    """Answer until standard input ends."""
    for line in sys.stdin.buffer:
        reply = json.dumps(answer(Path(json.loads(line))))
        sys.stdout.buffer.write(reply.encode("ascii") + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
