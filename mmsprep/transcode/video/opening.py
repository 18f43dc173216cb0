"""Opening a clip: its mezzanine, its sound, how hard it is.

Comes in: any clip that ffmpeg reads, or pictures that each stand for a while. Goes out: a clip to be rendered. Never: a
second decode of the source.
"""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image

from mmsprep.errors import Damaged, ToolMissing, TypeNotAllowed
from mmsprep.hearing.channels import mixed
from mmsprep.model import Attachment, MediaInfo, Plan
from mmsprep.profile import Profile, VideoRules
from mmsprep.tools.workspace import Workspace
from mmsprep.transcode.sound.carried import nothing_heard
from mmsprep.transcode.sound.level import Levelled, heard_in
from mmsprep.transcode.sound.pcm import decode_pcm
from mmsprep.transcode.video.clip import Opened, VideoSource
from mmsprep.transcode.video.forecast import Forecast
from mmsprep.transcode.video.mezzanine import Mezzanine, decode_mezzanine, mezzanine_of_pictures
from mmsprep.transcode.video.pictures import ground_of
from mmsprep.transcode.video.steps import logged

_SOUND_LONGER_S = 0.03
"""Seconds that a sound may go on after the pictures before it is cut."""


def open_source(
    attachment: Attachment,
    info: MediaInfo,
    plan: Plan,
    profile: Profile,
    workspace: Workspace,
) -> VideoSource:
    """Decode a clip, once, to a mezzanine at the largest size that can pay.

    Raises:
        Damaged: no frame decodes, or far fewer than the clip declares.
    """
    rules = profile.video
    if rules is None:
        raise TypeNotAllowed(attachment.name, f"is a clip, which the profile {profile.name!r} does not carry")
    ground, ground_notes = ground_of(attachment, info, workspace, profile.image.background)
    mezzanine = decode_mezzanine(attachment, info, rules, profile.message.limit_bytes, workspace, ground)
    sound, notes = _sound_of(attachment, info, rules, mezzanine, workspace)
    duration_s = mezzanine.picture_s if mezzanine.complete else max(info.duration_s or 0.0, mezzanine.picture_s)
    if sound and mezzanine.complete and sound.mix.duration_s > duration_s + _SOUND_LONGER_S:
        duration_s = sound.mix.duration_s
    work = Opened(
        mezzanine=mezzanine,
        sound=sound,
        forecast=Forecast(mezzanine, workspace),
        duration_s=duration_s,
        contrast=mezzanine.contrast,
        notes=(*notes, *ground_notes),
    )
    return VideoSource(work, rules, workspace)


def clip_of_pictures(frames: Sequence[tuple[Image.Image, int]], profile: Profile, workspace: Workspace) -> VideoSource:
    """A clip of pictures that each stand for so many milliseconds; for a profile that carries clips.

    Together they stand no longer than :func:`mmsprep.transcode.video.mezzanine.longest_clip_s`.
    """
    assert profile.video is not None
    mezzanine = mezzanine_of_pictures(frames, profile.video, workspace)
    forecast = Forecast(mezzanine, workspace)
    work = Opened(mezzanine, None, forecast, mezzanine.picture_s, mezzanine.contrast, ())
    return VideoSource(work, profile.video, workspace)


@logged("sound")
def _sound_of(
    attachment: Attachment, info: MediaInfo, rules: VideoRules, mezzanine: Mezzanine, workspace: Workspace
) -> tuple[Levelled | None, tuple[str, ...]]:
    """The sound track, unless it is silent or does not decode; clips go without it then."""
    if not info.audio_codec or not rules.audio_ladder:
        return None, ()
    longest_s = None if mezzanine.complete else mezzanine.picture_s
    try:
        pcm = decode_pcm(attachment, info, workspace, longest_s=longest_s)
    except (Damaged, ToolMissing, TypeNotAllowed):
        return None, (f"its sound track ({info.audio_codec}) does not decode and is left out",)
    mix = mixed(pcm.sound)
    if nothing_heard(mix):
        return None, ("its sound track is silent and left out",)
    sound = Levelled(mix, heard_in(mix))
    if not any(sound.carried(step).is_heard for step in rules.audio_ladder):
        return None, ("what is heard in its sound track is nothing that the profile's clips carry: left out",)
    return sound, (*pcm.notes, *mix.notes)
