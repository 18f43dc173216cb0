"""What a browser can show of a part: 3GP, AMR and odd WAVs made into what browsers play.

Comes in: a part's file and its real format. Goes out: a file and its media type. Never: a claim of the sender's
about the type, or a change to the part.
"""

from __future__ import annotations

import io
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

from mmsprep.formats.wbmp import wbmp_size_px
from mmsprep.model import Attachment, Kind
from mmsprep.sandbox.exchange import ShownPart
from mmsprep.settings import Settings
from mmsprep.tools import ffmpeg
from mmsprep.tools.untrusted import content_of
from mmsprep.tools.workspace import Workspace

AS_IT_IS = {"jpeg": "image/jpeg", "gif": "image/gif", "bmp": "image/bmp", "mp3": "audio/mpeg"}
"""Formats that every browser shows without help, and their media types."""

CONVERTED = {
    "mp4": ("video/mp4", ("3gp", "mp4", "mpeg-ps", "mpeg-ts", "mpeg-video")),
    "webm": ("video/webm", ("3gp", "mp4", "mpeg-ps", "mpeg-ts", "mpeg-video")),
    "wav": ("audio/wav", ("amr", "wav")),
    "png": ("image/png", ("wbmp",)),
}
"""What can be asked for by extension: its media type, and the formats that it is made from.

Clips come in two kinds because not every Chromium is built with H.264.
"""

_TIMEOUT_S = 60.0
_MAX_PX = 1280
_MAX_S = 900
_lock = threading.Lock()


def sources(part: ShownPart) -> list[tuple[str, str]]:
    """Extension and media type of what can be played for ``part``, best first; the extension is empty for itself."""
    if part.format in AS_IT_IS:
        return [("", AS_IT_IS[part.format])]
    return [
        (extension, media_type) for extension, (media_type, made_from) in CONVERTED.items() if part.format in made_from
    ]


def playable(original: Path, part: ShownPart, extension: str, settings: Settings) -> Path:
    """Convert a part once; later calls get the same file. Blocks while ffmpeg works.

    Raises:
        ToolError: ffmpeg is missing or cannot read the part.
        KeyError: nothing of that extension can be made from the part.
    """
    if part.format not in CONVERTED[extension][1]:
        raise KeyError(extension)
    target = original.with_name(f"{original.name}.{extension}")
    # One conversion at a time: a page with many clips must not take the whole machine.
    with _lock:
        if not target.exists():
            data = _png_of_wbmp(original) if extension == "png" else _converted(original, part, extension, settings)
            unfinished = target.with_suffix(".part")
            unfinished.write_bytes(data)
            unfinished.replace(target)
    return target


def _converted(original: Path, part: ShownPart, extension: str, settings: Settings) -> bytes:
    with Workspace(replace(settings, tool_timeout_s=_TIMEOUT_S)) as workspace:
        made = workspace.new_path(f".{extension}")
        source = ffmpeg.safe_input(original.absolute(), part.format, t=_MAX_S)
        ffmpeg.run(workspace, _output(source, part.kind, extension, made))
        return workspace.read(made)


def _png_of_wbmp(original: Path) -> bytes:
    """WAP-237: a header of two bytes, width, height, then rows of whole bytes in which 1 is white."""
    from PIL import Image

    with content_of(Attachment(0, original.name, original.stat().st_size, path=original)) as content:
        size_px = wbmp_size_px(content)
    if size_px is None:
        raise KeyError("png")
    rows = original.read_bytes()[-((size_px[0] + 7) // 8 * size_px[1]) :]
    png = io.BytesIO()
    Image.frombytes("1", size_px, rows).save(png, "PNG")
    return png.getvalue()


def _output(source: Any, kind: Kind, extension: str, made: Path) -> Any:
    import ffmpeg as graph

    if kind is Kind.AUDIO:
        return graph.output(source, f"file:{made}", f="wav", acodec="pcm_s16le", map="0:a:0")
    fit = f"min(1,{_MAX_PX}/(iw*sar))"
    options = {
        "vf": f"scale=w='trunc(iw*sar*{fit}/2)*2':h='trunc(ih*{fit}/2)*2',setsar=1",
        "pix_fmt": "yuv420p",
        "map_metadata": "-1",
    }
    if extension == "mp4":
        options |= {"vcodec": "libx264", "preset": "veryfast", "crf": "18", "acodec": "aac", "movflags": "+faststart"}
    else:
        options |= {"vcodec": "libvpx", "crf": "8", "video_bitrate": "2M", "deadline": "realtime", "cpu-used": "4"}
        options |= {"acodec": "libvorbis"}
    return graph.output(source["v:0"], source["a:0?"], f"file:{made}", f=extension, **options)
