"""The sandbox pushes to the receiver as the gateway does: from Python, the command line and its page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from deadlines import serving
from sandbox_client import JPEG, NUMBER, fields, post_form
from typer.testing import CliRunner

from mmsprep.cli import app
from mmsprep.receive import create_app, open_store
from mmsprep.receive.serve import listen, make_server
from mmsprep.receive.store import Store
from mmsprep.sandbox import Persistence, Sandbox

SECRET = "/in/a-path-that-nobody-guesses"
_WAIT_MS = 60_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "inbox") as opened:
        yield opened


@pytest.fixture
def url(store: Store) -> Iterator[str]:
    """A receiver with a secret path."""
    server = make_server(create_app(store, secret=SECRET))
    with listen("127.0.0.1", 0) as listener, serving(server, listener):
        yield f"http://127.0.0.1:{listener.getsockname()[1]}{SECRET}"


@pytest.fixture(scope="module")
def gateway() -> Iterator[Sandbox]:
    with Sandbox() as running:
        yield running


def test_media_of_every_kind_arrives_bit_for_bit_and_is_named_for_what_it_is(
    gateway: Sandbox, store: Store, url: str, sample_media: Path
) -> None:
    names = (
        "photo.jpg",
        "animated.gif",
        "logo.wbmp",
        "note.amr",
        "legacy.3gp",
        "lakeside.imy",
        "latin-1.txt",
        "noise.qcp",
    )
    files = [(name, "application/octet-stream", (sample_media / "formats" / name).read_bytes()) for name in names]
    for _ in range(2):
        delivery = gateway.push(url, id="1234567890123456", subject="Für dich", message="a & b = c 🎉", files=files)
        assert delivery.ok
        assert len(delivery.attempts) == 1
    (found,) = store.messages()
    assert (found.id, found.sender) == ("1234567890123456", NUMBER)
    assert (found.subject, found.text) == ("Für dich", "a & b = c 🎉")
    assert [store.read(part) for part in found.parts] == [data for _, _, data in files]
    assert [part.format for part in found.parts] == ["jpeg", "gif", "wbmp", "amr", "3gp", "imelody", "text", "qcp"]
    assert [part.declared_name for part in found.parts] == list(names)


def test_what_cannot_be_stored_is_pushed_again_until_it_can(
    gateway: Sandbox, store: Store, url: str, tmp_path: Path
) -> None:
    staging = tmp_path / "inbox" / "attachments" / "staging"
    staging.rmdir()
    staging.touch()

    def repair(_pause_s: float) -> None:
        staging.unlink()
        staging.mkdir()

    from mmsprep.sandbox.push import HandsetMessage, PushedFile, push

    incoming = HandsetMessage(sender=NUMBER, id="7", message="hi", files=(PushedFile("a.jpg", "image/jpeg", JPEG),))
    delivery = push(incoming, url, persistence=Persistence(attempts=2), wait=repair)
    assert [attempt.http_status for attempt in delivery.attempts] == [503, 200]
    assert delivery.ok
    assert store.count() == 1


def test_the_command_pushes_and_the_inbox_has_it(store: Store, url: str, tmp_path: Path) -> None:
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(JPEG)
    done = CliRunner().invoke(app, ["sandbox", "push", url, str(photo), "-m", "Grüße", "--id", "42"])
    assert done.exit_code == 0, done.output
    found = store.find("42")
    assert found.text == "Grüße"
    assert store.read(found.parts[0]) == JPEG
    wrong = CliRunner().invoke(app, ["sandbox", "push", url.removesuffix(SECRET), "-m", "x", "--attempts", "1"])
    assert wrong.exit_code == 11
    assert store.count() == 1


def test_a_reply_written_on_the_page_in_a_browser_is_in_the_store(
    gateway: Sandbox, store: Store, url: str, chromium: Any
) -> None:
    gateway.clear()
    context = chromium.new_context()
    try:
        page = context.new_page()
        page.set_default_timeout(_WAIT_MS)
        page.goto(gateway.url)
        page.wait_for_selector("#live[data-state=on]")
        post_form(gateway, fields(message="How was it?"))
        page.wait_for_selector(".composer")
        page.fill(".composer [name=url]", url)
        page.fill(".composer [name=message]", "Lovely! <b>Grüße</b>")
        page.set_input_files(".composer [type=file]", [{"name": "../me.jpg", "mimeType": "image/jpeg", "buffer": JPEG}])
        page.click(".composer button")
        page.wait_for_selector(".reply.ok")
    finally:
        context.close()
    (found,) = store.messages()
    assert (found.sender, found.text) == (NUMBER, "Lovely! <b>Grüße</b>")
    assert store.read(found.parts[0]) == JPEG
    assert found.parts[0].name == "01-me.jpg"
