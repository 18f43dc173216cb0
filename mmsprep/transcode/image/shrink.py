"""Pictures made smaller, by libvips: Pillow's LANCZOS to half a grey level in the mean, in a third of its time.

Along the edges libvips counts the outermost pixels over and over, so that a line there (many cameras and crops leave
one) gets darker and wider; there Pillow, which counts what there is, makes the pixels.

Comes in: a decoded picture in any of Pillow's modes of 8 bits a channel. Goes out: the same, smaller. Never: a file
or a decoder of libvips; it is handed pixels alone here.
"""

from __future__ import annotations

from PIL import Image

from mmsprep.tools.vips import as_vips, vips_runs

_GAP = 3.0
"""Of the target: how far boxes may shrink before LANCZOS; from 3 on it is hard to tell from LANCZOS alone (Pillow's
documentation of ``reducing_gap``)."""
_REACH_PX = 3
"""How far LANCZOS looks, and thus how far from an edge its outermost pixels are seen; pixels of the target."""
_PREMULTIPLIED = {"RGBA": "RGBa", "LA": "La"}


def shrunk(image: Image.Image, size_px: tuple[int, int]) -> Image.Image:
    """``image`` at ``size_px`` (width, height), with LANCZOS; itself where it has that size already.

    What is transparent counts for nothing in the mixture.

    Raises:
        ToolMissing: libvips does not load.
    """
    if image.size == size_px:
        return image
    if image.mode in _PREMULTIPLIED:
        return shrunk(image.convert(_PREMULTIPLIED[image.mode]), size_px).convert(image.mode)
    if not vips_runs() or min(size_px) < 2 * _REACH_PX:
        return image.resize(size_px, Image.Resampling.LANCZOS, reducing_gap=_GAP)
    # Boxes first, where much goes: libvips rounds its weights, the more the more there are (3 % off at 300 to 1).
    across, down = (max(1, int(before / after / _GAP)) for before, after in zip(image.size, size_px, strict=True))
    if max(across, down) > 1:
        return shrunk(image.reduce((across, down)), size_px)
    smaller = as_vips(image).resize(
        size_px[0] / image.width, vscale=size_px[1] / image.height, kernel="lanczos3", gap=0
    )
    made = Image.frombytes(image.mode, size_px, smaller.write_to_memory())
    _make_edges(made, image)
    return made


def _make_edges(made: Image.Image, image: Image.Image) -> None:
    """Make the outermost pixels of ``made``, which is ``image`` made smaller, of those that ``image`` has."""
    (width, height), reach = made.size, _REACH_PX
    across, down = image.width / width, image.height / height
    for edge in (
        (0, 0, width, reach),
        (0, height - reach, width, height),
        (0, 0, reach, height),
        (width - reach, 0, width, height),
    ):
        # As far again is what the innermost of them are made of.
        left, top = max(0, edge[0] - reach), max(0, edge[1] - reach)
        right, bottom = min(width, edge[2] + reach), min(height, edge[3] + reach)
        seen = (left * across, top * down, min(image.width, right * across), min(image.height, bottom * down))
        strip = image.resize((right - left, bottom - top), Image.Resampling.LANCZOS, box=seen)
        made.paste(strip.crop((edge[0] - left, edge[1] - top, edge[2] - left, edge[3] - top)), edge[:2])
