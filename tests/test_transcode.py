"""Sources: what they promise, what they make, and that they never make it too large."""

from __future__ import annotations

import io
import random

import pytest
from PIL import Image, ImageDraw

from mmsprep.transcode.jpeg import FULL_CHROMA, SUBSAMPLED, encode, tables_at
from mmsprep.transcode.photo import PhotoSource
from mmsprep.transcode.rate_model import COARSEST
from mmsprep.transcode.score import Reference
from mmsprep.transcode.spectrum import Spectrum


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


@pytest.mark.parametrize("subsampling", [SUBSAMPLED, FULL_CHROMA])
@pytest.mark.parametrize("scale", [0.06, 0.2, 0.6, 1.8])
def test_coefficients_foretell_the_bytes_of_an_encode(scale: float, subsampling: int) -> None:
    for picture in (_picture(), _picture(2, (333, 215)), _picture(3).convert("L")):
        foretold = Spectrum(picture, subsampling).bytes_at(tables_at(scale))
        assert foretold == pytest.approx(len(encode(picture, tables_at(scale), subsampling)), rel=0.15)


def test_tables_are_the_finest_that_are_foretold_to_fit() -> None:
    spectrum = Spectrum(_picture(), SUBSAMPLED)
    for max_bytes in (20_000, 35_000, 50_000, 90_000):
        assert 0.99 * max_bytes <= spectrum.bytes_at(spectrum.tables_for(max_bytes)) <= max_bytes
    assert spectrum.tables_for(1) == tables_at(COARSEST)


@pytest.mark.parametrize("max_bytes", [3_000, 9_000, 27_000, 80_000])
def test_a_photo_fills_what_it_is_given_and_never_more(max_bytes: int) -> None:
    rendition = PhotoSource(_picture(), floor_quality=20).render(max_bytes)
    assert 0.985 * max_bytes <= rendition.size_bytes <= max_bytes


def test_few_bytes_make_a_smaller_picture_rather_than_a_ruined_one() -> None:
    source = PhotoSource(_picture(), floor_quality=20)
    small, large = source.render(5_000), source.render(90_000)
    assert (small.width_px or 0) < (large.width_px or 0) <= 640
