"""The pure parts of a batch: names, order, manifests."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path, PurePosixPath

import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from mmsprep.batch.flow import Flow, in_order
from mmsprep.batch.listing import list_manifest
from mmsprep.batch.naming import output_stems
from mmsprep.batch.storage import LocalStorage, check_apart
from mmsprep.errors import NotFound, UsageError

_NAMES = st.lists(
    st.builds(
        lambda stem, ends: stem + ends,
        st.sampled_from(["a", "A", "b", "a.jpg", "é", "e\u0301", "a~2"]),
        st.sampled_from(["", ".jpg", ".JPG", ".png", ".jpg.jpg", ".tar.gz"]),
    ),
    unique=True,
    max_size=12,
)


@given(_NAMES, st.lists(st.sampled_from(["a.jpg", "A.mp3", "sub", "a.jpg.jpg"]), unique=True))
def test_no_two_results_meet_even_where_case_and_unicode_form_do_not_count(
    names: list[str], folders: list[str]
) -> None:
    import unicodedata

    def seen(name: str) -> str:
        return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())

    stems = output_stems(names, folders)
    assert stems.keys() == set(names)
    assert len({seen(stem) for stem in stems.values()}) == len(names)
    for extension in (".jpg", ".mp3"):
        assert not {seen(stem + extension) for stem in stems.values()} & {seen(folder) for folder in folders}


@given(_NAMES, st.randoms())
def test_names_do_not_depend_on_the_order_of_the_listing(names: list[str], chance: random.Random) -> None:
    shuffled = list(names)
    chance.shuffle(shuffled)
    assert output_stems(names) == output_stems(shuffled)


def test_a_stem_is_kept_and_a_clash_keeps_both_whole_names() -> None:
    assert output_stems(["a.png", "a.jpg", "b.heic"]) == {"a.png": "a.png", "a.jpg": "a.jpg", "b.heic": "b"}
    assert output_stems(["a.png", "b.png"], ["a.jpg"]) == {"a.png": "a.png", "b.png": "b"}
    assert output_stems(["a.png", "A.PNG"]) == {"A.PNG": "A.PNG", "a.png": "a.png~2"}


@examples(50)
@given(st.lists(st.integers(0, 3), max_size=40), st.integers(1, 5), st.integers(1, 9), st.randoms())
def test_results_come_in_order_and_no_more_is_begun_than_allowed(
    steps: list[int], at_once: int, ahead: int, chance: random.Random
) -> None:
    waiting = most = begun = 0

    def flow(index: int, pool: ThreadPoolExecutor) -> Flow[int]:
        nonlocal waiting, most
        for _ in range(steps[index]):
            waiting += 1
            most = max(most, waiting)
            yield pool.submit(time.sleep, chance.random() / 1000)
            waiting -= 1
        return index

    def flows(pool: ThreadPoolExecutor) -> Iterator[Flow[int]]:
        nonlocal begun
        for index in range(len(steps)):
            begun += 1
            yield flow(index, pool)

    with ThreadPoolExecutor(4) as pool:
        for received, result in enumerate(in_order(flows(pool), at_once=at_once, ahead=ahead)):
            assert result == received
            assert begun - received <= ahead
    assert begun == len(steps)
    assert most <= at_once


def test_what_a_flow_raises_ends_the_line_and_closes_the_others() -> None:
    closed = []
    waited: Future[None] = Future()

    def patient() -> Flow[int]:
        try:
            yield waited
        finally:
            closed.append(True)
        return 1

    def hasty() -> Flow[int]:
        raise ValueError
        yield waited

    with pytest.raises(ValueError):
        list(in_order(iter([patient(), hasty()]), at_once=4, ahead=4))
    assert closed
    assert waited.cancelled()


def _manifest(tmp_path: Path, name: str, text: str) -> list[tuple[str, list[str], str | None]]:
    (tmp_path / "in" / "sub").mkdir(parents=True, exist_ok=True)
    for file in ("a.jpg", "sub/b.jpg"):
        (tmp_path / "in" / file).write_bytes(b"x")
    path = tmp_path / name
    path.write_text(text, "utf-8")
    items = list_manifest(path, LocalStorage(str(tmp_path / "in")))
    return [(item.id, [given.name for given in item.inputs], item.error.code if item.error else None) for item in items]


def test_csv_and_json_lines_say_the_same(tmp_path: Path) -> None:
    expected = [("one", ["a.jpg", "sub/b.jpg"], None), ("two/x", [], None)]
    csv_text = "\ufeffid,files,text,subject,to\none,a.jpg; sub/b.jpg,Hello,,61400000000\ntwo/x,,Only text,S,\n"
    assert _manifest(tmp_path, "m.csv", csv_text) == expected
    assert _manifest(tmp_path, "semicolons.csv", csv_text.replace(",", "\t")) == expected
    lines = '{"id": "one", "files": ["a.jpg", "sub/b.jpg"]}\n\n{"id": "two/x", "text": "Only text"}\n'
    assert _manifest(tmp_path, "m.jsonl", lines) == expected


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ('{"id": "x", "files": ["none.jpg"]}', "not_found"),
        ('{"id": "../x", "files": []}', "usage"),
        ('{"id": "/x", "files": []}', "usage"),
        ('{"id": ".x", "files": []}', "usage"),
        ('{"id": "", "text": "t"}', "usage"),
        ('{"id": "OK", "text": "t"}', "usage"),
        ('{"id": "x", "files": 5}', "usage"),
        ('{"id": "x", "text": 5}', "usage"),
        ('{"id": "x", "flies": []}', "usage"),
        ("{nonsense", "usage"),
        ("[1]", "usage"),
    ],
)
def test_a_row_that_makes_no_sense_is_an_error_of_its_own(tmp_path: Path, line: str, code: str) -> None:
    rows = _manifest(tmp_path, "m.jsonl", f'{{"id": "ok", "text": "t"}}\n{line}\n{{"id": "last", "text": "t"}}\n')
    assert [row[2] for row in rows] == [None, code, None]


def test_a_manifest_that_is_none_says_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="id"):
        _manifest(tmp_path, "m.csv", "name,picture\na,b\n")
    (row,) = _manifest(tmp_path, "m.csv", "id,files,text\n,,\nx,,Hi\n,,\n")
    assert row[2] is None
    with pytest.raises(NotFound):
        list(list_manifest(tmp_path / "none.csv", LocalStorage(str(tmp_path))))


@pytest.mark.posix("links and named pipes")
def test_locations_that_would_feed_on_each_other_are_refused(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    source = str(tmp_path / "in")
    assert check_apart(source, str(tmp_path / "in2")) == ""
    assert check_apart(source, str(tmp_path / "in" / "x" / "out")) == "x/out"
    for target in (source, f"{source}/", str(tmp_path / "in" / ".." / "in"), str(tmp_path)):
        with pytest.raises(UsageError):
            check_apart(source, target)
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "in")
    with pytest.raises(UsageError):
        check_apart(source, str(link))
    assert check_apart("s3://b/in", "s3://b/in/out") == "out"
    with pytest.raises(UsageError):
        check_apart("s3://b/in/deep", "s3://b/in")
    assert PurePosixPath(check_apart("s3://b/in", "s3://b/in2")) == PurePosixPath("")
