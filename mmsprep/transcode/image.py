"""Pictures: decoded once, then JPEG or GIF, whichever says more in the bytes there are.

Comes in: any picture. Goes out: sources for photos, graphics and animations. Never: an enlarged picture, or
hidden colour under transparency.
"""

from __future__ import annotations

import io

from PIL import Image

from mmsprep.formats import FORMATS
from mmsprep.model import Action, Attachment, Curve, CurvePoint, MediaInfo, Plan, Rendition, Source
from mmsprep.profile import Profile
from mmsprep.tools.isolation import isolated
from mmsprep.tools.workspace import Workspace
from mmsprep.transcode import pixels
from mmsprep.transcode.gif import AnimationSource, still
from mmsprep.transcode.ladder import bitmap_source, gif_source
from mmsprep.transcode.photo import PhotoSource

_GRAPHIC_COLOURS = 4096
_GRAPHIC_FLOOR = 35.0


def open_source(attachment: Attachment, info: MediaInfo, plan: Plan, profile: Profile, workspace: Workspace) -> Source:
    """Decode a picture or an animation, once.

    Raises:
        Damaged: it does not decode to its end.
        OverInputLimit: it has more pixels or frames than the settings let in.
    """
    animated = (info.frame_count or 1) > 1 and info.format in ("gif", "webp", "png", "avif")
    if animated and "gif" in profile.image.targets:
        return AnimationSource(attachment, info, profile.image, workspace)
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
    # Pillow's encoders copy comments and more from here into what they write.
    image = image.copy()
    image.info = {}
    size = pixels.target_size(image.width, image.height, rules)
    if size != image.size:
        image = image.resize(size, Image.Resampling.LANCZOS)
    if "jpeg" not in rules.targets:
        if "gif" in rules.targets:
            return gif_source(image, rules.floor_quality, notes)
        return bitmap_source(image, notes)
    graphic = image.getcolors(_GRAPHIC_COLOURS) is not None
    floor = max(rules.floor_quality, _GRAPHIC_FLOOR) if graphic else rules.floor_quality
    photo = PhotoSource(image, floor_quality=floor, graphic=graphic, notes=notes)
    if graphic and "gif" in rules.targets:
        return _GraphicSource(photo, notes)
    return photo


class _GraphicSource:
    """A picture of few colours: the better of one GIF and a JPEG with whole chroma."""

    def __init__(self, photo: PhotoSource, notes: tuple[str, ...]) -> None:
        self.floor_quality = photo.floor_quality
        self.fingerprint = photo.fingerprint
        self._photo = photo
        data = still(photo.reference)
        image = Image.open(io.BytesIO(data)).convert("RGB")
        self._gif = Rendition(
            data=data,
            format="gif",
            content_type=FORMATS["gif"].content_type,
            action=Action.TRANSCODE,
            quality=photo.measure.score(image),
            width_px=image.width,
            height_px=image.height,
            notes=notes,
        )

    def curve(self) -> Curve:
        """The photo's curve, cut off where the GIF is reached."""
        below = [
            point
            for point in self._photo.curve().points
            if point.size_bytes < self._gif.size_bytes or point.quality > self._gif.quality
        ]
        return Curve((*below, CurvePoint(self._gif.size_bytes, self._gif.quality)))

    def render(self, max_bytes: int) -> Rendition:
        """The better one within ``max_bytes``."""
        if self._gif.size_bytes <= max_bytes and self._gif.quality >= 95:
            return self._gif
        photo = self._photo.render(max_bytes)
        if self._gif.size_bytes > max_bytes:
            return photo
        return max(photo, self._gif, key=lambda made: (made.size_bytes <= max_bytes, made.quality))
