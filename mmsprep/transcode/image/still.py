"""Pictures: decoded once, then JPEG or GIF, whichever says more in the bytes there are.

Comes in: any picture. Goes out: sources for photos, graphics and animations. Never: an enlarged picture, or
hidden colour under transparency.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from mmsprep.model import Attachment, Curve, CurvePoint, MediaInfo, Plan, Rendition, Source
from mmsprep.profile import Profile
from mmsprep.tools.isolation import isolated
from mmsprep.tools.workspace import Workspace
from mmsprep.transcode.image import pixels
from mmsprep.transcode.image.animation import AnimationSource
from mmsprep.transcode.image.ladder import LadderSource, bitmap_source, gif_source
from mmsprep.transcode.image.photo import PhotoSource
from mmsprep.transcode.image.shrink import shrunk

_GRAPHIC_FLATNESS = 0.65
_GRAPHIC_ROWS = 4
_EDGE, _HARD_EDGE, _HARD_SHARE = 8, 64, 0.22
_GRAPHIC_FLOOR = 35.0
_SHARP_ENOUGH = 93.0


def open_source(attachment: Attachment, info: MediaInfo, plan: Plan, profile: Profile, workspace: Workspace) -> Source:
    """Decode a picture or an animation, once.

    Raises:
        Damaged: it does not decode to its end.
        OverInputLimit: it has more pixels or frames than the settings let in.
    """
    animated = (info.frame_count or 1) > 1 and info.format in ("gif", "webp", "png", "avif")
    if animated and "gif" in profile.image.targets:
        return AnimationSource(attachment, info, profile, workspace)
    picture = isolated(workspace, pixels.decode, attachment, info, profile.image, workspace.settings)
    return from_picture(picture.image, plan, profile, picture.notes)


def from_picture(
    image: Image.Image,
    plan: Plan,
    profile: Profile,
    notes: tuple[str, ...] = (),
) -> Source:
    """A source for a picture that is already decoded; it is made smaller where the profile says so."""
    rules = profile.image
    graphic = is_graphic(image)
    # Pillow's encoders copy comments and more from here into what they write.
    image = image.copy()
    image.info = {}
    size = pixels.target_size(image.width, image.height, rules)
    image = shrunk(image, size)
    if "jpeg" not in rules.targets:
        if "gif" in rules.targets:
            return gif_source(image, rules.floor_quality, notes)
        return bitmap_source(image, notes)
    floor = max(rules.floor_quality, _GRAPHIC_FLOOR) if graphic else rules.floor_quality
    photo = PhotoSource(image, floor_quality=floor, graphic=graphic, notes=notes)
    if graphic and "gif" in rules.targets:
        return _GraphicSource(photo, gif_source(image, floor, notes, scales=(1.0,)))
    return photo


def is_graphic(image: Image.Image) -> bool:
    """Whether a picture is drawn (a logo, a screenshot, lettering): mostly one colour, and hard edges in between.

    Measured on every fourth row before it is made smaller: drawn pictures, screenshots saved as JPEG included, have
    0.7..0.96 of their neighbours alike and 0.3..1.0 of their edges hard; photographs up to 0.6 and 0.15. Photos
    on a white ground reach 0.9 alike, their edges stay soft.
    """
    rows = np.asarray(image.convert("RGB"))[::_GRAPHIC_ROWS]
    left, right = rows[:, :-1], rows[:, 1:]
    apart = np.maximum(left, right) - np.minimum(left, right)
    steps = np.maximum(np.maximum(apart[..., 0], apart[..., 1]), apart[..., 2])
    edges = np.count_nonzero(steps > _EDGE)
    alike = np.count_nonzero(steps == 0)
    return bool(alike >= _GRAPHIC_FLATNESS * steps.size and np.count_nonzero(steps > _HARD_EDGE) >= _HARD_SHARE * edges)


class _GraphicSource:
    """A drawn picture: a GIF of fewer or more colours, or a JPEG with whole chroma, whichever says more."""

    def __init__(self, photo: PhotoSource, gif: LadderSource) -> None:
        self.floor_quality = photo.floor_quality
        self.fingerprint = photo.fingerprint
        self._photo = photo
        self._gif = gif

    def curve(self) -> Curve:
        """The upper edge of both curves; a GIF's part of it is real, a sharp one is what the picture is worth."""
        photo = self._photo.curve()
        points = (*photo.points, *self._gif.curve().points)
        best: list[CurvePoint] = []
        for point in sorted(points, key=lambda point: (point.size_bytes, -point.quality)):
            if not best or point.quality > best[-1].quality:
                best.append(point)
        return Curve(tuple(best), whole_bytes=self._gif.whole_bytes(_SHARP_ENOUGH) or photo.whole_bytes)

    def render(self, max_bytes: int) -> Rendition:
        """The better one within ``max_bytes``."""
        gif = self._gif.render(max_bytes)
        if gif.size_bytes <= max_bytes and gif.quality >= _SHARP_ENOUGH:
            return gif
        photo = self._photo.render(max_bytes)
        return max(photo, gif, key=lambda made: (made.size_bytes <= max_bytes, made.quality))
