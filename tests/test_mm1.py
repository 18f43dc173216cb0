"""The MM1 PDU: written as the specification says, read by others, and read back whatever somebody sends."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from captures import dissect
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from mmsprep.cli import app
from mmsprep.errors import Damaged, InputError, OverInputLimit, Unreadable
from mmsprep.message import Message
from mmsprep.message.mime import Entity, build_related
from mmsprep.mm1 import decode, encode_retrieved, encode_send, pack_message, read_pdu, unpack, write_unpacked, wsp
from mmsprep.mm1.content import _MEDIA_TYPES, decode_parts
from mmsprep.mm1.wsp import Reader
from mmsprep.pipeline import prepare


@pytest.fixture(scope="module")
def message(sample_media: Path) -> Message:
    """Pictures, a clip, sound, a melody and texts, near the limit."""
    folder = sample_media / "message"
    return prepare(sorted(folder.iterdir()), text="Grüße 😀", subject="Sunday at the lake")


def _run(*arguments: str | Path) -> Any:
    return CliRunner().invoke(app, [str(one) for one in arguments], catch_exceptions=False)


def _related(*bodies: bytes) -> Entity:
    entities = [
        Entity((("Content-Type", "text/plain; charset=utf-8"), ("Content-ID", f"<{number}>")), body)
        for number, body in enumerate(bodies)
    ]
    return build_related(entities, "text/plain")


def _sized(value: bytes) -> bytes:
    return wsp.value_length(len(value)) + value


# Written


@pytest.mark.parametrize("retrieved", [False, True])
def test_its_size_is_the_message_s_own_within_a_percent_and_never_above(message: Message, retrieved: bool) -> None:
    pdu = pack_message(message, recipients=["61409317436"], retrieved=retrieved)
    assert 0.99 * message.total_bytes <= len(pdu) <= message.total_bytes


def test_the_bytes_are_those_of_the_specification() -> None:
    """OMA-TS-MMS-ENC 7.3 and WAP-230-WSP 8.4.2, by hand."""
    pdu = encode_send(_related(b"hi"), transaction_id="T1", recipients=["61400000000"], subject="Hi")
    assert pdu == (
        b"\x8c\x80\x98T1\0\x8d\x92\x89\x01\x81\x97+61400000000/TYPE=PLMN\0\x96Hi\0\x8a\x80\x86\x81\x90\x81"
        b"\x84\x08\xb3\x89\x83\x8a<0>\0"
        b"\x01\x0a\x02\x03\x83\x81\xea\xc0\x22<0>\0hi"
    )


def test_another_program_reads_every_part_of_it(message: Message, tmp_path: Path) -> None:
    pdu = pack_message(message, recipients=["61409317436", "4915112345678"], sender="61400000000")
    layers = dissect(pdu, tmp_path)
    told, text = layers["mmse"], json.dumps(layers)
    assert "malformed" not in text.lower()
    assert told["mmse.message_type"] == "0x80"
    assert told["mmse.to"] == ["+61409317436/TYPE=PLMN", "+4915112345678/TYPE=PLMN"]
    assert told["mmse.from"] == "+61400000000/TYPE=PLMN"
    assert told["mmse.subject"] == "Sunday at the lake"
    assert told["wsp.header.content_type"] == "application/vnd.wap.multipart.related"
    assert told["wsp.header.content_type_tree"]["wsp.parameter.start"] == "<slides.smil>"
    trees = told["wsp.post.data"]["Multipart body"]["wsp.multipart_tree"]
    assert [tree["wsp.headers"]["wsp.header.content_location"] for tree in trees] == [
        "slides.smil",
        "text.txt",
        *(part.name for part in message.parts),
    ]
    types = [tree["wsp.header.content_type"] for tree in trees]
    assert types == ["application/smil", "text/plain", *(part.content_type for part in message.parts)]


def test_another_program_reads_what_a_phone_gets(message: Message, tmp_path: Path) -> None:
    told = dissect(pack_message(message, sender="61400000000", retrieved=True), tmp_path)["mmse"]
    assert told["mmse.message_type"] == "0x84"
    assert told["mmse.message_id"].endswith("@mmsprep>")
    assert "mmse.date" in told


def test_another_program_knows_the_numbers_of_media_types_as_we_do(tmp_path: Path) -> None:
    """All in one content type, as so many parameters of it."""
    codes = range(2, len(_MEDIA_TYPES))
    value = b"\xb3" + b"".join(b"\x89" + wsp.short_integer(code) for code in codes)
    pdu = b"\x8c\x84\x8d\x92\x84" + wsp.value_length(len(value)) + value + b"\x00"
    theirs = dissect(pdu, tmp_path)["mmse"]["wsp.header.content_type_tree"]["wsp.parameter.upart.type"]
    # Two were renamed: WAP 1.1 called these events channels.
    differing = {code for code, name in zip(codes, theirs, strict=True) if name.lower() != _MEDIA_TYPES[code].lower()}
    assert differing == {0x0A, 0x16}


# Read back


def test_what_was_packed_comes_out_bit_for_bit_under_its_name(message: Message, tmp_path: Path) -> None:
    pdu = tmp_path / "out.mms"
    message.write(tmp_path / "made")
    assert _run("pack", tmp_path / "made", "-o", pdu, "--to", "61409317436").exit_code == 0
    done = _run("unpack", pdu, "-o", tmp_path / "out", "--json")
    told = json.loads(done.stdout)
    assert told["kind"] == "m-send-req"
    assert told["to"] == ["+61409317436"]
    assert told["subject"] == message.subject
    assert told["text"].startswith(message.text)
    for part in message.parts:
        assert (tmp_path / "out" / part.name).read_bytes() == part.data
    assert (tmp_path / "out" / "slides.smil").read_bytes() == message.smil
    assert json.loads((tmp_path / "out" / "pdu.json").read_text("utf-8")) == told
    assert len(list((tmp_path / "out").iterdir())) == len(message.parts) + 3


@given(
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=60), st.lists(st.binary(max_size=300), max_size=5)
)
def test_subject_and_bodies_come_back(subject: str, bodies: list[bytes]) -> None:
    content = _related(*bodies, b"last")
    for pdu in (
        encode_send(content, transaction_id="t", subject=subject),
        encode_retrieved(content, message_id="m", sent_at_s=1_800_000_000, subject=subject),
    ):
        found = decode(pdu, "a PDU")
        assert found.field("Subject") == " ".join(subject.split())
        assert [part.body for part in found.parts] == [*bodies, b"last"]


@pytest.mark.parametrize("subject", ["", " ", "\u3000 \t"])
def test_a_subject_of_which_nothing_is_seen_is_left_out_and_an_empty_one_is_read(subject: str) -> None:
    sent = encode_send(_related(b"last"), transaction_id="t", subject=subject)
    assert sent == encode_send(_related(b"last"), transaction_id="t")
    for version in (b"\x8d\x90", b"\x8d\x92"):
        assert decode(b"\x8c\x81\x98t\0" + version + b"\x96\0\x92\x80", "answer").field("Subject") == ""


def test_the_relay_s_answer_is_read() -> None:
    found = decode(b"\x8c\x81\x98T1\0\x8d\x90\x92\xe3\x93" + _sized(b"\xeaNo such user\0") + b"\x8bid\0", "answer")
    assert found.kind == "m-send-conf"
    assert found.field("X-Mms-Response-Status") == "Error-permanent-sending-address-unresolved"
    assert found.field("X-Mms-Response-Text") == "No such user"
    assert found.field("Message-ID") == "id"
    assert not found.parts


def test_a_notification_is_read() -> None:
    sender, expiry = _sized(b"\x80+61400000000/TYPE=PLMN\0"), _sized(b"\x81\x03\x03\xf4\x80")
    data = b"\x8c\x82\x98N\0\x8d\x92\x89" + sender + b"\x8a\x80\x8e\x02\x5d\xc0\x88" + expiry + b"\x83http://mmsc/1\0"
    found = decode(data, "notification")
    assert found.field("From") == "+61400000000/TYPE=PLMN"
    assert found.field("X-Mms-Message-Size") == "24000"
    assert found.field("X-Mms-Expiry") == "259200 s"
    assert found.field("X-Mms-Content-Location") == "http://mmsc/1"


def test_a_notification_is_shown_by_its_fields_alone(tmp_path: Path) -> None:
    (tmp_path / "note.mms").write_bytes(b"\x8c\x82\x98N\0\x8d\x92\x83http://mmsc/1\0")
    done = _run("unpack", tmp_path / "note.mms", "-o", tmp_path / "out")
    assert "http://mmsc/1" in done.output and "Declared as" not in done.output and "Text" not in done.output


def test_what_phones_of_others_write_is_read() -> None:
    """Charsets by number, types in words, a quoted start, names in a disposition, unknown fields, mixed multiparts."""
    jpeg = b"\xff\xd8\xff\xe0"
    first = _sized(b"\x83\x81\x84\x85a.txt\0")
    second = b"image/jpeg\0\xae" + _sized(b"\x81\x86photo.jpg\0") + b"X-Vendor\0one\0\xb0\x03abc"
    note = "né\xa0!".encode("latin-1")
    body = b"\x02" + bytes([len(first), len(note)]) + first + note + bytes([len(second), len(jpeg)]) + second + jpeg
    sender = _sized(b"\x80" + _sized(b"\x84d\xe9\0"))
    fields = b"\x98t\0\x8d\x91\x85\x04\x5f\x00\x00\x00\x89" + sender + b"\xbe\x80X-App\0yes\0"
    data = b"\x8c\x84" + fields + b"\x84\xa3" + body
    found = unpack(data, "other")
    assert found.pdu.field("Date") == "2020-07-04T04:05:20+00:00"
    assert found.pdu.field("From") == "dé"
    assert found.pdu.field("X-App") == "yes"
    assert [part.name for part in found.parts] == ["a.txt", "photo.jpg"]
    assert found.text == "né\xa0!"


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        ("../../etc/passwd", "01-passwd.txt"),
        ("C:\\con.txt", "01-con.txt"),
        ("con.txt", "01-con.txt"),
        ("pdu.json", "01-pdu.txt"),
        ("photo.jpg", "01-photo.txt"),
        (".hidden.txt", "01-hidden.txt"),
        ("a\x1b[2J.txt", "01-a-2J.txt"),
        ("", "01-text.txt"),
        ("fine.txt", "fine.txt"),
    ],
)
def test_no_name_leads_astray(declared: str, expected: str, tmp_path: Path) -> None:
    head = b"\x83" + (b"\x8e" + declared.encode() + b"\0" if declared else b"")
    data = b"\x8c\x84\x8d\x92\x84\xa3\x01" + bytes([len(head), 5]) + head + b"hello"
    found = unpack(data, "stranger")
    assert [part.name for part in found.parts] == [expected]
    assert [path.name for path in write_unpacked(found, tmp_path / "out")] == [expected, "pdu.json"]


def test_two_parts_of_one_name_get_two() -> None:
    head = b"\x83\x8eA.txt\0"
    other = b"\x83\x8ea.TXT\0"
    parts = b"".join(bytes([len(one), 1]) + one + b"x" for one in (head, other))
    names = [part.name.lower() for part in unpack(b"\x8c\x84\x8d\x92\x84\xa3\x02" + parts, "twice").parts]
    assert len(set(names)) == 2


# Hostile

_HEAD = b"\x8c\x84\x8d\x92\x84\xa3"


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "does not begin"),
        (b"\x8c", "does not begin"),
        (b"\xff\xd8\xff\xe0", "does not begin"),
        (b"\x8c\x80\x98abc", "a text has no end"),
        (b"\x8c\x80\x05", "stands where a field was expected"),
        (b"\x8c\x80\x96\x1f\xff\xff\xff\xff\x7fx", "more than 32 bits"),
        (b"\x8c\x80\x96\x1f\xff\xff\xff\xff\xff\x01", "more than five octets"),
        (b"\x8c\x80\x96\x1f\x8f\xff\xff\xff\x7f", "a length of 4,294,967,295 bytes"),
        (b"\x8c\x80\x85\x1eabc", "a length of 30 bytes"),
        (b"\x8c\x80\x85\x1e" + b"\xff" * 30, "is no date"),
        (b"\x8c\x80\x85\x00", "where an integer was expected"),
        (b"\x8c\x80\x89\x00", "ends where a value was expected"),
        (b"\x8c\x80\x84", "ends where a value was expected"),
        (b"\x8c\x80\x84\x05\xa3", "a length of 5 bytes"),
        (_HEAD + b"\x01", "ends where a value was expected"),
        (_HEAD + b"\x01\x00\x00", "ends where a value was expected"),
        (_HEAD + b"\x01\x01\x05\x83abc", "a length of 5 bytes"),
        (_HEAD + b"\x01\x8f\xff\xff\xff\x7f\x00\x83", "a length of 4,294,967,295 bytes"),
        (_HEAD + b"\x01\x84\x59\x01\x83" + b"\x8ea\0" * 200 + b"a", "there are more than"),
        (_HEAD + b"\x02\x01\x01\x83a", "ends where a value was expected"),
        (_HEAD + b"\x01\x05\x01\x83\x8eabca", "a text has no end"),
    ],
)
def test_what_is_cut_off_or_lies_about_lengths_is_damaged(data: bytes, problem: str) -> None:
    with pytest.raises(Damaged, match=problem) as raised:
        decode(data, "stranger.mms")
    assert str(raised.value).startswith("stranger.mms: ")


@pytest.mark.parametrize("count", [101, 0xFFFFFFFF])
def test_more_parts_than_a_message_has_are_over_the_limit(count: int) -> None:
    with pytest.raises(OverInputLimit, match=f"{count:,} parts"):
        decode(_HEAD + wsp.uintvar(count) + b"\x01\x00\x83" * 200, "many")


def test_multiparts_in_multiparts_have_an_end() -> None:
    data = b"\x01\x01\x00\x83"
    for _ in range(50):
        data = b"\x01" + wsp.uintvar(1) + wsp.uintvar(len(data)) + b"\xa3" + data
    with pytest.raises(OverInputLimit, match="deep"):
        decode(_HEAD + data, "deep")
    inside = b"\x01\x01" + wsp.uintvar(4) + b"\xa6" + b"\x01\x01\x00\x83"
    assert [part.content_type for part in decode(_HEAD + inside, "two").parts] == ["text/plain"]


def test_parts_of_nested_multiparts_are_counted_together() -> None:
    leaf = b"\x01\x00\x83"
    inner = wsp.uintvar(60) + leaf * 60
    data = b"\x02" + (wsp.uintvar(1) + wsp.uintvar(len(inner)) + b"\xa3" + inner) * 2
    with pytest.raises(OverInputLimit, match="more than 100 parts"):
        decode(_HEAD + data, "wide")


@examples(100)
@given(st.data())
def test_any_damage_is_an_error_of_ours_or_a_reading(data: st.DataObject) -> None:
    good = bytearray(
        encode_retrieved(
            _related(b"one", b"\x00two"), message_id="m", sent_at_s=1, sender="61400000000", subject="Grüße"
        )
    )
    for _ in range(data.draw(st.integers(1, 4))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(good)))
    with contextlib.suppress(InputError):
        unpack(bytes(good[:cut] if cut % 3 == 0 else good), "damaged")


@given(st.integers(0, 0xFFFFFFFF))
def test_a_uintvar_comes_back(value: int) -> None:
    assert Reader(wsp.uintvar(value), "n").uintvar() == value


@given(st.binary(max_size=200))
def test_noise_after_the_count_is_an_error_of_ours_or_parts(noise: bytes) -> None:
    with contextlib.suppress(InputError):
        decode_parts(Reader(noise, "noise"), "noise")


# The commands


def test_pack_replaces_nothing_unasked_and_says_what_is_missing(message: Message, tmp_path: Path) -> None:
    message.write(tmp_path / "made")
    target = tmp_path / "out.mms"
    done = _run("pack", tmp_path / "made", "-o", target)
    assert "names no recipient" in done.stderr
    before = target.read_bytes()
    refused = _run("pack", tmp_path / "made", "-o", target)
    assert refused.exit_code == 8
    assert target.read_bytes() == before
    assert _run("pack", tmp_path / "made", "-o", target, "--retrieved", "--force").exit_code == 0
    assert decode(target.read_bytes(), "x").kind == "m-retrieve-conf"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["made", "out.mms"]


def test_unpack_refuses_a_folder_with_something_in_it(tmp_path: Path) -> None:
    (tmp_path / "in.mms").write_bytes(_HEAD + b"\x01\x01\x01\x83a")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("mine")
    assert _run("unpack", tmp_path / "in.mms", "-o", tmp_path / "out").exit_code == 8
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine"]


def test_unpack_tells_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "in.mms").write_bytes(b"\xff\xd8")
    done = _run("unpack", tmp_path / "in.mms", "--json")
    assert done.exit_code == 3
    assert json.loads(done.stdout)["error"]["code"] == "damaged"
    assert _run("unpack", tmp_path / "none.mms").exit_code == 3


def test_a_file_longer_than_any_message_is_not_read(tmp_path: Path) -> None:
    place = tmp_path / "long.mms"
    with place.open("wb") as file:
        file.truncate(40_000_000)
    with pytest.raises(Unreadable, match="longer"):
        read_pdu(place)


def test_rare_headers_of_parts_are_read() -> None:
    """A quality of the content type, a parameter without value, a disposition of one octet, and no content id."""
    head = _sized(b"\x83" + b"\x80\x05" + b"\x85\x00") + b"\xae\x80"
    data = wsp.uintvar(1) + wsp.uintvar(len(head)) + wsp.uintvar(2) + head + b"hi"
    (part,) = decode_parts(Reader(data, "stranger.mms"), "stranger.mms")
    assert (part.header("Content-Type"), part.body) == ('text/plain; q="5"', b"hi")
    plain = encode_send(
        build_related([Entity((("Content-Type", "text/plain"),), b"hi")], "text/plain"),
        transaction_id="T1",
        recipients=["61400000000"],
        subject="",
    )
    assert unpack(plain, "plain.mms").parts[0].data == b"hi"
