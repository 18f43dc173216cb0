"""What a phone could have shown of a picture, and how much of that is left once it is made smaller.

Comes in: a picture as it was decoded, and the size at which it is to be sent. Goes out: whether it is drawn, and a
share from 0 to 1. Never: what compression costs; ``score.py`` measures that at the size that is sent.

The viewing model (``docs/picture-quality.md``): a screen of 1080 px, 65 mm across, held at 35 cm, has about 100 px a
degree; the eye tells about half of them apart. So every second pixel is forgiven. A photograph is looked at whole. What
is drawn, a page or a screenshot, is read, enlarged as far as its own pixels go; every second one of those is forgiven.
What of it has no fine strokes (a large logo) nobody enlarges: it is looked at whole.
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
_STROKE_CELL_PX, _STROKE_LEVELS, _STROKE_SCALE, _CONTRAST_KEPT = 3, 32, 0.4, 0.85
"""What nobody has to enlarge: cells of so many pixels with a stroke of so many levels of 255 in them, of whose
contrast 85 % is left even at 0.4 of the size that is sent. Set by hand: of four screens made 0.44 as large it is 9 to
28 % of the cells, of a poster of large shapes 99.7 %, with four lines of small print 56 %."""
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


def shown_share(rows: Image.Image, size_px: tuple[int, int], sent_px: tuple[int, int], *, read: float = 0.0) -> float:
    """How much of what a phone could show of a picture of ``size_px`` is left at ``sent_px``, from 0 to 1.

    ``rows`` is the picture or a :func:`sample` of it, in its own size; measured by the score that steers photos.
    ``read`` is how much of it has to be enlarged to be seen: 0 of a photograph, 1 of a page of text.
    """
    sent = sent_scale(size_px, sent_px)
    looked_at = _share_of(rows, _seen_scale(size_px), sent) if read < 1 else 0.0
    return (1 - read) * looked_at + (read * _share_of(rows, _DRAWN_SEEN, sent) if read else 0.0)


def sent_scale(size_px: tuple[int, int], sent_px: tuple[int, int]) -> float:
    """How many times as large as it is a picture of ``size_px`` is sent."""
    return max(sent_px[0] / size_px[0], sent_px[1] / size_px[1])


def loses_strokes(size_px: tuple[int, int], sent_px: tuple[int, int]) -> bool:
    """Whether a drawing made so much smaller can lose what is forgiven nobody who reads it."""
    return sent_scale(size_px, sent_px) < _DRAWN_SEEN * _FORGIVEN


def _share_of(rows: Image.Image, seen: float, sent: float) -> float:
    """The share that the scale ``sent`` leaves of what is seen at the scale ``seen``."""
    if sent >= seen * _FORGIVEN:
        return 1.0
    from mmsprep.transcode.image.score import Reference

    reference = shrunk(rows, _scaled(rows.size, seen))
    return Reference(reference).score(shrunk(rows, _scaled(rows.size, sent))) / 100


def _seen_scale(size_px: tuple[int, int]) -> float:
    """At which a picture that is looked at whole is seen."""
    short_px, long_px = sorted(size_px)
    if long_px > _SCROLLED_RATIO * short_px:
        return min(1.0, SEEN_SHORT_PX / short_px)
    return min(1.0, SEEN_SHORT_PX / short_px, SEEN_LONG_PX / long_px)


def large_strokes(whole: Image.Image, sent: Image.Image) -> float:
    """How much of a drawing (L, as ``sent`` in its own size) is seen without being enlarged, from 0 to 1.

    It is what has no fine strokes: those lose their contrast where they are made smaller, an edge loses none.
    """
    import numpy as np

    smaller = shrunk(sent, _scaled(sent.size, _STROKE_SCALE))
    down, across = smaller.height // _STROKE_CELL_PX, smaller.width // _STROKE_CELL_PX
    if not (down and across):
        return 0.0
    was, left = np.asarray(whole), np.asarray(smaller)
    rows, columns = (
        np.arange(count) * _STROKE_CELL_PX * large // small
        for count, large, small in zip((down, across), was.shape, left.shape, strict=True)
    )
    highest, lowest = (
        extreme.reduceat(extreme.reduceat(was, rows, axis=0), columns, axis=1) for extreme in (np.maximum, np.minimum)
    )
    before = highest - lowest
    # One pixel more on every side: the edges of cells fall into pixels.
    framed = np.pad(left[: down * _STROKE_CELL_PX, : across * _STROKE_CELL_PX], 1, mode="edge")
    cells = np.lib.stride_tricks.sliding_window_view(framed, (_STROKE_CELL_PX + 2,) * 2)
    after = np.ptp(cells[::_STROKE_CELL_PX, ::_STROKE_CELL_PX], axis=(2, 3))
    strokes = before > _STROKE_LEVELS
    # Cubed: what is fine is what somebody enlarges it for, however much else there is.
    return float((after >= _CONTRAST_KEPT * before)[strokes].mean()) ** 3 if strokes.any() else 0.0


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
