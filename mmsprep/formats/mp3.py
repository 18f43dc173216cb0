"""MP3: a run of frames, found among tags and junk, counted, and put together again without them.

Comes in: content or bytes. Goes out: where the sound is, how long it plays, the sound alone. Never: a length that a
header only claims: files are joined, cut and streamed, and few have one that is right.

ISO/IEC 11172-3 and 13818-3; LAME's Mp3 Info Tag revision 1; ID3v2.4; APEv2.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import accumulate

from mmsprep.formats.content import Content
from mmsprep.formats.findings import Sound
from mmsprep.formats.frames import Frame, starts_with_frames
from mmsprep.formats.id3 import is_tag, tag_bytes
from mmsprep.formats.registry import Format, described, register
from mmsprep.model import Kind, MediaInfo

SEARCHED_BYTES = 262_144
"""How far in a file the sound is looked for: cut radio streams begin with part of a frame, downloads with a page."""
_FRAMES_OF_A_RUN = 6
_BYTES_COUNTED = 1 << 29
_SYNC_OR_TAG = re.compile(rb"\xff[\xe2-\xff]|ID3")
_SYNC = re.compile(rb"\xff[\xe2-\xff]")
_XING_HEADERS = (b"Xing", b"Info")
_TRUSTED_ENCODERS = (b"LAME", b"Lavf", b"Lavc")
_ENCODER_NAME_BYTES = 9
_LAME_TAG_BYTES = 36
_LAME_PADDING = re.compile(rb"LAME3\.\d{1,3}[.a-z]?\d?")
_DECODER_DELAY = 529
"""Samples that a decoder adds and players that know the encoder's delay take off (LAME's tag, "enc_delays")."""
_RATES_KBPS = {
    (1, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_HZ = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
_JUNK_BYTES = 1_000_000
_MPEG_VERSIONS, _LAYER_3, _MONO = (3, 2), 3, 3
"""MPEG-1 and MPEG-2 by their header bits; 2.5 is nobody's standard."""


def mpeg_audio_frame(header: bytes) -> Frame | None:
    """ISO/IEC 11172-3 and 13818-3, and the unofficial 2.5; layers 1 to 3, no free format."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return None
    version, layer = header[1] >> 3 & 3, 4 - (header[1] >> 1 & 3)
    rate_index, hz_index, padding = header[2] >> 4, header[2] >> 2 & 3, header[2] >> 1 & 1
    if version == 1 or layer == 4 or rate_index in (0, 15) or hz_index == 3:
        return None
    first = version == 3
    rates = _RATES_KBPS[(1, layer) if first else (2, min(layer, 2))]
    rate_bps, hz = rates[rate_index - 1] * 1000, _HZ[version][hz_index]
    if layer == 1:
        return Frame((12 * rate_bps // hz + padding) * 4, 384, hz, (version, layer, hz))
    samples = 576 if layer == 3 and not first else 1152
    return Frame(samples // 8 * rate_bps // hz + padding, samples, hz, (version, layer, hz))


@dataclass(frozen=True, slots=True)
class Mp3Facts:
    """How long it plays by its frames; ``promised_s`` is what its header frame says (``None``: it has none).

    ``is_mixed``: parts of it have another sampling rate, version or layer, as joined files have.
    """

    duration_s: float
    rate_kbps: float
    promised_s: float | None
    is_mixed: bool


def find_run(content: Content) -> int | None:
    """Where the first run of MP3 frames begins: six of one kind, each ending where the next begins; ``None`` where
    there is none in the first quarter of a megabyte."""
    data = content.read(0, SEARCHED_BYTES + 16_384)
    for found in _SYNC.finditer(data, 0, min(len(data), SEARCHED_BYTES)):
        if _is_run(data, found.start(), at_end=len(data) >= content.size_bytes):
            return found.start()
    return None


def _is_run(data: bytes, position: int, *, at_end: bool) -> bool:
    first: Frame | None = None
    for count in range(_FRAMES_OF_A_RUN):
        frame = _frame_like(first, data, position)
        if frame is None or frame.character[1] != 3:
            return at_end and count >= _FRAMES_OF_A_RUN // 2 and len(data) - position < 256
        first = first or frame
        position += frame.length_bytes
    return True


def read_mp3(content: Content, offset: int) -> Mp3Facts:
    """Count the frames from ``offset`` on (of the first half gigabyte)."""
    data = content.read(offset, _BYTES_COUNTED)
    seconds, size_bytes, kinds = 0.0, 0, set[tuple[int, ...]]()
    promised_s, silent_s = None, 0.0
    for place, (start, frame) in enumerate(runs_of(data)):
        if place == 0:
            header = data[start : start + frame.length_bytes]
            at = _info_at(header)
            if at is not None:
                promised_s, silent_s = _promised(header, at, frame)
                continue
        kinds.add(frame.character)
        seconds += frame.samples / frame.sample_rate_hz
        size_bytes += frame.length_bytes
    if len(data) < content.size_bytes - offset and size_bytes:
        seconds *= (content.size_bytes - offset) / len(data)
    rate_kbps = size_bytes * 8 / 1000 / seconds if seconds else 0.0
    return Mp3Facts(round(max(0.0, seconds - silent_s), 3), round(rate_kbps, 3), promised_s, len(kinds) > 1)


def strip(content: Content) -> bytes:
    """Keep frames: ID3v1, ID3v2, APEv2, Lyrics3 and whatever else lies before, between or behind them goes.

    The header frame of LAME and Xing stays, as without its frame count, seek table and encoder delay players
    show a wrong duration and play clicks at both ends. What it says about the encoder's version goes; one that counts
    other frames than there are goes too.

    Raises:
        ValueError: there is no run of frames in it.
    """
    data = content.read(0, content.size_bytes)
    runs = list(runs_of(data))
    if len(runs) < 2:
        raise ValueError("no run of MPEG audio frames in it")
    frames = [data[start : start + frame.length_bytes] for start, frame in runs]
    sound = [one for one in frames if _info_at(one) is None]
    at = _info_at(frames[0])
    if at is not None:
        (flags, counted) = struct.unpack_from(">II", frames[0].ljust(at + 12, b"\0"), at + 4)
        if not flags & 1 or abs(counted - len(sound)) <= max(2, len(sound) // 100):
            sound = [_without_encoder_version(frames[0], at), *sound]
    return _LAME_PADDING.sub(lambda found: b"U" * len(found[0]), b"".join(sound))


def runs_of(data: bytes) -> Iterator[tuple[int, Frame]]:
    """Whole frames with where they begin; a new run of them counts only if two of one kind follow each other."""
    position, running = 0, False
    first: Frame | None = None
    while position >= 0:
        frame = _frame_like(first if running else None, data, position)
        if frame and (running or _frame_like(frame, data, position + frame.length_bytes)):
            end = position + frame.length_bytes
            if end > len(data):
                return
            first, running = frame, True
            yield position, frame
            position = end
        elif data[position : position + 3] == b"ID3" and position + 10 <= len(data):
            position, running = _after_id3v2(data, position), False
        else:
            found = _SYNC_OR_TAG.search(data, position + 1)
            position, running = found.start() if found else -1, False


def frames_in_turn(data: bytes) -> list[bytes]:
    """The frames that follow one another from the first byte on, up to where something else begins."""
    frames, position = [], 0
    while (frame := mpeg_audio_frame(data[position : position + 4])) is not None:
        frames.append(data[position : position + frame.length_bytes])
        position += frame.length_bytes
    return frames


def borrowed_bytes(frame: bytes) -> int:
    """How many bytes before a layer III frame, in the bodies of others, its sound begins (``main_data_begin``)."""
    at = 4 if frame[1] & 1 else 6
    return frame[at] << 1 | frame[at + 1] >> 7 if frame[1] >> 3 & 3 == 3 else frame[at]


def body_at(frame: bytes) -> int:
    """Where the body of a layer III frame begins: behind the header, a checksum and what it says of its sound."""
    mono, newest = frame[3] >> 6 == 3, frame[1] >> 3 & 3 == 3
    return 4 + (0 if frame[1] & 1 else 2) + ((17 if mono else 32) if newest else (9 if mono else 17))


def _frame_like(first: Frame | None, data: bytes, position: int) -> Frame | None:
    """The frame at ``position`` if it is of the same version, layer and sampling rate as ``first``."""
    frame = mpeg_audio_frame(data[position : position + 4])
    return frame if frame and (first is None or frame.character == first.character) else None


def _after_id3v2(data: bytes, position: int) -> int:
    """Where the tag at ``position`` ends; one that leads out is passed over."""
    end = position + tag_bytes(data[position : position + 10])
    return end if end <= len(data) else position + 3


def _info_at(frame: bytes) -> int | None:
    """Where the header of Xing or LAME is in a frame, ``None`` in one of sound."""
    at = body_at(frame)
    return at if frame[at : at + 4] in _XING_HEADERS else None


def _promised(header: bytes, at: int, frame: Frame) -> tuple[float | None, float]:
    """Seconds that the header frame says, and seconds of its frames that players leave out at both ends."""
    flags, count = struct.unpack_from(">II", header.ljust(at + 12, b"\0"), at + 4)
    promised_s = count * frame.samples / frame.sample_rate_hz if flags & 1 else None
    tag = at + 8 + 4 * (flags & 1) + 4 * (flags >> 1 & 1) + 100 * (flags >> 2 & 1) + 4 * (flags >> 3 & 1)
    if header[tag : tag + 4] not in _TRUSTED_ENCODERS or len(header) < tag + 24:
        return promised_s, 0.0
    both = int.from_bytes(header[tag + 21 : tag + 24], "big")
    delay, padding = both >> 12, both & 0xFFF
    left_out = delay + _DECODER_DELAY + max(0, padding - _DECODER_DELAY)
    return promised_s, left_out / frame.sample_rate_hz


def _without_encoder_version(frame: bytes, at: int) -> bytes:
    """``LAME`` is what makes players trust the encoder delay, so just that stays of the encoder's name."""
    (flags,) = struct.unpack_from(">I", frame.ljust(at + 8, b"\0"), at + 4)
    at += 8 + 4 * (flags & 1) + 4 * (flags >> 1 & 1) + 100 * (flags >> 2 & 1) + 4 * (flags >> 3 & 1)
    end = at + _LAME_TAG_BYTES
    if end > len(frame):
        return frame
    name = b"LAME" if frame[at : at + 4] in _TRUSTED_ENCODERS else b""
    tag = frame[:at] + name.ljust(_ENCODER_NAME_BYTES, b"\x00") + frame[at + _ENCODER_NAME_BYTES : end - 2]
    return tag + struct.pack(">H", _crc16(tag)) + frame[end:]


def _crc16(data: bytes) -> int:
    """CRC-16/ARC, which the LAME tag ends with (LAME's Mp3 Info Tag revision 1)."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return crc


def _amend(content: Content, info: MediaInfo) -> MediaInfo:
    """How long an MP3 plays, by its frames; a header of the first of several joined files speaks for that one alone."""
    found = find_run(content)
    if found is None:
        found = next((start for start, _ in runs_of(content.read(0, SEARCHED_BYTES))), None)
    facts = read_mp3(content, found or 0)
    info = _with_codec(info, content.read(found or 0, 4))
    notes: tuple[str, ...] = ()
    if facts.promised_s and facts.duration_s < 0.9 * facts.promised_s - 0.5:
        notes = (f"plays {facts.duration_s:.1f} s, its header says {facts.promised_s:.1f} s",)
    extra = [] if found == 0 else ["junk"]
    extra += ["mixed_rates"] if facts.is_mixed else []
    extra += ["wrong_length"] if facts.promised_s and abs(facts.promised_s - facts.duration_s) > 1 else []
    return replace(
        info,
        duration_s=(facts.duration_s or None) if facts.rate_kbps else info.duration_s,
        metadata=(*info.metadata, *extra),
        notes=notes,
    )


def _read_alone(content: Content) -> MediaInfo | None:
    """Its frames tell everything; a few streams are nothing to MediaInfo, which looks for other things first."""
    found = next((start for start, _ in runs_of(content.read(0, SEARCHED_BYTES))), None)
    if found is None:
        return None
    return _amend(content, described(content, "mp3", audio_rate_kbps=read_mp3(content, found).rate_kbps or None))


_LAYERS = {1: "mp1", 2: "mp2", 3: "mp3"}


def _with_codec(info: MediaInfo, header: bytes) -> MediaInfo:
    """What a frame says, where MediaInfo took it for another codec's: some without a header look like AAC to it."""
    frame = mpeg_audio_frame(header)
    if frame is None or info.audio_codec in _LAYERS.values():
        return info
    _, layer, sample_rate_hz = frame.character
    return replace(info, audio_codec=_LAYERS[layer], sample_rate_hz=sample_rate_hz, channels=_channels(header))


def _channels(header: bytes) -> int:
    return 1 if header[3] >> 6 == _MONO else 2


def _is_surely_over(content: Content, max_bytes: int) -> bool:
    start = 0
    # Covers of albums are larger than a message.
    while is_tag(header := content.read(start, 10)):
        start += tag_bytes(header)
    frames = runs_of(content.read(start, 2 * max_bytes + _JUNK_BYTES))
    return any(total > max_bytes for total in accumulate(frame.length_bytes for _, frame in frames))


def _read_exactly(data: bytes) -> Sound:
    """Nothing but frames of MPEG-1 or MPEG-2 layer III, all of one sampling rate."""
    position = samples = 0
    rates: set[float] = set()
    first: tuple[int, ...] | None = None
    channels = 0
    while position < len(data):
        frame = mpeg_audio_frame(data[position : position + 4])
        if frame is None or position + frame.length_bytes > len(data):
            raise ValueError(f"has no whole frame at byte {position:,}")
        version, layer, _ = frame.character
        if version not in _MPEG_VERSIONS or layer != _LAYER_3:
            raise ValueError(f"has a frame at byte {position:,} that is not MPEG-1 or MPEG-2 layer III")
        own = _channels(data[position : position + 4])
        if first is None:
            first, channels = frame.character, own
        if (frame.character, own) != (first, channels):
            raise ValueError(f"changes its sampling rate or channels at byte {position:,}")
        rates.add(round(frame.length_bytes * 8 * frame.sample_rate_hz / frame.samples / 1000))
        samples += frame.samples
        position += frame.length_bytes
    if first is None:
        raise ValueError("has no frame")
    return Sound("mp3", first[2], channels, frozenset(rates), samples / first[2])


register(
    Format(
        slug="mp3",
        title="MP3",
        kind=Kind.AUDIO,
        content_type="audio/mpeg",
        extension="mp3",
        demuxer="mp3",
        also_named="mp2 mpga",
        looks_like=lambda content: starts_with_frames(content, mpeg_audio_frame),
        rank=120,
        amend=_amend,
        read_alone=_read_alone,
        strip=strip,
        is_surely_over=_is_surely_over,
        read_exactly=_read_exactly,
    )
)
