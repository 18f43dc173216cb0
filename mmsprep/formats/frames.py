"""Streams without a container: a run of frames, each of which says how long it is.

Comes in: content and an offset. Goes out: whether such a stream is there, and how long it plays. Never: a
guess from one sync word, which any file may hold by chance.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from mmsprep.formats.content import Content

_FRAMES_WANTED = 3
_PADDING_BYTES = 65_536
_FRAMES_MEASURED = 2_000
_MAX_CHUNKS = 1_000

_MP3_RATES_KBPS = {
    (1, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_MP3_HZ = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
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
_AC3_HZ = (48_000, 44_100, 32_000)
_AC3_RATES_KBPS = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640)


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame's header: the whole frame's length, and what must not change from frame to frame."""

    length_bytes: int
    samples: int
    sample_rate_hz: int
    character: tuple[int, ...]


def mpeg_audio_frame(header: bytes) -> Frame | None:
    """ISO/IEC 11172-3 and 13818-3, and the unofficial 2.5; layers 1 to 3, no free format."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return None
    version, layer = header[1] >> 3 & 3, 4 - (header[1] >> 1 & 3)
    rate_index, hz_index, padding = header[2] >> 4, header[2] >> 2 & 3, header[2] >> 1 & 1
    if version == 1 or layer == 4 or rate_index in (0, 15) or hz_index == 3:
        return None
    first = version == 3
    rates = _MP3_RATES_KBPS[(1, layer) if first else (2, min(layer, 2))]
    rate_bps, hz = rates[rate_index - 1] * 1000, _MP3_HZ[version][hz_index]
    if layer == 1:
        return Frame((12 * rate_bps // hz + padding) * 4, 384, hz, (version, layer, hz))
    samples = 576 if layer == 3 and not first else 1152
    return Frame(samples // 8 * rate_bps // hz + padding, samples, hz, (version, layer, hz))


def _adts_frame(header: bytes) -> Frame | None:
    """ISO/IEC 13818-7, 6.2."""
    if len(header) < 7 or header[0] != 0xFF or header[1] & 0xF6 != 0xF0:
        return None
    length = (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5
    hz_index = header[2] >> 2 & 15
    if length < 7 or hz_index >= len(_AAC_HZ):
        return None
    samples = 1024 * (1 + (header[6] & 3))
    return Frame(length, samples, _AAC_HZ[hz_index], (header[2] >> 6, hz_index))


def _ac3_frame(header: bytes) -> Frame | None:
    """ETSI TS 102 366, 4.3."""
    if len(header) < 6 or header[:2] != b"\x0b\x77" or header[5] >> 3 > 10:
        return None
    hz_index, size_code = header[4] >> 6, header[4] & 63
    if hz_index == 3 or size_code >= 2 * len(_AC3_RATES_KBPS):
        return None
    hz, rate_bps = _AC3_HZ[hz_index], _AC3_RATES_KBPS[size_code // 2] * 1000
    words = 1536 * rate_bps // hz // 16 + (size_code & 1 if hz == 44_100 else 0)
    return Frame(2 * words, 1536, hz, (hz_index,))


def _eac3_frame(header: bytes) -> Frame | None:
    """ETSI TS 102 366, annex E."""
    if len(header) < 6 or header[:2] != b"\x0b\x77" or not 10 < header[5] >> 3 <= 16:
        return None
    hz_index = header[4] >> 6
    if hz_index == 3:
        return None
    return Frame(2 * (((header[2] & 7) << 8 | header[3]) + 1), 1536, _AC3_HZ[hz_index], (hz_index,))


_READERS: dict[str, Callable[[bytes], Frame | None]] = {
    "mp3": mpeg_audio_frame,
    "aac": _adts_frame,
    "ac3": _ac3_frame,
    "eac3": _eac3_frame,
}


def starts_with_frames(content: Content, format_slug: str, offset: int = 0) -> bool:
    """Whether at least two, normally three frames of ``format_slug`` follow each other at ``offset``.

    Zero bytes before the first one are passed over.
    """
    if format_slug == "mpeg-ts":
        return _starts_with_packets(content, offset)
    offset += _leading_zeros(content, offset)
    read = _READERS[format_slug]
    found: list[Frame] = []
    while len(found) < _FRAMES_WANTED and offset < content.size_bytes:
        frame = read(content.read(offset, 8))
        if frame is None:
            # What follows two good frames may be a tag at the end of a very short file.
            return len(found) >= 2 and content.read(offset, 3) in (b"TAG", b"APE", b"ID3")
        found.append(frame)
        offset += frame.length_bytes
    return len(found) >= 2 and all(one.character == other.character for one, other in pairwise(found))


def _leading_zeros(content: Content, offset: int) -> int:
    start = content.read(offset, _PADDING_BYTES)
    return len(start) - len(start.lstrip(b"\x00"))


def _starts_with_packets(content: Content, offset: int) -> bool:
    """MPEG transport packets: a sync byte every 188 bytes, or every 192 behind a time stamp."""
    start = content.read(offset, 192 * 8)
    for first, step in ((0, 188), (4, 192)):
        syncs = start[first::step]
        if len(syncs) >= _FRAMES_WANTED and set(syncs) == {0x47}:
            return True
    return False


def after_id3(content: Content) -> int:
    """Where the sound begins behind the ID3v2 tags in front of it, 0 without one (ID3v2.4, 3.1).

    Header and footer count too; some programs put one tag in front of another.
    """
    offset = 0
    while len(header := content.read(offset, 10)) == 10 and header.startswith(b"ID3"):
        length = 0
        for byte in header[6:10]:
            length = length << 7 | byte & 0x7F
        offset += 10 + length + (10 if header[5] & 0x10 else 0)
    return offset


def adts_facts(content: Content) -> tuple[float, float]:
    """Duration in seconds and rate in kbit/s of an ADTS stream.

    Taken from its first 2000 frames: a whole stream of hours would take seconds to walk.
    """
    offset = after_id3(content)
    offset += _leading_zeros(content, offset)
    begin, duration_s = offset, 0.0
    for _ in range(_FRAMES_MEASURED):
        frame = _adts_frame(content.read(offset, 8))
        if frame is None or offset + frame.length_bytes > content.size_bytes:
            break
        offset += frame.length_bytes
        duration_s += frame.samples / frame.sample_rate_hz
    if not duration_s:
        return 0.0, 0.0
    bytes_per_s = (offset - begin) / duration_s
    return (content.size_bytes - begin) / bytes_per_s, bytes_per_s * 8 / 1000


def caf_pcm_duration_s(content: Content) -> float | None:
    """Duration of a CAF file of uncompressed sound, ``None`` for others; MediaInfo gets it wrong.

    Apple's Core Audio Format Specification 1.0: ``desc`` comes first, ``data`` begins with an edit count.
    """
    if len(content.head) < 52 or content.head[28:32] != b"lpcm":
        return None
    rate_hz: float = struct.unpack_from(">d", content.head, 20)[0]
    packet_bytes = int.from_bytes(content.head[36:40], "big")
    position = 8
    for _ in range(_MAX_CHUNKS):
        header = content.read(position, 12)
        length = int.from_bytes(header[4:], "big", signed=True)
        if header.startswith(b"data") and packet_bytes and rate_hz > 0:
            left = content.size_bytes - position - 12
            sound_bytes = (left if length < 0 else min(left, length)) - 4
            return round(max(0, sound_bytes) / packet_bytes / rate_hz, 3)
        if len(header) < 12 or length < 0:
            break
        position += 12 + length
    return None
