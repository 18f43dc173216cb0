"""No file makes mmsprep read another file or reach for an address, and none takes more than its share of the machine.

The first half has a canary: a text, a picture and a clip that lie beside the payloads and must show up nowhere, and a
listener that nobody may call. The second half has bombs, each of which must end in an error that names its limit.
"""

from __future__ import annotations

import io
import json
import socket
import struct
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import pytest
from payloads import PAYLOADS, Target
from PIL import Image, PngImagePlugin

from mmsprep import MmsprepError, Settings, prepare
from mmsprep.errors import Damaged, OverInputLimit, SettingsError, SeveralErrors, ToolError, ToolOverLimit
from mmsprep.formats import FORMATS
from mmsprep.message import Message
from mmsprep.message.document import document
from mmsprep.settings import load_settings
from mmsprep.tools import ffmpeg
from mmsprep.tools.confine import FILES, NETWORK
from mmsprep.tools.defences import defences
from mmsprep.tools.workspace import Workspace

CANARY = "CANARY-4f1c9d"
_MAGENTA = (255, 0, 255)


class Listener:
    """An address that counts who calls."""

    def __init__(self) -> None:
        self.calls = 0
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                caller, _ = self._server.accept()
            except OSError:
                return
            self.calls += 1
            caller.close()

    def close(self) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()


@pytest.fixture(scope="module")
def listener() -> Iterator[Listener]:
    one = Listener()
    yield one
    one.close()


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory, listener: Listener) -> Target:
    folder = tmp_path_factory.mktemp("secret")
    (folder / "secret.txt").write_text(CANARY)
    Image.new("RGB", (64, 64), _MAGENTA).save(folder / "secret.png")
    source = ["-f", "lavfi", "-i", "color=magenta:s=64x64:d=2:r=10", "-pix_fmt", "yuv420p"]
    command = [ffmpeg.executable(Settings()), "-v", "error", *source, "-metadata", f"title={CANARY}"]
    subprocess.run([*command, str(folder / "secret.mp4")], check=True)
    return Target(folder / "secret.txt", folder / "secret.mp4", folder / "secret.png", listener.url)


def _is_magenta(picture: bytes) -> bool:
    """Whether ffmpeg, asked for the first picture of some media, sees the secret's colour."""
    command = [ffmpeg.executable(Settings()), "-v", "error", "-i", "pipe:0", "-frames:v", "1"]
    command += ["-vf", "scale=1:1", "-f", "rawvideo", "-pix_fmt", "rgb24", "pipe:1"]
    seen = subprocess.run(command, input=picture, capture_output=True, check=False).stdout
    return len(seen) >= 3 and seen[0] > 150 and seen[1] < 100 and seen[2] > 150


def _assert_nothing_leaked(outcome: Message | MmsprepError) -> None:
    if isinstance(outcome, MmsprepError):
        assert CANARY not in str(outcome) + repr(outcome) + repr(outcome.__cause__)
        return
    assert CANARY not in json.dumps(document(outcome))
    for part in outcome.parts:
        assert CANARY.encode() not in part.data
        assert not (part.kind in ("image", "video") and _is_magenta(part.data))


def _prepared(name: str, data: bytes, settings: Settings | None = None) -> Message | MmsprepError:
    try:
        return prepare([(name, data)], trim=True, poster=True, settings=settings)
    except MmsprepError as error:
        return error


@pytest.mark.parametrize("name", PAYLOADS)
def test_a_payload_reads_no_file_and_calls_nobody(
    name: str, target: Target, listener: Listener, capfd: pytest.CaptureFixture[str]
) -> None:
    payload = PAYLOADS[name](target)
    for file_name in ("holiday.mp4", "holiday.avi", "holiday.jpg", str(target.text)):
        _assert_nothing_leaked(_prepared(file_name, payload))
    printed = capfd.readouterr()
    assert CANARY not in printed.out + printed.err
    assert listener.calls == 0


@pytest.mark.parametrize("name", [name for name in PAYLOADS if "hls" in name or "movie" in name or name == "concat"])
def test_playlists_and_references_are_refused_by_name(name: str, target: Target) -> None:
    outcome = _prepared("holiday.mp4", PAYLOADS[name](target))
    assert isinstance(outcome, MmsprepError)
    assert outcome.code in ("type_not_allowed", "unsafe_reference", "unknown_type", "damaged")


_LOOSE = ("-protocol_whitelist", "file,http,tcp,concat")
_LOOSE_CONCAT = ("-f", "concat", "-safe", "0", *_LOOSE)
_LOOSE_HLS = ("-f", "hls", "-allowed_extensions", "ALL", *_LOOSE)


def test_an_unprotected_ffmpeg_falls_for_it(target: Target, tmp_path: Path) -> None:
    """The control: payload, canary and the way they are looked for do work."""
    listener = Listener()
    (tmp_path / "holiday.mp4").write_bytes(PAYLOADS["hls"](replace(target, url=listener.url)))
    command = [ffmpeg.executable(Settings()), "-v", "error", *_LOOSE_HLS, "-i", str(tmp_path / "holiday.mp4")]
    stolen = subprocess.run([*command, "-f", "matroska", "pipe:1"], capture_output=True, check=False, timeout=60).stdout
    listener.close()
    assert _is_magenta(stolen)
    assert listener.calls > 0


_DEMUXERS = {entry.demuxer: slug for slug, entry in FORMATS.items() if entry.demuxer}


@pytest.mark.parametrize("name", ["hls", "gab2 in avi", "movie with its samples in a file", "xbin", "concat"])
def test_the_forced_demuxer_alone_stops_it(name: str, target: Target, listener: Listener) -> None:
    """Even where sniffing were fooled, and on a system that cannot cage a process."""
    with Workspace(Settings(isolate=False)) as workspace:
        path = workspace.put(PAYLOADS[name](target), ".mp4")
        for slug in _DEMUXERS.values():
            stolen = workspace.new_path(".mkv")
            try:
                ffmpeg.run(workspace, ffmpeg.safe_input(path, slug).output(str(stolen), t=1))
            except ToolError:
                continue
            data = stolen.read_bytes()
            assert CANARY.encode() not in data
            assert not _is_magenta(data)
    assert listener.calls == 0


@pytest.mark.skipif(not {FILES, NETWORK} <= set(defences()), reason="this system cannot cage a process")
@pytest.mark.parametrize("name", ["hls", "gab2 in avi", "movie with its samples in a file", "concat"])
def test_the_cage_alone_stops_it(name: str, target: Target, listener: Listener) -> None:
    """Even where ffmpeg were free to follow every reference."""
    with Workspace(Settings()) as workspace:
        path = workspace.put(PAYLOADS[name](target), ".mp4")
        loose = {"hls": _LOOSE_HLS, "concat": _LOOSE_CONCAT}.get(name, _LOOSE)
        command = [ffmpeg.executable(Settings()), "-v", "error", *loose, "-i", str(path), "-f", "matroska", "pipe:1"]
        try:
            stolen = workspace.processes.run(command, cage=workspace.cage(reads=[str(path)])).stdout
        except ToolError as error:
            stolen = str(error).encode()
    assert CANARY.encode() not in stolen
    assert not _is_magenta(stolen)
    assert listener.calls == 0


@pytest.mark.parametrize(
    "name",
    ["a%d.jpg", "*.jpg", "-i.jpg", "concat:a|b.jpg", "http:a.jpg", "pipe:0", "data:x.jpg", "a\nb.jpg", "$(id).jpg"],
)
def test_a_file_name_is_never_an_instruction(name: str, tmp_path: Path, sample_media: Path) -> None:
    for sample in ("formats/photo.bmp", "formats/ready.3gp"):
        path = tmp_path / name
        path.write_bytes((sample_media / sample).read_bytes())
        (tmp_path / "a1.jpg").write_bytes((sample_media / "formats/photo.jpg").read_bytes())
        message = prepare([path], profile="legacy-gsm")
        assert message.parts[0].source.size_bytes == path.stat().st_size


@pytest.mark.posix("links and named pipes")
def test_a_link_out_of_a_folder_is_not_followed(tmp_path: Path, target: Target, sample_media: Path) -> None:
    """A folder that somebody else packed may hold a link to any file of this machine."""
    (tmp_path / "note.txt").symlink_to(target.text)
    (tmp_path / "photo.jpg").write_bytes((sample_media / "formats/photo.jpg").read_bytes())
    (tmp_path / "same.jpg").symlink_to("photo.jpg")
    with pytest.raises(SeveralErrors, match="symbolic link"):
        prepare([tmp_path])
    message = prepare([tmp_path], on_error="skip")
    assert len(message.parts) == 1
    assert len(message.rejected) == 2
    _assert_nothing_leaked(message)


# Bombs.


def _png(width: int, height: int, *chunks: tuple[bytes, bytes]) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress(bytes((width + 1) * height), 9)
    body = [(b"IHDR", head), *chunks, (b"IDAT", rows), (b"IEND", b"")]
    made = b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in body
    )
    return b"\x89PNG\r\n\x1a\n" + made


@lru_cache(maxsize=1)
def _zeros(size_bytes: int) -> bytes:
    packer = zlib.compressobj(9)
    piece = bytes(1 << 20)
    return b"".join(packer.compress(piece) for _ in range(size_bytes >> 20)) + packer.flush()


def _gif(width: int, height: int, frames: int) -> bytes:
    frame = b"\x21\xf9\x04\x00\x01\x00\x00\x00\x2c\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02\x44\x01\x00"
    return (
        b"GIF89a" + struct.pack("<HH", width, height) + b"\xf0\x00\x00\x00\x00\x00\xff\xff\xff" + frame * frames + b";"
    )


def _refused(data: bytes, name: str = "bomb", **limits: float) -> MmsprepError:
    settings = replace(Settings(), **limits)  # type: ignore[arg-type]
    outcome = _prepared(name, data, settings)
    assert isinstance(outcome, MmsprepError), "it was sent"
    return outcome


def test_a_picture_of_too_many_pixels_is_refused() -> None:
    error = _refused(_png(20_000, 20_000))
    assert isinstance(error, OverInputLimit)
    assert "MMSPREP_MAX_PIXELS" in str(error)


def test_an_animation_of_too_many_frames_is_refused() -> None:
    error = _refused(_gif(10, 10, 100_000))
    assert isinstance(error, OverInputLimit)
    assert "MMSPREP_MAX_FRAMES" in str(error)


def test_an_animation_that_takes_too_long_to_decode_is_refused() -> None:
    """9 000 frames of 90 million pixels in 200 kB."""
    error = _refused(_gif(9_500, 9_500, 9_000), decode_timeout_s=3.0)
    assert isinstance(error, OverInputLimit)
    assert "MMSPREP_DECODE_TIMEOUT_S" in str(error) or "memory" in str(error)


def test_a_recording_of_ten_hours_is_refused() -> None:
    error = _refused(b"#!AMR\n" + b"\x7c" * (10 * 3600 * 50))
    assert isinstance(error, OverInputLimit)
    assert "MMSPREP_MAX_DURATION_S" in str(error)


def test_a_clip_of_ten_hours_is_refused(make: Callable[[str, str], bytes]) -> None:
    data = make("-f lavfi -i color=s=64x64:r=1/3600:d=36000 -c:v libx264", "mp4")
    error = _refused(data)
    assert isinstance(error, OverInputLimit)
    assert "MMSPREP_MAX_DURATION_S" in str(error)


def test_a_file_that_is_too_large_is_refused_unread(tmp_path: Path) -> None:
    for name, start, setting in (("note.txt", b"text " * 1000, "TEXT"), ("scan.tif", b"II*\0", "IMAGE")):
        path = tmp_path / name
        with path.open("wb") as file:
            file.write(start)
            file.truncate(1 << 30)
        with pytest.raises((OverInputLimit, MmsprepError)) as caught:
            prepare([path])
        assert isinstance(caught.value, OverInputLimit) is (setting == "IMAGE") or "text" in str(caught.value)
    with pytest.raises(OverInputLimit, match="MMSPREP_MAX_INPUT_BYTES"):
        prepare([path], settings=Settings(max_input_bytes=1 << 29))


def test_a_text_that_is_too_long_is_refused() -> None:
    error = _refused(b"All work and no play. " * 500_000)
    assert isinstance(error, OverInputLimit)
    assert "MMSPREP_MAX_TEXT_BYTES" in str(error)


@pytest.mark.parametrize("kind", [b"zTXt", b"iTXt", b"iCCP"])
def test_compressed_chunks_that_unpack_to_half_a_gigabyte_cost_no_half_a_gigabyte(kind: bytes) -> None:
    packed = _zeros(1 << 29)
    head = {b"zTXt": b"Comment\0\0", b"iTXt": b"Comment\0\1\0\0\0", b"iCCP": b"Profile\0\0"}[kind]
    data = _png(64, 64, (kind, head + packed))
    outcome = _prepared("photo.png", data, Settings(max_memory_bytes=400_000_000))
    if isinstance(outcome, MmsprepError):
        assert isinstance(outcome, (Damaged, OverInputLimit))
    else:
        assert outcome.total_bytes < 10_000


def test_a_deep_nest_of_boxes_is_an_error() -> None:
    depth = 50_000
    nest = b""
    for name in [b"moov", b"trak", b"mdia", b"minf", b"stbl"] * 4:
        nest = struct.pack(">I4s", len(nest) + 8, name) + nest
    deep = b"".join(struct.pack(">I4s", 8 * (depth - level), b"moov") for level in range(depth))
    for boxes in (nest, deep):
        error = _refused(struct.pack(">I4s", 16, b"ftyp") + b"isom\0\0\0\0" + boxes)
        assert error.exit_status == Damaged.exit_status


def test_a_matroska_that_lies_about_lengths_is_an_error() -> None:
    head = bytes.fromhex("1a45dfa3") + b"\x01" + b"\xff" * 7
    huge = bytes.fromhex("1a45dfa3 93 4286 81 01 4282 88") + b"matroska" + bytes.fromhex("18538067 01 00ffffffffffffff")
    for data in (head, huge, huge + b"\x1f\x43\xb6\x75\x01" + b"\xfe" * 7 + bytes(100)):
        assert _refused(data).exit_status in (Damaged.exit_status, 4)


def test_a_tag_of_256_megabytes_that_is_not_there_is_an_error() -> None:
    assert _refused(b"ID3\x04\0\0\x7f\x7f\x7f\x7f" + bytes(5000)).exit_status in (Damaged.exit_status, 4)


def test_what_ffmpeg_hands_over_is_bounded(sample_media: Path) -> None:
    with Workspace(Settings(max_decoded_bytes=50_000)) as workspace:
        sound = ffmpeg.safe_input(sample_media / "formats/song.ogg", "ogg").output("pipe:1", f="s16le")
        with pytest.raises(ToolOverLimit, match="MMSPREP_MAX_DECODED_BYTES"):
            ffmpeg.run(workspace, sound)


def test_temporary_files_are_bounded_together(sample_media: Path) -> None:
    for sample in ("camera.avi", "song.ogg"):
        error = _refused((sample_media / "formats" / sample).read_bytes(), max_temp_bytes=100_000)
        assert isinstance(error, OverInputLimit)
        assert "MMSPREP_MAX_TEMP_BYTES" in str(error)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
def test_processor_time_of_ffmpeg_is_bounded() -> None:
    with Workspace(Settings(max_cpu_s=1.0)) as workspace:
        endless = ["-f", "lavfi", "-i", "testsrc2=s=1920x1080", "-f", "null", "-"]
        with pytest.raises(ToolOverLimit, match="MMSPREP_MAX_CPU_S"):
            workspace.processes.run(
                [ffmpeg.executable(workspace.settings), "-v", "error", *endless], cage=workspace.cage(reads=[])
            )


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux limits memory")
def test_memory_of_ffmpeg_is_bounded(sample_media: Path) -> None:
    data = (sample_media / "formats/clip.mp4").read_bytes()
    error = _refused(data, max_memory_bytes=60_000_000)
    assert isinstance(error, (OverInputLimit, Damaged, ToolError))


@pytest.mark.parametrize(("name", "value"), [("MAX_MEMORY_BYTES", "lots"), ("MAX_CPU_S", "-1"), ("ISOLATE", "perhaps")])
def test_a_limit_that_makes_no_sense_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"MMSPREP_{name}: found '{value}'"):
        load_settings({f"MMSPREP_{name}": value})


def test_limits_come_from_the_environment() -> None:
    settings = load_settings({"MMSPREP_MAX_CPU_S": "7.5", "MMSPREP_ISOLATE": "0", "MMSPREP_MAX_TEMP_BYTES": "9"})
    assert (settings.max_cpu_s, settings.isolate, settings.max_temp_bytes) == (7.5, False, 9)


def test_hidden_text_in_a_picture_is_not_unpacked_twice() -> None:
    """A chunk that Pillow itself refuses to unpack is damage, not a crash."""
    out = io.BytesIO()
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", "x" * 2_000_000, zip=True)
    Image.new("RGB", (64, 64), (9, 9, 9)).save(out, "PNG", pnginfo=info)
    outcome = _prepared("photo.png", out.getvalue())
    assert isinstance(outcome, (Message, Damaged))
