"""``formats/``: a JPEG of each kind and oddity, and the photographs that other samples show too."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from colour import ADOBE_RGB, DISPLAY_P3, converted, icc_profile
from demo import exif
from PIL import Image
from recipe import Clip, Sample, encode
from scenes import DAWN, foliage, landscape, with_balloons


@lru_cache(maxsize=8)
def photo(width_px: int = 400, height_px: int = 300) -> Image.Image:
    """Leaves: a photograph with detail everywhere."""
    return foliage(width_px, height_px, 5)


@lru_cache(maxsize=8)
def view(width_px: int = 400, height_px: int = 300) -> Image.Image:
    """A lake at dawn with balloons: a photograph with calm and busy places."""
    return with_balloons(landscape(width_px, height_px, 15, DAWN, lake=True), 4)


def saved(picture: Image.Image, file_type: str, **options: Any) -> bytes:
    """The picture as Pillow writes it."""
    buffer = io.BytesIO()
    picture.save(buffer, file_type, **options)
    return buffer.getvalue()


def jpeg_segment(marker: int, body: bytes) -> bytes:
    """One marker segment of a JPEG."""
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def _cmyk() -> Image.Image:
    """Photo in printing colours, with the black pulled out of the three others."""
    inks = 255 - np.asarray(photo(280, 210), dtype=np.int16)
    black = (inks.min(axis=2, keepdims=True) * 7) // 10
    return Image.fromarray(np.concatenate([inks - black, black], axis=2).astype(np.uint8), "CMYK")


def _ycck() -> bytes:
    """The CMY planes as YCbCr, K as it is, and the Adobe marker's transform set to 2 (YCCK)."""
    cyan, magenta, yellow, black = _cmyk().split()
    coloured = Image.merge("RGB", (cyan, magenta, yellow)).convert("YCbCr").split()
    planes = [plane.point(lambda value: 255 - value) for plane in coloured]
    data = saved(Image.merge("CMYK", (*planes, black)), "JPEG", quality=82)
    at = data.index(b"Adobe\0")
    return data[: at + 11] + b"\x02" + data[at + 12 :]


def _without_adobe() -> bytes:
    """CMYK without the marker that says so; by custom the inks are then not inverted."""
    data = saved(_cmyk().point(lambda value: 255 - value), "JPEG", quality=82)
    at = data.index(b"\xff\xee")
    (length,) = struct.unpack(">H", data[at + 2 : at + 4])
    return data[:at] + data[at + 2 + length :]


def _commented_restarts() -> bytes:
    """Restart markers every row of blocks; comment and Photoshop segments, fill bytes before a marker."""
    data = saved(photo(), "JPEG", quality=80, restart_marker_rows=1)
    extra = jpeg_segment(0xFE, b"shot by a sample") + jpeg_segment(0xED, b"Photoshop 3.0\0" + bytes(40))
    after_app0 = 4 + struct.unpack(">H", data[4:6])[0]
    return data[:after_app0] + extra + b"\xff\xff" + data[after_app0:]


def _motion_photo() -> bytes:
    clip = encode("-c:v libx264 -crf 32 -pix_fmt yuv420p", "motion.mp4", clip=Clip(320, 240, 15, 15, lake=True))
    xmp = (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description xmlns:GCamera="http://ns.google.com/photos/1.0/camera/" GCamera:MicroVideo="1"'
        f' GCamera:MicroVideoVersion="1" GCamera:MicroVideoOffset="{len(clip)}"/></rdf:RDF></x:xmpmeta>'
    )
    return saved(view(), "JPEG", quality=82, exif=exif(1), xmp=xmp.encode()) + clip


def _wide_gamut(name: str, primaries: tuple[tuple[float, float, float], ...], gamma: float | None) -> bytes:
    profile = icc_profile(name, primaries, gamma)
    return saved(converted(view(), profile), "JPEG", quality=84, icc_profile=profile)


def _jpeg(name: str, what: str, odd: str, make: Callable[[], bytes], made: str = "Pillow") -> Sample:
    return Sample(f"formats/{name}", "jpeg", what, odd, made, make)


SAMPLES = (
    _jpeg("photo.jpg", "leaves", "none: baseline 4:2:0", lambda: saved(photo(), "JPEG", quality=80)),
    _jpeg(
        "progressive.jpg",
        "leaves",
        "progressive, ten scans",
        lambda: saved(photo(), "JPEG", quality=80, progressive=True),
    ),
    _jpeg(
        "grey.jpg",
        "leaves in black and white",
        "one channel",
        lambda: saved(photo().convert("L"), "JPEG", quality=80),
    ),
    _jpeg(
        "cmyk-adobe.jpg",
        "leaves in printing colours",
        "CMYK with an Adobe marker, so stored inverted",
        lambda: saved(_cmyk(), "JPEG", quality=82),
    ),
    _jpeg(
        "ycck-adobe.jpg",
        "leaves in printing colours",
        "YCCK: Adobe marker with transform 2",
        _ycck,
        "Pillow, marker patched",
    ),
    _jpeg(
        "cmyk-plain.jpg",
        "leaves in printing colours",
        "CMYK without an Adobe marker, not inverted",
        _without_adobe,
        "Pillow, marker cut out",
    ),
    _jpeg(
        "rgb-adobe.jpg",
        "a lake at dawn",
        "RGB channels, Adobe marker with transform 0, no JFIF header",
        lambda: saved(view(), "JPEG", quality=82, keep_rgb=True),
    ),
    _jpeg(
        "restarts.jpg",
        "leaves",
        "restart markers, comment, Photoshop segment, fill bytes before a marker",
        _commented_restarts,
        "Pillow, segments inserted",
    ),
    _jpeg(
        "two-pictures.jpg",
        "two shots in one file, as some phones keep a close and a wide one",
        "MPO: the second picture lies behind the first",
        lambda: saved(view(), "MPO", save_all=True, append_images=[photo()], quality=80),
    ),
    _jpeg(
        "motion-photo.jpg",
        "a lake at dawn",
        "Motion Photo: XMP, EXIF, and an MP4 clip behind the picture",
        _motion_photo,
        "Pillow, ffmpeg: libx264",
    ),
    _jpeg(
        "adobe-rgb.jpg",
        "a lake at dawn",
        "ICC profile of Adobe RGB (1998)",
        lambda: _wide_gamut("Adobe RGB (1998)", ADOBE_RGB, 2.19921875),
    ),
    _jpeg(
        "display-p3.jpg",
        "a lake at dawn",
        "ICC profile of Display P3",
        lambda: _wide_gamut("Display P3", DISPLAY_P3, None),
    ),
)
