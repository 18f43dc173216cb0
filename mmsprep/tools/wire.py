"""What goes between this process and its workers: plain values and pixels, never code.

Comes in: dataclasses, structs, tuples, numbers, text, bytes and Pillow's pictures. Goes out: MessagePack, and the
same values again, checked against the types that are expected. Never: pickle, or a picture's ``info`` (its metadata).

A question may carry an open file. Questions go through a socket for that, but where files cannot be handed over
(Windows), through a pipe.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Any

_LENGTH_BYTES = 8
_MAX_MESSAGE_BYTES = 4_000_000_000
_BYTES_A_PIXEL = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}
_PIECE_BYTES = 1 << 20

HANDS_OVER = hasattr(socket, "send_fds") and hasattr(socket, "AF_UNIX")
"""Whether an open file can go with a question."""

Line = socket.socket | IO[bytes]
"""What questions go through."""


@dataclass(frozen=True, slots=True)
class Call:
    """A question: which function, ``module:name``, how much processor time it may use, its encoded arguments.

    Without a function it is none, and not answered: its argument is what to load meanwhile.
    """

    function: str
    cpu_s: float
    arguments: bytes


@dataclass(frozen=True, slots=True)
class Failure:
    """An error of ours by its code and arguments; ``code`` is empty for one that nobody expected."""

    code: str
    arguments: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Pixels:
    mode: str
    width_px: int
    height_px: int
    data: bytes


def encode(value: Any) -> bytes:
    """``value`` as MessagePack."""
    import msgspec

    return msgspec.msgpack.encode(value, enc_hook=_from_picture)


def decode(data: bytes, expected: Any) -> Any:
    """The value of type ``expected`` in ``data``.

    Raises:
        msgspec.MsgspecError, ValueError, TypeError: it is something else.
    """
    import msgspec

    return msgspec.msgpack.decode(data, type=expected, dec_hook=_to_picture)


def ask(line: Line, question: bytes, descriptor: int | None = None) -> None:
    """Send a question, and an open file with it.

    Raises:
        OSError, ValueError: the other end is gone.
    """
    if not isinstance(line, socket.socket):
        return send(line, question)
    length = len(question).to_bytes(_LENGTH_BYTES, "big")
    if sys.platform != "win32":  # which has no such sockets
        socket.send_fds(line, [length], [] if descriptor is None else [descriptor])
    line.sendall(question)
    return None


def hear(line: Line) -> tuple[bytes, int | None]:
    """Wait for a question; the open file that came with it is the caller's to close.

    Raises:
        EOFError: the other end is gone.
    """
    if not isinstance(line, socket.socket):
        return receive(line), None
    length, descriptors = b"", list[int]()
    if sys.platform != "win32":
        length, descriptors, _, _ = socket.recv_fds(line, _LENGTH_BYTES, 1)
    if len(length) < _LENGTH_BYTES:
        raise EOFError
    question = _pieces(line.recv, int.from_bytes(length, "big"))
    return question, descriptors[0] if descriptors else None


def send(stream: IO[bytes], message: bytes) -> None:
    """Write one message.

    Raises:
        OSError, ValueError: the other end is gone.
    """
    stream.write(len(message).to_bytes(_LENGTH_BYTES, "big"))
    stream.write(message)
    stream.flush()


def receive(stream: IO[bytes]) -> bytes:
    """Read one message.

    Raises:
        EOFError: the other end is gone.
        ValueError: it announces more than anybody would send.
    """
    length = int.from_bytes(_pieces(stream.read, _LENGTH_BYTES), "big")
    if length > _MAX_MESSAGE_BYTES:
        raise ValueError(f"a message of {length:,} bytes")
    return _pieces(stream.read, length)


def _pieces(read: Callable[[int], bytes], length: int) -> bytes:
    """In pieces, so that a length that is a lie costs no memory."""
    pieces = []
    while length:
        piece = read(min(length, _PIECE_BYTES))
        if not piece:
            raise EOFError
        pieces.append(piece)
        length -= len(piece)
    return b"".join(pieces)


def _from_picture(value: Any) -> Any:
    from PIL import Image

    if not isinstance(value, Image.Image):
        raise NotImplementedError(f"a {type(value).__name__} cannot be sent")
    return _Pixels(value.mode, value.width, value.height, value.tobytes())


def _to_picture(expected: type, value: Any) -> Any:
    import msgspec
    from PIL import Image

    if expected is not Image.Image:
        raise NotImplementedError(f"a {expected.__name__} cannot be received")
    pixels = msgspec.convert(value, _Pixels)
    size_bytes = pixels.width_px * pixels.height_px * _BYTES_A_PIXEL.get(pixels.mode, 0)
    if min(pixels.width_px, pixels.height_px) <= 0 or len(pixels.data) != size_bytes:
        raise ValueError("no picture")
    return Image.frombytes(pixels.mode, (pixels.width_px, pixels.height_px), pixels.data)
