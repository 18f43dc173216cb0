"""A clip comes out as a player shows it, whoever says how it is to be turned: its container, its pictures, or both."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from mmsprep import prepare
from mmsprep.formats.content import Content
from mmsprep.formats.orientation import Orientation, coded_orientation
from mmsprep.model import MediaInfo
from mmsprep.settings import Settings
from mmsprep.tools import ffmpeg

Look = Callable[[bytes], MediaInfo]
_COLOURS = {"r": (220, 30, 30), "g": (30, 200, 30), "b": (30, 30, 220), "w": (235, 235, 235)}
_CODED = "rg\nbw"
"""The corners of what is coded, row by row."""
_SAID = [(turn, flip) for turn in (0, 90, 180, 270) for flip in ("", "horizontal", "vertical") if turn or flip]
_CONTAINERS = ("mp4", "mkv", "ts", "annexb")


def _ffmpeg(*words: str, stdin: bytes = b"") -> bytes:
    command = [ffmpeg.executable(Settings()), "-v", "error", "-y", *words]
    return subprocess.run(command, input=stdin, capture_output=True, check=True, timeout=120).stdout


def _stream(codec: str) -> bytes:
    """One second of four corners of different colours, 320 x 192, as it stands without a container."""
    rows = [[_COLOURS[name] for name in row] for row in _CODED.split()]
    frame = np.repeat(np.repeat(np.array(rows, np.uint8), 160, axis=1), 96, axis=0)
    source = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", "320x192", "-r", "10", "-i", "pipe:0"]
    options = {
        "h264": ["-c:v", "libx264", "-bf", "0", "-g", "5"],
        "hevc": ["-c:v", "libx265", "-x265-params", "log-level=none:bframes=0:keyint=5"],
    }[codec]
    return _ffmpeg(
        *source, *options, "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-f", codec, "pipe:1", stdin=bytes(frame) * 10
    )


@pytest.fixture(scope="module")
def streams() -> dict[str, bytes]:
    return {codec: _stream(codec) for codec in ("h264", "hevc")}


def _said_by_pictures(stream: bytes, codec: str, turn: int, flip: str) -> bytes:
    """The stream with a display orientation message; ``turn`` counts counter-clockwise, after the flip."""
    if codec == "h264":
        said = f"display_orientation=insert:rotate={turn}" + (f":flip={flip}" if flip else "")
        return _ffmpeg(
            *("-f", "h264", "-i", "pipe:0", "-c", "copy", "-bsf:v", f"h264_metadata={said}"),
            *("-f", "h264", "pipe:1"),
            stdin=stream,
        )
    flips = {"": 0, "horizontal": 2, "vertical": 1}[flip]
    bits = flips << 21 | (turn * 65_536 // 360) << 5 | 1 << 4
    unit = bytes((0x4E, 1, 47, 3)) + bits.to_bytes(3, "big") + b"\x80"
    # A start code's zeros must not stand in what is said.
    unit = unit.replace(b"\0\0", b"\0\0\x03") if b"\0\0" in unit[:-1] else unit
    first_picture = min(at for kind in (19, 20) if (at := stream.find(bytes((0, 0, 1, kind << 1, 1)))) >= 0)
    return stream[:first_picture] + b"\0\0\1" + unit + stream[first_picture:]


def _contained(stream: bytes, codec: str, container: str, *options: str) -> bytes:
    if container == "annexb":
        return stream
    words = [*options, "-r", "10", "-f", codec, "-i", "pipe:0", "-c", "copy"]
    if container == "ts":
        return _ffmpeg(*words, "-f", "mpegts", "pipe:1", stdin=stream)
    if container == "mkv":
        return _ffmpeg(*words, "-f", "matroska", "pipe:1", stdin=stream)
    return _ffmpeg(*words, "-movflags", "frag_keyframe+empty_moov", "-f", "mp4", "pipe:1", stdin=stream)


def _turned(turn: int, flip: str) -> str:
    """The corners as they are to be seen: flipped, then turned counter-clockwise."""
    corners = np.array([[*row] for row in _CODED.split()])
    if flip:
        corners = corners[:, ::-1] if flip == "horizontal" else corners[::-1]
    return "\n".join("".join(row) for row in np.rot90(corners, turn // 90))


def _corners(frame: NDArray[np.uint8]) -> str:
    height, width, _ = frame.shape
    names = [
        min(_COLOURS, key=lambda name: int(np.abs(frame[y, x].astype(int) - _COLOURS[name]).sum()))
        for y in (height // 4, height * 3 // 4)
        for x in (width // 4, width * 3 // 4)
    ]
    return "".join(names[:2]) + "\n" + "".join(names[2:])


def _frames(data: bytes, *options: str) -> list[NDArray[np.uint8]]:
    """Every frame, as a player shows it."""
    made = _ffmpeg(*options, "-i", "pipe:0", "-f", "image2pipe", "-c:v", "png", "pipe:1", stdin=data)
    pictures = [Image.open(BytesIO(b"\x89PNG" + one)) for one in made.split(b"\x89PNG")[1:]]
    return [np.asarray(picture.convert("RGB")) for picture in pictures]


@pytest.mark.parametrize("codec", ["h264", "hevc"])
@pytest.mark.parametrize("container", _CONTAINERS)
@pytest.mark.parametrize(("turn", "flip"), _SAID)
def test_what_pictures_say_is_read_in_every_container(
    look: Look, streams: dict[str, bytes], codec: str, container: str, turn: int, flip: str
) -> None:
    data = _contained(_said_by_pictures(streams[codec], codec, turn, flip), codec, container)
    info = look(data)
    assert (info.width_px, info.height_px) == ((320, 192) if turn % 180 == 0 else (192, 320))
    assert info.coded_orientation == (_turned(turn, flip) != _CODED)
    assert Orientation(info.rotation_deg, info.mirrored) == Orientation.of(
        -turn, hor_flip=flip == "horizontal", ver_flip=flip == "vertical"
    )


@pytest.mark.parametrize("codec", ["h264", "hevc"])
@pytest.mark.parametrize("container", _CONTAINERS)
def test_pictures_that_say_nothing_stay_as_they_are(
    look: Look, streams: dict[str, bytes], codec: str, container: str
) -> None:
    info = look(_contained(streams[codec], codec, container))
    assert (info.rotation_deg, info.mirrored, info.coded_orientation) == (0, False, False)


@pytest.mark.parametrize(
    ("codec", "container", "turn", "flip"),
    [("h264", "mkv", 90, "horizontal"), ("hevc", "mp4", 270, ""), ("h264", "annexb", 0, "vertical")],
)
def test_what_pictures_say_is_done_as_a_player_does_it(
    streams: dict[str, bytes], codec: str, container: str, turn: int, flip: str
) -> None:
    data = _contained(_said_by_pictures(streams[codec], codec, turn, flip), codec, container)
    (part,) = prepare([("clip", data)]).parts
    shown = _frames(part.data)
    assert {_corners(frame) for frame in shown} == {_turned(turn, flip)} == {_corners(_frames(data)[0])}
    assert any(reason.code == "rotation" for reason in part.reasons)


@pytest.mark.parametrize(("codec", "container"), [("h264", "mp4"), ("hevc", "mkv")])
@pytest.mark.parametrize("said", [90, 180])
def test_where_container_and_pictures_both_say_it_a_clip_is_turned_once(
    streams: dict[str, bytes], codec: str, container: str, said: int, tmp_path: Path
) -> None:
    """The container's word counts, which is what phones go by."""
    plain = tmp_path / "said.mkv"
    plain.write_bytes(_contained(_said_by_pictures(streams[codec], codec, said, ""), codec, "mkv"))
    made = tmp_path / f"both.{container}"
    _ffmpeg("-display_rotation", "90", "-i", str(plain), "-c", "copy", str(made))
    (part,) = prepare([made]).parts
    assert {_corners(frame) for frame in _frames(part.data)} == {_turned(90, "")}


@pytest.mark.parametrize("container", ["mp4", "mkv"])
@pytest.mark.parametrize(("turn", "flip"), _SAID)
def test_what_a_container_says_is_read_mirrored_or_not(
    look: Look, streams: dict[str, bytes], container: str, turn: int, flip: str, tmp_path: Path
) -> None:
    """Compared with what ffmpeg, which wrote it, shows."""
    plain, made = tmp_path / "plain.mp4", tmp_path / f"turned.{container}"
    plain.write_bytes(_contained(streams["h264"], "h264", "mp4"))
    flips = {"": [], "horizontal": ["-display_hflip"], "vertical": ["-display_vflip"]}[flip]
    _ffmpeg("-display_rotation", str(turn), *flips, "-i", str(plain), "-c", "copy", str(made))
    info = look(made.read_bytes())
    (shown, *_) = _frames(made.read_bytes())
    seen = Orientation(info.rotation_deg, info.mirrored)
    coded = np.array([[*row] for row in _CODED.split()])
    turned = np.rot90(coded[:, ::-1] if seen.mirrored else coded, -seen.rotation_deg // 90)
    assert (info.width_px, info.height_px) == shown.shape[1::-1]
    assert "\n".join("".join(row) for row in turned) == _corners(shown)


@given(st.binary(max_size=3_000), st.sampled_from(["h264", "hevc"]), st.booleans())
def test_what_is_no_such_message_says_nothing(data: bytes, codec: str, packets: bool) -> None:
    with Content("clip", BytesIO(data)) as content:
        assert coded_orientation(content, codec, 0, packets=packets) is None
