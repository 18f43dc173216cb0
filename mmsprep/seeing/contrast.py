"""How far a picture is from being nothing but one colour.

Comes in: a decoded picture, or a stream of ffmpeg's. Goes out: a number that hardly depends on size and quality. Never:
a judgement of quality; it tells a picture from a blank alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from PIL import Image, ImageStat

if TYPE_CHECKING:
    from mmsprep.tools.workspace import Workspace


SIDE_PX = 64
_MIDDLE = "min(iw,max(2,iw*0.4))", "min(ih,max(2,ih*0.6))"
"""Not the bars that a fixed frame size leaves round a clip."""
_FRAMES_A_SECOND, _MOST_FRAMES = 4, 240


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


def frames_contrast(stream: Any, workspace: Workspace) -> float:
    """The contrast of the frame that has most, in the middle of the frame; 0 where there is none.

    Args:
        stream: pictures, as ffmpeg-python has them.
        workspace: room, and the ffmpeg.

    Raises:
        ToolError: they do not decode.
    """
    from mmsprep.tools import ffmpeg

    small = stream.filter("fps", _FRAMES_A_SECOND).filter("crop", *_MIDDLE)
    small = small.filter("scale", SIDE_PX, SIDE_PX, flags="area")
    output = small.output("pipe:1", f="rawvideo", pix_fmt="rgb24", vframes=_MOST_FRAMES)
    data = ffmpeg.run(workspace, output).stdout
    size = SIDE_PX * SIDE_PX * 3
    frames = (data[start : start + size] for start in range(0, len(data) - size + 1, size))
    return max((contrast(Image.frombytes("RGB", (SIDE_PX, SIDE_PX), frame)) for frame in frames), default=0.0)
