"""HEIF pictures, read by a reader of our own and decoded by ffmpeg, look as libheif shows them, or are refused."""

from __future__ import annotations

import random
import struct
import time
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
import pytest
from heif_files import Part, coded, grid, heic, heif_of
from PIL import Image, ImageOps

from mmsprep.errors import Damaged, DecoderMissing, MmsprepError, OverInputLimit, TypeNotAllowed, UnsafeReference
from mmsprep.formats.content import Content
from mmsprep.formats.heif.facts import read_picture_facts
from mmsprep.formats.heif.layout import read_layout
from mmsprep.model import Attachment, ColourCoding, Kind, MediaInfo
from mmsprep.settings import Settings
from mmsprep.tools.untrusted import read_bytes
from mmsprep.tools.workspace import Workspace
from mmsprep.transcode.image.composed import open_composed
from mmsprep.transcode.image.heif import decoded

_MOST = 210_000_000
_SAMPLES = Path(__file__).parents[1] / "sample_media"
_ALPHA = b"\0\0\0\0urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0"
_RED, _GREEN, _BLUE, _WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def scene(size: tuple[int, int], mode: str = "RGB") -> Image.Image:
    """Something with edges, gradients and colours."""
    bands = (Image.linear_gradient("L"), Image.radial_gradient("L"), Image.linear_gradient("L").rotate(90))
    image = Image.merge("RGB", bands)
    image.paste((200, 30, 40), (40, 60, 130, 180))
    image = image.resize(size).convert("L" if mode in ("L", "LA") else "RGB").convert(mode)
    if mode in ("RGBA", "LA"):
        image.putalpha(Image.linear_gradient("L").rotate(180).resize(size))
    return image


def ours(data: bytes, *, coding: ColourCoding | None = None, lower: bool = False) -> Image.Image:
    """The picture as it is read here, upright."""
    with Content("picture", BytesIO(data)) as content:
        facts = read_picture_facts(content)
    info = MediaInfo(
        format="heic",
        kind=Kind.IMAGE,
        content_type="image/heic",
        size_bytes=len(data),
        bit_depth=facts.bit_depth,
        coding=coding,
    )
    with Workspace(Settings(isolate=False)) as workspace:
        with decoded(Attachment(0, "picture", len(data), data=data), info, workspace) as pieces:
            assert pieces.path
            image = ImageOps.exif_transpose(open_composed(BytesIO(read_bytes(pieces)), lower=lower))
        assert not pieces.path.exists()
    assert image.size == (facts.width_px, facts.height_px)
    return image


def theirs(data: bytes) -> Image.Image:
    """The picture as libheif shows it."""
    heif = pillow_heif.open_heif(BytesIO(data))
    image: Image.Image = heif[heif.primary_index].to_pillow()
    return image


def likeness_db(one: Image.Image, other: Image.Image) -> float:
    """PSNR of everything that is seen of both."""
    assert one.size == other.size
    values = [np.asarray(image.convert("RGBA")).astype(int) for image in (one, other)]
    error = float(((values[0] - values[1]) ** 2).mean())
    return 99.0 if error == 0 else float(10 * np.log10(255**2 / error))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA"])
@pytest.mark.parametrize("size", [(64, 48), (65, 1), (1, 1), (15, 17), (257, 129)])
def test_every_mode_and_odd_size_looks_as_libheif_shows_it(mode: str, size: tuple[int, int]) -> None:
    data = heic(scene(size, mode))
    image = ours(data)
    assert likeness_db(image, theirs(data)) > 45
    assert image.mode == mode


@pytest.mark.parametrize("chroma", [420, 422, 444])
@pytest.mark.parametrize("quality", [40, -1])
def test_every_subsampling_looks_as_libheif_shows_it(chroma: int, quality: int) -> None:
    data = heic(scene((131, 67)), chroma=chroma, quality=quality)
    assert likeness_db(ours(data), theirs(data)) > 45


@pytest.mark.parametrize("full_range", [0, 1])
@pytest.mark.parametrize("matrix", [0, 1, 2, 4, 5, 6, 7, 8, 9, 10])
def test_every_matrix_and_range_looks_as_libheif_shows_it(matrix: int, full_range: int) -> None:
    options = {"matrix_coefficients": matrix, "full_range_flag": full_range, "chroma": 444}
    data = heic(scene((96, 64)), color_primaries=1, transfer_characteristics=13, **options)
    assert likeness_db(ours(data), theirs(data)) > 40


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turns_and_mirrorings_are_done_once(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x112] = orientation
    data = heic(scene((120, 80)), exif=exif.tobytes())
    assert likeness_db(ours(data), theirs(data)) > 45


@pytest.mark.parametrize("premultiplied", [False, True])
def test_opacity_is_an_item_of_its_own(premultiplied: bool) -> None:
    """... and colours that were multiplied by it before are divided by it."""
    colour, opacity = (100, 40, 20), Image.new("L", (64, 64), 128)
    parts = (
        coded(Image.new("RGB", (64, 64), colour), references=[(b"prem", [2])] if premultiplied else []),
        coded(opacity, (b"auxC", _ALPHA, True), references=[(b"auxl", [1])]),
    )
    image = ours(heif_of(*parts)).convert("RGBA")
    expected = tuple(value * 255 // 128 if premultiplied else value for value in colour)
    assert image.getpixel((32, 32)) == pytest.approx((*expected, 128), abs=4)


def test_opacity_of_another_size_is_made_to_fit() -> None:
    small = coded(Image.new("L", (16, 16), 77), (b"auxC", _ALPHA, True), references=[(b"auxl", [1])])
    image = ours(heif_of(coded(scene((64, 64))), small))
    assert image.getchannel("A").getextrema() == pytest.approx((77, 77), abs=2)


def test_both_bytes_of_high_dynamic_range_are_kept() -> None:
    """What is shown of them is made of 16 bits; those of a stream of 10 bits are all there."""
    values = np.linspace(0, 65535, 1024).astype(np.uint16)
    stored = np.broadcast_to(values[None, :, None], (32, 1024, 3)).copy()
    heif = pillow_heif.from_bytes(mode="RGB;16", size=(1024, 32), data=stored.tobytes())
    file = BytesIO()
    heif.save(file, quality=-1, chroma=444, transfer_characteristics=16, color_primaries=9, matrix_coefficients=9)
    higher, lower = (ours(file.getvalue(), coding=ColourCoding(transfer="pq"), lower=one) for one in (False, True))
    both = np.asarray(higher).astype(int) << 8 | np.asarray(lower)
    assert np.abs(both - stored).max() < 200
    assert len(np.unique(both)) > 900


def _corners(size_px: int = 64) -> list[Image.Image]:
    return [Image.new("RGB", (size_px, size_px), colour) for colour in (_RED, _GREEN, _BLUE, _WHITE)]


def _colours(image: Image.Image) -> list[Any]:
    width, height = image.size
    return [image.getpixel((x, y)) for y in (5, height - 6) for x in (5, width - 6)]


def _assert_colours(image: Image.Image, expected: list[tuple[int, int, int]]) -> None:
    for found, wanted in zip(_colours(image), expected, strict=True):
        assert found == pytest.approx(wanted, abs=6)


@pytest.mark.parametrize("where", [0, 1])
def test_tiles_lie_from_left_to_right_and_what_hangs_over_is_cut(where: int) -> None:
    """Whether the grid is told in the index or among the media."""
    tiles = [coded(one) for one in _corners()]
    whole = Part(b"grid", grid(2, 2, 100, 90), (), [(b"dimg", [1, 2, 3, 4])], where=where)
    data = heif_of(*tiles, whole, primary=5)
    image = ours(data)
    assert image.size == (100, 90)
    _assert_colours(image, [_RED, _GREEN, _BLUE, _WHITE])
    assert likeness_db(image, theirs(data)) > 45


def test_an_overlay_lays_pieces_on_its_colour_where_it_says() -> None:
    data = struct.pack(">BB4HHH4h", 0, 0, 0, 0, 65535, 65535, 100, 80, -32, -32, 60, 50)
    parts = [*(coded(one) for one in _corners()[:2]), Part(b"iovl", data, (), [(b"dimg", [1, 2])])]
    image = ours(heif_of(*parts, primary=3))
    _assert_colours(image, [_RED, _BLUE, _BLUE, _GREEN])


def test_crops_and_turns_are_done_in_the_order_of_the_file() -> None:
    """Cropped to its left half, then turned to the left; the other way round it would be the upper half."""
    whole = Image.new("RGB", (128, 64))
    for number, corner in enumerate(_corners(32)):
        whole.paste(corner.resize((64, 32)), (number % 2 * 64, number // 2 * 32))
    left = (b"clap", struct.pack(">8i", 64, 1, 64, 1, -32, 1, 0, 1), True)
    turn = (b"irot", b"\1", True)
    cropped_first = ours(heif_of(coded(whole, left, turn)))
    assert cropped_first.size == (64, 64)
    _assert_colours(cropped_first, [_RED, _BLUE, _RED, _BLUE])
    identity = Part(b"iden", b"", (turn, left), [(b"dimg", [1])])
    turned_first = ours(heif_of(coded(whole), identity, primary=2))
    assert turned_first.size == (32, 64)


def test_bytes_of_an_item_may_lie_in_other_items() -> None:
    """Construction method 2: one picture in two halves, which are items."""
    picture = coded(scene((64, 64)))
    middle = len(picture.data) // 2
    halves = (Part(b"mime", picture.data[:middle]), Part(b"mime", picture.data[middle:]))
    references = [(b"iloc", [1, 2])]
    extents = [(0, middle)]
    joined = Part(b"hvc1", b"", picture.properties, references, where=2, extents=extents)
    with pytest.raises(MmsprepError):  # half of it
        ours(heif_of(*halves, joined, primary=3))
    whole = Part(b"mime", picture.data)
    joined = Part(b"hvc1", b"", picture.properties, [(b"iloc", [1])], where=2, extents=[(0, len(picture.data))])
    assert likeness_db(ours(heif_of(whole, joined, primary=2)), scene((64, 64))) > 30


def test_the_larger_picture_is_shown_where_a_file_calls_its_small_copy_the_main_one() -> None:
    small = coded(scene((32, 32)), references=[(b"thmb", [1])])
    large = replace(coded(scene((128, 128))), hidden=False)
    assert ours(heif_of(large, small, primary=2)).size == (128, 128)


def _layout(data: bytes, max_pixels: int = _MOST) -> None:
    with Content("picture.heic", BytesIO(data)) as content:
        read_picture_facts(content)
        read_layout(content, max_pixels)


@pytest.mark.parametrize(
    ("parts", "primary", "error", "words"),
    [
        ([Part(b"grid", grid(1, 2, 128, 64), (), [(b"dimg", [2])]), coded(scene((64, 64)))], 1, Damaged, "lacks a pi"),
        ([Part(b"grid", grid(1, 1, 65, 64), (), [(b"dimg", [2])]), coded(scene((64, 64)))], 1, Damaged, "do not cover"),
        ([Part(b"grid", grid(1, 1, 64, 64), (), [(b"dimg", [1])])], 1, Damaged, "made of nothing"),
        ([Part(b"iden", b"", (), [(b"dimg", [2])]), Part(b"iden", b"", (), [(b"dimg", [1])])], 1, Damaged, "nothing"),
        ([coded(scene((64, 64)), (b"iscl", bytes(8), True))], 1, TypeNotAllowed, "nothing here decodes .*iscl"),
        ([Part(b"hvc1", b"x", coded(scene((8, 8))).properties, outside=True)], 1, UnsafeReference, "another file"),
        ([Part(b"hvc1", b"x")], 1, Damaged, "configuration"),
        ([Part(b"tmap", b"x")], 1, TypeNotAllowed, "tmap"),
        ([coded(scene((64, 64)))], 9, Damaged, "main one"),
        ([coded(scene((8, 8))), coded(scene((8, 8)), references=[(b"auxl", [1])])], 1, Damaged, "how opaque"),
        ([coded(scene((8, 8)), references=[(b"prem", [2])]), coded(scene((8, 8)))], 1, Damaged, "how opaque"),
        ([coded(scene((64, 64)), (b"clap", struct.pack(">8i", 0, 0, 0, 0, 0, 0, 0, 0), True))], 1, Damaged, "cropped"),
    ],
)
def test_what_cannot_be_shown_whole_is_refused_in_words(
    parts: list[Part], primary: int, error: type[MmsprepError], words: str
) -> None:
    with pytest.raises(error, match=words):
        _layout(heif_of(*parts, primary=primary))


def test_no_pixel_is_decoded_of_a_picture_over_the_limit() -> None:
    """Neither of a large canvas of a small tile, nor of a large picture that says it is small."""
    tile = coded(scene((64, 64)))
    for parts in (
        [Part(b"grid", grid(1, 1, 60_000, 60_000), (), [(b"dimg", [2])]), tile],
        [Part(b"grid", grid(1, 1, 64, 64), (), [(b"dimg", [2])]), coded(scene((512, 512)))],
        [Part(b"grid", grid(16, 16, 64, 64), (), [(b"dimg", [2] * 256)]), tile],
    ):
        with pytest.raises(OverInputLimit, match="MMSPREP_MAX_PIXELS"):
            _layout(heif_of(*parts), 100_000)


def test_a_grid_of_very_many_tiles_is_read_in_no_more_than_a_time_that_grows_with_it() -> None:
    tile = coded(scene((16, 16)))
    took_s = []
    for side in (32, 128):
        data = heif_of(Part(b"grid", grid(side, side, 16 * side, 16 * side), (), [(b"dimg", [2] * side**2)]), tile)
        begun_s = time.process_time()
        _layout(data)
        took_s.append(time.process_time() - begun_s)
    assert took_s[1] < 2 + 32 * took_s[0]


def test_damaged_heif_files_are_read_or_refused_and_nothing_else() -> None:
    """Thousands of damaged ones: no other error, no endless walk."""
    chance = random.Random(4)
    samples = [heic(scene((40, 30), "RGBA")), (_SAMPLES / "formats/rotated.heic").read_bytes()]
    tiles = [coded(one) for one in _corners()]
    samples.append(heif_of(*tiles, Part(b"grid", grid(2, 2, 100, 90), (), [(b"dimg", [1, 2, 3, 4])]), primary=5))
    for number in range(3000):
        data = bytearray(samples[number % len(samples)])
        if number % 5 == 0:
            del data[chance.randrange(len(data)) :]
        for _ in range(chance.choice((1, 1, 2, 8))):
            if data:
                data[chance.randrange(min(len(data), 1200))] = chance.choice((0, 1, 0x7F, 0x80, 0xFF))
        try:
            _layout(bytes(data))
        except MmsprepError as error:
            assert str(error).startswith("picture.heic:")


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_half_of_a_picture_is_never_sent(share: float) -> None:
    data = (_SAMPLES / "formats/rotated.heic").read_bytes()
    with pytest.raises(Damaged):
        ours(data[: int(share * len(data))])


@pytest.mark.parametrize("name", ["formats/rotated.heic", "formats/burst.heic", "message/IMG_0412.HEIC"])
def test_samples_look_as_libheif_shows_them(name: str) -> None:
    data = (_SAMPLES / name).read_bytes()
    assert likeness_db(ours(data), theirs(data)) > 45


def test_an_ffmpeg_without_the_decoder_is_told_and_not_the_picture_called_damaged(tmp_path: Path) -> None:
    script = tmp_path / "ffmpeg"
    script.write_text("#!/bin/sh\ncase \"$*\" in *-codecs*) echo ' DEV.LS h264';; *) exit 1;; esac\n")
    script.chmod(0o755)
    data = heic(scene((16, 16)))
    info = MediaInfo(format="heic", kind=Kind.IMAGE, content_type="image/heic", size_bytes=len(data))
    with (
        Workspace(Settings(isolate=False, ffmpeg=str(script))) as workspace,
        pytest.raises(DecoderMissing, match="no decoder for HEVC"),
        decoded(Attachment(0, "picture", len(data), data=data), info, workspace),
    ):
        pass
