"""The hook: what a program is about to send comes back in the same shape, conforming."""

from __future__ import annotations

import asyncio
import copy
import importlib
import io
import subprocess
import sys
import tomllib
import warnings
from collections import UserDict, UserString
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path
from types import MappingProxyType, ModuleType, SimpleNamespace
from typing import Any, NamedTuple

import pytest
from grain import grain
from loopback import answers, gateway, http, succeeds

from mmsprep import MmsprepError, pre_send, pre_send_async
from mmsprep.errors import AddressError, EmptyFolder, NotFound, OutputError, UsageError
from mmsprep.hook import ReadyFile
from mmsprep.model import Attachment
from mmsprep.settings import Settings
from mmsprep.sniff import sniff
from mmsprep.tools.workspace import Workspace

_EXAMPLES = Path(__file__).parent.parent / "docs" / "examples"
needs_examples = pytest.mark.skipif(not _EXAMPLES.is_dir(), reason="the documentation is not beside the tests")


@pytest.fixture(scope="module")
def webp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture that becomes a JPEG."""
    path = tmp_path_factory.mktemp("pictures") / "photo.webp"
    grain((300, 200), 60).convert("RGB").save(path)
    return path


@pytest.fixture(scope="module")
def gif(sample_media: Path) -> Path:
    return sample_media / "formats/still.gif"


def format_of(data: bytes) -> str:
    with Workspace(Settings()) as workspace:
        return sniff(Attachment(0, "x", len(data), data=data), Settings(), workspace).format


@dataclass(frozen=True)
class Frozen:
    to: str
    text: str
    attachments: tuple[Any, ...] = ()
    priority: int = 7


class Tuple(NamedTuple):
    recipient: str
    message: str
    files: list[Any]


class Model:
    """As pydantic's models behave."""

    def __init__(self, **values: Any) -> None:
        self.__dict__.update(values)

    def model_copy(self, *, update: dict[str, Any]) -> Model:
        return Model(**{**self.__dict__, **update})


def outgoing_of(kind: str, attachment: Any) -> Any:
    shapes: dict[str, Callable[[], Any]] = {
        "dict": lambda: {"to": "+61 409 317 436", "text": "Hi", "attachments": [attachment], "id": 7},
        "userdict": lambda: UserDict(to="+61 409 317 436", body="Hi", attachments=[attachment]),
        "proxy": lambda: MappingProxyType({"number": "+61409317436", "message": "Hi", "files": [attachment]}),
        "dataclass": lambda: Frozen("+61 409 317 436", "Hi", (attachment,)),
        "namedtuple": lambda: Tuple("+61 409 317 436", "Hi", [attachment]),
        "model": lambda: Model(to="+61 409 317 436", text="Hi", attachments=[attachment]),
        "object": lambda: SimpleNamespace(to="+61 409 317 436", body="Hi", subject="S", attachments=[attachment]),
    }
    return shapes[kind]()


def values_of(outgoing: Any) -> dict[str, Any]:
    if isinstance(outgoing, (dict, UserDict, MappingProxyType)):
        return dict(outgoing)
    return outgoing._asdict() if isinstance(outgoing, Tuple) else dict(vars(outgoing))


@pytest.mark.parametrize("kind", ["dict", "userdict", "proxy", "dataclass", "namedtuple", "model", "object"])
def test_the_same_shape_comes_back_and_what_came_in_is_unchanged(kind: str, webp: Path) -> None:
    outgoing = outgoing_of(kind, webp.read_bytes())
    before = copy.copy(values_of(outgoing))
    ready = pre_send(outgoing)
    assert type(ready) is type(outgoing)
    assert values_of(outgoing) == before
    after = values_of(ready)
    assert after.keys() == before.keys()
    for name, value in after.items():
        if name in ("attachments", "files"):
            assert type(value) is type(before[name])
            assert [format_of(data) for data in value] == ["jpeg"]
        elif name in ("to", "number", "recipient"):
            assert value == "61409317436"
        else:
            assert value == before[name]


def test_each_attachment_comes_back_as_it_came_in_order(webp: Path, tmp_path: Path) -> None:
    data = webp.read_bytes()
    upload = SimpleNamespace(file=io.BytesIO(data), filename="a.webp")
    with webp.open("rb") as file:
        items = [webp, str(webp), data, bytearray(data), ("b.webp", data), ("c.webp", data, "image/webp"), file, upload]
        outgoing: dict[str, Any] = {"text": "", "attachments": items}
        ready = pre_send(outgoing, folder=tmp_path)
    path, text_path, plain, array, pair, triple, opened, uploaded = ready["attachments"]
    assert isinstance(path, Path) and isinstance(text_path, str) and isinstance(plain, bytes)
    assert isinstance(array, bytes) and isinstance(opened, ReadyFile) and isinstance(uploaded, ReadyFile)
    assert triple[2] == "image/jpeg" and opened.content_type == "image/jpeg"
    contents = [
        path.read_bytes(),
        Path(text_path).read_bytes(),
        plain,
        array,
        pair[1],
        triple[1],
        opened.read(),
        uploaded.read(),
    ]
    assert [format_of(content) for content in contents] == ["jpeg"] * 8
    assert path.is_relative_to(tmp_path) and path.suffix == ".jpg"
    assert sum(map(len, contents)) < 300_000


def test_a_path_that_conforms_stays_the_same_path(gif: Path, tmp_path: Path) -> None:
    outgoing = {"text": "x", "attachments": [str(gif)]}
    assert pre_send(outgoing, folder=tmp_path) == outgoing
    assert list(tmp_path.iterdir()) == []


def test_without_a_folder_files_are_gone_when_the_program_ends(webp: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom mmsprep import pre_send\n"
        "(path,) = pre_send({'text': '', 'attachments': [sys.argv[1]]})['attachments']\n"
        "assert Path(path).is_file()\nprint(path)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(webp)], capture_output=True, text=True, check=True)
    assert not Path(done.stdout.strip()).exists()


def test_several_recipients_and_other_field_names(webp: Path) -> None:
    outgoing: dict[str, Any] = {
        "phones": ("0409 317 436", "+61 400 000 000"),
        "note": "Hi",
        "media": [webp.read_bytes()],
        "to": "me",
    }
    names = {"recipient": "phones", "text": "note", "attachments": "media"}
    ready = pre_send(outgoing, fields=names, country="AU")
    assert ready["phones"] == ("61409317436", "61400000000")
    assert ready["to"] == "me" and format_of(ready["media"][0]) == "jpeg"


def test_a_field_that_no_message_has_is_said() -> None:
    with pytest.raises(UsageError, match="'colour' is unknown; expected recipient"):
        pre_send({"to": "61409317436", "text": "x"}, fields={"colour": "red"})


@pytest.mark.parametrize(
    ("outgoing", "error"),
    [
        ({"to": "0409317436", "text": "x"}, AddressError),
        ({"to": True, "text": "x"}, UsageError),
        ({"to": b"61409317436", "text": "x"}, UsageError),
        ({"to": "61409317436", "text": 5}, UsageError),
        ({"to": "61409317436"}, UsageError),
        ({"to": "61409317436", "text": "", "attachments": []}, UsageError),
        ({"text": "x", "attachments": ["/no/such/file"]}, NotFound),
        ({"text": "x", "attachments": [5]}, UsageError),
        ({"text": "x", "attachments": [io.StringIO("x")]}, UsageError),
        ({"text": "x", "attachments": [b"\x00\x01 nothing known"]}, MmsprepError),
        (object(), UsageError),
    ],
)
def test_what_cannot_go_is_an_error_of_ours(outgoing: object, error: type[Exception]) -> None:
    with pytest.raises(error):
        pre_send(outgoing)


class Mail:
    """As Django's EmailMessage: a method is called ``message``, and what it is to be sent to is a list."""

    def __init__(self) -> None:
        self.to, self.subject, self.body = ["+61 409 317 436"], UserString("Late"), UserString("Hi")
        self.attachments: list[Any] = []

    def message(self) -> str:
        return "rendered"


def test_a_method_is_no_field_and_a_late_translation_is_a_text() -> None:
    mail = Mail()
    ready: Any = pre_send(mail)
    assert (ready.to, ready.subject, ready.body) == (["61409317436"], "Late", "Hi")
    assert ready.message() == "rendered" and mail.to == ["+61 409 317 436"]


def test_a_field_that_cannot_be_set_is_said() -> None:
    class Fixed:
        text = property(lambda self: "Hi\x07")

    with pytest.raises(UsageError, match="text: cannot be set in a Fixed"):
        pre_send(Fixed())


def test_a_named_path_and_a_named_file_come_back_so(webp: Path, gif: Path, tmp_path: Path) -> None:
    given: list[Any] = [("a.webp", webp), ("b.webp", io.BytesIO(webp.read_bytes()), "image/webp"), ("c.gif", gif)]
    outgoing = {"text": "x", "attachments": iter(given)}
    first, second, third = pre_send(outgoing, folder=tmp_path)["attachments"]
    assert format_of(first[1].read_bytes()) == "jpeg" and format_of(second[1].read()) == "jpeg"
    assert second[2] == "image/jpeg" and third[1] == gif


def test_a_folder_is_not_an_attachment_and_an_unwritable_place_is_said(tmp_path: Path, webp: Path) -> None:
    with pytest.raises(UsageError, match="folder"):
        pre_send({"text": "x", "attachments": [tmp_path]})
    with pytest.raises(OutputError, match="cannot be written"):
        pre_send({"text": "x", "attachments": [webp]}, folder=tmp_path / "missing")
    with pytest.raises(UsageError, match="nothing"):
        pre_send({"text": "x"}, fields={"text": "nothing"})
    assert issubclass(EmptyFolder, MmsprepError)


def test_the_async_twin_does_the_same_beside_other_work(webp: Path) -> None:
    async def both() -> tuple[Any, Any]:
        outgoing = {"to": "61409317436", "text": "x", "attachments": [webp.read_bytes()]}
        first, second = await asyncio.gather(pre_send_async(outgoing), pre_send_async(outgoing))
        return first, second

    first, second = asyncio.run(both())
    assert first == second == pre_send({"to": "61409317436", "text": "x", "attachments": [webp.read_bytes()]})


def test_installed_programs_find_the_hook(sample_media: Path) -> None:
    project = tomllib.loads((sample_media.parent / "pyproject.toml").read_text("utf-8"))["project"]
    for group, hook in (("mms.pre_send", pre_send), ("mms.pre_send_async", pre_send_async)):
        ((name, value),) = project["entry-points"][group].items()
        assert EntryPoint(name, value, group).load() is hook


# The examples of the documentation.
@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMSGLOBAL_USERNAME", "ann")
    monkeypatch.setenv("SMSGLOBAL_PASSWORD", "hunter2")


def example(name: str) -> Iterator[ModuleType]:
    sys.path.insert(0, str(_EXAMPLES))
    try:
        yield importlib.import_module(name)
    finally:
        sys.path.remove(str(_EXAMPLES))


@needs_examples
@pytest.mark.usefixtures("account")
def test_the_plain_script_sends_what_conforms(
    monkeypatch: pytest.MonkeyPatch, webp: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for script in example("plain_script"):
        with gateway(succeeds()) as this:
            monkeypatch.setenv("SMSGLOBAL_URL", this.url)
            assert script.main("0409 317 436", "Hello", str(webp)) == 0
            assert script.main("0409 317 436", "Hello", "/no/such/file") == 3
    (request,) = this.requests
    assert (request.recipient, request.fields["type0"]) == ("61409317436", "image/jpeg")
    assert "1234567890123456" in capsys.readouterr().out


@needs_examples
@pytest.mark.usefixtures("account")
def test_the_celery_task_sends_once_and_is_retried_only_where_that_is_safe(
    monkeypatch: pytest.MonkeyPatch, webp: Path, tmp_path: Path
) -> None:
    celery = pytest.importorskip("celery")
    app = celery.Celery("shop", broker="memory://", backend="cache+memory://")
    app.conf.task_always_eager = True
    app.set_default()
    monkeypatch.setenv("MMS_JOURNAL", str(tmp_path / "journal.db"))
    monkeypatch.setenv("MMS_OUTBOX", str(tmp_path))
    for tasks in example("celery_task"):
        with gateway(succeeds(), answers(http("<html>"))) as this:
            monkeypatch.setenv("SMSGLOBAL_URL", this.url)
            order = (1, "0409317436", "Your order", [str(webp)])
            assert tasks.send_mms.delay(*order).get() == "1234567890123456"
            assert tasks.send_mms.delay(*order).get() == "1234567890123456"
            assert len(this.requests) == 1
            unknown = tasks.send_mms.delay(2, *order[1:])
            assert unknown.failed() and unknown.result.code == "send_outcome_unknown"
            assert len(this.requests) == 2
        payload = tasks.queue_mms.delay(*order[1:]).get()
        assert payload["to"] == "61409317436"
        assert format_of(Path(payload["attachments"][0]).read_bytes()) == "jpeg"


@needs_examples
@pytest.mark.usefixtures("account")
def test_the_fastapi_endpoint_sends_uploads(monkeypatch: pytest.MonkeyPatch, webp: Path) -> None:
    pytest.importorskip("fastapi")
    pytest.importorskip("python_multipart")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Starlette's, that its client will want another httpx one day
        from fastapi.testclient import TestClient

    for endpoint in example("fastapi_endpoint"):
        with gateway(succeeds(), answers(http("?"))) as this, TestClient(endpoint.app) as client:
            monkeypatch.setenv("SMSGLOBAL_URL", this.url)
            form = {"to": "0409 317 436", "text": "Hello"}
            files = [("files", ("photo.webp", webp.read_bytes(), "image/webp"))]
            done = client.post("/mms", data=form, files=files)
            assert (done.status_code, done.json()) == (200, {"message_id": "1234567890123456"})
            assert client.post("/mms", data=form, files=files).status_code == 502
            refused = client.post("/mms", data=form | {"to": "me"}, files=files)
            assert (refused.status_code, refused.json()["detail"]["code"]) == (422, "address")
    assert [request.fields["type0"] for request in this.requests] == ["image/jpeg"] * 2
