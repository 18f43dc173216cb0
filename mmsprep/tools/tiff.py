"""TIFFs, by Pillow, and by libvips where Pillow cannot read them.

Comes in: an open file whose content is TIFF. Goes out: a picture of Pillow's. Never: a format of libvips's choice.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO

from PIL import Image, ImageFile, TiffImagePlugin
from PIL.ExifTags import Base as ExifTag

from mmsprep.errors import ToolMissing
from mmsprep.tools.retried import Retried
from mmsprep.tools.vips import load_vips, vips_runs

_MODES = {
    ("b-w", 1): "L",
    ("b-w", 2): "LA",
    ("srgb", 3): "RGB",
    ("srgb", 4): "RGBA",
    ("cmyk", 4): "CMYK",
    ("cmyk", 5): "CMYK",
}
"""Pillow's modes by libvips's interpretation and number of bands, once there are 8 bits in each."""
_SHALLOW = {"grey16": "b-w", "rgb16": "srgb"}
_LIGHT = ("scrgb", "xyz")
"""Numbers that light is proportional to, as floating point is kept in TIFF."""
_NO_HELP = (ToolMissing, SyntaxError)
"""What libvips or its absence says is of no use where Pillow has said what is wrong."""
_LOWER_BITS = {"uchar": 0, "ushort": 8, "uint": 24}


def open_tiff(file: BinaryIO) -> Image.Image:
    """The first picture of a TIFF, by Pillow; by libvips where Pillow has no mode for its pixels or no decoder.

    Pillow knows no colours of more than 8 bits a channel that are inks, floating point, in planes or in a palette, and
    some compressions neither (its documentation of TIFF). What comes of those has 8 bits a channel.

    Raises:
        What Pillow raises, where libvips cannot read it either.
    """
    try:
        return _Tiff(file)
    except Exception:
        with suppress(*_NO_HELP):
            return _OfVips(file)
        raise


class _Tiff(Retried, TiffImagePlugin.TiffImageFile):
    """Pillow's, with libvips for what does not decode."""

    def _otherwise(self, file: BinaryIO) -> Image.Image | None:
        if self.tell() != 0:
            return None
        with suppress(*_NO_HELP):
            other = _OfVips(file)
            other.load()
            return other
        return None


class _OfVips(ImageFile.ImageFile):
    """A TIFF that libvips opens, in one of Pillow's modes of 8 bits."""

    format = "TIFF"
    _pixels: Any = None

    def _open(self) -> None:
        if not vips_runs():
            raise SyntaxError("libvips does not run in a forked process")
        with _errors_of_pillows():
            found = load_vips().Image.tiffload_buffer(_whole(self.fp), fail_on="error")
            self._pixels = _eight_bits(found)
            self._mode = _MODES[self._pixels.interpretation, self._pixels.bands]
            self._size = found.width, found.height
            about = Image.Exif()
            for tag, name in ((ExifTag.Orientation, "orientation"), (ExifTag.BitsPerSample, "bits-per-sample")):
                if found.get_typeof(name):
                    about[tag] = found.get(name)
            self.info["exif"] = about.tobytes()
            if found.get_typeof("icc-profile-data"):
                self.info["icc_profile"] = found.get("icc-profile-data")
            self.n_frames = found.get("n-pages") if found.get_typeof("n-pages") else 1

    def seek(self, frame: int) -> None:
        """Only the first page is decoded; raises EOFError for one that there is not."""
        if frame >= self.n_frames:
            raise EOFError(f"there is no page {frame + 1}")

    def load(self) -> Any:
        """Decode."""
        if self._pixels is not None:
            with _errors_of_pillows():
                wanted = self._pixels.extract_band(0, n=Image.getmodebands(self.mode))
                self.im = Image.frombytes(self.mode, self.size, wanted.write_to_memory()).im
            self._pixels = None
        return super().load()


def _whole(file: Any) -> bytes:
    file.seek(0)
    data: bytes = file.read()
    return data


def _eight_bits(image: Any) -> Any:
    """``image`` with 8 bits a channel; signed numbers and grey floating point, of which nobody can say what is white,
    stay as they are, and have no mode of Pillow's."""
    if image.interpretation in _LIGHT:
        return image.colourspace("srgb")
    image = image.copy(interpretation=_SHALLOW.get(image.interpretation, image.interpretation))
    if image.format == "float" and image.interpretation == "cmyk":
        return (image * 255.0 + 0.5).cast("uchar").copy(interpretation="cmyk")
    if image.format not in _LOWER_BITS:
        raise SyntaxError(f"numbers of the kind {image.format} in a picture of the kind {image.interpretation}")
    return (image >> _LOWER_BITS[image.format]).cast("uchar").copy(interpretation=image.interpretation)


@contextmanager
def _errors_of_pillows() -> Iterator[None]:
    try:
        yield
    except KeyError as error:
        raise SyntaxError(f"no mode for {error}") from error
    except load_vips().Error as error:
        raise SyntaxError((error.detail or error.message).strip().splitlines()[-1].strip()) from error
