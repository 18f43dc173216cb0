"""A sound that was encoded whole, cut between its frames: pieces that follow one another without a gap or an overlap.

Comes in: a sound of ours and the moments at which to cut. Goes out: files that each play by themselves. Never: an
encode of a piece alone, which would put its coder's silence at every cut.

MP3 must be made without a bit reservoir (:class:`~mmsprep.transcode.sound.mp3.Samples`, ``apart``), so that each frame
has all that it needs; AMR frames and WAV samples have anyway.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from io import BytesIO
from itertools import pairwise

from mmsprep.formats.amr import AMR_MAGIC, FRAME_S, amr_frames
from mmsprep.formats.content import Content
from mmsprep.formats.mp3 import frames_in_turn, mpeg_audio_frame
from mmsprep.formats.riff import chunks, written
from mmsprep.transcode.sound import wav
from mmsprep.transcode.sound.spliced import with_header

HEADER_BYTES = 120
"""What a piece may need beyond its frames."""
_MP3_DELAY = 1105
"""Samples at the beginning that LAME and any decoder add."""
_PCM = 1


def cut(data: bytes, format_slug: str, bounds: Sequence[float]) -> list[tuple[bytes, float]]:
    """The pieces of a sound between each two of ``bounds``, in seconds from its beginning, and how long each plays.

    The last ends with the sound where a bound lies behind its end.
    """
    return list(_CUTTERS[format_slug](data, bounds))


def _amr(data: bytes, bounds: Sequence[float]) -> Iterator[tuple[bytes, float]]:
    for some in _between(list(amr_frames(data)), [bound / FRAME_S for bound in bounds]):
        yield AMR_MAGIC + b"".join(some), len(some) * FRAME_S


def _mp3(data: bytes, bounds: Sequence[float]) -> Iterator[tuple[bytes, float]]:
    frames = frames_in_turn(data)
    shape = mpeg_audio_frame(data)
    samples, rate_hz = (shape.samples, shape.sample_rate_hz) if shape else (576, 22_050)
    has_header = bool(frames) and any(name in frames[0][:40] for name in (b"Xing", b"Info"))
    # The first frame of sound holds the coder's delay and nothing else.
    frames = frames[1 + has_header :]
    late = _MP3_DELAY / samples - 1
    places = [bounds[0] * rate_hz / samples, *(bound * rate_hz / samples + late for bound in bounds[1:])]
    for some in _between(frames, places):
        sound = b"".join(some)
        alike = len({len(one) for one in some}) == 1
        yield sound if alike else with_header(sound), len(some) * samples / rate_hz


def _wav(data: bytes, bounds: Sequence[float]) -> Iterator[tuple[bytes, float]]:
    """RIFF with the chunks that ours have: ``fmt ``, perhaps ``fact``, ``data``; IMA ADPCM is cut at its blocks."""
    with Content("a sound", BytesIO(data)) as content:
        found = {name: content.read(start, length) for name, start, length in chunks(content)}
    form, sound = found[b"fmt "], found[b"data"]
    codec, _, rate_hz, _, block_bytes = struct.unpack_from("<HHIIH", form)
    if codec == _PCM:
        yield from wav.pieces(data, bounds)
        return
    (samples,) = struct.unpack_from("<H", form, 18)
    count = len(sound) // block_bytes
    places = [min(count, round(bound * rate_hz / samples)) for bound in bounds]
    for first, last in pairwise(places):
        body = sound[first * block_bytes : last * block_bytes]
        count_of = [(b"fact", struct.pack("<I", (last - first) * samples))] if b"fact" in found else []
        yield written(b"WAVE", [(b"fmt ", form), *count_of, (b"data", body)]), (last - first) * samples / rate_hz


def _between(frames: Sequence[bytes], places: Sequence[float]) -> Iterator[Sequence[bytes]]:
    whole = [max(0, min(len(frames), round(place))) for place in places]
    for first, last in pairwise(whole):
        yield frames[first:last]


_CUTTERS: dict[str, Callable[[bytes, Sequence[float]], Iterator[tuple[bytes, float]]]] = {
    "amr": _amr,
    "mp3": _mp3,
    "wav": _wav,
}
