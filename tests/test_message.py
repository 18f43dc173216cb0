"""The message: names, presentation, exact size."""

from __future__ import annotations

import io
from email import message_from_bytes
from email.policy import HTTP
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mmsprep import prepare
from mmsprep.message import Message
from mmsprep.message.message import build_smil, part_name
from mmsprep.model import Action, Kind, MediaInfo, Part, Support

_TYPES = {
    Kind.IMAGE: ("image/jpeg", "jpeg"),
    Kind.AUDIO: ("audio/mpeg", "mp3"),
    Kind.VIDEO: ("video/3gpp", "3gp"),
    Kind.TEXT: ("text/plain", "text"),
}


def _part(position: int, kind: Kind, data: bytes = b"data", duration_s: float | None = None) -> Part:
    content_type, slug = _TYPES[kind]
    info = MediaInfo(format=slug, kind=kind, content_type=content_type, size_bytes=len(data))
    return Part(
        name=part_name(position, kind, slug, None),
        format=slug,
        content_type=content_type,
        kind=kind,
        action=Action.KEEP,
        support=Support.GOOD,
        quality=100,
        size_bytes=len(data),
        source_name="x",
        source=info,
        duration_s=duration_s,
        data=data,
    )


def _message(parts: list[Part], text: str = "", subject: str = "") -> Message:
    return Message(profile="smsglobal", limit_bytes=300_000, parts=tuple(parts), text=text, subject=subject)


parts_strategy = st.lists(st.tuples(st.sampled_from(Kind), st.binary(min_size=1, max_size=200)), max_size=15)


@given(parts_strategy, st.text(max_size=100), st.text(st.characters(categories=["L", "N"]), max_size=30))
def test_total_bytes_is_the_exact_length_of_the_message_as_mime(
    parts: list[tuple[Kind, bytes]], text: str, subject: str
) -> None:
    message = _message([_part(n, kind, data) for n, (kind, data) in enumerate(parts, 1)], text, subject)
    assert message.total_bytes == len(message.mime())
    assert message.overhead_bytes == message.total_bytes - sum(part.size_bytes for part in message.parts)


def test_an_independent_parser_finds_every_part_as_it_was() -> None:
    """Bytes that look like line ends and boundaries survive."""
    data = b"\r\n--mms-\r\n\x00\xff\n"
    message = _message([_part(1, Kind.IMAGE, data), _part(2, Kind.TEXT, b"caption")], "hello", "Hi")
    parsed = message_from_bytes(message.mime(), policy=HTTP)
    bodies = [(part.get_content_type(), part.get_filename()) for part in parsed.iter_parts()]
    assert bodies == [
        ("application/smil", "slides.smil"),
        ("text/plain", "text.txt"),
        ("image/jpeg", "01-image.jpg"),
        ("text/plain", "02-text.txt"),
    ]
    assert data in message.mime()
    assert message.mime().startswith(b"Subject: Hi\r\n")


def test_the_same_message_gives_the_same_bytes() -> None:
    parts = [_part(1, Kind.IMAGE), _part(2, Kind.AUDIO)]
    assert _message(parts, "x").mime() == _message(parts, "x").mime()


def _slides(parts: list[Part], text: str) -> list[list[str]]:
    body = ElementTree.fromstring(build_smil(parts, text)).find("body")
    assert body is not None
    return [[element.tag for element in slide] for slide in body]


def test_a_recording_plays_with_the_picture_before_it() -> None:
    parts = [_part(1, Kind.IMAGE), _part(2, Kind.AUDIO, duration_s=9), _part(3, Kind.IMAGE)]
    assert _slides(parts, "hello") == [["text", "img", "audio"], ["img"]]
    assert b'dur="9000ms"' in build_smil(parts, "hello")


def test_a_clip_has_a_slide_without_other_sound() -> None:
    parts = [_part(1, Kind.VIDEO), _part(2, Kind.AUDIO), _part(3, Kind.VIDEO)]
    assert _slides(parts, "") == [["video"], ["audio"], ["video"]]


def test_a_text_follows_its_picture_as_a_caption() -> None:
    assert _slides([_part(1, Kind.IMAGE), _part(2, Kind.TEXT), _part(3, Kind.TEXT)], "") == [
        ["img", "text"],
        ["text"],
    ]


@given(st.integers(1, 99), st.sampled_from(Kind), st.text(max_size=80))
def test_names_are_safe_ascii_and_no_name_is_a_prefix_of_another(position: int, kind: Kind, source: str) -> None:
    name = part_name(position, kind, _TYPES[kind][1], source)
    assert name.isascii()
    assert all(character.isalnum() or character in "-_." for character in name)
    assert not name.startswith(".")
    other = part_name(position + 1, kind, _TYPES[kind][1], source)
    assert not name.startswith(other) and not other.startswith(name)


def test_the_original_name_is_used_only_when_asked_for() -> None:
    assert part_name(1, Kind.IMAGE, "jpeg", None) == "01-image.jpg"
    assert part_name(1, Kind.IMAGE, "jpeg", "/home/ann/Ann & Bob Zürich.HEIC") == "01-Ann-Bob-Zurich.jpg"
    assert part_name(1, Kind.IMAGE, "jpeg", "写真.heic") == "01-image.jpg"


def test_the_presentation_has_a_screen_in_pixels_that_holds_the_largest_picture() -> None:
    parts = prepare([("wide.png", _png(900, 300)), ("note.txt", b"hello")], text="Hi").parts
    (root,) = ElementTree.fromstring(build_smil(parts, "Hi")).iter("root-layout")
    assert int(root.get("width", "")) >= max(part.width_px or 0 for part in parts)
    assert int(root.get("height", "")) * 0.7 >= max(part.height_px or 0 for part in parts)


def _png(width: int, height: int) -> bytes:
    file = io.BytesIO()
    Image.linear_gradient("L").resize((width, height)).save(file, "PNG")
    return file.getvalue()
