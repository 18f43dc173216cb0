"""How far a picture is from being nothing but one colour.

Comes in: a decoded picture, or a stream of ffmpeg's. Goes out: a number that hardly depends on size and quality. Never:
a judgement of quality; it tells a picture from a blank alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PIL import Image, ImageStat

SIDE_PX = 64
_MIDDLE = "min(iw,max(2,iw*0.4))", "min(ih,max(2,ih*0.6))"
"""Not the bars that a fixed frame size leaves round a clip."""
_EVERY_FRAME, FOUR_A_SECOND = "1", "isnan(prev_selected_t)+gte(t-prev_selected_t,0.24)"
_MOST_FRAMES = 240


def contrast(image: Image.Image) -> float:
    """The standard deviation of the channel that varies most, 0..127.5, of a picture made small.

    What is transparent is seen on white or on black, whichever shows more of it.
    """
    small = image.convert("RGBA" if image.has_transparency_data else "RGB")
    small = small.resize((min(SIDE_PX, small.width), min(SIDE_PX, small.height)), Image.Resampling.BOX, reducing_gap=2)
    if small.mode == "RGB":
        return max(ImageStat.Stat(small).stddev)
    grounds = (Image.new("RGBA", small.size, colour) for colour in ("white", "black"))
    return max(contrast(Image.alpha_composite(ground, small).convert("RGB")) for ground in grounds)


def frames_of(pictures: Any, target: Path, chosen: str = _EVERY_FRAME) -> Any:
    """An output of ffmpeg's for :func:`frames_contrast`: the middle of frames, made small, in ``target``.

    Args:
        pictures: as ffmpeg-python has them.
        target: a new file.
        chosen: which frames, as ffmpeg's ``select`` is told.
    """
    small = pictures.filter("select", chosen).filter("crop", *_MIDDLE).filter("scale", SIDE_PX, SIDE_PX, flags="area")
    return small.output(str(target), f="rawvideo", pix_fmt="rgb24", vframes=_MOST_FRAMES, fps_mode="passthrough")


def frames_contrast(frames: bytes) -> float:
    """The contrast of the one that has most of :func:`frames_of`; 0 where there is none."""
    size = SIDE_PX * SIDE_PX * 3
    each = (frames[start : start + size] for start in range(0, len(frames) - size + 1, size))
    return max((contrast(Image.frombytes("RGB", (SIDE_PX, SIDE_PX), frame)) for frame in each), default=0.0)
