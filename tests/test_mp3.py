"""MP3 by its frames alone: made here byte by byte from ISO/IEC 11172-3 and LAME's tag, so that each can be wrong."""

from __future__ import annotations

import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmsprep.formats import FORMATS
from mmsprep.formats.content import Content
from mmsprep.formats.frames import Frame
from mmsprep.formats.mp3 import find_run, mpeg_audio_frame, read_mp3, runs_of, strip

MPEG_1, MPEG_2, MPEG_2_5 = 3, 2, 0
JUNK = b"<html>not here</html>" * 20


def header(version: int = MPEG_1, layer: int = 3, rate: int = 9, hz: int = 0, padding: int = 0, mono: int = 3) -> bytes:
    """Four bytes; the default is MPEG-1 layer III at 128 kbit/s and 44.1 kHz, one channel."""
    return bytes([0xFF, 0xE1 | version << 3 | (4 - layer) << 1, rate << 4 | hz << 2 | padding << 1, mono << 6])


def frame(body: bytes = b"", **how: int) -> bytes:
    start = header(**how)
    known = mpeg_audio_frame(start)
    assert known is not None
    return (start + body).ljust(known.length_bytes, b"\x00")


def info_frame(
    count: int, *, name: bytes = b"LAME3.100", delay: int = 576, padding: int = 1000, tag: bytes = b"Info"
) -> bytes:
    """A header frame as LAME writes it: with a count, and how much players are to leave out at both ends."""
    lame = name.ljust(21, b"\x01") + (delay << 12 | padding).to_bytes(3, "big") + bytes(12)
    return frame(bytes(17) + tag + struct.pack(">II", 1, count) + lame)


def content(data: bytes) -> Content:
    return Content("file", io.BytesIO(data))


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        # What players and hardware decoders are known to need: length = samples / 8 * rate / sampling rate.
        ({}, (417, 1152, 44_100)),
        ({"padding": 1}, (418, 1152, 44_100)),
        ({"rate": 14, "hz": 2}, (1440, 1152, 32_000)),
        ({"version": MPEG_2, "rate": 8}, (208, 576, 22_050)),
        ({"version": MPEG_2_5, "rate": 1, "hz": 2}, (72, 576, 8_000)),
        ({"layer": 2, "rate": 10, "hz": 1}, (576, 1152, 48_000)),
        ({"layer": 1, "rate": 1, "hz": 2, "padding": 1}, (52, 384, 32_000)),
        ({"layer": 1, "version": MPEG_2, "rate": 14}, (556, 384, 22_050)),
    ],
)
def test_a_frame_is_as_long_as_the_standard_says(how: dict[str, int], expected: tuple[int, int, int]) -> None:
    found = mpeg_audio_frame(header(**how))
    assert found is not None
    assert (found.length_bytes, found.samples, found.sample_rate_hz) == expected


@pytest.mark.parametrize(
    "start",
    [
        b"",
        header()[:3],
        b"\xfe" + header()[1:],
        header(version=1),  # reserved
        header(layer=4),  # reserved
        header(rate=0),  # free format: its length is nowhere
        header(rate=15),
        header(hz=3),
    ],
)
def test_what_the_standard_reserves_is_no_frame(start: bytes) -> None:
    assert mpeg_audio_frame(start) is None


def test_sound_is_found_among_what_is_no_sound() -> None:
    """Junk and a tag before, a tag between, part of a frame behind; a lone sync is no run."""
    tag = b"ID3\x04\x00\x00\x00\x00\x00\x14" + bytes(20)
    data = frame() + JUNK + tag + frame() * 3 + tag + frame() * 4 + frame()[:99]
    starts = [start for start, _ in runs_of(data)]
    before = len(frame() + JUNK + tag)
    assert starts == [before + 417 * n for n in range(3)] + [before + 417 * (n + 3) + len(tag) for n in range(4)]
    assert strip(content(data)) == frame() * 7
    assert read_mp3(content(data), 0).duration_s == pytest.approx(7 * 1152 / 44_100, abs=0.001)
    with pytest.raises(ValueError, match="no run"):
        strip(content(JUNK + frame() + JUNK))


def test_a_tag_that_leads_out_of_the_file_hides_nothing() -> None:
    lying = b"ID3\x04\x00\x00\x7f\x7f\x7f\x7f"
    assert strip(content(lying + frame() * 8)) == frame() * 8


def test_a_run_is_six_frames_or_what_a_short_file_has() -> None:
    assert find_run(content(JUNK + frame() * 6 + JUNK)) == len(JUNK)
    assert find_run(content(JUNK + frame() * 4 + JUNK * 9)) is None
    assert find_run(content(frame() * 4 + bytes(100))) == 0
    assert find_run(content(frame(layer=2) * 9)) is None


def test_what_players_leave_out_does_not_count_and_a_header_that_lies_is_believed_in_nothing() -> None:
    whole = info_frame(40) + frame() * 40
    facts = read_mp3(content(whole), 0)
    assert facts.promised_s == pytest.approx(40 * 1152 / 44_100)
    left_out = 576 + 529 + (1000 - 529)
    assert facts.duration_s == pytest.approx((40 * 1152 - left_out) / 44_100, abs=0.001)
    assert facts.rate_kbps == pytest.approx(417 * 8 * 44_100 / 1152 / 1000, abs=0.01) and not facts.is_mixed
    unknown = read_mp3(content(info_frame(40, name=b"Somebody1") + frame() * 40), 0)
    assert unknown.duration_s == pytest.approx(40 * 1152 / 44_100, abs=0.001)
    lying = read_mp3(content(info_frame(4000) + frame() * 40), 0)
    assert lying.promised_s == pytest.approx(4000 * 1152 / 44_100)
    assert lying.duration_s == facts.duration_s
    mixed = read_mp3(content(frame() * 9 + frame(hz=1) * 9), 0)
    assert mixed.is_mixed and mixed.promised_s is None


def test_a_header_frame_stays_without_its_encoders_version_unless_it_lies() -> None:
    kept = strip(content(info_frame(40, tag=b"Xing") + frame() * 40))
    assert b"LAME" in kept and b"3.100" not in kept and len(kept) == 417 * 41
    assert read_mp3(content(kept), 0) == read_mp3(content(info_frame(40) + frame() * 40), 0)
    (crc,) = struct.unpack(">H", kept[21 + 12 + 34 : 21 + 12 + 36])
    assert crc == _crc16(kept[: 21 + 12 + 34])
    assert b"Somebody" not in strip(content(info_frame(40, name=b"Somebody1") + frame() * 40))
    # It counts others than there are: a player would show a wrong length.
    assert strip(content(info_frame(90) + frame() * 40)) == frame() * 40
    # Joined files: the second one's header frame would be played as silence.
    assert strip(content(frame() * 9 + info_frame(9) + frame() * 9)) == frame() * 18
    # LAME writes its name into what pads a frame, too.
    assert b"LAME" not in strip(content(frame() * 5 + frame(bytes(50) + b"LAME3.99.5") + frame() * 5))


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "no frame"),
        (frame() * 3 + b"TAG", "no whole frame at byte 1,251"),
        (frame() * 3 + frame()[:-1], "no whole frame at byte 1,251"),
        (frame(layer=2) * 3, "not MPEG-1 or MPEG-2 layer III"),
        (frame(version=MPEG_2_5) * 3, "not MPEG-1 or MPEG-2 layer III"),
        (frame() + frame(hz=1), "changes its sampling rate or channels at byte 417"),
        (frame() + frame(mono=0), "changes its sampling rate or channels at byte 417"),
    ],
)
def test_what_goes_out_is_frames_of_one_kind_to_the_last_byte(data: bytes, why: str) -> None:
    read = FORMATS["mp3"].read_exactly
    assert read is not None
    with pytest.raises(ValueError, match=why):
        read(data)
    sound = read(frame() * 100 + frame(padding=1))
    assert sound.duration_s == pytest.approx(101 * 1152 / 44_100)


@given(
    pieces=st.lists(st.one_of(st.binary(max_size=600), st.just(frame()), st.just(info_frame(3))), max_size=12),
    cut=st.integers(0, 500),
)
def test_whatever_it_is_frames_are_whole_in_order_and_stripping_again_changes_nothing(
    pieces: list[bytes], cut: int
) -> None:
    data = b"".join(pieces)[cut:]
    end = 0
    for start, found in runs_of(data):
        assert isinstance(found, Frame) and start >= end
        end = start + found.length_bytes
        assert end <= len(data) and mpeg_audio_frame(data[start : start + 4]) == found
    try:
        once = strip(content(data))
    except ValueError:
        return
    try:
        assert strip(content(once)) == once
    except ValueError:
        assert len(list(runs_of(once))) < 2


def _crc16(data: bytes) -> int:
    """CRC-16 with the polynomial x^16 + x^15 + x^2 + 1, bits reversed, by long division."""
    value = 0
    for byte in data:
        for place in range(8):
            bit = (value ^ byte >> place) & 1
            value = value >> 1 ^ (0xA001 if bit else 0)
    return value
