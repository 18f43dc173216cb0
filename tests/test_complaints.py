"""What is wrong with a file is told in words of people, not in ffmpeg's."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from mmsprep import prepare
from mmsprep.errors import Damaged, MmsprepError
from mmsprep.tools.complaints import in_words

Make = Callable[[str, str], bytes]
_INTERNAL = re.compile(r"ffmpeg|status \d|packet|stream|0x[0-9a-f]|thread|error number|moov|NAL", re.IGNORECASE)
_CLIP = "-f lavfi -i testsrc=s=64x48:r=10:d=1 -pix_fmt yuv420p"


def _spoilt(data: bytes) -> bytes:
    """The same boxes round samples that are all zero."""
    start = data.index(b"mdat") + 4
    end = start - 8 + int.from_bytes(data[start - 8 : start - 4], "big")
    return data[:start] + bytes(end - start) + data[end:]


@pytest.mark.parametrize(("poster", "slides"), [(False, False), (True, False), (False, True)])
@pytest.mark.parametrize(("codec", "extension"), [("libx264", "mp4"), ("libx264", "mov"), ("mpeg4", "3gp")])
def test_a_clip_whose_samples_are_gone_is_refused_in_words(
    make: Make, codec: str, extension: str, poster: bool, slides: bool
) -> None:
    """Whatever is to be made of it."""
    data = _spoilt(make(f"{_CLIP} -c:v {codec}", extension))
    with pytest.raises(Damaged) as raised:
        prepare([("holiday", data)], poster=poster, slides=slides)
    assert not _INTERNAL.search(str(raised.value)), str(raised.value)
    assert "holiday" in str(raised.value) and "again" in str(raised.value)


def test_what_is_slightly_damaged_is_noted_in_words(make: Make) -> None:
    """Sound as well as pictures; what decodes is sent."""
    data = bytearray(make("-f lavfi -i sine=d=3 -b:a 64k", "mp3"))
    data[len(data) // 2 : len(data) // 2 + 3000] = bytes(3000)
    (part,) = prepare([("voice.mp3", bytes(data))], limit_bytes=20_000).parts
    told = [note for note in part.notes if note.startswith("slightly damaged")]
    assert told and not any(_INTERNAL.search(note) for note in told), part.notes


@pytest.mark.parametrize(
    ("complaint", "words"),
    [
        ("ffmpeg: ended with status 183: moov atom not found", "index is missing"),
        ("ffmpeg: ended with status 69: Output file is empty, nothing was encoded", "nothing in it can be read"),
        ("Error submitting packet to decoder: Not yet implemented in FFmpeg, patches welcome", "nothing here reads"),
        ("stream 0, offset 0x1a: partial file", "some of it is missing"),
        ("ffmpeg: ended by SIGSEGV: ", "broke down"),
        ("error while decoding MB 1 15, bytestream -5", "makes no sense"),
        ("", ""),
    ],
)
def test_each_complaint_has_a_meaning(complaint: str, words: str) -> None:
    """One that nobody foresaw has the plainest; none has none."""
    said = in_words(complaint)
    assert words in said and bool(said) == bool(complaint) and not _INTERNAL.search(said)


def test_what_is_over_a_limit_still_names_the_setting(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """That is no fault of the file, and the user can do something about it."""
    monkeypatch.setenv("MMSPREP_MAX_TEMP_BYTES", "20000")
    data = make(f"{_CLIP.replace('64x48', '640x480')} -c:v libx264 -g 1", "mp4")
    with pytest.raises(MmsprepError, match="MMSPREP_MAX_TEMP_BYTES"):
        prepare([("clip.mp4", data)])
