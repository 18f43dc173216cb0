"""Small, well-compressed files: where bytes are free, what is sent is as good as its kind can be, in full size."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from grain import grain
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from mmsprep import Job, Part, forecast, prepare
from mmsprep.errors import BelowFloor

_FORMATS: dict[str, tuple[str, dict[str, Any]]] = {
    "png": ("PNG", {}),
    "webp, lossless": ("WEBP", {"lossless": True}),
    "webp, coarse": ("WEBP", {"quality": 5}),
    "heic": ("HEIF", {"quality": 50}),
    "avif, coarse": ("AVIF", {"quality": 10}),
    "tiff": ("TIFF", {"compression": "tiff_lzw"}),
    "tiff, fax": ("TIFF", {"compression": "group4"}),
    "bmp": ("BMP", {}),
    "jp2": ("JPEG2000", {"quality_mode": "rates", "quality_layers": [40]}),
}
_LEAST_TOLD = 87.5
"""SSIMULACRA2 of the furthest from its source, a gradient that came as a coarse WebP and takes no more bytes than that,
is 88.6; of the circles 89.2, of the other gradients 91."""
_HARDLY_SEEN = 4.0
"""Levels of 255 by which half-size pixels may differ (root mean square)."""


def _bands() -> Image.Image:
    picture = Image.new("RGB", (900, 600), "#009246")
    draw = ImageDraw.Draw(picture)
    draw.rectangle((300, 0, 599, 599), "#ffffff")
    draw.rectangle((600, 0, 899, 599), "#ce2b37")
    return picture


def _circles() -> Image.Image:
    picture = Image.new("RGB", (700, 500), "#204060")
    draw = ImageDraw.Draw(picture)
    for step in range(20):
        draw.ellipse((20 + step * 10, 20 + step * 8, 400 + step * 8, 300 + step * 8), outline=(255, step * 12, 100))
    return picture


def _stripes() -> Image.Image:
    rows = np.repeat(np.arange(240)[:, None] // 3 % 2 * 255, 320, axis=1)
    return Image.fromarray(rows.astype(np.uint8)).convert("RGB")


def _lettering() -> Image.Image:
    picture = Image.new("RGB", (500, 120), "white")
    draw = ImageDraw.Draw(picture)
    for row in range(6):
        draw.text((5, 5 + 18 * row), "The quick brown fox jumps over the lazy dog 0123456789", fill="black")
    return picture


def _noise() -> Image.Image:
    return Image.fromarray(np.random.default_rng(1).integers(0, 256, (48, 64, 3), np.uint8))


def _gradient() -> Image.Image:
    across = np.tile(np.linspace(0, 255, 600), (400, 1))
    return Image.fromarray(np.stack([across, across[:, ::-1], np.full((400, 600), 128)], 2).astype(np.uint8))


def _soft() -> Image.Image:
    """What half of its pixels would show as well."""
    coarse = np.random.default_rng(2).integers(0, 256, (12, 16, 3), np.uint8)
    return Image.fromarray(coarse).resize((640, 480), Image.Resampling.BICUBIC)


def _flat() -> Image.Image:
    return Image.new("RGB", (1000, 1000), "#aabbcc")


_DRAWN = [_bands, _circles, _stripes, _lettering, _noise, _gradient, _soft, _flat]


def _saved(picture: Image.Image, name: str) -> bytes:
    import pillow_heif

    pillow_heif.register_heif_opener()
    format_name, options = _FORMATS[name]
    out = io.BytesIO()
    if "fax" in name:
        picture = picture.convert("1", dither=Image.Dither.NONE)
    picture.save(out, format_name, **options)
    return out.getvalue()


def _shown(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data)).convert("RGB")


def _apart(one: Image.Image, other: Image.Image) -> float:
    """How far two pictures of one size are apart, as seen from a little further away."""

    def seen(picture: Image.Image) -> NDArray[np.float64]:
        return np.asarray(picture.reduce(2), np.float64)

    return math.sqrt(float(((seen(one) - seen(other)) ** 2).mean()))


def _one(data: bytes, **options: Any) -> Part:
    (part,) = prepare([("file", data)], **options).parts
    return part


@pytest.mark.parametrize("name", _FORMATS)
@pytest.mark.parametrize("draw", _DRAWN, ids=lambda draw: draw.__name__.strip("_"))
def test_a_small_picture_goes_in_full_size_and_is_hard_to_tell_from_its_source(
    draw: Callable[[], Image.Image], name: str
) -> None:
    data = _saved(draw(), name)
    part = _one(data)
    sent, meant = _shown(part.data), _shown(data)
    assert sent.size == meant.size
    assert part.quality >= _LEAST_TOLD
    assert _apart(sent, meant) < _HARDLY_SEEN


@pytest.mark.parametrize(("draw", "most_bytes"), [(_bands, 4_000), (_stripes, 1_000), (_lettering, 6_000)])
def test_few_colours_go_as_the_gif_that_holds_every_pixel(draw: Callable[[], Image.Image], most_bytes: int) -> None:
    picture = draw().quantize(8, dither=Image.Dither.NONE).convert("RGB")
    part = _one(_saved(picture, "png"))
    (foretold,) = forecast(Job(attachments=[("drawn.png", _saved(picture, "png"))])).parts
    assert (part.format, part.quality) == (foretold.format, foretold.quality) == ("gif", 100)
    assert _shown(part.data).tobytes() == picture.tobytes()
    assert part.size_bytes < most_bytes


def test_a_flag_keeps_every_pixel_beside_five_photos_that_fill_the_message() -> None:
    flag = _saved(_bands(), "png")
    photos = [grain((1000, 780), 60, place).filter(ImageFilter.GaussianBlur(1 + place)) for place in range(5)]
    files = [(f"photo-{place}.bmp", _saved(photo.convert("RGB"), "bmp")) for place, photo in enumerate(photos)]
    message = prepare([*files, ("flag.png", flag)])
    part = message.parts[-1]
    assert message.total_bytes > 0.97 * message.limit_bytes
    assert (part.width_px, part.height_px, part.quality) == (900, 600, 100)


def test_a_picture_that_falls_below_its_floor_is_an_error_and_not_sent() -> None:
    """Whatever was foretold for it: the quality that counts is measured on what would be sent."""
    lettering = _saved(_lettering(), "png")
    with pytest.raises(BelowFloor):
        prepare([("fax.png", lettering)], limit_bytes=2_000)


@pytest.mark.parametrize("limit_bytes", [1_800, 2_500, 4_000, 8_000, 16_000])
@pytest.mark.parametrize("draw", _DRAWN, ids=lambda draw: draw.__name__.strip("_"))
def test_nothing_below_the_floor_is_ever_sent(draw: Callable[[], Image.Image], limit_bytes: int) -> None:
    data = _saved(draw(), "png")
    try:
        part = _one(data, limit_bytes=limit_bytes)
    except BelowFloor:
        return
    assert part.quality >= 20


_ANIMATED: dict[str, dict[str, Any]] = {"WEBP": {"lossless": True}, "PNG": {}, "AVIF": {"quality": 40}}


@pytest.mark.parametrize("format_name", _ANIMATED)
def test_a_small_animation_keeps_its_pixels_and_its_frames(format_name: str) -> None:
    frames = []
    for step in range(8):
        frame = Image.new("RGB", (320, 200), "#003366")
        ImageDraw.Draw(frame).ellipse((20 + 30 * step, 40, 90 + 30 * step, 110), fill="#ffcc00")
        frames.append(frame)
    out = io.BytesIO()
    frames[0].save(
        out, format_name, save_all=True, append_images=frames[1:], duration=100, loop=0, **_ANIMATED[format_name]
    )
    part = _one(out.getvalue())
    with Image.open(io.BytesIO(part.data)) as sent:
        assert (sent.format, sent.size, getattr(sent, "n_frames", 1)) == ("GIF", (320, 200), 8)
        for number, frame in enumerate(frames):
            sent.seek(number)
            assert _apart(sent.convert("RGB"), frame) < _HARDLY_SEEN


_TITLE = "-f lavfi -i color=c=navy:size=640x360:rate=25 -vf drawbox=x=200:y=120:w=240:h=90:color=white:t=fill"
_PATTERN = "-f lavfi -i testsrc=size=480x360:rate=12"


@pytest.mark.parametrize(
    ("arguments", "extension", "size"),
    [
        (f"{_TITLE} -t 3 -c:v libx264 -crf 30 -pix_fmt yuv420p -profile:v main", "mp4", (640, 360)),
        (f"{_TITLE} -t 2 -c:v libx265 -crf 36 -tag:v hvc1 -x265-params log-level=none", "mp4", (640, 360)),
        (f"{_PATTERN} -t 2 -c:v libvpx-vp9 -crf 45 -b:v 0", "webm", (480, 360)),
        (f"{_PATTERN} -t 1 -c:v mpeg4 -q:v 12", "ts", (480, 360)),
        ("-f lavfi -i testsrc2=size=176x144:rate=10 -t 1 -c:v mpeg4 -q:v 20", "avi", (176, 144)),
    ],
)
def test_a_tiny_clip_keeps_its_pixels_and_every_frame(
    make: Callable[[str, str], bytes], arguments: str, extension: str, size: tuple[int, int]
) -> None:
    part = _one(make(arguments, extension))
    assert (part.width_px, part.height_px) == size
    assert part.quality >= 90
    assert not any("frame kept" in note for note in part.notes)


@pytest.mark.parametrize("kind", ["-c:a libopus -b:a 6k", "-c:a libopus -b:a 12k", "-c:a aac -b:a 16k -f mp4"])
def test_a_sparse_recording_is_not_encoded_down_to_its_own_size(make: Callable[[str, str], bytes], kind: str) -> None:
    """A modern codec's 6 kbit/s are worth more than the ladder's; what they hold must still be heard."""
    sparse = make(f"-f lavfi -i aevalsrc='0.4*sin(440*t*2*PI)*abs(sin(3*t))':s=48000:d=6 {kind}", "ogg")
    part = _one(sparse)
    assert part.quality >= 90 and part.size_bytes > 2 * len(sparse)


def test_the_files_of_the_sample_media_that_are_small_stay_above_the_floor(sample_media: Path) -> None:
    small = [path for path in sorted((sample_media / "formats").glob("*.*")) if 0 < path.stat().st_size < 4_000]
    pictures = [path for path in small if path.suffix in (".png", ".webp", ".bmp", ".tif", ".heic", ".avif", ".gif")]
    assert pictures
    for path in pictures:
        (part,) = prepare([path]).parts
        assert part.quality >= 90, path.name


def test_a_clip_that_hardly_moves_keeps_its_pixels_beside_photos_that_fill_the_message(
    make: Callable[[str, str], bytes],
) -> None:
    title = make(f"{_TITLE} -t 5 -c:v libx264 -crf 30 -pix_fmt yuv420p -profile:v main", "mp4")
    photos = [grain((1000, 780), 60, place).filter(ImageFilter.GaussianBlur(1 + place)) for place in range(3)]
    files = [(f"photo-{place}.bmp", _saved(photo.convert("RGB"), "bmp")) for place, photo in enumerate(photos)]
    part = prepare([*files, ("title.mp4", title)]).parts[-1]
    assert (part.width_px, part.height_px) == (640, 360) and part.quality >= 90
