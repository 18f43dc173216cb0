"""The sandbox as the pushing side: incoming MMS to a script of the user's."""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import trustme
from typer.testing import CliRunner

pytest.importorskip("starlette", reason="the extra mmsprep[sandbox] is not installed")

from sandbox_client import JPEG, Script, script_running

from mmsprep.cli import app
from mmsprep.errors import UsageError
from mmsprep.sandbox import Persistence, Sandbox
from mmsprep.tools.tls import verified_tls

AT_ONCE = Persistence(first_pause_s=0.01)


@pytest.fixture
def script() -> Iterator[Script]:
    with script_running() as server:
        yield server


@pytest.fixture(scope="module")
def gateway() -> Iterator[Sandbox]:
    with Sandbox() as running:
        yield running


def test_an_incoming_message_is_the_published_form(gateway: Sandbox, script: Script) -> None:
    files = [("image1.jpg", "image/jpeg", JPEG), ("note.txt", "text/plain", "Grüße".encode())]
    delivery = gateway.push(script.url, sender="61400000000", subject="Für dich", message="a & b = c", files=files)
    assert delivery.ok
    assert delivery.finished
    assert len(delivery.attempts) == 1
    (form,) = script.forms
    assert base64.b64decode(form.pop("attachment0")) == JPEG
    assert base64.b64decode(form.pop("attachment1")).decode() == "Grüße"
    assert len(form.pop("id")) == 16
    assert form == {
        "from": "61400000000",
        "subject": "Für dich",
        "message": "a & b = c",
        "content_type0": "image/jpeg",
        "content_name0": "image1.jpg",
        "content_type1": "text/plain",
        "content_name1": "note.txt",
    }


@pytest.mark.parametrize(
    "answer", [(200, ""), (200, "ok"), (200, "OK, thanks"), (500, "OK"), (302, "OK"), (200, "<html>OK</html>")]
)
def test_anything_but_ok_is_pushed_again_with_the_same_id(
    gateway: Sandbox, script: Script, answer: tuple[int, str]
) -> None:
    script.answers = [answer, answer]
    delivery = gateway.push(script.url, message="hello", persistence=AT_ONCE)
    assert [attempt.ok for attempt in delivery.attempts] == [False, False, True]
    assert [attempt.http_status for attempt in delivery.attempts] == [answer[0], answer[0], 200]
    assert len({form["id"] for form in script.forms}) == 1


def test_white_space_around_ok_is_nothing(gateway: Sandbox, script: Script) -> None:
    script.answers = [(201, "\n OK \r\n")]
    assert len(gateway.push(script.url, message="hello").attempts) == 1


def test_pushing_ends_after_the_attempts_that_were_asked_for(gateway: Sandbox, script: Script) -> None:
    script.answers = [(200, "later")] * 5
    delivery = gateway.push(script.url, message="x", persistence=Persistence(attempts=3, first_pause_s=0.01))
    assert delivery.finished
    assert not delivery.ok
    assert len(script.forms) == 3
    assert delivery.attempts[-1].answer == "later"


def test_a_script_that_is_not_there_is_told_as_such(gateway: Sandbox) -> None:
    delivery = gateway.push("http://127.0.0.1:9/x", persistence=Persistence(attempts=2, first_pause_s=0.01))
    assert [attempt.http_status for attempt in delivery.attempts] == [None, None]
    assert "no answer" in delivery.attempts[0].answer


def test_a_script_behind_tls_is_pushed_to_where_the_system_vouches_for_it(
    gateway: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A company's own authority, as before a script on a machine of its own; nobody's certificate is not believed."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    with script_running(tls) as script:
        asked_once = Persistence(attempts=1)
        verified_tls.cache_clear()
        unknown = gateway.push(script.url, message="Hello", persistence=asked_once)
        assert not unknown.ok and "SSL_CERT_FILE" in unknown.attempts[0].answer
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        verified_tls.cache_clear()
        try:
            assert gateway.push(script.url, message="Hello", persistence=asked_once).ok
        finally:
            verified_tls.cache_clear()
    assert [form["message"] for form in script.forms] == ["Hello"]


@pytest.mark.parametrize("url", ["", "ftp://x/y", "file:///etc/passwd", "http://", "localhost:80/x", "http://x:99999/"])
def test_only_http_addresses_are_pushed_to(gateway: Sandbox, url: str) -> None:
    with pytest.raises(UsageError, match="expected an address like"):
        gateway.push(url)


def test_other_programs_reply_as_the_handset_over_http(gateway: Sandbox, script: Script) -> None:
    script.answers = [(500, "busy")]
    response = httpx.post(
        f"{gateway.url}/sandbox/push",
        data={"url": script.url, "from": "61400000009", "message": "hi", "id": "42"},
        files={"file": ("a.jpg", JPEG, "image/jpeg")},
        trust_env=False,
    )
    assert response.status_code == 202
    with script.got_one:
        assert script.got_one.wait_for(lambda: len(script.forms) == 2, timeout=60)
    assert script.forms[0] == script.forms[1]
    assert script.forms[1]["id"] == "42"
    assert base64.b64decode(script.forms[1]["attachment0"]) == JPEG
    wrong = httpx.post(f"{gateway.url}/sandbox/push", data={"url": script.url, "from": "+61"}, trust_env=False)
    assert wrong.status_code == 400
    assert "MSISDN" in wrong.json()["error"]["message"]


def test_the_command_pushes_files_and_tells_each_attempt(script: Script, tmp_path: Path) -> None:
    script.answers = [(503, "busy")]
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(JPEG)
    result = CliRunner().invoke(app, ["sandbox", "push", script.url, str(photo), "-m", "Hi", "--from", "61400000000"])
    assert result.exit_code == 0, result.output
    assert "attempt 1: HTTP 503 busy" in result.stderr
    assert "attempt 2: OK" in result.stderr
    assert script.forms[1]["content_name0"] == "photo.jpg"
    assert script.forms[1]["content_type0"] == "image/jpeg"


def test_the_command_fails_when_the_script_never_says_ok(script: Script) -> None:
    script.answers = [(200, "no")]
    result = CliRunner().invoke(app, ["sandbox", "push", script.url, "--attempts", "1", "--json"])
    assert result.exit_code == 11
    told = json.loads(result.stdout)
    assert told["ok"] is False
    assert told["attempts"][0]["answer"] == "no"


def test_stopping_the_sandbox_ends_its_pushes(script: Script) -> None:
    """A push that waits for its next attempt does not hold the server open."""
    script.answers = [(200, "no")] * 20
    with Sandbox() as gateway:
        data = {"url": script.url, "from": "61400000009", "message": "hi"}
        httpx.post(f"{gateway.url}/sandbox/push", data=data, trust_env=False)
        with script.got_one:
            assert script.got_one.wait_for(lambda: script.forms, timeout=60)
    assert len(script.forms) < 5
