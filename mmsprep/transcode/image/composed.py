"""A HEIF picture in a worker: how it goes together, and, once ffmpeg has decoded its pieces, the whole of it.

Comes in: a HEIF file; the decoded pieces in one file, behind how they go together. Goes out: a layout; an image of
Pillow's, to be read as any other. Never: a piece decoded here.

The second file is a length, a :class:`mmsprep.formats.heif.layout.Layout` without its streams' units, and the pixels of
these streams: 8 bits a channel, or 16 with the lower eight first.
"""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO

import msgspec
from PIL import Image
from PIL.ExifTags import Base as ExifTag

from mmsprep.formats.heif.changes import Change
from mmsprep.formats.heif.layout import Layout, Node, Stream, read_layout
from mmsprep.model import Attachment
from mmsprep.tools.untrusted import content_of

_LENGTH_BYTES = 8
_HIGHER = {("RGB", 1): "RGB", ("L", 1): "L", ("RGB", 2): "RGB;16L", ("L", 2): "L;16"}
_LOWER = _HIGHER | {("RGB", 2): "RGB;16B", ("L", 2): "L;16B"}
"""Pillow's names for the eight bits of each number that count: the higher ones, or the others."""
_TURN = {1: 8, 2: 5, 3: 6, 4: 7, 5: 4, 6: 1, 7: 2, 8: 3}
_MIRROR = ({1: 4, 2: 3, 3: 2, 4: 1, 5: 8, 6: 7, 7: 6, 8: 5}, {1: 2, 2: 1, 3: 4, 4: 3, 5: 6, 6: 5, 7: 8, 8: 7})
"""What EXIF's orientation becomes by a quarter of a turn counter-clockwise, and by each mirroring."""
_TURNS = (None, Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_270)
_MIRRORS = (Image.Transpose.FLIP_TOP_BOTTOM, Image.Transpose.FLIP_LEFT_RIGHT)


def layout_of(attachment: Attachment, max_pixels: int) -> Layout:
    """How the picture is put together; raises as :func:`mmsprep.formats.heif.layout.read_layout`."""
    with content_of(attachment) as content:
        return read_layout(content, max_pixels)


def channel_bytes(stream: Stream, *, deep: bool) -> int:
    """How many bytes each number of a stream takes."""
    return 2 if deep and stream.bit_depth > 8 else 1


def stream_bytes(stream: Stream, *, deep: bool) -> int:
    """How many bytes all pictures of a stream take."""
    channels = 1 if stream.grey else 3
    return stream.count * stream.width_px * stream.height_px * channels * channel_bytes(stream, deep=deep)


def header_of(layout: Layout, *, deep: bool) -> bytes:
    """What stands before the pixels; ``deep``: those of more than 8 bits a channel come with 16."""
    bare = replace(layout, streams=tuple(replace(stream, units=b"") for stream in layout.streams))
    header = msgspec.msgpack.encode((bare, deep))
    return len(header).to_bytes(_LENGTH_BYTES, "big") + header


def open_composed(file: BytesIO, *, lower: bool = False) -> Image.Image:
    """Put the picture together, of 8 bits a channel, and have its last turns said by its EXIF orientation.

    ``lower``: of the lower eight bits of each number, where there are 16.

    Raises:
        ValueError: there are not as many pixels as there should be.
    """
    data = file.getbuffer()
    begin = _LENGTH_BYTES + int.from_bytes(data[:_LENGTH_BYTES], "big")
    layout, deep = msgspec.msgpack.decode(data[_LENGTH_BYTES:begin], type=tuple[Layout, bool])
    return _Composed(layout, data[begin:], deep=deep, lower=lower).whole()


class _Composed:
    def __init__(self, layout: Layout, pixels: memoryview, *, deep: bool, lower: bool) -> None:
        self._layout, self._pixels, self._deep = layout, pixels, deep
        self._names = _LOWER if lower else _HIGHER
        self._starts = [0]
        for stream in layout.streams:
            self._starts.append(self._starts[-1] + stream_bytes(stream, deep=deep))
        if self._starts[-1] != len(pixels):
            raise ValueError("some of its pieces are missing")

    def whole(self) -> Image.Image:
        """The last node, which is the whole picture."""
        node = self._layout.nodes[-1]
        turns = () if node.alpha >= 0 else _last_turns(node.changes)
        node = replace(node, changes=node.changes[: len(node.changes) - len(turns)])
        image = self._made(node)
        orientation = 1
        for turn in turns:
            table = _TURN if turn.kind == "turn" else _MIRROR[turn.numbers[0]]
            for _ in range(turn.numbers[0] if turn.kind == "turn" else 1):
                orientation = table[orientation]
        image.getexif()[ExifTag.Orientation] = orientation
        if self._layout.icc_profile:
            image.info["icc_profile"] = self._layout.icc_profile
        return image

    def _made(self, node: Node) -> Image.Image:
        image = self._canvas(node) if node.stream < 0 else self._decoded(node)
        for change in node.changes:
            image = _changed(image, change)
        if node.alpha < 0:
            return image
        alpha = self._made(self._layout.nodes[node.alpha])
        if alpha.size != image.size:
            alpha = alpha.resize(image.size, Image.Resampling.BILINEAR)
        return _with_alpha(image, alpha, premultiplied=node.premultiplied)

    def _decoded(self, node: Node) -> Image.Image:
        stream = self._layout.streams[node.stream]
        mode = "L" if stream.grey else "RGB"
        name = self._names[mode, channel_bytes(stream, deep=self._deep)]
        length = stream_bytes(stream, deep=self._deep) // stream.count
        start = self._starts[node.stream] + node.number * length
        return Image.frombytes(
            mode, (stream.width_px, stream.height_px), self._pixels[start : start + length], "raw", name
        )

    def _canvas(self, node: Node) -> Image.Image:
        nodes = self._layout.nodes
        canvas: Image.Image | None = None
        for place, left, top in node.pieces:
            piece = self._made(nodes[place])
            if canvas is None:
                grey = piece.mode == "L" and len(set(node.fill)) == 1
                canvas = Image.new(
                    "L" if grey else "RGB", (node.width_px, node.height_px), node.fill[0] if grey else node.fill
                )
            if canvas.mode == "L" and piece.mode != "L":
                canvas = canvas.convert("RGB")
            if piece.mode == "RGBa":
                piece = piece.convert("RGBA")
            canvas.paste(piece, (left, top), piece if piece.mode in ("LA", "RGBA") else None)
        assert canvas is not None
        return canvas


def _last_turns(changes: tuple[Change, ...]) -> tuple[Change, ...]:
    """The changes at the end that only turn the picture."""
    crops = [number for number, change in enumerate(changes) if change.kind == "crop"]
    return changes[crops[-1] + 1 :] if crops else changes


def _changed(image: Image.Image, change: Change) -> Image.Image:
    if change.kind == "crop":
        left, top, right, bottom = change.numbers
        return image.crop((left, top, right, bottom))
    turn = _TURNS[change.numbers[0]] if change.kind == "turn" else _MIRRORS[change.numbers[0]]
    return image if turn is None else image.transpose(turn)


def _with_alpha(image: Image.Image, alpha: Image.Image, *, premultiplied: bool) -> Image.Image:
    mode = "LA" if image.mode == "L" else "RGBA"
    if image.mode not in ("L", "RGB"):
        image = image.convert("RGB")
    whole = Image.merge(mode, (*image.split(), alpha))
    if premultiplied:
        return Image.frombytes({"LA": "La", "RGBA": "RGBa"}[mode], whole.size, whole.tobytes())
    return whole
