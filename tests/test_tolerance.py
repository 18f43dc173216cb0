"""What players are tolerant of is read, sent and freed of what is odd: tags, tracks, frames, headers, bare streams."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from functools import cache
from pathlib import Path

import mido
import numpy as np
import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from test_time import CLIP, VOICE, told_and_played

from mmsprep import inspect, prepare
from mmsprep.errors import Damaged, TypeNotAllowed
from mmsprep.formats.midi import read_song
from mmsprep.formats.midi_tracks import cleaned
from mmsprep.model import Action, Attachment, MediaInfo
from mmsprep.sniff.recognise import identify

Make = Callable[..., bytes]
Look = Callable[..., MediaInfo]


def _size(length: int) -> bytes:
    return bytes(length >> shift & 0x7F for shift in (21, 14, 7, 0))


def id3(body: bytes, version: int = 3, slip: int = 0, footer: bool = False) -> bytes:
    """An ID3v2 tag that says it is ``slip`` longer than it is."""
    head = bytes((version, 0, 0x10 if footer else 0)) + _size(max(0, len(body) + slip))
    return b"ID3" + head + body + (b"3DI" + head if footer else b"")


def ape(has_header: bool = True) -> bytes:
    item = struct.pack("<II", 5, 0) + b"Title\0hello"
    flags = (0xA0000000, 0x80000000) if has_header else (0, 0)
    ends = [b"APETAGEX" + struct.pack("<IIII", 2000, len(item) + 32, 1, flag) + bytes(8) for flag in flags]
    return (ends[0] if has_header else b"") + item + ends[1]


TITLE = b"TIT2" + struct.pack(">IH", 10, 0) + b"\0" + b"x" * 9
COVER = b"APIC" + struct.pack(">IH", 3014, 0) + b"\0image/jpeg\0\3\0" + bytes(n * 7 & 0xFF for n in range(3000))
LYRICS = b"LYRICSBEGININD0000200LYR00010hello you\r000037LYRICS200"
ID3V1 = b"TAG" + b"Title".ljust(125, b"\0")
IN_FRONT = {
    "id3": id3(TITLE),
    "id3v2.2": id3(b"TT2\0\0\5\0abcd", 2),
    "cover": id3(COVER, 4),
    "padded": id3(TITLE + bytes(900)),
    "footer": id3(TITLE, 4, footer=True),
    "ape": ape(),
}
WRONG_LENGTH = {"short": id3(COVER, slip=-1500), "long": id3(TITLE, slip=40), "endless": id3(TITLE, slip=9_000_000)}
BEHIND = {
    "id3v1": ID3V1,
    "ape": ape(),
    "ape without header": ape(False),
    "lyrics": LYRICS,
    "id3": id3(TITLE, 4, 0, True),
}
SOUNDS = {
    "mp3": "-c:a libmp3lame -b:a 32k -id3v2_version 0",
    "aac": "-c:a aac -f adts",
    "ac3": "-c:a ac3",
    "flac": "-c:a flac",
    "wav": "",
    "aiff": "",
    "wv": "-c:a wavpack",
    "tta": "",
    "ogg": "-c:a libvorbis",
    "latm": "-c:a aac",
    "amr": "-ar 8000 -ac 1 -c:a libopencore_amrnb",
}


@pytest.fixture(scope="module")
def sounds(make: Make) -> dict[str, bytes]:
    return {kind: make(f"{VOICE.format(seconds=1.5)} {options}", kind) for kind, options in SOUNDS.items()}


@examples(40)
@given(
    kind=st.sampled_from(sorted(SOUNDS)),
    front=st.lists(st.sampled_from(sorted(IN_FRONT)), max_size=3),
    wrong=st.sampled_from(["", *sorted(WRONG_LENGTH)]),
    back=st.lists(st.sampled_from(sorted(BEHIND)), max_size=2),
)
def test_tags_around_a_recording_change_nothing_of_it(
    sounds: dict[str, bytes], look: Look, kind: str, front: list[str], wrong: str, back: list[str]
) -> None:
    """One behind the other, with footers, in front of formats that know none, of a length that is not theirs."""
    bare = look(sounds[kind])
    tags = b"".join(IN_FRONT[name] for name in front) + WRONG_LENGTH.get(wrong, b"")
    data = tags + sounds[kind] + b"".join(BEHIND[name] for name in back)
    found = look(data, f"sound.{kind}")
    assert (found.format, found.audio_codec) == (bare.format, bare.audio_codec) == (kind, bare.audio_codec)
    assert found.duration_s == pytest.approx(bare.duration_s, abs=0.06)
    assert found.size_bytes == len(data)
    assert bool(set(found.metadata) - set(bare.metadata)) or not tags
    assert identify(Attachment(0, "a", len(data), data=data)).slug == kind


@pytest.mark.parametrize("kind", ["amr", "mp3", "wav", "flac"])
@pytest.mark.parametrize("by_path", [True, False], ids=["path", "bytes"])
def test_what_is_sent_holds_nothing_of_the_tags(
    sounds: dict[str, bytes], tmp_path: Path, kind: str, by_path: bool
) -> None:
    data = id3(TITLE) + ape() + sounds[kind] + ape() + LYRICS + ID3V1
    path = tmp_path / f"note.{kind}"
    path.write_bytes(data)
    duration_s, message = told_and_played(data, path.name, tmp_path)
    if by_path:
        message = prepare([path])
    (part,) = message.parts
    assert duration_s == pytest.approx(1.5, abs=0.1)
    assert not any(word in part.data for word in (b"APETAG", b"ID3", b"TIT2", b"LYRICS", b"TAGTitle"))
    assert (part.action is Action.REWRAP) == (kind in ("amr", "mp3", "wav"))


def test_a_tag_with_nothing_behind_it_says_so() -> None:
    (report,) = inspect([("a.mp3", id3(TITLE) + b"nothing but words, and they are no sound at all")])
    assert report.error is not None and "tag" in str(report.error)


def test_a_text_that_begins_like_a_tag_is_a_text(look: Look) -> None:
    for words in (b"ID3 is a kind of tag, they say.", b"APETAGEX is another one.", b"TAG, you are it!"):
        assert look(words).format == "text"


def _chunk(name: bytes, body: bytes, length: int | None = None) -> bytes:
    return name + struct.pack(">I", len(body) if length is None else length) + body


def _header(form: int, count: int) -> bytes:
    return b"MThd" + struct.pack(">IHHH", 6, form, count, 96)


END = b"\0\xff\x2f\0"
TEMPO = b"\0\xff\x51\3\x07\xa1\x20"
ODD_EVENTS = {
    "running behind a meta event": (b"\0\xff\6\2hi", True),
    "running behind sysex": (b"\0\xf0\3\x41\x42\xf7", True),
    "a message between instruments": (b"\0\xf8", True),
    "a song position": (b"\0\xf2\1\2", True),
    "an escape": (b"\0\xf7\2\x41\x42", True),
    "a tempo of two bytes": (b"\0\xff\x51\2\7\xa1", True),
    "a key that there is not": (b"\0\xff\x59\2\x20\7", True),
    "an empty port": (b"\0\xff\x21\0", True),
    "a text": (b"\0\xff\1\3abc", True),
}


def _track(pitches: list[int], odd: list[str]) -> bytes:
    """A note after the other of a quarter each, with odd events between them; ends are velocities of 0."""
    body = TEMPO
    for place, pitch in enumerate(pitches):
        event = ODD_EVENTS[odd[place % len(odd)]][0] if odd else b""
        body += (b"\0\x90" if place == 0 else event + b"\0") + bytes((pitch, 64)) + b"\x60" + bytes((pitch, 0))
    return body


def _notes(data: bytes) -> list[int]:
    song = mido.MidiFile(file=io.BytesIO(data))
    return [event.note for track in song.tracks for event in track if event.type == "note_on" and event.velocity]


WRAPPINGS: dict[str, Callable[[bytes], bytes]] = {
    "plain": lambda data: data,
    "rmi": lambda data: b"RIFF" + struct.pack("<I", 12 + len(data)) + b"RMIDdata" + struct.pack("<I", len(data)) + data,
    "rmi of words": lambda data: (
        b"RIFF"
        + struct.pack("<I", 40)
        + b"RMIDLIST"
        + struct.pack("<I", 16)
        + b"INFOINAMMThd\1\0ab"
        + b"data\0\0\0\0"
        + data
    ),
    "macbinary": lambda data: b"\0\x08tune.mid".ljust(128, b"\0") + data,
    "byte order mark": lambda data: b"\xef\xbb\xbf" + data,
    "trailing": lambda data: data + b"\r\n",
    "trailing zeros": lambda data: data + bytes(300),
}


@examples(40)
@given(
    tracks=st.lists(st.lists(st.integers(30, 90), min_size=1, max_size=4), min_size=1, max_size=3),
    odd=st.lists(st.sampled_from(sorted(ODD_EVENTS)), max_size=3),
    form=st.sampled_from([0, 1, 3]),
    miscount=st.integers(-2, 4),
    slip=st.sampled_from([0, 0, -4, 4, 5000]),
    alien=st.booleans(),
    wrapping=st.sampled_from(sorted(WRAPPINGS)),
    has_end=st.booleans(),
)
def test_midi_plays_the_same_notes_whatever_is_odd_about_it(
    look: Look,
    tracks: list[list[int]],
    odd: list[str],
    form: int,
    miscount: int,
    slip: int,
    alien: bool,
    wrapping: str,
    has_end: bool,
) -> None:
    """Wrong counts, lengths and formats, alien chunks, wrappings, running status where the standard has none."""
    bodies = [_track(pitches, odd) + (END if has_end or slip else b"") for pitches in tracks]
    between = _chunk(b"XFIH", b"secret") if alien else b""
    song = b"".join(between + _chunk(b"MTrk", body, max(0, len(body) + slip)) for body in bodies)
    data = WRAPPINGS[wrapping](_header(form, max(0, len(tracks) + miscount)) + song + between)
    made = cleaned(data)
    assert _notes(made) == [pitch for track in tracks for pitch in track]
    assert cleaned(made) == made
    assert b"secret" not in made
    found = look(data, "tune.mid")
    assert found.duration_s == pytest.approx(0.5 * max(map(len, tracks)), abs=0.01)
    assert (found.metadata == ()) == (made == data)


@given(st.lists(st.lists(st.integers(30, 90), min_size=1, max_size=4), min_size=1, max_size=3))
def test_midi_that_breaks_no_rule_stays_as_it_is(tracks: list[list[int]]) -> None:
    song = b"".join(_chunk(b"MTrk", _track(pitches, []) + END) for pitches in tracks)
    data = _header(int(len(tracks) > 1), len(tracks)) + song
    assert cleaned(data) == data
    assert read_song(data).track_count == len(tracks)


@given(st.binary(max_size=120), st.integers(0, 60))
def test_midi_of_garbage_is_a_plain_error_or_notes(junk: bytes, at: int) -> None:
    good = _header(1, 2) + _chunk(b"MTrk", _track([60, 64], []) + END) * 2
    try:
        made = cleaned(good[:at] + junk + good[at + len(junk) :])
    except ValueError as error:
        assert str(error)
    else:
        assert cleaned(made) == made


def test_midi_that_lost_its_end_is_damaged() -> None:
    data = _header(0, 1) + _chunk(b"MTrk", _track([60, 64], []) + END)
    (report,) = inspect([("tune.mid", data[:-6])])
    assert isinstance(report.error, Damaged) and "cut short" in str(report.error)


NARROW = (b"#!AMR\n", 0x3C, 32, "amr")
WIDE = (b"#!AMR-WB\n", 0x44, 61, "amr-wb")
BAD = b"\x54"


@cache
def _body(length: int) -> bytes:
    return bytes(np.random.default_rng(7).integers(0, 256, length - 1, np.uint8))


@examples(40)
@given(
    voice=st.sampled_from([NARROW, WIDE]),
    count=st.integers(40, 90),
    bad=st.lists(
        st.tuples(st.sampled_from([5, 14, 25, 33]), st.sampled_from(["header", "whole", "junk"])),
        max_size=2,
        unique_by=lambda one: one[0],
    ),
    flagged=st.sampled_from([0, 0x80, 3]),
    quality=st.booleans(),
    tail=st.sampled_from([b"", b"\x3c\0\0", bytes(200), ID3V1]),
)
def test_odd_frames_cost_a_recording_of_voice_nothing_but_themselves(
    look: Look,
    voice: tuple[bytes, int, int, str],
    count: int,
    bad: list[tuple[int, str]],
    flagged: int,
    quality: bool,
    tail: bytes,
) -> None:
    """Frames of types that do not exist, bits set or missing where they should not be, what follows the last frame."""
    magic, header, length, slug = voice
    # What is of any length between frames is found by their headers' form: bits set in all of them hide it.
    flagged = 0 if any(how == "junk" for _, how in bad) else flagged
    frames = [bytes(((header & ~4 if not quality else header) | flagged,)) + _body(length) for _ in range(count)]
    for place, how in bad:
        frames[place] = {"header": BAD, "whole": BAD + _body(length), "junk": BAD + b"\x61" * 9}[how]
    found = look(magic + b"".join(frames) + tail, "note.amr")
    assert found.format == slug
    assert found.duration_s == pytest.approx(count * 0.02, abs=0.021 * (1 + len(bad)))
    assert ("bad_frames" in found.metadata) == bool(bad)
    assert ("header_bits" in found.metadata) == (bool(flagged) or not quality)


def _loudness(data: bytes, make: Make, tmp_path: Path, extension: str) -> float:
    path = tmp_path / f"heard.{extension}"
    path.write_bytes(data)
    samples = np.frombuffer(make(f"-i {path} -ac 1 -ar 8000 -f s16le", "raw"), "<i2").astype(float)
    return float(np.sqrt(np.mean(samples**2)))


@pytest.mark.parametrize("odd", ["marks", "one bad", "three bad"])
@pytest.mark.parametrize("name", ["note.amr", "noise.awb"])
def test_a_voice_note_with_odd_frames_is_heard_as_before(
    name: str, odd: str, make: Make, sample_media: Path, tmp_path: Path
) -> None:
    """A program that never set the mark of good frames, and frames of no known type: ffmpeg alone would be silent or
    stop."""
    data = (sample_media / "formats" / name).read_bytes()
    start = data.index(b"\n") + 1
    sizes = (13, 14, 16, 18, 20, 21, 27, 32, 6) if name == "note.amr" else (18, 24, 33, 37, 41, 47, 51, 59, 61, 6)
    frames, position = [], start
    while position < len(data):
        length = sizes[data[position] >> 3 & 15]
        frames.append(data[position : position + length])
        position += length
    whole = told_and_played(data, name, tmp_path)
    if odd == "marks":
        frames = [bytes((one[0] & ~4,)) + one[1:] for one in frames]
    else:
        for place in (10,) if odd == "one bad" else (10, 11, 30):
            frames[place] = BAD + frames[place][1:]
    duration_s, message = told_and_played(data[:start] + b"".join(frames), name, tmp_path)
    assert duration_s == pytest.approx(whole[0], abs=0.03)
    (part,), (before,) = message.parts, whole[1].parts
    heard = _loudness(part.data, make, tmp_path, part.format), _loudness(before.data, make, tmp_path, before.format)
    assert 0.7 < heard[0] / heard[1] < 1.4
    assert any("damaged" in note for note in part.notes) == (odd != "marks")


_ASF_FILE_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")


@pytest.mark.parametrize("kind", ["wma", "wmv"])
@pytest.mark.parametrize(
    ("longer_s", "preroll_ms"),
    [
        (5, 8_100),
        (-99, 0),
        (0, 1 << 40),
        *(pytest.param(*odd, marks=pytest.mark.slow) for odd in [(0, 3_100), (0, 5_000), (0, 0), (4e11, 0)]),
    ],
)
def test_an_asf_header_that_counts_wrongly_costs_nothing(
    make: Make, tmp_path: Path, kind: str, longer_s: float, preroll_ms: int
) -> None:
    """Some programs count the preroll with what plays, some do not, some write no time or no sensible one."""
    clip = f"{CLIP.format(seconds=2)} " if kind == "wmv" else ""
    data = bytearray(make(f"{clip}{VOICE.format(seconds=2)} {'-c:v wmv2 ' if clip else ''}-c:a wmav2", kind))
    at = data.index(_ASF_FILE_PROPERTIES)
    (plays,) = struct.unpack_from("<Q", data, at + 64)
    struct.pack_into("<Q", data, at + 64, max(0, plays + round(longer_s * 1e7)))
    struct.pack_into("<Q", data, at + 80, preroll_ms)
    assert told_and_played(bytes(data), f"a.{kind}", tmp_path)[0] == pytest.approx(2, abs=0.15)


def test_an_asf_recording_that_lost_half_of_what_it_knows_is_damaged(make: Make) -> None:
    data = make(f"{VOICE.format(seconds=6)} -c:a wmav2", "wma")
    (report,) = inspect([("half.wma", data[: len(data) // 2])])
    assert isinstance(report.error, Damaged) and "cut short" in str(report.error)


@pytest.mark.parametrize(
    ("extension", "slug", "options"),
    [
        ("y4m", "y4m", "-pix_fmt yuv420p"),
        ("y4m", "y4m", "-pix_fmt yuv444p"),
        ("ivf", "ivf", "-c:v libvpx"),
        ("264", "h264", "-c:v libx264 -pix_fmt yuv420p"),
        ("265", "hevc", "-c:v libx265 -x265-params log-level=none -pix_fmt yuv420p"),
        ("mxf", "mxf", "-c:v mpeg2video -r 25"),
        ("rm", "rm", "-c:v rv20 -pix_fmt yuv420p"),
    ],
)
def test_bare_streams_and_rare_containers_are_clips(
    make: Make, look: Look, tmp_path: Path, extension: str, slug: str, options: str
) -> None:
    data = make(f"{CLIP.format(seconds=1)} -r 10 {options}", extension)
    assert (look(data).format, look(data).width_px, look(data).height_px) == (slug, 320, 240)
    assert told_and_played(data, f"clip.{extension}", tmp_path)[0] == pytest.approx(1, abs=0.15)


def test_jpeg_ls_is_named_and_not_called_damaged(make: Make) -> None:
    (report,) = inspect([("scan.jls", make("-f lavfi -i testsrc2=size=64x48 -frames:v 1 -c:v jpegls", "jls"))])
    assert isinstance(report.error, TypeNotAllowed) and "JPEG-LS" in str(report.error)


@pytest.mark.parametrize(("television", "size_px"), [("pal", (1024, 576)), ("ntsc", (853, 480))])
def test_a_tape_of_a_camcorder_is_a_clip(
    make: Make, look: Look, tmp_path: Path, television: str, size_px: tuple[int, int]
) -> None:
    """DV as it comes from the tape, in wide pixels."""
    data = make(f"{CLIP.format(seconds=1)} -aspect 16:9 -target {television}-dv", "dv")
    found = look(data)
    assert (found.format, found.width_px, found.height_px, found.interlaced) == ("dv", *size_px, True)
    assert told_and_played(data, "tape.dv", tmp_path)[0] == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize("marks", ["", "-mpegts_flags latm"])
@pytest.mark.parametrize("junk", [b"", bytes(range(1, 200))])
def test_a_transport_stream_with_either_form_of_aac_is_sent(
    make: Make, tmp_path: Path, marks: str, junk: bytes
) -> None:
    data = make(
        f"{CLIP.format(seconds=2)} {VOICE.format(seconds=2)} -c:v libx264 -pix_fmt yuv420p -c:a aac {marks}", "ts"
    )
    duration_s, message = told_and_played(junk + data, "a.ts", tmp_path)
    assert duration_s == pytest.approx(2, abs=0.15)
    assert message.parts[0].source.audio_codec == "aac"
    heard = _loudness(message.parts[0].data, make, tmp_path, "3gp")
    assert heard > 500


def test_a_wav_of_the_extensible_kind_becomes_a_plain_one(tmp_path: Path) -> None:
    """Its samples stay; a phone's reader may know the plain header alone."""
    samples = (8_000 * np.sin(np.arange(16_000) / 9)).astype("<i2").tobytes()
    body = (
        struct.pack("<HHIIHHHHI", 0xFFFE, 1, 8_000, 16_000, 2, 16, 22, 16, 4)
        + b"\1\0"
        + bytes.fromhex("000000001000800000aa00389b71")
    )
    data = b"WAVEfmt " + struct.pack("<I", len(body)) + body + b"data" + struct.pack("<I", len(samples)) + samples
    _, message = told_and_played(b"RIFF" + struct.pack("<I", len(data)) + data, "a.wav", tmp_path)
    (part,) = message.parts
    assert part.action is Action.REWRAP and part.data[20:22] == b"\1\0" and part.data.endswith(samples)


@pytest.mark.parametrize(
    ("name", "title"), [("song.wma", "WMA"), ("windows.wmv", "WMV"), ("song.mka", "Matroska audio")]
)
def test_what_was_cut_short_is_called_by_the_streams_that_it_has(sample_media: Path, name: str, title: str) -> None:
    data = (sample_media / "formats" / name).read_bytes()
    (report,) = inspect([(name, data[: len(data) // 2])])
    assert f"is {title} that was cut short" in str(report.error)


@pytest.mark.parametrize("name", ["windows.wmv", "song.mka", "note.aiff", "camera.avi"])
@pytest.mark.parametrize("cut_bytes", [8, 40])
def test_what_lacks_a_few_bytes_of_its_end_says_so(sample_media: Path, name: str, cut_bytes: int) -> None:
    """Headers that count themselves promise some more bytes than there are, and nothing is missing."""
    data = (sample_media / "formats" / name).read_bytes()
    (report,) = inspect([(name, data[:-cut_bytes])])
    assert report.info is not None
    assert ("lacks the last 40 bytes" in report.info.notes) == (cut_bytes == 40)
