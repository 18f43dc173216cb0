"""Trees, folders and manifests: what is made, what is left alone, what a second run does."""

from __future__ import annotations

import hashlib
import io
import os
import random
from collections import Counter
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from grain import grain
from PIL import Image
from typer.testing import CliRunner

from mmsprep import Job, read_message
from mmsprep.batch import Batch, ItemOutcome, Status, run_batch
from mmsprep.batch.foresee import foresee
from mmsprep.batch.ledger import open_ledger
from mmsprep.batch.listing import InputFile
from mmsprep.batch.outcome import outcome_document
from mmsprep.batch.storage import LocalStorage
from mmsprep.batch.work import Assignment, Recipe, make, versions_here
from mmsprep.cli import app
from mmsprep.errors import LedgerError, NotFound, Unreadable, UsageError
from mmsprep.model import Part, Span
from mmsprep.profile import Profile
from mmsprep.settings import Settings


def picture(seed: int, kind: str = "PNG", size: tuple[int, int] = (200, 150)) -> bytes:
    """A small picture of noise."""
    noise = Image.frombytes("RGB", (20, 15), random.Random(seed).randbytes(900))
    out = io.BytesIO()
    noise.resize(size, Image.Resampling.BICUBIC).save(out, kind)
    return out.getvalue()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A folder with subfolders, a clash, a hidden file and a bad one; all at rest for an hour."""
    root = tmp_path / "in"
    files = {
        "a.png": picture(1),
        "a.bmp": picture(2, "BMP"),
        "note.txt": b"Hello\n",
        "sub/b.png": picture(3),
        "sub/deep/c.png": picture(4),
        "sub/bad.jpg": b"\xff\xd8\xff\xe0 no picture",
        ".hidden.png": picture(5),
    }
    for name, data in files.items():
        put(root / name, data)
    return root


def put(path: Path, data: bytes) -> None:
    """Write a file as of an hour ago, so that its date can be trusted."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    hour_ago_s = path.stat().st_mtime - 3600
    os.utime(path, (hour_ago_s, hour_ago_s))


def run(source: Path, target: Path, **options: Any) -> list[ItemOutcome]:
    """A run in this process."""
    executor = options.pop("executor", "serial")
    worker_count = options.pop("worker_count", None)
    batch = Batch(source=str(source), target=str(target), **options)
    return list(run_batch(batch, executor=executor, worker_count=worker_count))


def contents(folder: Path) -> dict[str, bytes]:
    """Every visible file below a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".mmsprep" not in path.parts
    }


def statuses(outcomes: list[ItemOutcome]) -> dict[str, str]:
    """Item to status."""
    return {outcome.id: outcome.status.value for outcome in outcomes}


def test_a_tree_keeps_its_shape_and_names_and_one_bad_file_stops_nothing(tree: Path, tmp_path: Path) -> None:
    before = contents(tree)
    outcomes = run(tree, tmp_path / "out")
    assert [outcome.id for outcome in outcomes] == [
        "a.bmp", "a.png", "note.txt", "sub/b.png", "sub/bad.jpg", "sub/deep/c.png",
    ]  # fmt: skip
    assert [outcome.index for outcome in outcomes] == list(range(6))
    made = contents(tmp_path / "out")
    assert set(made) == {"a.png.jpg", "a.bmp.jpg", "note.txt", "sub/b.jpg", "sub/deep/c.jpg"}
    for name, data in made.items():
        if name.endswith(".jpg"):
            assert Image.open(io.BytesIO(data)).format == "JPEG"
    failed = [outcome for outcome in outcomes if outcome.status is Status.FAILED]
    assert [(outcome.id, outcome.error.code) for outcome in failed if outcome.error] == [("sub/bad.jpg", "damaged")]
    assert contents(tree) == before


@pytest.mark.parametrize("each", ["file", "folder"])
def test_what_other_programs_keep_beside_media_is_left_out(tmp_path: Path, each: str) -> None:
    source, photo = tmp_path / "in", picture(1, "JPEG")
    kept = {"IMG_1.jpg", "lone.thm", "notes.json", "IMG_2.jpg", "other.jpg.json"}
    beside = {
        *("Thumbs.db", "desktop.ini", ".DS_Store", "IMG_1.xmp", "IMG_1.jpg.xmp", "IMG_1.AAE", "img_2.THM"),
        *("IMG_1.jpg.json", "IMG_1.jpg.supplemental-metadata.json", "IMG_2.jpg.suppl.json"),
    }
    for name in (*kept, *beside):
        put(source / name, photo if name.lower().endswith((".jpg", ".thm")) else b'{"title": 1}')
    outcomes = run(source, tmp_path / "out", each=each)
    assert not [outcome.error for outcome in outcomes if outcome.error]
    if each == "file":
        assert {outcome.id for outcome in outcomes} == kept
    else:
        (outcome,) = outcomes
        assert outcome.made and len(outcome.made.outputs) == len(kept) + 1


def test_a_second_run_does_only_what_is_missing_or_changed(tree: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(tree, out)
    first = contents(out)
    again = statuses(run(tree, out))
    assert Counter(again.values()) == {"unchanged": 5, "failed": 1}
    (out / "sub" / "b.jpg").unlink()
    (out / "note.txt").write_bytes(b"somebody wrote here")
    put(tree / "a.png", picture(6))
    (tree / "sub" / "deep" / "c.png").touch()
    put(tree / "sub" / "bad.jpg", picture(7, "JPEG"))
    outcomes = statuses(run(tree, out))
    assert outcomes == {
        "a.bmp": "unchanged",
        "a.png": "prepared",
        "note.txt": "prepared",
        "sub/b.png": "prepared",
        "sub/bad.jpg": "prepared",
        "sub/deep/c.png": "unchanged",
    }
    second = contents(out)
    assert {name for name in first if first[name] != second[name]} == {"a.png.jpg"}
    assert set(second) - set(first) == {"sub/bad.jpg"}


def test_another_limit_profile_or_setting_makes_everything_again(tree: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(tree, out)
    counts = [
        Counter(statuses(run(tree, out, **options)).values())
        for options in ({"limit_bytes": 20_000}, {"profile": "image-rich"}, {"trim": True}, {"trim": True})
    ]
    assert [count["prepared"] for count in counts] == [5, 5, 5, 0]
    recipe = _recipe(tmp_path)
    other = replace(recipe, settings=replace(recipe.settings, max_pixels=5))
    same = replace(recipe, settings=replace(recipe.settings, jobs=5))
    assert recipe.fingerprint == same.fingerprint != other.fingerprint
    assert replace(recipe, versions="others").fingerprint != recipe.fingerprint


def _recipe(tmp_path: Path) -> Recipe:
    from mmsprep.profile import load_profile

    settings = Settings()
    return Recipe(
        source=str(tmp_path / "in"),
        target=str(tmp_path / "out"),
        profile=load_profile("smsglobal"),
        settings=settings,
        versions=versions_here(settings),
        job=Batch(source="", target="").job,
    )


def test_an_unchanged_date_size_and_inode_is_believed_without_reading_the_file(tree: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(tree, out)
    path = tree / "note.txt"
    status = path.stat()
    path.write_bytes(b"Hullo\n")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert statuses(run(tree, out))["note.txt"] == "unchanged"


def test_a_date_too_fresh_to_be_trusted_is_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "in" / "note.txt"
    path.parent.mkdir()
    path.write_bytes(b"Hello\n")
    status = path.stat()
    run(tmp_path / "in", tmp_path / "out")
    path.write_bytes(b"Hullo\n")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert statuses(run(tmp_path / "in", tmp_path / "out")) == {"note.txt": "prepared"}
    assert (tmp_path / "out" / "note.txt").read_bytes().startswith(b"Hullo")


def test_no_resume_makes_everything_again_with_the_same_bytes(tree: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(tree, out)
    first = contents(out)
    assert Counter(statuses(run(tree, out, resume=False)).values()) == {"prepared": 5, "failed": 1}
    assert contents(out) == first


def test_identical_inputs_are_encoded_once(tmp_path: Path) -> None:
    data = picture(8)
    for name in ("one.png", "two.png", "far/away/three.png", "named-otherwise.jpg"):
        put(tmp_path / "in" / name, data)
    out = tmp_path / "out"
    outcomes = run(tmp_path / "in", out)
    assert Counter(outcome.status for outcome in outcomes) == {Status.PREPARED: 1, Status.COPIED: 3}
    assert len(set(contents(out).values())) == 1
    assert set(contents(out)) == {"one.jpg", "two.jpg", "named-otherwise.jpg", "far/away/three.jpg"}
    put(tmp_path / "in" / "four.png", data)
    (out / "one.jpg").write_bytes(b"no longer what it was")
    again = statuses(run(tmp_path / "in", out))
    assert again["four.png"] == again["one.png"] == "copied"
    assert len(set(contents(out).values())) == 1


def test_what_others_put_into_the_output_is_left_alone(tree: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    put(out / "sub" / "b.jpg", b"mine")
    put(out / "sub" / "b.txt", b"mine too")
    outcomes = {outcome.id: outcome for outcome in run(tree, out)}
    error = outcomes["sub/b.png"].error
    assert error
    assert error.code == "output"
    assert "sub/b.jpg" in str(error)
    assert (out / "sub" / "b.jpg").read_bytes() == b"mine"
    (out / "sub" / "b.jpg").unlink()
    assert statuses(run(tree, out))["sub/b.png"] == "prepared"
    assert (out / "sub" / "b.txt").read_bytes() == b"mine too"


def test_a_lost_ledger_costs_time_and_nothing_else(tree: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(tree, out)
    first = contents(out)
    (out / ".mmsprep" / "ledger.sqlite").write_bytes(b"no database at all, " * 100)
    with pytest.raises(LedgerError, match="delete"):
        run(tree, out)
    (out / ".mmsprep" / "ledger.sqlite").unlink()
    assert Counter(statuses(run(tree, out)).values()) == {"prepared": 5, "failed": 1}
    assert contents(out) == first


def test_a_new_neighbour_renames_a_result_and_takes_the_old_name_away(tmp_path: Path) -> None:
    put(tmp_path / "in" / "a.png", picture(9))
    put(tmp_path / "in" / "b.png", picture(10))
    out = tmp_path / "out"
    run(tmp_path / "in", out)
    assert set(contents(out)) == {"a.jpg", "b.jpg"}
    (out / "b.jpg").write_bytes(b"edited by hand")
    put(tmp_path / "in" / "a.jpg", picture(11, "JPEG"))
    put(tmp_path / "in" / "b.gif", picture(12, "GIF"))
    outcomes = statuses(run(tmp_path / "in", out))
    assert outcomes["a.png"] == "copied"
    assert set(contents(out)) == {"a.png.jpg", "a.jpg.jpg", "b.png.jpg", "b.gif.gif", "b.jpg"}
    assert (out / "b.jpg").read_bytes() == b"edited by hand"


def test_an_output_inside_the_input_is_not_read(tree: Path) -> None:
    first = run(tree, tree / "sub" / "out")
    assert statuses(run(tree, tree / "sub" / "out")).keys() == statuses(first).keys()
    for target in (tree, tree.parent):
        with pytest.raises(UsageError):
            run(tree, target)
    with pytest.raises(NotFound):
        run(tree / "none", tree.parent / "out")
    assert not (tree.parent / "out").exists()


def test_every_folder_becomes_a_message(tree: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    outcomes = run(tree, out, each="folder", on_error="skip")
    assert statuses(outcomes) == {".": "prepared", "sub": "prepared", "sub/deep": "prepared"}
    message = read_message(out)
    assert {part.source_name for part in message.parts} == {"a.png", "a.bmp", "note.txt"}
    sub = read_message(out / "sub")
    assert [rejection.name for rejection in sub.rejected] == ["bad.jpg"]
    assert Counter(statuses(run(tree, out, each="folder", on_error="skip")).values()) == {"unchanged": 3}
    put(tree / "sub" / "extra.txt", b"More")
    assert statuses(run(tree, out, each="folder", on_error="skip"))["sub"] == "prepared"
    assert len(read_message(out / "sub").parts) == 2
    (tree / "sub" / "extra.txt").unlink()
    run(tree, out, each="folder", on_error="skip")
    assert {path.name for path in (out / "sub").iterdir()} == {"01-image.jpg", "message.json", "deep"}


def test_every_row_becomes_a_message_and_the_same_message_is_made_once(tree: Path, tmp_path: Path) -> None:
    manifest = tmp_path / "rows.csv"
    rows = [f"r{number},a.png;sub/b.png,Hello,Subject,6140000000{number}" for number in range(4)]
    manifest.write_text("\n".join(["id,files,text,subject,to", *rows, "bad,none.jpg,,,", "t,,Only text,,"]))
    outcomes = run(tree, tmp_path / "out", each=str(manifest))
    assert [outcome.status.value for outcome in outcomes] == ["prepared", *["copied"] * 3, "failed", "prepared"]
    assert [outcome.to for outcome in outcomes][:2] == ["61400000000", "61400000001"]
    for number in range(4):
        message = read_message(tmp_path / "out" / f"r{number}")
        assert (message.text, message.subject, len(message.parts)) == ("Hello", "Subject", 2)
    assert read_message(tmp_path / "out" / "t").text == "Only text"


def test_fail_fast_starts_nothing_new(tree: Path, tmp_path: Path) -> None:
    put(tree / "0.jpg", b"\xff\xd8\xff\xe0 no picture")
    outcomes = run(tree, tmp_path / "out", fail_fast=True)
    assert [outcome.id for outcome in outcomes] == ["0.jpg"]


def test_a_second_run_beside_the_first_is_refused(tree: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with open_ledger(LocalStorage(str(out))), pytest.raises(LedgerError, match="another batch"):
        run(tree, out)
    assert run(tree, out)


def test_a_file_that_changes_while_it_is_read_is_not_remembered(tree: Path, tmp_path: Path) -> None:
    (file,) = [file for file in LocalStorage(str(tree)).list_folder("").files if file.name == "note.txt"]
    (tree / "note.txt").write_bytes(b"Changed since it was listed\n")
    work = Assignment(recipe=_recipe(tmp_path), stem="note", message=False, inputs=(InputFile("note.txt", file),))
    with pytest.raises(Unreadable, match="changed while"):
        make(work)
    assert not (tmp_path / "out" / "note.txt").exists()


def test_names_that_are_no_unicode_are_read_and_their_results_can_be_told(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.png")
    try:
        put(tmp_path / "in" / name, picture(13))
    except OSError:
        pytest.skip("this disk takes only Unicode names")
    outcomes = run(tmp_path / "in", tmp_path / "out")
    assert statuses(outcomes) == {"caf\\xe9.png": "prepared"}
    assert list(contents(tmp_path / "out")) == ["caf\\xe9.jpg"]
    assert statuses(run(tmp_path / "in", tmp_path / "out")) == {"caf\\xe9.png": "unchanged"}


@pytest.mark.posix("file modes")
def test_a_subfolder_that_cannot_be_read_is_an_error_of_its_own(tree: Path, tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    (tree / "sub").chmod(0)
    try:
        outcomes = run(tree, tmp_path / "out")
    finally:
        (tree / "sub").chmod(0o755)
    assert statuses(outcomes)["sub"] == "failed"


def test_different_versions_on_a_worker_are_refused(tree: Path, tmp_path: Path, profile: Profile) -> None:
    recipe = replace(_recipe(tmp_path), versions="mmsprep 0.0")
    (file,) = [file for file in LocalStorage(str(tree)).list_folder("").files if file.name == "note.txt"]
    with pytest.raises(Exception, match="same versions"):
        make(Assignment(recipe=recipe, stem="note", message=False, inputs=(InputFile("note.txt", file),)))


def test_inputs_are_counted_by_content(tmp_path: Path) -> None:
    put(tmp_path / "in" / "a.txt", b"Text\n")
    (outcome,) = run(tmp_path / "in", tmp_path / "out")
    assert outcome.made
    (file,) = outcome.made.outputs
    assert file.sha256 == hashlib.sha256((tmp_path / "out" / "a.txt").read_bytes()).hexdigest()
    assert outcome.input_bytes == 5


def test_a_message_too_large_becomes_several_in_folders_of_its_own_and_one_again(tmp_path: Path) -> None:
    """Each is whole by itself; a second run finds all of them, a run without the wish takes them away."""
    root, out = tmp_path / "in", tmp_path / "out"
    for name, letter in (("album/a.txt", b"a"), ("album/b.txt", b"b"), ("twin/a.txt", b"a"), ("twin/b.txt", b"b")):
        put(root / name, letter * 1500)
    put(root / "solo/c.txt", b"c" * 1500)
    wanted: dict[str, Any] = {"each": "folder", "limit_bytes": 3000, "split": True}
    outcomes = run(root, out, **wanted)
    assert statuses(outcomes) == {"album": "prepared", "solo": "prepared", "twin": "copied"}
    sizes = {outcome.id: outcome.made.messages for outcome in outcomes if outcome.made}
    assert {name: len(found) for name, found in sizes.items()} == {"album": 2, "twin": 2, "solo": 1}
    assert all(size <= 3000 for found in sizes.values() for size in found)
    for folder, letter in (("album/1", b"a"), ("album/2", b"b"), ("twin/1", b"a"), ("twin/2", b"b"), ("solo", b"c")):
        (part,) = read_message(out / folder).parts
        assert part.data == letter * 1500
    (album, _, _) = (outcome_document(outcome) for outcome in outcomes)
    assert [part["folder"] for part in album["parts"]] == [one["folder"] for one in album["messages"]] == ["1", "2"]
    assert album["total_bytes"] == sum(one["total_bytes"] for one in album["messages"])
    assert set(statuses(run(root, out, **wanted)).values()) == {"unchanged"}
    assert statuses(run(root, out, **wanted | {"limit_bytes": 6000})) == {
        "album": "prepared",
        "solo": "prepared",
        "twin": "copied",
    }
    assert {name.rpartition("/")[0] for name in contents(out)} == {"album", "solo", "twin"}


def test_the_folders_of_a_split_message_are_nobody_elses(tmp_path: Path) -> None:
    root, out = tmp_path / "in", tmp_path / "out"
    for name in ("album/a.txt", "album/b.txt", "album/1/c.txt", "other/a.txt", "other/b.txt"):
        put(root / name, name[-5].encode() * 1500)
    put(out / "other/2/message.json", b"somebody's")
    outcomes = run(root, out, each="folder", limit_bytes=3000, split=True)
    problems = {outcome.id: str(outcome.error) for outcome in outcomes if outcome.error}
    assert problems.keys() == {"album/1", "other"}
    assert "the split messages of 'album'" in problems["album/1"] and "is in the way" in problems["other"]
    assert (out / "other/2/message.json").read_bytes() == b"somebody's"
    assert [path for path in contents(out) if path.startswith("other")] == ["other/2/message.json"]
    manifest = tmp_path / "rows.csv"
    manifest.write_text("id,files\nx/2,other/a.txt\nx,other/b.txt\n")
    found = run(root, tmp_path / "rows", each=str(manifest), split=True)
    assert [outcome.error is None for outcome in found] == [True, False]


@pytest.mark.parametrize("wish", [{"slides": True}, {"split": True}, {"priorities": {"a.jpg": 2}}])
def test_what_makes_several_parts_of_a_file_is_refused_where_each_becomes_one(wish: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="--each folder"):
        Batch(source="in", target="out", **wish)


def test_every_wish_of_a_batch_makes_everything_again(tmp_path: Path) -> None:
    """A wish that did not count would leave results that were made without it."""
    plain = Batch(source="in", target="out", each="folder")
    recipe = replace(_recipe(tmp_path), job=plain.job)
    wishes: dict[str, Any] = {
        "limit_bytes": 5000,
        "on_error": "skip",
        "trim": True,
        "poster": True,
        "keep_names": True,
        "quality": "high",
        "best_effort": True,
        "slides": True,
        "pages": False,
        "from_s": 1,
        "to_s": 2,
        "priorities": {"cover.jpg": 2},
    }
    taken = {field.name for field in fields(Job)} - {"attachments", "text", "subject", "profile"}
    assert taken == wishes.keys()
    prints = {replace(recipe, job=replace(plain, **{name: value}).job).fingerprint for name, value in wishes.items()}
    assert len({*prints, recipe.fingerprint, replace(recipe, split=True).fingerprint}) == len(wishes) + 2


def test_a_row_takes_some_seconds_of_a_recording(tmp_path: Path, sample_media: Path) -> None:
    root = tmp_path / "in"
    put(root / "a.wav", (sample_media / "formats/a-law.wav").read_bytes())
    put(root / "odd[1-2].txt", b"a name, not seconds")
    manifest = tmp_path / "rows.csv"
    rows = ["whole,a.wav", "piece,a.wav[0.2-0.7s]", "odd,odd[1-2].txt", "none,b.wav[0-1]", "wrong,a.wav[2-1]"]
    manifest.write_text("\n".join(["id,files", *rows]))
    outcomes = run(root, tmp_path / "out", each=str(manifest))
    assert [outcome.error.code if outcome.error else "" for outcome in outcomes] == ["", "", "", "not_found", "usage"]
    whole, piece = (read_message(tmp_path / "out" / name).parts[0] for name in ("whole", "piece"))
    assert whole.span is None and piece.span == Span(0.2, 0.7)
    assert whole.duration_s and piece.duration_s and abs(piece.duration_s - 0.5) < 0.1 < whole.duration_s - 0.5
    foreseen = {one.id: one for one in foresee(Batch(source=str(root), target=str(tmp_path / "o"), each=str(manifest)))}
    assert foreseen["piece"].files[0].span == Span(0.2, 0.7)


@pytest.mark.parametrize("each", ["file", pytest.param("folder", marks=pytest.mark.slow)])
def test_seconds_of_a_batch_are_those_of_every_recording_that_does_not_say_its_own(
    each: str, tmp_path: Path, sample_media: Path
) -> None:
    root, recording = tmp_path / "in", (sample_media / "formats/a-law.wav").read_bytes()
    for name, data in (("a.wav", recording), ("b.wav", recording), ("c.png", picture(1)), ("d.txt", b"hello")):
        put(root / "x" / name, data)
    (one,) = {part.duration_s for part in _parts(run(root, tmp_path / "whole", each="folder"), tmp_path / "whole")[:1]}
    assert one and one > 0.8
    wanted: dict[str, Any] = {"each": each, "from_s": 0.2, "to_s": "0.7s"}
    foreseen = list(foresee(Batch(source=str(root), target=str(tmp_path / "out"), **wanted)))
    assert [file.span for one in foreseen for file in one.files] == [Span(0.2, 0.7)] * 2 + [None] * 2
    outcomes = run(root, tmp_path / "out", **wanted)
    assert all(outcome.error is None for outcome in outcomes)
    if each == "folder":
        parts = _parts(outcomes, tmp_path / "out")
        assert [part.span for part in parts] == [Span(0.2, 0.7)] * 2 + [None] * 2
    # What ends sooner goes up to its end; what is over before it begins is told as its own.
    assert all(one.error is None for one in run(root, tmp_path / "long", **{**wanted, "to_s": 3600}))
    late = run(root, tmp_path / "late", **{**wanted, "from_s": 600, "to_s": None})
    assert any(one.error for one in late)


def _parts(outcomes: list[ItemOutcome], target: Path) -> list[Part]:
    return [part for one in outcomes for part in read_message(target / one.id).parts]


def test_a_priority_counts_in_every_message_that_has_such_a_file(tmp_path: Path) -> None:
    root = tmp_path / "in"
    for folder, names in (("both", ("cover.png", "other.png")), ("none", ("other.png",))):
        for seed, name in enumerate(names):
            noise = grain((400, 300), 12 + seed, seed).convert("RGB")
            (root / folder).mkdir(parents=True, exist_ok=True)
            noise.save(root / folder / name)
    plain, preferred = (
        [*run(root, tmp_path / f"out{weight}", each="folder", limit_bytes=30_000, priorities=priorities)]
        for weight, priorities in ((1, {}), (2, {"cover.png": 2.0}))
    )
    assert [one.error for one in (*plain, *preferred)] == [None] * 4
    before, after = (read_message(tmp_path / name / "both").parts for name in ("out1", "out2"))
    assert after[0].size_bytes > before[0].size_bytes


def test_a_priority_may_name_a_file_by_its_place_below_the_input(tmp_path: Path) -> None:
    """Although the files of the other message are the same: they are not given what was made with a priority."""
    root = tmp_path / "in"
    for folder in ("a", "b"):
        for seed, name in enumerate(("cover.png", "other.png")):
            data = io.BytesIO()
            grain((400, 300), 12 + seed, seed).convert("RGB").save(data, "PNG")
            put(root / folder / name, data.getvalue())
    outcomes = run(root, tmp_path / "out", each="folder", limit_bytes=30_000, priorities={"a/cover.png": 3.0})
    assert [one.error for one in outcomes] == [None, None]
    preferred, plain = (read_message(tmp_path / "out" / name).parts[0] for name in ("a", "b"))
    assert preferred.size_bytes > plain.size_bytes * 1.1


@pytest.mark.parametrize("each", ["folder", "rows.csv"])
def test_a_priority_for_no_file_is_told_before_anything_is_made(each: str, tmp_path: Path) -> None:
    """A slip in a name would be lost without a word: the same error as of one message."""
    root = tmp_path / "in"
    put(root / "x/a.png", picture(1))
    (tmp_path / "rows.csv").write_text("id,files\none,x/a.png\n")
    wanted: dict[str, Any] = {"each": each if each == "folder" else str(tmp_path / each)}
    for priorities in ({"b.png": 2.0}, {"a.png": 2.0, "y/a.png": 2.0}):
        with pytest.raises(UsageError, match=r"a priority is given for '(b|y/a)\.png', which is none of the files"):
            run(root, tmp_path / "out", **wanted, priorities=priorities)
        with pytest.raises(UsageError, match="none of the files"):
            list(foresee(Batch(source=str(root), target=str(tmp_path / "out"), **wanted, priorities=priorities)))
        assert not (tmp_path / "out").exists()
    assert run(root, tmp_path / "out", **wanted, priorities={"a.png": 2.0})[0].error is None


@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
def test_seconds_of_a_batch_without_a_recording_are_told(
    dry: tuple[str, ...], tmp_path: Path, sample_media: Path
) -> None:
    source, out = tmp_path / "in", str(tmp_path / "out")
    put(source / "a.png", picture(1))
    command = ["batch", str(source), out, "--executor", "serial", "--to", "0.5s", *dry]
    assert "--from and --to changed nothing" in CliRunner().invoke(app, command).stderr
    put(source / "b.wav", (sample_media / "formats/a-law.wav").read_bytes())
    told = CliRunner().invoke(app, command)
    assert told.exit_code == 0 and "changed nothing" not in told.stderr
