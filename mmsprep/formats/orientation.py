"""How the pictures of a clip are to be turned, by whichever words that is said.

Comes in: a container's matrix or angle; content with pictures of H.264 or HEVC, which may have a display orientation
message of their own. Goes out: an :class:`Orientation`. Never: a picture, or a choice where both say something.

Rec. ITU-T H.264, 7.3.2.3, D.1.27 and D.2.27; H.265, 7.3.2.4, D.2.17 and D.3.17. Containers differ in where a unit lies,
not in what it is: it stands behind a start code (Annex B) or behind its length, and it is believed only where it is
whole, with every message as long as it says.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

from mmsprep.formats.content import Content

_START_CODE = re.compile(rb"\0\0[\0\x01]")
_HEADERS = {"h264": re.compile(rb"\x06"), "hevc": re.compile(rb"\x4e[\x01-\x07]")}
"""Of a unit of supplemental enhancement information: type 6 of H.264, type 39 (before the picture) of H.265."""
UNIT_TYPES = {"h264": 6, "hevc": 39}
_DISPLAY_ORIENTATION = 47
_LENGTH_BYTES = (4, 2)
"""Of a unit's length in MP4 and Matroska, as they are written in fact."""
_MOST_UNIT_BYTES = 4_096
_LOOKED_BYTES = 1_000_000
"""From where the media begin: the first picture begins there, and says how it is to be turned before anything else."""
_PACKET_SYNC, _TS_PACKET_BYTES = 0x47, 188
_EMULATION = re.compile(rb"\0\0\x03")


@dataclass(frozen=True, slots=True)
class Orientation:
    """How a picture is turned upright: mirrored left to right first where ``mirrored``, then clockwise."""

    rotation_deg: int = 0
    mirrored: bool = False

    @classmethod
    def of(cls, clockwise_deg: float, *, hor_flip: bool = False, ver_flip: bool = False) -> Orientation:
        """Flips first, then a turn, in quarters; upside down is mirrored and turned by half."""
        quarters = round(clockwise_deg / 90) + (2 if ver_flip else 0)
        return cls(90 * quarters % 360, hor_flip != ver_flip)

    @classmethod
    def by_matrix(cls, a: float, b: float, c: float, d: float) -> Orientation:
        """Of what puts a pixel at (ax + cy, bx + dy), y downwards, as a track's header has it (ISO/IEC 14496-12)."""
        mirrored = a * d < b * c
        turn = math.atan2(-b, -a) if mirrored else math.atan2(b, a)
        return cls.of(math.degrees(turn), hor_flip=mirrored)


UPRIGHT = Orientation()


def coded_orientation(content: Content, codec: str, begin: int, *, packets: bool = False) -> Orientation | None:
    """What the pictures of ``codec`` (``h264``, ``hevc``) say; ``None``: nothing, or that they are upright.

    ``begin`` is where the media do, ``packets`` says that they lie in those of a transport stream.
    """
    header = _HEADERS.get(codec)
    if header is None:
        return None
    data = content.read(begin, _LOOKED_BYTES)
    for stream in _streams(data) if packets else [data]:
        for unit in _units(stream, header):
            for kind, payload in _messages(unit) or ():
                if kind == _DISPLAY_ORIENTATION:
                    found = _orientation(payload)
                    return None if found == UPRIGHT else found
    return None


def _streams(data: bytes) -> list[bytes]:
    """What the packets of each programme identifier carry (ISO/IEC 13818-1, 2.4.3.2)."""
    found: dict[int, bytearray] = {}
    begin, step = (0, 188) if data[188:189] == b"G" else (4, 192)
    for place in range(begin, len(data) - _TS_PACKET_BYTES + 1, step):
        packet = data[place : place + _TS_PACKET_BYTES]
        if packet[0] != _PACKET_SYNC or not packet[3] & 0x10:
            continue
        start = 5 + packet[4] if packet[3] & 0x20 else 4
        found.setdefault(int.from_bytes(packet[1:3], "big") & 0x1FFF, bytearray()).extend(packet[start:])
    return [bytes(stream) for stream in found.values()]


def _units(data: bytes, header: re.Pattern[bytes]) -> Iterator[bytes]:
    """What may be a unit, without its header."""
    for found in header.finditer(data):
        start, inner = found.span()
        if data[start - 3 : start] == b"\0\0\1":
            end = _START_CODE.search(data, inner, inner + _MOST_UNIT_BYTES)
            yield data[inner : end.start() if end else inner + _MOST_UNIT_BYTES]
        for length_bytes in _LENGTH_BYTES:
            length = int.from_bytes(data[max(0, start - length_bytes) : start], "big")
            if inner - start < length <= _MOST_UNIT_BYTES:
                yield data[inner : start + length]


def _messages(unit: bytes) -> list[tuple[int, bytes]] | None:
    """Kind and content of each message; ``None`` where it is no such unit."""
    data = _EMULATION.sub(b"\0\0", unit).rstrip(b"\0")
    if not data.endswith(b"\x80"):
        return None
    messages = []
    place, end = 0, len(data) - 1
    while place < end:
        numbers = []
        for _ in range(2):
            number = 0
            while place < end and data[place] == 0xFF:
                number, place = number + 255, place + 1
            if place >= end:
                return None
            numbers.append(number + data[place])
            place += 1
        kind, length = numbers
        if place + length > end:
            return None
        messages.append((kind, data[place : place + length]))
        place += length
    return messages


def _orientation(payload: bytes) -> Orientation:
    """One bit that takes back what was said, two of flips, sixteen of the turn counter-clockwise after them."""
    bits = int.from_bytes(payload[:3].ljust(3, b"\0"), "big")
    if bits >> 23 or len(payload) < 3:
        return UPRIGHT
    turn = bits >> 5 & 0xFFFF
    return Orientation.of(-360 * turn / 65_536, hor_flip=bool(bits >> 22 & 1), ver_flip=bool(bits >> 21 & 1))
