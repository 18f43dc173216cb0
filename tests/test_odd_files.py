"""Odd files that other people's software and test suites turned up, each made here anew."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable

import pytest
from PIL import Image

from mmsprep.errors import OverInputLimit, TypeNotAllowed
from mmsprep.model import Action, MediaInfo
from mmsprep.pipeline import prepare

Look = Callable[..., MediaInfo]
Make = Callable[[str, str], bytes]


def test_a_gif_frame_far_outside_its_screen_counts_as_a_picture_of_that_size(look: Look) -> None:
    out = io.BytesIO()
    Image.new("P", (10, 10)).save(out, "GIF")
    data = out.getvalue()
    at = data.index(b",\0\0\0\0\n\0\n\0")
    inside = data[: at + 1] + struct.pack("<HH", 20, 30) + data[at + 5 :]
    assert (look(inside).width_px, look(inside).height_px) == (30, 40)
    far = data[: at + 1] + struct.pack("<HH", 65_000, 65_000) + data[at + 5 :]
    with pytest.raises(OverInputLimit, match="65010 x 65010"):
        look(far)


def test_an_icon_that_promises_millions_of_rows_is_refused(look: Look) -> None:
    bitmap = struct.pack("<IiiHHIIiiII", 40, 65_535, 2 * 65_535, 1, 32, 0, 0, 0, 0, 0, 0) + bytes(64)
    entry = struct.pack("<BBBBHHII", 0, 0, 0, 0, 1, 32, len(bitmap), 22)
    with pytest.raises(OverInputLimit):
        look(b"\0\0\1\0\1\0" + entry + bitmap)


def test_junk_between_the_headers_of_a_jpeg_is_passed_over_and_taken_out() -> None:
    """Decoders warn and go on; some programs leave a byte too many behind a segment."""
    out = io.BytesIO()
    picture = Image.linear_gradient("L")
    picture.save(out, "JPEG", comment=b"words")
    data = out.getvalue()
    at = data.index(b"\xff\xdb")
    part = prepare([("junk.jpg", data[:at] + b"\0junk" + data[at:])]).parts[0]
    assert part.action is Action.REWRAP and b"junk" not in part.data
    assert Image.open(io.BytesIO(part.data)).convert("L").getextrema() == picture.getextrema()


def test_rubbish_behind_the_frames_of_a_gif_ends_it(look: Look) -> None:
    out = io.BytesIO()
    Image.new("P", (10, 10)).save(out, "GIF")
    part = prepare([("odd.gif", out.getvalue()[:-1] + b"\0\x12rubbish;")]).parts[0]
    assert part.action is Action.REWRAP and part.data.endswith(b";") and b"rubbish" not in part.data
    assert look(part.data).metadata == ()


def test_a_movie_may_begin_with_a_moov_box_of_64_bit_length(look: Look, make: Make) -> None:
    movie = make("-f lavfi -i testsrc=s=64x48:d=1 -c:v mpeg4 -movflags +faststart", "mov")
    start = movie.index(b"moov") - 4
    length = int.from_bytes(movie[start : start + 4], "big")
    body = movie[start + 8 : start + length]
    rest = movie[start + length :]
    whole = struct.pack(">I4sQ", 1, b"moov", 16 + len(body)) + body + rest
    assert (look(whole).format, look(whole).video_codec) == ("mov", "mpeg4")


def test_a_bitmap_of_an_unknown_kind_is_refused_and_not_called_damaged(look: Look) -> None:
    """Two bits a pixel were Windows CE's."""
    header = struct.pack("<2sIHHIIiiHHIIiiII", b"BM", 78, 0, 0, 70, 40, 8, 4, 1, 2, 0, 8, 0, 0, 4, 0)
    with pytest.raises(TypeNotAllowed, match="save it as PNG"):
        look(header + bytes(16) + bytes(8))


@pytest.mark.parametrize("size", [(1, 1), (5, 3), (40, 2)])
def test_an_animation_of_a_few_pixels_does_not_crash_what_measures_it(size: tuple[int, int]) -> None:
    out = io.BytesIO()
    frames = [Image.new("RGB", size, colour) for colour in ("red", "green", "blue")]
    frames[0].save(out, "PNG", save_all=True, append_images=frames[1:], duration=200)
    part = prepare([("tiny.png", out.getvalue())]).parts[0]
    assert (part.width_px or 0) <= size[0] + 1 and part.size_bytes < 50_000
