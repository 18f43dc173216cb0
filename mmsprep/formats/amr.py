"""AMR and AMR-WB as files, and EVRC, which is made like them: a run of frames, each with a header byte.

Comes in: content or bytes. Goes out: how long it plays, what is wrong with it, the same sound without it. Never: a
decoded sample.

RFC 4867, 5 (AMR, AMR-WB), RFC 4788 (EVRC).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from math import ceil
from typing import NamedTuple, NoReturn

from mmsprep.errors import Damaged, TypeNotAllowed
from mmsprep.formats.content import Content
from mmsprep.formats.findings import Sound
from mmsprep.formats.registry import Family, Format, described, register
from mmsprep.model import Kind, MediaInfo

_AMR_FRAME_BYTES = (13, 14, 16, 18, 20, 21, 27, 32, 6, 0, 0, 0, 0, 0, 0, 1)
"""Bytes of a stored AMR-NB frame with its header byte, by frame type; 0: no such type."""
_AMR_WB_FRAME_BYTES = (18, 24, 33, 37, 41, 47, 51, 59, 61, 6, 0, 0, 0, 0, 1, 1)
EVRC_FRAME_BYTES = (1, 3, 6, 11, 23, 1)
"""Bytes of a stored EVRC frame with its header byte, by that byte."""
_RATES_KBPS = (4.75, 5.15, 5.9, 6.7, 7.4, 7.95, 10.2, 12.2)
"""By frame type."""
_AMR_SILENCE, _AMR_NO_DATA = 8, 15
FRAME_S = 0.020
_BYTES_MEASURED = 64_000_000
AMR_MAGIC, _AMR_WB_MAGIC = b"#!AMR\n", b"#!AMR-WB\n"
_SPARE_BITS = 0x83
"""The bits around frame type and quality in a frame's header, which are zero."""
_NO_DATA = b"\x7c"
"""A frame of type 15 (nothing to decode) of good quality."""
_GOOD = 4
"""The bit of a frame's header that says it arrived undamaged."""
_MARKS = 1_000
_MOST_JUNK_BYTES, _MOST_BAD_IN_A_ROW = 64, 8
_FOLLOWING = 3
_MOST_BAD_SHARE, _FEW_BAD = 0.1, 10


@dataclass(frozen=True, slots=True)
class VoiceFacts:
    """How long a file of frames plays, how many of its frames are of no known type, and what else is odd about it.

    ``is_exact`` is false where bits that should be zero are not, or where the bit that marks a good frame is missing
    from most of them; ``trailing_bytes`` is what follows the last frame.
    """

    duration_s: float
    bad_frames: int
    is_exact: bool
    trailing_bytes: int


class _Frame(NamedTuple):
    """A tuple: an hour has 180 000."""

    start: int
    length: int
    is_good: bool


def read_voice(content: Content, format_slug: str) -> VoiceFacts:
    """Walk an ``amr``, ``amr-wb`` or ``evrc`` file.

    Beyond 64 MB (about five hours) the duration is extrapolated.

    Raises:
        Damaged: there is no frame, or many are of types that do not exist.
    """
    header_length = content.head.index(b"\n") + 1
    data = content.read(header_length, _BYTES_MEASURED)
    good = bad = end = 0
    is_exact = format_slug == "evrc" or not _are_all_marked_bad(data, 0, format_slug)
    spare_bits = 0 if format_slug == "evrc" else _SPARE_BITS
    for start, length, is_good in _frames(data, 0, format_slug):
        end = start + length
        if is_good:
            good += 1
            is_exact = is_exact and not data[start] & spare_bits
        else:
            bad += 1
    if not good:
        raise Damaged(content.name, "has a header but no sound; get the file again")
    if _end(data, format_slug) - end > _MOST_BAD_SHARE * len(data):
        raise Damaged(
            content.name,
            f"the frame at {(good + bad) * FRAME_S:.2f} s is of a type that does not exist (the recording is damaged);"
            " get the file again",
        )
    if bad > _MOST_BAD_SHARE * (good + bad):
        raise Damaged(
            content.name, f"{bad} of its {good + bad} frames are of types that do not exist; get the file again"
        )
    measured_s = (good + bad) * FRAME_S
    if header_length + len(data) < content.size_bytes:
        return VoiceFacts(measured_s * content.size_bytes / len(data), bad, is_exact, 0)
    return VoiceFacts(measured_s, bad, is_exact, len(data) - end)


def _strip(content: Content) -> bytes:
    """Whole frames with exact headers; one of no known type becomes one without data, what follows the last one goes.

    Where most frames are marked as bad, it was the program that forgot the mark of good ones.

    Raises:
        ValueError: it is no AMR, or less than half of it is frames.
    """
    data = content.read(0, content.size_bytes)
    format_slug = "amr-wb" if data.startswith(_AMR_WB_MAGIC) else "amr"
    magic = _AMR_WB_MAGIC if format_slug == "amr-wb" else AMR_MAGIC
    if not data.startswith(magic):
        raise ValueError("no AMR header")
    kept, end = [magic], len(magic)
    mark = _GOOD if _are_all_marked_bad(data, end, format_slug) else 0
    for frame in _frames(data, end, format_slug):
        end = frame.start + frame.length
        header = bytes((data[frame.start] & ~_SPARE_BITS & 0xFF | mark,))
        kept.append(header + data[frame.start + 1 : end] if frame.is_good else _NO_DATA)
    if len(kept) == 1 or len(data) - end > end:
        raise ValueError(f"no frame at byte {end}")
    return b"".join(kept)


def _are_all_marked_bad(data: bytes, position: int, format_slug: str) -> bool:
    """Whether most of the first frames say that they were damaged on their way."""
    marks = [data[one.start] & _GOOD for one in islice(_frames(data, position, format_slug), _MARKS) if one.is_good]
    return sum(marks) < _GOOD * len(marks) / 2


def _frames(data: bytes, position: int, format_slug: str) -> Iterator[_Frame]:
    """Frame after frame. What is of a type that does not exist is as long as lets good ones follow it."""
    usual, last = 1, -1
    good = bad = 0
    lengths = [_length(header, format_slug) for header in range(256)]
    # Zeros behind the last frame would be frames of the lowest rate, each marked as bad.
    end, size_bytes = _end(data, format_slug), len(data)
    while position < end:
        length = lengths[data[position]]
        if length:
            if position + length > size_bytes:
                return
            yield _Frame(position, length, True)
            usual, last, good, position = length, position, good + 1, position + length
            continue
        header = data[last : last + 1] if good else b""
        length, count = _bad_frames(data, position, end, usual, header, format_slug)
        bad += count
        if not length or position + length * count > size_bytes or bad > _FEW_BAD + _MOST_BAD_SHARE * good:
            return
        for _ in range(count):
            yield _Frame(position, length, False)
            position += length


def _end(data: bytes, format_slug: str) -> int:
    return len(data) if format_slug == "evrc" else len(data.rstrip(b"\0"))


def _bad_frames(data: bytes, position: int, end: int, usual: int, header: bytes, format_slug: str) -> tuple[int, int]:
    """How long what is no frame is, and how many it stands for; 0: no good frames follow.

    What players see: a header alone, as long as the frame before it, some of these, or any other length.
    """
    short = [one for one in (1, usual) if _goes_on(data, position + one, format_slug)]
    alike = [one for one in short if data[position + one : position + one + 1] == header]
    if alike or short:
        return (alike or short)[0], 1
    for count in range(2, _MOST_BAD_IN_A_ROW + 1):
        if position + usual * count < end and _goes_on(data, position + usual * count, format_slug):
            return usual, count
    others = (one for one in range(2, _MOST_JUNK_BYTES) if position + one < end)
    found = next((one for one in others if _goes_on(data, position + one, format_slug)), 0)
    # Before another bad one, or where bits are set in all: at least a header like the last good one follows.
    return found or next((one for one in (1, usual) if data[position + one : position + one + 1] == header), 0), 1


def amr_frames(data: bytes) -> Iterator[bytes]:
    """The frames of an AMR file, each with its header byte."""
    for frame in _frames(data, len(AMR_MAGIC), "amr"):
        yield data[frame.start : frame.start + frame.length]


def amr_frame_bytes(rate_kbps: float) -> int:
    """How large a frame of a rate is, with its header byte."""
    return _AMR_FRAME_BYTES[_RATES_KBPS.index(rate_kbps)]


def amr_bytes(rate_kbps: float, frame_count: int) -> int:
    """How large a file of so many frames is; between two rates, of as many of each as come to ``rate_kbps``."""
    place = min(bisect_right(_RATES_KBPS, rate_kbps), len(_RATES_KBPS) - 1)
    (low_kbps, high_kbps), (low, high) = (table[place - 1 : place + 1] for table in (_RATES_KBPS, _AMR_FRAME_BYTES))
    frame_bytes = low + (high - low) * (rate_kbps - low_kbps) / (high_kbps - low_kbps)
    return len(AMR_MAGIC) + ceil(round(frame_bytes * frame_count, 6))


def _goes_on(data: bytes, position: int, format_slug: str) -> bool:
    """Whether some good frames, or the end, follow at ``position``."""
    for _ in range(_FOLLOWING):
        if position == len(data):
            return True
        if position > len(data):
            return False
        length = _length(data[position], format_slug)
        if not length or (format_slug != "evrc" and data[position] & _SPARE_BITS):
            return False
        position += length
    return True


def _length(header: int, format_slug: str) -> int:
    """Bytes of the frame with this header byte, 0 for a type that does not exist."""
    if format_slug == "evrc":
        return EVRC_FRAME_BYTES[header] if header < len(EVRC_FRAME_BYTES) else 0
    return (_AMR_FRAME_BYTES if format_slug == "amr" else _AMR_WB_FRAME_BYTES)[header >> 3 & 15]


def voice_info(content: Content, format_slug: str) -> MediaInfo:
    """The facts about an ``amr``, ``amr-wb`` or ``evrc`` file, whose frames are counted.

    Raises:
        Damaged: as :func:`read_voice`.
    """
    voice = read_voice(content, format_slug)
    duration_s = voice.duration_s
    metadata = [*(["bad_frames"] if voice.bad_frames else []), *([] if voice.is_exact else ["header_bits"])]
    metadata += ["trailing"] if voice.trailing_bytes else []
    bad_s = f"{voice.bad_frames * 20} ms of it are damaged and silent"
    return described(
        content,
        format_slug,
        duration_s=round(duration_s, 3),
        audio_codec={"amr": "amr_nb", "amr-wb": "amr_wb"}.get(format_slug, "evrc"),
        audio_rate_kbps=round(content.size_bytes * 8 / 1000 / duration_s, 3),
        sample_rate_hz=16_000 if format_slug == "amr-wb" else 8_000,
        channels=1,
        metadata=tuple(metadata),
        notes=(bad_s,) if voice.bad_frames else (),
    )


def _read_exactly(data: bytes) -> Sound:
    """Nothing but frames of known types with exact headers."""
    if not data.startswith(AMR_MAGIC):
        raise ValueError("does not begin with #!AMR")
    position, frames = len(AMR_MAGIC), 0
    rates: set[float] = set()
    while position < len(data):
        header = data[position]
        kind = header >> 3 & 15
        length = _AMR_FRAME_BYTES[kind]
        if header & _SPARE_BITS or not length or position + length > len(data):
            raise ValueError(f"has no whole frame at byte {position:,}")
        if kind not in (_AMR_SILENCE, _AMR_NO_DATA):
            rates.add(_RATES_KBPS[kind])
        frames += 1
        position += length
    if not rates:
        raise ValueError("has no speech frame")
    return Sound("amr", 8_000, 1, frozenset(rates), frames * FRAME_S)


def _refuse_channels(content: Content) -> NoReturn:
    raise TypeNotAllowed(
        content.name, "is AMR with several channels, which nothing here decodes; save it as mono AMR or WAV"
    )


register(
    Format(
        slug="amr",
        title="AMR",
        kind=Kind.AUDIO,
        content_type="audio/amr",
        extension="amr",
        demuxer="amr",
        also_named="3ga",
        magics=(((0, b"#!AMR\n"),),),
        read=lambda content: voice_info(content, "amr"),
        strip=_strip,
        # More junk than sound is refused.
        is_surely_over=lambda content, max_bytes: content.size_bytes > 2 * max_bytes,
        read_exactly=_read_exactly,
    )
)
register(
    Format(
        slug="amr-wb",
        title="AMR-WB",
        kind=Kind.AUDIO,
        content_type="audio/amr-wb",
        extension="awb",
        demuxer="amr",
        also_named="amr",
        magics=(((0, b"#!AMR-WB\n"),),),
        read=lambda content: voice_info(content, "amr-wb"),
        strip=_strip,
    )
)
register(Family(refine=_refuse_channels, magics=(((0, b"#!AMR_MC1.0\n"),), ((0, b"#!AMR-WB_MC1.0\n"),))))
