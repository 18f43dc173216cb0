"""Pictures: decoded once, then JPEG or GIF, whichever says more in the bytes there are.

Comes in: any picture. Goes out: sources for photos, graphics and animations. Never: an enlarged picture, or
hidden colour under transparency.

What renders is loaded beside the decode, which takes place in a worker.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from PIL import Image

from mmsprep.errors import Damaged
from mmsprep.model import Attachment, MediaInfo, Plan, Source
from mmsprep.profile import Profile
from mmsprep.tools.isolation import isolated
from mmsprep.tools.workspace import Workspace
from mmsprep.transcode.image import pages, pixels
from mmsprep.transcode.image.readable import readable

_BROKEN_ANIMATION = "its animation is damaged; the picture that is shown in its place is sent"


def open_source(attachment: Attachment, info: MediaInfo, plan: Plan, profile: Profile, workspace: Workspace) -> Source:
    """Decode a picture or an animation, once.

    Raises:
        Damaged: it does not decode to its end.
        OverInputLimit: it has more pixels or frames than the settings let in.
    """
    told: tuple[str, ...] = ()
    if pixels.is_animation(info) and profile.image.animations == "play" and "gif" in profile.image.targets:
        from mmsprep.transcode.image.animation import AnimationSource

        try:
            return AnimationSource(attachment, info, profile, workspace)
        except Damaged:
            # A PNG is a whole picture without its animation, and viewers show that one then.
            if info.format != "png":
                raise
            told = (_BROKEN_ANIMATION,)
            info = replace(info, frame_count=1)
    with readable(attachment, info, workspace) as (ready, known):
        try:
            picture = isolated(workspace, pixels.decode, ready, known, profile.image, workspace.settings)
        except Damaged:
            if info.format != "png" or not pixels.is_animation(info):
                raise
            told, still = (_BROKEN_ANIMATION,), replace(info, frame_count=1)
            picture = isolated(workspace, pixels.decode, ready, still, profile.image, workspace.settings)
    from mmsprep.transcode.image.rendered import source_of

    return source_of(replace(picture, notes=(*told, *picture.notes)), profile)


@dataclass(frozen=True, slots=True)
class OpenedPage:
    """A page of a tall picture: its rows, ``top_px`` up to ``bottom_px`` (without it), and a source for them."""

    top_px: int
    bottom_px: int
    source: Source


def open_pages(
    attachment: Attachment, info: MediaInfo, profile: Profile, workspace: Workspace, halvings: int = 0
) -> tuple[tuple[int, int], list[OpenedPage]]:
    """Decode a tall picture once: its width and height, and its pages from top to bottom.

    ``halvings`` says how often the pages are to be half as high as usual.

    Raises:
        Damaged: it does not decode to its end.
        OverInputLimit: it has more pixels than the settings let in, or would become more pages than anybody reads.
    """
    with readable(attachment, info, workspace) as (ready, known):
        found = isolated(workspace, pages.decode_pages, ready, known, profile.image, workspace.settings, halvings)
    from mmsprep.transcode.image.rendered import source_of

    opened = [OpenedPage(page.top_px, page.bottom_px, source_of(page.picture, profile)) for page in found.pages]
    return (found.width_px, found.height_px), opened


def from_picture(image: Image.Image, profile: Profile, notes: tuple[str, ...] = ()) -> Source:
    """A source for a picture that is already decoded; it is made smaller where the profile says so."""
    from mmsprep.transcode.image.rendered import source_of

    picture = pixels.sized(image, profile.image)
    return source_of(replace(picture, notes=(*notes, *picture.notes)), profile)
