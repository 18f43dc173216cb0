"""Animations: made to fit by size and by frames left out, or a clip where that is not enough.

Comes in: animated files. Goes out: GIF bytes; 3GP where a GIF would fall below the floor. Never: a change of how
long an animation plays, but for the pauses of one that would be too long for a clip.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from mmsprep.formats import FORMATS
from mmsprep.model import (
    QUALITY_BANDS,
    Action,
    Attachment,
    Curve,
    CurvePoint,
    MediaInfo,
    Reason,
    ReasonCode,
    Rendition,
    Source,
)
from mmsprep.profile import Profile
from mmsprep.seeing.contrast import contrast
from mmsprep.tools.isolation import isolated, senseless
from mmsprep.tools.once import once
from mmsprep.tools.workspace import Workspace
from mmsprep.transcode.image.colour import ground_note
from mmsprep.transcode.image.frames import Animation, read_animation
from mmsprep.transcode.image.gif import MOST_REPEATS, indexed, write_gif
from mmsprep.transcode.image.palette import MOST_COLOURS, palette_of
from mmsprep.transcode.image.score import Reference
from mmsprep.transcode.image.shrink import shrunk

if TYPE_CHECKING:
    from mmsprep.transcode.video.clip import VideoSource

_PALETTE_FRAMES = 12
_PALETTE_PIXELS = 300_000
"""Frames, and pixels of them, that the palette is made of. Set by hand."""
_SLOWEST_MS = 250
"""Milliseconds: frames are left out as long as what is left stands no longer than that in the mean."""
_PAUSE_MS = 10_000
"""Milliseconds of a frame in a clip, where all of it would be too long. Set by hand."""
_EVERY = (1, 2, 3, 4, 6)
_FACTORS = tuple(0.88**step for step in range(20))
"""What is tried: every n-th frame kept, and of the sides."""
_SMALLEST_LONG_PX = 48
_MEASURED_FACTORS = (1.0, 0.6, 0.35, 0.2)
_MEASURED_FRAMES = 3
_PROBE_PIXELS = 1_500_000
"""Pixels of the longest side at least; of the sides and in number of frames where quality is measured, between which
it is interpolated; pixels of the one small encode that sizes are foretold from."""
_SIZE_EXPONENT = 1.75
_FRAMES_EXPONENT = 0.85
"""The powers of the sides and of the number of frames that bytes grow with; real encodes correct what they
foretell."""
_ENCODES = 5
"""Of one render at most."""
_AIM, _FILLED = 0.99, 0.985
_STEADY = 6.0
"""Of the loss by frames that are left out: 5 % for every other one, 13 % for two of three. Set by hand."""
_COMPARED_FRAMES = 20
"""Are looked at to tell whether an animation is more than one colour."""
_CLIP_BELOW_BYTES = 20_000
"""A GIF that is good enough and no larger is never foretold as a clip. Set by hand."""
_LEAST_QUALITY = 30.0
"""Below this, lettering in an animation cannot be read."""
_BETTER_A_CLIP = QUALITY_BANDS["medium"]
"""Below this the same bytes hold a clip of more pixels and frames (a slow pan over a photograph, 300 x 220 px, 5 s: 45
as a GIF of 164 x 120 px and every fourth frame, 99 as a clip)."""
_LONG_ENOUGH_MS = 3_000
"""What is shorter has to repeat, and clips do not: it stays a GIF for as long as it can be read. Set by hand."""


@dataclass(frozen=True, slots=True)
class _Setting:
    """How much smaller, and every how manieth frame."""

    factor: float
    every: int


_WHOLE = _Setting(1.0, 1)


class AnimationSource(Source):
    """An animation that can be made smaller and choppier, or a clip (see :class:`mmsprep.model.Source`)."""

    floor_quality = 0.0
    _is_settled = False

    def __init__(self, attachment: Attachment, info: MediaInfo, profile: Profile, workspace: Workspace) -> None:
        self._least = max(profile.image.floor_quality, _LEAST_QUALITY)
        # As a clip it is worth sending from where clips are.
        self.floor_quality = min(self._least, profile.video.floor_quality) if profile.video else self._least
        self._profile = profile
        animation = isolated(workspace, read_animation, attachment, info, profile.image, workspace.settings)
        if not _makes_sense(animation):
            raise senseless(attachment.name)
        self._animation = animation
        lasts = animation.duration_ms >= _LONG_ENOUGH_MS
        self._enough = max(self._least, _BETTER_A_CLIP) if profile.video and lasts else self._least
        loop, self._notes = _countable(animation.loop)
        self._contrast = max(contrast(frame.image) for frame in animation.frames[:_COMPARED_FRAMES])
        if animation.ground:
            self._notes = (*self._notes, ground_note(animation.ground))
        self._gifs = _Gifs(animation, loop)
        self._as_clip = _AsClip(animation, profile, workspace)

    def reaching(self, quality: float) -> AnimationSource:
        """The same, a clip where a GIF is worth less than ``quality``."""
        other = copy(self)
        asked = min(quality, QUALITY_BANDS["excellent"])
        other._least, other._enough = max(self._least, asked), max(self._enough, asked)
        return other

    def settled(self, max_bytes: int) -> AnimationSource:
        """A clip alone, where no GIF should be good enough: what it counts for beside GIFs is less than it is worth."""
        first = self._first_gif
        if (first and first.size_bytes <= _CLIP_BELOW_BYTES) or self._clip_at(max_bytes) is None:
            return self
        other = copy(self)
        other._is_settled = True
        return other

    def curve(self) -> Curve:
        """From one small encode and a few frames' scores; what the clip can do below the floor."""
        gifs = self._gifs
        if self._is_settled and (settled := self._as_clip.source) is not None:
            return self._clip_alone(settled.curve())
        chosen = [gifs.best(size) for size in gifs.sizes()]
        points = [CurvePoint(gifs.predicted_bytes(setting), gifs.quality(setting)) for setting in chosen]
        enough = [
            point for setting, point in zip(chosen, points, strict=True) if self._is_enough(setting, point.quality)
        ]
        first = enough[0] if enough else points[-1]
        if first.size_bytes > _CLIP_BELOW_BYTES and (clip := self._as_clip.source) is not None:
            points = [*self._beside(first, clip.curve().points), *enough] if enough else [*clip.curve().points]
        points.sort(key=lambda point: point.size_bytes)
        return Curve(tuple(points), whole_bytes=gifs.predicted_bytes(_WHOLE))

    def _is_enough(self, setting: _Setting, quality: float) -> bool:
        """Whether a GIF is sent rather than a clip; one of every pixel and frame lacks colours alone."""
        return quality >= (self._least if setting == _WHOLE else self._enough)

    def _beside(self, first: CurvePoint, clip: Sequence[CurvePoint]) -> list[CurvePoint]:
        """What a clip gives in fewer bytes than ``first``, the first GIF that is good enough.

        However good it looks, it counts for less: it does not repeat, and not every place shows it in the text.
        """
        # A GIF of every pixel and frame may be sent at less than others are: no clip before it is worth more.
        floor = min(self._enough, first.quality)
        room = (first.quality - floor) / 101
        return [
            point if point.quality < floor else CurvePoint(point.size_bytes, floor + room * point.quality)
            for point in clip
            if point.size_bytes < first.size_bytes
        ]

    def _clip_alone(self, clip: Curve) -> Curve:
        """What a clip gives where it is no GIF's bytes that it gets."""
        first = self._first_gif
        if first is None or clip.points[-1].size_bytes < first.size_bytes:
            return clip
        most_bytes = max(first.size_bytes - 1, clip.points[0].size_bytes)
        points = [point for point in clip.points if point.size_bytes < most_bytes]
        return Curve((*points, CurvePoint(most_bytes, clip.quality_at(most_bytes))))

    def format_at(self, max_bytes: int) -> str:
        """GIF where one should be good enough."""
        rules = self._profile.video
        return rules.format if rules and self._clip_at(max_bytes) else "gif"

    def _clip_at(self, max_bytes: int) -> VideoSource | None:
        """The clip, where no GIF should be good enough."""
        first = self._first_gif
        return self._as_clip.source if first is None or max_bytes < first.size_bytes else None

    @property
    def _first_gif(self) -> CurvePoint | None:
        """The smallest GIF that should be good enough; ``None`` where none is."""
        enough = [
            CurvePoint(self._gifs.predicted_bytes(setting), quality)
            for setting in self._gifs.settings
            if self._is_enough(setting, quality := self._gifs.quality(setting))
        ]
        return min(enough, key=lambda point: point.size_bytes, default=None)

    def render(self, max_bytes: int) -> Rendition:
        """The best GIF within ``max_bytes``; a clip when that would be below the floor."""
        setting, data = self._gifs.fitted(max_bytes)
        quality = self._gifs.quality(setting)
        below = not self._is_enough(setting, quality) or len(data) > max_bytes
        source = self._as_clip.source if below else None
        if source is not None and source.curve().points[0].size_bytes <= max_bytes:
            clip = source.render(max_bytes)
            if clip.size_bytes <= max_bytes and not (clip.quality < quality and len(data) <= max_bytes):
                found = f"quality {quality:.0f} as a GIF of {max_bytes:,} bytes"
                reason = Reason(ReasonCode.ANIMATION_AS_CLIP, found, f"quality {self._enough:.0f} or better")
                note = f"became a clip, which plays once: as a GIF in its share its quality would be {quality:.0f}"
                told = (f"pauses of more than {_PAUSE_MS // 1000} s are cut to that in the clip",)
                notes = (*clip.notes, note, *(told if self._as_clip.is_paused_less else ()))
                return replace(clip, whole=False, reasons=(reason,), notes=notes)
        with Image.open(io.BytesIO(data)) as image:
            size = image.size
        every = setting.every
        return Rendition(
            data=data,
            format="gif",
            content_type=FORMATS["gif"].content_type,
            action=Action.TRANSCODE,
            quality=quality,
            width_px=size[0],
            height_px=size[1],
            duration_s=self._animation.duration_ms / 1000,
            whole=setting == _WHOLE,
            contrast=self._contrast,
            notes=(*self._notes, *self._thinned(every)),
        )

    def _thinned(self, every: int) -> tuple[str, ...]:
        return (f"every {_ordinal(every)} frame kept, timing unchanged",) if every > 1 else ()


class _Gifs:
    """The GIFs that can be made of an animation which repeats ``loop`` times."""

    def __init__(self, animation: Animation, loop: int | None) -> None:
        self._animation = animation
        self._loop = loop
        self._made: dict[_Setting, bytes] = {}

    def fitted(self, max_bytes: int) -> tuple[_Setting, bytes]:
        """Encode, correct the size, encode again, until ``max_bytes`` are filled; the smallest if nothing fits."""
        setting = self.best(max_bytes)
        best: tuple[_Setting, bytes] | None = None
        for _ in range(_ENCODES):
            data = self._encode(setting)
            if len(data) <= max_bytes and (best is None or len(data) > len(best[1])):
                best = setting, data
            if best is not None and (len(best[1]) >= max_bytes * _FILLED or best[0] == _WHOLE):
                break
            if best is not None and best[0].factor == 1.0:
                smoother = self._smoother(best[0], len(best[1]), max_bytes)
                if smoother is None or smoother in self._made:
                    break
                setting = smoother
                continue
            growth = (max_bytes * _AIM / len(data)) ** (1 / _SIZE_EXPONENT)
            setting = replace(setting, factor=min(1.0, max(self._smallest_factor, setting.factor * growth)))
            if setting in self._made and best is not None:
                break
        return best or (setting, self._encode(setting))

    def _smoother(self, setting: _Setting, size_bytes: int, max_bytes: int) -> _Setting | None:
        """The same size with the most frames that should fit; ``None`` where no more would."""
        for every in self._choppiness:
            more = (setting.every / every) ** _FRAMES_EXPONENT
            if every < setting.every and size_bytes * more <= max_bytes:
                return replace(setting, every=every)
        return None

    def best(self, max_bytes: int) -> _Setting:
        """What is predicted to look best within ``max_bytes``; the smallest when nothing fits."""
        fitting = [one for one in self.settings if self.predicted_bytes(one) <= max_bytes]
        return max(fitting, key=self.quality) if fitting else min(self.settings, key=self.predicted_bytes)

    @property
    def settings(self) -> list[_Setting]:
        """All that is tried."""
        return [_Setting(factor, every) for factor in self._factors for every in self._choppiness]

    def sizes(self) -> list[int]:
        """Budgets to ask for a curve: from the smallest that can be made to the whole animation."""
        least = self.predicted_bytes(_Setting(self._smallest_factor, self._choppiness[-1]))
        most = max(least + 1, self.predicted_bytes(_WHOLE))
        return [math.ceil(least * (most / least) ** (step / 16)) for step in range(17)]

    @property
    def _smallest_factor(self) -> float:
        return min(1.0, _SMALLEST_LONG_PX / max(self._animation.frames[0].image.size))

    @property
    def _factors(self) -> list[float]:
        return [factor for factor in _FACTORS if factor >= self._smallest_factor] or [1.0]

    @property
    def _choppiness(self) -> list[int]:
        """How many frames may go: what is left must still move."""
        mean_ms = self._animation.duration_ms / len(self._animation.frames)
        return [every for every in _EVERY if every == 1 or mean_ms * every <= _SLOWEST_MS]

    @once
    def _probe(self) -> tuple[float, int]:
        """The factor and size of one small encode of all frames."""
        width, height = self._animation.frames[0].image.size
        factor = min(1.0, math.sqrt(_PROBE_PIXELS / (width * height * len(self._animation.frames))))
        factor = max(factor, self._smallest_factor)
        return factor, len(self._encode(_Setting(factor, 1)))

    def predicted_bytes(self, setting: _Setting) -> int:
        factor, size = self._probe
        if setting in self._made:
            return len(self._made[setting])
        growth = float((setting.factor / factor) ** _SIZE_EXPONENT / setting.every**_FRAMES_EXPONENT)
        return max(100, round(size * growth))

    @once
    def _scores(self) -> list[float]:
        """What a few frames are worth at each of the measured factors."""
        frames = self._animation.frames
        places = sorted({len(frames) * place // _MEASURED_FRAMES for place in range(_MEASURED_FRAMES)})
        palette, _ = self._palette
        references = [(frames[place].image, Reference(frames[place].image)) for place in places]
        scores = [
            float(
                np.mean(
                    [
                        reference.score(indexed(_scaled(image, factor), palette).convert("RGB"))
                        for image, reference in references
                    ]
                )
            )
            for factor in _MEASURED_FACTORS
        ]
        # Shrinking hides the bands of a coarse palette; it is no gain.
        return list(accumulate(scores, min))

    def quality(self, setting: _Setting) -> float:
        """The score of the frames, less for those that are missing (5 % for every other one, 13 % for two of three)."""
        logs = [math.log(factor) for factor in reversed(_MEASURED_FACTORS)]
        score = float(np.interp(math.log(setting.factor), logs, self._scores[::-1]))
        return max(1.0, score * (1 - math.exp(-_STEADY / setting.every)) / (1 - math.exp(-_STEADY)))

    @once
    def _palette(self) -> tuple[Image.Image, int]:
        """One palette for all frames, exact where there are few colours, and its number of colours."""
        frames = self._animation.frames
        step = max(1, len(frames) // _PALETTE_FRAMES)
        shown = [frame.image for frame in frames[::step]]
        width, height = shown[0].size
        mosaic = Image.new("RGB", (width, height * len(shown)))
        for row, image in enumerate(shown):
            mosaic.paste(image, (0, row * height))
        if mosaic.getcolors(MOST_COLOURS):
            return palette_of(mosaic)
        thin = min(1.0, math.sqrt(_PALETTE_PIXELS / (mosaic.width * mosaic.height)))
        size = max(1, round(mosaic.width * thin)), max(1, round(mosaic.height * thin))
        return palette_of(mosaic.resize(size, Image.Resampling.NEAREST))

    def _encode(self, setting: _Setting) -> bytes:
        if setting not in self._made:
            frames = self._animation.frames
            palette, colours = self._palette
            groups = [frames[start : start + setting.every] for start in range(0, len(frames), setting.every)]
            images = [_scaled(group[0].image, setting.factor) for group in groups]
            durations = [sum(frame.duration_ms for frame in group) for group in groups]
            self._made[setting] = write_gif(images, durations, self._loop, palette, colours)
        return self._made[setting]


class _AsClip:
    """The clip that can be made of an animation, where the profile carries clips."""

    def __init__(self, animation: Animation, profile: Profile, workspace: Workspace) -> None:
        self._animation = animation
        self._profile = profile
        self._workspace = workspace

    @once
    def source(self) -> VideoSource | None:
        """Made when it is first asked for; ``None`` where there can be none."""
        times = self._times
        if self._profile.video is None or not times:
            return None
        from mmsprep.transcode.video.opening import clip_of_pictures

        frames = [(frame.image, ms) for frame, ms in zip(self._animation.frames, times, strict=True)]
        return clip_of_pictures(frames, self._profile, self._workspace)

    @property
    def is_paused_less(self) -> bool:
        """Whether its pauses are shorter than the animation's."""
        return sum(self._times) < self._animation.duration_ms

    @once
    def _times(self) -> Sequence[int]:
        """How long each frame stands, in ms; nothing where even so it would be too long for a clip.

        A pause costs a GIF nothing, a clip its frames: where it would be too long, pauses are made shorter.
        """
        from mmsprep.transcode.video.mezzanine import longest_clip_s

        longest_ms = longest_clip_s(self._profile.message.limit_bytes) * 1000
        times = [frame.duration_ms for frame in self._animation.frames]
        if sum(times) > longest_ms:
            times = [min(duration_ms, _PAUSE_MS) for duration_ms in times]
        return times if sum(times) <= longest_ms else ()


def _makes_sense(animation: Animation) -> bool:
    """Whether a decoder can have meant it."""
    sizes = {frame.image.size for frame in animation.frames}
    modes = {frame.image.mode for frame in animation.frames}
    return len(sizes) == 1 and modes == {"RGB"} and min(frame.duration_ms for frame in animation.frames) > 0


def _countable(loop: int | None) -> tuple[int | None, tuple[str, ...]]:
    """How often a GIF can say that it repeats, and what is to be told about that."""
    if loop is None or 0 <= loop <= MOST_REPEATS:
        return loop, ()
    return MOST_REPEATS, (f"repeats {MOST_REPEATS:,} times instead of {loop:,}: a GIF counts no further",)


def _scaled(image: Image.Image, factor: float) -> Image.Image:
    size = max(1, round(image.width * factor)), max(1, round(image.height * factor))
    return shrunk(image, size)


def _ordinal(number: int) -> str:
    return {2: "2nd", 3: "3rd"}.get(number, f"{number}th")
