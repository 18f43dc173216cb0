"""The frames of an animation, decoded: what is shown, and for how long.

Comes in: an animated GIF, PNG, WebP, AVIF, ... Goes out: :class:`Animation`, of frames at the size they may be sent.
Never: bytes of an output.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain

from PIL import Image

from mmsprep.errors import Damaged
from mmsprep.model import Attachment, ColourCoding, MediaInfo
from mmsprep.profile import ImageRules
from mmsprep.settings import Settings
from mmsprep.transcode.image import colour, pixels
from mmsprep.transcode.image.ground import MOST_LOOKED_AT, ground_for, on_ground
from mmsprep.transcode.image.shrink import shrunk

_MOST_FRAMES = 240
_MOST_PIXELS = 48_000_000
"""Frames, and pixels in all of them, that are worked on: more frames are not read, larger ones are made smaller. Set
by hand."""
_DEFAULT_MS = 100
_SHORTEST_MS = 20
_SHOWN_AS_DEFAULT_MS = 10
"""Milliseconds: a frame of 10 or less in a GIF is shown for 100, as browsers do, all others for 20 at least."""


@dataclass(frozen=True, slots=True)
class Frame:
    """What is shown, and for how long."""

    image: Image.Image
    duration_ms: int


@dataclass(frozen=True, slots=True)
class Animation:
    """Frames at the size they may be sent, and how often they are repeated (``None``: played once, 0: for ever).

    ``ground``: the colour (``#rrggbb``) that transparent parts of them lie on; empty: there were none.
    """

    frames: tuple[Frame, ...]
    loop: int | None
    ground: str = ""

    @property
    def duration_ms(self) -> int:
        """How long it plays once."""
        return sum(frame.duration_ms for frame in self.frames)


def read_animation(attachment: Attachment, info: MediaInfo, rules: ImageRules, settings: Settings) -> Animation:
    """Decode an animation, frames that show the same as the one before it left out, their time kept.

    Raises:
        Damaged: it does not decode to its end.
        Empty: it is transparent all over.
        OverInputLimit: more pixels than the settings let in.
    """
    with pixels.foreign_errors(attachment, info):
        image = pixels.open_image(attachment, info, settings)
        loop = _loop(image, info.format)
        frames = list(_frames(image, info.coding, rules, settings))
        colour.refuse_clear(attachment.name, (frame.image for frame in frames))
        see_through = [frame.image for frame in frames if frame.image.mode == "RGBA"]
        ground = ground_for(see_through, rules.background) if see_through else ""
        frames = _merged([replace(frame, image=on_ground(frame.image, ground)) for frame in frames])
    if not frames:
        raise Damaged(attachment.name, "has no frame that decodes")
    return Animation(tuple(frames), loop, ground)


def vanishes(attachment: Attachment, info: MediaInfo, background: str, settings: Settings) -> bool:
    """Whether something in a picture or an animation would not be seen on ``background`` (``#rrggbb``).

    Raises:
        As :func:`read_animation`.
    """
    seen: list[Image.Image] = []
    with pixels.foreign_errors(attachment, info):
        image = pixels.open_image(attachment, info, settings)
        count = min(getattr(image, "n_frames", 1), _MOST_FRAMES)
        for number in range(0, count, math.ceil(count / MOST_LOOKED_AT)):
            image.seek(number)
            frame = _shown(image, info.coding, image.size)
            # Animations are full of transparent pixels that leave what is there; what is clear at first is clear.
            if frame.mode == "RGBA":
                seen.append(frame)
            elif number == 0:
                break
        if seen:
            colour.refuse_clear(attachment.name, chain(seen, _each(image, count, info.coding)))
    return bool(seen) and ground_for(seen, background) != background


def _each(image: Image.Image, count: int, coding: ColourCoding | None) -> Iterator[Image.Image]:
    for number in range(count):
        image.seek(number)
        yield _shown(image, coding, image.size)


def _frames(image: Image.Image, coding: ColourCoding | None, rules: ImageRules, settings: Settings) -> Iterator[Frame]:
    # What is shown where PNG's animation is not, is no part of it.
    first = int(bool(image.info.get("default_image")))
    count = getattr(image, "n_frames", 1) - first
    size = pixels.target_size(image.width, image.height, rules)
    shrink = min(1.0, math.sqrt(_MOST_PIXELS / (size[0] * size[1] * min(count, _MOST_FRAMES))))
    size = max(1, round(size[0] * shrink)), max(1, round(size[1] * shrink))
    most = max(1, min(_MOST_FRAMES, settings.max_decoded_bytes // (size[0] * size[1] * 3)))
    every = max(1, math.ceil(count / most))
    waiting_ms = 0
    kept: Frame | None = None
    for number in range(count):
        image.seek(first + number)
        if number % every == 0:
            if kept is not None:
                yield replace(kept, duration_ms=waiting_ms)
            kept, waiting_ms = Frame(_shown(image, coding, size), 0), 0
        waiting_ms += _duration_ms(image)
    if kept is not None:
        yield replace(kept, duration_ms=waiting_ms)


def _duration_ms(image: Image.Image) -> int:
    """How long viewers show the frame: all of them take 0 and 10 ms in a GIF for a mistake."""
    duration_ms = round(image.info.get("duration") or 0)
    if duration_ms <= (_SHOWN_AS_DEFAULT_MS if image.format == "GIF" else 0):
        return _DEFAULT_MS
    return max(_SHORTEST_MS, duration_ms)


def _loop(image: Image.Image, format_slug: str) -> int | None:
    """How often a GIF must say that it repeats: PNG and WebP count plays, GIF what comes after the first."""
    loop = image.info.get("loop")
    if format_slug == "avif":
        return 0
    if not isinstance(loop, int):
        return None
    if format_slug == "gif" or loop == 0:
        return loop
    return loop - 1 if loop > 1 else None


def _merged(frames: list[Frame]) -> list[Frame]:
    """Frames that show the same as the one before make it last longer."""
    merged: list[Frame] = []
    for frame in frames:
        if merged and merged[-1].image.tobytes() == frame.image.tobytes():
            merged[-1] = replace(merged[-1], duration_ms=merged[-1].duration_ms + frame.duration_ms)
        else:
            merged.append(frame)
    return merged


def _shown(image: Image.Image, coding: ColourCoding | None, size: tuple[int, int]) -> Image.Image:
    """The frame at the size it may be sent, RGBA where parts of it are transparent, else RGB."""
    image.load()
    whole = pixels.plain_colours(image, coding).convert("RGBA")
    small = shrunk(whole.convert("RGB") if colour.least_opacity(whole) == 255 else whole, size)
    small.info = {}
    return small
