"""AVIF of more than 8 bits in high dynamic range, whose dark gradients would show bands if it were read with 8.

Comes in: such an AVIF. Goes out: the same as a PNG of 16 bits, which is read as any other. Never: a picture that ffmpeg
reads in another way than libavif does: of a grid of tiles it may see the first, and of what is transparent nothing.
"""

from __future__ import annotations

import struct
from dataclasses import replace

from mmsprep.errors import Damaged
from mmsprep.formats.orientation import Orientation
from mmsprep.model import Attachment, MediaInfo
from mmsprep.tools import ffmpeg
from mmsprep.tools.workspace import Workspace

_EXIF = {
    2: Orientation(0, True),
    3: Orientation(180),
    4: Orientation(180, True),
    5: Orientation(270, True),
    6: Orientation(90),
    7: Orientation(90, True),
    8: Orientation(270),
}


def deepened(attachment: Attachment, info: MediaInfo, workspace: Workspace) -> tuple[Attachment, MediaInfo]:
    """Such an AVIF as a PNG of 16 bits, upright; what was given, where it is none or that cannot be.

    Raises:
        OverInputLimit: the decode takes too long, or too much room.
    """
    is_hdr = info.coding is not None and info.coding.transfer in ("pq", "hlg")
    if info.format != "avif" or not is_hdr or (info.bit_depth or 8) <= 8 or info.has_alpha:
        return attachment, info
    turned = _EXIF.get(info.orientation, Orientation())
    # One demuxer of ffmpeg's reads all that is made of boxes.
    upright = replace(info, format="mp4", rotation_deg=turned.rotation_deg, mirrored=turned.mirrored)
    # What is still said about a turn that is done would be written into the PNG.
    pictures = ffmpeg.pictures_of(workspace.path_of(attachment), upright).filter("sidedata", mode="delete")
    output = pictures.output(
        "pipe:1", f="image2pipe", vcodec="png", pix_fmt="rgb48be", vframes=1, compression_level=1, pred="sub"
    )
    try:
        with ffmpeg.decoding(attachment.name):
            data = ffmpeg.run(workspace, output).stdout
    except Damaged:
        return attachment, info
    size_px = struct.unpack(">II", data[16:24]) if len(data) > 24 else ()
    if size_px != (info.width_px, info.height_px) or len(data) > workspace.settings.max_image_bytes:
        return attachment, info
    plain = replace(info, format="png", orientation=1, bit_depth=16)
    return replace(attachment, data=data, size_bytes=len(data), path=None, mark=None), plain
