"""A picture of Pillow's that is decoded another way where Pillow's own fails.

Comes in: a decoder of Pillow's to stand before. Goes out: its pictures, or what it raised. Never: a picture of another
size than the header says.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, BinaryIO

from PIL import Image, ImageFile


class Retried(ABC, ImageFile.ImageFile):
    """To stand before a decoder of Pillow's in the bases of a class, which says what to do by :meth:`_otherwise`."""

    def __init__(self, file: BinaryIO) -> None:
        self._whole = file
        super().__init__(file)

    def load(self) -> Any:
        """Decode."""
        try:
            return super().load()
        except Exception:
            other = self._otherwise(self._whole)
            if other is None or other.size != self.size:
                raise
            self._mode, self.im, self.tile = other.mode, other.im, []
            return super().load()

    @abstractmethod
    def _otherwise(self, file: BinaryIO) -> Image.Image | None:
        """The same picture, loaded another way; ``None``: there is none."""
