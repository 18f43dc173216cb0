"""A message in a folder: written by rename, whole or not at all, nobody else's file touched; read back as it was."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from deadlines import forked

from mmsprep import prepare, read_message
from mmsprep.errors import Altered, MmsprepError, NotFound, OutputError, Unreadable
from mmsprep.message import Message, write_messages
from mmsprep.model import Action, Kind, MediaInfo, Part, Support


def _message(names: list[str], source: str = "x") -> Message:
    parts = tuple(
        Part(
            name=name,
            format="jpeg",
            content_type="image/jpeg",
            kind=Kind.IMAGE,
            action=Action.KEEP,
            support=Support.GOOD,
            quality=100,
            size_bytes=4,
            source_name=source,
            source=MediaInfo(format="jpeg", kind=Kind.IMAGE, content_type="image/jpeg", size_bytes=4),
            data=b"data",
        )
        for name in names
    )
    return Message(profile="smsglobal", limit_bytes=300_000, parts=parts)


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_parts_and_report_are_written_and_hashes_agree(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "out"
    paths = _message(["01-a.jpg", "02-b.jpg"]).write(folder)
    assert [path.name for path in paths] == ["01-a.jpg", "02-b.jpg", "message.json"]
    report = json.loads((folder / "message.json").read_text("utf-8"))
    for part in report["parts"]:
        assert part["sha256"] == hashlib.sha256((folder / part["name"]).read_bytes()).hexdigest()
    assert sorted(path.name for path in folder.iterdir()) == ["01-a.jpg", "02-b.jpg", "message.json"]


def test_another_message_is_replaced_only_when_told_and_then_with_its_stale_parts(tmp_path: Path) -> None:
    _message(["01-a.jpg", "02-b.jpg"], source="holiday/beach.heic").write(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    before = _contents(tmp_path)
    with pytest.raises(OutputError, match=r"holds another message, made of holiday/beach\.heic.*--force"):
        _message(["01-c.jpg"]).write(tmp_path)
    assert _contents(tmp_path) == before
    _message(["01-c.jpg"]).write(tmp_path, overwrite=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["01-c.jpg", "message.json", "notes.txt"]
    assert read_message(tmp_path).parts[0].name == "01-c.jpg"


def test_the_same_message_is_written_again_unasked(tmp_path: Path) -> None:
    """The same command twice is no mistake; what its report says of it may have become more."""
    _message(["01-a.jpg"]).write(tmp_path)
    replace(_message(["01-a.jpg"]), warnings=("noticed now",)).write(tmp_path)
    assert read_message(tmp_path).warnings == ("noticed now",)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["01-a.jpg", "message.json"]


def test_a_message_that_somebody_has_edited_is_not_replaced_unasked(tmp_path: Path) -> None:
    _message(["01-a.jpg"]).write(tmp_path)
    (tmp_path / "01-a.jpg").write_bytes(b"edited")
    with pytest.raises(OutputError, match="changed since"):
        _message(["01-a.jpg"]).write(tmp_path)
    assert (tmp_path / "01-a.jpg").read_bytes() == b"edited"
    _message(["01-a.jpg"]).write(tmp_path, overwrite=True)
    assert read_message(tmp_path).parts[0].data == b"data"


def test_somebody_elses_file_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "01-a.jpg").write_bytes(b"precious")
    with pytest.raises(OutputError, match="in the way"):
        _message(["01-a.jpg"]).write(tmp_path)
    assert (tmp_path / "01-a.jpg").read_bytes() == b"precious"
    assert [path.name for path in tmp_path.iterdir()] == ["01-a.jpg"]


def test_an_original_that_an_earlier_message_made_is_not_overwritten(tmp_path: Path) -> None:
    _message(["01-a.jpg"]).write(tmp_path)
    with pytest.raises(OutputError, match="original"):
        _message(["01-a.jpg"], source=str(tmp_path / "01-a.jpg")).write(tmp_path, overwrite=True)
    assert (tmp_path / "message.json").exists()


def test_a_foreign_report_is_not_taken_for_a_message(tmp_path: Path) -> None:
    (tmp_path / "message.json").write_text('{"hello": 1}')
    with pytest.raises(OutputError, match="in the way"):
        _message(["01-a.jpg"]).write(tmp_path)


def test_a_report_that_names_files_outside_its_folder_deletes_nothing(tmp_path: Path) -> None:
    victim = tmp_path / "victim.txt"
    victim.write_text("precious")
    folder = tmp_path / "out"
    _message(["01-a.jpg"]).write(folder)
    report = json.loads((folder / "message.json").read_text("utf-8"))
    report["parts"].append(report["parts"][0] | {"name": "../victim.txt"})
    (folder / "message.json").write_text(json.dumps(report))
    _message(["01-b.jpg"]).write(folder, overwrite=True)
    assert victim.read_text() == "precious"


def test_a_folder_that_is_a_file_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(OutputError, match="cannot be written"):
        replace(_message(["01-a.jpg"])).write(tmp_path / "out")


def test_a_prepared_message_is_read_back_as_it_was(sample_media: Path, tmp_path: Path) -> None:
    files = [sample_media / "formats/photo.jpg", sample_media / "formats/note.amr", tmp_path / "missing.jpg"]
    message = prepare(files, text="Grüße\n😀", subject="Hi", on_error="skip")
    assert message.picture_limit_px == 1024
    message.write(tmp_path / "out")
    again = read_message(tmp_path / "out")
    assert again == message
    assert again.sha256 == message.sha256


def test_the_hash_of_a_message_is_of_what_the_recipient_gets() -> None:
    message = _message(["01-a.jpg", "02-b.jpg"])
    assert message.sha256 == replace(message, profile="other", warnings=("x",), limit_bytes=9_999).sha256
    assert message.sha256 != replace(message, text="x").sha256
    assert message.sha256 != replace(message, subject="x").sha256
    assert message.sha256 != replace(message, parts=message.parts[::-1]).sha256


@pytest.mark.parametrize(("key", "value"), [("text", "other"), ("subject", "other"), ("limit_bytes", 10)], ids=str)
def test_an_altered_report_is_refused(tmp_path: Path, key: str, value: object) -> None:
    _message(["01-a.jpg"]).write(tmp_path)
    report = json.loads((tmp_path / "message.json").read_text("utf-8"))
    (tmp_path / "message.json").write_text(json.dumps(report | {key: value}))
    with pytest.raises(Altered):
        read_message(tmp_path)


def test_an_altered_type_is_refused(tmp_path: Path) -> None:
    _message(["01-a.jpg"]).write(tmp_path)
    report = json.loads((tmp_path / "message.json").read_text("utf-8"))
    report["parts"][0]["content_type"] = "image/gif"
    (tmp_path / "message.json").write_text(json.dumps(report))
    with pytest.raises(Altered):
        read_message(tmp_path)


def test_an_altered_or_missing_part_is_refused_by_name(tmp_path: Path) -> None:
    _message(["01-a.jpg"]).write(tmp_path)
    (tmp_path / "01-a.jpg").write_bytes(b"DATA")
    with pytest.raises(Altered, match=r"01-a\.jpg"):
        read_message(tmp_path)
    (tmp_path / "01-a.jpg").unlink()
    with pytest.raises(NotFound, match=r"01-a\.jpg"):
        read_message(tmp_path)


def test_a_report_that_names_a_part_outside_its_folder_reads_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    _message(["01-a.jpg"]).write(folder)
    (tmp_path / "secret.jpg").write_bytes(b"data")
    text = (folder / "message.json").read_text("utf-8").replace('"01-a.jpg"', '"../secret.jpg"')
    (folder / "message.json").write_text(text)
    with pytest.raises(Altered, match="outside"):
        read_message(folder)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        pytest.param("[" * 200_000, id="nested"),
        '{"schema": 1, "predicted": false}',
        "\udcff",
        '{"schema": 2}',
    ],
)
def test_what_is_no_report_is_unreadable(tmp_path: Path, text: str) -> None:
    (tmp_path / "message.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(Unreadable):
        read_message(tmp_path)


def test_any_mangled_report_is_an_error_of_ours(tmp_path: Path) -> None:
    """Every value of the report replaced by others: nothing escapes but our errors."""
    _message(["01-a.jpg"]).write(tmp_path)
    report = json.loads((tmp_path / "message.json").read_text("utf-8"))
    for holder in (report, report["parts"][0], report["parts"][0]["source"]):
        for key, value in list(holder.items()):
            for other in (None, 7, "x", [], [None], {"a": 1}):
                holder[key] = other
                (tmp_path / "message.json").write_text(json.dumps(report))
                try:
                    read_message(tmp_path)
                except MmsprepError as error:
                    assert str(error)
            holder[key] = value


def test_a_folder_without_a_report_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"message\.json"):
        read_message(tmp_path)


def _interrupted(monkeypatch: pytest.MonkeyPatch, after: int, end: Callable[[], object]) -> list[str]:
    """Have ``end`` called in place of the rename number ``after``; the names of those that were made."""
    rename = Path.rename
    made: list[str] = []

    def renamed(path: Path, target: Path) -> Path:
        if len(made) == after:
            end()
        made.append(path.name)
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", renamed)
    return made


_RENAMES = 6
"""The report and two parts moved aside, two parts and the report moved in."""


@pytest.mark.parametrize("after", range(_RENAMES))
@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_whatever_goes_wrong_on_the_way_the_earlier_message_is_whole_again(
    tmp_path: Path, after: int, error: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file open in a viewer on Windows, a disk that goes away, Ctrl-C: and what the error says is true."""
    _message(["01-a.jpg", "02-b.jpg"]).write(tmp_path)
    before = _contents(tmp_path)

    def end() -> None:
        monkeypatch.undo()
        raise error("it broke")

    made = _interrupted(monkeypatch, after, end)
    with pytest.raises(OutputError if error is OSError else error) as caught:
        _message(["01-a.jpg", "03-c.jpg"]).write(tmp_path, overwrite=True)
    assert len(made) == after
    assert _contents(tmp_path) == before
    assert error is KeyboardInterrupt or "nothing was changed" in str(caught.value)


@pytest.mark.parametrize("after", range(_RENAMES + 1))
@pytest.mark.posix("fork")
def test_a_run_that_is_killed_on_the_way_is_undone_by_the_next_one(tmp_path: Path, after: int) -> None:
    """At no moment is there a message.json beside parts that are not its own."""
    _message(["01-a.jpg", "02-b.jpg"]).write(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")

    def killed_on_the_way() -> None:
        with pytest.MonkeyPatch.context() as patched:
            _interrupted(patched, after, lambda: os._exit(9))
            _message(["01-a.jpg", "03-c.jpg"]).write(tmp_path, overwrite=True)
        os._exit(9)

    assert forked(killed_on_the_way) == 9
    if (tmp_path / "message.json").exists():
        read_message(tmp_path)
    with pytest.raises(OutputError, match="another message"):
        _message(["09-z.jpg"]).write(tmp_path)
    names = ["01-a.jpg", "03-c.jpg"] if after == _RENAMES else ["01-a.jpg", "02-b.jpg"]
    assert [part.name for part in read_message(tmp_path).parts] == names
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*names, "message.json", "notes.txt"])


def test_a_folder_that_cannot_be_put_back_says_where_the_earlier_message_lies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _message(["01-a.jpg", "02-b.jpg"]).write(tmp_path)
    before = _contents(tmp_path)
    rename, made = Path.rename, []

    def renamed(path: Path, target: Path) -> Path:
        made.append(path.name)
        if len(made) > 2:
            raise OSError(5, "Input/output error")
        return rename(path, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", renamed)
        with pytest.raises(OutputError, match="could not be put back") as caught:
            _message(["01-c.jpg"]).write(tmp_path, overwrite=True)
    assert "nothing was changed" not in str(caught.value)
    with pytest.raises(OutputError, match="another message"):
        _message(["09-z.jpg"]).write(tmp_path)
    assert _contents(tmp_path) == before


def test_a_part_of_somebody_elses_under_a_killed_runs_name_is_left_alone(tmp_path: Path) -> None:
    staged = tmp_path / ".mmsprep-killed"
    (staged / "old").mkdir(parents=True)
    _message(["01-a.jpg"]).write(staged / "new")
    (staged / "new/01-a.jpg").unlink()
    (tmp_path / "01-a.jpg").write_bytes(b"somebody else's")
    with pytest.raises(OutputError, match="in the way"):
        _message(["01-a.jpg"]).write(tmp_path)
    assert (tmp_path / "01-a.jpg").read_bytes() == b"somebody else's"


def test_a_folder_in_a_parts_place_is_not_the_messages(tmp_path: Path) -> None:
    """Nor is it removed, nor does the message go by half."""
    _message(["01-a.jpg", "02-b.jpg"]).write(tmp_path)
    (tmp_path / "02-b.jpg").unlink()
    (tmp_path / "02-b.jpg").mkdir()
    (tmp_path / "02-b.jpg/precious").write_text("mine")
    with pytest.raises(OutputError, match="in the way"):
        _message(["01-a.jpg", "02-b.jpg"]).write(tmp_path, overwrite=True)
    assert (tmp_path / "01-a.jpg").exists()
    _message(["01-c.jpg"]).write(tmp_path, overwrite=True)
    assert _contents(tmp_path).keys() == {"01-c.jpg", "02-b.jpg/precious", "message.json"}


@pytest.mark.posix("links and named pipes")
def test_a_link_under_a_name_that_is_needed_is_somebody_elses(tmp_path: Path) -> None:
    (tmp_path / "01-a.jpg").symlink_to("nowhere")
    with pytest.raises(OutputError, match="in the way"):
        _message(["01-a.jpg"]).write(tmp_path)
    assert (tmp_path / "01-a.jpg").is_symlink()


@pytest.mark.parametrize("name", ["message.json", "01-a.jpg"])
@pytest.mark.parametrize("kind", ["link out", "link inside", "pipe", "device"])
@pytest.mark.posix("links and named pipes")
def test_a_prepared_message_with_a_link_or_a_pipe_in_it_is_not_read(tmp_path: Path, name: str, kind: str) -> None:
    """Whoever packed the folder may have laid it; what it leads to would be sent."""
    folder = tmp_path / "mms"
    _message(["01-a.jpg"]).write(folder)
    kept = (tmp_path if kind == "link out" else folder) / "kept"
    (folder / name).rename(kept)
    if kind == "pipe":
        os.mkfifo(folder / name)
    else:
        (folder / name).symlink_to("/dev/zero" if kind == "device" else kept)
    with pytest.raises(Unreadable, match="not a regular file" if kind == "pipe" else "symbolic link"):
        read_message(folder)
    with pytest.raises(OutputError):
        _message(["01-a.jpg"]).write(folder)
    (tmp_path / "link").symlink_to("mms")
    if kind == "link inside":
        (folder / name).unlink()
        kept.rename(folder / name)
        assert read_message(tmp_path / "link").parts


def test_a_report_that_promises_a_huge_part_reads_nothing_of_it(tmp_path: Path) -> None:
    _message(["01-a.jpg"]).write(tmp_path)
    with (tmp_path / "01-a.jpg").open("r+b") as file:
        file.truncate(1 << 40)
    report = json.loads((tmp_path / "message.json").read_text("utf-8"))
    report["parts"][0]["size_bytes"] = report["limit_bytes"] = 1 << 40
    (tmp_path / "message.json").write_text(json.dumps(report))
    with pytest.raises(Altered):
        read_message(tmp_path)


def test_several_messages_are_written_all_or_none(tmp_path: Path) -> None:
    first, second, third = (_message([f"01-{name}.jpg"]) for name in "abc")
    assert write_messages([first, second, third], tmp_path) == [tmp_path / "1", tmp_path / "2", tmp_path / "3"]
    write_messages([first, second, third], tmp_path)
    before = _contents(tmp_path)
    for changed in ([first, second, second], [third, second, third], [first, second]):
        with pytest.raises(OutputError):
            write_messages(changed, tmp_path)
        assert _contents(tmp_path) == before
    with pytest.raises(OutputError, match="another set"):
        write_messages([first, second], tmp_path, overwrite=True)
    write_messages([third, second, first], tmp_path, overwrite=True)
    assert read_message(tmp_path / "1").parts[0].name == "01-c.jpg"
    first.write(tmp_path / "single")
    with pytest.raises(OutputError, match="another set"):
        write_messages([first, second], tmp_path / "single", overwrite=True)
