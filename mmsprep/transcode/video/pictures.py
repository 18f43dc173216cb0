"""A clip's pictures as plain ones: upright, progressive, with square pixels and the colours that phones expect.

Comes in: any clip that ffmpeg reads. Goes out: streams of ffmpeg's to encode or to look at, and single frames as RGB.
Never: a size, a rate, or a file that stays.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import ffmpeg as graph
from PIL import Image

from mmsprep.errors import Damaged
from mmsprep.formats.cicp import BT2020
from mmsprep.model import Attachment, MediaInfo
from mmsprep.seeing.contrast import SIDE_PX
from mmsprep.tools import ffmpeg
from mmsprep.tools.workspace import Workspace
from mmsprep.transcode.colours import tables
from mmsprep.transcode.image.colour import clear_all_over, ground_note, least_opacity
from mmsprep.transcode.image.ground import MOST_LOOKED_AT, ground_for

_HD_SHORT_PX = 720
"""Lines from which BT.709 is the usual coding, BT.601 below."""
_POSTER_S = 20.0
_POSTER_FPS = 5
"""Seconds, and frames a second of them, that the best frame is chosen from."""
_OPAQUE = 250
"""Below this, something can be seen through."""
_MATRICES = {"bt709": "bt709", "smpte170m": "smpte170m", "smpte240m": "smpte240m", "fcc": "fcc", "bt2020": "bt2020nc"}
_ZIMG_MATRICES = {"bt709": "709", "smpte170m": "170m", "smpte240m": "240m", "fcc": "fcc", "bt2020": "2020_ncl"}
"""What ffmpeg's ``colorspace``, and its ``zscale``, call those that they know."""
Kernel = Literal["lanczos", "sharp", "soft"]
"""How pictures are scaled: by Lanczos with three lobes, as what they are compared with is, or by a cubic with one.

The sharp one keeps of fine detail nearly what Lanczos does (0.82 for 0.88 at three quarters of what fewer pixels can
show), overshoots at edges once and less (7.1 for 7.3 %), and takes two thirds of the time. What is encoded of it is 1.0
VMAF and 0.5 NEG better (mean of 28 clips and budgets; 0.3 NEG worse at most), and the same by SSIMULACRA2 and PSNR. The
soft one is what forecasts from the probe were measured with."""
CUBIC: dict[Kernel, float] = {"sharp": 0.85, "soft": 0.6}
"""``c`` of the two parameters of a cubic; ``b`` is 0. With 0.75 the sharp one is 0.3 VMAF and 0.05 NEG better than
Lanczos, with 0.9 1.3 and 0.6, of which SSIMULACRA2 sees nothing."""
_ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
_EXACTLY = "accurate_rnd+full_chroma_int"
_NO_PICTURE = "has no picture that decodes"
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def best_frame(
    attachment: Attachment, info: MediaInfo, workspace: Workspace, background: str = "#ffffff"
) -> Image.Image:
    """The most representative frame of a clip's first 20 s, as RGB in its own size, over ``background``.

    Raises:
        Damaged: no frame decodes.
        ToolMissing: this ffmpeg lacks the decoder.
        OverInputLimit: the decode takes too long, or too much room.
    """
    several = (info.frame_count or 2) > 1
    stream = upright_pictures(attachment, info, workspace, t=_POSTER_S)
    if several:
        stream = stream.filter("fps", _POSTER_FPS)
        stream = stream.filter("thumbnail", round(_POSTER_S * _POSTER_FPS))
    return rgb_frames(stream, 1, attachment, info, workspace, background)[0]


def upright_pictures(attachment: Attachment, info: MediaInfo, workspace: Workspace, **options: str | float) -> Any:
    """The pictures of a clip, or of the seconds that are wanted of it, as a stream of whole upright frames."""
    options |= _decoder(info)
    return ffmpeg.pictures_of(workspace.path_of(attachment), info, attachment.span, **options)


def rgb_frames(
    stream: Any, most: int, attachment: Attachment, info: MediaInfo, workspace: Workspace, background: str = "#ffffff"
) -> list[Image.Image]:
    """The first ``most`` frames of a stream of :func:`upright_pictures`, in their own size, over ``background``.

    Raises:
        Damaged: none decodes.
        ToolMissing: this ffmpeg lacks the decoder.
        OverInputLimit: the decode takes too long, or too much room.
    """
    size = (info.width_px, info.height_px) if info.width_px and info.height_px else None
    matrix = matrix_of(size or (0, 0))
    stream = plain(stream, Look(info, matrix, tables_of(info, workspace), background), size).filter(
        "scale", flags="accurate_rnd+full_chroma_int", in_color_matrix=matrix, in_range="tv", out_range="pc"
    )
    output = stream.output(
        "pipe:1", f="image2pipe", vcodec="png", vframes=most, pix_fmt="rgb24", fps_mode="passthrough"
    )
    with naming_the_codec(attachment, info, workspace), ffmpeg.decoding(attachment.name, _NO_PICTURE):
        return _pngs(attachment, ffmpeg.run(workspace, output).stdout)


def ground_of(
    attachment: Attachment, info: MediaInfo, workspace: Workspace, background: str
) -> tuple[str, tuple[str, ...]]:
    """What the transparent parts of a clip come to lie on, and what is to be told of it.

    It is ``background``, or a colour on which nothing vanishes, by some frames of the clip's first 20 s.

    Raises:
        Empty: it is transparent all over, from its beginning to its end.
        As :func:`rgb_frames`.
    """
    if not info.has_alpha:
        return background, ()
    frames = min(info.frame_count or MOST_LOOKED_AT, round(_POSTER_S * (info.frame_rate_fps or 25)))
    every = max(1, frames // MOST_LOOKED_AT)
    stream = upright_pictures(attachment, info, workspace, t=_POSTER_S).filter("select", f"not(mod(n,{every}))")
    output = stream.output(
        "pipe:1", f="image2pipe", vcodec="png", vframes=MOST_LOOKED_AT, pix_fmt="rgba", fps_mode="passthrough"
    )
    with naming_the_codec(attachment, info, workspace), ffmpeg.decoding(attachment.name, _NO_PICTURE):
        seen = _pngs(attachment, ffmpeg.run(workspace, output).stdout)
    if not any(image.getbbox() for image in seen):
        _refuse_clear(attachment, info, workspace)
    if min(map(least_opacity, seen)) >= _OPAQUE:
        return background, ()
    ground = ground_for(seen, background)
    return ground, (ground_note(ground),)


def _refuse_clear(attachment: Attachment, info: MediaInfo, workspace: Workspace) -> None:
    """Look at four frames of every second."""
    opacity = upright_pictures(attachment, info, workspace).filter("fps", 4).filter("alphaextract")
    small = opacity.filter("scale", SIDE_PX, SIDE_PX, flags="area")
    with ffmpeg.decoding(attachment.name, _NO_PICTURE):
        data = ffmpeg.run(workspace, small.output("pipe:1", f="rawvideo", pix_fmt="gray")).stdout
    if not any(data):
        raise clear_all_over(attachment.name)


def _pngs(attachment: Attachment, data: bytes) -> list[Image.Image]:
    """The pictures in a pipe of them."""
    try:
        frames = [_png(_PNG_SIGNATURE + one) for one in data.split(_PNG_SIGNATURE)[1:]]
    except OSError as error:
        raise Damaged(attachment.name, _NO_PICTURE) from error
    if not frames:
        raise Damaged(attachment.name, _NO_PICTURE)
    return frames


def _png(data: bytes) -> Image.Image:
    with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
        image.load()
        return image


@contextmanager
def naming_the_codec(attachment: Attachment, info: MediaInfo, workspace: Workspace) -> Iterator[None]:
    """What does not decode because there is no decoder for it is not damaged."""
    try:
        yield
    except Damaged:
        ffmpeg.refuse_undecodable(attachment.name, "picture", info.video_codec, workspace.settings)
        raise


def matrix_of(size_px: tuple[int, int]) -> str:
    """The matrix that phones take a clip of this size for, whatever it says: BT.709 from 720 lines on."""
    return "bt709" if min(size_px) >= _HD_SHORT_PX else "smpte170m"


@dataclass(frozen=True, slots=True)
class Look:
    """What a clip is read with, the matrix and background that it gets, and whether zimg scales it.

    zimg's Lanczos is swscale's, 54 dB from it, for 40 % of its time: with it a clip of 1080 lines takes an eighth less.
    """

    info: MediaInfo
    matrix: str
    tables: tuple[Path, ...]
    background: str
    by_zimg: bool = False


def _decoder(info: MediaInfo) -> dict[str, str]:
    """ffmpeg's own decoders of VP8 and VP9 pass over what is transparent."""
    return (
        {"c:v": _ALPHA_DECODERS[info.video_codec or ""]}
        if info.has_alpha and info.video_codec in _ALPHA_DECODERS
        else {}
    )


def tables_of(info: MediaInfo, workspace: Workspace) -> tuple[Path, ...]:
    """Tables that make the clip's colours what they look like on a phone, where that is not what its numbers say."""
    return tuple(workspace.put(table, ".cube") for table in tables(info.coding)) if info.coding else ()


def plain(stream: Any, look: Look, size: tuple[int, int] | None, kernel: Kernel = "lanczos") -> Any:
    """Square pixels at ``size``, scaled by ``kernel``, standard dynamic range, 8-bit 4:2:0 in the range of television
    and the look's matrix.

    What the frames say of their colours goes before what is usual for their size; RGB has no matrix to be told.
    """
    shown = size or ("iw", "ih")
    assumed = _assumed(look.info)
    if not look.tables and not look.info.has_alpha:
        return _in_matrix(stream, shown, kernel, assumed, look)
    stream = by_swscale(stream, shown, kernel, _EXACTLY, **assumed).filter("setsar", "1")
    if look.info.has_alpha:
        both = stream.filter("format", "gbrap").filter_multi_output("split")
        ground = both[0].filter("format", "gbrp").filter("drawbox", color=f"0x{look.background[1:]}", t="fill")
        stream = graph.overlay(ground, both[1], format="gbrp")
    if look.tables:
        first, middle, last = map(str, look.tables)
        stream = stream.filter("format", "gbrp16le").filter("lut1d", file=first)
        stream = stream.filter("lut3d", file=middle, interp="tetrahedral").filter("lut1d", file=last)
    # What the source says of its colours is no longer true, and would be heeded.
    stream = stream.filter("setparams", colorspace="gbr", color_primaries="bt709", color_trc="bt709", range="pc")
    plain = {"out_color_matrix": look.matrix, "out_range": "tv"}
    return by_swscale(stream, (), "lanczos", _EXACTLY, **plain).filter("format", "yuv420p")


def _in_matrix(stream: Any, size: Sequence[Any], kernel: Kernel, assumed: dict[str, str], look: Look) -> Any:
    """Scaled to ``size``, 8-bit 4:2:0 in the range of television and the look's matrix; ``assumed`` is what it
    has."""
    own, matrix = assumed.get("in_color_matrix", ""), look.matrix
    if own not in _MATRICES:
        plain = {"out_color_matrix": matrix, "out_range": "tv"}
        stream = by_swscale(stream, size, kernel, _EXACTLY, **assumed, **plain)
        return stream.filter("setsar", "1").filter("format", "yuv420p")
    if look.by_zimg:
        name, given = _ZIMG_MATRICES[own], assumed.get("in_range", "input")
        stream = _by_zimg(stream, size, kernel, min=name, m=name, rin=given, r="tv")
    else:
        stream = by_swscale(stream, size, kernel, **assumed, out_color_matrix=own, out_range="tv")
    stream = stream.filter("setsar", "1").filter("format", "yuv420p")
    if own == matrix:
        return stream
    # By itself, and where there are fewer pixels: as a part of the scaling it takes as long as the decode.
    same = {"iprimaries": "bt709", "primaries": "bt709", "itrc": "bt709", "trc": "bt709", "fast": 1}
    return stream.filter("colorspace", ispace=_MATRICES[own], space=matrix, irange="tv", range="tv", **same)


def scaled(stream: Any, size: tuple[int, int], kernel: Kernel, by_zimg: bool) -> Any:
    """Plain pictures at another size."""
    return _by_zimg(stream, size, kernel) if by_zimg else by_swscale(stream, size, kernel)


def by_swscale(stream: Any, size: Sequence[Any], kernel: Kernel, flags: str = "", **colours: str) -> Any:
    """By ffmpeg's own scaler, which turns any colours into any others; its further ``flags`` stand between "+"."""
    cubic = {"param0": 0, "param1": CUBIC[kernel]} if kernel in CUBIC else {}
    named = "+".join(filter(None, ("bicubic" if cubic else "lanczos", flags)))
    return stream.filter("scale", *size, flags=named, **cubic, **colours)


def _by_zimg(stream: Any, size: Sequence[Any], kernel: Kernel, **colours: str) -> Any:
    cubic = {"param_a": 0, "param_b": CUBIC[kernel]} if kernel in CUBIC else {}
    # By itself it would divide a frame among as many cores as there are, and round where they meet.
    return stream.filter("zscale", *size, f="bicubic" if cubic else "lanczos", **cubic, threads=1, **colours)


def _assumed(info: MediaInfo) -> dict[str, str]:
    """What the pictures of a clip are read with: its own matrix, else the usual one for its codec and size."""
    if info.matrix == "rgb":
        return {}
    if info.matrix is not None:
        return {"in_color_matrix": info.matrix}
    if info.video_codec == "mjpeg":
        return {"in_color_matrix": "smpte170m", "in_range": "pc"}
    if info.coding is not None and info.coding.primaries == BT2020:
        return {"in_color_matrix": "bt2020"}
    return {"in_color_matrix": matrix_of((info.width_px or 0, info.height_px or 0))}
