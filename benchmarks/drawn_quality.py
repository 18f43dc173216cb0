"""What drawings are worth as a GIF: our colours beside Pillow's, and what a message of some size shows of them.

    python benchmarks/drawn_quality.py [FOLDER] [--budgets 290000 150000 80000]

Comes in: a folder of screenshots, scans and drawings (the project's own pictures of screens without one). Goes out:
for each number of colours the bytes and SSIMULACRA2 of both, at the largest size that drawings may have, and how far
our score is off; for each budget what is sent, and SSIMULACRA2 of it grown to that size, beside the best that Pillow's
colours come to in the same two sizes. Never: a claim about photographs.
"""

from __future__ import annotations

import argparse
import io
import statistics
from pathlib import Path

from photos import SAMPLES, gif_of
from PIL import Image
from ssimulacra import Judge

from mmsprep.profile import load_profile
from mmsprep.transcode.image import pixels
from mmsprep.transcode.image.ladder import BITS
from mmsprep.transcode.image.palette import few_coloured_gif
from mmsprep.transcode.image.rendered import source_of
from mmsprep.transcode.image.score import Reference

OWN = (SAMPLES.parent / "docs" / "images", SAMPLES / "message")


def shown(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data)).convert("RGB")


def drawings(folders: tuple[Path, ...]) -> list[tuple[str, pixels.Picture]]:
    """Those that the default profile may send larger than a photograph, or that are drawn and small."""
    rules = load_profile("smsglobal").image
    found = []
    for path in sorted(path for folder in folders for path in folder.rglob("*")):
        if path.suffix.lower() not in (".png", ".gif", ".tif", ".tiff", ".bmp", ".webp", ".jpg"):
            continue
        with Image.open(path) as image:
            picture = pixels.sized(image.convert("RGB"), rules)
        if picture.graphic:
            found.append((path.name, picture))
    return found


def by_colours(name: str, image: Image.Image, judge: Judge) -> dict[int, tuple[float, float, float]]:
    """Of each number of bits: SSIMULACRA2 gained over Pillow's, the ratio of bytes, our score less SSIMULACRA2."""
    reference, gained = Reference(image), {}
    for bits in BITS:
        ours, theirs = few_coloured_gif(image, bits), gif_of(image, 2**bits)
        mine, other = judge.score(shown(ours)), judge.score(shown(theirs))
        told = reference.drawn_score(shown(ours))
        gained[bits] = mine - other, len(ours) / len(theirs), told - mine
        print(
            f"  {2**bits:3} colours  {len(ours):8,} B  {mine:6.1f}   Pillow {len(theirs):8,} B  {other:6.1f}"
            f"   told {told:5.1f}  {name}"
        )
    return gained


def by_budget(name: str, picture: pixels.Picture, judge: Judge, budgets: list[int]) -> dict[int, float]:
    """SSIMULACRA2 of what is sent, less that of the best GIF by Pillow's colours that fits."""
    source, gained = source_of(picture, load_profile("smsglobal")), {}
    for max_bytes in budgets:
        made = source.render(max_bytes)
        mine = judge.score(shown(made.data))
        sizes = [image for image in (picture.larger, picture.image) if image]
        peers = [gif_of(image, 2**bits) for image in sizes for bits in (4, 6, 8)]
        other = max((judge.score(shown(data)) for data in peers if len(data) <= max_bytes), default=float("nan"))
        gained[max_bytes] = mine - other
        print(
            f"  {max_bytes:7,} B: {made.format} {made.width_px}x{made.height_px} {made.size_bytes:8,} B  {mine:6.1f}"
            f"   Pillow's {other:6.1f}  {name}"
        )
    return gained


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--budgets", type=int, nargs="+", default=[290_000, 150_000, 80_000])
    told = parser.parse_args()
    colours: dict[int, list[tuple[float, float, float]]] = {bits: [] for bits in BITS}
    budgets: dict[int, list[float]] = {max_bytes: [] for max_bytes in told.budgets}
    for name, picture in drawings((told.folder,) if told.folder else OWN):
        image = (picture.larger or picture.image).convert("RGB")
        judge = Judge(image)
        print(f"{name}: {image.width} x {image.height}")
        for bits, found in by_colours(name, image, judge).items():
            colours[bits].append(found)
        for max_bytes, gain in by_budget(name, picture, judge, told.budgets).items():
            budgets[max_bytes].append(gain)
    print("median over all: SSIMULACRA2 gained, bytes of Pillow's, how far the score is off")
    for bits, rows in colours.items():
        gain, share, off = (statistics.median(column) for column in zip(*rows, strict=True))
        print(f"  {2**bits:3} colours  {gain:+6.1f}  {share:.2f}  {off:+6.1f}")
    for max_bytes, gains in budgets.items():
        whole = [gain for gain in gains if gain == gain]
        if whole:
            print(f"  {max_bytes:7,} B  {statistics.median(whole):+6.1f}  worst {min(whole):+6.1f}")


if __name__ == "__main__":
    main()
