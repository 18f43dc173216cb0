"""What callers hand over becomes attachments, in their order."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import random
import subprocess
import sys
import threading
from collections import UserString
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mmsprep import Job, Prepared, forecast, inspect, pre_send, prepare, prepare_many, split
from mmsprep.errors import Empty, EmptyFolder, NotFound, OverInputLimit, Unreadable, UsageError
from mmsprep.pipeline.intake import AttachmentInput, take_in
from mmsprep.settings import Settings


def test_paths_bytes_and_file_objects_keep_their_order(tmp_path: Path, settings: Settings) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"abc")
    with path.open("rb") as file:
        taken, problems = take_in([str(path), path, b"12", ("b.gif", b"1"), io.BytesIO(b"xy"), file], settings)
    assert not problems
    assert [one.index for one in taken] == list(range(6))
    assert [one.size_bytes for one in taken] == [3, 3, 2, 1, 2, 3]
    assert [one.name for one in taken] == [
        str(path),
        str(path),
        "attachment 3",
        "b.gif",
        "attachment 5",
        str(path),
    ]


def test_a_folder_means_its_files_sorted_without_hidden_ones_and_subfolders(tmp_path: Path, settings: Settings) -> None:
    for name in ("b", "a", ".hidden"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "sub").mkdir()
    taken, problems = take_in([tmp_path], settings)
    assert not problems
    assert [Path(one.name).name for one in taken] == ["a", "b"]


@pytest.mark.posix("links and named pipes")
def test_each_kind_of_unusable_input_has_its_own_error(tmp_path: Path, settings: Settings) -> None:
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    inputs: list[AttachmentInput] = ["nowhere", tmp_path / "empty", tmp_path / "folder", tmp_path / "pipe", b"", "a\0b"]
    taken, problems = take_in(inputs, settings)
    assert not taken
    assert [type(problem) for problem in problems] == [
        NotFound,
        Empty,
        EmptyFolder,
        Unreadable,
        Empty,
        Unreadable,
    ]
    assert all(problem.name for problem in problems)


def test_a_file_over_the_input_limit_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(bytes(101))
    _, problems = take_in([tmp_path / "big"], Settings(max_input_bytes=100))
    assert isinstance(problems[0], OverInputLimit)
    assert "MMSPREP_MAX_INPUT_BYTES" in str(problems[0])


@pytest.mark.parametrize("wrong", [io.StringIO("text"), 7, None, {"a.jpg": b"1"}, ("a.jpg", 7), ("a", b"", 5), str])
def test_a_wrong_kind_of_value_is_a_usage_error(wrong: object, settings: Settings) -> None:
    with pytest.raises(UsageError):
        take_in([wrong], settings)  # type: ignore[list-item]


# One or many.
class Upload:
    """As Starlette's: what must be awaited, around a file."""

    def __init__(self, data: bytes, filename: str | None = "up.gif") -> None:
        self.file = io.BytesIO(data)
        self.filename = filename
        self.name = "field"

    async def read(self, size: int = -1) -> bytes:
        return self.file.read(size)


class Awaited:
    """An upload with nothing but ``await``."""

    async def read(self, size: int = -1) -> bytes:
        return b""


class Slow(io.RawIOBase):
    """A pipe: a few bytes at a time, however many are asked for; it remembers the most that was."""

    def __init__(self, data: bytes, step: int = 100) -> None:
        self._data, self._step, self.most = io.BytesIO(data), step, 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        self.most = max(self.most, size if size >= 0 else 1 << 62)
        return self._data.read(min(size, self._step) if size >= 0 else self._step)


def _entry(path: Path) -> os.DirEntry[str]:
    with os.scandir(path.parent) as entries:
        return next(entries)


_ONE: dict[str, Callable[[Path], Any]] = {
    "str": str,
    "Path": lambda path: path,
    "PathLike": _entry,
    "bytes": lambda path: path.read_bytes(),
    "bytearray": lambda path: bytearray(path.read_bytes()),
    "memoryview": lambda path: memoryview(path.read_bytes()),
    "BytesIO": lambda path: io.BytesIO(path.read_bytes()),
    "pipe": lambda path: Slow(path.read_bytes()),
    "named bytes": lambda path: ("up.gif", path.read_bytes()),
    "named bytearray": lambda path: ("up.gif", bytearray(path.read_bytes())),
    "named file": lambda path: ("up.gif", io.BytesIO(path.read_bytes())),
    "named with a type": lambda path: ("up.gif", path.read_bytes(), "image/gif"),
    "Starlette": lambda path: Upload(path.read_bytes()),
    "read already": lambda path: _at_its_end(io.BytesIO(path.read_bytes())),
    "upload read already": lambda path: _read_already(Upload(path.read_bytes())),
}


def _at_its_end(file: io.BytesIO) -> io.BytesIO:
    file.seek(0, os.SEEK_END)
    return file


def _read_already(upload: Upload) -> Upload:
    _at_its_end(upload.file)
    return upload


@pytest.fixture
def gif(tmp_path: Path) -> Path:
    """A small picture, alone in its folder."""
    path = tmp_path / "only" / "up.gif"
    path.parent.mkdir()
    Image.radial_gradient("L").resize((64, 48)).save(path)
    return path


@pytest.mark.parametrize("form", _ONE)
def test_one_attachment_is_one_at_every_door(form: str, gif: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path that is taken for a list of letters would take in "." for the working folder."""
    work = gif.parent.parent / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    (work / "payroll.txt").write_text("secret")
    make = _ONE[form]
    for value in (make(gif), [make(gif)], iter([make(gif)])):
        (part,) = prepare(value, profile="smsglobal").parts
        assert part.format == "gif" and part.source.size_bytes == gif.stat().st_size
    assert [one.error for one in inspect(make(gif))] == [None]
    (message,) = split(Job(attachments=make(gif)))
    assert message.parts[0].data == part.data
    assert len(forecast(Job(attachments=make(gif))).parts) == 1
    (outcome,) = prepare_many(Job(attachments=make(gif)), executor="serial")
    assert isinstance(outcome, Prepared) and outcome.message.sha256 == message.sha256
    alone = pre_send({"text": "", "attachments": make(gif)})["attachments"]
    (among,) = pre_send({"text": "", "attachments": [make(gif)]})["attachments"]
    assert type(alone) is type(among) and not isinstance(alone, list)


def test_a_tuple_of_paths_is_several_and_a_name_with_its_content_is_one(gif: Path) -> None:
    second = gif.with_name("b.gif")
    second.write_bytes(gif.read_bytes())
    assert len(inspect((str(gif), second))) == 2
    assert len(inspect((str(gif), second, gif))) == 3
    assert [one.name for one in inspect(("x.gif", gif.read_bytes()))] == ["x.gif"]
    job = Job(attachments=[str(gif), gif.read_bytes()])
    assert len(inspect(replace(job, text="x").attachments)) == 2, "a list stays several however often it is looked at"
    assert len(inspect(pickle.loads(pickle.dumps(job)).attachments)) == 2


def test_names_are_those_that_the_sender_gave(settings: Settings) -> None:
    taken, _ = take_in([Upload(b"1"), Upload(b"1", None), Upload(b"1", "")], settings)
    assert [one.name for one in taken] == ["up.gif", "field", "field"]


@pytest.mark.usefixtures("django")
def test_uploads_of_real_frameworks_are_taken(gif: Path) -> None:
    uploadedfile = pytest.importorskip("django.core.files.uploadedfile")
    datastructures = pytest.importorskip("werkzeug.datastructures")
    starlette = pytest.importorskip("starlette.datastructures")
    data = gif.read_bytes()
    temporary = uploadedfile.TemporaryUploadedFile("c.gif", "image/gif", len(data), None)
    temporary.write(data)  # it stands at its end now
    uploads: list[Any] = [
        uploadedfile.SimpleUploadedFile("a.gif", data),
        uploadedfile.InMemoryUploadedFile(io.BytesIO(data), "field", "b.gif", "image/gif", len(data), None),
        temporary,
        datastructures.FileStorage(io.BytesIO(data), "d.gif", name="field"),
        starlette.UploadFile(io.BytesIO(data), filename="e.gif"),
    ]
    found = inspect(uploads)
    assert [(one.name, one.size_bytes, one.error) for one in found] == [
        (f"{letter}.gif", len(data), None) for letter in "abcde"
    ]
    for upload in uploads:
        (only,) = inspect(upload)  # read already: set back
        assert only.error is None
    temporary.close()


# Reading.
def test_a_file_is_read_in_pieces_to_its_end_and_never_asked_for_more_than_it_may_have() -> None:
    pipe = Slow(bytes(range(256)) * 100)
    (attachment,), _ = take_in(pipe, Settings())
    assert attachment.data == bytes(range(256)) * 100
    assert pipe.most <= 1_000_000
    endless = Slow(bytes(5_000_000), step=70_000)
    _, problems = take_in(endless, Settings(max_input_bytes=1_500_000))
    assert isinstance(problems[0], OverInputLimit)
    assert endless._data.tell() <= 1_500_001


@pytest.mark.skipif(not hasattr(os, "pipe"), reason="no pipes here")
def test_a_raw_pipe_is_read_to_its_end() -> None:
    reader, writer = os.pipe()
    data = random.Random(1).randbytes(200_000)

    def feed() -> None:
        with os.fdopen(writer, "wb", buffering=0) as file:
            for start in range(0, len(data), 10_000):
                file.write(data[start : start + 10_000])

    thread = threading.Thread(target=feed)
    thread.start()
    with io.FileIO(reader) as file:
        (attachment,), _ = take_in(file, Settings())
    thread.join()
    assert attachment.data == data


def test_a_file_is_read_from_where_it_stands() -> None:
    file = io.BytesIO(b"header" + b"content")
    file.seek(6)
    (attachment,), _ = take_in([file], Settings())
    assert attachment.data == b"content"


def test_a_file_of_gzips_is_read_unpacked_and_nobody_is_warned(
    tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    """Its ``filename``, where other uploads have their name, warns whoever asks."""
    with gzip.open(tmp_path / "packed.gz", "wb") as file:
        file.write(b"content")
    with gzip.open(tmp_path / "packed.gz") as file:
        (attachment,), _ = take_in([file], Settings())
    assert (Path(attachment.name).name, attachment.data) == ("packed.gz", b"content")
    assert not recwarn.list


class _Failing(io.BytesIO):
    def __init__(self, error: Exception | None) -> None:
        super().__init__(b"x")
        self._error = error

    def read(self, size: int | None = -1, /) -> bytes:
        if self._error:
            raise self._error
        return None  # type: ignore[return-value]


@pytest.mark.parametrize(
    "file",
    [
        _Failing(OSError(5, "Input/output error")),
        _Failing(ConnectionResetError()),
        _Failing(ValueError("I/O operation on closed file")),
        _Failing(RuntimeError("the download broke off")),
        _Failing(EOFError()),
        _Failing(None),
        gzip.GzipFile(fileobj=io.BytesIO(b"no gzip at all")),
    ],
)
def test_a_file_whose_reading_fails_is_unreadable(file: Any, settings: Settings) -> None:
    _, problems = take_in([file, b"1"], settings)
    assert [(type(one), one.index) for one in problems] == [(Unreadable, 0)]


def test_what_must_be_awaited_and_what_is_text_is_told(settings: Settings) -> None:
    with pytest.raises(UsageError, match="await"):
        take_in(Awaited(), settings)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="'rb'"):
        take_in(("a.txt", io.StringIO("x")), settings)  # type: ignore[arg-type]


_LONG = "a" * 5000


@pytest.mark.parametrize(
    "path", [_LONG, f"{_LONG}/b", "a\0b", "a\0b/c", "\udcff\0", "x" * 300, "/dev/null/x", "", "\ud800"]
)
def test_a_path_that_no_file_can_have_is_an_error_about_it(path: str) -> None:
    for given in (path, Path(path), ("a.jpg", Path(path))):
        if isinstance(given, Path) and given == Path():
            continue  # the working folder
        message = prepare([given, b"sound"], on_error="skip")
        assert [(one.index, one.code in ("unreadable", "not_found")) for one in message.rejected] == [(0, True)]
    with pytest.raises((NotFound, Unreadable)):
        pre_send({"text": "x", "attachments": path})


@pytest.mark.skipif(not hasattr(os, "setuid") or os.getuid() != 0, reason="only root can become somebody else")
def test_a_path_below_a_locked_folder_is_unreadable(tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir()
    (locked / "a.jpg").write_bytes(b"x")
    (locked / "sub").mkdir()
    locked.chmod(0o700)
    for folder in (tmp_path, *list(tmp_path.parents)[:3]):
        folder.chmod(folder.stat().st_mode | 0o755) if "pytest" in str(folder) else None
    locked.chmod(0o700)
    code = (
        "import os, sys\nfrom mmsprep.pipeline.intake import take_in\nfrom mmsprep.settings import Settings\n"
        "os.setgid(65534); os.setuid(65534)\n"
        "print([type(one).__name__ for one in take_in(sys.argv[1:], Settings())[1]])"
    )
    paths = [str(locked), str(locked / "a.jpg"), str(locked / "sub"), str(locked / "none.jpg")]
    done = subprocess.run([sys.executable, "-c", code, *paths], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == str(["Unreadable"] * 4), done.stderr


# Types.
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("attachments", 7),
        ("attachments", None),
        ("attachments", [b"x", 7]),
        ("attachments", {"a.jpg": b""}),
        ("text", b"x"),
        ("text", None),
        ("subject", 7),
        ("profile", None),
        ("profile", b"smsglobal"),
        ("limit_bytes", "100k"),
        ("limit_bytes", True),
        ("limit_bytes", -1),
        ("limit_bytes", 0),
        ("limit_bytes", 1e5),
        ("on_error", "ignore"),
        ("on_error", None),
        ("on_error", ["skip"]),
        ("trim", "no"),
        ("poster", None),
        ("keep_names", 1),
        ("priorities", ["a"]),
        ("priorities", {"a": "2"}),
        ("priorities", {"a": 0}),
        ("priorities", {"a": float("nan")}),
        ("priorities", {"a": -1}),
        ("priorities", {1.5: 2}),
        ("settings", {"jobs": 1}),
        ("progress", 7),
    ],
)
def test_a_wrong_type_is_an_error_that_names_the_argument(name: str, value: Any) -> None:
    given: dict[str, Any] = {"attachments": [b"x"], name: value}
    with pytest.raises(UsageError, match=name):
        prepare(**given)
    if name not in ("settings", "progress"):
        with pytest.raises(UsageError, match=name):
            Job(**given)


def test_whole_numbers_and_late_translations_are_taken_for_what_they_are() -> None:
    class Number:
        def __index__(self) -> int:
            return 100_000

    message = prepare(text=UserString("Hello"), limit_bytes=Number())  # type: ignore[arg-type]
    assert (message.text, message.limit_bytes) == ("Hello", 100_000)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("phto.jpg", "there is no such file; is photo.jpg meant?"),
        ("PHOTO.JPG", "there is no such file; is photo.jpg meant?"),
        ("voice.ogg", "there is no such file"),
        ("away/photo.jpg", "there is no such file, nor a folder {folder}/away"),
        ("photo.jpg/photo.jpg", "there is no such file, nor a folder {folder}/photo.jpg"),
    ],
)
def test_a_file_that_is_not_there_is_told_with_the_one_that_may_be_meant(
    tmp_path: Path, given: str, words: str
) -> None:
    if (tmp_path / "photo.jpg").write_bytes(b"x") and (tmp_path / "PHOTO.JPG").exists():
        pytest.skip("case does not count here")
    _, (problem,) = take_in(tmp_path / given, Settings())
    assert (problem.code, problem.problem) == ("not_found", words.format(folder=tmp_path))
