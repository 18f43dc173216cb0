"""The sandbox's form door: the published table, to the letter."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from urllib.parse import urlencode

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("starlette", reason="the extra mmsprep[sandbox] is not installed")

from examples import examples
from sandbox_client import JPEG, NUMBER, fields, picture, post_form

from mmsprep.sandbox import Login, Sandbox
from mmsprep.sandbox.exchange import ArrivedRequest
from mmsprep.sandbox.form import answer, judge

PHOTO = ("photo.jpg", "image/jpeg", JPEG)


@pytest.fixture(scope="module")
def gateway() -> Iterator[Sandbox]:
    with Sandbox() as running:
        yield running


def test_a_conforming_message_is_accepted_with_a_unique_id_of_16_digits(gateway: Sandbox) -> None:
    answers = [post_form(gateway, fields(PHOTO)) for _ in range(3)]
    found = [re.fullmatch(r"Success\. ID = ([0-9]{16})", answer) for answer in answers]
    assert all(found)
    assert len({match[1] for match in found if match}) == 3


def test_what_was_accepted_can_be_looked_at(gateway: Sandbox) -> None:
    photos = [(f"photo{index}.jpg", "image/jpeg", picture(side_px=32 + index)) for index in range(15)]
    form = fields(*photos, subject="Holiday – für dich", message="Grüße", **{"from": "61400000000"})
    assert post_form(gateway, form).startswith("Success")
    exchange = gateway.accepted[-1]
    submission = exchange.judgement.submission
    assert submission is not None
    assert (submission.number, submission.sender, submission.subject) == (NUMBER, "61400000000", "Holiday – für dich")
    assert [part.name for part in submission.content.parts] == ["text.txt", *(name for name, _, _ in photos)]
    assert submission.content.parts[0].text == "Grüße"
    assert gateway.part_data(exchange, 3) == photos[2][2]
    assert sum(part.size_bytes for part in submission.content.parts) < submission.content.total_bytes < 300_000


def test_attachments_of_the_same_name_are_shown_each(gateway: Sandbox) -> None:
    """The published table does not ask for different names."""
    others = [("photo.jpg", "image/jpeg", picture(side_px=40)), ("text.txt", "text/plain", b"not the message")]
    assert post_form(gateway, fields(PHOTO, *others)).startswith("Success")
    exchange = gateway.accepted[-1]
    assert exchange.judgement.submission is not None
    content = exchange.judgement.submission.content
    assert len({part.name for part in content.parts}) == 4
    assert sorted(place for slide in content.slides for place in slide.parts) == [0, 1, 2, 3]
    assert gateway.part_data(exchange, 1) != gateway.part_data(exchange, 2)


@pytest.mark.parametrize(("at_start", "slide_of_text"), [("1", 0), (None, 0), ("0", -1)])
def test_the_text_stands_where_message_at_start_says(
    gateway: Sandbox, at_start: str | None, slide_of_text: int
) -> None:
    second = ("second.jpg", "image/jpeg", JPEG)
    post_form(gateway, fields(PHOTO, second, message_at_start=at_start))
    submission = gateway.accepted[-1].judgement.submission
    assert submission is not None
    texts = [
        any(submission.content.parts[place].kind == "text" for place in slide.parts)
        for slide in submission.content.slides
    ]
    assert texts.index(True) == slide_of_text % len(texts)


def test_multipart_forms_are_read_too(gateway: Sandbox) -> None:
    files = {name: (None, value) for name, value in fields(PHOTO, subject="ü").items()}
    answer = httpx.post(gateway.form_url, files=files, trust_env=False).text
    assert answer.startswith("Success")
    assert gateway.accepted[-1].judgement.submission.subject == "ü"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("change", "status_code", "words"),
    [
        ({"to": NUMBER, "number": None}, 2000, "'to' is unknown"),
        ({"attachement0": "x"}, 2000, "did you mean 'attachment0'"),
        ({"Number": NUMBER}, 2000, "did you mean 'number'"),
        ({"attachment00": "x"}, 2000, "unknown"),
        ({"number": None}, 2000, "mandatory field 'number' is missing"),
        ({"username": None}, 2000, "mandatory field 'username' is missing"),
        ({"password": ""}, 2000, "mandatory field 'password' is empty"),
        ({"type0": None}, 2000, "'type0' is missing"),
        ({"name0": ""}, 2000, "'name0' is empty"),
        ({"attachment0": None}, 2000, "'attachment0' is missing"),
        ({"attachment2": "QQ==", "type2": "image/jpeg", "name2": "a.jpg"}, 2000, "attachment1 is missing"),
        ({"attachment15": "QQ==", "type15": "image/jpeg", "name15": "a.jpg"}, 2000, "numbered 0 to 14"),
        ({"password": "wrong"}, 2008, "username or password is wrong"),
        ({"number": f"+{NUMBER}"}, 2002, "do not use + before the country code"),
        ({"number": "0409317436"}, 2002, "begins with the country code"),
        ({"number": "61 409 317 436"}, 2002, "digits only"),
        ({"number": "٦١٤٠٩٣١٧٤٣٦"}, 2002, "is no MSISDN"),
        ({"from": "Lakeside"}, 2002, "from"),
        ({"max_dimension": "large"}, 2007, "max_dimension"),
        ({"message_at_start": "yes"}, 2007, "message_at_start"),
        ({"subject": "one\ntwo"}, 2007, "line end"),
        ({"name0": "../photo.jpg"}, 2007, "plain file name"),
        ({"attachment0": "not base64!"}, 2004, "not valid base64"),
        ({"attachment0": "QUJ DRA=="}, 2004, "URL-encoded as %2B"),
        ({"attachment0": "QUJD\nRA=="}, 2004, "line ends"),
        ({"attachment0": "QUJDR"}, 2004, "not valid base64"),
        ({"attachment0": "QUJD_A=="}, 2004, "URL-safe alphabet"),
        ({"type0": "image/png"}, 2004, "not in the compatibility table"),
        ({"type0": "audio/aac"}, 2004, "not in the compatibility table"),
        ({"type0": "image/gif"}, 2004, "declared as image/gif, but it is JPEG"),
        ({"type0": "text/plain"}, 2004, "UTF-8 or US-ASCII"),
        ({"attachment0": "JVBERi0xLjQK"}, 2004, "declared as image/jpeg"),
    ],
)
def test_what_departs_from_the_table_is_a_failure_with_the_reason(
    gateway: Sandbox, change: dict[str, str | None], status_code: int, words: str
) -> None:
    answer = post_form(gateway, fields(PHOTO, **change))
    assert answer.startswith("FAILURE")
    assert words in answer
    assert gateway.exchanges[-1].judgement.status_code == status_code
    assert not gateway.exchanges[-1].judgement.accepted


def test_a_message_without_text_and_attachment_is_a_failure(gateway: Sandbox) -> None:
    assert "neither a message nor an attachment" in post_form(gateway, fields(message=None, subject="alone"))


def test_a_field_that_stands_twice_is_a_failure(gateway: Sandbox) -> None:
    body = urlencode([*fields().items(), ("number", NUMBER)])
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert (
        "'number' stands 2 times" in httpx.post(gateway.form_url, content=body, headers=headers, trust_env=False).text
    )


@pytest.mark.parametrize(
    ("body", "content_type", "words"),
    [
        (b"number=%ff", "application/x-www-form-urlencoded", "UTF-8"),
        ("number=ü".encode(), "application/x-www-form-urlencoded", "beyond ASCII"),
        (b"number", "application/x-www-form-urlencoded", "not URL-encoded"),
        (b"", "application/x-www-form-urlencoded", "mandatory"),
        (b"{}", "application/json", "expected application/x-www-form-urlencoded"),
        (b"--x", "multipart/form-data; boundary=x", "cannot be read"),
        (
            b'--x\r\nContent-Disposition: form-data; name="attachment0"; filename="a.jpg"\r\n\r\nA\r\n--x--',
            "multipart/form-data; boundary=x",
            "uploaded file",
        ),
    ],
)
def test_a_form_that_cannot_be_read_is_a_failure(gateway: Sandbox, body: bytes, content_type: str, words: str) -> None:
    headers = {"Content-Type": content_type}
    answer = httpx.post(gateway.form_url, content=body, headers=headers, trust_env=False).text
    assert answer.startswith("FAILURE")
    assert words in answer


def test_fields_in_the_address_are_not_taken(gateway: Sandbox) -> None:
    assert "query string" in post_form(gateway, fields(), params={"x": "1"})


def test_the_limit_is_300_000_bytes_for_the_whole_message(gateway: Sandbox, make: Callable[[str, str], bytes]) -> None:
    wav = make("-f lavfi -i sine=d=20 -ar 8000 -ac 1 -c:a pcm_s16le -fflags +bitexact", "wav")
    room = 298_000
    assert post_form(gateway, fields(("note.wav", "audio/wav", wav[:room]))).startswith("Success")
    accepted = gateway.accepted[-1].judgement.submission
    assert accepted is not None
    overhead = accepted.content.total_bytes - room
    at_the_limit = wav[: 300_000 - overhead]
    assert post_form(gateway, fields(("note.wav", "audio/wav", at_the_limit))).startswith("Success")
    one_more = wav[: 300_000 - overhead + 1]
    answer = post_form(gateway, fields(("note.wav", "audio/wav", one_more)))
    assert answer.startswith("FAILURE")
    assert "300,001 bytes" in answer
    assert "over the limit of 300,000" in answer


def test_the_door_takes_post_alone(gateway: Sandbox) -> None:
    response = httpx.get(gateway.form_url, params=fields(), trust_env=False)
    assert response.status_code == 405
    assert response.headers["allow"] == "POST"


def test_the_password_is_kept_nowhere() -> None:
    """Somebody may send the credentials of a real account here by mistake."""
    with Sandbox() as gateway:
        secret = "correct-horse-battery"
        post_form(gateway, fields(PHOTO, password=secret))
        files = {name: (None, value) for name, value in fields(password=secret).items()}
        httpx.post(gateway.form_url, files=files, trust_env=False)
        httpx.post(gateway.mm7_url, auth=("x", secret), trust_env=False)
        seen = [httpx.get(f"{gateway.url}/messages/{number}/raw", trust_env=False).content for number in (1, 2, 3)]
        seen += [httpx.get(f"{gateway.url}/messages/{number}", trust_env=False).content for number in (1, 2, 3)]
        assert len(gateway.exchanges) == 3
    for content in seen:
        assert secret.encode() not in content
        assert b"c2FuZGJveA" not in content
    assert b"[not kept]" in seen[0]
    assert b"[not kept]" in seen[1]
    assert b"[not kept]" in seen[2]


@examples(60)
@given(
    st.dictionaries(
        st.sampled_from(
            ["username", "password", "number", "from", "subject", "message", "attachment0", "type0", "name0", "x"]
        ),
        st.sampled_from(["sandbox", NUMBER, "", "image/jpeg", "a.jpg", "QQ=="]) | st.text(max_size=20),
    )
)
def test_any_form_is_judged(form: dict[str, str]) -> None:
    """No combination of fields makes the door fail in another way than by a reason."""
    body = urlencode(form).encode() if all(_encodable(value) for value in form.values()) else b"\xff"
    headers = (("Content-Type", "application/x-www-form-urlencoded"),)
    judgement = judge(ArrivedRequest(headers=headers, body=body), Login())
    assert judgement.accepted or judgement.reason
    assert answer(judgement).body.startswith(b"FAILURE")  # without a message id, which the doors give


def _encodable(value: str) -> bool:
    return not any("\ud800" <= char <= "\udfff" for char in value)
