"""Every format and codec that the bundled tools can make, and what becomes of it: docs/formats.md, by running it.

    python benchmarks/format_matrix.py [--only WORD] [--jobs N]

Each combination of container and codec that ffmpeg and Pillow agree to write is made anew, looked at under its
honest name and as ``renamed.jpg``, and prepared by itself with the default profile. Whatever is called by a
wrong name, or by another when it is renamed, or ends in anything but a verified part or an error about the
file, makes the exit status 1. ``--only`` runs the cases whose section, file or content has the word in it and
leaves the page's other rows as they are. All cases take some ten minutes on two idle cores.
"""

from __future__ import annotations

import argparse
import math
import shutil
import struct
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from io import BytesIO
from pathlib import Path
from random import Random

import pillow_heif
from PIL import Image, ImageChops, ImageStat

from mmsprep import MmsprepError, inspect, prepare
from mmsprep.errors import InputError, OverBudget, Rejected
from mmsprep.formats import FORMATS
from mmsprep.model import Kind, MediaInfo, Part
from mmsprep.pipeline.job import Inspection
from mmsprep.settings import Settings
from mmsprep.tools.ffmpeg import executable

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "formats.md"

_PICTURES = "-f lavfi -i testsrc2=s=128x96:r=10:d=1"
_SOUND = "-f lavfi -i sine=f=440:d=1:r=44100"
_BARE = "-map_metadata -1 -fflags +bitexact -flags:v +bitexact -flags:a +bitexact"

_VIDEO_CODECS = {
    "h264": "-c:v libx264 -preset ultrafast -pix_fmt yuv420p",
    "h264 10-bit": "-c:v libx264 -preset ultrafast -pix_fmt yuv420p10le",
    "h264 4:4:4": "-c:v libx264 -preset ultrafast -pix_fmt yuv444p",
    "hevc": "-c:v libx265 -preset ultrafast -x265-params log-level=none -pix_fmt yuv420p",
    "hevc 10-bit PQ": "-c:v libx265 -preset ultrafast -pix_fmt yuv420p10le -color_primaries bt2020 -color_trc smpte2084"
    " -colorspace bt2020nc -x265-params log-level=none:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc",
    "hevc 10-bit HLG": "-c:v libx265 -preset ultrafast -pix_fmt yuv420p10le -color_primaries bt2020"
    " -color_trc arib-std-b67 -colorspace bt2020nc"
    " -x265-params log-level=none:colorprim=bt2020:transfer=arib-std-b67:colormatrix=bt2020nc",
    "vvc": "-c:v libvvenc -preset faster -pix_fmt yuv420p10le",
    "av1": "-c:v libsvtav1 -preset 12 -pix_fmt yuv420p",
    "vp8": "-c:v libvpx -deadline realtime -cpu-used 8 -pix_fmt yuv420p",
    "vp9": "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -pix_fmt yuv420p",
    "mpeg4": "-c:v mpeg4 -pix_fmt yuv420p",
    "xvid": "-c:v libxvid -pix_fmt yuv420p",
    "msmpeg4v2": "-c:v msmpeg4v2 -pix_fmt yuv420p",
    "msmpeg4v3": "-c:v msmpeg4 -pix_fmt yuv420p",
    "h263": "-c:v h263 -pix_fmt yuv420p",
    "h263+": "-c:v h263p -pix_fmt yuv420p",
    "flv1": "-c:v flv -pix_fmt yuv420p",
    "mpeg1": "-c:v mpeg1video -pix_fmt yuv420p -r 25",
    "mpeg2": "-c:v mpeg2video -pix_fmt yuv420p -r 25",
    "wmv1": "-c:v wmv1 -pix_fmt yuv420p",
    "wmv2": "-c:v wmv2 -pix_fmt yuv420p",
    "theora": "-c:v libtheora -pix_fmt yuv420p",
    "mjpeg": "-c:v mjpeg -pix_fmt yuvj420p",
    "prores": "-c:v prores_ks -pix_fmt yuv422p10le",
    "dnxhr": "-c:v dnxhd -profile:v dnxhr_lb -pix_fmt yuv422p -s 256x120",
    "dv": "-c:v dvvideo -s 720x576 -r 25 -pix_fmt yuv420p",
    "cinepak": "-c:v cinepak",
    "qtrle": "-c:v qtrle",
    "svq1": "-c:v svq1",
    "msvideo1": "-c:v msvideo1",
    "rv20": "-c:v rv20 -pix_fmt yuv420p",
    "ffv1": "-c:v ffv1",
    "huffyuv": "-c:v huffyuv -pix_fmt yuv422p",
    "utvideo": "-c:v utvideo -pix_fmt yuv420p",
    "png": "-c:v png",
    "raw": "-c:v rawvideo -pix_fmt yuv420p",
}
_AUDIO_CODECS = {
    **{
        f"pcm {kind}": f"-c:a pcm_{kind}"
        for kind in ("u8", "s8", "s16le", "s24le", "s32le", "f32le", "f64le", "s16be", "s24be", "s32be", "f32be")
    },
    "mu-law": "-c:a pcm_mulaw",
    "a-law": "-c:a pcm_alaw",
    "ima adpcm": "-c:a adpcm_ima_wav",
    "ms adpcm": "-c:a adpcm_ms",
    "ima adpcm qt": "-c:a adpcm_ima_qt",
    "yamaha adpcm": "-c:a adpcm_yamaha",
    "g722": "-c:a g722 -ar 16000",
    "g726": "-c:a g726 -ar 8000",
    "aac": "-c:a aac",
    "mp3": "-c:a libmp3lame",
    "mp2": "-c:a libtwolame",
    "ac3": "-c:a ac3",
    "eac3": "-c:a eac3",
    "dts": "-c:a dca -strict -2 -ac 2",
    "truehd": "-c:a truehd -strict -2",
    "opus": "-c:a libopus",
    "vorbis": "-c:a libvorbis",
    "flac": "-c:a flac",
    "alac": "-c:a alac",
    "wavpack": "-c:a wavpack",
    "tta": "-c:a tta",
    "wma v1": "-c:a wmav1",
    "wma v2": "-c:a wmav2",
    "amr": "-c:a libopencore_amrnb -ar 8000 -ac 1 -b:a 12.2k",
}
_CLIPS = {
    "mp4": ("mp4", "mp4", "aac"),
    "mov": ("mov", "mov", "aac"),
    "m4v": ("ipod", "mp4", "aac"),
    "f4v": ("f4v", "mp4", "aac"),
    "3gp": ("3gp", "3gp", "aac"),
    "3g2": ("3g2", "3g2", "aac"),
    "avi": ("avi", "avi", "mp3"),
    "mkv": ("matroska", "mkv", "vorbis"),
    "webm": ("webm", "webm", "opus"),
    "flv": ("flv", "flv", "mp3"),
    "mpg": ("mpeg", "mpeg-ps", "mp2"),
    "vob": ("vob", "mpeg-ps", "ac3"),
    "ts": ("mpegts", "mpeg-ts", "mp2"),
    "m2ts": ("mpegts -mpegts_m2ts_mode 1", "mpeg-ts", "ac3"),
    "wmv": ("asf", "wmv", "wma v2"),
    "ogv": ("ogg", "ogv", "vorbis"),
}
"""Extension: ffmpeg's muxer, what it is with pictures in it, and its usual sound."""
_BARE_CLIPS = {
    "m1v": ("mpeg1video", "mpeg-video", "mpeg1"),
    "m2v": ("mpeg2video", "mpeg-video", "mpeg2"),
    "y4m": ("yuv4mpegpipe", "y4m", "raw"),
    "ivf": ("ivf", "ivf", "vp8"),
    "mxf": ("mxf", "mxf", "mpeg2"),
    "264": ("h264", "h264", "h264"),
    "265": ("hevc", "hevc", "hevc"),
    "rm": ("rm", "rm", "rv20"),
}
_RECORDINGS = {
    "wav": ("wav", "wav"),
    "rf64.wav": ("wav -rf64 always", "wav"),
    "aiff": ("aiff", "aiff"),
    "caf": ("caf", "caf"),
    "au": ("au", "au"),
    "mp3": ("mp3", "mp3"),
    "aac": ("adts", "aac"),
    "m4a": ("ipod", "m4a"),
    "mp4": ("mp4", "m4a"),
    "mov": ("mov", "m4a"),
    "3gp": ("3gp", "m4a"),
    "ogg": ("ogg", "ogg"),
    "opus": ("opus", "ogg"),
    "flac": ("flac", "flac"),
    "wma": ("asf", "wma"),
    "amr": ("amr", "amr"),
    "mka": ("matroska", "mka"),
    "weba": ("webm", "mka"),
    "ac3": ("ac3", "ac3"),
    "eac3": ("eac3", "eac3"),
    "avi": ("avi", "avi"),
    "mpg": ("mpeg", "mpeg-ps"),
    "ts": ("mpegts", "mpeg-ts"),
    "flv": ("flv", "flv"),
    "wv": ("wv", "wv"),
    "tta": ("tta", "tta"),
    "w64": ("w64", "w64"),
    "voc": ("voc", "voc"),
    "latm": ("latm", "latm"),
    "dts": ("dts", "dts"),
}
_DSD_HZ, _DSD_BLOCK_BYTES = 2_822_400, 4_096
_MOST_LEVELS = 35
"""A picture in false colours is off by 70 and more; a one-bit icon, made smaller, by 26."""
_DEEP_MODES, _DEEP_WRITERS = ("I;16", "I", "F"), ("PNG", "TIFF", "JPEG2000", "HEIF")
"""The other writers cut off what is above 255 and make another picture of it."""
_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "I;16", "I", "F")
_UNMARKED_MODES = ("CMYK", "YCbCr")
"""A bare JPEG 2000 codestream does not say what its components are."""
_PICTURE_FORMATS = {
    "png": ("PNG", "png"),
    "jpg": ("JPEG", "jpeg"),
    "progressive.jpg": ("JPEG progressive", "jpeg"),
    "mpo": ("MPO", "jpeg"),
    "gif": ("GIF", "gif"),
    "bmp": ("BMP", "bmp"),
    "tif": ("TIFF", "tiff"),
    "lzw.tif": ("TIFF compression=tiff_lzw", "tiff"),
    "deflate.tif": ("TIFF compression=tiff_adobe_deflate", "tiff"),
    "jpeg.tif": ("TIFF compression=jpeg", "tiff"),
    "webp": ("WEBP", "webp"),
    "lossless.webp": ("WEBP lossless", "webp"),
    "avif": ("AVIF", "avif"),
    "heic": ("HEIF", "heic"),
    "jp2": ("JPEG2000", "jp2"),
    "j2k": ("JPEG2000 no_jp2", "jp2"),
    "ico": ("ICO", "ico"),
    "ppm": ("PPM", "pnm"),
    "tga": ("TGA", "tga"),
    "pcx": ("PCX", "pcx"),
    "sgi": ("SGI", "sgi"),
    "dds": ("DDS", "dds"),
    "icns": ("ICNS", "icns"),
    "pdf": ("PDF", ""),
    "eps": ("EPS", ""),
}
_FFMPEG_PICTURES = {
    "jxl": ("-c:v libjxl", "jxl"),
    "wbmp": ("-c:v wbmp -pix_fmt monoblack -f image2", "wbmp"),
    "16-bit.png": ("-c:v png -pix_fmt rgb48be", "png"),
    "16-bit.tif": ("-c:v tiff -pix_fmt rgb48le", "tiff"),
    "animated.gif": ("-frames:v 10 -f gif", "gif"),
    "animated.png": ("-frames:v 10 -f apng", "png"),
    "animated.webp": ("-frames:v 10 -c:v libwebp_anim -f webp", "webp"),
    "animated.avif": ("-frames:v 10 -c:v libsvtav1 -preset 12 -f avif", "avif"),
}
_LANGUAGES = {
    "german": "Schöne Grüße vom See! Die Fähre fährt um neun, wir treffen uns im Café.\n",
    "french": "À bientôt près du château, où l’été dernier il faisait très froid ; prenez vos manteaux !\n",
    "polish": "Spotkajmy się jutro o dziewiątej przy łódce. Weź ciepłą kurtkę, będzie chłodno nad jeziorem.\n",
    "russian": "В субботу едем на озеро. Паром отходит в девять часов, встречаемся у пристани.\n",
    "greek": "Τα λέμε αύριο το πρωί στις εννέα δίπλα στη λίμνη, φέρε ζεστό μπουφάν.\n",
    "turkish": "Yarın sabah dokuzda gölün kıyısında buluşalım, sıcak tutacak bir şeyler giyin.\n",
    "japanese": "土曜日は湖に行きます。フェリーは九時に出発しますので、喫茶店で会いましょう。\n",
    "chinese": "星期六我们去湖边。渡船九点钟出发，请在码头前面的咖啡馆等我们。\n",
    "taiwanese": "星期六我們去湖邊，渡船九點鐘出發，請在碼頭前面的咖啡館等我們。\n",
    "thai": "พรุ่งนี้เจอกันเก้าโมงเช้าที่ริมทะเลสาบ อย่าลืมเสื้อกันหนาว\n",
    "korean": "토요일에 호수에 가요. 배는 아홉 시에 떠나니까 선착장 앞 카페에서 만나요.\n",
    "hebrew": "נפגש מחר בתשע בבוקר ליד האגם, תביאו מעיל חם כי יהיה קר.\n",
    "arabic": "نلتقي غدا في التاسعة صباحا قرب البحيرة، أحضروا معاطف دافئة.\n",
}
_ENCODINGS = {
    "german": ("latin-1", "cp850", "mac-roman"),
    "french": ("cp1252", "utf-16-le"),
    "polish": ("cp1250", "iso8859-2", "cp852"),
    "russian": ("cp1251", "koi8-r", "cp866", "iso8859-5"),
    "greek": ("cp1253", "iso8859-7"),
    "turkish": ("cp1254",),
    "japanese": ("shift-jis", "euc-jp", "iso2022_jp"),
    "chinese": ("gb18030",),
    "taiwanese": ("big5",),
    "thai": ("cp874",),
    "korean": ("cp949",),
    "hebrew": ("cp1255",),
    "arabic": ("cp1256",),
}


Key = tuple[str, str, str]
"""A case's section, file and content."""


@dataclass(frozen=True, slots=True)
class Case:
    """One file: its honest name, what is in it, what it must be called (empty: no type of ours), how to make it."""

    section: str
    file: str
    holds: str
    expected: str
    make: Callable[[], bytes | None]

    @property
    def key(self) -> Key:
        """What tells it from the other cases."""
        return self.section, self.file, self.holds


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a case; ``problem`` is empty when everything was as it should be."""

    case: Case
    read_as: str
    row: str
    done: str
    becomes: str
    size_bytes: int
    problem: str

    def cells(self) -> tuple[str, ...]:
        """The page's row, without the size, which another version of an encoder may change."""
        return (self.case.file, self.case.holds, self.read_as, self.row, self.done, self.becomes)


def cases() -> Iterator[Case]:
    """Every case, in the page's order; making one may turn out to be impossible."""
    yield from _pictures()
    for extension, (muxer, slug) in _RECORDINGS.items():
        for codec, options in _AUDIO_CODECS.items():
            make = partial(_ffmpeg, f"{_SOUND} {options} {_BARE} -f {muxer}", extension, "a")
            yield Case("Recordings", f"recording.{extension}", codec, slug, make)
    yield Case("Recordings", "recording.dsf", "dsd", "dsf", _dsf)
    yield Case("Recordings", "recording.mpc", "musepack", "mpc8", _musepack)
    for extension, (muxer, slug, sound) in _CLIPS.items():
        for codec, options in _VIDEO_CODECS.items():
            arguments = f"{_PICTURES} {_SOUND} {options} {_AUDIO_CODECS[sound]} {_BARE} -f {muxer}"
            # VP8 in Ogg is known to ffmpeg, but not to MediaInfo.
            expected = "" if (extension, codec) == ("ogv", "vp8") else slug
            make = partial(_ffmpeg, arguments, extension, "va")
            yield Case("Clips", f"clip.{extension}", f"{codec} + {sound}", expected, make)
    for extension, (muxer, slug, codec) in _BARE_CLIPS.items():
        arguments = f"{_PICTURES} {_VIDEO_CODECS[codec]} {_BARE} -f {muxer}"
        yield Case("Clips", f"clip.{extension}", codec, slug, partial(_ffmpeg, arguments, extension, "v"))
    for language, encodings in _ENCODINGS.items():
        for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-32", *encodings):
            data = _LANGUAGES[language].encode(encoding)
            yield Case("Texts", f"{language}.txt", encoding, "text", partial(bytes, data))
    for folder in ("formats", "message", "bad"):
        for path in sorted((ROOT / "sample_media" / folder).iterdir()):
            yield Case(f"sample_media/{folder}", path.name, "", "", path.read_bytes)


def _pictures() -> Iterator[Case]:
    for extension, (options, slug) in _PICTURE_FORMATS.items():
        for mode in _MODES:
            # Nothing but Pillow knows a Targa of one bit.
            expected = "" if (extension, mode) == ("tga", "1") else slug
            yield Case("Pictures", f"picture.{extension}", mode, expected, partial(_pillow, options, mode))
    for extension, (options, slug) in _FFMPEG_PICTURES.items():
        frames = "" if "-frames" in options else "-frames:v 1"
        make = partial(_ffmpeg, f"{_PICTURES} {frames} {options} {_BARE}", extension, "v")
        yield Case("Pictures", f"picture.{extension}", "", slug, make)


@cache
def _scene() -> Image.Image:
    """Shapes in more colours than a GIF has."""
    size = (160, 120)
    shapes = Image.effect_mandelbrot(size, (-2, -1.2, 1, 1.2), 60)
    noise = Random(1)
    grain = Image.frombytes("RGB", size, noise.randbytes(3 * size[0] * size[1]))
    slope = Image.linear_gradient("L").resize(size)
    return Image.blend(Image.merge("RGB", (shapes, slope, ImageChops.invert(shapes))), grain, 0.2)


def _pillow(options: str, mode: str) -> bytes | None:
    """A picture of ``mode`` as Pillow writes it, ``None`` where it cannot."""
    writer, *settings = options.split()
    if (mode in _DEEP_MODES and writer not in _DEEP_WRITERS) or (settings == ["no_jp2"] and mode in _UNMARKED_MODES):
        return None
    pairs = [setting.partition("=") for setting in settings]
    out = BytesIO()
    scene = _scene()
    try:
        if mode == "PA":
            scene = scene.convert("P").convert("PA")
        elif mode in ("I", "I;16"):
            scene = scene.convert("L").convert("I").point(lambda value: value * 257).convert(mode)
        else:
            scene = scene.convert(mode)
        if writer == "HEIF":
            # Registering the plugin would change Pillow for whoever else is in this process.
            pillow_heif.from_pillow(scene).save(out)
        else:
            scene.save(out, writer, **{name: value or True for name, _, value in pairs})
    except (OSError, ValueError, KeyError):
        return None
    return out.getvalue()


def _ffmpeg(arguments: str, extension: str, streams: str) -> bytes | None:
    """What ffmpeg writes, ``None`` where muxer and codec do not go together, or not so that it can read them again.

    ``streams`` are what must be in it: ``v``, ``a`` or ``va``.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"made.{extension}")
        mapped = [word for stream in streams for word in ("-map", f"0:{stream}:0")]
        written = _run([*arguments.split(), str(path)])
        if not written or not path.stat().st_size or not _run(["-i", str(path), *mapped, "-f", "null", "-"]):
            return None
        return path.read_bytes()


def _dsf() -> bytes:
    """A second of one bit a sample, which a first-order modulator makes of a tone; Sony's DSF 1.01."""
    level, bits = 0.0, bytearray()
    for start in range(0, _DSD_HZ, 8):
        byte = 0
        for place in range(8):
            bit = level >= 0
            level += 0.5 * math.sin(math.tau * 440 * (start + place) / _DSD_HZ) - (1 if bit else -1)
            byte |= bit << place
        bits.append(byte)
    bits += bytes(-len(bits) % _DSD_BLOCK_BYTES)
    layout = struct.pack("<IIIIIIQII", 1, 0, 1, 1, _DSD_HZ, 1, _DSD_HZ, _DSD_BLOCK_BYTES, 0)
    body = b"fmt " + struct.pack("<Q", 12 + len(layout)) + layout + b"data" + struct.pack("<Q", 12 + len(bits)) + bits
    return b"DSD " + struct.pack("<QQQ", 28, 28 + len(body), 0) + body


def _musepack() -> bytes | None:
    """What Musepack's own encoder writes, where it is installed: nothing else does."""
    program = shutil.which("mpcenc")
    wav = _ffmpeg(f"{_SOUND} {_BARE} -f wav", "wav", "a")
    if program is None or wav is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "a.wav"), Path(folder, "a.mpc")
        source.write_bytes(wav)
        subprocess.run([program, "--silent", str(source), str(target)], capture_output=True, check=True, timeout=120)
        return target.read_bytes()


def _run(arguments: list[str]) -> bool:
    command = [executable(Settings()), "-v", "error", "-nostdin", "-y", *arguments]
    return subprocess.run(command, capture_output=True, check=False, timeout=120).returncode == 0


def run_case(case: Case) -> Result | None:
    """Make the file, look at it twice, prepare it; ``None`` where the tools cannot make it."""
    data = case.make()
    if data is None:
        return None
    honest, renamed = inspect([(case.file, data), ("renamed.jpg", data)])
    read_as, row = _words(honest), (honest.plan.row if honest.plan else None) or "-"
    problem = ""
    if case.expected and (honest.info is None or honest.info.format != case.expected):
        problem = f"read as {read_as}, expected {case.expected}"
    elif _words(renamed) != read_as:
        problem = f"read as {_words(renamed)} when it is renamed"
    try:
        part = prepare([(case.file, data)], trim=True).parts[0]
    except MmsprepError as error:
        problem = problem or ("" if isinstance(error, InputError | Rejected | OverBudget) else str(error))
        done = "refused" if isinstance(error, Rejected) else "error"
        return Result(case, read_as, row, f"{done}: {error.code}", "-", 0, problem)
    if case.section == "Pictures" and case.holds in _MODES:
        problem = problem or _difference(part.data)
    if case.section == "Texts":
        wanted = _LANGUAGES[case.file.removesuffix(".txt")].replace("\n", "\r\n")
        problem = problem or ("" if part.data.decode() == wanted else "came out as another text")
    return Result(case, read_as, row, str(part.action), _made(part), part.size_bytes, problem)


def _difference(data: bytes) -> str:
    """What is wrong when a picture does not show the scene: fields of 8 x 8 px, in levels of 256."""
    with Image.open(BytesIO(data)) as image:
        shown = image.convert("L").resize(_scene().size).reduce(8)
    levels = ImageStat.Stat(ImageChops.difference(shown, _scene().convert("L").reduce(8))).mean[0]
    return f"differs from what was put in by {levels:.0f} of 256 levels" if levels > _MOST_LEVELS else ""


def _words(found: Inspection) -> str:
    if found.info is None:
        return "-"
    title = FORMATS[found.info.format].title
    details = _codecs(found.info) or found.info.encoding or ""
    return f"{title} ({details})" if details else title


def _codecs(info: MediaInfo) -> str:
    moving = (info.frame_count or 1) > 1 and info.kind is Kind.IMAGE
    codecs = [info.video_codec, info.audio_codec, "animated" if moving else None]
    return " + ".join(codec for codec in codecs if codec)


def _made(part: Part) -> str:
    """Type and codecs of the part, read back from its bytes."""
    (found,) = inspect([(part.name, part.data)])
    codecs = _codecs(found.info) if found.info else ""
    return f"{part.content_type} ({codecs})" if codecs else part.content_type


def read_page() -> dict[Key, tuple[str, ...]]:
    """The cells of every row of docs/formats.md; none where there is no page yet."""
    rows: dict[Key, tuple[str, ...]] = {}
    section = ""
    for line in PAGE.read_text("utf-8").splitlines() if PAGE.is_file() else ():
        cells = tuple(cell.strip() for cell in line.strip("|").split("|"))
        if line.startswith("## "):
            section = line.removeprefix("## ")
        elif line.startswith("| ") and cells[0] != "file":
            rows[section, cells[0], cells[1]] = cells
    return rows


def page_of(rows: dict[Key, tuple[str, ...]]) -> str:
    """The text of docs/formats.md."""
    counts = Counter(cells[4] for cells in rows.values())
    totals = ", ".join(f"{count} {done}" for done, count in counts.most_common())
    lines = [
        "# What becomes of every format",
        "",
        "Written by `python benchmarks/format_matrix.py`, which makes every file below, looks at it under its own",
        "name and as `renamed.jpg`, and prepares it with the default profile; do not edit it by hand.",
        "Bytes are of this small content and only show that something was made.",
        "",
        f"{len(rows)} files: {totals}.",
    ]
    for section in dict.fromkeys(section for section, _, _ in rows):
        lines += ["", f"## {section}", "", "| file | holds | read as | table row | done | becomes | bytes |"]
        lines.append("|---|---|---|---|---|---|---:|")
        lines += ["| " + " | ".join(cells) + " |" for key, cells in rows.items() if key[0] == section]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run the cases, bring their rows on the page up to date, name the problems."""
    parser = argparse.ArgumentParser(description="What becomes of every format.")
    parser.add_argument("--only", default="")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    every = list(cases())
    chosen = [case for case in every if options.only in f"{case.section} {case.file} {case.holds}"]
    with ThreadPoolExecutor(options.jobs) as pool:
        results = [result for result in pool.map(run_case, chosen) if result]
    rows = read_page()
    for case in chosen:
        rows.pop(case.key, None)
    for result in results:
        size = f"{result.size_bytes:,}" if result.size_bytes else "-"
        rows[result.case.key] = (*result.cells(), size)
        print(" | ".join(rows[result.case.key]))
    PAGE.write_text(page_of({case.key: rows[case.key] for case in every if case.key in rows}), "utf-8")
    problems = [result for result in results if result.problem]
    for result in problems:
        print(f"!! {result.case.file} ({result.case.holds}): {result.problem}")
    print(f"{len(chosen)} combinations, {len(results)} can be made, {len(problems)} problems")
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
