"""MPEG transport streams: packets of 188 bytes, or of 192 behind a time stamp.

Comes in: content. Goes out: whether it is one. Never: what is in the packets.

ISO/IEC 13818-1, 2.4.3.
"""

from __future__ import annotations

from mmsprep.formats.content import Content
from mmsprep.formats.registry import Format, register
from mmsprep.model import Kind

_PACKETS_WANTED = 3


def starts_with_packets(content: Content) -> bool:
    """Whether there is a sync byte every 188 bytes, or every 192 behind a time stamp."""
    start = content.read(0, 192 * 8)
    for first, step in ((0, 188), (4, 192)):
        syncs = start[first::step]
        if len(syncs) >= _PACKETS_WANTED and set(syncs) == {0x47}:
            return True
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
