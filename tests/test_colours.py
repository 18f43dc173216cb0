"""Colours of other codings than sRGB come out as a phone would have shown them: stills here, clips in test_video.py."""

from __future__ import annotations

import struct
import subprocess
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from mmsprep import Part, prepare
from mmsprep.formats.cicp import BT2020, DISPLAY_P3, coding, png_coding
from mmsprep.model import ColourCoding
from mmsprep.settings import Settings
from mmsprep.tools import ffmpeg
from mmsprep.transcode.colours import displayed, tables

_TO_2020 = np.linalg.inv(
    np.array([[1.660491, -0.587641, -0.072850], [-0.124550, 1.132900, -0.008349], [-0.018151, -0.100579, 1.118730]])
)
"""From linear sRGB to BT.2020 (ITU-R BT.2087)."""
_TO_P3 = np.array([[0.822462, 0.177538, 0.0], [0.033194, 0.966806, 0.0], [0.017083, 0.072397, 0.910520]])
"""From linear sRGB to Display P3 (CSS Color 4, section 10)."""
_COLOURS = st.lists(st.tuples(*[st.integers(0, 255)] * 3), min_size=1, max_size=20)


def _linear(srgb: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def _encoded(light: NDArray[np.float64]) -> NDArray[np.float64]:
    light = np.clip(light, 0, 1)
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


def _pq(nits: NDArray[np.float64]) -> NDArray[np.float64]:
    power = (nits / 10_000) ** 0.1593017578125
    return ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375


def _hlg(nits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of greys alone: the light of a screen of 1000 cd/m2 as the signal (ITU-R BT.2100, tables 5)."""
    scene = (nits / 1000) ** (1 / 1.2)
    curved = 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene), curved)


def _sixteen(values: NDArray[np.float64]) -> NDArray[np.uint16]:
    return (values * 65535).round().astype(np.uint16)


@pytest.mark.parametrize(("primaries", "matrix"), [(BT2020, _TO_2020), (DISPLAY_P3, _TO_P3)], ids=["bt2020", "p3"])
@given(colours=_COLOURS)
@examples(25)
def test_a_colour_that_srgb_has_comes_out_as_itself(
    primaries: tuple[float, ...], matrix: NDArray[np.float64], colours: list[tuple[int, int, int]]
) -> None:
    wanted = np.array([colours], np.float64)
    coded = _encoded(_linear(wanted / 255) @ matrix.T)
    shown = displayed(_sixteen(coded), ColourCoding(primaries=primaries))
    assert np.abs(shown - wanted).max() <= 1


@given(colours=_COLOURS)
@examples(25)
def test_dim_colours_of_high_dynamic_range_come_out_as_bright_as_they_are(colours: list[tuple[int, int, int]]) -> None:
    """Up to the knee nothing changes: half of white is half of white."""
    wanted = np.array([colours], np.float64) * 0.7
    coded = _pq(np.maximum(_linear(wanted / 255) @ _TO_2020.T, 0) * 203)
    shown = displayed(_sixteen(coded), ColourCoding(transfer="pq", primaries=BT2020))
    assert np.abs(shown - wanted).max() <= 2


@pytest.mark.parametrize("transfer", ["pq", "hlg"])
@pytest.mark.parametrize("peak_nits", [0.0, 400.0, 1000.0, 4000.0])
def test_lights_above_white_are_told_apart_and_never_change_their_order(transfer: str, peak_nits: float) -> None:
    nits = np.geomspace(1, 1000, 400)
    signal = _pq(nits) if transfer == "pq" else _hlg(nits)
    grey = np.repeat(_sixteen(signal)[None, :, None], 3, axis=2)
    shown = displayed(grey, ColourCoding(transfer=transfer, primaries=BT2020, peak_nits=peak_nits))[0, :, 1].astype(int)
    assert (np.diff(shown) >= 0).all()
    white, cloud, sunlit = (shown[np.argmin(np.abs(nits - light))] for light in (203, 488, 900))
    # A picture without any brighter light is as bright as it can be; else white leaves room above it.
    assert white >= 215
    if peak_nits != 400:
        assert white + 6 <= cloud <= sunlit - 3


def test_greys_stay_grey_and_brighter_colours_come_out_brighter() -> None:
    red = np.linspace(0.3, 0.75, 50)
    coded = np.stack((red, red * 0.6, red * 0.6), axis=-1)[None]
    shown = displayed(_sixteen(coded), ColourCoding(transfer="pq", primaries=BT2020)).astype(int)[0]
    assert (np.diff(shown.sum(axis=1)) >= -1).all()
    grey = np.repeat(np.linspace(0, 1, 256)[None, :, None], 3, axis=2)
    for transfer in ("pq", "hlg", "srgb", "gamma"):
        shown = displayed(_sixteen(grey), ColourCoding(transfer=transfer, primaries=BT2020)).astype(int)
        assert np.ptp(shown, axis=-1).max() <= 1


@pytest.mark.parametrize("transfer", ["pq", "hlg", "srgb"])
@pytest.mark.parametrize("primaries", [BT2020, DISPLAY_P3, ()], ids=["bt2020", "p3", "srgb"])
def test_ffmpeg_makes_the_same_of_a_clip_as_is_made_of_a_still(
    tmp_path: Path, transfer: str, primaries: tuple[float, ...]
) -> None:
    found = ColourCoding(transfer=transfer, primaries=primaries, peak_nits=1000.0 if transfer == "pq" else 0.0)
    pixels = np.random.default_rng(3).integers(0, 65536, (64, 64, 3)).astype(np.uint16)
    pixels[0, 0] = 65535
    places = [tmp_path / f"{number}.cube" for number in range(3)]
    for place, table in zip(places, tables(found), strict=True):
        place.write_bytes(table)
    chain = f"format=gbrp16le,lut1d={places[0]},lut3d={places[1]}:interp=tetrahedral,lut1d={places[2]},format=rgb48le"
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb48le"]
    command = [ffmpeg.executable(Settings()), "-v", "error", *raw, "-s", "64x64", "-i", "pipe:0"]
    command += ["-vf", chain, *raw, "pipe:1"]
    done = subprocess.run(command, input=pixels.tobytes(), capture_output=True, check=True)
    made = np.frombuffer(done.stdout, np.uint16).reshape(64, 64, 3) / 257
    assert np.abs(made - displayed(pixels, found)).max() <= 8


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _png(rows: NDArray[np.uint8] | NDArray[np.uint16], *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG of RGB in 8 or 16 bits with these chunks before its pixels."""
    height, width, _ = rows.shape
    depth = rows.dtype.itemsize * 8
    header = struct.pack(">IIBBBBB", width, height, depth, 2, 0, 0, 0)
    lines = b"".join(b"\0" + row.astype(f">u{depth // 8}").tobytes() for row in rows)
    parts = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(lines)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*part) for part in parts)


def _bars(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bars of 64 pixels, 48 high."""
    return np.repeat(values[None], 64, axis=1).repeat(48, axis=0)


def _sent(data: bytes, name: str) -> tuple[Part, list[tuple[int, ...]]]:
    """What is sent, and the middle of each of its bars."""
    (part,) = prepare([(name, data)]).parts
    with Image.open(BytesIO(part.data)) as image:
        shown = image.convert("RGB")
    return part, [tuple(row) for row in np.asarray(shown)[shown.height // 2, 32::64].tolist()]


_NITS = np.array([26.0, 100.0, 203.0, 1000.0])


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize(("transfer", "signal"), [(16, _pq), (18, _hlg)])
def test_a_png_in_high_dynamic_range_is_toned_down_and_told(depth: int, transfer: int, signal: object) -> None:
    values = _bars(np.repeat(signal(_NITS)[:, None], 3, axis=1))  # type: ignore[operator]
    rows = _sixteen(values) if depth == 16 else (values * 255).round().astype(np.uint8)
    part, shown = _sent(_png(rows, (b"cICP", bytes((9, transfer, 0, 1)))), "shot.png")
    greys = [sum(colour) / 3 for colour in shown]
    assert greys == pytest.approx([101, 186, 237 if transfer == 16 else 220, 255], abs=6)
    assert any("high dynamic range" in note for note in part.notes)


def test_heic_and_avif_in_high_dynamic_range_are_toned_down_and_told() -> None:
    values = _bars(np.repeat(_pq(_NITS)[:, None], 3, axis=1))
    heif = pillow_heif.from_bytes(mode="RGB;16", size=(256, 48), data=_sixteen(values).tobytes())
    file = BytesIO()
    heif.save(file, quality=-1, color_primaries=9, transfer_characteristics=16, matrix_coefficients=9)
    part, shown = _sent(file.getvalue(), "shot.heic")
    assert [sum(colour) / 3 for colour in shown] == pytest.approx([101, 186, 237, 255], abs=6)
    assert any("(PQ)" in note for note in part.notes)


def test_the_sample_still_of_a_wide_gamut_is_narrowed_once() -> None:
    """Code points of Display P3 and its ICC profile in one HEIC are the same statement, said twice."""
    patch = (np.array([[0.9, 0.4, 0.3]]) * 255).round().astype(np.uint8)
    wanted = displayed(patch[None], ColourCoding(primaries=DISPLAY_P3))[0, 0]
    picture = Image.fromarray(np.tile(patch[None], (64, 64, 1)))
    file = BytesIO()
    pillow_heif.from_pillow(picture).save(file, quality=95, color_primaries=12, transfer_characteristics=13)
    _, (shown, *_) = _sent(file.getvalue(), "p3.heic")
    assert shown == pytest.approx(tuple(int(value) for value in wanted), abs=6)


def test_gamma_and_chromaticities_of_a_png_are_heeded() -> None:
    light = np.array([[0.2, 0.2, 0.2], [0.5, 0.2, 0.1], [0.05, 0.4, 0.1]])
    wanted = (_encoded(light) * 255).round()
    linear = _png(_sixteen(_bars(light)), (b"gAMA", struct.pack(">I", 100_000)))
    _, shown = _sent(linear, "render.png")
    assert np.abs(np.array(shown) - wanted).max() <= 5
    places = [value for x, y in ((31270, 32900), (68000, 32000), (26500, 69000), (15000, 6000)) for value in (x, y)]
    wide = _png(
        _sixteen(_bars(_encoded(light @ _TO_P3.T))),
        (b"gAMA", struct.pack(">I", 45_455)),
        (b"cHRM", struct.pack(">8I", *places)),
    )
    _, shown = _sent(wide, "wide.png")
    assert np.abs(np.array(shown) - wanted).max() <= 5


@pytest.mark.parametrize("extra", [(b"sRGB", b"\0"), (b"cICP", bytes((1, 13, 0, 1)))])
def test_what_says_srgb_goes_before_gamma(extra: tuple[bytes, bytes]) -> None:
    rows = np.full((48, 64, 3), 100, np.uint8)
    _, (shown, *_) = _sent(_png(rows, extra, (b"gAMA", struct.pack(">I", 100_000))), "plain.png")
    assert shown == pytest.approx((100, 100, 100), abs=2)


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_gamma_and_chromaticities_that_make_no_sense_do_no_harm(gamma: bytes, chromaticities: bytes) -> None:
    found = png_coding(gamma, chromaticities)
    if found is not None:
        shown = displayed(np.array([[[0, 128, 255]]], np.uint8), found)
        assert shown.shape == (1, 1, 3)


def test_unspecified_and_standard_code_points_change_nothing() -> None:
    assert [coding(*points) for points in ((1, 1), (2, 2), (1, 13), (6, 6), (5, 6), (1, 4), (99, 200))] == [None] * 7


def test_a_transparent_colour_of_16_bits_is_told_from_its_neighbours() -> None:
    """Pillow reads eight bits of each: two colours that differ in the others are one to it."""
    rows = np.full((48, 64, 3), (65298, 52, 86), np.uint16)
    rows[:, 32:] = (65280, 52, 86)
    part, _ = _sent(_png(rows, (b"tRNS", struct.pack(">3H", 65298, 52, 86))), "cut-out.png")
    with Image.open(BytesIO(part.data)) as image:
        shown = image.convert("RGB")
    assert shown.getpixel((16, 24)) == pytest.approx((255, 255, 255), abs=4)
    assert shown.getpixel((48, 24)) == pytest.approx((255, 0, 0), abs=4)
    assert "transparent parts shown on white" in part.notes
