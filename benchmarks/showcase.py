"""The picture in the README: one photo at 100 and 20 kB beside the plain loop, and a set of six in 290 kB.

    python benchmarks/showcase.py FOLDER [--photo NAME] [--crop X,Y,WIDTH,HEIGHT] [--names A,B,...] [--out DIR]

Needs a folder with at least six photos. Every number is SSIMULACRA2 of the file that would be sent.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

import matplotlib as mpl
from image_set import BUDGET_BYTES, divided
from photos import opened, photos_of
from PIL import Image
from plain import plain_loop
from ssimulacra import Judge

from mmsprep.transcode.image.photo import PhotoSource

mpl.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes

_OURS, _PLAIN = "#0b6e4f", "#b8b8b8"
_TOGETHER = 6
_FAITHFUL = {".jpg": {"quality": 93, "subsampling": 0}}


def main() -> None:
    """Encode, score, draw."""
    parser = argparse.ArgumentParser(description="The picture in the README.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--photo", help="the photo to show (default: the first of the set)")
    parser.add_argument("--crop", help="which part of it, in thousandths of its sides (default: the middle)")
    parser.add_argument("--names", help="the six of the set (default: the first six)")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent.parent / "docs" / "images")
    options = parser.parse_args()
    photos = photos_of([options.folder], fewest=_TOGETHER)
    names = options.names.split(",") if options.names else list(photos)[:_TOGETHER]
    shown = options.photo or names[0]
    crop = [int(part) / 1000 for part in (options.crop or "250,250,500,500").split(",")]
    options.out.mkdir(parents=True, exist_ok=True)
    before_after(photos[shown], crop, options.out / "before-after.jpg")
    set_chart({name: photos[name] for name in names}, options.out / "set-of-six.png")


def before_after(photo: Image.Image, crop: list[float], path: Path) -> None:
    """A part of the photo: original, and at 100 and 20 kB by the plain loop and by mmsprep."""
    judge, source = Judge(photo), PhotoSource(photo, floor_quality=0)
    left, top, width, height = (
        round(part * side) for part, side in zip(crop, (photo.width, photo.height) * 2, strict=True)
    )
    figure, axes = plt.subplots(2, 3, figsize=(10.2, 10.2 * 2 / 3 * height / width + 0.75), layout="constrained")
    for row, budget_bytes in zip(axes, (100_000, 20_000), strict=True):
        plain = opened(plain_loop(photo, budget_bytes))
        ours = opened(source.render(budget_bytes).data)
        budget = f"{budget_bytes // 1000} kB"
        cells = (
            (photo, f"original, {photo.width} x {photo.height}"),
            (plain, f"plain loop, {budget}: {judge.score(plain):.0f}"),
            (ours, f"mmsprep, {budget}: {judge.score(ours):.0f}"),
        )
        for axis, (image, title) in zip(row, cells, strict=True):
            grown = image.convert("RGB").resize(photo.size, Image.Resampling.BICUBIC)
            axis.imshow(grown.crop((left, top, left + width, top + height)), interpolation="lanczos")
            axis.set_title(title, fontsize=11, color=_OURS if image is ours else "black")
            axis.axis("off")
    figure.supxlabel("SSIMULACRA2 of the whole picture: 90 hard to tell apart, 70 high, 50 medium, 30 low", fontsize=9)
    _save(path)


def set_chart(photos: dict[str, Image.Image], path: Path) -> None:
    """Each of the set's pictures: equal shares by the plain loop, and mmsprep's division."""
    judges = {name: Judge(photo) for name, photo in photos.items()}
    made = divided([PhotoSource(photo, floor_quality=0) for photo in photos.values()], BUDGET_BYTES)
    ours = [judges[name].score(opened(one.data)) for name, one in zip(photos, made, strict=True)]
    share = BUDGET_BYTES // len(photos)
    plain = [judges[name].score(opened(plain_loop(photo, share))) for name, photo in photos.items()]
    figure, axis = plt.subplots(figsize=(10.2, 4.4), layout="constrained")
    places = range(len(photos))
    _bars(axis, [place - 0.2 for place in places], plain, [share] * len(photos), _PLAIN, "plain loop, equal shares")
    _bars(axis, [place + 0.2 for place in places], ours, [one.size_bytes for one in made], _OURS, "mmsprep")
    axis.set_xticks(list(places), [name.split("_")[0] for name in photos])
    axis.set_ylim(min(0, *plain), 109)
    axis.axhline(0, color="black", linewidth=0.6)
    axis.set_ylabel("SSIMULACRA2")
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(loc="upper left", ncols=2, frameon=False, fontsize=9)
    figure.suptitle(
        f"{len(photos)} photos in {BUDGET_BYTES // 1000} kB: worst {min(plain):.0f} -> {min(ours):.0f},"
        f" mean {statistics.fmean(plain):.0f} -> {statistics.fmean(ours):.0f}",
        fontsize=12,
    )
    _save(path)


def _bars(
    axis: Axes, places: list[float], scores: list[float], sizes_bytes: list[int], colour: str, label: str
) -> None:
    axis.bar(places, scores, 0.38, color=colour, label=label)
    for place, score, size_bytes in zip(places, scores, sizes_bytes, strict=True):
        axis.text(
            place,
            max(score, 0) + 1,
            f"{score:.0f}\n{size_bytes / 1000:.0f} kB",
            ha="center",
            fontsize=8,
            linespacing=1.1,
        )


def _save(path: Path) -> None:
    """Write the figure; photos as JPEG that adds next to nothing to what it shows."""
    plt.savefig(path, dpi=110, pil_kwargs={"optimize": True} | _FAITHFUL.get(path.suffix, {}))
    plt.close()
    print(f"{path}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
