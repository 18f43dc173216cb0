"""ICC profiles of other colour spaces than sRGB, and pictures converted to them.

Comes in: an sRGB picture. Goes out: the same colours as other numbers, with the profile that explains them.
Never: a profile made by anyone else; the primaries are those of the published standards, adapted to D50.
"""

from __future__ import annotations

import io
import struct

from PIL import Image, ImageCms

Matrix = tuple[tuple[float, float, float], ...]

ADOBE_RGB: Matrix = (
    (0.60974, 0.31111, 0.01947),
    (0.20528, 0.62567, 0.06087),
    (0.14919, 0.06322, 0.74457),
)
DISPLAY_P3: Matrix = (
    (0.51512, 0.24120, -0.00105),
    (0.29198, 0.69225, 0.04189),
    (0.15710, 0.06657, 0.78407),
)
_D50 = (0.9642, 1.0, 0.8249)


def icc_profile(name: str, primaries: Matrix, gamma: float | None) -> bytes:
    """A version 4 display profile; ``gamma`` ``None`` means sRGB's tone curve (ICC.1:2010, 10.16)."""
    if gamma is None:
        numbers = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
        curve = struct.pack(">4s4xHxx5i", b"para", 3, *(_fixed(number) for number in numbers))
    else:
        curve = struct.pack(">4s4xHxxi", b"para", 0, _fixed(gamma))
    red, green, blue = (_xyz(primary) for primary in primaries)
    tags = [
        (b"desc", _text(name)),
        (b"cprt", _text("CC0")),
        (b"wtpt", _xyz(_D50)),
        (b"rXYZ", red),
        (b"gXYZ", green),
        (b"bXYZ", blue),
        (b"rTRC", curve),
        (b"gTRC", curve),
        (b"bTRC", curve),
    ]
    table, body = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for signature, data in tags:
        padded = data + bytes(-len(data) % 4)
        table += struct.pack(">4sII", signature, start + len(body), len(data))
        body += padded
    size_bytes = start + len(body)
    date = struct.pack(">6H", 2026, 1, 1, 0, 0, 0)
    header = struct.pack(">I4xI4s4s4s", size_bytes, 0x04200000, b"mntr", b"RGB ", b"XYZ ") + date + b"acsp"
    header = header.ljust(68, b"\0") + struct.pack(">3i", *(_fixed(number) for number in _D50))
    return header.ljust(128, b"\0") + table + body


def converted(picture: Image.Image, profile: bytes) -> Image.Image:
    """The same colours in the numbers of ``profile``."""
    to = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    result = ImageCms.profileToProfile(picture, ImageCms.createProfile("sRGB"), to)
    assert result is not None
    return result


def _fixed(number: float) -> int:
    return round(number * 65536)


def _xyz(values: tuple[float, ...]) -> bytes:
    return struct.pack(">4s4x3i", b"XYZ ", *(_fixed(value) for value in values))


def _text(text: str) -> bytes:
    encoded = text.encode("utf-16-be")
    return struct.pack(">4s4xII4sII", b"mluc", 1, 12, b"enUS", len(encoded), 28) + encoded
