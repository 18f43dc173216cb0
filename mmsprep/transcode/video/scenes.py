"""The scenes of a clip: where what is seen changes, and for each stretch the frame that stands for it.

Comes in: a clip and how many scenes there may be. Goes out: their bounds and frames. Never: a frame at full size, or a
decision about bytes.

Cuts are ffmpeg's own, to the frame (``scdet``). What changes slowly, as a page that is written on or scrolled, has no
cut; so the stretches between cuts are divided further, second by second, and neighbours are joined again as long as
they look alike or there are too many: whatever costs least, the look of the shorter one times how long it stood.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise
from typing import Any

import ffmpeg as graph
import numpy as np
from numpy.typing import NDArray

from mmsprep.errors import Damaged
from mmsprep.model import Attachment, MediaInfo
from mmsprep.tools import ffmpeg
from mmsprep.tools.workspace import Workspace
from mmsprep.transcode.video.pictures import upright_pictures
from mmsprep.transcode.video.sizes import within

_LONG_PX = 96
_MOST_FPS, _UNKNOWN_FPS = 10.0, 25.0
_MOST_FRAMES = 6_000
_CUT_SCORE = 6.0
_GRID_S = 1.0
_SHORTEST_S = 1.0
_ALIKE = 0.009
"""Root mean square of the difference of two pictures in grey, 0..1: a line of text more is 0.015, noise is less."""
_EDGE_S = 0.2
_NEARLY, _NEARLY_MORE = 1.25, 0.003

_COMPARED = 200

Frames = NDArray[np.uint8]
"""Grey pictures: number, row, column."""
Look = NDArray[np.float32]
"""The pixels of one picture, or the mean of several, 0..1."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What is seen from ``from_s`` to ``to_s``; ``frame`` stands for it, counted at the rate of :class:`Scenes`."""

    from_s: float
    to_s: float
    frame: int

    @property
    def length_s(self) -> float:
        """How long it stands."""
        return self.to_s - self.from_s


@dataclass(frozen=True, slots=True)
class Scenes:
    """The scenes of a clip in order, without gaps, from 0 to its end; frames are counted at ``fps``."""

    scenes: tuple[Scene, ...]
    fps: float


def find_scenes(attachment: Attachment, info: MediaInfo, most: int, workspace: Workspace) -> Scenes:
    """At most ``most`` scenes; fewer where fewer can be told apart.

    Raises:
        Damaged: no frame decodes.
        OverInputLimit: the decode takes too long, or too much room.
    """
    fps = min(info.frame_rate_fps or _UNKNOWN_FPS, _MOST_FPS, _MOST_FRAMES / max(1.0, info.duration_s or 1.0))
    width_px, height_px = within(info.width_px or 320, info.height_px or 240, _LONG_PX)
    told = workspace.new_path(".txt")
    stream = (
        upright_pictures(attachment, info, workspace)
        .filter("scale", width_px, height_px, flags="area")
        .filter("format", "gray")
    )
    stream = stream.filter("scdet", threshold=_CUT_SCORE)
    stream = stream.filter("metadata", mode="print", key="lavfi.scd.time", file=str(told))
    stream = sampled(stream, fps)
    output = graph.output(stream, "pipe:1", f="rawvideo", pix_fmt="gray", frames=_MOST_FRAMES)
    with ffmpeg.decoding(attachment.name, "has no picture that decodes"):
        raw = ffmpeg.run(workspace, output).stdout
    size = width_px * height_px
    frames = np.frombuffer(raw, np.uint8, len(raw) // size * size).reshape(-1, height_px, width_px)
    if not len(frames):
        raise Damaged(attachment.name, "has no picture that decodes")
    cuts = _cuts(workspace.read(told).decode("ascii", "replace")) if workspace.size_bytes(told) else []
    return Scenes(tuple(scenes_of(frames, fps, cuts, most)), fps)


def sampled(stream: Any, fps: float) -> Any:
    """Frames at even times, as they are counted here."""
    return stream.filter("fps", f"{fps:.6f}", start_time=0)


def _cuts(told: str) -> list[float]:
    return sorted(float(found) for found in re.findall(r"lavfi\.scd\.time=([0-9.]+)", told))


def scenes_of(frames: Frames, fps: float, cuts: Sequence[float], most: int) -> list[Scene]:
    """The scenes of small grey pictures, ``fps`` of them a second, with cuts at some moments."""
    end_s = len(frames) / fps
    bounds = _joined(frames, fps, _bounds(cuts, end_s), most)
    return [Scene(low, high, _standing_for(frames, fps, low, high)) for low, high in pairwise(bounds)]


def _bounds(cuts: Sequence[float], end_s: float) -> list[float]:
    """0, the cuts, full seconds that are not near one, and the end."""
    kept = sorted({cut for cut in cuts if 0 < cut < end_s})
    grid = np.arange(_GRID_S, end_s - _GRID_S / 2, _GRID_S)
    free = [float(second) for second in grid if not any(abs(second - cut) < _GRID_S / 2 for cut in kept)]
    return [0.0, *sorted([*kept, *free]), end_s]


def _joined(frames: Frames, fps: float, bounds: Sequence[float], most: int) -> list[float]:
    """The bounds that are left when neighbours are joined that look alike, are too short, or are too many."""
    looks = [_pixels(frames[_places(low, high, fps, len(frames))]).mean(axis=0) for low, high in pairwise(bounds)]
    lengths = [high - low for low, high in pairwise(bounds)]
    left = list(bounds)
    while len(looks) > 1:
        costs = [_cost(*pair, *both) for pair, both in zip(pairwise(looks), pairwise(lengths), strict=True)]
        place = min(range(len(costs)), key=costs.__getitem__)
        if costs[place][0] is _Joins.AT_A_LOSS and len(looks) <= most:
            break
        one, other = lengths[place], lengths.pop(place + 1)
        share = one / (one + other) if one + other else 0.5
        looks[place] = looks[place] * share + looks.pop(place + 1) * (1 - share)
        lengths[place] = one + other
        del left[place + 1]
    return left


class _Joins(IntEnum):
    """Why two neighbours may be joined; the first that fits anywhere is done first."""

    ALIKE = 0
    TOO_SHORT = 1
    AT_A_LOSS = 2


def _cost(one: Look, other: Look, one_s: float, other_s: float) -> tuple[_Joins, float]:
    """What is lost when two neighbours become one."""
    apart = float(np.sqrt(((one - other) ** 2).mean()))
    if apart < _ALIKE:
        return _Joins.ALIKE, apart
    cost = apart * one_s * other_s / (one_s + other_s)
    return (_Joins.TOO_SHORT if min(one_s, other_s) < _SHORTEST_S else _Joins.AT_A_LOSS), cost


def _pixels(frames: Frames) -> Look:
    """A row a frame, 0..1."""
    return frames.reshape(len(frames), -1).astype(np.float32) / np.float32(255)


def _places(low: float, high: float, fps: float, count: int) -> slice:
    """The frames between two moments, one at least."""
    first = min(math.ceil(low * fps - 1e-6), count - 1)
    return slice(first, max(first + 1, min(math.ceil(high * fps - 1e-6), count)))


def _standing_for(frames: Frames, fps: float, low: float, high: float) -> int:
    """The frame that is nearest to all others between two moments; of those nearly as near, the one with most in it.

    The first and last moments, where pictures are blended, are left out where there are others.
    """
    edge_s = min(_EDGE_S, (high - low) / 4)
    places = _places(low + edge_s, high - edge_s, fps, len(frames))
    numbers = np.arange(places.start, places.stop, max(1, (places.stop - places.start) // _COMPARED))
    some = _pixels(frames[numbers])
    distances = np.array([np.abs(some - one).mean() for one in some])
    near = numbers[distances <= distances.min() * _NEARLY + _NEARLY_MORE]
    contents = np.array([_content(frames[number]) for number in near])
    return int(near[np.flatnonzero(contents >= contents.max() * 0.999)[-1]])


def _content(frame: NDArray[np.uint8]) -> float:
    """How much there is to see: the sum of its edges, which blur takes away and a line of text brings."""
    values = frame.astype(np.float32)
    return float(np.abs(np.diff(values, axis=0)).mean() + np.abs(np.diff(values, axis=1)).mean())
