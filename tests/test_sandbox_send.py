"""Our own sender and prepared messages against the sandbox: what is built there is judged here, by other code."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from deadlines import serving

pytest.importorskip("starlette", reason="the extra mmsprep[sandbox] is not installed")

from mmsprep import prepare
from mmsprep.errors import AccountRefused, ContentRefused, GatewayBusy, SendOutcomeUnknown, SendRejected
from mmsprep.message import Message
from mmsprep.sandbox import Sandbox
from mmsprep.sender import Account, Patience, send, send_async
from mmsprep.sender.account import sandbox_account

NUMBER = "61409317436"
AT_ONCE = Patience(attempts=1)


@pytest.fixture(scope="module")
def message(sample_media: Path) -> Message:
    names = ("logo.png", "note.txt", "ringtone.mid", "PTT-20260613-WA0003.ogg")
    files = [sample_media / "message" / name for name in names]
    return prepare(files, text="Grüße vom See", subject="Für dich & mich", limit_bytes=100_000)


@pytest.mark.parametrize("via", ["http", "mm7"])
def test_a_prepared_message_arrives_bit_for_bit(gateway: Sandbox, message: Message, via: str) -> None:
    receipt = send(message, to=NUMBER, account=sandbox_account(gateway.url), via=via)
    (exchange,) = gateway.accepted
    assert exchange.judgement.message_id == receipt.message_id
    submission = exchange.judgement.submission
    assert submission is not None
    assert (submission.number, submission.subject) == (NUMBER, "Für dich & mich")
    content = submission.content
    arrived = {part.name: gateway.part_data(exchange, place) for place, part in enumerate(content.parts)}
    assert arrived == {part.name: part.data for part in message.parts} | {"text.txt": "Grüße vom See".encode()}
    assert content.remarks == ()


def test_both_doors_count_what_prepare_counted(gateway: Sandbox, message: Message) -> None:
    for via in ("http", "mm7"):
        send(message, to=NUMBER, account=sandbox_account(gateway.url), via=via)
    for exchange in gateway.accepted:
        assert exchange.judgement.submission is not None
        assert abs(exchange.judgement.submission.content.total_bytes - message.total_bytes) < 40


@pytest.mark.parametrize("via", ["http", "mm7"])
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("2004", ContentRefused),
        ("2002", SendRejected),
        ("4007", AccountRefused),
        ("4006", GatewayBusy),
        ("503", SendOutcomeUnknown),
        ("401", AccountRefused),
        ("drop-before-reply", SendOutcomeUnknown),
        ("drop-mid-reply", SendOutcomeUnknown),
        ("drop-before-body", SendOutcomeUnknown),
        ("garbage", SendOutcomeUnknown),
        ("html", SendOutcomeUnknown),
        ("500", SendOutcomeUnknown),
    ],
)
def test_the_sender_tells_the_faults_apart(
    gateway: Sandbox, message: Message, via: str, fault: str, error: type[Exception]
) -> None:
    gateway.fault(fault)
    with pytest.raises(error):
        send(message, to=NUMBER, account=sandbox_account(gateway.url), via=via, patience=AT_ONCE)
    assert len(gateway.exchanges) == 1


@pytest.mark.parametrize("via", ["http", "mm7"])
def test_wrong_credentials_are_refused(gateway: Sandbox, message: Message, via: str) -> None:
    account = Account("sandbox", "wrong", url=gateway.url)
    with pytest.raises(AccountRefused):
        asyncio.run(send_async(message, to=NUMBER, account=account, via=via))


def test_what_the_handset_replies_is_received_and_stored(gateway: Sandbox, tmp_path: Path, sample_media: Path) -> None:
    """The sandbox's push against our own receiver."""
    pytest.importorskip("sqlalchemy", reason="the extra mmsprep[receive] is not installed")
    from mmsprep.receive import create_app, open_store
    from mmsprep.receive.serve import listen, make_server

    photo = (sample_media / "formats" / "photo.jpg").read_bytes()
    with open_store(tmp_path / "inbox") as store, listen("127.0.0.1", 0) as listener:
        server = make_server(create_app(store, secret="/a-path-that-nobody-guesses"))
        with serving(server, listener):
            url = f"http://127.0.0.1:{listener.getsockname()[1]}/a-path-that-nobody-guesses"
            files = [("photo.jpg", "image/jpeg", photo)]
            delivery = gateway.push(url, sender=NUMBER, subject="Für dich", message="a & b", files=files)
        assert delivery.ok, delivery.attempts
        (stored,) = store.messages()
    assert (stored.sender, stored.subject, stored.text) == (NUMBER, "Für dich", "a & b")
    assert stored.id == delivery.pushed.id
    assert [part.size_bytes for part in stored.parts] == [len(photo)]
