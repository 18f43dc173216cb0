"""What a JPEG of a picture will weigh, from its DCT coefficients, without encoding it.

Comes in: a picture. Goes out: bytes for any quantisation tables, and tables for any number of bytes. Never: an
encode.

Huffman-coded bytes follow from how many coefficients quantisation leaves, how many bits their values have, and how
evenly these numbers of bits are spread over the blocks (the entropy). ``benchmarks/size_calibration.py`` fits the
weights: photographs come out within 3 % (standard deviation), drawn pictures within 10 %; from one quantisation to the
next, once an encode has corrected it, within 1 %, also where one step of a table costs a tenth of the file, which no
curve through earlier encodes foresees. Every third row of blocks tells as much as all of them.
"""

from __future__ import annotations

import bisect
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from PIL import Image

from mmsprep.transcode.image.jpeg import SUBSAMPLED, Tables, tables_at
from mmsprep.transcode.image.rate_model import COARSEST, FINEST

WEIGHTS = (2.113, 1.227, 0.274, 1.406)
"""Bits a coefficient that is left, a bit of its value, a bit of entropy, and a block."""
FILE_BYTES = 308.4
_HALVES = 2048
"""Magnitudes are counted in halves, up to here: a step of 2 leaves what is 1.0 or more, which whole numbers hide."""
_CATEGORIES = 11
"""Bits of a quantised coefficient in baseline JPEG, at most."""
_ROWS_SAMPLED = 3
_SCALE_STEPS = 1920
_FINER = 0.9
"""One of so many rows of blocks is counted; steps between the coarsest and the finest scale; of a scale: up to there
single entries of the tables are made finer."""

_Numbers = npt.NDArray[np.float64]
_PHASE = np.pi / 16 * np.outer(np.arange(8), 2 * np.arange(8) + 1)
_DCT = (np.cos(_PHASE) * np.where(np.arange(8)[:, None] == 0, 8**-0.5, 0.5)).astype(np.float32)
_SCALES = [float(scale) for scale in np.geomspace(COARSEST, FINEST, _SCALE_STEPS)]


class Spectrum:
    """How often each frequency of a picture has at least each magnitude, in luma and in chroma.

    ``like`` is the spectrum of the same picture with other chroma; what they have in common is then not counted again.
    """

    def __init__(self, image: Image.Image, subsampling: int, like: Spectrum | None = None) -> None:
        self.planes: tuple[Image.Image, ...]
        """Of Y, Cb and Cr, all as large; of a grey picture the one."""
        luma: _Numbers
        if like:
            self.planes, luma = like.planes, like._tails[0]
        else:
            self.planes = image.convert("YCbCr").split() if image.mode == "RGB" else (image,)
            luma = _tail(self.planes[0])
        chroma = [_tail(plane.reduce(2) if subsampling == SUBSAMPLED else plane) for plane in self.planes[1:]]
        self._known: dict[Tables, float] = {}
        self._tails: tuple[_Numbers, _Numbers] = (luma, sum(chroma, np.zeros_like(luma)))

    def bytes_at(self, tables: Tables) -> float:
        """What the picture should weigh with ``tables``."""
        if tables not in self._known:
            costs = (float(self._costs(plane, tables[plane]).sum()) for plane in (0, 1))
            self._known[tables] = FILE_BYTES + sum(costs)
        return self._known[tables]

    def tables_for(self, max_bytes: float) -> Tables:
        """The finest tables within ``max_bytes``; the coarsest where none is.

        Along the scale first; then single steps of the next finer tables, as long as they fit.
        """
        scale = self.scale_for(max_bytes)
        steps = [list(table) for table in tables_at(scale)]
        left_bytes = max_bytes - self.bytes_at(tables_at(scale))
        if left_bytes > 0:
            finer = tables_at(scale * _FINER)
            for plane in (0, 1):
                more = self._costs(plane, finer[plane]) - self._costs(plane, tuple(steps[plane]))
                for entry in np.argsort(-more, kind="stable"):
                    if 0 < more[entry] <= left_bytes:
                        steps[plane][entry] = finer[plane][entry]
                        left_bytes -= float(more[entry])
        return tuple(steps[0]), tuple(steps[1])

    def between(self, coarse: Tables, fine: Tables, part: float) -> Tables:
        """``coarse`` with so many steps of ``fine`` that ``part`` (0..1) of the bytes between them are spent.

        Steps weigh what is foretold for them; those of low frequencies come first.
        """
        weights = [abs(self._costs(plane, fine[plane]) - self._costs(plane, coarse[plane])) for plane in (0, 1)]
        left = part * float(sum(plane.sum() for plane in weights))
        steps = [list(table) for table in coarse]
        for entry in range(64):
            for plane in (0, 1):
                left -= float(weights[plane][entry])
                if left >= 0:
                    steps[plane][entry] = fine[plane][entry]
        return tuple(steps[0]), tuple(steps[1])

    def scale_for(self, max_bytes: float) -> float:
        """The finest scale within ``max_bytes``; the coarsest where none is."""
        place = bisect.bisect_right(_SCALES, max_bytes, key=lambda scale: self.bytes_at(tables_at(scale)))
        return _SCALES[max(0, place - 1)]

    def features(self, tables: Tables) -> _Numbers:
        """What :data:`WEIGHTS` weigh, in bytes: coefficients left, bits of their values, entropy, blocks."""
        counted: _Numbers = sum(self._features(plane, tables[plane]).sum(axis=1) for plane in (0, 1))
        return counted

    def _costs(self, plane: int, table: tuple[int, ...]) -> _Numbers:
        """Bytes of each frequency of a plane."""
        costs: _Numbers = WEIGHTS @ self._features(plane, table)
        return costs

    def _features(self, plane: int, table: tuple[int, ...]) -> _Numbers:
        """Of each frequency of a plane, 4 x 64."""
        tail = self._tails[plane]
        reached = np.take_along_axis(tail, _thresholds()[list(table)], axis=1)
        exactly = np.maximum(reached[:, :-1] - reached[:, 1:], 1e-9)
        blocks = reached[:, 0]
        entropy = blocks * np.log2(np.maximum(blocks, 1)) - (exactly * np.log2(exactly)).sum(axis=1)
        return np.stack((reached[:, 1], reached[:, 1:].sum(axis=1), entropy, blocks / 64)) / 8


def _tail(plane: Image.Image) -> _Numbers:
    """How often each of the 64 frequencies has at least each magnitude; a block's mean counts as a difference.

    Counted in every third row of blocks, for all of them.
    """
    pixels = np.asarray(plane)
    height, width = pixels.shape
    rows, columns = -(-height // 8), -(-width // 8)
    sampled = np.arange(min(rows - 1, _ROWS_SAMPLED // 2), rows, _ROWS_SAMPLED)
    lines = np.minimum((sampled[:, None] * 8 + np.arange(8)).ravel(), height - 1)
    padded = np.pad(pixels[lines].astype(np.float32), ((0, 0), (0, -width % 8)), mode="edge") - 128
    down = np.matmul(_DCT, padded.reshape(len(sampled), 8, columns * 8))
    both = np.matmul(down.reshape(len(sampled) * 8, columns, 8), _DCT.T)
    blocks = both.reshape(len(sampled), 8, columns, 8).transpose(1, 3, 0, 2).reshape(64, len(sampled), columns)
    blocks[0, :, 1:] -= blocks[0, :, :-1].copy()
    halves = np.minimum(np.abs(blocks) * 2, _HALVES - 1).astype(np.int32).reshape(64, -1)
    halves += np.arange(64, dtype=np.int32)[:, None] * _HALVES
    counts = np.bincount(halves.ravel(), minlength=64 * _HALVES).reshape(64, _HALVES)
    tail = np.zeros((64, _HALVES + 1))
    tail[:, :-1] = counts[:, ::-1].cumsum(axis=1)[:, ::-1] * (rows / len(sampled))
    return tail


@lru_cache(maxsize=1)
def _thresholds() -> npt.NDArray[np.int64]:
    """By quantisation step (0..255): the least magnitudes, in halves, whose quantised value has 0, 1, 2, ... bits."""
    steps = np.maximum(np.arange(256), 1)[:, None]
    least: npt.NDArray[np.int64] = np.minimum(steps * (2 ** np.arange(_CATEGORIES + 1) - 1), _HALVES)
    return least
