"""A source that can be made in one size only: texts and melodies.

Comes in: finished bytes. Goes out: a source whose curve is one point. Never: an encode.
"""

from __future__ import annotations

from mmsprep.formats import FORMATS
from mmsprep.model import Action, Curve, CurvePoint, Rendition


class FixedSource:
    """Bytes that are what they are (see :class:`mmsprep.model.Source`)."""

    floor_quality = 0.0

    def __init__(
        self, data: bytes, format_slug: str, *, duration_s: float | None = None, notes: tuple[str, ...] = ()
    ) -> None:
        self._rendition = Rendition(
            data=data,
            format=format_slug,
            content_type=FORMATS[format_slug].content_type,
            action=Action.TRANSCODE,
            quality=100,
            duration_s=duration_s,
            notes=notes,
        )

    def curve(self) -> Curve:
        """One point."""
        return Curve((CurvePoint(self._rendition.size_bytes, 100),), steps=True)

    def render(self, max_bytes: int) -> Rendition:  # noqa: ARG002
        """The bytes, whatever they may be compared with."""
        return self._rendition
