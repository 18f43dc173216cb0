"""JPEGs, and those whose markers Pillow gives up on and viewers pass over.

Comes in: an open file whose content is JPEG. Goes out: a picture of Pillow's. Never: another picture than viewers show.
"""

from __future__ import annotations

from io import BytesIO
from typing import BinaryIO

from PIL import JpegImagePlugin

from mmsprep.errors import MmsprepError
from mmsprep.formats.content import Content
from mmsprep.formats.jpeg import without_short_markers


def open_jpeg(file: BinaryIO) -> JpegImagePlugin.JpegImageFile:
    """The picture; where Pillow cannot open it, without the markers that say less than they must.

    Raises:
        What Pillow raises.
    """
    try:
        return JpegImagePlugin.JpegImageFile(file)
    except Exception:
        file.seek(0)
        try:
            with Content("a JPEG", BytesIO(file.read())) as content:
                data = without_short_markers(content)
        except MmsprepError:
            data = b""
        if not data:
            raise
        return JpegImagePlugin.JpegImageFile(BytesIO(data))
