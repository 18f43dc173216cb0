"""Files that go on for ever, end too early or contradict themselves: each is told for what it is, and soon."""

from __future__ import annotations

import io
import random
import re
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from mmsprep.errors import Damaged, Empty, MmsprepError, TypeNotAllowed, UnknownType
from mmsprep.formats.readers import read_sound
from mmsprep.model import Kind, MediaInfo
from mmsprep.pipeline import prepare

Look = Callable[..., MediaInfo]
Make = Callable[[str, str], bytes]


def _picture(writer: str, **options: object) -> bytes:
    out = io.BytesIO()
    Image.linear_gradient("L").resize((40, 24)).convert("RGB").save(out, writer, **options)
    return out.getvalue()


def _behind(start: bytes, data: bytes, more: bytes) -> bytes:
    at = data.index(start) + len(start)
    return data[:at] + more + data[at:]


def _ogg(packet: bytes, flags: int = 2, granule: int = 0) -> bytes:
    return b"OggS\0" + struct.pack("<BqIIIBB", flags, granule, 7, 0, 0, 1, len(packet)) + packet


def _riff(chunks: bytes) -> bytes:
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


_BOX = b"\0\0\0\x08free"
_ENDLESS = {
    "gif": lambda: b"GIF89a" + struct.pack("<HHBBB", 9, 9, 0, 0, 0) + b"\x21\xfe\0" * 200_001,
    "png": lambda: _picture("PNG")[:33] + b"\0\0\0\0teSt\0\0\0\0" * 200_001,
    "jpeg": lambda: b"\xff\xd8" + b"\xff\xfe\0\x02" * 200_001,
    "wav": lambda: b"RIFF\xff\xff\xff\x7fWAVE" + b"LIST\0\0\0\0" * 100_001,
    "jxl": lambda: b"\0\0\0\x0cJXL \r\n\x87\n" + _BOX * 1_001,
    "midi": lambda: b"MThd" + struct.pack(">IHHH", 6, 1, 1, 96) + b"XXXX\0\0\0\0" * 66_537,
    "mp4": lambda: b"\0\0\0\x10ftypisom\0\0\0\0" + _BOX * 200_001,
}


@pytest.mark.parametrize("name", _ENDLESS)
def test_headers_without_end_are_damaged(look: Look, name: str) -> None:
    with pytest.raises(Damaged):
        look(_ENDLESS[name]())


def test_what_stands_before_the_sound_or_the_pictures_does_not_hide_them(look: Look, make: Make) -> None:
    """More chunks in front than anybody writes: what they are is still seen, only how long is left to others."""
    tone = "-f lavfi -i sine=duration=0.5"
    caf = make(f"{tone} -c:a pcm_s16le", "caf")
    assert look(_behind(caf[8:52], caf, (b"free" + bytes(8)) * 1_001)).format == "caf"
    mkv = make("-f lavfi -i testsrc2=size=64x48:rate=10:duration=0.5", "mkv")
    at = mkv.index(b"\x18\x53\x80\x67")
    assert look(mkv[:at] + b"\xec\x80" * 17 + mkv[at:]).format == "mkv"


_SENSELESS: list[tuple[str, bytes, type[MmsprepError]]] = [
    ("a WBMP whose size never ends", b"\0\0" + b"\xff" * 9, UnknownType),
    ("a WBMP that ends in its size", b"\0\0\xff", UnknownType),
    ("a Targa of no width", bytes((0, 0, 2)) + bytes(9) + struct.pack("<HHBB", 0, 9, 24, 0) + bytes(99), UnknownType),
    ("a Targa whose runs end early", bytes((0, 0, 10)) + bytes(9) + struct.pack("<HHBB", 9, 9, 24, 0), UnknownType),
    ("AC-3 of no sampling rate", b"\x0b\x77\xc1\xc2\xff\x41" * 99, UnknownType),
    ("E-AC-3 of no sampling rate", b"\x0b\x77\xc1\xc2\xff\x81" * 99, UnknownType),
    ("H.264 without a picture", b"\0\0\0\1\x67\x42\xc0\x1e\xd9\0\0\0\1\x68\xcb\x83\xcb\x20", UnknownType),
    ("an Ogg file of nothing that is heard", _ogg(b"fishead\0" + bytes(56)), Damaged),
    ("an ASF file without properties", bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c") + bytes(99), Damaged),
    ("a programme stream without pictures", b"\0\0\1\xba\x44" + bytes(9) + b"\0\0\1\xb9" + bytes(99), Damaged),
    ("a movie with a box of no length", b"\0\0\0\x10ftypisom\0\0\0\0\0\0\0\x10moov\0\0\0\x04mvhd", Damaged),
    ("a picture of JPEG 2000 that begins as a movie", b"\0\0\0\x10ftypjp2 \0\0\0\0" + _BOX * 9, Damaged),
    ("a JPEG with a segment of no length", b"\xff\xd8\xff\xe0\0\1" + bytes(99), Damaged),
    ("AMR of frames that do not exist", b"#!AMR\n" + (b"\x3c" + bytes(31) + b"\x54" * 9) * 9, Damaged),
    ("text that goes on as something else", b"Some words. " * 5_500 + random.Random(1).randbytes(20_000), Damaged),
    ("a text of spaces", b" \n" * 99, Empty),
    ("an eMelody of the future", b"BEGIN:EMELODY\r\nVERSION:2.0\r\nMELODY:c1\r\nEND:EMELODY\r\n", Damaged),
    ("an iMelody without end", b"BEGIN:IMELODY\r\nMELODY:" + b"c1" * 200_000 + b"\r\nEND:IMELODY\r\n", Damaged),
]


@pytest.mark.parametrize(("data", "error"), [case[1:] for case in _SENSELESS], ids=[case[0] for case in _SENSELESS])
def test_what_makes_no_sense_is_told(look: Look, data: bytes, error: type[MmsprepError]) -> None:
    with pytest.raises(error):
        look(data)


def test_a_raw_file_of_boxes_is_known_by_its_brand() -> None:
    with pytest.raises(TypeNotAllowed, match="raw file without a preview"):
        prepare([("IMG_1.CR3", b"\0\0\0\x10ftypcrx \0\0\0\0" + _BOX * 99)])


def test_a_jpeg_of_twelve_bits_is_named(look: Look) -> None:
    data = bytearray(_picture("JPEG"))
    at = data.index(b"\xff\xc0")
    data[at + 1], data[at + 4] = 0xC1, 12
    with pytest.raises(TypeNotAllowed, match="12 bits a channel"):
        look(bytes(data))


def test_xmp_and_what_other_programs_put_into_a_gif_go(look: Look) -> None:
    data = _picture("GIF")
    extension = b"\x21\xff\x0bXMP DataXMP\x03<x>\0"
    at = data.index(b"\x2c")
    written = data[:at] + extension + extension.replace(b"XMP DataXMP", b"MAGICK  001") + data[at:]
    assert set(look(written).metadata) == {"xmp", "application_data"}
    part = prepare([("a.gif", written)]).parts[0]
    assert part.action == "rewrap" and b"XMP" not in part.data and b"MAGICK" not in part.data


def _cut_in_its_scan(data: bytes) -> bytes:
    return data[: data.index(b"\xff\xda") + 60]


@pytest.mark.parametrize(
    "damaged",
    [
        lambda: _cut_in_its_scan(_picture("JPEG", comment=b"words")),
        lambda: _picture("JPEG", comment=b"words")[:-2],
        lambda: _picture("GIF", comment=b"words").replace(b"\x21\xf9\x04", b"\x21\xf9\x05"),
    ],
    ids=["JPEG cut in its scan", "JPEG without its end", "GIF with a long control"],
)
def test_a_picture_that_would_be_repackaged_and_is_damaged_is_sent_whole_or_told(damaged: Callable[[], bytes]) -> None:
    try:
        part = prepare([("odd", damaged())]).parts[0]
    except Damaged:
        return
    Image.open(io.BytesIO(part.data)).load()


@pytest.mark.parametrize(
    ("slug", "data", "told"),
    [
        ("amr", b"#!AMR", "does not begin with"),
        ("amr", b"#!AMR\n\x7c\x7c", "no speech frame"),
        ("wav", _riff(b"LIST\4\0\0\0abcd"), "no format, fact or data chunk"),
        ("wav", _riff(b"fmt \x10\0\0\0" + struct.pack("<HHIIHH", 1, 1, 8000, 8000, 1, 8)), "0 bytes of samples"),
    ],
)
def test_a_recording_is_read_back_to_the_last_byte(slug: str, data: bytes, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        read_sound(data, slug)


def test_what_an_ogg_holds_is_read_from_its_pages(look: Look, make: Make) -> None:
    data = make("-f lavfi -i sine=frequency=440:sample_rate=16000:duration=1 -c:a flac", "ogg")
    speex = b"Speex   1.2" + bytes(25) + struct.pack("<iiii", 16_000, 1, 4, 1) + bytes(28)
    for one, codec in ((data, "flac"), (_ogg(speex) + _ogg(b"\0" * 9, flags=0, granule=16_000), "speex")):
        info = look(one)
        assert (info.format, info.kind, info.audio_codec) == ("ogg", Kind.AUDIO, codec)
        assert info.duration_s == pytest.approx(1, abs=0.05)
    assert look(data + b"\xff" * 99).duration_s == pytest.approx(1, abs=0.05)


def test_an_mp3_that_plays_shorter_than_its_header_says_tells_so(sample_media: Path) -> None:
    data = (sample_media / "formats" / "song.mp3").read_bytes()
    part = prepare([("song.mp3", data[: len(data) * 2 // 3])]).parts[0]
    assert any(re.match(r"plays 2\.\d s, its header says 4\.0 s", note) for note in part.notes), part.notes


def test_subtitles_and_files_inside_a_clip_are_told_as_left_out(look: Look, make: Make, tmp_path: Path) -> None:
    words = tmp_path / "words.srt"
    words.write_text("1\n00:00:00,000 --> 00:00:01,000\nHello\n", encoding="ascii")
    data = make(
        f"-f lavfi -i testsrc2=size=64x48:rate=10:duration=0.5 -i {words} -attach {words} "
        "-metadata:s:t mimetype=text/plain -c:v libx264 -preset ultrafast",
        "mkv",
    )
    assert {"its subtitles are left out", "a file inside it is left out"} <= set(look(data).notes)


@pytest.mark.parametrize("options", [{}, {"compression": "tga_rle"}], ids=["plain", "run lengths"])
def test_a_targa_that_ends_before_its_pixels_is_damaged(options: dict[str, object]) -> None:
    data = _picture("TGA", **options)
    with pytest.raises(Damaged):
        prepare([("a.tga", data[: len(data) // 2] + bytes(8) + b"TRUEVISION-XFILE.\0")])
