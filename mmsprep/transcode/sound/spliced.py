"""One MP3 of two encodes of the same sound, larger than one and smaller than the other.

Comes in: MP3s that LAME made of the same samples, at rates near each other. Goes out: the better one from its beginning
for as long as there is room, then the other. Never: a byte too many, or a frame without all of its sound.

LAME's settings are too coarse to fill what there is room for: mean rates are whole kbit/s, a twentieth of what a long
recording gets. A frame's sound may begin in the bodies of those before it (the reservoir of ISO/IEC 11172-3, 2.4.3.4):
the two are put together where the one has borrowed as much as the other, which is every second frame or so. Both see
the same samples in the same places, so what a frame leaves for the next differs by the noise of two rates near each
other.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from itertools import accumulate

from mmsprep.formats.mp3 import body_at, borrowed_bytes, frames_in_turn, mpeg_audio_frame

FILLED = 0.985
_ALIKE = 1.12
"""Of the bytes allowed: what is enough. How much larger the better one may be: nobody hears where it ends."""
_AIM, _AIM_ABOVE, _AIM_BELOW = 0.993, 1.02, 0.98
"""Shares of the bytes allowed that an encode aims at: the first one, one that is to be above and one below."""
_MOST_BORROWED_BYTES = 511
_SHORTEST_HEADER_FRAME_BYTES = 56
"""Of a frame that has room for LAME's header."""


@dataclass(slots=True)
class Tried:
    """The encodes of one sound that come closest to ``max_bytes``, from below and from above."""

    max_bytes: int
    under: bytes = field(default=b"", repr=False)
    over: bytes = field(default=b"", repr=False)
    best: bytes = field(default=b"", repr=False)

    @property
    def is_filled(self) -> bool:
        """Whether the best so far is as large as anybody could ask for."""
        return len(self.best) >= self.max_bytes * FILLED

    @property
    def aim(self) -> float:
        """The share of ``max_bytes`` that the next encode is wanted to have: on the side that is the farther off."""
        if not self.over:
            return _AIM_ABOVE if self.under else _AIM
        return _AIM_ABOVE if len(self.under) * len(self.over) > self.max_bytes**2 else _AIM_BELOW

    def add(self, made: bytes) -> int:
        """Keep an encode without a header frame where it is the closest; how many bytes it has with one."""
        size_bytes = len(with_header(made))
        if size_bytes <= self.max_bytes:
            self.under = max(self.under, made, key=len)
        elif not self.over or len(made) < len(self.over):
            self.over = made
        if self.under:
            self.best = with_header(self._joined() or self.under)
        return size_bytes

    def _joined(self) -> bytes:
        """As much as there is room for of the larger one, the rest of the smaller; empty where they are too unlike."""
        if len(self.over) > len(self.under) * _ALIKE:
            return b""
        room = self.max_bytes - len(with_header(self.under))
        better, rest = frames_in_turn(self.over), frames_in_turn(self.under)
        both = list(zip(better, rest, strict=False))
        grown = accumulate(len(more) - len(less) for more, less in both)
        places = [
            (more, place)
            for place, more in enumerate(grown, 1)
            if more <= room and place < len(both) and borrowed_bytes(better[place]) >= borrowed_bytes(rest[place])
        ]
        return b"".join(_spliced(better, rest, max(places)[1])) if places else b""


def _spliced(better: list[bytes], rest: list[bytes], place: int) -> list[bytes]:
    """The frames before ``place`` of one, those from there on of the other.

    What the first of those borrows comes where the better one's next frame had its own.
    """
    bodies = b"".join(frame[body_at(frame) :] for frame in rest[max(0, place - _MOST_BORROWED_BYTES) : place])
    borrowed = bodies[len(bodies) - borrowed_bytes(rest[place]) :]
    made = better[:place]
    while borrowed:
        place -= 1
        count = min(len(borrowed), len(made[place]) - body_at(made[place]))
        kept = len(borrowed) - count
        made[place] = made[place][: len(made[place]) - count] + borrowed[kept:]
        borrowed = borrowed[:kept]
    return made + rest[len(made) :]


def with_header(data: bytes) -> bytes:
    """The frames behind one that says how many there are: else players take the first one's rate for the whole.

    It is the frame that Xing's encoder began with: the usual header, silence, ``Xing``, which fields follow (1 + 2),
    the number of frames and of bytes.
    """
    frames = frames_in_turn(data)
    if not frames or sum(map(len, frames)) < len(data):
        return data
    for index in range(1, 15):
        header = bytes((*data[:2], index << 4 | data[2] & 0x0C, data[3] & 0xC0))
        shape = mpeg_audio_frame(header)
        if shape is not None and shape.length_bytes >= _SHORTEST_HEADER_FRAME_BYTES:
            break
    else:
        return data
    told = struct.pack(">4sIII", b"Xing", 3, len(frames), len(data) + shape.length_bytes)
    return (header.ljust(body_at(header), b"\0") + told).ljust(shape.length_bytes, b"\0") + data
