"""Opening a source: one module a kind of media, each decodes once and then renders at any size."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmsprep.formats import FORMATS
from mmsprep.model import Attachment, Kind, MediaInfo, Plan, Source

if TYPE_CHECKING:
    from mmsprep.profile import Profile
    from mmsprep.tools.workspace import Workspace
    from mmsprep.transcode.image.still import OpenedPage
    from mmsprep.transcode.video.slides import Slides


def open_source(attachment: Attachment, info: MediaInfo, plan: Plan, profile: Profile, workspace: Workspace) -> Source:
    """Decode ``attachment`` once, as ``plan`` says.

    Raises:
        Damaged: the content does not decode.
        OverInputLimit: decoding it would go over the settings' limits.
        ToolError: ffmpeg failed for another reason.
    """
    if info.is_still_picture or (info.is_single_frame and profile.video is None):
        return open_poster(attachment, info, plan, profile, workspace)
    if FORMATS[plan.target].melody:
        from mmsprep.transcode import melody

        return melody.open_source(attachment, info, plan, profile, workspace)
    match info.kind:
        case Kind.IMAGE:
            from mmsprep.transcode.image import still as image

            return image.open_source(attachment, info, plan, profile, workspace)
        case Kind.AUDIO:
            from mmsprep.transcode.sound import recording as audio

            return audio.open_source(attachment, info, plan, profile, workspace)
        case Kind.VIDEO:
            from mmsprep.transcode.video import opening as video

            return video.open_source(attachment, info, plan, profile, workspace)
    from mmsprep.transcode import text

    return text.open_source(attachment, info, plan, profile, workspace)


def vanishes(attachment: Attachment, info: MediaInfo, background: str, workspace: Workspace) -> bool:
    """Whether something in a picture would not be seen on ``background``; see
    :func:`mmsprep.transcode.image.frames.vanishes`."""
    from mmsprep.tools.isolation import isolated
    from mmsprep.transcode.image import frames
    from mmsprep.transcode.image.readable import readable

    with readable(attachment, info, workspace) as (ready, known):
        return isolated(workspace, frames.vanishes, ready, known, background, workspace.settings)


def open_slides(
    attachment: Attachment, info: MediaInfo, profile: Profile, workspace: Workspace, most_parts: int
) -> Slides:
    """A clip's scenes as pictures and its sound; see :func:`mmsprep.transcode.video.slides.open_slides`."""
    from mmsprep.transcode.video import slides

    return slides.open_slides(attachment, info, profile, workspace, most_parts)


def open_pages(
    attachment: Attachment, info: MediaInfo, profile: Profile, workspace: Workspace, halvings: int = 0
) -> tuple[tuple[int, int], list[OpenedPage]]:
    """A tall picture in pages; see :func:`mmsprep.transcode.image.still.open_pages`."""
    from mmsprep.transcode.image import still

    return still.open_pages(attachment, info, profile, workspace, halvings)


def open_poster(attachment: Attachment, info: MediaInfo, plan: Plan, profile: Profile, workspace: Workspace) -> Source:
    """A source that renders the best frame of a clip as a picture.

    Raises:
        Damaged: no frame of the clip decodes.
        ToolError: ffmpeg failed for another reason.
    """
    from mmsprep.transcode.image import still as image
    from mmsprep.transcode.video import pictures

    notes = () if info.audio_codec is None else (f"its sound ({info.duration_s or 0:.1f} s) is left out",)
    ground, ground_notes = pictures.ground_of(attachment, info, workspace, profile.image.background)
    frame = pictures.best_frame(attachment, info, workspace, ground)
    return image.from_picture(frame, profile, (*notes, *ground_notes))
