"""Writing: by rename, whole or not at all, nobody else's file touched."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from mmsprep.errors import OutputError
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
