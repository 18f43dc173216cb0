"""MediaInfo, at arm's length.

Comes in: the path of a file whose container our own sniffing has named. Goes out: MediaInfo's tracks. Never:
MediaInfo in this process: a damaged file can make it loop for minutes or take all memory, and a child can be
killed. One child serves a whole workspace, since starting one takes longer than reading thirty files.
"""

from __future__ import annotations

import json
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from mmsprep.errors import Damaged, ToolMissing
from mmsprep.model import FileMark
from mmsprep.tools.process import Cage, Child, ProcessGroup
from mmsprep.tools.untrusted import replaced

Track = dict[str, Any]
"""One track's facts, by pymediainfo's names; ``track_type`` is ``General``, ``Video``, ``Audio``, ..."""

_TIMEOUT_S = 15.0
_CHILD = Path(__file__).with_name("mediainfo_child.py")


class _Reply(msgspec.Struct):
    """What the child answers: one of the three, and the mark of the file that it opened."""

    tracks: list[Track] = []
    damaged: str = ""
    missing: str = ""
    mark: str = ""


class MediaInfoReader:
    """Asks the child, which is started at the first question; safe to use from several threads.

    The child is killed, and the file called damaged, when an answer takes longer than ``timeout_s``.
    """

    def __init__(self, processes: ProcessGroup, timeout_s: float = _TIMEOUT_S, cage: Cage | None = None) -> None:
        self._processes = processes
        self._cage = cage
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._child: Child | None = None

    def tracks(self, name: str, path: Path, mark: FileMark) -> list[Track]:
        """The tracks of the file at ``path``; ``name`` is what messages call it, ``mark`` says which file is meant.

        Raises:
            Unreadable: another file lies there.
            Damaged: MediaInfo cannot make sense of it, or not in reasonable time.
            ToolMissing: there is no MediaInfo library.
            ToolError: the work was cancelled.
        """
        with self._lock:
            reply = self._ask(path)
        if reply is None:
            raise Damaged(name, "its structure cannot be read in reasonable time and memory; get the file again")
        if reply.missing:
            raise ToolMissing(
                f"MediaInfo: {reply.missing}; 'pip install --force-reinstall pymediainfo' brings it for"
                " common systems, elsewhere install the system's libmediainfo"
            )
        if reply.mark and reply.mark != f"{mark.device} {mark.inode} {mark.size_bytes} {mark.changed_ns}":
            raise replaced(name)
        if reply.damaged:
            raise Damaged(name, f"its structure cannot be read ({reply.damaged}); get the file again")
        return reply.tracks

    def close(self) -> None:
        """End the child; called once the work is done or cancelled."""
        with self._lock:
            if self._child is not None:
                self._processes.end(self._child)
                self._child = None

    def _ask(self, path: Path) -> _Reply | None:
        """One question, one answer; ``None`` when the child died of it, was killed, or answered nonsense.

        One that died before the question came is replaced.
        """
        if self._child is not None and self._child.poll() is not None:
            self._give_up(self._child)
        if self._child is None:
            self._child = self._processes.start([sys.executable, "-P", str(_CHILD)], self._cage)
        child = self._child
        assert child.stdin is not None
        assert child.stdout is not None
        watchdog = threading.Timer(self._timeout_s, child.kill)
        watchdog.start()
        line = b""
        with suppress(OSError, ValueError):  # a pipe whose other end is gone, or closed by kill_all
            child.stdin.write(json.dumps(str(path)).encode("ascii") + b"\n")
            child.stdin.flush()
            line = child.stdout.readline()
        watchdog.cancel()
        if line.endswith(b"\n"):
            with suppress(msgspec.MsgspecError, ValueError, RecursionError):
                return msgspec.json.decode(line, type=_Reply)
        self._give_up(child)
        return None

    def _give_up(self, child: Child) -> None:
        self._processes.end(child)
        self._child = None
