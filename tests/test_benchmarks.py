"""Benchmarks of pictures say what they need; what they measure is theirs alone."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))

from photos import photos_of


def test_a_folder_without_photographs_is_told_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="0 photographs of 320 px and more; it takes 2 at least"):
        photos_of([tmp_path], fewest=2)


def test_photographs_are_found_once_by_their_names(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (330, 330, 3), np.uint8)
    for name in ("leaves.png", "again.png"):
        Image.fromarray(noise).save(tmp_path / name)
    Image.fromarray(255 - noise).save(tmp_path / "water.png")
    assert set(photos_of([tmp_path])) == {"again", "water"}
    assert set(photos_of([tmp_path], words=["wat"])) == {"water"}
    with pytest.raises(SystemExit, match="by that name"):
        photos_of([tmp_path], words=["stone"])
