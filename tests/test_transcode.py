"""Sources: what they promise, what they make, and that they never make it too large."""

from __future__ import annotations

import io
import math
import random
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from statistics import fmean

import msgspec
import numpy as np
import pytest
from grain import grain
from PIL import Image, ImageDraw, ImageFont
from PIL.JpegImagePlugin import JpegImageFile

from mmsprep import prepare
from mmsprep.errors import VerifyError
from mmsprep.model import Action, Attachment, Rendition, Source
from mmsprep.pipeline.verify import verify
from mmsprep.profile import Profile
from mmsprep.tools.workspace import Workspace
from mmsprep.transcode.image.jpeg import (
    FULL_CHROMA,
    SUBSAMPLED,
    Tables,
    encode,
    encode_by_trellis,
    scale_of,
    tables_at,
)
from mmsprep.transcode.image.one_size import OneSize, Way
from mmsprep.transcode.image.photo import PhotoSource
from mmsprep.transcode.image.rate_model import COARSEST, RateModel
from mmsprep.transcode.image.score import Reference
from mmsprep.transcode.image.shrink import shrunk
from mmsprep.transcode.image.spectrum import Spectrum
from mmsprep.transcode.image.still import from_picture
from mmsprep.transcode.image.viewing import is_graphic


@pytest.fixture
def photo(sample_media: Path) -> Image.Image:
    """A real photo, 768 x 1024."""
    return Image.open(sample_media / "message" / "IMG_20260613_101502.jpg").convert("RGB").resize((768, 1024))


def _picture(seed: int = 1, size: tuple[int, int] = (640, 480)) -> Image.Image:
    noise = random.Random(seed)
    coarse = Image.frombytes("RGB", (40, 30), noise.randbytes(3600)).resize(size, Image.Resampling.BICUBIC)
    fine = Image.frombytes("RGB", size, noise.randbytes(size[0] * size[1] * 3))
    picture = Image.blend(coarse, fine, 0.15)
    ImageDraw.Draw(picture).ellipse((100, 80, 400, 380), outline="white", width=5)
    return picture


def test_a_jpeg_is_baseline_without_metadata_and_shrinks_with_its_scale() -> None:
    sizes = [len(encode(_picture(), tables_at(scale))) for scale in (0.1, 0.3, 0.9, 2.7)]
    assert sizes == sorted(sizes, reverse=True)
    image = Image.open(io.BytesIO(encode(_picture(), tables_at(0.5))))
    assert not image.info.get("progressive") and not image.getexif()


def test_the_score_falls_with_every_loss() -> None:
    picture = _picture()
    reference = Reference(picture)
    scores = [
        reference.score(Image.open(io.BytesIO(encode(picture, tables_at(scale))))) for scale in (0.05, 0.4, 1.5, 4)
    ]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > 75 > scores[-1]
    assert reference.score(picture) == 100


@pytest.mark.parametrize(
    ("max_bytes", "ssimulacra2"),
    [(8_000, 0), (12_000, 13.7), (15_000, 24.0), (30_000, 47.6), (60_000, 67.0), (150_000, 83.1)],
)
def test_a_photograph_is_told_what_ssimulacra2_says(photo: Image.Image, max_bytes: int, ssimulacra2: float) -> None:
    """By gradients alone they were worth 18, 28, 53, 70 and 87; below 0 everything is 0."""
    source = PhotoSource(photo, floor_quality=20)
    made = source.seen(source.render(max_bytes))
    assert made.seen_quality == made.shown_quality == pytest.approx(ssimulacra2, abs=2.5)


def test_colours_whose_edges_lose_their_light_are_told_so_where_gradients_see_nothing() -> None:
    """SSIMULACRA2 says 61 of the one and 93 of the other."""
    noise = random.Random(4)
    colours = [(230, 20, 20), (200, 40, 30), (20, 60, 220), (30, 150, 40), (240, 210, 30)]
    tiles = Image.frombytes("RGB", (48, 36), bytes(level for _ in range(48 * 36) for level in noise.choice(colours)))
    picture = Image.blend(tiles.resize((640, 480), Image.Resampling.NEAREST), _picture(), 0.3)
    reference = Reference(picture)
    half, whole = (
        Image.open(io.BytesIO(encode(picture, tables_at(0.05), subsampling)))
        for subsampling in (SUBSAMPLED, FULL_CHROMA)
    )
    assert abs(reference.score(half) - reference.score(whole)) < 1
    assert reference.off(half).photo_score < 65 < 88 < reference.off(whole).photo_score
    assert reference.off(picture).photo_score == 100


def test_of_a_photograph_bands_of_the_full_size_tell_as_much_as_all_of_it(photo: Image.Image) -> None:
    whole, bands = Reference(photo), Reference(photo, in_bands=True)
    for scale in (0.1, 0.3, 0.9, 1.8):
        made = Image.open(io.BytesIO(encode(photo, tables_at(scale))))
        assert bands.off(made).photo_score == pytest.approx(whole.off(made).photo_score, abs=0.7)


@pytest.mark.parametrize("size_px", [(75, 100), (5, 600), (1, 300), (600, 5), (127, 700)])
def test_what_is_too_small_or_narrow_for_bands_is_looked_at_whole(
    photo: Image.Image, size_px: tuple[int, int], profile: Profile, workspace: Workspace
) -> None:
    small = photo.resize(size_px)
    made = Image.open(io.BytesIO(encode(small, tables_at(0.4))))
    assert Reference(small, in_bands=True).off(made) == Reference(small).off(made)
    source = _source(small, profile)
    part = source.seen(source.render(20_000))
    assert 0 < part.shown_quality <= 100 and verify(Attachment(0, "strip.png", 1, data=b"x"), part, profile, workspace)


def test_one_line_of_lettering_on_a_page_is_told_alike_wherever_it_stands() -> None:
    font = ImageFont.load_default(14)
    told = []
    for y in range(300, 364, 16):
        page = Image.new("RGB", (540, 1170), "white")
        ImageDraw.Draw(page).text((30, y), "One line of small letters stands here alone", fill="black", font=font)
        told.append(PhotoSource(page, floor_quality=0, graphic=True).render(9_000).quality)
    assert max(told) - min(told) < 5


@pytest.mark.parametrize("subsampling", [SUBSAMPLED, FULL_CHROMA])
@pytest.mark.parametrize("scale", [0.06, 0.2, 0.6, 1.8])
def test_coefficients_foretell_the_bytes_of_an_encode(scale: float, subsampling: int) -> None:
    for picture in (_picture(), _picture(2, (333, 215)), _picture(3).convert("L")):
        foretold = Spectrum(picture, subsampling).bytes_at(tables_at(scale))
        assert foretold == pytest.approx(len(encode(picture, tables_at(scale), subsampling)), rel=0.15)


@pytest.mark.parametrize("subsampling", [SUBSAMPLED, FULL_CHROMA])
def test_foretold_bytes_grow_as_real_ones_do_also_where_single_steps_of_a_table_cost_much(
    photo: Image.Image, subsampling: int
) -> None:
    """Between a step of 1 and one of 2 lies half the file: what rounds away must be counted where it does."""
    spectrum = Spectrum(photo, subsampling)
    off = [
        len(encode(photo, tables_at(scale), subsampling)) / spectrum.bytes_at(tables_at(scale))
        for scale in (0.02, 0.03, 0.04, 0.05, 0.07, 0.1, 0.15)
    ]
    assert max(off) / min(off) < 1.05


def test_tables_between_two_others_are_foretold_to_weigh_between_them() -> None:
    spectrum = Spectrum(_picture(), SUBSAMPLED)
    coarse, fine = tables_at(0.5), tables_at(0.4)
    steps = [spectrum.between(coarse, fine, part / 10) for part in range(11)]
    weights = [spectrum.bytes_at(tables) for tables in steps]
    assert weights == sorted(weights) and len(set(weights)) > 5
    assert weights[0] == spectrum.bytes_at(coarse)
    assert weights[-1] == pytest.approx(spectrum.bytes_at(fine), rel=0.01)
    assert spectrum.between(coarse, coarse, 0.5) == coarse


def test_other_chroma_of_the_same_picture_is_counted_as_if_anew() -> None:
    subsampled = Spectrum(_picture(), SUBSAMPLED)
    for scale in (0.1, 0.8):
        again = Spectrum(_picture(), FULL_CHROMA, subsampled).bytes_at(tables_at(scale))
        assert (
            again
            == Spectrum(_picture(), FULL_CHROMA).bytes_at(tables_at(scale))
            > subsampled.bytes_at(tables_at(scale))
        )


def test_tables_are_the_finest_that_are_foretold_to_fit() -> None:
    spectrum = Spectrum(_picture(), SUBSAMPLED)
    for max_bytes in (20_000, 35_000, 50_000, 90_000):
        assert 0.99 * max_bytes <= spectrum.bytes_at(spectrum.tables_for(max_bytes)) <= max_bytes
    assert spectrum.tables_for(1) == tables_at(COARSEST)


@pytest.mark.parametrize("max_bytes", [3_000, 9_000, 27_000, 80_000])
def test_a_photo_fills_what_it_is_given_to_the_last_step_of_its_encoder_and_never_more(max_bytes: int) -> None:
    rendition = PhotoSource(_picture(), floor_quality=20).render(max_bytes)
    assert rendition.size_bytes <= max_bytes
    if rendition.size_bytes < 0.985 * max_bytes:
        size = (rendition.width_px or 0, rendition.height_px or 0)
        by_trellis = [encode_by_trellis(shrunk(_picture(), size), quality) for quality in range(1, 81)]
        one_finer = by_trellis[by_trellis.index(rendition.data) + 1]
        assert rendition.size_bytes >= 0.97 * max_bytes and len(one_finer) > max_bytes


def test_few_bytes_make_a_smaller_picture_rather_than_a_ruined_one() -> None:
    source = PhotoSource(_picture(), floor_quality=20)
    small, large = source.render(5_000), source.render(90_000)
    assert (small.width_px or 0) < (large.width_px or 0) <= 640


@pytest.mark.parametrize("name", ["IMG_0412.HEIC", "IMG_20260613_101502.jpg"])
def test_what_few_bytes_buy_of_a_photograph_is_foretold(name: str, sample_media: Path) -> None:
    """Where it is hardly worth sending as where it is nearly whole."""
    image = prepare([sample_media / "message" / name], quality=0).parts[0].data
    source = PhotoSource(Image.open(io.BytesIO(image)), floor_quality=20)
    curve = source.curve()
    made = [source.render(max_bytes) for max_bytes in (5_000, 8_000, 13_000, 21_000, 34_000, 55_000)]
    off = [curve.quality_at(one.size_bytes) - one.quality for one in made]
    assert made[0].quality < 40 < made[-1].quality
    assert max(map(abs, off)) < 8 and abs(fmean(off)) < 4, off


@pytest.mark.parametrize("max_bytes", [8_000, 20_000, 45_000, 90_000])
def test_a_photo_takes_at_most_seven_encodes_probes_included(max_bytes: int) -> None:
    source = PhotoSource(_picture(), floor_quality=20)
    source.curve()
    source.render(max_bytes)
    assert source.trial_encodes <= 7
    source.render(max_bytes)
    assert source.trial_encodes <= 7


def test_where_bytes_are_few_trellis_quantisation_brings_a_photo_nearer(monkeypatch: pytest.MonkeyPatch) -> None:
    def render() -> Rendition:
        source = PhotoSource(_picture(), floor_quality=20)
        source.curve()
        return source.render(45_000)

    made = render()
    monkeypatch.setattr("mmsprep.transcode.image.one_size._TRELLIS_TO", 0)
    plain = render()
    assert made.data != plain.data and made.size_bytes <= 45_000
    assert made.size_bytes < plain.size_bytes * 1.01 and made.quality > plain.quality


def _leaves(colour: str) -> Image.Image:
    picture, place = _picture(), random.Random(3)
    draw = ImageDraw.Draw(picture)
    for _ in range(300):
        x_px, y_px = place.randrange(picture.width), place.randrange(picture.height)
        corners = [(x_px + place.randint(-14, 14), y_px + place.randint(-14, 14)) for _ in range(4)]
        draw.polygon(corners, fill=colour)
    return picture


def _rendered(picture: Image.Image, max_bytes: int) -> JpegImageFile:
    source = PhotoSource(picture, floor_quality=20)
    if source.assured_quality(max_bytes) is None:
        source.curve()
    return JpegImageFile(io.BytesIO(source.render(max_bytes).data))


@pytest.mark.parametrize("max_bytes", [50_000, 90_000, 160_000])
def test_chroma_stays_whole_where_sharp_colours_lose_more_without_than_all_else_with_coarser_steps(
    max_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    red, dull = _leaves("#c80a14"), _leaves("#783c3e")
    whole = _rendered(red, max_bytes)
    assert whole.size == red.size and {layer[1:3] for layer in whole.layer} == {(1, 1)}
    assert _rendered(dull, max_bytes).layer[0][1:3] == (2, 2)
    assert len(_rendered(red.convert("L"), max_bytes).layer) == 1
    monkeypatch.setattr("mmsprep.transcode.image.photo._WHOLE_CHROMA_FROM", math.inf)
    subsampled = _rendered(red, max_bytes)
    assert subsampled.layer[0][1:3] == (2, 2)
    off = [np.square(np.asarray(made, float) - np.asarray(red, float)).mean() for made in (whole, subsampled)]
    assert off[0] < 0.9 * off[1]


def test_what_trellis_quantisation_makes_smaller_than_was_foretold_is_quantised_finer_until_it_fills_its_bytes() -> (
    None
):
    picture = _picture()
    max_bytes = round(1.01 * len(encode_by_trellis(picture, 86)))
    foretold_too_large = OneSize(
        picture, SUBSAMPLED, Spectrum(picture, SUBSAMPLED), max_bytes, 1, trellis_correction=1.5
    )
    assert foretold_too_large.takes_trellis(max_bytes)
    way = Way(foretold_too_large, by_trellis=True, max_bytes=max_bytes)
    while (quality := way.next_setting()) is not None:
        assert isinstance(quality, int)
        way.add(quality, encode_by_trellis(picture, quality))
    assert 0.95 * max_bytes < len(way.fitting) <= max_bytes


@pytest.mark.parametrize(("brightness", "is_tried"), [(1.0, True), (0.1, False)])
def test_what_is_dim_in_the_dark_is_not_taken_for_noise(
    brightness: float, is_tried: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trellis quantisation drops stars."""
    tried = []

    def spy(image: Image.Image, quality: int) -> bytes:
        tried.append(quality)
        return encode_by_trellis(image, quality)

    monkeypatch.setattr("mmsprep.transcode.image.photo.encode_by_trellis", spy)
    picture = _picture().point(lambda level: round(level * brightness))
    source = PhotoSource(picture, floor_quality=20)
    source.curve()
    source.render(source.model.full_bytes)
    assert bool(tried) == is_tried


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_trellis_quantisation_has_the_same_tables_and_fewer_bytes_and_is_baseline(mode: str) -> None:
    picture = _picture().convert(mode)
    for quality in (30, 70):
        data, plain = encode_by_trellis(picture, quality), encode(picture, tables_at(scale_of(quality)))
        assert 0.6 * len(plain) < len(data) < 0.97 * len(plain)
        made, other = (JpegImageFile(io.BytesIO(one)) for one in (data, plain))
        for number in other.quantization:
            steps, meant = (np.array(one.quantization[number]) for one in (made, other))
            assert np.abs(steps - meant).max() <= 1  # halves are rounded in two ways
        assert made.mode == mode and made.size == picture.size
        assert made.info["jfif_version"] == (1, 1) and "progressive" not in made.info and "exif" not in made.info
        apart = np.abs(np.asarray(made, np.int16) - np.asarray(other, np.int16))
        assert apart.mean() < 8


def test_quality_is_that_of_the_colours_that_are_shown() -> None:
    """Saturated stripes lose by clipping what the luma in the file still has."""
    down, across = np.mgrid[:300, :400]
    channels = ((down // 7 + across // 9) % 2, 0 * down, across // 5 % 2)
    picture = Image.fromarray((255 * np.stack(channels, axis=-1)).astype(np.uint8))
    made = PhotoSource(picture, floor_quality=20).render(12_000)
    shown = Image.open(io.BytesIO(made.data)).convert("RGB")
    assert made.quality == pytest.approx(Reference(picture).score(shown), abs=1)


def test_where_bytes_are_plenty_quality_is_known_and_full_size_taken_without_a_probe(photo: Image.Image) -> None:
    source = PhotoSource(photo, floor_quality=20)
    assured = source.assured_quality(280_000)
    assert assured is not None and source.trial_encodes == 0
    made = source.render(280_000)
    assert 0.985 * 280_000 <= made.size_bytes <= 280_000 and source.trial_encodes <= 3
    assert (made.width_px, made.height_px) == photo.size
    assert made.quality == pytest.approx(assured, abs=3)
    assert PhotoSource(photo, floor_quality=20).assured_quality(30_000) is None


def test_size_stays_where_every_encode_is_larger_than_those_before_it_foretell(
    photo: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it is with soft shades, in finest steps."""
    made: list[bytes] = []

    def growing(image: Image.Image, tables: Tables, subsampling: int, *, foretold_bytes: float) -> bytes:
        data = encode(image, tables, subsampling)
        made.append(data + bytes(len(data) * (30 + 8 * len(made)) // 1000))
        return made[-1]

    monkeypatch.setattr("mmsprep.transcode.image.photo.encode", growing)
    best = PhotoSource(photo, floor_quality=20).render(280_000)
    assert 0.96 * 280_000 <= best.size_bytes <= 280_000
    assert (best.width_px, best.height_px) == photo.size


def test_a_render_near_an_earlier_one_begins_where_that_ended() -> None:
    source = PhotoSource(_picture(), floor_quality=20)
    source.render(60_000)
    before = source.trial_encodes
    assert 0.985 * 61_000 <= source.render(61_000).size_bytes <= 61_000
    assert source.trial_encodes - before <= 2


@pytest.mark.parametrize("side_px", [1, 4, 16, 24, 63, 64, 65, 130])
@pytest.mark.parametrize("grain", [0, 8, 255])
def test_a_tiny_picture_is_rendered_however_often_and_with_whatever_bytes(side_px: int, grain: int) -> None:
    rows = random.Random(side_px)
    pixels = bytes(min(255, (3 * place) % 251 + rows.randint(0, grain)) for place in range(side_px * side_px * 3))
    source = PhotoSource(Image.frombytes("RGB", (side_px, side_px), pixels), floor_quality=20)
    enough = source.render(300_000)
    for max_bytes in (299_000, 50_000, 290_000, 1_000, 300_000):
        made = source.render(max_bytes)
        assert made.width_px == made.height_px and Image.open(io.BytesIO(made.data)).format == "JPEG"
        if enough.size_bytes <= max_bytes:
            assert made.width_px == side_px and made.quality >= enough.quality - 1


_EVEN = (0, 200, 300, 300, 200)
"""How often halving loses 0, 1, 2, ... levels of a picture of grain: some everywhere."""
_SHARP = (9_900, *[0] * 59, 100)
"""The same of sharp points on what is smooth."""


_SIZES = range(5_000, 100_000, 1_000)


def test_what_loses_the_same_everywhere_becomes_an_exact_half_sooner_and_sharp_points_are_kept_larger() -> None:
    even, sharp = (RateModel(100_000, 70, 33_000, 45, lost) for lost in (_EVEN, _SHARP))
    sizes = range(5_000, 100_000, 1_000)
    assert all(even.setting_for(size).factor <= sharp.setting_for(size).factor for size in sizes)
    assert sharp.best_scale > even.best_scale
    halved = [sum(model.setting_for(size).factor == 0.5 for size in sizes) for model in (even, sharp)]
    assert halved[0] > halved[1] > 0


def test_what_is_lost_by_halving_is_told_from_the_picture() -> None:
    """Grain and stars; what is smooth loses nothing and counts as neither."""
    grainy = grain((512, 384), 40).convert("RGB")
    stars = Image.new("RGB", (512, 384), (8, 8, 16))
    draw, place = ImageDraw.Draw(stars), random.Random(1)
    for _ in range(150):
        draw.point((place.randrange(512), place.randrange(384)), "white")
    smooth = Image.linear_gradient("L").resize((512, 384)).convert("RGB")
    models = [PhotoSource(image, floor_quality=20).model for image in (grainy, stars, smooth)]
    factors = [
        [model.setting_for(round(model.full_bytes * part / 100)).factor for part in range(1, 100)] for model in models
    ]
    assert not [factor for factor in factors[0] if 0.5 < factor < 0.75]
    assert [factor for factor in factors[1] if 0.65 < factor < 0.75]
    assert max(level for level, often in enumerate(models[2].lost) if often) < 4


def test_sizes_near_a_half_become_exact_halves_and_those_near_the_whole_stay_whole() -> None:
    model = RateModel(full_bytes=100_000, full_quality=70, half_bytes=33_000, half_quality=45, lost=_SHARP)
    factors = [model.setting_for(size).factor for size in range(5_000, 100_000, 1_000)]
    assert factors == sorted(factors)
    assert {0.5, 1.0} <= set(factors)
    assert not [factor for factor in factors if 0.4 < factor < 0.5 or 0.5 < factor < 0.63 or 0.76 < factor < 1]


def test_where_a_half_full_size_and_what_is_between_may_each_be_best_the_others_are_encoded_too() -> None:
    model = RateModel(full_bytes=100_000, full_quality=70, half_bytes=33_000, half_quality=45, lost=_SHARP)
    rivals = {model.setting_for(size).factor: model.rivals_of(model.setting_for(size).factor, size) for size in _SIZES}
    between = [others for factor, others in rivals.items() if 0.64 < factor < 0.76]
    assert between and all({0.5, 1.0} <= set(others) for others in between)
    assert all(0.3 < other / factor < 2.1 for factor, others in rivals.items() for other in others)
    assert not model.rivals_of(1.0, 200_000)
    assert model.rivals_of(1.0, 70_000) == (0.79,)
    beside_a_half = [model.rivals_of(0.5, size) for size in _SIZES if model.setting_for(size).factor == 0.5]
    assert beside_a_half == sorted(beside_a_half) and set(beside_a_half) == {(), (0.7,)}


def test_between_two_sizes_that_are_as_near_one_is_tried_that_may_be_nearer(
    sample_media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = prepare([sample_media / "message" / "IMG_0412.HEIC"], quality=0).parts[0].data

    def render() -> tuple[Rendition, float]:
        source = PhotoSource(Image.open(io.BytesIO(photo)), floor_quality=20)
        source.curve()
        made = source.render(31_500)
        return made, source.measure.error(Image.open(io.BytesIO(made.data)))

    between, error = render()
    monkeypatch.setattr("mmsprep.transcode.image.photo._WIDE", math.inf)
    one_of_both, error_of_both = render()
    assert between.width_px != one_of_both.width_px and between.size_bytes <= 31_500
    assert error < error_of_both


def test_between_sizes_of_one_picture_lost_detail_is_preferred_to_blocks_everywhere() -> None:
    picture = _picture(size=(768, 512))
    half = picture.resize((384, 256), Image.Resampling.LANCZOS)
    data = encode(half, tables_at(0.7))
    blocks = next(
        whole for scale in (3.0, 4.0, 5.0, 6.0) if len(whole := encode(picture, tables_at(scale))) <= len(data)
    )
    reference = Reference(picture)
    assert reference.error(picture) == pytest.approx(0, abs=0.01)
    assert reference.error(Image.open(io.BytesIO(data))) < reference.error(Image.open(io.BytesIO(blocks)))


def _screenshot(size: tuple[int, int] = (720, 1280), background: str = "plain") -> Image.Image:
    """Lettering with smooth edges on one colour or on a gradient: far more than 256 colours."""
    image = Image.new("RGB", size, (250, 250, 252))
    draw = ImageDraw.Draw(image)
    if background == "gradient":
        for row in range(size[1]):
            draw.line((0, row, size[0], row), fill=(20 + row // 16, 40 + row // 20, 160 - row // 18))
    font = ImageFont.load_default(26)
    for line in range(size[1] // 44):
        colour = (20, 20, 24) if background == "plain" else "white"
        draw.text((40, 20 + line * 44), f"Line {line}: departs {line % 24}:40, platform {line % 9}", colour, font)
    return image


def _source(image: Image.Image, profile: Profile) -> Source:
    return from_picture(image, profile)


def test_drawn_pictures_are_told_from_photos_also_as_jpeg_and_on_a_gradient() -> None:
    saved = io.BytesIO()
    _screenshot().save(saved, "JPEG", quality=85)
    for drawn in (_screenshot(), _screenshot(background="gradient"), Image.open(saved)):
        assert is_graphic(drawn)
    on_white = Image.new("RGB", (1000, 1000), "white")
    on_white.paste(_picture(3, (400, 300)), (300, 350))
    for photo in (_picture(), on_white, _picture().convert("L")):
        assert not is_graphic(photo)


def test_lettering_becomes_a_gif_where_that_fits_and_keeps_its_colour_whole_where_not(profile: Profile) -> None:
    source = _source(_screenshot(), profile)
    assert source.floor_quality > profile.image.floor_quality
    roomy = source.render(200_000)
    assert (roomy.format, roomy.width_px) == ("gif", 720) and roomy.shown_quality > 85
    small = msgspec.structs.replace(profile.image, drawn_max_long_px=0, drawn_max_short_px=0)
    source = _source(_screenshot(), msgspec.structs.replace(profile, image=small))
    roomy = source.render(200_000)
    assert (roomy.format, roomy.width_px) == ("gif", 576) and roomy.quality > 85
    fewer = source.render(roomy.size_bytes // 4)
    assert (fewer.format, fewer.width_px) == ("gif", 576) and fewer.size_bytes <= roomy.size_bytes // 4
    tight = source.render(roomy.size_bytes // 8)
    assert tight.format == "jpeg" and tight.size_bytes <= roomy.size_bytes // 8
    with Image.open(io.BytesIO(tight.data)) as image:
        assert {layer[1:3] for layer in image.layer} == {(1, 1)}  # type: ignore[attr-defined]


def test_between_two_gifs_of_a_drawing_bytes_are_foretold_to_buy_what_they_do(profile: Profile) -> None:
    """A GIF is a step: one byte less is the next one of fewer colours, or a JPEG."""
    source = _source(_screenshot(), profile)
    points = source.curve().points
    for before, after in pairwise(points):
        size = round(math.sqrt(before.size_bytes * after.size_bytes))
        made = source.render(size)
        if made.format == "gif":
            foretold = before.quality + (after.quality - before.quality) / 2
            assert made.quality > foretold - 5 or after.size_bytes - before.size_bytes < 2, (before, after, made)


def test_a_long_screenshot_keeps_a_width_at_which_it_can_be_read(profile: Profile) -> None:
    rendition = _source(_screenshot((1080, 12_000)), profile).render(290_000)
    assert (rendition.width_px or 0) >= 320 and (rendition.height_px or 0) <= profile.image.tall_max_long_px
    assert rendition.size_bytes <= 290_000 and rendition.quality > 60
    assert rendition.shown_quality < 50, "lettering 26 px high is 9 px high now"


def test_quality_counts_what_a_phone_could_have_shown(profile: Profile) -> None:
    """A sliver of a long page is poor however well it is coded, and told so; photos and plain drawings lose nothing."""
    long = _source(_screenshot((1080, 20_000)), profile).render(290_000)
    assert long.shown_quality < 30 < long.quality
    assert any("times smaller" in note for note in long.notes)
    for picture in (_picture(2, (4000, 3000)), _disc(3000)):
        made = _source(picture, profile).render(290_000)
        assert made.shown_quality > 80 and not made.notes


def test_the_more_a_page_is_shrunk_the_less_it_is_worth(profile: Profile) -> None:
    image = msgspec.structs.replace(profile.image, drawn_max_long_px=0, drawn_max_short_px=0)
    page = _screenshot((1080, 2000))
    shown = []
    for long_px in (1100, 800, 600, 300):
        rules = msgspec.structs.replace(image, max_long_px=long_px, max_short_px=long_px)
        shown.append(_source(page, msgspec.structs.replace(profile, image=rules)).render(290_000).shown_quality)
    assert shown == sorted(shown, reverse=True)
    assert shown[0] > 90 and shown[2] < 50 and shown[3] < 10


def test_a_phones_screenshot_goes_whole_where_bytes_are_free(profile: Profile) -> None:
    """Twice its size as a picture of 1024 px; where bytes are short it is as small as ever, and nothing fails."""
    source = _source(_screenshot((1080, 2340)), profile)
    roomy, tight = source.render(290_000), source.render(30_000)
    assert (roomy.format, roomy.width_px, roomy.height_px, roomy.whole) == ("gif", 1080, 2340, True)
    assert (tight.width_px or 0) <= 472 and tight.quality >= source.floor_quality and not tight.whole
    assert tight.shown_quality < roomy.shown_quality
    old = msgspec.structs.replace(profile.image, drawn_max_long_px=0, drawn_max_short_px=0)
    usual = _source(_screenshot((1080, 2340)), msgspec.structs.replace(profile, image=old)).render(290_000)
    assert (usual.width_px, usual.height_px) == (472, 1024)


def _feed(sample_media: Path, height_px: int = 2340) -> Image.Image:
    """A screen of a phone with photographs among its lettering, of more colours than a palette holds."""
    screen = _screenshot((1080, height_px))
    with Image.open(sample_media / "message" / "IMG_20260613_101502.jpg") as photo:
        for place in range(height_px // 760):
            screen.paste(photo.convert("RGB").resize((440, 600)), (620, 60 + 760 * place))
    return screen


@pytest.mark.parametrize("max_bytes", [290_000, 200_000])
def test_a_screen_with_photographs_in_it_goes_whole_as_a_jpeg_where_that_can_be_read(
    sample_media: Path, profile: Profile, max_bytes: int
) -> None:
    """In 200 kB less of its lettering's edges is left, and still more than in two fifths of its size."""
    screen = _feed(sample_media)
    assert is_graphic(screen)
    source, reference = _source(screen, profile), Reference(screen)
    whole, usual = source.render(max_bytes), source.render(50_000)
    assert (whole.format, whole.width_px, whole.height_px, whole.whole, whole.drawn) == ("jpeg", 1080, 2340, True, True)
    assert (usual.width_px or 0) <= 472 and not usual.drawn and not usual.whole
    read, read_usual = (reference.drawn_score(Image.open(io.BytesIO(one.data))) for one in (whole, usual))
    assert whole.quality == pytest.approx(read) and read > read_usual + 20 and whole.quality > usual.quality
    assert whole.size_bytes <= max_bytes and usual.size_bytes <= 50_000
    assert source.curve().whole_bytes > max_bytes


def test_such_a_screen_of_half_as_many_pixels_goes_whole_too_though_a_smaller_one_loses_no_stroke(
    sample_media: Path, profile: Profile
) -> None:
    screen = _feed(sample_media, 1500)
    source, reference = _source(screen, profile), Reference(screen)
    whole, usual = source.render(290_000), source.render(100_000)
    assert (whole.height_px, usual.height_px) == (1500, 1024)
    read, read_usual = (reference.drawn_score(Image.open(io.BytesIO(one.data))) for one in (whole, usual))
    assert read > 70 > read_usual + 20 and whole.quality >= usual.quality - 2


def test_such_a_screen_is_verified_as_large_as_it_is_and_what_is_no_drawing_is_not(
    sample_media: Path, profile: Profile, workspace: Workspace
) -> None:
    made = _source(_feed(sample_media), profile).render(290_000)
    it = Attachment(0, "feed.png", 1, data=b"x")
    assert verify(it, made, profile, workspace).data == made.data
    with pytest.raises(VerifyError, match="1080 x 2340"):
        verify(it, replace(made, drawn=False), profile, workspace)


def _jpeg_of(image: Image.Image, quality: int, **said: object) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality, **said)
    return file.getvalue()


def test_a_jpeg_of_a_drawing_goes_as_it_is_where_photographs_so_large_do_not(sample_media: Path) -> None:
    """Only its pixels tell that it is drawn; what is not wanted of it is taken off without touching them."""
    screen = _screenshot((1080, 2340))
    shot, told = _jpeg_of(screen, 60), _jpeg_of(screen, 60, comment=b"my phone")
    (kept,), (rewrapped,) = (prepare([("shot.jpg", data)]).parts for data in (shot, told))
    assert (kept.action, kept.data, kept.quality, kept.reasons) == (Action.KEEP, shot, 100, ())
    assert rewrapped.action is Action.REWRAP and b"my phone" not in rewrapped.data
    assert [reason.code for reason in rewrapped.reasons] == ["metadata"]
    (small,) = prepare([("shot.jpg", shot)], limit_bytes=len(shot)).parts
    assert small.action is Action.TRANSCODE and [reason.code for reason in small.reasons] == ["size_px"]
    with Image.open(sample_media / "message" / "IMG_20260613_101502.jpg") as photo:
        (smaller,) = prepare([("photo.jpg", _jpeg_of(photo.resize((1600, 1200)), 50))]).parts
    assert smaller.action is Action.TRANSCODE and smaller.width_px == 1024


def test_what_was_made_of_a_screen_is_not_made_anew(sample_media: Path) -> None:
    (made,) = prepare([("feed.jpg", _jpeg_of(_feed(sample_media), 95))]).parts
    assert (made.action, made.format, made.height_px) == (Action.TRANSCODE, "jpeg", 2340)
    (again,) = prepare([("made.jpg", made.data)]).parts
    assert (again.action, again.data) == (Action.KEEP, made.data)


def _disc(side_px: int) -> Image.Image:
    image = Image.new("RGB", (side_px, side_px), "white")
    ImageDraw.Draw(image).ellipse((200, 200, side_px - 200, side_px - 200), "#c02020")
    return image
