"""Nothing of where, when, by whom and with what something was made leaves with a message.

The inputs carry a mark wherever their formats have room for one. The outputs are searched for it byte by byte, and
read by exiftool, which mmsprep does not use, where it is installed.
"""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image, PngImagePlugin

from mmsprep import prepare
from mmsprep.formats import FORMATS
from mmsprep.message import Message

MARK = "PRIVATE4711"
_NAME = f"{MARK}-holiday"
_TELLTALE = re.compile(
    r"GPS|Serial|Creator|Author|Artist|Comment|Software|Encod|^Make$|^Model|Title|Descri|Copyright|Thumbnail|Owner"
    r"|Location|Lens|Handler|Vendor|XMP|IPTC|Album|Genre|Keyword|Publisher|History|DocumentID|Preview|ICC|ProfileD",
)
_DATES = re.compile(r"Date|Time$")
_STRUCTURE = (
    "SampleGroupDescription",
    "HandlerType",
    "HandlerClass",
    "Encoding",
    "CopyrightFlag",
    "PreviewTime",
    "PreviewDuration",
)
"""What a player needs (``Encoding`` is the number of a WAV's codec), and fields that are always there."""
_BOILERPLATE = ("", "VideoHandler", "SoundHandler", "LAME", "FFMP", "0")
"""Values that every such file has: names of handlers; LAME, without which players do not trust the delay that an MP3
declares; the four letters of a vendor that 3GPP TS 26.244 wants."""
_NEVER = ("Lavf", "Lavc", "LAME3", "x264", "Photoshop", "Pillow", "mmsprep")


def _exif() -> Image.Exif:
    exif = Image.Exif()
    for tag in (0x010E, 0x010F, 0x0110, 0x0131, 0x013B, 0x8298):
        exif[tag] = MARK
    exif[0x0132] = "2026:06:13 10:15:02"
    inner = exif.get_ifd(0x8769)
    inner |= {0x9003: "2026:06:13 10:15:02", 0xA431: MARK, 0xA433: MARK, 0x927C: MARK.encode(), 0x9286: MARK.encode()}
    gps = exif.get_ifd(0x8825)
    gps |= {1: "S", 2: (33.0, 51.0, 31.0), 3: "E", 4: (151.0, 12.0, 51.0), 29: "2026:06:13"}
    return exif


_XMP = f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><dc:creator>{MARK}</dc:creator></x:xmpmeta>'.encode()


def _picture(mode: str = "RGB", side: int = 300) -> Image.Image:
    gradient = Image.linear_gradient("L").resize((side, side))
    return Image.merge("RGB", (gradient, gradient.rotate(90), gradient.rotate(180))).convert(mode)


def _saved(image: Image.Image, format_name: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, format_name, **options)
    return out.getvalue()


def _jpeg(side: int = 300) -> bytes:
    data = _saved(_picture(side=side), "JPEG", exif=_exif(), xmp=_XMP, comment=MARK, quality=92)
    iptc = b"Photoshop 3.0\0" + b"8BIM\x04\x04\0\0\0\0\0\x10" + b"\x1c\x02\x50\0\x0b" + MARK.encode()
    return data[:2] + b"\xff\xed" + (len(iptc) + 2).to_bytes(2, "big") + iptc + data[2:] + MARK.encode()


def _png(image: Image.Image) -> bytes:
    text = PngImagePlugin.PngInfo()
    text.add_text("Author", MARK)
    text.add_text("Comment", MARK, zip=True)
    text.add_itxt("XML:com.adobe.xmp", _XMP.decode())
    return _saved(image, "PNG", pnginfo=text, exif=_exif())


def _gif(frames: int) -> bytes:
    pictures = [_picture(side=120).rotate(10 * number) for number in range(frames)]
    rest = {"save_all": True, "append_images": pictures[1:], "loop": 0, "duration": 100} if frames > 1 else {}
    return _saved(pictures[0], "GIF", comment=MARK, **rest)


def _hidden() -> bytes:
    """A picture whose transparent half hides another one."""
    image = Image.new("RGBA", (200, 200), (200, 30, 30, 255))
    image.paste((0, 255, 0, 0), (100, 0, 200, 200))
    return _png(image)


_TAGS = " ".join(
    f"-metadata {key}={MARK}" for key in ("title", "artist", "comment", "location", "encoder", "make", "model", "album")
)
_SOUND = f"-f lavfi -i sine=440:d=3 {_TAGS} -metadata creation_time=2026-06-13T10:15:02Z"
_CLIP = (
    f"-f lavfi -i testsrc2=s=160x120:r=12:d=1 -f lavfi -i sine=440:d=1 -pix_fmt yuv420p {_TAGS}"
    f" -metadata creation_time=2026-06-13T10:15:02Z -metadata:s:v handler_name={MARK}"
)

_INPUTS: dict[str, Callable[[Callable[[str, str], bytes]], bytes]] = {
    "small.jpg": lambda _: _jpeg(),
    "large.jpg": lambda _: _jpeg(2400),
    "drawing.png": lambda _: _png(_picture("P")),
    "photo.png": lambda _: _png(_picture()),
    "hidden.png": lambda _: _hidden(),
    "photo.webp": lambda _: _saved(_picture(), "WEBP", exif=_exif(), xmp=_XMP),
    "photo.tif": lambda _: _saved(_picture(), "TIFF", exif=_exif()),
    "photo.avif": lambda _: _saved(_picture(), "AVIF", exif=_exif(), xmp=_XMP),
    "still.gif": lambda _: _gif(1),
    "animation.gif": lambda _: _gif(8),
    "song.mp3": lambda make: make(f"{_SOUND} -b:a 64k", "mp3"),
    "song.ogg": lambda make: make(f"{_SOUND} -c:a libopus", "ogg"),
    "song.m4a": lambda make: make(f"{_SOUND} -movflags use_metadata_tags", "m4a"),
    "song.flac": lambda make: make(_SOUND, "flac"),
    "note.wav": lambda make: make(f"{_SOUND} -ar 8000 -write_bext 1 -metadata originator={MARK}", "wav"),
    "note.amr": lambda make: make(f"{_SOUND} -ar 8000 -ac 1", "amr"),
    "clip.mp4": lambda make: make(f"{_CLIP} -movflags use_metadata_tags", "mp4"),
    "clip.3gp": lambda make: make(f"{_CLIP} -c:v libx264 -profile:v baseline -c:a aac", "3gp"),
    "clip.mov": lambda make: make(f"{_CLIP} -movflags use_metadata_tags", "mov"),
    "clip.mkv": lambda make: make(f"{_CLIP} -c:a libopus", "mkv"),
}


@pytest.fixture(scope="module")
def marked(make: Callable[[str, str], bytes]) -> Callable[[str], bytes]:
    made: dict[str, bytes] = {}

    def get(name: str) -> bytes:
        if name not in made:
            made[name] = _INPUTS[name](make)
        return made[name]

    return get


def _spellings() -> list[bytes]:
    return [MARK.encode(), MARK.encode("utf-16-le"), MARK.encode("utf-16-be"), MARK.lower().encode()]


def _assert_unmarked(message: Message) -> None:
    for part in message.parts:
        assert MARK not in part.name
        for spelling in (*_spellings(), *(word.encode() for word in _NEVER)):
            assert spelling not in part.data, f"{spelling!r} in {part.name}"


@pytest.mark.parametrize("name", _INPUTS)
@pytest.mark.parametrize("profile", ["smsglobal", pytest.param("legacy-gsm", marks=pytest.mark.slow)])
def test_no_mark_is_left_in_any_output(name: str, profile: str, marked: Callable[[str], bytes], tmp_path: Path) -> None:
    data = marked(name)
    assert any(spelling in data for spelling in _spellings()) or name == "note.amr"
    message = prepare([(f"{_NAME}{Path(name).suffix}", data)], profile=profile)
    _assert_unmarked(message)
    if shutil.which("exiftool"):
        for number, part in enumerate(message.parts):
            path = tmp_path / f"{number}.{FORMATS[part.format].extension}"
            path.write_bytes(part.data)
            _assert_nothing_told(path)


def _assert_nothing_told(path: Path) -> None:
    command = ["exiftool", "-json", "-G0", "-a", "-u", "-ee", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    told = {
        tag: value
        for key, value in json.loads(done.stdout)[0].items()
        for group, _, tag in [key.rpartition(":")]
        if group not in ("File", "System", "ExifTool", "") or tag == "Comment"
    }
    for tag, value in told.items():
        if tag in _STRUCTURE:
            continue
        assert not _TELLTALE.search(tag) or str(value).strip() in _BOILERPLATE, f"{path.name} tells {tag}: {value}"
        if _DATES.search(tag) and isinstance(value, str) and ":" in value:
            assert value.startswith("0000:00:00"), f"{path.name} tells {tag}: {value}"


@pytest.mark.skipif(not shutil.which("exiftool"), reason="exiftool is not installed")
@pytest.mark.parametrize("name", ["small.jpg", "clip.mp4", "song.mp3"])
def test_the_independent_reader_sees_what_the_inputs_tell(
    name: str, marked: Callable[[str], bytes], tmp_path: Path
) -> None:
    """The control: what the outputs must not have is found where it is."""
    path = tmp_path / name
    path.write_bytes(marked(name))
    with pytest.raises(AssertionError, match="tells"):
        _assert_nothing_told(path)


def test_colour_that_lay_under_transparency_is_gone(marked: Callable[[str], bytes]) -> None:
    for profile in ("smsglobal", "legacy-gsm"):
        message = prepare([("hidden.png", marked("hidden.png"))], profile=profile)
        image = Image.open(io.BytesIO(message.parts[0].data)).convert("RGBA")
        colours = image.getcolors(1 << 20) or []
        assert not [rgb for _, rgb in colours if rgb[1] > 150 and rgb[0] < 100 and rgb[2] < 100]  # type: ignore[index]


def test_a_source_name_is_kept_only_when_it_is_asked_for(marked: Callable[[str], bytes]) -> None:
    inputs = [(f"/home/somebody/{_NAME}.jpg", marked("small.jpg"))]
    asked = prepare(inputs, keep_names=True)
    assert MARK.lower() in asked.parts[0].name.lower()
    assert "somebody" not in asked.parts[0].name
    _assert_unmarked(prepare(inputs))
