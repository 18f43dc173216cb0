"""Pictures are made smaller as Pillow would, faster, and also where that library must not run."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest
from deadlines import forked
from PIL import Image

from mmsprep.errors import ToolMissing
from mmsprep.tools.vips import load_vips
from mmsprep.transcode.image.photo import PhotoSource
from mmsprep.transcode.image.shrink import shrunk


@pytest.fixture
def photo(sample_media: Path) -> Image.Image:
    image = Image.open(sample_media / "message" / "IMG_20260613_101502.jpg")
    image.draft("RGB", (1400, 1400))
    return image.convert("RGB")


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK", "RGBA", "LA"])
@pytest.mark.parametrize("factor", [0.97, 0.5, 0.31, 0.13])
def test_a_picture_made_smaller_looks_as_pillow_makes_it(photo: Image.Image, mode: str, factor: float) -> None:
    image = photo.convert(mode)
    if mode in ("RGBA", "LA"):
        image.putalpha(photo.convert("L"))
    size_px = round(image.width * factor), round(image.height * factor) - 1
    made = shrunk(image, size_px)
    assert (made.mode, made.size) == (mode, size_px)
    wanted = image.resize(size_px, Image.Resampling.LANCZOS)
    apart = np.abs(np.asarray(made, np.int16) - np.asarray(wanted, np.int16))
    if mode in ("RGBA", "LA"):
        # Under what is nearly transparent, colour is anybody's guess.
        apart = apart[np.asarray(wanted)[..., -1] > 128]
    assert apart.mean() < 0.5 and apart.max() <= 16


@pytest.mark.parametrize("factor", [0.5, 0.31, 0.13])
def test_a_line_along_an_edge_gets_no_darker_and_no_wider_than_by_pillow(photo: Image.Image, factor: float) -> None:
    photo = photo.copy()
    photo.paste("black", (0, photo.height - 1, *photo.size))
    photo.paste("black", (photo.width - 1, 0, *photo.size))
    photo.paste("white", (0, 0, photo.width, 1))
    photo.paste("white", (0, 0, 1, photo.height))
    size_px = round(photo.width * factor), round(photo.height * factor)
    wanted = np.asarray(photo.resize(size_px, Image.Resampling.LANCZOS), np.int16)
    apart = np.abs(np.asarray(shrunk(photo, size_px), np.int16) - wanted)
    assert max(apart[:3].max(), apart[-3:].max(), apart[:, :3].max(), apart[:, -3:].max()) <= 4


def test_what_lies_under_transparency_does_not_bleed_into_the_visible() -> None:
    image = Image.new("RGBA", (200, 200), (255, 0, 0, 0))
    image.paste((0, 0, 255, 255), (0, 0, 100, 200))
    made = np.asarray(shrunk(image, (51, 51)))
    seen = made[made[..., 3] > 64]
    assert len(seen) and seen[:, 0].max() <= 4


@pytest.mark.parametrize("size_px", [(1, 1), (3, 1), (1, 300), (999, 1), (1000, 300)])
def test_every_size_down_to_one_pixel_can_be_made(size_px: tuple[int, int]) -> None:
    image = Image.new("RGB", (1000, 300), (10, 200, 30))
    made = shrunk(image, size_px)
    assert made.size == size_px and made.getpixel((0, 0)) == (10, 200, 30)


def test_a_library_that_does_not_load_is_named_rather_than_the_picture_blamed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyvips", None)
    monkeypatch.delenv("VIPS_CONCURRENCY", raising=False)
    load_vips.cache_clear()
    with pytest.raises(ToolMissing, match="libvips"):
        shrunk(Image.new("RGB", (200, 100)), (100, 50))
    assert "VIPS_CONCURRENCY" not in os.environ


@pytest.mark.posix("fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_process_forked_after_the_first_picture_makes_pictures_too(photo: Image.Image) -> None:
    """libvips waits for threads that a fork leaves behind; prefork servers fork whenever they like."""
    wanted = shrunk(photo, (500, 400))

    def made_there() -> None:
        made = shrunk(photo, (500, 400))
        assert np.abs(np.asarray(made, np.int16) - np.asarray(wanted, np.int16)).max() <= 16
        source = PhotoSource(photo, floor_quality=20)
        source.curve()
        assert source.render(source.model.half_bytes).size_bytes <= source.model.half_bytes

    assert forked(made_there) == 0
