"""Pushes are read in every spelling that a gateway or relay might use, and nothing of them is left out."""

from __future__ import annotations

import base64
import contextlib
import re
from urllib.parse import quote_from_bytes, urlencode

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmsprep import mm7
from mmsprep.errors import MalformedPush, PushTooLarge
from mmsprep.message.mime import Entity, build_related
from mmsprep.receive.incoming import Incoming, PushDoor, PushedPart, What
from mmsprep.receive.limits import Limits
from mmsprep.receive.look import look
from mmsprep.receive.parse_form import parse_form
from mmsprep.receive.parse_mm7 import parse_mm7

URLENCODED = "application/x-www-form-urlencoded"
JPEG = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 3
GIF = b"GIF89a\x01\x00\x01\x00\x00\x00\x00;"
LIMITS = Limits()

WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=40)


def form(fields: dict[str, str], content_type: str = URLENCODED) -> Incoming:
    return parse_form(content_type, urlencode(fields).encode(), LIMITS)


def upload(fields: dict[str, str], files: dict[str, tuple[str, bytes, str]]) -> Incoming:
    request = httpx.Request("POST", "http://localhost", data=fields, files=files)
    return parse_form(request.headers["content-type"], request.read(), LIMITS)


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_the_documents_fields_urlencoded_with_base64() -> None:
    found = form(
        {
            "from": "61400000001",
            "subject": "Grüße",
            "message": "a\nb",
            "id": "42",
            "attachment0": b64(JPEG),
            "content_type0": "image/jpeg",
            "content_name0": "image1.jpg",
        }
    )
    assert (found.what, found.door, found.id, found.sender) == (What.MESSAGE, PushDoor.FORM, "42", "61400000001")
    assert (found.subject, found.text) == ("Grüße", "a\nb")
    assert found.parts == (PushedPart(data=JPEG, declared_type="image/jpeg", declared_name="image1.jpg"),)


def test_uploaded_files_are_taken_byte_for_byte_with_the_forms_own_type_and_name_first() -> None:
    found = upload(
        {"id": "1", "from": "6", "content_type2": "image/gif"},
        {"attachment0": ("Grüße.jpg", JPEG, "image/jpeg"), "attachment2": ("x.bin", GIF, "application/octet-stream")},
    )
    assert found.parts == (
        PushedPart(data=JPEG, declared_type="image/jpeg", declared_name="Grüße.jpg"),
        PushedPart(data=GIF, declared_type="image/gif", declared_name="x.bin"),
    )


def test_numbers_may_have_gaps_and_any_order_and_size() -> None:
    found = form({"id": "1", "attachment10": b64(b"ten"), "attachment2": b64(b"two"), "attachment987654321": b64(b"x")})
    assert [part.data for part in found.parts] == [b"two", b"ten", b"x"]


def test_repeated_numbers_php_brackets_and_capitals_lose_nothing() -> None:
    body = f"id=1&attachment1={b64(b'one')}&attachment1={b64(b'two')}&Attachment[3]={b64(b'three')}"
    found = parse_form(URLENCODED, body.encode(), LIMITS)
    assert [part.data for part in found.parts] == [b"one", b"two", b"three"]


@pytest.mark.parametrize("field", ["attachment", "photo", "attachmentX"])
def test_an_upload_under_any_name_is_kept(field: str) -> None:
    found = upload({"id": "1"}, {field: ("a.gif", GIF, "image/gif")})
    assert [part.data for part in found.parts] == [GIF]


def test_fields_that_nobody_knows_are_kept_as_they_came() -> None:
    found = form({"id": "1", "to": "61499", "content_type7": "image/png"})
    assert sorted(found.extra) == [("content_type7", "image/png"), ("to", "61499")]


def test_empty_attachment_fields_are_no_attachments_but_an_empty_file_with_a_name_is() -> None:
    found = form({"id": "1", "attachment0": "", "attachment1": "", "content_name1": "empty.txt"})
    assert found.parts == (PushedPart(data=b"", declared_name="empty.txt"),)


@pytest.mark.parametrize(
    "wrapped",
    [
        b64(JPEG).replace("+", " "),
        b64(JPEG).rstrip("="),
        b64(JPEG).replace("+", "-").replace("/", "_"),
        "\r\n".join(re.findall(".{1,76}", b64(JPEG))),
    ],
    ids=["plus became a blank", "no padding", "URL alphabet", "folded lines"],
)
def test_base64_is_read_as_people_write_it(wrapped: str) -> None:
    assert form({"id": "1", "attachment0": wrapped}).parts[0].data == JPEG


@pytest.mark.parametrize(
    ("value", "declared"),
    [("hello world!", "text/plain"), ("test", "text/plain"), ("näh", "image/jpeg"), ("abcde", "")],
)
def test_an_attachment_that_is_no_base64_is_kept_as_it_came(value: str, declared: str) -> None:
    found = form({"id": "1", "attachment0": value, "content_type0": declared})
    assert found.parts[0].data == value.encode()


@pytest.mark.parametrize(
    ("charset", "declared"),
    [(charset, charset) for charset in ("utf-8", "iso-8859-15", "windows-1252", "utf-16", "gb18030", "shift_jis")]
    + [("utf-8", ""), ("cp1252", ""), ("cp1252", "utf-8"), ("cp1252", "no-such-charset"), ("utf-8", "idna")],
)
def test_text_in_any_charset_declared_truly_falsely_or_not_at_all(charset: str, declared: str) -> None:
    text = "日本語のメール" if charset in ("gb18030", "shift_jis") else "Grüße aus Köln, schöne Tage"
    body = f"id=1&message={quote_from_bytes(text.encode(charset))}".encode()
    content_type = f"{URLENCODED}; charset={declared}" if declared else URLENCODED
    assert parse_form(content_type, body, LIMITS).text == text


def test_charsets_of_single_parts_and_of_the_charset_field() -> None:
    body = (
        b'--b\r\nContent-Disposition: form-data; name="_charset_"\r\n\r\nutf-16-le\r\n'
        b'--b\r\nContent-Disposition: form-data; name="subject"\r\n\r\n' + "Ünï".encode("utf-16-le") + b"\r\n"
        b'--b\r\nContent-Disposition: form-data; name="message"\r\nContent-Type: text/plain; charset=koi8-r\r\n\r\n'
        + "Привет".encode("koi8-r")
        + b"\r\n--b--\r\n"
    )
    found = parse_form("multipart/form-data; boundary=b", body, LIMITS)
    assert (found.subject, found.text, found.extra) == ("Ünï", "Привет", ())


def test_an_unquoted_boundary_blank_lines_before_it_and_bare_line_feeds() -> None:
    body = (
        b'\n\n--x=_y:1\nContent-Disposition: form-data; name="id"\n\n7\n--x=_y:1\n'
        b'Content-Disposition: form-data; name="attachment0"; filename="a"\nContent-Transfer-Encoding: base64\n\n'
        + b64(GIF).encode()
        + b"\n--x=_y:1--"
    )
    found = parse_form("Multipart/Form-Data; boundary=x=_y:1", body, LIMITS)
    assert found.id == "7"
    assert found.parts[0].data == GIF


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (URLENCODED, b""),
        (URLENCODED, b"a=b"),
        (URLENCODED, b"id=&from=&attachment0="),
        ("application/json", b"{}"),
        ("multipart/form-data", b"--b--"),
        ("multipart/form-data; boundary=b", b"--b\r\nContent-Disposition: form-data; name=id\r\n"),
    ],
    ids=["nothing", "no field of a message", "all empty", "no form", "no boundary", "cut off"],
)
def test_what_is_no_message_is_malformed(content_type: str, body: bytes) -> None:
    with pytest.raises(MalformedPush):
        parse_form(content_type, body, LIMITS)


@pytest.mark.parametrize(
    "limits",
    [
        Limits(max_attachments=1),
        Limits(max_attachment_bytes=10),
        Limits(max_text_bytes=3),
        Limits(max_fields=3),
        Limits(max_id_chars=2),
    ],
)
def test_each_limit_holds(limits: Limits) -> None:
    fields = {"id": "123", "message": "hello", "attachment0": b64(JPEG), "attachment1": b64(GIF)}
    with pytest.raises(PushTooLarge):
        parse_form(URLENCODED, urlencode(fields).encode(), limits)


@given(
    fields=st.dictionaries(st.sampled_from(["id", "from", "subject", "message", "Zusatz"]), WORDS, min_size=1),
    files=st.dictionaries(st.integers(0, 99), st.tuples(st.binary(min_size=1, max_size=60), WORDS), max_size=4),
    as_upload=st.booleans(),
)
def test_any_form_comes_out_as_it_went_in(
    fields: dict[str, str], files: dict[int, tuple[bytes, str]], as_upload: bool
) -> None:
    fields["id"] = "7"
    names = {f"content_name{index}": name for index, (_, name) in files.items()}
    if as_upload:
        uploads = {f"attachment{index}": ("f", data, "image/jpeg") for index, (data, _) in files.items()}
        found = upload(fields | names, uploads or {"attachment0": ("", b"", "")})
    else:
        found = form(fields | names | {f"attachment{index}": b64(data) for index, (data, _) in files.items()})
    assert [part.data for part in found.parts] == [files[index][0] for index in sorted(files)]
    assert found.subject == fields.get("subject", "")
    assert found.text == fields.get("message", "")
    assert found.extra == ((("Zusatz", fields["Zusatz"]),) if "Zusatz" in fields else ())


FRAGMENTS = st.sampled_from(
    [
        b"id=1",
        b"&",
        b"=",
        b"%",
        b"%zz",
        b"%00",
        b"+",
        b"attachment0=",
        b"attachment[",
        b"content_type1=",
        b"\x00",
        b"\xff",
        b"--b",
        b"\r\n",
        b"\n",
        b"--",
        b"Content-Disposition: form-data; name=",
        b'"attachment1"',
        b"; filename=",
        b'"../../x"',
        b"Content-Type: text/plain; charset=utf-7",
        b"+2AA-",
        b"=?utf-8?B?w7w=?=",
        b"*=utf-16''%ff",
        b"Content-Transfer-Encoding: base64",
        b"Content-Transfer-Encoding: quoted-printable",
        b"=0",
        b"_charset_",
    ]
)
TYPES = st.sampled_from(
    [
        URLENCODED,
        f"{URLENCODED}; charset=utf-7",
        "multipart/form-data; boundary=b",
        "multipart/related; boundary=b; start=x",
        "text/xml",
        "",
        "multipart/form-data; boundary*=utf-16''%ff",
        "\x00;=;",
    ]
)


@given(content_type=TYPES, pieces=st.lists(FRAGMENTS | st.binary(max_size=8), max_size=30))
def test_no_bytes_make_reading_a_form_fail_in_another_way(content_type: str, pieces: list[bytes]) -> None:
    with contextlib.suppress(MalformedPush, PushTooLarge):
        found = parse_form(content_type, b"".join(pieces), LIMITS)
        strings = [found.id, found.sender, found.subject, found.text, *(word for pair in found.extra for word in pair)]
        strings += [part.declared_type + part.declared_name for part in found.parts]
        assert not any("\x00" in string for string in strings)
        "".join(strings).encode()
        look(found)


@given(
    name=st.text(max_size=60) | st.sampled_from(["../../etc/passwd", "C:\\CON", "NUL", "a\x00b", "..", "\u202egpj.exe"])
)
def test_an_attachments_name_is_safe_whatever_it_was_called(name: str) -> None:
    incoming = Incoming(
        what=What.MESSAGE,
        door=PushDoor.FORM,
        id="1",
        sender="",
        parts=tuple(PushedPart(data=data, declared_name=name) for data in (JPEG, JPEG, b"\x00\x01", b"MZ\x90\x00")),
    )
    names = [part.name for part in look(incoming)]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"0[1-4]-[A-Za-z0-9_-]+\.[a-z0-9]+", one) for one in names)
    assert names[0].endswith(".jpg")


def test_what_an_attachment_really_is_stands_beside_what_it_was_called() -> None:
    part = look(form({"id": "1", "attachment0": b64(GIF), "content_type0": "image/jpeg", "content_name0": "a.jpg"}))[0]
    assert (part.format, part.content_type, part.declared_type, part.name) == (
        "gif",
        "image/gif",
        "image/jpeg",
        "01-a.gif",
    )


def test_a_key_follows_id_and_content_and_nothing_else() -> None:
    base = {"id": "1", "from": "6", "message": "hi", "attachment0": b64(GIF)}
    key = form(base).key
    assert form(base | {"content_name0": "other.gif", "attempt": "2"}).key == key
    assert upload({"id": "1", "from": "6", "message": "hi"}, {"attachment5": ("x", GIF, "")}).key == key
    for change in (
        {"id": "2"},
        {"from": "7"},
        {"message": "ho"},
        {"attachment0": b64(JPEG)},
        {"attachment1": b64(GIF)},
    ):
        assert form(base | change).key != key


def test_pushes_without_an_id_are_never_taken_for_one_another() -> None:
    assert form({"from": "6", "message": "yes"}).key != form({"from": "6", "message": "yes"}).key


def deliver(content: Entity | None, **values: str) -> tuple[str, bytes]:
    """A DeliverReq as a relay sends it, with its content nested beside the envelope."""
    push = mm7.Push(
        kind="DeliverReq",
        transaction_id="t-1",
        sender="+61400000001/TYPE=PLMN",
        recipients=("61499",),
        linked_id=values.get("linked_id", "L-1"),
        subject=values.get("subject", "Grüße"),
        content_id="content" if content else "",
    )
    root = Entity((("Content-Type", "text/xml; charset=utf-8"), ("Content-ID", "<root>")), mm7.build_push(push))
    if content is None:
        return "text/xml; charset=utf-8", root.body
    whole = build_related([root, Entity((*content.headers, ("Content-ID", "<content>")), content.body)], "text/xml")
    return whole.header("Content-Type"), whole.body


def nested() -> Entity:
    """A presentation, a text and a picture, as a phone composes them."""
    parts = (
        ("application/smil", "<smil>", b"<smil><body/></smil>", ()),
        ('text/plain; charset="utf-16"', "<text>", "Hällo".encode("utf-16"), ()),
        ('image/jpeg; name="IMG 1.jpg"', "<img>", base64.b64encode(JPEG), (("Content-Transfer-Encoding", "base64"),)),
    )
    entities = [
        Entity((("Content-Type", content_type), ("Content-ID", content_id), *more), body)
        for content_type, content_id, body, more in parts
    ]
    return build_related(entities, "application/smil")


def test_a_delivery_with_nested_content_is_read_whole() -> None:
    push, found = parse_mm7(*deliver(nested()), LIMITS)
    assert push.transaction_id == "t-1"
    assert (found.what, found.door, found.id) == (What.MESSAGE, PushDoor.MM7, "L-1")
    assert (found.sender, found.recipients, found.subject) == ("+61400000001", ("61499",), "Grüße")
    assert found.text == "Hällo"
    assert [part.declared_type for part in found.parts] == ["application/smil", "text/plain", "image/jpeg"]
    assert found.parts[2] == PushedPart(data=JPEG, declared_type="image/jpeg", declared_name="IMG 1.jpg")
    assert [part.format for part in look(found)] == ["smil", "text", "jpeg"]


def test_a_relays_usual_sloppiness_is_read_all_the_same() -> None:
    """Unquoted boundary, a blank line before it, bare line feeds, an unescaped ampersand in the subject."""
    content_type, body = deliver(nested(), subject="Tom and Jerry")
    boundary = re.search('boundary="([^"]+)"', content_type)
    assert boundary
    sloppy_type = f'multipart/related; type="text/xml"; start="<root>"; boundary={boundary[1]}'
    envelope, rest = body.split(b"</env:Envelope>", 1)
    sloppy = envelope.replace(b"Tom and Jerry", b"Tom & Jerry").replace(b"\r\n", b"\n") + b"</env:Envelope>" + rest
    _, found = parse_mm7(sloppy_type, b"\r\n\r\n" + sloppy, LIMITS)
    assert found.subject == "Tom & Jerry"
    assert found.parts[2].data == JPEG


def test_content_that_is_one_bare_picture_or_missing_is_taken_too() -> None:
    picture = Entity((("Content-Type", "image/gif"), ("Content-Location", "a.gif")), GIF)
    assert parse_mm7(*deliver(picture), LIMITS)[1].parts == (
        PushedPart(data=GIF, declared_type="image/gif", declared_name="a.gif"),
    )
    assert parse_mm7(*deliver(None), LIMITS)[1].parts == ()


@pytest.mark.parametrize(
    ("kind", "what"), [("DeliveryReportReq", What.DELIVERY_REPORT), ("ReadReplyReq", What.READ_REPLY)]
)
def test_reports_say_which_message_they_are_about(kind: str, what: What) -> None:
    push = mm7.Push(
        kind=kind,
        transaction_id="t-2",
        sender="61400000001",
        recipients=("61400000002",),
        message_id="m-1",
        status="Retrieved",
        status_text="done",
        timestamp="2026-11-25T01:02:03Z",
    )
    _, found = parse_mm7("text/xml", mm7.build_push(push), LIMITS)
    assert (found.what, found.about_id, found.status, found.status_text) == (what, "m-1", "Retrieved", "done")
    assert found.sent_at == "2026-11-25T01:02:03Z"


@given(content_type=TYPES, cut=st.integers(0, 3000), junk=st.binary(max_size=20))
def test_no_bytes_make_reading_mm7_fail_in_another_way(content_type: str, cut: int, junk: bytes) -> None:
    real_type, body = deliver(nested())
    for tried in (content_type, real_type):
        with contextlib.suppress(MalformedPush, PushTooLarge):
            look(parse_mm7(tried, body[:cut] + junk + body[cut + len(junk) :], LIMITS)[1])


def test_multiparts_inside_one_another_end_somewhere() -> None:
    content = Entity((("Content-Type", "text/plain"), ("Content-ID", "<x>")), b"x")
    for _ in range(8):
        content = build_related([Entity((*content.headers, ("Content-ID", "<y>")), content.body)], "text/plain")
    with pytest.raises(MalformedPush, match="nested"):
        parse_mm7(*deliver(content), LIMITS)


def test_fields_in_the_address_are_taken_whatever_an_empty_body_is_called() -> None:
    pushed = parse_form("text/plain", b" ", Limits(), query="id=1&from=61400&message=Hi")
    assert (pushed.id, pushed.sender, pushed.text) == ("1", "61400", "Hi")
