"""A drawing in the size that only drawings may have, where bytes are plenty: as a GIF, or as a JPEG where no palette
holds it (screens with photographs in them).

Comes in: the drawing in that size, and a reference of it in the usual one. Goes out: a rendition that is better than
one in the usual size, and how many bytes one takes. Never: a JPEG that is made smaller.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass, replace

from PIL import Image

from mmsprep.formats import FORMATS
from mmsprep.model import Action, CurvePoint, Rendition
from mmsprep.tools.once import once
from mmsprep.transcode.image.jpeg import FULL_CHROMA, encode, tables_at
from mmsprep.transcode.image.ladder import LadderSource
from mmsprep.transcode.image.one_size import OneSize, Way
from mmsprep.transcode.image.score import Reference
from mmsprep.transcode.image.shrink import shrunk
from mmsprep.transcode.image.spectrum import Spectrum

SHARP_ENOUGH = 93.0
"""Quality from which on a GIF is sent without a look at anything else."""
_COARSEST, _COARSEST_BESIDE_LESS, _GOOD = 1.0, 2.0, 0.25
"""Scales of a JPEG's quantisation: beyond the first nothing that is drawn is worth ``_READ``, beyond the second not
even what the usual size is where that loses strokes; at the third it is about 84. Of five screens in 75 to 295 kB none
that was coarser than the first scored 70, all that were finer 71 to 91."""
_LEGIBLE = 80.0
"""Quality of a GIF that nothing more is asked of. Set by hand."""
_READ, _NO_WORSE = 70.0, 3.0
"""Quality of its own pixels from which on it is sent, where it is no more than so much worse looked at as a whole. Of
these screens such a JPEG is 8 to 33 points of SSIMULACRA2 better in full size than the usual size of as many bytes,
and 0 to 2 worse looked at in the usual size."""


@dataclass(frozen=True)
class Larger:
    """``image`` in its own size, as a rung of ``gif`` or as a JPEG; ``usual`` is a reference of it in the usual size,
    ``usual_px`` big, which keeps ``usual_share`` of what this one shows."""

    image: Image.Image
    gif: LadderSource
    usual: Reference
    usual_px: tuple[int, int]
    usual_share: float

    @once
    def _spectrum(self) -> Spectrum:
        return Spectrum(self.image, FULL_CHROMA)

    @once
    def _reference(self) -> Reference:
        return Reference(self.image)

    @property
    def points(self) -> tuple[CurvePoint, ...]:
        """What bytes buy for certain: GIFs."""
        return self.gif.curve().points

    @property
    def whole_bytes(self) -> int:
        """What a good one takes."""
        jpeg_bytes = math.ceil(self._spectrum.bytes_at(tables_at(_GOOD)))
        return min(self.gif.whole_bytes(_LEGIBLE) or jpeg_bytes, jpeg_bytes)

    def sharp(self, max_bytes: int) -> Rendition | None:
        """A GIF within ``max_bytes`` that nothing can be better than, if there is one."""
        made = self.gif.render(max_bytes)
        return made if made.size_bytes <= max_bytes and made.quality >= SHARP_ENOUGH else None

    def better_than(self, usual: Rendition, max_bytes: int) -> Rendition | None:
        """The best one within ``max_bytes`` if it is better than ``usual``, which is in the usual size; else ``None``.

        Its quality is what is left of it looked at in the usual size, or pixel by pixel, whichever says more: every
        second pixel of a drawing is forgiven.
        """
        found = [one for one in (self.gif.render(max_bytes), self._jpeg(max_bytes)) if one]
        made = max((one for one in found if one.size_bytes <= max_bytes), key=lambda one: one.quality, default=None)
        if made is None:
            return None
        if usual.size_bytes > max_bytes:
            return made
        if made.quality <= min(usual.quality, _READ):
            return None
        looked_at = self.usual.drawn_score(shrunk(_shown(made.data), self.usual_px)) * self.usual_share
        is_read = made.quality >= _READ and looked_at >= usual.quality - _NO_WORSE
        if made.quality <= usual.quality and not is_read:
            return None
        return replace(made, quality=max(made.quality, looked_at))

    def _jpeg(self, max_bytes: int) -> Rendition | None:
        """In full size, its quality that of its own pixels; ``None`` where it would be too coarse."""
        coarsest = _COARSEST if self.usual_share == 1 else _COARSEST_BESIDE_LESS
        if self._spectrum.scale_for(max_bytes) > coarsest:
            return None
        way = Way(OneSize(self.image, FULL_CHROMA, self._spectrum, max_bytes, correction=1.0), False, max_bytes)
        while (tables := way.next_setting()) is not None:
            assert not isinstance(tables, int)
            foretold_bytes = self._spectrum.bytes_at(tables)
            way.add(tables, encode(self.image, tables, FULL_CHROMA, foretold_bytes=foretold_bytes))
        if not way.fitting:
            return None
        return Rendition(
            data=way.fitting,
            format="jpeg",
            content_type=FORMATS["jpeg"].content_type,
            action=Action.TRANSCODE,
            quality=self._reference.drawn_score(_shown(way.fitting)),
            width_px=self.image.width,
            height_px=self.image.height,
            drawn=True,
        )


def _shown(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data), formats=["JPEG", "GIF"]).convert("RGB")
