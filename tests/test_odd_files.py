"""Odd files that other people's software and test suites turned up, each made here anew."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from mmsprep import inspect
from mmsprep.errors import AttachmentError, Damaged, OverInputLimit, TypeNotAllowed
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


_LENGTHS = (1 << 62, (1 << 63) - 13, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)


def _caf(length: int) -> bytes:
    describe = struct.pack(">d4sIIIII", 8_000.0, b"lpcm", 0, 2, 1, 1, 16)
    return b"caff\0\1\0\0desc" + struct.pack(">Q", 32) + describe + b"free" + struct.pack(">Q", length) + bytes(64)


def _boxes(length: int) -> bytes:
    start = struct.pack(">I4s4sI4s", 20, b"ftyp", b"isom", 0, b"isom")
    inside = struct.pack(">I4sQ", 1, b"trak", length)
    return start + struct.pack(">I4s", 8 + len(inside), b"moov") + inside + struct.pack(">I4sQ", 1, b"free", length)


def _heif(length: int) -> bytes:
    start = struct.pack(">I4s4sI4s", 20, b"ftyp", b"heic", 0, b"heic")
    return start + struct.pack(">I4sQ", 1, b"meta", length) + bytes(64)


def _jxl(length: int) -> bytes:
    return bytes.fromhex("0000000c4a584c200d0a870a") + struct.pack(">I4sQ", 1, b"jxlc", length) + bytes(64)


def _matroska(length: int) -> bytes:
    head = b"\x1a\x45\xdf\xa3\x84\x42\x82\x81w"
    return head + b"\x18\x53\x80\x67\x01" + struct.pack(">Q", length)[1:] + b"\xec\x01" + b"\xff" * 6 + b"\xfe"


@pytest.mark.parametrize("on_disk", [True, False], ids=["path", "bytes"])
@pytest.mark.parametrize("length", _LENGTHS, ids=hex)
@pytest.mark.parametrize("made", [_caf, _boxes, _heif, _jxl, _matroska])
def test_a_length_that_no_file_can_have_is_an_error_of_ours(
    tmp_path: Path, made: Callable[[int], bytes], length: int, on_disk: bool
) -> None:
    """Beyond 2**63 the system knows no place in a file, and another number of these is added to it."""
    path = tmp_path / "odd"
    path.write_bytes(made(length))
    (report,) = inspect([path if on_disk else ("odd", path.read_bytes())])
    assert isinstance(report.error, AttachmentError) or report.info is not None


@pytest.mark.parametrize("wrapped", [False, True], ids=["midi", "rmi"])
@pytest.mark.parametrize("form", [0, 1, 2])
@pytest.mark.parametrize("division", [0, 0xE700, 0x8000])
def test_midi_whose_unit_of_time_is_zero_is_damaged(form: int, division: int, wrapped: bool) -> None:
    (report,) = inspect([("odd.mid", _midi(form, division, wrapped))])
    assert isinstance(report.error, Damaged) and "unit of time" in str(report.error)


@pytest.mark.parametrize("name", ["ready.3gp", "song.m4a"])
def test_a_movie_whose_unit_of_time_is_zero_is_damaged(name: str, sample_media: Path) -> None:
    (path,) = sample_media.rglob(name)
    data = bytearray(path.read_bytes())
    unit_at = data.index(b"mdhd") + 16
    assert 0 < int.from_bytes(data[unit_at : unit_at + 4], "big") < 200_000
    data[unit_at : unit_at + 4] = bytes(4)
    (report,) = inspect([(name, bytes(data))])
    assert isinstance(report.error, Damaged) and "unit of time" in str(report.error)


def test_midi_that_counts_frames_of_film_plays_as_long_as_it_says(look: Look) -> None:
    """25 frames a second of 40 ticks: a thousand ticks are a second, whatever the tempo."""
    assert look(_midi(0, 0xE728)).duration_s == pytest.approx(2.0)
    assert look(_midi(0, 480)).duration_s == pytest.approx(2_000 / 480 * 0.25, abs=0.001)


def _midi(form: int, division: int, wrapped: bool = False) -> bytes:
    """A note of 2 000 ticks at 240 quarters a minute."""
    events = b"\0\xff\x51\3\x03\xd0\x90" + b"\0\x90\x40\x40" + b"\x8f\x50\x80\x40\0" + b"\0\xff\x2f\0"
    header = struct.pack(">4sIHHH", b"MThd", 6, form, 1, division)
    data = header + struct.pack(">4sI", b"MTrk", len(events)) + events
    if not wrapped:
        return data
    return struct.pack("<4sI4s4sI", b"RIFF", 12 + len(data), b"RMID", b"data", len(data)) + data
