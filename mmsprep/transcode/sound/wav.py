"""A WAV of 16-bit samples: made of samples, and cut between them.

Comes in: samples, or a WAV of ours. Goes out: WAV files that pydub writes, with the sizes that they have. Never: a
program started, or a search for one.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from io import BytesIO
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydub import AudioSegment

SAMPLE_BYTES = 2


def _segments() -> type[AudioSegment]:
    with warnings.catch_warnings():
        # pydub looks for an ffmpeg on the PATH when it is imported and warns where there is none; none is needed here.
        warnings.simplefilter("ignore")
        from pydub import AudioSegment
    found: type[AudioSegment] = AudioSegment
    return found


def written(samples: bytes, rate_hz: int, channels: int) -> bytes:
    """The file of little-endian 16-bit ``samples``, channels beside each other."""
    segments = _segments()
    return _file(segments(data=samples, sample_width=SAMPLE_BYTES, frame_rate=rate_hz, channels=channels))


def pieces(data: bytes, bounds: Sequence[float]) -> Iterator[tuple[bytes, float]]:
    """What plays between each two of ``bounds``, in seconds from the beginning, exact to the sample, and how long."""
    whole = _segments().from_file(BytesIO(data), format="wav")
    count, rate_hz = int(whole.frame_count()), whole.frame_rate
    for first, last in pairwise(min(count, round(bound * rate_hz)) for bound in bounds):
        yield _file(whole.get_sample_slice(first, last)), (last - first) / rate_hz


def _file(segment: AudioSegment) -> bytes:
    made = BytesIO()
    segment.export(made, format="wav")
    return made.getvalue()
