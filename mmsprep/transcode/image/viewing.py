"""What a phone could have shown of a picture, and how much of that is left once it is made smaller.

Comes in: a picture as it was decoded, and the size at which it is to be sent. Goes out: whether it is drawn, and a
share from 0 to 1. Never: what compression costs; ``score.py`` measures that at the size that is sent.

The viewing model (``docs/picture-quality.md``): a screen of 1080 px, 65 mm across, held at 35 cm, has about 100 px a
degree; the eye tells about half of them apart. So every second pixel is forgiven. A photograph is looked at whole. What
is drawn, a page or a screenshot, is read, enlarged as far as its own pixels go; every second one of those is forgiven.
"""

from __future__ import annotations

import math

from PIL import Image, ImageChops

from mmsprep.transcode.image.shrink import shrunk

SEEN_SHORT_PX, SEEN_LONG_PX = 540, 1024
"""Half the pixels of a screen of 1080 x 2340, less the height that bars above and below a picture take."""
_DRAWN_SEEN = 0.5
"""Of a drawing's own pixels, as said above."""
_FORGIVEN = 0.9
"""A size this near to what can be seen loses nothing that the score could tell from its own error."""
_SCROLLED_RATIO = 3.0
"""Of the sides: from here on a picture is looked at a piece at a time. Set by hand; phones themselves reach 2.3."""
_SAMPLE_PX, _BANDS, _LEAST_ROWS = 1_000_000, 4, 128
"""Pixels of a sample, in so many bands of so many rows at least."""
_GRAPHIC_FLATNESS = 0.65
_GRAPHIC_ROWS = 4
"""Of neighbouring pixels that are the same in a drawing, looked at in one of so many rows. Set by hand."""
_EDGE, _HARD_EDGE, _HARD_SHARE = 8, 64, 0.22
"""Levels of 255 between neighbours: an edge, a hard edge, and the share of the edges that are hard in a drawing. Set
by hand."""


def sample(image: Image.Image) -> Image.Image:
    """``image``, or where it is large some of its rows: bands spread evenly, one below the other."""
    rows = max(_LEAST_ROWS, _SAMPLE_PX // (_BANDS * image.width))
    if rows * _BANDS >= image.height:
        return image
    bands = Image.new(image.mode, (image.width, rows * _BANDS))
    if image.palette:
        bands.putpalette(image.palette)
    for place in range(_BANDS):
        top = (image.height - rows) * place // (_BANDS - 1)
        bands.paste(image.crop((0, top, image.width, top + rows)), (0, rows * place))
    return bands


def shown_share(rows: Image.Image, size_px: tuple[int, int], sent_px: tuple[int, int], *, drawn: bool) -> float:
    """How much of what a phone could show of a picture of ``size_px`` is left at ``sent_px``, from 0 to 1.

    ``rows`` is the picture or a :func:`sample` of it, in its own size; measured by the score that steers photos.
    """
    sent = max(sent_px[0] / size_px[0], sent_px[1] / size_px[1])
    seen = _seen_scale(size_px, drawn=drawn)
    if sent >= seen * _FORGIVEN:
        return 1.0
    from mmsprep.transcode.image.score import Reference

    reference = shrunk(rows, _scaled(rows.size, seen))
    return Reference(reference).score(shrunk(rows, _scaled(rows.size, sent))) / 100


def _seen_scale(size_px: tuple[int, int], *, drawn: bool) -> float:
    if drawn:
        return _DRAWN_SEEN
    short_px, long_px = sorted(size_px)
    if long_px > _SCROLLED_RATIO * short_px:
        return min(1.0, SEEN_SHORT_PX / short_px)
    return min(1.0, SEEN_SHORT_PX / short_px, SEEN_LONG_PX / long_px)


def _scaled(size_px: tuple[int, int], scale: float) -> tuple[int, int]:
    return max(1, math.ceil(size_px[0] * scale)), max(1, math.ceil(size_px[1] * scale))


def is_graphic(image: Image.Image) -> bool:
    """Whether a picture is drawn (a logo, a screenshot, lettering): mostly one colour, and hard edges in between.

    Measured on every fourth row: drawn pictures, screenshots saved as JPEG included, have 0.7..0.96 of their
    neighbours alike and 0.3..1.0 of their edges hard; photographs up to 0.6 and 0.15. Photos on a white ground reach
    0.9 alike, their edges stay soft.
    """
    image = image.convert("RGB")
    # Exactly the rows 0, 4, 8, ...; numpy would take longer to load than all of this.
    step, height = _GRAPHIC_ROWS, -(-image.height // _GRAPHIC_ROWS)
    affine = (1, 0, 0, 0, step, (1 - step) / 2)
    rows = image.transform((image.width, height), Image.Transform.AFFINE, affine, Image.Resampling.NEAREST)
    left, right = rows.crop((0, 0, rows.width - 1, height)), rows.crop((1, 0, rows.width, height))
    red, green, blue = ImageChops.difference(left, right).split()
    steps = ImageChops.lighter(ImageChops.lighter(red, green), blue).histogram()
    edges = sum(steps[_EDGE + 1 :])
    return bool(steps[0] >= _GRAPHIC_FLATNESS * sum(steps) and sum(steps[_HARD_EDGE + 1 :]) >= _HARD_SHARE * edges)
