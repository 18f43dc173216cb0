"""The readers of every format by its slug.

Comes in: content, a format's slug. Goes out: what its file says of it. Never: a format's own knowledge.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from importlib import import_module
from typing import Any, BinaryIO

from mmsprep.errors import Damaged
from mmsprep.formats.content import Content
from mmsprep.formats.findings import Sound, Structure
from mmsprep.formats.registry import FORMATS


def read_structure(content: Content, format_slug: str, max_frames: int) -> Structure:
    """Read how a picture is put together whose format has a ``structure``.

    Counting ends at one frame over ``max_frames``.

    Raises:
        Damaged: there is no picture in it.
    """
    walk = FORMATS[format_slug].structure
    assert walk is not None, format_slug
    found = Structure()
    try:
        walk(content, found, max_frames)
    except (IndexError, struct.error):
        found.missing = found.missing or "its headers"
    if not (found.missing or (found.width_px and found.height_px)):
        raise Damaged(content.name, "has a picture of no size in it; get the file again")
    found.metadata = list(dict.fromkeys(found.metadata))
    return found


def picture_decoder(format_slug: str) -> Callable[[BinaryIO], Any]:
    """What opens a picture of this format, and gives a picture of Pillow's.

    Raises:
        ImportError: its package is not installed.
        ValueError: there is none.
    """
    module, _, name = FORMATS[format_slug].decoder.partition(":")
    found: Callable[[BinaryIO], Any] = getattr(import_module(module), name)
    return found


def read_sound(data: bytes, format_slug: str) -> Sound:
    """Read a recording to its last byte whose format has a strict reader.

    Raises:
        ValueError: something in it does not belong there; the message says where.
    """
    read = FORMATS[format_slug].read_exactly
    assert read is not None, format_slug
    try:
        return read(data)
    except (struct.error, IndexError) as error:
        raise ValueError("ends in the middle of a header") from error
