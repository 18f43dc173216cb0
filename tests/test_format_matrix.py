"""docs/formats.md says what really happens: a choice of its rows, run anew, comes out as written there."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(_ROOT / "benchmarks"))

import format_matrix as matrix  # noqa: E402

_CHOSEN = [
    ("picture.png", "RGBA"),
    ("picture.16-bit.png", ""),
    ("picture.jpg", "CMYK"),
    ("picture.tif", "I;16"),
    ("picture.heic", "RGB"),
    ("picture.eps", "RGB"),
    ("picture.animated.webp", ""),
    ("recording.wav", "pcm s16le"),
    ("recording.caf", "alac"),
    ("recording.opus", "opus"),
    ("recording.mka", "dts"),
    ("recording.amr", "amr"),
    ("clip.3gp", "h264 + aac"),
    ("clip.mov", "hevc 10-bit HLG + aac"),
    ("clip.wmv", "wmv2 + wma v2"),
    ("clip.y4m", "raw"),
    ("polish.txt", "iso8859-2"),
    ("lakeside.emy", ""),
    ("padded-playlist.avi", ""),
    ("contact.vcf", ""),
]
_CASES = {(case.file, case.holds): case for case in matrix.cases()}


@pytest.fixture(scope="module")
def page() -> dict[matrix.Key, tuple[str, ...]]:
    """The page's rows."""
    if not matrix.PAGE.is_file():
        pytest.skip("docs/formats.md is not beside these tests")
    return matrix.read_page()


@pytest.mark.parametrize("key", _CHOSEN, ids=" ".join)
def test_a_row_of_the_page_is_what_happens(page: dict[matrix.Key, tuple[str, ...]], key: tuple[str, str]) -> None:
    """Looked at under two names, prepared, read back: the same words as on the page, and no problem.

    The last cell, the size, may differ with another version of an encoder.
    """
    result = matrix.run_case(_CASES[key])
    if result is None:
        pytest.skip("this ffmpeg cannot make it")
    assert not result.problem
    assert result.cells() == page[result.case.key][:-1]


def test_the_page_is_what_its_rows_make(page: dict[matrix.Key, tuple[str, ...]]) -> None:
    """Nothing on it was written by hand."""
    assert matrix.PAGE.read_text("utf-8") == matrix.page_of(page)


def test_every_case_stands_there_once() -> None:
    assert len(_CASES) == len(list(matrix.cases()))
