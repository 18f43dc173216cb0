"""The JPEG preview that a camera puts into its raw files (DNG, CR2, NEF, ARW, ...: TIFF inside; CR3 and RAF: not).

Comes in: a raw file. Goes out: the largest preview in it, opened. Never: a developed raw picture; what
the camera's own preview shows is what its owner has seen.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from contextlib import suppress
from io import BytesIO
from itertools import islice

from PIL import Image, JpegImagePlugin
from PIL.ExifTags import Base as ExifTag

_BYTE_ORDERS = {b"II": "<", b"MM": ">"}
_MAX_DIRECTORIES = 64
_MAX_VALUES = 64
_MAX_ENTRIES = 1_000
_TYPES = {1: "B", 3: "H", 4: "I", 13: "I"}
_STRIP_OFFSETS, _STRIP_SIZES, _JPEG_OFFSET, _JPEG_SIZE = 0x111, 0x117, 0x201, 0x202
_ORIENTATION, _SUB_DIRECTORIES, _EXIF_DIRECTORY = 0x112, 0x14A, 0x8769


def open_preview(file: BytesIO) -> Image.Image:
    """The largest JPEG preview of a raw file, its orientation that of the raw picture.

    Raises:
        NotImplementedError: there is no preview in it.
        struct.error: its TIFF structure breaks off.
    """
    data = file.getvalue()
    directories = list(_directories(data)) if data[:2] in _BYTE_ORDERS else []
    previews = [preview for directory in directories for preview in _previews_of(data, directory)]
    best = max(previews or _scattered(data), key=lambda preview: preview.width * preview.height, default=None)
    if best is None:
        raise NotImplementedError("a raw file without a preview inside")
    orientation = directories[0].get(_ORIENTATION, (1,))[0] if directories else 1
    exif = best.getexif()
    if exif.get(ExifTag.Orientation, 1) == 1:
        exif[ExifTag.Orientation] = orientation
    return best


def _previews_of(data: bytes, directory: dict[int, tuple[int, ...]]) -> Iterator[Image.Image]:
    for offset_tag, size_tag in ((_JPEG_OFFSET, _JPEG_SIZE), (_STRIP_OFFSETS, _STRIP_SIZES)):
        offsets, sizes = directory.get(offset_tag, ()), directory.get(size_tag, ())
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


def _directories(data: bytes) -> Iterator[dict[int, tuple[int, ...]]]:
    """Every directory of the TIFF structure: the chain and the sub-directories."""
    order = _BYTE_ORDERS[data[:2]]
    waiting = [struct.unpack_from(f"{order}I", data, 4)[0]]
    seen: set[int] = set()
    while waiting and len(seen) < _MAX_DIRECTORIES:
        at = waiting.pop(0)
        if at in seen or not 0 < at < len(data) - 2:
            continue
        seen.add(at)
        entries, following = _read_directory(data, at, order)
        waiting += [following, *entries.get(_SUB_DIRECTORIES, ()), *entries.get(_EXIF_DIRECTORY, ())]
        yield entries


def _read_directory(data: bytes, at: int, order: str) -> tuple[dict[int, tuple[int, ...]], int]:
    """The short lists of whole numbers in the directory at ``at``; where the next one is (0: nowhere)."""
    (count,) = struct.unpack_from(f"{order}H", data, at)
    entries: dict[int, tuple[int, ...]] = {}
    for place in range(min(count, _MAX_ENTRIES)):
        entry = at + 2 + 12 * place
        tag, kind, length = struct.unpack_from(f"{order}HHI", data, entry)
        if kind not in _TYPES or not 0 < length <= _MAX_VALUES:
            continue
        layout = f"{order}{length}{_TYPES[kind]}"
        values_at = entry + 8
        if struct.calcsize(layout) > 4:
            (values_at,) = struct.unpack_from(f"{order}I", data, entry + 8)
        with suppress(struct.error):
            entries[tag] = struct.unpack_from(layout, data, values_at)
    following = 0
    with suppress(struct.error):
        (following,) = struct.unpack_from(f"{order}I", data, at + 2 + 12 * count)
    return entries, following
