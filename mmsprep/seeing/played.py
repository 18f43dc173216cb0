"""A clip or a sound decoded to its end: how long it plays, what it shows, what its decoder has against it.

Comes in: finished bytes, and an input of ffmpeg's that reads them. Goes out: outputs for a run of ffmpeg, which may
have others beside them, and what that run told. Never: a judgement; what is wrong with an output is for the pipeline to
say.
"""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import ffmpeg as graph

from mmsprep.model import Played
from mmsprep.seeing.contrast import FOUR_A_SECOND, frames_contrast, frames_of
from mmsprep.tools import ffmpeg
from mmsprep.tools.complaints import in_words
from mmsprep.tools.workspace import Workspace

_TIME_BASE = re.compile(rb"^#tb (\d+): (\d+)/(\d+)\s*$", re.M)
_FRAME = re.compile(rb"^(\d+), *-?\d+, *(-?\d+), *(\d+),", re.M)
"""A stream and its unit in seconds; of a frame its stream, when it begins and how long it stands, in that unit."""


def to_its_end(source: Any, frames: Path | None) -> list[Any]:
    """Outputs of ffmpeg's that take the pictures and sounds of ``source``; ``frames`` is a new file for what a clip
    shows.

    Standard output is a line for each frame: how far a run with several outputs came is told in as many ways as there
    are versions of ffmpeg. Pictures are handed on as they lie, as a checksum of them is not wanted.
    """
    streams, as_they_lie = (source["v?"], source["a?"]), {"c:v": "wrapped_avframe", "fps_mode": "vfr"}
    outputs = [graph.output(*streams, "pipe:1", f="framecrc", **as_they_lie)]
    return outputs if frames is None else [*outputs, frames_of(source.video, frames, FOUR_A_SECOND)]


def played(data: bytes, done: ffmpeg.Completed, frames: Path | None, workspace: Workspace) -> Played:
    """What a run with the outputs of :func:`to_its_end` told of ``data``."""
    complaint = in_words(done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2])
    contrast = None
    if frames is not None:
        contrast = frames_contrast(workspace.read(frames))
        frames.unlink()
    return Played(data, _end_s(done.stdout), contrast, complaint)


def _end_s(told: bytes) -> float:
    """When the last frame of all streams ends; 0 where there is none."""
    units = {stream: Fraction(int(number), int(divisor)) for stream, number, divisor in _TIME_BASE.findall(told)}
    ends: dict[bytes, int] = {}
    for stream, begins, lasts in _FRAME.findall(told):
        ends[stream] = max(ends.get(stream, 0), int(begins) + int(lasts))
    return float(max((end * units[stream] for stream, end in ends.items()), default=0))
