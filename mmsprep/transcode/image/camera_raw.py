"""The JPEG preview that a camera puts into its raw files (DNG, CR2, NEF, ARW, ...: TIFF inside; CR3 and RAF: not).

Comes in: a raw file. Goes out: the largest preview in it, opened. Never: a developed raw picture; what
the camera's own preview shows is what its owner has seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from io import BytesIO
from itertools import islice
from typing import Literal

from PIL import Image, JpegImagePlugin
from PIL.ExifTags import Base as ExifTag
from PIL.TiffImagePlugin import ImageFileDirectory_v2

_MAGICS = {b"II": b"II*\0", b"MM": b"MM\0*"}
_ORDERS: dict[bytes, Literal["little", "big"]] = {b"II": "little", b"MM": "big"}
_MAX_DIRECTORIES, _MAX_ENTRIES = 64, 1_000
"""Far more than any camera writes (about ten directories of a hundred entries)."""


def open_preview(file: BytesIO) -> Image.Image:
    """The largest JPEG preview of a raw file, its orientation that of the raw picture.

    Raises:
        NotImplementedError: there is no preview in it.
    """
    data = file.getvalue()
    directories = list(_directories(file))
    previews = [preview for directory in directories for preview in _previews_of(data, directory)]
    best = max(previews or _scattered(data), key=lambda preview: preview.width * preview.height, default=None)
    if best is None:
        raise NotImplementedError("a raw file without a preview inside")
    orientation = next(iter(_numbers(directories[0], ExifTag.Orientation)), 1) if directories else 1
    exif = best.getexif()
    if exif.get(ExifTag.Orientation, 1) == 1:
        exif[ExifTag.Orientation] = orientation
    return best


def _previews_of(data: bytes, directory: ImageFileDirectory_v2) -> Iterator[Image.Image]:
    for offset_tag, size_tag in (
        (ExifTag.JpegIFOffset, ExifTag.JpegIFByteCount),
        (ExifTag.StripOffsets, ExifTag.StripByteCounts),
    ):
        offsets, sizes = _numbers(directory, offset_tag), _numbers(directory, size_tag)
        if len(offsets) == len(sizes) == 1 and (preview := _jpeg_at(data, offsets[0], sizes[0])):
            yield preview


def _scattered(data: bytes) -> Iterator[Image.Image]:
    """The JPEGs that lie anywhere in the file: where CR3, RAF and RW2 have theirs, no directory here says."""
    starts = islice(re.finditer(rb"\xff\xd8\xff[\xdb\xe0\xe1]", data), _MAX_DIRECTORIES)
    return (preview for start in starts if (preview := _jpeg_at(data, start.start(), len(data))))


def _jpeg_at(data: bytes, offset: int, size_bytes: int) -> Image.Image | None:
    """The picture in that stretch when it is a JPEG that can be shown (the raw data itself is often a
    lossless JPEG, which cannot)."""
    if data[offset : offset + 2] != b"\xff\xd8":
        return None
    preview = None
    with suppress(Exception):
        preview = JpegImagePlugin.JpegImageFile(BytesIO(data[offset : offset + size_bytes]))
    return preview if preview is not None and preview.mode in ("L", "RGB") else None


def _directories(file: BytesIO) -> Iterator[ImageFileDirectory_v2]:
    """Every directory of the TIFF structure: the chain and the sub-directories; none where it is no TIFF.

    Panasonic's and Olympus's raw files are TIFF but for the number behind the byte order.
    """
    data = file.getvalue()
    magic = _MAGICS.get(data[:2])
    waiting = [] if magic is None else [int.from_bytes(data[4:8], _ORDERS[data[:2]])]
    seen: set[int] = set()
    while magic is not None and waiting and len(seen) < _MAX_DIRECTORIES:
        at = waiting.pop(0)
        entries = int.from_bytes(data[at : at + 2], _ORDERS[data[:2]])
        if at in seen or not 0 < at < len(data) - 2 or entries > _MAX_ENTRIES:
            continue
        seen.add(at)
        directory = ImageFileDirectory_v2(magic + bytes(4))
        file.seek(at)
        directory.load(file)
        waiting.append(directory.next)
        for tag in (ExifTag.SubIFDs, ExifTag.ExifOffset):
            waiting += _numbers(directory, tag)[:_MAX_DIRECTORIES]
        yield directory


def _numbers(directory: ImageFileDirectory_v2, tag: int) -> tuple[int, ...]:
    """The whole numbers of a tag; none where it is not there or says something else."""
    found = directory.get(tag, ())
    return tuple(one for one in (found if isinstance(found, tuple) else (found,)) if isinstance(one, int))
