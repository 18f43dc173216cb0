"""Pictures of H.264 and HEVC without a container, as cameras of hobbyists and security cameras write them.

Comes in: content. Goes out: which of the two it is. Never: a decoded picture.

Rec. ITU-T H.264, Annex B and 7.4.1; H.265, Annex B and 7.4.2.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from mmsprep.formats.content import Content
from mmsprep.formats.registry import Format, register
from mmsprep.model import Kind

_UNIT = re.compile(rb"\0\0\x01(..)", re.DOTALL)
_H264_SETS, _H264_BEFORE, _H264_PICTURES = {7, 8}, {6, 7, 8, 9}, {1, 2, 5}
_HEVC_SETS, _HEVC_BEFORE, _HEVC_PICTURES = {32, 33, 34}, {32, 33, 34, 35, 39}, {*range(10), *range(16, 22)}
"""Types of units: sets of parameters, what stands before the first picture, pictures."""


def _h264_type(header: bytes) -> int:
    return -1 if header[0] & 0x80 else header[0] & 31


def _hevc_type(header: bytes) -> int:
    """Of the base layer alone: its number, 0, and that of what it is in time, from 1."""
    return header[0] >> 1 if not header[0] & 0x81 and 0 < header[1] < 8 else -1


def _begins(
    content: Content, type_of: Callable[[bytes], int], sets: set[int], before: set[int], then: set[int]
) -> bool:
    """Whether it begins with a unit, and all sets of parameters stand before the first picture."""
    if not content.head.startswith((b"\0\0\1", b"\0\0\0\1")):
        return False
    seen: set[int] = set()
    for found in _UNIT.finditer(content.head):
        kind = type_of(found[1])
        if kind in then:
            return sets <= seen
        if kind not in before:
            return False
        seen.add(kind)
    return False


def _is_h264(content: Content) -> bool:
    return _begins(content, _h264_type, _H264_SETS, _H264_BEFORE, _H264_PICTURES)


def _is_hevc(content: Content) -> bool:
    return _begins(content, _hevc_type, _HEVC_SETS, _HEVC_BEFORE, _HEVC_PICTURES)


register(
    Format(
        slug="h264",
        title="H.264 stream",
        kind=Kind.VIDEO,
        content_type="video/h264",
        extension="h264",
        demuxer="h264",
        also_named="264 avc 26l jsv",
        looks_like=_is_h264,
        rank=120,
    )
)
register(
    Format(
        slug="hevc",
        title="HEVC stream",
        kind=Kind.VIDEO,
        content_type="video/h265",
        extension="h265",
        demuxer="hevc",
        also_named="265 hevc",
        looks_like=_is_hevc,
        rank=121,
    )
)
