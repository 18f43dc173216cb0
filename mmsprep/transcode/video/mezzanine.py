"""The mezzanine: a clip decoded once, upright, progressive, with square pixels, even frames and plain colours.

Comes in: any clip that ffmpeg reads. Goes out: a small uncompressed copy that every encode starts from, and a few
reference frames at the size at which the clip is looked at. Never: a second decode of the source.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import ffmpeg as graph
from PIL import Image

from mmsprep.errors import Damaged
from mmsprep.model import Attachment, MediaInfo
from mmsprep.profile import VideoRules
from mmsprep.tools import ffmpeg
from mmsprep.tools.workspace import Workspace

DISPLAY_LONG_PX = 1280
"""A clip is looked at in its own size, but hardly larger than this on a phone."""

_MOST_FPS = 30.0
_FPS_TOLERANCE = 1.02
_UNKNOWN_FPS = 25.0
_LOWEST_RATE_KBPS = 10.0
_LEAST_BITS_A_PIXEL = 0.02
_SLOW_FPS = 15.0
_SLOWEST_PICTURES_FPS = 5.0
_LEAST_LONG_PX = 320
_HD_SHORT_PX = 720
_REFERENCE_GROUPS = 16
REFERENCE_FRAMES = 3
_POSTER_S = 20.0
_POSTER_FPS = 5
_TRANSFERS = {"hdr-pq": "smpte2084", "hdr-hlg": "arib-std-b67"}
_PEAK_NITS = 100


@dataclass(frozen=True, slots=True)
class Mezzanine:
    """The decoded picture.

    ``references`` holds the first ``REFERENCE_FRAMES`` frames of every ``reference_every`` frames, at
    ``display_px`` (width, height). ``complete`` is false when the clip is longer than what can ever be sent, and
    only its beginning was decoded. ``bt709`` says which of the two colour matrices the samples need.
    """

    picture: Path
    references: Path
    width_px: int
    height_px: int
    display_px: tuple[int, int]
    fps: float
    frame_count: int
    reference_every: int
    complete: bool
    bt709: bool

    @property
    def picture_s(self) -> float:
        """Seconds of decoded picture."""
        return self.frame_count / self.fps


def decode_mezzanine(
    attachment: Attachment, info: MediaInfo, rules: VideoRules, limit_bytes: int, workspace: Workspace
) -> Mezzanine:
    """Decode the pictures of a clip.

    What is so long that ``limit_bytes`` leave it less than 10 kbit/s is decoded up to there: the rest can never be
    part of a message.

    Raises:
        Damaged: no frame decodes, or far fewer than the clip declares.
        ToolMissing: this ffmpeg lacks the decoder.
        OverInputLimit: the decode takes too long, or too much room.
    """
    longest_s = longest_clip_s(limit_bytes)
    declared_s = _declared_s(info)
    fps = _frame_rate(info.frame_rate_fps, min(rules.max_fps, _MOST_FPS))
    width_px, height_px = _size(info, rules, limit_bytes * 8 / 1000 / max(1.0, min(declared_s, longest_s)))
    display_px = _display_size(info)
    frames = round(min(declared_s or longest_s, longest_s) * fps)
    every = max(4, 2 * math.ceil(frames / _REFERENCE_GROUPS / 2))
    picture, references = workspace.new_path(".y4m"), workspace.new_path(".y4m")
    source = ffmpeg.safe_input(workspace.path_of(attachment), info.format, t=longest_s)
    shown = _upright(source["V:0"], info).filter("fps", f"{fps:.6f}", start_time=0).filter_multi_output("split")
    outputs = [
        _plain(shown[0], info, (width_px, height_px)).output(str(picture), f="yuv4mpegpipe"),
        _plain(shown[1].filter("select", f"lt(mod(n,{every}),{REFERENCE_FRAMES})"), info, display_px).output(
            str(references), f="yuv4mpegpipe", fps_mode="passthrough"
        ),
    ]
    with ffmpeg.decoding(attachment.name):
        ffmpeg.run(workspace, graph.merge_outputs(*outputs))
        picture_bytes = workspace.size_bytes(picture)
    frame_bytes = width_px * height_px * 3 // 2 + len(b"FRAME\n")
    frame_count = picture_bytes // frame_bytes
    if not frame_count:
        raise Damaged(attachment.name, "has no picture that decodes")
    expected_s = min(declared_s, longest_s)
    # An AVI header may count every frame of a packed MPEG-4 stream twice.
    if frame_count / fps < expected_s * (0.5 if info.format == "avi" else 0.9) - 0.5:
        raise Damaged(
            attachment.name,
            f"decodes for {frame_count / fps:.1f} s of the {expected_s:.1f} s that it declares; copy or download"
            " it again",
        )
    return Mezzanine(
        picture=picture,
        references=references,
        width_px=width_px,
        height_px=height_px,
        display_px=display_px,
        fps=fps,
        frame_count=frame_count,
        reference_every=every,
        complete=declared_s <= longest_s,
        bt709=_is_hdr(info) or min(info.width_px or 0, info.height_px or 0) >= _HD_SHORT_PX,
    )


def longest_clip_s(limit_bytes: int) -> float:
    """Seconds of clip that ``limit_bytes`` can carry at all, at 10 kbit/s."""
    return limit_bytes * 8 / 1000 / _LOWEST_RATE_KBPS


def mezzanine_of_pictures(
    frames: Sequence[tuple[Image.Image, int]], rules: VideoRules, limit_bytes: int, workspace: Workspace
) -> Mezzanine:
    """A mezzanine of RGB pictures of one size, each with how many milliseconds it stands; timing is kept.

    ffmpeg is handed every picture once, and repeats it for as long as it stands, at the rate of the one that stands
    shortest. For pictures that together stand no longer than :func:`longest_clip_s`.
    """
    shortest_ms = min(duration_ms for _, duration_ms in frames)
    fps = min(rules.max_fps, _UNKNOWN_FPS, max(_SLOWEST_PICTURES_FPS, 1000 / shortest_ms))
    ends = [round(end * fps / 1000) for end in accumulate(duration_ms for _, duration_ms in frames)]
    frame_count = max(1, ends[-1])
    places = [(image, start) for (image, _), start, end in zip(frames, [0, *ends], ends, strict=False) if end > start]
    places = places or [(frames[0][0], 0)]
    # A stream says when a picture begins, not when the last one ends.
    places.append((places[-1][0], frame_count))
    width, height = frames[0][0].size
    size = _paying_size(width, height, rules, limit_bytes * 8 * fps / 1000 / frame_count)
    display_px = even(width), even(height)
    every = max(4, 2 * math.ceil(frame_count / _REFERENCE_GROUPS / 2))
    picture, references = workspace.new_path(".y4m"), workspace.new_path(".y4m")
    rate = f"{fps:.6f}"
    shown = graph.input("pipe:0", f="rawvideo", pix_fmt="rgb24", s=f"{width}x{height}", r=rate).video
    both = shown.filter("setpts", _steps([start for _, start in places])).filter_multi_output("split")
    repeated = [
        _pictures_in(stream, size_px).filter("fps", rate).filter("trim", end_frame=frame_count)
        for stream, size_px in ((both[0], size), (both[1], display_px))
    ]
    sampled = repeated[1].filter("select", f"lt(mod(n,{every}),{REFERENCE_FRAMES})")
    outputs = [
        stream.output(str(path), f="yuv4mpegpipe", fps_mode="passthrough")
        for stream, path in ((repeated[0], picture), (sampled, references))
    ]
    ffmpeg.run(workspace, graph.merge_outputs(*outputs), stdin=b"".join(image.tobytes() for image, _ in places))
    return Mezzanine(picture, references, *size, display_px, fps, frame_count, every, complete=True, bt709=False)


def _steps(starts: Sequence[int]) -> str:
    """When each picture begins, in frames, as ffmpeg computes it from the picture's number ``N``."""
    return "+".join(f"{after - before}*gte(N,{n})" for n, (before, after) in enumerate(pairwise(starts), 1)) or "0"


def _pictures_in(stream: Any, size: tuple[int, int]) -> Any:
    """RGB as the colours that untagged video is taken for."""
    stream = stream.filter("scale", *size, flags="bicubic", out_range="tv", out_color_matrix="bt601")
    return stream.filter("setsar", "1").filter("format", "yuv420p")


def best_frame(attachment: Attachment, info: MediaInfo, workspace: Workspace) -> Image.Image:
    """The most representative frame of a clip's first 20 s, as RGB in its own size.

    Raises:
        Damaged: no frame decodes.
        ToolMissing: this ffmpeg lacks the decoder.
        OverInputLimit: the decode takes too long, or too much room.
    """
    source = ffmpeg.safe_input(workspace.path_of(attachment), info.format, t=_POSTER_S)
    size = (info.width_px, info.height_px) if info.width_px and info.height_px else None
    several = (info.frame_count or 2) > 1
    stream = _upright(source["V:0"], info)
    if several:
        stream = stream.filter("fps", _POSTER_FPS)
        stream = stream.filter("thumbnail", round(_POSTER_S * _POSTER_FPS))
    stream = _plain(stream, info, size)
    output = stream.output("pipe:1", f="image2pipe", vcodec="png", vframes=1, pix_fmt="rgb24")
    with ffmpeg.decoding(attachment.name, "has no picture that decodes"):
        data = ffmpeg.run(workspace, output).stdout
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            return image.convert("RGB")
    except OSError as error:
        raise Damaged(attachment.name, "has no picture that decodes") from error


def _upright(stream: Any, info: MediaInfo) -> Any:
    """Whole frames; ffmpeg itself turns what a rotation flag says."""
    return stream.filter("bwdif", mode="send_frame", deint="interlaced") if info.interlaced else stream


def _plain(stream: Any, info: MediaInfo, size: tuple[int, int] | None) -> Any:
    """Square pixels at ``size``, standard dynamic range, 8-bit 4:2:0 in the range of television."""
    stream = stream.filter("scale", *(size or ("iw", "ih")), flags="bicubic", out_range="tv").filter("setsar", "1")
    if _is_hdr(info):
        stream = stream.filter("format", "yuv420p10le").filter(
            "zscale", tin=_TRANSFERS[info.colour or ""], pin="2020", min="2020_ncl", t="linear", npl=_PEAK_NITS
        )
        stream = stream.filter("format", "gbrpf32le").filter("zscale", p="709")
        stream = stream.filter("tonemap", "mobius", desat=0)
        stream = stream.filter("zscale", t="709", m="709", r="limited")
    return stream.filter("format", "yuv420p")


def _is_hdr(info: MediaInfo) -> bool:
    return info.colour in _TRANSFERS


def _declared_s(info: MediaInfo) -> float:
    """How long the pictures last; the sound of a clip may last longer."""
    duration_s = info.duration_s or 0.0
    if info.frame_count and info.frame_rate_fps:
        return min(duration_s, info.frame_count / info.frame_rate_fps) if duration_s else 0.0
    return duration_s


def _frame_rate(source_fps: float | None, most_fps: float) -> float:
    """The source's rate, or a whole fraction of it: uneven steps are seen as jerks."""
    fps = source_fps or min(_UNKNOWN_FPS, most_fps)
    divided = fps / math.ceil(fps / (most_fps * _FPS_TOLERANCE))
    return divided if divided >= 0.6 * most_fps or divided == fps else most_fps


def _size(info: MediaInfo, rules: VideoRules, rate_kbps: float) -> tuple[int, int]:
    return _paying_size(info.width_px or 320, info.height_px or 240, rules, rate_kbps)


def _paying_size(width: int, height: int, rules: VideoRules, rate_kbps: float) -> tuple[int, int]:
    """The largest size that can pay at ``rate_kbps`` and is allowed; never larger than the source."""
    allowed = min(1.0, rules.max_long_px / max(width, height), rules.max_short_px / min(width, height))
    pixels = rate_kbps * 1000 / (_SLOW_FPS * _LEAST_BITS_A_PIXEL)
    paying = max(math.sqrt(pixels / (width * height)), _LEAST_LONG_PX / max(width, height))
    factor = min(allowed, paying)
    return even(width * factor), even(height * factor)


def _display_size(info: MediaInfo) -> tuple[int, int]:
    width, height = info.width_px or 320, info.height_px or 240
    factor = min(1.0, DISPLAY_LONG_PX / max(width, height))
    return even(width * factor), even(height * factor)


def even(length: float) -> int:
    """The nearest even number of pixels; 4:2:0 has no other."""
    return max(2, round(length / 2) * 2)
