"""A clip or a sound decoded to its end: how long it plays, what it shows, what its decoder has against it.

Comes in: finished bytes, and an input of ffmpeg's that reads them. Goes out: outputs for a run of ffmpeg, which may
have others beside them, and what that run told. Never: a judgement; what is wrong with an output is for the pipeline to
say.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmsprep.model import Played
from mmsprep.seeing.contrast import FOUR_A_SECOND, frames_contrast, frames_of
from mmsprep.tools import ffmpeg
from mmsprep.tools.complaints import in_words
from mmsprep.tools.workspace import Workspace


def to_its_end(source: Any, frames: Path | None) -> list[Any]:
    """Outputs of ffmpeg's that take every stream of ``source``, which is the first input; ``frames`` is a new file for
    what a clip shows."""
    # Without being told ffmpeg takes the largest pictures of all inputs, be they what a clip is compared with.
    outputs = [source.output("pipe:1", f="null", map="0")]
    return outputs if frames is None else [*outputs, frames_of(source.video, frames, FOUR_A_SECOND)]


def played(data: bytes, done: ffmpeg.Completed, frames: Path | None, workspace: Workspace) -> Played:
    """What a run with the outputs of :func:`to_its_end` told of ``data``."""
    complaint = in_words(done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2])
    contrast = None
    if frames is not None:
        contrast = frames_contrast(workspace.read(frames))
        frames.unlink()
    return Played(data, done.reached_s, contrast, complaint)
