"""GIF: still graphics, and animations made to fit by size and by frames left out.

Comes in: pictures, animated files. Goes out: GIF bytes. Never: a change of how long an animation plays.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from dataclasses import dataclass

from PIL import Image

from mmsprep.errors import Damaged
from mmsprep.formats import FORMATS
from mmsprep.model import Action, Attachment, Curve, CurvePoint, MediaInfo, Rendition
from mmsprep.profile import ImageRules
from mmsprep.settings import Settings
from mmsprep.tools.isolation import isolated
from mmsprep.tools.workspace import Workspace
from mmsprep.transcode import pixels

_MOST_FRAMES = 240
_COLOURS = 128
_DEFAULT_MS = 100
_SHORTEST_MS = 20
_LADDER = (
    (1.0, 1),
    (0.8, 1),
    (0.8, 2),
    (0.6, 2),
    (0.5, 2),
    (0.4, 2),
    (0.4, 3),
    (0.3, 3),
    (0.25, 4),
    (0.2, 6),
)
_BEST = 90.0


def still(image: Image.Image) -> bytes:
    """A picture as a GIF of at most 256 colours, undithered: lettering stays sharp."""
    out = io.BytesIO()
    image.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(out, "GIF", optimize=True)
    return out.getvalue()


@dataclass(frozen=True, slots=True)
class Frame:
    """What is shown, and for how long."""

    image: Image.Image
    duration_ms: int


@dataclass(frozen=True, slots=True)
class Animation:
    """Frames at the size they may be sent, and how often they are played (``None``: once)."""

    frames: tuple[Frame, ...]
    loop: int | None


class AnimationSource:
    """An animation that can be made smaller and choppier (see :class:`mmsprep.model.Source`)."""

    def __init__(self, attachment: Attachment, info: MediaInfo, rules: ImageRules, workspace: Workspace) -> None:
        self.floor_quality = rules.floor_quality
        animation = isolated(workspace, read_animation, attachment, info, rules, workspace.settings)
        self._loop, self._frames = animation.loop, animation.frames
        self._made: dict[tuple[float, int], bytes] = {}

    def curve(self) -> Curve:
        """From one encode at full size: bytes go with the area and the number of frames."""
        full = len(self._encode(1.0, 1))
        points = [
            CurvePoint(max(200, round(full * factor**1.7 / every)), _quality(factor, every))
            for factor, every in reversed(_LADDER)
        ]
        return Curve(tuple(points), steps=True)

    def render(self, max_bytes: int) -> Rendition:
        """The best rung whose encode fits; the smallest when none does."""
        full = len(self._encode(1.0, 1))
        for factor, every in _LADDER:
            if full * factor**1.7 / every > max_bytes * 1.4 and (factor, every) != _LADDER[-1]:
                continue
            data = self._encode(factor, every)
            if len(data) <= max_bytes:
                break
        with Image.open(io.BytesIO(data)) as image:
            size = image.size
        notes = (f"every {_ordinal(every)} frame kept, timing unchanged",) if every > 1 else ()
        return Rendition(
            data=data,
            format="gif",
            content_type=FORMATS["gif"].content_type,
            action=Action.TRANSCODE,
            quality=_quality(factor, every),
            width_px=size[0],
            height_px=size[1],
            duration_s=sum(frame.duration_ms for frame in self._frames) / 1000,
            notes=notes,
        )

    def _encode(self, factor: float, every: int) -> bytes:
        if (factor, every) in self._made:
            return self._made[factor, every]
        chosen, durations = [], []
        for start in range(0, len(self._frames), every):
            group = self._frames[start : start + every]
            image = group[0].image
            size = max(1, round(image.width * factor)), max(1, round(image.height * factor))
            chosen.append(image if size == image.size else image.resize(size, Image.Resampling.LANCZOS))
            durations.append(sum(frame.duration_ms for frame in group))
        palette = chosen[len(chosen) // 2].quantize(_COLOURS)
        drawn = [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in chosen]
        out = io.BytesIO()
        options = {} if self._loop is None else {"loop": self._loop}
        drawn[0].save(out, "GIF", save_all=True, append_images=drawn[1:], duration=durations, optimize=True, **options)
        self._made[factor, every] = out.getvalue()
        return self._made[factor, every]


def read_animation(attachment: Attachment, info: MediaInfo, rules: ImageRules, settings: Settings) -> Animation:
    """Decode an animation, frames that show the same as the one before it left out, their time kept.

    Raises:
        Damaged: it does not decode to its end.
        OverInputLimit: more pixels than the settings let in.
    """
    with pixels.foreign_errors(attachment, info):
        image = pixels.open_image(attachment, info, settings)
        loop = image.info.get("loop")
        frames = tuple(_merged(list(_frames(image, rules, settings))))
    if not frames:
        raise Damaged(attachment.name, "has no frame that decodes")
    return Animation(frames, loop if isinstance(loop, int) else None)


def _frames(image: Image.Image, rules: ImageRules, settings: Settings) -> Iterator[Frame]:
    count = getattr(image, "n_frames", 1)
    size = pixels.target_size(image.width, image.height, rules)
    most = max(1, min(_MOST_FRAMES, settings.max_decoded_bytes // (size[0] * size[1] * 3)))
    every = max(1, math.ceil(count / most))
    waiting_ms = 0
    kept: Image.Image | None = None
    for number in range(count):
        image.seek(number)
        if number % every == 0:
            if kept is not None:
                yield Frame(kept, waiting_ms)
            kept, waiting_ms = _flat(image, size, rules.background), 0
        waiting_ms += max(_SHORTEST_MS, round(image.info.get("duration") or _DEFAULT_MS))
    if kept is not None:
        yield Frame(kept, waiting_ms)


def _merged(frames: list[Frame]) -> list[Frame]:
    """Frames that show the same as the one before make it last longer."""
    merged: list[Frame] = []
    for frame in frames:
        if merged and merged[-1].image.tobytes() == frame.image.tobytes():
            merged[-1] = Frame(merged[-1].image, merged[-1].duration_ms + frame.duration_ms)
        else:
            merged.append(frame)
    return merged


def _flat(image: Image.Image, size: tuple[int, int], background: str) -> Image.Image:
    """The frame as RGB on the background, at the size it may be sent."""
    whole = image.convert("RGBA")
    ground = Image.new("RGBA", whole.size, background)
    ground.alpha_composite(whole)
    flat = ground.convert("RGB")
    flat.info = {}
    return flat if flat.size == size else flat.resize(size, Image.Resampling.LANCZOS)


def _quality(factor: float, every: int) -> float:
    """Halving the size costs about twenty points, halving the frames about eight."""
    return max(1.0, _BEST + 20 * math.log2(factor) - 8 * math.log2(every))


def _ordinal(number: int) -> str:
    return {2: "2nd", 3: "3rd"}.get(number, f"{number}th")
