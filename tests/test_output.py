"""A message in a folder: written by rename, whole or not at all, nobody else's file touched; read back as it was."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from mmsprep import prepare, read_message
from mmsprep.errors import Altered, MmsprepError, NotFound, OutputError, Unreadable
from mmsprep.message import Message
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


def test_parts_and_report_are_written_and_hashes_agree(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "out"
    paths = _message(["01-a.jpg", "02-b.jpg"]).write(folder)
    assert [path.name for path in paths] == ["01-a.jpg", "02-b.jpg", "message.json"]
    report = json.loads((folder / "message.json").read_text("utf-8"))
    for part in report["parts"]:
        assert part["sha256"] == hashlib.sha256((folder / part["name"]).read_bytes()).hexdigest()
    assert sorted(path.name for path in folder.iterdir()) == ["01-a.jpg", "02-b.jpg", "message.json"]


def test_an_earlier_message_is_replaced_with_its_stale_parts(tmp_path: Path) -> None:
    _message(["01-a.jpg", "02-b.jpg"]).write(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    _message(["01-c.jpg"]).write(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["01-c.jpg", "message.json", "notes.txt"]


def test_somebody_elses_file_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "01-a.jpg").write_bytes(b"precious")
    with pytest.raises(OutputError, match="in the way"):
        _message(["01-a.jpg"]).write(tmp_path)
    assert (tmp_path / "01-a.jpg").read_bytes() == b"precious"
    assert [path.name for path in tmp_path.iterdir()] == ["01-a.jpg"]


def test_an_original_that_an_earlier_message_made_is_not_overwritten(tmp_path: Path) -> None:
    _message(["01-a.jpg"]).write(tmp_path)
    with pytest.raises(OutputError, match="original"):
        _message(["01-a.jpg"], source=str(tmp_path / "01-a.jpg")).write(tmp_path)
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
    report["parts"].append({"name": "../victim.txt"})
    (folder / "message.json").write_text(json.dumps(report))
    _message(["01-b.jpg"]).write(folder)
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


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": 1, "predicted": false}', "\udcff", '{"schema": 2}'])
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


def test_what_a_killed_run_left_is_cleared_away_and_nothing_else(tmp_path: Path) -> None:
    """Killed between its renames, a run leaves parts, and the report in its staging folder."""
    _message(["01-a.jpg", "02-b.jpg"]).write(tmp_path)
    staged = tmp_path / ".mmsprep-killed"
    staged.mkdir()
    (tmp_path / "message.json").rename(staged / "message.json")
    (tmp_path / "02-b.jpg").rename(staged / "02-b.jpg")
    _message(["01-a.jpg"]).write(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["01-a.jpg", "message.json"]

    staged.mkdir()
    (tmp_path / "message.json").rename(staged / "message.json")
    (tmp_path / "01-a.jpg").write_bytes(b"somebody else's")
    with pytest.raises(OutputError, match="in the way"):
        _message(["01-a.jpg"]).write(tmp_path)
    assert (tmp_path / "01-a.jpg").read_bytes() == b"somebody else's"
