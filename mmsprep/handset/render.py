"""A part as a phone shows it, in what a browser shows: scaled, stopped, or through the telephone's coding.

Comes in: a part and what its phone does with it. Goes out: bytes and their media type. Never: the part itself changed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from mmsprep.errors import InputError
from mmsprep.formats import FORMATS
from mmsprep.handset.judge import Showing, shown_size_px
from mmsprep.handset.model import Handset
from mmsprep.handset.scene import Scene, Shown
from mmsprep.model import Kind, MediaInfo
from mmsprep.settings import Settings
from mmsprep.tools.workspace import Workspace
from mmsprep.transcode import browser
from mmsprep.transcode.browser import Rendering

_TIMEOUT_S = 60.0
_ANIMATED_BYTES = 2_000_000


def render(shown: Shown, handset: Handset, settings: Settings) -> list[Rendering]:
    """What can be shown or played, best first; empty for texts, melodies and what the phone does not play.

    Raises:
        MmsprepError: the part does not decode, or ffmpeg is missing.
    """
    info = shown.item.info
    if info is None or shown.verdict.showing is Showing.UNSUPPORTED:
        return []
    with Workspace(replace(settings, tool_timeout_s=_TIMEOUT_S)) as workspace:
        if info.kind is Kind.IMAGE:
            return [_picture(shown, info, handset, workspace)]
        if info.kind is Kind.AUDIO:
            return _sound(shown, info, workspace)
        if info.kind is Kind.VIDEO:
            return _clips(shown, info, handset, workspace)
    return []


def render_all(scene: Scene, settings: Settings) -> dict[str, list[Rendering]]:
    """What each part of a scene looks like, by name; a part that cannot be decoded has nothing.

    Raises:
        ToolError: ffmpeg is missing or cannot be started.
    """
    made: dict[str, list[Rendering]] = {}
    for shown in scene.parts if scene.is_fetched else ():
        try:
            made[shown.item.name] = render(shown, scene.handset, settings)
        except InputError:
            made[shown.item.name] = []
    return made


def _picture(shown: Shown, info: MediaInfo, handset: Handset, workspace: Workspace) -> Rendering:
    data = shown.item.attachment.data or b""
    moves = info.format == "gif" and (info.frame_count or 1) > 1
    if moves and shown.verdict.showing is Showing.SHOWN and len(data) <= _ANIMATED_BYTES:
        return Rendering(data, "image/gif")
    return browser.picture(shown.item.attachment, info, max(shown_size_px(info, handset)), workspace)


def _sound(shown: Shown, info: MediaInfo, workspace: Workspace) -> list[Rendering]:
    if FORMATS[info.format].melody:
        return []
    if info.format == "mp3" and shown.verdict.showing is Showing.SHOWN:
        return [Rendering(shown.item.attachment.data or b"", "audio/mpeg")]
    telephone = shown.verdict.showing is Showing.NARROWBAND
    return [browser.sound(shown.item.attachment, info, workspace, telephone=telephone)]


def _clips(shown: Shown, info: MediaInfo, handset: Handset, workspace: Workspace) -> list[Rendering]:
    size_px = shown_size_px(info, handset)
    silent, telephone = (shown.verdict.showing is one for one in (Showing.SILENT, Showing.NARROWBAND))
    extensions: tuple[Literal["mp4", "webm"], ...] = ("mp4", "webm")
    return [
        browser.clip(shown.item.attachment, info, size_px, workspace, extension=one, silent=silent, telephone=telephone)
        for one in extensions
    ]
