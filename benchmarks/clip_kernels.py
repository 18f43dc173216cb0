"""What a clip is scaled by: what is made of it with other kernels.

    python benchmarks/clip_kernels.py CLIP ... [--limit BYTES] [--sharpness C ...]

Every clip is prepared by mmsprep, once scaled by Lanczos of three lobes and once by each cubic kernel (``b`` 0, ``c``
as given), in the same bytes. For each: VMAF and VMAF NEG as ``video_quality.py`` judges, which sharp edges please more
than they should; SSIMULACRA2 and PSNR of luma of single frames, grown to the size at which they are looked at by a
bicubic and by a bilinear filter, as phones differ; at last what each gains over Lanczos in the mean.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from clip_script import Clip
from PIL import Image
from ssimulacra import Judge
from video_quality import judged

from mmsprep import inspect, prepare
from mmsprep.model import Part
from mmsprep.settings import Settings
from mmsprep.tools import ffmpeg
from mmsprep.tools.workspace import Workspace
from mmsprep.transcode.video import pictures
from mmsprep.transcode.video.mezzanine import DISPLAY_LONG_PX

_MOMENTS = (0.13, 0.37, 0.61, 0.85)
_GROWN_BY = (Image.Resampling.BICUBIC, Image.Resampling.BILINEAR)


@dataclass(frozen=True)
class Judged:
    """What a clip looks like: VMAF, NEG; SSIMULACRA2 and PSNR grown by a bicubic filter, and by a bilinear one."""

    vmaf: float
    neg: float
    ssimulacra2: float
    psnr_db: float
    ssimulacra2_bilinear: float
    psnr_bilinear_db: float

    def __str__(self) -> str:
        return "{:8.2f}{:8.2f}{:8.1f}{:8.2f}{:8.1f}{:8.2f}".format(*astuple(self))


def main() -> None:
    """Measure and print a line a clip and kernel, and the means."""
    parser = argparse.ArgumentParser(description="Clips scaled by other kernels.")
    parser.add_argument("clips", type=Path, nargs="+")
    parser.add_argument("--limit", type=int, default=282_000, help="bytes of the clip")
    parser.add_argument("--sharpness", type=float, nargs="*", default=[0.5, 0.6, 0.75, 0.85, 0.9])
    options = parser.parse_args()
    paths = [path.resolve() for path in options.clips]
    print(f"{'clip':24}{'kernel':>9}{'VMAF':>8}{'NEG':>8}{'SSIM2':>8}{'PSNR':>8}{'.. bilinear':>16}", flush=True)
    gains: dict[float, list[Any]] = {sharpness: [] for sharpness in options.sharpness}
    for path, found in zip(paths, inspect(paths), strict=True):
        assert found.info is not None
        with Workspace(Settings()) as workspace:
            clip = Clip(path, found.info, workspace)
            lanczos = _line(clip, None, options.limit)
            for sharpness in options.sharpness:
                gains[sharpness].append(np.subtract(astuple(_line(clip, sharpness, options.limit)), astuple(lanczos)))
    for sharpness, each in gains.items():
        mean = Judged(*(statistics.fmean(column) for column in np.transpose(each)))
        print(f"{'mean gain over Lanczos':24}{_name(sharpness):>9}{mean}")


def _name(sharpness: float | None) -> str:
    return "lanczos" if sharpness is None else f"c {sharpness:.2f}"


def _line(clip: Clip, sharpness: float | None, limit_bytes: int) -> Judged:
    with _scaled_by(sharpness):
        (part,) = prepare([clip.path], limit_bytes=limit_bytes, trim=True).parts
    looks = _judged(clip, part)
    print(f"{clip.path.name[:23]:24}{_name(sharpness):>9}{looks}", flush=True)
    return looks


@contextmanager
def _scaled_by(sharpness: float | None) -> Iterator[None]:
    usual = dict(pictures.CUBIC)
    if sharpness is None:
        del pictures.CUBIC["sharp"]
    else:
        pictures.CUBIC["sharp"] = sharpness
    try:
        yield
    finally:
        pictures.CUBIC.update(usual)


def _judged(clip: Clip, part: Part) -> Judged:
    made = clip.workspace.put(part.data, ".3gp")
    seconds = part.duration_s or 1.0
    vmaf, neg = judged(clip, made, seconds, clip.fps)
    size_px = clip.sized(DISPLAY_LONG_PX)
    own, shown = (_frames(path, slug, seconds, clip) for path, slug in ((clip.path, clip.info.format), (made, "mp4")))
    scores = []
    for filtered in _GROWN_BY:
        pairs = [
            (mine.resize(size_px, Image.Resampling.LANCZOS), its.resize(size_px, filtered))
            for mine, its in zip(own, shown, strict=True)
        ]
        scores += [
            statistics.fmean(Judge(mine).score(its) for mine, its in pairs),
            statistics.fmean(_psnr_db(mine, its) for mine, its in pairs),
        ]
    return Judged(vmaf, neg, *scores)


def _frames(path: Path, slug: str, seconds: float, clip: Clip) -> list[Image.Image]:
    """Single frames, in their own size."""
    frames = []
    for moment in _MOMENTS:
        picture = ffmpeg.safe_input(path, slug, t=seconds)["V:0"].filter("fps", f"{clip.fps:.6f}", start_time=0)
        picture = picture.filter("select", f"gte(n,{round(seconds * moment * clip.fps)})")
        target = clip.workspace.new_path(".png")
        ffmpeg.run(clip.workspace, picture.output(str(target), vframes=1, f="image2", vcodec="png", update=1))
        with Image.open(target) as image:
            frames.append(image.convert("RGB"))
    return frames


def _psnr_db(mine: Image.Image, its: Image.Image) -> float:
    both = (np.asarray(image.convert("L"), np.float64) for image in (mine, its))
    square = float(np.mean(np.subtract(*both) ** 2))
    return 10 * float(np.log10(255**2 / square)) if square else 99.0


if __name__ == "__main__":
    main()
