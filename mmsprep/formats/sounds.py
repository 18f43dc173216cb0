"""MP3, AMR and WAV as phones play them: every byte of the file accounted for.

Comes in: the whole file. Goes out: :class:`Sound`, what its own headers say. Never: tolerance; whatever is not
a frame, a sample or a header that belongs there is an error. For reading back what is to be sent.

ISO/IEC 11172-3 and 13818-3 (MP3), RFC 4867, 5 (AMR), Microsoft's multimedia registration kit (WAV).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

from mmsprep.formats.amr import AMR_FRAME_BYTES
from mmsprep.formats.frames import mpeg_audio_frame

AMR_RATES_KBPS = (4.75, 5.15, 5.9, 6.7, 7.4, 7.95, 10.2, 12.2)
"""By frame type."""
_AMR_MAGIC = b"#!AMR\n"
_AMR_SILENCE, _AMR_NO_DATA = 8, 15
_AMR_FRAME_S = 0.020
_MPEG_VERSIONS, _LAYER_3, _MONO = (3, 2), 3, 3
"""MPEG-1 and MPEG-2 by their header bits; 2.5 is nobody's standard."""
_PCM, _IMA_ADPCM = 1, 17
_SPARE_BITS = 0x83
"""The bits around frame type and quality in an AMR frame's header are zero."""


@dataclass(frozen=True, slots=True)
class Sound:
    """What the headers say; ``format`` is a rung's (``mp3``, ``amr``, ``wav``, ``wav-ima``).

    ``rates_kbps`` are the rates of its frames, or, of a WAV, the one of the whole.
    """

    format: str
    sample_rate_hz: int
    channels: int
    rates_kbps: frozenset[float]
    duration_s: float


def read_sound(data: bytes, format_slug: str) -> Sound:
    """Read an ``mp3``, ``amr`` or ``wav`` to its last byte.

    Raises:
        ValueError: something in it does not belong there; the message says where.
    """
    try:
        return _READERS[format_slug](data)
    except (struct.error, IndexError) as error:
        raise ValueError("ends in the middle of a header") from error


def _read_mp3(data: bytes) -> Sound:
    position = samples = 0
    rates: set[float] = set()
    first: tuple[int, ...] | None = None
    mono = False
    while position < len(data):
        frame = mpeg_audio_frame(data[position : position + 4])
        if frame is None or position + frame.length_bytes > len(data):
            raise ValueError(f"has no whole frame at byte {position:,}")
        version, layer, _ = frame.character
        if version not in _MPEG_VERSIONS or layer != _LAYER_3:
            raise ValueError(f"has a frame at byte {position:,} that is not MPEG-1 or MPEG-2 layer III")
        alone = data[position + 3] >> 6 == _MONO
        if first is None:
            first, mono = frame.character, alone
        if (frame.character, alone) != (first, mono):
            raise ValueError(f"changes its sampling rate or channels at byte {position:,}")
        rates.add(round(frame.length_bytes * 8 * frame.sample_rate_hz / frame.samples / 1000))
        samples += frame.samples
        position += frame.length_bytes
    if first is None:
        raise ValueError("has no frame")
    return Sound("mp3", first[2], 1 if mono else 2, frozenset(rates), samples / first[2])


def _read_amr(data: bytes) -> Sound:
    if not data.startswith(_AMR_MAGIC):
        raise ValueError("does not begin with #!AMR")
    position, frames = len(_AMR_MAGIC), 0
    rates: set[float] = set()
    while position < len(data):
        header = data[position]
        kind = header >> 3 & 15
        length = AMR_FRAME_BYTES[kind]
        if header & _SPARE_BITS or not length or position + length > len(data):
            raise ValueError(f"has no whole frame at byte {position:,}")
        if kind not in (_AMR_SILENCE, _AMR_NO_DATA):
            rates.add(AMR_RATES_KBPS[kind])
        frames += 1
        position += length
    if not rates:
        raise ValueError("has no speech frame")
    return Sound("amr", 8_000, 1, frozenset(rates), frames * _AMR_FRAME_S)


def _read_wav(data: bytes) -> Sound:
    name, size, form = struct.unpack_from("<4sI4s", data)
    if (name, form) != (b"RIFF", b"WAVE") or size != len(data) - 8:
        raise ValueError("has no RIFF header with the file's true length")
    chunks: dict[bytes, bytes] = {}
    position = 12
    while position < len(data):
        name, size = struct.unpack_from("<4sI", data, position)
        if name not in (b"fmt ", b"fact", b"data") or name in chunks or position + 8 + size > len(data):
            raise ValueError(f"has no format, fact or data chunk at byte {position:,}")
        chunks[name] = data[position + 8 : position + 8 + size]
        position += 8 + size + size % 2
    codec, channels, rate_hz, byte_rate, block, bits = struct.unpack_from("<HHIIHH", chunks.get(b"fmt ", b""))
    samples = len(chunks.get(b"data", b""))
    if not samples or not block or samples % block:
        raise ValueError(f"has {samples:,} bytes of samples in blocks of {block}")
    if codec == _PCM:
        if bits not in (8, 16) or block != channels * bits // 8 or byte_rate != rate_hz * block:
            raise ValueError(f"has a format chunk that contradicts itself ({bits} bits in blocks of {block})")
        return Sound("wav", rate_hz, channels, frozenset((byte_rate * 8 / 1000,)), samples / byte_rate)
    if codec != _IMA_ADPCM or bits != 4:
        raise ValueError(f"has the codec {codec} of {bits} bits, expected PCM or IMA ADPCM")
    # A block begins with a whole sample a channel; the rest are four bits each.
    samples_a_block = (block - 4 * channels) * 2 // channels + 1
    duration_s = samples // block * samples_a_block / rate_hz
    return Sound("wav-ima", rate_hz, channels, frozenset((byte_rate * 8 / 1000,)), duration_s)


_READERS: dict[str, Callable[[bytes], Sound]] = {"mp3": _read_mp3, "amr": _read_amr, "wav": _read_wav}
SOUNDS = frozenset(_READERS)
"""The formats that :func:`read_sound` reads."""
