"""The chunks and tracks of a MIDI file, as forgivingly as players read them.

Comes in: a file's bytes. Goes out: a file with the same notes that breaks no rule. Never: a note, or a time.

What is whole stays byte for byte. Standard MIDI Files 1.0 (RP-001); its readers pass over chunks that they do not
know, and over the header's count where there are other tracks.
"""

from __future__ import annotations

import re
import struct

_MOST_CHUNKS = 66_536
"""As many tracks as a header can count, and a thousand chunks of other kinds."""
_HEADER = re.compile(rb"MThd\x00\x00\x00[\x06-\xff]")
_CHUNK_NAME = re.compile(rb"[A-Za-z][A-Za-z0-9_ ]{3}")
_MOST_NUMBER_BYTES, _LARGEST_NUMBER = 4, 0x0FFFFFFF
_END, _END_OF_TRACK = 0x2F, b"\xff\x2f\x00"
_META_BYTES = {0x00: (0, 2), 0x20: (1,), 0x21: (1,), 0x51: (3,), 0x54: (5,), 0x58: (4,), 0x59: (2,)}
"""How long the body of a meta event of a fixed length is; players pass over others."""
_KEY, _MOST_SHARPS = 0x59, 7
_SYSTEM_BYTES = {0xF1: 1, 0xF2: 2, 0xF3: 1}
"""Messages between instruments, which have no place in a file, and the data of those that have some."""
_ONE_DATA_BYTE = (0xC0, 0xD0)
_META, _EXCLUSIVE, _ESCAPE = 0xFF, 0xF0, 0xF7


def find_header(data: bytes) -> int:
    """Where the header of the MIDI file in ``data`` begins, -1: there is none."""
    found = _HEADER.search(data)
    return found.start() if found else -1


def cleaned(data: bytes) -> bytes:
    """The header and the tracks of the MIDI file in ``data``, perhaps inside a RIFF RMID.

    Chunks of other kinds are left out; the header counts the tracks that are there, and is of a format that allows as
    many. A track ends where it says so, whatever its length says.

    Raises:
        ValueError: there is no header or no whole track, or something in one that no player reads.
    """
    start = find_header(data)
    if start < 0 or len(data) < start + 14:
        raise ValueError("no MIDI header")
    header_bytes, form = struct.unpack_from(">IH", data, start + 4)
    tracks: list[bytes] = []
    position = start + 8 + header_bytes
    for _ in range(_MOST_CHUNKS):
        if position + 8 > len(data):
            break
        name, length = struct.unpack_from(">4sI", data, position)
        if name == b"MTrk":
            track, position = _read_track(data, position, length, len(tracks) + 1)
            tracks.append(track)
        elif tracks and position + 8 + length > len(data):
            break
        else:
            position += 8 + length
    if not tracks:
        raise ValueError("no track in it")
    if len(tracks) == 1:
        form = form if form <= 1 else 0
    elif form not in (1, 2):
        form = 1
    header = struct.pack(">IHH", 6, form, len(tracks)) + data[start + 12 : start + 14]
    return b"".join((b"MThd", header, *(struct.pack(">4sI", b"MTrk", len(track)) + track for track in tracks)))


def _read_track(data: bytes, position: int, length: int, number: int) -> tuple[bytes, int]:
    """The events of the track whose chunk begins at ``position``, and where the next chunk does."""
    start, end = position + 8, position + 8 + length
    track, stopped = _events(data, start, min(end, len(data)))
    if track is None and not _is_boundary(data, end):
        track, stopped = _events(data, start, len(data))
    if track is None:
        if end > len(data):
            raise ValueError(f"it was cut short in track {number}")
        track, _ = _events(data, start, end, has_end=False)
        if track is None:
            raise ValueError(f"something in track {number} is no event, at byte {stopped}")
    if _is_boundary(data, end):
        return track, end
    found = data.find(b"MTrk", stopped)
    return track, found if found >= 0 else len(data)


def _is_boundary(data: bytes, position: int) -> bool:
    """Whether a chunk may begin here, or the file ends."""
    return position == len(data) or _CHUNK_NAME.match(data, position) is not None


def _events(data: bytes, position: int, end: int, *, has_end: bool = True) -> tuple[bytes | None, int]:
    """The events up to the one that ends a track, and where that is; ``None`` where there is none or what is there is
    no event. Without ``has_end`` the end of the bytes will do."""
    out = bytearray()
    running, is_running, waiting = 0, False, 0
    while position < end:
        begin = position
        delta, position = _number(data, position, end)
        if delta is None or position >= end:
            break
        raw = data[begin:position] if not waiting else _written(waiting + delta)
        status = data[position]
        first = position
        if status < 0x80 or status < _EXCLUSIVE:
            position += status >= 0x80
            is_whole_status = status >= 0x80
            running = status if is_whole_status else running
            count = 1 if running & 0xF0 in _ONE_DATA_BYTE else 2
            if not running or position + count > end:
                return None, first
            body = bytes(byte & 0x7F for byte in data[position : position + count])
            out += raw + (b"" if not is_whole_status and is_running else bytes((running,))) + body
            position, is_running, waiting = position + count, True, 0
        elif status in (_META, _EXCLUSIVE, _ESCAPE):
            kind = data[position + 1 : position + 2] if status == _META else b""
            length, position = _number(data, position + 1 + len(kind), end)
            if length is None or position + length > end:
                return None, first
            if kind == bytes((_END,)):
                return bytes(out + raw + _END_OF_TRACK), position + length
            body, position = data[position : position + length], position + length
            if status != _META or _is_known(kind[0], body):
                out += raw + data[first:position]
                is_running, waiting = False, 0
            else:
                waiting += delta
        else:
            position += 1 + _SYSTEM_BYTES.get(status, 0)
            waiting += delta
    return (None if has_end else bytes(out + _written(waiting) + _END_OF_TRACK)), position


def _is_known(kind: int, body: bytes) -> bool:
    """Whether a meta event is as long as its kind, and says something that there is."""
    if kind == _KEY and len(body) == 2:
        return body[0] in (*range(_MOST_SHARPS + 1), *range(256 - _MOST_SHARPS, 256)) and body[1] < 2
    return len(body) in _META_BYTES.get(kind, (len(body),))


def _number(data: bytes, position: int, end: int) -> tuple[int | None, int]:
    """A number of up to four times seven bits, and where it ends; ``None``: it is longer, or the file ends in it."""
    value = 0
    for _ in range(_MOST_NUMBER_BYTES):
        if position >= end:
            return None, position
        byte = data[position]
        value, position = value << 7 | byte & 0x7F, position + 1
        if byte < 0x80:
            return value, position
    return None, position


def _written(value: int) -> bytes:
    value = min(value, _LARGEST_NUMBER)
    out = [value & 0x7F]
    while value := value >> 7:
        out.append(value & 0x7F | 0x80)
    return bytes(reversed(out))
