"""MPEG transport streams: packets of 188 bytes, or of 192 behind a time stamp.

Comes in: content. Goes out: whether it is one. Never: what is in the packets.

ISO/IEC 13818-1, 2.4.3.
"""

from __future__ import annotations

from mmsprep.formats.content import Content
from mmsprep.formats.registry import Format, register
from mmsprep.model import Kind

_SYNC = 0x47
_PACKETS_WANTED, _PACKETS_BEHIND_JUNK = 3, 10
_JUNK_BYTES = 16_384
_STEPS = ((0, 188), (4, 192))
"""Where the sync byte of a packet is, and how long the packet is: plain, and behind a time stamp."""


def starts_with_packets(content: Content) -> bool:
    """Whether there is a sync byte every 188 bytes, or every 192 behind a time stamp.

    A recorder that was switched on in the middle of a packet leaves part of it in front.
    """
    start = content.read(0, 192 * 8)
    for first, step in _STEPS:
        syncs = start[first::step]
        if len(syncs) >= _PACKETS_WANTED and set(syncs) == {_SYNC}:
            return True
    return _begins_behind_junk(content)


def _begins_behind_junk(content: Content) -> bool:
    data = content.read(0, _JUNK_BYTES + 192 * _PACKETS_BEHIND_JUNK)
    position = data.find(_SYNC)
    while 0 <= position < _JUNK_BYTES:
        for _, step in _STEPS:
            syncs = data[position : position + step * _PACKETS_BEHIND_JUNK : step]
            if len(syncs) == _PACKETS_BEHIND_JUNK and set(syncs) == {_SYNC}:
                return True
        position = data.find(_SYNC, position + 1)
    return False


register(
    Format(
        slug="mpeg-ts",
        title="MPEG transport stream",
        kind=Kind.VIDEO,
        content_type="video/mp2t",
        extension="ts",
        demuxer="mpegts",
        also_named="m2ts mts m2t tsv",
        looks_like=starts_with_packets,
        rank=110,
    )
)
