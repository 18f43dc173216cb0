"""Media as a browser shows them: PNG or JPEG, WAV or MP3, MP4 or WebM, without a tag of the original.

Comes in: an attachment, what it is, how large it is to be. Goes out: bytes and their media type. Never: the
attachment itself, or anything that is sent.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import Any, Literal

from mmsprep.model import Attachment, MediaInfo, Page
from mmsprep.profile import ImageRules
from mmsprep.tools import ffmpeg
from mmsprep.tools.isolation import isolated
from mmsprep.tools.workspace import Workspace
from mmsprep.transcode.image import pixels
from mmsprep.transcode.image.pages import decode_rows
from mmsprep.transcode.image.readable import readable

LONGEST_S = 300
_TELEPHONE = {"f": "amr", "acodec": "libopencore_amrnb", "audio_bitrate": "12.2k", "ar": 8000, "ac": 1}
_SOUNDS: dict[str, dict[str, Any]] = {
    "wav": {"acodec": "pcm_s16le"},
    "mp3": {"acodec": "libmp3lame", "audio_bitrate": "96k"},
}
_CLIPS: dict[str, dict[str, Any]] = {
    "mp4": {"vcodec": "libx264", "preset": "veryfast", "acodec": "aac", "movflags": "+faststart"},
    "webm": {
        "vcodec": "libvpx",
        "video_bitrate": "2M",
        "deadline": "realtime",
        "cpu-used": "4",
        "acodec": "libvorbis",
    },
}
_FINE_JPEG = 95
_FINE_CRF = {"mp4": 18, "webm": 8}


@dataclass(frozen=True, slots=True)
class Rendering:
    """Bytes for a browser, their media type, and width and height where they have them."""

    data: bytes = field(repr=False)
    media_type: str
    size_px: tuple[int, int] = (0, 0)


def picture(
    attachment: Attachment,
    info: MediaInfo,
    most_px: int,
    workspace: Workspace,
    *,
    jpeg_quality: int | None = None,
    page: Page | None = None,
) -> Rendering:
    """A still picture, or a ``page`` of it, upright, in sRGB, no side longer than ``most_px``.

    A JPEG where it was one, or of ``jpeg_quality`` where that is given and it is not drawn; else a PNG.

    Raises:
        MmsprepError: it does not decode.
    """
    rules = ImageRules(max_long_px=most_px, max_short_px=most_px)
    with readable(attachment, info, workspace) as ready:
        arguments = (*ready, rules, workspace.settings)
        if page is None:
            decoded = isolated(workspace, pixels.decode, *arguments)
        else:
            decoded = isolated(workspace, decode_rows, *arguments, page.top_px, page.bottom_px)
    image, file = decoded.image, io.BytesIO()
    if info.format == "jpeg" if jpeg_quality is None else not decoded.graphic:
        image.save(file, "JPEG", quality=jpeg_quality or _FINE_JPEG)
        return Rendering(file.getvalue(), "image/jpeg", image.size)
    image.save(file, "PNG")
    return Rendering(file.getvalue(), "image/png", image.size)


def sound(
    attachment: Attachment,
    info: MediaInfo,
    workspace: Workspace,
    *,
    extension: Literal["wav", "mp3"] = "wav",
    telephone: bool = False,
) -> Rendering:
    """The first :data:`LONGEST_S` of a recording; ``telephone``: as its narrow band leaves it.

    Raises:
        MmsprepError: it does not decode, or ffmpeg is missing.
    """
    stream = ffmpeg.safe_input(workspace.path_of(attachment), info.format, t=LONGEST_S)["a:0"]
    if telephone:
        stream = _by_telephone(stream, workspace)
    made = workspace.new_path(f".{extension}")
    ffmpeg.run(workspace, _output([stream], made, f=extension, map_metadata=-1, **_SOUNDS[extension]))
    return Rendering(workspace.read(made), "audio/wav" if extension == "wav" else "audio/mpeg")


def clip(
    attachment: Attachment,
    info: MediaInfo,
    size_px: tuple[int, int],
    workspace: Workspace,
    *,
    extension: Literal["mp4", "webm"] = "mp4",
    crf: int | None = None,
    silent: bool = False,
    telephone: bool = False,
) -> Rendering:
    """The first :data:`LONGEST_S` of a clip or an animation at ``size_px``; raises as :func:`sound`.

    ``crf`` (default: fine) is the encoder's constant quality.
    """
    source = ffmpeg.safe_input(workspace.path_of(attachment), info.format, t=LONGEST_S, **ffmpeg.as_coded(info))
    width_px, height_px = (max(2, side_px // 2 * 2) for side_px in size_px)
    streams = [ffmpeg.upright(source["v:0"], info).filter("scale", width_px, height_px).filter("setsar", 1)]
    if info.audio_codec and not silent:
        streams.append(_by_telephone(source["a:0"], workspace) if telephone else source["a:0"])
    made = workspace.new_path(f".{extension}")
    options = _CLIPS[extension] | {"crf": crf or _FINE_CRF[extension], "pix_fmt": "yuv420p", "map_metadata": "-1"}
    ffmpeg.run(workspace, _output(streams, made, f=extension, **options))
    return Rendering(workspace.read(made), f"video/{extension}", (width_px, height_px))


def _by_telephone(stream: Any, workspace: Workspace) -> Any:
    coded = workspace.new_path(".amr")
    ffmpeg.run(workspace, _output([stream], coded, **_TELEPHONE))
    return ffmpeg.safe_input(coded, "amr")["a:0"]


def _output(streams: list[Any], path: Any, **options: Any) -> Any:
    import ffmpeg as graph

    return graph.output(*streams, f"file:{path}", **options)
