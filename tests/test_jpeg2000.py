"""JPEG 2000 is sent in the colours that its boxes say, or not at all."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from mmsprep import prepare
from mmsprep.errors import TypeNotAllowed

_ORANGE = (240, 140, 20)


def box(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), name) + content


def enumerated(number: int) -> bytes:
    return box(b"colr", struct.pack(">BBBI", 1, 0, 0, number))


def profiled(profile: bytes) -> bytes:
    return box(b"colr", b"\2\0\0" + profile)


def channels(*numbers: int) -> bytes:
    """A channel definition: which of red, green and blue (1, 2, 3; 0: what is transparent) each of them is."""
    entries = (struct.pack(">HHH", place, int(not part), part) for place, part in enumerate(numbers))
    return box(b"cdef", struct.pack(">H", len(numbers)) + b"".join(entries))


def picture(image: Image.Image, colours: bytes = b"", defined: bytes = b"") -> bytes:
    """A JP2 whose header says ``colours``, or what Pillow says, and ``defined``."""
    out = io.BytesIO()
    image.save(out, "JPEG2000")
    data = out.getvalue()
    at = data.index(b"jp2h") - 4
    (size,) = struct.unpack_from(">I", data, at)
    header = data[at + 8 : at + size]
    colour_at = header.index(b"colr") - 4
    (colour_size,) = struct.unpack_from(">I", header, colour_at)
    said = colours or header[colour_at : colour_at + colour_size]
    return data[:at] + box(b"jp2h", header[:colour_at] + said + defined) + data[at + size :]


def shown(data: bytes) -> NDArray[np.int16]:
    (part,) = prepare([("scan.jp2", data)]).parts
    with Image.open(io.BytesIO(part.data)) as image:
        return np.array(image.convert("RGB").getpixel((20, 30)), np.int16)


@pytest.mark.parametrize(
    ("mode", "colour", "order"),
    [
        ("RGB", (20, 140, 240), (3, 2, 1)),
        ("RGBA", (20, 140, 240, 255), (3, 2, 1, 0)),
        ("RGBA", (255, 240, 140, 20), (0, 1, 2, 3)),
        ("RGB", _ORANGE, (1, 2, 3)),
    ],
    ids=["bgr", "bgra", "argb", "rgb"],
)
def test_channels_are_what_they_are_defined_as(mode: str, colour: tuple[int, ...], order: tuple[int, ...]) -> None:
    image = Image.new(mode, (64, 48), colour)
    assert np.abs(shown(picture(image, defined=channels(*order))) - _ORANGE).max() <= 6


def test_a_profile_is_what_the_colours_are_of(sample_media: Path) -> None:
    """As in a JPEG with the same profile."""
    with Image.open(sample_media / "formats" / "adobe-rgb.jpg") as photo:
        profile = photo.info["icc_profile"]
    image, out = Image.new("RGB", (64, 48), _ORANGE), io.BytesIO()
    image.save(out, "PNG", icc_profile=profile)
    in_srgb = shown(out.getvalue())
    assert np.abs(in_srgb - _ORANGE).max() > 12
    assert np.abs(shown(picture(image, profiled(profile))) - in_srgb).max() <= 6
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    with pytest.raises(TypeNotAllowed, match="CIELab"):
        prepare([("scan.jp2", picture(image, profiled(lab)))])


@pytest.mark.parametrize(("number", "words"), [(14, "CIELab"), (20, "e-sRGB"), (24, "e-sYCC")])
def test_colours_that_nothing_here_reads_are_named(number: int, words: str) -> None:
    data = picture(Image.new("RGB", (64, 48), _ORANGE), enumerated(number))
    with pytest.raises(TypeNotAllowed, match=f"{words}.*save it as PNG or JPEG"):
        prepare([("scan.jp2", data)])


def test_channels_that_cannot_be_put_in_order_are_told() -> None:
    data = picture(Image.new("RGB", (64, 48), _ORANGE), enumerated(18), channels(3, 1, 2))
    with pytest.raises(TypeNotAllowed, match="order of its channels"):
        prepare([("scan.jp2", data)])
