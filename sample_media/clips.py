"""Moving pictures for the samples: a camera pans over a wide landscape while balloons drift and a boat sails.

Comes in: a size, a length, a rate. Goes out: raw RGB frames. Never: a file.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw
from scenes import DAY, DUSK, balloon, landscape

BALLOONS = (((206, 52, 48), (244, 196, 64)), ((40, 92, 168), (240, 240, 236)))


@lru_cache(maxsize=4)
def _panorama(width_px: int, height_px: int, lake: bool) -> Image.Image:
    """The land that the camera looks at, wider than its view and a little higher."""
    return landscape(width_px * 2, height_px * 9 // 8, 23 if lake else 29, DUSK if lake else DAY, lake=lake)


def frames(width_px: int, height_px: int, count: int, rate_fps: float, *, lake: bool = False) -> Iterator[Image.Image]:
    """``count`` frames: a slow pan with the small shake of a hand, two balloons, and a boat on the lake."""
    land = _panorama(width_px, height_px, lake)
    side_px = min(width_px, height_px)
    near, far = balloon(side_px // 2 - side_px // 9, BALLOONS[0]), balloon(side_px // 5, BALLOONS[1])
    slack_px = land.height - height_px
    for number in range(count):
        time_s = number / rate_fps
        pan = 0.5 - 0.5 * math.cos(time_s * 0.45)
        shake_x = 1.5 * math.sin(time_s * 7.1) + math.sin(time_s * 3.3)
        shake_y = 1.2 * math.sin(time_s * 5.7 + 1)
        left = pan * (land.width - width_px - 8) + 4 + shake_x
        top = min(max(slack_px / 2 + shake_y, 0), slack_px)
        box = (left, top, left + width_px, top + height_px)
        view = land.resize((width_px, height_px), Image.Resampling.BILINEAR, box=box)
        _place(view, far, 0.72 - 0.035 * time_s, 0.12 + 0.01 * math.sin(time_s * 1.6))
        _place(view, near, 0.10 + 0.05 * time_s, 0.16 - 0.012 * time_s + 0.01 * math.sin(time_s * 2))
        if lake:
            _boat(view, 0.85 - 0.07 * time_s, 0.8, height_px // 12)
        yield view


def _place(view: Image.Image, drawn: Image.Image, x_share: float, y_share: float) -> None:
    view.paste(drawn, (round(x_share * view.width), round(y_share * view.height)), drawn)


def _boat(view: Image.Image, x_share: float, y_share: float, size_px: int) -> None:
    draw = ImageDraw.Draw(view)
    x, y = x_share * view.width, y_share * view.height
    draw.polygon(
        [
            (x, y),
            (x + size_px * 2, y),
            (x + size_px * 1.6, y + size_px * 0.5),
            (x + size_px * 0.3, y + size_px * 0.5),
        ],
        fill=(70, 36, 28),
    )
    draw.polygon([(x + size_px, y - size_px * 2), (x + size_px, y - 2), (x + size_px * 2, y - 2)], fill=(246, 238, 224))
    draw.polygon(
        [(x + size_px * 0.9, y - size_px * 1.7), (x + size_px * 0.9, y - 2), (x + size_px * 0.2, y - 2)],
        fill=(232, 214, 190),
    )


def raw(width_px: int, height_px: int, count: int, rate_fps: float, *, lake: bool = False) -> bytes:
    """The same as packed 24-bit RGB, for ffmpeg's standard input."""
    return b"".join(np.asarray(frame).tobytes() for frame in frames(width_px, height_px, count, rate_fps, lake=lake))
