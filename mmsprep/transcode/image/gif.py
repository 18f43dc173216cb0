"""An animated GIF of few bytes.

Comes in: frames, how long each stands, one palette for all of them. Goes out: GIF89a. Never: a choice of what is shown.

What costs a GIF its bytes, and what is done about each:

- a colour table a frame: there is one for all frames;
- pixels that hardly change from frame to frame: they stay what they are shown as, transparent in what is
  written, as long as they are within a few levels of what they should be;
- time stamps in hundredths of a second: the rounding is carried over, so that nothing runs early or late.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import GifImagePlugin, Image

_TABLE_COLOURS = 256
MOST_REPEATS = 65_535
_LONGEST_MS = 655_350
"""How often all of it repeats is 16 bits, a frame's time 16 bits of hundredths of a second (GIF89a, Netscape)."""
_TOLERANCE = 8
"""Levels of 255 by which a pixel may differ from what it should be before it is written anew. Set by hand."""

_Pixels = NDArray[np.uint8]


def indexed(image: Image.Image, palette: Image.Image) -> Image.Image:
    """The image in the colours of ``palette``."""
    return image.quantize(palette=palette, dither=Image.Dither.NONE)


@dataclass(frozen=True, slots=True)
class _Change:
    """What one frame of a GIF draws: indices at a place, which of them to draw, and how long it then stands."""

    indices: _Pixels
    left_px: int
    top_px: int
    drawn: NDArray[np.bool_]
    duration_ms: int


def write_gif(
    images: Sequence[Image.Image], durations_ms: Sequence[int], loop: int | None, palette: Image.Image, colours: int
) -> bytes:
    """GIF89a: one colour table, of every frame only what changed, left in place for the next."""
    table = bytes(palette.getpalette("RGB") or ())[: 3 * colours].ljust(3 * _TABLE_COLOURS, b"\0")
    width, height = images[0].size
    screen = width.to_bytes(2, "little") + height.to_bytes(2, "little") + b"\xf7\0\0"
    parts = [b"GIF89a", screen, table]
    if loop is not None:
        parts.append(b"\x21\xff\x0bNETSCAPE2.0\x03\x01" + loop.to_bytes(2, "little") + b"\0")
    parts += [_written(change, colours) for change in _changes(images, durations_ms, palette)]
    return b"".join(parts) + b";"


def _changes(images: Sequence[Image.Image], durations_ms: Sequence[int], palette: Image.Image) -> list[_Change]:
    """What each frame has to draw; one that has nothing to draw makes the one before it last longer."""
    ends = [round(end / 10) for end in accumulate(durations_ms)]
    delays_ms = [10 * (after - before) for before, after in pairwise([0, *ends])]
    shown = np.asarray(indexed(images[0], palette)).copy()
    meant = np.asarray(images[0]).copy()
    changes = [_Change(shown.copy(), 0, 0, np.ones(shown.shape, np.bool_), delays_ms[0])]
    for image, delay_ms in zip(images[1:], delays_ms[1:], strict=True):
        wanted, indices = np.asarray(image), np.asarray(indexed(image, palette))
        changed = (np.abs(wanted.astype(np.int16) - meant).max(axis=2) > _TOLERANCE) & (indices != shown)
        if not changed.any():
            changes[-1] = replace(changes[-1], duration_ms=changes[-1].duration_ms + delay_ms)
            continue
        shown[changed], meant[changed] = indices[changed], wanted[changed]
        rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
        box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        changes.append(_Change(shown[box].copy(), int(columns[0]), int(rows[0]), changed[box], delay_ms))
    return changes


def _written(change: _Change, colours: int) -> bytes:
    """A frame in the file: what does not change is transparent or drawn again, whichever is shorter.

    What stands longer than one frame can say stands on under frames of one pixel that is seen through.
    """
    first_ms = min(change.duration_ms, _LONGEST_MS)
    parts = [_drawn(replace(change, duration_ms=first_ms), colours)]
    nothing = _Change(np.full((1, 1), colours, np.uint8), 0, 0, np.zeros((1, 1), np.bool_), 0)
    for done_ms in range(first_ms, change.duration_ms, _LONGEST_MS):
        parts.append(_drawn(replace(nothing, duration_ms=min(change.duration_ms - done_ms, _LONGEST_MS)), colours))
    return b"".join(parts)


def _drawn(change: _Change, colours: int) -> bytes:
    options: dict[str, Any] = {"duration": change.duration_ms, "disposal": 1}
    forms = [(change.indices, options)] if change.drawn.any() else []
    if not change.drawn.all():
        see_through = np.where(change.drawn, change.indices, np.uint8(colours))
        forms.append((see_through, options | {"transparency": colours}))
    place = change.left_px, change.top_px
    return min(
        (b"".join(GifImagePlugin.getdata(Image.fromarray(form, "P"), place, **how)) for form, how in forms), key=len
    )
