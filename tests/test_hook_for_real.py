"""The hook in the programs that it is for: real Django, a Celery worker, FastAPI under a real server, pytest."""

from __future__ import annotations

import importlib
import io
import os
import subprocess
import sys
import tomllib
from email.mime.image import MIMEImage
from pathlib import Path
from typing import Any

import httpx
import phonenumbers
import pytest
from deadlines import serving

pytest.importorskip("starlette", reason="the extra mmsprep[sandbox] is not installed")

from PIL import Image

from mmsprep import pre_send
from mmsprep.errors import MmsprepError, UsageError
from mmsprep.sandbox import Sandbox
from mmsprep.testing import _mms_sandbox, mms_gateway

__all__ = ["_mms_sandbox", "mms_gateway"]
_ROOT = Path(__file__).parent.parent
_EXAMPLES = _ROOT / "docs" / "examples"
needs_examples = pytest.mark.skipif(not _EXAMPLES.is_dir(), reason="the documentation is not here")


def picture(kind: str = "WEBP") -> bytes:
    file = io.BytesIO()
    Image.linear_gradient("L").convert("RGB").save(file, kind)
    return file.getvalue()


def example(name: str) -> Any:
    sys.path.insert(0, str(_EXAMPLES))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(_EXAMPLES))


@pytest.fixture
def mail(django: Any) -> Any:
    from django.core.mail import EmailMessage
    from django.utils.translation import gettext_lazy

    mail = EmailMessage(gettext_lazy("Your order"), gettext_lazy("It is on its way"), to=["0409 317 436"])
    mail.attach("photo.webp", picture(), "image/webp")
    mail.attach("note.txt", "Grüße", "text/plain")
    mail.attach(MIMEImage(picture("PNG"), "png"))
    return mail


def test_a_mail_of_django_comes_back_ready_and_sendable(mail: Any) -> None:
    ready = pre_send(mail, country="AU")
    assert (ready.to, str(ready.subject), ready.body) == (["61409317436"], "Your order", "It is on its way")
    kinds = [kind for _, _, kind in ready.attachments]
    assert kinds[1] == "text/plain" and {kinds[0], kinds[2]} <= {"image/jpeg", "image/gif"}
    assert [type(content) for _, content, _ in ready.attachments] == [bytes, str, bytes]
    assert ready.attachments[1][1] == "Grüße"
    assert mail.to == ["0409 317 436"] and len(ready.message().get_payload()) == 4


def test_a_text_in_a_mail_is_never_taken_for_a_path(django: Any, tmp_path: Path) -> None:
    from django.core.mail import EmailMessage

    (tmp_path / "secret.txt").write_text("secret")
    for attachment in ((("a.txt", str(tmp_path / "secret.txt"), "text/plain")),):
        mail = EmailMessage("x", "y", to=["61409317436"], attachments=[attachment])
        assert pre_send(mail).attachments[0][1] == str(tmp_path / "secret.txt")


@needs_examples
def test_the_django_backend_sends_each_mail_once_to_each_recipient(
    mail: Any, mms_gateway: Sandbox, tmp_path: Path
) -> None:
    from django.conf import settings
    from django.core.mail import get_connection

    example("django_backend")
    settings.MMS_JOURNAL = str(tmp_path / "journal.db")
    sys.path.insert(0, str(_EXAMPLES))
    try:
        connection = get_connection("django_backend.MmsBackend")
        mail.cc = ["+61 400 000 001"]
        mail.extra_headers["X-MMS-Key"] = "order-1"
        assert connection.send_messages([mail]) == 1
        assert mms_gateway.numbers == ["61409317436", "61400000001"]
        assert mms_gateway.texts == ["It is on its way"] * 2
        assert all(receipt.message_id for receipt in mail.mms_status.values())
        assert connection.send_messages([mail]) == 1 and len(mms_gateway.accepted) == 2, "never twice"
        mail.extra_headers["X-MMS-Key"] = "order-2"
        mms_gateway.fault(2008, times=0)
        with pytest.raises(MmsprepError):
            connection.send_messages([mail])
        silent = get_connection("django_backend.MmsBackend", fail_silently=True)
        assert silent.send_messages([mail]) == 0
        assert {error.code for error in mail.mms_status.values()} == {"account_refused", "not_sent"}
    finally:
        sys.path.remove(str(_EXAMPLES))
        settings.MMS_JOURNAL = ""


@needs_examples
def test_a_celery_worker_sends_once(mms_gateway: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    celery = pytest.importorskip("celery")
    from celery.contrib.testing.worker import start_worker

    monkeypatch.setenv("MMS_JOURNAL", str(tmp_path / "journal.db"))
    (tmp_path / "photo.webp").write_bytes(picture())
    app = celery.Celery("shop", broker="memory://", backend="cache+memory://")
    app.set_default()
    tasks = example("celery_task")
    app.finalize()
    with start_worker(app, pool="solo", perform_ping_check=False, loglevel="ERROR"):
        order = (1, "0409317436", "Your order", [str(tmp_path / "photo.webp")])
        ids = {tasks.send_mms.apply_async(order).get(timeout=120) for _ in range(2)}
    assert ids == {mms_gateway.accepted[0].judgement.message_id}
    assert mms_gateway.texts == ["Your order"]


@needs_examples
def test_fastapi_under_a_real_server_sends_an_upload(mms_gateway: Sandbox) -> None:
    pytest.importorskip("fastapi")
    from mmsprep.receive.serve import listen, make_server

    server = make_server(example("fastapi_endpoint").app)
    with listen("127.0.0.1", 0) as listener, serving(server, listener):
        done = httpx.post(
            f"http://127.0.0.1:{listener.getsockname()[1]}/mms",
            data={"to": "0409 317 436", "text": "Hello"},
            files={"files": ("photo.webp", picture(), "image/webp")},
            timeout=120,
            trust_env=False,
        )
    assert done.status_code == 200, done.text
    assert done.json()["message_id"] == mms_gateway.accepted[0].judgement.message_id


class Order:
    """As a program of somebody's own: a method of a field's name, a number as phone libraries give it."""

    def __init__(self) -> None:
        self.to = phonenumbers.parse("+61409317436")
        self.body = "Hi"

    def message(self) -> str:
        return "a method is no text"

    @property
    def attachments(self) -> list[bytes]:
        return [picture()]


def test_phone_numbers_methods_and_read_only_fields() -> None:
    with pytest.raises(UsageError, match="attachments: cannot be set in an Order"):
        pre_send(Order())

    class Simple(Order):
        attachments: Any = ()

    ready = pre_send(Simple(), keep_plus=True)
    assert (str(ready.to), ready.body) == ("+61409317436", "Hi")
    assert pre_send(Simple()).to == "61409317436"


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("+61 409 317 436", "+61409317436"),
        ("61409317436", "61409317436"),
        ("tel:+61-409-317-436", "+61409317436"),
        (61409317436, "61409317436"),
        (["+61409317436", "61400000001"], ["+61409317436", "61400000001"]),
    ],
)
def test_a_plus_that_was_written_stays_where_it_is_asked_for(written: Any, kept: Any) -> None:
    assert pre_send({"to": written, "text": "x"}, keep_plus=True)["to"] == kept
    bare = pre_send({"to": written, "text": "x"})["to"]
    assert "+" not in "".join(bare)


# The pytest plugin.
def test_a_users_test_is_three_lines(tmp_path: Path) -> None:
    (tmp_path / "test_shop.py").write_text(
        "from mmsprep import prepare, send\n\n\n"
        "def test_an_order_is_told(mms_gateway):\n"
        "    send(prepare([], text='Your order'), to='61409317436')\n"
        "    assert mms_gateway.texts == ['Your order'] and mms_gateway.numbers == ['61409317436']\n\n\n"
        "def test_nothing_is_left_of_the_test_before(mms_gateway):\n"
        "    assert mms_gateway.accepted == ()\n"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("SMSGLOBAL", "PYTEST"))}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "mmsprep.testing", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(
        command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0 and "2 passed" in done.stdout, done.stdout + done.stderr


def test_pytest_finds_the_fixture_by_itself() -> None:
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["entry-points"]["pytest11"] == {"mmsprep.testing": "mmsprep.testing"}
