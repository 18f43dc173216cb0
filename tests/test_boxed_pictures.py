"""Pictures made of boxes: what HEIC and AVIF hold beside one still of 8 bits comes out as it is seen, or is told."""

from __future__ import annotations

import struct
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from numpy.typing import NDArray
from PIL import Image

from mmsprep import prepare
from mmsprep.errors import TypeNotAllowed
from mmsprep.formats.cicp import BT2020
from mmsprep.model import ColourCoding, Kind, MediaInfo
from mmsprep.transcode.colours import displayed

Look = Callable[[bytes], MediaInfo]
Make = Callable[[str, str], bytes]
_WIDTH, _HEIGHT = 320, 192
_SOURCE = "-f lavfi -i testsrc2=size=320x240:rate=10:duration=2"


def _pq(nits: NDArray[np.float64]) -> NDArray[np.float64]:
    power = (nits / 10_000) ** 0.1593017578125
    return ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375


def _dark_gradient() -> NDArray[np.uint16]:
    """From nearly nothing on the left to 4 cd/m2 on the right, lighter at the top, in PQ."""
    across = np.linspace(0.05, 4, _WIDTH)[None] * np.linspace(1, 0.5, _HEIGHT)[:, None]
    return (np.repeat(_pq(across)[..., None], 3, axis=2) * 65_535).round().astype(np.uint16)


@pytest.fixture
def dark(make: Make, tmp_path: Path) -> bytes:
    """The gradient as an AVIF of 10 bits."""
    raw = tmp_path / "dark.rgb"
    raw.write_bytes(_dark_gradient().astype("<u2").tobytes())
    coding = "color_primaries=bt2020:color_trc=smpte2084:colorspace=bt2020nc:range=pc"
    made = f"-vf scale=out_color_matrix=bt2020:out_range=pc,format=yuv444p10le,setparams={coding}"
    source = f"-f rawvideo -pix_fmt rgb48le -s {_WIDTH}x{_HEIGHT} -i {raw}"
    return make(f"{source} {made} -c:v libaom-av1 -cpu-used 8 -crf 2", "avif")


def _with_property(data: bytes, box: bytes) -> bytes:
    """An AVIF of ffmpeg's whose picture has one property more."""
    sizes = [data.index(name) - 4 for name in (b"meta", b"iprp", b"ipco", b"ipma")]
    made = bytearray(data)
    associations = sizes[-1]
    count = struct.unpack_from(">I", made, associations)[0]
    properties = made[associations + 18]
    made[associations + 18] = properties + 1
    made.insert(associations + count, 0x80 | (properties + 1))
    struct.pack_into(">I", made, associations, count + 1)
    end = sizes[2] + struct.unpack_from(">I", made, sizes[2])[0]
    made[end:end] = box
    for place, more in zip(sizes[:3], (len(box) + 1, len(box) + 1, len(box)), strict=True):
        struct.pack_into(">I", made, place, struct.unpack_from(">I", made, place)[0] + more)
    first_byte = made.index(b"iloc") + 18
    struct.pack_into(">I", made, first_byte, struct.unpack_from(">I", made, first_byte)[0] + len(box) + 1)
    return bytes(made)


def _shown(data: bytes) -> NDArray[np.int64]:
    (part,) = prepare([("picture", data)]).parts
    with Image.open(BytesIO(part.data)) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def test_a_dark_gradient_of_ten_bits_has_no_bands_of_eight(dark: bytes) -> None:
    """Eight bits of PQ have steps of two and three levels there."""
    wanted = displayed(_dark_gradient(), ColourCoding(transfer="pq", primaries=BT2020)).astype(int)
    with Image.open(BytesIO(dark)) as image:
        coarse = displayed(np.asarray(image.convert("RGB")), ColourCoding(transfer="pq", primaries=BT2020)).astype(int)
    shown = _shown(dark)
    assert shown.shape == wanted.shape
    assert np.abs(shown - wanted).max() <= 3
    assert np.abs(shown - wanted).mean() < 0.6 * np.abs(coarse - wanted).mean()


@pytest.mark.parametrize(
    ("box", "turn"),
    [
        (b"irot\1", lambda rows: np.rot90(rows, 1)),
        (b"irot\3", lambda rows: np.rot90(rows, 3)),
        (b"imir\0", lambda rows: rows[::-1]),
        (b"imir\1", lambda rows: rows[:, ::-1]),
    ],
    ids=["counter-clockwise", "clockwise", "upside down", "mirrored"],
)
def test_a_deep_avif_is_turned_as_its_properties_say_and_once(
    dark: bytes, box: bytes, turn: Callable[[NDArray[np.int64]], NDArray[np.int64]]
) -> None:
    wanted = displayed(_dark_gradient(), ColourCoding(transfer="pq", primaries=BT2020)).astype(int)
    shown = _shown(_with_property(dark, struct.pack(">I", 4 + len(box)) + box))
    assert shown.shape == turn(wanted).shape
    assert np.abs(shown - turn(wanted)).max() <= 3


def _sequence(make: Make, brand: bytes, handler: bytes, options: str = "") -> bytes:
    """Pictures of HEVC one after another, as cameras write bursts (ISO/IEC 23008-12, 7)."""
    x265 = "-c:v libx265 -preset ultrafast -x265-params log-level=none:keyint=1 -tag:v hvc1"
    data = bytearray(make(f"{_SOURCE} {options} {x265} -brand msf1", "mp4"))
    data[8:12] = brand
    data[16:28] = b"hevcmsf1iso8"
    return bytes(data).replace(b"vide\0", handler + b"\0", 1)


@pytest.mark.parametrize("brand", [b"msf1", b"hevc"])
@pytest.mark.parametrize("handler", [b"pict", b"vide"])
def test_a_heic_sequence_without_a_still_is_a_clip(look: Look, make: Make, brand: bytes, handler: bytes) -> None:
    data = _sequence(make, brand, handler)
    info = look(data)
    assert (info.format, info.kind, info.duration_s, info.frame_count) == ("heics", Kind.VIDEO, 2.0, 20)
    if handler == b"pict":
        (part,) = prepare([("burst.heic", data)]).parts
        assert part.kind is Kind.VIDEO
        assert part.duration_s == pytest.approx(2.0, abs=0.05)
        assert not any("named" in note for note in part.notes)


def test_a_heic_sequence_of_one_picture_is_a_picture(make: Make) -> None:
    (part,) = prepare([("one.heic", _sequence(make, b"msf1", b"pict", "-frames:v 1"))]).parts
    assert (part.kind, part.width_px, part.height_px) == (Kind.IMAGE, 320, 240)


def test_a_still_beside_which_there_is_a_sequence_is_sent_and_the_sequence_told(make: Make) -> None:
    still = BytesIO()
    pillow_heif.from_pillow(Image.linear_gradient("L").convert("RGB")).save(still)
    moov = _sequence(make, b"msf1", b"pict")
    moov = moov[moov.index(b"moov") - 4 :]
    (part,) = prepare([("live.heic", still.getvalue() + moov)]).parts
    assert (part.width_px, part.height_px) == (256, 256)
    assert "holds a sequence of pictures beside it, which is left out" in part.notes


def test_an_avif_sequence_plays_as_it_did(make: Make) -> None:
    data = make(f"{_SOURCE} -c:v libaom-av1 -cpu-used 8", "avif")
    (part,) = prepare([("moving.avif", data)]).parts
    assert part.format == "gif"
    with Image.open(BytesIO(part.data)) as image:
        delays = []
        for number in range(getattr(image, "n_frames", 1)):
            image.seek(number)
            delays.append(image.info["duration"])
    assert sum(delays) == pytest.approx(2000, abs=20)
    assert len(delays) > 10


def _heif(brand: bytes, item: bytes) -> bytes:
    """A HEIC of pillow-heif's that says it is another codec's."""
    out = BytesIO()
    pillow_heif.from_pillow(Image.new("RGB", (64, 64), "red")).save(out)
    data: bytes = out.getvalue().replace(b"hvc1", item)
    length: int = struct.unpack_from(">I", data)[0]
    brands = brand + bytes(4) + b"mif1" * ((length - 16) // 4)
    return data[:8] + brands + data[length:]


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (_heif(b"mif1", b"unci"), "unci"),
        (_heif(b"avci", b"avc1"), "avci"),
        (_heif(b"j2ki", b"j2k1"), "j2ki"),
        (_heif(b"jpeg", b"jpeg"), "jpeg"),
        (struct.pack(">I4s4s4sI4s", 16, b"ftyp", b"mif3", b"avif", 16, b"mini") + bytes(8), "AVIF in its short form"),
    ],
)
def test_a_heif_of_a_codec_that_nothing_here_decodes_is_named_and_not_called_damaged(
    data: bytes, kind: str, look: Look
) -> None:
    with pytest.raises(TypeNotAllowed, match=f"HEIF picture of a kind that nothing here decodes \\({kind}\\); save it"):
        look(data)


def test_a_heic_whose_brand_names_no_codec_is_told_by_its_pictures(look: Look) -> None:
    assert look(_heif(b"mif1", b"hvc1")).format == "heic"
