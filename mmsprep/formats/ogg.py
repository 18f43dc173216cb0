"""Ogg: how long its streams play, counted from its pages, and what they are.

Comes in: content. Goes out: the sound of all links of a chain. Never: a decoded sample.

RFC 3533 (pages), RFC 7845 (Opus), Xiph's mappings of Vorbis, Speex and FLAC.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace

from mmsprep.formats.content import Content
from mmsprep.formats.registry import Format, described, register
from mmsprep.model import Kind, MediaInfo

_PAGE_BYTES = 27
_PICTURES = (b"\x80theora", b"OVP80\x01", b"BBCD\x00", b"\x01video\x00")
"""How the first packet of a stream of pictures begins: Theora, VP8, Dirac, and what Ogg Media files have."""
_MOST_PAGES = 2_000_000
_BEGINS, _ENDS = 2, 4
_OPUS_HZ = 48_000
_PIECE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class OggSound:
    """The sound of an Ogg file: the first link's codec, rate and channels, and how long all links play."""

    codec: str
    sample_rate_hz: int
    channels: int
    duration_s: float


@dataclass(slots=True)
class _Stream:
    codec: str
    granules_a_second: int
    sample_rate_hz: int
    channels: int
    first: int = 0
    last: int = 0


def read_ogg_sound(content: Content) -> OggSound | None:
    """Walk the pages; ``None`` where there is no sound of a codec that is known here.

    A gap in the granule positions is a pause that players keep; positions that run back are not counted.
    """
    finished: list[_Stream] = []
    running: dict[int, _Stream] = {}
    position, pages = 0, 0
    data, start = b"", 0
    while position + _PAGE_BYTES <= content.size_bytes and pages < _MOST_PAGES:
        if position < start or position + _PAGE_BYTES + 255 + 64 > start + len(data):
            data, start = content.read(position, _PIECE_BYTES), position
        at = position - start
        if data[at : at + 4] != b"OggS":
            found = data.find(b"OggS", at + 1)
            position = start + found if found >= 0 else start + len(data) - 3
            if found < 0 and len(data) < _PIECE_BYTES:
                break
            continue
        flags, granule, serial = struct.unpack_from("<BqI", data, at + 5)
        segments = data[at + _PAGE_BYTES : at + _PAGE_BYTES + data[at + 26]]
        body = at + _PAGE_BYTES + len(segments)
        if flags & _BEGINS:
            stream = _begun(data[body : body + 64])
            if stream is not None:
                running[serial] = stream
                finished.append(stream)
        elif (known := running.get(serial)) is not None and granule > 0:
            known.last = max(known.last, granule)
        pages += 1
        position = start + body + sum(segments)
    if not finished:
        return None
    first = finished[0]
    seconds = sum(max(0, one.last - one.first) / one.granules_a_second for one in finished)
    return OggSound(first.codec, first.sample_rate_hz, first.channels, round(seconds, 3))


def _begun(packet: bytes) -> _Stream | None:
    """A stream by its first packet."""
    if packet.startswith(b"\x01vorbis") and len(packet) >= 16:
        channels, rate_hz = struct.unpack_from("<BI", packet, 11)
        return _Stream("vorbis", rate_hz, rate_hz, channels) if rate_hz else None
    if packet.startswith(b"OpusHead") and len(packet) >= 16:
        channels, skipped, rate_hz = struct.unpack_from("<BHI", packet, 9)
        return _Stream("opus", _OPUS_HZ, rate_hz or _OPUS_HZ, channels, first=skipped)
    if packet.startswith(b"Speex   ") and len(packet) >= 52:
        rate_hz, _, _, channels = struct.unpack_from("<iiii", packet, 36)
        return _Stream("speex", rate_hz, rate_hz, channels) if rate_hz > 0 else None
    if packet.startswith(b"\x7fFLAC") and len(packet) >= 35:
        rate_hz = int.from_bytes(packet[27:30], "big") >> 4
        return _Stream("flac", rate_hz, rate_hz, (packet[29] >> 1 & 7) + 1) if rate_hz else None
    return None


def _amend(content: Content, info: MediaInfo) -> MediaInfo:
    sound = content.once(read_ogg_sound) if info.kind is Kind.AUDIO else None
    return replace(info, duration_s=sound.duration_s or info.duration_s) if sound else info


def _read_alone(content: Content) -> MediaInfo | None:
    """Ogg whose sound MediaInfo does not find: a stream that begins in the middle, or has a gap."""
    sound = content.once(read_ogg_sound)
    if sound is None:
        return None
    return described(
        content,
        "ogg",
        duration_s=sound.duration_s or None,
        audio_codec=sound.codec,
        sample_rate_hz=sound.sample_rate_hz,
        channels=sound.channels,
    )


register(
    Format(
        slug="ogg",
        title="Ogg audio",
        kind=Kind.AUDIO,
        content_type="audio/ogg",
        extension="ogg",
        demuxer="ogg",
        also_named="oga opus spx",
        magics=(((0, b"OggS\x00"),),),
        with_pictures="ogv",
        has_pictures=lambda content: any(start in content.head for start in _PICTURES),
        amend=_amend,
        read_alone=_read_alone,
    )
)
register(
    Format(
        slug="ogv",
        title="Ogg video",
        kind=Kind.VIDEO,
        content_type="video/ogg",
        extension="ogv",
        demuxer="ogg",
        also_named="ogg ogm",
        sound_only="ogg",
    )
)
