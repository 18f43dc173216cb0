"""``formats/``: one recording of each kind and oddity."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from functools import lru_cache

import sounds
from jpegs import saved, view
from recipe import Sample, encode, music_wav, speech_wav

SHORT = lru_cache(maxsize=1)(lambda: speech_wav(sounds.SHORT_NOTE, 8))
"""About two seconds of speech."""


@lru_cache(maxsize=4)
def _tune(duration_s: float) -> bytes:
    return music_wav(duration_s)


def _spoken(options: str, name: str) -> Callable[[], bytes]:
    return lambda: encode(options, name, sound=SHORT())


def _played(options: str, name: str, duration_s: float = 3) -> Callable[[], bytes]:
    return lambda: encode(options, name, sound=_tune(duration_s))


def _tagged_mp3() -> bytes:
    """ID3v2.3 with a cover and ID3v1, as shops and rippers write them."""
    cover = saved(view(200, 150), "JPEG", quality=75)
    return encode(
        "-map 0:a -map 1:v -c:a libmp3lame -b:a 96k -c:v copy -id3v2_version 3 -write_id3v1 1"
        " -metadata title=Lakeside -metadata artist='The Samples' -metadata comment='private words'",
        "song.mp3",
        sound=_tune(4),
        files={"cover.jpg": cover},
    )


def id3v2(version: int, text: str) -> bytes:
    """An ID3v2 tag with a title and some padding."""
    body = b"\3" + text.encode()
    size = struct.pack(">I", len(body)) if version == 3 else _syncsafe(len(body))
    frames = b"TIT2" + size + b"\0\0" + body + bytes(32)
    return b"ID3" + bytes((version, 0, 0)) + _syncsafe(len(frames)) + frames


def _syncsafe(number: int) -> bytes:
    return bytes(number >> shift & 0x7F for shift in (21, 14, 7, 0))


def apev2(text: str) -> bytes:
    """An APEv2 tag: header, one item, footer."""
    value = text.encode()
    item = struct.pack("<II", len(value), 0) + b"Title\0" + value
    ends = struct.pack("<IIII8x", 2000, len(item) + 32, 1, 0xA0000000)
    footer = struct.pack("<IIII8x", 2000, len(item) + 32, 1, 0x80000000)
    return b"APETAGEX" + ends + item + b"APETAGEX" + footer


def lyrics3(text: str) -> bytes:
    """A Lyrics3 v2 tag."""
    body = b"LYRICSBEGINLYR" + b"%05d" % len(text) + text.encode()
    return body + b"%06d" % len(body) + b"LYRICS200"


def _tags_everywhere() -> bytes:
    frames = encode("-c:a libmp3lame -q:a 6 -ac 1 -id3v2_version 0", "vbr.mp3", sound=SHORT())
    id3v1 = b"TAG" + b"private words".ljust(125, b"\0")
    return (
        id3v2(4, "private words")
        + id3v2(3, "more private words")
        + frames
        + apev2("private words")
        + lyrics3("private words")
        + id3v1
    )


def _amr_wb() -> bytes:
    """No free encoder exists: frames of the lowest mode with random parameters, which decode to noise."""
    source = random.Random(3)
    return b"#!AMR-WB\n" + b"".join(b"\x04" + source.randbytes(17) for _ in range(75))


def _evrc() -> bytes:
    """Quarter- and eighth-rate frames (RFC 4788, 9.1), random as above."""
    source = random.Random(4)
    return b"#!EVRC\n" + b"".join(b"\x01" + source.randbytes(2) for _ in range(75))


def _qcp() -> bytes:
    """PureVoice 13k, eighth-rate frames (RFC 3625): header, rate table, random parameters."""
    source = random.Random(5)
    guid = bytes.fromhex("416d7f5e15b1d011ba9100805fb4b97e")
    fixed = b"\1\0" + guid + struct.pack("<H80s6H", 2, b"Qualcomm 13K".ljust(80, b"\0"), 13000, 35, 160, 8000, 16, 5)
    rates = bytes((34, 4, 16, 3, 7, 2, 3, 1, 0, 0))
    form = fixed + rates.ljust(22, b"\0")
    frames = b"".join(b"\1" + source.randbytes(2) + b"\0" for _ in range(75))
    rate_flag = struct.pack("<I", 1)
    chunks = [(b"fmt ", form), (b"vrat", rate_flag + struct.pack("<I", 75)), (b"data", frames)]
    body = b"QLCM" + b"".join(struct.pack("<4sI", name, len(data)) + data for name, data in chunks)
    return struct.pack("<4sI", b"RIFF", len(body)) + body


def _noted_wav() -> bytes:
    """A recorder's WAV: broadcast chunk, tags, padding, and a wrong size in its header."""
    plain = encode("-c:a pcm_s16le -ar 8000 -metadata title='private words'", "note.wav", sound=SHORT())
    bext = b"private words".ljust(602, b"\0")
    data = plain[:12] + struct.pack("<4sI", b"bext", len(bext)) + bext + plain[12:]
    return data[:4] + struct.pack("<I", 0xFFFFFFFF) + data[8:]


def _entry(name: str, file_format: str, what: str, odd: str, made: str, make: Callable[[], bytes]) -> Sample:
    return Sample(f"formats/{name}", file_format, what, odd, made, make)


def _wav(name: str, odd: str, options: str) -> Sample:
    return _entry(name, "wav", "a spoken sentence", odd, "ffmpeg", _spoken(options, "note.wav"))


SAMPLES = (
    _wav("pcm-8bit.wav", "8 bits, 8 kHz", "-c:a pcm_u8 -ar 8000"),
    _wav("pcm-24bit.wav", "24 bits, extensible header", "-c:a pcm_s24le -ar 8000"),
    _wav("float.wav", "32-bit floating point", "-c:a pcm_f32le -ar 8000"),
    _wav("mu-law.wav", "mu-law, 8 kHz", "-c:a pcm_mulaw -ar 8000"),
    _wav("a-law.wav", "A-law, 8 kHz", "-c:a pcm_alaw -ar 8000"),
    _wav("ima-adpcm.wav", "IMA ADPCM, 4 bits", "-c:a adpcm_ima_wav -ar 16000"),
    _wav("ms-adpcm.wav", "Microsoft ADPCM, 4 bits", "-c:a adpcm_ms -ar 16000"),
    _entry(
        "noted.wav",
        "wav",
        "a spoken sentence, 16 bits, 8 kHz",
        "broadcast chunk and tags with private words, a wrong RIFF size",
        "ffmpeg, chunks inserted",
        _noted_wav,
    ),
    _entry(
        "note.aiff",
        "aiff",
        "a spoken sentence",
        "big-endian",
        "ffmpeg",
        _spoken("-c:a pcm_s16be", "note.aiff"),
    ),
    _entry(
        "song.caf",
        "caf",
        "music",
        "ALAC in Apple's CAF",
        "ffmpeg: alac",
        _played("-c:a alac -ac 1 -ar 22050", "song.caf", 2),
    ),
    _entry(
        "song.mp3",
        "mp3",
        "music",
        "ID3v2.3 with cover art, ID3v1, private words",
        "ffmpeg: libmp3lame",
        _tagged_mp3,
    ),
    _entry(
        "tags-everywhere.mp3",
        "mp3",
        "a spoken sentence, variable rate",
        "two ID3v2, APEv2, Lyrics3 and ID3v1 around the frames",
        "ffmpeg: libmp3lame, tags added",
        _tags_everywhere,
    ),
    _entry(
        "note.aac",
        "aac",
        "a spoken sentence",
        "ADTS",
        "ffmpeg: aac",
        _spoken("-c:a aac -b:a 32k", "note.aac"),
    ),
    _entry(
        "lossless.m4a",
        "m4a",
        "music",
        "ALAC",
        "ffmpeg: alac",
        _played("-c:a alac -ac 1 -ar 22050", "song.m4a", 2),
    ),
    _entry(
        "song.ogg",
        "ogg",
        "music",
        "Vorbis",
        "ffmpeg: libvorbis",
        _played("-c:a libvorbis -q:a 3", "song.ogg"),
    ),
    _entry(
        "song.flac",
        "flac",
        "music",
        "lossless",
        "ffmpeg: flac",
        _played("-c:a flac -ac 1 -ar 22050", "song.flac", 2),
    ),
    _entry(
        "song.wma",
        "wma",
        "music",
        "Windows Media Audio 2",
        "ffmpeg: wmav2",
        _played("-c:a wmav2 -b:a 64k", "song.wma"),
    ),
    _entry(
        "note.amr",
        "amr",
        "a spoken sentence",
        "AMR narrow band, 12.2 kbit/s",
        "ffmpeg: libopencore_amrnb",
        _spoken("-c:a libopencore_amrnb -b:a 12.2k -ar 8000 -ac 1", "note.amr"),
    ),
    _entry("noise.awb", "amr-wb", "noise", "AMR wide band, 6.6 kbit/s", "bytes written by hand", _amr_wb),
    _entry("noise.qcp", "qcp", "noise", "QCELP in QCP, as CDMA phones recorded", "bytes written by hand", _qcp),
    _entry("noise.evc", "evrc", "noise", "EVRC, which nothing bundled decodes", "bytes written by hand", _evrc),
    _entry(
        "song.ac3",
        "ac3",
        "music",
        "AC-3, six channels",
        "ffmpeg: ac3",
        _played("-c:a ac3 -ac 6 -b:a 192k", "song.ac3", 2),
    ),
    _entry(
        "song.eac3",
        "eac3",
        "music",
        "E-AC-3",
        "ffmpeg: eac3",
        _played("-c:a eac3 -b:a 64k", "song.eac3", 2),
    ),
    _entry(
        "song.mka",
        "mka",
        "music",
        "Opus in Matroska",
        "ffmpeg: libopus",
        _played("-c:a libopus -b:a 48k", "song.mka"),
    ),
    _entry(
        "silence-around.wav",
        "wav",
        "a spoken sentence",
        "two seconds of silence before and after it, very quiet",
        "ffmpeg",
        _spoken("-af volume=0.04,adelay=2000,apad=pad_dur=2 -c:a pcm_s16le -ar 8000", "note.wav"),
    ),
)
