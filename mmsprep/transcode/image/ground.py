"""What the transparent parts of a picture, an animation or a clip come to lie on.

Comes in: decoded pictures with transparency, and the profile's background. Goes out: a colour. Never: a picture.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mmsprep.transcode.image.shrink import shrunk

MOST_LOOKED_AT, _LOOKED_AT_PX = 8, 384
"""Pictures that are looked at, of more such as lie evenly; the longer side at which they are. Set by hand."""
_FAINT = 12
_VISIBLE = 8
"""Levels of 255: what is nowhere further from the ground than the one and somewhere more opaque than the other would
vanish on it. Set by hand."""
_MIDDLE_GREY = "#808080"
_LOST = 0.01
"""Of what is opaque: what may vanish on the profile's background. Set by hand."""

_Mask = NDArray[np.bool_]


def ground_for(pictures: Sequence[Image.Image], background: str) -> str:
    """The colour (``#rrggbb``) for the transparent parts of all ``pictures`` (RGBA or LA).

    It is ``background`` unless something would vanish on it that touches nothing which stays visible (white lettering
    made for a dark page, over white); then its opposite, or grey where there is such lettering of both kinds.
    """
    every = max(1, math.ceil(len(pictures) / MOST_LOOKED_AT))
    seen = [_looked_at(picture) for picture in pictures[::every]]
    lost = _lost(seen, background)
    if lost <= _LOST:
        return background
    others = {ground: _lost(seen, ground) for ground in (_opposite(background), _MIDDLE_GREY)}
    best = min(others, key=others.__getitem__)
    return best if others[best] < lost / 2 else background


def on_ground(picture: Image.Image, ground: str) -> Image.Image:
    """``picture`` as RGB, RGBA on ``ground``."""
    if picture.mode == "RGB":
        return picture
    flat = Image.new("RGBA", picture.size, ground)
    flat.alpha_composite(picture)
    return flat.convert("RGB")


def _looked_at(picture: Image.Image) -> NDArray[np.int16]:
    """RGBA, row by column by channel."""
    scale = min(1.0, _LOOKED_AT_PX / max(picture.size))
    width, height = (max(1, round(side * scale)) for side in picture.size)
    return np.asarray(shrunk(picture, (width, height)).convert("RGBA")).astype(np.int16)


def _opposite(colour: str) -> str:
    return "#" + "".join(f"{255 - int(colour[at : at + 2], 16):02x}" for at in (1, 3, 5))


def _lost(seen: Sequence[NDArray[np.int16]], ground: str) -> float:
    """The share of what is there, by its opacity, that vanishes on ``ground``."""
    colour = np.array([int(ground[at : at + 2], 16) for at in (1, 3, 5)], np.int16)
    there, lost = 0.0, 0.0
    for pixels in seen:
        alpha = pixels[..., 3] / 255
        opaque = pixels[..., 3] > _VISIBLE
        visible = (np.abs(pixels[..., :3] - colour).max(axis=-1) * alpha >= _FAINT) & opaque
        there += float(alpha[opaque].sum())
        lost += float(alpha[opaque & ~_touching(visible, opaque)].sum())
    return lost / there if there else 0.0


def _touching(seeds: _Mask, within: _Mask) -> _Mask:
    """What of ``within`` can be walked to from ``seeds``, along rows and columns."""
    reached = seeds
    while True:
        wider = _along_rows(_along_rows(reached, within).T, within.T).T
        if np.array_equal(wider, reached):
            return reached
        reached = wider


def _along_rows(seeds: _Mask, within: _Mask) -> _Mask:
    """Every run of a row of ``within`` that holds a seed."""
    starts = within.copy()
    starts[:, 1:] &= ~within[:, :-1]
    runs = np.cumsum(starts).reshape(within.shape)
    seeded = np.zeros(int(runs.max(initial=0)) + 1, np.bool_)
    seeded[runs[seeds & within]] = True
    return np.asarray(seeded[runs] & within)
