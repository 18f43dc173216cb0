"""AAC as a stream of ADTS frames.

Comes in: content. Goes out: whether it is one, how long it plays. Never: a decoded sample.

ISO/IEC 13818-7, 6.2.
"""

from __future__ import annotations

from dataclasses import replace

from mmsprep.formats.content import Content
from mmsprep.formats.frames import Frame, starts_with_frames
from mmsprep.formats.registry import Format, described, register
from mmsprep.model import Kind, MediaInfo

_BYTES_MEASURED = 64_000_000
_AAC_HZ = (
    96_000,
    88_200,
    64_000,
    48_000,
    44_100,
    32_000,
    24_000,
    22_050,
    16_000,
    12_000,
    11_025,
    8_000,
    7_350,
)


def adts_frame(header: bytes) -> Frame | None:
    """The header of a frame."""
    if len(header) < 7 or header[0] != 0xFF or header[1] & 0xF6 != 0xF0:
        return None
    length = (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5
    hz_index = header[2] >> 2 & 15
    if length < 7 or hz_index >= len(_AAC_HZ):
        return None
    samples = 1024 * (1 + (header[6] & 3))
    return Frame(length, samples, _AAC_HZ[hz_index], (header[2] >> 6, hz_index))


def adts_facts(content: Content) -> tuple[float, float]:
    """Duration in seconds and rate in kbit/s of an ADTS stream, by its frames; what is no frame is passed over.

    Beyond 64 MB (about an hour) both are extrapolated.
    """
    data = content.read(0, _BYTES_MEASURED)
    duration_s, size_bytes, position = 0.0, 0, 0
    is_running = False
    while position >= 0:
        frame = adts_frame(data[position : position + 8])
        end = position + frame.length_bytes if frame else 0
        if frame and end <= len(data) and (is_running or end == len(data) or adts_frame(data[end : end + 8])):
            duration_s += frame.samples / frame.sample_rate_hz
            size_bytes += frame.length_bytes
            position, is_running = end, True
        else:
            position, is_running = data.find(b"\xff", position + 1), False
    if not duration_s:
        return 0.0, 0.0
    rate_kbps = size_bytes * 8 / 1000 / duration_s
    return duration_s * content.size_bytes / max(1, len(data)), rate_kbps


def _amend(content: Content, info: MediaInfo) -> MediaInfo:
    measured_s, rate_kbps = adts_facts(content)
    return replace(info, duration_s=round(measured_s, 3) or None, audio_rate_kbps=round(rate_kbps, 3))


def _read_alone(content: Content) -> MediaInfo | None:
    """Its frames tell the most of it, where MediaInfo looks for other things first."""
    return _amend(content, described(content, "aac", audio_codec="aac"))


register(
    Format(
        slug="aac",
        title="AAC",
        kind=Kind.AUDIO,
        content_type="audio/aac",
        extension="aac",
        demuxer="aac",
        also_named="adts",
        looks_like=lambda content: starts_with_frames(content, adts_frame),
        rank=130,
        amend=_amend,
        read_alone=_read_alone,
    )
)
