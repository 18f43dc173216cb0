"""Pictures of few colours, as a GIF has them.

Comes in: a picture, and how many colours it may have. Goes out: a GIF of one frame, or the colours alone. Never: a
choice of how many.

Which colours stand for all others decides what a drawing looks like. Halving boxes of them by how many pixels each has
(median cut, which Pillow does) forgets what is small: a red dot, a name in orange. libvips's gives those colours that
take away most of the error: screens of 256 colours score 6 to 30 SSIMULACRA2 more, in a tenth fewer bytes
(``benchmarks/drawn_quality.py``).
"""

from __future__ import annotations

import io

from PIL import Image

from mmsprep.tools.vips import as_vips, load_vips, vips_runs

MOST_COLOURS = 255
"""Of an animation: of a GIF's table of 256 one is what is transparent."""
_EFFORT = 5
"""Of 10: from here on it scores within a point of the most, photographs take a third of the time of libvips's own 7."""


def few_coloured_gif(image: Image.Image, bits: int) -> bytes:
    """A GIF of ``image`` (RGB or L) with ``2 ** bits`` colours at most, undithered; exact where it has no more.

    Raises:
        ToolMissing: libvips does not load.
    """
    image, colours = image.convert("RGB"), 2**bits
    if image.getcolors(colours) or not _chooses_well():
        out = io.BytesIO()
        image.quantize(colours, dither=Image.Dither.NONE).save(out, "GIF", optimize=True, interlace=False)
        return out.getvalue()
    return _by_vips(image, bits)


def palette_of(image: Image.Image) -> tuple[Image.Image, int]:
    """255 colours at most that stand for all of ``image`` (RGB), as the palette of a picture, and how many they are.

    Raises:
        ToolMissing: libvips does not load.
    """
    exact = image.getcolors(MOST_COLOURS)
    if exact or not _chooses_well():
        count = len(exact) if exact else MOST_COLOURS
        return image.quantize(count), count
    with Image.open(io.BytesIO(_by_vips(image, 8))) as chosen:
        # Pillow looks for the nearest among all of a palette's colours; no table that is longer than its colours.
        colours = (chosen.getpalette("RGB") or [])[: 3 * MOST_COLOURS]
    palette = Image.new("P", (1, 1))
    palette.putpalette(colours)
    return palette, len(colours) // 3


def _chooses_well() -> bool:
    """Whether libvips can be asked; other builds of it than the usual one may write no GIF."""
    return vips_runs() and bool(load_vips().type_find("VipsOperation", "gifsave_buffer"))


def _by_vips(image: Image.Image, bits: int) -> bytes:
    pixels = as_vips(image).copy(interpretation="srgb")
    # Otherwise it says that its one frame repeats.
    pixels.set_type(load_vips().GValue.gint_type, "loop", 1)
    data: bytes = pixels.gifsave_buffer(bitdepth=bits, dither=0, effort=_EFFORT, keep="none")
    return data
