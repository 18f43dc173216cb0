"""A source that can be made in one size only: texts and melodies.

Comes in: what will be sent. Goes out: a source whose curve is one point. Never: an encode.
"""

from __future__ import annotations

from dataclasses import dataclass

from mmsprep.model import Curve, CurvePoint, Rendition, Source


@dataclass(frozen=True)
class FixedSource(Source):
    """What is as it is; there is nothing to trade for fewer bytes (see :class:`mmsprep.model.Source`)."""

    rendition: Rendition
    floor_quality: float = 0.0

    def curve(self) -> Curve:
        """One point."""
        return Curve((CurvePoint(self.rendition.size_bytes, self.rendition.quality),), steps=True)

    def render(self, max_bytes: int) -> Rendition:  # noqa: ARG002
        """It, whatever its size may be compared with."""
        return self.rendition
