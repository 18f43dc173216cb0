"""Fit what foretells a JPEG's bytes to real encodes, and say how far it is off on pictures that it was not fitted on.

    python benchmarks/size_calibration.py [FOLDER ...]

Every picture is encoded at two sizes, with whole and with halved chroma, at twelve scales. Prints the constants for
``mmsprep/transcode/image/spectrum.py``; how far the fit (leave one picture out) and the constants in use are off for
photos and for drawn pictures; and how much of that is left from one scale to the next, once an encode has corrected it.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
from photos import SAMPLES, photos_of, shrunk
from PIL import Image

from mmsprep.transcode.image.jpeg import FULL_CHROMA, SUBSAMPLED, encode, tables_at
from mmsprep.transcode.image.rate_model import SURELY_FULL
from mmsprep.transcode.image.spectrum import FILE_BYTES, WEIGHTS, Spectrum
from mmsprep.transcode.image.viewing import is_graphic

_FACTORS = (1.0, 0.5)
_SCALES = (0.02, 0.03, 0.05, 0.08, 0.12, 0.16, 0.25, 0.4, 0.64, 1.0, 1.6, 2.5)
_DRAWN_WEIGHT = 0.3

_Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Sample:
    """One encode: what the spectrum counts (and 1, for what each file has), and its bytes."""

    name: str
    drawn: bool
    series: str
    scale: float
    features: _Numbers
    size_bytes: int


def main() -> None:
    """Measure, fit, print."""
    parser = argparse.ArgumentParser(description="Fit the foretold bytes of a JPEG to real ones.")
    parser.add_argument("folder", nargs="*", type=Path, default=[SAMPLES])
    options = parser.parse_args()
    samples = [
        sample for name, image in photos_of(options.folder, drawn=True).items() for sample in measure(name, image)
    ]
    *weights, file_bytes = fitted(samples)
    print(f"WEIGHTS = ({', '.join(f'{weight:.3f}' for weight in weights)})")
    print(f"FILE_BYTES = {file_bytes:.1f}")
    names = {sample.name for sample in samples}
    left_out = {name: fitted([one for one in samples if one.name != name]) for name in names} if len(names) > 1 else {}
    in_use = np.array([*WEIGHTS, FILE_BYTES])
    print(f"{'':38}{'fine: mean':>12}{'spread':>9}{'coarse: mean':>14}{'spread':>9}{'step to step':>14}")
    for title, drawn in (("photos", False), ("drawn", True)):
        chosen = [sample for sample in samples if sample.drawn is drawn]
        if chosen:
            _report(f"{title}, constants in use", chosen, [float(sample.features @ in_use) for sample in chosen])
        if chosen and left_out:
            told = [float(sample.features @ left_out[sample.name]) for sample in chosen]
            _report(f"{title}, fitted without the picture", chosen, told)


def measure(name: str, image: Image.Image) -> list[Sample]:
    """Encode one picture in all ways."""
    samples = []
    for factor in _FACTORS:
        picture = shrunk(image, factor)
        for subsampling in (SUBSAMPLED, FULL_CHROMA):
            spectrum = Spectrum(picture, subsampling)
            for scale in _SCALES:
                features = np.append(spectrum.features(tables_at(scale)), 1.0)
                size_bytes = len(encode(picture, tables_at(scale), subsampling))
                series = f"{name} {factor} {subsampling}"
                samples.append(Sample(name, is_graphic(image), series, scale, features, size_bytes))
    return samples


def fitted(samples: list[Sample]) -> _Numbers:
    """Least squares of the relative error."""
    weights = np.array([_DRAWN_WEIGHT if sample.drawn else 1.0 for sample in samples])
    sizes = np.array([sample.size_bytes for sample in samples])
    features = np.array([sample.features for sample in samples])
    solved: _Numbers = np.linalg.lstsq(features * (weights / sizes)[:, None], weights, rcond=None)[0]
    return solved


def _report(title: str, samples: list[Sample], told: list[float]) -> None:
    off = [float(np.log(sample.size_bytes / size)) for sample, size in zip(samples, told, strict=True)]
    fine = [error for error, sample in zip(off, samples, strict=True) if sample.scale <= SURELY_FULL]
    coarse = [error for error, sample in zip(off, samples, strict=True) if sample.scale > SURELY_FULL]
    steps = [
        second[0] - first[0]
        for first, second in pairwise(zip(off, samples, strict=True))
        if first[1].series == second[1].series
    ]
    print(
        f"{title:38}{np.mean(fine):+12.1%}{np.std(fine):9.1%}{np.mean(coarse):+14.1%}{np.std(coarse):9.1%}"
        f"{np.std(steps):14.1%}"
    )


if __name__ == "__main__":
    main()
