"""A part as a phone shows it, in what a browser shows: scaled, stopped, or through the telephone's coding.

Comes in: a part and what its phone does with it. Goes out: bytes and their media type. Never: the part itself changed.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field, replace
from typing import Any

from mmsprep.errors import InputError
from mmsprep.handset.judge import Showing, shown_size_px
from mmsprep.handset.model import Handset
from mmsprep.handset.scene import Scene, Shown
from mmsprep.model import Kind, MediaInfo
from mmsprep.profile import ImageRules
from mmsprep.settings import Settings
from mmsprep.tools import ffmpeg
from mmsprep.tools.isolation import isolated
from mmsprep.tools.workspace import Workspace
from mmsprep.transcode.image import pixels

_TIMEOUT_S = 60.0
_LONGEST_S = 300
_AMR = {"f": "amr", "acodec": "libopencore_amrnb", "audio_bitrate": "12.2k", "ar": 8000, "ac": 1}
_ANIMATED_BYTES = 2_000_000


@dataclass(frozen=True, slots=True)
class Rendering:
    """Bytes for a browser, and their media type."""

    data: bytes = field(repr=False)
    media_type: str


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
            return [_clip(shown, info, handset, workspace, extension) for extension in ("mp4", "webm")]
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
    width_px, height_px = shown_size_px(info, handset)
    side_px = max(width_px, height_px)
    rules = ImageRules(max_long_px=side_px, max_short_px=side_px)
    picture = isolated(workspace, pixels.decode, shown.item.attachment, info, rules, workspace.settings)
    file = io.BytesIO()
    picture.image.save(
        file, "PNG" if info.format != "jpeg" else "JPEG", **({"quality": 95} if info.format == "jpeg" else {})
    )
    return Rendering(file.getvalue(), "image/jpeg" if info.format == "jpeg" else "image/png")


def _sound(shown: Shown, info: MediaInfo, workspace: Workspace) -> list[Rendering]:
    if info.format in ("midi", "imelody", "emelody"):
        return []
    if info.format == "mp3" and shown.verdict.showing is Showing.SHOWN:
        return [Rendering(shown.item.attachment.data or b"", "audio/mpeg")]
    path = workspace.path_of(shown.item.attachment)
    source = ffmpeg.safe_input(path, info.format, t=_LONGEST_S)
    if shown.verdict.showing is Showing.NARROWBAND:
        coded = workspace.new_path(".amr")
        ffmpeg.run(workspace, _output(source["a:0"], coded, **_AMR))
        source = ffmpeg.safe_input(coded, "amr")
    made = workspace.new_path(".wav")
    ffmpeg.run(workspace, _output(source["a:0"], made, f="wav", acodec="pcm_s16le"))
    return [Rendering(workspace.read(made), "audio/wav")]


def _clip(shown: Shown, info: MediaInfo, handset: Handset, workspace: Workspace, extension: str) -> Rendering:
    path = workspace.path_of(shown.item.attachment)
    source = ffmpeg.safe_input(path, info.format, t=_LONGEST_S)
    width_px, height_px = shown_size_px(info, handset)
    picture = source["v:0"].filter("scale", _even(width_px), _even(height_px)).filter("setsar", 1)
    streams = [picture]
    if info.audio_codec and shown.verdict.showing is not Showing.SILENT:
        sound = source["a:0"]
        if shown.verdict.showing is Showing.NARROWBAND:
            coded = workspace.new_path(".amr")
            ffmpeg.run(workspace, _output(sound, coded, **_AMR))
            sound = ffmpeg.safe_input(coded, "amr")["a:0"]
        streams.append(sound)
    made = workspace.new_path(f".{extension}")
    options: dict[str, Any] = {"f": extension, "pix_fmt": "yuv420p", "map_metadata": "-1"}
    if extension == "mp4":
        options |= {"vcodec": "libx264", "preset": "veryfast", "crf": "18", "acodec": "aac", "movflags": "+faststart"}
    else:
        options |= {"vcodec": "libvpx", "crf": "8", "video_bitrate": "2M", "deadline": "realtime", "cpu-used": "4"}
        options |= {"acodec": "libvorbis"}
    import ffmpeg as graph

    ffmpeg.run(workspace, graph.output(*streams, f"file:{made}", **options))
    return Rendering(workspace.read(made), f"video/{extension}")


def _output(stream: Any, path: Any, **options: Any) -> Any:
    import ffmpeg as graph

    return graph.output(stream, f"file:{path}", **options)


def _even(size_px: int) -> int:
    return max(2, size_px // 2 * 2)
