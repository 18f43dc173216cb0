"""What callers hand over becomes attachments, in their order."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

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


@pytest.mark.parametrize("wrong", [io.StringIO("text"), 7, None])
def test_a_wrong_kind_of_value_is_a_usage_error(wrong: object, settings: Settings) -> None:
    with pytest.raises(UsageError):
        take_in([wrong], settings)  # type: ignore[list-item]
