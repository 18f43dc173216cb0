"""HEIF pictures, whose pieces ffmpeg decodes.

Comes in: a HEIC. Goes out: its decoded pieces in a file, which :mod:`mmsprep.transcode.image.composed` puts together.
Never: HEVC that ffmpeg chose to take for something else, or half of a picture.

What the file says is read by a worker, and so are the pixels; ffmpeg gets streams of pictures, each by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import ffmpeg as graph

from mmsprep.errors import Damaged, DecoderMissing, TypeNotAllowed
from mmsprep.formats.heif.layout import Stream
from mmsprep.model import Attachment, MediaInfo
from mmsprep.tools import ffmpeg
from mmsprep.tools.isolation import isolated
from mmsprep.tools.workspace import Workspace, no_room
from mmsprep.transcode.image.composed import channel_bytes, header_of, layout_of, stream_bytes

_NO_MATRIX = _RGB, _YCGCO = 0, 8
_MATRICES = {1: "bt709", 4: "fcc", 5: "bt601", 6: "bt601", 7: "smpte240m", 9: "bt2020", 10: "bt2020"}
"""H.273's numbers, by the names of ffmpeg's ``scale``."""
_EXACT = "accurate_rnd+full_chroma_int+neighbor"
"""Colour lies in the middle of the pixels that share it, so none of it comes from farther away."""


@contextmanager
def decoded(attachment: Attachment, info: MediaInfo, workspace: Workspace) -> Iterator[Attachment]:
    """The pieces of a HEIC, decoded, in a file that is gone when the block ends.

    Raises:
        Damaged: it does not decode to its end.
        DecoderMissing: the ffmpeg in use has no decoder for HEVC.
        TypeNotAllowed: it takes something that nothing here reads.
        OverInputLimit: it has more pixels than the settings let in, or takes too long.
        OutputError: there is no room for it.
    """
    path = workspace.new_path(".pixels")
    try:
        size_bytes = _decode_into(path, attachment, info, workspace)
        yield replace(attachment, path=path, data=None, mark=None, extent=None, size_bytes=size_bytes)
    finally:
        path.unlink(missing_ok=True)


def _decode_into(path: Path, attachment: Attachment, info: MediaInfo, workspace: Workspace) -> int:
    """Write the pieces of a HEIC to a new file; how long it is then. Raises as :func:`decoded`."""
    layout = isolated(workspace, layout_of, attachment, workspace.settings.max_pixels)
    deep = info.coding is not None and (info.bit_depth or 8) > 8
    try:
        with workspace.create(path) as file:
            file.write(header_of(layout, deep=deep))
            for stream in layout.streams:
                end = file.tell() + stream_bytes(stream, deep=deep)
                with _explained(attachment.name, workspace), ffmpeg.decoding(attachment.name):
                    done = ffmpeg.run(workspace, _pixels(stream, deep=deep), stdin=stream.units, into=file)
                if done.stderr or file.tell() != end:
                    raise Damaged(attachment.name, "begins as HEIC but does not decode to its end; send it again whole")
            return file.tell()
    except OSError as error:
        raise no_room(error.strerror) from error


@contextmanager
def _explained(name: str, workspace: Workspace) -> Iterator[None]:
    """Nothing is damaged where the ffmpeg in use lacks the decoder.

    Raises:
        DecoderMissing: it does.
    """
    try:
        yield
    except Damaged:
        try:
            ffmpeg.refuse_undecodable(name, "picture", "hevc", workspace.settings)
        except TypeNotAllowed:
            raise DecoderMissing(
                name,
                "is a HEIC picture, and the ffmpeg that MMSPREP_FFMPEG names has no decoder for HEVC; name another one,"
                " or save the picture as JPEG",
            ) from None
        raise


def _pixels(stream: Stream, *, deep: bool) -> Any:
    """Told what it is, ffmpeg decodes the first picture once, not a first time to find out about it."""
    pictures = graph.input(
        "pipe:0",
        f="hevc",
        format_whitelist="hevc",
        protocol_whitelist="pipe",
        noautorotate=None,
        nofind_stream_info=None,
        thread_type="frame" if stream.count > 1 else "slice",
        err_detect="explode",
    )["v:0"]
    depth = 8 * channel_bytes(stream, deep=deep)
    if stream.matrix in _NO_MATRIX and not stream.grey:
        pictures = _by_planes(pictures, stream, depth)
    else:
        said = {"in_range": "full" if stream.full_range else "limited", "in_color_matrix": _MATRICES.get(stream.matrix)}
        pictures = pictures.filter("setparams", colorspace="unknown").filter(
            "scale", **{name: value for name, value in said.items() if value}, out_range="full", flags=_EXACT
        )
    name = {(False, 8): "rgb24", (True, 8): "gray", (False, 16): "rgb48le", (True, 16): "gray16le"}[stream.grey, depth]
    return pictures.output("pipe:1", f="rawvideo", pix_fmt=name, fps_mode="passthrough")


def _by_planes(pictures: Any, stream: Stream, depth: int) -> Any:
    """Red, green and blue of planes that are those, or a grey with two differences (YCgCo), for what ffmpeg does not
    take them (H.273, 8.3, equations 38 to 40 and 48 to 50)."""
    deep = "" if depth == 8 else "16"
    if not stream.as_rgb:
        plain = pictures.filter("setparams", colorspace="bt470bg", range="pc").filter("scale", flags=_EXACT)
        planes = {f"map{number}s": 0 for number in range(3)} | {f"map{number}p": number for number in range(3)}
        pictures = plain.filter("format", f"yuv444p{deep}le" if deep else "yuv444p").filter(
            "mergeplanes", format=f"gbrp{deep}le" if deep else "gbrp", **planes
        )
    if stream.matrix == _YCGCO:
        middle = 1 << depth - 1
        green, across = f"(b(X,Y)-{middle})", f"(r(X,Y)-{middle})"
        return pictures.filter(
            "geq",
            r=f"clip(g(X,Y)-{green}+{across},0,{2 * middle - 1})",
            g=f"clip(g(X,Y)+{green},0,{2 * middle - 1})",
            b=f"clip(g(X,Y)-{green}-{across},0,{2 * middle - 1})",
        )
    if stream.full_range:
        return pictures
    step = 1 << depth - 8
    spread = f"clip((val-{16 * step})*{(1 << depth) - 1}/{219 * step},0,{(1 << depth) - 1})"
    return pictures.filter("lutrgb", r=spread, g=spread, b=spread)
