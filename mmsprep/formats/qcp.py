"""QCP, Qualcomm's file of QCELP or EVRC.

Comes in: content. Goes out: what its headers say; MediaInfo reads no QCP. Never: a decoded sample.

RFC 3625.
"""

from __future__ import annotations

import struct

from mmsprep.errors import Damaged
from mmsprep.formats.content import Content
from mmsprep.formats.registry import Format, described, register
from mmsprep.model import Kind, MediaInfo

_EVRC_GUID = bytes.fromhex("8dd489e6")


def _read(content: Content) -> MediaInfo:
    """Codec, size of a packet and, at a variable rate, their number."""
    try:
        rate_bps, packet_bytes, block_samples, sample_rate_hz = struct.unpack_from("<HHHH", content.head, 120)
        counted = content.head.find(b"vrat", 120, 1024)
        sound = content.head.find(b"data", 120, 1024)
        packets = struct.unpack_from("<I", content.head, counted + 12)[0] if counted > 0 else 0
        packets = packets or struct.unpack_from("<I", content.head, sound + 4)[0] // packet_bytes
        duration_s = packets * block_samples / sample_rate_hz
    except (struct.error, ZeroDivisionError) as error:
        raise Damaged(content.name, "is QCP without a sound header; get the file again") from error
    return described(
        content,
        "qcp",
        duration_s=round(duration_s, 3) or None,
        audio_codec="evrc" if content.head[22:26] == _EVRC_GUID else "qcelp",
        audio_rate_kbps=rate_bps / 1000 or None,
        sample_rate_hz=sample_rate_hz,
        channels=1,
    )


register(
    Format(
        slug="qcp",
        title="QCP",
        kind=Kind.AUDIO,
        content_type="audio/qcelp",
        extension="qcp",
        demuxer="qcp",
        magics=(
            (
                (0, b"RIFF"),
                (8, b"QLCM"),
            ),
        ),
        read=_read,
    )
)
