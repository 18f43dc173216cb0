"""Movies made of boxes, and Matroska: what must be known before any library reads them."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest

from mmsprep.errors import Damaged, ProtectedMedia, UnsafeReference
from mmsprep.model import MediaInfo

Look = Callable[..., MediaInfo]


def box(name: bytes, *content: bytes) -> bytes:
    """One box of an MP4 file."""
    body = b"".join(content)
    return struct.pack(">I4s", 8 + len(body), name) + body


def movie(
    *, entry: bytes = b"mp4a", reference: bytes | None = None, brand: bytes = b"isom", more: bytes = b""
) -> bytes:
    """The boxes of a file with one sound track."""
    reference = box(b"url ", b"\0\0\0\1") if reference is None else reference
    track = box(
        b"trak",
        box(b"tkhd", bytes(12), struct.pack(">I", 1), bytes(68)),
        box(
            b"mdia",
            box(b"hdlr", bytes(8), b"soun", bytes(13)),
            box(
                b"minf",
                box(b"dinf", box(b"dref", bytes(4), struct.pack(">I", 1), reference)),
                box(b"stbl", box(b"stsd", bytes(4), struct.pack(">I", 1), box(entry, bytes(28)))),
            ),
        ),
    )
    return box(b"ftyp", brand, bytes(4), brand) + box(b"moov", track, more) + box(b"mdat", bytes(64))


def test_protected_media_are_refused(look: Look) -> None:
    """DRM in each of its dresses is ProtectedMedia, whatever else would be wrong with the file."""
    dcf = b"\1\x0a\x05image/jpegcid:x" + bytes(40)
    message = b"--boundary\r\nContent-Type: image/jpeg\r\nContent-Transfer-Encoding: binary\r\n\r\n\xff\xd8"
    asf = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c") + bytes(20)
    asf += bytes.fromhex("fbb3112223bdd211b4b700a0c955fc6e")
    for data in (
        movie(entry=b"enca"),
        movie(entry=b"drms"),
        movie(brand=b"M4P "),
        movie(brand=b"odcf"),
        movie(more=box(b"pssh", bytes(24))),
        dcf,
        message,
        asf,
    ):
        with pytest.raises(ProtectedMedia, match="unprotected copy"):
            look(data, "song.m4a")


def test_encrypted_matroska_is_refused(look: Look) -> None:
    """An encryption element in a track is found; the same track without it is read."""

    def element(name: str, content: bytes) -> bytes:
        return bytes.fromhex(name) + struct.pack(">Q", 1 << 56 | len(content)) + content

    def file(encodings: bytes) -> bytes:
        sound = element("e1", element("b5", struct.pack(">f", 8000)))
        track = element("d7", b"\1") + element("73c5", b"\1") + element("83", b"\2") + element("86", b"A_OPUS")
        tracks = element("1654ae6b", element("ae", track + sound + encodings))
        cluster = element("1f43b675", element("e7", b"\0") + element("a3", b"\x81\0\0\x80" + bytes(20)))
        header = element("1a45dfa3", element("4282", b"matroska"))
        return header + element("18538067", element("1549a966", element("2ad7b1", b"\1")) + tracks + cluster)

    assert look(file(b"")).format == "mka"
    encryption = element("5035", element("47e1", b"\5"))
    with pytest.raises(ProtectedMedia):
        look(file(element("6d80", element("6240", element("5033", b"\1") + encryption))))


def test_references_out_of_the_file_are_refused(look: Look) -> None:
    """A movie whose media lie elsewhere is never opened further."""
    for data in (
        movie(brand=b"qt  ", reference=box(b"alis", bytes(4), b"/etc/passwd")),
        movie(reference=box(b"url ", bytes(4), b"http://example.org/x.mp4\0")),
        movie(more=box(b"rmra", bytes(8))),
        movie(more=box(b"cmov", bytes(8))),
    ):
        with pytest.raises(UnsafeReference, match="never followed"):
            look(data, "clip.mov")


def test_movies_without_an_index_or_media_are_damaged(look: Look) -> None:
    """A recording that was not finished, a piece of a stream and a movie of texts alone each say what is wrong."""
    start = box(b"ftyp", b"isom", bytes(4), b"isom")
    for data, words in (
        (start + box(b"mdat", bytes(64)), "has no index"),
        (start.replace(b"ftyp", b"styp") + box(b"moof", bytes(16)) + box(b"mdat", bytes(64)), "piece of a stream"),
        (movie().replace(b"mp4a", b"xxxx").replace(b"soun", b"text"), "neither sound nor picture"),
        (start + box(b"free") * 200_001, "more than 200,000 boxes"),
    ):
        with pytest.raises(Damaged, match=words):
            look(data)


@pytest.mark.parametrize("extension", ["mp4", "m4a", "webm", "weba"])
def test_a_piece_of_a_stream_says_what_to_join_it_with(look: Look, make: Callable[..., bytes], extension: str) -> None:
    """The init segment holds nothing that plays, a media segment needs it; both together are read."""
    source = "-f lavfi -i testsrc=size=96x64:rate=10:duration=2 -g 10"
    sound = "-f lavfi -i sine=duration=2"
    stream, mark = {
        "mp4": (f"{source} -c:v mpeg4 -movflags frag_keyframe+empty_moov", b"moof"),
        "m4a": (f"{sound} -c:a aac -movflags frag_keyframe+empty_moov", b"moof"),
        "webm": (f"{source} -c:v libvpx -live 1 -f webm", b"\x1f\x43\xb6\x75"),
        "weba": (f"{sound} -c:a libopus -live 1 -f webm", b"\x1f\x43\xb6\x75"),
    }[extension]
    data = make(stream, extension)
    at = data.index(mark) - (4 if mark == b"moof" else 0)
    with pytest.raises(Damaged, match="join the stream's other pieces behind it"):
        look(data[:at], f"init.{extension}")
    for front in (b"", box(b"styp", b"msdh", bytes(4)), box(b"prft", bytes(16))):
        if mark == b"moof" or not front:
            with pytest.raises(Damaged, match="join it behind the stream's init segment"):
                look(front + data[at:], "1.m4s")
    assert look(data, f"whole.{extension}").duration_s is None or look(data).duration_s


def test_a_movie_that_lacks_its_last_bytes_says_so(look: Look) -> None:
    """Players play what is there; whether that is enough is for the decoder to say."""
    assert "lacks the last 20 bytes" in look(movie()[:-20]).notes


def test_self_contained_references_are_fine(look: Look) -> None:
    """QuickTime writes its data references as aliases too; flagged as "in this file" they lead nowhere."""
    for reference in (box(b"alis", b"\0\0\0\1"), box(b"url ", bytes(4))):
        with pytest.raises(Damaged, match=r"neither sound nor picture|structure"):
            look(movie(entry=b"xxxx", reference=reference).replace(b"soun", b"text"))
