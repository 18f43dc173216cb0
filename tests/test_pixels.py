"""Decoding: whatever a picture is made of, out come upright sRGB pixels, or an error that says why not."""

from __future__ import annotations

import importlib.util
import io
import itertools
import struct
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from grain import grain
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageDraw

from mmsprep import prepare
from mmsprep.errors import Damaged, DecoderMissing, OverInputLimit, ToolMissing, TypeNotAllowed, UnknownType
from mmsprep.formats import FORMATS, wbmp
from mmsprep.model import Attachment, Kind, MediaInfo, Part
from mmsprep.profile import ImageRules
from mmsprep.settings import Settings
from mmsprep.tools.vips import load_vips
from mmsprep.tools.workspace import Workspace
from mmsprep.transcode.image import pixels
from mmsprep.transcode.image.readable import readable

RULES = ImageRules(max_long_px=1024, max_short_px=1024, tall_max_long_px=4096)
SETTINGS = Settings()

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def info_of(format_slug: str, data: bytes) -> MediaInfo:
    content_type = FORMATS[format_slug].content_type
    return MediaInfo(format=format_slug, kind=Kind.IMAGE, content_type=content_type, size_bytes=len(data))


def decode(data: bytes, format_slug: str, rules: ImageRules = RULES, settings: Settings = SETTINGS) -> pixels.Picture:
    attachment, info = Attachment(0, f"picture.{format_slug}", len(data), data=data), info_of(format_slug, data)
    with Workspace(settings) as workspace, readable(attachment, info, workspace) as (ready, known):
        return pixels.decode(ready, known, rules, settings)


def saved(image: Image.Image, pillow_format: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, pillow_format, **options)
    return file.getvalue()


def corners(width_px: int = 120, height_px: int = 80) -> Image.Image:
    """Red top left, green top right, blue bottom left, white bottom right."""
    image = Image.new("RGB", (width_px, height_px), WHITE)
    half_x, half_y = width_px // 2, height_px // 2
    image.paste(RED, (0, 0, half_x, half_y))
    image.paste(GREEN, (half_x, 0, width_px, half_y))
    image.paste(BLUE, (0, half_y, half_x, height_px))
    return image


def corner_colours(image: Image.Image) -> list[Any]:
    image = image.convert("RGB")
    width_px, height_px = image.size
    spots = [(0.2, 0.2), (0.8, 0.2), (0.2, 0.8), (0.8, 0.8)]
    return [image.getpixel((int(width_px * x), int(height_px * y))) for x, y in spots]


def assert_near(found: Any, expected: Any, tolerance: int = 24) -> None:
    assert np.abs(np.array(found, int) - np.array(expected, int)).max() <= tolerance, (found, expected)


UPRIGHT_TO_STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("pillow_format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
def test_pictures_come_out_upright_whatever_their_orientation_tag(pillow_format: str, orientation: int) -> None:
    """EXIF orientation is applied once for every format that carries it (irot/imir in HEIF and AVIF too)."""
    if pillow_format == "HEIF":
        import pillow_heif

        pillow_heif.register_heif_opener()
    turn = UPRIGHT_TO_STORED[orientation]
    stored = corners() if turn is None else corners().transpose(turn)
    exif = Image.Exif()
    exif[0x112] = orientation
    data = saved(stored, pillow_format, exif=exif.tobytes())
    slug = {"HEIF": "heic"}.get(pillow_format, pillow_format.lower())
    image = decode(data, slug).image
    assert image.size == (120, 80)
    assert_near(corner_colours(image), [RED, GREEN, BLUE, WHITE], 40)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK", "I;16", "LAB", "YCbCr"])
def test_every_tiff_mode_keeps_its_greys(mode: str) -> None:
    """A grey ramp looks the same from any mode: nothing clipped, nothing inverted."""
    ramp = Image.linear_gradient("L").resize((256, 64))
    if mode == "I;16":
        image = Image.fromarray(np.asarray(ramp).astype(np.uint16) * 257)
    elif mode == "LAB":
        srgb = ImageCms.createProfile("sRGB")
        lab = ImageCms.profileToProfile(ramp.convert("RGB"), srgb, ImageCms.createProfile("LAB"), outputMode="LAB")
        assert lab is not None
        image = lab
    else:
        image = ramp.convert(mode)
    out = np.asarray(decode(saved(image, "TIFF"), "tiff").image.convert("L"), int)
    expected = np.asarray(ramp, int)
    assert abs(out.mean() - expected.mean()) < 3
    if mode != "1":
        assert np.abs(out - expected).max() < 6


def test_sixteen_bit_grey_is_scaled_and_not_clipped() -> None:
    deep = np.linspace(0, 65535, 256, dtype=np.uint16).reshape(1, -1).repeat(32, 0)
    for data, slug in (
        (saved(Image.fromarray(deep), "PNG"), "png"),
        (saved(Image.fromarray(deep), "TIFF"), "tiff"),
        (b"P5 256 32 65535\n" + deep.astype(">u2").tobytes(), "pnm"),
    ):
        out = np.asarray(decode(data, slug).image, int)
        assert np.abs(out[0] - np.arange(256)).max() <= 1, slug


def test_floating_point_pictures_are_scaled_from_one() -> None:
    ramp = np.linspace(0, 1, 256, dtype=np.float32).reshape(1, -1).repeat(32, 0)
    out = np.asarray(decode(saved(Image.fromarray(ramp), "TIFF"), "tiff").image, int)
    assert np.abs(out[0] - np.arange(256)).max() <= 1


def test_white_is_zero_in_deep_tiffs() -> None:
    deep = np.linspace(0, 65535, 256, dtype=np.uint16).reshape(1, -1).repeat(32, 0)
    data = saved(Image.fromarray(deep), "TIFF", tiffinfo={262: 0})
    out = np.asarray(decode(data, "tiff").image, int)
    assert np.abs(out[0] - np.arange(256)[::-1]).max() <= 1


def test_cmyk_jpeg_with_and_without_adobes_marker() -> None:
    """Adobe stores inks inverted and says so; a file without the marker holds them as they are."""
    image = corners().convert("CMYK")
    marked = saved(image, "JPEG", quality=95)
    assert_near(corner_colours(decode(marked, "jpeg").image), [RED, GREEN, BLUE, WHITE], 40)
    at = marked.index(b"\xff\xee")
    length = int.from_bytes(marked[at + 2 : at + 4], "big")
    inverted = Image.merge("CMYK", [band.point(lambda value: 255 - value) for band in image.split()])
    other = saved(inverted, "JPEG", quality=95)
    unmarked = other[:at] + other[at + 2 + length :]
    assert b"Adobe" not in unmarked[:200]
    assert_near(corner_colours(decode(unmarked, "jpeg").image), [RED, GREEN, BLUE, WHITE], 40)


def test_colour_under_transparency_does_not_show() -> None:
    """A red picture with a transparent hole, the hole hiding green: only red and the background come out."""
    image = Image.new("RGBA", (600, 600), (255, 0, 0, 255))
    image.paste((0, 255, 0, 0), (200, 200, 400, 400))
    small = ImageRules(max_long_px=150, max_short_px=150, background="#ffffff")
    picture = decode(saved(image, "PNG"), "png", small)
    out = np.asarray(picture.image, int)
    assert picture.image.size == (150, 150)
    assert_near(out[75, 75], WHITE, 0)
    assert (out[..., 1] <= out[..., 2] + 1).all()  # green nowhere stronger than blue: no fringe
    assert picture.notes == ("transparent parts shown on white",)


def test_transparency_goes_over_the_profiles_background() -> None:
    image = Image.new("LA", (40, 40), (0, 0))
    image.paste((255, 255), (0, 0, 20, 40))
    rules = ImageRules(max_long_px=100, max_short_px=100, background="#204060")
    out = decode(saved(image, "PNG"), "png", rules).image
    assert out.getpixel((30, 20)) == (0x20, 0x40, 0x60)
    assert out.getpixel((5, 20)) == WHITE


@pytest.mark.parametrize("mode", ["P", "L", "RGB", "I;16"])
def test_a_transparent_colour_of_a_png_is_transparent(mode: str) -> None:
    """tRNS for palette, grey, RGB and 16-bit grey."""
    grey = np.zeros((30, 30), np.uint8)
    grey[:, 15:] = 200
    image = Image.fromarray(grey)
    key: object = 0
    if mode == "I;16":
        image = Image.fromarray(grey.astype(np.uint16) * 257)
    elif mode == "RGB":
        image, key = image.convert("RGB"), (0, 0, 0)
    elif mode == "P":
        image = image.convert("P")
    picture = decode(saved(image, "PNG", transparency=key), "png")
    out = picture.image.convert("L")
    assert out.getpixel((3, 3)) == 255
    assert_near(out.getpixel((25, 3)), 200, 1)
    assert picture.notes


def test_white_lettering_made_for_a_dark_page_stays_visible() -> None:
    image = Image.new("RGBA", (200, 80), (255, 255, 255, 0))
    ImageDraw.Draw(image).rectangle((40, 20, 160, 60), fill=(255, 255, 255, 255))
    picture = decode(saved(image, "PNG"), "png")
    assert picture.image.getpixel((2, 2)) == (0, 0, 0)
    assert picture.image.getpixel((100, 40)) == WHITE
    assert picture.notes == ("transparent parts shown on black",)


def test_an_embedded_profile_is_applied() -> None:
    """A profile with red and blue swapped shows whether it was used."""
    srgb = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    swapped = bytes(srgb.replace(b"rXYZ", b"tXYZ", 1).replace(b"bXYZ", b"rXYZ", 1).replace(b"tXYZ", b"bXYZ"))
    swapped = swapped.replace("sRGB".encode("utf-16-be"), "swap".encode("utf-16-be"))
    picture = decode(saved(corners(), "PNG", icc_profile=swapped), "png")
    assert_near(corner_colours(picture.image), [BLUE, GREEN, RED, WHITE], 12)
    assert picture.notes == ()


@pytest.mark.parametrize("profile", [b"not a profile at all", b"\0" * 200])
def test_a_broken_colour_profile_is_ignored_and_told(profile: bytes) -> None:
    picture = decode(saved(corners(), "PNG", icc_profile=profile), "png")
    assert_near(corner_colours(picture.image), [RED, GREEN, BLUE, WHITE], 0)
    assert picture.notes == ("its colour profile cannot be used and was ignored",)


def test_broken_exif_does_not_matter() -> None:
    data = saved(corners(), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff" + b"\xff" * 30)
    assert decode(data, "jpeg").image.size == (120, 80)


def _tiff_of_vips(kind: str) -> bytes:
    """A TIFF of the corners with pixels of a ``kind``."""
    vips = load_vips()
    picture = vips.Image.new_from_memory(corners().tobytes(), 120, 80, 3, "uchar").copy(interpretation="srgb")
    inks = vips.Image.new_from_memory(corners().convert("CMYK").tobytes(), 120, 80, 4, "uchar")
    inks = inks.copy(interpretation="cmyk")
    grey = vips.Image.new_from_memory(corners().convert("L").tobytes(), 120, 80, 1, "uchar")
    made = {
        "floating point": lambda: picture.colourspace("scrgb"),
        "32 bits": lambda: (picture.cast("uint") * (2**32 // 256)).cast("uint").copy(interpretation="srgb"),
        "floating-point inks": lambda: (inks / 255.0).cast("float").copy(interpretation="cmyk"),
        "inks and an alpha channel": lambda: inks.bandjoin(255).copy(interpretation="cmyk"),
        "premultiplied grey": lambda: grey.copy(interpretation="b-w").bandjoin(255),
        "WebP inside": lambda: picture,
    }[kind]()
    options = (
        {"compression": "webp", "lossless": True}
        if kind == "WebP inside"
        else {"premultiply": kind == "premultiplied grey"}
    )
    return bytes(made.tiffsave_buffer(**options))


_DEEP_TIFFS = (
    *("floating point", "32 bits", "floating-point inks", "inks and an alpha channel", "premultiplied grey"),
    "WebP inside",
)


@pytest.mark.parametrize("kind", _DEEP_TIFFS)
def test_a_tiff_whose_pixels_pillow_has_no_mode_for_shows_its_colours(
    kind: str, look: Callable[..., MediaInfo]
) -> None:
    data = _tiff_of_vips(kind)
    assert look(data, "scan.tif").format == "tiff"
    grey = [Image.new("RGB", (1, 1), one).convert("L").getpixel((0, 0)) for one in (RED, GREEN, BLUE, WHITE)]
    expected = [(one, one, one) for one in grey] if "grey" in kind else [RED, GREEN, BLUE, WHITE]
    assert_near(corner_colours(decode(data, "tiff").image), expected, 40)


# Pillow's, of cut tags; a worker's go nowhere and the command line lets none through.
@pytest.mark.filterwarnings("ignore::UserWarning:PIL.TiffImagePlugin")
@pytest.mark.parametrize("kind", _DEEP_TIFFS)
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_half_a_tiff_of_such_pixels_is_damaged(kind: str, share: float) -> None:
    data = _tiff_of_vips(kind)
    with pytest.raises((Damaged, TypeNotAllowed)):
        decode(data[: int(len(data) * share)], "tiff")


def test_a_deep_tiff_is_turned_upright() -> None:
    vips = load_vips()
    stored = corners().transpose(Image.Transpose.ROTATE_90)
    page = vips.Image.new_from_memory(stored.tobytes(), 80, 120, 3, "uchar").copy(interpretation="srgb")
    both = page.join(page.invert(), "vertical").colourspace("scrgb").copy()
    both.set_type(vips.GValue.gint_type, "orientation", 6)
    both.set_type(vips.GValue.gint_type, "page-height", 120)
    picture = decode(bytes(both.tiffsave_buffer()), "tiff")
    assert picture.image.size == (120, 80)
    assert_near(corner_colours(picture.image), [RED, GREEN, BLUE, WHITE], 40)


def test_first_page_of_a_tiff_and_largest_of_an_icon() -> None:
    pages = [Image.new("RGB", (60, 40), colour) for colour in (RED, GREEN, BLUE)]
    picture = decode(saved(pages[0], "TIFF", save_all=True, append_images=pages[1:]), "tiff")
    assert picture.image.getpixel((5, 5)) == RED
    icon = saved(corners(64, 64), "ICO", sizes=[(16, 16), (64, 64), (32, 32)])
    assert decode(icon, "ico").image.size == (64, 64)


def test_first_picture_of_a_multi_picture_jpeg() -> None:
    data = saved(corners(), "MPO", save_all=True, append_images=[Image.new("RGB", (120, 80))])
    assert_near(corner_colours(decode(data, "jpeg").image), [RED, GREEN, BLUE, WHITE], 40)


def test_a_video_behind_the_jpeg_is_ignored() -> None:
    """Motion Photo: an MP4 is appended to the picture."""
    data = saved(corners(), "JPEG") + b"\0\0\0\x18ftypmp42" + bytes(5000)
    assert decode(data, "jpeg").image.size == (120, 80)


@pytest.mark.parametrize(
    ("pillow_format", "slug"), [("BMP", "bmp"), ("JPEG2000", "jp2"), ("PPM", "pnm"), ("SGI", "sgi")]
)
def test_the_rarer_formats_decode(pillow_format: str, slug: str) -> None:
    assert_near(corner_colours(decode(saved(corners(), pillow_format), slug).image), [RED, GREEN, BLUE, WHITE])


def _targa_in_runs(image: Image.Image, *, bottom_up: bool) -> bytes:
    """Without a footer, in packets of up to 128 pixels wherever rows end."""
    rows = image.transpose(Image.Transpose.FLIP_TOP_BOTTOM) if bottom_up else image
    head = struct.pack("<3B5x4H2B", 0, 0, 10, 0, 0, image.width, image.height, 24, 0 if bottom_up else 0x20)
    pixels = rows.convert("RGB").tobytes("raw", "BGR")
    runs = bytearray()
    places = range(0, len(pixels), 3)
    for place, run in itertools.groupby(places, key=lambda place: pixels[place : place + 3]):
        count = len(list(run))
        while count:
            runs += bytes([min(count, 128) - 1 | 0x80]) + place
            count -= min(count, 128)
    return head + bytes(runs)


@pytest.mark.parametrize("bottom_up", [True, False])
@pytest.mark.parametrize("draw", [corners, lambda: Image.new("RGB", (33, 70), RED)], ids=["corners", "one colour"])
def test_a_targa_whose_runs_go_over_the_ends_of_rows(
    draw: Callable[[], Image.Image], bottom_up: bool, look: Callable[..., MediaInfo]
) -> None:
    data = _targa_in_runs(draw(), bottom_up=bottom_up)
    info = look(data)
    assert (info.format, info.width_px, info.height_px) == ("tga", *draw().size)
    assert decode(data, "tga").image.tobytes() == draw().tobytes()
    with pytest.raises(Damaged):
        decode(data[:-4], "tga")
    with pytest.raises(UnknownType):
        look(data[:-1] + b"\x00\x00\x00")


def test_wbmp_round_trip() -> None:
    image = Image.new("1", (203, 77), 0)
    ImageDraw.Draw(image).ellipse((20, 10, 180, 60), fill=1)
    data = wbmp.encode(image)
    assert data[:4] == bytes((0, 0, 0x81, 0x4B))  # 203 = 1 * 128 + 75
    out = decode(data, "wbmp").image
    assert np.array_equal(np.asarray(out) > 127, np.asarray(image))
    with pytest.raises(Damaged, match="promised"):
        decode(data[:-20], "wbmp")


def tiff_directory(entries: list[tuple[int, int, int, int]], following: int = 0) -> bytes:
    body = b"".join(struct.pack("<HHII", *entry) for entry in sorted(entries))
    return struct.pack("<H", len(entries)) + body + struct.pack("<I", following)


def test_the_largest_preview_of_a_camera_raw_file() -> None:
    """Two JPEGs in sub-directories; the orientation stands in the first directory."""
    small, large = saved(corners(30, 20), "JPEG"), saved(corners(300, 200), "JPEG", quality=90)
    head = struct.pack("<2sHI", b"II", 42, 8 + len(small) + len(large))
    at = 8 + len(small) + len(large)
    sub_at = at + 2 + 12 * 4 + 4
    first = tiff_directory([(0x111, 4, 1, 8), (0x112, 3, 1, 3), (0x117, 4, 1, len(small)), (0x14A, 4, 1, sub_at)])
    sub = tiff_directory([(0x201, 4, 1, 8 + len(small)), (0x202, 4, 1, len(large))])
    picture = decode(head + small + large + first + sub, "dng")
    assert picture.image.size == (300, 200)
    assert_near(corner_colours(picture.image), [WHITE, BLUE, GREEN, RED], 40)
    with pytest.raises(TypeNotAllowed, match="without a preview"):
        decode(struct.pack("<2sHI", b"II", 42, 8) + tiff_directory([]), "dng")


@pytest.mark.parametrize(
    "start", [b"FUJIFILMCCD-RAW 0201", b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", b"IIU\0\x08\0\0\0\0\0"]
)
def test_the_preview_of_a_raw_file_whose_directories_do_not_say_where_it_is(start: bytes) -> None:
    """CR3 and RAF are no TIFF, RW2 keeps its preview in a maker's tag: the largest JPEG in the file is taken."""
    small, large = saved(corners(30, 20), "JPEG"), saved(corners(300, 200), "JPEG", quality=90)
    picture = decode(start.ljust(200, b"\0") + small + bytes(50) + large + bytes(500), "dng")
    assert picture.image.size == (300, 200)
    assert_near(corner_colours(picture.image), [RED, GREEN, BLUE, WHITE], 40)


@pytest.mark.parametrize("start", [b"II\x1a\0\0\0HEAPCCDR", b"\0MRM\0\0\x02\0\0PRD", b"FOVb\0\0\x02\0"])
def test_raw_files_of_makers_of_their_own_ways(start: bytes, look: Callable[..., MediaInfo]) -> None:
    """Canon's first ones, Minolta's and Sigma's."""
    data = start.ljust(200, b"\0") + saved(corners(300, 200), "JPEG", quality=90) + bytes(500)
    assert look(data).format == "dng"
    assert decode(data, "dng").image.size == (300, 200)


def test_jpeg_xl_needs_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_jxl", None)
    monkeypatch.setitem(sys.modules, "pillow_jxl.JpegXLImagePlugin", None)
    with pytest.raises(DecoderMissing, match=r"\[jxl\]"):
        decode(b"\xff\x0a" + bytes(20), "jxl")


@pytest.mark.parametrize("isolate", [True, False])
def test_what_only_an_extra_decodes_is_left_out_alone(isolate: bool, sample_media: Path) -> None:
    if importlib.util.find_spec("pillow_jxl"):
        pytest.skip("the extra is installed")
    files = [sample_media / "formats" / "photo.jxl", sample_media / "message" / "note.txt"]
    settings = replace(SETTINGS, isolate=isolate)
    with pytest.raises(DecoderMissing) as told:
        prepare(files, settings=settings)
    assert (told.value.exit_status, told.value.index) == (ToolMissing.exit_status, 0)
    message = prepare(files, on_error="skip", settings=settings)
    assert [part.content_type for part in message.parts] == ["text/plain"]
    assert [(one.index, one.code) for one in message.rejected] == [(0, "decoder_missing")]


def test_jpeg_xl_decodes_with_it() -> None:
    pytest.importorskip("pillow_jxl")
    assert decode(saved(corners(), "JXL"), "jxl").image.size == (120, 80)


NOISE = grain((300, 200), 90)


@pytest.mark.parametrize(
    ("pillow_format", "slug"),
    [
        ("JPEG", "jpeg"),
        ("PNG", "png"),
        ("GIF", "gif"),
        ("WEBP", "webp"),
        ("AVIF", "avif"),
        ("BMP", "bmp"),
        ("TIFF", "tiff"),
        ("JPEG2000", "jp2"),
        ("ICO", "ico"),
        ("PPM", "pnm"),
    ],
)
@pytest.mark.parametrize("share", [0.02, 0.5, 0.9])
def test_half_a_picture_is_damaged_and_never_half_grey(pillow_format: str, slug: str, share: float) -> None:
    data = saved(NOISE, pillow_format)
    with pytest.raises(Damaged, match=f"picture.{slug}: begins as"):
        decode(data[: int(len(data) * share)], slug)


_PICTURES = [slug for slug, entry in FORMATS.items() if entry.kind is Kind.IMAGE and slug != "jxl"]
"""JPEG XL's decoder is an extra."""


@given(st.binary(max_size=300), st.sampled_from(_PICTURES))
def test_rubbish_is_damaged_in_every_format(data: bytes, slug: str) -> None:
    with pytest.raises((Damaged, TypeNotAllowed, OverInputLimit)):
        decode(data, slug)


def test_deep_jpegs_are_refused_with_the_reason() -> None:
    data = bytearray(saved(corners(), "JPEG"))
    data[data.index(b"\xff\xc0") + 4] = 12
    with pytest.raises(TypeNotAllowed, match="12-bit"):
        decode(bytes(data), "jpeg")


def test_too_many_pixels_are_refused_before_decoding() -> None:
    data = saved(Image.new("L", (2000, 2000)), "PNG")
    with pytest.raises(OverInputLimit, match=r"2000 x 2000 pixels, over the limit of 1,000,000"):
        decode(data, "png", settings=Settings(max_pixels=1_000_000))
    with pytest.raises(OverInputLimit, match="MMSPREP_MAX_IMAGE_BYTES"):
        decode(data, "png", settings=Settings(max_image_bytes=100))


def test_pictures_over_pillows_own_limit_raise_no_warning(recwarn: pytest.WarningsRecorder) -> None:
    """The limit that counts is the setting's; Pillow would warn from 89 megapixels on."""
    data = saved(Image.new("1", (10_000, 9_500)), "PNG")
    assert decode(data, "png").image.size == (1024, 972)
    assert not recwarn.list


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((100, 60), (100, 60)),
        ((4000, 3000), (1024, 768)),
        ((3000, 4000), (768, 1024)),
        ((1080, 12000), (368, 4096)),
        ((12000, 1080), (4096, 368)),
        ((300, 4000), (300, 4000)),
        ((20, 4000), (20, 4000)),
        ((40_000, 1), (4096, 1)),
    ],
)
def test_sizes_by_the_rules(size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert pixels.target_size(size[0], size[1], RULES) == expected


@given(st.integers(1, 60_000), st.integers(1, 60_000))
def test_target_sizes_never_grow_and_obey_every_limit(width_px: int, height_px: int) -> None:
    rules = ImageRules(max_long_px=640, max_short_px=480, tall_max_long_px=2000)
    new_width, new_height = pixels.target_size(width_px, height_px, rules)
    assert 1 <= new_width <= width_px
    assert 1 <= new_height <= height_px
    assert max(new_width, new_height) <= 2000
    assert min(new_width, new_height) <= 480
    assert new_width * new_height <= 2 * 640 * 480
    assert (new_height, new_width) == pixels.target_size(height_px, width_px, rules)


def bitmap(colours: np.ndarray[Any, Any], masks: tuple[int, ...], bits: int, *, header: int, top_down: bool) -> bytes:
    """A BMP of (row, column, channel) in 8 bits, its channels where ``masks`` say, its header of 40 or 56 bytes."""
    height, width, _ = colours.shape
    numbers = np.zeros((height, width), np.uint32)
    for channel, mask in enumerate(masks):
        lowest = (mask & -mask).bit_length() - 1
        numbers |= np.round(colours[..., channel].astype(float) / 255 * (mask >> lowest)).astype(np.uint32) << lowest
    rows = numbers.astype(f"<u{bits // 8}")[:: 1 if top_down else -1]
    padding = b"\0" * (-width * bits // 8 % 4)
    pixels = b"".join(row.tobytes() + padding for row in rows)
    # The masks stand behind a header of 40 bytes and inside a longer one.
    told = struct.pack(f"<{len(masks)}I", *masks).ljust(0 if header == 40 else 16, b"\0")
    at, compression = 14 + 40 + len(told), 6 if header == 40 and len(masks) == 4 else 3
    size = struct.pack("<IiiHH", header, width, -height if top_down else height, 1, bits)
    return (
        b"BM" + struct.pack("<I4xI", at + len(pixels), at) + size + struct.pack("<IIiiII", compression, 0, 0, 0, 0, 0)
    ) + (told + pixels)


@pytest.mark.parametrize("top_down", [False, True])
@pytest.mark.parametrize(
    ("bits", "masks"),
    [
        (16, (0x0F00, 0x00F0, 0x000F, 0xF000)),
        (16, (0x0F00, 0x00F0, 0x000F)),
        (16, (0x7000, 0x0E00, 0x0030)),
        (32, (0x3FF00000, 0x000FFC00, 0x000003FF)),
        (32, (0xFF000000, 0x0000FF00, 0x00FF0000, 0x000000FF)),
    ],
)
@pytest.mark.parametrize("header", [40, 56])
def test_bitmaps_whose_colours_lie_anywhere(
    bits: int, masks: tuple[int, ...], header: int, top_down: bool, look: Callable[..., MediaInfo]
) -> None:
    """As Photoshop writes them with 4 bits a colour; every one of full strength and none is what it was."""
    colours = np.random.default_rng(3).integers(0, 2, (5, 7, len(masks)), np.uint8) * 255
    data = bitmap(colours, masks, bits, header=header, top_down=top_down)
    info = look(data)
    assert (info.format, info.width_px, info.height_px, info.encoding) == ("bmp", 7, 5, "bitfields")
    assert info.has_alpha is (len(masks) == 4)
    picture = np.asarray(decode(data, "bmp").image)
    clear = colours[..., 3:] == 0 if len(masks) == 4 else False
    assert np.array_equal(picture, np.where(clear, 255, colours[..., :3]))
    with pytest.raises(Damaged, match=r"missing|truncated"):
        decode(data[:-9], "bmp")


def test_bitmaps_whose_colours_lie_in_pieces_are_named(look: Callable[..., MediaInfo]) -> None:
    data = bitmap(np.zeros((4, 4, 3), np.uint8), (0x0F00, 0x00F0, 0x000F), 16, header=56, top_down=False)
    with pytest.raises(TypeNotAllowed, match="BMP of a kind that nothing here decodes"):
        look(data.replace(struct.pack("<I", 0x0F00), struct.pack("<I", 0x0D00)))


@pytest.mark.parametrize("kind", ["icon", "cursor"])
def test_icons_and_cursors_of_half_clear_pixels_whatever_their_directory_says_of_bits(
    kind: str, look: Callable[..., MediaInfo]
) -> None:
    """Many programs write no bits there; a cursor has its point there, here at (5, 8)."""
    image = Image.new("RGBA", (16, 16), (255, 0, 0, 128))
    data = bytearray(saved(image, "ICO", sizes=[(16, 16)], bitmap_format="bmp"))
    data[2:3], data[10:14] = (b"\1", bytes(4)) if kind == "icon" else (b"\2", struct.pack("<HH", 5, 8))
    info = look(bytes(data))
    assert info.format == {"icon": "ico", "cursor": "cur"}[kind]
    assert_near(decode(bytes(data), info.format).image.getpixel((8, 8)), (255, 127, 127), 2)


def photoshop(pixels: np.ndarray[Any, Any], mode: int, packed: bool = False) -> bytes:
    """A file of Photoshop's without layers: ``pixels`` as (channel, row, column), each channel with one run a row."""
    channels, height, width = pixels.shape
    head = struct.pack(">4sH6xHIIHH3I", b"8BPS", 1, channels, height, width, pixels.itemsize * 8, mode, 0, 0, 0)
    rows = [row.tobytes() for row in pixels.astype(pixels.dtype.newbyteorder(">")).reshape(-1, width)]
    if not packed:
        return head + b"\0\0" + b"".join(rows)
    coded = [bytes([len(row) - 1]) + row for row in rows]
    return head + b"\0\1" + b"".join(struct.pack(">H", len(row)) for row in coded) + b"".join(coded)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize(("layers", "seen_through"), [(None, False), (0, False), (3, False), (-1, True), (-3, True)])
def test_a_fourth_channel_of_photoshop_is_transparency_only_where_its_layers_say_so(
    layers: int | None, seen_through: bool, bits: int
) -> None:
    """Otherwise it is a selection that somebody kept, and the picture is whole."""
    pixels = np.full((4, 48, 64), 40 << bits - 8, np.uint8 if bits == 8 else np.uint16)
    pixels[3, :, :32] = 0
    pixels[3, :, 32:] = 255 << bits - 8
    data = photoshop(pixels, 3)
    if layers is not None:
        told = struct.pack(">Ih", 8, layers) + bytes(6)
        section = told if bits == 8 else bytes(8) + b"8BIMLr16" + told
        data = data[:34] + struct.pack(">I", len(section)) + section + data[38:]
    image = decode(data, "psd").image.convert("RGB")
    assert image.getpixel((8, 8)) == ((255, 255, 255) if seen_through else (40, 40, 40))
    assert image.getpixel((60, 8)) == (40, 40, 40)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(("mode", "channels"), [(1, 1), (3, 3), (4, 4)])
def test_photoshop_with_sixteen_bits(mode: int, channels: int, packed: bool) -> None:
    """As the same picture with eight: of each channel the higher byte counts."""
    shallow = np.random.default_rng(7).integers(0, 256, (channels, 9, 15), np.uint8)
    deep = shallow.astype(np.uint16) << 8 | 0x5A
    two, one = (decode(photoshop(pixels, mode, packed), "psd").image for pixels in (deep, shallow))
    assert two.size == (15, 9)
    assert np.array_equal(np.asarray(two), np.asarray(one))


def _prepared(image: Image.Image, writer: str, **options: Any) -> Part:
    out = io.BytesIO()
    image.save(out, writer, **options)
    return prepare([(f"a.{writer.lower()}", out.getvalue())]).parts[0]


def test_a_colour_profile_that_does_not_belong_to_its_pixels_is_told_and_ignored() -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    picture = Image.linear_gradient("L").resize((90, 60))
    assert _prepared(picture, "TIFF", icc_profile=srgb).notes == ()
    told = "its colour profile cannot be used and was ignored"
    assert told in _prepared(picture.convert("RGB"), "PNG", icc_profile=lab).notes
    assert told in _prepared(picture.convert("CMYK"), "TIFF", icc_profile=srgb).notes


def test_a_picture_in_lab_comes_out_in_its_colours() -> None:
    to_lab = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
    red = ImageCms.applyTransform(Image.new("RGB", (90, 60), (200, 40, 40)), to_lab)
    assert red is not None
    part = _prepared(red, "TIFF")
    with Image.open(io.BytesIO(part.data)) as sent:
        assert sent.convert("RGB").getpixel((45, 30)) == pytest.approx((200, 40, 40), abs=6)
