"""``formats/``: one picture of every other kind and oddity."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pillow_heif
from clips import frames
from demo import exif
from jpegs import photo, saved, view
from PIL import Image, ImageDraw, ImageFilter, ImageFont
from recipe import Sample, encode
from scenes import balloon, foliage, logo, screen

pillow_heif.register_heif_opener()


def png(width_px: int, height_px: int, depth: int, colour_type: int, rows: bytes) -> bytes:
    """A PNG around raw rows (each with its filter byte), for what Pillow does not write."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width_px, height_px, depth, colour_type, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")


def _deep_png() -> bytes:
    """Sixteen bits a channel: a gradient that eight bits would band, with a balloon on it."""
    rows = np.linspace(0, 1, 240)[:, None, None]
    columns = np.linspace(0, 1, 320)[None, :, None]
    plane = np.array([0.2, 0.45, 0.75]) + rows * np.array([0.65, 0.3, 0.0]) + columns * 0.1
    pixels = np.clip(plane * 65535, 0, 65535).astype(np.uint16)
    drawn = np.asarray(balloon(160, ((206, 52, 48), (244, 196, 64)))).astype(np.uint32) * 257
    cover = drawn[..., 3:] / 65535
    place = pixels[40:200, 100:220]
    pixels[40:200, 100:220] = place * (1 - cover) + drawn[..., :3] * cover
    raw = pixels.astype(">u2").view(np.uint8).reshape(240, -1)
    upwards = np.diff(raw, axis=0, prepend=np.zeros((1, raw.shape[1]), np.uint8))
    rows_bytes = b"".join(b"\2" + row.tobytes() for row in upwards)
    return png(320, 240, 16, 2, rows_bytes)


def _cartoon(count: int, size_px: tuple[int, int] = (240, 180)) -> list[Image.Image]:
    """A balloon rising over a flat sky: few colours, little change between frames."""
    drawn = balloon(90, ((206, 52, 48), (244, 196, 64)))
    pictures = []
    for number in range(count):
        picture = Image.new("RGBA", size_px, (150, 200, 235, 255))
        ImageDraw.Draw(picture).rectangle((0, 140, *size_px), fill=(96, 150, 60, 255))
        picture.alpha_composite(drawn, (30 + 8 * number, 60 - 3 * number))
        pictures.append(picture)
    return pictures


def _animated_gif() -> bytes:
    """A real clip in 64 colours, uneven timing, a comment, and an endless loop."""
    shots = [frame.quantize(64, dither=Image.Dither.NONE) for frame in frames(240, 180, 16, 6, lake=True)]
    durations = [120] * 15 + [900]
    options: dict[str, Any] = {
        "loop": 0,
        "duration": durations,
        "comment": b"made by a sample",
        "disposal": 1,
    }
    return saved(shots[0], "GIF", save_all=True, append_images=shots[1:], **options)


def _sprite() -> bytes:
    """Transparent ground, each frame replacing the last."""
    shots = []
    for number in range(8):
        picture = Image.new("RGBA", (96, 120), (0, 0, 0, 0))
        drawn = balloon(90, ((40, 92, 168), (240, 240, 236))).rotate(8 * np.sin(number * np.pi / 4), expand=False)
        picture.alpha_composite(drawn, (14, 10 + int(6 * np.sin(number * np.pi / 4))))
        shots.append(picture)
    return saved(shots[0], "GIF", save_all=True, append_images=shots[1:], loop=3, duration=80, disposal=2)


def _animation(file_type: str, pictures: Sequence[Image.Image], **options: Any) -> Callable[[], bytes]:
    def make() -> bytes:
        return saved(pictures[0], file_type, save_all=True, append_images=pictures[1:], duration=100, **options)

    return make


def _animated_avif() -> bytes:
    """The encoder writes the time of day into every header (version 1: two times of 64 bits); here it is zero."""
    data = bytearray(_animation("AVIF", _cartoon(6), quality=55)())
    for header in re.finditer(rb"(?:mvhd|tkhd|mdhd)\x01...", bytes(data), re.DOTALL):
        data[header.end() : header.end() + 16] = bytes(16)
    return bytes(data)


def _pages() -> bytes:
    """Three faxed pages, one bit deep."""
    pages = []
    for number in range(3):
        page = Image.new("L", (620, 877), 255)
        draw = ImageDraw.Draw(page)
        draw.text((60, 60), f"Lakeside ferry, page {number + 1}", font=ImageFont.load_default(34), fill=0)
        for row in range(16):
            line = f"{9 + row // 2:02d}:{row % 2 * 30:02d}   pier {row % 4 + 1}   to the old mill"
            draw.text((60, 150 + 40 * row), line, font=ImageFont.load_default(24), fill=0)
        pages.append(page.convert("1"))
    return saved(pages[0], "TIFF", save_all=True, append_images=pages[1:], compression="group4")


def _wbmp() -> bytes:
    """The logo in one bit, behind a header of multi-byte integers (WAP-237)."""
    mark = logo(96).convert("RGBA")
    ground = Image.new("RGBA", mark.size, "white")
    ground.alpha_composite(mark)
    return b"\0\0" + bytes(mark.size) + ground.convert("1").tobytes()


def _psd() -> bytes:
    """No layers, only the composite that every reader can show: raw planes (Adobe's PSD specification)."""
    picture = view(160, 120)
    header = struct.pack(">4sH6xHIIHH", b"8BPS", 1, 3, picture.height, picture.width, 8, 3)
    planes = b"".join(plane.tobytes() for plane in picture.split())
    return header + bytes(12) + b"\0\0" + planes


def _irot_heic() -> bytes:
    """Stored lying, an ``irot`` box to set it upright, and the same in EXIF, as phones write both."""
    lying = view(300, 400).transpose(Image.Transpose.ROTATE_90)
    return saved(lying, "HEIF", quality=60, exif=exif(6).tobytes())


def _burst_heic() -> bytes:
    shots = [foliage(320, 240, 40 + number) for number in range(3)]
    return saved(shots[0], "HEIF", save_all=True, append_images=shots[1:], quality=45, primary_index=1)


def _jxl() -> bytes:
    picture = saved(view(), "PNG")
    return encode("-c:v libjxl -distance 1.5", "photo.jxl", files={"photo.png": picture})


def _soft(picture: Image.Image) -> Image.Image:
    return picture.filter(ImageFilter.GaussianBlur(1))


def _on_white(picture: Image.Image) -> Image.Image:
    ground = Image.new("RGBA", picture.size, "white")
    ground.alpha_composite(picture)
    return ground.convert("RGB")


def _picture(
    name: str, file_format: str, what: str, odd: str, make: Callable[[], bytes], made: str = "Pillow"
) -> Sample:
    return Sample(f"formats/{name}", file_format, what, odd, made, make)


SAMPLES = (
    _picture(
        "webp-named.jpg",
        "webp",
        "leaves",
        "WebP under a JPEG's name",
        lambda: saved(photo(), "WEBP", quality=70),
    ),
    _picture(
        "deep.png",
        "png",
        "a balloon in a smooth sky",
        "16 bits a channel",
        _deep_png,
        "bytes written by hand",
    ),
    _picture(
        "palette.png",
        "png",
        "a logo",
        "palette with transparency",
        lambda: saved(logo(256).quantize(32), "PNG", optimize=True),
    ),
    _picture(
        "grey-alpha.png",
        "png",
        "a logo in grey",
        "grey with alpha",
        lambda: saved(logo(200).convert("LA"), "PNG", optimize=True),
    ),
    _picture(
        "one-bit.png",
        "png",
        "a logo in black and white",
        "one bit a pixel",
        lambda: saved(_on_white(logo(256)).convert("1"), "PNG", optimize=True),
    ),
    _picture(
        "screenshot.png",
        "png",
        "a phone's chat screen",
        "flat colours and small text",
        lambda: saved(screen(720, 1280, 2), "PNG", optimize=True),
    ),
    _picture(
        "long-screenshot.png",
        "png",
        "a whole conversation in one scrolled screenshot",
        "1080x6000, readable text",
        lambda: saved(screen(1080, 6000, 4).quantize(48, dither=Image.Dither.NONE), "PNG", optimize=True),
    ),
    _picture(
        "animated.png",
        "png",
        "a rising balloon",
        "APNG, eight frames",
        _animation("PNG", _cartoon(8), loop=0),
    ),
    _picture(
        "animated.gif",
        "gif",
        "a sailing boat",
        "sixteen frames, uneven timing, comment, endless loop",
        _animated_gif,
    ),
    _picture(
        "sprite.gif",
        "gif",
        "a swaying balloon",
        "transparent ground, frames replace each other, three loops",
        _sprite,
    ),
    _picture(
        "still.gif",
        "gif",
        "a logo",
        "one frame, transparent ground",
        lambda: saved(logo(200), "GIF"),
    ),
    _picture(
        "still.webp",
        "webp",
        "a logo",
        "lossless with alpha",
        lambda: saved(logo(256), "WEBP", lossless=True),
    ),
    _picture(
        "animated.webp",
        "webp",
        "a rising balloon",
        "ten frames",
        _animation("WEBP", _cartoon(10), loop=0, quality=70),
    ),
    _picture(
        "rotated.heic",
        "heic",
        "a lake at dawn, portrait",
        "irot box and EXIF orientation, to be applied once",
        _irot_heic,
        "pillow-heif",
    ),
    _picture(
        "burst.heic",
        "heic",
        "three shots of leaves",
        "three pictures, the second is the primary one",
        _burst_heic,
        "pillow-heif",
    ),
    _picture("photo.avif", "avif", "a lake at dawn", "AV1-coded", lambda: saved(view(), "AVIF", quality=60)),
    _picture(
        "animated.avif",
        "avif",
        "a rising balloon",
        "six frames",
        _animated_avif,
    ),
    _picture(
        "photo.jp2",
        "jp2",
        "a lake at dawn",
        "wavelets",
        lambda: saved(_soft(view()), "JPEG2000", quality_mode="rates", quality_layers=[12], irreversible=True),
    ),
    _picture("photo.jxl", "jxl", "a lake at dawn", "needs an optional decoder", _jxl, "ffmpeg: libjxl"),
    _picture(
        "icon.ico",
        "ico",
        "a logo",
        "three sizes in one file",
        lambda: saved(logo(128), "ICO", sizes=[(16, 16), (48, 48), (128, 128)]),
    ),
    _picture("logo.wbmp", "wbmp", "a logo", "one bit a pixel, from the days of WAP", _wbmp, "bytes written by hand"),
    _picture("photo.ppm", "pnm", "a lake at dawn", "no compression", lambda: saved(view(160, 120), "PPM")),
    _picture("photo.bmp", "bmp", "a lake at dawn", "24 bits, no compression", lambda: saved(view(200, 150), "BMP")),
    _picture(
        "palette.bmp",
        "bmp",
        "a logo",
        "palette of 256 colours",
        lambda: saved(_on_white(logo(160)).quantize(64), "BMP"),
    ),
    _picture("pages.tif", "tiff", "a timetable", "three pages, one bit, Group 4", _pages),
    _picture(
        "photo.tif",
        "tiff",
        "a lake at dawn",
        "printing colours, compressed with deflate",
        lambda: saved(view(200, 150).convert("CMYK"), "TIFF", compression="tiff_adobe_deflate"),
    ),
    _picture(
        "composite.psd",
        "psd",
        "a lake at dawn",
        "Photoshop document without layers",
        _psd,
        "bytes written by hand",
    ),
)
